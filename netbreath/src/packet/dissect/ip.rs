//! IPv4 (RFC 791), and packets without a link-layer header.

use super::field::{ip, raw};
use super::transport::{protocol_word, transport};
use super::tree::{ipv4, push_ipv4};
use super::{
    Addr, Buf, Context, End, Group, Id, Pair, Result, Severity, Value, column, data, info, ipv6,
};

/// A packet that begins with its IP header, whose first bits tell the version.
pub fn raw(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.enter(raw::SELF, buf, 0);
    info!(c, "Raw packet data");
    let first = buf.u8(0)?;
    c.end = buf.at + buf.len();
    match first >> 4 {
        4 => c.inside(buf, dissect),
        6 => c.inside(buf, ipv6::dissect),
        _ => c.inside(buf, data::dissect),
    }
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "IPv4";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("IPv4");
        c.columns.info.clear();
    }
    let first = buf.u8(0)?;
    let (version, head) = (first >> 4, usize::from(first & 15) * 4);
    c.enter(ip::SELF, buf, head);
    let whole = c.place();
    c.open();
    c.add(ip::VERSION, buf, 0, 1, Value::Uint(version.into()));
    c.label(format_args!("{:04b} .... = Version: {version}", version));
    if version != 4 {
        info!(c, "Bogus IPv4 version ({version}, must be 4)");
        c.expert(
            ip::BOGUS_IP_VERSION,
            buf,
            Severity::Error,
            Group::Protocol,
            format_args!("Bogus IP version"),
        );
        return Ok(());
    }
    c.add(ip::HDR_LEN, buf, 0, 1, Value::Uint(head as u64));
    c.label(format_args!(".... {:04b} = Header Length: {head} bytes ({})", first & 15, first & 15));
    if head < 20 {
        info!(c, "Bogus IP header length ({head}, must be at least 20)");
        c.expert(
            ip::BOGUS_HEADER_LENGTH,
            buf,
            Severity::Error,
            Group::Protocol,
            format_args!("Bogus IP header length ({head}, must be at least 20)"),
        );
        return Ok(());
    }
    let tos = buf.u8(1)?;
    differentiated(c, buf, tos);
    let total = usize::from(buf.u16(2)?);
    // A packet whose device splits it has no length yet.
    let offloaded = total == 0;
    let len = if offloaded { buf.len() } else { total };
    c.add(ip::LEN, buf, 2, 2, Value::Uint(len as u64));
    if offloaded {
        c.label(format_args!(
            "Total Length: {len} bytes (reported as 0, presumed to be because of \"TCP segmentation offload\" (TSO))"
        ));
    } else if total < head {
        c.label(format_args!("Total Length: {total} (bogus, less than header length {head})"));
        info!(c, "Bogus IP length ({total}, less than header length {head})");
        c.expert(
            ip::BOGUS_IP_LENGTH,
            buf,
            Severity::Error,
            Group::Protocol,
            format_args!("Bogus IP length ({total}, less than header length {head})"),
        );
        return Ok(());
    } else if total > buf.len() && !c.in_error {
        let there = buf.len();
        c.expert(
            ip::BOGUS_IP_LENGTH,
            Buf { at: buf.at, ..buf },
            Severity::Error,
            Group::Protocol,
            format_args!("IPv4 total length exceeds packet length ({there} bytes)"),
        );
    }
    c.end = c.end.min(buf.at + len);
    shorten(c, whole, buf.at + len);
    let id = buf.u16(4)?;
    c.add(ip::ID, buf, 4, 2, Value::Uint(id.into()));
    c.label(format_args!("Identification: 0x{id:04x} ({id})"));
    let fragment = buf.u16(6)?;
    let (more, offset) = (fragment & 0x2000 != 0, usize::from(fragment & 0x1fff) * 8);
    flags(c, buf, fragment);
    let ttl = buf.u8(8)?;
    let protocol = buf.u8(9)?;
    // It may be cut away.
    let target: [u8; 4] = buf.array(16).unwrap_or([1; 4]);
    let to = target;
    c.add(ip::TTL, buf, 8, 1, Value::Uint(ttl.into()));
    let local = to[0] == 224 && to[1] == 0 && to[2] == 0;
    if !c.in_error && ttl < 5 && !is_multicast(to) && !local && protocol != 103 {
        c.expert(
            ip::TTL_TOO_SMALL,
            buf.from(8),
            Severity::Note,
            Group::Sequence,
            format_args!("\"Time To Live\" only {ttl}"),
        );
    } else if !c.in_error && local && ttl != 1 && to[3] != 251 && to[3] != 252 {
        c.expert(
            ip::TTL_LNCB,
            buf.from(8),
            Severity::Note,
            Group::Sequence,
            format_args!(
                "\"Time To Live\" != 1 for a packet sent to the Local Network Control Block (see RFC 3171)"
            ),
        );
    }
    c.add(ip::PROTO, buf, 9, 1, Value::Uint(protocol.into()));
    let sum = buf.u16(10)?;
    c.add(ip::CHECKSUM, buf, 10, 2, Value::Uint(sum.into()));
    c.label(format_args!("Header Checksum: 0x{sum:04x} [validation disabled]"));
    let beside = buf.from(10);
    c.generate(ip::CHECKSUM_STATUS, beside, Value::Uint(2));
    c.label(format_args!("Header checksum status: Unverified"));
    let from: [u8; 4] = buf.array(12)?;
    if c.wants_columns() {
        c.columns.source = Addr::Ipv4(from);
    }
    address(c, buf, 12, from, ip::SRC, ip::SRC_HOST);
    if c.wants_labels() {
        c.label_at(whole, format_args!("Internet Protocol Version 4, Src: {}", ipv4(from)));
    }
    let to: [u8; 4] = buf.array(16)?;
    if c.wants_columns() {
        c.columns.target = Addr::Ipv4(to);
    }
    c.pair = Pair { source: End::Ipv4(from), target: End::Ipv4(to) };
    c.ttl = ttl;
    if c.wants_fields() {
        if c.wants_labels() {
            let (a, b) = (ipv4(from), ipv4(to));
            c.label_at(whole, format_args!("Internet Protocol Version 4, Src: {a}, Dst: {b}"));
        }
        address(c, buf, 16, to, ip::DST, ip::DST_HOST);
    }
    if head > 20 {
        super::option::ip(c, buf, head)?;
    }
    c.close();
    let rest = buf.first(len).from(head);
    if offset > 0 {
        let word = protocol_word(protocol);
        info!(c, "Fragmented IP protocol (proto={word} {protocol}, off={offset}, ID={id:04x})");
        return c.inside(rest, data::dissect);
    }
    c.fragment = more || c.fragment;
    match transport(c, protocol, rest) {
        Some(result) => result,
        None => {
            let word = protocol_word(protocol);
            if c.wants_columns() {
                c.columns.info.clear();
            }
            info!(c, "{word} ({protocol})");
            c.inside(rest, data::dissect)
        }
    }
}

