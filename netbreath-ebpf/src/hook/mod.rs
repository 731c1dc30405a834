//! The hooks: one file an attach point.

mod accept;
mod connect;
mod destroy;
mod half_open;
mod io;
mod mini;
mod process;
mod seed;
mod sock_state;
