//! Reads the JSON line of an event: one flat object, keys in a fixed order, absent keys
//! for what does not apply and null for what could not be known. Once released, a
//! key keeps its name and meaning.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use netbreath_common::tcp::TcpState;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::network::{Address, Change, Changed, Link, Neighbour, Route};
use super::{
    Accept, Body, Cause, Cgroup, Closed, Closer, Comm, ConnectFailed, Datagrams, Dns, DnsMessage,
    Drop, Endpoint, Errno, Event, Family, Flow, Gap, HalfOpen, Handover, How, Owner, Process,
    Proto, Reset, Retransmit, Seed, Segment, Socket, SocketId, State, Traffic, Udp, UdpWhat, Unix,
    UnixKind, UnixWhat, Via,
};

/// An [`Event`] as it stands on a line of JSON.
#[derive(Clone, Debug, Deserialize)]
pub struct Line {
    /// Wall-clock time, nanoseconds since the epoch.
    pub at: i64,
    event: Named,
    via: Via,
    #[serde(default, deserialize_with = "nullable")]
    socket: Option<Option<Id>>,
    peer: Option<Id>,
    proto: Option<ProtoName>,
    family: Option<u8>,
    local: Option<Endpoint>,
    remote: Option<Endpoint>,
    state: Option<StateName>,
    old: Option<StateName>,
    new: Option<StateName>,
    #[serde(default, deserialize_with = "nullable")]
    in_state_ns: Option<Option<u64>>,
    #[serde(default, deserialize_with = "nullable")]
    queued_ns: Option<Option<u64>>,
    #[serde(default, deserialize_with = "nullable")]
    fd: Option<Option<u32>>,
    #[serde(default, deserialize_with = "nullable")]
    from: Option<Option<OwnerLine>>,
    #[serde(default, deserialize_with = "nullable")]
    retries: Option<Option<u32>>,
    syn_cookie: Option<bool>,
    #[serde(default, deserialize_with = "nullable")]
    owner: Option<Option<OwnerLine>>,
    opened_by: Option<OwnerLine>,
    #[serde(default, deserialize_with = "nullable")]
    netns: Option<Option<u32>>,
    #[serde(default, deserialize_with = "nullable")]
    cgroup: Option<Option<Arc<str>>>,
    born: Option<bool>,
    pid: Option<u32>,
    parent: Option<u32>,
    comm: Option<Comm>,
    comm_bytes: Option<CommBytes>,
    exe: Option<Arc<str>>,
    cmdline: Option<Arc<str>>,
    uid: Option<u32>,
    /// Wall-clock time, nanoseconds since the epoch.
    start: Option<i64>,
    /// `clock`: wall-clock time of boot, nanoseconds since the epoch.
    boot: Option<i64>,
    error: Option<ErrnoName>,
    syns: Option<u32>,
    tried_ns: Option<u64>,
    cause: Option<Cause>,
    closer: Option<CloserLine>,
    lasted_ns: Option<u64>,
    connect_ns: Option<u64>,
    bytes_sent: Option<u64>,
    bytes_received: Option<u64>,
    segments_sent: Option<u32>,
    segments_received: Option<u32>,
    retransmits: Option<u32>,
    rtt_ns: Option<u64>,
    #[serde(default)]
    states_ns: HashMap<StateName, u64>,
    segment: Option<Segment>,
    bytes: Option<u32>,
    received: Option<bool>,
    reason: Option<Arc<str>>,
    change: Option<Change>,
    link: Option<Box<Link>>,
    address: Option<Box<Address>>,
    route: Option<Box<Route>>,
    neighbour: Option<Box<Neighbour>>,
    /// What it was before, of the kind that the event is about.
    was: Option<serde_json::Value>,
    datagrams_sent: Option<u64>,
    datagrams_received: Option<u64>,
    id: Option<u16>,
    name: Option<Arc<str>>,
    /// `dns`: the type of a record; `unix`: the type of the socket.
    r#type: Option<Arc<str>>,
    rcode: Option<Arc<str>>,
    #[serde(default)]
    answers: Vec<Arc<str>>,
    latency_ns: Option<u64>,
    truncated: Option<bool>,
    path: Option<Arc<str>>,
    peer_owner: Option<OwnerLine>,
    hook: Option<String>,
    what: Option<String>,
    why: Option<String>,
    mend: Option<String>,
    #[serde(default)]
    unseen: Vec<String>,
    count: Option<u64>,
}

