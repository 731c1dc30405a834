//! Whose a packet is: -k.

use super::{Dialect, Printer, put};
use crate::event::Owner;
use crate::event::packet::{Direction, Packet};

impl Printer {
    /// Interface, processes and direction in brackets, as Apple's tcpdump has them; of a packet
    /// on loopback both processes, the one that sends first.
    pub(super) fn metadata(&mut self, packet: &Packet) {
        self.out.push(b'(');
        let begin = self.out.len();
        if let Some(interface) = packet.interface.as_ref().filter(|one| !one.name.is_empty()) {
            for byte in interface.name.bytes() {
                self.foreign(byte);
            }
        }
        let peer = packet.peer.as_ref().and_then(|peer| peer.owner.as_ref());
        self.part(begin);
        match (&packet.owner, peer) {
            (Some(owner), None) => {
                self.text("proc ");
                self.process(owner);
            }
            (owner, Some(peer)) => {
                self.text("proc ");
                match owner {
                    Some(owner) => self.process(owner),
                    None => self.text(if packet.kernel { "kernel" } else { "-" }),
                }
                self.text(" > ");
                self.process(peer);
            }
            (None, None) if packet.kernel => self.text("kernel"),
            (None, None) => self.text("proc -"),
        }
        let way = match packet.direction {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Unknown => "",
        };
        if !way.is_empty() {
            self.part(begin);
            self.text(way);
        }
        self.text(") ");
    }

    /// A comma, if there is something before.
    fn part(&mut self, begin: usize) {
        if self.out.len() > begin {
            self.text(", ");
        }
    }

    /// Its name is its own to choose, and may do harm to a terminal.
    fn process(&mut self, owner: &Owner) {
        for byte in owner.comm.bytes() {
            self.foreign(*byte);
        }
        match self.style.dialect {
            Dialect::Linux => put!(self, "[{}]", owner.pid),
            Dialect::Macos => put!(self, ":{}", owner.pid),
        }
    }
}
