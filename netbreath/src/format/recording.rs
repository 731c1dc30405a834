//! A recording: a line that says where it was made, then the events. In a file whose name
//! ends in `.zst` it is compressed, in frames of their own, so that what is written can
//! be read even if the recorder was killed.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::jsonl::Jsonl;
use crate::event::header::Header;
use crate::event::mask::Mask;
use crate::event::{Body, Event};

/// Bytes of lines that make a frame.
const FRAME: usize = 128 * 1024;
/// How long less than that waits.
const WAIT: Duration = Duration::from_secs(1);

/// Writes a recording.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: File,
    /// Nobody else writes to it, and it can be cut.
    own: bool,
    /// Bytes of it that are whole lines or frames.
    whole: u64,
    compressed: bool,
    header: Header,
    begun: bool,
    mask: Option<Mask>,
    jsonl: Jsonl,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    written: Instant,
}

impl Recorder {
    /// A recording in a new file at `path`, in place of any that is there.
    pub fn create(path: &Path, header: Header, masks: bool) -> io::Result<Recorder> {
        let file = File::create(path)?;
        let own = file.metadata()?.is_file();
        let compressed = path.extension().is_some_and(|end| end == "zst" || end == "zstd");
        Ok(Recorder { own, compressed, ..Recorder::shared(path, file, header, masks) })
    }

    /// A recording to a file that others may write to, too.
    pub fn shared(path: &Path, file: File, mut header: Header, masks: bool) -> Recorder {
        if masks {
            header.masked = true;
            header.host = None;
        }
        Recorder {
            path: path.to_owned(),
            file,
            own: false,
            whole: 0,
            compressed: false,
            header,
            begun: false,
            mask: masks.then(Mask::default),
            jsonl: Jsonl::default(),
            buffer: Vec::new(),
            written: Instant::now(),
        }
    }

    /// How people call the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the first line, if it is not there yet; `events` are the first ones, which tell
    /// the clock and what could not be had.
    pub fn begin(&mut self, events: &[Event]) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        for event in events {
            match &event.body {
                Body::Clock { boot } if self.header.boot.is_none() => {
                    self.header.boot = Some(*boot);
                }
                Body::Gap(gap) if !self.header.gaps.contains(&gap.what) => {
                    self.header.gaps.push(gap.what.clone());
                }
                _ => {}
            }
        }
        if let (Some(first), Some(boot)) = (events.first(), self.header.boot) {
            self.header.at = boot.saturating_add_unsigned(first.at);
        }
        self.header.write(&mut self.buffer);
    }

    pub fn event(&mut self, event: &Event) {
        match &mut self.mask {
            None => self.jsonl.event(event, &mut self.buffer),
            Some(mask) => self.jsonl.event(&mask.event(event), &mut self.buffer),
        }
    }

    /// Writes what there is, if that is enough or has waited long enough.
    pub fn flush(&mut self) -> io::Result<()> {
        let due = !self.compressed || self.buffer.len() >= FRAME || self.written.elapsed() >= WAIT;
        if due { self.write() } else { Ok(()) }
    }

    /// Whether so much waits that it is time to write, whatever else is at hand.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= FRAME
    }

    /// Writes what is left.
    pub fn finish(&mut self) -> io::Result<()> {
        self.begin(&[]);
        self.write()
    }

    fn write(&mut self) -> io::Result<()> {
        self.written = Instant::now();
        if self.buffer.is_empty() {
            return Ok(());
        }
        let packed = match self.compressed {
            true => compress_to_vec(self.buffer.as_slice(), CompressionLevel::Fastest),
            false => std::mem::take(&mut self.buffer),
        };
        self.buffer.clear();
        match self.file.write_all(&packed) {
            Ok(()) => self.whole += packed.len() as u64,
            Err(error) => {
                if self.own {
                    // Half a frame makes the rest unreadable. Why ignored: the first error
                    // is the one to tell.
                    let _ = self.file.set_len(self.whole);
                }
                return Err(error);
            }
        }
        if !self.compressed {
            // Its room serves again.
            self.buffer = packed;
            self.buffer.clear();
        }
        Ok(())
    }
}
