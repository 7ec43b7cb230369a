//! Levels: how loud a signal was since somebody last looked, and a needle's peak hold.
//! Not loudness: nothing here is weighted after the ear (see `loudness`).

use crate::convert;

/// Parts that the window of the RMS is made of: it moves on by one part at a time.
const PARTS: usize = 5;

/// Length of a part: 5 ms, so that the window has 25 ms. Longer than a period of the
/// lowest voice (80 Hz), short enough for a needle.
const PARTS_PER_SECOND: u32 = 200;

/// How loud a stereo signal is: of both channels the louder one.
///
/// # Units and range
/// Linear, 1.0 is full scale; never negative, always finite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Greatest sample since the level was last read, without its sign.
    pub peak: f32,
    /// Root mean square of the last 25 ms.
    pub rms: f32,
}

/// Measures the [`Level`] of a stereo signal.
#[derive(Debug)]
pub struct Meter {
    channels: [ChannelMeter; 2],
}

impl Meter {
    /// Makes a meter that has seen silence.
    pub fn new(sample_rate: u32) -> Self {
        let part = (sample_rate / PARTS_PER_SECOND).max(1);
        Self { channels: [ChannelMeter::new(part), ChannelMeter::new(part)] }
    }

    /// Takes a block in.
    pub fn add(&mut self, block: [&[f32]; 2]) {
        for (channel, samples) in self.channels.iter_mut().zip(block) {
            channel.add(samples);
        }
    }

    /// Takes `frames` of silence in.
    pub fn add_silence(&mut self, frames: usize) {
        for channel in &mut self.channels {
            channel.add_silence(frames);
        }
    }

    /// Returns the level, and begins to look for the next peak.
    pub fn read(&mut self) -> Level {
        let mut level = Level::default();
        for channel in &mut self.channels {
            level.peak = level.peak.max(std::mem::take(&mut channel.peak));
            level.rms = level.rms.max(channel.rms());
        }
        level
    }

    /// Forgets what it has seen.
    pub fn reset(&mut self) {
        for channel in &mut self.channels {
            *channel = ChannelMeter::new(channel.part);
        }
    }
}

#[derive(Debug)]
struct ChannelMeter {
    peak: f32,
    /// Sums of squares of the parts of the window, oldest first.
    parts: [f64; PARTS],
    /// Sum of squares of the part that is not complete.
    open: f64,
    /// Frames that it lacks.
    left: usize,
    /// Frames of a part.
    part: u32,
}

impl ChannelMeter {
    fn new(part: u32) -> Self {
        Self { peak: 0.0, parts: [0.0; PARTS], open: 0.0, left: convert::size(part), part }
    }

    fn add(&mut self, samples: &[f32]) {
        let mut rest = samples;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.left.min(rest.len()));
            let mut peak = self.peak;
            let mut open = self.open;
            for sample in now {
                peak = peak.max(sample.abs());
                open += f64::from(*sample) * f64::from(*sample);
            }
            self.peak = peak;
            self.open = open;
            self.go_on(now.len());
            rest = later;
        }
    }

    fn add_silence(&mut self, frames: usize) {
        let mut rest = frames;
        while rest > 0 {
            let now = self.left.min(rest);
            self.go_on(now);
            rest = rest.saturating_sub(now);
        }
    }

    /// Counts frames, at most those that are left of the part, and closes the part.
    fn go_on(&mut self, frames: usize) {
        self.left = self.left.saturating_sub(frames);
        if self.left == 0 {
            self.left = convert::size(self.part);
            self.parts.rotate_left(1);
            if let Some(last) = self.parts.last_mut() {
                *last = std::mem::take(&mut self.open);
            }
        }
    }

    fn rms(&self) -> f32 {
        let frames = f64::from(self.part) * convert::real(convert::count(PARTS));
        convert::sample((self.parts.iter().sum::<f64>() / frames).sqrt())
    }
}

