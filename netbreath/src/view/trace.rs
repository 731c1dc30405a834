//! The view `trace`: a row per event of a connection.

use super::{Align, Cell, Column, Field, Said, Width};
use netbreath_common::tcp::TcpState;

use crate::event::{
    Accept, Body, Cause, Cgroup, Closed, Closer, ConnectFailed, Datagrams, Dns, Event, Owner,
    Process, Reset, Retransmit, Seed, Socket, State, Traffic, Unix,
};

/// Columns shown unless others are asked for.
pub const USUAL: [&str; 9] =
    ["time", "process", "how", "event", "proto", "local", "remote", "transition", "in_state"];

/// Columns that a narrow terminal loses, first to last. What remains is who, with
/// whom, and what happened.
pub const LEAST_NEEDED: [&str; 6] = ["event", "proto", "how", "time", "in_state", "local"];

/// Every column that `--columns` knows.
#[rustfmt::skip]
pub static COLUMNS: [Column<Event>; 34] = [
    column("time", "TIME", "when it happened", Width { least: 12, usual: 15, most: 15 }, AT.read, &[&AT]),
    column("process", "PROCESS", "the process that owns the connection: name[pid]", Width { least: 15, usual: 22, most: 24 }, process, &[&PID, &COMM, &OWN_PID, &OWN_COMM]),
    column("how", "HOW", "how the owner is known: connect, listen, accept, bind, inherited, snapshot or io", Width::fixed(9), HOW.read, &[&HOW]),
    column("event", "EVENT", "what kind of event it is", Width { least: 6, usual: 14, most: 14 }, EVENT.read, &[&EVENT]),
    column("proto", "PROTO", "the protocol", Width::fixed(5), PROTO.read, &[&PROTO, &FAMILY]),
    column("local", "LOCAL", "address and port on this machine; of a UNIX socket that has a name, the name", Width { least: 19, usual: 21, most: 40 }, local, &[&LOCAL]),
    column("remote", "REMOTE", "address and port of the other side; of a UNIX socket, the process", Width { least: 19, usual: 21, most: 40 }, remote, &[&REMOTE, &PATH, &PEER_PID, &PEER_COMM]),
    column("transition", "TRANSITION", "the state that TCP left and the one it entered, or what else happened; for exec, the program", Width::fixed(24), transition, &[&STATE, &OLD, &NEW, &FD, &RETRIES, &SYN_COOKIE, &ERROR, &SYNS, &FIRST, &CAUSE, &SEGMENT, &RETRANSMITS, &BYTES, &RECEIVED, &REASON, &WHAT, &NAME, &TYPE, &RCODE, &ANSWERS]),
    right("in_state", "IN STATE", "how long it had been in the old state; for accept, how long it had waited; for closed, how long the connection lasted; for dns, how long the query took", Width::fixed(8), in_state, &[&IN_STATE, &QUEUED, &TRIED, &LASTED, &LATENCY]),
    right("pid", "PID", "process id of the owner", Width::fixed(7), pid, &[&PID, &OWN_PID]),
    column("comm", "COMM", "name of the owner", Width::fixed(15), comm, &[&COMM, &OWN_COMM]),
    column("exe", "EXE", "program of the owner", Width { least: 20, usual: 24, most: 40 }, exe, &[&EXE, &OWN_EXE]),
    right("uid", "UID", "user id of the owner", Width::fixed(5), uid, &[&UID, &OWN_UID]),
    right("parent", "PARENT", "exec, fork, exit: process id of the parent", Width::fixed(7), PARENT.read, &[&PARENT]),
    column("cmdline", "CMDLINE", "exec, fork, exit: program and arguments", Width { least: 20, usual: 40, most: 80 }, CMDLINE.read, &[&CMDLINE]),
    column("start", "START", "exec, fork, exit: when the process started", Width { least: 12, usual: 15, most: 15 }, START.read, &[&START]),
    column("old", "OLD", "the state that TCP left", Width::fixed(12), OLD.read, &[&OLD]),
    column("new", "NEW", "the state that TCP entered", Width::fixed(12), NEW.read, &[&NEW]),
    right("netns", "NETNS", "number of the network namespace", Width::fixed(10), NETNS.read, &[&NETNS]),
    column("cgroup", "CGROUP", "control group: the service or container", Width { least: 24, usual: 30, most: 60 }, CGROUP.read, &[&CGROUP]),
    column("container", "CONTAINER", "id of the container", Width { least: 12, usual: 12, most: 64 }, CONTAINER.read, &[&CONTAINER]),
    column("pod", "POD", "uid of the Kubernetes pod", Width::fixed(36), POD.read, &[&POD]),
    right("socket", "SOCKET", "the connection's identity while netbreath runs", Width::fixed(8), SOCKET.read, &[&SOCKET]),
    right("peer", "PEER", "the socket at the other end, where that is one of this machine", Width::fixed(8), PEER.read, &[&PEER]),
    column("via", "VIA", "how the event is known: from the kernel, packets, …", Width::fixed(8), VIA.read, &[&VIA]),
    column("born", "BORN", "whether the connection was seen from its start", Width::fixed(4), BORN.read, &[&BORN]),
    column("closer", "CLOSER", "closed: the process that closed first, if one of this side did", Width { least: 15, usual: 22, most: 24 }, closer, &[&CLOSER_PID, &CLOSER_COMM, &CLOSER_EXE]),
    right("sent", "SENT", "closed, udp: bytes of payload that were sent", Width::fixed(10), SENT.read, &[&SENT, &SEGMENTS_SENT, &DATAGRAMS_SENT]),
    right("received", "RECEIVED", "closed, udp: bytes of payload that were received", Width::fixed(10), GOT.read, &[&GOT, &SEGMENTS_RECEIVED, &DATAGRAMS_RECEIVED]),
    right("retransmits", "RETRANSMITS", "closed, retransmit: how often something was sent again", Width::fixed(11), RETRANSMITS.read, &[&RETRANSMITS]),
    right("rtt", "RTT", "closed: smoothed round-trip time", Width::fixed(8), RTT.read, &[&RTT]),
    right("connect", "CONNECT", "closed: how long it took to be established", Width::fixed(8), CONNECTING.read, &[&CONNECTING]),
    right("established", "ESTABLISHED", "closed: how long it was established; for programs, the time in each state", Width::fixed(11), ESTABLISHED.read, &STATE_TIMES),
    right("queued", "QUEUED", "accept: how long the connection had waited for it", Width::fixed(8), QUEUED.read, &[&QUEUED]),
];

