//! What netbreath says of sockets, next to what ss, netstat and lsof say of the same:
//! `cargo test -p netbreath-tests --test socket [NAME]`.
//!
//! A classic is asked, then netbreath, then the classic again. Where the classic says the
//! same twice, netbreath has to say it too, word by word. Where the two differ on purpose,
//! that stands in docs/differences.md, by the name that it has here.

use std::collections::BTreeSet;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use netbreath_tests::comparison::{self, Case};
use netbreath_tests::crowd::{self, Crowd};
use netbreath_tests::network::{Output, Place, words};
use netbreath_tests::tracer;

/// Fewer would mean that something was not compared.
const LEAST_CHECKS: u64 = 30_000;

static CASES: [Case; 10] = [
    ("netstat_word_by_word", netstat),
    ("ss_word_by_word", ss),
    ("ss_filters", filters),
    ("lsof_word_by_word", lsof),
    ("lsof_exit_codes", exit_codes),
    ("both_ways_to_find_holders", ways),
    ("the_same_in_json", json),
    ("names_that_would_steer_a_terminal", names),
    ("ss_events_of_a_connection", events),
    ("every_difference_is_written_down", documented),
];

fn main() -> ExitCode {
    match crowd::run_if_asked() {
        Ok(false) => {}
        Ok(true) => return ExitCode::SUCCESS,
        Err(error) => {
            println!("failed: {error:#}");
            return ExitCode::FAILURE;
        }
    }
    comparison::run(&CASES, "words", LEAST_CHECKS, String::new)
}

/// A namespace with the crowd in it.
fn gathered() -> Result<(Place, Crowd)> {
    let place = Place::empty()?;
    let crowd = Crowd::start(&place.netns, "crowd")?;
    Ok((place, crowd))
}

/// Differences that are meant, by their names in docs/differences.md: what becomes of a
/// line of the classic and of one of ours. A line that becomes empty is left out.
type Rule = (&'static str, fn(&str) -> String);

const RULES: [Rule; 6] = [
    ("trailing-blanks", |line| line.trim_end().to_owned()),
    ("time-left", without_times),
    ("own-socket", without_own_sockets),
    ("unix-device", without_devices),
    ("moving-numbers", without_moving_numbers),
    ("several-blanks", |line| line.split_whitespace().collect::<Vec<_>>().join(" ")),
];

/// What is left on a timer runs while the others are asked.
fn without_times(line: &str) -> String {
    let mut line = line.to_owned();
    // netstat: `on (0.20/3/0)`.
    for word in ["on (", "keepalive (", "timewait (", "probe ("] {
        if let Some(at) = line.find(word) {
            let begin = at + word.len();
            let len = line[begin..].find('/').unwrap_or(0);
            line.replace_range(begin..begin + len, "T");
        }
    }
    // ss: `timer:(on,200ms,0)`.
    if let Some(at) = line.find("timer:(") {
        let rest = &line[at..];
        let parts: Vec<usize> = rest.match_indices(',').map(|(at, _)| at).take(2).collect();
        if let [first, second] = parts[..] {
            line.replace_range(at + first + 1..at + second, "T");
        }
    }
    line
}

/// The socket by which a tool asks has its process's id for a name, and what waits at the
/// kernel's end of it depends on when it is looked at.
fn without_own_sockets(line: &str) -> String {
    let own = |word: &str| word.starts_with("4:") || word.starts_with("tcpdiag:");
    if line.split_whitespace().any(own) { String::new() } else { line.to_owned() }
}

/// ss splits the numbers of a device as another system did.
fn without_devices(line: &str) -> String {
    let words = line.split(' ').filter(|word| !word.starts_with("dev:"));
    words.collect::<Vec<_>>().join(" ")
}

/// What runs while the others are asked: how long ago, and what depends on it.
fn without_moving_numbers(line: &str) -> String {
    const MOVING: [&str; 9] = [
        "lastsnd:",
        "lastrcv:",
        "lastack:",
        "busy:",
        "rto:",
        "backoff:",
        "retrans:",
        "segs_out:",
        "bytes_retrans:",
    ];
    let words = line.split(' ').filter(|word| !MOVING.iter().any(|begin| word.starts_with(begin)));
    words.collect::<Vec<_>>().join(" ")
}

/// Applies some of the rules.
fn plain(text: &str, rules: &[&str]) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for name in rules {
        let Some((_, rule)) = RULES.iter().find(|(known, _)| known == name) else { continue };
        lines = lines.iter().map(|line| rule(line)).filter(|line| !line.is_empty()).collect();
    }
    lines
}

