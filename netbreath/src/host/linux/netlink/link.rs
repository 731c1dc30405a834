//! Messages about links: `struct ifinfomsg` of `linux/rtnetlink.h` and `IFLA_*` of
//! `linux/if_link.h`.

use super::{Question, after, attributes, push, text, u8_at, u16_at, u32_at, u64_at};
use crate::event::network::{Counters, Link, LinkAddress, LinkFlags, LinkRef, Nd6, Operstate};

const HEADER: usize = 16;
/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATS: u32 = 8;

/// `IFLA_PROP_LIST` and what is in it; younger than the C library's list.
const PROP_LIST: u16 = 52;
const ALT_IFNAME: u16 = 53;
const PERM_ADDRESS: u16 = 54;
const TARGET_NETNSID: u16 = 46;

const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
/// In a tun's data: 1 for tun, 2 for tap.
const TUN_TYPE: u16 = 3;
const VLAN_ID: u16 = 1;

const INET6_CONF: u16 = 2;
const INET6_ADDR_GEN_MODE: u16 = 8;
/// Places of settings in `INET6_CONF` (`DEVCONF_*` of `linux/ipv6.h`).
const CONF_ACCEPT_RA: usize = 3;
const CONF_DISABLE_IPV6: usize = 26;
const CONF_ACCEPT_DAD: usize = 27;
/// `IN6_ADDR_GEN_MODE_NONE`.
const GEN_MODE_NONE: u8 = 1;

/// All links, with their counters if asked for.
pub fn question(stats: bool) -> Question {
    let mut body = vec![0; HEADER];
    if !stats {
        push(&mut body, libc::IFLA_EXT_MASK, &SKIP_STATS.to_ne_bytes());
    }
    Question { what: "interfaces", kind: libc::RTM_GETLINK, body }
}

/// One link of another network namespace, by its number there.
pub fn question_there(ifindex: u32, netnsid: i32) -> Question {
    let mut body = vec![0; HEADER];
    body[4..8].copy_from_slice(&ifindex.to_ne_bytes());
    push(&mut body, TARGET_NETNSID, &netnsid.to_ne_bytes());
    Question { what: "an interface of another network namespace", kind: libc::RTM_GETLINK, body }
}

/// The link of a message, with its counters if `stats`. The names of the links that it
/// refers to are not in the message.
pub fn read(body: &[u8], stats: bool) -> Option<Link> {
    if body.len() < HEADER || u8_at(body, 0) != libc::AF_UNSPEC as u8 {
        // Of another family: a bridge tells about its port in messages of its own.
        return None;
    }
    let mut link = Link {
        hardware: u16_at(body, 2),
        ifindex: u32_at(body, 4),
        flags: LinkFlags(u32_at(body, 8)),
        ..Link::default()
    };
    let refer = |value: &[u8]| LinkRef { ifindex: u32_at(value, 0), ifname: None };
    attributes(after(body, HEADER), |kind, value| match kind {
        libc::IFLA_IFNAME => link.ifname = text(value),
        libc::IFLA_ADDRESS => link.address = Some(LinkAddress(value.to_vec())),
        libc::IFLA_BROADCAST => link.broadcast = Some(LinkAddress(value.to_vec())),
        PERM_ADDRESS => link.permaddr = Some(LinkAddress(value.to_vec())),
        libc::IFLA_MTU => link.mtu = u32_at(value, 0),
        libc::IFLA_LINK => link.link = Some(refer(value)),
        libc::IFLA_LINK_NETNSID => link.link_netnsid = Some(u32_at(value, 0).cast_signed()),
        libc::IFLA_MASTER => link.master = Some(refer(value)),
        libc::IFLA_QDISC => link.qdisc = Some(text(value)),
        libc::IFLA_OPERSTATE => link.operstate = Operstate(u8_at(value, 0)),
        libc::IFLA_LINKMODE => link.linkmode = u8_at(value, 0),
        libc::IFLA_GROUP => link.group = u32_at(value, 0),
        libc::IFLA_TXQLEN => link.txqlen = u32_at(value, 0),
        libc::IFLA_IFALIAS => link.ifalias = Some(text(value)),
        libc::IFLA_PROTO_DOWN => link.proto_down = u8_at(value, 0) != 0,
        libc::IFLA_LINKINFO => read_info(value, &mut link),
        libc::IFLA_AF_SPEC => attributes(value, |family, value| {
            if family == libc::AF_INET6 as u16 {
                link.nd6 = nd6(value);
            }
        }),
        libc::IFLA_STATS64 if stats => link.stats = Some(Box::new(counters(value))),
        PROP_LIST => attributes(value, |kind, value| {
            if kind == ALT_IFNAME {
                link.altnames.push(text(value));
            }
        }),
        _ => {}
    });
    (!link.ifname.is_empty()).then_some(link)
}

