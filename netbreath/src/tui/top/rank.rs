//! Which rows a table shows, and in which order. Of many rows, only those that fit on the
//! screen are put in order.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use super::model::{Model, SortKey, Target, World};
use crate::event::{Comm, Endpoint, SocketId};
use crate::format::{put, put_name};
use crate::table::connection::{Connection, Tally};

/// A part of a table.
pub struct Page<T> {
    pub rows: Vec<T>,
    /// Of the first of `rows`.
    pub offset: usize,
    /// Of the row with the cursor.
    pub index: usize,
    pub total: usize,
}

/// How long connections that are over stay in sight.
const LINGER: u64 = 3_000_000_000;

/// The words of a filter: each must be in what is said of a row. Many rows are looked at
/// for each screen, so that no row costs an allocation.
pub struct Filter {
    words: Vec<Vec<u8>>,
    text: Vec<u8>,
}

impl Filter {
    pub fn new(typed: &str) -> Filter {
        let words = typed.split_whitespace().map(|word| word.to_lowercase().into_bytes()).collect();
        Filter { words, text: Vec::new() }
    }

    pub const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether it lets through what `write` says of a row.
    pub fn admits(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.words.is_empty() {
            return true;
        }
        self.text.clear();
        write(&mut self.text);
        if self.text.is_ascii() {
            self.text.make_ascii_lowercase();
        } else {
            self.text = String::from_utf8_lossy(&self.text).to_lowercase().into_bytes();
        }
        self.words.iter().all(|word| has(&self.text, word))
    }
}

fn has(text: &[u8], word: &[u8]) -> bool {
    let Some((first, rest)) = word.split_first() else { return true };
    let mut left = text;
    while let Some(at) = left.iter().position(|byte| byte == first) {
        left = &left[at + 1..];
        if left.starts_with(rest) {
            return true;
        }
    }
    false
}

fn say(connection: &Connection, text: &mut Vec<u8>) {
    for end in [connection.flow.local, connection.flow.remote] {
        say_end(end, text);
        text.push(b' ');
    }
    text.extend_from_slice(connection.state.name().as_bytes());
    if let Some(owner) = &connection.owner {
        text.push(b' ');
        say_process(owner.pid, &owner.comm, text);
    }
}

fn say_process(pid: u32, comm: &Comm, text: &mut Vec<u8>) {
    put_name(text, comm.bytes(), true);
    text.push(b'[');
    say_number(pid, text);
    text.push(b']');
}