/// Compares what a line of a classic shows with what netbreath shows.
fn compare(place: &Place, line: &str, rules: &[&str]) -> Result<u64> {
    let end = Instant::now() + Duration::from_secs(60);
    let binary = tracer::binary()?.to_string_lossy().into_owned();
    loop {
        let all = words(line);
        let theirs = || place.run(all[0], &all[1..]);
        let (before, ours, after) = (theirs()?, place.run(&binary, &all)?, theirs()?);
        if before.code == after.code {
            ensure!(ours.code == before.code, "`{line}`: {:?}, not {:?}", ours.code, before.code);
        }
        let plain = |output: &Output| plain(&output.out, rules);
        let (before, ours, after) = (plain(&before), plain(&ours), plain(&after));
        if before != after {
            // Something has changed meanwhile, such as how often a SYN was sent again.
            ensure!(Instant::now() < end, "`{line}`: no two answers were the same for 60 s");
            continue;
        }
        if ours == before {
            return Ok(ours.iter().map(|line| line.split_whitespace().count() as u64).sum());
        }
        let theirs: BTreeSet<&String> = before.iter().collect();
        let mine: BTreeSet<&String> = ours.iter().collect();
        let only = |a: &BTreeSet<&String>, b: &BTreeSet<&String>| {
            a.difference(b).take(8).map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
        };
        bail!(
            "`{line}`: netbreath alone has\n{}\nthe classic alone has\n{}\n({} and {} lines)",
            only(&mine, &theirs),
            only(&theirs, &mine),
            ours.len(),
            before.len()
        );
    }
}

fn each(place: &Place, lines: &[&str], rules: &[&str]) -> Result<u64> {
    lines.iter().map(|line| compare(place, line, rules)).sum()
}

fn netstat() -> Result<u64> {
    let (place, crowd) = gathered()?;
    // Byte by byte, with all blanks.
    let lines = [
        "netstat -an",
        "netstat -n",
        "netstat -ln",
        "netstat -tan",
        "netstat -tln",
        "netstat -uan",
        "netstat -wan",
        "netstat -xa",
        "netstat -xl",
        "netstat -x",
        "netstat -4an",
        "netstat -6an",
        "netstat -t6an",
        "netstat -anp",
        "netstat -anpe",
        "netstat -tanW",
        "netstat -tan --numeric-users -e",
        "netstat -xap",
        "netstat -A unix -a",
        "netstat -A inet6 -an",
        "netstat -a",
        "netstat -ta --numeric-ports",
        "netstat -ta --numeric-hosts",
    ];
    let count = each(&place, &lines, &[])?;
    let timers = each(&place, &["netstat -tano", "netstat -anopee"], &["time-left"])?;
    let all = place.ours("netstat -tanp --holders")?;
    for pid in [crowd.pid, crowd.sharer, crowd.receiver] {
        let held = all.lines().filter(|line| line.contains(&format!("{pid}/"))).count();
        let least = if pid == crowd.receiver { 1 } else { 10 };
        ensure!(held >= least, "process {pid} holds {held} sockets of\n{all}");
    }
    // What the crowd is for: each state is there.
    let states: BTreeSet<&str> =
        all.lines().skip(2).filter_map(|l| words(l).get(5).copied()).collect();
    for state in [
        "ESTABLISHED",
        "SYN_SENT",
        "SYN_RECV",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "LISTEN",
        "CLOSING",
    ] {
        ensure!(states.contains(state), "{state} is missing in {states:?}");
    }
    let bsd = place.ours("netstat -an --style bsd -p tcp")?;
    for part in [
        "Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)",
        "tcp4       1      0  127.0.0.1.8080         *.*                    LISTEN",
        "tcp46      0      0  *.9090                 *.*                    LISTEN",
        "tcp6       0      0  ::1.7070               *.*                    LISTEN",
        "SYN_RCVD",
        "FIN_WAIT_1",
    ] {
        ensure!(bsd.contains(part), "{part:?} is not in\n{bsd}");
    }
    Ok(count + timers + 20)
}

