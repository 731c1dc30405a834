//! IPv6 (RFC 8200) and its extension headers.

use super::ip::{Outer, PROTOCOLS};
use super::read::{Printed, after, bytes, first, has, some, u8, u16, u32};
use super::{Printer, put};

const HEADER: usize = 40;

/// Where the packet ends, which checksums are made for: what a routing header says, else the
/// target.
pub(super) fn last_hop(header: &[u8]) -> Printed<[u8; 16]> {
    let mut target = bytes(header, 24)?;
    let (mut next, mut at) = (u8(header, 6)?, HEADER);
    while at < header.len() {
        match next {
            0 | 60 | 62 | 135 => {
                next = u8(header, at)?;
                at += (usize::from(u8(header, at + 1)?) + 1) * 8;
            }
            44 => {
                next = u8(header, at)?;
                at += 8;
            }
            43 => {
                let Ok(routing) = some(header, at, 4) else { break };
                let len = usize::from(routing[1]);
                if !len.is_multiple_of(2) {
                    break;
                }
                match routing[2] {
                    0 | 2 => {
                        for hop in 0..len / 2 {
                            let Ok(addr) = bytes(header, at + 8 + hop * 16) else { break };
                            target = addr;
                        }
                    }
                    4 => target = bytes(header, at + 8).unwrap_or(target),
                    _ => {}
                }
                break;
            }
            _ => break,
        }
    }
    Ok(target)
}

/// Whether a jumbo payload is told of, and of what length it is.
#[derive(Default)]
struct Jumbo {
    found: bool,
    payload_len: u32,
}

impl Printer {
    pub(super) fn ip6_packet(&mut self, data: &[u8], len: u32) -> Printed {
        self.deeper(|printer| printer.ip6_headers(data, len))
    }

    fn ip6_headers(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "ip6";
        if !has(data, HEADER) {
            self.cut();
            return Ok(());
        }
        if len < HEADER as u32 {
            put!(self, "truncated-ip6 {len}");
            return Ok(());
        }
        if !self.style.link {
            self.text("IP6 ");
        }
        let flow = u32(data, 0)?;
        if flow >> 28 != 6 {
            put!(self, "version error: {} != 6", flow >> 28);
            return Ok(());
        }
        let payload_len = u32::from(u16(data, 4)?);
        let mut left = if payload_len == 0 {
            len + HEADER as u32
        } else {
            let all = payload_len + HEADER as u32;
            if len < all {
                put!(self, "truncated-ip6 - {} bytes missing!", all - len);
            }
            all
        };
        let (mut next, hops) = (u8(data, 6)?, u8(data, 7)?);
        if self.style.verbose > 0 {
            self.text("(");
            if flow & 0x0ff0_0000 != 0 {
                put!(self, "class 0x{:02x}, ", flow >> 20 & 0xff);
            }
            if flow & 0xf_ffff != 0 {
                put!(self, "flowlabel 0x{:05x}, ", flow & 0xf_ffff);
            }
            put!(self, "hlim {hops}, next-header ");
            self.word(PROTOCOLS, next.into(), |p| p.text("unknown"));
            put!(self, " ({next}) payload length: {payload_len}) ");
        }
        let whole = data;
        let data = first(data, left as usize);
        let (mut at, mut advance) = (0, HEADER);
        let mut jumbo = Jumbo { found: false, payload_len };
        let (mut any, mut options, mut fragment) = (false, false, false);
        while at < data.len() {
            if (left as usize) < advance {
                self.cut();
                return Ok(());
            }
            at += advance;
            left -= advance as u32;
            let here = after(data, at);
            if at == HEADER && !matches!(next, 6 | 17) {
                self.ip6_ends(data)?;
                self.text(": ");
            }
            match next {
                0 => {
                    if options {
                        self.text("[The Hop-by-Hop Options header was already found]");
                        self.invalid();
                        return Ok(());
                    }
                    if any {
                        self.text("[The Hop-by-Hop Options header don't follow the IPv6 header]");
                        self.invalid();
                        return Ok(());
                    }
                    let used = self.options6(here, Some(&mut jumbo))?;
                    if jumbo.payload_len == 0 && !jumbo.found {
                        self.text("[No valid Jumbo Payload Hop-by-Hop option found]");
                        self.invalid();
                        return Ok(());
                    }
                    let Some(used) = used else { return Ok(()) };
                    (advance, options) = (used, true);
                }
                60 => match self.options6(here, None)? {
                    Some(used) => advance = used,
                    None => return Ok(()),
                },
                44 => {
                    let first_part = self.fragment6(here, at, payload_len)?;
                    if !first_part || here.len() <= 8 {
                        return Ok(());
                    }
                    (advance, fragment) = (8, true);
                }
                43 => {
                    if here.is_empty() {
                        self.cut();
                        return Ok(());
                    }
                    match self.routing6(here)? {
                        Some(used) => advance = used,
                        None => return Ok(()),
                    }
                }
                _ => {
                    let mut inner = here;
                    if jumbo.found {
                        let all = jumbo.payload_len.saturating_add(HEADER as u32);
                        if (all as usize) < at {
                            self.cut();
                            return Ok(());
                        }
                        if len < all {
                            put!(self, "truncated-ip6 - {} bytes missing!", all - len);
                        }
                        inner = after(first(whole, all as usize), at);
                        left = all - at as u32;
                    } else if payload_len == 0 {
                        if any {
                            self.cut();
                            return Ok(());
                        }
                        (inner, left) = (&[], 0);
                    }
                    return self.behind(inner, left, Outer::V6(data), next, fragment);
                }
            }
            any = true;
            next = u8(here, 0)?;
            self.protocol = "ip6";
        }
        Ok(())
    }

