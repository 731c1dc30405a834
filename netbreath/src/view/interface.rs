//! An interface with all that is known of it, as rows: what `ifconfig -s`, `netstat -i`
//! and the formats for programs show.

use super::{Cell, Column, Field};
use crate::event::network::{Address, Counters, Link, LinkFlags, hardware_name};

/// An interface, its addresses, and what its driver tells.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    pub link: Link,
    pub addresses: Vec<Address>,
    pub media: Option<Media>,
    /// What the driver does in the kernel's stead, by BSD's names.
    pub options: Vec<&'static str>,
    pub text: Text,
}

/// How an interface is connected, as its driver tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Megabits a second.
    pub speed: Option<u32>,
    pub duplex: Option<Duplex>,
    /// Speed and duplex were negotiated with the other side.
    pub autoneg: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplex {
    Half,
    Full,
}

/// Cells that are put together of several facts.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// What it is, in a few words, and in a sentence.
    pub kind: String,
    pub explanation: String,
    flags: String,
    letters: String,
    ether: Option<String>,
    inet: String,
    inet6: String,
    operstate: String,
}

impl Interface {
    pub fn new(link: Link, addresses: Vec<Address>) -> Interface {
        let of = |v4: bool| {
            let all = addresses.iter().filter(|address| address.local.is_ipv4() == v4);
            let words: Vec<String> =
                all.map(|address| format!("{}/{}", address.local, address.prefixlen)).collect();
            words.join(" ")
        };
        let text = Text {
            kind: String::new(),
            explanation: String::new(),
            flags: linux_flags(link.flags).collect::<Vec<_>>().join(","),
            letters: letters(link.flags),
            ether: link.address.as_ref().map(ToString::to_string),
            inet: of(true),
            inet6: of(false),
            operstate: link.operstate.to_string(),
        };
        Interface { link, addresses, media: None, options: Vec::new(), text }
    }

    fn counters(&self, read: impl FnOnce(&Counters) -> u64) -> Cell<'_> {
        Cell::known(self.link.stats.as_deref(), |counters| Cell::Number(read(counters)))
    }
}

/// The flags that `ifconfig` of Linux knows, in its order, which is that of the bits.
pub fn linux_flags(flags: LinkFlags) -> impl Iterator<Item = &'static str> {
    const NAMES: [(u32, &str); 14] = [
        (LinkFlags::UP, "UP"),
        (LinkFlags::BROADCAST, "BROADCAST"),
        (LinkFlags::DEBUG, "DEBUG"),
        (LinkFlags::LOOPBACK, "LOOPBACK"),
        (LinkFlags::POINTOPOINT, "POINTOPOINT"),
        (LinkFlags::NOTRAILERS, "NOTRAILERS"),
        (LinkFlags::RUNNING, "RUNNING"),
        (LinkFlags::NOARP, "NOARP"),
        (LinkFlags::PROMISC, "PROMISC"),
        (LinkFlags::ALLMULTI, "ALLMULTI"),
        (LinkFlags::SLAVE, "SLAVE"),
        (LinkFlags::MASTER, "MASTER"),
        (LinkFlags::MULTICAST, "MULTICAST"),
        (LinkFlags::DYNAMIC, "DYNAMIC"),
    ];
    NAMES.into_iter().filter(move |(bit, _)| flags.has(*bit)).map(|(_, name)| name)
}

/// The letters of `netstat -i`.
fn letters(flags: LinkFlags) -> String {
    const LETTERS: [(u32, char); 13] = [
        (LinkFlags::ALLMULTI, 'A'),
        (LinkFlags::BROADCAST, 'B'),
        (LinkFlags::DEBUG, 'D'),
        (LinkFlags::LOOPBACK, 'L'),
        (LinkFlags::MULTICAST, 'M'),
        (LinkFlags::DYNAMIC, 'd'),
        (LinkFlags::PROMISC, 'P'),
        (LinkFlags::NOTRAILERS, 'N'),
        (LinkFlags::NOARP, 'O'),
        (LinkFlags::POINTOPOINT, 'P'),
        (LinkFlags::SLAVE, 's'),
        (LinkFlags::MASTER, 'm'),
        (LinkFlags::RUNNING, 'R'),
    ];
    let mut letters: String =
        LETTERS.iter().filter(|(bit, _)| flags.has(*bit)).map(|(_, letter)| letter).collect();
    if flags.has(LinkFlags::UP) {
        letters.push('U');
    }
    if letters.is_empty() { "[NO FLAGS]".into() } else { letters }
}

