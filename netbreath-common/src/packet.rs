//! Packets, as the kernel programs put them into their own ring: a flood of them costs no
//! other record its place. Integers are in host byte order unless said otherwise.

use crate::record::Owner;

/// First in the record of a packet; the packet's first bytes follow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was seen, in nanoseconds since boot (`CLOCK_BOOTTIME`).
    pub at: u64,
    /// Bytes on the wire, from the link-layer header on, without a tag that the device has
    /// taken out.
    pub len: u32,
    /// Bytes that follow this.
    pub kept: u32,
    /// Packets that were lost on this CPU just before it, since the ring was full.
    pub lost: u32,
    /// The operating system's number of the interface.
    pub ifindex: u32,
    /// The tag of a virtual LAN that the device has taken out of the packet or will put into
    /// it (IEEE 802.1Q), as `__sk_buff` has it; 0 and 0 if none.
    pub vlan_proto: u16,
    pub vlan_tci: u16,
    /// [`Way`] as a number.
    pub way: u8,
    /// The interface's place in the list of those that are captured on.
    pub place: u8,
    /// 1 if there is such a tag.
    pub vlan: u8,
    pub zero: u8,
    /// The socket of this machine that sent it.
    pub from: Party,
    /// The socket of this machine that gets it.
    pub to: Party,
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    In = 0,
    Out = 1,
}

/// A socket at an end of a packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Its cookie; 0 if there is none, or none is known.
    pub id: u64,
    /// Id of its cgroup in the unified hierarchy; 0 if unknown.
    pub cgroup: u64,
    pub owner: Owner,
    /// [`crate::tcp::TcpState`] as a number; 0 if it speaks no TCP.
    pub state: u8,
    /// [`Known`] as a number.
    pub known: u8,
    /// 1 if the filters on owners let it through.
    pub selected: u8,
    pub zero: [u8; 5],
}

/// What is known of an end of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Known {
    /// It is not one of this machine, or nothing says so.
    Nothing = 0,
    /// There is a socket.
    Socket = 1,
    /// The kernel made the packet itself, for no socket of a process.
    Kernel = 2,
    /// It only passes through this machine.
    Forwarded = 3,
}

impl Known {
    /// The one with this number; an unknown number is [`Known::Nothing`].
    pub const fn from_number(number: u8) -> Known {
        match number {
            1 => Known::Socket,
            2 => Known::Kernel,
            3 => Known::Forwarded,
            _ => Known::Nothing,
        }
    }
}

/// Nobody.
pub const NO_PARTY: Party = Party {
    id: 0,
    cgroup: 0,
    owner: Owner { pid: 0, uid: 0, start: 0, comm: [0; 16], how: 0, zero: [0; 3], exec: 0 },
    state: 0,
    known: 0,
    selected: 0,
    zero: [0; 5],
};

/// Bytes of packets that records of each size have room for. A packet takes the smallest.
pub const ROOMS: [usize; 9] = [128, 256, 736, 1536, 4096, 9216, 24_576, 66_048, MOST_KEPT];

/// Bytes of a packet that are kept at most.
pub const MOST_KEPT: usize = 262_144;

/// What is to be done on an interface: a value of the map `INTERFACES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its place among the counters.
    pub place: u32,
    /// Length of its link-layer header in bytes.
    pub header: u32,
    /// 1 if both ends of all its packets are on this machine.
    pub loopback: u32,
    /// Which of the filters is for its link-layer header: see [`programs`].
    pub filter: u32,
}

/// Interfaces that can be captured on at once.
pub const INTERFACES: u32 = 64;

/// What was counted on an interface, by each CPU: a value of the map `PACKET_COUNTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that came by.
    pub seen: u64,
    /// Those that the filters let through.
    pub passed: u64,
    /// Those of them for which the ring had no room.
    pub lost: u64,
}

/// Places in the map `PACKET_PROGRAMS`.
pub mod programs {
    /// What goes on when the filter has let a packet through, by [`super::Way`].
    pub const KEEP: u32 = 0;
    /// Filters for link-layer headers of different kinds, for both ways each.
    pub const FILTER: u32 = 2;
    /// Kinds of link-layer headers that can be captured on at once.
    pub const FILTERS: u32 = 2;
    pub const COUNT: u32 = FILTER + 2 * FILTERS;
}

const _: () = assert!(size_of::<Party>() == 64);
const _: () = assert!(size_of::<Packet>() == 160);

/// Copies the beginning of a record out of `bytes`, and gives the packet's own bytes.
pub fn read(bytes: &[u8]) -> Option<(Packet, &[u8])> {
    let (head, rest) = bytes.split_at_checked(size_of::<Packet>())?;
    // SAFETY: there are enough bytes, and any bytes make a valid value: integers and arrays
    // of bytes only, without padding (see the size).
    let packet: Packet = unsafe { head.as_ptr().cast::<Packet>().read_unaligned() };
    Some((packet, rest.get(..packet.kept as usize)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shorter_than_it_says_is_refused() {
        let mut bytes = [0u8; 176];
        assert!(read(&bytes).is_some());
        bytes[12..16].copy_from_slice(&16u32.to_ne_bytes());
        assert_eq!(read(&bytes).map(|(_, bytes)| bytes.len()), Some(16));
        bytes[12..16].copy_from_slice(&17u32.to_ne_bytes());
        assert!(read(&bytes).is_none());
        assert!(read(&bytes[..159]).is_none());
    }
}
