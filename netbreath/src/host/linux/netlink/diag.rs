//! Sockets, as sock_diag tells of them (man 7 sock_diag, `linux/inet_diag.h`,
//! `linux/unix_diag.h`, `linux/packet_diag.h`, `linux/netlink_diag.h`). It shows those of
//! one network namespace, with those that no process holds: TIME_WAIT, half-open, and
//! what its process has closed.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netbreath_common::tcp::TcpState;
use netlink_sys::{Socket as Wire, protocols::NETLINK_SOCK_DIAG};

use super::{Error, Netlink, Question, attributes, u8_at, u16_at, u32_at, u64_at};
use crate::event::{Endpoint, Family, Flow};
use crate::table::socket::{Detail, Ends, More, Proto, Socket, Timer, TimerKind, UnixEnds};

/// `SOCK_DIAG_BY_FAMILY` (`linux/sock_diag.h`).
const BY_FAMILY: u16 = 20;
const WHAT: &str = "sockets";

/// `struct inet_diag_sockid`.
const ID: usize = 48;
/// `struct inet_diag_msg`.
const INET: usize = 72;
/// `struct unix_diag_msg`, `struct packet_diag_msg`.
const SHORT: usize = 16;
/// `struct netlink_diag_msg`.
const NETLINK: usize = 28;

/// What is asked for besides what every answer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub memory: bool,
    /// `struct tcp_info`, and congestion control.
    pub info: bool,
    pub tos: bool,
    /// Paths and waiting peers of UNIX sockets.
    pub paths: bool,
}

impl Netlink {
    /// A socket for questions about sockets, in this thread's network namespace.
    pub fn sock_diag() -> Result<Netlink, Error> {
        let open = || -> io::Result<Wire> {
            let mut socket = Wire::new(NETLINK_SOCK_DIAG)?;
            socket.bind_auto()?;
            // Why ignored: answers come as they are read, whatever the room.
            let _ = socket.set_rx_buf_sz(1_u32 << 20);
            Ok(socket)
        };
        let socket = open().map_err(|source| Error::Open { source })?;
        Ok(Netlink { socket, sequence: 0, buffer: Vec::with_capacity(super::BUFFER) })
    }

    /// The Internet sockets of a kind and family that are in one of `states` (bits).
    pub fn inet_sockets(
        &mut self,
        proto: Proto,
        family: Family,
        states: u32,
        wanted: Wanted,
    ) -> Result<Vec<Socket>, Error> {
        let (protocol, extended) = match proto {
            Proto::Udp => (libc::IPPROTO_UDP, None),
            Proto::UdpLite => (libc::IPPROTO_UDPLITE, None),
            Proto::Raw => (libc::IPPROTO_RAW, None),
            Proto::Mptcp => (libc::IPPROTO_MPTCP, Some(libc::IPPROTO_MPTCP)),
            _ => (libc::IPPROTO_TCP, None),
        };
        // A bit is 1 << (attribute - 1).
        let mut extensions = 0_u8;
        if wanted.memory {
            extensions |= 1 << (MEMORY - 1);
        }
        if wanted.info {
            extensions |= 1 << (INFO - 1) | 1 << (VEGAS - 1) | 1 << (CONGESTION - 1);
        }
        if wanted.tos {
            extensions |= 1 << (TOS - 1) | 1 << (TCLASS - 1);
        }
        let family = match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        let mut body = vec![family as u8, protocol as u8, extensions, 0];
        body.extend_from_slice(&states.to_ne_bytes());
        body.resize(body.len() + ID, 0);
        if let Some(protocol) = extended {
            super::push(&mut body, REQUEST_PROTOCOL, &protocol.to_ne_bytes());
        }
        self.dump(&question(body), |_, body| inet(proto, body))
    }

