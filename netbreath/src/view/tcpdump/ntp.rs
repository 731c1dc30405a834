//! NTP (RFC 5905), and its messages of control (RFC 9327).

use super::read::{Printed, after, bytes, has, some, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

const MODES: [&str; 8] = [
    "unspecified",
    "symmetric active",
    "symmetric passive",
    "Client",
    "Server",
    "Broadcast",
    "Control Message",
    "Reserved",
];
const LEAPS: &Words = &[(0, ""), (0x40, "+1s"), (0x80, "-1s"), (0xc0, "clock unsynchronized")];
/// Bytes of a message about time.
const LEAST: u32 = 48;
/// Seconds from 1900 to 1970.
const TO_1970: i64 = 2_208_988_800;

/// A moment: seconds since 1900, and 2^-32 of a second.
type Moment = (u32, u32);

fn moment(data: &[u8], at: usize) -> Printed<Moment> {
    Ok((u32(data, at)?, u32(data, at + 4)?))
}

/// 2^-32 of a second as nanoseconds.
fn nanoseconds(fraction: u32) -> u32 {
    ((u64::from(fraction) * 1_000_000_000) >> 32) as u32
}

impl Printer {
    pub(super) fn ntp(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "ntp";
        let first = u8(data, 0)?;
        let mode = first & 7;
        put!(self, "NTPv{}, {}, length {len}", first >> 3 & 7, MODES[usize::from(mode)]);
        if self.style.verbose == 0 {
            return Ok(());
        }
        let leap = first & 0xc0;
        self.text("\n\tLeap indicator: ");
        self.word(LEAPS, leap.into(), |p| p.text("Unknown"));
        put!(self, " ({leap})");
        match mode {
            0..=5 => self.ntp_time(data, len),
            6 => self.ntp_control(data, len),
            _ => Ok(()),
        }
    }

    fn ntp_wrong(&mut self, data: &[u8], len: u32) {
        self.invalid();
        if !has(data, len as usize) {
            self.cut();
        }
    }

    fn ntp_time(&mut self, data: &[u8], len: u32) -> Printed {
        if len < LEAST {
            self.ntp_wrong(data, len);
            return Ok(());
        }
        let stratum = u8(data, 1)?;
        let kind = match stratum {
            0 => "unspecified",
            1 => "primary reference",
            2..=15 => "secondary reference",
            _ => "reserved",
        };
        put!(self, ", Stratum {stratum} ({kind})");
        let poll = u8(data, 2)?.cast_signed();
        put!(self, ", poll {poll}");
        match poll {
            0..32 => put!(self, " ({}s)", 1_u32 << poll),
            -31..0 => put!(self, " (1/{}s)", 1_u32 << -poll),
            _ => {}
        }
        put!(self, ", precision {}", u8(data, 3)?.cast_signed());
        for (word, at) in [("\n\tRoot Delay: ", 4), (", Root dispersion: ", 8)] {
            if !has(data, at + 4) {
                self.cut();
                return Ok(());
            }
            let (whole, part) = (u16(data, at)?, u32::from(u16(data, at + 2)?));
            put!(self, "{word}{whole}.{:06}", (u64::from(part) * 1_000_000) >> 16);
        }
        if !has(data, 16) {
            self.cut();
            return Ok(());
        }
        self.text(", Reference-ID: ");
        match stratum {
            0 => self.text("(unspec)"),
            1 => {
                self.foreign_text(after(data, 12), 4);
            }
            62 | 63 => {
                self.ip4(bytes(data, 12)?);
                self.text(if stratum == 62 { " INFO_QUERY" } else { " INFO_REPLY" });
                return Ok(());
            }
            _ => put!(self, "0x{:08x}", u32(data, 12)?),
        }
        for (word, at) in [
            ("Reference Timestamp:  ", 16),
            ("Originator Timestamp: ", 24),
            ("Receive Timestamp:    ", 32),
            ("Transmit Timestamp:   ", 40),
        ] {
            if !has(data, at + 8) {
                self.cut();
                return Ok(());
            }
            self.text("\n\t  ");
            self.text(word);
            self.ntp_moment(moment(data, at)?);
        }
        let origin = moment(data, 24)?;
        self.text("\n\t    Originator - Receive Timestamp:  ");
        self.ntp_difference(origin, moment(data, 32)?);
        self.text("\n\t    Originator - Transmit Timestamp: ");
        self.ntp_difference(origin, moment(data, 40)?);
        match len - LEAST {
            0 => {}
            rest @ (4 | 20 | 24) => {
                put!(self, "\n\tKey id: {}", u32(data, 48)?);
                if rest > 4 {
                    let Ok(digest) = some(data, 52, rest as usize - 4) else {
                        self.cut();
                        return Ok(());
                    };
                    self.text("\n\tAuthentication: ");
                    self.hex_bytes(digest);
                }
            }
            rest => put!(self, "\n\t({rest} more bytes after the header)"),
        }
        Ok(())
    }

    fn ntp_moment(&mut self, (seconds, fraction): Moment) {
        put!(self, "{seconds}.{:09}", nanoseconds(fraction));
        if seconds != 0
            && let Ok(time) = jiff::Timestamp::from_second(i64::from(seconds) - TO_1970)
        {
            put!(self, " ({})", time.strftime("%Y-%m-%dT%H:%M:%SZ"));
        }
    }

    fn ntp_difference(&mut self, old: Moment, new: Moment) {
        if old == (0, 0) {
            self.ntp_moment(new);
            return;
        }
        let all = |(seconds, fraction): Moment| i128::from(seconds) << 32 | i128::from(fraction);
        let since = all(new) - all(old);
        self.text(if since > 0 { "+" } else { "-" });
        let since = since.unsigned_abs();
        put!(self, "{}.{:09}", since >> 32, nanoseconds(since as u32));
    }

    fn ntp_control(&mut self, data: &[u8], len: u32) -> Printed {
        if len < 12 {
            self.ntp_wrong(data, len);
            return Ok(());
        }
        let control = u8(data, 1)?;
        put!(
            self,
            ", {}, {}, {}, OpCode={}\n",
            if control & 0x80 != 0 { "Response" } else { "Request" },
            if control & 0x40 != 0 { "Error" } else { "OK" },
            if control & 0x20 != 0 { "More" } else { "Last" },
            control & 0x1f
        );
        put!(self, "\tSequence={}", u16(data, 2)?);
        match u16(data, 4)? {
            0 => self.text(", Status=0"),
            status => put!(self, ", Status=0x{status:x}"),
        }
        put!(self, ", Assoc.={}", u16(data, 6)?);
        put!(self, ", Offset={}", u16(data, 8)?);
        let count = u32::from(u16(data, 10)?);
        put!(self, ", Count={count}");
        if 12 + count > len {
            self.ntp_wrong(data, len);
        } else if count != 0 {
            if has(data, 12 + count as usize) {
                self.text("\n\tTO-BE-DONE: data not interpreted");
            } else {
                self.cut();
            }
        }
        Ok(())
    }
}
