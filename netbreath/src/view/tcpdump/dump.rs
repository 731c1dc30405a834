//! The bytes of a packet below its line: -x, -X and -A.

use super::{Dump, Printer, put};

impl Printer {
    /// Two bytes a word, sixteen bytes a line, each behind `begin` and its offset.
    pub(super) fn hex_dump(&mut self, begin: &str, data: &[u8]) {
        for (number, line) in data.chunks(16).enumerate() {
            self.text(begin);
            put!(self, "0x{:04x}: ", number * 16);
            for pair in line.chunks(2) {
                self.out.push(b' ');
                self.hex_bytes(pair);
            }
        }
    }

    /// The bytes of which nothing is known; not if little is asked for, or -x shows them.
    pub(super) fn unknown(&mut self, data: &[u8]) {
        if !self.style.quiet && matches!(self.style.dump, Dump::None | Dump::Text) {
            self.hex_and_text_dump("\n\t", data);
        }
    }

    /// The same with what can be printed beside it.
    pub(super) fn hex_and_text_dump(&mut self, begin: &str, data: &[u8]) {
        for (number, line) in data.chunks(16).enumerate() {
            self.text(begin);
            put!(self, "0x{:04x}: ", number * 16);
            let from = self.out.len();
            for pair in line.chunks(2) {
                self.out.push(b' ');
                self.hex_bytes(pair);
            }
            self.out.resize(from + 42, b' ');
            self.out
                .extend(line.iter().map(|byte| if byte.is_ascii_graphic() { *byte } else { b'.' }));
        }
    }

    /// What can be printed; lines stay lines.
    pub(super) fn text_dump(&mut self, data: &[u8]) {
        self.out.push(b'\n');
        for (at, byte) in data.iter().enumerate() {
            match byte {
                // No carriage return at the end of a line reaches the terminal.
                b'\r' => {
                    if data.len() > at + 2 && data[at + 1] != b'\n' {
                        self.out.push(b'.');
                    }
                }
                b'\t' | b' ' | b'\n' | b'!'..=b'~' => self.out.push(*byte),
                _ => self.out.push(b'.'),
            }
        }
    }
}
