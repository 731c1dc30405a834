//! Messages about routes: `struct rtmsg` and `RTA_*` of `linux/rtnetlink.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Question, after, attributes, family, family_code, ip, push, text, u8_at, u16_at, u32_at,
};
use crate::event::Family;
use crate::event::network::{
    Metric, MetricValue, Nexthop, Route, RouteFlags, RouteKind, Scope, Table,
};

const HEADER: usize = 12;
const RTA_VIA: u16 = 18;
const RTA_PREF: u16 = 20;
const RTA_NH_ID: u16 = 30;
/// `struct rtnexthop`.
const NEXTHOP: usize = 8;
/// User space counts a hundred clock ticks a second.
const USER_HZ: u32 = 100;

/// All routes of a family, of one table if asked for.
pub fn question(family: Family, table: Option<Table>) -> Question {
    let mut body = vec![0; HEADER];
    body[0] = family_code(Some(family));
    if let Some(Table(table)) = table {
        push(&mut body, libc::RTA_TABLE, &table.to_ne_bytes());
    }
    Question { what: "routes", kind: libc::RTM_GETROUTE, body }
}

/// The route of a message; its interfaces' names are not in it.
pub fn read(body: &[u8]) -> Option<Route> {
    let family = family(u8_at(body, 0))?;
    let any: IpAddr = match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut route = Route {
        family,
        kind: RouteKind(u8_at(body, 7)),
        dst: any,
        dst_len: u8_at(body, 1),
        src: None,
        src_len: u8_at(body, 2),
        tos: u8_at(body, 3),
        nhid: None,
        gateway: None,
        ifindex: None,
        dev: None,
        table: Table(u8_at(body, 4).into()),
        protocol: u8_at(body, 5),
        scope: Scope(u8_at(body, 6)),
        prefsrc: None,
        metric: None,
        flags: RouteFlags(u32_at(body, 8)),
        metrics: Vec::new(),
        pref: None,
        nexthops: Vec::new(),
        expires: None,
        error: None,
    };
    attributes(after(body, HEADER), |kind, value| match kind {
        libc::RTA_DST => route.dst = ip(value).unwrap_or(any),
        libc::RTA_SRC => route.src = ip(value),
        libc::RTA_OIF => route.ifindex = Some(u32_at(value, 0)),
        libc::RTA_GATEWAY => route.gateway = ip(value),
        RTA_VIA => route.gateway = via(value),
        libc::RTA_PRIORITY => route.metric = Some(u32_at(value, 0)),
        libc::RTA_PREFSRC => route.prefsrc = ip(value),
        libc::RTA_METRICS => route.metrics = metrics(value),
        libc::RTA_MULTIPATH => route.nexthops = nexthops(value),
        // All of its bits; the header has room for the first eight only.
        libc::RTA_TABLE => route.table = Table(u32_at(value, 0)),
        libc::RTA_CACHEINFO => {
            let expires = u32_at(value, 8);
            route.expires = (expires != 0).then_some(expires / USER_HZ);
            let error = u32_at(value, 12).cast_signed();
            route.error = (error != 0).then_some(error);
        }
        RTA_PREF => route.pref = Some(u8_at(value, 0)),
        RTA_NH_ID => route.nhid = Some(u32_at(value, 0)),
        _ => {}
    });
    Some(route)
}

/// `struct rtvia`: a router of another family than the route's.
fn via(value: &[u8]) -> Option<IpAddr> {
    ip(value.get(2..)?)
}

fn metrics(value: &[u8]) -> Vec<Metric> {
    let (mut all, mut lock) = (Vec::new(), 0);
    attributes(value, |number, value| match number {
        // A mask of the others, which may come before or after them.
        1 => lock = u32_at(value, 0),
        Metric::CC_ALGO => {
            all.push(Metric { number, value: MetricValue::Name(text(value)), locked: false });
        }
        _ => {
            let value = MetricValue::Number(u32_at(value, 0));
            all.push(Metric { number, value, locked: false });
        }
    });
    for metric in &mut all {
        metric.locked = metric.number < 32 && lock >> metric.number & 1 == 1;
    }
    all
}

fn nexthops(mut value: &[u8]) -> Vec<Nexthop> {
    let mut all = Vec::new();
    while value.len() >= NEXTHOP {
        let len = usize::from(u16_at(value, 0));
        let Some(body) = value.get(..len).filter(|body| body.len() >= NEXTHOP) else {
            break;
        };
        let mut nexthop = Nexthop {
            gateway: None,
            ifindex: u32_at(body, 4),
            dev: None,
            weight: u16::from(u8_at(body, 3)) + 1,
            flags: RouteFlags(u8_at(body, 2).into()),
        };
        attributes(after(body, NEXTHOP), |kind, value| match kind {
            libc::RTA_GATEWAY => nexthop.gateway = ip(value),
            RTA_VIA => nexthop.gateway = via(value),
            _ => {}
        });
        all.push(nexthop);
        value = value.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    all
}
