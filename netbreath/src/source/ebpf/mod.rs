//! Events from kernel programs.

use std::cell::RefCell;
use std::collections::{HashMap as Table, HashSet};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf};
use aya::programs::Program;
use aya::sys::{Stats, SyscallError, enable_stats};
use aya_obj::generated::{bpf_cmd, bpf_prog_info};
use netbreath_common::config::start;
use netbreath_common::hook::Hook;
use netbreath_common::miss::{self, Miss};
use netbreath_common::record::{self, Program as ProgramRecord, Seed, Unix};
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::clock::{awake_time, boot, boot_time};
use super::{Ask, Cost, Source, gap};
use crate::event::{Body, Event, Gap, Via};
use crate::filter::EventKind;
use crate::life::{Answer, Asked, Input, Life, Look, Rules, Wheel};

mod armed;
mod btf;
mod debug;
mod decode;
mod dns;
mod forced;
pub mod helper;
pub mod holder;
mod hooks;
mod load;
mod look;
pub mod packet;
pub mod privilege;
mod process;
mod raw;
mod tries;
mod unseen;

use armed::Armed;
use helper::Helper;
pub use load::{Reached, Tracefs, Tried, Verdict, cgroup_root, tracefs};
pub use unseen::sentence;

/// How often the ring is drained while there is work. A lone event does not wait so
/// long: it wakes the reader itself.
const DRAIN_EVERY: Duration = Duration::from_millis(4);

/// Records of several CPUs can lie in the ring in another order than they happened,
/// for as long as a program takes from its clock to its record. Younger ones than
/// this are held back and sorted with those that follow.
const WATERMARK: Duration = Duration::from_micros(200);

/// Events that are decoded before they are handed on. More would take memory, and
/// time from one flush of the output to the next.
const BATCH: usize = 4096;

/// How often counters and clock are looked at while there is work.
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Hooks in the kernel, and the reader of what they tell.
pub struct Ebpf {
    /// Keeps the programs attached.
    object: aya::Ebpf,
    reached: Vec<Reached>,
    ring: AsyncFd<RingBuf<MapData>>,
    armed: Armed,
    misses: PerCpuArray<MapData, u64>,
    stood_in: PerCpuArray<MapData, u64>,
    decoder: decode::Decoder,
    debug: Option<debug::Lines>,
    /// As long as it is open, the kernel measures its programs.
    measures: Option<OwnedFd>,
    /// Decoded and in order, but younger than the watermark.
    held: Vec<Input>,
    life: Life,
    look: Looking,
    /// To be delivered before anything else.
    first: Vec<Event>,
    /// When the ring is drained next; nothing if the reader is idle.
    drain_at: Option<Instant>,
    check_at: Instant,
    /// Wall-clock time of boot, as last told.
    boot: i64,
    counted: Table<(Hook, Miss), u64>,
    /// How often the kernel has skipped each hook of `reached`.
    skipped: Vec<Skipped>,
    lost: u64,
    /// Half-open connections are asked for, and the filters let through each that becomes a
    /// connection that they let through.
    half_opens_whole: bool,
    /// Sockets whose life could not be followed, as far as they are in `lost`.
    evicted: u64,
}

/// Who looks for sockets.
enum Looking {
    Itself(look::SockDiag),
    Asks(Rc<RefCell<Helper>>),
}

impl Look for Looking {
    fn look(
        &mut self,
        netns: Option<u32>,
        pids: &mut dyn Iterator<Item = u32>,
        asked: &[Asked],
        answers: &mut Vec<Answer>,
    ) {
        match self {
            Looking::Itself(look) => look.look(netns, pids, asked, answers),
            Looking::Asks(helper) => helper.borrow_mut().look(netns, pids, asked, answers),
        }
    }
}

/// Calls of a hook's program that the kernel has skipped.
#[derive(Clone, Copy, Default)]
struct Skipped {
    /// Of the first program of a pair, or the only one.
    calls: u64,
    /// Those that no other program has taken either, which a gap has told.
    told: u64,
}

