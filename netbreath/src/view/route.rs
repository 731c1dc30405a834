//! The routing table as `route` and `netstat -r` lay it out.

use std::net::IpAddr;

use super::{Cell, Column, Field};
use crate::event::Family;
use crate::event::network::{Metric, MetricValue, Route, RouteKind, Table};
use crate::name::HostNames;

/// A line of the table. What does not apply is a dash, as in the classics.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub destination: String,
    pub gateway: String,
    pub genmask: String,
    pub flags: String,
    pub metric: String,
    pub references: String,
    pub uses: u64,
    pub iface: String,
    pub mss: String,
    pub window: String,
    pub irtt: String,
}

/// What the kernel tells of an IPv6 route in the form that `route` knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route6 {
    pub dst: std::net::Ipv6Addr,
    pub dst_len: u8,
    pub gateway: std::net::Ipv6Addr,
    pub metric: u32,
    pub references: u32,
    pub uses: u32,
    /// `RTF_*` of `linux/route.h` and `linux/ipv6_route.h`.
    pub flags: u32,
    pub dev: String,
}

const REJECT: u32 = 0x200;

/// IPv4 routes of the main table as lines.
pub fn rows(routes: &[Route], names: &HostNames) -> Vec<Row> {
    let listed = |route: &&Route| {
        route.family == Family::V4
            && route.table == Table::MAIN
            && !matches!(route.kind, RouteKind::BROADCAST | RouteKind::MULTICAST)
    };
    routes.iter().filter(listed).map(|route| row(route, names)).collect()
}

fn row(route: &Route, names: &HostNames) -> Row {
    let addr = |addr: IpAddr| match (names.is_on(), addr.is_unspecified()) {
        (true, true) => "default".to_owned(),
        _ => names.name(addr).map_or_else(|| addr.to_string(), str::to_owned),
    };
    let mask = match route.dst_len {
        0 => 0,
        len @ 1..32 => u32::MAX << (32 - len),
        _ => u32::MAX,
    };
    let first = route.nexthops.first();
    let gateway = route.gateway.or(first.and_then(|hop| hop.gateway));
    let dev = route.dev.as_ref().or(first.and_then(|hop| hop.dev.as_ref()));
    let rejects = route.kind.rejects();
    let host = if route.dst_len == 32 { "H" } else { "" };
    let setting = |number| {
        route.metrics.iter().find(|metric| metric.number == number).map_or(0, |metric| match metric
            .value
        {
            MetricValue::Number(value) => value,
            MetricValue::Name(_) => 0,
        })
    };
    let or_dash = |value: String| if rejects { "-".to_owned() } else { value };
    // Twenty bytes each for the headers of IP and TCP.
    let mss = match setting(Metric::ADVMSS) {
        0 => 0,
        advmss => advmss + 40,
    };
    Row {
        destination: addr(route.dst),
        gateway: match gateway {
            _ if rejects => "-".into(),
            Some(gateway) => addr(gateway),
            None => "0.0.0.0".into(),
        },
        genmask: std::net::Ipv4Addr::from(mask).to_string(),
        flags: match (rejects, gateway) {
            (true, _) => format!("!{host}"),
            (_, Some(_)) => format!("UG{host}"),
            _ => format!("U{host}"),
        },
        metric: route.metric.unwrap_or(0).to_string(),
        references: or_dash("0".into()),
        uses: 0,
        iface: or_dash(dev.map_or_else(|| "*".into(), Clone::clone)),
        mss: or_dash(mss.to_string()),
        window: or_dash(setting(Metric::WINDOW).to_string()),
        irtt: or_dash((setting(Metric::RTT) / 8).to_string()),
    }
}

/// IPv6 routes as lines.
pub fn rows6(routes: &[Route6], names: &HostNames) -> Vec<Row> {
    routes.iter().map(|route| row6(route, names)).collect()
}

fn row6(route: &Route6, names: &HostNames) -> Row {
    let name = |addr: std::net::Ipv6Addr| {
        let name = if addr.is_unspecified() { None } else { names.name(addr.into()) };
        name.map_or_else(|| addr.to_string(), str::to_owned)
    };
    const LETTERS: [(u32, char); 9] = [
        (0x2, 'G'),
        (0x4, 'H'),
        (0x1_0000, 'D'),
        (0x4_0000, 'A'),
        (0x100_0000, 'C'),
        (0x2_0000, 'a'),
        (0x40_0000, 'e'),
        (0x20, 'm'),
        (0x20_0000, 'n'),
    ];
    let first = if route.flags & REJECT != 0 { '!' } else { 'U' };
    let letters = LETTERS.iter().filter(|(bit, _)| route.flags & bit != 0);
    let flags = std::iter::once(first).chain(letters.map(|(_, letter)| *letter)).collect();
    let destination = match names.is_on() && route.dst_len == 0 {
        true => "[::]/0".into(),
        false => format!("{}/{}", name(route.dst), route.dst_len),
    };
    Row {
        destination,
        gateway: name(route.gateway),
        flags,
        // As the classic prints the number that says "never".
        metric: route.metric.cast_signed().to_string(),
        references: route.references.to_string(),
        uses: route.uses.into(),
        iface: route.dev.clone(),
        ..Row::default()
    }
}

