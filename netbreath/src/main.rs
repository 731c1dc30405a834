//! Parse, plan, run, exit code.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;
use netbreath::capture::file::Reading;
use netbreath::capture::rotation::Rotation;
use netbreath::capture::{self, Capturing, Shape, Target};
use netbreath::cli::network::normalized;
use netbreath::cli::{
    CaptureArgs, Cli, Command, DoctorArgs, ExplainArgs, FormatName, HookName, LsofArgs,
    NetstatArgs, RecordArgs, Recordings, ReplayArgs, ServicesArgs, SourceName, Speed, SsArgs,
    TcpdumpArgs, TopArgs, TourArgs, TraceArgs, WhoArgs,
};
use netbreath::doctor::Health;
use netbreath::event::header::Header;
use netbreath::filter::Filter;
use netbreath::format::pcapng::Encoder;
use netbreath::format::recording::Recorder;
use netbreath::host::Host;
use netbreath::lint::Thresholds;
use netbreath::output::Output;
use netbreath::plan::capture::To;
use netbreath::plan::network::Plan;
use netbreath::plan::recording::{Record, Recorded};
use netbreath::plan::tcpdump::Origin;
use netbreath::run::{Limits, Lines, Outcome, OwnSignals, Run, Signal};
use netbreath::source::merge::Merged;
use netbreath::source::packet::Live;
use netbreath::source::replay::Recording;
use netbreath::source::savefile::Savefile;
use netbreath::source::{Source, ebpf, netlink, pcap, replay, socket};
use netbreath::table::Tables;
use netbreath::teach::{self, tour};
use netbreath::tui::terminal::{self, Screen};
use netbreath::tui::top::Top;
use netbreath::tui::top::model::{Look as TopLook, Model, Playing};
use netbreath::view::tcpdump::{Naming, Printer};
use netbreath::{answer, command, doctor, host, plan, view};

fn main() -> ExitCode {
    let cli = Cli::parse_from(normalized(std::env::args_os()));
    let result = dispatch(cli.command);
    result.unwrap_or_else(|Failure { code, error }| {
        // Why ignored: without a standard error, the exit code has to do.
        let _ = writeln!(io::stderr(), "netbreath: {}", sentence(&error));
        ExitCode::from(code)
    })
}

fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Trace(args) => trace(&args),
        Command::Top(args) => top(&args),
        Command::Capture(args) if args.read.is_some() => read_capture(&args),
        Command::Capture(args) => {
            capture(&args, |plan| Ok(Look { shape: shape(&plan.to), ..Look::default() }))
        }
        Command::Tcpdump(args) => tcpdump(&args),
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
        Command::Actor(args) => {
            teach::actor::play(&args.name).map(|()| ExitCode::SUCCESS).map_err(Failure::from)
        }
        Command::Doctor(args) => doctor(&args),
        Command::Record(args) => record(&args),
        Command::Replay(args) => show(&args),
    }
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
/// Sockets that are remembered of a recording.
const MAX_SOCKETS: usize = 1 << 20;
/// We failed after a command was started: its codes must not be taken for ours.
const OURS: u8 = 125;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { code: WRONG, error: error.into() }
    }
}

