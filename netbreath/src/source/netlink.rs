//! Events of the network configuration, from what the kernel tells of it by itself.
//! Nothing is polled: the source sleeps until the kernel speaks.
//!
//! It listens first and asks then, so that nothing falls between. What the kernel tells
//! is compared with what was known, so that an event can say what it was before.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};

use super::Source;
use super::clock::{boot, boot_time};
use crate::event::network::{
    Address, Change, Changed, Link, LinkFlags, Neighbour, NeighbourState, Route, RouteFlags,
    RouteKey, Table,
};
use crate::event::{Body, Event, Family, Gap, Via};
use crate::filter::EventKind;
use crate::host::netlink::{self, Netlink, address, link, neighbour, route};
use crate::host::network::Network;

/// `RTNLGRP_*` of `linux/rtnetlink.h`.
const GROUP_LINK: u32 = 1;
const GROUP_NEIGHBOUR: u32 = 3;
const GROUP_ADDRESS4: u32 = 5;
const GROUP_ROUTE4: u32 = 7;
const GROUP_ADDRESS6: u32 = 9;
const GROUP_ROUTE6: u32 = 11;

/// How long after an interface or an address went the IPv4 routes are looked at: those
/// that go with it are the one thing of which the kernel tells nothing.
const SETTLED: Duration = Duration::from_millis(20);

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    pub links: bool,
    pub addresses: bool,
    pub routes: bool,
    pub neighbours: bool,
    pub family: Option<Family>,
    /// Only of the interface with this name.
    pub dev: Option<String>,
    /// Only this routing table; none is every one.
    pub table: Option<Table>,
}

