//! What a recording declares not to show, taken from what is expected of it. All the
//! rest must be there, on every rung of every hook.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::event::Event;
use crate::judge::Life;

/// The names in `unseen` of a recording's gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unseen(BTreeSet<String>);

impl Unseen {
    pub fn declared(events: &[Event]) -> Unseen {
        let gaps = events.iter().filter(|event| event.is("gap"));
        Unseen(gaps.flat_map(|gap| gap.unseen.iter().cloned()).collect())
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The life as far as it is shown.
    pub fn shown(&self, life: &Life) -> Life {
        let mut life = life.clone();
        if self.has("listen") {
            without_listen(&mut life);
        }
        if self.has("inherited_owner") && life.owner.how == "inherited" {
            life.owner.unknown = true;
        }
        if let Some(acceptance) = &mut life.accepted {
            if self.has("descriptor") {
                acceptance.fd = None;
            }
            if self.has("accept_under_way") && acceptance.under_way {
                // What its process does with it later shows it all the same.
                life.owner.pids.extend(&acceptance.claim.pids);
                life.owner.also = Some("io");
                life.owner.comm = None;
                life.accepted = None;
            }
        }
        for detail in &mut life.details {
            let (reset, drop) = (detail.event == "reset", detail.event == "drop");
            if reset && self.has("reset_reason") || drop && self.has("drop_reason") {
                let reasons = detail.says.iter_mut().filter(|(key, _)| *key == "reason");
                reasons.for_each(|(_, value)| *value = Value::Null);
            }
            if drop && self.has("drop_received") {
                detail.least = 0;
            }
        }
        life
    }
}

/// Neither a listener's beginning nor that of a connection to it. The SYN of that is seen, and
/// so its birth.
fn without_listen(life: &mut Life) {
    let begins = |old: &str, new: &str| {
        life.path.first().is_some_and(|state| state == old)
            && life.path.get(1).is_some_and(|state| state == new)
    };
    let (listener, child) = (begins("CLOSE", "LISTEN"), begins("LISTEN", "SYN_RECV"));
    if !listener && !child {
        return;
    }
    life.path.remove(0);
    life.born &= child;
    life.start = None;
    life.owner.unknown |= listener;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{Acceptance, Claim, Detail};

    fn unseen(names: &[&str]) -> Unseen {
        Unseen(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn claim(how: &'static str, pid: u32) -> Claim {
        Claim { how, pids: vec![pid], ..Claim::default() }
    }

    fn server() -> Life {
        Life {
            path: ["LISTEN", "SYN_RECV", "CLOSE"].map(str::to_owned).to_vec(),
            born: true,
            owner: claim("inherited", 1),
            accepted: Some(Acceptance {
                claim: claim("accept", 2),
                fd: Some(4),
                under_way: true,
                before: 0,
                after: 1,
            }),
            details: vec![Detail {
                event: "drop",
                says: vec![("reason", "SOCKET_FILTER".into())],
                least: 1,
                most: 2,
            }],
            ..Life::default()
        }
    }

    #[test]
    fn names_come_from_gaps() {
        let gap = |unseen: &[&str]| Event {
            event: "gap".to_owned(),
            unseen: unseen.iter().map(|&name| name.to_owned()).collect(),
            ..Event::default()
        };
        let declared = Unseen::declared(&[gap(&["listen"]), gap(&[]), gap(&["descriptor"])]);
        assert_eq!(declared, unseen(&["descriptor", "listen"]));
    }

    #[test]
    fn what_is_shown_is_expected_still() {
        assert_eq!(unseen(&["read_of_end"]).shown(&server()), server());
        let life = unseen(&["descriptor"]).shown(&server());
        let accepted = life.accepted.map(|acceptance| acceptance.fd);
        assert_eq!((accepted, life.owner), (Some(None), server().owner));
    }

    #[test]
    fn what_is_not_shown_is_not_expected() {
        let life = unseen(&["listen", "inherited_owner"]).shown(&server());
        assert_eq!(life.path, ["SYN_RECV", "CLOSE"]);
        assert!(life.born && life.owner.unknown);
        let life = unseen(&["accept_under_way"]).shown(&server());
        assert_eq!((life.accepted, life.owner.pids), (None, vec![1, 2]));
        let life = unseen(&["drop_reason", "drop_received"]).shown(&server());
        assert_eq!((life.details[0].least, &life.details[0].says[0].1), (0, &Value::Null));
    }

    #[test]
    fn a_connection_that_goes_out_begins_with_any_listener() {
        let mut life = server();
        life.path = ["CLOSE", "SYN_SENT", "CLOSE"].map(str::to_owned).to_vec();
        assert_eq!(unseen(&["listen"]).shown(&life), life);
    }
}
