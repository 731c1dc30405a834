//! Messages of DNS (RFC 1035). A message may be cut anywhere: what stands before the
//! cut is read.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::event::DnsMessage;

/// Bytes of the header.
const HEADER: usize = 12;

/// Answers that are shown; more are as good as cut.
const MAX_ANSWERS: u16 = 32;

/// Bytes that a name may have, with the length of each label (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 255;

/// Characters of a text record that are shown.
const MAX_TEXT: usize = 64;

/// Reads a message, or what there is of it. Nothing if these bytes are none: too few, or
/// with an operation that no server answers names by, or with a damaged question.
pub fn parse(bytes: &[u8]) -> Option<DnsMessage> {
    let reader = Reader { bytes };
    let word = |at| reader.u16(at);
    let (id, flags) = (word(0)?, word(2)?);
    let (questions, records) = (word(4)?, word(6)?);
    if bytes.len() < HEADER {
        return None;
    }
    let response = flags & 0x8000 != 0;
    // Query, inverse query, status, notify and update; all else is another protocol.
    if !matches!(flags >> 11 & 15, 0 | 1 | 2 | 4 | 5) || questions > 64 {
        return None;
    }
    let mut message = DnsMessage {
        id,
        response,
        name: None,
        kind: None,
        rcode: response.then(|| rcode(flags & 15).into()),
        answers: Vec::new(),
        truncated: flags & 0x0200 != 0,
    };
    let mut at = HEADER;
    for question in 0..questions {
        let (name, end) = reader.name(at)?;
        let Some(kind) = word(end) else {
            message.truncated = true;
            return Some(message);
        };
        if question == 0 {
            message.name = Some(name.into());
            message.kind = Some(type_name(kind).into());
        }
        at = end + 4;
    }
    if response {
        answers(&reader, at, records, &mut message);
    }
    Some(message)
}

/// Reads the answers of a response, from `at` on.
fn answers(reader: &Reader<'_>, mut at: usize, count: u16, message: &mut DnsMessage) {
    if count > MAX_ANSWERS {
        message.truncated = true;
    }
    for _ in 0..count.min(MAX_ANSWERS) {
        let Some((name, kind, data)) = reader.record(at) else {
            message.truncated = true;
            return;
        };
        // A response of multicast DNS has no question (RFC 6762, section 6).
        if message.name.is_none() {
            message.name = Some(name.into());
            message.kind = Some(type_name(kind).into());
        }
        let mut answer = type_name(kind);
        if let Some(text) = reader.data(kind, data.clone()) {
            answer.push(' ');
            answer.push_str(&text);
        }
        message.answers.push(answer.into());
        at = data.end;
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn u8(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A name and where it ends.
    fn name(&self, at: usize) -> Option<(String, usize)> {
        let mut text = String::new();
        let (mut at, mut end) = (at, None);
        let mut length = 1;
        loop {
            let len = self.u8(at)?;
            match len {
                0 => return Some((text, end.unwrap_or(at + 1))),
                1..64 => {
                    let label = self.bytes.get(at + 1..at + 1 + usize::from(len))?;
                    length += 1 + label.len();
                    if length > MAX_NAME {
                        return None;
                    }
                    if !text.is_empty() {
                        text.push('.');
                    }
                    put_label(&mut text, label);
                    at += 1 + label.len();
                }
                192.. => {
                    let to = usize::from(self.u16(at)? & 0x3fff);
                    end = end.or(Some(at + 2));
                    // Only ever back, so that this ends.
                    if to >= at {
                        return None;
                    }
                    at = to;
                }
                // Kinds of labels that nobody uses (RFC 6891, section 5).
                _ => return None,
            }
        }
    }

    /// A resource record: its name, its type, and where its data are.
    fn record(&self, at: usize) -> Option<(String, u16, std::ops::Range<usize>)> {
        let (name, end) = self.name(at)?;
        let kind = self.u16(end)?;
        // Class and time to live lie between.
        let start = end + 10;
        let len = usize::from(self.u16(end + 8)?);
        let data = start..start + len;
        self.bytes.get(data.clone())?;
        Some((name, kind, data))
    }

    /// Data of a record as text; nothing for types that are not shown.
    fn data(&self, kind: u16, data: std::ops::Range<usize>) -> Option<String> {
        let bytes = self.bytes.get(data.clone())?;
        Some(match kind {
            1 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).to_string(),
            28 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string(),
            // CNAME, NS, PTR, DNAME
            2 | 5 | 12 | 39 => self.name(data.start)?.0,
            // MX
            15 => format!("{} {}", self.u16(data.start)?, self.name(data.start + 2)?.0),
            // SRV
            33 => format!(
                "{} {} {} {}",
                self.u16(data.start)?,
                self.u16(data.start + 2)?,
                self.u16(data.start + 4)?,
                self.name(data.start + 6)?.0
            ),
            // TXT: the first of its strings.
            16 => {
                let len = usize::from(*bytes.first()?);
                let mut text = String::from("\"");
                put_text(&mut text, bytes.get(1..1 + len.min(MAX_TEXT))?);
                text.push_str(if len > MAX_TEXT || bytes.len() > len + 1 { "…\"" } else { "\"" });
                text
            }
            // SOA: the server that has the zone.
            6 => self.name(data.start)?.0,
            _ => return None,
        })
    }
}

/// Appends a label as a zone file has it: what is not printable as `\DDD`.
fn put_label(text: &mut String, label: &[u8]) {
    for byte in label {
        match byte {
            b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b'!'..=b'~' => text.push(char::from(*byte)),
            _ => put_decimal(text, *byte),
        }
    }
}

/// Appends a string as a zone file has it between quotes.
fn put_text(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => put_decimal(text, *byte),
        }
    }
}