    /// The TCP socket with these ends and this cookie, with its `struct tcp_info`; nothing
    /// if there is none in this namespace.
    pub fn inet_socket(&mut self, flow: &Flow, cookie: u64) -> Result<Option<Socket>, Error> {
        let family = match flow.family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        let mut body = vec![family as u8, libc::IPPROTO_TCP as u8, 1 << (INFO - 1), 0];
        body.extend_from_slice(&u32::MAX.to_ne_bytes());
        let mut id = [0_u8; ID];
        id[..2].copy_from_slice(&flow.local.port.to_be_bytes());
        id[2..4].copy_from_slice(&flow.remote.port.to_be_bytes());
        for (at, addr) in [(4, flow.local.addr), (20, flow.remote.addr)] {
            match addr {
                IpAddr::V4(addr) => id[at..at + 4].copy_from_slice(&addr.octets()),
                IpAddr::V6(addr) => id[at..at + 16].copy_from_slice(&addr.octets()),
            }
        }
        id[40..].copy_from_slice(&cookie.to_ne_bytes());
        body.extend_from_slice(&id);
        match self.get(&question(body), |body| inet(Proto::Tcp, body)) {
            Err(Error::Ask { source, .. })
                if matches!(source.raw_os_error(), Some(libc::ENOENT | libc::ESTALE)) =>
            {
                Ok(None)
            }
            answer => answer,
        }
    }

    /// The UNIX sockets in one of `states`.
    pub fn unix_sockets(&mut self, states: u32, wanted: Wanted) -> Result<Vec<Socket>, Error> {
        // UDIAG_SHOW_*: name, peer, queues, uid; then file, waiting peers, memory.
        let mut show = 0x01_u32 | 0x04 | 0x10 | 0x40;
        if wanted.paths {
            show |= 0x02 | 0x08;
        }
        if wanted.memory {
            show |= 0x20;
        }
        let mut body = vec![libc::AF_UNIX as u8, 0, 0, 0];
        for word in [states, 0, show, 0, 0] {
            body.extend_from_slice(&word.to_ne_bytes());
        }
        self.dump(&question(body), |_, body| unix(body))
    }

    /// Sockets that take packets from interfaces.
    pub fn packet_sockets(&mut self) -> Result<Vec<Socket>, Error> {
        // PACKET_SHOW_INFO and PACKET_SHOW_MEMINFO.
        let show = 0x01_u32 | 0x10;
        let mut body = vec![libc::AF_PACKET as u8, 0, 0, 0];
        for word in [0, show, 0, 0] {
            body.extend_from_slice(&word.to_ne_bytes());
        }
        self.dump(&question(body), |_, body| packet(body))
    }

    /// Sockets to the kernel's own services.
    pub fn netlink_sockets(&mut self) -> Result<Vec<Socket>, Error> {
        const ALL: u8 = 255;
        // NDIAG_SHOW_MEMINFO and NDIAG_SHOW_GROUPS.
        let show = 0x01_u32 | 0x02;
        let mut body = vec![libc::AF_NETLINK as u8, ALL, 0, 0];
        for word in [0, show, 0, 0] {
            body.extend_from_slice(&word.to_ne_bytes());
        }
        self.dump(&question(body), |_, body| netlink(body))
    }
}

impl Error {
    /// Whether the kernel has nobody who could answer.
    pub fn is_unknown(&self) -> bool {
        let Error::Ask { source, .. } = self else { return false };
        // What it answers where the module is not there, and for a protocol that it has not.
        matches!(
            source.raw_os_error(),
            Some(libc::ENOENT | libc::EINVAL | libc::EPROTONOSUPPORT | libc::EOPNOTSUPP)
        )
    }
}

fn question(body: Vec<u8>) -> Question {
    Question { what: WHAT, kind: BY_FAMILY, body }
}

// INET_DIAG_*.
const INFO: u16 = 2;
const VEGAS: u16 = 3;
const CONGESTION: u16 = 4;
const TOS: u16 = 5;
const TCLASS: u16 = 6;
const MEMORY: u16 = 7;
const SHUTDOWN: u16 = 8;
const PROTOCOL: u16 = 10;
/// `INET_DIAG_REQ_PROTOCOL`: of protocols whose number is no byte.
const REQUEST_PROTOCOL: u16 = 3;
const V6ONLY: u16 = 11;
const MARK: u16 = 15;
const BBR: u16 = 16;
const CLASS: u16 = 17;
const CGROUP: u16 = 21;
const OPTIONS: u16 = 22;

