//! `cargo xtask check-load`: does this kernel's verifier take what it should take?

use std::ffi::OsStr;

use anyhow::{Context, Result, bail};

use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

pub fn start(workspace: &Workspace) -> Result<()> {
    setup::for_build(workspace)?;
    // Why debug: the tests want it too, and the kernel programs are the same in both.
    build::binary(workspace, Profile::Release)?;
    if !process::can_be_root() {
        bail!(
            "check-load: loading kernel programs needs root: run it as root, or where sudo works"
        );
    }
    let binary = workspace.binary(Profile::Release);
    let backtrace = ("RUST_BACKTRACE", OsStr::new("1"));
    process::run(process::as_root(binary.as_os_str(), &[backtrace]).args(["doctor", "--load-all"]))
        .context("check-load: a program was not loaded that this kernel should take")
}
