//! One strip of the desk: a person's signal, fader and routing. It knows nothing about the
//! other strips; whether one of them is soloed, it is told.

use crate::bus::Bus;
use crate::meter::{Level, Meter};
use crate::ramp::Ramp;
use openstudio_units::Gain;

/// Greatest sample that is taken for sound: +60 dBFS. Sums of more could leave the range of
/// numbers, and nothing that a decoder gives comes near.
pub(crate) const LOUDEST: f32 = 1000.0;

/// How a strip is set. The default is a person who is heard and not on air.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StripSettings {
    /// The fader.
    pub gain: Gain,
    /// Nobody hears the strip: neither the monitor nor the programme.
    pub muted: bool,
    /// The strip is part of the programme.
    pub on_air: bool,
    /// The monitor plays soloed strips only, if there are any. The programme does not care.
    pub solo: bool,
    /// It is the participant's own voice: never in the conversation, and its `solo` does
    /// not count.
    pub own: bool,
}

impl StripSettings {
    /// Whether this strip silences those that are not soloed.
    pub(crate) fn solos(self) -> bool {
        self.solo && !self.own
    }
}

#[derive(Debug)]
pub(crate) struct Strip {
    pub(crate) settings: StripSettings,
    /// What the caller wrote; after processing, the signal behind the fader.
    input: Bus,
    fader: Ramp,
    to_programme: Ramp,
    to_monitor: Ramp,
    meter: Meter,
}

impl Strip {
    pub(crate) fn new(sample_rate: u32, max_frames: usize, ramp_frames: u16) -> Self {
        Self {
            settings: StripSettings::default(),
            input: Bus::new(max_frames),
            fader: Ramp::new(1.0, ramp_frames),
            to_programme: Ramp::new(0.0, ramp_frames),
            to_monitor: Ramp::new(1.0, ramp_frames),
            meter: Meter::new(sample_rate),
        }
    }

    pub(crate) fn input_mut(&mut self) -> [&mut [f32]; 2] {
        self.input.all_mut()
    }

    pub(crate) fn read_level(&mut self) -> Level {
        self.meter.read()
    }

    /// Is as new, at once.
    pub(crate) fn clear(&mut self) {
        self.settings = StripSettings::default();
        self.fader.jump(1.0);
        self.to_programme.jump(0.0);
        self.to_monitor.jump(1.0);
        self.meter.reset();
    }

    /// Sets out for what the settings say. `soloing`: some strip of the desk is soloed.
    pub(crate) fn follow(&mut self, soloing: bool) {
        let StripSettings { gain, muted, on_air, own, .. } = self.settings;
        self.fader.retarget(if muted { 0.0 } else { gain.factor() });
        self.to_programme.retarget(open(on_air));
        if own {
            // At once: a click is better than hearing oneself.
            self.to_monitor.jump(0.0);
        } else {
            self.to_monitor.retarget(open(!soloing || self.settings.solo));
        }
    }

    /// Adds a block of the strip to both buses, and returns how many samples were no sound.
    pub(crate) fn mix(&mut self, frames: usize, programme: &mut Bus, monitor: &mut Bus) -> u64 {
        let mut faults: u64 = 0;
        for samples in self.input.first_mut(frames) {
            faults = faults.saturating_add(remove_faults(samples));
            self.fader.apply(samples);
        }
        let block = self.input.first(frames);
        self.meter.add(block);
        for (samples, sums) in block.into_iter().zip(programme.first_mut(frames)) {
            self.to_programme.add(samples, sums);
        }
        for (samples, sums) in block.into_iter().zip(monitor.first_mut(frames)) {
            self.to_monitor.add(samples, sums);
        }
        self.advance(frames);
        faults
    }

    /// Lets a block of silence pass.
    pub(crate) fn pass(&mut self, frames: usize) {
        self.meter.add_silence(frames);
        self.advance(frames);
    }

    fn advance(&mut self, frames: usize) {
        self.fader.advance(frames);
        self.to_programme.advance(frames);
        self.to_monitor.advance(frames);
    }
}

/// The gain of a send.
fn open(is_open: bool) -> f32 {
    if is_open { 1.0 } else { 0.0 }
}

/// Makes silence of samples that are not finite or beyond [`LOUDEST`], and counts them.
pub(crate) fn remove_faults(samples: &mut [f32]) -> u64 {
    let mut faults: u64 = 0;
    for sample in samples {
        // NaN is not below anything.
        let sound = sample.abs() <= LOUDEST;
        faults = faults.saturating_add(u64::from(!sound));
        *sample = if sound { *sample } else { 0.0 };
    }
    faults
}
