//! Segments of TCP beside the events of sockets: what goes over the line, and what it makes of
//! both ends.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::Event;

/// Something that was seen.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    Event(Event),
    Segment(Segment),
}

impl Moment {
    /// Nanoseconds since boot.
    pub const fn at(&self) -> u64 {
        match self {
            Moment::Event(event) => event.at,
            Moment::Segment(segment) => segment.at,
        }
    }
}

/// A segment of TCP, as it crossed an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Nanoseconds since boot.
    pub at: u64,
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// The letters of tcpdump, without brackets: `S.`, `P.`, `none`.
    pub flags: String,
    pub seq: u32,
    pub ack: u32,
    /// Bytes of payload.
    pub len: u32,
    pub window: u16,
}

impl Segment {
    /// Out of a packet with an Ethernet header; nothing if it is not TCP.
    pub fn read(at: u64, packet: &[u8]) -> Option<Segment> {
        let sliced = LaxSlicedPacket::from_ethernet(packet).ok()?;
        let (source, target): (IpAddr, IpAddr) = match &sliced.net {
            Some(LaxNetSlice::Ipv4(ip)) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into())
            }
            Some(LaxNetSlice::Ipv6(ip)) => {
                let header = ip.header();
                (header.source_addr().into(), header.destination_addr().into())
            }
            _ => return None,
        };
        let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return None };
        let mut flags = String::new();
        // In the order of tcpdump (print-tcp.c).
        for (set, letter) in [
            (tcp.fin(), 'F'),
            (tcp.syn(), 'S'),
            (tcp.rst(), 'R'),
            (tcp.psh(), 'P'),
            (tcp.ack(), '.'),
            (tcp.urg(), 'U'),
            (tcp.ece(), 'E'),
            (tcp.cwr(), 'W'),
        ] {
            if set {
                flags.push(letter);
            }
        }
        if flags.is_empty() {
            flags.push_str("none");
        }
        Some(Segment {
            at,
            from: SocketAddr::new(source, tcp.source_port()),
            to: SocketAddr::new(target, tcp.destination_port()),
            flags,
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            len: u32::try_from(tcp.payload().len()).unwrap_or(0),
            window: tcp.window_size(),
        })
    }

    pub fn has(&self, letter: char) -> bool {
        self.flags != "none" && self.flags.contains(letter)
    }
}

/// The line of a segment as tcpdump writes it with `-nn` and without the time, numbers
/// relative to `first`: the initial sequence numbers of the sender and of its peer.
pub fn tcpdump_line(segment: &Segment, first: (u32, u32), out: &mut String) {
    let end = |address: SocketAddr| format!("{}.{}", address.ip(), address.port());
    let Segment { from, to, flags, len, window, .. } = segment;
    let _ = write!(out, "IP {} > {}: Flags [{flags}]", end(*from), end(*to));
    let seq = segment.seq.wrapping_sub(first.0);
    if segment.has('S') {
        let _ = write!(out, ", seq {}", segment.seq);
    } else if *len > 0 {
        let _ = write!(out, ", seq {seq}:{}", seq.wrapping_add(*len));
    } else if segment.has('F') || segment.has('R') {
        let _ = write!(out, ", seq {seq}");
    }
    if segment.has('.') {
        let ack = match segment.has('S') {
            true => segment.ack,
            false => segment.ack.wrapping_sub(first.1),
        };
        let _ = write!(out, ", ack {ack}");
    }
    let _ = write!(out, ", win {window}, length {len}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_read_and_written_as_tcpdump_does() {
        let builder = etherparse::PacketBuilder::ethernet2([0; 6], [0; 6])
            .ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
            .tcp(40_000, 8080, 1001, 512)
            .psh()
            .ack(2001);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, b"hello").unwrap();
        let segment = Segment::read(5, &bytes).unwrap();
        assert_eq!((segment.flags.as_str(), segment.len), ("P.", 5));
        let mut line = String::new();
        tcpdump_line(&segment, (1000, 2000), &mut line);
        assert_eq!(
            line,
            "IP 127.0.0.1.40000 > 127.0.0.1.8080: Flags [P.], seq 1:6, ack 1, win 512, length 5"
        );
        assert_eq!(Segment::read(0, b"nothing"), None);
    }
}
