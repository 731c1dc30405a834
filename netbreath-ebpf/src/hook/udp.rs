//! UDP sockets: made, bound, connected, closed; and, where the tracepoints of `io` do
//! not exist, used.
//!
//! Attach points: programs of the root cgroup, at the end of `socket()` and of `bind()`,
//! when the last descriptor is closed, before a datagram's address is used or given to
//! its reader, and before `connect()`; better for that, the return of `int
//! inet_dgram_connect(struct socket *sock, struct sockaddr *uaddr, int addr_len, int
//! flags)`. Without `sock_send_length`, the returns of `int udp_sendmsg(struct sock *sk,
//! struct msghdr *msg, size_t len)` and `int udp_recvmsg(struct sock *sk, struct msghdr
//! *msg, size_t len, int flags, int *addr_len)`, and of their twins for IPv6.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::{cgroup_sock, cgroup_sock_addr, fexit};
use aya_ebpf::programs::{FExitContext, SockAddrContext, SockContext};
use core::ffi::c_void;
use netbreath_common::hook::Hook;
use netbreath_common::record::{How, UdpWhat};

use crate::kernel::{Kernel, Typed, Untyped};
use crate::udp::{self, Handle};
use crate::{config, emit, sock};

const IPPROTO_UDP: u32 = 17;
const SOCK_DGRAM: u32 = 2;

#[cgroup_sock(sock_create)]
fn nb_udp_open(ctx: SockContext) -> i32 {
    if let Some(handle) = of_socket(&ctx)
        && let Some(slot) = handle.open(Hook::UdpOpen)
    {
        slot.socket.born = 1;
    }
    ALLOW
}

#[cgroup_sock(post_bind4)]
fn nb_udp_bind4(ctx: SockContext) -> i32 {
    bind(&ctx);
    ALLOW
}

#[cgroup_sock(post_bind6)]
fn nb_udp_bind6(ctx: SockContext) -> i32 {
    bind(&ctx);
    ALLOW
}

#[cgroup_sock(sock_release)]
fn nb_udp_close(ctx: SockContext) -> i32 {
    if let Some(handle) = of_socket(&ctx)
        && let Some(slot) = handle.find()
    {
        handle.refresh(slot);
        udp::closed(handle, slot, emit::now());
    }
    ALLOW
}

#[cgroup_sock_addr(connect4)]
fn nb_udp_connect4(ctx: SockAddrContext) -> i32 {
    connecting(&ctx, 4);
    ALLOW
}

#[cgroup_sock_addr(connect6)]
fn nb_udp_connect6(ctx: SockAddrContext) -> i32 {
    connecting(&ctx, 6);
    ALLOW
}

#[cgroup_sock_addr(recvmsg4)]
fn nb_udp_from4(ctx: SockAddrContext) -> i32 {
    reading(&ctx, 4);
    ALLOW
}

#[cgroup_sock_addr(recvmsg6)]
fn nb_udp_from6(ctx: SockAddrContext) -> i32 {
    reading(&ctx, 6);
    ALLOW
}

#[fexit(function = "inet_dgram_connect")]
fn nb_udp_conn_fx(ctx: FExitContext) -> i32 {
    let done: i32 = ctx.arg(4);
    let sock: *const c_void = ctx.arg(0);
    if done == 0
        && let Some(sk) = Typed::new(sock).follow(config::SOCKET_SK())
        && sock::is_udp(sk)
    {
        let handle = Handle::of(sk.ptr());
        if let Some(slot) = handle.find_or_open(Hook::UdpConnect) {
            handle.refresh(slot);
            // connect() to nowhere takes the remote address away.
            if slot.socket.flow.dport != 0 {
                connected(handle, slot);
            }
        }
    }
    0
}

#[fexit(function = "udp_sendmsg")]
fn nb_udp_send4_fx(ctx: FExitContext) -> i32 {
    // An IPv6 socket that speaks IPv4 comes here on its way through its own function.
    if sock::is_v4(Typed::new(ctx.arg(0))) {
        used(&ctx, ctx.arg(3), Hook::UdpSend, 0);
    }
    0
}

#[fexit(function = "udpv6_sendmsg")]
fn nb_udp_send6_fx(ctx: FExitContext) -> i32 {
    used(&ctx, ctx.arg(3), Hook::UdpSend, 0);
    0
}

#[fexit(function = "udp_recvmsg")]
fn nb_udp_recv4_fx(ctx: FExitContext) -> i32 {
    used(&ctx, ctx.arg(5), Hook::UdpReceive, ctx.arg(3));
    0
}

#[fexit(function = "udpv6_recvmsg")]
fn nb_udp_recv6_fx(ctx: FExitContext) -> i32 {
    used(&ctx, ctx.arg(5), Hook::UdpReceive, ctx.arg(3));
    0
}

