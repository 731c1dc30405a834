//! A process takes a connection from a listener's queue.
//!
//! Attach points, best first: the function `void security_sock_graft(struct sock *sk,
//! struct socket *parent)`, by fentry or kprobe, which gives the connection to the socket
//! that accept() returns; the return of `struct sock *inet_csk_accept(struct sock *sk,
//! …)` by fexit (its arguments differ between kernels: two programs); the exits of the
//! system calls `accept` and `accept4`.
//!
//! Who waits in accept() is inside the second function, and the kernel then forgets to
//! call fexit programs when any program is attached to it or detached from it. A
//! kretprobe there forgets about waiters, too, if there are more than a few.

use aya_ebpf::EbpfContext;
use aya_ebpf::helpers::bpf_get_current_task;
use aya_ebpf::macros::{fentry, fexit, kprobe, tracepoint};
use aya_ebpf::programs::{FEntryContext, FExitContext, ProbeContext, TracePointContext};
use core::ffi::c_void;
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{Accept, Flow, How, Kind};

use super::sock_state;
use crate::filter::Verdict;
use crate::kernel::{Kernel, Untyped};
use crate::slot::Slot;
use crate::{config, debug, emit, filter, slot, sock, task, word};

/// No descriptor: the hook fires before the connection has one.
const NO_FD: u32 = u32::MAX;

#[fentry(function = "security_sock_graft")]
fn nb_accept_fe(ctx: FEntryContext) -> i32 {
    taken(bare_arg(&ctx, 0));
    0
}

/// Stands in for `nb_accept_fe`, as `nb_state_btf2` does.
#[fentry(function = "security_sock_graft")]
fn nb_accept_fe2(ctx: FEntryContext) -> i32 {
    if taken(bare_arg(&ctx, 0)) {
        emit::stood_in(Hook::Accept);
    }
    0
}

#[kprobe(function = "security_sock_graft")]
fn nb_accept_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg(0) {
        taken(sk);
    }
    0
}

/// `inet_csk_accept(sk, arg)`: 6.10 and newer.
#[fexit(function = "inet_csk_accept")]
fn nb_accept_fx2(ctx: FExitContext) -> i32 {
    taken(bare_arg(&ctx, 2));
    0
}

/// `inet_csk_accept(sk, flags, err, kern)`: older.
#[fexit(function = "inet_csk_accept")]
fn nb_accept_fx4(ctx: FExitContext) -> i32 {
    taken(bare_arg(&ctx, 4));
    0
}

#[tracepoint]
fn nb_accept_sys(ctx: TracePointContext) -> u32 {
    // events/syscalls/sys_exit_accept/format: __syscall_nr, ret.
    let Ok(fd) = (unsafe { ctx.read_at::<i64>(16) }) else {
        return 0;
    };
    if fd >= 0 {
        let task = Untyped::new(unsafe { bpf_get_current_task() } as *const c_void);
        if let Some(sk) = sock::from_fd(task, fd as u32) {
            accept(sk, fd as u32);
        }
    }
    0
}

/// An argument as a bare number. Read directly, it is a typed pointer, and with those
/// the verifier allows none of the arithmetic that makes an id of an address.
#[inline(always)]
fn bare_arg(ctx: &impl EbpfContext, n: u32) -> *const c_void {
    let word = size_of::<u64>() as u32;
    Untyped::new(ctx.as_ptr()).load::<u64>(n * word).unwrap_or(0) as *const c_void
}

/// Whether it was news that the current process has taken the socket.
#[inline(always)]
fn taken(sk: *const c_void) -> bool {
    if sk.is_null() {
        return false;
    }
    let sk = Untyped::new(sk);
    match slot::accepted(sk) {
        Some(slot) if slot::is_accepted_by(slot, task::on_cpu()) => false,
        _ => accept(sk, NO_FD),
    }
}

/// Whether there was a slot to tell it to.
#[inline(always)]
fn accept(sk: Untyped, fd: u32) -> bool {
    if !sock::is_inet(sk) {
        return false;
    }
    let at = emit::now();
    let slot = match slot::accepted(sk) {
        Some(slot) => slot,
        None => match older(sk, at) {
            Some(slot) => slot,
            None => return false,
        },
    };
    sock::identify(sk, &mut slot.socket, at);
    let owner = task::owner::<Untyped>(How::Accept);
    // Who accepts it decides; what waited was still the listener's.
    slot::select(slot, &owner);
    let verdict = sock_state::settle(sk, slot, Hook::Accept, true);
    debug::taken(slot.socket.id, slot.socket.owner.pid, owner.pid, verdict);
    let at = slot::accept(slot, owner, at);
    let queued = if slot.established == 0 { 0 } else { at.saturating_sub(slot.established) };
    if verdict == Verdict::Keep && config::emits(kinds::ACCEPT) {
        emit::record::<Accept>(Hook::Accept, Kind::Accept, at, |record| {
            let record = record.as_mut_ptr();
            unsafe {
                word::copy(&raw const slot.socket, &raw mut (*record).socket);
                (&raw mut (*record).socket.owner).write(owner);
                (&raw mut (*record).socket.opener).write(owner);
                (&raw mut (*record).queued).write(queued);
                (&raw mut (*record).fd).write(fd);
                (&raw mut (*record).zero).write(0);
            }
        });
    }
    slot::release(slot);
    true
}

/// A slot for a connection that has none: it was established before netbreath
/// started, or the filters ignore it.
#[inline(always)]
fn older(sk: Untyped, at: u64) -> Option<&'static mut Slot> {
    let mut flow = Flow { saddr: [0; 16], daddr: [0; 16], sport: 0, dport: 0, family: 0, proto: 0 };
    sock::read_flow(sk, &mut flow);
    if filter::place(sk, &flow, sock::netns(sk), true) == Verdict::Drop {
        return None;
    }
    let slot = slot::open(sk, Hook::Accept, Miss::NoSlot)?;
    sock::describe(sk, &mut slot.socket, at);
    sock::read_flow(sk, &mut slot.socket.flow);
    Some(slot)
}
