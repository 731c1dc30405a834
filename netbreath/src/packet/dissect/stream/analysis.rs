//! The sequence numbers of a conversation of TCP: relative to its begin, and what is odd
//! about them, by the rules in Wireshark's user's guide ("TCP Analysis").

use std::collections::VecDeque;

/// Segments that wait for their acknowledgement, by side.
const MOST_UNACKED: usize = 1_000;
/// A segment sent again so soon after duplicate acknowledgements was sent fast.
const FAST: i64 = 20_000_000;
/// What comes so late is not sent again, but out of order, if the round trip is not known.
const ORDER: i64 = 3_000_000;

pub const FIN: u16 = 1;
pub const SYN: u16 = 2;
pub const RST: u16 = 4;
pub const PSH: u16 = 8;
pub const ACK: u16 = 16;

/// A segment, as the analysis needs it.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub number: u64,
    pub time: i64,
    pub seq: u32,
    pub ack: u32,
    pub flags: u16,
    /// As it stands in the header.
    pub window: u16,
    /// Bytes of payload on the wire.
    pub len: u32,
    /// The shift of the option, if it is there.
    pub scale: Option<u8>,
    /// Blocks of SACK.
    pub sacks: usize,
    /// Options are cut away.
    pub options_cut: bool,
}

/// What is odd about a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u16);

impl Flags {
    pub const RETRANSMISSION: Flags = Flags(1);
    pub const LOST: Flags = Flags(2);
    pub const ACK_LOST: Flags = Flags(4);
    pub const KEEP_ALIVE: Flags = Flags(8);
    pub const DUPLICATE_ACK: Flags = Flags(0x10);
    pub const ZERO_WINDOW: Flags = Flags(0x20);
    pub const ZERO_WINDOW_PROBE: Flags = Flags(0x40);
    pub const ZERO_WINDOW_PROBE_ACK: Flags = Flags(0x80);
    pub const KEEP_ALIVE_ACK: Flags = Flags(0x100);
    pub const OUT_OF_ORDER: Flags = Flags(0x200);
    pub const FAST_RETRANSMISSION: Flags = Flags(0x400);
    pub const WINDOW_UPDATE: Flags = Flags(0x800);
    pub const WINDOW_FULL: Flags = Flags(0x1000);
    pub const REUSED_PORTS: Flags = Flags(0x2000);
    pub const SPURIOUS: Flags = Flags(0x4000);

    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn set(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// What the place of a segment in its conversation tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Analysis {
    pub stream: u32,
    /// 0: the lesser end sends.
    pub side: usize,
    /// How complete the conversation was before this segment.
    pub completeness: u8,
    pub flags: Flags,
    /// Relative numbers.
    pub seq: u32,
    pub ack: u32,
    pub next_seq: u32,
    /// The window with its scale.
    pub window: u32,
    /// -1: not known, -2: there is none.
    pub scale: i16,
    pub since_first: i64,
    pub since_last: i64,
    /// The round trip of the handshake.
    pub handshake: Option<i64>,
    /// The segment that this acknowledges, and how long ago it was.
    pub acks: Option<(u64, i64)>,
    pub duplicate: u32,
    pub duplicate_of: u64,
    /// How long ago the segment was that this one repeats, and its number.
    pub rto: Option<(i64, u64)>,
    pub in_flight: u32,
    pub pushed: u32,
    /// The other side had ended first.
    pub peer_fin: bool,
}

#[derive(Clone, Copy, Debug)]
struct Unacked {
    number: u64,
    time: i64,
    seq: u32,
    next: u32,
}

#[derive(Clone, Debug)]
struct Side {
    base: Option<u32>,
    next: Option<u32>,
    next_time: i64,
    next_number: u64,
    most_to_ack: Option<u32>,
    last_ack: Option<u32>,
    last_ack_time: i64,
    window: u32,
    scale: i16,
    duplicates: u32,
    last_new_ack: u64,
    last_flags: Flags,
    unacked: VecDeque<Unacked>,
    in_flight_known: bool,
    pushed: u32,
    push_seen: bool,
    fin: bool,
}

impl Default for Side {
    fn default() -> Side {
        Side {
            base: None,
            next: None,
            next_time: 0,
            next_number: 0,
            most_to_ack: None,
            last_ack: None,
            last_ack_time: 0,
            window: 0,
            scale: -1,
            duplicates: 0,
            last_new_ack: 0,
            last_flags: Flags::default(),
            unacked: VecDeque::new(),
            in_flight_known: true,
            pushed: 0,
            push_seen: false,
            fin: false,
        }
    }
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Tcp {
    pub stream: u32,
    sides: [Side; 2],
    first: i64,
    last: i64,
    completeness: u8,
    syn: Option<i64>,
    handshake: Option<i64>,
}

/// Whether `a` stands behind `b`, around the end of the numbers.
fn after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) as i32 > 0
}

