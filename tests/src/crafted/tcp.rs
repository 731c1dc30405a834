//! TCP: a conversation, what goes wrong in one, all flags, all options.

use super::wire::{
    A4, ACK, B4, FIN, Ip4, PSH, RST, Random, SYN, Segment, address, be16, be32, segment,
};
use super::{Capture, ETHERNET};

pub fn all() -> Vec<Capture> {
    vec![
        conversation(false),
        conversation(true),
        trouble(),
        flags(),
        options(),
        wrap(),
        broken(),
        many(),
    ]
}

/// One connection, as both sides have it.
struct Talk {
    file: Capture,
    six: bool,
    /// What each side sends next: the client's, the server's.
    next: [u32; 2],
    clock: u32,
    /// The client's port.
    port: u16,
}

impl Talk {
    fn new(name: &str, six: bool) -> Talk {
        let file = Capture::new(name, ETHERNET);
        Talk { file, six, next: [1_000_000_000, 4_000_000_000], clock: 5_000, port: 46_712 }
    }

    /// A segment from a side: 0 is the client.
    fn make(&mut self, side: usize, flags: u16, payload: &[u8]) -> Segment {
        let ports = if side == 0 { (self.port, 8080) } else { (8080, self.port) };
        let ack = if flags & ACK != 0 { self.next[1 - side] } else { 0 };
        self.clock += 3;
        let times = be32(&[self.clock, if flags & ACK != 0 { self.clock - 2 } else { 0 }]);
        let options = if flags & SYN != 0 {
            let mss = be16(&[if self.six { 1440 } else { 1460 }]);
            [&[2, 4][..], &mss, &[4, 2, 8, 10], &times, &[1, 3, 3, 7]].concat()
        } else {
            [&[1, 1, 8, 10][..], &times].concat()
        };
        let made = Segment {
            ports,
            seq: self.next[side],
            ack,
            flags,
            window: 502,
            urgent: 0,
            options,
            payload: payload.to_vec(),
        };
        let counted =
            payload.len() as u32 + u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
        self.next[side] = self.next[side].wrapping_add(counted);
        made
    }

    fn add(&mut self, segment: &Segment) {
        self.file.push(if self.six { segment.on_ethernet6() } else { segment.on_ethernet() });
    }

    fn send(&mut self, side: usize, flags: u16, payload: &[u8]) -> Segment {
        let made = self.make(side, flags, payload);
        self.add(&made);
        made
    }

    fn begin(&mut self) {
        self.send(0, SYN, b"");
        self.send(1, SYN | ACK, b"");
        self.send(0, ACK, b"");
    }
}

pub const REQUEST: &[u8] =
    b"GET /index.html HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";
pub const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: test\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\nHello, world\n";

fn conversation(six: bool) -> Capture {
    let mut talk = Talk::new(if six { "tcp6" } else { "tcp" }, six);
    talk.begin();
    talk.send(0, PSH | ACK, REQUEST);
    talk.send(1, ACK, b"");
    talk.send(1, PSH | ACK, ANSWER);
    talk.send(0, ACK, b"");
    talk.send(0, FIN | ACK, b"");
    talk.send(1, ACK, b"");
    talk.send(1, FIN | ACK, b"");
    talk.send(0, ACK, b"");
    talk.file
}

fn trouble() -> Capture {
    let mut talk = Talk::new("tcp-trouble", false);
    // A SYN sent again, and a SYN-ACK too.
    let syn = talk.make(0, SYN, b"");
    talk.add(&syn);
    talk.add(&syn);
    let both = talk.make(1, SYN | ACK, b"");
    talk.add(&both);
    talk.add(&both);
    talk.send(0, ACK, b"");
    // Five segments, the second lost, then out of order, with duplicate acknowledgements.
    let parts: Vec<Segment> = (0..5).map(|_| talk.make(0, ACK, &[b'a'; 1000])).collect();
    talk.add(&parts[0]);
    let whole = talk.next[0];
    talk.next[0] = parts[1].seq;
    talk.send(1, ACK, b"");
    for part in &parts[2..] {
        talk.add(part);
        let mut duplicate = talk.make(1, ACK, b"");
        let sack = be32(&[parts[2].seq, part.seq.wrapping_add(1000)]);
        duplicate.options.extend([&[1, 1, 5, 10][..], &sack].concat());
        talk.add(&duplicate);
    }
    talk.add(&parts[1]);
    talk.next[0] = whole;
    talk.send(1, ACK, b"");
    // Two that change places.
    let parts: Vec<Segment> = (0..2).map(|_| talk.make(1, PSH | ACK, &[b'b'; 500])).collect();
    talk.add(&parts[1]);
    talk.add(&parts[0]);
    talk.send(0, ACK, b"");
    // A segment sent again after it was acknowledged, whole and with more behind it.
    talk.add(&parts[1]);
    let mut duplicate = talk.make(0, ACK, b"");
    duplicate
        .options
        .extend([&[1, 1, 5, 10][..], &be32(&[parts[1].seq, parts[1].seq + 500])].concat());
    talk.add(&duplicate);
    // A window that closes, probes, and an update.
    let last = talk.send(0, PSH | ACK, &[b'c'; 300]);
    let mut full = talk.make(1, ACK, b"");
    full.window = 0;
    talk.add(&full);
    let probe = Segment { seq: last.seq + 299, payload: vec![b'c'], ..last.clone() };
    for _ in 0..2 {
        talk.add(&probe);
        talk.add(&full);
    }
    talk.send(1, ACK, b"");
    // Keep-alives.
    let mut alive = talk.make(0, ACK, b"");
    alive.seq = alive.seq.wrapping_sub(1);
    talk.add(&alive);
    talk.send(1, ACK, b"");
    // Urgent data, ECN, a reset; then the ports again, for another connection.
    let mut urgent = talk.make(0, PSH | ACK | 0x20, b"now!");
    urgent.urgent = 4;
    talk.add(&urgent);
    talk.send(0, ACK | 0x40, b"x");
    talk.send(1, ACK | 0x80, b"");
    talk.send(1, RST | ACK, b"");
    talk.send(0, RST, b"");
    talk.next = [77, 88];
    talk.begin();
    talk.send(0, PSH | ACK, b"again");
    talk.send(1, RST | ACK, b"why");
    talk.file
}

