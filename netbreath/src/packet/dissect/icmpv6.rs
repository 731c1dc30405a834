//! ICMPv6 (RFC 4443), neighbour discovery (RFC 4861) and listeners of groups (RFC 3810).

use std::fmt::Write as _;

use super::field::icmpv6;
use super::icmp::{inner, sum_rows};
use super::stream::Question;
use super::{Addr, Buf, Context, End, Id, Pair, Result, Value, column, data, info, ipv6, tree};

fn word(id: Id, value: u64) -> Option<&'static str> {
    id.field().and_then(|field| field.word(value))
}

fn code_words(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (1, 0) => "no route to destination",
        (1, 1) => "Administratively prohibited",
        (1, 2) => "Beyond scope of source address",
        (1, 3) => "Address unreachable",
        (1, 4) => "Port unreachable",
        (1, 5) => "Source address failed ingress/egress policy",
        (1, 6) => "Reject route to destination",
        (3, 0) => "hop limit exceeded in transit",
        (3, 1) => "fragment reassembly time exceeded",
        (4, 0) => "erroneous header field encountered",
        (4, 1) => "unrecognized Next Header type encountered",
        (4, 2) => "unrecognized IPv6 option encountered",
        _ => return None,
    })
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "ICMPv6";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("ICMPv6");
        c.columns.info.clear();
    }
    let len = buf.len();
    c.enter(icmpv6::SELF, buf, buf.kept().len());
    c.open();
    let kind = buf.u8(0)?;
    let name = word(icmpv6::TYPE, kind.into()).unwrap_or("Unknown");
    info!(c, "{name}");
    c.add(icmpv6::TYPE, buf, 0, 1, Value::Uint(kind.into()));
    let code = buf.u8(1)?;
    c.add(icmpv6::CODE, buf, 1, 1, Value::Uint(code.into()));
    match code_words(kind, code) {
        Some(text) => {
            c.label(format_args!("Code: {code} ({text})"));
            info!(c, " ({text})");
        }
        None => c.label(format_args!("Code: {code}")),
    }
    let sum = buf.u16(2)?;
    c.add(icmpv6::CHECKSUM, buf, 2, 2, Value::Uint(sum.into()));
    let ends = match c.pair {
        Pair { source: End::Ipv6(a), target: End::Ipv6(b) } => Some([a, b].concat()),
        _ => None,
    };
    match ends {
        Some(ends) if buf.kept().len() == len && !c.in_error && !c.fragment => {
            let tail = [(len as u32).to_be_bytes(), [0, 0, 0, 58]].concat();
            sum_rows(c, buf, sum, &[&ends, &tail, buf.kept()], true);
        }
        _ => {
            c.label(format_args!("Checksum: 0x{sum:04x} [unverified]"));
            c.generate(icmpv6::CHECKSUM_STATUS, buf.from(2), Value::Uint(2));
            c.label(format_args!("Checksum Status: Unverified"));
        }
    }
    let result = body(c, buf, kind);
    if result.is_ok() && !matches!(kind, 1..=4) {
        c.close();
    }
    result
}

fn body(c: &mut Context<'_>, buf: Buf<'_>, kind: u8) -> Result {
    match kind {
        1..=4 => {
            match kind {
                2 => c.add(icmpv6::MTU, buf, 4, 4, Value::Uint(buf.u32(4)?.into())),
                4 => c.add(icmpv6::POINTER, buf, 4, 4, Value::Uint(buf.u32(4)?.into())),
                _ => {
                    c.add(icmpv6::RESERVED, buf, 4, 4, Value::Bytes);
                    buf.get(4, 4)?;
                }
            }
            inner(c, buf.from(8), ipv6::dissect)
        }
        128 | 129 => echo(c, buf, kind == 128),
        130 => query(c, buf),
        131 | 132 => {
            c.add(icmpv6::MLD_MAXIMUM_RESPONSE_DELAY, buf, 4, 2, Value::Uint(buf.u16(4)?.into()));
            c.add(icmpv6::RESERVED, buf, 6, 2, Value::Bytes);
            c.add(icmpv6::MLD_MULTICAST_ADDRESS, buf, 8, 16, Value::Ipv6(buf.array(8)?));
            Ok(())
        }
        133 => {
            c.add(icmpv6::RESERVED, buf, 4, 4, Value::Bytes);
            buf.get(4, 4)?;
            options(c, buf, 8)
        }
        134 => advertisement(c, buf),
        135 => {
            let target: [u8; 16] = buf.array(8)?;
            c.add(icmpv6::RESERVED, buf, 4, 4, Value::Bytes);
            c.add(icmpv6::ND_NS_TARGET_ADDRESS, buf, 8, 16, Value::Ipv6(target));
            info!(c, " for {}", tree::ipv6(target));
            options(c, buf, 24)
        }
        136 => neighbour(c, buf),
        137 => {
            c.add(icmpv6::RESERVED, buf, 4, 4, Value::Bytes);
            let target: [u8; 16] = buf.array(8)?;
            c.add(icmpv6::ND_RD_TARGET_ADDRESS, buf, 8, 16, Value::Ipv6(target));
            c.add(icmpv6::RD_NA_DESTINATION_ADDRESS, buf, 24, 16, Value::Ipv6(buf.array(24)?));
            options(c, buf, 40)
        }
        143 => report(c, buf),
        _ => {
            let rest = buf.from(4);
            if !rest.is_empty() {
                c.add(icmpv6::DATA, rest, 0, rest.kept().len(), Value::Bytes);
            }
            Ok(())
        }
    }
}