    fn ip6_ends(&mut self, header: &[u8]) -> Printed {
        let (source, target) = (bytes(header, 8)?, bytes(header, 24)?);
        self.ip6(source);
        self.text(" > ");
        self.ip6(target);
        Ok(())
    }

    /// Options hop by hop, or of the target; their length, if they could be read.
    fn options6(&mut self, data: &[u8], mut jumbo: Option<&mut Jumbo>) -> Printed<Option<usize>> {
        let by_hop = jumbo.is_some();
        self.protocol = if by_hop { "hbhopt" } else { "dstopt" };
        let len = (usize::from(u8(data, 1)?) + 1) * 8;
        if !has(data, len) {
            self.cut();
            return Ok(None);
        }
        self.text(if by_hop { "HBH " } else { "DSTOPT " });
        if !by_hop && self.style.verbose == 0 {
            return Ok(Some(len));
        }
        if self.option_list6(&data[2..len], &mut jumbo)? {
            return Ok(Some(len));
        }
        self.cut();
        Ok(None)
    }

    /// Whether all were as long as they should be.
    fn option_list6(&mut self, data: &[u8], jumbo: &mut Option<&mut Jumbo>) -> Printed<bool> {
        let verbose = self.style.verbose > 0;
        let (mut at, mut seen) = (0, false);
        while at < data.len() {
            let (kind, left) = (u8(data, at)?, data.len() - at);
            let len = match (kind, data.get(at + 1)) {
                (0, _) => 1,
                (_, Some(len)) => usize::from(*len) + 2,
                (_, None) => return Ok(false),
            };
            if len > left {
                return Ok(false);
            }
            let option = &data[at..at + len];
            match kind {
                0 if verbose => self.text("(pad1)"),
                1 if verbose => self.text("(padn)"),
                0 | 1 => {}
                5 => {
                    if left < 4 {
                        self.text("(rtalert: trunc)");
                        return Ok(false);
                    }
                    if len != 4 {
                        put!(self, "(rtalert: invalid len {})", len - 2);
                        return Ok(false);
                    }
                    if verbose {
                        put!(self, "(rtalert: 0x{:04x}) ", u16(option, 2)?);
                    }
                }
                0xc2 => {
                    if left < 6 {
                        self.text("(jumbo: trunc)");
                        return Ok(false);
                    }
                    if len != 6 {
                        put!(self, "(jumbo: invalid len {})", len - 2);
                        return Ok(false);
                    }
                    let jumbo_len = u32(option, 2)?;
                    let why = if seen {
                        " - already seen"
                    } else {
                        seen = true;
                        match jumbo {
                            None => " - not a hop-by-hop option",
                            Some(jumbo) if jumbo.payload_len != 0 => " - payload len != 0",
                            Some(_) if jumbo_len < 65_536 => " - < 65536",
                            Some(jumbo) => {
                                (jumbo.found, jumbo.payload_len) = (true, jumbo_len);
                                ""
                            }
                        }
                    };
                    if verbose {
                        put!(self, "(jumbo: {jumbo_len}{why}) ");
                    }
                }
                0xc9 => {
                    if left < 18 {
                        self.text("(homeaddr: trunc)");
                        return Ok(false);
                    }
                    if len < 18 {
                        put!(self, "(homeaddr: invalid len {})", len - 2);
                        return Ok(false);
                    }
                    if verbose {
                        self.text("(homeaddr: ");
                        self.ip6(bytes(option, 2)?);
                        if len > 18 && !self.sub_options6(&option[18..])? {
                            return Ok(false);
                        }
                        self.text(")");
                    }
                }
                _ if verbose => put!(self, "(opt_type 0x{kind:02x}: len={})", len - 2),
                _ => {}
            }
            at += len;
        }
        if verbose {
            self.text(" ");
        }
        Ok(true)
    }

