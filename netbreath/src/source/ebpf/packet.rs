//! Packets from kernel programs that are attached where the traffic of interfaces is
//! controlled, and the reader of their ring.

use std::cell::RefCell;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use aya::maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::tc::{NlOptions, TcAttachOptions, TcError, qdisc_add_clsact};
use aya::programs::{LinkOrder, Program, ProgramError, SchedClassifier, TcAttachType};
use netbreath_common::packet::{self as record, Known, Way};
use netbreath_common::tcp::TcpState;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::armed::Armed;
use super::decode::Decoder;
use super::{Ebpf, Error, failed, load, raw, take};
use crate::event::packet::{Direction, Party};
use crate::event::{Event, Owner, SocketId};
use crate::packet::filter::translate;
use crate::packet::{filter, link_type};
use crate::source::packet::{self, Live, Process, Seen, Sink};
use crate::source::{Ask, Cost, Packets, Source, Spot};

/// How often the ring is drained while there is work. In that time a CPU cannot fill a ring
/// of the usual size.
const DRAIN_EVERY: Duration = Duration::from_millis(5);

/// Packets that are taken out of the ring before anything else has its turn.
const BATCH: usize = 65_536;

/// Packets, and all that is needed to know whose they are.
pub struct Capture {
    ebpf: Ebpf,
    ring: AsyncFd<RingBuf<MapData>>,
    armed: Armed,
    counts: PerCpuArray<MapData, Counts>,
    /// When the ring is drained next; nothing if the reader is idle.
    drain_at: Option<Instant>,
    /// By what each interface is captured on.
    rungs: Vec<Rung>,
}

/// How programs are attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// A link (6.6 and newer): it goes when netbreath goes.
    Tcx,
    /// A filter of the queueing discipline clsact.
    Clsact,
}

impl Rung {
    pub const fn name(self) -> &'static str {
        match self {
            Rung::Tcx => "tcx",
            Rung::Clsact => "clsact",
        }
    }
}

#[derive(Clone, Copy, Default)]
#[repr(transparent)]
struct Counts(record::Counts);

// SAFETY: repr(C), integers only.
unsafe impl aya::Pod for Counts {}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Interface(record::Interface);

// SAFETY: repr(C), integers only.
unsafe impl aya::Pod for Interface {}

/// Attaches the hooks and the programs for packets. When this returns, no packet is missed
/// but those that `counts` tells of.
pub fn open(ask: &Ask, packets: &Packets, addresses: &[IpAddr]) -> Result<Capture, Error> {
    let mut ebpf = super::open(ask)?;
    let object = &mut ebpf.object;
    let ring = RingBuf::try_from(take(object, "PACKETS")?).map_err(failed("PACKETS"))?;
    // SAFETY: the ring keeps its descriptor open, and the same, until it is dropped.
    let ring = unsafe { AsyncFd::register_with_interest(ring, tokio::io::Interest::READABLE) }
        .map_err(|error| Error::Ring { source: error.into_parts().1 })?;
    let armed = Armed::map(take(object, "PACKETS_ARMED")?)?;
    let counts =
        PerCpuArray::try_from(take(object, "PACKET_COUNTS")?).map_err(failed("PACKET_COUNTS"))?;
    know(object, addresses)?;
    let filters = filter(object, packets)?;
    let mut map: HashMap<_, u32, Interface> =
        HashMap::try_from(load::named(object, "INTERFACES")?).map_err(failed("INTERFACES"))?;
    for (place, spot) in packets.on.iter().enumerate() {
        let value = record::Interface {
            place: place as u32,
            header: header(spot.interface.link_type),
            loopback: spot.loopback.into(),
            filter: filters.iter().position(|of| *of == spot.interface.link_type).unwrap_or(0)
                as u32,
        };
        map.insert(spot.interface.index, Interface(value), 0).map_err(failed("INTERFACES"))?;
    }
    let mut rungs = Vec::new();
    for spot in &packets.on {
        rungs.push(attach(object, spot)?);
    }
    Ok(Capture { ebpf, ring, armed, counts, drain_at: Some(Instant::now()), rungs })
}

