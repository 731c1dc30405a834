//! `netbreath tshark -r`: reads a file, shows its packets.

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::Path;

use crate::source::savefile::{self, Savefile};
use crate::view::tshark::{Show, Shower};

/// Bytes written at once.
const FULL: usize = 1 << 16;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] savefile::Error),
    #[error("cannot write to standard output: {source}")]
    Write { source: io::Error },
}

/// Shows what is in the file. A reader that goes away has seen enough.
pub fn read(
    path: &Path,
    show: Show,
    count: Option<NonZeroU64>,
    mut out: impl Write,
) -> Result<(), Error> {
    let mut file = Savefile::open(path)?;
    let mut shower = Shower::new(show);
    let mut bytes = Vec::with_capacity(2 * FULL);
    shower.begin(&mut bytes);
    let mut broken = None;
    let mut left = count.map_or(u64::MAX, NonZeroU64::get);
    while left > 0
        && let Some(packet) = file.next()
    {
        match packet {
            Ok(packet) => {
                left -= 1;
                shower.packet(&packet, file.digits(), &mut bytes);
            }
            // What came before is shown all the same.
            Err(error) => {
                broken = Some(error);
                break;
            }
        }
        if bytes.len() >= FULL && !write(&mut out, &mut bytes)? {
            return Ok(());
        }
    }
    shower.end(&mut bytes);
    if !write(&mut out, &mut bytes)? {
        return Ok(());
    }
    broken.map_or(Ok(()), |error| Err(error.into()))
}

fn write(out: &mut impl Write, bytes: &mut Vec<u8>) -> Result<bool, Error> {
    match out.write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(source) => Err(Error::Write { source }),
        Ok(()) => {
            bytes.clear();
            Ok(true)
        }
    }
}