fn say_number(number: u32, text: &mut Vec<u8>) {
    text.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// As it is shown. By hand for IPv4: the general way takes most of the time of a search.
fn say_end(end: Endpoint, text: &mut Vec<u8>) {
    match end.addr {
        IpAddr::V4(addr) => {
            for (place, part) in addr.octets().into_iter().enumerate() {
                if place > 0 {
                    text.push(b'.');
                }
                say_number(part.into(), text);
            }
            text.push(b':');
            match end.port {
                0 => text.push(b'*'),
                port => say_number(port.into(), text),
            }
        }
        IpAddr::V6(_) => put(text, format_args!("{end}")),
    }
}

/// The connections to show, `height` rows of them.
pub fn connections(model: &Model, height: usize) -> Page<&Connection> {
    let world = model.shown();
    let mut filter = Filter::new(&model.filter);
    let rows: Vec<&Connection> = world
        .tables
        .connections()
        .iter()
        .filter(|row| row.state != TcpState::Listen)
        .filter(|row| match row.ended {
            Some(at) => model.ended || world.now.saturating_sub(at) < LINGER,
            None => true,
        })
        .filter(|row| filter.admits(|text| say(row, text)))
        .collect();
    let cursor = model.cursor();
    let on = match cursor.on {
        Some(Target::Socket(id)) => world.tables.connections().get(id),
        _ => None,
    };
    let order = |a: &&Connection, b: &&Connection| {
        let order = compare(world, model.sort, a, b);
        let order = if model.reverse { order.reverse() } else { order };
        // What is over is worth less than what is there.
        a.ended.is_some().cmp(&b.ended.is_some()).then(order).then(a.id.cmp(&b.id))
    };
    page(rows, height, cursor.index, cursor.offset, on, order)
}

/// Brings the part of `rows` that is on the screen in order.
fn page<T: Copy>(
    mut rows: Vec<T>,
    height: usize,
    index: usize,
    offset: usize,
    on: Option<T>,
    order: impl Fn(&T, &T) -> Ordering,
) -> Page<T> {
    let total = rows.len();
    let is_on = |on: &T| rows.iter().any(|row| order(row, on) == Ordering::Equal);
    let index = match &on {
        Some(on) if is_on(on) => rows.iter().filter(|row| order(row, on) == Ordering::Less).count(),
        _ => index.min(total.saturating_sub(1)),
    };
    let offset = scrolled(index, offset, height, total);
    let end = (offset + height).min(total);
    if end < total && end > 0 {
        rows.select_nth_unstable_by(end - 1, &order);
        rows.truncate(end);
    }
    if offset > 0 && offset < rows.len() {
        rows.select_nth_unstable_by(offset, &order);
    }
    let mut rows = rows.split_off(offset.min(rows.len()));
    rows.sort_unstable_by(order);
    Page { rows, offset, index, total }
}

/// Where a table has to begin for the cursor to be seen.
pub fn scrolled(index: usize, offset: usize, height: usize, total: usize) -> usize {
    let height = height.max(1);
    let last = total.saturating_sub(height);
    let least = (index + 1).saturating_sub(height);
    offset.clamp(least.min(index), index).min(last)
}

/// The part of a short list that is on the screen.
pub fn part<T>(
    rows: Vec<T>,
    height: usize,
    model: &Model,
    target: impl Fn(&T) -> Target,
) -> Page<T> {
    let cursor = model.cursor();
    let total = rows.len();
    let index = cursor
        .on
        .and_then(|on| rows.iter().position(|row| target(row) == on))
        .unwrap_or_else(|| cursor.index.min(total.saturating_sub(1)));
    let offset = scrolled(index, cursor.offset, height, total);
    let rows = rows.into_iter().skip(offset).take(height).collect();
    Page { rows, offset, index, total }
}

fn compare(world: &World, key: SortKey, a: &Connection, b: &Connection) -> Ordering {
    let comm = |row: &Connection| row.owner.as_ref().map(|owner| (*owner.comm.padded(), owner.pid));
    match key {
        // The latest first.
        SortKey::Age => b.since.cmp(&a.since),
        SortKey::Process => match (comm(a), comm(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        },
        SortKey::Local => end(a.flow.local).cmp(&end(b.flow.local)),
        SortKey::Remote => end(a.flow.remote).cmp(&end(b.flow.remote)),
        SortKey::State => weight(a.state).cmp(&weight(b.state)),
        SortKey::Rate => rate(world, b).total_cmp(&rate(world, a)),
        SortKey::Rtt => rtt(world, b).cmp(&rtt(world, a)),
        SortKey::Retransmits => b.retransmits.cmp(&a.retransmits),
    }
}

const fn end(end: Endpoint) -> (IpAddr, u16) {
    (end.addr, end.port)
}

fn rate(world: &World, row: &Connection) -> f64 {
    let rates = world.samples.get(&row.id).and_then(super::model::Samples::rates);
    rates.map_or(-1.0, |(sent, received)| sent + received)
}

fn rtt(world: &World, row: &Connection) -> u64 {
    let sample = world.samples.get(&row.id).and_then(|samples| samples.last());
    sample.map_or(0, |sample| sample.rtt)
}

/// What may be wrong comes first.
const fn weight(state: TcpState) -> u8 {
    match state {
        TcpState::CloseWait => 0,
        TcpState::SynSent => 1,
        TcpState::SynRecv | TcpState::NewSynRecv => 2,
        TcpState::LastAck => 3,
        TcpState::Closing => 4,
        TcpState::FinWait1 => 5,
        TcpState::FinWait2 => 6,
        TcpState::Established => 7,
        TcpState::TimeWait => 8,
        TcpState::Listen | TcpState::BoundInactive => 9,
        TcpState::Close => 10,
    }
}

/// A process with what its connections are in.
#[derive(Clone, Debug, Default)]
pub struct Process {
    pub pid: u32,
    pub comm: Option<Comm>,
    pub connections: u32,
    pub listeners: u32,
    pub close_wait: u32,
    pub syn_sent: u32,
    pub tally: Tally,
}

pub fn processes(model: &Model) -> Vec<Process> {
    let world = model.shown();
    let mut filter = Filter::new(&model.filter);
    let mut all: HashMap<u32, Process> = HashMap::new();
    for row in world.tables.connections().iter() {
        let pid = row.owner.as_ref().map_or(0, |owner| owner.pid);
        let process = all.entry(pid).or_default();
        process.pid = pid;
        process.comm = row.owner.as_ref().map(|owner| owner.comm);
        if row.ended.is_some() {
            continue;
        }
        match row.state {
            TcpState::Listen => process.listeners += 1,
            state => {
                process.connections += 1;
                process.close_wait += u32::from(state == TcpState::CloseWait);
                process.syn_sent += u32::from(state == TcpState::SynSent);
            }
        }
    }
    let mut all: Vec<Process> = all
        .into_values()
        .filter(|process| {
            filter.admits(|text| match &process.comm {
                Some(comm) => say_process(process.pid, comm, text),
                None => text.extend_from_slice(b"unknown"),
            })
        })
        .map(|process| Process { tally: world.tables.connections().tally(process.pid), ..process })
        .filter(|process| process.connections + process.listeners > 0 || process.tally.opened > 0)
        .collect();
    all.sort_unstable_by_key(|process| {
        (std::cmp::Reverse(process.connections + process.listeners), process.pid)
    });
    if model.reverse {
        all.reverse();
    }
    all
}

/// A host at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub addr: IpAddr,
    pub connections: u32,
    pub close_wait: u32,
    pub syn_sent: u32,
    pub time_wait: u32,
    pub retransmits: u64,
    /// Those with the longest round-trip time, in nanoseconds.
    pub rtt: u64,
}

pub fn peers(model: &Model) -> Vec<Peer> {
    let world = model.shown();
    let mut filter = Filter::new(&model.filter);
    let mut all: HashMap<IpAddr, Peer> = HashMap::new();
    for row in world.tables.connections().iter() {
        if row.ended.is_some() || row.state == TcpState::Listen {
            continue;
        }
        let addr = row.flow.remote.addr;
        let peer = all.entry(addr).or_insert(Peer {
            addr,
            connections: 0,
            close_wait: 0,
            syn_sent: 0,
            time_wait: 0,
            retransmits: 0,
            rtt: 0,
        });
        peer.connections += 1;
        peer.close_wait += u32::from(row.state == TcpState::CloseWait);
        peer.syn_sent += u32::from(row.state == TcpState::SynSent);
        peer.time_wait += u32::from(row.state == TcpState::TimeWait);
        peer.retransmits += u64::from(row.retransmits);
        peer.rtt = peer.rtt.max(rtt(world, row));
    }
    let mut all: Vec<Peer> = all
        .into_values()
        .filter(|peer| filter.admits(|text| put(text, format_args!("{}", peer.addr))))
        .collect();
    all.sort_unstable_by_key(|peer| (std::cmp::Reverse(peer.connections), peer.addr));
    if model.reverse {
        all.reverse();
    }
    all
}

/// A listener with its queue.
#[derive(Clone, Debug)]
pub struct Listener<'a> {
    pub row: &'a Connection,
    /// Connections that wait for accept(), as events tell of them.
    pub waiting: u32,
    pub half_open: u32,
    pub connections: u32,
}

