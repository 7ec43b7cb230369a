//! What a check of the microphone found: from what was measured to a sentence.
//!
//! The microphone is judged as it comes, before the browser cleans it. Pure: samples and
//! spectra are handed in.

use crate::model::meter;

/// How much of one look's samples may be at full scale: a single one is chance.
const CLIPPED_SAMPLES: usize = 3;

/// How many looks must be overdriven.
const CLIPPED_LOOKS: u32 = 2;

/// Where full scale begins, linear.
const FULL_SCALE: f32 = 0.99;

/// Below this nothing is connected, or a switch is off: −70 dBFS.
const SILENT: f32 = 0.000_316;

/// Below this a voice is hard to hear: −36 dBFS.
const QUIET: f32 = 0.0158;

/// The bands whose ratio tells a telephone, Hz: what a headset's call mode still carries, and
/// what is above. With 8 kHz everything ends below 4 kHz, with 16 kHz below 8 kHz.
const BANDS: [(f32, f32); 4] =
    [(2_000.0, 3_200.0), (4_600.0, 6_000.0), (5_000.0, 7_000.0), (9_000.0, 12_000.0)];

/// How far one band is below the other, dB, where the upper one is cut off: a voice falls by
/// far less from one of these bands to the next.
const CUT_DB: f32 = 30.0;

/// The lower band must be this loud, dB, for its ratio to say anything.
const AUDIBLE_DB: f32 = -95.0;

/// How far the microphone's level rises with the loudspeaker's, dB, where it hears it.
const ECHO_DB: f32 = 12.0;

/// Something that the person should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finding {
    /// There is nothing to say.
    Good,
    /// There is no sound at all.
    Silent,
    /// There is too little of it.
    Quiet,
    /// There is too much of it.
    Clipping,
    /// It ends at 4 or 8 kHz.
    CallMode,
    /// The microphone hears the loudspeaker.
    Echo,
    /// It does not.
    NoEcho,
}

impl Finding {
    /// Returns whether something is to be seen to.
    pub(crate) fn warns(self) -> bool {
        !matches!(self, Self::Good | Self::NoEcho)
    }

    /// Returns what it means, and what to do.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Good => "Your microphone sounds good.",
            Self::Silent => {
                "Your microphone gives no sound. It may be switched off, or another one may be meant: choose it above."
            }
            Self::Quiet => {
                "You are hard to hear. Go nearer to the microphone, or turn it up in your system's settings."
            }
            Self::Clipping => {
                "Your microphone is overdriven, so that your voice is distorted. Turn it down in your system's settings, or go farther away from it."
            }
            Self::CallMode => {
                "Your microphone sounds like a telephone: a wireless headset is in call mode. Choose another microphone above; the headset can stay your loudspeaker."
            }
            Self::Echo => {
                "Your microphone hears your loudspeaker. Put on headphones, or the others may hear themselves."
            }
            Self::NoEcho => "No echo: your microphone does not hear your loudspeaker.",
        }
    }
}

/// What was heard while the person spoke.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spoken {
    peak: f32,
    overdriven: u32,
    power: [f64; BANDS.len()],
    looks: u32,
}

impl Spoken {
    /// Takes some samples, and the spectrum in dB of about the same time, in equal steps from
    /// 0 Hz to half of `sample_rate`.
    pub(crate) fn take(&mut self, samples: &[f32], spectrum: &[f32], sample_rate: f32) {
        let peak = meter::peak(samples);
        let clipped = samples.iter().filter(|sample| sample.abs() >= FULL_SCALE).count();
        self.peak = self.peak.max(peak);
        self.overdriven += u32::from(clipped >= CLIPPED_SAMPLES);
        self.looks += 1;
        for (sum, band) in self.power.iter_mut().zip(BANDS) {
            *sum += mean_power(spectrum, band, sample_rate);
        }
    }

    /// Returns what is to be said of it.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        if self.peak < SILENT {
            return vec![Finding::Silent];
        }
        let mut findings = Vec::new();
        if self.overdriven >= CLIPPED_LOOKS {
            findings.push(Finding::Clipping);
        } else if self.peak < QUIET {
            findings.push(Finding::Quiet);
        }
        if self.is_cut(0, 1) || self.is_cut(2, 3) {
            findings.push(Finding::CallMode);
        }
        if findings.is_empty() {
            findings.push(Finding::Good);
        }
        findings
    }

    fn is_cut(&self, lower: usize, upper: usize) -> bool {
        let level = |band: usize| {
            let mean = self.power.get(band).copied().unwrap_or_default();
            10.0 * (mean / f64::from(self.looks.max(1))).log10()
        };
        let (lower, upper) = (level(lower), level(upper));
        lower > f64::from(AUDIBLE_DB) && lower - upper > f64::from(CUT_DB)
    }
}