/// Why the kernel programs give no events.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Load(#[from] load::Error),
    #[error("cannot use the map {map}: {source}")]
    Map { map: &'static str, source: Box<MapError> },
    #[error("cannot share the word that wakes the reader: {source}")]
    Armed { source: std::io::Error },
    #[error("cannot wait for the ring: {source}")]
    Ring { source: std::io::Error },
    #[error("cannot read what exists already (the pass {hook}): {source}")]
    Pass { hook: &'static str, source: std::io::Error },
    #[error("cannot follow the process {pid}: {source}")]
    Follow { pid: u32, source: Box<MapError> },
    #[error("cannot have the kernel measure its programs: {source}")]
    Measure { source: SyscallError },
    #[error("cannot read the kernel programs' debug lines: {source}")]
    Debug { source: aya_log::Error },
    #[error("cannot capture on {interface}: the kernel refused tcx: {tcx}; and clsact: {clsact}")]
    Attach { interface: String, tcx: String, clsact: String },
    #[error(transparent)]
    Filter(#[from] crate::packet::filter::Error),
    #[error("the kernel refused the filter {text:?}: {source}; {said}")]
    FilterRefused { text: String, source: std::io::Error, said: String },
    #[error("cannot hand the filter to the programs for packets: {source}")]
    FilterPlace { source: std::io::Error },
    #[error(
        "the filter {text:?} is for interfaces with more than {most} kinds of link-layer headers: \
         capture on fewer of them"
    )]
    FilterKinds { text: String, most: u32 },
    #[error("the kernel programs and this reader disagree: a packet's record has {len} bytes")]
    Packet { len: usize },
    #[error("the kernel programs and this reader disagree: {source}")]
    Decode { source: decode::Error },
}

impl Error {
    /// Only a privilege is missing.
    pub const fn is_privilege(&self) -> bool {
        matches!(self, Error::Load(load::Error::Privilege { .. }))
    }

    /// The kernel takes no such programs from us; what was asked for makes sense.
    pub const fn is_of_programs(&self) -> bool {
        matches!(self, Error::Load(_) | Error::Attach { .. } | Error::FilterRefused { .. })
    }
}

/// Attaches the hooks and takes stock of the sockets that exist. When this returns,
/// nothing that happens is missed but what a gap tells.
pub fn open(ask: &Ask) -> Result<Ebpf, Error> {
    open_with(ask, None)
}

/// The same, for a process that will give up its privileges: what needs them later is
/// asked of `helper`.
pub fn open_with(ask: &Ask, helper: Option<Helper>) -> Result<Ebpf, Error> {
    let helper = helper.map(|helper| Rc::new(RefCell::new(helper)));
    let paths = match &helper {
        Some(helper) => decode::Paths::Asked(Rc::clone(helper)),
        None => decode::Paths::Below(load::cgroup_root()),
    };
    let load::Loaded { mut object, reached, reasons } = load::load(ask)?;
    let ring = RingBuf::try_from(take(&mut object, "RING")?).map_err(failed("RING"))?;
    // SAFETY: the ring keeps its descriptor open, and the same, until it is dropped.
    let ring = unsafe { AsyncFd::register_with_interest(ring, tokio::io::Interest::READABLE) }
        .map_err(|error| Error::Ring { source: error.into_parts().1 })?;
    let armed = Armed::map(take(&mut object, "ARMED")?)?;
    let misses = PerCpuArray::try_from(take(&mut object, "MISSES")?).map_err(failed("MISSES"))?;
    let stood_in =
        PerCpuArray::try_from(take(&mut object, "STOOD_IN")?).map_err(failed("STOOD_IN"))?;
    let debug = if ask.debug_programs {
        Some(debug::Lines::of(&mut object).map_err(|source| Error::Debug { source })?)
    } else {
        None
    };
    let measures = if ask.costs {
        Some(enable_stats(Stats::RunTime).map_err(|source| Error::Measure { source })?)
    } else {
        None
    };
    let (now, skipped) = (Instant::now(), reached.len());
    let rules = rules(ask, &reached);
    let mut source = Ebpf {
        object,
        reached,
        ring,
        armed,
        misses,
        stood_in,
        decoder: decode::Decoder::new(paths, reasons, &ask.filter, ask.owner_from_cpu),
        debug,
        measures,
        held: Vec::new(),
        life: Life::new(rules),
        look: match helper {
            Some(helper) => Looking::Asks(helper),
            None => Looking::Itself(look::SockDiag::default()),
        },
        first: Vec::new(),
        drain_at: Some(now),
        check_at: now + CHECK_EVERY,
        boot: boot(),
        counted: Table::new(),
        skipped: vec![Skipped::default(); skipped],
        lost: 0,
        evicted: 0,
        half_opens_whole: rules.complete && ask.filter.wants(EventKind::HalfOpen),
    };
    source.begin()?;
    Ok(source)
}

