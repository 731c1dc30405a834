//! The loop over a capture file: packets in, lines or another file out.

use std::io::{self, ErrorKind, Write};
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use super::{FULL, Shape, Target};
use crate::event::packet::{Direction, Interface, Packet, Party};
use crate::packet::filter::{self, classic};
use crate::source::packet::{Process, Seen};
use crate::source::savefile::{self, Next, Savefile};
use crate::view::packet::line;
use crate::view::tshark::Shower;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] savefile::Error),
    #[error(transparent)]
    Filter(#[from] filter::Error),
    #[error("cannot write to {to}: {source}")]
    Write { to: String, source: io::Error },
    #[error(
        "the file has packets with different link-layer headers ({first} and {second}), which a \
         file of --pcap has no place for: leave --pcap out, or let a filter leave one kind"
    )]
    Mixed { first: u16, second: u16 },
}

/// Everything around the file.
pub struct Reading<'a> {
    pub file: Savefile,
    pub filter: Option<&'a str>,
    /// Packets to read at most, of those that match.
    pub count: Option<NonZeroU64>,
    /// Only their number is asked for.
    pub only_count: bool,
    /// A display filter that packets must pass too.
    pub chooser: Option<Box<Shower>>,
    pub shape: Shape,
    pub target: Target,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Packets in the file, as far as it was read.
    pub seen: u64,
    /// Those that matched.
    pub matched: u64,
}

/// A filter for each kind of link-layer header that a file has.
struct Filters<'a> {
    text: Option<&'a str>,
    compiled: Vec<(u16, Vec<classic::Instruction>)>,
}

impl Filters<'_> {
    fn lets_through(&mut self, packet: &Packet) -> Result<bool, filter::Error> {
        let Some(text) = self.text else { return Ok(true) };
        let kind = link_type(packet);
        let place = match self.compiled.iter().position(|(known, _)| *known == kind) {
            Some(place) => place,
            None => {
                self.compiled.push((kind, filter::compile_for_file(text, kind)?));
                self.compiled.len() - 1
            }
        };
        Ok(classic::run(&self.compiled[place].1, &packet.data, packet.len))
    }
}

fn link_type(packet: &Packet) -> u16 {
    packet.interface.as_ref().map_or(crate::packet::link_type::ETHERNET, |one| one.link_type)
}

