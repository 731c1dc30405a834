//! Looks for sockets, through sock_diag (man 7 sock_diag): one request for each of a few,
//! one dump of those in TIME_WAIT and SYN_RECV for many. The kernel shows the sockets of
//! one network namespace, so others are entered for the look: by a thread of its own, which
//! ends with it, and through a file that is closed with it. So no namespace lives longer
//! than it would.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use netbreath_common::tcp::TcpState;

use crate::event::Flow;
use crate::life::{Answer, Asked, Look};

/// From so many on, one dump is less work than a request for each.
const MANY: usize = 64;

/// Namespaces that are named: `ip netns`, and container engines that follow it.
const NAMED: [&str; 3] = ["/run/netns", "/run/docker/netns", "/var/run/netns"];

/// See the module.
#[derive(Debug, Default)]
pub struct SockDiag {
    /// A process in each namespace that was entered, to be tried first.
    pids: HashMap<u32, u32>,
}

impl Look for SockDiag {
    fn look(
        &mut self,
        netns: Option<u32>,
        pids: &mut dyn Iterator<Item = u32>,
        asked: &[Asked],
        answers: &mut Vec<Answer>,
    ) {
        let found = match netns.and_then(|netns| self.enter(netns, pids)) {
            Some(Space::Own) => ask(asked),
            Some(Space::Other(file)) => elsewhere(&file, asked),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        match found {
            Ok(found) => answers.extend(found),
            // What cannot be asked is not known.
            Err(_) => answers.extend(asked.iter().map(|_| Answer::Unknown)),
        }
    }
}

/// A network namespace.
enum Space {
    Own,
    Other(File),
}

impl SockDiag {
    /// The way into a namespace: through a process that is in it, or by its name.
    fn enter(&mut self, netns: u32, pids: &mut dyn Iterator<Item = u32>) -> Option<Space> {
        let is = |path: &Path| {
            let file = File::open(path).ok()?;
            (file.metadata().ok()?.ino() == u64::from(netns)).then_some(file)
        };
        let of = |pid: u32| PathBuf::from(format!("/proc/{pid}/ns/net"));
        if is(Path::new("/proc/thread-self/ns/net")).is_some() {
            return Some(Space::Own);
        }
        /// The sockets of a busy host have many owners; most are in one namespace.
        const TRIED: usize = 8;
        let known = self.pids.get(&netns).copied();
        for pid in known.into_iter().chain(pids.take(TRIED)) {
            if let Some(file) = is(&of(pid)) {
                self.pids.insert(netns, pid);
                return Some(Space::Other(file));
            }
        }
        let named = NAMED.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        for entry in named.flatten() {
            if let Some(file) = is(&entry.path()) {
                return Some(Space::Other(file));
            }
        }
        // Its sockets can outlive their owners.
        let processes = std::fs::read_dir("/proc").ok()?.flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let (pid, file) = pids.filter_map(|pid| Some((pid, is(&of(pid))?))).next()?;
        self.pids.insert(netns, pid);
        Some(Space::Other(file))
    }
}

/// Asks inside a namespace.
fn elsewhere(space: &File, asked: &[Asked]) -> io::Result<Vec<Answer>> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: takes no pointers; moves this thread alone, which ends here.
            if unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            ask(asked)
        });
        thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
    })
}

/// Asks in this thread's namespace.
fn ask(asked: &[Asked]) -> io::Result<Vec<Answer>> {
    let mut netlink = Netlink::open()?;
    if asked.len() < MANY {
        return asked.iter().map(|asked| netlink.one(asked)).collect();
    }
    let mut there = HashMap::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        netlink.all(family as u8, &mut there)?;
    }
    let answer = |asked: &Asked| there.get(&asked.id.0).copied().unwrap_or(Answer::Gone);
    Ok(asked.iter().map(answer).collect())
}

