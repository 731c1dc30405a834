//! UDP sockets: whose they are, what became of them, and what went through them.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use crate::judge::{Claim, Word};
use crate::ledger::Entry;
use crate::stage::Stage;
use crate::step::{Family, Proto};
use crate::task::Task;

const CLIENT: &str = "nb-client";
const SERVER: &str = "nb-server";

fn trace(stage: &mut Stage, more: &[&str]) -> Result<()> {
    let options = [&["--event", "udp,owner,seed"], more].concat();
    stage.trace_with(&options.into_iter().map(str::to_owned).collect::<Vec<_>>())
}

fn address(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| format!("{text:?} is no address"))
}

fn open(task: &Task, at: SocketAddr) -> Result<Entry> {
    task.open(if at.is_ipv4() { Family::V4 } else { Family::V6 }, Proto::Udp)
}

fn bound(task: &Task, at: SocketAddr) -> Result<Entry> {
    let socket = open(task, at)?;
    task.bind(&socket, at)?;
    Ok(socket)
}

/// The end of a socket that has sent and received so much: datagrams and bytes.
fn close(owner: &Claim, sent: [u64; 2], received: [u64; 2]) -> Word {
    Word::new("udp close", owner)
        .says("datagrams_sent", sent[0])
        .says("bytes_sent", sent[1])
        .says("datagrams_received", received[0])
        .says("bytes_received", received[1])
}

/// A client connects and asks, a server answers whom it hears.
fn conversation(stage: &mut Stage, at: &str, to: &str) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    let (at, to) = (address(at)?, address(to)?);
    let (family, s) = (if at.is_ipv4() { 4 } else { 6 }, bound(&server, at)?);
    let c = open(&client, to)?;
    let connected = client.connect_on(&c, to)?;
    let local = connected.local.context("a connected socket has an address")?;
    client.send_to(&c, None, &[1; 10])?;
    let (data, from) = server.receive_from(&s, true)?;
    ensure!(data.len() == 10, "{} bytes came", data.len());
    let from = from.context("a datagram has a sender")?;
    server.send_to(&s, Some(from), &[2; 300])?;
    server.send_to(&s, Some(from), &[2; 4])?;
    for _ in 0..2 {
        client.receive_from(&c, false)?;
    }
    client.close(&c)?;
    server.close(&s)?;

    let own = stage.owner(&client, "connect", CLIENT);
    stage.expect_udp(
        &c,
        vec![
            Word::new("udp connect", &own).to(to).says("proto", "udp"),
            Word::new("udp send", &own).from(local).to(to).says("bytes", 10),
            Word::new("udp receive", &own).from(local).to(to).says("bytes", 300),
            close(&own, [1, 10], [2, 304]).from(local).to(to),
        ],
    );
    let own = stage.owner(&server, "bind", SERVER);
    stage.expect_udp(
        &s,
        vec![
            Word::new("udp bind", &own).from(at).says("family", family),
            Word::new("udp receive", &own).to(from).says("bytes", 10),
            Word::new("udp send", &own).to(from).says("bytes", 300),
            close(&own, [2, 304], [1, 10]).from(at),
        ],
    );
    Ok(())
}

pub fn connected(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    conversation(stage, "127.0.0.1:7000", "127.0.0.1:7000")
}

pub fn v6(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    conversation(stage, "[::1]:7000", "[::1]:7000")
}

/// IPv6 sockets that speak IPv4.
pub fn mapped(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    conversation(stage, "[::ffff:127.0.0.1]:7000", "[::ffff:127.0.0.1]:7000")
}

