//! What happened, on any platform: the one model that everything after a source
//! speaks. An event is complete in itself, so a recording of events replays as
//! the live run.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use netbreath_common::tcp::TcpState;

use crate::container;
use crate::event::network::{Address, Change, Changed, Link, Neighbour, Route};

mod errno;
pub mod header;
mod json;
pub mod mask;
pub mod network;
pub mod packet;
pub mod segment;
mod udp;
mod unix;
mod wire;
pub use errno::Errno;
pub use json::{write as write_json, write_finding};
pub use udp::{Datagrams, Dns, DnsMessage, Udp, UdpWhat};
pub use unix::{Unix, UnixKind, UnixWhat};
pub use wire::{Line, WireError};

/// Something that happened, or a gap in what could be seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When, in nanoseconds since boot (`CLOCK_BOOTTIME`). A `clock` event tells
    /// the wall-clock time that belongs to it.
    pub at: u64,
    /// How the event itself is known.
    pub via: Via,
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// The socket existed when the source started.
    Seed(Seed),
    /// A SYN came to a listener; the socket is the one that the connection will be.
    HalfOpen(HalfOpen),
    /// The socket went from one TCP state to another.
    State(State),
    /// A process took the connection from a listener's queue.
    Accept(Accept),
    /// Another process than the owner used the socket, and owns it now.
    Owner(Handover),
    /// A connect() came to nothing.
    ConnectFailed(ConnectFailed),
    /// A connection that had been established is over. In a box: it is twice as large as the
    /// others, which are moved much more often.
    Closed(Box<Closed>),
    /// A segment was sent again.
    Retransmit(Retransmit),
    /// A reset was sent, or came in.
    Reset(Reset),
    /// The kernel threw a packet of the connection away.
    Drop(Drop),
    /// Something became of a UDP socket.
    Udp(Udp),
    /// A message of DNS.
    Dns(Box<Dns>),
    /// Something became of a UNIX socket.
    Unix(Box<Unix>),
    /// A process became another program.
    Exec(Process),
    /// A process began, as a copy of its parent.
    Fork(Process),
    /// A process ended, with all its threads; its sockets are closed after this.
    Exit(Process),
    /// An interface came, went, or is not what it was.
    Link(Box<Changed<Link>>),
    /// An interface got an address, or lost one.
    Address(Box<Changed<Address>>),
    /// A routing table changed.
    Route(Box<Changed<Route>>),
    /// A neighbour answers, or no longer does.
    Neighbour(Box<Changed<Neighbour>>),
    /// Boot time zero is this wall-clock time, in nanoseconds since the epoch.
    Clock { boot: i64 },
    /// Something could not be seen, or was lost.
    Gap(Gap),
}

