//! Sheets as bytes. A format appends to a buffer that its caller owns and writes,
//! so that a row costs no allocation once the buffer has grown.

use std::io::Write;

use crate::event::{Event, Gap};
use crate::lint::Finding;

pub mod csv;
pub mod diagram;
pub mod json;
pub mod jsonl;
pub mod pcapng;
pub mod recording;
pub mod text;

/// A way to write a sheet with rows of type `R`.
pub trait Format<R> {
    /// What comes before the first row.
    fn begin(&mut self, out: &mut Vec<u8>);

    fn row(&mut self, row: &R, out: &mut Vec<u8>);

    /// A gap is a row of its own in every format.
    fn gap(&mut self, event: &Event, gap: &Gap, out: &mut Vec<u8>);

    /// So is a finding.
    fn finding(&mut self, finding: &Finding, out: &mut Vec<u8>);

    /// From now on, boot time zero is this wall-clock time.
    fn clock(&mut self, boot: i64);

    /// What comes after the last row.
    fn end(&mut self, out: &mut Vec<u8>);
}

/// Appends formatted text. Writing to a buffer in memory cannot fail.
pub(crate) fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _infallible = out.write_fmt(text);
}

/// Appends names from outside, separated by commas.
fn put_names(out: &mut Vec<u8>, names: &[std::sync::Arc<str>], unicode: bool) {
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b", ");
        }
        put_name(out, name.as_bytes(), unicode);
    }
}

/// Appends a name from outside so that it can neither steer a terminal nor break a
/// line: `\n`, `\r`, `\t` and `\\` as such, other control and direction characters
/// and what is no UTF-8 as `\xNN`, byte by byte. So is all beyond ASCII unless
/// `unicode` can be shown: a terminal of another encoding may take it for controls.
pub(crate) fn put_name(out: &mut Vec<u8>, name: &[u8], unicode: bool) {
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).as_bytes();
            match c {
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\\' => out.extend_from_slice(b"\\\\"),
                ' '..='~' => out.push(bytes[0]),
                c if !unicode || c.is_control() || misleads(c) => put_hex(out, bytes),
                _ => out.extend_from_slice(bytes),
            }
        }
        put_hex(out, chunk.invalid());
    }
}

fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        put(out, format_args!("\\x{byte:02x}"));
    }
}

/// Characters that take no room or turn the direction of writing: with them, a
/// name can look like another.
const fn misleads(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        put_name(&mut out, bytes, true);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(name(b"nginx: worker"), "nginx: worker");
        assert_eq!(name("café 東".as_bytes()), "café 東");
        assert_eq!(name(b"a\x1b[2J\n\r\t\x7f\\"), r"a\x1b[2J\n\r\t\x7f\\");
        assert_eq!(name(b"\xff\xfe ok \xc3"), r"\xff\xfe ok \xc3");
        // The C1 control sequence introducer and the right-to-left override.
        assert_eq!(name("\u{9b}31m\u{202e}".as_bytes()), r"\xc2\x9b31m\xe2\x80\xae");
        let mut ascii = Vec::new();
        put_name(&mut ascii, "café".as_bytes(), false);
        assert_eq!(ascii, br"caf\xc3\xa9");
    }
}
