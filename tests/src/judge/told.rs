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
    /// Keys that must have a number above 0.
    pub counts: Vec<&'static str>,
}

impl Word {
    pub fn new(event: &str, owner: &Claim) -> Word {
        Word {
            event: event.to_owned(),
            owner: owner.clone(),
            local: None,
            remote: None,
            says: Vec::new(),
            counts: Vec::new(),
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

    pub fn counts(mut self, key: &'static str) -> Word {
        self.counts.push(key);
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
        // A string, as it stands there.
        "peer" => event.peer.map(|peer| peer.to_string()).into(),
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
            for key in &word.counts {
                let said = value(event, key);
                verdict.check(said.as_u64() > Some(0), Kind::Detail, || {
                    format!("{}: {key} {said}, not above 0", place())
                });
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::read;

    const LINES: [&str; 2] = [
        concat!(
            r#"{"at":1,"event":"udp","via":"kernel","socket":"5","proto":"udp","family":4,"#,
            r#""local":"127.0.0.1:7","remote":"127.0.0.1:8","what":"send","bytes":3,"#,
            r#""owner":{"pid":9,"comm":"x","exe":null,"uid":0,"how":"io"},"netns":1,"born":true}"#,
        ),
        concat!(
            r#"{"at":2,"event":"udp","via":"kernel","socket":"5","proto":"udp","family":4,"#,
            r#""local":"127.0.0.1:7","remote":"127.0.0.1:8","what":"close","datagrams_sent":1,"#,
            r#""owner":{"pid":9,"comm":"x","exe":null,"uid":0,"how":"io"},"netns":1,"born":true}"#,
        ),
    ];

    fn verdict(lines: &[&str], pid: u32, bytes: u32) -> anyhow::Result<Verdict> {
        let owner = Claim { how: "io", pids: vec![pid], ..Claim::default() };
        let words = vec![
            Word::new("udp send", &owner).from("127.0.0.1:7").says("bytes", bytes),
            Word::new("udp close", &owner).counts("datagrams_sent"),
        ];
        let socket = Told { name: "s".to_owned(), id: 5, netns: 1, born: true, words };
        let mut verdict = Verdict::default();
        judge_told(&mut verdict, &read(lines.iter().copied())?, &[socket], &[1]);
        Ok(verdict)
    }

    #[test]
    fn what_is_as_it_must_be_has_no_fault() -> anyhow::Result<()> {
        let verdict = verdict(&LINES, 9, 3)?;
        assert!(verdict.faults.is_empty() && verdict.checks == 8, "{verdict}");
        Ok(())
    }

    #[test]
    fn every_kind_of_fault_is_found() -> anyhow::Result<()> {
        assert_eq!(verdict(&LINES[..1], 9, 3)?.of_kind(Kind::Sequence), 1);
        assert_eq!(verdict(&[LINES[1], LINES[0]], 9, 3)?.of_kind(Kind::Sequence), 1);
        assert_eq!(verdict(&LINES, 8, 3)?.wrong_owners(), 2);
        assert_eq!(verdict(&LINES, 9, 4)?.of_kind(Kind::Detail), 1);
        for (from, to, kind) in [
            (r#""socket":"5""#, r#""socket":"6""#, Kind::Stray),
            (r#""local":"127.0.0.1:7""#, r#""local":"127.0.0.1:9""#, Kind::Address),
            (r#""born":true"#, r#""born":false"#, Kind::Fact),
        ] {
            let changed = LINES[0].replace(from, to);
            assert_eq!(verdict(&[&changed, LINES[1]], 9, 3)?.of_kind(kind), 1, "{to}");
        }
        let none = LINES[1].replace("\"datagrams_sent\":1", "\"datagrams_sent\":0");
        assert_eq!(verdict(&[LINES[0], &none], 9, 3)?.of_kind(Kind::Detail), 1);
        Ok(())
    }
}
