//! ICMP (RFC 792), with router discovery (RFC 1256) and objects behind an error (RFC 4884).

use super::checksum::{Sum, should_be};
use super::read::{Cut, Printed, after, bytes, first, has, some, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

const TYPES: &Words = &[
    (0, "echo reply"),
    (4, "source quench"),
    (8, "echo request"),
    (10, "router solicitation"),
    (13, "time stamp request"),
    (14, "time stamp reply"),
    (15, "information request"),
    (16, "information reply"),
    (17, "address mask request"),
];
/// Bytes up to the objects behind an error.
const BEFORE_OBJECTS: u32 = 136;

/// What is said of one that could not be delivered, before and behind the address.
const UNREACHABLE: [(&str, &str); 16] = [
    ("net ", " unreachable"),
    ("host ", " unreachable"),
    ("", ""),
    ("", ""),
    ("", ""),
    ("", " unreachable - source route failed"),
    ("net ", " unreachable - unknown"),
    ("host ", " unreachable - unknown"),
    ("", " unreachable - source host isolated"),
    ("net ", " unreachable - admin prohibited"),
    ("host ", " unreachable - admin prohibited"),
    ("net ", " unreachable - tos prohibited"),
    ("host ", " unreachable - tos prohibited"),
    ("host ", " unreachable - admin prohibited filter"),
    ("host ", " unreachable - host precedence violation"),
    ("host ", " unreachable - precedence cutoff"),
];

impl Printer {
    pub(super) fn icmp(&mut self, data: &[u8], len: u32, fragment: bool) -> Printed {
        self.protocol = "icmp";
        let (kind, code) = (u8(data, 0)?, u8(data, 1)?);
        let begin = self.out.len();
        self.text("ICMP ");
        // Nothing is written of what is not there as a whole.
        let told = self.icmp_text(data, kind, code);
        if !matches!(told, Ok(true)) {
            self.out.truncate(begin);
            if !told? {
                self.cut();
            }
            return Ok(());
        }
        put!(self, ", length {len}");
        if self.style.verbose > 0 && !fragment && has(data, len as usize) {
            let sum = Sum::new().add(first(data, len as usize)).end();
            if sum != 0 {
                let is = u16(data, 2)?;
                put!(self, " (wrong icmp cksum {is:x} (->{:x})!)", should_be(is, sum));
            }
        }
        if self.style.verbose > 0 && matches!(kind, 3 | 4 | 5 | 11 | 12) {
            self.text("\n\t");
            let inner = after(data, 8);
            let inner_len = u16(inner, 2)?;
            // What says so itself that it is shorter than that is not looked at.
            if inner_len < 4 {
                return Err(Cut);
            }
            self.ip(first(inner, inner_len.into()), inner_len.into())?;
        }
        self.protocol = "icmp";
        if self.style.verbose > 0 && len > BEFORE_OBJECTS && matches!(kind, 3 | 11 | 12) {
            self.icmp_objects(data, len)?;
        }
        Ok(())
    }

    /// Whether all was there, as far as that is looked at before it is read.
    fn icmp_text(&mut self, data: &[u8], kind: u8, code: u8) -> Printed<bool> {
        // The target of the packet that an error is about.
        let about = || bytes::<4>(data, 24);
        match kind {
            0 | 8 => {
                self.text(if kind == 8 { "echo request" } else { "echo reply" });
                put!(self, ", id {}, seq {}", u16(data, 4)?, u16(data, 6)?);
            }
            3 => match code {
                2 => {
                    self.ip4(about()?);
                    put!(self, " protocol {} unreachable", u8(data, 17)?);
                }
                3 => {
                    if !has(data, 18) {
                        return Ok(false);
                    }
                    let inner_header = usize::from(u8(data, 8)? & 15) * 4;
                    let port = u16(data, 8 + inner_header + 2)?;
                    self.ip4(about()?);
                    match u8(data, 17)? {
                        6 => {
                            self.text(" tcp port ");
                            self.tcp_port(port);
                        }
                        17 => {
                            self.text(" udp port ");
                            self.udp_port(port);
                        }
                        other => put!(self, " protocol {other} port {port}"),
                    }
                    self.text(" unreachable");
                }
                4 => {
                    let mtu = u16(data, 6)?;
                    self.ip4(about()?);
                    self.text(" unreachable - need to frag");
                    if mtu != 0 {
                        put!(self, " (mtu {mtu})");
                    }
                }
                code => match UNREACHABLE.get(usize::from(code)) {
                    Some((before, behind)) => {
                        self.text(before);
                        self.ip4(about()?);
                        self.text(behind);
                    }
                    None => {
                        self.ip4(about()?);
                        put!(self, " unreachable - #{code}");
                    }
                },
            },
            5 => {
                match code {
                    0 | 1 => self.text("redirect "),
                    2 | 3 => self.text("redirect-tos "),
                    _ => put!(self, "redirect-#{code} "),
                }
                self.ip4(about()?);
                self.text(match code {
                    0 | 2 => " to net ",
                    1 | 3 => " to host ",
                    _ => " to ",
                });
                self.ip4(bytes(data, 4)?);
            }
            9 => {
                if !has(data, 8) {
                    return Ok(false);
                }
                self.text("router advertisement lifetime ");
                let life = u16(data, 6)?;
                match life {
                    0..60 => put!(self, "{life}"),
                    60..3600 => put!(self, "{}:{:02}", life / 60, life % 60),
                    _ => put!(self, "{}:{:02}:{:02}", life / 3600, life % 3600 / 60, life % 60),
                }
                let (count, size) = (u8(data, 4)?, u8(data, 5)?);
                put!(self, " {count}:");
                if size != 2 {
                    put!(self, " [size {size}]");
                    return Ok(true);
                }
                for number in 0..usize::from(count) {
                    let at = 8 + 8 * number;
                    if !has(data, at + 8) {
                        return Ok(false);
                    }
                    self.text(" {");
                    self.ip4(bytes(data, at)?);
                    put!(self, " {}}}", u32(data, at + 4)?);
                }
            }
            11 => {
                if !has(data, 28) {
                    return Ok(false);
                }
                match code {
                    0 => self.text("time exceeded in-transit"),
                    1 => self.text("ip reassembly time exceeded"),
                    _ => put!(self, "time exceeded-#{code}"),
                }
            }
            12 if code == 0 => put!(self, "parameter problem - octet {}", u8(data, 4)?),
            12 => put!(self, "parameter problem - code {code}"),
            13 => put!(self, "time stamp query id {} seq {}", u16(data, 4)?, u16(data, 6)?),
            14 => {
                if !has(data, 20) {
                    return Ok(false);
                }
                put!(self, "time stamp reply id {} seq {}", u16(data, 4)?, u16(data, 6)?);
                for (word, at) in [(": org ", 8), (", recv ", 12), (", xmit ", 16)] {
                    let time = u32(data, at)?;
                    let seconds = time / 1000;
                    put!(
                        self,
                        "{word}{:02}:{:02}:{:02}.{:03}",
                        seconds / 3600,
                        seconds / 60 % 60,
                        seconds % 60,
                        time % 1000
                    );
                }
            }
            18 => put!(self, "address mask is 0x{:08x}", u32(data, 8)?),
            _ => self.word(TYPES, kind.into(), |p| put!(p, "type-#{kind}")),
        }
        Ok(true)
    }

    /// What routers add to an error: labels, interfaces.
    fn icmp_objects(&mut self, data: &[u8], len: u32) -> Printed {
        let at = BEFORE_OBJECTS as usize;
        if !has(data, at + 5) {
            self.cut();
            return Ok(());
        }
        let all = (len - BEFORE_OBJECTS) as usize;
        let objects = after(data, at);
        let sum = has(objects, all).then(|| Sum::new().add(first(objects, all)).end());
        // Where no length tells that there are some, the checksum must.
        if u8(data, 5)? == 0 && sum.is_some_and(|sum| sum != 0) {
            return Ok(());
        }
        let version = u8(objects, 0)? >> 4;
        put!(self, "\n\tICMP Multi-Part extension v{version}");
        if version != 2 {
            self.text(" packet not supported");
            return Ok(());
        }
        if let Some(sum) = sum {
            let right = if sum == 0 { "" } else { "in" };
            put!(self, ", checksum 0x{:04x} ({right}correct), length {all}", u16(objects, 2)?);
        }
        let (mut at, mut left) = (4, all.saturating_sub(4));
        while left > 4 {
            if !has(objects, at + 4) {
                self.cut();
                return Ok(());
            }
            let object_len = usize::from(u16(objects, at)?);
            let (class, kind) = (u8(objects, at + 2)?, u8(objects, at + 3)?);
            at += 4;
            left -= 4;
            let name = match class {
                1 => "MPLS Stack Entry",
                2 => "Interface Identification",
                _ => "unknown",
            };
            put!(self, "\n\t  {name} Object ({class}), Class-Type: {kind}, length {object_len}");
            if class == 0 || object_len < 4 {
                return Ok(());
            }
            let object_len = object_len - 4;
            if (class, kind) == (1, 1) {
                let label = u32(objects, at)?;
                put!(self, "\n\t    label {}, tc {}", label >> 12, label >> 9 & 7);
                if label & 0x100 != 0 {
                    self.text(", [S]");
                }
                put!(self, ", ttl {}", label & 0xff);
            } else {
                self.unknown_data("\n\t    ", after(objects, at), object_len);
            }
            if left < object_len {
                break;
            }
            left -= object_len;
            at += object_len;
        }
        Ok(())
    }

    /// Bytes of which nothing is known, as many as there are.
    pub(super) fn unknown_data(&mut self, begin: &str, data: &[u8], len: usize) {
        let data = some(data, 0, len).unwrap_or(data);
        self.hex_dump(begin, data);
    }
}
