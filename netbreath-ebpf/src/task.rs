//! The only reader of `struct task_struct`.

use core::ffi::c_void;

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_task, bpf_get_current_task_btf,
    bpf_get_current_uid_gid,
};
use netbreath_common::record::{How, Owner};

use crate::config;
use crate::kernel::{Kernel, Typed, Untyped};

/// A way to the current task.
pub trait Current: Kernel {
    fn current() -> Self;
}

impl Current for Typed {
    #[inline(always)]
    fn current() -> Self {
        Typed::new(unsafe { bpf_get_current_task_btf() }.cast())
    }
}

impl Current for Untyped {
    #[inline(always)]
    fn current() -> Self {
        Untyped::new(unsafe { bpf_get_current_task() } as *const c_void)
    }
}

/// The process that the CPU serves: the one that acts only in a system call of its
/// own, somebody unrelated in an interrupt.
#[inline(always)]
pub fn on_cpu() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// The same where the helper for it is not to be had.
#[inline(always)]
pub fn process() -> u32 {
    Untyped::current().read(config::TASK_TGID())
}

/// The current process as an owner. Only for hooks that run in its system call.
#[inline(always)]
pub fn owner<K: Current>(how: How) -> Owner {
    let mut owner = describe(K::current(), how);
    owner.pid = on_cpu();
    owner.uid = bpf_get_current_uid_gid() as u32;
    owner
}

/// Whether the kernel itself is at work, not a process.
#[inline(always)]
pub fn is_kernel<K: Current>() -> bool {
    const PF_KTHREAD: u32 = 0x0020_0000;
    K::current().read::<u32>(config::TASK_FLAGS()) & PF_KTHREAD != 0
}

/// Whether the current process is about to end, and its descriptors are closed for it.
#[inline(always)]
pub fn is_exiting<K: Current>() -> bool {
    const PF_EXITING: u32 = 0x0000_0004;
    K::current().read::<u32>(config::TASK_FLAGS()) & PF_EXITING != 0
}

/// The process of any task as an owner.
#[inline(always)]
pub fn owner_of<K: Kernel>(task: K, how: How) -> Owner {
    let mut owner = describe(task, how);
    owner.pid = task.read(config::TASK_TGID());
    owner.uid = task
        .follow(config::TASK_CRED())
        .and_then(|cred| cred.load(config::CRED_UID()))
        .unwrap_or(0);
    owner
}

/// Id and start of the process that the task's process is a child of.
#[inline(always)]
pub fn parent<K: Kernel>(task: K) -> (u32, u64) {
    // A thread of it may be the one that forked.
    let leader =
        task.follow(config::TASK_PARENT()).and_then(|parent| parent.follow(config::TASK_LEADER()));
    let Some(leader) = leader else {
        return (0, 0);
    };
    (leader.read(config::TASK_TGID()), leader.read(config::TASK_START()))
}

/// Whether the task is its process's first thread.
#[inline(always)]
pub fn is_leader<K: Kernel>(task: K) -> bool {
    task.load::<u32>(config::TASK_PID()) == task.load::<u32>(config::TASK_TGID())
}

/// Whether all threads of the task's process have ended, or are about to.
#[inline(always)]
pub fn is_last<K: Kernel>(task: K) -> bool {
    task.follow(config::TASK_SIGNAL()).and_then(|signal| signal.load::<u32>(config::SIGNAL_LIVE()))
        == Some(0)
}

/// Name and start of a task's process: those of its leader, since a thread may have
/// a name of its own.
#[inline(always)]
fn describe<K: Kernel>(task: K, how: How) -> Owner {
    let leader = task.follow(config::TASK_LEADER()).unwrap_or(task);
    Owner {
        pid: 0,
        uid: 0,
        start: leader.read(config::TASK_START()),
        comm: comm(leader),
        how: how as u8,
        zero: [0; 3],
        exec: leader.read::<u64>(config::TASK_EXEC_ID()) as u32,
    }
}

#[inline(always)]
fn comm<K: Kernel>(task: K) -> [u8; 16] {
    // By parts: a typed load is at most eight bytes wide.
    let offset = config::TASK_COMM();
    let low: u64 = task.read(offset);
    let high: u64 = task.read(offset + 8);
    let mut comm = [0; 16];
    comm[..8].copy_from_slice(&low.to_ne_bytes());
    comm[8..].copy_from_slice(&high.to_ne_bytes());
    comm
}
