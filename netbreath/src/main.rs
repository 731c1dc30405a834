//! Parse, plan, run, exit code.

mod app;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use netbreath::cli::Cli;
use netbreath::cli::network::normalized;

use app::{Failure, dispatch, sentence};

fn main() -> ExitCode {
    let cli = Cli::parse_from(normalized(std::env::args_os()));
    let result = dispatch(cli.command);
    result.unwrap_or_else(|Failure { code, error }| {
        // Why ignored: without a standard error, the exit code has to do.
        let _ = writeln!(io::stderr(), "netbreath: {}", sentence(&error));
        ExitCode::from(code)
    })
}
