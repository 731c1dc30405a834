//! What the processes of a scenario wrote down about their own sockets: the truth
//! that the tracer is held against. Each process notes what it alone knows for
//! sure: its pid, the kernel's cookie of the socket, and between which two moments
//! the call happened that made it the owner.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What a process did to become the owner of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Made it with socket() and no more: not an owner in any sense yet.
    Open,
    Connect,
    Listen,
    Accept,
}

/// One socket, as one process knows it. Also the scenario's handle for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub role: Role,
    /// `SO_COOKIE`.
    pub socket: u64,
    /// Inode number of the socket itself.
    pub inode: u64,
    pub fd: i32,
    pub pid: u32,
    pub tid: u32,
    /// The process's name; a thread may have another.
    pub comm: String,
    pub uid: u32,
    /// Inode of the network namespace.
    pub netns: u64,
    pub proto: String,
    /// Of the socket itself: 4 or 6.
    pub family: u8,
    /// Unknown if connect() failed before the process could ask.
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    /// What connect() answered, if not success.
    pub errno: Option<i32>,
    /// Wall-clock time right before and right after the call, nanoseconds.
    pub before: i64,
    pub after: i64,
    /// The listener's cookie, if accepted.
    pub listener: Option<u64>,
}

/// Everything that was written down in one scenario.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub entries: Vec<Entry>,
}

impl Ledger {
    pub fn listener(&self, socket: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.role == Role::Listen && entry.socket == socket)
    }
}
