//! Options of IPv4 (RFC 791) and TCP (RFC 9293 and later).

use super::field::{ip as ipf, tcp as tcpf};
use super::tree::push_number;
use super::{Buf, Context, Group, Id, Result, Severity, Value, info, tree};

/// What the analysis needs of TCP's options.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scanned {
    pub scale: Option<u8>,
    pub sacks: usize,
    /// Some are cut away.
    pub cut: bool,
}

/// Reads them without making rows.
pub fn scan(buf: Buf<'_>, head: usize) -> Scanned {
    let kept = buf.kept();
    let mut scanned = Scanned { cut: kept.len() < head, ..Scanned::default() };
    let bytes = kept.get(20..head.min(kept.len())).unwrap_or_default();
    let mut rest = bytes;
    while let [kind, more @ ..] = rest {
        match (kind, more) {
            (0, _) => break,
            (1, _) => rest = more,
            (kind, [len, ..]) if *len >= 2 => {
                let len = usize::from(*len);
                match (kind, rest.get(..len)) {
                    (3, Some([_, _, shift])) => scanned.scale = Some(*shift),
                    (5, Some(block)) => scanned.sacks = (block.len() - 2) / 8,
                    _ => {}
                }
                rest = rest.get(len..).unwrap_or_default();
            }
            _ => break,
        }
    }
    scanned
}

/// Names of TCP's options.
fn name(kind: u8) -> &'static str {
    match kind {
        0 => "End of Option List (EOL)",
        1 => "No-Operation (NOP)",
        2 => "Maximum segment size",
        3 => "Window scale",
        4 => "SACK permitted",
        5 => "SACK",
        6 => "Echo",
        7 => "Echo reply",
        8 => "Timestamps",
        19 => "TCP MD5 signature",
        28 => "User Timeout",
        29 => "Authentication Option",
        30 => "Multipath TCP",
        34 => "TCP Fast Open",
        253 | 254 => "Experimental",
        _ => "Unknown",
    }
}

/// The least and the most bytes of an option.
fn lengths(kind: u8) -> (usize, usize) {
    match kind {
        2 => (4, 4),
        3 => (3, 3),
        4 => (2, 2),
        5 => (10, 255),
        6 | 7 => (6, 6),
        8 => (10, 10),
        19 => (18, 18),
        28 => (4, 4),
        30 => (3, 255),
        253 | 254 => (4, 255),
        _ => (2, 255),
    }
}

pub fn tcp(c: &mut Context<'_>, buf: Buf<'_>, head: usize, _syn: bool) -> Result {
    let len = head - 20;
    c.add(tcpf::OPTIONS, buf, 20, len, Value::Bytes);
    let row = c.place();
    c.label(format_args!("Options: ({len} bytes)"));
    let mut names = String::new();
    c.open();
    let depth = c.depth;
    let end = head;
    let mut at = 20;
    let mut result = Ok(());
    while at < end {
        match one(c, buf, at, end, &mut names) {
            Ok(0) => break,
            Ok(len) => at += len,
            Err(cut) => {
                result = Err(cut);
                break;
            }
        }
    }
    c.depth = depth;
    c.close();
    // Those that are cut away are not named.
    if !names.is_empty() {
        c.label_at(row, format_args!("Options: ({len} bytes){names}"));
    }
    result
}

type Length = std::result::Result<usize, super::Cut>;

