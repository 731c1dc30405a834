//! Ethernet II, tags of virtual LANs, and what EtherTypes stand for.

use super::field::{eth, ieee8021ad, ieee8021ah, vlan};
use super::{Addr, Buf, Context, Node, Result, Value, arp, column, data, info, ip, ipv6};

/// The least that a frame has on the wire, without its checksum.
const LEAST: usize = 60;

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    let to: [u8; 6] = buf.array(0)?;
    let from: [u8; 6] = buf.array(6)?;
    if c.wants_columns() {
        c.columns.source = Addr::Ether(from);
        c.columns.target = Addr::Ether(to);
        c.columns.protocol = column::Protocol::Name("Ethernet");
    }
    c.protocol = "Ethernet";
    let kind = buf.u16(12)?;
    c.enter(eth::SELF, buf, 14);
    let length = kind <= 1500;
    if c.wants_labels() {
        let name = if length { "IEEE 802.3 Ethernet" } else { "Ethernet II" };
        let (mut a, mut b) = (String::new(), String::new());
        Addr::Ether(from).push(&mut a);
        Addr::Ether(to).push(&mut b);
        if length {
            c.label(format_args!("{name} "));
        } else {
            c.label(format_args!("{name}, Src: {a}, Dst: {b}"));
        }
    }
    c.open();
    if c.wants_fields() {
        let dst = [eth::DST, eth::DST_RESOLVED, eth::DST_OUI, eth::DST_LG, eth::DST_IG];
        let src = [eth::SRC, eth::SRC_RESOLVED, eth::SRC_OUI, eth::SRC_LG, eth::SRC_IG];
        for (ids, at, addr) in [(dst, 0, to), (src, 6, from)] {
            address(c, buf, at, addr, ids);
        }
    }
    let place;
    if length {
        c.add(eth::LEN, buf, 12, 2, Value::Uint(kind.into()));
        place = c.place();
        c.close();
        c.guarded(buf.part(14, kind.into()), data::dissect);
        trailer(c, buf, place, 14 + usize::from(kind));
        return Ok(());
    }
    c.add(eth::TYPE, buf, 12, 2, Value::Uint(kind.into()));
    place = c.place();
    c.close();
    info!(c, "Ethernet II");
    let end = ethertype(c, kind, buf.from(14));
    trailer(c, buf, place, end.saturating_sub(buf.at));
    Ok(())
}

fn address(c: &mut Context<'_>, buf: Buf<'_>, at: usize, addr: [u8; 6], ids: [super::Id; 5]) {
    let [whole, resolved, oui, local, group] = ids;
    let number = u64::from(u32::from_be_bytes([0, addr[0], addr[1], addr[2]]));
    c.add(whole, buf, at, 6, Value::Ether(addr));
    c.open();
    let text = if c.wants_fields() {
        let mut text = String::new();
        Addr::Ether(addr).push(&mut text);
        c.text(format_args!("{text}"))
    } else {
        Value::None
    };
    c.hide(resolved, buf, at, 6, text);
    c.last(|node| node.generated = true);
    c.hide(oui, buf, at, 3, Value::Uint(number));
    c.last(|node| node.generated = true);
    c.add(eth::ADDR, buf, at, 6, Value::Ether(addr));
    c.hide(eth::ADDR_RESOLVED, buf, at, 6, text);
    c.last(|node| node.generated = true);
    c.hide(eth::ADDR_OUI, buf, at, 3, Value::Uint(number));
    c.last(|node| node.generated = true);
    let is = |mask| Value::Bool(number & mask != 0);
    c.add(local, buf, at, 3, is(0x2_0000));
    c.hide(eth::LG, buf, at, 3, is(0x2_0000));
    c.add(group, buf, at, 3, is(0x1_0000));
    c.hide(eth::IG, buf, at, 3, is(0x1_0000));
    c.close();
}

