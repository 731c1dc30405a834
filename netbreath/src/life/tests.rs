use std::collections::HashMap;

use super::*;
use crate::event::{Comm, Family, Flow, How, Owner};
use TcpState::{
    Close, CloseWait, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent, TimeWait,
};

/// What a look finds, by id; nothing is said of what is not there.
#[derive(Default)]
struct Found {
    there: HashMap<u64, Answer>,
    looks: usize,
    asked: usize,
}

impl Look for Found {
    fn look(
        &mut self,
        _: Option<u32>,
        _: &mut dyn Iterator<Item = u32>,
        asked: &[Asked],
        answers: &mut Vec<Answer>,
    ) {
        self.looks += 1;
        self.asked += asked.len();
        answers.extend(
            asked.iter().map(|asked| self.there.get(&asked.id.0).copied().unwrap_or(Answer::Gone)),
        );
    }
}

const NETNS: u32 = 7;

struct Stage {
    life: Life,
    look: Found,
    out: Vec<Event>,
}

fn stage() -> Stage {
    with(|_| ())
}

fn with(change: impl FnOnce(&mut Rules)) -> Stage {
    let mut rules = Rules {
        complete: true,
        start: 0,
        requests_told: true,
        minis_told: true,
        states: 0,
        max_sockets: 100_000,
        wheel: None,
    };
    change(&mut rules);
    Stage { life: Life::new(rules), look: Found::default(), out: Vec::new() }
}

fn socket(id: u64, local: &str, remote: &str) -> Socket {
    Socket {
        id: SocketId(id),
        peer: None,
        proto: Proto::Tcp,
        flow: Flow {
            family: Family::V4,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        },
        owner: Some(Owner {
            pid: 42,
            comm: Comm::from_name("curl"),
            exe: None,
            uid: 0,
            how: How::Connect,
        }),
        opened_by: None,
        netns: Some(NETNS),
        cgroup: None,
        born: true,
    }
}

const C: &str = "127.0.0.1:4000";
const S: &str = "127.0.0.1:80";

fn client(id: u64) -> Socket {
    socket(id, C, S)
}

fn server(id: u64) -> Socket {
    socket(id, S, C)
}

fn event(at: u64, socket: Socket, old: TcpState, new: TcpState) -> Event {
    let state = State { socket, old, new, in_state: Some(1) };
    Event { at, via: Via::Kernel, body: Body::State(state) }
}

const MINI: Mini = Mini { state: TimeWait, via: Via::Inferred, in_doubt: false, timeout: None };

impl Stage {
    fn state(&mut self, at: u64, socket: Socket, old: TcpState, new: TcpState) {
        self.put(Input::Event(event(at, socket, old, new)));
    }

    fn half_open(&mut self, at: u64, socket: Socket, retries: u32) {
        let half_open = HalfOpen { socket, retries: Some(retries), syn_cookie: false };
        self.put(Input::Event(Event { at, via: Via::Kernel, body: Body::HalfOpen(half_open) }));
    }

    fn put(&mut self, input: Input) {
        self.life.apply(input, &mut self.look, &mut self.out);
    }

    fn path(&mut self, socket: &Socket, path: &[TcpState]) {
        for (at, pair) in path.windows(2).enumerate() {
            self.state(at as u64 + 1, socket.clone(), pair[0], pair[1]);
        }
    }

    fn tick(&mut self, now: u64) {
        self.life.tick(now, &mut self.look, &mut self.out);
    }

    /// What came out since the last call, as text.
    fn said(&mut self) -> Vec<String> {
        self.out.drain(..).map(|event| text(&event)).collect()
    }
}

fn text(event: &Event) -> String {
    let what = match &event.body {
        Body::State(State { old, new, .. }) => format!("{} {}", old.name(), new.name()),
        Body::HalfOpen(half_open) if half_open.syn_cookie => "syn_cookie".to_owned(),
        body => body.name().to_owned(),
    };
    let id = event.body.socket().map_or(0, |socket| socket.id.0);
    format!("{} {id} {what} {}", event.at, event.via.name())
}

