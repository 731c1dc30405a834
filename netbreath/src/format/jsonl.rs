//! One event a line: the recording.

use crate::event::{Body, Event, Line};

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
        // Serializing our own plain data into memory cannot fail.
        let _infallible = serde_json::to_writer(&mut *out, &Line::new(event, self.boot));
        out.push(b'\n');
    }
}
