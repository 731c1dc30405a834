//! The views of `ip`: its lines for people, and the objects of `ip -j` for programs.
//! Both are made of the same answers.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::Serialize;

use crate::event::network::NumberNames;
use crate::format::put_name;

mod interface;
mod neighbour;
mod route;

pub use interface::{Interfaces, Select, flag_names};
pub use neighbour::Neighbours;
pub use route::Routes;

/// How to write.
#[derive(Clone, Debug, Default)]
pub struct Style {
    pub stats: bool,
    pub brief: bool,
    /// A record a line, with `\` where lines end.
    pub oneline: bool,
    /// Only addresses of this family: what is of the link layer is left out.
    pub family: Option<crate::event::Family>,
    /// The terminal shows more than ASCII.
    pub unicode: bool,
    pub names: NumberNames,
}

impl Style {
    /// What ends a line inside a record.
    const fn newline(&self) -> &'static str {
        if self.oneline { "\\" } else { "\n" }
    }

    /// A name from outside, without what could steer a terminal.
    fn clean<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Cow::Borrowed(name);
        }
        let mut out = Vec::new();
        put_name(&mut out, name.as_bytes(), self.unicode);
        String::from_utf8_lossy(&out).into_owned().into()
    }
}

/// Writes objects as one array, an object a line.
pub(crate) fn put_array<T: Serialize>(objects: impl Iterator<Item = T>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (i, object) in objects.enumerate() {
        if i > 0 {
            out.extend_from_slice(b",\n");
        }
        // Serializing our own plain data into memory cannot fail.
        let _infallible = serde_json::to_writer(&mut *out, &object);
    }
    out.extend_from_slice(b"]\n");
}

/// An address as `ip` writes it; IPv4 that is mapped into IPv6 is still IPv6.
fn text_of(addr: IpAddr) -> String {
    addr.to_string()
}
