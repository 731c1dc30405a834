//! The sockets that the stage knows, by id, by their two ends, and by deadline. Made for
//! many that come and go at once: nothing is allocated for one when there was one before.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::ops::{Index, IndexMut};

use netbreath_common::tcp::TcpState;

use crate::event::{Cgroup, Endpoint, Flow, Owner, Proto, Socket, SocketId};

/// What a socket is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Full,
    /// Half-open.
    Request,
    /// In TIME_WAIT, or in FIN_WAIT2 and held by no process.
    Mini,
    /// Was a mini-socket a moment ago.
    Ended,
}

/// One socket.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub id: SocketId,
    pub flow: Flow,
    pub netns: Option<u32>,
    pub kind: Kind,
    pub state: TcpState,
    /// When it entered its state; 0 if not known.
    pub since: u64,
    /// It was half-open, as far as was told.
    pub requested: bool,
    /// Who held it: an index; of full sockets not kept.
    pub holder: u32,
    born: bool,
    proto: Proto,
    /// The other end's id; 0 if not known.
    peer: u64,
    /// The next socket with the same two ends.
    namesake: u32,
    /// Looked at then; 0 if never. Neighbours among those of the same while.
    deadline: u64,
    earlier: u32,
    later: u32,
}

impl Entry {
    pub fn peer(&self) -> Option<SocketId> {
        (self.peer != 0).then_some(SocketId(self.peer))
    }
}

/// No socket, no holder.
const NONE: u32 = u32::MAX;

/// Deadlines are sorted by halves of a second, as many as a wheel has places. What is
/// farther away goes round again.
const WHILE: u64 = 500_000_000;
const PLACES: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Place {
    first: u32,
    /// No deadline here is earlier.
    least: u64,
}

/// What many mini-sockets share.
#[derive(Clone, Debug)]
struct Holder {
    owner: Option<Owner>,
    opened_by: Option<Owner>,
    cgroup: Option<Cgroup>,
    /// How many share it; 0 if it is free.
    count: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Sockets {
    entries: Vec<Entry>,
    free: Vec<u32>,
    by_id: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    by_ends: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    /// Of no other run: strangers choose addresses and ports.
    seed: u64,
    holders: Vec<Holder>,
    free_holders: Vec<u32>,
    /// The holder that was asked for last.
    recent: u32,
    places: Box<[Place; PLACES]>,
    /// How many have a deadline.
    scheduled: usize,
    /// No deadline is in an earlier while.
    first_while: u64,
    max: usize,
}

impl Index<u32> for Sockets {
    type Output = Entry;

    fn index(&self, slot: u32) -> &Entry {
        &self.entries[slot as usize]
    }
}

impl IndexMut<u32> for Sockets {
    fn index_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[slot as usize]
    }
}

impl Sockets {
    pub fn new(max: usize) -> Sockets {
        Sockets {
            entries: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::default(),
            by_ends: HashMap::default(),
            seed: RandomState::new().build_hasher().finish(),
            holders: Vec::new(),
            free_holders: Vec::new(),
            recent: NONE,
            places: Box::new([Place { first: NONE, least: u64::MAX }; PLACES]),
            scheduled: 0,
            first_while: 0,
            max,
        }
    }

    pub fn find(&self, id: SocketId) -> Option<u32> {
        self.by_id.get(&id.0).copied()
    }

