//! IPv4 (RFC 791), and what is behind it and IPv6.

use super::checksum::{Sum, should_be};
use super::read::{Printed, after, bytes, first, has, some, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

pub(super) const PROTOCOLS: &Words = &[
    (0, "Options"),
    (1, "ICMP"),
    (2, "IGMP"),
    (4, "IPIP"),
    (6, "TCP"),
    (8, "EGP"),
    (9, "IGRP"),
    (17, "UDP"),
    (33, "DCCP"),
    (41, "IPv6"),
    (43, "Routing"),
    (44, "Fragment"),
    (46, "RSVP"),
    (47, "GRE"),
    (50, "ESP"),
    (51, "AH"),
    (55, "Mobile IP"),
    (58, "ICMPv6"),
    (62, "Mobile IP (old)"),
    (88, "EIGRP"),
    (89, "OSPF"),
    (103, "PIM"),
    (108, "Compressed IP"),
    (112, "VRRP"),
    (113, "PGM"),
    (132, "SCTP"),
    (135, "Mobility"),
    (143, "Ethernet"),
];
const OPTIONS: &Words = &[
    (0, "EOL"),
    (1, "NOP"),
    (68, "timestamp"),
    (130, "security"),
    (7, "RR"),
    (137, "SSRR"),
    (131, "LSRR"),
    (148, "RA"),
    (82, "traceroute"),
];
const FRAGMENT_FLAGS: &Words = &[(0x2000, "+"), (0x4000, "DF"), (0x8000, "rsvd")];

/// The header in which something lies: as many of its bytes as are there, and what is
/// behind them.
#[derive(Clone, Copy)]
pub(super) enum Outer<'a> {
    V4(&'a [u8]),
    V6(&'a [u8]),
}

/// What an outer header says of its ends.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ends {
    V4([u8; 4], [u8; 4]),
    V6([u8; 16], [u8; 16]),
}

impl Outer<'_> {
    pub(super) fn ends(self) -> Printed<Ends> {
        Ok(match self {
            Outer::V4(header) => Ends::V4(bytes(header, 12)?, bytes(header, 16)?),
            Outer::V6(header) => Ends::V6(bytes(header, 8)?, bytes(header, 24)?),
        })
    }

    /// The protocol behind it, as its first header has it.
    pub(super) fn proto(self) -> Printed<u8> {
        match self {
            Outer::V4(header) => u8(header, 9),
            Outer::V6(header) => u8(header, 6),
        }
    }

    /// The sum over the pseudo-header: 0 if the checksum in `data` is right.
    pub(super) fn sum(self, proto: u8, data: &[u8]) -> Printed<u16> {
        let sum = match self {
            Outer::V4(header) => {
                let target = last_hop(header)?;
                let len = u32::from(proto) << 16 | data.len() as u32 & 0xffff;
                Sum::new().add(some(header, 12, 4)?).add(&target).add_number(len)
            }
            Outer::V6(header) => {
                let target = super::ip6::last_hop(header)?;
                let sum = Sum::new().add(some(header, 8, 16)?).add(&target);
                sum.add_number(data.len() as u32).add_number(proto.into())
            }
        };
        Ok(sum.add(data).end())
    }
}

/// Where a source route ends, which checksums are made for.
fn last_hop(header: &[u8]) -> Printed<[u8; 4]> {
    let target = bytes(header, 16)?;
    let len = usize::from(u8(header, 0)? & 15) * 4;
    let mut options = after(first(header, len), 20);
    while let Some(kind) = options.first() {
        let len = match kind {
            0 => break,
            1 => 1,
            _ => options.get(1).copied().map_or(0, usize::from),
        };
        if len == 0 || *kind != 1 && len < 2 || options.len() < len {
            break;
        }
        if matches!(kind, 131 | 137) && len >= 7 {
            return bytes(options, len - 4);
        }
        options = after(options, len);
    }
    Ok(target)
}

impl Printer {
    /// By the version in the first byte.
    pub(super) fn any_ip(&mut self, data: &[u8], len: u32) -> Printed {
        if len < 1 {
            put!(self, "truncated-ip {len}");
            return Ok(());
        }
        match u8(data, 0)? >> 4 {
            4 => self.ip(data, len),
            6 => self.ip6_packet(data, len),
            other => {
                put!(self, "unknown ip {other}");
                Ok(())
            }
        }
    }

    pub(super) fn ip(&mut self, data: &[u8], len: u32) -> Printed {
        self.deeper(|printer| printer.ip4_packet(data, len))
    }

