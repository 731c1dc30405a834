//! DHCP (RFC 2131) and its options (RFC 2132 and others), and BOOTP before it.

use std::net::Ipv4Addr;

use super::read::{Printed, after, bytes, has, some, u8, u16, u32};
use super::text::{Words, word};
use super::{Printer, put};

const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// Where options begin, with the cookie before them.
const VENDOR: usize = 236;

const PAD: u8 = 0;
const MESSAGE: u8 = 53;
const PARAMETERS: u8 = 55;
const END: u8 = 255;

/// What an option is called, behind a letter for what it holds: a text, i addresses, p pairs of
/// them, l and L numbers of 4 bytes, s of 2, b of 1, B yes or no, $ something of its own.
const OPTIONS: &Words = &[
    (0, " PAD"),
    (1, "iSubnet-Mask"),
    (2, "LTime-Zone"),
    (3, "iDefault-Gateway"),
    (4, "iTime-Server"),
    (5, "iIEN-Name-Server"),
    (6, "iDomain-Name-Server"),
    (7, "iLOG"),
    (8, "iCS"),
    (9, "iLPR-Server"),
    (10, "iIM"),
    (11, "iRL"),
    (12, "aHostname"),
    (13, "sBS"),
    (14, "aDP"),
    (15, "aDomain-Name"),
    (16, "iSS"),
    (17, "aRP"),
    (18, "aEP"),
    (19, "BIPF"),
    (20, "BSRT"),
    (21, "pPF"),
    (22, "sRSZ"),
    (23, "bTTL"),
    (24, "lMTU-Timeout"),
    (25, "sMTU-Table"),
    (26, "sMTU"),
    (27, "BLSN"),
    (28, "iBR"),
    (29, "BMD"),
    (30, "BMS"),
    (31, "BRouter-Discovery"),
    (32, "iRSA"),
    (33, "pStatic-Route"),
    (34, "BUT"),
    (35, "lAT"),
    (36, "BIE"),
    (37, "bTT"),
    (38, "lKI"),
    (39, "BKG"),
    (40, "aYD"),
    (41, "iYS"),
    (42, "iNTP"),
    (43, "bVendor-Option"),
    (44, "iNetbios-Name-Server"),
    (45, "iWDD"),
    (46, "$Netbios-Node"),
    (47, "aNetbios-Scope"),
    (48, "iXFS"),
    (49, "iXDM"),
    (50, "iRequested-IP"),
    (51, "lLease-Time"),
    (52, "$OO"),
    (53, " DHCP-Message"),
    (54, "iServer-ID"),
    (55, "bParameter-Request"),
    (56, "aMSG"),
    (57, "sMSZ"),
    (58, "lRN"),
    (59, "lRB"),
    (60, "aVendor-Class"),
    (61, "$Client-ID"),
    (64, "sN+D"),
    (65, "iN+S"),
    (66, "aTFTP"),
    (67, "aBF"),
    (68, "iMH"),
    (69, "iSMTP"),
    (70, "iPOP3"),
    (71, "iNNTP"),
    (72, "iWWW"),
    (73, "iFG"),
    (74, "iIRC"),
    (75, "iSTS"),
    (76, "iSTDA"),
    (77, "$User-Class"),
    (78, "bSLP-DA"),
    (79, "bSLP-SCOPE"),
    (80, "aSLP-NA"),
    (81, "$FQDN"),
    (82, "$Agent-Information"),
    (83, "bARMT"),
    (88, "aTZSTR"),
    (89, "bFQDNS"),
    (90, "bAUTH"),
    (91, "LLast-Transaction-Time"),
    (92, "iAssociated-IP"),
    (93, "sARCH"),
    (94, "bNDI"),
    (95, "aLDAP"),
    (97, "bGUID"),
    (98, "aUAP"),
    (100, "aPOSIX-TZ"),
    (101, "aTZ-Name"),
    (112, "iNI"),
    (113, "aNITAG"),
    (114, "aURL"),
    (116, "BNOAUTO"),
    (117, "sNSSEARCH"),
    (118, "iSUBNET"),
    (121, "$Classless-Static-Route"),
    (150, "iTFTP-Server-Address"),
    (161, "aMUD-URL"),
    (249, "$Classless-Static-Route-Microsoft"),
    (255, " END"),
];
const MESSAGES: &Words = &[
    (1, "Discover"),
    (2, "Offer"),
    (3, "Request"),
    (4, "Decline"),
    (5, "ACK"),
    (6, "NACK"),
    (7, "Release"),
    (8, "Inform"),
    (10, "LeaseQuery"),
    (11, "LeaseUnassigned"),
    (12, "LeaseUnknown"),
    (13, "LeaseActive"),
];
const HARDWARE: &Words =
    &[(1, "ether"), (6, "ieee802"), (7, "arcnet"), (15, "frelay"), (23, "strip"), (24, "ieee1394")];
