//! The limiter at the end of a bus: no true peak above the ceiling, and nothing changed
//! below it. It is no compressor and no automatic gain: what is quiet stays quiet.
//!
//! ```text
//! in ─┬─► true peak ─► reduction needed ─► greatest of the look-ahead ─► release ─► average ─┐
//!     └─► delay ─────────────────────────────────────────────────────────────────────────────×─► out
//! ```
//! The average makes the gain glide down before the peak arrives, in a straight line; the
//! greatest is held for so long that the glide has ended when it does. Reductions are summed
//! in whole numbers, so that the average of nothing is nothing, however long it ran: a
//! signal below the ceiling comes out bit for bit, only later.

use crate::convert;
use crate::true_peak::{REACH, TAPS, TruePeak};
use std::collections::VecDeque;

/// Highest true peak that leaves a limiter: −1 dBTP, linear.
///
/// # Source
/// EBU R 128 asks for −1 dBTP at most in production.
pub const CEILING: f32 = 0.891_250_94;

/// The gain aims a little below the ceiling (by 0.02 dB): it changes within the reach of the
/// interpolation, which can make a peak that the detector did not see.
const AIM: f32 = CEILING * 0.9977;

/// A second divided by the latency of 5 ms.
const LATENCIES_PER_SECOND: u32 = 200;

/// How fast the gain comes back: to 37 % of the reduction in 100 ms. Faster is heard as
/// distortion of low tones, slower as a hole after a bang.
const RELEASE_SECONDS: f64 = 0.1;

/// A reduction below this (−120 dB) is over.
const SMALLEST: f64 = 1e-6;

/// A reduction of 1.0, as a whole number.
const ONE: u64 = 1 << 40;

/// Frames that are worked on at once. The size of a render quantum of Web Audio.
const CHUNK: usize = 128;

/// Returns by how many frames a limiter delays its signal: 5 ms.
pub fn latency(sample_rate: u32) -> usize {
    convert::size(sample_rate / LATENCIES_PER_SECOND).max(2 * TAPS)
}

/// A stereo limiter with look-ahead, for samples that are finite. Both channels get the
/// same gain, so that the picture does not move.
///
/// # Invariants
/// No sample exceeds [`CEILING`]. A signal whose true peak stays below it is delayed by
/// [`latency`], and else unchanged. How frames are cut into blocks does not matter.
/// Nothing allocates after [`Self::prepare`].
#[derive(Debug)]
pub struct Limiter {
    lines: [Line; 2],
    detector: TruePeak,
    /// True peaks of the frames of a chunk.
    peaks: Box<[f32]>,
    hold: Hold,
    /// The reduction after hold and release: 0 is none, 1 is silence.
    envelope: f64,
    /// What is left of the envelope after a frame.
    decay: f64,
    average: Average,
}

impl Limiter {
    /// Makes a limiter: all of its memory is taken here.
    pub fn prepare(sample_rate: u32) -> Self {
        let latency = latency(sample_rate);
        // A peak is known `REACH` frames late, and the gain must be there for all the
        // samples that made it: `TAPS` frames more.
        let smoothing = latency.saturating_sub(TAPS).max(1);
        Self {
            lines: [Line::new(latency), Line::new(latency)],
            detector: TruePeak::new(),
            peaks: vec![0.0; CHUNK].into(),
            hold: Hold::new(latency.saturating_add(1)),
            envelope: 0.0,
            decay: (-1.0 / (RELEASE_SECONDS * f64::from(sample_rate.max(1)))).exp(),
            average: Average::new(smoothing),
        }
    }

    /// Limits a block in place, and returns how many frames were made quieter. If the
    /// channels differ in length, the end of the longer one is left alone.
    pub fn process(&mut self, block: [&mut [f32]; 2]) -> u64 {
        let [left, right] = block;
        let frames = left.len().min(right.len());
        let (left, right) = (left.split_at_mut(frames).0, right.split_at_mut(frames).0);
        let chunks = left.chunks_mut(CHUNK).zip(right.chunks_mut(CHUNK));
        chunks.map(|(left, right)| self.chunk(left, right)).fold(0, u64::saturating_add)
    }

    fn chunk(&mut self, left: &mut [f32], right: &mut [f32]) -> u64 {
        let frames = left.len();
        let rests = self.rests();
        let [left_line, right_line] = &mut self.lines;
        left_line.append(left);
        right_line.append(right);
        let loudest = left_line.loudest(frames).max(right_line.loudest(frames));
        let may_peak = loudest * self.detector.overshoot() > CEILING;
        let limited = if rests && !may_peak {
            self.hold.pass(frames);
            left_line.copy_to(left);
            right_line.copy_to(right);
            0
        } else {
            self.find_peaks(frames, may_peak);
            self.limit(left, right)
        };
        for line in &mut self.lines {
            line.shift(frames);
        }
        limited
    }

    /// Whether the gain is 1 and no peak is to come.
    fn rests(&self) -> bool {
        self.hold.is_empty() && self.envelope <= 0.0 && self.average.sum == 0
    }

    fn find_peaks(&mut self, frames: usize, may_peak: bool) {
        self.peaks.fill(0.0);
        if !may_peak {
            return;
        }
        for line in &self.lines {
            for (peak, window) in self.peaks.iter_mut().zip(line.windows(frames)) {
                *peak = peak.max(self.detector.peak(window));
            }
        }
    }

