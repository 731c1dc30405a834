//! IGMP (RFC 1112, RFC 2236, RFC 3376).

use super::field::igmp;
use super::tree::ipv4;
use super::{Buf, Context, Result, Value, checksum, column, data, info};

fn word(kind: u8) -> &'static str {
    igmp::RECORD_TYPE.field().and_then(|field| field.word(kind.into())).unwrap_or("Unknown")
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "IGMP";
    let kind = buf.u8(0)?;
    let code = buf.u8(1)?;
    let version: u8 = match kind {
        0x11 if buf.len() >= 12 => 3,
        0x11 if code == 0 => 1,
        0x11 => 2,
        0x12 => 1,
        0x16 | 0x17 => 2,
        0x22 => 3,
        _ => 0,
    };
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name(match version {
            1 => "IGMPv1",
            2 => "IGMPv2",
            3 => "IGMPv3",
            _ => "IGMP",
        });
        c.columns.info.clear();
    }
    // It is named twice, as Wireshark does.
    c.layer(igmp::SELF.name());
    c.enter(igmp::SELF, buf, buf.kept().len());
    c.open();
    if version > 0 {
        c.generate(igmp::VERSION, buf, Value::Uint(version.into()));
    }
    c.add(igmp::TYPE, buf, 0, 1, Value::Uint(kind.into()));
    match kind {
        0x11 => info!(c, "Membership Query"),
        0x12 | 0x16 | 0x22 => info!(c, "Membership Report"),
        0x17 => info!(c, "Leave Group"),
        _ => {
            info!(c, "Unknown Type: 0x{kind:02x}");
            c.close();
            return c.inside(buf.from(1), data::dissect);
        }
    }
    if kind == 0x22 || version == 1 {
        c.add(igmp::RESERVED, buf, 1, 1, Value::Bytes);
    } else {
        // Above 127 it is a small floating-point number in version 3.
        let tenths = if version == 3 && code >= 128 {
            (u32::from(code & 15) | 16) << (u32::from(code >> 4 & 7) + 3)
        } else {
            code.into()
        };
        c.add(igmp::MAX_RESP, buf, 1, 1, Value::Uint(code.into()));
        c.label(format_args!("Max Resp Time: {}.{} sec (0x{code:02x})", tenths / 10, tenths % 10));
    }
    let sum = buf.u16(2)?;
    c.add(igmp::CHECKSUM, buf, 2, 2, Value::Uint(sum.into()));
    if buf.kept().len() == buf.len() {
        let good = checksum::of(&[buf.kept()]) == 0;
        let text = if good { "correct" } else { "incorrect" };
        if good {
            c.label(format_args!("Checksum: 0x{sum:04x} [{text}]"));
        } else {
            let total = u32::from(!checksum::of(&[buf.kept()])) + u32::from(!sum);
            let should = !(((total & 0xffff) + (total >> 16)) as u16);
            c.label(format_args!("Checksum: 0x{sum:04x} {text}, should be 0x{should:04x}"));
        }
        c.generate(igmp::CHECKSUM_STATUS, buf.from(2), Value::Uint(good.into()));
        c.label(format_args!("Checksum Status: {}", if good { "Good" } else { "Bad" }));
    } else {
        c.label(format_args!("Checksum: 0x{sum:04x} [unverified]"));
        c.generate(igmp::CHECKSUM_STATUS, buf.from(2), Value::Uint(2));
        c.label(format_args!("Checksum Status: Unverified"));
    }
    let result = if kind == 0x22 { report(c, buf) } else { group(c, buf, kind, version) };
    if result.is_ok() {
        c.close();
    }
    result
}

fn group(c: &mut Context<'_>, buf: Buf<'_>, kind: u8, version: u8) -> Result {
    let addr: [u8; 4] = buf.array(4)?;
    c.add(igmp::MADDR, buf, 4, 4, Value::Ipv4(addr));
    match (kind, addr) {
        (0x11, [0, 0, 0, 0]) => info!(c, ", general"),
        (0x11, _) => info!(c, ", specific for group {}", ipv4(addr)),
        (0x16, _) => info!(c, " group {}", ipv4(addr)),
        (0x17, _) => info!(c, " {}", ipv4(addr)),
        _ => {}
    }
    if version != 3 {
        return Ok(());
    }
    let flags = buf.u8(8)?;
    c.add(igmp::S, buf, 8, 1, Value::Bool(flags & 8 != 0));
    c.add(igmp::QRV, buf, 8, 1, Value::Uint((flags & 7).into()));
    c.add(igmp::QQIC, buf, 9, 1, Value::Uint(buf.u8(9)?.into()));
    let count = buf.u16(10)?;
    c.add(igmp::NUM_SRC, buf, 10, 2, Value::Uint(count.into()));
    sources(c, buf, 12, count, ", source {")
}

/// Addresses of sources, in the summary behind `words`.
fn sources(c: &mut Context<'_>, buf: Buf<'_>, at: usize, count: u16, words: &str) -> Result {
    if count > 0 {
        info!(c, "{words}");
    }
    for place in 0..usize::from(count) {
        let at = at + place * 4;
        let addr: [u8; 4] = buf.array(at)?;
        c.add(igmp::SADDR, buf, at, 4, Value::Ipv4(addr));
        info!(c, "{}{}", if place == 0 { "" } else { ", " }, ipv4(addr));
    }
    if count > 0 {
        info!(c, "}}");
    }
    Ok(())
}

fn report(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.add(igmp::RESERVED, buf, 4, 2, Value::Bytes);
    let count = buf.u16(6)?;
    c.add(igmp::NUM_GRP_RECS, buf, 6, 2, Value::Uint(count.into()));
    let mut at = 8;
    for _ in 0..count {
        let (kind, aux) = (buf.u8(at)?, buf.u8(at + 1)?);
        let number = buf.u16(at + 2)?;
        let addr: [u8; 4] = buf.array(at + 4)?;
        let len = 8 + usize::from(number) * 4 + usize::from(aux) * 4;
        c.title(buf, at, len, format_args!("Group Record : {}  {}", ipv4(addr), word(kind)));
        match (kind, number) {
            (2 | 4, 0) => info!(c, " / Join group {} for any sources", ipv4(addr)),
            (1 | 3, 0) => info!(c, " / Leave group {}", ipv4(addr)),
            (1 | 3, _) => info!(c, " / Join group {} for source", ipv4(addr)),
            (2 | 4, _) => info!(c, " / Join group {}, not for source", ipv4(addr)),
            (5, _) => info!(c, " / Group {}, ALLOW new sources", ipv4(addr)),
            (6, _) => info!(c, " / Group {}, BLOCK sources", ipv4(addr)),
            _ => info!(c, " / Group {}, unknown record type {kind}", ipv4(addr)),
        }
        c.open();
        c.add(igmp::RECORD_TYPE, buf, at, 1, Value::Uint(kind.into()));
        c.add(igmp::AUX_DATA_LEN, buf, at + 1, 1, Value::Uint(aux.into()));
        c.add(igmp::NUM_SRC, buf, at + 2, 2, Value::Uint(number.into()));
        c.add(igmp::MADDR, buf, at + 4, 4, Value::Ipv4(addr));
        sources(c, buf, at + 8, number, " {")?;
        c.close();
        at += len;
    }
    Ok(())
}
