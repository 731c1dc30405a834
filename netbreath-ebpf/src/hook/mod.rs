//! The hooks: one file an attach point.

mod accept;
mod bare;
mod connect;
mod connect_return;
mod destroy;
mod drop;
mod io;
mod process;
mod reset;
mod retransmit;
mod seed;
mod sock_state;
