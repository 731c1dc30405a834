//! `ss -E`, `ss --follow` and `netstat -c`: what they show is a trace of the sockets that
//! they are about, driven by events alone. So each is turned into a command line of `trace`.

use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use super::socket::Error;
use crate::cli::{Explain, Follow, FormatName, Namespace, NetstatArgs, SsArgs, TraceArgs};
use crate::filter::EventKind;
use crate::view::ss::filter::{self, Filter, Host, Lookup, Side};

/// What a trace remembers, unless it is told otherwise (`cli::TraceArgs`).
const RING: &str = "8M";
const SOCKETS: u32 = 262_144;

/// What is wanted of which kinds of sockets.
#[derive(Clone, Copy, Default)]
struct Kinds {
    tcp: bool,
    udp: bool,
    unix: bool,
}

pub fn ss(args: &SsArgs, lookup: &dyn Lookup) -> Result<TraceArgs, Error> {
    if args.kill {
        return Err(Error::Kill);
    }
    if args.raw || args.packet || args.mptcp || !args.query.is_empty() || !args.family.is_empty() {
        return Err(Error::FollowKinds);
    }
    let kinds = Kinds { tcp: args.tcp, udp: args.udp, unix: args.unix };
    let mut trace = base(kinds, &args.namespace, &args.follow, args.format);
    trace.explain = args.explain;
    trace.numeric = !args.resolve;
    trace.ipv4 = args.ipv4;
    trace.ipv6 = args.ipv6;
    let (states, words) = super::socket::states(&args.filter)?;
    let states = states.or((args.listening && !args.all).then_some(TcpState::Listen.bit()));
    if let Some(states) = states {
        let wanted = TcpState::ALL.into_iter().filter(|state| states & state.bit() != 0);
        trace.state = wanted.map(|state| state.name().to_owned()).collect();
    }
    if let Some(filter) = filter::parse(&words, lookup)? {
        narrow(&mut trace, &filter)?;
    }
    Ok(trace)
}

pub fn netstat(args: &NetstatArgs) -> Result<TraceArgs, Error> {
    if args.raw || args.udplite {
        return Err(Error::FollowKinds);
    }
    let kinds = Kinds { tcp: args.tcp, udp: args.udp, unix: args.unix };
    let mut trace = base(kinds, &args.namespace, &args.more.follow, args.more.format);
    trace.explain = Explain { explain: args.more.explain, lang: args.lang };
    trace.event.push(EventKind::Seed);
    trace.numeric = args.numeric || args.numeric_hosts;
    trace.ipv4 = args.ipv4 && !args.ipv6;
    trace.ipv6 = args.ipv6 && !args.ipv4;
    if args.listening && !args.all {
        trace.state = vec![TcpState::Listen.name().to_owned()];
    }
    Ok(trace)
}

fn base(kinds: Kinds, namespace: &Namespace, follow: &Follow, format: FormatName) -> TraceArgs {
    let mut event = Vec::new();
    if kinds.tcp || !(kinds.udp || kinds.unix) {
        event.extend([
            EventKind::HalfOpen,
            EventKind::State,
            EventKind::Accept,
            EventKind::Owner,
            EventKind::ConnectFailed,
        ]);
    }
    if kinds.udp {
        event.push(EventKind::Udp);
    }
    if kinds.unix {
        event.push(EventKind::Unix);
    }
    // Like the tables, it is about one namespace.
    let own = || "/proc/self/ns/net".to_owned();
    let netns = match namespace.all_netns {
        true => Vec::new(),
        false => vec![namespace.netns.clone().unwrap_or_else(own)],
    };
    TraceArgs {
        event,
        netns,
        format,
        output: follow.output.clone(),
        count: follow.count,
        duration: follow.duration.clone(),
        ready_file: follow.ready_file.clone(),
        recordings: follow.recordings.clone(),
        ring_size: RING.to_owned(),
        max_sockets: SOCKETS,
        ..TraceArgs::default()
    }
}

/// Puts a filter's conditions into those of a trace, which are all demanded.
fn narrow(trace: &mut TraceArgs, filter: &Filter) -> Result<(), Error> {
    let port = |list: &mut Vec<String>, ports: String| match list.is_empty() {
        true => {
            list.push(ports);
            Ok(())
        }
        // A list means any of its values: two conditions would be one of two.
        false => Err(Error::FollowFilter),
    };
    match filter {
        Filter::And(a, b) => {
            narrow(trace, a)?;
            narrow(trace, b)
        }
        Filter::AtLeast(side, least) => port(ports(trace, *side), format!("{least}-65535")),
        Filter::AtMost(side, most) => port(ports(trace, *side), format!("0-{most}")),
        Filter::Host(_, Host { unix: Some(_), .. } | Host { protocol: Some(_), .. }) => {
            Err(Error::FollowFilter)
        }
        Filter::Host(side, host) => {
            if let Some(number) = host.port {
                port(ports(trace, *side), number.to_string())?;
            }
            for (addr, len) in &host.networks {
                networks(trace, *side).push(network(*addr, *len));
            }
            Ok(())
        }
        Filter::Or(..)
        | Filter::Not(_)
        | Filter::Dev(_)
        | Filter::Mark { .. }
        | Filter::Cgroup(_)
        | Filter::Autobound => Err(Error::FollowFilter),
    }
}

fn ports(trace: &mut TraceArgs, side: Side) -> &mut Vec<String> {
    match side {
        Side::Local => &mut trace.lport,
        Side::Remote => &mut trace.rport,
    }
}

fn networks(trace: &mut TraceArgs, side: Side) -> &mut Vec<String> {
    match side {
        Side::Local => &mut trace.laddr,
        Side::Remote => &mut trace.raddr,
    }
}

fn network(addr: IpAddr, len: u8) -> String {
    format!("{addr}/{len}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::service::Services;

    struct Nothing;

    impl Lookup for Nothing {
        fn interface(&self, _: &str) -> Option<u32> {
            None
        }

        fn cgroup(&self, _: &str) -> Option<u64> {
            None
        }

        fn services(&self) -> Services {
            Services::default()
        }
    }

    fn plan(line: &str) -> Result<TraceArgs, Error> {
        let words = ["netbreath", "ss"].into_iter().chain(line.split(' '));
        let Command::Ss(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("not ss");
        };
        ss(&args, &Nothing)
    }

    #[test]
    fn a_filter_of_ss_becomes_one_of_a_trace() {
        let trace = plan("-tE state established sport = :80 and dst 10.0.0.0/8").unwrap();
        assert_eq!(trace.lport, ["80"]);
        assert_eq!(trace.raddr, ["10.0.0.0/8"]);
        assert_eq!(trace.state, ["ESTABLISHED"]);
        assert_eq!(trace.netns, ["/proc/self/ns/net"]);
        assert!(trace.numeric && trace.event.contains(&EventKind::State));
        assert_eq!(plan("-tEl").unwrap().state, ["LISTEN"]);
        assert_eq!(plan("-uE").unwrap().event, [EventKind::Udp]);
        assert_eq!(plan("-tE dport >= :1024").unwrap().rport, ["1024-65535"]);
        // What a trace cannot narrow down to is refused, not ignored.
        for line in ["-tE sport = :1 or sport = :2", "-tE not sport = :1", "-0E", "-tE autobound"] {
            assert!(plan(line).is_err(), "{line}");
        }
    }
}
