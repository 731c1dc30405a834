//! When a capture goes on in another file, and what that is called: by size, by time, by both,
//! and so many files at most.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes after which another file begins.
    pub size: Option<u64>,
    /// Seconds after which one does.
    pub seconds: Option<u32>,
    /// By size, so many files are written over and over; by time alone, that is the end.
    pub files: Option<u32>,
}

impl Rotation {
    pub const fn is_on(&self) -> bool {
        self.size.is_some() || self.seconds.is_some()
    }

    /// The file with this number, begun at this time, nanoseconds since the epoch.
    pub fn name(&self, path: &Path, number: u32, wall: i64) -> PathBuf {
        let mut name = path.display().to_string();
        if self.seconds.is_some()
            && let Ok(time) = jiff::Timestamp::from_nanosecond(wall.into())
            && let Ok(text) = jiff::fmt::strtime::format(&name, &time.to_zoned(TimeZone::system()))
        {
            name = text;
        }
        if self.size.is_some() {
            match self.files {
                Some(files) => {
                    let width = (files.max(1) - 1).max(1).ilog10() as usize + 1;
                    name.push_str(&format!("{:0width$}", number % files));
                }
                None if number > 0 => name.push_str(&number.to_string()),
                None => {}
            }
        }
        name.into()
    }
}

/// Where in a stream of bytes other files begin.
#[derive(Debug, Default)]
pub struct Turn {
    rotation: Rotation,
    path: PathBuf,
    /// Bytes of this file that are written.
    written: u64,
    /// Where this file begins in the bytes that are not.
    begin: usize,
    /// When it was begun, nanoseconds since the epoch.
    since: Option<i64>,
    /// Its number among those of the same time.
    number: u32,
    /// Files so far, by time.
    files: u32,
    /// Places in the bytes that are not written yet, and the files that begin there.
    places: VecDeque<(usize, PathBuf)>,
    over: bool,
}

impl Turn {
    /// For files with this name.
    pub fn new(rotation: Rotation, path: PathBuf) -> Turn {
        Turn { rotation, path, files: 1, ..Turn::default() }
    }

    /// Whether no further packet is wanted.
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether a packet of this time begins another file, where `len` bytes are not written.
    pub fn comes(&mut self, wall: i64, len: usize) -> bool {
        if !self.rotation.is_on() {
            return false;
        }
        let since = *self.since.get_or_insert(wall);
        let late = self.rotation.seconds.is_some_and(|seconds| {
            wall.saturating_sub(since) >= i64::from(seconds) * 1_000_000_000
        });
        let size = self.written + (len - self.begin) as u64;
        let large = self.rotation.size.is_some_and(|most| size > most);
        if late {
            if self.rotation.size.is_none() && self.rotation.files == Some(self.files) {
                self.over = true;
                return false;
            }
            self.files += 1;
            self.number = 0;
            self.since = Some(wall);
        } else if large {
            self.number = self.number.wrapping_add(1);
        } else {
            return false;
        }
        let begun = self.since.unwrap_or(wall);
        self.places.push_back((len, self.rotation.name(&self.path, self.number, begun)));
        self.begin = len;
        self.written = 0;
        true
    }

    /// The next place where another file begins.
    pub fn take(&mut self) -> Option<(usize, PathBuf)> {
        self.places.pop_front()
    }

    /// So many bytes are gone from before what is not written.
    pub fn shift(&mut self, len: usize) {
        for (place, _) in &mut self.places {
            *place -= len;
        }
        self.begin = self.begin.saturating_sub(len);
        self.written = 0;
    }

    /// All of so many bytes is written.
    pub fn wrote(&mut self, len: usize) {
        if self.places.is_empty() {
            self.written += len.saturating_sub(self.begin) as u64;
            self.begin = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(size: Option<u64>, seconds: Option<u32>, files: Option<u32>) -> Turn {
        Turn::new(Rotation { size, seconds, files }, "f".into())
    }

    #[test]
    fn files_are_named_by_number_and_time() {
        let name = |size, seconds, files, number| {
            let rotation = Rotation { size, seconds, files };
            rotation.name(Path::new("f%Y"), number, 0).display().to_string()
        };
        assert_eq!(name(Some(1), None, None, 0), "f%Y");
        assert_eq!(name(Some(1), None, None, 12), "f%Y12");
        assert_eq!(name(Some(1), None, Some(10), 12), "f%Y2");
        assert_eq!(name(Some(1), None, Some(11), 12), "f%Y01");
        assert_eq!(name(None, Some(1), None, 5), "f1970");
        assert_eq!(name(Some(1), Some(1), None, 5), "f19705");
    }

    #[test]
    fn a_file_ends_with_the_packet_that_makes_it_too_large() {
        let mut turn = turn(Some(100), None, None);
        assert!(!turn.comes(0, 24));
        assert!(!turn.comes(0, 100));
        assert!(turn.comes(0, 101));
        assert!(!turn.comes(0, 150));
        // Written in two parts, the rest counts on.
        assert_eq!(turn.take(), Some((101, "f1".into())));
        turn.shift(101);
        turn.wrote(49);
        assert!(!turn.comes(0, 51));
        assert!(turn.comes(0, 52));
    }

    #[test]
    fn by_time_alone_the_number_of_files_is_the_end() {
        let mut turn = turn(None, Some(2), Some(2));
        assert!(!turn.comes(0, 0));
        assert!(!turn.comes(1_999_999_999, 10));
        assert!(turn.comes(2_000_000_000, 20));
        assert!(!turn.comes(3_000_000_000, 20) && !turn.is_over());
        assert!(!turn.comes(4_000_000_000, 30) && turn.is_over());
    }
}