    fn ip4_packet(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "ip";
        let version = u8(data, 0)?;
        match version >> 4 {
            4 => {}
            6 => {
                self.text("IP6, wrong link-layer encapsulation");
                self.invalid();
                return Ok(());
            }
            other => {
                put!(self, "IP{other}");
                self.invalid();
                return Ok(());
            }
        }
        if !self.style.link {
            self.text("IP ");
        }
        if !has(data, 20) {
            self.cut();
            return Ok(());
        }
        if len < 20 {
            put!(self, "truncated-ip {len}");
            return Ok(());
        }
        let header_len = u32::from(version & 15) * 4;
        if header_len < 20 {
            put!(self, "bad-hlen {header_len}");
            return Ok(());
        }
        let total = u32::from(u16(data, 2)?);
        if len < total {
            put!(self, "truncated-ip - {} bytes missing! ", total - len);
        }
        if total < header_len {
            put!(self, "bad-len {total}");
            return Ok(());
        }
        let data = first(data, total as usize);
        let fragment = u16(data, 6)?;
        let offset = fragment & 0x1fff;
        let proto = u8(data, 9)?;
        if self.style.verbose > 0 && self.ip4_header(data, header_len as usize, fragment)? {
            self.ip4_ends(data)?;
            self.text(": ");
            self.cut();
            return Ok(());
        }
        if offset != 0 {
            self.ip4_ends(data)?;
            self.text(":");
            match self.naming.as_ref().and_then(|naming| naming.protocols.get(&proto.into())) {
                Some(name) => put!(self, " {name}"),
                None => put!(self, " ip-proto-{proto}"),
            }
            return Ok(());
        }
        if !matches!(proto, 6 | 17) {
            self.ip4_ends(data)?;
            self.text(": ");
        }
        if !has(data, header_len as usize) {
            put!(self, " [remaining caplen({}) < header length({header_len})]", data.len());
            return Err(super::read::Cut);
        }
        let inner = after(data, header_len as usize);
        let more = fragment & 0x2000 != 0;
        self.behind(inner, total - header_len, Outer::V4(data), proto, more)
    }

    fn ip4_ends(&mut self, header: &[u8]) -> Printed {
        let (source, target) = (bytes(header, 12)?, bytes(header, 16)?);
        self.ip4(source);
        self.text(" > ");
        self.ip4(target);
        Ok(())
    }

    /// The header's fields; whether its options were cut.
    fn ip4_header(&mut self, data: &[u8], header_len: usize, fragment: u16) -> Printed<bool> {
        let (tos, ttl, proto) = (u8(data, 1)?, u8(data, 8)?, u8(data, 9)?);
        put!(self, "(tos 0x{tos:x}");
        self.text(["", ",ECT(1)", ",ECT(0)", ",CE"][usize::from(tos & 3)]);
        if ttl > 0 {
            put!(self, ", ttl {ttl}");
        }
        let id = u16(data, 4)?;
        put!(self, ", id {id}, offset {}, flags [", (fragment & 0x1fff) * 8);
        self.bits(FRAGMENT_FLAGS, fragment.into(), ", ", "none");
        self.text("], proto ");
        self.word(PROTOCOLS, proto.into(), |p| p.text("unknown"));
        put!(self, " ({proto}), length {}", u16(data, 2)?);
        let mut cut = false;
        if header_len > 20 {
            self.text(", options (");
            cut = !self.ip4_options(after(data, 20), header_len - 20)?;
            self.text(if cut { " [truncated-option])" } else { ")" });
        }
        if !self.style.no_checksums && has(data, header_len) {
            let sum = Sum::new().add(first(data, header_len)).end();
            if sum != 0 {
                let is = u16(data, 10)?;
                put!(self, ", bad cksum {is:x} (->{:x})!", should_be(is, sum));
            }
        }
        self.text(")\n    ");
        Ok(cut)
    }

    /// Whether all that was told of was there.
    fn ip4_options(&mut self, data: &[u8], len: usize) -> Printed<bool> {
        let (mut at, mut separator) = (0, "");
        while at < len {
            self.text(separator);
            separator = ",";
            let kind = u8(data, at)?;
            self.word(OPTIONS, kind.into(), |p| put!(p, "unknown {kind}"));
            let option_len = if kind <= 1 { 1 } else { usize::from(u8(data, at + 1)?) };
            if kind > 1 && option_len < 2 || option_len > len - at {
                put!(self, " [bad length {option_len}]");
                return Ok(true);
            }
            if !has(data, at + option_len) {
                return Ok(false);
            }
            let option = after(data, at);
            match kind {
                0 => return Ok(true),
                68 if !self.ip4_timestamps(option, option_len)? => return Ok(false),
                7 | 131 | 137 if !self.ip4_route(option, option_len)? => return Ok(false),
                148 if option_len < 4 => put!(self, " [bad length {option_len}]"),
                148 => {
                    let value = u16(option, 2)?;
                    if value != 0 {
                        put!(self, " value {value}");
                    }
                }
                _ => {}
            }
            at += option_len;
        }
        Ok(true)
    }

    fn ip4_route(&mut self, option: &[u8], len: usize) -> Printed<bool> {
        if len < 3 {
            put!(self, " [bad length {len}]");
            return Ok(true);
        }
        if (len + 1) & 3 != 0 {
            put!(self, " [bad length {len}]");
        }
        let pointer = u8(option, 2)?;
        let next = usize::from(pointer).wrapping_sub(1);
        if next < 3 || next.wrapping_add(1) & 3 != 0 || next > len + 1 {
            put!(self, " [bad ptr {pointer}]");
        }
        for at in (3..len).step_by(4) {
            // The last can begin in this option and end behind it.
            let Ok(addr) = bytes(option, at) else { return Ok(false) };
            self.text(" ");
            self.ip4(addr);
            if next > at {
                self.text(",");
            }
        }
        Ok(true)
    }

