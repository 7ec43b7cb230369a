//! How a meter moves: from levels, sixty times a second, to positions on the screen.
//!
//! The bar is a peak meter with the fall of IEC 60268-18 (20 dB in 1.7 s); a mark stays at
//! the highest position for a while; *speaks* says whether somebody is to be shown as the one
//! who talks. Pure: the time is the number of looks.

/// How many positions a meter has: half a decibel each.
pub(crate) const STEPS: u8 = 120;

/// The level at which a meter leaves its rest, dBFS.
const FLOOR_DB: f32 = -60.0;

/// Looks a second, as the desk sends levels.
const LOOKS_PER_SECOND: u16 = 60;

/// How far the bar falls per look, in steps.
const FALL: f32 = (20.0 / 1.7) * 2.0 / 60.0;

/// For how many looks the mark stays: a second and a half.
const HOLD: u16 = LOOKS_PER_SECOND * 3 / 2;

/// How far the mark falls per look after that, in steps.
const MARK_FALL: u8 = 2;

/// From which position on somebody speaks: −45 dBFS, above the noise of a quiet room.
const SPEAKS_FROM: u8 = 30;

/// For how many looks that is shown longer than it lasts: the pauses between words.
const SPEAKS_FOR: u16 = LOOKS_PER_SECOND * 2 / 5;

/// Returns the highest of some samples, linear.
pub(crate) fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Returns the position for a linear peak: 0 at rest, [`STEPS`] at full scale. What is no
/// number counts as silence.
pub(crate) fn position(peak: f32) -> f32 {
    let db = 20.0 * peak.log10();
    let share = (db - FLOOR_DB) / -FLOOR_DB;
    if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) * f32::from(STEPS) }
}

/// Returns a position as a number of 0 to 100, for assistive technology.
pub(crate) fn percent(step: u8) -> u8 {
    let full = u16::from(STEPS);
    u8::try_from(u16::from(step.min(STEPS)) * 100 / full).unwrap_or(100)
}

/// How far the bar must be from where it stands to be moved: a steady voice then moves nothing,
/// and a screen without movement costs nothing.
const LEAST_MOVE: u8 = 3;

/// What a meter shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shown {
    /// The bar.
    pub(crate) bar: u8,
    /// The mark at the highest position of late.
    pub(crate) mark: u8,
    /// Whether somebody speaks.
    pub(crate) speaks: bool,
}

/// A meter in motion.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needle {
    bar: f32,
    shown: u8,
    mark: u8,
    mark_stays: u16,
    speaks_for: u16,
}

impl Needle {
    /// Takes the peak since the last look; returns what to show.
    pub(crate) fn look(&mut self, peak: f32) -> Shown {
        let measured = position(peak);
        self.bar = measured.max(self.bar - FALL).max(0.0);
        let bar = self.bar.round() as u8;
        let ends = bar == 0 || bar == STEPS;
        if ends || bar.abs_diff(self.shown) >= LEAST_MOVE {
            self.shown = bar;
        }
        let bar = self.shown;
        if bar >= self.mark {
            (self.mark, self.mark_stays) = (bar, HOLD);
        } else if self.mark_stays > 0 {
            self.mark_stays -= 1;
        } else {
            self.mark = self.mark.saturating_sub(MARK_FALL).max(bar);
        }
        if measured >= f32::from(SPEAKS_FROM) {
            self.speaks_for = SPEAKS_FOR;
        } else {
            self.speaks_for = self.speaks_for.saturating_sub(1);
        }
        Shown { bar, mark: self.mark, speaks: self.speaks_for > 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(needle: &mut Needle, peak: f32, count: u16) -> Shown {
        (0..count).fold(Shown::default(), |_, _| needle.look(peak))
    }

    #[test]
    fn silence_rests_and_full_scale_fills() {
        assert_eq!(Needle::default().look(0.0), Shown::default());
        assert_eq!(Needle::default().look(f32::NAN), Shown::default());
        assert_eq!(Needle::default().look(1.0).bar, STEPS);
        assert_eq!(Needle::default().look(f32::INFINITY).bar, STEPS);
        assert_eq!((percent(0), percent(STEPS), percent(STEPS / 2)), (0, 100, 50));
    }

    #[test]
    fn the_bar_rises_at_once_and_falls_twenty_decibels_in_1_7_seconds() {
        let mut needle = Needle::default();
        assert_eq!(needle.look(1.0).bar, STEPS);
        let after = looks(&mut needle, 0.0, 102);
        assert!(after.bar.abs_diff(STEPS - 40) < LEAST_MOVE, "{}", after.bar);
        assert_eq!(needle.look(1.0).bar, STEPS);
    }

    #[test]
    fn a_steady_voice_moves_nothing() {
        let mut needle = Needle::default();
        let first = needle.look(0.1);
        for peak in [0.102, 0.099, 0.1, 0.103, 0.098] {
            let shown = looks(&mut needle, peak, 7);
            assert_eq!((shown.bar, shown.mark), (first.bar, first.mark), "{peak}");
        }
    }

    #[test]
    fn the_mark_stays_for_a_second_and_a_half() {
        let mut needle = Needle::default();
        needle.look(0.5);
        let held = looks(&mut needle, 0.0, HOLD);
        assert_eq!(held.mark, position(0.5).round() as u8);
        assert!(looks(&mut needle, 0.0, HOLD / 9).mark < held.mark);
        let rest = looks(&mut needle, 0.0, 600);
        assert_eq!((rest.bar, rest.mark), (0, 0));
    }

    #[test]
    fn somebody_speaks_through_the_pauses_between_words() {
        let mut needle = Needle::default();
        assert!(!needle.look(0.003).speaks, "noise of a room");
        assert!(needle.look(0.1).speaks);
        assert!(looks(&mut needle, 0.0, SPEAKS_FOR - 1).speaks);
        assert!(!needle.look(0.0).speaks);
    }
}
