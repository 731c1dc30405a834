//! Processes begin, become other programs and end. Names of owners are made from
//! this, and children of those that the filter follows are followed too.
//!
//! Attach points, best first, by BTF or raw: the tracepoints
//! `sched_process_fork(struct task_struct *parent, struct task_struct *child)`,
//! `sched_process_exec(struct task_struct *p, …)`, which comes when the new program
//! is in place, and `sched_process_exit(struct task_struct *p, …)`, which comes for
//! each thread, before its files are closed; `task_rename(struct task_struct *task,
//! const char *comm)`, which comes before the name is set. What existed before comes from the
//! iterator `task(struct bpf_iter_meta *meta, struct task_struct *task)`.
//!
//! Tasks are read by calls even where their type is known: these events are rare, and
//! for each typed step from one structure to the next the verifier searches all types
//! of the kernel, which takes it a millisecond.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::{
    bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_seq_write,
};
use aya_ebpf::macros::{btf_tracepoint, map, raw_tracepoint};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use core::ffi::c_void;
use netbreath_common::config::{emit as kinds, filter as filters};
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{Header, How, Kind, Owner, Process, Program};

use crate::filter::{self, PIDS};
use crate::kernel::{Kernel, Typed, Untyped};
use crate::{config, emit, program, start, task};

/// Where the iterator puts a record together: it has no room on the stack.
#[map]
static SCRATCH: PerCpuArray<Program> = PerCpuArray::with_max_entries(1, 0);

/// The same for exec, which may come in the middle of the iterator. In the ring itself,
/// the verifier of 6.1 finds no two ways through the names of a path alike, and takes a
/// hundred times as long.
#[map]
static EXEC: PerCpuArray<Program> = PerCpuArray::with_max_entries(2, 0);

/// By hook: the task that each CPU told of last.
#[map]
static TOLD_OF: PerCpuArray<u64> = PerCpuArray::with_max_entries(Hook::ALL.len() as u32, 0);

/// Notes that the first program of a hook runs for this task.
#[inline(always)]
fn tells(hook: Hook, task: Untyped) {
    if let Some(told) = TOLD_OF.get_ptr_mut(hook as u32) {
        unsafe { told.write_volatile(task.addr()) };
    }
}

/// Whether the kernel has skipped the first program for this task: it does when that one
/// was put aside in the middle of its work for another task.
#[inline(always)]
fn is_untold(hook: Hook, task: Untyped) -> bool {
    if let Some(told) = TOLD_OF.get_ptr_mut(hook as u32) {
        unsafe {
            if told.read_volatile() == task.addr() {
                told.write_volatile(0);
                return false;
            }
        }
    }
    emit::stood_in(hook);
    true
}

#[btf_tracepoint(function = "sched_process_fork")]
fn nb_fork_btf2(ctx: BtfTracePointContext) -> i32 {
    let child = Untyped::new(ctx.arg(1));
    if is_untold(Hook::Fork, child) {
        fork(Untyped::new(ctx.arg(0)), child);
    }
    0
}

#[btf_tracepoint(function = "sched_process_exec")]
fn nb_exec_btf2(ctx: BtfTracePointContext) -> i32 {
    let task = Untyped::new(ctx.arg(0));
    if is_untold(Hook::Exec, task) {
        exec(task, 1);
    }
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
fn nb_exit_btf2(ctx: BtfTracePointContext) -> i32 {
    let task = Untyped::new(ctx.arg(0));
    if is_untold(Hook::Exit, task) {
        exit(task);
    }
    0
}

#[btf_tracepoint(function = "task_rename")]
fn nb_rename_btf2(ctx: BtfTracePointContext) -> i32 {
    let task = Untyped::new(ctx.arg(0));
    if is_untold(Hook::Rename, task) {
        rename(task, ctx.arg(1));
    }
    0
}

#[btf_tracepoint(function = "sched_process_fork")]
fn nb_fork_btf(ctx: BtfTracePointContext) -> i32 {
    let child = Untyped::new(ctx.arg(1));
    tells(Hook::Fork, child);
    fork(Untyped::new(ctx.arg(0)), child);
    0
}

#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn nb_fork_raw(ctx: RawTracePointContext) -> i32 {
    fork(Untyped::new(ctx.arg(0)), Untyped::new(ctx.arg(1)));
    0
}

