//! The machine beside a model of two endpoints, which knows its own states: over a network
//! that loses, doubles and reorders.

use super::*;
use TcpState::{
    Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
    TimeWait,
};

/// A small generator: the same seed gives the same run (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// An endpoint that follows RFC 9293, with its own idea of its state. Written from the
/// standard alone, on another plan than the machine: it has buffers and resends.
struct Model {
    own: SocketAddr,
    peer: SocketAddr,
    state: TcpState,
    first: u32,
    /// Bytes that it will have sent in the end.
    total: u32,
    /// Acknowledged by the peer: SYN is 1, FIN is the last.
    acked: u32,
    /// Sent at least once.
    sent: u32,
    closes: bool,
    peer_first: u32,
    /// Taken in order, SYN and FIN with it.
    taken: u32,
    peer_fin: Option<u32>,
    /// Segments that came too early: place and length.
    early: Vec<(u32, u32)>,
    owes_ack: bool,
    passive: bool,
    steps: Vec<(TcpState, TcpState)>,
}

impl Model {
    fn go(&mut self, new: TcpState) {
        self.steps.push((self.state, new));
        self.state = new;
    }

    fn segment(&self, at: u64, place: u32, len: u32, flags: &str) -> Segment {
        let has = |flag| flags.contains(flag);
        Segment {
            at,
            from: self.own,
            to: self.peer,
            seq: self.first.wrapping_add(place),
            ack: has('A').then(|| self.peer_first.wrapping_add(self.taken)),
            syn: has('S'),
            fin: has('F'),
            rst: has('R'),
            len,
        }
    }

    /// What it sends when it gets a turn: new data, or all that is not acknowledged again.
    fn turn(&mut self, at: u64, chance: &mut Chance, out: &mut Vec<Segment>) {
        let resend = chance.one_in(3);
        match self.state {
            Close if !self.passive && self.sent == 0 => {
                self.go(SynSent);
                self.sent = 1;
                out.push(self.segment(at, 0, 0, "S"));
            }
            SynSent if resend => out.push(self.segment(at, 0, 0, "S")),
            Listen if self.taken == 1 && (self.owes_ack || resend) => {
                // A request: the socket is made by the third segment.
                self.sent = 1;
                self.owes_ack = false;
                out.push(self.segment(at, 0, 0, "SA"));
            }
            SynRecv if resend => out.push(self.segment(at, 0, 0, "SA")),
            Established | CloseWait | FinWait1 | Closing | LastAck => {
                if resend {
                    self.sent = self.sent.max(1);
                    let place = self.acked.max(1);
                    self.data(at, place, chance, out);
                } else if self.sent < 1 + self.total || self.closes {
                    self.data(at, self.sent, chance, out);
                }
            }
            _ => {}
        }
        if std::mem::take(&mut self.owes_ack) && self.state != Listen {
            out.push(self.segment(at, self.sent, 0, "A"));
        }
    }

    fn data(&mut self, at: u64, place: u32, chance: &mut Chance, out: &mut Vec<Segment>) {
        let end = 1 + self.total;
        if place < end
            && matches!(self.state, Established | CloseWait | FinWait1 | Closing | LastAck)
        {
            let len = (1 + chance.below(9) as u32).min(end - place);
            out.push(self.segment(at, place, len, "A"));
            self.sent = self.sent.max(place + len);
        } else if place >= end && self.closes && place <= end {
            match self.state {
                Established => self.go(FinWait1),
                CloseWait => self.go(LastAck),
                _ => {}
            }
            out.push(self.segment(at, end, 0, "FA"));
            self.sent = end + 1;
        }
        self.owes_ack = false;
    }

