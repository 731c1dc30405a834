//! The loop: events in, rows out, until something ends it.

pub mod judge;

use std::error::Error as StdError;
use std::future::{Future, pending, ready};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::time::Duration;

use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::cli::FormatName;
use crate::command::{self, Running};
use crate::event::network::Change;
use crate::event::{Body, Event, UnixWhat};
use crate::filter::EventKind;
use crate::format::Format;
use crate::format::csv::Csv;
use crate::format::json::Json;
use crate::format::jsonl::Jsonl;
use crate::format::recording::Recorder;
use crate::format::text::Text;
use crate::lesson::line::Explained;
use crate::lint::{Finding, Lints};
use crate::name::Names;
use crate::plan::Output;
use crate::source::{Cost, Source};
use crate::table::{Counts, Tables};

/// How long after the command's end its last events are waited for: connections
/// close behind it.
const LINGER: Duration = Duration::from_millis(50);
/// Events come so much later than they happen, at most: the clock must not be ahead.
const LATE: Duration = Duration::from_millis(50);
/// Bytes of output that are written even if more events are at hand.
const FULL: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read further events: {source}")]
    Source { source: Box<dyn StdError + Send + Sync> },
    #[error("cannot write to {to}: {source}")]
    Write { to: String, source: io::Error },
    #[error("cannot write the recording {path}: {source}")]
    Record { path: String, source: io::Error },
    #[error("cannot wait for the command: {source}")]
    Command { source: io::Error },
    #[error("cannot catch signals: {source}")]
    Signals { source: io::Error },
}

/// Events as bytes: the view and the format that were asked for.
pub struct Lines {
    shape: Shape,
    seeds: bool,
    processes: bool,
    sockets: bool,
    only: Vec<EventKind>,
    lints: Option<Lints>,
    findings: Vec<Finding>,
    /// The clock of a live source.
    clock: Option<fn() -> u64>,
    explain: Option<Explained>,
}

enum Shape {
    Sheet(Box<dyn Format<Event>>),
    Events(Jsonl),
    /// Nothing is shown: events are counted.
    Silence,
}

impl Lines {
    /// Shows nothing of what `output` would show, but counts it.
    pub fn silent(output: &Output) -> Lines {
        Lines { shape: Shape::Silence, ..Lines::new(&Output { names: false, ..output.clone() }) }
    }

    pub fn new(output: &Output) -> Lines {
        let columns = &output.columns;
        let shape = match output.format {
            FormatName::Jsonl => Shape::Events(Jsonl::default()),
            FormatName::Json => Shape::Sheet(Box::new(Json::new(columns, output.keys))),
            FormatName::Csv => Shape::Sheet(Box::new(Csv::new(columns))),
            FormatName::Text => {
                let names = output.names.then(Names::system);
                let style = output.style.clone();
                Shape::Sheet(Box::new(Text::new(
                    columns,
                    &output.spare,
                    output.width,
                    style,
                    names,
                )))
            }
        };
        Lines {
            shape,
            seeds: output.seeds,
            processes: output.processes,
            sockets: output.sockets,
            only: output.only.clone(),
            lints: output.lint.map(Lints::new),
            findings: Vec::new(),
            clock: None,
            explain: output.explain,
        }
    }

    /// With the clock of a live source, what is only a matter of time is found in time.
    pub const fn with_clock(mut self, clock: fn() -> u64) -> Lines {
        self.clock = Some(clock);
        self
    }

    /// Whether the event's kind was asked for; others come for the lints only.
    fn asked_for(&self, event: &Event) -> bool {
        matches!(event.body, Body::Clock { .. } | Body::Gap(_))
            || self.only.is_empty()
            || self.only.contains(&EventKind::All)
            || self.only.iter().any(|kind| kind.name() == event.body.name())
    }

    fn judge(&mut self, event: &Event, out: &mut Vec<u8>) {
        if let Some(lints) = &mut self.lints {
            lints.event(event, &mut self.findings);
            self.put_findings(out);
        }
    }

    /// When there will be something to find, unless an event comes before.
    fn due(&self) -> Option<Instant> {
        let (clock, due) = (self.clock?, self.lints.as_ref()?.due()?);
        let left = Duration::from_nanos(due.saturating_sub(clock()));
        Some(Instant::now() + left + LATE)
    }

