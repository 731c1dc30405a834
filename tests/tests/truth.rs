//! Owners, a thousand connections a case: `cargo test -p netbreath-tests --test truth
//! [NAME]`. Every case runs alone and beside a churn. `NETBREATH_TRUTH_PEERS=1` adds
//! other tracers to the table; nothing is demanded of them.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use netbreath_tests::truth::judge::Row;
use netbreath_tests::truth::peer::{self, Peer};
use netbreath_tests::truth::{self, ALL, Outcome};

static ROWS: Mutex<Vec<(String, Row)>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    match truth::run_if_asked() {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => {
            eprintln!("truth: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    suite()
}

fn suite() -> ExitCode {
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    // "No load" means one at a time.
    args.test_threads = args.test_threads.or(Some(1));
    let mut trials = Vec::new();
    let mut add = |name: String, play: Box<dyn FnOnce() -> Result<Outcome> + Send>, demand| {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted)) {
            let title = name.clone();
            trials.push(Trial::ignorable_test(title, move || judged(&name, play, demand)));
        }
    };
    for churns in [false, true] {
        for case in ALL {
            let name = format!("{}{}", case.name, if churns { " + churn" } else { "" });
            add(name, Box::new(move || truth::run(case, churns)), true);
        }
    }
    add("mutant_from_cpu".to_owned(), Box::new(truth::run_mutant), false);
    if std::env::var_os(peer::PEERS).is_some_and(|value| value == "1") {
        for tracer in Peer::ALL {
            for case in peer::CASES {
                let name = format!("{case} under {}", tracer.name());
                add(name, Box::new(move || peer::run(tracer, case)), false);
            }
        }
    }
    let conclusion = libtest_mimic::run(&args, trials);
    if let Ok(rows) = ROWS.lock()
        && !rows.is_empty()
    {
        println!("{}", truth::table(&rows));
    }
    conclusion.exit_code()
}

fn judged(
    name: &str,
    play: Box<dyn FnOnce() -> Result<Outcome> + Send>,
    demand: bool,
) -> Result<Completion, Failed> {
    let obstacle = truth::obstacle();
    let outcome = match obstacle {
        Some(obstacle) => Outcome::Skipped(obstacle),
        None => play().map_err(|error| format!("{error:#}"))?,
    };
    let row = match outcome {
        Outcome::Judged(row) => row,
        Outcome::Skipped(reason) => {
            eprintln!("SKIPPED {name}: {reason}");
            return Ok(Completion::ignored_with(reason));
        }
    };
    let bad = demand && !row.is_good();
    let text = row.faults.join("\n    ");
    if let Ok(mut rows) = ROWS.lock() {
        rows.push((name.to_owned(), row));
    }
    if bad { Err(format!("{name}:\n    {text}").into()) } else { Ok(Completion::Completed) }
}
