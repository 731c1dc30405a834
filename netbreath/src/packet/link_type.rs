//! Kinds of link-layer headers: <https://www.tcpdump.org/linktypes.html>.

/// BSD loopback, with an address family in the byte order of the machine.
pub const NULL: u16 = 0;
pub const ETHERNET: u16 = 1;
/// No header: the packet begins with its IP header.
pub const RAW: u16 = 101;
/// BSD loopback, in network byte order.
pub const LOOP: u16 = 108;
/// Linux's header in place of others, and its second version.
pub const SLL: u16 = 113;
pub const SLL2: u16 = 276;

/// The kind of header that packets of such hardware have for programs (`ARPHRD_*`, from
/// linux/if_arp.h); nothing if that is not known here.
pub const fn of(hardware: u16) -> Option<u16> {
    /// Ethernet, and loopback, which has such headers too.
    const ETHER: u16 = 1;
    const LOOPBACK: u16 = 772;
    const TUNNEL: u16 = 768;
    const TUNNEL6: u16 = 769;
    const SIT: u16 = 776;
    const RAWIP: u16 = 519;
    const PPP: u16 = 512;
    const NONE: u16 = 0xfffe;
    match hardware {
        ETHER | LOOPBACK => Some(ETHERNET),
        TUNNEL | TUNNEL6 | SIT | RAWIP | PPP | NONE => Some(RAW),
        _ => None,
    }
}
