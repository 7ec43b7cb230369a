//! Delays before attempts to recover: exponential, capped, with jitter.

use std::time::Duration;

use openstudio_units::Rng;

/// The schedule of attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The nominal delay before the first attempt.
    pub base: Duration,
    /// The largest nominal delay.
    pub cap: Duration,
    /// How many attempts there are.
    pub attempts: u32,
}

impl Default for Backoff {
    /// 2, 4, 8 s, then no more. The first delay exceeds the time in which a short outage
    /// of a mobile network heals by itself; the last keeps a dead peer cheap.
    fn default() -> Self {
        Self { base: Duration::from_secs(2), cap: Duration::from_secs(8), attempts: 3 }
    }
}

impl Backoff {
    /// Returns the delay before attempt `attempt`, without jitter.
    ///
    /// # Units and range
    /// `attempt` is 1-based; 0 is treated as 1. The result is in `[base, cap]`.
    ///
    /// # Invariants
    /// Monotone in `attempt`; never overflows, also for `u32::MAX`.
    pub fn nominal(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(self.cap)
    }

    /// Returns the delay before attempt `attempt`, drawn between half of the nominal one
    /// and all of it, so that the two ends of a pair do not move in step.
    pub fn jittered(&self, attempt: u32, rng: &mut Rng) -> Duration {
        let nominal = self.nominal(attempt);
        rng.duration_between(nominal.checked_div(2).unwrap_or(nominal), nominal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn delays_double_up_to_the_cap() {
        let backoff = Backoff::default();
        let seconds: Vec<u64> = (0..6).map(|n| backoff.nominal(n).as_secs()).collect();
        assert_eq!(seconds, [2, 2, 4, 8, 8, 8]);
        assert_eq!(backoff.nominal(u32::MAX), backoff.cap);
    }

    #[test]
    fn jitter_never_falls_below_half_of_the_nominal_delay() {
        let backoff = Backoff::default();
        let mut rng = Seed::from_number(1).rng();
        for attempt in 1..=4 {
            let nominal = backoff.nominal(attempt);
            for _ in 0..200 {
                let drawn = backoff.jittered(attempt, &mut rng);
                assert!(drawn >= nominal / 2 && drawn <= nominal, "{drawn:?} of {nominal:?}");
            }
        }
    }
}