impl Body {
    /// The event's name, as in `"event": …` and `--event`.
    pub const fn name(&self) -> &'static str {
        match self {
            Body::Seed(_) => "seed",
            Body::HalfOpen(_) => "half_open",
            Body::State(_) => "state",
            Body::Accept(_) => "accept",
            Body::Owner(_) => "owner",
            Body::ConnectFailed(_) => "connect_failed",
            Body::Closed(_) => "closed",
            Body::Retransmit(_) => "retransmit",
            Body::Reset(_) => "reset",
            Body::Drop(_) => "drop",
            Body::Udp(_) => "udp",
            Body::Dns(_) => "dns",
            Body::Unix(_) => "unix",
            Body::Exec(_) => "exec",
            Body::Fork(_) => "fork",
            Body::Exit(_) => "exit",
            Body::Link(_) => "link",
            Body::Address(_) => "address",
            Body::Route(_) => "route",
            Body::Neighbour(_) => "neighbour",
            Body::Clock { .. } => "clock",
            Body::Gap(_) => "gap",
        }
    }

    /// The socket that the event is about.
    pub const fn socket(&self) -> Option<&Socket> {
        match self {
            Body::Seed(Seed { socket, .. })
            | Body::HalfOpen(HalfOpen { socket, .. })
            | Body::State(State { socket, .. })
            | Body::Accept(Accept { socket, .. })
            | Body::Owner(Handover { socket, .. })
            | Body::ConnectFailed(ConnectFailed { socket, .. })
            | Body::Retransmit(Retransmit { socket, .. })
            | Body::Reset(Reset { socket, .. })
            | Body::Drop(Drop { socket, .. })
            | Body::Udp(Udp { socket, .. }) => Some(socket),
            Body::Closed(closed) => Some(&closed.socket),
            Body::Dns(dns) => Some(&dns.socket),
            Body::Unix(_)
            | Body::Exec(_)
            | Body::Fork(_)
            | Body::Exit(_)
            | Body::Link(_)
            | Body::Address(_)
            | Body::Route(_)
            | Body::Neighbour(_)
            | Body::Clock { .. }
            | Body::Gap(_) => None,
        }
    }

    /// The process that owns the socket that the event is about; nothing if it is about
    /// none.
    pub fn owner(&self) -> Option<Option<&Owner>> {
        match self {
            Body::Unix(unix) => Some(unix.owner.as_ref()),
            body => body.socket().map(|socket| socket.owner.as_ref()),
        }
    }

    /// The cgroup of the socket that the event is about; nothing if it is about none.
    pub fn cgroup(&self) -> Option<Option<&Cgroup>> {
        match self {
            Body::Unix(unix) => Some(unix.cgroup.as_ref()),
            body => body.socket().map(|socket| socket.cgroup.as_ref()),
        }
    }

    /// The same, to complete it.
    pub const fn socket_mut(&mut self) -> Option<&mut Socket> {
        match self {
            Body::Seed(Seed { socket, .. })
            | Body::HalfOpen(HalfOpen { socket, .. })
            | Body::State(State { socket, .. })
            | Body::Accept(Accept { socket, .. })
            | Body::Owner(Handover { socket, .. })
            | Body::ConnectFailed(ConnectFailed { socket, .. })
            | Body::Retransmit(Retransmit { socket, .. })
            | Body::Reset(Reset { socket, .. })
            | Body::Drop(Drop { socket, .. })
            | Body::Udp(Udp { socket, .. }) => Some(socket),
            Body::Closed(closed) => Some(&mut closed.socket),
            Body::Dns(dns) => Some(&mut dns.socket),
            Body::Unix(_)
            | Body::Exec(_)
            | Body::Fork(_)
            | Body::Exit(_)
            | Body::Link(_)
            | Body::Address(_)
            | Body::Route(_)
            | Body::Neighbour(_)
            | Body::Clock { .. }
            | Body::Gap(_) => None,
        }
    }

    /// The process that the event is about, if it is about no socket.
    pub const fn process(&self) -> Option<&Process> {
        match self {
            Body::Exec(process) | Body::Fork(process) | Body::Exit(process) => Some(process),
            Body::Seed(_)
            | Body::HalfOpen(_)
            | Body::State(_)
            | Body::Accept(_)
            | Body::Owner(_)
            | Body::ConnectFailed(_)
            | Body::Closed(_)
            | Body::Retransmit(_)
            | Body::Reset(_)
            | Body::Drop(_)
            | Body::Link(_)
            | Body::Address(_)
            | Body::Route(_)
            | Body::Neighbour(_)
            | Body::Udp(_)
            | Body::Dns(_)
            | Body::Unix(_)
            | Body::Clock { .. }
            | Body::Gap(_) => None,
        }
    }

    /// What happened to the part of the network configuration that the event is about.
    pub const fn change(&self) -> Option<Change> {
        match self {
            Body::Link(changed) => Some(changed.change),
            Body::Address(changed) => Some(changed.change),
            Body::Route(changed) => Some(changed.change),
            Body::Neighbour(changed) => Some(changed.change),
            _ => None,
        }
    }
}

/// A socket that existed when the source started.
#[derive(Clone, Debug, PartialEq)]
pub struct Seed {
    pub socket: Socket,
    pub state: TcpState,
    /// Its descriptor in the owner.
    pub fd: u32,
}

/// A connection that begins: the kernel has answered a SYN, and waits for the ACK.
#[derive(Clone, Debug, PartialEq)]
pub struct HalfOpen {
    pub socket: Socket,
    /// How often the kernel sends its answer again before it gives up, if known.
    pub retries: Option<u32>,
    /// The kernel remembered nothing of the SYN: what it needed came back with the ACK.
    pub syn_cookie: bool,
}

/// One transition.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub socket: Socket,
    pub old: TcpState,
    pub new: TcpState,
    /// Nanoseconds spent in the old state; unknown if its start was not seen.
    pub in_state: Option<u64>,
}

