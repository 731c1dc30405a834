//! What any bytes become: a line, and nothing that steers a terminal.

use std::sync::Arc;

use etherparse::PacketBuilder;

use super::*;
use crate::event::packet::{Direction, Interface, Packet, Party};
use crate::event::{Comm, How, Owner};

fn packet(link_type: u16, data: &[u8], len: u32) -> Packet {
    let interface = Interface { index: 1, name: "lo".into(), link_type, snap_len: 0 };
    Packet {
        wall: 1_000_000_000,
        interface: Some(Arc::new(interface)),
        direction: Direction::Out,
        len,
        data: data.to_vec().into(),
        socket: None,
        state: None,
        owner: None,
        cgroup: None,
        peer: None,
        kernel: false,
    }
}

fn style(number: u64) -> Style {
    Style {
        link: number & 1 != 0,
        verbose: (number >> 1 & 3) as u8,
        quiet: number >> 3 & 7 == 7,
        absolute: number & 64 != 0,
        owners: number & 128 != 0,
        dump: [Dump::None, Dump::Hex, Dump::HexAndText, Dump::Text][(number >> 8 & 3) as usize],
        ..Style::default()
    }
}

fn line(style: Style, packet: &Packet) -> String {
    let mut printer = Printer::new(Style { times: Times::None, ..style }, None);
    printer.print(packet);
    String::from_utf8(std::mem::take(printer.output())).unwrap()
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// A packet for each printer, with a payload that it takes for its own.
fn samples() -> Vec<Vec<u8>> {
    let payload: Vec<u8> = (0..120_u8).collect();
    let mut all = Vec::new();
    let mut add = |build: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        build(&mut bytes);
        all.push(bytes);
    };
    let ether = || PacketBuilder::ethernet2([2; 6], [4; 6]);
    for port in [53, 67, 123, 443, 4789, 5353, 9999] {
        add(&|out| {
            ether().ipv4([10; 4], [11; 4], 64).udp(40_000, port).write(out, &payload).unwrap();
        });
        add(&|out| {
            ether().ipv6([1; 16], [2; 16], 64).udp(port, 40_000).write(out, &payload).unwrap();
        });
    }
    for port in [53, 80, 8080, 9999] {
        for options in
            [&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2][..], &[30, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            add(&|out| {
                let tcp = ether().ipv4([10; 4], [11; 4], 64).tcp(40_000, port, 1, 2).syn().ack(3);
                tcp.options_raw(options).unwrap().write(out, b"GET / HTTP/1.1\r\n\r\n").unwrap();
            });
        }
    }
    for kind in [0, 3, 5, 9, 11, 12, 14] {
        add(&|out| {
            let icmp = ether().ipv4([10; 4], [11; 4], 64).icmpv4_raw(kind, 3, [0; 4]);
            icmp.write(out, &payload).unwrap();
        });
    }
    for kind in [1, 2, 3, 4, 128, 130, 131, 133, 134, 135, 136, 137, 143] {
        add(&|out| {
            let icmp = ether().ipv6([1; 16], [2; 16], 255).icmpv6_raw(kind, 4, [0; 4]);
            icmp.write(out, &payload).unwrap();
        });
    }
    // Other protocols behind IPv4 and IPv6: extension headers, tunnels, groups.
    for proto in [0, 2, 4, 41, 43, 44, 47, 50, 51, 60, 143] {
        for six in [false, true] {
            add(&|out| {
                if six {
                    ether().ipv6([1; 16], [2; 16], 1).udp(1, 2).write(out, &payload).unwrap();
                    out[20] = proto;
                } else {
                    ether().ipv4([10; 4], [11; 4], 1).udp(1, 2).write(out, &payload).unwrap();
                    out[23] = proto;
                }
            });
        }
    }
    for kind in [[8, 6], [0x81, 0], [0x88, 0xa8], [0, 40], [0x12, 0x34]] {
        all.push([&[2; 12][..], &kind, &payload].concat());
    }
    all
}

