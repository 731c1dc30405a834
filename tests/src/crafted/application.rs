//! HTTP, DNS, TLS, QUIC, DHCP, NTP.

use super::tcp::{ANSWER, REQUEST};
use super::wire::{
    ACK, Ip4, MAC_A, PSH, Random, address, address6, be16, be32, segment, udp4, udp6,
};
use super::{Capture, ETHERNET};

pub fn all() -> Vec<Capture> {
    vec![http(), dns(), dns_tcp(), tls(), quic(), dhcp(), ntp()]
}

/// A segment with this payload, from this port to that one.
fn sent(from: u16, to: u16, seq: u32, payload: &[u8]) -> Vec<u8> {
    let mut one = segment(ACK | PSH, seq, 1, payload);
    one.ports = (from, to);
    one.on_ethernet()
}

fn http() -> Capture {
    let mut file = Capture::new("http", ETHERNET);
    let mut seq = 1;
    let messages: &[&[u8]] = &[
        REQUEST,
        b"POST /form?a=1&b=2 HTTP/1.0\r\nHost: example.com\r\nContent-Length: 7\r\n\r\na=1&b=2",
        b"HEAD / HTTP/1.1\r\n\r\n",
        b"PUT /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        b"PATCH /x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"TRACE / HTTP/1.1\r\n\r\n",
        b"PROPFIND / HTTP/1.1\r\nDepth: 1\r\n\r\n",
        b"GET",
        b"GET ",
        b"GET /no-version\r\n",
        b"GET /unfinished HTTP/1.1\r\nHost: exa",
        b"get /lower HTTP/1.1\r\n\r\n",
        b"GETS / HTTP/1.1\r\n\r\n",
        b"GET /steer\x1b[2J\x07 HTTP/1.1\r\nX: \xc3\xa9\xff\x80\t\x00\r\n\r\n",
        b"no HTTP at all\r\n",
        b"\r\n\r\n",
        b"\0\x01\x02",
    ];
    for message in messages {
        for port in [80, 8080, 3128, 9999] {
            file.push(sent(40_000, port, seq, message));
        }
        seq += message.len() as u32;
    }
    let answers: &[&[u8]] = &[
        ANSWER,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 301 Moved Permanently\r\nLocation: http://example.com/\r\n\r\n",
        b"HTTP/1.1 500\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1",
        b"body goes on, no header\nsecond line\n",
        b"one two three four five\r\n",
    ];
    for answer in answers {
        for port in [80, 8080, 9999] {
            file.push(sent(port, 40_000, seq, answer));
        }
        seq += answer.len() as u32;
    }
    file
}

fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn question(text: &str, kind: u16, class: u16) -> Vec<u8> {
    [name(text), be16(&[kind, class])].concat()
}

fn record(name: &[u8], kind: u16, class: u16, life: u32, data: &[u8]) -> Vec<u8> {
    [name, &be16(&[kind, class]), &be32(&[life]), &be16(&[data.len() as u16]), data].concat()
}

