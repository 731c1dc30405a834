//! Sockets as rows of fields, for the formats for programs: the same keys whatever view
//! was asked, so that what was written for one reads the others.

use std::sync::Arc;

use netbreath_common::tcp::TcpState;

use super::{Cell, Column, Field};
use crate::event::Endpoint;
pub use crate::table::socket::shown_name as shown;
use crate::table::socket::{Ends, Holder, Socket, Sockets, TimerKind};
use crate::view::label::Labels;

/// A socket with what belongs to it.
#[derive(Clone, Debug)]
pub struct Row {
    pub socket: Socket,
    pub holders: Vec<Held>,
    user: Option<String>,
    interface: Option<String>,
    name: Option<Vec<u8>>,
    details: Details,
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub pid: u32,
    pub fd: u32,
    pub comm: Arc<[u8]>,
    pub uid: Option<u32>,
}

/// What is asked for as text after the columns, with its values.
#[derive(Clone, Debug, Default)]
struct Details {
    congestion: Option<String>,
    info: Vec<u8>,
    memory: Vec<u32>,
}

/// Rows of these sockets.
pub fn rows<'a>(
    sockets: &'a Sockets,
    chosen: impl Iterator<Item = &'a Socket>,
    labels: &Labels,
) -> Vec<Row> {
    let mut comms = std::collections::HashMap::<u32, Arc<[u8]>>::new();
    let rows = chosen.map(|socket| {
        let holders = sockets.holders.of(socket.inode).iter().map(|holder| {
            let process = sockets.holders.process(holder.pid);
            let comm = comms.entry(holder.pid).or_insert_with(|| {
                process.map_or_else(Arc::default, |process| process.comm.as_slice().into())
            });
            let (pid, fd) = (holder.pid, holder.fd);
            Held { pid, fd, comm: Arc::clone(comm), uid: process.and_then(|p| p.uid) }
        });
        let more = socket.detail.more.as_deref();
        let interface = match socket.ends {
            Ends::Inet { interface, .. } | Ends::Packet { interface, .. } => {
                labels.interface(socket.netns, interface).map(str::to_owned)
            }
            _ => None,
        };
        let name = socket.unix().and_then(|ends| ends.name.as_deref()).map(shown);
        Row {
            holders: holders.collect(),
            user: labels.user(socket.uid).map(str::to_owned),
            interface,
            name,
            details: more.map_or_else(Details::default, |more| Details {
                congestion: more.congestion.clone(),
                info: more.tcp_info.clone(),
                memory: more.memory.clone(),
            }),
            socket: socket.clone(),
        }
    });
    rows.collect()
}

impl Row {
    fn info(&self, at: usize, bytes: usize) -> Option<u64> {
        let value = self.details.info.get(at..at + bytes)?;
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(value);
        // Little-endian machines alone are supported by the kernel programs.
        Some(u64::from_le_bytes(word))
    }
}

/// Keys of a row in JSON, in order.
pub const KEYS: [&str; 36] = [
    "proto",
    "family",
    "state",
    "local",
    "remote",
    "interface",
    "name",
    "peer",
    "protocol",
    "port_id",
    "groups",
    "recv_q",
    "send_q",
    "holders",
    "uid",
    "user",
    "inode",
    "socket",
    "netns",
    "timer.kind",
    "timer.left_ns",
    "timer.retrans",
    "shutdown_receive",
    "shutdown_send",
    "v6only",
    "mark",
    "cgroup_id",
    "memory.received",
    "memory.receive_buffer",
    "memory.sent",
    "memory.send_buffer",
    "tcp.congestion",
    "tcp.rtt_ns",
    "tcp.cwnd",
    "tcp.bytes_acked",
    "tcp.bytes_received",
];

