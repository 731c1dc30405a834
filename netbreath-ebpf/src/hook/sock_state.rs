//! State transitions of TCP sockets (and of the protocols that share its states).
//!
//! Attach points, best first: the tracepoint `inet_sock_set_state(const struct sock
//! *sk, const int oldstate, const int newstate)` by BTF, raw, or through perf; the
//! function `void tcp_set_state(struct sock *sk, int state)`, which is not called
//! for LISTEN nor for a child's SYN_RECV.

use aya_ebpf::macros::{btf_tracepoint, kprobe, map, raw_tracepoint, tracepoint};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::{
    BtfTracePointContext, ProbeContext, RawTracePointContext, TracePointContext,
};
use core::ffi::c_void;
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{How, Kind, State};
use netbreath_common::tcp::TcpState;

use super::{connect_return, half_open, mini};
use crate::filter::Verdict;
use crate::kernel::{Kernel, Typed, Untyped};
use crate::slot::{EMPTY, IGNORED, PENDINGS, Pending, Slot};
use crate::sock::Sock;
use crate::task::Current;
use crate::{closed, config, debug, emit, filter, party, slot, sock, task, word};

/// The transition that each CPU told of last: the socket's address, the states.
#[map]
static TOLD: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

#[btf_tracepoint(function = "inet_sock_set_state")]
fn nb_state_btf(ctx: BtfTracePointContext) -> i32 {
    let (sk, old, new) = (Typed::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
    if let Some(told) = TOLD.get_ptr_mut(0) {
        unsafe { told.write_volatile([sk.addr(), states(old, new)]) };
    }
    sock_state::<Typed>(sk, old, new);
    0
}

/// Comes right after `nb_state_btf`, and does its work where the kernel has skipped that
/// one: it does when it already runs on this CPU and an interrupt comes between.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn nb_state_btf2(ctx: BtfTracePointContext) -> i32 {
    let (sk, old, new) = (Typed::new(ctx.arg(0)), ctx.arg(1), ctx.arg(2));
    if let Some(told) = TOLD.get_ptr_mut(0) {
        let told = told.cast::<u64>();
        // One after the other: both at once become arithmetic on a pointer.
        if unsafe {
            told.add(1).read_volatile() == states(old, new) && told.read_volatile() == sk.addr()
        } {
            return 0;
        }
    }
    // An interrupt may also have come between the two, so this proves nothing yet.
    if old != new && !slot::is_in(sk, new) {
        emit::stood_in(Hook::SockState);
        sock_state::<Typed>(sk, old, new);
    }
    0
}

#[inline(always)]
fn states(old: i32, new: i32) -> u64 {
    (old as u64) << 32 | new as u32 as u64
}

#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
fn nb_state_raw(ctx: RawTracePointContext) -> i32 {
    let sk: *const c_void = ctx.arg(0);
    sock_state::<Untyped>(Untyped::new(sk), ctx.arg(1), ctx.arg(2));
    0
}

#[tracepoint(category = "sock", name = "inet_sock_set_state")]
fn nb_state_tp(ctx: TracePointContext) -> u32 {
    // events/sock/inet_sock_set_state/format: skaddr, oldstate, newstate.
    let (Ok(sk), Ok(old), Ok(new)) = (unsafe {
        (ctx.read_at::<*const c_void>(8), ctx.read_at::<i32>(16), ctx.read_at::<i32>(20))
    }) else {
        emit::missed(Hook::SockState, Miss::Unreadable);
        return 0;
    };
    sock_state::<Untyped>(Untyped::new(sk), old, new);
    0
}

#[kprobe(function = "tcp_set_state")]
fn nb_state_kp(ctx: ProbeContext) -> u32 {
    let (Some(sk), Some(new)) = (ctx.arg::<*const c_void>(0), ctx.arg::<i32>(1)) else {
        return 0;
    };
    let sk = Untyped::new(sk);
    sock_state::<Untyped>(sk, sock::state(sk).into(), new);
    0
}