pub fn listeners(model: &Model) -> Vec<Listener<'_>> {
    let world = model.shown();
    let mut filter = Filter::new(&model.filter);
    // What came to a port: most specific address first.
    let mut ports: HashMap<(Option<u32>, u16), Vec<&Connection>> = HashMap::new();
    let mut all: HashMap<SocketId, Listener<'_>> = HashMap::new();
    let connections = world.tables.connections();
    for row in connections.iter().filter(|row| row.state == TcpState::Listen) {
        if filter.admits(|text| say(row, text)) {
            all.insert(row.id, Listener { row, waiting: 0, half_open: 0, connections: 0 });
        }
        ports.entry((row.netns, row.flow.local.port)).or_default().push(row);
    }
    for row in connections.iter() {
        if row.state == TcpState::Listen || row.ended.is_some() {
            continue;
        }
        let Some(at) = ports.get(&(row.netns, row.flow.local.port)) else { continue };
        let exact = at.iter().find(|listener| listener.flow.local.addr == row.flow.local.addr);
        let any = || at.iter().find(|listener| listener.flow.local.addr.is_unspecified());
        let Some(listener) = exact.or_else(any).and_then(|row| all.get_mut(&row.id)) else {
            continue;
        };
        match row.state {
            TcpState::SynRecv | TcpState::NewSynRecv => listener.half_open += 1,
            TcpState::TimeWait => {}
            _ => listener.connections += 1,
        }
        listener.waiting += u32::from(row.waits);
    }
    let mut all: Vec<Listener<'_>> = all.into_values().collect();
    all.sort_unstable_by_key(|listener| {
        let local = listener.row.flow.local;
        (std::cmp::Reverse(listener.waiting), local.port, local.addr, listener.row.id)
    });
    if model.reverse {
        all.reverse();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_is_always_on_the_screen() {
        for total in 0..12 {
            for height in 0..5 {
                for index in 0..total {
                    for offset in 0..total {
                        let at = scrolled(index, offset, height, total);
                        assert!(at <= index && index < at + height.max(1), "{index} {at}");
                    }
                }
            }
        }
        // What is in sight stays where it is.
        assert_eq!(scrolled(5, 3, 4, 20), 3);
    }

    #[test]
    fn a_page_is_the_same_as_that_of_the_whole_in_order() {
        let rows: Vec<u32> = (0..100).map(|n| n * 37 % 101).collect();
        let mut whole = rows.clone();
        whole.sort_unstable();
        for (index, offset) in [(0, 0), (50, 48), (99, 0), (30, 90)] {
            let page = page(rows.clone(), 10, index, offset, None, u32::cmp);
            assert_eq!(page.rows, whole[page.offset..page.offset + 10], "{index} {offset}");
            assert!(page.rows.contains(&whole[index]));
        }
        // The cursor goes with its row.
        let page = page(rows, 10, 0, 0, Some(whole[60]), u32::cmp);
        assert_eq!(page.index, 60);
    }

    #[test]
    fn every_word_of_a_filter_must_be_there() {
        let mut filter = Filter::new("Nginx 10.0");
        assert!(filter.admits(|text| text.extend_from_slice(b"NGINX[7] 10.0.0.1:80")));
        assert!(!filter.admits(|text| text.extend_from_slice(b"curl[8] 10.0.0.1:80")));
        assert!(Filter::new(" ").is_empty());
        assert!(has(b"aab", b"ab") && !has(b"aab", b"ba") && has(b"", b"") && !has(b"a", b"aa"));
        let mut wide = Filter::new("\u{3a3}");
        assert!(wide.admits(|text| text.extend_from_slice("\u{3c3}".as_bytes())));
    }
}
