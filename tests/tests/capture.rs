//! Packets with known owners: `cargo test -p netbreath-tests --test capture [NAME]`.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use netbreath_tests::capture::{self, ALL, Case};
use netbreath_tests::tracer;

/// What all cases together have checked.
static TOTAL: Mutex<(u64, u64, u64)> = Mutex::new((0, 0, 0));

fn main() -> ExitCode {
    match played_a_part() {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => {
            eprintln!("capture: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    // Each has several processes already.
    args.test_threads = args.test_threads.or(Some(1));
    let wanted = |case: &&Case| names.is_empty() || names.iter().any(|n| case.name.contains(n));
    let trials = ALL.iter().filter(wanted);
    let trials = trials.map(|case| Trial::ignorable_test(case.name, move || play(case)));
    let conclusion = libtest_mimic::run(&args, trials.collect());
    if let Ok(total) = TOTAL.lock() {
        let (played, skipped, checks) = *total;
        println!("{played} captures played, {skipped} skipped; {checks} checks\n");
    }
    conclusion.exit_code()
}

/// The binary is also every process of its cases.
fn played_a_part() -> Result<bool> {
    capture::part::run_if_asked()
}

fn play(case: &Case) -> Result<Completion, Failed> {
    tracer::binary().map_err(|error| format!("{error:#}"))?;
    let report = case.play().map_err(|error| format!("{error:#}"))?;
    let mut total = TOTAL.lock().map_err(|_| "another case panicked")?;
    match report {
        Err(reason) => {
            eprintln!("SKIPPED {}: {reason}", case.name);
            total.1 += 1;
            Ok(Completion::ignored_with(reason))
        }
        Ok(report) => {
            total.0 += 1;
            total.2 += report.checks;
            println!("{}: {report}", case.name);
            Ok(Completion::Completed)
        }
    }
}
