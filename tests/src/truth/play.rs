//! The generator: one process of its own for each case, in a namespace of its own,
//! which forks whatever the case needs. Nothing here waits for the tracer but
//! [`Play::trace`].

use std::fs::OpenOptions;
use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::log::{self, Me, Socket, What, now, sys};
use crate::socket;
use crate::step::{Call, Family, Proto};

/// The arguments that make the test binary the generator of a case, and a program
/// that a case executes.
pub const PLAY: &str = "--truth";
pub const EXEC: &str = "--truth-exec";

/// Names the log file to the generator.
pub const LOG: &str = "NETBREATH_TRUTH_LOG";

/// Said by a generator instead of "ready".
pub const SKIP: &str = "skip ";

/// No process of a case lives longer, whatever hangs.
const ALARM: u32 = 60;

/// What the user of the server's end does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Both,
    ReadOnly,
    WriteOnly,
    Unused,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Mode::Both => "both",
            Mode::ReadOnly => "read",
            Mode::WriteOnly => "write",
            Mode::Unused => "unused",
        }
    }

    pub fn named(name: &str) -> Result<Mode> {
        let all = [Mode::Both, Mode::ReadOnly, Mode::WriteOnly, Mode::Unused];
        all.into_iter().find(|mode| mode.name() == name).context("no such mode")
    }
}

/// A text of this length goes each way: the client says whom it has called.
pub const TEXT: usize = 32;

pub struct Play {
    pub me: Me,
    /// Connections to make.
    pub count: usize,
    limit: Duration,
    deadline: Instant,
    cpus: Vec<usize>,
    children: Vec<i32>,
}

impl Play {
    pub fn start(count: usize, limit: Duration) -> Result<Play> {
        let path = std::env::var_os(LOG).context("no log was named")?;
        let file = OpenOptions::new().append(true).open(path).context("open the log")?;
        // SAFETY: takes no pointers; the file is open.
        ensure!(unsafe { libc::dup2(file.as_raw_fd(), log::FD) } == log::FD, "dup2 of the log");
        many_descriptors()?;
        socket::name("nb-generator");
        // SAFETY: takes no pointers.
        unsafe { libc::alarm(ALARM) };
        let cpus = socket::cpus().map_err(sys)?;
        ensure!(!cpus.is_empty(), "no CPU");
        let deadline = Instant::now() + limit;
        Ok(Play { me: Me::now()?, count, limit, deadline, cpus, children: Vec::new() })
    }

    /// The tracer starts here: what is older it finds, the rest it sees.
    pub fn trace(&mut self) -> Result<()> {
        say("ready")?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("wait for the tracer")?;
        ensure!(line == "go\n", "told {line:?}, not go");
        self.deadline = Instant::now() + self.limit;
        Ok(())
    }

    /// Whether there is time for another connection.
    pub fn has_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// A listener of this process.
    pub fn listen(&self) -> Result<(Socket, u16)> {
        listen(&self.me, 0, false)
    }

    /// Forks a process on the first CPU, which ends when the case does.
    pub fn server(&mut self, name: &str, work: impl FnOnce(&Me) -> Result<()>) -> Result<i32> {
        let child = fork(name, self.cpus[0], work)?;
        self.children.push(child);
        Ok(child)
    }

    /// Forks a process on the last CPU. It must be waited for.
    pub fn client(&self, name: &str, work: impl FnOnce(&Me) -> Result<()>) -> Result<i32> {
        fork(name, self.cpus[self.cpus.len() - 1], work)
    }

    /// All connections, from two processes; waits for their ends.
    pub fn clients(&self, port: u16, mode: Mode) -> Result<()> {
        let halves = [self.count / 2, self.count - self.count / 2];
        let mut clients = Vec::new();
        for (net, count) in (1..).zip(halves) {
            clients.push(self.client("nb-client", |me| {
                for number in 0..count {
                    if !self.has_time() {
                        break;
                    }
                    let c = connect(me, remote(net, number, port))?;
                    talk_as_client(me, &c, mode)?;
                }
                Ok(())
            })?);
        }
        for client in clients {
            wait(client)?;
        }
        Ok(())
    }

    /// Ends the servers.
    pub fn end(self) -> Result<()> {
        // A server has closed its last connection, or its client would still wait.
        // It may be on its way to its next call.
        std::thread::sleep(Duration::from_millis(20));
        for child in self.children {
            // SAFETY: takes no pointers; the child is not yet waited for.
            unsafe { libc::kill(child, libc::SIGTERM) };
            let status = wait_status(child)?;
            let ended = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGTERM;
            ensure!(ended || status == 0, "a server ended with status {status:#x}");
        }
        Ok(())
    }
}

pub fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