fn echo(c: &mut Context<'_>, buf: Buf<'_>, request: bool) -> Result {
    let (id, seq) = (buf.u16(4)?, buf.u16(6)?);
    c.add(icmpv6::ECHO_IDENTIFIER, buf, 4, 2, Value::Uint(id.into()));
    c.add(icmpv6::ECHO_SEQUENCE_NUMBER, buf, 6, 2, Value::Uint(seq.into()));
    info!(c, " id=0x{id:04x}, seq={seq}, hop limit={}", c.ttl);
    if !c.in_error {
        let Pair { source, target } = c.pair;
        let pair = if request { c.pair } else { Pair { source: target, target: source } };
        let question = Question { protocol: 58, pair, ports: (0, 0), id: buf.u32(4)? };
        if request {
            c.state.ask(question, c.meta.number, c.meta.time);
        } else if let Some(asked) = c.state.asked(&question) {
            let time = c.meta.time - asked.time;
            c.generate(icmpv6::RESP_TO, buf, Value::Uint(asked.number));
            c.label(format_args!("Response To: {}", asked.number));
            let value = c.text(format_args!("{}", super::icmp::Millis(time)));
            c.generate(icmpv6::RESPTIME, buf, value);
            c.label(format_args!("Response Time: {:.3} ms", time as f64 / 1e6));
            info!(c, " (request in {})", asked.number);
        }
    }
    let base = std::mem::replace(&mut c.base, c.depth);
    let result = c.inside(buf.from(8), data::below);
    c.base = base;
    result
}

fn mac(addr: [u8; 6]) -> String {
    let mut text = String::new();
    Addr::Ether(addr).push(&mut text);
    text
}

fn neighbour(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    let flags = buf.u32(4)?;
    let target: [u8; 16] = buf.array(8)?;
    c.add(icmpv6::ND_NA_FLAG, buf, 4, 4, Value::Uint(flags.into()));
    let rows = [
        (0x8000_0000_u32, icmpv6::ND_NA_FLAG_R, "Router", "rtr"),
        (0x4000_0000, icmpv6::ND_NA_FLAG_S, "Solicited", "sol"),
        (0x2000_0000, icmpv6::ND_NA_FLAG_O, "Override", "ovr"),
    ];
    let mut names = String::new();
    let mut shorts = Vec::new();
    for (bit, _, name, short) in rows {
        if flags & bit != 0 {
            let _ = write!(names, ", {name}");
            shorts.push(short);
        }
    }
    c.label(format_args!("Flags: 0x{flags:08x}{names}"));
    c.open();
    for (bit, id, _, _) in rows {
        c.add(id, buf, 4, 4, Value::Bool(flags & bit != 0));
    }
    c.add(icmpv6::ND_NA_FLAG_RSV, buf, 4, 4, Value::Uint((flags & 0x1fff_ffff).into()));
    c.close();
    c.add(icmpv6::ND_NA_TARGET_ADDRESS, buf, 8, 16, Value::Ipv6(target));
    info!(c, " {}", tree::ipv6(target));
    if !shorts.is_empty() {
        info!(c, " ({})", shorts.join(", "));
    }
    options(c, buf, 24)
}

