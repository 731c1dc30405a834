//! Records into events: the only place that knows both.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use netbreath_common::record::{self, Kind};
use netbreath_common::tcp::TcpState;

use super::dns::Questions;
use super::helper::Helper;
use super::load::Reasons;
use super::process::Processes;
use crate::event::{
    Accept, Body, Cause, Cgroup, Closed, Closer, Comm, ConnectFailed, Datagrams, Drop, Endpoint,
    Errno, Event, Family, Flow, HalfOpen, Handover, How, Owner, Process, Proto, Reset, Retransmit,
    Seed, Segment, Socket, SocketId, State, Traffic, Udp, UdpWhat, Unix, UnixKind, UnixWhat, Via,
};
use crate::filter::{EventKind, Filter};
use crate::life::{Input, Mini};

/// Turns records into events; keeps what does not change between them.
pub struct Decoder {
    /// Paths of cgroups by id; nothing for one that has gone.
    cgroups: HashMap<u64, Option<Cgroup>>,
    last_cgroup: (u64, Option<Cgroup>),
    paths: Paths,
    processes: Processes,
    reasons: Reasons,
    questions: Questions,
    asked: Asked,
    /// Mutant: take whoever is on the CPU for the owner.
    owner_from_cpu: bool,
}

/// Which processes' events are asked for: the kernel tells of all, since owners need
/// names, and says which the filter on ids lets through. The rest is compared here.
struct Asked {
    filter: Filter,
    comms: Vec<Comm>,
    uids: Vec<u32>,
}

impl Asked {
    fn of(filter: &Filter) -> Asked {
        Asked {
            filter: Filter { events: filter.events.clone(), ..Filter::default() },
            comms: filter.comms.iter().map(|comm| Comm::from_name(comm)).collect(),
            uids: filter.uids.clone(),
        }
    }

    fn wants(&self, kind: EventKind, record: &record::Process, process: &Process) -> bool {
        self.filter.names(kind)
            && record.selected != 0
            && (self.comms.is_empty() || self.comms.contains(&process.comm))
            && (self.uids.is_empty() || self.uids.contains(&process.uid))
    }
}

/// A record that makes no event: of another version, or damaged.
#[derive(Debug, thiserror::Error)]
#[error("a record of {len} bytes, kind {kind}, is none of this version's")]
pub struct Error {
    len: usize,
    kind: u16,
}

/// How the paths of control groups are found: below the root of their hierarchy, or by
/// who may do that.
pub enum Paths {
    Below(Option<PathBuf>),
    Asked(Rc<RefCell<Helper>>),
}

/// More cgroups than this are not remembered, so that a host that makes and drops
/// them for years does not fill the memory.
const MAX_CGROUPS: usize = 65_536;

impl Decoder {
    pub fn new(paths: Paths, reasons: Reasons, filter: &Filter, owner_from_cpu: bool) -> Decoder {
        Decoder {
            cgroups: HashMap::new(),
            last_cgroup: (0, None),
            paths,
            processes: Processes::default(),
            reasons,
            questions: Questions::default(),
            asked: Asked::of(filter),
            owner_from_cpu,
        }
    }

