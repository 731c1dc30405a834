//! Sockets that existed before netbreath started, with a process that holds them:
//! one pass over all open files of all processes, in all network namespaces.
//!
//! Attach point: the iterator `task_file(struct bpf_iter_meta *meta, struct
//! task_struct *task, u32 fd, struct file *file)`. What it finds is written to its
//! own file and noted in the sockets' slots at once, so that nothing can come
//! between; where a live hook was first, the hook is right.

use aya_ebpf::helpers::generated::{bpf_seq_write, bpf_sock_from_file};
use core::ffi::c_void;
use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::miss::Miss;
use netbreath_common::record::{Header, How, Kind, Seed, Socket, Unix};
use netbreath_common::tcp::TcpState;

use super::half_open;
use crate::filter::Verdict;
use crate::kernel::{Kernel, Typed, Untyped};
use crate::slot::{IGNORED, UNTOLD};
use crate::udp::{self, Handle};
use crate::{config, emit, filter, slot, sock, start, task, unix};

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn nb_seed_files(ctx: *mut c_void) -> i32 {
    if let Some((meta, task, fd, sk)) = socket(ctx) {
        seed(meta, task, fd, sk);
    }
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn nb_seed_udp(ctx: *mut c_void) -> i32 {
    if let Some((meta, task, fd, sk)) = socket(ctx) {
        seed_udp(meta, task, fd, sk);
    }
    0
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn nb_seed_unix(ctx: *mut c_void) -> i32 {
    if let Some((meta, task, fd, sk)) = socket(ctx) {
        seed_unix(meta, task, fd, sk);
    }
    0
}

/// The file that an iterator writes to, the task, its descriptor, and the socket that
/// this is of, if it is of one.
#[inline(always)]
fn socket(ctx: *mut c_void) -> Option<(Typed, Typed, u32, Typed)> {
    let ctx: *const *const c_void = ctx.cast_const().cast();
    // struct bpf_iter__task_file: each member takes eight bytes.
    let (meta, task, fd, file) =
        unsafe { (*ctx, *ctx.add(1), ctx.add(2).cast::<u32>().read_volatile(), *ctx.add(3)) };
    if task.is_null() || file.is_null() {
        return None;
    }
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return None;
    }
    let sk = Typed::new(socket.cast_const().cast()).follow(config::SOCKET_SK())?;
    (sk.addr() != 0).then_some((Typed::new(meta), Typed::new(task), fd, sk))
}

#[inline(always)]
fn seed(meta: Typed, task: Typed, fd: u32, sk: Typed) {
    if !sock::is_inet(sk) || !sock::is_tcp(sk) {
        return;
    }
    let state = sock::state(sk);
    if state == TcpState::Close as u8 {
        return;
    }
    let at = emit::now();
    if state == TcpState::Listen as u8 {
        let listener = Untyped::new(sk.ptr());
        if listener.read::<u32>(config::LISTENER_REQUESTS()) != 0 {
            start::note_requests(sock::netns(sk));
        }
    }
    let slot = match slot::find(sk) {
        // The file was full when this socket came; the kernel shows it again.
        Some(slot) if slot.flags & UNTOLD != 0 => slot,
        Some(_) => return,
        None => {
            let Some(slot) = slot::open(sk, Hook::Seed, Miss::NoSlot) else { return };
            sock::describe(sk, &mut slot.socket, at);
            sock::read_flow(sk, &mut slot.socket.flow);
            slot.state = state.into();
            if filter::place(sk, &slot.socket.flow, slot.socket.netns, true) == Verdict::Drop {
                slot.flags |= IGNORED;
                return;
            }
            slot::own(slot, task::owner_of(task, How::Snapshot));
            if state == TcpState::Listen as u8 {
                half_open::listens(sk, &slot.socket.owner);
            }
            if !config::emits(kinds::SEED) || filter::judge(sk, slot, true) != Verdict::Keep {
                return;
            }
            slot.flags |= UNTOLD;
            slot
        }
    };
    if write_seed(meta, &slot.socket, fd, state, at) {
        slot.flags &= !UNTOLD;
    }
}

/// A UDP socket. Its state says whether it is connected.
#[inline(always)]
fn seed_udp(meta: Typed, task: Typed, fd: u32, sk: Typed) {
    if !sock::is_inet(sk) || !sock::is_udp(sk) {
        return;
    }
    let at = emit::now();
    let handle = Handle::of(sk.ptr());
    let slot = match handle.find() {
        // The file was full when this socket came; the kernel shows it again.
        Some(slot) if slot.flags & udp::UNTOLD != 0 => slot,
        Some(_) => return,
        None => {
            let Some(slot) = handle.open(Hook::SeedUdp) else { return };
            udp::own(slot, task::owner_of(task, How::Snapshot));
            let flow = slot.socket.flow;
            if !config::emits(kinds::UDP)
                || !config::emits(kinds::SEED)
                || !udp::keeps(handle, slot, &flow)
            {
                return;
            }
            slot.flags |= udp::UNTOLD;
            slot
        }
    };
    if write_seed(meta, &slot.socket, fd, sock::state(sk), at) {
        slot.flags &= !udp::UNTOLD;
        udp::told(slot);
    }
}

/// A UNIX socket that has a name or another end.
#[inline(always)]
fn seed_unix(meta: Typed, task: Typed, fd: u32, sk: Typed) {
    if !sock::is_unix(sk) {
        return;
    }
    let sk = Untyped::new(sk.ptr());
    if !unix::is_here(sk) {
        return;
    }
    let inode = unix::inode(sk);
    let slot = match unix::find(inode) {
        Some(slot) if slot.flags & unix::UNTOLD != 0 => slot,
        Some(_) => return,
        None => {
            let Some(slot) = unix::open(inode, Hook::SeedUnix) else { return };
            let owner = task::owner_of(task, How::Snapshot);
            slot.owner = owner;
            slot.opener = owner;
            if sock::state(sk) == TcpState::Listen as u8 {
                slot.flags |= unix::LISTENS;
            }
            unix::meet(sk, inode, slot);
            if !config::emits(kinds::SEED) || !filter::selects(&owner) {
                return;
            }
            slot.flags |= unix::UNTOLD;
            slot
        }
    };
    if let Some(record) = unix::seed(sk, inode, slot, fd)
        && write(meta, record.cast_const().cast(), size_of::<Unix>())
    {
        slot.flags &= !unix::UNTOLD;
        slot.flags |= unix::TOLD;
    }
}

/// Writes a record to the iterator's file; whether there was room.
#[inline(always)]
fn write_seed(meta: Typed, socket: &Socket, fd: u32, state: u8, at: u64) -> bool {
    let record = Seed {
        header: Header {
            kind: Kind::Seed as u16,
            len: size_of::<Seed>() as u16,
            cpu: 0,
            at,
            seq: 0,
            lost: 0,
            missed: 0,
        },
        socket: *socket,
        fd,
        state,
        zero: [0; 3],
    };
    write(meta, (&raw const record).cast(), size_of::<Seed>())
}

#[inline(always)]
fn write(meta: Typed, record: *const c_void, len: usize) -> bool {
    // struct bpf_iter_meta begins with the file to write to.
    meta.follow(0).is_some_and(|seq| unsafe {
        bpf_seq_write(seq.ptr().cast_mut().cast(), record.cast_mut(), len as u32) == 0
    })
}
