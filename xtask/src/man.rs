//! `cargo xtask man`: man pages and completions, for packages and for who reads them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::{self, Profile};
use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Where to put them; `target/man` without it
    #[arg(long)]
    folder: Option<PathBuf>,
}

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    build::binary(workspace, Profile::Debug)?;
    let binary = workspace.binary(Profile::Debug);
    let folder = args.folder.clone().unwrap_or_else(|| workspace.root.join("target/man"));
    process::run(Command::new(&binary).arg("man").arg(&folder))?;
    for (shell, file) in
        [("bash", "netbreath.bash"), ("zsh", "_netbreath"), ("fish", "netbreath.fish")]
    {
        let output = Command::new(&binary).args(["completions", shell]).output()?;
        let path = folder.join(file);
        fs::write(&path, output.stdout).with_context(|| format!("write {}", path.display()))?;
    }
    eprintln!("man: completions for bash, zsh and fish are there too");
    Ok(())
}