    fn receive(&mut self, segment: &Segment) {
        let place = segment.seq.wrapping_sub(self.peer_first);
        if segment.syn && segment.ack.is_none() {
            match self.state {
                Listen if self.taken == 0 => {
                    self.peer_first = segment.seq;
                    self.taken = 1;
                    self.owes_ack = true;
                }
                SynSent => {
                    self.peer_first = segment.seq;
                    self.taken = 1;
                    self.go(SynRecv);
                    self.owes_ack = true;
                }
                Listen => self.owes_ack = true,
                _ => self.owes_ack = true,
            }
            return;
        }
        let Some(ack) = segment.ack else { return };
        let ack = ack.wrapping_sub(self.first);
        if self.state == SynSent {
            if segment.syn && ack == 1 {
                self.peer_first = segment.seq;
                self.taken = 1;
                self.acked = 1;
                self.go(Established);
                self.owes_ack = true;
            }
            return;
        }
        if matches!(self.state, Listen | Close)
            && (self.state == Close || self.taken == 0 || ack != 1)
        {
            return;
        }
        if ack > self.sent {
            return;
        }
        if segment.syn {
            if self.state == SynRecv && ack >= 1 {
                self.acked = self.acked.max(ack);
                self.go(Established);
            }
            self.owes_ack = true;
            return;
        }
        if self.state == Listen {
            self.go(SynRecv);
        }
        if self.state == SynRecv && ack >= 1 {
            self.go(Established);
        }
        self.acked = self.acked.max(ack);
        let fin = 2 + self.total;
        if self.acked >= fin && self.sent >= fin {
            match self.state {
                FinWait1 => self.go(FinWait2),
                Closing => self.go(TimeWait),
                LastAck => return self.go(Close),
                _ => {}
            }
        }
        if segment.len > 0 || segment.fin {
            self.owes_ack = true;
            self.early.push((place, segment.len));
            if segment.fin {
                self.peer_fin = Some(place + segment.len);
            }
        }
        loop {
            let taken = self.taken;
            let next = self.early.iter().find(|(p, len)| *p <= taken && p + len > taken);
            let Some((place, len)) = next.copied() else { break };
            self.taken = place + len;
        }
        if self.peer_fin == Some(self.taken) {
            self.taken += 1;
            match self.state {
                Established => self.go(CloseWait),
                FinWait1 => self.go(Closing),
                FinWait2 => self.go(TimeWait),
                _ => {}
            }
        }
    }
}

fn model(own: &str, peer: &str, passive: bool, chance: &mut Chance) -> Model {
    // Near the end of the circle, so that sequence numbers wrap.
    let first = u32::MAX - chance.below(40) as u32;
    Model {
        own: own.parse().unwrap(),
        peer: peer.parse().unwrap(),
        state: if passive { Listen } else { Close },
        first,
        total: chance.below(40) as u32,
        acked: 0,
        sent: 0,
        closes: false,
        peer_first: 0,
        taken: 0,
        peer_fin: None,
        early: Vec::new(),
        owes_ack: false,
        passive,
        steps: Vec::new(),
    }
}

/// One observer at one end: it sees what that end sends and what reaches it.
#[derive(Default)]
struct Observer {
    end: Option<End>,
    steps: Vec<Step>,
}

impl Observer {
    fn sees(&mut self, segment: &Segment, out: bool) {
        if self.end.is_none() {
            self.end = End::first(segment, out);
        }
        if let Some(end) = &mut self.end {
            match out {
                true => end.sends(segment, &mut self.steps),
                false => end.receives(segment, &mut self.steps),
            };
        }
    }

    fn pairs(&self) -> Vec<(TcpState, TcpState)> {
        self.steps.iter().map(|step| (step.old, step.new)).collect()
    }
}

/// Plays a connection; the states that it has passed at either end.
fn play(seed: u64, loss: u64, both_open: bool) -> ([Model; 2], [Observer; 2]) {
    let chance = &mut Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (a, b) = ("10.0.0.1:1000", "10.0.0.2:2000");
    let mut models = [model(a, b, false, chance), model(b, a, !both_open, chance)];
    let mut observers = [Observer::default(), Observer::default()];
    // On their way: to whom, and what.
    let mut way: Vec<(usize, Segment)> = Vec::new();
    for at in 1..4000 {
        let who = chance.below(2) as usize;
        if chance.one_in(20) {
            models[who].closes = true;
        }
        if at > 2000 {
            models[0].closes = true;
            models[1].closes = true;
        }
        let mut out = Vec::new();
        models[who].turn(at, chance, &mut out);
        for segment in out {
            observers[who].sees(&segment, true);
            if loss == 0 || !chance.one_in(loss) || at > 3000 {
                way.push((1 - who, segment));
                if loss != 0 && chance.one_in(loss) {
                    way.push((1 - who, segment));
                }
            }
        }
        while !way.is_empty() && !chance.one_in(2) {
            // Lossy networks reorder, too.
            let n = if loss == 0 { 0 } else { chance.below(way.len().min(5) as u64) as usize };
            let (to, mut segment) = way.remove(n);
            segment.at = at;
            observers[to].sees(&segment, false);
            models[to].receive(&segment);
        }
    }
    (models, observers)
}