/// Differences that every comparison with ss has.
const SS: [&str; 2] = ["trailing-blanks", "own-socket"];
/// Those of a table whose width depends on the tool's own socket.
const SS_WIDE: [&str; 3] = ["trailing-blanks", "own-socket", "several-blanks"];

fn ss() -> Result<u64> {
    let (place, _crowd) = gathered()?;
    let lines = [
        "ss -tan",
        "ss -tanp",
        "ss -ta",
        "ss -t",
        "ss -tln",
        "ss -tlnp",
        "ss -uan",
        "ss -uanp",
        "ss -u",
        "ss -wan",
        "ss -wanp",
        "ss -wa",
        "ss -xan",
        "ss -xanp",
        "ss -xl",
        "ss -x",
        "ss -0anp",
        "ss -0a",
        "ss -tuan",
        "ss -tuxan",
        "ss -4tan",
        "ss -6tan",
        "ss -4uan",
        "ss -f inet -tan",
        "ss -f unix -an",
        "ss -f link -an",
        "ss -A tcp,udp -an",
        "ss -A inet -an",
        "ss -A u_str -an",
        "ss -A unix_dgram,packet -an",
        "ss -A all,!netlink -an",
        "ss -Htan",
        "ss -tan4r",
    ];
    let mut count = each(&place, &lines, &SS)?;
    count += each(
        &place,
        &["ss -n", "ss -an", "ss -anp", "ss -a", "ss -ln", "ss -A netlink -an"],
        &SS_WIDE,
    )?;
    count += each(
        &place,
        &["ss -tano", "ss -tanoe", "ss -tane", "ss -uane"],
        &[&SS[..], &["time-left"]].concat(),
    )?;
    count += each(&place, &["ss -xane"], &[&SS[..], &["unix-device"]].concat())?;
    count += each(&place, &["ss -0ane", "ss -0aneO"], &SS)?;
    let info = ["trailing-blanks", "own-socket", "time-left", "moving-numbers"];
    count += each(
        &place,
        &[
            "ss -tanm",
            "ss -tanOm",
            "ss -uanm",
            "ss -xanm",
            "ss -tani",
            "ss -tanOi",
            "ss -tanoim",
            "ss -tan --tos",
            "ss -tan --cgroup",
        ],
        &info,
    )?;
    // How many there are is counted of the whole namespace.
    count += compare(&place, "ss -s", &["trailing-blanks"])?;
    Ok(count)
}

fn filters() -> Result<u64> {
    let (place, _crowd) = gathered()?;
    let lines = [
        "ss -tn state established",
        "ss -tn state ESTABLISHED",
        "ss -tn state all",
        "ss -tn state connected",
        "ss -tn state synchronized",
        "ss -tn state bucket",
        "ss -tn state big",
        "ss -tn state syn-sent state syn-recv",
        "ss -tn state fin-wait-1 state closing state last-ack",
        "ss -tn exclude established",
        "ss -tn exclude listening exclude time-wait",
        "ss -tn state all exclude closed",
        "ss -tan sport = :8080",
        "ss -tan sport = 8080",
        "ss -tan sport eq :8080",
        "ss -tan sport :8080",
        "ss -tan dport = :8080",
        "ss -tan dport != :8080",
        "ss -tan sport = :http-alt",
        "ss -tan sport >= :9090",
        "ss -tan sport <= :9090",
        "ss -tan sport > :9090",
        "ss -tan sport < :9090",
        "ss -tan sport gt :7070 and sport lt :9090",
        "ss -tan ( sport = :8080 or sport = :9090 )",
        "ss -tan ( sport = :8080 | dport = :8080 ) & dst 127.0.0.1",
        "ss -tan not sport = :8080",
        "ss -tan ! ( sport = :8080 or dport = :8080 )",
        "ss -tan sport = :8080 or dport = :7070 and dst [::1]",
        "ss -tan src 127.0.0.1",
        "ss -tan src 127.0.0.1:8080",
        "ss -tan src 127.0.0.0/8",
        "ss -tan src [::1]",
        "ss -tan src [::1]:7070",
        "ss -tan dst 192.0.2.0/24",
        "ss -tan src inet6:[::1]",
        "ss -tan dst = 127.0.0.1 dport = :8080",
        "ss -tan dev = lo",
        "ss -tan autobound",
        "ss -uan sport = :5353",
        "ss -uan src *:5454",
        "ss -xan src unix:@netbreath*",
        "ss -xan src unix:*stream*",
    ];
    each(&place, &lines, &SS)
}

