//! The socket outlives an exec: socket activation, inetd, vfork.

use std::fs::File;
use std::os::fd::FromRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::log::{Me, Socket, WAS, What, now};
use super::play::{EXEC, Mode, Play, accept, connect, fork_here, reap, remote, serve, talk, wait};
use crate::step::Call;

/// The program that a case executes: `--truth-exec WORK MODE`, with the socket as
/// descriptor 0.
pub fn run(work: &str, mode: &str) -> Result<()> {
    let (me, socket) = (Me::now()?, Socket::of(0)?);
    let mode = Mode::named(mode)?;
    match work {
        "serve" => {
            me.note(What::Hold, &socket, now())?;
            serve(&me, &socket, Call::Accept4, mode)
        }
        "talk" => {
            me.note(What::Hold, &socket, now())?;
            talk(&me, &socket, mode)
        }
        "client" => {
            me.note(What::Hold, &socket, now())?;
            super::play::talk_as_client(&me, &socket, mode)
        }
        other => bail!("no program {other:?}"),
    }
}

fn program(work: &str, mode: Mode) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([EXEC, work, mode.name()]);
    command
}

/// Becomes the program, with the socket as descriptor 0.
fn become_program(me: &Me, work: &str, mode: Mode, socket: Socket) -> Result<()> {
    // SAFETY: takes no pointers.
    ensure!(unsafe { libc::dup2(socket.fd, 0) } == 0, "dup2");
    Err(program(work, mode).env(WAS, &me.comm).exec()).context("exec")
}

/// One process listens, forks, and the child executes the server.
pub fn activated(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-activated", move |me| become_program(me, "serve", Mode::Both, listener))?;
    play.clients(port, Mode::Both)
}

/// The process that listens becomes the server itself.
pub fn activated_itself(play: &mut Play) -> Result<()> {
    const PORT: u16 = 7008;
    play.trace()?;
    let gate = super::play::Gate::new()?;
    play.server("nb-activator", move |me| {
        let (listener, _) = super::play::listen(me, PORT, false)?;
        gate.open()?;
        become_program(me, "serve", Mode::Both, listener)
    })?;
    gate.pass()?;
    play.clients(PORT, Mode::Both)
}

/// Accepts, forks, and the child executes a program with the connection as
/// descriptor 0.
fn handed(play: &mut Play, mode: Mode) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-inetd", move |me| {
        loop {
            let s = accept(me, &listener, Call::Accept4)?;
            fork_here("nb-inetd-child", |child| become_program(child, "talk", mode, s))?;
            s.close()?;
            reap(false)?;
        }
    })?;
    play.clients(port, mode)
}

pub fn inetd(play: &mut Play) -> Result<()> {
    handed(play, Mode::Both)
}

pub fn inetd_read_only(play: &mut Play) -> Result<()> {
    handed(play, Mode::ReadOnly)
}

pub fn inetd_write_only(play: &mut Play) -> Result<()> {
    handed(play, Mode::WriteOnly)
}

pub fn inetd_unused(play: &mut Play) -> Result<()> {
    handed(play, Mode::Unused)
}

/// The acceptor itself becomes the program: the same pid under another name.
pub fn acceptor(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-parent", move |_| {
        loop {
            wait(fork_here("nb-acceptor", |child| {
                let s = accept(child, &listener, Call::Accept4)?;
                become_program(child, "talk", Mode::Both, s)
            })?)?;
        }
    })?;
    play.clients(port, Mode::Both)
}

/// The same by vfork(), which is how posix_spawn() makes a process.
pub fn vfork(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-vfork", move |me| {
        loop {
            let s = accept(me, &listener, Call::Accept4)?;
            spawn("talk", s)?;
            reap(false)?;
        }
    })?;
    play.clients(port, Mode::Both)
}

/// The client's end goes to a program by vfork().
pub fn vfork_client(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-single", move |me| serve(me, &listener, Call::Accept4, Mode::Both))?;
    let client = play.client("nb-connector", |me| {
        for number in 0..play.count {
            if !play.has_time() {
                break;
            }
            spawn("client", connect(me, remote(1, number, port))?)?;
            reap(true)?;
        }
        Ok(())
    })?;
    wait(client)
}

/// std takes posix_spawn() where nothing has to be done between fork and exec.
fn spawn(work: &str, socket: Socket) -> Result<()> {
    // SAFETY: the descriptor is ours and used no more.
    let file = unsafe { File::from_raw_fd(socket.fd) };
    program(work, Mode::Both).env(WAS, "").stdin(file).spawn().context("posix_spawn")?;
    Ok(())
}
