//! Answers questions about open files.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};

use super::socket::{gaps, labels};
use super::{Error, Page, all_of};
use crate::host::{self, Host, Terminal, file as host_file, socket as host_socket};
use crate::plan::lsof::{Lsof, Output, Users};
use crate::plan::socket::Names;
use crate::service::Services;
use crate::table::file::{Access, At, File, Kind};
use crate::table::socket::{Holder, Holders, Process, Proto, Protos, Socket, Sockets};
use crate::view::lsof::select::{Lookup, Select};
use crate::view::lsof::{self, Entry, Opened};

/// Appends what lsof shows. Whether all that was asked for was found.
pub fn lsof(
    question: &Lsof,
    terminal: Terminal,
    out: &mut Vec<u8>,
    talk: &mut Vec<u8>,
) -> Result<bool, Error> {
    let Lsof { select, layout, output, names, quiet } = question;
    let sockets = ask(select)?;
    let (entries, holders) = match select.only_sockets() {
        true => (from_sockets(select, &sockets), None),
        false => {
            let (entries, holders) = from_processes(select, &sockets)?;
            (entries, Some(holders))
        }
    };
    let holders = holders.as_ref().unwrap_or(&sockets.holders);
    gaps(&sockets, terminal, talk);
    let shown: Vec<&Socket> =
        entries.iter().flat_map(|entry| &entry.files).filter_map(|opened| opened.socket).collect();
    let plain = Names { users: false, ..*names };
    let mut labels = labels(&sockets, shown.iter().copied(), plain)?;
    if names.users {
        labels.users(users(&entries));
    }
    match output {
        Output::Table => lsof::text(&entries, &sockets, layout, &labels, out),
        Output::Pids => lsof::pids(&entries, out),
        Output::Fields { letters, nul } => {
            lsof::fields(&entries, letters, *nul, layout, &labels, out);
        }
        Output::Rows(format) => {
            let rows = lsof::rows(&entries, &labels);
            let page = Page { format: *format, unicode: terminal.utf8 };
            page.rows(&all_of(&lsof::COLUMNS), &lsof::KEYS, &rows, out);
        }
    }
    Ok(*quiet || !entries.is_empty() && found_all(select, &entries, &sockets, holders))
}

/// Names of the users of these processes.
fn users(entries: &[Entry<'_>]) -> HashMap<u32, String> {
    let mut uids: Vec<u32> = entries.iter().filter_map(|entry| entry.process.uid).collect();
    uids.sort_unstable();
    uids.dedup();
    uids.into_iter().filter_map(|uid| Some((uid, host::user_name(uid)?))).collect()
}

/// Whether each thing that was asked for was found.
fn found_all(select: &Select, entries: &[Entry<'_>], sockets: &Sockets, holders: &Holders) -> bool {
    let any = |fits: &dyn Fn(&Process) -> bool| entries.iter().any(|entry| fits(&entry.process));
    let process = |pid| any(&|process| process.pid == pid);
    let held = |fits: &dyn Fn(&Socket) -> bool| {
        sockets.rows.iter().any(|row| fits(row) && !holders.of(row.inode).is_empty())
    };
    select.pids.wanted.iter().all(|pid| process(*pid))
        && select.groups.wanted.iter().all(|group| any(&|process| process.group == Some(*group)))
        && select.users.wanted.iter().all(|uid| any(&|process| process.uid == Some(*uid)))
        && select.commands.wanted.iter().all(|name| any(&|process| process.comm.starts_with(name)))
        && select.internet.iter().all(|internet| held(&|socket| internet.takes(socket)))
        && (!select.unix || held(&|socket| socket.proto.is_unix()))
        && select.files.iter().all(|(device, inode)| {
            entries.iter().flat_map(|entry| &entry.files).any(|opened| {
                let own = opened.file.on.map(|(major, minor)| libc::makedev(major, minor));
                own == Some(*device) && opened.file.inode == Some(*inode)
            })
        })
}

/// The sockets that can be meant; where only sockets are asked for, with their holders.
fn ask(select: &Select) -> Result<Sockets, Error> {
    if !select.only_sockets() {
        let all = host_socket::Ask {
            protos: Protos::ALL,
            unix_seen: true,
            ..host_socket::Ask::default()
        };
        return Ok(host_socket::sockets(&all)?);
    }
    let mut protos = Protos::default();
    if !select.internet.is_empty() {
        for proto in [Proto::Tcp, Proto::Udp, Proto::UdpLite] {
            let wanted =
                |proto| select.internet.iter().any(|i| i.proto.is_none_or(|only| only == proto));
            if wanted(proto) {
                protos.insert(proto);
            }
        }
    }
    if select.unix {
        for proto in [Proto::UnixStream, Proto::UnixDgram, Proto::UnixSeqpacket] {
            protos.insert(proto);
        }
    }
    // Processes that are named beforehand are the only ones to be looked at.
    let pids = (select.and && !select.pids.wanted.is_empty()).then(|| select.pids.wanted.clone());
    let mut sockets = host_socket::sockets(&host_socket::Ask {
        protos,
        states: states_of(select, protos),
        unix_seen: select.unix,
        holders: host_socket::Who::Names,
        pids,
        ..host_socket::Ask::default()
    })?;
    // Holders of what is not asked for need not be known any closer.
    let mut inodes: Vec<u32> = sockets
        .rows
        .iter()
        .filter(|row| row.inode != 0 && is_asked(select, row))
        .map(|row| row.inode)
        .collect();
    inodes.sort_unstable();
    sockets.holders.retain(|inode| inodes.binary_search(&inode).is_ok());
    host_socket::complete(&mut sockets.holders);
    Ok(sockets)
}

fn is_asked(select: &Select, row: &Socket) -> bool {
    select.internet.iter().any(|internet| internet.takes(row)) || select.unix && row.proto.is_unix()
}

/// The chosen sockets of each process that holds some.
fn from_sockets<'a>(select: &Select, sockets: &'a Sockets) -> Vec<Entry<'a>> {
    let by_inode: HashMap<u32, &Socket> = sockets
        .rows
        .iter()
        .filter(|row| row.inode != 0 && is_asked(select, row))
        .map(|row| (row.inode, row))
        .collect();
    let mut held: Vec<(u32, u32, u32)> =
        sockets.holders.all().iter().map(|holder| (holder.pid, holder.fd, holder.inode)).collect();
    held.sort_unstable();
    let mut entries = Vec::new();
    for of in held.chunk_by(|a, b| a.0 == b.0) {
        let Some(process) = of.first().and_then(|held| sockets.holders.process(held.0)) else {
            continue;
        };
        if !select.reaches(process) {
            continue;
        }
        let opened = of.iter().filter_map(|(_, fd, inode)| {
            let socket = *by_inode.get(inode)?;
            let file = socket_file(*fd, *inode);
            let takes = select.takes(process, &file, Some(socket));
            takes.then_some(Opened { file, socket: Some(socket) })
        });
        let files: Vec<Opened<'_>> = opened.collect();
        if !files.is_empty() {
            entries.push(Entry { process: process.clone(), files });
        }
    }
    complete_flags(&mut entries);
    entries
}

