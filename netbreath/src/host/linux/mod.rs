//! Linux: `/proc`, the cgroup file system, and the C library for users and names.

use std::ffi::{CStr, CString, OsStr};
use std::io::{self, IsTerminal};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{env, fs, ptr};

use super::{Account, Caller, Host, Process, Terminal};
use crate::filter::Cgroup;
use crate::lesson::Language;

pub mod ethtool;
pub mod file;
pub mod netlink;
pub mod network;
pub mod sandbox;
pub mod socket;

/// The running system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

/// `NSFS_MAGIC` of `linux/magic.h`: the file system of namespaces.
const NSFS: u64 = 0x6e73_6673;

impl Host for Linux {
    fn process(&self, pid: u32) -> io::Result<Process> {
        // Threads have a directory here too, though it is not listed.
        let status = match fs::read_to_string(format!("/proc/{pid}/status")) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Process::Gone),
            Err(error) => return Err(error),
        };
        let tgid = status.lines().find_map(|line| line.strip_prefix("Tgid:"));
        Ok(match tgid.and_then(|tgid| tgid.trim().parse().ok()) {
            Some(tgid) if tgid != pid => Process::Thread(tgid),
            _ => Process::Here,
        })
    }

    fn user(&self, name: &str) -> io::Result<Option<u32>> {
        let name = CString::new(name)?;
        let user = passwd(|entry, buffer, len, found| {
            // SAFETY: `passwd` passes pointers that are valid for the call.
            unsafe { libc::getpwnam_r(name.as_ptr(), entry, buffer, len, found) }
        })?;
        Ok(user.map(|(uid, ..)| uid))
    }

    fn cgroup(&self, path: &str) -> io::Result<Cgroup> {
        let root = cgroup_root(&fs::read_to_string("/proc/self/mountinfo")?).ok_or_else(|| {
            io::Error::other("this system has no unified cgroup hierarchy mounted (cgroup v2)")
        })?;
        let below = Path::new(path).strip_prefix(&root).unwrap_or(Path::new(path));
        let below = below.strip_prefix("/").unwrap_or(below);
        let directory = root.join(below);
        let meta = fs::metadata(&directory).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", directory.display()))
        })?;
        if !meta.is_dir() || !directory.join("cgroup.procs").exists() {
            return Err(io::Error::other(format!("{} is no cgroup", directory.display())));
        }
        let level = below.components().count();
        Ok(Cgroup {
            id: meta.ino(),
            level: u32::try_from(level).unwrap_or(u32::MAX),
            path: format!("/{}", below.display()),
        })
    }

    fn netns(&self, path: &Path) -> io::Result<u32> {
        let file = fs::File::open(path)?;
        let mut about = MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the descriptor is open and the buffer has the right size.
        let status =
            unsafe { libc::fstatfs(std::os::fd::AsRawFd::as_raw_fd(&file), about.as_mut_ptr()) };
        if status != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: fstatfs succeeded, so it has filled the buffer.
        if unsafe { about.assume_init() }.f_type as u64 != NSFS {
            return Err(io::Error::other("this file is no namespace"));
        }
        u32::try_from(file.metadata()?.ino()).map_err(io::Error::other)
    }

    fn terminal(&self) -> Terminal {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let stdout = io::stdout().is_terminal();
        let variable = |name: &str| env::var(name).ok();
        let utf8 = locale_is_utf8(variable);
        let width = terminal_size::terminal_size_of(io::stdout());
        Terminal {
            stdout,
            stderr: io::stderr().is_terminal(),
            width: width.filter(|_| stdout).map(|(terminal_size::Width(width), _)| width),
            no_colour: set("NO_COLOR") || env::var_os("TERM").is_some_and(|term| term == "dumb"),
            utf8,
            language: Language::of_locale(variable, utf8),
        }
    }
}

/// Whether the environment's locale has UTF-8: the first of these that is set says.
pub fn locale_is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

/// Inode number of the network namespace that we are in.
pub fn own_netns() -> Option<u32> {
    u32::try_from(fs::metadata("/proc/self/ns/net").ok()?.ino()).ok()
}

