//! TCP from packets, where no program in the kernel tells of it.

pub mod flow;
