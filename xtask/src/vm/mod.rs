//! `cargo xtask test vm`: the tests that need root, on kernels other than this one.

mod boot;
mod console;
mod cpio;
mod initramfs;
mod kernel;
mod module;
mod rung;

use std::env::consts;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use self::boot::{Accelerator, Ended, How, Machine};
use self::console::{Outcome, Run};
use self::initramfs::{Program, Task};
use self::kernel::{Kernel, Kernels};
use crate::build::{self, Profile};
use crate::cross::{self, Target};
use crate::process;
use crate::setup;
use crate::summary::Counts;
use crate::test;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    /// Series or point releases of kernels, such as 6.12, or arm64 for one on aarch64; 6.1, 6.12
    /// and 7 if none is given
    versions: Vec<String>,
    /// Every suite whole, and the table of rungs: without it, a selection that takes minutes
    #[arg(long, conflicts_with_all = ["suite", "only"])]
    all: bool,
    /// Only this suite of tests, or this command: load-all, doctor, rungs
    #[arg(long, value_name = "NAME")]
    suite: Vec<String>,
    /// Only scenarios whose names contain this
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Run each suite so often
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    times: usize,
    /// Print what the machines printed, also where all is well
    #[arg(long)]
    show: bool,
}

/// A VM that takes longer is ended. Its commands have less, so that init can tell which
/// one was late.
const VM_SECONDS: u64 = 3600;
const SUITE_SECONDS: u64 = 1500;
const DOCTOR_SECONDS: u64 = 300;
/// How many connections a case of the truth suite makes: emulation is slow.
const CONNECTIONS: &str = "NETBREATH_TRUTH_CONNECTIONS";
const FEW: &str = "20";
/// Of what a failed command printed.
const LINES_SHOWN: usize = 120;

/// Where nobody asks for more: each way to come to know something once, from this suite.
const SELECTED_SUITE: &str = "kernel";
const SELECTED: &[&str] = &[
    "close::client_first",
    "close::server_half",
    "half_open::from_the_syn_on",
    "owner::every_accept_call",
    "owner::mutant_from_cpu",
    "process::events",
    "refused::v4",
    "reset::by_client",
    "retransmit::data",
    "time_wait::none_without_a_fin",
];

/// How the kernel on aarch64 is asked for, and which it is.
const ARM64: &str = "arm64";
const ARM64_SERIES: &str = "6.12";
const ARM64_SELECTED: &[&str] =
    &["close::client_first", "owner::every_accept_call", "process::events", "udp::connected"];

const NETBREATH: &str = "/bin/netbreath";

/// Commands of this machine that tests compare with.
const CLASSICS: &[&str] = &["ip", "ifconfig", "route", "arp", "netstat", "sleep"];

/// What became of one kernel.
struct Report {
    kernel: String,
    /// Of what series it is the newest.
    series: String,
    rungs: Vec<rung::Cell>,
    rows: Vec<(String, Outcome)>,
    counts: Counts,
}

/// As a part of all tests: where no machine can be had, that is one skip, said loudly.
pub fn count_or_skip(workspace: &Workspace) -> Result<Counts> {
    let ready = require(workspace).and_then(|()| {
        // Why: without it, the rungs that the machines reach can be compared with nothing.
        if !rung::is_checked_in(&workspace.root) {
            bail!("{} is not checked in: `cargo xtask test vm --all` makes it", rung::PLACE);
        }
        Ok(())
    });
    match ready {
        Ok(()) => count(
            workspace,
            &Args {
                versions: Vec::new(),
                all: false,
                suite: Vec::new(),
                only: Vec::new(),
                times: 1,
                show: false,
            },
        ),
        Err(error) => {
            println!("skipped: NO OTHER KERNEL IS TESTED: {error:#}");
            Ok(Counts { skipped: 1, ..Counts::default() })
        }
    }
}

fn require(workspace: &Workspace) -> Result<()> {
    if (consts::OS, consts::ARCH) != ("linux", "x86_64") {
        bail!("test vm: it knows only kernels for x86_64, on Linux: this is {}", consts::ARCH);
    }
    setup::for_vm(workspace)
}

