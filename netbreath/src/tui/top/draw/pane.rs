//! The tables.

use netbreath_common::tcp::TcpState;
use ratatui::layout::Rect;

use super::Hits;
use super::brush::{Brush, Ink, endpoint, grouped, rate};
use crate::event::network::Link;
use crate::event::{Body, Event};
use crate::format::text::{put_cell, put_gap};
use crate::table::connection::Connection;
use crate::tui::top::model::{Counted, Model, Pane, Samples, SortKey, Target, World};
use crate::tui::top::rank;
use crate::view::trace::column_named;
use crate::view::{Cell, Said};

/// A column of a table.
#[derive(Clone, Copy)]
struct Column {
    title: &'static str,
    width: u16,
    right: bool,
    sort: Option<SortKey>,
}

const fn left(title: &'static str, width: u16) -> Column {
    Column { title, width, right: false, sort: None }
}

const fn right(title: &'static str, width: u16) -> Column {
    Column { title, width, right: true, sort: None }
}

impl Column {
    const fn by(mut self, key: SortKey) -> Column {
        self.sort = Some(key);
        self
    }
}

/// A cell: its text, its ink, and whether its end says more than its beginning.
struct Word {
    text: String,
    ink: Ink,
    end: bool,
}

fn plain(text: impl Into<String>) -> Word {
    inked(text, Ink::Plain)
}

fn inked(text: impl Into<String>, ink: Ink) -> Word {
    Word { text: text.into(), ink, end: false }
}

/// A number, of which nothing is not worth ink.
fn number(number: u64, ink: Ink) -> Word {
    inked(grouped(number), if number == 0 { Ink::Aside } else { ink })
}

fn address(text: String) -> Word {
    Word { text, ink: Ink::Plain, end: true }
}

pub fn draw(model: &Model, world: &World, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let rows = Rect { y: area.y + 1, height: area.height - 1, ..area };
    hits.rows = rows;
    hits.height = rows.height.into();
    match model.pane {
        Pane::Connections => connections(model, world, area, brush, hits),
        Pane::Processes => processes(model, area, brush, hits),
        Pane::Hosts => hosts(model, area, brush, hits),
        Pane::Listeners => listeners(model, world, area, brush, hits),
        Pane::Interfaces => interfaces(model, world, area, brush, hits),
        Pane::Events => events(model, world, area, brush, hits),
        Pane::Findings => findings(model, world, area, brush, hits),
    }
    if hits.total > 0 && hits.index >= hits.offset {
        let y = rows.y + (hits.index - hits.offset) as u16;
        if y < rows.bottom() {
            brush.choose(Rect { y, height: 1, ..rows });
        }
    }
}

