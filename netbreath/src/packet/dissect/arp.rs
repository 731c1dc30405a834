//! ARP (RFC 826) and RARP (RFC 903).

use super::field::arp;
use super::{Addr, Buf, Context, Result, Value, column, info};

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = arp::SELF.of().short;
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("ARP");
        c.columns.info.clear();
    }
    c.enter(arp::SELF, buf, buf.len().min(28));
    let whole = c.place();
    c.open();
    let hardware = buf.u16(0)?;
    c.add(arp::HW_TYPE, buf, 0, 2, Value::Uint(hardware.into()));
    let protocol = buf.u16(2)?;
    c.add(arp::PROTO_TYPE, buf, 2, 2, Value::Uint(protocol.into()));
    let (hard_len, soft_len) = (buf.u8(4)?, buf.u8(5)?);
    c.add(arp::HW_SIZE, buf, 4, 1, Value::Uint(hard_len.into()));
    c.add(arp::PROTO_SIZE, buf, 5, 1, Value::Uint(soft_len.into()));
    let op = buf.u16(6)?;
    let (h, s) = (usize::from(hard_len), usize::from(soft_len));
    let len = 8 + 2 * h + 2 * s;
    c.end = c.end.min(buf.at + len);
    if matches!(op, 3 | 4) && c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("RARP");
    }
    let usual = hardware == 1 && h == 6 && protocol == 0x0800 && s == 4;
    // The whole must be there.
    buf.get(0, len)?;
    let ends = if usual {
        let from: [u8; 6] = buf.array(8)?;
        let from_ip: [u8; 4] = buf.array(14)?;
        let to: [u8; 6] = buf.array(18)?;
        let to_ip: [u8; 4] = buf.array(24)?;
        Some((from, from_ip, to, to_ip))
    } else {
        None
    };
    let same = ends.is_some_and(|(_, a, _, b)| a == b);
    let probe = op == 1 && ends.is_some_and(|(_, a, _, b)| a == [0; 4] && b != [0; 4]);
    let gratuitous = matches!(op, 1 | 2) && same;
    let announcement = gratuitous && op == 1 && ends.is_some_and(|(_, _, to, _)| to == [0; 6]);
    let word = arp::OPCODE.field().and_then(|field| field.word(op.into()));
    if let Some(node) = c.node(whole) {
        node.len = len as u32;
    }
    if c.wants_labels() {
        let name = word.unwrap_or("Unknown");
        if announcement {
            c.label_at(whole, format_args!("Address Resolution Protocol (ARP Announcement)"));
        } else if gratuitous {
            c.label_at(whole, format_args!("Address Resolution Protocol ({name}/gratuitous ARP)"));
        } else if probe {
            c.label_at(whole, format_args!("Address Resolution Protocol (ARP Probe)"));
        } else if word.is_some() {
            c.label_at(whole, format_args!("Address Resolution Protocol ({name})"));
        } else {
            c.label_at(whole, format_args!("Address Resolution Protocol (opcode 0x{op:04x})"));
        }
    }
    c.add(arp::OPCODE, buf, 6, 2, Value::Uint(op.into()));
    if gratuitous {
        c.generate(arp::ISGRATUITOUS, buf, Value::Bool(true));
    }
    if announcement {
        c.generate(arp::ISANNOUNCEMENT, buf, Value::Bool(true));
    }
    if probe {
        c.generate(arp::ISPROBE, buf, Value::Bool(true));
    }
    if let Some((from, from_ip, to, to_ip)) = ends {
        c.add(arp::SRC_HW_MAC, buf, 8, 6, Value::Ether(from));
        c.add(arp::SRC_PROTO_IPV4, buf, 14, 4, Value::Ipv4(from_ip));
        c.add(arp::DST_HW_MAC, buf, 18, 6, Value::Ether(to));
        c.add(arp::DST_PROTO_IPV4, buf, 24, 4, Value::Ipv4(to_ip));
        summary(c, op, (from, from_ip, to, to_ip), (gratuitous, announcement, probe));
    } else {
        for (id, at, len) in [
            (arp::SRC_HW, 8, h),
            (arp::SRC_PROTO, 8 + h, s),
            (arp::DST_HW, 8 + h + s, h),
            (arp::DST_PROTO, 8 + 2 * h + s, s),
        ] {
            if len > 0 {
                c.add(id, buf, at, len, Value::Bytes);
            }
        }
        match word {
            Some(word) => info!(c, "{word}"),
            None => info!(c, "Unknown ARP opcode 0x{op:04x}"),
        }
    }
    c.close();
    Ok(())
}

type Ends = ([u8; 6], [u8; 4], [u8; 6], [u8; 4]);

fn summary(c: &mut Context<'_>, op: u16, ends: Ends, kind: (bool, bool, bool)) {
    if !c.wants_columns() {
        return;
    }
    let (from, from_ip, to, to_ip) = ends;
    let mac = |addr| {
        let mut text = String::new();
        Addr::Ether(addr).push(&mut text);
        text
    };
    let (from_ip, to_ip) = (super::tree::ipv4(from_ip), super::tree::ipv4(to_ip));
    let (gratuitous, announcement, probe) = kind;
    match op {
        1 if announcement => info!(c, "ARP Announcement for {to_ip}"),
        1 if gratuitous => info!(c, "Gratuitous ARP for {to_ip} (Request)"),
        1 if probe => info!(c, "Who has {to_ip}? (ARP Probe)"),
        1 => info!(c, "Who has {to_ip}? Tell {from_ip}"),
        2 if gratuitous => info!(c, "Gratuitous ARP for {to_ip} (Reply)"),
        2 => info!(c, "{from_ip} is at {}", mac(from)),
        3 => info!(c, "Who is {}? Tell {}", mac(to), mac(from)),
        4 => info!(c, "{} is at {to_ip}", mac(to)),
        8 => info!(c, "Who is {}? Tell {}", mac(to), mac(from)),
        9 => info!(c, "{} is at {from_ip}", mac(from)),
        _ => match arp::OPCODE.field().and_then(|field| field.word(op.into())) {
            Some(word) => info!(c, "{word}"),
            None => info!(c, "Unknown ARP opcode 0x{op:04x}"),
        },
    }
}
