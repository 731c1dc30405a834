//! Each lint fires on the story that is made for it, and on no other; rules of `check`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::time::Duration;

use netbreath::check::{Check, Rule, Rules, Verdict};
use netbreath::event::{
    Accept, Body, Cause, Closed, Comm, ConnectFailed, Drop, Errno, Event, HalfOpen, Handover, How,
    Owner, Reset, Retransmit, Seed, Segment, Socket, State, Via,
};
use netbreath::filter::Network;
use netbreath::lint::{Finding, Lints, Name, Thresholds};
use netbreath_common::tcp::TcpState;

mod script;

const SECOND: u64 = 1_000_000_000;

fn web(how: How) -> Option<Owner> {
    script::owner(812, Comm::from_name("web"), 33, how)
}

fn server(id: u64, how: How) -> Socket {
    script::socket(id, "10.0.0.1:8080", &format!("10.0.0.9:{}", 1000 + id), web(how))
}

fn client(id: u64) -> Socket {
    let curl = script::owner(4242, Comm::from_name("curl"), 1000, How::Connect);
    script::socket(id, &format!("10.0.0.1:{}", 1000 + id), "10.0.0.7:80", curl)
}

fn event(at: u64, body: Body) -> Event {
    Event { at, via: Via::Kernel, body }
}

fn state(at: u64, socket: Socket, old: TcpState, new: TcpState) -> Event {
    event(at, Body::State(State { socket, old, new, in_state: Some(1000) }))
}

fn again(at: u64, socket: Socket, segment: Segment, count: u32) -> Event {
    let state = TcpState::Established;
    event(at, Body::Retransmit(Retransmit { socket, segment, count, bytes: 100, state }))
}

/// A connection that comes in and is accepted, or waits.
fn incoming(at: u64, id: u64, accepted: bool) -> Vec<Event> {
    use TcpState::{Established, Listen, SynRecv};
    let half_open =
        HalfOpen { socket: server(id, How::Inherited), retries: Some(5), syn_cookie: false };
    let mut events = vec![
        event(at, Body::HalfOpen(half_open)),
        state(at + 1, server(id, How::Inherited), Listen, SynRecv),
        state(at + 2, server(id, How::Inherited), SynRecv, Established),
    ];
    if accepted {
        let socket = server(id, How::Accept);
        events.push(event(at + 3, Body::Accept(Accept { socket, queued: Some(1), fd: Some(4) })));
    }
    events
}

fn found(events: Vec<Event>, after: u64) -> Vec<Finding> {
    let mut lints = Lints::new(Thresholds::default());
    let mut findings = Vec::new();
    let mut last = 0;
    for event in events {
        last = event.at;
        lints.event(&event, &mut findings);
    }
    lints.advance(last + after, &mut findings);
    findings
}

fn names(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.lint.name()).collect()
}

#[test]
fn ordinary_traffic_is_silent() {
    use TcpState::{Close, CloseWait, Established, FinWait1, FinWait2, LastAck, SynSent, TimeWait};
    let mut events = Vec::new();
    for id in 1..2000 {
        let at = id * 10_000_000;
        let (near, far) = (client(id + 10_000), server(id, How::Accept));
        events.push(state(at, near.clone(), Close, SynSent));
        events.push(state(at + 10, near.clone(), SynSent, Established));
        events.extend(incoming(at + 20, id, true));
        events.push(state(at + 100, near.clone(), Established, FinWait1));
        events.push(state(at + 110, far.clone(), Established, CloseWait));
        events.push(state(at + 120, near.clone(), FinWait1, FinWait2));
        events.push(state(at + 130, far.clone(), CloseWait, LastAck));
        events.push(state(at + 140, near.clone(), FinWait2, TimeWait));
        events.push(state(at + 150, far, LastAck, Close));
        // A segment is lost now and then, a SYN too.
        if id % 50 == 0 {
            events.push(again(at + 160, near.clone(), Segment::Data, 1));
            events.push(again(at + 170, near, Segment::Syn, 1));
        }
    }
    assert_eq!(names(&found(events, 100 * SECOND)), [] as [&str; 0]);
}

