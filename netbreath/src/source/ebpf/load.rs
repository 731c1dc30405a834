//! Loads the kernel programs, sets their globals and attaches each hook by the best
//! rung that this kernel allows.

use std::collections::HashMap as HashTable;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aya::maps::lpm_trie::Key;
use aya::maps::{Array, HashMap, LpmTrie, MapError};
use aya::programs::{CgroupAttachMode, CgroupSkbAttachType, Program, ProgramError};
use aya::{Ebpf as Object, EbpfError, EbpfLoader, Endianness};
use aya_log::Level;
use netbreath_common::config::{ADDR_KEY_END_BITS, AddrKey, End, PORT_WORDS, emit, filter};
use netbreath_common::hook::Hook;
use netbreath_common::offset::ABSENT;
use netbreath_common::packet::MOST_KEPT;

use super::btf::{self, Btf};
use super::forced::{self, Forced};
use super::hooks::{self, Attach, HALF_OPEN_EVENTS, Ladder, PACKET, Rung, SEND_BEGIN, SENDER};
use super::privilege::{self, Capability};
use super::tries::Tries;
use super::unseen;
use crate::event::{Family, Gap};
use crate::filter::{EventKind, Filter, Network};
use crate::source::{Ask, Packets};

/// The programs, as compiled.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/netbreath.bpf.o"));

/// Programs that are loaded and attached.
pub struct Loaded {
    pub object: Object,
    pub reached: Vec<Reached>,
    pub reasons: Reasons,
}

/// The kernel's words for what it does to packets, whose numbers differ between kernels.
#[derive(Default)]
pub struct Reasons {
    pub reset: HashTable<u32, Arc<str>>,
    pub drop: HashTable<u32, Arc<str>>,
}

impl Reasons {
    fn of(btf: &Btf) -> Reasons {
        let words = |name: &str, prefix: &str| {
            btf.enumerators(name)
                .into_iter()
                .map(|(number, word)| (number, word.trim_start_matches(prefix).into()))
                .collect()
        };
        Reasons {
            reset: words("sk_rst_reason", "SK_RST_REASON_"),
            drop: words("skb_drop_reason", "SKB_DROP_REASON_"),
        }
    }
}

