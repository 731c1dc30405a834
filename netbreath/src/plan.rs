//! From what was typed to what it means. Nothing is started or opened here, and
//! what only the operating system knows is asked through [`Host`].

pub mod capture;
pub mod check;
pub mod follow;
mod ip;
pub mod lsof;
pub mod network;
pub mod recording;
pub mod socket;
pub mod tcpdump;
pub mod tshark;

use std::ffi::OsString;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use netbreath_common::tcp::TcpState;

use self::recording::Record;
use crate::cli::{ColorChoice, FormatName, SourceName, TraceArgs};
use crate::event::{Event, Family};
use crate::filter::{EventKind, Filter, Network};
use crate::format::text::Style;
use crate::host::{Host, Process};
use crate::lesson::line::Explained;
use crate::lint::Thresholds;
use crate::source::Ask;
use crate::source::replay::Play;
use crate::view::Column;
use crate::view::trace::{COLUMNS, KEYS, LEAST_NEEDED, USUAL, column_named};

/// A trace that makes sense.
#[derive(Debug)]
pub struct Trace {
    pub ask: Ask,
    /// Program and arguments; empty if there is no command.
    pub command: Vec<OsString>,
    pub output: Output,
    pub to: Option<PathBuf>,
    pub count: Option<NonZeroU64>,
    pub duration: Option<Duration>,
    pub strict: bool,
    pub ready_file: Option<PathBuf>,
    pub replay: Option<PathBuf>,
    /// What of the recording to show, and how.
    pub play: Play,
    pub record: Option<Record>,
    pub source: SourceName,
    /// What to tell a person on standard error when all is watched.
    pub greeting: Option<&'static str>,
}

/// How to write events.
#[derive(Clone, Debug)]
pub struct Output {
    pub format: FormatName,
    pub columns: Vec<&'static Column<Event>>,
    /// The keys of a row in JSON, in order.
    pub keys: &'static [&'static str],
    /// Keys of columns to leave out, in this order, where room is short.
    pub spare: Vec<&'static str>,
    /// Columns of the terminal; none for a file or a pipe.
    pub width: Option<usize>,
    pub style: Style,
    /// What is odd is told, from when on it is.
    pub lint: Option<Thresholds>,
    /// Only these kinds of events are shown; empty is all that come.
    pub only: Vec<EventKind>,
    /// Each row is explained.
    pub explain: Option<Explained>,
    /// Host names instead of addresses.
    pub names: bool,
    /// Sockets that existed at the start are rows too.
    pub seeds: bool,
    /// Processes that begin, become other programs and end are rows too.
    pub processes: bool,
    /// The events are about sockets, so that the summary counts those.
    pub sockets: bool,
}