/// The keys of a row in JSON, in the order of the schema.
pub const KEYS: [&str; 77] = [
    "at",
    "event",
    "via",
    "pid",
    "parent",
    "comm",
    "exe",
    "cmdline",
    "uid",
    "start",
    "socket",
    "peer",
    "proto",
    "family",
    "local",
    "remote",
    "state",
    "old",
    "new",
    "in_state_ns",
    "queued_ns",
    "fd",
    "retries",
    "syn_cookie",
    "first",
    "cause",
    "closer.pid",
    "closer.comm",
    "closer.exe",
    "error",
    "syns",
    "tried_ns",
    "lasted_ns",
    "connect_ns",
    "bytes_sent",
    "bytes_received",
    "datagrams_sent",
    "datagrams_received",
    "segments_sent",
    "segments_received",
    "segment",
    "retransmits",
    "rtt_ns",
    "bytes",
    "received",
    "reason",
    "what",
    "name",
    "type",
    "rcode",
    "answers",
    "latency_ns",
    "path",
    "peer_owner.pid",
    "peer_owner.comm",
    "states_ns.ESTABLISHED",
    "states_ns.SYN_SENT",
    "states_ns.SYN_RECV",
    "states_ns.FIN_WAIT1",
    "states_ns.FIN_WAIT2",
    "states_ns.TIME_WAIT",
    "states_ns.CLOSE",
    "states_ns.CLOSE_WAIT",
    "states_ns.LAST_ACK",
    "states_ns.LISTEN",
    "states_ns.CLOSING",
    "states_ns.NEW_SYN_RECV",
    "owner.pid",
    "owner.comm",
    "owner.exe",
    "owner.uid",
    "owner.how",
    "netns",
    "cgroup",
    "container",
    "pod",
    "born",
];

