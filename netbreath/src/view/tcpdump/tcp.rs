//! TCP (RFC 9293): a line for each segment, with sequence numbers counted from a connection's
//! first.

use std::collections::HashMap;

use super::checksum::should_be;
use super::ip::{Ends, Outer};
use super::read::{Cut, Printed, after, first, has, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;
const URG: u8 = 32;

const FLAGS: &Words =
    &[(1, "F"), (2, "S"), (4, "R"), (8, "P"), (16, "."), (32, "U"), (64, "E"), (128, "W")];
/// The letters of flags.
pub(super) fn letters(flags: u8) -> String {
    let set = FLAGS.iter().filter(|(bit, _)| u32::from(flags) & bit != 0);
    let letters: String = set.map(|(_, letter)| *letter).collect();
    if letters.is_empty() { "none".to_owned() } else { letters }
}

/// Bytes of a reset's data that are shown.
const MOST_OF_RESET: usize = 30;
/// Connections whose first numbers are remembered, in each of two generations.
const REMEMBERED: usize = 1 << 19;

/// A connection, the end with the lower port first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Connection {
    ends: Ends,
    ports: (u16, u16),
}

/// The first sequence numbers of connections, those of the end with the lower port first.
#[derive(Default)]
pub(super) struct Sequences {
    young: HashMap<Connection, (u32, u32)>,
    old: HashMap<Connection, (u32, u32)>,
}

impl Sequences {
    fn remember(&mut self, connection: Connection, first: (u32, u32)) {
        if self.young.len() >= REMEMBERED {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(connection, first);
    }

    fn find(&mut self, connection: &Connection) -> Option<(u32, u32)> {
        if let Some(first) = self.young.get(connection) {
            return Some(*first);
        }
        let first = self.old.remove(connection)?;
        self.remember(*connection, first);
        Some(first)
    }
}

/// What the numbers of a segment are counted from.
#[derive(Clone, Copy, Default)]
pub(super) struct Relative {
    /// Of whom it comes from, and of the other.
    pub(super) own: u32,
    pub(super) other: u32,
}

impl Printer {
    pub(super) fn tcp(
        &mut self,
        data: &[u8],
        len: u32,
        outer: Outer<'_>,
        fragment: bool,
    ) -> Printed {
        self.protocol = "tcp";
        let ends = outer.ends()?;
        let (Ok(source), Ok(target)) = (u16(data, 0), u16(data, 2)) else {
            self.plain_ends(ends);
            self.text(":");
            self.cut();
            return Ok(());
        };
        self.ends_with_ports(outer, ends, 6, |p, second| {
            p.tcp_port(if second { target } else { source });
        })?;
        if !has(data, 20) {
            self.cut();
            return Ok(());
        }
        let header_len = u32::from(u8(data, 12)? >> 4) * 4;
        if header_len < 20 {
            put!(
                self,
                " tcp {} [bad hdr length {header_len} - too short, < 20]",
                len.wrapping_sub(header_len)
            );
            return Ok(());
        }
        if self.style.quiet {
            put!(self, "tcp {}", len.wrapping_sub(header_len));
            if header_len > len {
                put!(self, " [bad hdr length {header_len} - too long, > {len}]");
            }
            return Ok(());
        }
        let (mut seq, mut ack) = (u32(data, 4)?, u32(data, 8)?);
        let flags = u8(data, 13)?;
        self.flags = Some(flags);
        self.text("Flags [");
        self.bits(FLAGS, flags.into(), "", "none");
        self.text("]");
        let mut relative = Relative::default();
        if !self.style.absolute && flags & ACK != 0 {
            let known;
            (known, relative) = self.relative(ends, (source, target), flags, seq, ack);
            if known {
                seq = seq.wrapping_sub(relative.own);
                ack = ack.wrapping_sub(relative.other);
            }
        }
        if header_len > len {
            put!(self, " [bad hdr length {header_len} - too long, > {len}]");
            return Ok(());
        }
        if self.style.verbose > 0
            && !self.style.no_checksums
            && !fragment
            && has(data, len as usize)
        {
            let (sum, is) = (outer.sum(6, first(data, len as usize))?, u16(data, 16)?);
            put!(self, ", cksum 0x{is:04x}");
            if sum == 0 {
                self.text(" (correct)");
            } else {
                put!(self, " (incorrect -> 0x{:04x})", should_be(is, sum));
            }
        }
        let payload_len = len - header_len;
        if self.style.verbose > 1 || payload_len > 0 || flags & (SYN | FIN | RST) != 0 {
            self.text(", seq ");
            self.number(seq);
            if payload_len > 0 {
                self.text(":");
                self.number(seq.wrapping_add(payload_len));
            }
        }
        if flags & ACK != 0 {
            self.text(", ack ");
            self.number(ack);
        }
        self.text(", win ");
        self.number(u16(data, 14)?.into());
        if flags & URG != 0 {
            put!(self, ", urg {}", u16(data, 18)?);
        }
        if header_len > 20 {
            self.text(", options [");
            let payload = (header_len, payload_len);
            if !self.tcp_options(
                after(data, 20),
                header_len - 20,
                flags,
                relative.other,
                data,
                payload,
            )? {
                return Ok(());
            }
            self.text("]");
        }
        self.text(", length ");
        self.number(payload_len);
        if payload_len == 0 {
            return Ok(());
        }
        if !has(data, header_len as usize) {
            put!(self, " [remaining caplen({}) < header length({header_len})]", data.len());
            return Err(Cut);
        }
        let payload = after(data, header_len as usize);
        if flags & RST != 0 && self.style.verbose > 0 {
            self.reset_data(payload, payload_len as usize);
            return Ok(());
        }
        let of = |port: u16| source == port || target == port;
        if of(80) || of(8080) {
            self.text(": ");
            self.http(payload, payload_len)?;
        } else if of(53) {
            self.dns(payload, payload_len, true, false)?;
        }
        Ok(())
    }

