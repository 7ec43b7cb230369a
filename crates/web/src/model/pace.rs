//! How often the meters move: sixty times a second on a page that keeps up, five times on one
//! that does not, so that meters never take from the sound what a slow machine lacks.
//!
//! A page keeps up as long as its tick, a timer of 100 ms, comes in time. Pure: the time is
//! handed in.

use std::time::Duration;

use openstudio_units::Timestamp;

/// How often levels are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Pace {
    /// Never: nobody looks.
    #[default]
    Off,
    /// Five times a second.
    Slow,
    /// Sixty times a second.
    Full,
}

/// A tick that comes later than this after the one before is late.
const LATE: Duration = Duration::from_millis(160);

/// How many ticks in a row must be in time: three seconds.
const CALM: u32 = 30;

/// Watches the ticks.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    last: Option<Timestamp>,
    in_time: u32,
}

impl Ticks {
    /// A tick came; returns how fast the meters may move.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Pace {
        let late = self.last.is_none_or(|last| now.since(last) > LATE);
        self.last = Some(now);
        self.in_time = if late { 0 } else { self.in_time.saturating_add(1) };
        if self.in_time >= CALM { Pace::Full } else { Pace::Slow }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_page_that_keeps_up_for_three_seconds_has_fast_meters() {
        let mut ticks = Ticks::default();
        let paces: Vec<Pace> = (0..32).map(|n| ticks.tick(at(n * 100))).collect();
        assert_eq!(paces[29], Pace::Slow);
        assert_eq!(paces[30], Pace::Full);
    }

    #[test]
    fn one_late_tick_makes_them_slow_again() {
        let mut ticks = Ticks::default();
        for n in 0..40 {
            ticks.tick(at(n * 100));
        }
        assert_eq!(ticks.tick(at(4200)), Pace::Slow);
        assert_eq!(ticks.tick(at(4300)), Pace::Slow);
    }
}
