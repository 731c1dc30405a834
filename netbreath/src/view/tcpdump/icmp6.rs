use super::Printer; use super::ip::Outer;
use super::read::Printed;
impl Printer { pub(super) fn icmp6(&mut self, data:&[u8],_len:u32,_o:Outer<'_>,_f:bool) -> Printed { let _ = data; self.text("TODO"); Ok(()) } }
