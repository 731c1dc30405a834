//! The ring is full. What was made is what was delivered and what a gap says was lost,
//! exactly, for each hook whose records go to the ring; and nobody is named wrongly.
//!
//! A second netbreath with a large ring is the witness of what was made; the judge of
//! the truth suite holds it against what the processes wrote down.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{HELPER, Outcome, Report, count, lost};
use crate::event::Event;
use crate::judge::boot_offsets;
use crate::netns::Netns;
use crate::socket;
use crate::tracer::{Kind, Recording, Tracer};
use crate::truth::judge::{self as truth_judge, Row};
use crate::truth::{self, Player, log};

/// A page, which is the smallest there is.
const SMALLEST: &str = "4K";
const LARGE: &str = "64M";

/// Connections of a case.
const CONNECTIONS: usize = 200;

/// The helper that gives itself names.
pub const RENAMED: &str = "renamed";

fn start(ring: &str, options: &[&str]) -> Result<Tracer> {
    let mut all = vec!["--ring-size".to_owned(), ring.to_owned()];
    all.extend(options.iter().map(|option| (*option).to_owned()));
    Tracer::start(Kind::Netbreath, &all, &[])
}

/// Who reads takes the socket over from who accepted it.
pub fn full_read_only(report: &mut Report) -> Result<Outcome> {
    sockets(report, "passed_read_only", true)
}

pub fn full_write_only(report: &mut Report) -> Result<Outcome> {
    sockets(report, "passed_write_only", true)
}

pub fn full_accept_null(report: &mut Report) -> Result<Outcome> {
    sockets(report, "accept_null", true)
}

/// The reader reads, but its ring holds twenty records.
pub fn burst(report: &mut Report) -> Result<Outcome> {
    sockets(report, "passed", false)
}

