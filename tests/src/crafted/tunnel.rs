//! Packets in packets: GRE, VXLAN, IP in IP.

use super::wire::{A4, ACK, B4, Ip4, Ip6, SYN, a6, b6, be16, be32, segment, udp4, udp6};
use super::{Capture, ETHERNET};

pub fn all() -> Vec<Capture> {
    vec![gre(), vxlan(), nested()]
}

fn gre() -> Capture {
    let mut file = Capture::new("gre", ETHERNET);
    let four = Ip4::new(6).around(&segment(SYN, 1, 0, b"").bytes(&A4, &B4));
    let six = Ip6::new(6).around(&segment(ACK, 1, 2, b"six").bytes(&a6(), &b6()));
    let frame = udp4(1000, 2000, b"in a frame");
    let mut add = |flags: u16, proto: u16, rest: &[u8], inner: &[u8]| {
        let bytes = [&be16(&[flags, proto])[..], rest, inner].concat();
        file.push(Ip4::new(47).on_ethernet(&bytes));
    };
    add(0, 0x0800, &[], &four);
    add(0, 0x86dd, &[], &six);
    add(0, 0x6558, &[], &frame);
    // A checksum, a key, a sequence number, and all of them.
    add(0x8000, 0x0800, &[0x12, 0x34, 0, 0], &four);
    add(0x2000, 0x0800, &be32(&[42]), &four);
    add(0x1000, 0x0800, &be32(&[7]), &four);
    add(0xb000, 0x0800, &[&[0x12, 0x34, 0, 0][..], &be32(&[42, 7])].concat(), &four);
    add(0x0800, 0x0800, &[], &four);
    add(0, 0x1234, &[], &[1, 2, 3, 4, 5]);
    add(7, 0x0800, &[], &four);
    add(0, 0x0800, &[], &[]);
    file.push(Ip4::new(47).on_ethernet(&[0, 0]));
    file.push(Ip6::new(47).on_ethernet(&[&be16(&[0, 0x0800])[..], &four].concat()));
    file
}

fn vxlan() -> Capture {
    let mut file = Capture::new("vxlan", ETHERNET);
    for (flags, id) in [(0x08_u8, 100_u32), (0x08, 0xff_ffff), (0, 5), (0xff, 0)] {
        for inner in [udp4(1000, 2000, b"in a tunnel"), udp6(1000, 2000, b"in a tunnel")] {
            let bytes = [&[flags, 0, 0, 0][..], &be32(&[id << 8]), &inner].concat();
            file.push(udp4(50_123, 4789, &bytes));
        }
    }
    let inner = segment(SYN, 1, 0, b"").on_ethernet();
    file.push(udp6(50_123, 4789, &[&[8, 0, 0, 0][..], &be32(&[9 << 8]), &inner].concat()));
    file.push(udp4(50_123, 4789, &[8, 0, 0, 0, 0, 0]));
    file.push(udp4(50_123, 4789, &[8, 0, 0, 0, 0, 0, 1, 0]));
    file
}

fn nested() -> Capture {
    let mut file = Capture::new("nested", ETHERNET);
    let four = udp4(1000, 2000, b"four")[14..].to_vec();
    let six = udp6(1000, 2000, b"six")[14..].to_vec();
    file.push(Ip4::new(4).on_ethernet(&four));
    file.push(Ip4::new(41).on_ethernet(&six));
    file.push(Ip6::new(4).on_ethernet(&four));
    file.push(Ip6::new(41).on_ethernet(&six));
    // Deeper and deeper.
    let mut deep = four;
    for _ in 0..40 {
        deep = Ip4::new(4).around(&deep);
    }
    file.push([&super::wire::ethernet(0x0800, &[])[..], &deep].concat());
    file
}
