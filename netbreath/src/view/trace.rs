//! The view `trace`: a row per event of a connection.

use super::{Align, Cell, Column, Field, Width};
use crate::event::{Accept, Body, Event, Owner, Seed, Socket, State};

/// Columns shown unless others are asked for.
pub const USUAL: [&str; 9] =
    ["time", "process", "how", "event", "proto", "local", "remote", "transition", "in_state"];

/// Columns that a narrow terminal loses, first to last. What remains is who, with
/// whom, and what happened.
pub const LEAST_NEEDED: [&str; 6] = ["event", "proto", "how", "time", "in_state", "local"];

/// Every column that `--columns` knows.
#[rustfmt::skip]
pub static COLUMNS: [Column<Event>; 21] = [
    column("time", "TIME", "when it happened", Width { least: 12, usual: 15, most: 15 }, AT.read, &[&AT]),
    column("process", "PROCESS", "the process that owns the connection: name[pid]", Width { least: 15, usual: 22, most: 24 }, process, &[&PID, &COMM]),
    column("how", "HOW", "how the owner is known: connect, listen, accept, inherited, snapshot or io", Width::fixed(9), HOW.read, &[&HOW]),
    column("event", "EVENT", "what kind of event it is", Width::fixed(6), EVENT.read, &[&EVENT]),
    column("proto", "PROTO", "the protocol", Width::fixed(5), PROTO.read, &[&PROTO, &FAMILY]),
    column("local", "LOCAL", "address and port on this machine", Width { least: 19, usual: 21, most: 40 }, LOCAL.read, &[&LOCAL]),
    column("remote", "REMOTE", "address and port of the other side", Width { least: 19, usual: 21, most: 40 }, REMOTE.read, &[&REMOTE]),
    column("transition", "TRANSITION", "the state that TCP left and the one it entered", Width::fixed(24), transition, &[&STATE, &OLD, &NEW, &FD]),
    right("in_state", "IN STATE", "how long it had been in the old state; for accept, how long it had waited", Width::fixed(8), in_state, &[&IN_STATE, &QUEUED]),
    right("pid", "PID", "process id of the owner", Width::fixed(7), PID.read, &[&PID]),
    column("comm", "COMM", "name of the owner", Width::fixed(15), COMM.read, &[&COMM]),
    column("exe", "EXE", "program of the owner", Width { least: 20, usual: 24, most: 40 }, EXE.read, &[&EXE]),
    right("uid", "UID", "user id of the owner", Width::fixed(5), UID.read, &[&UID]),
    column("old", "OLD", "the state that TCP left", Width::fixed(12), OLD.read, &[&OLD]),
    column("new", "NEW", "the state that TCP entered", Width::fixed(12), NEW.read, &[&NEW]),
    right("netns", "NETNS", "number of the network namespace", Width::fixed(10), NETNS.read, &[&NETNS]),
    column("cgroup", "CGROUP", "control group: the service or container", Width { least: 24, usual: 30, most: 60 }, CGROUP.read, &[&CGROUP]),
    right("socket", "SOCKET", "the connection's identity while netbreath runs", Width::fixed(8), SOCKET.read, &[&SOCKET]),
    column("via", "VIA", "how the event is known: from the kernel, packets, …", Width::fixed(8), VIA.read, &[&VIA]),
    column("born", "BORN", "whether the connection was seen from its start", Width::fixed(4), BORN.read, &[&BORN]),
    right("queued", "QUEUED", "accept: how long the connection had waited for it", Width::fixed(8), QUEUED.read, &[&QUEUED]),
];

/// The keys of a row in JSON, in the order of the schema.
pub const KEYS: [&str; 22] = [
    "at",
    "event",
    "via",
    "socket",
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
    "owner.pid",
    "owner.comm",
    "owner.exe",
    "owner.uid",
    "owner.how",
    "netns",
    "cgroup",
    "born",
];

const AT: Field<Event> = field("at", |event| Cell::Time(event.at));
const EVENT: Field<Event> = field("event", |event| Cell::Word(event.body.name()));
const VIA: Field<Event> = field("via", |event| Cell::Word(event.via.name()));
const SOCKET: Field<Event> = field("socket", |event| of(event, |socket| Cell::Id(socket.id.0)));
const PROTO: Field<Event> =
    field("proto", |event| of(event, |socket| Cell::Word(socket.proto.name())));
const FAMILY: Field<Event> =
    field("family", |event| of(event, |socket| Cell::Number(socket.flow.family.number().into())));
const LOCAL: Field<Event> =
    field("local", |event| of(event, |socket| Cell::Endpoint(socket.flow.local)));
const REMOTE: Field<Event> =
    field("remote", |event| of(event, |socket| Cell::Endpoint(socket.flow.remote)));
const STATE: Field<Event> = field("state", |event| match &event.body {
    Body::Seed(seed) => Cell::State(seed.state),
    _ => Cell::Absent,
});
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
const NETNS: Field<Event> = field("netns", |event| {
    of(event, |socket| Cell::known(socket.netns, |netns| Cell::Number(netns.into())))
});
const CGROUP: Field<Event> = field("cgroup", |event| {
    of(event, |socket| {
        Cell::known(socket.cgroup.as_deref(), |cgroup| Cell::Name(cgroup.as_bytes()))
    })
});
const BORN: Field<Event> = field("born", |event| of(event, |socket| Cell::Flag(socket.born)));

fn process(event: &Event) -> Cell<'_> {
    owner(event, |owner| Cell::Process { pid: owner.pid, comm: owner.comm.bytes() })
}

fn transition(event: &Event) -> Cell<'_> {
    match &event.body {
        Body::State(State { old, new, .. }) => Cell::Transition { old: *old, new: *new },
        Body::Accept(Accept { fd, .. }) => Cell::Accepted { fd: *fd },
        Body::Owner(handover) => match &handover.from {
            Some(from) => Cell::From { pid: from.pid, comm: from.comm.bytes() },
            None => Cell::Word("taken over"),
        },
        Body::Seed(Seed { state, .. }) => Cell::State(*state),
        Body::Clock { .. } | Body::Gap(_) => Cell::Absent,
    }
}

fn in_state(event: &Event) -> Cell<'_> {
    match (IN_STATE.read)(event) {
        Cell::Absent => (QUEUED.read)(event),
        cell => cell,
    }
}

fn of<'a>(event: &'a Event, read: impl FnOnce(&'a Socket) -> Cell<'a>) -> Cell<'a> {
    event.body.socket().map_or(Cell::Absent, read)
}

fn owner<'a>(event: &'a Event, read: impl FnOnce(&'a Owner) -> Cell<'a>) -> Cell<'a> {
    of(event, |socket| Cell::known(socket.owner.as_ref(), read))
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