/// `SOCK_DIAG_BY_FAMILY` (linux/sock_diag.h).
const BY_FAMILY: u16 = 20;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2` (linux/inet_diag.h): family, protocol, extensions, padding,
/// states, id.
const REQUEST: usize = 8 + ID;
/// `struct inet_diag_sockid`: two ports, two addresses, interface, cookie.
const ID: usize = 48;
/// `struct inet_diag_msg`: family, state, timer, retransmits, id, expiry, ….
const MESSAGE: usize = 4 + ID + 20;

/// A sock_diag socket.
struct Netlink {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Netlink {
    fn open() -> io::Result<Netlink> {
        const NETLINK_SOCK_DIAG: i32 = 4;
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: takes no pointers.
        let socket = unsafe { libc::socket(libc::AF_NETLINK, kind, NETLINK_SOCK_DIAG) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: new, and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Ok(Netlink { socket, buffer: vec![0; 32 * 1024] })
    }

    /// Asks for one socket by its ends and cookie.
    fn one(&mut self, asked: &Asked) -> io::Result<Answer> {
        let Flow { family, local, remote } = asked.flow;
        let mut id = [0; ID];
        id[..2].copy_from_slice(&local.port.to_be_bytes());
        id[2..4].copy_from_slice(&remote.port.to_be_bytes());
        for (at, addr) in [(4, local.addr), (20, remote.addr)] {
            match addr {
                IpAddr::V4(addr) => id[at..at + 4].copy_from_slice(&addr.octets()),
                IpAddr::V6(addr) => id[at..at + 16].copy_from_slice(&Ipv6Addr::octets(&addr)),
            }
        }
        id[40..].copy_from_slice(&asked.id.0.to_ne_bytes());
        let family = if family.number() == 4 { libc::AF_INET } else { libc::AF_INET6 };
        self.send(family as u8, u32::MAX, &id, 0)?;
        let mut answer = Answer::Gone;
        self.receive(|message| {
            if let Some((_, there)) = there(message) {
                answer = there;
            }
        })?;
        Ok(answer)
    }

    /// Asks for all mini-sockets and requests, by their cookies.
    fn all(&mut self, family: u8, into: &mut HashMap<u64, Answer>) -> io::Result<()> {
        let states = TcpState::TimeWait.bit() | TcpState::FinWait2.bit() | TcpState::SynRecv.bit();
        self.send(family, states, &[0; ID], libc::NLM_F_DUMP as u16)?;
        self.receive(|message| into.extend(there(message)))
    }

    fn send(&self, family: u8, states: u32, id: &[u8; ID], flags: u16) -> io::Result<()> {
        let mut bytes = [0_u8; HEADER + REQUEST];
        bytes[..4].copy_from_slice(&((HEADER + REQUEST) as u32).to_ne_bytes());
        bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        bytes[HEADER] = family;
        bytes[HEADER + 1] = libc::IPPROTO_TCP as u8;
        bytes[HEADER + 4..HEADER + 8].copy_from_slice(&states.to_ne_bytes());
        bytes[HEADER + 8..].copy_from_slice(id);
        // SAFETY: the kernel reads the bytes.
        let sent =
            unsafe { libc::send(self.socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads the answer to its end: a message for one socket, many and an end for a dump,
    /// or an error. That there is no such socket is an answer, too.
    fn receive(&mut self, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        loop {
            let (at, len) = (self.buffer.as_mut_ptr(), self.buffer.len());
            // SAFETY: the kernel writes at most `len` bytes.
            let got = unsafe { libc::recv(self.socket.as_raw_fd(), at.cast(), len, 0) };
            let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
            let mut rest = self.buffer.get(..got).unwrap_or_default();
            while let Some(header) = rest.get(..HEADER) {
                let number = |at: usize| {
                    u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
                };
                let kind = u16::from_ne_bytes([header[4], header[5]]);
                let flags = u16::from_ne_bytes([header[6], header[7]]);
                let len = (number(0) as usize).clamp(HEADER, rest.len());
                let body = &rest[HEADER..len];
                match i32::from(kind) {
                    libc::NLMSG_DONE => return Ok(()),
                    libc::NLMSG_ERROR => {
                        let errno = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                        return match -errno {
                            0 | libc::ENOENT | libc::ESTALE => Ok(()),
                            errno => Err(io::Error::from_raw_os_error(errno)),
                        };
                    }
                    _ => each(body),
                }
                if i32::from(flags) & libc::NLM_F_MULTI == 0 {
                    return Ok(());
                }
                rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

/// The cookie of a socket, its state and how long it has.
fn there(message: &[u8]) -> Option<(u64, Answer)> {
    let message = message.get(..MESSAGE)?;
    let word = |at: usize| {
        u32::from_ne_bytes([message[at], message[at + 1], message[at + 2], message[at + 3]])
    };
    let id = u64::from(word(44)) | u64::from(word(48)) << 32;
    let state = TcpState::from_kernel(message[1])?;
    let left = u64::from(word(4 + ID)) * 1_000_000;
    Some((id, Answer::There { state, left }))
}
