//! The network configuration that is true now: interfaces, addresses, routes and
//! neighbours of each network namespace that events are about.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::event::network::{Address, Change, Changed, Link, Neighbour, Route, RouteKey};

/// Inode number of a network namespace; 0 where it is not known.
type Netns = u32;

/// Each part is bounded; what found no room is counted.
#[derive(Clone, Debug, Default)]
pub struct Network {
    links: BTreeMap<(Netns, u32), Link>,
    addresses: BTreeMap<(Netns, u32, IpAddr, u8), Address>,
    routes: BTreeMap<(Netns, RouteKey), Route>,
    neighbours: BTreeMap<(Netns, u32, IpAddr, bool), Neighbour>,
    limit: usize,
    evicted: u64,
}

impl Network {
    /// Tables with at most `limit` rows each.
    pub fn new(limit: usize) -> Network {
        Network { limit, ..Network::default() }
    }

    pub fn link(&mut self, changed: &Changed<Link>) {
        let key = (changed.netns.unwrap_or(0), changed.now.ifindex);
        self.evicted += keep(&mut self.links, key, changed, self.limit);
        if changed.change == Change::Removed {
            // With an interface goes all that was on it.
            let gone = |netns, ifindex| (netns, ifindex) == key;
            self.addresses.retain(|(netns, ifindex, ..), _| !gone(*netns, *ifindex));
            self.neighbours.retain(|(netns, ifindex, ..), _| !gone(*netns, *ifindex));
        }
    }

    pub fn address(&mut self, changed: &Changed<Address>) {
        let Address { ifindex, local, prefixlen, .. } = changed.now;
        let key = (changed.netns.unwrap_or(0), ifindex, local, prefixlen);
        self.evicted += keep(&mut self.addresses, key, changed, self.limit);
    }

    pub fn route(&mut self, changed: &Changed<Route>) {
        let key = (changed.netns.unwrap_or(0), changed.now.key());
        self.evicted += keep(&mut self.routes, key, changed, self.limit);
    }

    pub fn neighbour(&mut self, changed: &Changed<Neighbour>) {
        let (ifindex, dst, proxy) = changed.now.key();
        let key = (changed.netns.unwrap_or(0), ifindex, dst, proxy);
        self.evicted += keep(&mut self.neighbours, key, changed, self.limit);
    }

    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.values()
    }

    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    pub fn neighbours(&self) -> impl Iterator<Item = &Neighbour> {
        self.neighbours.values()
    }

    /// Rows that found no room.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }
}

/// Applies a change to a table; 1 if there was no room.
fn keep<K: Ord, T: Clone>(
    table: &mut BTreeMap<K, T>,
    key: K,
    changed: &Changed<T>,
    limit: usize,
) -> u64 {
    if changed.change == Change::Removed {
        table.remove(&key);
    } else if table.len() < limit || table.contains_key(&key) {
        table.insert(key, changed.now.clone());
    } else {
        return 1;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(change: Change, ifindex: u32, mtu: u32) -> Changed<Link> {
        let now = Link { ifindex, mtu, ifname: format!("eth{ifindex}"), ..Link::default() };
        Changed { change, now, was: None, netns: Some(7) }
    }

    #[test]
    fn the_last_word_on_each_thing_holds_and_tables_are_bounded() {
        let mut network = Network::new(2);
        network.link(&link(Change::Present, 1, 1500));
        network.link(&link(Change::Added, 2, 1500));
        network.link(&link(Change::Changed, 1, 9000));
        network.link(&link(Change::Added, 3, 1500));
        assert_eq!(network.evicted(), 1);
        assert_eq!(network.links().map(|l| l.mtu).collect::<Vec<_>>(), [9000, 1500]);
        network.link(&link(Change::Removed, 1, 9000));
        assert_eq!(network.links().count(), 1);
    }
}
