//! `--explain`: what is seen, in plain words for those who meet it for the first time.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::interface::{Duplex, Interface};
use super::{ip, kind};
use crate::event::network::{
    Address, AddressFlags, Lifetime, LinkFlags, Neighbour, NeighbourFlags, NeighbourState, Route,
    RouteKind, Table,
};
use crate::format::{put, put_name};

/// The other end of a virtual cable, where it is in another network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    pub ifname: Option<String>,
    /// Inode number of the namespace.
    pub netns: Option<u32>,
    /// A process that lives in it: id and name.
    pub process: Option<(u32, String)>,
    /// Id of the container that the process is of.
    pub container: Option<String>,
}

/// Interfaces, one after the other, then what is true of several.
pub fn interfaces(
    all: &[Interface],
    peers: &BTreeMap<u32, Peer>,
    unicode: bool,
    out: &mut Vec<u8>,
) {
    for interface in all {
        let mut lines = Vec::new();
        describe(interface, peers.get(&interface.link.ifindex), &mut lines);
        put_name(out, interface.link.ifname.as_bytes(), unicode);
        put(out, format_args!(": "));
        put_name(out, interface.text.kind.as_bytes(), unicode);
        out.push(b'\n');
        for line in lines {
            out.extend_from_slice(b"    ");
            put_name(out, line.as_bytes(), unicode);
            out.push(b'\n');
        }
        out.push(b'\n');
    }
    for note in notes(all) {
        put_name(out, note.as_bytes(), unicode);
        out.push(b'\n');
    }
}

fn describe(interface: &Interface, peer: Option<&Peer>, lines: &mut Vec<String>) {
    let link = &interface.link;
    lines.push(interface.text.explanation.clone());
    if let Some(words) = kind::name_words(&link.ifname) {
        lines.push(format!("Its name: {words}."));
    }
    if let (Some("veth"), Some(other)) = (link.kind.as_deref(), &link.link) {
        match (&other.ifname, peer) {
            (Some(name), _) => lines.push(format!("Its other end is {name}, on this machine.")),
            (None, Some(peer)) => lines.push(peer_words(peer, other.ifindex)),
            (None, None) => lines.push(format!(
                "Its other end is number {} of another network namespace, which could not be told.",
                other.ifindex
            )),
        }
    }
    if let Some(master) = link.master.as_ref().and_then(|master| master.ifname.as_ref()) {
        lines.push(format!("It is a port of {master}: frames that come in here are {master}'s."));
    }
    lines.push(state_words(interface));
    lines.push(frame_words(interface));
    for address in &interface.addresses {
        lines.push(address_words(address));
    }
    if interface.addresses.is_empty() {
        lines.push("It has no IP address: this machine cannot be addressed by it.".into());
    }
}

fn peer_words(peer: &Peer, ifindex: u32) -> String {
    let name = peer.ifname.clone().unwrap_or_else(|| format!("number {ifindex}"));
    let place = match (&peer.container, &peer.process, peer.netns) {
        (Some(container), Some((pid, comm)), _) => {
            let short: String = container.chars().take(12).collect();
            format!("in the container {short} ({comm}, process {pid})")
        }
        (_, Some((pid, comm)), Some(netns)) => {
            format!("in the network namespace {netns}, that of {comm} (process {pid})")
        }
        (.., Some(netns)) => format!("in the network namespace {netns}"),
        _ => "in another network namespace".into(),
    };
    format!("Its other end is {name}, {place}.")
}

fn state_words(interface: &Interface) -> String {
    let link = &interface.link;
    let mut text = match (link.flags.has(LinkFlags::UP), link.flags.has(LinkFlags::RUNNING)) {
        (false, _) => "It is switched off (down)".to_owned(),
        (true, false) => "It is switched on, but has no carrier: nothing answers at the other end \
                          of the cable"
            .to_owned(),
        (true, true) => "It is switched on and works (UP, RUNNING)".to_owned(),
    };
    // Drivers of virtual interfaces make one up, and so do some for a cable without an end.
    let told = link.kind.is_none() && link.flags.has(LinkFlags::RUNNING);
    if let Some(media) = interface.media.filter(|_| told) {
        if let Some(speed) = media.speed {
            text.push_str(&format!(", at {speed} megabits a second"));
        }
        match media.duplex {
            Some(Duplex::Full) => text.push_str(", both ways at once"),
            Some(Duplex::Half) => text.push_str(", one way at a time"),
            None => {}
        }
    }
    text.push_str(&format!("; a packet may have {} bytes (mtu)", link.mtu));
    if link.flags.has(LinkFlags::PROMISC) {
        text.push_str("; it takes frames for others too (PROMISC), as for a sniffer or a bridge");
    }
    text.push('.');
    text
}

