//! What the commands about interfaces, routes and neighbours mean.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;

use super::ip::object;
use super::recording::{self, Record};
use super::{Output, duration};
use crate::cli::{
    ArpArgs, Follow, FormatName, IfconfigArgs, IpArgs, NetstatArgs, Recordings, RouteArgs,
};
use crate::event::Family;
use crate::event::network::{NeighbourState, RouteKind};
use crate::filter::{EventKind, Filter};
use crate::format::text::Style;
use crate::host::Host;
use crate::source::replay::Play;
use crate::view::change;
use crate::view::ifconfig;
use crate::view::ip::Select;

/// A question about the network configuration.
#[derive(Debug, PartialEq)]
pub struct Question {
    pub subject: Subject,
    pub format: FormatName,
    /// Names of hosts and services instead of numbers.
    pub names: bool,
    pub explain: bool,
    pub family: Option<Family>,
}

#[derive(Debug, PartialEq)]
pub enum Subject {
    Ifconfig { all: bool, short: bool, interface: Option<String>, style: ifconfig::Style },
    Ip { object: Object, stats: bool, brief: bool, oneline: bool, numeric: bool },
    Route { columns: RouteColumns },
    Arp { host: Option<String>, device: Option<String>, bsd: bool },
    Interfaces { all: bool },
    Statistics { tcp: bool, udp: bool },
    Groups,
}

/// Which columns a routing table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteColumns {
    Route,
    Netstat,
    Both,
}

/// What `ip` is asked about.
#[derive(Debug, PartialEq)]
pub enum Object {
    Address(Select),
    Link(Select),
    Route(RouteSelect),
    Neighbour(NeighbourSelect),
}

#[derive(Debug, Default, PartialEq)]
pub struct RouteSelect {
    pub dev: Option<String>,
    /// By name or number; none is `main`.
    pub table: Option<String>,
    pub all_tables: bool,
    pub kind: Option<RouteKind>,
    pub protocol: Option<String>,
    pub only_default: bool,
}

#[derive(Debug, Default, PartialEq)]
pub struct NeighbourSelect {
    pub dev: Option<String>,
    pub states: Option<NeighbourState>,
    pub proxy: bool,
}

