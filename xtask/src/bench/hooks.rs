//! `cargo xtask bench hooks`: what each kernel program takes a call, and a connection.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};

use super::churn::{Churn, Load};
use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Connections over the loopback interface that are watched
    #[arg(long, default_value_t = 50_000)]
    connections: u64,
    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

const AT_MOST: Duration = Duration::from_secs(60);
const READY_WITHIN: Duration = Duration::from_secs(30);

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!("bench: tracing and network namespaces need root: start this as root");
    }
    let netbreath = match &args.binary {
        Some(binary) => binary.clone(),
        None => {
            setup::for_build(workspace)?;
            build::binary(workspace, Profile::Release)?;
            workspace.binary(Profile::Release)
        }
    };
    let load = Load { connections: args.connections, at_most: AT_MOST, rate: None };
    let churn = Churn::prepare(load)?;
    let (table, made) = measure(&netbreath, churn, &workspace.target)?;
    let rows = table.lines().filter_map(|line| row(line, made));
    println!("{made} connections; measuring itself takes some 20 ns of each call");
    println!(
        "{:<18}{:<18}{:>12}{:>12}{:>14}",
        "hook", "program", "calls/conn", "ns/call", "ns/conn"
    );
    for row in rows {
        println!("{row}");
    }
    Ok(())
}

/// What netbreath says in the end, and how many connections there were.
fn measure(netbreath: &Path, churn: Churn, folder: &Path) -> Result<(String, u64)> {
    let ready = folder.join(format!("bench-hooks-{}", std::process::id()));
    let mut command = Command::new(netbreath);
    command.args(["trace", "--costs", "--format", "jsonl", "--ready-file"]).arg(&ready);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child =
        command.spawn().with_context(|| format!("cannot run `{}`", process::shown(&command)))?;
    let begin = Instant::now();
    while !ready.exists() {
        if child.try_wait()?.is_some() || begin.elapsed() > READY_WITHIN {
            let _ = child.kill();
            bail!("netbreath was not ready within {} s", READY_WITHIN.as_secs());
        }
        thread::sleep(Duration::from_millis(1));
    }
    // Why ignored: it costs space only.
    let _ = fs::remove_file(&ready);
    let churned = churn.run();
    // SAFETY: it is our child, and it has not been waited for.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGINT) };
    let mut said = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_string(&mut said)?;
    }
    child.wait()?;
    Ok((said, churned?.connections))
}

/// A line of netbreath's table, by connection. Other processes have their part in it.
fn row(line: &str, connections: u64) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [hook, program, calls, each] = words[..] else { return None };
    let (calls, each): (u64, u64) = (calls.parse().ok()?, each.parse().ok()?);
    let share = calls as f64 / connections.max(1) as f64;
    // Why: what does not come with connections is not their cost.
    (share >= 0.1).then(|| {
        format!("{hook:<18}{program:<18}{share:>12.1}{each:>12}{:>14.0}", share * each as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_connections_is_counted_by_connection() {
        let line = "sock_state        nb_state_btf             100         250";
        let text = row(line, 10).expect("a row");
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words, ["sock_state", "nb_state_btf", "10.0", "250", "2500"]);
        assert_eq!(row(line, 10_000), None);
        assert_eq!(row("HOOK  PROGRAM  CALLS  NS/CALL", 10), None);
        assert_eq!(row("68 events, 0 lost, 0 gaps; 0 sockets still open", 10), None);
    }
}
