//! A network namespace is deleted while netbreath looks at it.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Outcome, Report};
use crate::event::Event;
use crate::stage::{Stage, address};
use crate::step::{Call, Family, Proto};
use crate::tracer::Kind;

/// Its processes are killed with connections open in every stage, and the kernel takes it
/// down; another one is traced all the while.
pub fn deleted(report: &mut Report) -> Result<Outcome> {
    let mut stage = Stage::new(Kind::Netbreath)?;
    stage.allow_strangers();
    let doomed = crate::netns::Netns::create()?;
    let inode = doomed.inode();
    stage.trace()?;

    let (client, server) = stage.pair_in(&doomed)?;
    let listener = server.listen("127.0.0.1:0")?;
    let open = client.connect(address(&listener)?)?;
    let accepted = server.accept(&listener, Call::Accept4)?;
    // One that waits for what never comes, and outlives its process.
    let orphan = client.connect(address(&listener)?)?;
    let deaf = server.accept(&listener, Call::Accept4)?;
    server.deaf(&deaf, true)?;
    client.close(&orphan)?;
    // One in a queue, and one that nobody answers.
    let queued = client.connect(address(&listener)?)?;
    server.deaf(&listener, true)?;
    let socket = client.open(Family::V4, Proto::Tcp)?;
    let waiting = client.start_connect_on(&socket, address(&listener)?)?;
    // Only connections in TIME_WAIT let a namespace go; what waits for an answer gives up.
    doomed.inside(|| {
        std::fs::write("/proc/sys/net/ipv4/tcp_orphan_retries", "1").context("set a sysctl")
    })?;
    client.kill()?;
    server.kill()?;
    doomed.settle(Duration::from_secs(30))?;
    drop(doomed);

    let meeting = stage.meet("127.0.0.1:0")?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(
        &meeting,
        "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE",
        "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE",
    )?;
    let (verdict, recording) = stage.finish(60)?;
    report.check(verdict.faults.is_empty(), || format!("the namespace beside it: {verdict}"));

    let of = |event: &&Event| event.netns == Some(inode);
    let events: Vec<&Event> = recording.events.iter().filter(of).collect();
    report.check(events.len() > 10, || format!("{} events of the deleted one", events.len()));
    let pids = [listener.pid, open.pid];
    let wrong = events
        .iter()
        .filter(|event| event.owner.as_ref().is_some_and(|owner| !pids.contains(&owner.pid)));
    report.equal("wrong owners in the deleted one", &wrong.count(), &0);
    for (name, entry) in [
        ("listener", &listener),
        ("open", &open),
        ("accepted", &accepted),
        ("deaf", &deaf),
        ("orphan", &orphan),
        ("queued", &queued),
        ("waiting", &waiting),
    ] {
        let end = |event: &&&Event| {
            event.socket == Some(entry.socket) && event.new.as_deref() == Some("CLOSE")
        };
        let ends = events.iter().filter(end).count();
        report.equal(&format!("ends of the socket {name}"), &ends, &1);
    }
    Ok(Outcome::Done)
}
