//! One list of events for every test that needs some, and a source that plays them.
#![allow(dead_code, reason = "each test crate uses its part")]

use std::collections::VecDeque;
use std::future::pending;
use std::time::Duration;

use netbreath::event::{
    Accept, Body, Cause, Closed, Closer, Comm, ConnectFailed, Drop, Errno, Event, Family, Flow,
    Gap, HalfOpen, How, Owner, Proto, Reset, Retransmit, Seed, Segment, Socket, SocketId, State,
    Traffic, Via, write_json,
};
use netbreath::source::Source;
use netbreath_common::tcp::TcpState;

/// 2026-01-02 03:04:05 UTC, less the 1000 s that the machine has been up.
pub const BOOT: i64 = 1_767_323_045_000_000_000 - 1_000_000_000_000;

pub fn owner(pid: u32, comm: Comm, uid: u32, how: How) -> Option<Owner> {
    Some(Owner { pid, comm, exe: Some("/usr/bin/program".into()), uid, how })
}

pub fn socket(id: u64, local: &str, remote: &str, owner: Option<Owner>) -> Socket {
    Socket {
        id: SocketId(id),
        peer: None,
        proto: Proto::Tcp,
        flow: Flow {
            family: if local.starts_with('[') { Family::V6 } else { Family::V4 },
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        },
        owner,
        opened_by: None,
        netns: Some(4_026_531_833),
        cgroup: Some("/system.slice/nginx.service".into()),
        born: true,
    }
}

/// A client and a server, a server that did not answer, IPv6, names that attack the
/// terminal, unknown owners, and gaps.
pub fn events() -> Vec<Event> {
    use TcpState::{
        Close, CloseWait, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
        TimeWait,
    };
    let curl = || owner(4242, Comm::from_name("curl"), 1000, How::Connect);
    let nginx = |how| owner(812, Comm::from_name("nginx"), 33, how);
    let client = || socket(1, "192.168.100.107:46712", "93.184.216.134:443", curl());
    let unbound = || socket(1, "192.168.100.107:*", "93.184.216.134:443", curl());
    let server = |how| socket(2, "10.0.0.1:8080", "10.0.0.99:51234", nginx(how));
    let long = "[2001:db8:1234:5678:9abc:def0:1234:5678]";
    let wide = socket(
        3,
        &format!("{long}:51000"),
        &format!("{long}:65535"),
        owner(1_234_567, Comm::new(*b"a\x1b[2J\n\"b\",\xffcd\0\0\0"), 0, How::Snapshot),
    );
    let mut nobody = socket(4, "127.0.0.1:25", "127.0.0.1:40000", None);
    nobody.netns = None;
    nobody.cgroup = None;
    nobody.born = false;
    let state = |socket, old, new, in_state| Body::State(State { socket, old, new, in_state });
    let times = |known: &[(TcpState, u64)]| {
        let mut states = [0; TcpState::ALL.len()];
        for (state, time) in known {
            states[*state as usize - 1] = *time;
        }
        states
    };
    let gap = |what: &str, hook: Option<&str>, count| {
        Body::Gap(Gap {
            what: what.into(),
            why: "the ring was full".into(),
            mend: "give a larger --ring-size".into(),
            hook: hook.map(Into::into),
            unseen: Vec::new(),
            count,
        })
    };
    let bodies = vec![
        (0, Body::Clock { boot: BOOT }),
        (
            0,
            Body::Seed(Seed {
                socket: socket(9, "0.0.0.0:8080", "0.0.0.0:*", nginx(How::Snapshot)),
                state: Listen,
                fd: 6,
            }),
        ),
        (10, state(unbound(), Close, SynSent, None)),
        (
            20_200,
            Body::HalfOpen(HalfOpen {
                socket: server(How::Inherited),
                retries: Some(5),
                syn_cookie: false,
            }),
        ),
        (20_310, state(client(), SynSent, Established, Some(20_300_000))),
        (20_400, state(server(How::Inherited), Listen, SynRecv, None)),
        (20_431, state(server(How::Inherited), SynRecv, Established, Some(231_000))),
        (
            20_500,
            Body::Accept(Accept { socket: server(How::Accept), queued: Some(69_000), fd: Some(7) }),
        ),
        (30_000, gap("3 records were lost", None, 3)),
        (1_220_310, state(client(), Established, FinWait1, Some(1_200_000_000))),
        (1_220_400, state(server(How::Accept), Established, CloseWait, Some(1_199_969_000))),
        (1_220_450, state(server(How::Accept), CloseWait, LastAck, Some(50_000))),
        (1_220_500, state(client(), FinWait1, FinWait2, Some(190_000))),
        (1_220_501, state(client(), FinWait2, TimeWait, Some(999))),
        (1_220_502, state(server(How::Accept), LastAck, Close, Some(52_000))),
        (
            1_220_502,
            Body::Closed(Box::new(Closed {
                socket: server(How::Accept),
                cause: Some(Cause::Fin),
                closer: None,
                error: None,
                lasted: Some(1_200_102_000),
                connecting: Some(31_000),
                traffic: Some(Traffic {
                    bytes_sent: 15_000,
                    bytes_received: 78,
                    segments_sent: 14,
                    segments_received: 9,
                    retransmits: 1,
                    rtt: Some(20_312_000),
                }),
                states: times(&[
                    (SynRecv, 31_000),
                    (Established, 1_199_969_000),
                    (CloseWait, 50_000),
                    (LastAck, 52_000),
                ]),
            })),
        ),
        (
            1_220_503,
            Body::Closed(Box::new(Closed {
                socket: client(),
                cause: Some(Cause::Close),
                closer: Some(Closer { pid: 4242, comm: Comm::from_name("curl"), exe: None }),
                error: Errno::named("ECONNRESET"),
                lasted: None,
                connecting: None,
                traffic: None,
                states: times(&[]),
            })),
        ),
        (
            1_220_600,
            Body::Retransmit(Retransmit {
                socket: client(),
                segment: Segment::Data,
                count: 2,
                bytes: 1448,
                state: Established,
            }),
        ),
        (
            1_220_610,
            Body::Reset(Reset {
                socket: server(How::Accept),
                received: false,
                reason: Some("NO_SOCKET".into()),
                state: None,
            }),
        ),
        (
            1_220_611,
            Body::Reset(Reset {
                socket: Socket { id: SocketId(0), ..client() },
                received: true,
                reason: None,
                state: Some(SynSent),
            }),
        ),
        (
            1_220_620,
            Body::Drop(Drop {
                socket: server(How::Accept),
                reason: Some("TCP_CSUM".into()),
                state: Some(Established),
            }),
        ),
        (
            1_220_630,
            Body::ConnectFailed(ConnectFailed {
                socket: client(),
                error: Errno::named("ETIMEDOUT"),
                syns: 7,
                tried: Some(127_000_000_000),
            }),
        ),
        (
            1_220_640,
            Body::ConnectFailed(ConnectFailed {
                socket: client(),
                error: None,
                syns: 1,
                tried: None,
            }),
        ),
        (1_300_000, state(wide, SynSent, Close, Some(127_000_000_000))),
        (1_300_001, state(nobody, Established, CloseWait, None)),
        (1_400_000, gap("accept() is not watched", Some("accept"), 0)),
    ];
    let event = |(micros, body): (u64, Body)| Event {
        at: 1_000_000_000_000 + micros * 1_000,
        via: Via::Kernel,
        body,
    };
    bodies.into_iter().map(event).collect()
}

