//! What the options about recordings mean.

use std::io;
use std::path::{Path, PathBuf};

use jiff::civil;
use jiff::tz::TimeZone;

use super::duration;
use crate::cli::Recordings;
use crate::event::header::Header;
use crate::filter::{Cgroup, Filter};
use crate::host::{Host, Process, Terminal};
use crate::source::replay::{At, Play};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "--speed {typed:?} is no speed: write a number above 0, like 1 for as fast as it happened, \
         or leave it out"
    )]
    NoSpeed { typed: String },
    #[error(
        "--at {typed:?} is no time: write one of the day (14:02:11.5), a date with it \
         (2026-01-02T03:04:05Z, or without the Z in your time zone), nanoseconds since 1970, or a \
         time after the first event (+10s)"
    )]
    NoTime { typed: String },
}

/// A recording to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub path: PathBuf,
    pub masks: bool,
}

pub fn record(args: &Recordings) -> Option<Record> {
    args.record.as_ref().map(|path| Record { path: path.clone(), masks: args.mask })
}

/// What of a recording to play, and how.
pub fn play(args: &Recordings, filter: Filter) -> Result<Play, Error> {
    Ok(Play {
        filter,
        dev: None,
        speed: args.speed.as_deref().map(speed).transpose()?,
        until: args.at.as_deref().map(at).transpose()?,
    })
}

fn speed(typed: &str) -> Result<f64, Error> {
    let number = typed.trim().trim_end_matches('x').parse::<f64>().ok();
    number
        .filter(|number| number.is_finite() && *number > 0.0)
        .ok_or_else(|| Error::NoSpeed { typed: typed.to_owned() })
}

fn at(typed: &str) -> Result<At, Error> {
    let text = typed.trim();
    let since = text.strip_prefix('+').and_then(|rest| duration(rest).ok()).map(At::Since);
    let number = || text.parse::<i64>().ok().map(At::Wall);
    let wall = |stamp: jiff::Timestamp| i64::try_from(stamp.as_nanosecond()).ok().map(At::Wall);
    let stamp = || text.parse::<jiff::Timestamp>().ok().and_then(wall);
    let date = || {
        // A time alone is no date, but the other parser would take some of them for one.
        let date = text.contains('-').then(|| text.parse::<civil::DateTime>().ok()).flatten()?;
        wall(date.to_zoned(TimeZone::system()).ok()?.timestamp())
    };
    let day = || text.parse::<civil::Time>().ok().map(At::Day);
    since
        .or_else(number)
        .or_else(stamp)
        .or_else(date)
        .or_else(day)
        .ok_or_else(|| Error::NoTime { typed: typed.to_owned() })
}

/// The file that stands for our own network namespace.
const OWN_NETNS: &str = "/proc/self/ns/net";

/// The host that a recording is of, as far as it is known: who filters it asks for processes
/// and control groups that need not exist here.
pub struct Recorded<'a, H> {
    pub here: &'a H,
    pub header: Option<&'a Header>,
}

impl<H: Host> Host for Recorded<'_, H> {
    fn process(&self, _: u32) -> io::Result<Process> {
        Ok(Process::Here)
    }

    fn user(&self, name: &str) -> io::Result<Option<u32>> {
        self.here.user(name)
    }

    fn cgroup(&self, path: &str) -> io::Result<Cgroup> {
        Ok(Cgroup { id: 0, level: 0, path: path.to_owned() })
    }

    fn netns(&self, path: &Path) -> io::Result<u32> {
        let own = (path == Path::new(OWN_NETNS)).then(|| self.header?.netns).flatten();
        own.ok_or_else(|| {
            io::Error::other("a recording knows network namespaces by their numbers only")
        })
    }

    fn terminal(&self) -> Terminal {
        self.here.terminal()
    }
}

impl<H> Recorded<'_, H> {
    /// Leaves out what nobody typed and the recording cannot tell: which namespace was its
    /// recorder's own.
    pub fn narrow(&self, netns: &mut Vec<String>) {
        if self.header.and_then(|header| header.netns).is_none() {
            netns.retain(|one| one != OWN_NETNS);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_of_many_kinds() {
        assert_eq!(at("+10s").unwrap(), At::Since(Duration::from_secs(10)));
        assert_eq!(at("1767323045000000000").unwrap(), At::Wall(1_767_323_045_000_000_000));
        assert_eq!(at("2026-01-02T03:04:05Z").unwrap(), At::Wall(1_767_323_045_000_000_000));
        assert_eq!(at("14:02:11.5").unwrap(), At::Day(civil::time(14, 2, 11, 500_000_000)));
        assert_eq!(at("14:02").unwrap(), At::Day(civil::time(14, 2, 0, 0)));
        assert!(matches!(at("2026-01-02 03:04:05").unwrap(), At::Wall(_)));
        assert!(at("soon").is_err() && at("").is_err() && at("+").is_err() && at("25:00").is_err());
    }

    #[test]
    fn a_speed_is_a_number_above_0() {
        assert_eq!((speed("10").unwrap(), speed("0.5").unwrap()), (10.0, 0.5));
        for typed in ["0", "-1", "nan", "inf", "fast", ""] {
            assert!(speed(typed).is_err(), "{typed}");
        }
    }
}
