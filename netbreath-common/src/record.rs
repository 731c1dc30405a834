//! Records: what the kernel programs put into the ring. Integers are in host
//! byte order, ports too; addresses in network byte order; times in nanoseconds
//! since boot (`CLOCK_BOOTTIME`).

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    State = 1,
    Accept = 2,
    Seed = 3,
    Exec = 4,
    Fork = 5,
    Exit = 6,
    Owner = 7,
    /// A process that existed when netbreath started.
    Exists = 8,
    /// A process gave itself another name.
    Rename = 9,
    ConnectFailed = 20,
    Closed = 21,
    Retransmit = 22,
    Reset = 23,
    Drop = 24,
    /// A SYN came to a listener and is answered.
    HalfOpen = 30,
    /// A packet came to a mini-socket, or the mini-socket has ended.
    Mini = 31,
    /// What became of a UDP socket.
    Udp = 40,
    /// A datagram from or to a port of DNS.
    Dns = 41,
    /// What became of a UNIX socket.
    Unix = 42,
}

impl Kind {
    /// The kind with this number, if there is one.
    pub const fn from_number(number: u16) -> Option<Kind> {
        match number {
            1 => Some(Kind::State),
            2 => Some(Kind::Accept),
            3 => Some(Kind::Seed),
            4 => Some(Kind::Exec),
            5 => Some(Kind::Fork),
            6 => Some(Kind::Exit),
            7 => Some(Kind::Owner),
            8 => Some(Kind::Exists),
            9 => Some(Kind::Rename),
            20 => Some(Kind::ConnectFailed),
            21 => Some(Kind::Closed),
            22 => Some(Kind::Retransmit),
            23 => Some(Kind::Reset),
            24 => Some(Kind::Drop),
            30 => Some(Kind::HalfOpen),
            31 => Some(Kind::Mini),
            40 => Some(Kind::Udp),
            41 => Some(Kind::Dns),
            42 => Some(Kind::Unix),
            _ => None,
        }
    }
}

/// How an owner is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum How {
    /// Nobody is known to own the socket.
    Unknown = 0,
    /// It called connect().
    Connect = 1,
    /// It called listen().
    Listen = 2,
    /// It took the connection with accept().
    Accept = 3,
    /// It owns the listener; nobody has accepted the connection yet.
    Inherited = 4,
    /// It held the socket when netbreath started.
    Snapshot = 5,
    /// It read from the socket or wrote to it.
    Io = 6,
    /// It called bind().
    Bind = 40,
}

impl How {
    /// The way with this number; an unknown number is [`How::Unknown`].
    pub const fn from_number(number: u8) -> How {
        match number {
            1 => How::Connect,
            2 => How::Listen,
            3 => How::Accept,
            4 => How::Inherited,
            5 => How::Snapshot,
            6 => How::Io,
            40 => How::Bind,
            _ => How::Unknown,
        }
    }
}

/// First in every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// [`Kind`] as a number.
    pub kind: u16,
    /// Length of the whole record in bytes.
    pub len: u16,
    /// The CPU that the hook ran on.
    pub cpu: u32,
    /// When it happened.
    pub at: u64,
    /// The record's number on this CPU; lost records have one too.
    pub seq: u64,
    /// Records lost on this CPU just before this one.
    pub lost: u32,
    /// Other misses on this CPU since the record before.
    pub missed: u32,
}

/// A process that owns, or owned, a socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Process id (the kernel's tgid) in the initial pid namespace; 0 is nobody.
    pub pid: u32,
    /// Its real user id.
    pub uid: u32,
    /// When it started: with the pid, this names one process for good.
    pub start: u64,
    /// Its main thread's name, NUL-padded; the bytes are the user's to choose.
    pub comm: [u8; 16],
    /// [`How`] as a number.
    pub how: u8,
    pub zero: [u8; 3],
    /// How often the process had become another program when `comm` was read: see
    /// [`Process::exec`].
    pub exec: u32,
}

/// The two ends of a connection. Its alignment lets them be copied by words: byte by byte is
/// four times the work, and eight times that of the verifier.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Local address; IPv4 as `::ffff:a.b.c.d`.
    pub saddr: [u8; 16],
    /// Remote address.
    pub daddr: [u8; 16],
    /// Local port; 0 while not yet chosen.
    pub sport: u16,
    /// Remote port.
    pub dport: u16,
    /// The socket's family: 4 or 6 (6 also for an IPv4 peer of an IPv6 socket).
    pub family: u16,
    /// `IPPROTO_*`; MPTCP is 262.
    pub proto: u16,
}

