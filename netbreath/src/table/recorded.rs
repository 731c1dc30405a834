//! The socket table as events tell it: what a recording can answer of a question that is
//! otherwise put to the kernel.

use super::Tables;
use super::socket::{
    Detail, Ends, Holder, Holders, Process, Proto, Socket, Sockets, Timer, UnixEnds,
};
use crate::event::{self, Gap, Owner, SocketId, UnixKind};
use netbreath_common::tcp::TcpState;

/// The sockets that were open after the last event. Rows come in an order of their own:
/// that of the kernel's tables is not told.
pub fn sockets(tables: &Tables) -> Sockets {
    let mut found = Found::default();
    let mut inet: Vec<_> = tables.sockets().iter().collect();
    inet.sort_unstable_by_key(|(id, row)| {
        let (local, remote) = (row.flow.local, row.flow.remote);
        (row.state != TcpState::Listen, local.addr, local.port, remote.addr, remote.port, **id)
    });
    for (id, row) in inet {
        let proto = match row.proto {
            event::Proto::Tcp => Proto::Tcp,
            event::Proto::Mptcp => Proto::Mptcp,
            event::Proto::Udp => Proto::Udp,
            // No view has rows for these.
            event::Proto::Sctp | event::Proto::Dccp => continue,
        };
        let ends = Ends::Inet { local: row.flow.local, remote: row.flow.remote, interface: 0 };
        found.socket(*id, proto, row.state, ends, row.netns, row.owner.as_ref(), row.fd);
    }
    let mut unix: Vec<_> = tables.unix_sockets().iter().collect();
    unix.sort_unstable_by_key(|(id, _)| **id);
    for (id, row) in unix {
        let proto = match row.unix.kind {
            UnixKind::Stream => Proto::UnixStream,
            UnixKind::Dgram => Proto::UnixDgram,
            UnixKind::Seqpacket => Proto::UnixSeqpacket,
        };
        let number = |id: SocketId| id.inode().and_then(|inode| u32::try_from(inode).ok());
        let ends = UnixEnds {
            name: row.unix.path.as_deref().map(|path| path.as_bytes().to_vec()),
            peer: row.unix.peer.and_then(number).unwrap_or(0),
            ..UnixEnds::default()
        };
        let ends = Ends::Unix(Box::new(ends));
        let owner = row.unix.owner.as_ref();
        found.socket(*id, proto, row.state, ends, row.unix.netns, owner, row.unix.fd);
    }
    let mut sockets = found.sockets;
    sockets.holders = Holders::new(found.holders, found.processes);
    sockets.gaps = gaps(tables);
    sockets
}

fn gaps(tables: &Tables) -> Vec<Gap> {
    let gap = |what: String, why: &str, mend: &str| Gap {
        what,
        why: why.to_owned(),
        mend: mend.to_owned(),
        hook: None,
        unseen: Vec::new(),
        count: 0,
    };
    let mut gaps = vec![gap(
        "not in a recording: queues, timers, options and inode numbers of sockets, other holders \
         than the owner, and kinds of sockets that were not recorded"
            .to_owned(),
        "it has events, and these are none",
        "`-` stands for them",
    )];
    let counts = tables.counts();
    if counts.missing > 0 {
        gaps.push(gap(
            format!("{} events are missing in the recording", counts.missing),
            "they were lost when it was made",
            "`netbreath replay FILE trace` shows where",
        ));
    }
    if counts.evicted > 0 {
        gaps.push(gap(
            format!("{} sockets found no room", counts.evicted),
            "more were open than are remembered",
            "record with a filter",
        ));
    }
    gaps
}

#[derive(Default)]
struct Found {
    sockets: Sockets,
    holders: Vec<Holder>,
    processes: Vec<Process>,
}

impl Found {
    #[expect(clippy::too_many_arguments, reason = "a socket has many parts")]
    fn socket(
        &mut self,
        id: SocketId,
        proto: Proto,
        state: TcpState,
        ends: Ends,
        netns: Option<u32>,
        owner: Option<&Owner>,
        fd: Option<u32>,
    ) {
        // The number by which holders are found; that of a UNIX socket is the true one.
        let known = id.inode().and_then(|inode| u32::try_from(inode).ok());
        let inode = known.unwrap_or_else(|| u32::MAX - self.sockets.rows.len() as u32);
        // No process holds a mini-socket or a request.
        if let Some(owner) = owner
            && !matches!(state, TcpState::TimeWait | TcpState::SynRecv | TcpState::NewSynRecv)
        {
            let fd = fd.unwrap_or(Holder::UNKNOWN);
            self.holders.push(Holder { inode, pid: owner.pid, fd });
            if self.processes.iter().all(|process| process.pid != owner.pid) {
                self.processes.push(Process {
                    pid: owner.pid,
                    comm: owner.comm.bytes().to_vec(),
                    argument: owner.exe.as_deref().map(|exe| exe.as_bytes().to_vec()),
                    uid: Some(owner.uid),
                    exe: owner.exe.as_deref().map(|exe| exe.as_bytes().to_vec()),
                    ..Process::default()
                });
            }
        }
        self.sockets.rows.push(Socket {
            proto,
            state,
            ends,
            inode,
            uid: owner.map_or(Holder::UNKNOWN, |owner| owner.uid),
            recv_q: 0,
            send_q: 0,
            timer: Timer::default(),
            cookie: id.0,
            netns: netns.unwrap_or(0),
            detail: Detail { recorded: true, ..Detail::default() },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Body, Comm, Event, Family, Flow, How, Seed, Socket as Subject, State, Via};

    #[test]
    fn sockets_are_as_the_last_event_left_them() {
        let owner = Some(Owner {
            pid: 7,
            comm: Comm::from_name("nginx"),
            exe: None,
            uid: 33,
            how: How::Listen,
        });
        let socket = |id, remote: &str, owner| Subject {
            id: SocketId(id),
            peer: None,
            proto: event::Proto::Tcp,
            flow: Flow {
                family: Family::V4,
                local: "10.0.0.1:80".parse().unwrap(),
                remote: remote.parse().unwrap(),
            },
            owner,
            opened_by: None,
            netns: Some(9),
            cgroup: None,
            born: true,
        };
        let mut tables = Tables::new(10);
        let mut tell = |body| tables.apply(&Event { at: 1, via: Via::Kernel, body });
        let listen = TcpState::Listen;
        let seed = Seed { socket: socket(1, "0.0.0.0:*", owner.clone()), state: listen, fd: 6 };
        tell(Body::Seed(seed));
        for (id, new) in [(2, TcpState::Established), (3, TcpState::TimeWait)] {
            let socket = socket(id, "10.0.0.2:5000", owner.clone());
            tell(Body::State(State { socket, old: TcpState::SynRecv, new, in_state: None }));
        }
        let closed = socket(4, "10.0.0.2:6000", None);
        let (old, new) = (TcpState::LastAck, TcpState::Close);
        tell(Body::State(State { socket: closed, old, new, in_state: None }));

        let sockets = sockets(&tables);
        let states: Vec<_> = sockets.rows.iter().map(|row| row.state).collect();
        assert_eq!(states, [listen, TcpState::Established, TcpState::TimeWait]);
        let held = sockets.rows.iter().map(|row| sockets.holders.of(row.inode).len());
        assert_eq!(held.collect::<Vec<_>>(), [1, 1, 0]);
        assert_eq!(sockets.holders.of(sockets.rows[0].inode)[0].fd, 6);
        assert_eq!(sockets.holders.of(sockets.rows[1].inode)[0].fd, Holder::UNKNOWN);
        assert_eq!(sockets.gaps.len(), 1);
    }
}