/// Why a trace makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{typed:?} is not a process id: those are whole numbers above 0")]
    NoPid { typed: String },
    #[error(
        "there is no process {pid}: it may have ended; `ps -e` lists those that run, and \
         --comm NAME also catches those that start later"
    )]
    NoProcess { pid: u32 },
    #[error("{tid} is a thread of process {pid}: say --pid {pid}")]
    Thread { tid: u32, pid: u32 },
    #[error("cannot look for process {pid}: {source}")]
    Process { pid: u32, source: io::Error },
    #[error("a process name in --comm is empty: leave --comm out to see every process")]
    EmptyComm,
    #[error(
        "there is no user {name:?} on this machine: give a name that `id NAME` knows, or a number"
    )]
    NoUser { name: String },
    #[error("cannot look for user {name:?}: {source}")]
    User { name: String, source: io::Error },
    #[error("{typed} is not a port: ports go from 0 to 65535")]
    NoPort { typed: String },
    #[error(
        "the range of ports {typed} is empty: {first} is more than {last}; did you mean {last}-{first}?"
    )]
    EmptyRange { typed: String, first: u16, last: u16 },
    #[error(
        "{typed:?} is not a network: write an address like 10.1.2.3 or ::1, or one with the length of its prefix, like 10.0.0.0/8"
    )]
    NoNetwork { typed: String },
    #[error("{typed}: the prefix of an {family} network is 0 to {most} bits long")]
    Prefix { typed: String, family: &'static str, most: u8 },
    #[error("{typed:?} is not a TCP state; these are: {}", states())]
    NoState { typed: String },
    #[error("-4 and -6 exclude each other: leave both out to see both")]
    BothFamilies,
    #[error("{option} {network} is {of}, but {flag} keeps only {kept}: nothing could ever match")]
    WrongFamily {
        option: &'static str,
        network: String,
        of: &'static str,
        flag: &'static str,
        kept: &'static str,
    },
    #[error(
        "{one} {first} and {other} {second} exclude each other: both ends of a connection are of \
         one family, so nothing could ever match"
    )]
    FamiliesDiffer { one: &'static str, first: String, other: &'static str, second: String },
    #[error(
        "{any} {first} excludes {local} {second} and {remote} {third}: neither end could be \
         {first}, so nothing could ever match"
    )]
    NeitherEnd {
        any: &'static str,
        first: String,
        local: &'static str,
        second: String,
        remote: &'static str,
        third: String,
    },
    #[error(
        "--pid and a COMMAND exclude each other: with a COMMAND only it and its descendants are \
         shown; leave one of them out"
    )]
    PidAndCommand,
    #[error(
        "--state and --event {event} exclude each other: only `state` events are changes of \
         state; leave one of them out"
    )]
    StateAndEvent { event: &'static str },
    #[error("there is no cgroup {path:?}: {source}; `systemd-cgls` lists them")]
    Cgroup { path: String, source: io::Error },
    #[error(
        "cannot look at the network namespace {typed:?}: {path}: {source}; that of another user's \
         process takes CAP_SYS_PTRACE"
    )]
    NetnsDenied { typed: String, path: String, source: io::Error },
    #[error("there is no network namespace {typed:?}: {path}: {source}; `lsns -t net` lists them")]
    Netns { typed: String, path: String, source: io::Error },
    #[error("{typed:?} is not a size: write bytes, or a number with K, M or G, like 8M")]
    NoSize { typed: String },
    #[error("a buffer of {typed} is too large: 1G is the most")]
    SizeTooLarge { typed: String },
    #[error("{typed:?} is not a time: write a number above 0 with ms, s, m or h, like 10s")]
    NoDuration { typed: String },
    #[error("{typed:?} is not a column; these are:\n{}", columns())]
    NoColumn { typed: String },
    #[error("--columns {typed:?} names no column; these are:\n{}", columns())]
    NoColumns { typed: String },
    #[error(
        "--columns and --format jsonl exclude each other: jsonl is the events themselves, whole; \
         use --format json or csv for a choice of columns"
    )]
    ColumnsOfEvents,
    #[error(
        "--timestamps and --format {format} exclude each other: there, `at` is always nanoseconds \
         since 1970; leave --timestamps out"
    )]
    TimestampsOfData { format: &'static str },
    #[error("there is nothing to check: give a rule, such as --deny rst or --max-close-wait 1s")]
    NoRule,
    #[error("--replay and a COMMAND exclude each other: what is recorded has happened already")]
    ReplayOfCommand,
    #[error(transparent)]
    Recording(#[from] recording::Error),
    #[error("--explain is text: leave --format out")]
    ExplainText,
}

/// What `args` mean on `host`.
pub fn trace(args: &TraceArgs, host: &impl Host) -> Result<Trace, Error> {
    let mut filter = filter(args, host)?;
    if args.lint && !filter.events.is_empty() {
        // Lints judge by all that happens, whatever of it is shown.
        let missing = EventKind::USUAL.iter().filter(|kind| !filter.events.contains(kind));
        let missing: Vec<EventKind> = missing.copied().collect();
        filter.events.extend(missing);
    }
    let replays = args.recordings.replay.is_some();
    if replays && !args.command.is_empty() {
        return Err(Error::ReplayOfCommand);
    }
    let mut output = output(args, host)?;
    // What was recorded was asked for then.
    output.processes |= replays && args.event.is_empty();
    let greeting = (args.format == FormatName::Text
        && host.terminal().stderr
        && args.command.is_empty()
        && !replays)
        .then_some(if filter == Filter::default() {
            "watching every TCP connection of this machine; Ctrl-C ends"
        } else if filter.events.iter().all(EventKind::is_usual) {
            "watching the TCP connections that match; Ctrl-C ends"
        } else {
            "watching what matches; Ctrl-C ends"
        });
    let play = filter.clone();
    Ok(Trace {
        ask: Ask {
            filter,
            ring_size: ring_size(&args.ring_size)?,
            max_sockets: args.max_sockets,
            accept_hook: !args.no_accept_hook,
            btf: args.btf.clone(),
            rungs: args.rung.clone(),
            debug_programs: args.debug_programs,
            costs: args.costs,
            owner_from_cpu: args.owner_from_cpu,
            packets: None,
        },
        command: args.command.clone(),
        output,
        to: args.output.clone().filter(|path| path != Path::new("-")),
        count: args.count,
        duration: args.duration.as_deref().map(duration).transpose()?,
        strict: args.strict,
        ready_file: args.ready_file.clone(),
        replay: args.recordings.replay.clone(),
        play: recording::play(&args.recordings, play)?,
        record: recording::record(&args.recordings),
        source: args.source,
        greeting,
    })
}

fn filter(args: &TraceArgs, host: &impl Host) -> Result<Filter, Error> {
    if !args.pid.is_empty() && !args.command.is_empty() {
        return Err(Error::PidAndCommand);
    }
    if args.ipv4 && args.ipv6 {
        return Err(Error::BothFamilies);
    }
    let other = |kind: &&EventKind| **kind != EventKind::State;
    if !args.state.is_empty()
        && !args.event.contains(&EventKind::State)
        && !args.event.contains(&EventKind::All)
        && let Some(event) = args.event.iter().find(other)
    {
        return Err(Error::StateAndEvent { event: event.name() });
    }
    if args.comm.iter().any(String::is_empty) {
        return Err(Error::EmptyComm);
    }
    let filter = Filter {
        pids: all(&args.pid, |typed| pid(typed, host))?,
        command: !args.command.is_empty(),
        comms: args.comm.clone(),
        uids: all(&args.uid, |typed| uid(typed, host))?,
        port: all(&args.port, ports)?,
        lport: all(&args.lport, ports)?,
        rport: all(&args.rport, ports)?,
        addr: all(&args.addr, network)?,
        laddr: all(&args.laddr, network)?,
        raddr: all(&args.raddr, network)?,
        family: match (args.ipv4, args.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        },
        states: all(&args.state, state)?,
        events: args.event.clone(),
        cgroup: args
            .cgroup
            .as_ref()
            .map(|path| {
                host.cgroup(path).map_err(|source| Error::Cgroup { path: path.clone(), source })
            })
            .transpose()?,
        netns: all(&args.netns, |typed| netns(typed, host))?,
    };
    exclusions(&filter, args)?;
    Ok(filter)
}

/// Finds filters that can be true together of no connection.
fn exclusions(filter: &Filter, args: &TraceArgs) -> Result<(), Error> {
    let networks = [
        ("--addr", &filter.addr, &args.addr),
        ("--laddr", &filter.laddr, &args.laddr),
        ("--raddr", &filter.raddr, &args.raddr),
    ];
    let name = |family: Family| if family == Family::V4 { "IPv4" } else { "IPv6" };
    if let Some(family) = filter.family {
        for (option, networks, typed) in networks {
            // One that fits is enough, since values of a list are alternatives.
            if !networks.is_empty() && networks.iter().all(|network| of(network) != family) {
                return Err(Error::WrongFamily {
                    option,
                    network: typed.join(","),
                    of: if family == Family::V4 { "IPv6" } else { "IPv4" },
                    flag: if family == Family::V4 { "-4" } else { "-6" },
                    kept: name(family),
                });
            }
        }
    }
    for (i, (one, first, first_typed)) in networks.iter().enumerate() {
        for (other, second, second_typed) in &networks[i + 1..] {
            let meet = first.iter().any(|a| second.iter().any(|b| of(a) == of(b)));
            if !first.is_empty() && !second.is_empty() && !meet {
                return Err(Error::FamiliesDiffer {
                    one,
                    first: first_typed.join(","),
                    other,
                    second: second_typed.join(","),
                });
            }
        }
    }
    let ports = |a: &RangeInclusive<u16>, b: &RangeInclusive<u16>| {
        a.start() <= b.end() && b.start() <= a.end()
    };
    if neither(&filter.port, &filter.lport, &filter.rport, ports) {
        return Err(Error::NeitherEnd {
            any: "--port",
            first: args.port.join(","),
            local: "--lport",
            second: args.lport.join(","),
            remote: "--rport",
            third: args.rport.join(","),
        });
    }
    if neither(&filter.addr, &filter.laddr, &filter.raddr, overlap) {
        return Err(Error::NeitherEnd {
            any: "--addr",
            first: args.addr.join(","),
            local: "--laddr",
            second: args.laddr.join(","),
            remote: "--raddr",
            third: args.raddr.join(","),
        });
    }
    Ok(())
}

/// Whether `any` is wanted at one end, but meets what is wanted at neither.
fn neither<T>(any: &[T], local: &[T], remote: &[T], meet: impl Fn(&T, &T) -> bool) -> bool {
    let none = |end: &[T]| !end.is_empty() && !any.iter().any(|a| end.iter().any(|b| meet(a, b)));
    !any.is_empty() && none(local) && none(remote)
}

const fn of(network: &Network) -> Family {
    if network.addr.is_ipv4() { Family::V4 } else { Family::V6 }
}

fn overlap(a: &Network, b: &Network) -> bool {
    let bits = |addr| match addr {
        IpAddr::V4(addr) => u128::from(u32::from(addr)) << 96,
        IpAddr::V6(addr) => u128::from(addr),
    };
    let shared = a.prefix.min(b.prefix);
    of(a) == of(b)
        && (shared == 0 || (bits(a.addr) ^ bits(b.addr)) >> (128 - u32::from(shared)) == 0)
}

fn all<T>(typed: &[String], read: impl Fn(&str) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    typed.iter().map(|one| read(one)).collect()
}

fn pid(typed: &str, host: &impl Host) -> Result<u32, Error> {
    let pid = typed.parse().ok().filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| Error::NoPid { typed: typed.into() })?;
    match host.process(pid) {
        Ok(Process::Here) => Ok(pid),
        Ok(Process::Gone) => Err(Error::NoProcess { pid }),
        Ok(Process::Thread(process)) => Err(Error::Thread { tid: pid, pid: process }),
        Err(source) => Err(Error::Process { pid, source }),
    }
}

