//! Compares what the tracer said with what the scenario knows. Pure: events and
//! lives in, a verdict out, so that the judge itself is tested without a kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use serde_json::Value;

use crate::event::{Event, Owner, endpoint};
use crate::unseen::Unseen;

mod told;
pub use told::{Told, Word, judge_told};

/// How far the tracer's wall clock may be from the actors': both read the same
/// clocks, but the tracer adds an offset that it took earlier.
const SLACK_NS: i64 = 5_000_000;

/// A path of whatever states, but not of none.
pub const ANY: &str = "*";

/// Faults to print in full; one broken hook breaks a thousand sockets.
const SHOWN: usize = 20;

/// Who may be named as the owner of a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    pub how: &'static str,
    /// Another `how` that is as true.
    pub also: Option<&'static str>,
    /// That there is none is no fault.
    pub unknown: bool,
    /// More than one only where several processes hold the socket.
    pub pids: Vec<u32>,
    pub comm: Option<String>,
    pub uid: Option<u32>,
    pub exe: Option<String>,
}

impl Claim {
    /// What is wrong with `owner`, or nothing.
    fn fault(&self, owner: &Owner) -> Option<String> {
        let Claim { how, also, unknown: _, pids, comm, uid, exe } = self;
        if !pids.contains(&owner.pid) {
            return Some(format!("pid {} ({}), not {pids:?}", owner.pid, owner.comm));
        }
        if owner.how != *how && Some(&*owner.how) != *also {
            return Some(format!("how {:?}, not {how:?}", owner.how));
        }
        if comm.as_ref().is_some_and(|comm| *comm != owner.comm) {
            return Some(format!("comm {:?}, not {comm:?}", owner.comm));
        }
        if uid.is_some_and(|uid| uid != owner.uid) {
            return Some(format!("uid {}, not {uid:?}", owner.uid));
        }
        if exe.is_some() && *exe != owner.exe {
            return Some(format!("exe {:?}, not {exe:?}", owner.exe));
        }
        None
    }
}

/// The call that took a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    pub claim: Claim,
    /// None if it must not be told.
    pub fd: Option<i32>,
    /// The call had begun before the tracer did.
    pub under_way: bool,
    /// Right before and right after the call.
    pub before: i64,
    pub after: i64,
}

/// A process became another program while it owned a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Right before the call and when the new program ran.
    pub before: i64,
    pub after: i64,
    pub comm: String,
    pub exe: String,
}

impl Renamed {
    /// For a socket that the call itself closes, when the new program is in place.
    pub fn at_once(&self) -> Renamed {
        Renamed { after: self.before, ..self.clone() }
    }
}

/// A process of which the tracer was asked to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessLife {
    pub pid: u32,
    pub parent: u32,
    /// Name of each event, with the comm and the exe that it must tell.
    pub path: Vec<(&'static str, String, String)>,
}

/// A socket that existed before the tracer: its state, and each (pid, descriptor)
/// that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeded {
    pub state: String,
    pub holders: Vec<(u32, i32)>,
}

/// One socket, from birth to end, as the scenario knows it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Life {
    /// For messages.
    pub name: String,
    /// The cookie; of a socket that nobody accepted it is not known, and its two
    /// addresses tell it.
    pub socket: Option<u64>,
    pub proto: String,
    pub family: u8,
    pub local: Option<SocketAddr>,
    pub remote: Option<SocketAddr>,
    pub netns: u64,
    pub born: bool,
    /// The states it goes through, in order; empty if the tracer must be silent, and
    /// [`ANY`] alone for a protocol whose states the scenario does not foretell.
    pub path: Vec<String>,
    /// The addresses are as the kernel's tracepoint has them at that moment, which
    /// may be none.
    pub any_address: bool,
    /// The owner, until the connection is accepted if it ever is.
    pub owner: Claim,
    pub accepted: Option<Acceptance>,
    pub renamed: Option<Renamed>,
    pub seeded: Option<Seeded>,
    /// Further events that must be told of it.
    pub details: Vec<Detail>,
    /// When the first transition happened: right before and right after the call.
    pub start: Option<(i64, i64)>,
    pub syn: Syn,
    /// The socket at the other end, if that is known.
    pub peer: Option<u64>,
    /// When its last transition was cannot be known, nor how long the state before lasted.
    pub end_not_seen: bool,
}

/// What must be told of a connection's SYN, where it came to a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Syn {
    /// When it came: the connection is half-open from then on. If known, right before and
    /// right after the call that sent it.
    Told(Option<(i64, i64)>),
    /// That it was answered with a SYN cookie, so that nobody knows when it came.
    Cookie,
    /// Nothing: a filter leaves it out, or it came before the tracer, or to no listener.
    #[default]
    Untold,
}

/// So many events of one kind that say this must be told of a socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    pub event: &'static str,
    /// Keys and values; null stands for "not known", and for an absent key.
    pub says: Vec<(&'static str, Value)>,
    pub least: usize,
    pub most: usize,
}

/// Events that tell more of a connection than its transitions.
const DETAILS: [&str; 5] = ["connect_failed", "closed", "retransmit", "reset", "drop"];

