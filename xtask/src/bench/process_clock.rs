//! What other processes, and the machine, have used so far; and the time.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// CPU time of all its threads, the ended ones too. Why its clock and not
/// `/proc/PID/stat`: that one counts in steps of 10 ms.
pub fn cpu(pid: u32) -> Result<Duration> {
    let mut clock = 0;
    // SAFETY: the pointer is to a live clockid_t.
    let code = unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) };
    if code != 0 {
        bail!("process {pid} has no CPU clock: {}", std::io::Error::from_raw_os_error(code));
    }
    read(clock).with_context(|| format!("cannot read the CPU clock of process {pid}"))
}

/// CPU time of this process.
pub fn own_cpu() -> Result<Duration> {
    read(libc::CLOCK_PROCESS_CPUTIME_ID).context("cannot read the CPU clock")
}

/// Wall-clock time, in nanoseconds since the epoch.
pub fn wall() -> Result<u64> {
    let now = read(libc::CLOCK_REALTIME).context("cannot read the time of day")?;
    u64::try_from(now.as_nanos()).context("the time of day is too late")
}

fn read(clock: libc::clockid_t) -> Result<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
}

/// The most memory it has had at once, in bytes. Why not what wait4 gives: that starts
/// with the memory of the process it was forked from.
pub fn peak_memory(pid: u32) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
    let kib = number(&status, "VmHWM:").context("the kernel tells no peak of memory")?;
    Ok(kib * 1024)
}

/// How often its threads went to sleep by themselves.
pub fn voluntary_switches(pid: u32) -> Result<u64> {
    let folder = format!("/proc/{pid}/task");
    let mut sum = 0;
    for task in fs::read_dir(&folder).with_context(|| format!("cannot read {folder}"))? {
        let file = format!("{}/status", task?.path().display());
        let status = match fs::read_to_string(&file) {
            Ok(status) => status,
            // The thread has ended meanwhile.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => {
                continue;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {file}")),
        };
        sum += number(&status, "voluntary_ctxt_switches:")
            .context("the kernel counts no context switches")?;
    }
    Ok(sum)
}

/// The function of the kernel that it sleeps in; empty while it runs.
pub fn sleeps_in(pid: u32) -> Result<String> {
    let file = format!("/proc/{pid}/wchan");
    fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))
}

/// CPU time of the whole machine so far: spent, and spent or idle.
pub fn machine() -> Result<(u64, u64)> {
    let file = "/proc/stat";
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
    machine_times(&text).with_context(|| format!("{file} does not begin with the CPU times"))
}

fn machine_times(text: &str) -> Option<(u64, u64)> {
    let times: Vec<u64> = text
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        // Why eight: the time of guests, which follows, is in that of users already.
        .take(8)
        .map(|time| time.parse().ok())
        .collect::<Option<_>>()?;
    let all = times.iter().sum::<u64>();
    // Idle, and idle while a disk is waited for.
    let idle = times.get(3)? + times.get(4)?;
    Some((all - idle, all))
}

fn number(status: &str, key: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_by_its_key() {
        let status = "VmPeak:\t  9000 kB\nVmHWM:\t  1234 kB\n\
                      voluntary_ctxt_switches:\t150\nnonvoluntary_ctxt_switches:\t545\n";
        assert_eq!(number(status, "VmHWM:"), Some(1234));
        assert_eq!(number(status, "voluntary_ctxt_switches:"), Some(150));
        assert_eq!(number(status, "VmSwap:"), None);
    }

    #[test]
    fn the_machine_is_idle_in_two_ways() {
        let stat = "cpu  10 1 20 300 4 5 6 7 8 9\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(machine_times(stat), Some((49, 353)));
        assert_eq!(machine_times("intr 1\n"), None);
    }

    #[test]
    fn this_process_is_measured() {
        let pid = std::process::id();
        assert!(cpu(pid).expect("a clock") > Duration::ZERO);
        assert!(peak_memory(pid).expect("a peak") > 0);
        voluntary_switches(pid).expect("a count");
    }
}
