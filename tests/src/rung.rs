//! Every rung of every hook, as the tracer lists them for this kernel, and what must be
//! played to see that one works.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::event;
use crate::scenario::{self, Scenario};
use crate::tracer::{self, Kind};
use crate::truth::{self, Case, Outcome};

/// In place of a rung: the hook is left out.
pub const NONE: &str = "none";

/// For each hook, what shows nothing good without it: scenarios, or cases of the truth
/// suite. A new hook needs a line here.
const EXERCISES: &[(&str, &[&str])] = &[
    ("fork", &["process::events"]),
    ("exec", &["process::events"]),
    ("rename", &["process::named_threads"]),
    ("exit", &["process::events"]),
    ("destroy", &["reset::before_accept"]),
    ("accept", &["owner::every_accept_call", "snapshot::accept_under_way"]),
    ("connect", &["close::client_first"]),
    ("half_open", &["half_open::from_the_syn_on"]),
    (
        "mini",
        &[
            "filter::client_pid_in_fin_wait2",
            "close::client_half",
            "time_wait::none_where_there_is_no_room",
            "owner::killed",
        ],
    ),
    ("mini_reset", &["reset::of_a_peer_that_writes_late"]),
    ("connect_return", &["refused::no_route"]),
    ("send", &["truth::passed_write_only"]),
    ("receive", &["truth::passed_read_only"]),
    ("retransmit", &["retransmit::data"]),
    ("retransmit_synack", &["retransmit::syn_ack"]),
    ("reset_sent", &["reset::by_client"]),
    ("reset_received", &["reset::by_client"]),
    ("drop", &["retransmit::data"]),
    ("sock_state", &["close::both_at_once", "reset::listener_closes_with_a_queue"]),
    ("udp_open", &["udp::connected"]),
    ("udp_packet", &["udp::unconnected", "dns::through_a_stub"]),
    ("udp_bind", &["udp::unconnected"]),
    ("udp_connect", &["udp::connected"]),
    ("udp_send", &["udp::connected"]),
    ("udp_receive", &["udp::connected"]),
    ("udp_close", &["udp::connected"]),
    ("unix_send", &["unix::child_only_writes"]),
    ("unix_receive", &["unix::child_only_reads"]),
    ("unix_close", &["unix::stream"]),
    ("unix_bind", &["unix::datagrams"]),
    ("unix_listen", &["unix::stream"]),
    ("unix_accept", &["unix::stream"]),
    ("unix_connect", &["unix::stream"]),
    ("seed_udp", &["udp::snapshot"]),
    ("seed_unix", &["unix::snapshot"]),
    ("processes", &["process::exec_of_an_old_process"]),
    ("seed", &["snapshot::listener_and_connection"]),
];

/// Hooks that are there only where a better one of another hook is not: that one is left
/// out while these are tried.
const INSTEAD: &[(&str, &str)] = &[
    ("udp_send", "send=none"),
    ("udp_receive", "receive=none"),
    ("unix_send", "send=none"),
    ("unix_receive", "receive=none"),
];

/// The tracer's options that force a rung.
fn options(hook: &str, rung: &str) -> Vec<String> {
    let instead = INSTEAD.iter().filter(|(of, _)| *of == hook).map(|(_, left)| *left);
    let forced = std::iter::once(format!("{hook}={rung}")).chain(instead.map(str::to_owned));
    forced.flat_map(|forced| ["--rung".to_owned(), forced]).collect()
}

/// A line of `doctor --rungs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    pub hook: String,
    pub name: String,
    /// What the kernel answered, if it refused it.
    pub refused: Option<String>,
}

