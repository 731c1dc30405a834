//! The kernel's clock of timers beside the monotonic one: who reads the records works out
//! when a timer runs off.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use netbreath_common::config::tick;

/// See [`tick`].
#[map]
static TICKS: Array<u64> = Array::with_max_entries(tick::COUNT, 0);

/// Notes both clocks.
#[inline(always)]
pub fn note() {
    let (jiffies, monotonic) = unsafe { (bpf_jiffies64(), bpf_ktime_get_ns()) };
    let _ = TICKS.set(tick::JIFFIES, jiffies, 0);
    let _ = TICKS.set(tick::MONOTONIC, monotonic, 0);
}

/// Ticks a second; 0 as long as the reader has not found it out.
#[inline(always)]
pub fn hz() -> u32 {
    TICKS.get(tick::HZ).map_or(0, |hz| *hz as u32)
}