fn message(id: u16, flags: u16, counts: [u16; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    [be16(&[id, flags]), be16(&counts), parts.concat()].concat()
}

/// The name of the question.
const SAME: [u8; 2] = [0xc0, 12];

fn answers() -> Vec<Vec<u8>> {
    let www = || question("www.example.com", 1, 1);
    let one = |kind: u16, data: &[u8]| {
        message(
            77,
            0x8180,
            [1, 1, 0, 0],
            &[question("www.example.com", kind, 1), record(&SAME, kind, 1, 300, data)],
        )
    };
    let mx = [&be16(&[10])[..], &[4], b"mail", &[0xc0, 16]].concat();
    let srv = [&be16(&[1, 2, 5060])[..], &name("sip.example.com")].concat();
    let soa = [name("ns.example.com"), name("root.example.com"), be32(&[2024, 7200, 3600, 9, 60])]
        .concat();
    let opt = record(&[0], 41, 1232, 0x8000, &[]);
    let cookie = record(&[0], 41, 4096, 0, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    vec![
        one(1, &address("192.0.2.80")),
        one(28, &address6("2001:db8::80")),
        one(5, &name("web.example.net")),
        one(2, &[2, b'n', b's', 0xc0, 16]),
        one(12, &name("host.example.org")),
        one(15, &mx),
        one(16, b"\x0bv=spf1 -all\x05other"),
        one(16, b"\x08\x1b[2J\x07\"\\\n"),
        one(33, &srv),
        one(6, &soa),
        one(13, b"\x03PDP\x04UNIX"),
        one(39, &name("d.example.net")),
        one(43, &[1, 2, 8, 2, 0xaa, 0xbb]),
        one(46, &[0; 24]),
        one(65, &[0, 1, 0, 0, 1, 0, 3, 2, b'h', b'2']),
        one(257, b"\0\x05issueletsencrypt.org"),
        one(65_280, &[1, 2, 3]),
        // Several of each part.
        message(
            9,
            0x8580,
            [1, 3, 1, 2],
            &[
                www(),
                record(&SAME, 5, 1, 60, &name("web.example.net")),
                record(&name("web.example.net"), 1, 1, 86_400, &address("192.0.2.1")),
                record(&name("web.example.net"), 1, 1, 90_061, &address("192.0.2.2")),
                record(&[0xc0, 16], 2, 1, 604_800, &name("ns.example.com")),
                record(&name("ns.example.com"), 1, 1, 2_592_000, &address("192.0.2.3")),
                opt.clone(),
            ],
        ),
        // Errors and flags.
        message(10, 0x8183, [1, 0, 1, 0], &[www(), record(&[0xc0, 16], 6, 1, 900, &soa)]),
        message(11, 0x8182, [1, 0, 0, 0], &[www()]),
        message(12, 0x8105, [1, 0, 0, 0], &[www()]),
        message(13, 0x8001, [1, 0, 0, 0], &[www()]),
        message(14, 0x8604, [1, 0, 0, 0], &[www()]),
        message(15, 0x8380, [1, 0, 0, 0], &[www()]),
        message(16, 0x81b0, [1, 0, 0, 1], &[www(), opt]),
        message(17, 0x8180, [1, 0, 0, 1], &[www(), cookie]),
        message(18, 0x818b, [1, 0, 0, 0], &[www()]),
        message(19, 0xa800, [1, 0, 0, 0], &[www()]),
        message(20, 0x8180, [0, 0, 0, 0], &[]),
        // A pointer to itself, one past the end, an answer that is cut.
        message(21, 0x8180, [1, 1, 0, 0], &[www(), record(&[0xc0, 33], 1, 1, 9, &[1, 2, 3, 4])]),
        message(22, 0x8180, [1, 1, 0, 0], &[www(), record(&[0xc3, 0xff], 1, 1, 9, &[1, 2, 3, 4])]),
        message(23, 0x8180, [1, 2, 0, 0], &[www(), record(&SAME, 1, 1, 9, &[1, 2, 3, 4])]),
        message(24, 0x8180, [1, 1, 0, 0], &[www(), record(&SAME, 1, 1, 9, &[1, 2])]),
    ]
}

fn queries() -> Vec<Vec<u8>> {
    let opt = record(&[0], 41, 1232, 0x8000, &[]);
    let mut all = Vec::new();
    for kind in
        [1_u16, 2, 5, 6, 12, 15, 16, 28, 33, 35, 43, 48, 64, 65, 99, 251, 252, 255, 257, 65_280]
    {
        all.push(message(kind, 0x0100, [1, 0, 0, 0], &[question("example.com", kind, 1)]));
    }
    all.push(message(1, 0, [1, 0, 0, 0], &[question("example.com", 1, 1)]));
    all.push(message(2, 0x0120, [1, 0, 0, 1], &[question("example.com", 1, 1), opt]));
    all.push(message(3, 0x0110, [1, 0, 0, 0], &[question("example.com", 28, 1)]));
    all.push(message(4, 0x0100, [1, 0, 0, 0], &[question("", 2, 1)]));
    all.push(message(5, 0x0100, [1, 0, 0, 0], &[question("version.bind", 16, 3)]));
    all.push(message(
        6,
        0x0100,
        [2, 0, 0, 0],
        &[question("a.example", 1, 1), question("b.example", 28, 1)],
    ));
    all.push(message(
        7,
        0x0100,
        [1, 1, 0, 0],
        &[question("a.example", 1, 1), record(&SAME, 1, 1, 5, &[1, 2, 3, 4])],
    ));
    all.push(message(
        8,
        0x2800,
        [1, 0, 1, 0],
        &[question("example.com", 6, 1), record(&SAME, 1, 255, 0, &[])],
    ));
    all.push(message(9, 0x1000, [1, 0, 0, 0], &[question("example.com", 1, 1)]));
    all.push(message(10, 0x2000, [1, 0, 0, 0], &[question("example.com", 6, 1)]));
    all.push(message(11, 0x0100, [1, 0, 0, 0], &[question("\u{1b}[2J.b\u{7}.c\\d", 1, 1)]));
    all.push(message(
        12,
        0x0100,
        [1, 0, 0, 0],
        &[question(&["x".repeat(63), "y".repeat(63)].join("."), 1, 1)],
    ));
    all.push(message(13, 0x0100, [1, 0, 0, 0], &[vec![3, b'a', b'b']]));
    all.push(message(14, 0x0100, [1, 0, 0, 0], &[]));
    all.push(message(15, 0x0100, [1, 0, 0, 0], &[vec![0x41, 1, 2, 3, 0, 0, 1, 0, 1]]));
    all.push(be16(&[16, 0x0100, 1]));
    all
}

fn dns() -> Capture {
    let mut file = Capture::new("dns", ETHERNET);
    for query in queries() {
        file.push(udp4(40_000, 53, &query));
    }
    for answer in answers() {
        file.push(udp4(53, 40_000, &answer));
    }
    file.push(udp6(40_000, 53, &queries()[0]));
    file.push(udp6(53, 40_000, &answers()[0]));
    // Multicast DNS.
    let local = message(0, 0, [1, 0, 0, 0], &[question("printer.local", 12, 0x8001)]);
    file.push(udp4(5353, 5353, &local));
    let flush = record(&name("printer.local"), 1, 0x8001, 120, &address("192.0.2.9"));
    file.push(udp4(5353, 5353, &message(0, 0x8400, [0, 1, 0, 0], &[flush])));
    file
}

fn dns_tcp() -> Capture {
    let mut file = Capture::new("dns-tcp", ETHERNET);
    let (query, answer) = (queries().remove(0), answers().remove(17));
    let long = |message: &[u8]| [&be16(&[message.len() as u16])[..], message].concat();
    file.push(sent(40_000, 53, 1, &long(&query)));
    file.push(sent(53, 40_000, 1, &long(&answer)));
    file.push(sent(40_000, 53, 50, &[long(&query), long(&query)].concat()));
    file.push(sent(53, 40_000, 300, &long(&answer)[..60]));
    file.push(sent(53, 40_000, 360, &[0]));
    file
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&be16(&[kind, data.len() as u16])[..], data].concat()
}

/// A handshake message in a record.
fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = body.len() as u32;
    let message = [&[kind], &len.to_be_bytes()[1..], body].concat();
    [&[22, 3, 1][..], &be16(&[message.len() as u16]), &message].concat()
}

