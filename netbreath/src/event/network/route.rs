//! A route: where packets for a network go.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Scope;
use crate::event::Family;

/// An entry of a routing table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Route {
    #[serde(with = "family_number")]
    pub family: Family,
    #[serde(rename = "type")]
    pub kind: RouteKind,
    /// The network's address; unspecified for the default route.
    pub dst: IpAddr,
    pub dst_len: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub src_len: u8,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tos: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nhid: Option<u32>,
    /// The router, which can be of another family than the route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifindex: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    pub table: Table,
    /// Number of who set it: 2 is the kernel, 3 is boot, 4 an administrator, …
    pub protocol: u8,
    pub scope: Scope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefsrc: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
    pub flags: RouteFlags,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// IPv6: how it ranks among routers, by RFC 4191: 0 medium, 1 high, 3 low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pref: Option<u8>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nexthops: Vec<Nexthop>,
    /// Seconds until it ends; not in events, since time alone changes it.
    #[serde(skip)]
    pub expires: Option<u32>,
    /// What a sender is answered, as a negative errno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<i32>,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// What tells routes apart of which only one can hold: a change of this is another
/// route.
pub type RouteKey = (Table, IpAddr, u8, u8, Option<u32>, Option<IpAddr>);

impl Route {
    pub fn key(&self) -> RouteKey {
        (self.table, self.dst, self.dst_len, self.tos, self.metric, self.src)
    }

    /// Whether it is the default route of its family.
    pub fn is_default(&self) -> bool {
        self.dst_len == 0
    }
}

mod family_number {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::event::Family;

    pub fn serialize<S: Serializer>(family: &Family, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(family.number())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Family, D::Error> {
        match u8::deserialize(from)? {
            4 => Ok(Family::V4),
            6 => Ok(Family::V6),
            other => Err(serde::de::Error::custom(format!("{other} is no family, 4 or 6"))),
        }
    }
}

/// Number of a routing table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Table(pub u32);

impl Table {
    pub const DEFAULT: Table = Table(253);
    pub const MAIN: Table = Table(254);
    pub const LOCAL: Table = Table(255);
}

/// What happens to the packets: `RTN_*` of `linux/rtnetlink.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RouteKind(pub u8);

impl RouteKind {
    pub const UNICAST: RouteKind = RouteKind(1);
    pub const LOCAL: RouteKind = RouteKind(2);
    pub const BROADCAST: RouteKind = RouteKind(3);
    pub const ANYCAST: RouteKind = RouteKind(4);
    pub const MULTICAST: RouteKind = RouteKind(5);
    pub const BLACKHOLE: RouteKind = RouteKind(6);
    pub const UNREACHABLE: RouteKind = RouteKind(7);
    pub const PROHIBIT: RouteKind = RouteKind(8);
    pub const THROW: RouteKind = RouteKind(9);

    const NAMES: [&'static str; 12] = [
        "none",
        "unicast",
        "local",
        "broadcast",
        "anycast",
        "multicast",
        "blackhole",
        "unreachable",
        "prohibit",
        "throw",
        "nat",
        "xresolve",
    ];

    /// Whether a sender is turned away.
    pub const fn rejects(self) -> bool {
        matches!(self, RouteKind::UNREACHABLE | RouteKind::PROHIBIT)
    }
}

impl fmt::Display for RouteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match RouteKind::NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

impl std::str::FromStr for RouteKind {
    type Err = String;

    fn from_str(text: &str) -> Result<RouteKind, String> {
        (0..=u8::MAX)
            .map(RouteKind)
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no type of route"))
    }
}

impl Serialize for RouteKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RouteKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// `RTNH_F_*` and `RTM_F_*` of `linux/rtnetlink.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteFlags(pub u32);

impl RouteFlags {
    pub const DEAD: u32 = 0x01;
    pub const PERVASIVE: u32 = 0x02;
    pub const ONLINK: u32 = 0x04;
    pub const OFFLOAD: u32 = 0x08;
    pub const LINKDOWN: u32 = 0x10;
    pub const UNRESOLVED: u32 = 0x20;
    pub const TRAP: u32 = 0x40;
    pub const NOTIFY: u32 = 0x100;
    pub const CLONED: u32 = 0x200;
    pub const RT_OFFLOAD: u32 = 0x4000;
    pub const RT_TRAP: u32 = 0x8000;
    pub const RT_OFFLOAD_FAILED: u32 = 0x2000_0000;

    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Names in the order in which `ip` lists them.
    pub const NAMES: [(u32, &'static str); 12] = [
        (Self::DEAD, "dead"),
        (Self::ONLINK, "onlink"),
        (Self::PERVASIVE, "pervasive"),
        (Self::OFFLOAD, "offload"),
        (Self::TRAP, "trap"),
        (Self::NOTIFY, "notify"),
        (Self::LINKDOWN, "linkdown"),
        (Self::UNRESOLVED, "unresolved"),
        (Self::CLONED, "cloned"),
        (Self::RT_OFFLOAD, "rt_offload"),
        (Self::RT_TRAP, "rt_trap"),
        (Self::RT_OFFLOAD_FAILED, "rt_offload_failed"),
    ];
}

super::as_bits!(RouteFlags, &RouteFlags::NAMES);

/// A setting of a route, by the kernel's number (`RTAX_*`): 2 is the MTU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    pub number: u16,
    pub value: MetricValue,
    /// It must not be adapted.
    pub locked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricValue {
    Number(u32),
    /// The name of a congestion control algorithm.
    Name(String),
}

impl Metric {
    pub const MTU: u16 = 2;
    pub const WINDOW: u16 = 3;
    pub const RTT: u16 = 4;
    pub const RTTVAR: u16 = 5;
    pub const ADVMSS: u16 = 8;
    pub const HOPLIMIT: u16 = 10;
    pub const RTO_MIN: u16 = 13;
    pub const CC_ALGO: u16 = 16;

    const NAMES: [&'static str; 18] = [
        "",
        "lock",
        "mtu",
        "window",
        "rtt",
        "rttvar",
        "ssthresh",
        "cwnd",
        "advmss",
        "reordering",
        "hoplimit",
        "initcwnd",
        "features",
        "rto_min",
        "initrwnd",
        "quickack",
        "congctl",
        "fastopen_no_cookie",
    ];

    /// As `ip` names it.
    pub fn name(&self) -> Option<&'static str> {
        Metric::NAMES.get(usize::from(self.number)).copied().filter(|name| !name.is_empty())
    }
}

/// One of several ways that a route takes by turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nexthop {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    pub ifindex: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    /// Its share among the others.
    pub weight: u16,
    pub flags: RouteFlags,
}
