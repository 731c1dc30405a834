//! `ip route`: routes.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Style, put_array};
use crate::event::Family;
use crate::event::network::{
    Metric, MetricValue, Nexthop, Route, RouteFlags, RouteKind, Scope, Table, family_name,
};
use crate::format::put;

/// Who set a route by default, so that nobody needs to be told (`RTPROT_BOOT`).
const BOOT: u8 = 3;

pub struct Routes<'a> {
    pub all: &'a [Route],
    /// Only out of this interface, which then is not named in each line.
    pub dev: Option<&'a str>,
    /// One table was asked for, which then is not named in each line.
    pub one_table: bool,
    /// Only of this type.
    pub kind: Option<RouteKind>,
    /// Only set by this one.
    pub protocol: Option<u8>,
    /// Only the default routes.
    pub only_default: bool,
    pub style: &'a Style,
}

impl<'a> Routes<'a> {
    fn chosen(&self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let Routes { all, dev, one_table, kind, protocol, only_default, style } = *self;
        all.iter()
            .filter(move |route| {
                dev.is_none_or(|dev| route.dev.as_deref() == Some(dev))
                    && kind.is_none_or(|kind| route.kind == kind)
                    && protocol.is_none_or(|protocol| route.protocol == protocol)
                    && (!only_default || route.is_default())
            })
            .map(move |route| Row {
                route,
                names_dev: dev.is_none(),
                names_table: !one_table && route.table != Table::MAIN,
                names_kind: route.kind != RouteKind::UNICAST && kind.is_none(),
                names_protocol: route.protocol != BOOT && protocol.is_none(),
                style,
            })
    }

    pub fn text(&self, out: &mut Vec<u8>) {
        for row in self.chosen() {
            row.text(out);
        }
    }

    pub fn json(&self, out: &mut Vec<u8>) {
        put_array(self.chosen(), out);
    }
}

struct Row<'a> {
    route: &'a Route,
    names_dev: bool,
    names_table: bool,
    names_kind: bool,
    names_protocol: bool,
    style: &'a Style,
}

impl Row<'_> {
    /// The name of the type, or its number.
    fn kind(&self) -> String {
        if self.style.names.numeric {
            self.route.kind.0.to_string()
        } else {
            self.route.kind.to_string()
        }
    }

    fn text(&self, out: &mut Vec<u8>) {
        let Row { route, style, .. } = self;
        if self.names_kind {
            put(out, format_args!("{} ", self.kind()));
        }
        put(out, format_args!("{} ", network(route.family, route.dst, route.dst_len)));
        if let Some(src) = route.src {
            put(out, format_args!("from {} ", network(route.family, src, route.src_len)));
        }
        if let Some(nhid) = route.nhid {
            put(out, format_args!("nhid {nhid} "));
        }
        if route.tos != 0 {
            put(out, format_args!("tos {:#04x} ", route.tos));
        }
        if let Some(gateway) = route.gateway {
            put_gateway(route.family, gateway, out);
        }
        if let (true, Some(dev)) = (self.names_dev, &route.dev) {
            put(out, format_args!("dev {} ", style.clean(dev)));
        }
        if self.names_table {
            put(out, format_args!("table {} ", style.clean(&style.names.table(route.table))));
        }
        if self.names_protocol {
            let protocol = style.names.protocol(route.protocol);
            put(out, format_args!("proto {} ", style.clean(&protocol)));
        }
        if route.scope != Scope::GLOBAL {
            put(out, format_args!("scope {} ", style.clean(&style.names.scope(route.scope))));
        }
        if let Some(prefsrc) = route.prefsrc {
            put(out, format_args!("src {prefsrc} "));
        }
        if let Some(metric) = route.metric {
            put(out, format_args!("metric {metric} "));
        }
        put_flags(route.flags, out);
        for metric in &route.metrics {
            put_metric(metric, style, out);
        }
        if let Some(expires) = route.expires {
            put(out, format_args!("expires {expires}sec "));
        }
        if let (Some(error), true) = (route.error, style.stats) {
            put(out, format_args!("error {error} "));
        }
        if let Some(pref) = route.pref {
            put(out, format_args!("pref {}", preference(pref)));
        }
        for nexthop in &route.nexthops {
            let newline = if style.oneline { "\\" } else { "\n" };
            put(out, format_args!("{newline}\tnexthop "));
            if let Some(gateway) = nexthop.gateway {
                put_gateway(route.family, gateway, out);
            }
            if let Some(dev) = &nexthop.dev {
                put(out, format_args!("dev {} ", style.clean(dev)));
            }
            put(out, format_args!("weight {} ", nexthop.weight));
            put_flags(nexthop.flags, out);
        }
        out.push(b'\n');
    }
}

/// The network as `ip` writes it: `default`, a host, or address and prefix length.
fn network(family: Family, addr: IpAddr, len: u8) -> Cow<'static, str> {
    let host = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    match len {
        0 if addr.is_unspecified() => "default".into(),
        len if len == host => addr.to_string().into(),
        len => format!("{addr}/{len}").into(),
    }
}

fn of_family(family: Family, addr: IpAddr) -> bool {
    addr.is_ipv4() == (family == Family::V4)
}

fn put_gateway(family: Family, gateway: IpAddr, out: &mut Vec<u8>) {
    if of_family(family, gateway) {
        put(out, format_args!("via {gateway} "));
    } else {
        put(out, format_args!("via {} {gateway} ", family_name(gateway)));
    }
}

fn put_flags(flags: RouteFlags, out: &mut Vec<u8>) {
    for name in flag_names(flags) {
        put(out, format_args!("{name} "));
    }
}

