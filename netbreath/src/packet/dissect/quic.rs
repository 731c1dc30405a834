//! QUIC's long headers (RFC 9000, section 17.2). What stands behind them is protected.

use super::field::quic;
use super::{Buf, Context, Result, Value, column, info};

/// It has a long header of a version that is known.
pub fn is_one(buf: Buf<'_>) -> bool {
    let (Ok(first), Ok(version)) = (buf.u8(0), buf.u32(1)) else { return false };
    first & 0xc0 == 0xc0 && matches!(version, 1 | 0x6b33_43cf)
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "QUIC";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("QUIC");
        c.columns.info.clear();
    }
    let (first, version) = (buf.u8(0)?, buf.u32(1)?);
    c.enter(quic::SELF, buf, buf.kept().len());
    c.label(format_args!("QUIC IETF"));
    c.open();
    c.add(quic::HEADER_FORM, buf, 0, 1, Value::Uint(1));
    c.add(quic::FIXED_BIT, buf, 0, 1, Value::Bool(first & 0x40 != 0));
    let kind = first >> 4 & 3;
    c.add(quic::LONG_PACKET_TYPE, buf, 0, 1, Value::Uint(kind.into()));
    c.add(quic::VERSION, buf, 1, 4, Value::Uint(version.into()));
    let name = match kind {
        0 => "Initial",
        1 => "0-RTT",
        2 => "Handshake",
        _ => "Retry",
    };
    info!(c, "{name}");
    let mut at = 5;
    for (len_id, id, title) in [(quic::DCIL, quic::DCID, "DCID"), (quic::SCIL, quic::SCID, "SCID")]
    {
        let len = usize::from(buf.u8(at)?);
        c.add(len_id, buf, at, 1, Value::Uint(len as u64));
        let bytes = buf.get(at + 1, len)?;
        if len > 0 {
            c.add(id, buf, at + 1, len, Value::Bytes);
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            info!(c, ", {title}={text}");
        }
        at += 1 + len;
    }
    c.add(quic::REMAINING_PAYLOAD, buf, at, buf.kept().len().saturating_sub(at), Value::Bytes);
    c.close();
    Ok(())
}
