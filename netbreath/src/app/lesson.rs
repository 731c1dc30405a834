//! `netbreath explain` and `tour`.

use std::fs;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use netbreath::cli::{ExplainArgs, TourArgs};
use netbreath::host::Host;
use netbreath::teach::tour;
use netbreath::{answer, host};

use super::{Failure, print};

/// Explains a topic, or lists them all.
pub fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let language = args.lang.unwrap_or(terminal.language);
    let (text, code) = answer::lesson::explain(&args.topic.join(" "), language, terminal);
    match code {
        0 => print(text.as_bytes()),
        code => Err(Failure { code, error: anyhow!(text) }),
    }
}

/// Gives the tour: live if that can be, else from the recording.
pub fn tour(args: &TourArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let recorded = || tour::Place::recorded();
    let mut place = match args.recorded {
        true => recorded()?,
        false => match tour::Place::live(args.port) {
            Err(error) if error.is_privilege() => recorded()?,
            place => place?,
        },
    };
    let manner = tour::Manner {
        language: args.lang.unwrap_or(terminal.language),
        width: terminal.width.map_or(80, usize::from).clamp(60, 120),
        stops: !args.auto && io::stdin().is_terminal(),
        unicode: terminal.utf8,
        waits: !args.no_wait,
    };
    let next = || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        read.is_ok_and(|len| len > 0) && !line.trim().starts_with('q')
    };
    match tour::give(&mut place, manner, io::stdout(), next) {
        Err(error) if error.is_broken_pipe() => {}
        given => given?,
    }
    if let Some(path) = &args.record {
        fs::write(path, place.recording()?).context("cannot write the recording")?;
    }
    Ok(ExitCode::SUCCESS)
}
