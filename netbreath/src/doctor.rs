//! `netbreath doctor`: what this machine allows, which rung each hook reached, and
//! what the absence of the rest costs.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use crate::event::Family;
use crate::filter::{Cgroup, EventKind, Filter, Network};
use crate::format;
use crate::host::{sandbox, socket};
use crate::lint::{self, Thresholds};
use crate::source::ebpf::{self, Reached, Tracefs, Tried, Verdict, privilege};
use crate::source::{Ask, Packets};
use crate::table::socket::{Proto, Protos};

/// What the examination found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Everything that netbreath shows can be had here, or its absence is a gap.
    Works,
    /// Nothing can be traced until a privilege is given.
    NoPrivilege,
    /// Nothing can be traced on this kernel, or a program is refused that should not be.
    Broken,
}

/// Examines this machine; the report is for people.
pub fn examine() -> (Health, String) {
    let mut report = String::new();
    for Fact { name, value, advice } in facts() {
        line(&mut report, name, &value);
        if let Some(advice) = advice {
            line(&mut report, "", &format!("-> {advice}"));
        }
    }
    // What cannot be done without has been told.
    for capability in privilege::ALL.iter().filter(|one| !one.needed && !one.is_held()) {
        line(&mut report, "", &format!("{} is missing: {}", capability.name, capability.purpose));
    }
    report.push('\n');
    // A command that cannot be followed is no reason to call all else impossible.
    let mut ask = everything();
    ask.filter.command = false;
    let health = match ebpf::examine(&ask) {
        Ok(reached) => {
            for reached in &reached {
                hook(&mut report, reached);
            }
            report.push_str("netbreath can trace here.\n");
            Health::Works
        }
        Err(error) => {
            let _ = writeln!(report, "netbreath cannot trace here: {error}");
            if error.is_privilege() { Health::NoPrivilege } else { Health::Broken }
        }
    };
    kept(&mut report);
    odd(&mut report);
    (health, report)
}

/// What is given up once all is attached, and what is not.
fn kept(report: &mut String) {
    report.push_str("\nAfter the start, trace and record give up:\n");
    line(report, "capabilities", "all, and new ones by exec (no_new_privs)");
    let landlock = match sandbox::landlock_version() {
        Some(version) => format!(
            "nothing can be written or run, and only what names are looked up in can be read \
             (Landlock {version}); what is open stays open"
        ),
        None => "not given up: this kernel has no Landlock".to_owned(),
    };
    line(report, "files", &landlock);
    line(
        report,
        "kept",
        "CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, by a process of its own that \
         parses nothing: it looks for sockets in other network namespaces, and for the paths of \
         control groups",
    );
    line(
        report,
        "not given up",
        "by top, check and capture: what they need later has no process of its own yet",
    );
}

/// What the lints find of the sockets that are there now.
fn odd(report: &mut String) {
    let ask = socket::Ask {
        protos: Protos::of(&[Proto::Tcp]),
        holders: socket::Who::Names,
        ..socket::Ask::default()
    };
    report.push_str("\nTCP sockets of this network namespace, now:\n");
    let mut sockets = match socket::sockets(&ask) {
        Ok(sockets) => sockets,
        Err(error) => {
            let _ = writeln!(report, "not looked at: {error}");
            return;
        }
    };
    socket::complete(&mut sockets.holders);
    let findings = lint::now::judge(&sockets, &thresholds());
    if findings.is_empty() {
        report
            .push_str("nothing odd; `netbreath trace --lint` and `top` also judge what happens\n");
        return;
    }
    let mut last = None;
    for finding in &findings {
        let mut text = Vec::new();
        format::text::put_evidence(&mut text, finding, false);
        line(report, finding.lint.name(), &String::from_utf8_lossy(&text));
        // The lesson is the same for all of a kind: it stands behind the first.
        if last != Some(finding.lint) {
            line(report, "", &format!("-> {}", finding.lint.lesson()));
            line(report, "", &format!("   more: netbreath explain {}", finding.lint.topic()));
        }
        last = Some(finding.lint);
    }
}

/// From when on lints find something on this machine.
pub fn thresholds() -> Thresholds {
    let (first, last) = socket::ephemeral_ports();
    let local_ports = u32::from(last.saturating_sub(first)) + 1;
    Thresholds { local_ports, ..Thresholds::default() }
}

