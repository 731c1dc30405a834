//! Captures as files: pcapng (draft-ietf-opsawg-pcapng), in which each packet has its process
//! with it, and the classic format (draft-ietf-opsawg-pcap), which has no place for that.
//!
//! Who owns a packet stands in the option `epb_processid_threadid`. Who that process is, is
//! told once, in a block of Wireshark's for processes (type 3 of its custom blocks, private
//! enterprise number 32622), which other readers pass over.

use std::collections::{HashSet, VecDeque};

use crate::event::Owner;
use crate::event::packet::{Direction, Interface};
use crate::source::packet::{BEFORE_TAG, Process, Seen};

/// What was counted on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Packets that came by.
    pub received: u64,
    /// Those that the filters let through.
    pub accepted: u64,
    /// Those of them for which there was no room.
    pub lost: u64,
    /// Those that were written.
    pub delivered: u64,
}

/// Packets as bytes of a file.
pub enum Encoder {
    Pcapng(Pcapng),
    Pcap,
}

/// What a pcapng file needs to remember.
pub struct Pcapng {
    /// Say in a comment whose each packet is, for readers that know nothing of processes.
    comments: bool,
    told: HashSet<Process>,
    last: Option<Process>,
    /// Time and place, in the bytes that are not written yet, of the latest packets: those of
    /// several CPUs can come in another order than they happened.
    recent: VecDeque<(i64, usize)>,
    /// Wall-clock time of boot, nanoseconds since the epoch.
    boot: i64,
}

/// Packets that one may have to be put before.
const RECENT: usize = 64;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
const CUSTOM: u32 = 0x0bad;
/// Wireshark's private enterprise number.
const WIRESHARK: u32 = 32_622;
const PROCESS: u32 = 3;

impl Encoder {
    pub fn pcapng(comments: bool, boot: i64) -> Encoder {
        Encoder::Pcapng(Pcapng {
            comments,
            told: HashSet::new(),
            last: None,
            recent: VecDeque::with_capacity(RECENT),
            boot,
        })
    }

    /// Appends what a file begins with.
    pub fn begin(&self, interfaces: &[&Interface], filter: Option<&str>, out: &mut Vec<u8>) {
        match self {
            Encoder::Pcapng(_) => {
                section(out);
                for one in interfaces {
                    interface(one, filter, out);
                }
            }
            Encoder::Pcap => {
                // Nanoseconds; version 2.4; time zone and accuracy, which nobody fills in.
                for word in [0xa1b2_3c4d, 2 | 4 << 16, 0, 0] {
                    put(out, word);
                }
                let first = interfaces.first();
                let most = interfaces.iter().map(|one| snap_len(one)).max();
                put(out, most.unwrap_or(0));
                put(out, first.map_or(0, |first| first.link_type.into()));
            }
        }
    }

    /// Appends an interface that was not known at the beginning.
    pub fn interface(&self, one: &Interface, out: &mut Vec<u8>) {
        if let Encoder::Pcapng(_) = self {
            interface(one, None, out);
        }
    }

    /// The same for another file.
    pub fn anew(&self) -> Encoder {
        match self {
            Encoder::Pcapng(pcapng) => Encoder::pcapng(pcapng.comments, pcapng.boot),
            Encoder::Pcap => Encoder::Pcap,
        }
    }

    /// Appends a packet. `out` is all that was not written yet.
    pub fn packet(&mut self, seen: &impl Seen, out: &mut Vec<u8>) {
        match self {
            Encoder::Pcapng(pcapng) => pcapng.packet(seen, out),
            Encoder::Pcap => {
                let wall = seen.wall();
                put(out, wall.div_euclid(1_000_000_000) as u32);
                put(out, wall.rem_euclid(1_000_000_000) as u32);
                let tag = tag(seen);
                put(out, (seen.data().len() + tag.map_or(0, |tag| tag.len())) as u32);
                put(out, seen.wire_len() + tag.map_or(0, |tag| tag.len() as u32));
                data(seen, tag, out);
            }
        }
    }

    /// Notes that what `out` had is written.
    pub fn written(&mut self) {
        if let Encoder::Pcapng(pcapng) = self {
            pcapng.recent.clear();
        }
    }

