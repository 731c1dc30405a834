//! Judgements on a stream of events: what is odd, who does it, and by what that is seen.
//! Events go in and findings come out; no lint calls a clock or the operating system, so
//! that a recording is judged as the live run was.
//!
//! A file here is one judgement. Each is bounded in what it remembers, and silent on
//! ordinary traffic.

use std::time::Duration;

use crate::event::{Event, Flow, Owner, Socket, SocketId};

mod accept_queue;
mod burst;
mod close_wait;
mod flood;
pub mod now;
mod ports;
mod syn_sent;
mod unread;
mod wildcard;

/// Which judgement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    CloseWait,
    SynSent,
    RetransmitBurst,
    AcceptQueue,
    PortExhaustion,
    UnreadReset,
    WildcardListener,
    HalfOpenFlood,
}

impl Name {
    pub const ALL: [Name; 8] = [
        Name::CloseWait,
        Name::SynSent,
        Name::RetransmitBurst,
        Name::AcceptQueue,
        Name::PortExhaustion,
        Name::UnreadReset,
        Name::WildcardListener,
        Name::HalfOpenFlood,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Name::CloseWait => "close_wait",
            Name::SynSent => "syn_sent",
            Name::RetransmitBurst => "retransmit_burst",
            Name::AcceptQueue => "accept_queue",
            Name::PortExhaustion => "port_exhaustion",
            Name::UnreadReset => "unread_reset",
            Name::WildcardListener => "wildcard_listener",
            Name::HalfOpenFlood => "half_open_flood",
        }
    }

    pub fn named(name: &str) -> Option<Name> {
        Name::ALL.into_iter().find(|one| one.name() == name)
    }

    /// What it means and what to do, in a sentence or two.
    pub const fn lesson(self) -> &'static str {
        match self {
            Name::CloseWait => {
                "the peer has closed its side, and this process has not: it leaks descriptors \
                 unless it calls close() after it has read the end of the stream"
            }
            Name::SynSent => {
                "the peer answers nothing, not even a reset: a firewall drops the packets, or \
                 nobody has the address; a refused connection would fail at once"
            }
            Name::RetransmitBurst => {
                "what was sent is not acknowledged in time: packets are lost on the way, or the \
                 peer is overloaded; look at the path, not at the program"
            }
            Name::AcceptQueue => {
                "the process does not call accept() as fast as connections come: the kernel \
                 throws further ones away, and clients wait for a second or more; make it accept \
                 faster, or give listen() a longer queue (and net.core.somaxconn)"
            }
            Name::PortExhaustion => {
                "each connection that this side closes first keeps its local port for a minute \
                 in TIME_WAIT: keep connections open and use them again, or let the other side \
                 close first"
            }
            Name::UnreadReset => {
                "it closed a connection with data unread, so the kernel sent a reset instead of \
                 a FIN (RFC 2525, 2.17): the peer may lose what it has not read yet; read to the \
                 end of the stream before close()"
            }
            Name::WildcardListener => {
                "whoever can reach any address of this machine can connect; bind to 127.0.0.1 or \
                 ::1 if only this machine is meant"
            }
            Name::HalfOpenFlood => {
                "SYNs come and are never followed by the handshake's last ACK: a flood with \
                 forged addresses, or answers do not reach the clients; SYN cookies keep the \
                 listener alive (net.ipv4.tcp_syncookies)"
            }
        }
    }

    /// What `netbreath explain` tells more about.
    pub const fn topic(self) -> &'static str {
        match self {
            Name::CloseWait => "CLOSE_WAIT",
            Name::SynSent => "SYN_SENT",
            Name::RetransmitBurst => "retransmit",
            Name::AcceptQueue => "LISTEN",
            Name::PortExhaustion => "TIME_WAIT",
            Name::UnreadReset => "unread",
            Name::WildcardListener => "LISTEN",
            Name::HalfOpenFlood => "half_open",
        }
    }

    /// Whether it is a fault, and not only worth knowing.
    pub const fn is_fault(self) -> bool {
        !matches!(self, Name::WildcardListener)
    }
}

