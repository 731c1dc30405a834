//! When Linux's timers run off: later than asked for, by up to an eighth, since the kernel
//! sorts timers into a wheel that is the coarser the farther they are away
//! (kernel/time/timer.c). Of TIME_WAIT's 60 s it makes up to 65.

/// The kernel's clock of timers, beside the time since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// Ticks a second.
    hz: u64,
    /// The number of ticks at `at`, and that moment in nanoseconds since boot.
    ticks: u64,
    at: u64,
}

/// Bits by which a level is coarser than the one below.
const LEVEL_SHIFT: u32 = 3;
const LEVELS: u32 = 9;
/// Places on a level.
const LEVEL_SIZE: u64 = 64;

const SECOND: u64 = 1_000_000_000;

impl Wheel {
    /// What a timer of up to a minute can be late by, whatever the kernel's ticks.
    pub const COARSEST: u64 = 5_200_000_000;

    /// From the number of ticks and `CLOCK_MONOTONIC` at one moment, and the time since
    /// boot at that moment. Nothing where that does not tell the ticks a second.
    pub fn new(ticks: u64, monotonic: u64, at: u64) -> Option<Wheel> {
        /// The count begins 300 s before it would need its 33rd bit.
        const EARLY: i128 = 300;
        /// What kernels are built with (CONFIG_HZ).
        const USUAL: [u64; 5] = [100, 250, 300, 1000, 1024];
        let seconds = i128::from(monotonic) - EARLY * i128::from(SECOND);
        // Near zero, any frequency would do.
        if seconds.abs() < 10 * i128::from(SECOND) {
            return None;
        }
        let since = i128::from(ticks) - (1 << 32);
        let hz = u64::try_from(since * i128::from(SECOND) / seconds).ok()?;
        let hz = USUAL.into_iter().find(|usual| usual.abs_diff(hz) <= usual / 50)?;
        Some(Wheel { hz, ticks, at })
    }

    /// Ticks a second.
    pub const fn hz(&self) -> u64 {
        self.hz
    }

    /// When a timer runs off that is set at `at` to `timeout` later.
    pub fn end_of(&self, at: u64, timeout: u64) -> u64 {
        let now = self.ticks_at(at);
        self.end(now + timeout.div_ceil(SECOND / self.hz), timeout)
    }

    /// When a timer runs off that was to run off at `expires`, and was set `timeout` before.
    pub fn end_at(&self, expires: u64, timeout: u64) -> u64 {
        self.end(self.ticks_at(expires) + 1, timeout)
    }

    fn end(&self, expires: u64, timeout: u64) -> u64 {
        let delta = timeout / (SECOND / self.hz);
        let level = (1..LEVELS)
            .find(|level| delta < (LEVEL_SIZE - 1) << ((level - 1) * LEVEL_SHIFT))
            .unwrap_or(LEVELS)
            - 1;
        let shift = level * LEVEL_SHIFT;
        let expiry = ((expires >> shift) + 1) << shift;
        self.time_of(expiry)
    }

    fn ticks_at(&self, at: u64) -> u64 {
        let per_tick = SECOND / self.hz;
        if at >= self.at {
            self.ticks + (at - self.at) / per_tick
        } else {
            self.ticks.saturating_sub((self.at - at).div_ceil(per_tick))
        }
    }

    fn time_of(&self, ticks: u64) -> u64 {
        // One more: the moment within its tick is not known.
        self.at + (ticks + 1).saturating_sub(self.ticks) * (SECOND / self.hz)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wheel(hz: u64) -> Wheel {
        Wheel { hz, ticks: 1 << 32, at: 300 * SECOND }
    }

    #[test]
    fn the_frequency_follows_from_two_clocks() {
        for hz in [100, 250, 300, 1000] {
            for seconds in [20_u64, 1473, 40_000_000] {
                let ticks = (1 << 32) + hz * seconds - 300 * hz;
                let wheel = Wheel::new(ticks, seconds * SECOND, 7).unwrap();
                assert_eq!(wheel.hz(), hz);
            }
        }
        assert_eq!(Wheel::new(1 << 32, 300 * SECOND, 0), None);
        assert_eq!(Wheel::new(123, 5000 * SECOND, 0), None);
    }

    #[test]
    fn a_timer_runs_off_late_but_not_early_nor_by_more_than_an_eighth() {
        for hz in [100, 250, 300, 1000] {
            let wheel = wheel(hz);
            for start in (0..1000).map(|i| 300 * SECOND + i * 12_345_678) {
                for timeout in [SECOND, 2 * SECOND, 60 * SECOND] {
                    let late = wheel.end_of(start, timeout) - start - timeout;
                    let tick = SECOND / hz;
                    assert!(late <= timeout / 8 + 3 * tick, "{hz} {timeout} {late}");
                    assert!(late <= Wheel::COARSEST, "{hz} {timeout} {late}");
                }
            }
        }
    }

    #[test]
    fn time_wait_is_rounded_to_512_ticks_at_250_a_second() {
        let wheel = wheel(250);
        // (0 + 15,000) / 512 = 29.3: the timer's place is the 30th.
        let end = wheel.end_of(300 * SECOND, 60 * SECOND);
        assert_eq!((end - 300 * SECOND) / (SECOND / 250), 30 * 512 + 1);
    }
}
