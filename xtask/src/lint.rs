//! `cargo xtask lint`: format and clippy, for the host's crates and for the kernel's.

use std::env::consts;

use anyhow::{Context, Result};

use crate::process;
use crate::setup;
use crate::workspace::Workspace;

pub fn start(workspace: &Workspace) -> Result<()> {
    setup::for_build(workspace)?;

    eprintln!("lint: format");
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))
        .context("the format differs: `cargo fmt --all` mends it")?;

    eprintln!("lint: clippy");
    process::run(workspace.cargo().args(["clippy", "--all-targets", "--", "-D", "warnings"]))
        .context("clippy found something: see above")?;

    if consts::OS == "linux" {
        eprintln!("lint: clippy, kernel programs");
        let kept = setup::rust_src::kept(workspace)?;
        let recipe = workspace.recipe(kept.as_deref());
        process::run(recipe.command("clippy").args(["--", "-D", "warnings"]))
            .context("clippy found something in the kernel programs: see above")?;
    }
    eprintln!("lint: clean");
    Ok(())
}