pub fn client_hello(host: &str) -> Vec<u8> {
    let random = Random(3).bytes(64);
    let names = {
        let one = [&[0][..], &be16(&[host.len() as u16]), host.as_bytes()].concat();
        [be16(&[one.len() as u16]), one].concat()
    };
    let extensions = [
        extension(0, &names),
        extension(16, b"\0\x0c\x02h2\x08http/1.1"),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(10, &be16(&[4, 29, 23])),
        extension(13, &be16(&[4, 0x0403, 0x0804])),
        extension(51, &[&be16(&[36, 29, 32])[..], &random[..32]].concat()),
        extension(0x0a0a, &[]),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &random[..32],
        &[32],
        &random[32..],
        &be16(&[6, 0x1301, 0x1302, 0xc02f]),
        &[1, 0],
        &be16(&[extensions.len() as u16]),
        &extensions,
    ]
    .concat();
    handshake(1, &body)
}

fn tls() -> Capture {
    let mut file = Capture::new("tls", ETHERNET);
    let hello = client_hello("www.example.com");
    let random = Random(4).bytes(32);
    let extensions = [extension(43, &[3, 4]), extension(16, b"\0\x03\x02h2")].concat();
    let server = [
        &[3, 3][..],
        &random,
        &[0],
        &be16(&[0x1301]),
        &[0],
        &be16(&[extensions.len() as u16]),
        &extensions,
    ]
    .concat();
    file.push(sent(40_000, 443, 1, &hello));
    file.push(sent(443, 40_000, 1, &[handshake(2, &server), vec![20, 3, 3, 0, 1, 1]].concat()));
    file.push(sent(40_000, 443, 400, &[&[23, 3, 3, 0, 16][..], &random[..16]].concat()));
    file.push(sent(40_000, 443, 421, &[21, 3, 3, 0, 2, 1, 0]));
    // In two segments, with a name that wants to steer a terminal, without extensions, wrong.
    file.push(sent(40_001, 443, 1, &hello[..90]));
    file.push(sent(40_001, 443, 91, &hello[90..]));
    file.push(sent(40_002, 8443, 1, &client_hello("\u{1b}[2Jsteer\u{7}")));
    file.push(sent(40_003, 443, 1, &hello[..44]));
    let mut wrong = hello.clone();
    wrong[3..5].fill(0xff);
    file.push(sent(40_004, 443, 1, &wrong));
    wrong[43] = 255;
    file.push(sent(40_005, 443, 1, &wrong));
    file
}

