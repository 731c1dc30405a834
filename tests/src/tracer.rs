//! The tracer as its users run it: a program, its options, its output.

use std::fs::{self, File};
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::bpf;
use crate::event::{self, Event};
use crate::netns;
use crate::reference;
use crate::socket;

/// Names the binary to test.
pub const BIN: &str = "NETBREATH_BIN";

/// `NETBREATH_TRACER=bpftrace` puts an independent tracer in the place of ours: it
/// shows that the scenarios make the transitions that they say they make.
pub const TRACER: &str = "NETBREATH_TRACER";

/// Keeps what the tracers wrote, and says where.
pub const KEEP: &str = "NETBREATH_TESTS_KEEP";

/// Loading takes a fraction of a second; under emulation, many.
const READY: Duration = Duration::from_secs(60);
const END: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Netbreath,
    /// Knows transitions, but no owners, seeds or filters.
    Bpftrace,
}

impl Kind {
    pub fn chosen() -> Result<Kind> {
        match std::env::var(TRACER) {
            Err(_) => Ok(Kind::Netbreath),
            Ok(name) if name == "netbreath" => Ok(Kind::Netbreath),
            Ok(name) if name == "bpftrace" => Ok(Kind::Bpftrace),
            Ok(name) => bail!("{TRACER}={name}: not netbreath or bpftrace"),
        }
    }
}

/// The binary to test: the one that [`BIN`] names, or the newest build beside the
/// test binary. It is never built here.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(BIN) {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("{BIN}={}: no such file", path.display());
        }
        return Ok(path);
    }
    let own = std::env::current_exe().context("path of the test binary")?;
    // target/PROFILE/deps/kernel-HASH, or the same with a target's name before PROFILE.
    let target = own.ancestors().nth(3).unwrap_or(Path::new("/"));
    for profile in ["release", "debug"] {
        let path = target.join(profile).join("netbreath");
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!(
        "no netbreath in {}/release or /debug: build it (cargo xtask build), or name it with {BIN}",
        target.display()
    )
}

/// A tracer that runs.
pub struct Tracer {
    kind: Kind,
    child: Child,
    folder: PathBuf,
    command: String,
}

/// What it left behind.
#[derive(Debug, Default)]
pub struct Recording {
    pub events: Vec<Event>,
    pub command: String,
    /// What it said to its user.
    pub talk: String,
    /// How often its programs were not run, because an interrupt found them running
    /// on that CPU: such an event is lost without a trace in any buffer.
    pub misses: u64,
}

impl Tracer {
    /// Starts it and waits until it says that it is ready.
    /// `namespaces` is all that the reference looks at; netbreath looks at all there is.
    pub fn start(kind: Kind, filters: &[String], namespaces: &[u64]) -> Result<Tracer> {
        Tracer::start_in(None, kind, filters, namespaces)
    }

