//! A process writes to a socket or reads from it: so it owns it, whoever opened it.
//! Descriptors are inherited, passed, and kept over exec; accept() is not seen where
//! io_uring does it. Use tells the truth in all these cases.
//!
//! Attach points, best first: the tracepoints `sock_send_length` and
//! `sock_recv_length(struct sock *sk, int ret, int flags)` (6.3 and newer); the
//! functions `int tcp_sendmsg(struct sock *sk, …)` and `int tcp_recvmsg(struct sock
//! *sk, …)`; for reading, the tracepoint `tcp_rcv_space_adjust(struct sock *sk)`,
//! which follows a read of data.
//!
//! For packets, a writer must be known before what it writes goes out: there is the
//! tracepoint `tcp_sendmsg_locked(const struct sock *sk, …)` for that (6.16 and newer), or the
//! beginning of the functions.

use aya_ebpf::macros::{btf_tracepoint, fentry, kprobe};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, ProbeContext};
use core::ffi::c_void;
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{Handover, How, Kind};
use netbreath_common::tcp::TcpState;

use super::sock_state;
use crate::filter::Verdict;
use crate::kernel::{Kernel, Typed, Untyped};
use crate::slot::{ACCEPTABLE, IGNORED, Slot};
use crate::sock::Sock;
use crate::task::Current;
use crate::udp::{self, Handle};
use crate::{config, debug, emit, slot, sock, task, word};

#[btf_tracepoint(function = "sock_send_length")]
fn nb_send_btf(ctx: BtfTracePointContext) -> i32 {
    any(Typed::new(ctx.arg(0)), ctx.arg(1), 0, Hook::Send)
}

#[btf_tracepoint(function = "sock_recv_length")]
fn nb_recv_btf(ctx: BtfTracePointContext) -> i32 {
    any(Typed::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2), Hook::Receive)
}

#[btf_tracepoint(function = "tcp_rcv_space_adjust")]
fn nb_recv_adjust(ctx: BtfTracePointContext) -> i32 {
    done(Typed::new(ctx.arg(0)), 0, Hook::Receive)
}

#[fentry(function = "tcp_sendmsg")]
fn nb_send_fe(ctx: FEntryContext) -> i32 {
    done(Typed::new(ctx.arg(0)), 0, Hook::Send)
}

#[fentry(function = "tcp_recvmsg")]
fn nb_recv_fe(ctx: FEntryContext) -> i32 {
    done(Typed::new(ctx.arg(0)), 0, Hook::Receive)
}

#[kprobe(function = "tcp_sendmsg")]
fn nb_send_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg::<*const c_void>(0) {
        used(Untyped::new(sk), Hook::Send);
    }
    0
}

#[kprobe(function = "tcp_recvmsg")]
fn nb_recv_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg::<*const c_void>(0) {
        used(Untyped::new(sk), Hook::Receive);
    }
    0
}

#[btf_tracepoint(function = "tcp_sendmsg_locked")]
fn nb_begin_btf(ctx: BtfTracePointContext) -> i32 {
    done(Typed::new(ctx.arg(0)), 0, Hook::SendBegin)
}

#[fentry(function = "tcp_sendmsg")]
fn nb_begin_fe(ctx: FEntryContext) -> i32 {
    done(Typed::new(ctx.arg(0)), 0, Hook::SendBegin)
}

#[kprobe(function = "tcp_sendmsg")]
fn nb_begin_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg::<*const c_void>(0) {
        used(Untyped::new(sk), Hook::SendBegin);
    }
    0
}

