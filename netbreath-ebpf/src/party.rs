//! Whose a packet is: the socket that sent it, the socket that gets it, and who owns these.
//!
//! On its way out a packet has its socket with it. On its way in the socket is looked up as
//! the kernel will do it later, by the packet's own ends. Both is only looked at: what is
//! remembered of sockets is changed by the hooks that see them used.

use core::ffi::c_void;

use aya_ebpf::bindings::{__sk_buff, BPF_ANY, BPF_F_NO_PREALLOC, bpf_sock, bpf_sock_tuple};
use aya_ebpf::helpers::generated::{
    bpf_get_socket_cookie, bpf_sk_fullsock, bpf_sk_lookup_udp, bpf_sk_release, bpf_skb_load_bytes,
    bpf_skc_lookup_tcp,
};
use aya_ebpf::macros::map;
use aya_ebpf::maps::{HashMap, LruHashMap};
use netbreath_common::config::filter as filters;
use netbreath_common::packet::{Interface, Known, Party};
use netbreath_common::record::{How, Owner};
use netbreath_common::tcp::TcpState;

use crate::hook::half_open;
use crate::kernel::{Callback, Kernel, Untyped};
use crate::slot::{self, Slot};
use crate::task::Current as _;
use crate::udp::Handle;
use crate::{config, filter, sock, task, word};

const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
const SOCK_STREAM: u32 = 1;
const SOCK_RAW: u32 = 3;
const AF_PACKET: u32 = 17;

/// Owners of connections that are no full sockets any more, by their cookies.
#[map]
static LEFT: LruHashMap<u64, Left> = LruHashMap::with_max_entries(65_536, 0);

/// Addresses of this machine, as the reader found them; IPv4 as `::ffff:a.b.c.d`.
#[map]
static LOCALS: HashMap<[u8; 16], u8> = HashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// What is left of a socket.
#[repr(C)]
#[derive(Clone, Copy)]
struct Left {
    owner: Owner,
    cgroup: u64,
}

/// Notes whose a socket was, in whose place is a mini-socket from now on.
#[inline(always)]
pub fn leave(slot: &Slot) {
    let left = Left { owner: *slot::owner(slot), cgroup: slot.socket.cgroup };
    let _ = LEFT.insert(slot.socket.id, left, BPF_ANY.into());
}

/// The ends of a packet as it has them.
#[derive(Clone, Copy)]
pub struct Ends {
    source: [u8; 16],
    target: [u8; 16],
    /// In network byte order.
    ports: [u16; 2],
    v6: bool,
    proto: u8,
    /// It opens a connection.
    opens: bool,
}

/// Reads the ends of a packet; nothing if it has none that a socket could have.
#[inline(always)]
pub fn ends(skb: *mut __sk_buff, header: u32) -> Option<Ends> {
    let mut ends =
        Ends { source: [0; 16], target: [0; 16], ports: [0; 2], v6: false, proto: 0, opens: false };
    let transport = match u16::from_be(unsafe { (*skb).protocol } as u16) {
        0x0800 => {
            let ip: [u8; 20] = load(skb, header)?;
            // Only the first fragment has ports.
            if ip[6] & 0x1f != 0 || ip[7] != 0 {
                return None;
            }
            ends.proto = ip[9];
            ends.source[10] = 0xff;
            ends.source[11] = 0xff;
            ends.target[10] = 0xff;
            ends.target[11] = 0xff;
            ends.source[12..16].copy_from_slice(&ip[12..16]);
            ends.target[12..16].copy_from_slice(&ip[16..20]);
            header + u32::from(ip[0] & 15) * 4
        }
        0x86dd => {
            let ip: [u8; 40] = load(skb, header)?;
            ends.v6 = true;
            ends.proto = ip[6];
            ends.source.copy_from_slice(&ip[8..24]);
            ends.target.copy_from_slice(&ip[24..40]);
            header + 40
        }
        _ => return None,
    };
    match ends.proto {
        IPPROTO_TCP => {
            const SYN: u8 = 0x02;
            const ACK: u8 = 0x10;
            let tcp: [u8; 14] = load(skb, transport)?;
            ends.ports =
                [u16::from_ne_bytes([tcp[0], tcp[1]]), u16::from_ne_bytes([tcp[2], tcp[3]])];
            ends.opens = tcp[13] & (SYN | ACK) == SYN;
        }
        IPPROTO_UDP => ends.ports = load(skb, transport)?,
        _ => return None,
    }
    Some(ends)
}

