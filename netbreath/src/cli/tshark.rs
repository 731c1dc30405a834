//! `netbreath tshark`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;

/// Show packets as tshark does, each with its process
///
/// A line for each packet, the tree of its fields (-V, -O), or fields for programs (-T). What
/// is shown can be chosen in Wireshark's language of display filters (-Y), which knows the
/// owner too.
#[derive(Debug, Default, Args)]
#[command(after_help = EXAMPLES, after_long_help = LONG)]
pub struct TsharkArgs {
    /// A capture filter, or with -r a display filter
    #[arg(value_name = "FILTER")]
    pub filter: Vec<String>,

    /// Capture on this interface; can be given several times
    #[arg(short = 'i', value_name = "IFACE")]
    pub interface: Vec<String>,

    /// What packets must match to be captured, in the language of tcpdump (pcap-filter(7))
    #[arg(short = 'f', value_name = "FILTER")]
    pub capture_filter: Option<String>,

    /// Keep this many bytes of each packet
    #[arg(short = 's', value_name = "BYTES", default_value_t = 262_144)]
    pub snap_len: u32,

    /// Buffer for packets between the kernel and netbreath, in MiB
    #[arg(short = 'B', value_name = "MIB")]
    pub buffer: Option<u32>,

    /// Write the packets to this file, as pcapng; - is standard output
    #[arg(short = 'w', value_name = "FILE")]
    pub write: Option<PathBuf>,

    /// With -w: pcapng or pcap
    #[arg(short = 'F', value_name = "TYPE")]
    pub file_type: Option<String>,

    /// End after: duration:SECONDS, packets:N
    #[arg(short = 'a', value_name = "CONDITION")]
    pub autostop: Vec<String>,

    /// With -w: another file after duration:SECONDS or filesize:KB, and over and over with
    /// files:N; they are named as those of tcpdump -C and -G
    #[arg(short = 'b', value_name = "CONDITION")]
    pub ring: Vec<String>,

    /// List the interfaces
    #[arg(short = 'D')]
    pub list: bool,

    /// Create this file once everything is captured
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,

    /// Read packets from this file; - is standard input
    #[arg(short = 'r', value_name = "FILE")]
    pub read: Option<PathBuf>,

    /// Show only packets that this display filter lets through
    #[arg(short = 'Y', long = "display-filter", value_name = "FILTER", allow_hyphen_values = true)]
    pub display_filter: Option<String>,

    /// Numbers only (which is also what is done without it)
    #[arg(short = 'n')]
    pub numeric: bool,

    /// Show names: t those of ports
    #[arg(short = 'N', value_name = "LETTERS")]
    pub names: Option<String>,

    /// Show the tree of all fields
    #[arg(short = 'V')]
    pub tree: bool,

    /// Show the fields of these protocols only
    #[arg(short = 'O', value_name = "PROTOCOLS", value_delimiter = ',')]
    pub only: Vec<String>,

    /// Show a line for each packet even if something else is shown
    #[arg(short = 'P')]
    pub summary: bool,

    /// Show the bytes too
    #[arg(short = 'x')]
    pub hex: bool,

    /// As: fields, json, ek, pdml, tabs, text
    #[arg(short = 'T', value_name = "FORMAT")]
    pub format: Option<String>,

    /// With -T fields: this field; can be given several times
    #[arg(short = 'e', value_name = "FIELD")]
    pub fields: Vec<String>,

    /// With -T fields: header=y, separator=C, occurrence=f|l|a, aggregator=C, quote=d|s|n
    #[arg(short = 'E', value_name = "OPTION")]
    pub field_options: Vec<String>,

    /// Times: r relative, a absolute, ad with the date, d since the packet before, dd since
    /// the one shown before, e since the epoch, u and ud in UTC
    #[arg(short = 't', value_name = "FORMAT")]
    pub time: Option<String>,

    /// End after this many packets
    #[arg(short = 'c', value_name = "N")]
    pub count: Option<NonZeroU64>,

    /// Statistics at the end: conv,tcp  io,stat,SECONDS[,FILTER]  follow,tcp,ascii,STREAM
    #[arg(short = 'z', value_name = "STATISTIC")]
    pub statistics: Vec<String>,

    /// Show no packets, as for statistics alone
    #[arg(short = 'q')]
    pub quiet: bool,

    /// List what is known, and read nothing: protocols, fields
    #[arg(short = 'G', value_name = "LIST", num_args = 0..=1, default_missing_value = "fields")]
    pub glossary: Option<String>,

    /// Write after each packet (which is what is done to a terminal or a pipe)
    #[arg(short = 'l', hide = true)]
    pub line_buffered: bool,

    /// No promiscuous mode, which is never used
    #[arg(short = 'p', hide = true)]
    pub not_promiscuous: bool,
}

const EXAMPLES: &str = "\
Examples:
  sudo netbreath tshark -i lo -f 'port 8080' -Y http.request
  netbreath tshark -r today.pcapng -Y 'http.request'
  netbreath tshark -r today.pcapng -O tcp -c 1
  netbreath tshark -r today.pcapng -T fields -e ip.src -e tcp.dstport
  netbreath tshark -r today.pcapng -q -z conv,tcp
`netbreath tshark --help` tells more, with the exit codes.";

const LONG: &str = "\
Examples:
  netbreath tshark -r today.pcapng -Y 'http.request'
  netbreath tshark -r today.pcapng -O tcp -c 1
  netbreath tshark -r today.pcapng -T fields -e ip.src -e tcp.dstport
  netbreath tshark -r today.pcapng -q -z conv,tcp

Display filters:
  tcp.port == 8080 && tcp.flags.syn == 1     both
  ip.addr in {10.0.0.1 .. 10.0.0.9}          one of several
  http.host contains \"example\"               a part; `matches` takes a regular expression
  eth.src[0:3] == 02:00:00                   bytes of a field
  frame.process_info.pid == 812              the owner's process
  tcp.state == \"TIME_WAIT\"                   what the packet's socket was in

Exit codes:
  0    done, ended by Ctrl-C, or the reader of the output went away
  2    wrong use, or an error
  77   a privilege is missing";