const AT: Field<Event> = field("at", |event| Cell::Time(event.at));
const EVENT: Field<Event> = field("event", |event| Cell::Word(event.body.name()));
const VIA: Field<Event> = field("via", |event| Cell::Word(event.via.name()));
const SOCKET: Field<Event> = field("socket", |event| {
    if let Body::Unix(unix) = &event.body {
        return Cell::Id(unix.id.0);
    }
    of(event, |socket| if socket.id.0 == 0 { Cell::Unknown } else { Cell::Id(socket.id.0) })
});
const PEER: Field<Event> = field("peer", |event| {
    match &event.body {
        Body::Unix(unix) => unix.peer,
        body => body.socket().and_then(|socket| socket.peer),
    }
    .map_or(Cell::Absent, |peer| Cell::Id(peer.0))
});
const RETRIES: Field<Event> = field("retries", |event| match &event.body {
    Body::HalfOpen(half_open) => {
        Cell::known(half_open.retries, |retries| Cell::Number(retries.into()))
    }
    _ => Cell::Absent,
});
const SYN_COOKIE: Field<Event> = field("syn_cookie", |event| match &event.body {
    Body::HalfOpen(half_open) if half_open.syn_cookie => Cell::Flag(true),
    _ => Cell::Absent,
});
const PROTO: Field<Event> = field("proto", |event| match &event.body {
    Body::Unix(_) => Cell::Word("unix"),
    _ => of(event, |socket| Cell::Word(socket.proto.name())),
});
const FAMILY: Field<Event> =
    field("family", |event| of(event, |socket| Cell::Number(socket.flow.family.number().into())));
const LOCAL: Field<Event> =
    field("local", |event| of(event, |socket| Cell::Endpoint(socket.flow.local)));
const REMOTE: Field<Event> =
    field("remote", |event| of(event, |socket| Cell::Endpoint(socket.flow.remote)));
const STATE: Field<Event> = field("state", |event| match &event.body {
    Body::Seed(seed) => Cell::State(seed.state),
    Body::Retransmit(retransmit) => Cell::State(retransmit.state),
    Body::Reset(reset) => reset.state.map_or(Cell::Absent, Cell::State),
    Body::Drop(drop) => drop.state.map_or(Cell::Absent, Cell::State),
    _ => Cell::Absent,
});
const ERROR: Field<Event> = field("error", |event| match &event.body {
    Body::ConnectFailed(failed) => Cell::known(failed.error, |error| Cell::Word(error.name())),
    Body::Closed(closed) => closed.error.map_or(Cell::Absent, |error| Cell::Word(error.name())),
    _ => Cell::Absent,
});
const SYNS: Field<Event> = field("syns", |event| match &event.body {
    Body::ConnectFailed(failed) => Cell::Number(failed.syns.into()),
    _ => Cell::Absent,
});
const TRIED: Field<Event> = field("tried_ns", |event| match &event.body {
    Body::ConnectFailed(failed) => Cell::known(failed.tried, Cell::Duration),
    _ => Cell::Absent,
});
const FIRST: Field<Event> = field("first", |event| {
    at_end(event, |closed| Cell::known(closed.cause.and_then(Cause::side), Cell::Word))
});
const CAUSE: Field<Event> = field("cause", |event| {
    at_end(event, |closed| Cell::known(closed.cause, |cause| Cell::Word(cause.name())))
});
const CLOSER_PID: Field<Event> =
    field("closer.pid", |event| by(event, |closer| Cell::Number(closer.pid.into())));
const CLOSER_COMM: Field<Event> =
    field("closer.comm", |event| by(event, |closer| Cell::Name(closer.comm.bytes())));
const CLOSER_EXE: Field<Event> = field("closer.exe", |event| {
    by(event, |closer| Cell::known(closer.exe.as_deref(), |exe| Cell::Name(exe.as_bytes())))
});
const LASTED: Field<Event> =
    field("lasted_ns", |event| at_end(event, |closed| Cell::known(closed.lasted, Cell::Duration)));
const CONNECTING: Field<Event> = field("connect_ns", |event| {
    at_end(event, |closed| Cell::known(closed.connecting, Cell::Duration))
});
const SENT: Field<Event> = field("bytes_sent", |event| match &event.body {
    Body::Udp(_) => datagrams(event, |traffic| Cell::Number(traffic.bytes_sent)),
    _ => carried(event, |traffic| Cell::Number(traffic.bytes_sent)),
});
const GOT: Field<Event> = field("bytes_received", |event| match &event.body {
    Body::Udp(_) => datagrams(event, |traffic| Cell::Number(traffic.bytes_received)),
    _ => carried(event, |traffic| Cell::Number(traffic.bytes_received)),
});
const SEGMENTS_SENT: Field<Event> = field("segments_sent", |event| {
    carried(event, |traffic| Cell::Number(traffic.segments_sent.into()))
});
const SEGMENTS_RECEIVED: Field<Event> = field("segments_received", |event| {
    carried(event, |traffic| Cell::Number(traffic.segments_received.into()))
});
const RETRANSMITS: Field<Event> = field("retransmits", |event| match &event.body {
    Body::Retransmit(retransmit) => Cell::Number(retransmit.count.into()),
    _ => carried(event, |traffic| Cell::Number(traffic.retransmits.into())),
});
const RTT: Field<Event> =
    field("rtt_ns", |event| carried(event, |traffic| Cell::known(traffic.rtt, Cell::Duration)));
