//! UDP (RFC 768).

use super::checksum::should_be;
use super::ip::{Ends, Outer};
use super::read::{Printed, after, first, has, u16};
use super::{Printer, put};

impl Printer {
    pub(super) fn udp(
        &mut self,
        data: &[u8],
        len: u32,
        outer: Outer<'_>,
        fragment: bool,
    ) -> Printed {
        self.protocol = "udp";
        let ends = outer.ends()?;
        let (Ok(source), Ok(target)) = (u16(data, 0), u16(data, 2)) else {
            if outer.proto()? == 17 {
                match ends {
                    Ends::V4(a, b) => {
                        self.ip4(a);
                        self.text(" > ");
                        self.ip4(b);
                    }
                    Ends::V6(a, b) => {
                        self.ip6(a);
                        self.text(" > ");
                        self.ip6(b);
                    }
                }
                self.text(": ");
            }
            self.cut();
            return Ok(());
        };
        self.ends_with_ports(outer, ends, 17, |p, second| {
            p.udp_port(if second { target } else { source });
        })?;
        if len < 8 {
            put!(self, "truncated-udp {len}");
            return Ok(());
        }
        let Ok(told) = u16(data, 4) else {
            self.cut();
            return Ok(());
        };
        // A jumbogram tells no length (RFC 2675).
        let told = if told == 0 && len > 65_535 { len } else { told.into() };
        if told < 8 {
            put!(self, "truncated-udplength {told}");
            return Ok(());
        }
        let told = told - 8;
        let len = (len - 8).min(told);
        if !has(data, 8) {
            self.cut();
            return Ok(());
        }
        let payload = after(data, 8);
        if self.style.verbose > 0 && !self.style.no_checksums && !fragment {
            let four = matches!(outer, Outer::V4(_));
            let is = u16(data, 6)?;
            if four && self.style.verbose > 1 && is == 0 {
                self.text("[no cksum] ");
            } else if (!four || self.style.verbose > 1) && has(payload, len as usize) {
                let sum = outer.sum(17, first(data, len as usize + 8))?;
                if sum == 0 {
                    self.text("[udp sum ok] ");
                } else {
                    put!(self, "[bad udp cksum 0x{is:04x} -> 0x{:04x}!] ", should_be(is, sum));
                }
            }
        }
        let of = |port: u16| source == port || target == port;
        if !self.style.quiet {
            if of(53) || of(5353) {
                return self.dns(payload, len, false, !of(53));
            }
            if of(67) || of(68) {
                return self.dhcp(payload, len);
            }
            if of(123) {
                return self.ntp(payload, len);
            }
            if of(4789) {
                return self.deeper(|p| p.vxlan(payload, len));
            }
        }
        if told > len && !fragment {
            put!(self, "UDP, bad length {told} > {len}");
        } else {
            self.text("UDP, length ");
            self.number(told);
        }
        Ok(())
    }
}
