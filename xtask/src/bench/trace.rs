//! `cargo xtask bench trace`: the same load without a tracer and with each, in turn.

use std::fs;
use std::io::{Read, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::churn::{self, Churn, Churned, Load};
use super::output;
use super::process_clock;
use super::report::{Counted, Idle, Report, Series};
use super::tracer::{
    BPFTRACE, NETBREATH, NETBREATH_ALL, NETBREATH_FILTERED, TCPLIFE, TCPSTATES, Tracer, Used,
};
use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// How often each tracer has its turn
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long a turn is without a tracer; the number of connections follows from it
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// How many transitions each tracer's output is counted over
    #[arg(long, default_value_t = 1_000_000)]
    transitions: u64,
    /// Leave the other tracers out
    #[arg(long)]
    no_peers: bool,
    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds are a number from 0.01 to 3600".to_owned()),
    }
}

const TRACERS: [&Tracer; 6] =
    [&NETBREATH, &NETBREATH_ALL, &NETBREATH_FILTERED, &TCPSTATES, &TCPLIFE, &BPFTRACE];
/// A turn may be this much longer than one without a tracer.
const SLOWDOWN: f64 = 4.0;
const COUNTING_AT_MOST: Duration = Duration::from_secs(120);
const STARTS: u32 = 10;
/// Connections a second where the delay is looked at on a machine with time to spare.
const PACE: u32 = 2000;
const PACED: Duration = Duration::from_secs(3);
/// Before each round, to see whether the machine is ours.
const BREAK: Duration = Duration::from_millis(500);
const IDLE: Duration = Duration::from_secs(5);

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!(
            "bench: tracing and network namespaces need root: start this as root, for example \
             with `sudo -E env PATH=\"$PATH\" cargo xtask bench trace`"
        );
    }
    let netbreath = match &args.binary {
        Some(binary) => {
            binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?
        }
        None => {
            setup::for_build(workspace)?;
            build::binary(workspace, Profile::Release)?;
            workspace.binary(Profile::Release)
        }
    };
    let folder = workspace.target.join(format!("bench-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let report = Bench { args, netbreath: &netbreath, folder: &folder }.measure();
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    print!("{}", report?);
    Ok(())
}

struct Bench<'a> {
    args: &'a Args,
    netbreath: &'a Path,
    /// For ready files.
    folder: &'a Path,
}

impl Bench<'_> {
    fn measure(&self) -> Result<Report> {
        eprintln!("bench: how fast this machine is");
        let load = self.calibrate()?;
        let mut series: Vec<_> = TRACERS
            .into_iter()
            .filter(|tracer| !(self.args.no_peers && tracer.is_peer()))
            .map(|tracer| Series::new(tracer, tracer.program(self.netbreath).err()))
            .collect();
        let (untraced, others) = self.rounds(load, &mut series)?;
        for series in &mut series {
            // Why: with a filter that matches nothing there is nothing to count.
            if series.failure.is_none() && series.tracer.events > 0 {
                eprintln!("bench: counting what {} writes", series.tracer.name);
                let counted = self.count(series.tracer, self.counting());
                series.take(counted, |series, counted| series.counted = Some(counted))?;
            }
        }
        eprintln!("bench: delays at {PACE} connections a second");
        let paced = self.count(
            &NETBREATH,
            Load {
                connections: u64::from(PACE) * PACED.as_secs(),
                at_most: COUNTING_AT_MOST,
                rate: Some(PACE),
            },
        )?;
        eprintln!("bench: {STARTS} starts");
        let starts = self.starts(&NETBREATH)?;
        let starts_all = self.starts(&NETBREATH_ALL)?;
        eprintln!("bench: {} s of nothing to do", IDLE.as_secs());
        let idle = self.idle()?;
        Ok(Report {
            rounds: self.args.rounds,
            connections: load.connections,
            untraced,
            others,
            series,
            paced,
            starts,
            starts_all,
            idle,
        })
    }

    /// The load of a turn: what takes the wished time without a tracer.
    fn calibrate(&self) -> Result<Load> {
        let seconds = self.args.seconds;
        let trial = untraced(Load {
            connections: u64::MAX,
            at_most: Duration::from_secs_f64(seconds.min(1.0)),
            rate: None,
        })?;
        Ok(Load {
            connections: ((trial.rate() * seconds) as u64).max(1),
            at_most: Duration::from_secs_f64(seconds * SLOWDOWN),
            rate: None,
        })
    }

    fn counting(&self) -> Load {
        Load {
            connections: self.args.transitions.div_ceil(churn::TRANSITIONS),
            at_most: COUNTING_AT_MOST,
            rate: None,
        }
    }

    /// Gives the untraced rates, and how busy the machine was without us before each.
    fn rounds(&self, load: Load, series: &mut [Series]) -> Result<(Vec<f64>, Vec<f64>)> {
        let mut untraced_rates = Vec::new();
        let mut others = Vec::new();
        for round in 1..=self.args.rounds {
            eprintln!("bench: round {round} of {}", self.args.rounds);
            others.push(busy()?);
            let mut traced = vec![None; series.len()];
            let mut without = None;
            for place in order(series.len() + 1, round as usize) {
                let Some(series) = series.get_mut(place) else {
                    without = Some(untraced(load)?);
                    continue;
                };
                if series.failure.is_none() {
                    let turn = self.turn(series.tracer, load);
                    series.take(turn, |series, (churned, used)| {
                        traced[place] = Some(churned);
                        series.add(churned, &used);
                    })?;
                }
            }
            let without = without.context("a round without an untraced turn")?;
            untraced_rates.push(without.rate());
            for (series, traced) in series.iter_mut().zip(traced) {
                if let Some(traced) = traced {
                    series.compare(traced, without);
                }
            }
        }
        Ok((untraced_rates, others))
    }

    /// The load with a tracer whose output nobody reads.
    fn turn(&self, tracer: &Tracer, load: Load) -> Result<(Churned, Used)> {
        let churn = Churn::prepare(load)?;
        let running = tracer.start(&self.program(tracer)?, self.folder, Stdio::null())?;
        let churned = churn.run()?;
        Ok((churned, running.stop()?))
    }

    /// The load with a tracer whose output is read and counted.
    fn count(&self, tracer: &Tracer, load: Load) -> Result<Counted> {
        let churn = Churn::prepare(load)?;
        let mut running = tracer.start(&self.program(tracer)?, self.folder, Stdio::piped())?;
        let pipe = running.stdout()?;
        let (dialect, netns) = (tracer.dialect, churn.netns);
        let reader = thread::spawn(move || output::read(pipe, dialect, netns));
        let churned = churn.run()?;
        let used = running.stop()?;
        let seen = match reader.join() {
            Ok(seen) => seen.context("cannot read what the tracer writes")?,
            Err(_) => bail!("the reader of {}'s output panicked", tracer.name),
        };
        Ok(Counted::new(tracer, churned, &used, seen))
    }

    /// How long netbreath takes to be ready, in seconds.
    fn starts(&self, tracer: &Tracer) -> Result<Vec<f64>> {
        (0..STARTS)
            .map(|_| {
                let running = tracer.start(self.netbreath, self.folder, Stdio::null())?;
                let seconds = running.ready_after.as_secs_f64();
                running.stop()?;
                Ok(seconds)
            })
            .collect()
    }

    /// What netbreath does while nothing happens.
    fn idle(&self) -> Result<Idle> {
        let running = NETBREATH.start(self.netbreath, self.folder, Stdio::null())?;
        // Why: what starting has left to do is not idleness.
        thread::sleep(Duration::from_secs(1));
        let (cpu, switches) = (running.cpu()?, process_clock::voluntary_switches(running.pid())?);
        thread::sleep(IDLE);
        let cpu = running.cpu()? - cpu;
        let switches = process_clock::voluntary_switches(running.pid())? - switches;
        let calls = system_calls(running.pid())?;
        running.stop()?;
        Ok(Idle { time: IDLE, cpu, switches, calls })
    }

    fn program(&self, tracer: &Tracer) -> Result<PathBuf> {
        tracer.program(self.netbreath).map_err(anyhow::Error::msg)
    }
}

