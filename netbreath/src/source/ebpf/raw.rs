//! Programs that are made here and not compiled: the system calls that aya has no place for.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::generated::{bpf_cmd, bpf_prog_type};

/// Loads a program that runs where traffic is controlled. An error has the verifier's last
/// words, if it had any.
pub fn load(words: &[u64], name: &str) -> Result<OwnedFd, (io::Error, String)> {
    #[repr(C)]
    struct Attributes {
        kind: u32,
        count: u32,
        words: u64,
        license: u64,
        log_level: u32,
        log_len: u32,
        log: u64,
        kernel: u32,
        flags: u32,
        name: [u8; 16],
    }
    let mut log = vec![0u8; 1 << 20];
    let mut attributes = Attributes {
        kind: bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS as u32,
        count: words.len() as u32,
        words: words.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_len: 0,
        log: 0,
        kernel: 0,
        flags: 0,
        name: [0; 16],
    };
    let len = name.len().min(15);
    attributes.name[..len].copy_from_slice(&name.as_bytes()[..len]);
    if let Ok(fd) = call(bpf_cmd::BPF_PROG_LOAD, &attributes) {
        // SAFETY: the kernel has just made the descriptor, for us alone.
        return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    // Once more, for what the verifier says.
    attributes.log_level = 1;
    attributes.log_len = log.len() as u32;
    attributes.log = log.as_mut_ptr() as u64;
    match call(bpf_cmd::BPF_PROG_LOAD, &attributes) {
        // SAFETY: as above.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(error) => {
            let end = log.iter().position(|byte| *byte == 0).unwrap_or(0);
            let said = String::from_utf8_lossy(&log[..end]);
            let lines: Vec<&str> = said.lines().rev().take(4).collect();
            Err((error, lines.into_iter().rev().collect::<Vec<_>>().join("; ")))
        }
    }
}

/// Puts a program into a map of programs.
pub fn place(map: BorrowedFd<'_>, index: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    #[repr(C)]
    struct Attributes {
        map: u32,
        zero: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let value = program.as_raw_fd() as u32;
    let attributes = Attributes {
        map: map.as_raw_fd() as u32,
        zero: 0,
        key: (&raw const index) as u64,
        value: (&raw const value) as u64,
        flags: 0,
    };
    call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &attributes).map(drop)
}

fn call<T>(command: bpf_cmd, attributes: &T) -> io::Result<i32> {
    // SAFETY: the attributes are those of the command, and what they point to outlives the
    // call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done as i32) }
}
