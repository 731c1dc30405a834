//! Packets out of capture files of any tool: classic pcap and pcapng, in either byte order,
//! from a file or a pipe. Times keep their nanoseconds, and owners are kept if
//! the file has them.
//!
//! Formats: <https://ietf-opsawg-wg.github.io/draft-ietf-opsawg-pcap/>.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pcap_parser::nom;
use pcap_parser::{
    Block, PcapHeader, parse_block_be, parse_block_le, parse_pcap_frame, parse_pcap_frame_be,
    parse_pcap_header,
};

use crate::event::packet::{Direction, Interface, Packet};
use crate::event::{How, Owner};

/// Read at once.
const CHUNK: usize = 1 << 20;
/// No block that a tool writes is larger; what claims to be is a broken file.
const LARGEST: usize = 64 << 20;
/// Interfaces of one section: more is a broken file.
const INTERFACES: usize = 65_536;
/// Processes remembered of one file.
const PROCESSES: usize = 65_536;
/// The private enterprise number under which Wireshark writes blocks of its own, and its
/// block about a process.
const WIRESHARK: u32 = 32_622;
const PROCESS: u32 = 3;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open {}: {source}: give the path of a capture file", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no capture file: it begins like neither pcap nor pcapng", path.display())]
    Unknown { path: PathBuf },
    #[error("{} is broken after byte {at}: {what}", path.display())]
    Broken { path: PathBuf, at: u64, what: &'static str },
    #[error("{} ends in the middle of a packet, after byte {at}", path.display())]
    Cut { path: PathBuf, at: u64 },
}

/// A capture file that is being read: an iterator of packets.
pub struct Savefile {
    path: PathBuf,
    from: Box<dyn Read + Send>,
    /// What is read and not used.
    rest: Bytes,
    /// Where `rest` begins in the file.
    at: u64,
    ended: bool,
    digits: usize,
    format: Format,
}

enum Format {
    Pcap { big: bool, nano: bool, header: PcapHeader, interface: Arc<Interface> },
    Pcapng(Section),
}

/// What a section of a pcapng file has told.
#[derive(Default)]
struct Section {
    big: bool,
    interfaces: Vec<(Arc<Interface>, Clock)>,
    processes: HashMap<u32, Owner>,
}

/// How an interface counts time.
#[derive(Clone, Copy)]
struct Clock {
    per_second: u64,
    offset: i64,
}

impl Clock {
    /// Decimal digits of the second.
    fn digits(self) -> usize {
        (self.per_second.max(1).ilog10() as usize).min(9)
    }

    fn wall(self, ticks: u64) -> i128 {
        let per_second = i128::from(self.per_second.max(1));
        i128::from(ticks) * 1_000_000_000 / per_second + i128::from(self.offset) * 1_000_000_000
    }
}

/// What became of one step through the file.
enum Step {
    Packet(Packet),
    /// Something that is no packet.
    Passed,
    More,
}

