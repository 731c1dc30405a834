//! Loopback of BSD and macOS: a family of addresses, then the packet.

use super::field::null;
use super::{Buf, Context, Result, Value, column, data, info, ip, ipv6};

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>, is_network_order: bool) -> Result {
    c.protocol = "Null/Loopback";
    let bytes: [u8; 4] = buf.array(0)?;
    info!(c, "Null/Loopback");
    // In whichever order it makes sense.
    let mut family = u32::from_be_bytes(bytes);
    if !is_network_order && family > 0xffff {
        family = family.swap_bytes();
    }
    c.enter(null::SELF, buf, 4);
    c.open();
    c.add(null::FAMILY, buf, 0, 4, Value::Uint(family.into()));
    c.close();
    c.end = buf.at + buf.len();
    let rest = buf.from(4);
    match family {
        2 => c.inside(rest, ip::dissect),
        10 | 24 | 28 | 30 => c.inside(rest, ipv6::dissect),
        _ => {
            let _ = column::Protocol::default();
            c.inside(rest, data::dissect)
        }
    }
}