pub fn count(workspace: &Workspace, args: &Args) -> Result<Counts> {
    let folder = workspace.target.join("vm");
    let (arm64, wanted): (Vec<&str>, Vec<&str>) =
        args.versions.iter().map(String::as_str).partition(|version| *version == ARM64);
    let wanted = if args.versions.is_empty() { kernel::SERIES.to_vec() } else { wanted };
    let mut reports = Vec::new();
    if !wanted.is_empty() {
        require(workspace)?;
        let kernels = fetch(Kernels::new(&folder), &folder, &wanted, &mut reports)?;
        if let Some(first) = kernels.first() {
            let content = prepare(workspace, args)?;
            let accelerator = boot::accelerator(first, &folder);
            reports.extend(boot_all(&kernels, accelerator.threads(), |kernel| {
                report(&folder, kernel, accelerator, &content, args.show)
            }));
        }
    }
    if !arm64.is_empty() {
        setup::for_cross_vm(workspace)?;
        let kernels = fetch(Kernels::arm64(&folder), &folder, &[ARM64_SERIES], &mut reports)?;
        if let Some(kernel) = kernels.first() {
            let content = prepare_arm64(workspace, args)?;
            reports.push(report(&folder, kernel, Accelerator::Tcg, &content, args.show));
        }
    }
    print!("{}", table(&reports));
    let mut counts = Counts::default();
    for report in &reports {
        for (name, outcome) in &report.rows {
            if let Outcome::Skipped(reason) = outcome {
                println!("skipped: {} {name}: {reason}", report.kernel);
            }
        }
        counts += report.counts;
    }
    let is_arm64 = |report: &Report| report.kernel.ends_with(ARM64);
    if args.only.is_empty()
        && reports.iter().any(|report| !report.rungs.is_empty() && !is_arm64(report))
    {
        counts += check_rungs(workspace, &folder, reports);
    }
    if args.selects() && arm64.is_empty() {
        println!(
            "on these kernels ran a selection: every program loaded, every rung attached, {} \
             scenarios; `cargo xtask test vm --all` runs everything",
            SELECTED.len()
        );
    }
    Ok(counts)
}

impl Args {
    /// Whether only what is `SELECTED` runs.
    fn selects(&self) -> bool {
        !self.all && self.suite.is_empty() && self.only.is_empty()
    }
}

/// Whether the table of rungs that is checked in is what these kernels have shown.
fn check_rungs(workspace: &Workspace, folder: &Path, reports: Vec<Report>) -> Counts {
    // Only series that have a column: not aarch64.
    let has_column = |report: &Report| !report.kernel.ends_with(ARM64);
    let seen = reports.into_iter().filter(|report| !report.rungs.is_empty() && has_column(report));
    let seen = seen.map(|report| (report.series, report.rungs)).collect();
    match rung::check(&workspace.root, folder, kernel::SERIES, seen) {
        Ok(()) => Counts { passed: 1, ..Counts::default() },
        Err(error) => {
            eprintln!("vm: {error:#}");
            Counts::ONE_FAILED
        }
    }
}

/// The newest kernels of the wanted series, each once; a report for each that cannot be had.
fn fetch(
    kernels: Kernels,
    folder: &Path,
    wanted: &[&str],
    reports: &mut Vec<Report>,
) -> Result<Vec<Kernel>> {
    fs::create_dir_all(kernels.folder())
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut found: Vec<Kernel> = Vec::new();
    for series in wanted {
        match kernels.newest(series) {
            Ok(kernel) if found.iter().any(|other| other.release == kernel.release) => {}
            Ok(kernel) => found.push(kernel),
            Err(error) => {
                eprintln!("vm: KERNEL {series} IS NOT TESTED: {error:#}");
                reports.push(Report {
                    kernel: (*series).to_owned(),
                    series: (*series).to_owned(),
                    rungs: Vec::new(),
                    rows: vec![("all".to_owned(), Outcome::Skipped(format!("{error:#}")))],
                    counts: Counts { skipped: 1, ..Counts::default() },
                });
            }
        }
    }
    kernels.clean();
    Ok(found)
}

/// What goes into a VM, and what is to be run there.
struct Content {
    programs: Vec<Program>,
    tasks: Vec<Task>,
    /// Another architecture than this machine's.
    target: Option<Target>,
}