#[btf_tracepoint(function = "sched_process_exec")]
fn nb_exec_btf(ctx: BtfTracePointContext) -> i32 {
    let task = Untyped::new(ctx.arg(0));
    tells(Hook::Exec, task);
    exec(task, 0);
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn nb_exec_raw(ctx: RawTracePointContext) -> i32 {
    exec(Untyped::new(ctx.arg(0)), 0);
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
fn nb_exit_btf(ctx: BtfTracePointContext) -> i32 {
    let task = Untyped::new(ctx.arg(0));
    tells(Hook::Exit, task);
    exit(task);
    0
}

#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn nb_exit_raw(ctx: RawTracePointContext) -> i32 {
    exit(Untyped::new(ctx.arg(0)));
    0
}

#[btf_tracepoint(function = "task_rename")]
fn nb_rename_btf(ctx: BtfTracePointContext) -> i32 {
    let task = Untyped::new(ctx.arg(0));
    tells(Hook::Rename, task);
    rename(task, ctx.arg(1));
    0
}

#[raw_tracepoint(tracepoint = "task_rename")]
fn nb_rename_raw(ctx: RawTracePointContext) -> i32 {
    rename(Untyped::new(ctx.arg(0)), ctx.arg(1));
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
fn nb_processes(ctx: *mut c_void) -> i32 {
    let ctx: *const *const c_void = ctx.cast_const().cast();
    // struct bpf_iter__task: each member takes eight bytes.
    let (meta, task) = unsafe { (*ctx, *ctx.add(1)) };
    if task.is_null() {
        // The last call of a pass.
        start::note();
    } else {
        exists(Typed::new(meta), Untyped::new(task));
    }
    0
}

#[inline(always)]
fn fork(parent: Untyped, child: Untyped) {
    let parent_pid: u32 = parent.read(config::TASK_TGID());
    let owner = task::owner_of(child, How::Unknown);
    // A new thread has its process's pid.
    if parent_pid == owner.pid {
        return;
    }
    if config::filters(filters::FOLLOW)
        && unsafe { PIDS.get(parent_pid) }.is_some()
        && PIDS.insert(owner.pid, owner.start, BPF_ANY.into()).is_err()
    {
        emit::missed(Hook::Fork, Miss::NoSlot);
    }
    send(Hook::Fork, Kind::Fork, &owner, task::parent(child));
}

#[inline(always)]
fn exec(task: Untyped, place: u32) {
    if !config::emits(kinds::PROCESS) {
        return;
    }
    let owner = task::owner_of(task, How::Unknown);
    let Some(scratch) = EXEC.get_ptr_mut(place) else {
        return;
    };
    write(unsafe { &raw mut (*scratch).process }, &owner, task::parent(task));
    program::write_exe(task, scratch);
    program::write_args(task, scratch);
    emit::record::<Program>(Hook::Exec, Kind::Exec, emit::now(), |record| {
        let (to, len) = (record.as_mut_ptr().cast(), size_of::<Program>() as u32);
        unsafe { bpf_probe_read_kernel(to, len, scratch.cast_const().cast()) };
    });
}

#[inline(always)]
fn exit(task: Untyped) {
    // Two threads that end at once are both the last; the reader notices.
    if task::is_last(task) {
        let owner = task::owner_of(task, How::Unknown);
        send(Hook::Exit, Kind::Exit, &owner, task::parent(task));
    }
}

#[inline(always)]
fn rename(task: Untyped, comm: *const c_void) {
    // Threads have names of their own, which nobody is called by here.
    if !config::emits(kinds::PROCESS) || !task::is_leader(task) {
        return;
    }
    let mut owner = task::owner_of(task, How::Unknown);
    owner.comm = [0; 16];
    let comm_ptr = (&raw mut owner.comm).cast();
    let read =
        unsafe { bpf_probe_read_kernel_str(comm_ptr, size_of_val(&owner.comm) as u32, comm) };
    if read > 0 {
        send(Hook::Rename, Kind::Rename, &owner, task::parent(task));
    }
}

#[inline(always)]
fn exists(meta: Typed, task: Untyped) {
    if !config::emits(kinds::PROCESS) || !task::is_leader(task) {
        return;
    }
    let owner = task::owner_of(task, How::Unknown);
    let Some(record) = SCRATCH.get_ptr_mut(0) else {
        return;
    };
    write(unsafe { &raw mut (*record).process }, &owner, task::parent(task));
    unsafe {
        (&raw mut (*record).process.header).write(Header {
            kind: Kind::Exists as u16,
            len: size_of::<Program>() as u16,
            cpu: 0,
            at: emit::now(),
            seq: 0,
            lost: 0,
            missed: 0,
        });
        // Another process's memory cannot be read here.
        (&raw mut (*record).args_len).write(0);
    }
    program::write_exe(task, record);
    // struct bpf_iter_meta begins with the file to write to.
    if let Some(seq) = meta.follow(0) {
        let len = size_of::<Program>() as u32;
        // If there is no room, the kernel takes back what was written and comes again
        // with this task at the reader's next read.
        unsafe { bpf_seq_write(seq.ptr().cast_mut().cast(), record.cast(), len) };
    }
}

#[inline(always)]
fn send(hook: Hook, kind: Kind, owner: &Owner, parent: (u32, u64)) {
    if !config::emits(kinds::PROCESS) {
        return;
    }
    emit::record::<Process>(hook, kind, emit::now(), |record| {
        write(record.as_mut_ptr(), owner, parent);
    });
}

/// Writes all but the header.
#[inline(always)]
fn write(process: *mut Process, owner: &Owner, parent: (u32, u64)) {
    unsafe {
        (&raw mut (*process).pid).write(owner.pid);
        (&raw mut (*process).parent).write(parent.0);
        (&raw mut (*process).uid).write(owner.uid);
        (&raw mut (*process).exec).write(owner.exec);
        (&raw mut (*process).start).write(owner.start);
        (&raw mut (*process).parent_start).write(parent.1);
        (&raw mut (*process).comm).write(owner.comm);
        (&raw mut (*process).selected).write(filter::selects_pid(owner).into());
        (&raw mut (*process).zero).write(0);
    }
}