    fn ip4_timestamps(&mut self, option: &[u8], len: usize) -> Printed<bool> {
        if len < 4 {
            put!(self, "[bad length {len}]");
            return Ok(true);
        }
        self.text(" TS{");
        let (pointer, flags) = (u8(option, 2)?, u8(option, 3)?);
        let each = if flags & 15 == 0 { 4 } else { 8 };
        if (len - 4) & (each - 1) != 0 {
            put!(self, "[bad length {len}]");
        }
        let next = usize::from(pointer).wrapping_sub(1);
        if next < 4 || (next.wrapping_sub(4)) & (each - 1) != 0 || next > len + 1 {
            put!(self, "[bad ptr {pointer}]");
        }
        let mut at = 0;
        let kind = match flags & 15 {
            0 => Some("TSONLY"),
            1 => Some("TS+ADDR"),
            3 => Some("PRESPEC"),
            _ => None,
        };
        match kind {
            None => put!(self, "[bad ts type {}]", flags & 15),
            Some(kind) => {
                self.text(kind);
                at = 4;
                while at < len {
                    let Ok(entry) = some(option, at, each) else { return Ok(false) };
                    self.text(if next == at { " ^ " } else { " " });
                    put!(self, "{}@", u32(entry, each - 4)?);
                    if each == 8 {
                        self.ip4(bytes(entry, 0)?);
                    }
                    at += each;
                }
            }
        }
        if next == at {
            self.text(" ^ ");
        }
        match flags >> 4 {
            0 => self.text("}"),
            more => put!(self, " [{more} hops not recorded]}} "),
        }
        Ok(true)
    }

    /// What a protocol number says is behind a header. `fragment`: it is the first of several
    /// parts.
    pub(super) fn behind(
        &mut self,
        data: &[u8],
        len: u32,
        outer: Outer<'_>,
        proto: u8,
        fragment: bool,
    ) -> Printed {
        let (mut proto, mut data, mut len) = (proto, data, len);
        let six = matches!(outer, Outer::V6(_));
        loop {
            match proto {
                51 => {
                    if data.is_empty() {
                        self.protocol = "ah";
                        self.cut();
                        return Ok(());
                    }
                    let next = u8(data, 0)?;
                    let used = self.ah(data)?;
                    data = after(data, used);
                    len = len.wrapping_sub(used as u32);
                    proto = next;
                }
                50 => return self.esp(data, len),
                6 => return self.tcp(data, len, outer, fragment),
                17 => return self.udp(data, len, outer, fragment),
                1 if !six => return self.icmp(data, len, fragment),
                58 if six => return self.icmp6(data, len, outer, fragment),
                2 if !six => return self.igmp(data, len),
                1 | 2 => {
                    self.text(if proto == 1 { "[ICMP" } else { "[IGMP" });
                    self.text(" requires IPv4]");
                    self.invalid();
                    return Ok(());
                }
                58 => {
                    self.text("[ICMPv6 requires IPv6]");
                    self.invalid();
                    return Ok(());
                }
                4 => return self.ip(data, len),
                41 => return self.ip6_packet(data, len),
                47 => return self.deeper(|p| p.gre(data, len)),
                77 => {
                    put!(self, " nd {len}");
                    return Ok(());
                }
                143 if six => return self.frame(data, len),
                143 => {
                    self.text("[Ethernet requires IPv6]");
                    self.invalid();
                    return Ok(());
                }
                59 => {
                    self.text("no next header");
                    return Ok(());
                }
                _ => {
                    match self.naming.as_ref().and_then(|names| names.protocols.get(&proto.into()))
                    {
                        Some(name) => put!(self, " {name}"),
                        None => put!(self, " ip-proto-{proto}"),
                    }
                    put!(self, " {len}");
                    return Ok(());
                }
            }
        }
    }

    /// An authentication header (RFC 4302); its length.
    fn ah(&mut self, data: &[u8]) -> Printed<usize> {
        self.protocol = "ah";
        self.text("AH");
        let words = u8(data, 1)?;
        let len = (usize::from(words) + 2) * 4;
        self.text("(");
        if self.style.verbose > 0 {
            put!(self, "length={words}({len}-bytes),");
        }
        let reserved = u16(data, 2)?;
        if reserved != 0 {
            put!(self, "reserved=0x{reserved:x}[MustBeZero],");
        }
        put!(self, "spi=0x{:08x},", u32(data, 4)?);
        put!(self, "seq=0x{:x},", u32(data, 8)?);
        self.text("icv=0x");
        for at in 12..len {
            let byte = u8(data, at)?;
            self.hex_bytes(&[byte]);
        }
        self.text("): ");
        Ok(len)
    }

    /// What is encrypted (RFC 4303).
    fn esp(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "esp";
        if data.len() <= 8 {
            self.cut();
            return Ok(());
        }
        put!(self, "ESP(spi=0x{:08x}", u32(data, 0)?);
        put!(self, ",seq=0x{:x}), length {len}", u32(data, 4)?);
        Ok(())
    }
}
