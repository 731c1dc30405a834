//! What `netbreath capture` means.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use netbreath_common::packet::{INTERFACES, MOST_KEPT};

use super::{Error as Common, duration, ring_size};
use crate::cli::{CaptureArgs, HookName, TraceArgs, Way};
use crate::event::network::{Link, LinkFlags};
use crate::event::packet::Interface;
use crate::host::Host;
use crate::packet::filter::translate::{Way as Direction, translate};
use crate::packet::{filter, link_type};
use crate::source::{Ask, Packets, Spot};

/// A capture that makes sense.
#[derive(Debug)]
pub struct Capture {
    /// Its `packets` are set.
    pub ask: Ask,
    pub packets: Packets,
    pub hook: Option<HookName>,
    /// A filter asks whose packets are.
    pub needs_owners: bool,
    pub command: Vec<OsString>,
    pub to: To,
    pub count: Option<NonZeroU64>,
    pub duration: Option<Duration>,
    pub ready_file: Option<PathBuf>,
    /// Say what would be done, and do nothing.
    pub explain: bool,
    /// Why it is captured where it is, if nobody has said where.
    pub choice: Option<String>,
}

/// Where packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// Lines for people, on standard output.
    Lines,
    /// A capture file; without a path, it is standard output.
    File { path: Option<PathBuf>, pcap: bool, comments: bool },
}

/// Why a capture makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Common(#[from] Common),
    #[error("there is no interface {name:?}; these are: {known}")]
    NoInterface { name: String, known: String },
    #[error("no interface is up: `netbreath ip link` shows them, `ip link set NAME up` helps")]
    NoneUp,
    #[error("{count} interfaces are too many at once: {INTERFACES} can be captured on")]
    TooMany { count: usize },
    #[error(
        "the interface {name} carries packets of a kind that is not known here (ARPHRD {kind})"
    )]
    Unknown { name: String, kind: u16 },
    #[error(
        "{first} and {second} carry packets with different link-layer headers, which a file of \
         --pcap has no place for: leave --pcap out, or capture on one of them"
    )]
    Mixed { first: String, second: String },
    #[error("-s {typed}: at least 1 byte is kept of each packet")]
    NothingKept { typed: u32 },
    #[error(
        "{option} needs to know whose packets are, which a packet socket does not tell: leave \
         --hook packet out"
    )]
    OwnersOfSocket { option: &'static str },
}

/// What `args` mean on `host`, which has these interfaces.
pub fn capture(args: &CaptureArgs, host: &impl Host, links: &[Link]) -> Result<Capture, Error> {
    let like = TraceArgs {
        command: args.command.clone(),
        pid: args.pid.clone(),
        comm: args.comm.clone(),
        uid: args.uid.clone(),
        cgroup: args.cgroup.clone(),
        state: args.state.clone(),
        ..TraceArgs::default()
    };
    let filter = super::filter(&like, host)?;
    if args.hook == Some(HookName::Packet)
        && let Some(option) = owners(args)
    {
        return Err(Error::OwnersOfSocket { option });
    }
    if args.snap_len == 0 {
        return Err(Error::NothingKept { typed: args.snap_len });
    }
    let snap_len = args.snap_len.min(MOST_KEPT as u32);
    let (on, choice) = spots(links, &args.interface, args.direction, snap_len)?;
    let to = match &args.write {
        None => To::Lines,
        Some(path) => To::File {
            path: Some(path.clone()).filter(|path| path != Path::new("-")),
            pcap: args.pcap,
            comments: args.comments,
        },
    };
    if args.pcap
        && let Some(other) =
            on.iter().find(|spot| spot.interface.link_type != on[0].interface.link_type)
    {
        return Err(Error::Mixed {
            first: on[0].interface.name.to_string(),
            second: other.interface.name.to_string(),
        });
    }
    let typed = args.filter.join(" ");
    let packets = Packets {
        on,
        snap_len,
        ring_size: ring_size(&args.ring_size)?,
        filter: (!typed.trim().is_empty()).then(|| typed.trim().into()),
    };
    Ok(Capture {
        ask: Ask {
            filter,
            ring_size: 8 << 20,
            max_sockets: 262_144,
            accept_hook: true,
            btf: None,
            rungs: Vec::new(),
            debug_programs: false,
            costs: args.costs,
            owner_from_cpu: false,
            packets: Some(packets.clone()),
        },
        packets,
        hook: args.hook,
        needs_owners: owners(args).is_some(),
        command: args.command.clone(),
        to,
        count: args.count,
        duration: args.duration.as_deref().map(duration).transpose()?,
        ready_file: args.ready_file.clone(),
        explain: args.explain,
        choice,
    })
}

/// Which part of the filters runs where.
pub fn explain(plan: &Capture) -> Result<String, filter::Error> {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    let socket = plan.hook == Some(HookName::Packet);
    match &plan.packets.filter {
        None => line("no FILTER: every packet passes"),
        Some(typed) => {
            line(&format!("FILTER {typed:?} runs in the kernel, before anything is copied:"));
            let mut kinds: Vec<u16> =
                plan.packets.on.iter().map(|spot| spot.interface.link_type).collect();
            kinds.sort_unstable();
            kinds.dedup();
            for kind in kinds {
                let classic = filter::compile(typed, kind)?;
                let names: Vec<&str> = plan
                    .packets
                    .on
                    .iter()
                    .filter(|spot| spot.interface.link_type == kind)
                    .map(|spot| &*spot.interface.name)
                    .collect();
                let (names, count) = (names.join(", "), classic.len());
                if socket {
                    line(&format!("  {names}: {count} instructions of the packet socket's filter"));
                } else {
                    let words =
                        translate(&classic, Direction::In, kind == link_type::ETHERNET, 0, 0)?;
                    line(&format!(
                        "  {names}: {count} classic instructions, {} as a program of the kernel",
                        words.len()
                    ));
                }
            }
        }
    }
    if plan.needs_owners {
        line(
            "owners and states are compared in the kernel, after FILTER and before anything is \
             copied",
        );
    }
    line(&format!("of what passes, {} bytes are copied to netbreath", plan.packets.snap_len));
    Ok(text)
}

