//! The capture suite: packets with known owners, and what `netbreath capture` makes of them.

use std::collections::HashMap;
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::fault::{Folder, Report};
use crate::netns::{self, Netns};
use crate::socket;
use crate::tracer;

mod file;
mod loss;
mod output;
mod owner;
pub mod part;

use file::{File, Packet};
use part::Part;

pub struct Case {
    pub name: &'static str,
    /// It must look at least so often.
    pub minimum: u64,
    play: fn(&mut Report) -> Result<()>,
}

const fn case(name: &'static str, minimum: u64, play: fn(&mut Report) -> Result<()>) -> Case {
    Case { name, minimum, play }
}

pub const ALL: &[Case] = &[
    case("owner::tcp", 80, owner::tcp),
    case("owner::tcp_over_ipv6", 40, owner::tcp_over_ipv6),
    case("owner::tcp_prefork", 80, owner::tcp_prefork),
    case("owner::tcp_forking", 80, owner::tcp_forking),
    case("owner::tcp_handed_on", 8, owner::tcp_handed_on),
    case("owner::tcp_from_before", 3, owner::tcp_from_before),
    case("owner::tcp_refused", 3, owner::tcp_refused),
    case("owner::udp_of_many_clients", 60, owner::udp_of_many_clients),
    case("owner::udp_over_ipv6", 20, owner::udp_over_ipv6),
    case("owner::udp_shared", 15, owner::udp_shared),
    case("owner::pings", 10, owner::pings),
    case("owner::both_ends", 20, owner::both_ends),
    case("owner::incoming_side", 40, owner::incoming_side),
    case("owner::filters", 12, owner::filters),
    case("output::read_by_wireshark", 12, output::read_by_wireshark),
    case("output::classic", 4, output::classic),
    case("output::lines", 4, output::lines),
    case("output::full_disk", 5, output::full_disk),
    case("output::broken_pipe", 2, output::broken_pipe),
    case("output::filter_of_tcpdump", 15, output::filter_of_tcpdump),
    case("output::packet_socket", 6, output::packet_socket),
    case("loss::counted_exactly", 6, loss::counted_exactly),
];

impl Case {
    /// Plays it; every fault is in the error. Nothing if it cannot be played here, and why.
    pub fn play(&self) -> Result<Result<Report, String>> {
        if socket::uid() != 0 {
            return Ok(Err("needs root: network namespaces and eBPF".to_owned()));
        }
        let mut report = Report::default();
        (self.play)(&mut report)?;
        let checks = report.checks;
        report.check(checks >= self.minimum, || {
            format!("{checks} checks, but there must be {}", self.minimum)
        });
        if !report.faults.is_empty() {
            bail!("{report}");
        }
        Ok(Ok(report))
    }
}

/// A capture that runs.
struct Capture {
    child: Child,
    folder: Option<Folder>,
    command: String,
}

/// What came of it.
struct Captured {
    file: File,
    path: PathBuf,
    talk: String,
    /// Keeps the file.
    _folder: Option<Folder>,
}

impl Capture {
    /// Starts one on loopback in this namespace, that writes to a file, and waits until it
    /// captures.
    fn start(netns: RawFd, args: &[&str]) -> Result<Capture> {
        let folder = Folder::new()?;
        let file = folder.file("packets.pcapng");
        Capture::start_with(netns, folder, &[&["-w", &file.display().to_string()], args].concat())
    }

