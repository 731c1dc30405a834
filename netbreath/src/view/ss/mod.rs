//! Sockets as `ss` lays them out: columns as wide as what stands in them, and what else is
//! asked for behind the last.

use netbreath_common::tcp::TcpState;

use super::label::Labels;
use super::socket::shown;
use super::state::{Dialect, word};
use crate::event::Endpoint;
use crate::format::{put, put_name};
use crate::lesson::line::Explained;
use crate::table::socket::{Ends, Holder, Proto, Protos, Socket, Sockets, Summary, TimerKind};

pub mod filter;
mod info;

use filter::{Ephemeral, Filter};

/// Names of netlink's protocols (`linux/netlink.h`), as iproute2 has them.
const NETLINK: [(u8, &str); 18] = [
    (0, "rtnl"),
    (2, "usersock"),
    (3, "fw"),
    (4, "tcpdiag"),
    (5, "nflog"),
    (6, "xfrm"),
    (7, "selinux"),
    (8, "iscsi"),
    (9, "audit"),
    (10, "fiblookup"),
    (11, "connector"),
    (12, "nft"),
    (13, "ip6fw"),
    (14, "dec-rt"),
    (15, "uevent"),
    (16, "genl"),
    (18, "scsi-trans"),
    (19, "ecryptfs"),
];

/// Names of Ethernet's protocols (`linux/if_ether.h`), as iproute2 has them.
const ETHER: [(u16, &str); 9] = [
    (0x0003, "all"),
    (0x0800, "ip"),
    (0x0806, "arp"),
    (0x8100, "802.1Q"),
    (0x86dd, "ipv6"),
    (0x8863, "ppp_disc"),
    (0x8864, "ppp_ses"),
    (0x88a8, "802.1ad"),
    (0x88cc, "LLDP"),
];

/// What the answer is to have.
#[derive(Clone, Debug)]
pub struct Layout {
    pub protos: Protos,
    /// As bits.
    pub states: u32,
    pub filter: Option<Filter>,
    pub header: bool,
    pub numeric: bool,
    pub processes: bool,
    pub extended: bool,
    pub memory: bool,
    pub info: bool,
    pub options: bool,
    pub oneline: bool,
    pub tos: bool,
    pub cgroup: bool,
    pub unicode: bool,
    /// How wide the terminal is, if there is one.
    pub width: Option<usize>,
    pub ephemeral: Ephemeral,
    /// Each line is explained.
    pub explain: Option<Explained>,
}

/// Paths of control groups, by their numbers.
pub type Cgroups = std::collections::HashMap<u64, String>;

/// Whether `socket` is to be shown.
pub fn takes(layout: &Layout, socket: &Socket) -> bool {
    layout.protos.has(socket.proto)
        && layout.states & socket.state.bit() != 0
        && layout.filter.as_ref().is_none_or(|filter| filter.takes(socket, layout.ephemeral))
}

/// In which order kinds come.
pub const ORDER: [Proto; 10] = [
    Proto::Netlink,
    Proto::PacketRaw,
    Proto::PacketDgram,
    Proto::UnixStream,
    Proto::UnixDgram,
    Proto::UnixSeqpacket,
    Proto::Raw,
    Proto::Udp,
    Proto::Tcp,
    Proto::Mptcp,
];

/// How many columns there are.
const COLUMNS: usize = 9;

/// A column: its title, whether it stands at the right of its room, and how many blanks
/// come before it.
struct Column {
    title: &'static str,
    right: bool,
    before: usize,
}

#[rustfmt::skip]
const TABLE: [Column; COLUMNS] = [
    Column { title: "Netid", right: false, before: 0 },
    Column { title: "State", right: false, before: 1 },
    Column { title: "Recv-Q", right: false, before: 1 },
    Column { title: "Send-Q", right: false, before: 1 },
    Column { title: "Local Address:", right: true, before: 1 },
    Column { title: "Port", right: false, before: 0 },
    Column { title: "Peer Address:", right: true, before: 1 },
    Column { title: "Port", right: false, before: 0 },
    Column { title: "Process", right: false, before: 0 },
];

/// The sockets of an answer as cells.
#[derive(Default)]
struct Cells {
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<u32>,
    widths: [usize; COLUMNS],
}

