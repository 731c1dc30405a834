//! Sockets as `netstat` lays them out: that of Linux (net-tools), byte by byte, or that of
//! the BSDs and macOS.

use netbreath_common::tcp::TcpState;

use super::ifconfig::Style;
use super::label::Labels;
use super::socket::shown;
use super::state::{Dialect, word};
use crate::event::{Endpoint, Family};
use crate::format::{put, put_name};
use crate::lesson::line::Explained;
use crate::table::socket::{Ends, Holder, Proto, Protos, Socket, Sockets, TimerKind};

/// What is shown of what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// What has a peer.
    #[default]
    Connected,
    /// What waits for one.
    Listening,
    All,
}

/// What the answer is to have.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    pub which: Which,
    pub protos: Protos,
    pub style: Style,
    /// Users and inode numbers.
    pub extend: bool,
    pub program: bool,
    /// Every holder, not only the first.
    pub holders: bool,
    pub timers: bool,
    /// Addresses are not cut.
    pub wide: bool,
    pub numeric_hosts: bool,
    pub unicode: bool,
    /// Each line is explained.
    pub explain: Option<Explained>,
}

/// Whether `socket` is to be shown.
pub fn takes(layout: &Layout, socket: &Socket) -> bool {
    let waits = match &socket.ends {
        // The classic goes by the peer: a port of TCP, an address of the others.
        Ends::Inet { remote, .. } if socket.proto.is_tcp() => remote.port == 0,
        Ends::Inet { remote, .. } => remote.addr.is_unspecified(),
        Ends::Unix(_) => is_listening(socket),
        _ => return false,
    };
    layout.protos.has(socket.proto)
        && match layout.which {
            Which::All => true,
            Which::Connected => !waits,
            Which::Listening => waits,
        }
}

/// `__SO_ACCEPTCON` and its neighbours of `linux/net.h`.
const FLAGS: [(u32, &str); 3] = [(1 << 16, "ACC "), (1 << 17, "W "), (1 << 18, "N ")];

fn is_listening(socket: &Socket) -> bool {
    const UNCONNECTED: u8 = 1;
    match socket.unix().and_then(|ends| ends.seen) {
        Some(seen) => seen.state == UNCONNECTED && seen.flags & FLAGS[0].0 != 0,
        None => socket.is_listening(),
    }
}

/// The whole answer.
pub fn text(sockets: &Sockets, layout: &Layout, labels: &Labels, out: &mut Vec<u8>) {
    let bsd = layout.style == Style::Bsd;
    if layout.protos.any(Proto::is_inet) {
        head(layout, out);
        let order = [Proto::Tcp, Proto::Udp, Proto::UdpLite, Proto::Raw];
        for proto in order {
            for row in sockets.rows.iter().filter(|row| row.proto == proto && takes(layout, row)) {
                if bsd {
                    bsd_inet(row, sockets, layout, labels, out);
                } else {
                    inet(row, sockets, layout, labels, out);
                }
                if let Some(explained) = layout.explain {
                    explained.socket(row, sockets, out);
                }
            }
        }
    }
    if layout.protos.any(Proto::is_unix) {
        unix_head(layout, out);
        for row in sockets.rows.iter().filter(|row| row.proto.is_unix() && takes(layout, row)) {
            if bsd {
                bsd_unix(row, out, layout.unicode);
            } else {
                unix(row, sockets, layout, out);
            }
            if let Some(explained) = layout.explain {
                explained.socket(row, sockets, out);
            }
        }
    }
}

fn title(layout: &Layout) -> &'static str {
    match layout.which {
        Which::All => "(servers and established)",
        Which::Listening => "(only servers)",
        Which::Connected => "(w/o servers)",
    }
}

fn head(layout: &Layout, out: &mut Vec<u8>) {
    if layout.style == Style::Bsd {
        let all = if layout.which == Which::All { " (including servers)" } else { "" };
        put(out, format_args!("Active Internet connections{all}\n"));
        put(
            out,
            format_args!(
                "{:<5} {:<6} {:<6}  {:<22} {:<22} {:<11}\n",
                "Proto", "Recv-Q", "Send-Q", "Local Address", "Foreign Address", "(state)"
            ),
        );
        return;
    }
    put(out, format_args!("Active Internet connections {}\n", title(layout)));
    out.extend_from_slice(
        b"Proto Recv-Q Send-Q Local Address           Foreign Address         State      ",
    );
    if layout.extend {
        out.extend_from_slice(b" User       Inode     ");
    }
    program_head(layout, out);
    if layout.timers {
        out.extend_from_slice(b" Timer");
    }
    out.push(b'\n');
}

