//! The commands about sockets, under the names of the tools that people know.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::{Explain, Follow, FormatName};

/// Show sockets as ss does
///
/// What is shown can be chosen by state and by a filter on addresses and ports, in the
/// language of ss.
#[derive(Debug, Default, Args)]
#[command(after_help = SS, after_long_help = SS_LONG, disable_help_flag = true)]
pub struct SsArgs {
    /// `state NAME`, `exclude NAME`, then conditions: sport, dport, src, dst, dev, with
    /// and, or, not and brackets
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// Print help: -h a page, --help all
    #[arg(short = 'h', long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,

    /// TCP
    #[arg(short = 't', long)]
    pub tcp: bool,

    /// UDP
    #[arg(short = 'u', long)]
    pub udp: bool,

    /// Raw IP
    #[arg(short = 'w', long)]
    pub raw: bool,

    /// UNIX sockets
    #[arg(short = 'x', long)]
    pub unix: bool,

    /// Multipath TCP
    #[arg(short = 'M', long)]
    pub mptcp: bool,

    /// Sockets that take packets from interfaces
    #[arg(short = '0', long)]
    pub packet: bool,

    /// Only IPv4
    #[arg(short = '4', long)]
    pub ipv4: bool,

    /// Only IPv6
    #[arg(short = '6', long)]
    pub ipv6: bool,

    /// A family: inet, inet6, link, unix, netlink
    #[arg(short = 'f', long, value_name = "FAMILY")]
    pub family: Vec<String>,

    /// Tables, separated by commas: all, inet, tcp, udp, raw, unix, packet, netlink, …
    #[arg(short = 'A', long, visible_alias = "socket", value_name = "TABLES")]
    pub query: Vec<String>,

    /// In every state
    #[arg(short = 'a', long)]
    pub all: bool,

    /// Only those that wait for a peer
    #[arg(short = 'l', long)]
    pub listening: bool,

    /// Ports as numbers
    #[arg(short = 'n', long)]
    pub numeric: bool,

    /// Names of hosts too
    #[arg(short = 'r', long)]
    pub resolve: bool,

    /// Every process that holds the socket
    #[arg(short = 'p', long)]
    pub processes: bool,

    /// User, inode number, cookie, control group
    #[arg(short = 'e', long)]
    pub extended: bool,

    /// Memory
    #[arg(short = 'm', long)]
    pub memory: bool,

    /// What TCP knows of the connection
    #[arg(short = 'i', long)]
    pub info: bool,

    /// Timers
    #[arg(short = 'o', long)]
    pub options: bool,

    /// Type of service
    #[arg(long)]
    pub tos: bool,

    /// Control groups
    #[arg(long)]
    pub cgroup: bool,

    /// How many there are of each kind
    #[arg(short = 's', long)]
    pub summary: bool,

    /// Without the header
    #[arg(short = 'H', long)]
    pub no_header: bool,

    /// A line for each socket, with -i and -m too
    #[arg(short = 'O', long)]
    pub oneline: bool,

    /// Go on and show sockets that begin, change and end, with their owners
    #[arg(short = 'E', long)]
    pub events: bool,

    /// Refused: netbreath observes and closes nothing.
    #[arg(short = 'K', long, hide = true)]
    pub kill: bool,

    #[command(flatten)]
    pub explain: Explain,

    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatName,

    #[command(flatten)]
    pub namespace: Namespace,

    #[command(flatten)]
    pub follow: Follow,
}

/// Show open files of processes as lsof does: sockets with -i and -U, all with -p
///
/// Selections are alternatives, unless -a joins them; within one, several values are
/// alternatives too.
#[derive(Debug, Default, Args)]
#[command(after_help = LSOF, after_long_help = LSOF_LONG, disable_help_flag = true)]
pub struct LsofArgs {
    /// Internet sockets: [46][protocol][@host][:port], e.g. -i, -i4, -iTCP:80,443,
    /// -i@10.0.0.1:8000-8999
    #[arg(short = 'i', value_name = "SOCKET", num_args = 0..=1, default_missing_value = "")]
    pub internet: Vec<String>,

    /// Print help: -h a page, --help all
    #[arg(short = 'h', short_alias = '?', long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,

    /// Files of these processes; ^N leaves one out
    #[arg(short = 'p', value_name = "PID,…", value_delimiter = ',')]
    pub pids: Vec<String>,

    /// Of these users: names or numbers; ^NAME leaves one out
    #[arg(short = 'u', value_name = "USER,…", value_delimiter = ',')]
    pub users: Vec<String>,

    /// Of processes whose name begins so; ^NAME leaves them out
    #[arg(short = 'c', value_name = "NAME", num_args = 1)]
    pub commands: Vec<String>,

