//! Bytes that nobody knows.

use super::field::data;
use super::{Buf, Context, Result, Value};

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    let len = buf.kept().len();
    if len == 0 {
        return Ok(());
    }
    // What is inside of an error message has no data of its own.
    let depth = c.depth;
    if c.in_error {
        c.depth = 0;
    }
    c.enter(data::SELF, buf, len);
    let many = if len == 1 { "" } else { "s" };
    c.label(format_args!("Data ({len} byte{many})"));
    c.open();
    c.add(data::DATA, buf, 0, len, Value::Bytes);
    c.generate(data::LEN, buf, Value::Uint(len as u64));
    c.close();
    c.depth = depth;
    Ok(())
}

/// Bytes that belong to the protocol around them.
pub fn below(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    dissect(c, buf)
}