/// The path of a control group below the root of the unified hierarchy, by its id.
pub fn cgroup_path(id: u64) -> Option<String> {
    let cgroup = decode::cgroup_path(&load::cgroup_root()?, id)?;
    Some(cgroup.to_string())
}

/// Attaches the hooks, looks how far each came, and detaches them.
pub fn examine(ask: &Ask) -> Result<Vec<Reached>, Error> {
    Ok(load::load(ask)?.reached)
}

/// Attaches every rung of every hook, each on its own.
pub fn try_all(ask: &Ask) -> Result<Vec<Tried>, Error> {
    Ok(load::try_all(ask)?)
}

/// Loads every program on its own.
pub fn load_all(ask: &Ask) -> Result<Vec<(String, Verdict)>, Error> {
    Ok(load::load_all(ask)?)
}

/// What the stage behind decoding can rest on.
fn rules(ask: &Ask, reached: &[Reached]) -> Rules {
    let filter = &ask.filter;
    let rung = |hook| reached.iter().find(|r| r.ladder.hook == hook).and_then(|r| r.rung);
    // These keep a socket whole, or leave it out whole; those on owners can change their
    // mind when it changes hands.
    let whole = filter.pids.is_empty()
        && !filter.command
        && filter.comms.is_empty()
        && filter.uids.is_empty()
        && filter.states.is_empty();
    Rules {
        complete: whole
            && filter.wants(EventKind::State)
            && rung(Hook::SockState).is_some_and(|rung| rung.sees_every_transition()),
        start: boot_time(),
        requests_told: false,
        minis_told: rung(Hook::Mini).is_some(),
        states: filter.states.iter().fold(0, |bits, state| bits | state.bit()),
        max_sockets: ask.max_sockets as usize,
        wheel: None,
    }
}

fn take(object: &mut aya::Ebpf, map: &'static str) -> Result<aya::maps::Map, Error> {
    object
        .take_map(map)
        .ok_or_else(|| MapError::InvalidName { name: map.to_owned() })
        .map_err(failed(map))
}

fn failed(map: &'static str) -> impl Fn(MapError) -> Error {
    move |source| Error::Map { map, source: Box::new(source) }
}

