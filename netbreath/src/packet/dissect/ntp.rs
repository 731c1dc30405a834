//! NTP (RFC 5905).

use super::field::ntp;
use super::tree::ipv4;
use super::{Buf, Context, Id, Result, Value, column, info};

/// Seconds from 1900 to 1970.
const EPOCH: i64 = 2_208_988_800;

fn word(id: Id, value: u64) -> &'static str {
    id.field().and_then(|field| field.word(value)).unwrap_or("Unknown")
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "NTP";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("NTP");
        c.columns.info.clear();
    }
    let flags = buf.u8(0)?;
    let (leap, version, mode) = (flags >> 6, flags >> 3 & 7, flags & 7);
    let (version_word, mode_word) =
        (word(ntp::FLAGS_VN, version.into()), word(ntp::FLAGS_MODE, mode.into()));
    info!(c, "{version_word}, {mode_word}");
    c.enter(ntp::SELF, buf, buf.kept().len());
    c.label(format_args!("Network Time Protocol ({version_word}, {mode_word})"));
    c.open();
    c.add(ntp::FLAGS, buf, 0, 1, Value::Uint(flags.into()));
    c.label(format_args!(
        "Flags: 0x{flags:02x}, Leap Indicator: {}, Version number: {version_word}, Mode: {mode_word}",
        word(ntp::FLAGS_LI, leap.into())
    ));
    c.open();
    c.add(ntp::FLAGS_LI, buf, 0, 1, Value::Uint(leap.into()));
    c.add(ntp::FLAGS_VN, buf, 0, 1, Value::Uint(version.into()));
    c.add(ntp::FLAGS_MODE, buf, 0, 1, Value::Uint(mode.into()));
    c.close();
    // Control messages and private ones have another layout.
    if mode >= 6 {
        c.close();
        return Ok(());
    }
    let stratum = buf.u8(1)?;
    c.add(ntp::STRATUM, buf, 1, 1, Value::Uint(stratum.into()));
    let meaning = match stratum {
        0 => "unspecified or invalid",
        1 => "primary reference",
        2..=15 => "secondary reference",
        16 => "unsynchronized",
        _ => "reserved",
    };
    c.label(format_args!("Peer Clock Stratum: {meaning} ({stratum})"));
    let poll = buf.u8(2)?;
    c.add(ntp::PPOLL, buf, 2, 1, Value::Uint(poll.into()));
    if (4..=17).contains(&poll) {
        c.label(format_args!("Peer Polling Interval: {poll} ({} seconds)", 1_u32 << poll));
    } else {
        c.label(format_args!("Peer Polling Interval: invalid ({poll})"));
    }
    let precision = buf.u8(3)?;
    c.add(ntp::PRECISION, buf, 3, 1, Value::Uint(precision.into()));
    let seconds = 2_f64.powi((precision as i8).into());
    c.label(format_args!("Peer Clock Precision: {seconds:.6} seconds"));
    for (id, at, name) in
        [(ntp::ROOTDELAY, 4, "Root Delay"), (ntp::ROOTDISPERSION, 8, "Root Dispersion")]
    {
        let fixed = buf.u32(at)?;
        c.add(id, buf, at, 4, Value::Uint(fixed.into()));
        c.label(format_args!("{name}: {:.6} seconds", f64::from(fixed) / 65_536.0));
    }
    let reference: [u8; 4] = buf.array(12)?;
    c.add(ntp::REFID, buf, 12, 4, Value::Bytes);
    if reference == [0; 4] {
        c.label(format_args!("Reference ID: NULL"));
    } else if stratum > 1 {
        c.label(format_args!("Reference ID: {}", ipv4(reference)));
    } else {
        let text = String::from_utf8_lossy(&reference);
        c.label(format_args!("Reference ID: {}", text.trim_end_matches('\0')));
    }
    for (id, at, name) in [
        (ntp::REFTIME, 16, "Reference Timestamp"),
        (ntp::ORG, 24, "Origin Timestamp"),
        (ntp::REC, 32, "Receive Timestamp"),
        (ntp::XMT, 40, "Transmit Timestamp"),
    ] {
        let (seconds, part) = (buf.u32(at)?, buf.u32(at + 4)?);
        // Times of the era that began in 1900.
        let nanoseconds = (u64::from(part) * 1_000_000_000) >> 32;
        let time = (i64::from(seconds) - EPOCH) * 1_000_000_000 + nanoseconds as i64;
        c.add(id, buf, at, 8, Value::Abs(time));
        if seconds == 0 && part == 0 {
            c.label(format_args!("{name}: NULL"));
        }
    }
    if buf.len() >= 68 {
        c.add(ntp::KEYID, buf, 48, 4, Value::Bytes);
        c.add(ntp::MAC, buf, 52, buf.kept().len().saturating_sub(52), Value::Bytes);
    }
    c.close();
    Ok(())
}
