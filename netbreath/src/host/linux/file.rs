//! What processes have open, from `/proc/PID` (man 5 proc).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use crate::table::file::{Access, At, File, Kind};
use crate::table::socket::Process;

/// All processes, in the order of their ids.
pub fn processes() -> io::Result<Vec<Process>> {
    let mut pids: Vec<u32> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let all = pids.into_iter().map(super::socket::stat);
    // One without a name has ended meanwhile.
    Ok(all.filter(|process| !process.comm.is_empty()).collect())
}

/// What a process has open, in the order of lsof.
pub fn files(pid: u32) -> Vec<File> {
    let folder = format!("/proc/{pid}");
    if !Path::new(&folder).exists() {
        return Vec::new();
    }
    let mut all = Vec::new();
    for (name, at) in [("cwd", At::Cwd), ("root", At::Root), ("exe", At::Text)] {
        all.extend(linked(Path::new(&format!("{folder}/{name}")), at));
    }
    let text = all.iter().find(|file| file.at == At::Text);
    let text = text.and_then(|file| Some((file.device?, file.inode?)));
    all.extend(mapped(&folder, text));
    match fs::read_dir(format!("{folder}/fd")) {
        Ok(entries) => {
            let mut fds: Vec<u32> = entries
                .flatten()
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .collect();
            fds.sort_unstable();
            all.extend(fds.into_iter().filter_map(|fd| descriptor(&folder, fd)));
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            all.push(unknown(At::NoFd, format!("{folder}/fd (opendir: Permission denied)")));
        }
        // It has ended meanwhile.
        Err(_) => {}
    }
    all
}

/// Something that may not be looked at.
fn unknown(at: At, name: String) -> File {
    File {
        at,
        access: Access::Unknown,
        kind: Kind::Unknown,
        device: None,
        on: None,
        size: None,
        offset: 0,
        inode: None,
        links: None,
        name: name.into_bytes(),
        flags: None,
    }
}

/// The file behind a link of `/proc`; a kernel thread has none.
fn linked(path: &Path, at: At) -> Option<File> {
    let name = match fs::read_link(path) {
        Ok(name) => name.into_os_string().into_vec(),
        Err(error) => {
            let path = path.display();
            let name = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    format!("{path} (readlink: Permission denied)")
                }
                // A thread of the kernel has no program.
                _ if at == At::Text => path.to_string(),
                _ => return None,
            };
            return Some(unknown(at, name));
        }
    };
    let about = fs::metadata(path).ok();
    Some(described(at, name, about.as_ref()))
}

fn described(at: At, name: Vec<u8>, about: Option<&fs::Metadata>) -> File {
    let socket = name.strip_prefix(b"socket:[").and_then(|rest| rest.strip_suffix(b"]"));
    let socket = socket.and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
    let kind = about.map_or(Kind::Unknown, |about| {
        let kind = about.file_type();
        match socket {
            Some(inode) => Kind::Socket(inode),
            None if name.starts_with(b"anon_inode:") => Kind::Anonymous,
            None if kind.is_file() => Kind::Regular,
            None if kind.is_dir() => Kind::Directory,
            None if kind.is_char_device() => Kind::Character,
            None if kind.is_block_device() => Kind::Block,
            None if kind.is_fifo() => Kind::Fifo,
            None if kind.is_symlink() => Kind::Link,
            None => Kind::Unknown,
        }
    });
    let device = about.map(|about| match kind {
        Kind::Character | Kind::Block => numbers(about.rdev()),
        _ => numbers(about.dev()),
    });
    let sized = matches!(kind, Kind::Regular | Kind::Directory | Kind::Link | Kind::Anonymous);
    File {
        at,
        access: Access::Unknown,
        kind,
        device,
        on: about.map(|about| numbers(about.dev())),
        size: about.filter(|_| sized).map(MetadataExt::size),
        offset: 0,
        inode: about.map(MetadataExt::ino),
        links: about.map(MetadataExt::nlink),
        name: shown(name),
        flags: None,
    }
}

/// A pipe without a name is just that, and what has no place at all stands in brackets.
fn shown(name: Vec<u8>) -> Vec<u8> {
    if name.starts_with(b"pipe:[") {
        return b"pipe".to_vec();
    }
    match name.strip_prefix(b"anon_inode:") {
        Some(what) => what.to_vec(),
        None => name,
    }
}

fn numbers(device: u64) -> (u32, u32) {
    (libc::major(device), libc::minor(device))
}