fn before(a: u32, b: u32) -> bool {
    after(b, a)
}

impl Tcp {
    pub fn new(stream: u32, now: i64) -> Tcp {
        Tcp {
            stream,
            sides: [Side::default(), Side::default()],
            first: now,
            last: now,
            completeness: 0,
            syn: None,
            handshake: None,
        }
    }

    /// The relative sequence number of a side.
    pub fn relative(&self, side: usize, seq: u32) -> u32 {
        self.sides[side & 1].base.map_or(seq, |base| seq.wrapping_sub(base))
    }

    /// A segment begins a new conversation between the same ends.
    pub fn is_reused(&self, side: usize, segment: &Segment) -> bool {
        segment.flags & (SYN | ACK) == SYN
            && self.sides[side].base.is_some_and(|base| base != segment.seq)
            && self.sides[side].next.is_some()
    }

    pub fn segment(&mut self, side: usize, segment: &Segment, reused: bool) -> Analysis {
        let s = segment;
        let (syn, fin) = (s.flags & SYN != 0, s.flags & FIN != 0);
        let acks = s.flags & ACK != 0;
        let mut a = Analysis {
            stream: self.stream,
            side,
            completeness: self.completeness,
            since_first: s.time - self.first,
            since_last: s.time - self.last,
            ..Analysis::default()
        };
        self.last = s.time;
        self.complete(side, s);
        if reused {
            // As if the SYN had been seen: it is what tells.
            a.completeness = 1;
            a.flags.set(Flags::REUSED_PORTS);
        }
        self.bases(side, s);
        self.scales(side, s);
        self.handshakes(s);
        let (forward, reverse) = {
            let [one, other] = &mut self.sides;
            if side == 0 { (one, other) } else { (other, one) }
        };
        a.seq = forward.base.map_or(s.seq, |base| s.seq.wrapping_sub(base));
        a.ack = if acks { reverse.base.map_or(s.ack, |base| s.ack.wrapping_sub(base)) } else { 0 };
        let used = s.len + u32::from(syn) + u32::from(fin);
        a.next_seq = a.seq.wrapping_add(used);
        a.scale = forward.scale;
        a.window = if syn || forward.scale < 0 {
            s.window.into()
        } else {
            u32::from(s.window) << forward.scale.clamp(0, 14)
        };
        a.peer_fin = reverse.fin;
        // From here on by raw numbers.
        sequence(forward, reverse, s, a.window, &mut a, self.handshake);
        if fin {
            forward.fin = true;
        }
        a.handshake = self.handshake;
        a
    }

    fn complete(&mut self, side: usize, s: &Segment) {
        self.completeness |= match s.flags & (SYN | ACK) {
            SYN => 1,
            f if f == SYN | ACK => 2,
            ACK if s.len == 0 && s.flags & (FIN | RST) == 0 => 4,
            _ => 0,
        };
        if s.len > 0 && self.sides[side].base.is_some() {
            self.completeness |= 8;
        }
        if s.flags & FIN != 0 {
            self.completeness |= 16;
        }
        if s.flags & RST != 0 {
            self.completeness |= 32;
        }
    }