/// How far up its ladder a hook came.
pub struct Reached {
    pub ladder: &'static Ladder,
    /// The rung, if any could be had.
    pub rung: Option<&'static Rung>,
    /// The better rungs, and what the kernel answered.
    pub refused: Vec<(&'static Rung, String)>,
}

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "tracing needs the privilege to load kernel programs, and {missing} is missing: run \
         it with sudo, or as a service with these; `netbreath doctor` tells of all"
    )]
    Privilege { missing: String },
    #[error(
        "there is no type information of this kernel ({source}): leave --btf FILE out to trace \
         states, ports and addresses without it, or give the BTF of the very kernel that runs"
    )]
    Btf { source: btf::Error },
    #[error(transparent)]
    Forced(#[from] forced::Error),
    #[error("cannot parse the kernel's type information: {source}")]
    AyaBtf { source: aya::BtfError },
    #[error("cannot load the kernel programs: {source}")]
    Load { source: Box<EbpfError> },
    #[error("cannot use the map {map}: {source}")]
    Map { map: &'static str, source: Box<MapError> },
    #[error("the kernel program {program} is not in the object")]
    NoProgram { program: &'static str },
    #[error("cannot attach the hook {hook} ({purpose}); {why}")]
    Hook { hook: &'static str, purpose: &'static str, why: String },
}

/// What became of a program that was to be loaded.
pub enum Verdict {
    Loaded {
        in_time: Duration,
    },
    /// The kernel has no such attach point, or its policy forbids it.
    NotHere(String),
    /// The kernel's verifier refused the program itself.
    Rejected(String),
}

/// Why a rung is not tried that reads the kernel's structures.
const NO_TYPES: &str = "it needs this kernel's type information, which is not in \
    /sys/kernel/btf/vmlinux: --btf FILE can give it";

/// What the programs are told of each other. They are loaded in the hope of the best;
/// where the kernel disappoints it, they are loaded again with what is true.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Company {
    storage: bool,
    connect: bool,
    accept: bool,
    destroy: bool,
    half_open: bool,
}

/// Loads and attaches all that `ask` needs.
pub fn load(ask: &Ask) -> Result<Loaded, Error> {
    let forced = forced::forced(&ask.rungs)?;
    let (kernel, loader) = prepare(ask)?;
    let mut loader = Some(loader);
    let wanted = emit_bits(ask);
    let tcp = wanted & emit::TCP != 0;
    let mut company = Company {
        storage: true,
        connect: true,
        accept: ask.accept_hook,
        destroy: true,
        half_open: HALF_OPEN_EVENTS & wanted != 0,
    };
    loop {
        let loader = loader.take().unwrap_or_else(self::loader);
        let mut object = open(loader, ask, &kernel, company)?;
        fill(&mut object, &ask.filter)?;
        let asked_for = |ladder: &&Ladder| {
            ladder.events & wanted != 0 && (ladder.hook != Hook::Accept || ask.accept_hook)
        };
        // In place of a better one, which is nearly always to be had.
        let stands_in = |ladder: &Ladder| match ladder.hook {
            Hook::UdpSend | Hook::UnixSend => Some(Hook::Send),
            Hook::UdpReceive | Hook::UnixReceive => Some(Hook::Receive),
            _ => None,
        };
        let ladders: Vec<_> =
            hooks::all().chain([&SEND_BEGIN, &SENDER]).filter(asked_for).collect();
        let first = ladders.iter().filter(|ladder| stands_in(ladder).is_none());
        let mut tries =
            Tries::load(&mut object, first.map(|ladder| rungs(ladder, &forced)).collect(), &kernel);
        let mut reached: Vec<Reached> = Vec::new();
        for ladder in ladders {
            let is_there = reached.iter().any(|other| other.ladder.hook == ladder.hook);
            if !is_there && !stands_in(ladder).is_some_and(|better| sees_all(&reached, better)) {
                let needed = ladder.needed || ladder.hook == Hook::Fork && ask.filter.command;
                reached.push(climb(&mut object, ladder, needed, &forced, &mut tries, &kernel)?);
            }
        }
        if let Some(packets) = &ask.packets {
            reached.push(Reached { ladder: &PACKET, rung: PACKET.rungs.first(), refused: vec![] });
            load_packets(&mut object, packets, &kernel)?;
        }

        let rung = |hook| reached.iter().find(|r| r.ladder.hook == hook).and_then(|r| r.rung);
        let true_company = Company {
            // Without TCP, nobody asks.
            storage: !tcp || reached.iter().all(Reached::allows_storage),
            connect: !tcp || rung(Hook::Connect).is_some(),
            accept: company.accept && (!tcp || rung(Hook::Accept).is_some()),
            destroy: !tcp || rung(Hook::Destroy).is_some(),
            half_open: rung(Hook::HalfOpen).is_some(),
        };
        if company == true_company {
            return Ok(Loaded { object, reached, reasons: kernel.reasons });
        }
        company = true_company;
    }
}

/// Loads the programs for packets, which are attached to interfaces later.
fn load_packets(object: &mut Object, packets: &Packets, kernel: &Kernel) -> Result<(), Error> {
    for rung in PACKET.rungs {
        for (name, point) in rung.programs() {
            let is_second_half = name.starts_with("nb_keep");
            if is_second_half && !packets.filters() {
                continue;
            }
            let program = object.program_mut(name).ok_or(Error::NoProgram { program: name })?;
            load_program(program, point, kernel).map_err(|Refusal { why, .. }| Error::Hook {
                hook: PACKET.hook.name(),
                purpose: PACKET.purpose,
                why: format!("the kernel refused {name}: {why}"),
            })?;
        }
    }
    Ok(())
}

/// Loads every program of the object on its own and attaches none.
pub fn load_all(ask: &Ask) -> Result<Vec<(String, Verdict)>, Error> {
    let (kernel, loader) = prepare(ask)?;
    let company =
        Company { storage: true, connect: true, accept: true, destroy: true, half_open: true };
    let mut object = open(loader, ask, &kernel, company)?;
    let mut all = Vec::new();
    for rung in all_rungs() {
        for (name, point) in rung.programs() {
            let program = object.program_mut(name).ok_or(Error::NoProgram { program: name })?;
            let begin = Instant::now();
            let verdict = match load_program(program, point, &kernel) {
                Ok(()) => Verdict::Loaded { in_time: begin.elapsed() },
                Err(Refusal { by_verifier: true, why }) => Verdict::Rejected(why),
                Err(Refusal { why, .. }) => Verdict::NotHere(why),
            };
            all.push((name.to_owned(), verdict));
        }
    }
    Ok(all)
}

fn all_rungs() -> impl Iterator<Item = &'static Rung> {
    hooks::all().chain([&SEND_BEGIN, &PACKET]).flat_map(|ladder| ladder.rungs)
}

