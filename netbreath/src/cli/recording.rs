//! `netbreath record` and `netbreath replay`, and their options on views.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

use super::{FormatName, TraceArgs};
use crate::filter::EventKind;

/// To record what a view sees, or to show what was recorded.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Recordings")]
pub struct Recordings {
    /// Write what is seen to this file too, to be looked at later with `netbreath
    /// replay`; compressed if its name ends in .zst
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// With --record: write stand-ins for addresses and names, the same for the same
    #[arg(long, requires = "record")]
    pub mask: bool,

    /// Show what was recorded in this file, not what happens now (- is standard input)
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,

    /// With --replay: as many times as fast as it happened: 1, 10, 0.5. Without it, as
    /// fast as it can be read
    #[arg(long, value_name = "N", requires = "replay")]
    pub speed: Option<String>,

    /// With --replay: stop at this time: 14:02:11.5, 2026-01-02T03:04:05Z, or after the
    /// first event +10s
    #[arg(long, value_name = "TIME", requires = "replay")]
    pub at: Option<String>,
}

/// Record what happens, to look at it later with `netbreath replay`
///
/// The recording is a file of lines of JSON, one event a line, as `--format jsonl`
/// writes them; docs/recording.md says what is in it.
#[derive(Debug, Args)]
#[command(after_help = RECORD)]
pub struct RecordArgs {
    /// Run this command as the user who called, and record only its connections and
    /// those of the processes it starts
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    /// Write to this file, compressed if its name ends in .zst (- is standard output)
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: PathBuf,

    /// Write stand-ins for addresses and names, the same for the same
    ///
    /// Ports, numbers of processes, users and interfaces, and times stay.
    #[arg(long)]
    pub mask: bool,

    /// Only events of these kinds; without it, of all kinds but exec, fork and exit, whose
    /// command lines can hold secrets
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    pub event: Vec<EventKind>,

    /// End after this many events
    #[arg(short = 'c', long, value_name = "N")]
    pub count: Option<NonZeroU64>,

    /// End after this time: 10s, 500ms, 2m, 1h
    #[arg(short = 'd', long, value_name = "TIME")]
    pub duration: Option<String>,

    /// Fail if anything was lost, even if all else went well
    #[arg(long)]
    pub strict: bool,

    /// Create this file once everything is watched
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    /// Only connections of the process with this id
    #[arg(short = 'p', long, value_name = "PID", value_delimiter = ',')]
    pub pid: Vec<String>,

    /// Only connections of processes with this name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub comm: Vec<String>,

    /// Only connections of this user's processes: a name or a number
    #[arg(short = 'u', long, value_name = "USER", value_delimiter = ',')]
    pub uid: Vec<String>,

    /// Only connections with this port at either end: 443, 80,443 or 8000-8999
    #[arg(long, value_name = "PORTS", value_delimiter = ',')]
    pub port: Vec<String>,

    /// Only connections with this address at either end
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    pub addr: Vec<String>,

    /// Only connections in this network namespace
    #[arg(long, value_name = "NETNS", value_delimiter = ',')]
    pub netns: Vec<String>,

    /// Buffer between the kernel and netbreath: 8M, 512K. Make it larger if events are lost
    #[arg(long, value_name = "SIZE", default_value = "8M")]
    pub ring_size: String,

    /// How many connections can be remembered at once
    #[arg(long, value_name = "N", default_value_t = 262_144,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sockets: u32,
}

/// Show a recording in any view that lives on events
///
/// VIEW is a command line of netbreath without its name: `trace`, `netstat -c`, `ss -E`,
/// `ip monitor` show what happened; `netstat` and `ss` without these options show the
/// sockets as they were in the end, or at the time that --at names. Without a VIEW, it is
/// `trace`.
#[derive(Debug, Args)]
#[command(after_help = REPLAY)]
pub struct ReplayArgs {
    /// The recording (- is standard input)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// As many times as fast as it happened: 1, 10, 0.5. Without it, as fast as it can be
    /// read
    #[arg(long, value_name = "N")]
    pub speed: Option<String>,

    /// Stop at this time: 14:02:11.5, 2026-01-02T03:04:05Z, or after the first event +10s
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,

    /// The view, with its options
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "VIEW")]
    pub view: Vec<OsString>,
}

impl RecordArgs {
    /// The trace that is recorded.
    pub fn trace(&self) -> TraceArgs {
        const ALL: [EventKind; 17] = [
            EventKind::Seed,
            EventKind::HalfOpen,
            EventKind::State,
            EventKind::Accept,
            EventKind::Owner,
            EventKind::ConnectFailed,
            EventKind::Closed,
            EventKind::Retransmit,
            EventKind::Reset,
            EventKind::Drop,
            EventKind::Udp,
            EventKind::Dns,
            EventKind::Unix,
            EventKind::Link,
            EventKind::Address,
            EventKind::Route,
            EventKind::Neighbour,
        ];
        TraceArgs {
            command: self.command.clone(),
            event: if self.event.is_empty() { ALL.to_vec() } else { self.event.clone() },
            count: self.count,
            duration: self.duration.clone(),
            strict: self.strict,
            ready_file: self.ready_file.clone(),
            pid: self.pid.clone(),
            comm: self.comm.clone(),
            uid: self.uid.clone(),
            port: self.port.clone(),
            addr: self.addr.clone(),
            netns: self.netns.clone(),
            ring_size: self.ring_size.clone(),
            max_sockets: self.max_sockets,
            numeric: true,
            format: FormatName::Text,
            recordings: Recordings {
                record: Some(self.output.clone()),
                mask: self.mask,
                ..Recordings::default()
            },
            ..TraceArgs::default()
        }
    }
}

impl ReplayArgs {
    /// The command line of the view.
    pub fn line(&self) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec!["netbreath".into()];
        let (view, rest) = match self.view.split_first() {
            Some((view, rest)) => (view.clone(), rest),
            None => ("trace".into(), &[][..]),
        };
        line.push(view);
        line.extend(["--replay".into(), self.file.clone().into_os_string()]);
        for (option, value) in [("--speed", &self.speed), ("--at", &self.at)] {
            if let Some(value) = value {
                line.extend([option.into(), value.into()]);
            }
        }
        line.extend_from_slice(rest);
        line
    }
}

const RECORD: &str = "\
Examples:
  sudo netbreath record -o today.jsonl.zst             until Ctrl-C
  sudo netbreath record -o curl.jsonl -- curl example.com
  sudo netbreath record --mask -o report.jsonl.zst     to give to others
  netbreath replay today.jsonl.zst trace --comm curl
The exit codes are those of trace, and a COMMAND's its own.";

const REPLAY: &str = "\
Examples:
  netbreath replay today.jsonl.zst                     what happened
  netbreath replay today.jsonl.zst trace -n --port 443 --format csv
  netbreath replay --speed 1 today.jsonl.zst trace     as fast as it happened
  netbreath replay --at 14:02:11 today.jsonl.zst ss -tan
  netbreath replay --at +10s today.jsonl.zst netstat -an
The exit codes are those of the view.";
