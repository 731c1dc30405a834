use super::{Buf, Context, Result, data};
pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    data::dissect(c, buf)
}
pub fn is_port(_: u16) -> bool {
    false
}
pub fn is_http(_: &mut Context<'_>, _: Buf<'_>) -> bool {
    false
}
pub fn begins(_: Buf<'_>) -> bool {
    false
}
