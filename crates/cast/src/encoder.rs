//! The one encoder: blocks of the programme in, packets out.

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Encoder as Opus};

use crate::{BLOCK_FRAMES, SAMPLE_RATE};

/// The largest packet of one frame (RFC 6716 §3.2.1).
const PACKET_BYTES: usize = 1_276;

/// 20 ms of silence: CELT, full band, stereo (RFC 6716 §3.1).
const SILENCE: [u8; 3] = [0xfc, 0xff, 0xfe];

/// Stereo, 48 kHz, variable bit rate, DTX off.
#[derive(Debug)]
pub(crate) struct Encoder {
    opus: Opus,
    block: [f32; 2 * BLOCK_FRAMES],
    packet: [u8; PACKET_BYTES],
}

impl Encoder {
    /// Makes an encoder for so many bits a second.
    pub(crate) fn new(bitrate: u32) -> Result<Self, opus::Error> {
        let mut opus = Opus::new(SAMPLE_RATE, Channels::Stereo, Application::Audio)?;
        opus.set_bitrate(Bitrate::Bits(i32::try_from(bitrate).unwrap_or(i32::MAX)))?;
        opus.set_vbr(true)?;
        opus.set_dtx(false)?;
        opus.set_complexity(10)?;
        Ok(Self { opus, block: [0.0; 2 * BLOCK_FRAMES], packet: [0; PACKET_BYTES] })
    }

    /// Encodes a block. Frames that are missing, and what is no number, are silence.
    pub(crate) fn encode(&mut self, sides: [&[f32]; 2]) -> Bytes {
        self.block.fill(0.0);
        for (side, samples) in sides.into_iter().enumerate() {
            for (to, from) in self.block.iter_mut().skip(side).step_by(2).zip(samples) {
                *to = if from.is_finite() { *from } else { 0.0 };
            }
        }
        match self.opus.encode_float(&self.block, &mut self.packet) {
            Ok(length) => Bytes::copy_from_slice(self.packet.get(..length).unwrap_or(&SILENCE)),
            Err(error) => {
                tracing::error!("a block of the programme could not be encoded: {error}");
                Bytes::from_static(&SILENCE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_ahead_as_far_as_the_headers_say() {
        let mut encoder = Encoder::new(128_000).unwrap();
        assert_eq!(encoder.opus.get_lookahead().unwrap(), i32::from(crate::PRE_SKIP));
    }

    #[test]
    fn whatever_comes_is_a_packet_of_20_ms() {
        let mut encoder = Encoder::new(256_000).unwrap();
        let strange = [f32::NAN, f32::INFINITY, -1e30, 1e30, f32::MIN_POSITIVE].repeat(500);
        for sides in [[&[][..], &[]], [&strange, &[]], [&strange[..960], &strange[1..961]]] {
            let packet = encoder.encode(sides);
            assert_eq!(opus::packet::get_nb_samples(&packet, SAMPLE_RATE).unwrap(), BLOCK_FRAMES);
            let mut sound = [0.0; 2 * BLOCK_FRAMES];
            let mut decoder = opus::Decoder::new(SAMPLE_RATE, Channels::Stereo).unwrap();
            decoder.decode_float(&packet, &mut sound, false).unwrap();
            assert!(sound.iter().all(|sample| sample.is_finite()));
        }
    }

    #[test]
    fn silence_made_by_hand_is_20_ms_as_well() {
        assert_eq!(opus::packet::get_nb_samples(&SILENCE, SAMPLE_RATE).unwrap(), BLOCK_FRAMES);
        assert_eq!(opus::packet::get_nb_channels(&SILENCE).unwrap(), Channels::Stereo);
    }
}
