//! Sockets that are older than the tracer.

use anyhow::Result;

use super::{ACTIVE, PASSIVE, V4};
use crate::stage::{Stage, address};
use crate::step::Call;

/// A listener and a connection, found at the start and followed to their ends; and
/// a connection that comes to the old listener later.
pub fn listener_and_connection(stage: &mut Stage) -> Result<()> {
    let meeting = stage.meet(V4)?;
    stage.trace()?;
    let (client, server) = (&meeting.client, &meeting.server);
    let c = client.connect(address(&meeting.listener)?)?;
    let s = server.accept(&meeting.listener, Call::Accept4)?;
    for (c, s) in [(&meeting.c, &meeting.s), (&c, &s)] {
        client.close(c)?;
        server.drain(s)?;
        server.close(s)?;
    }
    server.close(&meeting.listener)?;
    stage.expect(&meeting.listener, "LISTEN CLOSE")?;
    stage.expect(&meeting.c, "ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    stage.expect(&meeting.s, "ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE")?;
    stage.expect(&c, ACTIVE)?;
    stage.expect(&s, PASSIVE)
}

/// The server is inside accept() when the tracer starts: it has not seen the call
/// begin.
pub fn accept_under_way(stage: &mut Stage) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    server.start_accept(&listener, Call::Accept)?;
    stage.trace()?;
    let c = client.connect(address(&listener)?)?;
    let mut s = server.accepted()?;
    // The call began before the tracer did, the connection after.
    s.before = c.before;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(&listener)?;
    stage.expect(&listener, "LISTEN CLOSE")?;
    stage.expect(&c, ACTIVE)?;
    stage.expect_under_way(&s, PASSIVE)
}

/// A listener that a parent and its workers hold: each of them is a true answer.
pub fn prefork(stage: &mut Stage) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let workers = [server.fork("nb-worker-0")?, server.fork("nb-worker-1")?];
    for worker in &workers {
        stage.also_holds(worker, &listener);
    }
    stage.trace()?;
    for worker in &workers {
        let c = client.connect(address(&listener)?)?;
        let s = worker.accept(&listener, Call::Accept4)?;
        client.close(&c)?;
        worker.drain(&s)?;
        worker.close(&s)?;
        stage.expect(&c, ACTIVE)?;
        stage.expect(&s, PASSIVE)?;
        worker.close(&listener)?;
    }
    server.close(&listener)?;
    stage.expect(&listener, "LISTEN CLOSE")
}
