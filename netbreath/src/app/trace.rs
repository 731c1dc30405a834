//! `netbreath trace`, `record` and `replay`: events until something ends them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use netbreath::cli::network::normalized;
use netbreath::cli::{Cli, FormatName, RecordArgs, ReplayArgs, SourceName, TraceArgs};
use netbreath::command::Running;
use netbreath::event::header::Header;
use netbreath::format::recording::Recorder;
use netbreath::host::sandbox;
use netbreath::output::Output;
use netbreath::plan::recording::{Record, Recorded};
use netbreath::run::{Limits, Lines, Outcome, OwnSignals, Run};
use netbreath::source::ebpf::helper::Helper;
use netbreath::source::merge::Merged;
use netbreath::source::replay::Recording;
use netbreath::source::{Source, ebpf, netlink, pcap, replay};
use netbreath::{command, doctor, host, plan};

use super::dispatch;
use super::network::unwatched;
use super::{Failure, OURS, PRIVILEGE, WRONG};

pub fn trace(args: &TraceArgs) -> Result<ExitCode, Failure> {
    let recording = args.recordings.replay.as_deref().map(replay::open).transpose()?;
    let plan = match &recording {
        None => plan::trace(args, &host::System)?,
        Some(recording) => {
            let host = Recorded { here: &host::System, header: recording.header() };
            let mut args = args.clone();
            host.narrow(&mut args.netns);
            plan::trace(&args, &host)?
        }
    };
    traced(plan, recording, false)
}

/// Records what happens, and shows nothing of it.
pub fn record(args: &RecordArgs) -> Result<ExitCode, Failure> {
    let args = args.trace();
    let mut plan = plan::trace(&args, &host::System)?;
    plan.greeting = plan.greeting.map(|_| "recording; Ctrl-C ends");
    traced(plan, None, true)
}

/// Shows a recording in the view that was asked for.
pub fn show(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let line = args.line();
    match Cli::try_parse_from(normalized(line.into_iter())) {
        Ok(cli) => dispatch(cli.command),
        Err(error) if error.to_string().contains("'--replay'") => {
            let view = args.view.first().map(|view| view.to_string_lossy().into_owned());
            Err(anyhow!(
                "{} does not live on events, so a recording cannot be shown in it; these can: \
                 trace, ss, netstat, ifconfig, ip, route, arp",
                view.unwrap_or_default()
            )
            .into())
        }
        Err(error) => error.exit(),
    }
}

/// The recording that is asked for, from this source.
pub fn recorder(
    record: Option<&plan::recording::Record>,
    source: &str,
    replayed: Option<&Header>,
) -> anyhow::Result<Option<Recorder>> {
    let Some(Record { path, masks }) = record else { return Ok(None) };
    let header = match replayed {
        // What is recorded again is still of where it was recorded first.
        Some(header) => Header { gaps: Vec::new(), boot: None, ..header.clone() },
        None => host::header(source),
    };
    if path.as_os_str() == "-" {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        let stdout = stdout.context("cannot use standard output")?;
        return Ok(Some(Recorder::shared(path, stdout.into(), header, *masks)));
    }
    Recorder::create(path, header, *masks).map(Some).with_context(|| {
        format!(
            "cannot write the recording {}: choose a file in a directory that exists and that you \
             may write to",
            path.display()
        )
    })
}

