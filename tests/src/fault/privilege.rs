//! Not root: a service with some of root's capabilities. What is missing is named, with
//! what it is for; the rest works.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{Folder, Outcome, Report};
use crate::event::{self, Event};
use crate::stage::Stage;
use crate::tracer::{self, Kind};

/// `nobody`, nearly everywhere.
const NOBODY: u32 = 65534;

// include/uapi/linux/capability.h
const DAC_READ_SEARCH: u32 = 2;
const NET_ADMIN: u32 = 12;
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// A program that nobody's processes can run, and where they can write.
struct Place {
    folder: Folder,
}

impl Place {
    fn new() -> Result<Place> {
        let folder = Folder::new()?;
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&folder.0, open.clone())?;
        fs::copy(tracer::binary()?, folder.file("netbreath")).context("copy netbreath")?;
        fs::set_permissions(folder.file("netbreath"), open)?;
        Ok(Place { folder })
    }

    fn command(&self, capabilities: &[u32], args: &[&str], hides_tracefs: bool) -> Command {
        let set = capabilities.iter().fold(0, |set, number| set | 1_u64 << number);
        let mut command = Command::new(self.folder.file("netbreath"));
        command.args(args).current_dir(&self.folder.0);
        // SAFETY: only system calls that are allowed between fork and exec.
        unsafe {
            command.pre_exec(move || {
                if hides_tracefs {
                    hide_tracefs()?;
                }
                become_nobody(set)
            });
        }
        command
    }

    fn run(&self, capabilities: &[u32], args: &[&str]) -> Result<Output> {
        self.command(capabilities, args, false).output().context("run netbreath as nobody")
    }
}

