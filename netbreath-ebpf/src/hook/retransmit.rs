//! A segment is sent again, because its acknowledgement is late.
//!
//! Attach points, best first: the tracepoints `tcp_retransmit_skb(const struct sock *sk,
//! const struct sk_buff *skb, …)` and `tcp_retransmit_synack(const struct sock *sk,
//! const struct request_sock *req)`, by BTF or raw. The second one's `sk` is the
//! listener; the connection that is half-open is `req`.

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::record::{Kind, Retransmit, Segment};
use netbreath_common::tcp::TcpState;

use crate::filter::Verdict;
use crate::kernel::{Kernel, Typed, Untyped};
use crate::sock::Sock;
use crate::subject::{self, Subject};
use crate::{config, emit, sock};

#[btf_tracepoint(function = "tcp_retransmit_skb")]
fn nb_retrans_btf(ctx: BtfTracePointContext) -> i32 {
    segment(Typed::new(ctx.arg(0)), Untyped::new(ctx.arg(1)));
    0
}

#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
fn nb_retrans_raw(ctx: RawTracePointContext) -> i32 {
    segment(Untyped::new(ctx.arg(0)), Untyped::new(ctx.arg(1)));
    0
}

#[btf_tracepoint(function = "tcp_retransmit_synack")]
fn nb_synack_btf(ctx: BtfTracePointContext) -> i32 {
    synack(Typed::new(ctx.arg(0)), Typed::new(ctx.arg(1)));
    0
}

#[raw_tracepoint(tracepoint = "tcp_retransmit_synack")]
fn nb_synack_raw(ctx: RawTracePointContext) -> i32 {
    synack(Untyped::new(ctx.arg(0)), Untyped::new(ctx.arg(1)));
    0
}

#[inline(always)]
fn segment<K: Sock>(sk: K, skb: Untyped) {
    const FIN: u8 = 1;
    if !config::emits(kinds::RETRANSMIT) {
        return;
    }
    let state = sock::state(sk);
    let cb = Untyped::new(unsafe { skb.ptr().byte_add(config::SKB_CB() as usize) });
    let seq: u32 = cb.read(config::TCP_CB_SEQ());
    let end: u32 = cb.read(config::TCP_CB_END_SEQ());
    let flags: u8 = cb.read(config::TCP_CB_FLAGS());
    // Sequence numbers count a SYN and a FIN as a byte each.
    let numbers = end.wrapping_sub(seq);
    let (segment, bytes) = if state == TcpState::SynSent as u8 {
        (Segment::Syn, 0)
    } else if state == TcpState::SynRecv as u8 {
        (Segment::SynAck, 0)
    } else if flags & FIN == 0 {
        (Segment::Data, numbers)
    } else if numbers == 1 {
        (Segment::Fin, 0)
    } else {
        (Segment::Data, numbers.wrapping_sub(1))
    };
    let count = sk.tcp().map_or(0, |tcp| tcp.read(config::TCP_TOTAL_RETRANS()));
    let subject = subject::of(sk);
    if subject.verdict(sk, None) == Verdict::Keep {
        send(Hook::Retransmit, sk, &subject, count, bytes, segment, state);
    }
}

#[inline(always)]
fn synack<K: Sock>(listener: K, req: K) {
    if !config::emits(kinds::RETRANSMIT) {
        return;
    }
    let subject = subject::of_request(listener);
    if subject.verdict(req, None) != Verdict::Keep {
        return;
    }
    // The timer that sends it counts when it has done so; a SYN that came again makes it
    // count at once. Both begin with 0 for the first.
    let count: u8 = req.read(config::REQ_RETRANS());
    let state = TcpState::NewSynRecv as u8;
    send(Hook::RetransmitSynAck, req, &subject, u32::from(count) + 1, 0, Segment::SynAck, state);
}

#[inline(always)]
fn send<K: Sock>(
    hook: Hook,
    sk: K,
    subject: &Subject,
    count: u32,
    bytes: u32,
    segment: Segment,
    state: u8,
) {
    let at = emit::now();
    emit::record::<Retransmit>(hook, Kind::Retransmit, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            subject.write(sk, None, &raw mut (*record).socket, at);
            (&raw mut (*record).count).write(count);
            (&raw mut (*record).bytes).write(bytes);
            (&raw mut (*record).segment).write(segment as u8);
            (&raw mut (*record).state).write(state);
            (&raw mut (*record).zero).write([0; 6]);
        }
    });
}