#[inline(always)]
fn sock_state<K: Sock + Current>(sk: K, old: i32, new: i32) {
    const CLOSE: i32 = TcpState::Close as i32;
    const LISTEN: i32 = TcpState::Listen as i32;
    const SYN_SENT: i32 = TcpState::SynSent as i32;
    const SYN_RECV: i32 = TcpState::SynRecv as i32;
    const ESTABLISHED: i32 = TcpState::Established as i32;
    const IPPROTO_TCP: u16 = 6;

    // close() sets the state of a socket that was shut down once more.
    if old == new {
        return;
    }
    if old == LISTEN && new == CLOSE {
        half_open::listens_no_more(sk);
    }
    let at = emit::now();
    // Two ways begin in a system call of the owner; a third in an interrupt, on
    // behalf of whoever accepts the connection later.
    let begun = match (old, new) {
        (CLOSE, SYN_SENT) => Some(How::Connect),
        (CLOSE, LISTEN) => Some(How::Listen),
        (LISTEN, SYN_RECV) => Some(How::Inherited),
        // SCTP: its handshake makes no transitions, and its last packet comes on behalf of
        // nobody.
        (CLOSE, _) => Some(How::Unknown),
        _ => None,
    };
    let known = match begun {
        None => slot::find(sk),
        Some(_) => None,
    };
    if known.is_none() && drops(sk, begun, new) {
        // Its listener's, or that of its life before.
        if let Some(slot) = slot::find(sk) {
            slot.flags |= IGNORED;
            slot.pendings = 0;
        }
        return;
    }
    let found = match begun {
        Some(How::Inherited) => slot::open_child(sk, Hook::SockState),
        Some(_) => slot::open(sk, Hook::SockState, Miss::NoSlot),
        None => match known {
            // Older than netbreath, and no seed told of it.
            None => match slot::open_older(sk, Hook::SockState, Miss::NoSlot) {
                Some(slot) => {
                    sock::describe(sk, &mut slot.socket, at);
                    Some(slot)
                }
                None => None,
            },
            found => found,
        },
    };
    let Some(mut slot) = found else { return };
    slot::enter(sk, slot, new);
    let at = slot::take_turn(slot, at);
    if slot.flags & IGNORED != 0 {
        forget(sk, new);
        return;
    }
    if begun.is_some() {
        sock::describe(sk, &mut slot.socket, at);
        slot.socket.born = 1;
    }
    // Once it is established, its ends stay.
    if slot.established == 0 && (new != CLOSE || slot.socket.flow.sport == 0) {
        sock::read_flow(sk, &mut slot.socket.flow);
    }
    // 6.1 and 6.12 tell of a child before they give it its own ends, and before they take
    // the cookie away that it has copied from the listener. Its next transition comes at
    // once, and both are known then.
    let unfinished = begun == Some(How::Inherited) && slot.socket.flow.dport == 0;
    if !unfinished
        && filter::place(sk, &slot.socket.flow, slot.socket.netns, new == CLOSE) == Verdict::Drop
    {
        slot.flags |= IGNORED;
        slot.pendings = 0;
        forget(sk, new);
        return;
    }
    let (mut syn, mut made) = (0, false);
    match begun {
        Some(How::Inherited) => {
            if slot.socket.owner.pid != 0 {
                let mut owner = slot.socket.owner;
                owner.how = How::Inherited as u8;
                slot::own(slot, owner);
            }
            if unfinished {
                slot.socket.id = 0;
            } else {
                syn = half_open::syn(slot.socket.id);
                made = true;
            }
            slot = slot::park(sk, slot, Hook::SockState);
        }
        Some(How::Unknown) => {}
        Some(how) => {
            if how == How::Connect {
                connect_return::sends();
            }
            slot::own(slot, task::owner::<K>(how));
            if new == LISTEN {
                half_open::listens(sk, &slot.socket.owner);
            }
        }
        None => {
            // Nor is its birth shown where only `tcp_set_state` is watched.
            let late = slot.socket.id == 0 || slot.begun == 0;
            sock::identify(sk, &mut slot.socket, at);
            if late && old == SYN_RECV && config::HAS_HALF_OPEN() != 0 {
                slot.since = half_open::syn(slot.socket.id);
                if slot.since != 0 {
                    slot.begun = slot.since;
                    slot.socket.born = 1;
                }
            }
        }
    }

    let (mini, timeout) = mini::in_place_of(sk, old, new);
    let in_state = if slot.since == 0 { 0 } else { at.saturating_sub(slot.since) };
    slot.since = at;
    if begun.is_some() {
        slot.begun = at;
    }
    if made && config::HAS_HALF_OPEN() != 0 {
        // A connection is in SYN_RECV from its SYN on, not from the birth of its socket.
        // With a SYN cookie, the kernel itself does not know when that came.
        slot.since = syn;
        if syn != 0 {
            slot.begun = syn;
        }
    }
    if new == ESTABLISHED {
        slot.established = at;
    }
    closed::note(sk, slot, old, new, in_state);

    let transition = Pending {
        at,
        in_state,
        on_cpu: task::on_cpu(),
        old: old as u8,
        new: new as u8,
        mini,
        timeout,
    };
    // The port of an active open is chosen after this; the connect hook tells it, of TCP.
    let unbound = new == SYN_SENT
        && slot.socket.flow.sport == 0
        && slot.socket.flow.proto == IPPROTO_TCP
        && config::HAS_CONNECT() != 0;
    let verdict = if unbound || unfinished {
        Verdict::Undecided
    } else {
        filter::judge(sk, slot, new == CLOSE)
    };
    debug::transition(slot.socket.id, old as u32, new as u32, verdict);
    let wanted = wanted(old, new, mini);
    match verdict {
        Verdict::Keep => {
            flush(slot, Hook::SockState);
            if wanted {
                send(slot, &transition, Hook::SockState);
            }
            if new == CLOSE {
                closed::send(sk, slot, old, at);
            }
        }
        Verdict::Drop => slot.pendings = 0,
        Verdict::Undecided if wanted => hold(slot, transition),
        Verdict::Undecided => {}
    }
    // Last: older verifiers go through all that comes behind it twice.
    if mini != 0 && config::emits(kinds::PACKET) {
        party::leave(slot);
    }
    forget(sk, new);
}

