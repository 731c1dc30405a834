//! Fields that somebody asked for: `-T fields -e NAME`.

use std::fmt::Write as _;

use super::summary::{self, Timestamp};
use crate::packet::dissect::field::{Id, Kind, data};
use crate::packet::dissect::tree::push_number;
use crate::packet::dissect::{Dissector, Meta, Value};

/// Which of several are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occurrence {
    First,
    Last,
    #[default]
    All,
}

/// What stands around a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Quote {
    Double,
    Single,
    #[default]
    None,
}

/// What stands between several values of a field.
pub type Aggregate = char;

/// One that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// All fields with this name.
    Field(Vec<Id>),
    /// A column of the summary.
    Column(&'static str),
}

/// All that were asked for, and how they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Fields {
    pub asked: Vec<(String, Asked)>,
    pub header: bool,
    pub separator: char,
    pub aggregate: Aggregate,
    pub occurrence: Occurrence,
    pub quote: Quote,
    pub bom: bool,
}

impl Default for Fields {
    fn default() -> Fields {
        Fields {
            asked: Vec::new(),
            header: false,
            separator: '\t',
            aggregate: ',',
            occurrence: Occurrence::All,
            quote: Quote::None,
            bom: false,
        }
    }
}

const COLUMNS: [(&str, &str); 7] = [
    ("_ws.col.No.", "number"),
    ("_ws.col.Time", "time"),
    ("_ws.col.Source", "source"),
    ("_ws.col.Destination", "target"),
    ("_ws.col.Protocol", "protocol"),
    ("_ws.col.Length", "length"),
    ("_ws.col.Info", "info"),
];

impl Fields {
    /// Adds a field by its name.
    pub fn ask(&mut self, name: &str) -> bool {
        let column = COLUMNS.iter().find(|(known, _)| *known == name);
        let asked = match column {
            Some((_, what)) => Asked::Column(what),
            None => {
                let ids = crate::packet::dissect::field::all_by_name(name);
                if ids.is_empty() {
                    return false;
                }
                Asked::Field(ids)
            }
        };
        self.asked.push((name.to_owned(), asked));
        true
    }

    pub fn has_columns(&self) -> bool {
        self.asked.iter().any(|(_, asked)| matches!(asked, Asked::Column(_)))
    }

    /// Protocols are shown by their titles.
    pub fn has_protocols(&self) -> bool {
        self.asked.iter().any(|(_, asked)| match asked {
            Asked::Field(ids) => ids.iter().any(|id| id.is_protocol()),
            Asked::Column(_) => false,
        })
    }

    pub fn header(&self, out: &mut Vec<u8>) {
        if self.bom {
            out.extend("\u{feff}".as_bytes());
        }
        if !self.header {
            return;
        }
        let mut text = String::new();
        for (place, (name, _)) in self.asked.iter().enumerate() {
            if place > 0 {
                text.push(self.separator);
            }
            text.push_str(name);
        }
        text.push('\n');
        out.extend(text.as_bytes());
    }

    pub fn write(
        &self,
        meta: &Meta<'_>,
        dissector: &Dissector,
        time: Timestamp,
        digits: usize,
        out: &mut String,
    ) {
        let mut cell = String::new();
        for (place, (_, asked)) in self.asked.iter().enumerate() {
            if place > 0 {
                out.push(self.separator);
            }
            cell.clear();
            let found = match asked {
                Asked::Field(ids) => self.values(ids, meta, dissector, &mut cell),
                Asked::Column(what) => {
                    column(what, meta, dissector, time, digits, &mut cell);
                    true
                }
            };
            if !found {
                continue;
            }
            let quote = match self.quote {
                Quote::Double => "\"",
                Quote::Single => "'",
                Quote::None => "",
            };
            out.push_str(quote);
            super::push_safe(out, &cell);
            out.push_str(quote);
        }
        out.push('\n');
    }

    /// Each field with its values, for formats that keep them apart.
    pub fn all(
        &self,
        meta: &Meta<'_>,
        dissector: &Dissector,
        time: Timestamp,
        digits: usize,
    ) -> Vec<(String, Vec<String>)> {
        let mut all = Vec::new();
        for (name, asked) in &self.asked {
            let values = match asked {
                Asked::Field(ids) => self.each(ids, meta, dissector),
                Asked::Column(what) => {
                    let mut cell = String::new();
                    column(what, meta, dissector, time, digits, &mut cell);
                    vec![cell]
                }
            };
            all.push((name.clone(), values));
        }
        all
    }

    fn each(&self, ids: &[Id], meta: &Meta<'_>, dissector: &Dissector) -> Vec<String> {
        let one = Fields { aggregate: '\u{1}', ..self.clone() };
        let mut text = String::new();
        if !one.values(ids, meta, dissector, &mut text) {
            return Vec::new();
        }
        text.split('\u{1}').map(str::to_owned).collect()
    }

    fn values(&self, ids: &[Id], meta: &Meta<'_>, dissector: &Dissector, out: &mut String) -> bool {
        let tree = &dissector.tree;
        let mut nodes =
            tree.nodes.iter().filter(|node| node.id.is_some_and(|id| ids.contains(&id)));
        let chosen: Vec<_> = match self.occurrence {
            Occurrence::All => nodes.collect(),
            Occurrence::First => nodes.next().into_iter().collect(),
            Occurrence::Last => nodes.next_back().into_iter().collect(),
        };
        for (place, node) in chosen.iter().enumerate() {
            if place > 0 {
                out.push(self.aggregate);
            }
            let kind = node.id.map_or(Kind::None, Id::kind);
            match node.value {
                _ if node.id == Some(data::SELF) => hex(node.bytes(meta.data), out),
                _ if kind == Kind::Protocol || matches!(node.value, Value::Whole(_)) => {
                    match node.label {
                        Some(_) => tree.label(node, meta.data, out),
                        None => out.push_str(node.id.map_or("", Id::name)),
                    }
                }
                Value::None if kind == Kind::None => out.push('1'),
                Value::Bytes if !kind.is_text() && node.len == 0 => out.push_str("<none>"),
                Value::Bytes if !kind.is_text() => hex(node.bytes(meta.data), out),
                _ => tree.show(node, meta.data, out),
            }
        }
        !chosen.is_empty()
    }
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        // Why ignored: a String takes everything.
        let _ = write!(out, "{byte:02x}");
    }
}

fn column(
    what: &str,
    meta: &Meta<'_>,
    dissector: &Dissector,
    time: Timestamp,
    digits: usize,
    out: &mut String,
) {
    match what {
        "number" => push_number(out, meta.number),
        "time" => summary::push_time(meta, time, digits, out),
        "source" => dissector.columns.source.push(out),
        "target" => dissector.columns.target.push(out),
        "protocol" => summary::protocol(dissector, out),
        "length" => push_number(out, meta.len.into()),
        _ => out.push_str(&dissector.columns.info),
    }
}