const SEGMENT: Field<Event> = field("segment", |event| match &event.body {
    Body::Retransmit(retransmit) => Cell::Word(retransmit.segment.name()),
    _ => Cell::Absent,
});
const BYTES: Field<Event> = field("bytes", |event| match &event.body {
    Body::Retransmit(retransmit) => Cell::Number(retransmit.bytes.into()),
    Body::Udp(udp) => udp.bytes.map_or(Cell::Absent, |bytes| Cell::Number(bytes.into())),
    _ => Cell::Absent,
});
const RECEIVED: Field<Event> = field("received", |event| match &event.body {
    Body::Reset(reset) => Cell::Flag(reset.received),
    Body::Dns(dns) => Cell::Flag(dns.received),
    _ => Cell::Absent,
});
const DATAGRAMS_SENT: Field<Event> =
    field("datagrams_sent", |event| datagrams(event, |traffic| Cell::Number(traffic.sent)));
const DATAGRAMS_RECEIVED: Field<Event> =
    field("datagrams_received", |event| datagrams(event, |traffic| Cell::Number(traffic.received)));
const WHAT: Field<Event> = field("what", |event| match &event.body {
    Body::Udp(udp) => Cell::Word(udp.what.name()),
    Body::Dns(dns) => Cell::Word(dns.message.what()),
    Body::Unix(unix) => Cell::Word(unix.what.name()),
    _ => Cell::Absent,
});
const NAME: Field<Event> =
    field("name", |event| dns(event, |dns| outside(dns.message.name.as_deref())));
const TYPE: Field<Event> = field("type", |event| match &event.body {
    Body::Unix(unix) => Cell::Word(unix.kind.name()),
    _ => dns(event, |dns| outside(dns.message.kind.as_deref())),
});
const RCODE: Field<Event> = field("rcode", |event| {
    dns(event, |dns| match &dns.message.rcode {
        Some(rcode) => Cell::Name(rcode.as_bytes()),
        None => Cell::Absent,
    })
});
const ANSWERS: Field<Event> = field("answers", |event| {
    dns(event, |dns| match &dns.message.answers[..] {
        [] => Cell::Absent,
        answers => Cell::Names(answers),
    })
});
const LATENCY: Field<Event> = field("latency_ns", |event| {
    dns(event, |dns| {
        if dns.message.response { Cell::known(dns.latency, Cell::Duration) } else { Cell::Absent }
    })
});
const PATH: Field<Event> = field("path", |event| unix(event, |unix| outside(unix.path.as_deref())));
const PEER_PID: Field<Event> =
    field("peer_owner.pid", |event| other(event, |owner| Cell::Number(owner.pid.into())));
const PEER_COMM: Field<Event> =
    field("peer_owner.comm", |event| other(event, |owner| Cell::Name(owner.comm.bytes())));
const REASON: Field<Event> = field("reason", |event| {
    let reason = match &event.body {
        Body::Reset(reset) => &reset.reason,
        Body::Drop(drop) => &drop.reason,
        _ => return Cell::Absent,
    };
    Cell::known(reason.as_deref(), |reason| Cell::Name(reason.as_bytes()))
});

/// A field for the time in each state that a connection can be in.
macro_rules! state_times {
    ($($name:ident $key:literal $state:ident;)*) => {
        $(const $name: Field<Event> = field($key, |event| time_in(event, TcpState::$state));)*
        static STATE_TIMES: [&Field<Event>; 12] = [$(&$name),*];
    };
}

