//! Packets, as they come in by an interface or go out by it.
//!
//! Attach points: both ways of each interface that is captured on, where traffic is
//! controlled (TC): after the driver and before the rest of the network's stack, and the
//! other way round. A filter in the language of packet filters is a program of its own,
//! made by the loader; it comes between the two halves here.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::macros::{classifier, map};
use aya_ebpf::maps::{PerCpuArray, ProgramArray};
use aya_ebpf::programs::TcContext;
use netbreath_common::config::filter as filters;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::packet::{Interface, NO_PARTY, Packet, Way, programs};

use crate::{capture, config, emit, party};

/// See [`programs`].
#[map]
static PACKET_PROGRAMS: ProgramArray = ProgramArray::with_max_entries(programs::COUNT, 0);

/// The packet that each CPU is at. On the stack, it would make of each way to its owner a
/// state of its own for the verifier, which on older kernels are too many.
#[map]
static AT_HAND: PerCpuArray<Packet> = PerCpuArray::with_max_entries(1, 0);

/// What these programs answer: whoever comes next shall decide.
const NEXT: i32 = -1;

#[classifier]
fn nb_packet_in(ctx: TcContext) -> i32 {
    begin(&ctx, Way::In);
    NEXT
}

#[classifier]
fn nb_packet_out(ctx: TcContext) -> i32 {
    begin(&ctx, Way::Out);
    NEXT
}

/// The second half, which a filter calls.
#[classifier]
fn nb_keep_in(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    if let Some(interface) = capture::interface(unsafe { (*skb).ifindex }) {
        keep(skb, interface, Way::In);
    }
    NEXT
}

#[classifier]
fn nb_keep_out(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    if let Some(interface) = capture::interface(unsafe { (*skb).ifindex }) {
        keep(skb, interface, Way::Out);
    }
    NEXT
}

#[inline(always)]
fn begin(ctx: &TcContext, way: Way) {
    let skb = ctx.skb.skb;
    let Some(interface) = capture::interface(unsafe { (*skb).ifindex }) else { return };
    if let Some(counts) = capture::counts(interface) {
        capture::count(unsafe { &raw mut (*counts).seen });
    }
    if config::HAS_PACKET_FILTER() == 0 {
        keep(skb, interface, way);
        return;
    }
    // An index that the verifier knows makes it a jump.
    unsafe {
        if interface.filter == 0 {
            PACKET_PROGRAMS.tail_call(ctx, programs::FILTER + way as u32);
        } else {
            PACKET_PROGRAMS.tail_call(ctx, programs::FILTER + 2 + way as u32);
        }
    }
    // There is no way back from a filter, unless it is not there.
    emit::missed(Hook::Packet, Miss::Unreadable);
}

#[inline(always)]
fn keep(skb: *mut __sk_buff, interface: &Interface, way: Way) {
    let Some(counts) = capture::counts(interface) else { return };
    // Why no atomics: whoever sends or receives keeps all others from its CPU meanwhile.
    let Some(packet) = AT_HAND.get_ptr_mut(0) else { return };
    let packet = unsafe { &mut *packet };
    packet.at = emit::now();
    packet.len = unsafe { (*skb).len };
    packet.kept = if packet.len < config::SNAP_LEN() { packet.len } else { config::SNAP_LEN() };
    packet.lost = 0;
    packet.ifindex = unsafe { (*skb).ifindex };
    packet.vlan_proto = unsafe { (*skb).vlan_proto } as u16;
    packet.vlan_tci = unsafe { (*skb).vlan_tci } as u16;
    packet.way = way as u8;
    packet.place = interface.place as u8;
    packet.vlan = unsafe { (*skb).vlan_present } as u8;
    packet.zero = 0;
    packet.from = NO_PARTY;
    packet.to = NO_PARTY;
    match way {
        Way::Out => {
            party::sender(skb, interface, &mut packet.from);
            if interface.loopback != 0
                && let Some(ends) = party::ends(skb, interface.header)
            {
                party::by_target(skb, &ends, true, &mut packet.to);
            }
        }
        Way::In => {
            if let Some(ends) = party::ends(skb, interface.header) {
                let local = interface.loopback != 0;
                if local {
                    party::by_source(skb, &ends, &mut packet.from);
                }
                party::by_target(skb, &ends, local, &mut packet.to);
            }
        }
    }
    if !is_asked_for(packet) {
        return;
    }
    capture::count(unsafe { &raw mut (*counts).passed });
    capture::keep(skb, packet, counts);
}

/// What the filters on sockets and their owners say.
#[inline(always)]
fn is_asked_for(packet: &Packet) -> bool {
    let (from, to) = (&packet.from, &packet.to);
    let owners = !config::filters(filters::OWNER | filters::CGROUP | filters::NETNS)
        || from.selected | to.selected != 0;
    let states = config::STATES();
    let state = |number: u8| number != 0 && states & 1 << (number & 31) != 0;
    owners && (states == 0 || state(from.state) || state(to.state))
}
