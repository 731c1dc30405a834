//! Connections with their past: since when they are in their state, who has owned them,
//! what happened to them. Only where somebody asks for it: a trace does not.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use netbreath_common::tcp::TcpState;

use crate::event::{
    Body, Closed, Comm, Errno, Event, Flow, How, Owner, Proto, Segment, Socket, SocketId,
};

/// How much is remembered. With nothing, nothing costs anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Connections that are not over, and listeners.
    pub open: usize,
    /// Those that are over, the latest.
    pub ended: usize,
    /// Steps in the life of each: its first ones and its latest.
    pub steps: usize,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    limits: Limits,
    rows: HashMap<SocketId, Connection>,
    /// Those that are over, in the order of their ends.
    ended: VecDeque<SocketId>,
    /// How many are in each state.
    states: [u32; TcpState::ALL.len()],
    evicted: u64,
    owners: HashMap<u32, Tally>,
}

/// What a process's connections have gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub opened: u64,
    pub failed: u64,
    pub retransmits: u64,
    pub resets: u64,
}

/// A connection or a listener.
#[derive(Clone, Debug)]
pub struct Connection {
    pub id: SocketId,
    pub proto: Proto,
    pub flow: Flow,
    pub state: TcpState,
    /// When it came into its state, in nanoseconds since boot; for one that was there
    /// before the source, when the source began.
    pub since: u64,
    /// When it was first told of.
    pub opened: u64,
    /// It was seen from its first transition on.
    pub born: bool,
    pub owner: Option<Owner>,
    pub opened_by: Option<Owner>,
    pub peer: Option<SocketId>,
    pub netns: Option<u32>,
    pub cgroup: Option<crate::event::Cgroup>,
    /// Segments that were sent again, as the kernel counts them.
    pub retransmits: u32,
    /// Packets of it that the kernel threw away.
    pub drops: u32,
    /// It is established, and nobody has accepted it yet.
    pub waits: bool,
    /// It is over, since then.
    pub ended: Option<u64>,
    pub steps: Vec<Step>,
    /// Steps that are not in `steps` any more, from its middle.
    pub left_out: u32,
}

/// Something that happened in the life of a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub at: u64,
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// It was there before the source.
    Found(TcpState),
    /// A SYN came for it; or its cookie came back.
    Syn {
        cookie: bool,
    },
    State {
        old: TcpState,
        new: TcpState,
    },
    Accept {
        queued: Option<u64>,
    },
    /// It changed hands.
    Owner {
        from: Option<(u32, Comm)>,
        to: Option<(u32, Comm)>,
    },
    Retransmit {
        segment: Segment,
        count: u32,
        bytes: u32,
    },
    Reset {
        received: bool,
        reason: Option<Arc<str>>,
    },
    Drop {
        reason: Option<Arc<str>>,
    },
    Failed {
        error: Option<Errno>,
        syns: u32,
    },
    Closed(Box<Closed>),
}

/// Steps from the beginning that stay, whatever comes.
const FIRST_STEPS: usize = 16;
/// Processes that are tallied; further ones are not.
const TALLIES: usize = 4096;

impl Connections {
    pub fn new(limits: Limits) -> Connections {
        Connections { limits, ..Connections::default() }
    }

    pub fn get(&self, id: SocketId) -> Option<&Connection> {
        self.rows.get(&id)
    }