/// How much the tracer is expected to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    /// Transitions and addresses, as the reference has them.
    Transitions,
}

/// Owners of one kind, by what the tracer said about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub right: u64,
    pub wrong: u64,
    pub missing: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Another sequence of states.
    Sequence,
    Owner,
    Address,
    Time,
    /// `netns`, `proto`, `family` or `born`.
    Fact,
    /// What else is told of a connection.
    Detail,
    Accept,
    Seed,
    Process,
    /// The tracer says itself that events are missing.
    Lost,
    /// Events of a socket that the scenario does not know.
    Stray,
    /// Fewer checks than the scenario must have: it has not tested what it says.
    Minimum,
}

#[derive(Clone, Debug)]
pub struct Fault {
    pub kind: Kind,
    pub text: String,
}

#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub checks: u64,
    pub sockets: u64,
    pub transitions: u64,
    /// Owners that are another process than the true one.
    pub wrong_pids: u64,
    /// By `how`.
    pub owners: BTreeMap<&'static str, Tally>,
    pub faults: Vec<Fault>,
}

impl Verdict {
    pub fn wrong_owners(&self) -> u64 {
        self.owners.values().map(|tally| tally.wrong).sum()
    }

    pub fn missing_owners(&self) -> u64 {
        self.owners.values().map(|tally| tally.missing).sum()
    }

    pub fn of_kind(&self, kind: Kind) -> usize {
        self.faults.iter().filter(|fault| fault.kind == kind).count()
    }

    fn check(&mut self, right: bool, kind: Kind, text: impl FnOnce() -> String) {
        self.checks += 1;
        if !right {
            self.faults.push(Fault { kind, text: text() });
        }
    }

    /// So many checks there must have been at least.
    pub fn demand(&mut self, minimum: u64) {
        if self.checks < minimum {
            let text = format!("{} checks, but there must be {minimum}", self.checks);
            self.faults.push(Fault { kind: Kind::Minimum, text });
        }
    }

    fn owner(&mut self, claim: &Claim, event: &Event, place: impl FnOnce() -> String) {
        self.checks += 1;
        let tally = self.owners.entry(claim.how).or_default();
        let text = match &event.owner {
            None if claim.unknown => return,
            None => {
                tally.missing += 1;
                "no owner".to_owned()
            }
            Some(owner) => match claim.fault(owner) {
                None => {
                    tally.right += 1;
                    return;
                }
                Some(text) => {
                    tally.wrong += 1;
                    self.wrong_pids += u64::from(!claim.pids.contains(&owner.pid));
                    text
                }
            },
        };
        self.faults.push(Fault { kind: Kind::Owner, text: format!("{}: {text}", place()) });
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { checks, sockets, transitions, owners, faults, .. } = self;
        write!(f, "{checks} checks, {sockets} sockets, {transitions} transitions")?;
        for (how, Tally { right, wrong, missing }) in owners {
            write!(f, "\n    {how:<10} right {right:>6}  wrong {wrong:>6}  missing {missing:>6}")?;
        }
        for Fault { kind, text } in faults.iter().take(SHOWN) {
            write!(f, "\n    {kind:?}: {text}")?;
        }
        if faults.len() > SHOWN {
            write!(f, "\n    and {} more", faults.len() - SHOWN)?;
        }
        Ok(())
    }
}

/// Judges the events of one recording. Other namespaces than those of `lives` are
/// other people's traffic. `minimum` is how many checks there must be at least.
pub fn judge(events: &[Event], lives: &[Life], scope: Scope, minimum: u64) -> Verdict {
    let mut verdict = Verdict::default();
    let boots = boot_offsets(events);
    let spaces: BTreeSet<u64> = lives.iter().map(|life| life.netns).collect();
    let ours: Vec<usize> = (0..events.len())
        .filter(|&i| events[i].netns.is_some_and(|netns| spaces.contains(&netns)))
        .collect();

    let unseen = Unseen::declared(events);
    let mut known = BTreeSet::new();
    for life in &lives.iter().map(|life| unseen.shown(life)).collect::<Vec<_>>() {
        let ids = identify(life, events, &ours, scope, unseen.has("cookie"));
        // Without cookies, a request for a connection has an id of its own.
        let told = |id: &&Option<u64>| {
            ours.iter().any(|&i| events[i].is("state") && events[i].socket == **id)
        };
        let many = if unseen.has("cookie") { ids.iter().filter(told).count() } else { ids.len() };
        verdict.check(many <= 1, Kind::Fact, || {
            format!("{}: one socket has the ids {ids:?}", life.name)
        });
        let of_life: Vec<usize> =
            ours.iter().copied().filter(|&i| ids.contains(&events[i].socket)).collect();
        known.extend(ids);
        verdict.sockets += 1;
        one(&mut verdict, life, events, &of_life, &boots, scope);
    }

    for &i in &ours {
        if !known.contains(&events[i].socket) && !answers(&events[i], lives) {
            let Event { event, socket, local, remote, .. } = &events[i];
            verdict.faults.push(Fault {
                kind: Kind::Stray,
                text: format!(
                    "{event} {} of {socket:?} {local:?} {remote:?}",
                    events[i].transition()
                ),
            });
        }
    }
    // Boot time: the wall clock may have been set back.
    let time = |i: usize| events[i].at - boots[i];
    let early = ours.windows(2).filter(|pair| time(pair[0]) > time(pair[1])).count();
    verdict.check(early == 0, Kind::Time, || format!("{early} events out of order"));
    // A transition that cannot be is a loss, too, whatever its count.
    let lost: Vec<_> = events
        .iter()
        .filter(|event| {
            event.is("gap")
                && (event.count.is_some_and(|count| count > 0)
                    || event.hook.as_deref() == Some("life"))
        })
        .collect();
    verdict.check(lost.is_empty(), Kind::Lost, || {
        let gaps = lost.iter().map(|gap| format!("{:?} {:?} {:?}", gap.count, gap.what, gap.why));
        gaps.collect::<Vec<_>>().join("; ")
    });
    verdict.demand(minimum);
    verdict
}