/// Something odd, with who does it and by what that is seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// When it was found, in nanoseconds since boot.
    pub at: u64,
    pub lint: Name,
    pub owner: Option<Owner>,
    pub socket: Option<SocketId>,
    pub flow: Option<Flow>,
    /// What was seen, in words and numbers.
    pub evidence: String,
}

impl Finding {
    fn about(lint: Name, at: u64, socket: &Socket, evidence: String) -> Finding {
        Finding {
            at,
            lint,
            owner: socket.owner.clone(),
            socket: (socket.id.0 != 0).then_some(socket.id),
            flow: Some(socket.flow),
            evidence,
        }
    }
}

/// From when on something is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// How long a connection may be in CLOSE_WAIT.
    pub close_wait: Duration,
    /// SYNs that may be sent again for one connection.
    pub syn_retries: u32,
    /// Data segments of one connection that may be sent again within `burst_time`.
    pub burst: u32,
    pub burst_time: Duration,
    /// Local ports that the kernel can choose from.
    pub local_ports: u32,
    /// How much of them may be in TIME_WAIT to one address and port, in per cent.
    pub ports_percent: u32,
    /// Half-open connections that a listener may have at once.
    pub half_open: u32,
}

impl Default for Thresholds {
    fn default() -> Thresholds {
        Thresholds {
            close_wait: Duration::from_secs(30),
            syn_retries: 1,
            burst: 8,
            burst_time: Duration::from_secs(5),
            // 32768 to 60999, as Linux has it (net.ipv4.ip_local_port_range).
            local_ports: 28_232,
            ports_percent: 75,
            half_open: 128,
        }
    }
}

/// One judgement.
trait Lint: Send {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>);

    /// It is `now`: what was only a matter of time is found.
    fn advance(&mut self, now: u64, findings: &mut Vec<Finding>) {
        let _ = (now, findings);
    }

    /// When [`Lint::advance`] will find something unless an event comes before.
    fn due(&self) -> Option<u64> {
        None
    }
}

/// All judgements.
pub struct Lints {
    all: Vec<Box<dyn Lint>>,
    now: u64,
}

impl Lints {
    pub fn new(thresholds: Thresholds) -> Lints {
        Lints {
            all: vec![
                Box::new(close_wait::CloseWait::new(thresholds)),
                Box::new(syn_sent::SynSent::new(thresholds)),
                Box::new(burst::Burst::new(thresholds)),
                Box::new(accept_queue::AcceptQueue::default()),
                Box::new(ports::Ports::new(thresholds)),
                Box::new(unread::Unread),
                Box::new(wildcard::Wildcard::default()),
                Box::new(flood::Flood::new(thresholds)),
            ],
            now: 0,
        }
    }

    /// Judges an event, after what was due before it.
    pub fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        self.advance(event.at, findings);
        for lint in &mut self.all {
            lint.event(event, findings);
        }
    }

    /// It is `now`, in nanoseconds since boot.
    pub fn advance(&mut self, now: u64, findings: &mut Vec<Finding>) {
        if now <= self.now {
            return;
        }
        self.now = now;
        for lint in &mut self.all {
            lint.advance(now, findings);
        }
    }

    /// When [`Lints::advance`] will find something unless an event comes before.
    pub fn due(&self) -> Option<u64> {
        self.all.iter().filter_map(|lint| lint.due()).min()
    }
}

/// Rows that a lint remembers at most; further ones are not judged.
const REMEMBERED: usize = 65_536;

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `1.5 s`, `30 s`.
fn seconds(nanos: u64) -> String {
    let tenths = nanos / 100_000_000;
    if tenths.is_multiple_of(10) || tenths >= 100 {
        format!("{} s", tenths / 10)
    } else {
        format!("{}.{} s", tenths / 10, tenths % 10)
    }
}
