//! A TCP socket is about to be freed: its slot is forgotten.
//!
//! Attach points, best first: the tracepoint `tcp_destroy_sock(struct sock *sk)` by
//! BTF, raw, or through perf; the function `void inet_csk_destroy_sock(struct sock
//! *sk)`.

use aya_ebpf::macros::{btf_tracepoint, kprobe, raw_tracepoint, tracepoint};
use aya_ebpf::programs::{
    BtfTracePointContext, ProbeContext, RawTracePointContext, TracePointContext,
};
use core::ffi::c_void;

use crate::kernel::{Kernel, Typed, Untyped};
use crate::slot;

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn nb_destroy_btf(ctx: BtfTracePointContext) -> i32 {
    slot::close(Typed::new(ctx.arg(0)));
    0
}

#[raw_tracepoint(tracepoint = "tcp_destroy_sock")]
fn nb_destroy_raw(ctx: RawTracePointContext) -> i32 {
    let sk: *const c_void = ctx.arg(0);
    slot::close(Untyped::new(sk));
    0
}

#[tracepoint(category = "tcp", name = "tcp_destroy_sock")]
fn nb_destroy_tp(ctx: TracePointContext) -> u32 {
    // events/tcp/tcp_destroy_sock/format: skaddr.
    if let Ok(sk) = unsafe { ctx.read_at::<*const c_void>(8) } {
        slot::close(Untyped::new(sk));
    }
    0
}

#[kprobe(function = "inet_csk_destroy_sock")]
fn nb_destroy_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg::<*const c_void>(0) {
        slot::close(Untyped::new(sk));
    }
    0
}