fn uid(typed: &str, host: &impl Host) -> Result<u32, Error> {
    if let Ok(uid) = typed.parse() {
        return Ok(uid);
    }
    let name = || typed.to_owned();
    match host.user(typed) {
        Ok(Some(uid)) => Ok(uid),
        Ok(None) => Err(Error::NoUser { name: name() }),
        Err(source) => Err(Error::User { name: name(), source }),
    }
}

fn ports(typed: &str) -> Result<RangeInclusive<u16>, Error> {
    let port = |text: &str| {
        text.trim().parse::<u16>().map_err(|_| Error::NoPort { typed: text.trim().into() })
    };
    let Some((first, last)) = typed.split_once('-') else {
        return port(typed).map(|port| port..=port);
    };
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(Error::EmptyRange { typed: typed.into(), first, last });
    }
    Ok(first..=last)
}

fn network(typed: &str) -> Result<Network, Error> {
    let none = || Error::NoNetwork { typed: typed.into() };
    let (addr, prefix) = match typed.split_once('/') {
        Some((addr, prefix)) => (addr, Some(prefix)),
        None => (typed, None),
    };
    let addr = addr.trim_start_matches('[').trim_end_matches(']');
    let addr: IpAddr = addr.parse().map_err(|_| none())?;
    let (family, most) = if addr.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
    let prefix = match prefix {
        None => most,
        Some(prefix) if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(none());
        }
        Some(prefix) => match prefix.parse() {
            Ok(prefix) if prefix <= most => prefix,
            _ => {
                return Err(Error::Prefix { typed: typed.into(), family, most });
            }
        },
    };
    Ok(match addr {
        // The kernel sees the peer's true family, so the network must have it too.
        IpAddr::V6(v6) if prefix >= 96 => match v6.to_ipv4_mapped() {
            Some(v4) => Network { addr: v4.into(), prefix: prefix - 96 },
            None => Network { addr, prefix },
        },
        _ => Network { addr, prefix },
    })
}