fn lsof() -> Result<u64> {
    let (place, crowd) = gathered()?;
    let pid = crowd.pid;
    let own = format!("-p {pid},{},{}", crowd.sharer, crowd.receiver);
    let lines = [
        "lsof -nP -i".to_owned(),
        "lsof -i".to_owned(),
        "lsof -nP -i4".to_owned(),
        "lsof -nP -i6".to_owned(),
        "lsof -nP -iTCP".to_owned(),
        "lsof -nP -iudp".to_owned(),
        "lsof -nP -i:8080".to_owned(),
        "lsof -nP -i :8080".to_owned(),
        "lsof -i:http-alt".to_owned(),
        "lsof -nP -iTCP:7000-9000".to_owned(),
        "lsof -nP -iTCP:7070,9090".to_owned(),
        "lsof -nP -i4TCP@127.0.0.1:8080".to_owned(),
        "lsof -nP -i@[::1]".to_owned(),
        "lsof -nP -iTCP -sTCP:LISTEN".to_owned(),
        "lsof -nP -iTCP -sTCP:^LISTEN".to_owned(),
        "lsof -nP -iTCP -sTCP:ESTABLISHED,CLOSE_WAIT".to_owned(),
        "lsof -nP -i:8080 -sTCP:LISTEN -t".to_owned(),
        "lsof -t -i".to_owned(),
        "lsof -nP -i -R".to_owned(),
        "lsof -nP -i -g".to_owned(),
        "lsof -nP -i -l".to_owned(),
        "lsof +c 0 -nP -i".to_owned(),
        "lsof +c 4 -nP -i".to_owned(),
        "lsof -nP -i -Tqs".to_owned(),
        "lsof -nP -i -T".to_owned(),
        "lsof -nP -U -a -c crowd".to_owned(),
        "lsof -nP -a -i -c crowd-s".to_owned(),
        format!("lsof -nP -a -i -p {pid}"),
        format!("lsof -nP -a -i -p ^{pid}"),
        "lsof -nP -a -u root -iUDP".to_owned(),
        format!("lsof -nP {own}"),
        format!("lsof -nP -a {own} -d 0-40"),
        format!("lsof -nP -a {own} -d cwd,txt"),
        format!("lsof -nP -a {own} -d ^mem,^txt"),
        "lsof -nP -i -F".to_owned(),
        "lsof -nP -i -F pcn".to_owned(),
        "lsof -nP -i -F pcfnT0".to_owned(),
        format!("lsof -nP -a -F0 {own} -d 0-60"),
        format!("lsof -nP -a -F {own} -U"),
    ];
    lines.iter().map(|line| compare(&place, line, &[])).sum()
}

fn exit_codes() -> Result<u64> {
    let (place, crowd) = gathered()?;
    let binary = tracer::binary()?;
    let lines = [
        "-i:8080".to_owned(),
        "-i:1".to_owned(),
        "-i:8080 -i:1".to_owned(),
        "-nP -iTCP:8080 -sTCP:LISTEN".to_owned(),
        "-nP -iUDP:8080".to_owned(),
        format!("-p {}", crowd.pid),
        "-p 999999999".to_owned(),
        format!("-p {},999999999", crowd.pid),
        "-c crowd -a -i".to_owned(),
        "-c nosuch".to_owned(),
        "-t -i:1".to_owned(),
    ];
    for line in &lines {
        let theirs = place.run("lsof", &words(line))?;
        let all: Vec<&str> = std::iter::once("lsof").chain(words(line)).collect();
        let ours = place.run(&binary.to_string_lossy(), &all)?;
        ensure!(theirs.code == ours.code, "lsof {line}: {:?}, not {:?}", ours.code, theirs.code);
    }
    Ok(lines.len() as u64)
}