state_times! {
    ESTABLISHED "states_ns.ESTABLISHED" Established;
    SYN_SENT "states_ns.SYN_SENT" SynSent;
    SYN_RECV "states_ns.SYN_RECV" SynRecv;
    FIN_WAIT1 "states_ns.FIN_WAIT1" FinWait1;
    FIN_WAIT2 "states_ns.FIN_WAIT2" FinWait2;
    TIME_WAIT "states_ns.TIME_WAIT" TimeWait;
    CLOSE "states_ns.CLOSE" Close;
    CLOSE_WAIT "states_ns.CLOSE_WAIT" CloseWait;
    LAST_ACK "states_ns.LAST_ACK" LastAck;
    LISTEN "states_ns.LISTEN" Listen;
    CLOSING "states_ns.CLOSING" Closing;
    NEW_SYN_RECV "states_ns.NEW_SYN_RECV" NewSynRecv;
}

const OLD: Field<Event> = field("old", |event| match &event.body {
    Body::State(state) => Cell::State(state.old),
    _ => Cell::Absent,
});
const NEW: Field<Event> = field("new", |event| match &event.body {
    Body::State(state) => Cell::State(state.new),
    _ => Cell::Absent,
});
const IN_STATE: Field<Event> = field("in_state_ns", |event| match &event.body {
    Body::State(state) => Cell::known(state.in_state, Cell::Duration),
    _ => Cell::Absent,
});
const QUEUED: Field<Event> = field("queued_ns", |event| match &event.body {
    Body::Accept(accept) => Cell::known(accept.queued, Cell::Duration),
    _ => Cell::Absent,
});
const FD: Field<Event> = field("fd", |event| match &event.body {
    Body::Seed(seed) => Cell::Number(seed.fd.into()),
    Body::Accept(accept) => Cell::known(accept.fd, |fd| Cell::Number(fd.into())),
    _ => Cell::Absent,
});
const PID: Field<Event> =
    field("owner.pid", |event| owner(event, |owner| Cell::Number(owner.pid.into())));
const COMM: Field<Event> =
    field("owner.comm", |event| owner(event, |owner| Cell::Name(owner.comm.bytes())));
const EXE: Field<Event> = field("owner.exe", |event| {
    owner(event, |owner| Cell::known(owner.exe.as_deref(), |exe| Cell::Name(exe.as_bytes())))
});
const UID: Field<Event> =
    field("owner.uid", |event| owner(event, |owner| Cell::Number(owner.uid.into())));
const HOW: Field<Event> =
    field("owner.how", |event| owner(event, |owner| Cell::Word(owner.how.name())));
const NETNS: Field<Event> = field("netns", |event| match &event.body {
    Body::Unix(unix) => Cell::known(unix.netns, |netns| Cell::Number(netns.into())),
    _ => of(event, |socket| Cell::known(socket.netns, |netns| Cell::Number(netns.into()))),
});
const CGROUP: Field<Event> = field("cgroup", |event| {
    event
        .body
        .cgroup()
        .map_or(Cell::Absent, |cgroup| Cell::known(cgroup, |cgroup| Cell::Name(cgroup.as_bytes())))
});
const CONTAINER: Field<Event> = field("container", |event| in_cgroup(event, Cgroup::container));
const POD: Field<Event> = field("pod", |event| in_cgroup(event, Cgroup::pod));
const OWN_PID: Field<Event> =
    field("pid", |event| own(event, |process| Cell::Number(process.pid.into())));
const OWN_COMM: Field<Event> =
    field("comm", |event| own(event, |process| Cell::Name(process.comm.bytes())));
const OWN_EXE: Field<Event> = field("exe", |event| {
    own(event, |process| Cell::known(process.exe.as_deref(), |exe| Cell::Name(exe.as_bytes())))
});
const OWN_UID: Field<Event> =
    field("uid", |event| own(event, |process| Cell::Number(process.uid.into())));
const PARENT: Field<Event> =
    field("parent", |event| own(event, |process| Cell::Number(process.parent.into())));
const CMDLINE: Field<Event> = field("cmdline", |event| {
    own(event, |process| {
        Cell::known(process.cmdline.as_deref(), |cmdline| Cell::Name(cmdline.as_bytes()))
    })
});
const START: Field<Event> = field("start", |event| own(event, |process| Cell::Time(process.start)));
const BORN: Field<Event> = field("born", |event| match &event.body {
    Body::Unix(unix) => Cell::Flag(unix.born),
    _ => of(event, |socket| Cell::Flag(socket.born)),
});

fn process(event: &Event) -> Cell<'_> {
    match event.body.process() {
        Some(process) => Cell::Process { pid: process.pid, comm: process.comm.bytes() },
        None => owner(event, |owner| Cell::Process { pid: owner.pid, comm: owner.comm.bytes() }),
    }
}

