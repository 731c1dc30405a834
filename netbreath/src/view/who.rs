//! Who uses a port, in plain words: for people who do not know the classics.

use netbreath_common::tcp::TcpState;

use super::label::Labels;
use super::{Cell, Column, Field};
use crate::event::Endpoint;
use crate::format::{put, put_name};
use crate::table::socket::{Proto, Socket};

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What was asked, as it was typed.
    pub asked: String,
    /// The service that the port is for, if a port was asked for and has a name.
    pub service: Option<String>,
    pub users: Vec<User>,
    /// Sockets that fit and that no process holds.
    pub unheld: Vec<Socket>,
}

/// A process with the sockets that it was asked for.
#[derive(Clone, Debug, Default)]
pub struct User {
    pub pid: u32,
    pub comm: Vec<u8>,
    pub command_line: Vec<Vec<u8>>,
    pub exe: Option<Vec<u8>>,
    pub uid: Option<u32>,
    pub user: Option<String>,
    /// Parents, the nearest first.
    pub parents: Vec<(u32, Vec<u8>)>,
    pub container: Option<String>,
    pub cgroup: Option<String>,
    /// How long it has been running, in seconds.
    pub age: Option<u64>,
    pub sockets: Vec<Used>,
}

/// A socket of a process, and who is at its other end if that is a process of this host.
#[derive(Clone, Debug)]
pub struct Used {
    pub fd: u32,
    pub socket: Socket,
    pub peer: Option<(u32, Vec<u8>)>,
}

impl Answer {
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.unheld.is_empty()
    }
}

/// Sockets that a table shows of one process; more are counted.
const SHOWN: usize = 20;

pub fn text(answer: &Answer, labels: &Labels, unicode: bool, out: &mut Vec<u8>) {
    let asked = |out: &mut Vec<u8>| {
        let is_port = answer.asked.starts_with(|c: char| c.is_ascii_digit());
        out.extend_from_slice(if is_port { b"Port " } else { b"" });
        put_name(out, answer.asked.as_bytes(), unicode);
        if let Some(service) = &answer.service {
            out.extend_from_slice(b" (");
            put_name(out, service.as_bytes(), unicode);
            out.push(b')');
        }
    };
    if answer.is_empty() {
        asked(out);
        out.extend_from_slice(b": nobody uses it.\n");
        return;
    }
    asked(out);
    out.extend_from_slice(b": ");
    summary(answer, unicode, out);
    for user in &answer.users {
        out.push(b'\n');
        paragraph(user, unicode, out);
        table(&user.sockets, labels, unicode, out);
    }
    if !answer.unheld.is_empty() {
        out.extend_from_slice(b"\nNo process holds these any more, or yet:\n");
        for socket in answer.unheld.iter().take(SHOWN) {
            line(socket, None, None, labels, unicode, out);
        }
        rest(answer.unheld.len(), out);
    }
}

/// One sentence.
fn summary(answer: &Answer, unicode: bool, out: &mut Vec<u8>) {
    let count = |fits: fn(&Socket) -> bool| {
        let held = answer.users.iter().flat_map(|user| &user.sockets).map(|used| &used.socket);
        let mut inodes: Vec<u64> =
            held.chain(&answer.unheld).filter(|socket| fits(socket)).map(|s| s.cookie).collect();
        inodes.sort_unstable();
        inodes.dedup();
        inodes.len()
    };
    let listeners = count(waits);
    let past = count(is_past);
    let connections = count(|socket| !waits(socket) && !is_past(socket));
    match answer.users.as_slice() {
        [] => out.extend_from_slice(b"no process holds it"),
        users => {
            for (place, user) in users.iter().take(3).enumerate() {
                if place > 0 {
                    out.extend_from_slice(b", ");
                }
                put_name(out, &user.comm, unicode);
                put(out, format_args!(" (process {})", user.pid));
            }
            if users.len() > 3 {
                put(out, format_args!(" and {} more processes", users.len() - 3));
            }
        }
    }
    let say = |out: &mut Vec<u8>, count: usize, one: &str, many: &str| match count {
        0 => {}
        1 => put(out, format_args!("; {one}")),
        count => put(out, format_args!("; {count} {many}")),
    };
    say(out, listeners, "one socket waits for peers", "sockets wait for peers");
    say(out, connections, "one connection", "connections");
    say(out, past, "one connection is over (TIME_WAIT)", "connections are over (TIME_WAIT)");
    out.extend_from_slice(b".\n");
}