/// Whether it is about a segment of one of these that came for no socket: a closed port
/// answers it with a reset, a listener may drop it.
fn answers(event: &Event, lives: &[Life]) -> bool {
    (event.is("reset") || event.is("drop"))
        && event.socket.is_none()
        && lives.iter().any(|life| {
            event.netns == Some(life.netns)
                && event.local == life.remote.map(endpoint)
                && (life.local.is_none() || event.remote == life.local.map(endpoint))
        })
}

/// Judges what was told of processes: of these all that is expected, and, with
/// `alone`, of no other.
pub fn judge_processes(
    verdict: &mut Verdict,
    events: &[Event],
    lives: &[ProcessLife],
    alone: bool,
) {
    let told = |event: &&Event| ["exec", "fork", "exit"].contains(&event.event.as_str());
    for ProcessLife { pid, parent, path } in lives {
        let of_life = || events.iter().filter(told).filter(|event| event.pid == Some(*pid));
        let seen: Vec<_> = of_life()
            .map(|event| (&*event.event, event.comm.as_deref(), event.exe.as_deref()))
            .collect();
        let want: Vec<_> =
            path.iter().map(|(name, comm, exe)| (*name, Some(&**comm), Some(&**exe))).collect();
        verdict.check(seen == want, Kind::Process, || format!("{pid}: {seen:?}, not {want:?}"));
        let parents: Vec<_> = of_life().map(|event| event.parent).collect();
        verdict.check(parents.iter().all(|said| *said == Some(*parent)), Kind::Process, || {
            format!("{pid}: parents {parents:?}, not {parent}")
        });
        // What it runs, it was called with; only what was seen to start has arguments.
        let bare = of_life().filter(|event| event.is("exec") && event.cmdline.is_none()).count();
        verdict.check(bare == 0, Kind::Process, || format!("{pid}: {bare} without arguments"));
    }
    let known = |event: &&Event| lives.iter().any(|life| Some(life.pid) == event.pid);
    let others = events.iter().filter(told).filter(|event| !known(event)).count();
    verdict.check(!alone || others == 0, Kind::Process, || {
        format!("{others} events of processes that were not asked for")
    });
}

/// The ids under which the tracer reports a life: one, or none if it is silent.
fn identify(
    life: &Life,
    events: &[Event],
    ours: &[usize],
    scope: Scope,
    no_cookies: bool,
) -> BTreeSet<Option<u64>> {
    if life.socket.is_some()
        && !no_cookies
        && (scope == Scope::All || ours.iter().any(|&i| events[i].socket == life.socket))
    {
        return BTreeSet::from([life.socket]);
    }
    let (Some(local), Some(remote)) = (life.local, life.remote) else {
        return BTreeSet::new();
    };
    let (local, remote) = (Some(endpoint(local)), Some(endpoint(remote)));
    let same = |event: &&Event| {
        event.netns == Some(life.netns)
            && event.local == local
            && event.remote == remote
            // A segment between these ends can be for no socket.
            && event.socket.is_some()
    };
    ours.iter().map(|&i| &events[i]).filter(same).map(|event| event.socket).collect()
}

