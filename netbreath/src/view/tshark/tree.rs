//! The tree of a packet's fields.

use std::collections::HashSet;

use crate::packet::dissect::field::data;
use crate::packet::dissect::{Dissector, Meta};

pub fn write(
    meta: &Meta<'_>,
    dissector: &Dissector,
    only: Option<&HashSet<String>>,
    out: &mut String,
) {
    let tree = &dissector.tree;
    let mut below = true;
    let mut label = String::new();
    for node in &tree.nodes {
        if node.hidden {
            continue;
        }
        if node.depth == 0 {
            below = only.is_none_or(|only| node.id.is_some_and(|id| only.contains(id.of().name)));
        } else if !below {
            continue;
        }
        label.clear();
        tree.label(node, meta.data, &mut label);
        for _ in 0..node.depth {
            out.push_str("    ");
        }
        if node.generated {
            out.push('[');
        }
        super::push_safe(out, &label);
        if node.generated {
            out.push(']');
        }
        out.push('\n');
        // Bytes that nobody knows are shown as such.
        if node.id == Some(data::SELF) && below {
            out.push('\n');
            super::hex(node.bytes(meta.data), out);
        }
    }
}
