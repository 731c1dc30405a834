//! What is true now, made from events by one mutator. Tables call no clock and no
//! OS, so that a replay makes the same tables as the live run did.

use std::collections::HashMap;

use netbreath_common::tcp::TcpState;

pub mod connection;
pub mod file;
mod network;
pub mod recorded;
pub mod socket;
pub use network::Network;

use connection::{Connections, Limits};

use crate::event::{
    Body, Event, Flow, HalfOpen, Owner, Proto, Seed, Socket, SocketId, State, UdpWhat, Unix,
    UnixWhat,
};

/// What the events so far amount to.
#[derive(Clone, Debug)]
pub struct Tables {
    sockets: HashMap<SocketId, Row>,
    /// UNIX sockets, each as the last event told of it.
    unix: HashMap<SocketId, UnixRow>,
    max_sockets: usize,
    connections: Connections,
    network: Network,
    counts: Counts,
}

/// A socket that is not closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub proto: Proto,
    pub state: TcpState,
    pub flow: Flow,
    pub owner: Option<Owner>,
    /// Its descriptor in the owner, where that is known.
    pub fd: Option<u32>,
    pub netns: Option<u32>,
    pub born: bool,
}

/// A UNIX socket that is not closed.
#[derive(Clone, Debug, PartialEq)]
pub struct UnixRow {
    pub state: TcpState,
    pub unix: Unix,
}

/// How many events of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub seeds: u64,
    pub half_opens: u64,
    pub states: u64,
    pub accepts: u64,
    pub owners: u64,
    /// What else happened to connections.
    pub details: u64,
    /// Processes that began, became another program or ended.
    pub processes: u64,
    /// Changes of interfaces, addresses, routes and neighbours.
    pub network: u64,
    pub gaps: u64,
    /// Events that gaps say are missing.
    pub missing: u64,
    /// Sockets that found no room in the table.
    pub evicted: u64,
}

impl Counts {
    /// Events of connections that happened while we watched.
    pub const fn events(&self) -> u64 {
        self.half_opens + self.states + self.accepts + self.owners + self.details
    }
}

impl Tables {
    /// Tables for at most `max_sockets` sockets.
    pub fn new(max_sockets: usize) -> Tables {
        Tables {
            sockets: HashMap::new(),
            unix: HashMap::new(),
            max_sockets,
            connections: Connections::default(),
            network: Network::new(max_sockets),
            counts: Counts::default(),
        }
    }

    /// The same, which remember connections with their past.
    pub fn remembering(max_sockets: usize, limits: Limits) -> Tables {
        Tables { connections: Connections::new(limits), ..Tables::new(max_sockets) }
    }