/// accept() or accept4() gave the connection to a process.
#[derive(Clone, Debug, PartialEq)]
pub struct Accept {
    pub socket: Socket,
    /// Nanoseconds that the established connection waited for it.
    pub queued: Option<u64>,
    /// The new descriptor; unknown where the hook fires before it has a number.
    pub fd: Option<u32>,
}

/// A change of hands: descriptors are inherited, passed to other processes, and kept
/// over exec.
#[derive(Clone, Debug, PartialEq)]
pub struct Handover {
    /// Its owner is the new one.
    pub socket: Socket,
    /// Who owned it before, if known.
    pub from: Option<Owner>,
}

/// An active open that came to nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectFailed {
    pub socket: Socket,
    /// What connect() says; nothing if the process gave up before it said anything.
    pub error: Option<Errno>,
    /// SYNs that were sent, none where connect() failed before the first.
    pub syns: u32,
    /// Nanoseconds since the connect().
    pub tried: Option<u64>,
}

/// The whole of a connection, at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    pub socket: Socket,
    /// What came first of all that ended it; unknown if that happened before the source
    /// started.
    pub cause: Option<Cause>,
    /// The process that did it, if one of this side did.
    pub closer: Option<Closer>,
    /// The error that the socket had in the end.
    pub error: Option<Errno>,
    /// Nanoseconds from its first transition to this one; unknown if not seen.
    pub lasted: Option<u64>,
    /// Nanoseconds until it was established; unknown if not seen.
    pub connecting: Option<u64>,
    /// What went over it; unknown of protocols that do not count it.
    pub traffic: Option<Traffic>,
    /// Nanoseconds spent in each state, as far as they were seen; 0 for a state that it
    /// was never in. The end of TIME_WAIT is later.
    pub states: [u64; TcpState::ALL.len()],
}

/// What a connection has sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of payload, each counted once.
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Segments, with those that carry no payload and those that were sent again.
    pub segments_sent: u32,
    pub segments_received: u32,
    pub retransmits: u32,
    /// Smoothed round-trip time in nanoseconds; unknown if never measured.
    pub rtt: Option<u64>,
}

/// A process that closed a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Closer {
    pub pid: u32,
    pub comm: Comm,
    pub exe: Option<Arc<str>>,
}

/// A segment that was sent again, because its acknowledgement was late.
#[derive(Clone, Debug, PartialEq)]
pub struct Retransmit {
    pub socket: Socket,
    pub segment: Segment,
    /// How often this connection has sent again so far.
    pub count: u32,
    /// Payload that was sent again.
    pub bytes: u32,
    pub state: TcpState,
}

/// A reset.
#[derive(Clone, Debug, PartialEq)]
pub struct Reset {
    /// Its id is 0, and is not told, if the segment that was answered came for no socket.
    pub socket: Socket,
    pub received: bool,
    /// The kernel's word for the reason, such as NO_SOCKET; unknown where the kernel
    /// tells none.
    pub reason: Option<Arc<str>>,
    /// The socket's state, if there is a socket.
    pub state: Option<TcpState>,
}

/// A packet that the kernel threw away.
#[derive(Clone, Debug, PartialEq)]
pub struct Drop {
    pub socket: Socket,
    /// The kernel's word for the reason, such as TCP_CSUM; unknown where it tells none.
    pub reason: Option<Arc<str>>,
    pub state: Option<TcpState>,
}

/// A process at the time of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Process id in the initial pid namespace.
    pub pid: u32,
    /// The process that it is a child of.
    pub parent: u32,
    pub comm: Comm,
    /// Path of its program, where known.
    pub exe: Option<Arc<str>>,
    /// Its arguments, joined by spaces; long ones end in `…`. Unknown of a process
    /// that became its program before the source started.
    pub cmdline: Option<Arc<str>>,
    pub uid: u32,
    /// When it started, in nanoseconds since boot: with the pid, this names one
    /// process for good.
    pub start: u64,
}

/// A hook, a record or a look-up that is missing: what, why, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What is missing, as a sentence for people.
    pub what: String,
    /// Why: what the kernel answered.
    pub why: String,
    /// What to do about it.
    pub mend: String,
    /// The hook it concerns.
    pub hook: Option<String>,
    /// What the hook does not show, by names for programs.
    pub unseen: Vec<String>,
    /// How many events are missing, where that is known: 0 is "a kind of event",
    /// not "none".
    pub count: u64,
}