/// Every sample whole, cut everywhere, and with bytes changed.
#[test]
fn any_bytes_become_lines_without_control_characters() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let samples = samples();
    let mut lines = 0;
    let mut check = |number: u64, link_type: u16, data: &[u8], len: usize| {
        let text = line(style(number), &packet(link_type, data, len as u32));
        assert!(text.ends_with('\n'), "{text:?}");
        let plain = |c: char| matches!(c, '\n' | '\t' | ' '..='~');
        assert!(text.chars().all(plain), "{text:?}");
        lines += 1;
    };
    for sample in &samples {
        for len in 1..sample.len() {
            check(random.next(), 1, &sample[..len], sample.len());
        }
    }
    for _ in 0..60_000 {
        let number = random.next();
        let mut data = samples[random.next() as usize % samples.len()].clone();
        for _ in 0..1 + random.next() % 6 {
            let at = random.next() as usize % data.len();
            data[at] = random.next() as u8;
        }
        let len = data.len();
        if number & (1 << 20) != 0 {
            data.truncate(1 + random.next() as usize % len);
        }
        check(number, 1, &data, len);
    }
    for _ in 0..20_000 {
        let number = random.next();
        let data: Vec<u8> = (0..1 + number % 90).map(|_| random.next() as u8).collect();
        let kind = [0, 1, 101, 108, 113, 276, 999][(number >> 30) as usize % 7];
        check(number, kind, &data, data.len() + (number >> 50) as usize % 9);
    }
    assert!(lines > 80_000);
}

#[test]
fn impossible_lengths_are_said() {
    let text = |data: &[u8], len| line(Style::default(), &packet(1, data, len));
    assert_eq!(text(&[], 0), "[Invalid header: caplen==0, len==0]\n");
    assert_eq!(text(&[1, 2], 1), "[Invalid header: len(1) < caplen(2)]\n");
    assert_eq!(text(&[1], 300_000), "[Invalid header: len(300000) > 262144]\n");
}

#[test]
fn headers_in_headers_end() {
    let mut data = Vec::new();
    for _ in 0..3000 {
        data.extend([0x45, 0, 0xff, 0xff, 0, 0, 0, 0, 9, 4, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    }
    let text = line(Style::default(), &packet(101, &data, data.len() as u32));
    assert!(text.ends_with("[too many headers]\n"));
}

#[test]
fn owners_stand_before_the_packet_in_the_words_of_each_system() {
    let owner = |name: &str, pid| Owner {
        pid,
        comm: Comm::from_name(name),
        exe: None,
        uid: 0,
        how: How::Connect,
    };
    let mut udp = Vec::new();
    PacketBuilder::ipv4([127, 0, 0, 1], [127, 0, 0, 2], 64)
        .udp(1, 9)
        .write(&mut udp, b"x")
        .unwrap();
    let mut packet = packet(101, &udp, udp.len() as u32);
    let with = |dialect| Style { owners: true, dialect, ..Style::default() };
    let ours = |packet: &Packet| line(with(Dialect::Linux), packet);
    assert!(ours(&packet).starts_with("(lo, proc -, out) IP "));
    packet.kernel = true;
    assert!(ours(&packet).starts_with("(lo, kernel, out) IP "));
    packet.owner = Some(owner("di\x1bg", 7));
    assert!(ours(&packet).starts_with("(lo, proc di^[g[7], out) IP "));
    packet.peer = Some(Box::new(Party { owner: Some(owner("named", 8)), ..Party::default() }));
    assert!(ours(&packet).starts_with("(lo, proc di^[g[7] > named[8], out) IP "));
    assert!(
        line(with(Dialect::Macos), &packet).starts_with("(lo, proc di^[g:7 > named:8, out) IP ")
    );
}

#[test]
fn a_segment_is_explained_by_its_flags() {
    use crate::lesson::Language;

    let ends = || PacketBuilder::ipv4([10; 4], [11; 4], 64);
    let (mut syn, mut datagram) = (Vec::new(), Vec::new());
    ends().tcp(40_000, 80, 1, 2).syn().ack(3).write(&mut syn, b"").unwrap();
    ends().udp(40_000, 80).write(&mut datagram, b"x").unwrap();
    let explained = |data: &[u8], language| {
        let explained = Some(Explained::new(language, None));
        line(Style { explained, ..Style::default() }, &packet(101, data, data.len() as u32))
    };
    let english = explained(&syn, Language::En);
    assert!(english.contains("Flags [S.]") && english.contains("\n    SYN and ACK"), "{english}");
    let japanese = explained(&syn, Language::Ja);
    assert!(japanese.contains("\n    SYN+ACK: 了解した"), "{japanese}");
    assert_eq!(explained(&datagram, Language::En).lines().count(), 1);
}
