//! The process that keeps privileges when the one that parses has given them up. It is a
//! copy of ours from before anything was opened, and answers two questions, whose every
//! byte has a fixed meaning: which of these sockets are there (in a network namespace that
//! has to be entered), and what the path of a control group is. It ends with us: when it
//! reads the end of the stream.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use netbreath_common::tcp::TcpState;

use super::look::SockDiag;
use super::{decode, load};
use crate::event::{Cgroup, Endpoint, Family, Flow, SocketId};
use crate::host::sandbox;
use crate::life::{Answer, Asked, Look};

/// What the helper needs: to enter namespaces, to find them by others' processes, and to
/// open control groups by their ids.
const KEPT: [caps::Capability; 3] = [
    caps::Capability::CAP_SYS_ADMIN,
    caps::Capability::CAP_SYS_PTRACE,
    caps::Capability::CAP_DAC_READ_SEARCH,
];

/// Processes that are named in one question at most.
const PIDS: usize = 8;
/// Sockets in one question at most; more are several questions.
const SOCKETS: usize = 1024;
/// Bytes of a path at most.
const PATH: usize = 4096;

const LOOK: u8 = 1;
const CGROUP: u8 = 2;

/// A socket in a question: id, family, two addresses of 16 bytes, two ports.
const ASKED: usize = 8 + 1 + 16 + 16 + 2 + 2;
/// An answer: what, state, nanoseconds.
const ANSWER: usize = 1 + 1 + 8;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start the process that keeps privileges: {source}")]
    Start { source: io::Error },
}

/// The way to the helper.
#[derive(Debug)]
pub struct Helper {
    stream: UnixStream,
    pid: libc::pid_t,
}

impl Helper {
    /// Starts it. To be called before any file is opened and any thread started.
    pub fn start() -> Result<Helper, Error> {
        let failed = |source| Error::Start { source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        // SAFETY: we have one thread, so the copy is whole.
        match unsafe { libc::fork() } {
            -1 => Err(failed(io::Error::last_os_error())),
            0 => {
                drop(ours);
                // Why ignored: the other side sees the end of the stream, whatever it was.
                let _ = serve(theirs);
                // SAFETY: ends this process without what belongs to the other.
                unsafe { libc::_exit(0) }
            }
            pid => Ok(Helper { stream: ours, pid }),
        }
    }

    /// The path of a control group.
    pub fn cgroup(&mut self, id: u64) -> Option<Cgroup> {
        let mut question = vec![CGROUP];
        question.extend_from_slice(&id.to_ne_bytes());
        self.stream.write_all(&question).ok()?;
        let mut len = [0; 2];
        self.stream.read_exact(&mut len).ok()?;
        let mut path = vec![0; usize::from(u16::from_ne_bytes(len)).min(PATH)];
        self.stream.read_exact(&mut path).ok()?;
        let path = String::from_utf8(path).ok().filter(|path| !path.is_empty())?;
        Some(path.as_str().into())
    }

    fn ask(&mut self, netns: u32, pids: &[u32], asked: &[Asked]) -> io::Result<Vec<Answer>> {
        let mut question = vec![LOOK];
        question.extend_from_slice(&netns.to_ne_bytes());
        question.push(pids.len() as u8);
        for pid in pids {
            question.extend_from_slice(&pid.to_ne_bytes());
        }
        question.extend_from_slice(&(asked.len() as u16).to_ne_bytes());
        for asked in asked {
            put_asked(asked, &mut question);
        }
        self.stream.write_all(&question)?;
        let mut answers = vec![0; asked.len() * ANSWER];
        self.stream.read_exact(&mut answers)?;
        Ok(answers.chunks_exact(ANSWER).map(read_answer).collect())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // Why ignored: where the stream is gone, so is the helper.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
        // SAFETY: our own child, which ends now; its status is of no interest.
        unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) };
    }
}

impl Look for Helper {
    fn look(
        &mut self,
        netns: Option<u32>,
        pids: &mut dyn Iterator<Item = u32>,
        asked: &[Asked],
        answers: &mut Vec<Answer>,
    ) {
        let pids: Vec<u32> = pids.take(PIDS).collect();
        for asked in asked.chunks(SOCKETS) {
            let found = netns.map(|netns| self.ask(netns, &pids, asked));
            match found {
                Some(Ok(found)) => answers.extend(found),
                // What cannot be asked is not known.
                Some(Err(_)) | None => answers.extend(asked.iter().map(|_| Answer::Unknown)),
            }
        }
    }
}

