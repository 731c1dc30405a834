//! What netbreath says of the network configuration, next to what the classics say, and
//! what it tells of changes: `cargo test -p netbreath-tests --test network [NAME]`.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use netbreath_tests::comparison::{self, Case};
use netbreath_tests::network::watch::{Watcher, brief};
use netbreath_tests::network::{Place, classic, json};
use netbreath_tests::tracer;

/// Kinds of interfaces that this kernel does not have.
static LACKING: AtomicU64 = AtomicU64::new(0);

/// Fewer would mean that something was not compared.
const LEAST_CHECKS: u64 = 5_000;

static CASES: [Case; 12] = [
    ("ip_json_key_by_key", ip_json),
    ("ip_text_word_by_word", ip_text),
    ("ifconfig_field_by_field", ifconfig),
    ("tables_of_route_arp_and_netstat", tables),
    ("counters_of_protocols", counters),
    ("changes_in_order", changes),
    ("a_recording_of_changes_replays", recording),
    ("a_flood_of_changes_is_caught_up_with", flood),
    ("routes_that_go_with_their_interface", silent_routes),
    ("changes_beside_connections", beside_connections),
    ("explained_in_plain_words", explained),
    ("errors_and_exit_codes", errors),
];

fn main() -> ExitCode {
    comparison::run(&CASES, "values", LEAST_CHECKS, || {
        let lacking = LACKING.load(Ordering::Relaxed);
        format!("; {lacking} kinds of interfaces SKIPPED: not in this kernel")
    })
}

fn built() -> Result<Place> {
    let (place, lacking) = Place::built()?;
    // Once, however many cases build a network.
    if LACKING.swap(lacking.len() as u64, Ordering::Relaxed) != lacking.len() as u64 {
        for kind in &lacking {
            skipped(&format!("no interface of kind {kind}: not in this kernel"))?;
        }
    }
    Ok(place)
}

/// Says what could not be had, also to the file in which `cargo xtask test` counts it.
fn skipped(what: &str) -> Result<()> {
    eprintln!("SKIPPED: {what}");
    if let Some(file) = std::env::var_os("NETBREATH_SKIPPED") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "network: {what}")?;
    }
    Ok(())
}

fn each(lines: &[&str], compare: impl Fn(&str) -> Result<u64>) -> Result<u64> {
    lines.iter().map(|line| compare(line)).sum()
}

fn ip_json() -> Result<u64> {
    let place = built()?;
    let lines = [
        "ip -j addr",
        "ip -j -s addr",
        "ip -j -4 addr",
        "ip -j -6 addr",
        "ip -j addr show dev v0",
        "ip -j addr show up",
        "ip -j -br addr",
        "ip -j link",
        "ip -j -s link",
        "ip -j -br link",
        "ip -j link show longer-name",
        "ip -j link show type veth",
        "ip -j link show master br0",
        "ip -j route",
        "ip -j -6 route",
        "ip -j route show table all",
        "ip -j -N route show table all",
        "ip -j route show table 100",
        "ip -j route show dev v0",
        "ip -j route show type unicast",
        "ip -j route show proto static table all",
        "ip -j neigh",
        "ip -j -s neigh",
        "ip -j -4 neigh",
        "ip -j neigh show dev v0",
        "ip -j neigh show proxy",
        "ip -j neigh show nud stale",
    ];
    each(&lines, |line| json::compare(&place, line))
}

fn ip_text() -> Result<u64> {
    let place = built()?;
    let lines = [
        "ip addr",
        "ip -4 addr",
        "ip -6 addr",
        "ip link",
        "ip -o addr",
        "ip -o link",
        "ip -br addr",
        "ip -br link",
        "ip route",
        "ip -6 route",
        "ip route show table all",
        "ip neigh",
    ];
    each(&lines, |line| classic::compare_lines(&place, line))
}

fn ifconfig() -> Result<u64> {
    let place = built()?;
    let lines = ["ifconfig -a", "ifconfig", "ifconfig v0", "ifconfig v3"];
    let mut count = each(&lines, |line| classic::compare_ifconfig(&place, line))?;
    // What the classic leaves out.
    let text = place.ours("ifconfig v0")?;
    ensure!(text.contains("inet 10.1.0.10 "), "the second address of v0 is missing:\n{text}");
    let text = place.ours("ifconfig v0 --style bsd")?;
    for part in [
        "v0: flags=8043<UP,BROADCAST,RUNNING,MULTICAST> mtu 1500\n",
        "\tinet 10.1.0.1 netmask 0xffffff00 broadcast 10.1.0.255\n",
        "\tinet6 2001:db8::5 prefixlen 64 autoconf deprecated\n",
        "%v0 prefixlen 64 scopeid ",
        "\tstatus: active\n",
        "\tmedia: ",
    ] {
        ensure!(text.contains(part), "{part:?} is not in\n{text}");
        count += 1;
    }
    Ok(count)
}

