//! All ends of connections that are this machine's, with their owners: segments and looks at
//! the socket table in, events out, in the order of time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};

use netbreath_common::tcp::TcpState;

use super::flow::{End, Segment, Step};
use crate::event::{
    Body, Comm, Endpoint, Event, Family, Flow, HalfOpen, Handover, How, Owner, Proto, Seed, Socket,
    SocketId, State, Via,
};

/// How long an event waits for its owner to be looked up.
const HELD: u64 = 500_000_000;
/// How long an end must have been silent before looks that do not find it count: its last
/// segments may still be on their way to us.
const SILENT: u64 = 300_000_000;
/// How long an end that is over is remembered, so that late segments begin nothing.
const OVER: u64 = 5_000_000_000;

/// A socket in the system's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub own: SocketAddr,
    pub peer: SocketAddr,
    pub state: TcpState,
    pub holder: Option<Holder>,
}

/// A process that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub comm: Comm,
    pub uid: u32,
    pub fd: u32,
}

/// One look at the table.
#[derive(Clone, Debug, Default)]
pub struct Poll {
    /// When it began and ended, in nanoseconds since boot.
    pub begun: u64,
    pub ended: u64,
    pub rows: Vec<Row>,
}

/// See the module.
#[derive(Debug)]
pub struct Tracker {
    /// Addresses of this machine, apart from loopback's.
    local: HashSet<IpAddr>,
    netns: Option<u32>,
    ends: HashMap<(SocketAddr, SocketAddr), Entry>,
    listeners: HashMap<SocketAddr, Listener>,
    next: u64,
    max: usize,
    /// Ends that found no room.
    pub evicted: u64,
    /// Events, and when the look has begun that they wait for.
    held: VecDeque<(Event, u64)>,
    /// When the last look began that is over; nothing before the first.
    looked: Option<u64>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Entry {
    id: SocketId,
    end: End,
    owner: Option<Owner>,
    /// An event without the owner has been told, or with another one.
    told: bool,
    /// When it entered its state, if that was seen.
    since: Option<u64>,
    /// How many looks did not find it.
    missing: u32,
    /// When its first segment was seen, and its last.
    began: u64,
    last: u64,
}

#[derive(Debug)]
struct Listener {
    id: SocketId,
    owner: Option<Owner>,
    missing: u32,
}

impl Tracker {
    pub fn new(local: impl IntoIterator<Item = IpAddr>, netns: Option<u32>, max: usize) -> Tracker {
        Tracker {
            local: local.into_iter().collect(),
            netns,
            ends: HashMap::new(),
            listeners: HashMap::new(),
            next: 1,
            max,
            evicted: 0,
            held: VecDeque::new(),
            looked: None,
            steps: Vec::new(),
        }
    }

    fn is_local(&self, addr: IpAddr) -> bool {
        addr.is_loopback() || self.local.contains(&addr)
    }

    /// Another address of this machine.
    pub fn add_local(&mut self, addr: IpAddr) {
        self.local.insert(addr);
    }

    pub fn segment(&mut self, segment: &Segment) {
        let (from, to) = (segment.from, segment.to);
        if self.is_local(from.ip()) {
            self.end(segment, (from, to), true);
        }
        if self.is_local(to.ip()) {
            self.end(segment, (to, from), false);
        }
    }

    /// One end sends or receives a segment.
    fn end(&mut self, segment: &Segment, key: (SocketAddr, SocketAddr), out: bool) {
        if !self.ends.contains_key(&key) {
            let Some(end) = End::first(segment, out) else { return };
            if self.ends.len() >= self.max {
                self.evicted += 1;
                return;
            }
            let entry = self.entry(end, segment.at);
            self.ends.insert(key, entry);
        }
        let Some(entry) = self.ends.get_mut(&key) else { return };
        entry.last = segment.at;
        let mut steps = std::mem::take(&mut self.steps);
        let told = match out {
            true => entry.end.sends(segment, &mut steps),
            false => entry.end.receives(segment, &mut steps),
        };
        if told.again {
            // What was before is told first; then it is another socket.
            let old: Vec<Step> = match steps.first() {
                Some(first) if first.new == TcpState::Close => vec![steps.remove(0)],
                _ => Vec::new(),
            };
            self.tell(key, &old, Via::Packet);
            let id = SocketId(self.next);
            self.next += 1;
            if let Some(entry) = self.ends.get_mut(&key) {
                *entry = Entry { id, owner: None, told: false, since: None, ..entry.renewed() };
            }
        }
        if told.half_open {
            let listener = self.listener(key.0);
            if let Some(entry) = self.ends.get_mut(&key) {
                entry.since = Some(segment.at);
                entry.owner = entry.owner.take().or(listener);
                let half_open = HalfOpen {
                    socket: socket(entry, key, self.netns, None),
                    retries: None,
                    syn_cookie: false,
                };
                let waits = if entry.owner.is_none() { segment.at } else { 0 };
                let body = Body::HalfOpen(half_open);
                let event = Event { at: segment.at, via: Via::Packet, body };
                self.held.push_back((event, waits));
            }
        }
        self.tell(key, &steps, Via::Packet);
        steps.clear();
        self.steps = steps;
    }