/// The helper's life.
fn serve(stream: UnixStream) -> io::Result<()> {
    // SAFETY: system calls on our own descriptors and signals only. What is open but the
    // stream belongs to the other; signals from the terminal are for it too.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        for fd in 0..3 {
            libc::dup2(null, fd);
        }
        libc::dup2(stream.as_raw_fd(), 3);
        libc::syscall(libc::SYS_close_range, 4, libc::c_uint::MAX, 0);
    }
    std::mem::forget(stream);
    // SAFETY: the stream's copy, which is nobody else's here.
    let mut stream: UnixStream = unsafe { std::os::fd::FromRawFd::from_raw_fd(3) };
    sandbox::keep_only(&KEPT).map_err(io::Error::other)?;
    sandbox::no_new_privileges().map_err(io::Error::other)?;
    let (mut look, root) = (SockDiag::default(), load::cgroup_root());
    loop {
        match read::<1>(&mut stream)?[0] {
            LOOK => {
                let netns = u32::from_ne_bytes(read(&mut stream)?);
                let count = usize::from(read::<1>(&mut stream)?[0]).min(PIDS);
                let mut pids = Vec::new();
                for _ in 0..count {
                    pids.push(u32::from_ne_bytes(read(&mut stream)?));
                }
                let count = usize::from(u16::from_ne_bytes(read(&mut stream)?)).min(SOCKETS);
                let mut asked = Vec::new();
                for _ in 0..count {
                    asked.push(read_asked(&read::<ASKED>(&mut stream)?));
                }
                let mut answers = Vec::new();
                look.look(Some(netns), &mut pids.into_iter(), &asked, &mut answers);
                answers.resize(asked.len(), Answer::Unknown);
                let mut bytes = Vec::new();
                answers.iter().for_each(|answer| put_answer(answer, &mut bytes));
                stream.write_all(&bytes)?;
            }
            CGROUP => {
                let id = u64::from_ne_bytes(read(&mut stream)?);
                let path = root.as_ref().and_then(|root| decode::cgroup_path(root, id));
                let path = path.filter(|path| path.len() <= PATH);
                let path: &str = path.as_deref().unwrap_or_default();
                let mut bytes = (path.len() as u16).to_ne_bytes().to_vec();
                bytes.extend_from_slice(path.as_bytes());
                stream.write_all(&bytes)?;
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

fn read<const LEN: usize>(stream: &mut UnixStream) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn put_asked(asked: &Asked, out: &mut Vec<u8>) {
    let Flow { family, local, remote } = asked.flow;
    out.extend_from_slice(&asked.id.0.to_ne_bytes());
    // An IPv6 socket can have addresses of IPv4.
    let v4 = [local.addr, remote.addr].map(|addr| u8::from(addr.is_ipv4()));
    out.push(family.number() | v4[0] << 4 | v4[1] << 5);
    for addr in [local.addr, remote.addr] {
        let mut bytes = [0; 16];
        match addr {
            IpAddr::V4(addr) => bytes[..4].copy_from_slice(&addr.octets()),
            IpAddr::V6(addr) => bytes = addr.octets(),
        }
        out.extend_from_slice(&bytes);
    }
    out.extend_from_slice(&local.port.to_ne_bytes());
    out.extend_from_slice(&remote.port.to_ne_bytes());
}

fn read_asked(bytes: &[u8; ASKED]) -> Asked {
    let take = |at: usize| -> [u8; 16] {
        let mut taken = [0; 16];
        taken.copy_from_slice(&bytes[at..at + 16]);
        taken
    };
    let addr = |at: usize, v4: bool| {
        let bytes = take(at);
        if v4 {
            IpAddr::V4(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]))
        } else {
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
    };
    let mut id = [0; 8];
    id.copy_from_slice(&bytes[..8]);
    let port = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
    let kind = bytes[8];
    Asked {
        id: SocketId(u64::from_ne_bytes(id)),
        flow: Flow {
            family: if kind & 15 == 4 { Family::V4 } else { Family::V6 },
            local: Endpoint { addr: addr(9, kind & 16 != 0), port: port(41) },
            remote: Endpoint { addr: addr(25, kind & 32 != 0), port: port(43) },
        },
    }
}

fn put_answer(answer: &Answer, out: &mut Vec<u8>) {
    let (what, state, left) = match answer {
        Answer::Unknown => (0, 0, 0),
        Answer::Gone => (1, 0, 0),
        Answer::There { state, left } => (2, *state as u8, *left),
    };
    out.push(what);
    out.push(state);
    out.extend_from_slice(&left.to_ne_bytes());
}

fn read_answer(bytes: &[u8]) -> Answer {
    let mut left = [0; 8];
    left.copy_from_slice(&bytes[2..ANSWER]);
    match (bytes[0], TcpState::from_kernel(bytes[1])) {
        (1, _) => Answer::Gone,
        (2, Some(state)) => Answer::There { state, left: u64::from_ne_bytes(left) },
        _ => Answer::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_survive_their_way() {
        for (family, local, remote) in [
            (Family::V4, "10.0.0.1", "192.0.2.7"),
            (Family::V6, "2001:db8::1", "::1"),
            (Family::V6, "127.0.0.1", "127.0.0.2"),
        ] {
            let end = |addr: &str, port| Endpoint { addr: addr.parse().unwrap(), port };
            let flow = Flow { family, local: end(local, 80), remote: end(remote, 65_535) };
            let asked = Asked { id: SocketId(u64::MAX - 1), flow };
            let mut bytes = Vec::new();
            put_asked(&asked, &mut bytes);
            assert_eq!(read_asked(&bytes.try_into().unwrap()), asked);
        }
        let there = Answer::There { state: TcpState::TimeWait, left: 60_000_000_000 };
        for answer in [Answer::Unknown, Answer::Gone, there] {
            let mut bytes = Vec::new();
            put_answer(&answer, &mut bytes);
            assert_eq!(bytes.len(), ANSWER);
            assert_eq!(read_answer(&bytes), answer);
        }
    }
}
