//! Who accepts also uses: one process, threads, workers, each way to accept.

use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::log::Socket;
use super::play::{Gate, Mode, Play, listen, serve};
use crate::step::Call;

const WORKERS: usize = 4;

fn one(play: &mut Play, call: Call, mode: Mode) -> Result<()> {
    play.trace()?;
    let gate = Gate::new()?;
    // The port is chosen first, so that the client need not be told.
    play.server("nb-single", move |me| {
        let (listener, _) = listen(me, PORT, false)?;
        gate.open()?;
        serve(me, &listener, call, mode)
    })?;
    gate.pass()?;
    play.clients(PORT, mode)
}

/// Free in a namespace of its own.
const PORT: u16 = 7007;

pub fn single(play: &mut Play) -> Result<()> {
    one(play, Call::Accept4, Mode::Both)
}

pub fn accept(play: &mut Play) -> Result<()> {
    one(play, Call::Accept, Mode::Both)
}

pub fn accept_null(play: &mut Play) -> Result<()> {
    one(play, Call::AcceptNull, Mode::Both)
}

pub fn accept4_null(play: &mut Play) -> Result<()> {
    one(play, Call::Accept4Null, Mode::Both)
}

pub fn read_only(play: &mut Play) -> Result<()> {
    one(play, Call::Accept4, Mode::ReadOnly)
}

pub fn write_only(play: &mut Play) -> Result<()> {
    one(play, Call::Accept4, Mode::WriteOnly)
}

pub fn unused(play: &mut Play) -> Result<()> {
    one(play, Call::Accept4, Mode::Unused)
}

pub fn threads(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-threads", move |me| {
        let me = Arc::new(me.clone());
        let work = |number: usize| {
            let me = Arc::clone(&me);
            std::thread::spawn(move || {
                crate::socket::name(&format!("nb-thread-{number}"));
                serve(&me, &listener, Call::Accept4, Mode::Both)
            })
        };
        let threads: Vec<_> = (0..WORKERS).map(work).collect();
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        Ok(())
    })?;
    play.clients(port, Mode::Both)
}

/// Workers that are forked after listen() share the parent's listener.
pub fn prefork(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    workers(play, listener)?;
    play.clients(port, Mode::Both)
}

fn workers(play: &mut Play, listener: Socket) -> Result<()> {
    let calls = [Call::Accept, Call::AcceptNull, Call::Accept4, Call::Accept4Null];
    for (number, call) in calls.into_iter().enumerate() {
        play.server(&format!("nb-worker-{number}"), move |me| {
            serve(me, &listener, call, Mode::Both)
        })?;
    }
    Ok(())
}

/// Each worker has a listener of its own on the same port.
pub fn reuseport(play: &mut Play) -> Result<()> {
    play.trace()?;
    let gate = Gate::new()?;
    for number in 0..WORKERS {
        play.server(&format!("nb-reuse-{number}"), move |me| {
            let (listener, _) = listen(me, PORT, true)?;
            gate.open()?;
            serve(me, &listener, Call::Accept4, Mode::Both)
        })?;
        gate.pass()?;
    }
    play.clients(PORT, Mode::Both)
}
