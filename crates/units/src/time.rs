//! Time as the core sees it: told from outside, printable, with a zero.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

/// Microseconds since the driver started. Not wall-clock time.
///
/// # Invariants
/// A driver never lets it run backwards; arithmetic saturates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment at which the driver started.
    pub const ZERO: Self = Self(0);

    /// Makes a timestamp of microseconds since the driver started.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Makes a timestamp of milliseconds since the driver started.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// Returns microseconds since the driver started.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns whole milliseconds since the driver started.
    pub const fn as_millis(self) -> u64 {
        self.0.div_euclid(1000)
    }

    /// Returns how long ago `earlier` was; zero if it lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0.div_euclid(1_000_000), self.0.rem_euclid(1_000_000))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::ZERO.since(Timestamp::from_millis(5)), Duration::ZERO);
        assert_eq!((Timestamp::from_millis(1) + Duration::MAX).as_micros(), u64::MAX);
    }

    #[test]
    fn it_prints_as_seconds() {
        assert_eq!(Timestamp::from_millis(1_250).to_string(), "1.250000s");
    }
}
