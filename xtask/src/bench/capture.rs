//! `cargo xtask bench capture`: what a capture costs a sender, beside tcpdump and dumpcap. A
//! blast of datagrams over loopback, in a network namespace of its own, without a capture and
//! with each of them by turns.

use std::io;
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::statistic::median;
use crate::build::{self, Profile};
use crate::process;
use crate::setup;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// How often each is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long each blast lasts, in milliseconds
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u64).range(100..=10_000))]
    milliseconds: u64,
    /// Bytes of each datagram
    #[arg(long, value_delimiter = ',', default_values_t = [64, 1400])]
    sizes: Vec<usize>,
    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// Who captures.
pub struct Contender {
    pub name: &'static str,
    pub program: String,
    pub args: Vec<String>,
}

/// What one blast gave.
#[derive(Clone, Copy)]
struct Measured {
    /// Datagrams a second.
    sent: f64,
    /// Packets that the capture says it has, a second of the blast.
    captured: f64,
    /// Those that it says it lost.
    lost: f64,
    /// Share of one CPU that the capture took.
    cpu: f64,
}

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!(
            "bench: network namespaces need root: start this as root, for example with `sudo -E \
             env PATH=\"$PATH\" cargo xtask bench capture`"
        );
    }
    let netbreath = match &args.binary {
        Some(binary) => {
            binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?
        }
        None => {
            setup::for_test(workspace)?;
            build::binary(workspace, Profile::Release)?;
            workspace.binary(Profile::Release)
        }
    };
    enter_namespace()?;
    let netbreath = netbreath.display().to_string();
    let ours = |name, more: &[&str]| Contender {
        name,
        program: netbreath.clone(),
        args: ["capture", "-i", "lo", "-w", "/dev/null"]
            .iter()
            .chain(more)
            .map(|&arg| arg.to_owned())
            .collect(),
    };
    let other = |name, program: &str, args: &[&str]| Contender {
        name,
        program: program.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
    };
    let contenders = [
        ours("netbreath", &[]),
        ours("netbreath, nothing matches", &["udp", "port", "1"]),
        ours("netbreath --hook packet", &["--hook", "packet"]),
        other("tcpdump", "tcpdump", &["-i", "lo", "-B", "32768", "-w", "/dev/null"]),
        other(
            "tcpdump, nothing matches",
            "tcpdump",
            &["-i", "lo", "-B", "32768", "-w", "/dev/null", "udp port 1"],
        ),
        other("dumpcap", "dumpcap", &["-i", "lo", "-B", "32", "-q", "-w", "/dev/null"]),
    ];
    for size in &args.sizes {
        compare(&contenders, *size, args.rounds, args.milliseconds)?;
    }
    Ok(())
}

/// A network namespace of our own, with lo up.
pub fn enter_namespace() -> Result<()> {
    // SAFETY: takes no pointers; this process has one thread.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error()).context("bench: no network namespace");
    }
    process::run(Command::new("ip").args(["link", "set", "lo", "up"]))
}

/// Blasts of datagrams of this size, without a capture and with each by turns.
pub fn compare(
    contenders: &[Contender],
    size: usize,
    rounds: u32,
    milliseconds: u64,
) -> Result<()> {
    let mut alone = Vec::new();
    let mut rows: Vec<Vec<Measured>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        alone.push(blast(size, milliseconds)?.1);
        for (contender, row) in contenders.iter().zip(&mut rows) {
            row.push(measure(contender, size, milliseconds)?);
        }
    }
    report(size, &alone, contenders, &rows);
    Ok(())
}

fn report(size: usize, alone: &[f64], contenders: &[Contender], rows: &[Vec<Measured>]) {
    let middle = |values: Vec<f64>| median(&values).unwrap_or(0.0);
    let own = middle(alone.to_vec());
    println!("{size} bytes; alone, the sender makes {:.0} thousand a second", own / 1000.0);
    println!(
        "{:<28}{:>12}{:>12}{:>12}{:>10}{:>8}",
        "CAPTURE", "SENT k/s", "KEEPS", "CAPTURED", "LOST %", "CPU"
    );
    for (contender, row) in contenders.iter().zip(rows) {
        let of = |value: fn(&Measured) -> f64| middle(row.iter().map(value).collect());
        println!(
            "{:<28}{:>12.0}{:>12.2}{:>12.0}{:>10.2}{:>8.2}",
            contender.name,
            of(|one| one.sent) / 1000.0,
            of(|one| one.sent) / own,
            of(|one| one.captured) / 1000.0,
            of(|one| 100.0 * one.lost / (one.captured + one.lost).max(1.0)),
            of(|one| one.cpu),
        );
    }
    println!();
}

