//! Counts over all packets: `-z`.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::packet::display::Filter;
use crate::packet::dissect::field::{ip, ipv6, tcp, udp};
use crate::packet::dissect::{Addr, Dissector, Meta, Node, Value};

/// Conversations and intervals: more are not counted.
const MOST: usize = 1_000_000;
/// Bytes of a stream that are kept.
const MOST_BYTES: usize = 64 << 20;

/// What was asked for.
#[derive(Debug)]
pub enum Statistic {
    Conversations { of: Of, filter: Option<(String, Filter)> },
    Intervals { nanoseconds: i64, filters: Vec<(String, Option<Filter>)> },
    Follow { protocol: Of, form: Form, stream: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Tcp,
    Udp,
    Ip,
    Ipv6,
    Eth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Ascii,
    Hex,
    Raw,
}

impl Statistic {
    pub fn parse(text: &str) -> Result<Statistic, &'static str> {
        const MEND: &str = "there are conv,tcp|udp|ip|ipv6|eth[,FILTER], \
            io,stat,SECONDS[,FILTER]... and follow,tcp|udp,ascii|hex|raw,STREAM";
        let parts: Vec<&str> = text.split(',').collect();
        let of = |name: &str| {
            Ok(match name {
                "tcp" => Of::Tcp,
                "udp" => Of::Udp,
                "ip" => Of::Ip,
                "ipv6" => Of::Ipv6,
                "eth" => Of::Eth,
                _ => return Err(MEND),
            })
        };
        match parts[..] {
            ["conv", name, ref rest @ ..] => {
                let text = rest.join(",");
                let filter = if text.trim().is_empty() {
                    None
                } else {
                    let filter =
                        Filter::parse(&text).map_err(|_| "its filter is no display filter")?;
                    Some((text, filter))
                };
                Ok(Statistic::Conversations { of: of(name)?, filter })
            }
            ["io", "stat", seconds, ref rest @ ..] => {
                let seconds: f64 = seconds.parse().map_err(|_| MEND)?;
                if !(0.0..1e9).contains(&seconds) {
                    return Err(MEND);
                }
                let mut filters = Vec::new();
                for text in rest {
                    let filter = if text.trim().is_empty() {
                        None
                    } else {
                        Some(Filter::parse(text).map_err(|_| "its filter is no display filter")?)
                    };
                    filters.push(((*text).to_owned(), filter));
                }
                if filters.is_empty() {
                    filters.push((String::new(), None));
                }
                // Microseconds are the least.
                let nanoseconds = (seconds * 1e6).round() as i64 * 1_000;
                Ok(Statistic::Intervals { nanoseconds, filters })
            }
            ["follow", name @ ("tcp" | "udp"), form, stream] => {
                let form = match form {
                    "ascii" => Form::Ascii,
                    "hex" => Form::Hex,
                    "raw" => Form::Raw,
                    _ => return Err(MEND),
                };
                let stream = stream.parse().map_err(|_| MEND)?;
                Ok(Statistic::Follow { protocol: of(name)?, form, stream })
            }
            _ => Err(MEND),
        }
    }
}

/// An end of a conversation.
type End = (Addr, u16);

#[derive(Clone, Copy, Debug, Default)]
struct Way {
    frames: u64,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Conversation {
    source: End,
    target: End,
    out: Way,
    back: Way,
    first: i64,
    last: i64,
}

#[derive(Debug, Default)]
struct Counted {
    conversations: Vec<Conversation>,
    known: HashMap<(String, String, u32), usize>,
    /// By interval, and by filter.
    intervals: Vec<Vec<Way>>,
    /// Who began, and what each said.
    ends: Option<(End, End)>,
    said: Vec<(bool, Vec<u8>)>,
    kept: usize,
    /// Next number of each side of a stream.
    next: [Option<u32>; 2],
    last: i64,
}

/// All that are counted.
#[derive(Debug, Default)]
pub struct Statistics {
    all: Vec<(Statistic, Counted)>,
}

/// Where a packet goes, by the last of its headers of a kind.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    source: Addr,
    target: Addr,
    ports: Option<(u16, u16)>,
    stream: Option<u64>,
}

