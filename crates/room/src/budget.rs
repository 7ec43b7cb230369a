//! How many errors a socket may cause before it is closed.

use openstudio_units::Timestamp;

use crate::config::RoomConfig;

/// Errors spent by one socket; forgiven with time.
///
/// # Invariants
/// `spent` never exceeds the burst by more than one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorBudget {
    spent: u32,
    /// Up to when errors have been forgiven.
    forgiven_until: Timestamp,
}

impl ErrorBudget {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { spent: 0, forgiven_until: now }
    }

    /// Notes one error; returns whether the budget still holds.
    pub(crate) fn spend(&mut self, now: Timestamp, config: &RoomConfig) -> bool {
        let seconds = now.since(self.forgiven_until).as_secs();
        if seconds > 0 {
            let forgiven = seconds.saturating_mul(config.errors_forgiven_per_second.into());
            self.spent = self.spent.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
            self.forgiven_until = now;
        }
        if self.spent > config.error_burst {
            return false;
        }
        self.spent = self.spent.saturating_add(1);
        self.spent <= config.error_burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_borne_and_forgiven_with_time() {
        let config =
            RoomConfig { error_burst: 3, errors_forgiven_per_second: 2, ..RoomConfig::default() };
        let mut budget = ErrorBudget::new(Timestamp::ZERO);
        for _ in 0..3 {
            assert!(budget.spend(Timestamp::ZERO, &config));
        }
        assert!(!budget.spend(Timestamp::from_millis(999), &config));
        assert!(budget.spend(Timestamp::from_millis(1_000), &config));
        assert!(!budget.spend(Timestamp::from_millis(1_000), &config));
        assert!(budget.spend(Timestamp::from_millis(60_000), &config));
    }
}
