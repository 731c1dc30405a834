//! Nobody answers. The peer is a socket that is deaf, so no firewall and no other
//! machine is needed; TCP_USER_TIMEOUT keeps it to a second or two.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::close::closed;
use super::{LISTENER, V4, with_address};
use crate::stage::{Stage, address};
use crate::step::{Family, Proto};

/// connect() to a listener that hears no SYN.
pub fn no_answer(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    server.deaf(&listener, true)?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    client.user_timeout(&socket, 500)?;
    let c = with_address(client.connect_on(&socket, address(&listener)?)?);
    timed_out(c.errno)?;
    client.close(&c)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, "CLOSE SYN_SENT CLOSE")?;
    stage.expect_detail(&c, "connect_failed", &[("error", json!("ETIMEDOUT"))])
}

/// Data that is never acknowledged ends the connection; the peer knows nothing of
/// it until it sends something itself.
pub fn peer_falls_silent(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.user_timeout(&meeting.c, 500)?;
    meeting.server.deaf(&meeting.s, true)?;
    meeting.client.send(&meeting.c, 100)?;
    timed_out(meeting.client.drain(&meeting.c)?)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.deaf(&meeting.s, false)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(
        &meeting,
        "CLOSE SYN_SENT ESTABLISHED CLOSE",
        "LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 CLOSE",
    )?;
    let timed_out = [
        ("first", Value::Null),
        ("cause", json!("timeout")),
        ("closer", Value::Null),
        ("error", json!("ETIMEDOUT")),
        ("bytes_sent", json!(100)),
    ];
    stage.expect_detail(&meeting.c, "closed", &timed_out)?;
    let data = [("segment", json!("data")), ("bytes", json!(100)), ("state", json!("ESTABLISHED"))];
    stage.expect_details(&meeting.c, "retransmit", 1..=9, &data)?;
    closed(stage, &meeting.s, "local", "close", &[("bytes_received", json!(0))])
}

/// The process gives up before the kernel does.
pub fn given_up(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    server.deaf(&listener, true)?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    let c = client.start_connect_on(&socket, address(&listener)?)?;
    if c.errno != Some(libc::EINPROGRESS) {
        bail!("connect() said {:?}, not \"in progress\"", c.errno);
    }
    client.close(&c)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, "CLOSE SYN_SENT CLOSE")?;
    stage.expect_detail(&c, "connect_failed", &[("error", Value::Null)])
}

fn timed_out(errno: Option<i32>) -> Result<()> {
    if errno != Some(libc::ETIMEDOUT) {
        bail!("the client saw {errno:?}, not \"timed out\"");
    }
    Ok(())
}
