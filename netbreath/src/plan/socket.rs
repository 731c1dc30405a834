//! What the commands about sockets mean: which sockets to ask for, and how to lay them out.

use std::path::PathBuf;

use crate::cli::{Explain, Follow, FormatName, Namespace, NetstatArgs, SsArgs};
use crate::event::Family;
use crate::host::Terminal;
use crate::host::socket::{ALL_STATES, Ask, Way, Who};
use crate::lesson::line::Explained;
use crate::table::socket::{Proto, Protos};
use crate::view::netstat;
use crate::view::ss;
use crate::view::ss::filter::{Ephemeral, HostFamily};
use crate::view::state::ss_states;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("-4 and -6 exclude each other: leave both out, or choose one")]
    BothFamilies,
    #[error("{typed:?} is no family; these are: {known}")]
    NoFamily { typed: String, known: &'static str },
    #[error("{typed:?} is no protocol; these are: tcp, udp, udplite, icm")]
    NoProtocol { typed: String },
    #[error("{typed:?} is no table of sockets; these are: {}", tables())]
    NoTable { typed: String },
    #[error(
        "{typed:?} is no state; these are: established, syn-sent, syn-recv, fin-wait-1, \
         fin-wait-2, time-wait, closed, close-wait, last-ack, listening, closing, and all, \
         connected, synchronized, bucket, big"
    )]
    NoState { typed: String },
    #[error("{word} needs the name of a state after it")]
    StateMissing { word: String },
    #[error("no sockets can be both: the kinds, families and states asked for exclude each other")]
    Nothing,
    #[error(
        "-E and --follow show sockets of TCP, UDP and UNIX (-t, -u, -x): of others the kernel tells \
         nothing when they change"
    )]
    FollowKinds,
    #[error(
        "-E and --follow take addresses, ports and states, joined by `and`: of `or`, `not` and the \
         rest there is no filter in the kernel; use several runs, or `netbreath trace`"
    )]
    FollowFilter,
    #[error(
        "--output, --count, --duration, --ready-file and --record are for changes: add -E or \
         --follow"
    )]
    NoFollow,
    #[error(transparent)]
    Filter(#[from] crate::view::ss::filter::Error),
    #[error("netbreath observes: it closes no sockets (-K); `ss -K` does")]
    Kill,
    #[error("--explain is text: leave --format out")]
    ExplainText,
    #[error("--holders-by is iterator or proc, not {typed:?}")]
    NoWay { typed: String },
    #[error("--format jsonl is for events, one a line: use --format json or csv")]
    EventsOfAnswer,
}

/// A question about sockets that is answered once.
#[derive(Debug)]
pub struct Netstat {
    pub ask: Ask,
    pub layout: netstat::Layout,
    pub format: FormatName,
    pub names: Names,
}

/// What is to be called by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub hosts: bool,
    pub ports: bool,
    pub users: bool,
}

#[derive(Debug)]
pub enum Ss {
    Summary,
    Table(Box<SsTable>),
}

impl Ss {
    /// Whether the kernel's own counts are asked for.
    pub fn summarizes(&self) -> bool {
        match self {
            Ss::Summary => true,
            Ss::Table(table) => table.summary,
        }
    }
}

#[derive(Debug)]
pub struct SsTable {
    pub ask: Ask,
    /// Without its filter, whose words have to be looked up.
    pub layout: ss::Layout,
    pub filter: Vec<String>,
    pub format: FormatName,
    pub names: Names,
    /// `ss -s` shows the numbers first.
    pub summary: bool,
    /// What was said of kinds and families, which a filter can add to.
    pub said: Said,
}

/// The namespace to ask about.
fn namespace(ask: &mut Ask, namespace: &Namespace) -> Result<(), Error> {
    ask.all_netns = namespace.all_netns;
    ask.netns = namespace.netns.as_deref().map(|typed| match typed.strip_prefix("pid:") {
        Some(pid) => PathBuf::from(format!("/proc/{pid}/ns/net")),
        None if typed.contains('/') => PathBuf::from(typed),
        None => PathBuf::from("/run/netns").join(typed),
    });
    ask.way = match namespace.holders_by.as_deref() {
        None => None,
        Some("iterator") => Some(Way::Iterator),
        Some("proc") => Some(Way::Walk),
        Some(typed) => return Err(Error::NoWay { typed: typed.to_owned() }),
    };
    Ok(())
}

