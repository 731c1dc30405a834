//! UDP, DNS and UNIX sockets in every format, against what they are to look like, and
//! back from a recording.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use netbreath::cli::FormatName;
use netbreath::event::{
    Body, Comm, Datagrams, Dns, DnsMessage, Event, How, Line, Proto, Socket, SocketId, Udp,
    UdpWhat, Unix, UnixKind, UnixWhat, Via, write_json,
};
use netbreath::plan::Output;
use netbreath::run::Lines;
use netbreath::view::trace::column_named;

mod script;

fn events() -> Vec<Event> {
    let dig = |how| script::owner(77, Comm::from_name("dig"), 1000, how);
    let evil = || script::owner(78, Comm::from_name("\x1b[2J,\"x"), 0, How::Io);
    let socket = |local: &str, remote: &str, how| Socket {
        proto: Proto::Udp,
        ..script::socket(9, local, remote, dig(how))
    };
    let unbound = || socket("0.0.0.0:*", "127.0.0.53:53", How::Connect);
    let bound = || socket("127.0.0.1:40000", "127.0.0.53:53", How::Connect);
    let udp = |socket, what, bytes, traffic| Body::Udp(Udp { socket, what, bytes, traffic });
    let dns = |received, latency, message| {
        Body::Dns(Box::new(Dns { socket: bound(), message, received, latency }))
    };
    let query = DnsMessage {
        id: 4711,
        response: false,
        name: Some("example.com".into()),
        kind: Some("A".into()),
        rcode: None,
        answers: Vec::new(),
        truncated: false,
    };
    let answer = DnsMessage {
        response: true,
        rcode: Some("NOERROR".into()),
        answers: vec!["CNAME www.example.com".into(), "A 192.0.2.1".into()],
        ..query.clone()
    };
    let none = DnsMessage {
        rcode: Some("NXDOMAIN".into()),
        answers: Vec::new(),
        name: Some("a\\027\\.b".into()),
        truncated: true,
        ..answer.clone()
    };
    let empty = DnsMessage { name: None, kind: None, answers: Vec::new(), ..answer.clone() };
    let unix = |what, id: u64, peer: Option<u64>, path: Option<&str>, owner, peer_owner| Unix {
        what,
        id: SocketId::of_inode(id),
        peer: peer.map(SocketId::of_inode),
        kind: UnixKind::Stream,
        path: path.map(Into::into),
        fd: Some(5),
        owner,
        from: None,
        peer_owner,
        opened_by: None,
        netns: Some(4_026_531_833),
        cgroup: None,
        born: true,
    };
    let (run, listens) = (Some("/run/x.sock"), || dig(How::Listen));
    let (accepts, connects) = (|| dig(How::Accept), || dig(How::Connect));
    let bodies = vec![
        udp(socket("0.0.0.0:5353", "0.0.0.0:*", How::Bind), UdpWhat::Bind, None, None),
        udp(unbound(), UdpWhat::Connect, None, None),
        udp(bound(), UdpWhat::Send, Some(29), None),
        udp(bound(), UdpWhat::Receive, Some(0), None),
        udp(
            bound(),
            UdpWhat::Close,
            None,
            Some(Datagrams { bytes_sent: 29, bytes_received: 90, sent: 1, received: 2 }),
        ),
        dns(false, None, query),
        dns(true, Some(1_204_000), answer),
        dns(true, None, none),
        dns(true, None, empty),
        Body::Unix(Box::new(unix(UnixWhat::Listen, 100, None, run, listens(), None))),
        Body::Unix(Box::new(Unix {
            kind: UnixKind::Seqpacket,
            ..unix(UnixWhat::Connect, 101, None, Some("@a\x1b[2J\0b"), connects(), listens())
        })),
        Body::Unix(Box::new(unix(UnixWhat::Accept, 102, Some(101), run, accepts(), connects()))),
        Body::Unix(Box::new(Unix {
            from: accepts(),
            opened_by: accepts(),
            fd: None,
            ..unix(UnixWhat::Owner, 102, Some(101), run, evil(), None)
        })),
        Body::Unix(Box::new(Unix {
            kind: UnixKind::Dgram,
            born: false,
            ..unix(UnixWhat::Seed, 103, None, None, dig(How::Snapshot), None)
        })),
        Body::Unix(Box::new(unix(UnixWhat::Close, 101, Some(102), run, connects(), evil()))),
        Body::Unix(Box::new(unix(UnixWhat::Close, 100, None, run, None, None))),
    ];
    let clock = Event { at: 0, via: Via::Timer, body: Body::Clock { boot: script::BOOT } };
    let event = |(at, body): (u64, Body)| Event {
        at: 1_000_000_000_000 + at * 1_000_000,
        via: Via::Kernel,
        body,
    };
    [clock].into_iter().chain((1..).zip(bodies).map(event)).collect()
}

fn written(output: &Output) -> String {
    let mut lines = Lines::new(output);
    let mut out = Vec::new();
    lines.begin(&mut out);
    for event in events() {
        lines.event(&event, &mut out);
    }
    lines.end(&mut out);
    let text = String::from_utf8(out).unwrap();
    // No byte of the output can steer a terminal.
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    text
}

#[test]
fn text_at_120_columns() {
    insta::assert_snapshot!(written(&script::output(FormatName::Text, Some(120))));
}

#[test]
fn text_piped_with_seeds() {
    let mut output = script::output(FormatName::Text, None);
    output.seeds = true;
    insta::assert_snapshot!(written(&output));
}

#[test]
fn json() {
    insta::assert_snapshot!(written(&script::output(FormatName::Json, None)));
}

#[test]
fn csv() {
    let mut output = script::output(FormatName::Csv, None);
    let more = ["sent", "received", "socket"];
    output.columns.extend(more.iter().filter_map(|key| column_named(key)));
    insta::assert_snapshot!(written(&output));
}

#[test]
fn jsonl() {
    insta::assert_snapshot!(written(&script::output(FormatName::Jsonl, None)));
}

#[test]
fn every_event_survives_the_way_there_and_back() {
    for event in events() {
        let mut line = Vec::new();
        write_json(&event, script::BOOT, &mut line);
        let line = String::from_utf8(line).unwrap();
        let read: Line = serde_json::from_str(&line).unwrap();
        assert_eq!(read.event(script::BOOT).unwrap(), event, "{line}");
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let mut line = Vec::new();
    write_json(&events()[1], script::BOOT, &mut line);
    let line = String::from_utf8(line).unwrap();
    for (from, to, message) in [
        (
            r#""what":"bind""#,
            r#""what":"fly""#,
            r#"an event of kind "udp" has no "what" that is "fly""#,
        ),
        (r#""what":"bind","#, "", r#"an event of kind "udp" needs the key "what""#),
        (
            r#""proto":"udp""#,
            r#""proto":"unix""#,
            r#"an event of kind "udp" has no "proto" that is "unix""#,
        ),
    ] {
        let changed = line.replace(from, to).replace(",,", ",");
        let read: Line = serde_json::from_str(&changed).unwrap();
        assert_eq!(read.event(script::BOOT).unwrap_err().to_string(), message);
    }
}
