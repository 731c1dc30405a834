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
