//! Open files as `lsof` lays them out: a table, fields for programs, or process ids.

use netbreath_common::tcp::TcpState;

use super::label::Labels;
use super::socket::shown;
use super::state::{Dialect, word};
use super::{Cell, Column, Field};
use crate::event::{Endpoint, Family};
use crate::format::{put, put_name};
use crate::lesson::line::Explained;
use crate::table::file::{Access, At, File, Kind};
use crate::table::socket::{Ends, Process, Proto, Socket, Sockets};

pub mod select;

/// How it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Characters of a command; 0 is all.
    pub command_width: usize,
    pub parents: bool,
    pub groups: bool,
    /// What stands behind the name of a connection.
    pub state: bool,
    pub queues: bool,
    /// Users stay numbers.
    pub numeric_users: bool,
    pub unicode: bool,
    /// Each line of a socket is explained.
    pub explain: Option<Explained>,
}

/// A process with what was chosen of it.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    pub process: Process,
    pub files: Vec<Opened<'a>>,
}

/// A file, and the socket if it is one.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    pub file: File,
    pub socket: Option<&'a Socket>,
}

/// What is the same in all rows of a process.
struct Head {
    command: Vec<u8>,
    pid: String,
    parent: String,
    group: String,
    user: String,
}

/// Cells of a row behind those of its process: descriptor, type, device, size, node, name.
const CELLS: usize = 6;

/// The cells of all rows, one after the other.
#[derive(Default)]
struct Cells {
    bytes: Vec<u8>,
    /// Where each cell ends.
    ends: Vec<usize>,
}

impl Cells {
    fn end(&mut self) {
        self.ends.push(self.bytes.len());
    }

    fn cell(&self, row: usize, place: usize) -> &[u8] {
        let at = row * CELLS + place;
        let begin = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[begin..self.ends[at]]
    }

    /// The widest of a column, and at least `least`.
    fn widest(&self, place: usize, least: usize) -> usize {
        let rows = self.ends.len() / CELLS;
        (0..rows).map(|row| self.cell(row, place).len()).max().unwrap_or(0).max(least)
    }
}