/// What is only for following must not be ignored where nothing is followed.
fn once(follow: &Follow) -> Result<(), Error> {
    let Follow { follow: _, output, count, duration, ready_file, recordings } = follow;
    let alone = output.is_none() && count.is_none() && duration.is_none();
    // `--replay` has an answer of its own: the sockets as they were then.
    match alone && ready_file.is_none() && recordings.record.is_none() {
        true => Ok(()),
        false => Err(Error::NoFollow),
    }
}

/// Whether these arguments of netstat are about sockets.
pub const fn is_about_sockets(args: &NetstatArgs) -> bool {
    !(args.route || args.interfaces || args.statistics || args.groups)
}

pub fn netstat(args: &NetstatArgs, terminal: Terminal) -> Result<Netstat, Error> {
    once(&args.more.follow)?;
    let format = answer_format(args.more.format)?;
    let explain = Explain { explain: args.more.explain, lang: args.lang };
    let explain = explained(explain, format, terminal)?;
    let style = args.style.unwrap_or_default();
    let mut unix = args.unix;
    let (mut ipv4, mut ipv6) = (args.ipv4, args.ipv6);
    match args.family.as_deref() {
        None => {}
        Some("inet") => ipv4 = true,
        Some("inet6") => ipv6 = true,
        Some("unix" | "local") => unix = true,
        Some(typed) => {
            let typed = typed.to_owned();
            return Err(Error::NoFamily { typed, known: "inet, inet6, unix" });
        }
    }
    let mut protos = Protos::default();
    let kinds = [
        (args.tcp, Proto::Tcp),
        (args.udp, Proto::Udp),
        (args.udplite, Proto::UdpLite),
        (args.raw, Proto::Raw),
    ];
    for (_, proto) in kinds.into_iter().filter(|(asked, _)| *asked) {
        protos.insert(proto);
    }
    match args.protocol.as_deref() {
        None => {}
        Some("tcp") => protos.insert(Proto::Tcp),
        Some("udp") => protos.insert(Proto::Udp),
        Some("udplite") => protos.insert(Proto::UdpLite),
        Some("icm" | "icmp" | "raw") => protos.insert(Proto::Raw),
        Some(typed) => return Err(Error::NoProtocol { typed: typed.to_owned() }),
    }
    // A family alone means all that it has; nothing at all means everything.
    if (ipv4 || ipv6) && protos.is_empty() || protos.is_empty() && !unix {
        for (_, proto) in kinds {
            protos.insert(proto);
        }
        unix |= !(ipv4 || ipv6);
    }
    if unix {
        for proto in [Proto::UnixStream, Proto::UnixDgram, Proto::UnixSeqpacket] {
            protos.insert(proto);
        }
    }
    let which = match (args.all, args.listening) {
        (true, _) => netstat::Which::All,
        (false, true) => netstat::Which::Listening,
        (false, false) => netstat::Which::Connected,
    };
    let program = args.programs || args.holders;
    let mut ask = Ask {
        protos,
        family: match (ipv4, ipv6) {
            (true, false) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            _ => None,
        },
        info: args.timers,
        unix_seen: true,
        holders: match (program, format) {
            (false, FormatName::Text) => Who::Nobody,
            (_, FormatName::Text) => Who::Arguments,
            _ => Who::Names,
        },
        ..Ask::default()
    };
    namespace(&mut ask, &args.namespace)?;
    let layout = netstat::Layout {
        which,
        protos,
        style,
        extend: args.extend > 0,
        program,
        holders: args.holders,
        timers: args.timers,
        wide: args.wide,
        numeric_hosts: args.numeric || args.numeric_hosts,
        unicode: terminal.utf8,
        explain,
    };
    let names = Names {
        hosts: !(args.numeric || args.numeric_hosts),
        ports: !(args.numeric || args.numeric_ports),
        users: !(args.numeric || args.numeric_users),
    };
    Ok(Netstat { ask, layout, format, names })
}

/// How lines are explained, if they are to be.
pub fn explained(
    explain: Explain,
    format: FormatName,
    terminal: Terminal,
) -> Result<Option<Explained>, Error> {
    match (explain.explain, format) {
        (false, _) => Ok(None),
        (true, FormatName::Text) => {
            let language = explain.lang.unwrap_or(terminal.language);
            Ok(Some(Explained::new(language, terminal.width.map(usize::from))))
        }
        (true, _) => Err(Error::ExplainText),
    }
}