fn advertisement(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.add(icmpv6::ND_RA_CUR_HOP_LIMIT, buf, 4, 1, Value::Uint(buf.u8(4)?.into()));
    let flags = buf.u8(5)?;
    let preference = u64::from(flags >> 3 & 3);
    c.add(icmpv6::ND_RA_FLAG, buf, 5, 1, Value::Uint(flags.into()));
    let rows = [
        (0x80, icmpv6::ND_RA_FLAG_M, "Managed address configuration"),
        (0x40, icmpv6::ND_RA_FLAG_O, "Other configuration"),
        (0x20, icmpv6::ND_RA_FLAG_H, "Home Agent"),
    ];
    let mut names = String::new();
    for (bit, _, name) in rows {
        if flags & bit != 0 {
            let _ = write!(names, ", {name}");
        }
    }
    let preferred = word(icmpv6::ND_RA_FLAG_PRF, preference).unwrap_or("Unknown");
    c.label(format_args!(
        "Flags: 0x{flags:02x}{names}, Prf (Default Router Preference): {preferred}{}",
        if flags & 4 != 0 { ", Proxy" } else { "" }
    ));
    c.open();
    for (bit, id, _) in rows {
        c.add(id, buf, 5, 1, Value::Bool(flags & bit != 0));
    }
    c.add(icmpv6::ND_RA_FLAG_PRF, buf, 5, 1, Value::Uint(preference));
    c.add(icmpv6::ND_RA_FLAG_P, buf, 5, 1, Value::Bool(flags & 4 != 0));
    c.add(icmpv6::ND_RA_FLAG_RSV, buf, 5, 1, Value::Uint((flags & 3).into()));
    c.close();
    c.add(icmpv6::ND_RA_ROUTER_LIFETIME, buf, 6, 2, Value::Uint(buf.u16(6)?.into()));
    c.add(icmpv6::ND_RA_REACHABLE_TIME, buf, 8, 4, Value::Uint(buf.u32(8)?.into()));
    c.add(icmpv6::ND_RA_RETRANS_TIMER, buf, 12, 4, Value::Uint(buf.u32(12)?.into()));
    options(c, buf, 16)
}

/// Options of neighbour discovery.
fn options(c: &mut Context<'_>, buf: Buf<'_>, mut at: usize) -> Result {
    let mut told = false;
    while at < buf.len() {
        let (kind, units) = (buf.u8(at)?, buf.u8(at + 1)?);
        let len = usize::from(units) * 8;
        let name = word(icmpv6::OPT_TYPE, kind.into()).unwrap_or("Unknown");
        c.add(icmpv6::OPT, buf, at, len, Value::None);
        let row = c.place();
        c.label(format_args!("ICMPv6 Option ({name})"));
        c.open();
        c.add(icmpv6::OPT_TYPE, buf, at, 1, Value::Uint(kind.into()));
        c.add(icmpv6::OPT_LENGTH, buf, at + 1, 1, Value::Uint(units.into()));
        c.label(format_args!("Length: {units} ({len} bytes)"));
        if len == 0 {
            c.close();
            break;
        }
        buf.get(at, len)?;
        match (kind, units) {
            (1 | 2, 1) => {
                let addr: [u8; 6] = buf.array(at + 2)?;
                let text = mac(addr);
                let id =
                    if kind == 1 { icmpv6::OPT_SRC_LINKADDR } else { icmpv6::OPT_TARGET_LINKADDR };
                c.add(icmpv6::OPT_LINKADDR, buf, at + 2, 6, Value::Ether(addr));
                c.hide(id, buf, at + 2, 6, Value::Ether(addr));
                c.label_at(row, format_args!("ICMPv6 Option ({name} : {text})"));
                if !told {
                    info!(c, " {} {text}", if kind == 1 { "from" } else { "is at" });
                }
                told = true;
            }
            (3, 4) => {
                let prefix = buf.u8(at + 2)?;
                let flags = buf.u8(at + 3)?;
                let addr: [u8; 16] = buf.array(at + 16)?;
                c.add(icmpv6::OPT_PREFIX_LENGTH, buf, at + 2, 1, Value::Uint(prefix.into()));
                c.add(icmpv6::OPT_PREFIX_FLAG, buf, at + 3, 1, Value::Uint(flags.into()));
                let rows = [
                    (0x80, icmpv6::OPT_PREFIX_FLAG_L, "On-link flag(L)"),
                    (0x40, icmpv6::OPT_PREFIX_FLAG_A, "Autonomous address-configuration flag(A)"),
                    (0x20, icmpv6::OPT_PREFIX_FLAG_R, "Router address flag(R)"),
                ];
                let mut names = String::new();
                for (bit, _, name) in rows {
                    if flags & bit != 0 {
                        let _ = write!(names, ", {name}");
                    }
                }
                c.label(format_args!("Flag: 0x{flags:02x}{names}"));
                c.open();
                for (bit, id, _) in rows {
                    c.add(id, buf, at + 3, 1, Value::Bool(flags & bit != 0));
                }
                let reserved = Value::Uint((flags & 31).into());
                c.add(icmpv6::OPT_PREFIX_FLAG_RESERVED, buf, at + 3, 1, reserved);
                c.close();
                for (id, at) in [
                    (icmpv6::OPT_PREFIX_VALID_LIFETIME, at + 4),
                    (icmpv6::OPT_PREFIX_PREFERRED_LIFETIME, at + 8),
                ] {
                    let time = buf.u32(at)?;
                    c.add(id, buf, at, 4, Value::Uint(time.into()));
                    if time == u32::MAX {
                        let title = id.field().map_or("", |field| field.title);
                        c.label(format_args!("{title}: Infinity ({time})"));
                    }
                }
                c.add(icmpv6::OPT_RESERVED, buf, at + 12, 4, Value::None);
                c.add(icmpv6::OPT_PREFIX, buf, at + 16, 16, Value::Ipv6(addr));
                let text = tree::ipv6(addr);
                c.label_at(row, format_args!("ICMPv6 Option ({name} : {text}/{prefix})"));
            }
            (5, 1) => {
                let mtu = buf.u32(at + 4)?;
                c.add(icmpv6::OPT_RESERVED, buf, at + 2, 2, Value::None);
                c.add(icmpv6::OPT_MTU, buf, at + 4, 4, Value::Uint(mtu.into()));
                c.label_at(row, format_args!("ICMPv6 Option ({name} : {mtu})"));
            }
            _ => {}
        }
        c.close();
        at += len;
    }
    Ok(())
}