fn tables() -> Result<u64> {
    let place = built()?;
    let lines = [
        "route -n",
        "route -een",
        "netstat -rn",
        "netstat -r6n",
        "route -6n",
        "arp -n",
        "arp -an",
        "arp -n -i v0",
        "netstat -gn",
    ];
    let lines = each(&lines, |line| classic::compare_lines(&place, line))?;
    let counts = ["netstat -i", "netstat -ia", "ifconfig -s", "ifconfig -s -a"];
    Ok(lines + each(&counts, |line| classic::compare_counts(&place, line))?)
}

fn counters() -> Result<u64> {
    let place = Place::empty()?;
    // Something to count.
    place.netns.inside(|| {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
        for _ in 0..5 {
            socket.send_to(b"x", "127.0.0.1:9")?;
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let _connection = std::net::TcpStream::connect(listener.local_addr()?)?;
        Ok(())
    })?;
    let count = classic::compare_statistics(&place)?;
    let text = place.ours("netstat -st")?;
    ensure!(text.contains("    1 connections opened from here (connect) (ActiveOpens)"), "{text}");
    ensure!(!text.contains("\nUdp:"), "asked for TCP only:\n{text}");
    Ok(count + 2)
}

/// v0 and v1, up, with an address and a default route.
fn pair() -> Result<Place> {
    let place = Place::empty()?;
    for line in [
        "link add v0 type veth peer name v1",
        "link set v0 up",
        "link set v1 up",
        "addr add 10.1.0.1/24 dev v0",
        "route add default via 10.1.0.2",
    ] {
        place.theirs(&format!("ip {line}"))?;
    }
    Ok(place)
}

/// Waits until `brief` has come after all that `done` has passed.
fn expect(place: &Place, watcher: &Watcher, done: &mut usize, wanted: &str) -> Result<()> {
    let found = std::cell::Cell::new(None);
    let waited = place.wait(wanted, || {
        let events = watcher.events()?;
        let fits = |event: &serde_json::Value| brief(event) == wanted;
        found.set(events.iter().skip(*done).position(fits).map(|at| at + *done + 1));
        Ok(found.get().is_some())
    });
    match (waited, found.get()) {
        (Ok(()), Some(next)) => {
            *done = next;
            Ok(())
        }
        _ => {
            let seen: Vec<String> = watcher.events()?.iter().map(brief).collect();
            bail!("no {wanted:?} after the first {done} of\n{}", seen.join("\n"))
        }
    }
}

/// Each kind of change, in one run, in the order of what was done.
fn changes() -> Result<u64> {
    let place = pair()?;
    let mut all = Watcher::start(&place, "ip -j monitor")?;
    let mut one = Watcher::start(&place, "ifconfig v0 --format jsonl")?;
    let steps = [
        ("link set v0 down", "link v0 changed down"),
        ("link set v0 up", "link v0 changed up"),
        ("addr add 10.1.0.7/24 dev v0", "address v0 added 10.1.0.7/24"),
        ("addr del 10.1.0.7/24 dev v0", "address v0 removed 10.1.0.7/24"),
        ("route add default via 10.1.0.2", "route v0 added 0.0.0.0/0 via 10.1.0.2"),
        ("route replace default via 10.1.0.3", "route v0 changed 0.0.0.0/0 via 10.1.0.3"),
        ("route del default", "route v0 removed 0.0.0.0/0 via 10.1.0.3"),
        (
            "neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 nud reachable dev v0",
            "neighbour v0 added 10.1.0.9 REACHABLE",
        ),
        ("neigh change 10.1.0.9 nud failed dev v0", "neighbour v0 changed 10.1.0.9 FAILED"),
        ("link add br9 type bridge", "link br9 added down"),
        ("link del br9", "link br9 removed down"),
    ];
    let mut seen = 0;
    for (step, wanted) in steps {
        place.theirs(&format!("ip {step}"))?;
        expect(&place, &all, &mut seen, wanted)?;
    }
    // One that nobody answers for, found out by the kernel itself.
    place.netns.inside(|| {
        let socket = std::net::UdpSocket::bind("10.1.0.1:0")?;
        socket.send_to(b"x", "10.1.0.77:9").context("send to nobody")?;
        Ok(())
    })?;
    expect(&place, &all, &mut seen, "neighbour v0 added 10.1.0.77 FAILED")?;
    let replaced = |event: &serde_json::Value| {
        event["change"] == "changed" && event["was"]["gateway"] == "10.1.0.2"
    };
    ensure!(all.events()?.iter().any(replaced), "what the default route was is not told");

    // Two kinds of one interface.
    let mut seen = 0;
    for (_, wanted) in steps.iter().take(4) {
        expect(&place, &one, &mut seen, wanted)?;
    }
    for watcher in [&mut all, &mut one] {
        let code = watcher.end()?;
        ensure!(code == Some(130), "code {code:?} after Ctrl-C");
        let mut before = 0;
        for event in watcher.events()? {
            let at = event["at"].as_i64().context("an event without a time")?;
            ensure!(at >= before, "{event} is out of order");
            before = at;
        }
    }
    for event in one.events()? {
        let thing = &event[event["event"].as_str().unwrap_or_default()];
        ensure!(event["event"] == "clock" || thing["ifname"] == "v0", "{event} is not of v0");
    }
    Ok(steps.len() as u64 + 7)
}

fn recording() -> Result<u64> {
    let place = pair()?;
    let mut live = Watcher::start(&place, "ip addr")?;
    let mut recorder = Watcher::start(&place, "ip -j addr")?;
    let mut seen = 0;
    for (step, wanted) in [
        ("addr add 10.1.0.7/24 dev v0", "address v0 added 10.1.0.7/24"),
        ("addr add 2001:db8::7/64 dev v0 nodad", "address v0 added 2001:db8::7/64"),
        ("addr del 10.1.0.7/24 dev v0", "address v0 removed 10.1.0.7/24"),
    ] {
        place.theirs(&format!("ip {step}"))?;
        expect(&place, &recorder, &mut seen, wanted)?;
    }
    place.wait("the text", || Ok(live.text().contains("removed")))?;
    ensure!(live.end()? == Some(130) && recorder.end()? == Some(130), "code after Ctrl-C");
    let path = std::env::temp_dir().join(format!("netbreath-recording-{}", std::process::id()));
    std::fs::write(&path, recorder.text())?;
    let replayed = place.ours(&format!("ip addr --follow --replay {}", path.display()));
    let again = place.ours(&format!("ip -j addr --follow --replay {}", path.display()));
    std::fs::remove_file(&path)?;
    ensure!(again? == recorder.text(), "a recording that is replayed is another one");
    // Times differ by what lay between the two who listened.
    let untimed = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.get(15..).unwrap_or(line).trim().to_owned()).collect()
    };
    let (replayed, live) = (untimed(&replayed?), untimed(&live.text()));
    let fits = |line: &&String| line.contains("10.1.0.7") || line.contains("2001:db8");
    let replayed: Vec<_> = replayed.iter().filter(fits).collect();
    let live: Vec<_> = live.iter().filter(fits).collect();
    ensure!(replayed == live && live.len() == 3, "{replayed:?} is not {live:?}");
    Ok(live.len() as u64 + 2)
}