const OVERLOADS: &Words = &[(1, "file"), (2, "sname"), (3, "file+sname")];
const NODES: &Words = &[(1, "b-node"), (2, "p-node"), (4, "m-node"), (8, "h-node")];
const AGENT: &Words = &[(1, "Circuit-ID"), (2, "Remote-ID"), (6, "Subscriber-ID")];

impl Printer {
    pub(super) fn dhcp(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "bootp";
        let operation = u8(data, 0)?;
        self.text("BOOTP/DHCP, ");
        match operation {
            1 => self.text("Request"),
            2 => self.text("Reply"),
            _ => put!(self, "unknown (0x{operation:02x})"),
        }
        let (hardware, hardware_len) = (u8(data, 1)?, u8(data, 2)?);
        let ethernet = hardware == 1 && hardware_len == 6;
        if ethernet && operation == 1 {
            let client = bytes(data, 28)?;
            self.text(" from ");
            self.mac(client);
        }
        put!(self, ", length {len}");
        if self.style.verbose == 0 {
            return Ok(());
        }
        if !has(data, 10) {
            self.cut();
            return Ok(());
        }
        if hardware != 1 {
            put!(self, ", htype {hardware}");
        }
        if !ethernet {
            put!(self, ", hlen {hardware_len}");
        }
        let (hops, id, seconds) = (u8(data, 3)?, u32(data, 4)?, u16(data, 8)?);
        if hops != 0 {
            put!(self, ", hops {hops}");
        }
        if id != 0 {
            put!(self, ", xid 0x{id:x}");
        }
        if seconds != 0 {
            put!(self, ", secs {seconds}");
        }
        let flags = u16(data, 10)?;
        self.text(if flags & 0x8000 != 0 { ", Flags [Broadcast]" } else { ", Flags [none]" });
        if self.style.verbose > 1 {
            put!(self, " (0x{flags:04x})");
        }
        for (what, at) in
            [("Client-IP ", 12), ("Your-IP ", 16), ("Server-IP ", 20), ("Gateway-IP ", 24)]
        {
            let addr = bytes(data, at)?;
            if addr != [0; 4] {
                self.text("\n\t  ");
                self.text(what);
                self.ip4(addr);
            }
        }
        if ethernet {
            let client = bytes(data, 28)?;
            self.text("\n\t  Client-Ethernet-Address ");
            self.mac(client);
        }
        for (what, at, size) in [("sname", 44, 64), ("file", 108, 128)] {
            if u8(data, at)? == 0 {
                continue;
            }
            put!(self, "\n\t  {what} \"");
            let field = after(data, at);
            let field = &field[..field.len().min(size)];
            let end = field.iter().position(|byte| *byte == 0);
            self.foreign_text(field, end.unwrap_or(field.len()));
            self.text("\"");
            if end.is_none() {
                self.cut();
                return Ok(());
            }
        }
        let Ok(cookie) = bytes::<4>(data, VENDOR) else {
            self.cut();
            return Ok(());
        };
        if cookie == COOKIE {
            self.text("\n\t  Vendor-rfc1048 Extensions");
            put!(self, "\n\t    Magic Cookie 0x{:08x}", u32::from_be_bytes(COOKIE));
            if !self.dhcp_options(after(data, VENDOR + 4))? {
                self.cut();
            }
        } else if cookie != [0; 4] {
            put!(self, "\n\t  Vendor-#0x{:x}", u32::from_be_bytes(cookie));
        }
        Ok(())
    }

