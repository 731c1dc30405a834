//! The captures that dissection is judged on: of every protocol, with what they can have.

use super::build::*;

/// All of them.
pub fn all() -> Vec<Capture> {
    let (tcp, application) = (tcp(), application());
    let mut all = vec![
        link(),
        ip(),
        icmp(),
        tcp.clone(),
        analysis(),
        http(),
        application.clone(),
        tunnel(),
        null(),
        loopback(),
        raw(),
        sll(),
        sll2(),
    ];
    all.push(tcp.cut("tcp-cut-60", 60));
    all.push(tcp.cut("tcp-cut-30", 30));
    all.push(application.cut("application-cut-70", 70));
    all.push(application.cut("application-cut-52", 52));
    all.push(link().cut("link-cut-20", 20));
    all.push(icmp().cut("icmp-cut-50", 50));
    all
}

fn arp(op: u16, from: [u8; 6], ip: [u8; 4], to: [u8; 6], other: [u8; 4]) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4];
    [&head[..], &op.to_be_bytes(), &from, &ip, &to, &other].concat()
}

fn link() -> Capture {
    let mut capture = Capture::new("link", ETHERNET);
    let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let all = [0xff; 6];
    let mut padded = frame(MAC_A, all, 0x0806, &arp(1, MAC_A, a, [0; 6], b));
    padded.resize(60, 0);
    capture.add(padded);
    capture.add(frame(MAC_B, MAC_A, 0x0806, &arp(2, MAC_B, b, MAC_A, a)));
    capture.add(frame(MAC_A, all, 0x0806, &arp(1, MAC_A, a, [0; 6], a)));
    capture.add(frame(MAC_A, all, 0x0806, &arp(2, MAC_A, a, [0; 6], a)));
    capture.add(frame(MAC_A, all, 0x0806, &arp(1, MAC_A, [0; 4], [0; 6], a)));
    capture.add(frame(MAC_A, all, 0x0806, &arp(3, MAC_A, a, MAC_A, a)));
    let udp = Ip4::default().udp(1000, 9999, b"hello");
    capture.add(eth(0x8100, &[&[0x20, 7, 8, 0], &udp[..]].concat()));
    capture.add(eth(0x88a8, &[&[0xf0, 100, 0x81, 0, 0, 7, 8, 0], &udp[..]].concat()));
    capture.add(eth(0x8100, &[&[0, 5, 8, 6], &arp(1, MAC_A, a, [0; 6], b)[..]].concat()));
    capture.add(eth(0x1234, b"of no known kind"));
    capture.add(eth(0x88b5, b"experimental"));
    let mut padded = eth(0x0800, &Ip4::default().udp(1000, 9999, b"x"));
    padded.resize(60, 0);
    capture.add(padded);
    let mut trailer = eth(0x0800, &Ip4::default().udp(1000, 9999, &[b'y'; 40]));
    trailer.extend(b"behind");
    capture.add(trailer);
    capture
}

fn ip() -> Capture {
    let mut capture = Capture::new("ip", ETHERNET);
    let ip = Ip4::default();
    capture.add(eth(0x0800, &Ip4 { tos: 0xb9, ttl: 1, ..ip.clone() }.udp(5000, 6000, b"tos")));
    capture.add(eth(0x0800, &Ip4 { fragment: 0x2000, ..ip.clone() }.with(17, &[1; 24])));
    capture.add(eth(0x0800, &Ip4 { fragment: 0x0003, ..ip.clone() }.with(17, &[2; 24])));
    let options = vec![0x94, 4, 0, 0];
    capture.add(eth(0x0800, &Ip4 { options, ..ip.clone() }.udp(5000, 6000, b"router alert")));
    let options = vec![7, 11, 4, 10, 0, 0, 9, 0, 0, 0, 0, 0];
    capture.add(eth(0x0800, &Ip4 { options, ..ip.clone() }.udp(5000, 6000, b"record route")));
    capture.add(eth(0x0800, &ip.with(99, b"of no known kind")));
    let mut broken = ip.udp(5000, 6000, b"a wrong checksum");
    broken[10] ^= 1;
    capture.add(eth(0x0800, &broken));
    let mut short = ip.udp(5000, 6000, b"shorter than it says");
    short.truncate(30);
    capture.add(eth(0x0800, &short));
    let mut header = ip.udp(5000, 6000, b"a bad header");
    header[0] = 0x43;
    capture.add(eth(0x0800, &header));
    let ip = Ip6::default();
    capture.add(eth(0x86dd, &Ip6 { class: 0xb8, ..ip.clone() }.udp(5000, 6000, b"six")));
    let inner = ip.udp(5000, 6000, b"inside")[40..].to_vec();
    let hop = [&[17, 0, 5, 2, 0, 0, 1, 0][..], &inner].concat();
    capture.add(eth(0x86dd, &ip.with(0, &hop)));
    let fragment = [&[17, 0, 0, 1, 0, 0, 0, 9][..], &inner].concat();
    capture.add(eth(0x86dd, &ip.with(44, &fragment)));
    let fragment = [&[17, 0, 0, 0x10, 0, 0, 0, 9][..], &inner].concat();
    capture.add(eth(0x86dd, &ip.with(44, &fragment)));
    let routing = [&[17, 2, 4, 0, 0, 0, 0, 0][..], &v6("2001:db8::9"), &inner].concat();
    capture.add(eth(0x86dd, &ip.with(43, &routing)));
    let options = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &inner].concat();
    capture.add(eth(0x86dd, &ip.with(60, &options)));
    capture.add(eth(0x86dd, &ip.with(59, b"nothing next")));
    capture.add(eth(0x86dd, &ip.with(99, b"of no known kind")));
    let multicast = Ip6 { from: v6("fe80::1"), to: v6("ff02::1"), ..ip };
    capture.add(frame(MAC_A, [0x33, 0x33, 0, 0, 0, 1], 0x86dd, &multicast.udp(5000, 6000, b"all")));
    let group = Ip4 { to: [239, 1, 2, 3], ..Ip4::default() };
    capture.add(frame(MAC_A, [1, 0, 0x5e, 1, 2, 3], 0x0800, &group.udp(5000, 6000, b"group")));
    capture
}