fn read_info(value: &[u8], link: &mut Link) {
    let mut data = &[][..];
    attributes(value, |kind, value| {
        if kind == INFO_KIND {
            link.kind = Some(text(value));
        }
    });
    // Its data come after its kind, and mean something else for each.
    for attribute in netlink_packet_core::NlasIterator::new(value).map_while(Result::ok) {
        if attribute.kind() & netlink_packet_core::NLA_TYPE_MASK == INFO_DATA {
            let inner = attribute.into_inner();
            data = inner.get(4..usize::from(u16_at(inner, 0))).unwrap_or_default();
        }
    }
    match link.kind.as_deref() {
        Some("tun") => attributes(data, |kind, value| {
            if kind == TUN_TYPE {
                link.tap = u8_at(value, 0) == 2;
            }
        }),
        Some("vlan") => attributes(data, |kind, value| {
            if kind == VLAN_ID {
                link.vlan = Some(u16_at(value, 0));
            }
        }),
        _ => {}
    }
}

fn nd6(value: &[u8]) -> Option<Nd6> {
    let mut conf = None;
    let mut auto_linklocal = true;
    attributes(value, |kind, value| match kind {
        INET6_CONF => {
            let setting = |place: usize| u32_at(value, place * 4).cast_signed();
            conf = Some((
                setting(CONF_ACCEPT_RA) > 0,
                setting(CONF_DISABLE_IPV6) > 0,
                setting(CONF_ACCEPT_DAD) > 0,
            ));
        }
        INET6_ADDR_GEN_MODE => auto_linklocal = u8_at(value, 0) != GEN_MODE_NONE,
        _ => {}
    });
    let (accept_ra, disabled, dad) = conf?;
    Some(Nd6 { accept_ra, auto_linklocal, dad, disabled })
}

/// `struct rtnl_link_stats64` of `linux/if_link.h`: 64-bit counters in its order.
fn counters(value: &[u8]) -> Counters {
    let counter = |place: usize| u64_at(value, place * 8);
    Counters {
        rx_packets: counter(0),
        tx_packets: counter(1),
        rx_bytes: counter(2),
        tx_bytes: counter(3),
        rx_errors: counter(4),
        tx_errors: counter(5),
        rx_dropped: counter(6),
        tx_dropped: counter(7),
        multicast: counter(8),
        collisions: counter(9),
        rx_length_errors: counter(10),
        rx_over_errors: counter(11),
        rx_crc_errors: counter(12),
        rx_frame_errors: counter(13),
        rx_fifo_errors: counter(14),
        rx_missed_errors: counter(15),
        tx_aborted_errors: counter(16),
        tx_carrier_errors: counter(17),
        tx_fifo_errors: counter(18),
        tx_heartbeat_errors: counter(19),
        tx_window_errors: counter(20),
    }
}

/// Fills in the names of links that links refer to, where those are here.
pub fn name_references(links: &mut [Link]) {
    let names: std::collections::HashMap<u32, String> =
        links.iter().map(|link| (link.ifindex, link.ifname.clone())).collect();
    for link in links {
        // Numbers of another namespace would name a stranger.
        let other = if link.link_netnsid.is_none() { link.link.as_mut() } else { None };
        for reference in other.into_iter().chain(link.master.as_mut()) {
            reference.ifname = names.get(&reference.ifindex).cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_a_link_is_read_whatever_else_it_holds() {
        let mut body = vec![0; HEADER];
        body[2] = 1;
        body[4..8].copy_from_slice(&7_u32.to_ne_bytes());
        body[8..12].copy_from_slice(&0x1043_u32.to_ne_bytes());
        push(&mut body, libc::IFLA_IFNAME, b"tap7\0");
        push(&mut body, libc::IFLA_MTU, &1500_u32.to_ne_bytes());
        push(&mut body, libc::IFLA_ADDRESS, &[2, 0, 0, 0, 0, 1]);
        push(&mut body, 0x3fff, b"from the future");
        let mut data = Vec::new();
        push(&mut data, TUN_TYPE, &[2]);
        let mut info = Vec::new();
        push(&mut info, INFO_KIND, b"tun\0");
        push(&mut info, INFO_DATA, &data);
        push(&mut body, libc::IFLA_LINKINFO | 0x8000, &info);
        let link = read(&body, false).unwrap();
        assert_eq!((link.ifindex, link.ifname.as_str(), link.mtu), (7, "tap7", 1500));
        assert_eq!((link.kind.as_deref(), link.tap), (Some("tun"), true));
        assert_eq!(link.address.unwrap().to_string(), "02:00:00:00:00:01");
        assert!(link.flags.has(LinkFlags::UP) && link.stats.is_none());
        // Cut anywhere, it must not panic.
        for end in 0..body.len() {
            let _ = read(&body[..end], true);
        }
    }
}
