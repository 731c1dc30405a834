//! Sockets as `/proc/net` lists them (man 5 proc), for kinds that a kernel's sock_diag does
//! not know: its modules are often left out, or may not be loaded.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netbreath_common::tcp::TcpState;

use crate::event::{Endpoint, Family};
use crate::table::socket::{Detail, Ends, Proto, Socket, Timer, TimerKind};

/// The Internet sockets of a kind and family that are in one of `states`; none where the
/// kernel has no such table.
pub fn inet(proto: Proto, family: Family, states: u32) -> Vec<Socket> {
    let name = match proto {
        Proto::Udp => "udp",
        Proto::UdpLite => "udplite",
        Proto::Raw => "raw",
        Proto::Tcp => "tcp",
        _ => return Vec::new(),
    };
    let six = if family == Family::V6 { "6" } else { "" };
    rows(&format!("{name}{six}"), |words| line(proto, words))
        .into_iter()
        .filter(|row| states & row.state.bit() != 0)
        .collect()
}

/// `sk RefCnt Type Proto Iface R Rmem User Inode`.
pub fn packet() -> Vec<Socket> {
    rows("packet", |words| {
        let number = |at: usize| words.get(at)?.parse::<u32>().ok();
        let proto = match number(2)? {
            2 => Proto::PacketDgram,
            _ => Proto::PacketRaw,
        };
        let protocol = u16::from_str_radix(words.get(3)?, 16).ok()?;
        let ends = Ends::Packet { protocol, interface: number(4)? };
        Some(Socket { recv_q: number(6)?, uid: number(7)?, ..bare(proto, ends, number(8)?) })
    })
}

/// `sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode`.
pub fn netlink() -> Vec<Socket> {
    rows("netlink", |words| {
        let number = |at: usize| words.get(at)?.parse::<u32>().ok();
        let ends = Ends::Netlink {
            protocol: u8::try_from(number(1)?).ok()?,
            port: number(2)?,
            groups: u64::from_str_radix(words.get(3)?, 16).ok()?,
            peer: None,
        };
        let (recv_q, send_q) = (number(4)?, number(5)?);
        Some(Socket { recv_q, send_q, ..bare(Proto::Netlink, ends, number(9)?) })
    })
}

fn rows(name: &str, read: impl Fn(&[&str]) -> Option<Socket>) -> Vec<Socket> {
    let text = std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let lines = text.lines().skip(1);
    lines.filter_map(|line| read(&line.split_whitespace().collect::<Vec<_>>())).collect()
}

/// A socket of which nothing more is known.
pub fn bare(proto: Proto, ends: Ends, inode: u32) -> Socket {
    Socket {
        proto,
        state: TcpState::Close,
        ends,
        inode,
        uid: 0,
        recv_q: 0,
        send_q: 0,
        timer: Timer::default(),
        cookie: 0,
        netns: 0,
        detail: Detail::default(),
    }
}

/// `sl local remote st tx:rx tr:when retrnsmt uid timeout inode …`.
fn line(proto: Proto, words: &[&str]) -> Option<Socket> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let pair = |at: usize| {
        let (a, b) = words.get(at)?.split_once(':')?;
        Some((hex(a)?, hex(b)?))
    };
    let (send_q, recv_q) = pair(4)?;
    let (timer, ticks) = pair(5)?;
    // The clock of /proc has a hundred ticks a second.
    let left = ticks.saturating_mul(10);
    let ends = Ends::Inet { local: end(words.get(1)?)?, remote: end(words.get(2)?)?, interface: 0 };
    Some(Socket {
        state: TcpState::from_kernel(u8::try_from(hex(words.get(3)?)?).ok()?)?,
        uid: words.get(7)?.parse().ok()?,
        recv_q,
        send_q,
        timer: Timer {
            kind: TimerKind::from_kernel(u8::try_from(timer).unwrap_or(u8::MAX)),
            left,
            retrans: u8::try_from(hex(words.get(6)?)?).unwrap_or(u8::MAX),
        },
        ..bare(proto, ends, words.get(9)?.parse().ok()?)
    })
}

/// `0100007F:1F90`: 32-bit words in the machine's order, the port as a number.
fn end(text: &str) -> Option<Endpoint> {
    let (addr, port) = text.split_once(':')?;
    let word = |at: usize| {
        let word = u32::from_str_radix(addr.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    let addr = match addr.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (place, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(place)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(Endpoint { addr, port: u16::from_str_radix(port, 16).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_where_the_kernel_puts_it() {
        let words: Vec<&str> = "189: 0100007F:1F90 00000000:0000 0A 00000000:00000002 \
            01:00000014 00000003 33 0 8162594 2 0 0"
            .split_whitespace()
            .collect();
        let socket = line(Proto::Tcp, &words).unwrap();
        let (local, remote) = socket.inet().unwrap();
        if cfg!(target_endian = "little") {
            assert_eq!(local.to_string(), "127.0.0.1:8080");
        }
        assert_eq!(remote.port, 0);
        assert_eq!(socket.state, TcpState::Listen);
        assert_eq!((socket.recv_q, socket.uid, socket.inode), (2, 33, 8162594));
        assert_eq!(socket.timer.left, 200);
        assert_eq!(socket.timer.retrans, 3);
        assert!(line(Proto::Tcp, &words[..8]).is_none());
        assert!(end("00:1").is_none() && end("zz").is_none());
    }
}
