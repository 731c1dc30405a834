//! The loop, with a scripted source.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::cell::RefCell;
use std::ffi::OsString;
use std::future::pending;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::time::{Duration, Instant};

use netbreath::cli::FormatName;
use netbreath::command::{self, Running};
use netbreath::run::{End, Error, Limits, Lines, Outcome, Run, Signal, Signals};

mod script;
use script::{Script, Step, events};

/// Signals after so many milliseconds each.
struct After(Vec<(u64, Signal)>);

impl Signals for After {
    async fn next(&mut self) -> Signal {
        let Some((millis, signal)) = self.0.first().copied() else { return pending().await };
        let start = tokio::time::Instant::now();
        let _guard = Elapsed(&mut self.0, start);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        signal
    }
}

/// Takes what was waited off the first signal's time, even if the wait is dropped.
struct Elapsed<'a>(&'a mut Vec<(u64, Signal)>, tokio::time::Instant);

impl Drop for Elapsed<'_> {
    fn drop(&mut self) {
        let waited = self.1.elapsed().as_millis() as u64;
        self.0[0].0 = self.0[0].0.saturating_sub(waited);
        if self.0[0].0 == 0 {
            self.0.remove(0);
        }
    }
}

/// A writer that notes what each write brought.
#[derive(Clone, Default)]
struct Writes {
    writes: Rc<RefCell<Vec<String>>>,
    error: Option<io::ErrorKind>,
}

impl Write for Writes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(kind) = self.error {
            return Err(kind.into());
        }
        self.writes.borrow_mut().push(String::from_utf8_lossy(bytes).into_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Bench {
    format: FormatName,
    signals: Vec<(u64, Signal)>,
    command: Option<Running>,
    limits: Limits,
    out: Writes,
    talk: Writes,
}

impl Default for Bench {
    fn default() -> Bench {
        Bench {
            format: FormatName::Text,
            signals: Vec::new(),
            command: None,
            limits: Limits::default(),
            out: Writes::default(),
            talk: Writes::default(),
        }
    }
}

impl Bench {
    async fn run(self, mut source: Script) -> (Result<Outcome, Error>, String, String) {
        let (out, talk) = (self.out.clone(), self.talk.clone());
        let run = Run {
            lines: Lines::new(&script::output(self.format, None)),
            out: self.out,
            to: "the test".into(),
            talk: self.talk,
            greeting: Some("watching"),
            signals: After(self.signals),
            command: self.command,
            limits: self.limits,
            max_sockets: 100,
            recorder: None,
        };
        let outcome = run.run(&mut source).await;
        (outcome, out.writes.borrow().concat(), talk.writes.borrow().concat())
    }
}

fn run_command(line: &[&str]) -> Running {
    let words: Vec<OsString> = line.iter().map(OsString::from).collect();
    command::hold(&words, None).unwrap().release().unwrap()
}

#[tokio::test]
async fn a_stream_ends_with_a_summary() {
    let mut source = Script::new([Step::Give(events())]);
    source.lost = 3;
    let (outcome, out, talk) = Bench::default().run(source).await;
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.code(), outcome.lost), (End::Stream, 0, 3));
    assert_eq!(out.lines().count(), 1 + events().len() - 2);
    let summary = format!("{} events, 3 lost, 2 gaps; 2 sockets still open", script::rows());
    assert_eq!(talk, format!("watching; 1 socket was open before\n{summary}\n"));
}

#[tokio::test]
async fn nothing_seen_is_code_1() {
    let seeds = events().into_iter().take(2).collect();
    let (outcome, ..) = Bench::default().run(Script::new([Step::Give(seeds)])).await;
    assert_eq!(outcome.unwrap().code(), 1);
    let limits = Limits { duration: Some(Duration::from_millis(10)), count: None };
    let (outcome, ..) = Bench { limits, ..Bench::default() }.run(Script::new([Step::Hang])).await;
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.code()), (End::Duration, 1));
}

#[tokio::test]
async fn a_count_ends_in_the_middle_of_a_batch() {
    let limits = Limits { count: NonZeroU64::new(2), duration: None };
    let bench = Bench { limits, format: FormatName::Json, ..Bench::default() };
    let (outcome, out, _) = bench.run(Script::new([Step::Give(events()), Step::Hang])).await;
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.code(), outcome.shown), (End::Count, 0, 2));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!(rows.len(), 2);
}

#[tokio::test]
async fn signals_end_it_and_what_was_late_is_still_written() {
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
        let mut source = Script::new([Step::Hang]);
        source.at_finish = events();
        let bench =
            Bench { signals: vec![(20, signal)], format: FormatName::Jsonl, ..Bench::default() };
        let (outcome, out, talk) = bench.run(source).await;
        assert_eq!(outcome.unwrap().code(), code);
        assert_eq!(out, script::recording());
        assert!(
            talk.ends_with(&format!(
                "{} events, 0 lost, 2 gaps; 2 sockets still open\n",
                script::rows()
            )),
            "{talk}"
        );
    }
}