/// A smoke test: what netbreath says of the kernel, and a few scenarios.
fn prepare_arm64(workspace: &Workspace, args: &Args) -> Result<Content> {
    let target = cross::ARM64;
    build::for_target(workspace, Profile::Release, target)?;
    let (package, _) = workspace.tests();
    let mut cargo = target.cargo(workspace, "build")?;
    cargo.args(["--release", "--package", package, "--bin", "init"]);
    process::run(&mut cargo).context("the VM's init did not build: see cargo's errors above")?;
    let mut cargo = target.cargo(workspace, "test")?;
    cargo.args(["--release", "--test", SELECTED_SUITE]);
    let suites = test::built(cargo, package)?;
    let suite = suites.into_iter().find(|suite| suite.name == SELECTED_SUITE);
    let suite = suite.context("cargo built no suite of scenarios")?;
    let built = |name| target.binary(workspace, Profile::Release, name);
    let place = format!("/bin/{}", suite.name);
    let names = if args.only.is_empty() {
        ARM64_SELECTED.iter().map(|name| (*name).to_owned()).collect()
    } else {
        args.only.clone()
    };
    let words = std::iter::once(place.clone()).chain(names).collect();
    let mut tasks = own_tasks();
    tasks.push(Task { name: suite.name, seconds: SUITE_SECONDS, variables: Vec::new(), words });
    let programs = vec![
        Program { built: built("init"), place: "/init".to_owned() },
        Program { built: built("netbreath"), place: NETBREATH.to_owned() },
        Program { built: suite.executable, place },
    ];
    Ok(Content { programs, tasks, target: Some(target) })
}

/// Builds what goes into the VMs, and says what is to be run there.
fn prepare(workspace: &Workspace, args: &Args) -> Result<Content> {
    // Why optimized: unoptimized, under emulation, it takes ten seconds to start.
    build::binary(workspace, Profile::Release)?;
    let (package, _) = workspace.tests();
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", package, "--bin", "init"]);
    process::run(&mut cargo).context("the VM's init did not build: see cargo's errors above")?;
    let init = workspace.binary(Profile::Debug).with_file_name("init");

    let mut programs = vec![
        Program { built: init, place: "/init".to_owned() },
        Program { built: workspace.binary(Profile::Release), place: NETBREATH.to_owned() },
    ];
    for classic in CLASSICS {
        let built = process::find(classic)
            .with_context(|| format!("there is no {classic} here, which tests compare with"))?;
        programs.push(Program { built, place: format!("/bin/{classic}") });
    }
    let mut tasks = own_tasks();
    let selects = args.selects();
    if !args.suite.is_empty() {
        tasks.retain(|task| args.suite.contains(&task.name));
    }
    for suite in test::suites(workspace, package)?.into_iter().filter(|s| s.is_integration) {
        let other = !args.suite.is_empty() && !args.suite.contains(&suite.name);
        if other || selects && suite.name != SELECTED_SUITE {
            continue;
        }
        let place = format!("/bin/{}", suite.name);
        let mut words = vec![place.clone()];
        for skipped in leave_out(&suite.name) {
            words.extend(["--skip", skipped].map(str::to_owned));
        }
        words.extend(args.only.iter().cloned());
        if selects {
            words.extend(SELECTED.iter().map(|name| (*name).to_owned()));
        }
        let variables = vec![(CONNECTIONS, FEW.to_owned())];
        for number in 1..=args.times {
            let name = match number {
                1 => suite.name.clone(),
                _ => format!("{}#{number}", suite.name),
            };
            let (variables, words) = (variables.clone(), words.clone());
            tasks.push(Task { name, seconds: SUITE_SECONDS, variables, words });
        }
        programs.push(Program { built: suite.executable, place });
    }
    Ok(Content { programs, tasks, target: None })
}

/// What netbreath itself says of a kernel.
fn own_tasks() -> Vec<Task> {
    [("load-all", &["--load-all"][..]), ("doctor", &[]), ("rungs", &["--rungs"])]
        .into_iter()
        .map(|(name, options)| Task {
            name: name.to_owned(),
            seconds: DOCTOR_SECONDS,
            variables: Vec::new(),
            words: [NETBREATH, "doctor"].iter().chain(options).map(|w| (*w).to_owned()).collect(),
        })
        .collect()
}

/// What is as well seen on the kernel at hand, and would take long here.
fn leave_out(suite: &str) -> &'static [&'static str] {
    match suite {
        // That exercises exercise something.
        "rung" => &["=none"],
        "truth" => &["+ churn"],
        _ => &[],
    }
}

/// As many at once as there are CPUs for; the reports are in the kernels' order.
fn boot_all(
    kernels: &[Kernel],
    threads: usize,
    run: impl Fn(&Kernel) -> Report + Sync,
) -> Vec<Report> {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let at_once = (cpus / threads).clamp(1, kernels.len().max(1));
    let next = Mutex::new(kernels.iter().enumerate());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some((place, kernel)) = next.lock().ok().and_then(|mut next| next.next())
                {
                    let report = run(kernel);
                    if let Ok(mut done) = done.lock() {
                        done.push((place, report));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, report)| report).collect()
}