impl Cells {
    /// Ends the cell of a column.
    fn end(&mut self, column: usize) {
        let begin = self.ends.last().map_or(0, |end| *end as usize);
        let width = chars(&self.bytes[begin..]);
        self.widths[column] = self.widths[column].max(width);
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }
}

fn chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// The whole answer.
pub fn text(
    sockets: &Sockets,
    layout: &Layout,
    labels: &Labels,
    cgroups: &Cgroups,
    out: &mut Vec<u8>,
) {
    let mut cells = Cells::default();
    // The socket of each line; the header has none.
    let mut rows = Vec::new();
    if layout.header {
        for (place, column) in TABLE.iter().enumerate() {
            cells.bytes.extend_from_slice(column.title.as_bytes());
            cells.end(place);
        }
        rows.push(None);
    }
    // UNIX sockets are one table to the kernel, and stay in its order; so do those that
    // take packets.
    let group = |proto: Proto| match proto {
        proto if proto.is_unix() => Proto::UnixStream,
        proto if proto.is_packet() => Proto::PacketRaw,
        proto => proto,
    };
    for proto in ORDER.into_iter().filter(|proto| group(*proto) == *proto) {
        for socket in sockets.rows.iter().filter(|row| group(row.proto) == proto) {
            if takes(layout, socket) {
                Line { socket, sockets, layout, labels, cgroups }.cells(&mut cells);
                rows.push(Some(socket));
            }
        }
    }
    render(&cells, &rows, sockets, layout, out);
}

/// Columns that are shown: with one kind of sockets or one state, its column says nothing.
fn shows(layout: &Layout, column: usize) -> bool {
    match column {
        0 => !is_one(u32::from(layout.protos.0)),
        1 => !is_one(layout.states),
        _ => true,
    }
}

const fn is_one(bits: u32) -> bool {
    bits.count_ones() < 2
}

fn render(
    cells: &Cells,
    rows: &[Option<&Socket>],
    sockets: &Sockets,
    layout: &Layout,
    out: &mut Vec<u8>,
) {
    let widths = widths(cells, layout);
    let mut begin = 0;
    let mut ends = cells.ends.iter().map(|end| *end as usize);
    for row in rows {
        let mut started = false;
        for (place, column) in TABLE.iter().enumerate() {
            let Some(end) = ends.next() else { return };
            let cell = &cells.bytes[begin..end];
            begin = end;
            if !shows(layout, place) {
                continue;
            }
            let before = if started { column.before } else { 0 };
            started = true;
            out.resize(out.len() + before, b' ');
            let blanks = widths[place].saturating_sub(chars(cell) + before);
            if column.right {
                out.resize(out.len() + blanks, b' ');
            }
            if cell.starts_with(b"\n") {
                trim(out);
            }
            out.extend_from_slice(cell);
            // Nothing stands behind the last column, so it is not filled up.
            if !column.right && place + 1 < COLUMNS {
                out.resize(out.len() + blanks, b' ');
            }
        }
        trim(out);
        out.push(b'\n');
        if let (Some(explained), Some(socket)) = (layout.explain, row) {
            explained.socket(socket, sockets, out);
        }
    }
}

/// Blanks at the end of a line are of no use to anybody.
fn trim(out: &mut Vec<u8>) {
    while out.last() == Some(&b' ') {
        out.pop();
    }
}

/// Each column as wide as its widest cell. On a terminal, what room is left is shared
/// among them; what does not fit goes on in the next line, aligned there too.
fn widths(cells: &Cells, layout: &Layout) -> [usize; COLUMNS] {
    let mut widths = [0; COLUMNS];
    let mut first = true;
    let screen = layout.width.unwrap_or(usize::MAX);
    for (place, column) in TABLE.iter().enumerate() {
        if !shows(layout, place) || cells.widths[place] == 0 {
            continue;
        }
        let before = if first { 0 } else { column.before };
        widths[place] = (cells.widths[place] + before).min(screen);
        first = false;
    }
    let Some(screen) = layout.width else { return widths };
    let used: Vec<usize> = (0..COLUMNS).filter(|place| widths[*place] > 0).collect();
    let mut line = 0;
    while line < used.len() {
        let (mut len, mut next) = (0, line);
        while next < used.len() && (next == line || len + widths[used[next]] <= screen) {
            len += widths[used[next]];
            next += 1;
        }
        let count = next - line;
        let room = screen.saturating_sub(len);
        for (nth, place) in used[line..next].iter().rev().enumerate() {
            widths[*place] += room / count + usize::from(nth < room % count);
        }
        line = next;
    }
    widths
}

