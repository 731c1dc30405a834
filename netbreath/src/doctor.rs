//! What this machine can give netbreath, and what it cannot.

use std::process::ExitCode;

use crate::cli::DoctorArgs;

/// Placeholder until the real one is merged.
pub fn run(_args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("doctor is not wired yet")
}
