//! Sockets and who holds them, asked now. The sockets come from sock_diag; their holders
//! from one pass of a kernel program over all open files, or from a walk through `/proc`,
//! whichever is expected to cost less.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use netbreath_common::tcp::TcpState;

use super::netlink::diag::Wanted;
use super::netlink::{self, Netlink};
use crate::event::{Family, Gap};
use crate::source::ebpf::holder;
use crate::table::socket::{
    Ends, Holders, Process, Proto, Protos, Socket, Sockets, Summary, UnixEnds, UnixSeen,
};

mod table;
mod walk;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub protos: Protos,
    /// Of Internet sockets; none is both.
    pub family: Option<Family>,
    /// States, as bits.
    pub states: u32,
    pub memory: bool,
    pub info: bool,
    pub tos: bool,
    pub paths: bool,
    /// What only `/proc/net/unix` tells of UNIX sockets, and in its order.
    pub unix_seen: bool,
    pub holders: Who,
    /// Of the namespace with this name, file or process, not of ours.
    pub netns: Option<PathBuf>,
    /// Of every namespace that can be entered.
    pub all_netns: bool,
    /// Holders only among these processes, if it is known beforehand.
    pub pids: Option<Vec<u32>>,
    /// How to find holders, for tests and for who wants to compare.
    pub way: Option<Way>,
}

/// What is wanted of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nothing.
    Nobody,
    /// Their names.
    Names,
    /// Their first arguments too, as netstat shows them.
    Arguments,
}

/// How holders are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A kernel program that sees all open files.
    Iterator,
    /// A look at every descriptor in `/proc`.
    Walk,
}

impl Default for Ask {
    fn default() -> Ask {
        Ask {
            protos: Protos::default(),
            family: None,
            states: ALL_STATES,
            memory: false,
            info: false,
            tos: false,
            paths: false,
            unix_seen: false,
            holders: Who::Nobody,
            netns: None,
            all_netns: false,
            pids: None,
            way: None,
        }
    }
}

/// The states that tools know, as bits: what is only bound is none of them.
pub const ALL_STATES: u32 = 0xfff;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
    #[error(
        "there is no network namespace {name:?}: give a name that `ip netns` shows, a file such as \
         /proc/PID/ns/net, or pid:N"
    )]
    NoNamespace { name: String, source: io::Error },
    #[error("cannot enter the network namespace {name:?}: {source}; that takes CAP_SYS_ADMIN")]
    Enter { name: String, source: io::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: &'static str, source: io::Error },
}

