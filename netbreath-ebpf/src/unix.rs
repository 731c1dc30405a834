//! What is remembered of each UNIX socket, and what is told of it.
//!
//! Most programs that are about UNIX sockets come to one by a descriptor, with an untyped
//! pointer, from which neither the storage on the socket nor its cookie can be had. So a
//! socket's identity is its inode number, which is never given to another while the
//! machine runs, and what is remembered lies in a map by that. Where the end of a
//! socket is not seen, its slot is forgotten when it is the one longest unused.

#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, a slot would be copied to the stack, which it would fill"
)]

use core::arch::asm;

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{LruHashMap, PerCpuArray};
use netbreath_common::config::filter as filters;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::offset::ABSENT;
use netbreath_common::record::{Header, How, Kind, Owner, UNIX_PATH, Unix, UnixWhat};

use crate::filter;
use crate::kernel::{Kernel, Untyped};
use crate::{config, emit, sock, task};

/// It listens.
pub const LISTENS: u32 = 1 << 0;
/// Something was told of it, so its end is told too.
pub const TOLD: u32 = 1 << 1;
/// It was seen when it listened, connected or was accepted.
const BORN: u32 = 1 << 2;
/// It existed before netbreath started, and its seed is not out yet.
pub const UNTOLD: u32 = 1 << 3;

/// No descriptor is known.
pub const NO_FD: u32 = u32::MAX;

/// What is remembered of one socket.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slot {
    pub owner: Owner,
    pub opener: Owner,
    /// Who owns, or owned, the other end.
    pub other: Owner,
    /// Inode number of the other end; 0 if not known.
    pub peer: u64,
    pub flags: u32,
    pub zero: u32,
}

const NOBODY: Owner =
    Owner { pid: 0, uid: 0, start: 0, comm: [0; 16], how: 0, zero: [0; 3], exec: 0 };

/// In read-only data, to make a slot in the map without one on the stack.
static EMPTY: Slot =
    Slot { owner: NOBODY, opener: NOBODY, other: NOBODY, peer: 0, flags: 0, zero: 0 };

/// Slots by inode number. The loader sets the size.
#[map]
static UNIX_SLOTS: LruHashMap<u64, Slot> = LruHashMap::with_max_entries(65536, 0);

/// Where a record is put together that goes elsewhere than into the ring.
#[map]
static UNIX_SCRATCH: PerCpuArray<Unix> = PerCpuArray::with_max_entries(1, 0);

/// The inode number of a socket; 0 of one that has no descriptor, or none yet.
#[inline(always)]
pub fn inode(sk: Untyped) -> u64 {
    find_inode(sk).unwrap_or(0)
}

#[inline(always)]
fn find_inode(sk: Untyped) -> Option<u64> {
    sk.follow(config::SOCK_SOCKET())?
        .follow(config::SOCKET_FILE())?
        .follow(config::FILE_INODE())?
        .load(config::INODE_NUMBER())
}

/// The socket at the other end, if there is one.
#[inline(always)]
pub fn peer(sk: Untyped) -> Option<Untyped> {
    sk.follow(config::UNIX_PEER()).filter(|peer| peer.addr() != 0)
}

/// What is remembered of the socket with this inode number.
#[inline(always)]
pub fn find(inode: u64) -> Option<&'static mut Slot> {
    UNIX_SLOTS.get_ptr_mut(&inode).and_then(|slot| unsafe { slot.as_mut() })
}

/// Begins to remember a socket.
#[inline(always)]
pub fn open(inode: u64, hook: Hook) -> Option<&'static mut Slot> {
    if inode != 0 && UNIX_SLOTS.insert(&inode, &EMPTY, BPF_ANY.into()).is_ok() {
        return find(inode);
    }
    emit::missed(hook, Miss::NoSlot);
    None
}

/// Forgets a socket.
#[inline(always)]
pub fn forget(inode: u64) {
    let _ = UNIX_SLOTS.remove(&inode);
}

/// Whether the filters let through what has this place. One on a port, an address or a
/// family asks for what no UNIX socket has.
#[inline(always)]
pub fn is_here(sk: Untyped) -> bool {
    const INET: u32 = filters::PORT
        | filters::LPORT
        | filters::RPORT
        | filters::ADDR
        | filters::LADDR
        | filters::RADDR;
    if config::filters(INET) || config::FAMILY() != 0 {
        return false;
    }
    filter::is_here(sk, sock::netns(sk))
}

/// The current process has made the socket into one that listens or is connected.
#[inline(always)]
pub fn begin(sk: Untyped, how: How, hook: Hook) -> Option<(u64, &'static mut Slot)> {
    if !is_here(sk) {
        return None;
    }
    let inode = inode(sk);
    let slot = match find(inode) {
        Some(slot) => slot,
        None => open(inode, hook)?,
    };
    let owner = task::owner::<Untyped>(how);
    slot.owner = owner;
    slot.opener = owner;
    slot.flags |= BORN;
    Some((inode, slot))
}

/// Notes which socket is at the other end, and whose it is.
#[inline(always)]
pub fn meet(sk: Untyped, own_inode: u64, slot: &mut Slot) {
    const ACCEPT: u8 = How::Accept as u8;
    const CONNECT: u8 = How::Connect as u8;
    const SNAPSHOT: u8 = How::Snapshot as u8;
    if let Some(peer) = peer(sk) {
        let inode = inode(peer);
        if inode != 0 {
            slot.peer = inode;
        }
        if let Some(peer) = find(slot.peer) {
            peer.peer = own_inode;
            peer.other = slot.owner;
            slot.other = peer.owner;
            return;
        }
    }
    if slot.other.pid != 0 {
        return;
    }
    let has_name = sk.load(config::UNIX_ADDR()).unwrap_or(0u64) != 0;
    // Who accepted has the listener's name; who connected has none, but for datagrams.
    let how = match slot.opener.how {
        ACCEPT => How::Connect,
        CONNECT => How::Listen,
        SNAPSHOT if has_name => How::Connect,
        SNAPSHOT => How::Listen,
        _ => return,
    };
    slot.other = other(sk, how).unwrap_or(NOBODY);
}