impl Savefile {
    /// Opens `path`; `-` is standard input.
    pub fn open(path: &Path) -> Result<Savefile, Error> {
        let from: Box<dyn Read + Send> = if path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            let opened = File::open(path);
            Box::new(opened.map_err(|source| Error::Open { path: path.to_owned(), source })?)
        };
        Savefile::new(path, from)
    }

    /// Reads from anything; `path` is its name in messages.
    pub fn new(path: &Path, from: Box<dyn Read + Send>) -> Result<Savefile, Error> {
        let mut file = Savefile {
            path: path.to_owned(),
            from,
            rest: Bytes::new(),
            at: 0,
            ended: false,
            digits: 6,
            format: Format::Pcapng(Section::default()),
        };
        while file.rest.len() < 24 && !file.ended {
            file.fill()?;
        }
        let unknown = || Error::Unknown { path: path.to_owned() };
        match file.rest.first_chunk::<4>() {
            Some([0x0a, 0x0d, 0x0d, 0x0a]) => {}
            Some([0xa1, 0xb2, ..] | [_, _, 0xb2, 0xa1]) => {
                let (left, header) = parse_pcap_header(&file.rest).map_err(|_| unknown())?;
                let used = file.rest.len() - left.len();
                let header_is_nano = header.is_nanosecond_precision();
                let interface = Interface {
                    index: 0,
                    name: "".into(),
                    link_type: link_type(header.network.0),
                    snap_len: header.snaplen,
                };
                file.format = Format::Pcap {
                    big: header.is_bigendian(),
                    nano: header.is_nanosecond_precision(),
                    header,
                    interface: Arc::new(interface),
                };
                file.digits = if header_is_nano { 9 } else { 6 };
                file.advance(used);
            }
            _ => return Err(unknown()),
        }
        // The interfaces of a pcapng file that stand before its first packet.
        if let Format::Pcapng(_) = file.format {
            while file.first_is_no_packet() {
                match file.step()? {
                    Step::More if file.ended => break,
                    Step::More => file.fill()?,
                    Step::Packet(_) | Step::Passed => {}
                }
            }
        }
        Ok(file)
    }

    /// The first interface, which is the only one of a classic file.
    pub fn interface(&self) -> Option<&Arc<Interface>> {
        match &self.format {
            Format::Pcap { interface, .. } => Some(interface),
            Format::Pcapng(section) => section.interfaces.first().map(|(interface, _)| interface),
        }
    }

    /// Digits of the second in the times of the packet read last.
    pub fn digits(&self) -> usize {
        self.digits
    }

    fn first_is_no_packet(&self) -> bool {
        let Format::Pcapng(section) = &self.format else { return false };
        let Some(kind) = self.rest.first_chunk::<4>() else { return !self.ended };
        let kind = if section.big { u32::from_be_bytes(*kind) } else { u32::from_le_bytes(*kind) };
        !matches!(kind, 2 | 3 | 6)
    }

    /// Reads more behind what is there.
    fn fill(&mut self) -> Result<(), Error> {
        let keep = self.rest.len();
        let mut bytes = BytesMut::zeroed(keep + CHUNK.max(keep));
        bytes[..keep].copy_from_slice(&self.rest);
        let mut filled = keep;
        // Whole chunks from a file, whatever is there from a pipe.
        match self.from.read(&mut bytes[filled..]) {
            Ok(0) => self.ended = true,
            Ok(len) => filled += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Read { path: self.path.clone(), source }),
        }
        bytes.truncate(filled);
        self.rest = bytes.freeze();
        Ok(())
    }

    fn advance(&mut self, len: usize) {
        bytes::Buf::advance(&mut self.rest, len);
        self.at += len as u64;
    }

    fn broken(&self, what: &'static str) -> Error {
        Error::Broken { path: self.path.clone(), at: self.at, what }
    }

    fn step(&mut self) -> Result<Step, Error> {
        if self.rest.is_empty() {
            return Ok(Step::More);
        }
        let rest = self.rest.clone();
        let (used, step) = match &mut self.format {
            Format::Pcap { big, nano, header, interface } => {
                let parse = if *big { parse_pcap_frame_be } else { parse_pcap_frame };
                let parsed = if header.is_modified_format() {
                    Err(nom::Err::Error(pcap_parser::PcapError::HeaderNotRecognized))
                } else {
                    parse(&rest)
                };
                match parsed {
                    Ok((left, frame)) => {
                        let unit = if *nano { 1 } else { 1000 };
                        let packet = Packet {
                            wall: i128::from(frame.ts_sec) * 1_000_000_000
                                + i128::from(frame.ts_usec) * unit,
                            interface: Some(Arc::clone(interface)),
                            direction: Direction::Unknown,
                            len: frame.origlen,
                            data: rest.slice_ref(frame.data),
                            socket: None,
                            state: None,
                            owner: None,
                            cgroup: None,
                            peer: None,
                            kernel: false,
                        };
                        (rest.len() - left.len(), Step::Packet(packet))
                    }
                    Err(nom::Err::Incomplete(_)) => return self.more(),
                    Err(_) => return Err(self.broken("what stands there is no packet")),
                }
            }
            Format::Pcapng(section) => {
                // A section can change the byte order: its header is the same in both.
                let begins = rest.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]);
                if begins {
                    match rest.get(8..12) {
                        None => return self.more(),
                        Some([0x1a, 0x2b, 0x3c, 0x4d]) => section.big = true,
                        Some([0x4d, 0x3c, 0x2b, 0x1a]) => section.big = false,
                        Some(_) => return Err(self.broken("no byte order")),
                    }
                }
                let parse = if section.big { parse_block_be } else { parse_block_le };
                match parse(&rest) {
                    Ok((left, block)) => {
                        if let Block::EnhancedPacket(packet) = &block
                            && let Some((_, clock)) = section.interfaces.get(packet.if_id as usize)
                        {
                            self.digits = clock.digits();
                        }
                        let step = section.block(block, &rest);
                        (rest.len() - left.len(), step.map_err(|what| self.broken(what))?)
                    }
                    Err(nom::Err::Incomplete(_)) => return self.more(),
                    Err(_) => return Err(self.broken("what stands there is no block")),
                }
            }
        };
        self.advance(used);
        Ok(step)
    }

    fn more(&self) -> Result<Step, Error> {
        if self.rest.len() > LARGEST {
            return Err(self.broken("a block is larger than 64 MiB"));
        }
        Ok(Step::More)
    }
}

