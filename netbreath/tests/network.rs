//! Interfaces, routes and neighbours as they are written: made-up ones, so that this
//! passes anywhere. Whether real ones are read rightly, the tests with root say.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use netbreath::event::Family;
use netbreath::event::network::{
    Address, AddressFlags, Counters, Lifetime, Link, LinkAddress, LinkFlags, LinkRef, Metric,
    MetricValue, Nd6, Neighbour, NeighbourFlags, NeighbourState, Nexthop, Operstate, Route,
    RouteFlags, RouteKind, Scope, Table,
};
use netbreath::view::explain::{self, Peer};
use netbreath::view::ifconfig;
use netbreath::view::interface::{Duplex, Interface, Media};
use netbreath::view::ip::{Interfaces, Neighbours, Routes, Select, Style};
use netbreath::view::kind;

fn links() -> Vec<Link> {
    let mac = |last| Some(LinkAddress(vec![2, 0, 0, 0, 0, last]));
    let counters = Counters {
        rx_packets: 1_234,
        rx_bytes: 1_717_986_918,
        rx_dropped: 3,
        rx_missed_errors: 2,
        tx_packets: 99,
        tx_bytes: 1_000_000,
        collisions: 1,
        ..Counters::default()
    };
    let lo = Link {
        ifindex: 1,
        ifname: "lo".into(),
        flags: LinkFlags(0x1_0049),
        mtu: 65_536,
        qdisc: Some("noqueue".into()),
        txqlen: 1000,
        hardware: 772,
        address: Some(LinkAddress(vec![0; 6])),
        broadcast: Some(LinkAddress(vec![0; 6])),
        ..Link::default()
    };
    let ens5 = Link {
        ifindex: 2,
        ifname: "ens5".into(),
        flags: LinkFlags(0x1_1043),
        mtu: 9001,
        qdisc: Some("mq".into()),
        operstate: Operstate(6),
        txqlen: 1000,
        hardware: 1,
        address: mac(5),
        broadcast: Some(LinkAddress(vec![255; 6])),
        permaddr: mac(6),
        altnames: vec!["enp0s5".into()],
        ifalias: Some("to the \x1b[31mworld".into()),
        nd6: Some(Nd6 { accept_ra: true, auto_linklocal: true, dad: true, disabled: false }),
        stats: Some(Box::new(counters)),
        ..Link::default()
    };
    let veth = Link {
        ifindex: 7,
        ifname: "veth1".into(),
        flags: LinkFlags(0x1003),
        mtu: 1500,
        operstate: Operstate(3),
        txqlen: 0,
        hardware: 1,
        address: mac(7),
        link: Some(LinkRef { ifindex: 6, ifname: None }),
        link_netnsid: Some(0),
        master: Some(LinkRef { ifindex: 8, ifname: Some("docker0".into()) }),
        kind: Some("veth".into()),
        ..Link::default()
    };
    let docker = Link {
        ifindex: 8,
        ifname: "docker0".into(),
        flags: LinkFlags(0x1_1143),
        mtu: 1500,
        operstate: Operstate(6),
        hardware: 1,
        address: mac(7),
        kind: Some("bridge".into()),
        ..Link::default()
    };
    let tun = Link {
        ifindex: 9,
        ifname: "tun0".into(),
        flags: LinkFlags(0x1_10d1),
        mtu: 1400,
        txqlen: 500,
        hardware: 0xfffe,
        kind: Some("tun".into()),
        ..Link::default()
    };
    vec![lo, ens5, veth, docker, tun]
}

fn address(ifindex: u32, ifname: &str, local: &str, prefixlen: u8) -> Address {
    let v4 = local.parse::<std::net::Ipv4Addr>().is_ok();
    Address {
        ifindex,
        ifname: ifname.into(),
        local: local.parse().unwrap(),
        peer: None,
        prefixlen,
        broadcast: None,
        anycast: None,
        scope: Scope::GLOBAL,
        flags: AddressFlags(AddressFlags::PERMANENT),
        label: v4.then(|| ifname.to_owned()),
        metric: None,
        proto: None,
        valid: Some(Lifetime::FOREVER),
        preferred: Some(Lifetime::FOREVER),
    }
}