    fn sub_options6(&mut self, data: &[u8]) -> Printed<bool> {
        let mut at = 0;
        while at < data.len() {
            let kind = u8(data, at)?;
            let len = match (kind, data.get(at + 1)) {
                (0, _) => 1,
                (_, Some(len)) => usize::from(*len) + 2,
                (_, None) => return Ok(false),
            };
            if at + len > data.len() {
                return Ok(false);
            }
            match kind {
                0 => self.text(", pad1"),
                1 => self.text(", padn"),
                _ => put!(self, ", sopt_type 0x{kind:02x}: len={}", len - 2),
            }
            at += len;
        }
        Ok(true)
    }

    /// A fragment's header; whether what is behind it is the first part.
    fn fragment6(&mut self, data: &[u8], at: usize, payload_len: u32) -> Printed<bool> {
        self.protocol = "frag6";
        let (offset, id) = (u16(data, 2)? & 0xfff8, u32(data, 4));
        let rest = (HEADER as u64 + u64::from(payload_len)).wrapping_sub(at as u64 + 8);
        if self.style.verbose > 0 {
            put!(self, "frag (0x{:08x}:{offset}|{rest})", id?);
        } else {
            put!(self, "frag ({offset}|{rest})");
        }
        if offset == 0 {
            self.text(" ");
        }
        Ok(offset == 0)
    }

    /// A routing header; its length, if its kind is known.
    fn routing6(&mut self, data: &[u8]) -> Printed<Option<usize>> {
        self.protocol = "rt6";
        self.text("RT6");
        let len = u8(data, 1)?;
        put!(self, " (len={len}");
        let kind = u8(data, 2)?;
        put!(self, ", type={kind}");
        if kind == 0 {
            self.text(" [Deprecated]");
        }
        put!(self, ", segleft={}", u8(data, 3)?);
        let verbose = self.style.verbose > 0;
        match kind {
            0 | 2 => {
                let reserved = u32(data, 4)?;
                if reserved != 0 || verbose {
                    put!(self, ", rsv=0x{reserved:x}");
                }
            }
            4 => {
                put!(self, ", last-entry={}", u8(data, 4)?);
                let flags = u8(data, 5)?;
                if flags != 0 || verbose {
                    put!(self, ", flags=0x{flags:x}");
                }
                put!(self, ", tag={:x}", u16(data, 6)?);
            }
            _ => {
                self.text(" (unknown type)");
                self.invalid();
                return Ok(None);
            }
        }
        if len % 2 == 1 {
            put!(self, " (invalid length {len})");
            self.invalid();
            return Ok(None);
        }
        for hop in 0..usize::from(len / 2) {
            let addr = bytes(data, 8 + hop * 16)?;
            put!(self, ", [{hop}]");
            self.ip6(addr);
        }
        self.text(") ");
        Ok(Some((usize::from(len) + 1) * 8))
    }
}
