//! Why a hook gave nothing, or less than it should have. Counted per hook and
//! CPU in the kernel, and shown in the stream as a gap.

use crate::hook::Hook;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Miss {
    /// The ring was full: the record is lost.
    RingFull = 0,
    /// The socket's slot could not be made (map full, or no memory).
    NoSlot = 1,
    /// Kernel memory could not be read.
    Unreadable = 2,
    /// More transitions waited for a filter's decision than a slot can hold.
    PendingFull = 3,
}

impl Miss {
    pub const ALL: [Miss; 4] = [Miss::RingFull, Miss::NoSlot, Miss::Unreadable, Miss::PendingFull];

    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Miss::RingFull => "records were lost because the ring was full",
            Miss::NoSlot => "sockets could not be remembered, so their owner is unknown",
            Miss::Unreadable => "kernel memory could not be read",
            Miss::PendingFull => "transitions that waited for a filter's decision were dropped",
        }
    }

    /// What the user can do about it.
    pub const fn mend(self) -> &'static str {
        match self {
            Miss::RingFull => "give a larger --ring-size, or a filter",
            Miss::NoSlot => "give a larger --max-sockets, or a filter",
            Miss::Unreadable => "please report it with the output of `netbreath doctor`",
            Miss::PendingFull => "filter on the port or the address instead of the process",
        }
    }
}

/// Number of counters: one for each hook and reason.
pub const COUNTERS: u32 = (Hook::ALL.len() * Miss::ALL.len()) as u32;

/// The index of a hook's counter for a reason.
pub const fn counter(hook: Hook, miss: Miss) -> u32 {
    hook as u32 * Miss::ALL.len() as u32 + miss as u32
}
