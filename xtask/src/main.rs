//! The commands around the code: `cargo xtask run -- trace` is the first one to know,
//! `cargo xtask test` the second.

#[cfg(target_os = "linux")]
mod bench;
mod build;
mod check_load;
mod ci;
mod cross;
mod ebpf;
mod lint;
mod man;
mod process;
mod run;
mod setup;
mod summary;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Set up, build, run, test and check netbreath
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Get everything that building and testing need (the others do it by themselves)
    Setup,
    /// Build the netbreath binary
    Build(build::Args),
    /// Build netbreath and run it as root: `cargo xtask run -- trace`
    Run(run::Args),
    /// Run everything that can be tested here, the tests that need root included
    Test(test::Args),
    /// Check the format, and run clippy on all crates with warnings as errors
    Lint,
    /// Write man pages and completions
    Man(man::Args),
    /// Load every kernel program that this kernel can take
    CheckLoad,
    /// Measure what tracing costs, next to other tracers: `cargo xtask bench trace`
    #[cfg(target_os = "linux")]
    Bench(bench::Args),
    /// What `.ci/run` runs: lint, check-load, test
    Ci,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match start(&cli.task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(task: &Task) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    match task {
        Task::Setup => setup::everything(&workspace)?,
        Task::Build(args) => build::start(&workspace, args)?,
        Task::Run(args) => run::start(&workspace, args)?,
        Task::Test(args) => return test::start(&workspace, args),
        Task::Man(args) => man::start(&workspace, args)?,
        Task::Lint => lint::start(&workspace)?,
        Task::CheckLoad => check_load::start(&workspace)?,
        #[cfg(target_os = "linux")]
        Task::Bench(args) => bench::start(&workspace, args)?,
        Task::Ci => return ci::start(&workspace),
    }
    Ok(ExitCode::SUCCESS)
}
