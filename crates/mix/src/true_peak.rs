//! The true peak of a signal: what lies between its samples, seen at four times the rate.
//! It looks at single windows and keeps no history.

use crate::convert;
use std::f64::consts::PI;

/// Samples that an interpolated one is made of.
pub(crate) const TAPS: usize = 12;

/// Samples of a window before the newest one.
pub(crate) const REACH: usize = TAPS - 1;

/// Times the sample rate.
const FACTOR: u32 = 4;

/// Phases between two samples. The fourth one is the sample itself.
const BETWEEN: usize = 3;

/// Finds true peaks after ITU-R BS.1770-4, annex 2: a windowed sinc of 48 taps.
///
/// It is the filter of the `ebur128` crate. The meter and the limiter then agree on what
/// a peak is, and the meter of a limited programme does not pass the limiter's ceiling.
#[derive(Debug)]
pub(crate) struct TruePeak {
    /// For each sample of a window its part in the phases.
    taps: [[f32; BETWEEN]; TAPS],
    overshoot: f32,
}

impl TruePeak {
    pub(crate) fn new() -> Self {
        let mut taps = [[0.0; BETWEEN]; TAPS];
        let mut sums = [0.0; BETWEEN];
        // The newest sample of a window meets the first tap.
        for (tap, phases) in (0_u32..).zip(taps.iter_mut().rev()) {
            for (phase, (coefficient, sum)) in (1..).zip(phases.iter_mut().zip(&mut sums)) {
                *coefficient = tap_at(tap.saturating_mul(FACTOR).saturating_add(phase));
                *sum += coefficient.abs();
            }
        }
        // A little more, since sums of samples are rounded.
        let overshoot = sums.into_iter().fold(1.0, f32::max) * 1.001;
        Self { taps, overshoot }
    }

    /// Returns by how much the true peak may at most exceed the greatest sample, as a factor.
    pub(crate) fn overshoot(&self) -> f32 {
        self.overshoot
    }

    /// Returns the greatest value between the sixth and the seventh newest sample, that
    /// sixth-last one included.
    pub(crate) fn peak(&self, window: &[f32; TAPS]) -> f32 {
        let [_, _, _, _, _, middle, ..] = window;
        let mut sums = [0.0; BETWEEN];
        for (sample, phases) in window.iter().zip(&self.taps) {
            for (sum, coefficient) in sums.iter_mut().zip(phases) {
                *sum += sample * coefficient;
            }
        }
        sums.into_iter().fold(middle.abs(), |peak, sum| peak.max(sum.abs()))
    }
}

/// Returns a coefficient of the filter: a sinc under a Hann window.
fn tap_at(index: u32) -> f32 {
    let length = f64::from(FACTOR) * 12.0;
    let index = f64::from(index);
    let window = 0.5 * (1.0 - (2.0 * PI * index / length).cos());
    let turn = (index - length / 2.0) * PI / f64::from(FACTOR);
    if turn.abs() < 1e-9 { 1.0 } else { convert::sample(window * turn.sin() / turn) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tone;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// The greatest true peak of a signal.
    fn peak(samples: &[f32]) -> f32 {
        let detector = TruePeak::new();
        samples.array_windows().fold(0.0, |peak, window| peak.max(detector.peak(window)))
    }

    #[test]
    fn a_sine_between_the_samples_is_seen() {
        let mut samples = [0.0; 480];
        Tone::new(48_000, 12_000, 1.0).with_phase(0.125).fill(&mut samples);
        assert!(samples.iter().all(|sample| sample.abs() < 0.708));
        assert!((peak(&samples) - 1.0).abs() < 0.02, "{}", peak(&samples));
    }

    #[test]
    fn an_impulse_is_its_own_peak() {
        let mut samples = [0.0; 48];
        samples[20] = -0.7;
        assert!((peak(&samples) - 0.7).abs() < 1e-6);
    }

    #[test]
    fn no_signal_overshoots_by_more_than_it_says() {
        let detector = TruePeak::new();
        // The worst window has the signs of a phase.
        for phase in 0..BETWEEN {
            let worst = detector.taps.map(|phases| phases[phase].signum());
            let peak = detector.peak(&worst);
            assert!(peak <= detector.overshoot() && peak > 1.0, "{peak}");
        }
    }
}
