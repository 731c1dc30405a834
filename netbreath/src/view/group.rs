//! `netstat -g`: multicast groups that interfaces have joined.

use std::net::IpAddr;

use super::{Cell, Column, Field};
use crate::format::{put, put_name};

/// A group that an interface listens to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub ifname: String,
    pub references: u32,
    pub group: IpAddr,
}

/// A line of the view.
#[derive(Clone, Debug)]
pub struct Row {
    membership: Membership,
    group: String,
}

impl From<Membership> for Row {
    fn from(membership: Membership) -> Row {
        Row { group: membership.group.to_string(), membership }
    }
}

pub const KEYS: [&str; 3] = ["ifname", "refcnt", "group"];

#[rustfmt::skip]
pub static COLUMNS: [Column<Row>; 3] = [
    Column::plain("iface", "Interface", "interface that listens", 15, &[&IFACE]),
    Column::plain("refcnt", "RefCnt", "how many sockets and protocols asked for it", 6, &[&REFCNT]),
    Column::plain("group", "Group", "address of the group", 21, &[&GROUP]),
];

const IFACE: Field<Row> =
    Field { key: "ifname", read: |row| Cell::Name(row.membership.ifname.as_bytes()) };
const REFCNT: Field<Row> =
    Field { key: "refcnt", read: |row| Cell::Number(row.membership.references.into()) };
const GROUP: Field<Row> = Field { key: "group", read: |row| Cell::Name(row.group.as_bytes()) };

/// The table of the classic, with the line below its headings.
pub fn text(rows: &[Row], unicode: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(b"IPv6/IPv4 Group Memberships\nInterface       RefCnt Group\n");
    put(out, format_args!("{:-<15} {:-<6} {:-<21}\n", "", "", ""));
    for Row { membership, group } in rows {
        let start = out.len();
        put_name(out, membership.ifname.as_bytes(), unicode);
        let wide = out.len() - start;
        out.resize(out.len() + 16_usize.saturating_sub(wide), b' ');
        put(out, format_args!("{:<6} {group}\n", membership.references));
    }
}
