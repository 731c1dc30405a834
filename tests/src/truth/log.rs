//! What every process of a truth case writes down about itself: one line for each
//! call that makes it the user of a socket, with the two moments that the call lies
//! between, on the clock that the kernel's records carry.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::socket::{self, Failed};

/// The descriptor of the log in every process of a case. It outlives exec.
pub const FD: i32 = 100;

/// Names to an exec'd process what it was called before.
pub const WAS: &str = "NETBREATH_TRUTH_WAS";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    Listen,
    Connect,
    /// accept() or accept4().
    Accept,
    /// Accepted by io_uring, which no accept call tells about.
    RingAccept,
    /// Got the socket from another process, and has not used it.
    Hold,
    /// Read from it or wrote to it.
    Io,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Act {
    pub what: What,
    /// In the namespace of /proc, which is the tracer's.
    pub pid: u32,
    pub comm: String,
    /// The name before the process's exec, if it had one.
    pub was: Option<String>,
    /// `SO_COOKIE`; 0 where the process has no descriptor to ask.
    pub socket: u64,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    pub listener: Option<u64>,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub before: i64,
    pub after: i64,
}

/// A socket of this process.
#[derive(Clone, Copy, Debug)]
pub struct Socket {
    pub fd: i32,
    pub cookie: u64,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
}

impl Socket {
    pub fn of(fd: i32) -> Result<Socket> {
        let cookie = socket::cookie(fd).map_err(sys)?;
        Ok(Socket { fd, cookie, local: socket::local(fd).ok(), remote: socket::remote(fd) })
    }

    pub fn close(self) -> Result<()> {
        socket::close(self.fd).map_err(sys)
    }
}

/// This process, as its lines name it. To be made anew after fork and exec.
#[derive(Clone, Debug)]
pub struct Me {
    pub pid: u32,
    pub comm: String,
    was: Option<String>,
}

impl Me {
    pub fn now() -> Result<Me> {
        // Not getpid(), which a pid namespace changes.
        let pid = std::fs::read_link("/proc/self").context("read /proc/self")?;
        let pid = pid.to_string_lossy().parse().context("pid in /proc/self")?;
        let comm = std::fs::read_to_string("/proc/self/comm").context("own name")?;
        let was = std::env::var(WAS).ok();
        Ok(Me { pid, comm: comm.trim_end().to_owned(), was })
    }

    pub fn note(&self, what: What, socket: &Socket, before: i64) -> Result<()> {
        self.note_from(what, socket, None, before)
    }

    pub fn note_from(
        &self,
        what: What,
        socket: &Socket,
        listener: Option<u64>,
        before: i64,
    ) -> Result<()> {
        self.note_between(what, socket, listener, before, now())
    }

    pub fn note_between(
        &self,
        what: What,
        socket: &Socket,
        listener: Option<u64>,
        before: i64,
        after: i64,
    ) -> Result<()> {
        let act = Act {
            what,
            pid: self.pid,
            comm: self.comm.clone(),
            was: self.was.clone(),
            socket: socket.cookie,
            local: socket.local,
            remote: socket.remote,
            listener,
            before,
            after,
        };
        let mut line = serde_json::to_vec(&act)?;
        line.push(b'\n');
        // One write for one line: the file is open for appending, so all processes
        // may write at once.
        // SAFETY: the range is `line`.
        let done = unsafe { libc::write(FD, line.as_ptr().cast(), line.len()) };
        if usize::try_from(done) != Ok(line.len()) {
            return Err(std::io::Error::last_os_error()).context("write to the log");
        }
        Ok(())
    }
}

/// All lines of a log.
pub fn read(text: &str) -> Result<Vec<Act>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("no act: {line}")))
        .collect()
}

/// Nanoseconds since boot.
pub fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

pub fn sys(Failed { call, errno }: Failed) -> anyhow::Error {
    anyhow!("{call}: {}", std::io::Error::from_raw_os_error(errno))
}

pub fn own_netns() -> Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/net").context("own network namespace")?.ino())
}