/// More than the socket holds, while netbreath cannot run: the gap is told, and what is
/// true afterwards is known all the same.
fn flood() -> Result<u64> {
    let place = pair()?;
    let mut watcher = Watcher::start(&place, "ip -j route")?;
    let batch = std::env::temp_dir().join(format!("netbreath-flood-{}", std::process::id()));
    let mut lines = String::new();
    for round in 0..12 {
        for i in 0..2_500_u32 {
            let verb = if round % 2 == 0 { "add" } else { "del" };
            lines.push_str(&format!("route {verb} 10.{}.{}.0/24 dev v0\n", 100 + i / 250, i % 250));
        }
    }
    lines.push_str("route add 10.200.0.0/24 dev v0\nroute add 10.201.0.0/24 dev v0\n");
    lines.push_str("route del default\n");
    std::fs::write(&batch, lines)?;
    // SAFETY: the process is our child and runs.
    ensure!(unsafe { libc::kill(watcher.pid(), libc::SIGSTOP) } == 0, "cannot stop netbreath");
    let flooded = place.theirs(&format!("ip -batch {}", batch.display()));
    std::fs::remove_file(&batch)?;
    flooded?;
    // SAFETY: as above.
    ensure!(unsafe { libc::kill(watcher.pid(), libc::SIGCONT) } == 0, "cannot wake netbreath");
    place.wait("the last change", || {
        Ok(watcher.events()?.iter().any(|event| brief(event).starts_with("route v0 added 10.201.")))
    })?;
    place.theirs("ip route add 10.202.0.0/24 dev v0")?;
    place.wait("a change after the flood", || Ok(watcher.text().contains("10.202.0.0")))?;
    ensure!(watcher.end()? == Some(130), "code after Ctrl-C");
    let events = watcher.events()?;
    ensure!(events.iter().any(|event| event["event"] == "gap"), "no gap was told");
    let mut known = BTreeSet::new();
    for event in events.iter().filter(|event| event["event"] == "route") {
        let route = &event["route"];
        let text = format!("{}/{}", route["dst"].as_str().unwrap_or_default(), route["dst_len"]);
        match event["change"].as_str() {
            Some("removed") => known.remove(&text),
            _ => known.insert(text),
        };
    }
    let wanted: BTreeSet<String> =
        ["10.1.0.0/24", "10.200.0.0/24", "10.201.0.0/24", "10.202.0.0/24"]
            .map(str::to_owned)
            .into();
    ensure!(known.iter().filter(|route| !route.contains(':')).eq(wanted.iter()), "{known:?}");
    Ok(wanted.len() as u64 + 1)
}

