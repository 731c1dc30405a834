//! Getting what building and testing need. What is there is left alone, and costs
//! milliseconds; what is missing is got, and each step says so.

pub mod apt;
mod linker;
mod package;
pub mod rust_src;

use std::env::consts;

use anyhow::Result;

use crate::workspace::Workspace;
use package::Purpose;

/// `cargo xtask setup`.
pub fn everything(workspace: &Workspace) -> Result<()> {
    for_test(workspace)?;
    eprintln!("setup: everything is there");
    Ok(())
}

pub fn for_build(workspace: &Workspace) -> Result<()> {
    // Why: kernel programs are built for Linux only.
    if consts::OS != "linux" {
        return Ok(());
    }
    package::require(&[Purpose::Build])?;
    rust_src::require(workspace)?;
    linker::require(workspace)
}

pub fn for_test(workspace: &Workspace) -> Result<()> {
    if consts::OS == "linux" {
        // Why first, and both at once: who has to install packages does it once.
        package::require(&[Purpose::Build, Purpose::Test])?;
    }
    for_build(workspace)
}

/// For another architecture.
pub fn for_cross(workspace: &Workspace) -> Result<()> {
    package::require(&[Purpose::Build, Purpose::Cross])?;
    for_build(workspace)
}

/// For a test VM of another architecture.
pub fn for_cross_vm(workspace: &Workspace) -> Result<()> {
    package::require(&[Purpose::Build, Purpose::Cross, Purpose::CrossVm, Purpose::Vm])?;
    for_build(workspace)
}

/// For the test VMs, beside what the tests themselves need.
pub fn for_vm(workspace: &Workspace) -> Result<()> {
    package::require(&[Purpose::Build, Purpose::Test, Purpose::Vm])?;
    for_build(workspace)
}