fn waits(socket: &Socket) -> bool {
    match socket.proto {
        proto if proto.is_tcp() => socket.state == TcpState::Listen,
        _ => socket.state == TcpState::Close,
    }
}

/// Both sides have closed it: only its name is kept for a while.
fn is_past(socket: &Socket) -> bool {
    socket.proto.is_tcp() && socket.state == TcpState::TimeWait
}

fn paragraph(user: &User, unicode: bool, out: &mut Vec<u8>) {
    put_name(out, &user.comm, unicode);
    put(out, format_args!("[{}]", user.pid));
    if let Some(uid) = user.uid {
        out.extend_from_slice(b" of user ");
        match &user.user {
            Some(name) => put_name(out, name.as_bytes(), unicode),
            None => put(out, format_args!("{uid}")),
        }
    }
    if let Some(age) = user.age {
        put(out, format_args!(", running for {}", span(age)));
    }
    out.push(b'\n');
    let mut fact = |name: &str, write: &dyn Fn(&mut Vec<u8>)| {
        put(out, format_args!("  {name:<11}"));
        write(out);
        out.push(b'\n');
    };
    if let Some(exe) = &user.exe {
        fact("program", &|out| put_name(out, exe, unicode));
    }
    if !user.command_line.is_empty() {
        fact("called as", &|out| {
            for (place, argument) in user.command_line.iter().enumerate() {
                if place > 0 {
                    out.push(b' ');
                }
                put_name(out, argument, unicode);
            }
        });
    }
    if !user.parents.is_empty() {
        fact("started by", &|out| {
            for (place, (pid, comm)) in user.parents.iter().enumerate() {
                if place > 0 {
                    out.extend_from_slice(b", by ");
                }
                put_name(out, comm, unicode);
                put(out, format_args!("[{pid}]"));
            }
        });
    }
    if let Some(container) = &user.container {
        fact("container", &|out| put_name(out, container.as_bytes(), unicode));
    } else if let Some(cgroup) = user.cgroup.as_ref().filter(|cgroup| *cgroup != "/") {
        fact("cgroup", &|out| put_name(out, cgroup.as_bytes(), unicode));
    }
}

fn table(sockets: &[Used], labels: &Labels, unicode: bool, out: &mut Vec<u8>) {
    for used in sockets.iter().take(SHOWN) {
        let peer = used.peer.as_ref();
        line(&used.socket, Some(used.fd), peer, labels, unicode, out);
    }
    rest(sockets.len(), out);
}

fn rest(count: usize, out: &mut Vec<u8>) {
    if count > SHOWN {
        put(out, format_args!("  … and {} more\n", count - SHOWN));
    }
}

fn line(
    socket: &Socket,
    fd: Option<u32>,
    peer: Option<&(u32, Vec<u8>)>,
    labels: &Labels,
    unicode: bool,
    out: &mut Vec<u8>,
) {
    let state = match socket.proto {
        proto if proto.is_tcp() => socket.state.name(),
        _ if waits(socket) => "BOUND",
        _ => "CONNECTED",
    };
    put(out, format_args!("  {:<4} {state:<11} ", socket.proto.name().to_uppercase()));
    match fd {
        Some(fd) => put(out, format_args!("fd {fd:<4} ")),
        None => out.extend_from_slice(b"        "),
    }
    if let Some((local, remote)) = socket.inet() {
        end(local, labels, unicode, out);
        if remote.port != 0 {
            out.extend_from_slice(if unicode { " ↔ ".as_bytes() } else { b" <-> " });
            end(remote, labels, unicode, out);
        }
    }
    if let Some((pid, comm)) = peer {
        out.extend_from_slice(b", ");
        put_name(out, comm, unicode);
        put(out, format_args!("[{pid}]"));
    }
    out.push(b'\n');
}

