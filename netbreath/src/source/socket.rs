//! Packets from packet sockets (packet(7)), by rings in shared memory (`TPACKET_V3`): where
//! the kernel refuses programs. Whose the packets are is not known.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::unix::AsyncFd;

use super::packet::{Counts, Live, Process, Seen, Sink};
use super::{Packets, Spot};
use crate::event::Event;
use crate::event::packet::{Direction, Party};
use crate::packet::filter;

/// Bytes of a block: packets are handed over by blocks.
const BLOCK: usize = 1 << 18;
/// A block is handed over after so many milliseconds, even if it is not full.
const RETIRE: u32 = 20;

/// Packet sockets, one for each interface.
pub struct Sockets {
    rings: Vec<Ring>,
    /// Readable when any of the sockets is.
    ready: AsyncFd<OwnedFd>,
}

/// Why packets cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what} for packets on {interface}: {source}")]
    Socket { what: &'static str, interface: String, source: io::Error },
    #[error("cannot wait for packets: {source}")]
    Wait { source: io::Error },
    #[error(transparent)]
    Filter(#[from] filter::Error),
    #[error("a packet socket does not tell whose packets are, so no process can be followed")]
    Owners,
}

impl Error {
    /// Only a privilege is missing.
    pub fn is_privilege(&self) -> bool {
        matches!(self, Error::Socket { source, .. }
            if source.kind() == io::ErrorKind::PermissionDenied)
    }
}

struct Ring {
    spot: Spot,
    place: usize,
    socket: OwnedFd,
    memory: NonNull<u8>,
    len: usize,
    /// The block that is handed over next.
    next: usize,
    counts: Counts,
    /// Packets that went another way than was asked for.
    others: u64,
    /// Of those that were lost, how many no packet has told of yet.
    untold: u32,
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `open` and nowhere unmapped.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), self.len) };
    }
}

