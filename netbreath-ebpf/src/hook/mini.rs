//! Mini-sockets: what the kernel puts in the place of a socket that goes to TIME_WAIT,
//! and of one in FIN_WAIT2 that no process holds any more. The full socket is closed at
//! that moment, and the cookie goes on.
//!
//! Attach points: the tracepoint `kfree_skb(struct sk_buff *skb, void *location, enum
//! skb_drop_reason reason, struct sock *rx_sk)` (6.12 and newer), where every packet to a
//! mini-socket ends, and `tcp_send_reset(const struct sock *sk, …)`, which comes before the
//! mini-socket goes that the RST is from. Whether one is made is told from the full socket, with the
//! transition of that (see `sock_state`).

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use core::ffi::c_void;
use netbreath_common::config::filter as filters;
use netbreath_common::hook::Hook;
use netbreath_common::offset::ABSENT;
use netbreath_common::record::{Flow, Kind, MINI_IN_DOUBT, Mini};
use netbreath_common::tcp::TcpState;

use crate::filter::{self, Verdict};
use crate::kernel::{Kernel, Typed, Untyped};
use crate::{config, emit, sock, start};

#[btf_tracepoint(function = "kfree_skb")]
fn nb_mini_btf(ctx: BtfTracePointContext) -> i32 {
    let sk = Typed::new(ctx.arg(3));
    // By far most packets that are dropped were not to a mini-socket.
    if sk.addr() == 0 || sock::state(sk) != TcpState::TimeWait as u8 || !sock::is_inet(sk) {
        return 0;
    }
    let mini = Untyped::new(sk.ptr());
    if mini.read::<u64>(config::SOCK_HASHED()) != 0 {
        tell(mini, mini.read(config::MINI_STATE()), Hook::Mini);
    }
    0
}

#[btf_tracepoint(function = "tcp_send_reset")]
fn nb_mini_reset_btf(ctx: BtfTracePointContext) -> i32 {
    let sk = Typed::new(ctx.arg(0));
    if sk.addr() == 0 {
        return 0;
    }
    let state = sock::state(sk);
    let answers = ctx.arg::<*const c_void>(1).addr() != 0;
    // What it answers with an RST ends a mini-socket: data that nobody will read. Such data
    // with the ACK of the FIN keeps one from being made: then the full socket answers, when
    // it is closed.
    let ends = state == TcpState::TimeWait as u8 || state == TcpState::Close as u8 && answers;
    if ends && sock::is_inet(sk) {
        tell(Untyped::new(sk.ptr()), TcpState::Close as u8, Hook::MiniReset);
    }
    0
}

/// What a mini-socket is in now.
#[inline(always)]
fn tell(mini: Untyped, state: u8, hook: Hook) {
    let id: u64 = mini.read(config::SOCK_COOKIE());
    if id == 0 || !asked_for(mini) {
        return;
    }
    emit::record::<Mini>(hook, Kind::Mini, emit::now(), |record| {
        let record = record.as_mut_ptr();
        unsafe {
            (&raw mut (*record).id).write(id);
            (&raw mut (*record).state).write(state.into());
            (&raw mut (*record).zero).write(0);
        }
    });
}

/// What the filters say of its ends. It has neither owner nor cgroup: who reads the
/// record knows the socket that it stands for, or drops it.
#[inline(always)]
fn asked_for(mini: Untyped) -> bool {
    const ELSEWHERE: u32 = filters::OWNER | filters::CGROUP | filters::FOLLOW;
    if config::FILTER() & !ELSEWHERE == 0 && config::FAMILY() == 0
        || config::filters(filters::CGROUP)
    {
        return true;
    }
    let mut flow = Flow { saddr: [0; 16], daddr: [0; 16], sport: 0, dport: 0, family: 0, proto: 0 };
    sock::read_flow(mini, &mut flow);
    filter::place(mini, &flow, sock::netns(mini), true) != Verdict::Drop
}

