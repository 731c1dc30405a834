//! The scenarios as tests: `cargo test -p netbreath-tests --test kernel [NAME]`, or
//! this binary by itself with the tracer named by `NETBREATH_BIN`.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use netbreath_tests::actor;
use netbreath_tests::judge::Tally;
use netbreath_tests::scenario::{ALL, Scenario};
use netbreath_tests::tracer::{self, Kind};

/// What all scenarios together have checked.
#[derive(Default)]
struct Total {
    played: u64,
    skipped: u64,
    checks: u64,
    transitions: u64,
    owners: Tally,
}

static TOTAL: Mutex<Option<Total>> = Mutex::new(None);

fn main() -> ExitCode {
    match actor::run_if_asked() {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => {
            eprintln!("actor: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    match suite() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn suite() -> Result<ExitCode> {
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    // Few at once: each has a tracer and processes pinned to CPUs.
    args.test_threads = args.test_threads.or(Some(2));
    let kind = Kind::chosen()?;
    let mut trials = Vec::new();
    for scenario in ALL {
        if !names.is_empty() && !names.iter().any(|name| scenario.name.contains(name)) {
            continue;
        }
        trials.push(Trial::ignorable_test(scenario.name, move || play(scenario, kind)));
    }
    let conclusion = libtest_mimic::run(&args, trials);
    if let Ok(total) = TOTAL.lock()
        && let Some(total) = &*total
    {
        let Total { played, skipped, checks, transitions, owners } = total;
        let Tally { right, wrong, missing } = owners;
        println!(
            "{played} scenarios played, {skipped} skipped; {checks} checks of {transitions} \
             transitions; owners: {right} right, {wrong} wrong, {missing} missing\n"
        );
    }
    Ok(conclusion.exit_code())
}

fn play(scenario: &Scenario, kind: Kind) -> Result<Completion, Failed> {
    if let Some(obstacle) = scenario.obstacle(kind) {
        eprintln!("SKIPPED {}: {obstacle}", scenario.name);
        count(|total| total.skipped += 1);
        return Ok(Completion::ignored_with(obstacle));
    }
    if kind == Kind::Netbreath {
        tracer::binary().map_err(|error| format!("{error:#}"))?;
    }
    let verdict = scenario.play(kind).map_err(|error| format!("{error:#}"))?;
    count(|total| {
        total.played += 1;
        total.checks += verdict.checks;
        total.transitions += verdict.transitions;
        for tally in verdict.owners.values() {
            total.owners.right += tally.right;
            total.owners.wrong += tally.wrong;
            total.owners.missing += tally.missing;
        }
    });
    println!("{}: {verdict}", scenario.name);
    Ok(Completion::Completed)
}

fn count(add: impl FnOnce(&mut Total)) {
    if let Ok(mut total) = TOTAL.lock() {
        add(total.get_or_insert_default());
    }
}