/// The kernel program and the walk through /proc find the same.
fn ways() -> Result<u64> {
    let (place, _crowd) = gathered()?;
    let mut count = 0;
    for line in ["ss -anp", "netstat -anp --holders", "ss -xanp --format json"] {
        let end = Instant::now() + Duration::from_secs(60);
        let one = loop {
            let ask = |way| -> Result<Vec<String>> {
                Ok(plain(&place.ours(&format!("{line} --holders-by {way}"))?, &SS_WIDE))
            };
            let (one, other, again) = (ask("iterator")?, ask("proc")?, ask("iterator")?);
            if one == again {
                ensure!(one == other, "`{line}`:\n{one:#?}\nis not\n{other:#?}");
                break one;
            }
            ensure!(Instant::now() < end, "`{line}`: no two answers were the same for 60 s");
        };
        count += one.iter().map(|line| line.split_whitespace().count() as u64).sum::<u64>();
    }
    Ok(count)
}

/// JSON tells what ss prints.
fn json() -> Result<u64> {
    let (place, crowd) = gathered()?;
    let text = place.ours("ss -tanpe --format json")?;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text)?;
    let table = place.theirs("ss -Htanpe")?;
    ensure!(rows.len() == table.lines().count(), "{} rows, not as many as\n{table}", rows.len());
    let mut count = 0;
    for row in &rows {
        let cookie: u64 = row["socket"].as_str().context("socket")?.parse()?;
        let line = table
            .lines()
            .find(|line| words(line).contains(&format!("sk:{cookie:x}").as_str()))
            .with_context(|| format!("ss has no sk:{cookie:x}"))?;
        let all = words(line);
        let state = row["state"].as_str().context("state")?;
        let state = match state {
            "ESTABLISHED" => "ESTAB".to_owned(),
            "FIN_WAIT1" => "FIN-WAIT-1".to_owned(),
            "FIN_WAIT2" => "FIN-WAIT-2".to_owned(),
            state => state.replace('_', "-"),
        };
        ensure!(all[0] == state, "{row} is not\n{line}");
        for (place, key) in [(1, "recv_q"), (2, "send_q")] {
            let queue = row[key].as_u64().context("a queue")?;
            ensure!(all[place].parse() == Ok(queue), "{key}: {row} is not\n{line}");
        }
        let holders = row["holders"].as_array().context("holders")?;
        for holder in holders {
            let part = format!("pid={},fd={}", holder["pid"], holder["fd"]);
            ensure!(line.contains(&part), "{part} is not in\n{line}");
            count += 1;
        }
        ensure!(line.matches("pid=").count() == holders.len(), "{row} is not\n{line}");
        count += 4;
    }
    for line in ["netstat -anp", "ss -an", "lsof -nP -i", "who 8080"] {
        let text = place.ours(&format!("{line} --format json"))?;
        let rows: Vec<serde_json::Value> =
            serde_json::from_str(&text).with_context(|| format!("`{line}`: {text}"))?;
        ensure!(rows.len() > 3, "`{line}`: {} rows", rows.len());
        let csv = place.ours(&format!("{line} --format csv"))?;
        ensure!(csv.lines().count() == rows.len() + 1, "`{line}`: csv has other rows");
        count += 2;
    }
    let who = place.ours("who 8080")?;
    for part in [
        "Port 8080 (http-alt): crowd",
        &format!("crowd[{}] of user root", crowd.pid),
        &format!("crowd-sharer[{}]", crowd.sharer),
        &format!("crowd-receiver[{}]", crowd.receiver),
        "TCP  LISTEN ",
        "No process holds these any more, or yet:",
    ] {
        ensure!(who.contains(part), "{part:?} is not in\n{who}");
        count += 1;
    }
    Ok(count)
}

