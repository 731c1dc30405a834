//! Options of TCP, those of multipath TCP (RFC 8684) among them.

use super::read::{Cut, Printed, after, bytes, has, some, u8, u16, u32, u64};
use super::tcp::{ACK, SYN};
use super::text::Words;
use super::{Printer, put};

const KINDS: &Words = &[
    (0, "eol"),
    (1, "nop"),
    (2, "mss"),
    (3, "wscale"),
    (4, "sackOK"),
    (5, "sack"),
    (6, "echo"),
    (7, "echoreply"),
    (8, "TS"),
    (11, "cc"),
    (12, "ccnew"),
    (13, ""),
    (19, "md5"),
    (20, "scps"),
    (28, "uto"),
    (29, "tcp-ao"),
    (30, "mptcp"),
    (34, "tfo"),
    (254, "exp"),
];
const MULTIPATH: [&str; 9] =
    ["capable", "join", "dss", "add-addr", "rem-addr", "prio", "fail", "fast-close", "unknown"];

/// Why options are not told to their end.
enum Stop {
    /// They are wrong.
    Bad,
    /// Their bytes were not captured, as was found before they were read.
    Short,
    /// As was found when they were read.
    Cut,
}

impl From<Cut> for Stop {
    fn from(_: Cut) -> Stop {
        Stop::Cut
    }
}

impl Printer {
    /// Whether the line goes on behind them. `other`: what the other end's numbers are counted
    /// from; `segment`, `lens`: all of it, and the lengths of its header and payload.
    pub(super) fn tcp_options(
        &mut self,
        data: &[u8],
        len: u32,
        flags: u8,
        other: u32,
        segment: &[u8],
        lens: (u32, u32),
    ) -> Printed<bool> {
        let mut any = false;
        let stop = match self.option_list(data, len as usize, flags, other, segment, lens, &mut any)
        {
            Ok(()) => return Ok(true),
            Err(stop) => stop,
        };
        match stop {
            Stop::Bad => self.text(if any { "[bad opt]]" } else { "[bad opt]" }),
            Stop::Short => {
                self.cut();
                if any {
                    self.text(">");
                }
            }
            Stop::Cut => return Err(Cut),
        }
        Ok(false)
    }