fn many_descriptors() -> Result<()> {
    let limit = libc::rlimit { rlim_cur: 16384, rlim_max: 16384 };
    // SAFETY: the kernel reads one rlimit.
    ensure!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0, "setrlimit");
    Ok(())
}

/// Forks; the child does its work and ends. The caller must have one thread.
pub fn fork(name: &str, cpu: usize, work: impl FnOnce(&Me) -> Result<()>) -> Result<i32> {
    // SAFETY: the process has one thread, so the child may go on as usual.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("fork"),
        0 => be_child(name, Some(cpu), work),
        child => Ok(child),
    }
}

/// The same on the CPU of the caller.
pub fn fork_here(name: &str, work: impl FnOnce(&Me) -> Result<()>) -> Result<i32> {
    // SAFETY: as above.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("fork"),
        0 => be_child(name, None, work),
        child => Ok(child),
    }
}

/// What the child of a fork does, to its end.
pub fn be_child(name: &str, cpu: Option<usize>, work: impl FnOnce(&Me) -> Result<()>) -> ! {
    socket::end_with_parent();
    // SAFETY: takes no pointers.
    unsafe { libc::alarm(ALARM) };
    socket::name(name);
    if let Some(cpu) = cpu {
        let _ = socket::pin(cpu);
    }
    let done = Me::now().and_then(|me| work(&me));
    if let Err(error) = &done {
        eprintln!("{name}: {error:#}");
    }
    // Not exit(): what the parent has buffered is the parent's.
    // SAFETY: takes no pointers.
    unsafe { libc::_exit(i32::from(done.is_err())) }
}

pub fn wait_status(child: i32) -> Result<i32> {
    let mut status = 0;
    // SAFETY: the kernel writes one number.
    if unsafe { libc::waitpid(child, &raw mut status, 0) } != child {
        return Err(std::io::Error::last_os_error()).context("waitpid");
    }
    Ok(status)
}

pub fn wait(child: i32) -> Result<()> {
    let status = wait_status(child)?;
    ensure!(status == 0, "a process of the case ended with status {status:#x}");
    Ok(())
}

/// Waits for the children that have ended, or for all.
pub fn reap(all: bool) -> Result<()> {
    loop {
        let mut status = 0;
        let how = if all { 0 } else { libc::WNOHANG };
        // SAFETY: the kernel writes one number.
        let child = unsafe { libc::waitpid(-1, &raw mut status, how) };
        if child <= 0 {
            return Ok(());
        }
        ensure!(status == 0, "a child ended with status {status:#x}");
    }
}

/// Another address for each connection: TIME_WAIT uses up the ports of one.
pub fn remote(net: u8, number: usize, port: u16) -> SocketAddr {
    let [high, low] = (number as u16 + 1).to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(127, net, high, low).into(), port)
}

pub fn listen(me: &Me, port: u16, reuse: bool) -> Result<(Socket, u16)> {
    let fd = socket::open(Family::V4, Proto::Tcp).map_err(sys)?;
    if reuse {
        let on = 1_i32;
        // SAFETY: the kernel reads one number.
        let done = unsafe {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_REUSEPORT);
            libc::setsockopt(fd, level, name, (&raw const on).cast(), 4)
        };
        ensure!(done == 0, "SO_REUSEPORT");
    }
    socket::bind(fd, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).map_err(sys)?;
    let before = now();
    socket::listen(fd, 4096).map_err(sys)?;
    let socket = Socket::of(fd)?;
    me.note(What::Listen, &socket, before)?;
    Ok((socket, socket.local.context("a listener has no address")?.port()))
}

pub fn connect(me: &Me, to: SocketAddr) -> Result<Socket> {
    let fd = socket::open(Family::V4, Proto::Tcp).map_err(sys)?;
    let before = now();
    socket::connect(fd, to, true).map_err(sys)?;
    let socket = Socket::of(fd)?;
    me.note(What::Connect, &socket, before)?;
    Ok(socket)
}

pub fn accept(me: &Me, listener: &Socket, call: Call) -> Result<Socket> {
    let before = now();
    let fd = socket::accept(listener.fd, call).map_err(sys)?;
    let socket = Socket::of(fd)?;
    me.note_from(What::Accept, &socket, Some(listener.cookie), before)?;
    Ok(socket)
}

/// Takes connections, one after the other, until the case ends.
pub fn serve(me: &Me, listener: &Socket, call: Call, mode: Mode) -> Result<()> {
    loop {
        talk(me, &accept(me, listener, call)?, mode)?;
    }
}