impl Ask {
    /// What is asked for by the names of events, if anything is.
    pub fn named(events: &[EventKind]) -> Option<Ask> {
        let named = |kind: &EventKind| kind.is_of_network() || *kind == EventKind::All;
        let wants = |kind| events.contains(&kind) || events.contains(&EventKind::All);
        events.iter().any(named).then(|| Ask {
            links: wants(EventKind::Link),
            addresses: wants(EventKind::Address),
            routes: wants(EventKind::Route),
            neighbours: wants(EventKind::Neighbour),
            ..Ask::default()
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
    #[error("cannot wait for notices of the kernel: {source}")]
    Wait { source: io::Error },
    #[error("cannot read a notice of the kernel: {source}")]
    Read { source: io::Error },
    #[error("changes of the network configuration belong to no process: there is none to follow")]
    Follow,
}

impl Error {
    /// Whether a right is missing.
    pub fn is_privilege(&self) -> bool {
        matches!(self, Error::Netlink(error) if error.is_privilege())
    }
}

/// The network configuration of our network namespace, live.
pub struct Watch {
    notices: AsyncFd<Netlink>,
    network: Network,
    ask: Ask,
    netns: Option<u32>,
    known: Known,
    /// Events that no call of `next` has delivered yet.
    ready: Vec<Event>,
    /// When to look at the IPv4 routes.
    look: Option<Instant>,
    lost: u64,
}

/// What was told last of each thing.
#[derive(Default)]
struct Known {
    links: HashMap<u32, Link>,
    addresses: HashMap<(u32, IpAddr, u8, Option<IpAddr>), Address>,
    /// Several can have one key, if they differ in their next hop only.
    routes: HashMap<RouteKey, Vec<Route>>,
    neighbours: HashMap<(u32, IpAddr, bool), Neighbour>,
}

/// Listens, and takes stock.
pub fn open(ask: Ask) -> Result<Watch, Error> {
    let mut notices = Netlink::open()?;
    let mut groups = vec![GROUP_LINK];
    let both =
        [(Family::V4, GROUP_ADDRESS4, GROUP_ROUTE4), (Family::V6, GROUP_ADDRESS6, GROUP_ROUTE6)];
    for (_, addresses, routes) in both.into_iter().filter(|(f, ..)| wants(ask.family, *f)) {
        // Addresses tell when routes that used them go.
        groups.extend((ask.addresses || ask.routes).then_some(addresses));
        groups.extend(ask.routes.then_some(routes));
    }
    groups.extend(ask.neighbours.then_some(GROUP_NEIGHBOUR));
    notices.listen(&groups)?;
    // SAFETY: the descriptor is the socket's as long as the value lives: it never
    // closes it or gives it away before.
    let notices = unsafe { AsyncFd::register_with_interest(notices, Interest::READABLE) }
        .map_err(|source| Error::Wait { source: source.into() })?;
    let mut watch = Watch {
        notices,
        network: Network::open()?,
        ask,
        netns: own_netns(),
        known: Known::default(),
        ready: Vec::new(),
        look: None,
        lost: 0,
    };
    watch.ready.push(Event {
        at: boot_time(),
        via: Via::Timer,
        body: Body::Clock { boot: boot() },
    });
    watch.take_stock(true)?;
    Ok(watch)
}

fn wants(asked: Option<Family>, family: Family) -> bool {
    asked.is_none_or(|asked| asked == family)
}

fn family_of(addr: IpAddr) -> Family {
    if addr.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// The inode number of our network namespace, where `/proc` tells it.
fn own_netns() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    let inode = fs::metadata(Path::new("/proc/thread-self/ns/net")).ok()?.ino();
    u32::try_from(inode).ok()
}

impl Watch {
    /// Asks for everything and tells what differs from what was known: at the start,
    /// all of it is there already.
    fn take_stock(&mut self, first: bool) -> Result<(), Error> {
        let via = if first { Via::Kernel } else { Via::Poll };
        let new = if first { Change::Present } else { Change::Added };
        let links = self.network.links(false)?;
        let gone: Vec<u32> = missing(&self.known.links, links.iter().map(|link| link.ifindex));
        for ifindex in gone {
            self.remove_link(ifindex, via);
        }
        for link in links {
            self.link(link, new, via);
        }
        if self.ask.addresses || self.ask.routes {
            let all = self.network.addresses(self.ask.family)?;
            for key in missing(&self.known.addresses, all.iter().map(Address::key)) {
                self.remove_address(key, via);
            }
            for address in all {
                self.address(address, new, via);
            }
        }
        if self.ask.routes {
            for family in [Family::V4, Family::V6] {
                if wants(self.ask.family, family) {
                    self.compare_routes(family, new, via)?;
                }
            }
        }
        if self.ask.neighbours {
            let mut all = self.network.neighbours(self.ask.family, false)?;
            all.extend(self.network.neighbours(self.ask.family, true)?);
            for key in missing(&self.known.neighbours, all.iter().map(Neighbour::key)) {
                if let Some(neighbour) = self.known.neighbours.remove(&key) {
                    self.tell_neighbour(Change::Removed, neighbour, None, via);
                }
            }
            for neighbour in all {
                self.neighbour(neighbour, new, via);
            }
        }
        Ok(())
    }

    /// Tells what is different among the routes of a family.
    fn compare_routes(&mut self, family: Family, new: Change, via: Via) -> Result<(), Error> {
        let all = self.network.routes(family, None)?;
        let mut there: HashMap<RouteKey, Vec<&Route>> = HashMap::new();
        for route in &all {
            there.entry(route.key()).or_default().push(route);
        }
        let mut gone = Vec::new();
        for (key, routes) in &mut self.known.routes {
            let stays = |route: &Route| {
                route.family != family
                    || there.get(key).is_some_and(|all| all.iter().any(|other| same(route, other)))
            };
            gone.extend(routes.extract_if(.., |route| !stays(route)));
        }
        self.known.routes.retain(|_, routes| !routes.is_empty());
        for route in gone {
            self.tell_route(Change::Removed, route, None, via);
        }
        for route in all {
            self.route(route, new, false, via);
        }
        Ok(())
    }

    /// Reads what the kernel has told, until it has no more.
    fn read(&mut self) -> Result<(), Error> {
        loop {
            let mut told = Vec::new();
            let read = self.notices.get_mut().notices(|kind, flags, body| {
                told.extend(notice(kind, flags, body));
            });
            for notice in told {
                self.take(notice);
            }
            match read {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.overflowed()?,
                Err(source) => return Err(Error::Read { source }),
            }
        }
    }

    /// The kernel told more than the socket could hold.
    fn overflowed(&mut self) -> Result<(), Error> {
        self.lost += 1;
        let gap = Gap {
            what: "notices of the network configuration were lost".into(),
            why: "the kernel had more to tell than the socket holds".into(),
            mend: "what is different was looked up and follows, without what lay between".into(),
            hook: None,
            unseen: Vec::new(),
            count: 1,
        };
        self.push(Via::Kernel, Body::Gap(gap));
        // What still waits is older than what was lost: told after the stock is taken,
        // it would stand for what is no longer true.
        loop {
            match self.notices.get_mut().notices(|_, _, _| {}) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(source) => return Err(Error::Read { source }),
                Ok(()) => {}
            }
        }
        self.take_stock(false)
    }

    fn take(&mut self, notice: Notice) {
        let via = Via::Kernel;
        match notice {
            Notice::Link(mut link) => {
                self.name_references(&mut link);
                if !link.flags.has(LinkFlags::UP) {
                    self.look_soon();
                }
                self.link(link, Change::Added, via);
            }
            Notice::NoLink(ifindex) => {
                self.remove_link(ifindex, via);
                self.look_soon();
            }
            Notice::Address(mut address) => {
                address.ifname = self.name(address.ifindex).unwrap_or_default();
                self.address(address, Change::Added, via);
            }
            Notice::NoAddress(address) => {
                self.remove_address(address.key(), via);
                self.look_soon();
            }
            Notice::Route(mut route, replaces) => {
                self.name_hops(&mut route);
                if !replaces && self.look.is_some() && route.family == Family::V4 {
                    // If it is known, it has gone without a word, and has come again before the
                    // look that would have shown it.
                    self.remove_route(route.clone(), Via::Inferred);
                }
                self.route(route, Change::Added, replaces, via);
            }
            Notice::NoRoute(mut route) => {
                self.name_hops(&mut route);
                self.remove_route(route, via);
            }
            Notice::Neighbour(mut neighbour) => {
                neighbour.ifname = self.name(neighbour.ifindex).unwrap_or_default();
                self.neighbour(neighbour, Change::Added, via);
            }
            Notice::NoNeighbour(neighbour) => {
                if let Some(neighbour) = self.known.neighbours.remove(&neighbour.key()) {
                    self.tell_neighbour(Change::Removed, neighbour, None, via);
                }
            }
        }
    }

    fn look_soon(&mut self) {
        if self.ask.routes && wants(self.ask.family, Family::V4) {
            // Not later because more happens meanwhile.
            self.look.get_or_insert_with(|| Instant::now() + SETTLED);
        }
    }

    fn name(&self, ifindex: u32) -> Option<String> {
        self.known.links.get(&ifindex).map(|link| link.ifname.clone())
    }

    fn name_references(&self, link: &mut Link) {
        let other = if link.link_netnsid.is_none() { link.link.as_mut() } else { None };
        for reference in other.into_iter().chain(link.master.as_mut()) {
            reference.ifname =
                self.known.links.get(&reference.ifindex).map(|link| link.ifname.clone());
        }
    }

    fn name_hops(&self, route: &mut Route) {
        route.dev = route.ifindex.and_then(|ifindex| self.name(ifindex));
        for nexthop in &mut route.nexthops {
            nexthop.dev = self.name(nexthop.ifindex);
        }
    }

    fn link(&mut self, link: Link, new: Change, via: Via) {
        // Settings of IPv6 are not told of when they change.
        let link = Link { nd6: None, ..link };
        let was = self.known.links.insert(link.ifindex, link.clone());
        if was.as_ref() != Some(&link) {
            let change = if was.is_some() { Change::Changed } else { new };
            self.tell_link(change, link, was, via);
        }
    }

    fn remove_link(&mut self, ifindex: u32, via: Via) {
        if let Some(link) = self.known.links.remove(&ifindex) {
            self.tell_link(Change::Removed, link, None, via);
        }
    }

    fn address(&mut self, address: Address, new: Change, via: Via) {
        if !wants(self.ask.family, family_of(address.local)) {
            return;
        }
        let was = self.known.addresses.insert(address.key(), address.clone());
        // The seconds that are left are no change.
        let rest = |address: &Address| Address { valid: None, preferred: None, ..address.clone() };
        if was.as_ref().map(rest) != Some(rest(&address)) {
            let change = if was.is_some() { Change::Changed } else { new };
            self.tell_address(change, address, was, via);
        }
    }

    fn remove_address(&mut self, key: (u32, IpAddr, u8, Option<IpAddr>), via: Via) {
        if let Some(address) = self.known.addresses.remove(&key) {
            self.tell_address(Change::Removed, address, None, via);
        }
    }

    fn route(&mut self, route: Route, new: Change, replaces: bool, via: Via) {
        if !wants(self.ask.family, route.family) {
            return;
        }
        let routes = self.known.routes.entry(route.key()).or_default();
        if let Some(known) = routes.iter_mut().find(|known| same(known, &route)) {
            if *known == route {
                return;
            }
            let was = std::mem::replace(known, route.clone());
            self.tell_route(Change::Changed, route, Some(was), via);
        } else if replaces && !routes.is_empty() {
            // It takes the place of the first.
            let was = std::mem::replace(&mut routes[0], route.clone());
            self.tell_route(Change::Changed, route, Some(was), via);
        } else {
            routes.push(route.clone());
            self.tell_route(new, route, None, via);
        }
    }

    fn remove_route(&mut self, route: Route, via: Via) {
        let Some(routes) = self.known.routes.get_mut(&route.key()) else { return };
        let Some(place) = routes.iter().position(|known| same(known, &route)) else { return };
        let known = routes.remove(place);
        if routes.is_empty() {
            self.known.routes.remove(&route.key());
        }
        self.tell_route(Change::Removed, known, None, via);
    }

    fn neighbour(&mut self, neighbour: Neighbour, new: Change, via: Via) {
        if !wants(self.ask.family, family_of(neighbour.dst)) {
            return;
        }
        let neighbour = Neighbour { ages: None, probes: None, ..neighbour };
        let was = self.known.neighbours.insert(neighbour.key(), neighbour.clone());
        if was.as_ref() != Some(&neighbour) {
            let change = if was.is_some() { Change::Changed } else { new };
            self.tell_neighbour(change, neighbour, was, via);
        }
    }

    fn tell_link(&mut self, change: Change, now: Link, was: Option<Link>, via: Via) {
        if self.ask.links && self.is_of(&now.ifname) {
            let netns = self.netns;
            self.push(via, Body::Link(Box::new(Changed { change, now, was, netns })));
        }
    }

    fn tell_address(&mut self, change: Change, now: Address, was: Option<Address>, via: Via) {
        if self.ask.addresses && self.is_of(&now.ifname) {
            let netns = self.netns;
            self.push(via, Body::Address(Box::new(Changed { change, now, was, netns })));
        }
    }

    fn tell_route(&mut self, change: Change, now: Route, was: Option<Route>, via: Via) {
        let hops = now.nexthops.iter().map(|hop| &hop.dev);
        let here = std::iter::once(&now.dev).chain(hops).flatten().any(|dev| self.is_of(dev));
        let of_table = self.ask.table.is_none_or(|table| now.table == table);
        if self.ask.routes && of_table && (here || self.ask.dev.is_none()) {
            let netns = self.netns;
            self.push(via, Body::Route(Box::new(Changed { change, now, was, netns })));
        }
    }

    fn tell_neighbour(&mut self, change: Change, now: Neighbour, was: Option<Neighbour>, via: Via) {
        // Of multicast groups there is nothing to find out; `ip neigh` hides them too.
        let is_fixed = now.state.0 == NeighbourState::NOARP as u16;
        if self.ask.neighbours && !is_fixed && self.is_of(&now.ifname) {
            let netns = self.netns;
            self.push(via, Body::Neighbour(Box::new(Changed { change, now, was, netns })));
        }
    }

    fn is_of(&self, ifname: &str) -> bool {
        self.ask.dev.as_ref().is_none_or(|dev| dev == ifname)
    }

    fn push(&mut self, via: Via, body: Body) {
        self.ready.push(Event { at: boot_time(), via, body });
    }

    /// Looks at the IPv4 routes if it is time to.
    fn look(&mut self) -> Result<(), Error> {
        self.look = None;
        // The kernel tells that an interface goes down before it takes its routes away,
        // with the lock held that this question waits for: after it, they are gone.
        self.network.links(false)?;
        self.compare_routes(Family::V4, Change::Added, Via::Poll)
    }
}

/// Keys of what is known and not among those that are there.
fn missing<K: Copy + Eq + std::hash::Hash, T>(
    known: &HashMap<K, T>,
    there: impl Iterator<Item = K>,
) -> Vec<K> {
    let there: std::collections::HashSet<K> = there.collect();
    known.keys().filter(|key| !there.contains(key)).copied().collect()
}

/// Whether it is one and the same route, though its flags may have changed.
fn same(a: &Route, b: &Route) -> bool {
    let hops = |route: &Route| {
        let hop = |hop: &crate::event::network::Nexthop| (hop.gateway, hop.ifindex, hop.weight);
        route.nexthops.iter().map(hop).collect::<Vec<_>>()
    };
    a.key() == b.key()
        && (a.family, a.kind, a.gateway, a.ifindex) == (b.family, b.kind, b.gateway, b.ifindex)
        && hops(a) == hops(b)
}

/// What a message tells.
enum Notice {
    Link(Link),
    NoLink(u32),
    Address(Address),
    NoAddress(Address),
    /// With whether it takes another one's place.
    Route(Route, bool),
    NoRoute(Route),
    Neighbour(Neighbour),
    NoNeighbour(Neighbour),
}

fn notice(kind: u16, flags: u16, body: &[u8]) -> Option<Notice> {
    let route = |body| {
        // Those that the kernel made of others for one destination are no routes.
        route::read(body).filter(|route| !route.flags.has(RouteFlags::CLONED))
    };
    match kind {
        libc::RTM_NEWLINK => link::read(body, false).map(Notice::Link),
        libc::RTM_DELLINK => link::read(body, false).map(|link| Notice::NoLink(link.ifindex)),
        libc::RTM_NEWADDR => address::read(body).map(Notice::Address),
        libc::RTM_DELADDR => address::read(body).map(Notice::NoAddress),
        libc::RTM_NEWROUTE => {
            let replaces = flags & libc::NLM_F_REPLACE as u16 != 0;
            route(body).map(|route| Notice::Route(route, replaces))
        }
        libc::RTM_DELROUTE => route(body).map(Notice::NoRoute),
        libc::RTM_NEWNEIGH => neighbour::read(body).map(Notice::Neighbour),
        libc::RTM_DELNEIGH => neighbour::read(body).map(Notice::NoNeighbour),
        _ => None,
    }
}

impl Source for Watch {
    type Error = Error;

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        while self.ready.is_empty() {
            tokio::select! {
                biased;
                ready = self.notices.readable() => {
                    ready.map_err(|source| Error::Wait { source })?.clear_ready();
                    self.read()?;
                }
                () = until(self.look) => self.look()?,
            }
        }
        events.append(&mut self.ready);
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        self.read()?;
        if self.look.is_some() {
            self.look()?;
        }
        events.append(&mut self.ready);
        Ok(())
    }

    fn follow(&mut self, _: u32) -> Result<(), Error> {
        Err(Error::Follow)
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
