//! `netbreath capture`.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Capture packets, each with the process that sent it or gets it
///
/// A line tells when the packet was seen, on which interface and which way, its two ends,
/// what it is, and whose. With -w they go to a file that Wireshark reads, with their
/// processes. The owner is the socket's, from the same hooks as those of `trace`; of a
/// packet on loopback both ends are known.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG)]
pub struct CaptureArgs {
    /// What packets must match, in the language of tcpdump (pcap-filter(7))
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// Run this command as the user who called, and capture only its packets and those of
    /// the processes it starts
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,

    /// Capture on this interface; can be given several times. `any` is all that are up,
    /// which is also what is done without it
    #[arg(short = 'i', long = "interface", value_name = "IFACE")]
    pub interface: Vec<String>,

    /// Which way packets go: in, out, or both. On loopback each packet is taken once, on
    /// its way out, unless this asks for more
    #[arg(short = 'Q', long, value_enum, value_name = "WAY")]
    pub direction: Option<Way>,

    /// Keep this many bytes of each packet
    #[arg(short = 's', long, value_name = "BYTES", default_value_t = 262_144)]
    pub snap_len: u32,

    /// Write the packets to this file, as pcapng; - is standard output
    ///
    /// The file is for its owner only: packets hold secrets.
    #[arg(short = 'w', long, value_name = "FILE", help_heading = OUTPUT)]
    pub write: Option<PathBuf>,

    /// Read packets from this file, of whatever tool; - is standard input
    ///
    /// With -w, it is written in the other format, or what FILTER leaves of it.
    #[arg(short = 'r', long, value_name = "FILE", help_heading = OUTPUT,
        conflicts_with_all = ["interface", "direction", "command", "pid", "comm", "uid", "cgroup",
            "state", "explain", "duration", "costs", "hook"])]
    pub read: Option<PathBuf>,

    /// With -w: the classic format, in which there is no place for processes
    #[arg(long, requires = "write", help_heading = OUTPUT)]
    pub pcap: bool,

    /// With -w: say in a comment whose each packet is, for readers that do not know of
    /// processes
    #[arg(long, requires = "write", conflicts_with = "pcap", help_heading = OUTPUT)]
    pub comments: bool,

    /// End after this many packets
    #[arg(short = 'c', long, value_name = "N", help_heading = ENDING)]
    pub count: Option<NonZeroU64>,

    /// End after this time: 10s, 500ms, 2m, 1h
    #[arg(long, value_name = "TIME", help_heading = ENDING)]
    pub duration: Option<String>,

    /// Create this file once everything is captured, so that a script knows when to begin
    #[arg(long, value_name = "FILE", help_heading = ENDING)]
    pub ready_file: Option<PathBuf>,

    /// Only packets of the process with this id
    #[arg(short = 'p', long, value_name = "PID", value_delimiter = ',', help_heading = FILTER)]
    pub pid: Vec<String>,

    /// Only packets of processes with this name (the first 15 bytes count)
    #[arg(long, value_name = "NAME", value_delimiter = ',', help_heading = FILTER)]
    pub comm: Vec<String>,

    /// Only packets of this user's processes: a name or a number
    #[arg(short = 'u', long, value_name = "USER", value_delimiter = ',', help_heading = FILTER)]
    pub uid: Vec<String>,

    /// Only packets of this control group (a service or a container) and of those below it
    #[arg(long, value_name = "PATH", help_heading = FILTER)]
    pub cgroup: Option<String>,

    /// Only packets of TCP sockets that are in this state: SYN_SENT, TIME_WAIT, …
    #[arg(long, value_name = "STATE", value_delimiter = ',', help_heading = FILTER)]
    pub state: Vec<String>,

    /// Say which part of the filters runs where, and capture nothing
    #[arg(short = 'd', long, help_heading = FILTER)]
    pub explain: bool,

    /// Buffer for packets between the kernel and netbreath: 32M, 512K; rounded up to a
    /// power of two. Make it larger if packets are lost
    #[arg(short = 'B', long, value_name = "SIZE", default_value = "32M", help_heading = TUNING)]
    pub ring_size: String,

    /// Say in the end how often each kernel program ran and how long it took
    ///
    /// Measuring costs some 20 ns a call itself.
    #[arg(long, help_heading = TUNING)]
    pub costs: bool,

    /// How packets are taken: by kernel programs, which know whose they are, or by a packet
    /// socket, as tcpdump does it. Without it, the first that this kernel allows
    #[arg(long, value_enum, value_name = "HOOK", help_heading = TUNING)]
    pub hook: Option<HookName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Way {
    In,
    Out,
    Inout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HookName {
    /// Programs where traffic is controlled
    Tc,
    /// A packet socket: owners are not known
    Packet,
}

const OUTPUT: &str = "Output";
const ENDING: &str = "When to end";
const FILTER: &str = "Filters on owners and states (beside FILTER; all must agree)";
const TUNING: &str = "Tuning";

const EXAMPLES: &str = "\
Examples:
  sudo netbreath capture -i lo port 8080
  sudo netbreath capture -i eth0 -w today.pcapng
  sudo netbreath capture --comm nginx tcp port 443
  sudo netbreath capture -- curl example.com
  netbreath capture -r today.pcapng port 53
`netbreath capture --help` tells more, with the exit codes.";

const LONG: &str = "\
Examples:
  sudo netbreath capture -i lo port 8080
  sudo netbreath capture -i eth0 -w today.pcapng
  sudo netbreath capture --comm nginx tcp port 443
  sudo netbreath capture -- curl example.com
  netbreath capture -r today.pcapng port 53

Owners:
  curl[812]            the process that owns the packet's socket
  curl[812] > srv[9]   on loopback: who sends it, and who gets it
  kernel               the kernel made it by itself, for no process's socket: a reset for
                       a closed port, an answer to a ping
  -                    not known, or not of this machine

Exit codes:
  0    done, ended by Ctrl-C, or the reader of the output went away
  2    wrong use, or an error
  77   a privilege is missing
With a COMMAND: its own code, as in `netbreath trace`.";