/// Where the unified hierarchy is mounted, from the text of mountinfo.
fn cgroup_root(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        kind.starts_with("cgroup2 ").then(|| mount.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// The user who called us through sudo, if one did: whose command a command is.
pub fn caller() -> io::Result<Option<Caller>> {
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(None);
    }
    let id = |name| env::var(name).ok().and_then(|id| id.parse::<u32>().ok());
    let Some(uid) = id("SUDO_UID").filter(|uid| *uid != 0) else {
        return Ok(None);
    };
    let user = passwd(|entry, buffer, len, found| {
        // SAFETY: `passwd` passes pointers that are valid for the call.
        unsafe { libc::getpwuid_r(uid, entry, buffer, len, found) }
    })?;
    let Some((_, primary, account)) = user else {
        let gid = id("SUDO_GID").unwrap_or(uid);
        return Ok(Some(Caller { uid, gid, groups: vec![gid], account: None }));
    };
    let gid = id("SUDO_GID").unwrap_or(primary);
    let groups = groups(&account.name, gid)?;
    Ok(Some(Caller { uid, gid, groups, account: Some(account) }))
}

type Ask<'a> =
    &'a dyn Fn(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> i32;

/// Runs one of the `getpw*_r` with a buffer that grows until the entry fits.
fn passwd(
    ask: impl Fn(*mut libc::passwd, *mut libc::c_char, usize, *mut *mut libc::passwd) -> i32,
) -> io::Result<Option<(u32, u32, Account)>> {
    let ask: Ask<'_> = &ask;
    let mut buffer: Vec<libc::c_char> = vec![0; 1024];
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found = ptr::null_mut();
        match ask(entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found) {
            0 if found.is_null() => return Ok(None),
            0 => {}
            libc::ERANGE if buffer.len() < 1 << 20 => {
                buffer.resize(buffer.len() * 2, 0);
                continue;
            }
            // What some C libraries answer for "there is no such user".
            libc::ENOENT | libc::ESRCH => return Ok(None),
            error => return Err(io::Error::from_raw_os_error(error)),
        }
        // SAFETY: the call succeeded and found an entry, which is the one we gave.
        let entry = unsafe { entry.assume_init() };
        let text = |pointer: *const libc::c_char| {
            if pointer.is_null() {
                return Vec::new();
            }
            // SAFETY: a string of the entry, which lives in `buffer`.
            unsafe { CStr::from_ptr(pointer) }.to_bytes().to_vec()
        };
        let path = |pointer| PathBuf::from(OsStr::from_bytes(&text(pointer)));
        let account = Account {
            name: String::from_utf8_lossy(&text(entry.pw_name)).into_owned(),
            home: path(entry.pw_dir),
            shell: path(entry.pw_shell),
        };
        return Ok(Some((entry.pw_uid, entry.pw_gid, account)));
    }
}

/// The name of the user with this id.
pub fn user_name(uid: u32) -> Option<String> {
    let user = passwd(|entry, buffer, len, found| {
        // SAFETY: `passwd` passes pointers that are valid for the call.
        unsafe { libc::getpwuid_r(uid, entry, buffer, len, found) }
    });
    user.ok().flatten().map(|(.., account)| account.name)
}

/// The groups of a user, with `gid` among them.
fn groups(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    let name = CString::new(name)?;
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let mut len = libc::c_int::try_from(groups.len()).map_err(io::Error::other)?;
        // SAFETY: `groups` has room for `len` ids.
        let status =
            unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut len) };
        let needed = usize::try_from(len).unwrap_or(0);
        if status >= 0 {
            groups.truncate(needed);
            return Ok(groups);
        }
        if groups.len() > 65_536 {
            return Err(io::Error::other("the user is in more than 65536 groups"));
        }
        groups.resize(needed.max(groups.len() * 2), 0);
    }
}

/// The host name of an address, from whatever nsswitch.conf names. Can take seconds.
pub fn name_of(addr: SocketAddr) -> Option<String> {
    let mut host = [0 as libc::c_char; 1025];
    let answer = |address: *const libc::sockaddr, len: usize, host: &mut [libc::c_char]| {
        // SAFETY: both buffers are valid for the lengths given.
        unsafe {
            libc::getnameinfo(
                address,
                len as libc::socklen_t,
                host.as_mut_ptr(),
                host.len() as libc::socklen_t,
                ptr::null_mut(),
                0,
                libc::NI_NAMEREQD,
            )
        }
    };
    let status = match addr {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: 0,
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            answer((&raw const raw).cast(), size_of_val(&raw), &mut host)
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: 0,
            };
            answer((&raw const raw).cast(), size_of_val(&raw), &mut host)
        }
    };
    if status != 0 {
        return None;
    }
    // SAFETY: getnameinfo succeeded, so the buffer holds a terminated string.
    let name = unsafe { CStr::from_ptr(host.as_ptr()) };
    Some(name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_told_from_threads() {
        let pid = std::process::id();
        assert_eq!(Linux.process(pid).unwrap(), Process::Here);
        assert_eq!(Linux.process(u32::MAX).unwrap(), Process::Gone);
        let tid = std::thread::spawn(|| {
            // SAFETY: gettid has no preconditions.
            let tid = unsafe { libc::gettid() };
            (tid as u32, Linux.process(tid as u32).unwrap())
        });
        assert_eq!(tid.join().unwrap().1, Process::Thread(pid));
    }

    #[test]
    fn users_and_namespaces_are_found() {
        assert_eq!(Linux.user("root").unwrap(), Some(0));
        assert_eq!(Linux.user("no such user").unwrap(), None);
        assert!(Linux.netns(Path::new("/proc/self/ns/net")).unwrap() > 0);
        assert!(Linux.netns(Path::new("/proc/self/status")).is_err());
    }

    #[test]
    fn the_cgroup_root_is_that_of_the_unified_hierarchy() {
        let text = "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                    31 23 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup_root(text), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(cgroup_root("1 2 0:3 / / rw - ext4 /dev/sda rw\n"), None);
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let locale = |pairs: &'static [(&str, &str)]| {
            locale_is_utf8(move |name| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(locale(&[("LANG", "en_GB.UTF-8")]));
        assert!(locale(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!locale(&[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8")]));
        assert!(!locale(&[]));
    }
}