/// In a trace, a change of the network stands where it happened among the changes of
/// connections.
fn beside_connections() -> Result<u64> {
    const ROUNDS: usize = 5;
    let place = pair()?;
    let line = "trace --event address,state --netns /proc/self/ns/net --format jsonl";
    let mut watcher = Watcher::start(&place, line)?;
    let mut ports = Vec::new();
    for round in 0..ROUNDS {
        let (listener, client, server) = place.netns.inside(|| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
            let client = std::net::TcpStream::connect(listener.local_addr()?)?;
            let (server, _) = listener.accept()?;
            Ok((listener, client, server))
        })?;
        ports.push(client.local_addr()?.to_string());
        place.theirs(&format!("ip addr add 10.1.1.{round}/32 dev v0"))?;
        drop((client, server, listener));
    }
    place.wait("the addresses and the ends of connections", || {
        let events = watcher.events()?;
        let count = |kind: &str, key: &str, value: &str| {
            events.iter().filter(|e| e["event"] == kind && e[key] == value).count()
        };
        // Each connection has two ends, which leave that state when they are closed.
        let ended = count("state", "old", "ESTABLISHED");
        Ok(count("address", "change", "added") >= ROUNDS && ended >= 2 * ROUNDS)
    })?;
    ensure!(watcher.end()? == Some(130), "code after Ctrl-C");
    let events = watcher.events()?;
    let times: Vec<i64> = events.iter().filter_map(|event| event["at"].as_i64()).collect();
    ensure!(times.is_sorted(), "events are out of order");
    let place_of = |fits: &dyn Fn(&serde_json::Value) -> bool, what: &str| {
        events.iter().position(fits).with_context(|| format!("no {what}"))
    };
    for (round, local) in ports.iter().enumerate() {
        let added = place_of(
            &|e| e["address"]["local"] == format!("10.1.1.{round}") && e["change"] == "added",
            "address",
        )?;
        let opened = place_of(
            &|e| e["local"] == *local && e["new"] == "ESTABLISHED",
            "connection that is established",
        )?;
        let closed = place_of(
            &|e| e["local"] == *local && e["old"] == "ESTABLISHED",
            "connection that ends",
        )?;
        ensure!(opened < added && added < closed, "{opened} {added} {closed}: not in order");
    }
    Ok(ROUNDS as u64 * 2)
}

/// The kernel does not tell which IPv4 routes go with an interface.
fn silent_routes() -> Result<u64> {
    let place = pair()?;
    let mut watcher = Watcher::start(&place, "ip -j -4 route")?;
    place.theirs("ip link set v0 down")?;
    let mut seen = 0;
    expect(&place, &watcher, &mut seen, "route v0 removed 0.0.0.0/0 via 10.1.0.2")?;
    ensure!(watcher.end()? == Some(130), "code after Ctrl-C");
    let inferred = watcher.events()?.iter().any(|event| event["via"] == "poll");
    ensure!(inferred, "what was looked up is not marked so");
    Ok(2)
}

