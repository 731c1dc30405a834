//! GRE (RFC 2784, RFC 2890).

use super::field::gre;
use super::{Buf, Context, Result, Value, column, data, eth, ip, ipv6};

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "GRE";
    let flags = buf.u16(0)?;
    let kind = buf.u16(2)?;
    let word = gre::PROTO.field().and_then(|field| field.word(kind.into()));
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("GRE");
        c.columns.info.clear();
        match word {
            Some(word) => super::info!(c, "Encapsulated {word}"),
            None => super::info!(c, "Encapsulated 0x{kind:04x} (unknown)"),
        }
    }
    let mut len = 4;
    let has = |bit: u16| flags & bit != 0;
    if has(0x8000) || has(0x4000) {
        len += 4;
    }
    len += [0x2000, 0x1000].into_iter().filter(|bit| has(*bit)).count() * 4;
    c.enter(gre::SELF, buf, len);
    c.label(format_args!(
        "Generic Routing Encapsulation ({})",
        word.map_or_else(|| format!("0x{kind:04x} - unknown"), str::to_owned)
    ));
    c.open();
    c.add(gre::FLAGS_AND_VERSION, buf, 0, 2, Value::Uint(flags.into()));
    c.label(format_args!("Flags and Version: 0x{flags:04x}"));
    c.open();
    let bit = |bit| Value::Bool(flags & bit != 0);
    c.add(gre::FLAGS_CHECKSUM, buf, 0, 2, bit(0x8000));
    c.add(gre::FLAGS_ROUTING, buf, 0, 2, bit(0x4000));
    c.add(gre::FLAGS_KEY, buf, 0, 2, bit(0x2000));
    c.add(gre::FLAGS_SEQUENCE_NUMBER, buf, 0, 2, bit(0x1000));
    c.add(gre::FLAGS_STRICT_SOURCE_ROUTE, buf, 0, 2, bit(0x0800));
    c.add(gre::FLAGS_RECURSION_CONTROL, buf, 0, 2, Value::Uint((flags >> 8 & 7).into()));
    c.add(gre::FLAGS_RESERVED, buf, 0, 2, Value::Uint((flags >> 3 & 31).into()));
    c.add(gre::FLAGS_VERSION, buf, 0, 2, Value::Uint((flags & 7).into()));
    c.close();
    c.add(gre::PROTO, buf, 2, 2, Value::Uint(kind.into()));
    let mut at = 4;
    if has(0x8000) || has(0x4000) {
        let sum = buf.u16(at)?;
        c.add(gre::CHECKSUM, buf, at, 2, Value::Uint(sum.into()));
        c.label(format_args!("Checksum: 0x{sum:04x} [unverified]"));
        c.add(gre::OFFSET, buf, at + 2, 2, Value::Uint(buf.u16(at + 2)?.into()));
        at += 4;
    }
    if has(0x2000) {
        c.add(gre::KEY, buf, at, 4, Value::Uint(buf.u32(at)?.into()));
        at += 4;
    }
    if has(0x1000) {
        c.add(gre::SEQUENCE_NUMBER, buf, at, 4, Value::Uint(buf.u32(at)?.into()));
        at += 4;
    }
    c.close();
    let rest = buf.from(at);
    match kind {
        0x0800 => c.inside(rest, ip::dissect),
        0x86dd => c.inside(rest, ipv6::dissect),
        0x6558 => c.inside(rest, eth::dissect),
        _ => c.inside(rest, data::dissect),
    }
}