const OPEN: [TcpState; 5] = [Close, SynSent, Established, FinWait1, FinWait2];

#[test]
fn time_wait_takes_the_place_of_close_and_ends_with_a_look() {
    let mut stage = stage();
    stage.path(&client(1), &OPEN);
    stage.said();
    stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), MINI));
    assert_eq!(stage.said(), ["10 1 FIN_WAIT2 TIME_WAIT inferred"]);
    let deadline = stage.life.deadline().unwrap();
    assert!(deadline > 10 + TIME_WAIT && deadline <= 10 + TIME_WAIT + 6 * SECOND);
    stage.tick(deadline - 1);
    assert_eq!((stage.said().len(), stage.look.looks), (0, 0));
    stage.tick(deadline);
    assert_eq!(stage.said(), [format!("{deadline} 1 TIME_WAIT CLOSE timer")]);
    assert_eq!((stage.look.looks, stage.life.deadline()), (1, None));
}

#[test]
fn what_is_still_there_is_looked_at_again_when_its_time_is_over() {
    let mut stage = stage();
    stage.path(&client(1), &OPEN);
    stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), MINI));
    stage.said();
    stage.look.there.insert(1, Answer::There { state: TimeWait, left: 30 * SECOND });
    let first = stage.life.deadline().unwrap();
    stage.tick(first);
    assert!(stage.said().is_empty());
    let second = stage.life.deadline().unwrap();
    assert!(second >= first + 30 * SECOND);
    stage.look.there.clear();
    stage.tick(second);
    assert_eq!(stage.said(), [format!("{second} 1 TIME_WAIT CLOSE timer")]);
}

#[test]
fn a_namespace_that_nobody_can_look_into_is_inferred() {
    let mut stage = stage();
    stage.path(&client(1), &OPEN);
    stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), MINI));
    stage.said();
    stage.look.there.insert(1, Answer::Unknown);
    let deadline = stage.life.deadline().unwrap();
    stage.tick(deadline);
    assert_eq!(stage.said(), [format!("{deadline} 1 TIME_WAIT CLOSE inferred")]);
}

#[test]
fn fin_wait2_goes_on_in_a_mini_socket_until_its_fin_or_its_end() {
    for told in [TimeWait, Close] {
        let mut stage = stage();
        stage.path(&client(1), &OPEN);
        let mini = Mini { state: FinWait2, timeout: Some(3 * SECOND), ..MINI };
        stage.said();
        stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), mini));
        assert!(stage.said().is_empty());
        stage.put(Input::Told { at: 20, id: SocketId(1), state: told });
        assert_eq!(stage.said(), [format!("20 1 FIN_WAIT2 {} kernel", told.name())]);
        let deadline = stage.life.deadline().unwrap();
        assert_eq!(deadline > 20 + TIME_WAIT, told == TimeWait);
    }
}

#[test]
fn what_is_told_of_the_packet_that_ends_a_mini_socket_has_its_owner() {
    let mut stage = stage();
    stage.path(&client(1), &OPEN);
    let mini = Mini { state: FinWait2, ..MINI };
    stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), mini));
    stage.put(Input::Told { at: 20, id: SocketId(1), state: Close });
    stage.out.clear();
    let socket = Socket { owner: None, born: false, ..client(1) };
    let body = Body::Reset(crate::event::Reset {
        socket,
        received: false,
        reason: None,
        state: Some(TimeWait),
    });
    stage.put(Input::Event(Event { at: 21, via: Via::Kernel, body }));
    let [Event { body: Body::Reset(reset), .. }] = &stage.out[..] else {
        panic!("{:?}", stage.out)
    };
    assert_eq!((&reset.socket.owner, reset.socket.born), (&client(1).owner, true));
    stage.out.clear();
    // It is forgotten soon, and nobody looks for it.
    let deadline = stage.life.deadline().unwrap();
    assert!(deadline < SECOND);
    stage.tick(deadline);
    assert_eq!((stage.said().len(), stage.look.looks, stage.life.deadline()), (0, 0, None));
}