/// Loads every program of the object, whether a ladder would reach it or not. Broken
/// if the verifier refuses one: that is our fault, not the kernel's policy.
pub fn load_all() -> (Health, String) {
    let mut report = String::new();
    let (mut loaded, mut refused, mut broken) = (0, 0, 0);
    // What is asked for decides which branches the verifier sees.
    let plain = Ask { filter: Filter::default(), ..everything() };
    let packets = Packets { on: Vec::new(), snap_len: 65_535, ring_size: 4096, filter: None };
    let capturing = Ask { packets: Some(packets.clone()), ..plain.clone() };
    let filtering = Packets { filter: Some("".into()), ..packets };
    let talking = Ask { debug_programs: true, ..plain.clone() };
    for (asked, ask) in [
        ("with every filter", filtered()),
        ("without filters", plain),
        ("for packets with every filter", Ask { packets: Some(filtering), ..filtered() }),
        ("for packets without filters", capturing),
        ("with debug lines", talking),
    ] {
        let _ = writeln!(report, "{asked}:");
        let programs = match ebpf::load_all(&ask) {
            Ok(programs) => programs,
            Err(error) => {
                let health =
                    if error.is_privilege() { Health::NoPrivilege } else { Health::Broken };
                return (health, format!("{error}\n"));
            }
        };
        for (program, verdict) in programs {
            let text = match verdict {
                Verdict::Loaded { in_time } => {
                    loaded += 1;
                    format!("loaded in {} ms", in_time.as_millis())
                }
                Verdict::NotHere(why) => {
                    refused += 1;
                    format!("not on this kernel: {why}")
                }
                Verdict::Rejected(why) => {
                    broken += 1;
                    format!("REJECTED by the verifier: {why}")
                }
            };
            line(&mut report, &program, &text);
        }
    }
    let _ = writeln!(report, "{loaded} loaded, {refused} not on this kernel, {broken} rejected");
    (if broken == 0 && loaded > 0 { Health::Works } else { Health::Broken }, report)
}

/// Every rung of every hook, one a line: hook, rung, and whether it could be had here,
/// with at least two spaces between them.
pub fn rungs() -> (Health, String) {
    let tried = match ebpf::try_all(&everything()) {
        Ok(tried) => tried,
        Err(error) => {
            let health = if error.is_privilege() { Health::NoPrivilege } else { Health::Broken };
            return (health, format!("{error}\n"));
        }
    };
    let mut report = String::new();
    let widest = |length: fn(&Tried) -> usize| tried.iter().map(length).max().unwrap_or(0);
    let hooks = widest(|one| one.ladder.hook.name().len());
    let rungs = widest(|one| one.ladder.name_of(one.rung).len());
    for one in &tried {
        let (hook, name) = (one.ladder.hook.name(), one.ladder.name_of(one.rung));
        let answer = match &one.refused {
            None => "here".to_owned(),
            Some(why) => format!("refused: {why}"),
        };
        let _ = writeln!(report, "{hook:<hooks$}  {name:<rungs$}  {answer}");
    }
    (Health::Works, report)
}

/// A question that needs every hook.
fn everything() -> Ask {
    Ask {
        filter: Filter { command: true, events: vec![EventKind::All], ..Filter::default() },
        ring_size: 1 << 16,
        max_sockets: 1024,
        accept_hook: true,
        btf: None,
        rungs: Vec::new(),
        debug_programs: false,
        costs: false,
        owner_from_cpu: false,
        packets: None,
    }
}

/// A question with every filter set, whatever they let through.
fn filtered() -> Ask {
    let everywhere = || vec![Network { addr: Ipv4Addr::UNSPECIFIED.into(), prefix: 0 }];
    let filter = Filter {
        command: true,
        events: vec![EventKind::All],
        comms: vec!["netbreath".to_owned()],
        uids: vec![0],
        port: vec![0..=u16::MAX],
        lport: vec![0..=u16::MAX],
        rport: vec![0..=u16::MAX],
        addr: everywhere(),
        laddr: everywhere(),
        raddr: everywhere(),
        family: Some(Family::V4),
        cgroup: Some(Cgroup { id: 1, level: 0, path: "/".to_owned() }),
        netns: vec![1],
        ..Filter::default()
    };
    Ask { filter, ..everything() }
}

