//! Packets in JSON, as Elasticsearch takes them.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::field::Fields;
use super::summary::Timestamp;
use crate::packet::dissect::field::{Id, Kind};
use crate::packet::dissect::{Dissector, Meta, Node, Value};

pub fn write(
    meta: &Meta<'_>,
    dissector: &Dissector,
    only: Option<&HashSet<String>>,
    fields: Option<&Fields>,
    first: bool,
    out: &mut String,
) {
    out.push_str(if first { "\n  {\n" } else { ",\n  {\n" });
    let _ = writeln!(out, "    \"_index\": \"packets-{}\",", day(meta.time));
    out.push_str("    \"_type\": \"doc\",\n    \"_score\": null,\n    \"_source\": {\n");
    out.push_str("      \"layers\": {");
    match fields {
        Some(fields) => asked(meta, dissector, fields, out),
        None => {
            let nodes: Vec<&Node> = dissector.tree.nodes.iter().collect();
            let nodes = below(&nodes, only);
            level(meta, dissector, &nodes, 0, 8, out);
        }
    }
    out.push_str("      }\n    }\n  }");
}

/// The protocols that were asked for, and all that stands below them.
pub fn below<'a>(nodes: &[&'a Node], only: Option<&HashSet<String>>) -> Vec<&'a Node> {
    let mut keep = true;
    nodes
        .iter()
        .copied()
        .filter(|node| {
            if node.depth == 0 {
                keep =
                    only.is_none_or(|only| node.id.is_some_and(|id| only.contains(id.of().name)));
            }
            keep
        })
        .collect()
}

pub fn day(time: i64) -> String {
    jiff::Timestamp::from_nanosecond(time.into()).map_or_else(
        |_| String::new(),
        |at| at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d").to_string(),
    )
}

fn asked(meta: &Meta<'_>, dissector: &Dissector, fields: &Fields, out: &mut String) {
    let mut any = false;
    for (name, values) in fields.all(meta, dissector, Timestamp::Relative, 9) {
        if values.is_empty() {
            continue;
        }
        out.push_str(if any { ",\n" } else { "\n" });
        any = true;
        let _ = write!(out, "        \"{name}\": [\n");
        for (place, value) in values.iter().enumerate() {
            out.push_str("          ");
            string(value, out);
            out.push_str(if place + 1 < values.len() { ",\n" } else { "\n" });
        }
        out.push_str("        ]");
    }
    out.push('\n');
}

/// A text as JSON has it.
pub fn string(text: &str, out: &mut String) {
    // Why ignored: a text always is one.
    let text = serde_json::to_string(text).unwrap_or_default();
    // As in a page of HTML, an end of an element stands for itself nowhere.
    out.push_str(&text.replace("</", "<\\/"));
}

/// Nodes of this depth, with those below them.
fn level(
    meta: &Meta<'_>,
    dissector: &Dissector,
    nodes: &[&Node],
    depth: u8,
    indent: usize,
    out: &mut String,
) {
    let tree = &dissector.tree;
    let mut at = 0;
    let mut any = false;
    let mut text = String::new();
    while let Some(node) = nodes.get(at) {
        let end = nodes[at + 1..]
            .iter()
            .position(|other| other.depth <= node.depth)
            .map_or(nodes.len(), |len| at + 1 + len);
        let children = &nodes[at + 1..end];
        at = end;
        if node.depth < depth {
            continue;
        }
        out.push_str(if any { ",\n" } else { "\n" });
        any = true;
        pad(indent, out);
        text.clear();
        match node.id {
            Some(id) => text.push_str(id.name()),
            None => tree.label(node, meta.data, &mut text),
        }
        let name = std::mem::take(&mut text);
        string(&name, out);
        out.push_str(": ");
        let bare = matches!(node.value, Value::None | Value::Whole(_));
        if children.is_empty() || !bare {
            value(meta, dissector, node, &mut text);
            string(&text, out);
            text.clear();
        }
        if children.is_empty() {
            continue;
        }
        if !bare {
            out.push_str(",\n");
            pad(indent, out);
            string(&format!("{name}_tree"), out);
            out.push_str(": ");
        }
        out.push('{');
        level(meta, dissector, children, node.depth + 1, indent + 2, out);
        pad(indent, out);
        out.push('}');
    }
    out.push('\n');
}

/// The value of a row, as it is in JSON.
pub fn value(meta: &Meta<'_>, dissector: &Dissector, node: &Node, out: &mut String) {
    match node.value {
        Value::Whole(_) if node.id.is_some_and(|id| id.kind() == Kind::Protocol) => {
            if node.label.is_some() || node.id.is_some() {
                dissector.tree.label(node, meta.data, out);
            }
        }
        Value::None if node.id.is_some_and(Id::is_protocol) => {
            dissector.tree.label(node, meta.data, out);
        }
        _ => dissector.tree.show(node, meta.data, out),
    }
}

fn pad(indent: usize, out: &mut String) {
    for _ in 0..indent {
        out.push(' ');
    }
}
