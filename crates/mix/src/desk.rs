//! The mixing desk of one participant: strips in, monitor and programme out. It knows no
//! people: who has which strip, and who may set it, is decided elsewhere.

use crate::bus::Bus;
use crate::convert;
use crate::limiter::Limiter;
use crate::loudness::{Loudness, LoudnessMeter};
use crate::meter::{Level, Meter};
use crate::ramp::Ramp;
use crate::strip::{Strip, StripSettings};
use openstudio_units::Gain;
use thiserror::Error;

/// Ramps in a second: one takes 20 ms. Long enough not to click, too short to be waited for.
const RAMPS_PER_SECOND: u32 = 50;

/// What a desk is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeskConfig {
    /// In hertz: 8,000 to 192,000.
    pub sample_rate: u32,
    /// Number of strips: 1 to [`DeskConfig::MAX_STRIPS`].
    pub strips: usize,
    /// Longest block, in frames: 1 to [`DeskConfig::MAX_FRAMES`].
    pub max_frames: usize,
}

impl DeskConfig {
    /// As many strips as [`Desk::process`] has bits for.
    pub const MAX_STRIPS: usize = 32;

    /// Longest block that a desk can be made for.
    pub const MAX_FRAMES: usize = 16_384;

    fn validate(self) -> Result<Self, PrepareError> {
        if !(8_000..=192_000).contains(&self.sample_rate) {
            return Err(PrepareError::SampleRate);
        }
        if !(1..=Self::MAX_STRIPS).contains(&self.strips) {
            return Err(PrepareError::Strips);
        }
        if !(1..=Self::MAX_FRAMES).contains(&self.max_frames) {
            return Err(PrepareError::Frames);
        }
        Ok(self)
    }
}

/// A desk cannot be made like this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PrepareError {
    /// Resample, to 48 kHz best.
    #[error("the sample rate is not between 8 and 192 kHz")]
    SampleRate,
    /// Keep to [`DeskConfig::MAX_STRIPS`].
    #[error("a desk has 1 to {} strips", DeskConfig::MAX_STRIPS)]
    Strips,
    /// Keep to [`DeskConfig::MAX_FRAMES`].
    #[error("a block has 1 to {} frames", DeskConfig::MAX_FRAMES)]
    Frames,
}

/// What the participant hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MonitorSource {
    /// All others, on air or not, without the participant's own voice (mix-minus).
    #[default]
    Conversation,
    /// What is on air, the own voice included.
    Programme,
}

/// How the monitor is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MonitorSettings {
    /// In front of the monitor's limiter.
    pub volume: Gain,
    /// What is heard.
    pub source: MonitorSource,
}

/// What went wrong or had to be prevented since the desk was made. For counting only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Input samples that were NaN, infinite or beyond +60 dBFS. They were made silence.
    pub non_finite: u64,
    /// Samples of the programme that were over full scale in front of the limiter.
    pub clipped: u64,
    /// Frames of the programme that its limiter made quieter.
    pub limited: u64,
}

/// The desk. The crate's documentation says how signals go through it.
///
/// # Invariants
/// Nothing allocates after [`Self::prepare`]. Output is finite and within
/// [`CEILING`](crate::CEILING) whatever is put in, and does not depend on how the frames are
/// cut into blocks. The own voice adds exactly nothing to the conversation.
#[derive(Debug)]
pub struct Desk {
    config: DeskConfig,
    strips: Vec<Strip>,
    /// Frames of the last block.
    frames: usize,
    monitor: Monitor,
    programme: Bus,
    programme_limiter: Limiter,
    programme_meter: Meter,
    loudness: LoudnessMeter,
    counters: Counters,
}

impl Desk {
    /// Makes a desk: all of its memory is taken here. The monitor plays the conversation.
    ///
    /// # Errors
    /// [`PrepareError`] if the configuration is out of its ranges.
    pub fn prepare(config: DeskConfig) -> Result<Self, PrepareError> {
        let config = config.validate()?;
        let DeskConfig { sample_rate, strips, max_frames } = config;
        let ramp_frames = u16::try_from(sample_rate / RAMPS_PER_SECOND).unwrap_or(u16::MAX);
        let strip = |_| Strip::new(sample_rate, max_frames, ramp_frames);
        Ok(Self {
            config,
            strips: (0..strips).map(strip).collect(),
            frames: 0,
            monitor: Monitor::new(sample_rate, max_frames, ramp_frames),
            programme: Bus::new(max_frames),
            programme_limiter: Limiter::prepare(sample_rate),
            programme_meter: Meter::new(sample_rate),
            loudness: LoudnessMeter::prepare(sample_rate)?,
            counters: Counters::default(),
        })
    }

    /// Returns what the desk was made for.
    pub fn config(&self) -> DeskConfig {
        self.config
    }

    /// Sets a strip; a strip that the desk does not have is ignored. Takes effect within
    /// 20 ms, but for `own`, which takes the strip out of the conversation at once.
    pub fn set_strip(&mut self, strip: usize, settings: StripSettings) {
        if let Some(strip) = self.strips.get_mut(strip) {
            strip.settings = settings;
        }
        self.follow();
    }

