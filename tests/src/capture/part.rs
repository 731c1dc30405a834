//! The processes of the cases. Each writes its own process id into all that it sends, so
//! that every packet with a payload tells who is right.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::{netns, socket};

/// The argument that makes the test binary a part of a case.
pub const ARGUMENT: &str = "--capture-part";

/// Runs as a part of a case, if the arguments say so; returns whether it did.
pub fn run_if_asked() -> Result<bool> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let ["--capture-part", name, ref rest @ ..] = args[..] else { return Ok(false) };
    socket::end_with_parent();
    let number = |at: usize| -> Result<usize> {
        rest.get(at).context("an argument is missing")?.parse().context("a number")
    };
    let address = |at: usize| -> Result<SocketAddr> {
        rest.get(at).context("an argument is missing")?.parse().context("an address")
    };
    match name {
        "tcp-server" => tcp_server(address(0)?, number(1)?, false),
        "tcp-forking" => tcp_server(address(0)?, number(1)?, true),
        "tcp-prefork" => tcp_prefork(address(0)?, number(1)?),
        "tcp-sink" => tcp_sink(address(0)?),
        "tcp-client" => tcp_client(address(0)?, number(1)?),
        "tcp-held" => tcp_held(address(0)?),
        "tcp-handed-on" => tcp_handed_on(address(0)?),
        "tcp-refused" => tcp_refused(address(0)?),
        "udp-server" => udp_server(address(0)?, number(1)?),
        "udp-client" => udp_client(address(0)?, number(1)?, rest.get(2) == Some(&"connected")),
        "udp-shared" => udp_shared(address(0)?, number(1)?),
        "udp-blast" => udp_blast(address(0)?, number(1)?),
        "ping" => ping(address(0)?.ip(), number(1)?),
        other => bail!("there is no part {other}"),
    }?;
    Ok(true)
}

/// What a process says of itself.
fn sign() -> String {
    format!("pid={};\n", std::process::id())
}

fn say(what: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    out.flush()?;
    Ok(())
}

/// Waits for a line from the case, or for its end.
fn hear() -> Result<()> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(())
}

fn line_of(stream: &TcpStream) -> Result<String> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line)
}

fn answer(mut stream: TcpStream) -> Result<()> {
    line_of(&stream)?;
    stream.write_all(sign().as_bytes())?;
    Ok(())
}

fn tcp_server(at: SocketAddr, connections: usize, forking: bool) -> Result<()> {
    let listener = TcpListener::bind(at)?;
    say(&listener.local_addr()?.port().to_string())?;
    for _ in 0..connections {
        let (stream, _) = listener.accept()?;
        if !forking {
            answer(stream)?;
            continue;
        }
        let child = fork(|| answer(stream.try_clone()?))?;
        drop(stream);
        say(&child.to_string())?;
        wait_for(child)?;
    }
    say("done")
}

/// Reads one connection to its end and says nothing.
fn tcp_sink(at: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(at)?;
    say(&listener.local_addr()?.port().to_string())?;
    std::io::copy(&mut listener.accept()?.0, &mut std::io::sink())?;
    say("done")
}

/// Workers that take connections from one listener, until the case closes our input.
fn tcp_prefork(at: SocketAddr, workers: usize) -> Result<()> {
    let listener = TcpListener::bind(at)?;
    say(&listener.local_addr()?.port().to_string())?;
    let mut children = Vec::new();
    for _ in 0..workers {
        children.push(fork(|| {
            loop {
                answer(listener.accept()?.0)?;
            }
        })?);
    }
    for child in &children {
        say(&child.to_string())?;
    }
    hear()?;
    for child in children {
        // SAFETY: takes no pointers; the child is ours and not yet waited for.
        unsafe { libc::kill(child as i32, libc::SIGKILL) };
        wait_for(child)?;
    }
    say("done")
}

fn tcp_client(to: SocketAddr, connections: usize) -> Result<()> {
    for _ in 0..connections {
        let mut stream = TcpStream::connect(to)?;
        stream.write_all(sign().as_bytes())?;
        let mut all = String::new();
        // Until the server closes, so that it is the server that goes to TIME_WAIT.
        stream.read_to_string(&mut all)?;
        ensure!(all.starts_with("pid="), "the server said {all:?}");
    }
    say("done")
}

/// A connection that is there before anybody captures, and is used after that.
fn tcp_held(at: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(at)?;
    let mut ours = TcpStream::connect(listener.local_addr()?)?;
    let (mut theirs, _) = listener.accept()?;
    say(&ours.local_addr()?.port().to_string())?;
    hear()?;
    ours.write_all(sign().as_bytes())?;
    line_of(&theirs)?;
    theirs.write_all(sign().as_bytes())?;
    line_of(&ours)?;
    say("done")
}

/// A connection that goes from hand to hand: each process writes, none reads.
fn tcp_handed_on(to: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(sign().as_bytes())?;
    for _ in 0..3 {
        let child = fork(|| {
            (&stream).write_all(sign().as_bytes())?;
            // Only what is acknowledged has gone out under this name.
            sent(stream.as_raw_fd())
        })?;
        wait_for(child)?;
        stream.write_all(sign().as_bytes())?;
        sent(stream.as_raw_fd())?;
    }
    drop(stream);
    say("done")
}

