//! Host names for addresses. A look-up can take seconds, so it runs on threads of
//! its own; the stream asks what is known already and never waits.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Addresses remembered in each of two generations.
const REMEMBERED: usize = 4096;
/// Look-ups that may wait; beyond that, an address is asked for when it comes again.
const WAITING: usize = 256;
/// Look-ups at once: a dead name server keeps one busy for seconds.
const THREADS: usize = 4;
/// Bytes of a hosts file that are read: more is no hosts file.
const HOSTS_LIMIT: u64 = 1 << 20;

/// What turns an address into a name.
pub type Lookup = fn(IpAddr) -> Option<String>;

/// Names by address: those in the hosts file at once, others when they are known.
#[derive(Debug)]
pub struct Names {
    hosts: HashMap<IpAddr, Box<str>>,
    /// What was asked for: `None` is "no name", or "not yet".
    young: HashMap<IpAddr, Option<Box<str>>>,
    old: HashMap<IpAddr, Option<Box<str>>>,
    /// Asked, and not answered yet.
    pending: HashSet<IpAddr>,
    ask: SyncSender<IpAddr>,
    answers: Receiver<(IpAddr, Option<String>)>,
}

impl Names {
    /// Names from the hosts file and from the system's resolver.
    pub fn system() -> Names {
        let mut hosts = String::new();
        if let Ok(file) = std::fs::File::open("/etc/hosts") {
            // Why ignored: without a hosts file, its names come from the resolver.
            let _ = std::io::Read::read_to_string(
                &mut std::io::Read::take(file, HOSTS_LIMIT),
                &mut hosts,
            );
        }
        Names::new(&hosts, resolve)
    }

    /// Names from the text of a hosts file and from `lookup`.
    pub fn new(hosts: &str, lookup: Lookup) -> Names {
        let (ask, asked) = sync_channel(WAITING);
        let (answer, answers) = channel();
        let asked = Arc::new(Mutex::new(asked));
        for _ in 0..THREADS {
            let (asked, answer) = (Arc::clone(&asked), answer.clone());
            // Why ignored: without the thread, addresses stay numbers.
            let _ = thread::Builder::new()
                .name("name".into())
                .spawn(move || serve(&asked, &answer, lookup));
        }
        Names {
            hosts: parse_hosts(hosts),
            young: HashMap::with_capacity(REMEMBERED),
            old: HashMap::new(),
            pending: HashSet::new(),
            ask,
            answers,
        }
    }

    /// The name of `addr`, if it is known by now; else asks for it.
    pub fn name(&mut self, addr: IpAddr) -> Option<&str> {
        let addr = addr.to_canonical();
        while let Ok((addr, name)) = self.answers.try_recv() {
            self.pending.remove(&addr);
            self.remember(addr, name.map(String::into_boxed_str));
        }
        if self.hosts.contains_key(&addr) {
            return self.hosts.get(&addr).map(|name| &**name);
        }
        if !self.young.contains_key(&addr) {
            if let Some(name) = self.old.remove(&addr) {
                self.remember(addr, name);
            } else if self.ask.try_send(addr).is_ok() {
                self.pending.insert(addr);
                self.remember(addr, None);
            }
        }
        self.young.get(&addr)?.as_deref()
    }