impl Error {
    pub fn is_privilege(&self) -> bool {
        match self {
            Error::Netlink(error) => error.is_privilege(),
            Error::Enter { source, .. }
            | Error::NoNamespace { source, .. }
            | Error::Read { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
        }
    }
}

/// The sockets that `ask` is about, and who holds them.
pub fn sockets(ask: &Ask) -> Result<Sockets, Error> {
    // Beside each other: they share nothing, and each takes as long as there are sockets.
    std::thread::scope(|scope| {
        let way = match &ask.pids {
            // A few processes are looked at one by one.
            Some(_) => Way::Walk,
            None => ask.way.unwrap_or_else(|| cheaper(&Load::read())),
        };
        let other = (ask.holders != Who::Nobody && way == Way::Iterator)
            .then(|| scope.spawn(|| holder::pass(ask.all_netns)));
        let mut sockets = Sockets::default();
        for part in parts(ask)? {
            sockets.interfaces.extend(part.interfaces);
            if sockets.rows.is_empty() {
                sockets.rows = part.rows;
            } else {
                sockets.rows.extend(part.rows);
            }
        }
        let mut iterated = match other {
            None => None,
            Some(thread) => match thread.join() {
                Ok(Ok(found)) => Some(found.holders),
                // Privilege, types or a policy: the walk answers the same, if more slowly.
                Ok(Err(error)) => {
                    sockets.gaps.extend(refused(ask, &error));
                    None
                }
                Err(_) => None,
            },
        };
        if ask.holders == Who::Nobody {
            return Ok(sockets);
        }
        sockets.holders = match iterated.take() {
            Some(holders) => holders,
            None => {
                let walked = walk::walk(ask.pids.as_deref())
                    .map_err(|source| Error::Read { path: "/proc", source })?;
                sockets.holders = walked.holders;
                match seen_through(ask, &sockets, walked.closed) {
                    Some(holders) => holders,
                    None => {
                        if walked.closed > 0 {
                            sockets.gaps.push(closed(walked.closed));
                        }
                        std::mem::take(&mut sockets.holders)
                    }
                }
            }
        };
        describe(&mut sockets, ask.holders);
        Ok(sockets)
    })
}

/// Leaves only those who hold one of the sockets, and completes what is known of them.
fn describe(sockets: &mut Sockets, who: Who) {
    let mut inodes: Vec<u32> = sockets.rows.iter().map(|row| row.inode).collect();
    inodes.sort_unstable();
    sockets.holders.retain(|inode| inodes.binary_search(&inode).is_ok());
    for process in sockets.holders.processes_mut() {
        match who {
            Who::Nobody | Who::Names => {}
            Who::Arguments => process.argument = walk::argument(process.pid),
        }
    }
}

/// A gap if the walk was not asked for.
fn refused(ask: &Ask, error: &holder::Error) -> Option<Gap> {
    // Without privilege nobody expects it, and what it costs is time alone.
    let expected = ask.way.is_none()
        && matches!(error, holder::Error::Privilege { .. } | holder::Error::PidNamespace);
    (!expected).then(|| Gap {
        what: "holders of sockets were looked up in /proc, one descriptor after the other".into(),
        why: error.to_string(),
        mend: "`netbreath doctor` tells why".into(),
        hook: None,
        unseen: Vec::new(),
        count: 0,
    })
}

/// The kernel program sees through what `/proc` hides even from root. It is asked if that
/// can make a difference: there is a socket whose holder is not known.
fn seen_through(ask: &Ask, sockets: &Sockets, closed: u32) -> Option<Holders> {
    let unheld = |row: &Socket| row.inode != 0 && sockets.holders.of(row.inode).is_empty();
    let wanted = closed > 0 && ask.way.is_none() && sockets.rows.iter().any(unheld);
    // Why ignored: what it says is that it cannot be had; that something is hidden, a gap says.
    wanted.then(|| holder::pass(false).ok()).flatten().map(|found| found.holders)
}

fn closed(count: u32) -> Gap {
    Gap {
        what: match count {
            1 => "not seen: which sockets one process holds".into(),
            count => format!("not seen: which sockets {count} processes hold"),
        },
        why: "it may not be looked into".into(),
        mend: "run it with sudo, unless that is done; some systems hide processes even from root"
            .into(),
        hook: None,
        unseen: vec!["holder".into()],
        count: 0,
    }
}

/// How much there is to look at.
#[derive(Clone, Copy, Debug)]
struct Load {
    /// Open files of the whole machine.
    files: u64,
    /// Processes, with their threads.
    tasks: u64,
}

impl Load {
    fn read() -> Load {
        // Allocated, unused, limit.
        let text = std::fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
        let files = text.split_whitespace().next().and_then(|number| number.parse().ok());
        // "0.1 0.2 0.3 1/80 1234": running and all.
        let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let tasks =
            text.split_whitespace().nth(3).and_then(|tasks| tasks.split_once('/')?.1.parse().ok());
        Load { files: files.unwrap_or(0), tasks: tasks.unwrap_or(0) }
    }
}

/// The way that is expected to cost less. Measured: to load the program takes as long as
/// a look at some ten thousand descriptors; then it takes a tenth of the time for each.
fn cheaper(load: &Load) -> Way {
    // Microseconds.
    const LOAD: u64 = 20_000;
    let walk = load.tasks * 12 + load.files * 2;
    let iterator = LOAD + load.files / 3;
    if iterator < walk { Way::Iterator } else { Way::Walk }
}

/// The sockets of one namespace or of all that can be entered.
fn parts(ask: &Ask) -> Result<Vec<Part>, Error> {
    if ask.all_netns {
        return namespaces().iter().map(|file| inside(file, "", ask)).collect();
    }
    let part = match &ask.netns {
        None => here(ask)?,
        Some(path) => {
            let name = path.display().to_string();
            let file = File::open(path)
                .map_err(|source| Error::NoNamespace { name: name.clone(), source })?;
            inside(&file, &name, ask)?
        }
    };
    Ok(vec![part])
}

/// The sockets of one namespace.
struct Part {
    rows: Vec<Socket>,
    interfaces: HashMap<(u32, u32), String>,
}

/// Every network namespace that a process is in, or that has a name, once each.
fn namespaces() -> Vec<File> {
    const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];
    let mut paths = vec![PathBuf::from("/proc/thread-self/ns/net")];
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            paths.push(entry.path().join("ns/net"));
        }
    }
    for folder in NAMED {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        paths.extend(entries.map(|entry| entry.path()));
    }
    let mut seen = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        // What may not be opened cannot be entered either.
        let Ok(about) = std::fs::metadata(&path) else { continue };
        if !seen.contains(&about.ino()) {
            seen.push(about.ino());
            files.extend(File::open(&path));
        }
    }
    files
}

