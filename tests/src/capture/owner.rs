//! Whose each packet is.

use std::os::fd::RawFd;

use anyhow::Result;

use super::{Capture, Captured, Part, Ports, TCP, UDP, judge, namespace};
use crate::fault::Report;

const V4: &str = "127.0.0.1:0";
const V6: &str = "[::1]:0";

/// The address with this port; what stands before the last colon stays.
fn with(address: &str, port: u32) -> String {
    let (host, _) = address.rsplit_once(':').unwrap_or((address, ""));
    format!("{host}:{port}")
}

/// A server of one process, and several clients.
fn plain(netns: RawFd, address: &str, args: &[&str]) -> Result<(Captured, Ports, u32)> {
    const CLIENTS: usize = 5;
    let capture = Capture::start(netns, args)?;
    let connections = (2 * CLIENTS).to_string();
    let mut server = Part::start(netns, &["tcp-server", address, &connections])?;
    let port = server.number()?;
    let mut ports = Ports::default();
    ports.add(TCP, port, server.pid());
    let to = with(address, port);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(Part::start(netns, &["tcp-client", &to, "2"])?);
    }
    for client in &mut clients {
        client.done()?;
    }
    server.done()?;
    Ok((capture.stop()?, ports, port))
}

pub fn tcp(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let (captured, ports, _) = plain(netns.fd(), V4, &[])?;
    judge(report, &captured.file, &ports);
    // All are this very program.
    let own = std::env::current_exe()?.display().to_string();
    for process in &captured.file.processes {
        report.equal("path of a process", &process.path.as_deref(), &Some(&*own));
        let start: String = own.rsplit('/').next().unwrap_or("").chars().take(15).collect();
        report.equal("name of a process", &process.name, &start);
    }
    // SYN, SYN-ACK, ACK, two with data, their ACKs, two FINs, the last ACK: some are joined.
    let packets = captured.file.packets.len();
    report.check(packets >= 80, || format!("only {packets} packets of 10 connections"));
    ordered(report, &captured);
    Ok(())
}

pub fn tcp_over_ipv6(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let (captured, ports, _) = plain(netns.fd(), V6, &[])?;
    judge(report, &captured.file, &ports);
    Ok(())
}

fn ordered(report: &mut Report, captured: &Captured) {
    let packets = &captured.file.packets;
    report.check(packets.is_sorted_by_key(|packet| packet.at), || {
        "the packets are not in the order of their time".to_owned()
    });
}

/// Workers of one listener: what they write is theirs.
pub fn tcp_prefork(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &[])?;
    let mut server = Part::start(netns.fd(), &["tcp-prefork", V4, "3"])?;
    let port = server.number()?;
    let mut ports = Ports::default();
    ports.add(TCP, port, server.pid());
    for _ in 0..3 {
        ports.add(TCP, port, server.number()?);
    }
    let to = with(V4, port);
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(Part::start(netns.fd(), &["tcp-client", &to, "3"])?);
    }
    for client in &mut clients {
        client.done()?;
    }
    server.go_on()?;
    server.done()?;
    let captured = capture.stop()?;
    judge(report, &captured.file, &ports);
    Ok(())
}

/// A child for each connection, that answers.
pub fn tcp_forking(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &[])?;
    let mut server = Part::start(netns.fd(), &["tcp-forking", V4, "10"])?;
    let port = server.number()?;
    let mut ports = Ports::default();
    ports.add(TCP, port, server.pid());
    let mut client = Part::start(netns.fd(), &["tcp-client", &with(V4, port), "10"])?;
    for _ in 0..10 {
        ports.add(TCP, port, server.number()?);
    }
    client.done()?;
    server.done()?;
    let captured = capture.stop()?;
    judge(report, &captured.file, &ports);
    Ok(())
}