    /// Waits until it is known whether `addr` has a name, but no longer than `limit`.
    pub fn wait(&mut self, addr: IpAddr, limit: Duration) {
        let end = Instant::now() + limit;
        while self.answer(addr).is_none() && Instant::now() < end {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// The name of `addr`, or that it has none; nothing while that is not known yet.
    fn answer(&mut self, addr: IpAddr) -> Option<Option<&str>> {
        let canonical = addr.to_canonical();
        let asked = self.name(addr).is_none() && self.pending.contains(&canonical);
        if asked {
            return None;
        }
        if !self.hosts.contains_key(&canonical) && !self.young.contains_key(&canonical) {
            // There was no room for the question: it is asked again.
            return None;
        }
        Some(self.name(addr))
    }

    fn remember(&mut self, addr: IpAddr, name: Option<Box<str>>) {
        if self.young.len() >= REMEMBERED && !self.young.contains_key(&addr) {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(addr, name);
    }
}

/// Names of the hosts that one answer is about, looked up before it is written: a name
/// server that does not answer costs a limited time, not the answer.
#[derive(Debug, Default)]
pub struct HostNames {
    names: Option<HashMap<IpAddr, String>>,
}

impl HostNames {
    /// No names: addresses stay numbers.
    pub fn off() -> HostNames {
        HostNames::default()
    }

    /// Those of `addrs` that are known within `limit`.
    pub fn of(addrs: impl Iterator<Item = IpAddr>, limit: Duration) -> HostNames {
        HostNames::with(&mut Names::system(), addrs, limit)
    }

    fn with(names: &mut Names, addrs: impl Iterator<Item = IpAddr>, limit: Duration) -> HostNames {
        let mut found = HashMap::new();
        let mut open: Vec<IpAddr> = addrs.filter(|addr| !addr.is_unspecified()).collect();
        open.sort_unstable();
        open.dedup();
        let end = Instant::now() + limit;
        loop {
            open.retain(|addr| match names.answer(*addr) {
                Some(Some(name)) => {
                    found.insert(*addr, name.to_owned());
                    false
                }
                Some(None) => false,
                None => true,
            });
            if open.is_empty() || Instant::now() >= end {
                return HostNames { names: Some(found) };
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether names are wanted at all.
    pub const fn is_on(&self) -> bool {
        self.names.is_some()
    }

    pub fn name(&self, addr: IpAddr) -> Option<&str> {
        self.names.as_ref()?.get(&addr).map(String::as_str)
    }
}

fn serve(
    asked: &Mutex<Receiver<IpAddr>>,
    answer: &Sender<(IpAddr, Option<String>)>,
    lookup: Lookup,
) {
    loop {
        let next = asked.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(addr) = next else { return };
        if answer.send((addr, lookup(addr))).is_err() {
            return;
        }
    }
}

/// The first name of each address.
fn parse_hosts(text: &str) -> HashMap<IpAddr, Box<str>> {
    let mut hosts = HashMap::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if let (Some(addr), Some(name)) = (words.next(), words.next())
            && let Ok(addr) = addr.parse::<IpAddr>()
        {
            hosts.entry(addr.to_canonical()).or_insert_with(|| name.into());
        }
    }
    hosts
}

/// Asks the system's resolver, and through it what nsswitch.conf names.
fn resolve(addr: IpAddr) -> Option<String> {
    crate::host::name_of(SocketAddr::new(addr, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_file_names_addresses_at_once() {
        let text = "# comment\n127.0.0.1 localhost lo # x\n127.0.0.1 other\n::1\tip6-localhost\nbad x\n10.0.0.1\n";
        let mut names = Names::new(text, |_| None);
        assert_eq!(names.name("127.0.0.1".parse().unwrap()), Some("localhost"));
        assert_eq!(names.name("::ffff:127.0.0.1".parse().unwrap()), Some("localhost"));
        assert_eq!(names.name("::1".parse().unwrap()), Some("ip6-localhost"));
        assert_eq!(names.name("10.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn a_slow_lookup_never_blocks_and_its_answer_comes_later() {
        let addr = "192.0.2.1".parse().unwrap();
        let mut names = Names::new("", |addr| {
            thread::sleep(Duration::from_millis(100));
            Some(format!("host-{addr}"))
        });
        let start = Instant::now();
        for i in 0..100_000_u32 {
            let _ = names.name(IpAddr::from(i.to_be_bytes()));
        }
        assert_eq!(names.name(addr), None);
        assert!(names.young.len() <= REMEMBERED && names.old.len() <= REMEMBERED);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());

        let mut names = Names::new("", |addr| Some(format!("host-{addr}")));
        let end = Instant::now() + Duration::from_secs(10);
        while names.name(addr) != Some("host-192.0.2.1") {
            assert!(Instant::now() < end, "no answer");
            thread::sleep(Duration::from_millis(1));
        }
    }
    #[test]
    fn an_answer_waits_for_names_no_longer_than_its_limit() {
        let addrs = |n: u32| (1..=n).map(|i| IpAddr::from(i.to_be_bytes()));
        let mut names = Names::new("0.0.0.1 first\n", |addr| {
            (addr != IpAddr::from([0, 0, 0, 2])).then(|| format!("host-{addr}"))
        });
        // More than may wait at once.
        let found = HostNames::with(&mut names, addrs(600), Duration::from_secs(20));
        assert_eq!(found.name([0, 0, 0, 1].into()), Some("first"));
        assert_eq!(found.name([0, 0, 0, 2].into()), None);
        assert_eq!(found.name([0, 0, 2, 88].into()), Some("host-0.0.2.88"));
        let mut dead = Names::new("", |_| {
            thread::sleep(Duration::from_secs(3600));
            None
        });
        let found = HostNames::with(&mut dead, addrs(9), Duration::from_millis(20));
        assert!(found.is_on() && found.name([0, 0, 0, 1].into()).is_none());
        assert!(!HostNames::off().is_on());
    }
}
