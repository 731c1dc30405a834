//! What the loader tells the kernel programs before they are loaded, through
//! globals in read-only data: the verifier then drops what is switched off.

/// Bits of the global `FILTER`: which filters are set. Those on the owner can be
/// undecided for a while (see `slot` in the kernel programs).
pub mod filter {
    /// Only the processes in the map `PIDS`.
    pub const PID: u32 = 1 << 0;
    /// Only processes with a name in the map `COMMS`.
    pub const COMM: u32 = 1 << 1;
    /// Only processes of a user in the map `UIDS`.
    pub const UID: u32 = 1 << 2;
    /// Either port is in the set `PORTS`.
    pub const PORT: u32 = 1 << 3;
    /// The local port is in the set.
    pub const LPORT: u32 = 1 << 4;
    /// The remote port is in the set.
    pub const RPORT: u32 = 1 << 5;
    /// Either address is in one of the networks of `ADDRS`.
    pub const ADDR: u32 = 1 << 6;
    /// The local address is.
    pub const LADDR: u32 = 1 << 7;
    /// The remote address is.
    pub const RADDR: u32 = 1 << 8;
    /// The socket's cgroup is the one of `CGROUP`, or below it.
    pub const CGROUP: u32 = 1 << 9;
    /// The socket's network namespace is in the map `NETNS`.
    pub const NETNS: u32 = 1 << 10;
    /// Children of the processes in `PIDS` are added when they are forked.
    pub const FOLLOW: u32 = 1 << 11;

    /// Filters on who owns the socket.
    pub const OWNER: u32 = PID | COMM | UID;
    /// Filters that need the local port.
    pub const NEEDS_LPORT: u32 = PORT | LPORT;
}

/// The three sets in the bitmap `PORTS`, and the three kinds of networks in
/// `ADDRS`: either end, the local end, the remote end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum End {
    Either = 0,
    Local = 1,
    Remote = 2,
}

/// 64-bit words in the bitmap of all ports of one [`End`].
pub const PORT_WORDS: u32 = 65536 / 64;

/// Key of the longest-prefix map `ADDRS`, after the prefix length: the end, then
/// the address in network byte order, IPv4 as `::ffff:a.b.c.d`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AddrKey {
    /// [`End`] as a byte, so that one map holds all three.
    pub end: [u8; 4],
    pub addr: [u8; 16],
}

/// Bits of [`AddrKey`] before the address.
pub const ADDR_KEY_END_BITS: u32 = 32;

/// Bits of the global `EMIT`: which records are wanted.
pub mod emit {
    pub const STATE: u32 = 1 << 0;
    pub const ACCEPT: u32 = 1 << 1;
    pub const SEED: u32 = 1 << 2;
    /// Exec, fork and exit: names of owners are made from them.
    pub const PROCESS: u32 = 1 << 3;
    pub const OWNER: u32 = 1 << 4;
    pub const CONNECT_FAILED: u32 = 1 << 5;
    pub const CLOSED: u32 = 1 << 6;
    pub const RETRANSMIT: u32 = 1 << 7;
    pub const RESET: u32 = 1 << 8;
    pub const DROP: u32 = 1 << 9;
    pub const HALF_OPEN: u32 = 1 << 10;
    pub const UDP: u32 = 1 << 24;
    pub const DNS: u32 = 1 << 25;
    pub const UNIX: u32 = 1 << 26;
    /// Packets: who owns sockets of any kind must be known for them.
    pub const PACKET: u32 = 1 << 27;

    /// Any that needs what is remembered of UDP sockets.
    pub const DATAGRAM: u32 = UDP | DNS | PACKET;
    /// Any that is about TCP.
    pub const TCP: u32 = !(UDP | DNS | UNIX | PROCESS);
}

/// Places in the map `START`: what a pass over all there is finds at the start.
pub mod start {
    /// The kernel's clock of timers.
    pub const JIFFIES: u32 = 0;
    /// `CLOCK_MONOTONIC` in nanoseconds at that moment.
    pub const MONOTONIC: u32 = 1;
    /// Ticks a second, which the reader finds out; 0 until then.
    pub const HZ: u32 = 2;
    pub const COUNT: u32 = 3;
    /// Network namespaces with old requests that are remembered.
    pub const NAMESPACES: u32 = 1024;
}
