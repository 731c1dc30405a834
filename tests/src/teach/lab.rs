//! `netbreath lab`: every scenario plays, together they show all of TCP that Linux does, and
//! nothing is left of one that is ended.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{socket, tracer};

/// The figure's transitions (RFC 9293, figure 5, with note 1 and note 2), in Linux's names.
const FIGURE: [Transition; 21] = [
    ("CLOSE", "LISTEN"),
    ("CLOSE", "SYN_SENT"),
    ("LISTEN", "CLOSE"),
    ("LISTEN", "SYN_RECV"),
    ("LISTEN", "SYN_SENT"),
    ("SYN_SENT", "CLOSE"),
    ("SYN_SENT", "SYN_RECV"),
    ("SYN_SENT", "ESTABLISHED"),
    ("SYN_RECV", "ESTABLISHED"),
    ("SYN_RECV", "LISTEN"),
    ("SYN_RECV", "FIN_WAIT1"),
    ("ESTABLISHED", "FIN_WAIT1"),
    ("ESTABLISHED", "CLOSE_WAIT"),
    ("FIN_WAIT1", "FIN_WAIT2"),
    ("FIN_WAIT1", "CLOSING"),
    ("FIN_WAIT1", "TIME_WAIT"),
    ("FIN_WAIT2", "TIME_WAIT"),
    ("CLOSING", "TIME_WAIT"),
    ("CLOSE_WAIT", "LAST_ACK"),
    ("LAST_ACK", "CLOSE"),
    ("TIME_WAIT", "CLOSE"),
];

/// From a state to another.
type Transition = (&'static str, &'static str);

/// Those of them that Linux does not do, what it does instead, and why. What it does instead
/// must be seen.
const NOT_IN_LINUX: [(Transition, &[Transition], &str); 3] = [
    (("LISTEN", "SYN_SENT"), &[], "connect() on a listening socket fails with EISCONN"),
    (
        ("SYN_RECV", "LISTEN"),
        &[("SYN_RECV", "CLOSE")],
        "the listener stays in LISTEN; the request socket is dropped",
    ),
    (
        ("FIN_WAIT1", "TIME_WAIT"),
        &[("FIN_WAIT1", "FIN_WAIT2"), ("FIN_WAIT2", "TIME_WAIT")],
        "one packet takes it through FIN_WAIT2",
    ),
];

/// Note 3: resets end a connection in any state; these are seen.
const BY_RESET: [Transition; 2] = [("ESTABLISHED", "CLOSE"), ("SYN_SENT", "CLOSE")];

const STATES: [&str; 11] = [
    "CLOSE",
    "LISTEN",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "CLOSE_WAIT",
    "CLOSING",
    "LAST_ACK",
    "TIME_WAIT",
];

const FLAGS: [&str; 9] = ["S", "F", "P", "R", "U", "W", "E", ".", "none"];

/// More than any scenario takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What scenarios have shown.
#[derive(Default)]
struct Shown {
    states: BTreeSet<String>,
    transitions: BTreeSet<(String, String)>,
    flags: BTreeSet<String>,
    faults: Vec<String>,
}

fn lab(words: &[&str]) -> Result<Command> {
    let mut command = Command::new(tracer::binary()?);
    command.arg("lab").args(words).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    Ok(command)
}

/// The names, as the list has them.
fn names() -> Result<Vec<String>> {
    let output = lab(&["--lang", "en"])?.output().context("list the scenarios")?;
    let text = String::from_utf8(output.stdout)?;
    let named = text.lines().filter_map(|line| line.strip_prefix("  "));
    let named = named.filter(|line| !line.starts_with(' '));
    Ok(named.filter_map(|line| line.split("  ").next()).map(str::to_owned).collect())
}

pub fn coverage() -> Result<()> {
    let names = names()?;
    ensure!(names.len() >= 30, "only {} scenarios: {names:?}", names.len());
    let (queue, shown) = (Mutex::new(names.iter()), Mutex::new(Shown::default()));
    // Each waits for timers of the kernel most of its time.
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(name) = queue.lock().ok().and_then(|mut queue| queue.next()) {
                    let played = play(name);
                    let Ok(mut shown) = shown.lock() else { return };
                    match played {
                        Ok(one) => {
                            shown.states.extend(one.states);
                            shown.transitions.extend(one.transitions);
                            shown.flags.extend(one.flags);
                        }
                        Err(error) => shown.faults.push(format!("{name}: {error:#}")),
                    }
                }
            });
        }
    });
    let shown = shown.into_inner().map_err(|_| anyhow::anyhow!("a scenario panicked"))?;
    ensure!(shown.faults.is_empty(), "{}", shown.faults.join("\n"));
    let has =
        |(old, new): (&str, &str)| shown.transitions.contains(&(old.to_owned(), new.to_owned()));
    let mut missing = Vec::new();
    for state in STATES.iter().filter(|state| !shown.states.contains(**state)) {
        missing.push(format!("no scenario enters {state}"));
    }
    for transition in FIGURE {
        let exception = NOT_IN_LINUX.iter().find(|(known, ..)| *known == transition);
        let (old, new) = transition;
        match exception {
            None if !has(transition) => missing.push(format!("no {old} -> {new}")),
            None => {}
            // The day Linux does it, this list is wrong.
            Some(_) if has(transition) => missing.push(format!("{old} -> {new} was seen")),
            Some((_, instead, why)) => {
                println!("not in Linux: {old} -> {new}: {why}");
                for (old, new) in instead.iter().filter(|other| !has(**other)) {
                    missing.push(format!("no {old} -> {new}, which Linux does instead"));
                }
            }
        }
    }
    for (old, new) in BY_RESET.into_iter().filter(|transition| !has(*transition)) {
        missing.push(format!("no {old} -> {new} by a reset"));
    }
    for flag in FLAGS.iter().filter(|flag| !shown.flags.contains(**flag)) {
        missing.push(format!("no segment with {flag}"));
    }
    println!(
        "{} scenarios: {} of 11 states, {} of {} transitions of the figure, {} of {} flags",
        names.len(),
        shown.states.iter().filter(|state| STATES.contains(&state.as_str())).count(),
        FIGURE.into_iter().filter(|transition| has(*transition)).count(),
        FIGURE.len(),
        shown.flags.iter().filter(|flag| FLAGS.contains(&flag.as_str())).count(),
        FLAGS.len(),
    );
    ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}

