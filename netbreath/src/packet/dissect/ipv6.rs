//! IPv6 and its extension headers (RFC 8200).

use super::field::ipv6;
use super::ip::{dscp, ecn};
use super::transport::{protocol_word, transport};
use super::tree::push_ipv6;
use super::{Addr, Buf, Context, End, Id, Pair, Result, Value, column, data, info};

/// Headers between: more are an attack.
const MOST: usize = 16;

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "IPv6";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("IPv6");
        c.columns.info.clear();
    }
    let first = buf.u32(0)?;
    c.enter(ipv6::SELF, buf, 40);
    let whole = c.place();
    c.open();
    c.add(ipv6::VERSION, buf, 0, 1, Value::Uint((first >> 28).into()));
    c.label(format_args!("{:04b} .... = Version: {}", first >> 28, first >> 28));
    c.hide(super::field::ip::VERSION, buf, 0, 1, Value::Uint((first >> 28).into()));
    let class = (first >> 20 & 0xff) as u8;
    class_rows(c, buf, class);
    let flow = first & 0xf_ffff;
    c.add(ipv6::FLOW, buf, 0, 4, Value::Uint(flow.into()));
    if c.wants_labels() {
        let mut bits = String::new();
        for nibble in (0..5).rev() {
            bits.push_str(&format!(" {:04b}", flow >> (nibble * 4) & 15));
        }
        c.label(format_args!("....{bits} = Flow Label: 0x{flow:05x}"));
    }
    let told = usize::from(buf.u16(4)?);
    c.add(ipv6::PLEN, buf, 4, 2, Value::Uint(told as u64));
    let mut next = buf.u8(6)?;
    c.add(ipv6::NXT, buf, 6, 1, Value::Uint(next.into()));
    let hops = buf.u8(7)?;
    c.add(ipv6::HLIM, buf, 7, 1, Value::Uint(hops.into()));
    let from: [u8; 16] = buf.array(8)?;
    address(c, buf, 8, from, ipv6::SRC, ipv6::SRC_HOST);
    if c.wants_columns() {
        c.columns.source = Addr::Ipv6(from);
    }
    let to: [u8; 16] = buf.array(24)?;
    address(c, buf, 24, to, ipv6::DST, ipv6::DST_HOST);
    if c.wants_columns() {
        c.columns.target = Addr::Ipv6(to);
    }
    c.pair = Pair { source: End::Ipv6(from), target: End::Ipv6(to) };
    c.ttl = hops;
    // 0 is a jumbogram, or a packet whose device splits it.
    let len = if told == 0 { buf.len().saturating_sub(40) } else { told };
    c.end = c.end.min(buf.at + 40 + len);
    super::ip::shorten(c, whole, buf.at + 40 + len);
    if c.wants_labels() {
        let (a, b) = (super::tree::ipv6(from), super::tree::ipv6(to));
        c.label_at(whole, format_args!("Internet Protocol Version 6, Src: {a}, Dst: {b}"));
    }
    let mut rest = buf.from(40).first(len);
    for _ in 0..MOST {
        match next {
            0 | 60 => {
                let (then, len) = options(c, rest, next)?;
                next = then;
                rest = rest.from(len);
            }
            43 => {
                let (then, len) = routing(c, rest)?;
                next = then;
                rest = rest.from(len);
            }
            44 => {
                let (then, offset, more) = fragment(c, rest)?;
                next = then;
                rest = rest.from(8);
                if offset > 0 {
                    c.close();
                    return c.inside(rest, data::dissect);
                }
                c.fragment |= more;
            }
            _ => break,
        }
    }
    if let Some(node) = c.node(whole) {
        node.len = (rest.at - buf.at) as u32;
    }
    c.close();
    if next == 59 {
        info!(c, "IPv6 no next header");
        return c.inside(rest, data::dissect);
    }
    match transport(c, next, rest) {
        Some(result) => result,
        None => {
            if c.wants_columns() {
                c.columns.info.clear();
            }
            info!(c, "Unknown IP Protocol: {} ({next})", protocol_word(next));
            c.inside(rest, data::dissect)
        }
    }
}