/// Whether the filters are sure to drop a socket, before anything is noted of it.
#[inline(always)]
fn drops<K: Kernel>(sk: K, begun: Option<How>, new: i32) -> bool {
    if !filter::places() {
        return false;
    }
    let mut flow = EMPTY.socket.flow;
    sock::read_flow(sk, &mut flow);
    let unfinished = begun == Some(How::Inherited) && flow.dport == 0;
    let last = new == TcpState::Close as i32;
    !unfinished && filter::place(sk, &flow, sock::netns(sk), last) == Verdict::Drop
}

/// Where nothing tells when a socket is freed, its slot goes when it is closed.
#[inline(always)]
fn forget<K: Kernel>(sk: K, new: i32) {
    if config::HAS_DESTROY() == 0 && new == TcpState::Close as i32 {
        slot::close(sk);
    }
}

/// Whether the transition itself is asked for.
#[inline(always)]
pub fn wanted(old: i32, new: i32, mini: u8) -> bool {
    /// With a mini-socket, the connection goes on to TIME_WAIT, and has its end later.
    const BEHIND: u32 = TcpState::TimeWait.bit() | TcpState::Close.bit();
    let behind = if mini == 0 { 0 } else { BEHIND };
    let states = config::STATES();
    config::emits(kinds::STATE)
        && (states == 0 || states & (1 << (old & 31) | 1 << (new & 31) | behind) != 0)
}

/// Keeps a transition until it is decided.
#[inline(always)]
fn hold(slot: &mut Slot, transition: Pending) {
    let count = slot.pendings as usize;
    if count < PENDINGS {
        slot.pending[count] = transition;
        slot.pendings = count as u16 + 1;
    } else {
        emit::missed(Hook::SockState, Miss::PendingFull);
    }
}

/// Judges a socket anew, since more is known of it, and sends or drops what waited.
/// `last`: nothing more will become known.
#[inline(always)]
pub fn settle<K: Kernel>(sk: K, slot: &mut Slot, hook: Hook, last: bool) -> Verdict {
    let verdict = filter::judge(sk, slot, last);
    match verdict {
        Verdict::Keep => flush(slot, hook),
        Verdict::Drop => slot.pendings = 0,
        Verdict::Undecided => {}
    }
    verdict
}

/// Sends what waited.
#[inline(always)]
fn flush(slot: &mut Slot, hook: Hook) {
    if slot.pendings == 0 {
        return;
    }
    // Without filters, only one that has not got its ends yet waits. The verifier takes
    // longer for each turn than for all else.
    let most = if config::FILTER() == 0 { 1 } else { PENDINGS };
    for i in 0..PENDINGS {
        if i < most && i < slot.pendings as usize {
            let transition = slot.pending[i];
            send(slot, &transition, hook);
        }
    }
    slot.pendings = 0;
}

#[inline(always)]
pub fn send(slot: &Slot, transition: &Pending, hook: Hook) {
    emit::record::<State>(hook, Kind::State, transition.at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).in_state).write(transition.in_state);
            (&raw mut (*record).on_cpu).write(transition.on_cpu);
            (&raw mut (*record).old).write(transition.old);
            (&raw mut (*record).new).write(transition.new);
            (&raw mut (*record).mini).write(transition.mini);
            (&raw mut (*record).timeout).write(transition.timeout);
        }
    });
}