    fn limit(&mut self, left: &mut [f32], right: &mut [f32]) -> u64 {
        let mut limited: u64 = 0;
        let [left_line, right_line] = &self.lines;
        let delayed = left_line.samples.iter().zip(right_line.samples.iter());
        let outputs = left.iter_mut().zip(right.iter_mut());
        for ((peak, (left_in, right_in)), (left_out, right_out)) in
            self.peaks.iter().zip(delayed).zip(outputs)
        {
            let held = self.hold.next(reduction(*peak));
            self.envelope = held.max(self.envelope * self.decay);
            if self.envelope < SMALLEST {
                self.envelope = 0.0;
            }
            let average = self.average.next(self.envelope);
            if average <= 0.0 {
                (*left_out, *right_out) = (*left_in, *right_in);
                continue;
            }
            limited = limited.saturating_add(1);
            let gain = convert::sample(1.0 - average);
            // Rounding may pass the ceiling by the last bit.
            *left_out = (left_in * gain).clamp(-CEILING, CEILING);
            *right_out = (right_in * gain).clamp(-CEILING, CEILING);
        }
        limited
    }
}

/// Returns how much quieter a signal with this peak must become: 0 to 1.
fn reduction(peak: f32) -> f64 {
    if peak > CEILING { 1.0 - f64::from(AIM) / f64::from(peak) } else { 0.0 }
}

/// A delay line: the samples of the latency, oldest first, then those of the chunk.
#[derive(Debug)]
struct Line {
    samples: Box<[f32]>,
    latency: usize,
}

impl Line {
    fn new(latency: usize) -> Self {
        Self { samples: vec![0.0; latency.saturating_add(CHUNK)].into(), latency }
    }

    fn append(&mut self, chunk: &[f32]) {
        for (to, from) in self.samples.iter_mut().skip(self.latency).zip(chunk) {
            *to = *from;
        }
    }

    /// Returns the greatest sample that a window of the chunk contains.
    fn loudest(&self, frames: usize) -> f32 {
        let first = self.latency.saturating_sub(REACH);
        let seen = self.samples.iter().skip(first).take(frames.saturating_add(REACH));
        seen.fold(0.0, |loudest: f32, sample| loudest.max(sample.abs()))
    }

    /// Returns for each frame of the chunk the samples up to it.
    fn windows(&self, frames: usize) -> impl Iterator<Item = &[f32; TAPS]> {
        let first = self.latency.saturating_sub(REACH);
        self.samples.array_windows::<TAPS>().skip(first).take(frames)
    }

    fn copy_to(&self, chunk: &mut [f32]) {
        for (to, from) in chunk.iter_mut().zip(self.samples.iter()) {
            *to = *from;
        }
    }

    /// Makes room for the next chunk.
    fn shift(&mut self, frames: usize) {
        let end = frames.saturating_add(self.latency);
        if end <= self.samples.len() {
            self.samples.copy_within(frames..end, 0);
        }
    }
}

/// The greatest of the last values: a queue that only keeps those that may become it.
#[derive(Debug)]
struct Hold {
    /// Frame and value; values fall from front to back.
    queue: VecDeque<(u64, f64)>,
    /// How long a value counts.
    frames: u64,
    now: u64,
}

impl Hold {
    fn new(frames: usize) -> Self {
        let queue = VecDeque::with_capacity(frames.saturating_add(1));
        Self { queue, frames: convert::count(frames), now: 0 }
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Lets frames without a value pass. Only while the queue is empty.
    fn pass(&mut self, frames: usize) {
        self.now = self.now.wrapping_add(convert::count(frames));
    }

    fn next(&mut self, value: f64) -> f64 {
        self.now = self.now.wrapping_add(1);
        let (now, frames) = (self.now, self.frames);
        while self.queue.pop_front_if(|(at, _)| now.wrapping_sub(*at) >= frames).is_some() {}
        if value > 0.0 {
            while self.queue.pop_back_if(|(_, other)| *other <= value).is_some() {}
            self.queue.push_back((now, value));
        }
        self.queue.front().map_or(0.0, |(_, greatest)| *greatest)
    }
}

/// The average of the last reductions.
#[derive(Debug)]
struct Average {
    /// The last reductions in parts of [`ONE`], in a ring.
    ring: Box<[u64]>,
    /// Where the oldest one is.
    at: usize,
    sum: u64,
    /// What the sum is at a reduction of 1.
    full: f64,
}

impl Average {
    fn new(frames: usize) -> Self {
        let full = convert::real(ONE) * convert::real(convert::count(frames));
        Self { ring: vec![0; frames].into(), at: 0, sum: 0, full }
    }

    fn next(&mut self, reduction: f64) -> f64 {
        // Rounded up: rather too quiet by the last bit than too loud.
        let value = convert::whole((reduction * convert::real(ONE)).ceil());
        if let Some(oldest) = self.ring.get_mut(self.at) {
            self.sum = self.sum.wrapping_add(value).wrapping_sub(*oldest);
            *oldest = value;
        }
        self.at = self.at.saturating_add(1);
        if self.at >= self.ring.len() {
            self.at = 0;
        }
        convert::real(self.sum) / self.full
    }
}