    /// What is only a matter of time, now.
    fn advance(&mut self, out: &mut Vec<u8>) {
        if let (Some(lints), Some(clock)) = (&mut self.lints, self.clock) {
            let now = clock().saturating_sub(LATE.as_nanos() as u64);
            lints.advance(now, &mut self.findings);
            self.put_findings(out);
        }
    }

    fn put_findings(&mut self, out: &mut Vec<u8>) {
        for finding in self.findings.drain(..) {
            match &mut self.shape {
                Shape::Events(jsonl) => jsonl.finding(&finding, out),
                Shape::Sheet(format) => format.finding(&finding, out),
                Shape::Silence => {}
            }
        }
    }

    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Shape::Sheet(format) = &mut self.shape {
            format.begin(out);
        }
    }

    /// Appends what `event` looks like, if anything; whether it is one of those
    /// that were asked for, and counts.
    pub fn event(&mut self, event: &Event, out: &mut Vec<u8>) -> bool {
        if !self.asked_for(event) {
            self.judge(event, out);
            return false;
        }
        let counts = match event.body {
            Body::HalfOpen(_)
            | Body::State(_)
            | Body::Accept(_)
            | Body::Owner(_)
            | Body::ConnectFailed(_)
            | Body::Closed(_)
            | Body::Retransmit(_)
            | Body::Reset(_)
            | Body::Drop(_)
            | Body::Udp(_)
            | Body::Dns(_) => true,
            Body::Unix(ref unix) => unix.what != UnixWhat::Seed || self.seeds,
            Body::Seed(_) => self.seeds,
            Body::Exec(_) | Body::Fork(_) | Body::Exit(_) => self.processes,
            Body::Link(_) | Body::Address(_) | Body::Route(_) | Body::Neighbour(_) => {
                event.body.change() != Some(Change::Present)
            }
            Body::Clock { .. } | Body::Gap(_) => false,
        };
        match &mut self.shape {
            Shape::Silence => {}
            Shape::Events(jsonl) => jsonl.event(event, out),
            Shape::Sheet(format) => match &event.body {
                Body::Clock { boot } => format.clock(*boot),
                Body::Gap(gap) => format.gap(event, gap, out),
                _ if counts => {
                    format.row(event, out);
                    if let Some(explained) = self.explain {
                        explained.event(event, out);
                    }
                }
                _ => {}
            },
        }
        self.judge(event, out);
        counts
    }

    pub fn end(&mut self, out: &mut Vec<u8>) {
        if let Shape::Sheet(format) = &mut self.shape {
            format.end(out);
        }
    }
}

/// A signal that asks us to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Interrupt,
    Terminate,
}

/// Where signals come from.
pub trait Signals {
    fn next(&mut self) -> impl Future<Output = Signal>;
}

/// The process's own signals.
#[derive(Debug)]
pub struct OwnSignals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl OwnSignals {
    /// From now on, SIGINT and SIGTERM end the loop and not the process.
    pub fn catch() -> Result<OwnSignals, Error> {
        let catch = |kind| signal(kind).map_err(|source| Error::Signals { source });
        Ok(OwnSignals {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
        })
    }
}

impl Signals for OwnSignals {
    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => Signal::Interrupt,
            Some(()) = self.terminate.recv() => Signal::Terminate,
            else => pending().await,
        }
    }
}

/// When to end, apart from signals and the end of the stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub count: Option<NonZeroU64>,
    pub duration: Option<Duration>,
}

/// Everything the loop needs but the source.
pub struct Run<W, T, G> {
    pub lines: Lines,
    /// Data goes here, and `to` is how people call it.
    pub out: W,
    pub to: String,
    /// Talk goes here.
    pub talk: T,
    /// What to say first: without one, the beginning is not spoken of.
    pub greeting: Option<&'static str>,
    pub signals: G,
    pub command: Option<Running>,
    pub limits: Limits,
    pub max_sockets: usize,
    /// Everything is written to this, too.
    pub recorder: Option<Recorder>,
}

/// What ended the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Stream,
    Count,
    Duration,
    Signal(Signal),
    /// The reader of our output went away.
    Pipe,
    /// The command ended.
    Command,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub end: End,
    /// The command's exit code.
    pub command: Option<u8>,
    pub counts: Counts,
    /// Events that were asked for and written.
    pub shown: u64,
    pub lost: u64,
}

