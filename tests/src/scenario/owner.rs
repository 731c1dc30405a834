//! Whose socket it is: the process that connected, listened or accepted, kept
//! through every later state, whatever runs on the CPU when the state changes.

use anyhow::Result;
use serde_json::json;

use super::close::closed;
use super::{ACTIVE, LISTENER, PASSIVE, V4};
use crate::ledger::Entry;
use crate::stage::{Stage, address};
use crate::step::{Call, Family, Proto};
use crate::task::Task;

const CALLS: [Call; 4] = [Call::Accept, Call::AcceptNull, Call::Accept4, Call::Accept4Null];

/// Client first, then the server, both to the end.
fn end(client: &Task, c: &Entry, server: &Task, s: &Entry) -> Result<()> {
    client.close(c)?;
    server.drain(s)?;
    server.close(s)
}

/// One process, each of the calls, once before the connection is there and once
/// after.
pub fn every_accept_call(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    for call in CALLS {
        for waits in [false, true] {
            if waits {
                server.start_accept(&listener, call)?;
            }
            let c = client.connect(address(&listener)?)?;
            if !waits {
                server.start_accept(&listener, call)?;
            }
            let s = server.accepted()?;
            end(&client, &c, &server, &s)?;
            stage.expect(&c, ACTIVE)?;
            stage.expect(&s, PASSIVE)?;
        }
    }
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)
}

/// The owner is the process, not the thread, and has the process's name.
pub fn threads(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    for (number, call) in CALLS.into_iter().enumerate() {
        let caller = client.thread(&format!("nb-caller-{number}"))?;
        let taker = server.thread(&format!("nb-taker-{number}"))?;
        taker.start_accept(&listener, call)?;
        let c = caller.connect(address(&listener)?)?;
        let s = taker.accepted()?;
        // Any thread may end what another one began.
        end(&client, &c, &taker, &s)?;
        stage.expect(&c, ACTIVE)?;
        stage.expect(&s, PASSIVE)?;
    }
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)
}

/// Four workers accept from the parent's listener, in turn.
pub fn prefork(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    prefork_played(stage, false)
}

/// All four wait in accept() before the first connection comes.
pub fn prefork_that_waits(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    prefork_played(stage, true)
}

fn prefork_played(stage: &mut Stage, all_wait: bool) -> Result<()> {
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let mut workers = Vec::new();
    for (number, call) in CALLS.into_iter().enumerate() {
        workers.push((server.fork(&format!("nb-worker-{number}"))?, call));
    }
    let mut open = Vec::new();
    if all_wait {
        for (worker, call) in &workers {
            worker.start_accept(&listener, *call)?;
        }
        // Which of them gets which is the kernel's choice: they write it down.
        for _ in &workers {
            open.push(client.connect(address(&listener)?)?);
        }
        let mut taken = Vec::new();
        for (worker, _) in &workers {
            taken.push((worker, worker.accepted()?));
        }
        for c in &open {
            client.close(c)?;
        }
        for (worker, s) in &taken {
            worker.drain(s)?;
            worker.close(s)?;
            stage.expect(s, PASSIVE)?;
        }
    } else {
        for (worker, call) in &workers {
            for _ in 0..2 {
                let c = client.connect(address(&listener)?)?;
                let s = worker.accept(&listener, *call)?;
                end(&client, &c, worker, &s)?;
                stage.expect(&s, PASSIVE)?;
                open.push(c);
            }
        }
    }
    for c in &open {
        stage.expect(c, ACTIVE)?;
    }
    for (worker, _) in &workers {
        worker.close(&listener)?;
    }
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)
}

/// The user is the one that the process is when it becomes the owner.
pub fn another_user(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let worker = server.fork("nb-worker")?;
    worker.become_user(65533)?;
    client.become_user(65534)?;
    let c = client.connect(address(&listener)?)?;
    let s = worker.accept(&listener, Call::Accept4)?;
    end(&client, &c, &worker, &s)?;
    worker.close(&listener)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, ACTIVE)?;
    stage.expect(&s, PASSIVE)
}

/// The parent makes the socket, the child connects: the child owns it.
pub fn socket_of_the_parent(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen(V4)?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    let child = client.fork("nb-child")?;
    let c = child.connect_on(&socket, address(&listener)?)?;
    client.close(&socket)?;
    let s = server.accept(&listener, Call::Accept)?;
    end(&child, &c, &server, &s)?;
    server.close(&listener)?;
    stage.expect(&listener, LISTENER)?;
    stage.expect(&c, ACTIVE)?;
    stage.expect(&s, PASSIVE)
}

/// A child that only inherited the descriptors closes them last: the owners are
/// still those that connected and accepted.
pub fn closed_by_a_child(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    let (client, server) = (meeting.client.fork("nb-child")?, meeting.server.fork("nb-child")?);
    meeting.client.close(&meeting.c)?;
    client.close(&meeting.c)?;
    // Who reads takes the socket over; the child is only to close it.
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    server.close(&meeting.s)?;
    server.close(&meeting.listener)?;
    stage.expect_meeting(&meeting, ACTIVE, PASSIVE)?;
    let child = json!({ "pid": client.id, "comm": "nb-child", "exe": super::own_exe()? });
    closed(stage, &meeting.c, "local", "close", &[("closer", child)])
}

/// The client dies; what follows runs without it and is still its own.
pub fn killed(stage: &mut Stage) -> Result<()> {
    stage.trace()?;
    let meeting = stage.meet(V4)?;
    meeting.client.kill()?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(&meeting, ACTIVE, PASSIVE)?;
    let dead = json!({ "pid": meeting.client.id, "comm": "nb-client", "exe": super::own_exe()? });
    closed(stage, &meeting.c, "local", "exit", &[("closer", dead)])
}

/// The suite itself is tested: the task on the CPU is no owner, and the judge must
/// notice.
pub fn mutant_from_cpu(stage: &mut Stage) -> Result<()> {
    stage.trace_as_mutant()?;
    let meeting = stage.meet(V4)?;
    end(&meeting.client, &meeting.c, &meeting.server, &meeting.s)?;
    stage.expect_meeting(&meeting, ACTIVE, PASSIVE)
}

pub fn mutant_from_cpu_prefork(stage: &mut Stage) -> Result<()> {
    stage.trace_as_mutant()?;
    prefork_played(stage, false)
}
