//! `netbreath netstat`, `ss`, `lsof`, `who`: questions about sockets.

use std::process::ExitCode;

use anyhow::Context;
use netbreath::cli::{LsofArgs, NetstatArgs, Recordings, SsArgs, WhoArgs};
use netbreath::filter::Filter;
use netbreath::host::Host;
use netbreath::source::{Source, replay};
use netbreath::table::Tables;
use netbreath::{answer, host, plan};

use super::trace::trace;
use super::{Failure, print, said, unanswered};

/// Sockets that are remembered of a recording.
pub const MAX_SOCKETS: usize = 1 << 20;

/// Answers a question about sockets.
pub fn netstat(args: &NetstatArgs) -> Result<ExitCode, Failure> {
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
pub struct Then {
    tables: Tables,
    netns: Option<u32>,
}

impl Then {
    const fn recorded(&self) -> answer::socket::Recorded<'_> {
        answer::socket::Recorded { tables: &self.tables, netns: self.netns }
    }
}

/// Reads the recording that is asked for, if one is.
pub fn then(args: &Recordings) -> Result<Option<Then>, Failure> {
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

pub fn follow_netstat(args: &NetstatArgs) -> Result<ExitCode, Failure> {
    trace(&plan::follow::netstat(args)?)
}

pub fn follow_ss(args: &SsArgs) -> Result<ExitCode, Failure> {
    trace(&plan::follow::ss(args, &answer::socket::System)?)
}

pub fn ss(args: &SsArgs) -> Result<ExitCode, Failure> {
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

pub fn lsof(args: &LsofArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let question = plan::lsof::lsof(args, terminal, &answer::lsof::System)?;
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let found = answer::lsof::lsof(&question, terminal, &mut out, &mut talk).map_err(unanswered)?;
    said(&talk);
    let code = print(&out)?;
    Ok(if found { code } else { ExitCode::from(1) })
}

pub fn who(args: &WhoArgs) -> Result<ExitCode, Failure> {
    let terminal = host::System.terminal();
    let (mut out, mut talk) = (Vec::new(), Vec::new());
    let found = answer::who::who(args, terminal, &mut out, &mut talk).map_err(unanswered)?;
    said(&talk);
    let code = print(&out)?;
    Ok(if found { code } else { ExitCode::from(1) })
}