/// A socket, and what is known of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The socket cookie (the address mixed with the birth time on rungs that
    /// cannot read a cookie).
    pub id: u64,
    /// Id of its cgroup in the unified hierarchy; 0 if unknown.
    pub cgroup: u64,
    /// Inode number of its network namespace; 0 if unknown.
    pub netns: u32,
    /// 1 if its first transition was seen.
    pub born: u32,
    pub flow: Flow,
    /// Who used it last, or opened it if nobody else has used it.
    pub owner: Owner,
    /// Who opened it: connected, listened or accepted.
    pub opener: Owner,
}

/// A socket went from one state to another.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub header: Header,
    pub socket: Socket,
    /// Time spent in the old state; 0 if its start was not seen.
    pub in_state: u64,
    /// The process that the CPU was serving. Not the owner.
    pub on_cpu: u32,
    /// [`crate::tcp::TcpState`] as numbers.
    pub old: u8,
    pub new: u8,
    /// The state of the mini-socket that the kernel has put in this one's place, as far
    /// as can be told from the socket (see [`MINI_IN_DOUBT`]); 0 if there is none.
    pub mini: u8,
    /// How long a mini-socket in FIN_WAIT2 waits for the peer's FIN, in seconds rounded
    /// up; 0 if not known.
    pub timeout: u8,
}

/// Bit of [`State::mini`]: the kernel's limit of mini-sockets was reached at that moment,
/// so that there may be none after all.
pub const MINI_IN_DOUBT: u8 = 0x80;

/// A SYN came to a listener: the kernel has made a request socket, and answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfOpen {
    pub header: Header,
    pub socket: Socket,
    /// How often the kernel sends its answer again before it gives the request up.
    pub retries: u32,
    pub zero: u32,
}

/// What stands in the place of a socket in TIME_WAIT, or of one in FIN_WAIT2 that no
/// process holds any more, has got a packet or has ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mini {
    pub header: Header,
    /// The cookie of the socket that it stands for.
    pub id: u64,
    /// [`crate::tcp::TcpState`] as a number: FIN_WAIT2, TIME_WAIT, or CLOSE if it ended.
    pub state: u32,
    pub zero: u32,
}

/// A process took a connection from a listener's queue.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    pub header: Header,
    pub socket: Socket,
    /// Time since the connection was established; 0 if not known.
    pub queued: u64,
    /// The new descriptor.
    pub fd: u32,
    pub zero: u32,
}

/// Another process than the owner used the socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    pub header: Header,
    /// Its owner is the new one.
    pub socket: Socket,
    pub from: Owner,
}

/// A socket that existed before netbreath started, with a process that holds it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed {
    pub header: Header,
    pub socket: Socket,
    pub fd: u32,
    pub state: u8,
    pub zero: [u8; 3],
}

/// A process that holds a socket: what the iterator of `holder.rs` writes, for a question
/// that is answered once. It has no header, since it never goes through a ring.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The socket's inode number.
    pub inode: u32,
    /// Of the process, in the initial pid namespace.
    pub pid: u32,
    pub fd: u32,
    pub uid: u32,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// The process's name.
    pub comm: [u8; 16],
}

const _: () = assert!(size_of::<Holder>() == 36);

/// A connection that this side opened never came about.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectFailed {
    pub header: Header,
    pub socket: Socket,
    /// Time since the first SYN; 0 if not seen.
    pub tried: u64,
    /// What connect() says, as an `errno`; 0 if the process gave up.
    pub errno: u32,
    /// SYNs that went out.
    pub syns: u32,
}

/// What ended a connection, or began to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    Unknown = 0,
    /// The process closed its last descriptor.
    Close = 1,
    /// The process called shutdown().
    Shutdown = 2,
    /// The process ended, and the kernel closed its descriptors.
    Exit = 3,
    /// close() with SO_LINGER and a time of 0: a reset instead of a FIN.
    Linger = 4,
    /// close() while there were data that nobody had read: a reset.
    Unread = 5,
    /// Nobody had accepted it when the listener was closed: a reset.
    Unaccepted = 6,
    /// The process took the connection apart otherwise, such as by connect() to nowhere.
    Disconnect = 7,
    /// The peer's FIN.
    PeerFin = 8,
    /// The peer's reset.
    PeerReset = 9,
    /// The peer did not answer any more.
    Timeout = 10,
    /// Somebody else had the kernel end it, as `ss -K` does.
    Killed = 11,
    /// Another error; see `errno`.
    Error = 12,
}

