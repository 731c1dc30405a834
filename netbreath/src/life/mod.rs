//! The whole life of each connection, between decoding and delivery: what no event of the
//! kernel tells by itself, but the stream together with a look at the right moment does.
//!
//! - Half-open connections that come to nothing, and the end of TIME_WAIT and of FIN_WAIT2
//!   after the full socket is gone: each has its deadline, and is looked at then.
//! - The other end of a connection, where it is a socket of this machine, too.
//! - Transitions that cannot be (RFC 9293, section 3.3.2, and Linux's own rules): an event
//!   before them was lost, which is said.
//!
//! Events go in and come out in the order of their time. The stage calls no clock and no
//! operating system: [`Look`] does.

use std::collections::HashSet;

use netbreath_common::tcp::TcpState;

use crate::event::{Body, Event, HalfOpen, Proto, Seed, Socket, SocketId, State, Via};
use crate::source::gap;

pub mod legal;
mod socket;
mod wheel;

use socket::{Entry, Kind, Sockets};
pub use wheel::Wheel;

/// How long TIME_WAIT lasts: `TCP_TIMEWAIT_LEN`, which cannot be set.
pub const TIME_WAIT: u64 = 60 * SECOND;
/// `tcp_fin_timeout`, where a socket's own is not known: the kernel's default.
const FIN_TIMEOUT: u64 = 60 * SECOND;
/// When a request's first answer is sent again; each further wait is twice as long.
const SYN_ACK_TIMEOUT: u64 = SECOND;
/// `tcp_synack_retries`, where a listener's own is not known: the kernel's default.
const SYN_ACK_RETRIES: u32 = 5;
/// `TCP_RTO_MAX`.
const LONGEST_TIMEOUT: u64 = 120 * SECOND;
/// How long after its timer a mini-socket is looked at, so that the kernel has run it.
const GRACE: u64 = 20_000_000;
/// When something is looked at again that is still there though its time is over.
const AGAIN: u64 = SECOND;
const SECOND: u64 = 1_000_000_000;

/// What a source gives to the stage.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    Event(Event),
    /// The full socket is closed, by this event, and a mini-socket stands in its place.
    Shrunk(Event, Mini),
    /// The mini-socket of this id has had a packet, and is now in this state.
    Told {
        at: u64,
        id: SocketId,
        state: TcpState,
    },
}

impl Input {
    /// Nanoseconds since boot.
    pub const fn at(&self) -> u64 {
        match self {
            Input::Event(event) | Input::Shrunk(event, _) => event.at,
            Input::Told { at, .. } => *at,
        }
    }
}

/// What stands in the place of a full socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mini {
    /// TIME_WAIT, or FIN_WAIT2 where the peer's FIN has not come.
    pub state: TcpState,
    /// The kernel told so itself; else it follows from how the full socket was closed.
    pub via: Via,
    /// There may have been no room for it: to be looked for at once.
    pub in_doubt: bool,
    /// Nanoseconds that it waits for the peer's FIN, if known.
    pub timeout: Option<u64>,
}

/// Asks the operating system for sockets, now.
pub trait Look {
    /// Looks for sockets of one network namespace; appends an answer for each, in order.
    /// `pids` are processes that are, or were, in that namespace.
    fn look(
        &mut self,
        netns: Option<u32>,
        pids: &mut dyn Iterator<Item = u32>,
        asked: &[Asked],
        answers: &mut Vec<Answer>,
    );
}

/// A socket that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: SocketId,
    pub flow: crate::event::Flow,
}

/// What a look has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there, and its timer runs off in so many nanoseconds.
    There {
        state: TcpState,
        left: u64,
    },
    Gone,
    /// Nobody could look.
    Unknown,
}

/// What the stage does apart from passing events on.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The stream has every transition of each of its sockets, so that one that cannot
    /// be tells of a loss.
    pub complete: bool,
    /// From then on, in nanoseconds since boot, every hook was attached.
    pub start: u64,
    /// Requests are told.
    pub requests_told: bool,
    /// Packets to mini-sockets are told.
    pub minis_told: bool,
    /// States to show, as bits of [`TcpState::bit`]; 0 shows all.
    pub states: u32,
    /// Sockets to remember at most.
    pub max_sockets: usize,
    /// The kernel's timers, if known.
    pub wheel: Option<Wheel>,
}

