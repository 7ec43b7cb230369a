//! One voice: the packets as they came, in Ogg.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::SAMPLE_RATE;
use crate::pages::{End, Pages};
use crate::timeline::{STEP, Timeline};

/// For how long packets wait for those that they overtook, and for a beginning: 200 ms.
const HOLD: u64 = 9_600;

/// A page is closed after this much sound, so that a crash takes no more of it: 400 ms.
const PAGE: u64 = 19_200;

/// Packets that wait at most: those of 2 s.
const CAPACITY: usize = 100;

/// A stream that is off by more than this is another one: 2 s.
const JUMP: u64 = 96_000;

/// What decoders need to settle, in frames: the look-ahead of libopus (RFC 7845 §4.2).
const PRE_SKIP: u16 = 312;

/// 20 ms of silence: CELT, full band, mono (RFC 6716 §3.1).
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// How long that is.
const SILENCE_FRAMES: u64 = 960;

/// 2.5 ms of silence.
const SHORT_SILENCE: [u8; 3] = [0xe0, 0xff, 0xfe];

/// How long that is.
const SHORT_FRAMES: u64 = STEP.unsigned_abs();

/// Characters of a text in the tags at most.
const TEXT_LIMIT: usize = 200;

/// Bytes of the pages of heads at most: with such tags they have less.
const HEADS: u64 = 1_024;

/// An Opus packet that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// The sender's time, which does not wrap, in frames.
    pub time: u64,
    /// When it came, in frames since the session's zero.
    pub arrival: u64,
    /// How long it is, in frames.
    pub frames: u64,
    /// What it says.
    pub data: Arc<[u8]>,
}

/// A track. See the crate.
#[derive(Debug)]
pub struct VoiceTrack<W: Write> {
    pages: Pages<W>,
    waiting: BTreeMap<u64, Packet>,
    timeline: Option<Timeline>,
    /// Everything before this is written.
    written: u64,
    /// Where the last page ended.
    page: u64,
    dropped: u64,
}

impl VoiceTrack<File> {
    /// Goes on with a track whose writer was killed: what is torn at its end is cut off, and
    /// the same stream goes on, from where it ends. What was missed becomes silence before the
    /// next packet. A file that was not begun is begun, as by [`Self::begin`]. The file must be
    /// open for reading and writing.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidData`] for a file that is no track, which
    /// is left as it is.
    pub fn resume(mut file: File, serial: u32, title: &str) -> io::Result<Self> {
        let Some(end) = cut_torn(&mut file)? else { return Self::begin(file, serial, title) };
        Ok(Self::new(Pages::go_on(file, end), end.granule))
    }
}

/// Cuts off what is torn, and goes to the end. None if nothing is left, not even the heads.
pub(crate) fn cut_torn(file: &mut File) -> io::Result<Option<End>> {
    let end = End::find(file)?;
    let bytes = end.map_or(0, |end| end.bytes);
    if end.is_none() && file.metadata()?.len() > HEADS {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this file is no Ogg of ours"));
    }
    file.set_len(bytes)?;
    file.seek(SeekFrom::Start(bytes))?;
    Ok(end)
}