/// The mark beside a needle: stays at the greatest level for a while, then falls.
///
/// # Units and range
/// Levels in dB, times in milliseconds. Time is told, not read.
#[derive(Debug, Clone, Copy)]
pub struct PeakHold {
    hold_ms: f32,
    fall_db_per_ms: f32,
    level: f32,
    held_ms: f32,
}

impl PeakHold {
    /// Makes a mark that stays `hold_ms` and then falls by `fall_db_per_second`.
    pub fn new(hold_ms: f32, fall_db_per_second: f32) -> Self {
        let fall_db_per_ms = fall_db_per_second / 1000.0;
        Self { hold_ms, fall_db_per_ms, level: f32::NEG_INFINITY, held_ms: 0.0 }
    }

    /// Takes in the level of the last `elapsed_ms`, and returns where the mark is.
    /// A level that is NaN counts as silence.
    pub fn update(&mut self, level_db: f32, elapsed_ms: f32) -> f32 {
        let before = self.held_ms;
        self.held_ms += elapsed_ms.max(0.0);
        let falling_ms = self.held_ms - before.max(self.hold_ms);
        if falling_ms > 0.0 {
            self.level -= falling_ms * self.fall_db_per_ms;
        }
        if level_db >= self.level {
            self.level = level_db;
            self.held_ms = 0.0;
        }
        self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tone;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const RATE: u32 = 48_000;

    fn near(level: f32, wanted: f32) -> bool {
        (level - wanted).abs() < 1e-3
    }

    #[test]
    fn a_sine_has_its_peak_and_an_rms_three_decibels_below() {
        let mut meter = Meter::new(RATE);
        let mut block = [0.0; 4800];
        Tone::new(RATE, 1000, 0.5).fill(&mut block);
        meter.add([&block, &[0.0; 4800]]);
        let level = meter.read();
        assert!((level.peak - 0.5).abs() < 1e-6, "{level:?}");
        assert!((level.rms - 0.5 / 2.0_f32.sqrt()).abs() < 1e-4, "{level:?}");
    }

    #[test]
    fn a_peak_is_told_once_and_the_window_forgets() {
        let mut meter = Meter::new(RATE);
        let mut block = [0.0; 240];
        block[7] = -0.75;
        meter.add([&[0.0; 240], &block]);
        assert!((meter.read().peak - 0.75).abs() < 1e-9);
        assert!(meter.read().peak <= 0.0);
        assert!(meter.read().rms > 0.0);
        meter.add_silence(5 * 240);
        assert_eq!(meter.read(), Level::default());
    }

    #[test]
    fn how_frames_are_cut_does_not_matter() {
        let mut samples = [0.0; 4801];
        Tone::new(RATE, 440, 0.9).fill(&mut samples);
        let levels = [1, 64, 128, 480, 4801].map(|size| {
            let mut meter = Meter::new(RATE);
            samples.chunks(size).for_each(|block| meter.add([block, block]));
            meter.read()
        });
        assert!(levels.iter().all(|level| *level == levels[0]), "{levels:?}");
    }

    #[test]
    fn a_mark_stays_then_falls_and_rises_at_once() {
        let mut mark = PeakHold::new(1000.0, 20.0);
        assert!(near(mark.update(-6.0, 16.0), -6.0));
        assert!(near(mark.update(-30.0, 1000.0), -6.0));
        assert!(near(mark.update(-30.0, 500.0), -16.0));
        assert!(near(mark.update(-10.0, 16.0), -10.0));
        assert!(near(mark.update(f32::NAN, 16.0), -10.0));
    }

    #[test]
    fn a_mark_that_nothing_touched_is_at_the_bottom() {
        let mut mark = PeakHold::new(100.0, 20.0);
        assert!(mark.update(f32::NEG_INFINITY, 1e6) < f32::MIN);
        assert!(near(mark.update(-3.0, 1.0), -3.0));
    }
}