/// A line that is no event.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error("an event of kind {event:?} needs the key {key:?}")]
    MissingKey { event: &'static str, key: &'static str },
    #[error("\"family\" is {0}, not 4 or 6")]
    Family(u8),
    #[error("\"was\" is no {event}: {source}")]
    Was { event: &'static str, source: serde_json::Error },
    #[error("an event of kind {event:?} has no {key:?} that is {value:?}")]
    Unknown { event: &'static str, key: &'static str, value: String },
}

impl Line {
    /// Whether events of this kind can be read.
    pub fn knows(kind: &str) -> bool {
        serde_json::from_value::<Named>(kind.into()).is_ok()
    }

    /// The wall-clock time of boot that a clock event tells.
    pub const fn clock(&self) -> Option<i64> {
        match self.event {
            Named::Clock => self.boot,
            _ => None,
        }
    }

    /// The event of this line; `boot` is the wall-clock time of boot, in
    /// nanoseconds since the epoch.
    pub fn event(self, boot: i64) -> Result<Event, WireError> {
        let event = self.event.name();
        let need = |key| WireError::MissingKey { event, key };
        let since_boot = |wall: i64| u64::try_from(wall.saturating_sub(boot)).unwrap_or(0);
        let at = since_boot(self.at);
        let via = self.via;
        let body = match self.event {
            Named::Clock => Body::Clock { boot: self.boot.ok_or(need("boot"))? },
            Named::Gap => Body::Gap(Gap {
                what: self.what.ok_or(need("what"))?,
                why: self.why.unwrap_or_default(),
                mend: self.mend.unwrap_or_default(),
                hook: self.hook,
                unseen: self.unseen,
                count: self.count.unwrap_or(0),
            }),
            Named::Link | Named::Address | Named::Route | Named::Neighbour => {
                let change = self.change.ok_or(need("change"))?;
                let (was, netns) = (self.was, self.netns.flatten());
                let kind = Kind { event, change, was, netns };
                match self.event {
                    Named::Link => Body::Link(kind.of(self.link)?),
                    Named::Address => Body::Address(kind.of(self.address)?),
                    Named::Route => Body::Route(kind.of(self.route)?),
                    _ => Body::Neighbour(kind.of(self.neighbour)?),
                }
            }
            Named::Unix => Body::Unix(Box::new(Unix {
                what: one_of(
                    event,
                    "what",
                    self.what.as_deref().ok_or(need("what"))?,
                    UnixWhat::ALL.map(|what| (what.name(), what)),
                )?,
                id: self.socket.flatten().ok_or(need("socket"))?.0,
                peer: self.peer.map(|peer| peer.0),
                kind: one_of(
                    event,
                    "type",
                    self.r#type.as_deref().ok_or(need("type"))?,
                    UnixKind::ALL.map(|kind| (kind.name(), kind)),
                )?,
                path: self.path,
                fd: self.fd.flatten(),
                owner: self.owner.flatten().map(OwnerLine::owner),
                from: self.from.flatten().map(OwnerLine::owner),
                peer_owner: self.peer_owner.map(OwnerLine::owner),
                opened_by: self.opened_by.map(OwnerLine::owner),
                netns: self.netns.flatten(),
                cgroup: self.cgroup.flatten().map(|path| Cgroup::from(&*path)),
                born: self.born.unwrap_or(false),
            })),
            Named::Exec | Named::Fork | Named::Exit => {
                let process = Process {
                    pid: self.pid.ok_or(need("pid"))?,
                    parent: self.parent.ok_or(need("parent"))?,
                    comm: whole(self.comm.ok_or(need("comm"))?, self.comm_bytes),
                    exe: self.exe,
                    cmdline: self.cmdline,
                    uid: self.uid.ok_or(need("uid"))?,
                    start: since_boot(self.start.ok_or(need("start"))?),
                };
                match self.event {
                    Named::Exec => Body::Exec(process),
                    Named::Fork => Body::Fork(process),
                    _ => Body::Exit(process),
                }
            }
            Named::Seed
            | Named::HalfOpen
            | Named::State
            | Named::Accept
            | Named::Owner
            | Named::ConnectFailed
            | Named::Closed
            | Named::Retransmit
            | Named::Reset
            | Named::Drop
            | Named::Udp
            | Named::Dns => {
                let socket = Socket {
                    // Null: a segment that came for none.
                    id: self.socket.ok_or(need("socket"))?.map_or(SocketId(0), |id| id.0),
                    peer: self.peer.map(|peer| peer.0),
                    proto: match self.proto.ok_or(need("proto"))? {
                        ProtoName::Unix => return Err(unknown(event, "proto", "unix")),
                        ProtoName::Inet(proto) => proto,
                    },
                    flow: Flow {
                        family: match self.family.ok_or(need("family"))? {
                            4 => Family::V4,
                            6 => Family::V6,
                            other => return Err(WireError::Family(other)),
                        },
                        local: self.local.ok_or(need("local"))?,
                        remote: self.remote.ok_or(need("remote"))?,
                    },
                    owner: self.owner.flatten().map(OwnerLine::owner),
                    opened_by: self.opened_by.map(OwnerLine::owner),
                    netns: self.netns.flatten(),
                    cgroup: self.cgroup.flatten().map(|path| Cgroup::from(&*path)),
                    born: self.born.unwrap_or(false),
                };
                match self.event {
                    Named::Seed => Body::Seed(Seed {
                        socket,
                        state: self.state.ok_or(need("state"))?.0,
                        fd: self.fd.flatten().ok_or(need("fd"))?,
                    }),
                    Named::HalfOpen => Body::HalfOpen(HalfOpen {
                        socket,
                        retries: self.retries.flatten(),
                        syn_cookie: self.syn_cookie.unwrap_or(false),
                    }),
                    Named::Owner => Body::Owner(Handover {
                        socket,
                        from: self.from.flatten().map(OwnerLine::owner),
                    }),
                    Named::Accept => Body::Accept(Accept {
                        socket,
                        queued: self.queued_ns.flatten(),
                        fd: self.fd.flatten(),
                    }),
                    Named::ConnectFailed => Body::ConnectFailed(ConnectFailed {
                        socket,
                        error: self.error.map(|error| error.0),
                        syns: self.syns.ok_or(need("syns"))?,
                        tried: self.tried_ns,
                    }),
                    Named::Closed => {
                        let mut states = [0; TcpState::ALL.len()];
                        for (state, time) in TcpState::ALL.into_iter().zip(&mut states) {
                            *time = self.states_ns.get(&StateName(state)).copied().unwrap_or(0);
                        }
                        let rtt = self.rtt_ns;
                        let traffic = match (
                            self.bytes_sent,
                            self.bytes_received,
                            self.segments_sent,
                            self.segments_received,
                            self.retransmits,
                        ) {
                            (
                                Some(bytes_sent),
                                Some(bytes_received),
                                Some(segments_sent),
                                Some(segments_received),
                                Some(retransmits),
                            ) => Some(Traffic {
                                bytes_sent,
                                bytes_received,
                                segments_sent,
                                segments_received,
                                retransmits,
                                rtt,
                            }),
                            _ => None,
                        };
                        Body::Closed(Box::new(Closed {
                            socket,
                            cause: self.cause,
                            closer: self.closer.map(|closer| Closer {
                                pid: closer.pid,
                                comm: whole(closer.comm, closer.comm_bytes),
                                exe: closer.exe,
                            }),
                            error: self.error.map(|error| error.0),
                            lasted: self.lasted_ns,
                            connecting: self.connect_ns,
                            traffic,
                            states,
                        }))
                    }
                    Named::Retransmit => Body::Retransmit(Retransmit {
                        socket,
                        segment: self.segment.ok_or(need("segment"))?,
                        count: self.retransmits.ok_or(need("retransmits"))?,
                        bytes: self.bytes.ok_or(need("bytes"))?,
                        state: self.state.ok_or(need("state"))?.0,
                    }),
                    Named::Reset => Body::Reset(Reset {
                        socket,
                        received: self.received.ok_or(need("received"))?,
                        reason: self.reason,
                        state: self.state.map(|state| state.0),
                    }),
                    Named::Udp => Body::Udp(Udp {
                        socket,
                        what: one_of(
                            event,
                            "what",
                            self.what.as_deref().ok_or(need("what"))?,
                            UdpWhat::ALL.map(|what| (what.name(), what)),
                        )?,
                        bytes: self.bytes,
                        traffic: match (
                            self.bytes_sent,
                            self.bytes_received,
                            self.datagrams_sent,
                            self.datagrams_received,
                        ) {
                            (
                                Some(bytes_sent),
                                Some(bytes_received),
                                Some(sent),
                                Some(received),
                            ) => Some(Datagrams { bytes_sent, bytes_received, sent, received }),
                            _ => None,
                        },
                    }),
                    Named::Dns => Body::Dns(Box::new(Dns {
                        socket,
                        message: DnsMessage {
                            id: self.id.ok_or(need("id"))?,
                            response: one_of(
                                event,
                                "what",
                                self.what.as_deref().ok_or(need("what"))?,
                                [("query", false), ("response", true)],
                            )?,
                            name: self.name,
                            kind: self.r#type,
                            rcode: self.rcode,
                            answers: self.answers,
                            truncated: self.truncated.unwrap_or(false),
                        },
                        received: self.received.ok_or(need("received"))?,
                        latency: self.latency_ns,
                    })),
                    Named::Drop => Body::Drop(Drop {
                        socket,
                        reason: self.reason,
                        state: self.state.map(|state| state.0),
                    }),
                    _ => Body::State(State {
                        socket,
                        old: self.old.ok_or(need("old"))?.0,
                        new: self.new.ok_or(need("new"))?.0,
                        in_state: self.in_state_ns.flatten(),
                    }),
                }
            }
        };
        Ok(Event { at, via, body })
    }
}

