//! Each lint on a real kernel: `cargo test -p netbreath-tests --test lint [NAME]`. It fires
//! on what is made for it, in a network namespace of its own, and is silent on ordinary
//! traffic. `check` says the same by its exit code.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use netbreath_tests::netns::{self, Netns};
use netbreath_tests::step::{Family, Proto};
use netbreath_tests::{socket, tracer};
use serde_json::Value;

/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

static CHECKS: AtomicU64 = AtomicU64::new(0);

type Case = (&'static str, fn() -> Result<()>);

const CASES: [Case; 9] = [
    ("close_wait", close_wait),
    ("syn_sent_and_accept_queue", syn_sent_and_accept_queue),
    ("retransmit_burst", retransmit_burst),
    ("port_exhaustion", port_exhaustion),
    ("unread_reset", unread_reset),
    ("wildcard_listener", wildcard_listener),
    ("half_open_flood", half_open_flood),
    ("ordinary_traffic_is_silent", ordinary),
    ("check_of_a_command", check_of_a_command),
];

fn main() -> ExitCode {
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let args = Arguments::from_iter(options);
    let mut trials = Vec::new();
    for (name, case) in CASES {
        if names.is_empty() || names.iter().any(|wanted| name.contains(wanted.as_str())) {
            trials.push(Trial::ignorable_test(name, move || play(name, case)));
        }
    }
    let conclusion = libtest_mimic::run(&args, trials);
    let checks = CHECKS.load(Ordering::Relaxed);
    println!("{checks} checks of lints\n");
    if names.is_empty() && socket::uid() == 0 && checks < 25 {
        eprintln!("fewer checks than there must be: 25");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

fn play(name: &str, case: fn() -> Result<()>) -> Result<Completion, Failed> {
    if socket::uid() != 0 {
        let why = "needs root: network namespaces and eBPF";
        eprintln!("SKIPPED {name}: {why}");
        return Ok(Completion::ignored_with(why));
    }
    case().map_err(|error| format!("{error:#}"))?;
    Ok(Completion::Completed)
}

fn check(right: bool, text: impl FnOnce() -> String) -> Result<()> {
    CHECKS.fetch_add(1, Ordering::Relaxed);
    ensure!(right, "{}", text());
    Ok(())
}

/// netbreath, in a namespace, with what it writes.
struct Watch {
    child: Child,
    folder: PathBuf,
}

impl Watch {
    fn start(netns: &Netns, words: &[&str]) -> Result<Watch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netbreath-lint-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder)?;
        let fd = netns.fd();
        let mut command = Command::new(tracer::binary()?);
        command
            .args(words)
            .arg("--ready-file")
            .arg(folder.join("ready"))
            .stdin(Stdio::null())
            .stdout(File::create(folder.join("out"))?)
            .stderr(File::create(folder.join("talk"))?);
        // SAFETY: system calls only, between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns::enter(fd)
            });
        }
        let child = command.spawn().context("start netbreath")?;
        let mut watch = Watch { child, folder };
        let ready = watch.folder.join("ready");
        watch.until("it is ready", |_| ready.exists())?;
        Ok(watch)
    }

    /// `trace --lint`, which shows little else.
    fn trace(netns: &Netns) -> Result<Watch> {
        let own = netns.inode().to_string();
        let words = ["trace", "--lint", "--format", "jsonl", "--event", "owner", "--netns", &own];
        Watch::start(netns, &words)
    }

    fn out(&self) -> String {
        fs::read_to_string(self.folder.join("out")).unwrap_or_default()
    }

    fn until(&mut self, what: &str, is: impl Fn(&Watch) -> bool) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !is(self) {
            let talk = || fs::read_to_string(self.folder.join("talk")).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                bail!("netbreath ended ({status}) before {what}:\n{}", talk());
            }
            if Instant::now() > deadline {
                let out: Vec<String> = self.findings().iter().map(Value::to_string).collect();
                bail!("waited in vain until {what}:\n{}\n{}", out.join("\n"), talk());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn findings(&self) -> Vec<Value> {
        let out = self.out();
        let whole = out.rfind('\n').map_or("", |end| &out[..end]);
        let lines = whole.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == "lint").collect()
    }

    /// Waits for a finding of this lint; it is about us.
    fn finds(&mut self, lint: &str) -> Result<Value> {
        let of =
            |watch: &Watch| watch.findings().into_iter().find(|finding| finding["lint"] == lint);
        self.until(&format!("{lint} is found"), |watch| of(watch).is_some())?;
        let finding = of(self).context("gone")?;
        check(!finding["evidence"].as_str().unwrap_or_default().is_empty(), || {
            format!("no evidence: {finding}")
        })?;
        check(!finding["lesson"].as_str().unwrap_or_default().is_empty(), || {
            format!("no lesson: {finding}")
        })?;
        Ok(finding)
    }

    /// Ends it as Ctrl-C does; its exit code and what it found.
    fn stop(mut self) -> Result<(Option<i32>, Vec<Value>, String)> {
        let pid = i32::try_from(self.child.id())?;
        // SAFETY: takes no pointers; the child is ours and not yet waited for.
        unsafe { libc::kill(pid, libc::SIGINT) };
        let status = self.child.wait()?;
        Ok((status.code(), self.findings(), self.out()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Why ignored: it may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A call of a socket, with what failed in words.
fn done<T>(call: Result<T, socket::Failed>) -> Result<T> {
    call.map_err(|failed| {
        let error = std::io::Error::from_raw_os_error(failed.errno);
        anyhow::anyhow!("{}: {error}", failed.call)
    })
}

/// connect() that does not wait.
fn begun(call: Result<(), socket::Failed>) -> Result<()> {
    match call {
        Err(failed) if failed.errno == libc::EINPROGRESS => Ok(()),
        call => done(call),
    }
}

fn is_ours(finding: &Value) -> Result<()> {
    let pid = finding["owner"]["pid"].as_u64();
    check(pid == Some(std::process::id().into()), || format!("whose? {finding}"))
}

fn listener() -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen")?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn close_wait() -> Result<()> {
    let netns = Netns::create()?;
    let own = netns.inode().to_string();
    let words = ["check", "--max-close-wait", "200ms", "--netns", &own, "--for", "1h"];
    let broken = Watch::start(&netns, &words)?;
    let words = ["check", "--max-close-wait", "1h", "--netns", &own, "--for", "1h"];
    let kept = Watch::start(&netns, &words)?;
    netns.inside(|| {
        let (listener, address) = listener()?;
        let client = TcpStream::connect(address)?;
        let (mut server, _) = listener.accept()?;
        drop(client);
        // The end of the stream: now it is in CLOSE_WAIT.
        ensure!(server.read(&mut [0])? == 0);
        // However much longer it takes, it is more than is allowed to the one, and less
        // than to the other.
        sleep(Duration::from_millis(300));
        drop(server);
        Ok(())
    })?;
    let (_, _, text) = kept.stop()?;
    check(text.starts_with("ok    max-close-wait"), || text.clone())?;
    let (code, _, text) = broken.stop()?;
    check(text.starts_with("FAIL  max-close-wait 200ms\n"), || text.clone())?;
    check(code == Some(130), || format!("interrupted: {code:?}"))
}

/// One connection fills the queue of a listener that never accepts. The next SYNs are
/// thrown away: their sender tries again.
fn syn_sent_and_accept_queue() -> Result<()> {
    let netns = Netns::create()?;
    let mut watch = Watch::trace(&netns)?;
    netns.inside(|| {
        let fd = done(socket::open(Family::V4, Proto::Tcp))?;
        done(socket::bind(fd, "127.0.0.1:0".parse()?))?;
        done(socket::listen(fd, 0))?;
        let address = done(socket::local(fd))?;
        let first = TcpStream::connect(address)?;
        let hanging = done(socket::open(Family::V4, Proto::Tcp))?;
        begun(socket::connect(hanging, address, false))?;
        let finding = watch.finds("syn_sent")?;
        is_ours(&finding)?;
        let finding = watch.finds("accept_queue")?;
        check(finding["local"] == address.to_string(), || format!("which? {finding}"))?;
        done(socket::close(hanging))?;
        drop(first);
        done(socket::close(fd))?;
        Ok(())
    })
}

/// With a shorter first timeout, data that nobody acknowledges is sent again often enough.
fn retransmit_burst() -> Result<()> {
    let netns = Netns::create()?;
    let mut watch = Watch::trace(&netns)?;
    netns.inside(|| {
        let route = "ip route replace local 127.0.0.1 dev lo table local proto kernel scope host \
                     src 127.0.0.1 rto_min 4ms";
        let words: Vec<&str> = route.split_whitespace().collect();
        let status = Command::new(words[0]).args(&words[1..]).status().context("run ip")?;
        ensure!(status.success(), "{route}: {status}");
        let (listener, address) = listener()?;
        let mut client = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        done(socket::deaf(server.as_raw_fd(), true))?;
        client.write_all(&[1; 1000])?;
        let finding = watch.finds("retransmit_burst")?;
        is_ours(&finding)?;
        done(socket::deaf(server.as_raw_fd(), false))?;
        Ok(())
    })
}

/// With few local ports, few connections use them up.
fn port_exhaustion() -> Result<()> {
    let netns = Netns::create()?;
    netns.inside(|| {
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40039")
            .context("ports of the namespace")
    })?;
    // After that: the range is asked for once.
    let mut watch = Watch::trace(&netns)?;
    netns.inside(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 8080))?;
        for _ in 0..35 {
            let client = TcpStream::connect(listener.local_addr()?)?;
            let (mut server, _) = listener.accept()?;
            drop(client);
            ensure!(server.read(&mut [0])? == 0);
        }
        let finding = watch.finds("port_exhaustion")?;
        check(finding["evidence"].as_str().is_some_and(|e| e.starts_with("30 of 40 ")), || {
            format!("{finding}")
        })
    })
}

