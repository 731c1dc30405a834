//! Connections that are half-open for longer than a moment: the client hears no SYN-ACK, or
//! only its repetition.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{ACTIVE, LISTENER, PASSIVE, V4, with_address};
use crate::judge::Syn;
use crate::ledger::Entry;
use crate::stage::{Stage, address};
use crate::step::{Call, Family, Proto};
use crate::task::Task;

/// More than a request's few timers take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that has sent its SYN and hears nothing.
fn deaf_client(client: &Task, listener: &Entry) -> Result<Entry> {
    let socket = client.open(Family::V4, Proto::Tcp)?;
    client.deaf(&socket, true)?;
    // Its SYN comes again only once.
    client.tcp_option(&socket, libc::TCP_SYNCNT, 1)?;
    let c = with_address(client.start_connect_on(&socket, address(listener)?)?);
    if c.errno != Some(libc::EINPROGRESS) {
        bail!("connect() said {:?}, not \"in progress\"", c.errno);
    }
    Ok(c)
}

/// The client hears the SYN-ACK when it comes again, a second later.
pub fn from_the_syn_on(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let c = deaf_client(&client, &listener)?;
    std::thread::sleep(Duration::from_millis(300));
    client.deaf(&c, false)?;
    let s = server.accept(&listener, Call::Accept4)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, ACTIVE)?;
    stage.expect_peer(&s);
    stage.expect(&s, PASSIVE)?;
    stage.expect_peer(&c);
    stage.expect_syn(Syn::Told(Some((c.before, c.after))));
    Ok(())
}

/// The client never answers: the kernel gives up.
pub fn abandoned(stage: &mut Stage) -> Result<()> {
    stage.set("tcp_synack_retries", "1")?;
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let c = deaf_client(&client, &listener)?;
    stage.wait_until_told("SYN_RECV", "CLOSE", 1, PATIENCE)?;
    client.close(&c)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, "CLOSE SYN_SENT CLOSE")?;
    stage.expect_unaccepted(&listener, &c, "SYN_RECV CLOSE")?;
    stage.expect_syn(Syn::Told(Some((c.before, c.after))));
    stage.expect_end_not_seen();
    Ok(())
}

/// The kernel remembers nothing of the SYN.
pub fn syn_cookie(stage: &mut Stage) -> Result<()> {
    // Always, not only under a flood.
    stage.set("tcp_syncookies", "2")?;
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, ACTIVE, PASSIVE)?;
    stage.expect_syn(Syn::Cookie);
    Ok(())
}

/// Both ends open at once: the SYN of a socket that is connected to itself meets it in
/// SYN_SENT. It is its own peer, and no listener ever hears of it.
pub fn with_itself(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let client = stage.client()?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    client.bind(&socket, "127.0.0.1:4000".parse()?)?;
    let c = client.connect_on(&socket, "127.0.0.1:4000".parse()?)?;
    client.close(&c)?;
    stage.expect(&c, "CLOSE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT")
}

/// The SYNs of two clients cross: each hears the other's only when it has sent its own.
pub fn both_at_once(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (one, other) = (stage.client()?, stage.server()?);
    let ends = ["127.0.0.1:4000", "127.0.0.1:4001"];
    let a = one.open(Family::V4, Proto::Tcp)?;
    let b = other.open(Family::V4, Proto::Tcp)?;
    one.bind(&a, ends[0].parse()?)?;
    other.bind(&b, ends[1].parse()?)?;
    // Nobody is there yet when the first SYN comes: the RST must not be heard.
    one.deaf(&a, true)?;
    let a = one.start_connect_on(&a, ends[1].parse()?)?;
    // So the first SYN comes again well before the second.
    std::thread::sleep(Duration::from_millis(500));
    let b = other.start_connect_on(&b, ends[0].parse()?)?;
    one.deaf(&a, false)?;
    one.writable(&a)?;
    other.writable(&b)?;
    one.shutdown_write(&a)?;
    other.drain(&b)?;
    other.close(&b)?;
    one.drain(&a)?;
    one.close(&a)?;
    stage.expect(&a, ACTIVE)?;
    stage.expect_peer(&b);
    stage.expect(&b, "CLOSE SYN_SENT SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE")?;
    stage.expect_peer(&a);
    Ok(())
}
