//! `cargo xtask ci`: what has to be true before a change is taken.

use std::process::ExitCode;

use anyhow::Result;

use crate::check_load;
use crate::lint;
use crate::test;
use crate::workspace::Workspace;

/// All of it, also after a failure: one run shows everything that is to mend. The tests
/// are last, so their count is the last line.
pub fn start(workspace: &Workspace) -> Result<ExitCode> {
    let mut failed = Vec::new();
    for (name, outcome) in
        [("lint", lint::start(workspace)), ("check-load", check_load::start(workspace))]
    {
        if let Err(error) = outcome {
            eprintln!("ci: {name} failed: {error:#}");
            failed.push(name);
        }
    }
    let counts = test::count(workspace, &[])?;
    if !counts.is_good() {
        failed.push("test");
    }
    if failed.is_empty() {
        eprintln!("ci: all good");
    } else {
        eprintln!("ci: FAILED: {}", failed.join(", "));
    }
    println!("{counts}");
    Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
