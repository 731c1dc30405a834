//! Capture files made of crafted packets: every protocol that netbreath reads, whole, cut, and
//! wrong, the same bytes each time. They are written when a test needs them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

mod application;
mod control;
mod ip;
mod link;
mod tcp;
mod tunnel;
mod wire;

/// Link-layer header types: <https://www.tcpdump.org/linktypes.html>.
pub const NULL: u32 = 0;
pub const ETHERNET: u32 = 1;
pub const RAW: u32 = 101;
pub const LOOP: u32 = 108;
pub const SLL: u32 = 113;
pub const SLL2: u32 = 276;

/// Packets with the same link-layer header.
#[derive(Clone, Debug)]
pub struct Capture {
    pub name: String,
    pub link_type: u32,
    pub snap_len: u32,
    pub packets: Vec<Packet>,
}

#[derive(Clone, Debug)]
pub struct Packet {
    /// Microseconds since the epoch.
    pub at: u64,
    /// Bytes that were on the wire.
    pub len: u32,
    pub data: Vec<u8>,
}

impl Capture {
    fn new(name: &str, link_type: u32) -> Capture {
        let packets = Vec::new();
        Capture { name: name.to_owned(), link_type, snap_len: 262_144, packets }
    }

    /// Adds a packet, some time after the last one.
    fn push(&mut self, data: Vec<u8>) {
        /// 2024-06-01 12:34:56.000789 UTC.
        const BEGIN: u64 = 1_717_245_296_000_789;
        let number = self.packets.len() as u64;
        let at = self.packets.last().map_or(BEGIN, |last| last.at) + 37 + number * 7_919 % 900_001;
        self.packets.push(Packet { at, len: data.len() as u32, data });
    }

    /// The same with so many bytes of each packet.
    pub fn cut(&self, snap_len: u32) -> Capture {
        let mut cut = self.clone();
        cut.name = format!("{}-cut-{snap_len}", self.name);
        cut.snap_len = snap_len;
        for packet in &mut cut.packets {
            packet.data.truncate(snap_len as usize);
        }
        cut
    }

    /// The classic format, in microseconds.
    pub fn pcap(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, self.snap_len, self.link_type] {
            file.extend(u32::to_le_bytes(word));
        }
        for packet in &self.packets {
            let (seconds, rest) = (packet.at / 1_000_000, packet.at % 1_000_000);
            for word in [seconds as u32, rest as u32, packet.data.len() as u32, packet.len] {
                file.extend(word.to_le_bytes());
            }
            file.extend(&packet.data);
        }
        file
    }

    /// Writes it to this folder, and gives its path.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(format!("{}.pcap", self.name));
        fs::write(&path, self.pcap()).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// Every capture, each packet whole.
pub fn whole() -> Vec<Capture> {
    let mut all = Vec::new();
    all.extend(link::all());
    all.extend(ip::all());
    all.extend(control::all());
    all.extend(tcp::all());
    all.extend(tunnel::all());
    all.extend(application::all());
    all
}

/// Places at which it matters that a packet is cut.
const CUTS: [u32; 12] = [10, 14, 18, 26, 34, 40, 44, 54, 62, 68, 90, 120];

/// A capture with its packets cut at each of those places.
pub fn cut_of(capture: &Capture) -> Vec<Capture> {
    CUTS.iter().map(|at| capture.cut(*at)).collect()
}

/// Every capture, with packets that were cut.
pub fn cut() -> Vec<Capture> {
    whole().iter().flat_map(cut_of).collect()
}

/// Packets of a capture with bytes changed from this place on, some of them cut, too: the same
/// each time.
pub fn mutated(capture: &Capture, count: usize, from: usize, seed: u64) -> Capture {
    const OFTEN: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
    let mut random = wire::Random(seed);
    let mut below = |limit: usize| random.next() as usize % limit.max(1);
    let mut changed = Capture::new(&format!("{}-changed", capture.name), capture.link_type);
    for _ in 0..count {
        let mut data = capture.packets[below(capture.packets.len())].data.clone();
        for _ in 0..1 + below(4) {
            if data.len() > from {
                let at = from + below(data.len() - from);
                data[at] = if below(2) == 0 { OFTEN[below(6)] } else { below(256) as u8 };
            }
        }
        changed.push(data.clone());
        if below(3) == 0
            && let Some(last) = changed.packets.last_mut()
        {
            last.data.truncate(1 + below(data.len()));
        }
    }
    changed
}

/// A conversation with this machine itself: its addresses and ports have names everywhere.
pub fn loopback() -> Capture {
    tcp::loopback()
}
