//! Opus in Ogg (RFC 7845): the first stream of a file, in mono or stereo.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use ogg::PacketReader;
use opus::{Channels, Decoder as OpusDecoder};

use super::decode::{Decode, Decoder, tame};
use super::{Format, SoundFileProblem};
use crate::SAMPLE_RATE;

/// The longest packet of Opus, in frames: 120 ms.
const LONGEST: usize = 5_760;

/// What may be read for one packet: the reader keeps pages until a packet is whole. A picture in
/// the comments takes a few MB.
const PACKET_BYTES: usize = 16 << 20;

/// What an `OpusHead` says (RFC 7845 §5.1).
struct Head {
    channels: usize,
    pre_skip: usize,
    /// Of the output, in 1/256 dB.
    gain: i16,
}

impl Head {
    fn parse(data: &[u8]) -> Result<Self, SoundFileProblem> {
        let Some((b"OpusHead", rest)) = data.split_first_chunk::<8>() else {
            return Err(SoundFileProblem::Kind);
        };
        let [version, channels, skip_0, skip_1, _, _, _, _, gain_0, gain_1, family, streams @ ..] =
            rest
        else {
            return Err(SoundFileProblem::Kind);
        };
        let channels = usize::from(*channels);
        // Family 0 is one stream of one or two channels, and family 1 is the same for so few.
        let is_one_stream = match family {
            0 => true,
            1 => streams.first() == Some(&1),
            _ => false,
        };
        if version & 0xf0 != 0 {
            return Err(SoundFileProblem::Kind);
        }
        if !is_one_stream || !(1..=2).contains(&channels) {
            return Err(SoundFileProblem::Channels(channels));
        }
        let pre_skip = usize::from(u16::from_le_bytes([*skip_0, *skip_1]));
        Ok(Self { channels, pre_skip, gain: i16::from_le_bytes([*gain_0, *gain_1]) })
    }
}

/// A decoder of the first stream.
pub(super) struct OggOpus {
    packets: PacketReader<Bounded<BufReader<File>>>,
    decoder: OpusDecoder,
    serial: u32,
    channels: usize,
    /// Frames that are still to be left out at the beginning.
    skip: usize,
    /// Where the latest page ended that did, in frames; the pre-skip counts.
    page: u64,
    /// Frames of packets behind that.
    behind: u64,
    ended: bool,
    scratch: Box<[f32]>,
}

impl OggOpus {
    /// Reads the headers.
    pub(super) fn open(file: File) -> Result<(Format, Decoder), SoundFileProblem> {
        let mut packets = PacketReader::new(Bounded { inner: BufReader::new(file), left: 0 });
        let first = packet(&mut packets).ok_or(SoundFileProblem::Kind)?;
        let head = Head::parse(&first.data)?;
        let channels = if head.channels == 1 { Channels::Mono } else { Channels::Stereo };
        let mut decoder =
            OpusDecoder::new(SAMPLE_RATE, channels).map_err(|_| SoundFileProblem::Kind)?;
        decoder.set_gain(i32::from(head.gain)).map_err(|_| SoundFileProblem::Kind)?;
        let this = Self {
            packets,
            decoder,
            serial: first.stream_serial(),
            channels: head.channels,
            skip: head.pre_skip,
            page: 0,
            behind: 0,
            ended: false,
            scratch: vec![0.0; LONGEST * head.channels].into(),
        };
        let format = Format { rate: SAMPLE_RATE, channels: head.channels };
        Ok((format, Box::new(this)))
    }

    /// Decodes one packet. Returns which frames of the scratch are to be heard.
    fn decode(&mut self, packet: &ogg::Packet) -> std::ops::Range<usize> {
        let decoded = self.decoder.decode_float(&packet.data, &mut self.scratch, false);
        let length = decoded.unwrap_or(0);
        let mut end = length;
        if packet.last_in_stream() {
            // The end of the last page says how much of its last packet is padding (§4.4).
            let whole = packet.absgp_page().saturating_sub(self.page);
            let left = whole.saturating_sub(self.behind);
            end = end.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.ended = true;
        }
        self.behind += length as u64;
        if packet.last_in_page() {
            self.page = packet.absgp_page();
            self.behind = 0;
        }
        let begin = self.skip.min(length);
        self.skip -= begin;
        begin.min(end)..end
    }
}

impl Decode for OggOpus {
    fn next(&mut self, samples: &mut Vec<f32>) -> bool {
        while !self.ended {
            let Some(packet) = packet(&mut self.packets) else { break };
            if packet.stream_serial() != self.serial || packet.data.starts_with(b"OpusTags") {
                continue;
            }
            let heard = self.decode(&packet);
            let range = heard.start * self.channels..heard.end * self.channels;
            let Some(heard) = self.scratch.get(range).filter(|heard| !heard.is_empty()) else {
                continue;
            };
            samples.clear();
            samples.extend_from_slice(heard);
            tame(samples);
            return true;
        }
        self.ended = true;
        false
    }
}

/// Returns the next packet; none at the end, and where the file is broken.
fn packet(packets: &mut PacketReader<Bounded<BufReader<File>>>) -> Option<ogg::Packet> {
    packets.get_mut().left = PACKET_BYTES;
    packets.read_packet().ok().flatten()
}

/// A reader that gives no more than it may.
struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.left);
        if length == 0 && !buffer.is_empty() {
            return Err(io::Error::other("a packet is too long"));
        }
        let read = self.inner.read(buffer.get_mut(..length).unwrap_or_default())?;
        self.left -= read;
        Ok(read)
    }
}

impl<R: Seek> Seek for Bounded<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}
