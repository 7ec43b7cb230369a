//! One stream that is heard: jitter buffer, decoder, and what it sounds like.

use std::sync::Arc;

use openstudio_units::Timestamp;
use opus::{Channels, Decoder};

use crate::jitter::{Frame, Jitter, JitterCounters};
use crate::pitch::{Heard, Listening};
use crate::{PACKET_FRAMES, SAMPLE_RATE};

/// Stereo, whatever the stream is: libopus plays mono on both channels.
const CHANNELS: usize = 2;

/// The longest Opus packet: 120 ms (RFC 6716 §2.1.4).
const LONGEST: usize = 5_760 * CHANNELS;

/// One piece of sound, left and right in turn.
const PIECE: usize = PACKET_FRAMES * CHANNELS;

/// The ear for one stream.
#[derive(Debug)]
pub(crate) struct Ear {
    decoder: Decoder,
    jitter: Jitter,
    /// Decoded, not yet played.
    decoded: Vec<f32>,
    scratch: Box<[f32]>,
    piece: Box<[f32]>,
    listening: Listening,
    broken: u64,
}

impl Ear {
    /// Makes an ear.
    pub(crate) fn new() -> Result<Self, opus::Error> {
        Ok(Self {
            decoder: Decoder::new(SAMPLE_RATE, Channels::Stereo)?,
            jitter: Jitter::default(),
            decoded: Vec::with_capacity(2 * LONGEST),
            scratch: vec![0.0; LONGEST].into(),
            piece: vec![0.0; PIECE].into(),
            listening: Listening::default(),
            broken: 0,
        })
    }

    /// Takes a packet with its RTP time, which does not wrap.
    pub(crate) fn take(&mut self, arrival: Timestamp, time: u64, data: Arc<[u8]>) {
        let frames = opus::packet::get_nb_samples(&data, SAMPLE_RATE);
        match frames.ok().and_then(|frames| u64::try_from(frames).ok()) {
            Some(frames) => self.jitter.push(arrival, time, frames, data),
            None => self.broken += 1,
        }
    }

    /// Plays one piece: left and right in turn.
    pub(crate) fn play(&mut self) -> &[f32] {
        while self.decoded.len() < PIECE {
            match self.jitter.pull() {
                Frame::Packet(data) => self.decode(&data, false),
                Frame::Recover(after) => self.decode(&after, true),
                Frame::Conceal => self.decode(&[], false),
                Frame::Merge(first, second) => self.merge(&first, &second),
                Frame::Silence => self.decoded.resize(self.decoded.len() + PIECE, 0.0),
            }
        }
        for (sample, decoded) in self.piece.iter_mut().zip(self.decoded.drain(..PIECE)) {
            *sample = decoded;
        }
        self.listening.take(self.piece.iter().copied().step_by(CHANNELS));
        &self.piece
    }

    /// Returns what it sounded like of late.
    pub(crate) fn heard(&mut self) -> Heard {
        self.listening.heard()
    }

    /// Returns the latest steady tone that was heard, Hz.
    pub(crate) fn tone(&self) -> Option<f32> {
        self.listening.tone()
    }

    /// Returns what happened to packets so far.
    pub(crate) fn counters(&self) -> JitterCounters {
        self.jitter.counters()
    }

    fn decode(&mut self, data: &[u8], fec: bool) {
        // Without data, and for a lost piece, the output's size says how much is wanted.
        let wanted = if data.is_empty() || fec { PIECE } else { LONGEST };
        let Some(room) = self.scratch.get_mut(..wanted) else { return };
        let frames = self.decoder.decode_float(data, room, fec).unwrap_or_else(|_| {
            self.broken += 1;
            room.fill(0.0);
            PACKET_FRAMES
        });
        self.decoded.extend(room.iter().take(frames * CHANNELS));
    }

