//! `netbreath ifconfig`, `ip`, `route`, `arp`, `services`: questions about the network's
//! configuration.

use std::process::ExitCode;

use anyhow::Context;
use netbreath::cli::{FormatName, ServicesArgs};
use netbreath::host::Host;
use netbreath::plan::network::Plan;
use netbreath::run::Limits;
use netbreath::source::{netlink, replay};
use netbreath::{answer, host, plan};

use super::trace::{Session, follow, open_output, recorder};
use super::{Failure, PRIVILEGE, WRONG, print, unanswered};

/// Answers a question about the network configuration, or watches it change.
pub fn network(plan: Result<Plan, plan::network::Error>) -> Result<ExitCode, Failure> {
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

/// Shows changes of the network configuration until something ends it.
pub fn changes(watch: &plan::network::Watch) -> Result<ExitCode, Failure> {
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
        gives_up: false,
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

pub fn services(args: &ServicesArgs) -> Result<ExitCode, Failure> {
    let mut out = Vec::new();
    let terminal = host::System.terminal();
    answer::services(args.query.as_deref(), args.format, terminal, &mut out).map_err(unanswered)?;
    print(&out)
}

pub fn unwatched(error: netlink::Error) -> Failure {
    let code = if error.is_privilege() { PRIVILEGE } else { WRONG };
    Failure { code, error: error.into() }
}
