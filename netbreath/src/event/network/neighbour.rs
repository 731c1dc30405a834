//! A neighbour: the link address behind an IP address, and whether it still answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::LinkAddress;

/// An entry of the neighbour table, which ARP (IPv4) and neighbour discovery (IPv6)
/// fill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    pub dst: IpAddr,
    pub ifindex: u32,
    pub ifname: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lladdr: Option<LinkAddress>,
    pub state: NeighbourState,
    pub flags: NeighbourFlags,
    /// Number of who made it, as for routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<u8>,
    /// Ages in clock ticks of a hundredth of a second; not in events, since time alone
    /// changes them.
    #[serde(skip)]
    pub ages: Option<Ages>,
    #[serde(skip)]
    pub probes: Option<u32>,
}

impl Neighbour {
    /// What makes it another neighbour than others.
    pub fn key(&self) -> (u32, IpAddr, bool) {
        (self.ifindex, self.dst, self.flags.has(NeighbourFlags::PROXY))
    }
}

/// How long ago, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    pub used: u32,
    pub confirmed: u32,
    pub updated: u32,
    pub references: u32,
}

/// `NUD_*` of `linux/neighbour.h` (RFC 4861, section 7.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeighbourState(pub u16);

impl NeighbourState {
    pub const INCOMPLETE: u32 = 0x01;
    pub const REACHABLE: u32 = 0x02;
    pub const STALE: u32 = 0x04;
    pub const DELAY: u32 = 0x08;
    pub const PROBE: u32 = 0x10;
    pub const FAILED: u32 = 0x20;
    pub const NOARP: u32 = 0x40;
    pub const PERMANENT: u32 = 0x80;

    pub const fn has(self, bits: u32) -> bool {
        self.0 as u32 & bits != 0
    }

    pub const NAMES: [(u32, &'static str); 8] = [
        (Self::INCOMPLETE, "INCOMPLETE"),
        (Self::REACHABLE, "REACHABLE"),
        (Self::STALE, "STALE"),
        (Self::DELAY, "DELAY"),
        (Self::PROBE, "PROBE"),
        (Self::FAILED, "FAILED"),
        (Self::NOARP, "NOARP"),
        (Self::PERMANENT, "PERMANENT"),
    ];
}

super::as_bits!(NeighbourState, &NeighbourState::NAMES);

/// `NTF_*` of `linux/neighbour.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NeighbourFlags(pub u32);

impl NeighbourFlags {
    pub const PROXY: u32 = 0x08;
    pub const EXTERN_LEARN: u32 = 0x10;
    pub const OFFLOADED: u32 = 0x20;
    pub const ROUTER: u32 = 0x80;
    /// `NTF_EXT_MANAGED`, which the kernel tells in an attribute of its own.
    pub const MANAGED: u32 = 0x1_0000;

    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    pub const NAMES: [(u32, &'static str); 5] = [
        (Self::ROUTER, "router"),
        (Self::PROXY, "proxy"),
        (Self::EXTERN_LEARN, "extern_learn"),
        (Self::OFFLOADED, "offload"),
        (Self::MANAGED, "managed"),
    ];
}

super::as_bits!(NeighbourFlags, &NeighbourFlags::NAMES);