    pub fn apply(&mut self, event: &Event) {
        self.connections.apply(event);
        match &event.body {
            Body::Seed(Seed { socket, state, fd }) => {
                self.counts.seeds += 1;
                self.set(socket, *state);
                if let Some(row) = self.sockets.get_mut(&socket.id) {
                    row.fd = Some(*fd);
                }
            }
            Body::HalfOpen(HalfOpen { socket, .. }) => {
                self.counts.half_opens += 1;
                self.set(socket, TcpState::SynRecv);
            }
            Body::State(State { socket, new, .. }) => {
                self.counts.states += 1;
                match new {
                    TcpState::Close => drop(self.sockets.remove(&socket.id)),
                    new => self.set(socket, *new),
                }
            }
            Body::Accept(accept) => {
                self.counts.accepts += 1;
                // A connection can be closed before it is accepted: then it is no
                // longer here, and must not come back.
                if let Some(row) = self.sockets.get_mut(&accept.socket.id)
                    && accept.socket.owner.is_some()
                {
                    row.owner.clone_from(&accept.socket.owner);
                    row.fd = accept.fd;
                }
            }
            Body::Owner(handover) => {
                self.counts.owners += 1;
                if let Some(row) = self.sockets.get_mut(&handover.socket.id) {
                    row.owner.clone_from(&handover.socket.owner);
                    row.fd = None;
                }
            }
            Body::Gap(gap) => {
                self.counts.gaps += 1;
                self.counts.missing = self.counts.missing.saturating_add(gap.count);
            }
            // The transition to CLOSE comes too.
            Body::ConnectFailed(_)
            | Body::Closed(_)
            | Body::Retransmit(_)
            | Body::Reset(_)
            | Body::Drop(_) => self.counts.details += 1,
            Body::Udp(udp) => {
                self.counts.details += 1;
                match udp.what {
                    UdpWhat::Close => drop(self.sockets.remove(&udp.socket.id)),
                    // As `ss` has it: a state of its own has none of them.
                    UdpWhat::Connect => self.set(&udp.socket, TcpState::Established),
                    UdpWhat::Bind => self.set(&udp.socket, TcpState::Close),
                    UdpWhat::Send | UdpWhat::Receive => {
                        let row = self.sockets.get(&udp.socket.id);
                        let state = row.map_or(TcpState::Close, |row| row.state);
                        self.set(&udp.socket, state);
                    }
                }
            }
            Body::Dns(_) => self.counts.details += 1,
            Body::Unix(unix) => {
                self.counts.details += 1;
                self.unix(unix);
            }
            Body::Exec(_) | Body::Fork(_) | Body::Exit(_) => self.counts.processes += 1,
            Body::Link(changed) => {
                self.counts.network += changed.change.counts();
                self.network.link(changed);
            }
            Body::Address(changed) => {
                self.counts.network += changed.change.counts();
                self.network.address(changed);
            }
            Body::Route(changed) => {
                self.counts.network += changed.change.counts();
                self.network.route(changed);
            }
            Body::Neighbour(changed) => {
                self.counts.network += changed.change.counts();
                self.network.neighbour(changed);
            }
            Body::Clock { .. } => {}
        }
    }

    /// Interfaces, addresses, routes and neighbours.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// Notes what `socket` is now.
    fn set(&mut self, socket: &Socket, state: TcpState) {
        let Socket { id, proto, flow, owner, netns, born, .. } = socket;
        if let Some(row) = self.sockets.get_mut(id) {
            row.state = state;
            row.flow = *flow;
            // An event that does not know the owner does not take it away.
            if owner.is_some() && row.owner != *owner {
                row.owner.clone_from(owner);
            }
        } else if self.sockets.len() < self.max_sockets {
            let row = Row {
                proto: *proto,
                state,
                flow: *flow,
                owner: owner.clone(),
                fd: None,
                netns: *netns,
                born: *born,
            };
            self.sockets.insert(*id, row);
        } else {
            self.counts.evicted += 1;
        }
    }

    /// Notes what a UNIX socket is now.
    fn unix(&mut self, unix: &Unix) {
        let before = self.unix.get(&unix.id).map(|row| row.state);
        let state = match unix.what {
            UnixWhat::Close => return drop(self.unix.remove(&unix.id)),
            UnixWhat::Listen => TcpState::Listen,
            UnixWhat::Connect | UnixWhat::Accept => TcpState::Established,
            UnixWhat::Bind => TcpState::Close,
            UnixWhat::Seed if unix.peer.is_some() => TcpState::Established,
            UnixWhat::Seed | UnixWhat::Owner => before.unwrap_or(TcpState::Close),
        };
        if before.is_none() && self.unix.len() >= self.max_sockets {
            self.counts.evicted += 1;
            return;
        }
        let mut row = UnixRow { state, unix: unix.clone() };
        if let Some(before) = self.unix.get_mut(&unix.id) {
            // What an event does not tell stays as it was.
            row.unix.path = row.unix.path.or_else(|| before.unix.path.take());
            row.unix.peer = row.unix.peer.or(before.unix.peer);
        }
        self.unix.insert(unix.id, row);
    }

    /// The UNIX sockets that are not closed.
    pub const fn unix_sockets(&self) -> &HashMap<SocketId, UnixRow> {
        &self.unix
    }

    /// Connections with their past, as far as they are remembered.
    pub const fn connections(&self) -> &Connections {
        &self.connections
    }

    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// How many sockets are open: in TIME_WAIT, none is.
    pub fn open(&self) -> usize {
        self.sockets.values().filter(|row| row.state != TcpState::TimeWait).count()
    }

    /// The sockets that are not closed.
    pub const fn sockets(&self) -> &HashMap<SocketId, Row> {
        &self.sockets
    }
}
