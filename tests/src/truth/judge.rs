//! Holds the tracer's owners against the logs. Pure: events and acts in, a row of
//! the table out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::log::{Act, What};
use crate::event::{Event, Owner, endpoint};
use crate::judge::{Tally, boot_offsets};
use crate::unseen::Unseen;

/// How far the kernel's fast clock may be from the one that processes read.
const SLACK_NS: i64 = 1_000;

/// Faults to keep in full.
const SHOWN: usize = 8;

/// One case's row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Sockets that were connected, which is one end of each connection.
    pub connections: u64,
    pub events: u64,
    /// By the `how` that is true.
    pub owners: BTreeMap<&'static str, Tally>,
    /// Still the acceptor, connector or listener's owner, while another process has
    /// the socket and has not used it.
    pub kept: u64,
    /// The right process under the name that it had before its exec.
    pub stale: u64,
    /// `owner` events.
    pub hands: Tally,
    /// `opened_by` of states after a change of hands.
    pub openers: Tally,
    /// Sockets whose end, or whose accept, was not told.
    pub absent: u64,
    /// Events of sockets that no process has written down.
    pub stray: u64,
    /// What the tracer says it lost on the whole machine. No fault by itself: what is
    /// missing of this case's own sockets is `absent`.
    pub lost: u64,
    pub faults: Vec<String>,
}

impl Row {
    pub fn is_good(&self) -> bool {
        let clean = |tally: &Tally| tally.wrong == 0 && tally.missing == 0;
        self.owners.values().all(clean)
            && clean(&self.hands)
            && clean(&self.openers)
            && self.absent + self.stray == 0
            && self.connections > 0
    }

    fn fault(&mut self, text: impl FnOnce() -> String) {
        if self.faults.len() < SHOWN {
            self.faults.push(text());
        }
    }
}

/// Who is the owner, from between two moments on.
#[derive(Clone, Debug)]
struct Phase {
    pids: Vec<u32>,
    /// The first is the one to expect; another is no fault.
    hows: Vec<&'static str>,
    /// The names of the process: now, and before.
    comms: Vec<String>,
    was: Vec<String>,
    before: i64,
    after: i64,
    /// This phase need not begin with an `owner` event: the tracer may have known.
    quiet: bool,
    /// The tracer has declared that it may not know.
    unknown: bool,
}

#[derive(Debug, Default)]
struct Life<'a> {
    acts: Vec<&'a Act>,
    phases: Vec<Phase>,
    /// Who connected or accepted; empty where nothing could tell.
    opener: Option<u32>,
}

/// What the judge may ask of the tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracer {
    Netbreath,
    /// Names a process, but no how, no names of events but states.
    Peer,
}

/// Judges the events of the case's own namespace. `ready` is when the tracer was.
pub fn judge(events: &[Event], acts: &[Act], started: i64, tracer: Tracer) -> Row {
    let mut row = Row::default();
    let boots = boot_offsets(events);
    let unseen = Unseen::declared(events);
    let acts = &shown(acts, started, &unseen)[..];
    let mut lives = lives(events, acts, started);
    rename(&mut lives, acts);
    for phase in lives.values_mut().flat_map(|life| &mut life.phases) {
        phase.unknown = unseen.has("inherited_owner") && phase.hows == ["inherited"]
            || unseen.has("listen") && phase.hows == ["listen"];
    }
    row.connections = acts.iter().filter(|act| act.what == What::Connect).count() as u64;
    let gaps = || events.iter().filter(|event| event.is("gap") && event.count > Some(0));
    row.lost = gaps().filter_map(|gap| gap.count).sum();

    let mut of_socket: HashMap<u64, Vec<usize>> = HashMap::new();
    for (i, event) in events.iter().enumerate() {
        let Some(socket) = event.socket else { continue };
        row.events += 1;
        if !lives.contains_key(&socket) {
            row.stray += 1;
            row.fault(|| format!("stray: {} {}", event.event, event.transition()));
        }
        of_socket.entry(socket).or_default().push(i);
    }
    for (socket, life) in &lives {
        let own = of_socket.get(socket).map_or(&[][..], Vec::as_slice);
        one(&mut row, *socket, life, events, own, &boots, tracer);
    }
    if !row.is_good() {
        // Why they are missing, if the tracer knows it.
        for gap in gaps() {
            row.faults.push(format!("gap: {:?} {:?} {:?}", gap.count, gap.what, gap.why));
        }
    }
    row
}

