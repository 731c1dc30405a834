//! DHCP and BOOTP (RFC 2131, RFC 2132).

use super::field::dhcp;
use super::{Buf, Context, Id, Result, Value, column, info};

/// Options: more are an attack.
const MOST: usize = 300;

fn word(id: Id, value: u64) -> &'static str {
    id.field().and_then(|field| field.word(value)).unwrap_or("Unknown")
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = dhcp::SELF.of().short;
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("BOOTP");
        c.columns.info.clear();
    }
    let op = buf.u8(0)?;
    if op == 2 {
        info!(c, "Boot Reply");
    }
    let (hard, len) = (buf.u8(1)?, buf.u8(2)?);
    c.enter(dhcp::SELF, buf, buf.kept().len());
    let row = c.place();
    c.open();
    c.add(dhcp::TYPE, buf, 0, 1, Value::Uint(op.into()));
    c.add(dhcp::HW_TYPE, buf, 1, 1, Value::Uint(hard.into()));
    c.add(dhcp::HW_LEN, buf, 2, 1, Value::Uint(len.into()));
    c.add(dhcp::HOPS, buf, 3, 1, Value::Uint(buf.u8(3)?.into()));
    let id = buf.u32(4)?;
    c.add(dhcp::ID, buf, 4, 4, Value::Uint(id.into()));
    c.add(dhcp::SECS, buf, 8, 2, Value::Uint(buf.u16(8)?.into()));
    let flags = buf.u16(10)?;
    c.add(dhcp::FLAGS, buf, 10, 2, Value::Uint(flags.into()));
    let broadcast = flags & 0x8000 != 0;
    let way = if broadcast { ", Broadcast flag (Broadcast)" } else { " (Unicast)" };
    c.label(format_args!("Bootp flags: 0x{flags:04x}{way}"));
    c.open();
    c.add(dhcp::FLAGS_BC, buf, 10, 2, Value::Bool(broadcast));
    c.add(dhcp::FLAGS_RESERVED, buf, 10, 2, Value::Uint((flags & 0x7fff).into()));
    c.close();
    for (id, at) in
        [(dhcp::IP_CLIENT, 12), (dhcp::IP_YOUR, 16), (dhcp::IP_SERVER, 20), (dhcp::IP_RELAY, 24)]
    {
        c.add(id, buf, at, 4, Value::Ipv4(buf.array(at)?));
    }
    if hard == 1 && len == 6 {
        c.add(dhcp::HW_MAC_ADDR, buf, 28, 6, Value::Ether(buf.array(28)?));
        buf.get(34, 10)?;
        c.add(dhcp::HW_ADDR_PADDING, buf, 34, 10, Value::Bytes);
    }
    for (id, at, len, name) in
        [(dhcp::SERVER, 44, 64, "Server host name"), (dhcp::FILE, 108, 128, "Boot file name")]
    {
        let bytes = buf.get(at, len)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(len);
        let value = c.lossy(&bytes[..end]);
        c.add(id, buf, at, len, value);
        if end == 0 {
            c.label(format_args!("{name} not given"));
        }
    }
    let cookie: [u8; 4] = buf.array(236)?;
    if cookie == [99, 130, 83, 99] {
        if c.wants_columns() {
            c.columns.protocol = column::Protocol::Name("DHCP");
        }
        c.add(dhcp::COOKIE, buf, 236, 4, Value::Ipv4(cookie));
        c.label(format_args!("Magic cookie: DHCP"));
        options(c, buf, id, row)?;
    }
    c.close();
    Ok(())
}

/// Names of options.
fn title(kind: u8) -> &'static str {
    word(dhcp::OPTION_TYPE, kind.into())
}

