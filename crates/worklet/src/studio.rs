//! The desk and the memory that JavaScript reads figures from. It knows no exports.

use openstudio_mix::{Desk, DeskConfig, Level, MonitorSettings, StripSettings};

/// Longest block, in frames. A render quantum has 128; pages may come to choose larger ones.
pub const MAX_FRAMES: u32 = 2048;

/// How many numbers [`loudness`](crate::loudness) returns.
pub const LOUDNESS_VALUES: usize = 8;

#[derive(Debug)]
pub(crate) struct Studio {
    desk: Desk,
    /// Peak and RMS of each strip, then of the programme.
    levels: Vec<[f32; 2]>,
    loudness: [f32; LOUDNESS_VALUES],
}

impl Studio {
    pub(crate) fn prepare(sample_rate: f32, strips: u32) -> Option<Self> {
        let strips = size(strips);
        let max_frames = size(MAX_FRAMES);
        let config = DeskConfig { sample_rate: hertz(sample_rate), strips, max_frames };
        let desk = Desk::prepare(config).ok()?;
        let levels = vec![[0.0; 2]; strips.saturating_add(1)];
        Some(Self { desk, levels, loudness: [f32::NEG_INFINITY; LOUDNESS_VALUES] })
    }

    pub(crate) fn input(&mut self, strip: u32, channel: u32) -> Option<*mut f32> {
        let channels = self.desk.input_mut(size(strip))?;
        channels.into_iter().nth(size(channel)).map(<[f32]>::as_mut_ptr)
    }

    pub(crate) fn process(&mut self, frames: u32, connected: u32) {
        self.desk.process(size(frames), connected);
    }

    pub(crate) fn output(&self, bus: u32, channel: u32) -> Option<*const f32> {
        let channels = match bus {
            0 => self.desk.monitor(),
            1 => self.desk.programme(),
            _ => return None,
        };
        channels.get(size(channel)).map(|samples| samples.as_ptr())
    }

    pub(crate) fn set_strip(&mut self, strip: u32, settings: StripSettings) {
        self.desk.set_strip(size(strip), settings);
    }

    pub(crate) fn clear_strip(&mut self, strip: u32) {
        self.desk.clear_strip(size(strip));
    }

    pub(crate) fn set_monitor(&mut self, settings: MonitorSettings) {
        self.desk.set_monitor(settings);
    }

    pub(crate) fn levels(&mut self) -> &[f32] {
        let Some((programme, strips)) = self.levels.split_last_mut() else {
            return &[];
        };
        for (index, values) in strips.iter_mut().enumerate() {
            *values = pair(self.desk.strip_level(index));
        }
        *programme = pair(self.desk.programme_level());
        self.levels.as_flattened()
    }

    pub(crate) fn loudness(&mut self) -> &[f32; LOUDNESS_VALUES] {
        let loudness = self.desk.loudness();
        let counters = self.desk.counters();
        let value = |value: Option<f64>| value.map_or(f32::NEG_INFINITY, real);
        self.loudness = [
            value(loudness.momentary),
            value(loudness.short_term),
            value(loudness.integrated),
            value(loudness.range),
            value(loudness.true_peak_db),
            count(counters.clipped),
            count(counters.limited),
            count(counters.non_finite),
        ];
        &self.loudness
    }

    pub(crate) fn reset_loudness(&mut self) {
        self.desk.reset_loudness();
    }
}

fn pair(level: Level) -> [f32; 2] {
    [level.peak, level.rms]
}

fn size(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// A sample rate of Web Audio in whole hertz; 0, which no desk takes, if it makes no sense.
#[expect(clippy::as_conversions, reason = "the only way; saturates, and NaN becomes 0")]
fn hertz(sample_rate: f32) -> u32 {
    sample_rate.round() as u32
}

#[expect(clippy::as_conversions, reason = "the only way; rounds to the nearest")]
fn real(value: f64) -> f32 {
    value as f32
}

/// Exact up to 2^24, rounded above: what is counted is shown, not reckoned with.
#[expect(clippy::as_conversions, reason = "the only way; rounds to the nearest")]
fn count(value: u64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    /// Half a second of a constant in the first strip.
    fn play(studio: &mut Studio, value: f32) {
        for _ in 0..200 {
            for channel in studio.desk.input_mut(0).unwrap() {
                channel.fill(value);
            }
            studio.process(128, 1);
        }
    }

    #[test]
    fn levels_are_those_of_the_strips_and_then_of_the_programme() {
        let mut studio = Studio::prepare(48_000.0, 2).unwrap();
        studio.set_strip(0, settings::strip(50, 2));
        play(&mut studio, 0.5);
        studio.levels();
        play(&mut studio, 0.5);
        assert_eq!(studio.levels(), [0.25, 0.25, 0.0, 0.0, 0.25, 0.25]);
    }

    #[test]
    fn loudness_is_minus_infinity_where_there_is_none_and_counts_follow() {
        let mut studio = Studio::prepare(48_000.0, 2).unwrap();
        let nothing = [f32::NEG_INFINITY; 5];
        assert_eq!(studio.loudness()[..5], nothing);
        assert_eq!(studio.loudness()[5..], [0.0; 3]);
        studio.set_strip(0, settings::strip(200, 2));
        play(&mut studio, 0.9);
        play(&mut studio, f32::NAN);
        let values = studio.loudness();
        assert!(values[4] > -1.2 && values[4] <= -0.9, "{values:?}");
        assert!(values[5] > 0.0 && values[6] > 0.0, "{values:?}");
        assert!((values[7] - 2.0 * 200.0 * 128.0).abs() < 0.5);
        studio.reset_loudness();
        assert_eq!(studio.loudness()[2..5], nothing[..3]);
    }
}