    /// Whether all were there.
    fn dhcp_options(&mut self, data: &[u8]) -> Printed<bool> {
        let mut at = 0;
        while let Some(kind) = data.get(at).copied() {
            at += 1;
            if self.style.verbose < 3 {
                match kind {
                    PAD => continue,
                    END => return Ok(true),
                    _ => {}
                }
            }
            let name = word(OPTIONS, kind.into()).unwrap_or("?Unknown");
            let (form, name) = name.split_at(1);
            let mut len = 0;
            if !matches!(kind, PAD | END) {
                len = usize::from(u8(data, at)?);
                at += 1;
            }
            put!(self, "\n\t    {name} ({kind}), length {len}");
            if len > 0 {
                self.text(": ");
            }
            if kind == PAD {
                let more = after(data, at).iter().take_while(|byte| **byte == PAD).count();
                at += more;
                if more > 0 {
                    put!(self, ", occurs {}", more + 1);
                }
            }
            let Ok(value) = some(data, at, len) else { return Ok(false) };
            at += len;
            let left = self.dhcp_option(kind, form, value)?;
            if left > 0 {
                put!(self, "\n\t  trailing data length {left}");
            }
        }
        Ok(true)
    }

    /// How many of its bytes are left over.
    fn dhcp_option(&mut self, kind: u8, form: &str, value: &[u8]) -> Printed<usize> {
        match (kind, value) {
            (MESSAGE, [message]) => {
                self.word(MESSAGES, u32::from(*message), |p| put!(p, "Unknown ({message})"));
                return Ok(0);
            }
            (PARAMETERS, _) => {
                for (number, asked) in value.iter().enumerate() {
                    self.text(if number % 4 == 0 { "\n\t      " } else { ", " });
                    let name = word(OPTIONS, u32::from(*asked)).unwrap_or("?Unknown");
                    put!(self, "{} ({asked})", &name[1..]);
                }
                return Ok(0);
            }
            _ => {}
        }
        let form = match (form, value.len()) {
            ("?", len) if len & 1 != 0 => "b",
            ("?", len) if len & 2 != 0 => "s",
            ("?", _) => "l",
            (form, _) => form,
        };
        let each = match form {
            "a" => {
                self.quoted(value);
                return Ok(0);
            }
            "$" => return self.dhcp_special(kind, value),
            "i" | "l" | "L" => 4,
            "p" => 8,
            "s" => 2,
            _ => 1,
        };
        let parts = value.chunks_exact(each);
        let left = parts.remainder().len();
        for (number, part) in parts.enumerate() {
            if number > 0 {
                self.text(if matches!(form, "b" | " ") { "." } else { "," });
            }
            match form {
                "i" => self.ip4(bytes(part, 0)?),
                "L" => put!(self, "{}", u32(part, 0)?.cast_signed()),
                "l" => put!(self, "{}", u32(part, 0)?),
                "p" => {
                    self.text("(");
                    self.ip4(bytes(part, 0)?);
                    self.text(":");
                    self.ip4(bytes(part, 4)?);
                    self.text(")");
                }
                "s" => put!(self, "{}", u16(part, 0)?),
                "B" => match u8(part, 0)? {
                    0 => self.text("N"),
                    1 => self.text("Y"),
                    other => put!(self, "{other}?"),
                },
                _ => put!(self, "{}", u8(part, 0)?),
            }
        }
        Ok(left)
    }

    fn quoted(&mut self, text: &[u8]) {
        self.text("\"");
        self.foreign_text(text, text.len());
        self.text("\"");
    }

