//! The line of a packet.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::event::Owner;
use crate::packet::dissect::tree::{push_number, push_seconds};
use crate::packet::dissect::{Addr, Dissector, Meta};

/// How times are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timestamp {
    /// Since the first packet.
    #[default]
    Relative,
    Absolute,
    AbsoluteDate,
    /// Since the packet before.
    Delta,
    /// Since the packet that was shown before.
    DeltaShown,
    Epoch,
    Utc,
    UtcDate,
}

/// Fills up with blanks before what begins at `start`.
fn right(out: &mut String, start: usize, width: usize) {
    let len = out.len() - start;
    if len < width {
        out.insert_str(start, &"                    "[..(width - len).min(20)]);
    }
}

fn left(out: &mut String, start: usize, width: usize) {
    for _ in out.len() - start..width {
        out.push(' ');
    }
}

pub fn line(
    meta: &Meta<'_>,
    dissector: &Dissector,
    time: Timestamp,
    digits: usize,
    out: &mut String,
) {
    let columns = &dissector.columns;
    let start = out.len();
    push_number(out, meta.number);
    right(out, start, 5);
    out.push(' ');
    let start = out.len();
    push_time(meta, time, digits, out);
    right(out, start, 10);
    out.push(' ');
    let start = out.len();
    columns.source.push(out);
    right(out, start, 12);
    out.push_str(" → ");
    let start = out.len();
    columns.target.push(out);
    left(out, start, 12);
    out.push(' ');
    protocol(dissector, out);
    out.push(' ');
    push_number(out, meta.len.into());
    out.push(' ');
    info(dissector, out);
}

pub fn protocol(dissector: &Dissector, out: &mut String) {
    use crate::packet::dissect::ColumnProtocol as P;
    match dissector.columns.protocol {
        P::Name(name) => out.push_str(name),
        P::Ethertype(kind) => {
            let _ = write!(out, "0x{kind:04x}");
        }
    }
}

pub fn info(dissector: &Dissector, out: &mut String) {
    let info = &dissector.columns.info;
    if info.bytes().all(|byte| (0x20..0x7f).contains(&byte) || byte >= 0x80 && byte != 0xc2) {
        out.push_str(info);
    } else {
        super::push_safe(out, info);
    }
}

/// Whose the packet is, which tshark does not know.
pub fn owner(owner: &Owner, peer: Option<&Owner>, out: &mut String) {
    let one = |owner: &Owner, out: &mut String| {
        super::push_safe(out, &String::from_utf8_lossy(owner.comm.bytes()));
        let _ = write!(out, "[{}]", owner.pid);
    };
    out.push_str("  ");
    one(owner, out);
    if let Some(peer) = peer {
        out.push_str(" > ");
        one(peer, out);
    }
}

/// Columns with tabs between.
pub fn tabs(
    meta: &Meta<'_>,
    dissector: &Dissector,
    time: Timestamp,
    digits: usize,
    out: &mut String,
) {
    let columns = &dissector.columns;
    let start = out.len();
    push_number(out, meta.number);
    right(out, start, 5);
    out.push('\t');
    let start = out.len();
    push_time(meta, time, digits, out);
    right(out, start, 10);
    out.push('\t');
    let cell = |addr: Addr, out: &mut String| {
        let start = out.len();
        addr.push(out);
        start
    };
    let start = cell(columns.source, out);
    right(out, start, 12);
    out.push_str("\t→\t");
    let start = cell(columns.target, out);
    left(out, start, 12);
    out.push('\t');
    protocol(dissector, out);
    out.push('\t');
    push_number(out, meta.len.into());
    out.push('\t');
    info(dissector, out);
    out.push('\n');
}

pub fn push_time(meta: &Meta<'_>, time: Timestamp, digits: usize, out: &mut String) {
    let start = out.len();
    let cut = |out: &mut String| {
        if digits < 9 {
            let len = out.len() - (9 - digits.max(1));
            if len > start {
                out.truncate(len);
            }
        }
    };
    match time {
        Timestamp::Relative => push_seconds(out, meta.time - meta.first),
        Timestamp::Delta => push_seconds(out, meta.time - meta.before),
        Timestamp::DeltaShown => push_seconds(out, meta.time - meta.shown),
        Timestamp::Epoch => push_seconds(out, meta.time),
        Timestamp::Absolute | Timestamp::AbsoluteDate | Timestamp::Utc | Timestamp::UtcDate => {
            let utc = matches!(time, Timestamp::Utc | Timestamp::UtcDate);
            let zone = if utc { TimeZone::UTC } else { TimeZone::system() };
            let Ok(at) = jiff::Timestamp::from_nanosecond(meta.time.into()) else { return };
            let at = at.to_zoned(zone);
            if matches!(time, Timestamp::AbsoluteDate | Timestamp::UtcDate) {
                let _ = write!(out, "{} ", at.strftime("%Y-%m-%d"));
            }
            let _ = write!(
                out,
                "{:02}:{:02}:{:02}.{:09}",
                at.hour(),
                at.minute(),
                at.second(),
                at.subsec_nanosecond()
            );
        }
    }
    cut(out);
}