fn addresses() -> Vec<Address> {
    vec![
        Address { scope: Scope::HOST, ..address(1, "lo", "127.0.0.1", 8) },
        Address { scope: Scope::HOST, proto: Some(1), ..address(1, "lo", "::1", 128) },
        Address {
            broadcast: Some("10.0.5.255".parse().unwrap()),
            metric: Some(100),
            flags: AddressFlags(0),
            valid: Some(Lifetime(3_000)),
            preferred: Some(Lifetime(3_000)),
            ..address(2, "ens5", "10.0.5.7", 24)
        },
        Address { label: Some("ens5:web".into()), ..address(2, "ens5", "10.0.5.8", 24) },
        Address {
            flags: AddressFlags(AddressFlags::SECONDARY | AddressFlags::DEPRECATED),
            valid: Some(Lifetime(600)),
            preferred: Some(Lifetime(0)),
            ..address(2, "ens5", "2001:db8::abcd", 64)
        },
        Address {
            scope: Scope::LINK,
            proto: Some(3),
            flags: AddressFlags(AddressFlags::PERMANENT | AddressFlags::STABLE_PRIVACY),
            ..address(2, "ens5", "fe80::5", 64)
        },
        Address { peer: Some("10.8.0.1".parse().unwrap()), ..address(9, "tun0", "10.8.0.2", 32) },
    ]
}

fn route(dst: &str, dst_len: u8) -> Route {
    let dst: std::net::IpAddr = dst.parse().unwrap();
    Route {
        family: if dst.is_ipv4() { Family::V4 } else { Family::V6 },
        kind: RouteKind::UNICAST,
        dst,
        dst_len,
        src: None,
        src_len: 0,
        tos: 0,
        nhid: None,
        gateway: None,
        ifindex: Some(2),
        dev: Some("ens5".into()),
        table: Table::MAIN,
        protocol: 3,
        scope: Scope::GLOBAL,
        prefsrc: None,
        metric: None,
        flags: RouteFlags(0),
        metrics: Vec::new(),
        pref: None,
        nexthops: Vec::new(),
        expires: None,
        error: None,
    }
}

fn routes() -> Vec<Route> {
    let hop = |gateway: &str, weight| Nexthop {
        gateway: Some(gateway.parse().unwrap()),
        ifindex: 2,
        dev: Some("ens5".into()),
        weight,
        flags: RouteFlags(RouteFlags::ONLINK),
    };
    vec![
        Route {
            gateway: Some("10.0.5.1".parse().unwrap()),
            protocol: 16,
            metric: Some(100),
            prefsrc: Some("10.0.5.7".parse().unwrap()),
            ..route("0.0.0.0", 0)
        },
        Route { protocol: 2, scope: Scope::LINK, ..route("10.0.5.0", 24) },
        Route {
            dev: None,
            ifindex: None,
            nexthops: vec![hop("10.0.5.2", 3), hop("10.0.5.3", 1)],
            metrics: vec![
                Metric { number: 2, value: MetricValue::Number(1400), locked: true },
                Metric { number: 16, value: MetricValue::Name("bbr".into()), locked: false },
            ],
            ..route("10.6.0.0", 16)
        },
        Route {
            kind: RouteKind::UNREACHABLE,
            dev: Some("lo".into()),
            pref: Some(0),
            metric: Some(1024),
            error: Some(-113),
            ..route("2001:db8:6::", 48)
        },
        Route {
            gateway: Some("fe80::1".parse().unwrap()),
            table: Table(100),
            expires: Some(60),
            ..route("10.7.7.7", 32)
        },
    ]
}

