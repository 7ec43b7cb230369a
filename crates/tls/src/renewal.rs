//! When a certificate is to be renewed, and how long to wait after a failure. Told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Reads the system's clock.
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
    }

    /// Returns the time from here to `later`; zero if that is past.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_secs(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }
}

/// The shortest wait after a failure. Let's Encrypt lets five validations of a name fail in an
/// hour; doubled from here, four do.
const FIRST_WAIT: Duration = Duration::from_mins(5);

/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_hours(12);

/// When a certificate is renewed: after two thirds of its life, and then again and again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Failures one after another.
    failures: u32,
    last: Option<UnixTime>,
}

impl Renewal {
    /// Returns when a certificate with these bounds is to be renewed.
    pub fn due(not_before: UnixTime, not_after: UnixTime) -> UnixTime {
        let life = not_after.0.saturating_sub(not_before.0).max(0);
        UnixTime(not_before.0.saturating_add(life / 3 * 2))
    }

    /// Notes that an attempt failed.
    pub fn failed(&mut self, now: UnixTime) {
        self.failures = self.failures.saturating_add(1);
        self.last = Some(now);
    }

    /// Notes that an attempt succeeded.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Returns how long to wait until the next attempt; `due` is when the certificate is to be
    /// renewed, none if there is none yet. `jitter`, of 255, adds up to a tenth of the wait
    /// after a failure, so that many studios do not ask together.
    pub fn wait(&self, now: UnixTime, due: Option<UnixTime>, jitter: u8) -> Duration {
        let until_due = due.map_or(Duration::ZERO, |due| now.until(due));
        let Some(last) = self.last else { return until_due };
        let nominal = Self::nominal(self.failures);
        let wait = nominal + nominal / 10 * u32::from(jitter) / u32::from(u8::MAX);
        // A clock that was set back must not make the wait longer.
        let passed = last.until(now);
        until_due.max(wait.saturating_sub(passed))
    }

    /// The wait after so many failures, 5 min to 12 h.
    fn nominal(failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const START: UnixTime = UnixTime(1_800_000_000);

    fn later(seconds: i64) -> UnixTime {
        UnixTime(START.0 + seconds)
    }

    #[test]
    fn it_is_renewed_after_two_thirds_of_its_life() {
        let due = Renewal::due(START, later(90 * DAY));
        assert_eq!(due, later(60 * DAY));
        let renewal = Renewal::default();
        assert_eq!(renewal.wait(START, Some(due), 0), Duration::from_hours(24 * 60));
        assert_eq!(renewal.wait(later(61 * DAY), Some(due), 0), Duration::ZERO);
        assert_eq!(renewal.wait(START, None, 0), Duration::ZERO, "there is none yet");
    }

    #[test]
    fn bounds_that_are_no_life_are_due_at_once() {
        assert_eq!(Renewal::due(START, later(-DAY)), START);
        assert!(Renewal::due(UnixTime(i64::MIN), UnixTime(i64::MAX)).0 < i64::MAX);
    }

    #[test]
    fn each_failure_doubles_the_wait_to_half_a_day() {
        let mut renewal = Renewal::default();
        let waits: Vec<u64> = (0..10)
            .map(|_| {
                renewal.failed(START);
                renewal.wait(START, None, 0).as_secs() / 60
            })
            .collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 640, 720, 720]);
        assert_eq!(renewal.wait(START, None, 255), Duration::from_mins(792));
        assert_eq!(renewal.wait(later(3_600), None, 0), Duration::from_hours(11));
        assert_eq!(renewal.wait(later(-DAY), None, 0), Duration::from_hours(12), "set back");
        renewal.succeeded();
        assert_eq!(renewal.wait(START, None, 0), Duration::ZERO);
        for _ in 0..100 {
            renewal.failed(START);
        }
        assert_eq!(renewal.wait(START, None, 0), LONGEST_WAIT);
    }
}
