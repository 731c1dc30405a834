//! What was measured, as a table, and next to the goals.

use std::env::consts;
use std::fmt::{self, Display};
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::churn::{self, Churned};
use super::output::Seen;
use super::statistic::{best, median, quantile};
use super::tracer::{NETBREATH, NETBREATH_ALL, NETBREATH_FILTERED, TCPSTATES, Tracer, Used};

/// A machine is never quite without other work.
const DISTURBED: f64 = 0.05;

pub struct Report {
    pub rounds: u32,
    /// Of a turn.
    pub connections: u64,
    /// Connections a second.
    pub untraced: Vec<f64>,
    /// Shares of the machine that others used before each round.
    pub others: Vec<f64>,
    pub series: Vec<Series>,
    pub paced: Counted,
    /// In seconds.
    pub starts: Vec<f64>,
    /// The same with every event.
    pub starts_all: Vec<f64>,
    pub idle: Idle,
}

/// All turns of a tracer.
pub struct Series {
    pub tracer: &'static Tracer,
    /// Connections a second.
    rates: Vec<f64>,
    /// To the untraced rate of the same round.
    ratios: Vec<f64>,
    /// The same by the CPU time of the load: for a machine that others use too.
    cpu_ratios: Vec<f64>,
    /// Events that it had to write.
    made: u64,
    lost: Option<u64>,
    cpu: Duration,
    memory: u64,
    pub counted: Option<Counted>,
    /// Why there is no more of it.
    pub failure: Option<String>,
}

/// A run whose output was read.
pub struct Counted {
    made: u64,
    seen: u64,
    lost: u64,
    rate: f64,
    memory: u64,
    /// In nanoseconds; None if the lines have no time.
    delay: Option<Delay>,
}

#[derive(Clone, Copy)]
struct Delay {
    half: f64,
    most: f64,
}

/// A while in which nothing happened.
pub struct Idle {
    pub time: Duration,
    pub cpu: Duration,
    pub switches: u64,
    /// None if strace could not count them.
    pub calls: Option<u64>,
}

impl Series {
    pub fn new(tracer: &'static Tracer, failure: Option<String>) -> Self {
        Self {
            tracer,
            rates: Vec::new(),
            ratios: Vec::new(),
            cpu_ratios: Vec::new(),
            made: 0,
            lost: Some(0),
            cpu: Duration::ZERO,
            memory: 0,
            counted: None,
            failure,
        }
    }

    pub fn add(&mut self, churned: Churned, used: &Used) {
        self.made += made(self.tracer, churned);
        self.lost = self.lost.zip(used.lost).map(|(sum, lost)| sum + lost);
        self.cpu += used.cpu;
        self.memory = self.memory.max(used.memory);
    }

    /// A turn, next to the untraced one of the same round.
    pub fn compare(&mut self, traced: Churned, untraced: Churned) {
        self.rates.push(traced.rate());
        self.ratios.push(traced.rate() / untraced.rate());
        self.cpu_ratios.push(untraced.cpu_per_connection() / traced.cpu_per_connection());
    }

