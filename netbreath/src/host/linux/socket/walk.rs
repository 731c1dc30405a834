//! Who holds which socket, by `/proc`: one look at each descriptor of each process that
//! we may look into (man 5 proc, `/proc/PID/fd`).

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::table::socket::{Holder, Holders, Process};

/// What the walk found.
pub struct Walked {
    pub holders: Holders,
    /// How many processes did not let us look.
    pub closed: u32,
}

/// Looks at all descriptors of the processes that `wanted` names, or of all.
pub fn walk(wanted: Option<&[u32]>) -> io::Result<Walked> {
    let proc = Listing::open(c"/proc")?;
    let mut pids = Vec::new();
    match wanted {
        Some(wanted) => pids.extend_from_slice(wanted),
        None => proc.each(|name| pids.extend(number(name)))?,
    }
    let (mut holders, mut processes, mut closed) = (Vec::new(), Vec::new(), 0);
    for pid in pids {
        let before = holders.len();
        match descriptors(pid, &mut holders) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => closed += 1,
            // It has ended meanwhile.
            Err(_) => continue,
        }
        if holders.len() > before {
            processes.push(process(pid));
        }
    }
    Ok(Walked { holders: Holders::new(holders, processes), closed })
}

/// What `/proc/PID/stat` tells of a process; a process that has ended has no name.
pub fn process(pid: u32) -> Process {
    let text = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let uid = std::fs::metadata(format!("/proc/{pid}")).ok();
    let uid = uid.map(|about| std::os::unix::fs::MetadataExt::uid(&about));
    // The name stands in brackets, and can have any bytes but NUL.
    let (begin, end) =
        (text.iter().position(|byte| *byte == b'('), text.iter().rposition(|byte| *byte == b')'));
    let (Some(begin), Some(end)) = (begin, end) else {
        return Process { pid, uid, ..Process::default() };
    };
    let rest = String::from_utf8_lossy(text.get(end + 1..).unwrap_or_default()).into_owned();
    let mut rest = rest.split_ascii_whitespace().skip(1).map(|word| word.parse().ok());
    Process {
        pid,
        uid,
        comm: text.get(begin + 1..end).unwrap_or_default().to_vec(),
        parent: rest.next().flatten(),
        group: rest.next().flatten(),
        argument: None,
        exe: None,
    }
}

/// Seconds since a process began.
pub fn age(pid: u32) -> Option<u64> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = String::from_utf8_lossy(text.get(end + 1..)?).into_owned();
    // The 22nd field, in ticks since boot: the name is the second.
    let started: u64 = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
    // SAFETY: takes no pointers.
    let ticks = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    let uptime: u64 = uptime.split('.').next()?.parse().ok()?;
    Some(uptime.saturating_sub(started.checked_div(ticks)?))
}

/// The first argument of a process; nothing if it has none: kernel threads, zombies.
pub fn argument(pid: u32) -> Option<Vec<u8>> {
    let mut text = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let len = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(len);
    (!text.is_empty()).then_some(text)
}

/// Appends the descriptors of a process that are sockets.
fn descriptors(pid: u32, into: &mut Vec<Holder>) -> io::Result<()> {
    let path = CString::new(format!("/proc/{pid}/fd")).map_err(io::Error::other)?;
    let listing = Listing::open(&path)?;
    let mut hidden = None;
    listing.each(|name| {
        let Some(fd) = number(name) else { return };
        let mut target = [0_u8; 32];
        // SAFETY: the name ends with a NUL, and the buffer is as long as said.
        let len = unsafe {
            libc::readlinkat(
                listing.fd.as_raw_fd(),
                name.as_ptr(),
                target.as_mut_ptr().cast(),
                target.len(),
            )
        };
        let Ok(len) = usize::try_from(len) else {
            // One that is closed meanwhile is none any more; one may be hidden.
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::PermissionDenied {
                hidden = Some(error);
            }
            return;
        };
        if let Some(inode) = target.get(..len).and_then(socket_inode) {
            into.push(Holder { inode, pid, fd });
        }
    })?;
    hidden.map_or(Ok(()), Err)
}

/// The number in `socket:[123]`.
fn socket_inode(target: &[u8]) -> Option<u32> {
    let number = target.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

fn number(name: &CStr) -> Option<u32> {
    let bytes = name.to_bytes();
    if bytes.is_empty() || bytes.len() > 9 {
        return None;
    }
    bytes.iter().try_fold(0, |sum, byte| match byte {
        b'0'..=b'9' => Some(sum * 10 + u32::from(byte - b'0')),
        _ => None,
    })
}

/// A folder whose names are read in one buffer after the other: many are read here, and
/// each is looked at through its folder, which saves the way through the path.
struct Listing {
    fd: OwnedFd,
}

impl Listing {
    fn open(path: &CStr) -> io::Result<Listing> {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: the path ends with a NUL.
        let fd = unsafe { libc::open(path.as_ptr(), flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: new, and nobody else's.
        Ok(Listing { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    fn each(&self, mut each: impl FnMut(&CStr)) -> io::Result<()> {
        /// `struct linux_dirent64`: inode, offset, length, type; then the name.
        const NAME: usize = 19;
        let mut buffer = [0_u64; 2048];
        loop {
            // SAFETY: the kernel writes at most so many bytes.
            let got = unsafe {
                libc::syscall(
                    libc::SYS_getdents64,
                    self.fd.as_raw_fd(),
                    buffer.as_mut_ptr(),
                    size_of_val(&buffer),
                )
            };
            let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
            if got == 0 {
                return Ok(());
            }
            // SAFETY: bytes of the buffer, which are all written.
            let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), got) };
            let mut rest = bytes;
            while rest.len() > NAME {
                let len = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
                let Some(entry) = rest.get(..len).filter(|_| len > NAME) else { break };
                if let Ok(name) = CStr::from_bytes_until_nul(&entry[NAME..]) {
                    each(name);
                }
                rest = &rest[len..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_sockets_are_told_from_others() {
        assert_eq!(socket_inode(b"socket:[123]"), Some(123));
        assert_eq!(socket_inode(b"pipe:[123]"), None);
        assert_eq!(socket_inode(b"socket:[12x]"), None);
        assert_eq!(socket_inode(b"/tmp/socket:[1]"), None);
        assert_eq!(number(c"042"), Some(42));
        assert_eq!(number(c"self"), None);
        assert_eq!(number(c""), None);
    }

    #[test]
    fn our_own_sockets_are_ours() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = {
            let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
            socket_inode(link.as_os_str().as_encoded_bytes()).unwrap()
        };
        let pid = std::process::id();
        let walked = walk(Some(&[pid])).unwrap();
        let fd = socket.as_raw_fd() as u32;
        assert_eq!(walked.holders.of(inode), [Holder { inode, pid, fd }]);
        let process = walked.holders.process(pid).unwrap();
        assert!(!process.comm.is_empty() && process.parent.is_some());
        assert!(argument(pid).is_some());
    }
}
