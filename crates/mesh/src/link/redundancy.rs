//! Whether what is sent carries earlier packets again (RFC 2198), by the loss that the other
//! side measures.
//!
//! Told each new receiver report, which covers some seconds (RFC 3550 §6.2); it does not know
//! how redundancy is made. Source: our policy.
//!
//! Invariants: it comes on after one report of much loss or [`STEADY_REPORTS`] of some; it goes
//! off only when every report of [`CALM`] was below [`LOSS_CALM`], so it changes no more often
//! than that, whatever the loss does around the thresholds.

use std::time::Duration;

use openstudio_units::Timestamp;

/// Loss from which one report is enough.
const LOSS_HIGH: f64 = 0.05;

/// Loss from which [`STEADY_REPORTS`] in a row are.
const LOSS_SOME: f64 = 0.025;

/// Loss below which a link is calm.
const LOSS_CALM: f64 = 0.01;

const STEADY_REPORTS: u32 = 2;

/// How long a link must be calm before redundancy goes off.
const CALM: Duration = Duration::from_secs(30);

/// The redundancy of one connection.
#[derive(Debug, Clone, Hash, Default)]
pub(crate) struct Redundancy {
    on: bool,
    /// Reports in a row with [`LOSS_SOME`] or more.
    lossy: u32,
    calm_since: Option<Timestamp>,
}

impl Redundancy {
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Takes the loss of a new report, 0 to 1. Returns whether redundancy is wanted, if that
    /// is another answer than before.
    pub(crate) fn on_report(&mut self, now: Timestamp, loss: f64) -> Option<bool> {
        let lossy = loss >= LOSS_SOME;
        self.lossy = if lossy { self.lossy.saturating_add(1).min(STEADY_REPORTS) } else { 0 };
        if loss < LOSS_CALM {
            self.calm_since.get_or_insert(now);
        } else {
            self.calm_since = None;
        }
        let wanted = if self.on {
            self.calm_since.is_none_or(|since| now.since(since) < CALM)
        } else {
            loss >= LOSS_HIGH || self.lossy >= STEADY_REPORTS
        };
        (std::mem::replace(&mut self.on, wanted) != wanted).then_some(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_units::Seed;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Reports every 5 s, as browsers send them for audio.
    fn changes(losses: impl IntoIterator<Item = f64>) -> Vec<(u64, bool)> {
        let mut redundancy = Redundancy::default();
        let times = (5_u64..).step_by(5);
        times
            .zip(losses)
            .filter_map(|(second, loss)| {
                let now = Timestamp::ZERO + Duration::from_secs(second);
                redundancy.on_report(now, loss).map(|on| (second, on))
            })
            .collect()
    }

    #[test]
    fn much_loss_turns_it_on_with_the_first_report_and_some_with_the_second() {
        assert_eq!(changes([0.0, 0.05]), [(10, true)]);
        assert_eq!(changes([0.025, 0.025]), [(10, true)]);
        assert_eq!(changes([0.049, 0.0, 0.049, 0.024, 0.049]), []);
    }

    #[test]
    fn thirty_seconds_of_calm_turn_it_off() {
        let calm = [0.0; 6];
        assert_eq!(changes([&[0.1], &calm[..]].concat()), [(5, true)]);
        assert_eq!(changes([&[0.1], &calm[..], &[0.0]].concat()), [(5, true), (40, false)]);
    }

    #[test]
    fn one_report_that_is_not_calm_begins_the_calm_again() {
        let losses = [&[0.1][..], &[0.0; 6], &[0.01], &[0.0; 6]].concat();
        assert_eq!(changes(losses.clone()), [(5, true)]);
        assert_eq!(changes([losses, vec![0.0]].concat()), [(5, true), (75, false)]);
    }

    #[test]
    fn loss_around_a_threshold_does_not_make_it_flap() {
        for seed in 1..=20 {
            let mut rng = Seed::from_number(seed).rng();
            for threshold in [LOSS_HIGH, LOSS_SOME] {
                let around = std::iter::from_fn(|| {
                    let thousandths = f64::from(u32::try_from(rng.between(0, 20)).ok()?);
                    Some(threshold - 0.01 + thousandths / 1000.0)
                });
                let changes = changes(around.take(500));
                assert!(changes.len() <= 1, "seed {seed}: {changes:?}");
            }
        }
        // From calm to loss and back with every report: it stays on.
        let alternating = [0.0, 0.06].into_iter().cycle().take(500);
        assert_eq!(changes(alternating), [(10, true)]);
    }

    #[test]
    fn what_is_no_number_changes_nothing() {
        assert_eq!(changes([f64::NAN; 20]), []);
        assert_eq!(changes([&[1.0][..], &[f64::NAN; 20]].concat()), [(5, true)]);
    }
}