fn options(c: &mut Context<'_>, buf: Buf<'_>, id: u32, row: usize) -> Result {
    let mut at = 240;
    for _ in 0..MOST {
        if at >= buf.len() {
            break;
        }
        let kind = buf.u8(at)?;
        if kind == 0 {
            at += 1;
            continue;
        }
        c.add(dhcp::OPTION_TYPE, buf, at, 1, Value::Uint(kind.into()));
        let place = c.place();
        if kind == 255 {
            c.label(format_args!("Option: (255) End"));
            c.open();
            c.add(dhcp::OPTION_END, buf, at, 1, Value::Uint(255));
            c.close();
            let rest = buf.from(at + 1);
            if !rest.kept().is_empty() {
                c.add(dhcp::OPTION_PADDING, rest, 0, rest.kept().len(), Value::Bytes);
            }
            break;
        }
        let len = usize::from(buf.u8(at + 1)?);
        let name = title(kind);
        c.label(format_args!("Option: ({kind}) {name}"));
        if let Some(node) = c.node(place) {
            node.len = (2 + len) as u32;
        }
        buf.get(at, 2 + len)?;
        c.open();
        c.add(dhcp::OPTION_LENGTH, buf, at + 1, 1, Value::Uint(len as u64));
        c.hide(dhcp::OPTION_VALUE, buf, at + 2, len, Value::Bytes);
        option(c, buf.part(at + 2, len), (kind, name), id, (row, place))?;
        c.close();
        at += 2 + len;
    }
    Ok(())
}

fn option(
    c: &mut Context<'_>,
    buf: Buf<'_>,
    (kind, name): (u8, &str),
    id: u32,
    (whole, row): (usize, usize),
) -> Result {
    let address = match kind {
        1 => Some(dhcp::OPTION_SUBNET_MASK),
        28 => Some(dhcp::OPTION_BROADCAST_ADDRESS),
        50 => Some(dhcp::OPTION_REQUESTED_IP_ADDRESS),
        54 => Some(dhcp::OPTION_DHCP_SERVER_ID),
        3 => Some(dhcp::OPTION_ROUTER),
        6 => Some(dhcp::OPTION_DOMAIN_NAME_SERVER),
        42 => Some(dhcp::OPTION_NTP_SERVER),
        _ => None,
    };
    if let Some(one) = address {
        for at in (0..buf.len()).step_by(4).take_while(|at| at + 4 <= buf.len()) {
            let addr: [u8; 4] = buf.array(at)?;
            c.add(one, buf, at, 4, Value::Ipv4(addr));
            if matches!(kind, 1 | 28 | 50 | 54) {
                let text = super::tree::ipv4(addr);
                c.label_at(row, format_args!("Option: ({kind}) {name} ({text})"));
            }
        }
        return Ok(());
    }
    match kind {
        53 if buf.len() == 1 => {
            let message = buf.u8(0)?;
            let text = word(dhcp::OPTION_DHCP, message.into());
            c.add(dhcp::OPTION_DHCP, buf, 0, 1, Value::Uint(message.into()));
            c.label_at(row, format_args!("Option: (53) DHCP Message Type ({text})"));
            c.label_at(whole, format_args!("Dynamic Host Configuration Protocol ({text})"));
            if c.wants_columns() {
                c.columns.info.clear();
            }
            info!(c, "DHCP {text:<8} - Transaction ID 0x{id:x}");
        }
        12 | 15 | 60 => {
            let one = match kind {
                12 => dhcp::OPTION_HOSTNAME,
                15 => dhcp::OPTION_DOMAIN_NAME,
                _ => dhcp::OPTION_VENDOR_CLASS_ID,
            };
            let value = c.lossy(buf.kept());
            c.add(one, buf, 0, buf.len(), value);
        }
        51 | 58 | 59 if buf.len() == 4 => {
            let one = match kind {
                51 => dhcp::OPTION_IP_ADDRESS_LEASE_TIME,
                58 => dhcp::OPTION_RENEWAL_TIME_VALUE,
                _ => dhcp::OPTION_REBINDING_TIME_VALUE,
            };
            let time = buf.u32(0)?;
            c.add(one, buf, 0, 4, Value::Uint(time.into()));
            c.label(format_args!("{name}: ({time}s) {}", super::dns::duration(time)));
        }
        55 => {
            for at in 0..buf.len() {
                let item = buf.u8(at)?;
                c.add(dhcp::OPTION_REQUEST_LIST_ITEM, buf, at, 1, Value::Uint(item.into()));
                c.label(format_args!("Parameter Request List Item: ({item}) {}", title(item)));
            }
        }
        57 if buf.len() == 2 => {
            let size = Value::Uint(buf.u16(0)?.into());
            c.add(dhcp::OPTION_DHCP_MAX_MESSAGE_SIZE, buf, 0, 2, size);
        }
        _ => {}
    }
    Ok(())
}