impl Outcome {
    /// The exit code that stands for the end, `--strict` aside.
    pub const fn code(&self) -> u8 {
        match (self.command, self.end) {
            (Some(code), _) => code,
            (None, End::Signal(Signal::Interrupt)) => 130,
            (None, End::Signal(Signal::Terminate)) => 143,
            (None, End::Stream | End::Duration) if self.shown == 0 => 1,
            (None, _) => 0,
        }
    }
}

impl<W: Write, T: Write, G: Signals> Run<W, T, G> {
    /// Runs until something ends it, and says on `talk` how it went.
    pub async fn run<S: Source>(mut self, source: &mut S) -> Result<Outcome, Error> {
        let mut page = Page {
            tables: Tables::new(self.max_sockets),
            events: Vec::new(),
            buffer: Vec::with_capacity(FULL),
            shown: 0,
            greeted: false,
            fresh: true,
        };
        self.lines.begin(&mut page.buffer);
        let deadline = self.limits.duration.map(|duration| Instant::now() + duration);
        let mut code = None;
        let traced = self.trace(source, &mut page, deadline, &mut code).await;
        // Whatever ended it: what was seen is written, and the format completed, so
        // that half a recording is still a recording.
        let end = match traced {
            Ok(End::Pipe) => self.record(Recorder::finish).map(|()| End::Pipe),
            Ok(end) => self.finish(source, &mut page, end),
            Err(error @ (Error::Write { .. } | Error::Record { .. })) => return Err(error),
            Err(error) => {
                self.lines.end(&mut page.buffer);
                self.flush(&mut page)?;
                self.record(Recorder::finish)?;
                Err(error)
            }
        }?;
        let outcome = Outcome {
            end,
            command: code,
            counts: *page.tables.counts(),
            shown: page.shown,
            lost: source.lost(),
        };
        if end != End::Pipe {
            self.summary(&outcome, page.tables.open());
            self.costs(&source.costs());
        }
        let code = match code {
            None if self.command.is_some() && !matches!(end, End::Signal(_)) => {
                self.wait(deadline).await?
            }
            code => code,
        };
        Ok(Outcome { command: code, ..outcome })
    }

