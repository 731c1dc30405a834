//! What `main` does for each command: plan it, open its source, run it, make an exit code of
//! what came of it. One file for commands that do the same with different words.

mod check;
mod doctor;
mod lesson;
mod network;
mod packet;
mod socket;
mod top;
mod trace;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use netbreath::cli::Command;
use netbreath::teach;
use netbreath::{answer, manual, plan};

use check::check;
use doctor::doctor;
use lesson::{diagram, explain, lab, learn, tour};
use network::{network, services};
use packet::{Look, capture, read_capture, shape, tcpdump, tshark};
use socket::{follow_netstat, follow_ss, lsof, netstat, ss, who};
use top::top;
use trace::{record, show, trace};

pub fn dispatch(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Trace(args) => trace(&args),
        Command::Top(args) => top(&args),
        Command::Check(args) => check(&args),
        Command::Capture(args) if args.read.is_some() => read_capture(&args),
        Command::Capture(args) => {
            capture(&args, |plan| Ok(Look { shape: shape(&plan.to), ..Look::default() }))
        }
        Command::Tcpdump(args) => tcpdump(&args),
        Command::Tshark(args) => tshark(&args),
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
        Command::Learn(args) => learn(&args),
        Command::Diagram(args) => diagram(&args),
        Command::Actor(args) => {
            teach::actor::play(&args.name).map(|()| ExitCode::SUCCESS).map_err(Failure::from)
        }
        Command::Doctor(args) => doctor(&args),
        Command::Completions(args) => print(&manual::completions(args.shell)),
        Command::Man(args) => {
            let pages = manual::write_pages(&args.folder)?;
            print(format!("{pages} pages are in {}\n", args.folder.display()).as_bytes())
        }
        Command::Record(args) => record(&args),
        Command::Replay(args) => show(&args),
    }
}

/// The error with its causes, each said once: our own errors end with their source,
/// and anyhow would say it again.
pub fn sentence(error: &anyhow::Error) -> String {
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
pub struct Failure {
    pub code: u8,
    pub error: anyhow::Error,
}

/// Wrong use, and errors that have no code of their own.
pub const WRONG: u8 = 2;

pub const PRIVILEGE: u8 = 77;

/// We failed after a command was started: its codes must not be taken for ours.
pub const OURS: u8 = 125;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { code: WRONG, error: error.into() }
    }
}

/// Says what could not be seen.
pub fn said(talk: &[u8]) {
    // Why ignored: who does not listen has the answer all the same.
    let _ = io::stderr().write_all(talk);
}

pub fn unanswered(error: answer::Error) -> Failure {
    Failure { code: error.code(), error: error.into() }
}

/// Writes an answer to standard output. Whose reader went away has seen enough.
pub fn print(out: &[u8]) -> Result<ExitCode, Failure> {
    let mut stdout: File =
        io::stdout().as_fd().try_clone_to_owned().context("cannot use standard output")?.into();
    match stdout.write_all(out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!(error).context("cannot write to standard output").into())
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
