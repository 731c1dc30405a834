//! Link-layer headers, and what is directly on them.

use super::wire::{
    A4, ACK, B4, Ip4, Ip6, MAC_A, MAC_B, PSH, Random, SYN, a6, address, b6, be16, be32, ethernet,
    segment, udp4,
};
use super::{Capture, ETHERNET, LOOP, NULL, RAW, SLL, SLL2};

pub fn all() -> Vec<Capture> {
    vec![ethernets(), vlan(), arp(), null(), loops(), raw(), sll(), sll2()]
}

fn ethernets() -> Capture {
    let mut file = Capture::new("ethernet", ETHERNET);
    let mut random = Random(11);
    for kind in [0x88b5_u16, 0x88b6, 0x0600, 0x22f0, 0x1234, 0xffff] {
        file.push(ethernet(kind, &random.bytes(46)));
    }
    // A length in place of a type: SNAP, and other services.
    file.push(ethernet(30, &[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0][..], &[0x45; 22]].concat()));
    file.push(ethernet(20, &[0xf0, 0xf0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
    // Padding behind a short packet.
    file.push(ethernet(0x0800, &[Ip4::new(17).around(&be16(&[9, 9, 8, 0])), vec![0; 18]].concat()));
    // To all, and to a group.
    let mut all = udp4(1000, 2000, b"to all");
    all[..6].fill(0xff);
    file.push(all.clone());
    all[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 0xfb]);
    file.push(all);
    // Too short for its headers.
    file.push(MAC_A.to_vec());
    file.push(ethernet(0x0800, &[]));
    file.push(ethernet(0x0800, &[0x45]));
    file.push(ethernet(0x86dd, &[0x60, 0, 0]));
    file.push(ethernet(0x0806, &[0, 1, 8, 0, 6]));
    file
}

fn vlan() -> Capture {
    let mut file = Capture::new("vlan", ETHERNET);
    let inner = segment(SYN, 1, 0, b"").on_ethernet()[14..].to_vec();
    for tag in [1_u16, 100, 4095, 0x2064, 0x1064, 0xf064] {
        file.push(ethernet(0x8100, &[be16(&[tag, 0x0800]), inner.clone()].concat()));
    }
    let twice =
        |outer: u16| ethernet(outer, &[be16(&[10, 0x8100, 20, 0x0800]), inner.clone()].concat());
    file.push(twice(0x88a8));
    file.push(twice(0x8100));
    file.push(twice(0x9100));
    file.push(ethernet(0x8100, &[be16(&[7, 0x0806]), request()].concat()));
    file.push(ethernet(0x8100, &be16(&[7, 0x88b5, 1, 2, 3])));
    file.push(ethernet(0x8100, &[0, 7]));
    file
}

fn words(operation: u16, from: ([u8; 6], [u8; 4]), to: ([u8; 6], [u8; 4])) -> Vec<u8> {
    let mut bytes = be16(&[1, 0x0800]);
    bytes.extend([6, 4]);
    bytes.extend(be16(&[operation]));
    bytes.extend([&from.0[..], &from.1, &to.0, &to.1].concat());
    bytes
}

fn request() -> Vec<u8> {
    words(1, (MAC_A, A4), ([0; 6], B4))
}

fn arp() -> Capture {
    let mut file = Capture::new("arp", ETHERNET);
    let zero = ([0; 6], [0; 4]);
    for packet in [
        request(),
        words(2, (MAC_B, B4), (MAC_A, A4)),
        // Gratuitous, and a probe.
        words(1, (MAC_A, A4), ([0; 6], A4)),
        words(2, (MAC_A, A4), ([0xff; 6], A4)),
        words(1, (MAC_A, [0; 4]), ([0; 6], A4)),
        words(1, (MAC_A, A4), (MAC_B, B4)),
        words(1, (MAC_A, A4), ([0xff; 6], B4)),
        words(3, (MAC_A, [0; 4]), (MAC_A, [0; 4])),
        words(4, (MAC_B, B4), (MAC_A, A4)),
        words(8, (MAC_A, A4), (MAC_B, [0; 4])),
        words(9, (MAC_B, B4), (MAC_A, A4)),
        words(10, (MAC_B, B4), (MAC_A, A4)),
        words(77, (MAC_B, B4), zero),
        words(1, zero, zero),
        words(2, (MAC_A, address("10.0.0.255")), (MAC_A, A4)),
    ] {
        file.push(ethernet(0x0806, &[packet, vec![0; 18]].concat()));
    }
    file.push(ethernet(0x8035, &words(3, (MAC_A, [0; 4]), (MAC_A, [0; 4]))));
    // Other hardware, other protocols, other lengths.
    let mut odd = request();
    odd[1] = 6;
    file.push(ethernet(0x0806, &odd));
    odd[1] = 24;
    file.push(ethernet(0x0806, &odd));
    odd[0] = 99;
    file.push(ethernet(0x0806, &odd));
    let mut odd = request();
    odd[2] = 0x12;
    file.push(ethernet(0x0806, &odd));
    let mut odd = request();
    (odd[4], odd[5]) = (0, 0);
    file.push(ethernet(0x0806, &odd));
    let mut odd = request();
    odd[4] = 8;
    file.push(ethernet(0x0806, &[odd, vec![1; 8]].concat()));
    file.push(ethernet(0x0806, &request()[..20]));
    file
}

/// A few packets without a link-layer header: family of IPv6 or not, and bytes.
fn inner() -> Vec<(bool, Vec<u8>)> {
    let syn = segment(SYN, 100, 0, b"");
    let data = segment(ACK | PSH, 101, 201, b"hello");
    let mut all = Vec::new();
    for segment in [&syn, &data] {
        all.push((false, Ip4::new(6).around(&segment.bytes(&A4, &B4))));
        all.push((true, Ip6::new(6).around(&segment.bytes(&a6(), &b6()))));
    }
    all.push((false, udp4(5000, 6000, b"some data")[14..].to_vec()));
    all
}

fn null() -> Capture {
    let mut file = Capture::new("null", NULL);
    for (six, bytes) in inner() {
        // The families of BSD and of macOS, in both byte orders; 24, 28 and 30 are IPv6.
        let families: &[u32] = if six { &[24, 28, 30] } else { &[2] };
        for family in families {
            file.push([&family.to_le_bytes(), &bytes[..]].concat());
            file.push([&family.to_be_bytes(), &bytes[..]].concat());
        }
    }
    file.push([&77_u32.to_le_bytes()[..], &[1, 2, 3, 4, 5]].concat());
    file.push(vec![2, 0, 0]);
    file
}

fn loops() -> Capture {
    let mut file = Capture::new("loop", LOOP);
    for (six, bytes) in inner() {
        let family: u32 = if six { 24 } else { 2 };
        file.push([&family.to_be_bytes(), &bytes[..]].concat());
    }
    file
}

fn raw() -> Capture {
    let mut file = Capture::new("raw", RAW);
    for (_, bytes) in inner() {
        file.push(bytes);
    }
    file.push(vec![0x12, 3, 4]);
    file.push(vec![0x45]);
    file.push(vec![0xf5; 40]);
    file
}

fn sll() -> Capture {
    let mut file = Capture::new("sll", SLL);
    for (kind, (six, bytes)) in inner().into_iter().enumerate() {
        let header =
            be16(&[kind as u16 % 5, 1, 6, 0x0200, 0, 1, 0, if six { 0x86dd } else { 0x800 }]);
        file.push([header, bytes].concat());
    }
    let head = |kind: u16, hardware: u16, len: u16, proto: u16| {
        be16(&[kind, hardware, len, 0x0200, 0, 1, 0, proto])
    };
    file.push([head(0, 1, 6, 0x0806), request()].concat());
    file.push([head(0, 772, 6, 0x88b5), vec![1; 20]].concat());
    file.push([head(9, 772, 0, 0x0800), Ip4::new(17).around(&be16(&[1, 2, 8, 0]))].concat());
    file.push([head(4, 1, 6, 0x0004), vec![0xf0, 0xf0, 3, 0, 0, 0, 0, 0]].concat());
    file.push(
        [head(4, 1, 6, 0x8100), be16(&[5, 0x0800]), Ip4::new(17).around(&be16(&[1, 2, 8, 0]))]
            .concat(),
    );
    file
}

fn sll2() -> Capture {
    let mut file = Capture::new("sll2", SLL2);
    let head = |kind: u8, hardware: u16, len: u8, proto: u16, index: u32| {
        let mut bytes = be16(&[proto, 0]);
        bytes.extend(be32(&[index]));
        bytes.extend(be16(&[hardware]));
        bytes.extend([kind, len, 2, 0, 0, 0, 0, 1, 0, 0]);
        bytes
    };
    for (kind, (six, bytes)) in inner().into_iter().enumerate() {
        let proto = if six { 0x86dd } else { 0x800 };
        file.push([head(kind as u8 % 5, 1, 6, proto, 900_000 + kind as u32), bytes].concat());
    }
    file.push([head(1, 1, 6, 0x0806, 900_002), request()].concat());
    file.push([head(0, 772, 6, 0x88b5, 900_003), vec![1; 20]].concat());
    file.push([head(7, 772, 0, 0x0800, 0), Ip4::new(17).around(&be16(&[1, 2, 8, 0]))].concat());
    file
}
