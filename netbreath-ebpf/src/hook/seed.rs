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
use netbreath_common::record::{Header, How, Kind, Seed};
use netbreath_common::tcp::TcpState;

use super::half_open;
use crate::filter::Verdict;
use crate::kernel::{Kernel, Typed, Untyped};
use crate::slot::{IGNORED, UNTOLD};
use crate::{config, emit, filter, slot, sock, start, task};

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn nb_seed_files(ctx: *mut c_void) -> i32 {
    let ctx: *const *const c_void = ctx.cast_const().cast();
    // struct bpf_iter__task_file: each member takes eight bytes.
    let (meta, task, fd, file) =
        unsafe { (*ctx, *ctx.add(1), ctx.add(2).cast::<u32>().read_volatile(), *ctx.add(3)) };
    if task.is_null() || file.is_null() {
        return 0;
    }
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return 0;
    }
    let socket = Typed::new(socket.cast_const().cast());
    if let Some(sk) = socket.follow(config::SOCKET_SK()) {
        seed(Typed::new(meta), Typed::new(task), fd, sk);
    }
    0
}

#[inline(always)]
fn seed(meta: Typed, task: Typed, fd: u32, sk: Typed) {
    if sk.addr() == 0 || !sock::is_inet(sk) || !sock::is_tcp(sk) {
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
        socket: slot.socket,
        fd,
        state,
        zero: [0; 3],
    };
    // struct bpf_iter_meta begins with the file to write to.
    let written = meta.follow(0).map(|seq| unsafe {
        bpf_seq_write(
            seq.ptr().cast_mut().cast(),
            (&raw const record).cast_mut().cast(),
            size_of::<Seed>() as u32,
        )
    });
    if written == Some(0) {
        slot.flags &= !UNTOLD;
    }
}