fn unread_reset() -> Result<()> {
    let netns = Netns::create()?;
    let mut watch = Watch::trace(&netns)?;
    netns.inside(|| {
        let (listener, address) = listener()?;
        let mut client = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        client.write_all(b"never read")?;
        done(socket::readable(server.as_raw_fd()))?;
        drop(server);
        is_ours(&watch.finds("unread_reset")?)
    })
}

fn wildcard_listener() -> Result<()> {
    let netns = Netns::create()?;
    let mut watch = Watch::trace(&netns)?;
    netns.inside(|| {
        let _own = listener()?;
        let all = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let finding = watch.finds("wildcard_listener")?;
        is_ours(&finding)?;
        let address = all.local_addr()?.to_string();
        check(finding["local"] == address, || format!("{address}: {finding}"))
    })?;
    let (_, findings, _) = watch.stop()?;
    check(findings.len() == 1, || format!("{findings:?}"))
}

/// Clients that hear no answer: their connections stay half-open.
fn half_open_flood() -> Result<()> {
    let netns = Netns::create()?;
    let mut watch = Watch::trace(&netns)?;
    netns.inside(|| {
        let fd = done(socket::open(Family::V4, Proto::Tcp))?;
        done(socket::bind(fd, "127.0.0.1:0".parse()?))?;
        done(socket::listen(fd, 1024))?;
        let address = done(socket::local(fd))?;
        let mut clients = Vec::new();
        for _ in 0..200 {
            let client = done(socket::open(Family::V4, Proto::Tcp))?;
            done(socket::deaf(client, true))?;
            begun(socket::connect(client, address, false))?;
            clients.push(client);
        }
        let finding = watch.finds("half_open_flood");
        for client in clients {
            done(socket::close(client))?;
        }
        done(socket::close(fd))?;
        check(finding?["local"] == address.to_string(), || "another listener".to_owned())
    })
}

