//! A reset is sent, or comes in.
//!
//! Attach points, best first: the tracepoints `tcp_send_reset(const struct sock *sk,
//! const struct sk_buff *skb, const enum sk_rst_reason reason)`, without the reason
//! before 6.10, and `tcp_receive_reset(struct sock *sk)`, by BTF or raw. `sk` is NULL
//! where a segment came for no socket, `skb` where none was answered. Before 6.2, a reset
//! for no socket is not told.

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use core::ffi::c_void;
use netbreath_common::config::{emit as kinds, filter as filters};
use netbreath_common::hook::Hook;
use netbreath_common::record::{Kind, NO_REASON, Reset};

use crate::filter::{self, Verdict};
use crate::kernel::{Kernel, Typed, Untyped};
use crate::slot::EMPTY;
use crate::sock::Sock;
use crate::{config, emit, packet, sock, subject, word};

#[btf_tracepoint(function = "tcp_send_reset")]
fn nb_rst_out_btf(ctx: BtfTracePointContext) -> i32 {
    let reason: u32 = ctx.arg(2);
    sent::<Typed>(ctx.arg(0), ctx.arg(1), reason);
    0
}

/// Without a reason.
#[btf_tracepoint(function = "tcp_send_reset")]
fn nb_rst_out_btf2(ctx: BtfTracePointContext) -> i32 {
    sent::<Typed>(ctx.arg(0), ctx.arg(1), NO_REASON);
    0
}

#[raw_tracepoint(tracepoint = "tcp_send_reset")]
fn nb_rst_out_raw(ctx: RawTracePointContext) -> i32 {
    sent::<Untyped>(ctx.arg(0), ctx.arg(1), NO_REASON);
    0
}

#[btf_tracepoint(function = "tcp_receive_reset")]
fn nb_rst_in_btf(ctx: BtfTracePointContext) -> i32 {
    received(Typed::new(ctx.arg(0)));
    0
}

#[raw_tracepoint(tracepoint = "tcp_receive_reset")]
fn nb_rst_in_raw(ctx: RawTracePointContext) -> i32 {
    received(Untyped::new(ctx.arg(0)));
    0
}

#[inline(always)]
fn sent<K: Sock>(sk: *const c_void, skb: *const c_void, reason: u32) {
    if !config::emits(kinds::RESET) {
        return;
    }
    let skb = (!skb.is_null()).then(|| Untyped::new(skb));
    if sk.is_null() {
        if let Some(skb) = skb {
            nobody(skb, reason);
        }
        return;
    }
    let sk = K::new(sk);
    // Without a segment that it answers, it is of the socket's own accord.
    let subject = if skb.is_some() { subject::of_incoming(sk) } else { subject::of(sk) };
    if subject.verdict(sk, skb) != Verdict::Keep {
        return;
    }
    let (at, state) = (emit::now(), sock::state(sk));
    emit::record::<Reset>(Hook::ResetSent, Kind::Reset, at, |record| {
        let record = record.as_mut_ptr();
        unsafe { subject.write(sk, skb, &raw mut (*record).socket, at) };
        write(record, reason, 0, state);
    });
}

/// The answer to a segment that came for no socket.
#[inline(always)]
fn nobody(skb: Untyped, reason: u32) {
    let mut flow = EMPTY.socket.flow;
    packet::read_flow(skb, &mut flow);
    let netns = packet::netns(skb);
    let no_socket = Untyped::new(core::ptr::null());
    if config::filters(filters::OWNER)
        || filter::place(no_socket, &flow, netns, true) != Verdict::Keep
    {
        return;
    }
    emit::record::<Reset>(Hook::ResetSent, Kind::Reset, emit::now(), |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const EMPTY.socket, &raw mut (*record).socket);
            (&raw mut (*record).socket.flow).write(flow);
            (&raw mut (*record).socket.flow.proto).write(6);
            (&raw mut (*record).socket.netns).write(netns);
        }
        write(record, reason, 0, 0);
    });
}

#[inline(always)]
fn received<K: Sock>(sk: K) {
    if !config::emits(kinds::RESET) {
        return;
    }
    let subject = subject::of(sk);
    if subject.verdict(sk, None) != Verdict::Keep {
        return;
    }
    let (at, state) = (emit::now(), sock::state(sk));
    emit::record::<Reset>(Hook::ResetReceived, Kind::Reset, at, |record| {
        let record = record.as_mut_ptr();
        unsafe { subject.write(sk, None, &raw mut (*record).socket, at) };
        write(record, NO_REASON, 1, state);
    });
}

#[inline(always)]
fn write(record: *mut Reset, reason: u32, received: u8, state: u8) {
    unsafe {
        (&raw mut (*record).reason).write(reason);
        (&raw mut (*record).received).write(received);
        (&raw mut (*record).state).write(state);
        (&raw mut (*record).zero).write([0; 2]);
    }
}