/// Names of the flags that `ip` tells.
fn flag_names(flags: RouteFlags) -> impl Iterator<Item = &'static str> {
    RouteFlags::NAMES
        .into_iter()
        .filter(move |(bit, _)| flags.has(*bit) && *bit != RouteFlags::CLONED)
        .map(|(_, name)| name)
}

/// A setting's value, and its unit in text: times are kept in eighths and quarters of
/// a millisecond.
fn metric_value(metric: &Metric) -> (Cow<'_, MetricValue>, &'static str) {
    let MetricValue::Number(number) = metric.value else {
        return (Cow::Borrowed(&metric.value), "");
    };
    let (number, unit) = match metric.number {
        Metric::RTT => (number / 8, "ms"),
        Metric::RTTVAR => (number / 4, "ms"),
        Metric::RTO_MIN => (number, "ms"),
        _ => (number, ""),
    };
    (Cow::Owned(MetricValue::Number(number)), unit)
}

fn put_metric(metric: &Metric, style: &Style, out: &mut Vec<u8>) {
    match metric.name() {
        Some(name) => put(out, format_args!("{name} ")),
        None => put(out, format_args!("metric {} ", metric.number)),
    }
    if metric.locked {
        put(out, format_args!("lock "));
    }
    let (value, unit) = metric_value(metric);
    match &*value {
        MetricValue::Number(number) => put(out, format_args!("{number}{unit} ")),
        MetricValue::Name(name) => put(out, format_args!("{} ", style.clean(name))),
    }
}

/// RFC 4191's ranks.
fn preference(pref: u8) -> Cow<'static, str> {
    match pref {
        0 => "medium".into(),
        1 => "high".into(),
        3 => "low".into(),
        other => other.to_string().into(),
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row { route, style, .. } = self;
        let mut map = serializer.serialize_map(None)?;
        if self.names_kind {
            map.serialize_entry("type", &self.kind())?;
        }
        map.serialize_entry("dst", &network(route.family, route.dst, route.dst_len))?;
        if let Some(src) = route.src {
            map.serialize_entry("from", &network(route.family, src, route.src_len))?;
        }
        if let Some(nhid) = route.nhid {
            map.serialize_entry("nhid", &nhid)?;
        }
        if route.tos != 0 {
            map.serialize_entry("tos", &format_args!("{:#04x}", route.tos))?;
        }
        if let Some(gateway) = route.gateway {
            put_gateway_entry(&mut map, route.family, gateway)?;
        }
        if let (true, Some(dev)) = (self.names_dev, &route.dev) {
            map.serialize_entry("dev", dev)?;
        }
        if self.names_table {
            map.serialize_entry("table", &style.names.table(route.table))?;
        }
        if self.names_protocol {
            map.serialize_entry("protocol", &style.names.protocol(route.protocol))?;
        }
        if route.scope != Scope::GLOBAL {
            map.serialize_entry("scope", &style.names.scope(route.scope))?;
        }
        if let Some(prefsrc) = route.prefsrc {
            map.serialize_entry("prefsrc", &prefsrc)?;
        }
        if let Some(metric) = route.metric {
            map.serialize_entry("metric", &metric)?;
        }
        map.serialize_entry("flags", &flag_names(route.flags).collect::<Vec<_>>())?;
        if !route.metrics.is_empty() {
            map.serialize_entry("metrics", &[Metrics(&route.metrics)])?;
        }
        if let Some(expires) = route.expires {
            map.serialize_entry("expires", &expires)?;
        }
        if let (Some(error), true) = (route.error, style.stats) {
            map.serialize_entry("error", &error)?;
        }
        if let Some(pref) = route.pref {
            map.serialize_entry("pref", &preference(pref))?;
        }
        if !route.nexthops.is_empty() {
            let family = route.family;
            let nexthops: Vec<_> =
                route.nexthops.iter().map(|nexthop| Hop { nexthop, family }).collect();
            map.serialize_entry("nexthops", &nexthops)?;
        }
        map.end()
    }
}

fn put_gateway_entry<M: SerializeMap>(
    map: &mut M,
    family: Family,
    gateway: IpAddr,
) -> Result<(), M::Error> {
    #[derive(Serialize)]
    struct Via {
        family: &'static str,
        host: IpAddr,
    }
    if of_family(family, gateway) {
        map.serialize_entry("gateway", &gateway)
    } else {
        map.serialize_entry("via", &Via { family: family_name(gateway), host: gateway })
    }
}

struct Hop<'a> {
    nexthop: &'a Nexthop,
    family: Family,
}

impl Serialize for Hop<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Hop { nexthop, family } = self;
        let mut map = serializer.serialize_map(None)?;
        if let Some(gateway) = nexthop.gateway {
            put_gateway_entry(&mut map, *family, gateway)?;
        }
        if let Some(dev) = &nexthop.dev {
            map.serialize_entry("dev", dev)?;
        }
        map.serialize_entry("weight", &nexthop.weight)?;
        map.serialize_entry("flags", &flag_names(nexthop.flags).collect::<Vec<_>>())?;
        map.end()
    }
}

struct Metrics<'a>(&'a [Metric]);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for metric in self.0 {
            let (value, _) = metric_value(metric);
            match metric.name() {
                // Of all settings, this one has another name in JSON than in text.
                _ if metric.number == Metric::CC_ALGO => {
                    map.serialize_entry("congestion", &*value)?
                }
                Some(name) => map.serialize_entry(name, &*value)?,
                None => map.serialize_entry(&format!("metric {}", metric.number), &*value)?,
            }
        }
        map.end()
    }
}
