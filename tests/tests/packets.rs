//! Packets of files as text, next to what tcpdump says of them, and packets as they come:
//! `cargo test -p netbreath-tests --test packets [NAME]`.
//!
//! Captures are made of crafted packets (`netbreath_tests::crafted`), whole, cut, and with bytes
//! changed. Every line is compared byte by byte. The only differences that are allowed stand in
//! docs/differences.md, by the names that they have here.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Failed, Trial};
use netbreath_tests::crafted::{self, Capture};
use netbreath_tests::netns::Netns;
use netbreath_tests::network::words;
use netbreath_tests::{socket, tracer};

static CHECKS: AtomicU64 = AtomicU64::new(0);

/// Fewer would mean that something was not compared.
const LEAST_CHECKS: u64 = 100_000;

/// What compares something, and gives how many lines that were.
type Case = fn() -> Result<u64>;

/// How tcpdump is asked about whole packets.
const OPTIONS: [&str; 17] = [
    "-nn",
    "-nn -e",
    "-nn -v",
    "-nn -vv",
    "-nn -vvv -e",
    "-nn -q",
    "-nn -q -e -v",
    "-nn -S",
    "-nn -x",
    "-nn -xx",
    "-nn -X",
    "-nn -XX -v",
    "-nn -A",
    "-nn -t",
    "-nn -tt -#",
    "-nn -ttt -K -v",
    "-n -tttt",
];
/// And about packets that were cut.
const OPTIONS_OF_CUT: [&str; 4] = ["-nn", "-nn -vvv", "-nn -e -v -X", "-nn -q -ttttt"];

/// What packets are picked by.
const FILTERS: [&str; 24] = [
    "tcp",
    "udp",
    "ip",
    "ip6",
    "arp",
    "icmp",
    "icmp6",
    "port 8080",
    "src port 8080 and tcp",
    "dst port 53 or port 80",
    "host 192.0.2.1",
    "net 198.51.100.0/24",
    "not ip",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "tcp[13] == 0x12",
    "ip[8] < 5",
    "ip[6:2] & 0x1fff != 0",
    "greater 100",
    "less 60",
    "vlan 100",
    "ether host 02:00:00:00:00:01",
    "ip proto 47 or ip6 proto 47",
    "portrange 40000-50000",
    "tcp and udp",
];

