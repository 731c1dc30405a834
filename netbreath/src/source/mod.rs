//! Where events come from. A source yields events in the order of their time; who
//! consumes them cannot tell a live kernel from a recording.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Event;
use crate::event::packet::Interface;
use crate::filter::Filter;

#[cfg(target_os = "linux")]
mod clock;
#[cfg(target_os = "linux")]
pub mod ebpf;
pub mod gap;
pub mod merge;
#[cfg(target_os = "linux")]
pub mod netlink;
pub mod packet;
pub mod pcap;
pub mod replay;
pub mod savefile;
#[cfg(target_os = "linux")]
pub mod socket;

/// The clock of live events: nanoseconds since boot.
#[cfg(target_os = "linux")]
pub fn now() -> u64 {
    clock::boot_time()
}

/// What a live source is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub filter: Filter,
    /// Bytes of the ring between kernel and reader; a power of two.
    pub ring_size: u32,
    /// Sockets that can be remembered at once where the kernel cannot keep our
    /// notes on the socket itself.
    pub max_sockets: u32,
    /// Watch accept(): a small tax on every system call on kernels where only the
    /// system call's own tracepoint can be had.
    pub accept_hook: bool,
    /// The kernel's type information, where it does not show its own.
    pub btf: Option<std::path::PathBuf>,
    /// Rungs that hooks must be attached by, as `HOOK=RUNG`; all others are tried.
    pub rungs: Vec<String>,
    /// Have the kernel programs say what they do, on standard error.
    pub debug_programs: bool,
    /// Measure what the kernel programs cost: it makes them slower by itself.
    pub costs: bool,
    /// Mutant for the tests: take whoever is on the CPU for the owner.
    pub owner_from_cpu: bool,
    /// Packets too.
    pub packets: Option<Packets>,
}

/// Which packets a live source is asked for.
#[derive(Clone, Debug)]
pub struct Packets {
    /// Where to capture.
    pub on: Vec<Spot>,
    /// Bytes of each packet to keep.
    pub snap_len: u32,
    /// Bytes of the ring of packets between kernel and reader; a power of two.
    pub ring_size: u32,
    /// What a packet must match, in the language of packet filters.
    pub filter: Option<Arc<str>>,
}

impl Packets {
    /// Whether packets must match anything.
    pub fn filters(&self) -> bool {
        self.filter.is_some()
    }
}

/// An interface to capture on.
#[derive(Clone, Debug)]
pub struct Spot {
    pub interface: Arc<Interface>,
    /// Both ends of all packets are on this machine.
    pub loopback: bool,
    pub incoming: bool,
    pub outgoing: bool,
}

/// A stream of events.
pub trait Source {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Waits until there are events and appends them to `events`; appending none
    /// means that the stream has ended. Nothing is lost when the future is dropped
    /// while it waits.
    fn next(&mut self, events: &mut Vec<Event>) -> impl Future<Output = Result<(), Self::Error>>;

    /// Appends what had happened before this call and was not delivered yet, and
    /// the gaps that are only known at the end.
    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Self::Error>;

    /// Adds a process to those that [`Filter::command`] lets through; its
    /// descendants are added as they are forked.
    fn follow(&mut self, pid: u32) -> Result<(), Self::Error>;

    /// Events lost or missed so far, for the summary and for `--strict`.
    fn lost(&self) -> u64;

    /// What each hook has cost so far, if that was asked for.
    fn costs(&self) -> Vec<Cost> {
        Vec::new()
    }
}

/// What a program of a hook has cost those who ran into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    pub hook: &'static str,
    pub program: &'static str,
    pub calls: u64,
    pub time: Duration,
}
