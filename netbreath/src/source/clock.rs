//! The clocks of events.

/// Nanoseconds since boot.
pub fn boot_time() -> u64 {
    clock(libc::CLOCK_BOOTTIME) as u64
}

/// Wall-clock time of boot, nanoseconds since the epoch.
pub fn boot() -> i64 {
    // We may be put aside between one clock and the other: of a few tries, the one that took
    // the shortest time is right.
    const TRIES: usize = 5;
    let tries = (0..TRIES).map(|_| {
        let before = clock(libc::CLOCK_BOOTTIME);
        let wall = clock(libc::CLOCK_REALTIME);
        let took = clock(libc::CLOCK_BOOTTIME) - before;
        (took, wall - before - took / 2)
    });
    tries.min().map_or(0, |(_, boot)| boot)
}

/// Nanoseconds since boot, without the time that the machine slept.
pub fn awake_time() -> u64 {
    clock(libc::CLOCK_MONOTONIC) as u64
}

fn clock(id: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec; cannot fail for these clocks.
    unsafe { libc::clock_gettime(id, &raw mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