fn program_head(layout: &Layout, out: &mut Vec<u8>) {
    if layout.program {
        put(out, format_args!(" {:<20}", "PID/Program name"));
    }
}

/// The name of the protocol: `tcp`, `udp6`.
const fn protocol(socket: &Socket) -> (&'static str, &'static str) {
    match socket.proto {
        Proto::Udp => ("udp", "udp6"),
        Proto::UdpLite => ("udpl", "udpl6"),
        Proto::Raw => ("raw", "raw6"),
        _ => ("tcp", "tcp6"),
    }
}

/// Whose services are meant.
const fn service(socket: &Socket) -> &'static str {
    match socket.proto {
        Proto::Udp | Proto::UdpLite => "udp",
        Proto::Raw => "raw",
        _ => "tcp",
    }
}

fn inet(socket: &Socket, sockets: &Sockets, layout: &Layout, labels: &Labels, out: &mut Vec<u8>) {
    let Some((local, remote)) = socket.inet() else { return };
    let (v4, v6) = protocol(socket);
    let name = if socket.family() == Some(Family::V4) { v4 } else { v6 };
    pad(out, 5, |out| out.extend_from_slice(name.as_bytes()));
    // Of a listener, the kernel tells here how many may wait: netstat does not know of it.
    let send_q = if socket.is_listening() { 0 } else { socket.send_q };
    if socket.detail.recorded {
        out.extend_from_slice(b"      -      -");
    } else {
        out.push(b' ');
        right(out, 6, socket.recv_q);
        out.push(b' ');
        right(out, 6, send_q);
    }
    for end in [local, remote] {
        out.push(b' ');
        pad(out, 23, |out| endpoint(end, service(socket), layout, labels, out));
    }
    out.push(b' ');
    pad(out, 11, |out| match socket.proto {
        Proto::Tcp | Proto::Mptcp => {
            out.extend_from_slice(word(socket.state, Dialect::Linux).as_bytes());
        }
        Proto::Raw => put(out, format_args!("{}", socket.state as u8)),
        _ => match socket.state {
            TcpState::Established => out.extend_from_slice(b"ESTABLISHED"),
            TcpState::Close => {}
            _ => out.extend_from_slice(b"UNKNOWN"),
        },
    });
    if layout.extend {
        out.push(b' ');
        pad(out, 10, |out| match labels.user(socket.uid) {
            Some(user) => put_name(out, user.as_bytes(), layout.unicode),
            None if socket.uid == Holder::UNKNOWN && socket.detail.recorded => out.push(b'-'),
            None => put(out, format_args!("{}", socket.uid)),
        });
        match socket.detail.recorded {
            true => put(out, format_args!(" {:<10}", '-')),
            false => put(out, format_args!(" {:<10}", socket.inode)),
        }
    }
    program(socket, sockets, layout, out);
    if layout.timers {
        out.push(b' ');
        timer(socket, out);
    }
    out.push(b'\n');
}

/// Appends what `write` writes, and blanks up to `width` characters.
fn pad(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    write(out);
    let written = out[begin..].iter().filter(|byte| **byte & 0xc0 != 0x80).count();
    out.resize(out.len() + width.saturating_sub(written), b' ');
}

fn right(out: &mut Vec<u8>, width: usize, number: u32) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    out.resize(out.len() + width.saturating_sub(text.len()), b' ');
    out.extend_from_slice(text.as_bytes());
}

/// `address:port`, cut as the classic cuts it: the port is kept.
fn endpoint(
    end: Endpoint,
    service: &'static str,
    layout: &Layout,
    labels: &Labels,
    out: &mut Vec<u8>,
) {
    /// How much fits without the colon.
    const SHORT: usize = 22;
    let begin = out.len();
    let mapped = match end.addr {
        std::net::IpAddr::V6(addr) => addr.to_ipv4_mapped(),
        std::net::IpAddr::V4(_) => None,
    };
    match labels.host(end.addr) {
        // The classic shows a mapped address as IPv4, and never by its name.
        _ if mapped.is_some() => put_addr(out, end.addr.to_canonical()),
        Some(host) => put_name(out, host.as_bytes(), layout.unicode),
        None if !layout.numeric_hosts && end.addr.is_unspecified() && end.addr.is_ipv6() => {
            out.extend_from_slice(b"[::]");
        }
        None => put_addr(out, end.addr),
    }
    let mut port = Port::default();
    if end.port == 0 {
        port.set(b"*");
    } else {
        labels.port(end.port, service, |name| match name {
            Some(name) => port.set(name.as_bytes()),
            None => port.set(itoa::Buffer::new().format(end.port).as_bytes()),
        });
    }
    let mut port = port.bytes();
    let addr_len = out.len() - begin;
    if !layout.wide && addr_len + port.len() > SHORT {
        port = &port[..port.len().min(SHORT - 4)];
        out.truncate(begin + addr_len.min(SHORT - port.len()));
    }
    out.push(b':');
    out.extend_from_slice(port);
}

