//! The only reader of `struct sk_buff`.

use netbreath_common::record::Flow;

use crate::config;
use crate::kernel::{Kernel, Untyped};
use crate::sock;

const ETH_P_IPV6: u16 = 0x86dd;

/// The two ends of a TCP segment that came in, as this machine sees them.
#[inline(always)]
pub fn read_flow(skb: Untyped, flow: &mut Flow) {
    let head = Untyped::new(skb.read(config::SKB_HEAD()));
    let network: u16 = skb.read(config::SKB_NETWORK());
    let transport: u16 = skb.read(config::SKB_TRANSPORT());
    let protocol: u16 = skb.read(config::SKB_PROTOCOL());
    let ports: [u16; 2] = head.read(transport.into());
    flow.dport = u16::from_be(ports[0]);
    flow.sport = u16::from_be(ports[1]);
    let network = u32::from(network);
    if u16::from_be(protocol) == ETH_P_IPV6 {
        flow.family = 6;
        sock::read6(head, network + 8, &mut flow.daddr);
        sock::read6(head, network + 24, &mut flow.saddr);
    } else {
        flow.family = 4;
        sock::read4(head, network + 12, &mut flow.daddr);
        sock::read4(head, network + 16, &mut flow.saddr);
    }
}

/// Inode number of the network namespace that the packet is in; 0 if unknown.
#[inline(always)]
pub fn netns(skb: Untyped) -> u32 {
    let device = Untyped::new(skb.read(config::SKB_DEV()));
    let net = Untyped::new(device.read(config::DEVICE_NET()));
    net.read(config::NET_INUM())
}