/// The stage.
#[derive(Debug)]
pub struct Life {
    rules: Rules,
    /// Network namespaces with requests that may be older than the hooks.
    old_requests: HashSet<u32>,
    sockets: Sockets,
    /// Sockets that found no room, told in a gap up to `told`.
    evicted: u64,
    told: u64,
    /// The socket that was closed last, and its peer.
    closed: (SocketId, Option<SocketId>),
    due: Vec<u32>,
    asked: Vec<Asked>,
    answers: Vec<Answer>,
}

impl Life {
    pub fn new(rules: Rules) -> Life {
        Life {
            rules,
            old_requests: HashSet::new(),
            sockets: Sockets::new(rules.max_sockets),
            evicted: 0,
            told: 0,
            closed: (SocketId(0), None),
            due: Vec::new(),
            asked: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Requests are told, and none is older than the hooks but in these network namespaces.
    pub fn set_requests_told(&mut self, told: bool, old: HashSet<u32>) {
        self.rules.requests_told = told;
        self.old_requests = old;
    }

    /// The kernel's timers, as soon as they are known.
    pub const fn set_wheel(&mut self, wheel: Option<Wheel>) {
        self.rules.wheel = wheel;
    }

    /// Sockets that found no room so far.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes an input, and appends the events that it makes.
    pub fn apply(&mut self, input: Input, look: &mut impl Look, out: &mut Vec<Event>) {
        match input {
            Input::Event(mut event) => {
                self.pass(&mut event, out);
                out.push(event);
            }
            Input::Shrunk(event, mini) => self.shrink(event, mini, look, out),
            Input::Told { at, id, state } => self.told(at, id, state, out),
        }
    }

    fn pass(&mut self, event: &mut Event, out: &mut Vec<Event>) {
        let (at, via) = (event.at, event.via);
        if event.body.socket().is_some_and(|socket| socket.proto == Proto::Udp) {
            // It has neither a life of states nor one other end.
            return;
        }
        match &mut event.body {
            Body::State(state) => self.transition(at, state, out),
            Body::HalfOpen(half_open) => self.half_open(at, half_open, out),
            Body::Seed(Seed { socket, state, .. }) => {
                let slot = match self.sockets.find(socket.id) {
                    Some(slot) => Some(slot),
                    None => self.insert(at, socket, out),
                };
                if let Some(slot) = slot {
                    self.sockets[slot].state = *state;
                    socket.peer = self.sockets[slot].peer();
                }
            }
            body => {
                if let Some(socket) = body.socket_mut() {
                    if let Some(slot) = self.sockets.find(socket.id)
                        && matches!(self.sockets[slot].kind, Kind::Mini | Kind::Ended)
                    {
                        // The kernel knows no more of it than its ends.
                        *socket = Socket { flow: socket.flow, ..self.sockets.describe(slot) };
                    }
                    socket.peer = match self.sockets.find(socket.id) {
                        Some(slot) => self.sockets[slot].peer(),
                        // What is told of a connection when it is closed.
                        None if self.closed.0 == socket.id => self.closed.1,
                        None => None,
                    };
                }
            }
        }
        debug_assert_eq!((event.at, event.via), (at, via), "only the content is completed");
    }

    /// A transition of a full socket.
    fn transition(&mut self, at: u64, state: &mut State, out: &mut Vec<Event>) {
        let State { socket, old, new, .. } = state;
        let found = self.sockets.find(socket.id);
        self.judge(at, found, socket, *old, *new, out);
        let slot = match found {
            Some(slot) => slot,
            None if *new == TcpState::Close => return,
            None => match self.insert(at, socket, out) {
                Some(slot) => slot,
                None => return,
            },
        };
        if self.sockets[slot].kind == Kind::Request {
            // Its connection is made.
            self.sockets.unschedule(slot);
        }
        self.sockets.meet(slot, &socket.flow);
        if *old == TcpState::SynRecv
            && *new == TcpState::Established
            && socket.born
            && !self.sockets[slot].requested
        {
            self.cookie(at, slot, socket, out);
        }
        let entry = &mut self.sockets[slot];
        // An active open asks for no request.
        entry.requested |= *new == TcpState::SynSent;
        entry.kind = Kind::Full;
        entry.state = *new;
        entry.since = at;
        socket.peer = entry.peer();
        if *new == TcpState::Close {
            if *old == TcpState::LastAck {
                self.acknowledged(at, slot, out);
            }
            self.closed = (socket.id, socket.peer);
            self.sockets.remove(slot);
        }
    }

    /// A connection is made for which the kernel kept no request.
    fn cookie(&mut self, at: u64, slot: u32, socket: &Socket, out: &mut Vec<Event>) {
        let old = socket.netns.is_none_or(|netns| self.old_requests.contains(&netns));
        if !self.rules.requests_told || old || socket.proto != Proto::Tcp {
            return;
        }
        let socket = Socket { peer: self.sockets[slot].peer(), ..socket.clone() };
        let body = Body::HalfOpen(HalfOpen { socket, retries: None, syn_cookie: true });
        out.push(Event { at, via: Via::Inferred, body });
    }

    /// The last FIN of a connection was acknowledged: so the other end has it. Where no
    /// hook tells of packets to mini-sockets, this does.
    fn acknowledged(&mut self, at: u64, slot: u32, out: &mut Vec<Event>) {
        if self.rules.minis_told {
            return;
        }
        if let Some(peer) = self.sockets[slot].peer().and_then(|id| self.sockets.find(id))
            && self.sockets[peer].kind == Kind::Mini
            && self.sockets[peer].state == TcpState::FinWait2
        {
            self.time_wait(at, peer, Via::Inferred, true, out);
        }
    }

    /// A SYN came to a listener.
    fn half_open(&mut self, at: u64, half_open: &mut HalfOpen, out: &mut Vec<Event>) {
        let HalfOpen { socket, retries, .. } = half_open;
        if let Some(slot) = self.sockets.find(socket.id) {
            // It has its socket already: TCP Fast Open.
            let entry = &mut self.sockets[slot];
            entry.requested = true;
            socket.peer = entry.peer();
            return;
        }
        let Some(slot) = self.insert(at, socket, out) else { return };
        let holder = self.sockets.hold(socket);
        let entry = &mut self.sockets[slot];
        entry.kind = Kind::Request;
        entry.requested = true;
        entry.state = TcpState::SynRecv;
        entry.since = at;
        entry.holder = holder;
        socket.peer = entry.peer();
        let (mut deadline, mut timeout) = (at, SYN_ACK_TIMEOUT);
        for _ in 0..=retries.unwrap_or(SYN_ACK_RETRIES).min(64) {
            deadline = self.end_of(deadline, timeout);
            timeout = (timeout * 2).min(LONGEST_TIMEOUT);
        }
        self.sockets.schedule(slot, deadline + GRACE);
    }

    /// A full socket is closed and a mini-socket takes its place.
    fn shrink(&mut self, mut event: Event, mini: Mini, look: &mut impl Look, out: &mut Vec<Event>) {
        let at = event.at;
        let Body::State(state) = &mut event.body else { return out.push(event) };
        let State { socket, old, .. } = state;
        if mini.in_doubt && !self.exists(socket, look) {
            self.transition(at, state, out);
            return self.show(event, out);
        }
        let found = self.sockets.find(socket.id);
        self.judge(at, found, socket, *old, TcpState::Close, out);
        let Some(slot) = found.or_else(|| self.insert(at, socket, out)) else {
            // Its end will not be seen; without room for what comes of FIN_WAIT2, the full
            // socket's is all there is.
            if mini.state == TcpState::TimeWait {
                state.new = TcpState::TimeWait;
                event.via = mini.via;
            }
            return self.show(event, out);
        };
        self.sockets.meet(slot, &socket.flow);
        let holder = self.sockets.hold(socket);
        let entry = &mut self.sockets[slot];
        entry.kind = Kind::Mini;
        entry.holder = holder;
        socket.peer = entry.peer();
        if mini.state == TcpState::TimeWait {
            entry.state = TcpState::TimeWait;
            entry.since = at;
            self.sockets.schedule(slot, self.end_of(at, TIME_WAIT) + GRACE);
            state.new = TcpState::TimeWait;
            event.via = mini.via;
            self.show(event, out);
        } else {
            // The connection stays in FIN_WAIT2: there is nothing to show.
            entry.state = TcpState::FinWait2;
            let timeout = mini.timeout.unwrap_or(FIN_TIMEOUT);
            self.sockets.schedule(slot, self.end_of(at, timeout) + GRACE);
        }
    }

    /// A mini-socket has had a packet.
    fn told(&mut self, at: u64, id: SocketId, state: TcpState, out: &mut Vec<Event>) {
        let Some(slot) = self.sockets.find(id) else { return };
        let entry = &self.sockets[slot];
        if entry.kind != Kind::Mini {
            return;
        }
        match (entry.state, state) {
            (TcpState::FinWait2, TcpState::TimeWait) => {
                self.time_wait(at, slot, Via::Kernel, true, out);
            }
            (_, TcpState::Close) => {
                let event = self.mini_event(at, slot, TcpState::Close, Via::Kernel, true);
                self.show(event, out);
                // What else is told of the packet that ended it comes after this.
                let entry = &mut self.sockets[slot];
                (entry.kind, entry.state) = (Kind::Ended, TcpState::Close);
                self.sockets.schedule(slot, at + GRACE);
            }
            // A packet can have put the end off: the look at the deadline will tell.
            _ => {}
        }
    }

    /// The peer's FIN has come to a mini-socket in FIN_WAIT2. `exact`: now.
    fn time_wait(&mut self, at: u64, slot: u32, via: Via, exact: bool, out: &mut Vec<Event>) {
        let event = self.mini_event(at, slot, TcpState::TimeWait, via, exact);
        let entry = &mut self.sockets[slot];
        entry.state = TcpState::TimeWait;
        entry.since = if exact { at } else { 0 };
        let deadline = self.end_of(at, TIME_WAIT) + GRACE;
        self.sockets.schedule(slot, deadline);
        self.show(event, out);
    }

    /// A request or a mini-socket is over.
    fn end(&mut self, at: u64, slot: u32, via: Via, exact: bool, out: &mut Vec<Event>) {
        let event = self.mini_event(at, slot, TcpState::Close, via, exact);
        self.sockets.remove(slot);
        self.show(event, out);
    }

    fn mini_event(&self, at: u64, slot: u32, new: TcpState, via: Via, exact: bool) -> Event {
        let entry = &self.sockets[slot];
        let since = (exact && entry.since != 0).then_some(entry.since);
        let state = State {
            socket: self.sockets.describe(slot),
            old: entry.state,
            new,
            in_state: since.map(|since| at.saturating_sub(since)),
        };
        Event { at, via, body: Body::State(state) }
    }

    /// Passes a transition of this stage's own on, if its states are asked for.
    fn show(&self, event: Event, out: &mut Vec<Event>) {
        let asked = match &event.body {
            Body::State(State { old, new, .. }) => {
                self.rules.states == 0 || self.rules.states & (old.bit() | new.bit()) != 0
            }
            _ => true,
        };
        if asked {
            out.push(event);
        }
    }

    /// A socket that was not known. What had its two ends before is over.
    fn insert(&mut self, at: u64, socket: &Socket, out: &mut Vec<Event>) -> Option<u32> {
        while let Some(slot) = self.sockets.namesake(socket) {
            self.end(at, slot, Via::Inferred, true, out);
        }
        let slot = self.sockets.insert(socket);
        if slot.is_none() {
            self.evicted += 1;
        }
        slot
    }

    /// Says so if this transition cannot be.
    fn judge(
        &self,
        at: u64,
        found: Option<u32>,
        socket: &Socket,
        old: TcpState,
        new: TcpState,
        out: &mut Vec<Event>,
    ) {
        if !self.rules.complete {
            return;
        }
        let last = match found {
            Some(slot) if self.sockets[slot].kind == Kind::Request => {
                // What came of it while not all hooks were attached, was not seen.
                if self.sockets[slot].since < self.rules.start {
                    return;
                }
                Some(TcpState::Listen)
            }
            Some(slot) => Some(self.sockets[slot].state),
            // Joined late, or forgotten by us.
            None if !socket.born || self.evicted > 0 => return,
            None => None,
        };
        if let Some(what) = legal::fault(socket, last, old, new) {
            out.push(Event { at, via: Via::Inferred, body: Body::Gap(gap::illegal(what)) });
        }
    }

    /// When a timer runs off that is set now.
    fn end_of(&self, at: u64, timeout: u64) -> u64 {
        match self.rules.wheel {
            Some(wheel) => wheel.end_of(at, timeout),
            None => at + timeout + Wheel::COARSEST,
        }
    }

    /// Whether a mini-socket was made, asked at once. One that nobody could look for is not
    /// claimed.
    fn exists(&mut self, socket: &Socket, look: &mut impl Look) -> bool {
        let asked = [Asked { id: socket.id, flow: socket.flow }];
        self.answers.clear();
        let mut pids = socket.owner.iter().map(|owner| owner.pid);
        look.look(socket.netns, &mut pids, &asked, &mut self.answers);
        matches!(self.answers.first(), Some(Answer::There { .. }))
    }

    /// When [`Life::tick`] has something to do next.
    pub fn deadline(&mut self) -> Option<u64> {
        if self.evicted > self.told {
            return Some(0);
        }
        self.sockets.deadline()
    }

    /// Looks at what is due by `now`, and appends what became of it.
    pub fn tick(&mut self, now: u64, look: &mut impl Look, out: &mut Vec<Event>) {
        if self.evicted > self.told {
            let body = Body::Gap(gap::forgotten(self.evicted - self.told));
            self.told = self.evicted;
            out.push(Event { at: now, via: Via::Inferred, body });
        }
        let mut due = std::mem::take(&mut self.due);
        self.sockets.due(now, &mut due);
        due.retain(|slot| {
            let over = self.sockets[*slot].kind == Kind::Ended;
            if over {
                self.sockets.remove(*slot);
            }
            !over
        });
        // One look for each namespace.
        due.sort_by_key(|slot| self.sockets[*slot].netns);
        let mut rest = &*due;
        while let Some(first) = rest.first() {
            let netns = self.sockets[*first].netns;
            let len = rest.partition_point(|slot| self.sockets[*slot].netns <= netns);
            let (group, others) = rest.split_at(len);
            self.look(now, group, look, out);
            rest = others;
        }
        due.clear();
        self.due = due;
    }

    fn look(&mut self, now: u64, group: &[u32], look: &mut impl Look, out: &mut Vec<Event>) {
        let Life { sockets, asked, answers, .. } = self;
        asked.clear();
        answers.clear();
        asked.extend(group.iter().map(|slot| {
            let Entry { id, flow, .. } = sockets[*slot];
            Asked { id, flow }
        }));
        let netns = group.first().and_then(|slot| sockets[*slot].netns);
        let mut pids = group.iter().filter_map(|slot| sockets.pid(*slot));
        look.look(netns, &mut pids, asked, answers);
        for (i, slot) in group.iter().enumerate() {
            let answer = self.answers.get(i).copied().unwrap_or(Answer::Unknown);
            self.answered(now, *slot, answer, out);
        }
    }

    fn answered(&mut self, now: u64, slot: u32, answer: Answer, out: &mut Vec<Event>) {
        let Entry { kind, state, .. } = self.sockets[slot];
        match answer {
            // A request can have been over for long: an RST is not seen.
            Answer::Gone => self.end(now, slot, Via::Timer, kind == Kind::Mini, out),
            Answer::Unknown => self.end(now, slot, Via::Inferred, kind == Kind::Mini, out),
            Answer::There { state: there, left } => {
                if there == TcpState::TimeWait && state == TcpState::FinWait2 {
                    self.time_wait(now, slot, Via::Timer, false, out);
                }
                let end = match (left, self.rules.wheel) {
                    (0, _) => now + AGAIN,
                    (left, Some(wheel)) => {
                        let timeout = if kind == Kind::Mini { TIME_WAIT } else { left };
                        wheel.end_at(now + left, timeout) + GRACE
                    }
                    (left, None) => now + left + Wheel::COARSEST,
                };
                self.sockets.schedule(slot, end);
            }
        }
    }
}

#[cfg(test)]
mod tests;
