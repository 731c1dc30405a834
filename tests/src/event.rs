//! The tracer's lines, read by their keys alone: a second reader, so that a key
//! which changes its name or meaning is noticed.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One line. Keys that an event does not have are `None`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Event {
    /// Wall-clock time, nanoseconds.
    pub at: i64,
    pub event: String,
    #[serde(default)]
    pub via: String,
    #[serde(default, deserialize_with = "decimal_string")]
    pub socket: Option<u64>,
    #[serde(default, deserialize_with = "decimal_string")]
    pub peer: Option<u64>,
    pub proto: Option<String>,
    pub family: Option<u8>,
    pub local: Option<String>,
    pub remote: Option<String>,
    pub state: Option<String>,
    pub old: Option<String>,
    pub new: Option<String>,
    pub in_state_ns: Option<i64>,
    pub queued_ns: Option<i64>,
    pub fd: Option<i32>,
    pub syn_cookie: Option<bool>,
    pub owner: Option<Owner>,
    /// Whose the socket was before this change of hands.
    pub from: Option<Owner>,
    pub opened_by: Option<Owner>,
    pub netns: Option<u64>,
    pub born: Option<bool>,
    pub pid: Option<u32>,
    pub parent: Option<u32>,
    pub comm: Option<String>,
    pub exe: Option<String>,
    pub cmdline: Option<String>,
    pub uid: Option<u32>,
    pub boot: Option<i64>,
    pub hook: Option<String>,
    pub what: Option<String>,
    pub why: Option<String>,
    /// What a hook declares not to show.
    #[serde(default)]
    pub unseen: Vec<String>,
    pub mend: Option<String>,
    pub count: Option<u64>,
    /// Keys that only some kinds of events have.
    #[serde(flatten)]
    pub details: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Owner {
    pub pid: u32,
    pub comm: String,
    pub exe: Option<String>,
    pub uid: u32,
    pub how: String,
}

impl Event {
    pub fn is(&self, name: &str) -> bool {
        self.event == name
    }

    /// A number among the details.
    pub fn number(&self, key: &str) -> Option<i64> {
        self.details.get(key)?.as_i64()
    }

    /// `OLD>NEW` of a state event, for messages.
    pub fn transition(&self) -> String {
        let state = |state: &Option<String>| state.clone().unwrap_or_else(|| "?".to_owned());
        format!("{}>{}", state(&self.old), state(&self.new))
    }
}

/// All these lines of a recording.
pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for (number, line) in lines.into_iter().enumerate() {
        let event: Event = serde_json::from_str(line)
            .with_context(|| format!("line {} is no event: {line}", number + 1))?;
        events.push(event);
    }
    Ok(events)
}

/// An address as the tracer prints it: port 0 is `*`.
pub fn endpoint(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V4(addr) if addr.port() == 0 => format!("{}:*", addr.ip()),
        SocketAddr::V6(addr) if addr.port() == 0 => format!("[{}]:*", addr.ip()),
        SocketAddr::V6(addr) => format!("[{}]:{}", addr.ip(), addr.port()),
        SocketAddr::V4(addr) => addr.to_string(),
    }
}

/// An id must be a string: many readers keep JSON numbers as doubles.
fn decimal_string<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_its_keys() -> Result<()> {
        let events = read([concat!(
            r#"{"at":7,"event":"state","via":"kernel","socket":"138858","proto":"tcp","#,
            r#""family":4,"local":"127.0.0.1:8080","remote":"127.0.0.1:46712","#,
            r#""old":"SYN_RECV","new":"ESTABLISHED","in_state_ns":31000,"#,
            r#""owner":{"pid":812,"comm":"nginx","exe":null,"uid":33,"how":"accept"},"#,
            r#""netns":4026531833,"cgroup":null,"born":true}"#,
        )])?;
        assert_eq!(events[0].socket, Some(138_858));
        assert_eq!(events[0].transition(), "SYN_RECV>ESTABLISHED");
        assert_eq!(events[0].owner.as_ref().map(|owner| owner.pid), Some(812));
        Ok(())
    }

    #[test]
    fn an_id_that_is_a_number_is_refused() {
        assert!(read([r#"{"at":7,"event":"state","socket":138858}"#]).is_err());
    }

    #[test]
    fn addresses_print_as_the_tracer_prints_them() -> Result<()> {
        for text in ["127.0.0.1:80", "[::1]:80", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(endpoint(text.parse()?), text);
        }
        assert_eq!(endpoint("0.0.0.0:0".parse()?), "0.0.0.0:*");
        assert_eq!(endpoint("[::]:0".parse()?), "[::]:*");
        Ok(())
    }
}
