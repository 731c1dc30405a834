//! UNIX sockets: bound, listening, connected, accepted, closed.
//!
//! Attach points, best first: the returns of `int unix_bind(struct socket *sock, struct
//! sockaddr *uaddr, int addr_len)`, `int unix_listen(struct socket *sock, int backlog)`,
//! `int unix_stream_connect(struct socket *sock, struct sockaddr *uaddr, int addr_len, int
//! flags)`, its twin for datagrams, and `int unix_accept(struct socket *sock, struct socket
//! *newsock, …)`, and the entry of `int unix_release(struct socket *sock)`; the system
//! calls themselves, and the exits of processes, which close what they have open. Who uses
//! one, `io` sees; where its tracepoints do not exist, the returns of `int
//! unix_stream_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`, `int
//! unix_stream_recvmsg(struct socket *sock, struct msghdr *msg, size_t size, int flags)` and
//! their twins for datagrams and packets.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::helpers::generated::bpf_loop;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_task};
use aya_ebpf::macros::{btf_tracepoint, fentry, fexit, kprobe, map, tracepoint};
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::{
    BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, TracePointContext,
};
use core::ffi::c_void;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{How, UnixWhat};

use crate::kernel::{Kernel, Untyped};
use crate::unix::{self, LISTENS, NO_FD};
use crate::{config, emit, sock, task};

/// A system call that is under way.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    sk: u64,
    fd: u64,
}

/// Those that are about a UNIX socket, by thread.
#[map]
static UNIX_CALLS: HashMap<u64, Call> = HashMap::with_max_entries(32768, BPF_F_NO_PREALLOC);

#[tracepoint]
fn nb_unix_bind_in(ctx: TracePointContext) -> u32 {
    called(&ctx, Hook::UnixBind)
}

#[tracepoint]
fn nb_unix_list_in(ctx: TracePointContext) -> u32 {
    called(&ctx, Hook::UnixListen)
}

#[tracepoint]
fn nb_unix_conn_in(ctx: TracePointContext) -> u32 {
    called(&ctx, Hook::UnixConnect)
}

/// A system call begins that is about a socket.
#[inline(always)]
fn called(ctx: &TracePointContext, hook: Hook) -> u32 {
    // events/syscalls/sys_enter_listen/format: __syscall_nr, fd.
    let Ok(fd) = (unsafe { ctx.read_at::<u64>(16) }) else { return 0 };
    if let Some(sk) = sock::from_fd(current(), fd as u32)
        && sock::is_unix(sk)
    {
        let call = Call { sk: sk.addr(), fd };
        if UNIX_CALLS.insert(bpf_get_current_pid_tgid(), call, BPF_ANY.into()).is_err() {
            emit::missed(hook, Miss::NoSlot);
        }
    }
    0
}

#[tracepoint]
fn nb_unix_bind(ctx: TracePointContext) -> u32 {
    if let Some((sk, fd)) = returned(&ctx) {
        bound(sk, fd);
    }
    0
}

#[tracepoint]
fn nb_unix_listen(ctx: TracePointContext) -> u32 {
    if let Some((sk, fd)) = returned(&ctx) {
        listens(sk, fd);
    }
    0
}

#[tracepoint]
fn nb_unix_connect(ctx: TracePointContext) -> u32 {
    if let Some((sk, fd)) = returned(&ctx) {
        connected(sk, fd);
    }
    0
}

/// The exit of accept() and accept4().
#[tracepoint]
fn nb_unix_accept(ctx: TracePointContext) -> u32 {
    // events/syscalls/sys_exit_accept/format: __syscall_nr, ret.
    let Ok(fd) = (unsafe { ctx.read_at::<i64>(16) }) else { return 0 };
    if fd >= 0
        && let Some(sk) = sock::from_fd(current(), fd as u32)
        && sock::is_unix(sk)
    {
        accepted(sk, fd as u32);
    }
    0
}

/// The entry of close().
#[tracepoint]
fn nb_unix_close(ctx: TracePointContext) -> u32 {
    let Ok(fd) = (unsafe { ctx.read_at::<u64>(16) }) else { return 0 };
    closes(current(), fd as u32);
    0
}

