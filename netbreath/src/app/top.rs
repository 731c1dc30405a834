//! `netbreath top`: connections on a full screen.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use netbreath::cli::{Speed, TopArgs};
use netbreath::host::Host;
use netbreath::run::{OwnSignals, Signal};
use netbreath::source::merge::Merged;
use netbreath::source::{ebpf, netlink, replay};
use netbreath::tui::terminal::{self, Screen};
use netbreath::tui::top::Top;
use netbreath::tui::top::model::{Look as TopLook, Model, Playing};
use netbreath::{doctor, host, plan};

use super::network::unwatched;
use super::{Failure, PRIVILEGE, WRONG};

/// Shows connections on a full screen until somebody quits.
pub fn top(args: &TopArgs) -> Result<ExitCode, Failure> {
    const INSTEAD: &str = "for lines, say netbreath trace";
    let plan = plan::trace(&args.trace(), &host::System)?;
    let terminal = host::System.terminal();
    let look = TopLook {
        colour: plan.output.style.colour,
        unicode: terminal.utf8,
        timezone: plan.output.style.timezone.clone(),
    };
    let max_sockets = args.max_sockets as usize;
    let mut model = Model::new(look, doctor::thresholds(), max_sockets);
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
