//! ICMP (RFC 792).

use super::field::icmp;
use super::stream::Question;
use super::{
    Buf, Context, End, Group, Pair, Result, Severity, Value, checksum, column, data, info, ip,
};

/// The column's words for a type.
fn words(kind: u8) -> &'static str {
    match kind {
        0 => "Echo (ping) reply",
        3 => "Destination unreachable",
        4 => "Source quench (flow control)",
        5 => "Redirect",
        8 => "Echo (ping) request",
        9 => "Router advertisement",
        10 => "Router solicitation",
        11 => "Time-to-live exceeded",
        12 => "Parameter problem",
        13 => "Timestamp request",
        14 => "Timestamp reply",
        15 => "Information request",
        16 => "Information reply",
        17 => "Address mask request",
        18 => "Address mask reply",
        _ => "Unknown ICMP (obsolete or malformed?)",
    }
}

/// What a code means, by its type.
fn code_words(kind: u8, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (3, 0) => "Network unreachable",
        (3, 1) => "Host unreachable",
        (3, 2) => "Protocol unreachable",
        (3, 3) => "Port unreachable",
        (3, 4) => "Fragmentation needed",
        (3, 5) => "Source route failed",
        (3, 6) => "Network unknown",
        (3, 7) => "Host unknown",
        (3, 8) => "Source host isolated",
        (3, 9) => "Network administratively prohibited",
        (3, 10) => "Host administratively prohibited",
        (3, 11) => "Network unreachable for TOS",
        (3, 12) => "Host unreachable for TOS",
        (3, 13) => "Communication administratively filtered",
        (3, 14) => "Host precedence violation",
        (3, 15) => "Precedence cutoff in effect",
        (5, 0) => "Redirect for network",
        (5, 1) => "Redirect for host",
        (5, 2) => "Redirect for TOS and network",
        (5, 3) => "Redirect for TOS and host",
        (11, 0) => "Time to live exceeded in transit",
        (11, 1) => "Fragment reassembly time exceeded",
        (12, 0) => "Pointer indicates the error",
        (12, 1) => "Required option missing",
        (12, 2) => "Bad length",
        _ => return None,
    })
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "ICMP";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("ICMP");
        c.columns.info.clear();
    }
    let kind = buf.u8(0)?;
    let code = buf.u8(1)?;
    let code_text = code_words(kind, code);
    let name = words(kind);
    match code_text {
        Some(text) => info!(c, "{name:<20} ({text})"),
        None => info!(c, "{name:<20}"),
    }
    let len = buf.len();
    c.enter(icmp::SELF, buf, buf.kept().len());
    c.open();
    c.add(icmp::TYPE, buf, 0, 1, Value::Uint(kind.into()));
    c.label(format_args!("Type: {kind} ({name})"));
    c.add(icmp::CODE, buf, 1, 1, Value::Uint(code.into()));
    match code_text {
        Some(text) => c.label(format_args!("Code: {code} ({text})")),
        None => c.label(format_args!("Code: {code}")),
    }
    let sum = buf.u16(2)?;
    c.add(icmp::CHECKSUM, buf, 2, 2, Value::Uint(sum.into()));
    let whole = buf.kept().len() == len && !c.in_error && !c.fragment;
    if whole {
        sum_rows(c, buf, sum, &[buf.kept()], false);
    } else {
        c.label(format_args!(
            "Checksum: 0x{sum:04x} [unverified] {}",
            if c.in_error { "[in ICMP error packet]" } else { "[fragmented datagram]" }
        ));
        c.generate(icmp::CHECKSUM_STATUS, buf.from(2), Value::Uint(2));
        c.label(format_args!("Checksum Status: Unverified"));
    }
    let mut at = 8;
    match kind {
        0 | 8 | 13..=18 => {
            let (id, seq) = (buf.u16(4)?, buf.u16(6)?);
            let (id_le, seq_le) = (id.swap_bytes(), seq.swap_bytes());
            c.add(icmp::IDENT, buf, 4, 2, Value::Uint(id.into()));
            c.label(format_args!("Identifier (BE): {id} (0x{id:04x})"));
            c.add(icmp::IDENT_LE, buf, 4, 2, Value::Uint(id_le.into()));
            c.label(format_args!("Identifier (LE): {id_le} (0x{id_le:04x})"));
            c.add(icmp::SEQ, buf, 6, 2, Value::Uint(seq.into()));
            c.label(format_args!("Sequence Number (BE): {seq} (0x{seq:04x})"));
            c.add(icmp::SEQ_LE, buf, 6, 2, Value::Uint(seq_le.into()));
            c.label(format_args!("Sequence Number (LE): {seq_le} (0x{seq_le:04x})"));
            info!(c, " id=0x{id:04x}, seq={seq}/{seq_le}");
            info!(c, ", ttl={}", c.ttl);
        }
        3 if code == 4 => {
            c.add(icmp::UNUSED, buf, 4, 2, Value::Bytes);
            c.add(icmp::MTU, buf, 6, 2, Value::Uint(buf.u16(6)?.into()));
        }
        3 | 4 | 11 => {
            c.add(icmp::UNUSED, buf, 4, 4, Value::Bytes);
            buf.get(4, 4)?;
        }
        5 => c.add(icmp::REDIR_GW, buf, 4, 4, Value::Ipv4(buf.array(4)?)),
        12 => {
            c.add(icmp::POINTER, buf, 4, 1, Value::Uint(buf.u8(4)?.into()));
            c.add(icmp::UNUSED, buf, 5, 3, Value::Bytes);
        }
        _ => at = 4,
    }
    match kind {
        0 | 8 if !c.in_error => {
            echo(c, buf, kind == 8, code)?;
            tail(c, buf, 8)
        }
        3 | 4 | 5 | 11 | 12 => inner(c, buf.from(8), ip::dissect),
        13 | 14 => {
            for (id, at) in [
                (icmp::ORIGINATE_TIMESTAMP, 8),
                (icmp::RECEIVE_TIMESTAMP, 12),
                (icmp::TRANSMIT_TIMESTAMP, 16),
            ] {
                let time = buf.u32(at)?;
                c.add(id, buf, at, 4, Value::Uint(time.into()));
                let title = id.field().map_or("", |field| field.title);
                let (ms, s) = (time % 1000, time / 1000);
                if s < 60 {
                    c.label(format_args!(
                        "{title}: {time} ({s}.{ms:03} seconds after midnight UTC)"
                    ));
                } else {
                    c.label(format_args!("{title}: {time}"));
                }
            }
            c.close();
            Ok(())
        }
        _ => tail(c, buf, at),
    }
}

