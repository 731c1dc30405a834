//! `cargo xtask test`: everything that can be tested here, and how much of it there was.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::summary::Counts;
use crate::vm;
use crate::workspace::Workspace;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    place: Option<Place>,
    /// Only tests whose names contain one of these
    names: Vec<String>,
}

#[derive(clap::Subcommand)]
enum Place {
    /// Run the tests that need root on other kernels, each in a virtual machine
    Vm(vm::Args),
}

/// Tells a test where the netbreath binary is.
const BINARY: &str = "NETBREATH_BIN";
/// Tells a test which file takes a line, `name: reason`, if it cannot have what it needs.
/// libtest then counts it as passed; we do not.
const SKIPS: &str = "NETBREATH_SKIPPED";

pub fn start(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let counts = match &args.place {
        None => count(workspace, &args.names)?,
        Some(Place::Vm(args)) => vm::count(workspace, args)?,
    };
    println!("{counts}");
    Ok(if counts.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub fn count(workspace: &Workspace, names: &[String]) -> Result<Counts> {
    setup::for_test(workspace)?;
    let skips = workspace.target.join("skipped-tests");
    forget(&skips)?;
    // Why before the tests: they run the binary, and cargo builds it for its own package's
    // tests only. Optimized: the scenarios are loads, and judge what is lost under them.
    build::binary(workspace, Profile::Release)?;

    let mut counts = without_root(workspace, names, &skips)?;
    counts += with_root(workspace, names, &skips)?;

    let skipped = read(&skips)?;
    for line in &skipped {
        println!("skipped: {line}");
    }
    counts.were_skipped(skipped.len());
    // With names, somebody looks for something here.
    if names.is_empty() {
        eprintln!("test: on other kernels");
        counts += vm::count_or_skip(workspace)?;
    }
    Ok(counts)
}

fn without_root(workspace: &Workspace, names: &[String], skips: &Path) -> Result<Counts> {
    eprintln!("test: without root");
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--no-fail-fast"]);
    for package in ["netbreath", "netbreath-common", "xtask"] {
        cargo.args(["--package", package]);
    }
    cargo.arg("--").args(names);
    cargo.env(BINARY, workspace.binary(Profile::Release));
    cargo.env(SKIPS, skips);
    counted(&mut cargo)
}

fn with_root(workspace: &Workspace, names: &[String], skips: &Path) -> Result<Counts> {
    eprintln!("test: with root");
    let (package, folder) = workspace.tests();
    let suites = match suites(workspace, package) {
        Ok(suites) => suites,
        Err(error) => {
            eprintln!("test: {error:#}");
            return Ok(Counts::ONE_FAILED);
        }
    };
    if !process::can_be_root() {
        eprintln!(
            "test: {} suites SKIPPED: they need root, and sudo does not work here",
            suites.len()
        );
        return Ok(Counts { skipped: suites.len(), ..Counts::default() });
    }
    let binary = workspace.binary(Profile::Release);
    let variables = [
        (BINARY, binary.as_os_str()),
        (SKIPS, skips.as_os_str()),
        ("RUST_BACKTRACE", OsStr::new("1")),
    ];
    let mut counts = Counts::default();
    for suite in suites {
        eprintln!("test: {}", suite.name);
        let mut command = process::as_root(suite.executable.as_os_str(), &variables);
        command.args(names).current_dir(&folder);
        counts += counted(&mut command)?;
    }
    Ok(counts)
}

/// Runs tests, shows what they print while they print it, and counts.
fn counted(command: &mut Command) -> Result<Counts> {
    let shown = process::shown(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let mut counts = Counts::default();
    if let Some(output) = child.stdout.take() {
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        while output.read_until(b'\n', &mut line)? > 0 {
            stdout().write_all(&line)?;
            if let Some(more) = Counts::of_line(&String::from_utf8_lossy(&line)) {
                counts += more;
            }
            line.clear();
        }
    }
    let status = child.wait()?;
    if !status.success() && counts.failed == 0 {
        // Why: what did not compile, or crashed, printed no result.
        eprintln!("test: `{shown}` failed without a result: {status}");
        counts.failed += 1;
    }
    stdout().flush()?;
    Ok(counts)
}

pub struct Suite {
    pub name: String,
    pub executable: PathBuf,
    /// Not one of unit tests: a file of its own in the folder `tests`.
    pub is_integration: bool,
}

pub fn suites(workspace: &Workspace, package: &str) -> Result<Vec<Suite>> {
    let mut cargo = workspace.cargo();
    cargo.arg("test");
    built(cargo, package)
}

/// What `cargo test` builds of a package.
pub fn built(mut cargo: Command, package: &str) -> Result<Vec<Suite>> {
    cargo
        .args(["--package", package, "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .stderr(stderr());
    let messages = process::answer(&mut cargo)
        .with_context(|| format!("the tests in {package} did not build: see above"))?;
    Ok(messages.lines().filter_map(suite).collect())
}

/// Out of one of cargo's messages, if it is about a finished test executable.
fn suite(message: &str) -> Option<Suite> {
    let message: Value = serde_json::from_str(message).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    Some(Suite {
        name: message["target"]["name"].as_str()?.to_owned(),
        executable: message["executable"].as_str()?.into(),
        is_integration: message["target"]["kind"][0] == "test",
    })
}

fn forget(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn read(file: &Path) -> Result<Vec<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_executables_are_found() {
        let message = r#"{"reason":"compiler-artifact","target":{"kind":["test"],"name":"owner"},
            "profile":{"test":true},"executable":"/target/debug/deps/owner-1"}"#;
        let suite = suite(message).expect("a suite");
        assert_eq!(suite.name, "owner");
        assert!(suite.is_integration);
        assert_eq!(suite.executable, Path::new("/target/debug/deps/owner-1"));
    }

    #[test]
    fn other_messages_are_no_suites() {
        for message in [
            "",
            r#"{"reason":"build-finished","success":true}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"x"},"profile":{"test":true},"executable":null}"#,
            r#"{"reason":"compiler-artifact","target":{"name":"x"},"profile":{"test":false},"executable":"/x"}"#,
        ] {
            assert!(suite(message).is_none(), "{message}");
        }
    }
}
