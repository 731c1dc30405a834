//! PID 1 of the test VM: mounts what a distribution would, loads modules, runs commands
//! one by one, prints what became of them between plain markers, and powers off.

use std::ffi::{CString, c_int, c_ulong};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What the VM is to do, one line each: written by `cargo xtask test vm`.
const MODULES: &str = "/vm/modules";
const COMMANDS: &str = "/vm/commands";

/// Apart from the kernel's console: a kernel message in the middle of a line of ours
/// would spoil it.
const TERMINAL: &str = if cfg!(target_arch = "aarch64") { "/dev/ttyS0" } else { "/dev/ttyS1" };

/// Logs that a command leaves here are printed.
const LOGS: &str = "/tmp";
const SHOWN_OF_A_LOG: u64 = 64 * 1024;

/// Device, place, kind, options.
const MOUNTS: &[(&str, &str, &str, &str)] = &[
    ("proc", "/proc", "proc", ""),
    ("sysfs", "/sys", "sysfs", ""),
    ("devtmpfs", "/dev", "devtmpfs", ""),
    ("tmpfs", "/tmp", "tmpfs", "mode=1777"),
    ("tmpfs", "/run", "tmpfs", "mode=0755"),
    ("securityfs", "/sys/kernel/security", "securityfs", ""),
    ("debugfs", "/sys/kernel/debug", "debugfs", ""),
    ("tracefs", "/sys/kernel/tracing", "tracefs", ""),
    ("cgroup2", "/sys/fs/cgroup", "cgroup2", ""),
    ("bpf", "/sys/fs/bpf", "bpf", "mode=0700"),
];

fn main() {
    if std::process::id() != 1 {
        eprintln!("init: only for PID 1 of a test VM: it powers the machine off");
        std::process::exit(2);
    }
    if let Err(error) = session() {
        println!("\n@vm: error {error:#}");
    }
    println!("\n@vm: off");
    power_off();
}

fn session() -> Result<()> {
    let mut troubles = Vec::new();
    for (device, place, kind, options) in MOUNTS {
        if let Err(error) = mount(device, place, kind, options) {
            // Why go on: a scenario that needs it will say so, the others may run.
            troubles.push(format!("cannot mount {kind}: {error}"));
        }
    }
    take_terminal()?;
    println!("\n@vm: ready {}", read("/proc/sys/kernel/osrelease")?.trim());
    for path in read(MODULES)?.lines() {
        if let Err(error) = load_module(path) {
            troubles.push(format!("cannot load {path}: {error:#}"));
        }
    }
    if let Err(error) = bring_up(c"lo".to_bytes_with_nul()) {
        troubles.push(format!("cannot bring lo up: {error}"));
    }
    for trouble in troubles {
        println!("@vm: trouble {trouble}");
    }
    for line in read(COMMANDS)?.lines() {
        run(line)?;
    }
    Ok(())
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {path}"))
}

fn mount(device: &str, place: &str, kind: &str, options: &str) -> io::Result<()> {
    fs::create_dir_all(place)?;
    let [device, place, kind, options] =
        [device, place, kind, options].map(|text| CString::new(text).unwrap_or_default());
    let flags: c_ulong = 0;
    // SAFETY: all pointers are NUL-terminated strings that live until the call is over.
    let done = unsafe {
        libc::mount(device.as_ptr(), place.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    };
    errno(done)
}

/// Makes the second serial line our standard input, output and error.
fn take_terminal() -> Result<()> {
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .open(TERMINAL)
        .with_context(|| format!("cannot open {TERMINAL}"))?;
    // SAFETY: all zero is a valid termios, and both calls are given one.
    unsafe {
        let mut mode: libc::termios = mem::zeroed();
        if libc::tcgetattr(terminal.as_raw_fd(), &raw mut mode) == 0 {
            // Why: no echo, no carriage returns, and the highest rate.
            libc::cfmakeraw(&raw mut mode);
            libc::cfsetspeed(&raw mut mode, libc::B115200);
            libc::tcsetattr(terminal.as_raw_fd(), libc::TCSANOW, &raw const mode);
        }
    }
    for standard in 0..=2 {
        // SAFETY: replaces one of our standard descriptors with another open one.
        errno(unsafe { libc::dup2(terminal.as_raw_fd(), standard) })
            .context("cannot use the terminal")?;
    }
    Ok(())
}

fn load_module(path: &str) -> Result<()> {
    let file = File::open(path)?;
    let no_options = c"";
    // SAFETY: the descriptor is open and the options are a NUL-terminated string.
    let done = unsafe {
        libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), no_options.as_ptr(), 0 as c_int)
    };
    if done == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error().into())
}

