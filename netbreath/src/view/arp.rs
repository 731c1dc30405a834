//! IPv4 neighbours as `arp` lays them out: a table, or lines in the style of the BSDs.

use super::{Cell, Column, Field};
use crate::event::network::{LinkAddress, Neighbour, NeighbourFlags, NeighbourState};
use crate::format::{put, put_name};
use crate::name::HostNames;

/// A neighbour.
#[derive(Clone, Debug, Default)]
pub struct Row {
    address: String,
    host: Option<String>,
    hardware: &'static str,
    lladdr: String,
    flags: String,
    iface: String,
    complete: bool,
}

/// Neighbours with an IPv4 address; `hardware` names the type of an interface's links.
pub fn rows(
    neighbours: &[Neighbour],
    names: &HostNames,
    hardware: impl Fn(u32) -> &'static str,
) -> Vec<Row> {
    let listed = |neighbour: &&Neighbour| {
        neighbour.dst.is_ipv4()
            && (neighbour.flags.has(NeighbourFlags::PROXY)
                || neighbour.state.0 != 0 && !neighbour.state.has(NeighbourState::NOARP))
    };
    neighbours.iter().filter(listed).map(|neighbour| row(neighbour, names, &hardware)).collect()
}

fn row(neighbour: &Neighbour, names: &HostNames, hardware: &impl Fn(u32) -> &'static str) -> Row {
    // States in which the link address is known and used.
    const VALID: u32 = NeighbourState::PERMANENT
        | NeighbourState::REACHABLE
        | NeighbourState::STALE
        | NeighbourState::DELAY
        | NeighbourState::PROBE;
    let proxy = neighbour.flags.has(NeighbourFlags::PROXY);
    let complete = neighbour.state.has(VALID);
    let permanent = proxy || neighbour.state.has(NeighbourState::PERMANENT);
    let flags = [(complete, 'C'), (permanent, 'M'), (proxy, 'P')];
    Row {
        address: neighbour.dst.to_string(),
        host: names.name(neighbour.dst).map(str::to_owned),
        hardware: match (proxy, complete) {
            (true, _) => "*",
            (_, true) => hardware(neighbour.ifindex),
            _ => "",
        },
        lladdr: match (&neighbour.lladdr, proxy, complete) {
            (_, true, _) => "<from_interface>".into(),
            (Some(LinkAddress(_)), _, true) => {
                neighbour.lladdr.as_ref().map(ToString::to_string).unwrap_or_default()
            }
            _ => "(incomplete)".into(),
        },
        flags: flags.iter().filter(|(holds, _)| *holds).map(|(_, letter)| letter).collect(),
        iface: neighbour.ifname.clone(),
        complete,
    }
}

/// A line for each, as the BSDs write it: `host (address) at link address on interface`.
pub fn bsd(rows: &[Row], unicode: bool, out: &mut Vec<u8>) {
    for row in rows {
        put_name(out, row.host.as_deref().unwrap_or("?").as_bytes(), unicode);
        put(out, format_args!(" ({}) at ", row.address));
        match (row.lladdr.as_str(), row.complete) {
            ("(incomplete)", _) => put(out, format_args!("<incomplete>")),
            (lladdr, false) => put(out, format_args!("{lladdr}")),
            (lladdr, true) => put(out, format_args!("{lladdr} [{}]", row.hardware)),
        }
        for (letter, word) in [('M', "PERM"), ('P', "PUB")] {
            if row.flags.contains(letter) {
                put(out, format_args!(" {word}"));
            }
        }
        out.extend_from_slice(b" on ");
        put_name(out, row.iface.as_bytes(), unicode);
        out.push(b'\n');
    }
}

impl Row {
    pub fn is_of(&self, host: &str) -> bool {
        self.address == host || self.host.as_deref() == Some(host)
    }

    pub fn is_on(&self, iface: &str) -> bool {
        self.iface == iface
    }
}

/// Keys of a line in JSON, in order.
pub const KEYS: [&str; 6] = ["address", "host", "hwtype", "hwaddress", "flags", "iface"];

/// Every column.
#[rustfmt::skip]
pub static COLUMNS: [Column<Row>; 6] = [
    Column { cell: host, ..Column::plain("address", "Address", "the neighbour: name or address", 24, &[&ADDRESS, &HOST]) },
    Column::plain("hwtype", "HWtype", "type of the link", 7, &[&HWTYPE]),
    Column::plain("hwaddress", "HWaddress", "its address on the link", 19, &[&HWADDRESS]),
    Column::plain("flags", "Flags", "C known, M set by hand, P we answer for it", 5, &[&FLAGS]),
    Column { fields: &[], ..Column::plain("mask", "Mask", "no longer used", 15, &[&MASK]) },
    Column::plain("iface", "Iface", "interface that it is reached by", 8, &[&IFACE]),
];

const ADDRESS: Field<Row> = field("address", |row| Cell::Name(row.address.as_bytes()));
const HOST: Field<Row> = field("host", |row| match &row.host {
    Some(host) => Cell::Name(host.as_bytes()),
    None => Cell::Absent,
});
const HWTYPE: Field<Row> = field("hwtype", |row| Cell::Word(row.hardware));
const HWADDRESS: Field<Row> = field("hwaddress", |row| Cell::Name(row.lladdr.as_bytes()));
const FLAGS: Field<Row> = field("flags", |row| Cell::Name(row.flags.as_bytes()));
const MASK: Field<Row> = field("mask", |_| Cell::Word(""));
const IFACE: Field<Row> = field("iface", |row| Cell::Name(row.iface.as_bytes()));

fn host(row: &Row) -> Cell<'_> {
    Cell::Name(row.host.as_ref().unwrap_or(&row.address).as_bytes())
}

const fn field(key: &'static str, read: fn(&Row) -> Cell<'_>) -> Field<Row> {
    Field { key, read }
}
