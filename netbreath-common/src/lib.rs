//! What the kernel programs and the loader agree on: records, globals, TCP
//! states and the reasons why a hook could not answer.
//!
//! Everything here is plain data of fixed width. The kernel side writes it, the
//! user side copies it out and turns it into an `Event` in one place.
#![cfg_attr(not(feature = "user"), no_std)]

pub mod config;
pub mod holder;
pub mod hook;
pub mod miss;
pub mod offset;
pub mod packet;
pub mod record;
pub mod tcp;
