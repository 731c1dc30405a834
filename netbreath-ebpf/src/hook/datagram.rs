//! Datagrams, as they leave a socket and come to one: their true ends, and the messages
//! of DNS in them.
//!
//! Attach points: programs of the root cgroup for packets that its sockets send and get.
//! A packet on its way out is still in the system call that sends it.

use core::arch::asm;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use aya_ebpf::helpers::generated::{bpf_sk_fullsock, bpf_skb_load_bytes};
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use core::ffi::c_void;
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::record::{DNS_KEPT, Dns, Flow, Kind};

use crate::kernel::{Kernel, Untyped};
use crate::udp::{self, Handle};
use crate::{config, emit, sock, task, word};

#[cgroup_skb(egress)]
fn nb_udp_out(ctx: SkBuffContext) -> i32 {
    datagram(&ctx, true);
    ALLOW
}

#[cgroup_skb(ingress)]
fn nb_udp_in(ctx: SkBuffContext) -> i32 {
    datagram(&ctx, false);
    ALLOW
}

/// What these programs answer: nothing is dropped.
const ALLOW: i32 = 1;

#[inline(always)]
fn datagram(ctx: &SkBuffContext, out: bool) {
    const IPPROTO_UDP: u8 = 17;
    /// Length of the header of UDP.
    const UDP: usize = 8;
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    if config::emits(kinds::PACKET) {
        if out {
            sender(ctx);
        }
        if !config::emits(kinds::UDP | kinds::DNS) {
            return;
        }
    }
    let v6 = match u16::from_be(unsafe { (*skb).protocol } as u16) {
        0x0800 => false,
        0x86dd => true,
        _ => return,
    };
    // The protocol first, since every packet of every socket comes here.
    let proto: u8 = ctx.load(if v6 { 6 } else { 9 }).unwrap_or(0);
    if proto != IPPROTO_UDP {
        return;
    }
    let Some(handle) = socket(ctx) else { return };
    let start: usize = if v6 { 40 } else { usize::from(ctx.load::<u8>(0).unwrap_or(0) & 15) * 4 };
    let (Ok(source), Ok(target)) = (ctx.load::<u16>(start), ctx.load::<u16>(start + 2)) else {
        return;
    };
    let (source, target) = (u16::from_be(source), u16::from_be(target));
    let dns = config::emits(kinds::DNS) && (is_dns(source) || is_dns(target));
    let slot = if dns { handle.find_or_open(Hook::UdpPacket) } else { handle.find() };
    let Some(slot) = slot else { return };
    if !dns && !udp::wants_ends(slot, out) {
        return;
    }
    let mut flow = Flow {
        saddr: [0; 16],
        daddr: [0; 16],
        sport: if out { source } else { target },
        dport: if out { target } else { source },
        family: slot.socket.flow.family,
        proto: slot.socket.flow.proto,
    };
    // As the packet has them: from whom, to whom.
    let (source, target) = (&mut flow.saddr, &mut flow.daddr);
    if v6 {
        address6(ctx, 8, source);
        address6(ctx, 24, target);
    } else {
        address4(ctx, 12, source);
        address4(ctx, 16, target);
    }
    if out {
        udp::leaves(slot, &flow);
    } else {
        core::mem::swap(&mut flow.saddr, &mut flow.daddr);
        udp::arrives(slot, &flow);
    }
    if dns {
        let at = emit::now();
        if out {
            udp::sends(handle, slot, at, Hook::UdpPacket);
        }
        message(ctx, start + UDP, handle, slot, &flow, out, at);
    }
}

/// Notes who sends a packet that is not of TCP, before it goes out by an interface: a socket
/// can be used by many.
#[inline(always)]
fn sender(ctx: &SkBuffContext) {
    const SOCK_STREAM: u32 = 1;
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    let sk: *mut bpf_sock = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        return;
    }
    let sk = unsafe { bpf_sk_fullsock(sk) };
    if sk.is_null() || unsafe { (*sk).type_ } == SOCK_STREAM {
        return;
    }
    // By far the usual case: it is sent by who has sent the one before.
    let slot = Handle::of(sk.cast_const().cast()).find();
    if let Some(slot) = &slot
        && slot.socket.owner.pid == task::process()
    {
        return;
    }
    let Some(handle) = socket(ctx) else { return };
    let slot = match slot {
        Some(slot) => slot,
        // The kernel answers pings by sockets of its own, on top of anybody.
        None if sock::is_kernels(handle.sk) => return,
        None => match handle.open(Hook::UdpPacket) {
            Some(slot) => slot,
            None => return,
        },
    };
    udp::sends(handle, slot, emit::now(), Hook::UdpPacket);
}

/// DNS and multicast DNS (RFC 6762).
#[inline(always)]
fn is_dns(port: u16) -> bool {
    port == 53 || port == 5353
}

#[inline(always)]
fn socket(ctx: &SkBuffContext) -> Option<Handle> {
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    let sk: *mut bpf_sock = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        return None;
    }
    let sk = unsafe { bpf_sk_fullsock(sk) };
    if sk.is_null() {
        return None;
    }
    // The kernel's own structure has the socket where its type information says.
    let bare = Untyped::new(ctx.as_ptr().cast_const()).follow(config::SKB_SK())?;
    Some(Handle { sk: bare, home: sk.cast_const().cast(), cookie: ctx.as_ptr().cast_const() })
}

#[inline(always)]
fn address4(ctx: &SkBuffContext, offset: usize, addr: &mut [u8; 16]) {
    // ::ffff:a.b.c.d
    addr[10] = 0xff;
    addr[11] = 0xff;
    let word: u32 = ctx.load(offset).unwrap_or(0);
    addr[12..16].copy_from_slice(&word.to_ne_bytes());
}

#[inline(always)]
fn address6(ctx: &SkBuffContext, offset: usize, addr: &mut [u8; 16]) {
    *addr = ctx.load(offset).unwrap_or([0; 16]);
}

/// Tells of a message of DNS.
#[inline(always)]
fn message(
    ctx: &SkBuffContext,
    start: usize,
    handle: Handle,
    slot: &mut udp::Slot,
    flow: &Flow,
    out: bool,
    at: u64,
) {
    if !udp::keeps(handle, slot, flow) {
        return;
    }
    let skb: *mut __sk_buff = ctx.as_ptr().cast();
    let len = (unsafe { (*skb).len } as usize).saturating_sub(start) as u64;
    emit::record::<Dns>(Hook::UdpPacket, Kind::Dns, at, |record| {
        let record = record.as_mut_ptr();
        // 1 to 512 by what the verifier sees, whatever registers the compiler moves it through; an
        // empty message is 512 bytes that are not there.
        let least_one = len.min(DNS_KEPT as u64).wrapping_sub(1);
        let kept = (opaque(least_one) & (DNS_KEPT as u64 - 1)) + 1;
        let read = unsafe {
            let message: *mut c_void = (&raw mut (*record).message).cast();
            bpf_skb_load_bytes(skb.cast(), start as u32, message, kept as u32)
        };
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).socket.flow).write(*flow);
            (&raw mut (*record).len).write(if read == 0 { len as u32 } else { 0 });
            (&raw mut (*record).sent).write(out.into());
        }
    });
}

const _: () = assert!(DNS_KEPT.is_power_of_two());

/// The same number, of which the compiler knows nothing.
#[inline(always)]
fn opaque(number: u64) -> u64 {
    let mut number = number;
    unsafe { asm!("{0} = {0}", inout(reg) number) };
    number
}
