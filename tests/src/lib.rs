//! Scenarios with real sockets on a real kernel, and a judge that knows what the
//! sockets did because the processes of the scenario wrote it down.
//!
//! One test is: a fresh network namespace ([`netns`]); the tracer ([`tracer`]);
//! processes of their own, pinned to CPUs, that take one step at a time ([`task`]
//! tells, [`actor`] does) and note each socket in the [`ledger`]; and the judge
//! ([`judge`]), who compares the tracer's lines ([`event`]) with the ledger.
//!
//! Nothing here links the tracer: what is judged is what stands in its output.
#![cfg(target_os = "linux")]

pub mod actor;
pub mod bpf;
pub mod capture;
pub mod comparison;
pub mod crafted;
pub mod crowd;
pub mod dissect;
pub mod event;
pub mod fault;
pub mod judge;
pub mod ledger;
pub mod netns;
pub mod network;
pub mod reference;
pub mod rung;
pub mod scenario;
pub mod socket;
pub mod stage;
pub mod step;
pub mod task;
pub mod teach;
pub mod tracer;
pub mod truth;
pub mod unseen;

/// The usual harness takes several names, libtest-mimic one: who runs the suite
/// should not need to know which it is.
pub fn options_and_names(args: impl Iterator<Item = String>) -> (Vec<String>, Vec<String>) {
    const WITH_VALUE: [&str; 6] =
        ["--test-threads", "--skip", "--logfile", "--color", "--format", "-Z"];
    let (mut options, mut names) = (Vec::new(), Vec::new());
    let mut is_value = true;
    for arg in args {
        if is_value || arg.starts_with('-') {
            is_value = WITH_VALUE.contains(&arg.as_str());
            options.push(arg);
        } else {
            names.push(arg);
        }
    }
    (options, names)
}
