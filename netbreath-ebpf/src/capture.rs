//! The ring of packets: the only file that touches it. Another one than that of `emit`, so
//! that a flood of packets costs no other record its place.

use core::arch::asm;
use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::bindings::{__sk_buff, BPF_F_MMAPABLE, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use aya_ebpf::helpers::generated::bpf_skb_load_bytes;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, PerCpuArray, RingBuf};
use netbreath_common::packet::{Counts, INTERFACES as MOST, Interface, Packet, ROOMS};

use crate::{emit, word};

/// Packets. The loader sets the size.
#[map]
static PACKETS: RingBuf = RingBuf::with_byte_size(32 << 20, 0);

/// As `ARMED` of the other ring.
#[map]
static PACKETS_ARMED: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// What is to be done on each interface, by its number.
#[map]
static INTERFACES: HashMap<u32, Interface> = HashMap::with_max_entries(MOST, 0);

/// What was counted on each interface, by its place.
#[map]
static PACKET_COUNTS: PerCpuArray<Counts> = PerCpuArray::with_max_entries(MOST, 0);

/// Packets lost on each CPU since its last record.
#[map]
static PACKETS_LOST: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// What is to be done on the interface with this number; nothing if it is not captured on.
#[inline(always)]
pub fn interface(ifindex: u32) -> Option<&'static Interface> {
    INTERFACES.get_ptr(ifindex).map(|interface| unsafe { &*interface })
}

/// The counters of an interface, on this CPU.
#[inline(always)]
pub fn counts(interface: &Interface) -> Option<*mut Counts> {
    PACKET_COUNTS.get_ptr_mut(interface.place)
}

/// Adds one to a counter. Atomic: a packet may be sent while another is.
#[inline(always)]
pub fn count(counter: *mut u64) {
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, 1) };
}

/// A record with room for so many bytes of a packet.
#[repr(C)]
struct Room<const N: usize> {
    packet: Packet,
    bytes: [u8; N],
}

/// What became of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    /// The ring has no room.
    Lost,
    /// The packet could not be read.
    Not,
}

/// Puts a packet into the ring: what is written of it in `packet`, and its first bytes.
#[inline(always)]
pub fn keep(skb: *mut __sk_buff, packet: &mut Packet, counts: *mut Counts) {
    let lost = PACKETS_LOST.get_ptr_mut(0);
    packet.lost = match lost {
        Some(lost) => unsafe { emit::take(lost) },
        None => 0,
    };
    // From the smallest up: most packets are small, and those that are not are few.
    let kept = match packet.kept as usize {
        n if n <= ROOMS[0] => put::<{ ROOMS[0] }>(skb, packet),
        n if n <= ROOMS[1] => put::<{ ROOMS[1] }>(skb, packet),
        n if n <= ROOMS[2] => put::<{ ROOMS[2] }>(skb, packet),
        n if n <= ROOMS[3] => put::<{ ROOMS[3] }>(skb, packet),
        n if n <= ROOMS[4] => put::<{ ROOMS[4] }>(skb, packet),
        n if n <= ROOMS[5] => put::<{ ROOMS[5] }>(skb, packet),
        n if n <= ROOMS[6] => put::<{ ROOMS[6] }>(skb, packet),
        n if n <= ROOMS[7] => put::<{ ROOMS[7] }>(skb, packet),
        _ => put::<{ ROOMS[8] }>(skb, packet),
    };
    match kept {
        Kept::Yes => wake(),
        Kept::Lost | Kept::Not => {
            count(unsafe { &raw mut (*counts).lost });
            if let Some(lost) = lost {
                let all = packet.lost + 1;
                unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(lost, all) };
            }
        }
    }
}

#[inline(always)]
fn put<const N: usize>(skb: *mut __sk_buff, packet: &Packet) -> Kept {
    let Some(mut entry) = PACKETS.reserve::<Room<N>>(0) else { return Kept::Lost };
    let room = entry.as_mut_ptr();
    let len = bounded::<N>(packet.kept.into());
    let read = unsafe {
        word::copy(packet, &raw mut (*room).packet);
        let bytes = &raw mut (*room).bytes;
        bpf_skb_load_bytes(skb.cast(), 0, bytes.cast(), len as u32)
    };
    if read != 0 {
        entry.discard(BPF_RB_NO_WAKEUP.into());
        return Kept::Not;
    }
    entry.submit(BPF_RB_NO_WAKEUP.into());
    Kept::Yes
}

/// A length that the verifier knows to be from 1 to `N`.
#[inline(always)]
fn bounded<const N: usize>(len: u64) -> u64 {
    let mut len = len;
    // The compiler knows the bounds already, and would leave the checks out.
    unsafe { asm!("{0} = {0}", inout(reg) len) };
    if len == 0 {
        len = 1;
    }
    if len > N as u64 {
        len = N as u64;
    }
    len
}

/// Wakes the reader if it sleeps; see `emit`.
#[inline(always)]
fn wake() {
    let Some(armed) = PACKETS_ARMED.get_ptr_mut(0) else { return };
    unsafe {
        if armed.read_volatile() == 0 {
            return;
        }
        armed.write_volatile(0);
    }
    if let Some(entry) = PACKETS.reserve::<u64>(0) {
        entry.discard(BPF_RB_FORCE_WAKEUP.into());
    }
}
