//! `netbreath tcpdump`.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::{Explain, Way};

/// Show packets as tcpdump does; -k adds whose they are
///
/// The options and the lines are those of tcpdump 4.99. Sequence numbers of TCP count from a
/// connection's first; -S shows them as they are.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG)]
pub struct TcpdumpArgs {
    /// What packets must match (pcap-filter(7))
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// Capture on this interface; can be given several times. `any` is all that are up,
    /// which is also what is done without it
    #[arg(short = 'i', long = "interface", value_name = "IFACE")]
    pub interface: Vec<String>,

    /// Numbers instead of names of hosts and ports; twice is the same
    #[arg(short = 'n', action = ArgAction::Count)]
    pub numeric: u8,

    /// Show the link-layer header
    #[arg(short = 'e')]
    pub link: bool,

    /// Show each packet's bytes in hex; twice with the link-layer header
    #[arg(short = 'x', action = ArgAction::Count)]
    pub hex: u8,

    /// Show each packet's bytes in hex and as text; twice with the link-layer header
    #[arg(short = 'X', action = ArgAction::Count)]
    pub hex_and_text: u8,

    /// Show each packet's bytes as text; twice with the link-layer header
    #[arg(short = 'A', action = ArgAction::Count)]
    pub text: u8,

    /// Tell more of each packet; twice and three times still more
    #[arg(short = 'v', action = ArgAction::Count)]
    pub verbose: u8,

    /// Tell less of each packet
    #[arg(short = 'q')]
    pub quiet: bool,

    /// Show sequence numbers of TCP as they are
    #[arg(short = 'S', long = "absolute-tcp-sequence-numbers")]
    pub absolute: bool,

    /// Show no time; twice: seconds since 1970; three times: since the line before; four
    /// times: with the date; five times: since the first line
    #[arg(short = 't', action = ArgAction::Count)]
    pub times: u8,

    /// Show nanoseconds
    #[arg(long = "nano")]
    pub nano: bool,

    /// Number the lines
    #[arg(short = '#', long = "number")]
    pub number: bool,

    /// Do not check checksums: what this machine sends has often none yet
    #[arg(short = 'K', long = "dont-verify-checksums")]
    pub no_checksums: bool,

    /// Leave domains off names of hosts
    #[arg(short = 'N')]
    pub short_names: bool,

    /// Show interface, process and direction of each packet; on loopback both processes
    #[arg(short = 'k', long = "owners")]
    pub owners: bool,

    /// End after this many packets
    #[arg(short = 'c', value_name = "N")]
    pub count: Option<String>,

    /// Print only how many packets there were (with -r)
    #[arg(long = "count")]
    pub only_count: bool,

    /// Keep this many bytes of each packet; 0 is all
    #[arg(short = 's', long = "snapshot-length", value_name = "BYTES")]
    pub snap_len: Option<u32>,

    /// Buffer between the kernel and netbreath, in KiB
    #[arg(short = 'B', long = "buffer-size", value_name = "KIB")]
    pub buffer: Option<u32>,

    /// Read packets from this file; - is standard input
    #[arg(short = 'r', value_name = "FILE")]
    pub read: Option<PathBuf>,

    /// Write packets to this file, with their processes, as pcapng; - is standard output
    #[arg(short = 'w', value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// With -w: the classic format, in which there is no place for processes
    #[arg(long = "pcap", requires = "write")]
    pub pcap: bool,

    /// With -w: begin another file when this one has more than so many millions of bytes
    /// (or 100k, 10m, 1g)
    #[arg(short = 'C', value_name = "SIZE", requires = "write")]
    pub file_size: Option<String>,

    /// With -w: begin another file after so many seconds; %H%M%S in the name is the time
    #[arg(short = 'G', value_name = "SECONDS", requires = "write")]
    pub file_seconds: Option<u32>,

    /// With -C: so many files, then the first again; with -G: so many files, then end
    #[arg(short = 'W', value_name = "FILES", requires = "write")]
    pub files: Option<u32>,

    /// With -w: write each packet as it comes
    #[arg(short = 'U', long = "packet-buffered")]
    pub unbuffered: bool,

    /// Write each line as it comes, which is always done
    #[arg(short = 'l')]
    pub line_buffered: bool,

    /// List interfaces, and capture nothing
    #[arg(short = 'D', long = "list-interfaces")]
    pub list: bool,

    /// Read the filter from this file
    #[arg(short = 'F', value_name = "FILE")]
    pub filter_file: Option<PathBuf>,

    /// Which way packets go. On loopback each is taken once, unless this asks for more
    #[arg(short = 'Q', long = "direction", value_enum, value_name = "WAY")]
    pub direction: Option<Way>,

    /// Say which part of the filter runs where, and capture nothing
    #[arg(short = 'd', action = ArgAction::Count)]
    pub code: u8,

    #[command(flatten)]
    pub lesson: Explain,

    /// Whose words are used where systems differ
    #[arg(long, value_enum, default_value_t, value_name = "SYSTEM")]
    pub style: StyleName,

    /// Leave the interface's mode as it is, which is always done
    #[arg(short = 'p', long = "no-promiscuous-mode", hide = true)]
    pub not_promiscuous: bool,

    /// Do not improve the filter.
    #[arg(short = 'O', hide = true)]
    pub no_optimizer: bool,

    /// Create this file once everything is captured, so that a script knows when to begin
    #[arg(long, value_name = "FILE", hide = true)]
    pub ready_file: Option<PathBuf>,
}

/// A system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StyleName {
    #[default]
    Linux,
    Macos,
}

const EXAMPLES: &str = "\
Examples:
  sudo netbreath tcpdump -i lo port 8080 -nn
  sudo netbreath tcpdump -i lo -nnk port 8080
  sudo netbreath tcpdump -i lo -nn --explain port 8080
  netbreath tcpdump -nn -X -r today.pcapng
`netbreath tcpdump --help` tells more.";

const LONG: &str = "\
Examples:
  sudo netbreath tcpdump -i lo port 8080 -nn
  sudo netbreath tcpdump -i lo -nnk port 8080
  netbreath tcpdump -nn -X -r today.pcapng

Flags of TCP:
  S SYN   F FIN   R RST   P PSH   . ACK   U URG   E ECE   W CWR   none

Exit codes:
  0    done, ended by Ctrl-C, or the reader of the output went away
  1    an error, or a missing privilege, as tcpdump has it
  2    an option that is not there";