/// Of a socket of any kind.
#[inline(always)]
fn any(sk: Typed, result: i32, flags: i32, hook: Hook) -> i32 {
    if sock::is_inet(sk) {
        // TCP first: it is by far the usual case. What nobody asked for is not even
        // compared, since the verifier drops it.
        if sock::is_tcp(sk) {
            if config::emits(kinds::TCP) && result >= 0 {
                tcp(sk, hook);
            }
            return 0;
        }
        if config::emits(kinds::DATAGRAM) && sock::is_udp(sk) {
            datagram(sk.ptr(), result, flags, hook);
        }
    } else if config::emits(kinds::UNIX) && result >= 0 && sock::is_unix(sk) {
        super::unix::used(Untyped::new(sk.ptr()), hook);
    }
    0
}

/// Of a UDP socket, by a typed pointer. A program that only looks for what is there
/// (`MSG_PEEK`) uses the socket, but reads no datagram.
#[inline(always)]
pub fn datagram(sk: *const c_void, result: i32, flags: i32, hook: Hook) {
    const MSG_PEEK: i32 = 0x2;
    const MSG_ERRQUEUE: i32 = 0x2000;
    let sends = matches!(hook, Hook::Send | Hook::UdpSend);
    let handle = Handle::of(sk);
    if result < 0 {
        return;
    }
    if !config::emits(kinds::UDP | kinds::DNS) {
        // Only for the owners of packets; who sends one is seen as it goes out.
        if sends {
            return;
        }
        if let Some(slot) = handle.find()
            && slot.socket.owner.pid == task::on_cpu()
        {
            return;
        }
    }
    let Some(slot) = handle.find_or_open(hook) else { return };
    let at = emit::now();
    udp::used(handle, slot, How::Io, at, hook);
    if sends {
        udp::sent(handle, slot, result as u32, at, hook);
    } else if flags & (MSG_PEEK | MSG_ERRQUEUE) == 0 {
        udp::received(handle, slot, result as u32, at, hook);
    }
}

/// `result`: bytes, or an error. One who only asks whether there is something to
/// read, and finds nothing, may be about to pass the socket on.
#[inline(always)]
fn done(sk: Typed, result: i32, hook: Hook) -> i32 {
    if result >= 0 {
        used(sk, hook);
    }
    0
}

#[inline(always)]
fn used<K: Sock + Current>(sk: K, hook: Hook) {
    if sock::is_inet(sk) && sock::is_tcp(sk) {
        tcp(sk, hook);
    }
}

#[inline(always)]
fn tcp<K: Sock + Current>(sk: K, hook: Hook) {
    let pid = task::on_cpu();
    match slot::find(sk) {
        Some(slot) if slot.flags & IGNORED != 0 => {}
        // By far the usual case: every read and write comes here.
        Some(slot) if slot.socket.owner.pid == pid && slot.flags & ACCEPTABLE == 0 => {}
        Some(slot) => take(sk, slot, pid, hook),
        None => {
            // Older than netbreath, and no seed told of it.
            if sock::state(sk) == TcpState::Close as u8 {
                return;
            }
            if let Some(slot) = slot::open_older(sk, hook, Miss::NoOwner) {
                sock::describe(sk, &mut slot.socket, emit::now());
                sock::read_flow(sk, &mut slot.socket.flow);
                take(sk, slot, pid, hook);
            }
        }
    }
}

/// The current process takes the socket over.
#[inline(always)]
fn take<K: Sock + Current>(sk: K, slot: &mut Slot, pid: u32, hook: Hook) {
    if task::is_kernel::<K>() {
        return;
    }
    let at = emit::now();
    let from = slot.socket.owner;
    sock::identify(sk, &mut slot.socket, at);
    let owner = task::owner::<K>(How::Io);
    slot::select(slot, &owner);
    // Somebody uses it, so somebody has accepted it, seen or not.
    let verdict = sock_state::settle(sk, slot, hook, true);
    debug::taken(slot.socket.id, from.pid, owner.pid, verdict);
    slot.socket.owner = owner;
    slot::release(slot);
    if from.pid == pid || verdict != Verdict::Keep || !config::emits(kinds::OWNER) {
        return;
    }
    emit::record::<Handover>(hook, Kind::Owner, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).from).write(from);
        }
    });
}
