//! What began before the tracer: a blocked accept, a socket that existed.

use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::log::{What, now};
use super::play::{
    Gate, Mode, Play, accept, connect, fork_here, hear, remote, settle, talk, talk_as_client, tell,
    wait,
};
use crate::step::Call;

const PROCESSES: usize = 4;

/// A thread for each connection waits in accept() before the tracer starts.
pub fn blocked(play: &mut Play) -> Result<()> {
    let (listener, port) = play.listen()?;
    for number in 0..PROCESSES {
        let each = play.count.div_ceil(PROCESSES);
        play.server(&format!("nb-blocked-{number}"), move |me| {
            me.note(What::Hold, &listener, now())?;
            let me = Arc::new(me.clone());
            let work = |_| {
                let me = Arc::clone(&me);
                let thread = std::thread::Builder::new().stack_size(256 << 10);
                thread.spawn(move || talk(&me, &accept(&me, &listener, Call::Accept4)?, Mode::Both))
            };
            let threads = (0..each).map(work).collect::<Result<Vec<_>, _>>()?;
            for thread in threads {
                thread.join().map_err(|_| anyhow!("a thread panicked"))??;
            }
            Ok(())
        })?;
    }
    settle()?;
    play.trace()?;
    play.clients(port, Mode::Both)
}

/// Connections are established, then the tracer starts, then they are used.
pub fn existing(play: &mut Play) -> Result<()> {
    played(play, Mode::Both, false)
}

pub fn existing_unused(play: &mut Play) -> Result<()> {
    played(play, Mode::Unused, false)
}

/// Two processes hold the server's end when the tracer starts, and both use it.
pub fn existing_shared(play: &mut Play) -> Result<()> {
    played(play, Mode::Both, true)
}

fn played(play: &mut Play, mode: Mode, shared: bool) -> Result<()> {
    let (listener, port) = play.listen()?;
    let (made, go) = (Gate::new()?, Gate::new()?);
    let (count, called) = (play.count, Gate::new()?);
    play.server("nb-existing", move |me| {
        let mut sockets = Vec::new();
        for _ in 0..count {
            sockets.push(accept(me, &listener, Call::Accept4)?);
        }
        let child = if shared {
            let child = fork_here("nb-sharer", |child| {
                for s in &sockets {
                    child.note(What::Hold, s, now())?;
                }
                made.open()?;
                called.pass()?;
                for s in &sockets {
                    hear(child, s)?;
                    s.close()?;
                }
                Ok(())
            })?;
            Some(child)
        } else {
            made.open()?;
            None
        };
        go.pass()?;
        if let Some(child) = child {
            called.open()?;
            wait(child)?;
            for s in &sockets {
                tell(me, s)?;
                s.close()?;
            }
        } else {
            for s in &sockets {
                talk(me, s, mode)?;
            }
        }
        Ok(())
    })?;
    let client = play.client("nb-client", move |me| {
        let mut sockets = Vec::new();
        for number in 0..count {
            sockets.push(connect(me, remote(1, number, port))?);
        }
        made.open()?;
        go.pass()?;
        if shared {
            // The one that hears them answers none.
            for c in &sockets {
                tell(me, c)?;
            }
            for c in &sockets {
                talk_as_client(me, c, Mode::WriteOnly)?;
            }
        } else {
            for c in &sockets {
                talk_as_client(me, c, mode)?;
            }
        }
        Ok(())
    })?;
    made.pass()?;
    made.pass()?;
    play.trace()?;
    go.open()?;
    go.open()?;
    wait(client)?;
    settle()
}
