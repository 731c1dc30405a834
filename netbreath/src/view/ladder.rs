//! A connection as a ladder: two life lines, the states of the sockets at them, and the
//! segments between.

use std::collections::HashMap;
use std::net::SocketAddr;

use netbreath_common::tcp::TcpState;
use unicode_width::UnicodeWidthStr;

use crate::event::segment::{Moment, Segment};
use crate::event::{Body, Event, Socket, SocketId, Via};
use crate::format::put_name;

/// A connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder {
    pub left: End,
    pub right: End,
    /// In the order of their time.
    pub rungs: Vec<Rung>,
}

/// A socket at an end of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub address: SocketAddr,
    /// Name and pid of its process, if known.
    pub process: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Nanoseconds since boot.
    pub at: u64,
    pub what: What,
    /// Which of the moments it was.
    pub moment: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// At one of the ends.
    Here { side: Side, text: String, state: Option<TcpState> },
    /// Between them.
    Segment { to: Side, text: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    Left,
    Right,
}

/// Two ends, in the order of their ports and addresses: a connection in both directions.
type Key = (SocketAddr, SocketAddr);

fn key(one: SocketAddr, other: SocketAddr) -> Key {
    let order = |end: &SocketAddr| (end.port(), end.ip());
    if order(&one) <= order(&other) { (one, other) } else { (other, one) }
}

/// An address of IPv4 as such, even if the socket is one of IPv6.
fn plain(endpoint: crate::event::Endpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr.to_canonical(), endpoint.port)
}

/// The connections in what was seen, in the order in which they began. Who sent the first SYN
/// is at the left.
pub fn ladders(moments: &[Moment]) -> Vec<Ladder> {
    let mut ordered: Vec<(usize, &Moment)> = moments.iter().enumerate().collect();
    ordered.sort_by_key(|(_, moment)| moment.at());
    let mut keys: HashMap<SocketId, Key> = HashMap::new();
    let mut found: Vec<Building> = Vec::new();
    // Ends are complete only after the first transition: look for them beforehand.
    for (_, moment) in &ordered {
        if let Moment::Event(event) = moment
            && let Some(socket) = event.body.socket()
        {
            let (local, remote) = (plain(socket.flow.local), plain(socket.flow.remote));
            let whole = local.port() != 0 && remote.port() != 0 && !local.ip().is_unspecified();
            if whole && socket.id.0 != 0 {
                keys.entry(socket.id).or_insert_with(|| key(local, remote));
            }
        }
    }
    for (place, moment) in &ordered {
        match moment {
            Moment::Segment(segment) => {
                let key = key(segment.from, segment.to);
                building(&mut found, key, segment.from).segment(*place, segment);
            }
            Moment::Event(event) => {
                let Some(socket) = event.body.socket() else { continue };
                let Some(key) = keys.get(&socket.id).copied() else { continue };
                let local = local_of(socket, key);
                // The first that is seen of a connection is its client's doing, or comes from
                // a listener.
                let client = match &event.body {
                    Body::HalfOpen(_) => other_of(key, local),
                    Body::State(state) if state.old == TcpState::Listen => other_of(key, local),
                    _ => local,
                };
                building(&mut found, key, client).event(*place, event, socket, local);
            }
        }
    }
    found.into_iter().map(|building| building.ladder).collect()
}

/// Which of the two is the socket's own. At its end, it may know no address any more.
fn local_of(socket: &Socket, key: Key) -> SocketAddr {
    let local = plain(socket.flow.local);
    if key.0.port() == local.port() && (key.1.port() != local.port() || key.0.ip() == local.ip()) {
        key.0
    } else if key.1.port() == local.port() {
        key.1
    } else {
        // A socket without a port has a peer still.
        other_of(key, plain(socket.flow.remote))
    }
}

fn other_of(key: Key, end: SocketAddr) -> SocketAddr {
    if key.0 == end { key.1 } else { key.0 }
}

fn building(found: &mut Vec<Building>, key: Key, client: SocketAddr) -> &mut Building {
    let place = found.iter().position(|building| building.key == key).unwrap_or_else(|| {
        let end = |address| End { address, process: None };
        let (left, right) = (end(client), end(other_of(key, client)));
        let ladder = Ladder { left, right, rungs: Vec::new() };
        found.push(Building { key, ladder, first: HashMap::new() });
        found.len() - 1
    });
    &mut found[place]
}

struct Building {
    key: Key,
    ladder: Ladder,
    /// Initial sequence numbers, by who sends.
    first: HashMap<SocketAddr, u32>,
}

impl Building {
    fn segment(&mut self, moment: usize, segment: &Segment) {
        let Segment { from, to, flags, seq, ack, len, .. } = segment;
        if segment.has('S') {
            self.first.insert(*from, *seq);
        }
        let relative = |number: u32, of: &SocketAddr| {
            number.wrapping_sub(self.first.get(of).copied().unwrap_or(number))
        };
        let mut text = format!("[{flags}]");
        let begin = relative(*seq, from);
        match *len {
            0 if segment.has('S') || segment.has('F') => text.push_str(&format!(" seq {begin}")),
            0 => {}
            len => text.push_str(&format!(" seq {begin}:{}", begin.wrapping_add(len))),
        }
        if segment.has('.') && !segment.has('R') {
            text.push_str(&format!(" ack {}", relative(*ack, to)));
        }
        if segment.window == 0 && !segment.has('R') {
            text.push_str(" win 0");
        }
        let to = if *from == self.ladder.left.address { Side::Right } else { Side::Left };
        self.ladder.rungs.push(Rung { at: segment.at, what: What::Segment { to, text }, moment });
    }

