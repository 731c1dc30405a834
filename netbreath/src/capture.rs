//! The loop of a capture: packets in, lines or a file out, until something ends it.

use std::error::Error as StdError;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::command::{self, Running};
use crate::event::packet::{Interface, Packet};
use crate::event::{Body, Event};
use crate::format::pcapng::{Counted, Encoder};
use crate::run::{Signal, Signals};
use crate::source::packet::{Counts, Live, Seen, Sink, complete};
use crate::view::packet::line;
use crate::view::tcpdump::Printer;
use crate::view::tshark::Shower;

pub mod file;
pub mod rotation;

use rotation::{Rotation, Turn};

/// Bytes that are written at once, if so many come.
const FULL: usize = 1 << 20;
/// Digits of the second in live times.
const NANOSECONDS: usize = 9;
/// How long bytes wait for more of them.
const WAIT: Duration = Duration::from_millis(250);
/// How long after the command's end its last packets are waited for.
const LINGER: Duration = Duration::from_millis(50);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot capture further packets: {source}")]
    Source { source: Box<dyn StdError + Send + Sync> },
    #[error(
        "cannot write to {to}: {source}; {whole} packets are there, {lost} that were captured are \
         not"
    )]
    Write { to: String, source: io::Error, whole: u64, lost: u64 },
    #[error("cannot wait for the command: {source}")]
    Command { source: io::Error },
}

/// Where the bytes of packets go.
#[derive(Debug)]
pub struct Target {
    file: File,
    /// Nobody else writes to it, and it can be cut.
    own: bool,
    name: String,
    /// What it was asked for by, if it is a file.
    path: PathBuf,
}

impl Target {
    /// Standard output.
    pub fn shared(file: File) -> Target {
        Target { file, own: false, name: "standard output".to_owned(), path: PathBuf::new() }
    }

    /// A file at `path`, in place of any that is there, that only its owner may read.
    pub fn create(path: &Path) -> io::Result<Target> {
        let file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let own = file.metadata()?.is_file();
        if own {
            // It may have been there before.
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(Target { file, own, name: path.display().to_string(), path: path.to_owned() })
    }

    /// What the file was asked for by, where each file of a rotation has a name of its own.
    pub fn called(self, path: &Path) -> Target {
        Target { path: path.to_owned(), ..self }
    }
}

/// When to end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    pub count: Option<NonZeroU64>,
    pub duration: Option<Duration>,
}

/// What packets become.
pub enum Shape {
    Lines,
    /// Lines as tcpdump has them, and its words at the end.
    Tcpdump(Box<Printer>),
    /// As tshark shows them.
    Tshark(Box<Shower>),
    File(Encoder),
}

impl Shape {
    const fn is_text(&self) -> bool {
        matches!(self, Shape::Lines | Shape::Tcpdump(_) | Shape::Tshark(_))
    }
}

/// Everything around the source.
pub struct Capturing<'a, Sig, T> {
    pub shape: Shape,
    pub target: Target,
    pub talk: T,
    pub signals: Sig,
    pub command: Option<Running>,
    pub limits: Limits,
    pub interfaces: Vec<Arc<Interface>>,
    pub filter: Option<&'a str>,
    pub rotation: Rotation,
    /// The closing words are those of tcpdump.
    pub brief: bool,
    /// Each packet is written as it comes.
    pub unbuffered: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The command's exit code.
    pub command: Option<u8>,
    pub captured: u64,
    pub lost: u64,
}

/// Packets that were taken and not written yet.
struct Page {
    shape: Shape,
    interfaces: Vec<Arc<Interface>>,
    buffer: Vec<u8>,
    /// Where each packet ends in the buffer.
    ends: Vec<usize>,
    packets: Vec<Packet>,
    /// Packets of each interface that are written or in the buffer.
    taken: Vec<u64>,
    all: u64,
    most: u64,
    turn: Turn,
    filter: Option<String>,
}

