//! Writes an event as a line of JSON. By hand, not by a library: this is what a
//! recording of a busy host spends its time on. What reads it back (`wire`) and the
//! tests use the library.

use std::io::Write;
use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use super::{
    Body, Cause, Cgroup, Closed, Closer, Comm, Endpoint, Errno, Event, Gap, Owner, Process, Socket,
};

/// Appends the line of `event`, without a newline; `boot` is the wall-clock time of
/// boot, in nanoseconds since the epoch. The keys stand in the order of the
/// documentation.
pub fn write(event: &Event, boot: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"at\":");
    number(boot.saturating_add_unsigned(event.at), out);
    word(",\"event\":", event.body.name(), out);
    word(",\"via\":", event.via.name(), out);
    if let Some(socket) = event.body.socket() {
        ends(socket, out);
    }
    match &event.body {
        Body::Seed(seed) => {
            word(",\"state\":", seed.state.name(), out);
            field(",\"fd\":", Some(seed.fd), out);
        }
        Body::HalfOpen(half_open) => {
            field(",\"retries\":", half_open.retries, out);
            if half_open.syn_cookie {
                out.extend_from_slice(b",\"syn_cookie\":true");
            }
        }
        Body::State(state) => {
            word(",\"old\":", state.old.name(), out);
            word(",\"new\":", state.new.name(), out);
            field(",\"in_state_ns\":", state.in_state, out);
        }
        Body::Accept(accept) => {
            field(",\"queued_ns\":", accept.queued, out);
            field(",\"fd\":", accept.fd, out);
        }
        Body::Exec(process) | Body::Fork(process) | Body::Exit(process) => {
            put_process(process, boot, out);
        }
        Body::Owner(handover) => {
            out.extend_from_slice(b",\"from\":");
            owner(handover.from.as_ref(), out);
        }
        Body::ConnectFailed(failed) => {
            errno(failed.error, out);
            field(",\"syns\":", Some(failed.syns), out);
            field(",\"tried_ns\":", failed.tried, out);
        }
        Body::Closed(closed) => put_closed(closed, out),
        Body::Retransmit(retransmit) => {
            word(",\"state\":", retransmit.state.name(), out);
            word(",\"segment\":", retransmit.segment.name(), out);
            field(",\"retransmits\":", Some(retransmit.count), out);
            field(",\"bytes\":", Some(retransmit.bytes), out);
        }
        Body::Reset(reset) => {
            if let Some(state) = reset.state {
                word(",\"state\":", state.name(), out);
            }
            out.extend_from_slice(if reset.received {
                b",\"received\":true,\"reason\":"
            } else {
                b",\"received\":false,\"reason\":"
            });
            text(reset.reason.as_deref(), out);
        }
        Body::Drop(drop) => {
            if let Some(state) = drop.state {
                word(",\"state\":", state.name(), out);
            }
            out.extend_from_slice(b",\"reason\":");
            text(drop.reason.as_deref(), out);
        }
        Body::Clock { boot } => field(",\"boot\":", Some(*boot), out),
        Body::Gap(gap) => put_gap(gap, out),
    }
    if let Some(socket) = event.body.socket() {
        holder(socket, out);
    }
    out.push(b'}');
}

/// Which socket, and between whom.
fn ends(socket: &Socket, out: &mut Vec<u8>) {
    match socket.id.0 {
        0 => out.extend_from_slice(b",\"socket\":null"),
        id => {
            // A string: many readers keep numbers as doubles.
            out.extend_from_slice(b",\"socket\":\"");
            number(id, out);
            out.push(b'"');
        }
    }
    if let Some(peer) = socket.peer {
        out.extend_from_slice(b",\"peer\":\"");
        number(peer.0, out);
        out.push(b'"');
    }
    word(",\"proto\":", socket.proto.name(), out);
    field(",\"family\":", Some(socket.flow.family.number()), out);
    out.extend_from_slice(b",\"local\":\"");
    endpoint(&socket.flow.local, out);
    out.extend_from_slice(b"\",\"remote\":\"");
    endpoint(&socket.flow.remote, out);
    out.push(b'"');
}

/// Whose it is, and where it lives.
fn holder(socket: &Socket, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"owner\":");
    owner(socket.owner.as_ref(), out);
    if socket.opened_by.is_some() {
        out.extend_from_slice(b",\"opened_by\":");
        owner(socket.opened_by.as_ref(), out);
    }
    field(",\"netns\":", socket.netns, out);
    out.extend_from_slice(b",\"cgroup\":");
    text(socket.cgroup.as_deref(), out);
    // Absent, not null: most sockets are in no container.
    if let Some(container) = socket.cgroup.as_ref().and_then(Cgroup::container) {
        word(",\"container\":", container, out);
    }
    if let Some(pod) = socket.cgroup.as_ref().and_then(Cgroup::pod) {
        word(",\"pod\":", pod, out);
    }
    out.extend_from_slice(if socket.born { b",\"born\":true" } else { b",\"born\":false" });
}

fn owner(owner: Option<&Owner>, out: &mut Vec<u8>) {
    let Some(Owner { pid, comm, exe, uid, how }) = owner else {
        out.extend_from_slice(b"null");
        return;
    };
    field("{\"pid\":", Some(*pid), out);
    out.extend_from_slice(b",\"comm\":");
    name(comm, out);
    out.extend_from_slice(b",\"exe\":");
    text(exe.as_deref(), out);
    field(",\"uid\":", Some(*uid), out);
    word(",\"how\":", how.name(), out);
    out.push(b'}');
}

