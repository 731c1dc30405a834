//! Packets for people.

pub mod line;