fn pid(event: &Event) -> Cell<'_> {
    either(event, &PID, &OWN_PID)
}

fn comm(event: &Event) -> Cell<'_> {
    either(event, &COMM, &OWN_COMM)
}

fn exe(event: &Event) -> Cell<'_> {
    either(event, &EXE, &OWN_EXE)
}

fn uid(event: &Event) -> Cell<'_> {
    either(event, &UID, &OWN_UID)
}

fn transition(event: &Event) -> Cell<'_> {
    match &event.body {
        Body::State(State { old, new, .. }) => Cell::Transition { old: *old, new: *new },
        Body::HalfOpen(half_open) if half_open.syn_cookie => Cell::Word("SYN cookie came back"),
        Body::HalfOpen(_) => Cell::Word("SYN received"),
        Body::Accept(Accept { fd, .. }) => Cell::Accepted { fd: *fd },
        Body::Owner(handover) => match &handover.from {
            Some(from) => Cell::From { pid: from.pid, comm: from.comm.bytes() },
            None => Cell::Word("taken over"),
        },
        Body::Seed(Seed { state, .. }) => Cell::State(*state),
        Body::ConnectFailed(ConnectFailed { error, syns, .. }) => {
            Cell::Said(Said::Failed { error: *error, syns: *syns })
        }
        Body::Closed(closed) => {
            Cell::known(closed.cause, |cause| Cell::Said(Said::Ended { cause }))
        }
        Body::Retransmit(Retransmit { segment, count, .. }) => {
            Cell::Said(Said::Resent { segment: *segment, count: *count })
        }
        Body::Reset(Reset { received, reason, .. }) => {
            Cell::Said(Said::Reset { received: *received, reason: reason.as_deref() })
        }
        Body::Drop(drop) => Cell::Said(Said::Dropped { reason: drop.reason.as_deref() }),
        Body::Udp(udp) => Cell::Said(Said::Datagrams(udp)),
        Body::Dns(dns) => Cell::Said(Said::Message(&dns.message)),
        Body::Unix(unix) => Cell::Said(Said::Local(unix)),
        Body::Exec(_) => (OWN_EXE.read)(event),
        Body::Link(_) | Body::Address(_) | Body::Route(_) | Body::Neighbour(_) => {
            Cell::ChangeOf(&event.body)
        }
        Body::Fork(_) | Body::Exit(_) | Body::Clock { .. } | Body::Gap(_) => Cell::Absent,
    }
}

fn in_state(event: &Event) -> Cell<'_> {
    match &event.body {
        Body::ConnectFailed(_) => (TRIED.read)(event),
        Body::Closed(_) => (LASTED.read)(event),
        Body::Dns(_) => (LATENCY.read)(event),
        _ => either(event, &IN_STATE, &QUEUED),
    }
}

fn local(event: &Event) -> Cell<'_> {
    match &event.body {
        Body::Unix(unix) if unix.is_named() => outside(unix.path.as_deref()),
        _ => (LOCAL.read)(event),
    }
}

fn remote(event: &Event) -> Cell<'_> {
    let Body::Unix(unix) = &event.body else { return (REMOTE.read)(event) };
    match &unix.peer_owner {
        _ if !unix.is_named() && unix.path.is_some() => outside(unix.path.as_deref()),
        Some(Owner { pid, comm, .. }) => Cell::Process { pid: *pid, comm: comm.bytes() },
        None => Cell::Absent,
    }
}

/// A name from outside that may be missing.
fn outside(name: Option<&str>) -> Cell<'_> {
    Cell::known(name, |name| Cell::Name(name.as_bytes()))
}

/// Of a message of DNS.
fn dns<'a>(event: &'a Event, read: impl FnOnce(&'a Dns) -> Cell<'a>) -> Cell<'a> {
    match &event.body {
        Body::Dns(dns) => read(dns),
        _ => Cell::Absent,
    }
}

/// Of a UNIX socket.
fn unix<'a>(event: &'a Event, read: impl FnOnce(&'a Unix) -> Cell<'a>) -> Cell<'a> {
    match &event.body {
        Body::Unix(unix) => read(unix),
        _ => Cell::Absent,
    }
}

/// Of the process at its other end.
fn other<'a>(event: &'a Event, read: impl FnOnce(&'a Owner) -> Cell<'a>) -> Cell<'a> {
    unix(event, |unix| unix.peer_owner.as_ref().map_or(Cell::Absent, read))
}