fn icmp() -> Capture {
    let mut capture = Capture::new("icmp", ETHERNET);
    let ip = Ip4::default();
    let echo = |id: u16, seq: u16| {
        let payload: Vec<u8> = (0..40).collect();
        [&id.to_be_bytes()[..], &seq.to_be_bytes(), &payload].concat()
    };
    capture.add(eth(0x0800, &ip.icmp(8, 0, &echo(7, 1))));
    capture.add(frame(MAC_B, MAC_A, 0x0800, &ip.back().icmp(0, 0, &echo(7, 1))));
    capture.add(eth(0x0800, &ip.icmp(8, 0, &echo(7, 2))));
    let lost = ip.udp(4000, 4001, b"nobody is there");
    let unreachable = [&[0; 4], &lost[..28]].concat();
    for code in [0, 1, 3, 13] {
        capture.add(eth(0x0800, &ip.icmp(3, code, &unreachable)));
    }
    let segment =
        ip.tcp(&Tcp { from: 4000, to: 80, seq: 5, flags: SYN, window: 100, ..Tcp::default() });
    capture.add(eth(0x0800, &ip.icmp(3, 4, &[&[0, 0, 5, 0xdc], &segment[..28]].concat())));
    capture.add(eth(0x0800, &ip.icmp(11, 0, &unreachable)));
    capture.add(eth(0x0800, &ip.icmp(5, 1, &[&[10, 0, 0, 9], &lost[..28]].concat())));
    capture.add(eth(0x0800, &ip.icmp(12, 0, &[&[8, 0, 0, 0], &lost[..28]].concat())));
    capture.add(eth(0x0800, &ip.icmp(13, 0, &[0, 7, 0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0])));
    let mut wrong = eth(0x0800, &ip.icmp(8, 0, &echo(8, 1)));
    wrong[36] ^= 1;
    capture.add(wrong);
    let six = Ip6::default();
    let local = Ip6 { from: v6("fe80::1"), to: v6("ff02::1:ff00:2"), hops: 255, ..six.clone() };
    let target = v6("fe80::2");
    let source = [1, 1, 2, 0, 0, 0, 0, 1];
    capture.add(eth(0x86dd, &six.icmp(128, 0, &echo(9, 1))));
    capture.add(frame(MAC_B, MAC_A, 0x86dd, &six.back().icmp(129, 0, &echo(9, 1))));
    capture.add(eth(0x86dd, &local.icmp(135, 0, &[&[0; 4], &target[..], &source].concat())));
    let answer = Ip6 { from: target, to: v6("fe80::1"), ..local.clone() };
    let link = [2, 1, 2, 0, 0, 0, 0, 2];
    capture
        .add(eth(0x86dd, &answer.icmp(136, 0, &[&[0x60, 0, 0, 0], &target[..], &link].concat())));
    let routers = Ip6 { to: v6("ff02::2"), ..local.clone() };
    capture.add(eth(0x86dd, &routers.icmp(133, 0, &[&[0; 4], &source[..]].concat())));
    let nodes = Ip6 { to: v6("ff02::1"), ..local.clone() };
    let mtu = [5, 1, 0, 0, 0, 0, 5, 0xdc];
    let prefix =
        [&[3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0][..], &v6("2001:db8::")]
            .concat();
    let advert = [64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    capture.add(eth(0x86dd, &nodes.icmp(134, 0, &[&advert[..], &source, &mtu, &prefix].concat())));
    let lost = six.udp(4000, 4001, b"nobody is there");
    capture.add(eth(0x86dd, &six.icmp(1, 4, &[&[0; 4], &lost[..]].concat())));
    capture.add(eth(0x86dd, &six.icmp(2, 0, &[&[0, 0, 5, 0], &lost[..]].concat())));
    capture.add(eth(0x86dd, &six.icmp(3, 0, &[&[0; 4], &lost[..]].concat())));
    let group = v6("ff02::fb");
    let record = [&[0, 0, 0, 1, 4, 0, 0, 0][..], &group].concat();
    let hop = [58, 0, 5, 2, 0, 0, 1, 0];
    let listeners = Ip6 { to: v6("ff02::16"), hops: 1, ..local.clone() };
    let report = listeners.icmp_body(143, 0, &record);
    capture.add(eth(0x86dd, &listeners.with(0, &[&hop[..], &report].concat())));
    let query = [&[0x27, 0x10, 0, 0][..], &[0; 16], &[2, 125, 0, 0]].concat();
    let query = Ip6 { hops: 1, ..nodes.clone() }.icmp_body(130, 0, &query);
    capture.add(eth(0x86dd, &Ip6 { hops: 1, ..nodes }.with(0, &[&hop[..], &query].concat())));
    let group = Ip4 { to: [224, 0, 0, 1], ttl: 1, options: vec![0x94, 4, 0, 0], ..ip };
    capture.add(eth(0x0800, &group.igmp(vec![0x11, 100, 0, 0, 0, 0, 0, 0])));
    let any = [239, 1, 2, 3];
    capture.add(eth(
        0x0800,
        &Ip4 { to: any, ..group.clone() }.igmp([&[0x16, 0, 0, 0], &any[..]].concat()),
    ));
    capture.add(eth(
        0x0800,
        &Ip4 { to: [224, 0, 0, 2], ..group.clone() }.igmp([&[0x17, 0, 0, 0], &any[..]].concat()),
    ));
    capture.add(eth(
        0x0800,
        &Ip4 { to: any, ..group.clone() }.igmp([&[0x12, 0, 0, 0], &any[..]].concat()),
    ));
    capture.add(eth(
        0x0800,
        &group.igmp(vec![0x11, 100, 0, 0, 239, 1, 2, 3, 2, 125, 0, 1, 10, 0, 0, 7]),
    ));
    let report = [
        &[0x22, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0][..],
        &any,
        &[3, 0, 0, 1, 239, 9, 9, 9, 10, 0, 0, 7],
    ];
    capture.add(eth(0x0800, &Ip4 { to: [224, 0, 0, 22], ..group }.igmp(report.concat())));
    capture
}

fn tcp() -> Capture {
    let mut capture = Capture::new("tcp", ETHERNET);
    let flow = Flow::new(40_000, 9_000);
    flow.open(&mut capture);
    let stamps = [1, 1, 8, 10, 0, 1, 0, 5, 0, 1, 0, 1];
    capture.add(flow.out_with(PSH | ACK, 1, 1, b"hello server", 502, &stamps));
    capture.add(flow.back_with(ACK, 1, 13, &[], 509, &stamps));
    capture.add(flow.back_with(PSH | ACK, 1, 13, b"hello client\r\n\x1b[31m", 509, &stamps));
    capture.add(flow.out_with(ACK, 13, 20, &[], 502, &stamps));
    capture.add(flow.out_with(FIN | ACK, 13, 20, &[], 502, &stamps));
    capture.add(flow.back_with(FIN | ACK, 20, 14, &[], 509, &stamps));
    capture.add(flow.out_with(ACK, 14, 21, &[], 502, &stamps));
    // Refused.
    let closed = Flow::new(40_001, 9_001);
    capture.add(closed.out(SYN, 0, 0, &[]));
    capture.add(closed.back_with(RST | ACK, 0, 1, &[], 0, &[]));
    // All flags, urgent data, and each kind of option.
    let odd = Flow { client_begin: 0, server_begin: 0, ..Flow::new(40_002, 9_002) };
    odd.open_with(&mut capture, &[2, 4, 5, 0xb4]);
    let urgent = Tcp {
        from: 40_002,
        to: 9_002,
        seq: 1,
        ack: 1,
        flags: URG | ACK | PSH | 0xc0,
        window: 500,
        urgent: 3,
        options: vec![],
        payload: b"urgent".to_vec(),
    };
    capture.add(eth(0x0800, &odd.ip.tcp(&urgent)));
    capture.add(odd.out_with(0x1f8, 7, 1, &[], 500, &[]));
    capture.add(odd.out_with(0, 7, 1, &[], 500, &[]));
    capture.add(odd.out_with(0xe10, 7, 1, &[], 500, &[]));
    let sack = [1, 1, 5, 18, 0, 0, 0, 20, 0, 0, 0, 30, 0, 0, 0, 40, 0, 0, 0, 50];
    capture.add(odd.back_with(ACK, 1, 7, &[], 500, &sack));
    capture.add(odd.out_with(ACK, 8, 1, b"x", 500, &[77, 4, 1, 2]));
    capture.add(odd.out_with(ACK, 9, 1, b"x", 500, &[34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0]));
    capture.add(odd.out_with(ACK, 10, 1, b"x", 500, &[253, 4, 0x12, 0x34]));
    capture.add(odd.out_with(ACK, 11, 1, b"x", 500, &[28, 4, 0x80, 5]));
    capture.add(odd.out_with(ACK, 12, 1, b"x", 500, &[8, 0, 1, 1]));
    capture.add(odd.out_with(ACK, 13, 1, b"x", 500, &[3, 9, 1, 1]));
    let mut small = odd.out(ACK, 14, 1, b"bad offset");
    small[46] = 0x30;
    capture.add(small);
    // In the middle of a connection that nobody saw begin.
    let late = Flow::new(40_003, 9_003);
    capture.add(late.out(PSH | ACK, 500, 900, b"late"));
    capture.add(late.back(PSH | ACK, 900, 504, b"later"));
    capture.add(late.out(ACK, 504, 905, &[]));
    capture.add(late.out(RST, 504, 0, &[]));
    // IPv6.
    let six = Ip6::default();
    let segment = |flags, seq, ack, payload: &[u8], options: &[u8]| Tcp {
        from: 50_000,
        to: 9_006,
        seq,
        ack,
        flags,
        window: 1_000,
        urgent: 0,
        options: options.to_vec(),
        payload: payload.to_vec(),
    };
    let turned = |mut tcp: Tcp| {
        std::mem::swap(&mut tcp.from, &mut tcp.to);
        tcp
    };
    capture.add(eth(0x86dd, &six.tcp(&segment(SYN, 77, 0, &[], &SYN_OPTIONS))));
    let answer = turned(segment(SYN | ACK, 99, 78, &[], &SYN_OPTIONS));
    capture.add(frame(MAC_B, MAC_A, 0x86dd, &six.back().tcp(&answer)));
    capture.add(eth(0x86dd, &six.tcp(&segment(ACK, 78, 100, &[], &[]))));
    capture.add(eth(0x86dd, &six.tcp(&segment(PSH | ACK, 78, 100, b"six", &[]))));
    capture
}

fn analysis() -> Capture {
    let mut capture = Capture::new("analysis", ETHERNET);
    let kilo = [b'k'; 1000];
    // A gap, duplicate acknowledgements, and what is sent again fast.
    let flow = Flow::new(41_000, 9_100);
    flow.open(&mut capture);
    capture.add(flow.back(ACK, 1, 1, &kilo));
    capture.add(flow.out(ACK, 1, 1001, &[]));
    capture.add(flow.back(ACK, 2001, 1, &kilo));
    capture.add(flow.out(ACK, 1, 1001, &[]));
    capture.add(flow.back(ACK, 3001, 1, &kilo));
    capture.add(flow.out(ACK, 1, 1001, &[]));
    capture.add(flow.back(ACK, 4001, 1, &kilo));
    capture.add(flow.out(ACK, 1, 1001, &[]));
    capture.add(flow.back(ACK, 1001, 1, &kilo));
    capture.add(flow.out(ACK, 1, 5001, &[]));
    capture.add(flow.back(ACK, 2001, 1, &kilo));
    // Sent again after its timer.
    let again = Flow::new(41_001, 9_101);
    again.open(&mut capture);
    capture.add(again.out(PSH | ACK, 1, 1, b"once"));
    capture.wait(200_000);
    capture.add(again.out(PSH | ACK, 1, 1, b"once"));
    capture.wait(400_000);
    capture.add(again.out(PSH | ACK, 1, 1, b"once"));
    capture.add(again.back(ACK, 1, 5, &[]));
    capture.wait(100_000);
    capture.add(again.out(PSH | ACK, 1, 1, b"once"));
    // SYN again.
    let syn = Flow::new(41_002, 9_102);
    capture.add(syn.out(SYN, 0, 0, &[]));
    capture.wait(1_000_000);
    capture.add(syn.out(SYN, 0, 0, &[]));
    capture.wait(2_000_000);
    capture.add(syn.back(SYN | ACK, 0, 1, &[]));
    capture.add(syn.back(SYN | ACK, 0, 1, &[]));
    // Out of order: the missing one comes at once.
    let order = Flow::new(41_003, 9_103);
    order.open(&mut capture);
    capture.wait(100_000);
    capture.add(order.out(ACK, 1001, 1, &kilo));
    capture.add(order.out(ACK, 1, 1, &kilo));
    capture.add(order.back(ACK, 1, 2001, &[]));
    // A window that fills and closes, a probe, an update.
    let window = Flow { window: 4, ..Flow::new(41_004, 9_104) };
    window.open_with(&mut capture, &[2, 4, 5, 0xb4, 1, 3, 3, 8]);
    capture.add(window.out(ACK, 1, 1, &kilo));
    capture.add(window.out(ACK, 1001, 1, &kilo[..24]));
    capture.add(window.back_with(ACK, 1, 1025, &[], 0, &[]));
    capture.wait(200_000);
    capture.add(window.out(ACK, 1025, 1, b"p"));
    capture.add(window.back_with(ACK, 1, 1025, &[], 0, &[]));
    capture.wait(400_000);
    capture.add(window.out(ACK, 1025, 1, b"p"));
    capture.add(window.back_with(ACK, 1, 1025, &[], 0, &[]));
    capture.add(window.back_with(ACK, 1, 1025, &[], 4, &[]));
    capture.add(window.out(ACK, 1025, 1, &kilo));
    capture.add(window.back_with(ACK, 1, 2025, &[], 4, &[]));
    // Keep-alive and its answer.
    capture.wait(1_000_000);
    capture.add(window.out(ACK, 2024, 1, &[]));
    capture.add(window.back_with(ACK, 1, 2025, &[], 4, &[]));
    capture.add(window.out(ACK, 2024, 1, b"k"));
    capture.add(window.back_with(ACK, 1, 2025, &[], 4, &[]));
    // The same ports again.
    let reuse = Flow::new(41_005, 9_105);
    reuse.open(&mut capture);
    capture.add(reuse.out(RST | ACK, 1, 1, &[]));
    let reuse = Flow { client_begin: 5_000_000, ..reuse };
    reuse.open(&mut capture);
    capture.add(reuse.out(PSH | ACK, 1, 1, b"again"));
    capture.add(reuse.back(FIN | ACK, 1, 6, &[]));
    capture.add(reuse.back(FIN | ACK, 1, 6, &[]));
    // An acknowledgement of what nobody saw.
    let unseen = Flow::new(41_006, 9_106);
    unseen.open(&mut capture);
    capture.add(unseen.out(ACK, 1, 3001, &[]));
    capture.add(unseen.back(ACK, 3001, 1, b"after it"));
    capture.add(unseen.back(ACK, 1, 1, b"before it"));
    capture
}

fn http() -> Capture {
    let mut capture = Capture::new("http", ETHERNET);
    let flow = Flow::new(42_000, 80);
    flow.open(&mut capture);
    let get = b"GET /index.html?q=1 HTTP/1.1\r\nHost: example.test\r\nUser-Agent: curl/8.0\r\n\
        Accept: */*\r\nCookie: a=b\r\nX-Own: value\r\n\r\n";
    capture.add(flow.out(PSH | ACK, 1, 1, get));
    let mut seq = 1 + get.len() as u32;
    capture.add(flow.back(ACK, 1, seq, &[]));
    let body = "<html>\n<p>hello</p>\n</html>\n";
    let ok = format!(
        "HTTP/1.1 200 OK\r\nServer: test/1\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
         Content-Type: text/html\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    capture.add(flow.back(PSH | ACK, 1, seq, ok.as_bytes()));
    let mut ack = 1 + ok.len() as u32;
    capture.add(flow.out(ACK, seq, ack, &[]));
    let post =
        b"POST /form HTTP/1.1\r\nHost: example.test\r\nContent-Type: application/octet-stream\r\n\
        Content-Length: 5\r\n\r\nhello";
    capture.add(flow.out(PSH | ACK, seq, ack, post));
    seq += post.len() as u32;
    let moved = b"HTTP/1.1 301 Moved Permanently\r\nLocation: http://other.test/\r\n\
        Content-Length: 0\r\n\r\n";
    capture.add(flow.back(PSH | ACK, ack, seq, moved));
    ack += moved.len() as u32;
    let head = b"HEAD /none HTTP/1.0\r\nConnection: close\r\n\r\n";
    capture.add(flow.out(PSH | ACK, seq, ack, head));
    seq += head.len() as u32;
    let none = b"HTTP/1.0 404 Not Found\r\nConnection: close\r\n\r\n";
    capture.add(flow.back(PSH | ACK, ack, seq, none));
    let proxy = Flow::new(42_001, 8080);
    proxy.open(&mut capture);
    capture.add(proxy.out(
        PSH | ACK,
        1,
        1,
        b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n",
    ));
    let not = Flow::new(42_002, 80);
    not.open(&mut capture);
    capture.add(not.out(PSH | ACK, 1, 1, b"\x00\x01\x02 this is not HTTP"));
    capture
}

/// A name as DNS writes it.
fn name(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

fn question(text: &str, kind: u16) -> Vec<u8> {
    [&name(text)[..], &kind.to_be_bytes(), &[0, 1]].concat()
}

fn dns(id: u16, flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let mut bytes = [id.to_be_bytes(), flags.to_be_bytes()].concat();
    counts.iter().for_each(|count| bytes.extend(count.to_be_bytes()));
    bytes.extend(rest);
    bytes
}

/// A record whose name is the question's.
fn record(kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let len = data.len() as u16;
    let head =
        [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &len.to_be_bytes()];
    [&head.concat()[..], data].concat()
}

fn application() -> Capture {
    let mut capture = Capture::new("application", ETHERNET);
    let ip = Ip4::default();
    let mut ask =
        |id: u16, text: &str, kind: u16, flags: u16, records: &[Vec<u8>], counts: [u16; 3]| {
            let one = question(text, kind);
            capture.add(eth(0x0800, &ip.udp(33_000, 53, &dns(id, 0x0100, [1, 0, 0, 0], &one))));
            let [answers, authority, additional] = counts;
            let all = [&one[..], &records.concat()].concat();
            let answer = dns(id, flags, [1, answers, authority, additional], &all);
            capture.add(frame(MAC_B, MAC_A, 0x0800, &ip.back().udp(53, 33_000, &answer)));
        };
    ask(1, "www.example.test", 1, 0x8180, &[record(1, 300, &[192, 0, 2, 1])], [1, 0, 0]);
    ask(2, "www.example.test", 28, 0x8180, &[record(28, 300, &v6("2001:db8::5"))], [1, 0, 0]);
    let alias = record(5, 60, &name("other.example.test"));
    ask(3, "alias.test", 1, 0x8180, &[alias, record(1, 60, &[192, 0, 2, 2])], [2, 0, 0]);
    ask(
        4,
        "example.test",
        15,
        0x8580,
        &[record(15, 60, &[&[0, 10][..], &name("mx.test")].concat())],
        [1, 0, 0],
    );
    ask(5, "example.test", 16, 0x8180, &[record(16, 60, b"\x05hello\x05world")], [1, 0, 0]);
    ask(6, "1.2.0.192.in-addr.arpa", 12, 0x8180, &[record(12, 60, &name("host.test"))], [1, 0, 0]);
    let soa = [
        &name("ns.test")[..],
        &name("admin.test"),
        &[0, 0, 0, 1, 0, 0, 0x0e, 0x10, 0, 0, 2, 0x58, 0, 1, 0x51, 0x80, 0, 0, 0, 60],
    ]
    .concat();
    ask(7, "none.test", 1, 0x8183, &[record(6, 60, &soa)], [0, 1, 0]);
    let srv = [&[0, 1, 0, 2, 0x1f, 0x90][..], &name("srv.test")].concat();
    ask(
        8,
        "_http._tcp.test",
        33,
        0x8180,
        &[record(33, 60, &srv), record(2, 60, &name("ns.test"))],
        [1, 1, 0],
    );
    let edns = vec![0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0];
    ask(9, "big.test", 255, 0x8382, &[edns], [0, 0, 1]);
    let query = dns(0, 0, [1, 0, 0, 0], &question("host.local", 1));
    let group = Ip4 { to: [224, 0, 0, 251], ttl: 255, ..ip.clone() };
    capture.add(frame(MAC_A, [1, 0, 0x5e, 0, 0, 251], 0x0800, &group.udp(5353, 5353, &query)));
    // NTP.
    let mut ntp = vec![0x23, 0, 6, 0xec];
    ntp.extend([0; 36]);
    ntp.extend([0xe9, 0, 0, 0, 0x80, 0, 0, 0]);
    capture.add(eth(0x0800, &ip.udp(123, 123, &ntp)));
    let mut ntp = vec![0x24, 2, 6, 0xe8, 0, 0, 1, 0, 0, 0, 2, 0, 192, 0, 2, 9];
    for second in [0_u32, 1, 2, 3] {
        ntp.extend((0xe900_0000 + second).to_be_bytes());
        ntp.extend([0x40, 0, 0, second as u8]);
    }
    capture.add(eth(0x0800, &ip.back().udp(123, 123, &ntp)));
    capture
}

/// DHCP, TLS, QUIC.
pub fn session() -> Capture {
    let mut capture = Capture::new("session", ETHERNET);
    // DHCP.
    for (kind, op, extra) in [
        (1_u8, 1_u8, vec![50, 4, 10, 0, 0, 7, 12, 4, b'h', b'o', b's', b't', 55, 4, 1, 3, 6, 15]),
        (
            2,
            2,
            vec![
                54, 4, 10, 0, 0, 254, 51, 4, 0, 0, 0x0e, 0x10, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0,
                0, 254,
            ],
        ),
        (
            3,
            1,
            vec![
                54, 4, 10, 0, 0, 254, 50, 4, 10, 0, 0, 7, 61, 7, 1, 2, 0, 0, 0, 0, 1, 57, 2, 5,
                0xdc,
            ],
        ),
        (
            5,
            2,
            vec![
                54, 4, 10, 0, 0, 254, 51, 4, 0, 0, 0x0e, 0x10, 58, 4, 0, 0, 7, 8, 6, 8, 10, 0, 0,
                53, 10, 0, 0, 54, 15, 4, b't', b'e', b's', b't', 28, 4, 10, 0, 0, 255,
            ],
        ),
    ] {
        let mut body = vec![op, 1, 6, 0, 0x12, 0x34, 0x56, 0x78, 0, 1, 0x80, 0];
        body.extend([0; 4]);
        body.extend(if op == 2 { [10, 0, 0, 7] } else { [0; 4] });
        body.extend([0; 8]);
        body.extend(MAC_A);
        body.extend([0; 10 + 64 + 128]);
        body.extend([99, 130, 83, 99, 53, 1, kind]);
        body.extend(extra);
        body.extend([255, 0, 0]);
        let (from, to) = if op == 1 { (68, 67) } else { (67, 68) };
        let ip = Ip4 { from: [0; 4], to: [255; 4], fragment: 0, ..Ip4::default() };
        capture.add(frame(MAC_A, [0xff; 6], 0x0800, &ip.udp(from, to, &body)));
    }
    // TLS.
    let flow = Flow::new(43_000, 443);
    flow.open(&mut capture);
    let hello = client_hello();
    capture.add(flow.out(PSH | ACK, 1, 1, &hello));
    let ack = 1 + hello.len() as u32;
    let server = server_hello();
    capture.add(flow.back(PSH | ACK, 1, ack, &server));
    let seq = 1 + server.len() as u32;
    let data = [&[23, 3, 3, 0, 20][..], &[7; 20]].concat();
    capture.add(flow.out(PSH | ACK, ack, seq, &data));
    let alert = [21, 3, 3, 0, 2, 1, 0];
    capture.add(flow.back(PSH | ACK, seq, ack + data.len() as u32, &alert));
    capture
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn record_of(kind: u8, version: u16, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &version.to_be_bytes(), &(body.len() as u16).to_be_bytes(), body].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &(body.len() as u32).to_be_bytes()[1..], body].concat()
}

fn client_hello() -> Vec<u8> {
    let host = b"www.example.test";
    let mut sni = vec![0, host.len() as u8 + 3, 0, 0, host.len() as u8];
    sni.extend(host);
    let extensions = [
        extension(0, &sni),
        extension(10, &[0, 4, 0, 29, 0, 23]),
        extension(11, &[1, 0]),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(16, b"\x00\x0c\x02h2\x08http/1.1"),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(45, &[1, 1]),
        extension(23, &[]),
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend(0..32_u8);
    body.extend([0, 0, 6, 0x13, 1, 0x13, 2, 0xc0, 0x2f, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    record_of(22, 0x0301, &handshake(1, &body))
}

fn server_hello() -> Vec<u8> {
    let extensions = [extension(43, &[3, 4]), extension(16, b"\x00\x03\x02h2")].concat();
    let mut body = vec![3, 3];
    body.extend(32..64_u8);
    body.extend([0, 0x13, 1, 0]);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let hello = record_of(22, 0x0303, &handshake(2, &body));
    let change = record_of(20, 0x0303, &[1]);
    [hello, change].concat()
}

fn tunnel() -> Capture {
    let mut capture = Capture::new("tunnel", ETHERNET);
    let ip = Ip4::default();
    let inner = Ip4 { from: [192, 0, 2, 1], to: [192, 0, 2, 2], ..Ip4::default() };
    let packet = inner.udp(5000, 6000, b"inside");
    capture.add(eth(0x0800, &ip.with(47, &[&[0, 0, 8, 0], &packet[..]].concat())));
    let keyed = [&[0x30, 0, 8, 0, 0, 0, 0, 42, 0, 0, 0, 7], &packet[..]].concat();
    capture.add(eth(0x0800, &ip.with(47, &keyed)));
    let bridged = [&[0x20, 0, 0x65, 0x58, 0, 0, 0, 1], &eth(0x0800, &packet)[..]].concat();
    capture.add(eth(0x0800, &ip.with(47, &bridged)));
    capture.add(eth(0x0800, &ip.with(4, &packet)));
    let six = Ip6::default().udp(5000, 6000, b"six");
    capture.add(eth(0x0800, &ip.with(41, &six)));
    let vxlan = [&[8, 0, 0, 0, 0, 0, 42, 0], &eth(0x0800, &packet)[..]].concat();
    capture.add(eth(0x0800, &ip.udp(55_000, 4789, &vxlan)));
    let flow = Flow { ip: inner, ..Flow::new(44_000, 9_400) };
    let vxlan = [&[8, 0, 0, 0, 0, 0, 42, 0], &flow.out(SYN, 0, 0, &[])[..]].concat();
    capture.add(eth(0x0800, &ip.udp(55_000, 4789, &vxlan)));
    capture.add(eth(0x86dd, &Ip6::default().with(4, &packet)));
    capture
}

fn null() -> Capture {
    let mut capture = Capture::new("null", NULL);
    let (four, six) = (Ip4::default(), Ip6::default());
    capture.add([&[2, 0, 0, 0], &four.udp(1, 2, b"four")[..]].concat());
    capture.add([&[30, 0, 0, 0], &six.udp(1, 2, b"six")[..]].concat());
    capture.add([&[0, 0, 0, 2], &four.udp(1, 2, b"big-endian")[..]].concat());
    capture.add([&[99, 0, 0, 0], &b"unknown"[..]].concat());
    capture
}

fn loopback() -> Capture {
    let mut capture = Capture::new("loop", LOOP);
    capture.add([&[0, 0, 0, 2], &Ip4::default().udp(1, 2, b"four")[..]].concat());
    capture.add([&[0, 0, 0, 24], &Ip6::default().udp(1, 2, b"six")[..]].concat());
    capture
}

fn raw() -> Capture {
    let mut capture = Capture::new("raw", RAW);
    capture.add(Ip4::default().udp(1, 2, b"four"));
    capture.add(Ip6::default().udp(1, 2, b"six"));
    capture.add(b"\x10neither, and longer than a header".to_vec());
    capture
}

fn sll() -> Capture {
    let mut capture = Capture::new("sll", SLL);
    let head = |kind: u8, protocol: u16| {
        let mut head = vec![0, kind, 0, 1, 0, 6];
        head.extend(MAC_A);
        head.extend([0, 0]);
        head.extend(protocol.to_be_bytes());
        head
    };
    for kind in [0, 1, 3, 4] {
        capture.add([&head(kind, 0x0800)[..], &Ip4::default().udp(1, 2, b"four")].concat());
    }
    capture.add([&head(0, 0x86dd)[..], &Ip6::default().udp(1, 2, b"six")].concat());
    capture.add([&head(2, 0x1234)[..], b"unknown"].concat());
    capture
}

fn sll2() -> Capture {
    let mut capture = Capture::new("sll2", SLL2);
    let head = |kind: u8, protocol: u16| {
        let mut head = protocol.to_be_bytes().to_vec();
        head.extend([0, 0, 0, 0, 0, 3, 0, 1, kind, 6]);
        head.extend(MAC_A);
        head.extend([0, 0]);
        head
    };
    for kind in [0, 1, 3, 4] {
        capture.add([&head(kind, 0x0800)[..], &Ip4::default().udp(1, 2, b"four")].concat());
    }
    capture.add([&head(0, 0x86dd)[..], &Ip6::default().udp(1, 2, b"six")].concat());
    capture.add([&head(2, 0x1234)[..], b"unknown"].concat());
    capture
}

/// What would steer a terminal, wherever a packet can have text.
pub fn hostile() -> Capture {
    let mut capture = Capture::new("hostile", ETHERNET);
    let bad = "\x1b[31m\x07\u{202e}\r\n";
    let flow = Flow::new(45_000, 80);
    flow.open(&mut capture);
    let get = format!("GET /\x1b]0;x\x07 HTTP/1.1\r\nHost: a\x1b[2Jb\u{202e}\r\nX: {bad}\r\n\r\n");
    capture.add(flow.out(PSH | ACK, 1, 1, get.as_bytes()));
    let ip = Ip4::default();
    let mut query = name("x");
    query.splice(1..2, *b"\x1b");
    let one = [&query[..], &[0, 1, 0, 1]].concat();
    capture.add(eth(0x0800, &ip.udp(33_000, 53, &dns(1, 0x0100, [1, 0, 0, 0], &one))));
    capture
}