/// Boots a kernel; an error of ours is a failure of it.
fn report(
    folder: &Path,
    kernel: &Kernel,
    accelerator: Accelerator,
    content: &Content,
    show: bool,
) -> Report {
    eprintln!("vm: booting {}", kernel.release);
    let folder = folder.join(&kernel.release);
    match boot(&folder, kernel, accelerator, content) {
        Ok(ended) => judge(kernel, &ended, &content.tasks, show, &folder),
        Err(error) => {
            eprintln!("vm: {}: {error:#}", kernel.release);
            Report {
                kernel: kernel.release.clone(),
                series: kernel.series.clone(),
                rungs: Vec::new(),
                rows: vec![("boot".to_owned(), Outcome::Failed)],
                counts: Counts::ONE_FAILED,
            }
        }
    }
}

fn boot(
    folder: &Path,
    kernel: &Kernel,
    accelerator: Accelerator,
    content: &Content,
) -> Result<Ended> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let initramfs: PathBuf = folder.join("initramfs.cpio");
    let Content { programs, tasks, target } = content;
    initramfs::write(&initramfs, programs, tasks, &kernel.modules, *target)?;
    Machine {
        kernel,
        initramfs: &initramfs,
        accelerator,
        limit: Duration::from_secs(VM_SECONDS),
        folder,
    }
    .run()
}

/// What a VM did, counted. Says on stderr what went wrong, and where all of it is.
fn judge(kernel: &Kernel, ended: &Ended, tasks: &[Task], show: bool, folder: &Path) -> Report {
    let mut rows = Vec::new();
    let mut counts = Counts::default();
    let say = |text: &str| eprintln!("vm: {}: {text}", kernel.release);
    for trouble in &ended.session.troubles {
        say(trouble);
    }
    for complaint in complaints(&ended.kernel_log) {
        say(&format!("the kernel said: {complaint}"));
    }
    let ended_well = matches!(ended.how, How::PoweredOff);
    if !ended_well {
        say(&match &ended.how {
            How::PoweredOff => String::new(),
            How::OutOfTime(limit) => format!("not done within {} s", limit.as_secs()),
            How::Panicked(why) => format!("panicked: {why}"),
            How::Died(status) => format!("qemu ended early: {status}"),
        });
        rows.push(("boot".to_owned(), Outcome::Failed));
        counts.failed += 1;
    }
    for task in tasks {
        let run = ended.session.runs.iter().find(|run| run.name == task.name);
        let Some(run) = run else {
            rows.push((task.name.clone(), Outcome::Skipped("the VM ended before".to_owned())));
            counts.skipped += 1;
            continue;
        };
        count_run(run, &mut rows, &mut counts);
        if show || !run.is_good() {
            let from = if show { 0 } else { run.printed.len().saturating_sub(LINES_SHOWN) };
            say(&format!("{} printed:", run.name));
            for line in &run.printed[from..] {
                eprintln!("    {line}");
            }
            say(&format!("{}: {}", run.name, run.end.as_deref().unwrap_or("no end was seen")));
        }
    }
    if !counts.is_good() {
        say(&format!("all that it printed is in {}", folder.display()));
    }
    say(&counts.to_string());
    let suite: Vec<_> =
        ended.session.runs.iter().flat_map(|run| rung::cells(&run.printed)).collect();
    let rungs = match ended.session.runs.iter().find(|run| run.name == "rungs") {
        Some(listing) if suite.is_empty() => rung::listed(&listing.printed),
        _ => suite,
    };
    Report { kernel: kernel.release.clone(), series: kernel.series.clone(), rungs, rows, counts }
}

/// A command of ours is one test; a suite is as many as it says.
fn count_run(run: &Run, rows: &mut Vec<(String, Outcome)>, counts: &mut Counts) {
    let tests = run.tests();
    let said = run.printed.iter().filter_map(|line| Counts::of_line(line)).next_back();
    let is_suite = said.is_some() || !tests.is_empty();
    let mut more = said.unwrap_or_default();
    if said.is_none() {
        for (_, outcome) in &tests {
            match outcome {
                Outcome::Passed => more.passed += 1,
                Outcome::Failed => more.failed += 1,
                Outcome::Skipped(_) => more.skipped += 1,
            }
        }
    }
    rows.extend(tests);
    if run.is_good() && !is_suite {
        rows.push((run.name.clone(), Outcome::Passed));
        more.passed += 1;
    } else if !run.is_good() && more.failed == 0 {
        // Why: what crashed or was late has no result that says so.
        rows.push((run.name.clone(), Outcome::Failed));
        more.failed += 1;
    }
    *counts += more;
}

