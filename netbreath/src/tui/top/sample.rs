//! What the kernel says of the connections on the screen when it is asked: round-trip
//! times, bytes, queues of listeners; and counters of interfaces. Through sock_diag, which
//! shows the sockets of our own network namespace only; those of others have no rates.

use netbreath_common::tcp::TcpState;

use crate::event::{Flow, SocketId};
use crate::host::netlink::{Error, Netlink};
use crate::host::network::Network;

use super::model::Sample;

/// Asks the kernel.
pub struct Sampler {
    sockets: Netlink,
    network: Option<Network>,
}

impl Sampler {
    pub fn open() -> Result<Sampler, Error> {
        Ok(Sampler { sockets: Netlink::sock_diag()?, network: Network::open().ok() })
    }

    /// One connection; nothing if it is not there any more, or not in this namespace.
    pub fn socket(&mut self, id: SocketId, flow: &Flow, now: u64) -> Option<Sample> {
        let socket = self.sockets.inet_socket(flow, id.0).ok().flatten()?;
        let info = socket.detail.more.map(|more| more.tcp_info).unwrap_or_default();
        // `struct tcp_info` (linux/tcp.h).
        let word = |at: usize| {
            let bytes = info.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
        };
        let long = |at: usize| {
            let bytes = info.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
        };
        Some(Sample {
            at: now,
            rtt: u64::from(word(68)) * 1000,
            cwnd: word(80),
            sent: long(120),
            received: long(128),
            queue: (socket.state == TcpState::Listen).then_some((socket.recv_q, socket.send_q)),
        })
    }

    /// Interfaces with their counters.
    pub fn links(&mut self) -> Option<Vec<crate::event::network::Link>> {
        self.network.as_mut()?.links(true).ok()
    }
}