fn address(c: &mut Context<'_>, buf: Buf<'_>, at: usize, addr: [u8; 16], one: Id, host: Id) {
    if !c.wants_fields() {
        return;
    }
    c.add(one, buf, at, 16, Value::Ipv6(addr));
    c.hide(ipv6::ADDR, buf, at, 16, Value::Ipv6(addr));
    let mut text = String::new();
    push_ipv6(&mut text, addr);
    let text = c.text(format_args!("{text}"));
    c.hide(host, buf, at, 16, text);
    c.last(|node| node.generated = true);
    c.hide(ipv6::HOST, buf, at, 16, text);
    c.last(|node| node.generated = true);
}

fn class_rows(c: &mut Context<'_>, buf: Buf<'_>, class: u8) {
    c.add(ipv6::TCLASS, buf, 0, 4, Value::Uint(class.into()));
    c.label(format_args!(
        ".... {:04b} {:04b} .... .... .... .... .... = Traffic Class: 0x{class:02x} (DSCP: {}, ECN: {})",
        class >> 4,
        class & 15,
        dscp(class >> 2),
        ecn(class)
    ));
    c.open();
    c.add(ipv6::TCLASS_DSCP, buf, 0, 4, Value::Uint((class >> 2).into()));
    c.add(ipv6::TCLASS_ECN, buf, 0, 4, Value::Uint((class & 3).into()));
    c.close();
}

type Next = std::result::Result<(u8, usize), super::Cut>;

/// Options for each hop, or for the target.
fn options(c: &mut Context<'_>, buf: Buf<'_>, kind: u8) -> Next {
    let (id, nxt, len_id, oct) = if kind == 0 {
        (ipv6::HOPOPTS, ipv6::HOPOPTS_NXT, ipv6::HOPOPTS_LEN, ipv6::HOPOPTS_LEN_OCT)
    } else {
        (ipv6::DSTOPTS, ipv6::DSTOPTS_NXT, ipv6::DSTOPTS_LEN, ipv6::DSTOPTS_LEN_OCT)
    };
    let (next, units) = (buf.u8(0)?, buf.u8(1)?);
    let len = (usize::from(units) + 1) * 8;
    c.layer(id.name());
    c.add(id, buf, 0, len, Value::Whole((buf.at + len) as u32));
    c.open();
    c.add(nxt, buf, 0, 1, Value::Uint(next.into()));
    c.add(len_id, buf, 1, 1, Value::Uint(units.into()));
    c.generate(oct, buf.from(1), Value::Uint(len as u64));
    c.last(|node| node.len = 1);
    c.label(format_args!("Length: {len} bytes"));
    let mut at = 2;
    while at < len {
        let kind = buf.u8(at)?;
        let word = ipv6::OPT_TYPE.field().and_then(|field| field.word(kind.into()));
        let word = word.unwrap_or("Unknown IPv6 Option");
        let size = if kind == 0 { 1 } else { 2 + usize::from(buf.u8(at + 1)?) };
        c.add(ipv6::OPT, buf, at, size, Value::None);
        c.label(format_args!("{word}"));
        c.open();
        c.add(ipv6::OPT_TYPE, buf, at, 1, Value::Uint(kind.into()));
        c.open();
        c.add(ipv6::OPT_TYPE_ACTION, buf, at, 1, Value::Uint((kind >> 6).into()));
        c.add(ipv6::OPT_TYPE_CHANGE, buf, at, 1, Value::Bool(kind & 0x20 != 0));
        c.add(ipv6::OPT_TYPE_REST, buf, at, 1, Value::Uint((kind & 31).into()));
        c.close();
        if kind != 0 {
            c.add(ipv6::OPT_LENGTH, buf, at + 1, 1, Value::Uint((size - 2) as u64));
            match (kind, size) {
                (1, _) => {
                    c.add(ipv6::OPT_PADN, buf, at + 2, size - 2, Value::Bytes);
                }
                (5, 4) => {
                    let value = buf.u16(at + 2)?;
                    c.add(ipv6::OPT_ROUTER_ALERT, buf, at + 2, 2, Value::Uint(value.into()));
                }
                _ if size > 2 => c.add(ipv6::OPT_UNKNOWN, buf, at + 2, size - 2, Value::Bytes),
                _ => {}
            }
        }
        c.close();
        at += size;
    }
    c.close();
    Ok((next, len))
}

