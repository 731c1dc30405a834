//! `netbreath trace`.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ColorChoice, Explain, FormatName, Recordings};
use crate::filter::EventKind;

/// Show each change in the life of each TCP connection, and whose it is
///
/// A line tells when it happened, which process owns the connection and how that
/// is known, the connection's two ends (local: this machine; remote: the other
/// side), the state that TCP left and the one it entered, and how long it had been
/// in the old one.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG)]
pub struct TraceArgs {
    /// Run this command as the user who called, and show only its connections and
    /// those of the processes it starts
    ///
    /// The command starts when everything is watched, and netbreath ends with it
    /// and returns its exit code. Under sudo it runs as you, not as root.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    /// Show addresses as numbers instead of host names
    ///
    /// Names are looked up in the background; until one is known, the number is
    /// shown. Ports are always numbers.
    #[arg(short = 'n', long, help_heading = OUTPUT)]
    pub numeric: bool,

    /// How to write what is seen
    #[arg(short = 'f', long, value_enum, default_value_t, help_heading = OUTPUT)]
    pub format: FormatName,

    /// Which columns to show: names to replace the usual ones, or names with a
    /// plus to add to them (+netns,+cgroup)
    ///
    /// Where a terminal is too narrow, columns that you did not name are left out
    /// in this order: event, proto, how, time, in_state, local. An unknown name
    /// lists them all.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = OUTPUT)]
    pub columns: Vec<String>,

    /// Tell what is odd, with the evidence and what it means
    ///
    /// CLOSE_WAIT for long, connections that nobody answers, bursts of retransmits, full
    /// queues of listeners, local ports that run out, resets by unread data, listeners on
    /// all addresses, floods of half-open connections.
    #[arg(long, help_heading = OUTPUT)]
    pub lint: bool,

    /// What the time column counts from: the day's clock, the machine's start, the
    /// first line, or the line before
    #[arg(long, value_enum, value_name = "KIND", help_heading = OUTPUT)]
    pub timestamps: Option<Timestamps>,

    /// Use colour: on a terminal only, always, or never. NO_COLOR in the
    /// environment also turns `auto` off
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = OUTPUT)]
    pub color: ColorChoice,

    #[command(flatten)]
    pub explain: Explain,

    /// Write to this file instead of standard output
    #[arg(short = 'o', long, value_name = "FILE", help_heading = OUTPUT)]
    pub output: Option<PathBuf>,

    /// End after this many events
    ///
    /// A command that netbreath started keeps running; netbreath still waits for it
    /// and returns its exit code.
    #[arg(short = 'c', long, value_name = "N", help_heading = ENDING)]
    pub count: Option<NonZeroU64>,

    /// End after this time: 10s, 500ms, 2m, 1h
    ///
    /// A command that netbreath started is told to end too (SIGTERM).
    #[arg(short = 'd', long, value_name = "TIME", help_heading = ENDING)]
    pub duration: Option<String>,

    /// Fail if anything was lost, even if all else went well
    #[arg(long, help_heading = ENDING)]
    pub strict: bool,

    /// Create this file once everything is watched, so that a script knows when to
    /// begin
    #[arg(long, value_name = "FILE", help_heading = ENDING)]
    pub ready_file: Option<PathBuf>,

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

    /// Only connections with this port on this machine
    #[arg(long, value_name = "PORTS", value_delimiter = ',', help_heading = FILTER)]
    pub lport: Vec<String>,

    /// Only connections with this port on the other side
    #[arg(long, value_name = "PORTS", value_delimiter = ',', help_heading = FILTER)]
    pub rport: Vec<String>,

    /// Only connections with this address at either end: 10.1.2.3, 10.0.0.0/8 or
    /// 2001:db8::/32
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', help_heading = FILTER)]
    pub addr: Vec<String>,

    /// Only connections with this address on this machine
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', help_heading = FILTER)]
    pub laddr: Vec<String>,

    /// Only connections with this address on the other side
    #[arg(long, value_name = "NETWORK", value_delimiter = ',', help_heading = FILTER)]
    pub raddr: Vec<String>,

    /// Only connections over IPv4
    #[arg(short = '4', long, help_heading = FILTER)]
    pub ipv4: bool,

    /// Only connections over IPv6
    #[arg(short = '6', long, help_heading = FILTER)]
    pub ipv6: bool,

    /// Only changes that leave or enter this state: ESTABLISHED, TIME_WAIT, …
    ///
    /// The names of ss and of other systems are understood too (estab,
    /// fin-wait-1). An unknown name lists them all.
    #[arg(long, value_name = "STATE", value_delimiter = ',', help_heading = FILTER)]
    pub state: Vec<String>,

    /// Only events of this kind
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',', help_heading = FILTER)]
    pub event: Vec<EventKind>,

    /// Only connections of this control group (a service or a container) and of
    /// those below it: /system.slice/nginx.service
    #[arg(long, value_name = "PATH", help_heading = FILTER)]
    pub cgroup: Option<String>,

    /// Only connections in this network namespace: a name from `ip netns`, a path,
    /// pid:N for that of a process, or its number
    #[arg(long, value_name = "NETNS", value_delimiter = ',', help_heading = FILTER)]
    pub netns: Vec<String>,

    /// Buffer between the kernel and netbreath: 8M, 512K; rounded up to a power of
    /// two. Make it larger if events are lost
    #[arg(long, value_name = "SIZE", default_value = "8M", help_heading = TUNING)]
    pub ring_size: String,

    /// How many connections can be remembered at once
    #[arg(long, value_name = "N", default_value_t = 262_144, help_heading = TUNING,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_sockets: u32,

    /// Do not watch accept(): the new owner of an incoming connection is then known
    /// later or not at all, and programs run a little faster on some old kernels
    #[arg(long, help_heading = TUNING)]
    pub no_accept_hook: bool,

    /// Read the kernel's type information from this file, for a kernel that does not
    /// show its own in /sys/kernel/btf/vmlinux
    #[arg(long, value_name = "FILE", help_heading = TUNING)]
    pub btf: Option<PathBuf>,

    /// Print what the kernel programs see and decide, on standard error: for those who
    /// work on them
    ///
    /// It costs much, and lines may be missing under load.
    #[arg(long, help_heading = TUNING)]
    pub debug_programs: bool,

    /// Say in the end how often each kernel program ran and how long it took
    ///
    /// Measuring costs some 20 ns a call itself.
    #[arg(long, help_heading = TUNING)]
    pub costs: bool,
    /// For the tests: attach this hook by this rung and no other. `doctor --rungs`
    /// lists both; the rung `none` leaves the hook out.
    #[arg(long, hide = true, value_name = "HOOK=RUNG")]
    pub rung: Vec<String>,

    /// Mutant for the tests: take whoever is on the CPU for the owner.
    #[arg(long, hide = true)]
    pub owner_from_cpu: bool,

    /// Where to learn what happens: `ebpf` from the kernel; `pcap` from packets and looks at
    /// the socket table, as on systems without eBPF: states of TCP only, owners of what
    /// lives long enough to be looked at
    #[arg(long, value_enum, default_value_t, value_name = "SOURCE", help_heading = TUNING)]
    pub source: SourceName,

    #[command(flatten)]
    pub recordings: Recordings,
}