/// The mean power of a band; of a recording with nothing above it, 0.
fn mean_power(spectrum: &[f32], (from, to): (f32, f32), sample_rate: f32) -> f64 {
    let step = sample_rate / 2.0 / spectrum.len().max(1) as f32;
    let inside = |index: &usize| {
        let frequency = *index as f32 * step;
        frequency >= from && frequency < to
    };
    let levels = spectrum.iter().enumerate().filter(|(index, _)| inside(index));
    let (sum, count) = levels.fold((0.0, 0_u32), |(sum, count), (_, level)| {
        (sum + 10.0_f64.powf(f64::from(*level) / 10.0), count + 1)
    });
    sum / f64::from(count.max(1))
}

/// The level of a tone at the microphone, while the loudspeaker plays it and while it does not.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    playing: Vec<f32>,
    pausing: Vec<f32>,
}

impl Heard {
    /// Takes a level in dB.
    pub(crate) fn take(&mut self, level: f32, plays: bool) {
        let levels = if plays { &mut self.playing } else { &mut self.pausing };
        levels.push(level.max(-200.0));
    }

    /// Returns what is to be said of it.
    pub(crate) fn finding(self) -> Finding {
        let (playing, pausing) = (median(self.playing), median(self.pausing));
        if playing - pausing >= ECHO_DB { Finding::Echo } else { Finding::NoEcho }
    }
}

fn median(mut levels: Vec<f32>) -> f32 {
    levels.sort_by(f32::total_cmp);
    levels.get(levels.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: f32 = 48_000.0;

    /// A spectrum that falls by 6 dB an octave, as a voice does, and ends at `cut` Hz.
    fn voice(cut: f32) -> Vec<f32> {
        (0..2048)
            .map(|bin| {
                let hertz = bin as f32 * RATE / 4096.0;
                let level = -40.0 - 6.0 * (hertz.max(100.0) / 100.0).log2();
                if hertz > cut { -140.0 } else { level }
            })
            .collect()
    }

    fn spoken(peak: f32, cut: f32) -> Vec<Finding> {
        let samples: Vec<f32> =
            (0..1024).map(|n| (peak * (n as f32 / 10.0).sin() * 1.01).clamp(-1.0, 1.0)).collect();
        let mut spoken = Spoken::default();
        for _ in 0..60 {
            spoken.take(&samples, &voice(cut), RATE);
        }
        spoken.findings()
    }

    #[test]
    fn a_voice_with_all_its_band_is_good() {
        assert_eq!(spoken(0.3, 20_000.0), [Finding::Good]);
    }

    #[test]
    fn silence_whisper_and_overload_are_told_apart() {
        assert_eq!(spoken(0.0, 20_000.0), [Finding::Silent]);
        assert_eq!(spoken(0.005, 20_000.0), [Finding::Quiet]);
        assert_eq!(spoken(1.2, 20_000.0), [Finding::Clipping]);
        assert_eq!(Spoken::default().findings(), [Finding::Silent]);
    }

    #[test]
    fn call_mode_is_known_by_where_the_sound_ends() {
        assert_eq!(spoken(0.3, 4_000.0), [Finding::CallMode]);
        assert_eq!(spoken(0.3, 8_000.0), [Finding::CallMode]);
    }

    #[test]
    fn a_tone_says_nothing_of_call_mode() {
        let mut tone = vec![-140.0; 2048];
        tone[60] = -20.0;
        let mut spoken = Spoken::default();
        spoken.take(&[0.3; 128], &tone, RATE);
        assert_eq!(spoken.findings(), [Finding::Good]);
    }

    #[test]
    fn an_echo_rises_and_falls_with_the_loudspeaker() {
        let mut heard = Heard::default();
        let mut noise = Heard::default();
        for n in 0..10 {
            let plays = n % 2 == 0;
            heard.take(if plays { -50.0 } else { -90.0 }, plays);
            // Somebody talks all the time.
            noise.take(if n % 3 == 0 { -50.0 } else { -60.0 }, plays);
        }
        assert_eq!(heard.finding(), Finding::Echo);
        assert_eq!(noise.finding(), Finding::NoEcho);
        assert_eq!(Heard::default().finding(), Finding::NoEcho);
    }
}
