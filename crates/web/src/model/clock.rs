//! Time for the core: monotonic, and aware of the machine's sleep.
//!
//! `performance.now()` stands still while some machines sleep; the wall clock does not,
//! but may be set. The clock follows the first and adds what the second saw beyond it,
//! so that a wake-up looks like what it is: a jump ahead.

use openstudio_units::Timestamp;

/// How far the wall clock must run ahead before that is taken for sleep, milliseconds.
/// Above any slewing of the wall clock, below the mesh's threshold for a wake-up.
const SLEEP_MS: f64 = 2_000.0;

/// Turns two readings into one timestamp that never runs backwards.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    monotonic_ms: f64,
    wall_ms: f64,
    elapsed_ms: f64,
}

impl Clock {
    /// Starts at zero.
    pub(crate) fn new(monotonic_ms: f64, wall_ms: f64) -> Self {
        Self { monotonic_ms, wall_ms, elapsed_ms: 0.0 }
    }

    /// Returns the time at these readings.
    pub(crate) fn at(&mut self, monotonic_ms: f64, wall_ms: f64) -> Timestamp {
        let by_monotonic = (monotonic_ms - self.monotonic_ms).max(0.0);
        let by_wall = wall_ms - self.wall_ms;
        let slept = by_wall - by_monotonic > SLEEP_MS;
        self.elapsed_ms += if slept { by_wall } else { by_monotonic };
        self.monotonic_ms = monotonic_ms;
        self.wall_ms = wall_ms;
        // A float that does not fit saturates, which is what a clock at its end should do.
        Timestamp::from_micros((self.elapsed_ms * 1000.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_monotonic_clock_and_ignores_small_steps_of_the_other() {
        let mut clock = Clock::new(100.0, 5_000.0);
        assert_eq!(clock.at(350.5, 5_250.0), Timestamp::from_micros(250_500));
        assert_eq!(clock.at(450.5, 3_000.0), Timestamp::from_micros(350_500));
    }

    #[test]
    fn it_never_runs_backwards() {
        let mut clock = Clock::new(100.0, 0.0);
        let before = clock.at(200.0, 100.0);
        assert_eq!(clock.at(150.0, 50.0), before);
    }

    #[test]
    fn sleep_shows_as_a_jump() {
        let mut clock = Clock::new(0.0, 0.0);
        clock.at(1_000.0, 1_000.0);
        assert_eq!(clock.at(1_010.0, 61_000.0), Timestamp::from_millis(61_000));
    }
}
