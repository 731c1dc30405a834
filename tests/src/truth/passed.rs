//! A descriptor goes to another process over a UNIX socket.

use std::mem::{size_of, zeroed};

use anyhow::{Context, Result, ensure};

use super::log::{Socket, What, now};
use super::play::{
    Gate, Mode, Play, accept, connect, peek, remote, serve, talk, talk_as_client, wait,
};
use crate::step::Call;

/// Two ends of a UNIX socket.
fn pair() -> Result<[i32; 2]> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors.
    let done = unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr())
    };
    ensure!(done == 0, "socketpair");
    Ok(ends)
}

/// Room for one descriptor, aligned as the kernel wants it.
#[repr(align(8))]
struct Control([u8; 64]);

fn give(to: i32, fd: i32) -> Result<()> {
    let mut byte = [0_u8];
    let mut control = Control([0; 64]);
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: the message points to the three above, which outlive the call, and
    // the control buffer has room for one descriptor.
    let done = unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(size_of::<i32>() as u32) as _;
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(size_of::<i32>() as u32) as _;
        libc::CMSG_DATA(head).cast::<i32>().write_unaligned(fd);
        libc::sendmsg(to, &raw const message, 0)
    };
    if done != 1 {
        return Err(std::io::Error::last_os_error()).context("sendmsg(SCM_RIGHTS)");
    }
    Ok(())
}

fn take(from: i32) -> Result<i32> {
    let mut byte = [0_u8];
    let mut control = Control([0; 64]);
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: as above; the kernel writes at most the given lengths.
    unsafe {
        let mut message: libc::msghdr = zeroed();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        if libc::recvmsg(from, &raw mut message, libc::MSG_CMSG_CLOEXEC) != 1 {
            return Err(std::io::Error::last_os_error()).context("recvmsg(SCM_RIGHTS)");
        }
        let head = libc::CMSG_FIRSTHDR(&raw const message);
        ensure!(!head.is_null() && (*head).cmsg_type == libc::SCM_RIGHTS, "no descriptor came");
        Ok(libc::CMSG_DATA(head).cast::<i32>().read_unaligned())
    }
}

/// One process accepts, perhaps looks, and passes on; the other uses.
fn accepted(play: &mut Play, mode: Mode, looks: bool) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    let [from, to] = pair()?;
    play.server("nb-passer", move |me| {
        loop {
            let s = accept(me, &listener, Call::Accept4)?;
            if looks {
                peek(me, &s)?;
            }
            give(to, s.fd)?;
            s.close()?;
        }
    })?;
    play.server("nb-user", move |me| {
        loop {
            let s = Socket::of(take(from)?)?;
            me.note(What::Hold, &s, now())?;
            talk(me, &s, mode)?;
        }
    })?;
    play.clients(port, mode)
}

pub fn both(play: &mut Play) -> Result<()> {
    accepted(play, Mode::Both, false)
}

pub fn read_only(play: &mut Play) -> Result<()> {
    accepted(play, Mode::ReadOnly, false)
}

pub fn write_only(play: &mut Play) -> Result<()> {
    accepted(play, Mode::WriteOnly, false)
}

pub fn unused(play: &mut Play) -> Result<()> {
    accepted(play, Mode::Unused, false)
}

/// The acceptor is the first to read, but not the last.
pub fn after_a_look(play: &mut Play) -> Result<()> {
    accepted(play, Mode::Both, true)
}

/// One process connects, another uses.
pub fn connected(play: &mut Play) -> Result<()> {
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-single", move |me| serve(me, &listener, Call::Accept4, Mode::Both))?;
    let [from, to] = pair()?;
    let used = Gate::new()?;
    play.server("nb-user", move |me| {
        loop {
            let c = Socket::of(take(from)?)?;
            me.note(What::Hold, &c, now())?;
            talk_as_client(me, &c, Mode::Both)?;
            used.open()?;
        }
    })?;
    let broker = play.client("nb-broker", |me| {
        let mut made = 0;
        for number in 0..play.count {
            if !play.has_time() {
                break;
            }
            let c = connect(me, remote(1, number, port))?;
            give(to, c.fd)?;
            c.close()?;
            made += 1;
        }
        // The user may still have some in its queue.
        (0..made).try_for_each(|_| used.pass())
    })?;
    wait(broker)
}
