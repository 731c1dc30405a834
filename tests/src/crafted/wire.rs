//! Headers around payloads.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use etherparse::checksum::Sum16BitWords;

pub const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const MAC_B: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x35, 2];
pub const A4: [u8; 4] = [192, 0, 2, 1];
pub const B4: [u8; 4] = [198, 51, 100, 7];

pub fn a6() -> [u8; 16] {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets()
}

pub fn b6() -> [u8; 16] {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0xa8bb, 0xccff, 0xfedd, 0xee01).octets()
}

pub fn be16(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

pub fn be32(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// The checksum of the internet (RFC 1071).
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = Sum16BitWords::new();
    let (words, rest) = bytes.as_chunks::<2>();
    for word in words {
        sum = sum.add_2bytes(*word);
    }
    if let [last] = rest {
        sum = sum.add_2bytes([*last, 0]);
    }
    u16::from_be(sum.ones_complement())
}

/// Sets the checksum of all of these bytes at this place of them.
pub fn summed(mut bytes: Vec<u8>, at: usize) -> Vec<u8> {
    bytes[at..at + 2].fill(0);
    let sum = checksum(&bytes).to_be_bytes();
    bytes[at..at + 2].copy_from_slice(&sum);
    bytes
}

pub fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&MAC_B[..], &MAC_A, &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 header.
#[derive(Clone)]
pub struct Ip4 {
    pub tos: u8,
    pub id: u16,
    /// Flags and offset.
    pub fragment: u16,
    pub ttl: u8,
    pub proto: u8,
    pub source: [u8; 4],
    pub target: [u8; 4],
    pub options: Vec<u8>,
}

impl Ip4 {
    pub fn new(proto: u8) -> Ip4 {
        let (source, target) = (A4, B4);
        Ip4 { tos: 0, id: 4711, fragment: 0x4000, ttl: 64, proto, source, target, options: vec![] }
    }

    pub fn around(&self, payload: &[u8]) -> Vec<u8> {
        let header = 20 + self.options.len();
        let mut bytes = vec![0x40 | (header / 4) as u8, self.tos];
        bytes.extend(be16(&[(header + payload.len()) as u16, self.id, self.fragment]));
        bytes.extend([self.ttl, self.proto, 0, 0]);
        bytes.extend([self.source, self.target].concat());
        bytes.extend(&self.options);
        let mut bytes = summed(bytes, 10);
        bytes.extend(payload);
        bytes
    }

    pub fn on_ethernet(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(0x0800, &self.around(payload))
    }
}

/// An IPv6 header.
#[derive(Clone)]
pub struct Ip6 {
    pub class: u8,
    pub label: u32,
    pub next: u8,
    pub hops: u8,
    pub source: [u8; 16],
    pub target: [u8; 16],
}

impl Ip6 {
    pub fn new(next: u8) -> Ip6 {
        Ip6 { class: 0, label: 0, next, hops: 64, source: a6(), target: b6() }
    }

    pub fn around(&self, payload: &[u8]) -> Vec<u8> {
        let first = 6 << 28 | u32::from(self.class) << 20 | self.label;
        let mut bytes = be32(&[first]);
        bytes.extend(be16(&[payload.len() as u16]));
        bytes.extend([self.next, self.hops]);
        bytes.extend([self.source, self.target].concat());
        bytes.extend(payload);
        bytes
    }

    pub fn on_ethernet(&self, payload: &[u8]) -> Vec<u8> {
        ethernet(0x86dd, &self.around(payload))
    }

    /// With the checksum of ICMPv6, TCP or UDP at this place of the payload.
    pub fn summed(&self, mut payload: Vec<u8>, at: usize) -> Vec<u8> {
        payload[at..at + 2].fill(0);
        let mut all = [self.source, self.target].concat();
        all.extend(be32(&[payload.len() as u32, self.next.into()]));
        all.extend(&payload);
        payload[at..at + 2].copy_from_slice(&checksum(&all).to_be_bytes());
        self.on_ethernet(&payload)
    }
}

/// A datagram on Ethernet.
pub fn udp4(source: u16, target: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv4(A4, B4, 64)
        .udp(source, target)
        .write(&mut bytes, payload)
        .expect("a datagram fits into memory");
    bytes
}

pub fn udp6(source: u16, target: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2(MAC_A, MAC_B)
        .ipv6(a6(), b6(), 64)
        .udp(source, target)
        .write(&mut bytes, payload)
        .expect("a datagram fits into memory");
    bytes
}

/// A segment.
#[derive(Clone)]
pub struct Segment {
    pub ports: (u16, u16),
    pub seq: u32,
    pub ack: u32,
    /// All twelve bits beside the length of the header.
    pub flags: u16,
    pub window: u16,
    pub urgent: u16,
    /// Filled up with zeros to words of 4 bytes.
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

pub const FIN: u16 = 1;
pub const SYN: u16 = 2;
pub const RST: u16 = 4;
pub const PSH: u16 = 8;
pub const ACK: u16 = 16;

impl Segment {
    pub fn bytes(&self, source: &[u8], target: &[u8]) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4).min(40), 0);
        let words = 5 + options.len() as u16 / 4;
        let mut bytes = be16(&[self.ports.0, self.ports.1]);
        bytes.extend(be32(&[self.seq, self.ack]));
        bytes.extend(be16(&[words << 12 | self.flags, self.window, 0, self.urgent]));
        bytes.extend(options);
        bytes.extend(&self.payload);
        let mut all = [source, target].concat();
        all.extend(be32(&[bytes.len() as u32, 6]));
        all.extend(&bytes);
        let sum = checksum(&all).to_be_bytes();
        bytes[16..18].copy_from_slice(&sum);
        bytes
    }

    /// From A to B if its first port is the larger one, else back.
    pub fn on_ethernet(&self) -> Vec<u8> {
        let mut ip = Ip4::new(6);
        if self.ports.0 < self.ports.1 {
            std::mem::swap(&mut ip.source, &mut ip.target);
        }
        let bytes = self.bytes(&ip.source, &ip.target);
        ip.on_ethernet(&bytes)
    }

    pub fn on_ethernet6(&self) -> Vec<u8> {
        let mut ip = Ip6::new(6);
        if self.ports.0 < self.ports.1 {
            std::mem::swap(&mut ip.source, &mut ip.target);
        }
        let bytes = self.bytes(&ip.source, &ip.target);
        ip.on_ethernet(&bytes)
    }
}

/// A segment of a connection from port 46712 to port 8080.
pub fn segment(flags: u16, seq: u32, ack: u32, payload: &[u8]) -> Segment {
    Segment {
        ports: (46_712, 8080),
        seq,
        ack,
        flags,
        window: 512,
        urgent: 0,
        options: Vec::new(),
        payload: payload.to_vec(),
    }
}

pub fn address(text: &str) -> [u8; 4] {
    text.parse::<Ipv4Addr>().expect("an address in a test").octets()
}

pub fn address6(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().expect("an address in a test").octets()
}

/// Numbers that look random and are the same each time (Marsaglia's xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
