//! What is remembered of the packets before: conversations of TCP and UDP, and questions
//! that wait for their answers. All of it is bounded: who is forgotten begins anew.

use std::collections::HashMap;

mod analysis;

pub use analysis::{Analysis, Flags, Segment, Tcp};

/// Conversations of each protocol.
const MOST: usize = 262_144;
/// Questions without an answer.
const MOST_QUESTIONS: usize = 65_536;

/// An address of IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    #[default]
    None,
    Ipv4([u8; 4]),
    Ipv6([u8; 16]),
}

/// Who sends, and to whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pair {
    pub source: End,
    pub target: End,
}

/// Both ends, the lesser first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    low: (End, u16),
    high: (End, u16),
}

/// The key, and whether the lesser sends.
fn key(pair: Pair, from: u16, to: u16) -> (Key, bool) {
    let (a, b) = ((pair.source, from), (pair.target, to));
    if a <= b { (Key { low: a, high: b }, true) } else { (Key { low: b, high: a }, false) }
}

/// Where a datagram stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub stream: u32,
    pub since_first: i64,
    pub since_last: i64,
}

#[derive(Clone, Copy, Debug)]
struct Udp {
    stream: u32,
    first: i64,
    last: i64,
}

/// What a question and its answer have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// A protocol, as IP numbers it or by its port.
    pub protocol: u16,
    pub pair: Pair,
    pub ports: (u16, u16),
    pub id: u32,
}

/// A question: its packet, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub number: u64,
    pub time: i64,
}

/// What an HTTP connection has said.
#[derive(Clone, Debug, Default)]
pub struct Http {
    pub requests: Vec<HttpRequest>,
    pub responses: u32,
    /// It speaks HTTP.
    pub is_http: bool,
    pub requests_seen: u32,
    /// The request that was answered last.
    pub answered_request: u64,
    pub last_uri: String,
    pub last_request: u64,
    pub last_response: u64,
}

/// A request that waits for its response.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub number: u64,
    pub time: i64,
    pub uri: String,
    pub method: String,
}

/// What was agreed on a connection of TLS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tls {
    pub version: u16,
    /// The encrypted part has begun, by side.
    pub changed: [bool; 2],
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub struct State {
    tcp: HashMap<Key, Box<Tcp>>,
    tcp_count: u32,
    udp: HashMap<Key, Udp>,
    udp_count: u32,
    questions: HashMap<Question, Asked>,
    pub http: HashMap<u32, Http>,
    pub tls: HashMap<u32, Tls>,
    /// What was forgotten to make room.
    pub forgotten: u64,
}

impl State {
    /// Conversations of TCP so far.
    pub fn tcp_streams(&self) -> u32 {
        self.tcp_count
    }

    /// A datagram of a conversation. One inside an error message makes none.
    pub fn udp(
        &mut self,
        pair: Pair,
        from: u16,
        to: u16,
        _number: u64,
        now: i64,
        in_error: bool,
    ) -> Option<Times> {
        let (key, _) = key(pair, from, to);
        if self.udp.len() >= MOST && !self.udp.contains_key(&key) {
            self.forgotten += self.udp.len() as u64;
            self.udp.clear();
        }
        let count = &mut self.udp_count;
        let udp = self.udp.entry(key).or_insert_with(|| {
            let stream = *count;
            *count += 1;
            Udp { stream, first: now, last: now }
        });
        let times =
            Times { stream: udp.stream, since_first: now - udp.first, since_last: now - udp.last };
        if !in_error {
            udp.last = now;
        }
        Some(times)
    }

    /// Remembers a question.
    pub fn ask(&mut self, question: Question, number: u64, time: i64) {
        if self.questions.len() >= MOST_QUESTIONS {
            self.forgotten += self.questions.len() as u64;
            self.questions.clear();
        }
        self.questions.insert(question, Asked { number, time });
    }

    /// The question to an answer, which is given as it was asked.
    pub fn asked(&self, question: &Question) -> Option<Asked> {
        self.questions.get(question).copied()
    }

    /// Forgets a question.
    pub fn answered(&mut self, question: &Question) {
        self.questions.remove(question);
    }

    /// A segment of a conversation, and what its place in it tells.
    pub fn tcp(&mut self, pair: Pair, from: u16, to: u16, segment: &Segment) -> Analysis {
        let (key, forward) = key(pair, from, to);
        if self.tcp.len() >= MOST && !self.tcp.contains_key(&key) {
            self.forgotten += self.tcp.len() as u64;
            self.tcp.clear();
            self.http.clear();
            self.tls.clear();
        }
        let count = &mut self.tcp_count;
        let mut next = || {
            let stream = *count;
            *count += 1;
            stream
        };
        let tcp = self.tcp.entry(key).or_insert_with(|| Box::new(Tcp::new(next(), segment.time)));
        let side = usize::from(!forward);
        let mut reused = false;
        if tcp.is_reused(side, segment) {
            **tcp = Tcp::new(next(), segment.time);
            reused = true;
        }
        tcp.segment(side, segment, reused)
    }

    /// What is known of a conversation, without a segment of it.
    pub fn known(&self, pair: Pair, from: u16, to: u16) -> Option<(&Tcp, usize)> {
        let (key, forward) = key(pair, from, to);
        self.tcp.get(&key).map(|tcp| (&**tcp, usize::from(!forward)))
    }
}