    fn start_with(netns: RawFd, folder: Folder, args: &[&str]) -> Result<Capture> {
        let mut command = Command::new(tracer::binary()?);
        command.args(["capture", "-i", "lo", "--ready-file"]).arg(folder.file("ready")).args(args);
        command.stdin(Stdio::null());
        command.stdout(fs::File::create(folder.file("out"))?);
        command.stderr(fs::File::create(folder.file("talk"))?);
        // SAFETY: system calls only, which are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                socket::end_with_parent();
                netns::enter(netns)
            });
        }
        let text = format!("{command:?}");
        let child = command.spawn().with_context(|| format!("start {text}"))?;
        let mut capture = Capture { child, folder: Some(folder), command: text };
        capture.wait_until_ready()?;
        Ok(capture)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.file("ready").exists() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended before it was ready: {status}\n{}", self.command, self.talk());
            }
            ensure!(Instant::now() < deadline, "{} is not ready\n{}", self.command, self.talk());
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.file(name))
    }

    fn talk(&self) -> String {
        fs::read_to_string(self.file("talk")).unwrap_or_default()
    }

    fn out(&self) -> String {
        fs::read_to_string(self.file("out")).unwrap_or_default()
    }

    fn signal(&self, signal: i32) {
        // SAFETY: takes no pointers; the child is ours and not yet waited for.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Waits for its end, and gives its exit code.
    fn end(&mut self) -> Result<Option<i32>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            ensure!(Instant::now() < deadline, "{} does not end\n{}", self.command, self.talk());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it as its user does, and reads the file.
    fn stop(mut self) -> Result<Captured> {
        self.signal(libc::SIGINT);
        let code = self.end()?;
        let talk = self.talk();
        ensure!(code == Some(0), "{} ended with {code:?}\n{talk}", self.command);
        let path = self.file("packets.pcapng");
        let file = file::read(&path).with_context(|| format!("{}\n{talk}", self.command))?;
        Ok(Captured { file, path, talk, _folder: self.folder.take() })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Does nothing to a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who may have sent the packets without a payload that come from a port.
#[derive(Default)]
struct Ports(HashMap<(u8, u16), Vec<u32>>);

const TCP: u8 = 6;
const UDP: u8 = 17;

impl Ports {
    fn add(&mut self, proto: u8, port: u32, pid: u32) {
        self.0.entry((proto, port as u16)).or_default().push(pid);
    }

    fn of(&self, packet: &Packet) -> Option<&Vec<u32>> {
        let ends = packet.ends()?;
        self.0.get(&(ends.proto, ends.source))
    }
}

/// Judges the owner of each packet: that of one with a payload is who wrote it, that of
/// another one of those who had its port. Clients have ports of their own each time: whose
/// those are, their payload has told.
fn judge(report: &mut Report, file: &File, ports: &Ports) {
    let mut by_payload: HashMap<(u8, u16), Vec<u32>> = HashMap::new();
    for packet in &file.packets {
        if let (Some(author), Some(ends)) = (packet.author(), packet.ends()) {
            by_payload.entry((ends.proto, ends.source)).or_default().push(author);
        }
    }
    let mut unknown = 0;
    for (number, packet) in file.packets.iter().enumerate() {
        let ends = packet.ends();
        let may = match packet.author() {
            Some(author) => vec![author],
            None => {
                let told = ends.and_then(|ends| by_payload.get(&(ends.proto, ends.source)));
                [ports.of(packet), told].into_iter().flatten().flatten().copied().collect()
            }
        };
        unknown += u32::from(packet.pid == 0);
        report.check(may.contains(&packet.pid), || {
            format!(
                "packet {}: {ends:?}, flags {:?}: owner {}, not of {may:?}",
                number + 1,
                packet.flags(),
                packet.pid
            )
        });
        let told = file.processes.iter().any(|process| process.pid == packet.pid);
        report.check(packet.pid == 0 || told, || {
            format!("packet {}: the file does not tell who {} is", number + 1, packet.pid)
        });
    }
    report.note(format!("{} packets, {unknown} of unknown owner", file.packets.len()));
}

fn namespace() -> Result<Netns> {
    Netns::create()
}

/// Waits until a process that was stopped is.
fn wait_until_stopped(pid: u32) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !fs::read_to_string(format!("/proc/{pid}/stat"))?.contains(") T ") {
        ensure!(Instant::now() < deadline, "{pid} does not stop");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