/// What ended a connection, or began to. The first eight are this side's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    Close,
    Shutdown,
    /// The process ended, and the kernel closed its descriptors.
    Exit,
    /// close() with SO_LINGER and a time of 0: a reset instead of a FIN.
    Linger,
    /// close() with unread data: a reset instead of a FIN (RFC 2525, 2.17).
    Unread,
    /// Nobody had accepted it when the listener was closed: a reset.
    Unaccepted,
    /// Taken apart otherwise by its process: a reset.
    Disconnect,
    /// Somebody else had the kernel end it, as `ss -K` does: a reset.
    Killed,
    /// The peer's FIN.
    Fin,
    /// The peer's reset.
    Reset,
    /// The peer did not answer any more.
    Timeout,
    /// Another error.
    Error,
}

impl Cause {
    pub const ALL: [Cause; 12] = [
        Cause::Close,
        Cause::Shutdown,
        Cause::Exit,
        Cause::Linger,
        Cause::Unread,
        Cause::Unaccepted,
        Cause::Disconnect,
        Cause::Killed,
        Cause::Fin,
        Cause::Reset,
        Cause::Timeout,
        Cause::Error,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Cause::Close => "close",
            Cause::Shutdown => "shutdown",
            Cause::Exit => "exit",
            Cause::Linger => "linger",
            Cause::Unread => "unread",
            Cause::Unaccepted => "unaccepted",
            Cause::Disconnect => "disconnect",
            Cause::Killed => "killed",
            Cause::Fin => "fin",
            Cause::Reset => "reset",
            Cause::Timeout => "timeout",
            Cause::Error => "error",
        }
    }

    /// Which end did it: `local` or `remote`; nothing if neither, as in a time-out.
    pub const fn side(self) -> Option<&'static str> {
        match self {
            Cause::Fin | Cause::Reset => Some("remote"),
            Cause::Timeout | Cause::Error => None,
            _ => Some("local"),
        }
    }
}

/// What a segment was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    Syn,
    SynAck,
    Data,
    Fin,
}

impl Segment {
    pub const ALL: [Segment; 4] = [Segment::Syn, Segment::SynAck, Segment::Data, Segment::Fin];

    pub const fn name(self) -> &'static str {
        match self {
            Segment::Syn => "syn",
            Segment::SynAck => "syn_ack",
            Segment::Data => "data",
            Segment::Fin => "fin",
        }
    }
}

/// How an event is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    Kernel,
    Packet,
    Poll,
    Timer,
    Inferred,
}

/// Identity of a socket, unique within a recording: the kernel's socket cookie
/// where the hook can read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u64);

/// A socket at the time of an event.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    pub id: SocketId,
    /// The socket at the other end, where that is one of this machine.
    pub peer: Option<SocketId>,
    pub proto: Proto,
    pub flow: Flow,
    /// The process that owns it, if known.
    pub owner: Option<Owner>,
    /// The process that opened it, where that is another one.
    pub opened_by: Option<Owner>,
    /// Inode number of its network namespace.
    pub netns: Option<u32>,
    /// Its cgroup in the unified hierarchy.
    pub cgroup: Option<Cgroup>,
    /// Its first transition was seen; else it was joined late.
    pub born: bool,
}

/// A cgroup, by its path in the unified hierarchy, and what the path tells. Clones
/// share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup(Arc<CgroupParts>);

#[derive(Debug, PartialEq, Eq)]
struct CgroupParts {
    path: Box<str>,
    container: Option<Box<str>>,
    pod: Option<Box<str>>,
}

impl Cgroup {
    /// Id of the container that the path is of: 64 hexadecimal digits.
    pub fn container(&self) -> Option<&str> {
        self.0.container.as_deref()
    }

    /// Uid of the Kubernetes pod that the path is of.
    pub fn pod(&self) -> Option<&str> {
        self.0.pod.as_deref()
    }
}

impl From<&str> for Cgroup {
    fn from(path: &str) -> Cgroup {
        let container::Place { container, pod } = container::place(path);
        Cgroup(Arc::new(CgroupParts {
            path: path.into(),
            container: container.map(Into::into),
            pod: pod.map(Into::into),
        }))
    }
}

