//! An interface, as the kernel's link layer sees it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Bits, LinkAddress};

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub ifindex: u32,
    pub ifname: String,
    pub flags: LinkFlags,
    pub mtu: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qdisc: Option<String>,
    pub operstate: Operstate,
    /// 0 for `DEFAULT`, 1 for `DORMANT`.
    #[serde(default, skip_serializing_if = "is_zero_u8")]
    pub linkmode: u8,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub group: u32,
    /// Packets that the transmit queue holds.
    pub txqlen: u32,
    /// Number of the hardware type: 1 is Ethernet (`ARPHRD_*`).
    pub hardware: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<LinkAddress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<LinkAddress>,
    /// What the hardware came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permaddr: Option<LinkAddress>,
    /// What it lies upon (vlan, macvlan, tunnel), or its other end (veth).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkRef>,
    /// Id of the network namespace that `link` is in, where that is another one; -1 if
    /// it has no id here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_netnsid: Option<i32>,
    /// The bridge, bond or VRF that it is a port of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<LinkRef>,
    /// The kind of a virtual interface: bridge, veth, vlan, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// For `tun`: it carries Ethernet frames (tap), not packets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tap: bool,
    /// For `vlan`: its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vlan: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifalias: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub altnames: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub proto_down: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nd6: Option<Nd6>,
    /// Only where asked for: every packet changes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<Box<Counters>>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_zero_u8(number: &u8) -> bool {
    *number == 0
}

impl Link {
    /// Nothing but what an event means to tell: counters of traffic are no change.
    pub fn without_stats(mut self) -> Link {
        self.stats = None;
        self
    }
}

/// Another interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRef {
    pub ifindex: u32,
    /// Unknown if it is in another network namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ifname: Option<String>,
}

/// `IFF_*` of `linux/if.h`.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LinkFlags(pub u32);

impl LinkFlags {
    pub const UP: u32 = 0x1;
    pub const BROADCAST: u32 = 0x2;
    pub const DEBUG: u32 = 0x4;
    pub const LOOPBACK: u32 = 0x8;
    pub const POINTOPOINT: u32 = 0x10;
    pub const NOTRAILERS: u32 = 0x20;
    pub const RUNNING: u32 = 0x40;
    pub const NOARP: u32 = 0x80;
    pub const PROMISC: u32 = 0x100;
    pub const ALLMULTI: u32 = 0x200;
    pub const MASTER: u32 = 0x400;
    pub const SLAVE: u32 = 0x800;
    pub const MULTICAST: u32 = 0x1000;
    pub const PORTSEL: u32 = 0x2000;
    pub const AUTOMEDIA: u32 = 0x4000;
    pub const DYNAMIC: u32 = 0x8000;
    pub const LOWER_UP: u32 = 0x1_0000;
    pub const DORMANT: u32 = 0x2_0000;
    pub const ECHO: u32 = 0x4_0000;

    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }

    /// Names in the order in which `ip` lists them.
    pub const NAMES: [(u32, &'static str); 19] = [
        (Self::LOOPBACK, "LOOPBACK"),
        (Self::BROADCAST, "BROADCAST"),
        (Self::POINTOPOINT, "POINTOPOINT"),
        (Self::MULTICAST, "MULTICAST"),
        (Self::NOARP, "NOARP"),
        (Self::ALLMULTI, "ALLMULTI"),
        (Self::PROMISC, "PROMISC"),
        (Self::MASTER, "MASTER"),
        (Self::SLAVE, "SLAVE"),
        (Self::DEBUG, "DEBUG"),
        (Self::DYNAMIC, "DYNAMIC"),
        (Self::AUTOMEDIA, "AUTOMEDIA"),
        (Self::PORTSEL, "PORTSEL"),
        (Self::NOTRAILERS, "NOTRAILERS"),
        (Self::UP, "UP"),
        (Self::LOWER_UP, "LOWER_UP"),
        (Self::DORMANT, "DORMANT"),
        (Self::ECHO, "ECHO"),
        (Self::RUNNING, "RUNNING"),
    ];

    const BITS: &'static Bits = &Self::NAMES;
}

super::as_bits!(LinkFlags, LinkFlags::BITS);

impl fmt::Debug for LinkFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(super::bit_names(self.0, LinkFlags::BITS)).finish()
    }
}

/// Whether it can carry traffic, by RFC 2863's `ifOperStatus` as the kernel numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Operstate(pub u8);

impl Operstate {
    const NAMES: [&'static str; 7] =
        ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];
}

impl fmt::Display for Operstate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Operstate::NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

impl Serialize for Operstate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Operstate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        (0..=u8::MAX)
            .map(Operstate)
            .find(|state| state.to_string() == text)
            .ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no operational state")))
    }
}

/// What IPv6 does on an interface, from its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nd6 {
    /// It takes addresses and routes from routers' advertisements.
    pub accept_ra: bool,
    /// It makes itself a link-local address.
    pub auto_linklocal: bool,
    /// It looks for duplicates of its addresses before it uses them.
    pub dad: bool,
    /// IPv6 is off.
    pub disabled: bool,
}

/// What an interface has carried, and not carried, since it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    pub rx_packets: u64,
    pub tx_packets: u64,
    /// Bytes, those of the link layer's headers included.
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    /// Received and thrown away for want of room or of a use.
    pub rx_dropped: u64,
    pub tx_dropped: u64,
    pub multicast: u64,
    pub collisions: u64,
    pub rx_length_errors: u64,
    pub rx_over_errors: u64,
    pub rx_crc_errors: u64,
    pub rx_frame_errors: u64,
    pub rx_fifo_errors: u64,
    pub rx_missed_errors: u64,
    pub tx_aborted_errors: u64,
    pub tx_carrier_errors: u64,
    pub tx_fifo_errors: u64,
    pub tx_heartbeat_errors: u64,
    pub tx_window_errors: u64,
}

/// The name of a hardware type (`ARPHRD_*`), as `ip` writes it.
pub const fn hardware_name(hardware: u16) -> Option<&'static str> {
    Some(match hardware {
        0 => "netrom",
        1 => "ether",
        2 => "eether",
        3 => "ax25",
        6 => "ieee802",
        7 => "arcnet",
        8 => "atalk",
        15 => "dlci",
        19 => "atm",
        23 => "metricom",
        24 => "ieee1394",
        32 => "infiniband",
        256 => "slip",
        257 => "cslip",
        258 => "slip6",
        259 => "cslip6",
        260 => "rsrvd",
        264 => "adapt",
        270 => "rose",
        271 => "x25",
        272 => "hwx25",
        280 => "can",
        512 => "ppp",
        513 => "hdlc",
        516 => "lapb",
        517 => "ddcmp",
        518 => "rawhdlc",
        768 => "ipip",
        769 => "tunnel6",
        770 => "frad",
        771 => "skip",
        772 => "loopback",
        773 => "ltalk",
        774 => "fddi",
        775 => "bif",
        776 => "sit",
        777 => "ip/ddp",
        778 => "gre",
        779 => "pimreg",
        780 => "hippi",
        781 => "ash",
        782 => "econet",
        783 => "irda",
        801 => "ieee802.11",
        802 => "ieee802.11/prism",
        803 => "ieee802.11/radiotap",
        804 => "ieee802.15.4",
        805 => "ieee802.15.4/monitor",
        820 => "phonet",
        821 => "phonet_pipe",
        822 => "caif",
        823 => "gre6",
        824 => "netlink",
        825 => "6lowpan",
        826 => "vsockmon",
        0xfffe => "none",
        0xffff => "void",
        _ => return None,
    })
}
