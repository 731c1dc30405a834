//! The fault suite: what netbreath does when something goes wrong. A case says what
//! must hold, and how often it has looked.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::event::Event;
use crate::socket;

mod clock;
mod crash;
mod hook;
mod map;
mod output;
mod privilege;
mod ring;
mod space;
mod thread;
mod types;

/// The argument that makes the test binary a helper of a case.
pub const HELPER: &str = "--fault";

pub struct Case {
    pub name: &'static str,
    /// It must look at least so often.
    pub minimum: u64,
    play: fn(&mut Report) -> Result<Outcome>,
}

const fn case(name: &'static str, minimum: u64, play: fn(&mut Report) -> Result<Outcome>) -> Case {
    Case { name, minimum, play }
}

pub const ALL: &[Case] = &[
    case("ring::full_read_only", 9, ring::full_read_only),
    case("ring::full_write_only", 9, ring::full_write_only),
    case("ring::full_accept_null", 9, ring::full_accept_null),
    case("ring::burst", 9, ring::burst),
    case("ring::full_of_processes", 8, ring::full_of_processes),
    case("map::full_of_unaccepted", 10, map::full_of_unaccepted),
    case("crash::killed_and_started_again", 12, crash::killed_and_started_again),
    case("crash::killed_at_any_moment", 15, crash::killed_at_any_moment),
    case("hook::vanished", 40, hook::vanished),
    case("privilege::given_up_after_the_start", 9, privilege::given_up_after_the_start),
    case("privilege::each_set", 40, privilege::each_set),
    case("privilege::tracefs_is_not_mounted", 3, privilege::tracefs_is_not_mounted),
    case("privilege::of_another_user", 2, privilege::of_another_user),
    case("types::not_shown", 14, types::not_shown),
    case("output::full_device", 6, output::full_device),
    case("output::full_disk", 8, output::full_disk),
    case("output::broken_pipe", 4, output::broken_pipe),
    case("output::reader_goes_meanwhile", 4, output::reader_goes_meanwhile),
    case("space::deleted", 8, space::deleted),
    case("thread::ten_thousand", 8, thread::ten_thousand),
    case("clock::set_ahead_and_back", 8, clock::set_ahead_and_back),
];

/// What came of a case.
pub enum Outcome {
    Done,
    /// It could not be played here, for this reason.
    Skipped(String),
}

/// What a case has looked at.
#[derive(Default)]
pub struct Report {
    pub checks: u64,
    pub(crate) faults: Vec<String>,
    notes: Vec<String>,
    /// What could be had only in part.
    pub partly: Vec<String>,
}

impl Report {
    pub(crate) fn check(&mut self, right: bool, text: impl FnOnce() -> String) {
        self.checks += 1;
        if !right {
            self.faults.push(text());
        }
    }

    pub(crate) fn equal<T: PartialEq + fmt::Debug>(&mut self, what: &str, is: &T, must: &T) {
        self.check(is == must, || format!("{what}: {is:?}, not {must:?}"));
    }

    pub(crate) fn holds(&mut self, what: &str, text: &str, part: &str) {
        self.check(text.contains(part), || format!("{what} does not say {part:?}: {text:?}"));
    }

    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} checks", self.checks)?;
        let notes = self.notes.iter().map(|note| ("", note));
        for (kind, text) in notes.chain(self.faults.iter().map(|fault| ("FAULT: ", fault))) {
            write!(f, "\n    {kind}{text}")?;
        }
        Ok(())
    }
}

impl Case {
    /// Plays it; every fault is in the error.
    pub fn play(&self) -> Result<(Report, Outcome)> {
        let mut report = Report::default();
        if socket::uid() != 0 {
            let reason = "needs root: network namespaces and eBPF".to_owned();
            return Ok((report, Outcome::Skipped(reason)));
        }
        let outcome = (self.play)(&mut report)?;
        if matches!(outcome, Outcome::Done) {
            let checks = report.checks;
            report.check(checks >= self.minimum, || {
                format!("{checks} checks, but there must be {}", self.minimum)
            });
        }
        if !report.faults.is_empty() {
            bail!("{report}");
        }
        Ok((report, outcome))
    }
}

/// Runs as a helper of a case, if the arguments say so; returns whether they did.
pub fn run_if_asked() -> Result<bool> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [HELPER, ring::RENAMED, names] => {
            ring::rename(names.parse().context("number of names")?);
            Ok(true)
        }
        [HELPER, thread::MANY, threads, connections] => {
            let number = |text: &str| text.parse().context("a number");
            thread::many(number(threads)?, number(connections)?)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// A folder that goes when this does.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Result<Folder> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("netbreath-fault-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Folder(folder))
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a tracer says was lost, of all hooks with these names.
fn lost(events: &[Event], hooks: &[&str]) -> u64 {
    let of_hooks = |event: &&Event| {
        event.is("gap") && event.hook.as_deref().is_some_and(|hook| hooks.contains(&hook))
    };
    events.iter().filter(of_hooks).filter_map(|gap| gap.count).sum()
}

/// How many events there are of this name.
fn count(events: &[Event], name: &str) -> u64 {
    events.iter().filter(|event| event.is(name)).count() as u64
}
