//! Packets in JSON for bulk import: two lines each, and fields without their tree.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::json::{below, day, string};
use crate::packet::dissect::field::{Id, Kind, ip};
use crate::packet::dissect::{Dissector, Meta, Node, Value};

pub fn write(
    meta: &Meta<'_>,
    dissector: &Dissector,
    only: Option<&HashSet<String>>,
    out: &mut String,
) {
    let _ = writeln!(
        out,
        "{{\"index\":{{\"_index\":\"packets-{}\",\"_type\":\"doc\"}}}}",
        day(meta.time)
    );
    let _ = write!(out, "{{\"timestamp\":\"{}\",\"layers\":{{", meta.time / 1_000_000);
    let nodes: Vec<&Node> = dissector.tree.nodes.iter().collect();
    let nodes = below(&nodes, only);
    let mut any = false;
    level(meta, dissector, &nodes, &mut any, out);
    out.push_str("}}\n");
}

/// The name of a field: its protocol before it.
fn name(node: &Node) -> String {
    match node.id {
        None => "text".to_owned(),
        // Wireshark has it once more, in IPv6.
        Some(ip::VERSION) if node.hidden => "ipv6_ip_version".to_owned(),
        Some(id) => match id.kind() {
            Kind::Protocol | Kind::Part => id.name().replace('.', "_"),
            _ => {
                let protocol = super::parent(id.of().name, id.name());
                format!("{protocol}_{}", id.name()).replace('.', "_")
            }
        },
    }
}

fn level(
    meta: &Meta<'_>,
    dissector: &Dissector,
    nodes: &[&Node],
    any: &mut bool,
    out: &mut String,
) {
    // Siblings with the same name are one list, where the first stands.
    let mut groups: Vec<(String, Vec<(&Node, &[&Node])>)> = Vec::new();
    let mut at = 0;
    while let Some(node) = nodes.get(at) {
        let end = nodes[at + 1..]
            .iter()
            .position(|other| other.depth <= node.depth)
            .map_or(nodes.len(), |len| at + 1 + len);
        let one = (*node, &nodes[at + 1..end]);
        let name = name(node);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, group)) => group.push(one),
            None => groups.push((name, vec![one])),
        }
        at = end;
    }
    for (name, group) in groups {
        if std::mem::replace(any, true) {
            out.push(',');
        }
        let _ = write!(out, "\"{name}\":");
        if group.len() > 1 {
            out.push('[');
        }
        let nested = group.first().is_some_and(|(node, _)| {
            node.id.is_some_and(Id::is_protocol) || matches!(node.value, Value::Whole(_))
        });
        for (place, (node, children)) in group.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            if nested {
                out.push('{');
                level(meta, dissector, children, &mut false, out);
                out.push('}');
            } else {
                value(meta, dissector, node, out);
            }
        }
        if group.len() > 1 {
            out.push(']');
        }
        if !nested {
            let below: Vec<&Node> =
                group.iter().flat_map(|(_, children)| children.iter().copied()).collect();
            level(meta, dissector, &below, any, out);
        }
    }
}

fn value(meta: &Meta<'_>, dissector: &Dissector, node: &Node, out: &mut String) {
    let mut text = String::new();
    match node.value {
        Value::Bool(bit) => {
            let _ = write!(out, "{bit}");
            return;
        }
        Value::None if node.id.is_some() => {
            out.push_str("null");
            return;
        }
        Value::Abs(time) => {
            if let Ok(at) = jiff::Timestamp::from_nanosecond(time.into()) {
                let _ = write!(
                    text,
                    "{}.{:09}Z",
                    at.strftime("%Y-%m-%dT%H:%M:%S"),
                    at.subsec_nanosecond()
                );
            }
        }
        _ if node.id.is_none() => dissector.tree.label(node, meta.data, &mut text),
        _ => super::json::value(meta, dissector, node, &mut text),
    }
    string(&text, out);
}
