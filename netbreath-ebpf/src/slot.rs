//! What is remembered of each socket: its owner, since when it is in its state, and
//! the transitions that wait for a filter's decision.
//!
//! A slot lies on the socket itself (socket storage), where it has no limit and
//! goes when the socket goes, and where a listener's slot is copied to its children.
//! Two kinds of slots lie in a map, by the socket's address: all of them where a
//! rung gives untyped pointers, which cannot reach the storage; and those of
//! connections that nobody has accepted, because what sees accept() has only an
//! untyped pointer to them. The latter are `PARKED` and move to the storage at the
//! first look after accept().

#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, a slot would be copied to the stack, which it would fill"
)]

use core::intrinsics::{AtomicOrdering, atomic_cxchg, atomic_xchg};
use core::ptr;

use aya_ebpf::bindings::{
    BPF_ANY, BPF_F_CLONE, BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type,
};
use aya_ebpf::helpers::generated::bpf_sk_storage_get;
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::HashMap;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{Flow, Owner, STATES, Socket};

use crate::kernel::{Kernel, Typed};
use crate::{closed, config, emit, filter, word};

/// The slot is in the map, not here.
pub const PARKED: u32 = 1 << 0;
/// Nobody has accepted the connection yet, but somebody may.
pub const ACCEPTABLE: u32 = 1 << 1;
/// The filters on the owner let it through.
pub const SELECTED: u32 = 1 << 2;
/// The other filters do not: nothing of this socket is of interest, ever.
pub const IGNORED: u32 = 1 << 3;
/// It was open before netbreath started, and its seed is not out yet.
pub const UNTOLD: u32 = 1 << 4;
/// Nobody is known to own it, and what sees accept() did not find it: if it has seen it
/// since, it has made a slot in the map.
pub const ORPHAN: u32 = 1 << 5;
/// In [`Slot::turn`]: it was accepted, and its owner is still to be told of it.
const ACCEPTED: u64 = 1 << 63;
/// Transitions that can wait: a connection that is closed by its peer before
/// anybody accepts it makes four.
pub const PENDINGS: usize = 4;

/// What is remembered of one socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slot {
    pub socket: Socket,
    /// When it entered its state; 0 if not seen.
    pub since: u64,
    /// When its first transition was; 0 if not seen.
    pub begun: u64,
    /// When it was established; 0 if not seen.
    pub established: u64,
    /// When the last event of it happened, and [`ACCEPTED`]; see [`take_turn`].
    turn: u64,
    /// Who has accepted it, from [`ACCEPTED`] on.
    acceptor: Owner,
    pub flags: u32,
    pub pendings: u16,
    /// The state it is in, as far as it was seen: a number of `TcpState`. The second program
    /// of a pair knows by it whether the first one ran.
    pub state: u16,
    pub pending: [Pending; PENDINGS],
    pub ended: Ended,
    /// Time spent in each state.
    pub states: [u64; STATES],
}

/// What ended a connection, or began to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ended {
    /// The process that closed it, if one did.
    pub pid: u32,
    /// A `Cause`.
    pub cause: u8,
    pub zero: [u8; 3],
    pub start: u64,
    pub comm: [u8; 16],
}

/// A transition that waits.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Pending {
    pub at: u64,
    pub in_state: u64,
    pub on_cpu: u32,
    pub old: u8,
    pub new: u8,
    /// As in `record::State`.
    pub mini: u8,
    pub timeout: u8,
}

/// A socket storage map whose values are copied from a listener to its children.
/// aya's own has no place for the flag.
#[repr(C)]
struct ClonedStorage {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const Slot,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; (BPF_F_NO_PREALLOC | BPF_F_CLONE) as usize],
}

// The pointers are only types for the loader; nobody follows them.
unsafe impl Sync for ClonedStorage {}

#[btf_map]
static SLOTS: ClonedStorage = ClonedStorage {
    r#type: ptr::null(),
    key: ptr::null(),
    value: ptr::null(),
    max_entries: ptr::null(),
    map_flags: ptr::null(),
};

/// Slots by the address of their socket. The loader sets the size.
#[map]
static SLOTS_BY_ADDR: HashMap<u64, Slot> = HashMap::with_max_entries(262_144, BPF_F_NO_PREALLOC);