/// What comes next in a file.
pub enum Next {
    Packet(Packet),
    /// More has to be read, which can take a while from a pipe: see [`Savefile::read_more`].
    More,
    End,
}

impl Savefile {
    /// The next packet, if enough of the file is read.
    pub fn try_next(&mut self) -> Result<Next, Error> {
        let next = loop {
            match self.step() {
                Ok(Step::Packet(packet)) => return Ok(Next::Packet(packet)),
                Ok(Step::Passed) => {}
                Ok(Step::More) if !self.ended => return Ok(Next::More),
                Ok(Step::More) if self.rest.is_empty() => break Ok(Next::End),
                Ok(Step::More) => break Err(Error::Cut { path: self.path.clone(), at: self.at }),
                Err(error) => break Err(error),
            }
        };
        // Nothing comes after an error.
        self.ended = true;
        self.rest = Bytes::new();
        next
    }

    /// Waits for more of the file.
    pub fn read_more(&mut self) -> Result<(), Error> {
        let filled = self.fill();
        if filled.is_err() {
            self.ended = true;
            self.rest = Bytes::new();
        }
        filled
    }
}

impl Iterator for Savefile {
    type Item = Result<Packet, Error>;

    fn next(&mut self) -> Option<Result<Packet, Error>> {
        loop {
            match self.try_next() {
                Ok(Next::Packet(packet)) => return Some(Ok(packet)),
                Ok(Next::End) => return None,
                Ok(Next::More) => {
                    if let Err(error) = self.read_more() {
                        return Some(Err(error));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Section {
    fn block(&mut self, block: Block<'_>, rest: &Bytes) -> Result<Step, &'static str> {
        match block {
            Block::SectionHeader(_) => self.interfaces.clear(),
            Block::InterfaceDescription(block) => {
                if self.interfaces.len() >= INTERFACES {
                    return Err("too many interfaces");
                }
                let name = block.if_name().and_then(Result::ok).unwrap_or_default();
                let interface = Interface {
                    index: 0,
                    name: name.into(),
                    link_type: link_type(block.linktype.0),
                    snap_len: block.snaplen,
                };
                let per_second = block.ts_resolution().ok_or("no such unit of time")?;
                let clock = Clock { per_second, offset: block.if_tsoffset };
                self.interfaces.push((Arc::new(interface), clock));
            }
            Block::EnhancedPacket(block) => {
                let (interface, clock) =
                    self.interfaces.get(block.if_id as usize).ok_or("no such interface")?;
                let len = (block.caplen as usize).min(block.data.len());
                let mut packet = Packet {
                    wall: clock.wall(u64::from(block.ts_high) << 32 | u64::from(block.ts_low)),
                    interface: Some(Arc::clone(interface)),
                    direction: Direction::Unknown,
                    len: block.origlen,
                    data: rest.slice_ref(&block.data[..len]),
                    socket: None,
                    state: None,
                    owner: None,
                    cgroup: None,
                    peer: None,
                    kernel: false,
                };
                for option in &block.options {
                    let value = option.value();
                    match (option.code.0, value.first_chunk::<4>()) {
                        (2, Some(flags)) => {
                            packet.direction = match self.number(*flags) & 3 {
                                1 => Direction::In,
                                2 => Direction::Out,
                                _ => Direction::Unknown,
                            };
                        }
                        (8, Some(pid)) => packet.owner = self.owner(self.number(*pid)),
                        _ => {}
                    }
                }
                return Ok(Step::Packet(packet));
            }
            Block::SimplePacket(block) => {
                let (interface, _) = self.interfaces.first().ok_or("no such interface")?;
                let len = match interface.snap_len {
                    0 => block.origlen,
                    most => block.origlen.min(most),
                };
                let data = &block.data[..block.data.len().min(len as usize)];
                return Ok(Step::Packet(Packet {
                    wall: 0,
                    interface: Some(Arc::clone(interface)),
                    direction: Direction::Unknown,
                    len: block.origlen,
                    data: rest.slice_ref(data),
                    socket: None,
                    state: None,
                    owner: None,
                    cgroup: None,
                    peer: None,
                    kernel: false,
                }));
            }
            Block::Custom(block) if block.pen == WIRESHARK => self.process(block.data),
            _ => {}
        }
        Ok(Step::Passed)
    }

    fn number(&self, bytes: [u8; 4]) -> u32 {
        if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn owner(&self, pid: u32) -> Option<Owner> {
        // 0 is: not known.
        (pid != 0).then(|| self.processes.get(&pid).cloned().unwrap_or_else(|| unnamed(pid)))
    }

    /// Wireshark's block about a process: always little-endian, its type, the length of what
    /// follows (which some leave out), the pid, and options: 2 the name, 3 the path, 6 the user.
    fn process(&mut self, data: &[u8]) {
        let word = |at: usize| {
            data.get(at..at + 4)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
        };
        let (Some(PROCESS), Some(second)) = (word(0), word(4)) else { return };
        let has_length = data.len().checked_sub(8) == Some(second as usize);
        let (pid, options) = if has_length { (word(8), 12) } else { (Some(second), 8) };
        let Some(pid) = pid else { return };
        let mut owner = unnamed(pid);
        let mut rest = data.get(options..).unwrap_or_default();
        while let Some((head, more)) = rest.split_first_chunk::<4>() {
            let code = u16::from_le_bytes([head[0], head[1]]);
            let len = usize::from(u16::from_le_bytes([head[2], head[3]]));
            let Some(value) = more.get(..len) else { break };
            match code {
                0 => break,
                2 => owner.comm = comm(value),
                3 => owner.exe = Some(String::from_utf8_lossy(value).into()),
                6 => {
                    if let Some(uid) = value.first_chunk::<4>() {
                        owner.uid = u32::from_le_bytes(*uid);
                    }
                }
                _ => {}
            }
            rest = more.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        if self.processes.len() < PROCESSES {
            self.processes.insert(pid, owner);
        }
    }
}

/// A process of which a file tells the number only.
fn unnamed(pid: u32) -> Owner {
    // Why io: the file tells that the packet is the process's, not how that is known.
    Owner { pid, comm: comm(b""), exe: None, uid: u32::MAX, how: How::Io }
}

fn comm(name: &[u8]) -> crate::event::Comm {
    let mut bytes = [0; 16];
    let len = name.len().min(15);
    bytes[..len].copy_from_slice(&name[..len]);
    crate::event::Comm::new(bytes)
}

/// Upper bits of the field have other meanings.
fn link_type(network: i32) -> u16 {
    (network as u32 & 0xffff) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: [u8; 5] = *b"hello";

    fn open(bytes: &[u8]) -> Result<Savefile, Error> {
        Savefile::new(Path::new("test"), Box::new(io::Cursor::new(bytes.to_vec())))
    }

    fn words(words: &[u32], big: bool) -> Vec<u8> {
        let order = |word: &u32| if big { word.to_be_bytes() } else { word.to_le_bytes() };
        words.iter().flat_map(order).collect()
    }

    fn pcap(magic: u32, big: bool) -> Vec<u8> {
        let version = if big { 0x0002_0004 } else { 0x0004_0002 };
        let mut bytes = words(&[magic, version, 0, 0, 65_535, 1, 7, 123_456, 5, 60], big);
        bytes.extend(DATA);
        bytes
    }

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let len = 12 + body.len() as u32;
        [&words(&[kind, len], false), body, &words(&[len], false)].concat()
    }

    fn pcapng() -> Vec<u8> {
        let start = words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX], false);
        // if_name, and if_tsresol: nanoseconds.
        let options = [&[2, 0, 2, 0][..], b"lo\0\0", &[9, 0, 1, 0, 9, 0, 0, 0], &[0; 4]].concat();
        let interface = [words(&[1, 96], false), options].concat();
        let process =
            [words(&[WIRESHARK, PROCESS, 42], false), [2, 0, 4, 0].into(), b"curl".into()].concat();
        let time = 1_700_000_000_123_456_789_u64;
        let mut packet = words(&[0, (time >> 32) as u32, time as u32, 5, 60], false);
        packet.extend([&DATA[..], &[0; 3]].concat());
        packet.extend([2, 0, 4, 0, 2, 0, 0, 0, 8, 0, 8, 0, 42, 0, 0, 0, 43, 0, 0, 0, 0, 0, 0, 0]);
        [
            block(0x0a0d_0d0a, &start),
            block(1, &interface),
            block(0xbad, &process),
            block(6, &packet),
        ]
        .concat()
    }

    #[test]
    fn classic_files_are_read_in_both_orders_and_units() {
        for (magic, big, nanoseconds) in [
            (0xa1b2_c3d4, false, 123_456_000),
            (0xa1b2_c3d4, true, 123_456_000),
            (0xa1b2_3c4d, false, 123_456),
            (0xa1b2_3c4d, true, 123_456),
        ] {
            let mut file = open(&pcap(magic, big)).unwrap();
            assert_eq!(file.interface().unwrap().link_type, 1);
            let packet = file.next().unwrap().unwrap();
            assert_eq!(packet.wall, 7_000_000_000 + nanoseconds, "{magic:x} {big}");
            assert_eq!((packet.len, &packet.data[..]), (60, &DATA[..]));
            assert!(file.next().is_none());
        }
    }

    /// What netbreath writes itself.
    #[test]
    fn a_process_is_read_with_and_without_the_length_of_its_entry() {
        let option = [&[2, 0, 4, 0][..], b"curl", &[0; 4]].concat();
        let short = [words(&[PROCESS, 42], false), option.clone()].concat();
        let long = [words(&[PROCESS, 4 + option.len() as u32, 42], false), option].concat();
        for data in [short, long] {
            let mut section = Section::default();
            section.process(&data);
            assert_eq!(section.owner(42).unwrap().comm.bytes(), b"curl");
        }
    }

    #[test]
    fn pcapng_keeps_nanoseconds_direction_and_owner() {
        let mut file = open(&pcapng()).unwrap();
        assert_eq!(&*file.interface().unwrap().name, "lo");
        let packet = file.next().unwrap().unwrap();
        assert_eq!(packet.wall, 1_700_000_000_123_456_789);
        assert_eq!(packet.direction, Direction::Out);
        assert_eq!((packet.len, &packet.data[..]), (60, &DATA[..]));
        let owner = packet.owner.unwrap();
        assert_eq!((owner.pid, owner.comm.bytes()), (42, &b"curl"[..]));
        assert!(file.next().is_none());
    }

    #[test]
    fn what_is_cut_or_no_capture_file_is_said() {
        assert!(matches!(open(b"GIF89a and so on, and so on"), Err(Error::Unknown { .. })));
        assert!(matches!(open(b""), Err(Error::Unknown { .. })));
        let whole = pcap(0xa1b2_c3d4, false);
        let mut file = open(&whole[..whole.len() - 1]).unwrap();
        assert!(matches!(file.next(), Some(Err(Error::Cut { at: 24, .. }))));
        assert!(file.next().is_none());
    }

    /// Any byte changed, and every cut: no panic, and an end.
    #[test]
    fn broken_files_end() {
        for whole in [pcap(0xa1b2_c3d4, false), pcap(0xa1b2_3c4d, true), pcapng()] {
            for at in 0..whole.len() {
                let files = [0, 1, 0x7f, 0xff].map(|byte| {
                    let mut bytes = whole.clone();
                    bytes[at] = byte;
                    bytes
                });
                for bytes in files.iter().map(Vec::as_slice).chain([&whole[..at]]) {
                    if let Ok(file) = open(bytes) {
                        assert!(file.take(100).count() < 100);
                    }
                }
            }
        }
    }
}