fn tail(c: &mut Context<'_>, buf: Buf<'_>, at: usize) -> Result {
    let rest = buf.from(at);
    let base = std::mem::replace(&mut c.base, c.depth);
    let result = c.inside(rest, data::below);
    c.base = base;
    c.close();
    result
}

/// The packet that an error is about.
pub fn inner<'b>(
    c: &mut Context<'_>,
    buf: Buf<'b>,
    dissect: impl FnOnce(&mut Context<'_>, Buf<'b>) -> Result,
) -> Result {
    let saved = (c.base, c.in_error, c.pair, c.ports, c.ttl, c.end, c.fragment);
    let above = c.depth;
    c.base = c.depth;
    c.in_error = true;
    // Nothing in there is an error of its own.
    let result = if c.inside >= super::DEEPEST {
        Ok(())
    } else {
        c.inside += 1;
        let result = dissect(c, buf);
        c.inside -= 1;
        result
    };
    c.depth = above;
    (c.base, c.in_error, c.pair, c.ports, c.ttl, c.end, c.fragment) = saved;
    c.close();
    // What an error keeps of a packet is cut by whoever sent it.
    if result == Err(super::Cut::Missing) { Ok(()) } else { result }
}

/// How a checksum reads: of these parts, whose sum must be 0.
pub fn sum_rows(c: &mut Context<'_>, buf: Buf<'_>, sum: u16, parts: &[&[u8]], six: bool) {
    use super::field::icmpv6;
    let rest = checksum::of(parts);
    let (status, bad) = if six {
        (icmpv6::CHECKSUM_STATUS, icmpv6::CHECKSUM_BAD_EXPERT)
    } else {
        (icmp::CHECKSUM_STATUS, icmp::CHECKSUM_BAD)
    };
    let at = buf.from(2);
    if rest == 0 {
        c.label(format_args!("Checksum: 0x{sum:04x} [correct]"));
        c.generate(status, at, Value::Uint(1));
        c.label(format_args!("Checksum Status: Good"));
    } else {
        // Without the sum itself.
        let total = u32::from(!rest) + u32::from(!sum);
        let should = !(((total & 0xffff) + (total >> 16)) as u16);
        c.label(format_args!("Checksum: 0x{sum:04x} incorrect, should be 0x{should:04x}"));
        c.expert(
            bad,
            at,
            Severity::Warning,
            Group::Checksum,
            format_args!("Bad checksum [should be 0x{should:04x}]"),
        );
        c.generate(status, at, Value::Uint(0));
        c.label(format_args!("Checksum Status: Bad"));
    }
}

/// An answer is told with its question.
fn echo(c: &mut Context<'_>, buf: Buf<'_>, request: bool, _code: u8) -> Result {
    let id = buf.u32(4)?;
    let Pair { source, target } = c.pair;
    let pair = if request { c.pair } else { Pair { source: target, target: source } };
    let question = Question { protocol: 1, pair, ports: (0, 0), id };
    if request {
        c.state.ask(question, c.meta.number, c.meta.time);
        return Ok(());
    }
    if let Some(asked) = c.state.asked(&question) {
        let time = c.meta.time - asked.time;
        c.generate(icmp::RESP_TO, buf, Value::Uint(asked.number));
        c.label(format_args!("Request frame: {}", asked.number));
        let value = c.text(format_args!("{}", Millis(time)));
        c.generate(icmp::RESPTIME, buf, value);
        c.label(format_args!("Response time: {:.3} ms", time as f64 / 1e6));
        info!(c, " (request in {})", asked.number);
    }
    let _ = End::None;
    Ok(())
}

/// Milliseconds, as short as they are exact.
pub struct Millis(pub i64);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0 as f64 / 1e6)
    }
}
