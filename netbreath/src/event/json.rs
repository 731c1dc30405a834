//! Writes an event as a line of JSON. By hand, not by a library: this is what a
//! recording of a busy host spends its time on. What reads it back (`wire`) and the
//! tests use the library.

use std::io::Write;
use std::net::IpAddr;

use serde::Serialize;

use netbreath_common::tcp::TcpState;

use super::network::Changed;
use super::{
    Body, Cause, Cgroup, Closed, Closer, Comm, Datagrams, Dns, Endpoint, Errno, Event, Gap, Owner,
    Process, Socket, SocketId, Unix,
};
use crate::lint::Finding;

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
        Body::Link(changed) => put_changed("link", changed, out),
        Body::Address(changed) => put_changed("address", changed, out),
        Body::Route(changed) => put_changed("route", changed, out),
        Body::Neighbour(changed) => put_changed("neighbour", changed, out),
        Body::Udp(udp) => {
            word(",\"what\":", udp.what.name(), out);
            if udp.bytes.is_some() {
                field(",\"bytes\":", udp.bytes, out);
            }
            if let Some(Datagrams { bytes_sent, bytes_received, sent, received }) = udp.traffic {
                field(",\"bytes_sent\":", Some(bytes_sent), out);
                field(",\"bytes_received\":", Some(bytes_received), out);
                field(",\"datagrams_sent\":", Some(sent), out);
                field(",\"datagrams_received\":", Some(received), out);
            }
        }
        Body::Dns(dns) => put_dns(dns, out),
        Body::Unix(unix) => put_unix(unix, out),
        Body::Clock { boot } => field(",\"boot\":", Some(*boot), out),
        Body::Gap(gap) => put_gap(gap, out),
    }
    if let Some(socket) = event.body.socket() {
        holder(socket, out);
    }
    out.push(b'}');
}

/// What changed, under the name of its kind. There are few of these, so that the
/// library may write them.
fn put_changed<T: Serialize>(kind: &str, changed: &Changed<T>, out: &mut Vec<u8>) {
    word(",\"change\":", changed.change.name(), out);
    for (key, value) in [(kind, Some(&changed.now)), ("was", changed.was.as_ref())] {
        let Some(value) = value else { continue };
        word(",", key, out);
        out.push(b':');
        // Serializing our own plain data into memory cannot fail.
        let _infallible = serde_json::to_writer(&mut *out, value);
    }
    field(",\"netns\":", changed.netns, out);
}

/// Which socket, and between whom.
fn ends(socket: &Socket, out: &mut Vec<u8>) {
    identity(",\"socket\":", Some(socket.id), out);
    if socket.peer.is_some() {
        identity(",\"peer\":", socket.peer, out);
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
    place(socket.netns, socket.cgroup.as_ref(), out);
    out.extend_from_slice(if socket.born { b",\"born\":true" } else { b",\"born\":false" });
}

/// Where a socket lives.
fn place(netns: Option<u32>, cgroup: Option<&Cgroup>, out: &mut Vec<u8>) {
    field(",\"netns\":", netns, out);
    out.extend_from_slice(b",\"cgroup\":");
    text(cgroup.map(|cgroup| &**cgroup), out);
    // Absent, not null: most sockets are in no container.
    if let Some(container) = cgroup.and_then(Cgroup::container) {
        word(",\"container\":", container, out);
    }
    if let Some(pod) = cgroup.and_then(Cgroup::pod) {
        word(",\"pod\":", pod, out);
    }
}

fn put_dns(dns: &Dns, out: &mut Vec<u8>) {
    let Dns { message, received, latency, .. } = dns;
    word(",\"what\":", message.what(), out);
    flag(",\"received\":", *received, out);
    field(",\"id\":", Some(message.id), out);
    out.extend_from_slice(b",\"name\":");
    text(message.name.as_deref(), out);
    out.extend_from_slice(b",\"type\":");
    text(message.kind.as_deref(), out);
    if message.response {
        out.extend_from_slice(b",\"rcode\":");
        text(message.rcode.as_deref(), out);
        out.extend_from_slice(b",\"answers\":[");
        for (i, answer) in message.answers.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            text(Some(answer), out);
        }
        out.push(b']');
        field(",\"latency_ns\":", *latency, out);
    }
    flag(",\"truncated\":", message.truncated, out);
}

fn put_unix(unix: &Unix, out: &mut Vec<u8>) {
    let Unix { what, id, peer, kind, path, fd, from, peer_owner, opened_by, .. } = unix;
    identity(",\"socket\":", Some(*id), out);
    if peer.is_some() {
        identity(",\"peer\":", *peer, out);
    }
    out.extend_from_slice(b",\"proto\":\"unix\"");
    word(",\"type\":", kind.name(), out);
    word(",\"what\":", what.name(), out);
    field(",\"inode\":", id.inode(), out);
    out.extend_from_slice(b",\"path\":");
    text(path.as_deref(), out);
    if fd.is_some() {
        field(",\"fd\":", *fd, out);
    }
    if from.is_some() {
        out.extend_from_slice(b",\"from\":");
        owner(from.as_ref(), out);
    }
    out.extend_from_slice(b",\"owner\":");
    owner(unix.owner.as_ref(), out);
    if peer_owner.is_some() {
        out.extend_from_slice(b",\"peer_owner\":");
        owner(peer_owner.as_ref(), out);
    }
    if opened_by.is_some() {
        out.extend_from_slice(b",\"opened_by\":");
        owner(opened_by.as_ref(), out);
    }
    place(unix.netns, unix.cgroup.as_ref(), out);
    flag(",\"born\":", unix.born, out);
}

/// Writes a finding as a line of its own: it is no event, but stands among them.
pub fn write_finding(finding: &Finding, boot: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"at\":");
    number(boot.saturating_add_unsigned(finding.at), out);
    out.extend_from_slice(b",\"event\":\"lint\",\"via\":\"inferred\"");
    if finding.socket.is_some() {
        identity(",\"socket\":", finding.socket, out);
    }
    if let Some(flow) = &finding.flow {
        field(",\"family\":", Some(flow.family.number()), out);
        out.extend_from_slice(b",\"local\":\"");
        endpoint(&flow.local, out);
        out.extend_from_slice(b"\",\"remote\":\"");
        endpoint(&flow.remote, out);
        out.push(b'"');
    }
    word(",\"lint\":", finding.lint.name(), out);
    out.extend_from_slice(b",\"evidence\":");
    text(Some(&finding.evidence), out);
    out.extend_from_slice(b",\"lesson\":");
    text(Some(finding.lint.lesson()), out);
    word(",\"topic\":", finding.lint.topic(), out);
    out.extend_from_slice(b",\"owner\":");
    owner(finding.owner.as_ref(), out);
    out.push(b'}');
}

/// An id, as a string: many readers keep numbers as doubles.
fn identity(key: &str, id: Option<SocketId>, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    match id {
        None | Some(SocketId(0)) => out.extend_from_slice(b"null"),
        Some(SocketId(id)) => {
            out.push(b'"');
            number(id, out);
            out.push(b'"');
        }
    }
}

fn flag(key: &str, value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(if value { b"true" } else { b"false" });
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
        Err(_) => {
            text(Some(&String::from_utf8_lossy(comm.bytes())), out);
            // The recording has to have all of it.
            out.extend_from_slice(b",\"comm_bytes\":\"");
            for byte in comm.bytes() {
                // Writing into memory cannot fail.
                drop(write!(out, "{byte:02x}"));
            }
            out.push(b'"');
        }
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
