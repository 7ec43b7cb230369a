//! What a stream sounds like: how loud it is and, where it is a tone, which.

use crate::SAMPLE_RATE;

/// How much of a stream is looked at: the latest 100 ms.
const WINDOW: usize = 4_800;

/// Above this a stream is heard, dBFS.
const AUDIBLE_DB: f32 = -50.0;

/// How much of a stream's power may be anything but the tone.
const IMPURITY: f64 = 0.1;

/// What was heard of late.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heard {
    /// Its RMS level, dBFS; −120 is silence.
    pub level_db: f32,
    /// Its frequency, Hz, if it is a steady tone.
    pub hertz: Option<f32>,
}

impl Heard {
    /// Returns whether there is something to hear.
    pub fn is_audible(&self) -> bool {
        self.level_db > AUDIBLE_DB
    }
}

/// The latest sound of one stream.
#[derive(Debug, Default)]
pub struct Listening {
    /// Two windows at most, so that not each piece moves what stays.
    samples: Vec<f32>,
    tone: Option<f32>,
}

impl Listening {
    /// Takes the next samples.
    pub fn take(&mut self, samples: impl IntoIterator<Item = f32>) {
        let finite = |sample: f32| if sample.is_finite() { sample } else { 0.0 };
        self.samples.extend(samples.into_iter().map(finite));
        if self.samples.len() > 2 * WINDOW {
            self.samples.drain(..self.samples.len() - WINDOW);
        }
    }

    /// Returns the latest steady tone that a look found, Hz.
    pub fn tone(&self) -> Option<f32> {
        self.tone
    }

    /// Looks at what is heard.
    pub fn heard(&mut self) -> Heard {
        let (_, samples) = self.samples.split_at(self.samples.len().saturating_sub(WINDOW));
        let power = mean_square(samples.iter().copied());
        let level_db = (10.0 * power.max(1e-12).log10()) as f32;
        let hertz = (level_db > AUDIBLE_DB)
            .then(|| frequency(samples))
            .flatten()
            .filter(|hertz| impurity(samples, *hertz, power) < IMPURITY)
            .map(|hertz| hertz as f32);
        self.tone = hertz.or(self.tone);
        Heard { level_db, hertz }
    }
}

fn mean_square(samples: impl ExactSizeIterator<Item = f32>) -> f64 {
    let count = samples.len().max(1);
    samples.map(|sample| f64::from(sample).powi(2)).sum::<f64>() / count as f64
}

/// Returns the frequency by the zeros where the samples rise, between samples, too.
fn frequency(samples: &[f32]) -> Option<f64> {
    let mut zeros = samples.windows(2).enumerate().filter_map(|(index, pair)| {
        let [before, after] = pair else { return None };
        (*before < 0.0 && *after >= 0.0)
            .then(|| index as f64 + f64::from(before / (before - after)))
    });
    let first = zeros.next()?;
    let (count, last) = zeros.fold((0_u32, first), |(count, _), zero| (count + 1, zero));
    (count > 0).then(|| f64::from(count) * f64::from(SAMPLE_RATE) / (last - first))
}

/// Returns the share of the power that is not at `hertz`.
fn impurity(samples: &[f32], hertz: f64, power: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / f64::from(SAMPLE_RATE);
    // The phase turns by multiplication: a sine for each sample would cost more than all the rest.
    let (turn_sine, turn_cosine) = step.sin_cos();
    let (mut s, mut c) = (0.0, 1.0);
    let (mut sine, mut cosine) = (0.0, 0.0);
    for sample in samples.iter().copied().map(f64::from) {
        sine += sample * s;
        cosine += sample * c;
        (s, c) = (s * turn_cosine + c * turn_sine, c * turn_cosine - s * turn_sine);
    }
    let count = samples.len().max(1) as f64;
    let tone = 2.0 * (sine.powi(2) + cosine.powi(2)) / count.powi(2);
    1.0 - tone / power.max(1e-12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_mix::{Noise, Tone};
    use openstudio_units::Seed;

    fn heard(samples: &[f32]) -> Heard {
        let mut listening = Listening::default();
        listening.take(samples.iter().copied());
        listening.heard()
    }

    #[test]
    fn a_tone_is_named_to_a_hertz_and_measured_to_a_tenth_of_a_decibel() {
        for hertz in [440, 600, 1_000, 3_050, 4_450] {
            let mut samples = [0.0; 9_600];
            Tone::new(SAMPLE_RATE, hertz, 0.1).fill(&mut samples);
            let heard = heard(&samples);
            let found = heard.hertz.unwrap();
            assert!((found - hertz as f32).abs() < 1.0, "{hertz} Hz was {found}");
            assert!((heard.level_db + 23.01).abs() < 0.1, "{} dBFS", heard.level_db);
        }
    }

    #[test]
    fn the_latest_tenth_of_a_second_counts_whatever_came_before_and_in_whatever_pieces() {
        let mut sound = vec![0.0; 3 * WINDOW];
        Noise::new(Seed::from_number(3), 0.5).fill(&mut sound);
        let mut latest = [0.0; WINDOW];
        Tone::new(SAMPLE_RATE, 950, 0.1).fill(&mut latest);
        sound.extend(latest);
        for piece in [1, 960, 4_799, 4_801, sound.len()] {
            let mut listening = Listening::default();
            sound.chunks(piece).for_each(|piece| listening.take(piece.iter().copied()));
            assert_eq!(listening.heard(), heard(&latest), "in pieces of {piece}");
        }
    }

    #[test]
    fn noise_and_silence_and_two_tones_are_no_tone() {
        let mut noise = [0.0; 9_600];
        Noise::new(Seed::from_number(3), 0.1).fill(&mut noise);
        assert_eq!(heard(&noise).hertz, None);
        assert!(heard(&noise).is_audible());
        assert!(!heard(&[0.0; 9_600]).is_audible());
        assert!(!Listening::default().heard().is_audible());
        let (mut one, mut two) = ([0.0; 9_600], [0.0; 9_600]);
        Tone::new(SAMPLE_RATE, 600, 0.1).fill(&mut one);
        Tone::new(SAMPLE_RATE, 950, 0.1).fill(&mut two);
        let both: Vec<f32> = one.iter().zip(two).map(|(a, b)| a + b).collect();
        assert_eq!(heard(&both).hertz, None);
    }
}