/// What Linux counts as received and dropped: for want of room or of a use, and by the
/// hardware.
pub const fn rx_dropped(counters: &Counters) -> u64 {
    counters.rx_dropped + counters.rx_missed_errors
}

/// Frames that were broken.
pub const fn rx_frame(counters: &Counters) -> u64 {
    counters.rx_length_errors
        + counters.rx_over_errors
        + counters.rx_crc_errors
        + counters.rx_frame_errors
}

/// Troubles with the carrier.
pub const fn tx_carrier(counters: &Counters) -> u64 {
    counters.tx_carrier_errors
        + counters.tx_aborted_errors
        + counters.tx_window_errors
        + counters.tx_heartbeat_errors
}

/// Columns of `ifconfig -s` and `netstat -i`.
pub const SHORT: [&str; 11] = [
    "iface", "mtu", "rx_ok", "rx_err", "rx_drp", "rx_ovr", "tx_ok", "tx_err", "tx_drp", "tx_ovr",
    "flg",
];

/// Columns of the formats for programs.
pub const WHOLE: [&str; 20] = [
    "ifindex", "iface", "kind", "state", "flags", "mtu", "type", "ether", "inet", "inet6", "speed",
    "rx_ok", "rx_bytes", "rx_err", "rx_drp", "tx_ok", "tx_bytes", "tx_err", "tx_drp", "flg",
];

/// Every column.
#[rustfmt::skip]
pub static COLUMNS: [Column<Interface>; 22] = [
    Column::plain("ifindex", "INDEX", "number of the interface", 5, &[&INDEX]).right(),
    Column::plain("iface", "Iface", "name of the interface", 15, &[&NAME]),
    Column::plain("kind", "KIND", "what it is, in plain words", 20, &[&KIND]),
    Column::plain("state", "STATE", "whether it can carry traffic", 8, &[&STATE]),
    Column::plain("flags", "FLAGS", "its flags", 30, &[&FLAGS]),
    Column::plain("mtu", "MTU", "largest packet, in bytes", 5, &[&MTU]).right(),
    Column::plain("type", "TYPE", "type of its hardware", 8, &[&TYPE]),
    Column::plain("ether", "ETHER", "its address on the link", 17, &[&ETHER]),
    Column::plain("inet", "INET", "IPv4 addresses", 18, &[&INET]),
    Column::plain("inet6", "INET6", "IPv6 addresses", 20, &[&INET6]),
    Column::plain("speed", "SPEED", "megabits a second, where the driver tells", 7, &[&SPEED]).right(),
    Column::plain("rx_ok", "RX-OK", "packets received", 8, &[&RX_OK]).right(),
    Column::plain("rx_bytes", "RX-BYTES", "bytes received", 12, &[&RX_BYTES]).right(),
    Column::plain("rx_err", "RX-ERR", "packets received with errors", 6, &[&RX_ERR]).right(),
    Column::plain("rx_drp", "RX-DRP", "packets received and dropped", 6, &[&RX_DRP]).right(),
    Column::plain("rx_ovr", "RX-OVR", "packets lost to a full queue of the hardware", 6, &[&RX_OVR]),
    Column::plain("tx_ok", "TX-OK", "packets sent", 8, &[&TX_OK]).right(),
    Column::plain("tx_bytes", "TX-BYTES", "bytes sent", 12, &[&TX_BYTES]).right(),
    Column::plain("tx_err", "TX-ERR", "packets that could not be sent", 6, &[&TX_ERR]).right(),
    Column::plain("tx_drp", "TX-DRP", "packets dropped before they were sent", 6, &[&TX_DRP]).right(),
    Column::plain("tx_ovr", "TX-OVR", "packets lost to a full queue of the hardware", 6, &[&TX_OVR]).right(),
    Column::plain("flg", "Flg", "its flags as letters: U up, R running, B broadcast, L loopback, M multicast, P point-to-point or promiscuous, O no ARP, A all multicast, m master, s slave", 3, &[&FLG]),
];