#[test]
fn where_no_hook_tells_the_peers_end_tells_of_its_fin() {
    let mut stage = with(|rules| rules.minis_told = false);
    stage.path(&client(1), &OPEN);
    stage.path(&server(2), &[Listen, SynRecv, Established, CloseWait, LastAck]);
    let mini = Mini { state: FinWait2, ..MINI };
    stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), mini));
    stage.said();
    stage.state(20, server(2), LastAck, Close);
    assert_eq!(stage.said(), ["20 1 FIN_WAIT2 TIME_WAIT inferred", "20 2 LAST_ACK CLOSE kernel"]);
}

#[test]
fn a_mini_socket_in_doubt_is_looked_for_at_once() {
    for there in [true, false] {
        let mut stage = stage();
        stage.path(&client(1), &OPEN);
        stage.said();
        if there {
            stage.look.there.insert(1, Answer::There { state: TimeWait, left: TIME_WAIT });
        }
        let mini = Mini { in_doubt: true, ..MINI };
        stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), mini));
        let end = if there { "TIME_WAIT inferred" } else { "CLOSE kernel" };
        assert_eq!(stage.said(), [format!("10 1 FIN_WAIT2 {end}")]);
        assert_eq!(stage.life.deadline().is_some(), there);
    }
}

#[test]
fn the_same_ends_again_end_time_wait() {
    let mut stage = stage();
    stage.path(&client(1), &OPEN);
    stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), MINI));
    // In another namespace, they are not the same.
    let elsewhere = Socket { netns: Some(8), ..client(2) };
    stage.said();
    stage.state(11, elsewhere, Close, SynSent);
    assert_eq!(stage.said(), ["11 2 CLOSE SYN_SENT kernel"]);
    stage.state(12, client(3), Close, SynSent);
    assert_eq!(stage.said(), ["12 1 TIME_WAIT CLOSE inferred", "12 3 CLOSE SYN_SENT kernel"]);
    assert_eq!(stage.life.deadline(), None);
}

#[test]
fn a_request_that_comes_to_nothing_is_over_at_its_deadline() {
    let mut stage = stage();
    stage.half_open(10, server(2), 1);
    let deadline = stage.life.deadline().unwrap();
    // 1 s and 2 s, with what timers are late by.
    assert!((10 + 3 * SECOND..14 * SECOND).contains(&deadline));
    stage.said();
    stage.tick(deadline);
    let Some(Event { body: Body::State(state), .. }) = stage.out.first() else {
        panic!("{:?}", stage.out)
    };
    // It can have been over for a while.
    assert_eq!(state.in_state, None);
    assert_eq!(stage.said(), [format!("{deadline} 2 SYN_RECV CLOSE timer")]);
}

#[test]
fn a_request_that_becomes_a_connection_has_no_deadline() {
    let mut stage = stage();
    stage.half_open(10, server(2), 5);
    stage.path(&server(2), &[Listen, SynRecv, Established]);
    assert_eq!(stage.life.deadline(), None);
    assert!(stage.said().iter().all(|said| !said.contains("gap") && !said.contains("cookie")));
}

#[test]
fn a_connection_without_a_request_came_by_a_syn_cookie() {
    let mut stage = stage();
    stage.path(&server(2), &[Listen, SynRecv, Established]);
    assert_eq!(stage.said()[1..], ["2 2 syn_cookie inferred", "2 2 SYN_RECV ESTABLISHED kernel"]);
    // Not where a request may be older than the hooks, nor where nobody listens.
    let mut stage = with(|rules| rules.requests_told = false);
    stage.path(&server(2), &[Listen, SynRecv, Established]);
    let mut crossed = self::stage();
    crossed.path(&client(1), &[Close, SynSent, SynRecv, Established]);
    let said = stage.said().into_iter().chain(crossed.said());
    assert!(said.into_iter().all(|said| !said.contains("cookie")));
}