/// Names that `ss`, macOS and the RFC have for what Linux calls otherwise.
const OTHER_STATES: [(&str, TcpState); 12] = [
    ("ESTAB", TcpState::Established),
    ("SYN_RCVD", TcpState::SynRecv),
    ("SYN_RECEIVED", TcpState::SynRecv),
    ("FIN_WAIT_1", TcpState::FinWait1),
    ("FIN_WAIT_2", TcpState::FinWait2),
    ("TIMEWAIT", TcpState::TimeWait),
    ("CLOSED", TcpState::Close),
    ("UNCONN", TcpState::Close),
    ("UNCONNECTED", TcpState::Close),
    ("CLOSEWAIT", TcpState::CloseWait),
    ("LASTACK", TcpState::LastAck),
    ("LISTENING", TcpState::Listen),
];

fn state(typed: &str) -> Result<TcpState, Error> {
    let name = typed.trim().to_ascii_uppercase().replace('-', "_");
    let known = TcpState::ALL.into_iter().map(|state| (state.name(), state));
    known
        .chain(OTHER_STATES)
        .find(|(known, _)| *known == name)
        .map(|(_, state)| state)
        .ok_or_else(|| Error::NoState { typed: typed.into() })
}

fn states() -> String {
    TcpState::ALL.map(TcpState::name).join(", ")
}

