//! `cargo xtask build`: the binary, in the target folder.

use anyhow::{Context, Result};

use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Optimized, as `cargo xtask run` builds it
    #[arg(long)]
    release: bool,
}

#[derive(Clone, Copy)]
pub enum Profile {
    Debug,
    Release,
}

impl Profile {
    pub fn folder(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    let profile = if args.release { Profile::Release } else { Profile::Debug };
    setup::for_build(workspace)?;
    binary(workspace, profile)?;
    eprintln!("build: {}", workspace.binary(profile).display());
    Ok(())
}

/// Builds the binary; everything it needs is there.
pub fn binary(workspace: &Workspace, profile: Profile) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "netbreath", "--bin", "netbreath"]);
    if matches!(profile, Profile::Release) {
        cargo.arg("--release");
    }
    process::run(&mut cargo).context("netbreath did not build: see cargo's errors above")
}
