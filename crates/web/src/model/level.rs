//! From samples to the position of a meter.

/// How many positions a meter has. Few enough that a steady voice seldom moves it,
/// enough for the eye.
pub(crate) const STEPS: u8 = 32;

/// The level at which a meter leaves its rest, dBFS.
const FLOOR_DB: f32 = -54.0;

/// How far a meter falls per look, in steps: at ten looks a second it empties in about a
/// second, as a programme meter does.
const FALL: u8 = 3;

/// Returns the level of `samples` in dBFS (root mean square), never below -120.
/// Samples that are no number count as silence.
pub(crate) fn rms_db(samples: &[f32]) -> f32 {
    let sum: f32 = samples.iter().filter(|s| s.is_finite()).map(|s| s * s).sum();
    let count = u16::try_from(samples.len().max(1)).unwrap_or(u16::MAX);
    (10.0 * (sum / f32::from(count)).log10()).max(-120.0)
}

/// Returns the position for a level: 0 at rest, [`STEPS`] at full scale.
pub(crate) fn step_of(db: f32) -> u8 {
    let share = ((db - FLOOR_DB) / -FLOOR_DB).clamp(0.0, 1.0);
    (share * f32::from(STEPS)).round() as u8
}

/// Returns where the meter stands next: it rises at once and falls slowly.
pub(crate) fn follow(shown: u8, measured: u8) -> u8 {
    measured.max(shown.saturating_sub(FALL))
}

/// Returns a position as a number of 0 to 100, for assistive technology.
pub(crate) fn percent(step: u8) -> u8 {
    let full = u16::from(STEPS);
    u8::try_from(u16::from(step.min(STEPS)) * 100 / full).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_rests_and_full_scale_fills() {
        assert_eq!(step_of(rms_db(&[0.0; 64])), 0);
        assert_eq!(step_of(rms_db(&[1.0; 64])), STEPS);
        assert_eq!(step_of(rms_db(&[])), 0);
        assert_eq!(step_of(rms_db(&[f32::NAN; 8])), 0);
    }

    #[test]
    fn a_voice_at_minus_20_stands_in_the_upper_half() {
        assert!((rms_db(&[0.1; 128]) + 20.0).abs() < 0.01);
        let step = step_of(-20.0);
        assert!(step > STEPS / 2 && step < STEPS, "{step}");
    }

    #[test]
    fn it_rises_at_once_and_falls_in_steps_to_rest() {
        assert_eq!(follow(3, 30), 30);
        let mut shown = 30;
        for _ in 0..10 {
            shown = follow(shown, 0);
        }
        assert_eq!(shown, 0);
    }

    #[test]
    fn percent_spans_its_range() {
        assert_eq!((percent(0), percent(STEPS), percent(STEPS / 2)), (0, 100, 50));
    }
}