/// Gives what is left of the width to columns that can use it, up to their most.
fn widen(columns: &mut [Column], width: u16, most: &[(&str, u16)]) {
    let taken: u16 = columns.iter().map(|column| column.width + 1).sum::<u16>() - 1;
    let mut room = width.saturating_sub(taken);
    while room > 0 {
        let mut grown = false;
        for column in columns.iter_mut() {
            let limit = most.iter().find(|(title, _)| *title == column.title);
            if room > 0 && limit.is_some_and(|(_, most)| column.width < *most) {
                column.width += 1;
                room -= 1;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
}

fn titles(columns: &[Column], model: &Model, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let mut x = area.x;
    for column in columns {
        let sorted = column.sort == Some(model.sort);
        let arrow = match (sorted, model.reverse, brush.unicode()) {
            (false, ..) => "",
            (_, false, true) => "▾",
            (_, true, true) => "▴",
            (_, false, false) => "v",
            (_, true, false) => "^",
        };
        let text = format!("{}{arrow}", column.title);
        if column.right {
            brush.put_right(x, area.y, column.width, &text, Ink::Title);
        } else {
            brush.put(x, area.y, column.width, &text, Ink::Title);
        }
        if let Some(key) = column.sort {
            hits.titles.push((Rect { x, y: area.y, width: column.width, height: 1 }, key));
        }
        x += column.width + 1;
    }
}

fn row(columns: &[Column], words: Vec<Word>, x: u16, y: u16, brush: &mut Brush<'_>) {
    let mut x = x;
    for (column, Word { text, ink, end }) in columns.iter().zip(words) {
        if column.right {
            brush.put_right(x, y, column.width, &text, ink);
        } else if end {
            brush.put_end(x, y, column.width, &text, ink);
        } else {
            brush.put(x, y, column.width, &text, ink);
        }
        x += column.width + 1;
    }
}

/// What is said where a table has no rows.
fn nothing(text: &str, area: Rect, brush: &mut Brush<'_>) {
    brush.put(area.x + 2, area.y + 2, area.width - 2, text, Ink::Aside);
}

fn connections(model: &Model, world: &World, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let process = left("PROCESS", 15).by(SortKey::Process);
    let local = left("LOCAL", 19).by(SortKey::Local);
    let remote = left("REMOTE", 19).by(SortKey::Remote);
    let state = left("STATE", 11).by(SortKey::State);
    let age = right("AGE", 6).by(SortKey::Age);
    let again = right("RE", 3).by(SortKey::Retransmits);
    let rates = right("OUT/s", 5).by(SortKey::Rate);
    let rtt = right("RTT", 6).by(SortKey::Rtt);
    let mark = left("", 1);
    let mut columns = match area.width {
        ..80 => vec![mark, left("PROCESS", 11), left("REMOTE", 15), state, age],
        80..100 => vec![mark, process, local, remote, state, age, again],
        _ => vec![mark, process, local, remote, state, age, rates, right("IN/s", 5), rtt, again],
    };
    widen(&mut columns, area.width, &[("PROCESS", 24), ("LOCAL", 47), ("REMOTE", 47)]);
    titles(&columns, model, area, brush, hits);
    let page = rank::connections(model, hits.height);
    (hits.index, hits.offset, hits.total) = (page.index, page.offset, page.total);
    if page.rows.is_empty() {
        let text = if model.filter.is_empty() {
            "no connections yet"
        } else {
            "nothing matches the filter; Esc drops it"
        };
        nothing(text, area, brush);
    }
    for (place, connection) in page.rows.into_iter().enumerate() {
        hits.targets.push(Target::Socket(connection.id));
        let words =
            columns.iter().map(|column| cell(column.title, connection, world, brush)).collect();
        row(&columns, words, area.x, area.y + 1 + place as u16, brush);
    }
}

/// From when on a state is marked.
const LONG_CLOSE_WAIT: u64 = 30_000_000_000;
const LONG_SYN_SENT: u64 = 1_000_000_000;

fn cell(title: &str, row: &Connection, world: &World, brush: &Brush<'_>) -> Word {
    let age = world.now.saturating_sub(row.since);
    let over = row.ended.is_some();
    let odd = !over
        && match row.state {
            TcpState::CloseWait => age >= LONG_CLOSE_WAIT,
            TcpState::SynSent => age >= LONG_SYN_SENT,
            _ => false,
        };
    let ink = if over { Ink::Aside } else { Ink::Plain };
    let samples = world.samples.get(&row.id);
    let unknown = || inked("-", Ink::Aside);
    match title {
        "" if odd => inked("!", Ink::Warn),
        "" if over => inked("x", Ink::Aside),
        "" if row.waits => inked("q", Ink::Warn),
        "" => plain(""),
        "PROCESS" => {
            inked(brush.owner(row.owner.as_ref()), if over { Ink::Aside } else { Ink::Name })
        }
        "LOCAL" => Word { ink, ..address(endpoint(row.flow.local)) },
        "REMOTE" => Word { ink, ..address(endpoint(row.flow.remote)) },
        "STATE" => {
            let ink = match row.state {
                _ if odd => Ink::Warn,
                TcpState::Established => Ink::Good,
                TcpState::CloseWait | TcpState::SynSent | TcpState::SynRecv => Ink::Plain,
                _ => Ink::Aside,
            };
            let closed = row.closed().and_then(|closed| closed.cause);
            match closed.filter(|_| over) {
                Some(cause) => inked(cause.name(), Ink::Aside),
                None => inked(row.state.name(), ink),
            }
        }
        "AGE" => inked(brush.duration(age), if odd { Ink::Warn } else { ink }),
        "OUT/s" => samples
            .and_then(Samples::rates)
            .map_or_else(unknown, |(sent, _)| inked(rate(sent), ink)),
        "IN/s" => samples
            .and_then(Samples::rates)
            .map_or_else(unknown, |(_, received)| inked(rate(received), ink)),
        "RTT" => match samples.and_then(Samples::last).map(|sample| sample.rtt) {
            Some(rtt) if rtt > 0 => inked(brush.duration(rtt), ink),
            _ => unknown(),
        },
        _ => number(row.retransmits.into(), if over { Ink::Aside } else { Ink::Warn }),
    }
}

fn processes(model: &Model, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let mut columns = vec![
        left("PROCESS", 20),
        right("CONNS", 7),
        right("LISTEN", 6),
        right("CLOSE_WAIT", 10),
        right("SYN_SENT", 8),
        right("OPENED", 8),
        right("FAILED", 6),
        right("RETR", 6),
    ];
    if area.width < 80 {
        columns.truncate(4);
    }
    widen(&mut columns, area.width, &[("PROCESS", 40)]);
    titles(&columns, model, area, brush, hits);
    let page =
        rank::part(rank::processes(model), hits.height, model, |row| Target::Process(row.pid));
    (hits.index, hits.offset, hits.total) = (page.index, page.offset, page.total);
    if page.rows.is_empty() {
        nothing("no process has a connection", area, brush);
    }
    for (place, process) in page.rows.into_iter().enumerate() {
        hits.targets.push(Target::Process(process.pid));
        let name = match &process.comm {
            Some(comm) => inked(brush.process(process.pid, comm), Ink::Name),
            None => inked("unknown", Ink::Aside),
        };
        let words = vec![
            name,
            number(process.connections.into(), Ink::Plain),
            number(process.listeners.into(), Ink::Plain),
            number(process.close_wait.into(), Ink::Warn),
            number(process.syn_sent.into(), Ink::Warn),
            number(process.tally.opened, Ink::Plain),
            number(process.tally.failed, Ink::Warn),
            number(process.tally.retransmits, Ink::Warn),
        ];
        row(&columns, words, area.x, area.y + 1 + place as u16, brush);
    }
}

fn hosts(model: &Model, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let mut columns = vec![
        left("REMOTE HOST", 18),
        right("CONNS", 7),
        right("SYN_SENT", 8),
        right("CLOSE_WAIT", 10),
        right("TIME_WAIT", 9),
        right("RETR", 6),
        right("RTT", 7),
    ];
    if area.width < 80 {
        columns.truncate(3);
    }
    widen(&mut columns, area.width, &[("REMOTE HOST", 40)]);
    titles(&columns, model, area, brush, hits);
    let page = rank::part(rank::peers(model), hits.height, model, |row| Target::Host(row.addr));
    (hits.index, hits.offset, hits.total) = (page.index, page.offset, page.total);
    if page.rows.is_empty() {
        nothing("no connections yet", area, brush);
    }
    for (place, peer) in page.rows.into_iter().enumerate() {
        hits.targets.push(Target::Host(peer.addr));
        let rtt = match peer.rtt {
            0 => inked("-", Ink::Aside),
            rtt => plain(brush.duration(rtt)),
        };
        let words = vec![
            address(peer.addr.to_string()),
            number(peer.connections.into(), Ink::Plain),
            number(peer.syn_sent.into(), Ink::Warn),
            number(peer.close_wait.into(), Ink::Warn),
            number(peer.time_wait.into(), Ink::Plain),
            number(peer.retransmits, Ink::Warn),
            rtt,
        ];
        row(&columns, words, area.x, area.y + 1 + place as u16, brush);
    }
}

fn listeners(model: &Model, world: &World, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let mut columns = vec![
        left("PROCESS", 18),
        left("LOCAL", 19),
        right("WAIT", 9),
        left("QUEUE", 10),
        right("HALF-OPEN", 9),
        right("CONNS", 6),
        right("AGE", 6),
    ];
    if area.width < 80 {
        columns = vec![left("PROCESS", 12), left("LOCAL", 15), right("WAIT", 9)];
    }
    let most = [("PROCESS", 28), ("LOCAL", 47), ("QUEUE", 20)];
    widen(&mut columns, area.width, &most);
    titles(&columns, model, area, brush, hits);
    let page = rank::part(rank::listeners(model), hits.height, model, |listener| {
        Target::Socket(listener.row.id)
    });
    (hits.index, hits.offset, hits.total) = (page.index, page.offset, page.total);
    if page.rows.is_empty() {
        nothing("nobody listens", area, brush);
    }
    let queue_at: u16 = columns.iter().take(3).map(|column| column.width + 1).sum();
    for (place, listener) in page.rows.into_iter().enumerate() {
        hits.targets.push(Target::Socket(listener.row.id));
        let y = area.y + 1 + place as u16;
        let sample = world.samples.get(&listener.row.id).and_then(Samples::last);
        let asked = sample.and_then(|sample| sample.queue);
        let waiting = asked.map_or(listener.waiting, |(waiting, _)| waiting);
        let full = asked.is_some_and(|(waiting, most)| waiting > most.max(1));
        let ink = if full {
            Ink::Bad
        } else if waiting > 0 {
            Ink::Warn
        } else {
            Ink::Aside
        };
        let text = match asked {
            Some((waiting, most)) if full => format!("!{waiting}/{most}"),
            Some((waiting, most)) => format!("{waiting}/{most}"),
            None => waiting.to_string(),
        };
        let words = vec![
            inked(brush.owner(listener.row.owner.as_ref()), Ink::Name),
            address(endpoint(listener.row.flow.local)),
            inked(text, ink),
            plain(""),
            number(listener.half_open.into(), Ink::Warn),
            number(listener.connections.into(), Ink::Plain),
            plain(brush.duration(world.now.saturating_sub(listener.row.since))),
        ];
        row(&columns, words, area.x, y, brush);
        if let (Some((waiting, most)), Some(queue)) = (asked, columns.get(3)) {
            brush.bar(queue_at, y, queue.width, waiting.into(), most.max(1).into(), ink);
        }
    }
}

fn interfaces(model: &Model, world: &World, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let mut columns = vec![
        left("INTERFACE", 15),
        left("STATE", 9),
        right("MTU", 6),
        right("IN/s", 6),
        right("OUT/s", 6),
        right("DROPPED", 8),
        left("ADDRESSES", 20),
    ];
    if area.width < 80 {
        columns.truncate(3);
    }
    widen(&mut columns, area.width, &[("ADDRESSES", 120)]);
    titles(&columns, model, area, brush, hits);
    let network = world.tables.network();
    let links: Vec<&Link> = network.links().collect();
    let page = rank::part(links, hits.height, model, |link| Target::Link(link.ifindex));
    (hits.index, hits.offset, hits.total) = (page.index, page.offset, page.total);
    if page.rows.is_empty() {
        nothing("no interfaces were told of", area, brush);
    }
    for (place, link) in page.rows.into_iter().enumerate() {
        hits.targets.push(Target::Link(link.ifindex));
        let addresses: Vec<String> = network
            .addresses()
            .filter(|address| address.ifindex == link.ifindex)
            .map(|address| format!("{}/{}", address.local, address.prefixlen))
            .collect();
        let (rates, dropped) = traffic(world, link.ifindex);
        let rated = |bytes: Option<f64>| {
            bytes.map_or_else(|| inked("-", Ink::Aside), |bytes| plain(rate(bytes)))
        };
        let up = link.flags.has(crate::event::network::LinkFlags::UP);
        let words = vec![
            inked(brush.safe(link.ifname.as_bytes()), Ink::Name),
            inked(
                if up { link.operstate.to_string() } else { "off".to_owned() },
                if up { Ink::Good } else { Ink::Aside },
            ),
            plain(link.mtu.to_string()),
            rated(rates.map(|(received, _)| received)),
            rated(rates.map(|(_, sent)| sent)),
            dropped.map_or_else(|| inked("-", Ink::Aside), |count| number(count, Ink::Warn)),
            plain(addresses.join(" ")),
        ];
        row(&columns, words, area.x, area.y + 1 + place as u16, brush);
    }
}

/// Bytes a second that came and went, and packets that were dropped, of an interface.
fn traffic(world: &World, ifindex: u32) -> (Option<(f64, f64)>, Option<u64>) {
    let counters = |counted: &Counted| {
        let link = counted.links.iter().find(|link| link.ifindex == ifindex)?;
        link.stats.as_deref().cloned()
    };
    let Some(latest) = world.links.first() else { return (None, None) };
    let Some(now) = counters(latest) else { return (None, None) };
    let dropped = now.rx_dropped + now.tx_dropped;
    let rates = world.links.get(1).and_then(|before| {
        let was = counters(before)?;
        let time = latest.at.checked_sub(before.at).filter(|time| *time > 0)? as f64 / 1e9;
        let rate = |now: u64, was: u64| now.saturating_sub(was) as f64 / time;
        Some((rate(now.rx_bytes, was.rx_bytes), rate(now.tx_bytes, was.tx_bytes)))
    });
    (rates, Some(dropped))
}

fn events(model: &Model, world: &World, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    brush.put(area.x, area.y, area.width, "TIME         EVENT          PROCESS", Ink::Title);
    let first = world.ticked - world.ticker.len() as u64;
    let mut filter = rank::Filter::new(&model.filter);
    // The latest first; without a filter, only what is on the screen is looked at.
    let mut numbers: Vec<u64> = (first..world.ticked).rev().collect();
    if !filter.is_empty() {
        numbers.retain(|number| {
            let event = &world.ticker[(number - first) as usize];
            filter.admits(|text| text.extend_from_slice(line(event, world, brush).as_bytes()))
        });
    }
    let page = rank::part(numbers, hits.height, model, |number| Target::Number(*number));
    (hits.index, hits.offset, hits.total) = (page.index, page.offset, page.total);
    if page.rows.is_empty() {
        nothing("nothing has happened yet", area, brush);
    }
    for (place, number) in page.rows.into_iter().enumerate() {
        hits.targets.push(Target::Number(number));
        if let Some(event) = world.ticker.get((number - first) as usize) {
            put_event(event, world, area, area.y + 1 + place as u16, brush);
        }
    }
}

/// The latest events, below every table.
pub fn ticker(world: &World, area: Rect, brush: &mut Brush<'_>) {
    let rule = if brush.unicode() { "─" } else { "-" };
    let title = format!("{rule}{rule} events {}", rule.repeat(area.width.into()));
    brush.put(area.x, area.y, area.width, &title, Ink::Aside);
    let lines = usize::from(area.height - 1);
    let skip = world.ticker.len().saturating_sub(lines);
    for (place, event) in world.ticker.iter().skip(skip).enumerate() {
        put_event(event, world, area, area.y + 1 + place as u16, brush);
    }
}

fn put_event(event: &Event, world: &World, area: Rect, y: u16, brush: &mut Brush<'_>) {
    brush.put(area.x, y, area.width, &line(event, world, brush), ink(event));
}

/// An event as a line: when, what kind, who, and what.
fn line(event: &Event, world: &World, brush: &Brush<'_>) -> String {
    let mut out = Vec::new();
    out.extend_from_slice(brush.clock(world.boot, event.at, 12).as_bytes());
    out.extend_from_slice(format!(" {:<14} ", event.body.name()).as_bytes());
    if let Body::Gap(gap) = &event.body {
        put_gap(&mut out, gap, true, brush.unicode());
        return String::from_utf8_lossy(&out).into_owned();
    }
    let mut put = |key: &str, before: &str| {
        let Some(column) = column_named(key) else { return };
        let cell = (column.cell)(event);
        if cell != Cell::Absent {
            out.extend_from_slice(before.as_bytes());
            put_cell(&mut out, cell, brush.unicode());
        }
    };
    let arrow = if brush.unicode() { " ↔ " } else { " - " };
    put("process", "");
    put("local", " ");
    put("remote", arrow);
    put("transition", "  ");
    put("in_state", "  ");
    String::from_utf8_lossy(&out).into_owned()
}

fn ink(event: &Event) -> Ink {
    let cell = column_named("transition").map(|column| (column.cell)(event));
    match cell {
        _ if matches!(event.body, Body::Gap(_)) => Ink::Warn,
        Some(Cell::Said(Said::Failed { .. } | Said::Reset { .. })) => Ink::Bad,
        Some(Cell::Said(Said::Resent { .. } | Said::Dropped { .. })) => Ink::Warn,
        Some(Cell::Transition { new: TcpState::Established, .. }) => Ink::Good,
        Some(Cell::Transition { new: TcpState::Close, .. }) => Ink::Aside,
        _ => Ink::Plain,
    }
}

fn findings(model: &Model, world: &World, area: Rect, brush: &mut Brush<'_>, hits: &mut Hits) {
    let title = "TIME     WHAT               WHO AND BY WHAT IT IS SEEN";
    brush.put(area.x, area.y, area.width, title, Ink::Title);
    let rows: Vec<_> = world.findings.iter().rev().collect();
    // Below: what the chosen one means.
    let lesson = 3.min(hits.height.saturating_sub(3));
    hits.height -= lesson;
    let page = rank::part(rows, hits.height, model, |told| Target::Number(told.number));
    (hits.index, hits.offset, hits.total) = (page.index, page.offset, page.total);
    if page.rows.is_empty() {
        nothing("nothing odd so far", area, brush);
        return;
    }
    for (place, told) in page.rows.iter().enumerate() {
        hits.targets.push(Target::Number(told.number));
        let finding = &told.finding;
        let time = brush.clock(world.boot, finding.at, 12);
        let who = match (&finding.owner, &finding.flow) {
            (Some(owner), _) => brush.process(owner.pid, &owner.comm),
            (None, Some(flow)) => endpoint(flow.local),
            (None, None) => "-".to_owned(),
        };
        let times = if told.times > 1 { format!(" ({}x)", told.times) } else { String::new() };
        let text = format!(
            "{} {:<18} {who}: {}{times}",
            time.get(..8).unwrap_or_default(),
            finding.lint.name(),
            brush.safe(finding.evidence.as_bytes()),
        );
        let ink = if finding.lint.is_fault() { Ink::Warn } else { Ink::Plain };
        brush.put(area.x, area.y + 1 + place as u16, area.width, &text, ink);
    }
    let chosen = hits.index.checked_sub(hits.offset).and_then(|place| page.rows.get(place));
    if let Some(told) = chosen {
        let lint = told.finding.lint;
        let text = format!("{} (netbreath explain {})", lint.lesson(), lint.topic());
        let top = area.bottom() - lesson as u16;
        for (place, line) in wrapped(&text, area.width.into()).iter().take(lesson).enumerate() {
            brush.put(area.x, top + place as u16, area.width, line, Ink::Title);
        }
    }
}

/// Words in lines of at most `width` columns.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    use unicode_width::UnicodeWidthStr;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
            } else if line.width() + 1 + word.width() <= width {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    lines
}
