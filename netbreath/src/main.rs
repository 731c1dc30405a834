//! Parse, plan, run, exit code.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use netbreath::capture::{Capturing, Shape, Target};
use netbreath::cli::network::normalized;
use netbreath::cli::{
    CaptureArgs, Cli, Command, DoctorArgs, ExplainArgs, FormatName, HookName, LabArgs, LsofArgs,
    NetstatArgs, ServicesArgs, SsArgs, TourArgs, TraceArgs, WhoArgs,
};
use netbreath::doctor::Health;
use netbreath::format::pcapng::Encoder;
use netbreath::host::Host;
use netbreath::output::Output;
use netbreath::plan::capture::To;
use netbreath::plan::network::Plan;
use netbreath::run::{Limits, Lines, Outcome, OwnSignals, Run};
use netbreath::source::merge::Merged;
use netbreath::source::packet::Live;
use netbreath::source::{Source, ebpf, netlink, replay, socket};
use netbreath::teach::{self, lab, tour};
use netbreath::{answer, command, doctor, host, plan};

fn main() -> ExitCode {
    let result = match Cli::parse_from(normalized(std::env::args_os())).command {
        Command::Trace(args) => trace(&args),
        Command::Capture(args) => capture(&args),
        Command::Ifconfig(args) => network(plan::network::ifconfig(&args)),
        Command::Ip(args) => network(plan::network::ip(&args)),
        Command::Route(args) => network(plan::network::route(&args)),
        Command::Arp(args) => network(plan::network::arp(&args)),
        Command::Netstat(args)
            if plan::socket::is_about_sockets(&args)
                && (args.continuous || args.more.follow.follow) =>
        {
            follow_netstat(&args)
        }
        Command::Netstat(args) if plan::socket::is_about_sockets(&args) => netstat(&args),
        Command::Netstat(mut args) => {
            args.more.follow.follow |= args.continuous;
            network(plan::network::netstat(&args))
        }
        Command::Ss(args) if args.events || args.follow.follow => follow_ss(&args),
        Command::Ss(args) => ss(&args),
        Command::Lsof(args) => lsof(&args),
        Command::Who(args) => who(&args),
        Command::Services(args) => services(&args),
        Command::Explain(args) => explain(&args),
        Command::Tour(args) => tour(&args),
        Command::Lab(args) => lab(&args),
        Command::Actor(args) => {
            teach::actor::play(&args.name).map(|()| ExitCode::SUCCESS).map_err(Failure::from)
        }
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
    let out = open_output(plan.to.as_deref())?;
    let session = Session {
        command: &plan.command,
        output: &plan.output,
        to: plan.to.as_deref(),
        ready_file: plan.ready_file.as_deref(),
        limits: Limits { count: plan.count, duration: plan.duration },
        greeting: plan.greeting,
        is_replay: plan.replay.is_some(),
        max_sockets: plan.ask.max_sockets as usize,
    };
    let outcome = runtime.block_on(async {
        if let Some(recording) = &plan.replay {
            return follow(&session, replay::open(recording)?, out).await;
        }
        let source = ebpf::open(&plan.ask).map_err(|error| Failure {
            code: if error.is_privilege() { PRIVILEGE } else { WRONG },
            error: error.into(),
        })?;
        // The network's configuration, in the network namespace that we are in.
        match netlink::Ask::named(&plan.ask.filter.events) {
            None => follow(&session, source, out).await,
            Some(ask) => {
                let network = netlink::open(ask).map_err(unwatched)?;
                follow(&session, Merged::new(source, network), out).await
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

/// Captures packets until something ends it.
fn capture(args: &CaptureArgs) -> Result<ExitCode, Failure> {
    let mut network = host::network::Network::open().context("cannot ask for interfaces")?;
    let links = network.links(false).context("cannot ask for interfaces")?;
    let plan = plan::capture::capture(args, &host::System, &links)?;
    if plan.explain {
        return print(plan::capture::explain(&plan)?.as_bytes());
    }
    let addresses: Vec<_> = network
        .addresses(None)
        .context("cannot ask for addresses")?
        .into_iter()
        .map(|address| address.local)
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the loop that waits for packets")?;
    runtime.block_on(async {
        let refused = if plan.hook == Some(HookName::Packet) {
            None
        } else {
            match ebpf::packet::open(&plan.ask, &plan.packets, &addresses) {
                Ok(source) => return take(&plan, source).await,
                // A packet socket needs less, but knows no owners.
                Err(error)
                    if plan.hook.is_none() && !plan.needs_owners && error.is_of_programs() =>
                {
                    Some(error)
                }
                Err(error) => {
                    let code = if error.is_privilege() { PRIVILEGE } else { WRONG };
                    return Err(Failure { code, error: error.into() });
                }
            }
        };
        let source = socket::open(&plan.packets).map_err(|error| {
            let code = if error.is_privilege() { PRIVILEGE } else { WRONG };
            // Of two refusals the first tells more.
            match refused.as_ref() {
                Some(refused) if error.is_privilege() => {
                    Failure { code, error: anyhow!(refused.to_string()) }
                }
                _ => Failure { code, error: error.into() },
            }
        })?;
        if let Some(refused) = refused {
            // Why ignored: talk that nobody hears is no reason to end.
            let _ = writeln!(
                io::stderr(),
                "gap: whose packets are is not known: they come from packet sockets, since {refused}"
            );
        }
        take(&plan, source).await
    })
}

/// Starts the command, if there is one, and captures until the end.
async fn take<S: Live>(plan: &plan::capture::Capture, mut source: S) -> Result<ExitCode, Failure> {
    let (shape, target) = match &plan.to {
        To::Lines => (Shape::Lines, None),
        To::File { path, pcap: true, .. } => (Shape::File(Encoder::Pcap), path.as_ref()),
        To::File { path, comments, .. } => {
            (Shape::File(Encoder::pcapng(*comments, ebpf::packet::boot())), path.as_ref())
        }
    };
    let target = match target {
        None => {
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            Target::shared(stdout.context("cannot use standard output")?.into())
        }
        Some(path) => Target::create(path).with_context(|| {
            format!(
                "cannot write to {}: choose a file in a directory that exists and that you may \
                 write to",
                path.display()
            )
        })?,
    };
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
    if host::System.terminal().stderr
        && let Some(choice) = &plan.choice
    {
        // Why ignored: talk that nobody hears is no reason to end.
        let _ = writeln!(io::stderr(), "{choice}");
    }
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
    let capturing = Capturing {
        shape,
        target,
        talk: io::stderr(),
        signals,
        command,
        limits: netbreath::capture::Limits { count: plan.count, duration: plan.duration },
        interfaces: plan.packets.on.iter().map(|spot| spot.interface.clone()).collect(),
        filter: plan.packets.filter.as_deref(),
    };
    let outcome = capturing.run(&mut source, netbreath::capture::now()).await.map_err(|error| {
        Failure { code: if started { OURS } else { WRONG }, error: error.into() }
    })?;
    Ok(ExitCode::from(outcome.command.unwrap_or(0)))
}

/// Answers a question about the network configuration, or watches it change.
fn network(plan: Result<Plan, plan::network::Error>) -> Result<ExitCode, Failure> {
    match plan? {
        Plan::Answer(question) => {
            let mut out = Vec::new();
            let terminal = host::System.terminal();
            answer::answer(&question, terminal, &mut out).map_err(unanswered)?;
            print(&out)
        }
        Plan::Watch(watch) => changes(&watch),
    }
}

/// Answers a question about sockets.
fn netstat(args: &NetstatArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let question = plan::socket::netstat(args, terminal)?;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    answer::socket::netstat(&question, terminal, &mut out, &mut talk).map_err(unanswered)?;
    said(&talk);
    print(&out)
}

fn follow_netstat(args: &NetstatArgs) -> Result<ExitCode, Failure> {
    trace(&plan::follow::netstat(args)?)
}

fn follow_ss(args: &SsArgs) -> Result<ExitCode, Failure> {
    trace(&plan::follow::ss(args, &answer::socket::System)?)
}

fn ss(args: &SsArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let question = plan::socket::ss(args, terminal, answer::socket::ephemeral())?;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    answer::socket::ss(&question, terminal, &mut out, &mut talk).map_err(unanswered)?;
    said(&talk);
    print(&out)
}

fn lsof(args: &LsofArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let question = plan::lsof::lsof(args, terminal, &answer::lsof::System)?;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let found = answer::lsof::lsof(&question, terminal, &mut out, &mut talk).map_err(unanswered)?;
    said(&talk);
    let code = print(&out)?;
    Ok(if found { code } else { ExitCode::from(1) })
}

fn who(args: &WhoArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let found = answer::who::who(args, terminal, &mut out, &mut talk).map_err(unanswered)?;
    said(&talk);
    let code = print(&out)?;
    Ok(if found { code } else { ExitCode::from(1) })
}

/// Says what could not be seen.
fn said(talk: &[u8]) {
    // Why ignored: who does not listen has the answer all the same.
    let _ = io::stderr().write_all(talk);
}

/// Shows changes of the network configuration until something ends it.
fn changes(watch: &plan::network::Watch) -> Result<ExitCode, Failure> {
    let output = plan::network::output(watch, &host::System);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the loop that waits for events")?;
    let out = open_output(watch.to.as_deref())?;
    let quiet = output.format != FormatName::Text || !host::System.terminal().stderr;
    let session = Session {
        command: &[],
        output: &output,
        to: watch.to.as_deref(),
        ready_file: watch.ready_file.as_deref(),
        limits: Limits { count: watch.count, duration: watch.duration },
        greeting: (!quiet).then_some("watching changes; Ctrl-C ends"),
        is_replay: watch.replay.is_some(),
        max_sockets: 65_536,
    };
    let outcome = runtime.block_on(async {
        if let Some(recording) = &watch.replay {
            return follow(&session, replay::open(recording)?, out).await;
        }
        let ask = answer::watched(watch).map_err(unanswered)?;
        let source = netlink::open(ask).map_err(unwatched)?;
        follow(&session, source, out).await
    })?;
    Ok(ExitCode::from(match outcome.code() {
        // That nothing changed in the time given is an answer too.
        1 => 0,
        code => code,
    }))
}

fn services(args: &ServicesArgs) -> Result<ExitCode, Failure> {
    let mut out = Vec::new();
    let terminal = host::System.terminal();
    answer::services(args.query.as_deref(), args.format, terminal, &mut out).map_err(unanswered)?;
    print(&out)
}

/// Explains a topic, or lists them all.
fn explain(args: &ExplainArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let language = args.lang.unwrap_or(terminal.language);
    let (text, code) = answer::lesson::explain(&args.topic.join(" "), language, terminal);
    match code {
        0 => print(text.as_bytes()),
        code => Err(Failure { code, error: anyhow!(text) }),
    }
}

/// Waits for Enter: whether the reader wants to go on.
fn goes_on() -> bool {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line);
    read.is_ok_and(|len| len > 0) && !line.trim().starts_with('q')
}

/// Plays a scenario, or lists them.
fn lab(args: &LabArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let failed = |error: lab::Error| Failure { code: error.code(), error: error.into() };
    let manner = lab::Manner {
        language: args.lang.unwrap_or(terminal.language),
        width: terminal.width.map_or(80, usize::from).clamp(60, 120),
        stops: !args.auto && io::stdin().is_terminal(),
    };
    let name = args.scenario.join(" ");
    if name.is_empty() || name.eq_ignore_ascii_case("list") {
        let mut text = String::new();
        lab::list(manner.language, manner.width, &mut text);
        return print(text.as_bytes());
    }
    let scenario = lab::named(&name).map_err(failed)?;
    let recording = match lab::play(scenario, manner, &mut io::stdout(), &mut goes_on) {
        Err(error) if error.is_broken_pipe() => return Ok(ExitCode::SUCCESS),
        played => played.map_err(failed)?,
    };
    if let Some(path) = &args.output {
        fs::write(path, recording).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives the tour: live if that can be, else from the recording.
fn tour(args: &TourArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let recorded = || tour::Place::recorded();
    let mut place = match args.recorded {
        true => recorded()?,
        false => match tour::Place::live(args.port) {
            Err(error) if error.is_privilege() => recorded()?,
            place => place?,
        },
    };
    let manner = tour::Manner {
        language: args.lang.unwrap_or(terminal.language),
        width: terminal.width.map_or(80, usize::from).clamp(60, 120),
        stops: !args.auto && io::stdin().is_terminal(),
        unicode: terminal.utf8,
        waits: !args.no_wait,
    };
    match tour::give(&mut place, manner, io::stdout(), goes_on) {
        Err(error) if error.is_broken_pipe() => {}
        given => given?,
    }
    if let Some(path) = &args.record {
        fs::write(path, place.recording()?).context("cannot write the recording")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn unwatched(error: netlink::Error) -> Failure {
    let code = if error.is_privilege() { PRIVILEGE } else { WRONG };
    Failure { code, error: error.into() }
}

fn unanswered(error: answer::Error) -> Failure {
    Failure { code: error.code(), error: error.into() }
}

/// Writes an answer to standard output. Whose reader went away has seen enough.
fn print(out: &[u8]) -> Result<ExitCode, Failure> {
    let mut stdout: File =
        io::stdout().as_fd().try_clone_to_owned().context("cannot use standard output")?.into();
    match stdout.write_all(out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!(error).context("cannot write to standard output").into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
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
fn open_output(to: Option<&Path>) -> anyhow::Result<Output> {
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
struct Session<'a> {
    command: &'a [OsString],
    output: &'a plan::Output,
    to: Option<&'a Path>,
    ready_file: Option<&'a Path>,
    limits: Limits,
    greeting: Option<&'static str>,
    is_replay: bool,
    max_sockets: usize,
}

/// Starts the command, if there is one, and runs until the end.
async fn follow<S: Source>(
    session: &Session<'_>,
    mut source: S,
    out: Output,
) -> Result<Outcome, Failure> {
    let signals = OwnSignals::catch()?;
    let held = if session.command.is_empty() {
        None
    } else {
        let caller = host::caller().context("cannot tell who called sudo")?;
        let failed = |error: command::Error| Failure { code: error.code(), error: error.into() };
        let held = command::hold(session.command, caller).map_err(failed)?;
        source.follow(held.pid()).context("cannot follow the command")?;
        Some((held, failed))
    };
    if let Some(path) = session.ready_file {
        fs::write(path, "ready\n").with_context(|| {
            format!("cannot write the ready file {}: choose another path", path.display())
        })?;
    }
    let started = held.is_some();
    let command = match held {
        Some((held, failed)) => Some(held.release().map_err(failed)?),
        None => None,
    };
    let to = session.to.map_or(OsStr::new("standard output"), Path::as_os_str);
    let quiet = session.output.format != FormatName::Text || started || session.is_replay;
    let run = Run {
        lines: Lines::new(session.output),
        out,
        to: to.display().to_string(),
        talk: io::stderr(),
        greeting: session.greeting.or((!quiet).then_some("watching")),
        signals,
        command,
        limits: session.limits,
        max_sockets: session.max_sockets,
    };
    run.run(&mut source)
        .await
        .map_err(|error| Failure { code: if started { OURS } else { WRONG }, error: error.into() })
}