/// The same where the sender's address has no parameter of its own for its length.
#[fexit(function = "udp_recvmsg")]
fn nb_udp_recv4_f4(ctx: FExitContext) -> i32 {
    used(&ctx, ctx.arg(4), Hook::UdpReceive, ctx.arg(3));
    0
}

#[fexit(function = "udpv6_recvmsg")]
fn nb_udp_recv6_f4(ctx: FExitContext) -> i32 {
    used(&ctx, ctx.arg(4), Hook::UdpReceive, ctx.arg(3));
    0
}

/// What these programs answer: nothing is refused.
const ALLOW: i32 = 1;

#[inline(always)]
fn used(ctx: &FExitContext, result: i32, hook: Hook, flags: i32) {
    let sk: *const c_void = ctx.arg(0);
    super::io::datagram(sk, result, flags, hook);
}

/// The socket of a program that is called for one, if it speaks UDP.
#[inline(always)]
fn of_socket(ctx: &SockContext) -> Option<Handle> {
    let (kind, proto) = unsafe { ((*ctx.sock).type_, (*ctx.sock).protocol) };
    if kind != SOCK_DGRAM || proto != IPPROTO_UDP {
        return None;
    }
    Some(Handle::of(ctx.as_ptr().cast_const()))
}

#[inline(always)]
fn bind(ctx: &SockContext) {
    let Some(handle) = of_socket(ctx) else { return };
    let Some(slot) = handle.find_or_open(Hook::UdpBind) else { return };
    let at = emit::now();
    handle.refresh(slot);
    udp::used(handle, slot, How::Bind, at, Hook::UdpBind);
    let flow = slot.socket.flow;
    udp::tell(handle, slot, UdpWhat::Bind, 0, &flow, at, Hook::UdpBind);
}

/// The socket of a program that is called for one and an address.
#[inline(always)]
fn of_address(ctx: &SockAddrContext) -> Option<Handle> {
    let addr = ctx.sock_addr;
    let (kind, proto) = unsafe { ((*addr).type_, (*addr).protocol) };
    if kind != SOCK_DGRAM || proto != IPPROTO_UDP {
        return None;
    }
    let home = unsafe { (*addr).__bindgen_anon_1.sk };
    if home.is_null() {
        return None;
    }
    // What the program sees is a view of the kernel's structure; the socket's address
    // stands in that.
    let sk = Untyped::new(ctx.as_ptr().cast_const()).follow(config::SOCK_ADDR_SK())?;
    Some(Handle { sk, home: home.cast_const().cast(), cookie: ctx.as_ptr().cast_const() })
}

/// Writes the address that a program is called for to the remote end.
#[inline(always)]
fn read_remote(ctx: &SockAddrContext, family: u16, flow: &mut netbreath_common::record::Flow) {
    let addr = ctx.sock_addr;
    let port = unsafe { (*addr).user_port };
    flow.dport = u16::from_be(port as u16);
    let words = if family == 4 {
        [0, 0, 0xffff_u32.to_be(), unsafe { (*addr).user_ip4 }]
    } else {
        unsafe {
            let at = &raw const (*addr).user_ip6;
            // One by one: a wider read is refused.
            let at = at.cast::<u32>();
            [
                at.read_volatile(),
                at.add(1).read_volatile(),
                at.add(2).read_volatile(),
                at.add(3).read_volatile(),
            ]
        }
    };
    for (part, word) in words.into_iter().enumerate() {
        flow.daddr[part * 4..part * 4 + 4].copy_from_slice(&word.to_ne_bytes());
    }
}

/// connect() is about to begin: whether it will succeed is not known, nor which local
/// address and port it will choose.
#[inline(always)]
fn connecting(ctx: &SockAddrContext, family: u16) {
    let Some(handle) = of_address(ctx) else { return };
    let Some(slot) = handle.find_or_open(Hook::UdpConnect) else { return };
    handle.refresh(slot);
    read_remote(ctx, family, &mut slot.socket.flow);
    connected(handle, slot);
}

#[inline(always)]
fn connected(handle: Handle, slot: &mut udp::Slot) {
    let at = emit::now();
    udp::used(handle, slot, How::Connect, at, Hook::UdpConnect);
    let flow = slot.socket.flow;
    udp::tell(handle, slot, UdpWhat::Connect, 0, &flow, at, Hook::UdpConnect);
}

/// A datagram is being read, with its sender's address.
#[inline(always)]
fn reading(ctx: &SockAddrContext, family: u16) {
    let Some(handle) = of_address(ctx) else { return };
    let Some(slot) = handle.find() else { return };
    if udp::wants_ends(slot, false) {
        handle.refresh(slot);
        let mut flow = slot.socket.flow;
        // The local address that it was sent to is known from when it came in.
        if slot.received.dport != 0 {
            flow.saddr = slot.received.saddr;
        }
        read_remote(ctx, family, &mut flow);
        slot.received = flow;
    }
}