fn quic() -> Capture {
    let mut file = Capture::new("quic", ETHERNET);
    let random = Random(6).bytes(1200);
    let long = |first: u8, version: u32, target: usize, source: usize, rest: &[u8]| {
        [
            &[first][..],
            &be32(&[version]),
            &[target as u8],
            &random[..target],
            &[source as u8],
            &random[20..20 + source],
            rest,
        ]
        .concat()
    };
    // Initial: a token of no length, then the length of the rest.
    let initial = [&[0, 0x44, 0x80][..], &random[..1152]].concat();
    for version in [1, 0x6b33_43cf, 0xff00_001d, 0x0a0a_0a0a] {
        file.push(udp4(50_000, 443, &long(0xc3, version, 8, 0, &initial)));
        file.push(udp4(443, 50_000, &long(0xc0, version, 0, 8, &initial)));
    }
    let with_token = [&[4, 1, 2, 3, 4, 0x40, 0x20][..], &random[..32]].concat();
    file.push(udp4(50_000, 443, &long(0xc1, 1, 20, 20, &with_token)));
    let rest = [&[0x40, 0x20][..], &random[..32]].concat();
    file.push(udp4(50_000, 443, &long(0xd1, 1, 8, 8, &rest)));
    file.push(udp4(443, 50_000, &long(0xe1, 1, 8, 8, &rest)));
    file.push(udp4(443, 50_000, &long(0xf0, 1, 8, 8, &random[..60])));
    // Two in one datagram; version negotiation; a short header.
    let short_initial = [&[0, 0x40, 0x20][..], &random[..32]].concat();
    let two = [long(0xc1, 1, 8, 8, &short_initial), long(0xe1, 1, 8, 8, &rest)].concat();
    file.push(udp4(443, 50_000, &two));
    file.push(udp4(443, 50_000, &long(0x80, 0, 8, 8, &be32(&[1, 0x6b33_43cf]))));
    file.push(udp4(50_000, 443, &[&[0x41][..], &random[..40]].concat()));
    file.push(udp6(50_000, 443, &long(0xc3, 1, 8, 0, &initial)));
    // Lengths that are wrong.
    file.push(udp4(50_000, 443, &long(0xc3, 1, 8, 0, &[0x7f, 0xff])));
    let mut odd = long(0xc3, 1, 8, 0, &initial);
    odd[5] = 255;
    file.push(udp4(50_000, 443, &odd));
    file
}