fn ordinary() -> Result<()> {
    let netns = Netns::create()?;
    let own = netns.inode().to_string();
    let watch = Watch::trace(&netns)?;
    let words = [
        "check",
        "--deny",
        "lints,rst,connect_failed",
        "--max-close-wait",
        "30s",
        "--allow-remote",
        "127.0.0.0/8",
        "--min-connections",
        "400",
        "--netns",
        &own,
        "--for",
        "1h",
    ];
    let rules = Watch::start(&netns, &words)?;
    netns.inside(|| {
        let (listener, address) = listener()?;
        for turn in 0..200 {
            let mut client = TcpStream::connect(address)?;
            let (mut server, _) = listener.accept()?;
            client.write_all(&[7; 5000])?;
            let mut bytes = [0; 5000];
            server.read_exact(&mut bytes)?;
            server.write_all(&bytes)?;
            client.read_exact(&mut bytes)?;
            // By turns, the client closes first and the server.
            let (first, mut second) =
                if turn % 2 == 0 { (client, server) } else { (server, client) };
            drop(first);
            ensure!(second.read(&mut bytes)? == 0);
        }
        Ok(())
    })?;
    let (_, findings, _) = watch.stop()?;
    check(findings.is_empty(), || format!("{findings:?}"))?;
    let (_, _, text) = rules.stop()?;
    check(!text.contains("FAIL") && text.contains("400 connections were seen"), || text.clone())
}

/// A command that keeps the rules, one that breaks them, and one that fails by itself.
fn check_of_a_command() -> Result<()> {
    let netns = Netns::create()?;
    let (_listener, address) = netns.inside(listener)?;
    let connect = format!("exec 3<>/dev/tcp/{}/{}; exit $CODE", address.ip(), address.port());
    let junit = std::env::temp_dir().join(format!("netbreath-junit-{}.xml", std::process::id()));
    let run = |allowed: &str, code: &str| -> Result<(Option<i32>, String, String)> {
        let fd = netns.fd();
        let mut command = Command::new(tracer::binary()?);
        command.args(["check", "--allow-remote", allowed, "--min-connections", "1", "--junit"]);
        command.arg(&junit).args(["--", "bash", "-c", &connect]);
        command.env("CODE", code).stdin(Stdio::null());
        // SAFETY: a system call only, between fork and exec.
        unsafe { command.pre_exec(move || netns::enter(fd)) };
        let output = command.output().context("run netbreath")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.code(), text, fs::read_to_string(&junit)?))
    };
    let (code, text, xml) = run("127.0.0.0/8", "0")?;
    check(code == Some(0), || format!("{code:?}\n{text}"))?;
    check(xml.contains("tests=\"2\" failures=\"0\""), || xml.clone())?;
    let (code, text, xml) = run("10.0.0.0/8", "0")?;
    check(code == Some(1), || format!("{code:?}\n{text}"))?;
    check(text.contains(&format!("→ {address}: this address is not allowed")), || text.clone())?;
    check(xml.contains("<failure message=\"broken 1 times\" type=\"allow-remote\">"), || {
        xml.clone()
    })?;
    let (code, text, _) = run("127.0.0.0/8", "7")?;
    check(code == Some(7), || format!("{code:?}\n{text}"))?;
    let (code, text, _) = run("10.0.0.0/8", "7")?;
    check(code == Some(1), || format!("{code:?}\n{text}"))?;
    fs::remove_file(&junit)?;
    Ok(())
}