#[inline(always)]
fn load<T: Copy>(skb: *mut __sk_buff, offset: u32) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    let read = unsafe {
        bpf_skb_load_bytes(skb.cast(), offset, value.as_mut_ptr().cast(), size_of::<T>() as u32)
    };
    if read == 0 { Some(unsafe { value.assume_init() }) } else { None }
}

/// Finds the socket that sends a packet, which leaves this machine.
#[inline(always)]
pub fn sender(skb: *mut __sk_buff, interface: &Interface, party: &mut Party) {
    let sk: *mut bpf_sock = unsafe { (*skb).__bindgen_anon_2.sk };
    if sk.is_null() {
        // What came in has the interface with it that it came in by.
        if unsafe { (*skb).ingress_ifindex } != 0 && interface.loopback == 0 {
            party.known = Known::Forwarded as u8;
        } else {
            answerer(skb, interface, party);
        }
        return;
    }
    // The kernel's own structure has the socket where its type information says.
    let bare = || Untyped::new(Untyped::new(skb.cast_const().cast()).read(config::SKB_SK()));
    let full = unsafe { bpf_sk_fullsock(sk) };
    if full.is_null() {
        mini(bare(), party);
        return;
    }
    let (kind, proto) = unsafe { ((*full).type_, (*full).protocol) };
    if proto == IPPROTO_TCP.into() && kind == SOCK_RAW {
        // By this one the kernel answers in the place of others.
        answerer(skb, interface, party);
        return;
    }
    party.known = Known::Socket as u8;
    if kind == SOCK_STREAM {
        party.state = unsafe { (*full).state } as u8;
        stream(Callback::new(full.cast_const().cast()), party);
    } else if unsafe { (*full).family } == AF_PACKET {
        // It is sent in the system call that hands it over.
        if !task::is_kernel::<Untyped>() {
            party.owner = task::owner_of(Untyped::current(), How::Io);
        }
    } else {
        datagram(full.cast_const().cast(), party);
    }
    if party.id == 0 {
        party.id = unsafe { bpf_get_socket_cookie(skb.cast()) };
    }
    if judges() {
        judge(bare(), party);
    }
    if party.owner.pid == 0 && sock::is_kernels(bare()) {
        party.known = Known::Kernel as u8;
    }
}

/// Finds the socket in whose place the kernel answers.
#[inline(always)]
fn answerer(skb: *mut __sk_buff, interface: &Interface, party: &mut Party) {
    if let Some(ends) = ends(skb, interface.header)
        && ends.proto == IPPROTO_TCP
    {
        // One that listens answers with a SYN cookie, or has a reset sent that is nobody's.
        let back = Ends {
            source: ends.target,
            target: ends.source,
            ports: [ends.ports[1], ends.ports[0]],
            ..ends
        };
        of_tcp(skb, &back, true, party);
    }
    if party.known == Known::Nothing as u8 {
        party.known = Known::Kernel as u8;
    }
}

/// Finds the socket that a packet is from, by its ends.
#[inline(always)]
pub fn by_source(skb: *mut __sk_buff, ends: &Ends, party: &mut Party) {
    let back = Ends {
        source: ends.target,
        target: ends.source,
        ports: [ends.ports[1], ends.ports[0]],
        opens: false,
        ..*ends
    };
    by_target(skb, &back, true, party);
}

/// Finds the socket that gets a packet, by its ends. `local`: its target is one of this
/// machine's addresses for sure.
#[inline(always)]
pub fn by_target(skb: *mut __sk_buff, ends: &Ends, local: bool, party: &mut Party) {
    if ends.proto == IPPROTO_TCP {
        of_tcp(skb, ends, local, party);
    } else {
        of_udp(skb, ends, local, party);
    }
}

/// Whether an address is one of this machine's. A socket that takes what comes for any of
/// them would else seem to get what is only passed on.
#[inline(always)]
fn is_local(addr: &[u8; 16]) -> bool {
    unsafe { LOCALS.get(addr) }.is_some()
}

/// The namespace of the packet's device.
const HERE: u64 = -1i64 as u64;

#[inline(always)]
fn of_tcp(skb: *mut __sk_buff, ends: &Ends, local: bool, party: &mut Party) {
    let (mut tuple, len) = tuple(ends);
    let sk = unsafe { bpf_skc_lookup_tcp(skb.cast(), &raw mut tuple, len, HERE, 0) };
    if sk.is_null() {
        return;
    }
    let state = unsafe { (*sk).state };
    let bare = || Untyped::forgetting(sk.cast_const().cast());
    if state == TcpState::NewSynRecv as u32 || state == TcpState::TimeWait as u32 {
        mini(bare(), party);
    } else if state != TcpState::Listen as u32 || ends.opens && (local || is_local(&ends.target)) {
        // What comes to a listener and does not open a connection belongs to none.
        party.known = Known::Socket as u8;
        party.state = state as u8;
        stream(Callback::new(sk.cast_const().cast()), party);
        if judges() {
            judge(bare(), party);
        }
    }
    unsafe { bpf_sk_release(sk.cast()) };
}

