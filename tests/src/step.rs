//! The words between a scenario and its processes: one JSON line a step, one JSON
//! line an answer. Sockets are named by descriptor, so forked workers and threads
//! need no table of them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::ledger::Entry;

/// A task of a process: its first thread, a further thread or a forked worker.
pub type Lane = u32;

/// The first thread of a process.
pub const MAIN: Lane = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proto {
    Tcp,
    Mptcp,
    Sctp,
    Dccp,
    Udp,
}

/// The types of UNIX sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnixKind {
    Stream,
    Dgram,
    Seqpacket,
}

/// The ways to take a connection: the tracer may see each by another hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// accept() that asks for the peer's address.
    Accept,
    /// accept() with null for the address.
    AcceptNull,
    /// accept4() that asks for the peer's address.
    Accept4,
    /// accept4() with null for the address.
    Accept4Null,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Step {
    Open {
        family: Family,
        proto: Proto,
    },
    Bind {
        fd: i32,
        at: SocketAddr,
    },
    Listen {
        fd: i32,
        backlog: i32,
    },
    /// With `wait: false` the socket is non-blocking and EINPROGRESS is an answer.
    Connect {
        fd: i32,
        to: SocketAddr,
        wait: bool,
    },
    Accept {
        fd: i32,
        call: Call,
    },
    /// Makes a UNIX socket.
    OpenUnix {
        kind: UnixKind,
    },
    /// Makes two UNIX sockets that are each other's ends.
    PairUnix {
        kind: UnixKind,
    },
    /// A path, or after a NUL a name in the abstract namespace.
    BindUnix {
        fd: i32,
        name: String,
    },
    ConnectUnix {
        fd: i32,
        name: String,
    },
    /// Sends one datagram, or with `more` a part of one, to `to` or to where the socket
    /// is connected.
    SendTo {
        fd: i32,
        to: Option<SocketAddr>,
        data: Vec<u8>,
        more: bool,
    },
    /// Reads one datagram, or only looks at it; with `named` it asks who sent it.
    ReceiveFrom {
        fd: i32,
        named: bool,
        peek: bool,
    },
    /// Sends `count` datagrams of `bytes` to the port, each from a socket of its own,
    /// waits for the answer and closes it.
    Ask {
        port: u16,
        bytes: usize,
        count: usize,
    },
    /// Answers `count` datagrams, each with itself.
    Echo {
        fd: i32,
        count: usize,
    },
    Send {
        fd: i32,
        bytes: usize,
    },
    /// Reads exactly so many bytes.
    Receive {
        fd: i32,
        bytes: usize,
    },
    /// Reads to the end of the stream or to an error.
    Drain {
        fd: i32,
    },
    /// Waits until there is something to read: data, the end or an error.
    Readable {
        fd: i32,
    },
    /// Waits until a connect() that was started is over.
    Writable {
        fd: i32,
    },
    /// shutdown(SHUT_WR).
    ShutdownWrite {
        fd: i32,
    },
    Close {
        fd: i32,
    },
    /// close() that resets the connection: SO_LINGER with no time.
    Abort {
        fd: i32,
    },
    /// Makes the socket ignore whatever the network brings, or listen again. A
    /// socket filter does it, so no firewall is needed and only this socket is
    /// concerned.
    Deaf {
        fd: i32,
        on: bool,
    },
    /// TCP_USER_TIMEOUT.
    UserTimeout {
        fd: i32,
        ms: u32,
    },
    /// setsockopt() with a number.
    Option {
        fd: i32,
        level: i32,
        name: i32,
        value: i32,
    },
    /// Starts a thread that takes the steps of `lane`.
    Thread {
        lane: Lane,
        name: String,
    },
    /// Forks a worker that takes the steps of `lane`.
    Fork {
        lane: Lane,
        name: String,
    },
    /// Becomes another program, which is an actor of this name and takes further steps.
    Exec {
        program: String,
        name: String,
    },
    /// Takes a copy of another process's descriptor.
    Fetch {
        pid: u32,
        fd: i32,
    },
    /// Becomes another user.
    User {
        uid: u32,
    },
    /// Takes `count` connections, one after the other, and reads each to its end.
    Serve {
        fd: i32,
        call: Call,
        count: usize,
    },
    /// Makes `count` connections to the port, one after the other, each to another
    /// address: 127.`net`.x.y.
    Burst {
        port: u16,
        net: u8,
        count: usize,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Said {
    Done,
    /// A pid or a tid.
    Started {
        id: u32,
    },
    Entry(Entry),
    Fetched {
        fd: i32,
    },
    /// A datagram, and who sent it if that was asked for.
    Datagram {
        data: Vec<u8>,
        from: Option<SocketAddr>,
    },
    /// Two sockets.
    Pair(Entry, Entry),
    Drained {
        bytes: usize,
        errno: Option<i32>,
    },
    Failed {
        call: String,
        errno: i32,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    pub lane: Lane,
    pub step: Step,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub lane: Lane,
    pub said: Said,
}
