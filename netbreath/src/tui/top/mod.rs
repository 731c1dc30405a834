//! `netbreath top`: a live view of connections. `model` is what is shown, `draw` makes a
//! screen of it, `input` says what keys mean; here is the loop that joins them with a
//! source of events.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use crate::event::{Body, Event, Via};
use crate::format::jsonl::Jsonl;
use crate::run::{Signal, Signals};
use crate::source::Source;
use crate::tui::terminal::{self, Input, Screen};

pub mod draw;
pub mod input;
pub mod model;
pub mod rank;
#[cfg(target_os = "linux")]
mod sample;

use draw::Hits;
use model::{Action, Model, Own, Pane, SortKey};
#[cfg(target_os = "linux")]
use sample::Sampler;

/// Between two drawings while much happens: a slow line carries that, too.
const FRAME: Duration = Duration::from_millis(200);
/// Between two while nothing does: ages go on.
const IDLE: Duration = Duration::from_secs(1);
/// How often the kernel is asked about what is on the screen.
const ASK: Duration = Duration::from_secs(2);
/// Connections that are asked about where that is what they are sorted by.
const ASKED: usize = 256;
/// Events of a recording that are read ahead.
const AHEAD: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Terminal(#[from] terminal::Error),
    #[error("cannot read further events: {source}")]
    Source { source: Box<dyn StdError + Send + Sync> },
}

/// What the loop needs besides its source.
pub struct Top<G> {
    pub model: Model,
    pub screen: Screen,
    pub inputs: UnboundedReceiver<Input>,
    pub signals: G,
    /// The clock of a live source, in nanoseconds since boot; nothing for a recording.
    pub clock: Option<fn() -> u64>,
    /// All of a recording at once.
    pub at_once: bool,
    /// Where recordings are put.
    pub folder: PathBuf,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    pub signal: Option<Signal>,
    pub events: u64,
    pub lost: u64,
    pub gaps: u64,
    /// What we took: time on the CPU, in nanoseconds.
    pub cpu: u64,
    pub memory: u64,
    pub frames: Frames,
}

/// How long drawing took, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Frames {
    pub count: u64,
    pub median: u64,
    pub p99: u64,
    pub longest: u64,
    /// The longest time from one look at keys to the next, without what was waited.
    pub turn: u64,
    /// How long the screen was there.
    pub time: u64,
}

impl Frames {
    fn of(times: &mut [u64], turn: u64, time: u64) -> Frames {
        times.sort_unstable();
        let at = |share: usize| {
            times.get(times.len().saturating_sub(1) * share / 100).copied().unwrap_or(0)
        };
        let (median, p99, longest) = (at(50), at(99), at(100));
        Frames { count: times.len() as u64, median, p99, longest, turn, time }
    }
}

/// A recording that is being written.
struct Recording {
    path: PathBuf,
    file: BufWriter<File>,
    lines: Jsonl,
    buffer: Vec<u8>,
}

impl Recording {
    /// A new file, for its owner's eyes only, which begins with the clock.
    fn begin(folder: &std::path::Path, boot: i64, now: u64) -> io::Result<Recording> {
        let time = jiff::Timestamp::from_nanosecond(i128::from(boot) + i128::from(now))
            .unwrap_or_else(|_| jiff::Timestamp::now())
            .to_zoned(jiff::tz::TimeZone::system());
        let name = format!("netbreath-{}.jsonl", time.strftime("%Y%m%d-%H%M%S"));
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let (lines, buffer) = (Jsonl::default(), Vec::new());
        let mut recording = Recording { path, file: BufWriter::new(file), lines, buffer };
        recording.event(&Event { at: now, via: Via::Timer, body: Body::Clock { boot } })?;
        Ok(recording)
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.buffer.clear();
        self.lines.event(event, &mut self.buffer);
        self.file.write_all(&self.buffer)
    }
}

/// How a recording goes by.
struct Play {
    /// When the recording was at this time, in nanoseconds since boot.
    from: (Instant, u64),
    speed: f64,
    pending: VecDeque<Event>,
    over: bool,
}

impl Play {
    fn position(&self) -> u64 {
        let past = self.from.0.elapsed().as_secs_f64() * self.speed * 1e9;
        self.from.1.saturating_add(past as u64)
    }

    /// From here on at this speed.
    fn go_on(&mut self, at: u64, speed: f64) {
        self.from = (Instant::now(), at);
        self.speed = speed;
    }

    /// When the next event is due.
    fn due(&self) -> Option<Instant> {
        let next = self.pending.front()?.at.saturating_sub(self.from.1);
        let wait = Duration::try_from_secs_f64(next as f64 / 1e9 / self.speed);
        self.from.0.checked_add(wait.unwrap_or(Duration::from_secs(3600)))
    }
}

