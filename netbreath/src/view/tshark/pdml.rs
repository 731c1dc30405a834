//! Packets in XML, with the places and bytes of their fields.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::json::below;
use crate::packet::dissect::field::{Id, Kind, data};
use crate::packet::dissect::tree::push_seconds;
use crate::packet::dissect::{Dissector, Meta, Node, Value};

pub fn begin(out: &mut Vec<u8>) {
    out.extend(
        b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<pdml version=\"0\" creator=\"netbreath\">\n",
    );
}

pub fn write(
    meta: &Meta<'_>,
    dissector: &Dissector,
    only: Option<&HashSet<String>>,
    out: &mut String,
) {
    let nodes: Vec<&Node> = dissector.tree.nodes.iter().collect();
    let nodes = below(&nodes, only);
    out.push_str("<packet>\n");
    info(meta, out);
    let mut at = 0;
    while let Some(node) = nodes.get(at) {
        let end = end(&nodes, at);
        // Bytes that nobody knows are fields there, in a protocol that is none.
        if node.id == Some(data::SELF) {
            out.push_str("  <proto name=\"fake-field-wrapper\">\n");
            out.push_str("    <field name=\"data\" value=\"");
            hex(node.bytes(meta.data), out);
            out.push_str("\">\n");
            rows(meta, dissector, &nodes[at + 1..end], 6, out);
            out.push_str("  </field>\n  </proto>\n");
        } else {
            rows(meta, dissector, &nodes[at..end], 2, out);
        }
        at = end;
    }
    out.push_str("</packet>\n\n\n");
}

fn end(nodes: &[&Node], at: usize) -> usize {
    let Some(node) = nodes.get(at) else { return at };
    nodes[at + 1..]
        .iter()
        .position(|other| other.depth <= node.depth)
        .map_or(nodes.len(), |len| at + 1 + len)
}

fn info(meta: &Meta<'_>, out: &mut String) {
    let kept = meta.data.len();
    let _ = writeln!(
        out,
        "  <proto name=\"geninfo\" pos=\"0\" showname=\"General information\" size=\"{kept}\">"
    );
    let mut time = String::new();
    crate::packet::dissect::tree::push_date(&mut time, meta.time);
    let mut seconds = String::new();
    push_seconds(&mut seconds, meta.time);
    for (name, show, title, value) in [
        ("num", meta.number.to_string(), "Number", format!("{:x}", meta.number)),
        ("len", meta.len.to_string(), "Frame Length", format!("{:x}", meta.len)),
        ("caplen", kept.to_string(), "Captured Length", format!("{kept:x}")),
        ("timestamp", time, "Captured Time", seconds),
    ] {
        let _ = writeln!(
            out,
            "    <field name=\"{name}\" pos=\"0\" show=\"{show}\" showname=\"{title}\" \
             value=\"{value}\" size=\"{kept}\"/>"
        );
    }
    out.push_str("  </proto>\n");
}

fn rows(meta: &Meta<'_>, dissector: &Dissector, nodes: &[&Node], indent: usize, out: &mut String) {
    let tree = &dissector.tree;
    let mut at = 0;
    let mut text = String::new();
    while let Some(node) = nodes.get(at) {
        let end = end(nodes, at);
        let children = &nodes[at + 1..end];
        at = end;
        for _ in 0..indent {
            out.push(' ');
        }
        if node.id == Some(data::SELF) {
            out.push_str("<field name=\"data\" value=\"");
            hex(node.bytes(meta.data), out);
            out.push_str("\">\n");
            rows(meta, dissector, children, indent + 2, out);
            for _ in 0..indent {
                out.push(' ');
            }
            out.push_str("</field>\n");
            continue;
        }
        // A remark is a field there, though it is a protocol elsewhere.
        let expert = node.id.is_some_and(|id| id.name() == "_ws.expert");
        let is_protocol = node.id.is_some_and(Id::is_protocol) && !expert;
        let tag = if is_protocol { "proto" } else { "field" };
        text.clear();
        tree.label(node, meta.data, &mut text);
        let _ = write!(out, "<{tag} name=\"{}\"", node.id.map_or("", Id::name));
        if node.id.is_some() {
            out.push_str(" showname=\"");
            escaped(&text, out);
            out.push('"');
        } else {
            out.push_str(" show=\"");
            escaped(&text, out);
            out.push('"');
        }
        if node.hidden {
            out.push_str(" hide=\"yes\"");
        }
        let _ = write!(out, " size=\"{}\" pos=\"{}\"", node.len, node.at);
        let whole = matches!(node.value, Value::Whole(_));
        if !is_protocol && !expert && !whole {
            if node.id.is_some() {
                text.clear();
                tree.show(node, meta.data, &mut text);
                out.push_str(" show=\"");
                escaped(&text, out);
                out.push('"');
            }
            value(meta, node, out);
        }
        if children.is_empty() {
            out.push_str("/>\n");
            continue;
        }
        out.push_str(">\n");
        rows(meta, dissector, children, indent + 2, out);
        for _ in 0..indent {
            out.push(' ');
        }
        let _ = writeln!(out, "</{tag}>");
    }
}

fn value(meta: &Meta<'_>, node: &Node, out: &mut String) {
    if node.id.is_some_and(|id| id.kind() == Kind::None) {
        out.push_str(" value=\"");
        hex(node.bytes(meta.data), out);
        out.push('"');
        return;
    }
    let bytes = node.bytes(meta.data);
    if bytes.is_empty() {
        return;
    }
    let masked = node.id.and_then(Id::field).is_some_and(|field| field.mask != 0);
    let number = match node.value {
        Value::Uint(number) => Some(number),
        Value::Bool(bit) => Some(bit.into()),
        _ => None,
    };
    match number {
        Some(number) if masked => {
            let _ = write!(out, " value=\"{number:X}\" unmaskedvalue=\"");
        }
        _ => out.push_str(" value=\""),
    }
    hex(bytes, out);
    out.push('"');
}

fn hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
}

/// Text in an attribute. Control characters, which XML has no place for, are escaped as
/// elsewhere.
fn escaped(text: &str, out: &mut String) {
    let mut safe = String::with_capacity(text.len());
    super::push_safe(&mut safe, text);
    for c in safe.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c => out.push(c),
        }
    }
}