fn inet(proto: Proto, body: &[u8]) -> Option<Socket> {
    let fixed = body.get(..INET)?;
    let end = |addr: usize, port: usize| {
        let bytes = fixed.get(addr..addr + 16).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        let bytes = bytes.unwrap_or_default();
        let addr = if i32::from(fixed[0]) == libc::AF_INET {
            IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(bytes))
        };
        Endpoint { addr, port: u16::from_be_bytes([fixed[port], fixed[port + 1]]) }
    };
    let mut detail = Detail::default();
    attributes(&body[INET..], |kind, value| match kind {
        SHUTDOWN => detail.shutdown = value.first().copied(),
        V6ONLY => detail.v6only = value.first().map(|value| *value != 0),
        MARK => detail.mark = u32_at(value, 0),
        CGROUP => detail.cgroup = Some(u64_at(value, 0)),
        TOS => detail.tos = value.first().copied(),
        TCLASS => detail.tclass = value.first().copied(),
        CLASS => detail.class = Some(u32_at(value, 0)),
        PROTOCOL => detail.protocol = value.first().copied(),
        MEMORY => detail.more.get_or_insert_default().memory = words(value),
        INFO if !value.is_empty() => {
            detail.more.get_or_insert_default().tcp_info = value.to_vec();
        }
        CONGESTION => detail.more.get_or_insert_default().congestion = Some(super::text(value)),
        BBR => detail.more.get_or_insert_default().bbr = value.to_vec(),
        OPTIONS => detail.more.get_or_insert_default().options = value.to_vec(),
        _ => {}
    });
    Some(Socket {
        proto,
        state: TcpState::from_kernel(fixed[1])?,
        ends: Ends::Inet { local: end(8, 4), remote: end(24, 6), interface: u32_at(fixed, 40) },
        inode: u32_at(fixed, 68),
        uid: u32_at(fixed, 64),
        recv_q: u32_at(fixed, 56),
        send_q: u32_at(fixed, 60),
        timer: Timer {
            kind: TimerKind::from_kernel(fixed[2]),
            left: u32_at(fixed, 52),
            retrans: fixed[3],
        },
        cookie: cookie(fixed, 44),
        netns: 0,
        detail,
    })
}

fn unix(body: &[u8]) -> Option<Socket> {
    let fixed = body.get(..SHORT)?;
    let proto = match i32::from(fixed[1]) {
        libc::SOCK_STREAM => Proto::UnixStream,
        libc::SOCK_DGRAM => Proto::UnixDgram,
        libc::SOCK_SEQPACKET => Proto::UnixSeqpacket,
        _ => return None,
    };
    let inode = u32_at(fixed, 4);
    let mut ends = UnixEnds::default();
    let mut detail = Detail::default();
    let (mut recv_q, mut send_q, mut uid) = (0, 0, 0);
    // UNIX_DIAG_*.
    attributes(&body[SHORT..], |kind, value| match kind {
        0 => ends.name = Some(value.to_vec()),
        1 => ends.file = Some((u32_at(value, 4), u32_at(value, 0))),
        2 => ends.peer = u32_at(value, 0),
        3 => ends.waiting = words(value),
        4 => (recv_q, send_q) = (u32_at(value, 0), u32_at(value, 4)),
        5 => detail.more = Some(Box::new(More { memory: words(value), ..More::default() })),
        6 => detail.shutdown = value.first().copied(),
        7 => uid = u32_at(value, 0),
        _ => {}
    });
    Some(Socket {
        proto,
        state: TcpState::from_kernel(fixed[2])?,
        ends: Ends::Unix(Box::new(ends)),
        inode,
        uid,
        recv_q,
        send_q,
        timer: Timer::default(),
        cookie: cookie(fixed, 8),
        netns: 0,
        detail,
    })
}