/// What a kernel says when something is wrong with it, which may be ours.
fn complaints(kernel_log: &str) -> Vec<&str> {
    kernel_log
        .lines()
        .map(str::trim)
        .filter(|line| {
            ["BUG: ", "WARNING: ", "Oops: ", "detected stall", "Out of memory: "]
                .iter()
                .any(|sign| line.contains(sign))
        })
        .collect()
}

/// A row for each test, a column for each kernel.
fn table(reports: &[Report]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in reports.iter().flat_map(|report| &report.rows) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let short = |release: &str| release.split(['+', '_']).next().unwrap_or(release).to_owned();
    let kernels: Vec<String> = reports
        .iter()
        .map(|report| short(report.kernel.trim_end_matches("-cloud-amd64")))
        .collect();
    let width = names.iter().map(|name| name.len()).max().unwrap_or(0).max("kernel".len());
    let mut text = format!("{:<width$}", "kernel");
    for kernel in &kernels {
        text.push_str(&format!("  {kernel:>9}"));
    }
    text.push('\n');
    for name in names {
        text.push_str(&format!("{name:<width$}"));
        for (report, kernel) in reports.iter().zip(&kernels) {
            let width = kernel.len().max(9);
            let word = match report.rows.iter().find(|(row, _)| row == name) {
                Some((_, Outcome::Passed)) => "passed",
                Some((_, Outcome::Failed)) => "FAILED",
                Some((_, Outcome::Skipped(_))) => "skipped",
                None => "-",
            };
            text.push_str(&format!("  {word:>width$}"));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(printed: &str, end: &str) -> Run {
        Run {
            name: "kernel".to_owned(),
            printed: printed.lines().map(str::to_owned).collect(),
            end: Some(end.to_owned()),
        }
    }

    fn counted(run: &Run) -> (usize, String) {
        let (mut rows, mut counts) = (Vec::new(), Counts::default());
        count_run(run, &mut rows, &mut counts);
        (rows.len(), counts.to_string())
    }

    #[test]
    fn a_command_is_one_test() {
        assert_eq!(counted(&run("fine\n", "exit 0")), (1, "1 passed, 0 failed, 0 skipped".into()));
        assert_eq!(counted(&run("", "exit 2")), (1, "0 passed, 1 failed, 0 skipped".into()));
    }

    #[test]
    fn a_suite_is_as_many_as_it_says() {
        let printed = "test a ... ok\ntest b ... ignored, no\n\
                       test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured\n";
        assert_eq!(counted(&run(printed, "exit 0")), (2, "1 passed, 0 failed, 1 skipped".into()));
    }

    #[test]
    fn a_suite_that_did_not_end_has_failed() {
        assert_eq!(
            counted(&run("test a ... ok\ntest b ... ", "not done within 3 s")),
            (2, "1 passed, 1 failed, 0 skipped".into())
        );
    }

    #[test]
    fn the_table_has_a_column_for_each_kernel() {
        let report = |kernel: &str, rows: &[(&str, Outcome)]| Report {
            kernel: kernel.to_owned(),
            series: String::new(),
            rungs: Vec::new(),
            rows: rows.iter().map(|(name, o)| ((*name).to_owned(), o.clone())).collect(),
            counts: Counts::default(),
        };
        let reports = [
            report("6.1.0-50-cloud-amd64", &[("doctor", Outcome::Passed)]),
            report(
                "7.3.4+deb13-cloud-amd64",
                &[("doctor", Outcome::Failed), ("x", Outcome::Skipped("no".into()))],
            ),
        ];
        assert_eq!(
            table(&reports),
            "kernel   6.1.0-50      7.3.4\n\
             doctor     passed     FAILED\n\
             x               -    skipped\n"
        );
    }

    #[test]
    fn the_kernels_complaints_are_found() {
        let log = "[ 1.0] all well\n[ 2.0] WARNING: CPU: 0 PID: 1 at kernel/x.c:1\n";
        assert_eq!(complaints(log), ["[ 2.0] WARNING: CPU: 0 PID: 1 at kernel/x.c:1"]);
    }
}
