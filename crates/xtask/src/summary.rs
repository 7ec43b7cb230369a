//! Adding up what the suites say of themselves into one closing line.

use std::fmt;

/// Tests (or checks) of one suite, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// A single check that is no test suite, such as the formatter's.
    pub(crate) fn check(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
    }

    /// The counts in the text of `cargo test`, nextest or a WebAssembly runner.
    pub(crate) fn of_rust(text: &str) -> Self {
        let mut counts = Self::default();
        let lines = || text.lines().map(str::trim);
        let summary = lines().rev().find_map(|line| line.strip_prefix("Summary ["));
        if let Some(summary) = summary.and_then(|line| line.split_once(" run:")) {
            // Nextest also repeats what the harness of a failed test said.
            counts.add_words(summary.1);
            return counts;
        }
        for results in lines().filter_map(|line| line.strip_prefix("test result:")) {
            counts.add_words(results);
        }
        counts
    }

    /// The counts in the TAP output of Node's runner.
    pub(crate) fn of_tap(text: &str) -> Self {
        let count = |name: &str| {
            let line =
                text.lines().rev().find_map(|line| line.strip_prefix("# ")?.strip_prefix(name));
            line.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
        };
        Self {
            passed: count("pass "),
            failed: count("fail ") + count("cancelled "),
            skipped: count("skipped "),
        }
    }

    /// Whatever the suite said, a command that failed has a failure in it.
    pub(crate) fn or_failed(mut self, success: bool) -> Self {
        if !success && self.failed == 0 {
            self.failed = 1;
        }
        self
    }

    /// Adds phrases such as `12 passed (1 slow), 1 failed; 2 ignored`.
    fn add_words(&mut self, results: &str) {
        let mut number = 0;
        for word in results.split(|c: char| !c.is_alphanumeric()) {
            match (word.parse(), word) {
                (Ok(parsed), _) => number = parsed,
                (_, "passed") => self.passed += number,
                (_, "failed") => self.failed += number,
                (_, "ignored" | "skipped") => self.skipped += number,
                _ => {}
            }
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts { passed, failed, skipped }
    }

    #[test]
    fn suites_of_cargo_test_are_added_up() {
        let text = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out\n\
                    test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured";
        assert_eq!(Counts::of_rust(text), counts(5, 1, 1));
    }

    #[test]
    fn nextest_says_it_in_one_line() {
        let text = "test result: FAILED. 0 passed; 1 failed; 0 ignored\n     \
                    Summary [   0.106s] 14 tests run: 12 passed (1 slow), 2 failed, 3 skipped";
        assert_eq!(Counts::of_rust(text), counts(12, 2, 3));
    }

    #[test]
    fn cancelled_tests_of_node_have_failed() {
        let text = "# tests 6\n# pass 4\n# fail 1\n# cancelled 1\n# skipped 0";
        assert_eq!(Counts::of_tap(text), counts(4, 2, 0));
    }

    #[test]
    fn a_crash_without_a_count_is_a_failure() {
        assert_eq!(Counts::of_rust("error: could not compile").or_failed(false), counts(0, 1, 0));
    }
}