/// A process can call itself what it likes.
fn names() -> Result<u64> {
    let place = Place::empty()?;
    let _crowd = Crowd::start(&place.netns, "\u{1b}[31m\n\u{202e}x\"")?;
    let mut count = 0;
    for line in [
        "netstat -anp",
        "netstat -an --style bsd",
        "ss -anp",
        "ss -tanpie",
        "lsof -nP -i",
        "lsof -nP -U",
        "lsof -nP -F -i",
        "lsof -nP -F0 -i",
        "who 8080",
        "ss -tanp --format csv",
        "ss -tanp --format json",
        "netstat -tanp --format json",
        "lsof -nP -i --format json",
        "lsof -nP -i --format csv",
        "who 8080 --format json",
        "who 8080 --format csv",
    ] {
        let text = place.ours(line)?;
        let harm = |c: char| c.is_control() && !matches!(c, '\n' | '\t') || c == '\u{202e}';
        let nul = line.contains("-F0");
        let bad = text.chars().find(|c| harm(*c) && !(nul && *c == '\0'));
        ensure!(bad.is_none(), "`{line}` has {bad:?}");
        // The name is there, and makes no line of its own.
        if !line.starts_with("netstat -an") {
            ensure!(text.contains("[31m"), "`{line}` has no such name:\n{text}");
        }
        ensure!(text.lines().all(|line| !line.starts_with('x')), "`{line}`:\n{text}");
        count += 3;
    }
    Ok(count)
}

/// `ss -E` tells of a connection from its birth to its end, with the owner, and of no other.
fn events() -> Result<u64> {
    let place = Place::empty()?;
    let name =
        |what| std::env::temp_dir().join(format!("netbreath-events-{what}-{}", std::process::id()));
    let (ready, output) = (name("ready"), name("output"));
    for file in [&ready, &output] {
        // Why ignored: usually there is none.
        let _ = std::fs::remove_file(file);
    }
    let binary = tracer::binary()?;
    let mut watcher = place.netns.inside(|| {
        let mut command = Command::new(&binary);
        command.args(["ss", "-tE", "sport", "=", ":8080", "--format", "jsonl"]);
        command.arg("--ready-file").arg(&ready).arg("--output").arg(&output);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.spawn().context("start ss -E")
    })?;
    let outcome = (|| -> Result<u64> {
        place.wait("ss -E to be ready", || Ok(ready.exists()))?;
        place.netns.inside(|| {
            use std::net::{TcpListener, TcpStream};
            for port in [8080, 8081] {
                let listener = TcpListener::bind(("127.0.0.1", port))?;
                let client = TcpStream::connect(("127.0.0.1", port))?;
                let (server, _) = listener.accept()?;
                drop((client, server));
            }
            Ok(())
        })?;
        let told = || -> Result<Vec<serde_json::Value>> {
            let text = std::fs::read_to_string(&output)?;
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
        };
        let is = |event: &serde_json::Value, new: &str| event["new"] == new;
        let ended =
            |events: &[serde_json::Value]| events.iter().filter(|event| is(event, "CLOSE")).count();
        // The server's end, and the listener.
        place.wait("both ends of the story", || Ok(ended(&told()?) >= 2))?;
        let events = told()?;
        let mut count = 0;
        for event in events.iter().filter(|event| event["event"] == "state") {
            let local = event["local"].as_str().context("local")?;
            ensure!(local.ends_with(":8080"), "not asked for: {event}");
            ensure!(event["owner"]["pid"] == std::process::id(), "whose is {event}");
            count += 2;
        }
        for new in ["LISTEN", "SYN_RECV", "ESTABLISHED", "CLOSE_WAIT", "LAST_ACK"] {
            ensure!(events.iter().any(|event| is(event, new)), "no {new} in {events:#?}");
            count += 1;
        }
        Ok(count)
    })();
    let stopped = watcher.kill().and_then(|()| watcher.wait());
    for file in [&ready, &output] {
        // Why ignored: it costs space only.
        let _ = std::fs::remove_file(file);
    }
    stopped.context("end ss -E")?;
    outcome
}

/// docs/differences.md has a row for every rule here, and none more.
fn documented() -> Result<u64> {
    let text = include_str!("../../docs/differences.md");
    // Other views have sections of their own.
    let text = text.split("\n## ").next().unwrap_or_default();
    let rows: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let rules: BTreeSet<&str> = RULES.iter().map(|(name, _)| *name).collect();
    ensure!(rows == rules, "docs/differences.md has {rows:?}, the comparison {rules:?}");
    Ok(rules.len() as u64)
}
