//! Suites whose cases compare netbreath with other tools, and count what they have compared.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use libtest_mimic::{Arguments, Failed, Trial};

static CHECKS: AtomicU64 = AtomicU64::new(0);

/// A name, and what tells how much it has compared.
pub type Case = (&'static str, fn() -> Result<u64>);

/// Plays the cases that the command line names, or all. `what` is compared; fewer than `least` of all
/// cases would mean that something was not. `besides` is said in the end.
pub fn run(
    cases: &'static [Case],
    what: &'static str,
    least: u64,
    besides: impl FnOnce() -> String,
) -> ExitCode {
    let (options, names) = crate::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    args.test_threads = args.test_threads.or(Some(2));
    let mut trials = Vec::new();
    for &(name, case) in cases {
        if names.is_empty() || names.iter().any(|part| name.contains(part)) {
            trials.push(Trial::test(name, move || play(name, case, what)));
        }
    }
    let all = trials.len() == cases.len();
    let conclusion = libtest_mimic::run(&args, trials);
    let checks = CHECKS.load(Ordering::Relaxed);
    println!("{checks} {what} compared{}\n", besides());
    if all && !conclusion.has_failed() && checks < least {
        eprintln!("only {checks} {what} were compared: {least} are the least");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn play(name: &str, case: fn() -> Result<u64>, what: &str) -> Result<(), Failed> {
    let checks = case().map_err(|error| format!("{error:#}"))?;
    CHECKS.fetch_add(checks, Ordering::Relaxed);
    println!("{name}: {checks} {what} compared");
    Ok(())
}
