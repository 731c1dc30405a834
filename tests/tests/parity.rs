//! The scenarios watched at once by `--source ebpf` and by `--source pcap`: which transitions
//! and owners each has seen. They may differ only where `docs/platforms.md` says so and why.
//! `cargo test -p netbreath-tests --test parity [NAME]`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use netbreath_tests::actor;
use netbreath_tests::event::Event;
use netbreath_tests::scenario::{ALL, Scenario};
use netbreath_tests::tracer::{Kind, Recording};

/// Where differences are declared.
const PLATFORMS: &str = include_str!("../../docs/platforms.md");

/// What is played: everything about TCP's states and owners in one namespace.
const PLAYED: &[&str] = &[
    "close::",
    "reset::by_client",
    "reset::by_server",
    "reset::client_leaves_data_unread",
    "reset::server_leaves_data_unread",
    "reset::of_a_half_closed_connection",
    "reset::of_a_peer_that_writes_on",
    "half_open::from_the_syn_on",
    "half_open::both_at_once",
    "time_wait::reused",
    "refused::v4",
    "refused::v6",
    "refused::with_a_chosen_port",
    "timeout::no_answer",
    "retransmit::syn",
    "retransmit::data",
    "owner::every_accept_call",
    "owner::threads",
    "owner::prefork",
    "owner::another_user",
    "owner::killed",
    "family::v6",
    "family::mapped_client",
    "family::mapped_server",
];

#[derive(Default)]
struct Total {
    played: u32,
    skipped: u32,
    /// Transitions seen by both, by ebpf alone, by pcap alone.
    both: u64,
    ebpf: u64,
    pcap: u64,
    /// Owners of sockets: the same, unknown to pcap, and other than ebpf's.
    right: u64,
    unknown: u64,
    wrong: u64,
}

static TOTAL: Mutex<Option<Total>> = Mutex::new(None);

