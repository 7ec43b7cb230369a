//! What each participant of a bridge hears back: the others and never oneself, encoded once for
//! each who is heard and once for all who are silent.

use std::sync::Arc;

use openstudio_mix::MixMinus;
use opus::{Application, Bitrate, Channels, Encoder};

use crate::{PACKET_FRAMES, SAMPLE_RATE};

/// The largest Opus packet that is made.
const PACKET_BYTES: usize = 1_275;

/// Below this mean square, −60 dBFS, nobody is heard.
const AUDIBLE: f32 = 1e-6;

/// Whoever was heard counts as heard for this many packets more: 400 ms, so that a pause
/// between two words changes nothing.
const HANG_OVER: u32 = 20;

/// Who begins or ceases to be heard is faded over this many frames: 5 ms.
const FADE: usize = 240;

/// One participant.
#[derive(Debug)]
struct Line {
    encoder: Encoder,
    /// For how many packets they still count as heard; 0 is silent.
    heard: u32,
}

/// The returns of a bridge, one channel, 20 ms at a time.
///
/// Whoever is below −60 dBFS for 400 ms is left out of all sums, and so hears the sum of all who
/// are heard: the same for everybody who is silent, encoded once. With twelve of whom two speak
/// that is three packets to encode, not twelve.
///
/// # Invariants
/// What somebody hears is a sum of others, in which they have no part.
#[derive(Debug)]
pub struct Returns {
    sums: MixMinus,
    /// What the silent hear: that of an input which is always silent.
    silent: usize,
    lines: Vec<Line>,
    shared: Encoder,
    packets: Vec<Arc<[u8]>>,
    encoded: usize,
}

impl Returns {
    /// Makes a bridge for so many participants, with `bitrate` bit/s for each return.
    ///
    /// # Errors
    /// libopus's, if it refuses the bitrate or has no memory.
    pub fn new(participants: usize, bitrate: i32) -> Result<Self, opus::Error> {
        let encoder = || {
            let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Voip)?;
            encoder.set_bitrate(Bitrate::Bits(bitrate))?;
            encoder.set_inband_fec(true)?;
            encoder.set_dtx(false)?;
            Ok::<_, opus::Error>(encoder)
        };
        let lines = (0..participants).map(|_| Ok(Line { encoder: encoder()?, heard: 0 }));
        Ok(Self {
            sums: MixMinus::prepare(participants + 1, PACKET_FRAMES),
            silent: participants,
            lines: lines.collect::<Result<_, opus::Error>>()?,
            shared: encoder()?,
            packets: Vec::with_capacity(participants),
            encoded: 0,
        })
    }

    /// Returns where to write what a participant says next: 960 frames, all of them each time.
    pub fn input_mut(&mut self, participant: usize) -> Option<&mut [f32]> {
        if participant < self.silent { self.sums.input_mut(participant) } else { None }
    }

    /// Returns the next packet for each participant, in their order.
    ///
    /// # Errors
    /// libopus's.
    pub fn step(&mut self) -> Result<&[Arc<[u8]>], opus::Error> {
        let mut rejoined = false;
        for (index, line) in self.lines.iter_mut().enumerate() {
            let Some(input) = self.sums.input_mut(index) else { continue };
            let before = line.heard;
            let power = input.iter().map(|sample| sample * sample).sum::<f32>();
            // What is not finite is heard, and made silence by the sums.
            let audible = power.is_nan() || power / PACKET_FRAMES as f32 >= AUDIBLE;
            line.heard = if audible { HANG_OVER } else { before.saturating_sub(1) };
            match (before, line.heard) {
                (0, 0) => input.fill(0.0),
                (0, _) => {
                    fade_in(input.iter_mut().take(FADE));
                    // A stream that goes on with another encoder begins with a packet that
                    // depends on none before (RFC 6716 §4.3.2.1).
                    line.encoder.reset_state()?;
                }
                (_, 0) => {
                    fade_in(input.iter_mut().take(FADE).rev());
                    input.iter_mut().skip(FADE).for_each(|sample| *sample = 0.0);
                    rejoined = true;
                }
                _ => {}
            }
        }
        self.sums.process(PACKET_FRAMES);
        if rejoined {
            self.shared.reset_state()?;
        }
        self.encode()?;
        Ok(&self.packets)
    }

    /// Returns how many packets the last step encoded.
    pub fn encoded(&self) -> usize {
        self.encoded
    }

    fn encode(&mut self) -> Result<(), opus::Error> {
        self.packets.clear();
        let sum = |index| self.sums.output(index).unwrap_or_default();
        let shared = packet(&mut self.shared, sum(self.silent))?;
        self.encoded = 1;
        for (index, line) in self.lines.iter_mut().enumerate() {
            if line.heard == 0 {
                self.packets.push(shared.clone());
            } else {
                self.encoded += 1;
                self.packets.push(packet(&mut line.encoder, sum(index))?);
            }
        }
        Ok(())
    }
}

fn fade_in<'a>(samples: impl ExactSizeIterator<Item = &'a mut f32>) {
    let count = samples.len().max(1) as f32;
    for (index, sample) in samples.enumerate() {
        *sample *= index as f32 / count;
    }
}

