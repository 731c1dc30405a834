//! GRE (RFC 2784, 2890), and its version 1 (RFC 2637).

use super::link::TYPES;
use super::read::{Printed, after, has, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

const FLAGS: &Words = &[
    (0x8000, "checksum present"),
    (0x4000, "routing present"),
    (0x2000, "key present"),
    (0x1000, "sequence# present"),
    (0x0800, "source routing present"),
    (0x0080, "ack present"),
];

impl Printer {
    pub(super) fn gre(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "gre";
        if len < 2 || !has(data, 2) {
            self.cut();
            return Ok(());
        }
        let flags = u16(data, 0)?;
        put!(self, "GREv{}", flags & 7);
        match flags & 7 {
            version @ (0 | 1) => {
                if !self.gre_fields(data, len, flags, version == 1)? {
                    self.cut();
                }
            }
            _ => self.text(" ERROR: unknown-version"),
        }
        Ok(())
    }

    /// Whether all was there.
    fn gre_fields(&mut self, data: &[u8], len: u32, flags: u16, first: bool) -> Printed<bool> {
        if self.style.verbose > 0 {
            self.text(", Flags [");
            self.bits(FLAGS, flags.into(), ", ", "none");
            self.text("]");
        }
        let there = |at: usize, count: usize| has(data, at + count) && len as usize >= at + count;
        if !there(2, 2) {
            return Ok(false);
        }
        let proto = u16(data, 2)?;
        let mut at = 4;
        if !first && flags & 0xc000 != 0 {
            if !there(at, 2) {
                return Ok(false);
            }
            if self.style.verbose > 0 {
                put!(self, ", sum 0x{:x}", u16(data, at)?);
            }
            at += 2;
            if !there(at, 2) {
                return Ok(false);
            }
            put!(self, ", off 0x{:x}", u16(data, at)?);
            at += 2;
        }
        for (flag, is_there) in [(0x2000, true), (0x1000, true), (0x0080, first)] {
            if flags & flag == 0 || !is_there {
                continue;
            }
            if !there(at, 4) {
                return Ok(false);
            }
            let value = u32(data, at)?;
            match flag {
                0x2000 if first => put!(self, ", call {}", value & 0xffff),
                0x2000 => put!(self, ", key=0x{value:x}"),
                0x1000 => put!(self, ", seq {value}"),
                _ => put!(self, ", ack {value}"),
            }
            at += 4;
        }
        if !first && flags & 0x4000 != 0 {
            // Source routes, which nobody has used for long (RFC 2784): passed over.
            loop {
                if !there(at, 4) {
                    return Ok(false);
                }
                let (family, route_len) = (u16(data, at)?, usize::from(u8(data, at + 3)?));
                at += 4;
                if family == 0 && route_len == 0 {
                    break;
                }
                put!(self, ", (rtaf=0x{family:x})");
                if !there(at, route_len) {
                    return Ok(false);
                }
                at += route_len;
            }
        }
        if first && flags & 0x1000 == 0 {
            self.text(", no-payload");
        }
        if self.style.link {
            self.text(", proto ");
            self.word(TYPES, proto.into(), |p| p.text("unknown"));
            put!(self, " (0x{proto:04x})");
        }
        put!(self, ", length {len}");
        if first && flags & 0x1000 == 0 {
            return Ok(true);
        }
        self.text(if self.style.verbose > 0 { "\n\t" } else { ": " });
        let (inner, rest) = (after(data, at), len - at as u32);
        match proto {
            0x0800 if !first => self.ip(inner, rest)?,
            0x86dd if !first => self.ip6_packet(inner, rest)?,
            0x6558 if !first => self.frame(inner, rest)?,
            _ => put!(self, "gre-proto-0x{proto:x}"),
        }
        Ok(true)
    }
}