fn one(
    verdict: &mut Verdict,
    life: &Life,
    events: &[Event],
    of_life: &[usize],
    boots: &[i64],
    scope: Scope,
) {
    let name = &life.name;
    let states: Vec<usize> = of_life.iter().copied().filter(|&i| events[i].is("state")).collect();
    let seen: Vec<String> = states.iter().map(|&i| events[i].transition()).collect();
    let mut path = life.path.clone();
    if scope == Scope::Transitions
        && let Some(at) = path.iter().position(|state| state == "TIME_WAIT")
    {
        // The reference does not see beyond the full socket.
        path.truncate(at);
        path.push("CLOSE".to_owned());
    }
    let want: Vec<String> = path.windows(2).map(|pair| pair.join(">")).collect();
    verdict.transitions += seen.len() as u64;
    let right = if life.path == [ANY] { !seen.is_empty() } else { seen == want };
    verdict.check(right, Kind::Sequence, || format!("{name}: {seen:?}, not {want:?}"));

    for &i in of_life {
        facts(verdict, life, &events[i], scope);
    }
    let ports: BTreeSet<_> = states.iter().map(|&i| &events[i].local).collect();
    verdict.check(ports.len() <= 1 || life.any_address, Kind::Address, || {
        format!("{name}: local ends {ports:?}")
    });
    if scope == Scope::Transitions {
        return;
    }

    if let (Some((before, after)), Some(&first)) = (life.start, states.first()) {
        let at = events[first].at;
        verdict.check(within(at, before, after), Kind::Time, || {
            format!("{name}: {} at {at}, not in {before}..{after}", events[first].transition())
        });
    }
    let syn = half_open(verdict, life, events, of_life);
    verdict.check(!life.path.is_empty() || of_life.is_empty(), Kind::Sequence, || {
        format!("{name}: {} events, not silence", of_life.len())
    });
    if let (Some(peer), Some(&last)) = (life.peer, states.last()) {
        let said = events[last].peer;
        verdict
            .check(said == Some(peer), Kind::Fact, || format!("{name}: peer {said:?}, not {peer}"));
    }
    if let (true, Some(&last)) = (life.end_not_seen, states.last()) {
        let Event { in_state_ns, via, .. } = &events[last];
        verdict.check(in_state_ns.is_none() && via == "timer", Kind::Fact, || {
            format!("{name}: in_state_ns {in_state_ns:?} via {via}")
        });
    }
    for pair in states.windows(2) {
        let [mut earlier, later] = [pair[0], pair[1]];
        if events[earlier].old.as_deref() == Some("LISTEN")
            && events[earlier].new.as_deref() == Some("SYN_RECV")
        {
            match (life.syn, syn) {
                // Since its SYN, not since it has a socket.
                (Syn::Told(_), Some(syn)) => earlier = syn,
                (Syn::Cookie, _) => {
                    verdict.check(events[later].in_state_ns.is_none(), Kind::Time, || {
                        format!("{name}: a SYN cookie, and {:?}", events[later].in_state_ns)
                    });
                    continue;
                }
                (Syn::Untold, _) => {
                    let least =
                        (events[later].at - boots[later]) - (events[earlier].at - boots[earlier]);
                    let said = events[later].in_state_ns;
                    verdict.check(said.is_some_and(|said| said >= least), Kind::Time, || {
                        format!("{name}: {said:?} in SYN_RECV, not {least} or more")
                    });
                    continue;
                }
                _ => {}
            }
        }
        // Boot time: the wall clock may have been set in between.
        let time = |i: usize| events[i].at - boots[i];
        let passed = time(later) - time(earlier);
        let said = events[later].in_state_ns;
        verdict.check(said == Some(passed), Kind::Time, || {
            format!("{name}: {} in_state_ns {said:?}, not {passed}", events[later].transition())
        });
    }

    let accepts: Vec<usize> = of_life.iter().copied().filter(|&i| events[i].is("accept")).collect();
    let expected = usize::from(life.accepted.is_some() && !life.path.is_empty());
    verdict.check(accepts.len() == expected, Kind::Accept, || {
        format!("{name}: {} accept events, not {expected}", accepts.len())
    });
    if let (Some(acceptance), Some(&i)) = (&life.accepted, accepts.first()) {
        accept(verdict, name, acceptance, events, &states, i, boots);
    }
    let told = |i: &usize| events[*i].is("state") || DETAILS.contains(&&*events[*i].event);
    for i in of_life.iter().copied().filter(told) {
        let accepted = accepts.first().is_some_and(|&accept| accept < i);
        let claim = match &life.accepted {
            Some(acceptance) if accepted => &acceptance.claim,
            _ => &life.owner,
        };
        let claim = match &life.renamed {
            Some(renamed) if events[i].at > renamed.after => &Claim {
                comm: Some(renamed.comm.clone()),
                exe: Some(renamed.exe.clone()),
                ..claim.clone()
            },
            Some(renamed) if events[i].at > renamed.before => {
                verdict.check(false, Kind::Time, || {
                    format!("{name}: {} while the owner changed", what(&events[i]))
                });
                continue;
            }
            _ => claim,
        };
        verdict.owner(claim, &events[i], || format!("{name}: {}", what(&events[i])));
    }
    end(verdict, life, events, of_life);
    details(verdict, life, events, of_life);
    seeds(verdict, life, events, of_life);
}

/// Judges what was told of the SYN; the event, if there is one.
fn half_open(
    verdict: &mut Verdict,
    life: &Life,
    events: &[Event],
    of_life: &[usize],
) -> Option<usize> {
    let name = &life.name;
    let told: Vec<usize> = of_life.iter().copied().filter(|&i| events[i].is("half_open")).collect();
    let (want, via, cookie) = match life.syn {
        Syn::Told(_) => (1, "kernel", None),
        Syn::Cookie => (1, "inferred", Some(true)),
        Syn::Untold => (0, "", None),
    };
    verdict.check(told.len() == want, Kind::Sequence, || {
        format!("{name}: {} times half-open, not {want}", told.len())
    });
    let &first = told.first()?;
    let event = &events[first];
    verdict.owner(&life.owner, event, || format!("{name}: half_open"));
    verdict.check(event.via == via && event.syn_cookie == cookie, Kind::Fact, || {
        format!("{name}: half_open via {} with a SYN cookie {:?}", event.via, event.syn_cookie)
    });
    if let Syn::Told(Some((before, after))) = life.syn {
        verdict.check(within(event.at, before, after), Kind::Time, || {
            format!("{name}: half_open at {}, not in {before}..{after}", event.at)
        });
    }
    Some(first)
}