/// Sends for so long; how many, and how many a second.
fn blast(size: usize, milliseconds: u64) -> Result<(u64, f64)> {
    // Somebody is bound there, so that no errors come back.
    let receiver = UdpSocket::bind("127.0.0.1:0")?;
    let sender = UdpSocket::bind("127.0.0.1:0")?;
    sender.connect(receiver.local_addr()?)?;
    let data = vec![7; size];
    let (begin, mut sent) = (Instant::now(), 0_u64);
    let end = Duration::from_millis(milliseconds);
    while begin.elapsed() < end {
        for _ in 0..64 {
            sender.send(&data)?;
        }
        sent += 64;
    }
    Ok((sent, sent as f64 / begin.elapsed().as_secs_f64()))
}

fn measure(contender: &Contender, size: usize, milliseconds: u64) -> Result<Measured> {
    let mut child = Command::new(&contender.program)
        .args(&contender.args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("bench: cannot start {}", contender.program))?;
    // None of them says in the same way that it is ready; a second is enough for all.
    std::thread::sleep(Duration::from_secs(1));
    let (before, begin) = (cpu(&child)?, Instant::now());
    let (_, sent) = blast(size, milliseconds)?;
    let seconds = begin.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_millis(300));
    let used = cpu(&child)? - before;
    // SAFETY: takes no pointers; the child is ours and not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let status = child.wait()?;
    let mut said = String::new();
    if let Some(mut talk) = child.stderr.take() {
        io::Read::read_to_string(&mut talk, &mut said)?;
    }
    ensure!(
        status.success() || status.signal() == Some(libc::SIGINT),
        "bench: {} ended with {status}: {said}",
        contender.name
    );
    let (captured, lost) = counts(&said)
        .with_context(|| format!("bench: {} does not say what it has: {said}", contender.name))?;
    Ok(Measured { sent, captured: captured / seconds, lost: lost / seconds, cpu: used / seconds })
}

/// Seconds of CPU that a process has used.
fn cpu(child: &Child) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    let (_, fields) = stat.rsplit_once(") ").context("bench: /proc/PID/stat")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: f64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<f64>().ok()).sum();
    // SAFETY: asks for a number only.
    Ok(ticks / unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64)
}

/// What a capture has, and what it lost, as it says in the end.
fn counts(said: &str) -> Option<(f64, f64)> {
    let before = |words: &str| {
        let place = said.find(words)?;
        said[..place].split_whitespace().next_back()?.parse::<f64>().ok()
    };
    if let Some(captured) = before(" packets captured") {
        let lost = before(" lost because").or_else(|| before(" packets dropped by kernel"));
        return Some((captured, lost?));
    }
    // dumpcap: Packets received/dropped on interface 'Loopback: lo': 1256024/16141 (…)
    let (_, rest) = said.split_once("Packets received/dropped on interface")?;
    let (_, numbers) = rest.split_once("': ")?;
    let (received, rest) = numbers.split_once('/')?;
    let dropped: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((received.trim().parse().ok()?, dropped.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_it_has_in_its_own_way() {
        let ours = "12 packets captured, 13 let through by the filters of 20 seen, 1 lost because \
                    the ring was full\n";
        assert_eq!(counts(ours), Some((12.0, 1.0)));
        let tcpdump = "listening\n5 packets captured\n10 packets received by filter\n2 packets \
                       dropped by kernel\n";
        assert_eq!(counts(tcpdump), Some((5.0, 2.0)));
        let dumpcap = "Packets received/dropped on interface 'Loopback: lo': 1256/16 (pcap:16)\n";
        assert_eq!(counts(dumpcap), Some((1256.0, 16.0)));
        assert_eq!(counts("nothing"), None);
    }
}
