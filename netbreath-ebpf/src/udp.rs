//! What is remembered of each UDP socket, and what is told of it.
//!
//! It lies on the socket itself, so all rungs that are about UDP give pointers which
//! the kernel knows to be sockets.

use core::ffi::c_void;
use core::intrinsics::{AtomicOrdering, atomic_xadd};
use core::ptr;

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, BPF_SK_STORAGE_GET_F_CREATE, bpf_map_type};
use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_sk_storage_get};
use aya_ebpf::macros::btf_map;
use netbreath_common::config::{emit as kinds, filter as filters};
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{Flow, Handover, How, Kind, Owner, Socket, Traffic, Udp, UdpWhat};

use crate::filter::Verdict;
use crate::kernel::{Kernel, Untyped};
use crate::task::Current as _;
use crate::{config, emit, filter, sock, task, word};

/// The filters on the owner let it through.
const SELECTED: u32 = 1 << 0;
/// Something was told of it, so its end is told too.
const TOLD: u32 = 1 << 1;
/// Its first datagram was told.
const SENT: u32 = 1 << 2;
/// The first datagram that was read was told.
const RECEIVED: u32 = 1 << 3;
/// It existed before netbreath started, and its seed is not out yet.
pub const UNTOLD: u32 = 1 << 4;

/// What is remembered of one socket.
#[repr(C)]
pub struct Slot {
    /// Its flow has the ends of the socket, not those of a datagram.
    pub socket: Socket,
    /// The ends of the datagram that goes out or went out last, until the first is told.
    pub sent: Flow,
    /// Those of the datagram that is read, or else of the first in the queue.
    pub received: Flow,
    pub traffic: Traffic,
    pub flags: u32,
    pub zero: u32,
}

#[repr(C)]
struct Storage {
    r#type: *const [i32; bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize],
    key: *const i32,
    value: *const Slot,
    max_entries: *const [i32; 0],
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// The pointers are only types for the loader; nobody follows them.
unsafe impl Sync for Storage {}

#[btf_map]
static UDP_SLOTS: Storage = Storage {
    r#type: ptr::null(),
    key: ptr::null(),
    value: ptr::null(),
    max_entries: ptr::null(),
    map_flags: ptr::null(),
};

/// A socket as a program has it, in up to three ways: some contexts are no pointers to
/// it that could be read through.
#[derive(Clone, Copy)]
pub struct Handle {
    /// To read it.
    pub sk: Untyped,
    /// To reach what is remembered of it.
    pub home: *const c_void,
    /// To ask for its cookie.
    pub cookie: *const c_void,
}

impl Handle {
    /// Of a typed pointer, or of a context that is the socket.
    #[inline(always)]
    pub fn of(sk: *const c_void) -> Handle {
        Handle { sk: Untyped::new(sk), home: sk, cookie: sk }
    }

    /// What is remembered of it, if anything.
    #[inline(always)]
    pub fn find(self) -> Option<&'static mut Slot> {
        self.stored(0)
    }

    /// What is remembered of it; begins with what does not change.
    #[inline(always)]
    pub fn find_or_open(self, hook: Hook) -> Option<&'static mut Slot> {
        if let Some(slot) = self.stored(0) {
            return Some(slot);
        }
        self.open(hook)
    }

    /// Begins to remember a socket.
    #[inline(always)]
    pub fn open(self, hook: Hook) -> Option<&'static mut Slot> {
        let Some(slot) = self.stored(BPF_SK_STORAGE_GET_F_CREATE) else {
            emit::missed(hook, Miss::NoSlot);
            return None;
        };
        slot.socket.id = unsafe { bpf_get_socket_cookie(self.cookie.cast_mut()) };
        slot.socket.netns = sock::netns(self.sk);
        slot.socket.cgroup = sock::cgroup(self.sk);
        sock::read_flow(self.sk, &mut slot.socket.flow);
        slot.socket.flow.proto = sock::protocol(self.sk);
        Some(slot)
    }

    #[inline(always)]
    fn stored(self, flags: u32) -> Option<&'static mut Slot> {
        unsafe {
            bpf_sk_storage_get(
                (&raw const UDP_SLOTS).cast_mut().cast(),
                self.home.cast_mut(),
                ptr::null_mut(),
                flags.into(),
            )
            .cast::<Slot>()
            .as_mut()
        }
    }

    /// Reads the ends that the socket has now.
    #[inline(always)]
    pub fn refresh(self, slot: &mut Slot) {
        sock::read_flow(self.sk, &mut slot.socket.flow);
    }
}

/// The current process uses the socket, and owns it from now on. Only in hooks that run
/// in its system call.
#[inline(always)]
pub fn used(handle: Handle, slot: &mut Slot, how: How, at: u64, hook: Hook) {
    let pid = task::on_cpu();
    if slot.socket.owner.pid != pid && !task::is_kernel::<Untyped>() {
        take(handle, slot, task::owner::<Untyped>(how), at, hook);
    }
}

/// The same for a packet on its way out, where fewer questions can be asked.
#[inline(always)]
pub fn sends(handle: Handle, slot: &mut Slot, at: u64, hook: Hook) {
    let task = Untyped::current();
    let pid = task.load(config::TASK_TGID()).unwrap_or(0u32);
    if slot.socket.owner.pid != pid && !task::is_kernel::<Untyped>() {
        take(handle, slot, task::owner_of(task, How::Io), at, hook);
    }
}