/// Neither end is connected, and the server does not ask who sent what it reads; the
/// first datagram of the client goes elsewhere than the second. The server is bound to
/// no address, so only a datagram tells which one it was sent to.
pub fn unconnected(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let (client, server, other) = (stage.client()?, stage.server()?, stage.server()?);
    let any = address("0.0.0.0:7000")?;
    let (s, o) = (bound(&server, any)?, bound(&other, address("127.0.0.1:7001")?)?);
    let (to, further) = (address("127.0.0.2:7000")?, address("127.0.0.1:7001")?);
    let c = open(&client, any)?;
    client.send_to(&c, Some(to), b"first")?;
    client.send_to(&c, Some(further), b"second")?;
    server.receive_from(&s, false)?;
    let (_, from) = other.receive_from(&o, true)?;
    let from = from.context("a datagram has a sender")?;
    client.close(&c)?;
    server.close(&s)?;
    other.close(&o)?;

    let own = stage.owner(&client, "io", CLIENT);
    stage.expect_udp(
        &c,
        vec![
            Word::new("udp send", &own).from(from).to(to).says("bytes", 5),
            close(&own, [2, 11], [0, 0]).to("0.0.0.0:*"),
        ],
    );
    let own = stage.owner(&server, "bind", SERVER);
    stage.expect_udp(
        &s,
        vec![
            Word::new("udp bind", &own).from(any).to("0.0.0.0:*"),
            Word::new("udp receive", &own).from(to).to(from).says("bytes", 5),
            close(&own, [0, 0], [1, 5]).from(any),
        ],
    );
    let own = stage.owner(&other, "bind", SERVER);
    stage.expect_udp(
        &o,
        vec![
            Word::new("udp bind", &own).from(further),
            Word::new("udp receive", &own).from(further).to(from).says("bytes", 6),
            close(&own, [0, 0], [1, 6]),
        ],
    );
    Ok(())
}

/// A datagram in two pieces is one, one that is only looked at is none yet, and an empty
/// one is one.
pub fn counts(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let (client, server) = (stage.client()?, stage.server()?);
    let at = address("127.0.0.1:7000")?;
    let s = bound(&server, at)?;
    let c = open(&client, at)?;
    let local = client.connect_on(&c, at)?.local.context("a connected socket has an address")?;
    client.send_part(&c, None, &[1; 3])?;
    client.send_to(&c, None, &[1; 4])?;
    client.send_to(&c, None, &[])?;
    for _ in 0..3 {
        let (data, _) = server.peek(&s)?;
        ensure!(data.len() == 7, "{} bytes are there", data.len());
    }
    for len in [7, 0] {
        let (data, _) = server.receive_from(&s, true)?;
        ensure!(data.len() == len, "{} bytes came", data.len());
    }
    client.close(&c)?;
    server.close(&s)?;
    let own = stage.owner(&client, "connect", CLIENT);
    stage.expect_udp(
        &c,
        vec![
            Word::new("udp connect", &own),
            // With the piece that made it whole.
            Word::new("udp send", &own).from(local).to(at).says("bytes", 4),
            close(&own, [2, 7], [0, 0]),
        ],
    );
    let own = stage.owner(&server, "bind", SERVER);
    stage.expect_udp(
        &s,
        vec![
            Word::new("udp bind", &own),
            Word::new("udp receive", &own).from(at).to(local).says("bytes", 7),
            close(&own, [0, 0], [2, 7]),
        ],
    );
    Ok(())
}

/// A child uses the socket of its parent, which takes it back, and closes it last.
pub fn shared_with_a_child(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let (client, server) = (stage.client()?, stage.server()?);
    let at = address("127.0.0.1:7000")?;
    let s = bound(&server, at)?;
    let worker = server.fork("nb-worker")?;
    let c = open(&client, at)?;
    let local = client.connect_on(&c, at)?.local.context("a connected socket has an address")?;
    for reader in [&worker, &server, &worker] {
        client.send_to(&c, None, b"x")?;
        reader.receive_from(&s, true)?;
    }
    server.close(&s)?;
    worker.send_to(&s, Some(local), b"answer")?;
    client.receive_from(&c, false)?;
    worker.close(&s)?;
    client.close(&c)?;

    let first = stage.owner(&server, "bind", SERVER);
    let back = stage.owner(&server, "io", SERVER);
    let child = stage.owner(&worker, "io", "nb-worker");
    stage.expect_udp(
        &s,
        vec![
            Word::new("udp bind", &first),
            Word::new("owner", &child).from(at).says("from.pid", server.id),
            Word::new("udp receive", &child).to(local).says("opened_by.pid", server.id),
            Word::new("owner", &back).says("from.pid", worker.id),
            Word::new("owner", &child).says("from.pid", server.id),
            Word::new("udp send", &child).to(local).says("bytes", 6),
            close(&child, [1, 6], [3, 3]),
        ],
    );
    let own = stage.owner(&client, "connect", CLIENT);
    stage.expect_udp(
        &c,
        vec![
            Word::new("udp connect", &own),
            Word::new("udp send", &own),
            Word::new("udp receive", &own).to(at).says("bytes", 6),
            close(&own, [3, 3], [1, 6]),
        ],
    );
    Ok(())
}

