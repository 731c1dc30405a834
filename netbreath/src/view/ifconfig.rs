//! `ifconfig`: a paragraph for each interface, as Linux or as the BSDs write it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use super::interface::{Duplex, Interface, linux_flags, rx_dropped, rx_frame, tx_carrier};
use crate::event::network::{Address, AddressFlags, Lifetime, Link, LinkFlags, LinkRef, Nd6};
use crate::format::{put, put_name};

/// Whose layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Style {
    /// Dotted netmasks, and counters below
    #[cfg_attr(not(target_vendor = "apple"), default)]
    Linux,
    /// Hexadecimal netmasks, options and media; no counters
    #[cfg_attr(target_vendor = "apple", default)]
    Bsd,
}

/// Appends the paragraphs of `interfaces`.
pub fn text(interfaces: &[Interface], style: Style, unicode: bool, out: &mut Vec<u8>) {
    for interface in interfaces {
        match style {
            Style::Linux => linux(interface, unicode, out),
            Style::Bsd => bsd(interface, unicode, out),
        }
    }
}

fn name(name: &str, unicode: bool, out: &mut Vec<u8>) {
    put_name(out, name.as_bytes(), unicode);
}

fn linux(interface: &Interface, unicode: bool, out: &mut Vec<u8>) {
    let Interface { link, .. } = interface;
    linux_head(&link.ifname, link, unicode, out);
    // An address with a label of its own is a paragraph of its own, below.
    let mut labelled: BTreeMap<&str, Vec<&Address>> = BTreeMap::new();
    for address in &interface.addresses {
        match address.label.as_deref().filter(|label| *label != link.ifname) {
            Some(label) => labelled.entry(label).or_default().push(address),
            None => linux_address(address, link, out),
        }
    }
    linux_hardware(link, out);
    if let Some(counters) = &link.stats {
        let (rx_size, tx_size) = (size(counters.rx_bytes), size(counters.tx_bytes));
        put(
            out,
            format_args!(
                "        RX packets {}  bytes {} ({rx_size})\n        RX errors {}  dropped {}  \
                 overruns {}  frame {}\n",
                counters.rx_packets,
                counters.rx_bytes,
                counters.rx_errors,
                rx_dropped(counters),
                counters.rx_fifo_errors,
                rx_frame(counters),
            ),
        );
        put(
            out,
            format_args!(
                "        TX packets {}  bytes {} ({tx_size})\n        TX errors {}  dropped {} \
                 overruns {}  carrier {}  collisions {}\n",
                counters.tx_packets,
                counters.tx_bytes,
                counters.tx_errors,
                counters.tx_dropped,
                counters.tx_fifo_errors,
                tx_carrier(counters),
                counters.collisions,
            ),
        );
    }
    out.push(b'\n');
    for (label, addresses) in labelled {
        linux_head(label, link, unicode, out);
        for address in addresses {
            linux_address(address, link, out);
        }
        linux_hardware(link, out);
        out.push(b'\n');
    }
}

fn linux_head(label: &str, link: &Link, unicode: bool, out: &mut Vec<u8>) {
    name(label, unicode, out);
    // The classic has 16 bits for them.
    let number = link.flags.0 & 0xffff;
    let flags: Vec<&str> = linux_flags(link.flags).collect();
    put(out, format_args!(": flags={number}<{}>  mtu {}\n", flags.join(","), link.mtu));
}

fn linux_address(address: &Address, link: &Link, out: &mut Vec<u8>) {
    match address.local {
        IpAddr::V4(local) => {
            let mask = netmask(address.prefixlen);
            put(out, format_args!("        inet {local}  netmask {}", dotted(mask)));
            if link.flags.has(LinkFlags::BROADCAST) {
                match address.broadcast {
                    Some(broadcast) => put(out, format_args!("  broadcast {broadcast}")),
                    None => put(out, format_args!("  broadcast 0.0.0.0")),
                }
            }
            if link.flags.has(LinkFlags::POINTOPOINT) {
                let destination = address.peer.unwrap_or(address.local);
                put(out, format_args!("  destination {destination}"));
            } else if let Some(peer) = address.peer {
                put(out, format_args!("  peer {peer}"));
            }
        }
        IpAddr::V6(local) => {
            let (number, word) = scope(local);
            put(
                out,
                format_args!(
                    "        inet6 {local}  prefixlen {}  scopeid {number:#x}<{word}>",
                    address.prefixlen
                ),
            );
            for mark in marks(address) {
                put(out, format_args!("  {mark}"));
            }
        }
    }
    out.push(b'\n');
}

