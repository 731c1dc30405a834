//! io_uring by its system calls: it accepts, connects, reads and writes without the
//! calls that a tracer would look at.

use std::net::SocketAddr;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

use super::log::{Me, Socket, What, now, sys};
use super::play::{Mode, Play, SKIP, TEXT, hear_all, remote, say, serve, talk, text, wait};
use crate::socket;
use crate::step::{Call, Family, Proto};

const ACCEPT: u8 = 13;
const CONNECT: u8 = 16;
const CLOSE: u8 = 19;
const SEND: u8 = 26;
const RECV: u8 = 27;
const SOCKET: u8 = 45;

const FIXED_FILE: u8 = 1;
const GETEVENTS: u32 = 1;
const REGISTER_FILES: u32 = 2;
const SQ_RING: i64 = 0;
const CQ_RING: i64 = 0x800_0000;
const SQES: i64 = 0x1000_0000;

#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    resv: [u32; 3],
    /// head, tail, mask, entries, flags, dropped, array, reserved, address (2).
    sq: [u32; 10],
    /// head, tail, mask, entries, overflow, cqes, flags, reserved, address (2).
    cq: [u32; 10],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Entry {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    buf_index: u16,
    personality: u16,
    file_index: u32,
    more: [u64; 2],
}

/// A ring with one request at a time.
struct Ring {
    fd: i32,
    params: Params,
    sq: *mut u8,
    cq: *mut u8,
    entries: *mut Entry,
}

impl Ring {
    fn new() -> std::io::Result<Ring> {
        let mut params = Params::default();
        // SAFETY: the kernel reads and writes one Params.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, &raw mut params) } as i32;
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let map = |offset: i64, len: usize| {
            // SAFETY: a new mapping of the ring, where the kernel chooses.
            let place = unsafe {
                let access = libc::PROT_READ | libc::PROT_WRITE;
                libc::mmap(null_mut(), len, access, libc::MAP_SHARED, fd, offset)
            };
            if place == libc::MAP_FAILED { Err(std::io::Error::last_os_error()) } else { Ok(place) }
        };
        let sq = map(SQ_RING, 4096)?.cast();
        let cq = map(CQ_RING, 4096)?.cast();
        Ok(Ring { fd, sq, cq, entries: map(SQES, 4096)?.cast(), params })
    }

    /// Slots for direct descriptors.
    fn slots(&self) -> Result<()> {
        let slots = [-1_i32; 4];
        // SAFETY: the kernel reads four numbers.
        let done = unsafe {
            let slots = slots.as_ptr();
            libc::syscall(libc::SYS_io_uring_register, self.fd, REGISTER_FILES, slots, 4)
        };
        ensure!(done == 0, "IORING_REGISTER_FILES: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Hands in a request and waits for its answer.
    fn ask(&mut self, what: &'static str, entry: Entry) -> Result<i32> {
        // SAFETY: the offsets are the kernel's own, within the mapped pages; it reads
        // the entry after the tail has moved and writes the answer before its tail
        // moves. What the entry points to outlives the answer.
        unsafe {
            let word = |ring: *mut u8, at: u32| &*ring.add(at as usize).cast::<AtomicU32>();
            let (sq, cq) = (&self.params.sq, &self.params.cq);
            let tail = word(self.sq, sq[1]);
            let at = tail.load(Ordering::Relaxed);
            let index = at & word(self.sq, sq[2]).load(Ordering::Relaxed);
            self.entries.add(index as usize).write(entry);
            word(self.sq, sq[6] + 4 * index).store(index, Ordering::Relaxed);
            tail.store(at.wrapping_add(1), Ordering::Release);
            let head = word(self.cq, cq[0]);
            let mut submit = 1;
            while word(self.cq, cq[1]).load(Ordering::Acquire) == head.load(Ordering::Relaxed) {
                let none: *mut libc::c_void = null_mut();
                let enter = libc::SYS_io_uring_enter;
                let done = libc::syscall(enter, self.fd, submit, 1, GETEVENTS, none, 0);
                ensure!(done >= 0, "io_uring_enter: {}", std::io::Error::last_os_error());
                submit = 0;
            }
            let at = head.load(Ordering::Relaxed);
            let index = at & word(self.cq, cq[2]).load(Ordering::Relaxed);
            // user_data (8 bytes), then the result.
            let answer = self.cq.add((cq[5] + 16 * index + 8) as usize).cast::<i32>().read();
            head.store(at.wrapping_add(1), Ordering::Release);
            ensure!(answer >= 0, "{what}: {}", std::io::Error::from_raw_os_error(-answer));
            Ok(answer)
        }
    }

    fn send(&mut self, me: &Me, socket: &Socket, flags: u8) -> Result<()> {
        let text = text(socket.remote);
        let (addr, len) = (text.as_ptr() as u64, TEXT as u32);
        let before = now();
        let entry = Entry { opcode: SEND, flags, fd: socket.fd, addr, len, ..Entry::default() };
        self.ask("IORING_OP_SEND", entry)?;
        me.note(What::Io, socket, before)
    }

    fn receive(&mut self, socket: &Socket, flags: u8) -> Result<([u8; TEXT], usize)> {
        let mut data = [0_u8; TEXT];
        let (addr, len) = (data.as_mut_ptr() as u64, TEXT as u32);
        let entry = Entry { opcode: RECV, flags, fd: socket.fd, addr, len, ..Entry::default() };
        let done = self.ask("IORING_OP_RECV", entry)?;
        Ok((data, done as usize))
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        let entry = Entry { opcode: CLOSE, file_index: slot + 1, ..Entry::default() };
        self.ask("IORING_OP_CLOSE", entry).map(drop)
    }
}

/// A ring, or the reason to skip the case.
fn allowed() -> Result<bool> {
    match Ring::new() {
        Ok(ring) => {
            socket::close(ring.fd).map_err(sys)?;
            Ok(true)
        }
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
            say(&format!("{SKIP}io_uring: {error}"))?;
            Ok(false)
        }
        Err(error) => Err(error).context("io_uring_setup"),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    /// With read() and write().
    Calls,
    /// Through the ring.
    Ring,
    Never,
}

fn accepting(play: &mut Play, how: Use) -> Result<()> {
    if !allowed()? {
        return Ok(());
    }
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-uring", move |me| {
        let mut ring = Ring::new().context("io_uring_setup")?;
        loop {
            let before = now();
            let entry = Entry { opcode: ACCEPT, fd: listener.fd, ..Entry::default() };
            let s = Socket::of(ring.ask("IORING_OP_ACCEPT", entry)?)?;
            me.note_from(What::RingAccept, &s, Some(listener.cookie), before)?;
            match how {
                Use::Calls => talk(me, &s, Mode::Both)?,
                Use::Never => s.close()?,
                Use::Ring => {
                    let before = now();
                    ring.receive(&s, 0)?;
                    me.note(What::Io, &s, before)?;
                    ring.send(me, &s, 0)?;
                    s.close()?;
                }
            }
        }
    })?;
    play.clients(port, if how == Use::Never { Mode::Unused } else { Mode::Both })
}

