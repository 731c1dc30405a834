//! `ip link` and `ip addr`: interfaces, and their addresses.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Style, put_array, text_of};
use crate::event::Family;
use crate::event::network::{
    Address, AddressFlags, Counters, Lifetime, Link, LinkAddress, LinkFlags, LinkRef, family_name,
    hardware_name,
};
use crate::format::put;

mod json;

/// Which interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Select {
    /// By name or other name; none is all.
    pub dev: Option<String>,
    pub up: bool,
    /// Only ports of this bridge or bond.
    pub master: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
}

impl Select {
    pub fn takes(&self, link: &Link) -> bool {
        let named = |name: &String| link.ifname == *name || link.altnames.contains(name);
        self.dev.as_ref().is_none_or(named)
            && (!self.up || link.flags.has(LinkFlags::UP))
            && self.master.as_ref().is_none_or(|master| {
                link.master.as_ref().and_then(|link| link.ifname.as_ref()) == Some(master)
            })
            && self.kind.as_ref().is_none_or(|kind| link.kind.as_ref() == Some(kind))
    }
}

/// Interfaces; with their addresses, if those are asked for.
pub struct Interfaces<'a> {
    pub links: &'a [Link],
    pub addresses: Option<&'a [Address]>,
    pub select: &'a Select,
    pub style: &'a Style,
}

/// What `ip` calls the flags of a link. RUNNING is told by its absence.
pub fn flag_names(link: &Link, lower_is_down: bool) -> Vec<Cow<'static, str>> {
    let mut names: Vec<Cow<'static, str>> = Vec::new();
    if link.flags.has(LinkFlags::UP) && !link.flags.has(LinkFlags::RUNNING) {
        names.push("NO-CARRIER".into());
    }
    let mut rest = link.flags.0 & !LinkFlags::RUNNING;
    for (bit, name) in LinkFlags::NAMES {
        if rest & bit != 0 {
            names.push(name.into());
        }
        rest &= !bit;
    }
    if rest != 0 {
        names.push(format!("{rest:x}").into());
    }
    if lower_is_down {
        names.push("M-DOWN".into());
    }
    names
}

impl<'a> Interfaces<'a> {
    fn chosen(&self) -> impl Iterator<Item = Interface<'a>> + use<'a> {
        let Interfaces { links, addresses, select, style } = *self;
        let up: std::collections::HashSet<u32> = links
            .iter()
            .filter(|link| link.flags.has(LinkFlags::UP))
            .map(|link| link.ifindex)
            .collect();
        // By interface, so that a thousand of them cost no million comparisons.
        let mut of: std::collections::HashMap<u32, Vec<&Address>> =
            std::collections::HashMap::new();
        for address in addresses.unwrap_or_default() {
            of.entry(address.ifindex).or_default().push(address);
        }
        links.iter().filter(|link| select.takes(link)).filter_map(move |link| {
            let addresses = addresses.map(|_| of.remove(&link.ifindex).unwrap_or_default());
            // Asked for one family, an interface without it has no part in the answer.
            if style.family.is_some() && addresses.as_ref().is_some_and(Vec::is_empty) {
                return None;
            }
            let lower_is_down = match &link.link {
                Some(LinkRef { ifindex, ifname: Some(_) }) => !up.contains(ifindex),
                _ => false,
            };
            Some(Interface { link, addresses, lower_is_down, style })
        })
    }

    pub fn text(&self, out: &mut Vec<u8>) {
        for interface in self.chosen() {
            match (self.style.brief, self.style.oneline) {
                (true, _) => interface.brief(out),
                (false, true) if interface.addresses.is_some() => interface.address_lines(out),
                _ => interface.text(out),
            }
        }
    }

    pub fn json(&self, out: &mut Vec<u8>) {
        put_array(self.chosen(), out);
    }
}

/// An interface to be written.
struct Interface<'a> {
    link: &'a Link,
    addresses: Option<Vec<&'a Address>>,
    lower_is_down: bool,
    style: &'a Style,
}