fn netns(typed: &str, host: &impl Host) -> Result<u32, Error> {
    // A number is taken at its word: the namespace may have no name anywhere.
    if let Ok(inode) = typed.parse() {
        return Ok(inode);
    }
    let path = match typed.strip_prefix("pid:") {
        Some(process) => PathBuf::from(format!("/proc/{}/ns/net", pid(process, host)?)),
        None if typed.contains('/') => PathBuf::from(typed),
        None => Path::new("/run/netns").join(typed),
    };
    host.netns(&path).map_err(|source| {
        let (typed, path) = (typed.into(), path.display().to_string());
        match source.kind() {
            io::ErrorKind::PermissionDenied => Error::NetnsDenied { typed, path, source },
            _ => Error::Netns { typed, path, source },
        }
    })
}

/// The least a ring can be: one page, of the smallest that Linux has.
const PAGE: u64 = 4096;
const MOST_RING: u64 = 1 << 30;

fn ring_size(typed: &str) -> Result<u32, Error> {
    let none = || Error::NoSize { typed: typed.into() };
    let upper = typed.trim().to_ascii_uppercase();
    let digits = upper.trim_end_matches("IB").trim_end_matches('B');
    let (digits, unit) = match digits.as_bytes().last() {
        Some(b'K') => (&digits[..digits.len() - 1], 1 << 10),
        Some(b'M') => (&digits[..digits.len() - 1], 1 << 20),
        Some(b'G') => (&digits[..digits.len() - 1], 1 << 30),
        _ => (digits, 1),
    };
    let number: u64 = digits.parse().map_err(|_| none())?;
    let large = || Error::SizeTooLarge { typed: typed.into() };
    let bytes = number.checked_mul(unit).filter(|bytes| *bytes <= MOST_RING).ok_or_else(large)?;
    if bytes == 0 {
        return Err(none());
    }
    u32::try_from(bytes.max(PAGE).next_power_of_two()).map_err(|_| large())
}

fn duration(typed: &str) -> Result<Duration, Error> {
    let text = typed.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit.trim() {
        "ms" => 0.001,
        // As sleep(1) takes it.
        "" | "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => 0.0,
    };
    let seconds = number.parse::<f64>().unwrap_or(0.0) * unit;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| Error::NoDuration { typed: typed.into() })
}

