//! The truth suite: for every way in which a process can come to a socket, a
//! generator ([`play`]) makes connections by the thousand, each process writes down
//! what it did ([`log`]), and the judge ([`judge`]) counts the tracer's owners.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use self::judge::Row;
use self::play::{PLAY, Play, SKIP};
use crate::judge::Tally;
use crate::netns::{self, Netns};
use crate::socket;
use crate::tracer::{Kind, Tracer};

mod churn;
mod ended;
mod exec;
mod forked;
pub mod judge;
mod late;
pub mod log;
mod passed;
pub mod peer;
mod plain;
pub mod play;
mod uring;

/// How many connections each case makes.
pub const CONNECTIONS: &str = "NETBREATH_TRUTH_CONNECTIONS";

/// A case makes no more connections after this time.
const LIMIT: Duration = Duration::from_secs(10);

/// How long the last packets of a case may take.
pub(crate) const SETTLE: Duration = Duration::from_secs(10);

pub struct Case {
    pub name: &'static str,
    play: fn(&mut Play) -> Result<()>,
}

const fn case(name: &'static str, play: fn(&mut Play) -> Result<()>) -> Case {
    Case { name, play }
}

pub const ALL: &[Case] = &[
    case("single", plain::single),
    case("accept", plain::accept),
    case("accept_null", plain::accept_null),
    case("accept4_null", plain::accept4_null),
    case("read_only", plain::read_only),
    case("write_only", plain::write_only),
    case("unused", plain::unused),
    case("threads", plain::threads),
    case("prefork", plain::prefork),
    case("reuseport", plain::reuseport),
    case("fork", forked::per_connection),
    case("fork_read_only", forked::read_only),
    case("fork_write_only", forked::write_only),
    case("fork_unused", forked::unused),
    case("fork_closed_by_one", forked::closed_by_one),
    case("fork_in_turn", forked::in_turn),
    case("dup", forked::dup),
    case("passed", passed::both),
    case("passed_read_only", passed::read_only),
    case("passed_write_only", passed::write_only),
    case("passed_unused", passed::unused),
    case("passed_after_a_look", passed::after_a_look),
    case("passed_connected", passed::connected),
    case("activated", exec::activated),
    case("activated_itself", exec::activated_itself),
    case("inetd", exec::inetd),
    case("inetd_read_only", exec::inetd_read_only),
    case("inetd_write_only", exec::inetd_write_only),
    case("inetd_unused", exec::inetd_unused),
    case("exec_acceptor", exec::acceptor),
    case("vfork", exec::vfork),
    case("vfork_client", exec::vfork_client),
    case("uring_accept", uring::accept),
    case("uring_accept_then_calls", uring::accept_then_calls),
    case("uring_accept_unused", uring::accept_unused),
    case("uring_accept_direct", uring::accept_direct),
    case("uring_connect", uring::connect),
    case("uring_connect_direct", uring::connect_direct),
    case("blocked_accept", late::blocked),
    case("existing", late::existing),
    case("existing_unused", late::existing_unused),
    case("existing_shared", late::existing_shared),
    case("exits_first", ended::exits_first),
    case("pid_reused", ended::pid_reused),
    case("pid_namespace", ended::pid_namespace),
];

/// The case with this name.
pub(crate) fn named(name: &str) -> Result<&'static Case> {
    ALL.iter().find(|case| case.name == name).context("no such case")
}

/// Not a case: what runs beside one.
const CHURN: Case = case("churn", churn::play);

/// Runs as a generator or as a program of one, if the arguments say so; returns
/// whether they did.
pub fn run_if_asked() -> Result<bool> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [PLAY, name, count] => {
            let case = ALL.iter().chain([&CHURN]).find(|case| case.name == name);
            let mut play = Play::start(count.parse().context("number of connections")?, LIMIT)?;
            (case.context("no such case")?.play)(&mut play)?;
            play.end()?;
            Ok(true)
        }
        [play::EXEC, work, mode] => {
            exec::run(work, mode)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

pub fn connections() -> Result<usize> {
    match std::env::var(CONNECTIONS) {
        Err(_) => Ok(1000),
        Ok(text) => text.parse().with_context(|| format!("{CONNECTIONS}={text}: no number")),
    }
}

/// Why no case can be played here, if none can.
pub fn obstacle() -> Option<String> {
    (socket::uid() != 0).then(|| "needs root: network namespaces and eBPF".to_owned())
}

/// The generator of a case, in its namespace.
pub(crate) struct Player {
    name: &'static str,
    child: Child,
    said: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Player {
    pub(crate) fn start(case: &Case, count: usize, netns: &Netns) -> Result<Player> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log =
            std::env::temp_dir().join(format!("netbreath-truth-{}-{number}", std::process::id()));
        fs::File::create(&log).with_context(|| format!("make {}", log.display()))?;
        let mut command = Command::new("/proc/self/exe");
        command.args([PLAY, case.name, &count.to_string()]).env(play::LOG, &log);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let fd = netns.fd();
        // SAFETY: only system calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns::enter(fd)
            });
        }
        let mut child = command.spawn().context("start a generator")?;
        let said = BufReader::new(child.stdout.take().context("a generator has no pipe")?);
        Ok(Player { name: case.name, child, said, log })
    }

    fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }

    /// Waits until it has all that must be there before the tracer, or the reason
    /// why it cannot.
    pub(crate) fn ready(&mut self) -> Result<Option<String>> {
        let line = self.hear()?;
        match line.strip_prefix(SKIP) {
            Some(reason) => Ok(Some(reason.to_owned())),
            None if line == "ready" => Ok(None),
            None => bail!("the generator of {} said {line:?}, not ready", self.name),
        }
    }

    pub(crate) fn go(&mut self) -> Result<()> {
        let to = self.child.stdin.as_mut().context("a generator has no pipe")?;
        to.write_all(b"go\n").context("tell a generator to go")
    }

    /// Plays to the end; what its processes wrote, or the reason why they could not.
    pub(crate) fn end(&mut self) -> Result<std::result::Result<Vec<log::Act>, String>> {
        let status = self.child.wait()?;
        ensure!(status.success(), "the generator of {} ended with {status}", self.name);
        let line = self.hear()?;
        if let Some(reason) = line.strip_prefix(SKIP) {
            return Ok(Err(reason.to_owned()));
        }
        Ok(Ok(log::read(&fs::read_to_string(&self.log)?)?))
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // Its children end with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::env::var_os(crate::tracer::KEEP).is_some() {
            eprintln!("kept {}", self.log.display());
        } else {
            let _ = fs::remove_file(&self.log);
        }
    }
}

