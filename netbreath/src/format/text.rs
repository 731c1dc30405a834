//! Lines for people: aligned columns, a header, and colour where it is wanted.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use netbreath_common::tcp::TcpState;
use unicode_width::UnicodeWidthStr;

use super::{Format, put, put_name, put_names};
use crate::cli::Timestamps;
use crate::event::{
    Cause, Datagrams, DnsMessage, Endpoint, Errno, Event, Gap, Owner, Segment, Udp, Unix, UnixWhat,
};
use crate::lint::Finding;
use crate::name::Names;
use crate::table::socket::Holder;
use crate::view::change;
use crate::view::socket::Held;
use crate::view::{Align, Cell, Column, Said};

/// How text is to look.
#[derive(Clone, Debug)]
pub struct Style {
    pub colour: bool,
    /// Characters beyond ASCII can be shown.
    pub unicode: bool,
    pub timestamps: Timestamps,
    pub timezone: TimeZone,
}

/// A column with its place on the line.
#[derive(Debug)]
struct Place<R: 'static> {
    column: &'static Column<R>,
    start: usize,
    width: usize,
}

/// Writes rows as aligned text.
#[derive(Debug)]
pub struct Text<R: 'static> {
    places: Vec<Place<R>>,
    /// Names are cut to their column on a terminal only: a file keeps them whole.
    cut: bool,
    style: Style,
    clock: Clock,
    names: Option<Names>,
    /// The cell that is being written.
    cell: Vec<u8>,
}

