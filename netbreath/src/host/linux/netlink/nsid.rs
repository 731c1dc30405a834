//! Messages about ids of other network namespaces: `struct rtgenmsg` and `NETNSA_*` of
//! `linux/net_namespace.h`.

use super::{Question, after, attributes, push, u32_at};

const HEADER: usize = 4;
const RTM_GETNSID: u16 = 90;
const NETNSA_NSID: u16 = 1;
const NETNSA_PID: u16 = 2;

/// The id that our namespace has for the one that a process is in.
pub fn question(pid: u32) -> Question {
    let mut body = vec![0; HEADER];
    push(&mut body, NETNSA_PID, &pid.to_ne_bytes());
    Question { what: "the id of a network namespace", kind: RTM_GETNSID, body }
}

/// The id, unless it has none.
pub fn read(body: &[u8]) -> Option<i32> {
    let mut id = None;
    attributes(after(body, HEADER), |kind, value| {
        if kind == NETNSA_NSID {
            id = Some(u32_at(value, 0).cast_signed());
        }
    });
    id.filter(|id| *id >= 0)
}
