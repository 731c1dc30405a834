use super::{Buf, Context, Result, data};
pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    data::dissect(c, buf)
}
