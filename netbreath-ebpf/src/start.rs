//! What is found at the start, for who reads the records: the kernel's clock of timers beside
//! the monotonic one, by which it works out when a timer runs off, and how many requests wait.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use netbreath_common::config::start;

/// See [`start`].
#[map]
static START: Array<u64> = Array::with_max_entries(start::COUNT, 0);

/// Notes both clocks.
#[inline(always)]
pub fn note() {
    let (jiffies, monotonic) = unsafe { (bpf_jiffies64(), bpf_ktime_get_ns()) };
    let _ = START.set(start::JIFFIES, jiffies, 0);
    let _ = START.set(start::MONOTONIC, monotonic, 0);
}

/// Counts the requests that wait at a listener.
#[inline(always)]
pub fn add_requests(count: i32) {
    if let Some(requests) = START.get_ptr_mut(start::REQUESTS) {
        unsafe { *requests += count.max(0) as u64 };
    }
}

/// Ticks a second; 0 as long as the reader has not found it out.
#[inline(always)]
pub fn hz() -> u32 {
    START.get(start::HZ).map_or(0, |hz| *hz as u32)
}