/// What becomes of a frame.
fn frame_words(interface: &Interface) -> String {
    let link = &interface.link;
    match &link.address {
        _ if link.flags.has(LinkFlags::LOOPBACK) => {
            "A packet that is sent here comes back at once as received.".into()
        }
        Some(address) if link.hardware == 1 => format!(
            "It takes frames for {address} (its link address), for all (broadcast) and for groups \
             that it has joined; others it drops."
        ),
        _ => "It carries packets without link addresses: there is only one other end.".into(),
    }
}

fn address_words(address: &Address) -> String {
    let mut text = format!("{}/{}: ", address.local, address.prefixlen);
    text.push_str(&match address.local {
        IpAddr::V4(v4) if v4.is_loopback() => "for this machine only".to_owned(),
        IpAddr::V6(v6) if v6.is_loopback() => "for this machine only".to_owned(),
        IpAddr::V4(v4) if v4.is_link_local() => {
            "made up by the machine itself, since nobody gave it one; for this link only".to_owned()
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            "made by the machine itself; for this link only, so that it needs the interface's name \
             after a %"
                .to_owned()
        }
        IpAddr::V4(v4) if v4.is_private() => "private (RFC 1918): not reachable from the \
                                              internet without translation"
            .to_owned(),
        IpAddr::V6(v6) if v6.is_unique_local() => {
            "private (RFC 4193): not reachable from the internet".to_owned()
        }
        IpAddr::V4(v4) if v4.is_documentation() => {
            "of a network for examples (RFC 5737): nobody has it on the internet".to_owned()
        }
        IpAddr::V6(v6) if v6.segments()[..2] == [0x2001, 0xdb8] => {
            "of a network for examples (RFC 3849): nobody has it on the internet".to_owned()
        }
        IpAddr::V4(v4) if v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64 => {
            "of a provider's inner network (RFC 6598): not reachable from the internet".to_owned()
        }
        _ => "can be reachable from the internet".to_owned(),
    });
    if let Some(peer) = address.peer {
        text.push_str(&format!("; the other end is {peer}"));
    } else if let (Some((first, last)), false) = (network(address), address.local.is_loopback()) {
        text.push_str(&format!("; {first} to {last} are reached directly, without a router"));
    }
    let flags = address.flags;
    for (holds, words) in [
        (
            flags.has(AddressFlags::SECONDARY) && address.local.is_ipv4(),
            "secondary: of its network it is not the first here",
        ),
        (
            flags.has(AddressFlags::SECONDARY) && address.local.is_ipv6(),
            "temporary: it changes from time to time, so that nobody can follow it (RFC 8981)",
        ),
        (flags.has(AddressFlags::DEPRECATED), "deprecated: no new connection begins with it"),
        (flags.has(AddressFlags::TENTATIVE), "tentative: it is not known yet to be the only one"),
        (
            flags.has(AddressFlags::DADFAILED),
            "duplicated: another machine has it, so it is not used",
        ),
    ] {
        if holds {
            text.push_str(&format!("; {words}"));
        }
    }
    match address.valid {
        Some(Lifetime::FOREVER) | None => {}
        Some(Lifetime(seconds)) => text.push_str(&format!("; it ends in {seconds} seconds")),
    }
    text.push('.');
    text
}

/// First and last address of an IPv4 network that has several.
fn network(address: &Address) -> Option<(IpAddr, IpAddr)> {
    let IpAddr::V4(local) = address.local else { return None };
    let host = match address.prefixlen {
        0 => u32::MAX,
        len @ 1..32 => u32::MAX >> len,
        _ => return None,
    };
    let bits = u32::from(local);
    let of = |bits: u32| IpAddr::V4(bits.into());
    Some((of(bits & !host), of(bits | host)))
}

/// What is true of several interfaces.
fn notes(all: &[Interface]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut macs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for interface in all.iter().filter(|interface| interface.link.hardware == 1) {
        if let Some(address) = &interface.link.address {
            macs.entry(address.to_string()).or_default().push(&interface.link.ifname);
        }
    }
    for (address, names) in macs.iter().filter(|(_, names)| names.len() > 1) {
        notes.push(format!(
            "{} have the same link address {address}: a bridge takes that of a port, a VLAN or a \
             bond that of what it lies upon; on the link they are one.",
            names.join(" and ")
        ));
    }
    if all.iter().any(|interface| interface.addresses.len() > 1) {
        notes.push(
            "An address belongs to an interface, not to the machine, and one interface can have \
             several."
                .into(),
        );
    }
    notes
}

/// A sentence for each route of the main table.
pub fn routes(all: &[Route], unicode: bool, out: &mut Vec<u8>) {
    let mut lines: Vec<String> =
        all.iter().filter(|route| route.table == Table::MAIN).map(route_words).collect();
    lines.push(
        "Of several routes that fit, the one with the longest prefix is taken, then the one with \
         the least metric."
            .into(),
    );
    for line in lines {
        put_name(out, line.as_bytes(), unicode);
        out.push(b'\n');
    }
}

