//! VXLAN (RFC 7348).

use super::read::{Cut, Printed, after, has, u8, u24};
use super::{Printer, put};

impl Printer {
    pub(super) fn vxlan(&mut self, data: &[u8], len: u32) -> Printed {
        self.protocol = "vxlan";
        self.text("VXLAN");
        if len < 8 {
            self.invalid();
            return Ok(());
        }
        let flags = u8(data, 0)?;
        self.text(", flags [");
        self.text(if flags & 8 == 0 { "invalid" } else { "I" });
        put!(self, "] (0x{flags:02x}), ");
        put!(self, "vni {}\n", u24(data, 4)?);
        if !has(data, 8) {
            return Err(Cut);
        }
        self.frame(after(data, 8), len - 8)
    }
}
