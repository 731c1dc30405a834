//! The life of a TCP endpoint from the segments that go out of it and come in (RFC 9293,
//! section 3.3.2), as Linux tells it. Pure: segments in, transitions out, in the order of
//! time; no clock, no system.
//!
//! What an endpoint has sent is certain. What has come in counts as received in order, or
//! else when the endpoint's own acknowledgement covers it. A FIN counts with the next thing
//! that shows it: the acknowledgement, or another segment that comes in behind it. What
//! the endpoint sends meanwhile was on its way already: so two FINs cross.

use std::net::SocketAddr;

use netbreath_common::tcp::TcpState;

/// How long TIME_WAIT lasts on Linux (`TCP_TIMEWAIT_LEN`), in nanoseconds.
pub const TIME_WAIT: u64 = 60_000_000_000;

/// A segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Nanoseconds since boot.
    pub at: u64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub seq: u32,
    /// Nothing without the flag ACK.
    pub ack: Option<u32>,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    /// Bytes of payload.
    pub len: u32,
}

impl Segment {
    /// The sequence number behind it: SYN and FIN take one each.
    const fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len + self.syn as u32 + self.fin as u32)
    }
}

/// A transition of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub at: u64,
    pub old: TcpState,
    pub new: TcpState,
    /// A timer of ours that stands for one of the kernel's made it, no segment.
    pub timer: bool,
}

/// What a segment was to an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The endpoint has answered a SYN: a request waits for its ACK.
    pub half_open: bool,
    /// It belongs to another connection than the one before: between the same ends, after
    /// the old one was over.
    pub again: bool,
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub struct End {
    state: TcpState,
    /// The first segment that was seen began the connection.
    born: bool,
    /// A SYN came in, and this end has not answered it yet.
    asked: bool,
    /// It answers a SYN as a listener's child does: its life begins with the third segment.
    child: bool,
    /// When it entered the state.
    since: u64,
    /// Behind all that was sent, if anything was.
    sent: Option<u32>,
    /// Its own first sequence number.
    first: Option<u32>,
    /// Behind its FIN.
    fin: Option<u32>,
    /// What is expected next.
    expected: Option<u32>,
    /// Behind the peer's FIN, which has not counted yet.
    peer_fin: Option<u32>,
    /// What came before its turn: where it begins, and what lies behind it.
    early: Vec<(u32, u32)>,
}

/// Segments that came before their turn, remembered at most; of more, the end's own
/// acknowledgement tells.
const EARLY: usize = 64;

