//! One boot under QEMU, with a hard time limit.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::console::Session;
use super::kernel::Kernel;

const QEMU: &str = "qemu-system-x86_64";
const QEMU_ARM64: &str = "qemu-system-aarch64";
/// A boot with KVM that works takes a second or two.
const TRIAL: Duration = Duration::from_secs(10);
/// Nothing can be wrong with us before init runs, so a panic there is tried again.
const BOOTS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    /// Emulation.
    Tcg,
}

impl Accelerator {
    /// How many of our CPUs a machine keeps busy: as many as it has.
    pub fn threads(self) -> usize {
        match self {
            Self::Kvm => 2,
            Self::Tcg => 1,
        }
    }
}

/// How long a machine may run, and where it writes.
pub struct Machine<'a> {
    pub kernel: &'a Kernel,
    pub initramfs: &'a Path,
    pub accelerator: Accelerator,
    pub limit: Duration,
    /// Keeps what the machine printed.
    pub folder: &'a Path,
}

/// What a machine did.
pub struct Ended {
    pub session: Session,
    /// What the kernel itself said.
    pub kernel_log: String,
    pub how: How,
}

#[derive(Debug)]
pub enum How {
    PoweredOff,
    OutOfTime(Duration),
    Panicked(String),
    Died(ExitStatus),
}

impl Machine<'_> {
    /// Boots until the boot itself does not panic: emulation is known for that.
    pub fn run(&self) -> Result<Ended> {
        let mut boot = 1;
        loop {
            let ended = self.boot()?;
            match &ended.how {
                How::Panicked(why) if ended.session.release.is_none() && boot < BOOTS => {
                    eprintln!(
                        "vm: {} panicked before our init ran ({why}): booting it again",
                        self.kernel.release
                    );
                    // Why no error: the log is for those who want to know why.
                    let _ =
                        fs::write(self.folder.join(format!("panic-{boot}.log")), &ended.kernel_log);
                    boot += 1;
                }
                _ => return Ok(ended),
            }
        }
    }

    fn boot(&self) -> Result<Ended> {
        let kernel_log = self.folder.join("kernel.log");
        let printed = self.folder.join("console.log");
        let mut console = File::create(&printed)
            .with_context(|| format!("cannot write {}", printed.display()))?;
        let mut child = self.command(&kernel_log).spawn().context("cannot run qemu")?;
        let deadline = Instant::now() + self.limit;
        let lines = lines(&mut child);
        let mut session = Session::default();
        let in_time = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    writeln!(console, "{line}")
                        .with_context(|| format!("cannot write {}", printed.display()))?;
                    session.line(&line);
                }
                Err(RecvTimeoutError::Disconnected) => break true,
                Err(RecvTimeoutError::Timeout) => break false,
            }
        };
        let status = end(&mut child, if in_time { deadline } else { Instant::now() })?;
        let kernel_log = fs::read(&kernel_log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .with_context(|| format!("cannot read {}", kernel_log.display()))?;
        let how = match (panic(&kernel_log), status) {
            (Some(why), _) if !session.is_over => How::Panicked(why.to_owned()),
            (_, None) => How::OutOfTime(self.limit),
            (_, Some(_)) if session.is_over => How::PoweredOff,
            (_, Some(status)) => How::Died(status),
        };
        Ok(Ended { session, kernel_log, how })
    }

    fn command(&self, kernel_log: &Path) -> Command {
        let mut command = machine(self.accelerator, self.kernel, kernel_log);
        if self.kernel.is_arm64() {
            // Its machine has one serial line of its own.
            command.args(["-chardev", "stdio,id=init", "-device", "pci-serial,chardev=init"]);
        } else {
            command.args(["-serial", "stdio"]);
        }
        command.arg("-initrd").arg(self.initramfs);
        command
    }
}

