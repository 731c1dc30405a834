//! Maps that are full.

use anyhow::{Context, Result};

use super::{Outcome, Report, lost, ring};
use crate::event::Event;
use crate::judge::{Kind as Fault, Scope, judge};
use crate::stage::{Stage, address};
use crate::step::Call;
use crate::tracer::{Kind, Tracer};

/// Sockets that the tested one can remember where the kernel keeps no notes for it.
const ROOM: usize = 16;
const CONNECTIONS: usize = 100;

/// Connections wait to be accepted, more than there is room for.
pub fn full_of_unaccepted(report: &mut Report) -> Result<Outcome> {
    let mut stage = Stage::new(Kind::Netbreath)?;
    let space = stage.netns.inode().to_string();
    let options = ["--netns", &space].map(str::to_owned);
    let witness = Tracer::start(Kind::Netbreath, &options, &[])?;
    let small = ["--max-sockets".to_owned(), ROOM.to_string()];
    stage.trace_with(&[&options[..], &small].concat())?;

    let (client, server) = (stage.client()?, stage.server()?);
    let listener = server.listen("127.0.0.1:0")?;
    let mut ends = Vec::new();
    for _ in 0..CONNECTIONS {
        ends.push(client.connect(address(&listener)?)?);
    }
    let mut accepted = Vec::new();
    for _ in 0..CONNECTIONS {
        accepted.push(server.accept(&listener, Call::Accept4)?);
    }
    for c in &ends {
        client.close(c)?;
    }
    for s in &accepted {
        server.drain(s)?;
        server.close(s)?;
    }
    server.close(&listener)?;
    stage.expect(&listener, "CLOSE LISTEN CLOSE")?;
    for c in &ends {
        stage.expect(c, "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE")?;
    }
    for s in &accepted {
        stage.expect(s, "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE")?;
    }
    let lives = stage.lives().to_vec();
    let (verdict, recording) = stage.finish(1)?;
    let witness = witness.stop()?.events;
    let truth = judge(&witness, &lives, Scope::All, 1);
    report.check(truth.faults.is_empty(), || format!("the witness: {truth}"));

    // Every transition is told whatever the map holds: what is lost are accepts.
    let tested = &recording.events;
    let unowned = |event: &&Event| event.is("gap") && is_about(event, "owner is unknown");
    let orphans: u64 = tested.iter().filter(unowned).filter_map(|gap| gap.count).sum();
    // Who is learned to own one by its use has not taken it over from anybody.
    let learned = |event: &&Event| event.is("owner") && event.from.is_none();
    let told = tested.iter().filter(|event| !unowned(event) && !learned(event));
    let told: Vec<Event> = told.cloned().collect();
    ring::socket_hooks(report, &told, &witness);
    report.equal("transitions lost", &lost(&told, &["sock_state", "connect"]), &0);
    report.equal("sequences", &verdict.of_kind(Fault::Sequence), &0);
    let room = u64::try_from(CONNECTIONS - ROOM).context("number of orphans")?;
    report.check(orphans >= room, || format!("{orphans} sockets without owner, not {room}"));
    report.check(lost(&told, &["accept"]) > 0, || "no accept was lost".to_owned());
    report.check(verdict.wrong_pids == 0, || format!("owners wrong: {verdict}"));
    let uses = tested.iter().filter(learned).count() as u64;
    report.equal("owners learned by use", &uses, &lost(&told, &["accept"]));
    // Who is not known has a gap that says so; all others are.
    let states = 4 * orphans + lost(&told, &["accept"]);
    let missing = verdict.missing_owners();
    report.check(missing <= states, || format!("{missing} missing, {states} by the gaps"));
    report.note(format!("{orphans} sockets without owner, {missing} owners missing"));
    Ok(Outcome::Done)
}

fn is_about(gap: &Event, part: &str) -> bool {
    gap.what.as_deref().is_some_and(|what| what.contains(part))
}