impl Cause {
    pub const ALL: [Cause; 13] = [
        Cause::Unknown,
        Cause::Close,
        Cause::Shutdown,
        Cause::Exit,
        Cause::Linger,
        Cause::Unread,
        Cause::Unaccepted,
        Cause::Disconnect,
        Cause::PeerFin,
        Cause::PeerReset,
        Cause::Timeout,
        Cause::Killed,
        Cause::Error,
    ];

    /// The cause with this number; an unknown number is [`Cause::Unknown`].
    pub const fn from_number(number: u8) -> Cause {
        match number {
            n if (n as usize) < Cause::ALL.len() => Cause::ALL[n as usize],
            _ => Cause::Unknown,
        }
    }
}

/// Times in states, indexed by the number of a `TcpState`; a power of two, so that a mask
/// bounds an index.
pub const STATES: usize = 16;

/// A connection that had been established is over.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    pub header: Header,
    pub socket: Socket,
    /// Time since its first transition; 0 if that was not seen.
    pub lasted: u64,
    /// Time from its first transition until it was established; 0 if not seen.
    pub connecting: u64,
    /// Payload, without what was sent again.
    pub bytes_sent: u64,
    pub bytes_received: u64,
    /// Segments, with those that carry no payload.
    pub segs_out: u32,
    pub segs_in: u32,
    pub retransmits: u32,
    /// Smoothed round-trip time in microseconds; 0 if never measured.
    pub srtt: u32,
    /// 1 if the four and the payload could be read.
    pub counted: u32,
    /// The error that the socket ended with, as an `errno`; 0 if none.
    pub errno: u32,
    /// The process that closed it, if one did: its id and start.
    pub closer: u32,
    /// [`Cause`] as a number: what came first.
    pub cause: u8,
    pub zero: [u8; 3],
    pub closer_start: u64,
    /// The closer's name.
    pub closer_comm: [u8; 16],
    /// Time spent in each state.
    pub states: [u64; STATES],
}

/// What was sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Segment {
    Data = 0,
    Syn = 1,
    SynAck = 2,
    Fin = 3,
}

impl Segment {
    /// The segment with this number.
    pub const fn from_number(number: u8) -> Option<Segment> {
        match number {
            0 => Some(Segment::Data),
            1 => Some(Segment::Syn),
            2 => Some(Segment::SynAck),
            3 => Some(Segment::Fin),
            _ => None,
        }
    }
}

/// A segment was sent again.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retransmit {
    pub header: Header,
    pub socket: Socket,
    /// Retransmissions of this socket so far, with this one.
    pub count: u32,
    /// Payload that is sent again.
    pub bytes: u32,
    /// [`Segment`] as a number.
    pub segment: u8,
    /// [`crate::tcp::TcpState`] as a number.
    pub state: u8,
    pub zero: [u8; 6],
}

/// A reset was sent or received.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    pub header: Header,
    /// Its id is 0 if the segment that was answered belongs to no socket.
    pub socket: Socket,
    /// The kernel's `enum sk_rst_reason`; [`NO_REASON`] where it tells none.
    pub reason: u32,
    /// 1 if it came from the peer.
    pub received: u8,
    /// [`crate::tcp::TcpState`] as a number; 0 if there is no socket.
    pub state: u8,
    pub zero: [u8; 2],
}

/// The kernel threw a packet of a connection away.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drop {
    pub header: Header,
    pub socket: Socket,
    /// The kernel's `enum skb_drop_reason`; [`NO_REASON`] where it tells none.
    pub reason: u32,
    /// [`crate::tcp::TcpState`] as a number.
    pub state: u8,
    pub zero: [u8; 3],
}

/// No reason of the kernel's has this number.
pub const NO_REASON: u32 = u32::MAX;

