//! Events from a recording: what `record` and `--format jsonl` wrote. Anybody may have
//! written it, so nothing in it is believed: lines are bounded, what is not understood is
//! passed over and counted, and a gap in the end tells how much that was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil;
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until};

use super::Source;
use crate::event::header::{self, Header};
use crate::event::{Body, Event, Gap, Line, Via, WireError};
use crate::filter::Filter;

pub(crate) mod reader;
mod select;
pub use select::keeps;

use reader::{Read, Reader};

/// Events in one batch: enough to make the loop around it cheap, few enough to
/// let signals through.
const BATCH: usize = 256;

/// A recording that is open, and whose first line has been read.
#[derive(Debug)]
pub struct Recording {
    path: PathBuf,
    reader: Reader,
    header: Option<Header>,
    /// The first line is an event, and is the next to be read.
    again: bool,
}

/// What to play of a recording, and how.
#[derive(Clone, Debug, Default)]
pub struct Play {
    /// Which events.
    pub filter: Filter,
    /// Of interfaces and what belongs to them, only those of this name.
    pub dev: Option<String>,
    /// How many times as fast as they happened; none is as fast as they can be read.
    pub speed: Option<f64>,
    /// Where to stop.
    pub until: Option<At>,
}

/// A time in a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Nanoseconds since the epoch.
    Wall(i64),
    /// On the day on which the recording begins, in the time zone of who asks.
    Day(civil::Time),
    /// After the recording's first event.
    Since(Duration),
}

/// Events of a recording, in its order.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    reader: Reader,
    again: bool,
    play: Play,
    selects: bool,
    /// Wall-clock time of boot, from the last clock event.
    boot: i64,
    /// Time of the event before, since boot.
    at: u64,
    /// Lines that were events.
    read: u64,
    lost: u64,
    /// Where to stop, in wall-clock time.
    until: Option<i64>,
    /// When the replay began, and the time of its first event since boot.
    begun: Option<(Instant, u64)>,
    /// An event whose time has not come.
    waits: Option<Event>,
    foreign: Passed,
    broken: Passed,
    ended: bool,
}

/// Lines that were passed over.
#[derive(Debug, Default)]
struct Passed {
    count: u64,
    /// The first of them, and what was wrong with it.
    first: Option<(u64, String)>,
}

impl Passed {
    fn add(&mut self, number: u64, why: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((number, why()));
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the recording {path:?}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("line {number} of {path:?} is no event: {source}")]
    Json { path: PathBuf, number: u64, source: serde_json::Error },
    #[error("line {number} of {path:?} is no event: {source}")]
    Wire { path: PathBuf, number: u64, source: WireError },
    #[error("{path:?} is no recording: its first line is longer than {} bytes", reader::LONGEST)]
    Long { path: PathBuf },
    #[error(
        "{path:?} has format {format}, and this netbreath reads format {} at most: use a newer one",
        header::FORMAT
    )]
    Newer { path: PathBuf, format: u32 },
}

/// Opens the recording at `path`, or that on standard input if it is `-`.
pub fn open(path: &Path) -> Result<Recording, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut reader = Reader::open(path).map_err(failed)?;
    let mut recording = match reader.next().map_err(failed)? {
        Read::Line => Recording { path: path.to_owned(), reader, header: None, again: true },
        Read::Long => return Err(Error::Long { path: path.to_owned() }),
        Read::Damaged(source) => return Err(failed(source)),
        Read::End => {
            return Ok(Recording { path: path.to_owned(), reader, header: None, again: false });
        }
    };
    if kind(recording.reader.line()).as_deref() == Some(header::NAME) {
        let header = serde_json::from_slice::<Header>(recording.reader.line());
        let header =
            header.map_err(|source| Error::Json { path: path.to_owned(), number: 1, source })?;
        if header.format > header::FORMAT {
            return Err(Error::Newer { path: path.to_owned(), format: header.format });
        }
        recording.header = Some(header);
        recording.again = false;
    }
    Ok(recording)
}

/// The value of `event`.
fn kind(line: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Kind {
        event: String,
    }
    serde_json::from_slice::<Kind>(line).ok().map(|kind| kind.event)
}

impl Recording {
    /// What the recording says of itself; nothing if it is a bare stream of events.
    pub const fn header(&self) -> Option<&Header> {
        self.header.as_ref()
    }

    pub fn play(self, play: Play) -> Replay {
        let Recording { path, reader, header, again } = self;
        Replay {
            path,
            reader,
            again,
            selects: play.filter != Filter::default() || play.dev.is_some(),
            until: None,
            play,
            boot: header.and_then(|header| header.boot).unwrap_or(0),
            at: 0,
            read: 0,
            lost: 0,
            begun: None,
            waits: None,
            foreign: Passed::default(),
            broken: Passed::default(),
            ended: false,
        }
    }
}

