//! Random settings, signals and block sizes: what must hold whatever they are.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::expect_used, reason = "helpers of tests")]

use openstudio_mix::StripSettings;
use openstudio_mix::{CEILING, Desk, DeskConfig, MixMinus, MonitorSettings, MonitorSource, Noise};
use openstudio_units::{Gain, Seed};
use proptest::prelude::*;

const STRIPS: usize = 5;
const RATE: u32 = 48_000;
const MAX_FRAMES: usize = 512;

/// Something that a page does with its desk.
#[derive(Debug, Clone)]
enum TestOp {
    Strip(usize, StripSettings),
    Clear(usize),
    Monitor(MonitorSettings),
    /// Noise of this amplitude for this many frames into the strips of these bits.
    Play(usize, u32, f32),
    /// The same with a sample of this value in the midst of it.
    Fault(usize, f32),
    Reset,
}

fn settings() -> impl Strategy<Value = StripSettings> {
    (0..=200_u16, any::<[bool; 4]>()).prop_map(|(percent, [muted, on_air, solo, own])| {
        let gain = Gain::from_percent(percent).unwrap_or_default();
        StripSettings { gain, muted, on_air, solo, own }
    })
}

fn monitor() -> impl Strategy<Value = MonitorSettings> {
    (0..=200_u16, any::<bool>()).prop_map(|(percent, conversation)| MonitorSettings {
        volume: Gain::from_percent(percent).unwrap_or_default(),
        source: if conversation { MonitorSource::Conversation } else { MonitorSource::Programme },
    })
}

fn op() -> impl Strategy<Value = TestOp> {
    let amplitude = prop_oneof![Just(0.1), Just(1.0), Just(4.0), Just(990.0), Just(1e-39)];
    let value = prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::MAX), any::<f32>()];
    prop_oneof![
        3 => (0..STRIPS, settings()).prop_map(|(strip, s)| TestOp::Strip(strip, s)),
        1 => (0..STRIPS).prop_map(TestOp::Clear),
        1 => monitor().prop_map(TestOp::Monitor),
        4 => (1..3000_usize, any::<u32>(), amplitude).prop_map(|(f, b, a)| TestOp::Play(f, b, a)),
        1 => (0..STRIPS, value).prop_map(|(strip, value)| TestOp::Fault(strip, value)),
        1 => Just(TestOp::Reset),
    ]
}

/// A desk and what it played, left and right of monitor and programme.
struct Run {
    desk: Desk,
    noise: Vec<Noise>,
    played: [Vec<f32>; 4],
    block: usize,
    /// Leave the own strips out of what is connected.
    without_own: bool,
    own: [bool; STRIPS],
}

impl Run {
    fn new(block: usize, without_own: bool) -> Self {
        let config = DeskConfig { sample_rate: RATE, strips: STRIPS, max_frames: MAX_FRAMES };
        let seed = Seed::from_number(1);
        let noise = |strip: usize| Noise::new(seed.fork(&strip.to_string()), 1.0);
        Self {
            desk: Desk::prepare(config).expect("within its ranges"),
            noise: (0..STRIPS).map(noise).collect(),
            played: Default::default(),
            block,
            without_own,
            own: [false; STRIPS],
        }
    }

    fn perform(&mut self, op: &TestOp) {
        match *op {
            TestOp::Strip(strip, settings) => {
                self.own[strip] = settings.own;
                self.desk.set_strip(strip, settings);
            }
            TestOp::Clear(strip) => {
                self.own[strip] = false;
                self.desk.clear_strip(strip);
            }
            TestOp::Monitor(settings) => self.desk.set_monitor(settings),
            TestOp::Play(frames, bits, amplitude) => self.play(frames, bits, amplitude, None),
            TestOp::Fault(strip, value) => self.play(100, 1 << strip, 0.1, Some(value)),
            TestOp::Reset => self.desk.reset_loudness(),
        }
    }

