//! Full screens. `terminal` is the only place that changes how the terminal works; each
//! screen is a folder of its own.

pub mod learn;
pub mod terminal;
pub mod top;