/// What an event about the network configuration has beside the thing itself.
struct Kind {
    event: &'static str,
    change: Change,
    was: Option<serde_json::Value>,
    netns: Option<u32>,
}

impl Kind {
    fn of<T: DeserializeOwned>(self, now: Option<Box<T>>) -> Result<Box<Changed<T>>, WireError> {
        let Kind { event, change, was, netns } = self;
        let now = *now.ok_or(WireError::MissingKey { event, key: event })?;
        let was = was.map(serde_json::from_value).transpose();
        let was = was.map_err(|source| WireError::Was { event, source })?;
        Ok(Box::new(Changed { change, now, was, netns }))
    }
}

/// The value with this name.
fn one_of<T: Copy, const N: usize>(
    event: &'static str,
    key: &'static str,
    name: &str,
    values: [(&'static str, T); N],
) -> Result<T, WireError> {
    let found = values.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| unknown(event, key, name))
}

fn unknown(event: &'static str, key: &'static str, value: &str) -> WireError {
    WireError::Unknown { event, key, value: value.to_owned() }
}

/// Tells a key that is null from one that is absent.
fn nullable<'de, D, T>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// The kinds of events, by name.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    Seed,
    HalfOpen,
    State,
    Accept,
    Owner,
    ConnectFailed,
    Closed,
    Retransmit,
    Reset,
    Drop,
    Udp,
    Dns,
    Unix,
    Exec,
    Fork,
    Exit,
    Link,
    Address,
    Route,
    Neighbour,
    Clock,
    Gap,
}