    /// A new entry for a socket; nothing if there is no room.
    pub fn insert(&mut self, socket: &Socket) -> Option<u32> {
        let entry = Entry {
            id: socket.id,
            flow: socket.flow,
            netns: socket.netns,
            kind: Kind::Full,
            state: TcpState::Close,
            since: 0,
            requested: false,
            holder: NONE,
            born: socket.born,
            proto: socket.proto,
            peer: 0,
            namesake: NONE,
            deadline: 0,
            earlier: NONE,
            later: NONE,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.entries[slot as usize] = entry;
                slot
            }
            None if self.entries.len() < self.max => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
            None => return None,
        };
        self.by_id.insert(socket.id.0, slot);
        self.enlist(slot);
        Some(slot)
    }

    /// Enters a socket under its two ends, if it has both, and finds its peer.
    fn enlist(&mut self, slot: u32) {
        let Entry { id, flow, .. } = self[slot];
        if flow.local.port == 0 || flow.remote.port == 0 {
            return;
        }
        let first = self.by_ends.insert(self.key(&flow.local, &flow.remote), slot);
        self[slot].namesake = first.unwrap_or(NONE);
        if let Some(peer) = self.other_end(slot) {
            self[slot].peer = self[peer].id.0;
            self[peer].peer = id.0;
        }
    }

    /// The socket at the other end: of the same namespace or, unless the addresses are
    /// loopback's, the only one of any other.
    fn other_end(&self, slot: u32) -> Option<u32> {
        let Entry { flow, netns, .. } = self[slot];
        let first = *self.by_ends.get(&self.key(&flow.remote, &flow.local))?;
        let loopback = canonical(flow.local.addr).is_loopback();
        let (mut elsewhere, mut count) = (None, 0);
        let mut at = first;
        while at != NONE {
            let entry = &self[at];
            // Not itself: a socket can be connected to its own end.
            if at != slot
                && same(&entry.flow.local, &flow.remote)
                && same(&entry.flow.remote, &flow.local)
                && !matches!(entry.kind, Kind::Mini | Kind::Ended)
            {
                if entry.netns == netns {
                    return Some(at);
                }
                (elsewhere, count) = (Some(at), count + 1);
            }
            at = entry.namesake;
        }
        elsewhere.filter(|_| count == 1 && !loopback)
    }

    /// Two ends as one number: those of others can have it, too.
    fn key(&self, one: &Endpoint, other: &Endpoint) -> u64 {
        let mut mix = Mix(self.seed);
        for Endpoint { addr, port } in [one, other] {
            let bits = match addr {
                IpAddr::V4(addr) => addr.to_ipv6_mapped(),
                IpAddr::V6(addr) => *addr,
            };
            let bits = Ipv6Addr::to_bits(bits);
            mix.write_u64((bits >> 64) as u64 ^ u64::from(*port).rotate_left(48));
            mix.write_u64(bits as u64);
        }
        mix.finish()
    }

    /// Takes a socket's ends from an event: an active open has its port only then.
    pub fn meet(&mut self, slot: u32, flow: &Flow) {
        let known = self[slot].flow.local.port != 0 && self[slot].flow.remote.port != 0;
        if known {
            return;
        }
        self[slot].flow = *flow;
        self.enlist(slot);
    }

    /// A mini-socket with the ends of this socket, which is new: so it is over.
    pub fn namesake(&self, socket: &Socket) -> Option<u32> {
        let Socket { flow, netns, .. } = socket;
        let mut at = *self.by_ends.get(&self.key(&flow.local, &flow.remote))?;
        while at != NONE {
            let entry = &self[at];
            if entry.kind == Kind::Mini && entry.netns == *netns && entry.flow == *flow {
                return Some(at);
            }
            at = entry.namesake;
        }
        None
    }

    pub fn remove(&mut self, slot: u32) {
        self.unschedule(slot);
        self.release(slot);
        let Entry { id, flow, namesake, .. } = self[slot];
        if self.by_id.get(&id.0) == Some(&slot) {
            self.by_id.remove(&id.0);
        }
        if flow.local.port != 0 && flow.remote.port != 0 {
            self.strike(self.key(&flow.local, &flow.remote), slot, namesake);
        }
        self.free.push(slot);
    }

    /// Takes a socket from the list of those with its ends.
    fn strike(&mut self, key: u64, slot: u32, namesake: u32) {
        let Some(first) = self.by_ends.get(&key).copied() else { return };
        if first == slot {
            if namesake == NONE {
                self.by_ends.remove(&key);
            } else {
                self.by_ends.insert(key, namesake);
            }
            return;
        }
        let mut at = first;
        while at != NONE {
            let next = self[at].namesake;
            if next == slot {
                self[at].namesake = namesake;
                return;
            }
            at = next;
        }
    }

    /// Keeps who holds a socket beyond the event.
    pub fn hold(&mut self, socket: &Socket) -> u32 {
        let Socket { owner, opened_by, cgroup, .. } = socket;
        if let Some(holder) = self.holders.get_mut(self.recent as usize)
            && holder.count > 0
            && holder.owner == *owner
            && holder.opened_by == *opened_by
            && holder.cgroup == *cgroup
        {
            holder.count += 1;
            return self.recent;
        }
        let holder = Holder {
            owner: owner.clone(),
            opened_by: opened_by.clone(),
            cgroup: cgroup.clone(),
            count: 1,
        };
        self.recent = match self.free_holders.pop() {
            Some(at) => {
                self.holders[at as usize] = holder;
                at
            }
            None => {
                self.holders.push(holder);
                (self.holders.len() - 1) as u32
            }
        };
        self.recent
    }

    fn release(&mut self, slot: u32) {
        let at = std::mem::replace(&mut self[slot].holder, NONE);
        if let Some(holder) = self.holders.get_mut(at as usize) {
            holder.count -= 1;
            if holder.count == 0 {
                (holder.owner, holder.opened_by, holder.cgroup) = (None, None, None);
                self.free_holders.push(at);
            }
        }
    }

    /// The process that held it.
    pub fn pid(&self, slot: u32) -> Option<u32> {
        let holder = self.holders.get(self[slot].holder as usize)?;
        holder.owner.as_ref().map(|owner| owner.pid)
    }

    /// The socket as an event has it.
    pub fn describe(&self, slot: u32) -> Socket {
        let entry = &self[slot];
        let holder = self.holders.get(entry.holder as usize);
        Socket {
            id: entry.id,
            peer: entry.peer(),
            proto: entry.proto,
            flow: entry.flow,
            owner: holder.and_then(|holder| holder.owner.clone()),
            opened_by: holder.and_then(|holder| holder.opened_by.clone()),
            netns: entry.netns,
            cgroup: holder.and_then(|holder| holder.cgroup.clone()),
            born: entry.born,
        }
    }

    /// Gives a socket a deadline, in place of any that it has.
    pub fn schedule(&mut self, slot: u32, deadline: u64) {
        self.unschedule(slot);
        let first = deadline / WHILE;
        self.first_while = if self.scheduled == 0 { first } else { self.first_while.min(first) };
        self.scheduled += 1;
        let place = &mut self.places[place(deadline)];
        place.least = place.least.min(deadline);
        let later = std::mem::replace(&mut place.first, slot);
        let entry = &mut self.entries[slot as usize];
        (entry.deadline, entry.earlier, entry.later) = (deadline, NONE, later);
        if later != NONE {
            self[later].earlier = slot;
        }
    }

    pub fn unschedule(&mut self, slot: u32) {
        let Entry { deadline, earlier, later, .. } = self[slot];
        if deadline == 0 {
            return;
        }
        self[slot].deadline = 0;
        self.scheduled -= 1;
        if later != NONE {
            self[later].earlier = earlier;
        }
        if earlier == NONE {
            let place = &mut self.places[place(deadline)];
            place.first = later;
            if later == NONE {
                place.least = u64::MAX;
            }
        } else {
            self[earlier].later = later;
        }
    }

    /// No deadline is earlier than this.
    pub fn deadline(&mut self) -> Option<u64> {
        if self.scheduled == 0 {
            return None;
        }
        for turn in 0..PLACES as u64 {
            let at = self.first_while + turn;
            let place = self.places[at as usize % PLACES];
            if place.first != NONE && place.least / WHILE <= at {
                self.first_while = at;
                return Some(place.least);
            }
        }
        // All are a whole turn away or more.
        self.places.iter().filter(|place| place.first != NONE).map(|place| place.least).min()
    }

    /// Takes the deadlines that are over and appends their sockets.
    pub fn due(&mut self, now: u64, due: &mut Vec<u32>) {
        while let Some(least) = self.deadline()
            && least <= now
        {
            let number = place(least);
            let mut at = std::mem::replace(&mut self.places[number].first, NONE);
            self.places[number].least = u64::MAX;
            while at != NONE {
                let Entry { deadline, later, .. } = self[at];
                self[at].deadline = 0;
                self.scheduled -= 1;
                if deadline <= now {
                    due.push(at);
                } else {
                    self.schedule(at, deadline);
                }
                at = later;
            }
        }
    }
}

const fn place(deadline: u64) -> usize {
    (deadline / WHILE) as usize % PLACES
}

/// An IPv4 address as what it is, also in an IPv6 socket.
fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}

fn same(a: &Endpoint, b: &Endpoint) -> bool {
    a.port == b.port && canonical(a.addr) == canonical(b.addr)
}

/// A hash for keys that are unlike each other already: it is made for each event.
#[derive(Default)]
pub struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let product = u128::from(self.0 ^ number) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
