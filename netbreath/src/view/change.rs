//! Changes of the network configuration, one a line: what `--follow` shows.

use std::fmt::Write;

use super::{Align, Cell, Column, Field, Width};
use crate::event::network::{
    Address, AddressFlags, Change, Changed, Link, LinkFlags, Neighbour, NumberNames, Route,
    RouteKind, Table,
};
use crate::event::{Body, Event};

/// Columns that are shown.
pub fn columns() -> Vec<&'static Column<Event>> {
    COLUMNS.iter().collect()
}

/// Columns that a narrow terminal loses, first to last.
pub const LEAST_NEEDED: [&str; 2] = ["event", "time"];

/// The keys of a row in JSON, in order.
pub const KEYS: [&str; 7] = ["at", "event", "via", "change", "dev", "what", "netns"];

#[rustfmt::skip]
static COLUMNS: [Column<Event>; 5] = [
    Column { width: Width { least: 12, usual: 15, most: 15 }, ..Column::plain("time", "TIME", "when it happened", 15, &[&AT]) },
    Column::plain("event", "EVENT", "link, address, route or neighbour", 9, &[&EVENT, &VIA]),
    Column::plain("change", "CHANGE", "added, removed or changed", 8, &[&CHANGE]),
    Column { width: Width { least: 8, usual: 12, most: 15 }, ..Column::plain("dev", "DEV", "interface", 12, &[&DEV]) },
    Column { align: Align::Left, width: Width { least: 30, usual: 40, most: 100 }, ..Column::plain("what", "WHAT", "what it is now, and what it was", 40, &[&WHAT, &NETNS]) },
];

const AT: Field<Event> = field("at", |event| Cell::Time(event.at));
const EVENT: Field<Event> = field("event", |event| Cell::Word(event.body.name()));
const VIA: Field<Event> = field("via", |event| Cell::Word(event.via.name()));
const CHANGE: Field<Event> = field("change", |event| {
    event.body.change().map_or(Cell::Absent, |change| Cell::Word(change.name()))
});
const DEV: Field<Event> =
    field("dev", |event| dev(&event.body).map_or(Cell::Absent, |dev| Cell::Name(dev.as_bytes())));
const WHAT: Field<Event> = field("what", |event| match event.body.change() {
    Some(_) => Cell::Change(&event.body),
    None => Cell::Absent,
});
const NETNS: Field<Event> = field("netns", |event| {
    let netns = match &event.body {
        Body::Link(changed) => changed.netns,
        Body::Address(changed) => changed.netns,
        Body::Route(changed) => changed.netns,
        Body::Neighbour(changed) => changed.netns,
        _ => return Cell::Absent,
    };
    Cell::known(netns, |netns| Cell::Number(netns.into()))
});

const fn field(key: &'static str, read: fn(&Event) -> Cell<'_>) -> Field<Event> {
    Field { key, read }
}

/// The interface that an event is about.
pub fn dev(body: &Body) -> Option<&str> {
    match body {
        Body::Link(changed) => Some(&changed.now.ifname),
        Body::Address(changed) => Some(&changed.now.ifname),
        Body::Route(changed) => {
            let first = changed.now.nexthops.first();
            changed.now.dev.as_deref().or_else(|| first.and_then(|hop| hop.dev.as_deref()))
        }
        Body::Neighbour(changed) => Some(&changed.now.ifname),
        _ => None,
    }
}

/// What changed, in words. Names from outside are in it as they are.
pub fn words(body: &Body) -> String {
    match body {
        Body::Link(changed) => link_words(changed),
        Body::Address(changed) => address_words(changed),
        Body::Route(changed) => route_words(changed),
        Body::Neighbour(changed) => neighbour_words(changed),
        _ => String::new(),
    }
}

/// The interface, what happened, and what changed: for where no columns say that.
pub fn sentence(body: &Body) -> String {
    let change = body.change().map_or("", Change::name);
    match dev(body) {
        Some(dev) => format!("{dev}: {change}: {}", words(body)),
        None => format!("{change}: {}", words(body)),
    }
}

/// Whether an interface is switched on, and whether it can carry traffic.
fn state(link: &Link) -> &'static str {
    match (link.flags.has(LinkFlags::UP), link.flags.has(LinkFlags::RUNNING)) {
        (false, _) => "down",
        (true, false) => "up, no carrier",
        (true, true) => "up",
    }
}

fn link_words(changed: &Changed<Link>) -> String {
    let Changed { change, now, was, .. } = changed;
    let kind = now.kind.as_deref().unwrap_or("interface");
    let was = match (change, was) {
        (Change::Removed, _) => return format!("{kind} gone"),
        (Change::Changed, Some(was)) => was,
        _ => return format!("{kind}, {}", state(now)),
    };
    let mut parts = Vec::new();
    let mut differ = |now: String, was: String, what: &str| {
        if now != was {
            let gap = if what.is_empty() { "" } else { " " };
            parts.push(format!("{what}{gap}{now} (was {was})"));
        }
    };
    differ(state(now).into(), state(was).into(), "");
    differ(now.ifname.clone(), was.ifname.clone(), "name");
    differ(now.mtu.to_string(), was.mtu.to_string(), "mtu");
    let lladdr =
        |link: &Link| link.address.as_ref().map_or_else(|| "none".into(), |a| a.to_string());
    differ(lladdr(now), lladdr(was), "address");
    let master = |link: &Link| match &link.master {
        Some(master) => master.ifname.clone().unwrap_or_else(|| format!("if{}", master.ifindex)),
        None => "none".into(),
    };
    differ(master(now), master(was), "master");
    let flag = |link: &Link, bit| if link.flags.has(bit) { "on" } else { "off" }.to_owned();
    for (bit, name) in [
        (LinkFlags::PROMISC, "promiscuous"),
        (LinkFlags::ALLMULTI, "all multicast"),
        (LinkFlags::NOARP, "no ARP"),
    ] {
        differ(flag(now, bit), flag(was, bit), name);
    }
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
    differ(text(&now.qdisc), text(&was.qdisc), "qdisc");
    differ(text(&now.ifalias), text(&was.ifalias), "alias");
    differ(now.operstate.to_string(), was.operstate.to_string(), "state");
    if parts.is_empty() { "settings changed".into() } else { parts.join(", ") }
}