impl Reading<'_> {
    /// Reads to the end, or as far as was asked for.
    pub fn run(mut self) -> Result<Outcome, Error> {
        let mut filters = Filters { text: self.filter, compiled: Vec::new() };
        // A filter that is none is said even of a file without packets.
        if let (Some(text), Some(interface)) = (self.filter, self.file.interface()) {
            filter::compile_for_file(text, interface.link_type)?;
        }
        let mut out = Vec::with_capacity(FULL);
        let mut interfaces: Vec<Arc<Interface>> =
            self.file.interface().cloned().into_iter().collect();
        if let Shape::File(encoder) = &self.shape {
            let known: Vec<&Interface> = interfaces.iter().map(|one| &**one).collect();
            encoder.begin(&known, self.filter, &mut out);
        }
        let mut outcome = Outcome::default();
        let most = self.count.map_or(u64::MAX, NonZeroU64::get);
        let ended = loop {
            if outcome.matched == most {
                break Ok(());
            }
            match self.file.try_next() {
                Ok(Next::Packet(packet)) => {
                    outcome.seen += 1;
                    match filters.lets_through(&packet) {
                        Ok(true) => {}
                        Ok(false) => continue,
                        Err(error) => break Err(error.into()),
                    }
                    if let Some(chooser) = &mut self.chooser
                        && !chooser.packet(&packet, 9, &mut Vec::new())
                    {
                        continue;
                    }
                    outcome.matched += 1;
                    if let Err(error) = self.write(&packet, &mut interfaces, &mut out) {
                        break Err(error);
                    }
                    if out.len() >= FULL && !self.flush(&mut out)? {
                        return Ok(outcome);
                    }
                }
                Ok(Next::More) => {
                    // What is there is shown before more is waited for.
                    if self.shape.is_text() && !self.flush(&mut out)? {
                        return Ok(outcome);
                    }
                    if let Err(error) = self.file.read_more() {
                        break Err(error.into());
                    }
                }
                Ok(Next::End) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        // What stands before an error is shown.
        self.flush(&mut out)?;
        ended.map(|()| outcome)
    }

    fn write(
        &mut self,
        packet: &Packet,
        interfaces: &mut Vec<Arc<Interface>>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.only_count {
            return Ok(());
        }
        match &mut self.shape {
            Shape::Lines => line::write(packet, out),
            Shape::Tcpdump(printer) => {
                printer.print(packet);
                out.append(printer.output());
            }
            Shape::Tshark(shower) => {
                shower.packet(packet, self.file.digits(), out);
            }
            Shape::File(encoder) => {
                let Some(interface) = &packet.interface else { return Ok(()) };
                let known = interfaces.iter().position(|one| Arc::ptr_eq(one, interface));
                let place = match known {
                    Some(place) => place,
                    None => {
                        if let (crate::format::pcapng::Encoder::Pcap, Some(first)) =
                            (&*encoder, interfaces.first())
                            && first.link_type != interface.link_type
                        {
                            let (first, second) = (first.link_type, interface.link_type);
                            return Err(Error::Mixed { first, second });
                        }
                        encoder.interface(interface, out);
                        interfaces.push(Arc::clone(interface));
                        interfaces.len() - 1
                    }
                };
                encoder.packet(&Stored { packet, place }, out);
            }
        }
        Ok(())
    }

    /// Writes what there is. Not if the reader went away.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<bool, Error> {
        let written = self.target.file.write_all(out);
        out.clear();
        if let Shape::File(encoder) = &mut self.shape {
            encoder.written();
        }
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            Err(source) => Err(Error::Write { to: self.target.name.clone(), source }),
        }
    }
}

/// A packet of a file, for what writes packets of a capture.
struct Stored<'a> {
    packet: &'a Packet,
    place: usize,
}

impl Seen for Stored<'_> {
    fn wall(&self) -> i64 {
        self.packet.wall as i64
    }

    fn place(&self) -> usize {
        self.place
    }

    fn direction(&self) -> Direction {
        self.packet.direction
    }

    fn wire_len(&self) -> u32 {
        self.packet.len
    }

    fn data(&self) -> &[u8] {
        &self.packet.data
    }

    fn tag(&self) -> Option<[u8; 4]> {
        None
    }

    fn lost(&self) -> u32 {
        0
    }

    fn process(&self) -> Option<Process> {
        self.packet.owner.as_ref().map(|owner| Process { pid: owner.pid, start: 0 })
    }

    fn parties(&self) -> (Party, Option<Party>) {
        let owner = self.packet.owner.clone();
        (Party { owner, ..Party::default() }, None)
    }

    fn is_kernels(&self) -> bool {
        self.packet.kernel
    }
}

/// What tcpdump says before it reads a file: what is read, and what its packets begin with.
pub fn announcement(path: &Path, interface: Option<&Interface>) -> String {
    let (name, snap_len) = match interface {
        Some(interface) => (link_name(interface.link_type), interface.snap_len),
        None => (link_name(1), 0),
    };
    let path = path.display();
    format!("reading from file {path}, link-type {name}, snapshot length {snap_len}")
}

/// A link-layer header's name, and what libpcap says of it.
pub fn link_name(kind: u16) -> String {
    use crate::packet::link_type;
    match kind {
        link_type::NULL => "NULL (BSD loopback)".into(),
        link_type::ETHERNET => "EN10MB (Ethernet)".into(),
        link_type::RAW => "RAW (Raw IP)".into(),
        link_type::LOOP => "LOOP (OpenBSD loopback)".into(),
        link_type::SLL => "LINUX_SLL (Linux cooked v1)".into(),
        link_type::SLL2 => "LINUX_SLL2 (Linux cooked v2)".into(),
        other => other.to_string(),
    }
}
