//! The system calls of an actor, one function each. By hand, because a scenario is
//! about which call was made: std hides whether it is accept() or accept4(), and
//! knows neither cookies nor MPTCP.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::ptr::null_mut;

use crate::step::{Call, Family, Proto, UnixKind};

/// A call that failed, and what the kernel answered.
#[derive(Debug)]
pub struct Failed {
    pub call: &'static str,
    pub errno: i32,
}

type Result<T> = std::result::Result<T, Failed>;

fn answer(call: &'static str, value: libc::c_int) -> Result<libc::c_int> {
    if value < 0 { Err(last(call)) } else { Ok(value) }
}

fn last(call: &'static str) -> Failed {
    Failed { call, errno: io::Error::last_os_error().raw_os_error().unwrap_or(0) }
}

pub fn open(family: Family, proto: Proto) -> Result<i32> {
    let domain = match family {
        Family::V4 => libc::AF_INET,
        Family::V6 => libc::AF_INET6,
    };
    let (kind, proto) = match proto {
        Proto::Tcp => (libc::SOCK_STREAM, libc::IPPROTO_TCP),
        Proto::Mptcp => (libc::SOCK_STREAM, libc::IPPROTO_MPTCP),
        Proto::Sctp => (libc::SOCK_STREAM, libc::IPPROTO_SCTP),
        Proto::Dccp => (libc::SOCK_DCCP, libc::IPPROTO_DCCP),
        Proto::Udp => (libc::SOCK_DGRAM, libc::IPPROTO_UDP),
    };
    // SAFETY: takes no pointers.
    answer("socket", unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, proto) })
}

pub fn open_unix(kind: UnixKind) -> Result<i32> {
    let kind = unix_kind(kind);
    // SAFETY: takes no pointers.
    answer("socket", unsafe { libc::socket(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0) })
}

pub fn pair_unix(kind: UnixKind) -> Result<[i32; 2]> {
    let mut ends = [0; 2];
    let kind = unix_kind(kind) | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two descriptors.
    let done = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) };
    answer("socketpair", done).map(|_| ends)
}

const fn unix_kind(kind: UnixKind) -> libc::c_int {
    match kind {
        UnixKind::Stream => libc::SOCK_STREAM,
        UnixKind::Dgram => libc::SOCK_DGRAM,
        UnixKind::Seqpacket => libc::SOCK_SEQPACKET,
    }
}

pub fn bind_unix(fd: i32, name: &str) -> Result<()> {
    let (addr, len) = unix_address(name);
    // SAFETY: `addr` holds an address of `len` bytes.
    answer("bind", unsafe { libc::bind(fd, (&raw const addr).cast(), len) }).map(drop)
}

pub fn connect_unix(fd: i32, name: &str) -> Result<()> {
    let (addr, len) = unix_address(name);
    // SAFETY: `addr` holds an address of `len` bytes.
    answer("connect", unsafe { libc::connect(fd, (&raw const addr).cast(), len) }).map(drop)
}

fn unix_address(name: &str) -> (libc::sockaddr_un, libc::socklen_t) {
    // SAFETY: all zeroes is a valid address.
    let mut addr: libc::sockaddr_un = unsafe { zeroed() };
    addr.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (place, byte) in addr.sun_path.iter_mut().zip(name.bytes()) {
        *place = byte as libc::c_char;
    }
    let len = std::mem::offset_of!(libc::sockaddr_un, sun_path) + name.len();
    (addr, len as libc::socklen_t)
}

/// Sends one datagram, or a part of one that is to become longer.
pub fn send_to(fd: i32, to: Option<SocketAddr>, data: &[u8], more: bool) -> Result<()> {
    let flags = libc::MSG_NOSIGNAL | if more { libc::MSG_MORE } else { 0 };
    let addr = to.map(to_kernel);
    let (place, len) = match &addr {
        Some((storage, len)) => (std::ptr::from_ref(storage).cast(), *len),
        None => (std::ptr::null(), 0),
    };
    // SAFETY: the data and the address, if there is one, are as long as is said.
    let done = unsafe { libc::sendto(fd, data.as_ptr().cast(), data.len(), flags, place, len) };
    match usize::try_from(done) {
        Ok(done) if done == data.len() => Ok(()),
        Ok(_) => Err(Failed { call: "sendto (a part was sent)", errno: 0 }),
        Err(_) => Err(last("sendto")),
    }
}

