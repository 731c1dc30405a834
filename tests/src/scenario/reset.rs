//! Ends by RST, from either side and in every state that has one.

use anyhow::{Result, bail};

use super::{LISTENER, V4};
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
    stage.expect_meeting(&meeting, CLIENT, SERVER)
}

pub fn by_server(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.server.abort(&meeting.s)?;
    reset(meeting.client.drain(&meeting.c)?)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(&meeting, CLIENT, SERVER)
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
    stage.expect_meeting(&meeting, CLIENT, SERVER)
}

pub fn server_leaves_data_unread(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.send(&meeting.c, 100)?;
    meeting.server.readable(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    reset(meeting.client.drain(&meeting.c)?)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(&meeting, CLIENT, SERVER)
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
    stage.expect_meeting(&meeting, super::ACTIVE_CUT, "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE")
}

/// The client is gone for good, the server writes on: the answer is a RST.
pub fn of_a_peer_that_writes_on(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.send(&meeting.s, 100)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, super::ACTIVE_CUT, "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE")
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
    stage.expect(&s, SERVER)
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
    stage.expect_unaccepted(&listener, &c, SERVER)
}

/// The scenario itself must have worked.
fn reset(errno: Option<i32>) -> Result<()> {
    if errno != Some(libc::ECONNRESET) {
        bail!("the peer saw {errno:?}, not a reset");
    }
    Ok(())
}