impl<W: Write> VoiceTrack<W> {
    /// Begins a track at the session's zero. `title` is what players show.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn begin(sink: W, serial: u32, title: &str) -> io::Result<Self> {
        let mut pages = Pages::begin(sink, serial);
        for packet in [head(), tags(title)] {
            pages.packet(&packet, 0)?;
            pages.close()?;
        }
        Ok(Self::new(pages, 0))
    }

    fn new(pages: Pages<W>, written: u64) -> Self {
        let (waiting, timeline) = (BTreeMap::new(), None);
        Self { pages, waiting, timeline, written, page: written, dropped: 0 }
    }

    /// Returns how many bytes are written.
    pub fn bytes(&self) -> u64 {
        self.pages.bytes()
    }

    /// Returns how long the track is, in frames since the session's zero.
    pub fn length(&self) -> u64 {
        self.written
    }

    /// Returns how many packets had no place: they came too late, or twice.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes a packet.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn push(&mut self, packet: Packet) -> io::Result<()> {
        let strange =
            |timeline: &Timeline| timeline.delay(packet.time, packet.arrival).unsigned_abs() > JUMP;
        let begins = self.waiting.first_key_value().map(|(time, _)| *time);
        if self.timeline.as_ref().is_some_and(strange)
            || begins.is_some_and(|time| time.abs_diff(packet.time) > JUMP)
        {
            self.write_all()?;
            self.timeline = None;
        }
        if let Some(timeline) = &mut self.timeline {
            timeline.follow(packet.time, packet.arrival);
        }
        self.waiting.insert(packet.time, packet);
        while self.waiting.len() > CAPACITY {
            self.write_first()?;
        }
        Ok(())
    }

    /// Writes what need not wait any longer. Wanted several times a second.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn advance(&mut self, now: u64) -> io::Result<()> {
        let ripe = |packet: &Packet| packet.arrival + HOLD <= now;
        while self.waiting.first_key_value().is_some_and(|(_, first)| ripe(first)) {
            self.write_first()?;
        }
        Ok(())
    }

    /// Writes all that there is, as if no more were to come. The track may be gone on with.
    ///
    /// # Errors
    /// What the sink says; then the track is at its end.
    pub fn pause(&mut self) -> io::Result<()> {
        self.write_all()?;
        self.page = self.written;
        self.pages.close()
    }

    /// Writes all that there is, and silence up to `end`. Returns the sink.
    ///
    /// # Errors
    /// What the sink says.
    pub fn finish(mut self, end: u64) -> io::Result<W> {
        self.write_all()?;
        // What decoders skip at the beginning is added here; the last page says where it ends.
        let granule = end.max(self.written) + u64::from(PRE_SKIP);
        while self.written + SILENCE_FRAMES < granule {
            self.write(&SILENCE, SILENCE_FRAMES)?;
        }
        self.pages.end(&SILENCE, granule)?;
        Ok(self.pages.into_sink())
    }

    fn write_all(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            self.write_first()?;
        }
        Ok(())
    }

    fn write_first(&mut self) -> io::Result<()> {
        let first = self.waiting.values().map(|packet| (packet.time, packet.arrival));
        let Some(timeline) = self.timeline.or_else(|| Timeline::of(first)) else { return Ok(()) };
        self.timeline = Some(timeline);
        let Some((_, packet)) = self.waiting.pop_first() else { return Ok(()) };
        let place = timeline.place(packet.time);
        if place + SHORT_FRAMES <= self.written {
            self.dropped += 1;
            return Ok(());
        }
        self.fill(place)?;
        self.write(&packet.data, packet.frames)
    }

    /// Writes silence up to `place`, as far as it can be had in pieces of 2.5 ms.
    fn fill(&mut self, place: u64) -> io::Result<()> {
        while self.written + SILENCE_FRAMES <= place {
            self.write(&SILENCE, SILENCE_FRAMES)?;
        }
        while self.written + SHORT_FRAMES <= place {
            self.write(&SHORT_SILENCE, SHORT_FRAMES)?;
        }
        Ok(())
    }

    fn write(&mut self, data: &[u8], frames: u64) -> io::Result<()> {
        if !self.pages.packet(data, self.written + frames)? {
            self.dropped += 1;
            return Ok(());
        }
        self.written += frames;
        if self.written < self.page + PAGE {
            return Ok(());
        }
        self.page = self.written;
        self.pages.close()
    }
}