/// A rung that was tried on its own.
pub struct Tried {
    pub ladder: &'static Ladder,
    pub rung: &'static Rung,
    /// What the kernel answered, if it refused it.
    pub refused: Option<String>,
}

/// Attaches every rung of every hook, and detaches it again.
pub fn try_all(ask: &Ask) -> Result<Vec<Tried>, Error> {
    let (kernel, loader) = prepare(ask)?;
    let company =
        Company { storage: true, connect: true, accept: true, destroy: true, half_open: true };
    let mut object = open(loader, ask, &kernel, company)?;
    let mut all = Vec::new();
    for ladder in hooks::all() {
        // One that needs no types is for kernels that have none: there is none else then.
        let has_types = kernel.has_types();
        for rung in ladder.rungs.iter().filter(|rung| rung.needs_types == has_types) {
            let refused = attach_rung(&mut object, rung, &mut Tries::default(), &kernel)?.err();
            unload(&mut object, rung);
            all.push(Tried { ladder, rung, refused });
        }
    }
    Ok(all)
}

/// Whether a hook on use came so far up that it sees sockets of every kind.
fn sees_all(reached: &[Reached], hook: Hook) -> bool {
    let rung = reached.iter().find(|r| r.ladder.hook == hook).and_then(|r| r.rung);
    rung.is_some_and(|rung| {
        matches!(rung.attach, Attach::BtfTracepoint("sock_send_length" | "sock_recv_length"))
    })
}

