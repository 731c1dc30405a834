//! Processes that end, and whose pid comes again.

use std::io::Error;
use std::mem::{size_of, zeroed};

use anyhow::{Context, Result, bail, ensure};

use super::log::{Me, Socket};
use super::play::{
    Gate, Mode, Play, SKIP, accept, be_child, connect, fork_here, hear_all, listen, remote, say,
    serve, talk, talk_as_client, tell, wait,
};
use crate::step::Call;

/// Each client ends with its socket open; the rest of the socket's life is without it.
pub fn exits_first(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    for number in 0..play.count {
        if !play.has_time() {
            break;
        }
        wait(play.client("nb-short", move |me| tell(me, &connect(me, remote(1, number, port))?))?)?;
        drained(&play.me, &listener)?;
    }
    Ok(())
}

fn drained(me: &Me, listener: &Socket) -> Result<()> {
    let s = accept(me, listener, Call::Accept4)?;
    hear_all(me, &s)?;
    s.close()
}

/// Two clients after each other have the same pid, and the second is there while the
/// first one's socket still has states to go through.
pub fn pid_reused(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    for number in 0..play.count / 2 {
        if !play.has_time() {
            break;
        }
        let first =
            play.client("nb-first", move |me| tell(me, &connect(me, remote(1, number, port))?))?;
        wait(first)?;
        let gate = Gate::new()?;
        let second = fork_as(first, "nb-second", move |me| {
            let c = connect(me, remote(2, number, port))?;
            tell(me, &c)?;
            gate.pass()
        });
        let second = match second {
            Ok(second) => second,
            Err(error) => {
                return match error.raw_os_error() {
                    Some(libc::EPERM | libc::ENOSYS) if number == 0 => {
                        say(&format!("{SKIP}clone3() with a pid: {error}"))
                    }
                    _ => Err(error).context("clone3 with a pid"),
                };
            }
        };
        drained(&play.me, &listener)?;
        gate.open()?;
        wait(second)?;
        drained(&play.me, &listener)?;
        gate.close();
    }
    Ok(())
}

/// fork() with the pid of a process that is gone. Unlike ns_last_pid it touches no
/// other process's pid, so it can be done in the tracer's own pid namespace, where
/// alone the tracer could mistake one for the other.
fn fork_as(
    pid: i32,
    name: &str,
    work: impl FnOnce(&Me) -> Result<()>,
) -> std::result::Result<i32, Error> {
    // SAFETY: all zeroes is a valid clone_args: a plain fork.
    let mut args: libc::clone_args = unsafe { zeroed() };
    args.exit_signal = libc::SIGCHLD as u64;
    args.set_tid = (&raw const pid) as u64;
    args.set_tid_size = 1;
    for _ in 0..100 {
        // SAFETY: `args` outlives the call; no memory is shared and the process has
        // one thread, so this is a fork.
        let done = unsafe {
            libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>())
        };
        match done {
            0 => be_child(name, None, work),
            -1 => {
                let error = Error::last_os_error();
                if error.raw_os_error() != Some(libc::EEXIST) {
                    return Err(error);
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            child => return Ok(child as i32),
        }
    }
    Err(Error::from_raw_os_error(libc::EEXIST))
}

/// Acceptor and users have other pids in their own namespace than in the tracer's.
pub fn pid_namespace(play: &mut Play) -> Result<()> {
    const PORT: u16 = 7009;
    play.trace()?;
    let gate = Gate::new()?;
    play.server("nb-outer", move |_| {
        // SAFETY: takes no pointers.
        if unsafe { libc::unshare(libc::CLONE_NEWPID) } != 0 {
            bail!("unshare(CLONE_NEWPID): {}", Error::last_os_error());
        }
        wait(fork_here("nb-init", |me| {
            let (listener, _) = listen(me, PORT, false)?;
            fork_here("nb-inner", |me| serve(me, &listener, Call::Accept4, Mode::Both))?;
            gate.open()?;
            loop {
                let s = accept(me, &listener, Call::Accept4)?;
                wait(fork_here("nb-inner-child", |child| talk(child, &s, Mode::Both))?)?;
                s.close()?;
            }
        })?)
    })?;
    gate.pass()?;
    // The clients too.
    let client = play.client("nb-client-outer", |_| {
        // SAFETY: takes no pointers.
        ensure!(unsafe { libc::unshare(libc::CLONE_NEWPID) } == 0, "unshare(CLONE_NEWPID)");
        wait(fork_here("nb-client", |me| {
            for number in 0..play.count {
                if !play.has_time() {
                    break;
                }
                let c = connect(me, remote(1, number, PORT))?;
                talk_as_client(me, &c, Mode::Both)?;
            }
            Ok(())
        })?)
    })?;
    wait(client)
}