/// Loads the filter, for each kind of link-layer header; these kinds.
fn filter(object: &mut aya::Ebpf, packets: &Packets) -> Result<Vec<u16>, Error> {
    let Some(text) = &packets.filter else { return Ok(Vec::new()) };
    let mut kinds: Vec<u16> = packets.on.iter().map(|spot| spot.interface.link_type).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.len() > record::programs::FILTERS as usize {
        let most = record::programs::FILTERS;
        return Err(Error::FilterKinds { text: text.to_string(), most });
    }
    let mut loaded = Vec::new();
    let map = load::named(object, "PACKET_PROGRAMS")?;
    let Map::ProgramArray(map) = map else {
        return Err(Error::FilterPlace { source: std::io::ErrorKind::InvalidInput.into() });
    };
    let descriptor = map.fd().as_fd().as_raw_fd();
    for (place, kind) in kinds.iter().enumerate() {
        let classic = filter::compile(text, *kind)?;
        for way in [translate::Way::In, translate::Way::Out] {
            let tags = *kind == link_type::ETHERNET;
            let keep = record::programs::KEEP as i32 + way as i32;
            let words = translate::translate(&classic, way, tags, descriptor, keep)
                .map_err(filter::Error::from)?;
            let program = raw::load(&words, "nb_filter").map_err(|(source, said)| {
                Error::FilterRefused { text: text.to_string(), source, said }
            })?;
            loaded.push((record::programs::FILTER + 2 * place as u32 + way as u32, program));
        }
    }
    let put = |index, program: BorrowedFd<'_>| {
        // SAFETY: the map is open as long as the object is.
        let map = unsafe { BorrowedFd::borrow_raw(descriptor) };
        raw::place(map, index, program).map_err(|source| Error::FilterPlace { source })
    };
    for (index, program) in &loaded {
        put(*index, program.as_fd())?;
    }
    for (way, name) in ["nb_keep_in", "nb_keep_out"].into_iter().enumerate() {
        let program = object.program(name).and_then(|program| program.fd().ok());
        let program = program.ok_or(load::Error::NoProgram { program: name })?;
        put(record::programs::KEEP + way as u32, program.as_fd())?;
    }
    Ok(kinds)
}

/// Tells the programs which addresses are this machine's.
fn know(object: &mut aya::Ebpf, addresses: &[IpAddr]) -> Result<(), Error> {
    let map = load::named(object, "LOCALS")?;
    let mut locals: HashMap<_, [u8; 16], u8> = HashMap::try_from(map).map_err(failed("LOCALS"))?;
    for address in addresses {
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => *address,
        };
        match locals.insert(address.octets(), 1, 0) {
            // More than there is room for: the owners of what comes to them are not known.
            Err(MapError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::E2BIG) =>
            {
                break;
            }
            other => other.map_err(failed("LOCALS"))?,
        }
    }
    Ok(())
}

/// Length of a link-layer header in bytes.
const fn header(link_type: u16) -> u32 {
    match link_type {
        link_type::ETHERNET => 14,
        _ => 0,
    }
}

/// Attaches what an interface needs.
fn attach(object: &mut aya::Ebpf, spot: &Spot) -> Result<Rung, Error> {
    let wanted = [
        (spot.incoming, "nb_packet_in", TcAttachType::Ingress),
        (spot.outgoing, "nb_packet_out", TcAttachType::Egress),
    ];
    let mut reached = Rung::Tcx;
    for (_, name, way) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
        let Some(Program::SchedClassifier(program)) = object.program_mut(name) else {
            return Err(load::Error::NoProgram { program: name }.into());
        };
        reached = attach_one(program, spot, way)?;
    }
    Ok(reached)
}

/// By a link, or else by clsact.
fn attach_one(
    program: &mut SchedClassifier,
    spot: &Spot,
    way: TcAttachType,
) -> Result<Rung, Error> {
    let name = &*spot.interface.name;
    let tcx = TcAttachOptions::TcxOrder(LinkOrder::default());
    let Err(refused) = program.attach_with_options(name, way, tcx) else { return Ok(Rung::Tcx) };
    let failed = |clsact: ProgramError| Error::Attach {
        interface: name.to_owned(),
        tcx: load::answer(&refused),
        clsact: load::answer(&clsact),
    };
    match qdisc_add_clsact(name) {
        Ok(()) | Err(TcError::AlreadyAttached) => {}
        Err(error) => return Err(failed(ProgramError::TcError(error))),
    }
    program
        .attach_with_options(name, way, TcAttachOptions::Netlink(NlOptions::default()))
        .map_err(failed)?;
    Ok(Rung::Clsact)
}

impl Live for Capture {
    type Error = Error;

    async fn next(&mut self, sink: &mut impl Sink, events: &mut Vec<Event>) -> Result<(), Error> {
        let Capture { ebpf, ring, drain_at, .. } = self;
        tokio::select! {
            biased;
            () = until(*drain_at), if drain_at.is_some() => {}
            ready = ring.readable(), if drain_at.is_none() => {
                ready.map_err(|source| Error::Ring { source })?.clear_ready();
            }
            done = ebpf.next(events) => return done,
        }
        let drained = self.drain(sink)?;
        self.drain_at = if drained == BATCH {
            Some(Instant::now())
        } else if drained > 0 {
            Some(Instant::now() + DRAIN_EVERY)
        } else {
            self.armed.set();
            let came = self.drain(sink)?;
            (came > 0).then(|| Instant::now() + DRAIN_EVERY)
        };
        Ok(())
    }