    /// Options with a form of their own; how many bytes are left over.
    fn dhcp_special(&mut self, kind: u8, value: &[u8]) -> Printed<usize> {
        let short = |p: &mut Printer, least: usize| {
            put!(p, "[ERROR: length < {least} bytes]");
            Ok(0)
        };
        match kind {
            46 | 52 => {
                let Some((first, rest)) = value.split_first() else { return short(self, 1) };
                let words = if kind == 46 { NODES } else { OVERLOADS };
                self.word(words, u32::from(*first), |p| put!(p, "#{first}"));
                return Ok(rest.len());
            }
            61 => match value {
                [] => return short(self, 1),
                [0, name @ ..] => self.quoted(name),
                [hardware, addr @ ..] => {
                    self.word(HARDWARE, u32::from(*hardware), |p| {
                        put!(p, "hardware-type {hardware},");
                    });
                    self.text(" ");
                    self.octets(addr);
                }
            },
            81 => {
                let [flags, first, second, name @ ..] = value else { return short(self, 3) };
                if flags & 0xf0 != 0 {
                    put!(self, "[ERROR: MBZ nibble 0x{:x} != 0] ", flags >> 4);
                }
                if flags & 0x0f != 0 {
                    self.text("[");
                    self.bits(&[(1, "S"), (2, "O"), (4, "E"), (8, "N")], u32::from(*flags), "", "");
                    self.text("] ");
                }
                if (*first, *second) != (0, 0) {
                    put!(self, "{first}/{second} ");
                }
                self.quoted(name);
            }
            77 => {
                if value.len() < 2 {
                    return short(self, 2);
                }
                let (mut rest, mut number) = (value, 1);
                while let Some((len, more)) = rest.split_first() {
                    put!(self, "\n\t      instance#{number}: ");
                    if *len == 0 {
                        self.text("[ERROR: suboption length must be non-zero]");
                        break;
                    }
                    let Some((class, more)) = more.split_at_checked(usize::from(*len)) else {
                        self.text("[ERROR: invalid option]");
                        break;
                    };
                    self.quoted(class);
                    put!(self, ", length {len}");
                    number += 1;
                    rest = more;
                }
            }
            82 => {
                let mut rest = value;
                while let [kind, len, more @ ..] = rest {
                    self.text("\n\t      ");
                    self.word(AGENT, u32::from(*kind), |p| p.text("Unknown"));
                    put!(self, " SubOption {kind}, length {len}: ");
                    let Some((part, more)) = more.split_at_checked(usize::from(*len)) else {
                        self.text("length goes past end of option");
                        return Ok(0);
                    };
                    if matches!(kind, 1 | 2 | 6) {
                        self.foreign_text(part, part.len());
                    } else {
                        self.hex_dump("\n\t\t", part);
                    }
                    rest = more;
                }
                return Ok(rest.len());
            }
            _ => self.classless_routes(value)?,
        }
        Ok(0)
    }

    /// Routes with the length of their prefix (RFC 3442).
    fn classless_routes(&mut self, value: &[u8]) -> Printed {
        if value.len() < 5 {
            self.text("[ERROR: length < 5 bytes]");
            return Ok(());
        }
        let mut rest = value;
        while let Some((width, more)) = rest.split_first() {
            if rest.len() != value.len() {
                self.text(",");
            }
            if *width > 32 {
                put!(self, "[ERROR: Mask width ({width}) > 32]");
                return Ok(());
            }
            let known = usize::from(width.div_ceil(8));
            let Some((route, more)) = more.split_at_checked(known + 4) else {
                put!(self, "[ERROR: Remaining length ({}) < {} bytes]", more.len(), known + 4);
                return Ok(());
            };
            if *width == 0 {
                self.text("(default");
            } else {
                let mut prefix = [0; 4];
                prefix[..known].copy_from_slice(&route[..known]);
                put!(self, "({}/{width}", Ipv4Addr::from(prefix));
            }
            self.text(":");
            self.ip4(bytes(route, known)?);
            self.text(")");
            rest = more;
        }
        Ok(())
    }
}
