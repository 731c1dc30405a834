//! `netbreath explain`, and `--explain` of other commands.

use clap::Args;

use crate::lesson::Language;

/// To have every line explained.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Explain {
    /// Say under each line in plain words what it says (text only)
    #[arg(long)]
    pub explain: bool,

    /// Language of explanations; usually that of the locale
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
}

/// Explain a word that netbreath or a classic tool shows: a state, a flag, an error, a column
///
/// What it is, who acts, whether it is normal, what to look at next, where Linux differs from
/// the book, and where it stands in the RFC. Without a topic, all of them are listed.
#[derive(Debug, Default, Args)]
#[command(after_help = EXPLAIN)]
pub struct ExplainArgs {
    /// SYN_RECV, \"SYN_SENT -> ESTABLISHED\", S., ECONNREFUSED, Recv-Q, retransmit, …
    #[arg(value_name = "TOPIC")]
    pub topic: Vec<String>,

    /// In which language; usually that of the locale
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
}

const EXPLAIN: &str = "\
Examples:
  netbreath explain CLOSE_WAIT
  netbreath explain 'fin-wait-1 -> closing'
  netbreath explain '[S.]'           what tcpdump writes
  netbreath explain ECONNREFUSED --lang ja
Exit code 1: there is no such topic.";

/// Follow one web page through TCP, live on this machine, step by step
///
/// A server of netbreath's own listens on 127.0.0.1, and a client asks it for a page. Each step
/// shows the classic command, its replacement on Linux today and netbreath's own, the real
/// output, and what its columns say. Without root, it is shown from a recording.
#[derive(Debug, Args)]
#[command(after_help = TOUR)]
pub struct TourArgs {
    /// Run through without waiting for Enter
    #[arg(long)]
    pub auto: bool,

    /// Do not wait for the end of TIME_WAIT, which takes a minute
    #[arg(long)]
    pub no_wait: bool,

    /// In which language; usually that of the locale
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Option<Language>,

    /// The server's port; another is taken if it is not free
    #[arg(long, default_value_t = crate::teach::tour::PORT)]
    pub port: u16,

    /// Show the recording, even if all could be seen live
    #[arg(long)]
    pub recorded: bool,

    /// For making the recording that ships with the program.
    #[arg(long, hide = true, value_name = "FILE")]
    pub record: Option<std::path::PathBuf>,
}

const TOUR: &str = "\
Examples:
  sudo netbreath tour
  sudo netbreath tour --lang ja
  sudo netbreath tour --auto --no-wait   for a screencast";

/// Make TCP do something and watch it: refusals, leaks, resets, every state
///
/// Each scenario plays in a network namespace of its own, with its own small client and
/// server, and asks you to guess before it shows what happens. Nothing outside is touched, and
/// whatever ends it, nothing is left: the kernel takes the namespace away with its last
/// process. Without a scenario, they are listed.
#[derive(Debug, Args)]
#[command(after_help = LAB)]
pub struct LabArgs {
    /// What to play: open, filtered, close-wait-leak, state CLOSING, ...
    #[arg(value_name = "SCENARIO")]
    pub scenario: Vec<String>,

    /// Run through without waiting for Enter
    #[arg(long)]
    pub auto: bool,

    /// In which language; usually that of the locale
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Option<Language>,

    /// Keep what was seen in this file: a line of JSON for each event and packet
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<std::path::PathBuf>,
}

const LAB: &str = "\
Examples:
  netbreath lab                          what there is
  sudo netbreath lab refused
  sudo netbreath lab state CLOSING
  sudo netbreath lab close-wait-leak --lang ja
Exit code 1: there is no such scenario.";

/// A process of a lesson.
#[derive(Debug, Args)]
pub struct ActorArgs {
    pub name: String,
}

/// Step through connections: the state diagram, a ladder, and what each step means
///
/// What is shown is a recording: of `netbreath record`, of `netbreath lab -o`, of a COMMAND
/// that is run first, or the one of `netbreath tour`. Without a terminal, it is text.
#[derive(Debug, Args)]
#[command(after_help = LEARN)]
pub struct LearnArgs {
    /// A recording; without one, that of the tour
    #[arg(value_name = "RECORDING")]
    pub recording: Option<std::path::PathBuf>,

    /// Run this command first, and show what its connections did
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "recording")]
    pub command: Vec<std::ffi::OsString>,

    /// In which language; usually that of the locale
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
}

const LEARN: &str = "\
Examples:
  netbreath learn                              the connection of the tour
  sudo netbreath learn -- curl -s http://example.com/
  sudo netbreath lab state CLOSING --auto -o closing.jsonl && netbreath learn closing.jsonl";

/// Draw the connections of a recording as ladders: text, Mermaid, SVG or a page of HTML
///
/// Times are to scale, as far as they fit; where a wait is cut, that is marked.
#[derive(Debug, Args)]
#[command(after_help = DIAGRAM)]
pub struct DiagramArgs {
    /// A recording: of `netbreath record`, or of `netbreath lab -o`
    #[arg(value_name = "RECORDING")]
    pub recording: std::path::PathBuf,

    /// Where to: a name that ends in .txt, .mmd, .svg or .html
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: std::path::PathBuf,

    /// In which language a page explains; usually that of the locale
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub lang: Option<Language>,
}

const DIAGRAM: &str = "\
Examples:
  sudo netbreath lab open --auto -o open.jsonl
  netbreath diagram open.jsonl -o open.html    opens offline, and can be stepped through
  netbreath diagram open.jsonl -o open.svg";
