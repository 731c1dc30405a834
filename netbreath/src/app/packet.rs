//! `netbreath capture`, `tcpdump` and `tshark`: packets until something ends them.

use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use netbreath::capture::file::Reading;
use netbreath::capture::rotation::Rotation;
use netbreath::capture::{self, Capturing, Shape, Target};
use netbreath::cli::{CaptureArgs, HookName, TcpdumpArgs, TsharkArgs};
use netbreath::format::pcapng::Encoder;
use netbreath::host::Host;
use netbreath::plan::capture::To;
use netbreath::plan::tcpdump::Origin;
use netbreath::run::OwnSignals;
use netbreath::source::packet::Live;
use netbreath::source::savefile::Savefile;
use netbreath::source::{ebpf, socket};
use netbreath::view::tcpdump::{Naming, Printer};
use netbreath::view::tshark::Shower;
use netbreath::{answer, command, host, plan, view};

use super::{Failure, OURS, PRIVILEGE, WRONG, print, said};

/// How packets are shown.
pub struct Look {
    pub shape: Shape,
    pub rotation: Rotation,
    /// What is said before they come.
    pub greeting: Option<String>,
    /// The words are those of tcpdump.
    pub brief: bool,
    pub unbuffered: bool,
    pub count: Option<NonZeroU64>,
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
pub fn shape(to: &To) -> Shape {
    match to {
        To::Lines => Shape::Lines,
        To::File { pcap: true, .. } => Shape::File(Encoder::Pcap),
        To::File { comments, .. } => Shape::File(Encoder::pcapng(*comments, ebpf::packet::boot())),
    }
}

/// Reads a capture file.
pub fn read_capture(args: &CaptureArgs) -> Result<ExitCode, Failure> {
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
        chooser: None,
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
pub fn tcpdump(args: &TcpdumpArgs) -> Result<ExitCode, Failure> {
    show_packets(args).map_err(|failure| Failure { code: 1, ..failure })
}

pub fn show_packets(args: &TcpdumpArgs) -> Result<ExitCode, Failure> {
    if args.list {
        let mut network = host::network::Network::open().context("cannot ask for interfaces")?;
        let links = network.links(false).context("cannot ask for interfaces")?;
        return print(view::tcpdump::list(&links).as_bytes());
    }
    let plan = plan::tcpdump::tcpdump(args, host::System.terminal())?;
    let brief = plan.to == To::Lines;
    let printer = |waits: bool| -> Result<Shape, Failure> {
        if !brief {
            return Ok(shape(&plan.to));
        }
        let naming = if plan.names { Some(Naming::system(waits)?) } else { None };
        let mut printer = Printer::new(plan.style, naming);
        // Why ignored: an interface of a file without a name is shown as a question mark.
        if let Ok(mut network) = host::network::Network::open()
            && let Ok(links) = network.links(false)
        {
            let names = links.into_iter().map(|link| (link.ifindex, link.ifname));
            printer.set_interfaces(names.collect());
        }
        Ok(Shape::Tcpdump(Box::new(printer)))
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
                chooser: None,
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

/// Shows packets as tshark does, of a file or live.
pub fn tshark(args: &TsharkArgs) -> Result<ExitCode, Failure> {
    use plan::tshark::Plan;
    match plan::tshark::tshark(args)? {
        Plan::List(which) => print(plan::tshark::list(which).as_bytes()),
        Plan::Interfaces => {
            let mut network =
                host::network::Network::open().context("cannot ask for interfaces")?;
            let links = network.links(false).context("cannot ask for interfaces")?;
            let names: Vec<String> = links
                .iter()
                .enumerate()
                .map(|(place, link)| format!("{}. {}\n", place + 1, link.ifname))
                .collect();
            print(names.concat().as_bytes())
        }
        Plan::Read { path, show, count } => {
            let stdout = io::stdout().as_fd().try_clone_to_owned();
            let stdout: File = stdout.context("cannot use standard output")?.into();
            answer::tshark::read(&path, *show, count, stdout)?;
            Ok(ExitCode::SUCCESS)
        }
        Plan::Copy { path, show, count, to } => {
            let reading = Reading {
                file: Savefile::open(&path)?,
                filter: None,
                count,
                only_count: false,
                chooser: Some(Box::new(Shower::new(*show))),
                shape: shape(&to),
                target: target(&to, &Rotation::default())?,
            };
            reading.run()?;
            Ok(ExitCode::SUCCESS)
        }
        Plan::Live { capture: live, show, rotation } => capture(&live, |capture| {
            let on = &capture.packets.on;
            let names: Vec<String> =
                on.iter().map(|spot| format!("'{}'", spot.interface.name)).collect();
            let shape = match capture.to {
                To::Lines => Shape::Tshark(Box::new(Shower::new(*show))),
                To::File { .. } => shape(&capture.to),
            };
            let greeting = Some(format!("Capturing on {}", names.join(" and ")));
            Ok(Look { shape, rotation, greeting, ..Look::default() })
        }),
    }
}

/// Captures packets until something ends it.
pub fn capture(
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
pub async fn take<S: Live>(
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
pub fn target(to: &To, rotation: &Rotation) -> Result<Target, Failure> {
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
