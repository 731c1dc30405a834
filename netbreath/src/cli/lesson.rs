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

/// A process of a lesson.
#[derive(Debug, Args)]
pub struct ActorArgs {
    pub name: String,
}
