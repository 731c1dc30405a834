//! A packet, as it crossed an interface.

use std::sync::Arc;

use bytes::Bytes;

use super::{Cgroup, Owner, SocketId};
use netbreath_common::tcp::TcpState;

/// One packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// Nanoseconds since the epoch: the time that capture files have.
    pub wall: i128,
    /// Where it was seen.
    pub interface: Option<Arc<Interface>>,
    pub direction: Direction,
    /// Bytes on the wire, counted from the link-layer header on.
    pub len: u32,
    /// The first of them, as many as were kept.
    pub data: Bytes,
    /// The socket that sent it or gets it, if known.
    pub socket: Option<SocketId>,
    /// What that socket was in, if it is a TCP socket.
    pub state: Option<TcpState>,
    pub owner: Option<Owner>,
    pub cgroup: Option<Cgroup>,
    /// The socket at its other end, where that is one of this machine too: of a packet on
    /// loopback, `socket` sends it and this one gets it.
    pub peer: Option<Box<Party>>,
    /// The kernel made it itself, for no socket of a process.
    pub kernel: bool,
}

/// A socket at an end of a packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Party {
    pub socket: Option<SocketId>,
    pub state: Option<TcpState>,
    pub owner: Option<Owner>,
    pub cgroup: Option<Cgroup>,
}

/// What packets were captured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The operating system's index; 0 in files.
    pub index: u32,
    pub name: Arc<str>,
    /// The link-layer header type, as `LINKTYPE_` in files:
    /// <https://www.tcpdump.org/linktypes.html>.
    pub link_type: u16,
    /// At most so many bytes of each packet were kept; 0 for all.
    pub snap_len: u32,
}

/// Which way a packet went, seen from this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
    #[default]
    Unknown,
}
