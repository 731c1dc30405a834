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
    let (len, whole) = task
        .follow(config::TASK_MM())
        // A thread of the kernel runs no program.
        .filter(|mm| mm.addr() != 0)
        .and_then(|mm| mm.follow(config::MM_EXE()))
        .filter(|file| file.addr() != 0)
        .map_or((0, false), |file| write_path(file, unsafe { (&raw mut (*program).exe).cast() }));
    unsafe {
        (&raw mut (*program).exe_len).write(len);
        (&raw mut (*program).whole).write(whole.into());
    }
}

/// Writes the names on the way to a file, last one first, and says how many bytes
/// that are and whether they reach the root. As the kernel's own d_path(), but that
/// one may not be called from here; and without its lock, so that a directory which
/// is renamed at the same time may be seen under its old and its new parent.
#[inline(always)]
fn write_path(file: Untyped, into: *mut u8) -> (u16, bool) {
    let (Some(mut dentry), Some(mut mnt)) =
        (file.follow(config::FILE_DENTRY()), file.follow(config::FILE_MNT()))
    else {
        return (0, false);
    };
    let mut len = 0;
    for _ in 0..STEPS {
        let (Some(root), Some(parent)) =
            (mnt.follow(config::VFSMOUNT_ROOT()), dentry.follow(config::DENTRY_PARENT()))
        else {
            break;
        };
        if root.addr() == dentry.addr() {
            let mount =
                Untyped::new(unsafe { mnt.ptr().byte_sub(config::MOUNT_VFSMOUNT() as usize) });
            let (Some(above), Some(point)) =
                (mount.follow(config::MOUNT_PARENT()), mount.follow(config::MOUNT_POINT()))
            else {
                break;
            };
            if above.addr() == mount.addr() {
                return (len as u16, true);
            }
            dentry = point;
            mnt = Untyped::new(unsafe { above.ptr().byte_add(config::MOUNT_VFSMOUNT() as usize) });
            continue;
        }
        let Some(name) = dentry.follow(config::DENTRY_NAME()) else {
            break;
        };
        // The mask is for the verifier; without the first it would be optimized away.
        let offset = opaque(len) & (EXE_HALF as u64 - 1);
        let written = unsafe {
            bpf_probe_read_kernel_str(into.add(offset as usize).cast(), EXE_HALF as u32, name.ptr())
        };
        if written <= 0 {
            break;
        }
        len = offset + written as u64;
        // A file without a directory, such as one in memory only.
        if parent.addr() == dentry.addr() {
            return (len as u16, true);
        }
        if len >= EXE_HALF as u64 {
            break;
        }
        dentry = parent;
    }
    (len as u16, false)
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
