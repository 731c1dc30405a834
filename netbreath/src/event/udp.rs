//! What becomes of UDP sockets, and the messages of DNS in their datagrams.

use std::sync::Arc;

use super::Socket;

/// Something became of a UDP socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Udp {
    /// Of a datagram that is told of, the two ends are the datagram's own: those of a
    /// socket that is not connected say less.
    pub socket: Socket,
    pub what: UdpWhat,
    /// `send` and `receive`: bytes of the datagram's payload.
    pub bytes: Option<u32>,
    /// `close`: what was sent and received, since the socket was made or, if it was not
    /// born while the source watched, since the source started.
    pub traffic: Option<Datagrams>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UdpWhat {
    /// bind() gave it a local address.
    Bind,
    /// connect() gave it a remote address.
    Connect,
    /// It sent its first datagram.
    Send,
    /// Its first datagram was read.
    Receive,
    /// Its last descriptor was closed.
    Close,
}

impl UdpWhat {
    pub const ALL: [UdpWhat; 5] =
        [UdpWhat::Bind, UdpWhat::Connect, UdpWhat::Send, UdpWhat::Receive, UdpWhat::Close];

    pub const fn name(self) -> &'static str {
        match self {
            UdpWhat::Bind => "bind",
            UdpWhat::Connect => "connect",
            UdpWhat::Send => "send",
            UdpWhat::Receive => "receive",
            UdpWhat::Close => "close",
        }
    }
}

/// Datagrams that a socket's processes have sent and read. One that the kernel splits on
/// its way out or joins on its way in counts as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagrams {
    /// Bytes of payload.
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub sent: u64,
    pub received: u64,
}

/// A message of DNS (RFC 1035) left a socket, or came to one.
#[derive(Clone, Debug, PartialEq)]
pub struct Dns {
    /// The two ends are the datagram's own.
    pub socket: Socket,
    pub message: DnsMessage,
    /// It came in; else the socket sent it.
    pub received: bool,
    /// Nanoseconds from the query to this response, as this socket saw both: for who
    /// asked, how long it waited; for who answered, how long that took.
    pub latency: Option<u64>,
}

/// What such a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsMessage {
    /// The number that ties a response to its query.
    pub id: u16,
    /// It is a response, else a query.
    pub response: bool,
    /// What is asked for, or answered: the name as in a zone file (RFC 1035, section 5.1),
    /// in which all but printable ASCII is escaped, without the dot at its end.
    pub name: Option<Arc<str>>,
    /// `A`, `AAAA`, …; `TYPE65280` for what has no name (RFC 3597).
    pub kind: Option<Arc<str>>,
    /// Of a response: `NOERROR`, `NXDOMAIN`, …
    pub rcode: Option<Arc<str>>,
    /// Of a response: type and data of each answer, such as `A 192.0.2.1`.
    pub answers: Vec<Arc<str>>,
    /// Not all of it could be read: it was cut on its way (RFC 1035, TC), or more than
    /// the source keeps.
    pub truncated: bool,
}

impl DnsMessage {
    /// Whether it answers with an error.
    pub fn fails(&self) -> bool {
        self.rcode.as_deref().is_some_and(|rcode| rcode != "NOERROR")
    }

    /// Query or response.
    pub const fn what(&self) -> &'static str {
        if self.response { "response" } else { "query" }
    }
}
