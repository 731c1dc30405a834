//! Packets as tcpdump 4.99 prints them. A file here is a protocol; its printer writes what it
//! finds straight into the output, from bytes that may be cut, wrong, or meant to do harm.
//!
//! A printer that finds less than it needs gives `Cut`, and the line ends with the name of the
//! protocol at which it was: `[|tcp]`. Lengths are those on the wire, slices what is there.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::event::network::{Link, LinkFlags};
use crate::event::packet::Packet;
use crate::lesson::line::Explained;

mod arp;
mod checksum;
mod clock;
mod dhcp;
mod dns;
mod dump;
mod gre;
mod http;
mod icmp;
mod icmp6;
mod igmp;
mod ip;
mod ip6;
mod link;
mod naming;
mod ntp;
mod owner;
mod read;
mod tcp;
mod tcp_option;
#[cfg(test)]
mod tests;
mod text;
mod udp;
mod vxlan;

pub use clock::Times;
pub use naming::Naming;

use clock::Clock;
use read::Cut;
use tcp::Sequences;

/// Formatted text into the output of a printer: writing to memory cannot fail.
macro_rules! put {
    ($printer:expr, $($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = write!($printer.out, $($arg)*);
    }};
}
use put;

/// Headers in headers, before it is enough: each takes some of the stack.
const DEEPEST: u32 = 128;
/// The largest packet that tcpdump takes for one.
const LARGEST: usize = 262_144;

/// What is written of the bytes of a packet, below its line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dump {
    #[default]
    None,
    Hex,
    HexAndText,
    Text,
}

/// Whose words are used where systems differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    #[default]
    Linux,
    Macos,
}

/// How packets are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// -e
    pub link: bool,
    /// -v, as often as it was given
    pub verbose: u8,
    /// -q
    pub quiet: bool,
    /// -S
    pub absolute: bool,
    pub times: Times,
    /// Times have nine digits
    pub nanoseconds: bool,
    /// -#
    pub numbers: bool,
    /// -K
    pub no_checksums: bool,
    /// -N
    pub short_names: bool,
    pub dump: Dump,
    /// The dump begins with the link-layer header.
    pub dump_link: bool,
    /// -k
    pub owners: bool,
    pub dialect: Dialect,
    /// --explain
    pub explained: Option<Explained>,
}

/// Writes packets, and remembers what later ones refer to.
pub struct Printer {
    style: Style,
    /// Names instead of numbers.
    naming: Option<Naming>,
    clock: Clock,
    sequences: Sequences,
    /// Names of interfaces by their index, for files that have only that.
    interfaces: HashMap<u32, String>,
    out: Vec<u8>,
    /// Where a packet that is cut was cut.
    protocol: &'static str,
    /// Bytes of the link-layer header.
    link_len: usize,
    depth: u32,
    count: u64,
    /// The flags of TCP that the packet has.
    flags: Option<u8>,
}

impl Printer {
    pub fn new(style: Style, naming: Option<Naming>) -> Printer {
        Printer {
            style,
            naming,
            clock: Clock::default(),
            sequences: Sequences::default(),
            interfaces: HashMap::new(),
            out: Vec::with_capacity(1 << 16),
            protocol: "",
            link_len: 0,
            depth: 0,
            count: 0,
            flags: None,
        }
    }

    /// The names of this machine's interfaces.
    pub fn set_interfaces(&mut self, interfaces: HashMap<u32, String>) {
        self.interfaces = interfaces;
    }

    /// What was written since it was taken.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// An Ethernet frame in something else.
    fn frame(&mut self, data: &[u8], len: u32) -> Result<(), Cut> {
        self.protocol = "ether";
        self.deeper(|printer| printer.ethernet(data, len).map(|_| ()))
    }

    /// Appends what there is to say of a packet.
    pub fn print(&mut self, packet: &Packet) {
        self.count += 1;
        if self.style.numbers {
            put!(self, "{:5}  ", self.count);
        }
        let data = &packet.data[..];
        if self.is_impossible(packet) {
            return;
        }
        self.time(packet.wall);
        if self.style.owners {
            self.metadata(packet);
        }
        self.protocol = "";
        self.link_len = 0;
        self.depth = 0;
        self.flags = None;
        let link_type = packet.interface.as_ref().map_or(1, |interface| interface.link_type);
        if let Err(Cut) = self.link(link_type, data, packet.len) {
            self.cut();
            self.link_len = 0;
        }
        let from = if self.style.dump_link { 0 } else { self.link_len };
        if self.style.dump_link || data.len() > from {
            let data = read::after(data, from);
            match self.style.dump {
                Dump::None => {}
                Dump::Hex => self.hex_dump("\n\t", data),
                Dump::HexAndText => self.hex_and_text_dump("\n\t", data),
                Dump::Text => self.text_dump(data),
            }
        }
        self.out.push(b'\n');
        if let (Some(explained), Some(flags)) = (self.style.explained, self.flags) {
            explained.flags(&tcp::letters(flags), &mut self.out);
        }
    }

    /// Says so of lengths that cannot be.
    fn is_impossible(&mut self, packet: &Packet) -> bool {
        let (kept, len) = (packet.data.len(), packet.len as usize);
        let begin = self.out.len();
        let wrong = |printer: &mut Printer, text: String| {
            printer.text(if printer.out.len() == begin { "[Invalid header:" } else { "," });
            printer.text(&text);
        };
        if kept == 0 {
            // tcpdump has no colon here.
            self.text("[Invalid header: caplen==0");
        }
        if len == 0 {
            wrong(self, " len==0".to_owned());
        } else if len < kept {
            wrong(self, format!(" len({len}) < caplen({kept})"));
        }
        if kept > LARGEST {
            wrong(self, format!(" caplen({kept}) > {LARGEST}"));
        }
        if len > LARGEST {
            wrong(self, format!(" len({len}) > {LARGEST}"));
        }
        if self.out.len() == begin {
            return false;
        }
        self.text("]\n");
        true
    }

    /// One header deeper; not if there were too many.
    fn deeper(&mut self, print: impl FnOnce(&mut Printer) -> Result<(), Cut>) -> Result<(), Cut> {
        if self.depth == DEEPEST {
            self.text(" [too many headers]");
            return Ok(());
        }
        self.depth += 1;
        let printed = print(self);
        self.depth -= 1;
        printed
    }
}

/// The interfaces on which packets can be captured, as -D lists them.
pub fn list(links: &[Link]) -> String {
    let mut text = String::new();
    for (number, link) in links.iter().enumerate() {
        let mut flags = Vec::new();
        for (flag, word) in [(LinkFlags::UP, "Up"), (LinkFlags::RUNNING, "Running")] {
            if link.flags.has(flag) {
                flags.push(word);
            }
        }
        if link.flags.has(LinkFlags::LOOPBACK) {
            flags.push("Loopback");
        }
        text.push_str(&format!("{}.{} [{}]\n", number + 1, link.ifname, flags.join(", ")));
    }
    text
}

/// The name of a host, if names are wanted and it has one.
impl Naming {
    fn host(&mut self, addr: IpAddr, short: bool) -> Option<&str> {
        let name = self.name(addr)?;
        Some(if short { name.split('.').next().unwrap_or(name) } else { name })
    }
}
