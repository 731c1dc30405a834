//! The socket table: what sockets there are, who holds them, and who these processes
//! are. A question that is answered once fills it from the kernel's own tables
//! (`host::socket`).

use std::collections::HashMap;
use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use crate::event::{Endpoint, Family, Gap};

/// All sockets that were asked for, in the kernel's order.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    pub rows: Vec<Socket>,
    pub holders: Holders,
    /// Names of the interfaces that sockets are bound to, by namespace and number.
    pub interfaces: HashMap<(u32, u32), String>,
    /// What could not be seen, and why.
    pub gaps: Vec<Gap>,
}

/// How many sockets there are of each kind, as the kernel counts them (`/proc/net/sockstat`, `sockstat6`, `snmp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub sockets: u64,
    pub established: u64,
    pub orphans: u64,
    pub time_wait: u64,
    /// Sockets of TCP that the kernel has allocated.
    pub allocated: u64,
    /// Of IPv4 and IPv6.
    pub tcp: [u64; 2],
    pub udp: [u64; 2],
    pub raw: [u64; 2],
    pub fragments: [u64; 2],
}

/// A socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    pub proto: Proto,
    pub state: TcpState,
    pub ends: Ends,
    /// Its number in the file system of sockets; 0 if no file belongs to it: nobody can
    /// hold it.
    pub inode: u32,
    pub uid: u32,
    /// Bytes that wait to be read; of a listener, connections that wait for accept().
    pub recv_q: u32,
    /// Bytes that wait for an acknowledgement; of a listener, how many connections may
    /// wait.
    pub send_q: u32,
    pub timer: Timer,
    /// The kernel's cookie: no other socket ever has it again.
    pub cookie: u64,
    /// Inode number of its network namespace.
    pub netns: u32,
    pub detail: Detail,
}

/// What kind of socket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proto {
    Tcp,
    Udp,
    UdpLite,
    Raw,
    Mptcp,
    UnixStream,
    UnixDgram,
    UnixSeqpacket,
    PacketRaw,
    PacketDgram,
    Netlink,
}

impl Proto {
    pub const ALL: [Proto; 11] = [
        Proto::Tcp,
        Proto::Udp,
        Proto::UdpLite,
        Proto::Raw,
        Proto::Mptcp,
        Proto::UnixStream,
        Proto::UnixDgram,
        Proto::UnixSeqpacket,
        Proto::PacketRaw,
        Proto::PacketDgram,
        Proto::Netlink,
    ];

    /// The word in JSON and CSV.
    pub const fn name(self) -> &'static str {
        match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::UdpLite => "udplite",
            Proto::Raw => "raw",
            Proto::Mptcp => "mptcp",
            Proto::UnixStream => "unix_stream",
            Proto::UnixDgram => "unix_dgram",
            Proto::UnixSeqpacket => "unix_seqpacket",
            Proto::PacketRaw => "packet_raw",
            Proto::PacketDgram => "packet_dgram",
            Proto::Netlink => "netlink",
        }
    }

    pub const fn bit(self) -> u16 {
        1 << self as u16
    }

    pub const fn is_unix(self) -> bool {
        matches!(self, Proto::UnixStream | Proto::UnixDgram | Proto::UnixSeqpacket)
    }

    pub const fn is_packet(self) -> bool {
        matches!(self, Proto::PacketRaw | Proto::PacketDgram)
    }

    /// TCP's states are its own; the others borrow ESTABLISHED and CLOSE.
    pub const fn is_tcp(self) -> bool {
        matches!(self, Proto::Tcp | Proto::Mptcp)
    }

    pub const fn is_inet(self) -> bool {
        matches!(self, Proto::Tcp | Proto::Udp | Proto::UdpLite | Proto::Raw | Proto::Mptcp)
    }
}

/// A set of kinds of sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protos(pub u16);

impl Protos {
    pub const ALL: Protos = Protos(u16::MAX);

    pub fn of(protos: &[Proto]) -> Protos {
        Protos(protos.iter().fold(0, |bits, proto| bits | proto.bit()))
    }