    /// Appends what was counted on each interface between two times, nanoseconds since the
    /// epoch.
    pub fn end(&self, counted: &[Counted], from: i64, to: i64, out: &mut Vec<u8>) {
        if let Encoder::Pcapng(_) = self {
            for (place, counted) in counted.iter().enumerate() {
                statistics(place as u32, counted, from, to, out);
            }
        }
    }
}

impl Pcapng {
    fn packet(&mut self, seen: &impl Seen, out: &mut Vec<u8>) {
        let process = seen.process();
        let begin = out.len();
        if let Some(process) = process
            && self.last != Some(process)
        {
            self.last = Some(process);
            if self.told.insert(process)
                && let Some(owner) = seen.parties().0.owner
            {
                self.process(&owner, process, out);
            }
        }
        let wall = seen.wall();
        let tag = tag(seen);
        let extra = tag.map_or(0, |tag| tag.len());
        block(PACKET, out, |out| {
            put(out, seen.place() as u32);
            put(out, (wall as u64 >> 32) as u32);
            put(out, wall as u32);
            put(out, (seen.data().len() + extra) as u32);
            put(out, seen.wire_len() + extra as u32);
            data(seen, tag, out);
            pad(out, seen.data().len() + extra);
            let flags: u32 = match seen.direction() {
                Direction::Unknown => 0,
                Direction::In => 1,
                Direction::Out => 2,
            };
            option(out, 2, &flags.to_le_bytes());
            if seen.lost() > 0 {
                option(out, 4, &u64::from(seen.lost()).to_le_bytes());
            }
            if let Some(process) = process {
                // The thread is not known.
                option(out, 8, &u64::from(process.pid).to_le_bytes());
            }
            if self.comments {
                option(out, 1, comment(seen).as_bytes());
            }
            put(out, 0);
        });
        self.arrange(wall, begin, out);
    }

    /// Puts the bytes from `begin` on, those of a packet, before packets that are later.
    fn arrange(&mut self, wall: i64, begin: usize, out: &mut [u8]) {
        let later = self.recent.iter().rev().take_while(|(time, _)| *time > wall).count();
        if later == 0 {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back((wall, begin));
            return;
        }
        let first = self.recent.len() - later;
        let place = self.recent[first].1;
        let len = out.len() - begin;
        out[place..].rotate_right(len);
        for (_, at) in self.recent.iter_mut().skip(first) {
            *at += len;
        }
        self.recent.insert(first, (wall, place));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }

    /// Who a process is.
    fn process(&self, owner: &Owner, process: Process, out: &mut Vec<u8>) {
        block(CUSTOM, out, |out| {
            put(out, WIRESHARK);
            put(out, PROCESS);
            let length = out.len();
            put(out, 0);
            put(out, process.pid);
            option(out, 2, owner.comm.bytes());
            if let Some(exe) = &owner.exe {
                option(out, 3, exe.as_bytes());
            }
            option(out, 6, &owner.uid.to_le_bytes());
            // Not known of the processes of a file.
            if process.start > 0 {
                option(out, 9, &(process.start as i64 + self.boot).to_le_bytes());
            }
            put(out, 0);
            let entry = (out.len() - length - 4) as u32;
            out[length..length + 4].copy_from_slice(&entry.to_le_bytes());
        });
    }
}

/// Whose a packet is, in words.
fn comment(seen: &impl Seen) -> String {
    let (own, peer) = seen.parties();
    let name = |owner: &Owner| {
        let comm = String::from_utf8_lossy(owner.comm.bytes()).into_owned();
        format!("{comm}[{}]", owner.pid)
    };
    let mut text = match &own.owner {
        Some(owner) => name(owner),
        None if seen.is_kernels() => "kernel".to_owned(),
        None => "unknown".to_owned(),
    };
    if let Some(owner) = peer.and_then(|peer| peer.owner) {
        text.push_str(" > ");
        text.push_str(&name(&owner));
    }
    text
}

/// The tag that the device has taken out of a packet, if there is a place for it.
fn tag(seen: &impl Seen) -> Option<[u8; 4]> {
    seen.tag().filter(|_| seen.data().len() >= BEFORE_TAG)
}