#[test]
fn every_transition_of_the_model_is_seen_and_no_other() {
    let mut seen = std::collections::BTreeMap::<String, u32>::new();
    for seed in 1..3000 {
        let loss = [0, 0, 10, 4][(seed % 4) as usize];
        let (models, observers) = play(seed, loss, seed % 5 == 0);
        for (model, observer) in models.iter().zip(&observers) {
            assert_eq!(observer.pairs(), model.steps, "seed {seed}, {}", model.own);
            for (old, new) in &model.steps {
                *seen.entry(format!("{}>{}", old.name(), new.name())).or_default() += 1;
            }
        }
    }
    // Each has been played, and often: else this would prove nothing.
    for (old, new) in [
        (Close, SynSent),
        (SynSent, Established),
        (SynSent, SynRecv),
        (Listen, SynRecv),
        (SynRecv, Established),
        (Established, FinWait1),
        (Established, CloseWait),
        (FinWait1, FinWait2),
        (FinWait1, Closing),
        (FinWait2, TimeWait),
        (Closing, TimeWait),
        (CloseWait, LastAck),
        (LastAck, Close),
    ] {
        let name = format!("{}>{}", old.name(), new.name());
        assert!(seen.get(&name).is_some_and(|n| *n > 50), "{name}: {seen:?}");
    }
}

#[test]
fn who_joins_in_the_middle_sees_the_rest() {
    let mut joined = 0;
    for seed in 1..1000 {
        let chance = &mut Chance(seed * 77 + 1);
        let (a, b) = ("10.0.0.1:1000", "10.0.0.2:2000");
        let mut models = [model(a, b, false, chance), model(b, a, true, chance)];
        models.iter_mut().for_each(|model| model.total = 200);
        let mut observers = [Observer::default(), Observer::default()];
        let mut way: Vec<(usize, Segment)> = Vec::new();
        let mut begun: Option<[usize; 2]> = None;
        for at in 1..6000 {
            let who = (at % 2) as usize;
            models[who].closes |= at > 3000 && chance.one_in(9);
            let mut out = Vec::new();
            models[who].turn(at, chance, &mut out);
            let open = models.iter().all(|model| model.state == Established && model.sent < 150);
            if begun.is_none() && open && models[0].sent > 20 + seed as u32 % 50 {
                begun = Some([models[0].steps.len(), models[1].steps.len()]);
            }
            for segment in out {
                if begun.is_some() {
                    observers[who].sees(&segment, true);
                }
                way.push((1 - who, segment));
            }
            for (to, segment) in way.drain(..) {
                if begun.is_some() {
                    observers[to].sees(&segment, false);
                }
                models[to].receive(&segment);
            }
        }
        let Some(begun) = begun else { continue };
        joined += 1;
        for (place, observer) in observers.iter().enumerate() {
            let rest = &models[place].steps[begun[place]..];
            assert_eq!(observer.pairs(), rest, "seed {seed}, end {place}");
            assert!(!observer.end.as_ref().unwrap().is_born());
        }
    }
    assert!(joined > 500, "{joined}");
}

fn segment(from: &str, seq: u32, ack: Option<u32>, flags: &str, len: u32) -> Segment {
    let (a, b) = ("10.0.0.1:1000", "10.0.0.2:2000");
    let (own, peer) = if from == "a" { (a, b) } else { (b, a) };
    let has = |flag| flags.contains(flag);
    Segment {
        at: u64::from(seq) + 1,
        from: own.parse().unwrap(),
        to: peer.parse().unwrap(),
        seq,
        ack,
        syn: has('S'),
        fin: has('F'),
        rst: has('R'),
        len,
    }
}