#[test]
fn close_wait_is_found_when_its_time_is_over_and_not_before() {
    use TcpState::{Close, CloseWait, Established};
    let events = || vec![state(SECOND, server(1, How::Accept), Established, CloseWait)];
    assert_eq!(found(events(), 29 * SECOND), []);
    let findings = found(events(), 30 * SECOND);
    assert_eq!(names(&findings), ["close_wait"]);
    assert_eq!(findings[0].evidence, "in CLOSE_WAIT for 30 s");
    assert_eq!(findings[0].owner.as_ref().unwrap().pid, 812);
    // Found by the event that ends it, too.
    let mut events = events();
    events.push(state(40 * SECOND, server(1, How::Accept), CloseWait, Close));
    assert_eq!(names(&found(events, 0)), ["close_wait"]);
    // One that was there already.
    let mut old = server(2, How::Snapshot);
    old.born = false;
    let seed = Body::Seed(Seed { socket: old, state: CloseWait, fd: 3 });
    let findings = found(vec![event(SECOND, seed)], 31 * SECOND);
    assert_eq!(findings[0].evidence, "in CLOSE_WAIT for at least 31 s");
}

#[test]
fn close_wait_is_the_new_owners_after_a_change_of_hands() {
    let mut lints = Lints::new(Thresholds::default());
    let mut findings = Vec::new();
    let socket = server(1, How::Accept);
    let close_wait = state(SECOND, socket, TcpState::Established, TcpState::CloseWait);
    lints.event(&close_wait, &mut findings);
    let mut taken = server(1, How::Io);
    taken.owner.as_mut().unwrap().pid = 900;
    let handover = Handover { socket: taken, from: web(How::Accept) };
    lints.event(&event(2 * SECOND, Body::Owner(handover)), &mut findings);
    assert_eq!(lints.due(), Some(31 * SECOND));
    lints.advance(31 * SECOND, &mut findings);
    assert_eq!(findings[0].owner.as_ref().unwrap().pid, 900);
    assert_eq!(lints.due(), None);
}

#[test]
fn the_third_syn_is_one_too_many() {
    let syns = |count| (1..=count).map(|n| again(n.into(), client(1), Segment::Syn, n)).collect();
    assert_eq!(found(syns(1), 0), []);
    let findings = found(syns(5), 0);
    assert_eq!(names(&findings), ["syn_sent"]);
    assert_eq!(findings[0].evidence, "its SYN was sent 3 times without an answer");
}

#[test]
fn a_burst_is_many_in_a_short_time() {
    let data = |step: u64| -> Vec<Event> {
        (1..=20).map(|n| again(u64::from(n) * step, client(1), Segment::Data, n)).collect()
    };
    assert_eq!(names(&found(data(SECOND / 10), 0)), ["retransmit_burst"]);
    // As many, but slowly.
    assert_eq!(found(data(SECOND), 0), []);
}

#[test]
fn a_full_queue_is_told_by_the_kernel_or_by_a_syn_ack_that_comes_again() {
    let mut events = incoming(SECOND, 1, false);
    let dropped = |reason: &str| Drop {
        socket: server(2, How::Listen),
        reason: Some(reason.into()),
        state: None,
    };
    events.push(event(2 * SECOND, Body::Drop(dropped("TCP_LISTEN_OVERFLOW"))));
    events.push(event(3 * SECOND, Body::Drop(dropped("TCP_LISTEN_OVERFLOW"))));
    let findings = found(events, 0);
    assert_eq!(names(&findings), ["accept_queue"]);
    assert!(findings[0].evidence.starts_with("1 connections wait for accept()"));

    let mut events = incoming(SECOND, 1, false);
    events.push(again(2 * SECOND, server(2, How::Inherited), Segment::SynAck, 1));
    assert_eq!(names(&found(events, 0)), ["accept_queue"]);

    // A client on this machine whose SYN the kernel threw away.
    let own = |id| {
        script::socket(
            id,
            "10.0.0.1:4000",
            "10.0.0.1:8080",
            script::owner(1, Comm::from_name("x"), 0, How::Connect),
        )
    };
    let mut events = incoming(SECOND, 1, false);
    events.push(again(2 * SECOND, own(2), Segment::Syn, 1));
    let findings = found(events, 0);
    assert_eq!(names(&findings), ["accept_queue"]);
    assert_eq!(findings[0].owner.as_ref().unwrap().pid, 812);
    assert_eq!(findings[0].flow.unwrap().local.port, 8080);

    // Nobody waits, or only just: then it is the network.
    let mut events = incoming(SECOND, 1, true);
    events.push(again(2 * SECOND, server(2, How::Inherited), Segment::SynAck, 1));
    events.extend(incoming(3 * SECOND, 3, false));
    events.push(again(3 * SECOND + 1000, server(4, How::Inherited), Segment::SynAck, 1));
    events.push(event(4 * SECOND, Body::Drop(dropped("TCP_CSUM"))));
    assert_eq!(found(events, 0), []);
}

