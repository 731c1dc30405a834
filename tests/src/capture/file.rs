//! Reads pcapng files as their specification says, without the code that writes them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// What a file has.
#[derive(Debug, Default)]
pub struct File {
    pub interfaces: Vec<String>,
    pub packets: Vec<Packet>,
    pub processes: Vec<Process>,
    /// By interface: received, accepted, dropped by the system, delivered.
    pub statistics: Vec<[u64; 4]>,
}

/// A packet.
#[derive(Clone, Debug)]
pub struct Packet {
    pub at: u64,
    pub len: u32,
    pub data: Vec<u8>,
    /// 0 if the file does not tell.
    pub pid: u32,
    /// 1 in, 2 out.
    pub way: u32,
    /// Packets lost just before it.
    pub lost: u64,
    pub comment: Option<String>,
}

/// Who a process is.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    pub path: Option<String>,
}

/// The ends of a packet that carries TCP or UDP over IP over Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub proto: u8,
    pub source: u16,
    pub target: u16,
}

impl Packet {
    /// Where IP begins, what follows it, and where that begins.
    fn transport(&self) -> Option<(u8, usize)> {
        match self.data.get(12..14)? {
            [8, 0] => Some((*self.data.get(23)?, 14 + usize::from(self.data.get(14)? & 15) * 4)),
            [0x86, 0xdd] => Some((*self.data.get(20)?, 54)),
            _ => None,
        }
    }

    pub fn ends(&self) -> Option<Ends> {
        let (proto, at) = self.transport()?;
        if proto != 6 && proto != 17 {
            return None;
        }
        let port = |at: usize| {
            let bytes = self.data.get(at..at + 2)?;
            Some(u16::from_be_bytes([bytes[0], bytes[1]]))
        };
        Some(Ends { proto, source: port(at)?, target: port(at + 2)? })
    }

    /// TCP's flags.
    pub fn flags(&self) -> Option<u8> {
        let (proto, at) = self.transport()?;
        if proto == 6 { self.data.get(at + 13).copied() } else { None }
    }

    /// The process that says in the payload that it wrote it.
    pub fn author(&self) -> Option<u32> {
        let (_, at) = self.transport()?;
        let text = self.data.get(at..)?;
        let mark = b"pid=";
        let place = text.windows(mark.len()).position(|window| window == mark)? + mark.len();
        let digits = text[place..].iter().take_while(|byte| byte.is_ascii_digit());
        let digits: String = digits.map(|digit| char::from(*digit)).collect();
        digits.parse().ok()
    }
}

pub fn read(path: &Path) -> Result<File> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Result<File> {
    let mut file = File::default();
    let mut at = 0;
    while at < bytes.len() {
        let kind = word(bytes, at)?;
        let len = word(bytes, at + 4)? as usize;
        ensure!(len >= 12 && len.is_multiple_of(4), "block of {len} bytes at {at}");
        ensure!(word(bytes, at + len - 4)? as usize == len, "two lengths at {at}");
        let body = bytes.get(at + 8..at + len - 4).context("cut short")?;
        match kind {
            0x0a0d_0d0a => {
                ensure!(at == 0, "a second section at {at}");
                ensure!(word(body, 0)? == 0x1a2b_3c4d, "byte order of the section");
            }
            1 => {
                let name = text(&options(&body[8..])?, 2).context("interface without name")?;
                file.interfaces.push(name);
                file.statistics.push([0; 4]);
            }
            6 => {
                let place = word(body, 0)? as usize;
                ensure!(place < file.interfaces.len(), "a packet of no interface");
                file.packets.push(packet(body)?);
            }
            5 => {
                let place = word(body, 0)? as usize;
                let options = options(&body[12..])?;
                let number = |code| options.iter().find(|(c, _)| *c == code).map(|(_, v)| long(v));
                let counted = [number(4), number(6), number(7), number(8)];
                let row = file.statistics.get_mut(place).context("statistics of no interface")?;
                for (row, number) in row.iter_mut().zip(counted) {
                    *row = number.context("statistics without a number")?;
                }
            }
            0x0bad => {
                ensure!(word(body, 0)? == 32_622, "enterprise {}", word(body, 0)?);
                ensure!(word(body, 4)? == 3, "entry {}", word(body, 4)?);
                ensure!(word(body, 8)? as usize == body.len() - 12, "length of the entry");
                let options = options(&body[16..])?;
                file.processes.push(Process {
                    pid: word(body, 12)?,
                    name: text(&options, 2).context("process without name")?,
                    path: text(&options, 3),
                });
            }
            other => bail!("block of type {other:#x} at {at}"),
        }
        at += len;
    }
    Ok(file)
}

fn packet(body: &[u8]) -> Result<Packet> {
    let kept = word(body, 12)? as usize;
    let data = body.get(20..20 + kept).context("packet cut short")?.to_vec();
    let options = options(body.get(20 + kept.next_multiple_of(4)..).unwrap_or_default())?;
    let value = |code| options.iter().find(|(c, _)| *c == code).map(|(_, v)| v);
    Ok(Packet {
        at: u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?),
        len: word(body, 16)?,
        data,
        pid: value(8).map_or(Ok(0), |value| word(value, 0))?,
        way: value(2).map_or(Ok(0), |value| word(value, 0))? & 3,
        lost: value(4).map_or(0, |value| long(value)),
        comment: text(&options, 1),
    })
}

fn options(mut bytes: &[u8]) -> Result<Vec<(u16, Vec<u8>)>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let head = word(bytes, 0)?;
        let (code, len) = (head as u16, (head >> 16) as usize);
        if code == 0 {
            ensure!(bytes.len() == 4, "{} bytes behind the last option", bytes.len() - 4);
            break;
        }
        all.push((code, bytes.get(4..4 + len).context("option cut short")?.to_vec()));
        bytes = bytes.get(4 + len.next_multiple_of(4)..).context("option cut short")?;
    }
    Ok(all)
}

fn text(options: &[(u16, Vec<u8>)], code: u16) -> Option<String> {
    let (_, value) = options.iter().find(|(other, _)| *other == code)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn word(bytes: &[u8], at: usize) -> Result<u32> {
    let part = bytes.get(at..at + 4).with_context(|| format!("nothing at {at}"))?;
    Ok(u32::from_le_bytes([part[0], part[1], part[2], part[3]]))
}

fn long(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |all, byte| all << 8 | u64::from(*byte))
}
