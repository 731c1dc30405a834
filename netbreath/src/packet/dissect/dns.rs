//! DNS (RFC 1035) and multicast DNS (RFC 6762).

use std::fmt::Write as _;

use super::field::{dns, mdns};
use super::stream::Question;
use super::tree::{ipv4, ipv6};
use super::{Buf, Context, Cut, Id, Pair, Result, Value, column, info};

/// Records of a message: more are an attack.
const MOST: usize = 1_000;
/// Bytes that a name may have (RFC 1035, section 2.3.4).
const MOST_NAME: usize = 255;

pub fn datagram(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    message(c, buf, 0, false)
}

pub fn multicast(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    message(c, buf, 0, true)
}

/// Over TCP its length stands before a message.
pub fn stream(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    message(c, buf, 2, false)
}

fn word(id: Id, value: u64) -> Option<&'static str> {
    id.field().and_then(|field| field.word(value))
}

/// The first word of a type's name.
fn short(kind: u16) -> String {
    if kind == 255 {
        return "ANY".to_owned();
    }
    match word(dns::QRY_TYPE, kind.into()) {
        Some(word) => word.split(' ').next().unwrap_or(word).to_owned(),
        None => format!("Unknown ({kind})"),
    }
}

fn class(kind: u16) -> &'static str {
    match kind & 0x7fff {
        1 => "IN",
        2 => "CS",
        3 => "CH",
        4 => "HS",
        254 => "NONE",
        255 => "ANY",
        _ => "Unknown",
    }
}

struct Message<'b> {
    /// Where the message itself begins: names point there.
    buf: Buf<'b>,
    is_multicast: bool,
}

fn message(c: &mut Context<'_>, whole: Buf<'_>, prefix: usize, is_multicast: bool) -> Result {
    let id = if is_multicast { mdns::SELF } else { dns::SELF };
    c.protocol = id.of().short;
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name(if is_multicast { "MDNS" } else { "DNS" });
        c.columns.info.clear();
    }
    let m = Message { buf: whole.from(prefix), is_multicast };
    let buf = m.buf;
    let (number, flags) = (buf.u16(0)?, buf.u16(2)?);
    let is_response = flags & 0x8000 != 0;
    let opcode = flags >> 11 & 15;
    let opname = word(dns::FLAGS_OPCODE, opcode.into()).unwrap_or("Unknown operation");
    info!(c, "{opname}{} 0x{number:04x}", if is_response { " response" } else { "" });
    if is_response && flags & 15 != 0 {
        let rcode = word(dns::FLAGS_RCODE, (flags & 15).into()).unwrap_or("Unknown error");
        info!(c, " {rcode}");
    }
    c.enter(id, whole, whole.kept().len());
    let kind = if is_response { "response" } else { "query" };
    let title = if is_multicast { "Multicast Domain Name System" } else { "Domain Name System" };
    c.label(format_args!("{title} ({kind})"));
    c.open();
    if prefix > 0 {
        c.add(dns::LENGTH, whole, 0, 2, Value::Uint(whole.u16(0)?.into()));
    }
    c.add(dns::ID, buf, 0, 2, Value::Uint(number.into()));
    flag_rows(c, buf, flags, opname);
    let mut counts = [0_u16; 4];
    for (place, (id, name)) in [
        (dns::COUNT_QUERIES, "Questions"),
        (dns::COUNT_ANSWERS, "Answer RRs"),
        (dns::COUNT_AUTH_RR, "Authority RRs"),
        (dns::COUNT_ADD_RR, "Additional RRs"),
    ]
    .into_iter()
    .enumerate()
    {
        let count = buf.u16(4 + 2 * place)?;
        c.add(id, buf, 4 + 2 * place, 2, Value::Uint(count.into()));
        c.label(format_args!("{name}: {count}"));
        counts[place] = count;
    }
    let mut at = 12;
    if counts[0] > 0 {
        c.title(buf, at, 0, format_args!("Queries"));
        let place = c.place();
        c.open();
        let begin = at;
        for number in 0..usize::from(counts[0]).min(MOST) {
            at = question(c, &m, at, number == 0)?;
        }
        c.close();
        if let Some(node) = c.node(place) {
            node.len = (at - begin) as u32;
        }
    }
    for (count, title) in counts.into_iter().skip(1).zip([
        "Answers",
        "Authoritative nameservers",
        "Additional records",
    ]) {
        if count == 0 {
            continue;
        }
        // Where the first is cut away, there is no title for it either.
        buf.get(at, 1)?;
        c.title(buf, at, 0, format_args!("{title}"));
        let place = c.place();
        c.open();
        let begin = at;
        for _ in 0..usize::from(count).min(MOST) {
            at = record(c, &m, at)?;
        }
        c.close();
        if let Some(node) = c.node(place) {
            node.len = (at - begin) as u32;
        }
    }
    if !is_multicast && !c.in_error {
        answered(c, whole, number, is_response);
    }
    c.close();
    Ok(())
}