/// What the loop remembers.
struct State {
    hits: Hits,
    dirty: bool,
    drawn: Instant,
    pause: Duration,
    asked: Option<Instant>,
    weighed: (Instant, u64, u64),
    recording: Option<Recording>,
    /// How long each drawing took, in nanoseconds: the first million.
    times: Vec<u64>,
    #[cfg(target_os = "linux")]
    sampler: Option<Sampler>,
    netns: Option<u32>,
}

impl<G: Signals> Top<G> {
    /// Shows what `source` tells, until somebody quits.
    pub async fn run<S: Source>(mut self, source: &mut S) -> Result<Outcome, Error> {
        let live = self.clock.is_some();
        let mut state = State {
            hits: Hits::default(),
            dirty: true,
            drawn: Instant::now(),
            pause: Duration::ZERO,
            asked: None,
            weighed: (Instant::now(), cpu(), 0),
            recording: None,
            times: Vec::new(),
            #[cfg(target_os = "linux")]
            sampler: if live { Sampler::open().ok() } else { None },
            netns: std::fs::metadata("/proc/self/ns/net")
                .ok()
                .and_then(|file| u32::try_from(file.ino()).ok()),
        };
        let mut play = Play {
            from: (Instant::now(), 0),
            speed: self.model.playing.as_ref().map_or(1.0, |playing| playing.speed),
            pending: VecDeque::new(),
            over: false,
        };
        let mut events = Vec::new();
        let mut seen = 0_u64;
        let mut begun = false;
        let begin = Instant::now();
        let (mut turn, mut woken) = (Duration::ZERO, Instant::now());
        self.draw(&mut state)?;
        let signal = loop {
            turn = turn.max(woken.elapsed());
            let next = state.drawn + if state.dirty { state.pause.max(FRAME) } else { IDLE };
            let halted = self.model.paused() && !live;
            tokio::select! {
                biased;
                signal = self.signals.next() => break Some(signal),
                input = self.inputs.recv() => {
                    woken = Instant::now();
                    let Some(input) = input else { break None };
                    let mut quit = self.input(&input, &mut state)?;
                    while !quit && let Ok(input) = self.inputs.try_recv() {
                        // What it means depends on where things are now.
                        self.draw(&mut state)?;
                        quit |= self.input(&input, &mut state)?;
                    }
                    if quit {
                        break None;
                    }
                    if let Some(playing) = &self.model.playing
                        && playing.speed != play.speed
                    {
                        play.go_on(self.model.world.now, playing.speed);
                    }
                    if !self.model.paused() && halted {
                        play.go_on(self.model.world.now, play.speed);
                    }
                    self.draw(&mut state)?;
                }
                () = sleep_until(next) => {
                    woken = Instant::now();
                    if !live && begun && !halted && !play.over {
                        self.model.advance(play.position());
                    }
                    self.weigh(&mut state, seen, source);
                    self.ask(&mut state);
                    self.draw(&mut state)?;
                }
                () = until(play.due()), if !halted && !play.pending.is_empty() => {
                    woken = Instant::now();
                    let position = play.position();
                    let ready = play.pending.partition_point(|event| event.at <= position);
                    for event in play.pending.drain(..ready.max(1)) {
                        self.take(event, &mut state);
                    }
                    state.dirty = true;
                }
                read = source.next(&mut events), if !play.over && play.pending.len() < AHEAD => {
                    woken = Instant::now();
                    read.map_err(|source| Error::Source { source: Box::new(source) })?;
                    if events.is_empty() {
                        play.over = true;
                    }
                    seen += events.len() as u64;
                    if live || self.at_once {
                        for event in events.drain(..) {
                            self.take(event, &mut state);
                        }
                        state.dirty = true;
                    } else {
                        if !begun && let Some(first) = events.first() {
                            begun = true;
                            play.go_on(first.at, play.speed);
                            self.model.world.now = first.at;
                        }
                        play.pending.extend(events.drain(..));
                    }
                }
            }
            if let Some(playing) = &mut self.model.playing {
                playing.over = play.over && play.pending.is_empty();
            }
        };
        drop(self.screen);
        if let Some(recording) = &mut state.recording {
            // Why ignored: nobody is left to be told; what was written is whole lines.
            let _ = recording.file.flush();
        }
        let counts = self.model.world.tables.counts();
        Ok(Outcome {
            signal,
            events: counts.events(),
            lost: source.lost(),
            gaps: counts.gaps,
            cpu: cpu(),
            memory: memory(),
            frames: Frames::of(&mut state.times, nanos(turn), nanos(begin.elapsed())),
        })
    }

    fn take(&mut self, event: Event, state: &mut State) {
        if let Some(recording) = &mut state.recording
            && let Err(error) = recording.event(&event)
        {
            let text = format!("cannot write to {}: {error}", recording.path.display());
            state.recording = None;
            self.model.recording = None;
            self.model.say(text);
        }
        self.model.event(event);
    }

