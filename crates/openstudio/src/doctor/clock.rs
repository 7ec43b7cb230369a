//! Is the clock right? Certificates and links expire by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::finding::Finding;
use super::studio::Studio;

const CLOCK: &str = "clock";

/// When this program was built, seconds since 1970.
const BUILT: &str = env!("OPENSTUDIO_BUILT");

/// A year, seconds.
const YEAR: u64 = 31_556_952;

/// How much the studio's clock and this one may differ: a `Date` has whole seconds, and the
/// answer takes its time.
const TOLERANCE: Duration = Duration::from_secs(5);

const ADVICE: &str = "set the clock, and let it be kept (timedatectl set-ntp true)";

pub(crate) fn check(studio: Option<&Studio>) -> Finding {
    judge(SystemTime::now(), studio.and_then(|studio| studio.date))
}

fn judge(now: SystemTime, compared: Option<(SystemTime, SystemTime)>) -> Finding {
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // A machine without a battery for its clock begins in 1970, or when its system was made.
    let built = BUILT.parse::<u64>().unwrap_or_default();
    if seconds / YEAR < built / YEAR {
        let words = "the clock is before the year in which this program was built";
        return Finding::fail(CLOCK, words, ADVICE);
    }
    let Some((date, came)) = compared else {
        return Finding::ok(CLOCK, "it is not before the year in which this program was built");
    };
    let difference = date.duration_since(came).or_else(|_| came.duration_since(date));
    let difference = difference.unwrap_or_default();
    if difference > TOLERANCE {
        let words = format!("it differs from the studio's by {} s", difference.as_secs());
        return Finding::warn(CLOCK, words, ADVICE);
    }
    Finding::ok(CLOCK, "it agrees with the studio's")
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_clock_is_judged_by_the_build_and_by_the_studio() {
        let now = SystemTime::now();
        assert_eq!(judge(now, None).level(), Level::Ok);
        assert_eq!(judge(UNIX_EPOCH, None).level(), Level::Fail);
        let second = Duration::from_secs(1);
        assert_eq!(judge(now, Some((now - second, now))).level(), Level::Ok);
        assert_eq!(judge(now, Some((now - 60 * second, now))).level(), Level::Warn);
        assert_eq!(judge(now, Some((now + 60 * second, now))).level(), Level::Warn);
    }
}
