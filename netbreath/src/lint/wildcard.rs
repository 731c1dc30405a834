//! A listener that takes connections on every address of the machine.

use std::collections::HashSet;

use netbreath_common::tcp::TcpState;

use super::{Finding, Lint, Name, REMEMBERED};
use crate::event::{Body, Event, Socket, SocketId};

#[derive(Default)]
pub struct Wildcard {
    told: HashSet<SocketId>,
}

impl Wildcard {
    fn judge(&mut self, at: u64, socket: &Socket, findings: &mut Vec<Finding>) {
        if !socket.flow.local.addr.is_unspecified()
            || self.told.len() >= REMEMBERED
            || !self.told.insert(socket.id)
        {
            return;
        }
        let evidence = format!("it listens on {}: every address", socket.flow.local);
        findings.push(Finding::about(Name::WildcardListener, at, socket, evidence));
    }
}

impl Lint for Wildcard {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::Seed(seed) if seed.state == TcpState::Listen => {
                self.judge(event.at, &seed.socket, findings);
            }
            Body::State(state) if state.new == TcpState::Listen => {
                self.judge(event.at, &state.socket, findings);
            }
            Body::State(state) if state.old == TcpState::Listen => {
                self.told.remove(&state.socket.id);
            }
            _ => {}
        }
    }
}