fn packet(body: &[u8]) -> Option<Socket> {
    let fixed = body.get(..SHORT)?;
    let proto = match i32::from(fixed[1]) {
        libc::SOCK_DGRAM => Proto::PacketDgram,
        _ => Proto::PacketRaw,
    };
    let (mut interface, mut uid, mut memory, mut info) = (0, 0, Vec::new(), None);
    // PACKET_DIAG_*.
    attributes(&body[SHORT..], |kind, value| match kind {
        0 => {
            interface = u32_at(value, 0);
            info = Some([u32_at(value, 4), u32_at(value, 12), u32_at(value, 20)]);
        }
        5 => uid = u32_at(value, 0),
        6 => memory = words(value),
        _ => {}
    });
    Some(Socket {
        proto,
        state: TcpState::Close,
        ends: Ends::Packet { protocol: u16_at(fixed, 2), interface },
        inode: u32_at(fixed, 4),
        uid,
        recv_q: memory.first().copied().unwrap_or(0),
        send_q: 0,
        timer: Timer::default(),
        cookie: cookie(fixed, 8),
        netns: 0,
        detail: Detail {
            more: Some(Box::new(More { memory, packet: info, ..More::default() })),
            ..Detail::default()
        },
    })
}

fn netlink(body: &[u8]) -> Option<Socket> {
    const CONNECTED: u8 = 1;
    let fixed = body.get(..NETLINK)?;
    let (mut memory, mut groups) = (Vec::new(), 0);
    // NETLINK_DIAG_*.
    attributes(&body[NETLINK..], |kind, value| match kind {
        0 => memory = words(value),
        1 => groups = u64_at(value, 0),
        _ => {}
    });
    let peer = (u8_at(fixed, 3) == CONNECTED).then(|| (u32_at(fixed, 8), u32_at(fixed, 12)));
    Some(Socket {
        proto: Proto::Netlink,
        state: TcpState::Close,
        ends: Ends::Netlink { protocol: fixed[2], port: u32_at(fixed, 4), groups, peer },
        inode: u32_at(fixed, 16),
        uid: 0,
        recv_q: memory.first().copied().unwrap_or(0),
        send_q: memory.get(2).copied().unwrap_or(0),
        timer: Timer::default(),
        cookie: cookie(fixed, 20),
        netns: 0,
        detail: Detail {
            more: Some(Box::new(More { memory, ..More::default() })),
            ..Detail::default()
        },
    })
}

fn cookie(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

fn words(value: &[u8]) -> Vec<u32> {
    value.chunks_exact(4).map(|word| u32_at(word, 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_answers_are_no_sockets() {
        for len in 0..INET {
            assert!(inet(Proto::Tcp, &vec![0; len]).is_none());
        }
        // State 0 is none.
        assert!(inet(Proto::Tcp, &[0; INET]).is_none());
        assert!(unix(&[0; SHORT]).is_none() && unix(&[]).is_none());
        assert!(packet(&[0; 3]).is_none() && netlink(&[0; 27]).is_none());
    }

    #[test]
    fn an_answer_is_read_where_the_kernel_puts_it() {
        let mut body = vec![0; INET];
        body[..4].copy_from_slice(&[libc::AF_INET as u8, 10, 1, 7]);
        body[4..8].copy_from_slice(&[0x1f, 0x90, 0, 0]);
        body[8..12].copy_from_slice(&[127, 0, 0, 1]);
        for (at, word) in [(40, 9_u32), (44, 5), (48, 1), (52, 200), (56, 3), (60, 4)] {
            body[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        body[64..68].copy_from_slice(&33_u32.to_ne_bytes());
        body[68..72].copy_from_slice(&77_u32.to_ne_bytes());
        super::super::push(&mut body, SHUTDOWN, &[2]);
        super::super::push(&mut body, MEMORY, &[1, 0, 0, 0, 2, 0, 0, 0]);
        let socket = inet(Proto::Tcp, &body).unwrap();
        assert_eq!(socket.state, TcpState::Listen);
        let (local, remote) = socket.inet().unwrap();
        assert_eq!((local.addr.to_string(), local.port), ("127.0.0.1".to_owned(), 8080));
        assert_eq!(remote.port, 0);
        assert_eq!((socket.recv_q, socket.send_q, socket.uid, socket.inode), (3, 4, 33, 77));
        assert_eq!(socket.cookie, 5 | 1 << 32);
        assert_eq!(socket.timer, Timer { kind: TimerKind::Retransmit, left: 200, retrans: 7 });
        assert_eq!(socket.detail.shutdown, Some(2));
        assert_eq!(socket.detail.more.unwrap().memory, [1, 2]);
    }
}
