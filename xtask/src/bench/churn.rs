//! The load: TCP connections over the loopback interface, one after the other, each
//! made, accepted, used for a byte each way and closed, by one thread of one process.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::process_clock;

#[derive(clap::Args)]
pub struct Args {
    /// How many, unless the time is up before
    #[arg(long)]
    connections: u64,
    /// At most this long
    #[arg(long)]
    seconds: f64,
    /// So many a second, evenly; as fast as can be without
    #[arg(long)]
    rate: Option<u32>,
}

/// State transitions of both ends of one connection. The client: SYN_SENT, ESTABLISHED,
/// FIN_WAIT1, FIN_WAIT2, CLOSE. The server: SYN_RECV, ESTABLISHED, CLOSE_WAIT, LAST_ACK,
/// CLOSE.
pub const TRANSITIONS: u64 = 10;
/// And of the listener: LISTEN, CLOSE.
const LISTENER_TRANSITIONS: u64 = 2;
/// Connections to one address. Why not all: the ports of closed connections are not free
/// for a minute (TIME_WAIT), but they are for other addresses.
const PER_ADDRESS: u64 = 1000;

/// In the process of the load. It says which network namespace it is in, waits for a
/// line on stdin, and says in the end what it did.
pub fn start(args: &Args) -> Result<()> {
    own_network()?;
    let netns = fs::metadata("/proc/self/ns/net")
        .context("cannot tell which network namespace this is")?
        .ino();
    say(&json!({ "netns": netns }))?;
    if stdin().lock().read_line(&mut String::new())? == 0 {
        // Why no error: whoever started us has given up, and has said why.
        return Ok(());
    }
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))
        .context("cannot listen in the new network namespace")?;
    let port = listener.local_addr()?.port();
    let cpu = process_clock::own_cpu()?;
    let begin = Instant::now();
    let mut connections = 0;
    while connections < args.connections && begin.elapsed().as_secs_f64() < args.seconds {
        if let Some(rate) = args.rate {
            let due = Duration::from_secs_f64(connections as f64 / f64::from(rate));
            thread::sleep(due.saturating_sub(begin.elapsed()));
        }
        one(&listener, address(connections, port))
            .with_context(|| format!("connection {connections} failed"))?;
        connections += 1;
    }
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = process_clock::own_cpu()? - cpu;
    drop(listener);
    say(&json!({
        "connections": connections,
        "seconds": seconds,
        "cpu_seconds": cpu.as_secs_f64(),
        "transitions": connections * TRANSITIONS + LISTENER_TRANSITIONS,
    }))
}

fn say(line: &Value) -> Result<()> {
    let mut stdout = stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}

fn one(listener: &TcpListener, address: SocketAddr) -> io::Result<()> {
    let mut byte = [b'x'];
    let mut client = TcpStream::connect(address)?;
    let (mut server, _) = listener.accept()?;
    client.write_all(&byte)?;
    server.read_exact(&mut byte)?;
    server.write_all(&byte)?;
    client.read_exact(&mut byte)?;
    drop(client);
    // Why: the server closes second, as the list of transitions above says.
    if server.read(&mut byte)? != 0 {
        return Err(io::Error::other("more bytes than were sent"));
    }
    Ok(())
}

fn address(connection: u64, port: u16) -> SocketAddr {
    // Why the remainder: 127.0.0.0/8 has no more.
    let host = (connection / PER_ADDRESS % 0xff_0000) as u32;
    (Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + host), port).into()
}

/// Why: closed connections linger, and the machine's own network shall not have them.
pub(super) fn own_network() -> Result<()> {
    // SAFETY: the process has one thread, and no network yet.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error()).context(
            "cannot make a network namespace, which needs root and a kernel with CONFIG_NET_NS",
        );
    }
    loopback_up().context("cannot bring up the new loopback interface")
}

fn loopback_up() -> io::Result<()> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: all zeroes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: the socket is open, and the request is one of SIOCSIFFLAGS.
    let code = unsafe {
        libc::ioctl(
            std::os::fd::AsRawFd::as_raw_fd(&socket),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// How much load to make.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: u64,
    pub at_most: Duration,
    pub rate: Option<u32>,
}

/// The process of the load, seen from outside: it waits to be let go.
pub struct Churn {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    pub netns: u64,
}

/// What it did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Churned {
    pub connections: u64,
    pub seconds: f64,
    /// Its own CPU time. What the kernel does for a connection, and what a hook adds to
    /// that, is in it; what others take is not.
    pub cpu_seconds: f64,
    pub transitions: u64,
}

impl Churned {
    pub fn rate(&self) -> f64 {
        self.connections as f64 / self.seconds
    }

    pub fn cpu_per_connection(&self) -> f64 {
        self.cpu_seconds / self.connections as f64
    }

    fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        Some(Self {
            connections: line["connections"].as_u64()?,
            seconds: line["seconds"].as_f64()?,
            cpu_seconds: line["cpu_seconds"].as_f64()?,
            transitions: line["transitions"].as_u64()?,
        })
    }
}

impl Churn {
    pub fn prepare(load: Load) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command
            .args(["bench", "churn"])
            .args(["--connections", &load.connections.to_string()])
            .args(["--seconds", &load.at_most.as_secs_f64().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(rate) = load.rate {
            command.args(["--rate", &rate.to_string()]);
        }
        let mut child = command.spawn().context("cannot start the load")?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the load has no pipes");
        };
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Some(netns) =
            serde_json::from_str(&line).ok().and_then(|line: Value| line["netns"].as_u64())
        else {
            bail!("the load did not start ({}): see above", child.wait()?);
        };
        Ok(Self { child, stdin, stdout, netns })
    }

    /// Lets it go, and waits for its end.
    pub fn run(mut self) -> Result<Churned> {
        self.stdin.write_all(b"\n").context("the load has gone away")?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let status = self.child.wait()?;
        match Churned::parse(&line) {
            Some(churned) if status.success() => Ok(churned),
            _ => bail!("the load failed ({status}): see above"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_read() {
        let line = r#"{"connections":200,"seconds":0.5,"cpu_seconds":0.4,"transitions":2002}"#;
        let churned = Churned::parse(line).expect("a result");
        assert_eq!(churned.connections, 200);
        assert_eq!(churned.transitions, 2002);
        assert!((churned.rate() - 400.0).abs() < 1e-9);
        assert!((churned.cpu_per_connection() - 0.002).abs() < 1e-9);
        assert_eq!(Churned::parse(""), None);
        assert_eq!(Churned::parse(r#"{"netns":4026531833}"#), None);
    }

    #[test]
    fn addresses_change_and_stay_in_loopback() {
        assert_eq!(address(0, 80).to_string(), "127.0.0.1:80");
        assert_eq!(address(999, 80).to_string(), "127.0.0.1:80");
        assert_eq!(address(1000, 80).to_string(), "127.0.0.2:80");
        assert!(address(u64::MAX, 80).ip().is_loopback());
    }

    #[test]
    fn a_connection_is_made_and_used() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        for _ in 0..3 {
            one(&listener, address).expect("a connection");
        }
    }
}