impl Named {
    const fn name(self) -> &'static str {
        match self {
            Named::Seed => "seed",
            Named::HalfOpen => "half_open",
            Named::State => "state",
            Named::Accept => "accept",
            Named::Owner => "owner",
            Named::ConnectFailed => "connect_failed",
            Named::Closed => "closed",
            Named::Retransmit => "retransmit",
            Named::Reset => "reset",
            Named::Drop => "drop",
            Named::Udp => "udp",
            Named::Dns => "dns",
            Named::Unix => "unix",
            Named::Exec => "exec",
            Named::Fork => "fork",
            Named::Exit => "exit",
            Named::Link => "link",
            Named::Address => "address",
            Named::Route => "route",
            Named::Neighbour => "neighbour",
            Named::Clock => "clock",
            Named::Gap => "gap",
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
struct CloserLine {
    pid: u32,
    comm: Comm,
    comm_bytes: Option<CommBytes>,
    exe: Option<Arc<str>>,
}

/// The protocol of a socket, also of one that is not of the internet's.
#[derive(Clone, Copy, Debug)]
enum ProtoName {
    Inet(Proto),
    Unix,
}

impl<'de> Deserialize<'de> for ProtoName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        if text == "unix" {
            return Ok(ProtoName::Unix);
        }
        let proto = Proto::ALL.into_iter().find(|proto| proto.name() == text);
        proto
            .map(ProtoName::Inet)
            .ok_or_else(|| serde::de::Error::custom(format_args!("{text:?} is no Proto")))
    }
}

#[derive(Clone, Copy, Debug)]
struct ErrnoName(Errno);

