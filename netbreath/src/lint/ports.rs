//! Connections in TIME_WAIT have used up most of the local ports towards one peer.

use std::collections::HashMap;
use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use super::{Finding, Lint, Name, REMEMBERED, Thresholds};
use crate::event::{Body, Errno, Event, How, Socket, SocketId};

/// A port is taken for a namespace, a local address, and a remote address and port.
type Way = (Option<u32>, IpAddr, IpAddr, u16);

pub struct Ports {
    most: u32,
    ports: u32,
    waiting: HashMap<SocketId, Way>,
    ways: HashMap<Way, (u32, bool)>,
}

impl Ports {
    pub fn new(thresholds: Thresholds) -> Ports {
        let Thresholds { local_ports, ports_percent, .. } = thresholds;
        let most = u64::from(local_ports) * u64::from(ports_percent) / 100;
        Ports {
            most: u32::try_from(most).unwrap_or(u32::MAX).max(1),
            ports: local_ports,
            waiting: HashMap::new(),
            ways: HashMap::new(),
        }
    }

    fn enter(&mut self, at: u64, socket: &Socket, findings: &mut Vec<Finding>) {
        // A server's port is one, however many wait.
        let incoming = socket
            .owner
            .as_ref()
            .is_some_and(|owner| matches!(owner.how, How::Accept | How::Inherited | How::Listen));
        if incoming || self.waiting.len() >= REMEMBERED {
            return;
        }
        let flow = &socket.flow;
        let way = (socket.netns, flow.local.addr, flow.remote.addr, flow.remote.port);
        if self.waiting.insert(socket.id, way).is_some() {
            return;
        }
        let (count, told) = self.ways.entry(way).or_default();
        *count += 1;
        if *count >= self.most && !*told {
            *told = true;
            let evidence = format!(
                "{count} of {} local ports towards {} are in TIME_WAIT",
                self.ports, flow.remote
            );
            findings.push(Finding::about(Name::PortExhaustion, at, socket, evidence));
        }
    }

    fn leave(&mut self, id: SocketId) {
        let Some(way) = self.waiting.remove(&id) else { return };
        if let Some((count, told)) = self.ways.get_mut(&way) {
            *count = count.saturating_sub(1);
            // Told again only after it has been much better.
            if *count < self.most / 2 {
                *told = false;
            }
            if *count == 0 {
                self.ways.remove(&way);
            }
        }
    }
}

impl Lint for Ports {
    fn event(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::State(state) if state.new == TcpState::TimeWait => {
                self.enter(event.at, &state.socket, findings);
            }
            Body::State(state) => self.leave(state.socket.id),
            Body::ConnectFailed(failed)
                if failed.error.map(Errno::name) == Some("EADDRNOTAVAIL") =>
            {
                let evidence = "connect() found no local port (EADDRNOTAVAIL)".to_owned();
                let lint = Name::PortExhaustion;
                findings.push(Finding::about(lint, event.at, &failed.socket, evidence));
            }
            _ => {}
        }
    }
}