/// What is played for a hook.
pub enum Exercise {
    Scenario(&'static Scenario),
    Case(&'static Case),
}

/// Asks the tracer.
pub fn all() -> Result<Vec<Rung>> {
    let mut command = Command::new(tracer::binary()?);
    let output = command.args(["doctor", "--rungs"]).output().context("run doctor --rungs")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "doctor --rungs: {}\n{said}", output.status);
    read(&said)
}

fn read(said: &str) -> Result<Vec<Rung>> {
    let line = |line: &str| {
        let mut parts = line.split("  ").map(str::trim).filter(|part| !part.is_empty());
        let (hook, name, answer) = (parts.next()?, parts.next()?, parts.next()?);
        let refused = match answer.strip_prefix("refused: ") {
            Some(why) => Some(why.to_owned()),
            None if answer == "here" => None,
            None => return None,
        };
        Some(Rung { hook: hook.to_owned(), name: name.to_owned(), refused })
    };
    said.lines().map(|said| line(said).with_context(|| format!("no rung: {said:?}"))).collect()
}

/// What is to be played for a hook.
pub fn exercises(hook: &str) -> Result<Vec<Exercise>> {
    let Some((_, names)) = EXERCISES.iter().find(|(of, _)| *of == hook) else {
        bail!("nothing exercises the hook {hook}: name a scenario for it in tests/src/rung.rs");
    };
    names.iter().map(|name| exercise(name)).collect()
}

fn exercise(name: &str) -> Result<Exercise> {
    let case = name
        .strip_prefix("truth::")
        .map(|case| truth::ALL.iter().find(|other| other.name == case).map(Exercise::Case));
    case.unwrap_or_else(|| {
        scenario::ALL.iter().find(|other| other.name == name).map(Exercise::Scenario)
    })
    .with_context(|| format!("there is no scenario {name}"))
}

impl Exercise {
    pub fn name(&self) -> &'static str {
        match self {
            Exercise::Scenario(scenario) => scenario.name,
            Exercise::Case(case) => case.name,
        }
    }

    /// Why it cannot be played here.
    pub fn obstacle(&self) -> Option<String> {
        match self {
            Exercise::Scenario(scenario) => scenario.obstacle(Kind::Netbreath),
            Exercise::Case(_) => truth::obstacle(),
        }
    }

    /// Plays it with a rung forced. An error tells what was wrong.
    pub fn play(&self, hook: &str, rung: &str) -> Result<()> {
        let options = options(hook, rung);
        match self {
            Exercise::Scenario(scenario) => scenario.play_with(Kind::Netbreath, &options).map(drop),
            Exercise::Case(case) => match truth::run_with(case, false, &options)? {
                Outcome::Judged(row) if row.is_good() => Ok(()),
                Outcome::Judged(row) => bail!("{}", row.faults.join("\n    ")),
                Outcome::Skipped(reason) => bail!("it cannot be played here: {reason}"),
            },
        }
    }
}

/// A rung that this kernel refuses: without the hook nothing starts, or a gap tells.
pub fn refusal(rung: &Rung) -> Result<()> {
    let mut command = Command::new(tracer::binary()?);
    command.args(["trace", "--format", "jsonl", "--duration", "10ms", "--event", "all"]);
    command.args(options(&rung.hook, &rung.name)).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(2) {
        let names = format!("cannot attach the hook {} (", rung.hook);
        ensure!(said.contains(&names) && said.contains("the kernel refused"), "it said: {said}");
        return Ok(());
    }
    let events = event::read(String::from_utf8_lossy(&output.stdout).lines())?;
    let tells = events.iter().any(|event| {
        event.is("gap")
            && event.hook.as_deref() == Some(&rung.hook)
            && event.why.as_deref().is_some_and(|why| why.contains(&rung.name))
    });
    ensure!(tells, "no gap tells that it was refused; {}\n{said}", output.status);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() -> Result<()> {
        let rungs = read(
            "retransmit_synack  raw_tp tcp_retransmit_synack     here\n\
             accept             tracepoint a:b, a:c              refused: no: such\n",
        )?;
        assert_eq!(rungs[0].name, "raw_tp tcp_retransmit_synack");
        assert_eq!((&*rungs[0].hook, &rungs[0].refused), ("retransmit_synack", &None));
        assert_eq!(rungs[1].refused.as_deref(), Some("no: such"));
        assert!(read("nonsense\n").is_err());
        Ok(())
    }

    #[test]
    fn every_exercise_exists() -> Result<()> {
        for (hook, names) in EXERCISES {
            assert_eq!(exercises(hook)?.len(), names.len());
            assert!(!names.is_empty());
        }
        assert!(exercises("new").is_err());
        Ok(())
    }
}