    pub const fn has(self, proto: Proto) -> bool {
        self.0 & proto.bit() != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn insert(&mut self, proto: Proto) {
        self.0 |= proto.bit();
    }

    pub fn any(self, mut which: impl FnMut(Proto) -> bool) -> bool {
        Proto::ALL.into_iter().any(|proto| self.has(proto) && which(proto))
    }
}

/// Where it is, and where its peer is.
#[derive(Clone, Debug, PartialEq)]
pub enum Ends {
    Inet {
        local: Endpoint,
        remote: Endpoint,
        /// The interface that it is bound to; 0 is any.
        interface: u32,
    },
    Unix(Box<UnixEnds>),
    /// The Ethernet protocol that it takes, in host order, and from which interface.
    Packet {
        protocol: u16,
        interface: u32,
    },
    Netlink {
        /// `NETLINK_*`.
        protocol: u8,
        /// Its port: usually a process id; 0 is the kernel's own.
        port: u32,
        groups: u64,
        /// The port and the group that it is connected to.
        peer: Option<(u32, u32)>,
    },
}

/// The name of a UNIX socket, and its peer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnixEnds {
    /// A path, or after a NUL a name in the abstract namespace.
    pub name: Option<Vec<u8>>,
    /// The peer's inode number; 0 is none.
    pub peer: u32,
    /// Device and inode number of its path.
    pub file: Option<(u32, u32)>,
    /// Of a listener: inode numbers of the peers of connections that wait.
    pub waiting: Vec<u32>,
    /// What `/proc/net/unix` tells besides.
    pub seen: Option<UnixSeen>,
}

/// The name of a UNIX socket as all tools write it: an abstract one begins with `@`, and a
/// path ends at its NUL.
pub fn shown_name(name: &[u8]) -> Vec<u8> {
    match name {
        [0, ..] => name.iter().map(|byte| if *byte == 0 { b'@' } else { *byte }).collect(),
        _ => {
            let len = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
            name[..len].to_vec()
        }
    }
}

/// How `/proc/net/unix` sees a UNIX socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixSeen {
    /// The kernel's address of it, hashed as the kernel shows it.
    pub address: u64,
    pub references: u32,
    /// `__SO_*` of `linux/net.h`.
    pub flags: u32,
    /// `SS_*` of `linux/net.h`.
    pub state: u8,
}

/// Which timer runs, and for how long still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timer {
    pub kind: TimerKind,
    /// Milliseconds.
    pub left: u32,
    /// How often it has run off; probes for the timers that probe.
    pub retrans: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimerKind {
    #[default]
    Off,
    /// To send something again.
    Retransmit,
    Keepalive,
    TimeWait,
    /// To ask for a window.
    Probe,
    Other(u8),
}

impl TimerKind {
    /// From `idiag_timer` of `linux/inet_diag.h`.
    pub const fn from_kernel(number: u8) -> TimerKind {
        match number {
            0 => TimerKind::Off,
            1 => TimerKind::Retransmit,
            2 => TimerKind::Keepalive,
            3 => TimerKind::TimeWait,
            4 => TimerKind::Probe,
            number => TimerKind::Other(number),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            TimerKind::Off => "off",
            TimerKind::Retransmit => "retransmit",
            TimerKind::Keepalive => "keepalive",
            TimerKind::TimeWait => "time_wait",
            TimerKind::Probe => "probe",
            TimerKind::Other(_) => "other",
        }
    }
}

/// What the kernel tells only of some sockets, or only if it is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detail {
    /// It is known from events alone: its queues, timer, inode number and options are not.
    pub recorded: bool,
    /// It takes IPv6 alone.
    pub v6only: Option<bool>,
    /// 1: it no longer receives; 2: it no longer sends.
    pub shutdown: Option<u8>,
    pub mark: u32,
    pub cgroup: Option<u64>,
    pub tos: Option<u8>,
    pub tclass: Option<u8>,
    pub class: Option<u32>,
    /// Of a raw socket: the protocol in the IP header.
    pub protocol: Option<u8>,
    pub more: Option<Box<More>>,
}

/// What is only told if it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct More {
    /// `SK_MEMINFO_*` of `linux/sock_diag.h`, in bytes.
    pub memory: Vec<u32>,
    /// `struct tcp_info` of `linux/tcp.h`, as long as this kernel has it.
    pub tcp_info: Vec<u8>,
    pub congestion: Option<String>,
    /// `struct tcp_bbr_info` of `linux/inet_diag.h`.
    pub bbr: Vec<u8>,
    /// `struct inet_diag_sockopt`, as bits.
    pub options: Vec<u8>,
    /// Of a socket for packets: the version of its rings, how much it copies, and `PDI_*` of
    /// `linux/packet_diag.h`.
    pub packet: Option<[u32; 3]>,
}

