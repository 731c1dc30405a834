//! A header and rows, as RFC 4180 has them but with plain newlines. Both "does not
//! apply" and "could not be known" are empty. The last column, `info`, is filled
//! in the row of a gap and empty in every other.

use super::text::{put_gap, put_holders};
use super::{Format, put, put_name, put_names};
use crate::event::{Event, Gap};
use crate::lint::Finding;
use crate::view::change;
use crate::view::{Cell, Column, Field};

/// Writes rows as comma-separated values.
#[derive(Debug)]
pub struct Csv<R: 'static> {
    fields: Vec<Named<R>>,
    boot: i64,
    /// The value that is being written.
    value: Vec<u8>,
}

/// A column of the file: fields of one name, of which at most one applies to a row,
/// such as the pid of an owner and that of a process.
#[derive(Debug)]
struct Named<R: 'static> {
    name: &'static str,
    fields: Vec<&'static Field<R>>,
}

impl<R> Named<R> {
    fn read<'a>(&self, row: &'a R) -> Cell<'a> {
        let cells = self.fields.iter().map(|field| (field.read)(row));
        cells.fold(Cell::Absent, |first, cell| if first == Cell::Absent { cell } else { first })
    }
}

impl<R> Csv<R> {
    /// Values of these columns, in their order.
    pub fn new(columns: &[&'static Column<R>]) -> Csv<R> {
        let mut fields: Vec<Named<R>> = Vec::new();
        for field in columns.iter().flat_map(|column| column.fields).copied() {
            let name = name(field);
            match fields.iter_mut().find(|other| other.name == name) {
                Some(named) => named.fields.push(field),
                None => fields.push(Named { name, fields: vec![field] }),
            }
        }
        Csv { fields, boot: 0, value: Vec::new() }
    }
}

fn name<R>(field: &Field<R>) -> &'static str {
    field.key.split_once('.').map_or(field.key, |(_, key)| key)
}

impl<R> Format<R> for Csv<R> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        for field in &self.fields {
            put(out, format_args!("{},", field.name));
        }
        out.extend_from_slice(b"info\n");
    }

    fn row(&mut self, row: &R, out: &mut Vec<u8>) {
        for field in &self.fields {
            self.value.clear();
            put_value(&mut self.value, field.read(row), self.boot);
            put_quoted(out, &self.value);
            out.push(b',');
        }
        out.push(b'\n');
    }

    fn gap(&mut self, event: &Event, gap: &Gap, out: &mut Vec<u8>) {
        for field in &self.fields {
            match field.name {
                "at" => put_value(out, Cell::Time(event.at), self.boot),
                "event" => out.extend_from_slice(event.body.name().as_bytes()),
                "via" => out.extend_from_slice(event.via.name().as_bytes()),
                _ => {}
            }
            out.push(b',');
        }
        self.value.clear();
        put_gap(&mut self.value, gap, true, true);
        put_quoted(out, &self.value);
        out.push(b'\n');
    }

    fn finding(&mut self, finding: &Finding, out: &mut Vec<u8>) {
        for field in &self.fields {
            self.value.clear();
            let owner = finding.owner.as_ref();
            let cell = match field.name {
                "at" => Cell::Time(finding.at),
                "event" => Cell::Word("lint"),
                "via" => Cell::Word("inferred"),
                "socket" => finding.socket.map_or(Cell::Absent, |id| Cell::Id(id.0)),
                "local" => finding.flow.map_or(Cell::Absent, |flow| Cell::Endpoint(flow.local)),
                "remote" => finding.flow.map_or(Cell::Absent, |flow| Cell::Endpoint(flow.remote)),
                "owner.pid" => owner.map_or(Cell::Absent, |owner| Cell::Number(owner.pid.into())),
                "owner.comm" => owner.map_or(Cell::Absent, |owner| Cell::Name(owner.comm.bytes())),
                _ => Cell::Absent,
            };
            put_value(&mut self.value, cell, self.boot);
            put_quoted(out, &self.value);
            out.push(b',');
        }
        self.value.clear();
        let (lint, evidence) = (finding.lint.name(), &finding.evidence);
        put(&mut self.value, format_args!("{lint}: {evidence}"));
        put_quoted(out, &self.value);
        out.push(b'\n');
    }

    fn clock(&mut self, boot: i64) {
        self.boot = boot;
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

fn put_value(out: &mut Vec<u8>, cell: Cell<'_>, boot: i64) {
    match cell {
        Cell::Absent | Cell::Unknown | Cell::Accepted { fd: None } | Cell::Said(_) => {}
        Cell::Time(at) => put(out, format_args!("{}", boot.saturating_add_unsigned(at))),
        Cell::Duration(number) | Cell::Number(number) | Cell::Id(number) => {
            put(out, format_args!("{number}"));
        }
        Cell::Flag(flag) => put(out, format_args!("{flag}")),
        Cell::Word(word) => out.extend_from_slice(word.as_bytes()),
        Cell::Name(name) => put_name(out, name, true),
        Cell::Names(names) => put_names(out, names, true),
        Cell::Holders(holders) => put_holders(out, holders, true),
        Cell::Endpoint(endpoint) => put(out, format_args!("{endpoint}")),
        Cell::Change(body) => put_name(out, change::words(body).as_bytes(), true),
        Cell::ChangeOf(body) => put_name(out, change::sentence(body).as_bytes(), true),
        Cell::State(state) => out.extend_from_slice(state.name().as_bytes()),
        // These say for people what fields say for programs.
        Cell::Process { pid, .. } | Cell::From { pid, .. } => put(out, format_args!("{pid}")),
        Cell::Transition { new, .. } => out.extend_from_slice(new.name().as_bytes()),
        Cell::Accepted { fd: Some(fd) } => put(out, format_args!("{fd}")),
    }
}

fn put_quoted(out: &mut Vec<u8>, value: &[u8]) {
    if !value.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for byte in value {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_would_break_a_row_are_quoted() {
        let mut out = Vec::new();
        put_quoted(&mut out, br#"a,"b""#);
        assert_eq!(out, br#""a,""b""""#);
    }
}
