//! A program of its own, small enough to be loaded for one question: which process holds
//! which socket, in all network namespaces.
//!
//! Attach point: the iterator `task_file(struct bpf_iter_meta *meta, struct task_struct
//! *task, u32 fd, struct file *file)`, which shows each table of files once, by the first
//! of the threads that share it.
#![no_std]
#![no_main]

#[allow(dead_code, unused_macros, reason = "shared with the programs that trace")]
mod config;
#[allow(dead_code, reason = "shared with the programs that trace")]
mod kernel;

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_seq_write, bpf_sock_from_file};
use netbreath_common::record::Holder;

use crate::kernel::{Kernel, Typed};

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn nb_holder(ctx: *mut c_void) -> i32 {
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
    let (task, file) = (Typed::new(task), Typed::new(file));
    let socket = Typed::new(socket.cast_const().cast());
    let inode = Typed::new(file.read(config::FILE_INODE()));
    let cred = Typed::new(task.read(config::TASK_CRED()));
    let sk = Typed::new(socket.read(config::SOCKET_SK()));
    let net = Typed::new(sk.read(config::SOCK_NET()));
    let record = Holder {
        inode: inode.read::<u64>(config::INODE_NUMBER()) as u32,
        pid: task.read(config::TASK_TGID()),
        fd,
        uid: cred.read(config::CRED_UID()),
        netns: net.read(config::NET_INUM()),
        comm: comm(task),
    };
    // struct bpf_iter_meta begins with the file to write to.
    let seq: *const c_void = Typed::new(meta).read(0);
    // Where the file is full, the kernel shows the same descriptor again at the next read.
    unsafe {
        bpf_seq_write(
            seq.cast_mut().cast(),
            (&raw const record).cast_mut().cast(),
            size_of::<Holder>() as u32,
        );
    }
    0
}

/// The name of the process: that of its first thread.
#[inline(always)]
fn comm(task: Typed) -> [u8; 16] {
    let leader = Typed::new(task.read(config::TASK_LEADER()));
    let words: [u64; 2] = [leader.read(config::TASK_COMM()), leader.read(config::TASK_COMM() + 8)];
    let [a, b] = words.map(u64::to_ne_bytes);
    let mut comm = [0; 16];
    comm[..8].copy_from_slice(&a);
    comm[8..].copy_from_slice(&b);
    comm
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier refuses a program from which this can be reached.
    loop {}
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
