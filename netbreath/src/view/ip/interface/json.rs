//! The objects of `ip -j link` and `ip -j addr`, with its keys in its order.

use std::net::IpAddr;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{
    Interface, address_flag_names, address_proto, flag_names, hardware, link_address, linkmode,
    other_permaddr, unknown_flags,
};
use crate::event::network::{Address, Counters, LinkFlags, LinkRef, family_name};
use crate::view::ip::Style;

impl Serialize for Interface<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Interface { link, addresses, style, .. } = self;
        let mut map = serializer.serialize_map(None)?;
        if !style.brief {
            map.serialize_entry("ifindex", &link.ifindex)?;
        }
        match &link.link {
            None => {}
            Some(LinkRef { ifindex: 0, .. }) => map.serialize_entry("link", &())?,
            Some(LinkRef { ifname: Some(name), .. }) => map.serialize_entry("link", name)?,
            Some(LinkRef { ifindex, .. }) => map.serialize_entry("link_index", ifindex)?,
        }
        map.serialize_entry("ifname", &link.ifname)?;
        let flags = flag_names(link, self.lower_is_down);
        if style.brief {
            map.serialize_entry("operstate", &link.operstate)?;
            match addresses {
                Some(addresses) => map.serialize_entry("addr_info", &self.brief_info(addresses))?,
                None => {
                    if let Some(address) = &link.address {
                        map.serialize_entry("address", &link_address(link, address))?;
                    }
                    map.serialize_entry("flags", &flags)?;
                }
            }
            return map.end();
        }
        map.serialize_entry("flags", &flags)?;
        map.serialize_entry("mtu", &link.mtu)?;
        if let Some(qdisc) = self.qdisc() {
            map.serialize_entry("qdisc", qdisc)?;
        }
        if let Some(master) = self.master() {
            map.serialize_entry("master", master)?;
        }
        map.serialize_entry("operstate", &link.operstate)?;
        if addresses.is_none() {
            map.serialize_entry("linkmode", &linkmode(link.linkmode))?;
        }
        if !self.is_of_v6() {
            map.serialize_entry("group", &style.names.group(link.group))?;
        }
        if link.txqlen != 0 {
            map.serialize_entry("txqlen", &link.txqlen)?;
        }
        if self.shows_link_layer() {
            map.serialize_entry("link_type", &hardware(link))?;
            if let Some(address) = &link.address {
                map.serialize_entry("address", &link_address(link, address))?;
            }
            if let Some(broadcast) = &link.broadcast {
                if link.flags.has(LinkFlags::POINTOPOINT) {
                    map.serialize_entry("link_pointtopoint", &true)?;
                }
                map.serialize_entry("broadcast", &link_address(link, broadcast))?;
            }
            if let Some(permaddr) = other_permaddr(link) {
                map.serialize_entry("permaddr", &link_address(link, permaddr))?;
            }
        }
        if let Some(id) = link.link_netnsid {
            map.serialize_entry("link_netnsid", &id)?;
        }
        if link.proto_down {
            map.serialize_entry("proto_down", &true)?;
        }
        if addresses.is_none()
            && let Some(alias) = &link.ifalias
        {
            map.serialize_entry("ifalias", alias)?;
        }
        if let (Some(stats), None) = (&link.stats, addresses) {
            map.serialize_entry("stats64", &Stats64::of(stats))?;
        }
        if !self.altnames().is_empty() {
            map.serialize_entry("altnames", self.altnames())?;
        }
        if let Some(addresses) = addresses {
            let info: Vec<_> =
                addresses.iter().map(|address| AddressInfo { address, style }).collect();
            map.serialize_entry("addr_info", &info)?;
            if let Some(stats) = &link.stats {
                map.serialize_entry("stats64", &Stats64::of(stats))?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct BriefInfo {
    local: IpAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
    prefixlen: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    metric: Option<u32>,
}

impl Interface<'_> {
    fn brief_info(&self, addresses: &[&Address]) -> Vec<BriefInfo> {
        let info = |address: &&Address| BriefInfo {
            local: address.local,
            address: address.peer,
            prefixlen: address.prefixlen,
            metric: address.metric,
        };
        addresses.iter().map(info).collect()
    }
}

struct AddressInfo<'a> {
    address: &'a Address,
    style: &'a Style,
}

impl Serialize for AddressInfo<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let AddressInfo { address, style } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("family", family_name(address.local))?;
        map.serialize_entry("local", &address.local)?;
        if let Some(peer) = address.peer {
            map.serialize_entry("address", &peer)?;
        }
        map.serialize_entry("prefixlen", &address.prefixlen)?;
        if let Some(metric) = address.metric {
            map.serialize_entry("metric", &metric)?;
        }
        if let Some(broadcast) = address.broadcast {
            map.serialize_entry("broadcast", &broadcast)?;
        }
        if let Some(anycast) = address.anycast {
            map.serialize_entry("anycast", &anycast)?;
        }
        map.serialize_entry("scope", &style.names.scope(address.scope))?;
        for name in address_flag_names(address) {
            map.serialize_entry(name, &true)?;
        }
        if let Some(rest) = unknown_flags(address) {
            map.serialize_entry("ifa_flags", &rest)?;
        }
        if let Some(proto) = address.proto.filter(|proto| *proto != 0) {
            map.serialize_entry("protocol", &address_proto(proto))?;
        }
        if let Some(label) = &address.label {
            map.serialize_entry("label", label)?;
        }
        if let (Some(valid), Some(preferred)) = (address.valid, address.preferred) {
            map.serialize_entry("valid_life_time", &valid)?;
            map.serialize_entry("preferred_life_time", &preferred)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Stats64 {
    rx: Received,
    tx: Sent,
}

#[derive(Serialize)]
struct Received {
    bytes: u64,
    packets: u64,
    errors: u64,
    dropped: u64,
    over_errors: u64,
    multicast: u64,
}

#[derive(Serialize)]
struct Sent {
    bytes: u64,
    packets: u64,
    errors: u64,
    dropped: u64,
    carrier_errors: u64,
    collisions: u64,
}

impl Stats64 {
    fn of(stats: &Counters) -> Stats64 {
        Stats64 {
            rx: Received {
                bytes: stats.rx_bytes,
                packets: stats.rx_packets,
                errors: stats.rx_errors,
                dropped: stats.rx_dropped,
                over_errors: stats.rx_over_errors,
                multicast: stats.multicast,
            },
            tx: Sent {
                bytes: stats.tx_bytes,
                packets: stats.tx_packets,
                errors: stats.tx_errors,
                dropped: stats.tx_dropped,
                carrier_errors: stats.tx_carrier_errors,
                collisions: stats.collisions,
            },
        }
    }
}