fn one(c: &mut Context<'_>, buf: Buf<'_>, at: usize, end: usize, names: &mut String) -> Length {
    let kind = buf.u8(at)?;
    let title = name(kind);
    let named = |c: &Context<'_>, names: &mut String| {
        if c.wants_labels() {
            names.push_str(", ");
            names.push_str(title);
            if title == "Unknown" {
                names.push_str(&format!(" (0x{kind:02x})"));
            }
        }
    };
    if kind < 2 {
        named(c, names);
        let id = if kind == 0 { tcpf::OPTIONS_EOL } else { tcpf::OPTIONS_NOP };
        c.add(id, buf, at, 1, Value::Bytes);
        c.label(format_args!("TCP Option - {title}"));
        c.open();
        c.add(tcpf::OPTION_KIND, buf, at, 1, Value::Uint(kind.into()));
        c.close();
        return Ok(if kind == 0 { 0 } else { 1 });
    }
    let problem = |c: &mut Context<'_>, text: std::fmt::Arguments<'_>| {
        c.title(buf, at, 1, format_args!("{text}"));
        c.expert(tcpf::OPTION_LEN_INVALID, buf.from(at), Severity::Note, Group::Sequence, text);
        Ok(0)
    };
    if at + 1 >= end {
        return problem(c, format_args!("{title} (length byte past end of options)"));
    }
    let len = usize::from(buf.u8(at + 1)?);
    let (least, most) = lengths(kind);
    if len < 2 {
        return problem(c, format_args!("{title} (with too-short option length = {len} bytes)"));
    }
    if at + len > end {
        return problem(
            c,
            format_args!(
                "{title} (option length = {len} bytes says option goes past end of options)"
            ),
        );
    }
    if len < least || len > most {
        c.add(tcpf::OPTIONS_UNKNOWN, buf, at, len, Value::Bytes);
        c.label(format_args!("{title} (with option length = {len} bytes; should be {least})"));
        buf.get(at, len)?;
        named(c, names);
        return Ok(len);
    }
    let open = |c: &mut Context<'_>, id: Id| {
        c.add(id, buf, at, len, Value::Bytes);
        c.label(format_args!("TCP Option - {title}"));
        c.open();
        c.add(tcpf::OPTION_KIND, buf, at, 1, Value::Uint(kind.into()));
        c.add(tcpf::OPTION_LEN, buf, at + 1, 1, Value::Uint(len as u64));
    };
    match kind {
        2 => {
            open(c, tcpf::OPTIONS_MSS);
            let value = buf.u16(at + 2)?;
            let row = c.place().saturating_sub(2);
            c.label_at(row, format_args!("TCP Option - Maximum segment size: {value} bytes"));
            c.add(tcpf::OPTIONS_MSS_VAL, buf, at + 2, 2, Value::Uint(value.into()));
            short(c, "MSS", value.into());
        }
        3 => {
            open(c, tcpf::OPTIONS_WSCALE);
            let shift = buf.u8(at + 2)?;
            let row = c.place().saturating_sub(2);
            let times = 1_u32 << shift.min(14);
            c.label_at(
                row,
                format_args!("TCP Option - Window scale: {shift} (multiply by {times})"),
            );
            c.add(tcpf::OPTIONS_WSCALE_SHIFT, buf, at + 2, 1, Value::Uint(shift.into()));
            c.add(tcpf::OPTIONS_WSCALE_MULTIPLIER, buf, at + 2, 1, Value::Uint(times.into()));
            c.last(|node| node.generated = true);
            short(c, "WS", times.into());
        }
        4 => {
            open(c, tcpf::OPTIONS_SACK_PERM);
            info!(c, " SACK_PERM");
        }
        5 => sack(c, buf, at, len)?,
        8 => {
            open(c, tcpf::OPTIONS_TIMESTAMP);
            let row = c.place().saturating_sub(2);
            let value = buf.u32(at + 2)?;
            c.add(tcpf::OPTIONS_TIMESTAMP_TSVAL, buf, at + 2, 4, Value::Uint(value.into()));
            c.label_at(row, format_args!("TCP Option - Timestamps: TSval {value}"));
            short(c, "TSval", value.into());
            let echo = buf.u32(at + 6)?;
            c.label_at(row, format_args!("TCP Option - Timestamps: TSval {value}, TSecr {echo}"));
            c.add(tcpf::OPTIONS_TIMESTAMP_TSECR, buf, at + 6, 4, Value::Uint(echo.into()));
            short(c, "TSecr", echo.into());
        }
        19 => {
            open(c, tcpf::OPTIONS_MD5);
            c.add(tcpf::OPTIONS_MD5_DIGEST, buf, at + 2, 16, Value::Bytes);
            info!(c, " MD5");
        }
        28 => {
            let word = buf.u16(at + 2)?;
            open(c, tcpf::OPTIONS_USER_TO);
            let (minutes, time) = (word & 0x8000 != 0, word & 0x7fff);
            c.add(tcpf::OPTIONS_USER_TO_GRANULARITY, buf, at + 2, 2, Value::Bool(minutes));
            c.add(tcpf::OPTIONS_USER_TO_VAL, buf, at + 2, 2, Value::Uint(time.into()));
            info!(c, " USER_TO={time}");
        }
        34 => {
            open(c, tcpf::OPTIONS_TFO);
            if len == 2 {
                c.add(tcpf::OPTIONS_TFO_REQUEST, buf, at, 2, Value::None);
                info!(c, " TFO=R");
            } else {
                buf.get(at, len)?;
                c.add(tcpf::OPTIONS_TFO_COOKIE, buf, at + 2, len - 2, Value::Bytes);
                info!(c, " TFO=C");
            }
        }
        253 | 254 => {
            open(c, tcpf::OPTIONS_EXPERIMENTAL);
            let row = c.place().saturating_sub(2);
            let exid = buf.u16(at + 2)?;
            let word = tcpf::OPTIONS_EXPERIMENTAL_EXID.field().and_then(|f| f.word(exid.into()));
            c.label_at(
                row,
                format_args!("TCP Option - Experimental: {}", word.unwrap_or("Unknown")),
            );
            c.add(tcpf::OPTIONS_EXPERIMENTAL_EXID, buf, at + 2, 2, Value::Uint(exid.into()));
            if len > 4 {
                c.add(tcpf::OPTIONS_EXPERIMENTAL_DATA, buf, at + 4, len - 4, Value::Bytes);
            }
            info!(c, " ExID={exid:04x}");
        }
        _ => {
            open(c, tcpf::OPTIONS_UNKNOWN);
            if len > 2 {
                c.add(tcpf::OPTIONS_UNKNOWN_PAYLOAD, buf, at + 2, len - 2, Value::Bytes);
            }
        }
    }
    c.close();
    buf.get(at, len)?;
    named(c, names);
    Ok(len)
}