    async fn trace<S: Source>(
        &mut self,
        source: &mut S,
        page: &mut Page,
        deadline: Option<Instant>,
        code: &mut Option<u8>,
    ) -> Result<End, Error> {
        let mut linger = None;
        let mut signalled = false;
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => {
                    if signalled || !self.passed_on(signal) || linger.is_some() {
                        return Ok(End::Signal(signal));
                    }
                    signalled = true;
                }
                status = ended(&mut self.command), if linger.is_none() => {
                    *code = Some(command::code(status?));
                    linger = Some(Instant::now() + LINGER);
                }
                () = until(linger) => return Ok(End::Command),
                () = until(deadline), if linger.is_none() => return Ok(End::Duration),
                () = until(self.lines.due()) => self.lines.advance(&mut page.buffer),
                read = source.next(&mut page.events) => {
                    read.map_err(broken)?;
                    if page.events.is_empty() {
                        return Ok(End::Stream);
                    }
                    if self.write(page) {
                        return Ok(End::Count);
                    }
                    let recorded = self.recorder.as_ref().is_some_and(Recorder::is_full);
                    if (page.buffer.len() >= FULL || recorded) && !self.flush(page)? {
                        return Ok(End::Pipe);
                    }
                }
                // The source has nothing at the moment: who reads along shall see all.
                () = ready(()), if page.fresh => {
                    if !self.flush(page)? {
                        return Ok(End::Pipe);
                    }
                }
            }
        }
    }

    /// Whether a command gets the signal and its end is to be waited for. Ctrl-C at
    /// a terminal reaches the command without us.
    fn passed_on(&self, signal: Signal) -> bool {
        let Some(command) = &self.command else {
            return false;
        };
        if signal == Signal::Terminate {
            command.terminate();
        }
        true
    }

    /// Applies and formats the events at hand; whether the count is reached.
    fn write(&mut self, page: &mut Page) -> bool {
        page.fresh = true;
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(&page.events);
        }
        for event in page.events.drain(..) {
            page.tables.apply(&event);
            if let Some(recorder) = &mut self.recorder {
                recorder.event(&event);
            }
            if self.lines.event(&event, &mut page.buffer) {
                page.shown += 1;
                if self.limits.count.is_some_and(|count| page.shown >= count.get()) {
                    return true;
                }
            }
        }
        false
    }

    /// Writes the buffer; whether anybody still reads.
    fn flush(&mut self, page: &mut Page) -> Result<bool, Error> {
        if let (Some(greeting), false) = (self.greeting, page.greeted) {
            // Why ignored: talk that nobody hears is no reason to end.
            let _ = match page.tables.counts().seeds {
                0 => writeln!(self.talk, "{greeting}"),
                1 => writeln!(self.talk, "{greeting}; 1 socket was open before"),
                seeds => writeln!(self.talk, "{greeting}; {seeds} sockets were open before"),
            };
        }
        page.greeted = true;
        page.fresh = false;
        self.record(Recorder::flush)?;
        let written = self.out.write_all(&page.buffer).and_then(|()| self.out.flush());
        page.buffer.clear();
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(source) => Err(Error::Write { to: self.to.clone(), source }),
        }
    }

    /// Writes to the recording, if there is one.
    fn record(&mut self, write: fn(&mut Recorder) -> io::Result<()>) -> Result<(), Error> {
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        write(recorder)
            .map_err(|source| Error::Record { path: recorder.path().display().to_string(), source })
    }

    /// Takes what the source still has, and completes the output.
    fn finish<S: Source>(
        &mut self,
        source: &mut S,
        page: &mut Page,
        end: End,
    ) -> Result<End, Error> {
        let finished = if end == End::Count {
            Ok(())
        } else {
            let finished = source.finish(&mut page.events).map_err(broken);
            self.write(page);
            finished
        };
        self.lines.end(&mut page.buffer);
        let read = self.flush(page)?;
        self.record(Recorder::finish)?;
        finished?;
        Ok(if read { end } else { End::Pipe })
    }

    fn summary(&mut self, outcome: &Outcome, open: usize) {
        let Outcome { counts, shown, lost, .. } = outcome;
        let many = |count: u64, one: &'static str, more: &'static str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {more}"),
        };
        let (events, gaps) = (many(*shown, "event", "events"), many(counts.gaps, "gap", "gaps"));
        let open = match self.lines.sockets {
            true => format!("; {} still open", many(open as u64, "socket", "sockets")),
            false => String::new(),
        };
        // Why ignored: as for the greeting.
        let _ = writeln!(self.talk, "{events}, {lost} lost, {gaps}{open}");
    }

    fn costs(&mut self, costs: &[Cost]) {
        if costs.is_empty() {
            return;
        }
        // Why ignored: as for the greeting.
        let _ =
            writeln!(self.talk, "{:<18}{:<18}{:>12}{:>12}", "HOOK", "PROGRAM", "CALLS", "NS/CALL");
        for Cost { hook, program, calls, time } in costs {
            let each = time.as_nanos().checked_div(u128::from(*calls)).unwrap_or(0);
            let _ = writeln!(self.talk, "{hook:<18}{program:<18}{calls:>12}{each:>12}");
        }
    }

    /// Waits for a command that outlives its trace.
    async fn wait(&mut self, deadline: Option<Instant>) -> Result<Option<u8>, Error> {
        let mut late = false;
        let mut signalled = false;
        loop {
            tokio::select! {
                biased;
                status = ended(&mut self.command) => return Ok(Some(command::code(status?))),
                signal = self.signals.next() => {
                    if signalled || !self.passed_on(signal) {
                        return Ok(Some(match signal {
                            Signal::Interrupt => 130,
                            Signal::Terminate => 143,
                        }));
                    }
                    signalled = true;
                }
                () = until(deadline), if !late => {
                    late = true;
                    if let Some(command) = &self.command {
                        command.terminate();
                    }
                }
            }
        }
    }
}

/// What is being written.
struct Page {
    tables: Tables,
    events: Vec<Event>,
    buffer: Vec<u8>,
    shown: u64,
    greeted: bool,
    /// There is something that is not written yet.
    fresh: bool,
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

async fn ended(command: &mut Option<Running>) -> Result<std::process::ExitStatus, Error> {
    match command {
        Some(command) => command.ended().await.map_err(|source| Error::Command { source }),
        None => pending().await,
    }
}

fn broken(source: impl StdError + Send + Sync + 'static) -> Error {
    Error::Source { source: Box::new(source) }
}
