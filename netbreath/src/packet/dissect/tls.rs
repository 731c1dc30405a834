use super::{Buf, Context, Result, data};
pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    data::dissect(c, buf)
}
pub fn is_port(_: u16) -> bool {
    false
}
pub fn is_one(_: Buf<'_>) -> bool {
    false
}