/// Every column.
#[rustfmt::skip]
pub static COLUMNS: [Column<Row>; 36] = [
    Column::plain("proto", "PROTO", "what kind of socket it is", 14, &[&PROTO]),
    Column::plain("family", "FAMILY", "4 or 6", 6, &[&FAMILY]),
    Column::plain("state", "STATE", "TCP's state; ESTABLISHED and CLOSE of others: connected or not", 11, &[&STATE]),
    Column::plain("local", "LOCAL", "this end", 22, &[&LOCAL]),
    Column::plain("remote", "REMOTE", "the other end", 22, &[&REMOTE]),
    Column::plain("interface", "INTERFACE", "the interface that it is bound to", 9, &[&INTERFACE]),
    Column::plain("name", "NAME", "of a UNIX socket; @ begins an abstract one", 20, &[&NAME]),
    Column::plain("peer", "PEER", "inode number of a UNIX socket's peer", 8, &[&PEER]),
    Column::plain("protocol", "PROTOCOL", "the number of the protocol: in IP, Ethernet or netlink", 8, &[&PROTOCOL]),
    Column::plain("port_id", "PORT_ID", "of a netlink socket: usually a process id; 0 is the kernel", 8, &[&PORT_ID]),
    Column::plain("groups", "GROUPS", "of a netlink socket: the groups that it listens to, as bits", 8, &[&GROUPS]),
    Column::plain("recv_q", "RECV_Q", "bytes to be read; of a listener: connections to be accepted", 6, &[&RECV_Q]),
    Column::plain("send_q", "SEND_Q", "bytes not acknowledged; of a listener: how many connections may wait", 6, &[&SEND_Q]),
    Column::plain("holders", "HOLDERS", "every process that has it open, with the descriptor", 20, &[&HOLDERS]),
    Column::plain("uid", "UID", "the user who made it", 6, &[&UID]),
    Column::plain("user", "USER", "the name of this user", 8, &[&USER]),
    Column::plain("inode", "INODE", "its number among the files; 0: no process can hold it", 8, &[&INODE]),
    Column::plain("socket", "SOCKET", "the kernel's cookie, as in every event", 8, &[&COOKIE]),
    Column::plain("netns", "NETNS", "inode number of its network namespace", 10, &[&NETNS]),
    Column::plain("timer", "TIMER", "which timer runs", 10, &[&TIMER_KIND]),
    Column::plain("timer_left", "LEFT", "and for how long still", 10, &[&TIMER_LEFT]),
    Column::plain("timer_retrans", "RETRANS", "how often it has run off", 7, &[&TIMER_RETRANS]),
    Column::plain("shutdown_receive", "SHUT_RD", "it no longer receives", 7, &[&SHUT_RD]),
    Column::plain("shutdown_send", "SHUT_WR", "it no longer sends", 7, &[&SHUT_WR]),
    Column::plain("v6only", "V6ONLY", "it takes IPv6 alone", 6, &[&V6ONLY]),
    Column::plain("mark", "MARK", "the mark of its packets", 6, &[&MARK]),
    Column::plain("cgroup_id", "CGROUP_ID", "number of its control group", 9, &[&CGROUP]),
    Column::plain("mem_received", "RMEM", "bytes that received packets take", 8, &[&RMEM]),
    Column::plain("mem_receive_buffer", "RCVBUF", "how many they may take", 8, &[&RCVBUF]),
    Column::plain("mem_sent", "WMEM", "bytes that packets to be sent take", 8, &[&WMEM]),
    Column::plain("mem_send_buffer", "SNDBUF", "how many they may take", 8, &[&SNDBUF]),
    Column::plain("congestion", "CC", "congestion control", 8, &[&CONGESTION]),
    Column::plain("rtt", "RTT", "smoothed round-trip time", 8, &[&RTT]),
    Column::plain("cwnd", "CWND", "congestion window, in segments", 6, &[&CWND]),
    Column::plain("bytes_acked", "ACKED", "bytes that the peer has acknowledged", 10, &[&ACKED]),
    Column::plain("bytes_received", "RECEIVED", "bytes that the peer has sent", 10, &[&RECEIVED]),
];