/// A connection by which several processes write in turn, and none reads: the first packet
/// of each is its own already.
pub fn tcp_handed_on(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &[])?;
    let mut server = Part::start(netns.fd(), &["tcp-sink", V4])?;
    let port = server.number()?;
    let mut client = Part::start(netns.fd(), &["tcp-handed-on", &with(V4, port)])?;
    client.done()?;
    let captured = capture.stop()?;
    let authors: Vec<u32> = captured
        .file
        .packets
        .iter()
        .filter(|packet| packet.ends().is_some_and(|ends| u32::from(ends.target) == port))
        .filter_map(super::Packet::author)
        .collect();
    let mut all = authors.clone();
    all.sort_unstable();
    all.dedup();
    report.equal("processes that wrote", &all.len(), &4);
    for packet in &captured.file.packets {
        if let Some(author) = packet.author() {
            report.equal("owner of what was written", &packet.pid, &author);
        }
    }
    Ok(())
}

pub fn tcp_from_before(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let mut part = Part::start(netns.fd(), &["tcp-held", V4])?;
    part.number()?;
    let capture = Capture::start(netns.fd(), &[])?;
    part.go_on()?;
    part.done()?;
    let captured = capture.stop()?;
    report.check(captured.file.packets.len() >= 4, || "too few packets".to_owned());
    for packet in &captured.file.packets {
        report.equal("owner of a packet", &packet.pid, &part.pid());
    }
    Ok(())
}

/// The reset for a closed port is nobody's.
pub fn tcp_refused(report: &mut Report) -> Result<()> {
    const RST: u8 = 4;
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &["--comments"])?;
    let mut part = Part::start(netns.fd(), &["tcp-refused", "127.0.0.1:9"])?;
    part.done()?;
    let captured = capture.stop()?;
    let packets = &captured.file.packets;
    report.equal("packets", &packets.len(), &2);
    for packet in packets {
        let reset = packet.flags().unwrap_or(0) & RST != 0;
        let owner = if reset { 0 } else { part.pid() };
        report.equal("owner of a packet", &packet.pid, &owner);
        if reset {
            let comment = packet.comment.clone().unwrap_or_default();
            report.check(comment.starts_with("kernel > "), || format!("comment {comment:?}"));
        }
    }
    Ok(())
}

fn datagrams(netns: RawFd, address: &str, clients: usize, args: &[&str]) -> Result<Captured> {
    let capture = Capture::start(netns, args)?;
    let count = (2 * clients).to_string();
    let mut server = Part::start(netns, &["udp-server", address, &count])?;
    let to = with(address, server.number()?);
    let mut parts = Vec::new();
    for number in 0..clients {
        let how = if number % 2 == 0 { "connected" } else { "plain" };
        parts.push(Part::start(netns, &["udp-client", &to, "2", how])?);
    }
    for part in &mut parts {
        part.done()?;
    }
    server.done()?;
    capture.stop()
}

pub fn udp_of_many_clients(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let captured = datagrams(netns.fd(), V4, 8, &[])?;
    report.equal("packets", &captured.file.packets.len(), &32);
    judge(report, &captured.file, &Ports::default());
    Ok(())
}

pub fn udp_over_ipv6(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let captured = datagrams(netns.fd(), V6, 4, &["udp"])?;
    report.equal("packets", &captured.file.packets.len(), &16);
    judge(report, &captured.file, &Ports::default());
    Ok(())
}

/// One socket in the hands of several: each datagram is whose it says.
pub fn udp_shared(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &["udp"])?;
    // Nobody answers, and no error comes back to the socket while somebody is bound there.
    let mut server = Part::start(netns.fd(), &["udp-server", V4, "1000"])?;
    let to = with(V4, server.number()?);
    let mut part = Part::start(netns.fd(), &["udp-shared", &to, "5"])?;
    part.done()?;
    let captured = capture.stop()?;
    let mut ports = Ports::default();
    ports.add(UDP, 0, 0);
    let sent = captured.file.packets.iter().filter(|packet| {
        packet.ends().is_some_and(|ends| to.ends_with(&format!(":{}", ends.target)))
    });
    let mut authors: Vec<u32> = sent.filter_map(super::Packet::author).collect();
    report.equal("datagrams", &authors.len(), &15);
    authors.sort_unstable();
    authors.dedup();
    report.equal("processes that sent", &authors.len(), &6);
    judge(report, &captured.file, &ports);
    Ok(())
}

