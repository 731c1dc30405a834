//! Ten thousand threads in one process.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{HELPER, Outcome, Report, count, lost};
use crate::event::Event;
use crate::netns::{self, Netns};
use crate::tracer::{Kind, Tracer};
use crate::truth::SETTLE;
use crate::{bpf, socket};

/// The helper with many threads.
pub const MANY: &str = "threads";
const THREADS: usize = 10_000;
const CONNECTIONS: usize = 1000;

/// No more threads are started after this time.
const LIMIT: Duration = Duration::from_secs(20);

pub fn ten_thousand(report: &mut Report) -> Result<Outcome> {
    let netns = Netns::create()?;
    let space = netns.inode().to_string();
    let options = ["--netns", &space, "--event", "state,accept,owner,fork,exit"];
    let tracer = Tracer::start(Kind::Netbreath, &options.map(str::to_owned), &[])?;
    let programs = bpf::ids_of(tracer.pid(), bpf::Kind::Program)?;
    let fd = netns.fd();
    let mut command = Command::new("/proc/self/exe");
    command.args([HELPER, MANY, &THREADS.to_string(), &CONNECTIONS.to_string()]);
    command.stdout(Stdio::piped());
    // SAFETY: only system calls that are allowed between fork and exec.
    unsafe {
        command.pre_exec(move || {
            socket::end_with_parent();
            netns::enter(fd)
        });
    }
    let child = command.spawn().context("start a process with threads")?;
    let pid = child.id();
    let output = child.wait_with_output().context("wait for the threads")?;
    ensure!(output.status.success(), "the process with threads: {}", output.status);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let threads: usize = said.trim().parse().with_context(|| format!("it said {said:?}"))?;
    netns.settle(SETTLE)?;
    let recording = tracer.stop()?;

    if threads < THREADS {
        report.partly.push(format!("{threads} threads: the machine gives no more"));
    }
    report.check(threads >= 100, || format!("only {threads} threads"));
    let events = &recording.events;
    let inode = netns.inode();
    let own: Vec<&Event> = events.iter().filter(|event| event.netns == Some(inode)).collect();
    let wrong = own.iter().filter(|event| {
        event.owner.as_ref().is_none_or(|owner| owner.pid != pid || owner.comm != "nb-many")
    });
    let wrong: Vec<_> = wrong.map(|event| format!("{:?}", event.owner)).take(3).collect();
    report.check(wrong.is_empty(), || format!("owners other than the process {pid}: {wrong:?}"));
    let connections = CONNECTIONS as u64;
    report.equal("accepts", &count(events, "accept"), &connections);
    let opened = own.iter().filter(|event| event.new.as_deref() == Some("SYN_SENT")).count();
    report.equal("connects", &opened, &CONNECTIONS);
    let ends = own.iter().filter(|event| event.new.as_deref() == Some("CLOSE"));
    let ends: BTreeSet<_> = ends.map(|event| event.socket).collect();
    report.equal("ends", &ends.len(), &(2 * CONNECTIONS + 1));
    report.equal("owner events", &count(events, "owner"), &0);
    let hooks = ["sock_state", "connect", "accept", "send", "receive"];
    report.equal("lost", &lost(events, &hooks), &0);
    // Threads are not processes.
    let of_process =
        |name: &str| events.iter().filter(|event| event.is(name) && event.pid == Some(pid)).count();
    report.equal("forks", &of_process("fork"), &1);
    report.equal("exits", &of_process("exit"), &1);
    report.check(!programs.is_empty(), || "no programs".to_owned());
    report.note(format!("{threads} threads, {} events", own.len()));
    Ok(Outcome::Done)
}

/// What the helper does: starts the threads, lets some of them connect and others
/// accept, ends, and says how many threads there were.
pub fn many(threads: usize, connections: usize) -> Result<()> {
    socket::name("nb-many");
    let limit = libc::rlimit { rlim_cur: 16_384, rlim_max: 16_384 };
    // SAFETY: the kernel reads one rlimit.
    ensure!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } == 0, "setrlimit");
    let listener = Arc::new(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?);
    // SAFETY: takes no pointers. More than std's own queue.
    ensure!(unsafe { libc::listen(listener.as_raw_fd(), 4096) } == 0, "listen");
    let port = listener.local_addr()?.port();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let failed = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicU32::new(0));
    let deadline = Instant::now() + LIMIT;
    let mut started = Vec::with_capacity(threads);
    let pairs = connections.min(threads / 2);
    for number in 0..threads {
        let (gate, failed) = (Arc::clone(&gate), Arc::clone(&failed));
        let (listener, made) = (Arc::clone(&listener), Arc::clone(&made));
        let work = move || {
            socket::name(&format!("nb-thread-{number}"));
            let Ok(mut open) = gate.0.lock() else { return };
            while !*open {
                match gate.1.wait(open) {
                    Ok(again) => open = again,
                    Err(_) => return,
                }
            }
            drop(open);
            let done = match number % 2 {
                0 if number / 2 < pairs => listener.accept().map(|(s, _)| drain(s)),
                1 if number / 2 < pairs => connect(number / 2, port).map(drop),
                _ => return,
            };
            match done {
                Ok(()) => _ = made.fetch_add(1, Ordering::Relaxed),
                Err(_) => failed.store(true, Ordering::Relaxed),
            }
        };
        if Instant::now() > deadline {
            break;
        }
        match std::thread::Builder::new().stack_size(64 * 1024).spawn(work) {
            Ok(thread) => started.push(thread),
            // The machine's limit; those that run are enough.
            Err(_) => break,
        }
    }
    let count = started.len();
    ensure!(count >= 2 * pairs, "{count} threads, too few for {pairs} connections");
    *gate.0.lock().map_err(|_| anyhow::anyhow!("a thread panicked"))? = true;
    gate.1.notify_all();
    for thread in started {
        thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?;
    }
    ensure!(!failed.load(Ordering::Relaxed), "a connection failed");
    ensure!(made.load(Ordering::Relaxed) as usize == 2 * pairs, "not all connections");
    println!("{count}");
    Ok(())
}

fn connect(number: usize, port: u16) -> std::io::Result<()> {
    let [high, low] = (number as u16 + 1).to_be_bytes();
    let to = SocketAddr::from((Ipv4Addr::new(127, 1, high, low), port));
    let stream = TcpStream::connect(to)?;
    std::io::Write::write_all(&mut &stream, b"breath")
}

fn drain(mut stream: TcpStream) {
    // How it ends is the client's affair.
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}