/// A descriptor goes to a process that is no child.
pub fn passed(stage: &mut Stage) -> Result<()> {
    trace(stage, &[])?;
    let (client, server, other) = (stage.client()?, stage.server()?, stage.server()?);
    let at = address("127.0.0.1:7000")?;
    let s = bound(&server, at)?;
    let copy = other.fetch(&s)?;
    server.close(&s)?;
    let c = open(&client, at)?;
    client.send_to(&c, Some(at), b"x")?;
    let (_, from) = other.receive_from(&copy, true)?;
    let from = from.context("a datagram has a sender")?;
    // The end of a process is the end of its sockets.
    other.kill()?;
    client.kill()?;
    let (first, own) = (stage.owner(&server, "bind", SERVER), stage.owner(&other, "io", SERVER));
    stage.expect_udp(
        &s,
        vec![
            Word::new("udp bind", &first),
            Word::new("owner", &own).says("from.pid", server.id),
            Word::new("udp receive", &own).from(at).to(from).says("opened_by.pid", server.id),
            close(&own, [0, 0], [1, 1]),
        ],
    );
    let own = stage.owner(&client, "io", CLIENT);
    stage.expect_udp(
        &c,
        vec![Word::new("udp send", &own).from(from).to(at), close(&own, [1, 1], [0, 0])],
    );
    Ok(())
}

/// Sockets that are older than the tracer: bound, connected, and with a datagram in the
/// queue. What went through them before is not counted.
pub fn snapshot(stage: &mut Stage) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    let at = address("127.0.0.1:7000")?;
    let s = bound(&server, at)?;
    let c = open(&client, at)?;
    let local = client.connect_on(&c, at)?.local.context("a connected socket has an address")?;
    client.send_to(&c, None, &[1; 100])?;
    server.receive_from(&s, true)?;
    client.send_to(&c, None, &[1; 10])?;
    trace(stage, &[])?;
    server.receive_from(&s, true)?;
    server.send_to(&s, Some(local), &[1; 20])?;
    client.receive_from(&c, false)?;
    client.close(&c)?;
    server.close(&s)?;
    let own = stage.owner(&client, "snapshot", CLIENT);
    stage.expect_udp(
        &c,
        vec![
            Word::new("seed", &own)
                .from(local)
                .to(at)
                .says("state", "ESTABLISHED")
                .says("fd", c.fd),
            Word::new("udp receive", &own).from(local).to(at).says("bytes", 20),
            close(&own, [0, 0], [1, 20]),
        ],
    );
    let own = stage.owner(&server, "snapshot", SERVER);
    stage.expect_udp(
        &s,
        vec![
            Word::new("seed", &own).from(at).says("state", "CLOSE").says("fd", s.fd),
            Word::new("udp receive", &own).to(local).says("bytes", 10),
            Word::new("udp send", &own).to(local).says("bytes", 20),
            close(&own, [1, 20], [1, 10]),
        ],
    );
    Ok(())
}

/// The same ends in two namespaces are four sockets.
pub fn two_namespaces(stage: &mut Stage) -> Result<()> {
    let other = stage.another_namespace()?;
    trace(stage, &[])?;
    let here = (stage.client()?, stage.server()?);
    for (client, server) in [here, stage.pair_in(&other)?] {
        echo(stage, &client, &server, "127.0.0.1:7000", true, true)?;
    }
    Ok(())
}

/// One question and its answer; what is told of each end, if it is.
fn echo(
    stage: &mut Stage,
    client: &Task,
    server: &Task,
    at: &str,
    tells_client: bool,
    tells_server: bool,
) -> Result<()> {
    let at = address(at)?;
    let s = bound(server, at)?;
    let c = open(client, at)?;
    client.send_to(&c, Some(at), b"four")?;
    let (data, from) = server.receive_from(&s, true)?;
    server.send_to(&s, from, &data)?;
    client.receive_from(&c, false)?;
    client.close(&c)?;
    server.close(&s)?;
    let from = from.context("a datagram has a sender")?;
    let own = stage.owner(client, "io", CLIENT);
    let words = vec![
        Word::new("udp send", &own).from(from).to(at),
        Word::new("udp receive", &own).from(from).to(at),
        close(&own, [1, 4], [1, 4]),
    ];
    stage.expect_udp(&c, if tells_client { words } else { Vec::new() });
    let own = stage.owner(server, "bind", SERVER);
    let words = vec![
        Word::new("udp bind", &own).from(at),
        Word::new("udp receive", &own).from(at).to(from),
        Word::new("udp send", &own).from(at).to(from),
        close(&own, [1, 4], [1, 4]),
    ];
    stage.expect_udp(&s, if tells_server { words } else { Vec::new() });
    Ok(())
}

