//! IGMP, versions 1 to 3 (RFC 3376).

use super::checksum::Sum;
use super::read::{Printed, bytes, first, has, u8, u16, u32};
use super::text::Words;
use super::{Printer, put};

const RECORDS: &Words =
    &[(1, "is_in"), (2, "is_ex"), (3, "to_in"), (4, "to_ex"), (5, "allow"), (6, "block")];

impl Printer {
    pub(super) fn igmp(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "igmp";
        if self.style.quiet {
            self.text("igmp");
            return Ok(());
        }
        match u8(data, 0)? {
            0x11 => {
                self.text("igmp query");
                if len >= 12 {
                    self.igmp3_query(data, len)?;
                } else {
                    match u8(data, 1)? {
                        0 => self.text(" v1"),
                        100 => self.text(" v2"),
                        time => put!(self, " v2 [max resp time {time}]"),
                    }
                    if u32(data, 4)? != 0 {
                        self.text(" [gaddr ");
                        self.ip4(bytes(data, 4)?);
                        self.text("]");
                    }
                    self.igmp_len(len);
                }
            }
            kind @ (0x12 | 0x16 | 0x17) => {
                let group = bytes(data, 4)?;
                self.text(match kind {
                    0x12 => "igmp v1 report ",
                    0x16 => "igmp v2 report ",
                    _ => "igmp leave ",
                });
                self.ip4(group);
                if kind == 0x12 {
                    self.igmp_len(len);
                }
            }
            0x22 => {
                self.text("igmp v3 report");
                self.igmp3_report(data, len)?;
            }
            other => put!(self, "igmp-{other}"),
        }
        if self.style.verbose > 0
            && len >= 4
            && has(data, len as usize)
            && Sum::new().add(first(data, len as usize)).end() != 0
        {
            put!(self, " bad igmp cksum {:x}!", u16(data, 2)?);
        }
        Ok(())
    }

    fn igmp_len(&mut self, len: u32) {
        if len != 8 {
            put!(self, " [len {len}]");
        }
    }

    fn igmp3_query(&mut self, data: &[u8], len: u32) -> Printed {
        self.text(" v3");
        if len & 3 != 0 {
            put!(self, " [invalid len {len}]");
            return Ok(());
        }
        let code = u32::from(u8(data, 1)?);
        if code != 100 {
            let tenths = if code < 128 { code } else { (code & 15 | 16) << ((code >> 4 & 7) + 3) };
            self.text(" [max resp time ");
            if tenths < 600 {
                put!(self, "{}.{}s", tenths / 10, tenths % 10);
            } else {
                self.span(tenths / 10);
            }
            self.text("]");
        }
        if u32(data, 4)? == 0 {
            return Ok(());
        }
        let group = bytes(data, 4)?;
        self.text(" [gaddr ");
        self.ip4(group);
        let sources = u32::from(u16(data, 10)?);
        if sources > 0 {
            if len < 12 + 4 * sources {
                self.text(" [invalid number of sources]");
            } else if self.style.verbose > 1 {
                self.sources4(data, 12, sources)?;
            } else {
                put!(self, ", {sources} source(s)");
            }
        }
        self.text("]");
        Ok(())
    }

    fn igmp3_report(&mut self, data: &[u8], len: u32) -> Printed {
        if len < 16 || len & 3 != 0 {
            put!(self, " [invalid len {len}]");
            return Ok(());
        }
        let groups = u16(data, 6)?;
        put!(self, ", {groups} group record(s)");
        if self.style.verbose == 0 {
            return Ok(());
        }
        let mut at = 8;
        for _ in 0..groups {
            if len < at + 8 {
                self.text(" [invalid number of groups]");
                return Ok(());
            }
            let begin = at as usize;
            let group = bytes(data, begin + 4)?;
            self.text(" [gaddr ");
            self.ip4(group);
            let kind = u8(data, begin)?;
            self.text(" ");
            self.word(RECORDS, kind.into(), |p| put!(p, " [v3-report-#{kind}]"));
            let sources = u32::from(u16(data, begin + 2)?);
            if len < at + 8 + 4 * sources {
                put!(self, " [invalid number of sources {sources}]");
                return Ok(());
            }
            if self.style.verbose == 1 {
                put!(self, ", {sources} source(s)");
            } else {
                self.sources4(data, begin + 8, sources)?;
            }
            at += 8 + 4 * sources;
            self.text("]");
        }
        Ok(())
    }

    fn sources4(&mut self, data: &[u8], at: usize, count: u32) -> Printed {
        self.text(" {");
        for number in 0..count as usize {
            let source = bytes(data, at + 4 * number)?;
            self.text(" ");
            self.ip4(source);
        }
        self.text(" }");
        Ok(())
    }
}