/// The packet's own length counts.
pub fn shorten(c: &mut Context<'_>, place: usize, end: usize) {
    if let Some(node) = c.node(place)
        && let Value::Whole(old) = &mut node.value
    {
        *old = (*old).min(end as u32);
    }
}

fn address(c: &mut Context<'_>, buf: Buf<'_>, at: usize, addr: [u8; 4], one: Id, host: Id) {
    if !c.wants_fields() {
        return;
    }
    c.add(one, buf, at, 4, Value::Ipv4(addr));
    c.hide(ip::ADDR, buf, at, 4, Value::Ipv4(addr));
    let mut text = String::new();
    push_ipv4(&mut text, addr);
    let text = c.text(format_args!("{text}"));
    c.hide(host, buf, at, 4, text);
    c.last(|node| node.generated = true);
    c.hide(ip::HOST, buf, at, 4, text);
    c.last(|node| node.generated = true);
}

fn is_multicast(addr: [u8; 4]) -> bool {
    (224..240).contains(&addr[0])
}

/// Short names of code points (RFC 2474 and later).
pub fn dscp(code: u8) -> &'static str {
    match code {
        0 => "CS0",
        1 => "LE",
        8 => "CS1",
        10 => "AF11",
        12 => "AF12",
        14 => "AF13",
        16 => "CS2",
        18 => "AF21",
        20 => "AF22",
        22 => "AF23",
        24 => "CS3",
        26 => "AF31",
        28 => "AF32",
        30 => "AF33",
        32 => "CS4",
        34 => "AF41",
        36 => "AF42",
        38 => "AF43",
        40 => "CS5",
        44 => "VOICE-ADMIT",
        46 => "EF PHB",
        48 => "CS6",
        56 => "CS7",
        _ => "Unknown",
    }
}

pub fn ecn(code: u8) -> &'static str {
    match code & 3 {
        0 => "Not-ECT",
        1 => "ECT(1)",
        2 => "ECT(0)",
        _ => "CE",
    }
}

fn differentiated(c: &mut Context<'_>, buf: Buf<'_>, tos: u8) {
    c.add(ip::DSFIELD, buf, 1, 1, Value::Uint(tos.into()));
    c.label(format_args!(
        "Differentiated Services Field: 0x{tos:02x} (DSCP: {}, ECN: {})",
        dscp(tos >> 2),
        ecn(tos)
    ));
    c.open();
    c.add(ip::DSFIELD_DSCP, buf, 1, 1, Value::Uint((tos >> 2).into()));
    c.add(ip::DSFIELD_ECN, buf, 1, 1, Value::Uint((tos & 3).into()));
    c.close();
}

fn flags(c: &mut Context<'_>, buf: Buf<'_>, word: u16) {
    let flags = word >> 13;
    c.add(ip::FLAGS, buf, 6, 1, Value::Uint(flags.into()));
    if c.wants_labels() {
        let mut names = String::new();
        for (bit, name) in [(4, "Reserved bit"), (2, "Don't fragment"), (1, "More fragments")] {
            if flags & bit != 0 {
                names.push_str(", ");
                names.push_str(name);
            }
        }
        c.label(format_args!("{flags:03b}. .... = Flags: 0x{flags:x}{names}"));
    }
    c.open();
    c.add(ip::FLAGS_RB, buf, 6, 1, Value::Bool(flags & 4 != 0));
    c.add(ip::FLAGS_DF, buf, 6, 1, Value::Bool(flags & 2 != 0));
    c.add(ip::FLAGS_MF, buf, 6, 1, Value::Bool(flags & 1 != 0));
    c.close();
    let units = word & 0x1fff;
    c.add(ip::FRAG_OFFSET, buf, 6, 2, Value::Uint(units.into()));
    if c.wants_labels() {
        let bits = format!("{units:013b}");
        let bits: Vec<&str> = [&bits[..1], &bits[1..5], &bits[5..9], &bits[9..]].into();
        c.label(format_args!(
            "...{} {} {} {} = Fragment Offset: {}",
            bits[0],
            bits[1],
            bits[2],
            bits[3],
            u32::from(units) * 8
        ));
    }
}
