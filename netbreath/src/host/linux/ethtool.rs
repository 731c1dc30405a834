//! What an interface's driver tells: speed and duplex, its name, what it does in the
//! kernel's stead. The calls are the old ones of ethtool (`SIOCETHTOOL`), which every
//! kernel has and for which no right is needed.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::view::interface::{Duplex, Media};

/// `ETHTOOL_G*` of `linux/ethtool.h`.
const GSET: u32 = 0x01;
const GDRVINFO: u32 = 0x03;
const GRXCSUM: u32 = 0x14;
const GTXCSUM: u32 = 0x16;
const GTSO: u32 = 0x1e;
const GFLAGS: u32 = 0x25;
/// In the answer to `GFLAGS`.
const FLAG_TXVLAN: u32 = 1 << 7;
const FLAG_LRO: u32 = 1 << 15;

/// Room for every answer that is asked for here, the longest of which has 196 bytes.
#[repr(C, align(4))]
struct Answer([u8; 256]);

/// Asks drivers of interfaces in our network namespace.
#[derive(Debug)]
pub struct Ethtool {
    socket: OwnedFd,
}

impl Ethtool {
    pub fn open() -> io::Result<Ethtool> {
        // SAFETY: takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and ours.
        Ok(Ethtool { socket: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The driver's answer to `command`, or nothing if it does not know it.
    fn ask(&self, ifname: &str, command: u32) -> Option<Answer> {
        let mut answer = Answer([0; 256]);
        answer.0[..4].copy_from_slice(&command.to_ne_bytes());
        // SAFETY: all zeroes is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if ifname.len() >= request.ifr_name.len() {
            return None;
        }
        for (to, from) in request.ifr_name.iter_mut().zip(ifname.bytes()) {
            *to = from as libc::c_char;
        }
        request.ifr_ifru.ifru_data = answer.0.as_mut_ptr().cast();
        // SAFETY: SIOCETHTOOL reads an ifreq, and writes at most the structure of the
        // command through its pointer, for which the buffer has room.
        let status = unsafe {
            libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request)
        };
        (status == 0).then_some(answer)
    }

    fn value(&self, ifname: &str, command: u32) -> u32 {
        self.ask(ifname, command).map_or(0, |answer| u32_at(&answer, 4))
    }

    /// Speed and duplex. Drivers of virtual interfaces often make one up.
    pub fn media(&self, ifname: &str) -> Option<Media> {
        let answer = self.ask(ifname, GSET)?;
        // `struct ethtool_cmd`: the speed is in two parts.
        let speed = u32::from(u16_at(&answer, 12)) | u32::from(u16_at(&answer, 28)) << 16;
        Some(Media {
            speed: (speed != 0 && speed != u32::MAX && speed != 0xffff).then_some(speed),
            duplex: match answer.0[14] {
                0 => Some(Duplex::Half),
                1 => Some(Duplex::Full),
                _ => None,
            },
            autoneg: answer.0[18] == 1,
        })
    }

    /// The driver's name.
    pub fn driver(&self, ifname: &str) -> Option<String> {
        let answer = self.ask(ifname, GDRVINFO)?;
        // `struct ethtool_drvinfo`: 32 bytes after the command.
        let name = &answer.0[4..36];
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        Some(String::from_utf8_lossy(&name[..end]).into_owned()).filter(|name| !name.is_empty())
    }

    /// What the driver does, by the names that BSD has for it.
    pub fn options(&self, ifname: &str) -> Vec<&'static str> {
        let flags = self.value(ifname, GFLAGS);
        let tso = self.value(ifname, GTSO) != 0;
        [
            (self.value(ifname, GRXCSUM) != 0, "RXCSUM"),
            (self.value(ifname, GTXCSUM) != 0, "TXCSUM"),
            (flags & FLAG_TXVLAN != 0, "VLAN_HWTAGGING"),
            (tso, "TSO4"),
            (tso, "TSO6"),
            (flags & FLAG_LRO != 0, "LRO"),
        ]
        .into_iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, name)| name)
        .collect()
    }
}

fn u16_at(answer: &Answer, at: usize) -> u16 {
    u16::from_ne_bytes([answer.0[at], answer.0[at + 1]])
}

fn u32_at(answer: &Answer, at: usize) -> u32 {
    let [a, b, c, d] = [at, at + 1, at + 2, at + 3].map(|at| answer.0[at]);
    u32::from_ne_bytes([a, b, c, d])
}
