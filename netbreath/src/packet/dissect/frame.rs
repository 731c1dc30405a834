//! What the capture says of a packet.

use super::field::{frame, own};
use super::{Addr, Buf, Context, Value, column, data, eth, ip, null, sll, tree};
use crate::event::Owner;
use crate::packet::link_type;

/// A packet, and what is known of it beside its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// From 1 on.
    pub number: u64,
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// Times of the first packet, of the one before, and of the one shown before.
    pub first: i64,
    pub before: i64,
    pub shown: i64,
    /// Bytes on the wire.
    pub len: u32,
    pub data: &'a [u8],
    pub link_type: u16,
    /// The interface's place and name, if the capture tells.
    pub interface: Option<(u32, &'a str)>,
    /// 1 in, 2 out, if the capture tells.
    pub direction: u8,
    pub owner: Option<&'a Owner>,
    pub peer: Option<&'a Owner>,
    /// What the packet's socket was in, if known.
    pub socket_state: Option<&'static str>,
}

/// Link types with the numbers that Wireshark has for them.
fn encapsulation(kind: u16) -> u64 {
    match kind {
        link_type::NULL => 15,
        link_type::ETHERNET => 1,
        link_type::RAW | 12 | 14 => 7,
        228 => 129,
        229 => 130,
        link_type::LOOP => 174,
        link_type::SLL => 25,
        link_type::SLL2 => 210,
        _ => 0,
    }
}

pub fn dissect(c: &mut Context<'_>) {
    let meta = c.meta;
    let buf = Buf::new(meta.data, meta.len as usize);
    let len = buf.len();
    let protocols = if c.wants_fields() { Some(rows(c, buf, len)) } else { None };
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("N/A");
        c.columns.source = Addr::Absent;
        c.columns.target = Addr::Absent;
    }
    c.guarded(buf, |c, buf| match meta.link_type {
        link_type::ETHERNET => eth::dissect(c, buf),
        link_type::NULL => null::dissect(c, buf, false),
        link_type::LOOP => null::dissect(c, buf, true),
        link_type::RAW | 12 | 14 | 228 | 229 => ip::raw(c, buf),
        link_type::SLL => sll::dissect(c, buf),
        link_type::SLL2 => sll::dissect2(c, buf),
        _ => data::dissect(c, buf),
    });
    if let Some(place) = protocols {
        let names = std::mem::take(&mut c.layers.names);
        let span = c.tree.write(format_args!("{names}"));
        c.layers.names = names;
        if let Some(node) = c.node(place) {
            node.value = Value::Text(span);
        }
    }
}

/// The rows; gives the place of the one that waits for the protocols' names.
fn rows(c: &mut Context<'_>, buf: Buf<'_>, len: usize) -> usize {
    let meta = c.meta;
    let kept = meta.data.len();
    c.add(frame::SELF, buf, 0, kept, Value::Whole(kept as u32));
    if c.wants_labels() {
        let many = |n: usize| if n == 1 { "" } else { "s" };
        let (a, b) = (many(len), many(kept));
        let (bits, kept_bits) = (len * 8, kept * 8);
        let on = match meta.interface {
            Some((place, "")) => format!(" on interface unknown, id {place}"),
            Some((place, name)) => format!(" on interface {name}, id {place}"),
            None => String::new(),
        };
        let way = match meta.direction {
            1 => ", inbound",
            2 => ", outbound",
            _ => "",
        };
        c.label(format_args!(
            "Frame {}: {len} byte{a} on wire ({bits} bits), {kept} byte{b} captured ({kept_bits} bits){on}{}",
            meta.number,
            if on.is_empty() { "" } else { way }
        ));
    }
    c.open();
    if let Some((place, name)) = meta.interface {
        c.add(frame::INTERFACE_ID, buf, 0, 0, Value::Uint(place.into()));
        let shown = if name.is_empty() { "unknown" } else { name };
        c.label(format_args!("Interface id: {place} ({shown})"));
        if !name.is_empty() {
            c.open();
            let text = c.text(format_args!("{name}"));
            c.add(frame::INTERFACE_NAME, buf, 0, 0, text);
            c.close();
        }
    }
    if meta.direction != 0 && meta.interface.is_some() {
        c.add(frame::PACKET_FLAGS, buf, 0, 0, Value::Uint(meta.direction.into()));
        c.open();
        c.add(frame::PACKET_FLAGS_DIRECTION, buf, 0, 0, Value::Uint(meta.direction.into()));
        c.close();
    }
    c.add(frame::ENCAP_TYPE, buf, 0, 0, Value::Uint(encapsulation(meta.link_type)));
    c.add(frame::TIME, buf, 0, 0, Value::Abs(meta.time));
    c.generate(frame::OFFSET_SHIFT, buf, Value::Rel(0));
    c.add(frame::TIME_EPOCH, buf, 0, 0, Value::Rel(meta.time));
    if c.wants_labels() {
        let mut text = String::new();
        tree::push_seconds(&mut text, meta.time);
        c.label(format_args!("Epoch Time: {text} seconds"));
    }
    c.generate(frame::TIME_DELTA, buf, Value::Rel(meta.time - meta.before));
    c.generate(frame::TIME_DELTA_DISPLAYED, buf, Value::Rel(meta.time - meta.shown));
    c.generate(frame::TIME_RELATIVE, buf, Value::Rel(meta.time - meta.first));
    c.add(frame::NUMBER, buf, 0, 0, Value::Uint(meta.number));
    for (id, title, len) in
        [(frame::LEN, "Frame Length", len), (frame::CAP_LEN, "Capture Length", kept)]
    {
        c.add(id, buf, 0, 0, Value::Uint(len as u64));
        let many = if len == 1 { "" } else { "s" };
        c.label(format_args!("{title}: {len} byte{many} ({} bits)", len * 8));
    }
    c.generate(frame::MARKED, buf, Value::Bool(false));
    c.generate(frame::IGNORED, buf, Value::Bool(false));
    c.generate(frame::PROTOCOLS, buf, Value::None);
    let place = c.place();
    owners(c, buf);
    c.close();
    place
}

/// What Wireshark does not know.
fn owners(c: &mut Context<'_>, buf: Buf<'_>) {
    let meta = c.meta;
    for (owner, pid, name) in
        [(meta.owner, own::PID, own::PNAME), (meta.peer, own::PEER_PID, own::PEER_PNAME)]
    {
        let Some(owner) = owner else { continue };
        c.generate(pid, buf, Value::Uint(owner.pid.into()));
        let text = c.lossy(owner.comm.bytes());
        c.generate(name, buf, text);
        if pid == own::PID && owner.uid != u32::MAX {
            c.generate(own::UID, buf, Value::Uint(owner.uid.into()));
        }
    }
    if let Some(state) = meta.socket_state {
        c.generate(own::STATE, buf, Value::Word(state));
    }
}
