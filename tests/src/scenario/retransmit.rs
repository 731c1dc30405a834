//! What is not acknowledged in time is sent again.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{ACTIVE, LISTENER, PASSIVE, V4};
use crate::stage::{Stage, address};
use crate::step::{Call, Family, Proto};

/// Longer than the least time after which data are sent again, shorter than that of a SYN:
/// 200 ms and 1 s.
const DEAF: Duration = Duration::from_millis(400);

/// The client does not hear the first SYN-ACK.
pub fn syn_ack(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    client.deaf(&socket, true)?;
    let c = client.start_connect_on(&socket, address(&listener)?)?;
    thread::sleep(DEAF);
    client.deaf(&socket, false)?;
    let s = server.accept(&listener, Call::Accept4)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, ACTIVE)?;
    stage.expect(&s, PASSIVE)?;
    // The client's SYN may come again first, or the server's own timer.
    let again = [("segment", json!("syn_ack")), ("state", json!("NEW_SYN_RECV"))];
    stage.expect_details(&s, "retransmit", 1..=2, &again)?;
    stage.expect_details(&c, "retransmit", 0..=1, &[("segment", json!("syn"))])?;
    stage.expect_details(&c, "drop", 1..=2, &[("reason", json!("SOCKET_FILTER"))])
}

/// The listener does not hear the first SYN.
pub fn syn(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    server.deaf(&listener, true)?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    let c = client.start_connect_on(&socket, address(&listener)?)?;
    thread::sleep(DEAF);
    server.deaf(&listener, false)?;
    let s = server.accept(&listener, Call::Accept4)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, ACTIVE)?;
    stage.expect(&s, PASSIVE)?;
    let again = [
        ("segment", json!("syn")),
        ("state", json!("SYN_SENT")),
        ("retransmits", json!(1)),
        ("bytes", json!(0)),
    ];
    stage.expect_details(&c, "retransmit", 1..=1, &again)?;
    stage.expect_detail(&c, "closed", &[("retransmits", json!(1))])
}

/// The server does not hear data for a while.
pub fn data(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.server.deaf(&meeting.s, true)?;
    meeting.client.send(&meeting.c, 100)?;
    thread::sleep(DEAF);
    meeting.server.deaf(&meeting.s, false)?;
    meeting.server.receive(&meeting.s, 100)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, ACTIVE, PASSIVE)?;
    let again =
        [("segment", json!("data")), ("bytes", json!(100)), ("state", json!("ESTABLISHED"))];
    stage.expect_details(&meeting.c, "retransmit", 1..=9, &again)?;
    let carried = [("bytes_sent", json!(100)), ("bytes_received", json!(0))];
    stage.expect_detail(&meeting.c, "closed", &carried)?;
    stage.expect_detail(&meeting.s, "closed", &[("bytes_received", json!(100))])?;
    stage.expect_details(&meeting.s, "drop", 1..=9, &[("reason", json!("SOCKET_FILTER"))])
}
