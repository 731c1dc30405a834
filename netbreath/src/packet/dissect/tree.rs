//! What was found in a packet: a flat list in the order of the tree, used again for the
//! next packet.

use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::field::{Base, Field, Id, Kind, Words};

/// Bytes that a row shows.
const MOST_BYTES: usize = 36;

/// A part of the text of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// It is there.
    None,
    /// A protocol, to this place in the packet.
    Whole(u32),
    Uint(u64),
    Int(i64),
    Bool(bool),
    Ipv4([u8; 4]),
    Ipv6([u8; 16]),
    Ether([u8; 6]),
    /// The packet's bytes that the node is about.
    Bytes,
    Text(Span),
    Word(&'static str),
    /// Nanoseconds.
    Rel(i64),
    /// Nanoseconds since the epoch.
    Abs(i64),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Nothing for a row that is a title only.
    pub id: Option<Id>,
    pub depth: u8,
    /// Filters and programs see it, people do not.
    pub hidden: bool,
    /// It does not stand in the packet: it was worked out.
    pub generated: bool,
    pub at: u32,
    pub len: u32,
    pub value: Value,
    /// How the row reads, if not as its field says.
    pub label: Option<Span>,
}

impl Node {
    /// The packet's bytes that the row is about.
    pub fn bytes<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let start = (self.at as usize).min(packet.len());
        let end = start.saturating_add(self.len as usize).min(packet.len());
        packet.get(start..end).unwrap_or_default()
    }
}

/// All rows of a packet.
#[derive(Debug, Default)]
pub struct Tree {
    pub nodes: Vec<Node>,
    text: String,
}

impl Tree {
    pub fn clear(&mut self) {
        self.nodes.clear();
        self.text.clear();
    }

    pub fn text(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Keeps a text.
    pub fn write(&mut self, text: fmt::Arguments<'_>) -> Span {
        let start = self.text.len() as u32;
        // Why ignored: a String takes everything.
        let _ = self.text.write_fmt(text);
        Span { start, end: self.text.len() as u32 }
    }

    /// The row as people read it: `Source Port: 80`, without the brackets of what was worked
    /// out.
    pub fn label(&self, node: &Node, packet: &[u8], out: &mut String) {
        if let Some(label) = node.label {
            out.push_str(self.text(label));
            return;
        }
        let Some(field) = node.id.and_then(Id::field) else {
            out.push_str(node.id.map_or("", |id| id.of().title));
            return;
        };
        if field.mask != 0 {
            bits(field, node.value, out);
            out.push_str(" = ");
        }
        out.push_str(field.title);
        if matches!(node.value, Value::None | Value::Whole(_)) {
            return;
        }
        out.push_str(": ");
        let number = match node.value {
            Value::Uint(number) => Some(number),
            _ => None,
        };
        match (field.words, number) {
            // One name is that of a number with a meaning of its own.
            (Words::Names([_]), Some(number)) if field.word(number).is_none() => {
                self.number(field, number, out);
            }
            (Words::Names(_), Some(number)) => {
                out.push_str(field.word(number).unwrap_or("Unknown"));
                out.push_str(" (");
                self.number(field, number, out);
                out.push(')');
            }
            (_, Some(number)) => match field.base {
                Base::DecHex => {
                    let _ = write!(out, "{number} (0x{number:0w$x})", w = digits(field));
                }
                Base::HexDec => {
                    let _ = write!(out, "0x{number:0w$x} ({number})", w = digits(field));
                }
                _ => self.number(field, number, out),
            },
            _ => match node.value {
                Value::Bool(bit) => out.push_str(bit_word(field, bit)),
                Value::Bytes if !field.kind.is_text() => {
                    let bytes = node.bytes(packet);
                    if bytes.is_empty() {
                        out.push_str("<none>");
                    }
                    // A row is no place for more.
                    for byte in bytes.iter().take(MOST_BYTES) {
                        let _ = write!(out, "{byte:02x}");
                    }
                    if bytes.len() > MOST_BYTES {
                        out.push('…');
                    }
                }
                Value::Rel(_) => {
                    self.show(node, packet, out);
                    out.push_str(" seconds");
                }
                _ => self.show(node, packet, out),
            },
        }
    }

    fn number(&self, field: &Field, number: u64, out: &mut String) {
        match field.base {
            Base::Hex | Base::HexDec => {
                let _ = write!(out, "0x{number:0w$x}", w = digits(field));
            }
            Base::Oct => {
                let _ = write!(out, "0{number:o}");
            }
            Base::Oui => {
                let [_, a, b, c] = (number as u32).to_be_bytes();
                let _ = write!(out, "{a:02x}:{b:02x}:{c:02x}");
            }
            _ => push_number(out, number),
        }
    }

    /// The value alone, as programs read it.
    pub fn show(&self, node: &Node, packet: &[u8], out: &mut String) {
        let field = node.id.and_then(Id::field);
        match node.value {
            Value::None | Value::Whole(_) => {}
            Value::Uint(number) => match field {
                Some(field) if matches!(field.base, Base::Hex | Base::HexDec) => {
                    let _ = write!(out, "0x{number:0w$x}", w = whole_digits(field));
                }
                Some(field) if field.base == Base::Oct => {
                    let _ = write!(out, "0{number:o}");
                }
                _ => push_number(out, number),
            },
            Value::Int(number) => {
                let _ = write!(out, "{number}");
            }
            Value::Bool(bit) => out.push(if bit { '1' } else { '0' }),
            Value::Ipv4(addr) => push_ipv4(out, addr),
            Value::Ipv6(addr) => push_ipv6(out, addr),
            Value::Ether(addr) => push_bytes(out, &addr, ':'),
            Value::Bytes if node.id.is_some_and(|id| id.kind().is_text()) => {
                push_lossy(out, node.bytes(packet));
            }
            Value::Bytes => push_bytes(out, node.bytes(packet), ':'),
            Value::Text(span) => out.push_str(self.text(span)),
            Value::Word(word) => out.push_str(word),
            Value::Rel(time) => push_seconds(out, time),
            Value::Abs(time) => push_date(out, time),
        }
    }

    /// The text of a text.
    pub fn string<'a>(&'a self, node: &Node, packet: &'a [u8]) -> std::borrow::Cow<'a, str> {
        match node.value {
            Value::Text(span) => self.text(span).into(),
            Value::Word(word) => word.into(),
            _ => String::from_utf8_lossy(node.bytes(packet)),
        }
    }
}

fn digits(field: &Field) -> usize {
    let bits = if field.mask == 0 {
        field.kind.bits()
    } else {
        64 - (field.mask >> field.mask.trailing_zeros()).leading_zeros()
    };
    (bits as usize).div_ceil(4)
}

/// Digits of the whole type.
fn whole_digits(field: &Field) -> usize {
    field.kind.bits() as usize / 4
}

pub fn bit_word(field: &Field, bit: bool) -> &'static str {
    match (field.words, bit) {
        (Words::Bit(set, _), true) => set,
        (Words::Bit(_, clear), false) => clear,
        (_, true) => "True",
        (_, false) => "False",
    }
}