/// Becomes another user who keeps these capabilities over exec.
fn become_nobody(set: u64) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`: sets of 64 bits, in two halves.
    const VERSION: u32 = 0x2008_0522;
    let answer = |done: libc::c_long| {
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    let (low, high) = (set as u32, (set >> 32) as u32);
    // Effective, permitted and inheritable.
    let data = [low, low, low, high, high, high];
    // SAFETY: the calls take numbers, and pointers to the two structures above.
    unsafe {
        answer(libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0).into())?;
        answer(libc::setgroups(0, std::ptr::null()).into())?;
        answer(libc::setresgid(NOBODY, NOBODY, NOBODY).into())?;
        answer(libc::setresuid(NOBODY, NOBODY, NOBODY).into())?;
        let header = Header { version: VERSION, pid: 0 };
        answer(libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()))?;
        for number in (0..64).filter(|number| set >> number & 1 != 0) {
            let raise = libc::PR_CAP_AMBIENT_RAISE;
            answer(libc::prctl(libc::PR_CAP_AMBIENT, raise, number, 0, 0).into())?;
        }
    }
    Ok(())
}

/// Takes tracefs out of this process's own view of the file system.
fn hide_tracefs() -> io::Result<()> {
    // SAFETY: all pointers are NUL-terminated strings.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            return Err(io::Error::last_os_error());
        }
        let (none, root) = (c"none".as_ptr(), c"/".as_ptr());
        let private = libc::MS_REC | libc::MS_PRIVATE;
        if libc::mount(none, root, std::ptr::null(), private, std::ptr::null()) != 0 {
            return Err(io::Error::last_os_error());
        }
        // Each of them may not be there, and debugfs has one of its own.
        for place in [c"/sys/kernel/debug/tracing", c"/sys/kernel/debug", c"/sys/kernel/tracing"] {
            libc::umount2(place.as_ptr(), libc::MNT_DETACH);
        }
    }
    Ok(())
}

/// Once all is attached, no thread of the process that parses has a capability, and none
/// can get one; the helper has those that it needs. The trace goes on, also in a network
/// namespace that has to be entered for a look.
pub fn given_up_after_the_start(report: &mut Report) -> Result<Outcome> {
    let mut stage = Stage::new(Kind::Netbreath)?;
    stage.trace()?;
    let pid = stage.tracer_pid()?;
    let sets = |path: &str| -> Result<Vec<(String, u64)>> {
        let text = fs::read_to_string(format!("{path}/status")).context("status of a process")?;
        let sets = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let value = u64::from_str_radix(value.trim(), 16).ok()?;
            let wanted = ["CapInh", "CapPrm", "CapEff", "CapAmb", "NoNewPrivs"];
            wanted.contains(&name).then(|| (name.to_owned(), value))
        });
        Ok(sets.collect())
    };
    // It says that it is ready right before it gives them up.
    let deadline = Instant::now() + Duration::from_secs(30);
    let given_up = |sets: &[(String, u64)]| {
        sets.iter().all(|(name, value)| *value == u64::from(name == "NoNewPrivs"))
    };
    while !given_up(&sets(&format!("/proc/{pid}"))?) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("threads")? {
        let path = task?.path();
        let sets = sets(&path.to_string_lossy())?;
        threads += 1;
        report.check(sets.len() == 5, || format!("{}: {sets:?}", path.display()));
        report.check(given_up(&sets), || format!("{}: {sets:?}", path.display()));
    }
    report.check(threads > 0, || "no threads".to_owned());
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let helpers: Vec<&str> = children.split_whitespace().collect();
    report.check(helpers.len() == 1, || format!("helpers: {helpers:?}"));
    for helper in helpers {
        let sets = sets(&format!("/proc/{helper}"))?;
        let kept = 1 << SYS_ADMIN | 1 << SYS_PTRACE | 1 << DAC_READ_SEARCH;
        let of = |name: &str| sets.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
        report.check(of("CapEff") == Some(kept), || format!("helper: {sets:?}"));
        report.check(of("NoNewPrivs") == Some(1), || format!("helper: {sets:?}"));
        // Nothing is open but what it talks through.
        let open = fs::read_dir(format!("/proc/{helper}/fd"))?.count();
        report.check(open <= 4, || format!("helper: {open} files are open"));
    }
    let meeting = stage.meet("127.0.0.1:0")?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    stage.expect_meeting(
        &meeting,
        "CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT",
        "LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE",
    )?;
    let (verdict, recording) = stage.finish(60)?;
    report.check(verdict.faults.is_empty(), || format!("after that: {verdict}"));
    let cgroups = recording.events.iter().filter(|event| event.is("state"));
    let without =
        cgroups.filter(|event| !event.details.get("cgroup").is_some_and(|c| c.is_string()));
    let without: Vec<String> = without.map(|event| format!("{event:?}")).take(1).collect();
    report.check(without.is_empty(), || format!("without a path of its cgroup: {without:?}"));
    Ok(Outcome::Done)
}

/// What one set of capabilities must give.
struct Set {
    name: &'static str,
    capabilities: &'static [u32],
    /// Named as missing by an error; if there are any, nothing is traced.
    needed: &'static [&'static str],
    /// Named as missing, with what it is for.
    gaps: &'static [&'static str],
}

const SETS: &[Set] = &[
    Set { name: "none", capabilities: &[], needed: &["CAP_BPF", "CAP_PERFMON"], gaps: &[] },
    Set { name: "BPF", capabilities: &[BPF], needed: &["CAP_PERFMON"], gaps: &[] },
    Set { name: "PERFMON", capabilities: &[PERFMON], needed: &["CAP_BPF"], gaps: &[] },
    Set {
        name: "all but BPF and PERFMON",
        capabilities: &[NET_ADMIN, DAC_READ_SEARCH, SYS_PTRACE],
        needed: &["CAP_BPF", "CAP_PERFMON"],
        gaps: &[],
    },
    Set {
        name: "BPF, PERFMON",
        capabilities: &[BPF, PERFMON],
        needed: &[],
        gaps: &["CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"],
    },
    Set {
        name: "BPF, PERFMON, NET_ADMIN",
        capabilities: &[BPF, PERFMON, NET_ADMIN],
        needed: &[],
        gaps: &["CAP_DAC_READ_SEARCH"],
    },
    Set {
        name: "BPF, PERFMON, DAC_READ_SEARCH",
        capabilities: &[BPF, PERFMON, DAC_READ_SEARCH],
        needed: &[],
        gaps: &["CAP_NET_ADMIN"],
    },
    Set {
        name: "BPF, PERFMON, NET_ADMIN, DAC_READ_SEARCH",
        capabilities: &[BPF, PERFMON, NET_ADMIN, DAC_READ_SEARCH],
        needed: &[],
        gaps: &[],
    },
    Set {
        name: "SYS_ADMIN",
        capabilities: &[SYS_ADMIN],
        needed: &[],
        gaps: &["CAP_DAC_READ_SEARCH"],
    },
];

/// The capabilities that some set lacks.
const NAMES: [&str; 4] = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN", "CAP_DAC_READ_SEARCH"];

pub fn each_set(report: &mut Report) -> Result<Outcome> {
    let place = Place::new()?;
    let as_root = gaps_of_root()?;
    for set in SETS {
        one(report, &place, set, &as_root).with_context(|| set.name)?;
    }
    Ok(Outcome::Done)
}

/// Hooks of which root, too, is told a gap: that is the kernel's doing.
fn gaps_of_root() -> Result<Vec<Option<String>>> {
    let mut command = Command::new(tracer::binary()?);
    let output = command.args(["trace", "--format", "jsonl", "-d", "50ms"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(event::read(text.lines())?.into_iter().filter(is_lack).map(|gap| gap.hook).collect())
}

/// Something that is never seen, not something that was lost.
fn is_lack(event: &Event) -> bool {
    event.is("gap") && event.count == Some(0)
}

fn one(report: &mut Report, place: &Place, set: &Set, as_root: &[Option<String>]) -> Result<()> {
    let Set { name, capabilities, needed, gaps } = set;
    let doctor = place.run(capabilities, &["doctor"])?;
    let says = String::from_utf8_lossy(&doctor.stdout).into_owned();
    if !needed.is_empty() {
        for args in [&["trace", "-d", "1s"][..], &["doctor"]] {
            let output = place.run(capabilities, args)?;
            report.equal(&format!("{name}: code of {}", args[0]), &output.status.code(), &Some(77));
            let both = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&both).into_owned();
            for capability in &NAMES[..2] {
                // With what it is for.
                let named = text.contains(&format!("{capability} (to "));
                report.check(named == needed.contains(capability), || {
                    format!("{name}: {} on {capability}: {text}", args[0])
                });
            }
        }
        return Ok(());
    }

    report.equal(&format!("{name}: code of doctor"), &doctor.status.code(), &Some(0));
    let events = trace(report, place, set)?;
    let lacks: Vec<&Event> = events.iter().filter(|event| is_lack(event)).collect();
    for capability in &NAMES {
        let is_missing = gaps.contains(capability);
        let named = says.lines().any(|line| line.contains(&format!("{capability} is missing: ")));
        report.check(named == is_missing, || format!("{name}: doctor on {capability}: {says}"));
        let mends = |gap: &&&Event| {
            gap.mend
                .as_deref()
                .is_some_and(|mend| mend.contains(&format!("give netbreath {capability}")))
        };
        let told = lacks.iter().any(|gap| mends(&gap));
        report.check(told == is_missing, || format!("{name}: gaps on {capability}: {lacks:?}"));
    }
    // Each further gap has its capability.
    for gap in lacks.iter().filter(|gap| !as_root.contains(&gap.hook)) {
        let mend = gap.mend.clone().unwrap_or_default();
        report.check(gaps.iter().any(|one| mend.contains(one)), || format!("{name}: {gap:?}"));
    }
    Ok(())
}

/// Traces one conversation; nothing that is told may be wrong.
fn trace(report: &mut Report, place: &Place, set: &Set) -> Result<Vec<Event>> {
    let Set { name, capabilities, gaps, .. } = set;
    let stage = Stage::new(Kind::Netbreath)?;
    let space = stage.netns.inode().to_string();
    let (ready, file) = (place.folder.file("ready"), place.folder.file("events"));
    let _ = fs::remove_file(&ready);
    let args = ["trace", "--netns", &space, "--format", "jsonl", "-o", "events"];
    let args = [&args[..], &["--ready-file", "ready"]].concat();
    let mut child = place.command(capabilities, &args, false).spawn().context("start netbreath")?;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !ready.exists() {
        anyhow::ensure!(child.try_wait()?.is_none(), "{name}: ended before it was ready");
        anyhow::ensure!(std::time::Instant::now() < deadline, "{name}: not ready");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let meeting = stage.meet("127.0.0.1:0")?;
    meeting.client.send(&meeting.c, 10)?;
    meeting.client.close(&meeting.c)?;
    meeting.server.drain(&meeting.s)?;
    meeting.server.close(&meeting.s)?;
    meeting.server.close(&meeting.listener)?;
    stage.netns.settle(std::time::Duration::from_secs(10))?;
    let pid = i32::try_from(child.id())?;
    // SAFETY: takes no pointers; the child is ours and not yet waited for.
    unsafe { libc::kill(pid, libc::SIGINT) };
    let status = child.wait()?;
    report.equal(&format!("{name}: code of trace"), &status.code(), &Some(130));
    let events = event::read(fs::read_to_string(file)?.lines())?;

    for (socket, pid, transitions) in [
        (meeting.c.socket, meeting.c.pid, 5),
        (meeting.s.socket, meeting.s.pid, 5),
        (meeting.listener.socket, meeting.listener.pid, 2),
    ] {
        let own: Vec<&Event> = events.iter().filter(|e| e.socket == Some(socket)).collect();
        let states = own.iter().filter(|event| event.is("state")).count();
        report.equal(&format!("{name}: transitions of {socket}"), &states, &transitions);
        let known = |event: &&&Event| event.owner.as_ref().is_some_and(|owner| owner.pid == pid);
        let right = own.iter().filter(known).count();
        report.equal(&format!("{name}: owners of {socket}"), &right, &own.len());
    }
    let accepts = events.iter().filter(|event| event.is("accept")).count();
    let must = usize::from(!gaps.contains(&"CAP_DAC_READ_SEARCH"));
    let by_kernel = events.iter().any(|gap| is_lack(gap) && gap.hook.as_deref() == Some("accept"));
    // A kernel that allows probes needs no tracefs for it.
    report.check(accepts == must || accepts == 1 && !by_kernel, || {
        format!("{name}: {accepts} accepts")
    });
    Ok(events)
}

/// Who may not mount it is told so, and what that takes.
pub fn tracefs_is_not_mounted(report: &mut Report) -> Result<Outcome> {
    let place = Place::new()?;
    let args = ["trace", "--format", "jsonl", "-d", "50ms"];
    let few = [BPF, PERFMON, NET_ADMIN, DAC_READ_SEARCH];
    let output = place.command(&few, &args, true).output().context("run netbreath as nobody")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let events = event::read(text.lines())?;
    let gap = events.iter().find(|gap| is_lack(gap) && gap.hook.as_deref() == Some("accept"));
    let Some(gap) = gap else {
        return Ok(Outcome::Skipped("accept() is seen without tracefs on this kernel".to_owned()));
    };
    let why = gap.why.clone().unwrap_or_default();
    report.holds("the gap", &why, "tracefs is not mounted and cannot be");
    report.holds("the gap", &why, "that takes CAP_SYS_ADMIN");
    report.holds("what mends it", gap.mend.as_deref().unwrap_or_default(), "CAP_SYS_ADMIN");
    Ok(Outcome::Done)
}

/// `--netns pid:N` looks at another user's process.
pub fn of_another_user(report: &mut Report) -> Result<Outcome> {
    let place = Place::new()?;
    let target = format!("pid:{}", std::process::id());
    let args = ["trace", "--netns", &target, "-d", "50ms"];
    let few = [BPF, PERFMON, NET_ADMIN, DAC_READ_SEARCH];
    let output = place.run(&few, &args)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    report.equal("code without", &output.status.code(), &Some(2));
    report.holds("the error", &text, "CAP_SYS_PTRACE");
    let output = place.run(&[&few[..], &[SYS_PTRACE]].concat(), &args)?;
    // Nothing happened there, which is 1.
    report.check(matches!(output.status.code(), Some(0 | 1)), || format!("with: {output:?}"));
    Ok(Outcome::Done)
}