/// The machine without what it is to do: no network, no disk; its kernel writes to a file.
fn machine(accelerator: Accelerator, kernel: &Kernel, log: &Path) -> Command {
    let is_arm64 = kernel.is_arm64();
    let mut command = Command::new(if is_arm64 { QEMU_ARM64 } else { QEMU });
    match accelerator {
        // Why without pointer authentication as it is specified: emulating it takes most of the
        // time.
        _ if is_arm64 => {
            command.args(["-machine", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "1"]);
            command.args(["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"])
        }
        Accelerator::Kvm => command.args(["-accel", "kvm", "-cpu", "host", "-smp", "2"]),
        // Why one CPU: of several, each stands still for up to a tenth of a second while
        // another one runs, in the middle of a kernel program too, which no machine does
        // that does not suffer; and now and then one runs code as it was before another one
        // patched it, as attaching to functions does, and panics of that.
        Accelerator::Tcg => {
            command.args(["-accel", "tcg,thread=single", "-smp", "1"]);
            // Why counted: time goes by with what was done, a nanosecond an instruction, not
            // with what emulating it took. Else a slice of time is a few system calls long, and
            // kernels that may be interrupted everywhere change tasks in the middle of most
            // programs, which then are skipped for the other task; and what waits would wait.
            command.args(["-icount", "shift=0,sleep=off"]);
            // Why without erms and fsrm: the kernel would copy by one instruction, which is
            // emulated byte by byte.
            let mut cpu = "max,-erms,-fsrm".to_owned();
            // Why without cx16 there: emulated, that instruction now and then leaves garbage
            // in the flags, and its allocator panics of that. Not for all: without it, the
            // allocator of 6.18 and newer has no memory for programs' socket storage.
            if kernel.release.starts_with("6.12.") {
                cpu.push_str(",-cx16");
            }
            command.arg("-cpu").arg(cpu)
        }
    };
    let console = if is_arm64 { "ttyAMA0" } else { "ttyS0" };
    let mut serial = std::ffi::OsString::from("file:");
    serial.push(log);
    command
        .args(["-m", "1024", "-nographic", "-no-reboot", "-nic", "none", "-monitor", "none"])
        .arg("-serial")
        .arg(serial)
        .arg("-kernel")
        .arg(&kernel.image)
        // Why panic=-1: it reboots at once, and without reboots qemu then exits.
        .arg("-append")
        .arg(format!("console={console} loglevel=5 panic=-1 mitigations=off"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

/// Whether KVM runs a kernel: the device can be there and refuse, or pretend. So one is
/// booted until it panics, since it has nothing to run.
pub fn accelerator(kernel: &Kernel, folder: &Path) -> Accelerator {
    if !Path::new("/dev/kvm").exists() {
        return Accelerator::Tcg;
    }
    let log = folder.join("kvm-trial.log");
    let mut command = machine(Accelerator::Kvm, kernel, &log);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let ran = command
        .spawn()
        .ok()
        .and_then(|mut child| end(&mut child, Instant::now() + TRIAL).ok().flatten());
    let log = fs::read(&log).unwrap_or_default();
    if ran.is_some() && panic(&String::from_utf8_lossy(&log)).is_some() {
        eprintln!("vm: with KVM");
        Accelerator::Kvm
    } else {
        eprintln!("vm: KVM is there and does not work: emulating");
        Accelerator::Tcg
    }
}

/// What it prints, line by line, until it ends.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            // Why errors end it too: then the child's own end will tell.
            while output.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if sender.send(text).is_err() {
                    break;
                }
                line.clear();
            }
        });
    }
    receiver
}

/// Waits until it has ended, or ends it at the deadline: then None.
fn end(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().context("cannot wait for qemu")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill().context("cannot end qemu")?;
            child.wait().context("cannot wait for qemu")?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Why the kernel panicked, if it did.
fn panic(kernel_log: &str) -> Option<&str> {
    kernel_log
        .lines()
        .find_map(|line| line.split_once("Kernel panic - not syncing: "))
        .map(|(_, why)| why.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found() {
        let log = "[    1.0] fine\r\n[    1.1] Kernel panic - not syncing: Fatal exception\r\n";
        assert_eq!(panic(log), Some("Fatal exception"));
        assert_eq!(panic("[    1.0] fine\r\n"), None);
    }
}
