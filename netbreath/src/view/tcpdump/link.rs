//! Link-layer headers: Ethernet with tags, loopback, none, and Linux's own two.

use super::read::{Printed, after, bytes, first, has, u8, u16, u24, u32};
use super::text::Words;
use super::{Printer, put};
use crate::packet::link_type;

const IP4: u16 = 0x0800;
const IP6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const REVERSE_ARP: u16 = 0x8035;
/// What is no more than this is a length.
const LONGEST: u16 = 1500;

/// Names of Ethernet's types (IANA, IEEE 802 numbers).
pub(super) const TYPES: &Words = &[
    (0x0800, "IPv4"),
    (0x8847, "MPLS unicast"),
    (0x8848, "MPLS multicast"),
    (0x86dd, "IPv6"),
    (0x8100, "802.1Q"),
    (0x9100, "802.1Q-9100"),
    (0x88a8, "802.1Q-QinQ"),
    (0x9200, "802.1Q-9200"),
    (0x88e5, "802.1AE MACsec"),
    (0x0200, "PUP"),
    (0x0806, "ARP"),
    (0x8035, "Reverse ARP"),
    (0x0600, "NS"),
    (0x0500, "Sprite"),
    (0x1000, "Trail"),
    (0x6001, "MOP DL"),
    (0x6002, "MOP RC"),
    (0x6003, "DN"),
    (0x6004, "LAT"),
    (0x6007, "SCA"),
    (0x6558, "TEB"),
    (0x8038, "Lanbridge"),
    (0x803c, "DEC DNS"),
    (0x803e, "DEC DTS"),
    (0x805b, "VEXP"),
    (0x805c, "VPROD"),
    (0x809b, "Appletalk"),
    (0x80f3, "Appletalk ARP"),
    (0x8137, "IPX"),
    (0x880b, "PPP"),
    (0x8808, "MPCP"),
    (0x8809, "Slow Protocols"),
    (0x8863, "PPPoE D"),
    (0x8864, "PPPoE S"),
    (0x888e, "EAPOL"),
    (0x8899, "Realtek protocols"),
    (0x886f, "MS NLB heartbeat"),
    (0x8870, "Jumbo"),
    (0x894f, "NSH"),
    (0x9000, "Loopback"),
    (0xfefe, "OSI"),
    (0x00fe, "GRE-OSI"),
    (0xabcd, "CFM (old)"),
    (0x8902, "CFM"),
    (0x893a, "IEEE1905.1"),
    (0x88cc, "LLDP"),
    (0x88ca, "TIPC"),
    (0x0707, "GeoNet (old)"),
    (0x8947, "GeoNet"),
    (0x1111, "CALM FAST"),
    (0x88a2, "AoE"),
    (0x88f7, "PTP"),
    (0xd28b, "Arista Vendor Specific Protocol"),
];

const POINTS: &Words = &[
    (0x00, "Null"),
    (0xff, "Global"),
    (0x02, "802.1B I"),
    (0x03, "802.1B G"),
    (0x06, "IP"),
    (0x04, "SNA"),
    (0x0e, "ProWay NM"),
    (0x42, "STP"),
    (0x4e, "RS511"),
    (0x7e, "ISO8208"),
    (0x8e, "ProWay"),
    (0xaa, "SNAP"),
    (0xe0, "IPX"),
    (0xf0, "NetBeui"),
    (0xfe, "OSI"),
];
const COMMANDS: &Words = &[
    (0x03, "ui"),
    (0xe3, "test"),
    (0xaf, "xid"),
    (0x6f, "sabme"),
    (0x43, "disc"),
    (0x63, "ua"),
    (0x87, "frmr"),
    (0x0f, "dm"),
];
const FLAGS: &Words = &[(0, "Command"), (1, "Response"), (0x10, "Poll"), (0x11, "Final")];

/// Which way a packet went, for Linux's headers.
const WAYS: &Words = &[(0, "In"), (1, "B"), (2, "M"), (3, "P"), (4, "Out")];

/// From whom and to whom a frame goes.
type Ends = Option<([u8; 6], [u8; 6])>;

impl Printer {
    /// From the link-layer header on.
    pub(super) fn link(&mut self, kind: u16, data: &[u8], len: u32) -> Printed {
        match kind {
            link_type::ETHERNET => {
                self.protocol = "ether";
                let used = self.ethernet(data, len)?;
                self.link_len = used;
                Ok(())
            }
            link_type::RAW | 12 | 14 | 228 | 229 => {
                self.protocol = "raw";
                if self.style.link {
                    self.text("ip: ");
                }
                self.any_ip(data, len)
            }
            link_type::NULL | link_type::LOOP => self.loopback(data, len),
            link_type::SLL => self.cooked(data, len),
            link_type::SLL2 => self.cooked2(data, len),
            _ => {
                put!(self, "[link-layer header type {kind} is not known here]");
                Ok(())
            }
        }
    }

