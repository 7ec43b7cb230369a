//! Samples of any rate at the rate that is sent.

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, WindowFunction};

use super::Format;
use crate::SAMPLE_RATE;

/// How many frames are resampled at once, about: longer is better at the highest frequencies.
const BLOCK: usize = 1_024;

/// Brings one stream of samples to 48 kHz. Its delay is left out: what comes out begins with
/// what went in, and is as long.
#[derive(Debug)]
pub(super) struct Rate {
    format: Format,
    /// None where the rate is right already.
    fft: Option<Fft<f32>>,
    /// Samples that do not fill a block yet.
    waiting: Vec<f32>,
    block: Vec<f32>,
    /// Frames that are still to be left out.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Rate {
    /// Begins a stream; none if there is no way from its rate.
    pub(super) fn new(format: Format) -> Option<Self> {
        let fft = if format.rate == SAMPLE_RATE { None } else { Some(fft(format)?) };
        let longest = fft.as_ref().map_or(0, |fft| fft.output_frames_max());
        Some(Self {
            format,
            delay: fft.as_ref().map_or(0, |fft| fft.output_delay()),
            fft,
            waiting: Vec::new(),
            block: vec![0.0; longest * format.channels],
            taken: 0,
            given: 0,
        })
    }

    /// Takes samples, and adds what comes of them to `out`.
    pub(super) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let Some(fft) = &mut self.fft else {
            return out.extend_from_slice(samples);
        };
        let channels = self.format.channels;
        self.taken += (samples.len() / channels) as u64;
        self.waiting.extend_from_slice(samples);
        let mut used = 0;
        while let Some(block) = self.waiting.get(used..used + fft.input_frames_next() * channels) {
            used += block.len();
            let frames = resample(fft, channels, block, &mut self.block);
            let late = self.delay.min(frames);
            self.delay -= late;
            self.given += (frames - late) as u64;
            out.extend(self.block.iter().take(frames * channels).skip(late * channels));
        }
        self.waiting.drain(..used);
    }

    /// Ends the stream: adds what is still inside to `out`.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let Some(fft) = &self.fft else { return };
        let rate = u64::from(self.format.rate);
        let length = self.taken.saturating_mul(u64::from(SAMPLE_RATE)).div_ceil(rate);
        let silence = vec![0.0; fft.input_frames_max() * self.format.channels];
        let missing = length.saturating_sub(self.given);
        let end = out.len() + usize::try_from(missing).unwrap_or(0) * self.format.channels;
        while out.len() < end {
            self.push(&silence, out);
        }
        out.truncate(end);
    }
}

fn fft(format: Format) -> Option<Fft<f32>> {
    let rates = (usize::try_from(format.rate).ok()?, usize::try_from(SAMPLE_RATE).ok()?);
    let window = WindowFunction::BlackmanHarris2;
    Fft::new_custom(rates.0, rates.1, BLOCK, 1, format.channels, window, FixedSync::Both).ok()
}

/// Returns how many frames came out: none would be an error of the sizes, which are right.
fn resample(fft: &mut Fft<f32>, channels: usize, block: &[f32], out: &mut [f32]) -> usize {
    let frames = (block.len() / channels, out.len() / channels);
    let (Ok(from), Ok(mut to)) = (
        InterleavedSlice::new(block, channels, frames.0),
        InterleavedSlice::new_mut(out, channels, frames.1),
    ) else {
        return 0;
    };
    fft.process_into_buffer(&from, &mut to, None).map_or(0, |(_, frames)| frames)
}
