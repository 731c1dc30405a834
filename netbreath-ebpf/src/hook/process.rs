//! Processes that are forked by those that the filter follows are followed too.
//!
//! Attach points, best first: the tracepoint `sched_process_fork(struct task_struct
//! *parent, struct task_struct *child)` by BTF, or raw.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use core::ffi::c_void;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;

use crate::filter::PIDS;
use crate::kernel::{Kernel, Typed, Untyped};
use crate::{config, emit};

#[btf_tracepoint(function = "sched_process_fork")]
fn nb_fork_btf(ctx: BtfTracePointContext) -> i32 {
    fork(Typed::new(ctx.arg(0)), Typed::new(ctx.arg(1)));
    0
}

#[raw_tracepoint(tracepoint = "sched_process_fork")]
fn nb_fork_raw(ctx: RawTracePointContext) -> i32 {
    let (parent, child): (*const c_void, *const c_void) = (ctx.arg(0), ctx.arg(1));
    fork(Untyped::new(parent), Untyped::new(child));
    0
}

#[inline(always)]
fn fork<K: Kernel>(parent: K, child: K) {
    let parent_pid: u32 = parent.load(config::TASK_TGID()).unwrap_or(0);
    let child_pid: u32 = child.load(config::TASK_TGID()).unwrap_or(0);
    // A new thread has its process's pid.
    if parent_pid == child_pid || unsafe { PIDS.get(parent_pid) }.is_none() {
        return;
    }
    let start: u64 = child.load(config::TASK_START()).unwrap_or(0);
    if PIDS.insert(child_pid, start, BPF_ANY.into()).is_err() {
        emit::missed(Hook::Process, Miss::NoSlot);
    }
}
