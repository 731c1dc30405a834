//! Judges what was told of sockets that are not TCP's: for each, exactly these events in
//! this order, and of each event what the scenario knows.

use serde_json::Value;

use super::{Claim, Kind, Verdict};
use crate::event::Event;

/// All that must be told of one socket.
#[derive(Clone, Debug)]
pub struct Told {
    /// For messages.
    pub name: String,
    /// Its id in the stream.
    pub id: u64,
    pub netns: u64,
    pub born: bool,
    pub words: Vec<Word>,
}

/// One event.
#[derive(Clone, Debug)]
pub struct Word {
    /// Its name and, where it has one, its `what`: `udp send`, `owner`.
    pub event: String,
    pub owner: Claim,
    pub local: Option<String>,
    pub remote: Option<String>,
    /// Other keys with their values; null for one that must be absent.
    pub says: Vec<(&'static str, Value)>,
}

impl Word {
    pub fn new(event: &str, owner: &Claim) -> Word {
        Word {
            event: event.to_owned(),
            owner: owner.clone(),
            local: None,
            remote: None,
            says: Vec::new(),
        }
    }

    pub fn from(mut self, local: impl ToString) -> Word {
        self.local = Some(local.to_string());
        self
    }

    pub fn to(mut self, remote: impl ToString) -> Word {
        self.remote = Some(remote.to_string());
        self
    }

    pub fn says(mut self, key: &'static str, value: impl Into<Value>) -> Word {
        self.says.push((key, value.into()));
        self
    }
}

fn name(event: &Event) -> String {
    match &event.what {
        Some(what) => format!("{} {what}", event.event),
        None => event.event.clone(),
    }
}

/// The value of a key, or null.
fn value(event: &Event, key: &str) -> Value {
    let pid = |owner: &Option<crate::event::Owner>| match owner {
        Some(owner) => owner.pid.into(),
        None => Value::Null,
    };
    match key {
        "from.pid" => pid(&event.from),
        "opened_by.pid" => pid(&event.opened_by),
        "proto" => event.proto.clone().into(),
        "family" => event.family.into(),
        "state" => event.state.clone().into(),
        "fd" => event.fd.into(),
        key => match key.split_once('.') {
            Some((outer, inner)) => {
                let outer = event.details.get(outer).cloned().unwrap_or_default();
                outer.get(inner).cloned().unwrap_or_default()
            }
            None => event.details.get(key).cloned().unwrap_or_default(),
        },
    }
}

/// Judges the events of these namespaces that are about no TCP socket.
pub fn judge_told(verdict: &mut Verdict, events: &[Event], sockets: &[Told], spaces: &[u64]) {
    let ours: Vec<&Event> = events
        .iter()
        .filter(|event| event.netns.is_some_and(|netns| spaces.contains(&netns)))
        .filter(|event| matches!(event.proto.as_deref(), Some("udp" | "unix")))
        .collect();
    for Told { name: socket, id, netns, born, words } in sockets {
        verdict.sockets += 1;
        let told: Vec<&Event> =
            ours.iter().copied().filter(|event| event.socket == Some(*id)).collect();
        let seen: Vec<String> = told.iter().map(|event| name(event)).collect();
        let want: Vec<String> = words.iter().map(|word| word.event.clone()).collect();
        verdict.transitions += seen.len() as u64;
        verdict.check(seen == want, Kind::Sequence, || format!("{socket}: {seen:?}, not {want:?}"));
        if seen != want {
            continue;
        }
        for (event, word) in told.into_iter().zip(words) {
            let place = || format!("{socket}: {}", word.event);
            verdict.owner(&word.owner, event, place);
            for (end, want) in [(&event.local, &word.local), (&event.remote, &word.remote)] {
                if want.is_some() {
                    verdict.check(end == want, Kind::Address, || {
                        format!("{}: {end:?}, not {want:?}", place())
                    });
                }
            }
            let facts = (event.netns, event.born);
            verdict.check(facts == (Some(*netns), Some(*born)), Kind::Fact, || {
                format!("{}: netns and born {facts:?}, not {netns} and {born}", place())
            });
            for (key, want) in &word.says {
                let said = value(event, key);
                verdict.check(said == *want, Kind::Detail, || {
                    format!("{}: {key} {said}, not {want}", place())
                });
            }
        }
    }
    for event in ours {
        let known = sockets.iter().any(|socket| event.socket == Some(socket.id));
        if !known {
            verdict.faults.push(super::Fault {
                kind: Kind::Stray,
                text: format!(
                    "{} of {:?} {:?} {:?}",
                    name(event),
                    event.socket,
                    event.local,
                    event.remote
                ),
            });
        }
    }
}
