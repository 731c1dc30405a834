//! `cargo xtask bench top`: how long `netbreath top` takes for a screen, and how long a key
//! waits, with many connections and many events a second. The connections are in a network
//! namespace of their own, so are those that come and go; the screen is a pseudo-terminal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::churn::{self, Churn, TRANSITIONS};
use super::sockets::{Holding, Load};
use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Sockets that are open all the time
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(2..=200_000))]
    sockets: u32,
    /// Transitions a second that connections make which come and go
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(10..=200_000))]
    events: u32,
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Columns and lines of the screen
    #[arg(long, value_delimiter = ',', num_args = 2, default_values_t = [120, 40])]
    size: Vec<u16>,
    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!(
            "bench: network namespaces and kernel programs need root: start this as root, for \
             example with `sudo -E env PATH=\"$PATH\" cargo xtask bench top`"
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
    churn::own_network()?;
    let load = Load { sockets: args.sockets, processes: 10, files: 0 };
    let holding = Holding::start(&load)?;
    let rate = args.events / TRANSITIONS as u32;
    let at_most = Duration::from_secs(args.seconds);
    let connections = u64::from(rate) * args.seconds;
    println!(
        "{} sockets are open; {rate} connections a second, {} transitions, for {} s",
        args.sockets, args.events, args.seconds
    );
    println!(
        "{:<28}{:>8}{:>10}{:>10}{:>10}{:>12}{:>8}",
        "", "screens", "median", "99 %", "longest", "key waits", "lost"
    );
    for (name, keys) in [
        ("by age", ""),
        ("by process", "P"),
        ("filter :1", "/:1\r"),
        ("processes", "2"),
        ("events", "6"),
    ] {
        let churn = Churn::prepare(churn::Load { connections, at_most, rate: Some(rate) })?;
        let mut screen = Screen::start(&netbreath, (args.size[0], args.size[1]))?;
        screen.press(keys)?;
        let churned = churn.run()?;
        let report = screen.end()?;
        let number = |key: &str| report[key].as_f64().unwrap_or(f64::NAN);
        ensure!(number("frames") > 1.0, "the screen was drawn once at most: {report}");
        println!(
            "{name:<28}{:>8}{:>7.1} ms{:>7.1} ms{:>7.1} ms{:>9.1} ms{:>8}",
            number("frames"),
            number("median_ms"),
            number("p99_ms"),
            number("longest_ms"),
            number("turn_ms"),
            number("lost"),
        );
        println!(
            "{:<28}{:.0} connections a second; {:.0} % of a CPU, {:.0} MB",
            "",
            churned.rate(),
            number("cpu_s") * 100.0 / number("seconds"),
            number("memory_mb"),
        );
    }
    drop(holding);
    Ok(())
}

/// `netbreath top` on a pseudo-terminal.
struct Screen {
    child: std::process::Child,
    keys: File,
    reader: thread::JoinHandle<()>,
}

impl Screen {
    fn start(netbreath: &std::path::Path, (columns, lines): (u16, u16)) -> Result<Screen> {
        let size = libc::winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let (mut master, mut slave) = (0, 0);
        // SAFETY: two descriptors are written; the name and the settings are left out.
        let done = unsafe {
            libc::openpty(
                &raw mut master,
                &raw mut slave,
                std::ptr::null_mut(),
                std::ptr::null(),
                &raw const size,
            )
        };
        if done != 0 {
            return Err(io::Error::last_os_error()).context("no pseudo-terminal");
        }
        // SAFETY: new, and nobody else's.
        let (master, slave) =
            unsafe { (OwnedFd::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        let mut command = Command::new(netbreath);
        command
            .args(["top", "--frames"])
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .stdin(slave.try_clone().context("pseudo-terminal")?)
            .stdout(slave)
            .stderr(Stdio::piped());
        let terminal = master.as_raw_fd();
        // SAFETY: between fork and exec, system calls only.
        unsafe {
            command.pre_exec(move || {
                libc::close(terminal);
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().context("cannot start netbreath top")?;
        drop(command);
        let keys = File::from(master);
        let mut screen = keys.try_clone().context("pseudo-terminal")?;
        let (tell, told) = std::sync::mpsc::channel();
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; 64 * 1024];
            // It ends with the terminal.
            while let Ok(got) = screen.read(&mut bytes) {
                if got == 0 {
                    break;
                }
                let _ = tell.send(());
            }
        });
        // What it draws first comes when all is watched.
        told.recv_timeout(Duration::from_secs(60)).context("netbreath top draws nothing")?;
        Ok(Screen { child, keys, reader })
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        self.keys.write_all(keys.as_bytes()).context("cannot press a key")
    }

    fn end(mut self) -> Result<Value> {
        self.press("q")?;
        let mut said = String::new();
        let mut error = self.child.stderr.take().context("no standard error")?;
        error.read_to_string(&mut said).context("cannot read what netbreath said")?;
        let begin = Instant::now();
        let status = self.child.wait()?;
        ensure!(status.success() && begin.elapsed() < Duration::from_secs(5), "{status}: {said}");
        drop(self.keys);
        let _ = self.reader.join();
        let line = said.lines().find(|line| line.starts_with('{'));
        serde_json::from_str(line.context("netbreath top did not say how long it drew")?)
            .context("no JSON")
    }
}
