//! Lessons from the live kernel, held against what this machine itself says:
//! `cargo test -p netbreath-tests --test teach [NAME]`.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use netbreath_tests::teach;
use netbreath_tests::tracer;

fn main() -> ExitCode {
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    args.test_threads = args.test_threads.or(Some(2));
    let wanted = |name: &str| names.is_empty() || names.iter().any(|part| name.contains(part));
    let trials = teach::CASES.iter().filter(|(name, _)| wanted(name)).map(|(name, case)| {
        Trial::test(*name, move || {
            tracer::binary().map_err(|error| format!("{error:#}"))?;
            case().map_err(|error| format!("{error:#}").into())
        })
    });
    libtest_mimic::run(&args, trials.collect()).exit_code()
}