fn answered(c: &mut Context<'_>, buf: Buf<'_>, id: u16, is_response: bool) {
    let Pair { source, target } = c.pair;
    let (from, to) = c.ports;
    let (pair, ports) = if is_response {
        (Pair { source: target, target: source }, (to, from))
    } else {
        (c.pair, (from, to))
    };
    let question = Question { protocol: 53, pair, ports, id: id.into() };
    if !is_response {
        c.state.ask(question, c.meta.number, c.meta.time);
    } else if let Some(asked) = c.state.asked(&question) {
        c.generate(dns::RESPONSE_TO, buf, Value::Uint(asked.number));
        c.label(format_args!("Request In: {}", asked.number));
        c.generate(dns::TIME, buf, Value::Rel(c.meta.time - asked.time));
    }
}

fn flag_rows(c: &mut Context<'_>, buf: Buf<'_>, flags: u16, opname: &str) {
    if !c.wants_fields() {
        return;
    }
    let is_response = flags & 0x8000 != 0;
    c.add(dns::FLAGS, buf, 2, 2, Value::Uint(flags.into()));
    if is_response {
        let rcode = word(dns::FLAGS_RCODE, (flags & 15).into()).unwrap_or("Unknown error");
        c.label(format_args!("Flags: 0x{flags:04x} {opname} response, {rcode}"));
    } else {
        c.label(format_args!("Flags: 0x{flags:04x} {opname}"));
    }
    c.open();
    let bit = |bit: u16| Value::Bool(flags & bit != 0);
    c.add(dns::FLAGS_RESPONSE, buf, 2, 2, bit(0x8000));
    c.add(dns::FLAGS_OPCODE, buf, 2, 2, Value::Uint((flags >> 11 & 15).into()));
    if is_response {
        c.add(dns::FLAGS_AUTHORITATIVE, buf, 2, 2, bit(0x0400));
    }
    c.add(dns::FLAGS_TRUNCATED, buf, 2, 2, bit(0x0200));
    c.add(dns::FLAGS_RECDESIRED, buf, 2, 2, bit(0x0100));
    if is_response {
        c.add(dns::FLAGS_RECAVAIL, buf, 2, 2, bit(0x0080));
    }
    c.add(dns::FLAGS_Z, buf, 2, 2, bit(0x0040));
    if is_response {
        c.add(dns::FLAGS_AUTHENTICATED, buf, 2, 2, bit(0x0020));
        let (set, not) = if flags & 0x20 != 0 { ('1', "") } else { ('0', " not") };
        c.label(format_args!(
            ".... .... ..{set}. .... = Answer authenticated: Answer/authority portion was{not} authenticated by the server"
        ));
    }
    c.add(dns::FLAGS_CHECKDISABLE, buf, 2, 2, bit(0x0010));
    if is_response {
        c.add(dns::FLAGS_RCODE, buf, 2, 2, Value::Uint((flags & 15).into()));
    }
    c.close();
}

/// A name, how long it is here, and how many labels it has.
fn name(m: &Message<'_>, at: usize) -> std::result::Result<(String, usize, usize), Cut> {
    let mut text = String::new();
    let (mut at, begin, mut end, mut labels) = (at, at, None, 0);
    let mut length = 1;
    loop {
        let len = m.buf.u8(at)?;
        match len {
            0 => {
                if text.is_empty() {
                    text.push_str("<Root>");
                }
                return Ok((text, end.unwrap_or(at + 1) - begin, labels));
            }
            1..64 => {
                let label = m.buf.get(at + 1, len.into())?;
                length += 1 + label.len();
                if length > MOST_NAME {
                    return Ok(("<Name too long>".into(), end.unwrap_or(at + 1) - begin, labels));
                }
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&String::from_utf8_lossy(label));
                labels += 1;
                at += 1 + label.len();
            }
            192.. => {
                let to = usize::from(m.buf.u16(at)? & 0x3fff);
                end = end.or(Some(at + 2));
                // Only ever back, so that this ends.
                if to >= at {
                    return Err(Cut::Missing);
                }
                at = to;
            }
            _ => return Err(Cut::Missing),
        }
    }
}