    /// What a record tells, unless that is only who is who.
    pub fn input(&mut self, bytes: &[u8]) -> Result<Option<Input>, Error> {
        let header = record::header(bytes);
        let kind = header.map_or(0, |header| header.kind);
        let refuse = || Error { len: bytes.len(), kind };
        let at = header.ok_or_else(refuse)?.at;
        let body = match Kind::from_number(kind).ok_or_else(refuse)? {
            Kind::State => {
                let record: record::State = record::read(bytes).ok_or_else(refuse)?;
                let mut socket = self.socket(&record.socket);
                if self.owner_from_cpu {
                    socket.owner = mutant(record.on_cpu);
                }
                let body = Body::State(State {
                    socket,
                    old: TcpState::from_kernel(record.old).ok_or_else(refuse)?,
                    new: TcpState::from_kernel(record.new).ok_or_else(refuse)?,
                    in_state: known(record.in_state),
                });
                if let Some(mini) = mini(&record) {
                    let event = Event { at, via: Via::Kernel, body };
                    return Ok(Some(Input::Shrunk(event, mini)));
                }
                body
            }
            Kind::HalfOpen => {
                let record: record::HalfOpen = record::read(bytes).ok_or_else(refuse)?;
                let socket = self.socket(&record.socket);
                Body::HalfOpen(HalfOpen {
                    socket,
                    retries: Some(record.retries),
                    syn_cookie: false,
                })
            }
            Kind::Mini => {
                let record: record::Mini = record::read(bytes).ok_or_else(refuse)?;
                let state = u8::try_from(record.state).ok().and_then(TcpState::from_kernel);
                let (id, state) = (SocketId(record.id), state.ok_or_else(refuse)?);
                return Ok(Some(Input::Told { at, id, state }));
            }
            Kind::Accept => {
                let record: record::Accept = record::read(bytes).ok_or_else(refuse)?;
                Body::Accept(Accept {
                    socket: self.socket(&record.socket),
                    queued: known(record.queued),
                    fd: (record.fd != u32::MAX).then_some(record.fd),
                })
            }
            Kind::Seed => {
                let record: record::Seed = record::read(bytes).ok_or_else(refuse)?;
                Body::Seed(Seed {
                    socket: self.socket(&record.socket),
                    state: TcpState::from_kernel(record.state).ok_or_else(refuse)?,
                    fd: record.fd,
                })
            }
            Kind::Owner => {
                let record: record::Handover = record::read(bytes).ok_or_else(refuse)?;
                Body::Owner(Handover {
                    socket: self.socket(&record.socket),
                    from: self.owner(&record.from),
                })
            }
            Kind::ConnectFailed => {
                let record: record::ConnectFailed = record::read(bytes).ok_or_else(refuse)?;
                Body::ConnectFailed(ConnectFailed {
                    socket: self.socket(&record.socket),
                    error: Errno::new(record.errno),
                    syns: record.syns,
                    tried: known(record.tried),
                })
            }
            Kind::Closed => {
                let record: record::Closed = record::read(bytes).ok_or_else(refuse)?;
                Body::Closed(Box::new(self.closed(&record)))
            }
            Kind::Retransmit => {
                let record: record::Retransmit = record::read(bytes).ok_or_else(refuse)?;
                Body::Retransmit(Retransmit {
                    socket: self.socket(&record.socket),
                    segment: segment(record.segment).ok_or_else(refuse)?,
                    count: record.count,
                    bytes: record.bytes,
                    state: TcpState::from_kernel(record.state).ok_or_else(refuse)?,
                })
            }
            Kind::Reset => {
                let record: record::Reset = record::read(bytes).ok_or_else(refuse)?;
                Body::Reset(Reset {
                    socket: self.socket(&record.socket),
                    received: record.received != 0,
                    reason: self.reasons.reset.get(&record.reason).cloned(),
                    state: TcpState::from_kernel(record.state),
                })
            }
            Kind::Drop => {
                let record: record::Drop = record::read(bytes).ok_or_else(refuse)?;
                Body::Drop(Drop {
                    socket: self.socket(&record.socket),
                    reason: self.reasons.drop.get(&record.reason).cloned(),
                    state: TcpState::from_kernel(record.state),
                })
            }
            Kind::Udp => {
                let record: record::Udp = record::read(bytes).ok_or_else(refuse)?;
                Body::Udp(self.udp(&record).ok_or_else(refuse)?)
            }
            Kind::Dns => {
                let record: record::Dns = record::read(bytes).ok_or_else(refuse)?;
                let socket = self.socket(&record.socket);
                match self.questions.apply(&record, socket) {
                    Some(dns) => Body::Dns(Box::new(dns)),
                    None => return Ok(None),
                }
            }
            Kind::Unix => {
                let record: record::Unix = record::read(bytes).ok_or_else(refuse)?;
                Body::Unix(Box::new(self.unix(&record).ok_or_else(refuse)?))
            }
            Kind::Exists => {
                let record: record::Program = record::read(bytes).ok_or_else(refuse)?;
                self.processes.run(&record);
                return Ok(None);
            }
            Kind::Exec => {
                let record: record::Program = record::read(bytes).ok_or_else(refuse)?;
                let process = self.processes.run(&record);
                if !self.asked.wants(EventKind::Exec, &record.process, &process) {
                    return Ok(None);
                }
                Body::Exec(process)
            }
            kind @ (Kind::Fork | Kind::Exit | Kind::Rename) => {
                let record: record::Process = record::read(bytes).ok_or_else(refuse)?;
                let Some(process) = self.processes.apply(kind, &record) else {
                    return Ok(None);
                };
                let (asked, body): (_, fn(Process) -> Body) = match kind {
                    Kind::Fork => (EventKind::Fork, Body::Fork),
                    _ => (EventKind::Exit, Body::Exit),
                };
                if !self.asked.wants(asked, &record, &process) {
                    return Ok(None);
                }
                body(process)
            }
        };
        Ok(Some(Input::Event(Event { at, via: Via::Kernel, body })))
    }

