//! Linux's headers of captures on any interface:
//! <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html> and `..._SLL2.html`.

use super::field::sll;
use super::{Addr, Buf, Context, Result, Value, column, eth, info};

fn address(c: &mut Context<'_>, buf: Buf<'_>, at: usize, len: u16) -> Result {
    match len {
        6 => {
            let addr: [u8; 6] = buf.array(at)?;
            if c.wants_columns() {
                c.columns.source = Addr::Ether(addr);
            }
            c.add(sll::SRC_ETH, buf, at, 6, Value::Ether(addr));
        }
        4 => {
            let addr: [u8; 4] = buf.array(at)?;
            if c.wants_columns() {
                c.columns.source = Addr::Ipv4(addr);
            }
            c.add(sll::SRC_IPV4, buf, at, 4, Value::Ipv4(addr));
        }
        0 => {}
        len => c.add(sll::SRC_OTHER, buf, at, usize::from(len).min(8), Value::Bytes),
    }
    let len = usize::from(len).min(8);
    if len < 8 {
        c.add(sll::UNUSED, buf, at + len, 8 - len, Value::Bytes);
    }
    Ok(())
}

fn begin(c: &mut Context<'_>, kind: u16) {
    c.protocol = "SLL";
    if c.wants_columns() {
        c.columns.protocol = column::Protocol::Name("SLL");
        c.columns.source = Addr::None;
        c.columns.target = Addr::None;
    }
    match sll::PKTTYPE.field().and_then(|field| field.word(kind.into())) {
        Some(word) => info!(c, "{word}"),
        None => info!(c, "Unknown ({kind})"),
    }
}

pub fn dissect(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "SLL";
    let kind = buf.u16(0)?;
    begin(c, kind);
    c.enter(sll::SELF, buf, 16);
    c.label(format_args!("Linux cooked capture v1"));
    c.open();
    c.add(sll::PKTTYPE, buf, 0, 2, Value::Uint(kind.into()));
    let hardware = buf.u16(2)?;
    c.add(sll::HATYPE, buf, 2, 2, Value::Uint(hardware.into()));
    let len = buf.u16(4)?;
    c.add(sll::HALEN, buf, 4, 2, Value::Uint(len.into()));
    address(c, buf, 6, len)?;
    let protocol = buf.u16(14)?;
    c.add(sll::ETYPE, buf, 14, 2, Value::Uint(protocol.into()));
    c.close();
    eth::ethertype(c, protocol, buf.from(16));
    Ok(())
}

pub fn dissect2(c: &mut Context<'_>, buf: Buf<'_>) -> Result {
    c.protocol = "SLL";
    let protocol = buf.u16(0)?;
    let kind = buf.u8(10)?;
    begin(c, buf.u16(10)?);
    c.enter(sll::SELF, buf, 20);
    c.label(format_args!("Linux cooked capture v2"));
    c.open();
    c.add(sll::ETYPE, buf, 0, 2, Value::Uint(protocol.into()));
    c.add(sll::IFINDEX, buf, 4, 4, Value::Uint(buf.u32(4)?.into()));
    c.add(sll::HATYPE, buf, 8, 2, Value::Uint(buf.u16(8)?.into()));
    c.add(sll::PKTTYPE, buf, 10, 1, Value::Uint(kind.into()));
    let len = buf.u8(11)?;
    c.add(sll::HALEN, buf, 11, 1, Value::Uint(len.into()));
    address(c, buf, 12, len.into())?;
    c.close();
    eth::ethertype(c, protocol, buf.from(20));
    Ok(())
}