fn main() -> ExitCode {
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    args.test_threads = args.test_threads.or(Some(2));
    let mut trials = Vec::new();
    let mut add = |name: String, case: Box<dyn FnOnce() -> Result<u64> + Send>| {
        if names.is_empty() || names.iter().any(|part| name.contains(part)) {
            trials.push(Trial::test(name.clone(), move || play(&name, case)));
        }
    };
    for capture in crafted::whole() {
        let name = format!("whole::{}", capture.name);
        add(name, Box::new(move || texts(&[capture], &OPTIONS)));
    }
    for capture in crafted::whole() {
        let name = format!("cut::{}", capture.name);
        let cuts = crafted::cut_of(&capture);
        add(name, Box::new(move || texts(&cuts, &OPTIONS_OF_CUT)));
    }
    let cases: [(&str, Case); 10] = [
        ("changed::payloads", changed),
        ("changed::documented", documented),
        ("file::filters", filters),
        ("file::converted", converted),
        ("file::pipe", pipe),
        ("file::count", count),
        ("file::errors", errors),
        ("file::names", names_of_loopback),
        ("live::tutorial", tutorial),
        ("live::rotation", rotation),
    ];
    for (name, case) in cases {
        add(name.to_owned(), Box::new(case));
    }
    let all = names.is_empty();
    let conclusion = libtest_mimic::run(&args, trials);
    let checks = CHECKS.load(Ordering::Relaxed);
    println!("{checks} lines compared\n");
    if all && !conclusion.has_failed() && checks < LEAST_CHECKS {
        eprintln!("only {checks} lines were compared: {LEAST_CHECKS} are the least");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn play(name: &str, case: impl FnOnce() -> Result<u64>) -> Result<(), Failed> {
    let checks = case().map_err(|error| format!("{error:#}"))?;
    CHECKS.fetch_add(checks, Ordering::Relaxed);
    println!("{name}: {checks} lines compared");
    Ok(())
}

/// A folder that goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("netbreath-packets-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        Ok(Folder(folder))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Why ignored: what is left in the folder of temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program said.
struct Said {
    code: Option<i32>,
    out: Vec<u8>,
    talk: String,
}

impl Said {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

fn run(program: &Path, arguments: &[&str]) -> Result<Said> {
    let output = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("run {} {arguments:?}", program.display()))?;
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Said { code: output.status.code(), out: output.stdout, talk })
}

fn netbreath(arguments: &[&str]) -> Result<Said> {
    run(&tracer::binary()?, arguments)
}

fn tcpdump(arguments: &[&str]) -> Result<Said> {
    run(Path::new("tcpdump"), arguments)
}

/// Compares what both say of a file, line by line; how many lines that were.
fn compare(options: &[&str], file: &Path, filter: &[&str]) -> Result<u64> {
    let file = file.display().to_string();
    let all = [options, &["-r", &file], filter].concat();
    let theirs = tcpdump(&all)?;
    let ours = netbreath(&[&["tcpdump"], &all[..]].concat())?;
    let mut faults = Vec::new();
    if theirs.code != ours.code {
        faults.push(format!("code {:?}, not {:?}: {}", ours.code, theirs.code, ours.talk));
    }
    // The line that tells what is read begins with no name of a program.
    let first = |said: &Said| {
        said.talk.lines().find(|line| line.starts_with("reading from")).map(str::to_owned)
    };
    if first(&theirs) != first(&ours) {
        faults.push(format!("{:?}, not {:?}", first(&ours), first(&theirs)));
    }
    let lines = |said: &Said| said.out.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    let (theirs, ours): (Vec<Vec<u8>>, Vec<Vec<u8>>) = (lines(&theirs), lines(&ours));
    if theirs.len() != ours.len() {
        faults.push(format!("{} lines, not {}", ours.len(), theirs.len()));
    }
    for (their, our) in theirs.iter().zip(&ours).filter(|(their, our)| their != our).take(5) {
        let (their, our) = (String::from_utf8_lossy(their), String::from_utf8_lossy(our));
        faults.push(format!("tcpdump:   {their}\n  netbreath: {our}"));
    }
    ensure!(faults.is_empty(), "{}:\n  {}", all.join(" "), faults.join("\n  "));
    Ok(theirs.len() as u64)
}

fn texts(captures: &[Capture], options: &[&str]) -> Result<u64> {
    let folder = Folder::new()?;
    let (mut lines, mut faults) = (0, Vec::new());
    for capture in captures {
        let file = capture.write(&folder.0)?;
        for line in options {
            match compare(&words(line), &file, &[]) {
                Ok(compared) => lines += compared,
                Err(error) => faults.push(format!("{error:#}")),
            }
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    Ok(lines)
}

fn filters() -> Result<u64> {
    let folder = Folder::new()?;
    let mut lines = 0;
    for capture in crafted::whole() {
        let file = capture.write(&folder.0)?;
        for filter in FILTERS {
            // What libpcap does not compile for such packets, or says lets nothing through.
            let told = tcpdump(&["-nn", "-r", &file.display().to_string(), filter])?;
            let ours = netbreath(&["tcpdump", "-nn", "-r", &file.display().to_string(), filter])?;
            if told.code == Some(0) || told.talk.contains("rejects all packets") {
                ensure!(
                    ours.code == Some(0) && ours.out == told.out,
                    "{}: {filter}:\n{}\nnot\n{}\n{}",
                    capture.name,
                    ours.text(),
                    told.text(),
                    ours.talk
                );
            } else {
                ensure!(ours.code == Some(1), "{}: {filter}: {}", capture.name, ours.talk);
            }
            lines += ours.text().lines().count() as u64;
        }
    }
    ensure!(lines > 1000, "filters let through {lines} lines only");
    Ok(lines)
}

/// Differences that are meant, by their names in docs/differences.md: what tcpdump's text of a
/// packet has where ours may be another.
type Rule = (&'static str, fn(&str) -> bool);

const RULES: [Rule; 1] = [("no-printer", |text| NO_PRINTER.iter().any(|word| text.contains(word)))];

/// Protocols that tcpdump reads and netbreath does not, as it names them.
const NO_PRINTER: &[&str] = &[
    "EIGRP",
    "eigrp",
    "PGM",
    "pgm",
    "PIM",
    "pim",
    "VRRP",
    "OSPF",
    "ospf",
    "RSVP",
    "rsvp",
    "egp",
    "igrp",
    "IPComp",
    "ipcomp",
    "DCCP",
    "dccp",
    "sctp",
    "mobility",
    "mobile",
    "STP",
    "stp",
    "IPX",
    "ipx",
    "node information",
    "router renumbering",
    "ha discovery",
    "mobile router",
    "RPL",
    "TFTP",
    "tftp",
    "telnet",
    "SMTP",
    "radius",
    "Loopback,",
    "AoE",
    "vend-cmu",
    "mtrace",
    "WHOIS",
    "hsrp",
    "lwres",
    "< 34] (invalid)",
    "pimv1",
];

/// Bytes changed behind the headers of packets: any difference must be one that is meant.
fn changed() -> Result<u64> {
    const COUNT: usize = 400;
    let folder = Folder::new()?;
    let (mut packets, mut passed_over, mut faults) = (0_u64, 0_u64, Vec::new());
    for (number, capture) in crafted::whole().iter().enumerate() {
        for (from, options) in [(0, "-nn -vvv -e -#"), (34, "-nn -v -#"), (42, "-nn -#")] {
            let seed = 0x1234_5678_9abc ^ ((number as u64) << 20 | from as u64);
            let file = crafted::mutated(capture, COUNT, from, seed).write(&folder.0)?;
            let path = file.display().to_string();
            let arguments = [&words(options)[..], &["-r", &path]].concat();
            let theirs = tcpdump(&arguments)?;
            let ours = netbreath(&[&["tcpdump"], &arguments[..]].concat())?;
            ensure!(ours.code == Some(0), "{}: {}", capture.name, ours.talk);
            let plain = |byte: &u8| matches!(byte, b'\n' | b'\t' | b' '..=b'~');
            ensure!(ours.out.iter().all(plain), "{}: a control character", capture.name);
            let (theirs, ours) = (by_number(&theirs.text()), by_number(&ours.text()));
            ensure!(ours.len() == COUNT, "{}: {} packets", capture.name, ours.len());
            for (their, our) in theirs.iter().zip(&ours) {
                packets += 1;
                if their == our {
                    continue;
                }
                if RULES.iter().any(|(_, allows)| allows(their)) {
                    passed_over += 1;
                } else {
                    faults.push(format!("{} from {from}:\n{their}\nnot\n{our}", capture.name));
                }
            }
        }
    }
    faults.truncate(8);
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    ensure!(passed_over * 100 < packets, "{passed_over} of {packets} packets differ as is allowed");
    Ok(packets)
}

/// What is told of each packet, from its number on.
fn by_number(text: &str) -> Vec<String> {
    let mut packets: Vec<String> = Vec::new();
    for line in text.lines() {
        let number = packets.len() + 1;
        if line.starts_with(&format!("{number:5}  ")) {
            packets.push(String::new());
        }
        if let Some(last) = packets.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    packets
}

/// docs/differences.md has a row for every rule here, and none more.
fn documented() -> Result<u64> {
    let text = include_str!("../../docs/differences.md");
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("| tcpdump |"))
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let rules: Vec<&str> = RULES.iter().map(|(name, _)| *name).collect();
    ensure!(rows == rules, "docs/differences.md has {rows:?}, the comparison {rules:?}");
    Ok(rules.len() as u64)
}

/// A file in the other format, and back, shows the same; `-w` keeps what a filter lets through.
fn converted() -> Result<u64> {
    let folder = Folder::new()?;
    let mut lines = 0;
    for capture in crafted::whole() {
        let first = capture.write(&folder.0)?.display().to_string();
        let second = folder.file("second.pcapng").display().to_string();
        let third = folder.file("third.pcap").display().to_string();
        for arguments in [
            vec!["capture", "-r", &first, "-w", &second],
            vec!["capture", "-r", &second, "-w", &third, "--pcap"],
        ] {
            let said = netbreath(&arguments)?;
            ensure!(said.code == Some(0), "{arguments:?}: {}", said.talk);
        }
        let must = tcpdump(&["-nn", "-e", "-r", &first])?;
        for file in [&second, &third] {
            let is = tcpdump(&["-nn", "-e", "-r", file])?;
            ensure!(
                is.code == Some(0) && is.out == must.out,
                "{}: {file}: {}",
                capture.name,
                is.talk
            );
            lines += compare(&["-nn"], Path::new(file), &[])?;
        }
    }
    Ok(lines)
}

fn pipe() -> Result<u64> {
    let capture = crafted::whole().into_iter().find(|one| one.name == "tcp").context("tcp")?;
    let mut child = Command::new(tracer::binary()?)
        .args(["tcpdump", "-nn", "-r", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let (mut to, mut from) =
        (child.stdin.take().context("stdin")?, child.stdout.take().context("stdout")?);
    let file = capture.pcap();
    // The first packet is told while the rest is still to come.
    to.write_all(&file[..24 + 16 + capture.packets[0].data.len()])?;
    let mut first = Vec::new();
    let mut byte = [0];
    while !first.ends_with(b"\n") {
        from.read_exact(&mut byte).context("the first line")?;
        first.extend(byte);
    }
    to.write_all(&file[24 + 16 + capture.packets[0].data.len()..])?;
    drop(to);
    let mut rest = Vec::new();
    from.read_to_end(&mut rest)?;
    ensure!(child.wait()?.success(), "it failed");
    let folder = Folder::new()?;
    let path = capture.write(&folder.0)?.display().to_string();
    let all = netbreath(&["tcpdump", "-nn", "-r", &path])?.out;
    ensure!([first, rest].concat() == all, "a pipe shows other lines than a file");
    Ok(capture.packets.len() as u64)
}

fn count() -> Result<u64> {
    let folder = Folder::new()?;
    let mut lines = 0;
    for capture in crafted::whole() {
        let file = capture.write(&folder.0)?;
        for (options, filter) in [
            ("--count", ""),
            ("--count", "tcp"),
            ("-c 1 -nn", ""),
            ("-c 3 -nn", "ip"),
            ("--count -c 2", ""),
        ] {
            lines += compare(&words(options), &file, &words(filter))?;
        }
    }
    Ok(lines)
}

/// Codes are tcpdump's; messages say what to do.
fn errors() -> Result<u64> {
    let folder = Folder::new()?;
    let capture = crafted::whole().into_iter().find(|one| one.name == "tcp").context("tcp")?;
    let good = capture.write(&folder.0)?.display().to_string();
    let cut = folder.file("cut.pcap").display().to_string();
    let bytes = capture.pcap();
    fs::write(&cut, &bytes[..bytes.len() - 5])?;
    let text = folder.file("text").display().to_string();
    fs::write(&text, "no capture file at all, only text\n")?;
    let missing = folder.file("missing").display().to_string();
    let filter = folder.file("filter").display().to_string();
    fs::write(&filter, "tcp port 8080\n")?;
    let mut checks = 0;
    let mut check = |arguments: &[&str], code: i32, says: &str| -> Result<()> {
        let ours = netbreath(&[&["tcpdump"], arguments].concat())?;
        let theirs = tcpdump(arguments)?;
        ensure!(theirs.code == Some(code), "tcpdump {arguments:?}: {:?}", theirs.code);
        ensure!(
            ours.code == Some(code) && ours.talk.contains(says),
            "{arguments:?}: {:?}, {says:?} not in {}",
            ours.code,
            ours.talk
        );
        checks += 1;
        Ok(())
    };
    check(&["-r", &missing], 1, "No such file or directory")?;
    check(&["-r", &text], 1, "no capture file")?;
    check(&["-nn", "-r", &cut], 1, "ends in the middle of a packet")?;
    check(&["-r", &good, "tcp port"], 1, "syntax error")?;
    check(&["-r", &good, "-c", "0"], 1, "invalid packet count 0")?;
    check(&["-r", &good, "-c", "x"], 1, "invalid packet count x")?;
    check(&["-nn", "-r", &good, "-F", &filter], 0, "")?;
    check(&["-F", &missing, "-r", &good], 1, "cannot read the filter")?;
    // What stands before the cut is shown.
    let whole = netbreath(&["tcpdump", "-nn", "-r", &good])?.text();
    let shown = netbreath(&["tcpdump", "-nn", "-r", &cut])?.text();
    ensure!(
        whole.starts_with(&shown) && shown.lines().count() == capture.packets.len() - 1,
        "of a file that is cut: {shown}"
    );
    ensure!(netbreath(&["tcpdump", "-i", "nonesuch"])?.talk.contains("nonesuch"), "no interface");
    Ok(checks)
}

/// Names of hosts and ports, where the system has them in its files.
fn names_of_loopback() -> Result<u64> {
    let folder = Folder::new()?;
    let file = crafted::loopback().write(&folder.0)?;
    let mut lines = 0;
    for options in ["", "-N", "-e", "-v", "-q"] {
        lines += compare(&words(options), &file, &[])?;
    }
    Ok(lines)
}

/// A capture that runs in a namespace.
struct Live {
    child: Child,
    folder: Folder,
}

impl Live {
    fn start(netns: &Netns, line: &str) -> Result<Live> {
        let folder = Folder::new()?;
        let ready = folder.file("ready");
        let child = netns.inside(|| {
            let mut command = Command::new(tracer::binary()?);
            command.args(words(line)).arg("--ready-file").arg(&ready);
            command.current_dir(&folder.0).stdin(Stdio::null());
            command.stdout(fs::File::create(folder.file("out"))?);
            command.stderr(fs::File::create(folder.file("talk"))?);
            command.spawn().context("start netbreath")
        })?;
        let mut live = Live { child, folder };
        let end = Instant::now() + Duration::from_secs(60);
        while !ready.exists() {
            if let Some(status) = live.child.try_wait()? {
                bail!("{line} ended before it was ready: {status}\n{}", live.talk());
            }
            ensure!(Instant::now() < end, "{line} is not ready\n{}", live.talk());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(live)
    }

    fn talk(&self) -> String {
        fs::read_to_string(self.folder.file("talk")).unwrap_or_default()
    }

    fn out(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.file("out")).unwrap_or_default()).into_owned()
    }

    /// Waits until its output has all of these parts.
    fn wait_for(&self, parts: &[&str]) -> Result<String> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let out = self.out();
            let missing: Vec<&&str> = parts.iter().filter(|part| !out.contains(**part)).collect();
            if missing.is_empty() {
                return Ok(out);
            }
            ensure!(Instant::now() < end, "{missing:?} not in\n{out}\n{}", self.talk());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as its user does; its code and its words.
    fn stop(&mut self) -> Result<(Option<i32>, String)> {
        // SAFETY: takes no pointers; the child is ours and not yet waited for.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) };
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status.code(), self.talk()));
            }
            ensure!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Does nothing to a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request to a server on port 8080 of loopback, and its answer, ended by the client.
fn get(netns: &Netns) -> Result<()> {
    let listener = netns.inside(|| TcpListener::bind("127.0.0.1:8080").context("bind"))?;
    let server = std::thread::spawn(move || -> Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut request = [0; 1024];
        let len = stream.read(&mut request)?;
        ensure!(request[..len].starts_with(b"GET "), "no request");
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")?;
        // Until the client has closed.
        while stream.read(&mut request)? > 0 {}
        Ok(())
    });
    let mut client = netns.inside(|| TcpStream::connect("127.0.0.1:8080").context("connect"))?;
    client.write_all(b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello\n") {
        let mut part = [0; 256];
        let len = client.read(&mut part)?;
        ensure!(len > 0, "the answer ended early");
        answer.extend(&part[..len]);
    }
    drop(client);
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))?
}

/// What the tutorial has its readers type, and what it promises them to see.
fn tutorial() -> Result<u64> {
    if socket::uid() != 0 {
        return skipped("needs root: network namespaces and eBPF");
    }
    let conversation = [
        " > 127.0.0.1.8080: Flags [S], seq ",
        " Flags [S.], seq ",
        ", ack 1, win ",
        "Flags [P.], seq 1:46, ack 1, ",
        "HTTP: GET /index.html HTTP/1.1",
        "Flags [P.], seq 1:45, ack 46, ",
        "HTTP: HTTP/1.1 200 OK",
        "Flags [F.], seq 46, ack 45, ",
        "Flags [F.], seq 45, ack 47, ",
        "options [mss 65495,sackOK,TS val ",
    ];
    let own = std::env::current_exe()?;
    let name: String =
        own.file_name().context("name")?.to_string_lossy().chars().take(15).collect();
    let process = format!("{name}[{}]", std::process::id());
    let both = format!("(lo, proc {process} > {process}, out) IP 127.0.0.1.");
    let lines: [(&str, Vec<&str>); 8] = [
        ("tcpdump -i lo port 8080 -nn", conversation.to_vec()),
        ("tcpdump -nn -i lo tcp port 8080", conversation.to_vec()),
        ("tcpdump -i lo port 8080 -nn -X", vec!["0x0000:  4500 00", "GET./index", "hello."]),
        (
            "tcpdump -i lo -nn -A port 8080",
            vec!["GET /index.html HTTP/1.1\nHost: localhost\n", "Content-Length: 6", "hello"],
        ),
        ("tcpdump -i lo -nn -k port 8080", vec![&both, "Flags [S], seq "]),
        ("tcpdump -i lo -nn -S -c 4 port 8080", vec!["Flags [S], seq ", "Flags [P.], seq "]),
        ("tcpdump -i lo -nn -e -v port 8080", vec!["ethertype IPv4 (0x0800)", "proto TCP (6)"]),
        ("tcpdump -i lo -nn tcp[tcpflags]&(tcp-syn)!=0", vec!["Flags [S]", "Flags [S.]"]),
    ];
    let mut checks = 0;
    let netns = Netns::create()?;
    for (line, parts) in &lines {
        let mut live = Live::start(&netns, line)?;
        get(&netns)?;
        live.wait_for(parts).with_context(|| (*line).to_owned())?;
        let (code, talk) = if line.contains("-c 4") {
            let status = live.child.wait()?;
            ensure!(live.out().lines().count() == 4, "{line}: {}", live.out());
            (status.code(), live.talk())
        } else {
            live.stop()?
        };
        ensure!(code == Some(0), "{line}: {code:?}\n{talk}");
        for part in [
            "listening on lo, link-type EN10MB (Ethernet), snapshot length 262144 bytes",
            " captured\n",
            " received by filter\n",
            "\n0 packets dropped by kernel\n",
        ] {
            ensure!(talk.contains(part), "{line}: {part:?} not in {talk}");
        }
        checks += parts.len() as u64 + 4;
    }
    // A file of it, read by both.
    let mut live = Live::start(&netns, "tcpdump -i lo -w get.pcapng port 8080 -U")?;
    get(&netns)?;
    let file = live.folder.file("get.pcapng");
    let end = Instant::now() + Duration::from_secs(30);
    while tcpdump(&["-nn", "-r", &file.display().to_string()])?.text().lines().count() < 10 {
        ensure!(Instant::now() < end, "no packets in {}", file.display());
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, talk) = live.stop()?;
    ensure!(code == Some(0), "-w: {code:?}\n{talk}");
    for options in OPTIONS {
        checks += compare(&words(options), &file, &[])?;
    }
    let owned = netbreath(&["tcpdump", "-nnk", "-r", &file.display().to_string()])?.text();
    ensure!(owned.contains(&format!("proc {process}")), "whose they are is not in\n{owned}");
    Ok(checks + 1)
}

/// Files by size and by number.
fn rotation() -> Result<u64> {
    if socket::uid() != 0 {
        return skipped("needs root: network namespaces and eBPF");
    }
    let netns = Netns::create()?;
    let mut live = Live::start(&netns, "tcpdump -i lo -w part -C 10k -W 4 udp -U")?;
    netns.inside(|| {
        let to = std::net::UdpSocket::bind("127.0.0.1:9999")?;
        let from = std::net::UdpSocket::bind("127.0.0.1:0")?;
        for number in 0..60_u16 {
            from.send_to(&[&number.to_be_bytes()[..], &[0; 998]].concat(), to.local_addr()?)?;
        }
        Ok(())
    })?;
    let names = ["part0", "part1", "part2", "part3"];
    let packets = |name: &str| -> Result<usize> {
        let file = live.folder.file(name);
        if !file.exists() {
            return Ok(0);
        }
        Ok(tcpdump(&["-nn", "-r", &file.display().to_string()])?.text().lines().count())
    };
    let end = Instant::now() + Duration::from_secs(30);
    // 60 packets with 9 a file go into 7 files: the first three are written over.
    loop {
        let counts = names.map(packets).into_iter().collect::<Result<Vec<usize>>>()?;
        if counts.iter().sum::<usize>() >= 33 && counts.iter().all(|count| *count > 0) {
            break;
        }
        ensure!(Instant::now() < end, "{counts:?}\n{}", live.talk());
        std::thread::sleep(Duration::from_millis(20));
    }
    let (code, talk) = live.stop()?;
    ensure!(code == Some(0) && talk.contains("60 packets captured"), "{code:?}: {talk}");
    let mut sizes = Vec::new();
    for name in names {
        let file = live.folder.file(name);
        sizes.push(fs::metadata(&file)?.len());
        compare(&["-nn"], &file, &[])?;
    }
    ensure!(sizes.iter().all(|size| *size < 13_000), "files of {sizes:?} bytes");
    let others = fs::read_dir(&live.folder.0)?.count();
    ensure!(others == 7, "{others} files: four of packets, and out, talk, ready");
    Ok(8)
}

/// Says what could not be had, also to the file in which `cargo xtask test` counts it.
fn skipped(what: &str) -> Result<u64> {
    eprintln!("SKIPPED: {what}");
    if let Some(file) = std::env::var_os("NETBREATH_SKIPPED") {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(file)?;
        writeln!(file, "packets: {what}")?;
    }
    Ok(0)
}