impl Replay {
    /// The next event, whatever it is; nothing at the end.
    fn line(&mut self) -> Result<Option<Event>, Error> {
        loop {
            let number = self.reader.number();
            if !std::mem::take(&mut self.again) {
                let read = self.reader.next();
                match read.map_err(|source| Error::Read { path: self.path.clone(), source })? {
                    Read::Line => {}
                    Read::End => return Ok(None),
                    Read::Long => {
                        self.broken.add(number + 1, || {
                            format!("it is longer than {} bytes", reader::LONGEST)
                        });
                        continue;
                    }
                    Read::Damaged(why) => {
                        self.broken.add(number + 1, || format!("the file is damaged: {why}"));
                        return Ok(None);
                    }
                }
            }
            let number = self.reader.number();
            let text = self.reader.line();
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line: Line = match serde_json::from_slice(text) {
                Ok(line) => line,
                Err(source) if self.read == 0 && kind(text).is_none() => {
                    // Whatever this is, it is no recording.
                    return Err(Error::Json { path: self.path.clone(), number, source });
                }
                Err(source) => {
                    match kind(text) {
                        // What `--lint` found is no event: who reads this judges anew.
                        Some(name) if name == header::NAME || name == "lint" => {}
                        Some(name) if !Line::knows(&name) => {
                            self.foreign.add(number, || format!("of kind {name:?}"));
                        }
                        _ => self.broken.add(number, || source.to_string()),
                    }
                    continue;
                }
            };
            // A clock line's own time is counted from the boot time that it tells.
            let boot = line.clock().unwrap_or(self.boot);
            match line.event(boot) {
                Ok(event) => {
                    self.boot = boot;
                    self.read += 1;
                    self.at = event.at;
                    return Ok(Some(event));
                }
                Err(source) if self.read == 0 => {
                    return Err(Error::Wire { path: self.path.clone(), number, source });
                }
                Err(source) => self.broken.add(number, || source.to_string()),
            }
        }
    }

    /// The next event that is asked for; nothing at the end.
    fn event(&mut self) -> Result<Option<Event>, Error> {
        while !self.ended {
            let Some(event) = self.line()? else { break };
            if self.play.until.is_some() && self.is_beyond(&event) {
                break;
            }
            if let Body::Gap(gap) = &event.body {
                self.lost += gap.count;
            }
            if !self.selects || select::keeps(&self.play, &event) {
                return Ok(Some(event));
            }
        }
        self.ended = true;
        Ok(None)
    }

    /// Whether the event is later than where to stop.
    fn is_beyond(&mut self, event: &Event) -> bool {
        let wall = self.boot.saturating_add_unsigned(event.at);
        let until = match (self.until, self.play.until) {
            (Some(until), _) => until,
            (None, None) => return false,
            (None, Some(at)) => {
                let until = match at {
                    At::Wall(wall) => wall,
                    At::Since(time) => {
                        wall.saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX))
                    }
                    At::Day(time) => on_day(wall, time),
                };
                *self.until.insert(until)
            }
        };
        wall > until
    }

    /// Gaps for what was passed over.
    fn passed(&mut self, events: &mut Vec<Event>) {
        let parts = [
            (
                std::mem::take(&mut self.foreign),
                "events of the recording are of a kind that this netbreath does not know",
                "a newer netbreath recorded them: use that to see them",
            ),
            (
                std::mem::take(&mut self.broken),
                "lines of the recording are no events",
                "the rest is right; make the recording again if you can",
            ),
        ];
        for (Passed { count, first }, what, mend) in parts {
            let Some((number, why)) = first else { continue };
            self.lost += count;
            let gap = Gap {
                what: format!("{count} {what}"),
                why: format!("the first is on line {number}: {why}"),
                mend: mend.to_owned(),
                hook: None,
                unseen: Vec::new(),
                count,
            };
            events.push(Event { at: self.at, via: Via::Inferred, body: Body::Gap(gap) });
        }
    }

    /// When the event is to be delivered; nothing if at once.
    fn due(&mut self, event: &Event) -> Option<Instant> {
        let speed = self.play.speed?;
        let (begun, first) = *self.begun.get_or_insert_with(|| (Instant::now(), event.at));
        let since = event.at.saturating_sub(first) as f64 / 1e9 / speed;
        // A century is for ever, and what no clock can add is never due.
        begun.checked_add(Duration::try_from_secs_f64(since.min(3e9)).ok()?)
    }
}

/// That time of the day at `wall`.
fn on_day(wall: i64, time: civil::Time) -> i64 {
    let zone = TimeZone::system();
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(wall)).unwrap_or_default();
    let day = stamp.to_zoned(zone.clone()).date();
    let zoned = day.to_datetime(time).to_zoned(zone);
    zoned.map_or(i64::MAX, |zoned| {
        i64::try_from(zoned.timestamp().as_nanosecond()).unwrap_or(i64::MAX)
    })
}

impl Source for Replay {
    type Error = Error;

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        while events.len() < BATCH {
            let event = match self.waits.take() {
                Some(event) => event,
                None => match self.event()? {
                    Some(event) => event,
                    None => break,
                },
            };
            match self.due(&event) {
                Some(due) if due > Instant::now() => {
                    self.waits = Some(event);
                    if !events.is_empty() {
                        break;
                    }
                    sleep_until(due).await;
                }
                _ => events.push(event),
            }
        }
        if events.is_empty() {
            self.passed(events);
        }
        Ok(())
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        self.passed(events);
        Ok(())
    }

    fn follow(&mut self, _: u32) -> Result<(), Error> {
        Ok(())
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests;