/// A socket, to be written.
struct Line<'a> {
    socket: &'a Socket,
    sockets: &'a Sockets,
    layout: &'a Layout,
    labels: &'a Labels,
    cgroups: &'a Cgroups,
}

impl Line<'_> {
    fn cells(&self, cells: &mut Cells) {
        let Line { socket, .. } = self;
        cells.bytes.extend_from_slice(netid(socket).as_bytes());
        cells.end(0);
        cells.bytes.extend_from_slice(word(socket.state, Dialect::Ss).as_bytes());
        cells.end(1);
        for (place, queue) in [(2, socket.recv_q), (3, socket.send_q)] {
            match socket.detail.recorded {
                true => put(&mut cells.bytes, format_args!("{:<6}", '-')),
                false => put(&mut cells.bytes, format_args!("{queue:<6}")),
            }
            cells.end(place);
        }
        match &socket.ends {
            Ends::Inet { local, remote, interface } => {
                self.end(*local, *interface, 4, cells);
                self.end(*remote, 0, 6, cells);
            }
            Ends::Unix(ends) => {
                match ends.name.as_deref() {
                    Some(name) => put_name(&mut cells.bytes, &shown(name), self.layout.unicode),
                    None => cells.bytes.push(b'*'),
                }
                cells.bytes.push(b' ');
                cells.end(4);
                put(&mut cells.bytes, format_args!("{}", socket.inode));
                cells.end(5);
                cells.bytes.extend_from_slice(b"* ");
                cells.end(6);
                put(&mut cells.bytes, format_args!("{}", ends.peer));
                cells.end(7);
            }
            Ends::Packet { protocol, interface } => {
                let known = ETHER.iter().find(|(number, _)| number == protocol);
                match (protocol, known) {
                    (3, _) => cells.bytes.push(b'*'),
                    (_, Some((_, name))) if !self.layout.numeric => {
                        cells.bytes.extend_from_slice(name.as_bytes())
                    }
                    (protocol, _) => put(&mut cells.bytes, format_args!("[{protocol}]")),
                }
                cells.bytes.push(b':');
                cells.end(4);
                match interface {
                    0 => cells.bytes.push(b'*'),
                    index => self.interface(*index, &mut cells.bytes),
                }
                cells.end(5);
                cells.bytes.push(b'*');
                cells.end(6);
                cells.end(7);
            }
            Ends::Netlink { protocol, port, peer, .. } => {
                match NETLINK.iter().find(|(number, _)| number == protocol) {
                    Some((_, name)) if !self.layout.numeric => {
                        cells.bytes.extend_from_slice(name.as_bytes());
                    }
                    _ => put(&mut cells.bytes, format_args!("{protocol}")),
                }
                cells.bytes.push(b':');
                cells.end(4);
                self.port_id(*port, &mut cells.bytes);
                cells.end(5);
                match peer {
                    Some((port, group)) => {
                        put(&mut cells.bytes, format_args!("{group}:"));
                        cells.end(6);
                        put(&mut cells.bytes, format_args!("{port}"));
                    }
                    None => {
                        cells.bytes.push(b'*');
                        cells.end(6);
                    }
                }
                cells.end(7);
            }
        }
        self.more(&mut cells.bytes);
        cells.end(8);
    }

    fn end(&self, end: Endpoint, interface: u32, place: usize, cells: &mut Cells) {
        let Line { socket, labels, .. } = self;
        let out = &mut cells.bytes;
        let any = end.addr.is_ipv6() && end.addr.is_unspecified();
        match labels.host(end.addr) {
            _ if any && socket.detail.v6only != Some(true) => out.push(b'*'),
            Some(name) => put_name(out, name.as_bytes(), self.layout.unicode),
            None if end.addr.is_ipv6() => put(out, format_args!("[{}]", end.addr)),
            None => super::netstat::put_addr(out, end.addr),
        }
        if interface != 0 {
            out.push(b'%');
            self.interface(interface, out);
        }
        out.push(b':');
        cells.end(place);
        let service = match socket.proto {
            Proto::Udp => "udp",
            Proto::Raw => "raw",
            _ => "tcp",
        };
        let out = &mut cells.bytes;
        match end.port {
            0 => out.push(b'*'),
            // The kernel gives these to anybody: a name would only mislead.
            port if self.layout.numeric || self.layout.ephemeral.has(port) => {
                out.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
            }
            port => labels.port(port, service, |name| match name {
                Some(name) => out.extend_from_slice(name.as_bytes()),
                None if socket.proto == Proto::Raw => put(out, format_args!("ipproto-{port}")),
                None => out.extend_from_slice(itoa::Buffer::new().format(port).as_bytes()),
            }),
        }
        cells.end(place + 1);
    }

    fn interface(&self, index: u32, out: &mut Vec<u8>) {
        match self.labels.interface(self.socket.netns, index) {
            Some(name) => put_name(out, name.as_bytes(), self.layout.unicode),
            None => put(out, format_args!("if{index}")),
        }
    }

    /// The port of a netlink socket: usually the process that made it.
    fn port_id(&self, port: u32, out: &mut Vec<u8>) {
        match port {
            u32::MAX => out.push(b'*'),
            0 if !self.layout.numeric => out.extend_from_slice(b"kernel"),
            port if self.layout.numeric => put(out, format_args!("{}", port.cast_signed())),
            port => match self.labels.processes.get(&port) {
                Some(comm) => {
                    put_name(out, comm, self.layout.unicode);
                    put(out, format_args!("/{port}"));
                }
                None => put(out, format_args!("{}", port.cast_signed())),
            },
        }
    }

    /// What stands behind the columns.
    fn more(&self, out: &mut Vec<u8>) {
        let Line { socket, layout, .. } = self;
        if layout.processes && socket.proto != Proto::Netlink {
            users(self.sockets, socket, layout.unicode, out);
        }
        match &socket.ends {
            Ends::Inet { .. } => self.inet_more(out),
            Ends::Unix(ends) => {
                if layout.memory
                    && let Some(more) = &socket.detail.more
                {
                    info::memory(more, out);
                }
                if layout.extended {
                    self.shutdown(out);
                    if let Some((device, inode)) = ends.file {
                        let (major, minor) = (device >> 20 & 0xfff, device & 0xf_ffff);
                        put(out, format_args!(" ino:{inode} dev:{major}/{minor}"));
                    }
                    if !ends.waiting.is_empty() || socket.is_listening() {
                        out.extend_from_slice(b" peers:");
                        for peer in &ends.waiting {
                            put(out, format_args!(" {peer}"));
                        }
                    }
                }
            }
            Ends::Packet { .. } => {
                if layout.extended {
                    self.details(out);
                    let info = socket.detail.more.as_ref().and_then(|more| more.packet);
                    if let Some([version, copied, flags]) = info {
                        out.extend_from_slice(if layout.oneline { b" " } else { b"\n\t" });
                        put(out, format_args!("ver:{version} cpy_thresh:{copied} flags( "));
                        for (bit, word) in [
                            (1, "running"),
                            (2, " auxdata"),
                            (4, " origdev"),
                            (8, " vnethdr"),
                            (16, " loss"),
                        ] {
                            if flags & bit != 0 {
                                out.extend_from_slice(word.as_bytes());
                            }
                        }
                        out.extend_from_slice(if flags == 0 { b"0 )" } else { b" )" });
                    }
                }
            }
            Ends::Netlink { groups, .. } => {
                if layout.extended {
                    // Addresses of kernel structures: sock_diag does not tell them.
                    let groups = *groups as u32;
                    put(out, format_args!(" sk=0 cb=0 groups=0x{groups:08x}"));
                }
                if layout.memory
                    && let Some(more) = &socket.detail.more
                {
                    out.push(b'\t');
                    info::memory(more, out);
                }
            }
        }
    }

    fn details(&self, out: &mut Vec<u8>) {
        let Socket { uid, inode, cookie, detail, .. } = self.socket;
        if detail.recorded {
            match *uid {
                0 => {}
                Holder::UNKNOWN => out.extend_from_slice(b" uid:-"),
                uid => put(out, format_args!(" uid:{uid}")),
            }
            put(out, format_args!(" ino:- sk:{cookie:x}"));
            return;
        }
        if *uid != 0 {
            put(out, format_args!(" uid:{uid}"));
        }
        put(out, format_args!(" ino:{inode} sk:{cookie:x}"));
        if detail.mark != 0 {
            put(out, format_args!(" fwmark:0x{:x}", detail.mark));
        }
        if let Some(id) = detail.cgroup {
            self.cgroup(id, out);
        }
    }

    fn cgroup(&self, id: u64, out: &mut Vec<u8>) {
        match self.cgroups.get(&id) {
            Some(path) => {
                out.extend_from_slice(b" cgroup:");
                put_name(out, path.as_bytes(), self.layout.unicode);
            }
            None => put(out, format_args!(" cgroup:unreachable:{id:x}")),
        }
    }

    fn shutdown(&self, out: &mut Vec<u8>) {
        if let Some(mask) = self.socket.detail.shutdown {
            let receives = if mask & 1 == 0 { '<' } else { '-' };
            let sends = if mask & 2 == 0 { '>' } else { '-' };
            put(out, format_args!(" {receives}-{sends}"));
        }
    }

    fn inet_more(&self, out: &mut Vec<u8>) {
        let Line { socket, layout, .. } = self;
        if layout.options {
            timer(socket, out);
        }
        if layout.extended {
            self.details(out);
            if let Some(only) = socket.detail.v6only {
                put(out, format_args!(" v6only:{}", u8::from(only)));
            }
            self.shutdown(out);
        }
        if layout.tos {
            if let Some(tos) = socket.detail.tos {
                put(out, format_args!(" tos:{}", hexadecimal(tos.into())));
            }
            if let Some(class) = socket.detail.tclass {
                put(out, format_args!(" tclass:{}", hexadecimal(class.into())));
            }
            if let Some(class) = socket.detail.class {
                put(out, format_args!(" class_id:{}", hexadecimal(class)));
            }
        }
        if layout.cgroup
            && let Some(id) = socket.detail.cgroup
        {
            self.cgroup(id, out);
        }
        if layout.memory || layout.info && socket.proto != Proto::Udp {
            if !layout.oneline {
                out.extend_from_slice(b"\n\t");
            }
            if let Some(more) = &socket.detail.more {
                info::memory(more, out);
                info::tcp(socket, more, layout.options, layout.numeric, out);
            }
        }
    }
}