pub const ROUTE: [&str; 8] =
    ["destination", "gateway", "genmask", "flags", "metric", "ref", "use", "iface"];
pub const NETSTAT: [&str; 8] =
    ["destination", "gateway", "genmask", "flags", "mss", "window", "irtt", "iface"];
pub const BOTH: [&str; 11] = [
    "destination",
    "gateway",
    "genmask",
    "flags",
    "metric",
    "ref",
    "use",
    "iface",
    "mss",
    "window",
    "irtt",
];
pub const V6: [&str; 7] =
    ["destination6", "gateway6", "flags6", "metric6", "ref6", "use6", "iface6"];

/// Keys of a line in JSON, in order.
pub const KEYS: [&str; 11] = [
    "destination",
    "gateway",
    "genmask",
    "flags",
    "metric",
    "ref",
    "use",
    "mss",
    "window",
    "irtt",
    "iface",
];

/// Every column.
#[rustfmt::skip]
pub static COLUMNS: [Column<Row>; 18] = [
    Column::plain("destination", "Destination", "network that the route leads to", 15, &[&DESTINATION]),
    Column::plain("gateway", "Gateway", "router that takes the packets; 0.0.0.0: none is needed", 15, &[&GATEWAY]),
    Column::plain("genmask", "Genmask", "which bits of an address have to agree", 15, &[&GENMASK]),
    Column::plain("flags", "Flags", "U usable, G through a router, H one host, ! turned away", 5, &[&FLAGS]),
    Column::plain("metric", "Metric", "its cost: of several the least is taken", 6, &[&METRIC]),
    Column::plain("ref", "Ref", "references to it (Linux does not count them)", 3, &[&REF]),
    Column::plain("use", "Use", "look-ups (Linux does not count them)", 6, &[&USE]).right(),
    Column::plain("mss", "MSS", "largest TCP segment over it; 0: from the MTU", 5, &[&MSS]).right(),
    Column::plain("window", "Window", "largest TCP window over it; 0: no limit", 6, &[&WINDOW]),
    Column::plain("irtt", "irtt", "first guess of the round-trip time; 0: the usual", 5, &[&IRTT]).right(),
    Column::plain("destination6", "Destination", "network that the route leads to", 30, &[&DESTINATION]),
    Column::plain("gateway6", "Next Hop", "router that takes the packets; ::: none is needed", 26, &[&GATEWAY]),
    Column::plain("flags6", "Flag", "U usable, G through a router, ! turned away, n without a next hop", 4, &[&FLAGS]),
    Column::plain("metric6", "Met", "its cost", 3, &[&METRIC]),
    Column::plain("ref6", "Ref", "references to it", 3, &[&REF]),
    Column::plain("use6", "Use", "look-ups", 4, &[&USE]).right(),
    Column::plain("iface6", "If", "interface that the packets leave by", 8, &[&IFACE]),
    Column::plain("iface", "Iface", "interface that the packets leave by", 8, &[&IFACE]),
];

const DESTINATION: Field<Row> = field("destination", |row| Cell::Name(row.destination.as_bytes()));
const GATEWAY: Field<Row> = field("gateway", |row| Cell::Name(row.gateway.as_bytes()));
const GENMASK: Field<Row> = field("genmask", |row| Cell::Name(row.genmask.as_bytes()));
const FLAGS: Field<Row> = field("flags", |row| Cell::Name(row.flags.as_bytes()));
const METRIC: Field<Row> = field("metric", |row| Cell::Name(row.metric.as_bytes()));
const REF: Field<Row> = field("ref", |row| Cell::Name(row.references.as_bytes()));
const USE: Field<Row> = field("use", |row| Cell::Number(row.uses));
const IFACE: Field<Row> = field("iface", |row| Cell::Name(row.iface.as_bytes()));
const MSS: Field<Row> = field("mss", |row| Cell::Name(row.mss.as_bytes()));
const WINDOW: Field<Row> = field("window", |row| Cell::Name(row.window.as_bytes()));
const IRTT: Field<Row> = field("irtt", |row| Cell::Name(row.irtt.as_bytes()));

const fn field(key: &'static str, read: fn(&Row) -> Cell<'_>) -> Field<Row> {
    Field { key, read }
}

/// The columns with these keys.
pub fn columns(keys: &[&str]) -> Vec<&'static Column<Row>> {
    keys.iter().filter_map(|key| COLUMNS.iter().find(|column| column.key == *key)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_columns_name_columns() {
        for keys in [&ROUTE[..], &NETSTAT, &BOTH, &V6] {
            assert_eq!(columns(keys).len(), keys.len());
        }
    }
}