    /// Sets a strip to its defaults, at once, and forgets its level: somebody else gets it.
    pub fn clear_strip(&mut self, strip: usize) {
        if let Some(strip) = self.strips.get_mut(strip) {
            strip.clear();
        }
        self.follow();
    }

    /// Sets the monitor, within 20 ms.
    pub fn set_monitor(&mut self, settings: MonitorSettings) {
        self.monitor.follow(settings);
    }

    /// Returns where to write a strip's next block: left and right, `max_frames` long. After
    /// [`Self::process`] they hold something else.
    pub fn input_mut(&mut self, strip: usize) -> Option<[&mut [f32]; 2]> {
        self.strips.get_mut(strip).map(Strip::input_mut)
    }

    /// Mixes a block of `frames` (`max_frames` at most). Bit *i* of `connected` says that
    /// strip *i* was written; the others are silent, whatever their memory holds.
    pub fn process(&mut self, frames: usize, connected: u32) {
        let frames = frames.min(self.config.max_frames);
        self.frames = frames;
        self.programme.silence(frames);
        self.monitor.bus.silence(frames);
        let mut bits = connected;
        for strip in &mut self.strips {
            if bits & 1 == 1 {
                let faults = strip.mix(frames, &mut self.programme, &mut self.monitor.bus);
                self.counters.non_finite = self.counters.non_finite.saturating_add(faults);
            } else {
                strip.pass(frames);
            }
            bits >>= 1;
        }
        self.monitor.process(frames, &self.programme);
        self.counters.clipped = self.counters.clipped.saturating_add(self.over_full_scale());
        let limited = self.programme_limiter.process(self.programme.first_mut(frames));
        self.counters.limited = self.counters.limited.saturating_add(limited);
        let block = self.programme.first(frames);
        self.programme_meter.add(block);
        self.loudness.add(block);
    }

    /// Returns the last block of what the participant hears: left and right.
    pub fn monitor(&self) -> [&[f32]; 2] {
        self.monitor.bus.first(self.frames)
    }

    /// Returns the last block of what is on air: left and right.
    pub fn programme(&self) -> [&[f32]; 2] {
        self.programme.first(self.frames)
    }

    /// Returns how loud a strip is behind fader and mute, and begins to look for its next
    /// peak. A strip that the desk does not have is silent.
    pub fn strip_level(&mut self, strip: usize) -> Level {
        self.strips.get_mut(strip).map(Strip::read_level).unwrap_or_default()
    }

    /// Returns how loud the programme is behind the limiter, and begins to look for its
    /// next peak.
    pub fn programme_level(&mut self) -> Level {
        self.programme_meter.read()
    }

    /// Returns the loudness of the programme behind the limiter. This takes as long as some
    /// blocks do: ten times a second at most.
    pub fn loudness(&self) -> Loudness {
        self.loudness.read()
    }

    /// Begins to measure loudness and true peak anew.
    pub fn reset_loudness(&mut self) {
        self.loudness.reset();
    }

    /// Returns what was counted since the desk was made.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Lets all strips set out for what the settings say.
    fn follow(&mut self) {
        let soloing = self.strips.iter().any(|strip| strip.settings.solos());
        for strip in &mut self.strips {
            strip.follow(soloing);
        }
    }

    fn over_full_scale(&self) -> u64 {
        let over = |sample: &&f32| sample.abs() > 1.0;
        let block = self.programme.first(self.frames);
        let counts = block.map(|samples| convert::count(samples.iter().filter(over).count()));
        counts.into_iter().fold(0, u64::saturating_add)
    }
}

/// What the participant hears: a bus, two sends and a volume, and a limiter, which protects
/// ears and has the same latency as that of the programme.
#[derive(Debug)]
struct Monitor {
    /// The sum of the others; after processing, what is heard.
    bus: Bus,
    volume: Ramp,
    conversation: Ramp,
    programme: Ramp,
    limiter: Limiter,
}

impl Monitor {
    fn new(sample_rate: u32, max_frames: usize, ramp_frames: u16) -> Self {
        Self {
            bus: Bus::new(max_frames),
            volume: Ramp::new(1.0, ramp_frames),
            conversation: Ramp::new(1.0, ramp_frames),
            programme: Ramp::new(0.0, ramp_frames),
            limiter: Limiter::prepare(sample_rate),
        }
    }

    fn follow(&mut self, settings: MonitorSettings) {
        let (conversation, programme) = match settings.source {
            MonitorSource::Conversation => (1.0, 0.0),
            MonitorSource::Programme => (0.0, 1.0),
        };
        self.volume.retarget(settings.volume.factor());
        self.conversation.retarget(conversation);
        self.programme.retarget(programme);
    }

    /// `programme` is not limited yet: at full volume the monitor's limiter then does to it
    /// what the programme's will do.
    fn process(&mut self, frames: usize, programme: &Bus) {
        for (samples, on_air) in self.bus.first_mut(frames).into_iter().zip(programme.first(frames))
        {
            self.conversation.apply(samples);
            self.programme.add(on_air, samples);
            self.volume.apply(samples);
        }
        self.conversation.advance(frames);
        self.programme.advance(frames);
        self.volume.advance(frames);
        self.limiter.process(self.bus.first_mut(frames));
    }
}