/// What the running kernel's type information tells, without the information itself,
/// which is larger than all the rest of this process.
pub struct Kernel {
    /// Offsets of all members that the programs read, by their globals.
    offsets: Vec<(&'static str, u32)>,
    /// How many parameters the attach points have of whose rungs some need so many.
    parameters: Vec<(&'static str, Option<usize>)>,
    reasons: Reasons,
    /// The ids of attach points, for aya.
    points: Option<aya::Btf>,
}

impl Kernel {
    fn ask(file: Option<&Path>) -> Result<Kernel, Error> {
        if let Some(missing) = privilege::missing() {
            return Err(Error::Privilege { missing });
        }
        let btf = match (Btf::read(file.unwrap_or(Path::new(Btf::KERNEL))), file) {
            (Ok(btf), _) => btf,
            (Err(source), Some(_)) => return Err(Error::Btf { source }),
            (Err(_), None) => return Ok(Kernel::without_types()),
        };
        let parameters = all_rungs()
            .flat_map(Rung::points)
            .filter_map(|point| match *point {
                Attach::Fexit(name, _) => Some((name, btf.parameters(name))),
                Attach::BtfArguments(name, _) => Some((name, btf.arguments(name))),
                _ => None,
            })
            .collect();
        let names: Vec<String> =
            all_rungs().flat_map(Rung::points).filter_map(Attach::type_name).collect();
        let (offsets, reasons) = (offsets(Some(&btf)), Reasons::of(&btf));
        let outline = btf.outline(&names);
        // Both are large, and what comes next makes something large again.
        drop(btf);
        let points = aya::Btf::parse(&outline, Endianness::default())
            .map_err(|source| Error::AyaBtf { source })?;
        Ok(Kernel { offsets, parameters, reasons, points: Some(points) })
    }

    /// A kernel that does not describe its types. A rung that leans on them is not tried.
    fn without_types() -> Kernel {
        Kernel {
            offsets: offsets(None),
            parameters: Vec::new(),
            reasons: Reasons::default(),
            points: None,
        }
    }

    /// Whether the kernel describes its types.
    pub const fn has_types(&self) -> bool {
        self.points.is_some()
    }

    /// The ids of attach points.
    fn points(&self) -> Result<&aya::Btf, Refusal> {
        self.points.as_ref().ok_or_else(|| NO_TYPES.to_owned().into())
    }

    fn parameters(&self, function: &str) -> Option<usize> {
        self.parameters.iter().find(|(name, _)| *name == function)?.1
    }
}

fn prepare(ask: &Ask) -> Result<(Kernel, EbpfLoader<'static>), Error> {
    let loader = loader();
    Ok((Kernel::ask(ask.btf.as_deref())?, loader))
}

/// aya's loader without the kernel's types. It reads them as soon as it is made, to forget
/// them in the next line here: 60 ms of a processor, and 20 MB. Where it cannot open their
/// file it goes on without, so it is made in a thread that can open none.
fn loader() -> EbpfLoader<'static> {
    let make = || {
        let mut loader = EbpfLoader::new();
        loader.btf(None);
        loader
    };
    let blind = std::thread::spawn(move || {
        forbid_open();
        make()
    });
    blind.join().unwrap_or_else(|_| make())
}

/// Has the kernel answer this thread, whenever it wants to open a file, that there is none.
fn forbid_open() {
    // include/uapi/linux/filter.h and seccomp.h: load the number of the system call, compare
    // it, and return what is to be done.
    const LOAD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let instruction = |code, k, jt| libc::sock_filter { code, jt, jf: 0, k };
    let mut filter = [
        instruction(LOAD, 0, 0),
        instruction(JUMP_IF_EQUAL, libc::SYS_openat as u32, 1),
        instruction(RETURN, libc::SECCOMP_RET_ALLOW, 0),
        instruction(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOENT as u32, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the filter. Why ignored: then the file is read, which only
    // takes longer.
    let _ = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
}

/// Creates the maps and prepares the programs.
fn open(
    loader: EbpfLoader<'_>,
    ask: &Ask,
    kernel: &Kernel,
    company: Company,
) -> Result<Object, Error> {
    let Ask { filter, ring_size, max_sockets, .. } = ask;
    // Owned here, since the loader keeps references.
    let mut globals = kernel.offsets.clone();
    globals.extend([
        ("FILTER", filter_bits(filter)),
        ("EMIT", emit_bits(ask)),
        ("STATES", filter.states.iter().fold(0, |bits, state| bits | state.bit())),
        ("FAMILY", filter.family.map_or(0, |family| u32::from(family.number()))),
        ("LEVEL", filter.cgroup.as_ref().map_or(0, |cgroup| cgroup.level)),
        ("HAS_STORAGE", company.storage.into()),
        ("HAS_CONNECT", company.connect.into()),
        ("HAS_ACCEPT", company.accept.into()),
        ("HAS_DESTROY", company.destroy.into()),
        ("HAS_HALF_OPEN", company.half_open.into()),
        ("SNAP_LEN", ask.packets.as_ref().map_or(MOST_KEPT as u32, |packets| packets.snap_len)),
        ("HAS_PACKET_FILTER", ask.packets.as_ref().is_some_and(Packets::filters).into()),
    ]);
    let cgroup = filter.cgroup.as_ref().map_or(0, |cgroup| cgroup.id);

    // As short-lived as what it refers to from here on.
    let mut loader: EbpfLoader<'_> = loader;
    loader.btf(kernel.points.as_ref()).allow_unsupported_maps();
    for (name, value) in &globals {
        loader.override_global(name, value, true);
    }
    loader.override_global("CGROUP", &cgroup, true);
    let level = if ask.debug_programs { Level::Debug as u8 } else { 0 };
    loader.override_global(aya_log::LEVEL, &level, true);
    loader.map_max_entries("RING", *ring_size);
    loader.map_max_entries("SLOTS_BY_ADDR", *max_sockets);
    // The kernel fills these at once, so they are small where nobody asks.
    let unix = if emit_bits(ask) & emit::UNIX == 0 { 1 } else { *max_sockets };
    loader.map_max_entries("UNIX_SLOTS", unix.min(MOST_UNIX));
    let (packets, left) = match &ask.packets {
        Some(packets) => (packets.ring_size, MOST_LEFT),
        None => (4096, 1),
    };
    loader.map_max_entries("PACKETS", packets);
    loader.map_max_entries("LEFT", left);
    loader.load(OBJECT).map_err(|source| Error::Load { source: Box::new(source) })
}

/// Connections without a full socket whose owners are remembered for their packets.
const MOST_LEFT: u32 = 65_536;

/// UNIX sockets that are remembered at most.
const MOST_UNIX: u32 = 65_536;

/// Offsets of all members that the programs read, as far as the types tell.
fn offsets(btf: Option<&Btf>) -> Vec<(&'static str, u32)> {
    macro_rules! rows {
        ($($name:ident $structure:literal $member:literal,)*) => {
            [$((stringify!($name), $structure, $member),)*]
        };
    }
    let rows = netbreath_common::for_each_offset!(rows);
    let mut names: Vec<&str> = rows.iter().map(|(_, structure, _)| *structure).collect();
    names.sort_unstable();
    names.dedup();
    let places = btf.map_or_else(Vec::new, |btf| btf.structures(&names));
    let place = |structure| names.binary_search(&structure).ok().and_then(|i| *places.get(i)?);
    rows.into_iter()
        .map(|(global, structure, member)| {
            let offset = place(structure).and_then(|at| btf?.offset(at, member));
            (global, offset.unwrap_or(ABSENT))
        })
        .collect()
}

fn filter_bits(filter: &Filter) -> u32 {
    let bits = [
        (filter::PID, !filter.pids.is_empty() || filter.command),
        (filter::FOLLOW, filter.command),
        (filter::COMM, !filter.comms.is_empty()),
        (filter::UID, !filter.uids.is_empty()),
        (filter::PORT, !filter.port.is_empty()),
        (filter::LPORT, !filter.lport.is_empty()),
        (filter::RPORT, !filter.rport.is_empty()),
        (filter::ADDR, !filter.addr.is_empty()),
        (filter::LADDR, !filter.laddr.is_empty()),
        (filter::RADDR, !filter.raddr.is_empty()),
        (filter::CGROUP, filter.cgroup.is_some()),
        (filter::NETNS, !filter.netns.is_empty()),
    ];
    bits.iter().filter(|(_, set)| *set).fold(0, |all, (bit, _)| all | bit)
}

fn emit_bits(ask: &Ask) -> u32 {
    let filter = &ask.filter;
    let bits = [
        (emit::STATE, EventKind::State),
        (emit::ACCEPT, EventKind::Accept),
        (emit::SEED, EventKind::Seed),
        (emit::OWNER, EventKind::Owner),
        (emit::HALF_OPEN, EventKind::HalfOpen),
        (emit::CONNECT_FAILED, EventKind::ConnectFailed),
        (emit::CLOSED, EventKind::Closed),
        (emit::RETRANSMIT, EventKind::Retransmit),
        (emit::RESET, EventKind::Reset),
        (emit::DROP, EventKind::Drop),
        (emit::UDP, EventKind::Udp),
        (emit::DNS, EventKind::Dns),
        (emit::UNIX, EventKind::Unix),
    ];
    let packets = if ask.packets.is_some() { emit::PACKET } else { 0 };
    // Beside packets, no events are usual.
    let wants = |kind| match ask.packets {
        Some(_) => filter.names(kind),
        None => filter.wants(kind),
    };
    // Names of owners are made from the records of processes, whoever asks for those.
    bits.iter()
        .filter(|(_, kind)| wants(*kind))
        .fold(emit::PROCESS | packets, |all, (bit, _)| all | bit)
}

/// Fills the maps that hold what the filters compare with.
fn fill(object: &mut Object, filter: &Filter) -> Result<(), Error> {
    let any_start = 0u64;
    for pid in &filter.pids {
        insert(object, "PIDS", *pid, any_start)?;
    }
    for comm in &filter.comms {
        let mut name = [0u8; 16];
        let len = comm.len().min(15);
        name[..len].copy_from_slice(&comm.as_bytes()[..len]);
        insert(object, "COMMS", name, 1u8)?;
    }
    for uid in &filter.uids {
        insert(object, "UIDS", *uid, 1u8)?;
    }
    for netns in &filter.netns {
        insert(object, "NETNS", *netns, 1u8)?;
    }
    fill_ports(object, filter)?;
    fill_addrs(object, filter)
}

fn insert<K: aya::Pod, V: aya::Pod>(
    object: &mut Object,
    map: &'static str,
    key: K,
    value: V,
) -> Result<(), Error> {
    let failed = |source| Error::Map { map, source: Box::new(source) };
    let mut table: HashMap<_, K, V> = HashMap::try_from(named(object, map)?).map_err(failed)?;
    table.insert(key, value, 0).map_err(failed)
}

fn fill_ports(object: &mut Object, filter: &Filter) -> Result<(), Error> {
    let map = "PORTS";
    let failed = |source| Error::Map { map, source: Box::new(source) };
    let mut table: Array<_, u64> = Array::try_from(named(object, map)?).map_err(failed)?;
    for (end, ranges) in
        [(End::Either, &filter.port), (End::Local, &filter.lport), (End::Remote, &filter.rport)]
    {
        let mut words = vec![0u64; PORT_WORDS as usize];
        for port in ranges.iter().cloned().flatten() {
            words[usize::from(port) / 64] |= 1 << (port % 64);
        }
        for (i, word) in words.into_iter().enumerate().filter(|(_, word)| *word != 0) {
            table.set(end as u32 * PORT_WORDS + i as u32, word, 0).map_err(failed)?;
        }
    }
    Ok(())
}

fn fill_addrs(object: &mut Object, filter: &Filter) -> Result<(), Error> {
    let map = "ADDRS";
    let failed = |source| Error::Map { map, source: Box::new(source) };
    let mut table: LpmTrie<_, Networked, u8> =
        LpmTrie::try_from(named(object, map)?).map_err(failed)?;
    for (end, networks) in
        [(End::Either, &filter.addr), (End::Local, &filter.laddr), (End::Remote, &filter.raddr)]
    {
        for Network { addr, prefix } in networks {
            let (addr, prefix) = match addr {
                std::net::IpAddr::V4(addr) => (addr.to_ipv6_mapped(), u32::from(*prefix) + 96),
                std::net::IpAddr::V6(addr) => (*addr, u32::from(*prefix)),
            };
            let key = AddrKey { end: [end as u8, 0, 0, 0], addr: addr.octets() };
            table
                .insert(&Key::new(ADDR_KEY_END_BITS + prefix, Networked(key)), 1, 0)
                .map_err(failed)?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct Networked(AddrKey);

// SAFETY: repr(C), bytes only.
unsafe impl aya::Pod for Networked {}

/// The map with this name, to change it.
pub fn named<'a>(
    object: &'a mut Object,
    map: &'static str,
) -> Result<&'a mut aya::maps::Map, Error> {
    object
        .map_mut(map)
        .ok_or(Error::Map { map, source: Box::new(MapError::InvalidName { name: map.to_owned() }) })
}

/// The rungs of a ladder that are to be tried.
fn rungs(ladder: &'static Ladder, forced: &[Forced]) -> Vec<&'static Rung> {
    match forced.iter().find(|forced| forced.hook == ladder.hook) {
        Some(forced) => forced.rung.into_iter().collect(),
        None => ladder.rungs.iter().collect(),
    }
}

/// Tries the rungs of a ladder from the best down, or only the one that is forced.
fn climb(
    object: &mut Object,
    ladder: &'static Ladder,
    needed: bool,
    forced: &[Forced],
    tries: &mut Tries,
    kernel: &Kernel,
) -> Result<Reached, Error> {
    let mut refused = Vec::new();
    for rung in rungs(ladder, forced) {
        match attach_rung(object, rung, tries, kernel)? {
            Ok(()) => return Ok(Reached { ladder, rung: Some(rung), refused }),
            Err(why) => refused.push((rung, why)),
        }
    }
    let reached = Reached { ladder, rung: None, refused };
    if needed {
        return Err(Error::Hook {
            hook: ladder.hook.name(),
            purpose: ladder.purpose,
            why: reached.why(),
        });
    }
    Ok(reached)
}

/// Loads and attaches the programs of a rung, or tells what the kernel answered.
fn attach_rung(
    object: &mut Object,
    rung: &'static Rung,
    tries: &mut Tries,
    kernel: &Kernel,
) -> Result<Result<(), String>, Error> {
    if rung.needs_types && !kernel.has_types() {
        return Ok(Err(NO_TYPES.to_owned()));
    }
    for (name, point) in rung.programs() {
        let program = object.program_mut(name).ok_or(Error::NoProgram { program: name })?;
        let loaded = tries.answer(name).unwrap_or_else(|| load_program(program, point, kernel));
        if let Err(Refusal { why, .. }) = loaded.and_then(|()| attach(program, point)) {
            // What of the rung is attached already would do half its work.
            unload(object, rung);
            return Ok(Err(why));
        }
    }
    Ok(Ok(()))
}

/// Detaches what is attached of a rung that cannot be had whole.
fn unload(object: &mut Object, rung: &Rung) {
    for (name, _) in rung.programs() {
        // Why ignored: one that was never loaded cannot be unloaded, either.
        let _ = match object.program_mut(name) {
            Some(Program::BtfTracePoint(program)) => program.unload(),
            Some(Program::RawTracePoint(program)) => program.unload(),
            Some(Program::TracePoint(program)) => program.unload(),
            Some(Program::FEntry(program)) => program.unload(),
            Some(Program::FExit(program)) => program.unload(),
            Some(Program::KProbe(program)) => program.unload(),
            Some(Program::CgroupSock(program)) => program.unload(),
            Some(Program::CgroupSockAddr(program)) => program.unload(),
            Some(Program::CgroupSkb(program)) => program.unload(),
            Some(Program::SchedClassifier(program)) => program.unload(),
            _ => Ok(()),
        };
    }
}

/// What the kernel answered to a program.
pub struct Refusal {
    by_verifier: bool,
    why: String,
}

impl From<ProgramError> for Refusal {
    fn from(error: ProgramError) -> Refusal {
        let by_verifier = matches!(&error, ProgramError::LoadError { verifier_log, .. }
            if has_text(&verifier_log.to_string()));
        Refusal { by_verifier, why: answer(&error) }
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Refusal {
        Refusal { by_verifier: false, why }
    }
}

/// Loads one program for its attach point.
pub fn load_program(program: &mut Program, point: &Attach, kernel: &Kernel) -> Result<(), Refusal> {
    match (program, point) {
        (Program::BtfTracePoint(program), Attach::BtfTracepoint(name)) => {
            program.load(name, kernel.points()?)?;
        }
        (Program::BtfTracePoint(program), Attach::BtfArguments(name, least)) => {
            match kernel.parameters(name) {
                Some(n) if n < *least => {
                    return Err(format!("{name} has {n} arguments here").into());
                }
                // None: this kernel has no such tracepoint, and says so itself.
                _ => program.load(name, kernel.points()?)?,
            }
        }
        (Program::RawTracePoint(program), Attach::RawTracepoint(_)) => program.load()?,
        (Program::TracePoint(program), Attach::Tracepoint(_)) => program.load()?,
        (Program::FEntry(program), Attach::Fentry(name)) => {
            program.load(name, kernel.points()?)?;
        }
        (Program::FExit(program), Attach::Fexit(name, parameters)) => match kernel.parameters(name)
        {
            None => return Err(format!("this kernel has no function {name}").into()),
            Some(n) if *parameters != 0 && n != *parameters => {
                return Err(format!("{name} has {n} parameters here").into());
            }
            Some(_) => program.load(name, kernel.points()?)?,
        },
        (Program::KProbe(program), Attach::Kprobe(_)) => program.load()?,
        (Program::SockOps(program), Attach::SockOps) => program.load()?,
        (Program::CgroupSock(program), Attach::Cgroup(_)) => program.load()?,
        (Program::CgroupSockAddr(program), Attach::Cgroup(_)) => program.load()?,
        (Program::CgroupSkb(program), Attach::Cgroup(_)) => program.load()?,
        (Program::SchedClassifier(program), Attach::Traffic) => program.load()?,
        (Program::Iter(program), Attach::Iterator(name)) => {
            program.load(name, kernel.points()?)?;
        }
        _ => {
            return Err("the program is of another type than its rung".to_owned().into());
        }
    }
    Ok(())
}

/// Attaches a program that is loaded. An iterator is started when it is read.
fn attach(program: &mut Program, point: &Attach) -> Result<(), Refusal> {
    match (program, point) {
        (Program::BtfTracePoint(program), _) => _ = program.attach()?,
        (Program::RawTracePoint(program), Attach::RawTracepoint(name)) => {
            program.attach(name)?;
        }
        (Program::TracePoint(program), Attach::Tracepoint(names)) => {
            mount_tracefs()?;
            for (category, name) in *names {
                program.attach(category, name)?;
            }
        }
        (Program::FEntry(program), _) => _ = program.attach()?,
        (Program::FExit(program), _) => _ = program.attach()?,
        (Program::KProbe(program), Attach::Kprobe(name)) => _ = program.attach(*name, 0)?,
        // With a link, the kernel lets others' programs stay whatever the mode says.
        (Program::SockOps(program), _) => {
            program.attach(root()?, CgroupAttachMode::Single)?;
        }
        (Program::CgroupSock(program), _) => {
            program.attach(root()?, CgroupAttachMode::Single)?;
        }
        (Program::CgroupSockAddr(program), _) => {
            program.attach(root()?, CgroupAttachMode::Single)?;
        }
        (Program::CgroupSkb(program), Attach::Cgroup(point)) => {
            let point = match *point {
                "ingress" => CgroupSkbAttachType::Ingress,
                _ => CgroupSkbAttachType::Egress,
            };
            program.attach(root()?, point, CgroupAttachMode::Single)?;
        }
        _ => {}
    }
    Ok(())
}

/// The root of the unified cgroup hierarchy.
fn root() -> Result<std::fs::File, Refusal> {
    let root = cgroup_root().ok_or_else(|| "no cgroup2 file system is mounted".to_owned())?;
    std::fs::File::open(&root)
        .map_err(|error| format!("cannot open {}: {error}", root.display()).into())
}

/// What the kernel answered, in one line: a verifier's log goes to a file.
pub fn answer(error: &ProgramError) -> String {
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        let mut text = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        return text.replace('\n', " ");
    };
    let log = verifier_log.to_string();
    if !has_text(&log) {
        return io_error.to_string();
    }
    match keep(&log) {
        Some(path) => format!("{io_error}; the verifier's log is in {}", path.display()),
        None => format!("{io_error}; the verifier's log could not be written"),
    }
}

/// Whether the verifier wrote anything: it does not where a policy refuses.
fn has_text(log: &str) -> bool {
    !matches!(log.trim(), "" | "[none]")
}

/// Writes a log to a file of this process.
fn keep(log: &str) -> Option<PathBuf> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = std::env::temp_dir().join(format!("netbreath-verifier-{}.log", std::process::id()));
    // Never through a link that somebody else has laid in a shared folder.
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .ok()?;
    writeln!(file, "{log}").ok()?;
    Some(path)
}

/// Mounts tracefs where nobody has: the ids of tracepoints stand in it.
fn mount_tracefs() -> Result<(), String> {
    const PLACE: &std::ffi::CStr = c"/sys/kernel/tracing";
    match tracefs() {
        Tracefs::Open => return Ok(()),
        Tracefs::Closed => {
            return Err(format!(
                "this user may not enter tracefs: that takes {}",
                privilege::DAC_READ_SEARCH.name
            ));
        }
        Tracefs::None => {}
    }
    // SAFETY: all pointers are NUL-terminated strings.
    let done = unsafe {
        libc::mount(
            c"nodev".as_ptr(),
            PLACE.as_ptr(),
            c"tracefs".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            std::ptr::null(),
        )
    };
    if done == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(format!(
        "tracefs is not mounted and cannot be ({error}): that takes {}; as root: mount -t tracefs \
         nodev /sys/kernel/tracing",
        privilege::SYS_ADMIN.name
    ))
}

/// The file system of tracepoints, as this process sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracefs {
    Open,
    /// Mounted, but only root may enter.
    Closed,
    None,
}

/// Whether tracefs can be read.
pub fn tracefs() -> Tracefs {
    let mut answer = Tracefs::None;
    for place in ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"] {
        match std::fs::read_dir(place) {
            Ok(_) => return Tracefs::Open,
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                // The folder is the file system's own where that is mounted; debugfs hides it.
                if is_mounted("tracefs") {
                    answer = Tracefs::Closed;
                }
            }
            Err(_) => {}
        }
    }
    answer
}

fn is_mounted(kind: &str) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| line.split(' ').nth(2) == Some(kind))
}