fn short(c: &mut Context<'_>, name: &str, value: u64) {
    if c.wants_columns() {
        let info = &mut c.columns.info;
        info.push(' ');
        info.push_str(name);
        info.push('=');
        push_number(info, value);
    }
}

/// Blocks that are there already (RFC 2018), relative as the acknowledgements are.
fn sack(c: &mut Context<'_>, buf: Buf<'_>, at: usize, len: usize) -> Result {
    let known = c.state.known(c.pair, c.ports.0, c.ports.1).map(|(tcp, side)| {
        let tcp = tcp.clone();
        (tcp, side)
    });
    let relative = |seq: u32| match &known {
        Some((tcp, side)) => tcp.relative(side ^ 1, seq),
        None => seq,
    };
    c.add(tcpf::OPTIONS_SACK, buf, at, len, Value::Bytes);
    c.label(format_args!("TCP Option - SACK"));
    let row = c.place();
    c.open();
    c.add(tcpf::OPTION_KIND, buf, at, 1, Value::Uint(5));
    c.add(tcpf::OPTION_LEN, buf, at + 1, 1, Value::Uint(len as u64));
    let mut text = String::from("TCP Option - SACK");
    let mut count = 0_u64;
    for block in (at + 2..at + len).step_by(8).take_while(|block| block + 8 <= at + len) {
        let (left, right) = (relative(buf.u32(block)?), relative(buf.u32(block + 4)?));
        c.add(tcpf::OPTIONS_SACK_LE, buf, block, 4, Value::Uint(left.into()));
        c.label(format_args!("left edge = {left} (relative)"));
        c.add(tcpf::OPTIONS_SACK_RE, buf, block + 4, 4, Value::Uint(right.into()));
        c.label(format_args!("right edge = {right} (relative)"));
        text.push_str(&format!(" {left}-{right}"));
        short(c, "SLE", left.into());
        short(c, "SRE", right.into());
        count += 1;
    }
    c.label_at(row, format_args!("{text}"));
    c.generate(tcpf::OPTIONS_SACK_COUNT, buf.from(at + 2), Value::Uint(count));
    Ok(())
}

