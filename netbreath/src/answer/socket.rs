//! Answers questions about sockets: asks the host, names what has a name, and has the view
//! laid out.

use std::collections::HashMap;

use super::{Error, Page, host_names};
use crate::cli::FormatName;
use crate::format::text::put_gap;
use crate::host::socket::{Ask, Who};
use crate::host::{self, Terminal, socket as host_socket};
use crate::plan::socket::{Names, Netstat, Ss, SsTable};
use crate::service::{self, Services};
use crate::table::socket::{Ends, Holders, Proto, Socket, Sockets};
use crate::table::{Tables, recorded};
use crate::view::label::Labels;
use crate::view::ss::filter::{Ephemeral, Lookup};
use crate::view::{netstat, socket, ss};

/// A recording whose sockets are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// What its events amount to.
    pub tables: &'a Tables,
    /// The network namespace that it is of, where that is known.
    pub netns: Option<u32>,
}

/// The sockets that are asked for, of now or of a recording.
fn sockets(ask: &Ask, recorded: Option<&Recorded<'_>>) -> Result<Sockets, Error> {
    let Some(Recorded { tables, netns }) = recorded else {
        return Ok(host_socket::sockets(ask)?);
    };
    let netns = match &ask.netns {
        // The numbers of namespaces are all that a recording knows of them.
        Some(typed) => {
            let name = typed.file_name().and_then(|name| name.to_str());
            let number = name.and_then(|name| name.parse().ok());
            Some(number.ok_or_else(|| Error::NetnsOfRecording { typed: typed.clone() })?)
        }
        None if ask.all_netns => None,
        None => *netns,
    };
    let mut sockets = recorded::sockets(tables);
    sockets.rows.retain(|row| {
        let family = row.family();
        ask.protos.has(row.proto)
            && ask.states & row.state.bit() != 0
            && ask.family.is_none_or(|wanted| family.is_none_or(|family| family == wanted))
            && netns.is_none_or(|netns| row.netns == netns)
    });
    if ask.holders == Who::Nobody {
        sockets.holders = Holders::default();
    }
    Ok(sockets)
}

/// Appends what netstat shows; what could not be seen goes to `talk`.
pub fn netstat(
    question: &Netstat,
    recorded: Option<&Recorded<'_>>,
    terminal: Terminal,
    out: &mut Vec<u8>,
    talk: &mut Vec<u8>,
) -> Result<(), Error> {
    let Netstat { ask, layout, format, names } = question;
    let sockets = sockets(ask, recorded)?;
    gaps(&sockets, terminal, talk);
    let chosen = || sockets.rows.iter().filter(|row| netstat::takes(layout, row));
    let labels = labels(&sockets, chosen(), *names)?;
    match format {
        FormatName::Text => netstat::text(&sockets, layout, &labels, out),
        format => rows(*format, terminal, &sockets, chosen(), &labels, out),
    }
    Ok(())
}