    fn entry(&mut self, end: End, at: u64) -> Entry {
        let id = SocketId(self.next);
        self.next += 1;
        Entry { id, end, owner: None, told: false, since: None, missing: 0, began: at, last: at }
    }

    /// The owner of the listener at this address.
    fn listener(&self, own: SocketAddr) -> Option<Owner> {
        let any = [
            SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), own.port()),
            SocketAddr::new(std::net::Ipv6Addr::UNSPECIFIED.into(), own.port()),
        ];
        let places = std::iter::once(own).chain(any);
        let owner = places.filter_map(|place| self.listeners.get(&place)).next()?.owner.clone();
        owner.map(|owner| Owner { how: How::Inherited, ..owner })
    }

    /// Makes events of transitions.
    fn tell(&mut self, key: (SocketAddr, SocketAddr), steps: &[Step], via: Via) {
        let peer = self.ends.get(&(key.1, key.0)).map(|entry| entry.id);
        let Some(entry) = self.ends.get_mut(&key) else { return };
        for step in steps {
            let counts = !matches!(step.old, TcpState::Close | TcpState::Listen);
            let in_state = entry.since.filter(|_| counts);
            let in_state = in_state.map(|since| step.at.saturating_sub(since));
            // A request's time runs from its answer on.
            if step.old != TcpState::Listen || entry.since.is_none() {
                entry.since = Some(step.at);
            }
            let state = State {
                socket: socket(entry, key, self.netns, peer),
                old: step.old,
                new: step.new,
                in_state,
            };
            let via = if step.timer && via == Via::Packet { Via::Timer } else { via };
            let waits = match &entry.owner {
                Some(owner) if owner.how != How::Inherited => 0,
                // A look that began before cannot know it.
                _ => step.at,
            };
            let event = Event { at: step.at, via, body: Body::State(state) };
            self.held.push_back((event, waits));
        }
    }

    /// Ends what is over by time.
    pub fn expire(&mut self, now: u64) {
        let due = |entry: &Entry| entry.end.deadline().is_some_and(|due| due <= now);
        let mut keys: Vec<_> =
            self.ends.iter().filter(|(_, entry)| due(entry)).map(|(key, _)| *key).collect();
        keys.sort_unstable();
        for key in keys {
            let mut steps = Vec::new();
            if let Some(entry) = self.ends.get_mut(&key) {
                entry.end.expire(now, &mut steps);
                entry.last = now;
            }
            self.tell(key, &steps, Via::Timer);
        }
        self.ends.retain(|_, entry| !entry.end.is_over() || entry.last.saturating_add(OVER) > now);
    }

    /// Whether a look at the table would tell something now.
    pub fn wants_look(&self) -> bool {
        let looked = self.looked.unwrap_or(0);
        self.held.iter().any(|(_, waits)| *waits > looked)
    }

    /// Takes what a look has found.
    pub fn poll(&mut self, poll: &Poll) {
        let first = self.looked.is_none();
        self.looked = Some(poll.begun);
        let at = poll.ended;
        let mut found = HashSet::new();
        let mut listening = HashSet::new();
        for row in &poll.rows {
            if row.state == TcpState::Listen {
                listening.insert(row.own);
                self.listening(row, at, first);
                continue;
            }
            let key = (row.own, row.peer);
            found.insert(key);
            let how = if first { How::Snapshot } else { How::Polled };
            let owner = row.holder.as_ref().map(|holder| owner(holder, how));
            let has_room = self.ends.len() < self.max;
            match self.ends.get_mut(&key) {
                Some(entry) => {
                    entry.missing = 0;
                    // A look that began before can have seen an older one between these ends.
                    if let Some(owner) = owner
                        && entry.began <= poll.begun
                    {
                        self.owned(key, owner, at);
                    }
                }
                // Others have no life to tell but their end.
                None if matches!(
                    row.state,
                    TcpState::Established | TcpState::CloseWait | TcpState::SynSent
                ) && has_room =>
                {
                    let mut entry = self.entry(End::joined(row.state, at), at);
                    entry.owner = owner;
                    if let Some(holder) = row.holder.as_ref().filter(|_| first) {
                        let socket = socket(&entry, key, self.netns, None);
                        let seed = Seed { socket, state: row.state, fd: holder.fd };
                        let event = Event { at, via: Via::Poll, body: Body::Seed(seed) };
                        self.held.push_back((event, 0));
                    }
                    self.ends.insert(key, entry);
                }
                None => {}
            }
        }
        self.unlistened(&listening, at);
        self.missing(&found, poll);
    }

    fn listening(&mut self, row: &Row, at: u64, first: bool) {
        let how = if first { How::Snapshot } else { How::Polled };
        let owner = row.holder.as_ref().map(|holder| owner(holder, how));
        if let Some(listener) = self.listeners.get_mut(&row.own) {
            listener.missing = 0;
            if owner.is_some()
                && listener.owner.as_ref().map(|o| o.pid) != owner.as_ref().map(|o| o.pid)
            {
                listener.owner = owner;
            }
            return;
        }
        let id = SocketId(self.next);
        self.next += 1;
        let socket = listener(id, row.own, owner.clone(), self.netns, !first);
        let body = match (first, &row.holder) {
            (true, Some(holder)) => {
                Some(Body::Seed(Seed { socket, state: TcpState::Listen, fd: holder.fd }))
            }
            (true, None) => None,
            (false, _) => Some(Body::State(State {
                socket,
                old: TcpState::Close,
                new: TcpState::Listen,
                in_state: None,
            })),
        };
        if let Some(body) = body {
            self.held.push_back((Event { at, via: Via::Poll, body }, 0));
        }
        self.listeners.insert(row.own, Listener { id, owner, missing: 0 });
    }

    fn unlistened(&mut self, listening: &HashSet<SocketAddr>, at: u64) {
        let mut gone = Vec::new();
        for (own, listener) in &mut self.listeners {
            listener.missing = if listening.contains(own) { 0 } else { listener.missing + 1 };
            if listener.missing > 0 {
                gone.push(*own);
            }
        }
        gone.sort_unstable();
        for own in gone {
            let Some(Listener { id, owner, .. }) = self.listeners.remove(&own) else { continue };
            let state = State {
                socket: listener(id, own, owner, self.netns, true),
                old: TcpState::Listen,
                new: TcpState::Close,
                in_state: None,
            };
            self.held.push_back((Event { at, via: Via::Poll, body: Body::State(state) }, 0));
        }
    }

    /// Ends what two looks have not found any more.
    fn missing(&mut self, found: &HashSet<(SocketAddr, SocketAddr)>, poll: &Poll) {
        let mut gone = Vec::new();
        for (key, entry) in &mut self.ends {
            let silent = entry.last.saturating_add(SILENT) < poll.begun;
            // TIME_WAIT has a time of its own, and tables leave such sockets out now and then.
            let waits = entry.end.state() == TcpState::TimeWait;
            if found.contains(key) || entry.end.is_over() || !silent || waits {
                entry.missing = 0;
                continue;
            }
            entry.missing += 1;
            if entry.missing >= 2 {
                gone.push(*key);
            }
        }
        gone.sort_unstable();
        for key in gone {
            let mut steps = Vec::new();
            if let Some(entry) = self.ends.get_mut(&key) {
                entry.end.gone(poll.ended, &mut steps);
                entry.last = poll.ended;
            }
            self.tell(key, &steps, Via::Poll);
        }
    }

    /// A look has found who holds an end.
    fn owned(&mut self, key: (SocketAddr, SocketAddr), owner: Owner, at: u64) {
        let peer = self.ends.get(&(key.1, key.0)).map(|entry| entry.id);
        let Some(entry) = self.ends.get_mut(&key) else { return };
        let before = entry.owner.replace(owner.clone());
        let same = before.as_ref().is_some_and(|before| before.pid == owner.pid);
        if same {
            // What it is known by does not change without a hand-over, but for a guess.
            if before.as_ref().is_some_and(|before| before.how != How::Inherited) {
                entry.owner = before;
            }
            return;
        }
        // Events that are not told yet have the owner from the beginning.
        let mut waiting = false;
        for (event, _) in &mut self.held {
            if let Some(socket) = event.body.socket_mut()
                && socket.id == entry.id
                && socket.owner.as_ref().is_none_or(|owner| owner.how == How::Inherited)
            {
                // Until the third segment, a connection is its listener's.
                if socket.owner.is_none() {
                    socket.owner = Some(owner.clone());
                }
                waiting = true;
            }
        }
        if before.is_some() || entry.told && !waiting {
            let socket = socket(entry, key, self.netns, peer);
            let body = Body::Owner(Handover { socket, from: before });
            self.held.push_back((Event { at, via: Via::Poll, body }, 0));
        }
    }

    /// Appends the events that need not wait any longer.
    pub fn deliver(&mut self, now: u64, all: bool, events: &mut Vec<Event>) {
        let looked = self.looked.unwrap_or(0);
        while let Some((event, waits)) = self.held.front() {
            let ready = all || *waits <= looked || event.at.saturating_add(HELD) <= now;
            if !ready {
                break;
            }
            let Some((event, _)) = self.held.pop_front() else { break };
            if let Some(id) = event.body.socket().map(|socket| socket.id)
                && let Some(flow) = event.body.socket().map(|socket| socket.flow)
            {
                let key = (address(flow.local), address(flow.remote));
                if let Some(entry) = self.ends.get_mut(&key)
                    && entry.id == id
                {
                    entry.told = true;
                }
            }
            events.push(event);
        }
    }

    /// When something is due by itself.
    pub fn deadline(&self) -> Option<u64> {
        let held = self.held.front().map(|(event, _)| event.at.saturating_add(HELD));
        let ends = self.ends.values().filter_map(|entry| entry.end.deadline()).min();
        [held, ends].into_iter().flatten().min()
    }
}