/// Where the unified cgroup hierarchy is mounted.
pub fn cgroup_root() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (path, kind) = (fields.nth(1)?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    })
}

impl Reached {
    /// The capability that this process lacks and that might have got the hook further.
    pub fn missing(&self) -> Option<&'static Capability> {
        let mut needs = self.refused.iter().filter_map(|(rung, _)| match rung.attach {
            Attach::SockOps | Attach::Cgroup(_) => Some(&privilege::NET_ADMIN),
            Attach::Tracepoint(_) => Some(match tracefs() {
                Tracefs::Closed => &privilege::DAC_READ_SEARCH,
                Tracefs::None | Tracefs::Open => &privilege::SYS_ADMIN,
            }),
            _ => None,
        });
        needs.rfind(|needed| !needed.is_held())
    }

    /// The gap that this leaves in what can be seen, if any.
    pub fn gap(&self) -> Option<Gap> {
        let unseen = self.unseen();
        let what = match self.rung {
            None => self.ladder.purpose.to_owned(),
            Some(_) if unseen.is_empty() => return None,
            Some(_) => format!("not seen here: {}", unseen::sentence(&unseen)),
        };
        Some(Gap {
            what,
            why: self.why(),
            unseen: unseen::names(&unseen),
            mend: match self.missing() {
                Some(missing) => format!("give netbreath {}", missing.name),
                None => "`netbreath doctor` tells why".to_owned(),
            },
            hook: Some(self.ladder.hook.name().to_owned()),
            count: 0,
        })
    }

    /// What the rung does not show.
    pub fn unseen(&self) -> Vec<unseen::Unseen> {
        self.rung.map_or_else(Vec::new, |rung| self.ladder.unseen(rung))
    }

    fn allows_storage(&self) -> bool {
        self.rung.is_none_or(|rung| self.ladder.allows_storage(rung))
    }

    /// Why no better rung was reached.
    fn why(&self) -> String {
        if self.refused.is_empty() {
            return "--rung has it so".to_owned();
        }
        let refused: Vec<String> = self
            .refused
            .iter()
            .map(|(rung, why)| format!("{}: {why}", self.ladder.name_of(rung)))
            .collect();
        format!("the kernel refused {}", refused.join("; "))
    }
}

/// Family numbers are those of the record.
const _: () = assert!(Family::V4.number() == 4 && Family::V6.number() == 6);
