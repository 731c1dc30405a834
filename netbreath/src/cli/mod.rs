//! What was typed. The doc comments are the help; what it all means is decided in
//! `plan`. A file here is a family of commands.

use clap::{Args, Parser, Subcommand, ValueEnum};

mod capture;
mod check;
mod lesson;
mod manual;
pub mod network;
mod recording;
pub mod socket;
pub mod tcpdump;
mod top;
mod trace;
mod tshark;

pub use capture::{CaptureArgs, HookName, Way};
pub use check::{CheckArgs, Deny};
pub use lesson::{ActorArgs, DiagramArgs, Explain, ExplainArgs, LabArgs, LearnArgs, TourArgs};
pub use manual::{CompletionsArgs, ManArgs};
pub use network::{ArpArgs, Follow, IfconfigArgs, IpArgs, NetstatArgs, RouteArgs, ServicesArgs};
pub use recording::{RecordArgs, Recordings, ReplayArgs};
pub use socket::{LsofArgs, Namespace, SsArgs, WhoArgs};
pub use tcpdump::TcpdumpArgs;
pub use top::{Speed, TopArgs};
pub use trace::{SourceName, Timestamps, TraceArgs};
pub use tshark::TsharkArgs;

/// Who is talking, and what is TCP doing? Live, from the kernel, with the process
/// that owns each connection.
#[derive(Debug, Parser)]
#[command(name = "netbreath", version, arg_required_else_help = true, after_help = FIRST)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const FIRST: &str = "\
Start here, and open a web page with curl in another terminal:
  sudo netbreath trace";

#[derive(Debug, Subcommand)]
pub enum Command {
    Trace(Box<TraceArgs>),
    Top(Box<TopArgs>),
    Capture(Box<CaptureArgs>),
    Tcpdump(Box<TcpdumpArgs>),
    Tshark(Box<TsharkArgs>),
    Ifconfig(IfconfigArgs),
    Ip(IpArgs),
    Route(RouteArgs),
    Arp(ArpArgs),
    Netstat(Box<NetstatArgs>),
    Ss(Box<SsArgs>),
    Lsof(Box<LsofArgs>),
    Who(WhoArgs),
    Services(ServicesArgs),
    Check(Box<CheckArgs>),
    Record(Box<RecordArgs>),
    Replay(ReplayArgs),
    Explain(ExplainArgs),
    Tour(TourArgs),
    Lab(LabArgs),
    Learn(LearnArgs),
    Diagram(DiagramArgs),
    #[command(hide = true)]
    Actor(ActorArgs),
    Doctor(DoctorArgs),
    #[command(hide = true)]
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Man(ManArgs),
}

/// Show what this machine can give netbreath, what it cannot, and how to mend it
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Load every program on every rung, for the tests.
    #[arg(long, hide = true)]
    pub load_all: bool,

    /// Every rung of every hook, and whether it could be had here: for the tests.
    #[arg(long, hide = true, conflicts_with = "load_all")]
    pub rungs: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FormatName {
    /// Lines for people
    #[default]
    Text,
    /// One array of rows
    Json,
    /// One event a line
    Jsonl,
    /// A header and rows
    Csv,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}