    fn socket(&mut self, socket: &record::Socket) -> Socket {
        let flow = &socket.flow;
        let family = if flow.family == 6 { Family::V6 } else { Family::V4 };
        Socket {
            id: SocketId(socket.id),
            peer: None,
            proto: match flow.proto {
                262 => Proto::Mptcp,
                132 => Proto::Sctp,
                33 => Proto::Dccp,
                17 => Proto::Udp,
                _ => Proto::Tcp,
            },
            flow: Flow {
                family,
                local: endpoint(family, flow.saddr, flow.sport),
                remote: endpoint(family, flow.daddr, flow.dport),
            },
            owner: self.owner(&socket.owner),
            opened_by: if socket.opener.pid == socket.owner.pid {
                None
            } else {
                self.owner(&socket.opener)
            },
            netns: (socket.netns != 0).then_some(socket.netns),
            cgroup: self.cgroup(socket.cgroup),
            born: socket.born != 0,
        }
    }

    fn udp(&mut self, record: &record::Udp) -> Option<Udp> {
        let what = match record::UdpWhat::from_number(record.what)? {
            record::UdpWhat::Bind => UdpWhat::Bind,
            record::UdpWhat::Connect => UdpWhat::Connect,
            record::UdpWhat::Send => UdpWhat::Send,
            record::UdpWhat::Receive => UdpWhat::Receive,
            record::UdpWhat::Close => UdpWhat::Close,
        };
        let record::Traffic { sent_bytes, sent, received_bytes, received } = record.traffic;
        Some(Udp {
            socket: self.socket(&record.socket),
            what,
            bytes: matches!(what, UdpWhat::Send | UdpWhat::Receive).then_some(record.len),
            traffic: (what == UdpWhat::Close).then_some(Datagrams {
                bytes_sent: sent_bytes,
                bytes_received: received_bytes,
                sent,
                received,
            }),
        })
    }

    fn unix(&mut self, record: &record::Unix) -> Option<Unix> {
        let what = match record::UnixWhat::from_number(record.what)? {
            record::UnixWhat::Seed => UnixWhat::Seed,
            record::UnixWhat::Bind => UnixWhat::Bind,
            record::UnixWhat::Listen => UnixWhat::Listen,
            record::UnixWhat::Connect => UnixWhat::Connect,
            record::UnixWhat::Accept => UnixWhat::Accept,
            record::UnixWhat::Owner => UnixWhat::Owner,
            record::UnixWhat::Close => UnixWhat::Close,
        };
        let kind = match i32::from(record.kind) {
            libc::SOCK_STREAM => UnixKind::Stream,
            libc::SOCK_DGRAM => UnixKind::Dgram,
            libc::SOCK_SEQPACKET => UnixKind::Seqpacket,
            _ => return None,
        };
        let other = self.owner(&record.other);
        let (from, peer_owner) =
            if what == UnixWhat::Owner { (other, None) } else { (None, other) };
        Some(Unix {
            what,
            id: SocketId::of_inode(record.inode),
            peer: (record.peer != 0).then(|| SocketId::of_inode(record.peer)),
            kind,
            path: unix_path(record.path.get(..usize::from(record.path_len))?),
            fd: (record.fd != u32::MAX).then_some(record.fd),
            owner: self.owner(&record.owner),
            from,
            peer_owner,
            opened_by: if record.opener.pid == record.owner.pid {
                None
            } else {
                self.owner(&record.opener)
            },
            netns: (record.netns != 0).then_some(record.netns),
            cgroup: self.cgroup(record.cgroup),
            born: record.born != 0,
        })
    }