/// The server's side of a conversation. The server closes first, so that all its
/// later states come after its last read or write.
pub fn talk(me: &Me, socket: &Socket, mode: Mode) -> Result<()> {
    if matches!(mode, Mode::Both | Mode::ReadOnly) {
        hear(me, socket)?;
    }
    if matches!(mode, Mode::Both | Mode::WriteOnly) {
        tell(me, socket)?;
    }
    socket.close()
}

pub fn talk_as_client(me: &Me, socket: &Socket, mode: Mode) -> Result<()> {
    if matches!(mode, Mode::Both | Mode::ReadOnly) {
        tell(me, socket)?;
    }
    hear_all(me, socket)?;
    socket.close()
}

/// Which call reads or writes: there are many, and each must do.
fn turn() -> u32 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    TURN.fetch_add(1, Ordering::Relaxed) % 3
}

/// Writes the address of the other end.
pub fn tell(me: &Me, socket: &Socket) -> Result<()> {
    let text = text(socket.remote);
    let vector = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
    let before = now();
    // SAFETY: the range is `text`, which no call writes to.
    let done = unsafe {
        match turn() {
            0 => libc::write(socket.fd, text.as_ptr().cast(), text.len()),
            1 => libc::send(socket.fd, text.as_ptr().cast(), text.len(), libc::MSG_NOSIGNAL),
            _ => libc::writev(socket.fd, &raw const vector, 1),
        }
    };
    if done != TEXT as isize {
        return Err(std::io::Error::last_os_error()).context("write");
    }
    me.note(What::Io, socket, before)
}

pub fn text(remote: Option<SocketAddr>) -> [u8; TEXT] {
    let mut text = [b' '; TEXT];
    let remote = remote.map_or_else(String::new, |remote| remote.to_string());
    text[..remote.len()].copy_from_slice(remote.as_bytes());
    text
}

/// Reads one text. It comes in one piece.
pub fn hear(me: &Me, socket: &Socket) -> Result<()> {
    match read(me, socket)? {
        TEXT => Ok(()),
        other => bail!("read {other} bytes, not {TEXT}"),
    }
}

pub fn hear_all(me: &Me, socket: &Socket) -> Result<()> {
    while read(me, socket)? > 0 {}
    Ok(())
}

fn read(me: &Me, socket: &Socket) -> Result<usize> {
    let mut data = [0_u8; TEXT];
    let vector = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: TEXT };
    let before = now();
    // SAFETY: the kernel writes at most `TEXT` bytes into `data`.
    let done = unsafe {
        match turn() {
            0 => libc::read(socket.fd, data.as_mut_ptr().cast(), TEXT),
            1 => libc::recv(socket.fd, data.as_mut_ptr().cast(), TEXT, 0),
            _ => libc::readv(socket.fd, &raw const vector, 1),
        }
    };
    let Ok(done) = usize::try_from(done) else {
        return Err(std::io::Error::last_os_error()).context("read");
    };
    me.note(What::Io, socket, before)?;
    Ok(done)
}

/// Looks at what is there to read and leaves it.
pub fn peek(me: &Me, socket: &Socket) -> Result<()> {
    let mut data = [0_u8; TEXT];
    let before = now();
    // SAFETY: the kernel writes at most `TEXT` bytes into `data`.
    let done =
        unsafe { libc::recv(socket.fd, data.as_mut_ptr().cast(), data.len(), libc::MSG_PEEK) };
    if done <= 0 {
        return Err(std::io::Error::last_os_error()).context("recv(MSG_PEEK)");
    }
    me.note(What::Io, socket, before)
}

/// Lets processes through, one for each time it is opened. To be made before they
/// are forked.
#[derive(Clone, Copy, Debug)]
pub struct Gate {
    ends: [i32; 2],
}

impl Gate {
    pub fn new() -> Result<Gate> {
        let mut ends = [0; 2];
        // SAFETY: the kernel writes two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(std::io::Error::last_os_error()).context("pipe2");
        }
        Ok(Gate { ends })
    }

    pub fn open(self) -> Result<()> {
        // SAFETY: one byte.
        ensure!(
            unsafe { libc::write(self.ends[1], [0_u8].as_ptr().cast(), 1) } == 1,
            "open a gate"
        );
        Ok(())
    }

    pub fn pass(self) -> Result<()> {
        let mut byte = [0_u8];
        // SAFETY: one byte.
        let done = unsafe { libc::read(self.ends[0], byte.as_mut_ptr().cast(), 1) };
        ensure!(done == 1, "pass a gate");
        Ok(())
    }

    pub fn close(self) {
        for end in self.ends {
            // SAFETY: the descriptor is ours and used no more.
            unsafe { libc::close(end) };
        }
    }
}

/// Time for what is on its way between two processes of the case.
pub fn settle() -> Result<()> {
    std::thread::sleep(Duration::from_millis(300));
    Ok(())
}
