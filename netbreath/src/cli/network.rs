//! The commands about interfaces, addresses, routes and neighbours, under the names of
//! the tools that people know.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::{FormatName, Recordings};
use crate::view::ifconfig::Style;

/// Show interfaces, with their addresses and what they carried
///
/// An address belongs to an interface, not to the host, and one interface can have
/// several: all are shown, also those that the classic ifconfig leaves out.
#[derive(Debug, Default, Args)]
#[command(after_help = IFCONFIG, after_long_help = IFCONFIG_LONG)]
pub struct IfconfigArgs {
    /// Only this interface, also if it is down
    #[arg(value_name = "INTERFACE")]
    pub interface: Option<String>,

    /// Interfaces that are down too
    #[arg(short = 'a', long)]
    pub all: bool,

    /// A line for each interface, with its counters
    #[arg(short = 's', long)]
    pub short: bool,

    /// Whose layout: that of Linux or that of the BSDs and macOS. Usually that of the
    /// system at hand
    #[arg(long, value_enum, value_name = "STYLE")]
    pub style: Option<Style>,

    /// Accepted, since ifconfig shows numbers anyway
    #[arg(short = 'n', long)]
    pub numeric: bool,

    #[command(flatten)]
    pub more: More,
}

/// Show addresses, links, routes or neighbours as ip does: `ip addr`, `ip -j route`
///
/// The objects are addr, link, route and neigh; they can be shortened, as in ip. With
/// -j, keys and values are those of `ip -j`. `ip monitor` shows changes of all of them.
/// Nothing is ever changed: of ip's verbs, only show and list are understood.
#[derive(Debug, Default, Args)]
#[command(disable_help_subcommand = true, after_help = IP, after_long_help = IP_LONG)]
pub struct IpArgs {
    /// addr, link, route or neigh, then words that choose: dev eth0, up, master br0,
    /// type veth, table all, proto static, default, nud failed; or monitor, then the
    /// kinds whose changes to show (usually all)
    #[arg(value_name = "OBJECT", num_args = 1.., required = true)]
    pub words: Vec<String>,

    /// Only IPv4
    #[arg(short = '4', long)]
    pub ipv4: bool,

    /// Only IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,

    /// Counters too
    #[arg(short = 's', long, action = clap::ArgAction::Count)]
    pub stats: u8,

    /// JSON, with the keys of `ip -j`; with --follow, an event a line
    #[arg(short = 'j', long)]
    pub json: bool,

    /// Accepted beside -j
    #[arg(short = 'p', long, hide = true)]
    pub pretty: bool,

    /// Accepted, since many call ip so: there is no colour here.
    #[arg(short = 'c', long, hide = true)]
    pub color: bool,

    /// Short lines (-br)
    #[arg(long)]
    pub brief: bool,

    /// A record a line
    #[arg(short = 'o', long)]
    pub oneline: bool,

    /// Numbers instead of names of tables, protocols, scopes and groups (also -N)
    #[arg(short = 'n', long, visible_short_alias = 'N')]
    pub numeric: bool,

    /// -f inet, inet6 or link, as in ip
    #[arg(short = 'f', long, value_name = "FAMILY")]
    pub family: Option<String>,

    /// Say in plain words what each interface is
    #[arg(long)]
    pub explain: bool,

    #[command(flatten)]
    pub follow: Follow,
}

/// Show the routing table, as route does
#[derive(Debug, Default, Args)]
pub struct RouteArgs {
    /// Addresses as numbers, not as names
    #[arg(short = 'n', long)]
    pub numeric: bool,

    /// IPv4 (the usual)
    #[arg(short = '4', long)]
    pub ipv4: bool,

    /// IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,

    /// The family as route takes it: -A inet or -A inet6
    #[arg(short = 'A', long, value_name = "FAMILY")]
    pub family: Option<String>,

    /// The columns of netstat -r; twice, those of both
    #[arg(short = 'e', long, action = clap::ArgAction::Count)]
    pub extend: u8,

    #[command(flatten)]
    pub more: More,
}

/// Show IPv4 neighbours, as arp does
#[derive(Debug, Default, Args)]
pub struct ArpArgs {
    /// Only this neighbour: a name or an address
    #[arg(value_name = "HOST")]
    pub host: Option<String>,

    /// A line for each, in the style of the BSDs
    #[arg(short = 'a', long)]
    pub all: bool,

    /// In the style of Linux, a table (the usual)
    #[arg(short = 'e', long, conflicts_with = "all")]
    pub table: bool,

    /// Addresses as numbers, not as names
    #[arg(short = 'n', long)]
    pub numeric: bool,

    /// Only of this interface
    #[arg(short = 'i', long, value_name = "INTERFACE")]
    pub device: Option<String>,

    #[command(flatten)]
    pub more: More,
}