impl Socket {
    /// The ends of an Internet socket.
    pub const fn inet(&self) -> Option<(Endpoint, Endpoint)> {
        match self.ends {
            Ends::Inet { local, remote, .. } => Some((local, remote)),
            _ => None,
        }
    }

    pub fn unix(&self) -> Option<&UnixEnds> {
        match &self.ends {
            Ends::Unix(ends) => Some(ends),
            _ => None,
        }
    }

    /// The family of the socket itself: one for IPv6 has IPv4 peers too, with mapped
    /// addresses.
    pub const fn family(&self) -> Option<Family> {
        match self.ends {
            Ends::Inet { local: Endpoint { addr: IpAddr::V4(_), .. }, .. } => Some(Family::V4),
            Ends::Inet { .. } => Some(Family::V6),
            _ => None,
        }
    }

    pub fn is_listening(&self) -> bool {
        self.state == TcpState::Listen
    }
}

/// A descriptor of a process that is a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    pub inode: u32,
    pub pid: u32,
    /// Or [`Holder::UNKNOWN`].
    pub fd: u32,
}

impl Holder {
    /// In place of a descriptor, or of a user, that is not known.
    pub const UNKNOWN: u32 = u32::MAX;
}

/// Who holds which socket, by inode number; of each socket in the order of pid and
/// descriptor.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    all: Vec<Holder>,
    /// In the order of pids.
    processes: Vec<Process>,
}

/// A process that holds sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// Its name: at most 15 bytes, chosen by the process itself.
    pub comm: Vec<u8>,
    /// Its first argument, which is usually the program as it was called.
    pub argument: Option<Vec<u8>>,
    pub uid: Option<u32>,
    pub parent: Option<u32>,
    pub group: Option<u32>,
    /// Path of its program, where asked for and known.
    pub exe: Option<Vec<u8>>,
}

impl Holders {
    pub fn new(mut all: Vec<Holder>, mut processes: Vec<Process>) -> Holders {
        all.sort_unstable();
        all.dedup();
        processes.sort_unstable_by_key(|process| process.pid);
        Holders { all, processes }
    }

    /// Who holds the socket with this inode number.
    pub fn of(&self, inode: u32) -> &[Holder] {
        if inode == 0 {
            return &[];
        }
        let begin = self.all.partition_point(|holder| holder.inode < inode);
        let rest = &self.all[begin..];
        let len = rest.iter().take_while(|holder| holder.inode == inode).count();
        &rest[..len]
    }

    pub fn all(&self) -> &[Holder] {
        &self.all
    }

    pub fn process(&self, pid: u32) -> Option<&Process> {
        let at = self.processes.binary_search_by_key(&pid, |process| process.pid).ok()?;
        self.processes.get(at)
    }

    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    pub fn processes_mut(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// Forgets what is none of these sockets.
    pub fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.all.retain(|holder| keep(holder.inode));
        let mut pids: Vec<u32> = self.all.iter().map(|holder| holder.pid).collect();
        pids.sort_unstable();
        self.processes.retain(|process| pids.binary_search(&process.pid).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_found_by_inode_in_the_order_of_pids() {
        let holder = |inode, pid, fd| Holder { inode, pid, fd };
        let all = vec![holder(9, 5, 3), holder(7, 2, 4), holder(9, 1, 8), holder(9, 1, 8)];
        let process = |pid| Process { pid, comm: b"x".to_vec(), ..Process::default() };
        let mut holders = Holders::new(all, vec![process(5), process(1), process(2)]);
        assert_eq!(holders.of(9), [holder(9, 1, 8), holder(9, 5, 3)]);
        assert_eq!(holders.of(7), [holder(7, 2, 4)]);
        assert!(holders.of(8).is_empty() && holders.of(0).is_empty());
        assert_eq!(holders.process(2).map(|process| process.pid), Some(2));
        holders.retain(|inode| inode == 7);
        assert!(holders.process(5).is_none() && holders.process(2).is_some());
    }
}
