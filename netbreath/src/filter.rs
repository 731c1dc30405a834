//! Which sockets and events a question is about. Plain data: the plan makes it
//! from what was typed, a source evaluates it as early as it can.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use netbreath_common::tcp::TcpState;

use crate::event::Family;

/// What to keep. Every field that is empty or `None` keeps everything; fields that
/// are set must all agree; values within one field are alternatives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Process ids of owners.
    pub pids: Vec<u32>,
    /// Only a command that netbreath starts, and its descendants: the source's
    /// `follow` names it later.
    pub command: bool,
    /// Process names of owners; compared with the kernel's 15 bytes.
    pub comms: Vec<String>,
    /// User ids of owners.
    pub uids: Vec<u32>,
    /// Ports at either end, at the local end, at the remote end.
    pub port: Vec<RangeInclusive<u16>>,
    pub lport: Vec<RangeInclusive<u16>>,
    pub rport: Vec<RangeInclusive<u16>>,
    /// Networks of either end, of the local end, of the remote end.
    pub addr: Vec<Network>,
    pub laddr: Vec<Network>,
    pub raddr: Vec<Network>,
    /// Family of the addresses: a mapped IPv4 peer of an IPv6 socket counts as IPv4.
    pub family: Option<Family>,
    /// States left or entered.
    pub states: Vec<TcpState>,
    /// Kinds of events.
    pub events: Vec<EventKind>,
    /// A cgroup and all below it.
    pub cgroup: Option<Cgroup>,
    /// Inode numbers of network namespaces.
    pub netns: Vec<u32>,
}

impl Filter {
    /// Whether events of this kind are asked for.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.events.is_empty() || self.events.contains(&kind)
    }
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub addr: IpAddr,
    pub prefix: u8,
}

/// A cgroup of the unified hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its id: the inode number of its directory.
    pub id: u64,
    /// How many levels it lies below the root, which is level 0.
    pub level: u32,
    /// Its path below the root, as typed.
    pub path: String,
}

/// Events that can be asked for. Gaps and clock events always come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum EventKind {
    /// Sockets that existed at the start.
    Seed,
    /// State transitions.
    State,
    /// Connections taken with accept().
    Accept,
    /// Changes of hands: another process uses the connection.
    Owner,
}
