//! TCP from packets and a polled socket table, where no program in the kernel tells of it.
//!
//! [`flow`] is the life of one end from its segments; [`tracker`] has all of them, joins them
//! with the socket table, and makes events. Both are portable and call nobody. What
//! reads packets and asks for sockets is the system's (`linux`).

pub mod flow;
#[cfg(target_os = "linux")]
mod linux;
pub mod parse;
pub mod tracker;
#[cfg(target_os = "linux")]
pub use linux::{Error, Pcap, open};

use crate::event::Gap;

/// What cannot be known from packets and polls, whatever the system.
fn gaps() -> Vec<Gap> {
    let gap = |what: &str, why: &str, unseen: &[&str]| Gap {
        what: what.to_owned(),
        why: why.to_owned(),
        mend: "`--source ebpf` sees it, where the system has it".to_owned(),
        hook: Some("pcap".to_owned()),
        unseen: unseen.iter().map(|name| (*name).to_owned()).collect(),
        count: 0,
    };
    vec![
        gap(
            "not seen here: owners of connections that are shorter than a look at the socket \
             table, who accepted, and hand-overs between two looks",
            "packets do not tell whose they are; the socket table is looked at when a connection \
             begins, and once a second",
            &["owner"],
        ),
        gap(
            "not seen here: listeners that come and go between two looks, connect() that was given \
             up before two looks, and sockets of other network namespaces",
            "no packet tells of them",
            &["listen", "namespaces"],
        ),
        gap(
            "not seen here: why connections ended, retransmissions, drops; UDP, DNS and UNIX sockets",
            "this source tells of TCP's states alone",
            &["closed", "retransmit", "reset", "drop", "accept", "connect_failed"],
        ),
    ]
}
