//! `netbreath doctor`.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use netbreath::cli::DoctorArgs;
use netbreath::doctor;
use netbreath::doctor::Health;

use super::{Failure, PRIVILEGE, WRONG};

pub fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let (health, report) = match args {
        DoctorArgs { load_all: true, .. } => doctor::load_all(),
        DoctorArgs { rungs: true, .. } => doctor::rungs(),
        _ => doctor::examine(),
    };
    io::stdout().write_all(report.as_bytes()).context("cannot write the report")?;
    Ok(ExitCode::from(match health {
        Health::Works => 0,
        Health::NoPrivilege => PRIVILEGE,
        Health::Broken => WRONG,
    }))
}