/// Options of IPv4.
pub fn ip(c: &mut Context<'_>, buf: Buf<'_>, head: usize) -> Result {
    let title = |kind: u8| match kind & 31 {
        0 => "End of Options List (EOL)",
        1 => "No-Operation (NOP)",
        2 => "Security",
        3 => "Loose Source Route",
        4 => "Time Stamp",
        7 => "Record Route",
        8 => "Stream ID",
        9 => "Strict Source Route",
        20 => "Router Alert",
        _ => "Unknown",
    };
    let len = head - 20;
    c.title(buf, 20, len, format_args!("Options: ({len} bytes)"));
    let row = c.place();
    let mut names = String::new();
    c.open();
    let mut at = 20;
    while at < head {
        let kind = buf.u8(at)?;
        let name = title(kind);
        if kind & 31 == 0 || kind & 31 == 1 {
            if kind & 31 == 1 || names.is_empty() {
                names.push_str(", ");
                names.push_str(name);
            }
            let id = if kind & 31 == 0 { ipf::OPTIONS_EOL } else { ipf::OPTIONS_NOP };
            c.add(id, buf, at, 1, Value::Bytes);
            c.label(format_args!("IP Option - {name}"));
            c.open();
            option_kind(c, buf, at, kind);
            c.close();
            if kind & 31 == 0 {
                break;
            }
            at += 1;
            continue;
        }
        let size = usize::from(buf.u8(at + 1)?);
        if size < 2 || at + size > head {
            break;
        }
        names.push_str(", ");
        names.push_str(name);
        let id = match kind & 31 {
            2 => ipf::OPTIONS_SECURITY,
            4 => ipf::OPTIONS_TIMESTAMP,
            7 => ipf::OPTIONS_RECORD_ROUTE,
            8 => ipf::OPTIONS_SID,
            20 => ipf::OPTIONS_ROUTERALERT,
            _ => ipf::OPTIONS_RECORD_ROUTE,
        };
        c.add(id, buf, at, size, Value::Bytes);
        let place = c.place();
        c.label(format_args!("IP Option - {name} ({size} bytes)"));
        c.open();
        option_kind(c, buf, at, kind);
        c.add(ipf::OPT_LEN, buf, at + 1, 1, Value::Uint(size as u64));
        match kind & 31 {
            20 if size == 4 => {
                let value = buf.u16(at + 2)?;
                c.add(ipf::OPT_RA, buf, at + 2, 2, Value::Uint(value.into()));
                let word = if value == 0 { "Router shall examine packet" } else { "Reserved" };
                c.label(format_args!("Router Alert: {word} ({value})"));
                c.label_at(
                    place,
                    format_args!("IP Option - {name} ({size} bytes): {word} ({value})"),
                );
            }
            3 | 7 | 9 if size >= 3 => {
                let next = usize::from(buf.u8(at + 2)?);
                c.add(ipf::OPT_PTR, buf, at + 2, 1, Value::Uint(next as u64));
                let mut route = 3;
                while route + 4 <= size {
                    let addr: [u8; 4] = buf.array(at + route)?;
                    let text = tree::ipv4(addr);
                    let empty = route + 1 >= next;
                    let (one, host, words) = if kind & 31 == 7 && !empty {
                        (ipf::REC_RT, ipf::REC_RT_HOST, "Recorded Route")
                    } else if kind & 31 == 7 {
                        (ipf::EMPTY_RT, ipf::EMPTY_RT_HOST, "Empty Route")
                    } else {
                        (ipf::SRC_RT, ipf::SRC_RT, "Source Route")
                    };
                    c.add(one, buf, at + route, 4, Value::Ipv4(addr));
                    if route + 1 == next {
                        c.label(format_args!("{words}: {text} <- (next)"));
                    } else {
                        c.label(format_args!("{words}: {text}"));
                    }
                    if host != one {
                        let value = c.text(format_args!("{text}"));
                        c.hide(host, buf, at + route, 4, value);
                    }
                    route += 4;
                }
            }
            _ => {}
        }
        c.close();
        at += size;
    }
    c.close();
    c.label_at(row, format_args!("Options: ({len} bytes){names}"));
    Ok(())
}

fn option_kind(c: &mut Context<'_>, buf: Buf<'_>, at: usize, kind: u8) {
    c.add(ipf::OPT_TYPE, buf, at, 1, Value::Uint(kind.into()));
    c.open();
    c.add(ipf::OPT_TYPE_COPY, buf, at, 1, Value::Bool(kind & 0x80 != 0));
    c.add(ipf::OPT_TYPE_CLASS, buf, at, 1, Value::Uint((kind >> 5 & 3).into()));
    c.add(ipf::OPT_TYPE_NUMBER, buf, at, 1, Value::Uint((kind & 31).into()));
    c.close();
}