/// Reads one datagram, or looks at it, and with `named` its sender's address.
pub fn receive_from(fd: i32, named: bool, peek: bool) -> Result<(Vec<u8>, Option<SocketAddr>)> {
    let mut data = vec![0; 65536];
    // SAFETY: all zeroes is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let flags = if peek { libc::MSG_PEEK } else { 0 };
    readable(fd)?;
    // SAFETY: the kernel writes no more than there is room for; nothing to null.
    let done = unsafe {
        if named {
            let addr = (&raw mut storage).cast();
            libc::recvfrom(fd, data.as_mut_ptr().cast(), data.len(), flags, addr, &raw mut len)
        } else {
            libc::recv(fd, data.as_mut_ptr().cast(), data.len(), flags)
        }
    };
    data.truncate(usize::try_from(done).map_err(|_| last("recvfrom"))?);
    let from = if named { Some(from_kernel(&storage)?) } else { None };
    Ok((data, from))
}

/// Inode number of the socket.
pub fn inode(fd: i32) -> Result<u64> {
    // SAFETY: all zeroes is a valid stat, which the kernel fills.
    let mut stat: libc::stat = unsafe { zeroed() };
    // SAFETY: as above.
    answer("fstat", unsafe { libc::fstat(fd, &raw mut stat) })?;
    Ok(stat.st_ino)
}

pub fn cookie(fd: i32) -> Result<u64> {
    option(fd, libc::SOL_SOCKET, libc::SO_COOKIE)
}

/// The kernel's name for the family of this very socket, not of its addresses.
pub fn family(fd: i32) -> Result<u8> {
    let domain: libc::c_int = option(fd, libc::SOL_SOCKET, libc::SO_DOMAIN)?;
    Ok(if domain == libc::AF_INET6 { 6 } else { 4 })
}

pub fn proto(fd: i32) -> Result<&'static str> {
    let proto: libc::c_int = option(fd, libc::SOL_SOCKET, libc::SO_PROTOCOL)?;
    Ok(match proto {
        libc::IPPROTO_TCP => "tcp",
        libc::IPPROTO_MPTCP => "mptcp",
        libc::IPPROTO_SCTP => "sctp",
        libc::IPPROTO_DCCP => "dccp",
        libc::IPPROTO_UDP => "udp",
        _ => "?",
    })
}

fn option<T: Copy + Default>(fd: i32, level: i32, name: i32) -> Result<T> {
    let mut value = T::default();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `value`, a plain number.
    let done = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) };
    answer("getsockopt", done).map(|_| value)
}

pub fn set_option<T>(fd: i32, level: i32, name: i32, value: &T) -> Result<()> {
    // SAFETY: the kernel reads the bytes of `value`.
    let done = unsafe {
        let len = size_of::<T>() as libc::socklen_t;
        libc::setsockopt(fd, level, name, std::ptr::from_ref(value).cast(), len)
    };
    answer("setsockopt", done).map(drop)
}

pub fn bind(fd: i32, at: SocketAddr) -> Result<()> {
    // A port in TIME_WAIT must not fail a scenario that asks for it again.
    set_option(fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, &1_i32)?;
    let (storage, len) = to_kernel(at);
    // SAFETY: `storage` holds an address of `len` bytes.
    answer("bind", unsafe { libc::bind(fd, (&raw const storage).cast(), len) }).map(drop)
}

pub fn listen(fd: i32, backlog: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    answer("listen", unsafe { libc::listen(fd, backlog) }).map(drop)
}

pub fn connect(fd: i32, to: SocketAddr, wait: bool) -> Result<()> {
    if !wait {
        // SAFETY: takes no pointers.
        answer("fcntl", unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) })?;
    }
    let (storage, len) = to_kernel(to);
    // SAFETY: `storage` holds an address of `len` bytes.
    answer("connect", unsafe { libc::connect(fd, (&raw const storage).cast(), len) }).map(drop)
}

