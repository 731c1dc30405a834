//! One array of objects, an object a row, with the keys of the schema in its order.

use serde::Serialize;

use super::{Format, misleads, put};
use crate::event::{Event, Gap, write_finding, write_json};
use crate::lint::Finding;
use crate::table::socket::Holder;
use crate::view::change;
use crate::view::socket::Held;
use crate::view::{Cell, Column, Field};

/// Writes rows as the elements of one array.
#[derive(Debug)]
pub struct Json<R: 'static> {
    fields: Vec<&'static Field<R>>,
    boot: i64,
    first: bool,
}

impl<R> Json<R> {
    /// Objects with the fields of these columns, in the order of `keys`.
    pub fn new(columns: &[&'static Column<R>], keys: &[&str]) -> Json<R> {
        let all = || columns.iter().flat_map(|column| column.fields).copied();
        let fields = keys.iter().filter_map(|key| all().find(|field| field.key == *key)).collect();
        Json { fields, boot: 0, first: true }
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.first { b"\n" } else { b",\n" });
        self.first = false;
    }
}

impl<R> Format<R> for Json<R> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(b'[');
    }

    fn row(&mut self, row: &R, out: &mut Vec<u8>) {
        self.separate(out);
        out.push(b'{');
        let mut first = true;
        let mut fields = &self.fields[..];
        while let Some(field) = fields.first() {
            let group = field.key.split_once('.').map(|(group, _)| group);
            let len = fields.iter().take_while(|field| in_group(field, group)).count().max(1);
            // A field without a group stands alone, whatever follows.
            let (members, rest) = fields.split_at(if group.is_some() { len } else { 1 });
            fields = rest;
            match group {
                None => first &= !put_member(out, first, field.key, (field.read)(row), self.boot),
                Some(group) => {
                    let cells = || members.iter().map(|member| (member.read)(row));
                    if cells().all(|cell| cell == Cell::Absent) {
                        continue;
                    }
                    put_key(out, first, group);
                    first = false;
                    // Nothing of the object is known: the object itself is not.
                    if cells().all(|cell| cell == Cell::Unknown) {
                        out.extend_from_slice(b"null");
                        continue;
                    }
                    out.push(b'{');
                    let mut first = true;
                    for member in members {
                        let key = member.key.split_once('.').map_or(member.key, |(_, key)| key);
                        first &= !put_member(out, first, key, (member.read)(row), self.boot);
                    }
                    out.push(b'}');
                }
            }
        }
        out.push(b'}');
    }

    fn gap(&mut self, event: &Event, _: &Gap, out: &mut Vec<u8>) {
        self.separate(out);
        write_json(event, self.boot, out);
    }

    fn finding(&mut self, finding: &Finding, out: &mut Vec<u8>) {
        self.separate(out);
        write_finding(finding, self.boot, out);
    }

    fn clock(&mut self, boot: i64) {
        self.boot = boot;
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.first { b"]\n" } else { b"\n]\n" });
    }
}

fn in_group<R>(field: &Field<R>, group: Option<&str>) -> bool {
    field.key.split_once('.').map(|(group, _)| group) == group
}

fn put_key(out: &mut Vec<u8>, first: bool, key: &str) {
    if !first {
        out.push(b',');
    }
    // Keys are ours and need no escape.
    put(out, format_args!("\"{key}\":"));
}

/// Writes `"key":value` unless the value is absent; whether it did.
fn put_member(out: &mut Vec<u8>, first: bool, key: &str, cell: Cell<'_>, boot: i64) -> bool {
    if cell == Cell::Absent {
        return false;
    }
    put_key(out, first, key);
    match cell {
        Cell::Absent | Cell::Unknown | Cell::Accepted { fd: None } | Cell::Said(_) => {
            out.extend_from_slice(b"null");
        }
        Cell::Time(at) => put(out, format_args!("{}", boot.saturating_add_unsigned(at))),
        Cell::Duration(number) | Cell::Number(number) => put(out, format_args!("{number}")),
        Cell::Flag(flag) => put(out, format_args!("{flag}")),
        Cell::Id(id) => put(out, format_args!("\"{id}\"")),
        Cell::Word(word) => put_json(out, &word),
        Cell::Name(name) => put_text(out, name),
        Cell::Change(body) => put_json(out, &change::words(body)),
        Cell::ChangeOf(body) => put_json(out, &change::sentence(body)),
        Cell::Names(names) => {
            out.push(b'[');
            for (place, name) in names.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                put_text(out, name.as_bytes());
            }
            out.push(b']');
        }
        Cell::Holders(holders) => put_holders(out, holders),
        Cell::Endpoint(endpoint) => put(out, format_args!("\"{endpoint}\"")),
        Cell::State(state) => put_json(out, &state.name()),
        // These say for people what fields say for programs.
        Cell::Process { pid, .. } | Cell::From { pid, .. } => put(out, format_args!("{pid}")),
        Cell::Transition { new, .. } => put_json(out, &new.name()),

        Cell::Accepted { fd: Some(fd) } => put(out, format_args!("{fd}")),
    }
    true
}

/// A name from outside. What a terminal would obey or be misled by is escaped, also where
/// JSON does not demand it.
fn put_text(out: &mut Vec<u8>, name: &[u8]) {
    let begin = out.len();
    put_json(out, &String::from_utf8_lossy(name));
    if out[begin..].is_ascii() && !out[begin..].contains(&0x7f) {
        return;
    }
    let text = String::from_utf8_lossy(&out[begin..]).into_owned();
    out.truncate(begin);
    for c in text.chars() {
        if c.is_control() || misleads(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                put(out, format_args!("\\u{unit:04x}"));
            }
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// An array of objects.
fn put_holders(out: &mut Vec<u8>, holders: &[Held]) {
    out.push(b'[');
    for (place, Held { pid, fd, comm, uid }) in holders.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put(out, format_args!("{{\"pid\":{pid},\"comm\":"));
        put_text(out, comm);
        match *fd {
            Holder::UNKNOWN => out.extend_from_slice(b",\"fd\":null"),
            fd => put(out, format_args!(",\"fd\":{fd}")),
        }
        if let Some(uid) = uid {
            put(out, format_args!(",\"uid\":{uid}"));
        }
        out.push(b'}');
    }
    out.push(b']');
}

/// Serializing our own plain data into memory cannot fail.
fn put_json(out: &mut Vec<u8>, value: &impl Serialize) {
    let _infallible = serde_json::to_writer(out, value);
}
