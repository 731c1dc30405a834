//! Filters that must not lose what they cannot know yet: the local port at the
//! first event of an active open, the acceptor before the accept.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ACTIVE, LISTENER, PASSIVE, V4};
use crate::judge::Syn;
use crate::ledger::Entry;
use crate::stage::{Stage, address};
use crate::step::Call;
use crate::task::Task;

/// The kernel chooses the local port during connect(), after the first transition;
/// it has one to choose from, so that the filter can name it.
pub fn local_port(stage: &mut Stage) -> Result<()> {
    stage.netns.inside(|| {
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40000")
            .context("leave one local port to choose")
    })?;
    stage.trace_with(&["--lport".to_owned(), "40000".to_owned()])?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen("127.0.0.1:80")?;
    let (c, s) = connection(&client, &server, &listener)?;
    server.close(&listener)?;
    stage.expect(&c, ACTIVE)?;
    stage.expect_silence(&s)?;
    stage.expect_silence(&listener)
}

/// The port of a listener is the local port of its connections too.
pub fn listener_port(stage: &mut Stage) -> Result<()> {
    stage.trace_with(&["--lport".to_owned(), "80".to_owned()])?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen("127.0.0.1:80")?;
    let (c, s) = connection(&client, &server, &listener)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&s, PASSIVE)?;
    stage.expect_silence(&c)
}

/// FIN_WAIT2 and later run in softirq, on top of any task.
pub fn client_pid(stage: &mut Stage) -> Result<()> {
    let (client, other, server) = (stage.client()?, stage.client()?, stage.server()?);
    stage.trace_with(&["--pid".to_owned(), client.id.to_string()])?;
    let listener = server.listen(V4)?;
    let (c, s) = connection(&client, &server, &listener)?;
    let (other, taken) = connection(&other, &server, &listener)?;
    server.close(&listener)?;
    stage.expect(&c, ACTIVE)?;
    for silent in [&s, &other, &taken, &listener] {
        stage.expect_silence(silent)?;
    }
    Ok(())
}

/// Nobody holds the client's socket any more when the peer's FIN comes, and of the peer
/// nothing is seen.
pub fn client_pid_in_fin_wait2(stage: &mut Stage) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    stage.trace_with(&["--pid".to_owned(), client.id.to_string()])?;
    let listener = server.listen(V4)?;
    let c = client.connect(address(&listener)?)?;
    let s = server.accept(&listener, Call::Accept4)?;
    client.close(&c)?;
    stage.wait_until_told("FIN_WAIT1", "FIN_WAIT2", 1, Duration::from_secs(30))?;
    server.drain(&s)?;
    server.close(&s)?;
    server.close(&listener)?;
    stage.expect(&c, ACTIVE)?;
    for silent in [&s, &listener] {
        stage.expect_silence(silent)?;
    }
    Ok(())
}

/// What comes before accept() belongs to the worker that will accept. The worker
/// is older than the listener, so that the filter can name it and the listener is
/// still another process's.
pub fn worker_pid(stage: &mut Stage) -> Result<()> {
    let (client, server, worker) = (stage.client()?, stage.server()?, stage.server()?);
    stage.trace_with(&["--pid".to_owned(), worker.id.to_string()])?;
    let listener = server.listen(V4)?;
    let fetched = worker.fetch(&listener)?;
    let (c, s) = connection(&client, &worker, &fetched)?;
    let (other, taken) = connection(&client, &server, &listener)?;
    worker.close(&fetched)?;
    server.close(&listener)?;
    stage.expect(&s, PASSIVE)?;
    // Half-open, it is the listener's, and the filter leaves that out.
    stage.expect_syn(Syn::Untold);
    for silent in [&c, &other, &taken, &listener] {
        stage.expect_silence(silent)?;
    }
    Ok(())
}

fn connection(client: &Task, server: &Task, listener: &Entry) -> Result<(Entry, Entry)> {
    let c = client.connect(address(listener)?)?;
    let s = server.accept(listener, Call::Accept4)?;
    client.close(&c)?;
    server.drain(&s)?;
    server.close(&s)?;
    Ok((c, s))
}