    /// All that are remembered, those that are over among them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.rows.values()
    }

    /// How many are not over.
    pub fn open(&self) -> usize {
        self.rows.len() - self.ended.len()
    }

    /// How many are in each state: 0 is for the first of [`TcpState::ALL`].
    pub const fn states(&self) -> &[u32; TcpState::ALL.len()] {
        &self.states
    }

    /// Sockets that found no room.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What became of the connections of this process.
    pub fn tally(&self, pid: u32) -> Tally {
        self.owners.get(&pid).copied().unwrap_or_default()
    }

    pub(super) fn apply(&mut self, event: &Event) {
        if self.limits.open == 0 {
            return;
        }
        let at = event.at;
        match &event.body {
            Body::Seed(seed) => self.enter(at, &seed.socket, seed.state, What::Found(seed.state)),
            Body::HalfOpen(half_open) => {
                let what = What::Syn { cookie: half_open.syn_cookie };
                self.enter(at, &half_open.socket, TcpState::SynRecv, what);
            }
            Body::State(state) => {
                let what = What::State { old: state.old, new: state.new };
                if matches!(state.new, TcpState::SynSent)
                    || state.new == TcpState::Established && state.old == TcpState::SynRecv
                {
                    self.tally_of(&state.socket, |tally| tally.opened += 1);
                }
                if state.new == TcpState::Close {
                    self.end(at, &state.socket, state.old, what);
                } else {
                    self.enter(at, &state.socket, state.new, what);
                    let passive = state.old == TcpState::SynRecv;
                    if let Some(row) = self.rows.get_mut(&state.socket.id) {
                        let taken = row.owner.as_ref().is_some_and(|o| o.how != How::Inherited);
                        match state.new {
                            TcpState::Established => row.waits = passive && !taken,
                            // With the peer's FIN it still waits; what we end does not.
                            TcpState::CloseWait => {}
                            _ => row.waits = false,
                        }
                    }
                }
            }
            Body::Accept(accept) => {
                let what = What::Accept { queued: accept.queued };
                self.note(at, &accept.socket, what, |row| row.waits = false);
            }
            Body::Owner(handover) => {
                let brief = |owner: &Option<Owner>| owner.as_ref().map(|o| (o.pid, o.comm));
                let what =
                    What::Owner { from: brief(&handover.from), to: brief(&handover.socket.owner) };
                self.note(at, &handover.socket, what, |row| row.waits = false);
            }
            Body::ConnectFailed(failed) => {
                let what = What::Failed { error: failed.error, syns: failed.syns };
                self.tally_of(&failed.socket, |tally| tally.failed += 1);
                self.note(at, &failed.socket, what, |_| {});
            }
            Body::Closed(closed) => {
                let what = What::Closed(closed.clone());
                self.note(at, &closed.socket, what, |row| {
                    if let Some(traffic) = closed.traffic {
                        row.retransmits = traffic.retransmits;
                    }
                });
            }
            Body::Retransmit(retransmit) => {
                let what = What::Retransmit {
                    segment: retransmit.segment,
                    count: retransmit.count,
                    bytes: retransmit.bytes,
                };
                self.tally_of(&retransmit.socket, |tally| tally.retransmits += 1);
                self.note(at, &retransmit.socket, what, |row| {
                    row.retransmits = row.retransmits.max(retransmit.count);
                });
            }
            Body::Reset(reset) => {
                let what = What::Reset { received: reset.received, reason: reset.reason.clone() };
                self.tally_of(&reset.socket, |tally| tally.resets += 1);
                self.note(at, &reset.socket, what, |_| {});
            }
            Body::Drop(drop) => {
                let what = What::Drop { reason: drop.reason.clone() };
                self.note(at, &drop.socket, what, |row| row.drops += 1);
            }
            Body::Udp(_)
            | Body::Dns(_)
            | Body::Unix(_)
            | Body::Exec(_)
            | Body::Fork(_)
            | Body::Exit(_)
            | Body::Link(_)
            | Body::Address(_)
            | Body::Route(_)
            | Body::Neighbour(_)
            | Body::Clock { .. }
            | Body::Gap(_) => {}
        }
    }

    /// `socket` is in `state` now.
    fn enter(&mut self, at: u64, socket: &Socket, state: TcpState, what: What) {
        let steps = self.limits.steps;
        if let Some(row) = self.rows.get_mut(&socket.id) {
            if row.ended.is_none() {
                self.states[row.state as usize - 1] -= 1;
            } else {
                // A socket that is used again: listeners do that.
                self.ended.retain(|id| *id != socket.id);
                row.ended = None;
            }
            self.states[state as usize - 1] += 1;
            if row.state != state {
                row.since = at;
            }
            row.state = state;
            row.learn(socket);
            row.step(steps, at, what);
            return;
        }
        if self.open() >= self.limits.open {
            self.evicted += 1;
            return;
        }
        self.states[state as usize - 1] += 1;
        let mut row = Connection {
            id: socket.id,
            proto: socket.proto,
            flow: socket.flow,
            state,
            since: at,
            opened: at,
            born: socket.born,
            owner: None,
            opened_by: None,
            peer: None,
            netns: socket.netns,
            cgroup: None,
            retransmits: 0,
            drops: 0,
            waits: false,
            ended: None,
            steps: Vec::new(),
            left_out: 0,
        };
        row.learn(socket);
        row.step(steps, at, what);
        self.rows.insert(socket.id, row);
    }

    /// `socket` is closed.
    fn end(&mut self, at: u64, socket: &Socket, old: TcpState, what: What) {
        if !self.rows.contains_key(&socket.id) {
            // Its whole life was not seen, but its end is news.
            self.enter(at, socket, old, what.clone());
        }
        let steps = self.limits.steps;
        let Some(row) = self.rows.get_mut(&socket.id) else { return };
        if row.ended.is_some() {
            return;
        }
        self.states[row.state as usize - 1] -= 1;
        row.state = TcpState::Close;
        row.since = at;
        row.ended = Some(at);
        row.waits = false;
        let flow = row.flow;
        row.learn(socket);
        // At its end, a socket may have let go of its port.
        if row.flow.local.port == 0 {
            row.flow = flow;
        }
        if row.steps.last().is_none_or(|step| step.at != at || step.what != what) {
            row.step(steps, at, what);
        }
        self.ended.push_back(socket.id);
        while self.ended.len() > self.limits.ended {
            if let Some(id) = self.ended.pop_front() {
                self.rows.remove(&id);
            }
        }
    }

    /// Notes something that changes no state.
    fn note(&mut self, at: u64, socket: &Socket, what: What, change: impl FnOnce(&mut Connection)) {
        if let Some(row) = self.rows.get_mut(&socket.id) {
            row.learn(socket);
            row.step(self.limits.steps, at, what);
            change(row);
        }
    }

    fn tally_of(&mut self, socket: &Socket, add: impl FnOnce(&mut Tally)) {
        let Some(owner) = &socket.owner else { return };
        if self.owners.len() < TALLIES || self.owners.contains_key(&owner.pid) {
            add(self.owners.entry(owner.pid).or_default());
        }
    }
}