/// Show sockets, routes, interfaces, protocol counters or multicast groups, as netstat does
#[derive(Debug, Default, Args)]
#[command(after_help = NETSTAT, after_long_help = NETSTAT_LONG)]
pub struct NetstatArgs {
    /// The routing table
    #[arg(short = 'r', long, group = "what")]
    pub route: bool,

    /// A line for each interface, with its counters
    #[arg(short = 'i', long, group = "what")]
    pub interfaces: bool,

    /// What each protocol has counted
    #[arg(short = 's', long, group = "what")]
    pub statistics: bool,

    /// Multicast groups that interfaces have joined
    #[arg(short = 'g', long, group = "what")]
    pub groups: bool,

    /// Sockets that wait for a peer too. With -i: interfaces that are down too
    #[arg(short = 'a', long)]
    pub all: bool,

    /// Only sockets that wait for a peer
    #[arg(short = 'l', long)]
    pub listening: bool,

    /// Numbers, not names of hosts, ports and users
    #[arg(short = 'n', long)]
    pub numeric: bool,

    /// Addresses as numbers
    #[arg(long)]
    pub numeric_hosts: bool,

    /// Ports as numbers
    #[arg(long)]
    pub numeric_ports: bool,

    /// Users as numbers
    #[arg(long)]
    pub numeric_users: bool,

    /// IPv4
    #[arg(short = '4', long, visible_alias = "inet")]
    pub ipv4: bool,

    /// IPv6
    #[arg(short = '6', long, visible_alias = "inet6")]
    pub ipv6: bool,

    /// TCP. With -s: only TCP
    #[arg(short = 't', long)]
    pub tcp: bool,

    /// UDP. With -s: only UDP
    #[arg(short = 'u', long)]
    pub udp: bool,

    /// UDP-Lite
    #[arg(short = 'U', long)]
    pub udplite: bool,

    /// Raw IP
    #[arg(short = 'w', long)]
    pub raw: bool,

    /// UNIX sockets
    #[arg(short = 'x', long)]
    pub unix: bool,

    /// The family as netstat takes it: inet, inet6, unix (-A; -f in BSD's grammar)
    #[arg(short = 'A', long, value_name = "FAMILY")]
    pub family: Option<String>,

    /// The process that holds each socket: of several, the first
    #[arg(short = 'p', long)]
    pub programs: bool,

    /// Every process that holds a socket, not only the first
    #[arg(long)]
    pub holders: bool,

    /// Which timer runs on each socket
    #[arg(short = 'o', long)]
    pub timers: bool,

    /// Addresses whole, however long
    #[arg(short = 'W', long, visible_short_alias = 'T')]
    pub wide: bool,

    /// Users and inode numbers. With -r: the columns of route too. With -i: ifconfig's
    /// paragraphs
    #[arg(short = 'e', long, action = clap::ArgAction::Count)]
    pub extend: u8,

    /// Go on and show changes: of sockets, as `netbreath trace` shows them (--follow)
    #[arg(short = 'c', long)]
    pub continuous: bool,

    /// Whose layout and grammar: that of Linux or that of the BSDs and macOS, where -p
    /// takes a protocol, -f a family, and -l means --wide. Usually that of the system at hand
    #[arg(long, value_enum, value_name = "STYLE")]
    pub style: Option<Style>,

    /// A protocol, as -p takes it with --style bsd: tcp, udp, icm
    #[arg(long, value_name = "PROTOCOL", hide = true)]
    pub protocol: Option<String>,

    /// Accepted, since some call netstat so.
    #[arg(short = 'v', long, hide = true)]
    pub verbose: bool,

    /// Language of explanations of sockets; usually that of the locale
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Option<crate::lesson::Language>,

    #[command(flatten)]
    pub namespace: super::Namespace,

    #[command(flatten)]
    pub more: More,
}

/// Tell what service a port is, or which ports a service has
#[derive(Debug, Default, Args)]
#[command(after_help = SERVICES)]
pub struct ServicesArgs {
    /// A port (8080, 8080/tcp) or a name (http-alt); none lists all
    #[arg(value_name = "PORT|NAME")]
    pub query: Option<String>,

    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatName,
}

/// What these commands have in common.
#[derive(Debug, Default, Args)]
pub struct More {
    /// How to write what is seen
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatName,

    /// Say in plain words what is seen
    #[arg(long)]
    pub explain: bool,

    #[command(flatten)]
    pub follow: Follow,
}

/// To go on and show changes.
#[derive(Debug, Default, Args)]
pub struct Follow {
    /// Show changes as they happen, until Ctrl-C
    #[arg(long)]
    pub follow: bool,

    /// With --follow or monitor: write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// With --follow or monitor: end after this many changes
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,

    /// With --follow or monitor: end after this time: 10s, 500ms, 2m, 1h
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,

    /// With --follow or monitor: create this file once everything is watched
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    #[command(flatten)]
    pub recordings: Recordings,
}