fn untraced(load: Load) -> Result<Churned> {
    Churn::prepare(load)?.run()
}

/// The share of the machine that is used while we do nothing.
fn busy() -> Result<f64> {
    let (used, all) = process_clock::machine()?;
    thread::sleep(BREAK);
    let (used_now, all_now) = process_clock::machine()?;
    Ok((used_now - used) as f64 / (all_now - all).max(1) as f64)
}

/// The places of a round. Why rotated: whoever is first finds a machine that has rested.
fn order(count: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |turn| (turn + round) % count)
}

/// System calls that a process makes while nothing happens; None without strace.
fn system_calls(pid: u32) -> Result<Option<u64>> {
    let Some(strace) = process::find("strace") else {
        return Ok(None);
    };
    let mut child = Command::new(strace)
        .args(["-c", "-f", "-p", &pid.to_string()])
        .stdin(Stdio::null())
        .stdout(stderr())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run strace")?;
    thread::sleep(IDLE);
    // SAFETY: it is our child, and it has not been waited for.
    let sent = unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) };
    let mut text = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut text)?;
    }
    child.wait()?;
    // Why no error: a container or a hardened kernel may forbid it.
    if sent != 0 || !text.contains("attached") {
        return Ok(None);
    }
    Ok(Some(total_calls(&text).unwrap_or(0)))
}

/// Out of the table of `strace -c`; there is none if there were no calls.
fn total_calls(text: &str) -> Option<u64> {
    text.lines()
        .find(|line| line.trim_end().ends_with(" total"))?
        .split_whitespace()
        .nth(3)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_begins_with_another_and_has_all() {
        let firsts: Vec<_> = (1..=3).filter_map(|round| order(3, round).next()).collect();
        assert_eq!(firsts, [1, 2, 0]);
        let mut all: Vec<_> = order(6, 4).collect();
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn calls_are_counted() {
        let table = "strace: Process 7 attached\nstrace: Process 7 detached\n\
            % time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            \x20 0.00    0.000000           0         3           epoll_wait\n\
            ------ ----------- ----------- --------- --------- ----------------\n\
            100.00    0.000000           0         3           total\n";
        assert_eq!(total_calls(table), Some(3));
        assert_eq!(total_calls("strace: Process 7 attached\nstrace: Process 7 detached\n"), None);
    }

    #[test]
    fn seconds_are_in_reason() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for text in ["0", "-1", "NaN", "inf", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