fn end(end: Endpoint, labels: &Labels, unicode: bool, out: &mut Vec<u8>) {
    let addr = end.addr.to_canonical();
    match labels.host(end.addr) {
        Some(name) => put_name(out, name.as_bytes(), unicode),
        None if addr.is_unspecified() => out.extend_from_slice(b"every address"),
        None if addr.is_ipv6() => put(out, format_args!("[{addr}]")),
        None => put(out, format_args!("{addr}")),
    }
    match end.port {
        0 => {}
        port if addr.is_unspecified() => put(out, format_args!(", port {port}")),
        port => put(out, format_args!(":{port}")),
    }
}

/// Seconds in words.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A socket with its process, for programs.
#[derive(Clone, Debug)]
pub struct Row {
    user: Option<User>,
    command_line: Vec<u8>,
    parents: Vec<std::sync::Arc<str>>,
    fd: Option<u32>,
    socket: Socket,
    peer: Option<(u32, Vec<u8>)>,
}

pub fn rows(answer: &Answer) -> Vec<Row> {
    let mut rows = Vec::new();
    for user in &answer.users {
        let bare = User { sockets: Vec::new(), ..user.clone() };
        let parents = user
            .parents
            .iter()
            .map(|(pid, comm)| format!("{}[{pid}]", String::from_utf8_lossy(comm)).into());
        let parents: Vec<_> = parents.collect();
        for used in &user.sockets {
            rows.push(Row {
                command_line: bare.command_line.join(&b' '),
                user: Some(bare.clone()),
                parents: parents.clone(),
                fd: Some(used.fd),
                socket: used.socket.clone(),
                peer: used.peer.clone(),
            });
        }
    }
    rows.extend(answer.unheld.iter().map(|socket| Row {
        user: None,
        command_line: Vec::new(),
        parents: Vec::new(),
        fd: None,
        socket: socket.clone(),
        peer: None,
    }));
    rows
}

/// Keys of a row in JSON, in order.
pub const KEYS: [&str; 18] = [
    "proto",
    "state",
    "local",
    "remote",
    "process.pid",
    "process.comm",
    "process.uid",
    "process.user",
    "process.exe",
    "process.cmdline",
    "process.parents",
    "process.container",
    "process.cgroup",
    "process.running_ns",
    "fd",
    "peer.pid",
    "peer.comm",
    "socket",
];

#[rustfmt::skip]
pub static COLUMNS: [Column<Row>; 18] = [
    Column::plain("proto", "PROTO", "tcp or udp", 5, &[&PROTO]),
    Column::plain("state", "STATE", "its state", 11, &[&STATE]),
    Column::plain("local", "LOCAL", "this end", 22, &[&LOCAL]),
    Column::plain("remote", "REMOTE", "the other end", 22, &[&REMOTE]),
    Column::plain("pid", "PID", "the process that has it", 7, &[&PID]),
    Column::plain("comm", "COMM", "its name", 15, &[&COMM]),
    Column::plain("uid", "UID", "its user", 6, &[&UID]),
    Column::plain("user", "USER", "the user's name", 8, &[&USER]),
    Column::plain("exe", "EXE", "its program", 20, &[&EXE]),
    Column::plain("cmdline", "CMDLINE", "as it was called", 20, &[&CMDLINE]),
    Column::plain("parents", "PARENTS", "who started it, and who started that", 20, &[&PARENTS]),
    Column::plain("container", "CONTAINER", "the container that it is in", 12, &[&CONTAINER]),
    Column::plain("cgroup", "CGROUP", "its control group", 20, &[&CGROUP]),
    Column::plain("running", "RUNNING", "since when it runs", 10, &[&RUNNING]),
    Column::plain("fd", "FD", "its descriptor there", 4, &[&FD]),
    Column::plain("peer_pid", "PEER_PID", "the process at the other end, on this host", 8, &[&PEER_PID]),
    Column::plain("peer_comm", "PEER_COMM", "its name", 15, &[&PEER_COMM]),
    Column::plain("socket", "SOCKET", "the kernel's cookie", 8, &[&SOCKET]),
];