/// The states that can be shown at all, as bits: the fewer the kernel has to tell, the
/// better.
fn states_of(select: &Select, protos: Protos) -> u32 {
    let all = host_socket::ALL_STATES;
    let [states] = &select.states[..] else { return all };
    if protos != Protos::of(&[states.proto]) || states.states.wanted.is_empty() {
        return all;
    }
    states.states.wanted.iter().fold(0, |bits, state| bits | state.bit())
}

/// A descriptor that is a socket.
fn socket_file(fd: u32, inode: u32) -> File {
    File {
        at: At::Fd(fd),
        access: Access::Both,
        kind: Kind::Socket(inode),
        device: None,
        on: None,
        size: None,
        offset: 0,
        inode: Some(inode.into()),
        links: None,
        name: Vec::new(),
        flags: None,
    }
}

/// How each was opened: a few are looked up; for many it would cost more than it tells.
fn complete_flags(entries: &mut [Entry<'_>]) {
    const MOST: usize = 256;
    if entries.iter().map(|entry| entry.files.len()).sum::<usize>() > MOST {
        return;
    }
    for entry in entries {
        for opened in &mut entry.files {
            if let At::Fd(fd) = opened.file.at {
                opened.file.flags = host_file::flags(entry.process.pid, fd);
            }
        }
    }
}

/// Everything that the chosen processes have open.
fn from_processes<'a>(
    select: &Select,
    sockets: &'a Sockets,
) -> Result<(Vec<Entry<'a>>, Holders), Error> {
    let by_inode: HashMap<u32, &Socket> = sockets.rows.iter().map(|row| (row.inode, row)).collect();
    let mut entries = Vec::new();
    let mut holders = Vec::new();
    let all = host_file::processes()
        .map_err(|source| host_socket::Error::Read { path: "/proc", source })?;
    for process in all.into_iter().filter(|process| select.reaches(process)) {
        let mut files = Vec::new();
        for file in host_file::files(process.pid) {
            let socket = match file.kind {
                Kind::Socket(inode) => {
                    let At::Fd(fd) = file.at else { continue };
                    let pid = process.pid;
                    holders.push(Holder { inode, pid, fd });
                    by_inode.get(&inode).copied()
                }
                _ => None,
            };
            if select.takes(&process, &file, socket) {
                let mut file = file;
                if socket.is_none()
                    && let (Kind::Socket(_), At::Fd(fd)) = (file.kind, file.at)
                    && let Some(protocol) = host_file::protocol(process.pid, fd)
                {
                    file.name = format!("protocol: {protocol}").into_bytes();
                }
                files.push(Opened { file, socket });
            }
        }
        if !files.is_empty() {
            entries.push(Entry { process, files });
        }
    }
    Ok((entries, Holders::new(holders, Vec::new())))
}

/// Names that the system knows.
pub struct System;

impl Lookup for System {
    fn host(&self, name: &str) -> Vec<IpAddr> {
        let found = (name, 0).to_socket_addrs().into_iter().flatten();
        let mut addrs: Vec<IpAddr> = found.map(|end| end.ip()).collect();
        addrs.dedup();
        addrs
    }

    fn service(&self, name: &str) -> Option<u16> {
        let services = Services::read().ok()?;
        services.find(name).first().map(|service| service.port)
    }
}

impl Users for System {
    fn user(&self, name: &str) -> Option<u32> {
        host::System.user(name).ok().flatten()
    }
}