const NOBODY: Owner =
    Owner { pid: 0, uid: 0, start: 0, comm: [0; 16], how: 0, zero: [0; 3], exec: 0 };

/// In read-only data, to make a slot in the map without one on the stack.
pub static EMPTY: Slot = Slot {
    socket: Socket {
        id: 0,
        cgroup: 0,
        netns: 0,
        born: 0,
        flow: Flow { saddr: [0; 16], daddr: [0; 16], sport: 0, dport: 0, family: 0, proto: 0 },
        owner: NOBODY,
        opener: NOBODY,
    },
    since: 0,
    begun: 0,
    established: 0,
    turn: 0,
    acceptor: NOBODY,
    flags: 0,
    pendings: 0,
    state: 0,
    pending: [Pending { at: 0, in_state: 0, on_cpu: 0, old: 0, new: 0, mini: 0, timeout: 0 };
        PENDINGS],
    ended: Ended { pid: 0, cause: 0, zero: [0; 3], start: 0, comm: [0; 16] },
    states: [0; STATES],
};

/// Whether slots lie on their sockets and this pointer reaches them.
#[inline(always)]
fn stores<K: Kernel>() -> bool {
    K::STORES && config::HAS_STORAGE() != 0
}

#[inline(always)]
fn stored<K: Kernel>(sk: K, flags: u32) -> Option<&'static mut Slot> {
    unsafe {
        bpf_sk_storage_get(
            (&raw const SLOTS).cast_mut().cast(),
            sk.ptr().cast_mut(),
            ptr::null_mut(),
            flags.into(),
        )
        .cast::<Slot>()
        .as_mut()
    }
}

#[inline(always)]
fn mapped(addr: u64) -> Option<&'static mut Slot> {
    SLOTS_BY_ADDR.get_ptr_mut(addr).and_then(|slot| unsafe { slot.as_mut() })
}

/// The slot of a socket, if it has one.
#[inline(always)]
pub fn find<K: Kernel>(sk: K) -> Option<&'static mut Slot> {
    let slot = locate(sk)?;
    arrive(slot);
    Some(slot)
}

/// The slot of a socket, if it has one, for who only looks at it: nothing is moved.
#[inline(always)]
pub fn peek<K: Kernel>(sk: K) -> Option<&'static Slot> {
    if !stores::<K>() {
        return mapped(sk.addr()).map(|slot| &*slot);
    }
    match stored(sk, 0) {
        Some(home) if home.flags & (PARKED | ORPHAN) == 0 => Some(home),
        _ => mapped(sk.addr()).map(|slot| &*slot),
    }
}

/// Who owns a socket: whoever has accepted it, even if nothing has happened to it since.
#[inline(always)]
pub fn owner(slot: &Slot) -> &Owner {
    let turn = unsafe { (&raw const slot.turn).read_volatile() };
    if turn & ACCEPTED != 0 { &slot.acceptor } else { &slot.socket.owner }
}

/// Gives a connection that was accepted to who did it.
#[inline(always)]
fn arrive(slot: &mut Slot) {
    let turn = unsafe { (&raw const slot.turn).read_volatile() };
    if turn & ACCEPTED != 0 {
        slot.turn = turn & !ACCEPTED;
        unsafe { word::copy(&raw const slot.acceptor, &raw mut slot.socket.owner) };
        unsafe { word::copy(&raw const slot.acceptor, &raw mut slot.socket.opener) };
    }
}

/// The time of an event of this socket, which its program has taken as `at`: a moment
/// later if another CPU, where the connection is accepted, was faster. Whatever comes
/// after accept() knows the new owner, whatever comes before does not.
#[inline(always)]
pub fn take_turn(slot: &mut Slot, at: u64) -> u64 {
    let (at, accepted) = turn(slot, at, 0);
    if accepted {
        unsafe { word::copy(&raw const slot.acceptor, &raw mut slot.socket.owner) };
        unsafe { word::copy(&raw const slot.acceptor, &raw mut slot.socket.opener) };
    }
    at
}

/// The same for accept() itself.
#[inline(always)]
pub fn accept(slot: &mut Slot, owner: Owner, at: u64) -> u64 {
    slot.acceptor = owner;
    turn(slot, at, ACCEPTED).0
}

