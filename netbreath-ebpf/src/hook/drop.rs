//! The kernel throws a packet away that belongs to a connection.
//!
//! Attach points, best first: the tracepoint `kfree_skb(struct sk_buff *skb, void
//! *location, enum skb_drop_reason reason, struct sock *rx_sk)` by BTF; before 6.11
//! without the socket that was to receive it; before 5.17 without the reason.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use core::ffi::c_void;
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::record::{Drop, Kind, NO_REASON};
use netbreath_common::tcp::TcpState;

use crate::filter::Verdict;
use crate::kernel::{Kernel, Typed, Untyped, Walked};
use crate::sock::Sock;
use crate::{config, emit, sock, subject};

#[btf_tracepoint(function = "kfree_skb")]
fn nb_drop_btf(ctx: BtfTracePointContext) -> i32 {
    let (reason, receiver): (u32, *const c_void) = (ctx.arg(2), ctx.arg(3));
    if !receiver.is_null() {
        let skb = Untyped::new(ctx.arg(0));
        dropped(Typed::new(receiver), Some(skb), reason);
    } else {
        sender(Typed::new(ctx.arg(0)), reason);
    }
    0
}

/// Without the receiving socket.
#[btf_tracepoint(function = "kfree_skb")]
fn nb_drop_btf3(ctx: BtfTracePointContext) -> i32 {
    sender(Typed::new(ctx.arg(0)), ctx.arg(2));
    0
}

/// Without a reason.
#[btf_tracepoint(function = "kfree_skb")]
fn nb_drop_btf2(ctx: BtfTracePointContext) -> i32 {
    sender(Typed::new(ctx.arg(0)), NO_REASON);
    0
}

/// `SKB_DROP_REASON_NOT_SPECIFIED`, the first of the kernel's reasons that is one.
const NOT_SPECIFIED: u32 = 2;

/// A packet that was on its way out.
#[inline(always)]
fn sender(skb: Typed, reason: u32) {
    let sk: *const c_void = skb.read(config::SKB_SK());
    if sk.is_null() {
        return;
    }
    let sk = Walked::new(sk);
    // What a socket still had to send goes with it.
    if sock::state(sk) != TcpState::Close as u8 {
        dropped(sk, None, reason);
    }
}

#[inline(always)]
fn dropped<K: Sock>(sk: K, skb: Option<Untyped>, reason: u32) {
    if !config::emits(kinds::DROP) || !sock::is_inet(sk) {
        return;
    }
    let subject = subject::of_incoming(sk);
    // What a socket in TIME_WAIT has answered is freed in this way too, without a reason.
    if sock::state(sk) == TcpState::TimeWait as u8 && matches!(reason, NOT_SPECIFIED | NO_REASON) {
        return;
    }
    if !subject.is_tcp(sk) || subject.verdict(sk, skb) != Verdict::Keep {
        return;
    }
    let (at, state) = (emit::now(), sock::state(sk));
    emit::record::<Drop>(Hook::Drop, Kind::Drop, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            subject.write(sk, skb, &raw mut (*record).socket, at);
            (&raw mut (*record).reason).write(reason);
            (&raw mut (*record).state).write(state);
            (&raw mut (*record).zero).write([0; 3]);
        }
    });
}