    /// Uses a result. A peer that fails is left out from then on; netbreath must not fail.
    pub fn take<T>(&mut self, result: Result<T>, with: impl FnOnce(&mut Self, T)) -> Result<()> {
        match result {
            Ok(value) => with(self, value),
            Err(error) if self.tracer.is_peer() => {
                eprintln!("bench: {error:#}");
                self.failure = Some(format!("failed: {error:#}"));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// CPU time for each event that it wrote, in nanoseconds. What it lost cost it nothing.
    fn cpu_per_event(&self) -> Option<f64> {
        let written = self.made.saturating_sub(self.lost.unwrap_or(0));
        (written > 0).then(|| self.cpu.as_nanos() as f64 / written as f64)
    }
}

impl Counted {
    pub fn new(tracer: &Tracer, churned: Churned, used: &Used, seen: Seen) -> Self {
        let delay = |share| quantile(&seen.delays, share);
        Self {
            made: made(tracer, churned),
            seen: seen.events,
            // Why the larger: netbreath tells of a loss among its events and in the end.
            lost: seen.lost.max(used.lost.unwrap_or(0)),
            rate: churned.rate(),
            memory: used.memory,
            delay: delay(0.5).zip(delay(0.99)).map(|(half, most)| Delay { half, most }),
        }
    }
}

/// The events that a tracer has to write for this.
fn made(tracer: &Tracer, churned: Churned) -> u64 {
    if tracer.events == churn::TRANSITIONS {
        return churned.transitions;
    }
    churned.connections * tracer.events
}

/// What we want of netbreath, and what there is.
struct Goal {
    text: &'static str,
    measured: String,
    /// None if there is nothing to compare with.
    met: Option<bool>,
}

impl Report {
    fn of(&self, tracer: &Tracer) -> Option<&Series> {
        self.series.iter().find(|series| series.tracer.name == tracer.name)
    }

    fn goals(&self) -> Vec<Goal> {
        let own = self.of(&NETBREATH);
        let counted = own.and_then(|own| own.counted.as_ref());
        let ratio = own.and_then(|own| median(&own.ratios));
        let filtered = self.of(&NETBREATH_FILTERED).and_then(|filtered| median(&filtered.ratios));
        let lost = own.and_then(|own| own.lost);
        let missing = counted.map(|counted| counted.made.saturating_sub(counted.seen));
        let cpu = own.and_then(Series::cpu_per_event);
        let peer = self.of(&TCPSTATES).and_then(Series::cpu_per_event);
        let share = cpu.zip(peer).map(|(cpu, peer)| cpu / peer);
        let start = median(&self.starts).map(|seconds| seconds * 1e3);
        let memory = |series: &Series| {
            [Some(series.memory), series.counted.as_ref().map(|c| c.memory)]
                .into_iter()
                .flatten()
                .max()
        };
        let most = own.and_then(memory);
        let all = self.of(&NETBREATH_ALL);
        let all_ratio = all.and_then(|all| median(&all.ratios));
        let all_lost = all.and_then(|all| all.lost);
        let all_memory = all.and_then(memory);
        let all_start = median(&self.starts_all).map(|seconds| seconds * 1e3);
        vec![
            Goal {
                text: "at least 0.80 of the untraced rate with every event as jsonl",
                measured: format!("{}, {} lost", maybe(ratio, two), maybe(lost, count)),
                met: ratio.zip(lost).map(|(ratio, lost)| ratio >= 0.80 && lost == 0),
            },
            Goal {
                text: "at least 0.95 with a filter that matches nothing",
                measured: maybe(filtered, two),
                met: filtered.map(|ratio| ratio >= 0.95),
            },
            Goal {
                text: "none missing over 1,000,000 transitions",
                measured: maybe(counted, |c| {
                    format!("{} of {} missing", c.made.saturating_sub(c.seen), c.made)
                }),
                met: missing
                    .zip(counted)
                    .filter(|(missing, counted)| *missing > 0 || counted.made >= 1_000_000)
                    .map(|(missing, _)| missing == 0),
            },
            Goal {
                text: "CPU per event at most a third of tcpstates'",
                measured: maybe(share, |share| format!("{share:.2} of it")),
                met: share.map(|share| share <= 1.0 / 3.0),
            },
            Goal {
                text: "ready within 150 ms",
                measured: maybe(start, |ms| format!("{ms:.0} ms")),
                met: start.map(|ms| ms <= 150.0),
            },
            Goal {
                text: "under 40 MB of memory",
                measured: maybe(most, megabytes),
                met: most.map(|bytes| bytes < 40_000_000),
            },
            Goal {
                text: "with all events, at least 0.65 of the untraced rate",
                measured: format!("{}, {} lost", maybe(all_ratio, two), maybe(all_lost, count)),
                met: all_ratio.zip(all_lost).map(|(ratio, lost)| ratio >= 0.65 && lost == 0),
            },
            Goal {
                text: "with all events, ready within 250 ms",
                measured: maybe(all_start, |ms| format!("{ms:.0} ms")),
                met: all_start.map(|ms| ms <= 250.0),
            },
            Goal {
                text: "with all events, under 60 MB of memory",
                measured: maybe(all_memory, megabytes),
                met: all_memory.map(|bytes| bytes < 60_000_000),
            },
            Goal {
                text: "no CPU while nothing happens",
                measured: microseconds(self.idle.cpu.as_nanos() as f64),
                // Why not zero: on a machine that others use, some connection is made.
                met: Some(self.idle.cpu < self.idle.time / 5000),
            },
        ]
    }

    fn rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(
            f,
            "",
            [
                "conn/s best",
                "median",
                "ratio best",
                "median",
                "by CPU",
                "made",
                "lost",
                "CPU/event",
                "memory",
            ],
        )?;
        let none = || "-".to_owned();
        row(
            f,
            "untraced",
            [
                maybe(best(&self.untraced), whole),
                maybe(median(&self.untraced), whole),
                two(1.0),
                two(1.0),
                two(1.0),
                none(),
                none(),
                none(),
                none(),
            ],
        )?;
        for series in self.series.iter().filter(|series| !series.rates.is_empty()) {
            row(
                f,
                series.tracer.name,
                [
                    maybe(best(&series.rates), whole),
                    maybe(median(&series.rates), whole),
                    maybe(best(&series.ratios), two),
                    maybe(median(&series.ratios), two),
                    maybe(median(&series.cpu_ratios), two),
                    count(series.made),
                    maybe(series.lost, count),
                    series.cpu_per_event().map_or_else(none, microseconds),
                    megabytes(series.memory),
                ],
            )?;
        }
        for series in &self.series {
            if let Some(failure) = &series.failure {
                writeln!(f, "{:<20}{failure}", series.tracer.name)?;
            }
        }
        Ok(())
    }

    fn counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        row(f, "", ["conn/s", "made", "delivered", "said lost", "delay p50", "p99"])?;
        for series in &self.series {
            if let Some(counted) = &series.counted {
                counted.row(f, series.tracer.name)?;
            }
        }
        self.paced.row(f, "netbreath, paced")
    }
}

impl Counted {
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let delay = |nanoseconds: fn(Delay) -> f64| {
            self.delay.map_or_else(|| "-".to_owned(), |delay| microseconds(nanoseconds(delay)))
        };
        row(
            f,
            name,
            [
                whole(self.rate),
                count(self.made),
                count(self.seen),
                count(self.lost),
                delay(|delay| delay.half),
                delay(|delay| delay.most),
            ],
        )
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "netbreath trace on {}: {} x {} connections",
            machine().unwrap_or_else(|_| "an unknown machine".to_owned()),
            self.rounds,
            self.connections
        )?;
        if let Some(share) = best(&self.others).filter(|share| *share > DISTURBED) {
            writeln!(
                f,
                "Other processes took up to {:.0} % of this machine: trust no number too much.",
                share * 100.0
            )?;
        }
        writeln!(f, "\nOutput to /dev/null:")?;
        self.rates(f)?;
        writeln!(f, "\nOutput through a pipe, read and counted:")?;
        self.counts(f)?;
        writeln!(
            f,
            "\nStart: ready after {} (median of {})",
            maybe(median(&self.starts), |seconds| microseconds(seconds * 1e9)),
            self.starts.len()
        )?;
        writeln!(
            f,
            "Idle for {} s: {} of CPU, {} context switches; {}",
            self.idle.time.as_secs(),
            microseconds(self.idle.cpu.as_nanos() as f64),
            self.idle.switches,
            match self.idle.calls {
                Some(calls) => format!("under strace, {calls} system calls"),
                None => "system calls not counted: strace is missing, or not allowed".to_owned(),
            }
        )?;
        writeln!(f, "\nGoals (ratios are medians of rates):")?;
        for goal in self.goals() {
            let verdict = match goal.met {
                Some(true) => "met",
                Some(false) => "not met",
                None => "not measured",
            };
            writeln!(f, "  {verdict:<13} {}: {}", goal.text, goal.measured)?;
        }
        Ok(())
    }
}

