//! How numbers, addresses and foreign text are written.

use std::net::IpAddr;

use super::Printer;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Words for numbers, or for bits.
pub(super) type Words = [(u32, &'static str)];

/// The word for a number.
pub(super) fn word(words: &Words, value: u32) -> Option<&'static str> {
    words.iter().find(|(known, _)| *known == value).map(|(_, word)| *word)
}

impl Printer {
    pub(super) fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(super) fn number(&mut self, number: u32) {
        let mut buffer = itoa::Buffer::new();
        self.out.extend_from_slice(buffer.format(number).as_bytes());
    }

    /// As many hexadecimal digits as the number has.
    pub(super) fn hex(&mut self, number: u64) {
        let digits = (16 - number.leading_zeros() / 4).max(1);
        for digit in (0..digits).rev() {
            self.out.push(DIGITS[(number >> (4 * digit)) as usize & 15]);
        }
    }

    /// Two digits for each byte.
    pub(super) fn hex_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.out.push(DIGITS[usize::from(byte >> 4)]);
            self.out.push(DIGITS[usize::from(byte & 15)]);
        }
    }

    /// The word for a number; else what is written of one that has none.
    pub(super) fn word(&mut self, words: &Words, value: u32, other: impl FnOnce(&mut Printer)) {
        match word(words, value) {
            Some(word) => self.text(word),
            None => other(self),
        }
    }

    /// The words for bits that are set.
    pub(super) fn bits(&mut self, words: &Words, value: u32, separator: &str, none: &str) {
        let mut any = false;
        for (bits, word) in words {
            if *bits != 0 && value & bits == *bits {
                if any {
                    self.text(separator);
                }
                self.text(word);
                any = true;
            }
        }
        if !any {
            self.text(none);
        }
    }

    pub(super) fn ip4(&mut self, addr: [u8; 4]) {
        if let Some(naming) = &mut self.naming
            && let Some(name) = naming.host(IpAddr::from(addr), self.style.short_names)
        {
            self.out.extend_from_slice(name.as_bytes());
            return;
        }
        self.ip4_digits(addr);
    }

    fn ip4_digits(&mut self, addr: [u8; 4]) {
        for (place, byte) in addr.into_iter().enumerate() {
            if place > 0 {
                self.out.push(b'.');
            }
            if byte >= 100 {
                self.out.push(b'0' + byte / 100);
            }
            if byte >= 10 {
                self.out.push(b'0' + byte / 10 % 10);
            }
            self.out.push(b'0' + byte % 10);
        }
    }

    /// As tcpdump does it: the first of the longest runs of zeros is left out, and what
    /// holds an IPv4 address shows it.
    pub(super) fn ip6(&mut self, addr: [u8; 16]) {
        if let Some(naming) = &mut self.naming
            && let Some(name) = naming.host(IpAddr::from(addr), self.style.short_names)
        {
            self.out.extend_from_slice(name.as_bytes());
            return;
        }
        self.ip6_digits(addr);
    }

    pub(super) fn ip6_digits(&mut self, addr: [u8; 16]) {
        let (pairs, _) = addr.as_chunks::<2>();
        let mut words = [0_u16; 8];
        for (word, pair) in words.iter_mut().zip(pairs) {
            *word = u16::from_be_bytes(*pair);
        }
        let (mut begin, mut len) = (8, 0);
        let mut at = 0;
        while at < 8 {
            let run = words[at..].iter().take_while(|word| **word == 0).count();
            if run > len {
                (begin, len) = (at, run);
            }
            at += run.max(1);
        }
        if len < 2 {
            (begin, len) = (8, 0);
        }
        let mut at = 0;
        while at < 8 {
            if at == begin {
                self.out.push(b':');
                at += len;
                continue;
            }
            if at != 0 {
                self.out.push(b':');
            }
            if at == 6 && begin == 0 && (len == 6 || len == 5 && words[5] == 0xffff) {
                self.ip4_digits([addr[12], addr[13], addr[14], addr[15]]);
                return;
            }
            self.hex(words[at].into());
            at += 1;
        }
        if begin + len == 8 && len > 0 {
            self.out.push(b':');
        }
    }

    /// A hardware address; with names, also whose it is, of which only the plainest is known.
    pub(super) fn mac(&mut self, addr: [u8; 6]) {
        self.octets(&addr);
        if self.naming.is_some() {
            let known = addr[..3] == [0, 0, 0];
            self.text(if known { " (oui Ethernet)" } else { " (oui Unknown)" });
        }
    }

    /// Bytes with colons between.
    pub(super) fn octets(&mut self, bytes: &[u8]) {
        for (place, byte) in bytes.iter().enumerate() {
            if place > 0 {
                self.out.push(b':');
            }
            self.hex_bytes(&[*byte]);
        }
    }

    pub(super) fn tcp_port(&mut self, port: u16) {
        match self.naming.as_ref().and_then(|naming| naming.tcp.get(&port)) {
            Some(name) => self.out.extend_from_slice(name.as_bytes()),
            None => self.number(port.into()),
        }
    }

    pub(super) fn udp_port(&mut self, port: u16) {
        match self.naming.as_ref().and_then(|naming| naming.udp.get(&port)) {
            Some(name) => self.out.extend_from_slice(name.as_bytes()),
            None => self.number(port.into()),
        }
    }

    /// A byte of foreign text, so that it steers no terminal: control characters as `^X`, the
    /// upper half as `M-x`.
    pub(super) fn foreign(&mut self, byte: u8) {
        let mut byte = byte;
        if byte >= 0x80 {
            byte &= 0x7f;
            self.text("M-");
        }
        if !(b' '..=b'~').contains(&byte) {
            byte ^= 0x40;
            self.out.push(b'^');
        }
        self.out.push(byte);
    }

    /// So many bytes of foreign text. Whether they were all there.
    pub(super) fn foreign_text(&mut self, data: &[u8], len: usize) -> bool {
        for byte in data.iter().take(len) {
            self.foreign(*byte);
        }
        data.len() >= len
    }

    /// What was not captured, by the name of its protocol.
    pub(super) fn cut(&mut self) {
        self.text(" [|");
        self.text(self.protocol);
        self.text("]");
    }

    pub(super) fn invalid(&mut self) {
        self.text(" (invalid)");
    }

    /// So many seconds in the largest units: `1w2d3h`.
    pub(super) fn span(&mut self, seconds: u32) {
        const UNITS: [(u32, &str); 6] =
            [(31_536_000, "y"), (604_800, "w"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
        if seconds == 0 {
            self.text("0s");
        }
        let mut rest = seconds;
        for (unit, letter) in UNITS {
            if rest >= unit {
                self.number(rest / unit);
                self.text(letter);
                rest %= unit;
            }
        }
    }
}
