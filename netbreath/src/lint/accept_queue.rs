//! A listener's queue of connections that wait for accept() is full.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use super::{Finding, Lint, Name, REMEMBERED};
use crate::event::{Body, Endpoint, Event, Flow, How, Owner, Segment, Socket, SocketId};

/// A listener, by its namespace and local port: the address may be any.
type Place = (Option<u32>, u16);

/// The kernel says it (`TCP_LISTEN_OVERFLOW`), or it can be seen where connections to a
/// listener have been waiting to be accepted: the kernel sends the SYN-ACK of a further
/// one again, or a client on this machine its SYN. That it throws the SYN of another
/// machine away, it tells nobody.
#[derive(Default)]
pub struct AcceptQueue {
    /// Established, and not accepted.
    waiting: HashMap<SocketId, Place>,
    queues: HashMap<Place, Queue>,
    /// Told of, and not shorter since.
    told: HashSet<Place>,
}

struct Queue {
    waiting: u32,
    /// Since when there has always been one that waits.
    since: u64,
    /// Of the first that waits.
    addr: IpAddr,
    owner: Option<Owner>,
}

/// Connections that wait for less are only on their way through the queue. The first
/// SYN-ACK is sent again after a second.
const WAITED: u64 = 500_000_000;

const fn place(socket: &Socket) -> Place {
    let Endpoint { port, .. } = socket.flow.local;
    (socket.netns, port)
}

impl AcceptQueue {
    fn enter(&mut self, at: u64, socket: &Socket) {
        if self.waiting.len() >= REMEMBERED {
            return;
        }
        self.waiting.insert(socket.id, place(socket));
        let queue = self.queues.entry(place(socket)).or_insert_with(|| Queue {
            waiting: 0,
            since: at,
            addr: socket.flow.local.addr,
            owner: socket.owner.clone(),
        });
        queue.waiting += 1;
    }

    fn leave(&mut self, id: SocketId) {
        let Some(place) = self.waiting.remove(&id) else { return };
        self.told.remove(&place);
        if let Some(queue) = self.queues.get_mut(&place) {
            queue.waiting = queue.waiting.saturating_sub(1);
            if queue.waiting == 0 {
                self.queues.remove(&place);
            }
        }
    }

    fn tell(&mut self, at: u64, socket: &Socket, why: &str, findings: &mut Vec<Finding>) {
        if self.told.len() >= REMEMBERED || !self.told.insert(place(socket)) {
            return;
        }
        let evidence = match self.queues.get(&place(socket)) {
            Some(queue) => format!("{} connections wait for accept(), and {why}", queue.waiting),
            None => why.to_owned(),
        };
        findings.push(Finding::about(Name::AcceptQueue, at, socket, evidence));
    }
}

impl Lint for AcceptQueue {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::State(state) => {
                let socket = &state.socket;
                let inherited = socket.owner.as_ref().is_none_or(|o| o.how == How::Inherited);
                match (state.old, state.new) {
                    (TcpState::SynRecv, TcpState::Established) if inherited => {
                        self.enter(event.at, socket);
                    }
                    // With the peer's FIN, it waits all the same.
                    (_, TcpState::CloseWait) => {}
                    _ => self.leave(socket.id),
                }
            }
            Body::Accept(accept) => self.leave(accept.socket.id),
            Body::Owner(handover) => self.leave(handover.socket.id),
            Body::Drop(drop) if drop.reason.as_deref() == Some("TCP_LISTEN_OVERFLOW") => {
                let why = "the kernel threw one more away (TCP_LISTEN_OVERFLOW)";
                self.tell(event.at, &drop.socket, why, findings);
            }
            Body::Retransmit(again) if again.segment == Segment::SynAck => {
                let queue = self.queues.get(&place(&again.socket));
                if queue.is_some_and(|queue| event.at.saturating_sub(queue.since) >= WAITED) {
                    let why = "one more cannot come to an end: its SYN-ACK was sent again";
                    self.tell(event.at, &again.socket, why, findings);
                }
            }
            Body::Retransmit(again) if again.segment == Segment::Syn => {
                let socket = &again.socket;
                let place = (socket.netns, socket.flow.remote.port);
                let Some(queue) = self.queues.get(&place) else { return };
                let remote = socket.flow.remote;
                let full = event.at.saturating_sub(queue.since) >= WAITED
                    && (remote.addr == queue.addr || remote.addr.is_loopback());
                if full && self.told.len() < REMEMBERED && self.told.insert(place) {
                    let evidence = format!(
                        "{} connections wait for accept(), and the SYN of one more from this \
                         machine was sent again: the kernel threw it away",
                        queue.waiting
                    );
                    let mut finding = Finding::about(Name::AcceptQueue, event.at, socket, evidence);
                    // It is the listener's fault, not the client's.
                    finding.owner.clone_from(&queue.owner);
                    finding.socket = None;
                    let flow = socket.flow;
                    finding.flow = Some(Flow { local: flow.remote, remote: flow.local, ..flow });
                    findings.push(finding);
                }
            }
            _ => {}
        }
    }
}
