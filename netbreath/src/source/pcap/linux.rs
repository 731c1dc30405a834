//! Packets by packet sockets, and the socket table by sock_diag: as `source/pcap` runs on
//! Linux.

use std::net::SocketAddr;
use std::sync::mpsc as channel;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::tracker::{Holder, Poll, Row, Tracker};
use super::{flow, gaps, parse};
use crate::event::packet::Interface;
use crate::event::{Body, Comm, Event, Gap, Via};
use crate::filter::Filter;
use crate::host::network::Network;
use crate::host::{self, socket as table};
use crate::source::clock::{boot, boot_time};
use crate::source::packet::{Live as _, Seen, Sink};
use crate::source::replay::{Play, keeps};
use crate::source::{Packets, Source, Spot, socket};
use crate::table::socket::{Proto, Protos};

/// The headers of a segment, with all the options that there can be.
const SNAP: u32 = 160;
/// How often the table is looked at if nothing happens.
const SLOW: Duration = Duration::from_secs(1);
/// Looks are at least so far apart: each takes as long as there are sockets and open files.
const APART: Duration = Duration::from_millis(50);
/// How long packets can be on their way to us: what a look has found is used after what
/// happened before it.
const LATE: Duration = Duration::from_millis(60);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot ask for interfaces and addresses: {source}")]
    Network { source: crate::host::netlink::Error },
    #[error("no interface is up whose packets can be read")]
    NoInterface,
    #[error(transparent)]
    Packets(#[from] socket::Error),
    #[error("cannot look at the socket table: {source}")]
    Table { source: table::Error },
    #[error("cannot start the thread that looks at the socket table: {source}")]
    Thread { source: std::io::Error },
    #[error("what a command does cannot be told apart by packets: use --source ebpf")]
    Command,
}

impl Error {
    /// Only a privilege is missing.
    pub fn is_privilege(&self) -> bool {
        match self {
            Error::Packets(error) => error.is_privilege(),
            Error::Table { source } => source.is_privilege(),
            _ => false,
        }
    }
}

/// TCP by packets.
pub struct Pcap {
    sockets: socket::Sockets,
    tracker: Tracker,
    segments: Segments,
    network: Network,
    play: Play,
    /// What is delivered first.
    first: Vec<Event>,
    ask: channel::Sender<()>,
    answers: mpsc::UnboundedReceiver<Result<Poll, table::Error>>,
    /// A look is under way, or waits for packets of before.
    looking: bool,
    waits: Option<(Poll, Instant)>,
    /// When the last one was over.
    looked: Instant,
    lost: u64,
    told: u64,
    evicted: u64,
}

/// Segments that were read and not tracked yet.
struct Segments {
    boot: i64,
    kinds: Vec<u16>,
    all: Vec<flow::Segment>,
    lost: u64,
}

impl Sink for Segments {
    fn packet(&mut self, packet: &impl Seen) {
        self.lost += u64::from(packet.lost());
        let at = u64::try_from(packet.wall().saturating_sub(self.boot)).unwrap_or(0);
        if let Some(kind) = self.kinds.get(packet.place())
            && let Some(segment) = parse::segment(at, *kind, packet.data())
        {
            self.all.push(segment);
        }
    }
}