    fn event(&mut self, moment: usize, event: &Event, socket: &Socket, local: SocketAddr) {
        let (side, end) = match local == self.ladder.left.address {
            true => (Side::Left, &mut self.ladder.left),
            false => (Side::Right, &mut self.ladder.right),
        };
        if let Some(owner) = &socket.owner {
            let mut name = Vec::new();
            put_name(&mut name, owner.comm.bytes(), true);
            let name = String::from_utf8(name).unwrap_or_default();
            end.process = Some(format!("{name}[{}]", owner.pid));
        }
        if let Some((text, state)) = said(event) {
            let what = What::Here { side, text, state };
            self.ladder.rungs.push(Rung { at: event.at, what, moment });
        }
    }
}

/// What stands at a life line for an event, and the state that it enters.
fn said(event: &Event) -> Option<(String, Option<TcpState>)> {
    let state = |state: TcpState, mark: &str| (format!("{}{mark}", state.name()), Some(state));
    Some(match &event.body {
        Body::Seed(seed) => state(seed.state, ""),
        Body::HalfOpen(_) => ("(SYN_RECV)".to_owned(), Some(TcpState::SynRecv)),
        Body::State(change) => {
            let mark = match event.via {
                Via::Kernel => "",
                // Concluded, or looked up when a timer had run off.
                _ => "*",
            };
            state(change.new, mark)
        }
        Body::Accept(_) => ("accept()".to_owned(), None),
        Body::Owner(_) => ("new owner".to_owned(), None),
        Body::ConnectFailed(failed) => {
            (failed.error.map_or("given up", |error| error.name()).to_owned(), None)
        }
        Body::Retransmit(retransmit) => (format!("{} again", retransmit.segment.name()), None),
        Body::Reset(reset) if reset.received => ("RST received".to_owned(), None),
        Body::Reset(_) => ("RST sent".to_owned(), None),
        Body::Drop(_) => ("packet dropped".to_owned(), None),
        Body::Closed(_) => return None,
        _ => return None,
    })
}

/// The least width that a ladder is drawn in.
pub const LEAST: usize = 60;

impl Ladder {
    /// Appends the ladder as text, in so many columns.
    pub fn text(&self, width: usize, out: &mut String) {
        self.part(width, 0..self.rungs.len(), out);
    }

    /// The same of some rungs, below the names of the ends.
    pub fn part(&self, width: usize, rungs: std::ops::Range<usize>, out: &mut String) {
        const TIME: usize = 9;
        const STATE: usize = 15;
        let width = width.max(LEAST);
        // Two life lines, and a space behind the time.
        let middle = width - TIME - 2 - 2 * STATE - 2;
        let start = self.rungs.first().map_or(0, |rung| rung.at);
        let heads = [
            [
                self.left.process.as_deref().unwrap_or("?"),
                self.right.process.as_deref().unwrap_or("?"),
            ],
            [&self.left.address.to_string(), &self.right.address.to_string()],
        ];
        for [left, right] in heads {
            let gap = (width - TIME - 1).saturating_sub(left.width() + right.width());
            let line = format!("{:TIME$} {left}{:gap$}{right}", "", "");
            out.push_str(line.trim_end());
            out.push('\n');
        }
        for rung in self.rungs.get(rungs).unwrap_or_default() {
            out.push_str(&elapsed(rung.at.saturating_sub(start), TIME));
            out.push(' ');
            let (left, between, right) = match &rung.what {
                What::Here { side: Side::Left, text, .. } => (text.as_str(), String::new(), ""),
                What::Here { side: Side::Right, text, .. } => ("", String::new(), text.as_str()),
                What::Segment { to, text } => ("", arrow(text, *to, middle), ""),
            };
            let line = format!("{left:>STATE$} |{between:middle$}| {right}");
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
}

/// What a rung says, for a side: text of an end, or of the line between.
impl Rung {
    /// The states of both ends after this rung and all before it.
    pub fn states(rungs: &[Rung]) -> [Option<TcpState>; 2] {
        let mut states = [None, None];
        for rung in rungs {
            if let What::Here { side, state: Some(state), .. } = &rung.what {
                states[usize::from(*side == Side::Right)] = Some(*state);
            }
        }
        states
    }
}

/// An arrow with its label, as wide as is said.
pub fn arrow(text: &str, to: Side, width: usize) -> String {
    let label = format!(" {text} ");
    let room = width.saturating_sub(label.len() + 1);
    let (before, after) = (room / 2, room - room / 2);
    match to {
        Side::Right => format!("{}{label}{}>", "-".repeat(before), "-".repeat(after)),
        Side::Left => format!("<{}{label}{}", "-".repeat(before), "-".repeat(after)),
    }
}

/// Time since the first rung, right-aligned.
pub fn elapsed(nanos: u64, width: usize) -> String {
    let text = match nanos {
        0..10_000_000 => format!("{}.{:03} ms", nanos / 1_000_000, nanos / 1_000 % 1_000),
        10_000_000..1_000_000_000 => {
            format!("{}.{} ms", nanos / 1_000_000, nanos / 100_000 % 10)
        }
        _ => format!("{}.{:03} s", nanos / 1_000_000_000, nanos / 1_000_000 % 1_000),
    };
    format!("{text:>width$}")
}