/// `OpusHead` (RFC 7845 §5.1): two channels, which hold mono as well.
fn head() -> Vec<u8> {
    let mut head = b"OpusHead".to_vec();
    head.extend([1, 2]);
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(SAMPLE_RATE.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// `OpusTags` (RFC 7845 §5.2).
fn tags(title: &str) -> Vec<u8> {
    let text = |text: &str| -> Vec<u8> {
        let text: String = text.chars().take(TEXT_LIMIT).collect();
        let length = u32::try_from(text.len()).unwrap_or_default();
        length.to_le_bytes().into_iter().chain(text.into_bytes()).collect()
    };
    let count = 1_u32.to_le_bytes().to_vec();
    let title = text(&format!("TITLE={title}"));
    [b"OpusTags".to_vec(), text("OpenStudio"), count, title].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ogg::PacketReader;
    use opus::{Application, Channels, Decoder, Encoder};
    use std::io::Cursor;

    /// Encodes clicks: one frame of full scale at each of these places.
    struct Voice {
        encoder: Encoder,
        samples: Vec<f32>,
    }

    impl Voice {
        fn with_clicks(frames: usize, clicks: &[usize]) -> Self {
            let mut encoder = Encoder::new(48_000, Channels::Mono, Application::LowDelay).unwrap();
            encoder.set_bitrate(opus::Bitrate::Bits(128_000)).unwrap();
            let mut samples = vec![0.0; frames];
            for click in clicks {
                samples[*click..*click + 24].fill(0.9);
            }
            Self { encoder, samples }
        }

        fn packets(mut self) -> Vec<Arc<[u8]>> {
            let mut packets = Vec::new();
            for block in self.samples.chunks_exact(960) {
                packets.push(self.encoder.encode_vec_float(block, 1_275).unwrap().into());
            }
            packets
        }
    }

    /// Decodes a track to mono, without what decoders skip, and cut at its end.
    fn play(file: &[u8]) -> Vec<f32> {
        let mut reader = PacketReader::new(Cursor::new(file));
        let mut decoder = Decoder::new(48_000, Channels::Mono).unwrap();
        let mut samples = Vec::new();
        let mut end = 0;
        let mut number = 0;
        while let Some(packet) = reader.read_packet().unwrap() {
            number += 1;
            if number <= 2 {
                continue;
            }
            let mut block = [0.0; 5_760];
            let frames = decoder.decode_float(&packet.data, &mut block, false).unwrap();
            samples.extend(&block[..frames]);
            end = packet.absgp_page();
        }
        let skip = usize::from(PRE_SKIP);
        samples.truncate(usize::try_from(end).unwrap());
        samples.split_off(skip.min(samples.len()))
    }

    fn loudest(samples: &[f32], from: usize) -> usize {
        let window = &samples[from..(from + 24_000).min(samples.len())];
        let louder = |a: &(usize, &f32), b: &(usize, &f32)| a.1.abs().total_cmp(&b.1.abs());
        from + window.iter().enumerate().max_by(louder).unwrap().0
    }

    fn at(n: u64, offset: u64, delay: u64) -> (u64, u64) {
        (77_000 + n * 960, offset + n * 960 + delay)
    }

    #[test]
    fn a_track_has_the_sessions_zero_whenever_its_person_came() {
        let packets = Voice::with_clicks(96_000, &[48_000]).packets();
        let mut track = VoiceTrack::begin(Vec::new(), 1, "Ada").unwrap();
        for (n, data) in (0..).zip(packets) {
            let (time, arrival) = at(n, 100_000, if n % 7 == 0 { 0 } else { 700 });
            track.push(Packet { time, arrival, frames: 960, data }).unwrap();
            track.advance(arrival).unwrap();
        }
        let samples = play(&track.finish(240_000).unwrap());
        assert_eq!(samples.len(), 240_000);
        let click = loudest(&samples, 130_000);
        assert!(click.abs_diff(148_000) < 240, "the click is at {click}");
        assert!(samples[..99_000].iter().all(|sample| sample.abs() < 1e-3));
    }

    #[test]
    fn packets_are_untouched_and_in_order_though_the_network_turns_them_over() {
        let packets = Voice::with_clicks(96_000, &[10_000, 60_000]).packets();
        let mut track = VoiceTrack::begin(Vec::new(), 1, "Ada").unwrap();
        let mut order: Vec<usize> = (0..packets.len()).collect();
        order.chunks_mut(3).for_each(<[usize]>::reverse);
        for (n, place) in order.iter().enumerate() {
            let (time, _) = at(*place as u64, 0, 0);
            let (_, arrival) = at(n as u64, 48_000, 0);
            track
                .push(Packet { time, arrival, frames: 960, data: packets[*place].clone() })
                .unwrap();
            track
                .push(Packet { time, arrival, frames: 960, data: packets[*place].clone() })
                .unwrap();
            track.advance(arrival).unwrap();
        }
        let file = track.finish(0).unwrap();
        let mut reader = PacketReader::new(Cursor::new(file));
        let mut found = Vec::new();
        while let Some(packet) = reader.read_packet().unwrap() {
            found.push(packet.data);
        }
        let sent: Vec<Vec<u8>> = packets.iter().map(|packet| packet.to_vec()).collect();
        let kept: Vec<Vec<u8>> = found.into_iter().filter(|packet| sent.contains(packet)).collect();
        let silent = |packet: &&Vec<u8>| sent.iter().filter(|other| other == packet).count() == 1;
        let (kept, sent): (Vec<_>, Vec<_>) =
            (kept.iter().filter(silent).collect(), sent.iter().filter(silent).collect());
        assert_eq!(kept, sent);
    }

    #[test]
    fn two_tracks_stay_together_though_one_was_away_and_lost_packets() {
        let clicks = [24_000, 220_000, 450_000];
        let mut tracks = Vec::new();
        for person in 0..2_u64 {
            let packets = Voice::with_clicks(480_000, &clicks).packets();
            let mut track = VoiceTrack::begin(Vec::new(), 1, "Ada").unwrap();
            for (n, data) in (0..).zip(packets) {
                let away = (100..200).contains(&n);
                let lost = n % 20 == 13 || away;
                if person == 1 && lost {
                    continue;
                }
                // Whoever comes back has another clock.
                let jump = if person == 1 && n >= 200 { 5_000_000 } else { 0 };
                let (time, arrival) = at(n, 9_000, n % 3 * 200);
                track.push(Packet { time: time + jump, arrival, frames: 960, data }).unwrap();
                track.advance(arrival).unwrap();
            }
            tracks.push(play(&track.finish(500_000).unwrap()));
        }
        assert_eq!(tracks[0].len(), tracks[1].len());
        for click in [clicks[0], clicks[1], clicks[2]] {
            let places: Vec<usize> =
                tracks.iter().map(|track| loudest(track, click + 9_000 - 5_000)).collect();
            assert!(places[0].abs_diff(places[1]) < 240, "a click is at {places:?}");
        }
    }

    #[test]
    fn a_file_that_was_cut_off_plays_to_within_a_second_of_its_end() {
        let packets = Voice::with_clicks(960_000, &[]).packets();
        let mut track = VoiceTrack::begin(Vec::new(), 1, "Ada").unwrap();
        let mut longest = 0;
        for (n, data) in (0..).zip(packets) {
            let (time, arrival) = at(n, 0, 0);
            track.push(Packet { time, arrival, frames: 960, data }).unwrap();
            track.advance(arrival).unwrap();
            let mut reader = PacketReader::new(Cursor::new(track.pages.sink().as_slice()));
            let mut end = 0;
            while let Ok(Some(packet)) = reader.read_packet() {
                end = packet.absgp_page();
            }
            longest = longest.max(arrival.saturating_sub(end));
        }
        assert!(longest < 48_000, "{longest} frames were not on disk");
    }

    #[test]
    fn whatever_comes_memory_is_bounded_and_nothing_fails() {
        let seed = 5;
        println!("seed {seed}");
        let mut rng = openstudio_units::Seed::from_number(seed).rng();
        let mut track = VoiceTrack::begin(Vec::new(), 1, &"x".repeat(10_000)).unwrap();
        let mut arrival = 0;
        for _ in 0..20_000 {
            arrival += rng.between(0, 960);
            let time =
                rng.between(0, 1_000_000) + if rng.between(0, 99) == 0 { u64::MAX / 2 } else { 0 };
            let data = Arc::from(vec![0xf8; usize::try_from(rng.between(0, 3)).unwrap()]);
            track.push(Packet { time, arrival, frames: rng.between(0, 5_760), data }).unwrap();
            assert!(track.waiting.len() <= CAPACITY);
            track.advance(arrival).unwrap();
        }
        assert!(track.length() < arrival + 2_000_000, "{} frames", track.length());
    }
}
