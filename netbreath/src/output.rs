//! Where the bytes go: standard output, or a file of our own that stays whole when the
//! disk is full.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// A file to write lines to.
#[derive(Debug)]
pub struct Output {
    file: File,
    /// Nobody else writes to it, and it can be cut.
    own: bool,
    written: u64,
    /// What ends with a line's end.
    whole: u64,
}

impl Output {
    /// Standard output, or whatever stands for it. Never cut: others may write to it, too.
    pub fn shared(file: File) -> Output {
        Output { file, own: false, written: 0, whole: 0 }
    }

    /// A new file at `path`, in place of any that is there.
    pub fn create(path: &Path) -> io::Result<Output> {
        let file = File::create(path)?;
        let own = file.metadata()?.is_file();
        Ok(Output { own, ..Output::shared(file) })
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Ok(len) => {
                if let Some(end) = bytes[..len].iter().rposition(|byte| *byte == b'\n') {
                    self.whole = self.written + end as u64 + 1;
                }
                self.written += len as u64;
                Ok(len)
            }
            Err(error) => {
                let again = matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock);
                if self.own && !again && self.whole < self.written {
                    // Half a line makes the rest unreadable to many. Why ignored: the
                    // first error is the one to tell.
                    let _ = self.file.set_len(self.whole);
                }
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_lines_are_known_across_writes() {
        let path = std::env::temp_dir().join(format!("netbreath-output-{}", std::process::id()));
        let mut output = Output::create(&path).unwrap();
        assert!(output.own);
        for (bytes, whole) in [(&b"one\ntw"[..], 4), (b"o", 4), (b"\nthree\nx", 14)] {
            output.write_all(bytes).unwrap();
            assert_eq!(output.whole, whole);
        }
        assert_eq!(output.written, 15);
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_device_is_never_cut() {
        assert!(!Output::create(Path::new("/dev/null")).unwrap().own);
    }
}
