//! Ends by RST, from either side and in every state that has one.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::close::closed;
use super::{LISTENER, V4};
use crate::ledger::Entry;
use crate::stage::{Stage, address};
use crate::step::Call;

const CLIENT: &str = "CLOSE SYN_SENT ESTABLISHED CLOSE";
const SERVER: &str = "LISTEN SYN_RECV ESTABLISHED CLOSE";

pub fn by_client(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.abort(&meeting.c)?;
    reset(meeting.server.drain(&meeting.s)?)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, CLIENT, SERVER)?;
    told(stage, &meeting.c, "linger", &meeting.s)
}

pub fn by_server(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.server.abort(&meeting.s)?;
    reset(meeting.client.drain(&meeting.c)?)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(&meeting, CLIENT, SERVER)?;
    told(stage, &meeting.s, "linger", &meeting.c)
}

/// close() of a socket with data that was never read is a reset.
pub fn client_leaves_data_unread(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.server.send(&meeting.s, 100)?;
    meeting.client.readable(&meeting.c)?;
    meeting.client.close(&meeting.c)?;
    reset(meeting.server.drain(&meeting.s)?)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, CLIENT, SERVER)?;
    told(stage, &meeting.c, "unread", &meeting.s)
}

pub fn server_leaves_data_unread(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.send(&meeting.c, 100)?;
    meeting.server.readable(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    reset(meeting.client.drain(&meeting.c)?)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(&meeting, CLIENT, SERVER)?;
    told(stage, &meeting.s, "unread", &meeting.c)
}

pub fn of_a_half_closed_connection(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.shutdown_write(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    // Data takes the acknowledgement of the FIN with it; else that may come 40 ms
    // later, or never.
    meeting.server.send(&meeting.s, 100)?;
    meeting.client.receive(&meeting.c, 100)?;
    meeting.server.abort(&meeting.s)?;
    reset(meeting.client.drain(&meeting.c)?)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(
        &meeting,
        super::ACTIVE_CUT,
        "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE",
    )?;
    let refused = [("error", json!("ECONNRESET"))];
    closed(stage, &meeting.c, "local", "shutdown", &refused)?;
    closed(stage, &meeting.s, "remote", "fin", &[])?;
    received(stage, &meeting.c)?;
    sent(stage, &meeting.s)
}

/// The client is gone for good, the server writes on: the answer is a RST.
pub fn of_a_peer_that_writes_on(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.send(&meeting.s, 100)?;
    // The answer, which need not be here yet.
    stage.wait_until_told("CLOSE_WAIT", "CLOSE", 1, Duration::from_secs(10))?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(
        &meeting,
        super::ACTIVE_CUT,
        "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE",
    )?;
    closed(stage, &meeting.c, "local", "close", &[])?;
    closed(stage, &meeting.s, "remote", "fin", &[("error", json!("EPIPE"))])?;
    received(stage, &meeting.s)
}

/// The same, when what is left of the client is a mini-socket, and the answer is its.
pub fn of_a_peer_that_writes_late(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    stage.wait_until_told("FIN_WAIT1", "FIN_WAIT2", 1, Duration::from_secs(10))?;
    meeting.server.send(&meeting.s, 100)?;
    stage.wait_until_told("CLOSE_WAIT", "CLOSE", 1, Duration::from_secs(10))?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(
        &meeting,
        super::ACTIVE_CUT,
        "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE",
    )?;
    sent(stage, &meeting.c)?;
    received(stage, &meeting.s)
}

/// The connection is over before anybody accepts it, and is accepted all the same.
pub fn before_accept(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let c = client.connect(address(&listener)?)?;
    client.abort(&c)?;
    let mut s = server.accept(&listener, Call::Accept)?;
    // A socket that was reset has no peer, so the process cannot ask for it.
    s.remote = c.local;
    server.close(&s)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, CLIENT)?;
    stage.expect(&s, SERVER)?;
    told(stage, &c, "linger", &s)
}

/// Nobody ever accepts: the listener's end is the connection's.
pub fn listener_closes_with_a_queue(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let c = client.connect(address(&listener)?)?;
    server.close(&listener)?;
    reset(client.drain(&c)?)?;
    client.close(&c)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, CLIENT)?;
    stage.expect_unaccepted(&listener, &c, SERVER)?;
    received(stage, &c)?;
    closed(stage, &c, "remote", "reset", &[("error", json!("ECONNRESET"))])
}

/// One end reset the connection, for this reason, and both say so.
fn told(stage: &mut Stage, by: &Entry, cause: &str, other: &Entry) -> Result<()> {
    closed(stage, by, "local", cause, &[("error", Value::Null)])?;
    sent(stage, by)?;
    closed(stage, other, "remote", "reset", &[("error", json!("ECONNRESET"))])?;
    received(stage, other)
}

fn sent(stage: &mut Stage, by: &Entry) -> Result<()> {
    stage.expect_detail(by, "reset", &[("received", json!(false))])
}

fn received(stage: &mut Stage, by: &Entry) -> Result<()> {
    stage.expect_detail(by, "reset", &[("received", json!(true)), ("reason", Value::Null)])
}

/// The scenario itself must have worked.
fn reset(errno: Option<i32>) -> Result<()> {
    if errno != Some(libc::ECONNRESET) {
        bail!("the peer saw {errno:?}, not a reset");
    }
    Ok(())
}