/// An event in a word.
fn what(event: &Event) -> String {
    if event.is("state") { event.transition() } else { event.event.clone() }
}

/// Every connection ends once: closed if it was ever established, else it has failed; and
/// the whole agrees with its parts.
fn end(verdict: &mut Verdict, life: &Life, events: &[Event], of_life: &[usize]) {
    let name = &life.name;
    let of = |kind: &'static str| {
        of_life.iter().map(|&i| &events[i]).filter(move |event| event.is(kind))
    };
    // A request that comes to nothing has no socket to close.
    let requested = life.path.first().is_some_and(|state| state == "SYN_RECV");
    let is_foretold = life.proto == "tcp" && life.path.len() > 1 && !requested;
    // A mini-socket goes on without the one that the process had.
    let ends = is_foretold
        && life.path.iter().skip(1).any(|state| state == "CLOSE" || state == "TIME_WAIT");
    let listens = life.path.windows(2).any(|pair| pair == ["LISTEN", "CLOSE"]);
    let opens = life.path.iter().any(|state| state == "ESTABLISHED") || !life.born;
    if is_foretold {
        let (closed, failed) = (of("closed").count(), of("connect_failed").count());
        let expected =
            (usize::from(ends && !listens && opens), usize::from(ends && !opens && !listens));
        verdict.check((closed, failed) == expected, Kind::Detail, || {
            format!("{name}: closed and connect_failed {:?}, not {expected:?}", (closed, failed))
        });
    }
    for closed in of("closed") {
        let mut spent = BTreeMap::new();
        let mut outlasted = None;
        for state in of("state") {
            let time = state.in_state_ns.unwrap_or(0);
            // What comes after is not in it, nor all of a FIN_WAIT2 that outlasts the socket.
            if state.at > closed.at {
                if state.old.as_deref() == Some("FIN_WAIT2") {
                    outlasted = closed.details.get("states_ns").and_then(|states| {
                        states.get("FIN_WAIT2").and_then(Value::as_i64).filter(|part| *part <= time)
                    });
                }
                continue;
            }
            if time != 0 {
                *spent.entry(state.old.clone().unwrap_or_default()).or_insert(0) += time;
            }
        }
        if let Some(part) = outlasted {
            spent.insert("FIN_WAIT2".to_owned(), part);
        }
        let told: BTreeMap<String, i64> = closed
            .details
            .get("states_ns")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(state, time)| Some((state.clone(), time.as_i64()?)))
            .collect();
        verdict.check(told == spent, Kind::Detail, || {
            format!("{name}: states_ns {told:?}, not {spent:?}")
        });
        // What a SYN cookie has to tell is not how long it took.
        if life.born && life.syn != Syn::Cookie {
            let all: i64 = spent.values().sum();
            let lasted = closed.number("lasted_ns");
            verdict.check(lasted == Some(all), Kind::Detail, || {
                format!("{name}: lasted_ns {lasted:?}, not {all}")
            });
        }
    }
}

fn details(verdict: &mut Verdict, life: &Life, events: &[Event], of_life: &[usize]) {
    let name = &life.name;
    for Detail { event: kind, says, least, most } in &life.details {
        // This key is read apart.
        let said = |event: &Event, key| match key {
            "state" => event.state.clone().map_or(Value::Null, Value::from),
            key => event.details.get(key).cloned().unwrap_or_default(),
        };
        let told: Vec<&Event> =
            of_life.iter().map(|&i| &events[i]).filter(|event| event.is(kind)).collect();
        let right = told
            .iter()
            .filter(|event| says.iter().all(|(key, value)| said(event, key) == *value))
            .count();
        verdict.check((*least..=*most).contains(&right), Kind::Detail, || {
            let all: Vec<_> = told.iter().map(|event| (&event.state, &event.details)).collect();
            format!("{name}: {right} {kind} events say {says:?}, not {least} to {most}: {all:?}")
        });
    }
}

/// What holds for every event of a socket.
fn facts(verdict: &mut Verdict, life: &Life, event: &Event, scope: Scope) {
    let name = &life.name;
    let place = || format!("{name}: {} {}", event.event, event.transition());
    let ends = [("local", &event.local, life.local), ("remote", &event.remote, life.remote)];
    for (end, said, known) in ends.into_iter().filter(|_| !life.any_address) {
        let right = match (known, said) {
            (Some(known), Some(said)) => *said == endpoint(known),
            // The process itself never knew its port, but one there was.
            (None, Some(said)) => end == "remote" || !said.ends_with(":*"),
            (_, None) => false,
        };
        // The reference has no port before the kernel has chosen it.
        if scope == Scope::All || end == "local" {
            verdict.check(right, Kind::Address, || {
                format!("{}: {end} {said:?}, not {known:?}", place())
            });
        }
    }
    let Event { netns, proto, family, born, .. } = event;
    verdict.check(
        proto.as_deref() == Some(&life.proto)
            && *family == Some(life.family)
            && *netns == Some(life.netns),
        Kind::Fact,
        || format!("{}: {proto:?} {family:?} in {netns:?}", place()),
    );
    if scope == Scope::All {
        verdict.check(*born == Some(life.born), Kind::Fact, || {
            format!("{}: born {born:?}, not {}", place(), life.born)
        });
    }
}

