//! Packets into named fields: bytes in, a flat list of rows out, with Wireshark's names, and
//! beside it the columns of its summary.
//!
//! A file is a protocol. Each reads what it knows and hands the rest on. What a capture has
//! cut away is told apart from what a packet does not have. What a packet means can depend
//! on those before it (`State`), which is bounded.

pub mod field;
pub mod tree;

mod arp;
mod checksum;
mod column;
mod data;
mod dhcp;
mod dns;
mod eth;
mod frame;
mod gre;
mod http;
mod icmp;
mod icmpv6;
mod igmp;
mod ip;
mod ipv6;
mod ntp;
mod null;
mod option;
mod quic;
mod sll;
mod stream;
mod tcp;
#[cfg(test)]
mod tests;
mod text_lines;
mod tls;
mod transport;
mod udp;
mod vxlan;

use std::fmt;

pub use column::{Addr, Columns, Protocol as ColumnProtocol};
use field::{Id, expert, malformed, short};
pub use frame::Meta;
pub use stream::{End, Pair, State};
pub use tree::{Node, Span, Tree, Value};

/// Protocols inside each other: more are an attack.
const DEEPEST: u8 = 24;
/// Rows of one packet: more are an attack.
const MOST_NODES: usize = 20_000;

/// Why a dissector ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The capture did not keep these bytes.
    Snapped,
    /// The packet never had them.
    Missing,
}

type Result = std::result::Result<(), Cut>;

/// A part of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Buf<'a> {
    frame: &'a [u8],
    /// Where it begins in the packet.
    pub at: usize,
    /// Where it ends; the packet may have been cut before.
    end: usize,
}

impl<'a> Buf<'a> {
    pub fn new(frame: &'a [u8], len: usize) -> Buf<'a> {
        Buf { frame, at: 0, end: len.max(frame.len()) }
    }

    /// Bytes that it has on the wire.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of it that are there.
    pub fn kept(&self) -> &'a [u8] {
        let end = self.end.min(self.frame.len());
        self.frame.get(self.at.min(end)..end).unwrap_or_default()
    }

    pub fn get(&self, at: usize, len: usize) -> std::result::Result<&'a [u8], Cut> {
        let end = self.at.saturating_add(at).saturating_add(len);
        if end > self.end {
            return Err(
                if self.at.saturating_add(at) > self.frame.len() && self.frame.len() < self.end {
                    Cut::Snapped
                } else {
                    Cut::Missing
                },
            );
        }
        self.frame.get(self.at + at..end).ok_or(Cut::Snapped)
    }

    pub fn u8(&self, at: usize) -> std::result::Result<u8, Cut> {
        self.get(at, 1).map(|bytes| bytes[0])
    }

    pub fn u16(&self, at: usize) -> std::result::Result<u16, Cut> {
        self.get(at, 2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub fn u24(&self, at: usize) -> std::result::Result<u32, Cut> {
        self.get(at, 3).map(|bytes| u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]))
    }

    pub fn u32(&self, at: usize) -> std::result::Result<u32, Cut> {
        self.array(at).map(u32::from_be_bytes)
    }

    pub fn u64(&self, at: usize) -> std::result::Result<u64, Cut> {
        self.array(at).map(u64::from_be_bytes)
    }

    pub fn array<const N: usize>(&self, at: usize) -> std::result::Result<[u8; N], Cut> {
        let bytes = self.get(at, N)?;
        bytes.first_chunk::<N>().copied().ok_or(Cut::Snapped)
    }

    /// What stands from there on.
    pub fn from(&self, at: usize) -> Buf<'a> {
        Buf { at: self.at.saturating_add(at).min(self.end), ..*self }
    }

    /// The first bytes of it, at most so many.
    pub fn first(&self, len: usize) -> Buf<'a> {
        Buf { end: self.end.min(self.at.saturating_add(len)), ..*self }
    }

    pub fn part(&self, at: usize, len: usize) -> Buf<'a> {
        self.from(at).first(len)
    }
}

/// What is asked of a dissection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Rows, for filters and programs.
    pub fields: bool,
    /// And how they read, for people.
    pub labels: bool,
    /// The columns of the summary.
    pub columns: bool,
}

/// Takes packets apart, one after the other.
#[derive(Default)]
pub struct Dissector {
    pub state: State,
    pub tree: Tree,
    pub columns: Columns,
    layers: Layers,
    want: Want,
}

/// Names of the protocols in a packet.
#[derive(Debug, Default)]
struct Layers {
    names: String,
}

