//! Packets made byte by byte, and files of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Kinds of link-layer headers.
pub const NULL: u32 = 0;
pub const ETHERNET: u32 = 1;
pub const RAW: u32 = 101;
pub const LOOP: u32 = 108;
pub const SLL: u32 = 113;
pub const SLL2: u32 = 276;

pub const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Packets of one capture, with their times.
#[derive(Clone, Debug)]
pub struct Capture {
    pub name: &'static str,
    pub link_type: u32,
    /// Nanoseconds, bytes on the wire, bytes kept.
    pub packets: Vec<(u64, u32, Vec<u8>)>,
    now: u64,
}

impl Capture {
    pub fn new(name: &'static str, link_type: u32) -> Capture {
        Capture { name, link_type, packets: Vec::new(), now: 1_700_000_000_000_000_000 }
    }

    /// Lets time pass.
    pub fn wait(&mut self, micros: u64) {
        self.now += micros * 1000;
    }

    /// A packet, a little after the last.
    pub fn add(&mut self, bytes: Vec<u8>) {
        self.packets.push((self.now, bytes.len() as u32, bytes));
        self.wait(1_234);
    }

    /// The same packets, each cut after so many bytes.
    pub fn cut(&self, name: &'static str, len: usize) -> Capture {
        let mut cut = self.clone();
        cut.name = name;
        for (_, _, bytes) in &mut cut.packets {
            bytes.truncate(len);
        }
        cut
    }

    /// Writes a classic file with nanoseconds.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut file = Vec::new();
        for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, self.link_type] {
            file.extend(word.to_le_bytes());
        }
        for (time, len, bytes) in &self.packets {
            let second = 1_000_000_000;
            for word in [(time / second) as u32, (time % second) as u32, bytes.len() as u32, *len] {
                file.extend(word.to_le_bytes());
            }
            file.extend(bytes);
        }
        fs::write(path, file).with_context(|| format!("write {}", path.display()))
    }
}

pub fn eth(kind: u16, payload: &[u8]) -> Vec<u8> {
    frame(MAC_A, MAC_B, kind, payload)
}

pub fn frame(from: [u8; 6], to: [u8; 6], kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to[..], &from, &kind.to_be_bytes(), payload].concat()
}

/// The one's complement sum of RFC 1071.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    let bytes = parts.concat();
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// What an IPv4 header can have.
#[derive(Clone, Debug)]
pub struct Ip4 {
    pub from: [u8; 4],
    pub to: [u8; 4],
    pub tos: u8,
    pub id: u16,
    /// Flags and offset.
    pub fragment: u16,
    pub ttl: u8,
    pub options: Vec<u8>,
}

impl Default for Ip4 {
    fn default() -> Ip4 {
        let (from, to) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        Ip4 { from, to, tos: 0, id: 0x1234, fragment: 0x4000, ttl: 64, options: Vec::new() }
    }
}

impl Ip4 {
    pub fn with(&self, proto: u8, payload: &[u8]) -> Vec<u8> {
        let words = 5 + self.options.len() / 4;
        let mut head = vec![0x40 | words as u8, self.tos];
        head.extend(((words * 4 + payload.len()) as u16).to_be_bytes());
        head.extend(self.id.to_be_bytes());
        head.extend(self.fragment.to_be_bytes());
        head.extend([self.ttl, proto, 0, 0]);
        head.extend(self.from);
        head.extend(self.to);
        head.extend(&self.options);
        let sum = checksum(&[&head]);
        head[10..12].copy_from_slice(&sum.to_be_bytes());
        [&head, payload].concat()
    }

    /// The addresses turned around.
    pub fn back(&self) -> Ip4 {
        Ip4 { from: self.to, to: self.from, ..self.clone() }
    }

    pub fn pseudo(&self, proto: u8, len: usize) -> Vec<u8> {
        [&self.from[..], &self.to, &[0, proto], &(len as u16).to_be_bytes()].concat()
    }

    pub fn udp(&self, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let body = udp(from, to, payload, |len| self.pseudo(17, len));
        self.with(17, &body)
    }

    pub fn tcp(&self, tcp: &Tcp) -> Vec<u8> {
        let body = tcp.bytes(|len| self.pseudo(6, len));
        self.with(6, &body)
    }

    pub fn icmp(&self, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
        let mut body = [&[kind, code, 0, 0], rest].concat();
        let sum = checksum(&[&body]);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        self.with(1, &body)
    }

    pub fn igmp(&self, mut body: Vec<u8>) -> Vec<u8> {
        let sum = checksum(&[&body]);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        self.with(2, &body)
    }
}

/// An IPv6 header.
#[derive(Clone, Debug)]
pub struct Ip6 {
    pub from: [u8; 16],
    pub to: [u8; 16],
    pub class: u8,
    pub flow: u32,
    pub hops: u8,
}

pub fn v6(text: &str) -> [u8; 16] {
    text.parse::<std::net::Ipv6Addr>().map_or([0; 16], |addr| addr.octets())
}

impl Default for Ip6 {
    fn default() -> Ip6 {
        let (from, to) = (v6("2001:db8::1"), v6("2001:db8::2"));
        Ip6 { from, to, class: 0, flow: 0x12345, hops: 64 }
    }
}

impl Ip6 {
    pub fn with(&self, next: u8, payload: &[u8]) -> Vec<u8> {
        let first = 6 << 28 | u32::from(self.class) << 20 | self.flow;
        let mut bytes = first.to_be_bytes().to_vec();
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([next, self.hops]);
        bytes.extend(self.from);
        bytes.extend(self.to);
        bytes.extend(payload);
        bytes
    }