    /// The same inside a network namespace.
    pub fn start_in(
        netns: Option<RawFd>,
        kind: Kind,
        filters: &[String],
        namespaces: &[u64],
    ) -> Result<Tracer> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("netbreath-tests-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let mut command = match kind {
            Kind::Netbreath => {
                let mut command = Command::new(binary()?);
                command.args(["trace", "--format", "jsonl", "--ready-file"]);
                command.arg(folder.join("ready")).arg("-o").arg(folder.join("events.jsonl"));
                command.args(filters).stdout(Stdio::null());
                command
            }
            Kind::Bpftrace => {
                let mut command = Command::new("bpftrace");
                command.args(["-B", "line", "-e", &reference::program(namespaces)?]);
                // Its default loses events of a thousand connections at once.
                command.env("BPFTRACE_PERF_RB_PAGES", "2048");
                command.stdout(File::create(folder.join("lines"))?);
                command
            }
        };
        command.stdin(Stdio::null()).stderr(File::create(folder.join("talk"))?);
        // SAFETY: only a system call that is allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns.map_or(Ok(()), netns::enter)
            });
        }
        let text = format!("{command:?}");
        let child = command.spawn().with_context(|| format!("start {text}"))?;
        let mut tracer = Tracer { kind, child, folder, command: text };
        tracer.wait_until_ready()?;
        Ok(tracer)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY;
        loop {
            if self.is_ready()? {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("wait for the tracer")? {
                bail!("{} ended before it was ready: {status}\n{}", self.command, self.talk());
            }
            if Instant::now() > deadline {
                bail!("{} not ready in {READY:?}\n{}", self.command, self.talk());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn is_ready(&self) -> Result<bool> {
        match self.kind {
            Kind::Netbreath => Ok(self.folder.join("ready").exists()),
            Kind::Bpftrace => self.shows(&reference::mark()?, Duration::from_millis(200)),
        }
    }

    /// Whether bpftrace shows all the marks within the time.
    fn shows(&self, marks: &[String], limit: Duration) -> Result<bool> {
        let deadline = Instant::now() + limit;
        loop {
            let text = fs::read_to_string(self.folder.join("lines"))?;
            if marks.iter().all(|mark| text.lines().any(|line| line == mark)) {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end with SIGINT, as a user does, and reads what it wrote.
    pub fn stop(self) -> Result<Recording> {
        self.stop_and_read(|_| true)
    }

    /// The same, leaving lines unread that are about another network namespace:
    /// reading all of a churn would take longer than making it.
    pub fn stop_within(self, netns: u64) -> Result<Recording> {
        let own = format!("\"netns\":{netns}");
        self.stop_and_read(move |line| {
            let elsewhere = line.contains("\"netns\":") && !line.contains("\"netns\":null");
            !elsewhere || line.contains(&own)
        })
    }

    /// What it has written so far, but for a line that is not whole yet.
    pub fn told_so_far(&self) -> Result<Vec<Event>> {
        let text = fs::read_to_string(self.folder.join("events.jsonl")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        event::read(whole.lines())
    }

    fn stop_and_read(mut self, wanted: impl Fn(&str) -> bool) -> Result<Recording> {
        if self.kind == Kind::Bpftrace && !self.shows(&reference::mark()?, END)? {
            bail!("bpftrace did not show the last transitions in {END:?}");
        }
        let misses = self.misses()?;
        let pid = i32::try_from(self.child.id()).context("pid of the tracer")?;
        // SAFETY: takes no pointers; the child is ours and not yet waited for.
        unsafe { libc::kill(pid, libc::SIGINT) };
        let status = self.end()?;
        let talk = self.talk();
        let events = match self.kind {
            Kind::Netbreath => {
                if status.code() != Some(130) {
                    bail!("{} ended with {status}, not 130, after SIGINT\n{talk}", self.command);
                }
                let text = fs::read_to_string(self.folder.join("events.jsonl"))?;
                event::read(text.lines().filter(|line| wanted(line)))?
            }
            Kind::Bpftrace => {
                if !status.success() && status.signal().is_none() {
                    bail!("bpftrace: {status}\n{talk}");
                }
                reference::read(&fs::read_to_string(self.folder.join("lines"))?)?
            }
        };
        Ok(Recording { events, command: self.command.clone(), talk, misses })
    }

    /// The kernel's count.
    fn misses(&self) -> Result<u64> {
        let mut misses = 0;
        for id in bpf::ids_of(self.child.id(), bpf::Kind::Program)? {
            let (name, count) = bpf::program(id)?;
            // The first two stand in for each other, whether one has been is seen in the
            // events; the others tell nothing.
            let harmless = ["nb_state_btf", "nb_state_btf2", "nb_destroy_btf", "nb_destroy_raw"];
            if !harmless.contains(&name.as_str()) {
                misses += count;
            }
        }
        Ok(misses)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as it is, so that nobody reads the ring, or lets it go on.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context("pid of the tracer")?;
        let signal = if frozen { libc::SIGSTOP } else { libc::SIGCONT };
        // SAFETY: takes no pointers; the child is ours and not yet waited for.
        if unsafe { libc::kill(pid, signal) } != 0 {
            return Err(std::io::Error::last_os_error()).context("stop or continue the tracer");
        }
        // Before it has stopped it would still read.
        let deadline = Instant::now() + END;
        while frozen && !fs::read_to_string(format!("/proc/{pid}/stat"))?.contains(") T ") {
            if Instant::now() > deadline {
                bail!("{} does not stop", self.command);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("kill the tracer")?;
        self.child.wait().context("wait for the tracer that was killed")?;
        Ok(())
    }

    fn end(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + END;
        loop {
            if let Some(status) = self.child.try_wait().context("wait for the tracer")? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} still runs {END:?} after SIGINT\n{}", self.command, self.talk());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn talk(&self) -> String {
        fs::read_to_string(self.folder.join("talk")).unwrap_or_default()
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Does nothing to a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::env::var_os(KEEP).is_some() {
            eprintln!("kept {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
