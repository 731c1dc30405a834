//! Packets as tshark shows them: a line each, the tree of their fields, or fields for
//! programs.

mod ek;
mod field;
mod json;
mod pdml;
mod statistic;
mod summary;
mod tree;

pub use field::{Aggregate, Fields, Occurrence, Quote};
pub use statistic::{Statistic, Statistics};
pub use summary::Timestamp;

use std::collections::HashSet;

use crate::event::packet::{Direction, Packet};
use crate::packet::display::Filter;
use crate::packet::dissect::{Dissector, Meta, Want};
use crate::packet::link_type;

/// What becomes of each packet.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Form {
    /// A line.
    #[default]
    Summary,
    /// The tree of all fields; of these protocols only, if there are some.
    Tree(Option<HashSet<String>>),
    Fields(Fields),
    /// Of these protocols, or of these fields, if there are some.
    Json(Option<HashSet<String>>, Option<Fields>),
    Ek(Option<HashSet<String>>),
    Pdml(Option<HashSet<String>>),
    /// Columns with tabs between.
    Tabs,
    /// Nothing: somebody wants statistics only.
    Quiet,
}

/// How packets are shown.
#[derive(Debug, Default)]
pub struct Show {
    pub form: Form,
    /// The line above the tree too.
    pub summary: bool,
    pub hex: bool,
    pub time: Timestamp,
    pub filter: Option<Filter>,
    pub statistics: Vec<Statistic>,
}

/// Shows one packet after the other.
pub struct Shower {
    show: Show,
    dissector: Dissector,
    statistics: Statistics,
    number: u64,
    first: Option<i64>,
    before: i64,
    shown: Option<i64>,
    pub passed: u64,
    text: String,
}

impl Shower {
    pub fn new(mut show: Show) -> Shower {
        let tree = !matches!(show.form, Form::Summary | Form::Tabs | Form::Quiet);
        let fields = tree || show.filter.is_some() || !show.statistics.is_empty();
        let columns = match &show.form {
            Form::Fields(fields) => fields.has_columns(),
            Form::Quiet => false,
            _ => true,
        };
        let labels = match &show.form {
            Form::Tree(_) | Form::Pdml(_) | Form::Ek(_) | Form::Json(..) => true,
            Form::Fields(fields) => fields.has_protocols(),
            _ => false,
        };
        let want = Want { fields, labels, columns };
        Shower {
            dissector: Dissector::new(want),
            statistics: Statistics::new(std::mem::take(&mut show.statistics)),
            show,
            number: 0,
            first: None,
            before: 0,
            shown: None,
            passed: 0,
            text: String::with_capacity(4096),
        }
    }

    /// What stands before the first packet.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        match &self.show.form {
            Form::Fields(fields) => fields.header(out),
            Form::Json(..) => out.extend(b"["),
            Form::Pdml(_) => pdml::begin(out),
            _ => {}
        }
    }

    /// A packet; `digits` are those of its time. Whether it was shown.
    pub fn packet(&mut self, packet: &Packet, digits: usize, out: &mut Vec<u8>) -> bool {
        let time = packet.wall as i64;
        self.number += 1;
        let first = *self.first.get_or_insert(time);
        let before = if self.number == 1 { time } else { self.before };
        let (link_type, interface) = match &packet.interface {
            Some(one) => (one.link_type, Some((one.index, &*one.name))),
            None => (link_type::ETHERNET, None),
        };
        let meta = Meta {
            number: self.number,
            time,
            first,
            before,
            shown: self.shown.unwrap_or(first),
            len: packet.len,
            data: &packet.data,
            link_type,
            // Classic files do not tell.
            interface: interface.filter(|(index, name)| *index > 0 || !name.is_empty()),
            direction: match packet.direction {
                Direction::In => 1,
                Direction::Out => 2,
                Direction::Unknown => 0,
            },
            owner: packet.owner.as_ref(),
            peer: packet.peer.as_ref().and_then(|peer| peer.owner.as_ref()),
            socket_state: packet.state.map(|state| state.name()),
        };
        self.dissector.dissect(&meta);
        self.before = time;
        if let Some(filter) = &self.show.filter
            && !filter.matches(&self.dissector.tree, &packet.data)
        {
            return false;
        }
        self.statistics.packet(&meta, &self.dissector);
        self.shown = Some(time);
        self.passed += 1;
        self.text.clear();
        let text = &mut self.text;
        let dissector = &self.dissector;
        match &self.show.form {
            Form::Summary => {
                summary::line(&meta, dissector, self.show.time, digits, text);
                if let Some(owner) = meta.owner {
                    summary::owner(owner, meta.peer, text);
                }
                text.push('\n');
            }
            Form::Tabs => summary::tabs(&meta, dissector, self.show.time, digits, text),
            Form::Tree(only) => {
                if self.show.summary {
                    summary::line(&meta, dissector, self.show.time, digits, text);
                    text.push('\n');
                }
                tree::write(&meta, dissector, only.as_ref(), text);
                text.push('\n');
            }
            Form::Fields(fields) => fields.write(&meta, dissector, self.show.time, digits, text),
            Form::Json(only, fields) => {
                json::write(
                    &meta,
                    dissector,
                    only.as_ref(),
                    fields.as_ref(),
                    self.passed == 1,
                    text,
                );
            }
            Form::Ek(only) => ek::write(&meta, dissector, only.as_ref(), text),
            Form::Pdml(only) => pdml::write(&meta, dissector, only.as_ref(), text),
            Form::Quiet => {}
        }
        if self.show.hex && matches!(self.show.form, Form::Summary | Form::Tree(_)) {
            hex(&packet.data, text);
            text.push('\n');
        }
        out.extend_from_slice(text.as_bytes());
        true
    }

    /// What stands behind the last packet.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        match &self.show.form {
            Form::Json(..) => out.extend(if self.passed == 0 { &b"\n]\n"[..] } else { b"\n]\n" }),
            Form::Pdml(_) => out.extend(b"</pdml>\n"),
            _ => {}
        }
        self.statistics.write(out);
    }
}

