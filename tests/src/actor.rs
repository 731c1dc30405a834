//! A process of a scenario: takes steps from standard input and answers on standard
//! output. The test binary starts itself again for it, so that it is a process with
//! a memory, a name and a CPU of its own, and one static file is the whole suite.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::FromRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result, bail};

use crate::ledger::{Entry, Role};
use crate::socket::{self, Failed};
use crate::step::{Answer, Call, Family, Lane, MAIN, Order, Proto, Said, Step};

/// The argument that makes the test binary an actor: `--actor NAME CPU [AGAIN]`.
pub const ARGUMENT: &str = "--actor";

/// The further argument of an actor that another one became: it must say so.
const AGAIN: &str = "again";

/// Runs as an actor, if the arguments say so; returns whether they did.
pub fn run_if_asked() -> Result<bool> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(ARGUMENT) {
        return Ok(false);
    }
    let (Some(name), Some(cpu)) = (args.next(), args.next()) else {
        bail!("{ARGUMENT} needs a name and a CPU");
    };
    socket::name(&name);
    let cpu = cpu.parse().context("number of a CPU")?;
    if let Err(failed) = socket::pin(cpu) {
        bail!("cannot pin to CPU {cpu}: {failed:?}");
    }
    if args.next().as_deref() == Some(AGAIN) {
        say(MAIN, Said::Started { id: std::process::id() })?;
    }
    Process { lanes: HashMap::new() }.run(BufReader::new(std::io::stdin()))?;
    Ok(true)
}

/// How to reach a further task of this process.
enum Path {
    Thread(Sender<Step>),
    /// The write end of the worker's pipe.
    Worker(File),
}

struct Process {
    lanes: HashMap<Lane, Path>,
}

impl Process {
    fn run(mut self, orders: impl BufRead) -> Result<()> {
        for line in orders.lines() {
            let order: Order = serde_json::from_str(&line?).context("read an order")?;
            match (order.lane, order.step) {
                (MAIN, Step::Thread { lane, name }) => self.thread(lane, name)?,
                (MAIN, Step::Fork { lane, name }) => self.fork(lane, &name)?,
                (MAIN, step) => take(MAIN, step)?,
                (lane, step) => match self.lanes.get_mut(&lane) {
                    Some(Path::Thread(to)) => to.send(step).context("a thread is gone")?,
                    Some(Path::Worker(to)) => write_line(to, &step)?,
                    None => bail!("no lane {lane}"),
                },
            }
        }
        Ok(())
    }

    fn thread(&mut self, lane: Lane, name: String) -> Result<()> {
        let (to, steps): (Sender<Step>, Receiver<Step>) = channel();
        // Not std's own naming: the thread names itself, so the answer comes after.
        std::thread::spawn(move || -> Result<()> {
            socket::name(&name);
            say(lane, Said::Started { id: socket::tid() })?;
            for step in steps {
                take(lane, step)?;
            }
            Ok(())
        });
        self.lanes.insert(lane, Path::Thread(to));
        Ok(())
    }

    fn fork(&mut self, lane: Lane, name: &str) -> Result<()> {
        if self.lanes.values().any(|path| matches!(path, Path::Thread(_))) {
            bail!("a process with threads cannot fork workers");
        }
        let mut ends = [0; 2];
        // SAFETY: the kernel writes two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(std::io::Error::last_os_error()).context("pipe2");
        }
        // SAFETY: both descriptors are new and have no other owner.
        let (from, to) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
        // SAFETY: this process has one thread, so the child may go on as usual.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error()).context("fork"),
            0 => {
                socket::end_with_parent();
                socket::name(name);
                // The other workers must see the end of their pipes when the parent
                // goes, so no copy of the write ends may stay here.
                self.lanes.clear();
                drop(to);
                let done = worker(lane, from);
                std::process::exit(i32::from(done.is_err()));
            }
            _ => {
                self.lanes.insert(lane, Path::Worker(to));
                Ok(())
            }
        }
    }
}