fn question(
    c: &mut Context<'_>,
    m: &Message<'_>,
    at: usize,
    _first: bool,
) -> std::result::Result<usize, Cut> {
    let buf = m.buf;
    let (text, len, labels) = name(m, at)?;
    let kind = buf.u16(at + len)?;
    let class_word = buf.u16(at + len + 2)?;
    let short = short(kind);
    info!(c, " {short} {text}");
    let unicast = class_word & 0x8000 != 0;
    if m.is_multicast {
        info!(c, ", \"{}\" question", if unicast { "QU" } else { "QM" });
    }
    let class = class(class_word);
    let question = if m.is_multicast {
        if unicast { ", \"QU\" question" } else { ", \"QM\" question" }
    } else {
        ""
    };
    c.title(buf, at, len + 4, format_args!("{text}: type {short}, class {class}{question}"));
    c.open();
    let value = c.text(format_args!("{text}"));
    c.add(dns::QRY_NAME, buf, at, len, value);
    let letters = if text == "<Root>" { 6 } else { text.len() };
    c.generate(dns::QRY_NAME_LEN, buf, Value::Uint(letters as u64));
    c.last(|node| {
        node.at = (buf.at + at) as u32;
        node.len = len as u32;
    });
    c.generate(dns::COUNT_LABELS, buf, Value::Uint(labels as u64));
    c.last(|node| {
        node.at = (buf.at + at) as u32;
        node.len = len as u32;
    });
    c.add(dns::QRY_TYPE, buf, at + len, 2, Value::Uint(kind.into()));
    if m.is_multicast {
        c.add(dns::QRY_CLASS, buf, at + len + 2, 2, Value::Uint((class_word & 0x7fff).into()));
        c.label(format_args!(
            ".{:03b} {:04b} {:04b} {:04b} = Class: {class} (0x{:04x})",
            class_word >> 12 & 7,
            class_word >> 8 & 15,
            class_word >> 4 & 15,
            class_word & 15,
            class_word & 0x7fff
        ));
        c.add(dns::QRY_QU, buf, at + len + 2, 2, Value::Bool(unicast));
    } else {
        c.add(dns::QRY_CLASS, buf, at + len + 2, 2, Value::Uint(class_word.into()));
    }
    c.close();
    Ok(at + len + 4)
}