/// Opens the sockets.
pub fn open(packets: &Packets) -> Result<Sockets, Error> {
    let wait = |source| Error::Wait { source };
    // SAFETY: makes a descriptor only.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    if epoll < 0 {
        return Err(wait(io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just made it, for us alone.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let blocks = (packets.ring_size as usize / BLOCK / packets.on.len().max(1)).max(2);
    let mut rings = Vec::new();
    for (place, spot) in packets.on.iter().enumerate() {
        let ring = Ring::open(packets, spot, place, blocks)?;
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: place as u64 };
        // SAFETY: both descriptors are open, and the event is read before the call returns.
        let added = unsafe {
            libc::epoll_ctl(
                epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                ring.socket.as_raw_fd(),
                &raw mut event,
            )
        };
        if added < 0 {
            return Err(wait(io::Error::last_os_error()));
        }
        rings.push(ring);
    }
    // SAFETY: the descriptor stays open, and the same, until it is dropped.
    let ready = unsafe { AsyncFd::register_with_interest(epoll, tokio::io::Interest::READABLE) }
        .map_err(|error| wait(error.into_parts().1))?;
    Ok(Sockets { rings, ready })
}

impl Ring {
    fn open(packets: &Packets, spot: &Spot, place: usize, blocks: usize) -> Result<Ring, Error> {
        let interface = &spot.interface;
        let failed = |what| {
            let interface = interface.name.to_string();
            move |source| Error::Socket { what, interface, source }
        };
        let open = "open a socket";
        // No protocol yet: nothing comes before the filter is there.
        // SAFETY: makes a descriptor only.
        let socket =
            unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if socket < 0 {
            return Err(failed(open)(io::Error::last_os_error()));
        }
        // SAFETY: the kernel has just made it, for us alone.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        set(&socket, libc::SOL_PACKET, libc::PACKET_VERSION, &version).map_err(failed(open))?;
        let filter = match &packets.filter {
            Some(text) => filter::compile(text, interface.link_type)?,
            None => Vec::new(),
        };
        let filter: Vec<libc::sock_filter> = filter
            .iter()
            .map(|one| libc::sock_filter { code: one.code, jt: one.jt, jf: one.jf, k: one.k })
            .collect();
        if !filter.is_empty() {
            let program =
                libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
            set(&socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
                .map_err(failed("attach the filter"))?;
        }
        let len = BLOCK * blocks;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: 2048,
            tp_frame_nr: (len / 2048) as u32,
            tp_retire_blk_tov: RETIRE,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        let share = "share memory";
        set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request).map_err(failed(share))?;
        // SAFETY: a new mapping of what the kernel has just made for the socket.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        let memory = NonNull::new(memory.cast::<u8>())
            .filter(|_| memory != libc::MAP_FAILED)
            .ok_or_else(io::Error::last_os_error)
            .map_err(failed(share))?;
        let ring = Ring {
            spot: spot.clone(),
            place,
            socket,
            memory,
            len,
            next: 0,
            counts: Counts::default(),
            others: 0,
            untold: 0,
        };
        ring.bind().map_err(failed("bind a socket"))?;
        Ok(ring)
    }

    fn bind(&self) -> io::Result<()> {
        // SAFETY: all bytes zero is a valid value of a structure of integers.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = self.spot.interface.index as i32;
        // SAFETY: the address has its length.
        let done = unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Where a block begins.
    fn block(&self, number: usize) -> *mut libc::tpacket_block_desc {
        // SAFETY: there are so many blocks.
        unsafe { self.memory.as_ptr().add(number * BLOCK).cast() }
    }

    /// The word that says whose a block is.
    fn status(&self, number: usize) -> &AtomicU32 {
        // SAFETY: it lies in the mapping, and the kernel writes whole words.
        unsafe { AtomicU32::from_ptr(&raw mut (*self.block(number)).hdr.bh1.block_status) }
    }

    /// Takes the blocks that are handed over; how many packets were in them.
    fn drain(&mut self, sink: &mut impl Sink) -> usize {
        let mut all = 0;
        while self.status(self.next).load(Ordering::Acquire) & libc::TP_STATUS_USER != 0 {
            self.count();
            let block = self.block(self.next);
            // SAFETY: the block is ours until its status says otherwise.
            let (count, first) = unsafe {
                let head = &(*block).hdr.bh1;
                (head.num_pkts, head.offset_to_first_pkt)
            };
            let mut place = block.cast::<u8>().wrapping_add(first as usize);
            for _ in 0..count {
                // SAFETY: the kernel has put so many packets into the block.
                let packet = unsafe { self.packet(place) };
                let wanted = match packet.direction {
                    Direction::Out => self.spot.outgoing,
                    _ => self.spot.incoming,
                };
                if wanted {
                    sink.packet(&packet);
                    self.untold = 0;
                } else {
                    self.others += 1;
                }
                all += 1;
                // SAFETY: as above.
                let next = unsafe { (*place.cast::<libc::tpacket3_hdr>()).tp_next_offset };
                place = place.wrapping_add(next as usize);
            }
            self.status(self.next).store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % (self.len / BLOCK);
        }
        all
    }

    /// Reads what the kernel has counted since it was asked last.
    fn count(&mut self) {
        // SAFETY: all bytes zero is a valid value of a structure of integers.
        let mut counted: libc::tpacket_stats_v3 = unsafe { std::mem::zeroed() };
        let mut len = size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
        // SAFETY: the kernel writes no more than `len` bytes.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut counted).cast(),
                &raw mut len,
            )
        };
        if done == 0 {
            self.counts.seen += u64::from(counted.tp_packets);
            self.counts.lost += u64::from(counted.tp_drops);
            self.untold += counted.tp_drops;
        }
    }

    /// # Safety
    ///
    /// A packet of the kernel's begins at `place`, in a block that is ours for as long as
    /// the packet is used.
    unsafe fn packet(&self, place: *mut u8) -> Taken<'static> {
        // SAFETY: the caller says so.
        unsafe {
            let head = &*place.cast::<libc::tpacket3_hdr>();
            let data = std::slice::from_raw_parts(
                place.add(head.tp_mac.into()),
                (head.tp_snaplen as usize).min(self.spot.interface.snap_len as usize),
            );
            // Behind the header, at a multiple of sixteen bytes.
            let address = place
                .add(size_of::<libc::tpacket3_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT))
                .cast::<libc::sockaddr_ll>();
            const OUTGOING: u8 = 4;
            let way = (*address).sll_pkttype;
            let tagged = head.tp_status & libc::TP_STATUS_VLAN_VALID != 0;
            let protocol = match head.tp_status & libc::TP_STATUS_VLAN_TPID_VALID {
                0 => 0x8100,
                _ => head.hv1.tp_vlan_tpid,
            };
            let tag = tagged.then(|| {
                let ([a, b], [c, d]) =
                    (protocol.to_be_bytes(), (head.hv1.tp_vlan_tci as u16).to_be_bytes());
                [a, b, c, d]
            });
            Taken {
                wall: i64::from(head.tp_sec) * 1_000_000_000 + i64::from(head.tp_nsec),
                place: self.place,
                direction: if way == OUTGOING { Direction::Out } else { Direction::In },
                len: head.tp_len,
                data,
                tag,
                lost: self.untold,
            }
        }
    }
}