/// Plays a scenario; what the kernel told of it.
fn play(name: &str) -> Result<Shown> {
    let file: PathBuf = std::env::temp_dir().join(format!(
        "netbreath-lab-{}-{}",
        std::process::id(),
        name.replace(' ', "-")
    ));
    let mut command = lab(&["--auto", "--lang", "en", "-o"])?;
    command.arg(&file).args(name.split(' '));
    let output = command.output().with_context(|| format!("play {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let talk = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{:?}: {talk}\n{text}", output.status);
    let recording = fs::read_to_string(&file).context("read what was seen")?;
    fs::remove_file(&file)?;
    let mut shown = Shown::default();
    for line in recording.lines() {
        let event: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let word = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        match event["event"].as_str() {
            Some("state") => {
                shown.states.insert(word("new"));
                shown.transitions.insert((word("old"), word("new")));
            }
            // The state of a request socket.
            Some("half_open") => {
                shown.states.insert("SYN_RECV".to_owned());
            }
            Some("packet") => {
                let flags = word("flags");
                match flags.as_str() {
                    "none" => _ = shown.flags.insert(flags),
                    _ => shown.flags.extend(flags.chars().map(String::from)),
                }
            }
            _ => {}
        }
    }
    if let Some(state) = name.strip_prefix("state ") {
        ensure!(shown.states.contains(state), "{state} is not entered");
        // CLOSE stands in no table.
        let row = |line: &str| line.trim_start().starts_with("tcp ") && line.contains(state);
        ensure!(state == "CLOSE" || text.lines().any(row), "no table with {state}:\n{text}");
    }
    Ok(shown)
}

/// A lab that hangs in its scenario. Dropped, it is killed.
struct Hanging(Child);

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ended by a signal, no process of its namespace is left, and so no namespace.
fn ended_by(signal: i32) -> Result<()> {
    let mut command = lab(&["filtered", "--auto", "--lang", "en"])?;
    command.stdout(Stdio::piped());
    // SAFETY: only system calls that are allowed between fork and exec.
    unsafe {
        use std::os::unix::process::CommandExt;
        command.pre_exec(|| {
            socket::end_with_parent();
            // Whoever runs the tests may have it ignore these.
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut child = Hanging(command.spawn().context("start a lab")?);
    let out = child.0.stdout.take().context("no output")?;
    let mut lines = BufReader::new(out).lines();
    // It waits for seconds from here on.
    if !lines.by_ref().any(|line| line.is_ok_and(|line| line.contains("begin c"))) {
        bail!("the lab ended by itself");
    }
    let pid = child.0.id();
    let netns = fs::read_link(format!("/proc/{pid}/ns/net")).context("the lab's namespace")?;
    ensure!(netns != fs::read_link("/proc/self/ns/net")?, "the lab plays in our namespace");
    ensure!(living_in(&netns)?.len() >= 3, "not three processes in {netns:?}");
    // SAFETY: kill takes no pointers, and the child is ours.
    unsafe { libc::kill(pid.cast_signed(), signal) };
    child.0.wait().context("wait for the lab")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = living_in(&netns)?;
        if left.is_empty() {
            break;
        }
        ensure!(Instant::now() < deadline, "processes {left:?} are left in {netns:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(
        !mounts.contains(&*netns.to_string_lossy()),
        "the namespace {netns:?} is still mounted"
    );
    play("refused").map(drop)
}

/// Processes in this network namespace.
fn living_in(netns: &std::path::Path) -> Result<Vec<String>> {
    let processes = fs::read_dir("/proc")?.flatten().filter(|entry| {
        fs::read_link(entry.path().join("ns/net")).is_ok_and(|other| other == netns)
    });
    Ok(processes.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

pub fn killed() -> Result<()> {
    ended_by(libc::SIGKILL)
}

pub fn interrupted() -> Result<()> {
    ended_by(libc::SIGINT)
}

pub fn unknown() -> Result<()> {
    let output = lab(&["nothing"])?.output().context("play nothing")?;
    let talk = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1) && talk.contains("lists them"), "{talk}");
    Ok(())
}
