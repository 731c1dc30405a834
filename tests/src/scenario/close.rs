//! Ends in order: whoever closes first waits in FIN_WAIT1 and FIN_WAIT2.

use anyhow::Result;

use super::V4;
use crate::stage::Stage;

/// The same ends from the other side.
const ACTIVE_SERVER: &str = "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT";
const PASSIVE_CLIENT: &str = "CLOSE SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE";

pub fn client_first(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.send(&meeting.c, 100)?;
    meeting.server.receive(&meeting.s, 100)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, super::ACTIVE, super::PASSIVE)
}

pub fn server_first(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.server.close(&meeting.s)?;
    meeting.client.drain(&meeting.c)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(&meeting, PASSIVE_CLIENT, ACTIVE_SERVER)
}

/// The client says all it has to say and still gets an answer.
pub fn client_half(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.shutdown_write(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.send(&meeting.s, 1000)?;
    meeting.client.receive(&meeting.c, 1000)?;
    meeting.server.close(&meeting.s)?;
    meeting.client.drain(&meeting.c)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(&meeting, super::ACTIVE, super::PASSIVE)
}

pub fn server_half(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.server.shutdown_write(&meeting.s)?;
    meeting.client.drain(&meeting.c)?;
    meeting.client.send(&meeting.c, 1000)?;
    meeting.server.receive(&meeting.s, 1000)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, PASSIVE_CLIENT, ACTIVE_SERVER)
}

/// The two FINs cross. On loopback they cannot by themselves, so both sockets are
/// deaf while they close, and the server hears first: it has the client's FIN, but
/// no answer to its own, and that is CLOSING.
pub fn both_at_once(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.deaf(&meeting.c, true)?;
    meeting.server.deaf(&meeting.s, true)?;
    meeting.client.shutdown_write(&meeting.c)?;
    meeting.server.shutdown_write(&meeting.s)?;
    meeting.server.deaf(&meeting.s, false)?;
    meeting.server.drain(&meeting.s)?;
    meeting.client.deaf(&meeting.c, false)?;
    meeting.client.drain(&meeting.c)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.close(&meeting.s)?;
    let crossed = "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT";
    stage.expect_meeting(&meeting, super::ACTIVE, crossed)
}
