//! The word that tells the kernel programs to wake the reader, in shared memory.

use std::os::fd::{AsFd, AsRawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use aya::maps::Map;

use super::Error;

/// The map `ARMED`, mapped.
pub struct Armed {
    word: NonNull<AtomicU32>,
    len: usize,
}

impl Armed {
    /// Maps the word into memory.
    pub fn map(map: Map) -> Result<Armed, Error> {
        let Map::Array(data) = &map else {
            return Err(Error::Armed { source: std::io::ErrorKind::InvalidInput.into() });
        };
        // SAFETY: asks for a number only.
        let len = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        // SAFETY: a new mapping, of one page, which any array map has.
        let word = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                data.fd().as_fd().as_raw_fd(),
                0,
            )
        };
        match NonNull::new(word.cast()).filter(|_| word != libc::MAP_FAILED) {
            Some(word) => Ok(Armed { word, len }),
            None => Err(Error::Armed { source: std::io::Error::last_os_error() }),
        }
    }

    /// From now on, the next record wakes the reader. A look into the ring that comes
    /// after this finds every record that did not see it.
    pub fn set(&self) {
        // SAFETY: the page stays mapped as long as this lives.
        unsafe { self.word.as_ref() }.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        // SAFETY: mapped in `map` and nowhere unmapped.
        unsafe { libc::munmap(self.word.as_ptr().cast(), self.len) };
    }
}
