//! What the tests of a cast share: a tone, and a listener's ears.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests"
)]

use std::io::Cursor;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use openstudio_cast::{BLOCK_FRAMES, Cast, Listener, SAMPLE_RATE};

/// A steady tone on both sides, at different heights.
#[derive(Debug)]
pub(crate) struct Tone {
    at: u64,
}

/// Hertz, left and right.
pub(crate) const HERTZ: [f32; 2] = [440.0, 1_000.0];

/// How loud the tone is at its peak.
pub(crate) const PEAK: f32 = 0.25;

impl Tone {
    pub(crate) fn new() -> Self {
        Self { at: 0 }
    }

    /// Pushes so many blocks.
    pub(crate) fn push(&mut self, cast: &mut Cast, blocks: usize) {
        for _ in 0..blocks {
            let block = HERTZ.map(|hertz| -> Vec<f32> {
                (0..BLOCK_FRAMES as u64).map(|frame| tone(hertz, self.at + frame)).collect()
            });
            self.at += BLOCK_FRAMES as u64;
            cast.push([&block[0], &block[1]]);
        }
    }

    /// Pushes in real time until something is so. Returns how long it took.
    pub(crate) async fn until(
        &mut self,
        cast: &mut Cast,
        limit: Duration,
        mut so: impl FnMut() -> bool,
    ) -> Duration {
        let began = tokio::time::Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !so() {
            assert!(began.elapsed() < limit, "it did not come to be: {:?}", cast.air().status());
            ticks.tick().await;
            self.push(cast, 1);
        }
        began.elapsed()
    }

    /// Pushes in real time for so long.
    pub(crate) async fn play(&mut self, cast: &mut Cast, time: Duration) {
        let until = tokio::time::Instant::now() + time;
        self.until(cast, 2 * time + Duration::from_secs(1), || {
            tokio::time::Instant::now() >= until
        })
        .await;
    }
}

/// The tone at a frame.
pub(crate) fn tone(hertz: f32, frame: u64) -> f32 {
    let turns = f64::from(hertz) * frame as f64 / f64::from(SAMPLE_RATE);
    PEAK * (std::f64::consts::TAU * turns).sin() as f32
}

/// How strong a height is in a sound: 1 if it is nothing but our tone.
pub(crate) fn strength(sound: &[f32], hertz: f32) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (frame, sample) in sound.iter().enumerate() {
        let angle = std::f64::consts::TAU * f64::from(hertz) * frame as f64 / 48_000.0;
        sine += f64::from(*sample) * angle.sin();
        cosine += f64::from(*sample) * angle.cos();
    }
    2.0 * (sine * sine + cosine * cosine).sqrt() / sound.len() as f64 / f64::from(PEAK)
}

/// That each side has its tone, and not the other's.
pub(crate) fn assert_tone(sides: &[Vec<f32>; 2]) {
    for (side, sound) in sides.iter().enumerate() {
        let (own, other) = (strength(sound, HERTZ[side]), strength(sound, HERTZ[1 - side]));
        assert!((own - 1.0).abs() < 0.05, "side {side}: {own}");
        assert!(other < 0.02, "side {side}: {other}");
    }
}

/// A logical Ogg stream, decoded.
#[derive(Debug)]
pub(crate) struct Heard {
    pub(crate) tags: String,
    pub(crate) pre_skip: u16,
    /// Whether it was ended.
    pub(crate) ended: bool,
    /// The position at the end of the first page with sound, and of the last one.
    pub(crate) positions: [u64; 2],
    /// What is heard: without the pre-skip, and trimmed at the end.
    pub(crate) sound: [Vec<f32>; 2],
}

impl Heard {
    pub(crate) fn title(&self) -> &str {
        let at = self.tags.find("TITLE=").expect("a title") + 6;
        self.tags[at..].split(|letter: char| letter.is_control()).next().unwrap()
    }
}