/// Something about this machine.
struct Fact {
    name: &'static str,
    value: String,
    /// What to do, if something should be done.
    advice: Option<&'static str>,
}

fn facts() -> Vec<Fact> {
    let read = |path: &str| std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let plain = |name, value: Option<String>| Fact {
        name,
        value: value.unwrap_or_else(|| "unknown".to_owned()),
        advice: None,
    };
    let kernel = read("/proc/sys/kernel/osrelease");
    let btf = std::fs::metadata("/sys/kernel/btf/vmlinux").ok();
    let cgroup = ebpf::cgroup_root();
    let missing = privilege::missing();
    vec![
        plain("kernel", kernel.map(|k| format!("Linux {k}, {}", std::env::consts::ARCH))),
        Fact {
            name: "privilege",
            value: missing.as_ref().map_or_else(
                || "may load kernel programs".to_owned(),
                |missing| format!("missing: {missing}"),
            ),
            advice: missing.map(|_| "run it with sudo, or as a service with these"),
        },
        plain("lockdown", Some(lockdown(read("/sys/kernel/security/lockdown")).to_owned())),
        Fact {
            name: "BTF",
            value: btf.as_ref().map_or_else(
                || "none: the kernel does not describe its types".to_owned(),
                |file| format!("/sys/kernel/btf/vmlinux, {} kB", file.len() / 1024),
            ),
            advice: btf.is_none().then_some(
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y, or give trace its BTF with --btf FILE",
            ),
        },
        Fact {
            name: "tracefs",
            value: match ebpf::tracefs() {
                Tracefs::Open => "mounted".to_owned(),
                Tracefs::Closed => "mounted, but this user may not enter it".to_owned(),
                Tracefs::None => "not mounted; netbreath mounts it when a hook needs it".to_owned(),
            },
            advice: None,
        },
        Fact {
            name: "cgroup2",
            value: cgroup.as_ref().map_or_else(
                || "not mounted".to_owned(),
                |path| format!("mounted at {}", path.display()),
            ),
            advice: cgroup.is_none().then_some("mount -t cgroup2 none /sys/fs/cgroup/unified"),
        },
    ]
}

/// The active mode of `none [integrity] confidentiality`.
fn lockdown(modes: Option<String>) -> &'static str {
    let Some(modes) = modes else {
        return "not shown by this kernel (securityfs)";
    };
    match modes.split(['[', ']']).nth(1) {
        Some("none") => "none: the kernel restricts nothing",
        Some("integrity") => "integrity: some ways to attach may be refused",
        Some("confidentiality") => "confidentiality: kernel programs may not read memory",
        _ => "unknown",
    }
}

fn hook(report: &mut String, reached: &Reached) {
    let Reached { ladder, rung, refused } = reached;
    line(report, ladder.hook.name(), ladder.purpose);
    match rung {
        Some(rung) => line(report, "", &format!("attached by {}", ladder.name_of(rung))),
        None => line(report, "", "not to be had here; this is what is lost"),
    }
    let unseen = ebpf::sentence(&reached.unseen());
    if !unseen.is_empty() {
        line(report, "", &format!("not seen this way: {unseen}"));
    }
    if let Some(rung) = rung.filter(|rung| !rung.cost.is_empty()) {
        line(report, "", &format!("cost: {}", rung.cost));
    }
    for (rung, why) in refused {
        line(report, "", &format!("refused: {} ({why})", ladder.name_of(rung)));
    }
    if let Some(missing) = reached.missing() {
        line(report, "", &format!("-> give netbreath {}", missing.name));
    }
    report.push('\n');
}

fn line(report: &mut String, name: &str, text: &str) {
    let _ = writeln!(report, "{name:<16}{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_active_lockdown_mode_is_told() {
        let mode = |text: &str| lockdown(Some(text.to_owned()));
        assert!(mode("none [integrity] confidentiality").starts_with("integrity"));
        assert!(mode("[none] integrity confidentiality").starts_with("none"));
        assert_eq!(mode("?"), "unknown");
        assert!(lockdown(None).starts_with("not shown"));
    }

    #[test]
    fn every_fact_has_a_value() {
        assert!(facts().iter().all(|fact| !fact.name.is_empty() && !fact.value.is_empty()));
    }
}
