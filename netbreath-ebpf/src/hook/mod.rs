//! The hooks: one file an attach point.

mod accept;
mod connect;
mod destroy;
mod drop;
mod io;
mod process;
mod reset;
mod retransmit;
mod seed;
mod sock_state;
