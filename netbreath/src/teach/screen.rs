//! What netbreath's own commands show, for lessons: the same views, in this process.

use clap::Parser;

use crate::cli::network::normalized;
use crate::cli::{Cli, Command};
use crate::host::Terminal;
use crate::plan::network::Plan;
use crate::{answer, plan};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{command:?} is no command for a lesson")]
    Command { command: String },
    #[error(transparent)]
    Answer(#[from] answer::Error),
    #[error(transparent)]
    Sockets(#[from] plan::socket::Error),
    #[error(transparent)]
    Files(#[from] plan::lsof::Error),
    #[error(transparent)]
    Network(#[from] plan::network::Error),
}

/// The output of `netbreath WORDS`, as for a pipe.
pub fn show(words: &str) -> Result<String, Error> {
    let wrong = || Error::Command { command: words.to_owned() };
    let terminal = Terminal { utf8: true, ..Terminal::default() };
    let arguments = std::iter::once("netbreath").chain(words.split_whitespace()).map(Into::into);
    let cli = Cli::try_parse_from(normalized(arguments)).map_err(|_| wrong())?;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    match cli.command {
        Command::Netstat(args) => {
            let question = plan::socket::netstat(&args, terminal)?;
            answer::socket::netstat(&question, None, terminal, &mut out, &mut talk)?;
        }
        Command::Ss(args) => {
            let question = plan::socket::ss(&args, terminal, answer::socket::ephemeral())?;
            answer::socket::ss(&question, None, terminal, &mut out, &mut talk)?;
        }
        Command::Lsof(args) => {
            let question = plan::lsof::lsof(&args, terminal, &answer::lsof::System)?;
            answer::lsof::lsof(&question, terminal, &mut out, &mut talk)?;
        }
        Command::Ifconfig(args) => match plan::network::ifconfig(&args)? {
            Plan::Answer(question) => answer::answer(&question, terminal, &mut out)?,
            Plan::Watch(_) => return Err(wrong()),
        },
        _ => return Err(wrong()),
    }
    let text = String::from_utf8_lossy(&out);
    // Blanks at the ends of lines are of no use in a text.
    Ok(text.lines().map(|line| format!("{}\n", line.trim_end())).collect())
}

/// The headings, and the lines in which one of these words stands.
pub fn lines_with(text: &str, words: &[String]) -> String {
    let heading = |line: &&str| line.starts_with("Proto ") || line.starts_with("COMMAND ");
    let has = |line: &&str| words.iter().any(|word| line.contains(word.as_str()));
    text.lines().filter(|line| heading(line) || has(line)).map(|line| format!("{line}\n")).collect()
}