impl<R> Text<R> {
    /// Text with these columns. `width` is the terminal's; columns whose keys are
    /// in `spare` are left out, in that order, until the others fit. `names` gives
    /// host names for addresses.
    pub fn new(
        columns: &[&'static Column<R>],
        spare: &[&str],
        width: Option<usize>,
        style: Style,
        names: Option<Names>,
    ) -> Text<R> {
        let places = arrange(columns, spare, width);
        let clock = Clock::new(style.timestamps, style.timezone.clone());
        Text { places, cut: width.is_some(), style, clock, names, cell: Vec::new() }
    }

    /// Writes `self.cell` into its place, in the colour `ink`. A cell that is too
    /// wide pushes the next ones only as far as it must. Returns where the line ends.
    fn place(&self, place: usize, end: usize, ink: Ink, out: &mut Vec<u8>) -> usize {
        let Place { column, start, width } = &self.places[place];
        let wide = display_width(&self.cell);
        let aim = match column.align {
            Align::Left => *start,
            Align::Right => start + width.saturating_sub(wide),
        };
        let at = if place == 0 { aim } else { aim.max(end + 1) };
        out.resize(out.len() + at.saturating_sub(end), b' ');
        let ink = if self.style.colour { ink } else { Ink::Plain };
        out.extend_from_slice(ink.begin());
        out.extend_from_slice(&self.cell);
        out.extend_from_slice(ink.end());
        at + wide
    }
}

/// Chooses the columns that fit and gives them their places.
fn arrange<R>(
    columns: &[&'static Column<R>],
    spare: &[&str],
    width: Option<usize>,
) -> Vec<Place<R>> {
    let mut kept: Vec<(&'static Column<R>, usize)> = columns
        .iter()
        .map(|column| {
            (*column, if width.is_some() { column.width.least } else { column.width.usual })
        })
        .collect();
    if let Some(limit) = width {
        // A column of one space between neighbours.
        let total = |kept: &[(&Column<R>, usize)]| {
            kept.iter().map(|(_, width)| width + 1).sum::<usize>().saturating_sub(1)
        };
        for key in spare {
            if total(&kept) <= limit || kept.len() == 1 {
                break;
            }
            kept.retain(|(column, _)| column.key != *key);
        }
        let mut room = limit.saturating_sub(total(&kept));
        for goal in [|c: &Column<R>| c.width.usual, |c: &Column<R>| c.width.most] {
            for (column, width) in &mut kept {
                let more = goal(column).saturating_sub(*width).min(room);
                *width += more;
                room -= more;
            }
        }
    }
    let mut start = 0;
    kept.into_iter()
        .map(|(column, width)| {
            let place = Place { column, start, width };
            start += width + 1;
            place
        })
        .collect()
}

impl<R> Format<R> for Text<R> {
    fn begin(&mut self, out: &mut Vec<u8>) {
        let mut end = 0;
        for place in 0..self.places.len() {
            self.cell.clear();
            self.cell.extend_from_slice(self.places[place].column.title.as_bytes());
            end = self.place(place, end, Ink::Title, out);
        }
        out.push(b'\n');
    }

    fn row(&mut self, row: &R, out: &mut Vec<u8>) {
        let mut end = 0;
        for place in 0..self.places.len() {
            let Place { column, width, .. } = &self.places[place];
            let cell = (column.cell)(row);
            self.cell.clear();
            let room = if self.cut { *width } else { usize::MAX };
            let unicode = self.style.unicode;
            match cell {
                Cell::Time(at) => self.clock.put(&mut self.cell, at, *width),
                Cell::Endpoint(end) => {
                    put_endpoint(&mut self.cell, end, &mut self.names, room, unicode)
                }
                cell => put_cell(&mut self.cell, cell, unicode),
            }
            end = self.place(place, end, ink(&cell), out);
        }
        out.push(b'\n');
    }

    fn gap(&mut self, _: &Event, gap: &Gap, out: &mut Vec<u8>) {
        let ink = if self.style.colour { Ink::Warn } else { Ink::Plain };
        out.extend_from_slice(ink.begin());
        out.extend_from_slice(b"! gap: ");
        // What the kernel answered to a hook that cannot be had is for `doctor`, and
        // for the formats for programs.
        put_gap(out, gap, gap.count > 0, self.style.unicode);
        out.extend_from_slice(ink.end());
        out.push(b'\n');
    }

    fn finding(&mut self, finding: &Finding, out: &mut Vec<u8>) {
        let ink = if self.style.colour { Ink::Warn } else { Ink::Plain };
        out.extend_from_slice(ink.begin());
        out.extend_from_slice(b"! ");
        put_finding(out, finding, self.style.unicode);
        out.extend_from_slice(ink.end());
        out.push(b'\n');
    }

    fn clock(&mut self, boot: i64) {
        self.clock.boot = boot;
        self.clock.second = None;
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

/// `name[pid] fd`, separated by commas.
pub(super) fn put_holders(out: &mut Vec<u8>, holders: &[Held], unicode: bool) {
    if holders.is_empty() {
        out.push(b'-');
    }
    for (place, Held { pid, fd, comm, .. }) in holders.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        put_name(out, comm, unicode);
        match *fd {
            Holder::UNKNOWN => put(out, format_args!("[{pid}]")),
            fd => put(out, format_args!("[{pid}]:{fd}")),
        }
    }
}

/// `what (why); mend`, the why only if asked for.
pub fn put_gap(out: &mut Vec<u8>, gap: &Gap, why: bool, unicode: bool) {
    put_name(out, gap.what.as_bytes(), unicode);
    if why && !gap.why.is_empty() {
        out.extend_from_slice(b" (");
        put_name(out, gap.why.as_bytes(), unicode);
        out.push(b')');
    }
    if !gap.mend.is_empty() {
        out.extend_from_slice(b"; ");
        put_name(out, gap.mend.as_bytes(), unicode);
    }
}

/// `lint: who, which connection: evidence (lesson)`.
pub fn put_finding(out: &mut Vec<u8>, finding: &Finding, unicode: bool) {
    put(out, format_args!("{}: ", finding.lint.name()));
    put_evidence(out, finding, unicode);
    let (lesson, topic) = (finding.lint.lesson(), finding.lint.topic());
    put(out, format_args!(" ({lesson}; more: netbreath explain {topic})"));
}

/// The same without its name and its lesson.
pub fn put_evidence(out: &mut Vec<u8>, finding: &Finding, unicode: bool) {
    if let Some(owner) = &finding.owner {
        put_name(out, owner.comm.bytes(), unicode);
        put(out, format_args!("[{}] ", owner.pid));
    }
    if let Some(flow) = &finding.flow {
        let arrow = if unicode { "→" } else { "->" };
        put(out, format_args!("{} {arrow} {} ", flow.local, flow.remote));
    }
    put_name(out, finding.evidence.as_bytes(), unicode);
}

pub(crate) fn put_cell(out: &mut Vec<u8>, cell: Cell<'_>, unicode: bool) {
    match cell {
        // A mark for nothing keeps the fields countable for awk.
        Cell::Absent | Cell::Unknown => out.push(b'-'),
        Cell::Time(nanos) | Cell::Duration(nanos) => put_duration(out, nanos, unicode),
        Cell::Number(number) | Cell::Id(number) => put(out, format_args!("{number}")),
        Cell::Flag(flag) => out.extend_from_slice(if flag { b"yes" } else { b"no" }),
        Cell::Word(word) => out.extend_from_slice(word.as_bytes()),
        Cell::Name(name) => put_name(out, name, unicode),
        Cell::Names(names) => put_names(out, names, unicode),
        Cell::Holders(holders) => put_holders(out, holders, unicode),
        Cell::Process { pid, comm } => {
            put_name(out, comm, unicode);
            put(out, format_args!("[{pid}]"));
        }
        Cell::From { pid, comm } => {
            out.extend_from_slice(b"taken over from ");
            put_name(out, comm, unicode);
            put(out, format_args!("[{pid}]"));
        }
        Cell::Endpoint(endpoint) => put(out, format_args!("{endpoint}")),
        Cell::Change(body) => put_name(out, change::words(body).as_bytes(), unicode),
        Cell::ChangeOf(body) => put_name(out, change::sentence(body).as_bytes(), unicode),
        Cell::State(state) => out.extend_from_slice(state.name().as_bytes()),
        Cell::Transition { old, new } => {
            let arrow = if unicode { "→" } else { "->" };
            put(out, format_args!("{} {arrow} {}", old.name(), new.name()));
        }
        Cell::Said(said) => put_said(out, said, unicode),
        Cell::Accepted { fd: Some(fd) } => put(out, format_args!("accept() fd {fd}")),
        Cell::Accepted { fd: None } => put(out, format_args!("accept()")),
    }
}

fn put_said(out: &mut Vec<u8>, said: Said<'_>, unicode: bool) {
    match said {
        Said::Failed { error, syns } => {
            let what = error.map_or("given up", Errno::meaning);
            match syns {
                0 => out.extend_from_slice(what.as_bytes()),
                1 => put(out, format_args!("{what} after 1 SYN")),
                syns => put(out, format_args!("{what} after {syns} SYNs")),
            }
        }
        Said::Ended { cause } => out.extend_from_slice(ended(cause).as_bytes()),
        Said::Resent { segment, count } => {
            let what = match segment {
                Segment::Syn => "SYN",
                Segment::SynAck => "SYN-ACK",
                Segment::Data => "data",
                Segment::Fin => "FIN",
            };
            put(out, format_args!("{what} sent again ({count})"));
        }
        Said::Reset { received, reason } => {
            out.extend_from_slice(if received { b"reset received" } else { b"reset sent" });
            put_reason(out, reason, unicode);
        }
        Said::Dropped { reason } => {
            out.extend_from_slice(b"dropped");
            put_reason(out, reason, unicode);
        }
        Said::Datagrams(udp) => put_datagrams(out, udp),
        Said::Message(message) => put_message(out, message, unicode),
        Said::Local(unix) => put_local(out, unix, unicode),
    }
}

fn put_datagrams(out: &mut Vec<u8>, udp: &Udp) {
    out.extend_from_slice(udp.what.name().as_bytes());
    if let Some(bytes) = udp.bytes {
        put(out, format_args!(" {bytes} bytes"));
    }
    // Datagrams and bytes.
    if let Some(Datagrams { bytes_sent, bytes_received, sent, received }) = udp.traffic {
        put(out, format_args!(" out {sent}/{bytes_sent} in {received}/{bytes_received}"));
    }
}

fn put_message(out: &mut Vec<u8>, message: &DnsMessage, unicode: bool) {
    let DnsMessage { response, name, kind, rcode, answers, truncated, .. } = message;
    put_name(out, kind.as_deref().unwrap_or("?").as_bytes(), unicode);
    out.push(b' ');
    put_name(out, name.as_deref().unwrap_or("?").as_bytes(), unicode);
    if !response {
        out.push(b'?');
        return;
    }
    out.extend_from_slice(b": ");
    match rcode.as_deref() {
        Some("NOERROR") | None if answers.is_empty() => out.extend_from_slice(b"no data"),
        Some("NOERROR") | None => put_names(out, answers, unicode),
        Some(rcode) => put_name(out, rcode.as_bytes(), unicode),
    }
    if *truncated {
        out.extend_from_slice(b" (cut)");
    }
}

fn put_local(out: &mut Vec<u8>, unix: &Unix, unicode: bool) {
    let mut process = |word: &str, owner: &Option<Owner>| {
        if let Some(Owner { pid, comm, .. }) = owner {
            out.extend_from_slice(word.as_bytes());
            put_name(out, comm.bytes(), unicode);
            put(out, format_args!("[{pid}]"));
        }
    };
    match unix.what {
        UnixWhat::Owner => process("taken over from ", &unix.from),
        UnixWhat::Connect => process("connect to ", &unix.peer_owner),
        UnixWhat::Accept => process("accept from ", &unix.peer_owner),
        _ => {}
    }
    let plain = match unix.what {
        UnixWhat::Owner => unix.from.is_none(),
        UnixWhat::Connect | UnixWhat::Accept => unix.peer_owner.is_none(),
        _ => true,
    };
    if plain {
        out.extend_from_slice(unix.what.name().as_bytes());
    }
}

fn put_reason(out: &mut Vec<u8>, reason: Option<&str>, unicode: bool) {
    if let Some(reason) = reason {
        out.extend_from_slice(b": ");
        put_name(out, reason.as_bytes(), unicode);
    }
}

/// What ended a connection, for people.
pub(crate) const fn ended(cause: Cause) -> &'static str {
    match cause {
        Cause::Close => "closed by close()",
        Cause::Shutdown => "closed by shutdown()",
        Cause::Exit => "closed as process ended",
        Cause::Linger => "closed with a reset",
        Cause::Unread => "closed with data unread",
        Cause::Unaccepted => "closed, never accepted",
        Cause::Disconnect => "closed by disconnecting",
        Cause::Killed => "killed by somebody here",
        Cause::Fin => "closed by the peer",
        Cause::Reset => "reset by the peer",
        Cause::Timeout => "given up: peer is silent",
        Cause::Error => "ended by an error",
    }
}

/// Three digits and a unit: `31.0µs`, `1.20s`; from two minutes on, `2m05s`.
pub(crate) fn put_duration(out: &mut Vec<u8>, nanos: u64, unicode: bool) {
    let micro = if unicode { "µs" } else { "us" };
    let (unit, per) = match nanos {
        0..1_000 => return put(out, format_args!("{nanos}ns")),
        1_000..1_000_000 => (micro, 1_000),
        1_000_000..1_000_000_000 => ("ms", 1_000_000),
        1_000_000_000..120_000_000_000 => ("s", 1_000_000_000),
        _ => {
            let seconds = nanos / 1_000_000_000;
            let (minutes, hours) = (seconds / 60, seconds / 3600);
            return match hours {
                0 => put(out, format_args!("{minutes}m{:02}s", seconds % 60)),
                1..48 => put(out, format_args!("{hours}h{:02}m", minutes % 60)),
                _ => put(out, format_args!("{}d{:02}h", hours / 24, hours % 24)),
            };
        }
    };
    // Cut, not rounded: 999.9µs must not read as 1000µs.
    let (whole, part) = (nanos / per, nanos % per);
    match whole {
        0..10 => put(out, format_args!("{whole}.{:02}{unit}", part * 100 / per)),
        10..100 => put(out, format_args!("{whole}.{}{unit}", part * 10 / per)),
        _ => put(out, format_args!("{whole}{unit}")),
    }
}

/// `name:port` where the name is known, else as `ss` prints it. A name that is too
/// long for `room` loses its beginning: the end of a host name says more.
fn put_endpoint(
    out: &mut Vec<u8>,
    endpoint: Endpoint,
    names: &mut Option<Names>,
    room: usize,
    unicode: bool,
) {
    let name = match names {
        Some(names) if !endpoint.addr.is_unspecified() => names.name(endpoint.addr),
        _ => None,
    };
    let Some(name) = name else {
        return put(out, format_args!("{endpoint}"));
    };
    let room = room.saturating_sub(":65535".len());
    let cut = if unicode { "…" } else { ".." };
    // Host names are ASCII, but for what a hosts file or a liar may hold.
    match name.len().checked_sub(room) {
        Some(over) if over > 0 && name.is_ascii() => {
            out.extend_from_slice(cut.as_bytes());
            let skip = over + cut.width();
            put_name(out, name.as_bytes().get(skip..).unwrap_or_default(), unicode);
        }
        _ => put_name(out, name.as_bytes(), unicode),
    }
    match endpoint.port {
        0 => out.extend_from_slice(b":*"),
        port => put(out, format_args!(":{port}")),
    }
}

/// How many columns of a terminal the bytes take. They are UTF-8: `put_name` has
/// seen to it.
pub(crate) fn display_width(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        return bytes.len();
    }
    std::str::from_utf8(bytes).map_or(bytes.len(), UnicodeWidthStr::width)
}

/// What a cell's colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ink {
    Plain,
    Title,
    Aside,
    Good,
    Warn,
    Bad,
    Name,
}

impl Ink {
    const fn begin(self) -> &'static [u8] {
        match self {
            Ink::Plain => b"",
            Ink::Title => b"\x1b[1m",
            Ink::Aside => b"\x1b[2m",
            Ink::Good => b"\x1b[32m",
            Ink::Warn => b"\x1b[33m",
            Ink::Bad => b"\x1b[31m",
            Ink::Name => b"\x1b[36m",
        }
    }

