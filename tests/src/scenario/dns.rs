//! Messages of DNS: recognised, read, and with the process that sent or got them.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::judge::{Claim, Word};
use crate::ledger::Entry;
use crate::stage::Stage;
use crate::step::{Family, Proto};
use crate::task::Task;

const CLIENT: &str = "nb-client";
const SERVER: &str = "nb-server";

/// Types of records.
const A: u16 = 1;
const AAAA: u16 = 28;

fn trace(stage: &mut Stage) -> Result<()> {
    stage.trace_with(&["--event".to_owned(), "dns".to_owned()])
}

/// A message with one question and answers, each with its type and data.
fn message(
    id: u16,
    flags: u16,
    labels: &[&[u8]],
    kind: u16,
    answers: &[(u16, Vec<u8>)],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [id, flags, 1, answers.len() as u16, 0, 0] {
        bytes.extend(word.to_be_bytes());
    }
    for label in labels {
        bytes.push(label.len() as u8);
        bytes.extend(*label);
    }
    bytes.push(0);
    bytes.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
    for (kind, data) in answers {
        bytes.extend([0xc0, 12]);
        bytes.extend([kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        bytes.extend(60_u32.to_be_bytes());
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
    }
    bytes
}

fn address(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| format!("{text:?} is no address"))
}

fn server_at(task: &Task, at: SocketAddr) -> Result<Entry> {
    let family = if at.is_ipv4() { Family::V4 } else { Family::V6 };
    let socket = task.open(family, Proto::Udp)?;
    task.bind(&socket, at)?;
    Ok(socket)
}

/// A client that is connected, and its address.
fn client_of(task: &Task, to: SocketAddr) -> Result<(Entry, SocketAddr)> {
    let family = if to.is_ipv4() { Family::V4 } else { Family::V6 };
    let socket = task.open(family, Proto::Udp)?;
    let local = task.connect_on(&socket, to)?.local.context("a connected socket has an address")?;
    Ok((socket, local))
}

fn query(owner: &Claim, received: bool, name: &str, kind: &str) -> Word {
    Word::new("dns query", owner)
        .says("received", received)
        .says("name", name)
        .says("type", kind)
        .says("rcode", serde_json::Value::Null)
        .says("truncated", false)
}

fn response(owner: &Claim, received: bool, name: &str, rcode: &str, answers: &[&str]) -> Word {
    Word::new("dns response", owner)
        .says("received", received)
        .says("name", name)
        .says("rcode", rcode)
        .says("answers", answers.to_vec())
        .counts("latency_ns")
}

/// A client asks a stub on this machine, which asks a server: both hops are seen, from
/// both of their ends.
pub fn through_a_stub(stage: &mut Stage) -> Result<()> {
    trace(stage)?;
    let (client, stub, server) = (stage.client()?, stage.server()?, stage.server()?);
    let (near, far) = (address("127.0.0.53:53")?, address("127.0.0.1:53")?);
    let (s, u) = (server_at(&server, far)?, server_at(&stub, near)?);
    let ask = message(0x1234, 0x0100, &[b"www", b"example", b"com"], A, &[]);
    let answers = [(A, vec![192, 0, 2, 1]), (A, vec![192, 0, 2, 2])];
    let answer = message(0x1234, 0x8180, &[b"www", b"example", b"com"], A, &answers);
    // Two rounds: each latency belongs to its own query.
    let (c, here) = client_of(&client, near)?;
    let f = stub.open(Family::V4, Proto::Udp)?;
    let mut there = None;
    for _ in 0..2 {
        client.send_to(&c, None, &ask)?;
        let (_, from) = stub.receive_from(&u, true)?;
        stub.send_to(&f, Some(far), &ask)?;
        let (_, stub_at) = server.receive_from(&s, true)?;
        server.send_to(&s, stub_at, &answer)?;
        stub.receive_from(&f, true)?;
        stub.send_to(&u, from, &answer)?;
        client.receive_from(&c, false)?;
        there = stub_at;
    }
    let there = there.context("a datagram has a sender")?;

    let (name, texts) = ("www.example.com", ["A 192.0.2.1", "A 192.0.2.2"]);
    let mut expect =
        |socket: &Entry, owner: &Claim, asks: bool, from: SocketAddr, to: SocketAddr| {
            let round = [
                query(owner, !asks, name, "A").from(from).to(to).says("id", 0x1234),
                response(owner, asks, name, "NOERROR", &texts).from(from).to(to).says("id", 0x1234),
            ];
            stage.expect_udp(socket, [round.clone(), round].concat());
        };
    let claim = |task: &Task, how, comm: &str| Claim {
        how,
        pids: vec![task.id],
        comm: Some(comm.to_owned()),
        uid: Some(0),
        exe: None,
        ..Claim::default()
    };
    expect(&c, &claim(&client, "connect", CLIENT), true, here, near);
    expect(&u, &claim(&stub, "bind", SERVER), false, near, here);
    expect(&f, &claim(&stub, "io", SERVER), true, there, far);
    expect(&s, &claim(&server, "bind", SERVER), false, far, there);
    Ok(())
}

/// IPv6; a name that does not exist, a server that fails, an answer without data.
pub fn v6_and_errors(stage: &mut Stage) -> Result<()> {
    trace(stage)?;
    let (client, server) = (stage.client()?, stage.server()?);
    let at = address("[::1]:53")?;
    let s = server_at(&server, at)?;
    let (c, here) = client_of(&client, at)?;
    let rounds = [
        (0x8183, "NXDOMAIN", Vec::new(), Vec::new()),
        (0x8182, "SERVFAIL", Vec::new(), Vec::new()),
        (0x8180, "NOERROR", Vec::new(), Vec::new()),
        (
            0x8180,
            "NOERROR",
            vec![(AAAA, vec![0x20; 16])],
            vec!["AAAA 2020:2020:2020:2020:2020:2020:2020:2020"],
        ),
    ];
    let (asker, answerer) =
        (stage.owner(&client, "connect", CLIENT), stage.owner(&server, "bind", SERVER));
    let (mut of_client, mut of_server) = (Vec::new(), Vec::new());
    for (number, (flags, rcode, answers, texts)) in (1..).zip(rounds) {
        client.send_to(&c, None, &message(number, 0x0100, &[b"x", b"test"], AAAA, &[]))?;
        let (_, from) = server.receive_from(&s, true)?;
        server.send_to(&s, from, &message(number, flags, &[b"x", b"test"], AAAA, &answers))?;
        client.receive_from(&c, false)?;
        for (words, owner, asks) in
            [(&mut of_client, &asker, true), (&mut of_server, &answerer, false)]
        {
            let (from, to) = if asks { (here, at) } else { (at, here) };
            words.push(query(owner, !asks, "x.test", "AAAA").from(from).to(to).says("id", number));
            words.push(response(owner, asks, "x.test", rcode, &texts).from(from).to(to));
        }
    }
    stage.expect_udp(&c, of_client);
    stage.expect_udp(&s, of_server);
    Ok(())
}

/// Names that would steer a terminal, a message longer than what is kept, an answer that
/// nobody asked for, and datagrams on the port that are no messages.
pub fn strange_messages(stage: &mut Stage) -> Result<()> {
    trace(stage)?;
    let (client, server) = (stage.client()?, stage.server()?);
    let at = address("127.0.0.1:53")?;
    let s = server_at(&server, at)?;
    let (c, here) = client_of(&client, at)?;
    let evil: &[&[u8]] = &[b"\x1b[31m", b"a.b", b"\xff"];
    let long: Vec<(u16, Vec<u8>)> = (0..40).map(|n| (A, vec![10, 0, 0, n])).collect();
    for data in [
        message(1, 0x0100, evil, 65_280, &[]),
        vec![0xff; 100],
        vec![7; 3],
        Vec::new(),
        message(2, 0x8180, &[b"long"], A, &long),
    ] {
        client.send_to(&c, None, &data)?;
        server.receive_from(&s, true)?;
    }
    let (asker, answerer) =
        (stage.owner(&client, "connect", CLIENT), stage.owner(&server, "bind", SERVER));
    // 512 bytes: the header, the question, and 30 records of 16 bytes.
    let texts: Vec<String> = (0..30).map(|n| format!("A 10.0.0.{n}")).collect();
    for (socket, owner, received, from, to) in
        [(&c, &asker, false, here, at), (&s, &answerer, true, at, here)]
    {
        let words = vec![
            query(owner, received, "\\027[31m.a\\.b.\\255", "TYPE65280").from(from).to(to),
            Word::new("dns response", owner)
                .from(from)
                .to(to)
                .says("received", received)
                .says("name", "long")
                .says("answers", texts.clone())
                .says("truncated", true)
                .says("latency_ns", serde_json::Value::Null),
        ];
        stage.expect_udp(socket, words);
    }
    Ok(())
}

/// A child asks through the connected socket of its parent: the query is the child's,
/// though nothing was seen of it on this socket before.
pub fn asked_by_a_child(stage: &mut Stage) -> Result<()> {
    trace(stage)?;
    let (client, server) = (stage.client()?, stage.server()?);
    let at = address("127.0.0.1:53")?;
    let s = server_at(&server, at)?;
    let (c, here) = client_of(&client, at)?;
    let child = client.fork("nb-child")?;
    let ask = message(9, 0x0100, &[b"child"], A, &[]);
    child.send_to(&c, None, &ask)?;
    let (_, from) = server.receive_from(&s, true)?;
    server.send_to(&s, from, &message(9, 0x8183, &[b"child"], A, &[]))?;
    child.receive_from(&c, false)?;
    let own = stage.owner(&child, "io", "nb-child");
    let says = |word: Word| word.from(here).to(at).says("opened_by.pid", client.id);
    stage.expect_udp(
        &c,
        vec![
            says(query(&own, false, "child", "A")),
            says(response(&own, true, "child", "NXDOMAIN", &[])),
        ],
    );
    let own = stage.owner(&server, "bind", SERVER);
    stage.expect_udp(
        &s,
        vec![query(&own, true, "child", "A"), response(&own, false, "child", "NXDOMAIN", &[])],
    );
    Ok(())
}
