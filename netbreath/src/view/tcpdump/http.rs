//! HTTP/1 (RFC 9112): the first line of a request or of an answer; with -v all lines.

use super::read::{Printed, u8};
use super::{Printer, put};

/// Methods (IANA, HTTP methods), and others that were used.
const METHODS: [&str; 38] = [
    "GET",
    "PUT",
    "COPY",
    "HEAD",
    "LOCK",
    "MOVE",
    "POLL",
    "POST",
    "BCOPY",
    "BMOVE",
    "MKCOL",
    "TRACE",
    "LABEL",
    "MERGE",
    "DELETE",
    "SEARCH",
    "UNLOCK",
    "REPORT",
    "UPDATE",
    "NOTIFY",
    "BDELETE",
    "CONNECT",
    "OPTIONS",
    "CHECKIN",
    "PROPFIND",
    "CHECKOUT",
    "CCM_POST",
    "SUBSCRIBE",
    "PROPPATCH",
    "BPROPFIND",
    "BPROPPATCH",
    "UNCHECKOUT",
    "MKACTIVITY",
    "MKWORKSPACE",
    "UNSUBSCRIBE",
    "RPC_CONNECT",
    "VERSION-CONTROL",
    "BASELINE-CONTROL",
];
/// The longest word that is looked at.
const LONGEST: usize = 128;

/// A word that begins there, and where the next one does; nothing if there is none.
fn word(data: &[u8], at: usize, len: usize) -> Option<(&[u8], usize)> {
    let mut end = at;
    while end < len {
        match data.get(end)? {
            b' ' | b'\t' | b'\r' | b'\n' => break,
            b' '..=b'~' if end - at < LONGEST => end += 1,
            _ => return None,
        }
    }
    if end == at {
        return None;
    }
    let blanks = data[end..len.min(data.len())].iter();
    let blanks = blanks.take_while(|byte| **byte == b' ').count();
    Some((&data[at..end], end + blanks))
}

impl Printer {
    pub(super) fn http(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "http";
        let len = len as usize;
        let mut begins = false;
        if let Some((method, next)) = word(data, 0, len) {
            begins = METHODS.iter().any(|known| method.eq_ignore_ascii_case(known.as_bytes()));
            if let Some((code, _)) = word(data, next, len) {
                begins |= code.len() == 3 && code.iter().all(u8::is_ascii_digit);
            }
        }
        self.text("HTTP");
        if !begins {
            return Ok(());
        }
        if self.style.verbose == 0 {
            self.text_line(": ", data, 0, len)?;
            return Ok(());
        }
        put!(self, ", length: {len}");
        let mut at = 0;
        while at < len {
            match self.text_line("\n\t", data, at, len)? {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(())
    }

    /// A line of text; where the next one begins. Nothing of what is no text.
    fn text_line(
        &mut self,
        begin: &str,
        data: &[u8],
        from: usize,
        len: usize,
    ) -> Printed<Option<usize>> {
        let mut at = from;
        while at < len {
            let next = match u8(data, at)? {
                b'\n' => at + 1,
                b'\r' if at + 1 < len && u8(data, at + 1)? == b'\n' => at + 2,
                b'\t' | b' '..=b'~' => {
                    at += 1;
                    continue;
                }
                _ => return Ok(None),
            };
            self.text(begin);
            self.out.extend_from_slice(&data[from..at]);
            return Ok(Some(next));
        }
        self.text(begin);
        self.out.extend_from_slice(&data[from..at]);
        self.cut();
        Ok(None)
    }
}
