//! The programme: WAV with 24 bits a sample, which becomes RF64 where it must.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

use crate::SAMPLE_RATE;

const CHANNELS: u16 = 2;
const BYTES: u16 = 3;
const FRAME: u64 = 6;

/// The format that says which channels there are, and has more than 16 bits a sample
/// (`WAVE_FORMAT_EXTENSIBLE`).
const EXTENSIBLE: u16 = 0xfffe;

/// The channels are the left and the right loudspeaker.
const LEFT_AND_RIGHT: u32 = 3;

/// The samples are numbers (`KSDATAFORMAT_SUBTYPE_PCM`).
const PCM: [u8; 16] = [1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];

/// The header: RIFF, a chunk that is kept free for `ds64`, `fmt ` and the head of `data`.
const HEADER: u64 = 12 + 36 + 48 + 8;

/// Sizes are brought up to date after this much sound: 500 ms.
const PAGE: u64 = 24_000;

/// Longer silence is a hole in the file, which is as good and takes no time: 1 s.
const HOLE: u64 = 48_000;

/// A track of two channels. See the crate.
#[derive(Debug)]
pub struct WaveTrack<W: Write + Seek> {
    sink: W,
    frames: u64,
    /// What the header says.
    told: u64,
    buffer: Vec<u8>,
}

impl WaveTrack<BufWriter<File>> {
    /// Goes on with a track whose writer was killed: all whole frames that are there count,
    /// whatever the header says. A file that was not begun is begun, as by [`Self::begin`].
    ///
    /// # Errors
    /// What the system says.
    pub fn resume(file: File) -> io::Result<Self> {
        let frames = frames_of(file.metadata()?.len());
        file.set_len(HEADER + frames * FRAME)?;
        let sink = BufWriter::new(file);
        let mut track = Self { sink, frames, told: 0, buffer: Vec::new() };
        track.tell()?;
        Ok(track)
    }
}

/// Returns how many frames a file of so many bytes has.
pub(crate) fn frames_of(bytes: u64) -> u64 {
    bytes.saturating_sub(HEADER) / FRAME
}

impl<W: Write + Seek> WaveTrack<W> {
    /// Begins a track at the session's zero.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn begin(mut sink: W) -> io::Result<Self> {
        sink.seek(SeekFrom::Start(0))?;
        sink.write_all(&header(0))?;
        Ok(Self { sink, frames: 0, told: 0, buffer: Vec::new() })
    }

    /// Returns how long the track is, in frames since the session's zero.
    pub fn length(&self) -> u64 {
        self.frames
    }

    /// Returns how many bytes the track has.
    pub fn bytes(&self) -> u64 {
        HEADER + self.frames * FRAME
    }

    /// Writes all that there is. The track may be gone on with.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn pause(&mut self) -> io::Result<()> {
        self.tell()
    }

    /// Adds a block: left and right, of one length. What is beyond full scale is cut.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn push(&mut self, [left, right]: [&[f32]; 2]) -> io::Result<()> {
        self.buffer.clear();
        for (left, right) in left.iter().zip(right) {
            for sample in [left, right] {
                let [low, middle, high, _] = quantized(*sample).to_le_bytes();
                self.buffer.extend([low, middle, high]);
            }
        }
        self.sink.write_all(&self.buffer)?;
        self.frames += self.buffer.len() as u64 / FRAME;
        if self.frames >= self.told + PAGE { self.tell() } else { Ok(()) }
    }

    /// Adds silence up to `end`, and returns the sink.
    ///
    /// # Errors
    /// What the sink says.
    pub fn finish(mut self, end: u64) -> io::Result<W> {
        self.pad(end)?;
        self.tell()?;
        Ok(self.sink)
    }

    /// Adds silence up to `end`, if the track is not as long.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn pad(&mut self, end: u64) -> io::Result<()> {
        let silence = [0.0; 960];
        if end.saturating_sub(self.frames) > HOLE {
            // The last of it is written, so that the file is as long.
            self.frames = end - silence.len() as u64;
            self.sink.seek(SeekFrom::Start(self.bytes()))?;
        }
        while self.frames < end {
            let missing = usize::try_from(end - self.frames).unwrap_or(usize::MAX);
            let block = silence.get(..missing).unwrap_or(&silence);
            self.push([block, block])?;
        }
        Ok(())
    }

    fn tell(&mut self) -> io::Result<()> {
        self.told = self.frames;
        self.sink.seek(SeekFrom::Start(0))?;
        self.sink.write_all(&header(self.frames))?;
        self.sink.seek(SeekFrom::Start(self.bytes()))?;
        self.sink.flush()
    }
}