/// Whether `a` lies before `b` in the circle of sequence numbers (RFC 9293, section 3.4).
const fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl End {
    const fn new(at: u64) -> End {
        End {
            state: TcpState::Close,
            born: false,
            asked: false,
            child: false,
            since: at,
            sent: None,
            first: None,
            fin: None,
            expected: None,
            peer_fin: None,
            early: Vec::new(),
        }
    }

    /// An end in `state`, of which nothing was seen before.
    pub const fn joined(state: TcpState, at: u64) -> End {
        let mut end = End::new(at);
        end.state = state;
        end
    }

    /// An end of which this is the first segment; nothing if it begins nothing and tells too
    /// little to join in the middle. `out`: it goes out of this end.
    pub fn first(segment: &Segment, out: bool) -> Option<End> {
        let fresh = End::new(segment.at);
        match (segment.syn, segment.ack) {
            _ if segment.rst => None,
            (true, None) => Some(End { born: true, ..fresh }),
            // The answer to a SYN that was not seen: how it comes to this end tells the rest.
            (true, Some(_)) if out => Some(End { child: true, ..fresh }),
            (true, Some(ack)) => {
                let first = Some(ack.wrapping_sub(1));
                Some(End { state: TcpState::SynSent, sent: Some(ack), first, ..fresh })
            }
            // Without data, it can be the last word of a connection that is over.
            (false, _) if segment.len == 0 || segment.fin => None,
            (false, _) => Some(End::joined(TcpState::Established, segment.at)),
        }
    }

    pub const fn state(&self) -> TcpState {
        self.state
    }

    pub const fn since(&self) -> u64 {
        self.since
    }

    pub const fn is_born(&self) -> bool {
        self.born
    }

    /// Whether a segment of before could still come: nothing more is told.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, TcpState::Close) && !self.asked && !self.child && self.sent.is_some()
    }

    /// When the end of TIME_WAIT is due.
    pub const fn deadline(&self) -> Option<u64> {
        match self.state {
            TcpState::TimeWait => Some(self.since.saturating_add(TIME_WAIT)),
            _ => None,
        }
    }

    /// Ends TIME_WAIT if its time is over.
    pub fn expire(&mut self, now: u64, steps: &mut Vec<Step>) {
        if let Some(due) = self.deadline()
            && due <= now
        {
            self.enter(TcpState::Close, due, true, steps);
        }
    }

    /// It is not among the system's sockets any more.
    pub fn gone(&mut self, at: u64, steps: &mut Vec<Step>) {
        if self.state != TcpState::Close {
            self.enter(TcpState::Close, at, true, steps);
        } else if self.child {
            // A request that came to nothing.
            steps.push(Step { at, old: TcpState::SynRecv, new: TcpState::Close, timer: true });
        }
        (self.asked, self.child) = (false, false);
        self.sent.get_or_insert(0);
    }

    fn enter(&mut self, new: TcpState, at: u64, timer: bool, steps: &mut Vec<Step>) {
        if new != self.state {
            steps.push(Step { at, old: self.state, new, timer });
            self.state = new;
            self.since = at;
        }
    }

    /// Takes a segment that goes out.
    pub fn sends(&mut self, segment: &Segment, steps: &mut Vec<Step>) -> Told {
        let at = segment.at;
        let mut told = Told::default();
        if segment.rst {
            self.counted(at, steps);
            match self.state {
                // The answer to a stray segment: what is asked for is still wanted.
                TcpState::SynSent => {}
                _ if self.asked || self.child => {}
                _ => self.enter(TcpState::Close, at, false, steps),
            }
            return told;
        }
        if segment.syn && segment.ack.is_none() {
            // Sent again: whatever seemed to have answered it did not arrive.
            let again = self.first == Some(segment.seq) && self.state != TcpState::Close;
            if !again {
                // The same ends serve again: whatever was there is over.
                told.again = self.sent.is_some();
                self.enter(TcpState::Close, at, false, steps);
                *self = End { born: true, ..End::new(at) };
                self.enter(TcpState::SynSent, at, false, steps);
            }
            self.first = Some(segment.seq);
            if !again {
                self.sent = Some(segment.end());
            }
            return told;
        }
        if let Some(ack) = segment.ack {
            self.covers(ack);
            if self.peer_fin.is_some_and(|fin| !before(ack, fin)) {
                self.counted(at, steps);
            }
        }
        if segment.syn {
            if matches!(self.state, TcpState::Close) && !self.child {
                // An answer to a request; in a simultaneous open the state is another one.
                self.child = true;
                self.asked = false;
                self.since = at;
                told.half_open = true;
            }
            if self.first.is_none() || self.state == TcpState::Close {
                self.first = Some(segment.seq);
                self.sent = Some(segment.end());
            }
            return told;
        }
        let end = segment.end();
        if self.sent.is_none_or(|sent| before(sent, end)) {
            self.sent = Some(end);
        }
        if segment.fin && self.fin.is_none() {
            self.fin = Some(end);
            match self.state {
                // A listener's child can close before the third segment is seen to count.
                TcpState::Established | TcpState::SynRecv => {
                    self.enter(TcpState::FinWait1, at, false, steps);
                }
                TcpState::CloseWait => self.enter(TcpState::LastAck, at, false, steps),
                _ => {}
            }
        }
        told
    }

    /// Takes a segment that comes in.
    pub fn receives(&mut self, segment: &Segment, steps: &mut Vec<Step>) -> Told {
        let at = segment.at;
        let mut told = Told::default();
        self.counted(at, steps);
        if segment.rst {
            self.reset(segment, steps);
            return told;
        }
        if segment.syn && segment.ack.is_none() {
            match self.state {
                TcpState::SynSent => {
                    // Both ends open at once.
                    self.expected = Some(segment.end());
                    self.enter(TcpState::SynRecv, at, false, steps);
                }
                TcpState::Close if self.asked || self.child => {
                    if self.expected != Some(segment.end()) {
                        // Another SYN for the same ends: the request was given up.
                        *self = End { born: true, asked: true, ..End::new(at) };
                    }
                    self.expected = Some(segment.end());
                }
                TcpState::Close => {
                    told.again = self.sent.is_some();
                    *self = End { born: true, asked: true, ..End::new(at) };
                    self.expected = Some(segment.end());
                }
                // Linux takes it where it lies behind all that was received.
                TcpState::TimeWait
                    if self.expected.is_none_or(|expected| before(expected, segment.seq)) =>
                {
                    told.again = true;
                    self.enter(TcpState::Close, at, false, steps);
                    *self = End { born: true, asked: true, ..End::new(at) };
                    self.expected = Some(segment.end());
                }
                // It is answered with a challenge (RFC 5961, section 4), and changes nothing.
                _ => {}
            }
            return told;
        }
        if segment.syn {
            if self.state == TcpState::SynSent && segment.ack == self.sent {
                self.expected = Some(segment.end());
                self.enter(TcpState::Established, at, false, steps);
            } else if self.state == TcpState::SynRecv && self.acks(segment) {
                self.enter(TcpState::Established, at, false, steps);
            }
            return told;
        }
        if self.child && self.state == TcpState::Close {
            let in_order = self.expected.is_none_or(|expected| !before(segment.end(), expected));
            if !self.acks(segment) || !in_order {
                return told;
            }
            // The third segment makes the socket: it has been half open since the answer.
            self.child = false;
            let since = self.since;
            steps.push(Step { at, old: TcpState::Listen, new: TcpState::SynRecv, timer: false });
            self.state = TcpState::SynRecv;
            self.since = since;
            self.enter(TcpState::Established, at, false, steps);
        } else if self.state == TcpState::SynRecv && self.acks(segment) {
            self.enter(TcpState::Established, at, false, steps);
        }
        if self.fin.is_some() && self.acks_fin(segment) {
            match self.state {
                TcpState::FinWait1 => self.enter(TcpState::FinWait2, at, false, steps),
                TcpState::Closing => self.enter(TcpState::TimeWait, at, false, steps),
                TcpState::LastAck => {
                    self.enter(TcpState::Close, at, false, steps);
                    return told;
                }
                _ => {}
            }
        }
        self.takes(segment);
        if segment.fin && self.state == TcpState::TimeWait {
            // The peer has not heard the last word: the wait begins again.
            self.since = at;
        }
        told
    }

    /// Notes the payload and the FIN of a segment.
    fn takes(&mut self, segment: &Segment) {
        if segment.fin {
            self.peer_fin = Some(segment.end());
        }
        let end = segment.end();
        let expected = match self.expected {
            None if segment.len == 0 && !segment.fin => return,
            None => segment.seq,
            Some(expected) => expected,
        };
        if before(expected, segment.seq) && self.early.len() < EARLY {
            self.early.push((segment.seq, end));
        }
        let takes = !before(expected, segment.seq) && before(expected, end);
        self.expected = Some(if takes { end } else { expected });
        self.fills();
    }

    /// Takes what was early and no longer is.
    fn fills(&mut self) {
        while let Some(expected) = self.expected
            && let Some(place) = self.early.iter().position(|(begin, _)| !before(expected, *begin))
        {
            let (_, end) = self.early.swap_remove(place);
            if before(expected, end) {
                self.expected = Some(end);
            }
        }
    }

    /// The end itself has acknowledged all before `ack`.
    fn covers(&mut self, ack: u32) {
        if self.expected.is_none_or(|expected| before(expected, ack)) {
            self.expected = Some(ack);
            self.fills();
        }
    }

    /// Acts on the peer's FIN as soon as all before it has come.
    fn counted(&mut self, at: u64, steps: &mut Vec<Step>) {
        let Some(fin) = self.peer_fin else { return };
        if self.expected.is_none_or(|expected| before(expected, fin)) {
            return;
        }
        let new = match self.state {
            TcpState::Established | TcpState::SynRecv => TcpState::CloseWait,
            TcpState::FinWait1 => TcpState::Closing,
            TcpState::FinWait2 => TcpState::TimeWait,
            _ => return,
        };
        self.peer_fin = None;
        self.enter(new, at, false, steps);
    }

    /// Whether the segment acknowledges our SYN.
    fn acks(&self, segment: &Segment) -> bool {
        let Some(ack) = segment.ack else { return false };
        self.first.is_none_or(|first| before(first, ack))
            && self.sent.is_none_or(|sent| !before(sent, ack))
    }

    fn acks_fin(&self, segment: &Segment) -> bool {
        let (Some(ack), Some(fin)) = (segment.ack, self.fin) else { return false };
        !before(ack, fin) && self.sent.is_none_or(|sent| !before(sent, ack))
    }

    /// A reset counts where it is exactly what is expected next (RFC 5961, section 3); in
    /// SYN_SENT, where it acknowledges the SYN.
    fn reset(&mut self, segment: &Segment, steps: &mut Vec<Step>) {
        let at = segment.at;
        let exact = self.expected.is_none_or(|expected| expected == segment.seq);
        match self.state {
            TcpState::SynSent if segment.ack.is_some() && segment.ack == self.sent => {
                self.enter(TcpState::Close, at, false, steps);
            }
            TcpState::SynSent => {}
            TcpState::Close if self.child && exact => {
                self.child = false;
                steps.push(Step { at, old: TcpState::SynRecv, new: TcpState::Close, timer: false });
            }
            TcpState::Close => {}
            _ if exact => self.enter(TcpState::Close, at, false, steps),
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
