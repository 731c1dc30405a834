//! Watches the kernel during a lesson: events of sockets and the segments between them.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::{Instant, sleep_until};

use crate::event::Body;
use crate::event::network::LinkFlags;
use crate::event::packet::Interface;
use crate::event::segment::{Moment, Segment};
use crate::filter::Filter;
use crate::host::network::Network;
use crate::packet::link_type;
use crate::source::packet::{Live, Seen, Sink};
use crate::source::{Ask, Packets, Source, Spot, ebpf, socket};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start the loop that waits for events: {source}")]
    Runtime { source: std::io::Error },
    #[error("cannot ask for interfaces: {source}")]
    Interfaces { source: Box<dyn StdError + Send + Sync> },
    #[error("there is no loopback interface here")]
    NoLoopback,
    #[error(transparent)]
    Events(#[from] ebpf::Error),
    #[error(transparent)]
    Packets(#[from] socket::Error),
    #[error("{what} was not seen within {limit:?}")]
    Missing { what: String, limit: Duration },
}

impl Error {
    /// Only a privilege is missing.
    pub fn is_privilege(&self) -> bool {
        match self {
            Error::Events(error) => error.is_privilege(),
            Error::Packets(error) => error.is_privilege(),
            _ => false,
        }
    }
}

/// Events and segments as they come.
pub struct Watch {
    runtime: Runtime,
    events: ebpf::Ebpf,
    packets: socket::Sockets,
    taken: Taken,
    moments: Vec<Moment>,
    boot: i64,
    /// Moments that were handed out already.
    told: usize,
}

/// Segments with the wall clock's time.
#[derive(Default)]
struct Taken(Vec<(i64, Vec<u8>)>);

impl Sink for Taken {
    fn packet(&mut self, packet: &impl Seen) {
        self.0.push((packet.wall(), packet.data().to_vec()));
    }
}

impl Watch {
    /// Begins to watch the sockets that the filter lets through, and the segments of this
    /// filter of libpcap's on the loopback interface of the namespace that we are in.
    pub fn open(filter: Filter, segments: &str) -> Result<Watch, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Runtime { source })?;
        let interfaces = |source: Box<dyn StdError + Send + Sync>| Error::Interfaces { source };
        let mut network = Network::open().map_err(|error| interfaces(error.into()))?;
        let links = network.links(false).map_err(|error| interfaces(error.into()))?;
        let loopback = links.iter().find(|link| link.flags.has(LinkFlags::LOOPBACK));
        let loopback = loopback.ok_or(Error::NoLoopback)?;
        let interface = Interface {
            index: loopback.ifindex,
            name: loopback.ifname.as_str().into(),
            link_type: link_type::ETHERNET,
            snap_len: 65_535,
        };
        let packets = Packets {
            on: vec![Spot {
                interface: Arc::new(interface),
                loopback: true,
                // Each is seen twice on loopback: as it goes out and as it comes in.
                incoming: false,
                outgoing: true,
            }],
            snap_len: 65_535,
            ring_size: 1 << 20,
            filter: Some(segments.into()),
        };
        let ask = Ask {
            filter,
            ring_size: 1 << 20,
            max_sockets: 16_384,
            accept_hook: true,
            btf: None,
            rungs: Vec::new(),
            debug_programs: false,
            costs: false,
            owner_from_cpu: false,
            packets: None,
        };
        let (events, packets) = {
            let _inside = runtime.enter();
            (ebpf::open(&ask)?, socket::open(&packets)?)
        };
        let mut watch = Watch {
            runtime,
            events,
            packets,
            taken: Taken::default(),
            moments: Vec::new(),
            boot: 0,
            told: 0,
        };
        // The clock comes first.
        watch.until("the clock", Duration::from_secs(10), |moments| !moments.is_empty())?;
        watch.told = watch.moments.len();
        Ok(watch)
    }

    /// All that was seen so far, in the order of its time.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// What was seen since this was asked last.
    pub fn news(&mut self) -> Vec<Moment> {
        let mut news = self.moments.split_off(self.told);
        news.sort_by_key(Moment::at);
        self.moments.extend(news.iter().cloned());
        self.told = self.moments.len();
        news
    }

    /// Wall-clock time of boot.
    pub const fn boot(&self) -> i64 {
        self.boot
    }

    /// Watches until `done` holds of all that was seen. What must come is an error if it does
    /// not come within the limit.
    pub fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&[Moment]) -> bool,
    ) -> Result<(), Error> {
        if self.watch(limit, &mut done)? {
            return Ok(());
        }
        Err(Error::Missing { what: what.to_owned(), limit })
    }

    /// Watches until `done` holds, or so long; whether it holds.
    pub fn watch(
        &mut self,
        limit: Duration,
        done: &mut dyn FnMut(&[Moment]) -> bool,
    ) -> Result<bool, Error> {
        let Watch { runtime, events, packets, taken, moments, boot, .. } = self;
        let deadline = Instant::now() + limit;
        runtime.block_on(async {
            loop {
                if done(moments) {
                    return Ok(true);
                }
                let (mut seen, mut none) = (Vec::new(), Vec::new());
                tokio::select! {
                    read = events.next(&mut seen) => read?,
                    read = packets.next(taken, &mut none) => read?,
                    () = sleep_until(deadline) => return Ok(false),
                }
                for event in seen {
                    if let Body::Clock { boot: told } = event.body {
                        *boot = told;
                    }
                    moments.push(Moment::Event(event));
                }
                moments.extend(taken.segments(*boot));
            }
        })
    }

    /// Takes what is still on its way.
    pub fn finish(&mut self) -> Result<(), Error> {
        let (mut seen, mut none) = (Vec::new(), Vec::new());
        {
            let _inside = self.runtime.enter();
            self.packets.finish(&mut self.taken, &mut none)?;
            self.events.finish(&mut seen)?;
        }
        self.moments.extend(seen.into_iter().map(Moment::Event));
        self.moments.extend(self.taken.segments(self.boot));
        Ok(())
    }
}

impl Taken {
    /// Hands over what was taken, but only when the clock is known.
    fn segments(&mut self, boot: i64) -> Vec<Moment> {
        if boot == 0 {
            return Vec::new();
        }
        let read = |(wall, bytes): (i64, Vec<u8>)| {
            let at = u64::try_from(wall.saturating_sub(boot)).unwrap_or(0);
            Segment::read(at, &bytes).map(Moment::Segment)
        };
        self.0.drain(..).filter_map(read).collect()
    }
}