/// The whole table; nothing if there is no file.
pub fn text(
    entries: &[Entry<'_>],
    sockets: &Sockets,
    layout: &Layout,
    labels: &Labels,
    out: &mut Vec<u8>,
) {
    let mut cells = Cells::default();
    for opened in entries.iter().flat_map(|entry| &entry.files) {
        row(opened, layout, labels, &mut cells);
    }
    if cells.ends.is_empty() {
        return;
    }
    let heads: Vec<Head> = entries.iter().map(|entry| head(entry, layout, labels)).collect();
    let widest =
        |least: usize, of: fn(&Head) -> usize| heads.iter().map(of).max().unwrap_or(0).max(least);
    // What is longer than the limit is cut, but not to less than there is room for.
    let limit = if layout.command_width == 0 { usize::MAX } else { layout.command_width };
    let command = heads.iter().map(|head| chars(&head.command).min(limit)).max();
    let command = command.unwrap_or(0).max(7);
    let pid = widest(3, |head| head.pid.len());
    let parent = widest(4, |head| head.parent.len());
    let group = widest(4, |head| head.group.len());
    let user = widest(if layout.numeric_users { 8 } else { 4 }, |head| head.user.len());
    let [fd, kind, device, size, node] =
        [(0, 6), (1, 4), (2, 6), (3, 8), (4, 4)].map(|(place, least)| cells.widest(place, least));
    let parents = |out: &mut Vec<u8>, ppid: &str, pgid: &str| {
        if layout.parents {
            put(out, format_args!(" {ppid:>parent$}"));
        }
        if layout.groups {
            put(out, format_args!(" {pgid:>group$}"));
        }
    };
    put(out, format_args!("{:<command$} {:>pid$}", "COMMAND", "PID"));
    parents(out, "PPID", "PGID");
    put(
        out,
        format_args!(
            " {:>user$} {:>width$}   {:>kind$} {:>device$} {:>size$} {:>node$} NAME\n",
            "USER",
            "  FD",
            "TYPE",
            "DEVICE",
            "SIZE/OFF",
            "NODE",
            width = fd - 2,
        ),
    );
    let mut number = 0;
    let mut begin = Vec::new();
    for (entry, head) in entries.iter().zip(&heads) {
        begin.clear();
        let shown = first(&head.command, command);
        begin.extend_from_slice(shown);
        begin.resize(begin.len() + command - chars(shown), b' ');
        put(&mut begin, format_args!(" {:>pid$}", head.pid));
        parents(&mut begin, &head.parent, &head.group);
        put(&mut begin, format_args!(" {:>user$}", head.user));
        for opened in &entry.files {
            out.extend_from_slice(&begin);
            for (place, width) in [fd, kind, device, size, node].into_iter().enumerate() {
                let cell = cells.cell(number, place);
                out.resize(out.len() + 1 + width.saturating_sub(cell.len()), b' ');
                out.extend_from_slice(cell);
            }
            out.push(b' ');
            out.extend_from_slice(cells.cell(number, 5));
            out.push(b'\n');
            if let (Some(explained), Some(socket)) = (layout.explain, opened.socket) {
                explained.socket(socket, sockets, out);
            }
            number += 1;
        }
    }
}

fn chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// The first characters.
fn first(bytes: &[u8], count: usize) -> &[u8] {
    let begins = bytes.iter().enumerate().filter(|(_, byte)| **byte & 0xc0 != 0x80);
    let end = begins.map(|(at, _)| at).nth(count).unwrap_or(bytes.len());
    &bytes[..end]
}

fn head(entry: &Entry<'_>, layout: &Layout, labels: &Labels) -> Head {
    let Entry { process, .. } = entry;
    let mut command = Vec::new();
    put_name(&mut command, &process.comm, layout.unicode);
    let number = |number: Option<u32>| number.map_or_else(String::new, |n| n.to_string());
    Head {
        command,
        pid: process.pid.to_string(),
        parent: number(process.parent),
        group: number(process.group),
        user: user(process, labels),
    }
}

fn row(opened: &Opened<'_>, layout: &Layout, labels: &Labels, cells: &mut Cells) {
    let Opened { file, socket } = opened;
    let out = &mut cells.bytes;
    match file.at {
        At::Fd(fd) => put(out, format_args!("{fd:>4}")),
        at => put(out, format_args!("{:>4}", at.word().unwrap_or_default())),
    }
    out.push(file.access.letter() as u8);
    out.push(b' ');
    cells.end();
    cells.bytes.extend_from_slice(kind(opened).as_bytes());
    cells.end();
    let out = &mut cells.bytes;
    match (socket, file.device) {
        (Some(socket), _) => put_device(out, socket),
        (None, Some((major, minor))) => put(out, format_args!("{major},{minor}")),
        (None, None) => {}
    }
    cells.end();
    put_size(&mut cells.bytes, file);
    cells.end();
    let out = &mut cells.bytes;
    match (socket, file.inode) {
        (Some(socket), _) => put_node(out, socket),
        (None, Some(inode)) => put(out, format_args!("{inode}")),
        (None, None) => {}
    }
    cells.end();
    put_full_name(&mut cells.bytes, opened, layout, labels);
    cells.end();
}

fn user(process: &Process, labels: &Labels) -> String {
    let Some(uid) = process.uid else { return String::new() };
    labels.user(uid).map_or_else(|| uid.to_string(), str::to_owned)
}

fn fd(at: At) -> String {
    match at {
        At::Fd(fd) => fd.to_string(),
        at => at.word().unwrap_or_default().to_owned(),
    }
}

fn kind(opened: &Opened<'_>) -> &'static str {
    match &opened.socket {
        Some(socket) => match (socket.proto, socket.family()) {
            (Proto::Raw, Some(Family::V4)) => "raw",
            (Proto::Raw, _) => "raw6",
            (_, Some(Family::V4)) => "IPv4",
            (_, Some(Family::V6)) => "IPv6",
            (proto, None) if proto.is_unix() => "unix",
            (proto, None) if proto.is_packet() => "pack",
            (..) => "netlink",
        },
        None => opened.file.kind.word(),
    }
}

fn put_size(out: &mut Vec<u8>, file: &File) {
    match (file.size, file.kind) {
        (Some(size), _) => put(out, format_args!("{size}")),
        (None, Kind::Unknown | Kind::Regular) => {}
        // An offset, as many digits as there is room for.
        (None, _) if file.offset > 99_999_999 => put(out, format_args!("{:#x}", file.offset)),
        (None, _) => put(out, format_args!("0t{}", file.offset)),
    }
}

/// What stands in the place of a device: the inode number, or the kernel's address.
fn put_device(out: &mut Vec<u8>, socket: &Socket) {
    match &socket.ends {
        Ends::Inet { .. } if socket.proto == Proto::Raw => {}
        Ends::Inet { .. } | Ends::Packet { .. } => put_inode(out, socket),
        Ends::Unix(ends) => {
            put(out, format_args!("0x{:016x}", ends.seen.map_or(0, |seen| seen.address)));
        }
        Ends::Netlink { .. } => {}
    }
}

fn put_node(out: &mut Vec<u8>, socket: &Socket) {
    match &socket.ends {
        Ends::Inet { .. } if socket.proto == Proto::Raw => put_inode(out, socket),
        Ends::Packet { protocol, .. } => {
            out.extend_from_slice(packet_protocol(*protocol).as_bytes());
        }
        Ends::Inet { .. } => out.extend_from_slice(protocol(socket).as_bytes()),
        Ends::Unix(_) | Ends::Netlink { .. } => put_inode(out, socket),
    }
}

fn put_inode(out: &mut Vec<u8>, socket: &Socket) {
    out.extend_from_slice(itoa::Buffer::new().format(socket.inode).as_bytes());
}

/// `TCP`, `UDP`.
const fn protocol(socket: &Socket) -> &'static str {
    match socket.proto {
        Proto::Udp => "UDP",
        Proto::UdpLite => "UDPLITE",
        _ => "TCP",
    }
}

fn packet_protocol(protocol: u16) -> String {
    match protocol {
        3 => "ALL".to_owned(),
        0x800 => "IP".to_owned(),
        0x806 => "ARP".to_owned(),
        0x86dd => "IPV6".to_owned(),
        protocol => protocol.to_string(),
    }
}

/// Names of netlink's protocols, as lsof has them.
const NETLINK: [(u8, &str); 17] = [
    (0, "ROUTE"),
    (2, "USERSOCK"),
    (3, "FIREWALL"),
    (4, "INET_DIAG"),
    (5, "NFLOG"),
    (6, "XFRM"),
    (7, "SELINUX"),
    (8, "ISCSI"),
    (9, "AUDIT"),
    (10, "FIB_LOOKUP"),
    (11, "CONNECTOR"),
    (12, "NETFILTER"),
    (13, "IP6_FW"),
    (14, "DNRTMSG"),
    (15, "KOBJECT_UEVENT"),
    (16, "GENERIC"),
    (18, "SCSITRANSPORT"),
];

/// The name without what stands behind it.
fn put_bare_name(out: &mut Vec<u8>, opened: &Opened<'_>, unicode: bool, labels: &Labels) {
    let Some(socket) = opened.socket else {
        put_name(out, &opened.file.name, unicode);
        return;
    };
    match &socket.ends {
        Ends::Inet { local, remote, .. } if socket.proto == Proto::Raw => {
            // As it stands in /proc/net/raw.
            put_hex(out, *local);
            out.extend_from_slice(b"->");
            put_hex(out, *remote);
            put(out, format_args!(" st={:02X}", socket.state as u8));
        }
        Ends::Inet { local, remote, .. } => {
            put_end(out, *local, socket, unicode, labels);
            if remote.port != 0 || !remote.addr.is_unspecified() {
                out.extend_from_slice(b"->");
                put_end(out, *remote, socket, unicode, labels);
            }
        }
        Ends::Unix(ends) => {
            if let Some(name) = &ends.name {
                put_name(out, &shown(name), unicode);
                out.push(b' ');
            }
            let kind = match socket.proto {
                Proto::UnixDgram => "DGRAM",
                Proto::UnixSeqpacket => "SEQPACKET",
                _ => "STREAM",
            };
            put(out, format_args!("type={kind}"));
        }
        Ends::Packet { .. } => {
            let kind = if socket.proto == Proto::PacketRaw { "RAW" } else { "DGRAM" };
            put(out, format_args!("type=SOCK_{kind}"));
        }
        Ends::Netlink { protocol, .. } => {
            match NETLINK.iter().find(|(number, _)| number == protocol) {
                Some((_, name)) => out.extend_from_slice(name.as_bytes()),
                None => put(out, format_args!("unknown protocol: {protocol}")),
            }
        }
    }
}

fn put_hex(out: &mut Vec<u8>, end: Endpoint) {
    match end.addr {
        std::net::IpAddr::V4(addr) => {
            put(out, format_args!("{:08X}", u32::from_ne_bytes(addr.octets())));
        }
        std::net::IpAddr::V6(addr) => {
            for part in addr.octets().chunks_exact(4) {
                let part = u32::from_ne_bytes([part[0], part[1], part[2], part[3]]);
                put(out, format_args!("{part:08X}"));
            }
        }
    }
    put(out, format_args!(":{:04X}", end.port));
}

fn put_end(out: &mut Vec<u8>, end: Endpoint, socket: &Socket, unicode: bool, labels: &Labels) {
    // A mapped address is shown as what it is for the other side.
    let addr = end.addr.to_canonical();
    match labels.host(end.addr) {
        _ if addr.is_unspecified() => out.push(b'*'),
        Some(name) => put_name(out, name.as_bytes(), unicode),
        None if addr.is_ipv6() => put(out, format_args!("[{addr}]")),
        None => super::netstat::put_addr(out, addr),
    }
    out.push(b':');
    if end.port == 0 {
        out.push(b'*');
        return;
    }
    let service = if socket.proto.is_tcp() { "tcp" } else { "udp" };
    labels.port(end.port, service, |name| match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => out.extend_from_slice(itoa::Buffer::new().format(end.port).as_bytes()),
    });
}

