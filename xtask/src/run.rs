//! `cargo xtask run -- ARGS`: netbreath itself, as root.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, bail};

use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Build it optimized, which is the default
    #[arg(long, conflicts_with = "debug")]
    release: bool,
    /// Build it with debug assertions instead
    #[arg(long)]
    debug: bool,
    /// What netbreath is told; `trace` if nothing
    #[arg(last = true)]
    args: Vec<OsString>,
}

/// Returns only if netbreath cannot be started.
pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    let profile = if args.debug && !args.release { Profile::Debug } else { Profile::Release };
    setup::for_build(workspace)?;
    build::binary(workspace, profile)?;

    let binary = workspace.binary(profile);
    if !process::is_root() {
        if process::find("sudo").is_none() {
            bail!("tracing needs root and there is no sudo here: run {} as root", binary.display());
        }
        eprintln!("run: through sudo, since tracing needs root");
    }
    let mut command = process::as_root(binary.as_os_str(), &[]);
    if args.args.is_empty() {
        command.arg("trace");
    } else {
        command.args(&args.args);
    }
    // Why exec: signals, the terminal and the exit code are then netbreath's own.
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", process::shown(&command)))
}
