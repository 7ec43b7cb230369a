//! Test signals: a tone and white noise. They draw on no clock and on no randomness but
//! the seed that they are given.

use crate::convert;
use openstudio_units::{Rng, Seed};
use std::f64::consts::TAU;

/// A sine of a whole number of hertz.
///
/// # Invariants
/// Its phase is counted in whole numbers: it does not drift, however long it sounds.
#[derive(Debug, Clone)]
pub struct Tone {
    sample_rate: u64,
    /// Added to the phase with each frame.
    frequency: u64,
    amplitude: f32,
    /// In parts of a turn: `sample_rate` is a whole one.
    phase: u64,
    /// Added to the phase, in turns.
    offset: f64,
}

impl Tone {
    /// Makes a tone that begins with 0.
    ///
    /// # Units and range
    /// `frequency` in hertz, `amplitude` linear. A sample rate of 0 counts as 1.
    pub fn new(sample_rate: u32, frequency: u32, amplitude: f32) -> Self {
        let sample_rate = u64::from(sample_rate.max(1));
        Self { sample_rate, frequency: frequency.into(), amplitude, phase: 0, offset: 0.0 }
    }

    /// Begins elsewhere: `turns` of 0.25 make it a cosine.
    #[must_use]
    pub fn with_phase(self, turns: f64) -> Self {
        Self { offset: turns, ..self }
    }

    /// Returns the next sample.
    pub fn next_sample(&mut self) -> f32 {
        let turns = convert::real(self.phase) / convert::real(self.sample_rate) + self.offset;
        let next = self.phase.saturating_add(self.frequency);
        self.phase = next.checked_rem(self.sample_rate).unwrap_or(0);
        convert::sample((turns * TAU).sin()) * self.amplitude
    }

    /// Fills a block.
    pub fn fill(&mut self, block: &mut [f32]) {
        block.fill_with(|| self.next_sample());
    }
}

/// White noise, evenly spread between its amplitude and the same below zero.
#[derive(Debug, Clone)]
pub struct Noise {
    rng: Rng,
    amplitude: f32,
}

impl Noise {
    /// Makes noise. Same seed, same noise.
    pub fn new(seed: Seed, amplitude: f32) -> Self {
        Self { rng: seed.rng(), amplitude }
    }

    /// Returns the next sample.
    pub fn next_sample(&mut self) -> f32 {
        // 32 bits to each side of zero.
        let drawn = self.rng.between(0, 1 << 33);
        let even = convert::real(drawn) / convert::real(1 << 32) - 1.0;
        convert::sample(even) * self.amplitude
    }

    /// Fills a block.
    pub fn fill(&mut self, block: &mut [f32]) {
        block.fill_with(|| self.next_sample());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_tone_is_the_same_after_every_second() {
        let mut tone = Tone::new(48_000, 997, 0.5);
        let mut first = vec![0.0; 48_000];
        tone.fill(&mut first);
        for _ in 0..5 {
            let mut again = vec![0.0; 48_000];
            tone.fill(&mut again);
            assert_eq!(first, again);
        }
        assert!(first[0].abs() <= 0.0);
    }

    #[test]
    fn a_tone_has_its_frequency() {
        let mut tone = Tone::new(48_000, 440, 1.0);
        let mut second = vec![0.0; 48_000];
        tone.fill(&mut second);
        let rising = second.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        assert!((439..=440).contains(&rising), "{rising}");
    }

    #[test]
    fn noise_repeats_fills_its_range_and_has_no_bias() {
        let mut block = vec![0.0; 48_000];
        Noise::new(Seed::from_number(1), 0.5).fill(&mut block);
        let mut again = vec![0.0; 48_000];
        Noise::new(Seed::from_number(1), 0.5).fill(&mut again);
        assert_eq!(block, again);
        assert!(block.iter().all(|sample| sample.abs() <= 0.5));
        assert!(block.iter().any(|sample| *sample > 0.499));
        assert!(block.iter().any(|sample| *sample < -0.499));
        assert!(block.iter().sum::<f32>().abs() / 48_000.0 < 0.01);
    }
}