/// The bytes of a packet, with its tag where it was.
fn data(seen: &impl Seen, tag: Option<[u8; 4]>, out: &mut Vec<u8>) {
    match tag {
        None => out.extend_from_slice(seen.data()),
        Some(tag) => {
            let (before, after) = seen.data().split_at(BEFORE_TAG);
            out.extend_from_slice(before);
            out.extend_from_slice(&tag);
            out.extend_from_slice(after);
        }
    }
}

fn section(out: &mut Vec<u8>) {
    block(SECTION, out, |out| {
        put(out, 0x1a2b_3c4d);
        // Version 1.0; the section's length is not known yet.
        for word in [1, u32::MAX, u32::MAX] {
            put(out, word);
        }
        option(out, 4, concat!("netbreath ", env!("CARGO_PKG_VERSION")).as_bytes());
        put(out, 0);
    });
}

fn interface(interface: &Interface, filter: Option<&str>, out: &mut Vec<u8>) {
    block(INTERFACE, out, |out| {
        put(out, interface.link_type.into());
        put(out, interface.snap_len);
        option(out, 2, interface.name.as_bytes());
        // 10^-9 seconds.
        option(out, 9, &[9]);
        if let Some(filter) = filter {
            // 0: a filter of libpcap, as it was typed.
            option(out, 11, &[&[0], filter.as_bytes()].concat());
        }
        put(out, 0);
    });
}

fn statistics(place: u32, counted: &Counted, from: i64, to: i64, out: &mut Vec<u8>) {
    let time = |time: i64| {
        let (high, low) = ((time as u64 >> 32) as u32, time as u32);
        [high.to_le_bytes(), low.to_le_bytes()].concat()
    };
    block(STATISTICS, out, |out| {
        put(out, place);
        out.extend(time(to));
        option(out, 2, &time(from));
        option(out, 3, &time(to));
        option(out, 4, &counted.received.to_le_bytes());
        option(out, 6, &counted.accepted.to_le_bytes());
        option(out, 7, &counted.lost.to_le_bytes());
        option(out, 8, &counted.delivered.to_le_bytes());
        put(out, 0);
    });
}