fn peers(stage: &Stage) -> Vec<(u64, Option<u64>)> {
    let sockets = stage.out.iter().filter_map(|event| event.body.socket());
    sockets.map(|socket| (socket.id.0, socket.peer.map(|peer| peer.0))).collect()
}

#[test]
fn two_ends_know_each_other_to_the_last() {
    let mut stage = stage();
    stage.state(1, client(1), Close, SynSent);
    stage.half_open(2, server(2), 5);
    stage.path(&server(2), &[Listen, SynRecv, Established]);
    stage.state(5, client(1), SynSent, Established);
    stage.state(6, server(2), Established, Close);
    stage.state(7, client(1), Established, Close);
    assert_eq!(
        peers(&stage),
        [
            (1, None),
            (2, Some(1)),
            (2, Some(1)),
            (2, Some(1)),
            (1, Some(2)),
            (2, Some(1)),
            (1, Some(2))
        ]
    );
}

#[test]
fn ends_in_other_namespaces_are_peers_if_there_is_but_one_and_it_is_not_loopback() {
    let ends = ["10.0.0.1:4000", "10.0.0.2:80"];
    let one = Socket { netns: Some(1), ..socket(1, ends[0], ends[1]) };
    let other = |id, netns| Socket { netns: Some(netns), ..socket(id, ends[1], ends[0]) };
    let mut stage = stage();
    stage.state(1, other(2, 2), Listen, SynRecv);
    stage.state(2, one.clone(), Close, SynSent);
    assert_eq!(peers(&stage)[1], (1, Some(2)));

    let mut stage = self::stage();
    stage.state(1, other(2, 2), Listen, SynRecv);
    stage.state(1, other(3, 3), Listen, SynRecv);
    stage.state(2, one, Close, SynSent);
    assert_eq!(peers(&stage)[2], (1, None));

    let mut stage = self::stage();
    stage.state(1, Socket { netns: Some(2), ..server(2) }, Listen, SynRecv);
    stage.state(2, client(1), Close, SynSent);
    assert_eq!(peers(&stage)[1], (1, None));
}

#[test]
fn an_ipv4_end_in_an_ipv6_socket_is_a_peer() {
    let mut stage = stage();
    stage.state(1, socket(1, "[::ffff:127.0.0.1]:4000", "[::ffff:127.0.0.1]:80"), Close, SynSent);
    stage.state(2, server(2), Listen, SynRecv);
    assert_eq!(peers(&stage)[1], (2, Some(1)));
}

#[test]
fn what_cannot_be_is_said_and_what_can_be_is_not() {
    let gaps = |path: &[(TcpState, TcpState)]| {
        let mut stage = stage();
        for (at, (old, new)) in path.iter().enumerate() {
            stage.state(at as u64, client(1), *old, *new);
        }
        stage.said().iter().filter(|said| said.contains(" gap ")).count()
    };
    assert_eq!(gaps(&[(Close, SynSent), (SynSent, Established), (Established, Close)]), 0);
    // Something is missing between, at the beginning, or TCP has no such way.
    assert_eq!(gaps(&[(Close, SynSent), (Established, FinWait1)]), 1);
    assert_eq!(gaps(&[(Established, FinWait1)]), 1);
    assert_eq!(gaps(&[(Close, SynSent), (SynSent, LastAck)]), 1);
    // Again a beginning: the socket was used once more.
    assert_eq!(gaps(&[(Close, SynSent), (SynSent, Close), (Close, SynSent)]), 0);

    let mut stage = with(|rules| rules.complete = false);
    stage.state(1, client(1), Established, FinWait1);
    let late = Socket { born: false, ..client(2) };
    let mut joined = self::stage();
    joined.state(1, late, Established, FinWait1);
    assert_eq!((stage.said().len(), joined.said().len()), (1, 1));
}