    fn closed(&mut self, record: &record::Closed) -> Closed {
        let cause = cause(record::Cause::from_number(record.cause));
        let closer = (record.closer != 0).then(|| Closer {
            pid: record.closer,
            comm: Comm::new(record.closer_comm),
            exe: self
                .processes
                .find(record.closer, record.closer_start)
                .and_then(|known| known.exe.clone()),
        });
        let mut states = [0; TcpState::ALL.len()];
        for (state, time) in TcpState::ALL.into_iter().zip(&mut states) {
            *time = record.states.get(state as usize).copied().unwrap_or(0);
        }
        Closed {
            socket: self.socket(&record.socket),
            cause,
            closer,
            error: Errno::new(record.errno),
            lasted: known(record.lasted),
            connecting: known(record.connecting),
            traffic: (record.counted != 0).then(|| Traffic {
                bytes_sent: record.bytes_sent,
                bytes_received: record.bytes_received,
                segments_sent: record.segs_out,
                segments_received: record.segs_in,
                retransmits: record.retransmits,
                rtt: known(u64::from(record.srtt) * 1000),
            }),
            states,
        }
    }

    /// Whether all was read that was told of a process until it was seen as an owner.
    pub fn is_current(&self, owner: &record::Owner) -> bool {
        let known = self.processes.find(owner.pid, owner.start);
        owner.pid == 0 || known.is_some_and(|known| known.newer_comm(owner.exec).is_some())
    }

    /// Who it is.
    pub fn owner(&self, owner: &record::Owner) -> Option<Owner> {
        let how = match record::How::from_number(owner.how) {
            record::How::Unknown => return None,
            record::How::Connect => How::Connect,
            record::How::Listen => How::Listen,
            record::How::Accept => How::Accept,
            record::How::Inherited => How::Inherited,
            record::How::Snapshot => How::Snapshot,
            record::How::Io => How::Io,
            record::How::Bind => How::Bind,
        };
        let record::Owner { pid, uid, start, comm, exec, .. } = *owner;
        if pid == 0 {
            return None;
        }
        let known = self.processes.find(pid, start);
        let newer = known.and_then(|known| known.newer_comm(exec));
        let exe = known.and_then(|known| known.exe.clone());
        Some(Owner { pid, comm: newer.unwrap_or(Comm::new(comm)), exe, uid, how })
    }

    /// The path of the cgroup with this id; nothing for one that has gone.
    pub fn cgroup(&mut self, id: u64) -> Option<Cgroup> {
        if id == 0 {
            return None;
        }
        // Nearly all events of a moment are of one cgroup.
        if self.last_cgroup.0 == id {
            return self.last_cgroup.1.clone();
        }
        let path = self.find_cgroup(id);
        self.last_cgroup = (id, path.clone());
        path
    }

    fn find_cgroup(&mut self, id: u64) -> Option<Cgroup> {
        if let Some(path) = self.cgroups.get(&id) {
            return path.clone();
        }
        let path = match &self.paths {
            Paths::Below(root) => root.as_ref().and_then(|root| cgroup_path(root, id)),
            Paths::Asked(helper) => helper.borrow_mut().cgroup(id),
        };
        if self.cgroups.len() >= MAX_CGROUPS {
            self.cgroups.clear();
        }
        self.cgroups.insert(id, path.clone());
        path
    }
}

/// The name of a UNIX socket as `ss` shows it: one in the abstract namespace begins with
/// NUL, and is shown with `@` in its place.
fn unix_path(bytes: &[u8]) -> Option<Arc<str>> {
    match bytes {
        [] => None,
        [0, name @ ..] => Some(format!("@{}", String::from_utf8_lossy(name)).into()),
        path => {
            let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
            Some(String::from_utf8_lossy(path).into())
        }
    }
}

/// What tools say that take the current task for the owner.
fn mutant(pid: u32) -> Option<Owner> {
    let comm = Comm::from_name("on-cpu");
    Some(Owner { pid, comm, exe: None, uid: 0, how: How::Connect })
}

/// The mini-socket that has taken a socket's place.
fn mini(record: &record::State) -> Option<Mini> {
    let state = TcpState::from_kernel(record.mini & !record::MINI_IN_DOUBT)?;
    let timeout = u64::from(record.timeout) * 1_000_000_000;
    Some(Mini {
        state,
        via: Via::Inferred,
        in_doubt: record.mini & record::MINI_IN_DOUBT != 0,
        timeout: known(timeout),
    })
}