impl Sink for Page {
    fn packet(&mut self, seen: &impl Seen) {
        // What comes after the last that was asked for is not ours.
        if self.all == self.most || self.turn.is_over() {
            return;
        }
        let Some(interface) = self.interfaces.get(seen.place()) else { return };
        if let Shape::File(encoder) = &mut self.shape
            && self.turn.comes(seen.wall(), self.buffer.len())
        {
            *encoder = encoder.anew();
            let interfaces: Vec<&Interface> = self.interfaces.iter().map(|one| &**one).collect();
            encoder.begin(&interfaces, self.filter.as_deref(), &mut self.buffer);
        }
        if self.turn.is_over() {
            return;
        }
        self.all += 1;
        if let Some(taken) = self.taken.get_mut(seen.place()) {
            *taken += 1;
        }
        match &mut self.shape {
            Shape::File(encoder) => {
                encoder.packet(seen, &mut self.buffer);
                self.ends.push(self.buffer.len());
            }
            Shape::Lines | Shape::Tcpdump(_) | Shape::Tshark(_) => {
                self.packets.push(complete(seen, interface));
            }
        }
    }
}

impl Page {
    /// Lines of the packets that came since.
    fn lines(&mut self) {
        // Those of several CPUs can come in another order than they happened.
        self.packets.sort_by_key(|packet| packet.wall);
        for packet in self.packets.drain(..) {
            match &mut self.shape {
                Shape::Lines => line::write(&packet, &mut self.buffer),
                Shape::Tcpdump(printer) => {
                    printer.print(&packet);
                    self.buffer.append(printer.output());
                }
                Shape::Tshark(shower) => {
                    shower.packet(&packet, NANOSECONDS, &mut self.buffer);
                }
                Shape::File(_) => {}
            }
            self.ends.push(self.buffer.len());
        }
    }
}

enum End {
    Signal,
    Command,
    Duration,
    Count,
    /// Who read the output went away.
    Pipe,
}