/// What stands behind the packet inside.
fn trailer(c: &mut Context<'_>, buf: Buf<'_>, place: usize, end: usize) {
    if !c.wants_fields() || end >= buf.len() || c.in_error {
        return;
    }
    let kept = buf.kept();
    let Some(rest) = kept.get(end..).filter(|rest| !rest.is_empty()) else { return };
    let Some(like) = c.tree.nodes.get(place).copied() else { return };
    let mut nodes = Vec::new();
    let mut node = |id, at: usize, len: usize, value, label| {
        nodes.push(Node {
            id: Some(id),
            at: (buf.at + at) as u32,
            len: len as u32,
            value,
            label,
            ..like
        });
    };
    // Zeros that fill up a frame to its least are no trailer.
    let room = LEAST.saturating_sub(end).min(rest.len());
    let padding = if rest[..room].iter().all(|byte| *byte == 0) { room } else { 0 };
    if padding > 0 {
        node(eth::PADDING, end, padding, Value::Bytes, None);
    }
    let mut left = rest.len() - padding;
    let whole = kept.len() == buf.len();
    let at = end + padding;
    // A trailer long enough may end with the frame's checksum.
    let has_sum = whole && left >= 4 && at + left - 4 >= LEAST;
    if has_sum {
        left -= 4;
    }
    if left > 0 {
        node(eth::TRAILER, at, left, Value::Bytes, None);
    }
    if has_sum {
        let sum = buf.u32(at + left).unwrap_or_default();
        let label = c
            .wants_labels()
            .then(|| c.tree.write(format_args!("Frame check sequence: 0x{sum:08x} [unverified]")));
        node(eth::FCS, at + left, 4, Value::Uint(sum.into()), label);
        node(eth::FCS_STATUS, at + left, 0, Value::Uint(2), None);
        if let Some(last) = nodes.last_mut() {
            last.generated = true;
            let label = c.tree.write(format_args!("FCS Status: Unverified"));
            last.label = Some(label);
        }
    }
    let at = place + 1;
    c.tree.nodes.splice(at..at, nodes);
}

/// Dissects what an EtherType stands for. Gives where that ends in the packet.
pub fn ethertype(c: &mut Context<'_>, kind: u16, buf: Buf<'_>) -> usize {
    c.layer("ethertype");
    c.end = buf.at + buf.len();
    match kind {
        0x0800 => c.guarded(buf, ip::dissect),
        0x86dd => c.guarded(buf, ipv6::dissect),
        0x0806 | 0x8035 => c.guarded(buf, arp::dissect),
        0x8100 => c.guarded(buf, tag),
        0x88a8 => c.guarded(buf, provider_tag),
        0x6558 => c.guarded(buf, dissect),
        _ => {
            if c.wants_columns() {
                c.columns.protocol = column::Protocol::Ethertype(kind);
                if let Some(word) = eth::TYPE.field().and_then(|field| field.word(kind.into())) {
                    c.columns.info.clear();
                    c.columns.info.push_str(word);
                }
            }
            c.guarded(buf, data::dissect);
        }
    }
    c.end
}

/// A tag of a virtual LAN (IEEE 802.1Q).
fn tag(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "VLAN";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("VLAN");
        c.columns.info.clear();
    }
    let word = buf.u16(0)?;
    let (priority, drop, id) = (word >> 13, word >> 12 & 1, word & 0xfff);
    info!(c, "PRI: {priority}  DEI: {drop}  ID: {id}");
    c.enter(vlan::SELF, buf, 4);
    c.label(format_args!("802.1Q Virtual LAN, PRI: {priority}, DEI: {drop}, ID: {id}"));
    c.open();
    c.add(vlan::PRIORITY, buf, 0, 2, Value::Uint(priority.into()));
    c.add(vlan::DEI, buf, 0, 2, Value::Bool(drop == 1));
    c.add(vlan::ID, buf, 0, 2, Value::Uint(id.into()));
    let kind = buf.u16(2)?;
    c.add(vlan::ETYPE, buf, 2, 2, Value::Uint(kind.into()));
    c.close();
    ethertype(c, kind, buf.from(4));
    Ok(())
}

/// A provider's tag (IEEE 802.1ad).
fn provider_tag(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "IEEE 802.1ad";
    let word = buf.u16(0)?;
    let (priority, drop, id) = (word >> 13, word >> 12 & 1, word & 0xfff);
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("802.1ad");
        c.columns.info.clear();
    }
    info!(c, "PRI: {priority}  DEI: {drop}  ID: {id}");
    c.enter(ieee8021ad::SELF, buf, 4);
    c.label(format_args!("IEEE 802.1ad, ID: {id}"));
    c.open();
    c.add(ieee8021ad::PRIORITY, buf, 0, 2, Value::Uint(priority.into()));
    c.add(ieee8021ad::DEI, buf, 0, 2, Value::Uint(drop.into()));
    c.add(ieee8021ad::ID, buf, 0, 2, Value::Uint(id.into()));
    let kind = buf.u16(2)?;
    c.add(ieee8021ah::ETYPE, buf, 2, 2, Value::Uint(kind.into()));
    c.close();
    ethertype(c, kind, buf.from(4));
    Ok(())
}
