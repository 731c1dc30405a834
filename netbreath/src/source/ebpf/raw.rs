//! The system call itself, for what aya has no place for: programs that are made here and not
//! compiled, and one that has to be loaded sooner than aya's loader is ready.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_type};

/// Attributes with nothing in them.
pub fn empty() -> bpf_attr {
    // SAFETY: integers and numbers of pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// A call that answers with a descriptor.
pub fn open(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: new, and nobody else's.
    call(command, attr).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Loads a program that runs where traffic is controlled. An error has the verifier's last
/// words, if it had any.
pub fn load(words: &[u64], name: &str) -> Result<OwnedFd, (io::Error, String)> {
    let mut log = vec![0u8; 1 << 20];
    let mut attr = empty();
    // SAFETY: the member of the union that this command reads.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_SCHED_CLS as u32;
    load.insns = words.as_ptr() as u64;
    load.insn_cnt = u32::try_from(words.len()).unwrap_or(u32::MAX);
    load.license = c"GPL".as_ptr() as u64;
    // The kernel wants a zero at its end.
    for (to, from) in load.prog_name.iter_mut().zip(name.bytes().take(15)) {
        *to = from as _;
    }
    if let Ok(program) = open(bpf_cmd::BPF_PROG_LOAD, &mut attr) {
        return Ok(program);
    }
    // Once more, for what the verifier says.
    // SAFETY: as above.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.log_level = 1;
    load.log_size = u32::try_from(log.len()).unwrap_or(u32::MAX);
    load.log_buf = log.as_mut_ptr() as u64;
    open(bpf_cmd::BPF_PROG_LOAD, &mut attr).map_err(|error| {
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(0);
        let said = String::from_utf8_lossy(&log[..end]);
        let lines: Vec<&str> = said.lines().rev().take(4).collect();
        (error, lines.into_iter().rev().collect::<Vec<_>>().join("; "))
    })
}

/// Puts a program into a map of programs.
pub fn place(map: BorrowedFd<'_>, index: u32, program: BorrowedFd<'_>) -> io::Result<()> {
    let value = program.as_raw_fd() as u32;
    let mut attr = empty();
    // SAFETY: the member of the union that this command reads.
    let update = unsafe { &mut attr.__bindgen_anon_2 };
    update.map_fd = map.as_raw_fd() as u32;
    update.key = (&raw const index) as u64;
    update.__bindgen_anon_1.value = (&raw const value) as u64;
    call(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

fn call(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: the attributes are as long as said, and what they point to outlives the call.
    let answer = unsafe {
        libc::syscall(libc::SYS_bpf, command as i32, attr as *mut bpf_attr, size_of::<bpf_attr>())
    };
    match i32::try_from(answer) {
        Ok(answer) if answer >= 0 => Ok(answer),
        _ => Err(io::Error::last_os_error()),
    }
}
