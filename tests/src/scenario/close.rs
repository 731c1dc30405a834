//! Ends in order: whoever closes first waits in FIN_WAIT1 and FIN_WAIT2.

use anyhow::Result;
use serde_json::{Value, json};

use super::V4;
use crate::ledger::Entry;
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
    stage.expect_meeting(&meeting, super::ACTIVE, super::PASSIVE)?;
    let closer = json!({ "pid": meeting.client.id, "comm": "nb-client", "exe": super::own_exe()? });
    closed(stage, &meeting.c, "local", "close", &[("closer", closer)])?;
    carried(stage, &meeting.c, 100, 0)?;
    closed(stage, &meeting.s, "remote", "fin", &[("closer", Value::Null)])?;
    carried(stage, &meeting.s, 0, 100)
}

pub fn server_first(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.server.close(&meeting.s)?;
    meeting.client.drain(&meeting.c)?;
    meeting.client.close(&meeting.c)?;
    stage.expect_meeting(&meeting, PASSIVE_CLIENT, ACTIVE_SERVER)?;
    closed(stage, &meeting.c, "remote", "fin", &[])?;
    closed(stage, &meeting.s, "local", "close", &[])?;
    carried(stage, &meeting.s, 0, 0)
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
    stage.expect_meeting(&meeting, super::ACTIVE, super::PASSIVE)?;
    closed(stage, &meeting.c, "local", "shutdown", &[])?;
    carried(stage, &meeting.c, 0, 1000)?;
    closed(stage, &meeting.s, "remote", "fin", &[])?;
    carried(stage, &meeting.s, 1000, 0)
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
    stage.expect_meeting(&meeting, PASSIVE_CLIENT, ACTIVE_SERVER)?;
    closed(stage, &meeting.c, "remote", "fin", &[])?;
    carried(stage, &meeting.c, 1000, 0)?;
    closed(stage, &meeting.s, "local", "shutdown", &[])?;
    carried(stage, &meeting.s, 0, 1000)
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
    stage.expect_meeting(&meeting, super::ACTIVE, crossed)?;
    closed(stage, &meeting.c, "local", "shutdown", &[])?;
    closed(stage, &meeting.s, "local", "shutdown", &[])?;
    // The server's FIN is heard when it comes again.
    let fin = [("segment", json!("fin")), ("bytes", json!(0))];
    stage.expect_details(&meeting.s, "retransmit", 1..=5, &fin)?;
    stage.expect_details(&meeting.c, "drop", 1..=9, &[("reason", json!("SOCKET_FILTER"))])
}

/// What the event `closed` must say of a socket, apart from what it carried.
pub fn closed(
    stage: &mut Stage,
    socket: &Entry,
    first: &str,
    cause: &str,
    more: &[(&'static str, Value)],
) -> Result<()> {
    let mut says = vec![("first", json!(first)), ("cause", json!(cause))];
    says.extend_from_slice(more);
    stage.expect_detail(socket, "closed", &says)
}

/// And what it carried.
fn carried(stage: &mut Stage, socket: &Entry, sent: u64, received: u64) -> Result<()> {
    let says = [("bytes_sent", json!(sent)), ("bytes_received", json!(received))];
    stage.expect_detail(socket, "closed", &says)
}
