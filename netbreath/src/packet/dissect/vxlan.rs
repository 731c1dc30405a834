//! VXLAN (RFC 7348).

use super::field::vxlan;
use super::{Buf, Context, Result, Value, column, eth};

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "VXLAN";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("VXLAN");
        c.columns.info.clear();
    }
    let flags = buf.u16(0)?;
    c.enter(vxlan::SELF, buf, 8);
    c.open();
    c.add(vxlan::FLAGS, buf, 0, 2, Value::Uint(flags.into()));
    let names = [
        (0x8000, "GBP Extension"),
        (0x0800, "VXLAN Network ID (VNI)"),
        (0x0040, "Don't Learn"),
        (0x0008, "Policy Applied"),
    ];
    if c.wants_labels() {
        let set = names.iter().filter(|(bit, _)| flags & bit != 0);
        let set: String = set.map(|(_, name)| format!(", {name}")).collect();
        c.label(format_args!("Flags: 0x{flags:04x}{set}"));
    }
    c.open();
    let bit = |bit| Value::Bool(flags & bit != 0);
    c.add(vxlan::FLAG_G, buf, 0, 2, bit(0x8000));
    c.add(vxlan::FLAG_I, buf, 0, 2, bit(0x0800));
    c.add(vxlan::FLAG_D, buf, 0, 2, bit(0x0040));
    c.add(vxlan::FLAG_A, buf, 0, 2, bit(0x0008));
    // Every bit that has no meaning.
    let reserved = flags & 0x77b7;
    c.add(vxlan::FLAGS_RESERVED, buf, 0, 2, Value::Uint(reserved.into()));
    if c.wants_labels() {
        let mut bits = String::new();
        for place in (0..16).rev() {
            bits.push(match (0x77b7 >> place & 1, flags >> place & 1) {
                (0, _) => '.',
                (_, 0) => '0',
                _ => '1',
            });
            if place % 4 == 0 && place > 0 {
                bits.push(' ');
            }
        }
        c.label(format_args!("{bits} = Reserved(R): 0x{reserved:04x}"));
    }
    c.close();
    c.add(vxlan::GBP, buf, 2, 2, Value::Uint(buf.u16(2)?.into()));
    c.add(vxlan::VNI, buf, 4, 3, Value::Uint(buf.u24(4)?.into()));
    c.add(vxlan::RESERVED8, buf, 7, 1, Value::Uint(buf.u8(7)?.into()));
    c.close();
    c.inside(buf.from(8), eth::dissect)
}