#[test]
fn local_ports_run_out_towards_one_peer() {
    let closed = |count: u64| -> Vec<Event> {
        (1..=count)
            .map(|id| state(id, client(id), TcpState::FinWait2, TcpState::TimeWait))
            .collect()
    };
    assert_eq!(found(closed(21_173), 0), []);
    let findings = found(closed(22_000), 0);
    assert_eq!(names(&findings), ["port_exhaustion"]);
    assert!(findings[0].evidence.starts_with("21174 of 28232 local ports towards 10.0.0.7:80"));
    // A server's port is one.
    let server = (1..=22_000)
        .map(|id| state(id, server(id, How::Accept), TcpState::FinWait2, TcpState::TimeWait));
    assert_eq!(found(server.collect(), 0), []);
    let failed = ConnectFailed {
        socket: client(1),
        error: Errno::named("EADDRNOTAVAIL"),
        syns: 0,
        tried: Some(1),
    };
    assert_eq!(names(&found(vec![event(1, Body::ConnectFailed(failed))], 0)), ["port_exhaustion"]);
}

fn closed(cause: Cause) -> Event {
    event(
        SECOND,
        Body::Closed(Box::new(Closed {
            socket: server(1, How::Accept),
            cause: Some(cause),
            closer: None,
            error: None,
            lasted: Some(1),
            connecting: Some(1),
            traffic: None,
            states: [0; TcpState::ALL.len()],
        })),
    )
}

#[test]
fn of_all_ends_only_unread_data_is_odd() {
    for cause in Cause::ALL {
        let findings = found(vec![closed(cause)], 0);
        let expected: &[&str] = if cause == Cause::Unread { &["unread_reset"] } else { &[] };
        assert_eq!(names(&findings), expected);
    }
}

#[test]
fn a_listener_on_all_addresses_is_told_once() {
    let any = |id, addr: &str| script::socket(id, addr, "0.0.0.0:*", web(How::Listen));
    let listens = |at, socket| state(at, socket, TcpState::Close, TcpState::Listen);
    let v6 = script::socket(2, "[::]:443", "[::]:*", web(How::Listen));
    let events = vec![
        listens(1, any(1, "0.0.0.0:80")),
        listens(2, any(1, "0.0.0.0:80")),
        listens(3, v6),
        listens(4, any(3, "127.0.0.1:80")),
    ];
    assert_eq!(names(&found(events, 0)), ["wildcard_listener", "wildcard_listener"]);
}

#[test]
fn a_flood_is_more_half_open_connections_than_a_listener_should_have() {
    let half_open = |id| {
        let socket = server(id, How::Inherited);
        event(id, Body::HalfOpen(HalfOpen { socket, retries: Some(5), syn_cookie: false }))
    };
    assert_eq!(found((1..=128).map(half_open).collect(), 0), []);
    assert_eq!(names(&found((1..=200).map(half_open).collect(), 0)), ["half_open_flood"]);
    // As many that become connections.
    let events = (1..=200).flat_map(|id| incoming(id * 10, id, true)).collect();
    assert_eq!(found(events, 0), []);
}