#[inline(always)]
fn of_udp(skb: *mut __sk_buff, ends: &Ends, local: bool, party: &mut Party) {
    let (mut tuple, len) = tuple(ends);
    let sk = unsafe { bpf_sk_lookup_udp(skb.cast(), &raw mut tuple, len, HERE, 0) };
    if sk.is_null() {
        return;
    }
    if local || unsafe { (*sk).dst_port } != 0 || is_local(&ends.target) {
        party.known = Known::Socket as u8;
        datagram(sk.cast_const().cast(), party);
        if party.id == 0 || judges() {
            let bare = Untyped::forgetting(sk.cast_const().cast());
            party.id = bare.read(config::SOCK_COOKIE());
            judge(bare, party);
        }
    }
    unsafe { bpf_sk_release(sk.cast()) };
}

#[inline(always)]
fn tuple(ends: &Ends) -> (bpf_sock_tuple, u32) {
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    let word = |addr: &[u8; 16], i: usize| {
        u32::from_ne_bytes([addr[i], addr[i + 1], addr[i + 2], addr[i + 3]])
    };
    if ends.v6 {
        let words = |addr: &[u8; 16]| [word(addr, 0), word(addr, 4), word(addr, 8), word(addr, 12)];
        tuple.__bindgen_anon_1.ipv6.saddr = words(&ends.source);
        tuple.__bindgen_anon_1.ipv6.daddr = words(&ends.target);
        tuple.__bindgen_anon_1.ipv6.sport = ends.ports[0];
        tuple.__bindgen_anon_1.ipv6.dport = ends.ports[1];
        (tuple, 36)
    } else {
        tuple.__bindgen_anon_1.ipv4.saddr = word(&ends.source, 12);
        tuple.__bindgen_anon_1.ipv4.daddr = word(&ends.target, 12);
        tuple.__bindgen_anon_1.ipv4.sport = ends.ports[0];
        tuple.__bindgen_anon_1.ipv4.dport = ends.ports[1];
        (tuple, 12)
    }
}

/// What is less than a full socket: half-open, or in TIME_WAIT.
#[inline(always)]
fn mini(bare: Untyped, party: &mut Party) {
    party.known = Known::Socket as u8;
    party.state = sock::state(bare);
    party.id = bare.read(config::SOCK_COOKIE());
    if party.state == TcpState::NewSynRecv as u8 {
        // The kernel answers before anybody has the connection: it is its listener's.
        if let Some(listener) = bare.follow(config::SOCK_LISTENER()) {
            if let Some(owner) = half_open::listener(listener.addr()) {
                unsafe { word::copy(owner, &raw mut party.owner) };
                party.owner.how = How::Inherited as u8;
            }
            party.cgroup = sock::cgroup(listener);
            judge(listener, party);
        }
        return;
    }
    if let Some(left) = LEFT.get_ptr(party.id) {
        let left = unsafe { &*left };
        unsafe { word::copy(&raw const left.owner, &raw mut party.owner) };
        party.cgroup = left.cgroup;
    }
    party.selected = filter::selects(&party.owner).into();
}

/// A full socket of TCP.
#[inline(always)]
fn stream(sk: Callback, party: &mut Party) {
    if let Some(slot) = slot::peek(sk) {
        if slot.socket.id != 0 {
            party.id = slot.socket.id;
        }
        unsafe { word::copy(slot::owner(slot), &raw mut party.owner) };
        party.cgroup = slot.socket.cgroup;
    }
}

/// A socket of UDP, a raw one or one for pings.
#[inline(always)]
fn datagram(sk: *const c_void, party: &mut Party) {
    if let Some(slot) = Handle::of(sk).find() {
        party.id = slot.socket.id;
        unsafe { word::copy(&raw const slot.socket.owner, &raw mut party.owner) };
        party.cgroup = slot.socket.cgroup;
    }
}

/// Whether there are filters on sockets and their owners.
#[inline(always)]
fn judges() -> bool {
    config::filters(filters::OWNER | filters::CGROUP | filters::NETNS)
}

/// Notes what the filters say of a socket and its owner.
#[inline(always)]
fn judge(bare: Untyped, party: &mut Party) {
    if !judges() {
        return;
    }
    let here = !config::filters(filters::CGROUP | filters::NETNS)
        || filter::is_here(bare, sock::netns(bare));
    party.selected = (here && filter::selects(&party.owner)).into();
}
