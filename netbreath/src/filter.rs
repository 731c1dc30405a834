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
    /// Whether events of this kind are asked for: those of TCP are unless others are
    /// named, those of processes, of other sockets and of the network's configuration only by
    /// name.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.names(kind) || self.events.is_empty() && kind.is_usual()
    }

    /// Whether events of this kind are asked for by name.
    pub fn names(&self, kind: EventKind) -> bool {
        self.events.iter().any(|named| *named == kind || *named == EventKind::All)
    }
}

/// An address with the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub addr: IpAddr,
    pub prefix: u8,
}

impl Network {
    /// Whether the address is in this network; IPv4 addresses mapped into IPv6 count as IPv4.
    pub fn contains(&self, addr: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.addr, addr.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(addr)) => {
                let differ = u32::from(network) ^ u32::from(addr);
                differ.checked_shr(32_u32.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(addr)) => {
                let differ = u128::from(network) ^ u128::from(addr);
                differ.checked_shr(128_u32.saturating_sub(prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
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
#[value(rename_all = "snake_case")]
pub enum EventKind {
    /// Sockets that existed at the start.
    Seed,
    #[value(name = "half_open", alias = "half-open")]
    /// Connections that begin with a SYN to a listener and wait for its ACK.
    HalfOpen,
    /// State transitions.
    State,
    /// Connections taken with accept().
    Accept,
    /// Changes of hands: another process uses the connection.
    Owner,
    /// Calls of connect() that came to nothing.
    ConnectFailed,
    /// Connections that are over, each with all that it has done.
    Closed,
    /// Segments that were sent again.
    Retransmit,
    /// Resets that were sent or came in.
    Reset,
    /// Packets of connections that the kernel threw away.
    Drop,
    /// UDP sockets: bound, connected, first datagram each way, closed; only if named here.
    Udp,
    /// Queries and responses of DNS; only if named here.
    Dns,
    /// UNIX sockets: listening, connected, accepted, closed; only if named here.
    Unix,
    /// Processes that become another program; only if named here.
    Exec,
    /// Processes that begin; only if named here.
    Fork,
    /// Processes that end; only if named here.
    Exit,
    /// Interfaces that come, go or change; only if named here.
    Link,
    /// Addresses of interfaces that come or go; only if named here.
    Address,
    /// Routes that come, go or change; only if named here.
    Route,
    /// Neighbours that answer or no longer do; only if named here.
    Neighbour,
    /// All of these.
    All,
}

impl EventKind {
    /// The kinds that come unless others are asked for.
    pub const USUAL: [EventKind; 10] = [
        EventKind::Seed,
        EventKind::HalfOpen,
        EventKind::State,
        EventKind::Accept,
        EventKind::Owner,
        EventKind::ConnectFailed,
        EventKind::Closed,
        EventKind::Retransmit,
        EventKind::Reset,
        EventKind::Drop,
    ];

    /// The name, as in `"event": …` and `--event`.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Seed => "seed",
            EventKind::HalfOpen => "half_open",
            EventKind::State => "state",
            EventKind::Accept => "accept",
            EventKind::Owner => "owner",
            EventKind::ConnectFailed => "connect_failed",
            EventKind::Closed => "closed",
            EventKind::Retransmit => "retransmit",
            EventKind::Reset => "reset",
            EventKind::Drop => "drop",
            EventKind::Udp => "udp",
            EventKind::Dns => "dns",
            EventKind::Unix => "unix",
            EventKind::Exec => "exec",
            EventKind::Fork => "fork",
            EventKind::Exit => "exit",
            EventKind::Link => "link",
            EventKind::Address => "address",
            EventKind::Route => "route",
            EventKind::Neighbour => "neighbour",
            EventKind::All => "all",
        }
    }

    /// Whether such an event is about the network's configuration.
    pub const fn is_of_network(&self) -> bool {
        matches!(
            self,
            EventKind::Link | EventKind::Address | EventKind::Route | EventKind::Neighbour
        )
    }

    /// Whether such events come unless others are asked for.
    pub const fn is_usual(&self) -> bool {
        !self.is_of_process()
            && !self.is_of_network()
            && !matches!(self, EventKind::Udp | EventKind::Dns | EventKind::Unix | EventKind::All)
    }

    /// Whether such an event is about a process and no socket.
    pub const fn is_of_process(&self) -> bool {
        matches!(self, EventKind::Exec | EventKind::Fork | EventKind::Exit)
    }
}

impl Network {
    /// Whether the address is in it; one that is mapped into IPv6 counts as IPv4.
    pub fn has(&self, addr: std::net::IpAddr) -> bool {
        use std::net::IpAddr;
        let leading = |len: u32, prefix: u8| len.saturating_sub(prefix.into());
        match (self.addr.to_canonical(), addr.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(addr)) => {
                let differ = u32::from(own) ^ u32::from(addr);
                differ.checked_shr(leading(32, self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(addr)) => {
                let differ = u128::from(own) ^ u128::from(addr);
                differ.checked_shr(leading(128, self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_their_addresses_and_no_others() {
        let has = |net: &str, prefix, addr: &str| {
            Network { addr: net.parse().unwrap(), prefix }.has(addr.parse().unwrap())
        };
        assert!(has("10.0.0.0", 8, "10.255.1.2") && !has("10.0.0.0", 8, "11.0.0.0"));
        assert!(has("0.0.0.0", 0, "192.0.2.1") && !has("0.0.0.0", 0, "::1"));
        assert!(has("127.0.0.1", 32, "127.0.0.1") && !has("127.0.0.1", 32, "127.0.0.2"));
        assert!(has("127.0.0.0", 8, "::ffff:127.0.0.1"));
        assert!(has("2001:db8::", 32, "2001:db8:1::") && !has("2001:db8::", 32, "2001:db9::"));
        assert!(has("::", 0, "::1"));
    }
}