/// A block of this type, with its length at both ends.
fn block(kind: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    put(out, kind);
    put(out, 0);
    fill(out);
    let len = (out.len() - begin + 4) as u32;
    out[begin + 4..begin + 8].copy_from_slice(&len.to_le_bytes());
    put(out, len);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    // Longer ones there cannot be; names and paths are shorter.
    let value = &value[..value.len().min(u16::MAX.into())];
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// Fills up what is `len` bytes long to words.
fn pad(out: &mut Vec<u8>, len: usize) {
    let rest = len.next_multiple_of(4) - len;
    out.extend_from_slice(&[0; 3][..rest]);
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend_from_slice(&word.to_le_bytes());
}

fn snap_len(interface: &Interface) -> u32 {
    if interface.snap_len == 0 { 262_144 } else { interface.snap_len }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::packet::Party;
    use crate::event::{Comm, How};

    struct Made {
        wall: i64,
        data: Vec<u8>,
        process: Option<Process>,
        lost: u32,
        tag: Option<[u8; 4]>,
    }

    impl Made {
        fn at(wall: i64) -> Made {
            Made { wall, data: vec![7; 5], process: None, lost: 0, tag: None }
        }
    }

    impl Seen for Made {
        fn wall(&self) -> i64 {
            self.wall
        }
        fn place(&self) -> usize {
            0
        }
        fn direction(&self) -> Direction {
            Direction::Out
        }
        fn wire_len(&self) -> u32 {
            60
        }
        fn data(&self) -> &[u8] {
            &self.data
        }
        fn tag(&self) -> Option<[u8; 4]> {
            self.tag
        }
        fn lost(&self) -> u32 {
            self.lost
        }
        fn process(&self) -> Option<Process> {
            self.process
        }
        fn parties(&self) -> (Party, Option<Party>) {
            let owner = self.process.map(|process| Owner {
                pid: process.pid,
                comm: Comm::from_name("curl"),
                exe: Some("/usr/bin/curl".into()),
                uid: 1000,
                how: How::Connect,
            });
            (Party { owner, ..Party::default() }, None)
        }
        fn is_kernels(&self) -> bool {
            false
        }
    }

    /// Types and bodies of the blocks.
    fn blocks(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let (mut at, mut all) = (0, Vec::new());
        while at < bytes.len() {
            let len = word(at + 4) as usize;
            assert_eq!(len % 4, 0);
            assert_eq!(word(at + len - 4) as usize, len);
            all.push((word(at), bytes[at + 8..at + len - 4].to_vec()));
            at += len;
        }
        all
    }

    /// Code and value of the options in `bytes`.
    fn options(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut all = Vec::new();
        loop {
            let code = u16::from_le_bytes([bytes[0], bytes[1]]);
            let len = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
            if code == 0 {
                assert_eq!(bytes.len(), 4);
                return all;
            }
            all.push((code, bytes[4..4 + len].to_vec()));
            bytes = &bytes[4 + len.next_multiple_of(4)..];
        }
    }

    #[test]
    fn a_process_is_told_once_and_stands_with_each_of_its_packets() {
        let mut encoder = Encoder::pcapng(false, 1_000);
        let mut out = Vec::new();
        let process = Some(Process { pid: 4711, start: 5 });
        encoder.packet(&Made { process, ..Made::at(1) }, &mut out);
        encoder.packet(&Made { process, lost: 3, ..Made::at(2) }, &mut out);
        encoder.packet(&Made::at(3), &mut out);
        let blocks = blocks(&out);
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [CUSTOM, PACKET, PACKET, PACKET]);
        let custom = &blocks[0].1;
        assert_eq!(custom[..4], WIRESHARK.to_le_bytes());
        assert_eq!(custom[4..8], PROCESS.to_le_bytes());
        assert_eq!(custom[8..12], ((custom.len() - 12) as u32).to_le_bytes());
        assert_eq!(custom[12..16], 4711_u32.to_le_bytes());
        let told = options(&custom[16..]);
        assert_eq!(told[0], (2, b"curl".to_vec()));
        assert_eq!(told[1], (3, b"/usr/bin/curl".to_vec()));
        assert_eq!(told[2], (6, 1000_u32.to_le_bytes().to_vec()));
        assert_eq!(told[3], (9, 1_005_u64.to_le_bytes().to_vec()));
        let codes = |i: usize| options(&blocks[i].1[28..]);
        assert_eq!(codes(1)[1], (8, 4711_u64.to_le_bytes().to_vec()));
        assert_eq!(codes(2)[1], (4, 3_u64.to_le_bytes().to_vec()));
        assert_eq!(codes(3), [(2, 2_u32.to_le_bytes().to_vec())]);
    }

    #[test]
    fn packets_that_come_late_take_their_place() {
        let mut encoder = Encoder::pcapng(false, 0);
        let mut out = Vec::new();
        for (wall, pid) in [(10, 1), (30, 2), (20, 3), (15, 1), (40, 4), (5, 5)] {
            let process = Some(Process { pid, start: 0 });
            encoder.packet(&Made { process, ..Made::at(wall) }, &mut out);
        }
        let times: Vec<u32> = blocks(&out)
            .iter()
            .filter(|(kind, _)| *kind == PACKET)
            .map(|(_, body)| u32::from_le_bytes(body[8..12].try_into().unwrap()))
            .collect();
        assert_eq!(times, [5, 10, 15, 20, 30, 40]);
    }

    #[test]
    fn a_tag_goes_back_to_where_it_was() {
        let mut out = Vec::new();
        let made = Made {
            data: (0..20).collect(),
            tag: Some([0x81, 0, 0, 42]),
            ..Made::at(3_000_000_004)
        };
        Encoder::Pcap.packet(&made, &mut out);
        let words = [3, 4, 24, 64_u32].map(u32::to_le_bytes).concat();
        let data = [&words[..], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x81, 0, 0, 42, 12]];
        assert!(out.starts_with(&data.concat()));
        assert_eq!(out.len(), 16 + 24);
    }
}
