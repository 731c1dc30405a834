//! The only reader of `struct sock`.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_skc_to_tcp_sock};
use netbreath_common::offset::ABSENT;
use netbreath_common::record::{Flow, Socket};

use crate::config;
use crate::kernel::{Kernel, Typed, Untyped, Walked};

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// A way to a socket's identity.
pub trait Sock: Kernel {
    /// What no other socket has, from `birth` on.
    fn id(self, birth: u64) -> u64;

    /// The same as a `struct tcp_sock`, if it is one.
    fn tcp(self) -> Option<Self>;
}

impl Sock for Typed {
    #[inline(always)]
    fn id(self, _birth: u64) -> u64 {
        unsafe { bpf_get_socket_cookie(self.ptr().cast_mut()) }
    }

    #[inline(always)]
    fn tcp(self) -> Option<Self> {
        let tcp = unsafe { bpf_skc_to_tcp_sock(self.ptr().cast_mut()) };
        (!tcp.is_null()).then(|| Typed::new(tcp.cast_const().cast()))
    }
}

impl Sock for Untyped {
    #[inline(always)]
    fn id(self, birth: u64) -> u64 {
        match self.read(config::SOCK_COOKIE()) {
            // Nobody has asked for its cookie yet and this rung cannot make one. The
            // address alone is no identity: the allocator hands it out again.
            0 => self.addr().rotate_left(20) ^ birth,
            cookie => cookie,
        }
    }

    #[inline(always)]
    fn tcp(self) -> Option<Self> {
        const IPPROTO_TCP: u16 = 6;
        (protocol(self) == IPPROTO_TCP).then_some(self)
    }
}

impl Sock for Walked {
    #[inline(always)]
    fn id(self, _birth: u64) -> u64 {
        // Somebody has asked for it before, since netbreath asks at the first transition.
        self.read(config::SOCK_COOKIE())
    }

    #[inline(always)]
    fn tcp(self) -> Option<Self> {
        None
    }
}

/// Whether this is a socket of a family that netbreath shows.
#[inline(always)]
pub fn is_inet<K: Kernel>(sk: K) -> bool {
    matches!(sk.read::<u16>(config::SOCK_FAMILY()), AF_INET | AF_INET6)
}

/// Whether its own family is IPv4.
#[inline(always)]
pub fn is_v4<K: Kernel>(sk: K) -> bool {
    sk.read::<u16>(config::SOCK_FAMILY()) == AF_INET
}

/// Whether it speaks TCP, or MPTCP.
#[inline(always)]
pub fn is_tcp<K: Kernel>(sk: K) -> bool {
    const IPPROTO_TCP: u16 = 6;
    const IPPROTO_MPTCP: u16 = 262;
    matches!(protocol(sk), IPPROTO_TCP | IPPROTO_MPTCP)
}

/// Whether it speaks UDP. A raw socket may have its number too.
#[inline(always)]
pub fn is_udp<K: Kernel>(sk: K) -> bool {
    const IPPROTO_UDP: u16 = 17;
    const SOCK_DGRAM: u16 = 2;
    protocol(sk) == IPPROTO_UDP && kind(sk) == SOCK_DGRAM
}

/// Whether the kernel has it for its own use: then it has no file.
#[inline(always)]
pub fn is_kernels(sk: Untyped) -> bool {
    let socket: u64 = sk.read(config::SOCK_SOCKET());
    socket != 0 && Untyped::new(socket as *const c_void).load(config::SOCKET_FILE()) == Some(0u64)
}

/// Whether it is a UNIX socket.
#[inline(always)]
pub fn is_unix<K: Kernel>(sk: K) -> bool {
    sk.load(config::SOCK_FAMILY()).unwrap_or(0u16) == AF_UNIX
}

/// Its `SOCK_*`.
#[inline(always)]
pub fn kind<K: Kernel>(sk: K) -> u16 {
    sk.load(config::SOCK_TYPE()).unwrap_or(0)
}

/// Whether a UDP socket has a datagram of which only a part is there yet.
#[inline(always)]
pub fn is_corked(sk: Untyped) -> bool {
    config::UDP_PENDING() != ABSENT && sk.load(config::UDP_PENDING()).unwrap_or(0u32) != 0
}

/// The socket's TCP state.
#[inline(always)]
pub fn state<K: Kernel>(sk: K) -> u8 {
    sk.read(config::SOCK_STATE())
}

/// Its `IPPROTO_*`.
#[inline(always)]
pub fn protocol<K: Kernel>(sk: K) -> u16 {
    sk.read(config::SOCK_PROTOCOL())
}

/// Fills in what does not change during a socket's life.
#[inline(always)]
pub fn describe<K: Sock>(sk: K, socket: &mut Socket, at: u64) {
    socket.id = sk.id(at);
    socket.netns = netns(sk);
    socket.cgroup = cgroup(sk);
    socket.flow.proto = protocol(sk);
}