/// A message of DHCP: from a client or to one, with these options.
fn dhcp_message(reply: bool, offered: [u8; 4], options: &[u8]) -> Vec<u8> {
    let mut bytes = vec![if reply { 2 } else { 1 }, 1, 6, 0];
    bytes.extend(be32(&[0x3903_f326]));
    bytes.extend(be16(&[u16::from(!reply) * 3, if reply { 0 } else { 0x8000 }]));
    bytes.extend(
        [[0; 4], offered, if reply { address("192.0.2.254") } else { [0; 4] }, [0; 4]].concat(),
    );
    bytes.extend(MAC_A);
    bytes.extend([0; 10 + 64 + 128]);
    bytes.extend([0x63, 0x82, 0x53, 0x63]);
    bytes.extend(options);
    bytes.push(255);
    bytes
}

fn dhcp() -> Capture {
    let mut file = Capture::new("dhcp", ETHERNET);
    let client = |payload: &[u8]| {
        let whole = udp4(68, 67, payload);
        let ip = Ip4 { source: [0; 4], target: [255; 4], ttl: 64, ..Ip4::new(17) };
        let mut datagram = whole[34..].to_vec();
        datagram[6..8].fill(0);
        ip.on_ethernet(&datagram)
    };
    let server = |payload: &[u8]| udp4(67, 68, payload);
    let asked = [55, 6, 1, 3, 6, 15, 26, 121];
    let host = b"\x0c\x06laptop";
    let given = [
        &[54, 4, 192, 0, 2, 254][..],
        &[51, 4, 0, 0, 0x0e, 0x10],
        &[58, 4, 0, 0, 7, 8],
        &[59, 4, 0, 0, 0x0c, 0x4e],
        &[1, 4, 255, 255, 255, 0],
        &[28, 4, 192, 0, 2, 255],
        &[3, 4, 192, 0, 2, 1],
        &[6, 8, 192, 0, 2, 53, 192, 0, 2, 54],
        b"\x0f\x0bexample.com",
        &[26, 2, 5, 0xdc],
    ]
    .concat();
    let id = [&[61, 7, 1][..], &MAC_A].concat();
    file.push(client(&dhcp_message(false, [0; 4], &[&[53, 1, 1][..], &id, &asked, host].concat())));
    file.push(server(&dhcp_message(
        true,
        address("192.0.2.100"),
        &[&[53, 1, 2][..], &given].concat(),
    )));
    let wanted =
        [&[53, 1, 3, 50, 4, 192, 0, 2, 100, 54, 4, 192, 0, 2, 254][..], &id, &asked, host].concat();
    file.push(client(&dhcp_message(false, [0; 4], &wanted)));
    file.push(server(&dhcp_message(
        true,
        address("192.0.2.100"),
        &[&[53, 1, 5][..], &given].concat(),
    )));
    file.push(server(&dhcp_message(
        true,
        [0; 4],
        &[&[53, 1, 6, 54, 4, 192, 0, 2, 254][..], b"\x38\x04busy"].concat(),
    )));
    for kind in [4, 7, 8, 9] {
        file.push(client(&dhcp_message(false, [0; 4], &[53, 1, kind])));
    }
    // Vendor's class, size, overload, routes without classes, unknown, wrong lengths.
    let more = [
        &[53, 1, 1][..],
        b"\x3c\x08MSFT 5.0",
        &[57, 2, 5, 0xdc],
        &[52, 1, 3],
        &[121, 8, 24, 10, 0, 0, 192, 0, 2, 1],
        &[116, 1, 1],
        &[0, 0],
        b"\x43\x04boot",
        &[200, 3, 1, 2, 3],
        &[81, 6, 1, 0, 0, b'a', b'b', b'c'],
        &[42, 4, 192, 0, 2, 123],
    ]
    .concat();
    file.push(client(&dhcp_message(false, [0; 4], &more)));
    file.push(client(&dhcp_message(false, [0; 4], &[53, 2, 1, 1, 51, 3, 0, 0, 1])));
    file.push(client(&dhcp_message(false, [0; 4], &[53, 1, 1, 12, 200, b'x'])));
    file.push(client(&dhcp_message(false, [0; 4], b"\x35\x01\x01\x0c\x06\x1b[2J\x07!")));
    // Without options, and without the cookie: BOOTP.
    file.push(client(&dhcp_message(false, [0; 4], &[])));
    let mut bootp = dhcp_message(true, address("192.0.2.5"), &[]);
    bootp[236..].fill(0);
    bootp[44..50].copy_from_slice(b"server");
    bootp[108..116].copy_from_slice(b"boot.img");
    file.push(server(&bootp));
    let mut odd = dhcp_message(false, [0; 4], &[53, 1, 1]);
    (odd[0], odd[1], odd[2]) = (9, 6, 200);
    file.push(client(&odd));
    file
}