    fn merge(&mut self, first: &[u8], second: &[u8]) {
        let begin = self.decoded.len();
        self.decode(first, false);
        let middle = self.decoded.len();
        self.decode(second, false);
        let (kept, faded_in) = self.decoded.split_at_mut(middle);
        let Some(kept) = kept.get_mut(begin..) else { return };
        let count = kept.len().min(faded_in.len()).max(1);
        for (index, (out, new)) in kept.iter_mut().zip(faded_in).enumerate() {
            let share = (index / CHANNELS * CHANNELS) as f32 / count as f32;
            *out += share * (*new - *out);
        }
        self.decoded.truncate(middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::{Source, Voice};

    const PACKET: u64 = PACKET_FRAMES as u64;

    /// Lets an ear hear 2 s of a tone, without the packets that `lost` names. Returns the level
    /// of each piece, too, dBFS.
    fn listen(lost: impl Fn(u64) -> bool) -> (Ear, Vec<f32>) {
        let mut voice = Voice::new(Source::tone(950)).unwrap();
        let mut ear = Ear::new().unwrap();
        let mut levels = Vec::new();
        for n in 0..100 {
            let packet = voice.next_packet(false).unwrap();
            if !lost(n) {
                ear.take(Timestamp::from_millis(n * 20), n * PACKET, packet);
            }
            let power: f32 = ear.play().iter().map(|sample| sample * sample).sum();
            levels.push(10.0 * (power / PIECE as f32).max(1e-12).log10());
        }
        (ear, levels)
    }

    #[test]
    fn what_is_said_is_heard() {
        let (mut ear, _) = listen(|_| false);
        let heard = ear.heard();
        assert!((heard.hertz.unwrap() - 950.0).abs() < 2.0, "{heard:?}");
        assert!((heard.level_db + 23.0).abs() < 0.5, "{heard:?}");
        assert_eq!(ear.counters().concealed, 0);
    }

    #[test]
    fn a_lost_packet_is_not_a_hole() {
        let (ear, levels) = listen(|n| n % 10 == 5);
        assert!(ear.counters().concealed >= 8, "{:?}", ear.counters());
        let quietest = levels[20..].iter().copied().fold(0.0, f32::min);
        assert!(quietest > -33.0, "{quietest} dBFS, where the tone has -23");
    }

    #[test]
    fn packets_that_carry_the_one_before_are_known_by_their_flag() {
        use crate::jitter::carries_previous;
        use opus::{Application, Encoder};
        for (channels, count) in [(Channels::Mono, 1), (Channels::Stereo, 2)] {
            let mut encoder = Encoder::new(SAMPLE_RATE, channels, Application::Voip).unwrap();
            encoder.set_bitrate(opus::Bitrate::Bits(24_000)).unwrap();
            encoder.set_inband_fec(true).unwrap();
            let mut carrying = |loss: i32| {
                encoder.set_packet_loss_perc(loss).unwrap();
                let saw = |n: usize| (n / count % 240) as f32 / 480.0 - 0.25;
                let sound: Vec<f32> = (0..PACKET_FRAMES * count).map(saw).collect();
                let packets = (0..20).map(|_| encoder.encode_vec_float(&sound, 1_275).unwrap());
                packets.filter(|packet| carries_previous(packet)).count()
            };
            assert_eq!(carrying(0), 0);
            assert!(carrying(20) > 10);
        }
        for packet in [&[][..], &[0x08], &[0xf8, 0xff], &[0x0b, 0xff]] {
            assert!(!carries_previous(packet), "{packet:?}");
        }
    }

    #[test]
    fn what_is_no_packet_is_counted_and_does_no_harm() {
        let mut ear = Ear::new().unwrap();
        for n in 0..50 {
            let length = usize::try_from(n).unwrap();
            ear.take(Timestamp::from_millis(n * 20), n * PACKET, Arc::from(vec![0xff; length]));
            ear.play();
        }
        assert!(ear.broken > 0);
    }

    #[test]
    fn a_muted_voice_is_silent() {
        let mut voice = Voice::new(Source::tone(950)).unwrap();
        let mut ear = Ear::new().unwrap();
        for n in 0..50 {
            let packet = voice.next_packet(true).unwrap();
            ear.take(Timestamp::from_millis(n * 20), n * PACKET, packet);
            ear.play();
        }
        assert!(!ear.heard().is_audible());
        assert_eq!(ear.counters().lost, 0, "packets came all the same");
    }
}
