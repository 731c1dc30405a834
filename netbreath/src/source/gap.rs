//! Gaps that every source can have.

use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;

use crate::event::Gap;

/// The gap for `count` misses of `hook`.
pub fn missed(hook: Hook, miss: Miss, count: u64) -> Gap {
    Gap {
        what: format!("{count} times, {}", miss.meaning()),
        why: format!("hook {}", hook.name()),
        mend: miss.mend().to_owned(),
        hook: Some(hook.name().to_owned()),
        count,
    }
}
