//! `cargo xtask build`: the binary, in the target folder.

use anyhow::{Context, Result};

use crate::cross::Target;
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Optimized, as `cargo xtask run` builds it
    #[arg(long)]
    release: bool,
    /// For another machine, such as aarch64-unknown-linux-gnu
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
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
    if let Some(target) = args.target.as_deref().map(Target::named).transpose()?.flatten() {
        setup::for_cross(workspace)?;
        for_target(workspace, profile, target)?;
        eprintln!("build: {}", target.binary(workspace, profile, "netbreath").display());
        return Ok(());
    }
    setup::for_build(workspace)?;
    binary(workspace, profile)?;
    eprintln!("build: {}", workspace.binary(profile).display());
    Ok(())
}

/// Builds the binary for another machine; everything it needs is there.
pub fn for_target(workspace: &Workspace, profile: Profile, target: Target) -> Result<()> {
    let mut cargo = target.cargo(workspace, "build")?;
    cargo.args(["--package", "netbreath", "--bin", "netbreath"]);
    if matches!(profile, Profile::Release) {
        cargo.arg("--release");
    }
    process::run(&mut cargo)
        .with_context(|| format!("netbreath did not build for {}", target.triple))
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