/// Returns 24 bits of a sample.
fn quantized(sample: f32) -> i32 {
    const FULL_SCALE: f32 = 8_388_607.0;
    let sample = if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_possible_truncation, reason = "it is within 24 bits")]
    let quantized = (sample * FULL_SCALE).round() as i32;
    quantized
}

/// Returns the header of a track of so many frames.
fn header(frames: u64) -> Vec<u8> {
    let data = frames * FRAME;
    let riff = data + HEADER - 8;
    let large = u32::try_from(riff).is_err();
    let size = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
    let mut header = Vec::new();
    header.extend(if large { b"RF64" } else { b"RIFF" });
    header.extend(size(riff));
    header.extend(b"WAVE");
    header.extend(if large { b"ds64" } else { b"JUNK" });
    header.extend(28_u32.to_le_bytes());
    for value in [riff, data, frames] {
        header.extend(if large { value.to_le_bytes() } else { [0; 8] });
    }
    header.extend([0; 4]);
    header.extend(b"fmt ");
    header.extend(40_u32.to_le_bytes());
    header.extend(EXTENSIBLE.to_le_bytes());
    header.extend(CHANNELS.to_le_bytes());
    header.extend(SAMPLE_RATE.to_le_bytes());
    header.extend((SAMPLE_RATE * u32::from(CHANNELS * BYTES)).to_le_bytes());
    header.extend((CHANNELS * BYTES).to_le_bytes());
    header.extend((BYTES * 8).to_le_bytes());
    header.extend(22_u16.to_le_bytes());
    header.extend((BYTES * 8).to_le_bytes());
    header.extend(LEFT_AND_RIGHT.to_le_bytes());
    header.extend(PCM);
    header.extend(b"data");
    header.extend(size(data));
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn number(file: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
    }

    #[test]
    fn a_header_has_the_size_that_is_counted_with() {
        assert_eq!(header(0).len() as u64, HEADER);
        assert_eq!(&header(1_000_000_000)[..4], b"RF64");
        assert_eq!(header(1_000_000_000).len() as u64, HEADER);
    }

    #[test]
    fn sizes_are_true_at_every_moment() {
        let mut track = WaveTrack::begin(Cursor::new(Vec::new())).unwrap();
        let block = [0.25; 960];
        for _ in 0..100 {
            track.push([&block, &block]).unwrap();
            let file = track.sink.get_ref();
            let told = u64::from(number(file, 100));
            assert!(told <= file.len() as u64 - HEADER, "no more than there is");
            assert!(told + PAGE * FRAME >= file.len() as u64 - HEADER, "and nearly all");
        }
        let file = track.finish(100_000).unwrap().into_inner();
        assert_eq!(u64::from(number(&file, 100)), 100_000 * FRAME);
        assert_eq!(file.len() as u64, HEADER + 100_000 * FRAME);
        assert_eq!(u64::from(number(&file, 4)), file.len() as u64 - 8);
    }

    #[test]
    fn samples_are_what_they_were_and_nothing_wraps() {
        let samples = [0.0, 0.5, -0.5, 1.0, -1.0, 7.0, f32::NAN];
        let track = WaveTrack::begin(Cursor::new(Vec::new())).unwrap();
        let mut track = track;
        track.push([&samples, &samples]).unwrap();
        let file = track.finish(0).unwrap().into_inner();
        let value = |frame: usize| {
            let at = usize::try_from(HEADER).unwrap() + frame * 6;
            i32::from_le_bytes([0, file[at], file[at + 1], file[at + 2]]) >> 8
        };
        let found: Vec<i32> = (0..samples.len()).map(value).collect();
        let full = 8_388_607;
        assert_eq!(found, [0, 4_194_304, -4_194_304, full, -full, full, 0]);
    }
}