    /// What numbers are counted from, and whether that was known before.
    fn relative(
        &mut self,
        ends: Ends,
        (source, target): (u16, u16),
        flags: u8,
        seq: u32,
        ack: u32,
    ) -> (bool, Relative) {
        let reversed = source > target
            || source == target
                && match ends {
                    Ends::V4(a, b) => a > b,
                    Ends::V6(a, b) => a > b,
                };
        let connection = if reversed {
            let ends = match ends {
                Ends::V4(a, b) => Ends::V4(b, a),
                Ends::V6(a, b) => Ends::V6(b, a),
            };
            Connection { ends, ports: (target, source) }
        } else {
            Connection { ends, ports: (source, target) }
        };
        let found = if flags & SYN == 0 { self.sequences.find(&connection) } else { None };
        let known = found.is_some();
        let first = found.unwrap_or_else(|| {
            let other = ack.wrapping_sub(1);
            let first = if reversed { (other, seq) } else { (seq, other) };
            self.sequences.remember(connection, first);
            first
        });
        let (own, other) = if reversed { (first.1, first.0) } else { first };
        (known, Relative { own, other })
    }

    fn plain_ends(&mut self, ends: Ends) {
        match ends {
            Ends::V4(source, target) => {
                self.ip4(source);
                self.text(" > ");
                self.ip4(target);
            }
            Ends::V6(source, target) => {
                self.ip6(source);
                self.text(" > ");
                self.ip6(target);
            }
        }
    }

    /// Addresses with ports; ports alone where other headers lie between.
    pub(super) fn ends_with_ports(
        &mut self,
        outer: Outer<'_>,
        ends: Ends,
        proto: u8,
        port: impl Fn(&mut Printer, bool),
    ) -> Printed {
        let direct = outer.proto()? == proto;
        for second in [false, true] {
            if second {
                self.text(" > ");
            }
            if direct {
                match ends {
                    Ends::V4(a, b) => self.ip4(if second { b } else { a }),
                    Ends::V6(a, b) => self.ip6(if second { b } else { a }),
                }
                self.text(".");
            }
            port(self, second);
        }
        self.text(": ");
        Ok(())
    }

    /// Data of a reset may say why (RFC 9293, section 3.5.3).
    fn reset_data(&mut self, data: &[u8], len: usize) {
        self.text(if has(data, len) { " [RST" } else { " [!RST" });
        if len > MOST_OF_RESET {
            self.text("+");
        }
        self.text(" ");
        self.foreign_text(data, len.min(MOST_OF_RESET));
        self.text("]");
    }
}