/// Appends what ss shows.
pub fn ss(
    question: &Ss,
    recorded: Option<&Recorded<'_>>,
    terminal: Terminal,
    out: &mut Vec<u8>,
    talk: &mut Vec<u8>,
) -> Result<(), Error> {
    let table = match question {
        Ss::Summary | Ss::Table(_) if recorded.is_some() && question.summarizes() => {
            return Err(Error::SummaryOfRecording);
        }
        Ss::Summary => {
            ss::summary(&host_socket::summary()?, out);
            return Ok(());
        }
        Ss::Table(table) => table,
    };
    let SsTable { ask, layout, filter, format, names, summary, said } = &**table;
    let (mut ask, mut layout, mut said) = (ask.clone(), layout.clone(), said.clone());
    if *summary {
        ss::summary(&host_socket::summary()?, out);
    }
    layout.filter = ss::filter::parse(filter, &System)?;
    if let Some(filter) = &layout.filter {
        let mut families = Vec::new();
        filter.families(&mut families);
        families.into_iter().for_each(|family| said.family(family));
    }
    let (protos, family, states) = said.meant()?;
    (layout.protos, layout.states) = (protos, states);
    (ask.protos, ask.family, ask.states) = (protos, family, states);
    // Their state is not told: they are all CLOSE.
    if states & 1 << 7 == 0 {
        for proto in [Proto::Netlink, Proto::PacketRaw, Proto::PacketDgram] {
            ask.protos.0 &= !proto.bit();
        }
    }
    let sockets = sockets(&ask, recorded)?;
    gaps(&sockets, terminal, talk);
    let chosen = || sockets.rows.iter().filter(|row| ss::takes(&layout, row));
    let labels = labels(&sockets, chosen(), *names)?;
    if *format != FormatName::Text {
        rows(*format, terminal, &sockets, chosen(), &labels, out);
        return Ok(());
    }
    let mut cgroups = ss::Cgroups::new();
    if layout.extended || layout.cgroup {
        for id in chosen().filter_map(|row| row.detail.cgroup) {
            if let std::collections::hash_map::Entry::Vacant(entry) = cgroups.entry(id)
                && let Some(path) = host_socket::cgroup_path(id)
            {
                entry.insert(path);
            }
        }
    }
    ss::text(&sockets, &layout, &labels, &cgroups, out);
    Ok(())
}

/// The ports that the kernel gives to who asks for none.
pub fn ephemeral() -> Ephemeral {
    let (first, last) = host_socket::ephemeral_ports();
    Ephemeral { first, last }
}

/// Says what could not be seen.
pub fn gaps(sockets: &Sockets, terminal: Terminal, talk: &mut Vec<u8>) {
    for gap in &sockets.gaps {
        talk.extend_from_slice(b"netbreath: ");
        put_gap(talk, gap, true, terminal.utf8);
        talk.push(b'\n');
    }
}

/// Rows for programs.
pub fn rows<'a>(
    format: FormatName,
    terminal: Terminal,
    sockets: &'a Sockets,
    chosen: impl Iterator<Item = &'a Socket>,
    labels: &Labels,
    out: &mut Vec<u8>,
) {
    let rows = socket::rows(sockets, chosen, labels);
    let page = Page { format, unicode: terminal.utf8 };
    page.rows(&super::all_of(&socket::COLUMNS), &socket::KEYS, &rows, out);
}

/// The names of what is in these sockets.
pub fn labels<'a>(
    sockets: &Sockets,
    chosen: impl Iterator<Item = &'a Socket> + Clone,
    names: Names,
) -> Result<Labels, Error> {
    let addrs = chosen.clone().filter_map(Socket::inet).flat_map(|(a, b)| [a.addr, b.addr]);
    let hosts = host_names(names.hosts, addrs);
    let services = names.ports.then(Services::read).transpose()?;
    let mut users = HashMap::new();
    if names.users {
        for socket in chosen.clone() {
            if let std::collections::hash_map::Entry::Vacant(entry) = users.entry(socket.uid)
                && let Some(name) = host::user_name(socket.uid)
            {
                entry.insert(name);
            }
        }
    }
    let mut labels = Labels::new(hosts, services, users, sockets.interfaces.clone());
    if names.ports {
        if chosen.clone().any(|row| row.proto == Proto::Raw) {
            labels.protocols = service::protocols();
        }
        for socket in chosen {
            if let Ends::Netlink { port: port @ 1.., .. } = socket.ends
                && let std::collections::hash_map::Entry::Vacant(entry) =
                    labels.processes.entry(port)
                && let Some(comm) = host_socket::comm(port)
            {
                entry.insert(comm);
            }
        }
    }
    Ok(labels)
}

/// What filters are looked up in.
pub struct System;

impl Lookup for System {
    fn interface(&self, name: &str) -> Option<u32> {
        host_socket::interface_number(name)
    }

    fn cgroup(&self, path: &str) -> Option<u64> {
        use crate::host::Host;
        host::System.cgroup(path).ok().map(|cgroup| cgroup.id)
    }

    fn services(&self) -> Services {
        Services::read().unwrap_or_default()
    }
}
