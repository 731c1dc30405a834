use super::Printer;
use super::read::Printed;
impl Printer { pub(super) fn icmp(&mut self, data:&[u8],_len:u32,_f:bool) -> Printed { let _ = data; self.text("TODO"); Ok(()) } }