pub fn accept(fd: i32, call: Call) -> Result<i32> {
    // SAFETY: all zeroes is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    let addr: *mut libc::sockaddr = (&raw mut storage).cast();
    // SAFETY: the kernel writes at most `len` bytes to `addr`, or nothing to null.
    match call {
        Call::Accept => answer("accept", unsafe { libc::accept(fd, addr, &raw mut len) }),
        Call::AcceptNull => answer("accept", unsafe { libc::accept(fd, null_mut(), null_mut()) }),
        Call::Accept4 => {
            answer("accept4", unsafe { libc::accept4(fd, addr, &raw mut len, libc::SOCK_CLOEXEC) })
        }
        Call::Accept4Null => answer("accept4", unsafe {
            libc::accept4(fd, null_mut(), null_mut(), libc::SOCK_CLOEXEC)
        }),
    }
}

pub fn send(fd: i32, bytes: usize) -> Result<()> {
    let data = vec![b'.'; bytes];
    let mut sent = 0;
    while sent < bytes {
        // SAFETY: the range lies within `data`.
        let done = unsafe {
            libc::send(fd, data[sent..].as_ptr().cast(), bytes - sent, libc::MSG_NOSIGNAL)
        };
        sent += usize::try_from(done).map_err(|_| last("send"))?;
    }
    Ok(())
}

pub fn receive(fd: i32, bytes: usize) -> Result<()> {
    let mut data = vec![0_u8; bytes];
    // SAFETY: the kernel writes at most `bytes` bytes into `data`.
    let done = unsafe { libc::recv(fd, data.as_mut_ptr().cast(), bytes, libc::MSG_WAITALL) };
    match usize::try_from(done) {
        Ok(done) if done == bytes => Ok(()),
        Ok(_) => Err(Failed { call: "recv (the stream ended early)", errno: 0 }),
        Err(_) => Err(last("recv")),
    }
}

/// Reads to the end; how many bytes that were, and the error if it ended in one.
pub fn drain(fd: i32) -> (usize, Option<i32>) {
    let mut data = [0_u8; 4096];
    let mut total = 0;
    loop {
        // SAFETY: the kernel writes at most `data.len()` bytes into `data`.
        let done = unsafe { libc::recv(fd, data.as_mut_ptr().cast(), data.len(), 0) };
        match usize::try_from(done) {
            Ok(0) => return (total, None),
            Ok(done) => total += done,
            Err(_) => return (total, Some(last("recv").errno)),
        }
    }
}

pub fn readable(fd: i32) -> Result<()> {
    ready(fd, libc::POLLIN)
}

/// A connect() that was started is over; the socket blocks from then on.
pub fn writable(fd: i32) -> Result<()> {
    ready(fd, libc::POLLOUT)?;
    // SAFETY: takes no pointers.
    answer("fcntl", unsafe { libc::fcntl(fd, libc::F_SETFL, 0) }).map(drop)
}

fn ready(fd: i32, events: libc::c_short) -> Result<()> {
    let mut poll = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one pollfd.
    match answer("poll", unsafe { libc::poll(&raw mut poll, 1, 5000) })? {
        0 => Err(Failed { call: "poll (nothing for 5 s)", errno: libc::ETIMEDOUT }),
        _ => Ok(()),
    }
}

pub fn shutdown_write(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    answer("shutdown", unsafe { libc::shutdown(fd, libc::SHUT_WR) }).map(drop)
}

pub fn close(fd: i32) -> Result<()> {
    // SAFETY: takes no pointers; the actor names only descriptors that it opened.
    answer("close", unsafe { libc::close(fd) }).map(drop)
}

pub fn abort(fd: i32) -> Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, &linger)?;
    close(fd)
}

pub fn deaf(fd: i32, on: bool) -> Result<()> {
    if !on {
        return set_option(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0_i32);
    }
    // "Keep 0 bytes" is how a filter says: drop the packet.
    let mut code =
        [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 }];
    let program = libc::sock_fprog { len: 1, filter: code.as_mut_ptr() };
    set_option(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

pub fn user_timeout(fd: i32, ms: u32) -> Result<()> {
    set_option(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, &ms)
}

/// A copy of another process's descriptor.
pub fn fetch(pid: u32, fd: i32) -> Result<i32> {
    let number = |value: libc::c_long| value as libc::c_int;
    // SAFETY: neither call takes pointers.
    let process =
        answer("pidfd_open", number(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }))?;
    // SAFETY: as above.
    let copy = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, fd, 0) };
    let copy = answer("pidfd_getfd", number(copy));
    close(process)?;
    copy
}