/// The acts as far as the tracer says that it sees them: of a call to accept() that had
/// begun before, it may know no more than of one that a ring has made.
fn shown(acts: &[Act], started: i64, unseen: &Unseen) -> Vec<Act> {
    let mut acts = acts.to_vec();
    if unseen.has("accept_under_way") {
        for act in &mut acts {
            if act.what == What::Accept && (act.before..act.after).contains(&started) {
                act.what = What::RingAccept;
            }
        }
    }
    acts
}

fn one(
    row: &mut Row,
    socket: u64,
    life: &Life,
    events: &[Event],
    own: &[usize],
    boots: &[i64],
    tracer: Tracer,
) {
    // TIME_WAIT is no socket any more, and lasts longer than the case.
    let ends = own.iter().any(|&i| matches!(events[i].new.as_deref(), Some("CLOSE" | "TIME_WAIT")));
    let accepted = life.acts.iter().any(|act| act.what == What::Accept);
    let told = own.iter().any(|&i| events[i].is("accept") || events[i].is("seed"));
    if !ends || (tracer == Tracer::Netbreath && accepted && !told) {
        row.absent += 1;
        row.fault(|| format!("absent: {} of {socket}", if ends { "accept" } else { "end" }));
    }
    // Which phases have begun with an event.
    let mut begun = vec![false; life.phases.len()];
    for &i in own {
        let event = &events[i];
        let at = event.at - boots[i];
        if event.is("owner") {
            hand(row, life, event, at, &mut begun);
        } else if event.is("state") || event.is("accept") || event.is("seed") {
            owner(row, socket, life, event, at, tracer);
        } else if let Some(owner) = &event.owner
            && !life.at(at).any(|phase| phase.pids.contains(&owner.pid))
        {
            row.owners.entry("other").or_default().wrong += 1;
            row.fault(|| format!("{}: {owner:?}", event.event));
        }
    }
    if tracer == Tracer::Peer {
        return;
    }
    for (number, phase) in life.phases.iter().enumerate().skip(1) {
        if phase.hows.contains(&"io") && !phase.quiet && !begun[number] {
            row.hands.missing += 1;
            row.fault(|| format!("{socket}: no owner event to {:?}", phase.pids));
        }
    }
}

/// An `owner` event: from whom, to whom, and when.
fn hand(row: &mut Row, life: &Life, event: &Event, at: i64, begun: &mut [bool]) {
    let to = event.owner.as_ref();
    let found = life.phases.iter().enumerate().skip(1).find(|(number, phase)| {
        !begun[*number]
            && to.is_some_and(|to| phase.pids.contains(&to.pid) && to.how == "io")
            && (phase.before - SLACK_NS..=phase.after + SLACK_NS).contains(&at)
    });
    let right = found.is_some_and(|(number, _)| {
        let before = &life.phases[number - 1];
        match &event.from {
            Some(from) => before.pids.contains(&from.pid),
            None => before.unknown,
        }
    });
    if let Some((number, _)) = found {
        begun[number] = true;
    }
    if right {
        row.hands.right += 1;
    } else {
        row.hands.wrong += 1;
        row.fault(|| format!("owner event from {:?} to {to:?}", event.from));
    }
}

