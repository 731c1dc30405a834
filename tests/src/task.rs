//! The scenario's side of a process: starts it, tells it one step at a time and
//! waits for the answer, so that the order of all steps is the scenario's own.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::actor;
use crate::ledger::{Entry, Ledger};
use crate::netns::{self, Netns};
use crate::socket;
use crate::step::{Answer, Call, Family, Lane, MAIN, Order, Proto, Said, Step, UnixKind};

/// More than any step takes; a scenario that hangs says so instead.
const PATIENCE: Duration = Duration::from_secs(20);

/// One process, thread or forked worker that takes steps. Clones are the same task.
#[derive(Clone)]
pub struct Task {
    process: Rc<RefCell<Process>>,
    ledger: Rc<RefCell<Ledger>>,
    lane: Lane,
    /// The pid of a process or worker, the tid of a thread.
    pub id: u32,
}

struct Process {
    name: String,
    child: Child,
    /// `None` once the process was told to end.
    orders: Option<ChildStdin>,
    answers: ChildStdout,
    unread: Vec<u8>,
    /// Answers of tasks that nobody has asked for yet.
    waiting: HashMap<Lane, VecDeque<Said>>,
    lanes: Lane,
}

impl Drop for Process {
    fn drop(&mut self) {
        // A worker ends when its pipe does, a scenario that failed need not wait.
        drop(self.orders.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Task {
    /// Starts a process in `netns`, pinned to `cpu`.
    pub fn start(
        name: &str,
        cpu: usize,
        netns: &Netns,
        ledger: Rc<RefCell<Ledger>>,
    ) -> Result<Task> {
        let mut command = Command::new("/proc/self/exe");
        command.args([actor::ARGUMENT, name, &cpu.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let fd = netns.fd();
        // SAFETY: only system calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns::enter(fd)
            });
        }
        let mut child = command.spawn().with_context(|| format!("start {name}"))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{name} has no pipes");
        };
        let id = child.id();
        let process = Process {
            name: name.to_owned(),
            child,
            orders: Some(orders),
            answers,
            unread: Vec::new(),
            waiting: HashMap::new(),
            lanes: MAIN,
        };
        Ok(Task { process: Rc::new(RefCell::new(process)), ledger, lane: MAIN, id })
    }

    /// Starts a further thread of this process.
    pub fn thread(&self, name: &str) -> Result<Task> {
        self.further(|lane| Step::Thread { lane, name: name.to_owned() })
    }

    /// Forks a worker, which has every socket that this process has now.
    pub fn fork(&self, name: &str) -> Result<Task> {
        self.further(|lane| Step::Fork { lane, name: name.to_owned() })
    }

    fn further(&self, step: impl FnOnce(Lane) -> Step) -> Result<Task> {
        let lane = {
            let mut process = self.process.borrow_mut();
            process.lanes += 1;
            process.lanes
        };
        self.tell(step(lane))?;
        let mut task = Task { lane, ..self.clone() };
        match task.hear()? {
            Said::Started { id } => task.id = id,
            other => bail!("a new task said {other:?}"),
        }
        Ok(task)
    }

    pub fn open(&self, family: Family, proto: Proto) -> Result<Entry> {
        self.entry(Step::Open { family, proto })
    }

    pub fn bind(&self, socket: &Entry, at: SocketAddr) -> Result<()> {
        self.done(Step::Bind { fd: socket.fd, at })
    }

    /// A TCP listener at an address, on a port that the kernel chooses if it is 0.
    pub fn listen(&self, at: &str) -> Result<Entry> {
        let at: SocketAddr = at.parse().with_context(|| format!("{at:?} is no address"))?;
        let socket = self.open(family_of(at), Proto::Tcp)?;
        self.bind(&socket, at)?;
        self.listen_on(&socket)
    }

    pub fn listen_on(&self, socket: &Entry) -> Result<Entry> {
        let entry = self.entry(Step::Listen { fd: socket.fd, backlog: 4096 })?;
        self.ledger.borrow_mut().entries.push(entry.clone());
        Ok(entry)
    }

    /// A TCP connection that must succeed.
    pub fn connect(&self, to: SocketAddr) -> Result<Entry> {
        let socket = self.open(family_of(to), Proto::Tcp)?;
        let entry = self.connect_on(&socket, to)?;
        match entry.errno {
            None => Ok(entry),
            Some(errno) => bail!("connect to {to}: {}", message(errno)),
        }
    }

    /// Connects a socket; what the kernel answered is in the entry.
    pub fn connect_on(&self, socket: &Entry, to: SocketAddr) -> Result<Entry> {
        self.connecting(socket, to, true)
    }

    /// The same without waiting for the peer.
    pub fn start_connect_on(&self, socket: &Entry, to: SocketAddr) -> Result<Entry> {
        self.connecting(socket, to, false)
    }

    fn connecting(&self, socket: &Entry, to: SocketAddr, wait: bool) -> Result<Entry> {
        let entry = self.entry(Step::Connect { fd: socket.fd, to, wait })?;
        self.ledger.borrow_mut().entries.push(entry.clone());
        Ok(entry)
    }

    pub fn accept(&self, listener: &Entry, call: Call) -> Result<Entry> {
        self.start_accept(listener, call)?;
        self.accepted()
    }

    /// Enters the call; the connection may come later.
    pub fn start_accept(&self, listener: &Entry, call: Call) -> Result<()> {
        self.tell(Step::Accept { fd: listener.fd, call })
    }

    /// What the call that was entered gave.
    pub fn accepted(&self) -> Result<Entry> {
        let entry = self.hear_entry()?;
        self.ledger.borrow_mut().entries.push(entry.clone());
        Ok(entry)
    }

    /// A UNIX socket.
    pub fn open_unix(&self, kind: UnixKind) -> Result<Entry> {
        self.entry(Step::OpenUnix { kind })
    }

    /// Two UNIX sockets that are each other's ends.
    pub fn pair_unix(&self, kind: UnixKind) -> Result<(Entry, Entry)> {
        match self.ask(Step::PairUnix { kind })? {
            Said::Pair(one, other) => Ok((one, other)),
            other => bail!("asked for two sockets, {} said {other:?}", self.name()),
        }
    }

    /// Gives a UNIX socket a name: a path, or any after a NUL.
    pub fn bind_unix(&self, socket: &Entry, name: &str) -> Result<()> {
        self.done(Step::BindUnix { fd: socket.fd, name: name.to_owned() })
    }

    /// Connects a UNIX socket.
    pub fn connect_unix(&self, socket: &Entry, name: &str) -> Result<Entry> {
        self.entry(Step::ConnectUnix { fd: socket.fd, name: name.to_owned() })
    }

    /// Sends one datagram.
    pub fn send_to(&self, socket: &Entry, to: Option<SocketAddr>, data: &[u8]) -> Result<()> {
        self.done(Step::SendTo { fd: socket.fd, to, data: data.to_vec(), more: false })
    }

    /// Sends a part of a datagram.
    pub fn send_part(&self, socket: &Entry, to: Option<SocketAddr>, data: &[u8]) -> Result<()> {
        self.done(Step::SendTo { fd: socket.fd, to, data: data.to_vec(), more: true })
    }

    /// Reads one datagram: what is in it, and who sent it if that is asked for.
    pub fn receive_from(
        &self,
        socket: &Entry,
        named: bool,
    ) -> Result<(Vec<u8>, Option<SocketAddr>)> {
        self.datagram(Step::ReceiveFrom { fd: socket.fd, named, peek: false })
    }

    /// Looks at the next datagram and leaves it where it is.
    pub fn peek(&self, socket: &Entry) -> Result<(Vec<u8>, Option<SocketAddr>)> {
        self.datagram(Step::ReceiveFrom { fd: socket.fd, named: true, peek: true })
    }

    fn datagram(&self, step: Step) -> Result<(Vec<u8>, Option<SocketAddr>)> {
        match self.ask(step)? {
            Said::Datagram { data, from } => Ok((data, from)),
            other => bail!("asked for a datagram, {} said {other:?}", self.name()),
        }
    }

    /// Starts to send `count` datagrams, each from its own socket, and to read the answers.
    pub fn start_ask(&self, port: u16, bytes: usize, count: usize) -> Result<()> {
        self.tell(Step::Ask { port, bytes, count })
    }

    /// Starts to answer `count` datagrams.
    pub fn start_echo(&self, socket: &Entry, count: usize) -> Result<()> {
        self.tell(Step::Echo { fd: socket.fd, count })
    }

    pub fn send(&self, socket: &Entry, bytes: usize) -> Result<()> {
        self.done(Step::Send { fd: socket.fd, bytes })
    }

    pub fn receive(&self, socket: &Entry, bytes: usize) -> Result<()> {
        self.done(Step::Receive { fd: socket.fd, bytes })
    }

    /// Reads to the end; the error if the stream ended in one.
    pub fn drain(&self, socket: &Entry) -> Result<Option<i32>> {
        match self.ask(Step::Drain { fd: socket.fd })? {
            Said::Drained { errno, .. } => Ok(errno),
            other => bail!("asked to drain, {} said {other:?}", self.name()),
        }
    }

    pub fn readable(&self, socket: &Entry) -> Result<()> {
        self.done(Step::Readable { fd: socket.fd })
    }

    /// Waits until a connect() that was started is over.
    pub fn writable(&self, socket: &Entry) -> Result<()> {
        self.done(Step::Writable { fd: socket.fd })
    }

    pub fn shutdown_write(&self, socket: &Entry) -> Result<()> {
        self.done(Step::ShutdownWrite { fd: socket.fd })
    }

    pub fn close(&self, socket: &Entry) -> Result<()> {
        self.done(Step::Close { fd: socket.fd })
    }

    /// close() that resets the connection.
    pub fn abort(&self, socket: &Entry) -> Result<()> {
        self.done(Step::Abort { fd: socket.fd })
    }

    /// Makes the socket drop all that the network brings, or hear again.
    pub fn deaf(&self, socket: &Entry, on: bool) -> Result<()> {
        self.done(Step::Deaf { fd: socket.fd, on })
    }

    pub fn user_timeout(&self, socket: &Entry, ms: u32) -> Result<()> {
        self.done(Step::UserTimeout { fd: socket.fd, ms })
    }

    /// Sets a TCP option that is a number.
    pub fn tcp_option(&self, socket: &Entry, name: i32, value: i32) -> Result<()> {
        self.done(Step::Option { fd: socket.fd, level: libc::IPPROTO_TCP, name, value })
    }

    /// Takes a copy of a socket of another process: the same socket, here under a
    /// descriptor of this process.
    pub fn fetch(&self, socket: &Entry) -> Result<Entry> {
        match self.ask(Step::Fetch { pid: socket.pid, fd: socket.fd })? {
            Said::Fetched { fd } => Ok(Entry { fd, ..socket.clone() }),
            other => bail!("asked for a descriptor, {} said {other:?}", self.name()),
        }
    }

    /// Becomes another program; returns when that one takes steps.
    pub fn exec(&self, program: &Path, name: &str) -> Result<()> {
        let program = program.to_string_lossy().into_owned();
        match self.ask(Step::Exec { program, name: name.to_owned() })? {
            Said::Started { .. } => Ok(()),
            other => bail!("asked for another program, {} said {other:?}", self.name()),
        }
    }

    pub fn become_user(&self, uid: u32) -> Result<()> {
        self.done(Step::User { uid })
    }

    /// Starts to take `count` connections, each read to its end.
    pub fn start_serve(&self, listener: &Entry, call: Call, count: usize) -> Result<()> {
        self.tell(Step::Serve { fd: listener.fd, call, count })
    }

    /// Starts to make `count` connections to a port.
    pub fn start_burst(&self, port: u16, net: u8, count: usize) -> Result<()> {
        self.tell(Step::Burst { port, net, count })
    }

    /// The sockets of a service or burst that was started, when it is over.
    pub fn finish(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        loop {
            match self.hear()? {
                Said::Entry(entry) => entries.push(entry),
                Said::Done => break,
                other => bail!("{} said {other:?} after {} sockets", self.name(), entries.len()),
            }
        }
        self.ledger.borrow_mut().entries.extend(entries.iter().cloned());
        Ok(entries)
    }

    /// Ends the process as a crash does: SIGKILL.
    pub fn kill(&self) -> Result<()> {
        let mut process = self.process.borrow_mut();
        process.child.kill().context("kill an actor")?;
        process.child.wait().context("wait for an actor that was killed")?;
        Ok(())
    }

    /// Waits until the process or worker has ended, whether it was waited for or not.
    pub fn gone(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id));
            match stat.as_deref().map(|stat| stat.rsplit_once(')')) {
                Ok(Some((_, rest))) if !rest.starts_with(" Z") => {}
                _ => return Ok(()),
            }
            if Instant::now() > deadline {
                bail!("{} still runs after {PATIENCE:?}", self.name());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends the process in order.
    pub fn exit(&self) -> Result<()> {
        let mut process = self.process.borrow_mut();
        drop(process.orders.take());
        process.child.wait().context("wait for an actor")?;
        Ok(())
    }

    fn name(&self) -> String {
        format!("{}/{}", self.process.borrow().name, self.lane)
    }

    fn done(&self, step: Step) -> Result<()> {
        let text = format!("{step:?}");
        match self.ask(step)? {
            Said::Done => Ok(()),
            other => bail!("{text}: {} said {other:?}", self.name()),
        }
    }

    fn entry(&self, step: Step) -> Result<Entry> {
        self.tell(step)?;
        self.hear_entry()
    }

    fn hear_entry(&self) -> Result<Entry> {
        match self.hear()? {
            Said::Entry(entry) => Ok(entry),
            Said::Failed { call, errno } => {
                bail!("{}: {call}: {}", self.name(), message(errno))
            }
            other => bail!("asked for a socket, {} said {other:?}", self.name()),
        }
    }

    fn ask(&self, step: Step) -> Result<Said> {
        self.tell(step)?;
        self.hear()
    }

    fn tell(&self, step: Step) -> Result<()> {
        let mut process = self.process.borrow_mut();
        let mut line = serde_json::to_vec(&Order { lane: self.lane, step })?;
        line.push(b'\n');
        let Process { name, orders, .. } = &mut *process;
        let orders = orders.as_mut().with_context(|| format!("{name} has ended"))?;
        orders.write_all(&line).with_context(|| format!("tell {name}"))
    }

    fn hear(&self) -> Result<Said> {
        let mut process = self.process.borrow_mut();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(said) = process.waiting.entry(self.lane).or_default().pop_front() {
                return Ok(said);
            }
            process.read(deadline)?;
        }
    }
}

impl Process {
    /// Takes in what the process has written, waiting for it if need be.
    fn read(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut poll =
            libc::pollfd { fd: self.answers.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let ms = i32::try_from(left.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd.
        if unsafe { libc::poll(&raw mut poll, 1, ms) } == 0 {
            bail!("{} gave no answer in {PATIENCE:?}", self.name);
        }
        let mut chunk = [0; 16384];
        let len = self.answers.read(&mut chunk).with_context(|| format!("hear {}", self.name))?;
        if len == 0 {
            bail!("{} has ended", self.name);
        }
        self.unread.extend_from_slice(&chunk[..len]);
        while let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            let Answer { lane, said } = serde_json::from_slice(&line).with_context(|| {
                format!("{} said {}", self.name, String::from_utf8_lossy(&line))
            })?;
            self.waiting.entry(lane).or_default().push_back(said);
        }
        Ok(())
    }
}

fn family_of(addr: SocketAddr) -> Family {
    if addr.is_ipv4() { Family::V4 } else { Family::V6 }
}

fn message(errno: i32) -> std::io::Error {
    std::io::Error::from_raw_os_error(errno)
}