impl std::ops::Deref for Cgroup {
    type Target = str;

    /// The path.
    fn deref(&self) -> &str {
        &self.0.path
    }
}

/// Transport protocol of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    Tcp,
    Mptcp,
    Sctp,
    Dccp,
    Udp,
}

/// The two ends of a connection, as the socket sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The socket's own family; its addresses may be IPv4 mapped into IPv6.
    pub family: Family,
    pub local: Endpoint,
    pub remote: Endpoint,
}

/// Address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    V4,
    V6,
}

/// An address with a port. Port 0 is "not chosen yet", or "any" of a listener's
/// remote end, and prints as `*`, as in `ss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    pub addr: IpAddr,
    pub port: u16,
}

/// A process that owns a socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Owner {
    /// Process id (not a thread's) in the initial pid namespace.
    pub pid: u32,
    /// The process's name: at most 15 bytes, chosen by the process itself.
    pub comm: Comm,
    /// Path of its program, where known.
    pub exe: Option<Arc<str>>,
    pub uid: u32,
    pub how: How,
}

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It called connect().
    Connect,
    /// It called listen().
    Listen,
    /// It took the connection with accept().
    Accept,
    /// It owns the listener; nobody has accepted the connection yet.
    Inherited,
    /// It held the socket when netbreath started.
    Snapshot,
    /// It read from the socket or wrote to it.
    Io,
    /// It called bind().
    Bind,
    /// It held the socket when the socket table was looked at.
    Polled,
}

impl How {
    pub const ALL: [How; 8] = [
        How::Connect,
        How::Listen,
        How::Accept,
        How::Inherited,
        How::Snapshot,
        How::Io,
        How::Bind,
        How::Polled,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            How::Connect => "connect",
            How::Listen => "listen",
            How::Accept => "accept",
            How::Inherited => "inherited",
            How::Snapshot => "snapshot",
            How::Io => "io",
            How::Bind => "bind",
            How::Polled => "polled",
        }
    }
}

impl Via {
    pub const ALL: [Via; 5] = [Via::Kernel, Via::Packet, Via::Poll, Via::Timer, Via::Inferred];

    pub const fn name(self) -> &'static str {
        match self {
            Via::Kernel => "kernel",
            Via::Packet => "packet",
            Via::Poll => "poll",
            Via::Timer => "timer",
            Via::Inferred => "inferred",
        }
    }
}

impl Proto {
    pub const ALL: [Proto; 5] = [Proto::Tcp, Proto::Mptcp, Proto::Sctp, Proto::Dccp, Proto::Udp];

    pub const fn name(self) -> &'static str {
        match self {
            Proto::Tcp => "tcp",
            Proto::Mptcp => "mptcp",
            Proto::Sctp => "sctp",
            Proto::Dccp => "dccp",
            Proto::Udp => "udp",
        }
    }
}

impl Family {
    /// 4 or 6.
    pub const fn number(self) -> u8 {
        match self {
            Family::V4 => 4,
            Family::V6 => 6,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.port == 0 {
            return match self.addr {
                IpAddr::V4(addr) => write!(f, "{addr}:*"),
                IpAddr::V6(addr) => write!(f, "[{addr}]:*"),
            };
        }
        SocketAddr::new(self.addr, self.port).fmt(f)
    }
}

/// A process name as the kernel keeps it: at most 15 bytes of any kind. It is the
/// process's to choose, so it is never printed but through a view or a format,
/// which see to control characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Comm([u8; 16]);

impl Comm {
    /// From the kernel's NUL-padded bytes.
    pub const fn new(bytes: [u8; 16]) -> Comm {
        Comm(bytes)
    }

    /// The first 15 bytes of `name`.
    pub fn from_name(name: &str) -> Comm {
        let mut bytes = [0; 16];
        let len = name.len().min(15);
        bytes[..len].copy_from_slice(&name.as_bytes()[..len]);
        Comm(bytes)
    }

    /// All 16 bytes, NULs behind the name.
    pub const fn padded(&self) -> &[u8; 16] {
        &self.0
    }

    /// The bytes before the first NUL.
    pub fn bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|b| *b == 0).unwrap_or(16);
        &self.0[..end]
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf8_lossy(self.bytes()), f)
    }
}