const INDEX: Field<Interface> = field("ifindex", |i| Cell::Number(i.link.ifindex.into()));
const NAME: Field<Interface> = field("ifname", |i| Cell::Name(i.link.ifname.as_bytes()));
const KIND: Field<Interface> = field("kind", |i| Cell::Name(i.text.kind.as_bytes()));
const STATE: Field<Interface> = field("operstate", |i| Cell::Name(i.text.operstate.as_bytes()));
const FLAGS: Field<Interface> = field("flags", |i| Cell::Name(i.text.flags.as_bytes()));
const FLG: Field<Interface> = field("letters", |i| Cell::Name(i.text.letters.as_bytes()));
const MTU: Field<Interface> = field("mtu", |i| Cell::Number(i.link.mtu.into()));
const TYPE: Field<Interface> =
    field("link_type", |i| Cell::known(hardware_name(i.link.hardware), Cell::Word));
const ETHER: Field<Interface> = field("address", |i| match &i.text.ether {
    Some(address) => Cell::Name(address.as_bytes()),
    None => Cell::Absent,
});
const INET: Field<Interface> = field("inet", |i| list(&i.text.inet));
const INET6: Field<Interface> = field("inet6", |i| list(&i.text.inet6));
const SPEED: Field<Interface> = field("speed", |i| match i.media.and_then(|media| media.speed) {
    Some(speed) => Cell::Number(speed.into()),
    None => Cell::Absent,
});
const RX_OK: Field<Interface> = field("rx_packets", |i| i.counters(|c| c.rx_packets));
const RX_BYTES: Field<Interface> = field("rx_bytes", |i| i.counters(|c| c.rx_bytes));
const RX_ERR: Field<Interface> = field("rx_errors", |i| i.counters(|c| c.rx_errors));
const RX_DRP: Field<Interface> = field("rx_dropped", |i| i.counters(rx_dropped));
const RX_OVR: Field<Interface> = field("rx_overruns", |i| i.counters(|c| c.rx_fifo_errors));
const TX_OK: Field<Interface> = field("tx_packets", |i| i.counters(|c| c.tx_packets));
const TX_BYTES: Field<Interface> = field("tx_bytes", |i| i.counters(|c| c.tx_bytes));
const TX_ERR: Field<Interface> = field("tx_errors", |i| i.counters(|c| c.tx_errors));
const TX_DRP: Field<Interface> = field("tx_dropped", |i| i.counters(|c| c.tx_dropped));
const TX_OVR: Field<Interface> = field("tx_overruns", |i| i.counters(|c| c.tx_fifo_errors));

fn list(words: &str) -> Cell<'_> {
    if words.is_empty() { Cell::Absent } else { Cell::Name(words.as_bytes()) }
}

const fn field(key: &'static str, read: fn(&Interface) -> Cell<'_>) -> Field<Interface> {
    Field { key, read }
}

/// The columns with these keys.
pub fn columns(keys: &[&str]) -> Vec<&'static Column<Interface>> {
    keys.iter().filter_map(|key| COLUMNS.iter().find(|column| column.key == *key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_columns_name_columns_and_keys_are_unique() {
        assert_eq!(columns(&SHORT).len(), SHORT.len());
        assert_eq!(columns(&WHOLE).len(), WHOLE.len());
        for (i, column) in COLUMNS.iter().enumerate() {
            assert!(COLUMNS[..i].iter().all(|other| other.key != column.key), "{}", column.key);
        }
    }

    #[test]
    fn letters_are_those_of_netstat() {
        assert_eq!(letters(LinkFlags(0x1043)), "BMRU");
        assert_eq!(letters(LinkFlags(0x49)), "LRU");
        assert_eq!(letters(LinkFlags(0)), "[NO FLAGS]");
    }
}