/// A packet that is being taken apart.
pub struct Context<'a> {
    pub meta: &'a Meta<'a>,
    pub state: &'a mut State,
    pub tree: &'a mut Tree,
    pub columns: &'a mut Columns,
    layers: &'a mut Layers,
    want: Want,
    depth: u8,
    /// Protocols inside each other.
    inside: u8,
    /// The protocol at work, as messages call it.
    protocol: &'static str,
    /// The ends of the innermost IP packet.
    pub pair: Pair,
    /// Ports of the innermost transport.
    pub ports: (u16, u16),
    /// Time to live, or hop limit, of the innermost IP packet.
    pub ttl: u8,
    /// It stands inside an error message: it is no packet of its own.
    pub in_error: bool,
    /// Somebody knows better what is a fragment, and it goes no further.
    pub fragment: bool,
    /// Where the packet inside the link-layer frame ends.
    pub end: usize,
    /// Depth of protocols: more than 0 inside of an error message.
    pub base: u8,
    /// The stream of TCP or UDP.
    pub stream: u32,
    /// Columns are written by the outermost who knows, and then fenced.
    pub fenced: bool,
}

impl Dissector {
    pub fn new(want: Want) -> Dissector {
        Dissector { want, ..Dissector::default() }
    }

    /// Takes a packet apart; what came of it is in `tree` and `columns` until the next.
    pub fn dissect(&mut self, meta: &Meta<'_>) {
        self.tree.clear();
        self.columns.clear();
        self.layers.names.clear();
        let mut context = Context {
            meta,
            state: &mut self.state,
            tree: &mut self.tree,
            columns: &mut self.columns,
            layers: &mut self.layers,
            want: self.want,
            depth: 0,
            inside: 0,
            protocol: "Frame",
            pair: Pair::default(),
            ports: (0, 0),
            ttl: 0,
            in_error: false,
            fragment: false,
            end: 0,
            base: 0,
            stream: 0,
            fenced: false,
        };
        frame::dissect(&mut context);
    }
}

impl<'a> Context<'a> {
    pub fn wants_fields(&self) -> bool {
        self.want.fields
    }

    pub fn wants_labels(&self) -> bool {
        self.want.labels
    }

    pub fn wants_columns(&self) -> bool {
        self.want.columns && !self.in_error
    }

    fn push(&mut self, node: Node) {
        if self.want.fields && self.tree.nodes.len() < MOST_NODES {
            self.tree.nodes.push(node);
        }
    }

    /// A row about bytes of the packet.
    pub fn add(&mut self, id: Id, buf: Buf<'_>, at: usize, len: usize, value: Value) {
        let at = (buf.at + at) as u32;
        let node = Node {
            id: Some(id),
            depth: self.depth,
            hidden: false,
            generated: false,
            at,
            len: len as u32,
            value,
            label: None,
        };
        self.push(node);
    }

    /// A row that was worked out.
    pub fn generate(&mut self, id: Id, buf: Buf<'_>, value: Value) {
        self.add(id, buf, 0, 0, value);
        self.last(|node| node.generated = true);
    }

    /// A row that only filters and programs see.
    pub fn hide(&mut self, id: Id, buf: Buf<'_>, at: usize, len: usize, value: Value) {
        self.add(id, buf, at, len, value);
        self.last(|node| node.hidden = true);
    }

    /// Changes the row added last.
    pub fn last(&mut self, change: impl FnOnce(&mut Node)) {
        if self.want.fields
            && let Some(node) = self.tree.nodes.last_mut()
        {
            change(node);
        }
    }

    /// How the row added last reads.
    pub fn label(&mut self, text: fmt::Arguments<'_>) {
        if self.want.labels {
            let label = self.tree.write(text);
            self.last(|node| node.label = Some(label));
        }
    }

    /// How a row added before reads.
    pub fn label_at(&mut self, place: usize, text: fmt::Arguments<'_>) {
        if self.want.labels {
            let label = self.tree.write(text);
            if let Some(node) = self.tree.nodes.get_mut(place) {
                node.label = Some(label);
            }
        }
    }

    /// The place of the row added last.
    pub fn place(&self) -> usize {
        self.tree.nodes.len().saturating_sub(1)
    }

    pub fn node(&mut self, place: usize) -> Option<&mut Node> {
        if self.want.fields { self.tree.nodes.get_mut(place) } else { None }
    }

    /// A title over the rows that follow.
    pub fn title(&mut self, buf: Buf<'_>, at: usize, len: usize, text: fmt::Arguments<'_>) {
        if !self.want.fields {
            return;
        }
        let label = Some(self.tree.write(text));
        let at = (buf.at + at) as u32;
        let (depth, len) = (self.depth, len as u32);
        self.push(Node {
            id: None,
            depth,
            hidden: false,
            generated: false,
            at,
            len,
            value: Value::None,
            label,
        });
    }

    /// Rows that follow stand below the last.
    pub fn open(&mut self) {
        self.depth += 1;
    }

    pub fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Text of a value.
    pub fn text(&mut self, text: fmt::Arguments<'_>) -> Value {
        if self.want.fields { Value::Text(self.tree.write(text)) } else { Value::None }
    }

    /// Text out of the packet.
    pub fn lossy(&mut self, bytes: &[u8]) -> Value {
        if self.want.fields {
            Value::Text(self.tree.write(format_args!("{}", String::from_utf8_lossy(bytes))))
        } else {
            Value::None
        }
    }

