//! Lines of a file that may be compressed, of bounded length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Bytes of the longest line that is read: an event has a few hundred.
pub const LONGEST: usize = 1 << 20;
/// The memory that a compressed file may ask for: what `zstd --ultra -22` needs.
const WINDOW: u64 = 128 << 20;
const BUFFER: usize = 128 * 1024;
/// How a compressed file begins (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What was read.
#[derive(Debug)]
pub enum Read {
    /// A line: see [`Reader::line`].
    Line,
    /// A line that is too long; it was passed over.
    Long,
    /// What follows cannot be unpacked.
    Damaged(io::Error),
    End,
}

/// Reads lines.
pub struct Reader {
    input: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: u64,
    compressed: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the file, or standard input if its name is `-`.
    pub fn open(path: &Path) -> io::Result<Reader> {
        match path.as_os_str() == "-" {
            true => Reader::of(BufReader::with_capacity(BUFFER, io::stdin())),
            false => Reader::of(BufReader::with_capacity(BUFFER, File::open(path)?)),
        }
    }

    /// Reads lines from `input`, unpacked if that is how it begins.
    pub fn of(mut input: impl BufRead + Send + 'static) -> io::Result<Reader> {
        let compressed = input.fill_buf()?.starts_with(&MAGIC);
        let input: Box<dyn BufRead + Send> = match compressed {
            true => Box::new(BufReader::with_capacity(BUFFER, Frames::new(input))),
            false => Box::new(input),
        };
        Ok(Reader { input, line: Vec::new(), number: 0, compressed })
    }

    /// Reads the next line.
    pub fn next(&mut self) -> io::Result<Read> {
        self.line.clear();
        let read = self.input.by_ref().take(LONGEST as u64 + 1).read_until(b'\n', &mut self.line);
        match read {
            Ok(0) => return Ok(Read::End),
            Ok(_) => self.number += 1,
            Err(error) if self.compressed => return Ok(Read::Damaged(error)),
            Err(error) => return Err(error),
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(Read::Line);
        }
        if self.line.len() <= LONGEST {
            // The last one, without an end.
            return Ok(Read::Line);
        }
        self.line.clear();
        self.skip()
    }

    /// Passes over the rest of a line.
    fn skip(&mut self) -> io::Result<Read> {
        loop {
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if self.compressed => return Ok(Read::Damaged(error)),
                Err(error) => return Err(error),
            };
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let len = end.map_or(bytes.len(), |end| end + 1);
            self.input.consume(len);
            if end.is_some() || len == 0 {
                return Ok(Read::Long);
            }
        }
    }

    /// The line that was read last, without its end.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Its number, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// One compressed frame after the other, as bytes.
struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    /// A frame has begun and is not at its end.
    within: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(source: R) -> Frames<R> {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(WINDOW);
        Frames { source, decoder, within: false }
    }

    /// Begins the next frame; whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            if self.source.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut self.source.by_ref().take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }

    fn is_whole(&self) -> bool {
        let told = self.decoder.get_checksum_from_data();
        told.is_none() || told == self.decoder.get_calculated_checksum()
    }
}

impl<R: BufRead> io::Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.within {
                self.within = self.begin()?;
                if !self.within {
                    return Ok(0);
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let blocks = BlockDecodingStrategy::UptoBlocks(1);
                let decoded = self.decoder.decode_blocks(&mut self.source, blocks);
                decoded.map_err(io::Error::other)?;
            }
            let len = self.decoder.read(into)?;
            if len > 0 {
                return Ok(len);
            }
            self.within = false;
            if !self.is_whole() {
                return Err(io::Error::other("its checksum is wrong"));
            }
        }
    }
}
