//! A kernel that does not show its types: states, ports and addresses are told all the
//! same, and what is not is a gap.

use std::fs;
use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::output::Writer;
use super::{Folder, Outcome, Report};
use crate::event::{self, Event, endpoint};
use crate::ledger::Entry;
use crate::stage::Stage;
use crate::tracer::{self, Kind};

/// Puts an empty folder over the types, for this process and its children alone.
fn hide_types() -> io::Result<()> {
    let none = c"none".as_ptr();
    // SAFETY: all pointers are NUL-terminated strings.
    unsafe {
        let private = libc::MS_REC | libc::MS_PRIVATE;
        if libc::unshare(libc::CLONE_NEWNS) != 0
            || libc::mount(none, c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()) != 0
            || libc::mount(
                none,
                c"/sys/kernel/btf".as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                std::ptr::null(),
            ) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// The client closes first.
pub(super) const ACTIVE: &str = "CLOSE>SYN_SENT SYN_SENT>ESTABLISHED ESTABLISHED>FIN_WAIT1 \
    FIN_WAIT1>FIN_WAIT2 FIN_WAIT2>CLOSE";
pub(super) const PASSIVE: &str = "LISTEN>SYN_RECV SYN_RECV>ESTABLISHED \
    ESTABLISHED>CLOSE_WAIT CLOSE_WAIT>LAST_ACK LAST_ACK>CLOSE";

pub fn not_shown(report: &mut Report) -> Result<Outcome> {
    let folder = Folder::new()?;
    let file = folder.file("events").to_string_lossy().into_owned();
    let stage = Stage::new(Kind::Netbreath)?;
    let options = ["--format", "jsonl", "-o", &file];
    let mut writer = Writer::prepared(&options, Stdio::null(), hide_types)?;
    // Without the types nobody knows the namespace: these addresses are ours alone.
    let [high, low] = ((std::process::id() % 60_000) as u16 + 1).to_be_bytes();
    let mut lives = Vec::new();
    for address in [format!("127.83.{high}.{low}:0"), "[::1]:0".to_owned()] {
        let meeting = stage.meet(&address)?;
        meeting.client.send(&meeting.c, 10)?;
        meeting.client.close(&meeting.c)?;
        meeting.server.drain(&meeting.s)?;
        meeting.server.close(&meeting.s)?;
        meeting.server.close(&meeting.listener)?;
        lives.push(meeting);
    }
    stage.netns.settle(Duration::from_secs(10))?;
    report.equal("exit code", &writer.interrupt()?.code(), &Some(130));
    let events = event::read(fs::read_to_string(&file)?.lines())?;

    for meeting in &lives {
        life(report, &events, &meeting.c, ACTIVE, Some(meeting.c.pid))?;
        life(report, &events, &meeting.s, PASSIVE, None)?;
    }
    let gap = events.iter().find(|gap| gap.is("gap") && gap.hook.as_deref() == Some("sock_state"));
    let what = gap.and_then(|gap| gap.what.clone()).unwrap_or_default();
    report.holds("the gap", &what, "who owns a connection that came in");
    let why = gap.and_then(|gap| gap.why.clone()).unwrap_or_default();
    report.holds("the gap", &why, "type information");
    report.holds("the gap", &why, "--btf FILE");

    let mut doctor = Command::new(tracer::binary()?);
    // SAFETY: only system calls that are allowed between fork and exec.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut doctor, hide_types) };
    let doctor = doctor.arg("doctor").output().context("run the doctor")?;
    let says = String::from_utf8_lossy(&doctor.stdout).into_owned();
    report.equal("code of the doctor", &doctor.status.code(), &Some(0));
    report.holds("the doctor", &says, "none: the kernel does not describe its types");
    report.holds("the doctor", &says, "--btf FILE");
    Ok(Outcome::Done)
}

/// Those of one socket, found by its two ends, which must be these.
pub(super) fn transitions<'a>(
    report: &mut Report,
    events: &'a [Event],
    entry: &Entry,
    path: &str,
) -> Result<Vec<&'a Event>> {
    let local = entry.local.map(endpoint).context("a socket has an address")?;
    let remote = entry.remote.map(endpoint).context("a socket has a peer")?;
    let ends = |event: &&Event| {
        event.local.as_ref() == Some(&local) && event.remote.as_ref() == Some(&remote)
    };
    let id = events.iter().find(ends).and_then(|event| event.socket);
    let of = |event: &&Event| id.is_some() && event.socket == id && event.is("state");
    let own: Vec<&Event> = events.iter().filter(of).collect();
    let seen: Vec<String> = own.iter().map(|event| event.transition()).collect();
    let name = format!("{:?} {local}", entry.role);
    report.equal(&format!("transitions of {name}"), &seen.join(" "), &path.to_owned());
    Ok(own)
}

/// All that is told of one socket.
fn life(
    report: &mut Report,
    events: &[Event],
    entry: &Entry,
    path: &str,
    owner: Option<u32>,
) -> Result<()> {
    let local = entry.local.map(endpoint).context("a socket has an address")?;
    let remote = entry.remote.map(endpoint).context("a socket has a peer")?;
    let ends = |event: &&Event| {
        event.local.as_ref() == Some(&local) && event.remote.as_ref() == Some(&remote)
    };
    let own = transitions(report, events, entry, path)?;
    let name = format!("{:?} {local}", entry.role);
    let other = own.iter().skip(1).filter(|event| !ends(event)).count();
    report.equal(&format!("other ends of {name}"), &other, &0);
    let wrong = own.iter().filter(|event| event.owner.as_ref().map(|owner| owner.pid) != owner);
    report.equal(&format!("wrong owners of {name}"), &wrong.count(), &0);
    let timed = own.iter().skip(1).filter(|event| event.in_state_ns.is_none()).count();
    report.equal(&format!("states of {name} without their time"), &timed, &0);
    Ok(())
}