fn bring_up(name: &[u8]) -> io::Result<()> {
    // SAFETY: socket has no preconditions.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    errno(socket)?;
    // SAFETY: just opened, and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: all zero is a valid ifreq.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is what this ioctl takes.
    errno(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

fn errno(done: c_int) -> io::Result<()> {
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs `name TAB seconds [TAB variable=value ...] TAB program [TAB argument ...]`; the
/// program's path is absolute.
fn run(line: &str) -> Result<()> {
    let mut words = line.split('\t').peekable();
    let (Some(name), Some(limit)) = (words.next(), words.next()) else {
        bail!("{COMMANDS} has a line without a name and a limit: {line}");
    };
    let mut variables = Vec::new();
    while let Some(variable) = words.next_if(|word| !word.starts_with('/'))
        && let Some(pair) = variable.split_once('=')
    {
        variables.push(pair);
    }
    let Some(program) = words.next() else {
        bail!("{COMMANDS} has a line without a command: {line}");
    };
    let limit =
        Duration::from_secs(limit.parse().with_context(|| format!("no time limit in {line}"))?);
    println!("\n@vm: run {name}");
    let mut command = Command::new(program);
    command
        .args(words)
        .env_clear()
        .envs([
            ("HOME", "/"),
            ("NETBREATH_BIN", "/bin/netbreath"),
            ("PATH", "/bin:/sbin:/usr/bin:/usr/sbin"),
            ("RUST_BACKTRACE", "1"),
        ])
        .envs(variables)
        // Why a group of its own: a command that is late is ended with all it has started.
        .process_group(0);
    let start = Instant::now();
    let ended = match command.spawn() {
        Ok(child) => wait(child.id() as libc::pid_t, limit),
        Err(error) => format!("not started: {error}"),
    };
    print_logs();
    println!("\n@vm: end {name} after {:.1} s: {ended}", start.elapsed().as_secs_f64());
    Ok(())
}

/// Waits for a child, and takes in the orphans that PID 1 inherits.
fn wait(child: libc::pid_t, limit: Duration) -> String {
    let deadline = Instant::now() + limit;
    loop {
        let mut status = 0;
        // SAFETY: writes one status.
        let ended = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        if ended == child {
            return if libc::WIFEXITED(status) {
                format!("exit {}", libc::WEXITSTATUS(status))
            } else {
                format!("signal {}", libc::WTERMSIG(status))
            };
        }
        if ended > 0 {
            continue;
        }
        if Instant::now() >= deadline {
            // SAFETY: kill has no preconditions; the group is the child's.
            unsafe { libc::kill(-child, libc::SIGKILL) };
            return format!("not done within {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What the verifier said, if it refused something: the loader leaves it in a file.
fn print_logs() {
    let logs = fs::read_dir(LOGS).into_iter().flatten().flatten().map(|entry| entry.path());
    for log in logs.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
        match end_of(&log) {
            Ok(text) => println!("\n{}:\n{text}", log.display()),
            Err(error) => println!("\n{}: {error}", log.display()),
        }
        // Why no error: it would only be printed once more.
        let _ = fs::remove_file(&log);
    }
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(SHOWN_OF_A_LOG)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn power_off() -> ! {
    // SAFETY: tcdrain and sync take no pointers, and reboot with this command none that
    // it reads. It does not come back.
    unsafe {
        libc::tcdrain(1);
        libc::sync();
        libc::reboot(libc::RB_POWER_OFF);
    }
    // Why: the end of PID 1 panics the kernel, and qemu then exits just as well.
    std::process::exit(1)
}