impl<'de> Deserialize<'de> for ErrnoName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Errno::named(&text).map(ErrnoName).ok_or_else(|| {
            serde::de::Error::custom(format_args!("{text:?} is no error of a socket call"))
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
struct OwnerLine {
    pid: u32,
    comm: Comm,
    comm_bytes: Option<CommBytes>,
    #[serde(default)]
    exe: Option<Arc<str>>,
    uid: u32,
    how: How,
}

impl OwnerLine {
    fn owner(self) -> Owner {
        let OwnerLine { pid, comm, comm_bytes, exe, uid, how } = self;
        Owner { pid, comm: whole(comm, comm_bytes), exe, uid, how }
    }
}

/// The bytes of a process name that is no text, in hexadecimal: `comm` has stand-ins for
/// what is none.
#[derive(Clone, Copy, Debug)]
struct CommBytes(Comm);

/// The name as it is.
fn whole(comm: Comm, bytes: Option<CommBytes>) -> Comm {
    bytes.map_or(comm, |bytes| bytes.0)
}

impl FromStr for CommBytes {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<CommBytes, Self::Err> {
        let mut bytes = [0; 16];
        // The last one stays 0.
        for (byte, digits) in bytes[..15].iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).unwrap_or("?"), 16)?;
        }
        Ok(CommBytes(Comm::new(bytes)))
    }
}

/// A 64-bit id is a string in JSON, since many readers keep numbers as doubles.
#[derive(Clone, Copy, Debug)]
struct Id(SocketId);

impl FromStr for Id {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Id, Self::Err> {
        text.parse().map(|id| Id(SocketId(id)))
    }
}

impl FromStr for Endpoint {
    type Err = std::net::AddrParseError;

    fn from_str(text: &str) -> Result<Endpoint, Self::Err> {
        if let Some(addr) = text.strip_suffix(":*") {
            let addr = addr.trim_start_matches('[').trim_end_matches(']');
            return Ok(Endpoint { addr: addr.parse::<IpAddr>()?, port: 0 });
        }
        let addr: SocketAddr = text.parse()?;
        Ok(Endpoint { addr: addr.ip(), port: addr.port() })
    }
}

/// Reads through `FromStr`.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Id, Endpoint, CommBytes);

/// Reads one of the names in `ALL`.
macro_rules! as_name {
    ($($type:ident),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                $type::ALL.into_iter().find(|value| value.name() == text).ok_or_else(|| {
                    serde::de::Error::custom(format_args!("{text:?} is no {}", stringify!($type)))
                })
            }
        }
    )*};
}

as_name!(Change, Via, How, StateName, Cause, Segment);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct StateName(TcpState);

impl StateName {
    const ALL: [StateName; TcpState::ALL.len()] = {
        let mut all = [StateName(TcpState::Close); TcpState::ALL.len()];
        let mut i = 0;
        while i < all.len() {
            all[i] = StateName(TcpState::ALL[i]);
            i += 1;
        }
        all
    };

    const fn name(self) -> &'static str {
        self.0.name()
    }
}