impl Source for Ebpf {
    type Error = Error;

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        loop {
            if !self.first.is_empty() {
                events.append(&mut self.first);
                return Ok(());
            }
            let Some(drain_at) = self.drain_at else {
                let due = self.life.deadline();
                if self.wait(due).await? {
                    self.drain_at = Some(Instant::now());
                    continue;
                }
                self.tick(events);
                if events.is_empty() {
                    continue;
                }
                return Ok(());
            };
            tokio::time::sleep_until(drain_at).await;
            let drained = self.drain()?;
            let full = self.held.len() >= BATCH;
            self.release(events, Some(WATERMARK));
            if full {
                self.drain_at = Some(Instant::now());
            } else if drained {
                self.drain_at = Some(Instant::now() + DRAIN_EVERY);
            } else if !self.held.is_empty() {
                self.drain_at = Some(Instant::now() + WATERMARK);
            } else {
                self.drain_at = self.rest()?;
            }
            self.tick(events);
            self.check(events)?;
            if !events.is_empty() {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        events.append(&mut self.first);
        while self.drain()? {
            self.release(events, None);
        }
        self.release(events, None);
        self.count_misses(events)?;
        self.count_skipped(events)
    }

    fn follow(&mut self, pid: u32) -> Result<(), Error> {
        let failed = |source| Error::Follow { pid, source: Box::new(source) };
        let map = load::named(&mut self.object, "PIDS")?;
        let mut pids: HashMap<_, u32, u64> = HashMap::try_from(map).map_err(failed)?;
        // Its start is not compared: the caller holds the process.
        pids.insert(pid, 0, 0).map_err(failed)
    }

    fn lost(&self) -> u64 {
        self.lost
    }

    fn costs(&self) -> Vec<Cost> {
        if self.measures.is_none() {
            return Vec::new();
        }
        let rungs = self.reached.iter().filter_map(|reached| Some((reached, reached.rung?)));
        rungs
            .flat_map(|(reached, rung)| rung.programs().map(move |(name, _)| (reached, name)))
            .filter_map(|(reached, program)| {
                let info = info(self.object.program(program)?)?;
                Some(Cost {
                    hook: reached.ladder.hook.name(),
                    program,
                    calls: info.run_cnt,
                    time: Duration::from_nanos(info.run_time_ns),
                })
            })
            .collect()
    }
}

impl Ebpf {
    /// What a recording starts with: the clock, the gaps, the sockets that exist.
    fn begin(&mut self) -> Result<(), Error> {
        let at = boot_time();
        self.first.push(Event { at, via: Via::Timer, body: Body::Clock { boot: self.boot } });
        for gap in self.reached.iter().filter_map(Reached::gap) {
            self.first.push(Event { at, via: Via::Kernel, body: Body::Gap(gap) });
        }
        if !privilege::DAC_READ_SEARCH.is_held() {
            let gap = gap::no_cgroups(privilege::DAC_READ_SEARCH.name);
            self.first.push(Event { at, via: Via::Kernel, body: Body::Gap(gap) });
        }
        // Processes first: they own the sockets.
        self.pass(Hook::Processes, size_of::<ProgramRecord>())?;
        let wheel = self.wheel()?;
        self.life.set_wheel(wheel);
        self.pass(Hook::Seed, size_of::<Seed>())?;
        self.requests()?;
        self.pass(Hook::SeedUdp, size_of::<Seed>())?;
        self.pass(Hook::SeedUnix, size_of::<Unix>())
    }

    /// Reads the pass of an iterator, which writes records of `len` bytes.
    fn pass(&mut self, hook: Hook, len: usize) -> Result<(), Error> {
        let rung = self
            .reached
            .iter()
            .find(|reached| reached.ladder.hook == hook)
            .and_then(|reached| reached.rung);
        let Some(rung) = rung else { return Ok(()) };
        let Some(Program::Iter(program)) = self.object.program_mut(rung.program) else {
            return Ok(());
        };
        let hook = hook.name();
        let io = |error: &dyn std::fmt::Display| Error::Pass {
            hook,
            source: std::io::Error::other(error.to_string()),
        };
        let link = program.attach().map_err(|error| io(&error))?;
        let link = program.take_link(link).map_err(|error| io(&error))?;
        let mut file = link.into_file().map_err(|error| io(&error))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|source| Error::Pass { hook, source })?;
        for bytes in bytes.chunks(len) {
            let input = self.decoder.input(bytes).map_err(|source| Error::Decode { source })?;
            if let Some(input) = input {
                self.life.apply(input, &mut self.look, &mut self.first);
            }
        }
        Ok(())
    }

