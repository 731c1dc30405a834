//! Bytes of a packet into a segment. Any bytes may come.

use std::net::{IpAddr, SocketAddr};

use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::flow::Segment;
use crate::packet::link_type;

/// The TCP segment in a packet with such a link-layer header; nothing if there is none, or
/// if it is a fragment. The length of the payload is that of the IP header: packets are
/// captured without all of it.
pub fn segment(at: u64, kind: u16, packet: &[u8]) -> Option<Segment> {
    let sliced = match kind {
        link_type::ETHERNET => LaxSlicedPacket::from_ethernet(packet).ok()?,
        link_type::RAW => LaxSlicedPacket::from_ip(packet).ok()?,
        _ => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { return None };
    let (from, to, behind): (IpAddr, IpAddr, usize) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) if !ip.is_payload_fragmented() => {
            let header = ip.header();
            let behind = usize::from(header.total_len()).saturating_sub(header.slice().len());
            (header.source_addr().into(), header.destination_addr().into(), behind)
        }
        Some(LaxNetSlice::Ipv6(ip)) if !ip.is_payload_fragmented() => {
            let header = ip.header();
            let extensions = ip.extensions().slice().len();
            let behind = usize::from(header.payload_length()).saturating_sub(extensions);
            (header.source_addr().into(), header.destination_addr().into(), behind)
        }
        _ => return None,
    };
    let len = match behind {
        // A length that does not fit its field: then all of the packet is its payload.
        0 => tcp.payload().len(),
        behind => behind.saturating_sub(usize::from(tcp.data_offset()) * 4),
    };
    Some(Segment {
        at,
        from: SocketAddr::new(from, tcp.source_port()),
        to: SocketAddr::new(to, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        len: u32::try_from(len).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    #[test]
    fn a_cut_packet_has_the_length_that_it_had() {
        let builder = PacketBuilder::ethernet2([0; 6], [0; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .tcp(1000, 2000, 7, 99)
            .ack(5)
            .fin();
        let mut packet = Vec::new();
        builder.write(&mut packet, &[1; 700]).unwrap();
        let whole = segment(1, link_type::ETHERNET, &packet).unwrap();
        assert_eq!((whole.seq, whole.ack, whole.len, whole.fin), (7, Some(5), 700, true));
        assert_eq!(segment(1, link_type::ETHERNET, &packet[..96]), Some(whole));
        assert_eq!(segment(1, link_type::RAW, &packet[14..80]), Some(whole));
        // Whatever comes, it does not panic.
        for len in 0..packet.len().min(80) {
            segment(1, link_type::ETHERNET, &packet[..len]);
            segment(1, link_type::RAW, &packet[..len]);
        }
        for at in 0..80 {
            let mut wrong = packet.clone();
            wrong[at] ^= 0xff;
            segment(1, link_type::ETHERNET, &wrong);
        }
    }
}