fn ends(of: Of, dissector: &Dissector) -> Option<Ends> {
    use crate::packet::dissect::field::eth;
    let mut ends = Ends::default();
    let mut found = false;
    for node in &dissector.tree.nodes {
        let Some(id) = node.id else { continue };
        // Of a packet in pieces the first counts.
        if of == Of::Ipv6
            && id == ipv6::FRAGHDR_OFFSET
            && matches!(node.value, Value::Uint(offset) if offset > 0)
        {
            return None;
        }
        let addr = match node.value {
            Value::Ipv4(addr) => Addr::Ipv4(addr),
            Value::Ipv6(addr) => Addr::Ipv6(addr),
            Value::Ether(addr) => Addr::Ether(addr),
            _ => Addr::None,
        };
        let number = match node.value {
            Value::Uint(number) => number,
            _ => 0,
        };
        if of == Of::Eth {
            if id == eth::DST {
                ends.target = addr;
            } else if id == eth::SRC {
                ends.source = addr;
                found = true;
            }
            continue;
        }
        let v6 = of != Of::Ip;
        let v4 = of != Of::Ipv6;
        if v4 && id == ip::SRC || v6 && id == ipv6::SRC {
            ends.source = addr;
            found |= matches!(of, Of::Ip | Of::Ipv6);
        } else if v4 && id == ip::DST || v6 && id == ipv6::DST {
            ends.target = addr;
        }
        let (source, target, stream) = match of {
            // A header that is none is no part of a conversation.
            Of::Tcp => (tcp::SRCPORT, tcp::DSTPORT, tcp::NXTSEQ),
            _ => (udp::SRCPORT, udp::DSTPORT, udp::STREAM),
        };
        if matches!(of, Of::Tcp | Of::Udp) {
            // What stands inside of an error message is no packet of its own.
            if node.depth > 1 {
                continue;
            }
            if id == source {
                ends.ports = Some((number as u16, 0));
            } else if id == target {
                ends.ports = ends.ports.map(|(from, _)| (from, number as u16));
            } else if id == tcp::STREAM || id == udp::STREAM {
                ends.stream = Some(number);
            }
            if id == stream {
                found = true;
                // What stands inside of an error message is behind it.
                break;
            }
        }
    }
    found.then_some(ends)
}