    /// Only these descriptors: 3, 0-2, cwd, txt, mem; ^cwd leaves it out
    #[arg(short = 'd', value_name = "FD,…", value_delimiter = ',')]
    pub descriptors: Vec<String>,

    /// Only in these states: TCP:LISTEN, TCP:^CLOSE_WAIT
    #[arg(short = 's', value_name = "PROTOCOL:STATE,…", num_args = 0..=1,
          default_missing_value = "")]
    pub states: Vec<String>,

    /// UNIX sockets
    #[arg(short = 'U')]
    pub unix: bool,

    /// Selections all hold, not one of them
    #[arg(short = 'a')]
    pub and: bool,

    /// Addresses as numbers
    #[arg(short = 'n')]
    pub numeric_hosts: bool,

    /// Ports as numbers
    #[arg(short = 'P')]
    pub numeric_ports: bool,

    /// Users as numbers
    #[arg(short = 'l')]
    pub numeric_users: bool,

    /// Parents' process ids too
    #[arg(short = 'R')]
    pub parents: bool,

    /// Process groups too
    #[arg(short = 'g', num_args = 0..=1, default_missing_value = "", value_name = "GROUP,…")]
    pub groups: Option<String>,

    /// Only process ids
    #[arg(short = 't')]
    pub terse: bool,

    /// What stands behind a connection's name: q queues, s state
    #[arg(short = 'T', value_name = "LETTERS", num_args = 0..=1, default_missing_value = "")]
    pub tcp_info: Option<String>,

    /// Fields for programs, each behind its letter: -F pcn; 0 ends them with NUL
    #[arg(short = 'F', value_name = "LETTERS", num_args = 0..=1, default_missing_value = "")]
    pub fields: Option<String>,

    /// JSON (as --format json)
    #[arg(short = 'J', long)]
    pub json: bool,

    /// Refused: nothing is asked again and again here.
    #[arg(short = 'r', hide = true, num_args = 0..=1, default_missing_value = "15")]
    pub repeat: Option<String>,

    /// Exit code 0 also if something asked for was not found
    #[arg(short = 'Q')]
    pub quiet: bool,

    /// Accepted, since many call lsof so: warnings are few, and nothing blocks.
    #[arg(short = 'w', hide = true)]
    pub no_warnings: bool,
    #[arg(short = 'b', hide = true)]
    pub no_block: bool,
    #[arg(short = 'V', hide = true)]
    pub verbose: bool,
    #[arg(short = 'O', hide = true)]
    pub no_fork: bool,
    #[arg(short = 'M', hide = true)]
    pub no_portmap: bool,

    /// How many characters of a command to show (+c N); 0 is all
    #[arg(long, value_name = "N", default_value_t = 9)]
    pub command_width: usize,

    #[command(flatten)]
    pub explain: Explain,

    /// Files, by their names: who has them open
    #[arg(value_name = "FILE")]
    pub names: Vec<PathBuf>,

    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatName,
}

/// Tell who uses a port, and everything about it, in plain words
#[derive(Debug, Default, Args)]
#[command(after_help = WHO)]
pub struct WhoArgs {
    /// A port (8080, 8080/udp, https), a process id (pid:812), or a process's name
    #[arg(value_name = "PORT|PID|NAME")]
    pub what: String,

    /// Names of hosts instead of addresses
    #[arg(short = 'r', long)]
    pub resolve: bool,

    /// How to write it
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatName,
}

/// Which network namespace is asked about.
#[derive(Clone, Debug, Default, Args)]
pub struct Namespace {
    /// Of this network namespace: a name of `ip netns`, a file, or pid:N
    #[arg(short = 'N', long, value_name = "NAME")]
    pub netns: Option<String>,

    /// Of every network namespace
    #[arg(long, conflicts_with = "netns")]
    pub all_netns: bool,

    /// For comparing: how holders are found.
    #[arg(long, hide = true, value_name = "iterator|proc")]
    pub holders_by: Option<String>,
}

const SS: &str = "\
Examples:
  netbreath ss -tlnp                 who listens on which port
  netbreath ss -tnp state established '( dport = :443 or dport = :80 )'
  netbreath ss -xa                   UNIX sockets
  netbreath ss -s                    how many there are
`netbreath ss --help` tells more, with the exit codes.";

const SS_LONG: &str = "\
Examples:
  netbreath ss -tlnp                 who listens on which port
  netbreath ss -tnp state established '( dport = :443 or dport = :80 )'
  netbreath ss -tan exclude time-wait dst 10.0.0.0/8
  netbreath ss -ti                   what TCP knows of each connection
  netbreath ss -tapn --format json   for programs, which ss has not
  netbreath ss -xa                   UNIX sockets
  netbreath ss -s                    how many there are
  netbreath ss -tE dport = :443      each that begins, changes or ends, with its owner

