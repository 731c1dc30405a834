//! Captures of every protocol that is dissected, and what tshark makes of them.

pub mod build;
pub mod capture;
