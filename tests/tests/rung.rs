//! The rungs as tests, each with what exercises its hook: `cargo test -p netbreath-tests
//! --test rung [HOOK=RUNG]`. A rung must show all that it does not declare unseen; one
//! that this kernel refuses must be told of. With a hook left out, what exercises it must
//! fail: else it exercises nothing.

use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use netbreath_tests::rung::{self, NONE, Rung};
use netbreath_tests::{actor, truth};

/// What became of each rung that was tried, for the table of all kernels.
static CELLS: Mutex<Vec<(Rung, &'static str)>> = Mutex::new(Vec::new());

fn main() -> ExitCode {
    let asked = actor::run_if_asked().and_then(|done| Ok(done || truth::run_if_asked()?));
    match asked {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => {
            eprintln!("actor: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    match suite(options, &names) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn suite(options: Vec<String>, names: &[String]) -> Result<ExitCode> {
    let mut args = Arguments::from_iter(options);
    // One at a time: some rungs declare what other tracers do to them.
    args.test_threads = args.test_threads.or(Some(1));
    if let Some(obstacle) = truth::obstacle() {
        let trial = Trial::ignorable_test("rungs", move || {
            eprintln!("SKIPPED rungs: {obstacle}");
            Ok(Completion::ignored_with(obstacle))
        });
        return Ok(libtest_mimic::run(&args, vec![trial]).exit_code());
    }
    let rungs = rung::all()?;
    ensure!(!rungs.is_empty(), "doctor --rungs lists nothing");
    let mut trials = Vec::new();
    let mut add = |name: String, play: Box<dyn FnOnce() -> Result<Completion, Failed> + Send>| {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted)) {
            trials.push(Trial::ignorable_test(name, play));
        }
    };
    let mut last = None;
    for rung in &rungs {
        if last != Some(&rung.hook) {
            last = Some(&rung.hook);
            let hook = rung.hook.clone();
            add(format!("{hook}={NONE}"), Box::new(move || without(&hook)));
        }
        let rung = rung.clone();
        add(format!("{}={}", rung.hook, rung.name), Box::new(move || with(&rung)));
    }
    let conclusion = libtest_mimic::run(&args, trials);
    for (rung, cell) in CELLS.lock().map(|cells| cells.clone()).unwrap_or_default() {
        // The best that is here is the one that netbreath takes by itself.
        let best = rungs.iter().find(|other| other.hook == rung.hook && other.refused.is_none());
        let is_taken = best == Some(&rung) && cell == WORKS;
        println!("RUNG\t{}\t{}\t{}", rung.hook, rung.name, if is_taken { TAKEN } else { cell });
    }
    Ok(conclusion.exit_code())
}

const WORKS: &str = "works";
const TAKEN: &str = "taken";
const REFUSED: &str = "refused";
const FAILED: &str = "FAILED";

fn with(rung: &Rung) -> Result<Completion, Failed> {
    let played = play(rung);
    let cell = match (&played, &rung.refused) {
        (Err(_), _) => FAILED,
        (Ok(()), Some(_)) => REFUSED,
        (Ok(()), None) => WORKS,
    };
    if let Ok(mut cells) = CELLS.lock() {
        cells.push((rung.clone(), cell));
    }
    played.map(|()| Completion::Completed).map_err(|error| format!("{error:#}").into())
}

fn play(rung: &Rung) -> Result<()> {
    if rung.refused.is_some() {
        return rung::refusal(rung);
    }
    for exercise in rung::exercises(&rung.hook)? {
        // Every kernel that has the hook can play what exercises it.
        if let Some(obstacle) = exercise.obstacle() {
            anyhow::bail!("{} cannot be played: {obstacle}", exercise.name());
        }
        exercise.play(&rung.hook, &rung.name).map_err(|error| error.context(exercise.name()))?;
    }
    Ok(())
}

fn without(hook: &str) -> Result<Completion, Failed> {
    let exercises = rung::exercises(hook).map_err(|error| format!("{error:#}"))?;
    for exercise in &exercises {
        if exercise.play(hook, NONE).is_err() {
            return Ok(Completion::Completed);
        }
    }
    let names: Vec<_> = exercises.iter().map(|exercise| exercise.name()).collect();
    Err(format!("nothing is missing in {} without the hook {hook}", names.join(", ")).into())
}