/// Asks inside a namespace, by a thread that ends with the question.
fn inside(file: &File, name: &str, ask: &Ask) -> Result<Part, Error> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: takes no pointers; moves this thread alone, which ends here.
            if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                let source = io::Error::last_os_error();
                return Err(Error::Enter { name: name.to_owned(), source });
            }
            here(ask)
        });
        thread.join().unwrap_or_else(|_| {
            let source = io::Error::other("the thread that asks in it panicked");
            Err(Error::Enter { name: name.to_owned(), source })
        })
    })
}

/// Asks in this thread's namespace.
fn here(ask: &Ask) -> Result<Part, Error> {
    let wanted = Wanted { memory: ask.memory, info: ask.info, tos: ask.tos, paths: ask.paths };
    let mut netlink = Netlink::sock_diag()?;
    let mut rows = Vec::new();
    if ask.protos.has(Proto::Netlink) {
        rows.extend(known(netlink.netlink_sockets(), table::netlink)?);
    }
    if ask.protos.any(Proto::is_packet) {
        let all = known(netlink.packet_sockets(), table::packet)?;
        rows.extend(all.into_iter().filter(|row| ask.protos.has(row.proto)));
    }
    if ask.protos.any(Proto::is_unix) {
        let mut all = known(netlink.unix_sockets(ask.states, wanted), Vec::new)?;
        all.retain(|row| ask.protos.has(row.proto));
        if ask.unix_seen {
            all = unix_seen(all, ask.protos)?;
            all.retain(|row| ask.protos.has(row.proto));
        }
        rows.extend(all);
    }
    let families: &[Family] = match ask.family {
        None => &[Family::V4, Family::V6],
        Some(Family::V4) => &[Family::V4],
        Some(Family::V6) => &[Family::V6],
    };
    for proto in [Proto::Raw, Proto::Udp, Proto::UdpLite, Proto::Tcp, Proto::Mptcp] {
        for family in families.iter().filter(|_| ask.protos.has(proto)) {
            let answer = netlink.inet_sockets(proto, *family, ask.states, wanted);
            let all = known(answer, || table::inet(proto, *family, ask.states))?;
            if rows.is_empty() {
                rows = all;
            } else {
                rows.extend(all);
            }
        }
    }
    let netns = std::fs::metadata("/proc/thread-self/ns/net").map_or(0, |about| about.ino());
    let netns = u32::try_from(netns).unwrap_or(0);
    let mut interfaces = HashMap::new();
    for row in &mut rows {
        row.netns = netns;
        if let Ends::Inet { interface, .. } | Ends::Packet { interface, .. } = row.ends
            && interface != 0
            && let std::collections::hash_map::Entry::Vacant(entry) =
                interfaces.entry((netns, interface))
            && let Some(name) = interface_name(interface)
        {
            entry.insert(name);
        }
    }
    Ok(Part { rows, interfaces })
}

/// The name of an interface of this thread's namespace.
fn interface_name(index: u32) -> Option<String> {
    let mut name = [0 as libc::c_char; libc::IF_NAMESIZE];
    // SAFETY: the buffer is as long as the function demands.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the function has written a string that ends with a NUL.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    Some(name.to_string_lossy().into_owned())
}

/// The number of an interface of this thread's namespace.
pub fn interface_number(name: &str) -> Option<u32> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name ends with a NUL.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    (index != 0).then_some(index)
}

/// The first and the last port that the kernel gives to who asks for none.
pub fn ephemeral_ports() -> (u16, u16) {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut words = text.split_whitespace().map_while(|word| word.parse().ok());
    match (words.next(), words.next()) {
        (Some(first), Some(last)) => (first, last),
        // What the kernel has unless it is told otherwise.
        _ => (32_768, 60_999),
    }
}

