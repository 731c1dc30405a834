//! What was seen of a lesson: events and segments in the order of their time; as lines of
//! JSON, which is how recordings of lessons ship with the program.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::segment::{Moment, Segment};
use crate::event::{Body, Line, WireError, write_json};
use crate::source::replay::reader::{Read, Reader};

/// A line of a recording that is no event: a segment, or what a program has shown.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Extra {
    Packet {
        at: i64,
        local: SocketAddr,
        remote: SocketAddr,
        flags: String,
        seq: u32,
        ack: u32,
        len: u32,
        window: u16,
    },
    /// What a command has shown.
    Screen { name: String, text: String },
    /// The next step begins.
    Step { name: String },
}

/// A part of a recorded lesson.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are moments")]
pub enum Part {
    Moment(Moment),
    Screen { name: String, text: String },
    Step(String),
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("line {number} of a recording of a lesson is no event: {source}")]
    Json { number: usize, source: serde_json::Error },
    #[error("line {number} of a recording of a lesson is no event: {source}")]
    Wire { number: usize, source: WireError },
}

/// Reads a recorded lesson, or any recording of `trace --format jsonl`.
pub fn read(text: &str) -> Result<Vec<Part>, Error> {
    let mut parts = Vec::new();
    let mut boot = 0_i64;
    for (place, line) in text.lines().enumerate() {
        let number = place + 1;
        let json = |source| Error::Json { number, source };
        let wire = |source| Error::Wire { number, source };
        let value: serde_json::Value = serde_json::from_str(line).map_err(json)?;
        if value["event"].as_str() == Some(crate::event::header::NAME) {
            boot = value["boot"].as_i64().unwrap_or(boot);
            continue;
        }
        if let Some("packet" | "screen" | "step") = value["event"].as_str() {
            parts.push(match serde_json::from_value(value).map_err(json)? {
                Extra::Packet { at, local, remote, flags, seq, ack, len, window } => {
                    let at = u64::try_from(at.saturating_sub(boot)).unwrap_or(0);
                    let (from, to) = (local, remote);
                    Part::Moment(Moment::Segment(Segment {
                        at,
                        from,
                        to,
                        flags,
                        seq,
                        ack,
                        len,
                        window,
                    }))
                }
                Extra::Screen { name, text } => Part::Screen { name, text },
                Extra::Step { name } => Part::Step(name),
            });
            continue;
        }
        let line: Line = serde_json::from_str(line).map_err(json)?;
        let mut event = line.clone().event(boot).map_err(wire)?;
        if let Body::Clock { boot: told } = event.body {
            boot = told;
            event = line.event(boot).map_err(wire)?;
        }
        parts.push(Part::Moment(Moment::Event(event)));
    }
    Ok(parts)
}

/// What was seen, out of a file: a recorded lesson, or a recording, also a compressed one.
pub fn open(path: &Path) -> Result<Vec<Moment>, OpenError> {
    let failed = |source| OpenError::Read { path: path.to_owned(), source };
    let mut reader = Reader::open(path).map_err(failed)?;
    let mut text = String::new();
    loop {
        match reader.next().map_err(failed)? {
            Read::Line => {
                text.push_str(&String::from_utf8_lossy(reader.line()));
                text.push('\n');
            }
            Read::Long => {}
            Read::Damaged(source) => return Err(failed(source)),
            Read::End => break,
        }
    }
    let parts = read(&text).map_err(|source| OpenError::Lines { path: path.to_owned(), source })?;
    Ok(moments(parts))
}

/// The moments of a recorded lesson, in the order of their time.
pub fn moments(parts: Vec<Part>) -> Vec<Moment> {
    let moment = |part| match part {
        Part::Moment(moment) => Some(moment),
        Part::Screen { .. } | Part::Step(_) => None,
    };
    let mut moments: Vec<Moment> = parts.into_iter().filter_map(moment).collect();
    moments.sort_by_key(Moment::at);
    moments
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot read the recording {path:?}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path:?} is no recording: {source}")]
    Lines { path: PathBuf, source: Error },
}

/// Writes a recorded lesson.
pub fn write(parts: &[Part], out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    let mut boot = 0_i64;
    for part in parts {
        let extra = match part {
            Part::Moment(Moment::Event(event)) => {
                if let Body::Clock { boot: told } = event.body {
                    boot = told;
                }
                write_json(event, boot, out);
                out.push(b'\n');
                continue;
            }
            Part::Moment(Moment::Segment(segment)) => {
                let Segment { at, from, to, flags, seq, ack, len, window } = segment.clone();
                let at = boot.saturating_add_unsigned(at);
                Extra::Packet { at, local: from, remote: to, flags, seq, ack, len, window }
            }
            Part::Screen { name, text } => Extra::Screen { name: name.clone(), text: text.clone() },
            Part::Step(name) => Extra::Step { name: name.clone() },
        };
        serde_json::to_writer(&mut *out, &extra)?;
        out.push(b'\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn a_lesson_is_read_as_it_was_written() {
        let segment = Segment {
            at: 5,
            from: "127.0.0.1:40000".parse().unwrap(),
            to: "127.0.0.1:8080".parse().unwrap(),
            flags: "S".into(),
            seq: 7,
            ack: 0,
            len: 0,
            window: 512,
        };
        let clock = Event {
            at: 0,
            via: crate::event::Via::Kernel,
            body: Body::Clock { boot: 1_700_000_000_000_000_000 },
        };
        let parts = [
            Part::Moment(Moment::Event(clock)),
            Part::Step("listen".into()),
            Part::Moment(Moment::Segment(segment.clone())),
            Part::Screen { name: "netstat".into(), text: "a\nb\n".into() },
        ];
        let mut bytes = Vec::new();
        write(&parts, &mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(read(&text).unwrap(), parts);
        assert!(text.contains("\"at\":1700000000000000005"), "{text}");
        assert!(read("{\"event\":\"packet\"}").is_err());
    }
}
