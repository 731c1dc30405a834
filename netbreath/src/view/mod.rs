//! Questions put to the stream or to the tables. A view yields a sheet: columns
//! and rows. It prints nothing; how a cell looks is the format's business.

use netbreath_common::tcp::TcpState;

use crate::event::{Body, Cause, DnsMessage, Endpoint, Errno, Segment, Udp, Unix};

pub mod arp;
pub mod change;
pub mod explain;
pub mod group;
pub mod ifconfig;
pub mod interface;
pub mod ip;
pub mod kind;
pub mod label;
pub mod ladder;
pub mod lsof;
pub mod netstat;
pub mod packet;
pub mod route;
pub mod socket;
pub mod ss;
pub mod state;
pub mod statistic;
pub mod tcpdump;
pub mod trace;
pub mod tshark;
pub mod who;

/// A column of rows of type `R`.
#[derive(Debug)]
pub struct Column<R: 'static> {
    /// Its name for `--columns`.
    pub key: &'static str,
    pub title: &'static str,
    pub doc: &'static str,
    pub width: Width,
    pub align: Align,
    /// The cell as people read it.
    pub cell: fn(&R) -> Cell<'_>,
    /// The same for programs: one value or several, each with its key in JSON.
    pub fields: &'static [&'static Field<R>],
}

impl<R> Column<R> {
    /// A column of fixed width, whose cell is the first of its fields.
    pub const fn plain(
        key: &'static str,
        title: &'static str,
        doc: &'static str,
        width: usize,
        fields: &'static [&'static Field<R>],
    ) -> Column<R> {
        let (width, align) = (Width::fixed(width), Align::Left);
        Column { key, title, doc, width, align, cell: fields[0].read, fields }
    }

    /// The same, at the right of its room.
    pub const fn right(mut self) -> Column<R> {
        self.align = Align::Right;
        self
    }
}

/// A value of a row, with its key in JSON; `owner.pid` is `pid` in the object
/// `owner`.
#[derive(Debug)]
pub struct Field<R: 'static> {
    pub key: &'static str,
    pub read: fn(&R) -> Cell<'_>,
}

/// How wide a column is in text: at least, where nothing limits it, and at most
/// where there is room to spare.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    pub least: usize,
    pub usual: usize,
    pub most: usize,
}

impl Width {
    pub const fn fixed(width: usize) -> Width {
        Width { least: width, usual: width, most: width }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// What stands in a row under a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Does not apply to this row.
    Absent,
    /// Applies, but could not be known.
    Unknown,
    /// Nanoseconds since boot.
    Time(u64),
    /// Nanoseconds.
    Duration(u64),
    Number(u64),
    Flag(bool),
    /// 64 bits that mean nothing but themselves.
    Id(u64),
    /// A word of ours.
    Word(&'static str),
    /// A name from outside: any bytes.
    Name(&'a [u8]),
    /// Several, in text separated by commas.
    Names(&'a [std::sync::Arc<str>]),
    Process {
        pid: u32,
        comm: &'a [u8],
    },
    Endpoint(Endpoint),
    /// Who holds a socket.
    Holders(&'a [socket::Held]),
    /// What changed in the network configuration, in words.
    Change(&'a Body),
    /// The same with the interface, and with what happened to it.
    ChangeOf(&'a Body),
    State(TcpState),
    Transition {
        old: TcpState,
        new: TcpState,
    },
    /// What a row says to people, and in fields of its own to programs.
    Said(Said<'a>),
    /// It was this process's before.
    From {
        pid: u32,
        comm: &'a [u8],
    },
    /// accept() returned this descriptor; unknown if the hook came before it.
    Accepted {
        fd: Option<u32>,
    },
}

/// What happened, for people.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said<'a> {
    /// A connect() that came to nothing, after so many SYNs; without an error, the process
    /// gave up.
    Failed { error: Option<Errno>, syns: u32 },
    /// What ended a connection.
    Ended { cause: Cause },
    /// A segment that was sent again, the so many-th.
    Resent { segment: Segment, count: u32 },
    /// A reset, with the kernel's reason.
    Reset { received: bool, reason: Option<&'a str> },
    /// A packet that was thrown away, with the kernel's reason.
    Dropped { reason: Option<&'a str> },
    /// What became of a UDP socket.
    Datagrams(&'a Udp),
    /// A message of DNS.
    Message(&'a DnsMessage),
    /// What became of a UNIX socket.
    Local(&'a Unix),
}

impl<'a> Cell<'a> {
    /// `read` of a value that may be unknown.
    pub fn known<T>(value: Option<T>, read: impl FnOnce(T) -> Cell<'a>) -> Cell<'a> {
        value.map_or(Cell::Unknown, read)
    }
}