fn accept(
    verdict: &mut Verdict,
    name: &str,
    acceptance: &Acceptance,
    events: &[Event],
    states: &[usize],
    i: usize,
    boots: &[i64],
) {
    let event = &events[i];
    verdict.owner(&acceptance.claim, event, || format!("{name}: accept"));
    verdict.check(event.fd == acceptance.fd, Kind::Accept, || {
        format!("{name}: accepted as descriptor {:?}, not {:?}", event.fd, acceptance.fd)
    });
    let Acceptance { before, after, .. } = *acceptance;
    verdict.check(within(event.at, before, after), Kind::Time, || {
        format!("{name}: accepted at {}, not in {before}..{after}", event.at)
    });
    let established = states.iter().find(|&&s| events[s].new.as_deref() == Some("ESTABLISHED"));
    if let Some(&s) = established {
        let waited = (event.at - boots[i]) - (events[s].at - boots[s]);
        verdict.check(event.queued_ns == Some(waited), Kind::Time, || {
            format!("{name}: queued_ns {:?}, not {waited}", event.queued_ns)
        });
    }
}

fn seeds(verdict: &mut Verdict, life: &Life, events: &[Event], of_life: &[usize]) {
    let name = &life.name;
    let seeds: Vec<&Event> =
        of_life.iter().map(|&i| &events[i]).filter(|event| event.is("seed")).collect();
    let Some(Seeded { state, holders }) = &life.seeded else {
        verdict.check(seeds.is_empty(), Kind::Seed, || {
            format!("{name}: {} seeds of a socket that is younger than the tracer", seeds.len())
        });
        return;
    };
    verdict.check(!seeds.is_empty(), Kind::Seed, || format!("{name}: no seed"));
    for seed in seeds {
        verdict.owner(&life.owner, seed, || format!("{name}: seed"));
        let holder = seed.owner.as_ref().map(|owner| owner.pid).zip(seed.fd);
        verdict.check(
            seed.state.as_ref() == Some(state)
                && holder.is_some_and(|holder| holders.contains(&holder)),
            Kind::Seed,
            || format!("{name}: seed {:?} held by {holder:?}, not {holders:?}", seed.state),
        );
    }
}

fn within(at: i64, before: i64, after: i64) -> bool {
    (before - SLACK_NS..=after + SLACK_NS).contains(&at)
}

