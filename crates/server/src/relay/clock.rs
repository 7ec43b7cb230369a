//! The relay's clock, which no step of the machine's moves.

use std::time::{Duration, Instant};

use openstudio_units::Timestamp;

/// Tells the time since the relay started, and the seconds since 1970 that go with it:
/// credentials are stamped and judged by the same clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RelayClock {
    pub(super) started: Instant,
    pub(super) zero_unix_seconds: u64,
}

impl RelayClock {
    /// Starts the clock, at what the machine's shows.
    pub(super) fn start() -> Self {
        let zero_unix_seconds = crate::serve::unix_millis().div_euclid(1000);
        Self { started: Instant::now(), zero_unix_seconds }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.started.elapsed()
    }

    /// Returns the seconds since 1970.
    pub(super) fn unix_time(&self) -> Duration {
        Duration::from_secs(self.zero_unix_seconds).saturating_add(self.started.elapsed())
    }
}