const fn answer_format(format: FormatName) -> Result<FormatName, Error> {
    match format {
        FormatName::Jsonl => Err(Error::EventsOfAnswer),
        format => Ok(format),
    }
}

/// What was said of kinds, families and states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    protos: Protos,
    families: Vec<HostFamily>,
    /// States that the kinds have by default, joined.
    default_states: u32,
    states: Option<u32>,
}

/// Names of tables, and what is in them.
#[rustfmt::skip]
const TABLES: [(&str, &[Proto]); 23] = [
    ("all", &Proto::ALL),
    ("inet", &[Proto::Tcp, Proto::Mptcp, Proto::Udp, Proto::Raw]),
    ("tcp", &[Proto::Tcp]),
    ("mptcp", &[Proto::Mptcp]),
    ("udp", &[Proto::Udp]),
    ("raw", &[Proto::Raw]),
    ("unix", &[Proto::UnixStream, Proto::UnixDgram, Proto::UnixSeqpacket]),
    ("unix_stream", &[Proto::UnixStream]),
    ("u_str", &[Proto::UnixStream]),
    ("unix_dgram", &[Proto::UnixDgram]),
    ("u_dgr", &[Proto::UnixDgram]),
    ("unix_seqpacket", &[Proto::UnixSeqpacket]),
    ("u_seq", &[Proto::UnixSeqpacket]),
    ("packet", &[Proto::PacketRaw, Proto::PacketDgram]),
    ("packet_raw", &[Proto::PacketRaw]),
    ("p_raw", &[Proto::PacketRaw]),
    ("packet_dgram", &[Proto::PacketDgram]),
    ("p_dgr", &[Proto::PacketDgram]),
    ("netlink", &[Proto::Netlink]),
    // What this view does not show has nothing to add.
    ("dccp", &[]),
    ("sctp", &[]),
    ("vsock", &[]),
    ("tipc", &[]),
];

fn tables() -> String {
    TABLES.map(|(name, _)| name).join(", ")
}

const INET: [Proto; 4] = [Proto::Tcp, Proto::Mptcp, Proto::Udp, Proto::Raw];

/// The kinds that a family has.
const fn protos_of(family: HostFamily) -> &'static [Proto] {
    match family {
        HostFamily::V4 | HostFamily::V6 => &INET,
        HostFamily::Unix => &[Proto::UnixStream, Proto::UnixDgram, Proto::UnixSeqpacket],
        HostFamily::Packet => &[Proto::PacketRaw, Proto::PacketDgram],
        HostFamily::Netlink => &[Proto::Netlink],
    }
}

impl Said {
    /// A family with what it has, unless a kind of it is named.
    pub fn family(&mut self, family: HostFamily) {
        const UNDER_WAY: u32 = ss::CONNECTED;
        self.families.push(family);
        self.default_states |= match family {
            HostFamily::Packet | HostFamily::Netlink => 1 << 7,
            _ => UNDER_WAY,
        };
    }

    fn protos(&mut self, protos: &[Proto]) {
        let protos = Protos::of(protos);
        self.protos.0 |= protos.0;
        self.default_states |= ss::default_states(protos);
    }

    /// Kinds, family of Internet sockets, and states, as the defaults of ss complete them.
    pub fn meant(&self) -> Result<(Protos, Option<Family>, u32), Error> {
        let nothing_said = self.protos.is_empty() && self.families.is_empty();
        let mut protos = self.protos;
        if nothing_said {
            protos = Protos::of(&Proto::ALL);
        }
        for family in &self.families {
            let of = Protos::of(protos_of(*family));
            if protos.0 & of.0 == 0 {
                protos.0 |= of.0;
            }
        }
        let states = self.states.unwrap_or(match nothing_said {
            true => ss::CONNECTED,
            false => self.default_states,
        });
        let has = |family| self.families.contains(&family);
        let family = match (has(HostFamily::V4), has(HostFamily::V6)) {
            (true, false) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            _ => None,
        };
        if protos.is_empty() || states == 0 {
            return Err(Error::Nothing);
        }
        Ok((protos, family, states))
    }
}