/// The time, and whether accept() came just before.
#[inline(always)]
fn turn(slot: &mut Slot, at: u64, mark: u64) -> (u64, bool) {
    // The socket's lock lets only one change of state through, and accept() comes once.
    const RIVALS: u32 = 4;
    let turn = &raw mut slot.turn;
    for _ in 0..RIVALS {
        let before = unsafe { turn.read_volatile() };
        let at = at.max((before & !ACCEPTED) + 1);
        let (_, done) = unsafe {
            atomic_cxchg::<u64, { AtomicOrdering::SeqCst }, { AtomicOrdering::SeqCst }>(
                turn,
                before,
                at | mark,
            )
        };
        if done {
            return (at, before & ACCEPTED != 0);
        }
    }
    (at, false)
}

#[inline(always)]
fn locate<K: Kernel>(sk: K) -> Option<&'static mut Slot> {
    if !stores::<K>() {
        return mapped(sk.addr());
    }
    let Some(home) = stored(sk, 0) else {
        // Accepted before anything else was seen of it.
        let parked = mapped(sk.addr())?;
        return adopt(stored(sk, BPF_SK_STORAGE_GET_F_CREATE)?, parked, sk.addr());
    };
    if home.flags & (PARKED | ORPHAN) == 0 {
        return Some(home);
    }
    let Some(parked) = mapped(sk.addr()) else {
        // Of a parked one somebody else has taken the place: what is left is the home.
        home.flags = ORPHAN;
        disown(home);
        return Some(home);
    };
    if home.flags & ORPHAN != 0 {
        return claim(home, parked, sk.addr());
    }
    if parked.flags & ACCEPTABLE != 0 {
        return Some(parked);
    }
    adopt(home, parked, sk.addr())
}

/// Gives an orphan to the process that was seen to accept it.
#[inline(always)]
fn claim(home: &'static mut Slot, parked: &mut Slot, addr: u64) -> Option<&'static mut Slot> {
    arrive(parked);
    unsafe { word::copy(&raw const parked.socket.owner, &raw mut home.socket.owner) };
    unsafe { word::copy(&raw const parked.socket.opener, &raw mut home.socket.opener) };
    home.flags = parked.flags & SELECTED;
    home.turn = parked.turn;
    let _ = SLOTS_BY_ADDR.remove(addr);
    Some(home)
}

/// Whether the hook on transitions has told already that a socket went to this state.
#[inline(always)]
pub fn is_in(sk: Typed, state: i32) -> bool {
    stored(sk, 0).is_some_and(|home| i32::from(home.state) == state)
}

/// Notes that a socket went to this state.
#[inline(always)]
pub fn enter<K: Kernel>(sk: K, slot: &mut Slot, state: i32) {
    slot.state = state as u16;
    if stores::<K>()
        && slot.flags & ACCEPTABLE != 0
        && let Some(home) = stored(sk, 0)
    {
        home.state = state as u16;
    }
}

/// Moves a parked slot to its socket.
#[inline(always)]
fn adopt(home: &'static mut Slot, parked: &Slot, addr: u64) -> Option<&'static mut Slot> {
    unsafe { word::copy(parked, &raw mut *home) };
    let _ = SLOTS_BY_ADDR.remove(addr);
    Some(home)
}

/// An empty slot for a socket, in place of any that it has. Without it, `miss` is what
/// happens.
#[inline(always)]
pub fn open<K: Kernel>(sk: K, hook: Hook, miss: Miss) -> Option<&'static mut Slot> {
    let slot =
        if stores::<K>() { stored(sk, BPF_SK_STORAGE_GET_F_CREATE) } else { insert(sk.addr()) };
    let Some(slot) = slot else {
        emit::missed(hook, miss);
        return None;
    };
    reset(slot);
    disown(slot);
    Some(slot)
}

#[inline(always)]
fn disown(slot: &mut Slot) {
    for owner in [&mut slot.socket.owner, &mut slot.socket.opener] {
        owner.pid = 0;
        owner.how = 0;
    }
}

/// An empty slot for a socket that is older than netbreath: it may have a slot in the
/// map some day, from what sees accept().
#[inline(always)]
pub fn open_older<K: Kernel>(sk: K, hook: Hook, miss: Miss) -> Option<&'static mut Slot> {
    let slot = open(sk, hook, miss)?;
    if stores::<K>() {
        slot.flags = ORPHAN;
    }
    Some(slot)
}