fn explained() -> Result<u64> {
    let place = built()?;
    // A cable into another namespace, in which a process lives.
    let other = Place::empty()?;
    let mut sleeper = other.netns.inside(|| {
        Command::new("sleep").arg("60").spawn().context("start a process in the namespace")
    })?;
    let moved = place
        .theirs(&format!("ip link add out type veth peer name inner netns {}", sleeper.id()))
        .and_then(|_| place.ours("ifconfig -a --explain"));
    let pid = sleeper.id();
    sleeper.kill()?;
    sleeper.wait()?;
    let text = moved?;
    let netns = other.netns.inode();
    let parts = [
        "br0: bridge\n    A virtual switch".to_owned(),
        "v0: veth\n".to_owned(),
        "    Its other end is v1, on this machine.\n".to_owned(),
        format!(
            "    Its other end is inner, in the network namespace {netns}, that of sleep (process \
             {pid}).\n"
        ),
        "    It is a port of br0".to_owned(),
        "tun0: tun\n".to_owned(),
        "tap0: tap\n".to_owned(),
        "lo: loopback\n".to_owned(),
        "; deprecated: no new connection begins with it".to_owned(),
        "br0 and v1 have the same link address ".to_owned(),
        "An address belongs to an interface, not to the machine".to_owned(),
    ];
    for part in &parts {
        ensure!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let text = place.ours("route --explain")?;
    ensure!(text.contains("(default): by v0 to the router 10.1.0.2."), "{text}");
    let text = place.ours("arp --explain")?;
    ensure!(text.contains("10.1.0.2 is at 02:00:00:00:00:01, by v0: set by hand"), "{text}");
    Ok(parts.len() as u64 + 2)
}

fn errors() -> Result<u64> {
    let place = pair()?;
    let binary = tracer::binary()?;
    let binary = binary.to_string_lossy();
    let cases = [
        ("ifconfig nosuch", 1, "there is no interface \"nosuch\""),
        ("ip addr show dev nosuch", 1, "there is no interface \"nosuch\""),
        ("ip route show dev nosuch", 1, "there is no interface \"nosuch\""),
        ("ip neigh show dev nosuch --follow", 1, "there is no interface \"nosuch\""),
        ("arp -i nosuch", 1, "there is no interface \"nosuch\""),
        ("ip -4 -6 addr", 2, "-4 and -6 exclude each other"),
        ("ip link set lo down", 2, "netbreath observes"),
        ("ip frobnicate", 2, "these are: addr, link, route, neigh, monitor"),
        ("ip route show table nosuch", 2, "there is no routing table \"nosuch\""),
        ("ifconfig -s --style bsd", 2, "-s and --style exclude each other"),
        ("ifconfig --format jsonl", 2, "add --follow"),
        ("netstat -r -i", 2, "cannot be used with"),
        ("ifconfig --explain --format json", 2, "--explain is text"),
        ("ip route --explain", 2, "it tells what interfaces are"),
        ("ifconfig --count 3", 2, "add --follow"),
        ("netstat -s --follow", 2, "the kernel does not tell when these change"),
        ("services nosuch", 1, "there is no service \"nosuch\""),
    ];
    for (line, code, message) in cases {
        let words = netbreath_tests::network::words(line);
        let output = place.run(&binary, &words)?;
        ensure!(output.code == Some(code), "{line}: code {:?}: {}", output.code, output.talk);
        ensure!(output.talk.contains(message), "{line}: {}", output.talk);
        ensure!(output.out.is_empty(), "{line}: {}", output.out);
    }
    let shown = place.ours("services 8080")?;
    ensure!(shown.contains("http-alt"), "{shown}");

    // Where a sandbox forbids the socket, that is a missing privilege.
    for line in ["ifconfig", "ip addr --follow"] {
        let mut command = Command::new(&*binary);
        command.args(netbreath_tests::network::words(line)).stdin(Stdio::null());
        // SAFETY: only system calls between fork and exec.
        unsafe { command.pre_exec(forbid_netlink) };
        let output = command.output()?;
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(77), "{line}: {:?}: {talk}", output.status);
        ensure!(talk.contains("NETLINK_ROUTE") && talk.contains("sandbox"), "{talk}");
    }
    Ok(cases.len() as u64 + 3)
}

/// From now on, this process gets EPERM for netlink sockets.
fn forbid_netlink() -> std::io::Result<()> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    // `struct seccomp_data`: the number of the call, then at 16 its first argument.
    let mut program = [
        step(LOAD, 0, 0, 0),
        step(EQUAL, libc::SYS_socket as u32, 0, 3),
        step(LOAD, 16, 0, 0),
        step(EQUAL, libc::AF_NETLINK as u32, 0, 1),
        step(RETURN, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the filter lives until the calls return.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) == 0
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