fn put_decimal(text: &mut String, byte: u8) {
    // Writing into memory cannot fail.
    let _ = write!(text, "\\{byte:03}");
}

/// The name of a type (IANA, DNS parameters).
fn type_name(kind: u16) -> String {
    let name = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        39 => "DNAME",
        41 => "OPT",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        257 => "CAA",
        _ => return format!("TYPE{kind}"),
    };
    name.to_owned()
}

/// The name of a response code (IANA, DNS parameters).
fn rcode(code: u16) -> String {
    let name = match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        _ => return format!("RCODE{code}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with one question and answers, each as (type, data), for its name.
    fn message(flags: u16, labels: &[&[u8]], kind: u16, answers: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [0x1234, flags, 1, answers.len() as u16, 0, 0] {
            bytes.extend(word.to_be_bytes());
        }
        for label in labels {
            bytes.push(label.len() as u8);
            bytes.extend(*label);
        }
        bytes.push(0);
        bytes.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        for (kind, data) in answers {
            bytes.extend([0xc0, 12]);
            bytes.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
            bytes.extend(60_u32.to_be_bytes());
            bytes.extend((data.len() as u16).to_be_bytes());
            bytes.extend(*data);
        }
        bytes
    }

    fn example() -> Vec<u8> {
        let wide = Ipv6Addr::LOCALHOST.octets();
        message(
            0x8180,
            &[b"www", b"example", b"com"],
            28,
            &[(5, &[3, b'c', b'd', b'n', 0xc0, 16]), (1, &[192, 0, 2, 1]), (28, &wide)],
        )
    }

    #[test]
    fn a_response_tells_question_code_and_answers() {
        let read = parse(&example()).unwrap();
        assert_eq!((read.id, read.response, read.truncated), (0x1234, true, false));
        assert_eq!(read.name.as_deref(), Some("www.example.com"));
        assert_eq!(read.kind.as_deref(), Some("AAAA"));
        assert_eq!(read.rcode.as_deref(), Some("NOERROR"));
        let answers: Vec<&str> = read.answers.iter().map(|answer| &**answer).collect();
        assert_eq!(answers, ["CNAME cdn.example.com", "A 192.0.2.1", "AAAA ::1"]);
    }

    #[test]
    fn a_query_tells_what_is_asked_for() {
        let read = parse(&message(0x0100, &[b"example", b"com"], 65280, &[])).unwrap();
        assert_eq!((read.response, read.rcode.as_deref()), (false, None));
        assert_eq!(read.kind.as_deref(), Some("TYPE65280"));
        assert_eq!(
            parse(&message(0x8183, &[b"x"], 1, &[])).unwrap().rcode.unwrap(),
            "NXDOMAIN".into()
        );
        // The root.
        assert_eq!(parse(&message(0x0100, &[], 2, &[])).unwrap().name.as_deref(), Some(""));
    }

    #[test]
    fn names_carry_nothing_that_steers_a_terminal() {
        let read = parse(&message(0x0100, &[b"\x1b[31m", b"a.b\\", b"\xff\n"], 1, &[])).unwrap();
        assert_eq!(read.name.as_deref(), Some("\\027[31m.a\\.b\\\\.\\255\\010"));
        let text = [&[4][..], b"\x07\"x\\"].concat();
        let read = parse(&message(0x8180, &[b"x"], 16, &[(16, &text)])).unwrap();
        assert_eq!(&*read.answers[0], "TXT \"\\007\\\"x\\\\\"");
    }

    #[test]
    fn a_message_that_is_cut_tells_what_stands_before_the_cut() {
        let whole = example();
        for len in 0..whole.len() {
            let read = parse(&whole[..len]);
            // Header, name, type and class of the question.
            match len {
                0..29 => assert_eq!(read, None, "{len}"),
                29..31 => assert!(read.unwrap().truncated, "{len}"),
                _ => {
                    let read = read.unwrap();
                    assert!(read.truncated && read.name.is_some(), "{len}");
                }
            }
        }
    }

    #[test]
    fn pointers_that_go_in_circles_end() {
        for to in [12, 13, 40] {
            let mut bytes = message(0x0100, &[], 1, &[]);
            bytes.splice(12..13, [0xc0, to]);
            assert_eq!(parse(&bytes), None);
        }
    }

    /// Any bytes, and every message with any bytes changed: no panic, and only what can
    /// be printed.
    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let whole = example();
        let mut read = 0;
        for round in 0..200_000 {
            let bytes = if round % 2 == 0 {
                let mut bytes = whole.clone();
                for _ in 0..1 + next() % 8 {
                    let at = next() as usize % bytes.len();
                    bytes[at] = next() as u8;
                }
                bytes
            } else {
                (0..next() % 80).map(|_| next() as u8).collect()
            };
            if let Some(message) = parse(&bytes) {
                read += 1;
                let texts = message.answers.iter().chain(&message.name).chain(&message.kind);
                for text in texts {
                    assert!(text.chars().all(|c| c == '…' || (' '..='~').contains(&c)), "{text:?}");
                    assert!(text.len() <= 4 * MAX_NAME + 32, "{text:?}");
                }
            }
        }
        assert!(read > 10_000, "{read}");
    }

    #[test]
    fn names_survive_the_way_there_and_back() {
        let mut state = 1_u64;
        for _ in 0..2_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let label: Vec<u8> = (0..1 + state as usize % 20)
                .map(|i| (state.rotate_left(i as u32 * 7) & 0x7f) as u8)
                .collect();
            let read = parse(&message(0x0100, &[&label, b"org"], 1, &[])).unwrap();
            let name = read.name.unwrap();
            // Undo the escapes.
            let (mut bytes, mut rest) = (Vec::new(), name.as_bytes());
            while let Some((first, more)) = rest.split_first() {
                rest = more;
                if *first != b'\\' {
                    bytes.push(*first);
                } else if rest[0].is_ascii_digit() {
                    bytes.push(std::str::from_utf8(&rest[..3]).unwrap().parse().unwrap());
                    rest = &rest[3..];
                } else {
                    bytes.push(rest[0]);
                    rest = &rest[1..];
                }
            }
            assert_eq!(bytes, [&label[..], b".org"].concat());
        }
    }
}
