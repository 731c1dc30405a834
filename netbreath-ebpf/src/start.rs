//! What is found at the start, for who reads the records: the kernel's clock of timers beside
//! the monotonic one, by which it works out when a timer runs off, and where requests wait.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_jiffies64;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap};
use netbreath_common::config::start;

/// See [`start`].
#[map]
static START: Array<u64> = Array::with_max_entries(start::COUNT, 0);

/// Network namespaces with requests that may be older than the hooks.
#[map]
static OLD_REQUESTS: HashMap<u32, u8> =
    HashMap::with_max_entries(start::NAMESPACES, BPF_F_NO_PREALLOC);

/// Notes both clocks.
#[inline(always)]
pub fn note() {
    let (jiffies, monotonic) = unsafe { (bpf_jiffies64(), bpf_ktime_get_ns()) };
    let _ = START.set(start::JIFFIES, jiffies, 0);
    let _ = START.set(start::MONOTONIC, monotonic, 0);
}

/// Notes a network namespace where requests wait at a listener: some may be older than the
/// hooks.
#[inline(always)]
pub fn note_requests(netns: u32) {
    // Why ignored: where there is no room for it, the map is full, and the reader sees that.
    let _ = OLD_REQUESTS.insert(netns, 1, 0);
}

/// Ticks a second; 0 as long as the reader has not found it out.
#[inline(always)]
pub fn hz() -> u32 {
    START.get(start::HZ).map_or(0, |hz| *hz as u32)
}
