//! Bytes from the network into what they say. No I/O; any bytes may come, and none of
//! them makes a panic or an endless loop.

pub mod display;
pub mod dissect;
pub mod dns;
pub mod filter;
pub mod link_type;
