//! State transitions from the tracepoint's own record alone, for a kernel that does not
//! describe its types: no offset is known, so no kernel structure is read. The record has
//! states, ports and addresses; who connects or listens is the current process.
//!
//! Attach point: the tracepoint `sock:inet_sock_set_state` through perf. Its record is the
//! same since 5.6: `events/sock/inet_sock_set_state/format`.

use aya_ebpf::helpers::{bpf_get_current_comm, bpf_get_current_uid_gid};
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use core::ffi::c_void;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{Flow, How, Owner};
use netbreath_common::tcp::TcpState;

use super::sock_state;
use crate::filter::{self, Verdict};
use crate::kernel::{Kernel, Untyped};
use crate::slot::{self, IGNORED, Pending};
use crate::{emit, task};

/// `AF_INET6`.
const AF_INET6: u16 = 10;

#[tracepoint(category = "sock", name = "inet_sock_set_state")]
fn nb_state_bare(ctx: TracePointContext) -> u32 {
    if bare(&ctx).is_none() {
        emit::missed(Hook::SockState, Miss::Unreadable);
    }
    0
}

/// A field of the tracepoint's record.
#[inline(always)]
fn field<T: Copy>(ctx: &TracePointContext, offset: usize) -> Option<T> {
    unsafe { ctx.read_at::<T>(offset) }.ok()
}

#[inline(always)]
fn bare(ctx: &TracePointContext) -> Option<()> {
    const CLOSE: i32 = TcpState::Close as i32;
    const LISTEN: i32 = TcpState::Listen as i32;
    const SYN_SENT: i32 = TcpState::SynSent as i32;
    const SYN_RECV: i32 = TcpState::SynRecv as i32;
    const ESTABLISHED: i32 = TcpState::Established as i32;

    let sk = Untyped::new(field::<*const c_void>(ctx, 8)?);
    let (old, new) = (field::<i32>(ctx, 16)?, field::<i32>(ctx, 20)?);
    if old == new {
        return Some(());
    }
    let at = emit::now();
    let owner = match (old, new) {
        (CLOSE, SYN_SENT) => Some(How::Connect),
        (CLOSE, LISTEN) => Some(How::Listen),
        _ => None,
    };
    let is_born = owner.is_some() || (old, new) == (LISTEN, SYN_RECV);
    let known = if is_born { None } else { slot::find(sk) };
    let slot = match known {
        Some(slot) => slot,
        None => {
            // What could not be remembered has been counted.
            let Some(slot) = slot::open(sk, Hook::SockState, Miss::NoSlot) else {
                return Some(());
            };
            // The address alone is no identity: the allocator hands it out again.
            slot.socket.id = sk.addr().rotate_left(20) ^ at;
            slot.socket.cgroup = 0;
            slot.socket.netns = 0;
            slot.socket.born = is_born.into();
            slot.socket.flow.proto = field(ctx, 30)?;
            slot
        }
    };
    slot.state = new as u16;
    let at = slot::take_turn(slot, at);
    read_flow(ctx, &mut slot.socket.flow)?;
    if let Some(how) = owner {
        slot::own(slot, current(how));
    }
    let in_state = if slot.since == 0 { 0 } else { at.saturating_sub(slot.since) };
    slot.since = at;
    if is_born {
        slot.begun = at;
    }
    if new == ESTABLISHED {
        slot.established = at;
    }
    if filter::place(sk, &slot.socket.flow, 0, false) == Verdict::Drop {
        slot.flags |= IGNORED;
    }
    // Nothing more will become known.
    let keep = slot.flags & IGNORED == 0 && filter::judge(sk, slot, true) == Verdict::Keep;
    if keep && sock_state::wanted(old, new, 0) {
        let transition = Pending {
            at,
            in_state,
            on_cpu: task::on_cpu(),
            old: old as u8,
            new: new as u8,
            mini: 0,
            timeout: 0,
        };
        sock_state::send(slot, &transition, Hook::SockState);
    }
    if new == CLOSE {
        slot::close(sk);
    }
    Some(())
}

/// The two ends. The record has a port of 0 when the kernel has given it back.
#[inline(always)]
fn read_flow(ctx: &TracePointContext, flow: &mut Flow) -> Option<()> {
    let sport: u16 = field(ctx, 24)?;
    if sport != 0 {
        flow.sport = sport;
    }
    flow.dport = field(ctx, 26)?;
    if field::<u16>(ctx, 28)? == AF_INET6 {
        flow.family = 6;
        flow.saddr = field(ctx, 40)?;
        flow.daddr = field(ctx, 56)?;
    } else {
        flow.family = 4;
        flow.saddr = mapped(field(ctx, 32)?);
        flow.daddr = mapped(field(ctx, 36)?);
    }
    Some(())
}

/// `::ffff:a.b.c.d`.
#[inline(always)]
fn mapped(addr: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = addr;
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

/// The current process, as far as helpers tell: the name is its thread's.
#[inline(always)]
fn current(how: How) -> Owner {
    Owner {
        pid: task::on_cpu(),
        uid: bpf_get_current_uid_gid() as u32,
        start: 0,
        comm: bpf_get_current_comm().unwrap_or([0; 16]),
        how: how as u8,
        zero: [0; 3],
        exec: 0,
    }
}