    /// Where relative numbers begin.
    fn bases(&mut self, side: usize, s: &Segment) {
        let syn = s.flags & SYN != 0;
        if syn {
            self.sides[side].base = Some(s.seq);
        } else if self.sides[side].base.is_none() {
            // The first is 1, as if there had been a SYN.
            self.sides[side].base = Some(s.seq.wrapping_sub(1));
        }
        if s.flags & ACK != 0 && self.sides[side ^ 1].base.is_none() {
            self.sides[side ^ 1].base = Some(s.ack.wrapping_sub(1));
        }
    }

    fn scales(&mut self, side: usize, s: &Segment) {
        if s.flags & SYN == 0 {
            return;
        }
        self.sides[side].scale = match s.scale {
            Some(shift) => shift.min(14).into(),
            None if s.options_cut => -1,
            None => -2,
        };
        // Both must offer it.
        if self.sides[side].scale == -2 || s.flags & ACK != 0 && self.sides[side ^ 1].scale == -2 {
            self.sides[0].scale = -2;
            self.sides[1].scale = -2;
        }
    }

    /// The first answer that is no SYN ends the handshake.
    fn handshakes(&mut self, s: &Segment) {
        match s.flags & (SYN | ACK) {
            SYN => self.syn = Some(s.time),
            ACK if self.handshake.is_none() => self.handshake = self.syn.map(|time| s.time - time),
            _ => {}
        }
    }
}

fn sequence(
    forward: &mut Side,
    reverse: &mut Side,
    s: &Segment,
    window: u32,
    a: &mut Analysis,
    handshake: Option<i64>,
) {
    let (syn, fin, rst) = (s.flags & SYN != 0, s.flags & FIN != 0, s.flags & RST != 0);
    let plain = !syn && !fin && !rst;
    let acks = s.flags & ACK != 0;
    let next = forward.next;
    let at_next = next == Some(s.seq);
    let same_ack = forward.last_ack == Some(s.ack);
    let flags = &mut a.flags;

    let probe = s.len == 1 && at_next && reverse.window == 0 && reverse.last_ack.is_some();
    if probe {
        flags.set(Flags::ZERO_WINDOW_PROBE);
    } else {
        if window == 0 && plain {
            flags.set(Flags::ZERO_WINDOW);
        }
        if next.is_some_and(|next| after(s.seq, next)) && !rst {
            flags.set(Flags::LOST);
            // Until the other side acknowledges, nobody knows what is on its way.
            forward.in_flight_known = false;
        }
        if s.len <= 1 && plain && next.is_some_and(|next| s.seq == next.wrapping_sub(1)) {
            flags.set(Flags::KEEP_ALIVE);
        }
        if s.len == 0
            && window != 0
            && window != forward.window
            && at_next
            && same_ack
            && s.sacks == 0
            && plain
        {
            flags.set(Flags::WINDOW_UPDATE);
        }
        if s.len > 0
            && plain
            && reverse.scale != -1
            && reverse
                .last_ack
                .is_some_and(|ack| s.seq.wrapping_add(s.len) == ack.wrapping_add(reverse.window))
        {
            flags.set(Flags::WINDOW_FULL);
        }
        if s.len == 0
            && window != 0
            && window == forward.window
            && at_next
            && same_ack
            && reverse.last_flags.has(Flags::KEEP_ALIVE)
            && plain
        {
            flags.set(Flags::KEEP_ALIVE_ACK);
        } else if s.len == 0
            && window == 0
            && window == forward.window
            && at_next
            && same_ack
            && reverse.last_flags.has(Flags::ZERO_WINDOW_PROBE)
            && plain
        {
            flags.set(Flags::ZERO_WINDOW_PROBE_ACK);
        } else if s.len == 0
            && window != 0
            && (window == forward.window || s.sacks > 0)
            && at_next
            && same_ack
            && plain
        {
            forward.duplicates += 1;
            flags.set(Flags::DUPLICATE_ACK);
            a.duplicate = forward.duplicates;
            a.duplicate_of = forward.last_new_ack;
        }
    }
    if forward.last_ack != Some(s.ack) {
        forward.last_new_ack = s.number;
        forward.duplicates = 0;
    }
    if acks && reverse.most_to_ack.is_some_and(|most| after(s.ack, most)) {
        flags.set(Flags::ACK_LOST);
        reverse.most_to_ack = reverse.next;
    }
    repeated(forward, reverse, s, a, handshake);
    let flags = a.flags;

    let behind = s.seq.wrapping_add(s.len + u32::from(syn) + u32::from(fin));
    if !flags.has(Flags::ZERO_WINDOW_PROBE) {
        if forward.next.is_none_or(|next| after(behind, next)) {
            forward.next = Some(behind);
            forward.next_time = s.time;
            forward.next_number = s.number;
        }
        if forward.most_to_ack.is_none_or(|most| after(behind, most)) {
            forward.most_to_ack = Some(behind);
        }
    }
    if s.len > 0 || syn || fin {
        if forward.unacked.len() >= MOST_UNACKED {
            forward.unacked.pop_front();
        }
        let (number, time) = (s.number, s.time);
        forward.unacked.push_back(Unacked { number, time, seq: s.seq, next: behind });
    }
    forward.last_flags = flags;
    forward.window = window;
    forward.last_ack = Some(s.ack);
    forward.last_ack_time = s.time;
    if acks {
        acknowledge(reverse, s, a);
        reverse.in_flight_known = true;
    }
    in_flight(forward, s, a);
}

