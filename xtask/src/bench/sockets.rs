//! `cargo xtask bench sockets`: who holds which socket, asked of the classics and of
//! netbreath by turns, in a network namespace of its own with many sockets and many
//! processes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only these loads: sockets:processes, or files:processes with an f before it
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "20:4,1000:10,20000:50,100000:50,20000:1000,f100000:2000"
    )]
    loads: Vec<String>,
    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// What holds sockets, or files, until its standard input ends.
#[derive(clap::Args)]
pub struct Hold {
    #[arg(long)]
    sockets: u32,
    #[arg(long)]
    files: u32,
    #[arg(long)]
    port: u16,
}

/// A question, as the classic is asked and as netbreath is.
const QUESTIONS: [&str; 3] = ["ss -tanp", "netstat -anp", "lsof -nP -i"];
/// The one for many files.
const ONE_PORT: &str = "lsof -nP -i:PORT -sTCP:LISTEN";

pub(super) struct Load {
    pub(super) sockets: u32,
    pub(super) files: u32,
    pub(super) processes: u32,
}

impl Load {
    fn parse(typed: &str) -> Result<Load> {
        let (what, processes) = typed
            .split_once(':')
            .with_context(|| format!("{typed}: the form is SOCKETS:PROCESSES"))?;
        let processes: u32 = processes.parse().with_context(|| format!("{typed}: processes"))?;
        let (sockets, files) = match what.strip_prefix('f') {
            Some(files) => (2 * processes, files.parse().context("files")?),
            None => (what.parse().context("sockets")?, 0),
        };
        ensure!(processes > 0 && processes <= 4000, "{typed}: 1 to 4000 processes");
        ensure!(sockets <= 400_000 && files <= 400_000, "{typed}: at most 400000");
        Ok(Load { sockets, files, processes })
    }
}

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!(
            "bench: network namespaces need root: start this as root, for example with `sudo -E \
             env PATH=\"$PATH\" cargo xtask bench sockets`"
        );
    }
    let loads = args.loads.iter().map(|typed| Load::parse(typed)).collect::<Result<Vec<_>>>()?;
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
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
    ensure!(up.context("cannot run ip")?.success(), "cannot bring lo up");
    println!(
        "{:<28} {:>24} {:>10} {:>10} {:>7}",
        "load", "question", "classic", "netbreath", "ratio"
    );
    for load in &loads {
        print!("{}", measure(&netbreath, load, args.rounds)?);
        io::stdout().flush().context("cannot write")?;
    }
    Ok(())
}

/// Processes that hold what they were told to.
pub(super) struct Holding {
    children: Vec<Child>,
}

impl Holding {
    pub(super) fn start(load: &Load) -> Result<Holding> {
        let own = std::env::current_exe().context("cannot tell what this program is")?;
        let mut holding = Holding { children: Vec::new() };
        for number in 0..load.processes {
            let share = |all: u32| all / load.processes;
            let child = Command::new(&own)
                .args(["bench", "hold"])
                .args(["--sockets", &share(load.sockets).to_string()])
                .args(["--files", &share(load.files).to_string()])
                .args(["--port", &(PORT + u16::try_from(number).context("port")?).to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .context("cannot start a process that holds sockets")?;
            holding.children.push(child);
        }
        for child in &mut holding.children {
            let out = child.stdout.take().context("no output")?;
            let mut line = String::new();
            BufReader::new(out).read_line(&mut line).context("cannot read what it said")?;
            ensure!(line == "ready\n", "a process that holds sockets said {line:?}");
        }
        Ok(holding)
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        for child in &mut self.children {
            drop(child.stdin.take());
        }
        for child in &mut self.children {
            // Why ignored: it ends by itself, and nothing depends on how.
            let _ = child.wait();
        }
    }
}

/// The first of the ports on which they listen.
const PORT: u16 = 10_000;

pub fn hold(args: &Hold) -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for both calls.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
        }
    };
    if !raised {
        return Err(io::Error::last_os_error()).context("cannot raise the number of files");
    }
    // Each on an address of its own, so that ports are enough for all.
    let [high, low] = args.port.to_be_bytes();
    let listener =
        TcpListener::bind((Ipv4Addr::new(127, 1, high, low), args.port)).context("listen")?;
    let to = listener.local_addr().context("address")?;
    let mut sockets = Vec::new();
    for _ in 0..args.sockets.saturating_sub(1) / 2 {
        sockets.push(TcpStream::connect(to).context("connect")?);
        sockets.push(listener.accept().context("accept")?.0);
    }
    let mut files = Vec::new();
    for _ in 0..args.files {
        files.push(File::open("/dev/null").context("open /dev/null")?);
    }
    println!("ready");
    let mut line = String::new();
    // Ends when the pipe is closed.
    io::stdin().read_line(&mut line).context("cannot wait")?;
    Ok(())
}

fn measure(netbreath: &Path, load: &Load, rounds: u32) -> Result<String> {
    let holding = Holding::start(load)?;
    let mut text = String::new();
    let name = match load.files {
        0 => format!("{} sockets, {} processes", load.sockets, load.processes),
        files => format!("{files} files, {} processes", load.processes),
    };
    let one = ONE_PORT.replace("PORT", &(PORT + 1).to_string());
    let questions: Vec<&str> = match load.files {
        0 => QUESTIONS.to_vec(),
        _ => vec![&one],
    };
    for question in questions {
        let words: Vec<&str> = question.split(' ').collect();
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            theirs.push(once(Command::new(words[0]).args(&words[1..]))?);
            ours.push(once(Command::new(netbreath).args(&words))?);
        }
        let middle = |times: &[f64]| median(times).unwrap_or(f64::NAN);
        let (theirs, ours) = (middle(&theirs), middle(&ours));
        writeln!(
            text,
            "{name:<28} {question:>24} {:>7.1} ms {:>7.1} ms {:>6.1}x",
            theirs * 1e3,
            ours * 1e3,
            theirs / ours
        )?;
    }
    drop(holding);
    Ok(text)
}

/// Seconds from start to end of a command.
fn once(command: &mut Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    let took = begin.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(took)
}