/// The path of a control group below the root of the unified hierarchy.
pub fn cgroup_path(id: u64) -> Option<String> {
    crate::source::ebpf::cgroup_path(id)
}

/// What the kernel has counted of sockets, in this thread's namespace.
pub fn summary() -> Result<Summary, Error> {
    const PATH: &str = "/proc/thread-self/net/sockstat";
    let text =
        std::fs::read_to_string(PATH).map_err(|source| Error::Read { path: PATH, source })?;
    // Why ignored: a kernel without IPv6 has none of its.
    let six = std::fs::read_to_string("/proc/thread-self/net/sockstat6").unwrap_or_default();
    let value = |line: &str, name: &str| -> u64 {
        let words = text.lines().chain(six.lines()).find_map(|text| text.strip_prefix(line));
        let mut words = words.unwrap_or_default().split_whitespace();
        words.find(|word| *word == name).and_then(|_| words.next()?.parse().ok()).unwrap_or(0)
    };
    let both = |v4: &str, v6: &str| [value(v4, "inuse"), value(v6, "inuse")];
    let snmp = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap_or_default();
    let mut tcp = snmp.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let established = tcp.next().zip(tcp.next()).and_then(|(names, values)| {
        let place = names.split(' ').position(|name| name == "CurrEstab")?;
        values.split(' ').nth(place)?.parse().ok()
    });
    Ok(Summary {
        sockets: value("sockets:", "used"),
        established: established.unwrap_or(0),
        orphans: value("TCP:", "orphan"),
        time_wait: value("TCP:", "tw"),
        allocated: value("TCP:", "alloc"),
        tcp: both("TCP:", "TCP6:"),
        udp: both("UDP:", "UDP6:"),
        raw: both("RAW:", "RAW6:"),
        fragments: both("FRAG:", "FRAG6:"),
    })
}

/// What sock_diag does not know stands in `/proc`, if the kernel has it at all.
fn known(
    answer: Result<Vec<Socket>, netlink::Error>,
    other: impl FnOnce() -> Vec<Socket>,
) -> Result<Vec<Socket>, netlink::Error> {
    match answer {
        Err(error) if error.is_unknown() => Ok(other()),
        answer => answer,
    }
}

/// Puts UNIX sockets into the order of `/proc/net/unix`, with what it tells of them.
fn unix_seen(rows: Vec<Socket>, protos: Protos) -> Result<Vec<Socket>, Error> {
    const PATH: &str = "/proc/thread-self/net/unix";
    let text = match std::fs::read(Path::new(PATH)) {
        Ok(text) => text,
        Err(source) => return Err(Error::Read { path: PATH, source }),
    };
    let mut rows: HashMap<u32, Socket> = rows.into_iter().map(|row| (row.inode, row)).collect();
    let mut ordered = Vec::with_capacity(rows.len());
    for line in text.split(|byte| *byte == b'\n') {
        // Num: RefCount Protocol Flags Type St Inode Path. A path can have a line's end in
        // it: what follows is no line of ours.
        let words: Vec<&[u8]> =
            line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(7).collect();
        let hex = |at: usize| {
            let word = words.get(at).and_then(|word| std::str::from_utf8(word).ok())?;
            u32::from_str_radix(word, 16).ok()
        };
        let address = words
            .first()
            .and_then(|word| std::str::from_utf8(word).ok())
            .and_then(|word| u64::from_str_radix(word.trim_end_matches(':'), 16).ok());
        let inode = words.get(6).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
        let (Some(references), Some(flags), Some(state), Some(inode)) =
            (hex(1), hex(3), hex(5), inode)
        else {
            continue;
        };
        // Connections that nobody has accepted yet have no inode number, and sock_diag passes
        // over them.
        let row = match inode {
            0 => {
                let path = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
                protos.any(Proto::is_unix).then(|| unaccepted(hex(4), path))
            }
            inode => rows.remove(&inode),
        };
        let Some(mut row) = row else { continue };
        if let Ends::Unix(ends) = &mut row.ends {
            let state = u8::try_from(state).unwrap_or(u8::MAX);
            ends.seen = Some(UnixSeen { address: address.unwrap_or(0), references, flags, state });
        }
        ordered.push(row);
    }
    Ok(ordered)
}