fn ntp() -> Capture {
    let mut file = Capture::new("ntp", ETHERNET);
    let times = |seconds: u32| be32(&[seconds, 0x8000_0000]);
    let packet = |first: u8, stratum: u8, poll: u8, precision: u8, id: [u8; 4]| {
        [
            &[first, stratum, poll, precision][..],
            &be32(&[0x0000_0800, 0x0000_1000]),
            &id,
            &times(3_926_234_000),
            &times(3_926_234_090),
            &times(3_926_234_091),
            &be32(&[3_926_234_091, 0xc000_0000]),
        ]
        .concat()
    };
    file.push(udp4(40_000, 123, &packet(0x23, 0, 6, 0xec, [0; 4])));
    file.push(udp4(123, 40_000, &packet(0x24, 1, 6, 0xe9, *b"GPS\0")));
    file.push(udp4(123, 123, &packet(0x24, 2, 10, 0xe9, [192, 0, 2, 123])));
    file.push(udp4(123, 123, &packet(0xe4, 0, 0, 0, *b"RATE")));
    file.push(udp4(123, 123, &packet(0x64, 16, 17, 0, *b"\x1b[2J")));
    file.push(udp6(123, 123, &packet(0x1b, 3, 4, 0xfa, [10, 0, 0, 1])));
    for first in [0x11, 0x1a, 0x25, 0xa6, 0x27, 0x08, 0x38] {
        file.push(udp4(123, 123, &packet(first, 1, 6, 0xec, *b"LOCL")));
    }
    // A client that knows no time yet, with a key, with a digest, too long, too short.
    let mut zero = vec![0x23, 0, 6, 0xec];
    zero.extend([0; 36]);
    zero.extend(times(3_926_234_000));
    file.push(udp4(123, 123, &zero));
    for more in [4, 20, 24, 7, 64] {
        file.push(udp4(123, 123, &[packet(0x24, 2, 6, 0xec, [1; 4]), vec![5; more]].concat()));
    }
    for len in [0, 1, 4, 16, 40, 47] {
        file.push(udp4(123, 123, &packet(0x24, 2, 6, 0xec, [1; 4])[..len]));
    }
    // A control message.
    file.push(udp4(123, 123, &[0x16, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 4, b'a', b'=', b'1', b',']));
    file
}