/// Clears all but the owner.
#[inline(always)]
fn reset(slot: &mut Slot) {
    slot.since = 0;
    slot.begun = 0;
    slot.established = 0;
    slot.turn = 0;
    slot.flags = 0;
    slot.pendings = 0;
    slot.state = 0;
    slot.socket.born = 0;
    slot.socket.flow.sport = 0;
    closed::forget(slot);
}

/// A slot for a connection that came in, empty but for its owner: the listener's, if
/// known.
#[inline(always)]
pub fn open_child<K: Kernel>(sk: K, hook: Hook) -> Option<&'static mut Slot> {
    if !stores::<K>() {
        return open(sk, hook, Miss::NoSlot);
    }
    let slot = stored(sk, BPF_SK_STORAGE_GET_F_CREATE);
    if slot.is_none() {
        emit::missed(hook, Miss::NoSlot);
    }
    let slot = slot?;
    reset(slot);
    Some(slot)
}

/// Puts the slot of a connection that came in where what sees accept() finds it.
#[inline(always)]
pub fn park<K: Kernel>(sk: K, slot: &'static mut Slot, hook: Hook) -> &'static mut Slot {
    if config::HAS_ACCEPT() == 0 {
        return slot;
    }
    slot.flags |= ACCEPTABLE;
    if !stores::<K>() {
        return slot;
    }
    let parked = match SLOTS_BY_ADDR.insert(sk.addr(), &*slot, BPF_ANY.into()) {
        Ok(()) => mapped(sk.addr()),
        Err(_) => None,
    };
    match parked {
        Some(parked) => {
            slot.flags = PARKED;
            parked
        }
        None => {
            // Whoever accepts it, nobody will tell us; then the listener's owner would be
            // wrong.
            emit::missed(hook, Miss::NoOwner);
            slot.flags = ORPHAN;
            disown(slot);
            slot
        }
    }
}

/// The slot of a connection that was accepted, given an untyped pointer. One of another
/// socket at the same address, whose end was missed, is removed.
#[inline(always)]
pub fn accepted<K: Kernel>(sk: K) -> Option<&'static mut Slot> {
    let slot = mapped(sk.addr())?;
    let cookie: u64 = sk.load(config::SOCK_COOKIE()).unwrap_or(0);
    if config::HAS_STORAGE() != 0 && slot.socket.id != 0 && cookie != slot.socket.id {
        let _ = SLOTS_BY_ADDR.remove(sk.addr());
        return None;
    }
    Some(slot)
}

/// Whether this process is known to have accepted the connection.
#[inline(always)]
pub fn is_accepted_by(slot: &Slot, pid: u32) -> bool {
    slot.flags & ACCEPTABLE == 0 && slot.acceptor.pid == pid
}

/// From now on the slot of a connection that came in may move to its socket: the owner is
/// in it.
#[inline(always)]
pub fn release(slot: &mut Slot) {
    let flags = slot.flags & !(ACCEPTABLE | ORPHAN);
    // In this order for other CPUs, too.
    unsafe { atomic_xchg::<u32, { AtomicOrdering::Relaxed }>(&raw mut slot.flags, flags) };
}

#[inline(always)]
fn insert(addr: u64) -> Option<&'static mut Slot> {
    SLOTS_BY_ADDR.insert(addr, &EMPTY, BPF_ANY.into()).ok()?;
    mapped(addr)
}

/// Forgets a socket that is about to be freed.
#[inline(always)]
pub fn close<K: Kernel>(sk: K) {
    if stores::<K>() {
        // The storage goes with the socket; what is parked must be fetched.
        match stored(sk, 0) {
            Some(home) if home.flags & (PARKED | ORPHAN) != 0 => {}
            _ => return,
        }
    }
    let _ = SLOTS_BY_ADDR.remove(sk.addr());
}

/// Gives a slot to the process that opened its socket.
#[inline(always)]
pub fn own(slot: &mut Slot, owner: Owner) {
    slot.socket.owner = owner;
    slot.socket.opener = owner;
    select(slot, &owner);
}

/// Notes whether the filters let this owner through.
#[inline(always)]
pub fn select(slot: &mut Slot, owner: &Owner) {
    if filter::selects(owner) {
        slot.flags |= SELECTED;
    } else {
        slot.flags &= !SELECTED;
    }
}