fn put_process(process: &Process, boot: i64, out: &mut Vec<u8>) {
    let Process { pid, parent, comm, exe, cmdline, uid, start } = process;
    field(",\"pid\":", Some(*pid), out);
    field(",\"parent\":", Some(*parent), out);
    out.extend_from_slice(b",\"comm\":");
    name(comm, out);
    out.extend_from_slice(b",\"exe\":");
    text(exe.as_deref(), out);
    out.extend_from_slice(b",\"cmdline\":");
    text(cmdline.as_deref(), out);
    field(",\"uid\":", Some(*uid), out);
    // Wall-clock time, as `at`.
    field(",\"start\":", Some(boot.saturating_add_unsigned(*start)), out);
}

fn put_closed(closed: &Closed, out: &mut Vec<u8>) {
    let Closed { cause, closer, error, lasted, connecting, traffic, states, .. } = closed;
    match cause.and_then(Cause::side) {
        Some(side) => word(",\"first\":", side, out),
        None => out.extend_from_slice(b",\"first\":null"),
    }
    match cause {
        Some(cause) => word(",\"cause\":", cause.name(), out),
        None => out.extend_from_slice(b",\"cause\":null"),
    }
    if let Some(Closer { pid, comm, exe }) = closer {
        field(",\"closer\":{\"pid\":", Some(*pid), out);
        out.extend_from_slice(b",\"comm\":");
        name(comm, out);
        out.extend_from_slice(b",\"exe\":");
        text(exe.as_deref(), out);
        out.push(b'}');
    }
    if error.is_some() {
        errno(*error, out);
    }
    field(",\"lasted_ns\":", *lasted, out);
    field(",\"connect_ns\":", *connecting, out);
    field(",\"bytes_sent\":", traffic.map(|t| t.bytes_sent), out);
    field(",\"bytes_received\":", traffic.map(|t| t.bytes_received), out);
    field(",\"segments_sent\":", traffic.map(|t| t.segments_sent), out);
    field(",\"segments_received\":", traffic.map(|t| t.segments_received), out);
    field(",\"retransmits\":", traffic.map(|t| t.retransmits), out);
    field(",\"rtt_ns\":", traffic.and_then(|t| t.rtt), out);
    let mut before: &[u8] = b",\"states_ns\":{\"";
    for (state, time) in TcpState::ALL.into_iter().zip(states) {
        if *time != 0 {
            out.extend_from_slice(before);
            out.extend_from_slice(state.name().as_bytes());
            field("\":", Some(*time), out);
            before = b",\"";
        }
    }
    if before.len() == 2 {
        out.push(b'}');
    }
}

/// An error by its name; null if there is none.
fn errno(errno: Option<Errno>, out: &mut Vec<u8>) {
    match errno {
        Some(errno) => word(",\"error\":", errno.name(), out),
        None => out.extend_from_slice(b",\"error\":null"),
    }
}

fn put_gap(gap: &Gap, out: &mut Vec<u8>) {
    let Gap { what, why, mend, hook, unseen, count } = gap;
    if let Some(hook) = hook {
        out.extend_from_slice(b",\"hook\":");
        text(Some(hook), out);
    }
    for (key, value) in [(",\"what\":", what), (",\"why\":", why), (",\"mend\":", mend)] {
        out.extend_from_slice(key.as_bytes());
        text(Some(value), out);
    }
    if !unseen.is_empty() {
        out.extend_from_slice(b",\"unseen\":[");
        for (i, name) in unseen.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            text(Some(name), out);
        }
        out.push(b']');
    }
    field(",\"count\":", Some(*count), out);
}

/// A key and a number, or null for what is not known.
fn field(key: &str, value: Option<impl itoa::Integer>, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        Some(value) => number(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn number(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A key and a word of ours, which needs no escape.
fn word(key: &str, value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

/// As [`Endpoint`]'s `Display`; IPv4, the usual case, without its machinery.
fn endpoint(endpoint: &Endpoint, out: &mut Vec<u8>) {
    match endpoint.addr {
        IpAddr::V4(addr) => {
            for (i, part) in addr.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                number(part, out);
            }
            out.push(b':');
            match endpoint.port {
                0 => out.push(b'*'),
                port => number(port, out),
            }
        }
        // Writing into memory cannot fail.
        IpAddr::V6(_) => drop(write!(out, "{endpoint}")),
    }
}

fn name(comm: &Comm, out: &mut Vec<u8>) {
    match std::str::from_utf8(comm.bytes()) {
        Ok(name) => text(Some(name), out),
        Err(_) => text(Some(&String::from_utf8_lossy(comm.bytes())), out),
    }
}

fn text(value: Option<&str>, out: &mut Vec<u8>) {
    let Some(value) = value else {
        out.extend_from_slice(b"null");
        return;
    };
    let plain = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b'"' && byte != b'\\';
    if value.bytes().all(plain) {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    } else {
        // Writing a string into memory cannot fail.
        let _ = serde_json::to_writer(out, value);
    }
}
