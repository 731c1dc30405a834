//! The tracers that are compared: how each is started, when it is ready, what it says.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::churn;
use super::output::{self, Dialect};
use super::process_clock;
use crate::process;

pub struct Tracer {
    pub name: &'static str,
    /// Its names, the first one that is there counts; None is netbreath itself.
    commands: Option<&'static [&'static str]>,
    /// Debian's package.
    package: &'static str,
    args: &'static [&'static str],
    ready: Ready,
    losses: Losses,
    pub dialect: Dialect,
    /// What it has to write for each connection.
    pub events: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    /// It makes a file.
    File,
    /// It waits for events. Why not its first words: those stay in its buffer.
    Waits,
}

/// Where it says how many events were lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Losses {
    /// In its last line on stderr that is about it.
    Summary,
    /// On stderr, each time.
    Stderr,
    /// Among the events.
    Stdout,
}

pub const NETBREATH: Tracer = Tracer {
    name: "netbreath",
    commands: None,
    package: "",
    args: &["trace", "--format", "jsonl", "--event", "state"],
    ready: Ready::File,
    losses: Losses::Summary,
    dialect: Dialect::Events,
    events: churn::TRANSITIONS,
};

/// With all that a trace shows unless it is asked for less.
pub const NETBREATH_ALL: Tracer =
    Tracer { name: "netbreath, all events", args: &["trace", "--format", "jsonl"], ..NETBREATH };

pub const NETBREATH_FILTERED: Tracer = Tracer {
    name: "netbreath, filtered",
    // Why: nobody has port 1.
    args: &["trace", "--format", "jsonl", "--port", "1"],
    events: 0,
    ..NETBREATH
};

pub const TCPSTATES: Tracer = Tracer {
    name: "tcpstates",
    // Why two names: Debian 12 has the second one, later ones the first.
    commands: Some(&["tcpstates-libbpf", "tcpstates"]),
    package: "libbpf-tools",
    args: &[],
    ready: Ready::Waits,
    losses: Losses::Stderr,
    dialect: Dialect::Lines { header: "SKADDR" },
    events: churn::TRANSITIONS,
};

pub const TCPLIFE: Tracer = Tracer {
    name: "tcplife",
    commands: Some(&["tcplife-libbpf", "tcplife"]),
    dialect: Dialect::Lines { header: "PID " },
    // Why: a line for each of the two sockets, when it has closed.
    events: 2,
    ..TCPSTATES
};

pub const BPFTRACE: Tracer = Tracer {
    name: "bpftrace",
    commands: Some(&["bpftrace"]),
    package: "bpftrace",
    args: &[
        "-e",
        r#"tracepoint:sock:inet_sock_set_state { printf("%d %s %d %d\n", pid, comm, args->oldstate, args->newstate); }"#,
    ],
    ready: Ready::Waits,
    losses: Losses::Stdout,
    dialect: Dialect::Lines { header: "Attach" },
    events: churn::TRANSITIONS,
};

/// Why so long: bpftrace compiles first, maybe on a machine that is busy.
const READY_WITHIN: Duration = Duration::from_secs(30);
const END_WITHIN: Duration = Duration::from_secs(10);
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

impl Tracer {
    /// Whether it is another's.
    pub fn is_peer(&self) -> bool {
        self.commands.is_some()
    }

    /// Its program; Err says what to do to have it.
    pub fn program(&self, netbreath: &Path) -> Result<PathBuf, String> {
        let Some(commands) = self.commands else {
            return Ok(netbreath.to_owned());
        };
        let Some(program) = commands.iter().find_map(|name| process::find(name)) else {
            return Err(format!(
                "not run: there is no {}: install the package {}",
                commands.join(" or "),
                self.package
            ));
        };
        let tracefs = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
        if !tracefs.iter().any(|folder| Path::new(folder).join("events").is_dir()) {
            return Err("not run: it needs tracefs: mount -t tracefs tracefs /sys/kernel/tracing"
                .to_owned());
        }
        Ok(program)
    }

    /// Starts it, and returns when it is ready.
    pub fn start(&self, program: &Path, folder: &Path, stdout: Stdio) -> Result<Running> {
        let ready_file = folder.join("ready");
        forget(&ready_file)?;
        let mut command = Command::new(program);
        command.args(self.args);
        if self.ready == Ready::File {
            command.args([OsStr::new("--ready-file"), ready_file.as_os_str()]);
        }
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        let begin = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run `{}`", process::shown(&command)))?;
        let stderr = child.stderr.take().map(|pipe| {
            let losses = self.losses;
            thread::spawn(move || listen(pipe, losses))
        });
        let mut running = Running {
            name: self.name,
            says_losses: self.losses != Losses::Stdout,
            child,
            stderr,
            ready_after: Duration::ZERO,
            cpu_when_ready: Duration::ZERO,
        };
        while !match self.ready {
            Ready::File => ready_file.exists(),
            Ready::Waits => running.waits()?,
        } {
            running.is_alive()?;
            if begin.elapsed() > READY_WITHIN {
                bail!("{} was not ready within {} s", self.name, READY_WITHIN.as_secs());
            }
            thread::sleep(Duration::from_millis(1));
        }
        running.ready_after = begin.elapsed();
        running.is_alive()?;
        running.cpu_when_ready = running.cpu()?;
        forget(&ready_file)?;
        Ok(running)
    }
}

