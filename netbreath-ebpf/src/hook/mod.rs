//! The hooks: one file an attach point.

mod accept;
mod bare;
mod connect;
mod connect_return;
mod datagram;
mod destroy;
mod drop;
pub mod half_open;
mod io;
mod mini;
mod packet;
mod process;
mod reset;
mod retransmit;
mod seed;
mod sock_state;
mod udp;
mod unix;