/// Of what went through a UDP socket.
fn datagrams<'a>(event: &'a Event, read: impl FnOnce(&'a Datagrams) -> Cell<'a>) -> Cell<'a> {
    match &event.body {
        Body::Udp(udp) => udp.traffic.as_ref().map_or(Cell::Absent, read),
        _ => Cell::Absent,
    }
}

fn closer(event: &Event) -> Cell<'_> {
    by(event, |closer| Cell::Process { pid: closer.pid, comm: closer.comm.bytes() })
}

/// Of a connection that is over.
fn at_end<'a>(event: &'a Event, read: impl FnOnce(&'a Closed) -> Cell<'a>) -> Cell<'a> {
    match &event.body {
        Body::Closed(closed) => read(closed),
        _ => Cell::Absent,
    }
}

/// Of the process that closed it.
fn by<'a>(event: &'a Event, read: impl FnOnce(&'a Closer) -> Cell<'a>) -> Cell<'a> {
    at_end(event, |closed| closed.closer.as_ref().map_or(Cell::Absent, read))
}

/// Of what went over it.
fn carried<'a>(event: &'a Event, read: impl FnOnce(&'a Traffic) -> Cell<'a>) -> Cell<'a> {
    at_end(event, |closed| Cell::known(closed.traffic.as_ref(), read))
}

fn time_in(event: &Event, state: TcpState) -> Cell<'_> {
    at_end(event, |closed| match closed.states[state as usize - 1] {
        0 => Cell::Absent,
        time => Cell::Duration(time),
    })
}

/// The one of two fields that applies.
fn either<'a>(event: &'a Event, one: &Field<Event>, other: &Field<Event>) -> Cell<'a> {
    match (one.read)(event) {
        Cell::Absent => (other.read)(event),
        cell => cell,
    }
}

/// Of a process, where the event is about one.
fn own<'a>(event: &'a Event, read: impl FnOnce(&'a Process) -> Cell<'a>) -> Cell<'a> {
    event.body.process().map_or(Cell::Absent, read)
}

/// What a cgroup's path tells of some.
fn in_cgroup(event: &Event, read: fn(&Cgroup) -> Option<&str>) -> Cell<'_> {
    match event.body.cgroup().flatten().and_then(read) {
        Some(name) => Cell::Name(name.as_bytes()),
        None => Cell::Absent,
    }
}

fn of<'a>(event: &'a Event, read: impl FnOnce(&'a Socket) -> Cell<'a>) -> Cell<'a> {
    event.body.socket().map_or(Cell::Absent, read)
}

fn owner<'a>(event: &'a Event, read: impl FnOnce(&'a Owner) -> Cell<'a>) -> Cell<'a> {
    event.body.owner().map_or(Cell::Absent, |owner| Cell::known(owner, read))
}

const fn field(key: &'static str, read: fn(&Event) -> Cell<'_>) -> Field<Event> {
    Field { key, read }
}

const fn column(
    key: &'static str,
    title: &'static str,
    doc: &'static str,
    width: Width,
    cell: fn(&Event) -> Cell<'_>,
    fields: &'static [&'static Field<Event>],
) -> Column<Event> {
    Column { key, title, doc, width, align: Align::Left, cell, fields }
}

const fn right(
    key: &'static str,
    title: &'static str,
    doc: &'static str,
    width: Width,
    cell: fn(&Event) -> Cell<'_>,
    fields: &'static [&'static Field<Event>],
) -> Column<Event> {
    Column { align: Align::Right, ..column(key, title, doc, width, cell, fields) }
}

/// The column with this key.
pub fn column_named(key: &str) -> Option<&'static Column<Event>> {
    COLUMNS.iter().find(|column| column.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_columns_name_columns() {
        for key in USUAL.iter().chain(&LEAST_NEEDED) {
            assert!(column_named(key).is_some(), "{key}");
        }
        for key in LEAST_NEEDED {
            assert!(USUAL.contains(&key), "{key}");
        }
    }

    #[test]
    fn keys_are_unique_and_every_field_has_its_place() {
        for (i, column) in COLUMNS.iter().enumerate() {
            assert!(COLUMNS[..i].iter().all(|other| other.key != column.key), "{}", column.key);
            assert!(column.title.len() <= column.width.least, "{}", column.key);
            for field in column.fields {
                assert!(KEYS.contains(&field.key), "{}", field.key);
            }
        }
    }
}
