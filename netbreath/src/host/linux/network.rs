//! What the system's network configuration is, asked once, now.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::{fs, io};

use super::netlink::{Error, Netlink, address, link, neighbour, nsid, route};
use crate::container;
use crate::event::Family;
use crate::event::network::{Address, Link, Neighbour, NumberNames, Route, Table};
use crate::view::explain::Peer;
use crate::view::group::Membership;
use crate::view::route::Route6;
use crate::view::statistic::{self, Counter};

/// Questions about the network configuration of our network namespace.
pub struct Network {
    netlink: Netlink,
    names: HashMap<u32, Option<String>>,
}

impl Network {
    pub fn open() -> Result<Network, Error> {
        Ok(Network { netlink: Netlink::open()?, names: HashMap::new() })
    }

    /// All interfaces, with their counters if `stats`.
    pub fn links(&mut self, stats: bool) -> Result<Vec<Link>, Error> {
        let mut links =
            self.netlink.dump(&link::question(stats), |_, body| link::read(body, stats))?;
        link::name_references(&mut links);
        for link in &links {
            self.names.insert(link.ifindex, Some(link.ifname.clone()));
        }
        Ok(links)
    }

    /// All addresses, of one family if asked for, in the kernel's order.
    pub fn addresses(&mut self, family: Option<Family>) -> Result<Vec<Address>, Error> {
        let question = address::question(family);
        let mut all = self.netlink.dump(&question, |_, body| address::read(body))?;
        all.retain(|address| is_of(family, address.local));
        for address in &mut all {
            address.ifname = self.name(address.ifindex).unwrap_or_default();
        }
        Ok(all)
    }

    /// The routes of a family, of one table if asked for.
    pub fn routes(&mut self, family: Family, table: Option<Table>) -> Result<Vec<Route>, Error> {
        let question = route::question(family, table);
        let mut all = match self.netlink.dump(&question, |_, body| route::read(body)) {
            // A table that nobody has used yet does not exist.
            Err(Error::Ask { source, .. })
                if table.is_some() && source.raw_os_error() == Some(libc::ENOENT) =>
            {
                Vec::new()
            }
            answer => answer?,
        };
        all.retain(|route| {
            // A kernel without a family answers for all others.
            route.family == family
                && table.is_none_or(|table| route.table == table)
                && !route.flags.has(crate::event::network::RouteFlags::CLONED)
        });
        for route in &mut all {
            route.dev = route.ifindex.and_then(|index| self.name(index));
            for nexthop in &mut route.nexthops {
                nexthop.dev = self.name(nexthop.ifindex);
            }
        }
        Ok(all)
    }

    /// Neighbours, or with `proxies` those for whom we answer.
    pub fn neighbours(
        &mut self,
        family: Option<Family>,
        proxies: bool,
    ) -> Result<Vec<Neighbour>, Error> {
        let question = neighbour::question(family, proxies);
        let mut all = self.netlink.dump(&question, |_, body| neighbour::read(body))?;
        all.retain(|neighbour| is_of(family, neighbour.dst));
        for neighbour in &mut all {
            neighbour.ifname = self.name(neighbour.ifindex).unwrap_or_default();
        }
        Ok(all)
    }

    /// The other ends of virtual cables that are in other network namespaces, as far as
    /// they can be told: by the number of this end.
    pub fn peers(&mut self, links: &[Link]) -> BTreeMap<u32, Peer> {
        let away = || links.iter().filter(|link| link.link_netnsid.is_some_and(|id| id >= 0));
        if away().next().is_none() {
            return BTreeMap::new();
        }
        let places = self.places();
        let mut peers = BTreeMap::new();
        for link in away() {
            let (Some(id), Some(other)) = (link.link_netnsid, &link.link) else { continue };
            let question = link::question_there(other.ifindex, id);
            // Why ignored: without the right to look there, the name is not known.
            let there = self.netlink.get(&question, |body| link::read(body, false));
            let ifname = there.ok().flatten().map(|link| link.ifname);
            let peer = Peer { ifname, ..places.get(&id).cloned().unwrap_or_default() };
            peers.insert(link.ifindex, peer);
        }
        peers
    }

    /// The network namespaces that processes are in and that ours has ids for.
    fn places(&mut self) -> HashMap<i32, Peer> {
        let mut seen = HashSet::new();
        let mut places = HashMap::new();
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        for pid in pids {
            // Why ignored: others' processes may not be looked at, and some end meanwhile.
            let Ok(namespace) = fs::metadata(format!("/proc/{pid}/ns/net")) else { continue };
            if !seen.insert(namespace.ino()) {
                continue;
            }
            let Ok(Some(id)) = self.netlink.get(&nsid::question(pid), nsid::read) else {
                continue;
            };
            let file = |name| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
            let cgroups = file("cgroup");
            let container = cgroups.lines().find_map(|line| container::place(line).container);
            let peer = Peer {
                ifname: None,
                netns: u32::try_from(namespace.ino()).ok(),
                process: Some((pid, file("comm").trim_end().to_owned())),
                container: container.map(str::to_owned),
            };
            places.insert(id, peer);
        }
        places
    }

    /// The name of an interface, asked for once.
    fn name(&mut self, ifindex: u32) -> Option<String> {
        self.names.entry(ifindex).or_insert_with(|| name_of_index(ifindex)).clone()
    }
}