impl Sockets {
    /// Takes what is there already, without waiting.
    pub fn drain(&mut self, sink: &mut impl Sink) {
        for ring in &mut self.rings {
            ring.drain(sink);
        }
    }
}

impl Live for Sockets {
    type Error = Error;

    async fn next(&mut self, sink: &mut impl Sink, _: &mut Vec<Event>) -> Result<(), Error> {
        let mut ready = self.ready.readable().await.map_err(|source| Error::Wait { source })?;
        ready.clear_ready();
        for ring in &mut self.rings {
            ring.drain(sink);
        }
        Ok(())
    }

    fn finish(&mut self, sink: &mut impl Sink, _: &mut Vec<Event>) -> Result<(), Error> {
        // What lies in the blocks that the kernel still fills comes when their time is over.
        std::thread::sleep(std::time::Duration::from_millis(2 * u64::from(RETIRE)));
        for ring in &mut self.rings {
            ring.drain(sink);
            ring.count();
        }
        Ok(())
    }

    fn follow(&mut self, _: u32) -> Result<(), Error> {
        Err(Error::Owners)
    }

    fn rung(&self, _: usize) -> &'static str {
        "packet socket"
    }

    fn counts(&self, place: usize) -> Result<Counts, Error> {
        let Some(ring) = self.rings.get(place) else { return Ok(Counts::default()) };
        let Counts { seen, lost, .. } = ring.counts;
        let seen = seen.saturating_sub(ring.others);
        // What a filter refuses is not counted.
        Ok(Counts { seen, passed: seen, lost })
    }
}

fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: the value has its length.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A packet in a block.
struct Taken<'a> {
    wall: i64,
    place: usize,
    direction: Direction,
    len: u32,
    data: &'a [u8],
    tag: Option<[u8; 4]>,
    lost: u32,
}

impl Seen for Taken<'_> {
    fn wall(&self) -> i64 {
        self.wall
    }

    fn place(&self) -> usize {
        self.place
    }

    fn direction(&self) -> Direction {
        self.direction
    }

    fn wire_len(&self) -> u32 {
        self.len
    }

    fn data(&self) -> &[u8] {
        self.data
    }

    fn tag(&self) -> Option<[u8; 4]> {
        self.tag
    }

    fn lost(&self) -> u32 {
        self.lost
    }

    fn process(&self) -> Option<Process> {
        None
    }

    fn parties(&self) -> (Party, Option<Party>) {
        (Party::default(), None)
    }

    fn is_kernels(&self) -> bool {
        false
    }
}
