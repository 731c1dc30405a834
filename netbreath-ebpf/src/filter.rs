//! The filters, evaluated before the ring is touched. A filter can be undecided: an
//! active open has no local port at first, and nobody owns a connection before it
//! is accepted.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::{Key, LpmTrie};
use aya_ebpf::maps::{Array, HashMap};
use netbreath_common::config::{ADDR_KEY_END_BITS, AddrKey, End, PORT_WORDS, filter};
use netbreath_common::record::{Flow, Owner};

use crate::config;
use crate::kernel::Kernel;
use crate::slot::{ACCEPTABLE, SELECTED, Slot};
use crate::sock;

/// Owners by process id; the value is the process's start time, 0 for any.
#[map]
pub static PIDS: HashMap<u32, u64> = HashMap::with_max_entries(65536, BPF_F_NO_PREALLOC);

/// Owners by name.
#[map]
static COMMS: HashMap<[u8; 16], u8> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// Owners by user.
#[map]
static UIDS: HashMap<u32, u8> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// Network namespaces by inode number.
#[map]
static NETNS: HashMap<u32, u8> = HashMap::with_max_entries(1024, BPF_F_NO_PREALLOC);

/// A bit for each port of each `End`.
#[map]
static PORTS: Array<u64> = Array::with_max_entries(3 * PORT_WORDS, 0);

/// Networks of each `End`.
#[map]
static ADDRS: LpmTrie<AddrKey, u8> = LpmTrie::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// What the filters say of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Drop,
    /// Ask again when more is known.
    Undecided,
}

/// Judges a socket. `last`: nothing more will become known of it.
#[inline(always)]
pub fn judge<K: Kernel>(sk: K, slot: &Slot, last: bool) -> Verdict {
    let place = place(sk, &slot.socket.flow, slot.socket.netns, last);
    if place != Verdict::Keep || !config::filters(filter::OWNER) {
        return place;
    }
    if slot.flags & ACCEPTABLE != 0 && !last {
        return Verdict::Undecided;
    }
    if slot.flags & SELECTED == 0 { Verdict::Drop } else { Verdict::Keep }
}

/// Whether anything but the owner is judged.
#[inline(always)]
pub fn places() -> bool {
    config::FILTER() & !(filter::OWNER | filter::FOLLOW) != 0 || config::FAMILY() != 0
}

/// Judges a socket by all but its owner. What is dropped stays dropped: neither its
/// ends nor its place change.
#[inline(always)]
pub fn place<K: Kernel>(sk: K, flow: &Flow, netns: u32, last: bool) -> Verdict {
    if !places() {
        return Verdict::Keep;
    }
    if config::FAMILY() != 0 && config::FAMILY() != family(flow) {
        return Verdict::Drop;
    }
    if !is_here(sk, netns) {
        return Verdict::Drop;
    }
    if !addrs(flow) {
        return Verdict::Drop;
    }
    if config::filters(filter::RPORT) && !port(End::Remote, flow.dport) {
        return Verdict::Drop;
    }
    if config::filters(filter::NEEDS_LPORT) {
        let either = !config::filters(filter::PORT)
            || port(End::Either, flow.sport)
            || port(End::Either, flow.dport);
        let local = !config::filters(filter::LPORT) || port(End::Local, flow.sport);
        if !either || !local {
            return if flow.sport != 0 || last { Verdict::Drop } else { Verdict::Undecided };
        }
    }
    Verdict::Keep
}

/// Whether a socket is in the namespace and the cgroup that are asked for.
#[inline(always)]
pub fn is_here<K: Kernel>(sk: K, netns: u32) -> bool {
    if config::filters(filter::NETNS) && unsafe { NETNS.get(netns) }.is_none() {
        return false;
    }
    !config::filters(filter::CGROUP) || sock::in_cgroup(sk, config::CGROUP(), config::LEVEL())
}

/// Whether an owner is one of those asked for.
#[inline(always)]
pub fn selects(owner: &Owner) -> bool {
    if !config::filters(filter::OWNER) {
        return true;
    }
    if owner.pid == 0 {
        return false;
    }
    if !selects_pid(owner) {
        return false;
    }
    if config::filters(filter::COMM) && unsafe { COMMS.get(owner.comm) }.is_none() {
        return false;
    }
    if config::filters(filter::UID) && unsafe { UIDS.get(owner.uid) }.is_none() {
        return false;
    }
    true
}

/// Whether the filter on process ids lets a process through. The others can change
/// during its life, so they say nothing of it.
#[inline(always)]
pub fn selects_pid(owner: &Owner) -> bool {
    if !config::filters(filter::PID) {
        return true;
    }
    match unsafe { PIDS.get(owner.pid) } {
        // A process that came by a pid of one asked for has another start.
        Some(start) => *start == 0 || *start == owner.start,
        None => false,
    }
}

/// 4 also for an IPv4 peer of an IPv6 socket.
#[inline(always)]
fn family(flow: &Flow) -> u32 {
    if flow.family == 4 || mapped(&flow.daddr) { 4 } else { 6 }
}

#[inline(always)]
fn mapped(addr: &[u8; 16]) -> bool {
    let high = u64::from_ne_bytes([
        addr[0], addr[1], addr[2], addr[3], addr[4], addr[5], addr[6], addr[7],
    ]);
    let middle = u32::from_ne_bytes([addr[8], addr[9], addr[10], addr[11]]);
    high == 0 && middle == 0xffff_u32.to_be()
}

#[inline(always)]
fn addrs(flow: &Flow) -> bool {
    if config::filters(filter::ADDR)
        && !addr(End::Either, &flow.saddr)
        && !addr(End::Either, &flow.daddr)
    {
        return false;
    }
    if config::filters(filter::LADDR) && !addr(End::Local, &flow.saddr) {
        return false;
    }
    if config::filters(filter::RADDR) && !addr(End::Remote, &flow.daddr) {
        return false;
    }
    true
}

#[inline(always)]
fn addr(end: End, addr: &[u8; 16]) -> bool {
    let key = Key::new(ADDR_KEY_END_BITS + 128, AddrKey { end: [end as u8, 0, 0, 0], addr: *addr });
    ADDRS.get(key).is_some()
}

#[inline(always)]
fn port(end: End, port: u16) -> bool {
    let index = end as u32 * PORT_WORDS + u32::from(port) / 64;
    PORTS.get(index).is_some_and(|word| word >> (port % 64) & 1 != 0)
}
