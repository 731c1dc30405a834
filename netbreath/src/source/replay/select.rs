//! What a filter keeps of a recording. The kernel does this for a live source; here it is
//! done with what each event tells: an event whose owner was not known when it happened is
//! nobody's.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::Play;
use crate::event::{Body, Cgroup, Endpoint, Event, Family, Flow, Owner, Process};
use crate::filter::{EventKind, Filter, Network};

/// Whether the event is asked for.
pub fn keeps(play: &Play, event: &Event) -> bool {
    let filter = &play.filter;
    let Some(kind) = kind(&event.body) else {
        return true;
    };
    // Without a choice, all that was recorded.
    if !filter.events.is_empty() && !filter.names(kind) {
        return false;
    }
    states(filter, &event.body)
        && place(filter, &event.body)
        && owners(filter, &event.body)
        && network(play, &event.body)
}

/// Interfaces and what belongs to them.
fn network(play: &Play, body: &Body) -> bool {
    let (dev, family) = match body {
        Body::Link(changed) => (Some(&changed.now.ifname), None),
        Body::Address(changed) => (Some(&changed.now.ifname), Some(changed.now.local)),
        Body::Route(changed) => (changed.now.dev.as_ref(), Some(changed.now.dst)),
        Body::Neighbour(changed) => (Some(&changed.now.ifname), Some(changed.now.dst)),
        _ => return true,
    };
    let is = |addr: IpAddr, family| addr.is_ipv4() == (family == Family::V4);
    play.dev.as_ref().is_none_or(|wanted| dev == Some(wanted))
        && play.filter.family.is_none_or(|wanted| family.is_none_or(|addr| is(addr, wanted)))
}

/// What is asked for by `--event`; nothing for what always comes.
const fn kind(body: &Body) -> Option<EventKind> {
    Some(match body {
        Body::Seed(_) => EventKind::Seed,
        Body::HalfOpen(_) => EventKind::HalfOpen,
        Body::State(_) => EventKind::State,
        Body::Accept(_) => EventKind::Accept,
        Body::Owner(_) => EventKind::Owner,
        Body::ConnectFailed(_) => EventKind::ConnectFailed,
        Body::Closed(_) => EventKind::Closed,
        Body::Retransmit(_) => EventKind::Retransmit,
        Body::Reset(_) => EventKind::Reset,
        Body::Drop(_) => EventKind::Drop,
        Body::Udp(_) => EventKind::Udp,
        Body::Dns(_) => EventKind::Dns,
        Body::Unix(_) => EventKind::Unix,
        Body::Exec(_) => EventKind::Exec,
        Body::Fork(_) => EventKind::Fork,
        Body::Exit(_) => EventKind::Exit,
        Body::Link(_) => EventKind::Link,
        Body::Address(_) => EventKind::Address,
        Body::Route(_) => EventKind::Route,
        Body::Neighbour(_) => EventKind::Neighbour,
        Body::Clock { .. } | Body::Gap(_) => return None,
    })
}

/// Only `state` events are changes of state; what was there before has one.
fn states(filter: &Filter, body: &Body) -> bool {
    let of = |state| filter.states.contains(state);
    match body {
        _ if filter.states.is_empty() => true,
        Body::State(state) => of(&state.old) || of(&state.new),
        Body::Seed(seed) => of(&seed.state),
        _ => false,
    }
}

fn place(filter: &Filter, body: &Body) -> bool {
    let Filter { netns, cgroup, .. } = filter;
    if let Some(socket) = body.socket() {
        within(netns, socket.netns)
            && below(cgroup.as_ref(), socket.cgroup.as_ref())
            && ends(filter, &socket.flow)
    } else if let Body::Unix(unix) = body {
        // These have neither addresses nor ports.
        within(netns, unix.netns)
            && below(cgroup.as_ref(), unix.cgroup.as_ref())
            && !of_ends(filter)
    } else {
        true
    }
}

fn within(wanted: &[u32], netns: Option<u32>) -> bool {
    wanted.is_empty() || netns.is_some_and(|netns| wanted.contains(&netns))
}

/// The cgroup itself and all below it.
fn below(wanted: Option<&crate::filter::Cgroup>, cgroup: Option<&Cgroup>) -> bool {
    let Some(wanted) = wanted else { return true };
    let wanted = wanted.path.trim_matches('/');
    cgroup.is_some_and(|cgroup| match cgroup.trim_matches('/').strip_prefix(wanted) {
        Some(rest) => rest.is_empty() || wanted.is_empty() || rest.starts_with('/'),
        None => false,
    })
}

/// Whether anything is asked of addresses, ports or families.
fn of_ends(filter: &Filter) -> bool {
    let Filter { port, lport, rport, addr, laddr, raddr, family, .. } = filter;
    ![port, lport, rport].into_iter().all(Vec::is_empty)
        || ![addr, laddr, raddr].into_iter().all(Vec::is_empty)
        || family.is_some()
}

fn ends(filter: &Filter, flow: &Flow) -> bool {
    let Flow { family, local, remote } = flow;
    let family = match remote.addr.to_canonical() {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => *family,
    };
    filter.family.is_none_or(|wanted| wanted == family)
        && (filter.port.is_empty() || has(&filter.port, local) || has(&filter.port, remote))
        && (filter.lport.is_empty() || has(&filter.lport, local))
        && (filter.rport.is_empty() || has(&filter.rport, remote))
        && (filter.addr.is_empty() || is_in(&filter.addr, local) || is_in(&filter.addr, remote))
        && (filter.laddr.is_empty() || is_in(&filter.laddr, local))
        && (filter.raddr.is_empty() || is_in(&filter.raddr, remote))
}

fn has(ports: &[RangeInclusive<u16>], end: &Endpoint) -> bool {
    ports.iter().any(|range| range.contains(&end.port))
}

fn is_in(networks: &[Network], end: &Endpoint) -> bool {
    networks.iter().any(|network| network.contains(end.addr))
}

fn owners(filter: &Filter, body: &Body) -> bool {
    let Filter { pids, comms, uids, .. } = filter;
    if pids.is_empty() && comms.is_empty() && uids.is_empty() {
        return true;
    }
    let is = |pid: u32, comm: &[u8], uid: u32| {
        (pids.is_empty() || pids.contains(&pid))
            && (comms.is_empty()
                || comms.iter().any(|name| &name.as_bytes()[..name.len().min(15)] == comm))
            && (uids.is_empty() || uids.contains(&uid))
    };
    if let Some(owner) = body.owner() {
        return owner.is_some_and(|Owner { pid, comm, uid, .. }| is(*pid, comm.bytes(), *uid));
    }
    match body.process() {
        Some(Process { pid, comm, uid, .. }) => is(*pid, comm.bytes(), *uid),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_holds_what_is_below_it_and_not_what_is_called_alike() {
        let wanted =
            |path: &str| Some(crate::filter::Cgroup { id: 0, level: 1, path: path.into() });
        let is = |wanted: &Option<crate::filter::Cgroup>, path: &str| {
            below(wanted.as_ref(), Some(&Cgroup::from(path)))
        };
        let slice = wanted("/system.slice/");
        assert!(is(&slice, "/system.slice") && is(&slice, "/system.slice/nginx.service"));
        assert!(!is(&slice, "/system.slice2") && !is(&slice, "/"));
        assert!(is(&wanted("/"), "/anything") && !below(slice.as_ref(), None));
    }
}
