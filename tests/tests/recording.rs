//! What is recorded of the real kernel is replayed byte for byte, in every view and format:
//! `cargo test -p netbreath-tests --test recording [NAME]`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use libtest_mimic::{Arguments, Trial};
use netbreath_tests::netns::Netns;
use netbreath_tests::tracer;

/// Loading takes a fraction of a second; beside other load, more.
const LIMIT: Duration = Duration::from_secs(60);

static CHECKS: AtomicU32 = AtomicU32::new(0);

/// The view that is recorded, and the name of its recording.
const VIEWS: &[(&str, &str, &str)] = &[
    ("text", "trace -n", "text.jsonl"),
    (
        "every_column",
        "trace -n --columns +netns,+cgroup,+uid,+exe --timestamps delta",
        "c.jsonl.zst",
    ),
    ("json", "trace --format json --event all", "json.jsonl.zst"),
    ("jsonl", "trace --format jsonl --event all", "jsonl.jsonl"),
    ("csv", "trace --format csv", "csv.jsonl.zst"),
    ("filtered", "trace -n --port 8080", "filtered.jsonl"),
    ("counted", "trace -n --count 7", "counted.jsonl.zst"),
    ("ss", "ss -tuE", "ss.jsonl.zst"),
    ("netstat", "netstat -tnc", "netstat.jsonl"),
    ("monitor", "ip monitor", "monitor.jsonl.zst"),
];

fn main() -> ExitCode {
    let (options, names) = netbreath_tests::options_and_names(std::env::args());
    let mut args = Arguments::from_iter(options);
    args.test_threads = args.test_threads.or(Some(1));
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| name.contains(n));
    let views = VIEWS.iter().filter(|(name, ..)| wanted(name)).map(|(name, view, file)| {
        Trial::test(*name, move || same(view, file).map_err(|error| format!("{error:#}").into()))
    });
    let conclusion = libtest_mimic::run(&args, views.collect());
    println!("{} recordings checked\n", CHECKS.load(Ordering::Relaxed));
    conclusion.exit_code()
}

/// Watches what happens in a namespace with a recording beside it, and replays that.
fn same(view: &str, name: &str) -> Result<()> {
    let binary = tracer::binary()?;
    let folder = Folder::new()?;
    let file = |name: &str| folder.0.join(name).display().to_string();
    let (ready, live, recording) = (file("ready"), file("live"), file(name));
    let netns = Netns::create()?;
    let words: Vec<&str> = view.split(' ').collect();
    let output = fs::File::create(&live)?;
    let mut child = netns.inside(|| {
        let mut command = Command::new(&binary);
        command.args(&words).args(["--ready-file", &ready, "--record", &recording]);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(Stdio::piped());
        Ok(Guard(command.spawn().context("start netbreath")?))
    })?;
    wait("it is ready", || Ok(fs::exists(&ready)?))?;
    netns.inside(play)?;
    netns.settle(LIMIT)?;
    let pid = i32::try_from(child.0.id())?;
    // SAFETY: takes no pointers; the child is ours and not yet waited for.
    unsafe { libc::kill(pid, libc::SIGINT) };
    let status = child.0.wait()?;
    let mut talk = String::new();
    if let Some(pipe) = &mut child.0.stderr {
        pipe.read_to_string(&mut talk)?;
    }
    ensure!(matches!(status.code(), Some(130 | 0)), "{view} ended with {status}:\n{talk}");
    let live = fs::read_to_string(&live)?;

    // As many events as were seen live, without a kernel to ask, in any namespace.
    let output = Command::new(&binary).arg("replay").arg(&recording).args(&words).output()?;
    let replayed = String::from_utf8(output.stdout)?;
    // The summary: live, a greeting comes before it.
    let summary = |talk: &str| talk.lines().next_back().unwrap_or_default().to_owned();
    let (was, is) = (summary(&talk), summary(&String::from_utf8(output.stderr)?));
    ensure!(was == is && !was.is_empty(), "{view}: {was:?} live, {is:?} replayed");
    let rows = live.lines().count();
    ensure!(rows > 4, "{view} showed too little:\n{live}");
    for (nth, (was, is)) in live.lines().zip(replayed.lines()).enumerate() {
        ensure!(was == is, "line {nth} of {view} is another one\nlive:     {was}\nreplayed: {is}");
    }
    ensure!(live == replayed, "{view}: {rows} lines live, {} replayed", replayed.lines().count());
    CHECKS.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Connections and datagrams over loopback, and an address that comes and goes.
fn play() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:8080")?;
    for _ in 0..5 {
        let mut client = TcpStream::connect("127.0.0.1:8080")?;
        let (mut server, _) = listener.accept()?;
        client.write_all(b"ping")?;
        let mut four = [0; 4];
        server.read_exact(&mut four)?;
    }
    let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    one.connect(other.local_addr()?)?;
    one.send(b"ping")?;
    other.recv(&mut [0; 4])?;
    for change in ["add", "del"] {
        let status = Command::new("ip").args(["addr", change, "10.9.8.7/24", "dev", "lo"]).status();
        ensure!(status?.success(), "ip addr {change}");
    }
    Ok(())
}

fn wait(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while !done()? {
        if Instant::now() > deadline {
            bail!("waited {LIMIT:?} until {what}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// A child that does not outlive its test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Does nothing to a child that has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netbreath-recording-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