const PROTO: Field<Row> = field("proto", |row| Cell::Word(row.socket.proto.name()));
const STATE: Field<Row> = field("state", |row| Cell::State(row.socket.state));
const LOCAL: Field<Row> = field("local", |row| side(row.socket.inet().map(|ends| ends.0)));
const REMOTE: Field<Row> = field("remote", |row| side(row.socket.inet().map(|ends| ends.1)));
const PID: Field<Row> = field("process.pid", |row| of(row, |user| Cell::Number(user.pid.into())));
const COMM: Field<Row> = field("process.comm", |row| of(row, |user| Cell::Name(&user.comm)));
const UID: Field<Row> = field("process.uid", |row| {
    of(row, |user| user.uid.map_or(Cell::Absent, |uid| Cell::Number(uid.into())))
});
const USER: Field<Row> = field("process.user", |row| {
    of(row, |user| user.user.as_ref().map_or(Cell::Absent, |name| Cell::Name(name.as_bytes())))
});
const EXE: Field<Row> = field("process.exe", |row| {
    of(row, |user| user.exe.as_ref().map_or(Cell::Absent, |exe| Cell::Name(exe)))
});
const CMDLINE: Field<Row> = field("process.cmdline", |row| match &row.user {
    Some(_) => Cell::Name(&row.command_line),
    None => Cell::Absent,
});
const PARENTS: Field<Row> = field("process.parents", |row| match &row.user {
    Some(_) => Cell::Names(&row.parents),
    None => Cell::Absent,
});
const CONTAINER: Field<Row> = field("process.container", |row| {
    of(row, |user| user.container.as_ref().map_or(Cell::Absent, |c| Cell::Name(c.as_bytes())))
});
const CGROUP: Field<Row> = field("process.cgroup", |row| {
    of(row, |user| user.cgroup.as_ref().map_or(Cell::Absent, |c| Cell::Name(c.as_bytes())))
});
const RUNNING: Field<Row> = field("process.running_ns", |row| {
    of(row, |user| user.age.map_or(Cell::Absent, |age| Cell::Duration(age * 1_000_000_000)))
});
const FD: Field<Row> = field("fd", |row| row.fd.map_or(Cell::Absent, |fd| Cell::Number(fd.into())));
const PEER_PID: Field<Row> = field("peer.pid", |row| match &row.peer {
    Some((pid, _)) => Cell::Number((*pid).into()),
    None => Cell::Absent,
});
const PEER_COMM: Field<Row> = field("peer.comm", |row| match &row.peer {
    Some((_, comm)) => Cell::Name(comm),
    None => Cell::Absent,
});
const SOCKET: Field<Row> = field("socket", |row| Cell::Id(row.socket.cookie));

fn of<'a>(row: &'a Row, read: impl FnOnce(&'a User) -> Cell<'a>) -> Cell<'a> {
    row.user.as_ref().map_or(Cell::Absent, read)
}

fn side<'a>(end: Option<Endpoint>) -> Cell<'a> {
    end.map_or(Cell::Absent, Cell::Endpoint)
}

const fn field(key: &'static str, read: fn(&Row) -> Cell<'_>) -> Field<Row> {
    Field { key, read }
}

/// The kinds of sockets that a port is about.
pub const PROTOS: [Proto; 3] = [Proto::Tcp, Proto::Udp, Proto::UdpLite];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::socket::{Detail, Ends, Timer};

    fn socket(state: TcpState, cookie: u64) -> Socket {
        let end = |port| Endpoint { addr: [127, 0, 0, 1].into(), port };
        Socket {
            proto: Proto::Tcp,
            state,
            ends: Ends::Inet { local: end(8080), remote: end(40_000), interface: 0 },
            inode: 0,
            uid: 0,
            recv_q: 0,
            send_q: 0,
            timer: Timer::default(),
            cookie,
            netns: 1,
            detail: Detail::default(),
        }
    }

    #[test]
    fn a_connection_that_is_over_is_none_that_there_is() {
        let mut answer = Answer { asked: "8080".to_owned(), ..Answer::default() };
        let mut said = |state, cookie| {
            answer.unheld.push(socket(state, cookie));
            let mut out = Vec::new();
            summary(&answer, true, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            said(TcpState::TimeWait, 1),
            "no process holds it; one connection is over (TIME_WAIT).\n"
        );
        assert_eq!(
            said(TcpState::FinWait2, 2),
            "no process holds it; one connection; one connection is over (TIME_WAIT).\n"
        );
    }
}
