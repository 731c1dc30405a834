//! Checksums of the internet (RFC 1071), as they are checked.

use etherparse::checksum::Sum16BitWords;

/// A sum that goes on.
#[derive(Clone, Default)]
pub(super) struct Sum(Sum16BitWords);

impl Sum {
    pub(super) fn new() -> Sum {
        Sum(Sum16BitWords::new())
    }

    pub(super) fn add(self, bytes: &[u8]) -> Sum {
        Sum(self.0.add_slice(bytes))
    }

    pub(super) fn add_number(self, number: u32) -> Sum {
        self.add(&number.to_be_bytes())
    }

    /// 0 if the checksum among the bytes is right.
    pub(super) fn end(&self) -> u16 {
        u16::from_be(self.0.ones_complement())
    }
}

/// What a checksum should be, where `sum` came out with it.
pub(super) fn should_be(is: u16, sum: u16) -> u16 {
    let mut all = u32::from(is) + u32::from(sum);
    all = (all & 0xffff) + (all >> 16);
    (all + (all >> 16)) as u16
}