/// A process began, became another program, or ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pub header: Header,
    pub pid: u32,
    /// The parent's process id.
    pub parent: u32,
    pub uid: u32,
    /// A number that each execve() raises by one, and a child inherits.
    pub exec: u32,
    pub start: u64,
    /// When the parent started.
    pub parent_start: u64,
    pub comm: [u8; 16],
    /// 1 if the filter on process ids lets it through. The others are told too: they
    /// can own the listener of one that does.
    pub selected: u32,
    pub zero: u32,
}

/// Bytes in [`Program::exe`] that may begin a name; a name is shorter, too.
pub const EXE_HALF: usize = 256;

/// Bytes of a command line that are kept.
pub const ARGS: usize = 256;

/// A process, with the program that it runs.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    pub process: Process,
    /// Bytes of `exe` that are filled; 0 where the process has no program.
    pub exe_len: u16,
    /// 1 if the names in `exe` reach up to the root.
    pub whole: u16,
    /// Length of the command line, which can be longer than `args`.
    pub args_len: u32,
    /// The names on the way to the program's file, each with its NUL, last one first.
    pub exe: [u8; 2 * EXE_HALF],
    /// The arguments, each with its NUL, program first.
    pub args: [u8; ARGS],
}

/// What became of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum UdpWhat {
    /// It was given a local address.
    Bind = 1,
    /// It was given a remote address.
    Connect = 2,
    /// Its first datagram was sent.
    Send = 3,
    /// Its first datagram was read.
    Receive = 4,
    /// Its last descriptor was closed.
    Close = 5,
}

impl UdpWhat {
    /// The one with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<UdpWhat> {
        match number {
            1 => Some(UdpWhat::Bind),
            2 => Some(UdpWhat::Connect),
            3 => Some(UdpWhat::Send),
            4 => Some(UdpWhat::Receive),
            5 => Some(UdpWhat::Close),
            _ => None,
        }
    }
}

/// Datagrams that a process has sent and read. One that the kernel splits on its way
/// out, or joins on its way in (`UDP_SEGMENT`, `UDP_GRO`), counts as one.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes of payload.
    pub sent_bytes: u64,
    pub sent: u64,
    /// Bytes of payload, also those that did not fit where they were read to.
    pub received_bytes: u64,
    pub received: u64,
}

/// Something became of a UDP socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    pub header: Header,
    /// For a datagram, its flow is the datagram's own.
    pub socket: Socket,
    /// Since the socket was made, or since netbreath started.
    pub traffic: Traffic,
    /// Bytes of this datagram's payload.
    pub len: u32,
    /// [`UdpWhat`] as a number.
    pub what: u8,
    pub zero: [u8; 3],
}

/// Bytes of a message of DNS that are kept: what fits without extensions (RFC 1035,
/// section 2.3.4).
pub const DNS_KEPT: usize = 512;

/// A datagram from or to a port of DNS.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dns {
    pub header: Header,
    /// Its flow is the datagram's own.
    pub socket: Socket,
    /// Length of the message, which can be longer than `message`.
    pub len: u32,
    /// 1 if the socket sent it, 0 if it came in.
    pub sent: u32,
    pub message: [u8; DNS_KEPT],
}

/// What became of a UNIX socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum UnixWhat {
    Listen = 1,
    Connect = 2,
    Accept = 3,
    Close = 4,
    /// Another process than the owner used it.
    Owner = 5,
    /// It existed when netbreath started.
    Seed = 6,
    /// It was given a name, and takes datagrams under it.
    Bind = 7,
}

impl UnixWhat {
    /// The one with this number, if there is one.
    pub const fn from_number(number: u8) -> Option<UnixWhat> {
        match number {
            1 => Some(UnixWhat::Listen),
            2 => Some(UnixWhat::Connect),
            3 => Some(UnixWhat::Accept),
            4 => Some(UnixWhat::Close),
            5 => Some(UnixWhat::Owner),
            6 => Some(UnixWhat::Seed),
            7 => Some(UnixWhat::Bind),
            _ => None,
        }
    }
}

/// Bytes that hold the longest name of a UNIX socket (`sun_path` is 108).
pub const UNIX_PATH: usize = 112;