/// A port's name, without an allocation.
#[derive(Default)]
struct Port {
    bytes: [u8; 32],
    len: usize,
}

impl Port {
    fn set(&mut self, name: &[u8]) {
        self.len = name.len().min(self.bytes.len());
        self.bytes[..self.len].copy_from_slice(&name[..self.len]);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// An address, without the detour through `fmt` for IPv4.
pub fn put_addr(out: &mut Vec<u8>, addr: std::net::IpAddr) {
    match addr {
        std::net::IpAddr::V4(addr) => {
            let mut buffer = itoa::Buffer::new();
            for (place, part) in addr.octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(buffer.format(part).as_bytes());
            }
        }
        std::net::IpAddr::V6(addr) => put(out, format_args!("{addr}")),
    }
}

/// `PID/Program name` of the first holder, or all of them.
fn program(socket: &Socket, sockets: &Sockets, layout: &Layout, out: &mut Vec<u8>) {
    if !layout.program {
        return;
    }
    out.push(b' ');
    let holders = sockets.holders.of(socket.inode);
    pad(out, 20, |out| {
        if holders.is_empty() {
            out.push(b'-');
        }
        let mut before = None;
        for holder in holders {
            // A process that holds it twice is named once.
            if before == Some(holder.pid) {
                continue;
            }
            if before.replace(holder.pid).is_some() {
                if !layout.holders {
                    break;
                }
                out.push(b',');
            }
            let begin = out.len();
            put(out, format_args!("{}/", holder.pid));
            if let Some(process) = sockets.holders.process(holder.pid) {
                let argument = process.argument.as_deref().unwrap_or_default();
                put_name(out, last_part(argument), layout.unicode);
            }
            if !layout.holders {
                // As wide as the classic has room for.
                let mut len = (begin + 19).min(out.len());
                while len < out.len() && out[len] & 0xc0 == 0x80 {
                    len -= 1;
                }
                out.truncate(len);
            }
        }
    });
}

/// The name of a program that is called by its path.
fn last_part(argument: &[u8]) -> &[u8] {
    if argument.first() != Some(&b'/') {
        return argument;
    }
    argument.rsplit(|byte| *byte == b'/').next().unwrap_or(argument)
}

/// `keepalive (left/retransmissions/probes)`.
fn timer(socket: &Socket, out: &mut Vec<u8>) {
    if socket.detail.recorded {
        out.push(b'-');
        return;
    }
    let timer = socket.timer;
    let name = match timer.kind {
        TimerKind::Off => "off",
        TimerKind::Retransmit => "on",
        TimerKind::Keepalive => "keepalive",
        TimerKind::TimeWait => "timewait",
        TimerKind::Probe => "probe",
        TimerKind::Other(_) => "unkn",
    };
    let info = socket.detail.more.as_deref().map_or(&[][..], |more| &more.tcp_info);
    // struct tcp_info: the third byte counts retransmissions, the fourth probes.
    let counted = |at: usize, own: bool| match info.get(at) {
        Some(count) if !socket.is_listening() => *count,
        _ if own => timer.retrans,
        _ => 0,
    };
    let retrans = counted(2, matches!(timer.kind, TimerKind::Retransmit));
    let probes = counted(3, matches!(timer.kind, TimerKind::Keepalive | TimerKind::Probe));
    let left = if timer.kind == TimerKind::Off { 0.0 } else { f64::from(timer.left) / 1000.0 };
    put(out, format_args!("{name} ({left:.2}/{retrans}/{probes})"));
}

fn unix_head(layout: &Layout, out: &mut Vec<u8>) {
    if layout.style == Style::Bsd {
        out.extend_from_slice(b"Active LOCAL (UNIX) domain sockets\n");
        out.extend_from_slice(
            b"Address          Type   Recv-Q Send-Q            Inode             Conn             Refs          Nextref Addr\n",
        );
        return;
    }
    put(out, format_args!("Active UNIX domain sockets {}\n", title(layout)));
    out.extend_from_slice(b"Proto RefCnt Flags       Type       State         I-Node  ");
    program_head(layout, out);
    out.extend_from_slice(b" Path\n");
}

fn unix(socket: &Socket, sockets: &Sockets, layout: &Layout, out: &mut Vec<u8>) {
    let Some(ends) = socket.unix() else { return };
    let kind = match socket.proto {
        Proto::UnixDgram => "DGRAM",
        Proto::UnixSeqpacket => "SEQPACKET",
        _ => "STREAM",
    };
    let (references, flags, state) =
        ends.seen.map_or((0, 0, 1), |seen| (seen.references, seen.flags, seen.state));
    let state = match state {
        0 => "FREE",
        1 if is_listening(socket) => "LISTENING",
        1 if socket.detail.recorded && socket.state == TcpState::Established => "CONNECTED",
        1 => "",
        2 => "CONNECTING",
        3 => "CONNECTED",
        4 => "DISCONNECTING",
        _ => "UNKNOWN",
    };
    // Of a recorded socket, its holders are not counted.
    match socket.detail.recorded {
        true => put(out, format_args!("{:<5} {:<6} ", "unix", '-')),
        false => put(out, format_args!("{:<5} {references:<6} ", "unix")),
    }
    pad(out, 11, |out| {
        out.extend_from_slice(b"[ ");
        for (bit, word) in FLAGS {
            if flags & bit != 0 {
                out.extend_from_slice(word.as_bytes());
            }
        }
        out.push(b']');
    });
    put(out, format_args!(" {kind:<10} {state:<13} {:<8}", socket.inode));
    program(socket, sockets, layout, out);
    out.push(b' ');
    if let Some(name) = &ends.name {
        put_name(out, &shown(name), layout.unicode);
    }
    out.push(b'\n');
}

/// A line in the style of the BSDs: a dot before the port, and what both families take is
/// one of both.
fn bsd_inet(
    socket: &Socket,
    sockets: &Sockets,
    layout: &Layout,
    labels: &Labels,
    out: &mut Vec<u8>,
) {
    let Some((local, remote)) = socket.inet() else { return };
    let both = local.addr.is_unspecified() && socket.detail.v6only == Some(false);
    let name = match socket.proto {
        Proto::Udp => "udp",
        Proto::UdpLite => "udpl",
        Proto::Raw => "icm",
        _ => "tcp",
    };
    let family = match socket.family() {
        Some(Family::V4) => "4",
        // An IPv4 connection of a listener for both.
        _ if local.addr.to_canonical().is_ipv4() => "4",
        _ if both => "46",
        _ => "6",
    };
    pad(out, 5, |out| put(out, format_args!("{name}{family}")));
    let send_q = if socket.is_listening() { 0 } else { socket.send_q };
    match socket.detail.recorded {
        true => put(out, format_args!(" {0:>6} {0:>6}  ", '-')),
        false => put(out, format_args!(" {:>6} {send_q:>6}  ", socket.recv_q)),
    }
    for end in [local, remote] {
        pad(out, 22, |out| bsd_end(end, service(socket), layout, labels, out));
        out.push(b' ');
    }
    if socket.proto.is_tcp() {
        pad(out, 11, |out| out.extend_from_slice(word(socket.state, Dialect::Bsd).as_bytes()));
    }
    program(socket, sockets, layout, out);
    out.push(b'\n');
}

fn bsd_end(
    end: Endpoint,
    service: &'static str,
    layout: &Layout,
    labels: &Labels,
    out: &mut Vec<u8>,
) {
    let begin = out.len();
    match labels.host(end.addr) {
        Some(host) => put_name(out, host.as_bytes(), layout.unicode),
        None if end.addr.is_unspecified() => out.push(b'*'),
        None => put_addr(out, end.addr.to_canonical()),
    }
    if !layout.wide {
        // The classic has room for fifteen characters of a host.
        out.truncate((begin + 15).min(out.len()));
    }
    out.push(b'.');
    if end.port == 0 {
        out.push(b'*');
    } else {
        labels.port(end.port, service, |name| match name {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => put(out, format_args!("{}", end.port)),
        });
    }
}

fn bsd_unix(socket: &Socket, out: &mut Vec<u8>, unicode: bool) {
    let Some(ends) = socket.unix() else { return };
    let kind = match socket.proto {
        Proto::UnixDgram => "dgram",
        Proto::UnixSeqpacket => "seqpac",
        _ => "stream",
    };
    // Addresses of kernel structures are no one's business here: numbers of files, as
    // everywhere else.
    let (recv_q, send_q) = (socket.recv_q, if socket.is_listening() { 0 } else { socket.send_q });
    put(
        out,
        format_args!(
            "{:<16x} {kind:<6} {recv_q:>6} {send_q:>6} {:>16x} {:>16x} {:>16x} {:>16x}",
            socket.cookie, socket.inode, ends.peer, 0, 0
        ),
    );
    if let Some(name) = &ends.name {
        out.push(b' ');
        put_name(out, &shown(name), unicode);
    }
    out.push(b'\n');
}