    const fn end(self) -> &'static [u8] {
        match self {
            Ink::Plain => b"",
            _ => b"\x1b[0m",
        }
    }
}

fn ink(cell: &Cell<'_>) -> Ink {
    match cell {
        Cell::Absent | Cell::Unknown | Cell::Time(_) | Cell::Word(_) => Ink::Aside,
        Cell::Process { .. } | Cell::From { .. } => Ink::Name,
        // A connection that was asked for and did not come about.
        Cell::Transition { old: TcpState::SynSent | TcpState::SynRecv, new: TcpState::Close } => {
            Ink::Bad
        }
        Cell::Said(Said::Failed { .. } | Said::Reset { .. }) => Ink::Bad,
        Cell::Said(Said::Resent { .. } | Said::Dropped { .. }) => Ink::Warn,
        Cell::Said(Said::Ended { .. }) => Ink::Aside,
        Cell::Said(Said::Message(message)) if message.fails() => Ink::Bad,
        Cell::Transition { new: TcpState::Established, .. } | Cell::Accepted { .. } => Ink::Good,
        Cell::Transition { new: TcpState::Close, .. } => Ink::Aside,
        _ => Ink::Plain,
    }
}

/// The time column. The calendar is asked once a second, not once a row.
#[derive(Debug)]
pub(crate) struct Clock {
    kind: Timestamps,
    timezone: TimeZone,
    /// Wall-clock time of boot, in nanoseconds since the epoch.
    pub(crate) boot: i64,
    /// The second that `hms` is for.
    pub(crate) second: Option<i64>,
    hms: [u32; 3],
    /// The first row's time, or with `Delta` that of the row before.
    since: Option<u64>,
}

