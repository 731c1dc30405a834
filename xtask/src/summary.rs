//! Counting tests, out of what libtest prints.

use std::fmt;
use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl Counts {
    pub const ONE_FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };

    /// Out of `test result: ok. 3 passed; 0 failed; 1 ignored; ...`; other lines give None.
    pub fn of_line(line: &str) -> Option<Self> {
        let (_verdict, numbers) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let number = |word: &str| {
            numbers.split(';').find_map(|part| {
                part.trim()
                    .strip_suffix(word)
                    .and_then(|number| number.trim().parse::<usize>().ok())
            })
        };
        Some(Self {
            passed: number("passed")?,
            failed: number("failed")?,
            skipped: number("ignored")?,
        })
    }

    /// Some that libtest counted as passed have said that they could not run.
    pub fn were_skipped(&mut self, number: usize) {
        let moved = number.min(self.passed);
        self.passed -= moved;
        self.skipped += moved;
    }

    /// A run in which nothing ran shows nothing.
    pub fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 7 filtered out; finished in 0.05s";
        let counts = Counts { passed: 12, failed: 0, skipped: 3 };
        assert_eq!(Counts::of_line(line), Some(counts));
    }

    #[test]
    fn a_failed_result_line_is_counted() {
        let line = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";
        let counts = Counts { passed: 1, failed: 2, skipped: 0 };
        assert_eq!(Counts::of_line(line), Some(counts));
    }

    #[test]
    fn other_lines_are_not_counted() {
        for line in [
            "",
            "running 3 tests",
            "test result ... ok",
            "test result: ok. soon",
            "test result: ok. many passed; 0 failed; 0 ignored",
        ] {
            assert_eq!(Counts::of_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_last_line_is_plain() {
        let mut counts = Counts { passed: 5, failed: 0, skipped: 1 };
        counts += Counts::ONE_FAILED;
        counts.were_skipped(2);
        assert_eq!(counts.to_string(), "3 passed, 1 failed, 3 skipped");
    }

    #[test]
    fn more_skips_than_tests_hide_nothing() {
        let mut counts = Counts { passed: 1, ..Counts::default() };
        counts.were_skipped(4);
        assert_eq!(counts.to_string(), "0 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn nothing_run_is_not_good() {
        assert!(!Counts::default().is_good());
        assert!(!Counts::ONE_FAILED.is_good());
    }
}