#[btf_tracepoint(function = "sched_process_exit")]
fn nb_unix_exit(ctx: BtfTracePointContext) -> i32 {
    ends(Untyped::new(ctx.arg(0)));
    0
}

#[fexit(function = "unix_bind")]
fn nb_unix_bind_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(3) == 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        bound(sk, NO_FD);
    }
    0
}

#[fexit(function = "unix_listen")]
fn nb_unix_list_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(2) == 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        listens(sk, NO_FD);
    }
    0
}

#[fexit(function = "unix_stream_connect")]
fn nb_unix_conn_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(4) == 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        connected(sk, NO_FD);
    }
    0
}

#[fexit(function = "unix_dgram_connect")]
fn nb_unix_dcon_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(4) == 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        connected(sk, NO_FD);
    }
    0
}

/// The number of parameters differs between kernels, so the result is not read: a call
/// that fails leaves the new socket empty.
#[fexit(function = "unix_accept")]
fn nb_unix_acc_fx(ctx: FExitContext) -> i32 {
    if let Some(sk) = of_socket(bare(&ctx, 1)) {
        accepted(sk, NO_FD);
    }
    0
}

#[fexit(function = "unix_stream_sendmsg")]
fn nb_unix_snd_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(3) >= 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        used(sk, Hook::UnixSend);
    }
    0
}

#[fexit(function = "unix_dgram_sendmsg")]
fn nb_unix_dsnd_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(3) >= 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        used(sk, Hook::UnixSend);
    }
    0
}

#[fexit(function = "unix_stream_recvmsg")]
fn nb_unix_rcv_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(4) >= 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        used(sk, Hook::UnixReceive);
    }
    0
}

#[fexit(function = "unix_dgram_recvmsg")]
fn nb_unix_drcv_fx(ctx: FExitContext) -> i32 {
    if ctx.arg::<i32>(4) >= 0
        && let Some(sk) = of_socket(bare(&ctx, 0))
    {
        used(sk, Hook::UnixReceive);
    }
    0
}

#[fentry(function = "unix_release")]
fn nb_unix_rel_fe(ctx: FEntryContext) -> i32 {
    let sock: u64 = Untyped::new(ctx.as_ptr()).load(0).unwrap_or(0);
    if let Some(sk) = of_socket(sock) {
        closed(sk, NO_FD);
    }
    0
}

#[kprobe(function = "unix_release")]
fn nb_unix_rel_kp(ctx: ProbeContext) -> u32 {
    if let Some(sock) = ctx.arg::<*const c_void>(0)
        && let Some(sk) = of_socket(sock as u64)
    {
        closed(sk, NO_FD);
    }
    0
}

/// An argument as a bare number, which the verifier takes for no pointer.
#[inline(always)]
fn bare(ctx: &FExitContext, n: u32) -> u64 {
    Untyped::new(ctx.as_ptr()).load(n * size_of::<u64>() as u32).unwrap_or(0)
}

#[inline(always)]
fn of_socket(sock: u64) -> Option<Untyped> {
    let sk = Untyped::new(sock as *const c_void).follow(config::SOCKET_SK())?;
    (sk.addr() != 0).then_some(sk)
}

#[inline(always)]
fn current() -> Untyped {
    Untyped::new(unsafe { bpf_get_current_task() } as *const c_void)
}

/// The socket and the descriptor of a call that succeeded.
#[inline(always)]
fn returned(ctx: &TracePointContext) -> Option<(Untyped, u32)> {
    let thread = bpf_get_current_pid_tgid();
    let call = unsafe { UNIX_CALLS.get(thread) }.copied()?;
    let _ = UNIX_CALLS.remove(thread);
    let result = unsafe { ctx.read_at::<i64>(16) }.ok()?;
    let sk = Untyped::new(call.sk as *const c_void);
    (result == 0).then_some((sk, call.fd as u32))
}