fn known(nanoseconds: u64) -> Option<u64> {
    (nanoseconds != 0).then_some(nanoseconds)
}

const fn cause(cause: record::Cause) -> Option<Cause> {
    Some(match cause {
        record::Cause::Unknown => return None,
        record::Cause::Close => Cause::Close,
        record::Cause::Shutdown => Cause::Shutdown,
        record::Cause::Exit => Cause::Exit,
        record::Cause::Linger => Cause::Linger,
        record::Cause::Unread => Cause::Unread,
        record::Cause::Unaccepted => Cause::Unaccepted,
        record::Cause::Disconnect => Cause::Disconnect,
        record::Cause::PeerFin => Cause::Fin,
        record::Cause::PeerReset => Cause::Reset,
        record::Cause::Timeout => Cause::Timeout,
        record::Cause::Killed => Cause::Killed,
        record::Cause::Error => Cause::Error,
    })
}

const fn segment(number: u8) -> Option<Segment> {
    Some(match record::Segment::from_number(number) {
        None => return None,
        Some(record::Segment::Data) => Segment::Data,
        Some(record::Segment::Syn) => Segment::Syn,
        Some(record::Segment::SynAck) => Segment::SynAck,
        Some(record::Segment::Fin) => Segment::Fin,
    })
}

fn endpoint(family: Family, addr: [u8; 16], port: u16) -> Endpoint {
    let addr = Ipv6Addr::from(addr);
    let addr = match (family, addr.to_ipv4_mapped()) {
        (Family::V4, Some(addr)) => IpAddr::V4(addr),
        _ => IpAddr::V6(addr),
    };
    Endpoint { addr, port }
}

/// The path, below the root of the unified hierarchy, of the cgroup with this id.
pub fn cgroup_path(root: &std::path::Path, id: u64) -> Option<Cgroup> {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    /// A kernfs handle: the id alone (`FILEID_KERNFS`, include/linux/exportfs.h).
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        id: u64,
    }
    let mut handle = Handle { bytes: 8, kind: 0xfe, id };
    let mount = std::fs::File::open(root).ok()?;
    // SAFETY: the handle has the layout of a struct file_handle with eight bytes.
    let fd = unsafe {
        libc::open_by_handle_at(
            mount.as_raw_fd(),
            (&raw mut handle).cast(),
            libc::O_PATH | libc::O_CLOEXEC,
        )
    };
    if fd < 0 {
        return None;
    }
    // SAFETY: the descriptor was just opened and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let path = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    let below = path.strip_prefix(root).ok()?;
    Some(format!("/{}", below.display()).as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_records_are_refused_not_guessed() {
        let mut decoder =
            Decoder::new(Paths::Below(None), Reasons::default(), &Filter::default(), false);
        assert!(decoder.input(&[]).is_err());
        assert!(decoder.input(&[0; 216]).is_err());
        for len in 0..216 {
            let mut bytes = vec![1u8; len];
            if len >= 4 {
                bytes[..2].copy_from_slice(&(Kind::State as u16).to_ne_bytes());
                bytes[2..4].copy_from_slice(&(len as u16).to_ne_bytes());
            }
            // Only the right length is a state, and 1 is a state's number.
            assert_eq!(decoder.input(&bytes).is_ok(), len == 192, "{len}");
        }
    }

    #[test]
    fn a_name_in_the_abstract_namespace_begins_with_an_at() {
        let path = |bytes: &[u8]| unix_path(bytes);
        assert_eq!(path(b"\0x\0y").as_deref(), Some("@x\0y"));
        assert_eq!(path(b"/run/x.sock\0").as_deref(), Some("/run/x.sock"));
        assert_eq!(path(b"/run/x.sock").as_deref(), Some("/run/x.sock"));
        assert_eq!(path(b""), None);
    }

    #[test]
    fn a_mapped_address_stays_mapped_on_an_ipv6_socket() {
        let addr = std::net::Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets();
        assert_eq!(endpoint(Family::V4, addr, 80).to_string(), "127.0.0.1:80");
        assert_eq!(endpoint(Family::V6, addr, 80).to_string(), "[::ffff:127.0.0.1]:80");
    }
}