With -E or --follow, the lines and formats are those of `netbreath trace`: nothing is
asked again and again, events tell. Filters can then be joined by `and` only.

Exit codes:
  0    done, also if there is nothing to show
  1    -E: ended without having seen anything
  2    wrong use, or an error
  77   a privilege is missing";

const LSOF: &str = "\
Examples:
  netbreath lsof -i :8080            who has port 8080 at either end
  netbreath lsof -nP -iTCP -sTCP:LISTEN
  netbreath lsof -p 812              all that process 812 has open
  netbreath lsof -t -i :8080         only process ids
`netbreath lsof --help` tells more, with the exit codes.";

const LSOF_LONG: &str = "\
Examples:
  netbreath lsof -i :8080            who has port 8080 at either end
  netbreath lsof -nP -iTCP -sTCP:LISTEN
  netbreath lsof -a -p 812 -i        the Internet sockets of process 812
  netbreath lsof -u www-data -c nginx   of this user, or of processes named so
  netbreath lsof -p 812              all that process 812 has open
  netbreath lsof -F pcn -i           fields for scripts
  netbreath lsof -t -i :8080         only process ids

Exit codes:
  0    done
  1    something that was asked for was not found (-Q: 0)
  2    wrong use, or an error";

const WHO: &str = "\
Examples:
  netbreath who 8080                 what is using port 8080?
  netbreath who nginx                what are processes named nginx connected to?
  netbreath who pid:812
Exit code 1: nobody.";

/// In BSD's grammar, netstat's -p takes a protocol, -f a family, and -l shows addresses
/// whole.
pub fn normalized_netstat(arguments: Vec<OsString>) -> Vec<OsString> {
    let text = |place: usize| arguments.get(place).and_then(|word| word.to_str());
    let bsd = (2..arguments.len()).any(|place| {
        text(place) == Some("--style=bsd")
            || text(place) == Some("--style") && text(place + 1) == Some("bsd")
    });
    if !bsd {
        return arguments;
    }
    let mut words = Vec::new();
    for (place, word) in arguments.iter().enumerate() {
        let letters = word.to_str().and_then(|word| word.strip_prefix('-'));
        let letters = letters.filter(|letters| place > 1 && !letters.starts_with('-'));
        let Some(letters) = letters else {
            words.push(word.clone());
            continue;
        };
        for (at, letter) in letters.char_indices() {
            let long = match letter {
                'p' => "--protocol",
                'f' => "--family",
                'l' => {
                    words.push("--wide".into());
                    continue;
                }
                letter => {
                    words.push(format!("-{letter}").into());
                    continue;
                }
            };
            // The value is what is left of the word, or the next one.
            words.push(long.into());
            let rest = &letters[at + 1..];
            if !rest.is_empty() {
                words.push(rest.into());
            }
            break;
        }
    }
    words
}

/// lsof has options that begin with a plus.
pub fn normalized_lsof(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut words = Vec::new();
    for (place, word) in arguments.into_iter().enumerate() {
        let plus = word.to_str().and_then(|word| word.strip_prefix('+')).filter(|_| place > 1);
        match plus.and_then(|plus| Some((plus.chars().next()?, plus.get(1..)?))) {
            Some(('c', rest)) => {
                words.push("--command-width".into());
                if !rest.is_empty() {
                    words.push(rest.into());
                }
            }
            Some(('r', _)) => words.push("-r".into()),
            _ => words.push(word),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(normalized: fn(Vec<OsString>) -> Vec<OsString>, line: &str) -> String {
        let words = normalized(line.split(' ').map(OsString::from).collect());
        let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn netstat_of_the_bsds_has_its_own_letters() {
        let line = |line| words(normalized_netstat, line);
        assert_eq!(line("netbreath netstat -anp"), "netbreath netstat -anp");
        assert_eq!(
            line("netbreath netstat --style bsd -anp tcp"),
            "netbreath netstat --style bsd -a -n --protocol tcp"
        );
        assert_eq!(
            line("netbreath netstat -anl -finet6 --style=bsd"),
            "netbreath netstat -a -n --wide --family inet6 --style=bsd"
        );
    }

    #[test]
    fn lsof_has_options_with_a_plus() {
        let line = |line| words(normalized_lsof, line);
        assert_eq!(line("netbreath lsof +c 0 -i"), "netbreath lsof --command-width 0 -i");
        assert_eq!(line("netbreath lsof +c15"), "netbreath lsof --command-width 15");
        assert_eq!(line("netbreath lsof +r -i"), "netbreath lsof -r -i");
    }
}
