//! A SYN came to a listener: the connection is half-open until the peer's ACK, and lives
//! in a request socket meanwhile. Its cookie becomes the connection's.
//!
//! Attach point: the callback `BPF_SOCK_OPS_TIMEOUT_INIT`, which TCP makes with the request
//! when it puts it among those that wait. A SYN that is answered with a SYN cookie leaves
//! nothing behind that could be hooked here.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{BPF_ANY, BPF_F_NO_PREALLOC, BPF_SOCK_OPS_TIMEOUT_INIT, bpf_sock_ops};
use aya_ebpf::helpers::generated::bpf_get_socket_cookie;
use aya_ebpf::macros::{map, sock_ops};
use aya_ebpf::maps::{HashMap, LruHashMap};
use aya_ebpf::programs::SockOpsContext;
use netbreath_common::config::{emit as kinds, filter as filters};
use netbreath_common::hook::Hook;
use netbreath_common::record::{Flow, HalfOpen, How, Kind, Owner};
use netbreath_common::tcp::TcpState;

use crate::filter::{self, Verdict};
use crate::kernel::{Callback, Kernel, Untyped};
use crate::slot::IGNORED;
use crate::{config, emit, slot, sock, word};

/// When each half-open connection's SYN came, by its cookie. Those that come to nothing
/// make room for younger ones.
#[map]
static SYNS: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16_384, 0);

/// Owners of listeners by the socket's address: a request knows its listener by no more.
#[map]
static LISTENERS: HashMap<u64, Owner> = HashMap::with_max_entries(65_536, BPF_F_NO_PREALLOC);

#[sock_ops]
fn nb_half_open_ops(ctx: SockOpsContext) -> u32 {
    if ctx.op() != BPF_SOCK_OPS_TIMEOUT_INIT {
        return 1;
    }
    let ops: *const bpf_sock_ops = ctx.as_ptr().cast_const().cast();
    if unsafe { (*ops).is_fullsock } != 0 {
        // How long its own SYN shall wait, asks an active open; how long its answer, a
        // connection that has its socket from the SYN on (TCP Fast Open).
        if unsafe { (*ops).state } == TcpState::SynRecv as u32 {
            let sk = unsafe { (*ops).__bindgen_anon_2.sk };
            if !sk.is_null()
                && let Some(bare) = Untyped::new(ctx.as_ptr()).follow(0)
            {
                fast_open(Callback::new(sk.cast_const().cast()), bare);
            }
        }
    } else {
        // struct bpf_sock_ops_kern begins with the socket. The context that the verifier
        // knows shows a request's as null.
        if let Some(request) = Untyped::new(ctx.as_ptr()).follow(0) {
            let id = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
            half_open(request, id);
        }
    }
    1
}

/// A connection is half-open and has its socket already: `bare`, of which `sk` shows
/// nothing but its slot.
#[inline(always)]
fn fast_open(sk: Callback, bare: Untyped) {
    let at = emit::now();
    let Some(slot) = slot::find(sk) else { return };
    slot.since = at;
    if slot.flags & IGNORED != 0 || !config::emits(kinds::HALF_OPEN) {
        return;
    }
    if filter::judge(bare, slot, true) != Verdict::Keep {
        return;
    }
    let retries = retries(bare);
    emit::record::<HalfOpen>(Hook::HalfOpen, Kind::HalfOpen, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).retries).write(retries);
            (&raw mut (*record).zero).write(0);
        }
    });
}

#[inline(always)]
fn half_open(request: Untyped, id: u64) {
    let at = emit::now();
    let _ = SYNS.insert(id, at, BPF_ANY.into());
    if !config::emits(kinds::HALF_OPEN) {
        return;
    }
    let Some(listener) = request.follow(config::SOCK_LISTENER()) else { return };
    let owner = LISTENERS.get_ptr(listener.addr());
    if let Some(owner) = owner
        && !filter::selects(unsafe { &*owner })
    {
        return;
    }
    if owner.is_none() && config::filters(filters::OWNER) {
        return;
    }
    let mut flow = Flow { saddr: [0; 16], daddr: [0; 16], sport: 0, dport: 0, family: 0, proto: 0 };
    sock::read_flow(request, &mut flow);
    flow.proto = sock::protocol(listener);
    let netns = sock::netns(listener);
    if filter::place(listener, &flow, netns, true) == Verdict::Drop {
        return;
    }
    let cgroup = sock::cgroup(listener);
    let retries = retries(listener);
    emit::record::<HalfOpen>(Hook::HalfOpen, Kind::HalfOpen, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            let socket = &raw mut (*record).socket;
            (&raw mut (*socket).id).write(id);
            (&raw mut (*socket).cgroup).write(cgroup);
            (&raw mut (*socket).netns).write(netns);
            (&raw mut (*socket).born).write(1);
            (&raw mut (*socket).flow).write(flow);
            let mut inherited = NOBODY;
            if let Some(owner) = owner {
                inherited = *owner;
                inherited.how = How::Inherited as u8;
            }
            (&raw mut (*socket).owner).write(inherited);
            (&raw mut (*socket).opener).write(inherited);
            (&raw mut (*record).retries).write(retries);
            (&raw mut (*record).zero).write(0);
        }
    });
}

const NOBODY: Owner =
    Owner { pid: 0, uid: 0, start: 0, comm: [0; 16], how: 0, zero: [0; 3], exec: 0 };

/// How often the listener has its answer sent again.
#[inline(always)]
fn retries(listener: Untyped) -> u32 {
    let own: u8 = listener.load(config::ICSK_SYN_RETRIES()).unwrap_or(0);
    if own != 0 {
        return own.into();
    }
    let net = listener.follow(config::SOCK_NET());
    let usual: u8 = net.and_then(|net| net.load(config::NET_SYNACK_RETRIES())).unwrap_or(0);
    usual.into()
}

/// When the SYN of this connection came, told once; 0 if not seen.
#[inline(always)]
pub fn syn(id: u64) -> u64 {
    let Some(at) = (unsafe { SYNS.get(id) }).copied() else { return 0 };
    let _ = SYNS.remove(id);
    at
}

/// Notes who owns a listener.
#[inline(always)]
pub fn listens<K: Kernel>(sk: K, owner: &Owner) {
    let _ = LISTENERS.insert(sk.addr(), owner, BPF_ANY.into());
}

/// Who owns a listener, if anybody is known to.
#[inline(always)]
pub fn listener(addr: u64) -> Option<&'static Owner> {
    LISTENERS.get_ptr(addr).map(|owner| unsafe { &*owner })
}

/// A listener is closed.
#[inline(always)]
pub fn listens_no_more<K: Kernel>(sk: K) {
    let _ = LISTENERS.remove(sk.addr());
}
