//! The moment when an active open has chosen its local port: the SYN is about to
//! go out. Sends the transition to SYN_SENT that waited for the port.
//!
//! Attach points, best first: the function `int tcp_connect(struct sock *sk)`, by
//! fentry or kprobe; the callback `BPF_SOCK_OPS_TCP_CONNECT_CB`, which it makes.

use aya_ebpf::EbpfContext;
use aya_ebpf::bindings::{BPF_SOCK_OPS_TCP_CONNECT_CB, bpf_sock_ops};
use aya_ebpf::macros::{fentry, kprobe, sock_ops};
use aya_ebpf::programs::{FEntryContext, ProbeContext, SockOpsContext};
use core::ffi::c_void;
use netbreath_common::hook::Hook;

use super::sock_state;
use crate::kernel::{Callback, Kernel, Typed, Untyped};
use crate::{config, emit, slot};

#[fentry(function = "tcp_connect")]
fn nb_connect_fe(ctx: FEntryContext) -> i32 {
    let sk = Typed::new(ctx.arg(0));
    connect(sk, sk, sk.read(config::SOCK_NUM()));
    0
}

/// Stands in for `nb_connect_fe`, as `nb_state_btf2` does.
#[fentry(function = "tcp_connect")]
fn nb_connect_fe2(ctx: FEntryContext) -> i32 {
    let sk = Typed::new(ctx.arg(0));
    if connect(sk, sk, sk.read(config::SOCK_NUM())) {
        emit::stood_in(Hook::Connect);
    }
    0
}

#[kprobe(function = "tcp_connect")]
fn nb_connect_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg::<*const c_void>(0) {
        let sk = Untyped::new(sk);
        connect(sk, sk, sk.read(config::SOCK_NUM()));
    }
    0
}

#[sock_ops]
fn nb_connect_ops(ctx: SockOpsContext) -> u32 {
    if ctx.op() == BPF_SOCK_OPS_TCP_CONNECT_CB {
        let ops: *mut bpf_sock_ops = ctx.as_ptr().cast();
        let sk = unsafe { (*ops).__bindgen_anon_2.sk };
        // struct bpf_sock_ops_kern begins with the socket.
        if !sk.is_null()
            && let Some(bare) = Untyped::new(ctx.as_ptr()).follow(0)
        {
            connect(Callback::new(sk.cast_const().cast()), bare, ctx.local_port() as u16);
        }
    }
    1
}

/// `sk` leads to the slot, `bare` to what the filters look at. Whether the port was news.
#[inline(always)]
fn connect<K: Kernel>(sk: K, bare: impl Kernel, port: u16) -> bool {
    let Some(slot) = slot::find(sk) else { return false };
    if slot.pendings == 0 || slot.socket.flow.sport == port {
        return false;
    }
    slot.socket.flow.sport = port;
    sock_state::settle(bare, slot, Hook::Connect, false);
    true
}