fn trace(args: &TraceArgs) -> Result<ExitCode, Failure> {
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
fn record(args: &RecordArgs) -> Result<ExitCode, Failure> {
    let args = args.trace();
    let mut plan = plan::trace(&args, &host::System)?;
    plan.greeting = plan.greeting.map(|_| "recording; Ctrl-C ends");
    traced(plan, None, true)
}

/// Shows a recording in the view that was asked for.
fn show(args: &ReplayArgs) -> Result<ExitCode, Failure> {
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
fn recorder(
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

fn traced(
    plan: plan::Trace,
    recording: Option<Recording>,
    silent: bool,
) -> Result<ExitCode, Failure> {
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
        let source = ebpf::open(&plan.ask).map_err(|error| Failure {
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

/// How packets are shown.
struct Look {
    shape: Shape,
    rotation: Rotation,
    /// What is said before they come.
    greeting: Option<String>,
    /// The words are those of tcpdump.
    brief: bool,
    unbuffered: bool,
    count: Option<NonZeroU64>,
}

impl Default for Look {
    fn default() -> Look {
        Look {
            shape: Shape::Lines,
            rotation: Rotation::default(),
            greeting: None,
            brief: false,
            unbuffered: false,
            count: None,
        }
    }
}

/// What packets become by the plain command.
fn shape(to: &To) -> Shape {
    match to {
        To::Lines => Shape::Lines,
        To::File { pcap: true, .. } => Shape::File(Encoder::Pcap),
        To::File { comments, .. } => Shape::File(Encoder::pcapng(*comments, ebpf::packet::boot())),
    }
}

/// Reads a capture file.
fn read_capture(args: &CaptureArgs) -> Result<ExitCode, Failure> {
    let to = match &args.write {
        None => To::Lines,
        Some(path) => To::File {
            path: Some(path.clone()).filter(|path| path != Path::new("-")),
            pcap: args.pcap,
            comments: args.comments,
        },
    };
    let filter = args.filter.join(" ");
    let reading = Reading {
        file: Savefile::open(args.read.as_deref().unwrap_or(Path::new("-")))?,
        filter: Some(filter.trim()).filter(|filter| !filter.is_empty()),
        count: args.count,
        only_count: false,
        shape: shape(&to),
        target: target(&to, &Rotation::default())?,
    };
    let outcome = reading.run()?;
    if let To::File { .. } = to {
        said(format!("{} packets of {} written\n", outcome.matched, outcome.seen).as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows packets as tcpdump does. It ends with its exit codes, too.
fn tcpdump(args: &TcpdumpArgs) -> Result<ExitCode, Failure> {
    show_packets(args).map_err(|failure| Failure { code: 1, ..failure })
}

fn show_packets(args: &TcpdumpArgs) -> Result<ExitCode, Failure> {
    if args.list {
        let mut network = host::network::Network::open().context("cannot ask for interfaces")?;
        let links = network.links(false).context("cannot ask for interfaces")?;
        return print(view::tcpdump::list(&links).as_bytes());
    }
    let plan = plan::tcpdump::tcpdump(args)?;
    let brief = plan.to == To::Lines;
    let printer = |waits: bool| -> Result<Shape, Failure> {
        if !brief {
            return Ok(shape(&plan.to));
        }
        let naming = if plan.names { Some(Naming::system(waits)?) } else { None };
        Ok(Shape::Tcpdump(Box::new(Printer::new(plan.style, naming))))
    };
    match &plan.from {
        Origin::File { path, filter } => {
            let file = Savefile::open(path)?;
            let announced = capture::file::announcement(path, file.interface().map(|one| &**one));
            said(format!("{announced}\n").as_bytes());
            let reading = Reading {
                file,
                filter: filter.as_deref(),
                count: plan.count,
                only_count: plan.only_count,
                shape: printer(true)?,
                target: target(&plan.to, &plan.rotation)?,
            };
            let outcome = reading.run()?;
            if plan.only_count {
                let packets = if outcome.matched == 1 { "packet" } else { "packets" };
                return print(format!("{} {packets}\n", outcome.matched).as_bytes());
            }
            Ok(ExitCode::SUCCESS)
        }
        Origin::Live(args) => capture(args, |capture| {
            let on = &capture.packets.on;
            let names: Vec<&str> = on.iter().map(|spot| &*spot.interface.name).collect();
            let kind = on.first().map_or(1, |spot| spot.interface.link_type);
            let mut greeting = String::new();
            if plan.style.verbose == 0 && brief {
                greeting.push_str(
                    "netbreath: verbose output suppressed, use -v[v]... for full protocol decode\n",
                );
            }
            greeting.push_str(&format!(
                "listening on {}, link-type {}, snapshot length {} bytes",
                names.join(", "),
                capture::file::link_name(kind),
                capture.packets.snap_len
            ));
            Ok(Look {
                shape: printer(false)?,
                rotation: plan.rotation.clone(),
                greeting: Some(greeting),
                brief: true,
                unbuffered: plan.unbuffered,
                count: plan.count,
            })
        }),
    }
}

/// Shows connections on a full screen until somebody quits.
fn top(args: &TopArgs) -> Result<ExitCode, Failure> {
    const INSTEAD: &str = "for lines, say netbreath trace";
    let plan = plan::trace(&args.trace(), &host::System)?;
    let terminal = host::System.terminal();
    let look = TopLook {
        colour: plan.output.style.colour,
        unicode: terminal.utf8,
        timezone: plan.output.style.timezone.clone(),
    };
    let max_sockets = args.max_sockets as usize;
    let mut model = Model::new(look, Thresholds::default(), max_sockets);
    if let Some(file) = &args.replay {
        let speed = match args.speed {
            Speed::Times(times) => times,
            Speed::Max => 1.0,
        };
        let file = file.file_name().unwrap_or(file.as_os_str()).display().to_string();
        model.playing = Some(Playing { file, speed, over: false });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the loop that waits for events")?;
    let outcome = runtime.block_on(async {
        let show = |model, clock| -> anyhow::Result<Top<OwnSignals>> {
            let signals = OwnSignals::catch()?;
            let screen = Screen::open(!args.no_mouse, INSTEAD)?;
            Ok(Top {
                model,
                screen,
                inputs: terminal::inputs()?,
                signals,
                clock,
                at_once: args.speed == Speed::Max,
                folder: args.folder.clone(),
            })
        };
        if let Some(recording) = &args.replay {
            let mut source = replay::open(recording)?.play(plan.play.clone());
            return Ok(show(model, None)?.run(&mut source).await?);
        }
        if !terminal.stdout {
            return Err(anyhow!("a screen needs a terminal: {INSTEAD}").into());
        }
        let source = ebpf::open(&plan.ask).map_err(|error| Failure {
            code: if error.is_privilege() { PRIVILEGE } else { WRONG },
            error: error.into(),
        })?;
        let ask = netlink::Ask { links: true, addresses: true, ..netlink::Ask::default() };
        let network = netlink::open(ask).map_err(unwatched)?;
        let mut source = Merged::new(source, network);
        Ok::<_, Failure>(show(model, Some(netbreath::source::now))?.run(&mut source).await?)
    })?;
    // Why ignored: talk that nobody hears is no reason to fail.
    let _ = writeln!(
        io::stderr(),
        "{} events, {} lost, {} gaps; netbreath itself took {:.1} s of CPU time and {} MB",
        outcome.events,
        outcome.lost,
        outcome.gaps,
        outcome.cpu as f64 / 1e9,
        outcome.memory >> 20,
    );
    if args.frames {
        let frames = outcome.frames;
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let _ = writeln!(
            io::stderr(),
            "{{\"frames\":{},\"median_ms\":{},\"p99_ms\":{},\"longest_ms\":{},\"turn_ms\":{},\
             \"seconds\":{},\"cpu_s\":{},\"memory_mb\":{},\"lost\":{}}}",
            frames.count,
            millis(frames.median),
            millis(frames.p99),
            millis(frames.longest),
            millis(frames.turn),
            millis(frames.time) / 1e3,
            outcome.cpu as f64 / 1e9,
            outcome.memory >> 20,
            outcome.lost,
        );
    }
    Ok(ExitCode::from(match outcome.signal {
        Some(Signal::Interrupt) => 130,
        Some(Signal::Terminate) => 143,
        None => 0,
    }))
}

/// Captures packets until something ends it.
fn capture(
    args: &CaptureArgs,
    look: impl FnOnce(&plan::capture::Capture) -> Result<Look, Failure>,
) -> Result<ExitCode, Failure> {
    let mut network = host::network::Network::open().context("cannot ask for interfaces")?;
    let links = network.links(false).context("cannot ask for interfaces")?;
    let plan = plan::capture::capture(args, &host::System, &links)?;
    if plan.explain {
        return print(plan::capture::explain(&plan)?.as_bytes());
    }
    let look = look(&plan)?;
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
                Ok(source) => return take(&plan, look, source).await,
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
        take(&plan, look, source).await
    })
}

/// Starts the command, if there is one, and captures until the end.
async fn take<S: Live>(
    plan: &plan::capture::Capture,
    look: Look,
    mut source: S,
) -> Result<ExitCode, Failure> {
    let target = target(&plan.to, &look.rotation)?;
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
    if let Some(greeting) = &look.greeting {
        said(format!("{greeting}\n").as_bytes());
    } else if host::System.terminal().stderr
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
        shape: look.shape,
        target,
        talk: io::stderr(),
        signals,
        command,
        limits: netbreath::capture::Limits {
            count: plan.count.or(look.count),
            duration: plan.duration,
        },
        interfaces: plan.packets.on.iter().map(|spot| spot.interface.clone()).collect(),
        filter: plan.packets.filter.as_deref(),
        rotation: look.rotation,
        brief: look.brief,
        unbuffered: look.unbuffered,
    };
    let outcome = capturing.run(&mut source, netbreath::capture::now()).await.map_err(|error| {
        Failure { code: if started { OURS } else { WRONG }, error: error.into() }
    })?;
    Ok(ExitCode::from(outcome.command.unwrap_or(0)))
}

/// Where the bytes of packets go: a file, the first of a rotation, or standard output.
fn target(to: &To, rotation: &Rotation) -> Result<Target, Failure> {
    let To::File { path: Some(path), .. } = to else {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        return Ok(Target::shared(stdout.context("cannot use standard output")?.into()));
    };
    let first = rotation.name(path, 0, capture::now());
    let target = Target::create(&first).with_context(|| {
        format!(
            "cannot write to {}: choose a file in a directory that exists and that you may write \
             to",
            first.display()
        )
    })?;
    Ok(target.called(path))
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
    let then = then(&args.more.follow.recordings)?;
    let recorded = then.as_ref().map(Then::recorded);
    answer::socket::netstat(&question, recorded.as_ref(), terminal, &mut out, &mut talk)
        .map_err(unanswered)?;
    said(&talk);
    print(&out)
}

/// What a recording has told until the time that was asked for.
struct Then {
    tables: Tables,
    netns: Option<u32>,
}

impl Then {
    const fn recorded(&self) -> answer::socket::Recorded<'_> {
        answer::socket::Recorded { tables: &self.tables, netns: self.netns }
    }
}

/// Reads the recording that is asked for, if one is.
fn then(args: &Recordings) -> Result<Option<Then>, Failure> {
    let Some(path) = &args.replay else { return Ok(None) };
    let recording = replay::open(path)?;
    let netns = recording.header().and_then(|header| header.netns);
    let mut play = plan::recording::play(args, Filter::default())?;
    // An answer has one time.
    play.speed = None;
    let mut source = recording.play(play);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .context("cannot start the loop that reads the recording")?;
    let mut tables = Tables::new(MAX_SOCKETS);
    let mut events = Vec::new();
    loop {
        runtime.block_on(source.next(&mut events))?;
        if events.is_empty() {
            return Ok(Some(Then { tables, netns }));
        }
        events.drain(..).for_each(|event| tables.apply(&event));
    }
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
    let then = then(&args.follow.recordings)?;
    let recorded = then.as_ref().map(Then::recorded);
    answer::socket::ss(&question, recorded.as_ref(), terminal, &mut out, &mut talk)
        .map_err(unanswered)?;
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
        silent: false,
    };
    let outcome = runtime.block_on(async {
        if let Some(recording) = &watch.replay {
            let recording = replay::open(recording)?;
            let recorder = recorder(watch.record.as_ref(), "netlink", recording.header())?;
            let source = recording.play(watch.play.clone());
            return follow(&session, source, out, recorder).await;
        }
        let recorder = recorder(watch.record.as_ref(), "netlink", None)?;
        let ask = answer::watched(watch).map_err(unanswered)?;
        let source = netlink::open(ask).map_err(unwatched)?;
        follow(&session, source, out, recorder).await
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
    let next = || {
        let mut line = String::new();
        let read = io::stdin().read_line(&mut line);
        read.is_ok_and(|len| len > 0) && !line.trim().starts_with('q')
    };
    match tour::give(&mut place, manner, io::stdout(), next) {
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
    /// Nothing is shown.
    silent: bool,
}

/// Starts the command, if there is one, and runs until the end.
async fn follow<S: Source>(
    session: &Session<'_>,
    mut source: S,
    out: Output,
    recorder: Option<Recorder>,
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
        lines: match session.silent {
            true => Lines::silent(session.output),
            false => Lines::new(session.output),
        },
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