#[test]
fn every_lint_has_its_name_and_its_lesson() {
    for lint in Name::ALL {
        assert_eq!(Name::named(lint.name()), Some(lint));
        assert!(lint.lesson().len() > 40, "{}", lint.name());
        let lessons = netbreath::lesson::find(lint.topic(), netbreath::lesson::Language::En);
        assert!(!lessons.is_empty(), "no lesson about {}", lint.topic());
    }
}

fn judged(rules: Vec<Rule>, events: &[Event]) -> Verdict {
    let thresholds = Thresholds { close_wait: Duration::from_secs(1), ..Thresholds::default() };
    let mut check = Check::new(Rules { rules, thresholds });
    for event in events {
        check.event(event);
    }
    check.advance(events.last().map_or(0, |event| event.at) + 2 * SECOND);
    check.verdict(0, 1.5)
}

#[test]
fn each_rule_is_broken_by_what_it_forbids_and_by_nothing_else() {
    use TcpState::{Close, CloseWait, Established, SynSent};
    let network = |addr: &str, prefix| Network { addr: addr.parse().unwrap(), prefix };
    let reset =
        Reset { socket: client(1), received: true, reason: Some("NO_SOCKET".into()), state: None };
    let failed = ConnectFailed {
        socket: client(1),
        error: Errno::named("ECONNREFUSED"),
        syns: 1,
        tried: Some(10),
    };
    let dropped = Drop { socket: client(1), reason: Some("TCP_CSUM".into()), state: None };
    let slow = Body::State(State {
        socket: client(1),
        old: SynSent,
        new: Established,
        in_state: Some(2 * SECOND),
    });
    let cases = [
        (Rule::NoReset, event(1, Body::Reset(reset))),
        (Rule::NoRetransmit, again(1, client(1), Segment::Data, 1)),
        (Rule::NoDrop, event(1, Body::Drop(dropped))),
        (Rule::NoConnectFailed, event(1, Body::ConnectFailed(failed))),
        (Rule::No(Name::UnreadReset), closed(Cause::Unread)),
        (Rule::MaxConnect(Duration::from_secs(1)), event(1, slow)),
        (
            Rule::MaxCloseWait(Duration::from_secs(1)),
            state(1, server(1, How::Accept), Established, CloseWait),
        ),
        (Rule::AllowRemote(vec![network("127.0.0.0", 8)]), state(1, client(1), Close, SynSent)),
    ];
    let ordinary = incoming(1, 1, true);
    for (place, (rule, event)) in cases.iter().enumerate() {
        let text = judged(vec![rule.clone()], std::slice::from_ref(event)).text;
        assert!(text.starts_with("FAIL  "), "{text}");
        for (other, (_, event)) in cases.iter().enumerate() {
            let verdict = judged(vec![rule.clone()], std::slice::from_ref(event));
            assert_eq!(verdict.passed, place != other, "{rule:?} {event:?}");
        }
        let here = matches!(rule, Rule::AllowRemote(_));
        assert_eq!(judged(vec![rule.clone()], &ordinary).passed, !here, "{rule:?}");
    }
    let allowed = Rule::AllowRemote(vec![network("10.0.0.0", 24)]);
    assert!(judged(vec![allowed], &[state(1, client(1), Close, SynSent)]).passed);
    assert!(!judged(vec![Rule::MinConnections(2)], &ordinary).passed);
    assert!(judged(vec![Rule::MinConnections(1)], &ordinary).passed);
    let many: Vec<Event> = (1..=3).map(|n| again(n.into(), client(1), Segment::Fin, n)).collect();
    assert!(judged(vec![Rule::MaxRetransmits(3)], &many).passed);
    assert!(!judged(vec![Rule::MaxRetransmits(2)], &many).passed);
}

#[test]
fn a_verdict_as_text_and_as_junit() {
    let events: Vec<Event> =
        (1..=12).map(|n| again(n.into(), client(1), Segment::Data, n)).collect();
    let rules = vec![Rule::NoReset, Rule::NoRetransmit, Rule::MinConnections(1)];
    let verdict = judged(rules, &events);
    insta::assert_snapshot!(format!("{}\n{}", verdict.text, verdict.junit));
}