    /// Reads what is in the ring, so that all is known of processes that was told. Events
    /// are delivered later.
    fn catch_up(&mut self) -> Result<(), Error> {
        if self.drain()? {
            self.drain_at.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Decodes what is in the ring into `held`. Whether there was anything.
    fn drain(&mut self) -> Result<bool, Error> {
        if let Some(lines) = &mut self.debug {
            lines.write();
        }
        let Ebpf { ring, decoder, held, .. } = self;
        let (mut any, mut missed) = (false, None);
        let mut sorted = true;
        let mut last = held.last().map_or(0, Input::at);
        while held.len() < BATCH
            && let Some(bytes) = ring.get_mut().next()
        {
            any = true;
            if let Some(header) = record::header(&bytes)
                && header.lost + header.missed > 0
            {
                missed = missed.or(Some(held.len()));
            }
            let Some(input) = decoder.input(&bytes).map_err(|source| Error::Decode { source })?
            else {
                continue;
            };
            sorted &= last <= input.at();
            last = input.at();
            held.push(input);
        }
        if let Some(place) = missed {
            // The gap stands before the first record that tells of it.
            let mut gaps = Vec::new();
            self.count_misses(&mut gaps)?;
            let at = self.held.get(place).map_or_else(boot_time, Input::at);
            for gap in gaps.into_iter().rev() {
                self.held.insert(place, Input::Event(Event { at, ..gap }));
            }
        }
        if !sorted {
            // Stable: events of one socket keep the ring's order.
            self.held.sort_by_key(Input::at);
        }
        Ok(any)
    }

    /// Hands out what is older than the watermark, or everything.
    fn release(&mut self, events: &mut Vec<Event>, watermark: Option<Duration>) {
        let until = match watermark {
            Some(watermark) => boot_time().saturating_sub(watermark.as_nanos() as u64),
            None => u64::MAX,
        };
        let ready = self.held.partition_point(|input| input.at() <= until);
        for input in self.held.drain(..ready) {
            self.life.apply(input, &mut self.look, events);
        }
    }

    /// Goes to rest, unless there is something in the ring after all: says when to
    /// drain next, or that a record will wake us.
    fn rest(&mut self) -> Result<Option<Instant>, Error> {
        self.armed.set();
        let came = self.drain()?;
        Ok(came.then(Instant::now))
    }

    /// Sleeps until a record wakes us, or until `due`. Whether it was a record.
    async fn wait(&mut self, due: Option<u64>) -> Result<bool, Error> {
        let left = due.map(|due| Duration::from_nanos(due.saturating_sub(boot_time())));
        tokio::select! {
            biased;
            ready = self.ring.readable() => {
                ready.map_err(|source| Error::Ring { source })?.clear_ready();
                Ok(true)
            }
            () = after(left) => Ok(false),
        }
    }

    /// Looks at what has its deadline. Only when all that came before is delivered, so
    /// that events stay in order.
    fn tick(&mut self, events: &mut Vec<Event>) {
        let Some(due) = self.life.deadline() else { return };
        let now = boot_time();
        if due > now || !self.held.is_empty() {
            return;
        }
        self.life.tick(now, &mut self.look, events);
        self.lost += self.life.evicted() - self.evicted;
        self.evicted = self.life.evicted();
    }

    /// Whether each connection without a request came by a SYN cookie: not where there may be
    /// requests that are older than the hooks.
    fn requests(&mut self) -> Result<(), Error> {
        let rung = |hook| self.reached.iter().any(|r| r.ladder.hook == hook && r.rung.is_some());
        let hooked = self.half_opens_whole && rung(Hook::HalfOpen) && rung(Hook::Seed);
        let map = load::named(&mut self.object, "OLD_REQUESTS")?;
        let old: HashMap<_, u32, u8> = HashMap::try_from(map).map_err(failed("OLD_REQUESTS"))?;
        let old: HashSet<u32> =
            old.keys().collect::<Result<_, _>>().map_err(failed("OLD_REQUESTS"))?;
        let whole = old.len() < start::NAMESPACES as usize;
        self.life.set_requests_told(hooked && whole, old);
        Ok(())
    }

    /// The kernel's timers, as one of the programs has seen their clock.
    fn wheel(&mut self) -> Result<Option<Wheel>, Error> {
        let map = load::named(&mut self.object, "START")?;
        let mut start: Array<_, u64> = Array::try_from(map).map_err(failed("START"))?;
        let jiffies = start.get(&start::JIFFIES, 0).map_err(failed("START"))?;
        let monotonic = start.get(&start::MONOTONIC, 0).map_err(failed("START"))?;
        if jiffies == 0 {
            return Ok(None);
        }
        // The time since boot goes on while the machine sleeps.
        let asleep = boot_time().saturating_sub(awake_time());
        let wheel = Wheel::new(jiffies, monotonic, monotonic + asleep);
        let hz = wheel.map_or(0, |wheel| wheel.hz());
        start.set(start::HZ, hz, 0).map_err(failed("START"))?;
        Ok(wheel)
    }

    /// From time to time while there is work: counters that no record tells of, and
    /// steps of the wall clock.
    fn check(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        let now = Instant::now();
        if now < self.check_at {
            return Ok(());
        }
        self.check_at = now + CHECK_EVERY;
        self.count_skipped(events)?;
        /// Smaller steps are the clock's discipline, not news.
        const STEP: u64 = 1_000_000;
        let boot = boot();
        if boot.abs_diff(self.boot) > STEP {
            self.boot = boot;
            events.push(Event { at: boot_time(), via: Via::Timer, body: Body::Clock { boot } });
        }
        Ok(())
    }

    /// Appends a gap for each kind of miss that has come since the last call.
    fn count_misses(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        for hook in Hook::ALL {
            for miss in Miss::ALL {
                let per_cpu =
                    self.misses.get(&miss::counter(hook, miss), 0).map_err(failed("MISSES"))?;
                let total: u64 = per_cpu.iter().sum();
                let counted = self.counted.entry((hook, miss)).or_insert(0);
                let count = total - *counted;
                *counted = total;
                if count > 0 {
                    self.lost += count;
                    events.push(here(gap::missed(hook, miss, count)));
                }
            }
        }
        Ok(())
    }

    /// Appends a gap for each hook that the kernel has skipped since the last call.
    fn count_skipped(&mut self, events: &mut Vec<Event>) -> Result<(), Error> {
        for (reached, skipped) in self.reached.iter().zip(&mut self.skipped) {
            if reached.ladder.hook == Hook::Destroy {
                // It tells nothing: what stays behind in the map is known to be stale by
                // its cookie.
                continue;
            }
            let Some(rung) = reached.rung else { continue };
            let calls: u64 = rung
                .programs()
                .filter(|(name, _)| Some(*name) != rung.second)
                .filter_map(|(name, _)| info(self.object.program(name)?))
                .map(|info| info.recursion_misses)
                .sum();
            if calls == skipped.calls {
                continue;
            }
            skipped.calls = calls;
            let mut total = calls;
            if rung.second.is_some() {
                // Read after the misses: the second program comes behind the first.
                let per_cpu = self
                    .stood_in
                    .get(&(reached.ladder.hook as u32), 0)
                    .map_err(failed("STOOD_IN"))?;
                total = total.saturating_sub(per_cpu.iter().sum());
            }
            let hook = reached.ladder.hook;
            let count = total.saturating_sub(skipped.told);
            if count > 0 {
                skipped.told = total;
                self.lost += count;
                events.push(here(gap::skipped(hook, count)));
            }
        }
        Ok(())
    }
}

async fn after(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

fn here(gap: Gap) -> Event {
    Event { at: boot_time(), via: Via::Kernel, body: Body::Gap(gap) }
}

/// What the kernel tells of a program.
fn info(program: &Program) -> Option<bpf_prog_info> {
    let fd = program.fd().ok()?.as_fd().as_raw_fd();
    #[repr(C)]
    struct Attributes {
        fd: u32,
        len: u32,
        info: u64,
    }
    // SAFETY: all bytes zero is a valid value of a structure of integers.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let attributes = Attributes {
        fd: fd as u32,
        len: size_of::<bpf_prog_info>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: the kernel writes no more than `len` bytes to `info`.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            bpf_cmd::BPF_OBJ_GET_INFO_BY_FD as libc::c_long,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    (done == 0).then_some(info)
}