/// Only of sockets for datagrams: one that is to listen is told of when it does.
#[inline(always)]
fn bound(sk: Untyped, fd: u32) {
    const SOCK_DGRAM: u16 = 2;
    if sock::kind(sk) != SOCK_DGRAM {
        return;
    }
    if let Some((inode, slot)) = unix::begin(sk, How::Bind, Hook::UnixBind) {
        let other = slot.other;
        unix::tell(sk, inode, slot, UnixWhat::Bind, &other, fd, Hook::UnixBind);
    }
}

#[inline(always)]
fn listens(sk: Untyped, fd: u32) {
    // listen() on a socket that listens only changes how many may wait.
    if unix::find(unix::inode(sk)).is_some_and(|slot| slot.flags & LISTENS != 0) {
        return;
    }
    if let Some((inode, slot)) = unix::begin(sk, How::Listen, Hook::UnixListen) {
        slot.flags |= LISTENS;
        let other = slot.other;
        unix::tell(sk, inode, slot, UnixWhat::Listen, &other, fd, Hook::UnixListen);
    }
}

#[inline(always)]
fn connected(sk: Untyped, fd: u32) {
    if let Some((inode, slot)) = unix::begin(sk, How::Connect, Hook::UnixConnect) {
        unix::meet(sk, inode, slot);
        let other = slot.other;
        unix::tell(sk, inode, slot, UnixWhat::Connect, &other, fd, Hook::UnixConnect);
    }
}

#[inline(always)]
fn accepted(sk: Untyped, fd: u32) {
    if let Some((inode, slot)) = unix::begin(sk, How::Accept, Hook::UnixAccept) {
        unix::meet(sk, inode, slot);
        let other = slot.other;
        unix::tell(sk, inode, slot, UnixWhat::Accept, &other, fd, Hook::UnixAccept);
    }
}

/// The last descriptor of a socket is closed.
#[inline(always)]
fn closed(sk: Untyped, fd: u32) {
    let inode = unix::inode(sk);
    if let Some(slot) = unix::find(inode) {
        unix::meet(sk, inode, slot);
        let other = slot.other;
        unix::tell(sk, inode, slot, UnixWhat::Close, &other, fd, Hook::UnixClose);
        unix::forget(inode);
    }
}

/// A descriptor of a task is closed.
#[inline(always)]
fn closes(task: Untyped, fd: u32) {
    let Some(sk) = sock::from_fd(task, fd) else { return };
    let last = || {
        let file = sk.follow(config::SOCK_SOCKET())?.follow(config::SOCKET_FILE())?;
        Some(unix::is_last(file))
    };
    if sock::is_unix(sk) && last() == Some(true) {
        closed(sk, fd);
    }
}

/// A process ends and closes what it has open.
#[inline(always)]
fn ends(task: Untyped) {
    let shared = |task: Untyped| {
        let files = task.follow(config::TASK_FILES()).filter(|files| files.addr() != 0)?;
        let fdt = files.follow(config::FILES_FDT())?;
        Some((files.load::<u32>(config::FILES_COUNT())? > 1, fdt.load(config::FDT_MAX())?))
    };
    // Shared with another process, they stay open.
    let Some((false, count)) = shared(task) else { return };
    if !task::is_last(task) {
        return;
    }
    let count: u32 = count;
    unsafe {
        bpf_loop(count, each_descriptor as *mut c_void, (&raw const count).cast_mut().cast(), 0);
    }
}

unsafe extern "C" fn each_descriptor(fd: u32, _: *mut c_void) -> i64 {
    closes(current(), fd);
    0
}

/// A process writes to the socket or reads from it.
#[inline(always)]
pub fn used(sk: Untyped, hook: Hook) {
    let inode = unix::inode(sk);
    let Some(slot) = unix::find(inode) else { return };
    if slot.owner.pid == task::on_cpu() || task::is_kernel::<Untyped>() {
        return;
    }
    let from = slot.owner;
    slot.owner = task::owner::<Untyped>(How::Io);
    unix::tell(sk, inode, slot, UnixWhat::Owner, &from, NO_FD, hook);
}
