//! The peer has closed its side long ago, and this side has not.

use std::collections::{HashMap, VecDeque};

use netbreath_common::tcp::TcpState;

use super::{Finding, Lint, Name, REMEMBERED, Thresholds, nanos, seconds};
use crate::event::{Body, Event, Socket, SocketId};

pub struct CloseWait {
    limit: u64,
    waiting: HashMap<SocketId, (u64, Socket)>,
    /// In the order of their time: all have the same limit.
    order: VecDeque<(u64, SocketId)>,
}

impl CloseWait {
    pub fn new(thresholds: Thresholds) -> CloseWait {
        CloseWait {
            limit: nanos(thresholds.close_wait),
            waiting: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    fn enter(&mut self, at: u64, socket: &Socket) {
        if self.order.len() < REMEMBERED {
            self.waiting.insert(socket.id, (at, socket.clone()));
            self.order.push_back((at, socket.id));
        }
    }

    /// Whether this entry of `order` still stands.
    fn stands(&self, at: u64, id: SocketId) -> bool {
        self.waiting.get(&id).is_some_and(|(since, _)| *since == at)
    }
}

impl Lint for CloseWait {
    fn event(&mut self, event: &Event, _: &mut Vec<Finding>) {
        match &event.body {
            Body::Seed(seed) if seed.state == TcpState::CloseWait => {
                self.enter(event.at, &seed.socket);
            }
            Body::State(state) if state.new == TcpState::CloseWait => {
                self.enter(event.at, &state.socket);
            }
            Body::State(state) => drop(self.waiting.remove(&state.socket.id)),
            Body::Accept(accept) => {
                if let Some((_, socket)) = self.waiting.get_mut(&accept.socket.id) {
                    socket.owner.clone_from(&accept.socket.owner);
                }
            }
            Body::Owner(handover) => {
                if let Some((_, socket)) = self.waiting.get_mut(&handover.socket.id) {
                    socket.owner.clone_from(&handover.socket.owner);
                }
            }
            _ => {}
        }
    }

    fn advance(&mut self, now: u64, findings: &mut Vec<Finding>) {
        while let Some((at, id)) = self.order.front().copied() {
            if self.stands(at, id) {
                if now.saturating_sub(at) < self.limit {
                    return;
                }
                if let Some((_, socket)) = self.waiting.remove(&id) {
                    let evidence = if socket.born {
                        format!("in CLOSE_WAIT for {}", seconds(now - at))
                    } else {
                        format!("in CLOSE_WAIT for at least {}", seconds(now - at))
                    };
                    findings.push(Finding::about(Name::CloseWait, now, &socket, evidence));
                }
            }
            self.order.pop_front();
        }
    }

    fn due(&self) -> Option<u64> {
        let stands = |(at, id): &&(u64, SocketId)| self.stands(*at, *id);
        self.order.iter().find(stands).map(|(at, _)| at.saturating_add(self.limit))
    }
}
