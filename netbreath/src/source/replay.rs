//! Events from a recording: the lines that `--format jsonl` wrote.

use std::fs::File;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};

use super::Source;
use crate::event::{Body, Event, Line, WireError};

/// Events in one batch: enough to make the loop around it cheap, few enough to
/// let signals through.
const BATCH: usize = 256;

/// Events of a recording, in its order and as fast as they can be read.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    lines: Lines<BufReader<File>>,
    number: u64,
    /// Wall-clock time of boot, from the last clock event.
    boot: i64,
    lost: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the recording {path:?}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("line {number} of {path:?} is no event: {source}")]
    Json { path: PathBuf, number: u64, source: serde_json::Error },
    #[error("line {number} of {path:?} is no event: {source}")]
    Wire { path: PathBuf, number: u64, source: WireError },
}

/// Opens the recording at `path`.
pub fn open(path: &Path) -> Result<Replay, Error> {
    let file = File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let lines = BufReader::new(file).lines();
    Ok(Replay { path: path.to_owned(), lines, number: 0, boot: 0, lost: 0 })
}

impl Replay {
    fn line(&mut self) -> Result<Option<Event>, Error> {
        let text = loop {
            let Some(text) = self.lines.next() else {
                return Ok(None);
            };
            self.number += 1;
            let failed = |source| Error::Read { path: self.path.clone(), source };
            let text = text.map_err(failed)?;
            if !is_judgement(&text) {
                break text;
            }
        };
        let (path, number) = (&self.path, self.number);
        let line: Line = serde_json::from_str(&text).map_err(|source| Error::Json {
            path: path.clone(),
            number,
            source,
        })?;
        let wire = |source| Error::Wire { path: path.clone(), number, source };
        let mut event = line.clone().event(self.boot).map_err(wire)?;
        if let Body::Clock { boot } = event.body {
            // The line's own time is counted from the boot time that it tells.
            self.boot = boot;
            event = line.event(boot).map_err(wire)?;
        }
        if let Body::Gap(gap) = &event.body {
            self.lost += gap.count;
        }
        Ok(Some(event))
    }
}

/// Whether a line is what `--lint` found. It is no event: whoever reads the recording
/// judges anew.
fn is_judgement(line: &str) -> bool {
    let keys = line.strip_prefix("{\"at\":").and_then(|rest| rest.split_once(','));
    keys.is_some_and(|(_, rest)| rest.starts_with("\"event\":\"lint\","))
}

impl Source for Replay {
    type Error = Error;

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        for _ in 0..BATCH {
            match self.line()? {
                Some(event) => events.push(event),
                None => break,
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &mut Vec<Event>) -> Result<(), Error> {
        Ok(())
    }

    fn follow(&mut self, _: u32) -> Result<(), Error> {
        Ok(())
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}
