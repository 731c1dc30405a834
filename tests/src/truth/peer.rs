//! The same cases under other tracers, judged by the same rules, for comparison.
//! They know neither cookies nor namespaces: a socket is its pointer, cut into lives
//! by its states, and its addresses tell whose it is.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::judge::{self, Row};
use super::log::{Act, What};
use super::{ALL, Outcome, Player, SETTLE, connections};
use crate::event::{Event, Owner, endpoint};
use crate::netns::Netns;
use crate::socket;

/// `NETBREATH_TRUTH_PEERS=1` asks for these rows.
pub const PEERS: &str = "NETBREATH_TRUTH_PEERS";

/// The cases that they are tried on.
pub const CASES: [&str; 3] = ["single", "prefork", "passed"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Tcpstates,
    Bpftrace,
}

impl Peer {
    pub const ALL: [Peer; 2] = [Peer::Tcpstates, Peer::Bpftrace];

    pub fn name(self) -> &'static str {
        match self {
            Peer::Tcpstates => "tcpstates",
            Peer::Bpftrace => "bpftrace",
        }
    }

    fn command(self) -> Command {
        match self {
            Peer::Tcpstates => Command::new("tcpstates"),
            Peer::Bpftrace => {
                let mut command = Command::new("bpftrace");
                command.args(["-B", "line", "-e", PROGRAM]);
                command.env("BPFTRACE_PERF_RB_PAGES", "2048");
                command
            }
        }
    }
}

/// The columns of tcpstates.
const PROGRAM: &str = r#"tracepoint:sock:inet_sock_set_state {
    printf("%llx %d %s %s %d %s %d %d -> %d\n", (uint64)args->skaddr, pid, comm,
        ntop(args->saddr), args->sport, ntop(args->daddr), args->dport,
        args->oldstate, args->newstate);
}"#;

pub fn run(peer: Peer, name: &str) -> Result<Outcome> {
    let case = ALL.iter().find(|case| case.name == name).context("no such case")?;
    let output = std::env::temp_dir().join(format!(
        "netbreath-truth-{}-{}-{name}",
        std::process::id(),
        peer.name()
    ));
    let netns = Netns::create()?;
    let mut player = Player::start(case, connections()?, &netns)?;
    ensure!(player.ready()?.is_none(), "{name} cannot be skipped");
    let mut command = peer.command();
    command.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(Stdio::null());
    // SAFETY: only a system call that is allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            socket::end_with_parent();
            Ok(())
        });
    }
    let mut tracer = match command.spawn() {
        Ok(tracer) => tracer,
        Err(error) => return Ok(Outcome::Skipped(format!("{}: {error}", peer.name()))),
    };
    // Neither says when it is ready.
    std::thread::sleep(Duration::from_secs(3));
    if let Some(status) = tracer.try_wait()? {
        return Ok(Outcome::Skipped(format!("{} ended: {status}", peer.name())));
    }
    player.go()?;
    let acts = player.end()?;
    netns.settle(SETTLE)?;
    std::thread::sleep(Duration::from_secs(1));
    // SAFETY: takes no pointers; the child is ours and not yet waited for.
    unsafe { libc::kill(tracer.id() as i32, libc::SIGINT) };
    std::thread::sleep(Duration::from_millis(500));
    let _ = tracer.kill();
    tracer.wait()?;
    let text = String::from_utf8_lossy(&fs::read(&output)?).into_owned();
    let _ = fs::remove_file(&output);
    let Ok(acts) = acts else { return Ok(Outcome::Skipped("the case".to_owned())) };
    Ok(Outcome::Judged(judged(&text, &acts)))
}

fn judged(text: &str, acts: &[Act]) -> Row {
    let events = events(text, acts);
    let mut row = judge::judge(&events, acts, 0, judge::Tracer::Peer);
    row.lost += text.lines().filter(|line| line.starts_with("Lost ")).count() as u64;
    row
}

/// One life of a pointer.
#[derive(Default)]
struct Life {
    events: Vec<Event>,
    ends: Vec<(String, String)>,
}

fn events(text: &str, acts: &[Act]) -> Vec<Event> {
    let mut lives: Vec<Life> = Vec::new();
    let mut current: HashMap<&str, usize> = HashMap::new();
    for words in text.lines().filter_map(words) {
        let [pointer, pid, comm, laddr, lport, raddr, rport, old, new] = words;
        let born = matches!((old, new), ("CLOSE" | "7", _) | ("LISTEN" | "10", _));
        let begins = born && !matches!(new, "CLOSE" | "7");
        if begins || !current.contains_key(pointer) {
            current.insert(pointer, lives.len());
            lives.push(Life::default());
        }
        let life = &mut lives[current[pointer]];
        life.ends.push((format!("{laddr}:{lport}"), format!("{raddr}:{rport}")));
        let owner =
            Owner { pid: pid.parse().unwrap_or(0), comm: comm.to_owned(), ..Owner::default() };
        life.events.push(Event {
            event: "state".to_owned(),
            old: Some(state(old)),
            new: Some(state(new)),
            owner: Some(owner),
            ..Event::default()
        });
    }
    let mut sockets: HashMap<(String, String), &Act> = HashMap::new();
    let mut listeners: HashMap<String, &Act> = HashMap::new();
    for act in acts {
        match (act.what, act.local, act.remote) {
            (What::Listen, Some(local), _) => {
                listeners.insert(format!(":{}", local.port()), act);
            }
            (_, Some(local), Some(remote)) => {
                sockets.entry((endpoint(local), endpoint(remote))).or_insert(act);
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    for Life { events, ends } in lives {
        let listens = events.iter().any(|event| event.new.as_deref() == Some("LISTEN"));
        let act = if listens {
            ends.iter().find_map(|(local, _)| {
                listeners.iter().find(|(port, _)| local.ends_with(*port)).map(|(_, act)| *act)
            })
        } else {
            ends.iter().find_map(|pair| sockets.get(pair).copied())
        };
        // Others' traffic.
        let Some(act) = act else { continue };
        let last = acts.iter().filter(|other| other.socket == act.socket);
        let last = last.map(|act| act.after).max().unwrap_or(act.after);
        let mut established = act.what != What::Accept;
        for mut event in events {
            event.socket = Some(act.socket);
            // No time is told: the states up to ESTABLISHED come before the accept,
            // the others after the last read or write.
            event.at = if established && act.what == What::Accept {
                last + 1_000_000
            } else if act.what == What::Accept {
                1
            } else {
                act.after
            };
            established |= event.new.as_deref() == Some("ESTABLISHED");
            all.push(event);
        }
    }
    all
}

/// Names may have blanks in them, the other columns have none.
fn words(line: &str) -> Option<[&str; 9]> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let arrow = words.iter().position(|word| *word == "->")?;
    if arrow < 8 || words.len() <= arrow + 1 {
        return None;
    }
    let [laddr, lport, raddr, rport, old] = words[arrow - 5..arrow] else { return None };
    Some([words[0], words[1], words[2], laddr, lport, raddr, rport, old, words[arrow + 1]])
}

fn state(word: &str) -> String {
    let name = match word {
        "1" => "ESTABLISHED",
        "7" => "CLOSE",
        "10" => "LISTEN",
        other => other,
    };
    name.to_owned()
}