fn worker(lane: Lane, from: impl Read) -> Result<()> {
    say(lane, Said::Started { id: std::process::id() })?;
    for line in BufReader::new(from).lines() {
        take(lane, serde_json::from_str(&line?).context("read a step")?)?;
    }
    Ok(())
}

fn take(lane: Lane, step: Step) -> Result<()> {
    let said = perform(lane, step)
        .unwrap_or_else(|Failed { call, errno }| Said::Failed { call: call.to_owned(), errno });
    say(lane, said)
}

/// One write for one line: the tasks of a process share the pipe, and a pipe keeps
/// short writes whole.
fn say(lane: Lane, said: Said) -> Result<()> {
    write_line(&mut std::io::stdout(), &Answer { lane, said })
}

fn write_line(to: &mut impl Write, value: &impl serde::Serialize) -> Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()?;
    Ok(())
}

fn perform(lane: Lane, step: Step) -> Result<Said, Failed> {
    match step {
        Step::Open { family, proto } => {
            let fd = socket::open(family, proto)?;
            entry(Role::Open, fd, socket::now()).map(Said::Entry)
        }
        Step::Bind { fd, at } => socket::bind(fd, at).map(done),
        Step::Listen { fd, backlog } => {
            let before = socket::now();
            socket::listen(fd, backlog)?;
            entry(Role::Listen, fd, before).map(Said::Entry)
        }
        Step::Connect { fd, to, wait } => connect(fd, to, wait).map(Said::Entry),
        Step::Accept { fd, call } => accept(fd, call).map(Said::Entry),
        Step::OpenUnix { kind } => {
            let before = socket::now();
            entry(Role::Open, socket::open_unix(kind)?, before).map(Said::Entry)
        }
        Step::PairUnix { kind } => {
            let before = socket::now();
            let [one, other] = socket::pair_unix(kind)?;
            Ok(Said::Pair(entry(Role::Open, one, before)?, entry(Role::Open, other, before)?))
        }
        Step::BindUnix { fd, name } => socket::bind_unix(fd, &name).map(done),
        Step::ConnectUnix { fd, name } => {
            let before = socket::now();
            socket::connect_unix(fd, &name)?;
            entry(Role::Connect, fd, before).map(Said::Entry)
        }
        Step::SendTo { fd, to, data, more } => socket::send_to(fd, to, &data, more).map(done),
        Step::ReceiveFrom { fd, named, peek } => {
            let (data, from) = socket::receive_from(fd, named, peek)?;
            Ok(Said::Datagram { data, from })
        }
        Step::Ask { port, bytes, count } => ask(lane, port, bytes, count).map(done),
        Step::Echo { fd, count } => {
            for _ in 0..count {
                let (data, from) = socket::receive_from(fd, true, false)?;
                socket::send_to(fd, from, &data, false)?;
            }
            Ok(Said::Done)
        }
        Step::Send { fd, bytes } => socket::send(fd, bytes).map(done),
        Step::Receive { fd, bytes } => socket::receive(fd, bytes).map(done),
        Step::Drain { fd } => {
            let (bytes, errno) = socket::drain(fd);
            Ok(Said::Drained { bytes, errno })
        }
        Step::Readable { fd } => socket::readable(fd).map(done),
        Step::Writable { fd } => socket::writable(fd).map(done),
        Step::ShutdownWrite { fd } => socket::shutdown_write(fd).map(done),
        Step::Close { fd } => socket::close(fd).map(done),
        Step::Abort { fd } => socket::abort(fd).map(done),
        Step::Deaf { fd, on } => socket::deaf(fd, on).map(done),
        Step::UserTimeout { fd, ms } => socket::user_timeout(fd, ms).map(done),
        Step::Option { fd, level, name, value } => {
            socket::set_option(fd, level, name, &value).map(done)
        }
        Step::Fetch { pid, fd } => Ok(Said::Fetched { fd: socket::fetch(pid, fd)? }),
        Step::Exec { program, name } => {
            // Still pinned, so the CPU is the same whatever it is called.
            let cpu = socket::cpus()?.first().copied().unwrap_or(0).to_string();
            let mut command = std::process::Command::new(program);
            let error = command.args([ARGUMENT, &name, &cpu, AGAIN]).exec();
            Err(Failed { call: "execve", errno: error.raw_os_error().unwrap_or(0) })
        }
        Step::User { uid } => socket::become_user(uid).map(done),
        Step::Serve { fd, call, count } => serve(lane, fd, call, count).map(done),
        Step::Burst { port, net, count } => burst(lane, port, net, count).map(done),
        // Only the first task of a process has threads and workers.
        Step::Thread { .. } | Step::Fork { .. } => {
            Err(Failed { call: "thread or fork in a further task", errno: 0 })
        }
    }
}

