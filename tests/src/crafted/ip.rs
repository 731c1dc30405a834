//! IPv4 and IPv6: every field, options, fragments, extensions.

use super::wire::{
    A4, ACK, B4, Ip4, Ip6, SYN, a6, address, address6, b6, be16, be32, ethernet, segment, udp4,
    udp6,
};
use super::{Capture, ETHERNET};

pub fn all() -> Vec<Capture> {
    vec![ip4(), fragments(), options(), ip6(), extensions(), udp()]
}

fn ip4() -> Capture {
    let mut file = Capture::new("ip4", ETHERNET);
    let udp = be16(&[1000, 2000, 12, 0, 0x6162, 0x6364]);
    for tos in [0, 1, 2, 3, 0x10, 0x28, 0xb8, 0xff] {
        file.push(Ip4 { tos, ..Ip4::new(17) }.on_ethernet(&udp));
    }
    for (ttl, id, fragment) in [(0, 0, 0), (1, 1, 0x4000), (255, 65_535, 0x8000), (64, 7, 0xc000)] {
        file.push(Ip4 { ttl, id, fragment, ..Ip4::new(17) }.on_ethernet(&udp));
    }
    // Protocols that have no printer of their own, and those that have.
    for proto in [0, 2, 4, 41, 50, 51, 61, 63, 114, 253, 255] {
        file.push(Ip4::new(proto).on_ethernet(&[0xc3; 12]));
    }
    for (source, target) in [
        ("0.0.0.0", "255.255.255.255"),
        ("127.0.0.1", "127.0.0.2"),
        ("10.0.0.1", "224.0.0.251"),
        ("1.2.3.4", "100.200.100.200"),
    ] {
        let ip = Ip4 { source: address(source), target: address(target), ..Ip4::new(17) };
        file.push(ip.on_ethernet(&udp));
    }
    let good = Ip4::new(17).around(&udp);
    let changed = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        ethernet(0x0800, &bytes)
    };
    // A wrong checksum, lengths that are wrong, a wrong version, a header that is too short.
    file.push(changed(10, 0));
    file.push(changed(3, 200));
    file.push(changed(3, 10));
    file.push(changed(3, 24));
    file.push(changed(3, 20));
    file.push(changed(3, 0));
    file.push(changed(0, 0x44));
    file.push(changed(0, 0x4f));
    file.push(changed(0, 0x65));
    file.push(changed(0, 0x15));
    file
}

fn fragments() -> Capture {
    let mut file = Capture::new("fragments", ETHERNET);
    let whole = udp4(4000, 5000, &[0x41; 3000])[34..].to_vec();
    let tcp = segment(ACK, 5, 6, &[0x42; 60]).bytes(&A4, &B4);
    for (proto, payload) in [(17, &whole), (6, &tcp), (1, &whole)] {
        let step = if payload.len() > 1480 { 1480 } else { 24 };
        for at in (0..payload.len()).step_by(step) {
            let end = payload.len().min(at + step);
            let more = if end < payload.len() { 0x2000 } else { 0 };
            let ip = Ip4 { id: 99, fragment: more | (at / 8) as u16, ..Ip4::new(proto) };
            file.push(ip.on_ethernet(&payload[at..end]));
        }
    }
    file.push(Ip4 { fragment: 0x6001, ..Ip4::new(17) }.on_ethernet(&whole[..16]));
    file
}