    /// Whether to quit.
    fn input(&mut self, input: &Input, state: &mut State) -> Result<bool, Error> {
        let Some(message) = input::message(input, self.model.typing) else { return Ok(false) };
        let action = self.model.update(message, &state.hits);
        match action {
            Action::None => {}
            Action::Quit => return Ok(true),
            Action::Suspend => self.screen.suspend()?,
            Action::Redraw => self.screen.renew()?,
            Action::Record => self.record(state),
        }
        Ok(false)
    }

    fn record(&mut self, state: &mut State) {
        if let Some(mut recording) = state.recording.take() {
            self.model.recording = None;
            let path = recording.path.display().to_string();
            match recording.file.flush() {
                Ok(()) => {
                    self.model.say(format!("written: {path}; netbreath top --replay shows it"))
                }
                Err(error) => self.model.say(format!("cannot write to {path}: {error}")),
            }
            return;
        }
        let world = &self.model.world;
        match Recording::begin(&self.folder, world.boot, world.now) {
            Ok(recording) => {
                self.model.recording = Some(recording.path.display().to_string());
                state.recording = Some(recording);
            }
            Err(error) => {
                let folder = self.folder.display().to_string();
                self.model.say(format!("cannot make a recording in {folder}: {error}"));
            }
        }
    }

    fn draw(&mut self, state: &mut State) -> Result<(), Error> {
        let begun = Instant::now();
        if let Some(clock) = self.clock {
            self.model.advance(clock());
        }
        let model = &self.model;
        let mut hits = Hits::default();
        self.screen.draw(|frame| hits = draw::draw(model, frame.buffer_mut()))?;
        self.model.settle(&hits);
        state.hits = hits;
        state.dirty = false;
        state.drawn = Instant::now();
        // Drawing takes a quarter of our time at most.
        state.pause = begun.elapsed() * 3;
        if state.times.len() < 1_000_000 {
            state.times.push(nanos(begun.elapsed()));
        }
        Ok(())
    }

    /// Looks what we take, once a second.
    fn weigh<S: Source>(&mut self, state: &mut State, seen: u64, source: &S) {
        let (then, cpu_then, seen_then) = state.weighed;
        let time = then.elapsed().as_secs_f64();
        if time < 1.0 {
            return;
        }
        let now = cpu();
        let costs = source.costs();
        let (calls, spent) = costs.iter().fold((0_u64, 0_u128), |(calls, spent), cost| {
            (calls + cost.calls, spent + cost.time.as_nanos())
        });
        self.model.own = Own {
            cpu: (now.saturating_sub(cpu_then) as f64 / 1e7 / time) as f32,
            memory: memory(),
            events: ((seen - seen_then) as f64 / time) as f32,
            kernel: spent.checked_div(calls.into()).and_then(|each| u64::try_from(each).ok()),
        };
        state.weighed = (Instant::now(), now, seen);
    }

    /// Asks the kernel about what is on the screen, from time to time.
    #[cfg(target_os = "linux")]
    fn ask(&mut self, state: &mut State) {
        let due = state.asked.is_none_or(|asked| asked.elapsed() >= ASK);
        let (Some(sampler), Some(clock)) = (&mut state.sampler, self.clock) else { return };
        if !due || self.model.paused() {
            return;
        }
        state.asked = Some(Instant::now());
        if self.model.pane == Pane::Interfaces {
            if let Some(links) = sampler.links() {
                self.model.linked(clock(), links);
            }
            return;
        }
        let connections = self.model.world.tables.connections();
        let mut ids: Vec<_> = match self.model.open {
            Some(id) => vec![id],
            None => state.hits.sockets().collect(),
        };
        let sorted = matches!(self.model.sort, SortKey::Rate | SortKey::Rtt);
        if sorted && self.model.pane == Pane::Connections {
            let open = connections.iter().filter(|row| row.ended.is_none());
            ids.extend(open.take(ASKED).map(|row| row.id));
            ids.sort_unstable();
            ids.dedup();
        }
        let asked: Vec<_> = ids
            .into_iter()
            .filter_map(|id| connections.get(id))
            .filter(|row| row.ended.is_none() && (row.netns.is_none() || row.netns == state.netns))
            .map(|row| (row.id, row.flow))
            .collect();
        for (id, flow) in asked {
            if let Some(sample) = sampler.socket(id, &flow, clock()) {
                self.model.sampled(id, sample);
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn ask(&mut self, _: &mut State) {}
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Our time on the CPU, in nanoseconds.
fn cpu() -> u64 {
    // SAFETY: all bytes zero is a valid value; the kernel writes one of them.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole rusage.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let nanos =
        |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
    nanos(usage.ru_utime) + nanos(usage.ru_stime)
}

/// Our resident memory, in bytes.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    // SAFETY: takes no pointers.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    pages * u64::try_from(page).unwrap_or(4096)
}
