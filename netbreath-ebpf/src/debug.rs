//! Lines for those who work on these programs: what a hook saw, and what the filters
//! said to it. Without `--debug-programs` the verifier takes all of this out.

use aya_log_ebpf::debug;

use crate::filter::Verdict;

/// A transition was seen.
#[inline(never)]
pub fn transition(socket: u64, old: u32, new: u32, verdict: Verdict) {
    debug!((), "sock_state: socket {}: {} -> {}: {}", socket, old, new, said(verdict));
}

/// Somebody took a connection from a listener, or another's over.
#[inline(never)]
pub fn taken(socket: u64, from: u32, by: u32, verdict: Verdict) {
    debug!((), "socket {}: from process {} to {}: {}", socket, from, by, said(verdict));
}

const fn said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Keep => "kept",
        Verdict::Drop => "dropped by a filter",
        Verdict::Undecided => "not decided yet",
    }
}
