use super::{Buf, Context, Result, data};
pub fn datagram(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    data::dissect(c, buf)
}
pub fn multicast(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    data::dissect(c, buf)
}
pub fn stream(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    data::dissect(c, buf)
}
