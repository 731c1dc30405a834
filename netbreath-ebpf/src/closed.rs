//! How connections end: who closed first and how, why a connect() failed, and what a
//! connection had done until then.
//!
//! All of it is read at transitions, which the kernel makes while the socket still has
//! everything: its error is set before it goes to CLOSE, its counters stay until it is
//! freed.

use netbreath_common::config::emit as kinds;
use netbreath_common::hook::Hook;
use netbreath_common::offset::ABSENT;
use netbreath_common::record::{Cause, Closed, ConnectFailed, Kind, STATES};
use netbreath_common::tcp::TcpState;

use crate::kernel::{Kernel, Untyped};
use crate::slot::{Ended, Slot};
use crate::sock::Sock;
use crate::task::Current;
use crate::{config, emit, task, word};

const CLOSE: i32 = TcpState::Close as i32;

// errno, include/uapi/asm-generic/errno.h.
const EPIPE: u32 = 32;
const EADDRNOTAVAIL: u32 = 99;
const ECONNABORTED: u32 = 103;
const ECONNRESET: u32 = 104;
const ETIMEDOUT: u32 = 110;
const ECONNREFUSED: u32 = 111;

/// Clears what `note` has noted.
#[inline(always)]
pub fn forget(slot: &mut Slot) {
    if !config::emits(kinds::CLOSED) {
        return;
    }
    slot.ended.cause = Cause::Unknown as u8;
    slot.ended.pid = 0;
    for time in &mut slot.states {
        *time = 0;
    }
}

/// Notes the time that a socket has spent in its old state, and what ended it if this
/// transition is the first towards the end.
#[inline(always)]
pub fn note<K: Sock + Current>(sk: K, slot: &mut Slot, old: i32, new: i32, in_state: u64) {
    const FIN_WAIT1: i32 = TcpState::FinWait1 as i32;
    const CLOSE_WAIT: i32 = TcpState::CloseWait as i32;
    if !config::emits(kinds::CLOSED) {
        return;
    }
    if let Some(time) = slot.states.get_mut(old as usize & 0xf) {
        *time += in_state;
    }
    if slot.ended.cause != Cause::Unknown as u8 {
        return;
    }
    let cause = match new {
        FIN_WAIT1 => closing(sk),
        CLOSE_WAIT => Cause::PeerFin,
        CLOSE => aborting(sk),
        _ => return,
    };
    slot.ended.cause = cause as u8;
    if is_local(cause) {
        let closer = task::owner::<K>(netbreath_common::record::How::Unknown);
        let Ended { pid, start, comm, .. } = &mut slot.ended;
        *pid = closer.pid;
        *start = closer.start;
        *comm = closer.comm;
    }
}

/// Whether the process itself ended the connection, in its system call.
const fn is_local(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Close
            | Cause::Shutdown
            | Cause::Exit
            | Cause::Linger
            | Cause::Unread
            | Cause::Unaccepted
            | Cause::Disconnect
    )
}

/// Why this side sends its FIN. Always in a system call of the process.
#[inline(always)]
fn closing<K: Sock + Current>(sk: K) -> Cause {
    if task::is_exiting::<K>() {
        Cause::Exit
    } else if is_released(sk) == Some(true) {
        Cause::Close
    } else {
        Cause::Shutdown
    }
}

/// Why a connection ends without a FIN from either side.
#[inline(always)]
fn aborting<K: Sock + Current>(sk: K) -> Cause {
    const SOCK_LINGER: u64 = 1 << 4;
    match error(sk) {
        0 => {}
        ECONNRESET | EPIPE | ECONNREFUSED => return Cause::PeerReset,
        ETIMEDOUT => return Cause::Timeout,
        ECONNABORTED => return Cause::Killed,
        _ => return Cause::Error,
    }
    match is_released(sk) {
        None => Cause::Unaccepted,
        Some(false) => Cause::Disconnect,
        Some(true) => {
            let flags: u64 = sk.read(config::SOCK_FLAGS());
            // An int or a long; in both, the low half is 0 only if it is.
            let time: u32 = sk.read(config::SOCK_LINGER_TIME());
            if flags & SOCK_LINGER != 0 && time == 0 { Cause::Linger } else { Cause::Unread }
        }
    }
}

/// Whether nobody has a descriptor of the socket any more; nothing if nobody ever had.
#[inline(always)]
fn is_released<K: Kernel>(sk: K) -> Option<bool> {
    let sk = Untyped::new(sk.ptr());
    let socket = sk.follow(config::SOCK_SOCKET()).filter(|socket| socket.addr() != 0)?;
    let file = socket.follow(config::SOCKET_FILE()).filter(|file| file.addr() != 0)?;
    // Since 6.13 the count of references is one less than there are, so a file that is
    // going has a negative one; before, it has 0.
    if config::FILE_REF() == ABSENT {
        Some(file.load::<i64>(config::FILE_COUNT())? == 0)
    } else {
        Some(file.load::<i64>(config::FILE_REF())? < 0)
    }
}

