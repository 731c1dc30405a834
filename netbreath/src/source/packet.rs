//! Packets from a live source, before anybody has looked into them.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

use super::Cost;
use crate::event::Event;
use crate::event::packet::{Direction, Interface, Packet, Party};

/// A packet as a source has it, for as long as its sink looks at it.
pub trait Seen {
    /// Nanoseconds since the epoch.
    fn wall(&self) -> i64;
    /// The interface's place in the list that was asked for.
    fn place(&self) -> usize;
    fn direction(&self) -> Direction;
    /// Bytes on the wire.
    fn wire_len(&self) -> u32;
    /// Those that were kept. A tag that the device has taken out is not in it: see `tag`.
    fn data(&self) -> &[u8];
    /// The tag of a virtual LAN that the device has taken out: protocol and tag.
    fn tag(&self) -> Option<[u8; 4]>;
    /// Packets that were lost just before this one.
    fn lost(&self) -> u32;
    /// Process id of its owner and when that process started; nothing if nobody is known.
    fn process(&self) -> Option<Process>;
    /// Its ends: whoever sent it, or gets it; and the one at its other end, if that is a
    /// socket of this machine too.
    fn parties(&self) -> (Party, Option<Party>);
    /// The kernel made it itself.
    fn is_kernels(&self) -> bool;
}

/// One process for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub pid: u32,
    /// Nanoseconds since boot.
    pub start: u64,
}

/// What takes packets.
pub trait Sink {
    fn packet(&mut self, packet: &impl Seen);
}

/// Bytes before the place where a tag belongs: two Ethernet addresses.
pub const BEFORE_TAG: usize = 12;

/// A packet as the rest of the program knows it: complete, with its own bytes.
pub fn complete(seen: &impl Seen, interface: &Arc<Interface>) -> Packet {
    let (party, peer) = seen.parties();
    let Party { socket, state, owner, cgroup } = party;
    let (mut len, data) = (seen.wire_len(), seen.data());
    let data = match seen.tag() {
        Some(tag) if data.len() >= BEFORE_TAG => {
            len += 4;
            let (before, after) = data.split_at(BEFORE_TAG);
            [before, &tag, after].concat().into()
        }
        _ => Bytes::copy_from_slice(data),
    };
    Packet {
        wall: seen.wall().into(),
        interface: Some(interface.clone()),
        direction: seen.direction(),
        len,
        data,
        socket,
        state,
        owner,
        cgroup,
        peer: peer.map(Box::new),
        kernel: seen.is_kernels(),
    }
}

/// A live source of packets.
pub trait Live {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Waits until there are packets or events: the former are given to the sink, the latter
    /// appended to `events`. Nothing is lost when the future is dropped while it waits.
    fn next(
        &mut self,
        sink: &mut impl Sink,
        events: &mut Vec<Event>,
    ) -> impl Future<Output = Result<(), Self::Error>>;

    /// Ends the capture and gives what had happened before and was not given yet.
    fn finish(&mut self, sink: &mut impl Sink, events: &mut Vec<Event>) -> Result<(), Self::Error>;

    /// Adds a process to those that the filter lets through.
    fn follow(&mut self, pid: u32) -> Result<(), Self::Error>;

    /// By what the interface at this place is captured on.
    fn rung(&self, place: usize) -> &'static str;

    /// What each hook has cost so far, if that was asked for.
    fn costs(&self) -> Vec<Cost> {
        Vec::new()
    }

    /// What was counted on it.
    fn counts(&self, place: usize) -> Result<Counts, Self::Error>;
}

/// What was counted on an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came by.
    pub seen: u64,
    /// Those that the filters let through.
    pub passed: u64,
    /// Those of them for which there was no room.
    pub lost: u64,
}