/// Something became of a UNIX socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unix {
    pub header: Header,
    /// Inode number of the socket, which no other has while the machine runs.
    pub inode: u64,
    /// That of the socket at the other end; 0 if there is none, or it is not accepted.
    pub peer: u64,
    /// Id of its cgroup in the unified hierarchy; 0 if unknown.
    pub cgroup: u64,
    /// Inode number of its network namespace; 0 if unknown.
    pub netns: u32,
    /// 1 if it was seen when it listened, connected or was accepted.
    pub born: u32,
    pub owner: Owner,
    pub opener: Owner,
    /// Who owns the other end; [`UnixWhat::Owner`]: who owned it before.
    pub other: Owner,
    /// Its descriptor; `u32::MAX` if not known.
    pub fd: u32,
    /// [`UnixWhat`] as a number.
    pub what: u8,
    /// 1 stream, 2 datagrams, 5 packets in sequence: `SOCK_*`.
    pub kind: u8,
    /// Bytes of `path` that count: 0 for a socket without a name at either end.
    pub path_len: u16,
    /// Its name, or that of the other end: a path, with its NUL, or after a NUL any bytes
    /// (the abstract namespace).
    pub path: [u8; UNIX_PATH],
}

/// Something to copy out of the ring.
///
/// # Safety
///
/// Only for `repr(C)` types of integers and byte arrays, with no padding, whose
/// first member is a [`Header`]: any bytes make a valid value.
pub unsafe trait Record: Copy {
    const KINDS: &'static [Kind];
}

macro_rules! records {
    ($($record:ty: $size:literal, $kinds:expr;)*) => {$(
        // A size that differs means padding, or a change that both sides must know.
        const _: () = assert!(size_of::<$record>() == $size && $size % 8 == 0);
        // SAFETY: repr(C), integers and byte arrays only, no padding (see the size).
        unsafe impl Record for $record {
            const KINDS: &'static [Kind] = $kinds;
        }
    )*};
}

records! {
    State: 192, &[Kind::State];
    Accept: 192, &[Kind::Accept];
    Seed: 184, &[Kind::Seed];
    Handover: 216, &[Kind::Owner];
    Process: 88, &[Kind::Fork, Kind::Exit, Kind::Rename];
    Program: 864, &[Kind::Exec, Kind::Exists];
    ConnectFailed: 192, &[Kind::ConnectFailed];
    Closed: 392, &[Kind::Closed];
    Retransmit: 192, &[Kind::Retransmit];
    Reset: 184, &[Kind::Reset];
    Drop: 184, &[Kind::Drop];
    HalfOpen: 184, &[Kind::HalfOpen];
    Mini: 48, &[Kind::Mini];
    Udp: 216, &[Kind::Udp];
    Dns: 696, &[Kind::Dns];
    Unix: 304, &[Kind::Unix];
}

const _: () = assert!(size_of::<Header>() == 32);
const _: () = assert!(size_of::<Owner>() == 40);
const _: () = assert!(size_of::<Flow>() == 40);
const _: () = assert!(size_of::<Socket>() == 144);

/// Copies a record out of `bytes`, or nothing if they are too few or of another
/// kind.
pub fn read<R: Record>(bytes: &[u8]) -> Option<R> {
    let header = header(bytes)?;
    let kind = Kind::from_number(header.kind)?;
    if bytes.len() < size_of::<R>() || header.len as usize != size_of::<R>() {
        return None;
    }
    if !R::KINDS.contains(&kind) {
        return None;
    }
    // SAFETY: there are enough bytes, and any bytes make a valid record.
    Some(unsafe { bytes.as_ptr().cast::<R>().read_unaligned() })
}

/// Copies the header out of `bytes`.
pub fn header(bytes: &[u8]) -> Option<Header> {
    if bytes.len() < size_of::<Header>() {
        return None;
    }
    // SAFETY: there are enough bytes, and any bytes make a valid header.
    Some(unsafe { bytes.as_ptr().cast::<Header>().read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_kind_or_length_is_refused() {
        let mut bytes = [0u8; 216];
        bytes[..2].copy_from_slice(&(Kind::Accept as u16).to_ne_bytes());
        bytes[2..4].copy_from_slice(&192u16.to_ne_bytes());
        assert!(read::<Accept>(&bytes).is_some());
        assert!(read::<State>(&bytes).is_none());
        assert!(read::<Accept>(&bytes[..191]).is_none());
        bytes[2..4].copy_from_slice(&152u16.to_ne_bytes());
        assert!(read::<Accept>(&bytes).is_none());
        assert!(read::<Accept>(&[]).is_none());
    }
}
