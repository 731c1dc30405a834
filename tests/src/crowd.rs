//! A process with every kind of socket, in every state: what views of sockets are compared
//! on. The test binary starts itself again for it (`--crowd`); a second process shares all
//! sockets by fork, a third gets one by passing.

use std::io::{BufRead, BufReader, Write};
use std::mem::size_of;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::netns::{self, Netns};
use crate::socket::{self, Failed};
use crate::step::{Call, Family, Proto, UnixKind};

/// The argument that makes the test binary the crowd.
pub const ARGUMENT: &str = "--crowd";

/// The crowd, from outside.
#[derive(Debug)]
pub struct Crowd {
    child: Child,
    pub pid: u32,
    /// Who shares its sockets.
    pub sharer: u32,
    /// Who was passed one.
    pub receiver: u32,
}

impl Crowd {
    /// Starts it inside a namespace, under this name, and waits until every socket is in
    /// its state.
    pub fn start(place: &Netns, name: &str) -> Result<Crowd> {
        let fd = place.fd();
        let mut command = Command::new(std::env::current_exe().context("this binary")?);
        command.args([ARGUMENT, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: only a system call between fork and exec.
        unsafe { command.pre_exec(move || netns::enter(fd)) };
        let mut child = command.spawn().context("start the crowd")?;
        let pid = child.id();
        let out = child.stdout.take().context("the crowd has no output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).context("read what the crowd says")?;
        let mut words = line.split_whitespace();
        let ready = words.next() == Some("ready");
        let mut crowd = Crowd { child, pid, sharer: 0, receiver: 0 };
        ensure!(ready, "the crowd said {line:?}");
        let mut next = || words.next().and_then(|word| word.parse().ok()).context("a pid");
        (crowd.sharer, crowd.receiver) = (next()?, next()?);
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // Its end ends the others.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Is the crowd, if the arguments say so; returns whether they did.
pub fn run_if_asked() -> Result<bool> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() != Some(ARGUMENT) {
        return Ok(false);
    }
    let name = args.next().context("the crowd needs a name")?;
    socket::name(&name);
    let (sharer, receiver) = gather()?;
    println!("ready {sharer} {receiver}");
    std::io::stdout().flush()?;
    // Until whoever started it lets go.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    // SAFETY: takes no pointers; these are children of ours that nobody has waited for.
    unsafe {
        libc::kill(sharer as i32, libc::SIGKILL);
        libc::kill(receiver as i32, libc::SIGKILL);
    }
    Ok(true)
}

fn failed(failed: Failed) -> anyhow::Error {
    let error = std::io::Error::from_raw_os_error(failed.errno);
    anyhow!("{}: {error}", failed.call)
}

fn at(text: &str) -> Result<SocketAddr> {
    text.parse().with_context(|| format!("address {text}"))
}

fn listener(family: Family, addr: &str) -> Result<(i32, SocketAddr)> {
    let fd = socket::open(family, Proto::Tcp).map_err(failed)?;
    socket::bind(fd, at(addr)?).map_err(failed)?;
    socket::listen(fd, 7).map_err(failed)?;
    Ok((fd, socket::local(fd).map_err(failed)?))
}

/// The client's end and the server's.
fn connected(family: Family, listener: i32, to: SocketAddr) -> Result<(i32, i32)> {
    let client = socket::open(family, Proto::Tcp).map_err(failed)?;
    socket::connect(client, to, true).map_err(failed)?;
    Ok((client, socket::accept(listener, Call::Accept4).map_err(failed)?))
}

/// The state of a TCP socket, by the kernel's number.
fn state(fd: i32) -> Result<u8> {
    let mut info = [0_u8; 256];
    let mut len = info.len() as libc::socklen_t;
    // SAFETY: the buffer is as long as said.
    let done = unsafe {
        libc::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    ensure!(done == 0, "TCP_INFO: {}", std::io::Error::last_os_error());
    Ok(info[0])
}

fn wait_for_state(fd: i32, wanted: u8) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(60);
    while state(fd)? != wanted {
        if Instant::now() > end {
            bail!("waited 60 s for state {wanted}; it is {}", state(fd)?);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

const FIN_WAIT1: u8 = 4;
const FIN_WAIT2: u8 = 5;
const CLOSE_WAIT: u8 = 8;
const LAST_ACK: u8 = 9;
const CLOSING: u8 = 11;

/// Makes all sockets; who shares them and who was passed one.
fn gather() -> Result<(u32, u32)> {
    // What is sent there goes nowhere.
    let done = Command::new("ip").args(["route", "add", "192.0.2.0/24", "dev", "lo"]).status();
    ensure!(done.context("run ip")?.success(), "ip route add");
    let (v4, v4_at) = listener(Family::V4, "127.0.0.1:8080")?;
    let (dual, _) = listener(Family::V6, "[::]:9090")?;
    let (v6, v6_at) = listener(Family::V6, "[::1]:7070")?;
    let only = socket::open(Family::V6, Proto::Tcp).map_err(failed)?;
    socket::set_option(only, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, &1_i32).map_err(failed)?;
    socket::bind(only, at("[::]:6060")?).map_err(failed)?;
    socket::listen(only, 3).map_err(failed)?;

    connected(Family::V4, v4, v4_at)?;
    connected(Family::V6, v6, v6_at)?;
    // Its server's end has mapped addresses.
    connected(Family::V4, dual, at("127.0.0.1:9090")?)?;
    let (client, _) = connected(Family::V4, v4, v4_at)?;
    socket::send(client, 1234).map_err(failed)?;

    let (client, server) = connected(Family::V4, v4, v4_at)?;
    socket::shutdown_write(client).map_err(failed)?;
    wait_for_state(client, FIN_WAIT2)?;
    wait_for_state(server, CLOSE_WAIT)?;

    let (client, server) = connected(Family::V4, v4, v4_at)?;
    socket::deaf(server, true).map_err(failed)?;
    socket::shutdown_write(client).map_err(failed)?;
    wait_for_state(client, FIN_WAIT1)?;

    let (client, server) = connected(Family::V4, v4, v4_at)?;
    socket::shutdown_write(client).map_err(failed)?;
    wait_for_state(server, CLOSE_WAIT)?;
    socket::deaf(client, true).map_err(failed)?;
    socket::shutdown_write(server).map_err(failed)?;
    wait_for_state(server, LAST_ACK)?;

    // Both close at once: each hears of the other's FIN before that of its own.
    let (client, server) = connected(Family::V4, v4, v4_at)?;
    socket::deaf(client, true).map_err(failed)?;
    socket::deaf(server, true).map_err(failed)?;
    socket::shutdown_write(client).map_err(failed)?;
    socket::shutdown_write(server).map_err(failed)?;
    socket::deaf(client, false).map_err(failed)?;
    wait_for_state(client, CLOSING)?;

    // TIME_WAIT, which no process holds.
    let (client, server) = connected(Family::V6, v6, v6_at)?;
    socket::close(client).map_err(failed)?;
    socket::close(server).map_err(failed)?;
    // Connected, and nobody has accepted it.
    let waiting = socket::open(Family::V4, Proto::Tcp).map_err(failed)?;
    socket::connect(waiting, v4_at, true).map_err(failed)?;
    // SYN_SENT.
    let lost = socket::open(Family::V4, Proto::Tcp).map_err(failed)?;
    socket::bind(lost, at("127.0.0.1:0")?).map_err(failed)?;
    socket::connect(lost, at("192.0.2.1:80")?, false).or_else(in_progress)?;
    // Half-open.
    half_open(Ipv4Addr::new(192, 0, 2, 7), 4321, 8080)?;
    // Bound, and no more: none of the tools shows it.
    let bound = socket::open(Family::V4, Proto::Tcp).map_err(failed)?;
    socket::bind(bound, at("127.0.0.1:5050")?).map_err(failed)?;

    let server = socket::open(Family::V4, Proto::Udp).map_err(failed)?;
    socket::bind(server, at("127.0.0.1:5353")?).map_err(failed)?;
    let client = socket::open(Family::V4, Proto::Udp).map_err(failed)?;
    socket::connect(client, at("127.0.0.1:5353")?, true).map_err(failed)?;
    socket::send_to(client, None, b"waits to be read", false).map_err(failed)?;
    let any = socket::open(Family::V6, Proto::Udp).map_err(failed)?;
    socket::bind(any, at("[::]:5454")?).map_err(failed)?;
    // Not bound: shown by none.
    socket::open(Family::V4, Proto::Udp).map_err(failed)?;

    unix_sockets()?;
    for (family, protocol) in [
        (libc::AF_INET, libc::IPPROTO_ICMP),
        (libc::AF_INET6, libc::IPPROTO_ICMPV6),
        (libc::AF_INET, libc::IPPROTO_RAW),
    ] {
        raw(family, libc::SOCK_RAW, protocol)?;
    }
    let all = raw(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    bind_packet(all, 3, 1)?;
    let ip = raw(libc::AF_PACKET, libc::SOCK_DGRAM, 0)?;
    bind_packet(ip, 0x0800, 0)?;
    bind_netlink(raw(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE)?, 1)?;

    let (ours, theirs) = {
        let [a, b] = socket::pair_unix(UnixKind::Stream).map_err(failed)?;
        (a, b)
    };
    let receiver = fork("crowd-receiver", || {
        // It holds nothing but what it is passed, and where from.
        let keep = [0, 1, 2, theirs];
        for fd in 3..256 {
            if !keep.contains(&fd) {
                // SAFETY: takes no pointers.
                unsafe { libc::close(fd) };
            }
        }
        receive_fd(theirs).is_ok()
    })?;
    pass_fd(ours, v4)?;
    wait_for_holder(receiver, v4)?;
    let sharer = fork("crowd-sharer", || true)?;
    Ok((sharer, receiver))
}

fn in_progress(error: Failed) -> Result<()> {
    if error.errno == libc::EINPROGRESS { Ok(()) } else { Err(failed(error)) }
}

fn unix_sockets() -> Result<()> {
    let pid = std::process::id();
    for kind in [UnixKind::Stream, UnixKind::Seqpacket] {
        let word = if kind == UnixKind::Stream { "stream" } else { "seqpacket" };
        for name in [format!("/tmp/netbreath-{word}-{pid}"), format!("\0netbreath-{word}-{pid}")] {
            let listener = socket::open_unix(kind).map_err(failed)?;
            socket::bind_unix(listener, &name).map_err(failed)?;
            socket::listen(listener, 4).map_err(failed)?;
            let client = socket::open_unix(kind).map_err(failed)?;
            socket::connect_unix(client, &name).map_err(failed)?;
            socket::accept(listener, Call::Accept4).map_err(failed)?;
            // One that waits to be accepted.
            let waiting = socket::open_unix(kind).map_err(failed)?;
            socket::connect_unix(waiting, &name).map_err(failed)?;
            if name.starts_with('/') {
                // The name stays, the file need not.
                std::fs::remove_file(&name)?;
            }
        }
    }
    let named = socket::open_unix(UnixKind::Dgram).map_err(failed)?;
    socket::bind_unix(named, &format!("\0netbreath-dgram-{pid}")).map_err(failed)?;
    let client = socket::open_unix(UnixKind::Dgram).map_err(failed)?;
    socket::connect_unix(client, &format!("\0netbreath-dgram-{pid}")).map_err(failed)?;
    socket::open_unix(UnixKind::Dgram).map_err(failed)?;
    for kind in [UnixKind::Stream, UnixKind::Dgram, UnixKind::Seqpacket] {
        socket::pair_unix(kind).map_err(failed)?;
    }
    Ok(())
}

fn raw(family: i32, kind: i32, protocol: i32) -> Result<i32> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) };
    ensure!(fd >= 0, "socket({family}, {kind}): {}", std::io::Error::last_os_error());
    Ok(fd)
}

fn bind_to<T>(fd: i32, address: &T) -> Result<()> {
    // SAFETY: the address is as long as said.
    let done =
        unsafe { libc::bind(fd, (&raw const *address).cast(), size_of::<T>() as libc::socklen_t) };
    ensure!(done == 0, "bind: {}", std::io::Error::last_os_error());
    Ok(())
}

fn bind_packet(fd: i32, protocol: u16, interface: i32) -> Result<()> {
    // SAFETY: integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = interface;
    bind_to(fd, &address)
}

fn bind_netlink(fd: i32, groups: u32) -> Result<()> {
    // SAFETY: integers, for which zero is a value.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as u16;
    address.nl_groups = groups;
    bind_to(fd, &address)
}

/// A process of its own that does `first`, then waits for its end.
fn fork(name: &str, first: impl FnOnce() -> bool) -> Result<u32> {
    // SAFETY: this process has one thread, so the child may go on as usual.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()).context("fork"),
        0 => {
            socket::end_with_parent();
            socket::name(name);
            // Only the crowd itself may hold its pipes, or nobody would see its end.
            // SAFETY: takes no pointers.
            unsafe {
                libc::close(0);
                libc::close(1);
            }
            if !first() {
                std::process::exit(1);
            }
            loop {
                // SAFETY: takes no pointers.
                unsafe { libc::pause() };
            }
        }
        pid => Ok(pid as u32),
    }
}

/// Room for one descriptor's message (cmsg(3)).
#[repr(C, align(8))]
struct Room([u8; 24]);

fn pass_fd(over: i32, fd: i32) -> Result<()> {
    message(over, |header| {
        // SAFETY: there is room for one descriptor.
        unsafe {
            let part = libc::CMSG_FIRSTHDR(header);
            (*part).cmsg_level = libc::SOL_SOCKET;
            (*part).cmsg_type = libc::SCM_RIGHTS;
            (*part).cmsg_len = libc::CMSG_LEN(4) as _;
            libc::CMSG_DATA(part).cast::<i32>().write_unaligned(fd);
            libc::sendmsg(over, header, 0)
        }
    })
}

fn receive_fd(over: i32) -> Result<()> {
    // SAFETY: the header's buffers live for the call.
    message(over, |header| unsafe { libc::recvmsg(over, header, 0) })
}

fn message(_over: i32, call: impl FnOnce(&mut libc::msghdr) -> isize) -> Result<()> {
    let (mut byte, mut room) = ([1_u8], Room([0; 24]));
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: integers and pointers, for which zero is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut room).cast();
    header.msg_controllen = size_of::<Room>() as _;
    ensure!(call(&mut header) == 1, "pass a descriptor: {}", std::io::Error::last_os_error());
    Ok(())
}

/// Waits until another process holds the same socket.
fn wait_for_holder(pid: u32, fd: i32) -> Result<()> {
    let wanted = format!("socket:[{}]", socket::inode(fd).map_err(failed)?);
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let entries = std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
        let mut links = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
        // Only the passed one is left of all that fork gave it.
        if links.any(|link| link.to_str() == Some(&wanted)) {
            let others = std::fs::read_dir(format!("/proc/{pid}/fd"))?.count();
            if others <= 4 {
                return Ok(());
            }
        }
        ensure!(Instant::now() < end, "waited 30 s for process {pid} to get a socket");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a SYN of somebody who will never answer.
fn half_open(from: Ipv4Addr, from_port: u16, to_port: u16) -> Result<()> {
    let to = Ipv4Addr::LOCALHOST;
    let mut packet = [0_u8; 40];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&40_u16.to_be_bytes());
    packet[8] = 64;
    packet[9] = libc::IPPROTO_TCP as u8;
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    packet[20..22].copy_from_slice(&from_port.to_be_bytes());
    packet[22..24].copy_from_slice(&to_port.to_be_bytes());
    packet[24..28].copy_from_slice(&1_u32.to_be_bytes());
    packet[32] = 5 << 4;
    packet[33] = 0x02;
    packet[34..36].copy_from_slice(&1024_u16.to_be_bytes());
    // RFC 9293, 3.1: over the addresses, the protocol, the length and the segment.
    let mut sum: u32 = libc::IPPROTO_TCP as u32 + 20;
    for pair in packet[12..].chunks_exact(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    packet[36..38].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    // The kernel fills in what is left open of the IP header (man 7 raw).
    let fd = raw(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW)?;
    let sent = socket::send_to(fd, Some(SocketAddrV4::new(to, 0).into()), &packet, false);
    sent.map_err(failed)?;
    socket::close(fd).map_err(failed)
}
