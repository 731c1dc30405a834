//! ICMP, ICMPv6 and IGMP.

use super::wire::{
    A4, B4, Ip4, Ip6, SYN, a6, address, address6, b6, be16, be32, segment, summed, udp4, udp6,
};
use super::{Capture, ETHERNET};

pub fn all() -> Vec<Capture> {
    vec![icmp(), icmp6(), neighbours(), listeners(), igmp()]
}

fn icmp() -> Capture {
    let mut file = Capture::new("icmp", ETHERNET);
    let mut add = |kind: u8, code: u8, rest: &[u8]| {
        let bytes = summed([&[kind, code, 0, 0], rest].concat(), 2);
        file.push(Ip4::new(1).on_ethernet(&bytes));
    };
    let data: Vec<u8> = (0..56).collect();
    for seq in 1..4 {
        let rest = [be16(&[0x1234, seq]), data.clone()].concat();
        add(8, 0, &rest);
        add(0, 0, &rest);
    }
    add(8, 0, &be16(&[1, 2]));
    // What was refused: a datagram, a segment, something else, something with options.
    let udp = udp4(40_000, 33_434, b"probe")[14..].to_vec();
    let tcp = Ip4::new(6).around(&segment(SYN, 7, 0, b"").bytes(&A4, &B4));
    let other = Ip4::new(61).around(&[1; 20]);
    let options = Ip4 { options: vec![1, 1, 1, 0], ..Ip4::new(17) }.around(&udp[20..]);
    for code in 0..17 {
        let rest = if code == 4 { be16(&[0, 1400]) } else { vec![0; 4] };
        add(3, code, &[&rest[..], &udp].concat());
    }
    for inner in [&tcp, &other, &options] {
        for code in [1, 2, 3, 4, 10, 13] {
            add(3, code, &[&[0; 4][..], inner].concat());
        }
    }
    add(3, 3, &[&[0; 4][..], &udp[..24]].concat());
    add(3, 3, &[&[0; 4][..], &udp[..10]].concat());
    add(4, 0, &[&[0; 4][..], &udp].concat());
    for code in 0..5 {
        add(5, code, &[&address("192.0.2.254")[..], &udp].concat());
    }
    add(9, 0, &[&[1, 2, 7, 8][..], &address("192.0.2.254"), &[0, 0, 0, 5]].concat());
    add(9, 16, &[&[2, 2, 0, 30][..], &A4, &[0; 4], &B4, &[0x80, 0, 0, 0]].concat());
    add(9, 1, &[1, 3, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8]);
    add(10, 0, &[0; 4]);
    for code in 0..3 {
        add(11, code, &[&[0; 4][..], &udp].concat());
    }
    add(12, 0, &[&[20, 0, 0, 0][..], &udp].concat());
    add(12, 1, &[&[0, 0, 0, 0][..], &udp].concat());
    let times = be32(&[45_296_000, 45_296_001, 0x8000_0007]);
    add(13, 0, &[be16(&[9, 1]), times.clone()].concat());
    add(14, 0, &[be16(&[9, 1]), times].concat());
    add(15, 0, &be16(&[9, 1]));
    add(16, 0, &be16(&[9, 1]));
    add(17, 0, &[be16(&[9, 1]), be32(&[0])].concat());
    add(18, 0, &[be16(&[9, 1]), be32(&[0xffff_ff00])].concat());
    for (kind, code) in
        [(1, 0), (2, 0), (6, 0), (19, 3), (30, 0), (40, 1), (42, 0), (253, 7), (255, 255)]
    {
        add(kind, code, &[7; 12]);
    }
    add(8, 5, &be16(&[1, 2]));
    // A wrong checksum; too short.
    let mut wrong = Ip4::new(1).on_ethernet(&[8, 0, 1, 2, 0, 1, 0, 2, 9, 9]);
    file.push(wrong.clone());
    wrong.truncate(38);
    file.push(wrong);
    for len in [0, 1, 2, 4, 6] {
        file.push(Ip4::new(1).on_ethernet(&[8, 0, 0xf7, 0xff, 0, 0][..len]));
        file.push(Ip4::new(1).on_ethernet(&[3, 3, 0xfc, 0xfc, 0, 0][..len]));
    }
    file
}

fn with6(file: &mut Capture, ip: &Ip6, kind: u8, code: u8, rest: &[u8]) {
    file.push(ip.summed([&[kind, code, 0, 0], rest].concat(), 2));
}