impl Entry {
    /// The same end for another connection.
    fn renewed(&self) -> Entry {
        Entry {
            id: self.id,
            end: self.end.clone(),
            owner: None,
            told: false,
            since: None,
            missing: 0,
            began: self.last,
            last: self.last,
        }
    }
}

fn owner(holder: &Holder, how: How) -> Owner {
    let Holder { pid, comm, uid, .. } = holder;
    Owner { pid: *pid, comm: *comm, exe: None, uid: *uid, how }
}

fn address(end: Endpoint) -> SocketAddr {
    SocketAddr::new(end.addr, end.port)
}

fn endpoint(addr: SocketAddr) -> Endpoint {
    Endpoint { addr: addr.ip(), port: addr.port() }
}

const fn family(addr: SocketAddr) -> Family {
    if addr.is_ipv4() { Family::V4 } else { Family::V6 }
}

fn socket(
    entry: &Entry,
    key: (SocketAddr, SocketAddr),
    netns: Option<u32>,
    peer: Option<SocketId>,
) -> Socket {
    let (local, remote) = (endpoint(key.0), endpoint(key.1));
    Socket {
        id: entry.id,
        peer,
        proto: Proto::Tcp,
        flow: Flow { family: family(key.0), local, remote },
        owner: entry.owner.clone(),
        opened_by: None,
        netns,
        cgroup: None,
        born: entry.end.is_born(),
    }
}

fn listener(
    id: SocketId,
    own: SocketAddr,
    owner: Option<Owner>,
    netns: Option<u32>,
    born: bool,
) -> Socket {
    let any: IpAddr = match own.ip() {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    Socket {
        id,
        peer: None,
        proto: Proto::Tcp,
        flow: Flow {
            family: family(own),
            local: endpoint(own),
            remote: Endpoint { addr: any, port: 0 },
        },
        owner,
        opened_by: None,
        netns,
        cgroup: None,
        born,
    }
}