impl Interface<'_> {
    /// Whether the line of the link layer belongs to the answer.
    fn shows_link_layer(&self) -> bool {
        self.addresses.is_none() || self.style.family.is_none()
    }

    /// Asked for IPv6 addresses, `ip` learns less of the interface, and says less.
    fn is_of_v6(&self) -> bool {
        self.addresses.is_some() && self.style.family == Some(Family::V6)
    }

    fn qdisc(&self) -> Option<&str> {
        self.link.qdisc.as_deref().filter(|_| !self.is_of_v6())
    }

    fn master(&self) -> Option<&str> {
        let master = self.link.master.as_ref().filter(|_| !self.is_of_v6())?;
        master.ifname.as_deref()
    }

    fn altnames(&self) -> &[String] {
        if self.is_of_v6() { &[] } else { &self.link.altnames }
    }

    /// `name`, or `name@other`.
    fn name(&self) -> String {
        let name = self.style.clean(&self.link.ifname);
        match &self.link.link {
            None => name.into_owned(),
            Some(LinkRef { ifindex: 0, .. }) => format!("{name}@NONE"),
            Some(LinkRef { ifname: Some(other), .. }) => {
                format!("{name}@{}", self.style.clean(other))
            }
            Some(LinkRef { ifindex, ifname: None }) => format!("{name}@if{ifindex}"),
        }
    }

    fn flags(&self) -> String {
        flag_names(self.link, self.lower_is_down).join(",")
    }

    fn text(&self, out: &mut Vec<u8>) {
        let Interface { link, style, .. } = self;
        let (newline, clean) = (style.newline(), |name| style.clean(name));
        let flags = self.flags();
        put(out, format_args!("{}: {}: <{flags}> mtu {} ", link.ifindex, self.name(), link.mtu));
        if let Some(qdisc) = self.qdisc() {
            put(out, format_args!("qdisc {} ", clean(qdisc)));
        }
        if let Some(master) = self.master() {
            put(out, format_args!("master {} ", clean(master)));
        }
        put(out, format_args!("state {} ", link.operstate));
        if self.addresses.is_none() {
            put(out, format_args!("mode {} ", linkmode(link.linkmode)));
        }
        if !self.is_of_v6() {
            put(out, format_args!("group {} ", style.clean(&style.names.group(link.group))));
        }
        if link.txqlen != 0 {
            put(out, format_args!("qlen {}", link.txqlen));
        }
        if self.shows_link_layer() {
            put(out, format_args!("{newline}    link/{} ", hardware(link)));
            if let Some(address) = &link.address {
                put(out, format_args!("{}", link_address(link, address)));
            }
            if let Some(broadcast) = &link.broadcast {
                let word = if link.flags.has(LinkFlags::POINTOPOINT) { "peer" } else { "brd" };
                put(out, format_args!(" {word} {}", link_address(link, broadcast)));
            }
            if let Some(permaddr) = other_permaddr(link) {
                put(out, format_args!(" permaddr {}", link_address(link, permaddr)));
            }
        }
        match link.link_netnsid {
            Some(id) if id >= 0 => put(out, format_args!(" link-netnsid {id}")),
            Some(_) => put(out, format_args!(" link-netnsid unknown")),
            None => {}
        }
        if link.proto_down {
            put(out, format_args!(" protodown on "));
        }
        if self.addresses.is_none()
            && let Some(alias) = &link.ifalias
        {
            put(out, format_args!("{newline}    alias {}", clean(alias)));
        }
        if self.addresses.is_none()
            && let Some(stats) = &link.stats
        {
            put_stats(stats, newline, out);
        }
        for altname in self.altnames() {
            put(out, format_args!("{newline}    altname {}", clean(altname)));
        }
        out.push(b'\n');
        if let Some(addresses) = &self.addresses {
            for address in addresses {
                put(out, format_args!("    "));
                put_address(address, style, out);
                out.push(b'\n');
            }
            if let Some(stats) = &link.stats {
                let mut text = Vec::new();
                put_stats(stats, newline, &mut text);
                out.extend_from_slice(text.strip_prefix(b"\n").unwrap_or(&text));
                out.push(b'\n');
            }
        }
    }

    /// A line for each address.
    fn address_lines(&self, out: &mut Vec<u8>) {
        for address in self.addresses.iter().flatten() {
            let name = self.style.clean(&self.link.ifname);
            put(out, format_args!("{}: {name}    ", self.link.ifindex));
            put_address(address, self.style, out);
            out.push(b'\n');
        }
    }

    fn brief(&self, out: &mut Vec<u8>) {
        let Interface { link, .. } = self;
        put(out, format_args!("{:<16} {:<14} ", self.name(), link.operstate.to_string()));
        match &self.addresses {
            Some(addresses) => {
                for address in addresses {
                    put_local(address, out);
                    out.push(b' ');
                }
            }
            None => {
                if let Some(address) = &link.address {
                    put(out, format_args!("{} ", link_address(link, address)));
                }
                put(out, format_args!("<{}> ", self.flags()));
            }
        }
        out.push(b'\n');
    }
}