/// Starts watching: packets on all interfaces that are up, and the socket table.
pub fn open(filter: &Filter, ring_size: u32, max_sockets: usize) -> Result<Pcap, Error> {
    if filter.command {
        return Err(Error::Command);
    }
    let (boot, at) = (boot(), boot_time());
    let failed = |source| Error::Network { source };
    let mut network = Network::open().map_err(failed)?;
    let links = network.links(false).map_err(failed)?;
    let on: Vec<Spot> = links
        .iter()
        .filter(|link| link.flags.has(crate::event::network::LinkFlags::UP))
        .filter_map(|link| {
            let loopback = link.flags.has(crate::event::network::LinkFlags::LOOPBACK);
            let interface = Interface {
                index: link.ifindex,
                name: link.ifname.as_str().into(),
                link_type: crate::packet::link_type::of(link.hardware)?,
                snap_len: SNAP,
            };
            // What goes out by loopback comes in by it.
            let incoming = !loopback;
            Some(Spot { interface: interface.into(), loopback, incoming, outgoing: true })
        })
        .collect();
    if on.is_empty() {
        return Err(Error::NoInterface);
    }
    let kinds = on.iter().map(|spot| spot.interface.link_type).collect();
    let packets = Packets { on, snap_len: SNAP, ring_size, filter: Some("tcp".into()) };
    let addresses = network.addresses(None).map_err(failed)?;
    let local = addresses.into_iter().map(|address| address.local);
    let mut tracker = Tracker::new(local, host::own_netns(), max_sockets);
    let sockets = socket::open(&packets)?;
    // Packets are kept from here on: what the first look does not show yet, they tell.
    tracker.poll(&look().map_err(|source| Error::Table { source })?);
    let (ask, asked) = channel::channel::<()>();
    let (answer, answers) = mpsc::unbounded_channel();
    thread::Builder::new()
        .name("sockets".into())
        .spawn(move || {
            // It ends with whoever asks.
            while asked.recv().is_ok() && answer.send(look()).is_ok() {}
        })
        .map_err(|source| Error::Thread { source })?;
    let mut first = vec![Event { at, via: Via::Timer, body: Body::Clock { boot } }];
    let gap = |gap| Event { at, via: Via::Inferred, body: Body::Gap(gap) };
    first.extend(gaps().into_iter().map(gap));
    Ok(Pcap {
        sockets,
        tracker,
        segments: Segments { boot, kinds, all: Vec::new(), lost: 0 },
        network,
        play: Play { filter: filter.clone(), ..Play::default() },
        first,
        ask,
        answers,
        looking: false,
        waits: None,
        looked: Instant::now(),
        lost: 0,
        told: 0,
        evicted: 0,
    })
}

/// Looks at the table.
fn look() -> Result<Poll, table::Error> {
    let begun = boot_time();
    let ask = table::Ask {
        protos: Protos::of(&[Proto::Tcp]),
        states: table::ALL_STATES,
        holders: table::Who::Names,
        ..table::Ask::default()
    };
    let sockets = table::sockets(&ask)?;
    let rows = sockets.rows.iter().filter_map(|socket| {
        let (local, remote) = socket.inet()?;
        // IPv4 over a socket for IPv6 goes by IPv4's packets.
        let addr = |end: crate::event::Endpoint| SocketAddr::new(end.addr.to_canonical(), end.port);
        let holder = sockets.holders.of(socket.inode).first().map(|holder| {
            let process = sockets.holders.process(holder.pid);
            let name = process.map_or(&[][..], |process| &process.comm);
            let mut comm = [0; 16];
            let len = name.len().min(15);
            comm[..len].copy_from_slice(&name[..len]);
            let uid = process.and_then(|process| process.uid).unwrap_or(socket.uid);
            Holder { pid: holder.pid, comm: Comm::new(comm), uid, fd: holder.fd }
        });
        Some(Row { own: addr(local), peer: addr(remote), state: socket.state, holder })
    });
    let rows = rows.collect();
    Ok(Poll { begun, ended: boot_time(), rows })
}

impl Pcap {
    /// Tracks the segments that were read.
    fn track(&mut self) {
        // Several interfaces have a ring each.
        self.segments.all.sort_by_key(|segment| segment.at);
        for segment in self.segments.all.drain(..) {
            self.tracker.segment(&segment);
        }
        self.lost += std::mem::take(&mut self.segments.lost);
    }

    /// Asks for a look, if none is under way and one is due.
    fn look(&mut self, now: Instant) {
        let due = match self.tracker.wants_look() {
            true => self.looked + APART,
            false => self.looked + SLOW,
        };
        if !self.looking && due <= now {
            self.looking = self.ask.send(()).is_ok();
        }
    }