fn route_words(route: &Route) -> String {
    let to = match route.is_default() {
        true => "everything that no other route is for (default)".to_owned(),
        false => format!("{}/{}", route.dst, route.dst_len),
    };
    let way = |gateway: Option<IpAddr>, dev: Option<&str>| {
        let dev = dev.unwrap_or("an interface that is gone");
        match gateway {
            Some(gateway) => format!("by {dev} to the router {gateway}"),
            None => format!("by {dev}, directly"),
        }
    };
    let mut text = match route.kind {
        RouteKind::BLACKHOLE => format!("{to}: dropped, and nobody is told."),
        RouteKind::UNREACHABLE => format!("{to}: turned away as unreachable."),
        RouteKind::PROHIBIT => format!("{to}: turned away as forbidden."),
        RouteKind::THROW => format!("{to}: looked for in the next routing table."),
        _ if !route.nexthops.is_empty() => {
            let ways: Vec<String> = route
                .nexthops
                .iter()
                .map(|hop| format!("{} ({})", way(hop.gateway, hop.dev.as_deref()), hop.weight))
                .collect();
            format!("{to}: by turns {}; the numbers are their shares.", ways.join(", "))
        }
        _ => format!("{to}: {}.", way(route.gateway, route.dev.as_deref())),
    };
    if let Some(src) = route.prefsrc {
        text.push_str(&format!(" Packets from here get the address {src}."));
    }
    if let Some(metric) = route.metric.filter(|metric| *metric != 0) {
        text.push_str(&format!(" Its metric is {metric}."));
    }
    text
}

/// A sentence for each neighbour.
pub fn neighbours(all: &[Neighbour], unicode: bool, out: &mut Vec<u8>) {
    // Of multicast groups there is nothing to find out.
    let asked = |one: &&Neighbour| one.state.0 != NeighbourState::NOARP as u16;
    for neighbour in all.iter().filter(asked) {
        put_name(out, neighbour_words(neighbour).as_bytes(), unicode);
        out.push(b'\n');
    }
}

fn neighbour_words(neighbour: &Neighbour) -> String {
    let (dst, dev, state) = (neighbour.dst, &neighbour.ifname, neighbour.state);
    if neighbour.flags.has(NeighbourFlags::PROXY) {
        return format!("{dst}: this machine answers for it on {dev}.");
    }
    let at = neighbour.lladdr.as_ref().map_or_else(String::new, |at| format!(" is at {at},"));
    let words = [
        (NeighbourState::PERMANENT, "set by hand: it is not asked"),
        (NeighbourState::REACHABLE, "it answered a short while ago"),
        (NeighbourState::STALE, "it has not been needed for a while: it is asked at the next use"),
        (NeighbourState::DELAY, "it was used again, and is given a moment to show that it lives"),
        (NeighbourState::PROBE, "it is being asked whether it still lives"),
        (NeighbourState::INCOMPLETE, "it is being asked for its link address"),
        (NeighbourState::FAILED, "it does not answer: nobody has this address, or it is off"),
        (NeighbourState::NOARP, "it needs no asking"),
    ];
    let known = words.iter().find(|(bit, _)| state.has(*bit));
    let words = known.map_or("nothing is known of it", |(_, words)| words);
    format!("{dst}{at} by {dev}: {words}.")
}

/// Those that a view of `ip` chooses, in its order.
pub fn chosen(all: Vec<Interface>, select: &ip::Select) -> Vec<Interface> {
    all.into_iter().filter(|interface| select.takes(&interface.link)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::network::{Link, LinkAddress};

    #[test]
    fn interfaces_that_share_a_link_address_are_pointed_out() {
        let one = |ifname: &str| {
            let address = Some(LinkAddress(vec![2, 0, 0, 0, 0, 1]));
            let link = Link { ifname: ifname.into(), hardware: 1, address, ..Link::default() };
            Interface::new(link, Vec::new())
        };
        let notes = notes(&[one("br0"), one("v1")]);
        assert!(notes[0].starts_with("br0 and v1 have the same link address 02:00:00:00:00:01"));
        assert!(self::notes(&[one("br0")]).is_empty());
    }

    #[test]
    fn a_peer_is_told_as_far_as_it_is_known() {
        let mut peer = Peer::default();
        assert_eq!(
            peer_words(&peer, 7),
            "Its other end is number 7, in another network namespace."
        );
        peer.ifname = Some("eth0".into());
        peer.netns = Some(4_026_532_177);
        peer.process = Some((812, "nginx".into()));
        assert!(peer_words(&peer, 7).ends_with("4026532177, that of nginx (process 812)."));
        peer.container = Some("5f1a".repeat(16));
        assert_eq!(
            peer_words(&peer, 7),
            "Its other end is eth0, in the container 5f1a5f1a5f1a (nginx, process 812)."
        );
    }
}