impl Statistics {
    pub fn new(asked: Vec<Statistic>) -> Statistics {
        Statistics { all: asked.into_iter().map(|one| (one, Counted::default())).collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn packet(&mut self, meta: &Meta<'_>, dissector: &Dissector) {
        for (asked, counted) in &mut self.all {
            counted.last = meta.time - meta.first;
            match asked {
                Statistic::Conversations { of, filter } => {
                    if filter
                        .as_ref()
                        .is_none_or(|(_, filter)| filter.matches(&dissector.tree, meta.data))
                    {
                        conversation(counted, *of, meta, dissector);
                    }
                }
                Statistic::Intervals { nanoseconds, filters } => {
                    interval(counted, *nanoseconds, filters, meta, dissector);
                }
                Statistic::Follow { protocol, stream, .. } => {
                    follow(counted, *protocol, *stream, meta, dissector);
                }
            }
        }
    }

    pub fn write(&self, out: &mut Vec<u8>) {
        let mut text = String::new();
        for (asked, counted) in self.all.iter().rev() {
            match asked {
                Statistic::Conversations { of, filter } => {
                    conversations(*of, filter.as_ref().map(|(text, _)| text), counted, &mut text);
                }
                Statistic::Intervals { nanoseconds, filters } => {
                    intervals(*nanoseconds, filters, counted, &mut text);
                }
                Statistic::Follow { protocol, form, stream } => {
                    followed(*protocol, *form, *stream, counted, &mut text);
                }
            }
        }
        out.extend_from_slice(text.as_bytes());
    }
}

fn name(end: End, with_port: bool) -> String {
    let mut text = String::new();
    end.0.push(&mut text);
    if with_port {
        let _ = write!(text, ":{}", end.1);
    }
    text
}

fn conversation(counted: &mut Counted, of: Of, meta: &Meta<'_>, dissector: &Dissector) {
    let Some(ends) = ends(of, dissector) else { return };
    let (from, to) = ends.ports.unwrap_or((0, 0));
    let (source, target) = ((ends.source, from), (ends.target, to));
    let (a, b) = (name(source, true), name(target, true));
    let key = if a <= b { (a, b) } else { (b, a) };
    // Streams of TCP between the same ends are several.
    let stream = if of == Of::Tcp { ends.stream.unwrap_or(0) as u32 } else { 0 };
    let key = (key.0, key.1, stream);
    let place = match counted.known.get(&key) {
        Some(place) => *place,
        None if counted.conversations.len() >= MOST => return,
        None => {
            let place = counted.conversations.len();
            counted.known.insert(key, place);
            let time = meta.time - meta.first;
            let none = Way::default();
            counted.conversations.push(Conversation {
                source,
                target,
                out: none,
                back: none,
                first: time,
                last: time,
            });
            place
        }
    };
    let Some(one) = counted.conversations.get_mut(place) else { return };
    let way = if one.source == source { &mut one.out } else { &mut one.back };
    way.frames += 1;
    way.bytes += u64::from(meta.len);
    one.last = meta.time - meta.first;
}

/// Bytes with a unit, as short as five digits allow.
fn amount(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{} kB", bytes / 1000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

fn conversations(of: Of, filter: Option<&String>, counted: &Counted, out: &mut String) {
    const LINE: &str =
        "================================================================================\n";
    out.push_str(LINE);
    let title = match of {
        Of::Tcp => "TCP",
        Of::Udp => "UDP",
        Of::Ip => "IPv4",
        Of::Ipv6 => "IPv6",
        Of::Eth => "Ethernet",
    };
    let _ = writeln!(out, "{title} Conversations");
    let _ = writeln!(out, "Filter:{}", filter.map_or("<No Filter>", |text| text));
    let ports = matches!(of, Of::Tcp | Of::Udp);
    let indent = if ports { 59 } else { 47 };
    let _ = writeln!(
        out,
        "{:indent$}|       <-      | |       ->      | |     Total     |    Relative    |   Duration   |",
        ""
    );
    let _ = writeln!(
        out,
        "{:indent$}| Frames  Bytes | | Frames  Bytes | | Frames  Bytes |      Start     |              |",
        ""
    );
    let mut sorted: Vec<&Conversation> = counted.conversations.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.out.frames + one.back.frames));
    let width = if ports { 26 } else { 20 };
    for one in sorted {
        let total =
            Way { frames: one.out.frames + one.back.frames, bytes: one.out.bytes + one.back.bytes };
        let mut start = String::new();
        crate::packet::dissect::tree::push_seconds(&mut start, one.first);
        let duration = (one.last - one.first) as f64 / 1e9;
        let _ = writeln!(
            out,
            "{:<width$} <-> {:<width$}  {:>6} {:<9}  {:>6} {:<9}  {:>6} {:<9}  {:>14}   {:>12.4}",
            name(one.source, ports),
            name(one.target, ports),
            one.back.frames,
            amount(one.back.bytes),
            one.out.frames,
            amount(one.out.bytes),
            total.frames,
            amount(total.bytes),
            start,
            duration,
        );
    }
    out.push_str(LINE);
}

fn interval(
    counted: &mut Counted,
    nanoseconds: i64,
    filters: &[(String, Option<Filter>)],
    meta: &Meta<'_>,
    dissector: &Dissector,
) {
    let time = (meta.time - meta.first).max(0);
    let place = if nanoseconds == 0 { 0 } else { (time / nanoseconds) as usize };
    if place >= MOST {
        return;
    }
    while counted.intervals.len() <= place {
        counted.intervals.push(vec![Way::default(); filters.len()]);
    }
    let row = &mut counted.intervals[place];
    for ((_, filter), way) in filters.iter().zip(row) {
        if filter.as_ref().is_none_or(|filter| filter.matches(&dissector.tree, meta.data)) {
            way.frames += 1;
            way.bytes += u64::from(meta.len);
        }
    }
}

fn intervals(
    nanoseconds: i64,
    filters: &[(String, Option<Filter>)],
    counted: &Counted,
    out: &mut String,
) {
    let rows = &counted.intervals;
    let duration = counted.last as f64 / 1e9;
    let step = if nanoseconds == 0 {
        duration
    } else {
        (nanoseconds as f64 / 1e9).min(duration.max(1e-9))
    };
    // As many digits as the interval has, or those of a millisecond.
    let typed = format!("{:06}", nanoseconds / 1_000 % 1_000_000);
    let digits =
        if nanoseconds == 0 || step >= duration { 3 } else { typed.trim_end_matches('0').len() };
    let last = format!("{:.digits$}", step * rows.len() as f64).len();
    let frames: Vec<usize> = (0..filters.len())
        .map(|at| rows.iter().map(|row| row[at].frames.to_string().len()).max().unwrap_or(0).max(6))
        .collect();
    let bytes: Vec<usize> = (0..filters.len())
        .map(|at| rows.iter().map(|row| row[at].bytes.to_string().len()).max().unwrap_or(0).max(5))
        .collect();
    let first = (2 * last + 4).max(8);
    let width = first + 3 + frames.iter().zip(&bytes).map(|(f, b)| f + b + 6).sum::<usize>();
    let _ = writeln!(out, "\n{}", "=".repeat(width + 1));
    let mut line = |text: String| {
        let _ = writeln!(out, "| {text:<w$}|", w = width - 2);
    };
    line("IO Statistics".to_owned());
    line(String::new());
    line(format!("Duration: {duration:.digits$} secs"));
    line(format!("Interval: {step:.digits$} secs"));
    line(String::new());
    for (at, (text, _)) in filters.iter().enumerate() {
        let text = if text.is_empty() { "Frames and bytes" } else { text };
        line(format!("{} {}: {text}", if at == 0 { "Col" } else { "   " }, at + 1));
    }
    let _ = writeln!(out, "|{}|", "-".repeat(width - 1));
    let _ = write!(out, "| {:<first$} |", "");
    for (at, (f, b)) in frames.iter().zip(&bytes).enumerate() {
        let _ = write!(out, "{:<w$}|", at + 1, w = f + b + 5);
    }
    let _ = write!(out, "\n| {:<first$} |", "Interval");
    for (f, b) in frames.iter().zip(&bytes) {
        let _ = write!(out, " {:<f$} | {:<b$} |", "Frames", "Bytes");
    }
    let _ = writeln!(out, "\n|{}|", "-".repeat(width - 1));
    for (place, row) in rows.iter().enumerate() {
        let (from, to) = (step * place as f64, (step * (place + 1) as f64).min(duration));
        let _ = write!(out, "| {from:>last$.digits$} <> {to:>last$.digits$} |");
        for (way, (f, b)) in row.iter().zip(frames.iter().zip(&bytes)) {
            let _ = write!(out, " {:>f$} | {:>b$} |", way.frames, way.bytes);
        }
        out.push('\n');
    }
    let _ = writeln!(out, "{}", "=".repeat(width + 1));
}

fn follow(
    counted: &mut Counted,
    protocol: Of,
    stream: u64,
    meta: &Meta<'_>,
    dissector: &Dissector,
) {
    let Some(ends) = ends(protocol, dissector) else { return };
    if ends.stream != Some(stream) {
        return;
    }
    let (from, to) = ends.ports.unwrap_or((0, 0));
    let (source, target) = ((ends.source, from), (ends.target, to));
    let (client, _) = *counted.ends.get_or_insert((source, target));
    let from_client = client == source;
    let payload = if protocol == Of::Tcp { tcp::PAYLOAD } else { udp::PAYLOAD };
    let find = |id| dissector.tree.nodes.iter().find(|node: &&Node| node.id == Some(id));
    let Some(bytes) = find(payload).map(|node| node.bytes(meta.data)) else { return };
    let mut bytes = bytes;
    if protocol == Of::Tcp {
        // What was sent again is shown once.
        let seq = match find(tcp::SEQ_RAW).map(|node| node.value) {
            Some(Value::Uint(seq)) => seq as u32,
            _ => return,
        };
        let next = &mut counted.next[usize::from(!from_client)];
        if let Some(known) = *next {
            let seen = known.wrapping_sub(seq) as i32;
            if seen > 0 {
                match bytes.get(seen as usize..) {
                    Some(rest) if !rest.is_empty() => bytes = rest,
                    _ => return,
                }
            }
        }
        let len = find(payload).map_or(0, |node| node.len);
        *next = Some(seq.wrapping_add(len));
    }
    if counted.kept + bytes.len() <= MOST_BYTES {
        counted.kept += bytes.len();
        counted.said.push((from_client, bytes.to_vec()));
    }
}

fn followed(protocol: Of, form: Form, stream: u64, counted: &Counted, out: &mut String) {
    const LINE: &str = "===================================================================\n";
    let (name_of, word) = if protocol == Of::Tcp { ("tcp", "tcp") } else { ("udp", "udp") };
    let form_word = match form {
        Form::Ascii => "ascii",
        Form::Hex => "hex",
        Form::Raw => "raw",
    };
    out.push('\n');
    out.push_str(LINE);
    let _ = writeln!(out, "Follow: {name_of},{form_word}");
    let _ = writeln!(out, "Filter: {word}.stream eq {stream}");
    let shown = |end: End| match end.0 {
        Addr::Ipv6(_) => {
            let mut text = String::from("[");
            end.0.push(&mut text);
            let _ = write!(text, "]:{}", end.1);
            text
        }
        _ => name(end, true),
    };
    let none = ((Addr::None, 0), (Addr::None, 0));
    let (client, server) = counted.ends.unwrap_or(none);
    let _ = writeln!(out, "Node 0: {}", shown(client));
    let _ = writeln!(out, "Node 1: {}", shown(server));
    let mut at = [0_usize; 2];
    for (from_client, bytes) in &counted.said {
        let tab = if *from_client { "" } else { "\t" };
        match form {
            Form::Ascii => {
                let _ = writeln!(out, "{tab}{}", bytes.len());
                // Only what moves no cursor.
                for (place, byte) in bytes.iter().enumerate() {
                    out.push(match byte {
                        b'\n' | b'\t' | 0x20..0x7f => (*byte).into(),
                        // At the end of a line it does no harm.
                        b'\r' if bytes.get(place + 1) == Some(&b'\n') => '\r',
                        _ => '.',
                    });
                }
                out.push('\n');
            }
            Form::Raw => {
                out.push_str(tab);
                for byte in bytes {
                    let _ = write!(out, "{byte:02x}");
                }
                out.push('\n');
            }
            Form::Hex => {
                let at = &mut at[usize::from(!*from_client)];
                for row in bytes.chunks(16) {
                    let _ = write!(out, "{tab}{at:08X}  ");
                    for place in 0..16 {
                        match row.get(place) {
                            Some(byte) => {
                                let _ = write!(out, "{byte:02x} ");
                            }
                            None => out.push_str("   "),
                        }
                        if place == 7 {
                            out.push(' ');
                        }
                    }
                    out.push(' ');
                    for (place, byte) in row.iter().enumerate() {
                        if place == 8 {
                            out.push(' ');
                        }
                        out.push(if (0x20..0x7f).contains(byte) { (*byte).into() } else { '.' });
                    }
                    out.push('\n');
                    *at += row.len();
                }
            }
        }
    }
    out.push_str(LINE);
}