fn query(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    let second = buf.len() >= 28;
    let delay =
        if second { icmpv6::MLD_MAXIMUM_RESPONSE_CODE } else { icmpv6::MLD_MAXIMUM_RESPONSE_DELAY };
    c.add(delay, buf, 4, 2, Value::Uint(buf.u16(4)?.into()));
    c.add(icmpv6::RESERVED, buf, 6, 2, Value::Bytes);
    c.add(icmpv6::MLD_MULTICAST_ADDRESS, buf, 8, 16, Value::Ipv6(buf.array(8)?));
    if !second {
        return Ok(());
    }
    let flags = buf.u8(24)?;
    c.add(icmpv6::MLD_FLAG, buf, 24, 1, Value::Uint(flags.into()));
    c.open();
    c.add(icmpv6::MLD_FLAG_S, buf, 24, 1, Value::Bool(flags & 8 != 0));
    c.add(icmpv6::MLD_FLAG_QRV, buf, 24, 1, Value::Uint((flags & 7).into()));
    c.add(icmpv6::MLD_FLAG_RESERVED, buf, 24, 1, Value::Uint((flags >> 4).into()));
    c.close();
    c.add(icmpv6::MLD_QQI, buf, 25, 1, Value::Uint(buf.u8(25)?.into()));
    let count = buf.u16(26)?;
    c.add(icmpv6::MLD_NB_SOURCES, buf, 26, 2, Value::Uint(count.into()));
    for place in 0..usize::from(count) {
        let at = 28 + place * 16;
        c.add(icmpv6::MLD_SOURCE_ADDRESS, buf, at, 16, Value::Ipv6(buf.array(at)?));
    }
    Ok(())
}

fn report(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.add(icmpv6::RESERVED, buf, 4, 2, Value::Bytes);
    let count = buf.u16(6)?;
    c.add(icmpv6::MLDR_NB_MCAST_RECORDS, buf, 6, 2, Value::Uint(count.into()));
    let mut at = 8;
    for _ in 0..count {
        let (kind, aux) = (buf.u8(at)?, buf.u8(at + 1)?);
        let sources = buf.u16(at + 2)?;
        let group: [u8; 16] = buf.array(at + 4)?;
        let len = 20 + usize::from(sources) * 16 + usize::from(aux) * 4;
        let name = word(icmpv6::MLDR_MAR_RECORD_TYPE, kind.into()).unwrap_or("Unknown");
        c.add(icmpv6::MLDR_MAR, buf, at, len, Value::None);
        c.label(format_args!("Multicast Address Record {name}: {}", tree::ipv6(group)));
        c.open();
        c.add(icmpv6::MLDR_MAR_RECORD_TYPE, buf, at, 1, Value::Uint(kind.into()));
        c.add(icmpv6::MLDR_MAR_AUX_DATA_LEN, buf, at + 1, 1, Value::Uint(aux.into()));
        c.add(icmpv6::MLDR_MAR_NB_SOURCES, buf, at + 2, 2, Value::Uint(sources.into()));
        c.add(icmpv6::MLDR_MAR_MULTICAST_ADDRESS, buf, at + 4, 16, Value::Ipv6(group));
        for place in 0..usize::from(sources) {
            let at = at + 20 + place * 16;
            c.add(icmpv6::MLDR_MAR_SOURCE_ADDRESS, buf, at, 16, Value::Ipv6(buf.array(at)?));
        }
        c.close();
        at += len;
    }
    Ok(())
}
