//! Text, line by line.

use super::field::text_lines;
use super::{Buf, Context, Result};

/// Lines of a packet: more are not shown.
const MOST: usize = 2_000;

/// Types of content that are text.
pub fn is_text(kind: &str) -> bool {
    kind.starts_with("text/")
        || matches!(
            kind,
            "application/javascript"
                | "application/x-javascript"
                | "application/x-ns-proxy-autoconfig"
        )
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>, kind: &str) -> Result {
    let bytes = buf.kept();
    if bytes.is_empty() {
        return Ok(());
    }
    c.enter(text_lines::SELF, buf, bytes.len());
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let many = if lines.len() == 1 { "" } else { "s" };
    c.label(format_args!("Line-based text data: {kind} ({} line{many})", lines.len()));
    c.open();
    let mut at = 0;
    for line in lines.into_iter().take(MOST) {
        let written = super::http::escaped(line);
        c.title(buf, at, line.len(), format_args!("{written}"));
        at += line.len();
    }
    c.close();
    Ok(())
}
