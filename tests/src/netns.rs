//! A network namespace of its own for each scenario, with nothing in it but lo:
//! its ports and addresses are free, and its inode tells the scenario's events from
//! all other traffic of the machine.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A namespace that lives as long as this value or a process in it.
#[derive(Debug)]
pub struct Netns {
    file: File,
    inode: u64,
}

impl Netns {
    /// Creates one, with lo up.
    pub fn create() -> Result<Netns> {
        // Why a thread: unshare() moves the calling thread alone, and this one
        // ends here.
        let file = std::thread::spawn(|| -> Result<File> {
            // SAFETY: takes no pointers.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error()).context("unshare(CLONE_NEWNET)");
            }
            bring_lo_up().context("bring lo up in a new network namespace")?;
            File::open("/proc/thread-self/ns/net").context("open the new network namespace")
        })
        .join()
        .map_err(|_| anyhow::anyhow!("the thread that makes a network namespace panicked"))??;
        let inode = file.metadata().context("inode of the new network namespace")?.ino();
        Ok(Netns { file, inode })
    }

    pub fn inode(&self) -> u64 {
        self.inode
    }

    pub fn fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Runs `work` inside the namespace, on a thread of its own.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let fd = self.fd();
        std::thread::scope(|scope| {
            scope
                .spawn(move || {
                    enter(fd).context("enter the network namespace")?;
                    work()
                })
                .join()
                .map_err(|_| anyhow::anyhow!("a thread in the network namespace panicked"))?
        })
    }

    /// Waits until every TCP socket in the namespace is gone or in TIME_WAIT, which
    /// no state event tells about: then nothing more is to come.
    pub fn settle(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let busy = self.inside(busy_sockets)?;
            if busy.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("sockets still busy {limit:?} after the last step:\n{}", busy.join("\n"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Moves the calling thread into the namespace. Safe between fork and exec.
pub fn enter(fd: RawFd) -> io::Result<()> {
    // SAFETY: takes no pointers.
    if unsafe { libc::setns(fd, libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The rows of the kernel's socket tables that are neither TIME_WAIT nor headings.
fn busy_sockets() -> Result<Vec<String>> {
    let mut busy = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = match std::fs::read_to_string(format!("/proc/thread-self/net/{table}")) {
            Ok(text) => text,
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error).with_context(|| format!("read net/{table}")),
        };
        for row in text.lines().skip(1) {
            let state = row.split_whitespace().nth(3);
            if state.is_some_and(|state| state != "06") {
                busy.push(row.to_owned());
            }
        }
    }
    Ok(busy)
}

fn bring_lo_up() -> io::Result<()> {
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq.
    let done = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &raw mut request) };
    let error = io::Error::last_os_error();
    // SAFETY: the descriptor is ours and used no more.
    unsafe { libc::close(fd) };
    if done == 0 { Ok(()) } else { Err(error) }
}
