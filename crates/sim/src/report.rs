//! Many seeds together: what `openstudio sim` prints.

use std::time::Duration;

use crate::run::Outcome;

/// The sum of many seeds.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How many seeds were run.
    pub seeds: u64,
    /// How many of them broke a rule.
    pub violations: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// How many troubles there were.
    pub faults: u64,
    /// How often a person pressed *Retry*.
    pub retries: u64,
    /// A hash of the hashes of all seeds, in their order.
    pub hash: u64,
    full_mesh: Vec<Duration>,
}

/// Times from the last trouble of an episode until all were connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Percentiles {
    /// Half of all took no longer.
    pub p50: Duration,
    /// All but a twentieth took no longer.
    pub p95: Duration,
    /// None took longer.
    pub max: Duration,
}

impl Summary {
    /// Adds what one seed gave.
    pub fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.violations += u64::from(outcome.violation.is_some());
        self.simulated += outcome.simulated;
        self.faults += outcome.faults;
        self.retries += outcome.retries;
        self.hash = self.hash.rotate_left(1) ^ outcome.hash;
        self.full_mesh.extend(&outcome.full_mesh);
    }

    /// Returns the times to the full mesh.
    pub fn percentiles(&self) -> Percentiles {
        let mut sorted = self.full_mesh.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        let at =
            |hundredths: usize| sorted.get(last * hundredths / 100).copied().unwrap_or_default();
        Percentiles { p50: at(50), p95: at(95), max: at(100) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_episodes() {
        let mut summary = Summary::default();
        assert_eq!(summary.percentiles(), Percentiles::default());
        summary.full_mesh = (0..=100).rev().map(Duration::from_millis).collect();
        let ms = Duration::from_millis;
        let expected = Percentiles { p50: ms(50), p95: ms(95), max: ms(100) };
        assert_eq!(summary.percentiles(), expected);
    }
}
