//! Who is talking, and what is TCP doing? Live, from the kernel, with the owner.

mod event;
mod filter;
mod source;

fn main() {}