/// The first option that asks for owners.
fn owners(args: &CaptureArgs) -> Option<&'static str> {
    let options = [
        ("--pid", !args.pid.is_empty()),
        ("--comm", !args.comm.is_empty()),
        ("--uid", !args.uid.is_empty()),
        ("--cgroup", args.cgroup.is_some()),
        ("--state", !args.state.is_empty()),
        ("-- COMMAND", !args.command.is_empty()),
    ];
    options.iter().find(|(_, given)| *given).map(|(option, _)| *option)
}

/// Where to capture, and why there, if that was not said.
fn spots(
    links: &[Link],
    typed: &[String],
    way: Option<Way>,
    snap_len: u32,
) -> Result<(Vec<Spot>, Option<String>), Error> {
    let any = typed.is_empty() || typed.iter().any(|name| name == "any");
    let up = |link: &&Link| link.flags.has(LinkFlags::UP);
    let mut chosen: Vec<&Link> = Vec::new();
    if any {
        // One that nobody can read is no reason to have none.
        chosen.extend(links.iter().filter(up).filter(|l| link_type::of(l.hardware).is_some()));
        if chosen.is_empty() {
            return Err(Error::NoneUp);
        }
    } else {
        for name in typed {
            let Some(link) = links.iter().find(|link| is_called(link, name)) else {
                let names: Vec<&str> = links.iter().map(|link| &*link.ifname).collect();
                return Err(Error::NoInterface { name: name.clone(), known: names.join(", ") });
            };
            if !chosen.iter().any(|other| other.ifindex == link.ifindex) {
                chosen.push(link);
            }
        }
    }
    if chosen.len() > INTERFACES as usize {
        return Err(Error::TooMany { count: chosen.len() });
    }
    let spots: Vec<Spot> =
        chosen.into_iter().map(|link| spot(link, way, snap_len)).collect::<Result<_, Error>>()?;
    let names: Vec<&str> = spots.iter().map(|spot| &*spot.interface.name).collect();
    let choice = typed.is_empty().then(|| {
        format!(
            "capturing on all interfaces that are up: {}; -i chooses others, and what goes through \
             several of them is seen on each",
            names.join(", ")
        )
    });
    Ok((spots, choice))
}

fn is_called(link: &Link, name: &str) -> bool {
    link.ifname == name
        || link.altnames.iter().any(|other| other == name)
        || name.parse() == Ok(link.ifindex)
}

fn spot(link: &Link, way: Option<Way>, snap_len: u32) -> Result<Spot, Error> {
    let loopback = link.flags.has(LinkFlags::LOOPBACK);
    // What goes out by loopback comes in by it: once is enough.
    let (incoming, outgoing) = match way {
        Some(Way::In) => (true, false),
        Some(Way::Out) => (false, true),
        Some(Way::Inout) => (true, true),
        None => (!loopback, true),
    };
    let link_type = link_type::of(link.hardware)
        .ok_or_else(|| Error::Unknown { name: link.ifname.clone(), kind: link.hardware })?;
    let interface =
        Interface { index: link.ifindex, name: Arc::from(&*link.ifname), link_type, snap_len };
    Ok(Spot { interface: Arc::new(interface), loopback, incoming, outgoing })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, ifname: &str, flags: u32, hardware: u16) -> Link {
        let flags = LinkFlags(flags);
        Link { ifindex, ifname: ifname.to_owned(), flags, hardware, ..Link::default() }
    }

    fn links() -> Vec<Link> {
        let (up, lo) = (LinkFlags::UP, LinkFlags::LOOPBACK);
        vec![
            link(1, "lo", up | lo, 772),
            link(2, "eth0", up, 1),
            link(3, "eth1", 0, 1),
            link(4, "tun0", up, 0xfffe),
            link(5, "odd0", up, 4711),
        ]
    }

    fn names(typed: &[&str]) -> Result<Vec<String>, String> {
        let typed: Vec<String> = typed.iter().map(|&name| name.to_owned()).collect();
        spots(&links(), &typed, None, 100)
            .map(|(spots, _)| spots.iter().map(|spot| spot.interface.name.to_string()).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn interfaces_that_are_up_are_taken_if_none_is_named() {
        assert_eq!(names(&[]).unwrap(), ["lo", "eth0", "tun0"]);
        assert_eq!(names(&["any"]).unwrap(), ["lo", "eth0", "tun0"]);
        assert_eq!(names(&["eth1", "lo", "3"]).unwrap(), ["eth1", "lo"]);
        assert!(names(&["eth7"]).unwrap_err().contains("lo, eth0, eth1, tun0, odd0"));
        assert!(names(&["odd0"]).unwrap_err().contains("4711"));
        assert!(spots(&links(), &[], None, 1).unwrap().1.unwrap().contains("lo, eth0, tun0"));
    }

    #[test]
    fn what_goes_by_loopback_is_taken_once() {
        let ways = |way| {
            let (spots, _) = spots(&links(), &["lo".to_owned()], way, 1).unwrap();
            (spots[0].incoming, spots[0].outgoing)
        };
        assert_eq!(ways(None), (false, true));
        assert_eq!(ways(Some(Way::In)), (true, false));
        assert_eq!(ways(Some(Way::Inout)), (true, true));
    }
}
