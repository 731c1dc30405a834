//! Teaching from the live kernel: small processes that make TCP do something, and what is
//! seen meanwhile.

pub mod actor;
pub mod lab;
pub mod screen;
pub mod server;
pub mod story;
pub mod tour;
pub mod watch;
