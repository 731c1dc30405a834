use super::Printer;
use super::read::Printed;
impl Printer { pub(super) fn ntp(&mut self, data:&[u8],_len:u32) -> Printed { let _ = data; self.text("TODO"); Ok(()) } }