fn forget(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// A tracer at work. It is killed if nobody stops it.
pub struct Running {
    name: &'static str,
    says_losses: bool,
    child: Child,
    stderr: Option<JoinHandle<Heard>>,
    pub ready_after: Duration,
    cpu_when_ready: Duration,
}

/// What a tracer said on stderr.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    lost: u64,
    end: String,
}

/// What a tracer used since it was ready.
pub struct Used {
    pub cpu: Duration,
    pub memory: u64,
    /// Unknown if it says so on stdout only.
    pub lost: Option<u64>,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().context("the tracer has no pipe")
    }

    pub fn cpu(&self) -> Result<Duration> {
        process_clock::cpu(self.pid())
    }

    fn waits(&mut self) -> Result<bool> {
        match process_clock::sleeps_in(self.pid()) {
            Ok(function) => Ok(function.contains("epoll") || function.contains("ep_poll")),
            // Why: if it has ended, that is the error.
            Err(error) => self.is_alive().and(Err(error)),
        }
    }

    fn is_alive(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait()? else {
            return Ok(());
        };
        let heard = self.heard();
        bail!("{} ended too early ({status}): {}", self.name, heard.end)
    }

    fn heard(&mut self) -> Heard {
        self.stderr.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }

    /// Waits until it has nothing left to do.
    fn drain(&self) -> Result<()> {
        let step = Duration::from_millis(100);
        let begin = Instant::now();
        let mut before = self.cpu()?;
        while begin.elapsed() < DRAIN_WITHIN {
            thread::sleep(step);
            let now = self.cpu()?;
            // Why not zero: some look around ten times a second.
            if now - before < step / 50 {
                return Ok(());
            }
            before = now;
        }
        Ok(())
    }

    /// Lets it finish, and ends it.
    pub fn stop(mut self) -> Result<Used> {
        self.is_alive()?;
        self.drain()?;
        let cpu = self.cpu()? - self.cpu_when_ready;
        let memory = process_clock::peak_memory(self.pid())?;
        let status = self.interrupt()?;
        let heard = self.heard();
        // Why 130 too: it is netbreath's answer to an interrupt.
        if !status.success() && status.code() != Some(130) {
            bail!("{} failed ({status}): {}", self.name, heard.end);
        }
        Ok(Used { cpu, memory, lost: self.says_losses.then_some(heard.lost) })
    }

    fn interrupt(&mut self) -> Result<ExitStatus> {
        // SAFETY: it is our child, and it has not been waited for.
        if unsafe { libc::kill(self.pid().cast_signed(), libc::SIGINT) } != 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("cannot interrupt {}", self.name));
        }
        let begin = Instant::now();
        while begin.elapsed() < END_WITHIN {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("{} did not end within {} s of SIGINT", self.name, END_WITHIN.as_secs())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Why ignored: it has ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(pipe: ChildStderr, losses: Losses) -> Heard {
    let mut heard = Heard::default();
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        heard.line(line, losses);
    }
    heard
}

impl Heard {
    fn line(&mut self, line: String, losses: Losses) {
        if let Some(lost) = output::lost(&line) {
            match losses {
                Losses::Summary => self.lost = lost,
                Losses::Stderr => self.lost += lost,
                Losses::Stdout => {}
            }
        }
        if !line.trim().is_empty() {
            self.end = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(lines: &[&str], losses: Losses) -> Heard {
        let mut heard = Heard::default();
        for line in lines {
            heard.line((*line).to_owned(), losses);
        }
        heard
    }

    #[test]
    fn losses_are_added_up() {
        let lines = ["lost 7 events on CPU #0!", "lost 5 events on CPU #1!", ""];
        let heard = heard(&lines, Losses::Stderr);
        assert_eq!(heard.lost, 12);
        assert_eq!(heard.end, "lost 5 events on CPU #1!");
    }

    #[test]
    fn a_summary_counts_once() {
        let lines = ["gap: 3 lost", "10 events, 3 lost, 1 gap; 0 still open"];
        assert_eq!(heard(&lines, Losses::Summary).lost, 3);
    }

    #[test]
    fn what_is_missing_is_named() {
        let tracer =
            Tracer { commands: Some(&["no-such-tracer"]), package: "its-package", ..TCPSTATES };
        let reason = tracer.program(Path::new("netbreath")).expect_err("no program");
        assert!(reason.contains("no-such-tracer") && reason.contains("its-package"));
        let own = NETBREATH.program(Path::new("netbreath"));
        assert_eq!(own, Ok(PathBuf::from("netbreath")));
    }
}