fn options() -> Capture {
    let mut file = Capture::new("options", ETHERNET);
    let udp = be16(&[1000, 2000, 8, 0]);
    let all: &[&[u8]] = &[
        &[1, 1, 1, 0],
        // Record route, empty and half full.
        &[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[7, 11, 8, 10, 0, 0, 1, 0, 0, 0, 0, 0],
        // Loose and strict source routes.
        &[131, 11, 4, 10, 0, 0, 1, 10, 0, 0, 2, 0],
        &[137, 7, 4, 10, 0, 0, 1, 1],
        &[131, 7, 8, 10, 0, 0, 1, 1],
        // Timestamps: alone, with addresses, prespecified, with an overflow.
        &[68, 12, 9, 0, 0, 0, 0, 7, 0, 0, 0, 0],
        &[68, 12, 13, 1, 10, 0, 0, 1, 0, 0, 1, 0],
        &[68, 12, 5, 3, 10, 0, 0, 1, 0, 0, 1, 0],
        &[68, 8, 5, 0x32, 0, 0, 0, 0],
        // Router alert, with and without a value.
        &[148, 4, 0, 0],
        &[148, 4, 0, 5],
        // Security, stream, unknown.
        &[130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[136, 4, 1, 2],
        &[99, 4, 1, 2],
        // Lengths that are wrong.
        &[7, 1, 4, 0],
        &[7, 40, 4, 0],
        &[7, 0, 0, 0],
        &[7, 4, 4, 5],
        &[68, 5, 5, 0, 1, 0, 0, 0],
        &[148, 3, 0, 0],
    ];
    for options in all {
        file.push(Ip4 { options: options.to_vec(), ..Ip4::new(17) }.on_ethernet(&udp));
    }
    file
}

fn ip6() -> Capture {
    let mut file = Capture::new("ip6", ETHERNET);
    file.push(udp6(1000, 2000, b"over IPv6"));
    let udp = be16(&[1000, 2000, 12, 0, 0x6162, 0x6364]);
    for (class, label, hops) in [(0, 0, 0), (1, 1, 1), (0xb8, 0xfffff, 255), (0xff, 0x12345, 64)] {
        file.push(Ip6 { class, label, hops, ..Ip6::new(17) }.on_ethernet(&udp));
    }
    for (source, target) in [
        ("::", "ff02::1"),
        ("::1", "::1"),
        ("::ffff:192.0.2.1", "::192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:0:0:1:0:0:0:1"),
        ("fe80::1", "ff02::1:ff00:1"),
        ("1:0:2:0:3:0:4:0", "0:1:0:2:0:3:0:4"),
    ] {
        let ip = Ip6 { source: address6(source), target: address6(target), ..Ip6::new(17) };
        file.push(ip.on_ethernet(&udp));
        file.push(ip.summed(udp.clone(), 6));
    }
    for next in [59, 50, 51, 61, 253, 4, 41] {
        file.push(Ip6::new(next).on_ethernet(&[0xa5; 12]));
    }
    let good = udp6(1000, 2000, b"abcd");
    for (at, to) in [(14, 0x45), (18, 1), (19, 3), (19, 200), (19, 0)] {
        let mut bytes = good.clone();
        bytes[at] = to;
        file.push(bytes);
    }
    file
}

fn extensions() -> Capture {
    let mut file = Capture::new("extensions", ETHERNET);
    let udp = be16(&[1000, 2000, 12, 0, 0x6162, 0x6364]);
    let tcp = segment(SYN, 1, 0, b"").bytes(&a6(), &b6());
    let mut with = |next: u8, header: &[u8], payload: &[u8]| {
        file.push(Ip6::new(next).on_ethernet(&[header, payload].concat()));
    };
    // Options hop by hop: padding, a router alert, a jumbo payload, an unknown one.
    with(0, &[17, 0, 1, 4, 0, 0, 0, 0], &udp);
    with(0, &[17, 0, 5, 2, 0, 0, 1, 0], &udp);
    with(0, &[6, 0, 0xc2, 4, 0, 1, 0, 0], &tcp);
    with(0, &[17, 0, 0x1e, 4, 1, 2, 3, 4], &udp);
    with(0, &[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &udp);
    with(60, &[6, 0, 1, 4, 0, 0, 0, 0], &tcp);
    with(60, &[17, 0, 0xc9, 16, 0, 0, 0, 0], &udp);
    with(60, &[17, 0, 0, 1, 0, 1, 0, 0], &udp);
    // Fragments: the first, one behind it, the only one.
    with(44, &[17, 0, 0, 1, 0, 0, 0, 42], &udp);
    with(44, &[17, 0, 0x05, 0xa8, 0, 0, 0, 42], &udp);
    with(44, &[6, 0, 0, 0, 0, 0, 0, 42], &tcp);
    // Routing: types 0, 2, 4, 9.
    let address = b6();
    with(43, &[&[17, 2, 0, 1, 0, 0, 0, 0][..], &address].concat(), &udp);
    with(43, &[&[6, 2, 2, 1, 0, 0, 0, 0][..], &address].concat(), &tcp);
    with(43, &[&[17, 2, 4, 0, 0, 0, 0, 7][..], &address].concat(), &udp);
    with(43, &[&[17, 2, 9, 1, 0, 0, 0, 0][..], &address].concat(), &udp);
    // One behind the other.
    with(0, &[60, 0, 1, 4, 0, 0, 0, 0, 44, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 9], &udp);
    with(0, &[59, 0, 1, 4, 0, 0, 0, 0], &[]);
    with(51, &[&[17, 4, 0, 0][..], &be32(&[7, 1, 2, 3, 4])].concat(), &udp);
    // Longer than what is there.
    with(0, &[17, 40, 1, 4, 0, 0, 0, 0], &udp);
    file
}

fn udp() -> Capture {
    let mut file = Capture::new("udp", ETHERNET);
    for len in [0, 1, 2, 17, 1400] {
        file.push(udp4(40_000, 9999, &vec![b'x'; len]));
        file.push(udp6(40_000, 9999, &vec![b'y'; len]));
    }
    let mut wrong = udp4(40_000, 9999, b"abcdef");
    wrong[40] ^= 0xff;
    file.push(wrong.clone());
    // No checksum.
    wrong[40..42].fill(0);
    file.push(wrong.clone());
    // Lengths that are wrong: shorter than its header, longer and shorter than it is.
    for len in [0_u8, 7, 8, 9, 200] {
        let mut odd = udp4(40_000, 9999, b"abcdef");
        odd[39] = len;
        file.push(odd);
    }
    file.push(Ip4::new(17).on_ethernet(&[1, 2, 3, 4]));
    file.push(Ip4::new(17).on_ethernet(&[]));
    // Payloads that want to steer a terminal.
    file.push(udp4(40_000, 9999, b"\x1b[2J\x1b]0;title\x07\r\n\t\0\x7f\x80\xff plain"));
    file
}