/// Inode number of its network namespace; 0 if unknown.
#[inline(always)]
pub fn netns<K: Kernel>(sk: K) -> u32 {
    sk.follow(config::SOCK_NET()).and_then(|net| net.load(config::NET_INUM())).unwrap_or(0)
}

/// Fills in the identity of a connection that came in, at the first look after its
/// birth: at birth its cookie may still be a copy of the listener's (6.1 and 6.12).
#[inline(always)]
pub fn identify<K: Sock>(sk: K, socket: &mut Socket, at: u64) {
    if socket.id == 0 {
        socket.id = sk.id(at);
    }
}

/// Reads the two ends. The local port of a socket that goes to CLOSE is left alone:
/// the kernel has given the port back before it says so.
#[inline(always)]
pub fn read_flow<K: Kernel>(sk: K, flow: &mut Flow) {
    let sport: u16 = sk.read(config::SOCK_NUM());
    if sport != 0 || flow.sport == 0 {
        flow.sport = sport;
    }
    flow.dport = u16::from_be(sk.read(config::SOCK_DPORT()));
    if sk.read::<u16>(config::SOCK_FAMILY()) == AF_INET6 {
        flow.family = 6;
        read6(sk, config::SOCK_SADDR6(), &mut flow.saddr);
        read6(sk, config::SOCK_DADDR6(), &mut flow.daddr);
    } else {
        flow.family = 4;
        read4(sk, config::SOCK_SADDR(), &mut flow.saddr);
        read4(sk, config::SOCK_DADDR(), &mut flow.daddr);
    }
}

#[inline(always)]
pub fn read4<K: Kernel>(sk: K, offset: u32, addr: &mut [u8; 16]) {
    let word: u32 = sk.read(offset);
    // ::ffff:a.b.c.d
    write(addr, 0, 0);
    write(addr, 1, 0);
    write(addr, 2, 0xffff_u32.to_be());
    write(addr, 3, word);
}

#[inline(always)]
pub fn read6<K: Kernel>(sk: K, offset: u32, addr: &mut [u8; 16]) {
    // By parts: the kernel's type of an address has members of at most four bytes.
    write(addr, 0, sk.read(offset));
    write(addr, 1, sk.read(offset + 4));
    write(addr, 2, sk.read(offset + 8));
    write(addr, 3, sk.read(offset + 12));
}

#[inline(always)]
fn write(addr: &mut [u8; 16], part: usize, word: u32) {
    addr[part * 4..part * 4 + 4].copy_from_slice(&word.to_ne_bytes());
}

/// Id of the socket's cgroup in the unified hierarchy; 0 if unknown.
#[inline(always)]
pub fn cgroup<K: Kernel>(sk: K) -> u64 {
    sk.follow(config::SOCK_CGROUP())
        .and_then(|cgroup| cgroup.follow(config::CGROUP_KN()))
        .and_then(|node| node.load(config::KERNFS_ID()))
        .unwrap_or(0)
}

/// Whether the socket's cgroup is `id`, which lies `level` levels below the root,
/// or lies below it.
#[inline(always)]
pub fn in_cgroup<K: Kernel>(sk: K, id: u64, level: u32) -> bool {
    // Where the socket cannot be read, an earlier hook has judged it.
    !K::READS || in_cgroup_untyped(Untyped::new(sk.ptr()), id, level).unwrap_or(false)
}

#[inline(always)]
fn in_cgroup_untyped(sk: Untyped, id: u64, level: u32) -> Option<bool> {
    let cgroup = sk.follow(config::SOCK_CGROUP())?;
    if cgroup.load::<u32>(config::CGROUP_LEVEL())? < level {
        return Some(false);
    }
    if config::CGROUP_ANCESTORS() == ABSENT {
        // Before 6.1 a cgroup keeps its ancestors' ids, not pointers to them.
        return Some(cgroup.load::<u64>(config::CGROUP_ANCESTOR_IDS() + 8 * level)? == id);
    }
    let ancestor = cgroup.follow(config::CGROUP_ANCESTORS() + 8 * level)?;
    Some(ancestor.follow(config::CGROUP_KN())?.load::<u64>(config::KERNFS_ID())? == id)
}

/// A socket from the descriptor `fd` of a task, or nothing if it is no socket.
#[inline(always)]
pub fn from_fd(task: Untyped, fd: u32) -> Option<Untyped> {
    let fdt = task.follow(config::TASK_FILES())?.follow(config::FILES_FDT())?;
    if fd >= fdt.load::<u32>(config::FDT_MAX())? {
        return None;
    }
    let file = fdt.follow(config::FDT_FD())?.follow(fd * size_of::<*const c_void>() as u32)?;
    let socket = file.follow(config::FILE_PRIVATE())?;
    // Any file has private data; only a socket's points back at the file.
    if socket.follow(config::SOCKET_FILE())?.addr() != file.addr() {
        return None;
    }
    let sk = socket.follow(config::SOCKET_SK())?;
    (sk.addr() != 0).then_some(sk)
}