fn packet(encoder: &mut Encoder, block: &[f32]) -> Result<Arc<[u8]>, opus::Error> {
    let mut packet = [0; PACKET_BYTES];
    let length = encoder.encode_float(block, &mut packet)?;
    Ok(Arc::from(packet.get(..length).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_mix::Tone;
    use opus::Decoder;

    const COUNT: usize = 12;

    /// A bridge of twelve, with a decoder for each.
    struct Bridge {
        returns: Returns,
        tones: Vec<Tone>,
        decoders: Vec<Decoder>,
        heard: Vec<Vec<f32>>,
    }

    fn hertz(index: usize) -> u32 {
        600 + 350 * u32::try_from(index).unwrap()
    }

    impl Bridge {
        fn new() -> Self {
            Self {
                returns: Returns::new(COUNT, 64_000).unwrap(),
                tones: (0..COUNT).map(|i| Tone::new(SAMPLE_RATE, hertz(i), 0.1)).collect(),
                decoders: (0..COUNT)
                    .map(|_| Decoder::new(SAMPLE_RATE, Channels::Mono).unwrap())
                    .collect(),
                heard: vec![Vec::new(); COUNT],
            }
        }

        /// Lets `speakers` speak for so many packets.
        fn speak(&mut self, speakers: &[usize], packets: usize) {
            for _ in 0..packets {
                for index in 0..COUNT {
                    let input = self.returns.input_mut(index).unwrap();
                    if speakers.contains(&index) {
                        self.tones[index].fill(input);
                    } else {
                        input.fill(0.0);
                    }
                }
                let packets = self.returns.step().unwrap().to_vec();
                for (index, packet) in packets.iter().enumerate() {
                    let mut block = [0.0; PACKET_FRAMES];
                    self.decoders[index].decode_float(packet, &mut block, false).unwrap();
                    self.heard[index].extend(block);
                }
            }
        }

        /// The level of a tone in the last second that somebody heard, dBFS.
        fn level(&self, listener: usize, tone: usize) -> f64 {
            let samples = &self.heard[listener][self.heard[listener].len() - 48_000..];
            let step = std::f64::consts::TAU * f64::from(hertz(tone)) / 48_000.0;
            let (mut sine, mut cosine) = (0.0, 0.0);
            for (index, sample) in samples.iter().enumerate() {
                let window = 1.0 - (std::f64::consts::TAU * index as f64 / 48_000.0).cos();
                let (s, c) = (step * index as f64).sin_cos();
                sine += window * f64::from(*sample) * s;
                cosine += window * f64::from(*sample) * c;
            }
            20.0 * (2.0 * f64::hypot(sine, cosine) / 48_000.0).max(1e-9).log10()
        }
    }

    #[test]
    fn everybody_hears_the_others_and_nobody_oneself() {
        let mut bridge = Bridge::new();
        bridge.speak(&[2, 7], 100);
        for listener in 0..COUNT {
            for tone in [2, 7] {
                let level = bridge.level(listener, tone);
                if listener == tone {
                    assert!(level < -60.0, "{listener} hears themselves at {level} dBFS");
                } else {
                    assert!((level + 20.0).abs() < 1.5, "{listener} hears {tone} at {level} dBFS");
                }
            }
        }
    }

    #[test]
    fn the_silent_share_one_packet_and_those_who_are_heard_have_their_own() {
        let mut bridge = Bridge::new();
        bridge.speak(&[], 1);
        assert_eq!(bridge.returns.encoded(), 1);
        bridge.speak(&[2, 7], 1);
        assert_eq!(bridge.returns.encoded(), 3);
        let packets = &bridge.returns.packets;
        assert!(Arc::ptr_eq(&packets[0], &packets[11]));
        assert!(!Arc::ptr_eq(&packets[0], &packets[2]) && packets[2] != packets[7]);
        bridge.speak(&[], usize::try_from(HANG_OVER).unwrap());
        assert_eq!(bridge.returns.encoded(), 1, "after the last word");
    }

    #[test]
    fn who_begins_and_ceases_to_speak_hears_the_others_without_a_break() {
        let mut bridge = Bridge::new();
        bridge.speak(&[5], 100);
        for _ in 0..5 {
            bridge.speak(&[5, 9], 30);
            bridge.speak(&[5], 30);
        }
        // A tone of 0.1 never moves by more than this from one sample to the next; twice that is
        // what the codec adds at a seam, and a tenth of a click.
        let own = 0.1 * std::f32::consts::TAU * hertz(5) as f32 / 48_000.0;
        let heard = &bridge.heard[9][48_000..];
        let step = heard.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f32::max);
        assert!(step < 2.0 * own, "{step} where the tone has {own}");
        assert!((bridge.level(9, 5) + 20.0).abs() < 1.5);
    }

    #[test]
    fn what_is_not_finite_poisons_nobody() {
        let mut bridge = Bridge::new();
        bridge.returns.input_mut(0).unwrap().fill(f32::NAN);
        bridge.returns.step().unwrap();
        bridge.speak(&[3], 100);
        assert!((bridge.level(1, 3) + 20.0).abs() < 1.5);
        assert!(bridge.returns.input_mut(COUNT).is_none());
    }
}
