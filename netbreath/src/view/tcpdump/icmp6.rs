//! ICMPv6 (RFC 4443), with neighbour discovery (RFC 4861) and listeners of groups (RFC 3810).

use super::checksum::should_be;
use super::ip::Outer;
use super::read::{Printed, after, bytes, first, has, some, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

const TYPES: &Words = &[
    (1, "destination unreachable"),
    (2, "packet too big"),
    (3, "time exceeded in-transit"),
    (4, "parameter problem"),
    (128, "echo request"),
    (129, "echo reply"),
    (130, "multicast listener query"),
    (131, "multicast listener report"),
    (132, "multicast listener done"),
    (133, "router solicitation"),
    (134, "router advertisement"),
    (135, "neighbor solicitation"),
    (136, "neighbor advertisement"),
    (137, "redirect"),
    (138, "router renumbering"),
    (141, "inverse neighbor solicitation"),
    (142, "inverse neighbor advertisement"),
    (143, "multicast listener report v2"),
    (144, "ha discovery request"),
    (145, "ha discovery reply"),
    (146, "mobile router solicitation"),
    (147, "mobile router advertisement"),
    (139, "who-are-you request"),
    (140, "who-are-you reply"),
    (200, "mtrace response"),
    (201, "mtrace message"),
    (155, "RPL"),
];
const UNREACHABLE: &Words = &[
    (0, "unreachable route"),
    (1, " unreachable prohibited"),
    (2, "beyond scope"),
    (3, "unreachable address"),
    (4, "unreachable port"),
];
const PREFIX_FLAGS: &Words = &[(0x80, "onlink"), (0x40, "auto"), (0x20, "router")];
const ROUTER_FLAGS: &Words =
    &[(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent"), (0x02, "ipv6 only")];
const NEIGHBOUR_FLAGS: &Words =
    &[(0x8000_0000, "router"), (0x4000_0000, "solicited"), (0x2000_0000, "override")];
const OPTIONS: &Words = &[
    (1, "source link-address"),
    (2, "destination link-address"),
    (3, "prefix info"),
    (4, "redirected header"),
    (5, "mtu"),
    (25, "rdnss"),
    (31, "dnssl"),
    (7, "advertisement interval"),
    (8, "homeagent information"),
    (24, "route info"),
];
const RECORDS: &Words =
    &[(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];
/// How much a router wants to be chosen (RFC 4191), by the two bits for that.
const PREFERENCES: [&str; 4] = ["medium", "high", "rsv", "low"];

/// The target port of a packet in an error, and the protocol that has it.
fn refused(packet: &[u8]) -> Option<(u8, u16)> {
    let mut proto = *packet.get(6)?;
    let mut at = 40;
    while at < packet.len() {
        match proto {
            6 | 17 => return Some((proto, u16(packet, at + 2).ok()?)),
            0 | 60 | 43 => {
                proto = *packet.get(at)?;
                at += (usize::from(*packet.get(at + 1)?) + 1) * 8;
            }
            44 => {
                if u16(packet, at + 2).ok()? & 0xfff8 != 0 {
                    return None;
                }
                proto = *packet.get(at)?;
                at += 8;
            }
            51 => {
                proto = *packet.get(at)?;
                at += (usize::from(*packet.get(at + 1)?) + 2) * 4;
            }
            _ => return None,
        }
    }
    None
}

impl Printer {
    pub(super) fn icmp6(
        &mut self,
        data: &[u8],
        len: u32,
        outer: Outer<'_>,
        fragment: bool,
    ) -> Printed {
        self.protocol = "icmp6";
        if len == 0 {
            self.text("ICMP6, length 0");
            self.invalid();
            return Ok(());
        }
        let verbose = self.style.verbose > 0;
        if verbose && !fragment && has(data, len as usize) {
            let is = u16(data, 2)?;
            match outer.sum(58, first(data, len as usize))? {
                0 => self.text("[icmp6 sum ok] "),
                sum => put!(self, "[bad icmp6 cksum 0x{is:04x} -> 0x{:04x}!] ", should_be(is, sum)),
            }
        }
        let kind = u8(data, 0)?;
        self.text("ICMP6, ");
        self.word(TYPES, kind.into(), |p| put!(p, "unknown icmp6 type ({kind})"));
        if verbose && matches!(kind, 133..=137 | 145 | 147) {
            put!(self, ", length {len}");
        }
        let code = u8(data, 1)?;
        match kind {
            1 => {
                if !self.unreachable6(data, len, code)? {
                    return Ok(());
                }
            }
            2 => put!(self, ", mtu {}", u32(data, 4)?),
            3 => match code {
                0 => {
                    let target = bytes(data, 32)?;
                    self.text(" for ");
                    self.ip6(target);
                }
                1 => self.text(" (reassembly)"),
                _ => put!(self, ", unknown code ({code})"),
            },
            4 => {
                if !has(data, 48) {
                    self.cut();
                    return Ok(());
                }
                let place = u32(data, 4)?;
                match code {
                    0 => put!(self, ", erroneous - octet {place}"),
                    1 => put!(self, ", next header - octet {place}"),
                    2 => put!(self, ", option - octet {place}"),
                    3 => put!(self, ", incomplete header chain - octet {place}"),
                    _ => put!(self, ", code-#{code}"),
                }
            }
            128 | 129 => put!(self, ", id {}, seq {}", u16(data, 4)?, u16(data, 6)?),
            130 if len == 24 => self.listener(data)?,
            130 if len >= 28 => {
                self.text(" v2");
                self.listeners_query(data, len)?;
            }
            130 => put!(self, " unknown-version (len {len}) "),
            131 | 132 => self.listener(data)?,
            133..=137 => {
                if !self.neighbour(kind, data, len)? {
                    self.cut();
                    return Ok(());
                }
            }
            141 | 142 => {}
            143 => self.listeners_report(data, len)?,
            144 | 146 => put!(self, ", id 0x{:04x}", u16(data, 4)?),
            _ => {
                put!(self, ", length {len}");
                if self.style.verbose <= 1 {
                    self.unknown_data("\n\t", data, len as usize);
                }
                return Ok(());
            }
        }
        if !verbose {
            put!(self, ", length {len}");
        }
        Ok(())
    }

    /// Whether the line goes on.
    fn unreachable6(&mut self, data: &[u8], len: u32, code: u8) -> Printed<bool> {
        self.text(", ");
        self.word(UNREACHABLE, code.into(), |p| put!(p, "unknown unreach code ({code})"));
        let inner = after(data, 8);
        match code {
            0 | 1 | 3 => {
                let target = bytes(inner, 24)?;
                self.text(" ");
                self.ip6(target);
            }
            2 => {
                let (source, target) = (bytes(inner, 8)?, bytes(inner, 24)?);
                self.text(" ");
                self.ip6(target);
                self.text(", source address ");
                self.ip6(source);
            }
            4 => {
                let Some((proto, port)) = refused(inner) else {
                    self.cut();
                    return Ok(false);
                };
                let target = bytes(inner, 24)?;
                self.text(", ");
                self.ip6(target);
                if proto == 6 {
                    self.text(" tcp port ");
                    self.tcp_port(port);
                } else {
                    self.text(" udp port ");
                    self.udp_port(port);
                }
            }
            _ if self.style.verbose <= 1 => {
                self.unknown_data("\n\t", data, len as usize);
                return Ok(false);
            }
            _ => {}
        }
        Ok(true)
    }

    /// A message of neighbour discovery; whether all its options were there.
    fn neighbour(&mut self, kind: u8, data: &[u8], len: u32) -> Printed<bool> {
        let verbose = self.style.verbose > 0;
        let header = match kind {
            133 => 8,
            134 => {
                if verbose {
                    let (hops, flags) = (u8(data, 4)?, u8(data, 5)?);
                    let (life, reachable, again) = (u16(data, 6)?, u32(data, 8)?, u32(data, 12)?);
                    put!(self, "\n\thop limit {hops}, Flags [");
                    self.bits(ROUTER_FLAGS, flags.into(), ", ", "none");
                    put!(
                        self,
                        "], pref {}, router lifetime {life}s, reachable time {reachable}ms, \
                         retrans timer {again}ms",
                        PREFERENCES[usize::from(flags >> 3 & 3)]
                    );
                }
                16
            }
            135 => {
                let about = bytes(data, 8)?;
                self.text(", who has ");
                self.ip6(about);
                24
            }
            136 => {
                let about = bytes(data, 8)?;
                self.text(", tgt is ");
                self.ip6(about);
                if verbose {
                    let flags = u32(data, 4)?;
                    self.text(", Flags [");
                    self.bits(NEIGHBOUR_FLAGS, flags, ", ", "none");
                    self.text("]");
                }
                24
            }
            _ => {
                let target = bytes(data, 24)?;
                self.text(", ");
                self.ip6(target);
                let by = bytes(data, 8)?;
                self.text(" to ");
                self.ip6(by);
                40
            }
        };
        if !verbose {
            return Ok(true);
        }
        self.neighbour_options(after(data, header), i64::from(len) - header as i64)
    }

    /// Whether all were as long as they should be.
    fn neighbour_options(&mut self, data: &[u8], len: i64) -> Printed<bool> {
        let (mut at, mut left) = (0, len);
        while at < data.len() {
            let here = after(data, at);
            if !has(here, 2) {
                return Ok(false);
            }
            if left <= 0 {
                return Ok(true);
            }
            let (kind, words) = (u8(here, 0)?, u8(here, 1)?);
            let size = usize::from(words) * 8;
            if size == 0 || !has(here, size) {
                return Ok(false);
            }
            self.text("\n\t  ");
            self.word(OPTIONS, kind.into(), |p| p.text("unknown"));
            put!(self, " option ({kind}), length {size} ({words}): ");
            match kind {
                1 | 2 => self.octets(some(here, 2, size - 2)?),
                3 => {
                    let prefix = bytes(here, 16)?;
                    let (prefix_len, flags) = (u8(here, 2)?, u8(here, 3)?);
                    let valid = u32(here, 4)?;
                    self.ip6(prefix);
                    let wrong = if words == 4 { "" } else { "badlen" };
                    put!(self, "/{prefix_len}{wrong}, Flags [");
                    self.bits(PREFIX_FLAGS, flags.into(), ", ", "none");
                    self.text("], valid time ");
                    self.life(valid);
                    let preferred = u32(here, 8)?;
                    self.text(", pref. time ");
                    self.life(preferred);
                }
                4 => self.unknown_data("\n\t    ", data, size),
                5 => {
                    let wrong = if words == 1 { "" } else { "bad option length" };
                    put!(self, " {}{wrong}", u32(here, 4)?);
                }
                25 => {
                    put!(self, " lifetime {}s,", u32(here, 4)?);
                    for server in 0..usize::from((words - 1) / 2) {
                        let addr = bytes(here, 8 + 16 * server)?;
                        self.text(" addr: ");
                        self.ip6(addr);
                    }
                }
                31 => {
                    put!(self, " lifetime {}s, domain(s):", u32(here, 4)?);
                    let mut at = 8;
                    while at < size && u8(here, at)? != 0 {
                        self.text(" ");
                        match self.domain(here, at)? {
                            Some(next) => at = next,
                            None => return Ok(false),
                        }
                    }
                }
                7 => put!(self, " {}ms", u32(here, 4)?),
                8 => put!(self, " preference {}, lifetime {}", u16(here, 4)?, u16(here, 6)?),
                24 => {
                    let mut prefix = [0; 16];
                    let known = match words {
                        1 => 0,
                        2 => 8,
                        3 => 16,
                        _ => return Ok(false),
                    };
                    prefix[..known].copy_from_slice(some(here, 8, known)?);
                    let (prefix_len, flags) = (u8(here, 2)?, u8(here, 3)?);
                    self.text(" ");
                    self.ip6(prefix);
                    put!(self, "/{prefix_len}, pref={}", PREFERENCES[usize::from(flags >> 3 & 3)]);
                    let life = u32(here, 4)?;
                    self.text(", lifetime=");
                    self.life(life);
                }
                _ if self.style.verbose <= 1 => {
                    self.unknown_data("\n\t  ", after(here, 2), size - 2);
                    return Ok(true);
                }
                _ => {}
            }
            if self.style.verbose > 1 {
                self.unknown_data("\n\t    ", after(here, 2), size - 2);
            }
            at += size;
            left -= size as i64;
        }
        Ok(true)
    }

    fn life(&mut self, seconds: u32) {
        if seconds == u32::MAX {
            self.text("infinity");
        } else {
            put!(self, "{seconds}s");
        }
    }

    fn listener(&mut self, data: &[u8]) -> Printed {
        // Nothing is said of one that is cut, as in tcpdump.
        if !has(data, 24) {
            return Ok(());
        }
        put!(self, "max resp delay: {} addr: ", u16(data, 4)?);
        self.ip6(bytes(data, 8)?);
        Ok(())
    }

    fn listeners_query(&mut self, data: &[u8], len: u32) -> Printed {
        let verbose = self.style.verbose > 0;
        let code = u32::from(u16(data, 4)?);
        if verbose {
            let delay = if code < 0x8000 {
                code
            } else {
                (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3)
            };
            put!(self, " [max resp delay={delay}]");
        }
        let group = bytes(data, 8)?;
        self.text(" [gaddr ");
        self.ip6(group);
        if verbose {
            let flags = u8(data, 24)?;
            if flags & 8 != 0 {
                self.text(" sflag");
            }
            if flags & 7 != 0 {
                put!(self, " robustness={}", flags & 7);
            }
            let code = u32::from(u8(data, 25)?);
            let interval =
                if code < 128 { code } else { (code & 15 | 16) << ((code >> 4 & 7) + 3) };
            put!(self, " qqi={interval}");
        }
        let sources = u32::from(u16(data, 26)?);
        if sources > 0 {
            if len < 28 + 16 * sources {
                self.text(" [invalid number of sources]");
            } else if self.style.verbose > 1 {
                self.sources6(data, 28, sources)?;
            } else {
                put!(self, ", {sources} source(s)");
            }
        }
        self.text("]");
        Ok(())
    }

    fn listeners_report(&mut self, data: &[u8], len: u32) -> Printed {
        if len < 8 {
            put!(self, " [invalid len {len}]");
            return Ok(());
        }
        let groups = u16(data, 6)?;
        put!(self, ", {groups} group record(s)");
        if self.style.verbose == 0 {
            return Ok(());
        }
        let mut at = 8;
        for _ in 0..groups {
            if len < at + 20 {
                self.text(" [invalid number of groups]");
                return Ok(());
            }
            let begin = at as usize;
            let group = bytes(data, begin + 4)?;
            self.text(" [gaddr ");
            self.ip6(group);
            let kind = u8(data, begin)?;
            self.text(" ");
            self.word(RECORDS, kind.into(), |p| put!(p, " [v2-report-#{kind}]"));
            let sources = u32::from(u16(data, begin + 2)?);
            if len < at + 20 + 16 * sources {
                put!(self, " [invalid number of sources {sources}]");
                return Ok(());
            }
            if self.style.verbose == 1 {
                put!(self, ", {sources} source(s)");
            } else {
                self.sources6(data, begin + 20, sources)?;
            }
            at += 20 + 16 * sources;
            self.text("]");
        }
        Ok(())
    }

    fn sources6(&mut self, data: &[u8], at: usize, count: u32) -> Printed {
        self.text(" {");
        for number in 0..count as usize {
            let source = bytes(data, at + 16 * number)?;
            self.text(" ");
            self.ip6(source);
        }
        self.text(" }");
        Ok(())
    }
}
