//! netbreath is killed and cannot clean up.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Outcome, Report};
use crate::bpf::{self, Kind as Object};
use crate::netns::Netns;
use crate::stage::Stage;
use crate::tracer::{self, Kind, Tracer};

/// The kernel frees what nobody holds when its CPUs have all passed a quiet moment.
const FREED: Duration = Duration::from_secs(20);

/// SIGKILL, then another start: nothing stays attached, loaded or pinned, and the next
/// one sees each event once.
pub fn killed_and_started_again(report: &mut Report) -> Result<Outcome> {
    for _ in 0..2 {
        let netns = Netns::create()?;
        let mut tracer = Tracer::start(Kind::Netbreath, &[], &[])?;
        // Its own only: others may trace this kernel, too.
        let mut own = Vec::new();
        for kind in Object::ALL {
            let ids = bpf::ids_of(tracer.pid(), kind)?;
            report.check(ids.len() >= 5, || format!("{kind:?}s while it runs: {ids:?}"));
            report.check(ids.is_subset(&bpf::ids(kind)?), || {
                format!("{kind:?}s that the kernel does not list: {ids:?}")
            });
            own.push((kind, ids));
        }
        let mut names = Vec::new();
        for id in &own[0].1 {
            names.push(bpf::program(*id)?.0);
        }
        report.check(names.iter().all(|name| name.starts_with("nb_")), || format!("{names:?}"));
        drop(netns);
        tracer.kill()?;
        let deadline = Instant::now() + FREED;
        for (kind, ids) in own {
            let left = loop {
                let all = bpf::ids(kind)?;
                let left: Vec<u32> = ids.intersection(&all).copied().collect();
                if left.is_empty() || Instant::now() > deadline {
                    break left;
                }
                std::thread::sleep(Duration::from_millis(20));
            };
            report.check(left.is_empty(), || format!("{kind:?}s left: {left:?}"));
        }
        let pinned = pinned(Path::new("/sys/fs/bpf"))?;
        report.check(pinned.is_empty(), || format!("pinned: {pinned:?}"));
    }

    let mut stage = Stage::new(Kind::Netbreath)?;
    stage.trace()?;
    let meeting = stage.meet("127.0.0.1:0")?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(
        &meeting,
        "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT",
        "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE",
    )?;
    let (verdict, _) = stage.finish(60)?;
    report.check(verdict.faults.is_empty(), || format!("started again: {verdict}"));
    Ok(Outcome::Done)
}

/// SIGKILL at moments of the start and after it: no program, link or map is left, no process,
/// nothing pinned, no namespace, no mount.
pub fn killed_at_any_moment(report: &mut Report) -> Result<Outcome> {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").context("mounts");
    let named = || -> Vec<String> {
        let entries = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    };
    // What others mount or name meanwhile is not ours.
    let ours = |text: &str| text.lines().filter(|l| l.contains("netbreath")).count();
    for turn in 0..5_u64 {
        let before = (ours(&mounts()?), named().iter().filter(|n| n.contains("netbreath")).count());
        let mut child = Command::new(tracer::binary()?)
            .args(["trace", "--format", "jsonl"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start netbreath")?;
        // From the first moments of the start to well behind it.
        let until = Instant::now() + Duration::from_millis(20 + turn * turn * 40);
        let mut ids = BTreeSet::new();
        let mut processes = BTreeSet::new();
        while Instant::now() < until {
            for kind in Object::ALL {
                for id in bpf::ids_of(child.id(), kind).unwrap_or_default() {
                    ids.insert((kind as u8, id));
                }
            }
            let children = format!("/proc/{0}/task/{0}/children", child.id());
            let children = fs::read_to_string(children).unwrap_or_default();
            processes.extend(children.split_whitespace().map(str::to_owned));
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().context("kill netbreath")?;
        child.wait().context("wait for netbreath")?;
        let deadline = Instant::now() + FREED;
        let left = || -> Result<Vec<String>> {
            let mut left = Vec::new();
            for kind in Object::ALL {
                let all = bpf::ids(kind)?;
                let still = ids.iter().filter(|(of, id)| *of == kind as u8 && all.contains(id));
                left.extend(still.map(|(_, id)| format!("{kind:?} {id}")));
            }
            for pid in &processes {
                let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
                if exe.to_string_lossy().contains("netbreath") {
                    left.push(format!("process {pid}"));
                }
            }
            Ok(left)
        };
        while !left()?.is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let (left, pinned) = (left()?, pinned(Path::new("/sys/fs/bpf"))?);
        report.check(left.is_empty(), || format!("turn {turn}: left: {left:?}"));
        report.check(pinned.is_empty(), || format!("turn {turn}: pinned: {pinned:?}"));
        let after = (ours(&mounts()?), named().iter().filter(|n| n.contains("netbreath")).count());
        report.check(before == after, || format!("turn {turn}: mounts, namespaces: {after:?}"));
    }
    Ok(Outcome::Done)
}

/// Everything pinned in the file system of eBPF that has a name of ours.
fn pinned(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error).with_context(|| format!("read {}", folder.display())),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.contains("netbreath") || name.starts_with("nb_") {
            found.push(entry.path().display().to_string());
        }
        if entry.file_type()?.is_dir() {
            found.extend(pinned(&entry.path())?);
        }
    }
    Ok(found)
}