    #[expect(clippy::too_many_arguments, reason = "what an option can be about")]
    fn option_list(
        &mut self,
        data: &[u8],
        len: usize,
        flags: u8,
        other: u32,
        segment: &[u8],
        lens: (u32, u32),
        any: &mut bool,
    ) -> Result<(), Stop> {
        let (mut at, mut left) = (0, len);
        while left > 0 {
            if *any {
                self.text(",");
            }
            let kind = u8(data, at)?;
            at += 1;
            let mut len = 1;
            if kind > 1 {
                len = usize::from(u8(data, at)?);
                at += 1;
                if len < 2 || len > left {
                    return Err(Stop::Bad);
                }
                left -= 1;
            }
            left -= 1;
            self.word(KINDS, kind.into(), |p| put!(p, "unknown-{kind}"));
            let here = after(data, at);
            // So many bytes must be left, and there.
            let need = |count: usize| match count {
                count if count > left => Err(Stop::Bad),
                count if !has(here, count) => Err(Stop::Short),
                count => Ok(count),
            };
            let used = match kind {
                0 | 1 | 4 => 0,
                2 => {
                    let used = need(2)?;
                    self.text(" ");
                    self.number(u16(here, 0)?.into());
                    used
                }
                3 => {
                    let used = need(1)?;
                    self.text(" ");
                    self.number(u8(here, 0)?.into());
                    used
                }
                5 => {
                    let used = len - 2;
                    if used.is_multiple_of(8) {
                        put!(self, " {} ", used / 8);
                        for block in (0..used).step_by(8) {
                            need(block + 4)?;
                            let begin = u32(here, block)?;
                            need(block + 8)?;
                            let end = u32(here, block + 4)?;
                            let (begin, end) = (begin.wrapping_sub(other), end.wrapping_sub(other));
                            put!(self, "{{{begin}:{end}}}");
                        }
                    } else {
                        self.text(" invalid sack");
                    }
                    used
                }
                6 | 7 | 11 | 12 | 13 => {
                    let used = need(4)?;
                    put!(self, " {}", u32(here, 0)?);
                    used
                }
                8 => {
                    let used = need(8)?;
                    let (value, echo) = (u32(here, 0)?, u32(here, 4)?);
                    self.text(" val ");
                    self.number(value);
                    self.text(" ecr ");
                    self.number(echo);
                    used
                }
                19 => {
                    let used = need(16)?;
                    self.text(" ");
                    let all = lens.0 as usize + lens.1 as usize;
                    self.text(if has(segment, all) {
                        "shared secret not supplied with -M, "
                    } else {
                        "snaplen too short, "
                    });
                    self.text("can't check - ");
                    self.hex_bytes(some(here, 0, 16)?);
                    used
                }
                20 => {
                    let used = need(2)?;
                    put!(self, " cap {:02x} id {}", u8(here, 0)?, u8(here, 1)?);
                    used
                }
                28 => {
                    let used = need(2)?;
                    let value = u16(here, 0)?;
                    let seconds = u32::from(value >> 1) * if value & 1 == 1 { 60 } else { 1 };
                    put!(self, " 0x{value:x} {seconds}");
                    used
                }
                29 => {
                    let used = len - 2;
                    if used < 2 {
                        self.invalid();
                    } else {
                        need(1)?;
                        put!(self, " keyid {}", u8(here, 0)?);
                        need(2)?;
                        put!(self, " rnextkeyid {}", u8(here, 1)?);
                        if used > 2 {
                            self.text(" mac 0x");
                            for byte in 2..used {
                                need(byte + 1)?;
                                self.hex_bytes(some(here, byte, 1)?);
                            }
                        }
                    }
                    used
                }
                30 => {
                    let used = need(len - 2)?;
                    self.protocol = "mptcp";
                    if len < 3 || !self.multipath(some(here, 0, used)?, len, flags)? {
                        return Err(Stop::Bad);
                    }
                    used
                }
                34 => {
                    let used = need(len - 2)?;
                    self.text(" ");
                    self.fast_open(some(here, 0, used)?);
                    used
                }
                254 => {
                    let used = need(len - 2)?;
                    if used < 2 {
                        return Err(Stop::Bad);
                    }
                    let magic = u16(here, 0)?;
                    self.text("-");
                    if magic == 0xf989 {
                        self.text("tfo");
                        self.fast_open(some(here, 2, used - 2)?);
                    } else {
                        put!(self, "{magic:04x}");
                    }
                    used
                }
                _ => {
                    let used = len - 2;
                    if used > 0 {
                        self.text(" 0x");
                    }
                    for byte in 0..used {
                        need(byte + 1)?;
                        self.hex_bytes(some(here, byte, 1)?);
                    }
                    used
                }
            };
            at += used;
            // A wrong length can say less than was read of it.
            let all = used + if kind > 1 { 2 } else { 1 };
            left = left.wrapping_sub(used);
            if all != len {
                put!(self, "[len {len}]");
            }
            *any = true;
            if kind == 0 {
                break;
            }
        }
        Ok(())
    }

    /// A cookie (RFC 7413).
    fn fast_open(&mut self, data: &[u8]) {
        if data.is_empty() {
            self.text(" cookiereq");
        } else if !data.len().is_multiple_of(2) || !(4..=16).contains(&data.len()) {
            self.invalid();
        } else {
            self.text(" cookie ");
            self.hex_bytes(data);
        }
    }