    /// An Ethernet frame; how many bytes are its headers.
    pub(super) fn ethernet(&mut self, data: &[u8], len: u32) -> Printed<usize> {
        if (len as usize) < data.len() {
            put!(self, "[length {len} < caplen {}]", data.len());
            self.invalid();
            return Ok(len as usize);
        }
        if !has(data, 14) {
            self.cut();
            return Ok(data.len());
        }
        let ends = (bytes::<6>(data, 6)?, bytes::<6>(data, 0)?);
        if self.style.link {
            self.addresses(ends);
        }
        let mut kind = u16(data, 12)?;
        let mut at = 14;
        let mut told = false;
        while matches!(kind, 0x8100 | 0x9100 | 0x9200 | 0x88a8) {
            if !has(data, at + 4) {
                self.protocol = "vlan";
                self.cut();
                return Ok(data.len());
            }
            if self.style.link {
                let tag = u16(data, at)?;
                self.ether_type(kind);
                if told {
                    self.text(", ");
                } else {
                    put!(self, ", length {len}: ");
                }
                told = true;
                self.tag(tag);
            }
            kind = u16(data, at + 2)?;
            at += 4;
        }
        let (inner, rest) = (after(data, at), len - at as u32);
        if kind <= LONGEST {
            let rest = rest.min(kind.into());
            let inner = first(inner, rest as usize);
            if self.style.link {
                self.text("802.3");
                if !told {
                    put!(self, ", length {rest}: ");
                }
            }
            let (used, known) = self.llc(inner, rest, Some(ends))?;
            if !known {
                self.unknown(inner);
            }
            return Ok(at + used);
        }
        if self.style.link {
            self.ether_type(kind);
            if told {
                self.text(", ");
            } else {
                put!(self, ", length {len}: ");
            }
        }
        if !self.by_type(kind, inner, rest)? {
            if !self.style.link {
                self.addresses(ends);
                self.ether_type(kind);
                put!(self, ", length {len}: ");
            }
            self.unknown(inner);
        }
        Ok(at)
    }

    fn addresses(&mut self, (source, target): ([u8; 6], [u8; 6])) {
        self.mac(source);
        self.text(" > ");
        self.mac(target);
        self.text(", ");
    }

    fn ether_type(&mut self, kind: u16) {
        if self.style.quiet {
            self.word(TYPES, kind.into(), |p| put!(p, "Unknown Ethertype (0x{kind:04x})"));
        } else {
            self.text("ethertype ");
            self.word(TYPES, kind.into(), |p| p.text("Unknown"));
            put!(self, " (0x{kind:04x})");
        }
    }

    fn tag(&mut self, tag: u16) {
        put!(self, "vlan {}, p {}", tag & 0xfff, tag >> 13);
        self.text(if tag & 0x1000 == 0 { ", " } else { ", DEI, " });
    }

