//! The program from outside: messages and exit codes. None of this needs root; what
//! cannot run says so and is counted.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

mod script;

static SKIPPED: AtomicU32 = AtomicU32::new(0);

fn skip(why: &str) {
    let skipped = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    eprintln!("skipped ({skipped} so far): {why}");
}

fn netbreath(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netbreath"));
    command.args(arguments).env("LC_ALL", "C.UTF-8").env("TZ", "UTC").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    texts(netbreath(arguments).output().unwrap())
}

fn texts(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A file that is gone when the test is.
struct Temporary(PathBuf);

impl Temporary {
    fn new(content: &str) -> Temporary {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("netbreath-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, content).unwrap();
        Temporary(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn wrong_use_is_code_2_and_says_what_to_do() {
    for (line, message) in [
        ("--pid 999999999", "there is no process 999999999"),
        ("--addr 10.0.0.0/33", "10.0.0.0/33: the prefix of an IPv4 network is 0 to 32 bits long"),
        ("--port 70000", "70000 is not a port: ports go from 0 to 65535"),
        ("-4 -6", "-4 and -6 exclude each other"),
        ("-4 --addr ::1", "--addr ::1 is IPv6, but -4 keeps only IPv4"),
        ("--port 90-80", "the range of ports 90-80 is empty"),
        ("--pid 1 -- true", "--pid and a COMMAND exclude each other"),
        ("-o /no/such/directory/file", "cannot write to /no/such/directory/file: choose a file"),
        ("--columns nonsense", "\"nonsense\" is not a column; these are:\n  time"),
        ("--state nonsense", "\"nonsense\" is not a TCP state; these are: ESTABLISHED"),
        ("--netns nonsense", "there is no network namespace \"nonsense\""),
        ("--cgroup /nonsense", "there is no cgroup \"/nonsense\""),
        ("--uid nobody-of-that-name", "there is no user \"nobody-of-that-name\""),
        ("--count 0", "invalid value '0' for '--count <N>'"),
        (
            "--event nonsense",
            "[possible values: seed, half_open, state, accept, owner, connect_failed,",
        ),
        ("curl example.com", "unexpected argument 'curl'"),
    ] {
        let arguments: Vec<&str> = ["trace"].into_iter().chain(line.split(' ')).collect();
        let (code, out, talk) = run(&arguments);
        assert_eq!(code, Some(2), "{line}: {talk}");
        assert!(talk.contains(message), "{line}: {talk}");
        assert_eq!(out, "", "{line}");
    }
}

#[test]
fn help_is_for_the_stranger() {
    let (code, _, talk) = run(&[]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("sudo netbreath trace"), "{talk}");
    for (arguments, part) in [
        (&["--help"][..], "sudo netbreath trace"),
        (&["trace", "-h"], "Only connections with this port at either end"),
        (&["trace", "--help"], "Exit codes:"),
        (&["ifconfig", "--help"], "Exit codes:"),
        (&["ip", "--help"], "netbreath ip monitor"),
        (&["route", "--help"], "IPv6"),
        (&["arp", "-h"], "Only of this interface"),
        (&["netstat", "-h"], "netbreath netstat -rn"),
        (&["netstat", "--help"], "Exit codes:"),
        (&["ss", "-h"], "netbreath ss -tlnp"),
        (&["ss", "--help"], "Exit codes:"),
        (&["lsof", "-h"], "netbreath lsof -p 812"),
        (&["lsof", "--help"], "Exit codes:"),
        (&["who", "--help"], "what is using port 8080?"),
        (&["services", "-h"], "http-alt"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
    ] {
        let (code, out, _) = run(arguments);
        assert_eq!(code, Some(0));
        assert!(out.contains(part), "{out}");
        assert!(!out.contains("owner-from-cpu"), "{out}");
    }
}

#[test]
fn without_privilege_it_is_code_77() {
    let mut command = netbreath(&["trace", "--duration", "1ms"]);
    // SAFETY: geteuid has no preconditions.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(65_534).gid(65_534);
    }
    match command.output() {
        Ok(output) => {
            let (code, out, talk) = texts(output);
            assert_eq!(code, Some(77), "{talk}");
            assert!(talk.contains("CAP_BPF") && talk.contains("sudo"), "{talk}");
            assert_eq!((out.as_str(), talk.lines().count()), ("", 1));
        }
        Err(error) => skip(&format!("the user nobody cannot run the program here: {error}")),
    }
}

/// No right is needed to ask what the network is.
#[test]
fn the_network_is_shown_to_everybody() {
    for (arguments, part) in [
        (&["ifconfig", "lo"][..], "lo: flags="),
        (&["ifconfig", "lo", "--style", "bsd"], "\tinet 127.0.0.1 netmask 0xff000000"),
        (&["ifconfig", "lo", "--explain"], "lo: loopback\n"),
        (&["ip", "-br", "a", "show", "lo"], "lo "),
        (&["ip", "-4", "-o", "addr", "show", "dev", "lo"], "1: lo    inet 127.0.0.1/8 "),
        (&["route", "-n"], "Kernel IP routing table\nDestination     Gateway "),
        (&["netstat", "-i", "-a"], "Kernel Interface table\nIface "),
        (&["netstat", "-s", "--format", "csv"], "protocol,name,value,meaning,info\nIp,"),
        (&["services", "8080"], "http-alt"),
        (&["netstat", "-anp"], "Active Internet connections (servers and established)\nProto "),
        (&["netstat", "-an", "--style", "bsd", "-p", "tcp"], "Proto Recv-Q Send-Q "),
        (&["ss", "-tanp"], "State "),
        (&["ss", "-s"], "Transport Total     IP        IPv6\n"),
        (&["ss", "-xan", "--format", "json"], "\"proto\":\"unix_stream\""),
        (&["ip", "monitor", "--duration", "1ms"], "TIME "),
    ] {
        let mut command = netbreath(arguments);
        // SAFETY: geteuid has no preconditions.
        if unsafe { libc::geteuid() } == 0 {
            command.uid(65_534).gid(65_534);
        }
        match command.output() {
            Ok(output) => {
                let (code, out, talk) = texts(output);
                assert_eq!(code, Some(0), "{arguments:?}: {talk}");
                assert!(out.contains(part), "{arguments:?}: {out}");
            }
            Err(error) => skip(&format!("the user nobody cannot run the program here: {error}")),
        }
    }
    let (code, out, _) = run(&["ip", "-j", "addr", "show", "lo"]);
    let all: Vec<serde_json::Value> = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &all[0]["ifname"], all.len()), (Some(0), &"lo".into(), 1));
}

#[test]
fn what_is_not_there_is_code_1_and_wrong_use_code_2() {
    for (line, expected, message) in [
        ("ifconfig nosuch0", 1, "there is no interface \"nosuch0\""),
        ("ip link show nosuch0", 1, "there is no interface \"nosuch0\""),
        ("services nosuch", 1, "there is no service \"nosuch\""),
        ("ip addr add 10.0.0.1/8 dev lo", 2, "netbreath observes"),
        ("ip -4 -6 addr", 2, "-4 and -6 exclude each other"),
        ("ifconfig --format jsonl", 2, "add --follow"),
        ("ifconfig --duration 1s", 2, "add --follow"),
        ("netstat --format jsonl", 2, "one a line"),
        ("netstat -A nosuch", 2, "\"nosuch\" is no family"),
        ("ss state nosuch", 2, "\"nosuch\" is no state"),
        ("ss -K", 2, "netbreath observes"),
        ("ss sport = :nosuch", 2, "\"nosuch\" is no port"),
        ("ss sport", 2, "a port is missing"),
        ("ss -A nosuch", 2, "is no table of sockets"),
        ("lsof -i :nosuch", 2, "unknown port"),
        ("lsof -s LISTEN -i", 2, "TCP:LISTEN"),
        ("lsof -u nosuchuser", 2, "there is no user \"nosuchuser\""),
        ("lsof -p 999999999", 1, ""),
        ("who 99999", 2, "is no port"),
        ("arp --explain --follow", 2, "--explain is text"),
    ] {
        let (code, out, talk) = run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!((code, out.as_str()), (Some(expected), ""), "{line}: {talk}");
        assert!(talk.contains(message), "{line}: {talk}");
    }
}

#[test]
fn a_recording_plays_in_every_format() {
    let recording = Temporary::new(&script::recording());
    let run = |more: &[&str]| run(&[&["trace", "-n", "--replay", recording.path()], more].concat());
    let (code, out, talk) = run(&[]);
    assert_eq!((code, out.lines().count()), (Some(0), script::lines()));
    assert!(out.starts_with("TIME            PROCESS "), "{out}");
    assert!(out.contains("03:04:05.020431 nginx[812] "), "{out}");
    assert!(out.contains("SYN_RECV → ESTABLISHED"), "{out}");
    assert_eq!(talk, format!("{} events, 3 lost, 2 gaps; 2 sockets still open\n", script::rows()));

    let (code, out, _) = run(&["--format", "jsonl"]);
    assert_eq!((code, out), (Some(0), script::recording()));
    let (_, out, _) = run(&["--format", "csv", "--columns", "pid,comm"]);
    assert!(out.starts_with("pid,comm,info\n4242,curl,\n"), "{out}");
    let (_, out, _) = run(&["--format", "json", "--count", "3"]);
    assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&out).unwrap().len(), 3);
    let (_, out, _) = run(&["--timestamps", "delta", "--columns", "time", "--count", "2"]);
    assert_eq!(out, "TIME\n0.000000\n0.020190\n");
}

#[test]
fn a_locale_without_utf8_gets_ascii() {
    let recording = Temporary::new(&script::recording());
    let mut command = netbreath(&["trace", "-n", "--replay", recording.path()]);
    let (_, out, _) = texts(command.env("LC_ALL", "C").output().unwrap());
    assert!(out.contains("SYN_RECV -> ESTABLISHED") && out.contains("69.0us"), "{out}");
    assert!(out.is_ascii());
}

#[test]
fn strict_makes_loss_an_error() {
    let recording = Temporary::new(&script::recording());
    let (code, out, talk) = run(&["trace", "-n", "--strict", "--replay", recording.path()]);
    assert_eq!((code, out.lines().count()), (Some(2), script::lines()));
    assert!(talk.contains("3 events were lost, which --strict does not allow"), "{talk}");
    let lossless: String = script::recording()
        .lines()
        .filter(|line| !line.contains("gap"))
        .collect::<Vec<_>>()
        .join("\n");
    let lossless = Temporary::new(&lossless);
    assert_eq!(run(&["trace", "--strict", "--replay", lossless.path()]).0, Some(0));
}

#[test]
fn a_closed_pipe_is_code_0_and_quiet() {
    // More than a pipe holds.
    let recording = Temporary::new(&script::recording().repeat(1000));
    let mut child = netbreath(&["trace", "-n", "--replay", recording.path()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let (code, _, talk) = texts(child.wait_with_output().unwrap());
    assert_eq!((code, talk.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_code_2() {
    let recording = Temporary::new(&script::recording());
    let full = ["trace", "--replay", recording.path(), "-o", "/dev/full"];
    let (code, _, talk) = run(&full);
    assert_eq!(code, Some(2));
    assert!(talk.contains("cannot write to /dev/full: No space left on device"), "{talk}");
}

#[test]
fn output_goes_to_a_file_and_the_ready_file_tells_when() {
    let recording = Temporary::new(&script::recording());
    let (out, ready) = (Temporary::new("old"), Temporary::new(""));
    fs::remove_file(ready.path()).unwrap();
    let (code, stdout, _) = run(&[
        "trace",
        "-n",
        "--replay",
        recording.path(),
        "-o",
        out.path(),
        "--ready-file",
        ready.path(),
    ]);
    assert_eq!((code, stdout.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(out.path()).unwrap().lines().count(), script::lines());
    assert_eq!(fs::read_to_string(ready.path()).unwrap(), "ready\n");
    let (code, _, talk) =
        run(&["trace", "--replay", recording.path(), "--ready-file", "/no/such/file"]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("cannot write the ready file /no/such/file"), "{talk}");
}

#[test]
fn a_broken_recording_is_an_error_with_its_line() {
    let recording = Temporary::new("{}\n");
    let (code, _, talk) = run(&["trace", "--replay", recording.path()]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("line 1 of") && talk.contains("is no event"), "{talk}");
    let (code, _, talk) = run(&["trace", "--replay", "/no/such/file"]);
    assert_eq!(code, Some(2));
    // Each cause once.
    let message = "netbreath: cannot read the recording \"/no/such/file\": \
                   No such file or directory (os error 2)\n";
    assert_eq!(talk, message);
}

#[test]
fn a_kernel_without_type_information_is_an_error_that_says_what_to_do() {
    // SAFETY: asks for a number only.
    if unsafe { libc::geteuid() } != 0 {
        return skip("without privilege, that is the first thing to be missing");
    }
    let foreign = Temporary::new("no BTF at all");
    for (file, why) in
        [("/nonexistent/btf", "cannot read /nonexistent/btf"), (foreign.path(), "no magic number")]
    {
        let (code, stdout, stderr) = run(&["trace", "--btf", file, "-d", "1s"]);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains("no type information of this kernel"), "{stderr}");
        assert!(stderr.contains(why) && stderr.contains("--btf FILE"), "{stderr}");
    }
}

#[test]
fn explain_knows_topics_and_suggests_near_ones() {
    let (code, out, _) = run(&["explain", "syn-received"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("SYN_RECV (state of TCP)\n"), "{out}");
    assert!(out.contains("9293, section 3.5"), "{out}");
    // Three words, as a shell gives them where nobody has quoted them.
    let (code, out, _) = run(&["explain", "estab", "to", "fin-wait-1", "--lang", "ja"]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("ESTABLISHED -> FIN_WAIT1 (状態遷移)\n"), "{out}");
    let japanese = netbreath(&["explain", "S."]).env("LC_ALL", "ja_JP.UTF-8").output().unwrap();
    assert!(texts(japanese).1.contains("ハンドシェイク"));
    let (code, out, err) = run(&["explain", "ESTABLISHD"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("near ones: ESTABLISHED"), "{err}");
    let (code, out, _) = run(&["explain"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("ECONNREFUSED") && out.contains("FIN_WAIT1 -> CLOSING"), "{out}");
}

#[test]
fn tables_of_sockets_are_explained_line_by_line() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (pid, own) = (std::process::id(), format!("127.0.0.1:{port}"));
    let internet = format!(":{port}");
    for arguments in [
        &["netstat", "-tlnp", "--explain", "--lang", "en"][..],
        &["ss", "-tlnp", "--explain", "--lang", "en"],
        &["lsof", "-nP", "-i", &internet, "--explain", "--lang", "en"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {err}");
        let lines: Vec<&str> = out.lines().collect();
        let at = lines.iter().position(|line| line.contains(&own)).unwrap();
        let explained: Vec<&str> = lines[at + 1..]
            .iter()
            .take_while(|line| line.starts_with("    "))
            .map(|line| line.trim())
            .collect();
        let explained = explained.join(" ");
        assert!(explained.starts_with("A server waits for connections"), "{arguments:?}: {out}");
        assert!(explained.contains("reached from this machine only"), "{arguments:?}: {out}");
        assert!(explained.contains(&format!("(process {pid})")), "{arguments:?}: {out}");
    }
    let (code, _, err) = run(&["ss", "-t", "--explain", "--format", "json"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("--explain is text"), "{err}");
}