fn put_stats(stats: &Counters, newline: &str, out: &mut Vec<u8>) {
    let columns = |titles: [&str; 6], values: [u64; 6], side: &str, out: &mut Vec<u8>| {
        let width = |i: usize| titles[i].len().max(values[i].to_string().len());
        put(out, format_args!("{newline}    {side}"));
        for (i, title) in titles.iter().enumerate() {
            put(out, format_args!(" {title:>width$}", width = width(i)));
        }
        put(out, format_args!("{newline}       "));
        for (i, value) in values.iter().enumerate() {
            put(out, format_args!(" {value:>width$}", width = width(i)));
        }
        out.push(b' ');
    };
    columns(
        [" bytes", "packets", "errors", "dropped", " missed", "  mcast"],
        [
            stats.rx_bytes,
            stats.rx_packets,
            stats.rx_errors,
            stats.rx_dropped,
            stats.rx_missed_errors,
            stats.multicast,
        ],
        "RX:",
        out,
    );
    columns(
        [" bytes", "packets", "errors", "dropped", "carrier", "collsns"],
        [
            stats.tx_bytes,
            stats.tx_packets,
            stats.tx_errors,
            stats.tx_dropped,
            stats.tx_carrier_errors,
            stats.collisions,
        ],
        "TX:",
        out,
    );
}

fn put_local(address: &Address, out: &mut Vec<u8>) {
    put(out, format_args!("{}", address.local));
    if let Some(peer) = address.peer {
        put(out, format_args!(" peer {peer}"));
    }
    put(out, format_args!("/{}", address.prefixlen));
}

fn put_address(address: &Address, style: &Style, out: &mut Vec<u8>) {
    put(out, format_args!("{} ", family_name(address.local)));
    put_local(address, out);
    out.push(b' ');
    if let Some(metric) = address.metric {
        put(out, format_args!("metric {metric} "));
    }
    if let Some(broadcast) = address.broadcast {
        put(out, format_args!("brd {broadcast} "));
    }
    if let Some(anycast) = address.anycast {
        put(out, format_args!("any {anycast} "));
    }
    put(out, format_args!("scope {} ", style.clean(&style.names.scope(address.scope))));
    for name in address_flag_names(address) {
        put(out, format_args!("{name} "));
    }
    if let Some(rest) = unknown_flags(address) {
        put(out, format_args!("flags {rest} "));
    }
    if let Some(proto) = address.proto.filter(|proto| *proto != 0) {
        put(out, format_args!("proto {} ", address_proto(proto)));
    }
    if let Some(label) = &address.label {
        put(out, format_args!("{}", style.clean(label)));
    }
    if let (Some(valid), Some(preferred)) = (address.valid, address.preferred) {
        put(out, format_args!("{}       valid_lft ", style.newline()));
        put_lifetime(valid, out);
        put(out, format_args!(" preferred_lft "));
        put_lifetime(preferred, out);
    }
}

fn put_lifetime(lifetime: Lifetime, out: &mut Vec<u8>) {
    match lifetime {
        Lifetime::FOREVER => put(out, format_args!("forever")),
        Lifetime(seconds) => put(out, format_args!("{seconds}sec")),
    }
}

/// Names of an address's flags: `dynamic` is the absence of permanence, and what is
/// secondary in IPv4 is temporary in IPv6.
fn address_flag_names(address: &Address) -> impl Iterator<Item = &'static str> {
    let flags = address.flags;
    let v6 = address.local.is_ipv6();
    AddressFlags::NAMES.into_iter().filter_map(move |(bit, name)| match bit {
        AddressFlags::PERMANENT => (!flags.has(bit)).then_some("dynamic"),
        AddressFlags::SECONDARY if v6 => flags.has(bit).then_some("temporary"),
        _ => flags.has(bit).then_some(name),
    })
}

fn unknown_flags(address: &Address) -> Option<String> {
    let known = AddressFlags::NAMES.iter().fold(0, |known, (bit, _)| known | bit);
    let rest = address.flags.0 & !known;
    (rest != 0).then(|| format!("{rest:02x}"))
}

/// `IFAPROT_*` of `linux/if_addr.h`.
fn address_proto(proto: u8) -> Cow<'static, str> {
    match proto {
        1 => "kernel_lo".into(),
        2 => "kernel_ra".into(),
        3 => "kernel_ll".into(),
        other => other.to_string().into(),
    }
}

fn linkmode(mode: u8) -> Cow<'static, str> {
    match mode {
        0 => "DEFAULT".into(),
        1 => "DORMANT".into(),
        other => other.to_string().into(),
    }
}

fn hardware(link: &Link) -> Cow<'static, str> {
    hardware_name(link.hardware)
        .map_or_else(|| format!("[{}]", link.hardware).into(), Cow::Borrowed)
}

/// A tunnel's end is an IP address.
fn link_address(link: &Link, address: &LinkAddress) -> String {
    let ip: Option<IpAddr> = match (link.hardware, address.0.as_slice()) {
        (768 | 776 | 778, bytes) => {
            <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into())
        }
        (769 | 823, bytes) => {
            <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into())
        }
        _ => None,
    };
    ip.map_or_else(|| address.to_string(), text_of)
}

/// The hardware's own address, where another one is in use.
fn other_permaddr(link: &Link) -> Option<&LinkAddress> {
    link.permaddr.as_ref().filter(|permaddr| link.address.as_ref() != Some(permaddr))
}
