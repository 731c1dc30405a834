//! A connect() that fails before it sends anything: no route, no permission, a family that
//! does not fit. No transition tells of it.
//!
//! Attach point: entry and exit of the system call `connect`.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_get_current_task};
use aya_ebpf::macros::{map, tracepoint};
use aya_ebpf::maps::LruHashMap;
use aya_ebpf::programs::TracePointContext;
use core::ffi::c_void;
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::record::{ConnectFailed, Flow, How, Kind};
use netbreath_common::tcp::TcpState;

use crate::filter::{self, Verdict};
use crate::kernel::{Kernel, Untyped};
use crate::slot::EMPTY;
use crate::{config, emit, sock, task, word};

/// Threads in connect(): the descriptor and the address that they gave.
#[map]
static CONNECTS: LruHashMap<u64, [u64; 2]> = LruHashMap::with_max_entries(8192, 0);

/// The current thread's connect() is about to send a SYN: what comes of it is seen
/// otherwise.
#[inline(always)]
pub fn sends() {
    if config::emits(kinds::CONNECT_FAILED) {
        let _ = CONNECTS.remove(bpf_get_current_pid_tgid());
    }
}

/// `struct sockaddr_in6`, of which a `struct sockaddr_in` is the beginning.
#[repr(C)]
#[derive(Clone, Copy)]
struct Address {
    family: u16,
    port: [u8; 2],
    /// An IPv4 address, or the flow label.
    v4: [u8; 4],
    v6: [u8; 16],
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
const EINPROGRESS: i64 = 115;
const EISCONN: i64 = 106;
const EALREADY: i64 = 114;

/// Both ends of the system call: a descriptor that comes in is not negative, and the only
/// results of interest are.
#[tracepoint]
fn nb_connret_sys(ctx: TracePointContext) -> u32 {
    let thread = bpf_get_current_pid_tgid();
    // events/syscalls/sys_enter_connect/format: __syscall_nr, fd, uservaddr, addrlen.
    // events/syscalls/sys_exit_connect/format: __syscall_nr, ret.
    let Ok(number) = (unsafe { ctx.read_at::<i64>(16) }) else {
        return 0;
    };
    if number >= 0 {
        if let Ok(uaddr) = unsafe { ctx.read_at::<u64>(24) } {
            // Why ignored: then it is not known when it returns, as if it came before us.
            let _ = CONNECTS.insert(thread, [number as u64, uaddr], BPF_ANY.into());
        }
        return 0;
    }
    if let Some(errno) = fails(number)
        && let Some([fd, uaddr]) = unsafe { CONNECTS.get(thread) }.copied()
    {
        let mut address = Address { family: 0, port: [0; 2], v4: [0; 4], v6: [0; 16] };
        let size = size_of::<Address>() as u32;
        let read =
            unsafe { bpf_probe_read_user((&raw mut address).cast(), size, uaddr as *const c_void) };
        // A shorter one may lie at the end of what can be read.
        if read != 0 {
            unsafe { bpf_probe_read_user((&raw mut address).cast(), 8, uaddr as *const c_void) };
        }
        let task = Untyped::new(unsafe { bpf_get_current_task() } as *const c_void);
        if let Some(sk) = sock::from_fd(task, fd as u32) {
            failed(sk, address, errno);
        }
    }
    let _ = CONNECTS.remove(thread);
    0
}

/// The `errno`, if connect() has really failed.
#[inline(always)]
fn fails(result: i64) -> Option<u32> {
    (result < 0 && !matches!(-result, EINPROGRESS | EISCONN | EALREADY)).then_some((-result) as u32)
}

#[inline(always)]
fn failed(sk: Untyped, address: Address, errno: u32) {
    let is_v6 = address.family == AF_INET6;
    if !config::emits(kinds::CONNECT_FAILED)
        || sk.addr() == 0
        || !(is_v6 || address.family == AF_INET)
        || !sock::is_inet(sk)
        || !sock::is_tcp(sk)
        || sock::state(sk) != TcpState::Close as u8
    {
        return;
    }
    let mut flow: Flow = EMPTY.socket.flow;
    sock::read_flow(sk, &mut flow);
    flow.dport = u16::from_be_bytes(address.port);
    if is_v6 {
        flow.daddr = address.v6;
    } else {
        flow.daddr = [0; 16];
        flow.daddr[10..12].copy_from_slice(&[0xff; 2]);
        flow.daddr[12..16].copy_from_slice(&address.v4);
    }
    let owner = task::owner::<Untyped>(How::Connect);
    let (at, netns) = (emit::now(), sock::netns(sk));
    if !filter::selects(&owner) || filter::place(sk, &flow, netns, true) != Verdict::Keep {
        return;
    }
    emit::record::<ConnectFailed>(Hook::ConnectReturn, Kind::ConnectFailed, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const EMPTY.socket, &raw mut (*record).socket);
            let socket = &mut (*record).socket;
            sock::describe(sk, socket, at);
            socket.flow = Flow { proto: sock::protocol(sk), ..flow };
            socket.born = 1;
            socket.owner = owner;
            socket.opener = owner;
            (&raw mut (*record).tried).write(0);
            (&raw mut (*record).errno).write(errno);
            (&raw mut (*record).syns).write(0);
        }
    });
}