/// As printf's `%#x`: nothing before a zero.
fn hexadecimal(number: u32) -> String {
    if number == 0 { "0".to_owned() } else { format!("{number:#x}") }
}

/// What kind of socket it is, in the words of ss. Of raw ones it is the protocol, where ss
/// has a word for it.
const fn netid(socket: &Socket) -> &'static str {
    match socket.proto {
        Proto::Tcp => "tcp",
        Proto::Udp | Proto::UdpLite => "udp",
        Proto::Mptcp => "mptcp",
        Proto::Raw => match socket.detail.protocol {
            Some(0) | None => "raw",
            Some(6) => "tcp",
            Some(17) => "udp",
            Some(33) => "dccp",
            Some(58) => "icmp6",
            Some(132) => "sctp",
            Some(_) => "???",
        },
        Proto::UnixStream => "u_str",
        Proto::UnixDgram => "u_dgr",
        Proto::UnixSeqpacket => "u_seq",
        Proto::PacketRaw => "p_raw",
        Proto::PacketDgram => "p_dgr",
        Proto::Netlink => "nl",
    }
}

/// ` users:(("name",pid=1,fd=3),…)`. The last holder comes first, as in ss.
pub fn users(sockets: &Sockets, socket: &Socket, unicode: bool, out: &mut Vec<u8>) {
    let holders = sockets.holders.of(socket.inode);
    if holders.is_empty() {
        return;
    }
    let mut buffer = itoa::Buffer::new();
    for (place, holder) in holders.iter().rev().enumerate() {
        out.extend_from_slice(if place == 0 { b" users:((\"" } else { b",(\"" });
        if let Some(process) = sockets.holders.process(holder.pid) {
            put_name(out, &process.comm, unicode);
        }
        out.extend_from_slice(b"\",pid=");
        out.extend_from_slice(buffer.format(holder.pid).as_bytes());
        out.extend_from_slice(b",fd=");
        match holder.fd {
            Holder::UNKNOWN => out.push(b'-'),
            fd => out.extend_from_slice(buffer.format(fd).as_bytes()),
        }
        out.push(b')');
    }
    out.push(b')');
}

