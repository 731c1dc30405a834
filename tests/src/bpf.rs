//! The kernel's own lists of programs, links and maps of eBPF: what really is loaded,
//! whoever says what.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result};

/// A kind of object that the kernel has a list of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Program,
    Link,
    Map,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Program, Kind::Link, Kind::Map];

    /// Its line in /proc/PID/fdinfo/FD.
    fn line(self) -> &'static str {
        match self {
            Kind::Program => "prog_id:",
            Kind::Link => "link_id:",
            Kind::Map => "map_id:",
        }
    }

    /// `BPF_*_GET_NEXT_ID` of `enum bpf_cmd`.
    fn next(self) -> libc::c_long {
        match self {
            Kind::Program => 11,
            Kind::Map => 12,
            Kind::Link => 31,
        }
    }
}

/// Ids of all objects of a kind in the kernel.
pub fn ids(kind: Kind) -> Result<BTreeSet<u32>> {
    #[repr(C)]
    struct Ask {
        start: u32,
        next: u32,
        flags: u32,
    }
    let mut ask = Ask { start: 0, next: 0, flags: 0 };
    let mut ids = BTreeSet::new();
    loop {
        match call(kind.next(), &mut ask) {
            Ok(_) => {
                ids.insert(ask.next);
                ask.start = ask.next;
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(ids),
            Err(error) => return Err(error).with_context(|| format!("list each {kind:?}")),
        }
    }
}

/// Ids of the objects that a process holds, by what the kernel tells of its descriptors.
pub fn ids_of(pid: u32, kind: Kind) -> Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).context("descriptors of a tracer")? {
        // A descriptor may be gone by now.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let is_link = text.contains(Kind::Link.line());
        // A link names its program too.
        if is_link && kind == Kind::Program {
            continue;
        }
        let id = text.lines().find_map(|line| line.strip_prefix(kind.line()));
        ids.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
    }
    Ok(ids)
}

/// A program's name and how often the kernel has skipped it.
pub fn program(id: u32) -> Result<(String, u64)> {
    /// `BPF_PROG_GET_FD_BY_ID` and `BPF_OBJ_GET_INFO_BY_FD`.
    const GET_FD: libc::c_long = 13;
    const GET_INFO: libc::c_long = 15;
    /// Places in `struct bpf_prog_info`, which only ever grows at its end.
    const NAME: usize = 64;
    const RECURSION_MISSES: usize = 208;
    #[repr(C)]
    struct GetFd {
        id: u32,
        next: u32,
        flags: u32,
    }
    #[repr(C)]
    struct GetInfo {
        fd: u32,
        len: u32,
        info: u64,
    }
    let fd = call(GET_FD, &mut GetFd { id, next: 0, flags: 0 })
        .with_context(|| format!("open the program {id}"))?;
    // SAFETY: the descriptor is new and has no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = [0_u8; 216];
    let (fd, len) = (fd.as_raw_fd() as u32, info.len() as u32);
    call(GET_INFO, &mut GetInfo { fd, len, info: info.as_mut_ptr() as u64 })
        .with_context(|| format!("ask about the program {id}"))?;
    let name = info[NAME..NAME + 16].split(|byte| *byte == 0).next().unwrap_or_default();
    let mut misses = [0; 8];
    misses.copy_from_slice(&info[RECURSION_MISSES..]);
    Ok((String::from_utf8_lossy(name).into_owned(), u64::from_ne_bytes(misses)))
}

fn call<T>(command: libc::c_long, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: the kernel reads, and for some commands writes, the attributes' bytes.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>())
    };
    i32::try_from(done).ok().filter(|done| *done >= 0).ok_or_else(io::Error::last_os_error)
}
