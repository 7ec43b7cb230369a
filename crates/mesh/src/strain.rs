//! Whether this machine can keep up, judged by how long the platform's operations take.
//!
//! Setting a description takes some ten milliseconds; on a machine that carries more peer
//! connections than it can, seconds. What is late there is late for want of processor time:
//! beginning anew what was under way adds the work of a set-up and makes everything later
//! still, until nothing is ever connected. So time limits are stretched by [`Strain::factor`].
//!
//! Timers are no measure: browsers clamp those of a hidden page, which may have all the
//! time in the world. Source: our policy.
//!
//! Invariants: the factor is 1, 2 or 4; it falls only after [`HOLD`] without a slow operation.

use std::time::Duration;

use openstudio_units::Timestamp;

/// From which duration an operation counts as slow, and which factor it calls for.
const LEVELS: [(Duration, u32); 2] =
    [(Duration::from_millis(1500), 4), (Duration::from_millis(500), 2)];

/// How long a slow operation counts.
const HOLD: Duration = Duration::from_secs(30);

/// How hard the machine has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Strain {
    /// When an operation was last as slow as each of [`LEVELS`].
    slow_at: [Option<Timestamp>; LEVELS.len()],
}

impl Strain {
    /// An operation took `duration` until `now`.
    pub(crate) fn on_operation(&mut self, now: Timestamp, duration: Duration) {
        for ((limit, _), slow_at) in LEVELS.iter().zip(&mut self.slow_at) {
            if duration >= *limit {
                *slow_at = Some(now);
            }
        }
    }

    /// By how much time limits are longer than on a machine that keeps up.
    pub(crate) fn factor(&self, now: Timestamp) -> u32 {
        let counts = |slow_at: &Option<Timestamp>| slow_at.is_some_and(|at| now.since(at) < HOLD);
        let mut levels = LEVELS.iter().zip(&self.slow_at);
        levels.find(|(_, slow_at)| counts(slow_at)).map_or(1, |((_, factor), _)| *factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const START: Timestamp = Timestamp::from_millis(1000);

    #[test]
    fn a_machine_that_keeps_up_gets_the_plain_limits() {
        let mut strain = Strain::default();
        strain.on_operation(START, Duration::from_millis(499));
        assert_eq!(strain.factor(START), 1);
    }

    #[test]
    fn the_slowest_operation_of_the_last_half_minute_counts() {
        let mut strain = Strain::default();
        strain.on_operation(START, Duration::from_secs(2));
        let later = START + Duration::from_secs(20);
        strain.on_operation(later, Duration::from_millis(600));
        assert_eq!(strain.factor(later), 4);
        assert_eq!(strain.factor(START + HOLD), 2);
        assert_eq!(strain.factor(later + HOLD), 1);
    }
}