fn owner(row: &mut Row, socket: u64, life: &Life, event: &Event, at: i64, tracer: Tracer) {
    let candidates: Vec<&Phase> = life.at(at).collect();
    let Some(first) = candidates.first() else {
        row.stray += 1;
        row.fault(|| format!("{socket}: {} before its life", event.transition()));
        return;
    };
    let expected = first.hows[0];
    let place = || format!("{socket}: {} {}", event.event, event.transition());
    let said = event.owner.as_ref().filter(|owner| tracer == Tracer::Netbreath || owner.pid != 0);
    let Some(said) = said else {
        if first.unknown {
            return;
        }
        row.owners.entry(expected).or_default().missing += 1;
        row.fault(|| format!("{}: no owner, but {:?} by {expected}", place(), first.pids));
        return;
    };
    let process: Vec<_> =
        candidates.iter().filter(|phase| phase.pids.contains(&said.pid)).collect();
    let knows_how =
        |phase: &&&&Phase| tracer == Tracer::Peer || phase.hows.contains(&said.how.as_str());
    let Some(phase) = process.iter().find(knows_how) else {
        row.owners.entry(expected).or_default().wrong += 1;
        row.fault(|| format!("{}: {}, not {:?} by {expected}", place(), show(said), first.pids));
        return;
    };
    let how = phase.hows[0];
    let named = process.iter().any(|phase| phase.comms.contains(&said.comm));
    if !named && tracer == Tracer::Netbreath {
        if process.iter().any(|phase| phase.was.contains(&said.comm)) {
            row.stale += 1;
        } else {
            row.owners.entry(how).or_default().wrong += 1;
            row.fault(|| format!("{}: {}, not {:?}", place(), show(said), phase.comms));
            return;
        }
    }
    if life.is_kept(phase, at) {
        row.kept += 1;
    } else {
        row.owners.entry(how).or_default().right += 1;
    }
    if tracer == Tracer::Netbreath && event.is("state") && how == "io" {
        opener(row, life, event, place);
    }
}

fn opener(row: &mut Row, life: &Life, event: &Event, place: impl FnOnce() -> String) {
    // Not told by any call, or before the tracer.
    let Some(pid) = life.opener else { return };
    // Only told where it is another process than the owner.
    if event.owner.as_ref().is_some_and(|owner| owner.pid == pid) && event.opened_by.is_none() {
        return;
    }
    match &event.opened_by {
        Some(opener) if opener.pid == pid => row.openers.right += 1,
        Some(opener) => {
            row.openers.wrong += 1;
            row.fault(|| format!("{}: opened by {}, not {pid}", place(), show(opener)));
        }
        None => {
            row.openers.missing += 1;
            row.fault(|| format!("{}: no opened_by", place()));
        }
    }
}

fn show(owner: &Owner) -> String {
    format!("{} ({}) by {}", owner.pid, owner.comm, owner.how)
}

impl Life<'_> {
    /// The phases that an event of this time may belong to.
    fn at(&self, at: i64) -> impl Iterator<Item = &Phase> {
        let over = self.phases.iter().rposition(|phase| phase.after + SLACK_NS < at).unwrap_or(0);
        let from = self.phases.iter().enumerate().skip(over);
        from.filter(move |(number, phase)| *number == over || phase.before - SLACK_NS <= at)
            .map(|(_, phase)| phase)
    }

    /// Another process had the socket before this time, and the owner of this phase is
    /// still the one before it. A use that is under way begins a phase of its own.
    fn is_kept(&self, phase: &Phase, at: i64) -> bool {
        let last = self.acts.iter().rfind(|act| act.after <= at);
        last.is_some_and(|act| {
            matches!(act.what, What::Hold | What::RingAccept) && phase.before < act.before
        })
    }
}

fn lives<'a>(events: &[Event], acts: &'a [Act], started: i64) -> HashMap<u64, Life<'a>> {
    let mut lives: HashMap<u64, Life> = HashMap::new();
    for act in acts {
        if let Some(socket) = cookie(act, events) {
            lives.entry(socket).or_default().acts.push(act);
        }
    }
    let mut listeners = HashMap::new();
    for (socket, life) in &mut lives {
        life.acts.sort_by_key(|act| act.before);
        if life.acts.iter().any(|act| act.what == What::Listen) {
            life.phases = first(&life.acts, started);
            listeners.insert(*socket, life.phases[0].clone());
        }
    }
    for life in lives.values_mut().filter(|life| life.phases.is_empty()) {
        life.phases = phases(&life.acts, &listeners, started);
        let opening = life
            .acts
            .iter()
            .find(|act| matches!(act.what, What::Accept | What::Connect) && act.after >= started);
        life.opener = opening.map(|act| act.pid);
    }
    lives
}

