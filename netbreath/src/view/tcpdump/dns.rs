//! DNS (RFC 1035) and its extensions (RFC 6891), multicast DNS (RFC 6762).

use super::read::{Printed, after, bytes, has, some, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

const OPERATIONS: [&str; 16] = [
    "",
    " inv_q",
    " stat",
    " op3",
    " notify",
    " update",
    " op6",
    " op7",
    " op8",
    " updateA",
    " updateD",
    " updateDA",
    " updateM",
    " updateMA",
    " zoneInit",
    " zoneRef",
];
// Two have no blank, as in tcpdump.
const CODES: [&str; 24] = [
    "",
    " FormErr",
    " ServFail",
    " NXDomain",
    " NotImp",
    " Refused",
    " YXDomain",
    " YXRRSet",
    " NXRRSet",
    " NotAuth",
    " NotZone",
    " Resp11",
    " Resp12",
    " Resp13",
    " Resp14",
    " NoChange",
    " BadVers",
    "Resp17",
    " Resp18",
    " Resp19",
    " Resp20",
    "Resp21",
    " Resp22",
    " BadCookie",
];
const TYPES: &Words = &[
    (1, "A"),
    (2, "NS"),
    (3, "MD"),
    (4, "MF"),
    (5, "CNAME"),
    (6, "SOA"),
    (7, "MB"),
    (8, "MG"),
    (9, "MR"),
    (10, "NULL"),
    (11, "WKS"),
    (12, "PTR"),
    (13, "HINFO"),
    (14, "MINFO"),
    (15, "MX"),
    (16, "TXT"),
    (17, "RP"),
    (18, "AFSDB"),
    (19, "X25"),
    (20, "ISDN"),
    (21, "RT"),
    (22, "NSAP"),
    (23, "NSAP_PTR"),
    (24, "SIG"),
    (25, "KEY"),
    (26, "PX"),
    (27, "GPOS"),
    (28, "AAAA"),
    (29, "LOC"),
    (30, "NXT"),
    (31, "EID"),
    (32, "NIMLOC"),
    (33, "SRV"),
    (34, "ATMA"),
    (35, "NAPTR"),
    (36, "KX"),
    (37, "CERT"),
    (38, "A6"),
    (39, "DNAME"),
    (40, "SINK"),
    (41, "OPT"),
    (42, "APL"),
    (43, "DS"),
    (44, "SSHFP"),
    (45, "IPSECKEY"),
    (46, "RRSIG"),
    (47, "NSEC"),
    (48, "DNSKEY"),
    (99, "SPF"),
    (100, "UINFO"),
    (101, "UID"),
    (102, "GID"),
    (103, "UNSPEC"),
    (104, "UNSPECA"),
    (249, "TKEY"),
    (250, "TSIG"),
    (251, "IXFR"),
    (252, "AXFR"),
    (253, "MAILB"),
    (254, "MAILA"),
    (255, "ANY"),
    (256, "URI"),
];
const CLASSES: &Words = &[(1, "IN"), (3, "CHAOS"), (4, "HS"), (255, "ANY")];
const OPTIONS: &Words = &[
    (1, "LLQ"),
    (2, "UL"),
    (3, "NSID"),
    (5, "DAU"),
    (6, "DHU"),
    (7, "N3U"),
    (8, "ECS"),
    (9, "EXPIRE"),
    (10, "COOKIE"),
    (11, "KEEPALIVE"),
    (12, "PADDING"),
    (13, "CHAIN"),
    (14, "KEY-TAG"),
    (16, "CLIENT-TAG"),
    (17, "SERVER-TAG"),
];
const SIGNATURES: &Words = &[
    (0, "DELETE"),
    (1, "RSAMD5"),
    (2, "DH"),
    (3, "DS"),
    (5, "RSASHA1"),
    (6, "DSA-NSEC3-SHA1"),
    (7, "RSASHA1-NSEC3-SHA1"),
    (8, "RSASHA256"),
    (10, "RSASHA512"),
    (12, "ECC-GOST"),
    (13, "ECDSAP256SHA256"),
    (14, "ECDSAP384SHA384"),
    (15, "ED25519"),
    (16, "ED448"),
    (252, "INDIRECT"),
    (253, "PRIVATEDNS"),
    (254, "PRIVATEOID"),
];
const DIGESTS: &Words = &[(1, "SHA-1"), (2, "SHA-256"), (3, "GOST_R_34.11-94"), (4, "SHA-384")];
const HASHES: &Words = &[(1, "SHA-1")];

const HEADER: usize = 12;
const OPT: u16 = 41;
/// Letters of a name that are shown at most.
const LONGEST: usize = 255;

/// Where a name ends; nothing if it is cut or wrong.
fn skip(message: &[u8], at: usize) -> Option<usize> {
    let mut at = at;
    loop {
        let len = *message.get(at)?;
        at += 1;
        match len {
            0 => return Some(at),
            1..=63 => at += usize::from(len),
            0x41 => {
                let bits = match *message.get(at)? {
                    0 => 256,
                    bits => usize::from(bits),
                };
                at += 1 + bits.div_ceil(8);
            }
            192.. => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The whole code of an answer: its upper bits are in a record of its own.
fn code(message: &[u8], flags: u16, counts: [u16; 4]) -> u16 {
    let low = flags & 15;
    let mut at = HEADER;
    let mut find = || -> Option<u16> {
        for _ in 0..counts[0] {
            at = skip(message, at)? + 4;
            message.get(at)?;
        }
        for _ in 0..u32::from(counts[1]) + u32::from(counts[2]) {
            at = skip(message, at)? + 8;
            at += 2 + usize::from(u16(message, at).ok()?);
            message.get(at)?;
        }
        for _ in 0..counts[3] {
            at = skip(message, at)?;
            let kind = u16(message, at).ok()?;
            let high = *message.get(at + 4)?;
            if kind == OPT {
                return Some(u16::from(high) << 4);
            }
            at += 8;
            at += 2 + usize::from(u16(message, at).ok()?);
            message.get(at)?;
        }
        None
    };
    low | find().unwrap_or(0)
}

impl Printer {
    /// `tcp`: a length stands before the message.
    pub(super) fn dns(&mut self, data: &[u8], len: u32, tcp: bool, multicast: bool) -> Printed {
        self.protocol = "domain";
        let (mut data, mut len) = (data, len);
        if tcp {
            if len < 2 {
                put!(self, " [DNS over TCP: length {len} < 2]");
                self.invalid();
                return Ok(());
            }
            len -= 2;
            let told = u16(data, 0)?;
            if u32::from(told) != len {
                put!(self, " [prefix length({told}) != length({len})]");
                self.invalid();
                return Ok(());
            }
            data = after(data, 2);
            self.text(" ");
        }
        if len < HEADER as u32 {
            put!(self, "domain [length {len} < {HEADER}]");
            self.invalid();
            return Ok(());
        }
        if !has(data, HEADER) {
            self.cut();
            return Ok(());
        }
        let flags = u16(data, 2)?;
        let counts = [u16(data, 4)?, u16(data, 6)?, u16(data, 8)?, u16(data, 10)?];
        put!(self, "{}", u16(data, 0)?);
        self.text(OPERATIONS[usize::from(flags >> 11 & 15)]);
        let whole = if flags & 0x8000 != 0 {
            self.dns_answer(data, flags, counts, multicast)?
        } else {
            self.dns_query(data, flags, counts, multicast)?
        };
        if whole {
            put!(self, " ({len})");
        } else {
            self.cut();
        }
        Ok(())
    }

    /// Whether all was there.
    fn dns_answer(
        &mut self,
        data: &[u8],
        flags: u16,
        counts: [u16; 4],
        multicast: bool,
    ) -> Printed<bool> {
        let code = code(data, flags, counts);
        match CODES.get(usize::from(code)) {
            Some(word) => self.text(word),
            None => put!(self, " Resp{code}"),
        }
        for (bit, set, unset) in
            [(0x0400, "*", ""), (0x0080, "", "-"), (0x0200, "|", ""), (0x0020, "$", "")]
        {
            self.text(if flags & bit != 0 { set } else { unset });
        }
        let [questions, answers, authorities, more] = counts;
        if questions != 1 {
            put!(self, " [{questions}q]");
        }
        let verbose = self.style.verbose > 1;
        let mut at = HEADER;
        for number in 0..questions {
            if number > 0 {
                self.text(",");
            }
            let next = if verbose {
                self.text(" q:");
                self.question(data, at, multicast)?
            } else {
                skip(data, at).map(|end| end + 4)
            };
            match next {
                Some(next) => at = next,
                None => return Ok(false),
            }
        }
        put!(self, " {answers}/{authorities}/{more}");
        if !self.records(data, &mut at, answers, true, "", multicast)? {
            return Ok(false);
        }
        Ok(!verbose
            || self.records(data, &mut at, authorities, false, " ns:", multicast)?
                && self.records(data, &mut at, more, false, " ar:", multicast)?)
    }

    /// Whether all was there.
    fn dns_query(
        &mut self,
        data: &[u8],
        flags: u16,
        counts: [u16; 4],
        multicast: bool,
    ) -> Printed<bool> {
        self.text(if flags & 0x0100 != 0 { "+" } else { "" });
        self.text(if flags & 0x0010 != 0 { "%" } else { "" });
        if flags & 0x6cf != 0 {
            put!(self, " [b2&3=0x{flags:x}]");
        }
        let [questions, answers, authorities, more] = counts;
        if flags >> 11 & 15 == 1 {
            if questions > 0 {
                put!(self, " [{questions}q]");
            }
            if answers != 1 {
                put!(self, " [{answers}a]");
            }
        } else {
            if answers > 0 {
                put!(self, " [{answers}a]");
            }
            if questions != 1 {
                put!(self, " [{questions}q]");
            }
        }
        if authorities > 0 {
            put!(self, " [{authorities}n]");
        }
        if more > 0 {
            put!(self, " [{more}au]");
        }
        let mut at = HEADER;
        for number in 0..questions {
            if number > 0 && at >= data.len() {
                return Ok(false);
            }
            match self.question(data, at, multicast)? {
                Some(next) => at = next,
                None => return Ok(false),
            }
        }
        Ok(self.style.verbose <= 1
            || self.records(data, &mut at, answers, true, "", multicast)?
                && self.records(data, &mut at, authorities, false, " ns:", multicast)?
                && self.records(data, &mut at, more, false, " ar:", multicast)?)
    }

    /// Records with commas between. Whether all were there. `first`: the first one is looked
    /// for even if nothing is left.
    fn records(
        &mut self,
        data: &[u8],
        at: &mut usize,
        count: u16,
        first: bool,
        begin: &str,
        multicast: bool,
    ) -> Printed<bool> {
        for number in 0..count {
            if *at >= data.len() && !(first && number == 0) {
                return Ok(false);
            }
            self.text(if number > 0 { "," } else { begin });
            match self.record(data, *at, multicast)? {
                Some(next) => *at = next,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    fn question(&mut self, data: &[u8], at: usize, multicast: bool) -> Printed<Option<usize>> {
        let Some(end) = skip(data, at).filter(|end| has(data, end + 4)) else { return Ok(None) };
        let (kind, class) = (u16(data, end)?, u16(data, end + 2)?);
        self.text(" ");
        self.word(TYPES, kind.into(), |p| put!(p, "Type{kind}"));
        self.class(if multicast { class & 0x7fff } else { class });
        if multicast {
            self.text(if class & 0x8000 != 0 { " (QU)" } else { " (QM)" });
        }
        self.text("? ");
        Ok(self.domain(data, at)?.map(|end| end + 4))
    }

    fn class(&mut self, class: u16) {
        if class != 1 {
            self.text(" ");
            self.word(CLASSES, class.into(), |p| put!(p, "(Class {class})"));
        }
    }

    /// Where the record ends; nothing if it is wrong.
    fn record(&mut self, data: &[u8], at: usize, multicast: bool) -> Printed<Option<usize>> {
        let verbose = self.style.verbose;
        let end = if verbose > 0 {
            self.text(" ");
            match self.domain(data, at)? {
                Some(end) => Some(end),
                None => return Ok(None),
            }
        } else {
            skip(data, at)
        };
        let Some(at) = end.filter(|end| has(data, end + 10)) else { return Ok(Some(data.len())) };
        let (kind, class) = (u16(data, at)?, u16(data, at + 2)?);
        let plain = if multicast { class & 0x7fff } else { class };
        if kind != OPT {
            self.class(plain);
        }
        if multicast && class & 0x8000 != 0 {
            self.text(" (Cache flush)");
        }
        let flags = u16(data, at + 6)?;
        if kind != OPT && verbose > 2 {
            self.text(" [");
            self.span(u32(data, at + 4)?);
            self.text("]");
        }
        let len = usize::from(u16(data, at + 8)?);
        let at = at + 10;
        let end = at + len;
        self.text(" ");
        self.word(TYPES, kind.into(), |p| put!(p, "Type{kind}"));
        if !has(data, end) {
            return Ok(None);
        }
        if self.record_data(data, at, end, kind, plain, flags)? { Ok(Some(end)) } else { Ok(None) }
    }

    /// Whether it is as it should be.
    fn record_data(
        &mut self,
        data: &[u8],
        at: usize,
        end: usize,
        kind: u16,
        class: u16,
        flags: u16,
    ) -> Printed<bool> {
        match kind {
            1 => {
                let Ok(addr) = bytes::<4>(data, at) else { return Ok(false) };
                put!(self, " {}", std::net::Ipv4Addr::from(addr));
            }
            28 => {
                let Ok(addr) = bytes(data, at) else { return Ok(false) };
                self.text(" ");
                self.ip6_digits(addr);
            }
            2 | 5 | 12 | 39 => {
                self.text(" ");
                return Ok(self.domain(data, at)?.is_some());
            }
            6 if self.style.verbose > 0 => {
                let mut at = at;
                for _ in 0..2 {
                    self.text(" ");
                    match self.domain(data, at)? {
                        Some(next) => at = next,
                        None => return Ok(false),
                    }
                }
                if !has(data, at + 20) {
                    return Ok(false);
                }
                for number in 0..5 {
                    put!(self, " {}", u32(data, at + 4 * number)?);
                }
            }
            15 => {
                self.text(" ");
                if !has(data, at + 2) || self.domain(data, at + 2)?.is_none() {
                    return Ok(false);
                }
                put!(self, " {}", u16(data, at)?);
            }
            16 => {
                let mut at = at;
                while at < end {
                    self.text(" \"");
                    let Some(len) = data.get(at) else { return Ok(false) };
                    let len = usize::from(*len);
                    if !self.foreign_text(after(data, at + 1), len) {
                        return Ok(false);
                    }
                    self.text("\"");
                    at += 1 + len;
                }
            }
            33 => {
                self.text(" ");
                if !has(data, at + 6) || self.domain(data, at + 6)?.is_none() {
                    return Ok(false);
                }
                let (priority, weight, port) =
                    (u16(data, at)?, u16(data, at + 2)?, u16(data, at + 4)?);
                put!(self, ":{port} {priority} {weight}");
            }
            256 => {
                put!(self, " {} {} ", u16(data, at)?, u16(data, at + 2)?);
                return Ok(self.foreign_text(after(data, at + 4), (end - at).saturating_sub(4)));
            }
            OPT => {
                put!(self, " UDPsize={class}");
                if flags & 0x8000 != 0 {
                    self.text(" DO");
                }
                if at < end {
                    self.text(" [");
                    let mut at = at;
                    while at < end {
                        match self.dns_option(data, at)? {
                            Some(next) => at = next,
                            None => return Ok(false),
                        }
                        if at < end {
                            self.text(",");
                        }
                    }
                    self.text("]");
                }
            }
            104 => return Ok(self.foreign_text(after(data, at), end - at)),
            250 if self.style.verbose > 0 => return self.signature(data, at),
            _ => {}
        }
        Ok(true)
    }

    fn signature(&mut self, data: &[u8], at: usize) -> Printed<bool> {
        self.text(" ");
        let Some(at) = self.domain(data, at)? else { return Ok(false) };
        let mut at = at + 6;
        for word in ["fudge", "maclen", "origid", "error", "otherlen"] {
            let Ok(value) = u16(data, at) else { return Ok(false) };
            put!(self, " {word}={value}");
            at += 2 + if word == "maclen" { usize::from(value) } else { 0 };
        }
        Ok(true)
    }

    /// An option of the extended header; where it ends.
    fn dns_option(&mut self, data: &[u8], at: usize) -> Printed<Option<usize>> {
        let Ok(kind) = u16(data, at) else { return Ok(None) };
        self.word(OPTIONS, kind.into(), |p| put!(p, "Opt{kind}"));
        let Ok(len) = u16(data, at + 2) else { return Ok(None) };
        let Ok(value) = some(data, at + 4, len.into()) else { return Ok(None) };
        let len = usize::from(len);
        if len > 0 {
            self.text(" ");
            match kind {
                8 => self.subnet(value)?,
                10 if len < 8 || len > 8 && len < 16 || len > 40 => self.invalid(),
                10 => {
                    self.hex_bytes(&value[..8]);
                    if len > 8 {
                        self.text(" ");
                        self.hex_bytes(&value[8..]);
                    }
                }
                11 if len != 2 => self.invalid(),
                11 => {
                    let tenths = u16(value, 0)?;
                    put!(self, "{}.{} sec", tenths / 10, tenths % 10);
                }
                9 if len != 4 => self.invalid(),
                9 => put!(self, "{} sec", u32(value, 0)?),
                12 => put!(self, "({len})"),
                14 if !len.is_multiple_of(2) => self.invalid(),
                14 => {
                    for (number, tag) in value.chunks(2).enumerate() {
                        let blank = if number > 0 { " " } else { "" };
                        put!(self, "{blank}{}", u16(tag, 0)?);
                    }
                }
                5..=7 => {
                    let words = match kind {
                        5 => SIGNATURES,
                        6 => DIGESTS,
                        _ => HASHES,
                    };
                    for (number, algorithm) in value.iter().enumerate() {
                        if number > 0 {
                            self.text(" ");
                        }
                        self.word(words, u32::from(*algorithm), |p| put!(p, "Alg_{algorithm}"));
                    }
                }
                13 => {
                    self.domain(value, 0)?;
                }
                _ => self.hex_bytes(value),
            }
        }
        Ok(Some(at + 4 + len))
    }

    /// For which network an answer is (RFC 7871).
    fn subnet(&mut self, value: &[u8]) -> Printed {
        if value.len() < 4 {
            self.invalid();
            return Ok(());
        }
        let (family, source, scope) = (u16(value, 0)?, u8(value, 2)?, u8(value, 3)?);
        let bits: u8 = match family {
            1 => 32,
            2 => 128,
            _ => {
                self.invalid();
                return Ok(());
            }
        };
        let addr = after(value, 4);
        if source > bits || scope > bits || usize::from(source.div_ceil(8)) != addr.len() {
            self.invalid();
            return Ok(());
        }
        let mut padded = [0; 16];
        padded[..addr.len()].copy_from_slice(addr);
        if family == 1 {
            let [a, b, c, d, ..] = padded;
            put!(self, "{}", std::net::Ipv4Addr::new(a, b, c, d));
        } else {
            self.ip6_digits(padded);
        }
        put!(self, "/{source}/{scope}");
        Ok(())
    }

    /// A name with its dots; where it ends, or nothing if it is cut or wrong.
    pub(super) fn domain(&mut self, message: &[u8], at: usize) -> Printed<Option<usize>> {
        let Some(mut len) = self.label_len(message, at)? else { return Ok(None) };
        let mut most = at;
        let mut first = u8(message, at)?;
        let mut at = at + 1;
        let (mut end, mut jumped) = (at + len, false);
        if first == 0 {
            self.text(".");
            return Ok(Some(end));
        }
        // A pointer of which only the first half is there leads nowhere.
        if first & 0xc0 == 0xc0 && at >= message.len() {
            return Ok(None);
        }
        let mut shown = 0;
        while first != 0 && at < message.len() {
            match first & 0xc0 {
                0xc0 => {
                    if !jumped {
                        (end, jumped) = (at + 1, true);
                    }
                    let low = u8(message, at)?;
                    let to = usize::from(u16::from_be_bytes([first, low]) & 0x3fff);
                    // Only ever back, so that this ends.
                    if to >= most {
                        self.text("<BAD PTR>");
                        return Ok(None);
                    }
                    most = to;
                    at = to;
                    let Some(next) = self.label_len(message, at)? else { return Ok(None) };
                    (first, len) = (u8(message, at)?, next);
                    at += 1;
                    continue;
                }
                0 => {
                    let room = LONGEST.saturating_sub(shown);
                    let part = if shown + len <= LONGEST { len } else { room };
                    if part > 0 && !self.foreign_text(after(message, at), part) {
                        return Ok(None);
                    }
                    shown += len;
                }
                0x40 => self.bit_label(message, at)?,
                _ => {
                    self.text("<BAD LABEL TYPE>");
                    return Ok(None);
                }
            }
            at += len;
            if shown <= LONGEST {
                self.text(".");
            }
            shown += 1;
            let Some(next) = self.label_len(message, at)? else { return Ok(None) };
            (first, len) = (u8(message, at)?, next);
            at += 1;
            if !jumped {
                end += len + 1;
            }
        }
        if shown > LONGEST {
            self.text("<DOMAIN NAME TOO LONG>");
        }
        Ok(Some(end))
    }

    /// The bytes of a label behind its first; nothing if it is cut or wrong.
    fn label_len(&mut self, message: &[u8], at: usize) -> Printed<Option<usize>> {
        let Some(first) = message.get(at).copied() else { return Ok(None) };
        Ok(match first & 0xc0 {
            0 | 0xc0 => Some(first.into()),
            0x40 if first != 0x41 => {
                put!(self, "<ELT {}>", first & 0x3f);
                None
            }
            0x40 => message.get(at + 1).map(|bits| match bits {
                0 => 33,
                bits => usize::from(*bits).div_ceil(8) + 1,
            }),
            _ => {
                self.text("<BAD LABEL TYPE>");
                None
            }
        })
    }

    /// A label of bits (RFC 2673), which nobody uses any more.
    fn bit_label(&mut self, message: &[u8], at: usize) -> Printed {
        let bits = match u8(message, at)? {
            0 => 256,
            bits => usize::from(bits),
        };
        self.text("\\[x");
        let mut left = bits;
        for place in 0..bits.div_ceil(8) {
            let byte = u8(message, at + 1 + place)?;
            match left {
                8.. => self.hex_bytes(&[byte]),
                5..8 => self.hex_bytes(&[byte & (0xff_u16 << (8 - left)) as u8]),
                _ => put!(self, "{:x}", byte >> 4 & (0xf_u16 << (4 - left)) as u8 & 15),
            }
            left = left.saturating_sub(8);
        }
        put!(self, "/{bits}]");
        Ok(())
    }
}
