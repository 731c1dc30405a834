//! `netbreath top`.

use std::path::PathBuf;

use clap::Args;

use super::{ColorChoice, Recordings, TraceArgs};

/// Watch connections on a full screen: whose they are, their states, what is odd
///
/// The screen is fed by events: nothing is polled, but for rates and round-trip times of
/// what can be seen, and counters of interfaces while they are shown. `?` tells the keys.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG)]
pub struct TopArgs {
    /// Show this recording (`trace --format jsonl`) instead of what happens now: takes no
    /// privilege
    #[arg(long, value_name = "FILE", conflicts_with_all = LIVE)]
    pub replay: Option<PathBuf>,

    /// How fast a recording goes by: 1 is as it was, 10 ten times as fast, `max` is all at
    /// once, to show its end
    #[arg(long, value_name = "TIMES", default_value = "1", requires = "replay")]
    pub speed: Speed,

    /// Use colour: on a terminal only, always, or never. NO_COLOR in the environment also
    /// turns `auto` off
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,

    /// Leave the mouse to the terminal, so that text can be chosen with it
    #[arg(long)]
    pub no_mouse: bool,

    /// Where `w` puts recordings
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,

    /// Only connections of the process with this id
    #[arg(short = 'p', long, value_name = "PID", value_delimiter = ',', help_heading = FILTER)]
    pub pid: Vec<String>,

    /// Only connections of processes with this name (the first 15 bytes count)
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = FILTER)]
    pub comm: Vec<String>,

    /// Only connections of this user's processes: a name or a number
    #[arg(short = 'u', long, value_name = "USER", value_delimiter = ',', help_heading = FILTER)]
    pub uid: Vec<String>,

    /// Only connections with this port at either end: 443, 80,443 or 8000-8999
    #[arg(long, value_name = "PORTS", value_delimiter = ',', help_heading = FILTER)]
    pub port: Vec<String>,

    /// Only connections with this address at either end: 10.1.2.3, 10.0.0.0/8 or
    /// 2001:db8::/32
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', help_heading = FILTER)]
    pub addr: Vec<String>,

    /// Only connections over IPv4
    #[arg(short = '4', long, help_heading = FILTER)]
    pub ipv4: bool,

    /// Only connections over IPv6
    #[arg(short = '6', long, help_heading = FILTER)]
    pub ipv6: bool,

    /// Only connections of this control group (a service or a container) and of those
    /// below it
    #[arg(long, value_name = "PATH", help_heading = FILTER)]
    pub cgroup: Option<String>,

    /// Only connections in this network namespace: a name from `ip netns`, a path, pid:N
    /// for that of a process, or its number
    #[arg(long, value_name = "NETNS", value_delimiter = ',', help_heading = FILTER)]
    pub netns: Vec<String>,

    /// Buffer between the kernel and netbreath: 8M, 512K
    #[arg(long, value_name = "SIZE", default_value = "8M", help_heading = TUNING)]
    pub ring_size: String,

    /// How many connections can be remembered at once
    #[arg(long, value_name = "N", default_value_t = 262_144, help_heading = TUNING,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sockets: u32,

    /// Measure what the kernel programs cost, and show it below; measuring costs some
    /// 20 ns a call itself
    #[arg(long, help_heading = TUNING)]
    pub costs: bool,

    /// For the benchmark: say in the end how long drawing took, as JSON.
    #[arg(long, hide = true)]
    pub frames: bool,
}

const LIVE: [&str; 9] = ["pid", "comm", "uid", "port", "addr", "ipv4", "ipv6", "cgroup", "netns"];
const FILTER: &str = "Filters (all must agree; a list means any of its values)";
const TUNING: &str = "Tuning";

const EXAMPLES: &str = "\
Examples:
  sudo netbreath top
  sudo netbreath top --comm nginx --port 443
  netbreath top --replay today.jsonl --speed 10
`netbreath top --help` tells more.";

const LONG: &str = "\
Examples:
  sudo netbreath top
  sudo netbreath top --comm nginx --port 443
  netbreath top --replay today.jsonl --speed 10

Tables (Tab, or their number):
  1 connections   the latest change first; ! waits for long, q nobody has accepted it,
                  x is over
  2 processes     with what their connections are in and went through
  3 hosts         at the other end
  4 listeners     WAIT: connections that wait for accept(), and how many may
  5 interfaces    of this network namespace
  6 events        the latest 10,000
  7 findings      what is odd, with who does it and what it means
Enter on a connection shows its life; on a process or a host, its connections.

Keys:
  q quit   / filter   Enter open   Esc back   Tab next table   > < sort   r reverse
  Space pause   e those that are over   w write a recording   + - speed   ? all keys

Rates, round-trip times and the room of listeners' queues are asked of the kernel every
two seconds for what can be seen, in this network namespace only.

Exit codes: 0 done, 2 wrong use or an error, 77 a privilege is missing.";

/// How fast a recording goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    Times(f64),
    Max,
}

impl std::str::FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        match text.trim_end_matches('x').parse::<f64>() {
            Ok(times) if (0.01..=1024.0).contains(&times) => Ok(Speed::Times(times)),
            _ => Err("write a number from 0.01 to 1024, or max".to_owned()),
        }
    }
}

impl TopArgs {
    /// The same question to `trace`.
    pub fn trace(&self) -> TraceArgs {
        TraceArgs {
            pid: self.pid.clone(),
            comm: self.comm.clone(),
            uid: self.uid.clone(),
            port: self.port.clone(),
            addr: self.addr.clone(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            cgroup: self.cgroup.clone(),
            netns: self.netns.clone(),
            ring_size: self.ring_size.clone(),
            max_sockets: self.max_sockets,
            costs: self.costs,
            recordings: Recordings { replay: self.replay.clone(), ..Recordings::default() },
            color: self.color,
            numeric: true,
            ..TraceArgs::default()
        }
    }
}