    fn finish(&mut self, sink: &mut impl Sink, events: &mut Vec<Event>) -> Result<(), Error> {
        // No packet comes any more, so this has an end.
        for name in ["nb_packet_in", "nb_packet_out"] {
            if let Some(Program::SchedClassifier(program)) = self.ebpf.object.program_mut(name) {
                // Why ignored: an interface may have gone, and its link with it.
                let _ = program.unload();
            }
        }
        while self.drain(sink)? > 0 {}
        self.ebpf.finish(events)
    }

    fn follow(&mut self, pid: u32) -> Result<(), Error> {
        self.ebpf.follow(pid)
    }

    fn rung(&self, place: usize) -> &'static str {
        self.rungs.get(place).map_or("nothing", |rung| rung.name())
    }

    fn costs(&self) -> Vec<Cost> {
        self.ebpf.costs()
    }

    fn counts(&self, place: usize) -> Result<packet::Counts, Error> {
        let per_cpu = self.counts.get(&(place as u32), 0).map_err(failed("PACKET_COUNTS"))?;
        let mut all = packet::Counts::default();
        for Counts(one) in per_cpu.iter() {
            all.seen += one.seen;
            all.passed += one.passed;
            all.lost += one.lost;
        }
        Ok(all)
    }
}

impl Capture {
    /// Takes packets out of the ring; how many.
    fn drain(&mut self, sink: &mut impl Sink) -> Result<usize, Error> {
        let Capture { ebpf, ring, .. } = self;
        let mut drained = 0;
        while drained < BATCH
            && let Some(bytes) = ring.get_mut().next()
        {
            let (packet, data) = record::read(&bytes).ok_or(Error::Packet { len: bytes.len() })?;
            let current = |party: &record::Party| ebpf.decoder.is_current(&party.owner);
            if !current(&packet.from) || !current(&packet.to) {
                // What program a process became stands in the other ring, and came before.
                ebpf.catch_up()?;
            }
            let decoder = RefCell::new(&mut ebpf.decoder);
            sink.packet(&Taken { packet, data, boot: ebpf.boot, decoder });
            drained += 1;
        }
        Ok(drained)
    }
}

/// Wall-clock time of boot, nanoseconds since the epoch.
pub fn boot() -> i64 {
    crate::source::clock::boot()
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// A packet in the ring.
struct Taken<'a> {
    packet: record::Packet,
    data: &'a [u8],
    boot: i64,
    /// Remembers what it looks up.
    decoder: RefCell<&'a mut Decoder>,
}

impl Taken<'_> {
    /// The two ends: the one that the packet is listed under comes first.
    fn ends(&self) -> (&record::Party, &record::Party) {
        let (from, to) = (&self.packet.from, &self.packet.to);
        let sent =
            self.packet.way == Way::Out as u8 || Known::from_number(from.known) != Known::Nothing;
        if sent { (from, to) } else { (to, from) }
    }

    fn party(&self, party: &record::Party) -> Party {
        Party {
            socket: (party.id != 0).then_some(SocketId(party.id)),
            state: TcpState::from_kernel(party.state),
            owner: self.owner(party),
            cgroup: self.decoder.borrow_mut().cgroup(party.cgroup),
        }
    }

    fn owner(&self, party: &record::Party) -> Option<Owner> {
        self.decoder.borrow().owner(&party.owner)
    }
}

impl Seen for Taken<'_> {
    fn wall(&self) -> i64 {
        self.packet.at as i64 + self.boot
    }

    fn place(&self) -> usize {
        self.packet.place.into()
    }

    fn direction(&self) -> Direction {
        if self.packet.way == Way::Out as u8 { Direction::Out } else { Direction::In }
    }

    fn wire_len(&self) -> u32 {
        self.packet.len
    }

    fn data(&self) -> &[u8] {
        self.data
    }

    fn tag(&self) -> Option<[u8; 4]> {
        // Both stand in the packet in network byte order.
        let ([a, b], [c, d]) =
            (self.packet.vlan_proto.to_ne_bytes(), self.packet.vlan_tci.to_be_bytes());
        (self.packet.vlan != 0).then_some([a, b, c, d])
    }

    fn lost(&self) -> u32 {
        self.packet.lost
    }

    fn process(&self) -> Option<Process> {
        let owner = &self.ends().0.owner;
        (owner.pid != 0).then_some(Process { pid: owner.pid, start: owner.start })
    }

    fn parties(&self) -> (Party, Option<Party>) {
        let (own, other) = self.ends();
        let peer = Known::from_number(other.known) == Known::Socket;
        (self.party(own), peer.then(|| self.party(other)))
    }

    fn is_kernels(&self) -> bool {
        Known::from_number(self.ends().0.known) == Known::Kernel
    }
}