impl Connection {
    /// What the kernel said at its end.
    pub fn closed(&self) -> Option<&Closed> {
        self.steps.iter().rev().find_map(|step| match &step.what {
            What::Closed(closed) => Some(&**closed),
            _ => None,
        })
    }

    /// What an event says of the socket. One that does not know something does not take
    /// it away.
    fn learn(&mut self, socket: &Socket) {
        self.flow = socket.flow;
        if socket.owner.is_some() {
            self.owner.clone_from(&socket.owner);
        }
        if socket.opened_by.is_some() {
            self.opened_by.clone_from(&socket.opened_by);
        }
        if socket.cgroup.is_some() {
            self.cgroup.clone_from(&socket.cgroup);
        }
        self.peer = socket.peer.or(self.peer);
        self.netns = socket.netns.or(self.netns);
    }

    fn step(&mut self, most: usize, at: u64, what: What) {
        if most == 0 {
            return;
        }
        if self.steps.len() >= most {
            self.steps.remove(FIRST_STEPS.min(most - 1));
            self.left_out += 1;
        }
        self.steps.push(Step { at, what });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Endpoint, Family, State, Via};

    fn event(at: u64, id: u64, old: TcpState, new: TcpState) -> Event {
        let end = |port| Endpoint { addr: [127, 0, 0, 1].into(), port };
        let socket = Socket {
            id: SocketId(id),
            peer: None,
            proto: Proto::Tcp,
            flow: Flow { family: Family::V4, local: end(1), remote: end(2) },
            owner: None,
            opened_by: None,
            netns: None,
            cgroup: None,
            born: true,
        };
        let body = Body::State(State { socket, old, new, in_state: None });
        Event { at, via: Via::Kernel, body }
    }

    #[test]
    fn states_are_counted_and_the_latest_ends_are_remembered() {
        use TcpState::{Close, Established, SynSent};
        let mut all = Connections::new(Limits { open: 10, ended: 1, steps: 4 });
        for id in 1..=3 {
            all.apply(&event(10, id, Close, SynSent));
            all.apply(&event(20, id, SynSent, Established));
        }
        assert_eq!(all.states()[Established as usize - 1], 3);
        assert_eq!(all.states()[SynSent as usize - 1], 0);
        all.apply(&event(30, 1, Established, Close));
        all.apply(&event(31, 2, Established, Close));
        assert_eq!((all.open(), all.iter().count()), (1, 2));
        assert!(all.get(SocketId(1)).is_none());
        let second = all.get(SocketId(2)).unwrap();
        assert_eq!((second.ended, second.since, second.opened), (Some(31), 31, 10));
        assert_eq!(second.steps.len(), 3);
        assert_eq!(all.states().iter().sum::<u32>(), 1);
    }

    #[test]
    fn steps_and_rows_are_bounded() {
        use TcpState::{CloseWait, Established};
        let mut all = Connections::new(Limits { open: 1, ended: 0, steps: 20 });
        for turn in 0..50 {
            let (old, new) =
                if turn % 2 == 0 { (CloseWait, Established) } else { (Established, CloseWait) };
            all.apply(&event(turn, 1, old, new));
        }
        all.apply(&event(60, 2, CloseWait, Established));
        assert_eq!(all.evicted(), 1);
        let row = all.get(SocketId(1)).unwrap();
        assert_eq!((row.steps.len(), row.left_out), (20, 30));
        assert_eq!((row.steps[0].at, row.steps[15].at, row.steps[19].at), (0, 15, 49));
        all.apply(&event(70, 1, CloseWait, TcpState::Close));
        assert_eq!(all.iter().count(), 0);
    }
}