/// The socket's error, an `errno`; 0 if none.
#[inline(always)]
fn error<K: Kernel>(sk: K) -> u32 {
    sk.read(config::SOCK_ERR())
}

/// Tells of a connection that is over, or of one that never came about.
#[inline(always)]
pub fn send<K: Sock + Current>(sk: K, slot: &Slot, old: i32, at: u64) {
    const SYN_SENT: i32 = TcpState::SynSent as i32;
    const LISTEN: i32 = TcpState::Listen as i32;
    if old == LISTEN {
        return;
    }
    // A simultaneous open can fail in SYN_RECV; a socket that is older than netbreath was
    // established once, if it is not in one of the first states.
    let opened = slot.established != 0 || (slot.socket.born == 0 && old != SYN_SENT);
    if opened {
        closed(sk, slot, at);
    } else {
        connect_failed(sk, slot, at);
    }
}

#[inline(always)]
fn connect_failed<K: Sock>(sk: K, slot: &Slot, at: u64) {
    if !config::emits(kinds::CONNECT_FAILED) {
        return;
    }
    let mut errno = error(sk);
    // The kernel sets no error where connect() itself returns one: no port is left.
    if errno == 0 && slot.socket.flow.sport == 0 {
        errno = EADDRNOTAVAIL;
    }
    let again: u32 = sk.tcp().map_or(0, |tcp| tcp.read(config::TCP_TOTAL_RETRANS()));
    let syns = if errno == EADDRNOTAVAIL { 0 } else { again + 1 };
    let tried = if slot.begun == 0 { 0 } else { at.saturating_sub(slot.begun) };
    emit::record::<ConnectFailed>(Hook::SockState, Kind::ConnectFailed, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).tried).write(tried);
            (&raw mut (*record).errno).write(errno);
            (&raw mut (*record).syns).write(syns);
        }
    });
}

#[inline(always)]
fn closed<K: Sock>(sk: K, slot: &Slot, at: u64) {
    if !config::emits(kinds::CLOSED) {
        return;
    }
    let errno = error(sk);
    let since = |begin: u64, end: u64| if begin == 0 { 0 } else { end.saturating_sub(begin) };
    emit::record::<Closed>(Hook::SockState, Kind::Closed, at, |record| {
        let record = record.as_mut_ptr();
        unsafe {
            word::copy(&raw const slot.socket, &raw mut (*record).socket);
            (&raw mut (*record).lasted).write(since(slot.begun, at));
            (&raw mut (*record).connecting).write(since(slot.begun, slot.established));
            (&raw mut (*record).errno).write(errno);
            (&raw mut (*record).closer).write(slot.ended.pid);
            (&raw mut (*record).closer_start).write(slot.ended.start);
            (&raw mut (*record).closer_comm).write(slot.ended.comm);
            (&raw mut (*record).cause).write(slot.ended.cause);
            (&raw mut (*record).zero).write([0; 3]);
            for i in 0..STATES {
                (&raw mut (*record).states[i]).write(slot.states[i]);
            }
        }
        counters(sk, record);
    });
}

/// Writes what the socket has counted.
#[inline(always)]
fn counters<K: Sock>(sk: K, record: *mut Closed) {
    const SOCK_DONE: u64 = 1 << 1;
    let tcp = sk.tcp();
    let number = |offset| tcp.map_or(0, |tcp| tcp.read::<u32>(offset));
    let long = |offset| tcp.map_or(0, |tcp| tcp.read::<u64>(offset));
    let sent = long(config::TCP_BYTES_SENT()) - long(config::TCP_BYTES_RETRANS());
    // The kernel counts the peer's FIN as a byte.
    let flags: u64 = sk.read(config::SOCK_FLAGS());
    let fin = u64::from(flags & SOCK_DONE != 0);
    let received = long(config::TCP_BYTES_RECEIVED()).saturating_sub(fin);
    unsafe {
        (&raw mut (*record).bytes_sent).write(sent);
        (&raw mut (*record).bytes_received).write(received);
        (&raw mut (*record).segs_out).write(number(config::TCP_SEGS_OUT()));
        (&raw mut (*record).segs_in).write(number(config::TCP_SEGS_IN()));
        (&raw mut (*record).retransmits).write(number(config::TCP_TOTAL_RETRANS()));
        // Kept in eighths.
        (&raw mut (*record).srtt).write(number(config::TCP_SRTT()) >> 3);
        (&raw mut (*record).counted).write(tcp.is_some().into());
    }
}
