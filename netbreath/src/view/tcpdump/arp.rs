//! ARP (RFC 826) and its reverse and inverse.

use super::link::TYPES;
use super::read::{Printed, bytes, some, u8, u16};
use super::text::Words;
use super::{Printer, put};

const HARDWARE: &Words = &[
    (1, "Ethernet"),
    (6, "TokenRing"),
    (7, "ArcNet"),
    (15, "FrameRelay"),
    (23, "Strip"),
    (24, "IEEE 1394"),
    (19, "ATM"),
    (32, "InfiniBand"),
];
const OPERATIONS: &Words = &[
    (1, "Request"),
    (2, "Reply"),
    (3, "Reverse Request"),
    (4, "Reverse Reply"),
    (8, "Inverse Request"),
    (9, "Inverse Reply"),
    (10, "NACK Reply"),
];

/// An address of a protocol, or why there is none.
enum Address {
    Ip([u8; 4]),
    Wrong(&'static str),
}

impl Printer {
    pub(super) fn arp(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "arp";
        some(data, 0, 8)?;
        let (hardware, proto) = (u16(data, 0)?, u16(data, 2)?);
        let (hardware_len, proto_len) = (usize::from(u8(data, 4)?), usize::from(u8(data, 5)?));
        let operation = u16(data, 6)?;
        let (sender, target) = (8, 8 + hardware_len + proto_len);
        some(data, target + hardware_len, proto_len)?;
        if !self.style.link {
            self.text("ARP, ");
        }
        let ip = matches!(proto, 0x0800 | 0x1000);
        let verbose = self.style.verbose > 0;
        if !ip || proto_len != 4 || hardware_len == 0 || verbose {
            self.word(HARDWARE, hardware.into(), |p| put!(p, "Unknown Hardware ({hardware})"));
            put!(self, " (len {hardware_len}), ");
            self.word(TYPES, proto.into(), |p| put!(p, "Unknown Protocol (0x{proto:04x})"));
            put!(self, " (len {proto_len})");
            if !verbose {
                put!(self, ", length {len}");
                return Ok(());
            }
        }
        if verbose {
            self.text(", ");
        }
        self.word(OPERATIONS, operation.into(), |p| put!(p, "Unknown ({operation})"));
        self.text(" ");
        let hardware_of = |begin: usize| some(data, begin, hardware_len);
        let ip_of = |begin: usize| -> Printed<Address> {
            Ok(if !ip {
                Address::Wrong("<wrong proto type>")
            } else if proto_len != 4 {
                Address::Wrong("<wrong len>")
            } else {
                Address::Ip(bytes(data, begin + hardware_len)?)
            })
        };
        match operation {
            1 => {
                self.text("who-has ");
                self.arp_ip(ip_of(target)?);
                if hardware_of(target)?.iter().any(|byte| *byte != 0) {
                    self.text(" (");
                    self.hardware(hardware_of(target)?);
                    self.text(")");
                }
                self.text(" tell ");
                self.arp_ip(ip_of(sender)?);
            }
            2 => {
                self.arp_ip(ip_of(sender)?);
                self.text(" is-at ");
                self.hardware(hardware_of(sender)?);
            }
            3 | 8 => {
                self.text("who-is ");
                self.hardware(hardware_of(target)?);
                self.text(" tell ");
                self.hardware(hardware_of(sender)?);
            }
            4 => {
                self.hardware(hardware_of(target)?);
                self.text(" at ");
                self.arp_ip(ip_of(target)?);
            }
            9 => {
                self.hardware(hardware_of(sender)?);
                self.text(" at ");
                self.arp_ip(ip_of(sender)?);
            }
            _ => {
                self.hex_and_text_dump("\n\t", data);
                return Ok(());
            }
        }
        put!(self, ", length {len}");
        Ok(())
    }

    fn arp_ip(&mut self, address: Address) {
        match address {
            Address::Ip(address) => self.ip4(address),
            Address::Wrong(why) => self.text(why),
        }
    }

    fn hardware(&mut self, address: &[u8]) {
        match address {
            [] => self.text("<empty>"),
            [a, b, c, d, e, f] => self.mac([*a, *b, *c, *d, *e, *f]),
            _ => self.octets(address),
        }
    }
}