/// `.... ..1.`
pub fn bits(field: &Field, value: Value, out: &mut String) {
    let width = if field.width > 0 { field.width } else { field.kind.bits() };
    let number = match value {
        Value::Uint(number) => number,
        Value::Bool(bit) => u64::from(bit),
        _ => 0,
    };
    let shift = field.mask.trailing_zeros();
    // A bit can stand for several.
    let placed = if let Value::Bool(true) = value { field.mask } else { number << shift };
    for place in (0..width).rev() {
        out.push(if field.mask >> place & 1 == 0 {
            '.'
        } else if placed >> place & 1 == 1 {
            '1'
        } else {
            '0'
        });
        if place % 4 == 0 && place > 0 {
            out.push(' ');
        }
    }
}

pub fn push_number(out: &mut String, number: u64) {
    out.push_str(itoa::Buffer::new().format(number));
}

pub fn push_bytes(out: &mut String, bytes: &[u8], between: char) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for (place, byte) in bytes.iter().enumerate() {
        if place > 0 {
            out.push(between);
        }
        out.push(HEX[usize::from(byte >> 4)].into());
        out.push(HEX[usize::from(byte & 15)].into());
    }
}

pub fn push_ipv4(out: &mut String, addr: [u8; 4]) {
    for (place, byte) in addr.into_iter().enumerate() {
        if place > 0 {
            out.push('.');
        }
        push_number(out, byte.into());
    }
}

pub fn push_ipv6(out: &mut String, addr: [u8; 16]) {
    let _ = write!(out, "{}", Ipv6Addr::from(addr));
}

pub fn ipv4(addr: [u8; 4]) -> Ipv4Addr {
    addr.into()
}

pub fn ipv6(addr: [u8; 16]) -> Ipv6Addr {
    addr.into()
}

fn push_lossy(out: &mut String, bytes: &[u8]) {
    out.push_str(&String::from_utf8_lossy(bytes));
}

/// Seconds with nanoseconds.
pub fn push_seconds(out: &mut String, time: i64) {
    if time < 0 {
        out.push('-');
    }
    let time = time.unsigned_abs();
    push_number(out, time / 1_000_000_000);
    out.push('.');
    let rest = time % 1_000_000_000;
    let mut digits = [b'0'; 9];
    let mut left = rest;
    for digit in digits.iter_mut().rev() {
        *digit += (left % 10) as u8;
        left /= 10;
    }
    out.push_str(std::str::from_utf8(&digits).unwrap_or_default());
}

/// `Nov 14, 2023 22:13:20.000000000 UTC`, in this machine's time zone.
pub fn push_date(out: &mut String, time: i64) {
    // Where NTP counts from: there is no time.
    if time == -2_208_988_800_000_000_000 {
        out.push_str("NULL");
        return;
    }
    let Ok(at) = jiff::Timestamp::from_nanosecond(time.into()) else { return };
    let at = at.to_zoned(jiff::tz::TimeZone::system());
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.get(usize::from(at.month().unsigned_abs()) - 1).unwrap_or(&"");
    let _ = write!(
        out,
        "{month} {:2}, {} {:02}:{:02}:{:02}.{:09} {}",
        at.day(),
        at.year(),
        at.hour(),
        at.minute(),
        at.second(),
        at.subsec_nanosecond(),
        at.strftime("%Z"),
    );
}

/// Rows of these kinds hold bytes that filters compare.
pub fn has_bytes(kind: Kind) -> bool {
    matches!(kind, Kind::Bytes | Kind::Part | Kind::Protocol)
}