fn routing(c: &mut Context<'_>, buf: Buf<'_>) -> Next {
    let (next, units) = (buf.u8(0)?, buf.u8(1)?);
    let len = (usize::from(units) + 1) * 8;
    let (kind, left) = (buf.u8(2)?, buf.u8(3)?);
    let word = ipv6::ROUTING_TYPE.field().and_then(|field| field.word(kind.into()));
    let word = word.unwrap_or("Unknown type");
    c.layer("ipv6.routing");
    c.add(ipv6::ROUTING, buf, 0, len, Value::Whole((buf.at + len) as u32));
    c.label(format_args!("Routing Header for IPv6 ({word})"));
    c.open();
    c.add(ipv6::ROUTING_NXT, buf, 0, 1, Value::Uint(next.into()));
    c.add(ipv6::ROUTING_LEN, buf, 1, 1, Value::Uint(units.into()));
    c.generate(ipv6::ROUTING_LEN_OCT, buf.from(1), Value::Uint(len as u64));
    c.last(|node| node.len = 1);
    c.label(format_args!("Length: {len} bytes"));
    c.add(ipv6::ROUTING_TYPE, buf, 2, 1, Value::Uint(kind.into()));
    c.add(ipv6::ROUTING_SEGLEFT, buf, 3, 1, Value::Uint(left.into()));
    if kind == 4 {
        c.add(ipv6::ROUTING_SRH_LAST_ENTRY, buf, 4, 1, Value::Uint(buf.u8(4)?.into()));
        c.add(ipv6::ROUTING_SRH_FLAGS, buf, 5, 1, Value::Uint(buf.u8(5)?.into()));
        c.add(ipv6::ROUTING_SRH_TAG, buf, 6, 2, Value::Bytes);
        let mut at = 8;
        let mut place = 0;
        while at + 16 <= len {
            let addr: [u8; 16] = buf.array(at)?;
            c.add(ipv6::ROUTING_SRH_ADDR, buf, at, 16, Value::Ipv6(addr));
            let text = super::tree::ipv6(addr);
            c.label(format_args!("Address[{place}]: {text}"));
            at += 16;
            place += 1;
        }
    } else if len > 4 {
        c.add(ipv6::ROUTING_UNKNOWN_DATA, buf, 4, len - 4, Value::Bytes);
        buf.get(4, len - 4)?;
    }
    c.close();
    Ok((next, len))
}

type Fragment = std::result::Result<(u8, usize, bool), super::Cut>;

fn fragment(c: &mut Context<'_>, buf: Buf<'_>) -> Fragment {
    let (next, octet) = (buf.u8(0)?, buf.u8(1)?);
    let word = buf.u16(2)?;
    let ident = buf.u32(4)?;
    let (units, more) = (word >> 3, word & 1 == 1);
    let bytes = usize::from(units) * 8;
    if c.wants_columns() {
        c.columns.info.clear();
        info!(
            c,
            "IPv6 fragment (off={bytes} more={} ident=0x{ident:08x} nxt={next})",
            if more { 'y' } else { 'n' }
        );
    }
    c.layer("ipv6.fraghdr");
    c.add(ipv6::FRAGHDR, buf, 0, 8, Value::Whole((buf.at + 8) as u32));
    c.open();
    c.add(ipv6::FRAGHDR_NXT, buf, 0, 1, Value::Uint(next.into()));
    c.add(ipv6::FRAGHDR_RESERVED_OCTET, buf, 1, 1, Value::Uint(octet.into()));
    c.add(ipv6::FRAGHDR_OFFSET, buf, 2, 2, Value::Uint(units.into()));
    if c.wants_labels() {
        let bits = format!("{units:013b}");
        c.label(format_args!(
            "{} {} {} {}... = Offset: {units} ({bytes} bytes)",
            &bits[..4],
            &bits[4..8],
            &bits[8..12],
            &bits[12..]
        ));
    }
    c.add(ipv6::FRAGHDR_RESERVED_BITS, buf, 2, 2, Value::Uint((word >> 1 & 3).into()));
    c.add(ipv6::FRAGHDR_MORE, buf, 2, 2, Value::Bool(more));
    c.add(ipv6::FRAGHDR_IDENT, buf, 4, 4, Value::Uint(ident.into()));
    c.close();
    Ok((next, bytes, more))
}
