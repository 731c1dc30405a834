use super::Printer;
use super::read::Printed;
impl Printer { pub(super) fn dns(&mut self, data:&[u8],_len:u32,_tcp:bool,_m:bool) -> Printed { let _ = data; self.text("TODO"); Ok(()) } }