fn neighbours() -> Vec<Neighbour> {
    let neighbour = |dst: &str, lladdr: Option<u8>, state, flags| Neighbour {
        dst: dst.parse().unwrap(),
        ifindex: 2,
        ifname: "ens5".into(),
        lladdr: lladdr.map(|last| LinkAddress(vec![2, 0, 0, 0, 0, last])),
        state: NeighbourState(state),
        flags: NeighbourFlags(flags),
        proto: None,
        ages: None,
        probes: None,
    };
    vec![
        neighbour("10.0.5.1", Some(1), 0x02, NeighbourFlags::ROUTER),
        neighbour("10.0.5.9", None, 0x20, 0),
        neighbour("224.0.0.22", Some(22), 0x40, 0),
    ]
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

/// As one who asks for them would get them: in JSON, indented to be read in a review.
fn json(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let value: serde_json::Value = serde_json::from_str(&text(write)).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

fn interfaces() -> Vec<Interface> {
    let addresses = addresses();
    links()
        .into_iter()
        .map(|link| {
            let of = link.ifindex;
            let own = addresses.iter().filter(|address| address.ifindex == of);
            let mut interface = Interface::new(link, own.cloned().collect());
            let driver = (interface.link.ifname == "ens5").then_some("ena");
            let kind = kind::of(&interface.link, driver, false);
            interface.text.kind = kind.short.into_owned();
            interface.text.explanation = kind.long.into_owned();
            if driver.is_some() {
                let (speed, duplex) = (Some(25_000), Some(Duplex::Full));
                interface.media = Some(Media { speed, duplex, autoneg: true });
                interface.options = vec!["RXCSUM", "TSO4", "TSO6"];
            }
            interface
        })
        .collect()
}

#[test]
fn ifconfig_in_both_styles() {
    let all = interfaces();
    insta::assert_snapshot!(
        "ifconfig_linux",
        text(|out| {
            ifconfig::text(&all, ifconfig::Style::Linux, true, out);
        })
    );
    insta::assert_snapshot!(
        "ifconfig_bsd",
        text(|out| {
            ifconfig::text(&all, ifconfig::Style::Bsd, true, out);
        })
    );
}

#[test]
fn ip_addr_and_link() {
    let (links, addresses, select) = (links(), addresses(), Select::default());
    let view = |style: &Style| {
        let (link, addr) = (None, Some(&addresses[..]));
        [addr, link].map(|addresses| {
            let view = Interfaces { links: &links, addresses, select: &select, style };
            (text(|out| view.text(out)), json(|out| view.json(out)))
        })
    };
    let [(addr, addr_json), (link, link_json)] = view(&Style::default());
    insta::assert_snapshot!("ip_addr", addr);
    insta::assert_snapshot!("ip_addr_json", addr_json);
    insta::assert_snapshot!("ip_link", link);
    insta::assert_snapshot!("ip_link_json", link_json);
    // What comes from outside cannot steer a terminal.
    assert!(!link.contains('\x1b') && link.contains("alias to the \\x1b[31mworld"), "{link}");
    let [(addr, _), (link, _)] = view(&Style { brief: true, ..Style::default() });
    insta::assert_snapshot!("ip_brief", format!("{addr}{link}"));
}

#[test]
fn ip_route_and_neigh() {
    let (routes, neighbours, style) = (routes(), neighbours(), Style::default());
    let view = Routes {
        all: &routes,
        dev: None,
        one_table: false,
        kind: None,
        protocol: None,
        only_default: false,
        style: &style,
    };
    insta::assert_snapshot!("ip_route", text(|out| view.text(out)));
    insta::assert_snapshot!("ip_route_json", json(|out| view.json(out)));
    let view =
        Neighbours { all: &neighbours, dev: None, states: None, proxy: false, style: &style };
    insta::assert_snapshot!("ip_neigh", text(|out| view.text(out)) + &text(|out| view.json(out)));
}

#[test]
fn explained() {
    let peer = Peer {
        ifname: Some("eth0".into()),
        netns: Some(4_026_532_177),
        process: Some((812, "nginx".into())),
        container: Some("5f1a".repeat(16)),
    };
    let peers = BTreeMap::from([(7, peer)]);
    insta::assert_snapshot!(
        "explained",
        text(|out| {
            explain::interfaces(&interfaces(), &peers, true, out);
            explain::routes(&routes(), true, out);
            explain::neighbours(&neighbours(), true, out);
        })
    );
}