    /// Whether it is as it should be. `data` is what is behind kind and length.
    fn multipath(&mut self, data: &[u8], len: usize, flags: u8) -> Printed<bool> {
        let first = u8(data, 0)?;
        let kind = usize::from(first >> 4).min(8);
        put!(self, " {len} {}", MULTIPATH[kind]);
        let (syn, ack) = (flags & SYN != 0, flags & ACK != 0);
        match kind {
            0 => {
                if !(matches!(len, 4 | 12) && syn || matches!(len, 20 | 22) && ack && !syn) {
                    return Ok(false);
                }
                let version = first & 15;
                if version > 1 {
                    put!(self, " Unknown Version ({version})");
                    return Ok(true);
                }
                put!(self, " v{version}");
                if u8(data, 1)? & 0x80 != 0 {
                    self.text(" csum");
                }
                if len >= 12 {
                    put!(self, " {{0x{:x}", u64(data, 2)?);
                    if len >= 20 {
                        put!(self, ",0x{:x}", u64(data, 10)?);
                    }
                    self.text("}");
                }
            }
            1 => {
                if !(len == 12 && syn || len == 16 && syn && ack || len == 24 && ack) {
                    return Ok(false);
                }
                if len != 24 {
                    if first & 1 != 0 {
                        self.text(" backup");
                    }
                    put!(self, " id {}", u8(data, 1)?);
                }
                match len {
                    12 => put!(self, " token 0x{:x} nonce 0x{:x}", u32(data, 2)?, u32(data, 6)?),
                    16 => put!(self, " hmac 0x{:x} nonce 0x{:x}", u64(data, 2)?, u32(data, 10)?),
                    _ => {
                        self.text(" hmac 0x");
                        self.hex_bytes(some(data, 2, 20)?);
                    }
                }
            }
            2 => return self.data_sequence(data, len, syn),
            3 => {
                if !matches!(len, 8 | 10 | 16 | 18 | 20 | 22 | 28 | 30) {
                    return Ok(false);
                }
                self.text(match first & 15 {
                    6 => " v0-ip6",
                    4 => " v0-ip4",
                    1 => " v1-echo",
                    0 => " v1",
                    _ => " [bad version/echo]",
                });
                put!(self, " id {} ", u8(data, 1)?);
                let addr_len = if len < 20 {
                    self.ip4(bytes(data, 2)?);
                    4
                } else {
                    self.ip6(bytes(data, 2)?);
                    16
                };
                let mut at = 2 + addr_len;
                if matches!(len, 10 | 18 | 22 | 30) {
                    put!(self, ":{}", u16(data, at)?);
                    at += 2;
                }
                if matches!(len, 16 | 18 | 28 | 30) {
                    put!(self, " hmac 0x{:x}", u64(data, at)?);
                }
            }
            4 => {
                if len < 4 {
                    return Ok(false);
                }
                self.text(" id");
                for at in 1..len - 2 {
                    put!(self, " {}", u8(data, at)?);
                }
            }
            5 => {
                if !matches!(len, 3 | 4) {
                    return Ok(false);
                }
                self.text(if first & 1 != 0 { " backup" } else { " non-backup" });
                if len == 4 {
                    put!(self, " id {}", u8(data, 1)?);
                }
            }
            6 | 7 => {
                if len != 12 {
                    return Ok(false);
                }
                if kind == 6 {
                    put!(self, " seq {}", u64(data, 2)?);
                } else {
                    put!(self, " key 0x{:x}", u64(data, 2)?);
                }
            }
            _ => {}
        }
        Ok(true)
    }

    fn data_sequence(&mut self, data: &[u8], len: usize, syn: bool) -> Printed<bool> {
        if len < 4 || syn {
            return Ok(false);
        }
        let flags = u8(data, 1)?;
        if flags & 0x10 != 0 {
            self.text(" fin");
        }
        let (mut at, mut left) = (2, len - 4);
        for (present, wide, word) in [(0x01, 0x02, " ack "), (0x04, 0x08, " seq ")] {
            if flags & present == 0 {
                continue;
            }
            self.text(word);
            let size = if flags & wide != 0 { 8 } else { 4 };
            if left < size {
                return Ok(false);
            }
            if size == 8 {
                put!(self, "{}", u64(data, at)?);
            } else {
                put!(self, "{}", u32(data, at)?);
            }
            at += size;
            left -= size;
        }
        if flags & 0x04 != 0 {
            if left < 4 {
                return Ok(false);
            }
            put!(self, " subseq {}", u32(data, at)?);
            if left < 6 {
                return Ok(false);
            }
            put!(self, " len {}", u16(data, at + 4)?);
            (at, left) = (at + 6, left - 6);
            if left >= 2 {
                put!(self, " csum 0x{:x}", u16(data, at)?);
                left -= 2;
            }
        }
        Ok(left == 0)
    }
}