    /// Uses what a look has found.
    fn looked(&mut self, poll: &Poll) {
        self.looking = false;
        self.looked = Instant::now();
        self.sockets.drain(&mut self.segments);
        self.track();
        self.tracker.poll(poll);
        // Addresses come and go; asking costs little beside the table.
        if let Ok(addresses) = self.network.addresses(None) {
            addresses.into_iter().for_each(|address| self.tracker.add_local(address.local));
        }
    }

    fn deliver(&mut self, all: bool, events: &mut Vec<Event>) {
        let mut told = std::mem::take(&mut self.first);
        if self.lost > self.told {
            let count = self.lost - std::mem::replace(&mut self.told, self.lost);
            told.push(self.gap(Gap {
                what: format!("{count} packets were lost: transitions can be missing"),
                why: "they came faster than they were read".to_owned(),
                mend: "give a larger --ring-size".to_owned(),
                hook: Some("pcap".to_owned()),
                unseen: Vec::new(),
                count,
            }));
        }
        if self.tracker.evicted > self.evicted {
            let evicted = self.tracker.evicted;
            let count = evicted - std::mem::replace(&mut self.evicted, evicted);
            told.push(self.gap(Gap {
                what: format!("{count} segments of connections that found no room"),
                why: "more are open than are remembered".to_owned(),
                mend: "give a larger --max-sockets".to_owned(),
                hook: Some("pcap".to_owned()),
                unseen: Vec::new(),
                count,
            }));
        }
        self.tracker.deliver(boot_time(), all, &mut told);
        let play = &self.play;
        let wanted = |event: &Event| {
            use crate::filter::EventKind;
            let usual = play.filter.events.is_empty();
            let seeds = play.filter.wants(EventKind::Seed);
            keeps(play, event) && (usual || seeds || !matches!(event.body, Body::Seed(_)))
        };
        events.extend(told.into_iter().filter(wanted));
    }

    fn gap(&self, gap: Gap) -> Event {
        Event { at: boot_time(), via: Via::Inferred, body: Body::Gap(gap) }
    }

    /// When something has to be done, whatever comes.
    fn wakes(&self) -> Instant {
        let now = Instant::now();
        let look = match (self.looking, self.tracker.wants_look()) {
            (true, _) => self.waits.as_ref().map_or(now + SLOW, |(_, until)| *until),
            (false, true) => self.looked + APART,
            (false, false) => self.looked + SLOW,
        };
        let due = self.tracker.deadline().map_or(look, |due| {
            now + Duration::from_nanos(due.saturating_sub(boot_time())).min(SLOW)
        });
        look.min(due)
    }
}

impl Source for Pcap {
    type Error = Error;

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        let mut none = Vec::new();
        loop {
            self.track();
            self.tracker.expire(boot_time());
            let now = Instant::now();
            if let Some((poll, _)) = self.waits.take_if(|(_, until)| *until <= now) {
                self.looked(&poll);
            }
            self.look(now);
            self.deliver(false, events);
            if !events.is_empty() {
                return Ok(());
            }
            let wakes = self.wakes();
            tokio::select! {
                biased;
                read = self.sockets.next(&mut self.segments, &mut none) => read?,
                Some(poll) = self.answers.recv() => {
                    let poll = poll.map_err(|source| Error::Table { source })?;
                    self.waits = Some((poll, Instant::now() + LATE));
                }
                () = sleep_until(wakes) => {}
            }
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        self.sockets.finish(&mut self.segments, &mut Vec::new())?;
        self.track();
        // A last look: who came last has an owner, too.
        let poll = look().map_err(|source| Error::Table { source })?;
        self.looked(&poll);
        self.deliver(true, events);
        Ok(())
    }

    fn follow(&mut self, _: u32) -> Result<(), Error> {
        Err(Error::Command)
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}
