//! Gaps that every source can have.

use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;

use crate::event::Gap;

/// The gap for a hook that the kernel has skipped `count` times.
pub fn skipped(hook: Hook, count: u64) -> Gap {
    Gap {
        what: format!("{count} times, the kernel did not call the hook {}", hook.name()),
        why: "another program of its kind, or work on the maps of one, was under way on that CPU"
            .to_owned(),
        mend: "what these calls would have told is lost; the rest is right".to_owned(),
        hook: Some(hook.name().to_owned()),
        unseen: Vec::new(),
        count,
    }
}

/// The gap for paths of control groups, which only this capability lets us find.
pub fn no_cgroups(capability: &str) -> Gap {
    Gap {
        what: "in which control group a connection is".to_owned(),
        why: format!("{capability} is missing"),
        mend: format!("give netbreath {capability}"),
        hook: None,
        unseen: Vec::new(),
        count: 0,
    }
}

/// The gap for a transition that cannot be.
pub fn illegal(what: String) -> Gap {
    Gap {
        what,
        why: "an event of this socket was lost or came late; other gaps count what was lost"
            .to_owned(),
        mend: "give a larger --ring-size, or a filter; if no other gap tells of a loss, please \
               report it"
            .to_owned(),
        hook: Some("life".to_owned()),
        unseen: Vec::new(),
        count: 0,
    }
}

/// The gap for `count` sockets that found no room among those whose life is followed.
pub fn forgotten(count: u64) -> Gap {
    Gap {
        what: format!("{count} sockets could not be followed to their end"),
        why: "more are open, half-open or in TIME_WAIT than are remembered".to_owned(),
        mend: "give a larger --max-sockets, or a filter".to_owned(),
        hook: Some("life".to_owned()),
        unseen: Vec::new(),
        count,
    }
}

/// The gap for `count` misses of `hook`.
pub fn missed(hook: Hook, miss: Miss, count: u64) -> Gap {
    Gap {
        what: format!("{count} times, {}", miss.meaning()),
        why: format!("hook {}", hook.name()),
        mend: miss.mend().to_owned(),
        hook: Some(hook.name().to_owned()),
        unseen: Vec::new(),
        count,
    }
}