/// What changes to watch, and how to write them.
#[derive(Debug, Default)]
pub struct Watch {
    pub links: bool,
    pub addresses: bool,
    pub routes: bool,
    pub neighbours: bool,
    pub family: Option<Family>,
    /// Only of this interface.
    pub dev: Option<String>,
    /// Only of this routing table, by name or number; none is `main`.
    pub table: Option<String>,
    pub all_tables: bool,
    pub format: FormatName,
    pub to: Option<PathBuf>,
    pub count: Option<NonZeroU64>,
    pub duration: Option<Duration>,
    pub ready_file: Option<PathBuf>,
    pub replay: Option<PathBuf>,
    pub play: Play,
    pub record: Option<Record>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{typed:?} is nothing that `netbreath ip` shows; these are: addr, link, route, neigh, monitor"
    )]
    NoObject { typed: String },
    #[error(
        "`ip {object} {typed}` would change something or is not understood: netbreath observes; \
         say {object}, {object} show, or add --follow to see changes"
    )]
    NoVerb { object: &'static str, typed: String },
    #[error("`ip {object}` does not know the word {typed:?}; it knows: {known}")]
    NoWord { object: &'static str, typed: String, known: &'static str },
    #[error("{word} needs a value after it: {word} NAME")]
    NoValue { word: &'static str },
    #[error("{typed:?} is no state of a neighbour; these are: {}", states())]
    NoState { typed: String },
    #[error(
        "{typed:?} is no type of route; these are: unicast, local, broadcast, multicast, blackhole, unreachable, prohibit, throw"
    )]
    NoKind { typed: String },
    #[error("-4 and -6 exclude each other: leave both out, or choose one")]
    BothFamilies,
    #[error("{typed:?} is no family; these are: inet, inet6{more}")]
    NoFamily { typed: String, more: &'static str },
    #[error("{first} and {second} exclude each other: {why}")]
    Exclusive { first: &'static str, second: &'static str, why: &'static str },
    #[error(
        "--format jsonl is for events, one a line: add --follow to see changes, or use --format \
         json or csv"
    )]
    EventsOfAnswer,
    #[error("--explain is text: leave --format, -j or --follow out")]
    ExplainText,
    #[error(
        "--output, --count, --duration, --ready-file, --record and --replay are for changes: add \
         --follow"
    )]
    NoFollow,
    #[error(transparent)]
    Duration(#[from] super::Error),
    #[error("--replay shows changes of every routing table: leave `table` out")]
    TableOfRecording,
    #[error(transparent)]
    Recording(#[from] recording::Error),
}

fn states() -> String {
    NeighbourState::NAMES.map(|(_, name)| name.to_lowercase()).join(", ")
}

fn family(ipv4: bool, ipv6: bool) -> Result<Option<Family>, Error> {
    match (ipv4, ipv6) {
        (true, true) => Err(Error::BothFamilies),
        (true, false) => Ok(Some(Family::V4)),
        (false, true) => Ok(Some(Family::V6)),
        (false, false) => Ok(None),
    }
}

/// The changes to watch, if that is asked for.
fn watch(follow: &Follow, format: FormatName, watch: Watch) -> Result<Option<Watch>, Error> {
    if !follow.follow {
        let Follow { follow: _, output, count, duration, ready_file, recordings } = follow;
        let alone = output.is_none() && count.is_none() && duration.is_none();
        let Recordings { record, mask: _, replay, speed: _, at: _ } = recordings;
        return match alone && ready_file.is_none() && record.is_none() && replay.is_none() {
            true => Ok(None),
            false => Err(Error::NoFollow),
        };
    }
    asked(follow, format, watch).map(Some)
}

/// `watch` with what was typed beside it.
fn asked(follow: &Follow, format: FormatName, watch: Watch) -> Result<Watch, Error> {
    let Watch { links, addresses, routes, neighbours, family, ref dev, .. } = watch;
    if follow.recordings.replay.is_some() && watch.table.is_some() {
        return Err(Error::TableOfRecording);
    }
    let kinds = [
        (links, EventKind::Link),
        (addresses, EventKind::Address),
        (routes, EventKind::Route),
        (neighbours, EventKind::Neighbour),
    ];
    let events = kinds.into_iter().filter(|(wanted, _)| *wanted).map(|(_, kind)| kind);
    let filter = Filter { events: events.collect(), family, ..Filter::default() };
    let mut play = recording::play(&follow.recordings, filter)?;
    play.dev.clone_from(dev);
    Ok(Watch {
        format,
        to: follow.output.clone().filter(|path| path.as_os_str() != "-"),
        count: follow.count,
        duration: follow.duration.as_deref().map(duration).transpose()?,
        ready_file: follow.ready_file.clone(),
        replay: follow.recordings.replay.clone(),
        play,
        record: recording::record(&follow.recordings),
        ..watch
    })
}

/// How changes are written.
pub fn output(watch: &Watch, host: &impl Host) -> Output {
    let terminal = host.terminal();
    let on_terminal = terminal.stdout && watch.to.is_none();
    Output {
        format: watch.format,
        columns: change::columns(),
        keys: &change::KEYS,
        spare: change::LEAST_NEEDED.to_vec(),
        width: on_terminal.then(|| match terminal.width {
            None | Some(0) => 80,
            Some(width) => width.into(),
        }),
        style: Style {
            colour: on_terminal && !terminal.no_colour,
            unicode: terminal.utf8,
            timestamps: Default::default(),
            timezone: TimeZone::system(),
        },
        lint: None,
        only: Vec::new(),
        explain: None,
        names: false,
        seeds: false,
        processes: false,
        sockets: false,
    }
}

/// What a command line asks for: an answer, or changes.
#[derive(Debug)]
pub enum Plan {
    Answer(Question),
    Watch(Box<Watch>),
}

/// One of the two, checked for what they exclude.
fn plan(question: Question, watch: Option<Watch>) -> Result<Plan, Error> {
    match watch {
        Some(_) if question.explain => Err(Error::ExplainText),
        Some(watch) => Ok(Plan::Watch(Box::new(watch))),
        None if question.format == FormatName::Jsonl => Err(Error::EventsOfAnswer),
        None if question.explain && question.format != FormatName::Text => Err(Error::ExplainText),
        None => Ok(Plan::Answer(question)),
    }
}

pub fn ifconfig(args: &IfconfigArgs) -> Result<Plan, Error> {
    if args.short && args.style.is_some() {
        return Err(Error::Exclusive {
            first: "-s",
            second: "--style",
            why: "-s is a table and has one style",
        });
    }
    let changes =
        Watch { links: true, addresses: true, dev: args.interface.clone(), ..Watch::default() };
    let question = Question {
        subject: Subject::Ifconfig {
            all: args.all || args.interface.is_some(),
            short: args.short,
            interface: args.interface.clone(),
            style: args.style.unwrap_or_default(),
        },
        format: args.more.format,
        names: false,
        explain: args.more.explain,
        family: None,
    };
    plan(question, watch(&args.more.follow, args.more.format, changes)?)
}

pub fn ip(args: &IpArgs) -> Result<Plan, Error> {
    let mut wanted = family(args.ipv4, args.ipv6)?;
    match args.family.as_deref() {
        None | Some("link") => {}
        Some("inet") => wanted = Some(Family::V4),
        Some("inet6") => wanted = Some(Family::V6),
        Some(other) => return Err(Error::NoFamily { typed: other.into(), more: ", link" }),
    }
    if let Some((first, kinds)) = args.words.split_first()
        && first.len() >= 2
        && "monitor".starts_with(first.as_str())
    {
        return monitor(args, kinds, wanted);
    }
    let object = object(&args.words)?;
    if args.explain && !matches!(object, Object::Address(_) | Object::Link(_)) {
        return Err(Error::Exclusive {
            first: "--explain",
            second: "ip route and ip neigh",
            why: "it tells what interfaces are; use it with addr or link",
        });
    }
    let dev = match &object {
        Object::Address(select) | Object::Link(select) => select.dev.clone(),
        Object::Route(select) => select.dev.clone(),
        Object::Neighbour(select) => select.dev.clone(),
    };
    let changes = Watch {
        links: matches!(object, Object::Link(_)),
        addresses: matches!(object, Object::Address(_)),
        routes: matches!(object, Object::Route(_)),
        neighbours: matches!(object, Object::Neighbour(_)),
        family: wanted,
        dev,
        table: match &object {
            Object::Route(select) => select.table.clone(),
            _ => None,
        },
        all_tables: matches!(&object, Object::Route(RouteSelect { all_tables: true, .. })),
        ..Watch::default()
    };
    let events = if args.json { FormatName::Jsonl } else { FormatName::Text };
    let watch = watch(&args.follow, events, changes)?;
    let question = Question {
        subject: Subject::Ip {
            object,
            stats: args.stats > 0,
            brief: args.brief,
            oneline: args.oneline,
            numeric: args.numeric,
        },
        format: if args.json { FormatName::Json } else { FormatName::Text },
        names: false,
        explain: args.explain,
        family: wanted,
    };
    plan(question, watch)
}

/// `ip monitor`: changes of everything, or of the kinds that are named.
fn monitor(args: &IpArgs, kinds: &[String], family: Option<Family>) -> Result<Plan, Error> {
    let mut changes = Watch { family, all_tables: true, ..Watch::default() };
    let (mut all, mut rest) = (kinds.is_empty(), kinds.iter());
    while let Some(kind) = rest.next() {
        let is = |whole: &str| whole.starts_with(kind.as_str());
        match kind.as_str() {
            "all" => all = true,
            "dev" => {
                changes.dev = Some(rest.next().cloned().ok_or(Error::NoValue { word: "dev" })?);
            }
            _ if is("link") => changes.links = true,
            _ if is("address") => changes.addresses = true,
            _ if is("route") => changes.routes = true,
            _ if is("neighbour") || is("neighbor") => changes.neighbours = true,
            typed => {
                return Err(Error::NoWord {
                    object: "monitor",
                    typed: typed.into(),
                    known: "all, link, addr, route, neigh, dev NAME",
                });
            }
        }
    }
    if all || !(changes.links || changes.addresses || changes.routes || changes.neighbours) {
        changes = Watch { links: true, addresses: true, routes: true, neighbours: true, ..changes };
    }
    let format = if args.json { FormatName::Jsonl } else { FormatName::Text };
    Ok(Plan::Watch(Box::new(asked(&args.follow, format, changes)?)))
}

pub fn route(args: &RouteArgs) -> Result<Plan, Error> {
    let mut wanted = family(args.ipv4, args.ipv6)?;
    match args.family.as_deref() {
        None => {}
        Some("inet") => wanted = Some(Family::V4),
        Some("inet6") => wanted = Some(Family::V6),
        Some(other) => return Err(Error::NoFamily { typed: other.into(), more: "" }),
    }
    let columns = match args.extend {
        0 => RouteColumns::Route,
        1 => RouteColumns::Netstat,
        _ => RouteColumns::Both,
    };
    routes(columns, wanted, args.numeric, &args.more)
}

fn routes(
    columns: RouteColumns,
    family: Option<Family>,
    numeric: bool,
    more: &crate::cli::network::More,
) -> Result<Plan, Error> {
    let changes = Watch { routes: true, family, ..Watch::default() };
    let question = Question {
        subject: Subject::Route { columns },
        format: more.format,
        names: !numeric,
        explain: more.explain,
        family: Some(family.unwrap_or(Family::V4)),
    };
    plan(question, watch(&more.follow, more.format, changes)?)
}

pub fn arp(args: &ArpArgs) -> Result<Plan, Error> {
    let changes = Watch {
        neighbours: true,
        family: Some(Family::V4),
        dev: args.device.clone(),
        ..Watch::default()
    };
    let question = Question {
        subject: Subject::Arp {
            host: args.host.clone(),
            device: args.device.clone(),
            bsd: args.all,
        },
        format: args.more.format,
        names: !args.numeric,
        explain: args.more.explain,
        family: Some(Family::V4),
    };
    plan(question, watch(&args.more.follow, args.more.format, changes)?)
}

pub fn netstat(args: &NetstatArgs) -> Result<Plan, Error> {
    let wanted = family(args.ipv4, args.ipv6)?;
    if args.route {
        let columns = match args.extend {
            0 => RouteColumns::Netstat,
            1 => RouteColumns::Route,
            _ => RouteColumns::Both,
        };
        return routes(columns, wanted, args.numeric, &args.more);
    }
    let (subject, changes) = if args.interfaces && args.extend > 0 {
        let style = ifconfig::Style::default();
        let subject = Subject::Ifconfig { all: args.all, short: false, interface: None, style };
        (subject, Some(Watch { links: true, addresses: true, ..Watch::default() }))
    } else if args.interfaces {
        let changes = Watch { links: true, ..Watch::default() };
        (Subject::Interfaces { all: args.all }, Some(changes))
    } else if args.statistics {
        (Subject::Statistics { tcp: args.tcp, udp: args.udp }, None)
    } else {
        // What is about sockets goes another way: `plan::socket`.
        (Subject::Groups, None)
    };
    let question = Question {
        subject,
        format: args.more.format,
        names: !args.numeric,
        explain: args.more.explain,
        family: wanted,
    };
    if args.more.explain && (args.statistics || args.groups) {
        return Err(Error::Exclusive {
            first: "--explain",
            second: "netstat -s and -g",
            why: "-s says what each counter means anyway, and of a group there is no more to say",
        });
    }
    let watch = match changes {
        Some(changes) => watch(&args.more.follow, args.more.format, changes)?,
        None if args.more.follow.follow => {
            return Err(Error::Exclusive {
                first: "--follow",
                second: "netstat -s and -g",
                why: "the kernel does not tell when these change",
            });
        }
        None => None,
    };
    plan(question, watch)
}