/// Completes what is known of processes that hold sockets.
pub fn complete(holders: &mut Holders) {
    for process in holders.processes_mut() {
        let whole = walk::process(process.pid);
        // One that has ended since keeps what is known.
        if !whole.comm.is_empty() {
            *process = Process { uid: whole.uid.or(process.uid), ..whole };
        }
    }
}

/// A connection of UNIX sockets that nobody has accepted yet.
fn unaccepted(kind: Option<u32>, path: &[u8]) -> Socket {
    let proto = match kind {
        Some(2) => Proto::UnixDgram,
        Some(5) => Proto::UnixSeqpacket,
        _ => Proto::UnixStream,
    };
    let mut name = path.to_vec();
    if let Some(first @ b'@') = name.first_mut() {
        *first = 0;
    }
    let name = (!name.is_empty()).then_some(name);
    let ends = UnixEnds { name, ..UnixEnds::default() };
    Socket { state: TcpState::Established, ..table::bare(proto, Ends::Unix(Box::new(ends)), 0) }
}

/// The name of a process, if there is one with this id.
pub fn comm(pid: u32) -> Option<Vec<u8>> {
    let comm = walk::process(pid).comm;
    (!comm.is_empty()).then_some(comm)
}

/// What `/proc/PID/stat` tells of a process; without a name there is none.
pub fn stat(pid: u32) -> crate::table::socket::Process {
    walk::process(pid)
}

/// The processes with this name.
pub fn named(name: &[u8]) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| walk::process(*pid).comm == name).collect()
}

/// What `/proc` tells of a process besides.
#[derive(Debug, Default)]
pub struct About {
    pub command_line: Vec<Vec<u8>>,
    pub exe: Option<Vec<u8>>,
    /// The path of its control group in the unified hierarchy.
    pub cgroup: Option<String>,
    /// Seconds since it began.
    pub age: Option<u64>,
}

pub fn about(pid: u32) -> About {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let line = read("cmdline");
    let line = line.strip_suffix(&[0]).unwrap_or(&line);
    let cgroup = String::from_utf8_lossy(&read("cgroup")).into_owned();
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
    About {
        command_line: match line {
            [] => Vec::new(),
            line => line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect(),
        },
        exe: exe.map(|exe| exe.into_os_string().into_encoded_bytes()),
        cgroup: cgroup.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned),
        age: walk::age(pid),
    }
}

/// The ancestors of a process, the nearest first.
pub fn parents(pid: u32) -> Vec<(u32, Vec<u8>)> {
    /// More generations than anybody reads.
    const MOST: usize = 16;
    let mut parents = Vec::new();
    let mut next = walk::process(pid).parent;
    while let Some(pid @ 1..) = next
        && parents.len() < MOST
    {
        let process = walk::process(pid);
        if process.comm.is_empty() {
            break;
        }
        parents.push((pid, process.comm));
        next = process.parent;
    }
    parents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_follows_the_cost() {
        let way = |files, tasks| cheaper(&Load { files, tasks });
        assert_eq!(way(500, 200), Way::Walk);
        assert_eq!(way(5_000, 300), Way::Walk);
        assert_eq!(way(20_000, 200), Way::Iterator);
        assert_eq!(way(100_000, 2_200), Way::Iterator);
        // Many processes that have little open.
        assert_eq!(way(3_000, 5_000), Way::Iterator);
    }

    #[test]
    fn what_we_open_is_found_with_us_as_its_holder() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ask = Ask {
            protos: Protos::of(&[Proto::Tcp]),
            holders: Who::Arguments,
            way: Some(Way::Walk),
            ..Ask::default()
        };
        let sockets = sockets(&ask).unwrap();
        let is_ours = |row: &&Socket| {
            row.is_listening() && row.inet().is_some_and(|(local, _)| local.port == port)
        };
        let row = sockets.rows.iter().find(is_ours).unwrap();
        let holders = sockets.holders.of(row.inode);
        assert_eq!(holders[0].pid, std::process::id());
        let process = sockets.holders.process(holders[0].pid).unwrap();
        assert!(process.argument.is_some() && !process.comm.is_empty());
        assert_ne!(row.cookie, 0);
    }
}