const OUTPUT: &str = "Output";
const ENDING: &str = "When to end";
const FILTER: &str = "Filters (all must agree; a list means any of its values)";
const TUNING: &str = "Tuning";

const EXAMPLES: &str = "\
Examples:
  sudo netbreath trace                        every connection of this machine
  sudo netbreath trace -- curl example.com    only what this command does
  sudo netbreath trace --comm nginx --port 80,443
  sudo netbreath trace --event dns            who asks for which names
  sudo netbreath trace --format jsonl -o today.jsonl
`netbreath trace --help` tells more, with the exit codes.";

const LONG: &str = "\
Examples:
  sudo netbreath trace                        every connection of this machine
  sudo netbreath trace -- curl example.com    only what this command does
  sudo netbreath trace --comm nginx --port 80,443
  sudo netbreath trace --event dns            who asks for which names
  sudo netbreath trace --event udp,unix       other sockets than TCP's
  sudo netbreath trace --format jsonl -o today.jsonl

How the owner is known (column HOW):
  connect     it opened the connection
  bind        it gave a UDP socket, or a UNIX socket for datagrams, its address
  listen      it waits for connections
  accept      it took the connection from a listener
  inherited   it owns the listener; nobody has taken the connection yet
  snapshot    it held the connection when netbreath started
  polled      it held it when the socket table was looked at (--source pcap)
  io          it read from it or wrote to it, after somebody else had opened it

Other sockets than TCP's, if --event names them:
  udp     bound, connected, first datagram each way with its own two ends, closed
          (`close out 1/29 in 2/90`: 1 datagram with 29 bytes sent, 2 with 90 read)
  dns     each query and response on the ports 53 and 5353, at every socket of this
          machine that sends or gets it; IN STATE is the time from the query to the
          response. Of long messages, the first 512 bytes are read; DNS over TCP
          or encrypted is not
  unix    listening, connected, accepted, closed, with the processes at both ends;
          names in the abstract namespace begin with @. Filters on addresses, ports
          and families leave these sockets out

Formats:
  text    for people
  json    one array of rows
  jsonl   the events themselves, one object a line, with those that are no rows
          (clock, seed); this is also the recording
  csv     a header and rows; `at` is nanoseconds since 1970, durations are in
          nanoseconds, the last column, info, is filled for gaps only
A gap is something that could not be seen, and is a line in every format.

Exit codes:
  0    done, or the reader of the output went away
  1    ended without having seen anything
  2    wrong use, or an error; with --strict, also a loss
  77   a privilege is missing
  130  ended by Ctrl-C
  143  ended by SIGTERM
With a COMMAND: its own code, 128 + N if signal N killed it, 127 if it was not
found, 126 if it could not be started, 125 if netbreath failed after that (with
--strict, also a loss); 2 and 77 as above before it was started.";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SourceName {
    /// Programs in the kernel
    #[default]
    Ebpf,
    /// Packets and the socket table
    Pcap,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Timestamps {
    /// The day's clock
    #[default]
    Wall,
    /// Seconds since the machine started
    Boot,
    /// Seconds since the first line
    Relative,
    /// Seconds since the line before
    Delta,
}