/// Every combination of flags, nine of them.
fn flags() -> Capture {
    let mut file = Capture::new("tcp-flags", ETHERNET);
    for flags in 0..256 {
        let mut one = segment(flags, 1000 + u32::from(flags) * 16, 5, b"data");
        one.urgent = 3;
        one.ports.0 += flags;
        file.push(one.on_ethernet());
    }
    for flags in [0x100, 0x110, 0x1c2, 0x1ff, 0x200, 0x812, 0xe10] {
        file.push(segment(flags, 9, 5, b"").on_ethernet());
    }
    file
}

fn options() -> Capture {
    let mut file = Capture::new("tcp-options", ETHERNET);
    let blocks = |count: u32| be32(&(0..2 * count).map(|n| 1000 + n * 100).collect::<Vec<_>>());
    let sack = |count: u8| [&[5, 2 + count * 8][..], &blocks(count.into())].concat();
    let mut all: Vec<Vec<u8>> = vec![
        vec![],
        vec![0],
        vec![1, 1, 1, 1],
        vec![1, 1, 0, 1],
        vec![2, 4, 5, 0xb4],
        vec![3, 3, 14],
        vec![4, 2],
        sack(1),
        sack(2),
        sack(3),
        sack(4),
        vec![6, 6, 1, 2, 3, 4],
        vec![7, 6, 1, 2, 3, 4],
        vec![8, 10, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff],
        vec![11, 6, 0, 0, 0, 9],
        vec![12, 6, 0, 0, 0, 9],
        vec![13, 6, 0, 0, 0, 9],
        vec![14, 3, 1],
        vec![15, 4, 1, 2],
        [&[19, 18][..], &[0xab; 16]].concat(),
        [&[29, 16, 3, 7][..], &[0xcd; 12]].concat(),
        vec![28, 4, 0x80, 5],
        vec![28, 4, 0, 99],
        vec![20, 2],
        vec![27, 8, 1, 2, 3, 4, 5, 6],
        // Fast open: a request, a cookie, one of odd length, the experimental one.
        vec![34, 2],
        vec![34, 10, 1, 2, 3, 4, 5, 6, 7, 8],
        vec![34, 5, 1, 2, 3],
        vec![254, 4, 0xf9, 0x89],
        vec![254, 12, 0xf9, 0x89, 1, 2, 3, 4, 5, 6, 7, 8],
        vec![253, 6, 0xf9, 0x89, 1, 2],
        vec![254, 6, 1, 2, 3, 4],
        // Multipath: capable, join, address, remove, priority, fail, close.
        vec![30, 12, 0, 0x81, 1, 2, 3, 4, 5, 6, 7, 8],
        [&[30, 20, 1, 0x81][..], &[5; 16]].concat(),
        vec![30, 4, 1, 0x81],
        [&[30, 12, 0x10, 2][..], &[9; 8]].concat(),
        [&[30, 16, 0x10, 2][..], &[9; 12]].concat(),
        [&[30, 24, 0x10, 0][..], &[9; 20]].concat(),
        vec![30, 8, 0x20, 1, 0, 0, 0, 9],
        vec![30, 8, 0x34, 7, 192, 0, 2, 1],
        vec![30, 4, 0x40, 7],
        vec![30, 3, 0x51],
        vec![30, 4, 0x50, 7],
        [&[30, 12, 0x60, 0][..], &[3; 8]].concat(),
        [&[30, 12, 0x70, 0][..], &[3; 8]].concat(),
        vec![30, 4, 0x90, 0],
        // Kinds that nobody knows, and lengths that are wrong.
        vec![77, 6, 1, 2, 3, 4],
        vec![200, 2],
        vec![2, 3, 5],
        vec![2, 6, 5, 0xb4, 0, 0],
        vec![3, 4, 7, 0],
        vec![4, 3, 0],
        vec![5, 5, 1, 2, 3],
        vec![8, 6, 1, 2, 3, 4],
        vec![8, 40, 0, 0],
        vec![2, 0, 0, 0],
        vec![2, 1, 0, 0],
        vec![1, 1, 1, 2],
        vec![19, 10, 1, 2, 3, 4, 5, 6, 7, 8],
    ];
    all.push([&[2, 4, 5, 0xb4, 4, 2, 8, 10][..], &be32(&[1, 0]), &[1, 3, 3, 7]].concat());
    for options in all {
        for flags in [SYN, ACK] {
            file.push(
                Segment { options: options.clone(), ..segment(flags, 1, 9, b"") }.on_ethernet(),
            );
        }
    }
    file
}