fn icmp6() -> Capture {
    let mut file = Capture::new("icmp6", ETHERNET);
    let ip = Ip6::new(58);
    let data: Vec<u8> = (0..56).collect();
    for seq in 1..3 {
        let rest = [be16(&[0x1234, seq]), data.clone()].concat();
        with6(&mut file, &ip, 128, 0, &rest);
        with6(&mut file, &ip, 129, 0, &rest);
    }
    let udp = udp6(40_000, 33_434, b"probe")[14..].to_vec();
    let tcp = Ip6::new(6).around(&segment(SYN, 7, 0, b"").bytes(&a6(), &b6()));
    let other = Ip6::new(61).around(&[1; 20]);
    for code in 0..9 {
        with6(&mut file, &ip, 1, code, &[&[0; 4][..], &udp].concat());
    }
    for inner in [&tcp, &other] {
        with6(&mut file, &ip, 1, 4, &[&[0; 4][..], inner].concat());
        with6(&mut file, &ip, 1, 1, &[&[0; 4][..], inner].concat());
    }
    with6(&mut file, &ip, 2, 0, &[&be32(&[1280])[..], &udp].concat());
    for code in 0..3 {
        with6(&mut file, &ip, 3, code, &[&[0; 4][..], &udp].concat());
    }
    for code in 0..4 {
        with6(&mut file, &ip, 4, code, &[&be32(&[40])[..], &udp].concat());
    }
    for (kind, code) in [(5, 0), (100, 0), (127, 3), (141, 0), (200, 1), (255, 0)] {
        with6(&mut file, &ip, kind, code, &[7; 12]);
    }
    // A wrong checksum; too short.
    file.push(ip.on_ethernet(&[128, 0, 1, 2, 0, 1, 0, 2, 9, 9]));
    for len in [0, 1, 2, 4, 6] {
        file.push(ip.on_ethernet(&[128, 0, 0, 0, 0, 0][..len]));
    }
    file
}

fn neighbours() -> Capture {
    let mut file = Capture::new("neighbours", ETHERNET);
    let mut ip = Ip6 { hops: 255, ..Ip6::new(58) };
    let source = [1, 1, 2, 0, 0, 0, 0, 1];
    let target = [2, 1, 2, 0, 0, 0, 0, 1];
    let about = address6("fe80::1");
    ip.target = address6("ff02::1:ff00:1");
    with6(&mut file, &ip, 135, 0, &[&[0; 4][..], &about, &source].concat());
    with6(&mut file, &ip, 135, 0, &[&[0; 4][..], &about].concat());
    ip.target = b6();
    for flags in [0x6000_0000, 0xe000_0000, 0x2000_0000, 0] {
        with6(&mut file, &ip, 136, 0, &[&be32(&[flags])[..], &about, &target].concat());
    }
    ip.target = address6("ff02::2");
    with6(&mut file, &ip, 133, 0, &[&[0; 4][..], &source].concat());
    with6(&mut file, &ip, 133, 0, &[0; 4]);
    ip.target = address6("ff02::1");
    let prefix =
        [&[3, 4, 64, 0xc0][..], &be32(&[2_592_000, 604_800, 0]), &address6("2001:db8:1::")]
            .concat();
    let forever =
        [&[3, 4, 48, 0xe0][..], &be32(&[u32::MAX, u32::MAX, 0]), &address6("2001:db8::")].concat();
    let mtu = [&[5, 1, 0, 0][..], &be32(&[1492])].concat();
    let servers =
        [&[25, 5, 0, 0][..], &be32(&[1800]), &address6("2001:db8::53"), &address6("2001:db8::54")]
            .concat();
    let search = [&[31, 3, 0, 0][..], &be32(&[1800]), b"\x03lan\x07example\0\0\0\0\0"].concat();
    let route = [&[24, 2, 32, 0x08][..], &be32(&[600]), &address6("2001:db8::")[..8]].concat();
    let head = [&[64, 0xc0][..], &be16(&[1800]), &be32(&[30_000, 1000])].concat();
    with6(&mut file, &ip, 134, 0, &[&head[..], &source, &prefix, &mtu].concat());
    with6(&mut file, &ip, 134, 0, &[&head[..], &forever, &servers, &search, &route].concat());
    with6(&mut file, &ip, 134, 0, &[&[0, 0x28][..], &be16(&[0]), &be32(&[0, 0])].concat());
    with6(&mut file, &ip, 134, 0, &[&head[..], &[99, 1, 1, 2, 3, 4, 5, 6]].concat());
    with6(&mut file, &ip, 134, 0, &[&head[..], &[99, 0, 1, 2, 3, 4, 5, 6]].concat());
    with6(&mut file, &ip, 134, 0, &[&head[..], &[3, 9, 1, 2, 3, 4, 5, 6]].concat());
    ip.target = b6();
    with6(
        &mut file,
        &ip,
        137,
        0,
        &[&[0; 4][..], &about, &address6("2001:db8::9"), &target].concat(),
    );
    file
}