/// The state of a socket in lsof's words, where it has one.
fn state(socket: &Socket) -> Option<&'static str> {
    match socket.ends {
        Ends::Inet { .. } if socket.proto.is_tcp() => Some(word(socket.state, Dialect::Linux)),
        Ends::Unix(_) => Some(match socket.state {
            TcpState::Listen => "LISTEN",
            TcpState::Established => "CONNECTED",
            _ => "UNCONNECTED",
        }),
        _ => None,
    }
}

/// Whether something can stand behind the name.
const fn has_more(socket: &Socket) -> bool {
    match socket.ends {
        Ends::Inet { .. } => !matches!(socket.proto, Proto::Raw),
        Ends::Unix(_) => true,
        _ => false,
    }
}

/// Bytes to be read and to be sent. Of a listener, the kernel tells something else.
const fn queues(socket: &Socket) -> Option<(u32, u32)> {
    match socket.ends {
        Ends::Inet { .. } => {
            let sent = if matches!(socket.state, TcpState::Listen) { 0 } else { socket.send_q };
            Some((socket.recv_q, sent))
        }
        _ => None,
    }
}

fn put_full_name(out: &mut Vec<u8>, opened: &Opened<'_>, layout: &Layout, labels: &Labels) {
    put_bare_name(out, opened, layout.unicode, labels);
    let Some(socket) = opened.socket.filter(|socket| has_more(socket)) else { return };
    if !layout.state && !layout.queues {
        return;
    }
    out.push(b' ');
    let mut first = true;
    if layout.state
        && let Some(state) = state(socket)
    {
        put(out, format_args!("({state}"));
        first = false;
    }
    if layout.queues
        && let Some((received, sent)) = queues(socket)
    {
        let begin = if first { "(" } else { " " };
        put(out, format_args!("{begin}QR={received} QS={sent}"));
        first = false;
    }
    if !first {
        out.push(b')');
    }
}