/// The process that the kernel gives as the peer's (`SO_PEERCRED`): it listened, or it
/// connected.
#[inline(always)]
fn other(sk: Untyped, how: How) -> Option<Owner> {
    /// `PIDTYPE_TGID`, and the size of a link of a task to its id.
    const TGID: u32 = 1;
    const LINK: u32 = 16;
    let pid = sk.follow(config::SOCK_PEER_PID()).filter(|pid| pid.addr() != 0)?;
    let link = pid.follow(config::PID_TASKS() + TGID * size_of::<u64>() as u32)?;
    if link.addr() == 0 {
        // It has ended; only its number is left.
        return Some(Owner { pid: pid.load(config::PID_NUMBERS())?, how: how as u8, ..NOBODY });
    }
    let offset = config::TASK_PID_LINKS() + TGID * LINK;
    let task = Untyped::new(unsafe { link.ptr().byte_sub(offset as usize) });
    Some(task::owner_of(task, how))
}

/// Tells of a socket, if it is asked for.
#[inline(always)]
pub fn tell(
    sk: Untyped,
    inode: u64,
    slot: &mut Slot,
    what: UnixWhat,
    other: &Owner,
    fd: u32,
    hook: Hook,
) {
    let ends = what as u8 == UnixWhat::Close as u8 && slot.flags & TOLD != 0;
    if !filter::selects(&slot.owner) && !ends {
        return;
    }
    slot.flags |= TOLD;
    let at = emit::now();
    let named = named(sk);
    emit::record::<Unix>(hook, Kind::Unix, at, |record| {
        write(record.as_mut_ptr(), sk, inode, slot, what, other, fd, named);
    });
}

/// Whose name a socket goes by: its own, or else the other end's.
#[inline(always)]
fn named(sk: Untyped) -> Untyped {
    let own: u64 = sk.load(config::UNIX_ADDR()).unwrap_or(0);
    match peer(sk) {
        Some(peer) if own == 0 => peer,
        _ => sk,
    }
}

/// A record that is to be written to an iterator's file.
#[inline(always)]
pub fn seed(sk: Untyped, inode: u64, slot: &Slot, fd: u32) -> Option<*mut Unix> {
    let record = UNIX_SCRATCH.get_ptr_mut(0)?;
    let other = slot.other;
    write(record, sk, inode, slot, UnixWhat::Seed, &other, fd, named(sk));
    unsafe {
        (&raw mut (*record).header).write(Header {
            kind: Kind::Unix as u16,
            len: size_of::<Unix>() as u16,
            cpu: 0,
            at: emit::now(),
            seq: 0,
            lost: 0,
            missed: 0,
        });
    }
    Some(record)
}

/// Writes all but the header.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "these are the record's members")]
fn write(
    record: *mut Unix,
    sk: Untyped,
    inode: u64,
    slot: &Slot,
    what: UnixWhat,
    other: &Owner,
    fd: u32,
    named: Untyped,
) {
    unsafe {
        (&raw mut (*record).inode).write(inode);
        (&raw mut (*record).peer).write(slot.peer);
        (&raw mut (*record).cgroup).write(sock::cgroup(sk));
        (&raw mut (*record).netns).write(sock::netns(sk));
        (&raw mut (*record).born).write((slot.flags & BORN != 0).into());
        (&raw mut (*record).owner).write(slot.owner);
        (&raw mut (*record).opener).write(slot.opener);
        (&raw mut (*record).other).write(*other);
        (&raw mut (*record).fd).write(fd);
        (&raw mut (*record).what).write(what as u8);
        (&raw mut (*record).kind).write(sock::kind(sk) as u8);
        (&raw mut (*record).path_len).write(0);
    }
    write_path(record, named);
}

/// Writes a socket's name.
#[inline(always)]
fn write_path(record: *mut Unix, named: Untyped) -> Option<()> {
    /// Bytes of a `struct sockaddr_un` before the name.
    const FAMILY: u32 = 2;
    let addr = named.follow(config::UNIX_ADDR()).filter(|addr| addr.addr() != 0)?;
    let len: u32 = addr.load(config::UNIX_ADDR_LEN())?;
    let len = opaque(len.checked_sub(FAMILY)?.into());
    // Both bounds are for the verifier.
    if len == 0 || len > UNIX_PATH as u64 {
        return None;
    }
    let name = unsafe { addr.ptr().byte_add((config::UNIX_ADDR_NAME() + FAMILY) as usize) };
    let path = unsafe { (&raw mut (*record).path).cast() };
    if unsafe { bpf_probe_read_kernel(path, len as u32, name) } == 0 {
        unsafe { (&raw mut (*record).path_len).write(len as u16) };
    }
    Some(())
}

/// Whether the file of a descriptor is held by nobody else, so that closing the
/// descriptor closes the file.
#[inline(always)]
pub fn is_last(file: Untyped) -> bool {
    if config::FILE_REF() != ABSENT {
        // 6.13 and newer: counted from 0.
        return file.load::<u64>(config::FILE_REF()) == Some(0);
    }
    file.load::<u64>(config::FILE_COUNT()) == Some(1)
}

/// The same number, of which the compiler knows nothing.
#[inline(always)]
fn opaque(number: u64) -> u64 {
    let mut number = number;
    unsafe { asm!("{0} = {0}", inout(reg) number) };
    number
}