/// Whether a segment was sent before, or should have come before.
fn repeated(forward: &Side, reverse: &Side, s: &Segment, a: &mut Analysis, handshake: Option<i64>) {
    let (syn, fin) = (s.flags & SYN != 0, s.flags & FIN != 0);
    if s.len == 0 && !syn && !fin || a.flags.has(Flags::KEEP_ALIVE) {
        return;
    }
    let behind = s.seq.wrapping_add(s.len);
    let Some(next) = forward.next else { return };
    let repeats = before(s.seq, next);
    if s.len > 0 && reverse.last_ack.is_some_and(|ack| !after(behind, ack)) && repeats {
        a.flags.set(Flags::SPURIOUS);
    } else if repeats
        && s.time - reverse.last_ack_time < FAST
        && reverse.duplicates >= 2
        && reverse.last_ack == Some(s.seq)
    {
        a.flags.set(Flags::FAST_RETRANSMISSION);
    } else if repeats
        && s.time - forward.next_time < handshake.unwrap_or(ORDER)
        && next != behind.wrapping_add(u32::from(syn) + u32::from(fin))
    {
        a.flags.set(Flags::OUT_OF_ORDER);
    } else if repeats {
        a.flags.set(Flags::RETRANSMISSION);
        a.rto = Some((s.time - forward.next_time, forward.next_number));
    }
}

fn acknowledge(reverse: &mut Side, s: &Segment, a: &mut Analysis) {
    if let Some(one) = reverse.unacked.iter().find(|one| one.next == s.ack) {
        a.acks = Some((one.number, s.time - one.time));
    }
    reverse.unacked.retain(|one| after(one.next, s.ack));
}

fn in_flight(forward: &mut Side, s: &Segment, a: &mut Analysis) {
    if s.len == 0 || !forward.in_flight_known {
        return;
    }
    let Some(begin) = forward.unacked.front().map(|one| one.seq) else { return };
    let mut first = 0_i32;
    let mut last = 0_i32;
    for one in &forward.unacked {
        first = first.min(one.seq.wrapping_sub(begin) as i32);
        last = last.max(one.next.wrapping_sub(begin) as i32);
    }
    let flight = last.wrapping_sub(first);
    if flight <= 0 || flight >= 2_000_000_000 {
        return;
    }
    a.in_flight = flight as u32;
    if forward.push_seen {
        forward.pushed = 0;
        forward.push_seen = false;
    }
    forward.pushed = forward.pushed.wrapping_add(s.len);
    if s.flags & PSH != 0 {
        forward.push_seen = true;
    }
    a.pushed = forward.pushed;
}
