//! netbreath's kernel programs. Each file in `hook` is one attach point of ours:
//! a body, and a thin entry function for each rung it can be attached by.
#![no_std]
#![no_main]
// The BPF target is no tier-1 target: atomics on map memory have no stable form.
#![feature(core_intrinsics, asm_experimental_arch)]
#![allow(internal_features)]

mod capture;
mod closed;
mod config;
mod debug;
mod emit;
mod filter;
mod hook;
mod kernel;
mod packet;
mod party;
mod program;
mod slot;
mod sock;
mod start;
mod subject;
mod task;
mod udp;
mod unix;
mod word;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The verifier refuses a program from which this can be reached.
    loop {}
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