/// How many of them are rows of text: all but the clock, the seed and the gaps.
pub fn rows() -> usize {
    let aside = ["clock", "seed", "gap"];
    events().iter().filter(|event| !aside.contains(&event.body.name())).count()
}

/// How many lines of text they are: the header, the rows and the gaps.
pub fn lines() -> usize {
    1 + rows() + events().iter().filter(|event| event.body.name() == "gap").count()
}

/// The events as a recording.
pub fn recording() -> String {
    let mut recording = Vec::new();
    for event in events() {
        write_json(&event, BOOT, &mut recording);
        recording.push(b'\n');
    }
    String::from_utf8(recording).unwrap()
}

/// What a scripted source does next.
#[derive(Debug)]
pub enum Step {
    Give(Vec<Event>),
    Sleep(Duration),
    Hang,
    Fail,
}

/// A source that follows a script, and then ends.
#[derive(Debug, Default)]
pub struct Script {
    pub steps: VecDeque<Step>,
    pub at_finish: Vec<Event>,
    pub lost: u64,
    pub followed: Vec<u32>,
    /// The end of the pause that is under way: a dropped wait goes on later.
    until: Option<tokio::time::Instant>,
}

impl Script {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Script {
        Script { steps: steps.into_iter().collect(), ..Script::default() }
    }
}

impl Source for Script {
    type Error = std::io::Error;

    async fn next(&mut self, events: &mut Vec<Event>) -> std::io::Result<()> {
        loop {
            match self.steps.front() {
                None => return Ok(()),
                Some(Step::Hang) => pending().await,
                Some(Step::Sleep(time)) => {
                    let now = tokio::time::Instant::now();
                    tokio::time::sleep_until(*self.until.get_or_insert(now + *time)).await;
                    self.until = None;
                }
                Some(Step::Fail) => return Err(std::io::Error::other("the script fails here")),
                Some(Step::Give(_)) => {}
            }
            // Only now, so that nothing is lost when we are dropped while we wait.
            if let Some(Step::Give(batch)) = self.steps.pop_front() {
                events.extend(batch);
                return Ok(());
            }
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> std::io::Result<()> {
        events.append(&mut self.at_finish);
        Ok(())
    }

    fn follow(&mut self, pid: u32) -> std::io::Result<()> {
        self.followed.push(pid);
        Ok(())
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

/// How a plan without wishes writes.
pub fn output(format: netbreath::cli::FormatName, width: Option<usize>) -> netbreath::plan::Output {
    use netbreath::view::trace::{LEAST_NEEDED, USUAL, column_named};
    netbreath::plan::Output {
        explain: None,
        format,
        columns: USUAL.iter().filter_map(|key| column_named(key)).collect(),
        spare: LEAST_NEEDED.to_vec(),
        width,
        style: netbreath::format::text::Style {
            colour: false,
            unicode: true,
            timestamps: netbreath::cli::Timestamps::Wall,
            timezone: jiff::tz::TimeZone::UTC,
        },
        lint: None,
        only: Vec::new(),
        names: false,
        seeds: false,
        keys: &netbreath::view::trace::KEYS,
        sockets: true,
        processes: false,
    }
}
