//! The hooks: one file an attach point.

mod accept;
mod connect;
mod datagram;
mod destroy;
mod io;
mod process;
mod seed;
mod sock_state;
mod udp;
mod unix;