fn done((): ()) -> Said {
    Said::Done
}

fn connect(fd: i32, to: SocketAddr, wait: bool) -> Result<Entry, Failed> {
    let before = socket::now();
    let answer = socket::connect(fd, to, wait);
    let mut entry = entry(Role::Connect, fd, before)?;
    entry.remote = Some(to);
    if let Err(Failed { errno, .. }) = answer {
        entry.errno = Some(errno);
        // A kernel that takes the port away again must not look like one that
        // gave none.
        entry.local = entry.local.filter(|local| local.port() != 0);
    }
    Ok(entry)
}

fn accept(listener: i32, call: Call) -> Result<Entry, Failed> {
    let from = socket::cookie(listener)?;
    let before = socket::now();
    let fd = socket::accept(listener, call)?;
    let mut entry = entry(Role::Accept, fd, before)?;
    entry.listener = Some(from);
    Ok(entry)
}

fn entry(role: Role, fd: i32, before: i64) -> Result<Entry, Failed> {
    let after = socket::now();
    Ok(Entry {
        role,
        socket: socket::cookie(fd)?,
        inode: socket::inode(fd)?,
        fd,
        pid: std::process::id(),
        tid: socket::tid(),
        comm: comm(),
        uid: socket::uid(),
        netns: std::fs::metadata("/proc/self/ns/net").map_or(0, |space| space.ino()),
        proto: socket::proto(fd)?.to_owned(),
        family: socket::family(fd)?,
        local: socket::local(fd).ok(),
        remote: socket::remote(fd),
        errno: None,
        before,
        after,
        listener: None,
    })
}

/// The process's name, whichever of its threads asks.
fn comm() -> String {
    let comm = std::fs::read_to_string("/proc/self/comm").unwrap_or_default();
    comm.trim_end().to_owned()
}

fn serve(lane: Lane, fd: i32, call: Call, count: usize) -> Result<(), Failed> {
    for _ in 0..count {
        let entry = accept(fd, call)?;
        let fd = entry.fd;
        note(lane, entry)?;
        socket::drain(fd);
        socket::close(fd)?;
    }
    Ok(())
}

fn burst(lane: Lane, port: u16, net: u8, count: usize) -> Result<(), Failed> {
    for number in 0..count {
        let fd = socket::open(Family::V4, Proto::Tcp)?;
        let [high, low] = (number as u16 + 1).to_be_bytes();
        let to = SocketAddr::new(Ipv4Addr::new(127, net, high, low).into(), port);
        let entry = connect(fd, to, true)?;
        let errno = entry.errno;
        note(lane, entry)?;
        if let Some(errno) = errno {
            return Err(Failed { call: "connect", errno });
        }
        socket::send(fd, 16)?;
        socket::close(fd)?;
    }
    Ok(())
}

fn ask(lane: Lane, port: u16, bytes: usize, count: usize) -> Result<(), Failed> {
    let to = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    for _ in 0..count {
        let before = socket::now();
        let fd = socket::open(Family::V4, Proto::Udp)?;
        socket::send_to(fd, Some(to), &vec![b'.'; bytes], false)?;
        socket::receive_from(fd, false, false)?;
        let entry = entry(Role::Open, fd, before)?;
        socket::close(fd)?;
        note(lane, entry)?;
    }
    Ok(())
}

fn note(lane: Lane, entry: Entry) -> Result<(), Failed> {
    say(lane, Said::Entry(entry)).map_err(|_| Failed { call: "write to the scenario", errno: 0 })
}