fn descriptor(folder: &str, fd: u32) -> Option<File> {
    let path = format!("{folder}/fd/{fd}");
    let path = Path::new(&path);
    let mut file = linked(path, At::Fd(fd))?;
    if file.kind == Kind::Unknown {
        return Some(file);
    }
    // The link's own rights say how the file was opened.
    file.access = match fs::symlink_metadata(path).ok()?.mode() & 0o600 {
        0o400 => Access::Read,
        0o200 => Access::Write,
        0o600 => Access::Both,
        _ => Access::Unknown,
    };
    let text = fs::read_to_string(format!("{folder}/fdinfo/{fd}")).unwrap_or_default();
    (file.offset, file.flags) = info(&text);
    if file.name == b"[eventfd]"
        && let Some(id) = text.lines().find_map(|line| line.strip_prefix("eventfd-id:"))
    {
        file.name = format!("[eventfd:{}]", id.trim()).into_bytes();
    }
    Some(file)
}

/// Where a descriptor stands, and the flags that it was opened with.
fn info(text: &str) -> (u64, Option<u32>) {
    let value = |key| text.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let offset = value("pos:").and_then(|pos| pos.parse().ok());
    (offset.unwrap_or(0), value("flags:").and_then(|flags| u32::from_str_radix(flags, 8).ok()))
}

/// The flags that a descriptor was opened with.
pub fn flags(pid: u32, fd: u32) -> Option<u32> {
    info(&fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?).1
}

/// The kernel's word for the protocol of a socket that is in none of its tables here: not
/// bound, or of another network namespace.
pub fn protocol(pid: u32, fd: u32) -> Option<String> {
    let path = std::ffi::CString::new(format!("/proc/{pid}/fd/{fd}")).ok()?;
    let mut value = [0_u8; 64];
    // SAFETY: both strings end with a NUL, and the buffer is as long as said.
    let len = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"system.sockprotoname".as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let value = value.get(..usize::try_from(len).ok()?)?;
    let value = value.split(|byte| *byte == 0).next()?;
    Some(OsStr::from_bytes(value).to_string_lossy().into_owned())
}

/// What is mapped of files, once each, without the program itself.
fn mapped(folder: &str, text: Option<((u32, u32), u64)>) -> Vec<File> {
    let Ok(maps) = fs::read(format!("{folder}/maps")) else { return Vec::new() };
    let mut seen: HashSet<((u32, u32), u64)> = text.into_iter().collect();
    let mut all = Vec::new();
    for line in maps.split(|byte| *byte == b'\n') {
        // address perms offset device inode path
        let mut words = line.splitn(6, |byte| *byte == b' ').skip(3);
        let mut word = || std::str::from_utf8(words.next()?).ok();
        let device = word().and_then(|device| device.split_once(':'));
        let device = device.and_then(|(major, minor)| {
            Some((u32::from_str_radix(major, 16).ok()?, u32::from_str_radix(minor, 16).ok()?))
        });
        let inode = word().and_then(|inode| inode.parse::<u64>().ok());
        let (Some(device), Some(inode @ 1..)) = (device, inode) else { continue };
        let path = words.next().unwrap_or_default().trim_ascii_start();
        if !seen.insert((device, inode)) {
            continue;
        }
        let (path, deleted) = match path.strip_suffix(b" (deleted)") {
            Some(path) => (path, true),
            None => (path, false),
        };
        let name = OsStr::from_bytes(path);
        let about = if deleted { None } else { fs::metadata(name).ok() };
        let about = about.filter(|about| about.ino() == inode);
        let at = if about.is_some() { At::Mapped } else { At::Deleted };
        let mut file = described(at, path.to_vec(), about.as_ref());
        (file.device, file.on, file.inode) = (Some(device), Some(device), Some(inode));
        if file.kind == Kind::Unknown {
            file.kind = Kind::Regular;
        }
        all.push(file);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_files_are_seen() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let all = files(std::process::id());
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket) as u32;
        let ours = all.iter().find(|file| file.at == At::Fd(fd)).unwrap();
        assert!(matches!(ours.kind, Kind::Socket(_)));
        assert_eq!(ours.access, Access::Both);
        assert_eq!(all[0].at, At::Cwd);
        assert_eq!(all[0].kind, Kind::Directory);
        assert!(all.iter().any(|file| file.at == At::Text && file.kind == Kind::Regular));
        assert!(all.iter().any(|file| file.at == At::Mapped));
        assert!(files(u32::MAX).is_empty());
    }

    #[test]
    fn what_has_no_place_has_a_name_all_the_same() {
        assert_eq!(shown(b"pipe:[12]".to_vec()), b"pipe");
        assert_eq!(shown(b"anon_inode:[eventfd]".to_vec()), b"[eventfd]");
        assert_eq!(shown(b"/a b".to_vec()), b"/a b");
    }
}
