//! Many connections to one listener stay half-open.

use std::collections::HashMap;

use netbreath_common::tcp::TcpState;

use super::{Finding, Lint, Name, REMEMBERED, Thresholds};
use crate::event::{Body, Event, Socket, SocketId};

/// A listener, by its namespace and local port.
type Place = (Option<u32>, u16);

pub struct Flood {
    most: u32,
    half_open: HashMap<SocketId, Place>,
    listeners: HashMap<Place, (u32, bool)>,
}

impl Flood {
    pub fn new(thresholds: Thresholds) -> Flood {
        Flood { most: thresholds.half_open, half_open: HashMap::new(), listeners: HashMap::new() }
    }

    fn enter(&mut self, at: u64, socket: &Socket, findings: &mut Vec<Finding>) {
        if self.half_open.len() >= REMEMBERED {
            return;
        }
        let place = (socket.netns, socket.flow.local.port);
        if self.half_open.insert(socket.id, place).is_some() {
            return;
        }
        let (count, told) = self.listeners.entry(place).or_default();
        *count += 1;
        if *count > self.most && !*told {
            *told = true;
            let evidence = format!(
                "{count} connections to port {} are half-open; the latest SYN came from {}",
                socket.flow.local.port, socket.flow.remote
            );
            findings.push(Finding::about(Name::HalfOpenFlood, at, socket, evidence));
        }
    }

    fn leave(&mut self, id: SocketId) {
        let Some(place) = self.half_open.remove(&id) else { return };
        if let Some((count, told)) = self.listeners.get_mut(&place) {
            *count = count.saturating_sub(1);
            if *count < self.most / 2 {
                *told = false;
            }
            if *count == 0 {
                self.listeners.remove(&place);
            }
        }
    }
}

impl Lint for Flood {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::HalfOpen(half_open) if !half_open.syn_cookie => {
                self.enter(event.at, &half_open.socket, findings);
            }
            // Into SYN_RECV it comes by way of the request.
            Body::State(state) if state.new != TcpState::SynRecv => self.leave(state.socket.id),
            _ => {}
        }
    }
}
