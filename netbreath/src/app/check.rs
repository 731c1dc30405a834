//! `netbreath check`: rules for connections, for continuous integration.

use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use netbreath::check::Check;
use netbreath::cli::CheckArgs;
use netbreath::run::judge::Judging;
use netbreath::run::{OwnSignals, Signal};
use netbreath::source::{ebpf, replay};
use netbreath::{doctor, host, plan};

use super::trace::start;
use super::{Failure, OURS, PRIVILEGE, WRONG, print};

/// Judges connections by rules.
pub fn check(args: &CheckArgs) -> Result<ExitCode, Failure> {
    let rules = plan::check::rules(args, doctor::thresholds())?;
    let plan = plan::trace(&args.trace(), &host::System)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the loop that waits for events")?;
    let begin = Instant::now();
    let (judged, started) = runtime.block_on(async {
        if let Some(recording) = &plan.replay {
            let signals = OwnSignals::catch()?;
            let mut source = replay::open(recording)?.play(plan.play.clone());
            let judging = Judging { signals, command: None, duration: None, clock: None };
            return Ok::<_, Failure>((judging.run(&mut source, Check::new(rules)).await?, false));
        }
        let mut source = ebpf::open(&plan.ask).map_err(|error| Failure {
            code: if error.is_privilege() { PRIVILEGE } else { WRONG },
            error: error.into(),
        })?;
        let signals = OwnSignals::catch()?;
        let command = start(&plan.command, &mut source, plan.ready_file.as_deref())?;
        let started = command.is_some();
        let clock = Some(netbreath::source::now as fn() -> u64);
        let judging = Judging { signals, command, duration: plan.duration, clock };
        let judged = judging.run(&mut source, Check::new(rules)).await.map_err(|error| {
            Failure { code: if started { OURS } else { WRONG }, error: error.into() }
        })?;
        Ok((judged, started))
    })?;
    let verdict = judged.check.verdict(judged.lost, begin.elapsed().as_secs_f64());
    if let Some(path) = &args.junit {
        fs::write(path, &verdict.junit).with_context(|| {
            format!("cannot write the result to {}: choose another path", path.display())
        })?;
    }
    print(verdict.text.as_bytes())?;
    Ok(ExitCode::from(match (judged.signal, judged.command) {
        (Some(Signal::Interrupt), _) if !started => 130,
        (Some(Signal::Terminate), _) if !started => 143,
        _ if !verdict.passed => 1,
        (_, Some(code)) => code,
        _ => 0,
    }))
}