impl<Sig: Signals, T: Write> Capturing<'_, Sig, T> {
    /// Runs until the end. `boot` is the wall-clock time now, nanoseconds since the epoch.
    pub async fn run<S: Live>(mut self, source: &mut S, from: i64) -> Result<Outcome, Error> {
        let mut page = Page {
            shape: std::mem::replace(&mut self.shape, Shape::Lines),
            taken: vec![0; self.interfaces.len()],
            interfaces: self.interfaces.clone(),
            buffer: Vec::with_capacity(FULL),
            ends: Vec::new(),
            packets: Vec::new(),
            all: 0,
            most: self.limits.count.map_or(u64::MAX, NonZeroU64::get),
            turn: Turn::new(self.rotation.clone(), self.target.path.clone()),
            filter: self.filter.map(str::to_owned),
        };
        if let Shape::File(encoder) = &page.shape {
            let interfaces: Vec<&Interface> = page.interfaces.iter().map(|one| &**one).collect();
            encoder.begin(&interfaces, self.filter, &mut page.buffer);
        }
        if let Shape::Tshark(shower) = &mut page.shape {
            shower.begin(&mut page.buffer);
        }
        let mut code = None;
        let ended = self.capture(source, &mut page, &mut code).await;
        // Before the programs go.
        let costs = source.costs();
        let end = match ended {
            Ok(end) => {
                let mut events = Vec::new();
                if !matches!(end, End::Pipe) {
                    source.finish(&mut page, &mut events).map_err(broken)?;
                }
                self.gaps(&events);
                end
            }
            Err(error @ Error::Write { .. }) => return Err(error),
            Err(error) => {
                // What was captured until then is not lost with it.
                self.flush(&mut page)?;
                return Err(error);
            }
        };
        page.lines();
        if let Shape::Tshark(shower) = &mut page.shape {
            shower.end(&mut page.buffer);
        }
        let mut counted = Vec::new();
        for (place, taken) in page.taken.iter().enumerate() {
            let Counts { seen, passed, lost } = source.counts(place).map_err(broken)?;
            counted.push(Counted { received: seen, accepted: passed, lost, delivered: *taken });
        }
        if let Shape::File(encoder) = &page.shape {
            encoder.end(&counted, from, now(), &mut page.buffer);
        }
        let pipe = matches!(end, End::Pipe) || !self.flush(&mut page)?;
        if pipe {
            let _ = writeln!(
                self.talk,
                "netbreath: the reader of {} went away; {} packets could not be given to it",
                self.target.name,
                page.ends.len()
            );
        }
        self.summary(source, &counted);
        for cost in costs.iter().filter(|cost| cost.calls > 0) {
            let each = cost.time.as_nanos() / u128::from(cost.calls);
            let (hook, program, calls) = (cost.hook, cost.program, cost.calls);
            // Why ignored: talk that nobody hears is no reason to end.
            let _ =
                writeln!(self.talk, "{hook:<18}{program:<18}{calls:>12} calls{each:>8} ns each");
        }
        Ok(Outcome {
            command: code,
            captured: page.all,
            lost: counted.iter().map(|counted| counted.lost).sum(),
        })
    }

    async fn capture<S: Live>(
        &mut self,
        source: &mut S,
        page: &mut Page,
        code: &mut Option<u8>,
    ) -> Result<End, Error> {
        let deadline = self.limits.duration.map(|duration| Instant::now() + duration);
        let (mut linger, mut signalled) = (None, false);
        let mut events: Vec<Event> = Vec::new();
        // When what is in the buffer is written.
        let mut write_at = None;
        // Who watches a file grow shall see at once that it is one.
        if !self.flush(page)? {
            return Ok(End::Pipe);
        }
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => {
                    if signalled || !self.passed_on(signal) || linger.is_some() {
                        return Ok(End::Signal);
                    }
                    signalled = true;
                }
                status = ended(&mut self.command), if linger.is_none() => {
                    *code = Some(command::code(status?));
                    linger = Some(Instant::now() + LINGER);
                }
                () = until(linger) => return Ok(End::Command),
                () = until(deadline), if linger.is_none() => return Ok(End::Duration),
                () = until(write_at) => {
                    write_at = None;
                    if !self.flush(page)? {
                        return Ok(End::Pipe);
                    }
                }
                read = source.next(page, &mut events) => {
                    read.map_err(broken)?;
                    self.gaps(&events);
                    events.clear();
                    let at_once = page.shape.is_text() || self.unbuffered;
                    page.lines();
                    if page.buffer.len() >= FULL || at_once && !page.buffer.is_empty() {
                        write_at = None;
                        if !self.flush(page)? {
                            return Ok(End::Pipe);
                        }
                    } else if !page.buffer.is_empty() && write_at.is_none() {
                        write_at = Some(Instant::now() + WAIT);
                    }
                    if page.all == page.most || page.turn.is_over() {
                        return Ok(End::Count);
                    }
                }
            }
        }
    }

    fn passed_on(&self, signal: Signal) -> bool {
        let Some(command) = &self.command else { return false };
        if signal == Signal::Terminate {
            command.terminate();
        }
        true
    }

    /// Writes what is in the buffer. Not if the reader went away.
    fn flush(&mut self, page: &mut Page) -> Result<bool, Error> {
        while let Some((cut, path)) = page.turn.take() {
            let rest = page.buffer.split_off(cut);
            let ends = page.ends.iter().filter(|end| **end > cut).map(|end| end - cut).collect();
            page.ends.retain(|end| *end <= cut);
            let whole = self.write(page)?;
            page.buffer = rest;
            page.ends = ends;
            if !whole {
                return Ok(false);
            }
            page.turn.shift(cut);
            let name = path.display().to_string();
            self.target = Target::create(&path).map_err(|source| {
                let lost = page.ends.len() as u64;
                Error::Write { to: name, source, whole: page.all - lost, lost }
            })?;
        }
        let whole = self.write(page)?;
        if let Shape::File(encoder) = &mut page.shape {
            encoder.written();
        }
        Ok(whole)
    }

    fn write(&mut self, page: &mut Page) -> Result<bool, Error> {
        let mut written = 0;
        while written < page.buffer.len() {
            match self.target.file.write(&page.buffer[written..]) {
                Ok(0) => return self.unwritten(page, written, ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    page.ends.retain(|end| *end > written);
                    return Ok(false);
                }
                Err(error) => return self.unwritten(page, written, error),
            }
        }
        page.turn.wrote(page.buffer.len());
        page.buffer.clear();
        page.ends.clear();
        Ok(true)
    }

    /// Leaves whole packets only, and tells how many.
    fn unwritten(
        &mut self,
        page: &mut Page,
        written: usize,
        source: io::Error,
    ) -> Result<bool, Error> {
        let lost = page.ends.iter().filter(|end| **end > written).count() as u64;
        let whole = page.ends.iter().rev().find(|end| **end <= written).copied().unwrap_or(0);
        if self.target.own
            && let Ok(metadata) = self.target.file.metadata()
        {
            // Half a packet makes the rest unreadable to many. Why ignored: the first error
            // is the one to tell.
            let _ = self.target.file.set_len(metadata.len() - (written - whole) as u64);
        }
        let to = self.target.name.clone();
        Err(Error::Write { to, source, whole: page.all - lost, lost })
    }

    /// Tells what cannot be seen.
    fn gaps(&mut self, events: &[Event]) {
        for event in events {
            // What a rung does not show of sockets says nothing of packets.
            if let Body::Gap(gap) = &event.body
                && gap.unseen.is_empty()
            {
                let _ = writeln!(self.talk, "gap: {}: {}; {}", gap.what, gap.why, gap.mend);
            }
        }
    }

    /// What was captured, what passed, and what was lost where.
    fn summary<S: Live>(&mut self, source: &S, counted: &[Counted]) {
        let sum = |count: fn(&Counted) -> u64| counted.iter().map(count).sum::<u64>();
        let lost = sum(|counted| counted.lost);
        if self.brief {
            for (count, what) in [
                (sum(|counted| counted.delivered), "captured"),
                (sum(|counted| counted.accepted), "received by filter"),
                (lost, "dropped by kernel"),
            ] {
                let packets = if count == 1 { "packet" } else { "packets" };
                let _ = writeln!(self.talk, "{count} {packets} {what}");
            }
            return;
        }
        let _ = writeln!(
            self.talk,
            "{} packets captured, {} let through by the filters of {} seen, {lost} lost because \
             the ring was full",
            sum(|counted| counted.delivered),
            sum(|counted| counted.accepted),
            sum(|counted| counted.received),
        );
        if counted.len() > 1 || lost > 0 {
            for (place, (interface, counted)) in self.interfaces.iter().zip(counted).enumerate() {
                if counted.received > 0 {
                    let _ = writeln!(
                        self.talk,
                        "  {} ({}): {} captured, {} let through of {} seen, {} lost",
                        interface.name,
                        source.rung(place),
                        counted.delivered,
                        counted.accepted,
                        counted.received,
                        counted.lost,
                    );
                }
            }
        }
        if lost > 0 {
            let _ = writeln!(
                self.talk,
                "  to lose less: a larger --ring-size, a smaller --snap-len, or a FILTER"
            );
        }
    }
}

async fn ended(command: &mut Option<Running>) -> Result<std::process::ExitStatus, Error> {
    match command {
        Some(command) => command.ended().await.map_err(|source| Error::Command { source }),
        None => std::future::pending().await,
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn broken(source: impl StdError + Send + Sync + 'static) -> Error {
    Error::Source { source: Box::new(source) }
}

/// Nanoseconds since the epoch.
pub fn now() -> i64 {
    jiff::Timestamp::now().as_nanosecond() as i64
}