const IFCONFIG: &str = "\
Examples:
  netbreath ifconfig                 interfaces that are up
  netbreath ifconfig eth0 --explain  what this interface is, in plain words
  netbreath ifconfig --follow        each change of an interface or an address
`netbreath ifconfig --help` tells more, with the exit codes.";

const IFCONFIG_LONG: &str = "\
Examples:
  netbreath ifconfig                 interfaces that are up
  netbreath ifconfig -a --style bsd  all, as macOS and the BSDs write them
  netbreath ifconfig eth0 --explain  what this interface is, in plain words
  netbreath ifconfig --follow        each change of an interface or an address

Exit codes:
  0    done
  1    there is no such interface
  2    wrong use, or an error
  77   a privilege is missing
  130  ended by Ctrl-C (--follow)";

const IP: &str = "\
Examples:
  netbreath ip addr                  interfaces and their addresses
  netbreath ip -j -s link            with counters, for programs
  netbreath ip route show table all  every route of every table
  netbreath ip monitor               each change of any of them
`netbreath ip --help` tells more, with the exit codes.";

const IP_LONG: &str = "\
Examples:
  netbreath ip addr                  interfaces and their addresses
  netbreath ip -br addr show up      one short line each
  netbreath ip -j -s link            with counters, for programs
  netbreath ip route show table all  every route of every table
  netbreath ip neigh --follow        each change of a neighbour
  netbreath ip monitor               each change of any of them
  netbreath ip -j monitor --output changes.jsonl
With -j, changes are events, one a line, each with what the thing is now and what it
was; what is there at the start comes first, as `present`.

Exit codes:
  0    done
  1    there is no such interface
  2    wrong use, or an error
  77   a privilege is missing
  130  ended by Ctrl-C (--follow)";

const NETSTAT: &str = "\
Examples:
  netbreath netstat -tlnp            who listens on which port
  netbreath netstat -anp             every socket and the process that holds it
  netbreath netstat -rn              routes
  netbreath netstat -s               what IP, ICMP, TCP and UDP have counted
`netbreath netstat --help` tells more, with the exit codes.";

const NETSTAT_LONG: &str = "\
Examples:
  netbreath netstat -tlnp            who listens on which port
  netbreath netstat -anp             every socket and the process that holds it
  netbreath netstat -tan --style bsd as macOS and the BSDs write it
  netbreath netstat -tanp --holders  every process that shares a socket
  netbreath netstat -rn              routes
  netbreath netstat -i               interfaces and their counters
  netbreath netstat -s               what IP, ICMP, TCP and UDP have counted

Exit codes:
  0    done, also if there is nothing to show
  2    wrong use, or an error
  77   a privilege is missing";

const SERVICES: &str = "\
Examples:
  netbreath services 8080            http-alt
  netbreath services https           443, TCP and UDP
Exit code 1: there is no such service.";

/// Turns what some tools take otherwise than others into what the parser knows: ip's long
/// options with one dash, netstat's letters in BSD's grammar, lsof's options with a plus.
pub fn normalized(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let arguments: Vec<OsString> = arguments.collect();
    match arguments.get(1).and_then(|command| command.to_str()) {
        Some("ip") => normalized_ip(arguments),
        Some("netstat") => super::socket::normalized_netstat(arguments),
        Some("lsof") => super::socket::normalized_lsof(arguments),
        _ => arguments,
    }
}

/// ip takes its long options with one dash, and -br for --brief.
fn normalized_ip(mut arguments: Vec<OsString>) -> Vec<OsString> {
    const LONG: [(&str, &str, &str); 8] = [
        ("-br", "-brief", "--brief"),
        ("-js", "-json", "--json"),
        ("-st", "-statistics", "--stats"),
        ("-st", "-stats", "--stats"),
        ("-on", "-oneline", "--oneline"),
        ("-fa", "-family", "--family"),
        ("-pr", "-pretty", "--pretty"),
        ("-nu", "-Numeric", "--numeric"),
    ];
    for argument in &mut arguments[2..] {
        let Some(text) = argument.to_str() else { continue };
        let known = LONG
            .iter()
            .find(|(short, whole, _)| whole.starts_with(text) && text.len() >= short.len());
        if let Some((.., long)) = known {
            *argument = OsString::from(*long);
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_ip_are_understood_in_its_own_spelling() {
        let line = |text: &str| {
            let words = text.split(' ').map(OsString::from);
            let words = normalized(words);
            words
                .iter()
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(line("netbreath ip -br -4 addr"), "netbreath ip --brief -4 addr");
        assert_eq!(line("netbreath ip -json -stat link"), "netbreath ip --json --stats link");
        assert_eq!(line("netbreath ip -j -s link"), "netbreath ip -j -s link");
        assert_eq!(line("netbreath trace -br"), "netbreath trace -br");
    }
}
