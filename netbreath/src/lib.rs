//! Who is talking, and what is TCP doing? Live, from the kernel, with the owner.
//!
//! ```text
//! source --next--> Event --Tables::apply--> tables --view--> Sheet --format--> bytes
//! ```
//!
//! This library is the program's inside, made reachable for its tests; it
//! promises nothing to other crates.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

pub mod answer;
pub mod capture;
pub mod check;
pub mod cli;
pub mod command;
pub mod container;
pub mod doctor;
pub mod event;
pub mod filter;
pub mod format;
pub mod host;
pub mod lesson;
pub mod life;
pub mod lint;
pub mod manual;
pub mod name;
pub mod output;
pub mod packet;
pub mod plan;
pub mod run;
pub mod service;
pub mod source;
pub mod table;
pub mod teach;
pub mod tui;
pub mod view;