/// ` timer:(keepalive,119min,0)`.
fn timer(socket: &Socket, out: &mut Vec<u8>) {
    let timer = socket.timer;
    let name = match timer.kind {
        TimerKind::Off => return,
        TimerKind::Retransmit => "on",
        TimerKind::Keepalive => "keepalive",
        TimerKind::TimeWait => "timewait",
        TimerKind::Probe => "persist",
        TimerKind::Other(_) => "unknown",
    };
    put(out, format_args!(" timer:({name},{},{})", span(timer.left), timer.retrans));
}

/// Milliseconds, the coarser the more there are: `119min`, `1min5sec`, `59sec`, `1.200ms`.
fn span(millis: u32) -> String {
    let minutes = millis / 60_000;
    let mut seconds = millis / 1000 % 60;
    let mut rest = millis % 1000;
    let mut text = String::new();
    if minutes > 0 {
        rest = 0;
        text = format!("{minutes}min");
        if minutes > 9 {
            seconds = 0;
        }
    }
    if seconds > 0 {
        if seconds > 9 {
            rest = 0;
        }
        text += &format!("{seconds}{}", if rest > 0 { "." } else { "sec" });
    }
    if rest > 0 {
        text += &format!("{rest:03}ms");
    }
    text
}

/// `ss -s`.
pub fn summary(summary: &Summary, out: &mut Vec<u8>) {
    let Summary { sockets, established, orphans, time_wait, allocated, tcp, udp, raw, fragments } =
        *summary;
    let closed =
        allocated.cast_signed() - ((tcp[0] + tcp[1]).cast_signed() - time_wait.cast_signed());
    put(out, format_args!("Total: {sockets}\n"));
    put(
        out,
        format_args!(
            "TCP:   {} (estab {established}, closed {closed}, orphaned {orphans}, timewait {time_wait})\n\n",
            allocated + time_wait
        ),
    );
    out.extend_from_slice(b"Transport Total     IP        IPv6\n");
    let inet = [raw[0] + udp[0] + tcp[0], raw[1] + udp[1] + tcp[1]];
    for (name, [v4, v6]) in
        [("RAW", raw), ("UDP", udp), ("TCP", tcp), ("INET", inet), ("FRAG", fragments)]
    {
        put(out, format_args!("{name}\t  {:<9} {v4:<9} {v6:<9}\n", v4 + v6));
    }
    out.push(b'\n');
}