/// Echo requests are their process's, the answers the kernel's.
pub fn pings(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &["--comments", "icmp"])?;
    let mut part = Part::start(netns.fd(), &["ping", "127.0.0.1:1", "5"])?;
    part.done()?;
    let captured = capture.stop()?;
    report.equal("packets", &captured.file.packets.len(), &10);
    for packet in &captured.file.packets {
        const ECHO_REQUEST: u8 = 8;
        let request = packet.data.get(34) == Some(&ECHO_REQUEST);
        let owner = if request { part.pid() } else { 0 };
        report.equal("owner of an echo", &packet.pid, &owner);
        if !request {
            let comment = packet.comment.clone().unwrap_or_default();
            report.check(comment.starts_with("kernel"), || format!("comment {comment:?}"));
        }
    }
    Ok(())
}

/// On loopback, who gets a packet is told too.
pub fn both_ends(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let (captured, _, port) = plain(netns.fd(), V4, &["--comments"])?;
    let server: Vec<&super::Packet> = captured
        .file
        .packets
        .iter()
        .filter(|packet| packet.ends().is_some_and(|ends| u32::from(ends.source) == port))
        .collect();
    let pid = server.first().map_or(0, |packet| packet.pid);
    for packet in &captured.file.packets {
        let comment = packet.comment.clone().unwrap_or_default();
        let to_server = packet.ends().is_some_and(|ends| u32::from(ends.target) == port);
        if to_server {
            report.check(comment.ends_with(&format!("[{pid}]")), || {
                format!("{comment:?} does not end with the server, {pid}: {:?}", packet.flags())
            });
        } else {
            let from = format!("[{pid}] > ");
            report.check(comment.contains(&from), || format!("{comment:?}: not from {pid}"));
        }
    }
    Ok(())
}

/// Where packets come in, their senders on this machine are found by the packets' ends.
pub fn incoming_side(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let (captured, ports, _) = plain(netns.fd(), V4, &["-Q", "in"])?;
    report.check(captured.file.packets.iter().all(|packet| packet.way == 1), || {
        "not all packets come in".to_owned()
    });
    judge(report, &captured.file, &ports);
    Ok(())
}

/// Only what is asked for, and all of it.
pub fn filters(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    // Of a process, by its id: the server's packets are all of a connection.
    let capture_of = |server: u32| Capture::start(netns.fd(), &["--pid", &server.to_string()]);
    let mut server = Part::start(netns.fd(), &["tcp-server", V4, "1"])?;
    let mut other = Part::start(netns.fd(), &["tcp-server", V4, "1"])?;
    let (wanted, unwanted) = (server.number()?, other.number()?);
    let capture = capture_of(server.pid())?;
    for port in [wanted, unwanted] {
        Part::start(netns.fd(), &["tcp-client", &with(V4, port), "1"])?.done()?;
    }
    server.done()?;
    other.done()?;
    let captured = capture.stop()?;
    let packets = &captured.file.packets;
    report.check(packets.len() >= 8, || format!("{} packets of the process", packets.len()));
    for packet in packets {
        let ends = packet.ends();
        let is_wanted =
            ends.is_some_and(|ends| [ends.source, ends.target].map(u32::from).contains(&wanted));
        report.check(is_wanted, || format!("{ends:?} is not of port {wanted}"));
    }
    // By the language of tcpdump: what it lets through, counted by it and by us.
    let (captured, ..) = plain(netns.fd(), V4, &["tcp[tcpflags] & tcp-syn != 0 and not port 1"])?;
    report.equal("SYNs and answers", &captured.file.packets.len(), &20);
    let [seen, passed, lost, delivered] = captured.file.statistics[0];
    report.equal("let through", &(passed, lost, delivered), &(20, 0, 20));
    report.check(seen >= 80, || format!("{seen} seen"));
    Ok(())
}
