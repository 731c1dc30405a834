//! `netbreath check`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{Recordings, TraceArgs};

/// Watch a command, or a while, and fail if its connections break a rule: for CI
///
/// Each rule is a check of its own. The command runs as the user who called; only its
/// connections and those of the processes it starts are judged.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG)]
pub struct CheckArgs {
    /// Run this command and judge its connections
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    /// Judge for this long: 10s, 500ms, 2m. A command that still runs then is told to end
    #[arg(long = "for", value_name = "TIME", required_unless_present_any = ["command", "replay"])]
    pub duration: Option<String>,

    /// None of these may happen
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',', help_heading = RULES)]
    pub deny: Vec<Deny>,

    /// No connection may be in CLOSE_WAIT for longer
    #[arg(long, value_name = "TIME", help_heading = RULES)]
    pub max_close_wait: Option<String>,

    /// No connection may take longer to be established, or to fail
    #[arg(long, value_name = "TIME", help_heading = RULES)]
    pub max_connect: Option<String>,

    /// No more segments than this may be sent again, all connections together
    #[arg(long, value_name = "N", help_heading = RULES)]
    pub max_retransmits: Option<u64>,

    /// Connections may be with these addresses only: 10.0.0.0/8, 127.0.0.1, 2001:db8::/32
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', help_heading = RULES)]
    pub allow_remote: Vec<String>,

    /// So many connections must have been made: a check of nothing proves nothing
    #[arg(long, value_name = "N", help_heading = RULES)]
    pub min_connections: Option<u64>,

    /// Write the result as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Judge a recording (`trace --format jsonl`) instead of what happens now: takes no
    /// privilege
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "duration", "pid", "comm",
          "port", "netns"])]
    pub replay: Option<PathBuf>,

    /// Only connections of the process with this id
    #[arg(short = 'p', long, value_name = "PID", value_delimiter = ',', help_heading = FILTER)]
    pub pid: Vec<String>,

    /// Only connections of processes with this name (the first 15 bytes count)
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = FILTER)]
    pub comm: Vec<String>,

    /// Only connections with this port at either end: 443, 80,443 or 8000-8999
    #[arg(long, value_name = "PORTS", value_delimiter = ',', help_heading = FILTER)]
    pub port: Vec<String>,

    /// Only connections in this network namespace
    #[arg(long, value_name = "NETNS", value_delimiter = ',', help_heading = FILTER)]
    pub netns: Vec<String>,

    /// Create this file once everything is watched
    #[arg(long, value_name = "FILE", hide = true)]
    pub ready_file: Option<PathBuf>,
}

const RULES: &str = "Rules";
const FILTER: &str = "Filters";

const EXAMPLES: &str = "\
Examples:
  sudo netbreath check --deny rst,lints --max-close-wait 1s -- ./integration-tests
  sudo netbreath check --allow-remote 127.0.0.0/8,::1 --junit net.xml -- make test
  sudo netbreath check --for 10s --comm nginx --deny accept_queue
`netbreath check --help` tells more.";

const LONG: &str = "\
Examples:
  sudo netbreath check --deny rst,lints --max-close-wait 1s -- ./integration-tests
  sudo netbreath check --allow-remote 127.0.0.0/8,::1 --junit net.xml -- make test
  sudo netbreath check --for 10s --comm nginx --deny accept_queue

Standard output has a line for each rule, and below a rule that was broken, by whom and
how (the first ten times). In the XML each rule is a test case.

Exit codes:
  0    every rule was kept
  1    a rule was broken
  2    wrong use, or an error
  77   a privilege is missing
  130  ended by Ctrl-C
With a COMMAND that fails, its own code, unless a rule was broken too; 125 to 127 as
for `netbreath trace`.";

/// What may not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Deny {
    /// A reset, sent or received
    Rst,
    /// A segment that is sent again
    Retransmit,
    /// A packet that the kernel throws away
    Drop,
    /// A connect() that comes to nothing
    ConnectFailed,
    /// An event that netbreath lost
    Loss,
    /// In CLOSE_WAIT for 30 s, or --max-close-wait
    CloseWait,
    /// Three SYNs without an answer
    SynSent,
    /// Many segments sent again in a short time
    RetransmitBurst,
    /// A listener's queue is full
    AcceptQueue,
    /// Most local ports are in TIME_WAIT
    PortExhaustion,
    /// Closed with data unread
    UnreadReset,
    /// A listener on all addresses
    WildcardListener,
    /// Many half-open connections
    HalfOpenFlood,
    /// Every one from close_wait to half_open_flood, but wildcard_listener
    Lints,
}

impl CheckArgs {
    /// The same question to `trace`.
    pub fn trace(&self) -> TraceArgs {
        TraceArgs {
            command: self.command.clone(),
            pid: self.pid.clone(),
            comm: self.comm.clone(),
            port: self.port.clone(),
            netns: self.netns.clone(),
            duration: self.duration.clone(),
            recordings: Recordings { replay: self.replay.clone(), ..Recordings::default() },
            ready_file: self.ready_file.clone(),
            ring_size: "8M".to_owned(),
            max_sockets: 262_144,
            numeric: true,
            ..TraceArgs::default()
        }
    }
}
