//! What becomes of UNIX sockets.

use std::sync::Arc;

use super::{Cgroup, Owner, SocketId};

/// Something became of a UNIX socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Unix {
    pub what: UnixWhat,
    /// Of the socket's inode number, with the highest bit set: cookies are numbers too.
    pub id: SocketId,
    /// The socket at the other end, if there is one that somebody has a descriptor of.
    pub peer: Option<SocketId>,
    pub kind: UnixKind,
    /// Its name, or else that of the other end: a path, or after an `@` a name in the
    /// abstract namespace. Nothing if neither end has one.
    pub path: Option<Arc<str>>,
    /// Its descriptor in the process that made the call, where that is known.
    pub fd: Option<u32>,
    /// The process that owns it, if known.
    pub owner: Option<Owner>,
    /// Who owned it before: `owner`.
    pub from: Option<Owner>,
    /// The process that owns the other end, as far as known.
    pub peer_owner: Option<Owner>,
    /// The process that opened it, where that is another one.
    pub opened_by: Option<Owner>,
    /// Inode number of its network namespace.
    pub netns: Option<u32>,
    pub cgroup: Option<Cgroup>,
    /// It was seen when it listened, connected or was accepted.
    pub born: bool,
}

impl Unix {
    /// Whether `path` is this end's own name: it listens or was accepted, or takes
    /// datagrams under it.
    pub fn is_named(&self) -> bool {
        let opener = self.opened_by.as_ref().or(self.owner.as_ref());
        match self.what {
            UnixWhat::Bind | UnixWhat::Listen | UnixWhat::Accept => true,
            UnixWhat::Connect => false,
            _ => opener.is_some_and(|owner| owner.how != super::How::Connect),
        }
    }
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnixWhat {
    /// It existed when the source started.
    Seed,
    /// A socket for datagrams was given a name.
    Bind,
    Listen,
    Connect,
    Accept,
    /// Another process than the owner used it, and owns it now.
    Owner,
    /// Its last descriptor was closed.
    Close,
}

impl UnixWhat {
    pub const ALL: [UnixWhat; 7] = [
        UnixWhat::Seed,
        UnixWhat::Bind,
        UnixWhat::Listen,
        UnixWhat::Connect,
        UnixWhat::Accept,
        UnixWhat::Owner,
        UnixWhat::Close,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            UnixWhat::Seed => "seed",
            UnixWhat::Bind => "bind",
            UnixWhat::Listen => "listen",
            UnixWhat::Connect => "connect",
            UnixWhat::Accept => "accept",
            UnixWhat::Owner => "owner",
            UnixWhat::Close => "close",
        }
    }
}

/// A socket's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UnixKind {
    Stream,
    Dgram,
    Seqpacket,
}

impl UnixKind {
    pub const ALL: [UnixKind; 3] = [UnixKind::Stream, UnixKind::Dgram, UnixKind::Seqpacket];

    pub const fn name(self) -> &'static str {
        match self {
            UnixKind::Stream => "stream",
            UnixKind::Dgram => "dgram",
            UnixKind::Seqpacket => "seqpacket",
        }
    }
}

impl SocketId {
    /// Tells ids of inode numbers from those that are cookies.
    const INODE: u64 = 1 << 63;

    /// The id of the socket with this inode number.
    pub const fn of_inode(inode: u64) -> SocketId {
        SocketId(inode | SocketId::INODE)
    }

    /// The inode number, if it is the id of one.
    pub const fn inode(self) -> Option<u64> {
        if self.0 & SocketId::INODE == 0 { None } else { Some(self.0 & !SocketId::INODE) }
    }
}
