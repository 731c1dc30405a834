//! The columns of a packet's summary.

use super::tree::{push_bytes, push_ipv4, push_ipv6};

/// An address of any kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Addr {
    #[default]
    None,
    /// There is none in such a packet.
    Absent,
    Ether([u8; 6]),
    Ipv4([u8; 4]),
    Ipv6([u8; 16]),
}

impl Addr {
    pub fn push(self, out: &mut String) {
        match self {
            Addr::None => {}
            Addr::Absent => out.push_str("N/A"),
            Addr::Ether(addr) => push_bytes(out, &addr, ':'),
            Addr::Ipv4(addr) => push_ipv4(out, addr),
            Addr::Ipv6(addr) => push_ipv6(out, addr),
        }
    }
}

/// What a summary says of a packet.
#[derive(Debug, Default)]
pub struct Columns {
    pub source: Addr,
    pub target: Addr,
    pub protocol: Protocol,
    pub info: String,
}

/// The column Protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Name(&'static str),
    /// An EtherType that nobody knows.
    Ethertype(u16),
}

impl Default for Protocol {
    fn default() -> Protocol {
        Protocol::Name("")
    }
}

impl Columns {
    pub fn clear(&mut self) {
        self.source = Addr::None;
        self.target = Addr::None;
        self.protocol = Protocol::Name("");
        self.info.clear();
    }
}