/// Waits until the peer has acknowledged all.
fn sent(fd: RawFd) -> Result<()> {
    loop {
        let mut left: libc::c_int = 0;
        // SAFETY: the kernel writes one number.
        let done = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut left) };
        ensure!(done == 0, "TIOCOUTQ: {}", std::io::Error::last_os_error());
        if left == 0 {
            return Ok(());
        }
        std::thread::yield_now();
    }
}

fn tcp_refused(to: SocketAddr) -> Result<()> {
    ensure!(TcpStream::connect(to).is_err(), "somebody listens on {to}");
    say("done")
}

fn udp_server(at: SocketAddr, datagrams: usize) -> Result<()> {
    let socket = UdpSocket::bind(at)?;
    say(&socket.local_addr()?.port().to_string())?;
    let mut buffer = [0; 2048];
    for _ in 0..datagrams {
        let (_, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(sign().as_bytes(), from)?;
    }
    say("done")
}

fn udp_client(to: SocketAddr, datagrams: usize, connected: bool) -> Result<()> {
    let any = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let mut buffer = [0; 2048];
    for _ in 0..datagrams {
        let socket = UdpSocket::bind(any)?;
        if connected {
            socket.connect(to)?;
            socket.send(sign().as_bytes())?;
        } else {
            socket.send_to(sign().as_bytes(), to)?;
        }
        socket.recv_from(&mut buffer)?;
    }
    say("done")
}

/// One socket, by which several processes send in turn.
fn udp_shared(to: SocketAddr, children: usize) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for _ in 0..children {
        socket.send_to(sign().as_bytes(), to)?;
        let child = fork(|| {
            socket.send_to(sign().as_bytes(), to)?;
            Ok(())
        })?;
        wait_for(child)?;
        socket.send_to(sign().as_bytes(), to)?;
    }
    say("done")
}

/// Many datagrams at once, without an answer.
fn udp_blast(to: SocketAddr, datagrams: usize) -> Result<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let text = sign();
    for _ in 0..datagrams {
        // A receiver that is full refuses none of them.
        socket.send_to(text.as_bytes(), to)?;
    }
    say("done")
}

/// Echo requests from a raw socket.
fn ping(to: IpAddr, count: usize) -> Result<()> {
    let IpAddr::V4(to) = to else { bail!("only over IPv4") };
    // SAFETY: makes a descriptor only.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP) };
    ensure!(fd >= 0, "raw socket: {}", std::io::Error::last_os_error());
    // SAFETY: all zeroes is a valid address.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as u16;
    address.sin_addr.s_addr = u32::from(to).to_be();
    for sequence in 0..count {
        let mut packet = vec![8, 0, 0, 0, 0x12, 0x34, 0, sequence as u8];
        packet.extend(sign().as_bytes());
        if packet.len() % 2 == 1 {
            packet.push(0);
        }
        let sum: u32 =
            packet.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        // SAFETY: packet and address have their lengths.
        let sent = unsafe {
            libc::sendto(
                fd,
                packet.as_ptr().cast(),
                packet.len(),
                0,
                (&raw const address).cast(),
                size_of::<libc::sockaddr_in>() as libc::socklen_t,
            )
        };
        ensure!(sent > 0, "sendto: {}", std::io::Error::last_os_error());
    }
    say("done")
}

/// A child that works and ends.
fn fork(work: impl FnOnce() -> Result<()>) -> Result<u32> {
    // SAFETY: a part has one thread, so the child may go on as usual.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("fork"),
        0 => {
            socket::end_with_parent();
            // SAFETY: nothing of the parent's is to be written or closed in its place.
            unsafe { libc::_exit(i32::from(work().is_err())) }
        }
        child => Ok(child.unsigned_abs()),
    }
}

fn wait_for(child: u32) -> Result<()> {
    let mut status = 0;
    // SAFETY: the kernel writes one number.
    let done = unsafe { libc::waitpid(child as i32, &raw mut status, 0) };
    ensure!(done == child as i32, "waitpid: {}", std::io::Error::last_os_error());
    let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL;
    ensure!(status == 0 || killed, "a child ended with {status}");
    Ok(())
}

/// A part, as the case sees it.
pub struct Part {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Part {
    /// Starts one in this namespace.
    pub fn start(netns: RawFd, args: &[&str]) -> Result<Part> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(ARGUMENT).args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: system calls only, which are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns::enter(netns)
            });
        }
        let mut child = command.spawn().with_context(|| format!("start the part {args:?}"))?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Part { child, input, output })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that it says.
    pub fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the part {} ended without a word", self.pid());
        Ok(line.trim().to_owned())
    }

    pub fn number(&mut self) -> Result<u32> {
        let line = self.hear()?;
        line.parse().with_context(|| format!("{line:?} is no number"))
    }

    /// Lets it go on.
    pub fn go_on(&mut self) -> Result<()> {
        if let Some(mut input) = self.input.take() {
            writeln!(input)?;
        }
        Ok(())
    }

    /// Waits until it has done its work.
    pub fn done(&mut self) -> Result<()> {
        loop {
            if self.hear()? == "done" {
                break;
            }
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "the part {} ended with {status}", self.pid());
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Does nothing to one that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