pub fn local(fd: i32) -> Result<SocketAddr> {
    // SAFETY: all zeroes is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `storage`.
    let done = unsafe { libc::getsockname(fd, (&raw mut storage).cast(), &raw mut len) };
    answer("getsockname", done)?;
    from_kernel(&storage)
}

/// The peer, or `None` where the socket has none any more.
pub fn remote(fd: i32) -> Option<SocketAddr> {
    // SAFETY: all zeroes is a valid sockaddr_storage.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let mut len = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes into `storage`.
    let done = unsafe { libc::getpeername(fd, (&raw mut storage).cast(), &raw mut len) };
    if done == 0 { from_kernel(&storage).ok() } else { None }
}

/// The only CPU that this process may run on.
pub fn pin(cpu: usize) -> Result<()> {
    // SAFETY: all zeroes is the empty set; the kernel reads the set.
    let done = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    answer("sched_setaffinity", done).map(drop)
}

/// The CPUs that this process may run on.
pub fn cpus() -> Result<Vec<usize>> {
    // SAFETY: all zeroes is the empty set; the kernel fills it.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    let done = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    answer("sched_getaffinity", done)?;
    // SAFETY: every index is below the size of the set.
    Ok((0..libc::CPU_SETSIZE as usize)
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

/// Name of the calling thread; of the process, if it is the first one.
pub fn name(name: &str) {
    let mut bytes = name.as_bytes().to_vec();
    bytes.truncate(15);
    bytes.push(0);
    // SAFETY: a string with its end.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
}

/// Ends the calling process when the thread that started it ends. Safe between
/// fork and exec.
pub fn end_with_parent() {
    // SAFETY: takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

pub fn tid() -> u32 {
    // SAFETY: takes no pointers.
    let tid = unsafe { libc::gettid() };
    tid.unsigned_abs()
}

pub fn uid() -> u32 {
    // SAFETY: takes no pointers.
    unsafe { libc::getuid() }
}

pub fn become_user(uid: u32) -> Result<()> {
    // SAFETY: takes no pointers.
    answer("setresuid", unsafe { libc::setresuid(uid, uid, uid) }).map(drop)
}

/// Wall-clock time, nanoseconds.
pub fn now() -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn to_kernel(addr: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeroes is a valid sockaddr_storage, which has room and alignment
    // for either kind of address.
    unsafe {
        let mut storage: libc::sockaddr_storage = zeroed();
        match addr {
            SocketAddr::V4(addr) => {
                let place: *mut libc::sockaddr_in = (&raw mut storage).cast();
                (*place).sin_family = libc::AF_INET as libc::sa_family_t;
                (*place).sin_port = addr.port().to_be();
                (*place).sin_addr.s_addr = u32::from_ne_bytes(addr.ip().octets());
                (storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
            }
            SocketAddr::V6(addr) => {
                let place: *mut libc::sockaddr_in6 = (&raw mut storage).cast();
                (*place).sin6_family = libc::AF_INET6 as libc::sa_family_t;
                (*place).sin6_port = addr.port().to_be();
                (*place).sin6_addr.s6_addr = addr.ip().octets();
                (storage, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
            }
        }
    }
}

fn from_kernel(storage: &libc::sockaddr_storage) -> Result<SocketAddr> {
    let place = std::ptr::from_ref(storage);
    match i32::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says which of the two addresses it is.
            let addr = unsafe { &*place.cast::<libc::sockaddr_in>() };
            let ip = IpAddr::from(addr.sin_addr.s_addr.to_ne_bytes());
            Ok(SocketAddr::new(ip, u16::from_be(addr.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let addr = unsafe { &*place.cast::<libc::sockaddr_in6>() };
            let ip = IpAddr::from(addr.sin6_addr.s6_addr);
            Ok(SocketAddr::new(ip, u16::from_be(addr.sin6_port)))
        }
        _ => Err(Failed { call: "address of a family that is neither IPv4 nor IPv6", errno: 0 }),
    }
}