#[tokio::test]
async fn rows_are_written_when_the_source_has_no_more_for_now() {
    let (first, second) = (events(), events());
    let bench = Bench::default();
    let out = bench.out.clone();
    let source = Script::new([
        Step::Give(first),
        Step::Give(second),
        Step::Sleep(Duration::from_millis(20)),
        Step::Give(events()),
        Step::Sleep(Duration::from_millis(20)),
    ]);
    bench.run(source).await.0.unwrap();
    // Two batches at once, the third after the pause, and nothing at the end.
    let sizes: Vec<usize> =
        out.writes.borrow().iter().map(|text| text.lines().count()).filter(|n| *n > 0).collect();
    assert_eq!(sizes, [1 + 2 * (script::lines() - 1), script::lines() - 1]);
}

#[tokio::test]
async fn a_closed_pipe_is_a_quiet_end() {
    let out = Writes { error: Some(io::ErrorKind::BrokenPipe), ..Writes::default() };
    let bench = Bench { out, ..Bench::default() };
    let (outcome, _, talk) = bench.run(Script::new([Step::Give(events()), Step::Hang])).await;
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.code()), (End::Pipe, 0));
    assert!(!talk.contains("events"), "{talk}");
}

#[tokio::test]
async fn a_full_disk_is_an_error() {
    let out = Writes { error: Some(io::ErrorKind::StorageFull), ..Writes::default() };
    let bench = Bench { out, ..Bench::default() };
    let (outcome, ..) = bench.run(Script::new([Step::Give(events()), Step::Hang])).await;
    assert!(outcome.unwrap_err().to_string().starts_with("cannot write to the test: "));
}

#[tokio::test]
async fn a_source_that_breaks_leaves_a_whole_array() {
    let bench = Bench { format: FormatName::Json, ..Bench::default() };
    let (outcome, out, _) = bench.run(Script::new([Step::Give(events()), Step::Fail])).await;
    assert_eq!(
        outcome.unwrap_err().to_string(),
        "cannot read further events: the script fails here"
    );
    serde_json::from_str::<Vec<serde_json::Value>>(&out).unwrap();
}

#[tokio::test]
async fn it_ends_with_the_command_and_shows_what_closes_behind_it() {
    let command = Some(run_command(&["sh", "-c", "sleep 0.1; exit 9"]));
    let bench = Bench { command, ..Bench::default() };
    let source =
        Script::new([Step::Sleep(Duration::from_millis(120)), Step::Give(events()), Step::Hang]);
    let (outcome, out, _) = bench.run(source).await;
    let outcome = outcome.unwrap();
    assert_eq!(
        (outcome.end, outcome.code(), outcome.shown),
        (End::Command, 9, script::rows() as u64)
    );
    assert!(out.contains("FIN_WAIT2"), "{out}");
}

#[tokio::test]
async fn a_command_outlives_the_count_but_not_the_duration() {
    let start = Instant::now();
    let limits = Limits { count: NonZeroU64::new(1), duration: None };
    let command = Some(run_command(&["sh", "-c", "sleep 0.2; exit 9"]));
    let bench = Bench { command, limits, ..Bench::default() };
    let (outcome, ..) = bench.run(Script::new([Step::Give(events()), Step::Hang])).await;
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.code()), (End::Count, 9));
    assert!(start.elapsed() >= Duration::from_millis(200));

    let limits = Limits { count: None, duration: Some(Duration::from_millis(50)) };
    let command = Some(run_command(&["sleep", "100"]));
    let bench = Bench { command, limits, ..Bench::default() };
    let (outcome, ..) = bench.run(Script::new([Step::Hang])).await;
    let outcome = outcome.unwrap();
    assert_eq!((outcome.end, outcome.code()), (End::Duration, 143));
}

#[tokio::test]
async fn a_signal_is_the_commands_and_the_second_is_ours() {
    // Terminated, the command ends by itself and says how.
    let command = Some(run_command(&["sh", "-c", "trap 'kill $!; exit 4' TERM; sleep 100 & wait"]));
    let bench = Bench { command, signals: vec![(300, Signal::Terminate)], ..Bench::default() };
    let (outcome, ..) = bench.run(Script::new([Step::Hang])).await;
    assert_eq!(outcome.unwrap().code(), 4);

    let command = Some(run_command(&["sleep", "3"]));
    let signals = vec![(20, Signal::Interrupt), (20, Signal::Interrupt)];
    let bench = Bench { command, signals, ..Bench::default() };
    let start = Instant::now();
    let (outcome, ..) = bench.run(Script::new([Step::Hang])).await;
    assert_eq!(outcome.unwrap().code(), 130);
    assert!(start.elapsed() < Duration::from_secs(2));
}
