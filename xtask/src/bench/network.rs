//! `cargo xtask bench network`: questions about many interfaces and routes, asked of the
//! classics and of netbreath by turns, in a network namespace of its own.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::statistic::median;
use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// How often each is asked
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How many interfaces there are (ends of veth pairs)
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=4000))]
    interfaces: u32,
    /// How many routes there are
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    routes: u32,
    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Questions that both understand.
const QUESTIONS: [&str; 9] = [
    "ip -j addr",
    "ip -j link",
    "ip -j -s link",
    "ip -j route",
    "ip -j route show table all",
    "ip -j neigh",
    "ifconfig -a",
    "netstat -i",
    "route -n",
];

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!(
            "bench: network namespaces need root: start this as root, for example with `sudo -E \
             env PATH=\"$PATH\" cargo xtask bench network`"
        );
    }
    let netbreath = match &args.binary {
        Some(binary) => {
            binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?
        }
        None => {
            setup::for_test(workspace)?;
            build::binary(workspace, Profile::Release)?;
            workspace.binary(Profile::Release)
        }
    };
    // Why here: it is for this process and those that it starts, and nothing follows.
    // SAFETY: takes no pointers.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot make a network namespace");
    }
    eprintln!("bench: {} interfaces, {} routes", args.interfaces, args.routes);
    fill(workspace, args)?;
    print!("{}", measure(&netbreath, args.rounds)?);
    Ok(())
}

/// Makes the interfaces, with an address each on one end of each pair, and the routes.
fn fill(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut lines = String::from("link set lo up\n");
    let pairs = args.interfaces / 2;
    for i in 0..pairs {
        let (high, low) = (i / 250, i % 250);
        // Writing into a string cannot fail.
        let _infallible = write!(
            lines,
            "link add a{i} type veth peer name b{i}\nlink set a{i} up\nlink set b{i} up\n\
             addr add 10.{high}.{low}.1/24 dev a{i}\n\
             neigh add 10.{high}.{low}.2 lladdr 02:00:00:00:00:01 dev a{i}\n"
        );
    }
    for i in 0..args.routes {
        let (a, b, c) = (16 + i / 65_536, i / 256 % 256, i % 256);
        let _infallible = writeln!(lines, "route add 172.{a}.{b}.{c}/32 dev a{}", i % pairs);
    }
    let file = workspace.target.join(format!("bench-network-{}", std::process::id()));
    std::fs::write(&file, lines).with_context(|| format!("cannot write {}", file.display()))?;
    let done = process::run(Command::new("ip").arg("-batch").arg(&file));
    // Why no error: it costs space only.
    let _ = std::fs::remove_file(&file);
    done
}

fn measure(netbreath: &Path, rounds: u32) -> Result<String> {
    let mut table = format!(
        "Median of {rounds} rounds, each asked by turns; milliseconds from start to end, output \
         thrown away.\n\n{:<28} {:>9} {:>9} {:>6}\n",
        "question", "classic", "netbreath", "ratio"
    );
    for question in QUESTIONS {
        let words: Vec<&str> = question.split(' ').collect();
        let (mut classic, mut ours, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let theirs = time(Command::new(words[0]).args(&words[1..]))?;
            let mine = time(Command::new(netbreath).args(&words))?;
            classic.push(theirs);
            ours.push(mine);
            ratios.push(mine / theirs);
        }
        let show = |values: &[f64]| median(values).map_or(0.0, |seconds| seconds * 1e3);
        let ratio = median(&ratios).unwrap_or(0.0);
        let (classic, ours) = (show(&classic), show(&ours));
        let _infallible = writeln!(table, "{question:<28} {classic:>9.1} {ours:>9.1} {ratio:>6.2}");
    }
    table.push_str("\nratio: the median of the rounds' own; 1.00 is as fast, less is faster.\n");
    Ok(table)
}

fn time(command: &mut Command) -> Result<f64> {
    let shown = process::shown(command);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let begin = Instant::now();
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    let time = begin.elapsed().as_secs_f64();
    ensure!(status.success(), "`{shown}` failed: {status}");
    Ok(time)
}