/// What the end `a` is seen to do.
fn seen_by_a(segments: &[Segment]) -> Observer {
    let mut observer = Observer::default();
    for segment in segments {
        observer.sees(segment, segment.from.port() == 1000);
    }
    observer
}

#[test]
fn a_time_wait_ends_by_its_timer_or_by_a_new_connection() {
    let life = [
        segment("a", 100, None, "S", 0),
        segment("b", 500, Some(101), "S", 0),
        segment("a", 101, Some(501), "", 0),
        segment("a", 101, Some(501), "F", 0),
        segment("b", 501, Some(102), "F", 0),
        segment("a", 102, Some(502), "", 0),
    ];
    let whole = [
        (Close, SynSent),
        (SynSent, Established),
        (Established, FinWait1),
        (FinWait1, FinWait2),
        (FinWait2, TimeWait),
    ];
    let mut waits = seen_by_a(&life);
    assert_eq!(waits.pairs(), whole);
    let end = waits.end.as_mut().unwrap();
    let due = end.deadline().unwrap();
    end.expire(due - 1, &mut waits.steps);
    assert_eq!(end.state(), TimeWait);
    // The peer's FIN again: the wait begins anew.
    let again = Segment { at: 9_000, ..life[4] };
    end.receives(&again, &mut waits.steps);
    assert_eq!(end.deadline(), Some(9_000 + TIME_WAIT));
    end.expire(u64::MAX, &mut waits.steps);
    assert_eq!(
        waits.steps.last().map(|step| (step.old, step.new, step.timer)),
        Some((TimeWait, Close, true))
    );

    // The same ports again within it: the old one is over, and a new one begins.
    let mut reused = seen_by_a(&life);
    let end = reused.end.as_mut().unwrap();
    let told = end.sends(&segment("a", 90_000, None, "S", 0), &mut reused.steps);
    assert!(told.again);
    assert_eq!(reused.pairs()[5..], [(TimeWait, Close), (Close, SynSent)]);
    // And from the other side, if its sequence number lies behind.
    let mut taken = seen_by_a(&life);
    let end = taken.end.as_mut().unwrap();
    assert!(!end.receives(&segment("b", 400, None, "S", 0), &mut taken.steps).again);
    assert!(end.receives(&segment("b", 70_000, None, "S", 0), &mut taken.steps).again);
    let told = end.sends(&segment("a", 800, Some(70_001), "S", 0), &mut taken.steps);
    assert!(told.half_open);
    end.receives(&segment("b", 70_001, Some(801), "", 0), &mut taken.steps);
    let rest = [(TimeWait, Close), (Listen, SynRecv), (SynRecv, Established)];
    assert_eq!(taken.pairs()[5..], rest);
}

#[test]
fn resets_count_where_they_are_exact() {
    let open = [
        segment("a", 100, None, "S", 0),
        segment("b", 500, Some(101), "S", 0),
        segment("a", 101, Some(501), "", 10),
    ];
    let after = |segments: &[Segment]| seen_by_a(&[&open, segments].concat()).pairs().split_off(2);
    assert_eq!(after(&[segment("b", 501, None, "R", 0)]), [(Established, Close)]);
    // In the window, but not next: a challenge, no end (RFC 5961, section 3).
    assert_eq!(after(&[segment("b", 505, None, "R", 0)]), []);
    assert_eq!(after(&[segment("a", 111, Some(501), "R", 0)]), [(Established, Close)]);
    // Refused: the reset acknowledges the SYN; another one does not count.
    let refused = |ack| seen_by_a(&[open[0], segment("b", 0, Some(ack), "R", 0)]).pairs();
    assert_eq!(refused(101), [(Close, SynSent), (SynSent, Close)]);
    assert_eq!(refused(99), [(Close, SynSent)]);
    // A request that is reset comes to nothing.
    let request = [
        segment("b", 500, None, "S", 0),
        segment("a", 100, Some(501), "S", 0),
        segment("b", 501, None, "R", 0),
    ];
    assert_eq!(seen_by_a(&request).pairs(), [(SynRecv, Close)]);
    // The same SYN again is the same connection.
    assert_eq!(seen_by_a(&[open[0], open[0], open[1]]).pairs().len(), 2);
}
