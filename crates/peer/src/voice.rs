//! What a participant says: a source of sound, and the encoder in front of the network.

use std::sync::Arc;

use openstudio_mix::Tone;
use opus::{Application, Bitrate, Channels, Encoder, Signal};

use crate::sound_file::{Player, SoundFile};
use crate::{PACKET_FRAMES, SAMPLE_RATE};

/// The largest Opus packet that is made; those of 20 ms at these rates are far smaller.
const PACKET_BYTES: usize = 1_275;

/// What is sent for a voice, bit/s.
const BITRATE: i32 = 56_000;

/// What is sent for a file in mono and in stereo, bit/s.
const FILE_BITRATES: [i32; 2] = [96_000, 128_000];

/// The loss that in-band FEC is made for, percent.
const EXPECTED_LOSS: i32 = 10;

/// Where a participant's sound comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Nothing is said, but packets are sent all the same, so that the link is known to live.
    Silence,
    /// A steady tone.
    Tone(Tone),
    /// A click at each full second of the machine's clock, and so at the same moment from all
    /// participants of a machine: what should be simultaneous can be measured.
    Clicks,
    /// A sound file, from its beginning. Of several clones, each is played on its own.
    File(SoundFile),
}

/// How long a click is, in frames: half a millisecond.
const CLICK: u64 = 24;

/// How high, of full scale.
const CLICK_LEVEL: f32 = 0.9;

impl Source {
    /// Returns a steady tone of −20 dBFS (its peak), quiet enough for a dozen at once.
    pub fn tone(hertz: u32) -> Self {
        Self::Tone(Tone::new(SAMPLE_RATE, hertz, 0.1))
    }

    /// Returns an encoder that is good at this. Lost pieces of a tone are made up well by the
    /// codec for music alone (CELT), those of a voice come again with the next packet (SILK's
    /// FEC), once loss is expected. Files get no FEC: the encoder would go over to SILK, which is
    /// not for music.
    fn encoder(&self) -> Result<Encoder, opus::Error> {
        let (application, channels, bitrate) = match self {
            Self::Silence => (Application::Voip, Channels::Mono, BITRATE),
            Self::Tone(_) | Self::Clicks => (Application::LowDelay, Channels::Mono, BITRATE),
            Self::File(file) if file.channels() == 1 => {
                (Application::Audio, Channels::Mono, FILE_BITRATES[0])
            }
            Self::File(_) => (Application::Audio, Channels::Stereo, FILE_BITRATES[1]),
        };
        let mut encoder = Encoder::new(SAMPLE_RATE, channels, application)?;
        encoder.set_bitrate(Bitrate::Bits(bitrate))?;
        encoder.set_dtx(false)?;
        if let Self::File(_) = self {
            encoder.set_signal(Signal::Music)?;
        } else {
            encoder.set_inband_fec(true)?;
        }
        Ok(encoder)
    }
}

/// A source at work.
#[derive(Debug)]
enum Sound {
    Silence,
    Tone(Tone),
    Clicks,
    File(Player),
}

/// A source and its encoder: 48 kHz, mono or as the file is, DTX off.
#[derive(Debug)]
pub(crate) struct Voice {
    sound: Sound,
    encoder: Encoder,
    /// 20 ms of sound.
    block: Box<[f32]>,
    packet: [u8; PACKET_BYTES],
    /// Where the next packet begins, in frames since 1970.
    position: u64,
}

impl Voice {
    /// Makes a voice of a source. A file is decoded from now on, and begins when a second of it
    /// is there.
    pub(crate) fn new(source: Source) -> Result<Self, opus::Error> {
        let encoder = source.encoder()?;
        let (channels, sound) = match source {
            Source::Silence => (1, Sound::Silence),
            Source::Tone(tone) => (1, Sound::Tone(tone)),
            Source::Clicks => (1, Sound::Clicks),
            Source::File(file) => (file.channels(), Sound::File(Player::new(file))),
        };
        let block = vec![0.0; PACKET_FRAMES * channels].into();
        Ok(Self { sound, encoder, block, packet: [0; PACKET_BYTES], position: 0 })
    }

    /// Says when the next packet begins, in frames since 1970. Otherwise it follows the last one.
    pub(crate) fn seek(&mut self, position: u64) {
        self.position = position;
    }

    /// Puts the piece before into each packet as well (in-band FEC), or no longer. At first it
    /// does not.
    pub(crate) fn expect_loss(&mut self, expected: bool) -> Result<(), opus::Error> {
        self.encoder.set_packet_loss_perc(if expected { EXPECTED_LOSS } else { 0 })
    }

    /// Waits until a file is decoded as far ahead as it ever will be.
    #[cfg(test)]
    pub(crate) fn settle(&mut self) {
        if let Sound::File(player) = &mut self.sound {
            player.settle();
        }
    }

    /// Returns the next packet. A muted voice goes on, unheard.
    pub(crate) fn next_packet(&mut self, muted: bool) -> Result<Arc<[u8]>, opus::Error> {
        match &mut self.sound {
            Sound::Silence => self.block.fill(0.0),
            Sound::Tone(tone) => tone.fill(&mut self.block),
            Sound::Clicks => click(self.position, &mut self.block),
            Sound::File(player) => player.fill(&mut self.block),
        }
        if muted {
            self.block.fill(0.0);
        }
        self.position = self.position.saturating_add(PACKET_FRAMES as u64);
        let length = self.encoder.encode_float(&self.block, &mut self.packet)?;
        Ok(Arc::from(self.packet.get(..length).unwrap_or_default()))
    }
}

/// Fills a block that begins so many frames after 1970 with clicks at full seconds.
fn click(begin: u64, block: &mut [f32]) {
    for (sample, time) in block.iter_mut().zip(begin..) {
        let clicks = time % u64::from(SAMPLE_RATE) < CLICK;
        *sample = if clicks { CLICK_LEVEL } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_are_at_full_seconds_and_nowhere_else() {
        let mut block = [1.0; 48_000];
        click(1_764_000_000 * 48_000 - 10, &mut block);
        let found: Vec<usize> = (0..block.len()).filter(|i| block[*i] > 0.0).collect();
        assert_eq!(found, (10..34).collect::<Vec<_>>());
    }
}
