//! How fast a recording is read: into tables, and into each format.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::build::{self, Profile};
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Events in the recording
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,

    /// How often each is measured; the median is shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

const VIEWS: [(&str, &[&str]); 5] = [
    ("into tables", &["netstat", "-tan"]),
    ("as text", &["trace", "-n"]),
    ("as csv", &["trace", "--format", "csv"]),
    ("as jsonl", &["trace", "--format", "jsonl"]),
    ("filtered", &["trace", "-n", "--lport", "1"]),
];

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    let binary = match &args.binary {
        Some(binary) => {
            binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?
        }
        None => {
            setup::for_build(workspace)?;
            build::binary(workspace, Profile::Release)?;
            workspace.binary(Profile::Release)
        }
    };
    let folder = std::env::temp_dir().join(format!("netbreath-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).context("cannot make a folder for the recording")?;
    let measured = measure(&binary, &folder, args);
    // Why ignored: a folder that stays is no wrong result.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn measure(binary: &Path, folder: &Path, args: &Args) -> Result<()> {
    let plain = folder.join("events.jsonl");
    let packed = folder.join("events.jsonl.zst");
    write(&plain, args.events)?;
    let status = Command::new(binary)
        .args(["trace", "--count", &args.events.to_string(), "--replay"])
        .arg(&plain)
        .arg("--record")
        .arg(&packed)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "cannot compress the recording: {status}");
    let size = |path: &Path| path.metadata().map(|meta| meta.len()).unwrap_or(0);
    println!("{} events, {} bytes, {} compressed", args.events, size(&plain), size(&packed));
    // Beside other load, only the time on the CPU tells something.
    println!("{:<24}{:>12}{:>12}{:>16}{:>12}", "", "seconds", "CPU", "events/CPU s", "MiB");
    for (file, kind) in [(&plain, "plain"), (&packed, "zst")] {
        for (name, view) in VIEWS {
            let mut rounds = Vec::new();
            for _ in 0..args.rounds.max(1) {
                rounds.push(round(binary, file, view)?);
            }
            rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (cpu, seconds, memory) = rounds[rounds.len() / 2];
            let rate = args.events as f64 / cpu;
            let title = format!("{kind} {name}");
            println!("{title:<24}{seconds:>12.2}{cpu:>12.2}{rate:>16.0}{memory:>12.1}");
        }
    }
    Ok(())
}

/// Seconds of CPU, seconds, and the most memory that it had, in MiB.
fn round(binary: &Path, file: &Path, view: &[&str]) -> Result<(f64, f64, f64)> {
    let mut command = Command::new(binary);
    command.arg("replay").arg(file).args(view).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let begin = Instant::now();
    let child = command.spawn().context("cannot run netbreath")?;
    let pid = i32::try_from(child.id())?;
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both places are ours, and the child is waited for here alone.
    let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
    let seconds = begin.elapsed().as_secs_f64();
    ensure!(waited == pid, "cannot wait for netbreath: {}", std::io::Error::last_os_error());
    // 1: a filter has left nothing.
    ensure!(matches!(libc::WEXITSTATUS(status), 0 | 1), "netbreath ended with {status}");
    // SAFETY: all zero is a value, and the kernel has filled it.
    let usage = unsafe { usage.assume_init() };
    let time = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    Ok((cpu, seconds, usage.ru_maxrss as f64 / 1024.0))
}

/// Connections one after the other, a hundred open at once: what a busy host records.
fn write(path: &Path, events: u64) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).context("cannot write the recording")?);
    writeln!(out, r#"{{"at":1000000000,"event":"clock","via":"timer","boot":1000000000}}"#)?;
    let lives = [
        ("CLOSE", "SYN_SENT"),
        ("SYN_SENT", "ESTABLISHED"),
        ("ESTABLISHED", "FIN_WAIT1"),
        ("FIN_WAIT1", "FIN_WAIT2"),
        ("FIN_WAIT2", "TIME_WAIT"),
        ("TIME_WAIT", "CLOSE"),
    ];
    for number in 0..events.saturating_sub(1) {
        let round = number / 600;
        let (old, new) = lives[(number % 600 / 100) as usize];
        let socket = 1 + round * 100 + number % 100;
        let port = 32_768 + socket % 28_000;
        let program = socket % 23;
        writeln!(
            out,
            "{{\"at\":{},\"event\":\"state\",\"via\":\"kernel\",\"socket\":\"{socket}\",\
             \"proto\":\"tcp\",\"family\":4,\"local\":\"10.0.0.1:{port}\",\
             \"remote\":\"10.{}.{}.7:443\",\"old\":\"{old}\",\"new\":\"{new}\",\
             \"in_state_ns\":{},\"owner\":{{\"pid\":{},\"comm\":\"client-{program}\",\
             \"exe\":\"/usr/bin/client-{program}\",\"uid\":1000,\"how\":\"connect\"}},\
             \"netns\":4026531833,\"cgroup\":\"/system.slice/client-{program}.service\",\
             \"born\":true}}",
            1_000_001_000 + number * 2_000,
            socket % 200,
            socket % 250,
            number * 17 % 1_000_000,
            1000 + program,
        )?;
    }
    out.flush().context("cannot write the recording")
}