fn output(args: &TraceArgs, host: &impl Host) -> Result<Output, Error> {
    let format = args.format;
    if args.explain.explain && format != FormatName::Text {
        return Err(Error::ExplainText);
    }
    let name = match format {
        FormatName::Text => None,
        FormatName::Json => Some("json"),
        FormatName::Jsonl => Some("jsonl"),
        FormatName::Csv => Some("csv"),
    };
    if let (Some(format), Some(_)) = (name, args.timestamps) {
        return Err(Error::TimestampsOfData { format });
    }
    if format == FormatName::Jsonl && !args.columns.is_empty() {
        return Err(Error::ColumnsOfEvents);
    }
    let (columns, spare) = chosen(&args.columns)?;
    let terminal = host.terminal();
    let on_terminal = terminal.stdout && args.output.is_none();
    // Terminals that do not tell their width are taken for the classic one.
    let width = on_terminal.then(|| match terminal.width {
        None | Some(0) => 80,
        Some(width) => width.into(),
    });
    let language = args.explain.lang.unwrap_or(terminal.language);
    Ok(Output {
        format,
        columns,
        keys: &KEYS,
        spare,
        width,
        explain: args.explain.explain.then(|| Explained::new(language, width)),
        style: Style {
            colour: match args.color {
                ColorChoice::Always => true,
                ColorChoice::Never => false,
                ColorChoice::Auto => on_terminal && !terminal.no_colour,
            },
            unicode: terminal.utf8,
            timestamps: args.timestamps.unwrap_or_default(),
            timezone: TimeZone::system(),
        },
        lint: args.lint.then(Thresholds::default),
        only: if args.lint { args.event.clone() } else { Vec::new() },
        names: !args.numeric,
        seeds: args.event.iter().any(|kind| matches!(kind, EventKind::Seed | EventKind::All)),
        processes: args.event.iter().any(|kind| kind.is_of_process() || *kind == EventKind::All),
        sockets: true,
    })
}

type Chosen = (Vec<&'static Column<Event>>, Vec<&'static str>);

/// The columns, and those of them that may be left out where room is short: never
/// one that was asked for.
fn chosen(typed: &[String]) -> Result<Chosen, Error> {
    let mut replaced = Vec::new();
    let mut added = Vec::new();
    for one in typed.iter().map(|one| one.trim()).filter(|one| !one.is_empty()) {
        let (key, list) = match one.strip_prefix('+') {
            Some(key) => (key, &mut added),
            None => (one, &mut replaced),
        };
        let column = column_named(key).ok_or_else(|| Error::NoColumn { typed: key.into() })?;
        list.push(column);
    }
    if !typed.is_empty() && replaced.is_empty() && added.is_empty() {
        return Err(Error::NoColumns { typed: typed.join(",") });
    }
    let mut columns = replaced;
    let mut spare = Vec::new();
    if columns.is_empty() {
        columns = USUAL.iter().filter_map(|key| column_named(key)).collect();
        spare = LEAST_NEEDED.to_vec();
        spare.retain(|key| added.iter().all(|column| column.key != *key));
    }
    for column in added {
        if columns.iter().all(|other| other.key != column.key) {
            columns.push(column);
        }
    }
    Ok((columns, spare))
}

