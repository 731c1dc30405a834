//! Parse, plan, run, exit code.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use netbreath::cli::{Cli, Command, DoctorArgs, FormatName, TraceArgs};
use netbreath::doctor::Health;
use netbreath::output::Output;
use netbreath::run::{Limits, Lines, Outcome, OwnSignals, Run};
use netbreath::source::{Source, ebpf, replay};
use netbreath::{command, doctor, host, plan};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Trace(args) => trace(&args),
        Command::Doctor(args) => doctor(&args),
    };
    result.unwrap_or_else(|Failure { code, error }| {
        // Why ignored: without a standard error, the exit code has to do.
        let _ = writeln!(io::stderr(), "netbreath: {}", sentence(&error));
        ExitCode::from(code)
    })
}

/// The error with its causes, each said once: our own errors end with their source,
/// and anyhow would say it again.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// An error and its exit code.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// Wrong use, and errors that have no code of their own.
const WRONG: u8 = 2;
const PRIVILEGE: u8 = 77;
/// We failed after a command was started: its codes must not be taken for ours.
const OURS: u8 = 125;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { code: WRONG, error: error.into() }
    }
}

fn trace(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let plan = plan::trace(args, &host::System)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the loop that waits for events")?;
    let out = open_output(&plan)?;
    let outcome = runtime.block_on(async {
        if let Some(recording) = &plan.replay {
            return follow(&plan, replay::open(recording)?, out).await;
        }
        let source = ebpf::open(&plan.ask).map_err(|error| Failure {
            code: if error.is_privilege() { PRIVILEGE } else { WRONG },
            error: error.into(),
        })?;
        follow(&plan, source, out).await
    })?;
    if plan.strict && outcome.lost > 0 {
        let error = anyhow!(
            "{} events were lost, which --strict does not allow: give a larger --ring-size (it is \
             {} KiB), or let filters keep fewer events",
            outcome.lost,
            plan.ask.ring_size / 1024,
        );
        let code = if plan.command.is_empty() { WRONG } else { OURS };
        return Err(Failure { code, error });
    }
    Ok(ExitCode::from(outcome.code()))
}

fn doctor(args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let (health, report) = match args {
        DoctorArgs { load_all: true, .. } => doctor::load_all(),
        DoctorArgs { rungs: true, .. } => doctor::rungs(),
        _ => doctor::examine(),
    };
    io::stdout().write_all(report.as_bytes()).context("cannot write the report")?;
    Ok(ExitCode::from(match health {
        Health::Works => 0,
        Health::NoPrivilege => PRIVILEGE,
        Health::Broken => WRONG,
    }))
}

/// Standard output without the standard library's buffer, or the file asked for.
fn open_output(plan: &plan::Trace) -> anyhow::Result<Output> {
    match &plan.to {
        None => {
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            Ok(Output::shared(stdout.context("cannot use standard output")?.into()))
        }
        Some(path) => Output::create(path).with_context(|| {
            format!(
                "cannot write to {}: choose a file in a directory that exists and that you may \
                 write to",
                path.display()
            )
        }),
    }
}

/// Starts the command, if there is one, and runs until the end.
async fn follow<S: Source>(
    plan: &plan::Trace,
    mut source: S,
    out: Output,
) -> Result<Outcome, Failure> {
    let signals = OwnSignals::catch()?;
    let held = if plan.command.is_empty() {
        None
    } else {
        let caller = host::caller().context("cannot tell who called sudo")?;
        let failed = |error: command::Error| Failure { code: error.code(), error: error.into() };
        let held = command::hold(&plan.command, caller).map_err(failed)?;
        source.follow(held.pid()).context("cannot follow the command")?;
        Some((held, failed))
    };
    if let Some(path) = &plan.ready_file {
        fs::write(path, "ready\n").with_context(|| {
            format!("cannot write the ready file {}: choose another path", path.display())
        })?;
    }
    let started = held.is_some();
    let command = match held {
        Some((held, failed)) => Some(held.release().map_err(failed)?),
        None => None,
    };
    let to = plan.to.as_deref().map_or(OsStr::new("standard output"), |path| path.as_os_str());
    let quiet = plan.output.format != FormatName::Text || started || plan.replay.is_some();
    let run = Run {
        lines: Lines::new(&plan.output),
        out,
        to: to.display().to_string(),
        talk: io::stderr(),
        greeting: plan.greeting.or((!quiet).then_some("watching")),
        signals,
        command,
        limits: Limits { count: plan.count, duration: plan.duration },
        max_sockets: plan.ask.max_sockets as usize,
    };
    run.run(&mut source)
        .await
        .map_err(|error| Failure { code: if started { OURS } else { WRONG }, error: error.into() })
}