/// Connections of others while a case plays.
struct Churn {
    player: Player,
    _netns: Netns,
}

impl Churn {
    fn start() -> Result<Churn> {
        let netns = Netns::create()?;
        let mut player = Player::start(&CHURN, churn::RATE, &netns)?;
        ensure!(player.ready()?.is_none(), "a churn cannot be skipped");
        player.go()?;
        Ok(Churn { player, _netns: netns })
    }
}

/// What came of a case.
pub enum Outcome {
    Judged(Row),
    Skipped(String),
}

/// Plays a case, alone or beside a churn.
pub fn run(case: &Case, churns: bool) -> Result<Outcome> {
    run_with(case, churns, &[])
}

/// The suite itself is tested: the task on the CPU is no owner, and the judge must
/// notice.
pub fn run_mutant() -> Result<Outcome> {
    let case = named("prefork")?;
    let outcome = run_with(case, false, &["--owner-from-cpu".to_owned()])?;
    if let Outcome::Judged(row) = &outcome {
        let wrong: u64 = row.owners.values().map(|tally| tally.wrong).sum();
        // The handshake of every server's socket runs on its client's CPU: two states.
        let must = 2 * row.connections;
        ensure!(wrong >= must, "a mutant has {wrong} wrong owners, not {must} or more");
    }
    Ok(outcome)
}

/// The same with further options for the tracer.
pub fn run_with(case: &Case, churns: bool, options: &[String]) -> Result<Outcome> {
    let count = connections()?;
    let netns = Netns::create()?;
    let mut player = Player::start(case, count, &netns)?;
    if let Some(reason) = player.ready()? {
        return Ok(Outcome::Skipped(reason));
    }
    let churn = churns.then(Churn::start).transpose()?;
    let started = log::now();
    let tracer = Tracer::start(Kind::Netbreath, options, &[])?;
    player.go()?;
    let acts = match player.end()? {
        Ok(acts) => acts,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    netns.settle(SETTLE)?;
    if let Some(mut churn) = churn {
        ensure!(churn.player.child.try_wait()?.is_none(), "the churn ended before the case");
    }
    let recording = tracer.stop_within(netns.inode())?;
    let mut row = judge::judge(&recording.events, &acts, started, judge::Tracer::Netbreath);
    let least = (count as u64 / 10).max(1);
    if row.connections < least {
        row.absent += 1;
        row.faults.push(format!("{} connections, not even {least}", row.connections));
    }
    Ok(Outcome::Judged(row))
}

/// The columns of owners, by `how`.
const HOWS: [&str; 6] = ["connect", "listen", "inherited", "accept", "io", "snapshot"];

/// One line for each row, right/wrong/missing in each column.
pub fn table(rows: &[(String, Row)]) -> String {
    let mut text = format!("{:<32}{:>6}", "case", "conns");
    let heads = HOWS.iter().chain(["hands", "opener"].iter());
    for head in heads {
        let _ = write!(text, "{head:>16}");
    }
    let _ = writeln!(text, "{:>7}{:>7}{:>8}", "kept", "stale", "absent");
    let mut total = Tally::default();
    for (name, row) in rows {
        let _ = write!(text, "{name:<32}{:>6}", row.connections);
        let owners = HOWS.iter().map(|how| row.owners.get(how).copied().unwrap_or_default());
        for Tally { right, wrong, missing } in owners.chain([row.hands, row.openers]) {
            let cell = if right + wrong + missing == 0 {
                "-".to_owned()
            } else {
                format!("{right}/{wrong}/{missing}")
            };
            let _ = write!(text, "{cell:>16}");
        }
        for tally in row.owners.values() {
            total.right += tally.right;
            total.wrong += tally.wrong;
            total.missing += tally.missing;
        }
        let absent = row.absent + row.stray + row.lost;
        let _ = writeln!(text, "{:>7}{:>7}{absent:>8}", row.kept, row.stale);
    }
    let Tally { right, wrong, missing } = total;
    let _ = writeln!(text, "owners: {right} right, {wrong} wrong, {missing} missing");
    text
}
