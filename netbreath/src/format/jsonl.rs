//! One event a line: the recording.

use crate::event::{Body, Event, write_finding, write_json};
use crate::lint::Finding;

/// Writes events as they are, with those that are no rows of any sheet.
#[derive(Debug, Default)]
pub struct Jsonl {
    boot: i64,
}

impl Jsonl {
    pub fn event(&mut self, event: &Event, out: &mut Vec<u8>) {
        if let Body::Clock { boot } = event.body {
            self.boot = boot;
        }
        write_json(event, self.boot, out);
        out.push(b'\n');
    }

    pub fn finding(&mut self, finding: &Finding, out: &mut Vec<u8>) {
        write_finding(finding, self.boot, out);
        out.push(b'\n');
    }
}