/// Sequence numbers that begin again at 0.
fn wrap() -> Capture {
    let mut talk = Talk::new("tcp-wrap", false);
    talk.next = [u32::MAX - 1500, u32::MAX - 2];
    talk.begin();
    for _ in 0..4 {
        talk.send(0, PSH | ACK, &[b'w'; 1000]);
        talk.send(1, PSH | ACK, b"ok");
    }
    talk.send(0, FIN | ACK, b"");
    talk.send(1, FIN | ACK, b"");
    talk.send(0, ACK, b"");
    talk.file
}

fn broken() -> Capture {
    let mut file = Capture::new("tcp-broken", ETHERNET);
    let good = segment(ACK | PSH, 9, 10, b"payload").bytes(&A4, &B4);
    let with = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        Ip4::new(6).on_ethernet(&bytes)
    };
    file.push(with(16, 0));
    // Headers of 16 bytes, of 60, of none.
    file.push(with(12, 0x40));
    file.push(with(12, 0xf0));
    file.push(with(12, 0));
    for len in [0, 1, 4, 12, 14, 19] {
        file.push(Ip4::new(6).on_ethernet(&good[..len]));
    }
    // Ports that are no names, and those that have some.
    for (source, target) in [(0, 0), (80, 443), (22, 23), (65_535, 1), (53, 53)] {
        let mut one = segment(SYN, 1, 0, b"");
        one.ports = (source, target);
        file.push(one.on_ethernet());
    }
    // The same ends on both sides.
    let mut ip = Ip4::new(6);
    ip.target = ip.source;
    let mut one = segment(SYN, 100, 0, b"");
    one.ports = (7, 7);
    file.push(ip.on_ethernet(&one.bytes(&ip.source, &ip.target)));
    one.flags = ACK;
    one.ack = 101;
    one.seq = 101;
    file.push(ip.on_ethernet(&one.bytes(&ip.source, &ip.target)));
    // Joined in the middle of a connection, which begins anew later.
    for (flags, seq, ack) in [(ACK, 500, 900), (ACK, 600, 900), (SYN, 7, 0), (ACK, 8, 900)] {
        let mut one = segment(flags, seq, ack, b"1234");
        one.ports.0 = 50_000;
        file.push(one.on_ethernet());
    }
    let mut back = segment(ACK, 900, 604, b"back");
    back.ports = (8080, 50_000);
    file.push(back.on_ethernet());
    file
}

/// Connections that go on side by side.
fn many() -> Capture {
    let mut random = Random(5);
    let mut talks: Vec<Talk> = (0..20)
        .map(|number| {
            let mut talk = Talk::new("tcp-many", number % 3 == 0);
            talk.port = 50_000 + number;
            talk.next = [random.next() as u32, random.next() as u32];
            talk
        })
        .collect();
    for talk in &mut talks {
        talk.begin();
    }
    let mut file = Capture::new("tcp-many", ETHERNET);
    for _ in 0..300 {
        let at = random.next() as usize % talks.len();
        let (side, len) = (random.next() as usize % 2, random.next() as usize % 200);
        let payload = random.bytes(len);
        talks[at].send(side, ACK | PSH, &payload);
        let taken = talks[at].file.packets.remove(0);
        file.push(taken.data);
    }
    for talk in talks {
        for packet in talk.file.packets {
            file.push(packet.data);
        }
    }
    let mut odd = Ip4::new(6);
    odd.source = address("10.1.1.1");
    file.push(odd.on_ethernet(&segment(RST, 5, 0, b"").bytes(&odd.source, &odd.target)));
    file
}

/// A conversation on loopback.
pub fn loopback() -> Capture {
    let mut file = Capture::new("loopback", ETHERNET);
    let mut ip = Ip4::new(6);
    ip.source = [127, 0, 0, 1];
    ip.target = ip.source;
    for (flags, ports) in [(SYN, (46_712, 80)), (SYN | ACK, (80, 46_712)), (ACK, (46_712, 443))] {
        let mut one = segment(flags, 1, 1, b"");
        one.ports = ports;
        let mut frame = ip.on_ethernet(&one.bytes(&ip.source, &ip.target));
        frame[..12].fill(0);
        file.push(frame);
    }
    file
}