/// Its hardware's short name, its address, its queue, and the long name.
fn linux_hardware(link: &Link, out: &mut Vec<u8>) {
    let (short, long) = match link.hardware {
        1 => ("ether", "Ethernet"),
        772 => ("loop", "Local Loopback"),
        512 => ("ppp", "Point-to-Point Protocol"),
        256 => ("slip", "Serial Line IP"),
        257 => ("cslip", "VJ Serial Line IP"),
        258 => ("slip6", "6-bit Serial Line IP"),
        259 => ("cslip6", "VJ 6-bit Serial Line IP"),
        768 => ("tunnel", "IPIP Tunnel"),
        776 => ("sit", "IPv6-in-IPv4"),
        32 => ("infiniband", "InfiniBand"),
        24 => ("ieee1394", "IEEE 1394"),
        _ => ("unspec", "UNSPEC"),
    };
    put(out, format_args!("        {short}"));
    match (short, &link.address) {
        ("ether" | "infiniband" | "ieee1394", Some(address)) => {
            put(out, format_args!(" {address}"));
        }
        ("unspec", address) => {
            // The classic writes as many bytes as its structure has.
            let bytes = address.as_ref().map_or(&[][..], |address| &address.0);
            let at = |i: usize| bytes.get(i).copied().unwrap_or(0);
            let words: Vec<String> = (0..16).map(|i| format!("{:02X}", at(i))).collect();
            put(out, format_args!(" {}", words.join("-")));
        }
        _ => {}
    }
    put(out, format_args!("  txqueuelen {}  ({long})\n", link.txqlen));
}

/// The scope of an IPv6 address, by the kernel's number for it.
fn scope(addr: Ipv6Addr) -> (u8, &'static str) {
    let segments = addr.segments();
    if addr.is_loopback() {
        (0x10, "host")
    } else if addr.is_unicast_link_local() {
        (0x20, "link")
    } else if segments[0] & 0xffc0 == 0xfec0 {
        (0x40, "site")
    } else if segments[..6] == [0; 6] && segments[6] != 0 {
        (0x80, "compat")
    } else {
        (0, "global")
    }
}

/// What is to be known of an address before one relies on it.
fn marks(address: &Address) -> impl Iterator<Item = &'static str> {
    let flags = address.flags;
    [
        (flags.has(AddressFlags::SECONDARY) && address.local.is_ipv6(), "temporary"),
        (flags.has(AddressFlags::DEPRECATED), "deprecated"),
        (flags.has(AddressFlags::TENTATIVE), "tentative"),
        (flags.has(AddressFlags::DADFAILED), "duplicated"),
    ]
    .into_iter()
    .filter(|(holds, _)| *holds)
    .map(|(_, mark)| mark)
}

/// Bytes as the classic writes them: binary units, one digit, cut.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1 << 60, "EiB"),
        (1 << 50, "PiB"),
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    let (per, unit) = UNITS.into_iter().find(|(per, _)| bytes > *per).unwrap_or((1, "B"));
    let tenths = u128::from(bytes) * 10 / u128::from(per);
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

const fn netmask(prefixlen: u8) -> u32 {
    match prefixlen {
        0 => 0,
        1..32 => u32::MAX << (32 - prefixlen),
        _ => u32::MAX,
    }
}

fn dotted(mask: u32) -> String {
    std::net::Ipv4Addr::from(mask).to_string()
}

/// BSD numbers some flags differently, and has some of its own. What Linux alone has,
/// it cannot say.
fn bsd_flags(link: &Link) -> (u32, Vec<&'static str>) {
    const FLAGS: [(u32, u32, &str); 10] = [
        (LinkFlags::UP, 0x1, "UP"),
        (LinkFlags::BROADCAST, 0x2, "BROADCAST"),
        (LinkFlags::DEBUG, 0x4, "DEBUG"),
        (LinkFlags::LOOPBACK, 0x8, "LOOPBACK"),
        (LinkFlags::POINTOPOINT, 0x10, "POINTOPOINT"),
        (LinkFlags::RUNNING, 0x40, "RUNNING"),
        (LinkFlags::NOARP, 0x80, "NOARP"),
        (LinkFlags::PROMISC, 0x100, "PROMISC"),
        (LinkFlags::ALLMULTI, 0x200, "ALLMULTI"),
        (LinkFlags::MULTICAST, 0x8000, "MULTICAST"),
    ];
    let all = FLAGS.into_iter().filter(|(linux, ..)| link.flags.has(*linux));
    let (numbers, names): (Vec<u32>, Vec<&str>) = all.map(|(_, bsd, name)| (bsd, name)).unzip();
    (numbers.into_iter().sum(), names)
}

/// Numbers of what a driver does, and of what IPv6 does, as macOS has them.
const OPTIONS: [(&str, u32); 7] = [
    ("RXCSUM", 0x1),
    ("TXCSUM", 0x2),
    ("VLAN_MTU", 0x4),
    ("VLAN_HWTAGGING", 0x8),
    ("TSO4", 0x20),
    ("TSO6", 0x40),
    ("LRO", 0x80),
];

fn nd6_options(nd6: Nd6) -> (u32, Vec<&'static str>) {
    let all = [
        (true, 0x1, "PERFORMNUD"),
        (nd6.accept_ra, 0x2, "ACCEPT_RTADV"),
        (nd6.disabled, 0x8, "IFDISABLED"),
        (nd6.auto_linklocal, 0x20, "AUTO_LINKLOCAL"),
        (nd6.dad, 0x200, "DAD"),
    ];
    let (numbers, names): (Vec<u32>, Vec<&str>) =
        all.into_iter().filter(|(holds, ..)| *holds).map(|(_, bit, name)| (bit, name)).unzip();
    (numbers.into_iter().sum(), names)
}

