//! What stands inside IP packets.

use super::field::ip;
use super::{Buf, Context, Result, gre, icmp, icmpv6, igmp, ipv6, tcp, udp};

/// What a protocol's number is called.
pub fn protocol_word(number: u8) -> &'static str {
    ip::PROTO.field().and_then(|field| field.word(number.into())).unwrap_or("Unknown")
}

/// Dissects what stands behind an IP header; nothing if nobody knows it.
pub fn transport(c: &mut Context<'_>, protocol: u8, buf: Buf<'_>) -> Option<Result> {
    Some(match protocol {
        1 => c.inside(buf, icmp::dissect),
        2 => c.inside(buf, igmp::dissect),
        4 => c.inside(buf, super::ip::dissect),
        6 => c.inside(buf, tcp::dissect),
        17 => c.inside(buf, udp::dissect),
        41 => c.inside(buf, ipv6::dissect),
        47 => c.inside(buf, gre::dissect),
        58 => c.inside(buf, icmpv6::dissect),
        _ => return None,
    })
}
