//! What the kernel programs say of themselves, on standard error.

use std::io::Write;

use aya_log::EbpfLogger;
use log::{Log, Metadata, Record};

/// The lines of the kernel programs that are still to be written.
pub struct Lines(EbpfLogger<Stderr>);

impl Lines {
    pub fn of(object: &mut aya::Ebpf) -> Result<Lines, aya_log::Error> {
        EbpfLogger::init_with_logger(object, Stderr).map(Lines)
    }

    /// Writes what has come since the last call.
    pub fn write(&mut self) {
        self.0.flush();
    }
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        // Why ignored: without a standard error there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "kernel: {}", record.args());
    }

    fn flush(&self) {}
}
