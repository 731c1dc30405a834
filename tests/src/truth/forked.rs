//! The acceptor forks; the child has the socket without a call of its own.

use anyhow::Result;

use super::log::{Me, Socket, What, now};
use super::play::{Mode, Play, accept, fork_here, hear, reap, talk, tell, wait};
use crate::step::Call;

/// One child for each connection, which uses it in this way. The parent closes its
/// copy.
fn each(play: &mut Play, mode: Mode) -> Result<()> {
    parent(play, mode, move |_, s| {
        fork_here("nb-forked", |child| {
            child.note(What::Hold, &s, now())?;
            talk(child, &s, mode)
        })?;
        s.close()?;
        reap(false)
    })
}

fn parent(
    play: &mut Play,
    mode: Mode,
    mut each: impl FnMut(&Me, Socket) -> Result<()>,
) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-forking", move |me| {
        loop {
            let s = accept(me, &listener, Call::Accept4)?;
            each(me, s)?;
        }
    })?;
    play.clients(port, mode)
}

pub fn per_connection(play: &mut Play) -> Result<()> {
    each(play, Mode::Both)
}

pub fn read_only(play: &mut Play) -> Result<()> {
    each(play, Mode::ReadOnly)
}

pub fn write_only(play: &mut Play) -> Result<()> {
    each(play, Mode::WriteOnly)
}

pub fn unused(play: &mut Play) -> Result<()> {
    each(play, Mode::Unused)
}

/// A child holds the socket too, closes its copy and ends; the parent goes on.
pub fn closed_by_one(play: &mut Play) -> Result<()> {
    parent(play, Mode::Both, |me, s| {
        wait(fork_here("nb-holder", |child| {
            child.note(What::Hold, &s, now())?;
            s.close()
        })?)?;
        talk(me, &s, Mode::Both)
    })
}

/// The parent reads, the child writes, the parent writes again: two changes of hands.
pub fn in_turn(play: &mut Play) -> Result<()> {
    parent(play, Mode::Both, |me, s| {
        hear(me, &s)?;
        wait(fork_here("nb-turn", |child| {
            child.note(What::Hold, &s, now())?;
            tell(child, &s)
        })?)?;
        tell(me, &s)?;
        s.close()
    })
}

/// dup(), dup2() and close() of the first descriptors change no owner.
pub fn dup(play: &mut Play) -> Result<()> {
    parent(play, Mode::Both, |me, s| {
        hear(me, &s)?;
        // SAFETY: takes no pointers.
        let second = Socket { fd: unsafe { libc::dup(s.fd) }, ..s };
        s.close()?;
        tell(me, &second)?;
        // SAFETY: takes no pointers; 500 is free.
        let third = Socket { fd: unsafe { libc::dup2(second.fd, 500) }, ..s };
        second.close()?;
        tell(me, &third)?;
        third.close()
    })
}