pub fn filter_pid(stage: &mut Stage) -> Result<()> {
    let (client, server, other) = (stage.client()?, stage.server()?, stage.client()?);
    trace(stage, &["--pid", &client.id.to_string()])?;
    echo(stage, &client, &server, "127.0.0.1:7000", true, false)?;
    echo(stage, &other, &server, "127.0.0.1:7001", false, false)
}

/// The local port of a socket that is not bound is chosen with its first datagram; there
/// is one to choose from.
pub fn filter_lport(stage: &mut Stage) -> Result<()> {
    stage.netns.inside(|| {
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000")
            .context("leave one local port to choose")
    })?;
    let (client, server) = (stage.client()?, stage.server()?);
    trace(stage, &["--lport", "40000,7001"])?;
    echo(stage, &client, &server, "127.0.0.1:7000", true, false)?;
    echo(stage, &client, &server, "127.0.0.1:7001", true, true)
}

/// Of a socket that is not connected, each datagram has another remote end: the first
/// that matches is told, and the end of the socket with it.
pub fn filter_raddr(stage: &mut Stage) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    trace(stage, &["--raddr", "127.0.0.2"])?;
    let (one, two) = (address("127.0.0.1:7000")?, address("127.0.0.2:7000")?);
    let s = bound(&server, address("0.0.0.0:7000")?)?;
    let c = open(&client, one)?;
    client.send_to(&c, Some(one), b"one")?;
    client.send_to(&c, Some(two), b"two")?;
    let (_, from) = server.receive_from(&s, true)?;
    server.receive_from(&s, true)?;
    client.close(&c)?;
    server.close(&s)?;
    let own = stage.owner(&client, "io", CLIENT);
    stage.expect_udp(
        &c,
        vec![
            Word::new("udp send", &own)
                .from(from.context("a datagram has a sender")?)
                .to(two)
                .says("bytes", 3),
            close(&own, [2, 6], [0, 0]),
        ],
    );
    stage.expect_udp(&s, Vec::new());
    Ok(())
}

/// Without being asked for, there is not a word about UDP.
pub fn not_asked_for(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    echo(stage, &client, &server, "127.0.0.1:53", false, false)
}

/// Many sockets at once, each with one question and its answer.
pub fn many(stage: &mut Stage) -> Result<()> {
    const PROCESSES: usize = 4;
    const EACH: usize = 250;
    trace(stage, &[])?;
    let server = stage.server()?;
    let at: SocketAddr = address("127.0.0.1:7000")?;
    let s = bound(&server, at)?;
    let mut clients = Vec::new();
    for _ in 0..PROCESSES {
        clients.push(stage.client()?);
    }
    server.start_echo(&s, PROCESSES * EACH)?;
    for client in &clients {
        client.start_ask(at.port(), 32, EACH)?;
    }
    for client in &clients {
        let sockets = client.finish()?;
        ensure!(sockets.len() == EACH, "{} sockets, not {EACH}", sockets.len());
        let own = stage.owner(client, "io", CLIENT);
        for socket in &sockets {
            // The kernel has an address for it only while it sends.
            let port = socket.local.context("a socket that was used has a port")?.port();
            let local = SocketAddr::new(at.ip(), port);
            stage.expect_udp(
                socket,
                vec![
                    Word::new("udp send", &own).from(local).to(at).says("bytes", 32),
                    Word::new("udp receive", &own).from(local).to(at).says("bytes", 32),
                    close(&own, [1, 32], [1, 32]),
                ],
            );
        }
    }
    server.finish()?;
    server.close(&s)?;
    let own = stage.owner(&server, "bind", SERVER);
    let all = (PROCESSES * EACH) as u64;
    stage.expect_udp(
        &s,
        vec![
            Word::new("udp bind", &own),
            Word::new("udp receive", &own).says("bytes", 32),
            Word::new("udp send", &own).says("bytes", 32),
            close(&own, [all, 32 * all], [all, 32 * all]),
        ],
    );
    Ok(())
}