/// Whether an address is of the family that was asked for.
fn is_of(family: Option<Family>, addr: IpAddr) -> bool {
    family.is_none_or(|family| addr.is_ipv4() == (family == Family::V4))
}

/// What cannot be read of what the kernel shows as files.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path}: {source}")]
pub struct FileError {
    path: &'static str,
    source: io::Error,
}

/// The text of a file below `/proc/net`, which is that of our network namespace. A file
/// that is not there is of a protocol that the kernel does not have.
fn shown(path: &'static str) -> Result<String, FileError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        answer => answer.map_err(|source| FileError { path, source }),
    }
}

/// IPv6 routes with the counts that only this file has.
pub fn routes6() -> Result<Vec<Route6>, FileError> {
    Ok(shown("/proc/thread-self/net/ipv6_route")?.lines().filter_map(route6).collect())
}

fn route6(line: &str) -> Option<Route6> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [dst, dst_len, _, _, gateway, metric, references, uses, flags, dev] = *words.as_slice()
    else {
        return None;
    };
    let addr = |text| u128::from_str_radix(text, 16).ok().map(Ipv6Addr::from);
    let number = |text| u32::from_str_radix(text, 16).ok();
    Some(Route6 {
        dst: addr(dst)?,
        dst_len: u8::from_str_radix(dst_len, 16).ok()?,
        gateway: addr(gateway)?,
        metric: number(metric)?,
        references: number(references)?,
        uses: number(uses)?,
        flags: number(flags)?,
        dev: dev.to_owned(),
    })
}

/// Multicast groups, IPv4 first.
pub fn memberships(family: Option<Family>) -> Result<Vec<Membership>, FileError> {
    let mut all = Vec::new();
    if family != Some(Family::V6) {
        all = memberships4(&shown("/proc/thread-self/net/igmp")?);
    }
    if family != Some(Family::V4) {
        all.extend(shown("/proc/thread-self/net/igmp6")?.lines().filter_map(membership6));
    }
    Ok(all)
}

/// A line for an interface, then an indented one for each of its groups.
fn memberships4(text: &str) -> Vec<Membership> {
    let mut all = Vec::new();
    let mut ifname = "";
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace();
        if !line.starts_with(char::is_whitespace) {
            ifname = words.nth(1).unwrap_or_default();
        } else if let (Some(group), Some(references)) = (words.next(), words.next())
            // The address as the kernel has it in memory.
            && let Ok(group) = u32::from_str_radix(group, 16)
            && let Ok(references) = references.parse()
        {
            let group = IpAddr::from(group.to_ne_bytes());
            all.push(Membership { ifname: ifname.to_owned(), references, group });
        }
    }
    all
}

fn membership6(line: &str) -> Option<Membership> {
    let mut words = line.split_whitespace();
    let ifname = words.nth(1)?.to_owned();
    let group = u128::from_str_radix(words.next()?, 16).ok()?;
    let references = words.next()?.parse().ok()?;
    Some(Membership { ifname, references, group: Ipv6Addr::from(group).into() })
}

/// What the protocols have counted.
pub fn counters(family: Option<Family>) -> Result<Vec<Counter>, FileError> {
    let mut all = Vec::new();
    if family != Some(Family::V6) {
        all = statistic::parse_pairs(&shown("/proc/thread-self/net/snmp")?);
        all.extend(statistic::parse_pairs(&shown("/proc/thread-self/net/netstat")?));
    }
    if family != Some(Family::V4) {
        all.extend(statistic::parse_lines(&shown("/proc/thread-self/net/snmp6")?));
    }
    Ok(all)
}

/// Whether an interface is a radio.
pub fn is_wireless(ifname: &str) -> bool {
    Path::new("/sys/class/net").join(ifname).join("phy80211").exists()
}

/// The name of the interface with this number, if there is one.
fn name_of_index(ifindex: u32) -> Option<String> {
    let mut name = [0 as libc::c_char; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that the call asks for.
    if unsafe { libc::if_indextoname(ifindex, name.as_mut_ptr()) }.is_null() {
        return None;
    }
    // SAFETY: the call succeeded, so the buffer holds a terminated string.
    let name = unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) };
    Some(name.to_string_lossy().into_owned())
}

/// The names that the files say which `ip` reads too; where there are none, nothing.
pub fn number_names() -> NumberNames {
    let mut names = NumberNames::default();
    // The later ones win.
    for folder in ["/usr/lib/iproute2", "/usr/share/iproute2", "/etc/iproute2"] {
        for (file, into) in [
            ("rt_tables", &mut names.tables),
            ("rt_protos", &mut names.protocols),
            ("rt_scopes", &mut names.scopes),
            ("group", &mut names.groups),
        ] {
            read_names(&Path::new(folder).join(file), into);
            let more = fs::read_dir(Path::new(folder).join(format!("{file}.d")));
            for entry in more.into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "conf") {
                    read_names(&entry.path(), into);
                }
            }
        }
    }
    names
}

fn read_names(file: &Path, into: &mut HashMap<u32, String>) {
    // Why ignored: a file that is not there names nothing.
    let text = fs::read_to_string(file).unwrap_or_default();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if let (Some(number), Some(name)) = (words.next(), words.next()) {
            let number = match number.strip_prefix("0x") {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok(),
                None => number.parse().ok(),
            };
            if let Some(number) = number {
                into.insert(number, name.to_owned());
            }
        }
    }
}