/// The socket of an act. One that has no descriptor is found by its addresses.
fn cookie(act: &Act, events: &[Event]) -> Option<u64> {
    if act.socket != 0 {
        return Some(act.socket);
    }
    let (local, remote) = (act.local.map(endpoint), Some(endpoint(act.remote?)));
    let same = |event: &&Event| {
        event.socket.is_some()
            && event.remote == remote
            && (local.is_none() || event.local == local)
    };
    events.iter().find(same)?.socket
}

/// A process that has become another program since has another name, and it is the one
/// to say: the tracer may know it before the process's next act.
fn rename(lives: &mut HashMap<u64, Life<'_>>, acts: &[Act]) {
    let mut newer: HashMap<(u32, &str), Vec<&str>> = HashMap::new();
    for act in acts {
        let Some(was) = &act.was else { continue };
        let names = newer.entry((act.pid, was)).or_default();
        if !names.contains(&act.comm.as_str()) {
            names.push(&act.comm);
        }
    }
    for phase in lives.values_mut().flat_map(|life| &mut life.phases) {
        let [pid] = phase.pids[..] else { continue };
        let [name] = &phase.comms[..] else { continue };
        let names = newer.get(&(pid, name.as_str())).into_iter().flatten();
        let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
        phase.comms.extend(names);
    }
}

fn phase(act: &Act, hows: Vec<&'static str>) -> Phase {
    Phase {
        pids: vec![act.pid],
        hows,
        comms: vec![act.comm.clone()],
        was: act.was.iter().cloned().collect(),
        before: act.before,
        after: act.after,
        quiet: false,
        unknown: false,
    }
}

/// A life that begins with a call, or all the holders of one that existed.
fn first(acts: &[&Act], started: i64) -> Vec<Phase> {
    let opening = |act: &&&Act| {
        matches!(act.what, What::Listen | What::Connect | What::Accept | What::RingAccept)
    };
    let Some(act) = acts.iter().find(opening) else { return Vec::new() };
    if act.after >= started {
        let how = if act.what == What::Listen { "listen" } else { "connect" };
        return vec![phase(act, vec![how])];
    }
    let old: Vec<_> = acts.iter().filter(|act| act.after < started).collect();
    let pids: BTreeSet<u32> = old.iter().map(|act| act.pid).collect();
    let comms = old.iter().map(|act| act.comm.clone()).collect();
    let pids = pids.into_iter().collect();
    vec![Phase { pids, comms, ..phase(act, vec!["snapshot"]) }]
}