    /// What is behind a type. Not if there is no printer for it.
    fn by_type(&mut self, kind: u16, data: &[u8], len: u32) -> Printed<bool> {
        match kind {
            IP4 => self.ip(data, len)?,
            IP6 => self.ip6_packet(data, len)?,
            ARP | REVERSE_ARP => self.arp(data, len)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// IEEE 802.2: how many bytes are its header, and whether all behind it is told.
    fn llc(&mut self, data: &[u8], len: u32, ends: Ends) -> Printed<(usize, bool)> {
        self.protocol = "llc";
        if !has(data, 3) {
            self.cut();
            self.hex_and_text_dump("\n\t", data);
            return Ok((data.len(), true));
        }
        let (target, source, low) = (u8(data, 0)?, u8(data, 1)?, u8(data, 2)?);
        let unnumbered = low & 3 == 3;
        let (control, header) = if unnumbered {
            (u16::from(low), 3)
        } else if has(data, 4) {
            (u16::from_le_bytes([low, u8(data, 3)?]), 4)
        } else {
            self.cut();
            self.hex_and_text_dump("\n\t", data);
            return Ok((data.len(), true));
        };
        let (to, from) = (u32::from(target & !1), u32::from(source & !1));
        if self.style.link {
            self.text("LLC, dsap ");
            self.word(POINTS, to, |p| p.text("Unknown"));
            put!(self, " (0x{to:02x}) ");
            self.text(if target & 1 == 0 { "Individual" } else { "Group" });
            self.text(", ssap ");
            self.word(POINTS, from, |p| p.text("Unknown"));
            put!(self, " (0x{from:02x}) ");
            self.text(if source & 1 == 0 { "Command" } else { "Response" });
            if unnumbered {
                put!(self, ", ctrl 0x{control:02x}: ");
            } else {
                put!(self, ", ctrl 0x{control:04x}: ");
            }
        }
        let (inner, rest) = (after(data, header), len - header as u32);
        if (to, from, control) == (0xaa, 0xaa, 3) {
            let known = self.snap(inner, rest, ends)?;
            return Ok((header + 5, known));
        }
        if (to, from, control) == (6, 6, 3) {
            self.ip(inner, rest)?;
            return Ok((header, true));
        }
        if !self.style.link {
            let point = |p: &mut Printer, value: u32, what: &str| {
                p.word(POINTS, value, |p| put!(p, "Unknown {what} 0x{value:02x}"));
            };
            match ends {
                None if from == to => point(self, to, "DSAP"),
                None => {
                    point(self, from, "SSAP");
                    self.text(" > ");
                    point(self, to, "DSAP");
                }
                Some((source, target)) => {
                    self.mac(source);
                    if from != to {
                        self.text(" ");
                        point(self, from, "SSAP");
                    }
                    self.text(" > ");
                    self.mac(target);
                    self.text(" ");
                    point(self, to, "DSAP");
                }
            }
            self.text(" ");
        }
        let all = rest + header as u32;
        if unnumbered {
            let (command, flags) = (control & 0xef, u32::from(source & 1 | low & 0x10));
            self.text("Unnumbered, ");
            self.word(COMMANDS, command.into(), |p| put!(p, "{command:02x}"));
            self.text(", Flags [");
            self.word(FLAGS, flags, |p| p.text("?"));
            put!(self, "], length {all}");
            if control & !0x10 == 0xaf {
                if rest == 0 {
                    return Ok((header, true));
                }
                if u8(inner, 0)? == 0x81 {
                    let (class, window) = (u8(inner, 1)?, u8(inner, 2)?);
                    put!(self, ": {class:02x} {window:02x}");
                    return Ok((header, true));
                }
            }
        } else {
            let received = (control >> 9) & 0x7f;
            let poll = if control & 0x100 == 0 { 0 } else { 0x10 };
            let flags = u32::from(source & 1) | poll;
            let flags = super::text::word(FLAGS, flags).unwrap_or("?");
            if control & 3 == 1 {
                let command = match (control >> 2) & 3 {
                    0 => "Receiver Ready",
                    1 => "Receiver not Ready",
                    2 => "Reject",
                    _ => "?",
                };
                put!(
                    self,
                    "Supervisory, {command}, rcv seq {received}, Flags [{flags}], length {all}"
                );
                return Ok((header, true));
            }
            let sent = (control >> 1) & 0x7f;
            put!(
                self,
                "Information, send seq {sent}, rcv seq {received}, Flags [{flags}], length {all}"
            );
        }
        Ok((header, false))
    }

    /// A type behind an organization (RFC 1042). Not if there is no printer for it.
    fn snap(&mut self, data: &[u8], len: u32, ends: Ends) -> Printed<bool> {
        self.protocol = "snap";
        if !has(data, 5) {
            self.cut();
            return Ok(true);
        }
        let (organization, kind) = (u24(data, 0)?, u16(data, 3)?);
        let (inner, rest) = (after(data, 5), len - 5);
        let plain = organization == 0;
        let name = if plain { "Ethernet" } else { "Unknown" };
        let words = if plain { TYPES } else { &[] };
        let what = super::text::word(words, kind.into()).unwrap_or("Unknown");
        if self.style.link {
            let id = if plain { "ethertype" } else { "pid" };
            put!(
                self,
                "oui {name} (0x{organization:06x}), {id} {what} (0x{kind:04x}), length {rest}: "
            );
        }
        if plain && self.by_type(kind, inner, rest)? {
            return Ok(true);
        }
        if !self.style.link {
            if let Some((source, target)) = ends {
                self.mac(source);
                self.text(" > ");
                self.mac(target);
                self.text(" ");
            }
            if plain {
                put!(self, "SNAP, ethertype {what} (0x{kind:04x}), length {rest}: ");
            } else {
                put!(
                    self,
                    "SNAP, oui {name} (0x{organization:06x}), pid {what} (0x{kind:04x}), length \
                     {rest}: "
                );
            }
        }
        Ok(false)
    }

    /// BSD's loopback: an address family in some byte order.
    fn loopback(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "null";
        let mut family = u32::from_le_bytes(bytes(data, 0)?);
        self.link_len = 4;
        if family & 0xffff_0000 != 0 {
            family = family.swap_bytes();
        }
        if self.style.link {
            self.family(family, len);
        }
        let inner = after(data, 4);
        match family {
            2 => self.ip(inner, len - 4),
            24 | 28 | 30 => self.ip6_packet(inner, len - 4),
            _ => {
                if !self.style.link {
                    self.family(family, len);
                }
                self.unknown(inner);
                Ok(())
            }
        }
    }

    fn family(&mut self, family: u32, len: u32) {
        const FAMILIES: &Words = &[
            (2, "IPv4"),
            (6, "NS"),
            (7, "ISO"),
            (16, "Appletalk"),
            (23, "IPX"),
            (24, "IPv6"),
            (28, "IPv6"),
            (30, "IPv6"),
        ];
        if self.style.quiet {
            self.word(FAMILIES, family, |p| put!(p, "Unknown AF {family}"));
        } else {
            self.text("AF ");
            self.word(FAMILIES, family, |p| p.text("Unknown"));
            put!(self, " ({family})");
        }
        put!(self, ", length {len}: ");
    }

    /// Linux's header in place of others, first version.
    fn cooked(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "sll";
        super::read::some(data, 0, 16)?;
        if self.style.link {
            self.cooked_header(data, len)?;
        }
        let kind = u16(data, 14)?;
        let used = self.cooked_inner(kind, after(data, 16), len - 16, |p, left| {
            p.cooked_header(data, left + 16)
        })?;
        self.link_len = 16 + used;
        Ok(())
    }

    fn cooked_header(&mut self, data: &[u8], len: u32) -> Printed {
        let way = super::text::word(WAYS, u16(data, 0)?.into()).unwrap_or("?");
        put!(self, "{way:>3} ");
        if u16(data, 4)? == 6 {
            self.mac(bytes(data, 6)?);
            self.text(" ");
        }
        let kind = u16(data, 14)?;
        self.cooked_type(kind, len);
        Ok(())
    }

    fn cooked_type(&mut self, kind: u16, len: u32) {
        if self.style.quiet {
            return;
        }
        match kind {
            1 => self.text("802.3"),
            4 => self.text("802.2"),
            0..=LONGEST => put!(self, "ethertype Unknown (0x{kind:04x})"),
            _ => {
                self.text("ethertype ");
                self.word(TYPES, kind.into(), |p| p.text("Unknown"));
                put!(self, " (0x{kind:04x})");
            }
        }
        put!(self, ", length {len}: ");
    }

    /// The second version, which has the interface.
    fn cooked2(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "sll2";
        super::read::some(data, 0, 20)?;
        let index = u32(data, 4)?;
        let name = self.interfaces.get(&index).map_or("?", String::as_str);
        let way = super::text::word(WAYS, u8(data, 10)?.into()).unwrap_or("?");
        let text = format!("{name:<5} {way:<3} ");
        self.text(&text);
        if self.style.link {
            self.cooked2_header(data, len)?;
        }
        let kind = u16(data, 0)?;
        let used = self.cooked_inner(kind, after(data, 20), len - 20, |p, left| {
            p.cooked2_header(data, left + 20)
        })?;
        self.link_len = 20 + used;
        Ok(())
    }

    fn cooked2_header(&mut self, data: &[u8], len: u32) -> Printed {
        put!(self, "ifindex {} ", u32(data, 4)?);
        if u8(data, 11)? == 6 {
            self.mac(bytes(data, 12)?);
            self.text(" ");
        }
        self.cooked_type(u16(data, 0)?, len);
        Ok(())
    }

    /// What is behind such a header; how many bytes of it are headers, too.
    fn cooked_inner(
        &mut self,
        kind: u16,
        data: &[u8],
        len: u32,
        header: impl Fn(&mut Printer, u32) -> Printed,
    ) -> Printed<usize> {
        let (mut kind, mut at) = (kind, 0);
        loop {
            let (inner, rest) = (after(data, at), len.saturating_sub(at as u32));
            match kind {
                4 => {
                    let (used, known) = self.llc(inner, rest, None)?;
                    if !known {
                        self.unknown(inner);
                        return Ok(at);
                    }
                    return Ok(at + used);
                }
                0..=LONGEST => {
                    self.unknown(inner);
                    return Ok(at);
                }
                0x8100 => {
                    if !has(inner, 4) {
                        self.protocol = "vlan";
                        self.cut();
                        return Ok(data.len());
                    }
                    if self.style.link {
                        let tag = u16(inner, 0)?;
                        self.tag(tag);
                    }
                    kind = match u16(inner, 2)? {
                        0..=LONGEST => 4,
                        kind => kind,
                    };
                    if !self.style.quiet {
                        self.text("ethertype ");
                        self.word(TYPES, kind.into(), |p| p.text("Unknown"));
                        self.text(", ");
                    }
                    at += 4;
                }
                _ => {
                    if !self.by_type(kind, inner, rest)? {
                        if !self.style.link {
                            header(self, rest)?;
                        }
                        self.unknown(inner);
                    }
                    return Ok(at);
                }
            }
        }
    }
}
