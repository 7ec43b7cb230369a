//! Loudness after EBU R 128 of what is on air. A thin layer over the `ebur128` crate, which
//! gives its answers a type that says "nothing yet".

use crate::convert;
use crate::decibel;
use crate::desk::PrepareError;
use ebur128::{EbuR128, Mode};

/// How loud a programme is, after ITU-R BS.1770-4, EBU Tech 3341 and 3342. `None` stands
/// for what has no value: there was silence only, or too little yet.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Loudness {
    /// Of the last 400 ms, in LUFS.
    pub momentary: Option<f64>,
    /// Of the last 3 s, in LUFS.
    pub short_term: Option<f64>,
    /// Since the start or the last reset, gated, in LUFS.
    pub integrated: Option<f64>,
    /// Loudness range (LRA) since then, in LU.
    pub range: Option<f64>,
    /// Highest true peak since then, in dBTP.
    pub true_peak_db: Option<f64>,
}

/// Seconds that the shortest loudness range needs: one short-term window.
const RANGE_SECONDS: u64 = 3;

/// Measures loudness. The history is a histogram: its memory does not grow, and its
/// results are exact to 0.05 LU.
#[derive(Debug)]
pub(crate) struct LoudnessMeter {
    ebur128: EbuR128,
    /// Frames since the last reset.
    frames: u64,
    frames_for_range: u64,
}

impl LoudnessMeter {
    pub(crate) fn prepare(sample_rate: u32) -> Result<Self, PrepareError> {
        let mode = Mode::I | Mode::LRA | Mode::TRUE_PEAK | Mode::HISTOGRAM;
        let ebur128 =
            EbuR128::new(2, sample_rate, mode).map_err(|_error| PrepareError::SampleRate)?;
        let frames_for_range = u64::from(sample_rate).saturating_mul(RANGE_SECONDS);
        Ok(Self { ebur128, frames: 0, frames_for_range })
    }

    /// Takes a block in. Both channels have the same length, and finite samples.
    pub(crate) fn add(&mut self, block: [&[f32]; 2]) {
        // It fails for other numbers of channels only.
        if self.ebur128.add_frames_planar_f32(&block).is_ok() {
            let frames = block.map(<[f32]>::len).into_iter().min().unwrap_or(0);
            self.frames = self.frames.saturating_add(convert::count(frames));
        }
    }

    pub(crate) fn read(&self) -> Loudness {
        let finite = |value: Result<f64, ebur128::Error>| value.ok().filter(|v| v.is_finite());
        let peak = |channel| finite(self.ebur128.true_peak(channel)).unwrap_or(0.0);
        let peak = f64::from(decibel::decibels(convert::sample(peak(0).max(peak(1)))));
        let integrated = finite(self.ebur128.loudness_global());
        let has_range = self.frames >= self.frames_for_range && integrated.is_some();
        Loudness {
            momentary: finite(self.ebur128.loudness_momentary()),
            short_term: finite(self.ebur128.loudness_shortterm()),
            integrated,
            range: finite(self.ebur128.loudness_range()).filter(|_| has_range),
            true_peak_db: Some(peak).filter(|peak| peak.is_finite()),
        }
    }

    pub(crate) fn reset(&mut self) {
        self.ebur128.reset();
        self.frames = 0;
    }
}
