//! A plain line for each packet: when, where, which way, its ends, what it is, whose.

use std::fmt::Write as _;
use std::net::IpAddr;

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use jiff::tz::TimeZone;

use crate::event::Owner;
use crate::event::packet::{Direction, Packet};
use crate::packet::link_type;

/// Appends the line of a packet.
pub fn write(packet: &Packet, out: &mut Vec<u8>) {
    let mut line = String::with_capacity(128);
    time(packet.wall, &mut line);
    let interface = packet.interface.as_ref().map_or("?", |interface| &interface.name);
    let way = match packet.direction {
        Direction::In => "in ",
        Direction::Out => "out",
        Direction::Unknown => "?  ",
    };
    let _ = write!(line, " {interface} {way} ");
    what(packet, &mut line);
    let _ = write!(line, " length {}  ", packet.len);
    whose(packet, &mut line);
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

/// The day's clock, with nanoseconds.
fn time(wall: i128, line: &mut String) {
    match jiff::Timestamp::from_nanosecond(wall) {
        Ok(time) => {
            let time = time.to_zoned(TimeZone::system());
            let _ = write!(
                line,
                "{:02}:{:02}:{:02}.{:09}",
                time.hour(),
                time.minute(),
                time.second(),
                time.subsec_nanosecond()
            );
        }
        Err(_) => {
            let _ = write!(line, "{wall}");
        }
    }
}

/// The ends and the protocol.
fn what(packet: &Packet, line: &mut String) {
    let raw = packet.interface.as_ref().is_some_and(|one| one.link_type == link_type::RAW);
    let sliced = if raw {
        LaxSlicedPacket::from_ip(&packet.data).ok()
    } else {
        LaxSlicedPacket::from_ethernet(&packet.data).ok()
    };
    let Some(sliced) = sliced else {
        line.push_str("too short to read");
        return;
    };
    let ends: Option<(IpAddr, IpAddr)> = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            Some((header.source_addr().into(), header.destination_addr().into()))
        }
        Some(LaxNetSlice::Arp(_)) => {
            line.push_str("arp");
            return;
        }
        _ => None,
    };
    let Some((source, target)) = ends else {
        line.push_str("not IP");
        return;
    };
    let end = |line: &mut String, addr: IpAddr, port: u16| {
        let _ = write!(line, "{}", std::net::SocketAddr::new(addr, port));
    };
    match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            end(line, source, tcp.source_port());
            line.push_str(" > ");
            end(line, target, tcp.destination_port());
            line.push_str(" tcp [");
            let flags = [
                (tcp.syn(), 'S'),
                (tcp.fin(), 'F'),
                (tcp.rst(), 'R'),
                (tcp.psh(), 'P'),
                (tcp.ack(), '.'),
            ];
            line.extend(flags.iter().filter(|(set, _)| *set).map(|(_, letter)| letter));
            line.push(']');
        }
        Some(TransportSlice::Udp(udp)) => {
            end(line, source, udp.source_port());
            line.push_str(" > ");
            end(line, target, udp.destination_port());
            line.push_str(" udp");
        }
        other => {
            let name = match other {
                Some(TransportSlice::Icmpv4(_)) => "icmp",
                Some(TransportSlice::Icmpv6(_)) => "icmp6",
                _ => "ip",
            };
            let _ = write!(line, "{source} > {target} {name}");
        }
    }
}

/// The owners.
fn whose(packet: &Packet, line: &mut String) {
    match &packet.owner {
        Some(own) => owner(own, line),
        None => line.push_str(if packet.kernel { "kernel" } else { "-" }),
    }
    if let Some(peer) = &packet.peer {
        line.push_str(" > ");
        match &peer.owner {
            Some(other) => owner(other, line),
            None => line.push('-'),
        }
    }
}

/// A process; its name is its own to choose, and may do harm to a terminal.
fn owner(owner: &Owner, line: &mut String) {
    let name = String::from_utf8_lossy(owner.comm.bytes());
    line.extend(name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
    let _ = write!(line, "[{}]", owner.pid);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::packet::{Interface, Party};
    use crate::event::{Comm, How};
    use std::sync::Arc;

    fn packet(link_type: u16, data: &[u8]) -> Packet {
        let interface = Interface { index: 1, name: "lo".into(), link_type, snap_len: 0 };
        Packet {
            wall: 1,
            interface: Some(Arc::new(interface)),
            direction: Direction::Out,
            len: 60,
            data: data.to_vec().into(),
            socket: None,
            state: None,
            owner: None,
            cgroup: None,
            peer: None,
            kernel: false,
        }
    }

    fn line(packet: &Packet) -> String {
        let mut out = Vec::new();
        write(packet, &mut out);
        let line = String::from_utf8(out).unwrap();
        line.split_once(" lo ").unwrap().1.to_owned()
    }

    #[test]
    fn a_line_tells_whose_a_packet_is() {
        let mut udp = Vec::new();
        etherparse::PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 2], 64)
            .udp(1000, 53)
            .write(&mut udp, b"x")
            .unwrap();
        let owner = |name: &str, pid| Owner {
            pid,
            comm: Comm::from_name(name),
            exe: None,
            uid: 0,
            how: How::Connect,
        };
        let mut packet = packet(101, &udp);
        assert_eq!(line(&packet), "out 127.0.0.1:1000 > 127.0.0.2:53 udp length 60  -\n");
        packet.kernel = true;
        assert!(line(&packet).ends_with("  kernel\n"));
        packet.owner = Some(owner("di\x1bg", 7));
        packet.peer = Some(Box::new(Party { owner: Some(owner("named", 8)), ..Party::default() }));
        assert!(line(&packet).ends_with("  di\u{fffd}g[7] > named[8]\n"));
    }

    #[test]
    fn any_bytes_make_a_line() {
        for len in 0..64 {
            for byte in [0, 0x45, 0x60, 0xff] {
                let bytes = vec![byte; len];
                for link_type in [1, 101] {
                    assert!(line(&packet(link_type, &bytes)).ends_with('\n'));
                }
            }
        }
    }
}