    pub fn back(&self) -> Ip6 {
        Ip6 { from: self.to, to: self.from, ..self.clone() }
    }

    pub fn pseudo(&self, next: u8, len: usize) -> Vec<u8> {
        [&self.from[..], &self.to, &(len as u32).to_be_bytes(), &[0, 0, 0, next]].concat()
    }

    pub fn udp(&self, from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
        let body = udp(from, to, payload, |len| self.pseudo(17, len));
        self.with(17, &body)
    }

    pub fn tcp(&self, tcp: &Tcp) -> Vec<u8> {
        let body = tcp.bytes(|len| self.pseudo(6, len));
        self.with(6, &body)
    }

    pub fn icmp(&self, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
        self.with(58, &self.icmp_body(kind, code, rest))
    }

    pub fn icmp_body(&self, kind: u8, code: u8, rest: &[u8]) -> Vec<u8> {
        let mut body = [&[kind, code, 0, 0], rest].concat();
        let sum = checksum(&[&self.pseudo(58, body.len()), &body]);
        body[2..4].copy_from_slice(&sum.to_be_bytes());
        body
    }
}

fn udp(from: u16, to: u16, payload: &[u8], pseudo: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let len = 8 + payload.len();
    let ports = [from.to_be_bytes(), to.to_be_bytes(), (len as u16).to_be_bytes(), [0, 0]].concat();
    let mut body = [&ports, payload].concat();
    let sum = checksum(&[&pseudo(len), &body]);
    body[6..8].copy_from_slice(&sum.to_be_bytes());
    body
}

pub const FIN: u16 = 1;
pub const SYN: u16 = 2;
pub const RST: u16 = 4;
pub const PSH: u16 = 8;
pub const ACK: u16 = 16;
pub const URG: u16 = 32;

/// A segment.
#[derive(Clone, Debug, Default)]
pub struct Tcp {
    pub from: u16,
    pub to: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u16,
    pub window: u16,
    pub urgent: u16,
    pub options: Vec<u8>,
    pub payload: Vec<u8>,
}

impl Tcp {
    fn bytes(&self, pseudo: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 0);
        let words = 5 + options.len() / 4;
        let mut bytes = [self.from.to_be_bytes(), self.to.to_be_bytes()].concat();
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend(((words as u16) << 12 | self.flags).to_be_bytes());
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.urgent.to_be_bytes());
        bytes.extend(options);
        bytes.extend(&self.payload);
        let sum = checksum(&[&pseudo(bytes.len()), &bytes]);
        bytes[16..18].copy_from_slice(&sum.to_be_bytes());
        bytes
    }
}

/// A connection, whose segments are told by numbers relative to its begin.
#[derive(Clone, Debug)]
pub struct Flow {
    pub ip: Ip4,
    pub client: u16,
    pub server: u16,
    pub client_begin: u32,
    pub server_begin: u32,
    pub window: u16,
}

impl Flow {
    pub fn new(client: u16, server: u16) -> Flow {
        Flow {
            ip: Ip4::default(),
            client,
            server,
            client_begin: 1_000_000,
            server_begin: 0xffff_fff0,
            window: 502,
        }
    }

    /// From the client.
    pub fn out(&self, flags: u16, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
        self.out_with(flags, seq, ack, payload, self.window, &[])
    }

    pub fn out_with(
        &self,
        flags: u16,
        seq: u32,
        ack: u32,
        payload: &[u8],
        window: u16,
        options: &[u8],
    ) -> Vec<u8> {
        let has_ack = flags & ACK != 0;
        eth(
            0x0800,
            &self.ip.tcp(&Tcp {
                from: self.client,
                to: self.server,
                seq: self.client_begin.wrapping_add(seq),
                ack: if has_ack { self.server_begin.wrapping_add(ack) } else { 0 },
                flags,
                window,
                urgent: 0,
                options: options.to_vec(),
                payload: payload.to_vec(),
            }),
        )
    }

    /// From the server.
    pub fn back(&self, flags: u16, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
        self.back_with(flags, seq, ack, payload, self.window, &[])
    }

    pub fn back_with(
        &self,
        flags: u16,
        seq: u32,
        ack: u32,
        payload: &[u8],
        window: u16,
        options: &[u8],
    ) -> Vec<u8> {
        let has_ack = flags & ACK != 0;
        let segment = Tcp {
            from: self.server,
            to: self.client,
            seq: self.server_begin.wrapping_add(seq),
            ack: if has_ack { self.client_begin.wrapping_add(ack) } else { 0 },
            flags,
            window,
            urgent: 0,
            options: options.to_vec(),
            payload: payload.to_vec(),
        };
        frame(MAC_B, MAC_A, 0x0800, &self.ip.back().tcp(&segment))
    }

    /// The three segments that begin it.
    pub fn open(&self, capture: &mut Capture) {
        self.open_with(capture, &SYN_OPTIONS);
    }

    pub fn open_with(&self, capture: &mut Capture, options: &[u8]) {
        capture.add(self.out_with(SYN, 0, 0, &[], 64240, options));
        capture.add(self.back_with(SYN | ACK, 0, 1, &[], 65160, options));
        capture.add(self.out(ACK, 1, 1, &[]));
    }
}

/// What Linux sends: MSS, SACK, time stamps, window scale.
pub const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 1, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7];
