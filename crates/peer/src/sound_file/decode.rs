//! From a file to samples, at the rate and with the channels that it has.

use std::fs::File;
use std::io::{Read as _, Seek as _};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::ogg_opus::OggOpus;
use super::{Format, SoundFileProblem};

/// The sample rates that are played, Hz: from less than a telephone's to eight times Opus's.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;

/// An Ogg page begins with a header of 27 bytes and up to 255 lengths; the page of `OpusHead`
/// has only this packet (RFC 7845 §3).
const HEAD_BYTES: u64 = 27 + 255 + 8;

/// Something that gives out samples until it has no more.
pub(super) trait Decode {
    /// Puts the next frames in place of what is in `samples`: channels in turn, finite, from
    /// −1 to 1. Returns whether there were any; a file that breaks off has an end like others.
    fn next(&mut self, samples: &mut Vec<f32>) -> bool;
}

/// A decoder that has not begun.
pub(super) type Decoder = Box<dyn Decode>;

/// Returns what a file is, and its decoder.
pub(super) fn decoder(mut file: File) -> Result<(Format, Decoder), SoundFileProblem> {
    file.rewind()?;
    let mut head = Vec::new();
    std::io::Read::by_ref(&mut file).take(HEAD_BYTES).read_to_end(&mut head)?;
    file.rewind()?;
    let is_opus = head.starts_with(b"OggS") && head.windows(8).any(|bytes| bytes == b"OpusHead");
    let (format, mut decoder) = if is_opus { OggOpus::open(file)? } else { Common::open(file)? };
    if !RATES.contains(&format.rate) {
        return Err(SoundFileProblem::Rate(format.rate));
    }
    if !(1..=2).contains(&format.channels) {
        return Err(SoundFileProblem::Channels(format.channels));
    }
    let mut first = Vec::new();
    if !decoder.next(&mut first) {
        return Err(SoundFileProblem::Empty);
    }
    Ok((format, Box::new(Begun { first, rest: decoder })))
}

/// A decoder whose first samples are known.
struct Begun {
    first: Vec<f32>,
    rest: Decoder,
}

impl Decode for Begun {
    fn next(&mut self, samples: &mut Vec<f32>) -> bool {
        if self.first.is_empty() {
            return self.rest.next(samples);
        }
        *samples = std::mem::take(&mut self.first);
        true
    }
}

/// Takes what no later step could bear out of samples.
pub(super) fn tame(samples: &mut [f32]) {
    for sample in samples {
        *sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
    }
}

/// WAV, FLAC and Ogg Vorbis.
struct Common {
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    format: Format,
}

impl Common {
    fn open(file: File) -> Result<(Format, Decoder), SoundFileProblem> {
        let stream = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let (hint, options) = (Hint::new(), FormatOptions::default());
        let probe = symphonia::default::get_probe();
        let reader = probe.probe(&hint, stream, options, MetadataOptions::default());
        let reader = reader.map_err(|_| SoundFileProblem::Kind)?;
        let track = reader.default_track(TrackType::Audio).ok_or(SoundFileProblem::Kind)?;
        let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
            return Err(SoundFileProblem::Kind);
        };
        let decoder = symphonia::default::get_codecs()
            .make_audio_decoder(parameters, &AudioDecoderOptions::default())
            .map_err(|_| SoundFileProblem::Kind)?;
        let track = track.id;
        let known = decoder.codec_params();
        let rate = known.sample_rate.ok_or(SoundFileProblem::Kind)?;
        let channels = known.channels.as_ref().ok_or(SoundFileProblem::Kind)?.count();
        let format = Format { rate, channels };
        Ok((format, Box::new(Self { reader, decoder, track, format })))
    }
}

impl Decode for Common {
    fn next(&mut self, samples: &mut Vec<f32>) -> bool {
        while let Ok(Some(packet)) = self.reader.next_packet() {
            if packet.track_id != self.track {
                continue;
            }
            match self.decoder.decode(&packet) {
                Ok(decoded) => {
                    let spec = decoded.spec();
                    let channels = spec.channels().count();
                    if (Format { rate: spec.rate(), channels }) != self.format {
                        return false;
                    }
                    if decoded.frames() > 0 {
                        decoded.copy_to_vec_interleaved(samples);
                        tame(samples);
                        return true;
                    }
                }
                // The next packet may be sound.
                Err(Error::DecodeError(_)) => {}
                Err(_) => return false,
            }
        }
        false
    }
}
