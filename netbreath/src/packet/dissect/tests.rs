//! Any bytes: no panic, an end, and a bounded tree.

use super::{Dissector, MOST_NODES, Meta, Want};
use crate::packet::link_type;

fn meta(number: u64, link_type: u16, data: &[u8], more: u32) -> Meta<'_> {
    Meta {
        number,
        time: number as i64 * 1_000,
        first: 1_000,
        before: 0,
        shown: 0,
        len: data.len() as u32 + more,
        data,
        link_type,
        interface: None,
        direction: 0,
        owner: None,
        peer: None,
        socket_state: None,
    }
}

struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Packets of each protocol, to be broken.
fn whole() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let eth = || etherparse::PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let four = || eth().ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64);
    let mut dns = vec![0, 1, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 1, 1, b'a', 0, 0, 1, 0, 1];
    dns.extend([
        0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4, 0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0,
    ]);
    let mut dhcp = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    dhcp.resize(236, 0);
    dhcp.extend([99, 130, 83, 99, 53, 1, 1, 55, 2, 1, 3, 51, 4, 0, 0, 0, 9, 255]);
    let mut hello = vec![22, 3, 1, 0, 60, 1, 0, 0, 56, 3, 3];
    hello.extend([7; 32]);
    hello
        .extend([0, 0, 2, 0x13, 1, 1, 0, 0, 13, 0, 0, 0, 9, 0, 7, 0, 0, 4, b'h', b'o', b's', b't']);
    let mut vxlan = vec![8, 0, 0, 0, 0, 0, 42, 0];
    four().udp(1, 53).write(&mut vxlan, &dns).unwrap();
    let mut quic = vec![0xc0, 0, 0, 0, 1, 4, 1, 2, 3, 4, 0];
    quic.extend([0; 30]);
    for (port, body) in [
        (53, dns.clone()),
        (5353, dns.clone()),
        (67, dhcp),
        (123, vec![0x23; 48]),
        (4789, vxlan),
        (443, quic),
    ] {
        let mut packet = Vec::new();
        four().udp(9, port).write(&mut packet, &body).unwrap();
        all.push(packet);
    }
    let get = b"GET /x?a=b HTTP/1.1\r\nHost: h\r\nCookie: a=b; c\r\nContent-Length: 3\r\n\r\nabc"
        .to_vec();
    let ok =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\na\nb\n".to_vec();
    for (port, body) in [(80, get), (80, ok), (443, hello), (9, b"x".to_vec()), (53, dns)] {
        let mut packet = Vec::new();
        four().tcp(9, port, 1, 100).write(&mut packet, &body).unwrap();
        all.push(packet);
    }
    for kind in [0_u8, 3, 5, 8, 11, 12, 13] {
        let mut packet = Vec::new();
        let inner = all[0][14..].to_vec();
        four().icmpv4_raw(kind, 0, [0; 4]).write(&mut packet, &inner).unwrap();
        all.push(packet);
    }
    let six = || eth().ipv6([1; 16], [2; 16], 64);
    for kind in [1_u8, 2, 128, 129, 130, 133, 134, 135, 136, 143] {
        let mut packet = Vec::new();
        six().icmpv6_raw(kind, 0, [0; 4]).write(&mut packet, &[1; 60]).unwrap();
        all.push(packet);
    }
    for next in [0_u8, 2, 4, 43, 44, 47, 60] {
        let mut packet = Vec::new();
        six().udp(1, 2).write(&mut packet, &[3; 50]).unwrap();
        packet[20] = next;
        all.push(packet);
    }
    all
}

#[test]
fn any_bytes_are_taken_apart() {
    let want = Want { fields: true, labels: true, columns: true };
    let mut dissector = Dissector::new(want);
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let links = [
        link_type::ETHERNET,
        link_type::NULL,
        link_type::LOOP,
        link_type::RAW,
        link_type::SLL,
        link_type::SLL2,
        999,
    ];
    let mut number = 0;
    let mut text = String::new();
    let mut look = |link: u16, bytes: &[u8], more: u32| {
        number += 1;
        dissector.dissect(&meta(number, link, bytes, more));
        assert!(dissector.tree.nodes.len() <= MOST_NODES);
        for node in &dissector.tree.nodes {
            text.clear();
            dissector.tree.label(node, bytes, &mut text);
            dissector.tree.show(node, bytes, &mut text);
        }
    };
    for _ in 0..3_000 {
        let len = (dice.next() % 120) as usize;
        let bytes: Vec<u8> = (0..len).map(|_| dice.next() as u8).collect();
        let link = links[(dice.next() % links.len() as u64) as usize];
        look(link, &bytes, (dice.next() % 3) as u32 * 40);
    }
    for packet in whole() {
        for cut in 0..packet.len() {
            look(link_type::ETHERNET, &packet[..cut], (packet.len() - cut) as u32);
            look(link_type::ETHERNET, &packet[..cut], 0);
        }
        for _ in 0..400 {
            let mut broken = packet.clone();
            for _ in 0..=dice.next() % 4 {
                let at = (dice.next() % broken.len() as u64) as usize;
                broken[at] = dice.next() as u8;
            }
            look(link_type::ETHERNET, &broken, 0);
        }
    }
}