impl<'de> Deserialize<'de> for Comm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(Comm::from_name(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::write;

    fn state() -> Event {
        Event {
            at: 1_000,
            via: Via::Kernel,
            body: Body::State(State {
                socket: Socket {
                    id: SocketId(138_858),
                    peer: None,
                    proto: Proto::Tcp,
                    flow: Flow {
                        family: Family::V4,
                        local: "127.0.0.1:8080".parse().unwrap(),
                        remote: "127.0.0.1:46712".parse().unwrap(),
                    },
                    opened_by: None,
                    owner: Some(Owner {
                        pid: 812,
                        comm: Comm::from_name("nginx"),
                        exe: Some("/usr/sbin/nginx".into()),
                        uid: 33,
                        how: How::Accept,
                    }),
                    netns: Some(4_026_531_833),
                    cgroup: Some("/system.slice/nginx.service".into()),
                    born: true,
                },
                old: TcpState::SynRecv,
                new: TcpState::Established,
                in_state: Some(31_000),
            }),
        }
    }

    fn json(event: &Event) -> String {
        let mut line = Vec::new();
        write(event, 5_000, &mut line);
        String::from_utf8(line).unwrap()
    }

    fn read(text: &str) -> Event {
        serde_json::from_str::<Line>(text).unwrap().event(5_000).unwrap()
    }

    #[test]
    fn a_state_has_the_documented_keys_in_order() {
        assert_eq!(
            json(&state()),
            concat!(
                r#"{"at":6000,"event":"state","via":"kernel","socket":"138858","proto":"tcp","#,
                r#""family":4,"local":"127.0.0.1:8080","remote":"127.0.0.1:46712","#,
                r#""old":"SYN_RECV","new":"ESTABLISHED","in_state_ns":31000,"#,
                r#""owner":{"pid":812,"comm":"nginx","exe":"/usr/sbin/nginx","uid":33,"#,
                r#""how":"accept"},"netns":4026531833,"#,
                r#""cgroup":"/system.slice/nginx.service","born":true}"#,
            )
        );
    }

    #[test]
    fn every_event_survives_the_way_there_and_back() {
        let unknown = match state() {
            Event { at, via, body: Body::State(mut state) } => {
                state.socket.owner = None;
                state.socket.netns = None;
                state.socket.cgroup = None;
                state.in_state = None;
                state.socket.flow.local = "[::]:*".parse().unwrap();
                Event { at, via, body: Body::State(state) }
            }
            other => other,
        };
        let handover = match state().body {
            Body::State(mut state) => {
                state.socket.opened_by.clone_from(&state.socket.owner);
                let from = state.socket.owner.clone();
                let body = Body::Owner(Handover { socket: state.socket, from });
                Event { at: 6, via: Via::Kernel, body }
            }
            body => Event { at: 6, via: Via::Kernel, body },
        };
        let gap = Event {
            at: 7,
            via: Via::Kernel,
            body: Body::Gap(Gap {
                what: "w".into(),
                why: "y".into(),
                mend: "m".into(),
                hook: Some("accept".into()),
                unseen: vec!["descriptor".into(), "listen".into()],
                count: 3,
            }),
        };
        let clock = Event { at: 8, via: Via::Timer, body: Body::Clock { boot: 9 } };
        let process = Process {
            pid: 7,
            parent: 1,
            comm: Comm::from_name("sh"),
            exe: Some("/usr/bin/dash".into()),
            cmdline: Some("sh -c true".into()),
            uid: 1000,
            start: 900,
        };
        let nameless = Process { exe: None, cmdline: None, ..process.clone() };
        let processes = [Body::Exec(process.clone()), Body::Fork(nameless), Body::Exit(process)]
            .map(|body| Event { at: 1_000, via: Via::Kernel, body });
        let half_open = match state().body {
            Body::State(State { mut socket, .. }) => {
                socket.peer = Some(SocketId(138_857));
                let body = Body::HalfOpen(HalfOpen { socket, retries: Some(5), syn_cookie: false });
                Event { at: 9, via: Via::Kernel, body }
            }
            body => Event { at: 9, via: Via::Kernel, body },
        };
        for event in
            [state(), unknown, handover, half_open, gap, clock].into_iter().chain(processes)
        {
            assert_eq!(read(&json(&event)), event);
        }
    }

    #[test]
    fn changes_of_the_network_survive_the_way_there_and_back() {
        use crate::event::network::*;
        let link = Link {
            ifindex: 3,
            ifname: "v0".into(),
            flags: LinkFlags(0x8001_1043),
            mtu: 1500,
            qdisc: Some("noqueue".into()),
            operstate: Operstate(6),
            txqlen: 1000,
            hardware: 1,
            address: Some(LinkAddress(vec![2, 0, 0, 0, 0, 255])),
            master: Some(LinkRef { ifindex: 2, ifname: Some("br0".into()) }),
            kind: Some("veth".into()),
            ..Link::default()
        };
        let address = Address {
            ifindex: 3,
            ifname: "v0".into(),
            local: "2001:db8::1".parse().unwrap(),
            peer: None,
            prefixlen: 64,
            broadcast: None,
            anycast: None,
            scope: Scope(17),
            flags: AddressFlags(0x8c1),
            label: None,
            metric: Some(7),
            proto: Some(3),
            valid: Some(Lifetime::FOREVER),
            preferred: Some(Lifetime(0)),
        };
        let hop = Nexthop {
            gateway: Some("10.0.0.3".parse().unwrap()),
            ifindex: 3,
            dev: Some("v0".into()),
            weight: 3,
            flags: RouteFlags(0x11),
        };
        let route = Route {
            family: Family::V4,
            kind: RouteKind::UNICAST,
            dst: "0.0.0.0".parse().unwrap(),
            dst_len: 0,
            src: None,
            src_len: 0,
            tos: 16,
            nhid: None,
            gateway: Some("2001:db8::2".parse().unwrap()),
            ifindex: Some(3),
            dev: Some("v0".into()),
            table: Table(1000),
            protocol: 3,
            scope: Scope::LINK,
            prefsrc: None,
            metric: Some(100),
            flags: RouteFlags(0),
            metrics: vec![
                Metric { number: 2, value: MetricValue::Number(1400), locked: true },
                Metric { number: 16, value: MetricValue::Name("reno".into()), locked: false },
            ],
            pref: Some(1),
            nexthops: vec![hop],
            expires: None,
            error: Some(-113),
        };
        let neighbour = Neighbour {
            dst: "10.0.0.2".parse().unwrap(),
            ifindex: 3,
            ifname: "v0".into(),
            lladdr: None,
            state: NeighbourState(0x20),
            flags: NeighbourFlags(0x1_0080),
            proto: None,
            ages: None,
            probes: None,
        };
        fn with<T: Clone>(now: T) -> Box<Changed<T>> {
            let was = Some(now.clone());
            Box::new(Changed { change: Change::Changed, now, was, netns: Some(7) })
        }
        let added = Changed { change: Change::Added, now: link.clone(), was: None, netns: None };
        for body in [
            Body::Link(with(link)),
            Body::Link(Box::new(added)),
            Body::Address(with(address)),
            Body::Route(with(route)),
            Body::Neighbour(with(neighbour)),
        ] {
            let event = Event { at: 1_000, via: Via::Poll, body };
            assert_eq!(read(&json(&event)), event, "{}", json(&event));
        }
    }

    #[test]
    fn what_was_has_to_be_of_the_kind() {
        let line = r#"{"at":1,"event":"neighbour","via":"kernel","change":"added","neighbour":{"dst":"10.0.0.2","ifindex":3,"ifname":"v0","state":["FAILED"],"flags":[]},"was":{"dst":1}}"#;
        let error = serde_json::from_str::<Line>(line).unwrap().event(0).unwrap_err();
        assert!(error.to_string().starts_with("\"was\" is no neighbour: "), "{error}");
        let line = line.replace(r#""neighbour":{"#, r#""other":{"#);
        let error = serde_json::from_str::<Line>(&line).unwrap().event(0).unwrap_err();
        assert!(error.to_string().ends_with("needs the key \"neighbour\""), "{error}");
    }

    #[test]
    fn a_container_stands_on_the_line_and_comes_back_from_the_path() {
        let mut event = state();
        let id = "5f1a".repeat(16);
        if let Body::State(state) = &mut event.body {
            state.socket.cgroup = Some(
                format!("/kubepods/pod12345678-1234-1234-1234-123456789abc/{id}").as_str().into(),
            );
        }
        let text = json(&event);
        let end = format!(
            r#"/{id}","container":"{id}","pod":"12345678-1234-1234-1234-123456789abc","born":true}}"#
        );
        assert!(text.ends_with(&end), "{text}");
        assert_eq!(read(&text), event);
    }

    #[test]
    fn null_is_unknown_and_a_missing_key_is_an_error() {
        assert!(
            json(&read(&json(&state()).replace("31000", "null"))).contains("\"in_state_ns\":null")
        );
        let line = serde_json::from_str::<Line>(r#"{"at":1,"event":"state","via":"kernel"}"#);
        let error = line.unwrap().event(0).unwrap_err().to_string();
        assert_eq!(error, "an event of kind \"state\" needs the key \"socket\"");
    }

    #[test]
    fn a_name_with_control_characters_is_escaped() {
        let mut event = state();
        if let Body::State(state) = &mut event.body
            && let Some(owner) = &mut state.socket.owner
        {
            owner.comm = Comm::from_name("a\x1b[31m\n\u{7f}");
        }
        let text = json(&event);
        assert!(!text.contains('\x1b') && !text.contains('\n'), "{text}");
        assert_eq!(read(&text), event);
        // What is no text keeps its bytes.
        if let Body::State(state) = &mut event.body
            && let Some(owner) = &mut state.socket.owner
        {
            owner.comm = Comm::new(*b"a\xff\xfe\x0123456789\0\0\0\0");
        }
        let text = json(&event);
        assert!(text.contains(r#","comm_bytes":"61fffe01"#), "{text}");
        assert_eq!(read(&text), event);
    }
}
