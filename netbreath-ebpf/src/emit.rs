//! The ring: the only file that touches it. Records, what was lost, what was
//! missed, and when to wake the reader.

use core::intrinsics::{AtomicOrdering, atomic_xadd, atomic_xchg};
use core::mem::MaybeUninit;

use aya_ebpf::bindings::{
    BPF_F_MMAPABLE, BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE,
};
use aya_ebpf::helpers::{bpf_get_smp_processor_id, bpf_ktime_get_boot_ns};
use aya_ebpf::macros::map;
use aya_ebpf::maps::ring_buf::RingBufEntry;
use aya_ebpf::maps::{Array, PerCpuArray, RingBuf};
use netbreath_common::hook::Hook;
use netbreath_common::miss::{self, Miss};
use netbreath_common::record::{Header, Kind, Record};

/// Sockets and processes. The loader sets the size.
#[map]
static RING: RingBuf = RingBuf::with_byte_size(8 << 20, 0);

/// 1 while the reader sleeps, or is about to: the next record must wake it. The
/// reader sets it in shared memory: a system call for it would keep the kernel from
/// calling programs on perf's tracepoints meanwhile.
#[map]
static ARMED: Array<u32> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Misses by hook and reason since the start; see `netbreath_common::miss`.
#[map]
static MISSES: PerCpuArray<u64> = PerCpuArray::with_max_entries(miss::COUNTERS, 0);

/// By hook: how often a second program did the work of one that the kernel has skipped.
#[map]
static STOOD_IN: PerCpuArray<u64> = PerCpuArray::with_max_entries(Hook::ALL.len() as u32, 0);

/// Where each CPU is in its sequence of records.
#[map]
static SEQUENCE: PerCpuArray<Sequence> = PerCpuArray::with_max_entries(1, 0);

struct Sequence {
    next: u64,
    lost: u32,
    missed: u32,
}

/// Nanoseconds since boot.
#[inline(always)]
pub fn now() -> u64 {
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Puts a record into the ring; `fill` writes everything after the header.
#[inline(always)]
pub fn record<R: Record + 'static>(
    hook: Hook,
    kind: Kind,
    at: u64,
    fill: impl FnOnce(&mut MaybeUninit<R>),
) {
    let Some(sequence) = SEQUENCE.get_ptr_mut(0) else {
        return;
    };
    // Atomic: an interrupt's program may come between on this CPU.
    let seq = unsafe {
        atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(&raw mut (*sequence).next, 1)
    };
    let Some(mut entry) = reserve::<R>() else {
        unsafe {
            atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(&raw mut (*sequence).lost, 1);
        }
        count(hook, if is_full::<R>() { Miss::RingFull } else { Miss::RingLocked });
        return;
    };
    let header = unsafe {
        Header {
            kind: kind as u16,
            len: size_of::<R>() as u16,
            cpu: bpf_get_smp_processor_id(),
            at,
            seq,
            lost: take(&raw mut (*sequence).lost),
            missed: take(&raw mut (*sequence).missed),
        }
    };
    fill(&mut entry);
    // A header is the first member of every record.
    unsafe { entry.as_mut_ptr().cast::<Header>().write(header) };
    entry.submit(BPF_RB_NO_WAKEUP.into());
    wake();
}

/// Room for a record. From 6.15 on the kernel gives up on the ring's lock after a
/// quarter of a second, which a virtual CPU that holds it may be kept from running.
#[inline(always)]
fn reserve<R: 'static>() -> Option<RingBufEntry<R>> {
    match RING.reserve::<R>(0) {
        None if !is_full::<R>() => RING.reserve::<R>(0),
        entry => entry,
    }
}

/// Whether the ring has no room for a record.
#[inline(always)]
fn is_full<R>() -> bool {
    const HEADER: u64 = 8;
    let free =
        RING.query(BPF_RB_RING_SIZE.into()).wrapping_sub(RING.query(BPF_RB_AVAIL_DATA.into()));
    free <= size_of::<R>() as u64 + HEADER
}

/// Reads and clears a counter that is nearly always 0.
#[inline(always)]
pub unsafe fn take(counter: *mut u32) -> u32 {
    unsafe {
        if counter.read_volatile() == 0 {
            return 0;
        }
        atomic_xchg::<u32, { AtomicOrdering::Relaxed }>(counter, 0)
    }
}

/// Wakes the reader if it sleeps.
///
/// A wake-up for each record would cost more than half of the traced load; the
/// reader drains by a timer while there is work and only arms this when it has
/// found the ring empty. It must come after the submit: a reader that arms itself
/// before finds the record in its last look, one that arms itself after is seen
/// here.
#[inline(always)]
fn wake() {
    let Some(armed) = ARMED.get_ptr_mut(0) else {
        return;
    };
    unsafe {
        if armed.read_volatile() == 0 {
            return;
        }
        armed.write_volatile(0);
    }
    // The submit is over and the ring has no call just for waking.
    if let Some(entry) = RING.reserve::<u64>(0) {
        entry.discard(BPF_RB_FORCE_WAKEUP.into());
    }
}

/// Counts a miss; the next record of this CPU says that there was one.
#[inline(always)]
pub fn missed(hook: Hook, miss: Miss) {
    if let Some(sequence) = SEQUENCE.get_ptr_mut(0) {
        unsafe {
            atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(&raw mut (*sequence).missed, 1);
        }
    }
    count(hook, miss);
}

#[inline(always)]
fn count(hook: Hook, miss: Miss) {
    add_one(MISSES.get_ptr_mut(miss::counter(hook, miss)));
}

/// Counts that a second program does the work of one that was skipped.
#[inline(always)]
pub fn stood_in(hook: Hook) {
    add_one(STOOD_IN.get_ptr_mut(hook as u32));
}

#[inline(always)]
fn add_one(counter: Option<*mut u64>) {
    if let Some(counter) = counter {
        unsafe {
            atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, 1);
        }
    }
}