pub fn accept(play: &mut Play) -> Result<()> {
    accepting(play, Use::Ring)
}

pub fn accept_then_calls(play: &mut Play) -> Result<()> {
    accepting(play, Use::Calls)
}

pub fn accept_unused(play: &mut Play) -> Result<()> {
    accepting(play, Use::Never)
}

/// Accepted into a slot of the ring: no descriptor ever.
pub fn accept_direct(play: &mut Play) -> Result<()> {
    if !allowed()? {
        return Ok(());
    }
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-direct", move |me| {
        let mut ring = Ring::new().context("io_uring_setup")?;
        ring.slots()?;
        loop {
            let mut from = [0_u8; 16];
            let mut len = 16_u32;
            let begin = now();
            ring.ask(
                "IORING_OP_ACCEPT, direct",
                Entry {
                    opcode: ACCEPT,
                    fd: listener.fd,
                    addr: from.as_mut_ptr() as u64,
                    off: (&raw mut len) as u64,
                    file_index: 1,
                    ..Entry::default()
                },
            )?;
            let accepted = now();
            let remote = SocketAddr::from((
                [from[4], from[5], from[6], from[7]],
                u16::from_be_bytes([from[2], from[3]]),
            ));
            let mut s = Socket { fd: 0, cookie: 0, local: None, remote: Some(remote) };
            let before = now();
            let (text, _) = ring.receive(&s, FIXED_FILE)?;
            // The client says whom it has called: the only way to know.
            s.local = Some(std::str::from_utf8(&text)?.trim().parse()?);
            let after = now();
            me.note_between(What::RingAccept, &s, Some(listener.cookie), begin, accepted)?;
            me.note_between(What::Io, &s, None, before, after)?;
            ring.send(me, &s, FIXED_FILE)?;
            ring.close(0)?;
        }
    })?;
    play.clients(port, Mode::Both)
}

fn connecting(play: &mut Play, direct: bool) -> Result<()> {
    if !allowed()? {
        return Ok(());
    }
    play.trace()?;
    let (listener, port) = play.listen()?;
    play.server("nb-single", move |me| serve(me, &listener, Call::Accept4, Mode::Both))?;
    let client = play.client("nb-uring-client", |me| {
        let mut ring = Ring::new().context("io_uring_setup")?;
        ring.slots()?;
        for number in 0..play.count {
            if !play.has_time() {
                break;
            }
            connected(me, &mut ring, remote(1, number, port), direct)?;
        }
        Ok(())
    })?;
    wait(client)
}

fn connected(me: &Me, ring: &mut Ring, to: SocketAddr, direct: bool) -> Result<()> {
    let SocketAddr::V4(v4) = to else { return Ok(()) };
    let mut name = [0_u8; 16];
    name[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
    name[2..4].copy_from_slice(&v4.port().to_be_bytes());
    name[4..8].copy_from_slice(&v4.ip().octets());
    let (fd, flags) = if direct {
        let entry = Entry {
            opcode: SOCKET,
            fd: libc::AF_INET,
            off: libc::SOCK_STREAM as u64,
            file_index: 1,
            ..Entry::default()
        };
        ring.ask("IORING_OP_SOCKET, direct", entry)?;
        (0, FIXED_FILE)
    } else {
        (socket::open(Family::V4, Proto::Tcp).map_err(sys)?, 0)
    };
    let before = now();
    let (addr, off) = (name.as_ptr() as u64, 16);
    ring.ask(
        "IORING_OP_CONNECT",
        Entry { opcode: CONNECT, flags, fd, addr, off, ..Entry::default() },
    )?;
    let c = if direct {
        Socket { fd, cookie: 0, local: None, remote: Some(to) }
    } else {
        Socket::of(fd)?
    };
    me.note(What::Connect, &c, before)?;
    ring.send(me, &c, flags)?;
    if direct {
        loop {
            let before = now();
            let (_, len) = ring.receive(&c, flags)?;
            me.note(What::Io, &c, before)?;
            if len == 0 {
                return ring.close(0);
            }
        }
    }
    hear_all(me, &c)?;
    c.close()
}

pub fn connect(play: &mut Play) -> Result<()> {
    connecting(play, false)
}

pub fn connect_direct(play: &mut Play) -> Result<()> {
    connecting(play, true)
}
