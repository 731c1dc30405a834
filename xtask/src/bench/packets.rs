//! `cargo xtask bench packets`: packets as text, beside tcpdump and tshark. A file of many packets
//! is read by turns; then packets are shown live while a sender sends as fast as it can.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::capture::{self, Contender};
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
    /// Packets in the file
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1000..=5_000_000))]
    packets: u64,
    /// How long each blast lasts, in milliseconds; 0 leaves the live part out
    #[arg(long, default_value_t = 1500, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    milliseconds: u64,
    /// Leave tshark out, which takes long
    #[arg(long)]
    no_tshark: bool,
    /// Measure this binary instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

/// A file that goes when this does.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Why ignored: what is left in the folder of temporary files harms nobody.
        let _ = fs::remove_file(&self.0);
    }
}

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
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
    let name = format!("netbreath-bench-{}.pcap", std::process::id());
    let file = Temporary(std::env::temp_dir().join(name));
    write_packets(&file.0, args.packets)
        .with_context(|| format!("bench: cannot write {}", file.0.display()))?;
    read(&netbreath, &file.0, args)?;
    drop(file);
    if args.milliseconds > 0 {
        live(&netbreath, args)?;
    }
    Ok(())
}

/// What reading took.
struct Took {
    seconds: f64,
    /// Seconds of CPU.
    cpu: f64,
    /// The largest resident set, bytes.
    memory: f64,
}

fn read(netbreath: &Path, file: &Path, args: &Args) -> Result<()> {
    let file = file.display().to_string();
    let netbreath = netbreath.display().to_string();
    let mut contenders: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, options) in [
        ("tcpdump -nn", vec!["-nn"]),
        ("tcpdump -nn -v", vec!["-nn", "-v"]),
        ("tcpdump -nn -X", vec!["-nn", "-X"]),
    ] {
        let all = |program| [vec![program], options.clone(), vec!["-r", file.as_str()]].concat();
        contenders.push((name, all("tcpdump")));
        let ours = [vec![netbreath.as_str(), "tcpdump"], options, vec!["-r", &file]].concat();
        contenders.push((name, ours));
    }
    if !args.no_tshark {
        contenders.push(("tshark -n", vec!["tshark", "-n", "-r", &file]));
        contenders.push(("tshark -n", vec![&netbreath, "tshark", "-n", "-r", &file]));
    }
    let mut took: Vec<Vec<Took>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..args.rounds {
        for ((_, command), took) in contenders.iter().zip(&mut took) {
            // It takes ten times as long as the others together.
            if command[0] == "tshark" && round > 0 {
                continue;
            }
            took.push(once(command)?);
        }
    }
    let middle = |took: &[Took], value: fn(&Took) -> f64| {
        median(&took.iter().map(value).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let rate = |took: &[Took]| args.packets as f64 / middle(took, |took| took.seconds) / 1000.0;
    println!("{} packets of a file as text, thousand a second; memory in MB", args.packets);
    println!(
        "{:<16}{:>12}{:>12}{:>8}{:>12}{:>14}{:>14}",
        "COMMAND", "THE TOOL", "NETBREATH", "RATIO", "BY CPU", "THE TOOL MB", "NETBREATH MB"
    );
    let cpu = |took: &[Took]| middle(took, |took| took.cpu);
    let memory = |took: &[Took]| middle(took, |took| took.memory) / 1e6;
    for (pair, names) in took.chunks_exact(2).zip(contenders.chunks_exact(2)) {
        let (theirs, ours) = (&pair[0], &pair[1]);
        println!(
            "{:<16}{:>12.0}{:>12.0}{:>8.2}{:>12.2}{:>14.0}{:>14.0}",
            names[0].0,
            rate(theirs),
            rate(ours),
            rate(ours) / rate(theirs),
            cpu(theirs) / cpu(ours),
            memory(theirs),
            memory(ours)
        );
    }
    println!();
    Ok(())
}

fn once(command: &[&str]) -> Result<Took> {
    let begin = Instant::now();
    let child = Command::new(command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("bench: cannot run {command:?}"))?;
    let mut status = 0;
    // SAFETY: all zero is a valid value of this structure of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid; the child is ours and not yet waited for.
    let waited = unsafe { libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage) };
    ensure!(waited == child.id() as i32, "bench: {command:?} cannot be waited for");
    let status = std::process::ExitStatus::from_raw(status);
    ensure!(status.success(), "bench: {command:?} ended with {status}");
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(Took {
        seconds: begin.elapsed().as_secs_f64(),
        cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        memory: usage.ru_maxrss as f64 * 1024.0,
    })
}