/// Decodes what a listener got.
pub(crate) fn hear(bytes: &[u8]) -> Vec<Heard> {
    let mut reader = ogg::PacketReader::new(Cursor::new(bytes));
    let mut streams: Vec<(u32, Heard, opus::Decoder)> = Vec::new();
    while let Some(packet) = reader.read_packet().expect("pages in order") {
        if packet.first_in_stream() {
            assert!(packet.data.starts_with(b"OpusHead\x01\x02"));
            let pre_skip = u16::from_le_bytes([packet.data[10], packet.data[11]]);
            let heard = Heard {
                tags: String::new(),
                pre_skip,
                ended: false,
                positions: [0; 2],
                sound: [Vec::new(), Vec::new()],
            };
            let decoder = opus::Decoder::new(SAMPLE_RATE, opus::Channels::Stereo).unwrap();
            streams.push((packet.stream_serial(), heard, decoder));
            continue;
        }
        let (serial, heard, decoder) = streams.last_mut().expect("a beginning");
        assert_eq!(*serial, packet.stream_serial());
        if heard.tags.is_empty() {
            assert!(packet.data.starts_with(b"OpusTags"));
            heard.tags = String::from_utf8_lossy(&packet.data).into_owned();
            continue;
        }
        let mut sound = [0.0; 2 * BLOCK_FRAMES];
        assert_eq!(decoder.decode_float(&packet.data, &mut sound, false).unwrap(), BLOCK_FRAMES);
        for (side, samples) in heard.sound.iter_mut().enumerate() {
            samples.extend(sound.iter().skip(side).step_by(2));
        }
        if packet.last_in_page() {
            if heard.positions[0] == 0 {
                heard.positions[0] = packet.absgp_page();
            }
            heard.positions[1] = packet.absgp_page();
        }
        heard.ended = packet.last_in_stream();
    }
    let trimmed = streams.into_iter().map(|(_, mut heard, _)| {
        for samples in &mut heard.sound {
            // Only a stream that was heard from its beginning has its length for a position.
            if heard.ended {
                samples.truncate(usize::try_from(heard.positions[1]).unwrap());
            }
            samples.drain(..usize::from(heard.pre_skip).min(samples.len()));
        }
        heard
    });
    trimmed.collect()
}

/// All that a listener has now, without waiting.
pub(crate) async fn drain(listener: &mut Listener) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        tokio::select! {
            biased;
            pages = listener.next() => match pages {
                Some(pages) => all.extend_from_slice(&pages),
                None => return all,
            },
            () = std::future::ready(()) => return all,
        }
    }
}

/// Whether there is such a program; prints what is skipped if there is none.
pub(crate) fn has(program: &str) -> bool {
    let there = Command::new(program).arg("-version").output().is_ok();
    if !there {
        println!("skipped: there is no {program} on this machine");
    }
    there
}

/// What ffmpeg makes of a file or address: the tone's length in seconds, and all warnings.
/// A file is its standard input if it is to be read as a stream, from beginning to end.
pub(crate) fn ffmpeg(input: &str, stdin: Stdio) -> (f64, String) {
    let run = Command::new("ffmpeg")
        .stdin(stdin)
        .args(["-v", "warning", "-i", input, "-f", "f32le", "-ac", "2", "-ar", "48000", "-"])
        .output()
        .unwrap();
    let seconds = run.stdout.len() as f64 / 8.0 / 48_000.0;
    let samples: Vec<f32> =
        run.stdout.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    let sides = [0, 1].map(|side| {
        let side: Vec<f32> = samples.iter().skip(side).step_by(2).copied().collect();
        let middle = side.len() / 4..side.len() * 3 / 4;
        side[middle].to_vec()
    });
    assert_tone(&sides);
    (seconds, String::from_utf8_lossy(&run.stderr).into_owned())
}

/// A folder of a test's own, which goes with it.
#[derive(Debug)]
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("openstudio-cast-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&path));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