    fn play(&mut self, frames: usize, mut bits: u32, amplitude: f32, fault: Option<f32>) {
        let own = (0..STRIPS).filter(|strip| self.own[*strip]).fold(0, |bits, s| bits | 1 << s);
        if self.without_own {
            bits &= !own;
        }
        let mut done = 0;
        while done < frames {
            let now = self.block.min(frames - done);
            for (strip, noise) in self.noise.iter_mut().enumerate() {
                let [left, right] = self.desk.input_mut(strip).expect("there is the strip");
                for at in 0..now {
                    left[at] = noise.next_sample() * amplitude;
                    right[at] = left[at] * 0.5;
                    if let Some(value) = fault.filter(|_| done + at == 50) {
                        left[at] = value;
                    }
                }
            }
            self.desk.process(now, bits);
            let buses = [self.desk.monitor(), self.desk.programme()];
            for (to, from) in self.played.iter_mut().zip(buses.as_flattened()) {
                to.extend_from_slice(from);
            }
            done += now;
        }
    }
}

proptest! {
    #[test]
    fn output_is_finite_and_below_the_ceiling(ops in prop::collection::vec(op(), 1..20)) {
        let mut run = Run::new(128, false);
        ops.iter().for_each(|op| run.perform(op));
        for channel in &run.played {
            prop_assert!(channel.iter().all(|sample| sample.abs() <= CEILING));
        }
        let level = run.desk.programme_level();
        prop_assert!(level.peak <= CEILING && level.rms <= CEILING);
        let loudness = run.desk.loudness();
        prop_assert!(loudness.true_peak_db.is_none_or(|peak| peak <= -0.9), "{loudness:?}");
        for strip in 0..STRIPS {
            let level = run.desk.strip_level(strip);
            prop_assert!(level.peak.is_finite() && level.rms.is_finite());
        }
    }

    #[test]
    fn how_frames_are_cut_does_not_matter(ops in prop::collection::vec(op(), 1..12)) {
        let mut runs = [1, 64, 128, 480].map(|block| Run::new(block, false));
        for run in &mut runs {
            ops.iter().for_each(|op| run.perform(op));
        }
        let bits = |run: &Run| run.played.each_ref().map(|channel| {
            channel.iter().map(|sample| sample.to_bits()).collect::<Vec<_>>()
        });
        let [first, others @ ..] = &mut runs;
        for other in others {
            prop_assert!(bits(first) == bits(other));
            prop_assert_eq!(first.desk.counters(), other.desk.counters());
        }
    }

    #[test]
    fn the_own_voice_is_never_in_the_conversation(ops in prop::collection::vec(op(), 1..15)) {
        let conversation = |op: &&TestOp| match op {
            TestOp::Monitor(settings) => settings.source == MonitorSource::Conversation,
            TestOp::Strip(..)
            | TestOp::Clear(_)
            | TestOp::Play(..)
            | TestOp::Fault(..)
            | TestOp::Reset => true,
        };
        let [mut with, mut without] = [false, true].map(|without| Run::new(128, without));
        for op in ops.iter().filter(conversation) {
            with.perform(op);
            without.perform(op);
        }
        prop_assert!(with.played[0] == without.played[0] && with.played[1] == without.played[1]);
    }

    #[test]
    fn mix_minus_is_the_sum_of_the_others(
        count in 1..9_usize, seed in any::<u64>(), fault in any::<Option<(usize, usize)>>()
    ) {
        let mut mixer = MixMinus::prepare(count, 64);
        let mut inputs = vec![[0.0_f32; 64]; count];
        for (index, input) in inputs.iter_mut().enumerate() {
            Noise::new(Seed::from_number(seed).fork(&index.to_string()), 1.0).fill(input);
            let to = mixer.input_mut(index).expect("there is the input");
            to.copy_from_slice(input);
            if let Some((_, at)) = fault.filter(|(who, _)| who % count == index) {
                to[at % 64] = f32::NAN;
                input[at % 64] = 0.0;
            }
        }
        mixer.process(64);
        prop_assert_eq!(mixer.non_finite(), u64::from(fault.is_some()));
        for own in 0..count {
            let output = mixer.output(own).expect("there is the output");
            for (frame, sample) in output.iter().enumerate() {
                let others = inputs.iter().enumerate().filter(|(index, _)| *index != own);
                let sum = others.fold(0.0, |sum, (_, input)| sum + input[frame]);
                prop_assert_eq!(sum.to_bits(), sample.to_bits());
            }
        }
    }
}

#[test]
fn mix_minus_keeps_to_its_memory() {
    let mut mixer = MixMinus::prepare(2, 8);
    mixer.process(usize::MAX);
    assert_eq!(mixer.output(0).map(<[f32]>::len), Some(8));
    assert!(mixer.input_mut(2).is_none() && mixer.output(2).is_none());
}