fn sockets(report: &mut Report, case: &str, frozen: bool) -> Result<Outcome> {
    let netns = Netns::create()?;
    let mut player = Player::start(truth::named(case)?, CONNECTIONS, &netns)?;
    if let Some(reason) = player.ready()? {
        return Ok(Outcome::Skipped(reason));
    }
    let started = log::now();
    let space = netns.inode().to_string();
    let options = ["--netns", &space, "--event", "state,accept,owner,closed"];
    let witness = start(LARGE, &options)?;
    let tested = start(SMALLEST, &options)?;
    if frozen {
        tested.freeze(true)?;
    }
    player.go()?;
    let acts = match player.end()? {
        Ok(acts) => acts,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    netns.settle(truth::SETTLE)?;
    if frozen {
        tested.freeze(false)?;
    }
    let (tested, witness) = (tested.stop()?, witness.stop()?);

    let judged = |events: &[Event]| {
        truth_judge::judge(events, &acts, started, truth_judge::Tracer::Netbreath)
    };
    let truth = judged(&witness.events);
    report.check(truth.is_good(), || format!("the witness: {}", truth.faults.join("; ")));
    nobody_is_wrong(report, &judged(&tested.events));
    socket_hooks(report, &tested.events, &witness.events);
    let all = lost(&tested.events, &["sock_state", "connect", "accept", "send", "receive"]);
    report.check(!frozen || all > 0, || "nothing was lost: nothing is tested".to_owned());
    summary(report, &tested, all);
    Ok(Outcome::Done)
}

/// Who could not be known is missing; nobody is somebody else.
fn nobody_is_wrong(report: &mut Report, row: &Row) {
    let wrong: u64 = row.owners.values().map(|tally| tally.wrong).sum();
    report.check(wrong + row.hands.wrong + row.openers.wrong == 0, || {
        format!("wrong owners: {}", row.faults.join("; "))
    });
    report.equal("events of unknown sockets", &row.stray, &0);
}

/// What each hook delivered and what it lost, against what it made.
pub fn socket_hooks(report: &mut Report, tested: &[Event], witness: &[Event]) {
    let sent = |event: &&Event| event.is("state") && event.new.as_deref() == Some("SYN_SENT");
    let opened = |events: &[Event]| events.iter().filter(sent).count() as u64;
    // The hook on connect() tells of SYN_SENT when the port is known.
    let rows = [
        ("connect", opened(tested), lost(tested, &["connect"]), opened(witness)),
        (
            "sock_state",
            count(tested, "state") + count(tested, "closed") - opened(tested),
            lost(tested, &["sock_state"]),
            count(witness, "state") + count(witness, "closed") - opened(witness),
        ),
        ("accept", count(tested, "accept"), lost(tested, &["accept"]), count(witness, "accept")),
        (
            "send and receive",
            count(tested, "owner"),
            lost(tested, &["send", "receive"]),
            count(witness, "owner"),
        ),
    ];
    for (hook, delivered, lost, made) in rows {
        report.check(delivered + lost == made, || {
            format!("{hook}: {delivered} delivered + {lost} lost, but {made} made")
        });
        report.note(format!("{hook}: {delivered} delivered + {lost} lost = {made} made"));
    }
}

/// The last line that it says counts the same losses.
fn summary(report: &mut Report, tested: &Recording, lost: u64) {
    let said = tested.talk.split(" lost").next().and_then(|text| text.rsplit(' ').next());
    let said: u64 = said.and_then(|text| text.parse().ok()).unwrap_or(0);
    report.check(said >= lost, || format!("{lost} lost in gaps, but it says {:?}", tested.talk));
}

/// Processes that begin, become programs, give themselves names and end while nobody
/// reads.
pub fn full_of_processes(report: &mut Report) -> Result<Outcome> {
    const PROCESSES: u64 = 200;
    const NAMES: u64 = 20;
    let options = ["--event", "exec,fork,exit"];
    let witness = start(LARGE, &options)?;
    // Other processes of this machine are lost too: between these moments at most...
    let begin = log::now();
    let tested = start(SMALLEST, &options)?;
    tested.freeze(true)?;
    // ... and between these at least.
    let frozen = log::now();
    let mut own = Vec::new();
    for _ in 0..PROCESSES {
        let mut child = Command::new("/proc/self/exe")
            .args([HELPER, RENAMED, &NAMES.to_string()])
            .spawn()
            .context("start a process with names")?;
        own.push(child.id());
        ensure!(child.wait()?.success(), "a process with names failed");
    }
    let done = log::now();
    tested.freeze(false)?;
    let (tested, end) = (tested.stop()?, log::now());
    let witness = witness.stop()?;

    let boots = boot_offsets(&witness.events);
    let made = |name: &str, from: i64, to: i64| {
        let within = |(event, boot): &(&Event, &i64)| {
            event.is(name) && (from..=to).contains(&(event.at - **boot))
        };
        witness.events.iter().zip(&boots).filter(within).count() as u64
    };
    for name in ["exec", "fork", "exit"] {
        let of_own = |event: &&Event| event.is(name) && event.pid.is_some_and(|p| own.contains(&p));
        let seen = witness.events.iter().filter(of_own).count() as u64;
        report.equal(&format!("{name} of own processes, by the witness"), &seen, &PROCESSES);
        let told = count(&tested.events, name) + lost(&tested.events, &[name]);
        let (least, most) = (made(name, frozen, done), made(name, begin, end));
        report.check((least..=most).contains(&told), || {
            format!("{name}: {told} delivered or lost, but {least} to {most} made")
        });
        report.note(format!("{name}: {told} delivered or lost, {least} to {most} made"));
    }
    // The shortest record of a process takes 96 bytes of the ring.
    let (names, fit) = (lost(&tested.events, &["rename"]), 4096 / 96);
    report.check(names >= PROCESSES * NAMES - fit, || {
        format!("rename: {names} lost, but {} made and {fit} fit", PROCESSES * NAMES)
    });
    // What is lost is known by reason, too.
    let reasons = |gap: &&Event| gap.is("gap") && gap.count > Some(0);
    let full = |gap: &Event| gap.what.as_deref().is_some_and(|what| what.contains("ring was full"));
    let other = tested.events.iter().filter(reasons).find(|gap| !full(gap));
    report.check(other.is_none(), || format!("another reason: {other:?}"));
    Ok(Outcome::Done)
}

/// What the helper does.
pub fn rename(names: u64) {
    for number in 0..names {
        socket::name(&format!("nb-name-{number}"));
    }
}
