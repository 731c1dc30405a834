//! Answers who uses a port, or what a process uses.

use std::collections::HashMap;

use super::socket::{gaps, labels};
use super::{Error, Page, all_of};
use crate::cli::{FormatName, WhoArgs};
use crate::container;
use crate::event::Endpoint;
use crate::host::{self, Terminal, socket as host_socket};
use crate::plan::socket::Names;
use crate::service::Services;
use crate::table::socket::{Proto, Protos, Socket, Sockets};
use crate::view::who::{self, Answer, Used, User};

/// What is asked for.
enum Asked {
    Port { ports: Vec<(u16, Option<Proto>)>, service: Option<String> },
    Pid(u32),
    Name(Vec<u8>),
}

/// Appends the answer. Whether anybody was found.
pub fn who(
    args: &WhoArgs,
    terminal: Terminal,
    out: &mut Vec<u8>,
    talk: &mut Vec<u8>,
) -> Result<bool, Error> {
    let services = Services::read()?;
    let asked = asked(&args.what, &services)?;
    let mut sockets = host_socket::sockets(&host_socket::Ask {
        protos: Protos::of(&who::PROTOS),
        holders: host_socket::Who::Names,
        pids: match asked {
            // Its peers on this host are wanted too, so everybody is looked at.
            Asked::Pid(_) | Asked::Port { .. } | Asked::Name(_) => None,
        },
        ..host_socket::Ask::default()
    })?;
    host_socket::complete(&mut sockets.holders);
    gaps(&sockets, terminal, talk);
    let answer = answer(&args.what, &asked, &sockets);
    let chosen: Vec<&Socket> = answer
        .users
        .iter()
        .flat_map(|user| &user.sockets)
        .map(|used| &used.socket)
        .chain(&answer.unheld)
        .collect();
    let names = Names { hosts: args.resolve, ports: false, users: false };
    let labels = labels(&sockets, chosen.into_iter(), names)?;
    match args.format {
        FormatName::Text => who::text(&answer, &labels, terminal.utf8, out),
        FormatName::Jsonl => return Err(crate::plan::socket::Error::EventsOfAnswer.into()),
        format => {
            let page = Page { format, unicode: terminal.utf8 };
            page.rows(&all_of(&who::COLUMNS), &who::KEYS, &who::rows(&answer), out);
        }
    }
    Ok(!answer.is_empty())
}

fn asked(what: &str, services: &Services) -> Result<Asked, Error> {
    if let Some(pid) = what.strip_prefix("pid:") {
        let pid = pid.parse().map_err(|_| Error::NoPid { typed: pid.to_owned() })?;
        return Ok(Asked::Pid(pid));
    }
    let (number, proto) = match what.split_once('/') {
        Some((number, proto)) => (number, Some(proto.to_ascii_lowercase())),
        None => (what, None),
    };
    let kind = match proto.as_deref() {
        Some("tcp") => Some(Proto::Tcp),
        Some("udp") => Some(Proto::Udp),
        _ => None,
    };
    if let Ok(port) = number.trim_start_matches(':').parse::<u16>() {
        let find = |proto| services.name(port, proto);
        let service = find("tcp").or_else(|| find("udp")).map(str::to_owned);
        return Ok(Asked::Port { ports: vec![(port, kind)], service });
    }
    if number.trim_start_matches(':').bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::NoPort { typed: what.to_owned() });
    }
    // A process's name comes first: ssh is a service too, but whoever asks for sshd means
    // the process.
    let found = services.find(what);
    let named = found.iter().any(|service| service.name == number);
    if named && (proto.is_some() || host_socket::named(number.as_bytes()).is_empty()) {
        let ports = found
            .iter()
            .map(|service| {
                (
                    service.port,
                    if service.proto == "udp" { Some(Proto::Udp) } else { Some(Proto::Tcp) },
                )
            })
            .collect();
        return Ok(Asked::Port { ports, service: None });
    }
    Ok(Asked::Name(what.as_bytes().to_vec()))
}

fn answer(typed: &str, asked: &Asked, sockets: &Sockets) -> Answer {
    let fits = |socket: &Socket| match asked {
        Asked::Port { ports, .. } => socket.inet().is_some_and(|(local, _)| {
            ports.iter().any(|(port, proto)| {
                local.port == *port && proto.is_none_or(|proto| socket.proto == proto)
            })
        }),
        Asked::Pid(_) | Asked::Name(_) => true,
    };
    let is_meant = |pid: u32| match asked {
        Asked::Port { .. } => true,
        Asked::Pid(wanted) => pid == *wanted,
        Asked::Name(name) => {
            sockets.holders.process(pid).is_some_and(|process| process.comm == *name)
        }
    };
    // Who is at the other end, on this host.
    let by_local: HashMap<(Proto, Endpoint, Endpoint), &Socket> = sockets
        .rows
        .iter()
        .filter_map(|row| {
            let (local, remote) = row.inet()?;
            (remote.port != 0).then_some(((row.proto, plain(local), plain(remote)), row))
        })
        .collect();
    let peer = |socket: &Socket| {
        let (local, remote) = socket.inet()?;
        let other = by_local.get(&(socket.proto, plain(remote), plain(local)))?;
        let holder = sockets.holders.of(other.inode).first()?;
        let process = sockets.holders.process(holder.pid)?;
        Some((process.pid, process.comm.clone()))
    };
    let mut of: Vec<(u32, Vec<Used>)> = Vec::new();
    let mut unheld = Vec::new();
    for socket in sockets.rows.iter().filter(|socket| fits(socket)) {
        let holders = sockets.holders.of(socket.inode);
        if holders.is_empty() && matches!(asked, Asked::Port { .. }) {
            unheld.push(socket.clone());
        }
        for holder in holders.iter().filter(|holder| is_meant(holder.pid)) {
            let used = Used { fd: holder.fd, socket: socket.clone(), peer: peer(socket) };
            match of.iter_mut().find(|(pid, _)| *pid == holder.pid) {
                Some((_, all)) => all.push(used),
                None => of.push((holder.pid, vec![used])),
            }
        }
    }
    // Who waits for peers comes first, since that is usually what is meant.
    let waits = |used: &Used| !used.socket.is_listening();
    for (_, all) in &mut of {
        all.sort_by_key(|used| (waits(used), used.fd));
    }
    of.sort_by_key(|(pid, all)| (all.iter().all(waits), *pid));
    let users = of.into_iter().map(|(pid, all)| user(pid, all, sockets)).collect();
    let service = match asked {
        Asked::Port { service, .. } => service.clone(),
        _ => None,
    };
    Answer { asked: typed.to_owned(), service, users, unheld }
}

/// An address of IPv4 is the same however it is written.
fn plain(end: Endpoint) -> Endpoint {
    Endpoint { addr: end.addr.to_canonical(), port: end.port }
}

fn user(pid: u32, sockets: Vec<Used>, table: &Sockets) -> User {
    let process = table.holders.process(pid).cloned().unwrap_or_default();
    let about = host_socket::about(pid);
    let cgroup = about.cgroup;
    User {
        pid,
        comm: process.comm,
        command_line: about.command_line,
        exe: about.exe,
        user: process.uid.and_then(host::user_name),
        uid: process.uid,
        parents: host_socket::parents(pid),
        container: cgroup
            .as_deref()
            .and_then(|path| container::place(path).container.map(|id| id.to_string())),
        cgroup,
        age: about.age,
        sockets,
    }
}