fn live(netbreath: &Path, args: &Args) -> Result<()> {
    if !process::is_root() {
        bail!(
            "bench: the live part needs root for a network namespace: start this as root, or give \
             --milliseconds 0"
        );
    }
    capture::enter_namespace()?;
    let contender = |name, program: &str, arguments: &[&str]| Contender {
        name,
        program: program.to_owned(),
        args: arguments.iter().map(|&argument| argument.to_owned()).collect(),
    };
    let own = netbreath.display().to_string();
    let contenders = [
        contender("netbreath tcpdump -nn", &own, &["tcpdump", "-i", "lo", "-nn"]),
        contender("netbreath tcpdump -nnk", &own, &["tcpdump", "-i", "lo", "-nnk"]),
        contender("tcpdump -nn", "tcpdump", &["-i", "lo", "-B", "32768", "-nn"]),
    ];
    // tshark does not say in the end what it had.
    println!("live, as text:");
    capture::compare(&contenders, 64, args.rounds, args.milliseconds)
}

/// Segments of many connections, datagrams, and questions to name servers.
fn write_packets(path: &Path, count: u64) -> Result<()> {
    const CONNECTIONS: u64 = 5000;
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1] {
        file.write_all(&u32::to_le_bytes(word))?;
    }
    let question =
        [&b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com"[..], &[0, 0, 1, 0, 1]];
    let question = question.concat();
    for number in 0..count {
        let connection = number.wrapping_mul(2_654_435_761) % CONNECTIONS;
        let round = (number / CONNECTIONS) as u32;
        let (proto, ports, payload): (u8, [u16; 2], Vec<u8>) = match number % 10 {
            0 => (17, [40_000, 53], question.clone()),
            1 | 2 => (17, [40_000 + connection as u16, 9999], vec![b'u'; 64]),
            3..=6 => (6, [40_000 + connection as u16, 443], Vec::new()),
            _ => (6, [443, 40_000 + connection as u16], vec![b't'; 100]),
        };
        let mut inner: Vec<u8> = ports.iter().flat_map(|port| port.to_be_bytes()).collect();
        if proto == 6 {
            inner.extend((1000 + round * 100).to_be_bytes());
            inner.extend((2000 + round * 100).to_be_bytes());
            inner.extend([0x80, 0x10, 1, 0xf6, 0, 0, 0, 0, 1, 1, 8, 10]);
            inner.extend((number as u32).to_be_bytes());
            inner.extend((number as u32 / 2).to_be_bytes());
        } else {
            inner.extend((8 + payload.len() as u16).to_be_bytes());
            inner.extend([0, 0]);
        }
        inner.extend(payload);
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0];
        frame.extend((20 + inner.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, proto, 0, 0]);
        // Addresses that differ in their first bytes: tcpdump's tables spread by those, and would be
        // slow with others.
        let (first, second) = (1 + (connection % 200) as u8, (connection / 200) as u8);
        let (near, far) = ([first, second, 0, 10], [192, 0, 2, 80]);
        let ends = if ports[0] == 443 { [far, near] } else { [near, far] };
        frame.extend(ends.concat());
        frame.extend(inner);
        for word in [
            1_700_000_000 + (number / 100_000) as u32,
            (number % 100_000) as u32 * 10,
            frame.len() as u32,
            frame.len() as u32,
        ] {
            file.write_all(&word.to_le_bytes())?;
        }
        file.write_all(&frame)?;
    }
    file.flush()?;
    Ok(())
}