fn main() -> ExitCode {
    match actor::run_if_asked() {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => {
            eprintln!("actor: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    args.test_threads = args.test_threads.or(Some(2));
    let wanted = |scenario: &&Scenario| {
        PLAYED.iter().any(|part| scenario.name.starts_with(part))
            && (names.is_empty() || names.iter().any(|name| scenario.name.contains(name)))
    };
    let trials = ALL.iter().filter(wanted);
    let trials = trials.map(|s| Trial::ignorable_test(s.name, move || play(s)));
    let conclusion = libtest_mimic::run(&args, trials.collect());
    if let Ok(total) = TOTAL.lock()
        && let Some(total) = &*total
    {
        let Total { played, skipped, both, ebpf, pcap, right, unknown, wrong } = total;
        println!(
            "{played} scenarios compared, {skipped} skipped; transitions: {both} seen by both, \
             {ebpf} by ebpf alone, {pcap} by pcap alone; owners: {right} the same, {unknown} \
             unknown to pcap, {wrong} wrong\n"
        );
    }
    conclusion.exit_code()
}

fn play(scenario: &Scenario) -> Result<Completion, Failed> {
    if let Some(obstacle) = scenario.obstacle(Kind::Netbreath) {
        eprintln!("SKIPPED {}: {obstacle}", scenario.name);
        count(|total| total.skipped += 1);
        return Ok(Completion::ignored_with(obstacle));
    }
    compare(scenario).map_err(|error| format!("{error:#}"))?;
    Ok(Completion::Completed)
}

fn count(add: impl FnOnce(&mut Total)) {
    if let Ok(mut total) = TOTAL.lock() {
        add(total.get_or_insert_default());
    }
}

/// A difference: the scenario, who saw it, and what.
fn is_declared(scenario: &str, by: &str, what: &str) -> bool {
    PLATFORMS.lines().filter(|line| line.starts_with('|')).any(|line| {
        let cells: Vec<&str> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, scenarios, who, transition, why, ..] = cells.as_slice() else { return false };
        let named = scenarios.split(", ").map(|name| name.trim_matches('`'));
        let of = named.filter(|name| !name.is_empty());
        let mut of = of.map(|name| name == "any" || scenario.starts_with(name));
        of.any(|is| is) && *who == by && *transition == what && !why.is_empty()
    })
}

type Ends = (SocketAddr, SocketAddr);

/// What was seen of one pair of ends: transitions in order, and owners.
#[derive(Default)]
struct Seen {
    steps: Vec<String>,
    owners: BTreeSet<u32>,
}

fn canonical(text: &str) -> Result<SocketAddr> {
    let text = text.strip_suffix(":*").map_or_else(|| text.to_owned(), |addr| format!("{addr}:0"));
    let addr: SocketAddr = text.parse().with_context(|| format!("an end is {text:?}"))?;
    Ok(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
}

fn seen(recording: &Recording) -> Result<BTreeMap<Ends, Seen>> {
    // A socket has its whole address only in its later events.
    let mut last: BTreeMap<u64, Ends> = BTreeMap::new();
    let told = |event: &&Event| ["state", "accept", "owner"].contains(&event.event.as_str());
    let mut events: Vec<&Event> = recording.events.iter().filter(told).collect();
    events.sort_by_key(|event| event.at);
    for event in &events {
        let (Some(id), Some(local), Some(remote)) = (event.socket, &event.local, &event.remote)
        else {
            bail!("an event without ends: {event:?}");
        };
        let ends = (canonical(local)?, canonical(remote)?);
        if ends.0.port() != 0 {
            last.insert(id, ends);
        }
    }
    let mut all: BTreeMap<Ends, Seen> = BTreeMap::new();
    for event in &events {
        let Some(ends) = event.socket.and_then(|id| last.get(&id)) else { continue };
        let seen = all.entry(*ends).or_default();
        if event.is("state") {
            seen.steps.push(event.transition());
        }
        if let Some(owner) = &event.owner
            && owner.how != "inherited"
        {
            seen.owners.insert(owner.pid);
        }
    }
    Ok(all)
}

fn compare(scenario: &Scenario) -> Result<()> {
    let (verdict, [ebpf, pcap]) = scenario.play_beside(&["--source", "pcap"])?;
    // The generator's own log says whether the first one is right.
    ensure!(verdict.faults.is_empty(), "{verdict}");
    let (first, second) = (seen(&ebpf)?, seen(&pcap)?);
    let mut faults = Vec::new();
    let nothing = Seen::default();
    let ends: BTreeSet<&Ends> = first.keys().chain(second.keys()).collect();
    for ends in ends {
        let (a, b) = (first.get(ends).unwrap_or(&nothing), second.get(ends).unwrap_or(&nothing));
        let (only_a, only_b, both) = differences(&a.steps, &b.steps);
        count(|total| {
            total.both += both;
            total.ebpf += only_a.len() as u64;
            total.pcap += only_b.len() as u64;
        });
        for (by, steps) in [("ebpf", &only_a), ("pcap", &only_b)] {
            for step in steps.iter().filter(|step| !is_declared(scenario.name, by, step)) {
                faults.push(format!(
                    "{} {}: {step} seen by {by} alone\n      ebpf: {}\n      pcap: {}",
                    ends.0,
                    ends.1,
                    a.steps.join(" "),
                    b.steps.join(" ")
                ));
            }
        }
        let wrong: Vec<_> = b.owners.difference(&a.owners).collect();
        if !wrong.is_empty() {
            faults.push(format!(
                "{} {}: owned by {:?} for ebpf, {:?} for pcap",
                ends.0, ends.1, a.owners, b.owners
            ));
        }
        count(|total| match (wrong.is_empty(), b.owners.is_empty(), a.owners.is_empty()) {
            (false, ..) => total.wrong += 1,
            (_, true, false) => total.unknown += 1,
            (_, false, _) => total.right += 1,
            _ => {}
        });
    }
    count(|total| total.played += 1);
    ensure!(
        faults.is_empty(),
        "{}: not declared in docs/platforms.md:\n    {}\n{}\n{}",
        scenario.name,
        faults.join("\n    "),
        pcap.command,
        pcap.talk
    );
    Ok(())
}

/// What only one has, by the longest list that both have in this order.
fn differences(a: &[String], b: &[String]) -> (Vec<String>, Vec<String>, u64) {
    let mut longest = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] = match a[i] == b[j] {
                true => longest[i + 1][j + 1] + 1,
                false => longest[i + 1][j].max(longest[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut both) = (0, 0, 0);
    let (mut only_a, mut only_b) = (Vec::new(), Vec::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j, both) = (i + 1, j + 1, both + 1);
        } else if j == b.len() || i < a.len() && longest[i + 1][j] >= longest[i][j + 1] {
            only_a.push(a[i].clone());
            i += 1;
        } else {
            only_b.push(b[j].clone());
            j += 1;
        }
    }
    (only_a, only_b, both)
}