fn columns() -> String {
    let lines = COLUMNS.iter().map(|column| format!("  {:<12}{}", column.key, column.doc));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::filter::Cgroup;
    use crate::host::Terminal;

    struct Fake(Terminal);

    impl Host for Fake {
        fn process(&self, pid: u32) -> io::Result<Process> {
            Ok(match pid {
                812 => Process::Here,
                813 => Process::Thread(812),
                _ => Process::Gone,
            })
        }

        fn user(&self, name: &str) -> io::Result<Option<u32>> {
            Ok((name == "www-data").then_some(33))
        }

        fn cgroup(&self, path: &str) -> io::Result<Cgroup> {
            match path {
                "/a/b" => Ok(Cgroup { id: 7, level: 2, path: path.into() }),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }

        fn netns(&self, path: &Path) -> io::Result<u32> {
            match path.to_str() {
                Some("/run/netns/blue") => Ok(1),
                Some("/proc/812/ns/net") => Ok(2),
                Some("/tmp/ns") => Ok(3),
                _ => Err(io::ErrorKind::NotFound.into()),
            }
        }

        fn terminal(&self) -> Terminal {
            self.0
        }
    }

    fn on(terminal: Terminal, line: &str) -> Result<Trace, Error> {
        let words = ["netbreath", "trace"].into_iter().chain(line.split_whitespace());
        let Command::Trace(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not a trace");
        };
        super::trace(&args, &Fake(terminal))
    }

    fn plan(line: &str) -> Trace {
        on(Terminal::default(), line).unwrap()
    }

    fn error(line: &str) -> String {
        on(Terminal::default(), line).unwrap_err().to_string()
    }

    #[test]
    fn nothing_typed_keeps_everything() {
        let plan = plan("");
        assert_eq!(plan.ask.filter, Filter::default());
        assert_eq!(plan.ask.ring_size, 8 << 20);
        assert_eq!(plan.ask.max_sockets, 262_144);
        assert!(plan.ask.accept_hook && !plan.ask.owner_from_cpu && !plan.strict);
        assert!(plan.output.width.is_none() && !plan.output.style.colour);
    }

    #[test]
    fn every_filter_means_what_it_says() {
        let filter = plan(
            "--pid 812 --comm nginx,curl --uid www-data,1000 --port 80,8000-8999 --lport 1 \
             --rport 0-100 --addr 10.0.0.0/8,::ffff:192.0.2.0/120 --laddr 127.0.0.1 --raddr 0.0.0.0/0 \
             -4 --state estab,FIN-WAIT-1,syn_rcvd,Closed,unconn --event state,accept \
             --cgroup /a/b --netns blue,pid:812,/tmp/ns,4026531833",
        )
        .ask
        .filter;
        let network = |addr: &str, prefix| Network { addr: addr.parse().unwrap(), prefix };
        assert_eq!(
            filter,
            Filter {
                pids: vec![812],
                command: false,
                comms: vec!["nginx".into(), "curl".into()],
                uids: vec![33, 1000],
                port: vec![80..=80, 8000..=8999],
                lport: vec![1..=1],
                rport: vec![0..=100],
                addr: vec![network("10.0.0.0", 8), network("192.0.2.0", 24)],
                laddr: vec![network("127.0.0.1", 32)],
                raddr: vec![network("0.0.0.0", 0)],
                family: Some(Family::V4),
                states: vec![
                    TcpState::Established,
                    TcpState::FinWait1,
                    TcpState::SynRecv,
                    TcpState::Close,
                    TcpState::Close,
                ],
                events: vec![EventKind::State, EventKind::Accept],
                cgroup: Some(Cgroup { id: 7, level: 2, path: "/a/b".into() }),
                netns: vec![1, 2, 3, 4_026_531_833],
            }
        );
        assert!(plan("-- curl x").ask.filter.command);
    }

    #[test]
    fn every_state_is_known_in_every_spelling() {
        for known in TcpState::ALL {
            for name in [known.name().to_owned(), known.name().to_lowercase().replace('_', "-")] {
                assert_eq!(state(&name).unwrap(), known);
            }
        }
    }

    #[test]
    fn wrong_use_says_what_to_do() {
        for (line, message) in [
            ("--port 70000", "70000 is not a port: ports go from 0 to 65535"),
            ("--port 80-http", "http is not a port: ports go from 0 to 65535"),
            (
                "--lport 90-80",
                "the range of ports 90-80 is empty: 90 is more than 80; did you mean 80-90?",
            ),
            ("--pid curl", "\"curl\" is not a process id: those are whole numbers above 0"),
            (
                "--pid 999999",
                "there is no process 999999: it may have ended; `ps -e` lists those that run, and \
                 --comm NAME also catches those that start later",
            ),
            ("--pid 813", "813 is a thread of process 812: say --pid 812"),
            (
                "--uid nobody-here",
                "there is no user \"nobody-here\" on this machine: give a name that `id NAME` \
                 knows, or a number",
            ),
            (
                "--addr 10.0.0.0/33",
                "10.0.0.0/33: the prefix of an IPv4 network is 0 to 32 bits long",
            ),
            (
                "--raddr example.com",
                "\"example.com\" is not a network: write an address like 10.1.2.3 or ::1, or one \
                 with the length of its prefix, like 10.0.0.0/8",
            ),
            ("-4 -6", "-4 and -6 exclude each other: leave both out to see both"),
            (
                "-4 --addr 2001:db8::/32",
                "--addr 2001:db8::/32 is IPv6, but -4 keeps only IPv4: nothing could ever match",
            ),
            (
                "--laddr 127.0.0.1 --raddr ::1",
                "--laddr 127.0.0.1 and --raddr ::1 exclude each other: both ends of a connection \
                 are of one family, so nothing could ever match",
            ),
            (
                "--port 80 --lport 81 --rport 82-90",
                "--port 80 excludes --lport 81 and --rport 82-90: neither end could be 80, so \
                 nothing could ever match",
            ),
            (
                "--addr 10.0.0.0/8 --laddr 192.0.2.0/24 --raddr 11.0.0.1",
                "--addr 10.0.0.0/8 excludes --laddr 192.0.2.0/24 and --raddr 11.0.0.1: neither end \
                 could be 10.0.0.0/8, so nothing could ever match",
            ),
            (
                "--pid 812 -- curl",
                "--pid and a COMMAND exclude each other: with a COMMAND only it and its \
                 descendants are shown; leave one of them out",
            ),
            (
                "--state listen --event accept",
                "--state and --event accept exclude each other: only `state` events are changes of \
                 state; leave one of them out",
            ),
            (
                "--ring-size 5X",
                "\"5X\" is not a size: write bytes, or a number with K, M or G, like 8M",
            ),
            ("--ring-size 2G", "a buffer of 2G is too large: 1G is the most"),
            (
                "--duration 10y",
                "\"10y\" is not a time: write a number above 0 with ms, s, m or h, like 10s",
            ),
            (
                "--format csv --timestamps delta",
                "--timestamps and --format csv exclude each other: there, `at` is always \
                 nanoseconds since 1970; leave --timestamps out",
            ),
        ] {
            assert_eq!(error(line), message, "{line}");
        }
        for (line, parts) in [
            ("--state half-open", &["\"half-open\" is not a TCP state", "NEW_SYN_RECV"][..]),
            ("--cgroup /x", &["there is no cgroup \"/x\"", "systemd-cgls"]),
            ("--netns red", &["there is no network namespace \"red\"", "/run/netns/red", "lsns"]),
            ("--columns +bytes", &["\"bytes\" is not a column", "how the owner is known"]),
            ("--columns ,", &["names no column"]),
            ("--format jsonl --columns pid", &["--columns and --format jsonl exclude"]),
        ] {
            let message = error(line);
            for part in parts {
                assert!(message.contains(part), "{line}: {message}");
            }
        }
    }

    #[test]
    fn sizes_round_up_to_a_power_of_two_and_a_page() {
        for (typed, bytes) in
            [("1", 4096), ("5000", 8192), ("512K", 512 << 10), ("3M", 4 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(ring_size(typed).unwrap(), bytes, "{typed}");
        }
    }

    #[test]
    fn times_have_units() {
        for (typed, millis) in [("10s", 10_000), ("500ms", 500), ("1.5m", 90_000), ("2", 2_000)] {
            assert_eq!(duration(typed).unwrap().as_millis(), millis, "{typed}");
        }
        for typed in ["0s", "-1s", "s", "", "1e9999s", "NaN", "inf"] {
            assert!(duration(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn columns_are_replaced_or_added() {
        let keys = |line: &str| -> Vec<&str> {
            plan(line).output.columns.iter().map(|column| column.key).collect()
        };
        assert_eq!(keys("--columns time,pid"), ["time", "pid"]);
        assert_eq!(keys("--columns +netns"), [&USUAL[..], &["netns"]].concat());
        assert_eq!(keys("--columns pid,+how"), ["pid", "how"]);
        // What was named is not left out where room is short.
        assert!(plan("--columns time,pid").output.spare.is_empty());
        assert!(!plan("--columns +event").output.spare.contains(&"event"));
    }

    #[test]
    fn colour_and_width_are_for_terminals() {
        let terminal = Terminal {
            stdout: true,
            stderr: true,
            width: Some(100),
            no_colour: false,
            utf8: true,
            language: Default::default(),
        };
        let output = |terminal, line| {
            let output = on(terminal, line).unwrap().output;
            (output.width, output.style.colour)
        };
        assert_eq!(output(terminal, ""), (Some(100), true));
        assert_eq!(output(terminal, "-o file"), (None, false));
        assert_eq!(output(terminal, "--color never"), (Some(100), false));
        let no_colour = Terminal { no_colour: true, ..terminal };
        assert_eq!(output(no_colour, ""), (Some(100), false));
        assert_eq!(output(no_colour, "--color always"), (Some(100), true));
        assert_eq!(output(Terminal { width: None, ..terminal }, ""), (Some(80), true));
        assert!(on(terminal, "").unwrap().greeting.unwrap().contains("every TCP connection"));
        assert!(on(terminal, "--port 1").unwrap().greeting.unwrap().contains("match"));
        assert!(on(terminal, "--event dns").unwrap().greeting.unwrap().contains("what matches"));
        assert!(on(terminal, "-- true").unwrap().greeting.is_none());
    }
}
