//! Why a hook gave nothing, or less than it should have. Counted per hook and
//! CPU in the kernel, and shown in the stream as a gap.

use crate::hook::Hook;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Miss {
    /// The ring was full: the record is lost.
    RingFull = 0,
    /// The socket's slot could not be made (map full, or no memory), so that what
    /// happened to it could not be told.
    NoSlot = 1,
    /// Kernel memory could not be read.
    Unreadable = 2,
    /// More transitions waited for a filter's decision than a slot can hold.
    PendingFull = 3,
    /// The socket's slot could not be made or not be put where accept() finds it. All
    /// is told but who owns the socket.
    NoOwner = 4,
    /// The ring had room but could not be locked: the record is lost.
    RingLocked = 5,
}

impl Miss {
    pub const ALL: [Miss; 6] = [
        Miss::RingFull,
        Miss::NoSlot,
        Miss::Unreadable,
        Miss::PendingFull,
        Miss::NoOwner,
        Miss::RingLocked,
    ];

    /// What it means, for people.
    pub const fn meaning(self) -> &'static str {
        match self {
            Miss::RingFull => "records were lost because the ring was full",
            Miss::NoSlot => "events were lost because their sockets could not be remembered",
            Miss::Unreadable => "kernel memory could not be read",
            Miss::PendingFull => "transitions that waited for a filter's decision were dropped",
            Miss::NoOwner => "sockets could not be remembered, so their owner is unknown",
            Miss::RingLocked => "records were lost because another CPU kept the ring locked",
        }
    }

    /// What the user can do about it.
    pub const fn mend(self) -> &'static str {
        match self {
            Miss::RingFull => "give a larger --ring-size, or a filter",
            Miss::NoSlot | Miss::NoOwner => "give a larger --max-sockets, or a filter",
            Miss::Unreadable => "please report it with the output of `netbreath doctor`",
            Miss::PendingFull => "filter on the port or the address instead of the process",
            Miss::RingLocked => "give the machine more time on its CPUs; the rest is right",
        }
    }
}

/// Number of counters: one for each hook and reason.
pub const COUNTERS: u32 = (Hook::ALL.len() * Miss::ALL.len()) as u32;

/// The index of a hook's counter for a reason.
pub const fn counter(hook: Hook, miss: Miss) -> u32 {
    hook as u32 * Miss::ALL.len() as u32 + miss as u32
}