impl Clock {
    pub(crate) const fn new(kind: Timestamps, timezone: TimeZone) -> Clock {
        Clock { kind, timezone, boot: 0, second: None, hms: [0; 3], since: None }
    }

    /// Microseconds where `width` has room for them.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, at: u64, width: usize) {
        let since = match self.kind {
            Timestamps::Wall => {
                let wall = self.boot.saturating_add_unsigned(at);
                let (second, nanos) =
                    (wall.div_euclid(1_000_000_000), wall.rem_euclid(1_000_000_000));
                if self.second != Some(second) {
                    self.second = Some(second);
                    self.hms = self.time_of_day(second);
                }
                let [h, m, s] = self.hms;
                put(out, format_args!("{h:02}:{m:02}:{s:02}."));
                return match width {
                    15.. => put(out, format_args!("{:06}", nanos / 1_000)),
                    _ => put(out, format_args!("{:03}", nanos / 1_000_000)),
                };
            }
            Timestamps::Boot => at,
            Timestamps::Relative => at.saturating_sub(*self.since.get_or_insert(at)),
            Timestamps::Delta => at.saturating_sub(self.since.replace(at).unwrap_or(at)),
        };
        let micros = since / 1_000;
        put(out, format_args!("{}.{:06}", micros / 1_000_000, micros % 1_000_000));
    }

    /// Hours, minutes and seconds of the local day.
    fn time_of_day(&self, second: i64) -> [u32; 3] {
        let offset = Timestamp::from_second(second)
            .map_or(0, |timestamp| self.timezone.to_offset(timestamp).seconds());
        let of_day = second.saturating_add(offset.into()).rem_euclid(86_400);
        [of_day / 3600, of_day / 60 % 60, of_day % 60].map(|n| u32::try_from(n).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        let text = |nanos| {
            let mut out = Vec::new();
            put_duration(&mut out, nanos, true);
            String::from_utf8(out).unwrap()
        };
        for (nanos, expected) in [
            (0, "0ns"),
            (999, "999ns"),
            (31_000, "31.0µs"),
            (999_999, "999µs"),
            (1_204_000_000, "1.20s"),
            (119_999_999_999, "119s"),
            (125_000_000_000, "2m05s"),
            (3_725_000_000_000, "1h02m"),
            (176_400_000_000_000, "2d01h"),
            (u64::MAX, "213503d23h"),
        ] {
            assert_eq!(text(nanos), expected);
        }
    }

    #[test]
    fn a_day_is_the_local_one() {
        let mut clock = Clock::new(Timestamps::Wall, TimeZone::fixed(jiff::tz::offset(-3)));
        clock.boot = -1_000_000_000;
        let mut out = Vec::new();
        clock.put(&mut out, 1_500, 15);
        assert_eq!(out, b"20:59:59.000001");
    }

    #[test]
    fn a_narrow_terminal_keeps_what_matters() {
        use crate::view::trace::{LEAST_NEEDED, USUAL, column_named};
        let usual: Vec<_> = USUAL.iter().filter_map(|key| column_named(key)).collect();
        let keys = |width| -> Vec<&str> {
            arrange(&usual, &LEAST_NEEDED, Some(width)).iter().map(|p| p.column.key).collect()
        };
        let line =
            |width| arrange(&usual, &LEAST_NEEDED, Some(width)).last().map(|p| p.start + p.width);
        assert_eq!(keys(40), ["process", "remote", "transition"]);
        assert_eq!(keys(80), ["process", "local", "remote", "transition"]);
        assert_eq!(line(80), Some(80));
        assert_eq!(keys(120), USUAL.iter().copied().filter(|k| *k != "event").collect::<Vec<_>>());
        assert_eq!(line(120), Some(120));
        assert_eq!(keys(200), USUAL);
    }
}