fn machine() -> Result<String> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").context("no kernel version")?;
    let cpus = thread::available_parallelism()?;
    Ok(format!("Linux {}, {}, {cpus} CPUs", kernel.trim(), consts::ARCH))
}

fn row(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    cells: impl IntoIterator<Item = impl Display>,
) -> fmt::Result {
    write!(f, "{name:<20}")?;
    for cell in cells {
        write!(f, "{cell:>12}")?;
    }
    writeln!(f)
}

fn maybe<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "unknown".to_owned(), text)
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}

fn two(value: f64) -> String {
    format!("{value:.2}")
}

fn count(value: u64) -> String {
    value.to_string()
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// In the unit that fits.
fn microseconds(nanoseconds: f64) -> String {
    if nanoseconds < 1e6 {
        format!("{:.2} us", nanoseconds / 1e3)
    } else {
        format!("{:.1} ms", nanoseconds / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tracer::BPFTRACE;
    use super::*;

    const CHURNED: Churned =
        Churned { connections: 100_000, seconds: 4.0, cpu_seconds: 3.0, transitions: 1_000_002 };

    fn series(tracer: &'static Tracer, ratio: f64, cpu: Duration, lost: u64) -> Series {
        let mut series = Series::new(tracer, None);
        let used = Used { cpu, memory: 20_000_000, lost: Some(lost) };
        series.add(CHURNED, &used);
        let slower = Churned { seconds: CHURNED.seconds / ratio, ..CHURNED };
        series.compare(slower, CHURNED);
        series
    }

    fn counted(seen: u64) -> Counted {
        let used = Used { cpu: Duration::ZERO, memory: 30_000_000, lost: Some(0) };
        let seen = Seen { events: seen, lost: 0, delays: vec![1e6, 2e6, 3e6] };
        Counted::new(&NETBREATH, CHURNED, &used, seen)
    }

    fn report() -> Report {
        let mut own = series(&NETBREATH, 0.85, Duration::from_secs(1), 0);
        own.counted = Some(counted(1_000_002));
        Report {
            rounds: 1,
            connections: 100_000,
            untraced: vec![30_000.0],
            others: vec![0.02, 0.31],
            series: vec![
                own,
                series(&NETBREATH_FILTERED, 0.97, Duration::ZERO, 0),
                series(&TCPSTATES, 0.4, Duration::from_secs(4), 2),
                Series::new(&BPFTRACE, Some("not run: missing".to_owned())),
                series(&NETBREATH_ALL, 0.7, Duration::from_secs(2), 0),
            ],
            paced: counted(1_000_002),
            starts: vec![0.1, 0.12, 0.11],
            starts_all: vec![0.2],
            idle: Idle {
                time: Duration::from_secs(5),
                cpu: Duration::ZERO,
                switches: 0,
                calls: Some(1),
            },
        }
    }

    fn verdicts(report: &Report) -> Vec<Option<bool>> {
        report.goals().iter().map(|goal| goal.met).collect()
    }

    #[test]
    fn goals_are_met() {
        assert_eq!(verdicts(&report()), [Some(true); 10]);
    }

    #[test]
    fn goals_are_missed() {
        let mut slow = report();
        slow.series[0] = series(&NETBREATH, 0.7, Duration::from_secs(3), 0);
        slow.series[0].counted = Some(counted(1_000_001));
        slow.series[0].memory = 41_000_000;
        slow.series[1].ratios = vec![0.9];
        slow.starts = vec![0.2];
        slow.starts_all = vec![0.3];
        slow.series[4] = series(&NETBREATH_ALL, 0.6, Duration::from_secs(3), 0);
        slow.series[4].memory = 61_000_000;
        slow.idle.cpu = Duration::from_millis(20);
        assert_eq!(verdicts(&slow), [Some(false); 10]);
    }

    #[test]
    fn a_loss_misses_the_first_goal() {
        let mut report = report();
        report.series[0].lost = Some(1);
        assert_eq!(verdicts(&report)[0], Some(false));
    }

    #[test]
    fn without_the_peer_there_is_no_verdict() {
        let mut report = report();
        report.series.remove(2);
        assert_eq!(verdicts(&report)[3], None);
    }

    #[test]
    fn what_was_lost_cost_nothing() {
        let series = series(&TCPSTATES, 0.4, Duration::from_secs(1), 500_002);
        assert_eq!(series.cpu_per_event(), Some(2000.0));
        let filtered = self::series(&NETBREATH_FILTERED, 1.0, Duration::ZERO, 0);
        assert_eq!(filtered.cpu_per_event(), None);
    }

    #[test]
    fn a_peer_that_fails_is_left_out() {
        let mut peer = Series::new(&BPFTRACE, None);
        let failed = || Err::<(), _>(anyhow::anyhow!("broken"));
        peer.take(failed(), |_, ()| ()).expect("no error");
        assert_eq!(peer.failure.as_deref(), Some("failed: broken"));
        let mut own = Series::new(&NETBREATH, None);
        assert!(own.take(failed(), |_, ()| ()).is_err());
    }

    #[test]
    fn the_table_has_everything() {
        let text = report().to_string();
        for part in ["31 %", "untraced", "0.85", "not run: missing", "met", "2.0 ms"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }
}