fn bsd(interface: &Interface, unicode: bool, out: &mut Vec<u8>) {
    let Interface { link, .. } = interface;
    name(&link.ifname, unicode, out);
    let (number, names) = bsd_flags(link);
    put(out, format_args!(": flags={number:x}<{}> mtu {}\n", names.join(","), link.mtu));
    if !interface.options.is_empty() {
        let bit = |name: &&str| OPTIONS.iter().find(|(known, _)| known == name);
        let bits: u32 = interface.options.iter().filter_map(bit).map(|(_, bit)| bit).sum();
        put(out, format_args!("\toptions={bits:x}<{}>\n", interface.options.join(",")));
    }
    if link.hardware == 1
        && let Some(address) = &link.address
    {
        put(out, format_args!("\tether {address}\n"));
    }
    for address in &interface.addresses {
        bsd_address(address, link, unicode, out);
    }
    if let Some(nd6) = link.nd6.filter(|_| interface.addresses.iter().any(|a| a.local.is_ipv6())) {
        let (number, names) = nd6_options(nd6);
        put(out, format_args!("\tnd6 options={number:x}<{}>\n", names.join(",")));
    }
    if let Some(LinkRef { ifname: Some(master), .. }) = &link.master {
        out.extend_from_slice(b"\tmember of: ");
        name(master, unicode, out);
        out.push(b'\n');
    }
    if let Some(media) = &interface.media {
        let mut words = Vec::new();
        if let Some(speed) = media.speed {
            let media = if speed >= 1000 && speed % 1000 == 0 && speed > 1000 {
                format!("{}Gbase", speed / 1000)
            } else {
                format!("{speed}base")
            };
            words.push(media);
        }
        match media.duplex {
            Some(Duplex::Full) => words.push("<full-duplex>".into()),
            Some(Duplex::Half) => words.push("<half-duplex>".into()),
            None => {}
        }
        let words = words.join(" ");
        match (media.autoneg, words.is_empty()) {
            (true, true) => put(out, format_args!("\tmedia: autoselect\n")),
            (true, false) => put(out, format_args!("\tmedia: autoselect ({words})\n")),
            (false, false) => put(out, format_args!("\tmedia: {words}\n")),
            (false, true) => put(out, format_args!("\tmedia: <unknown type>\n")),
        }
    }
    if link.hardware == 1 {
        let active = link.flags.has(LinkFlags::RUNNING);
        let status = if active { "active" } else { "inactive" };
        put(out, format_args!("\tstatus: {status}\n"));
    }
}

fn bsd_address(address: &Address, link: &Link, unicode: bool, out: &mut Vec<u8>) {
    let flags = address.flags;
    match address.local {
        IpAddr::V4(local) => {
            put(out, format_args!("\tinet {local}"));
            if let Some(peer) = address.peer {
                put(out, format_args!(" --> {peer}"));
            }
            put(out, format_args!(" netmask {:#010x}", netmask(address.prefixlen)));
            if let Some(broadcast) = address.broadcast {
                put(out, format_args!(" broadcast {broadcast}"));
            }
        }
        IpAddr::V6(local) => {
            put(out, format_args!("\tinet6 {local}"));
            let local_only = local.is_unicast_link_local();
            if local_only {
                out.push(b'%');
                name(&link.ifname, unicode, out);
            }
            put(out, format_args!(" prefixlen {}", address.prefixlen));
            // Made by itself, from a router's advertisement.
            let made = flags.has(AddressFlags::MNGTMPADDR)
                || address.proto == Some(2)
                || address.valid.is_some_and(|valid| valid != Lifetime::FOREVER);
            if made && !local_only {
                out.extend_from_slice(b" autoconf");
            }
            for mark in marks(address) {
                put(out, format_args!(" {mark}"));
            }
            // Formed so that it does not tell the hardware's address (RFC 7217).
            if flags.has(AddressFlags::STABLE_PRIVACY) {
                out.extend_from_slice(b" secured");
            }
            if local_only {
                put(out, format_args!(" scopeid {:#x}", link.ifindex));
            }
        }
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_cut_to_one_digit() {
        for (bytes, text) in [
            (0, "0.0 B"),
            (426, "426.0 B"),
            (1024, "1024.0 B"),
            (1025, "1.0 KiB"),
            (1_000_000, "976.5 KiB"),
            (1_717_986_918, "1.5 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn scopes_and_masks() {
        assert_eq!(scope("fe80::1".parse().unwrap()), (0x20, "link"));
        assert_eq!(scope("::1".parse().unwrap()), (0x10, "host"));
        assert_eq!(scope("2001:db8::1".parse().unwrap()), (0, "global"));
        assert_eq!(scope("::ffff:10.0.0.1".parse().unwrap()), (0, "global"));
        assert_eq!(dotted(netmask(0)), "0.0.0.0");
        assert_eq!(dotted(netmask(20)), "255.255.240.0");
        assert_eq!(dotted(netmask(32)), "255.255.255.255");
    }
}
