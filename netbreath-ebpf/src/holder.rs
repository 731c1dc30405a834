//! A program of its own, small enough to be loaded for one question: which process holds
//! which socket, in all network namespaces.
//!
//! Attach point: the iterator `task_file(struct bpf_iter_meta *meta, struct task_struct
//! *task, u32 fd, struct file *file)`, which shows each table of files once, by the first
//! of the threads that share it.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

#[allow(dead_code, reason = "shared with the programs that trace")]
mod kernel;

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_seq_write, bpf_sock_from_file};
use netbreath_common::holder::Member;
use netbreath_common::record::Holder;

use crate::kernel::{Kernel, Typed};

/// The offset of a member: see `netbreath_common::holder`.
macro_rules! offset {
    ($member:ident) => {{
        let offset: u64;
        // SAFETY: moves a constant into a register.
        unsafe {
            asm!("{0} = {1}", out(reg) offset, const Member::$member.mark(),
                options(pure, nomem, nostack));
        }
        offset as u32
    }};
}

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
    let inode = Typed::new(file.read(offset!(FileInode)));
    let cred = Typed::new(task.read(offset!(TaskCred)));
    let sk = Typed::new(socket.read(offset!(SocketSk)));
    let net = Typed::new(sk.read(offset!(SockNet)));
    let record = Holder {
        inode: inode.read::<u64>(offset!(InodeNumber)) as u32,
        pid: task.read(offset!(TaskTgid)),
        fd,
        uid: cred.read(offset!(CredUid)),
        netns: net.read(offset!(NetInum)),
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
    let leader = Typed::new(task.read(offset!(TaskLeader)));
    let words: [u64; 2] = [leader.read(offset!(TaskComm)), leader.read(offset!(TaskComm) + 8)];
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