/// For each event, the wall-clock time of boot that holds for it.
/// For each event, what to take from its time to have the time since boot.
pub fn boot_offsets(events: &[Event]) -> Vec<i64> {
    let mut boot = 0;
    let mut offsets = Vec::new();
    for event in events {
        if let Some(moved) = event.boot.filter(|_| event.is("clock")) {
            boot = moved;
        }
        offsets.push(boot);
    }
    offsets
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: u32 = 100;
    const SERVER: u32 = 200;
    const WORKER: u32 = 300;

    fn claim(how: &'static str, pid: u32) -> Claim {
        let comm = Some(format!("p{pid}"));
        Claim { how, pids: vec![pid], comm, uid: Some(0), ..Claim::default() }
    }

    fn owner(how: &str, pid: u32) -> Option<Owner> {
        Some(Owner { pid, comm: format!("p{pid}"), exe: None, uid: 0, how: how.to_owned() })
    }

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn life(name: &str, socket: u64, path: &str, owner: Claim) -> Life {
        Life {
            name: name.to_owned(),
            socket: Some(socket),
            proto: "tcp".to_owned(),
            family: 4,
            local: Some(addr(80)),
            remote: Some(addr(4000)),
            netns: 7,
            born: true,
            path: path.split_whitespace().map(str::to_owned).collect(),
            any_address: false,
            owner,
            accepted: None,
            renamed: None,
            seeded: None,
            details: Vec::new(),
            start: None,
            syn: Syn::Untold,
            peer: None,
            end_not_seen: false,
        }
    }

    fn base(at: i64, socket: u64, event: &str) -> Event {
        Event {
            at,
            event: event.to_owned(),
            socket: Some(socket),
            proto: Some("tcp".to_owned()),
            family: Some(4),
            local: Some("127.0.0.1:80".to_owned()),
            remote: Some("127.0.0.1:4000".to_owned()),
            netns: Some(7),
            born: Some(true),
            ..Event::default()
        }
    }

    fn state(at: i64, old: &str, new: &str, waited: Option<i64>, owner: Option<Owner>) -> Event {
        Event {
            old: Some(old.to_owned()),
            new: Some(new.to_owned()),
            in_state_ns: waited,
            owner,
            ..base(at, 1, "state")
        }
    }

    fn closed(at: i64, states: &[(&str, i64)], owner: Option<Owner>) -> Event {
        let all: i64 = states.iter().map(|(_, time)| time).sum();
        let states: BTreeMap<&str, i64> = states.iter().copied().collect();
        let details = [("states_ns", serde_json::json!(states)), ("lasted_ns", all.into())];
        let details = details.map(|(key, value)| (key.to_owned(), value)).into();
        Event { owner, details, ..base(at, 1, "closed") }
    }

    /// A server's connection, told rightly: a worker accepts what the parent's
    /// listener got.
    fn server() -> (Vec<Event>, Life) {
        let inherited = || owner("inherited", SERVER);
        let worker = || owner("accept", WORKER);
        let accept = Event {
            queued_ns: Some(5),
            fd: Some(4),
            owner: worker(),
            ..base(1_000_025, 1, "accept")
        };
        let events = vec![
            state(1_000_010, "LISTEN", "SYN_RECV", None, inherited()),
            state(1_000_020, "SYN_RECV", "ESTABLISHED", Some(10), inherited()),
            accept,
            state(1_000_050, "ESTABLISHED", "CLOSE", Some(30), worker()),
            closed(1_000_050, &[("SYN_RECV", 10), ("ESTABLISHED", 30)], worker()),
        ];
        let path = "LISTEN SYN_RECV ESTABLISHED CLOSE";
        let mut life = life("server", 1, path, claim("inherited", SERVER));
        life.accepted = Some(Acceptance {
            claim: claim("accept", WORKER),
            fd: Some(4),
            under_way: false,
            before: 1_000_024,
            after: 1_000_026,
        });
        (events, life)
    }

    fn kinds(events: &[Event], life: &Life) -> Vec<Kind> {
        let verdict = judge(events, std::slice::from_ref(life), Scope::All, 1);
        verdict.faults.iter().map(|fault| fault.kind).collect()
    }

    #[test]
    fn what_is_told_rightly_has_no_fault() {
        let (events, life) = server();
        let verdict = judge(&events, &[life], Scope::All, 20);
        assert!(verdict.faults.is_empty(), "{verdict}");
        assert_eq!(verdict.owners["inherited"], Tally { right: 2, ..Tally::default() });
        assert_eq!(verdict.owners["accept"], Tally { right: 3, ..Tally::default() });
        assert_eq!((verdict.sockets, verdict.transitions), (1, 3));
    }

    #[test]
    fn the_owner_from_the_cpu_is_wrong() {
        let (mut events, life) = server();
        for event in &mut events {
            event.owner = owner("inherited", CLIENT);
        }
        let verdict = judge(&events, &[life], Scope::All, 1);
        assert_eq!((verdict.wrong_owners(), verdict.wrong_pids), (5, 5), "{verdict}");
        assert_eq!(verdict.of_kind(Kind::Owner), verdict.faults.len());
    }

    #[test]
    fn the_listener_is_no_owner_once_a_worker_has_accepted() {
        let (mut events, life) = server();
        events[3].owner = owner("inherited", SERVER);
        assert_eq!(kinds(&events, &life), [Kind::Owner]);
    }

    #[test]
    fn the_worker_is_no_owner_before_it_has_accepted() {
        let (mut events, life) = server();
        events[0].owner = owner("accept", WORKER);
        assert_eq!(kinds(&events, &life), [Kind::Owner]);
    }

    #[test]
    fn right_pid_with_the_wrong_reason_name_or_user_is_wrong() {
        for change in [
            |owner: &mut Owner| owner.how = "accept".to_owned(),
            |owner: &mut Owner| owner.comm = "other".to_owned(),
            |owner: &mut Owner| owner.uid = 1,
        ] {
            let (mut events, life) = server();
            events[0].owner.iter_mut().for_each(change);
            assert_eq!(kinds(&events, &life), [Kind::Owner]);
        }
    }

    #[test]
    fn an_owner_that_is_missing_is_counted_apart() {
        let (mut events, life) = server();
        events[1].owner = None;
        let verdict = judge(&events, &[life], Scope::All, 1);
        assert_eq!((verdict.wrong_owners(), verdict.missing_owners()), (0, 1));
        assert_eq!(verdict.faults.len(), 1);
    }

    #[test]
    fn a_transition_that_is_missing_doubled_or_swapped_is_a_fault() {
        let changes: [fn(&mut Vec<Event>); 3] = [
            |events| drop(events.remove(1)),
            |events| events.insert(1, events[0].clone()),
            |events| events.swap(0, 1),
        ];
        for change in changes {
            let (mut events, life) = server();
            change(&mut events);
            assert!(kinds(&events, &life).contains(&Kind::Sequence));
        }
    }

    #[test]
    fn silence_is_a_fault_and_so_is_talk_where_there_must_be_silence() {
        let (events, mut life) = server();
        assert!(kinds(&[], &life).contains(&Kind::Sequence));
        life.path.clear();
        assert!(kinds(&events, &life).contains(&Kind::Sequence));
        assert_eq!(kinds(&[], &life), []);
    }

    #[test]
    fn a_socket_under_a_second_id_is_a_stray() {
        let (mut events, life) = server();
        events[3].socket = Some(2);
        let kinds = kinds(&events, &life);
        assert!(kinds.contains(&Kind::Stray) && kinds.contains(&Kind::Sequence), "{kinds:?}");
    }

    #[test]
    fn a_socket_that_nobody_accepted_is_found_by_its_addresses() {
        let (mut events, mut life) = server();
        events.remove(2);
        for event in &mut events[2..] {
            event.owner = owner("inherited", SERVER);
        }
        life.accepted = None;
        life.socket = None;
        assert_eq!(kinds(&events, &life), []);
        events[2].socket = Some(2);
        assert!(kinds(&events, &life).contains(&Kind::Fact));
    }

    #[test]
    fn other_namespaces_are_other_peoples() {
        let (mut events, life) = server();
        let mut other = state(1_000_060, "CLOSE", "SYN_SENT", None, None);
        other.netns = Some(8);
        events.push(other);
        assert_eq!(kinds(&events, &life), []);
    }

    #[test]
    fn addresses_facts_and_times_are_held_against_the_ledger() {
        type Change = fn(&mut Vec<Event>);
        let changes: [(Change, Kind); 11] = [
            (|events| events[0].local = Some("127.0.0.1:*".to_owned()), Kind::Address),
            (|events| events[3].remote = Some("127.0.0.1:1".to_owned()), Kind::Address),
            (|events| events[0].proto = Some("mptcp".to_owned()), Kind::Fact),
            (|events| events[0].family = Some(6), Kind::Fact),
            (|events| events[0].born = Some(false), Kind::Fact),
            (|events| events[3].in_state_ns = Some(31), Kind::Time),
            (|events| events[3].in_state_ns = None, Kind::Time),
            (|events| events[4].details.clear(), Kind::Detail),
            (|events| drop(events.remove(4)), Kind::Detail),
            (|events| events[2].queued_ns = Some(6), Kind::Time),
            (|events| events[2].fd = Some(5), Kind::Accept),
        ];
        for (number, (change, kind)) in changes.into_iter().enumerate() {
            let (mut events, life) = server();
            change(&mut events);
            assert!(kinds(&events, &life).contains(&kind), "change {number}");
        }
    }

    #[test]
    fn an_accept_outside_the_call_is_a_fault() {
        let (events, mut life) = server();
        if let Some(acceptance) = &mut life.accepted {
            (acceptance.before, acceptance.after) = (9_000_000, 9_000_001);
        }
        assert_eq!(kinds(&events, &life), [Kind::Time]);
    }

    #[test]
    fn a_wall_clock_that_was_set_does_not_change_the_time_in_a_state() {
        let (mut events, mut life) = server();
        let clock =
            |boot| Event { event: "clock".to_owned(), boot: Some(boot), ..Event::default() };
        // An hour on, before the last transition.
        for event in &mut events[3..] {
            event.at += 3_600_000_000_000;
        }
        events.insert(3, clock(3_600_000_000_000));
        events.insert(0, clock(0));
        life.start = Some((1_000_010, 1_000_010));
        assert_eq!(kinds(&events, &life), []);
    }

    #[test]
    fn events_that_were_lost_are_a_fault_and_a_hook_that_is_missing_is_none() {
        let (mut events, life) = server();
        let gap = |count| Event { event: "gap".to_owned(), count: Some(count), ..Event::default() };
        events.push(gap(0));
        assert_eq!(kinds(&events, &life), []);
        events.push(gap(1));
        assert_eq!(kinds(&events, &life), [Kind::Lost]);
    }

    #[test]
    fn a_seed_names_a_holder_with_its_descriptor() {
        let mut life = life("old", 1, "ESTABLISHED CLOSE", claim("snapshot", CLIENT));
        life.born = false;
        life.seeded = Some(Seeded { state: "ESTABLISHED".to_owned(), holders: vec![(CLIENT, 3)] });
        let seed = Event {
            state: Some("ESTABLISHED".to_owned()),
            fd: Some(3),
            owner: owner("snapshot", CLIENT),
            born: Some(false),
            ..base(1, 1, "seed")
        };
        let mut end = state(5, "ESTABLISHED", "CLOSE", None, owner("snapshot", CLIENT));
        end.born = Some(false);
        let mut whole = closed(5, &[], owner("snapshot", CLIENT));
        whole.born = Some(false);
        let events = vec![seed, end, whole];
        assert_eq!(kinds(&events, &life), []);
        assert_eq!(kinds(&events[1..], &life), [Kind::Seed]);
        let mut wrong = events.clone();
        wrong[0].fd = Some(4);
        assert_eq!(kinds(&wrong, &life), [Kind::Seed]);
        wrong[0].owner = owner("snapshot", SERVER);
        assert!(kinds(&wrong, &life).contains(&Kind::Owner));
    }

    #[test]
    fn too_few_checks_are_a_fault() {
        let (events, life) = server();
        let verdict = judge(&events, &[life], Scope::All, 1_000);
        assert_eq!(verdict.of_kind(Kind::Minimum), 1);
    }
}