const PROTO: Field<Row> = field("proto", |row| Cell::Word(row.socket.proto.name()));
const FAMILY: Field<Row> = field("family", |row| match row.socket.family() {
    Some(family) => Cell::Number(family.number().into()),
    None => Cell::Absent,
});
const STATE: Field<Row> = field("state", |row| Cell::State(row.socket.state));
const LOCAL: Field<Row> = field("local", |row| end(row.socket.inet().map(|ends| ends.0)));
const REMOTE: Field<Row> = field("remote", |row| end(row.socket.inet().map(|ends| ends.1)));
const INTERFACE: Field<Row> = field("interface", |row| name(row.interface.as_deref()));
const NAME: Field<Row> = field("name", |row| match &row.name {
    Some(name) => Cell::Name(name),
    None => Cell::Absent,
});
const PEER: Field<Row> = field("peer", |row| match row.socket.unix() {
    Some(ends) if ends.peer != 0 => Cell::Number(ends.peer.into()),
    _ => Cell::Absent,
});
const PROTOCOL: Field<Row> = field("protocol", |row| match row.socket.ends {
    Ends::Packet { protocol, .. } => Cell::Number(protocol.into()),
    Ends::Netlink { protocol, .. } => Cell::Number(protocol.into()),
    Ends::Inet { local, .. } if row.socket.proto == crate::table::socket::Proto::Raw => {
        Cell::Number(local.port.into())
    }
    _ => Cell::Absent,
});
const PORT_ID: Field<Row> = field("port_id", |row| match row.socket.ends {
    Ends::Netlink { port, .. } => Cell::Number(port.into()),
    _ => Cell::Absent,
});
const GROUPS: Field<Row> = field("groups", |row| match row.socket.ends {
    Ends::Netlink { groups, .. } => Cell::Number(groups),
    _ => Cell::Absent,
});
const RECV_Q: Field<Row> = field("recv_q", |row| told(row, row.socket.recv_q));
const SEND_Q: Field<Row> = field("send_q", |row| told(row, row.socket.send_q));
const HOLDERS: Field<Row> = field("holders", |row| Cell::Holders(&row.holders));
const UID: Field<Row> = field("uid", |row| match row.socket.uid {
    Holder::UNKNOWN if row.socket.detail.recorded => Cell::Unknown,
    uid => Cell::Number(uid.into()),
});
const USER: Field<Row> = field("user", |row| name(row.user.as_deref()));
const INODE: Field<Row> = field("inode", |row| match row.socket.unix() {
    // It is a UNIX socket's identity.
    Some(_) => Cell::Number(row.socket.inode.into()),
    None => told(row, row.socket.inode),
});
const COOKIE: Field<Row> = field("socket", |row| Cell::Id(row.socket.cookie));
const NETNS: Field<Row> = field("netns", |row| match row.socket.netns {
    0 if row.socket.detail.recorded => Cell::Unknown,
    netns => Cell::Number(netns.into()),
});
const TIMER_KIND: Field<Row> = field("timer.kind", |row| match row.socket.timer.kind {
    _ if row.socket.detail.recorded => Cell::Unknown,
    TimerKind::Off => Cell::Absent,
    kind => Cell::Word(kind.name()),
});
const TIMER_LEFT: Field<Row> = field("timer.left_ns", |row| match row.socket.timer.kind {
    TimerKind::Off => Cell::Absent,
    _ => Cell::Duration(u64::from(row.socket.timer.left) * 1_000_000),
});
const TIMER_RETRANS: Field<Row> = field("timer.retrans", |row| match row.socket.timer.kind {
    TimerKind::Off => Cell::Absent,
    _ => Cell::Number(row.socket.timer.retrans.into()),
});
const SHUT_RD: Field<Row> = field("shutdown_receive", |row| shutdown(row, 1));
const SHUT_WR: Field<Row> = field("shutdown_send", |row| shutdown(row, 2));
const V6ONLY: Field<Row> = field("v6only", |row| match row.socket.detail.v6only {
    Some(only) => Cell::Flag(only),
    None => Cell::Absent,
});
const MARK: Field<Row> = field("mark", |row| match row.socket.detail.mark {
    0 => Cell::Absent,
    mark => Cell::Number(mark.into()),
});
const CGROUP: Field<Row> = field("cgroup_id", |row| number(row.socket.detail.cgroup));
const RMEM: Field<Row> = field("memory.received", |row| memory(row, 0));
const RCVBUF: Field<Row> = field("memory.receive_buffer", |row| memory(row, 1));
const WMEM: Field<Row> = field("memory.sent", |row| memory(row, 2));
const SNDBUF: Field<Row> = field("memory.send_buffer", |row| memory(row, 3));
const CONGESTION: Field<Row> =
    field("tcp.congestion", |row| name(row.details.congestion.as_deref()));
const RTT: Field<Row> = field("tcp.rtt_ns", |row| match live(row).then(|| row.info(68, 4)) {
    Some(Some(micros)) => Cell::Duration(micros * 1000),
    _ => Cell::Absent,
});
const CWND: Field<Row> =
    field("tcp.cwnd", |row| number(live(row).then(|| row.info(80, 4)).flatten()));
const ACKED: Field<Row> =
    field("tcp.bytes_acked", |row| number(live(row).then(|| row.info(120, 8)).flatten()));
const RECEIVED: Field<Row> =
    field("tcp.bytes_received", |row| number(live(row).then(|| row.info(128, 8)).flatten()));

/// What events do not tell is unknown.
fn told<'a>(row: &Row, number: u32) -> Cell<'a> {
    if row.socket.detail.recorded { Cell::Unknown } else { Cell::Number(number.into()) }
}

/// Of a listener, these are of no meaning.
fn live(row: &Row) -> bool {
    row.socket.state != TcpState::Listen
}

fn shutdown(row: &Row, bit: u8) -> Cell<'_> {
    match row.socket.detail.shutdown {
        Some(mask) => Cell::Flag(mask & bit != 0),
        None => Cell::Absent,
    }
}

fn memory(row: &Row, at: usize) -> Cell<'_> {
    number(row.details.memory.get(at).map(|bytes| u64::from(*bytes)))
}

fn number<'a>(value: Option<u64>) -> Cell<'a> {
    value.map_or(Cell::Absent, Cell::Number)
}

fn name(name: Option<&str>) -> Cell<'_> {
    name.map_or(Cell::Absent, |name| Cell::Name(name.as_bytes()))
}

fn end<'a>(end: Option<Endpoint>) -> Cell<'a> {
    end.map_or(Cell::Absent, Cell::Endpoint)
}

const fn field(key: &'static str, read: fn(&Row) -> Cell<'_>) -> Field<Row> {
    Field { key, read }
}