fn phases(acts: &[&Act], listeners: &HashMap<u64, Phase>, started: i64) -> Vec<Phase> {
    let accepted = acts.iter().find(|act| matches!(act.what, What::Accept | What::RingAccept));
    let mut phases = match accepted {
        Some(act) if act.after >= started => {
            let Some(of) = act.listener.and_then(|listener| listeners.get(&listener)) else {
                return Vec::new();
            };
            let mut phases =
                vec![Phase { hows: vec!["inherited"], before: 0, after: 0, ..of.clone() }];
            if act.what == What::Accept {
                phases.push(phase(act, vec!["accept"]));
            }
            phases
        }
        _ => first(acts, started),
    };
    for act in acts.iter().filter(|act| act.what == What::Io && act.after >= started) {
        let Some(last) = phases.last_mut() else { return phases };
        if last.pids == [act.pid] && last.hows != ["inherited"] {
            if !last.comms.contains(&act.comm) {
                // After an exec the process has another name.
                let same = Phase { hows: last.hows.clone(), quiet: true, ..phase(act, vec![]) };
                phases.push(same);
            }
            continue;
        }
        let ring = last.hows == ["inherited"];
        let shared = last.pids.contains(&act.pid) && last.pids.len() > 1;
        let hows = match (ring, shared) {
            // By what means it is known that a ring accepted is the tracer's affair.
            (true, _) => vec!["io", "accept"],
            (_, true) => vec!["io", "snapshot"],
            _ => vec!["io"],
        };
        let quiet = ring && last.pids.contains(&act.pid) || shared;
        phases.push(Phase { quiet, ..phase(act, hows) });
    }
    phases
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENER: u64 = 1;
    const SOCKET: u64 = 2;
    const ACCEPTOR: u32 = 10;
    const USER: u32 = 20;

    fn act(what: What, pid: u32, socket: u64, before: i64) -> Act {
        let listener = (what == What::Accept).then_some(LISTENER);
        let (comm, after) = (format!("p{pid}"), before + 10_000);
        let (local, remote) = (None, None);
        Act { what, pid, comm, was: None, socket, local, remote, listener, before, after }
    }

    fn said(pid: u32, how: &str) -> Option<Owner> {
        Some(Owner { pid, comm: format!("p{pid}"), how: how.to_owned(), ..Owner::default() })
    }

    fn state(at: i64, socket: u64, new: &str, owner: Option<Owner>) -> Event {
        let (socket, new) = (Some(socket), Some(new.to_owned()));
        Event { at, event: "state".to_owned(), socket, new, owner, ..Event::default() }
    }

    /// Accepted by one process, passed, used by another.
    fn passed() -> (Vec<Event>, Vec<Act>) {
        let acts = vec![
            act(What::Listen, ACCEPTOR, LISTENER, 100_000),
            act(What::Connect, USER, 3, 190_000),
            act(What::Accept, ACCEPTOR, SOCKET, 200_000),
            act(What::Hold, USER, SOCKET, 300_000),
            act(What::Io, USER, SOCKET, 400_000),
        ];
        let opened_by = said(ACCEPTOR, "accept");
        let events = vec![
            state(105_000, LISTENER, "LISTEN", said(ACCEPTOR, "listen")),
            state(195_000, 3, "CLOSE", said(USER, "connect")),
            state(195_000, SOCKET, "ESTABLISHED", said(ACCEPTOR, "inherited")),
            Event {
                event: "accept".to_owned(),
                ..state(205_000, SOCKET, "", said(ACCEPTOR, "accept"))
            },
            Event {
                event: "owner".to_owned(),
                from: said(ACCEPTOR, "accept"),
                ..state(405_000, SOCKET, "", said(USER, "io"))
            },
            Event { opened_by, ..state(500_000, SOCKET, "CLOSE", said(USER, "io")) },
            state(600_000, LISTENER, "CLOSE", said(ACCEPTOR, "listen")),
        ];
        (events, acts)
    }

    fn row(events: &[Event], acts: &[Act]) -> Row {
        judge(events, acts, 0, Tracer::Netbreath)
    }

    #[test]
    fn a_true_telling_is_right_throughout() {
        let (events, acts) = passed();
        let row = row(&events, &acts);
        assert!(row.is_good(), "{row:?}");
        assert_eq!((row.hands.right, row.openers.right, row.owners["io"].right), (1, 1, 1));
    }

    #[test]
    fn the_acceptor_after_anothers_io_is_wrong() {
        let (mut events, acts) = passed();
        events[5].owner = said(ACCEPTOR, "accept");
        assert_eq!(row(&events, &acts).owners["io"].wrong, 1);
        events[5].owner = None;
        assert_eq!(row(&events, &acts).owners["io"].missing, 1);
        events.remove(4);
        assert_eq!(row(&events, &acts).hands.missing, 1);
    }

    #[test]
    fn the_acceptor_while_the_holder_is_silent_is_kept() {
        let (mut events, mut acts) = passed();
        acts.pop();
        events[5].owner = said(ACCEPTOR, "accept");
        events.remove(4);
        let row = row(&events, &acts);
        assert!(row.is_good(), "{row:?}");
        assert_eq!(row.kept, 1);
    }

    #[test]
    fn a_right_pid_with_another_how_is_wrong_and_an_old_name_is_stale() {
        let (mut events, mut acts) = passed();
        events[5].owner = said(USER, "accept");
        assert_eq!(row(&events, &acts).owners["io"].wrong, 1);
        acts[4].was = Some("old".to_owned());
        events[5].owner = said(USER, "io").map(|owner| Owner { comm: "old".to_owned(), ..owner });
        let row = row(&events, &acts);
        assert_eq!((row.stale, row.owners["io"].wrong), (1, 0));
    }

    #[test]
    fn a_hand_over_from_the_wrong_process_and_a_wrong_opener_are_faults() {
        let (mut events, acts) = passed();
        events[4].from = said(USER, "io");
        events[5].opened_by = said(USER, "io");
        let row = row(&events, &acts);
        assert_eq!((row.hands.wrong, row.openers.wrong), (1, 1));
    }
}
