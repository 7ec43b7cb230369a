//! Files that are made here, played.

use std::path::PathBuf;
use std::sync::Arc;

use ogg::{PacketWriteEndInfo, PacketWriter};
use openstudio_mix::Tone;
use openstudio_record::{Packet, VoiceTrack};
use openstudio_units::{Rng, Seed};
use opus::{Application, Channels, Encoder};

use super::*;
use crate::pitch::Listening;
use crate::voice::{Source, Voice};
use crate::{PACKET_FRAMES, SAMPLE_RATE};

/// A file that is removed with the test.
struct Made(PathBuf);

impl Made {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path =
            std::env::temp_dir().join(format!("openstudio-sound-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// WAV, 16 bits, of samples that are the same on all channels.
fn wav(rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let each = |sample: &f32| std::iter::repeat_n(*sample, usize::from(channels));
    let all: Vec<f32> = samples.iter().flat_map(each).collect();
    interleaved_wav(rate, channels, &all)
}

/// WAV, 16 bits, of samples of all channels in turn.
fn interleaved_wav(rate: u32, channels: u16, samples: &[f32]) -> Vec<u8> {
    let bytes = u32::try_from(samples.len()).unwrap() * 2;
    let mut file = b"RIFF".to_vec();
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(channels.to_le_bytes());
    file.extend(rate.to_le_bytes());
    file.extend((rate * u32::from(channels) * 2).to_le_bytes());
    file.extend((channels * 2).to_le_bytes());
    file.extend(16_u16.to_le_bytes());
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    for sample in samples {
        file.extend(((sample * 32_767.0).round() as i16).to_le_bytes());
    }
    file
}

/// Ogg Opus in mono: packets of 20 ms, of which the first `pre_skip` frames and all behind
/// `frames` are padding.
fn ogg_opus(packets: &[Vec<u8>], pre_skip: u16, frames: u64) -> Vec<u8> {
    let mut head = b"OpusHead\x01\x01".to_vec();
    head.extend(pre_skip.to_le_bytes());
    head.extend(SAMPLE_RATE.to_le_bytes());
    head.extend([0; 3]);
    let tags = b"OpusTags\0\0\0\0\0\0\0\0".to_vec();
    let mut writer = PacketWriter::new(Vec::new());
    writer.write_packet(head, 7, PacketWriteEndInfo::EndPage, 0).unwrap();
    writer.write_packet(tags, 7, PacketWriteEndInfo::EndPage, 0).unwrap();
    for (n, packet) in (1..).zip(packets) {
        let end = n * PACKET_FRAMES as u64;
        let (info, end) = match n {
            _ if n == packets.len() as u64 => {
                (PacketWriteEndInfo::EndStream, u64::from(pre_skip) + frames)
            }
            _ if n % 10 == 0 => (PacketWriteEndInfo::EndPage, end),
            _ => (PacketWriteEndInfo::NormalPacket, end),
        };
        writer.write_packet(packet.clone(), 7, info, end).unwrap();
    }
    writer.into_inner()
}

/// Encodes samples, and what the encoder needs behind them. Returns its delay, too.
fn encoded(samples: &[f32]) -> (Vec<Vec<u8>>, u16) {
    let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Audio).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(128_000)).unwrap();
    encoder.set_signal(opus::Signal::Music).unwrap();
    let delay = encoder.get_lookahead().unwrap();
    let mut samples = samples.to_vec();
    let length = samples.len() + usize::try_from(delay).unwrap();
    samples.resize(length.next_multiple_of(PACKET_FRAMES), 0.0);
    let blocks = samples.chunks_exact(PACKET_FRAMES);
    let packets = blocks.map(|block| encoder.encode_vec_float(block, 1_275).unwrap()).collect();
    (packets, delay.try_into().unwrap())
}

fn tone(rate: u32, hertz: u32, frames: usize) -> Vec<f32> {
    let mut samples = vec![0.0; frames];
    Tone::new(rate, hertz, 0.1).fill(&mut samples);
    samples
}

/// Plays so many pieces, of which the first channel is returned.
fn play(sound: SoundFile, pieces: usize) -> Vec<f32> {
    let channels = sound.channels();
    let mut player = Player::new(sound);
    let mut block = vec![0.0; PACKET_FRAMES * channels];
    let mut samples = Vec::new();
    for _ in 0..pieces {
        player.settle();
        player.fill(&mut block);
        samples.extend(block.iter().copied().step_by(channels));
    }
    samples
}

fn hertz(samples: &[f32]) -> f32 {
    let mut listening = Listening::default();
    listening.take(samples.iter().copied());
    listening.heard().hertz.unwrap()
}

fn largest_step(samples: &[f32]) -> f32 {
    samples.windows(2).map(|two| (two[1] - two[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn a_kilohertz_stays_one_whatever_the_rate() {
    for rate in [8_000, 22_050, 44_100, 48_000, 96_000] {
        for channels in [1, 2] {
            let frames = usize::try_from(rate).unwrap() * 3;
            let file = wav(rate, channels, &tone(rate, 1_000, frames));
            let made = Made::new(&format!("{rate}-{channels}.wav"), &file);
            let sound = SoundFile::open(&made.0).unwrap();
            assert_eq!(sound.channels(), usize::from(channels));
            let samples = play(sound, 100);
            let found = hertz(&samples[..96_000]);
            assert!((found - 1_000.0).abs() < 0.5, "{rate} Hz, {channels}: {found}");
        }
    }
}

#[test]
fn a_file_is_repeated_without_a_gap_or_a_click() {
    for rate in [44_100, 48_000] {
        // Whole periods, so that the end fits the beginning.
        let file = wav(rate, 1, &tone(rate, 1_000, usize::try_from(rate).unwrap()));
        let made = Made::new(&format!("loop-{rate}.wav"), &file);
        let samples = play(SoundFile::open(&made.0).unwrap(), 200);
        let own = 0.1 * std::f32::consts::TAU * 1_000.0 / SAMPLE_RATE as f32;
        let step = largest_step(&samples[960..]);
        assert!(step < 1.1 * own, "a step of {step} where the tone has {own}");
        assert!((hertz(&samples) - 1_000.0).abs() < 0.5);
    }
}

#[test]
fn once_is_as_long_as_the_file_and_ends_in_silence() {
    let made = Made::new("once.wav", &wav(44_100, 1, &tone(44_100, 1_000, 44_100)));
    let samples = play(SoundFile::open(&made.0).unwrap().once(), 120);
    let end = samples.iter().rposition(|sample| sample.abs() > 1e-3).unwrap();
    assert!(end.abs_diff(48_000) < 100, "it ends after {end} frames");
    assert!(samples[49_000..].iter().all(|sample| *sample == 0.0));
}

#[test]
fn opus_in_ogg_is_played() {
    let mut encoder = Encoder::new(SAMPLE_RATE, Channels::Mono, Application::Audio).unwrap();
    let mut track = VoiceTrack::begin(Vec::new(), 1, "Ada").unwrap();
    for (n, block) in (0..).zip(tone(SAMPLE_RATE, 1_000, 144_000).chunks_exact(PACKET_FRAMES)) {
        let data: Arc<[u8]> = encoder.encode_vec_float(block, 1_275).unwrap().into();
        let time = n * PACKET_FRAMES as u64;
        track.push(Packet { time, arrival: time, frames: 960, data }).unwrap();
        track.advance(time).unwrap();
    }
    let made = Made::new("voice.opus", &track.finish(144_000).unwrap());
    let samples = play(SoundFile::open(&made.0).unwrap().once(), 100);
    assert!((hertz(&samples) - 1_000.0).abs() < 0.5);
}

#[test]
fn the_padding_of_opus_is_left_out_at_both_ends() {
    let original = tone(SAMPLE_RATE, 1_000, 20_016);
    let (packets, delay) = encoded(&original);
    let made = Made::new("padded.opus", &ogg_opus(&packets, delay, 20_016));
    let (_, mut decoder) = decode::decoder(File::open(&made.0).unwrap()).unwrap();
    let (mut all, mut some) = (Vec::new(), Vec::new());
    while decoder.next(&mut some) {
        all.extend_from_slice(&some);
    }
    assert_eq!(all.len(), original.len());
    let off = all.iter().zip(&original).map(|(a, b)| (a - b).abs()).skip(2_000).take(16_000);
    let worst = off.fold(0.0, f32::max);
    assert!(worst < 0.03, "the wave is off by {worst}, of 0.1");
}

#[test]
fn stereo_is_sent_in_stereo_as_music() {
    let (left, right) = (tone(48_000, 1_000, 96_000), tone(48_000, 1_700, 96_000));
    let both: Vec<f32> = left.into_iter().zip(right).flat_map(|(l, r)| [l, r]).collect();
    let made = Made::new("stereo.wav", &interleaved_wav(48_000, 2, &both));
    let mut voice = Voice::new(Source::File(SoundFile::open(&made.0).unwrap())).unwrap();
    let mut decoder = opus::Decoder::new(SAMPLE_RATE, Channels::Stereo).unwrap();
    let mut ears = [Listening::default(), Listening::default()];
    let mut bytes = 0;
    for _ in 0..100 {
        voice.settle();
        let packet = voice.next_packet(false).unwrap();
        bytes += packet.len();
        // The first byte: a codec for music alone is 16 and above, stereo is bit 2 (RFC 6716
        // §3.1).
        assert!(packet[0] >> 3 >= 16 && packet[0] & 4 != 0, "{:08b}", packet[0]);
        let mut block = [0.0; 2 * PACKET_FRAMES];
        assert_eq!(decoder.decode_float(&packet, &mut block, false).unwrap(), PACKET_FRAMES);
        for (channel, ear) in ears.iter_mut().enumerate() {
            ear.take(block.iter().copied().skip(channel).step_by(2));
        }
    }
    let found = ears.map(|mut ear| ear.heard().hertz.unwrap());
    assert!((found[0] - 1_000.0).abs() < 1.0 && (found[1] - 1_700.0).abs() < 1.0, "{found:?}");
    let kilobits = bytes as f32 * 8.0 / 2_000.0;
    assert!((64.0..=160.0).contains(&kilobits), "{kilobits} kbit/s");
}

#[test]
fn a_sign_begins_it() {
    let made = Made::new("cue.wav", &wav(48_000, 1, &tone(48_000, 1_000, 96_000)));
    let cue = Cue::default();
    let mut player = Player::new(SoundFile::open(&made.0).unwrap().on(cue.clone()));
    let mut block = [1.0; PACKET_FRAMES];
    player.settle();
    player.fill(&mut block);
    assert!(block.iter().all(|sample| sample.abs() < f32::EPSILON));
    cue.give();
    player.fill(&mut block);
    assert!(block.iter().any(|sample| sample.abs() > 0.05));
}

#[test]
fn what_cannot_be_played_is_told_in_a_sentence() {
    let words = |path: &Path| SoundFile::open(path).unwrap_err().to_string();
    assert!(words(Path::new("/nowhere.wav")).ends_with("there is no such file"));
    assert!(words(&std::env::temp_dir()).contains("folder"));
    let text = Made::new("text.wav", b"no sound at all, but some words");
    assert!(words(&text.0).contains("WAV, FLAC or Ogg"), "{}", words(&text.0));
    let empty = Made::new("empty.wav", b"");
    assert!(SoundFile::open(&empty.0).is_err());
}

#[test]
fn what_cannot_be_played_says_what_it_is() {
    let problem = |name: &str, bytes: &[u8]| {
        let made = Made::new(name, bytes);
        SoundFile::open(&made.0).unwrap_err().problem
    };
    let many = problem("many.wav", &wav(48_000, 6, &tone(48_000, 1_000, 4_800)));
    assert!(matches!(many, SoundFileProblem::Channels(6)), "{many}");
    let slow = problem("slow.wav", &wav(1_000, 1, &tone(1_000, 100, 4_800)));
    assert!(matches!(slow, SoundFileProblem::Rate(1_000)), "{slow}");
    let none = problem("none.opus", &ogg_opus(&[], 312, 0));
    assert!(matches!(none, SoundFileProblem::Empty), "{none}");
}

#[test]
fn a_file_that_breaks_off_is_played_as_far_as_it_goes() {
    let mut bytes = wav(48_000, 1, &tone(48_000, 1_000, 96_000));
    bytes.truncate(44 + 2 * 48_000 + 1);
    let made = Made::new("half.wav", &bytes);
    let samples = play(SoundFile::open(&made.0).unwrap().once(), 120);
    let end = samples.iter().rposition(|sample| sample.abs() > 1e-3).unwrap();
    assert!(end.abs_diff(48_000) < 2_000, "it ends after {end} frames");
}

#[test]
fn a_file_that_is_gone_when_it_is_to_be_played_is_silence() {
    let made = Made::new("gone.wav", &wav(48_000, 1, &tone(48_000, 1_000, 4_800)));
    let sound = SoundFile::open(&made.0).unwrap();
    drop(made);
    assert!(play(sound, 10).iter().all(|sample| sample.abs() < f32::EPSILON));
}

/// Makes some files of all kinds, sound and broken ones.
fn some_file(dice: &mut Rng) -> Vec<u8> {
    let mut noise = |length| {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        dice.fill(&mut bytes);
        bytes
    };
    let kind = noise(2);
    match kind[0] % 4 {
        0 => wav(44_100, 2, &tone(44_100, 1_000, 20_000)),
        1 => {
            let packets: Vec<_> =
                (0..usize::from(kind[1] % 30)).map(|_| noise(kind[1].into())).collect();
            ogg_opus(&packets, 312, u64::from(kind[1]) * 100)
        }
        2 => [b"fLaC\0\0\0\x22".to_vec(), noise(4_000)].concat(),
        _ => {
            let mut writer = PacketWriter::new(Vec::new());
            let head = [b"\x01vorbis\0\0\0\0\x01".to_vec(), noise(18)].concat();
            writer.write_packet(head, 7, PacketWriteEndInfo::EndPage, 0).unwrap();
            for start in [b"\x03vorbis", b"\x05vorbis", b"\0\0\0\0\0\0\0"] {
                let packet = [start.to_vec(), noise(600)].concat();
                writer.write_packet(packet, 7, PacketWriteEndInfo::EndPage, 900).unwrap();
            }
            writer.into_inner()
        }
    }
}

#[test]
fn whatever_is_in_a_file_nothing_panics() {
    let seed = 11;
    println!("seed {seed}");
    let mut dice = Seed::from_number(seed).rng();
    let mut played = 0;
    for round in 0..200 {
        let mut bytes = some_file(&mut dice);
        let length = u64::try_from(bytes.len()).unwrap();
        if round % 2 == 0 {
            bytes.truncate(usize::try_from(dice.between(0, length)).unwrap());
            for _ in 0..dice.between(0, 40) {
                let last = u64::try_from(bytes.len().saturating_sub(1)).unwrap();
                let at = usize::try_from(dice.between(0, last.min(200))).unwrap();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = dice.next_u64().to_le_bytes()[0];
                }
            }
        }
        let made = Made::new(&format!("broken-{round}"), &bytes);
        // The decoder's own thread would take a panic with it: here there is none.
        let decoded = decode::decoder(File::open(&made.0).unwrap());
        assert_eq!(decoded.is_ok(), SoundFile::open(&made.0).is_ok());
        let Ok((_, mut decoder)) = decoded else { continue };
        let mut samples = Vec::new();
        while decoder.next(&mut samples) {
            assert!(samples.iter().all(|sample| sample.abs() <= 1.0));
        }
        let sound = SoundFile::open(&made.0).unwrap();
        assert_eq!(play(sound.once(), 60).len(), 60 * PACKET_FRAMES);
        played += 1;
    }
    assert!(played > 20, "only {played} could be played at all");
}