/// A process takes the socket over.
#[inline(always)]
fn take(handle: Handle, slot: &mut Slot, owner: Owner, at: u64, hook: Hook) {
    let from = slot.socket.owner;
    own(slot, owner);
    if from.pid == 0 {
        return;
    }
    // Its first datagram may have chosen its port since.
    handle.refresh(slot);
    let told = config::emits(kinds::UDP) && config::emits(kinds::OWNER);
    if !told || !keeps(handle, slot, &slot.socket.flow) {
        return;
    }
    emit::record::<Handover>(hook, Kind::Owner, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).from).write(from);
        }
    });
}

/// Gives the socket to a process; to the first one also as its opener.
#[inline(always)]
pub fn own(slot: &mut Slot, owner: Owner) {
    slot.socket.owner = owner;
    if slot.socket.opener.pid == 0 {
        slot.socket.opener = owner;
    }
    if filter::selects(&owner) {
        slot.flags |= SELECTED;
    } else {
        slot.flags &= !SELECTED;
    }
}

/// Whether the filters let through what has these ends and this socket's owner.
#[inline(always)]
pub fn keeps(handle: Handle, slot: &Slot, flow: &Flow) -> bool {
    let selected = if slot.socket.owner.pid == 0 {
        // Nobody is known to have it, so it is nobody's that was asked for.
        !config::filters(filters::OWNER)
    } else {
        slot.flags & SELECTED != 0
    };
    selected && filter::place(handle.sk, flow, slot.socket.netns, true) == Verdict::Keep
}

/// A datagram of so many bytes was sent.
#[inline(always)]
pub fn sent(handle: Handle, slot: &mut Slot, bytes: u32, at: u64, hook: Hook) {
    add(&raw mut slot.traffic.sent_bytes, bytes.into());
    // What is sent in pieces is a datagram with the last of them.
    if sock::is_corked(handle.sk) {
        return;
    }
    add(&raw mut slot.traffic.sent, 1);
    if slot.flags & SENT != 0 {
        return;
    }
    if slot.sent.dport == 0 {
        handle.refresh(slot);
        slot.sent = slot.socket.flow;
    }
    let flow = slot.sent;
    if tell(handle, slot, UdpWhat::Send, bytes, &flow, at, hook) {
        slot.flags |= SENT;
    }
}

/// A datagram of so many bytes was read.
#[inline(always)]
pub fn received(handle: Handle, slot: &mut Slot, bytes: u32, at: u64, hook: Hook) {
    add(&raw mut slot.traffic.received_bytes, bytes.into());
    add(&raw mut slot.traffic.received, 1);
    if slot.flags & RECEIVED != 0 {
        return;
    }
    if slot.received.dport == 0 {
        handle.refresh(slot);
        unsafe { word::copy(&raw const slot.socket.flow, &raw mut slot.received) };
    }
    let flow = slot.received;
    if tell(handle, slot, UdpWhat::Receive, bytes, &flow, at, hook) {
        slot.flags |= RECEIVED;
    } else {
        // Its successor may be another's.
        slot.received.dport = 0;
    }
}

/// Whether the ends of a datagram are still to be told.
#[inline(always)]
pub fn wants_ends(slot: &Slot, out: bool) -> bool {
    slot.flags & if out { SENT } else { RECEIVED } == 0
}

/// Notes the ends of a datagram on its way out.
#[inline(always)]
pub fn leaves(slot: &mut Slot, flow: &Flow) {
    if slot.flags & SENT == 0 {
        slot.sent = *flow;
    }
}

/// Notes the ends of a datagram that comes in, and is read after those before it.
#[inline(always)]
pub fn arrives(slot: &mut Slot, flow: &Flow) {
    if slot.flags & RECEIVED == 0 && slot.received.dport == 0 {
        slot.received = *flow;
    }
}

/// The last descriptor is closed.
#[inline(always)]
pub fn closed(handle: Handle, slot: &mut Slot, at: u64) {
    let flow = slot.socket.flow;
    // Of a socket that nobody used there is nothing to tell; and of one that was told
    // of, the end is told whatever its last datagram was.
    let known = slot.socket.owner.pid != 0 && slot.flags & SELECTED != 0;
    if known && (slot.flags & TOLD != 0 || keeps(handle, slot, &flow)) {
        send(slot, UdpWhat::Close, 0, &flow, at, Hook::UdpClose);
    }
}

/// Tells of a socket, if it is asked for; whether it was.
#[inline(always)]
pub fn tell(
    handle: Handle,
    slot: &mut Slot,
    what: UdpWhat,
    len: u32,
    flow: &Flow,
    at: u64,
    hook: Hook,
) -> bool {
    if !config::emits(kinds::UDP) || !keeps(handle, slot, flow) {
        return false;
    }
    slot.flags |= TOLD;
    send(slot, what, len, flow, at, hook);
    true
}

#[inline(always)]
fn send(slot: &Slot, what: UdpWhat, len: u32, flow: &Flow, at: u64, hook: Hook) {
    if !config::emits(kinds::UDP) {
        return;
    }
    emit::record::<Udp>(hook, Kind::Udp, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).socket.flow).write(*flow);
            (&raw mut (*record).traffic).write(slot.traffic);
            (&raw mut (*record).len).write(len);
            (&raw mut (*record).what).write(what as u8);
            (&raw mut (*record).zero).write([0; 3]);
        }
    });
}

/// Notes that the socket was told of.
#[inline(always)]
pub fn told(slot: &mut Slot) {
    slot.flags |= TOLD;
}

/// Atomic: several threads may use one socket at a time.
#[inline(always)]
fn add(counter: *mut u64, number: u64) {
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, number) };
}
