//! The program that a process runs: the only reader of its memory's description and
//! of the names of files.

use core::arch::asm;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel_str, bpf_probe_read_user};
use netbreath_common::record::{ARGS, EXE_HALF, Program};

use crate::config;
use crate::kernel::{Kernel, Untyped};

/// Names and mounts on the way from a file up to the root that are followed.
const STEPS: usize = 32;

/// Writes the path of the program of a task.
#[inline(always)]
pub fn write_exe(task: Untyped, program: *mut Program) {
    unsafe {
        (&raw mut (*program).exe_len).write_volatile(0);
        (&raw mut (*program).whole).write_volatile(0);
    }
    let file = task
        .follow(config::TASK_MM())
        // A thread of the kernel runs no program.
        .filter(|mm| mm.addr() != 0)
        .and_then(|mm| mm.follow(config::MM_EXE()));
    if let Some(file) = file {
        write_path(file, program);
    }
}

/// Writes the names on the way to a file, last one first, and whether they reach the
/// root. As the kernel's own d_path(), but that one may not be called from here; and
/// without its lock, so that a directory which is renamed at the same time may be seen
/// under its old and its new parent.
#[inline(always)]
fn write_path(file: Untyped, program: *mut Program) -> Option<()> {
    // The length is kept in the record: what is read from there says nothing to the
    // verifier, which otherwise follows each way to each length on its own.
    let (names, len, whole) = unsafe {
        (
            (&raw mut (*program).exe).cast::<u8>(),
            &raw mut (*program).exe_len,
            &raw mut (*program).whole,
        )
    };
    let mut dentry = file.follow(config::FILE_DENTRY())?;
    let mut mnt = file.follow(config::FILE_MNT())?;
    for _ in 0..STEPS {
        let root = mnt.follow(config::VFSMOUNT_ROOT())?;
        if root.addr() == dentry.addr() {
            let mount =
                Untyped::new(unsafe { mnt.ptr().byte_sub(config::MOUNT_VFSMOUNT() as usize) });
            let above = mount.follow(config::MOUNT_PARENT())?;
            if above.addr() == mount.addr() {
                unsafe { whole.write_volatile(1) };
                break;
            }
            dentry = mount.follow(config::MOUNT_POINT())?;
            mnt = Untyped::new(unsafe { above.ptr().byte_add(config::MOUNT_VFSMOUNT() as usize) });
            continue;
        }
        let parent = dentry.follow(config::DENTRY_PARENT())?;
        let name = dentry.follow(config::DENTRY_NAME())?;
        let offset = u64::from(unsafe { len.read_volatile() });
        if offset >= EXE_HALF as u64 {
            break;
        }
        // The mask is for the verifier, which may not see the check.
        let offset = opaque(offset) & (EXE_HALF as u64 - 1);
        let written = unsafe {
            let place = names.add(offset as usize);
            bpf_probe_read_kernel_str(place.cast(), EXE_HALF as u32, name.ptr())
        };
        if written <= 0 {
            break;
        }
        unsafe { len.write_volatile((offset + written as u64) as u16) };
        // A file without a directory, such as one in memory only.
        if parent.addr() == dentry.addr() {
            unsafe { whole.write_volatile(1) };
            break;
        }
        dentry = parent;
    }
    Some(())
}

/// Writes the command line of the current process.
#[inline(always)]
pub fn write_args(task: Untyped, program: *mut Program) {
    let range = task.follow(config::TASK_MM()).and_then(|mm| {
        let (start, end): (u64, u64) =
            (mm.load(config::MM_ARG_START())?, mm.load(config::MM_ARG_END())?);
        Some((start, end.checked_sub(start)?))
    });
    let (start, len) = range.unwrap_or((0, 0));
    let mut size = opaque(len);
    if size > ARGS as u64 {
        size = ARGS as u64;
    }
    let args = unsafe { &raw mut (*program).args };
    let read = unsafe { bpf_probe_read_user(args.cast(), size as u32, start as *const _) };
    let len = if read == 0 { len as u32 } else { 0 };
    unsafe { (&raw mut (*program).args_len).write(len) };
}

/// The same number, of which the compiler knows nothing.
#[inline(always)]
fn opaque(number: u64) -> u64 {
    let mut number = number;
    unsafe { asm!("{0} = {0}", inout(reg) number) };
    number
}