/// Seconds in words: `5 minutes`.
pub fn duration(seconds: u32) -> String {
    if seconds == 0 {
        return "0 seconds".to_owned();
    }
    let mut parts = Vec::new();
    for (unit, len) in [("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)] {
        let count = match unit {
            "day" => seconds / len,
            "hour" => seconds % 86_400 / len,
            "minute" => seconds % 3_600 / len,
            _ => seconds % 60,
        };
        if count > 0 {
            parts.push(format!("{count} {unit}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.join(", ")
}

fn record(c: &mut Context<'_>, m: &Message<'_>, at: usize) -> std::result::Result<usize, Cut> {
    let buf = m.buf;
    let (text, len, _) = name(m, at)?;
    let kind = buf.u16(at + len)?;
    let class_word = buf.u16(at + len + 2)?;
    let ttl = buf.u32(at + len + 4)?;
    let size = usize::from(buf.u16(at + len + 8)?);
    let (data, short) = (at + len + 10, short(kind));
    let whole = len + 10 + size;
    info!(c, " {short}");
    let class = class(class_word);
    if kind == 41 {
        c.title(buf, at, whole, format_args!("{text}: type {short}"));
    } else {
        let flush = if m.is_multicast && class_word & 0x8000 != 0 { ", cache flush" } else { "" };
        c.title(buf, at, whole, format_args!("{text}: type {short}, class {class}{flush}"));
    }
    let row = c.place();
    c.open();
    // The service and protocol before the names of service records.
    if kind == 33 {
        let mut parts = text.split('.');
        for (id, title) in [(dns::SRV_SERVICE, "Service"), (dns::SRV_PROTO, "Protocol")] {
            let part = parts.next().unwrap_or_default();
            let value = c.text(format_args!("{part}"));
            c.add(id, buf, at, len, value);
            let _ = title;
        }
        let rest: Vec<&str> = parts.collect();
        let value = c.text(format_args!("{}", rest.join(".")));
        c.add(dns::SRV_NAME, buf, at, len, value);
    } else {
        let value = c.text(format_args!("{text}"));
        c.add(dns::RESP_NAME, buf, at, len, value);
    }
    c.add(dns::RESP_TYPE, buf, at + len, 2, Value::Uint(kind.into()));
    if kind == 41 {
        options(c, m, at + len, class_word, ttl, size)?;
    } else {
        if m.is_multicast {
            let low = class_word & 0x7fff;
            c.add(dns::RESP_CLASS, buf, at + len + 2, 2, Value::Uint(low.into()));
            c.label(format_args!(
                ".{:03b} {:04b} {:04b} {:04b} = Class: {class} (0x{low:04x})",
                class_word >> 12 & 7,
                class_word >> 8 & 15,
                class_word >> 4 & 15,
                class_word & 15
            ));
            let flush = Value::Bool(class_word & 0x8000 != 0);
            c.add(dns::RESP_CACHE_FLUSH, buf, at + len + 2, 2, flush);
        } else {
            c.add(dns::RESP_CLASS, buf, at + len + 2, 2, Value::Uint(class_word.into()));
        }
        c.add(dns::RESP_TTL, buf, at + len + 4, 4, Value::Uint(ttl.into()));
        c.label(format_args!("Time to live: {ttl} ({})", duration(ttl)));
        c.add(dns::RESP_LEN, buf, at + len + 8, 2, Value::Uint(size as u64));
        let more = contents(c, m, kind, data, size)?;
        if !more.is_empty() {
            let text = format!(
                "{text}: type {short}, class {class}{}{more}",
                if m.is_multicast && class_word & 0x8000 != 0 { ", cache flush" } else { "" }
            );
            c.label_at(row, format_args!("{text}"));
        }
    }
    c.close();
    buf.get(data, size)?;
    Ok(data + size)
}

/// The data of a record; gives what its title says of it.
fn contents(
    c: &mut Context<'_>,
    m: &Message<'_>,
    kind: u16,
    at: usize,
    size: usize,
) -> std::result::Result<String, Cut> {
    let buf = m.buf;
    let mut title = String::new();
    let one =
        |c: &mut Context<'_>, id: Id, at: usize| -> std::result::Result<(String, usize), Cut> {
            let (text, len, _) = name(m, at)?;
            let value = c.text(format_args!("{text}"));
            c.add(id, buf, at, len, value);
            Ok((text, len))
        };
    match kind {
        1 if size == 4 => {
            let addr: [u8; 4] = buf.array(at)?;
            c.add(dns::A, buf, at, 4, Value::Ipv4(addr));
            let text = ipv4(addr);
            info!(c, " {text}");
            let _ = write!(title, ", addr {text}");
        }
        28 if size == 16 => {
            let addr: [u8; 16] = buf.array(at)?;
            c.add(dns::AAAA, buf, at, 16, Value::Ipv6(addr));
            let text = ipv6(addr);
            info!(c, " {text}");
            let _ = write!(title, ", addr {text}");
        }
        2 | 5 | 12 | 39 => {
            let (id, word) = match kind {
                2 => (dns::NS, "ns"),
                5 => (dns::CNAME, "cname"),
                39 => (dns::DNAME, "dname"),
                _ => (dns::PTR_DOMAIN_NAME, ""),
            };
            let (text, _) = one(c, id, at)?;
            info!(c, " {text}");
            if word.is_empty() {
                let _ = write!(title, ", {text}");
            } else {
                let _ = write!(title, ", {word} {text}");
            }
        }
        6 => {
            let (text, len) = one(c, dns::SOA_MNAME, at)?;
            info!(c, " {text}");
            let _ = write!(title, ", mname {text}");
            let (_, more) = one(c, dns::SOA_RNAME, at + len)?;
            let mut at = at + len + more;
            for id in [
                dns::SOA_SERIAL_NUMBER,
                dns::SOA_REFRESH_INTERVAL,
                dns::SOA_RETRY_INTERVAL,
                dns::SOA_EXPIRE_LIMIT,
                dns::SOA_MINIMUM_TTL,
            ] {
                let number = buf.u32(at)?;
                c.add(id, buf, at, 4, Value::Uint(number.into()));
                if id != dns::SOA_SERIAL_NUMBER {
                    let name = id.field().map_or("", |field| field.title);
                    c.label(format_args!("{name}: {number} ({})", duration(number)));
                }
                at += 4;
            }
        }
        15 => {
            let preference = buf.u16(at)?;
            c.add(dns::MX_PREFERENCE, buf, at, 2, Value::Uint(preference.into()));
            let (text, _) = one(c, dns::MX_MAIL_EXCHANGE, at + 2)?;
            info!(c, " {preference} {text}");
            let _ = write!(title, ", preference {preference}, mx {text}");
        }
        16 | 99 => {
            let end = at + size;
            let mut at = at;
            while at < end {
                let len = usize::from(buf.u8(at)?);
                let (id, whole) = if kind == 16 {
                    (dns::TXT_LENGTH, dns::TXT)
                } else {
                    (dns::SPF_LENGTH, dns::SPF)
                };
                c.add(id, buf, at, 1, Value::Uint(len as u64));
                let bytes = buf.get(at + 1, len)?;
                let value = c.lossy(bytes);
                c.add(whole, buf, at + 1, len, value);
                at += 1 + len;
            }
        }
        33 => {
            let (priority, weight, port) = (buf.u16(at)?, buf.u16(at + 2)?, buf.u16(at + 4)?);
            c.add(dns::SRV_PRIORITY, buf, at, 2, Value::Uint(priority.into()));
            c.add(dns::SRV_WEIGHT, buf, at + 2, 2, Value::Uint(weight.into()));
            c.add(dns::SRV_PORT, buf, at + 4, 2, Value::Uint(port.into()));
            let (text, _) = one(c, dns::SRV_TARGET, at + 6)?;
            info!(c, " {priority} {weight} {port} {text}");
            let _ =
                write!(title, ", priority {priority}, weight {weight}, port {port}, target {text}");
        }
        _ if size > 0 => {
            buf.get(at, size)?;
            c.add(dns::DATA, buf, at, size, Value::Bytes);
        }
        _ => {}
    }
    Ok(title)
}

/// What an OPT record says (RFC 6891).
fn options(
    c: &mut Context<'_>,
    m: &Message<'_>,
    at: usize,
    payload: u16,
    ttl: u32,
    size: usize,
) -> Result {
    let buf = m.buf;
    c.add(dns::RR_UDP_PAYLOAD_SIZE, buf, at + 2, 2, Value::Int(payload.into()));
    c.label(format_args!("UDP payload size: {payload}"));
    c.add(dns::RESP_EXT_RCODE, buf, at + 4, 1, Value::Uint((ttl >> 24).into()));
    c.add(dns::RESP_EDNS0_VERSION, buf, at + 5, 1, Value::Uint((ttl >> 16 & 255).into()));
    let z = ttl as u16;
    c.add(dns::RESP_Z, buf, at + 6, 2, Value::Uint(z.into()));
    c.open();
    c.add(dns::RESP_Z_DO, buf, at + 6, 2, Value::Bool(z & 0x8000 != 0));
    c.add(dns::RESP_Z_RESERVED, buf, at + 6, 2, Value::Uint((z & 0x7fff).into()));
    c.close();
    c.add(dns::RESP_LEN, buf, at + 8, 2, Value::Uint(size as u64));
    let (mut from, end) = (at + 10, at + 10 + size);
    while from + 4 <= end {
        let (code, len) = (buf.u16(from)?, usize::from(buf.u16(from + 2)?));
        let word = word(dns::OPT_CODE, code.into()).unwrap_or("Unknown");
        c.add(dns::OPT, buf, from, 4 + len, Value::None);
        c.label(format_args!("Option: {word}"));
        c.open();
        c.add(dns::OPT_CODE, buf, from, 2, Value::Uint(code.into()));
        c.add(dns::OPT_LEN, buf, from + 2, 2, Value::Uint(len as u64));
        if len > 0 {
            buf.get(from + 4, len)?;
            c.add(dns::OPT_DATA, buf, from + 4, len, Value::Bytes);
        }
        c.close();
        from += 4 + len;
    }
    Ok(())
}