/// Bytes as numbers and as letters.
pub fn hex(bytes: &[u8], out: &mut String) {
    use std::fmt::Write as _;
    let mut at = 0;
    for row in bytes.chunks(16) {
        let _ = write!(out, "{at:04x}  ");
        for place in 0..16 {
            match row.get(place) {
                Some(byte) => {
                    let _ = write!(out, "{byte:02x} ");
                }
                None => out.push_str("   "),
            }
        }
        out.push_str("  ");
        for byte in row {
            out.push(if (0x20..0x7f).contains(byte) { (*byte).into() } else { '.' });
        }
        out.push('\n');
        at += 16;
    }
}

/// What a packet says must not steer a terminal: control characters become escapes.
pub fn push_safe(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push('\\'),
            c if c.is_control() || is_steering(c) => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Characters that turn the direction of a line.
fn is_steering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Parts of IPv6 that are protocols.
const PARTS: [&str; 4] = ["ipv6.hopopts", "ipv6.dstopts", "ipv6.routing", "ipv6.fraghdr"];

/// The protocol of a field: parts of a protocol have fields of their own.
fn parent<'a>(protocol: &'a str, field: &str) -> &'a str {
    let part = PARTS
        .iter()
        .find(|part| field.strip_prefix(**part).is_some_and(|rest| rest.starts_with('.')));
    part.copied().unwrap_or(protocol)
}

/// A field as `tshark -G fields` lists it, without its description.
pub fn glossary(protocol: &str, field: &crate::packet::dissect::field::Field) -> String {
    use crate::packet::dissect::field::{Base, Kind};
    let protocol = parent(protocol, field.name);
    if field.kind == Kind::Part {
        return format!("P\t{}\t{}", field.title, field.name);
    }
    let base = match field.base {
        _ if field.kind == Kind::Bool => field.width.to_string(),
        _ if field.kind == Kind::Frame => String::new(),
        Base::None => "BASE_NONE".to_owned(),
        Base::UdpPort => "BASE_PT_UDP".to_owned(),
        Base::Dec if field.kind.is_unsigned() || field.kind.is_signed() => "BASE_DEC".to_owned(),
        Base::Hex => "BASE_HEX".to_owned(),
        Base::DecHex => "BASE_DEC_HEX".to_owned(),
        Base::HexDec => "BASE_HEX_DEC".to_owned(),
        Base::Oct => "BASE_OCT".to_owned(),
        Base::Custom => "BASE_CUSTOM".to_owned(),
        Base::Port => "BASE_PT_TCP".to_owned(),
        Base::Oui => "BASE_OUI".to_owned(),
        Base::Dec => String::new(),
    };
    format!(
        "F\t{}\t{}\t{}\t{protocol}\t{base}\t0x{:x}\t",
        field.title,
        field.name,
        field.kind.name(),
        field.mask
    )
}
