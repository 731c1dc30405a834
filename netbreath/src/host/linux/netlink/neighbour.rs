//! Messages about neighbours: `struct ndmsg` and `NDA_*` of `linux/neighbour.h`.

use super::{Question, after, attributes, family, family_code, ip, u8_at, u16_at, u32_at};
use crate::event::Family;
use crate::event::network::{Ages, LinkAddress, Neighbour, NeighbourFlags, NeighbourState};

const HEADER: usize = 12;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_CACHEINFO: u16 = 3;
const NDA_PROBES: u16 = 4;
const NDA_PROTOCOL: u16 = 12;
const NDA_FLAGS_EXT: u16 = 15;
/// Ages come in clock ticks, of which user space counts a hundred a second.
const USER_HZ: u32 = 100;

/// Neighbours; or those for whom we answer, which are a table of their own.
pub fn question(family: Option<Family>, proxies: bool) -> Question {
    let mut body = vec![0; HEADER];
    body[0] = family_code(family);
    if proxies {
        body[10] = NeighbourFlags::PROXY as u8;
    }
    Question { what: "neighbours", kind: libc::RTM_GETNEIGH, body }
}

/// The neighbour of a message; its interface's name is not in it.
pub fn read(body: &[u8]) -> Option<Neighbour> {
    // Bridges and tunnels have tables of their own in messages of this kind.
    family(u8_at(body, 0))?;
    let mut flags = u32::from(u8_at(body, 10));
    let (mut dst, mut lladdr, mut ages, mut probes, mut proto) = (None, None, None, None, None);
    attributes(after(body, HEADER), |kind, value| match kind {
        NDA_DST => dst = ip(value),
        NDA_LLADDR if !value.is_empty() => lladdr = Some(LinkAddress(value.to_vec())),
        NDA_CACHEINFO => {
            let seconds = |at| u32_at(value, at) / USER_HZ;
            ages = Some(Ages {
                confirmed: seconds(0),
                used: seconds(4),
                updated: seconds(8),
                references: u32_at(value, 12),
            });
        }
        NDA_PROBES => probes = Some(u32_at(value, 0)),
        NDA_PROTOCOL => proto = Some(u8_at(value, 0)),
        NDA_FLAGS_EXT => flags |= u32_at(value, 0) << 16,
        _ => {}
    });
    Some(Neighbour {
        dst: dst?,
        ifindex: u32_at(body, 4),
        ifname: String::new(),
        lladdr,
        state: NeighbourState(u16_at(body, 8)),
        flags: NeighbourFlags(flags),
        proto,
        ages,
        probes,
    })
}