fn listeners() -> Capture {
    let mut file = Capture::new("listeners", ETHERNET);
    let hop = |next: u8| [next, 0, 5, 2, 0, 0, 1, 0];
    let group = address6("ff02::fb");
    let mut with = |target: &str, kind: u8, rest: &[u8]| {
        let mut ip = Ip6 { hops: 1, source: b6(), target: address6(target), ..Ip6::new(58) };
        let whole = ip.summed([&[kind, 0, 0, 0], rest].concat(), 2);
        ip.next = 0;
        file.push(ip.on_ethernet(&[&hop(58)[..], &whole[54..]].concat()));
    };
    with("ff02::1", 130, &[&be16(&[10_000, 0])[..], &[0; 16]].concat());
    with("ff02::1", 130, &[&be16(&[1000, 0])[..], &group].concat());
    with("ff02::fb", 131, &[&[0; 4][..], &group].concat());
    with("ff02::2", 132, &[&[0; 4][..], &group].concat());
    // Version 2: a query with sources, and reports.
    with("ff02::1", 130, &[&be16(&[10_000, 0])[..], &[0; 16], &[2, 125, 0, 0]].concat());
    with("ff02::fb", 130, &[&be16(&[0x9000, 0])[..], &group, &[10, 0xff, 0, 1], &a6()].concat());
    let record = |kind: u8, sources: &[[u8; 16]]| {
        [&[kind, 0][..], &be16(&[sources.len() as u16]), &group, &sources.concat()].concat()
    };
    with("ff02::16", 143, &[&be16(&[0, 1])[..], &record(4, &[])].concat());
    with(
        "ff02::16",
        143,
        &[&be16(&[0, 2])[..], &record(1, &[a6(), b6()]), &record(3, &[])].concat(),
    );
    with("ff02::16", 143, &[&be16(&[0, 1])[..], &record(9, &[])].concat());
    with("ff02::16", 143, &[&be16(&[0, 3])[..], &record(6, &[])].concat());
    file
}

fn igmp() -> Capture {
    let mut file = Capture::new("igmp", ETHERNET);
    let group = address("224.0.0.251");
    let mut add = |bytes: Vec<u8>| {
        let ip = Ip4 { ttl: 1, options: vec![148, 4, 0, 0], target: group, ..Ip4::new(2) };
        file.push(ip.on_ethernet(&summed(bytes, 2)));
    };
    for (kind, time) in [(0x11, 0), (0x11, 100), (0x12, 0), (0x16, 0), (0x17, 0), (0x99, 3)] {
        add([[kind, time, 0, 0], group].concat());
        add([kind, time, 0, 0, 0, 0, 0, 0].to_vec());
    }
    // Version 3.
    let query = |time: u8, group: [u8; 4], sources: &[[u8; 4]]| {
        let count = be16(&[sources.len() as u16]);
        [&[0x11, time, 0, 0][..], &group, &[10, 125], &count, &sources.concat()].concat()
    };
    add(query(100, [0; 4], &[]));
    add(query(0x90, group, &[A4, B4]));
    add(query(5, group, &[]));
    let record = |kind: u8, sources: &[[u8; 4]]| {
        [&[kind, 0][..], &be16(&[sources.len() as u16]), &group, &sources.concat()].concat()
    };
    let report = |count: u16, records: &[Vec<u8>]| {
        [&[0x22, 0, 0, 0, 0, 0][..], &be16(&[count]), &records.concat()].concat()
    };
    for kind in 1..8 {
        add(report(1, &[record(kind, &[])]));
        add(report(1, &[record(kind, &[A4, B4])]));
    }
    add(report(2, &[record(4, &[]), record(3, &[A4])]));
    add(report(3, &[record(4, &[])]));
    add(vec![0x11, 0, 0, 0, 1, 2]);
    let mut wrong =
        Ip4 { target: group, ..Ip4::new(2) }.on_ethernet(&[0x16, 0, 1, 1, 224, 0, 0, 251]);
    file.push(wrong.clone());
    wrong.truncate(36);
    file.push(wrong);
    file
}