/// Every field, in the order in which they come: of a process, of a file.
pub const PROCESS_FIELDS: &str = "pgRcuL";
pub const FILE_FIELDS: &str = "faltGDdsoikPnT";

/// Fields for programs: each behind its letter, ended by a line's end or by NUL. A set (a
/// process, a file) ends with a line's end in any case.
pub fn fields(
    entries: &[Entry<'_>],
    letters: &str,
    nul: bool,
    layout: &Layout,
    labels: &Labels,
    out: &mut Vec<u8>,
) {
    let end = if nul { b'\0' } else { b'\n' };
    let has = |letter: char| letters.contains(letter);
    for entry in entries {
        let Process { pid, comm, uid, parent, group, .. } = &entry.process;
        let field = |out: &mut Vec<u8>, letter: char, value: &[u8]| {
            out.push(letter as u8);
            out.extend_from_slice(value);
            out.push(end);
        };
        // Without it, nobody could tell whose the rest is.
        field(out, 'p', pid.to_string().as_bytes());
        if let Some(group) = group.filter(|_| has('g')) {
            field(out, 'g', group.to_string().as_bytes());
        }
        if let Some(parent) = parent.filter(|_| has('R')) {
            field(out, 'R', parent.to_string().as_bytes());
        }
        if has('c') {
            field(out, 'c', &escaped(comm, layout.unicode));
        }
        if let Some(uid) = uid {
            if has('u') {
                field(out, 'u', uid.to_string().as_bytes());
            }
            if has('L')
                && let Some(name) = labels.user(*uid)
            {
                field(out, 'L', &escaped(name.as_bytes(), layout.unicode));
            }
        }
        if nul {
            out.push(b'\n');
        }
        for opened in &entry.files {
            let begin = out.len();
            file_fields(opened, &has, end, layout, labels, out);
            if nul && out.len() > begin {
                out.push(b'\n');
            }
        }
    }
}

fn escaped(name: &[u8], unicode: bool) -> Vec<u8> {
    let mut out = Vec::new();
    put_name(&mut out, name, unicode);
    out
}

fn file_fields(
    opened: &Opened<'_>,
    has: &impl Fn(char) -> bool,
    end: u8,
    layout: &Layout,
    labels: &Labels,
    out: &mut Vec<u8>,
) {
    let Opened { file, socket } = opened;
    let mut field = |letter: char, value: &[u8]| {
        if has(letter) {
            out.push(letter as u8);
            out.extend_from_slice(value);
            out.push(end);
        }
    };
    field('f', fd(file.at).as_bytes());
    field('a', file.access.letter().to_string().as_bytes());
    field('l', b" ");
    field('t', kind(opened).as_bytes());
    if let Some(flags) = file.flags {
        field('G', format!("{flags:#x};0x0").as_bytes());
    }
    match (socket, file.on) {
        (Some(socket), _) => {
            let mut device = Vec::new();
            put_device(&mut device, socket);
            if !device.is_empty() {
                field('d', &device);
            }
        }
        (None, Some((major, minor))) => {
            // As stat() packs the two.
            let device = libc::makedev(major, minor);
            field('D', format!("{device:#x}").as_bytes());
        }
        (None, None) => {}
    }
    match file.size {
        Some(size) => field('s', size.to_string().as_bytes()),
        None if file.kind != Kind::Unknown => {
            field('o', format!("0t{}", file.offset).as_bytes());
        }
        None => {}
    }
    match socket {
        Some(socket) => match socket.ends {
            Ends::Inet { .. } if socket.proto != Proto::Raw => {
                field('P', protocol(socket).as_bytes());
            }
            Ends::Packet { protocol, .. } => field('P', packet_protocol(protocol).as_bytes()),
            _ => field('i', socket.inode.to_string().as_bytes()),
        },
        None => {
            if let Some(inode) = file.inode {
                field('i', inode.to_string().as_bytes());
            }
            if let Some(links) = file.links
                && !matches!(file.kind, Kind::Socket(_))
            {
                field('k', links.to_string().as_bytes());
            }
        }
    }
    let mut name = Vec::new();
    put_bare_name(&mut name, opened, layout.unicode, labels);
    field('n', &name);
    if let Some(socket) = socket.filter(|socket| has_more(socket)) {
        if let Some(state) = state(socket) {
            field('T', format!("ST={state}").as_bytes());
        }
        if let Some((received, sent)) = queues(socket) {
            field('T', format!("QR={received}").as_bytes());
            field('T', format!("QS={sent}").as_bytes());
        }
    }
}

/// Process ids, one a line.
pub fn pids(entries: &[Entry<'_>], out: &mut Vec<u8>) {
    for entry in entries {
        put(out, format_args!("{}\n", entry.process.pid));
    }
}

/// An open file as a row of fields.
#[derive(Clone, Debug)]
pub struct Row {
    pid: u32,
    parent: Option<u32>,
    group: Option<u32>,
    comm: Vec<u8>,
    uid: Option<u32>,
    user: Option<String>,
    at: At,
    fd: String,
    access: Access,
    kind: &'static str,
    device: String,
    size: Option<u64>,
    offset: u64,
    inode: Option<u64>,
    name: Vec<u8>,
    socket: Option<Socket>,
}

/// Rows for programs.
pub fn rows(entries: &[Entry<'_>], labels: &Labels) -> Vec<Row> {
    let mut rows = Vec::new();
    for Entry { process, files } in entries {
        for opened in files {
            let Opened { file, socket } = opened;
            let mut name = Vec::new();
            put_bare_name(&mut name, opened, true, labels);
            rows.push(Row {
                pid: process.pid,
                parent: process.parent,
                group: process.group,
                comm: process.comm.clone(),
                uid: process.uid,
                user: process.uid.and_then(|uid| labels.user(uid)).map(str::to_owned),
                at: file.at,
                fd: fd(file.at),
                access: file.access,
                kind: kind(opened),
                device: match (socket, file.device) {
                    (None, Some((major, minor))) => format!("{major},{minor}"),
                    _ => String::new(),
                },
                size: file.size,
                offset: file.offset,
                inode: socket.as_ref().map(|socket| socket.inode.into()).or(file.inode),
                name,
                socket: socket.cloned(),
            });
        }
    }
    rows
}

/// Keys of a row in JSON, in order.
pub const KEYS: [&str; 20] = [
    "command", "pid", "ppid", "pgid", "uid", "user", "fd", "access", "type", "device", "size",
    "offset", "inode", "proto", "state", "local", "remote", "recv_q", "send_q", "name",
];

#[rustfmt::skip]
pub static COLUMNS: [Column<Row>; 20] = [
    Column::plain("command", "COMMAND", "name of the process", 15, &[&COMMAND]),
    Column::plain("pid", "PID", "its id", 7, &[&PID]),
    Column::plain("ppid", "PPID", "its parent's id", 7, &[&PPID]),
    Column::plain("pgid", "PGID", "its group's id", 7, &[&PGID]),
    Column::plain("uid", "UID", "its user", 6, &[&UID]),
    Column::plain("user", "USER", "the user's name", 8, &[&USER]),
    Column::plain("fd", "FD", "its descriptor: a number, cwd, rtd, txt or mem", 4, &[&FD]),
    Column::plain("access", "ACCESS", "r reading, w writing, u both", 6, &[&ACCESS]),
    Column::plain("type", "TYPE", "what kind of file it is", 7, &[&TYPE]),
    Column::plain("device", "DEVICE", "major and minor number of its device", 6, &[&DEVICE]),
    Column::plain("size", "SIZE", "bytes", 10, &[&SIZE]),
    Column::plain("offset", "OFFSET", "where it is read or written next", 10, &[&OFFSET]),
    Column::plain("inode", "INODE", "its number", 10, &[&INODE]),
    Column::plain("proto", "PROTO", "of a socket: its kind", 8, &[&PROTO]),
    Column::plain("state", "STATE", "of a socket: its state", 11, &[&STATE]),
    Column::plain("local", "LOCAL", "this end", 22, &[&LOCAL]),
    Column::plain("remote", "REMOTE", "the other end", 22, &[&REMOTE]),
    Column::plain("recv_q", "RECV_Q", "bytes to be read; of a listener: connections to be accepted", 6, &[&RECV_Q]),
    Column::plain("send_q", "SEND_Q", "bytes not acknowledged; of a listener: how many connections may wait", 6, &[&SEND_Q]),
    Column::plain("name", "NAME", "its path, or what it is", 30, &[&NAME]),
];

const COMMAND: Field<Row> = field("command", |row| Cell::Name(&row.comm));
const PID: Field<Row> = field("pid", |row| Cell::Number(row.pid.into()));
const PPID: Field<Row> = field("ppid", |row| number(row.parent.map(Into::into)));
const PGID: Field<Row> = field("pgid", |row| number(row.group.map(Into::into)));
const UID: Field<Row> = field("uid", |row| number(row.uid.map(Into::into)));
const USER: Field<Row> = field("user", |row| match &row.user {
    Some(user) => Cell::Name(user.as_bytes()),
    None => Cell::Absent,
});
const FD: Field<Row> = field("fd", |row| match row.at {
    At::Fd(fd) => Cell::Number(fd.into()),
    _ => Cell::Name(row.fd.as_bytes()),
});
const ACCESS: Field<Row> = field("access", |row| match row.access {
    Access::Read => Cell::Word("r"),
    Access::Write => Cell::Word("w"),
    Access::Both => Cell::Word("u"),
    Access::Unknown => Cell::Absent,
});
const TYPE: Field<Row> = field("type", |row| Cell::Word(row.kind));
const DEVICE: Field<Row> = field("device", |row| match row.device.as_str() {
    "" => Cell::Absent,
    device => Cell::Name(device.as_bytes()),
});
const SIZE: Field<Row> = field("size", |row| number(row.size));
const OFFSET: Field<Row> = field("offset", |row| match (row.at, &row.socket) {
    (At::Fd(_), None) => Cell::Number(row.offset),
    _ => Cell::Absent,
});
const INODE: Field<Row> = field("inode", |row| number(row.inode));
const PROTO: Field<Row> = field("proto", |row| match &row.socket {
    Some(socket) => Cell::Word(socket.proto.name()),
    None => Cell::Absent,
});
const STATE: Field<Row> = field("state", |row| match &row.socket {
    Some(socket) => Cell::State(socket.state),
    None => Cell::Absent,
});
const LOCAL: Field<Row> =
    field("local", |row| end(row.socket.as_ref().and_then(Socket::inet).map(|e| e.0)));
const REMOTE: Field<Row> =
    field("remote", |row| end(row.socket.as_ref().and_then(Socket::inet).map(|e| e.1)));
const RECV_Q: Field<Row> = field("recv_q", |row| match &row.socket {
    Some(socket) => Cell::Number(socket.recv_q.into()),
    None => Cell::Absent,
});
const SEND_Q: Field<Row> = field("send_q", |row| match &row.socket {
    Some(socket) => Cell::Number(socket.send_q.into()),
    None => Cell::Absent,
});
const NAME: Field<Row> = field("name", |row| Cell::Name(&row.name));

fn number<'a>(value: Option<u64>) -> Cell<'a> {
    value.map_or(Cell::Absent, Cell::Number)
}

fn end<'a>(end: Option<Endpoint>) -> Cell<'a> {
    end.map_or(Cell::Absent, Cell::Endpoint)
}

const fn field(key: &'static str, read: fn(&Row) -> Cell<'_>) -> Field<Row> {
    Field { key, read }
}