fn address_words(changed: &Changed<Address>) -> String {
    let Changed { now, was, .. } = changed;
    let marks = |address: &Address| {
        let mut marks: Vec<&str> = AddressFlags::NAMES
            .iter()
            .filter(|(bit, _)| *bit != AddressFlags::PERMANENT && address.flags.has(*bit))
            .map(|(bit, name)| match (*bit, address.local.is_ipv6()) {
                (AddressFlags::SECONDARY, true) => "temporary",
                _ => name,
            })
            .collect();
        if marks.is_empty() {
            marks.push("usable");
        }
        marks.join(" ")
    };
    let mut text = format!("{}/{}", now.local, now.prefixlen);
    if let Some(peer) = now.peer {
        put(&mut text, format_args!(" peer {peer}"));
    }
    put(&mut text, format_args!(" scope {}", now.scope));
    let now_marks = marks(now);
    match was.as_ref().map(marks) {
        Some(was) if was != now_marks => {
            put(&mut text, format_args!(" {now_marks} (was {was})"));
        }
        _ if now_marks != "usable" => put(&mut text, format_args!(" {now_marks}")),
        _ => {}
    }
    text
}

fn route_words(changed: &Changed<Route>) -> String {
    let Changed { now, was, .. } = changed;
    let mut text = String::new();
    if now.kind != RouteKind::UNICAST {
        put(&mut text, format_args!("{} ", now.kind));
    }
    match now.is_default() {
        true => text.push_str("default"),
        false => put(&mut text, format_args!("{}/{}", now.dst, now.dst_len)),
    }
    let (way, was) = (way(now), was.as_ref().map(way));
    put(&mut text, format_args!(" {way}"));
    if now.table != Table::MAIN {
        let names = NumberNames::default();
        put(&mut text, format_args!(" table {}", names.table(now.table)));
    }
    if let Some(was) = was.filter(|was| *was != way) {
        put(&mut text, format_args!(" (was {was})"));
    }
    text
}

/// How a route gets there.
fn way(route: &Route) -> String {
    let hop = |gateway: Option<std::net::IpAddr>, dev: Option<&str>| {
        let via = gateway.map(|gateway| format!("via {gateway}"));
        let dev = dev.map(|dev| format!("dev {dev}"));
        via.into_iter().chain(dev).collect::<Vec<_>>().join(" ")
    };
    let mut ways: Vec<String> =
        route.nexthops.iter().map(|next| hop(next.gateway, next.dev.as_deref())).collect();
    if ways.is_empty() {
        ways.push(hop(route.gateway, route.dev.as_deref()));
    }
    let mut text = ways.join(" and ");
    if let Some(metric) = route.metric.filter(|metric| *metric != 0) {
        put(&mut text, format_args!(" metric {metric}"));
    }
    text
}

fn neighbour_words(changed: &Changed<Neighbour>) -> String {
    use crate::event::network::NeighbourState;
    let Changed { now, was, .. } = changed;
    let state = |neighbour: &Neighbour| {
        let states = NeighbourState::NAMES.iter().filter(|(bit, _)| neighbour.state.has(*bit));
        let names: Vec<&str> = states.map(|(_, name)| *name).collect();
        if names.is_empty() { "NONE".to_owned() } else { names.join(" ") }
    };
    let mut text = now.dst.to_string();
    if let Some(lladdr) = &now.lladdr {
        put(&mut text, format_args!(" at {lladdr}"));
    }
    put(&mut text, format_args!(" {}", state(now)));
    if let Some(was) = was {
        let before = state(was);
        if before != state(now) {
            put(&mut text, format_args!(" (was {before})"));
        }
        match (&was.lladdr, &now.lladdr) {
            (Some(before), now) if Some(before) != now.as_ref() => {
                put(&mut text, format_args!(", was at {before}"));
            }
            _ => {}
        }
    }
    text
}

/// Writing to a string cannot fail.
fn put(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _infallible = text.write_fmt(words);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_link_says_what_differs() {
        let was =
            Link { ifname: "eth0".into(), flags: LinkFlags(0x1043), mtu: 1500, ..Link::default() };
        let now = Link { flags: LinkFlags(0x1002), mtu: 9000, ..was.clone() };
        let changed = Changed { change: Change::Changed, now, was: Some(was.clone()), netns: None };
        assert_eq!(link_words(&changed), "down (was up), mtu 9000 (was 1500)");
        let added = Changed { change: Change::Added, now: was, was: None, netns: None };
        assert_eq!(link_words(&added), "interface, up");
    }

    #[test]
    fn keys_are_those_of_the_fields() {
        for field in COLUMNS.iter().flat_map(|column| column.fields) {
            assert!(KEYS.contains(&field.key), "{}", field.key);
        }
    }
}