#[test]
fn only_states_that_are_asked_for_are_shown() {
    let mut stage = with(|rules| {
        rules.states = TimeWait.bit();
        rules.complete = false;
    });
    stage.put(Input::Shrunk(event(10, client(1), FinWait2, Close), MINI));
    let mini = Mini { state: FinWait2, ..MINI };
    let other = socket(2, "127.0.0.1:4001", S);
    stage.put(Input::Shrunk(event(11, other, FinWait2, Close), mini));
    stage.put(Input::Told { at: 12, id: SocketId(2), state: Close });
    assert_eq!(stage.said(), ["10 1 FIN_WAIT2 TIME_WAIT inferred"]);
}

#[test]
fn what_finds_no_room_is_counted_once() {
    let mut stage = with(|rules| rules.max_sockets = 2);
    for id in 1..=5 {
        stage.state(id, socket(id, &format!("127.0.0.1:{id}"), S), Close, SynSent);
    }
    stage.said();
    assert_eq!(stage.life.deadline(), Some(0));
    stage.tick(9);
    let Some(Event { body: Body::Gap(gap), .. }) = stage.out.first() else {
        panic!("{:?}", stage.out)
    };
    assert_eq!((gap.count, stage.out.len(), stage.life.evicted()), (3, 1, 3));
    assert_eq!(stage.life.deadline(), None);
}

#[test]
fn many_that_end_together_take_one_look_and_leave_nothing() {
    let mut stage = stage();
    let count = 20_000_u64;
    for id in 1..=count {
        let [_, _, high, low] = (id as u32).to_be_bytes();
        let local = format!("127.0.{high}.{low}:4000");
        let socket = socket(id, &local, S);
        for pair in OPEN.windows(2) {
            stage.state(id, socket.clone(), pair[0], pair[1]);
        }
        stage.put(Input::Shrunk(event(id * 1000, socket, FinWait2, Close), MINI));
    }
    stage.said();
    let mut ends = 0;
    while let Some(deadline) = stage.life.deadline() {
        stage.tick(deadline + 40_000_000);
        ends += stage.said().len() as u64;
    }
    assert_eq!((ends, stage.look.asked as u64), (count, count));
    assert!(stage.look.looks < 10, "{}", stage.look.looks);
}

/// What the stage costs per event of a connection on loopback: `cargo test --release -p
/// netbreath cost_of -- --ignored --nocapture`.
#[test]
#[ignore = "prints a measurement, judges nothing"]
fn cost_of_the_stage() {
    let mut stage = stage();
    let (connections, mut events) = (200_000_u64, 0);
    let mut batch = Vec::new();
    let mut spent = 0;
    for id in 0..connections {
        let port = 1024 + id % 60_000;
        let (c, s) = (format!("127.0.0.1:{port}"), S);
        let (client, server) = (socket(id * 2 + 1, &c, s), socket(id * 2 + 2, s, &c));
        batch.push(Input::Event(event(id, client.clone(), Close, SynSent)));
        for pair in [SynSent, Established, FinWait1, FinWait2].windows(2) {
            batch.push(Input::Event(event(id, client.clone(), pair[0], pair[1])));
        }
        batch.push(Input::Shrunk(event(id, client, FinWait2, Close), MINI));
        for pair in [Listen, SynRecv, Established, CloseWait, LastAck, Close].windows(2) {
            batch.push(Input::Event(event(id, server.clone(), pair[0], pair[1])));
        }
        if batch.len() >= 4096 {
            events += batch.len();
            let now = cpu_time();
            for input in batch.drain(..) {
                stage.life.apply(input, &mut stage.look, &mut stage.out);
            }
            spent += cpu_time() - now;
            stage.out.clear();
        }
    }
    println!("{} ns an event of {} bytes", spent / events as i64, size_of::<Event>());
}

/// Nanoseconds that this thread has had: others use the machine, too.
fn cpu_time() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