/// What can be told from a socket that is about to be closed: the state of the
/// mini-socket in its place (see `record::State`), and its timeout in seconds.
#[inline(always)]
pub fn in_place_of<K: Kernel>(sk: K, old: i32, new: i32) -> (u8, u8) {
    const CLOSE: i32 = TcpState::Close as i32;
    const FIN_WAIT2: i32 = TcpState::FinWait2 as i32;
    const CLOSING: i32 = TcpState::Closing as i32;
    const IPPROTO_TCP: u16 = 6;
    if new != CLOSE || old != FIN_WAIT2 && old != CLOSING {
        return (0, 0);
    }
    // MPTCP and SCTP have the states, but no mini-sockets.
    if sock::protocol(sk) != IPPROTO_TCP {
        return (0, 0);
    }
    // An RST, a timeout, `ss -K`: each sets the error before it closes.
    if sk.load(config::SOCK_ERR()).unwrap_or(0i32) != 0 {
        return (0, 0);
    }
    // Beyond `struct sock`, a typed pointer does not reach.
    let tcp = Untyped::new(sk.ptr());
    let (state, timeout) = if old == CLOSING {
        // The peer has acknowledged all: it is not the process that gives up.
        let unacknowledged: u32 = tcp.load(config::TCP_SND_UNA()).unwrap_or(0);
        if tcp.load(config::TCP_WRITE_SEQ()).unwrap_or(0u32) != unacknowledged {
            return (0, 0);
        }
        (TcpState::TimeWait, 0)
    } else {
        /// Bits of `enum sock_flags` (include/net/sock.h).
        const SOCK_DEAD: u64 = 1 << 0;
        const SOCK_DONE: u64 = 1 << 1;
        let flags: u64 = tcp.load(config::SOCK_FLAGS()).unwrap_or(0);
        if flags & SOCK_DONE != 0 {
            // The peer's FIN came.
            (TcpState::TimeWait, 0)
        } else if flags & SOCK_DEAD != 0 {
            let linger: i32 = tcp.load(config::TCP_LINGER2()).unwrap_or(0);
            if linger < 0 {
                return (0, 0);
            }
            (TcpState::FinWait2, fin_timeout(tcp, linger))
        } else {
            // A process gives up: unread data, SO_LINGER, connect() to nowhere.
            return (0, 0);
        }
    };
    (state as u8 | in_doubt(tcp), timeout)
}

/// How long a socket that nobody holds waits for the peer's FIN, in seconds: the kernel's
/// `tcp_fin_time`.
#[inline(always)]
fn fin_timeout(tcp: Untyped, linger: i32) -> u8 {
    let hz = start::hz();
    if hz == 0 {
        return 0;
    }
    let mut ticks = linger as u32;
    if ticks == 0 {
        let net = tcp.follow(config::SOCK_NET());
        ticks = net.and_then(|net| net.load(config::NET_FIN_TIMEOUT())).unwrap_or(0);
    }
    let rto: u32 = tcp.load(config::ICSK_RTO()).unwrap_or(0);
    let least = (rto << 2).wrapping_sub(rto >> 1);
    if ticks < least {
        ticks = least;
    }
    // What is longer than TIME_WAIT, the full socket waits for itself.
    let longest = 60 * hz;
    if ticks > longest {
        ticks -= longest;
    }
    let seconds = ticks.div_ceil(hz);
    if seconds > 255 { 255 } else { seconds as u8 }
}

/// Whether the kernel may have had no room for a mini-socket.
#[inline(always)]
fn in_doubt(tcp: Untyped) -> u8 {
    if config::NET_MINIS() == ABSENT || config::NET_MAX_MINIS() == ABSENT {
        return 0;
    }
    let Some(net) = tcp.follow(config::SOCK_NET()) else { return 0 };
    // The count starts at 1, and has this one in it if there was room.
    let minis: i32 = net.load(config::NET_MINIS()).unwrap_or(0);
    let most: i32 = net.load(config::NET_MAX_MINIS()).unwrap_or(i32::MAX);
    if minis > most { MINI_IN_DOUBT } else { 0 }
}