pub fn traced(
    mut plan: plan::Trace,
    recording: Option<Recording>,
    silent: bool,
) -> Result<ExitCode, Failure> {
    if let Some(thresholds) = &mut plan.output.lint {
        *thresholds = doctor::thresholds();
    }
    // First of all: it is a copy of this process, and must not have what this one opens.
    let by_programs = recording.is_none() && plan.source != SourceName::Pcap;
    let helper = by_programs.then(Helper::start).transpose()?;
    let header = recording.as_ref().and_then(|recording| recording.header().cloned());
    let source = if plan.source == SourceName::Pcap { "pcap" } else { "ebpf" };
    let recorder = recorder(plan.record.as_ref(), source, header.as_ref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the loop that waits for events")?;
    let out = open_output(plan.to.as_deref())?;
    let session = Session {
        command: &plan.command,
        output: &plan.output,
        to: plan.to.as_deref(),
        ready_file: plan.ready_file.as_deref(),
        limits: Limits { count: plan.count, duration: plan.duration },
        greeting: plan.greeting,
        is_replay: plan.replay.is_some(),
        // What is polled needs its rights for good.
        gives_up: by_programs,
        max_sockets: plan.ask.max_sockets as usize,
        silent,
    };
    let outcome = runtime.block_on(async {
        if let Some(recording) = recording {
            let source = recording.play(plan.play.clone());
            return follow(&session, source, out, recorder).await;
        }
        if plan.source == SourceName::Pcap {
            let (filter, ring) = (&plan.ask.filter, plan.ask.ring_size);
            let source =
                pcap::open(filter, ring, session.max_sockets).map_err(|error| Failure {
                    code: if error.is_privilege() { PRIVILEGE } else { WRONG },
                    error: error.into(),
                })?;
            return follow(&session, source, out, recorder).await;
        }
        let source = ebpf::open_with(&plan.ask, helper).map_err(|error| Failure {
            code: if error.is_privilege() { PRIVILEGE } else { WRONG },
            error: error.into(),
        })?;
        // The network's configuration, in the network namespace that we are in.
        match netlink::Ask::named(&plan.ask.filter.events) {
            None => follow(&session, source, out, recorder).await,
            Some(ask) => {
                let network = netlink::open(ask).map_err(unwatched)?;
                follow(&session, Merged::new(source, network), out, recorder).await
            }
        }
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

/// Standard output without the standard library's buffer, or the file asked for.
pub fn open_output(to: Option<&Path>) -> anyhow::Result<Output> {
    match to {
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

/// What a run over events needs beside its source.
pub struct Session<'a> {
    pub command: &'a [OsString],
    pub output: &'a plan::Output,
    pub to: Option<&'a Path>,
    pub ready_file: Option<&'a Path>,
    pub limits: Limits,
    pub greeting: Option<&'static str>,
    pub is_replay: bool,
    pub max_sockets: usize,
    /// Once all is attached, what is not needed any more is given up.
    pub gives_up: bool,
    /// Nothing is shown.
    pub silent: bool,
}

/// Starts the command, if there is one, when it is followed.
pub fn start<S: Source>(
    command: &[OsString],
    source: &mut S,
    ready_file: Option<&Path>,
) -> Result<Option<Running>, Failure> {
    let failed = |error: command::Error| Failure { code: error.code(), error: error.into() };
    let held = if command.is_empty() {
        None
    } else {
        let caller = host::caller().context("cannot tell who called sudo")?;
        let held = command::hold(command, caller).map_err(failed)?;
        source.follow(held.pid()).context("cannot follow the command")?;
        Some(held)
    };
    if let Some(path) = ready_file {
        fs::write(path, "ready\n").with_context(|| {
            format!("cannot write the ready file {}: choose another path", path.display())
        })?;
    }
    held.map(|held| held.release().map_err(failed)).transpose()
}

/// Starts the command, if there is one, and runs until the end.
pub async fn follow<S: Source>(
    session: &Session<'_>,
    mut source: S,
    out: Output,
    recorder: Option<Recorder>,
) -> Result<Outcome, Failure> {
    let signals = OwnSignals::catch()?;
    let command = start(session.command, &mut source, session.ready_file)?;
    let started = command.is_some();
    if session.gives_up {
        sandbox::give_up_all()?;
    }
    let to = session.to.map_or(OsStr::new("standard output"), Path::as_os_str);
    let quiet = session.output.format != FormatName::Text || started || session.is_replay;
    let lines = match session.silent {
        true => Lines::silent(session.output),
        false => Lines::new(session.output),
    };
    let lines = if session.is_replay { lines } else { lines.with_clock(netbreath::source::now) };
    let run = Run {
        lines,
        out,
        to: to.display().to_string(),
        talk: io::stderr(),
        greeting: session.greeting.or((!quiet).then_some("watching")),
        signals,
        command,
        limits: session.limits,
        max_sockets: session.max_sockets,
        recorder,
    };
    run.run(&mut source)
        .await
        .map_err(|error| Failure { code: if started { OURS } else { WRONG }, error: error.into() })
}