    /// A protocol begins: its row, and its place in the list of protocols.
    pub fn enter(&mut self, id: Id, buf: Buf<'_>, len: usize) {
        self.protocol = id.of().short;
        self.layer(id.of().name);
        let end = buf.end.min(buf.frame.len()) as u32;
        self.add(id, buf, 0, len, Value::Whole(end));
    }

    /// A name in `frame.protocols`.
    pub fn layer(&mut self, name: &str) {
        if self.want.fields && self.layers.names.len() < 2_000 {
            if !self.layers.names.is_empty() {
                self.layers.names.push(':');
            }
            self.layers.names.push_str(name);
        }
    }

    /// Calls the dissector of what stands inside.
    pub fn inside<'b>(
        &mut self,
        buf: Buf<'b>,
        dissect: impl FnOnce(&mut Self, Buf<'b>) -> Result,
    ) -> Result {
        if self.inside >= DEEPEST {
            return Ok(());
        }
        let (depth, protocol) = (self.depth, self.protocol);
        self.depth = self.base;
        self.inside += 1;
        let result = dissect(self, buf);
        self.inside -= 1;
        self.depth = depth;
        // An error is told with the name of the innermost.
        if result.is_ok() {
            self.protocol = protocol;
        }
        result
    }

    /// The same, where an error ends the inside only.
    pub fn guarded<'b>(
        &mut self,
        buf: Buf<'b>,
        dissect: impl FnOnce(&mut Self, Buf<'b>) -> Result,
    ) {
        let protocol = self.protocol;
        if let Err(cut) = self.inside(buf, dissect) {
            self.ended(cut, buf);
            self.protocol = protocol;
        }
    }

    /// The row that tells why a dissector ended early.
    fn ended(&mut self, cut: Cut, buf: Buf<'_>) {
        let depth = std::mem::replace(&mut self.depth, 0);
        let name = self.protocol;
        match cut {
            Cut::Snapped => {
                if self.want.columns {
                    self.columns.info.push_str("[Packet size limited during capture]");
                }
                self.add(short::SELF, buf, 0, 0, Value::None);
                self.label(format_args!("[Packet size limited during capture: {name} truncated]"));
            }
            Cut::Missing => {
                if self.want.columns {
                    self.columns.info.push_str("[Malformed Packet]");
                }
                self.add(malformed::SELF, buf, 0, 0, Value::None);
                self.label(format_args!("[Malformed Packet: {name}]"));
                self.expert(
                    malformed::EXPERT,
                    buf,
                    Severity::Error,
                    Group::Malformed,
                    format_args!("Malformed Packet (Exception occurred)"),
                );
            }
        }
        self.depth = depth;
    }

    /// Something worth a remark, below the row added last (or the rows below it).
    pub fn expert(
        &mut self,
        id: Id,
        buf: Buf<'_>,
        severity: Severity,
        group: Group,
        message: fmt::Arguments<'_>,
    ) {
        if !self.want.fields {
            return;
        }
        self.open();
        self.add(expert::SELF, buf, 0, 0, Value::None);
        self.last(|node| node.generated = true);
        self.label(format_args!("Expert Info ({}/{}): {message}", severity.name(), group.name()));
        self.open();
        let nowhere = Buf { at: 0, ..buf };
        self.generate(id, nowhere, Value::None);
        self.label(format_args!("{message}"));
        let text = self.text(message);
        self.hide(expert::MESSAGE, nowhere, 0, 0, text);
        self.last(|node| node.generated = true);
        self.generate(expert::SEVERITY, nowhere, Value::Uint(severity as u64));
        self.label(format_args!("Severity level: {}", severity.name()));
        self.generate(expert::GROUP, nowhere, Value::Uint(group as u64));
        self.label(format_args!("Group: {}", group.name()));
        self.close();
        if group == Group::Malformed {
            self.hide(malformed::SELF, buf, 0, 0, Value::None);
        }
        self.close();
    }
}

/// How grave a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Chat = 0x20_0000,
    Note = 0x40_0000,
    Warning = 0x60_0000,
    Error = 0x80_0000,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Severity::Chat => "Chat",
            Severity::Note => "Note",
            Severity::Warning => "Warning",
            Severity::Error => "Error",
        }
    }
}

/// What a remark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Checksum = 0x0100_0000,
    Sequence = 0x0200_0000,
    Response = 0x0300_0000,
    Undecoded = 0x0500_0000,
    Malformed = 0x0700_0000,
    Protocol = 0x0900_0000,
    Comments = 0x0b00_0000,
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Group::Checksum => "Checksum",
            Group::Sequence => "Sequence",
            Group::Response => "Response",
            Group::Undecoded => "Undecoded",
            Group::Malformed => "Malformed",
            Group::Protocol => "Protocol",
            Group::Comments => "Comments",
        }
    }
}

/// Appends to the column Info, if somebody reads it.
macro_rules! info {
    ($context:expr, $($text:tt)*) => {
        if $context.wants_columns() {
            use std::fmt::Write as _;
            let _ = write!($context.columns.info, $($text)*);
        }
    };
}
pub(crate) use info;
