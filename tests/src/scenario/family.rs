//! Every kind of address and protocol, and every namespace.

use anyhow::Result;

use super::{ACTIVE, LISTENER, PASSIVE, V6};
use crate::ledger::Entry;
use crate::stage::{Stage, address};
use crate::step::{Call, Family, Proto};
use crate::task::Task;

pub fn v6(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V6)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, ACTIVE, PASSIVE)
}

/// An IPv6 socket that calls an IPv4 listener.
pub fn mapped_client(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen("127.0.0.1:80")?;
    let c = client.connect("[::ffff:127.0.0.1]:80".parse()?)?;
    finish(stage, &client, &c, &server, &listener)
}

/// An IPv4 socket that calls a listener for both families.
pub fn mapped_server(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen("[::]:80")?;
    let c = client.connect("127.0.0.1:80".parse()?)?;
    finish(stage, &client, &c, &server, &listener)
}

fn finish(
    stage: &mut Stage,
    client: &Task,
    c: &Entry,
    server: &Task,
    listener: &Entry,
) -> Result<()> {
    let s = server.accept(listener, Call::Accept4)?;
    client.close(c)?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(listener)?;
    stage.expect(listener, LISTENER)?;
    stage.expect(c, ACTIVE)?;
    stage.expect(&s, PASSIVE)
}

/// The same addresses and ports at the same time in two namespaces: nothing but the
/// namespace and the id tells them apart.
pub fn two_namespaces(stage: &mut Stage) -> Result<()> {
    let other = stage.another_namespace()?;
    stage.trace()?;
    let pairs = [(stage.client()?, stage.server()?), stage.pair_in(&other)?];
    let mut open = Vec::new();
    for (client, server) in &pairs {
        let listener = server.listen("127.0.0.1:80")?;
        let socket = client.open(Family::V4, Proto::Tcp)?;
        client.bind(&socket, "127.0.0.1:4000".parse()?)?;
        let c = client.connect_on(&socket, address(&listener)?)?;
        open.push((client, server, listener, c));
    }
    for (client, server, listener, c) in &open {
        finish(stage, client, c, server, listener)?;
    }
    Ok(())
}

/// The tracepoint reports the MPTCP socket that the process holds, and beside it
/// the subflows, which belong to the kernel.
pub fn mptcp(stage: &mut Stage) -> Result<()> {
    other_protocol(stage, Proto::Mptcp)
}

/// Its first transition is the end of its handshake, which comes on behalf of nobody.
pub fn sctp(stage: &mut Stage) -> Result<()> {
    let c = played(stage, Proto::Sctp)?;
    stage.expect_as_reported_of_nobody(&c)
}

pub fn dccp(stage: &mut Stage) -> Result<()> {
    other_protocol(stage, Proto::Dccp)
}

fn other_protocol(stage: &mut Stage, proto: Proto) -> Result<()> {
    let c = played(stage, proto)?;
    // The server's side is no one's in particular: an accepted MPTCP socket has the
    // cookie of its listener (6.18), so the two cannot be told apart by it.
    stage.expect_as_reported(&c)
}

fn played(stage: &mut Stage, proto: Proto) -> Result<Entry> {
    stage.trace()?;
    stage.allow_strangers();
    let (client, server) = (stage.client()?, stage.server()?);
    let socket = server.open(Family::V4, proto)?;
    server.bind(&socket, "127.0.0.1:80".parse()?)?;
    let listener = server.listen_on(&socket)?;
    let socket = client.open(Family::V4, proto)?;
    let c = client.connect_on(&socket, address(&listener)?)?;
    let s = server.accept(&listener, Call::Accept4)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(&listener)?;
    Ok(c)
}