pub fn ss(args: &SsArgs, terminal: Terminal, ephemeral: Ephemeral) -> Result<Ss, Error> {
    if args.kill {
        return Err(Error::Kill);
    }
    once(&args.follow)?;
    let format = answer_format(args.format)?;
    let mut said = Said::default();
    let kinds: [(bool, &[Proto]); 4] = [
        (args.tcp, &[Proto::Tcp]),
        (args.udp, &[Proto::Udp]),
        (args.raw, &[Proto::Raw]),
        (args.mptcp, &[Proto::Mptcp]),
    ];
    for (_, protos) in kinds.into_iter().filter(|(asked, _)| *asked) {
        said.protos(protos);
    }
    let families = [
        (args.ipv4, HostFamily::V4),
        (args.ipv6, HostFamily::V6),
        (args.unix, HostFamily::Unix),
        (args.packet, HostFamily::Packet),
    ];
    for (_, family) in families.into_iter().filter(|(asked, _)| *asked) {
        said.family(family);
    }
    for typed in &args.family {
        said.family(match typed.as_str() {
            "inet" => HostFamily::V4,
            "inet6" => HostFamily::V6,
            "unix" => HostFamily::Unix,
            "link" => HostFamily::Packet,
            "netlink" => HostFamily::Netlink,
            _ => {
                let typed = typed.clone();
                return Err(Error::NoFamily { typed, known: "inet, inet6, link, unix, netlink" });
            }
        });
    }
    let mut queried = Protos::default();
    for typed in args.query.iter().flat_map(|list| list.split(',')) {
        let (out, name) = match typed.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, typed),
        };
        let table = TABLES.iter().find(|(known, _)| *known == name);
        let (_, protos) = table.ok_or_else(|| Error::NoTable { typed: typed.to_owned() })?;
        let bits = Protos::of(protos).0;
        queried.0 = if out { queried.0 & !bits } else { queried.0 | bits };
    }
    if !args.query.is_empty() {
        // As in ss: a query takes the place of what was said of kinds before.
        said.protos = queried;
        said.default_states |= ss::CONNECTED;
    }
    let (states, filter) = states(&args.filter)?;
    said.states = states.or(match (args.all, args.listening) {
        (_, true) if !args.all => Some(1 << 10 | 1 << 7),
        (true, _) => Some(ALL_STATES),
        _ => None,
    });
    if args.summary
        && said.protos.is_empty()
        && said.families.is_empty()
        && args.filter.is_empty()
        && format == FormatName::Text
    {
        return Ok(Ss::Summary);
    }
    let mut ask = Ask {
        memory: args.memory,
        info: args.info,
        tos: args.tos,
        paths: args.extended,
        holders: match args.processes || format != FormatName::Text {
            true => Who::Names,
            false => Who::Nobody,
        },
        ..Ask::default()
    };
    namespace(&mut ask, &args.namespace)?;
    let layout = ss::Layout {
        protos: Protos::default(),
        states: 0,
        filter: None,
        header: !args.no_header,
        numeric: args.numeric,
        processes: args.processes,
        extended: args.extended,
        memory: args.memory,
        info: args.info,
        options: args.options || args.extended,
        oneline: args.oneline,
        tos: args.tos,
        cgroup: args.cgroup,
        unicode: terminal.utf8,
        width: terminal.width.map(usize::from).filter(|width| *width > 0),
        ephemeral,
        explain: explained(args.explain, format, terminal)?,
    };
    Ok(Ss::Table(Box::new(SsTable {
        ask,
        layout,
        filter,
        format,
        names: Names { hosts: args.resolve, ports: !args.numeric, users: false },
        summary: args.summary,
        said,
    })))
}

/// The states that the words begin with, and the words that are left.
pub(super) fn states(words: &[String]) -> Result<(Option<u32>, Vec<String>), Error> {
    let mut states = None;
    let mut rest = words;
    while let [word, others @ ..] = rest {
        let excludes = match word.as_str() {
            "state" => false,
            "exclude" | "excl" => true,
            _ => break,
        };
        let [name, others @ ..] = others else {
            return Err(Error::StateMissing { word: word.clone() });
        };
        let bits = ss_states(name).ok_or_else(|| Error::NoState { typed: name.clone() })?;
        states = Some(match (states, excludes) {
            (None, false) => bits,
            (Some(states), false) => states | bits,
            (None, true) => ALL_STATES & !bits,
            (Some(states), true) => states & !bits,
        });
        rest = others;
    }
    Ok((states, rest.to_vec()))
}