/// Whether only TCP is asked about, whose states are more than two.
pub fn default_states(protos: Protos) -> u32 {
    // What is under way, of TCP and of UNIX streams; ESTABLISHED of UDP and raw; the rest
    // has no state but CLOSE.
    const CONNECTED: u32 = 0xfff
        & !(TcpState::Listen.bit()
            | TcpState::Close.bit()
            | TcpState::TimeWait.bit()
            | TcpState::SynRecv.bit());
    let of = |proto: Proto| match proto {
        Proto::Tcp | Proto::Mptcp | Proto::UnixStream | Proto::UnixSeqpacket => CONNECTED,
        Proto::Udp | Proto::UdpLite | Proto::Raw => TcpState::Established.bit(),
        Proto::UnixDgram | Proto::PacketRaw | Proto::PacketDgram | Proto::Netlink => {
            TcpState::Close.bit()
        }
    };
    Proto::ALL
        .into_iter()
        .filter(|proto| protos.has(*proto))
        .fold(0, |bits, proto| bits | of(proto))
}

/// See `default_states`: what all kinds have by default where none is named.
pub const CONNECTED: u32 = 0xfff
    & !(TcpState::Listen.bit()
        | TcpState::Close.bit()
        | TcpState::TimeWait.bit()
        | TcpState::SynRecv.bit());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_as_coarse_as_those_of_ss() {
        for (millis, text) in [
            (7_140_000, "119min"),
            (65_000, "1min5sec"),
            (59_000, "59sec"),
            (1_200, "1.200ms"),
            (200, "200ms"),
            (12_345, "12sec"),
            (0, ""),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
