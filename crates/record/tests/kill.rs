//! Recordings whose writer is killed at any moment, and that are gone on with.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what is wrong")]
#![allow(clippy::print_stdout, reason = "the seed, and why something was skipped")]

use std::fs::{self, OpenOptions};
use std::io::{Cursor, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use openstudio_record::{Journal, Packet, Recording, Stay};
use openstudio_units::{PeerId, Rng, Role, RoomId, Seed};
use opus::{Application, Channels, Decoder, Encoder};

/// What decoders skip at the beginning.
const PRE_SKIP: u64 = 312;

/// Where a click may be: 5 ms off.
const NEAR: u64 = 240;

/// The head of `programme.wav`.
const WAVE_HEAD: u64 = 104;

/// When it is recorded, in frames: between them the writer was dead.
const PARTS: [(u64, u64); 3] = [(0, 384_000), (544_176, 816_000), (866_400, 1_152_000)];

/// How far into a part people come, how many frames they stay, and in which parts.
const PEOPLE: [(u64, &[usize]); 3] = [(0, &[0, 1, 2]), (96_077, &[0, 2]), (5_000, &[1])];

fn peer(n: usize) -> PeerId {
    PeerId::from_random_bytes([u8::try_from(n).unwrap() + 1; 16])
}

fn room() -> RoomId {
    RoomId::from_random_bytes([99; 16])
}

/// Where clicks are, in frames since somebody began to speak.
fn clicks(frames: u64) -> impl Iterator<Item = u64> {
    (30_000..frames.saturating_sub(3_000)).step_by(48_000)
}

fn encoded(frames: u64) -> Vec<Arc<[u8]>> {
    let mut encoder = Encoder::new(48_000, Channels::Mono, Application::Audio).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(96_000)).unwrap();
    let mut samples = vec![0.0; usize::try_from(frames).unwrap()];
    for click in clicks(frames) {
        let click = usize::try_from(click).unwrap();
        samples[click..click + 24].fill(0.9);
    }
    let blocks = samples.chunks_exact(960);
    blocks.map(|block| encoder.encode_vec_float(block, 1_275).unwrap().into()).collect()
}

/// Records one part into a recording.
fn record(recording: &mut Recording, part: usize, until: u64, rng: &mut Rng) {
    let (begin, end) = PARTS[part];
    let mut voices = Vec::new();
    for (n, (late, parts)) in PEOPLE.iter().enumerate() {
        if parts.contains(&part) {
            let clock = rng.between(0, 1 << 40);
            recording.came(begin + late, peer(n), ("Ada", Role::Caller));
            voices.push((peer(n), begin + late, clock, encoded(end - begin - late)));
        }
    }
    for block in 0..(end - begin) / 960 {
        let now = begin + block * 960;
        if now > until {
            return;
        }
        for (peer, since, clock, packets) in &voices {
            let Some(n) = now.checked_sub(*since).map(|gone| gone / 960) else { continue };
            let Some(data) = packets.get(usize::try_from(n).unwrap()).cloned() else { continue };
            let jitter = if n % 5 == 0 { 0 } else { rng.between(0, 900) };
            let (time, arrival) = (clock + n * 960, since + n * 960 + jitter);
            recording.packet(*peer, Packet { time, arrival, frames: 960, data }).unwrap();
        }
        let mut sound = vec![0.0; 1_920];
        for click in clicks(end - begin).filter(|click| click / 960 == block) {
            let at = usize::try_from(click % 960).unwrap() * 2;
            sound[at..at + 2].fill(0.5);
        }
        recording.programme(now + 960, &sound).unwrap();
        recording.advance(now).unwrap();
    }
}

/// What of a file was left, in frames.
#[derive(Debug, Clone, Copy)]
struct Left {
    part: usize,
    file: usize,
    frames: u64,
}

/// Kills the writer: of each file's last part, a random amount is missing.
fn kill(folder: &Path, part: usize, rng: &mut Rng, sizes: &[u64; 4]) -> Vec<Left> {
    let mut left = Vec::new();
    for (file, size) in sizes.iter().enumerate() {
        let path = folder.join(file_name(file));
        let Ok(length) = fs::metadata(&path).map(|file| file.len()) else { continue };
        // Often close to the end, as it is; sometimes anywhere.
        let since = length.min(*size);
        let reach = if rng.between(0, 2) == 0 { length - since } else { (length - since) / 20 };
        let cut = length - rng.between(0, reach);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let frames = if file == PEOPLE.len() {
            cut.saturating_sub(WAVE_HEAD) / 6
        } else {
            pages(&fs::read(&path).unwrap()).last().map_or(0, |page| page.granule)
        };
        left.push(Left { part, file, frames });
    }
    let fresh = &fs::read(folder.join("session.json")).unwrap();
    let torn = usize::try_from(rng.between(0, fresh.len() as u64)).unwrap();
    fs::write(folder.join("session.json.new"), &fresh[..torn]).unwrap();
    left
}

fn file_name(file: usize) -> String {
    if file == PEOPLE.len() { "programme.wav".into() } else { format!("{}.opus", peer(file)) }
}

#[derive(Debug, Clone, Copy)]
struct Page {
    kind: u8,
    granule: u64,
    serial: u32,
    sequence: u32,
}

/// Splits a file into its pages, up to one that is not whole.
fn pages(mut file: &[u8]) -> Vec<Page> {
    let mut found = Vec::new();
    while file.len() >= 27 && file.starts_with(b"OggS") {
        let lacing = usize::from(file[26]);
        let Some(lengths) = file.get(27..27 + lacing) else { break };
        let length = 27 + lacing + lengths.iter().map(|n| usize::from(*n)).sum::<usize>();
        if file.len() < length {
            break;
        }
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
        let granule = u64::from_le_bytes(file[6..14].try_into().unwrap());
        let (serial, sequence) = (number(14), number(18));
        found.push(Page { kind: file[5], granule, serial, sequence });
        file = &file[length..];
    }
    found
}

/// Checks that a voice is one stream without a hole.
fn check_pages(file: &[u8]) {
    let pages = pages(file);
    let last = pages.len() - 1;
    for (n, page) in pages.iter().enumerate() {
        assert_eq!(page.sequence as usize, n, "pages are numbered");
        assert_eq!(page.serial, pages[0].serial, "it is one stream");
        let kind = if n == 0 { 2 } else { u8::from(n == last) * 4 };
        assert_eq!(page.kind, kind, "only the ends are marked, page {n} of {last}");
        assert!(n == 0 || page.granule >= pages[n - 1].granule);
    }
}

/// Decodes a voice, as a player does.
fn play(file: &[u8]) -> Vec<f32> {
    let mut reader = ogg::PacketReader::new(Cursor::new(file));
    let mut decoder = Decoder::new(48_000, Channels::Mono).unwrap();
    let mut samples = Vec::new();
    let mut end = 0;
    for number in 0.. {
        let Some(packet) = reader.read_packet().unwrap() else { break };
        if number >= 2 {
            let mut block = [0.0; 5_760];
            let frames = decoder.decode_float(&packet.data, &mut block, false).unwrap();
            samples.extend_from_slice(&block[..frames]);
            end = packet.absgp_page();
            assert!(
                !packet.last_in_page() || packet.last_in_stream() || end == samples.len() as u64
            );
        }
    }
    samples.truncate(usize::try_from(end).unwrap());
    samples.split_off(usize::try_from(PRE_SKIP).unwrap())
}

fn programme(file: &[u8]) -> Vec<f32> {
    let told = u32::from_le_bytes(file[100..104].try_into().unwrap());
    assert_eq!(u64::from(told) + WAVE_HEAD, file.len() as u64, "the header is right");
    let left = |frame: &[u8]| i32::from_le_bytes([0, frame[0], frame[1], frame[2]]) as f32;
    file[104..].chunks_exact(6).map(|frame| left(frame) / 2.0_f32.powi(31)).collect()
}

/// Where in the window around `at` it is loudest, and how loud.
fn loudest(samples: &[f32], at: u64, reach: u64) -> (u64, f32) {
    let range = at.saturating_sub(reach)..(at + reach).min(samples.len() as u64);
    let level = |n: u64| samples[usize::try_from(n).unwrap()].abs();
    range.map(|n| (n, level(n))).max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0))
}

/// Checks all clicks of a file, and returns how many there were.
fn check_clicks(samples: &[f32], file: usize, left: &[Left]) -> usize {
    let mut found = 0;
    for (part, (begin, end)) in PARTS.into_iter().enumerate() {
        let (late, parts) = PEOPLE.get(file).copied().unwrap_or((0, &[0, 1, 2]));
        if !parts.contains(&part) {
            continue;
        }
        // What was left of this part, and of all that the later cuts did not reach.
        let kept = left.iter().filter(|left| left.file == file && left.part == part);
        let kept = kept.map(|left| left.frames).min().unwrap_or(u64::MAX);
        for click in clicks(end - begin - late).map(|click| begin + late + click) {
            let (place, level) = loudest(samples, click, 9_600);
            if click + 2 * PRE_SKIP + 960 < kept {
                assert!(level > 0.2, "the click of {file} at {click} is gone, {kept} are left");
                assert!(
                    place.abs_diff(click) <= NEAR,
                    "a click of {file} is at {place}, not {click}"
                );
                found += 1;
            } else if click > kept + 2 * PRE_SKIP + 960 {
                assert!(level < 0.05, "what was cut off of {file} at {click} is silence");
            }
        }
    }
    found
}

/// Whether a program is there.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("-version").output().is_ok();
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

fn check_with_ffmpeg(path: &Path, frames: u64) {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "warning", "-xerror", "-i"]).arg(path).args(["-f", "null", "-"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "ffmpeg says of {path:?}: {said}");
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]);
    let output = command.arg(path).output().unwrap();
    let seconds: f64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
    assert!((seconds - frames as f64 / 48_000.0).abs() < 0.01, "{path:?} has {seconds} s");
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("openstudio-record-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Records in three parts, with the writer killed after the first two.
fn session(folder: &Path, seed: u64) -> Vec<Left> {
    let mut rng = Seed::from_number(seed).rng();
    let mut left = Vec::new();
    let mut sizes = [0; 4];
    for (part, (begin, end)) in PARTS.into_iter().enumerate() {
        let mut recording = if part == 0 {
            Recording::begin(folder.to_owned(), Journal::begin(room(), 1_700_000_000_000)).unwrap()
        } else {
            Recording::resume(folder.to_owned()).unwrap()
        };
        assert!(recording.reached() <= begin);
        if part == PARTS.len() - 1 {
            record(&mut recording, part, end, &mut rng);
            recording.end(end).unwrap();
        } else {
            record(&mut recording, part, rng.between(begin + (end - begin) / 2, end), &mut rng);
            drop(recording);
            left.extend(kill(folder, part, &mut rng, &sizes));
            // A later cut does not reach what was there before.
            for (file, size) in sizes.iter_mut().enumerate() {
                *size = fs::metadata(folder.join(file_name(file))).map_or(0, |file| file.len());
            }
        }
    }
    left
}

#[test]
fn what_was_killed_at_any_moment_goes_on_aligned() {
    let home = Folder::new("kill");
    let ffmpeg = has("ffmpeg") && has("ffprobe");
    let mut found = 0;
    for seed in 1..=12 {
        println!("seed {seed}");
        let folder = home.0.join(seed.to_string());
        let left = session(&folder, seed);
        let end = PARTS[2].1;
        for file in 0..=PEOPLE.len() {
            let path = folder.join(file_name(file));
            let bytes = fs::read(&path).unwrap();
            let samples = if file == PEOPLE.len() {
                programme(&bytes)
            } else {
                check_pages(&bytes);
                play(&bytes)
            };
            assert_eq!(samples.len() as u64, end, "the length of {file}");
            found += check_clicks(&samples, file, &left);
            if ffmpeg {
                check_with_ffmpeg(&path, end);
            }
        }
        fs::remove_dir_all(&folder).unwrap();
    }
    assert!(found > 400, "only {found} clicks were looked at");
}

/// What names the folder to the process that is killed.
const FOLDER: &str = "OPENSTUDIO_RECORD_KILLED";

#[test]
#[ignore = "the process that the next test kills"]
fn records_until_it_is_killed() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let mut recording = Recording::begin(folder, Journal::begin(room(), 0)).unwrap();
    let packets = encoded(PARTS[0].1);
    for tick in 0_u64.. {
        let now = tick * 960;
        let data = packets[usize::try_from(tick).unwrap() % packets.len()].clone();
        if tick % 10 == 0 {
            recording.came(now, peer(0), ("Ada", Role::Host));
            recording.left(now, peer(0));
        }
        recording.packet(peer(0), Packet { time: now, arrival: now, frames: 960, data }).unwrap();
        recording.programme(now + 960, &[0.25; 1_920]).unwrap();
        recording.advance(now).unwrap();
    }
}

#[test]
fn a_process_that_is_killed_loses_less_than_a_second() {
    let home = Folder::new("process");
    let seed = 7;
    println!("seed {seed}");
    let mut rng = Seed::from_number(seed).rng();
    let mut found = 0;
    for round in 0..8 {
        let folder = home.0.join(round.to_string());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "records_until_it_is_killed"]);
        let mut child = command.env(FOLDER, &folder).stdout(Stdio::null()).spawn().unwrap();
        let enough = rng.between(0, 3_000_000);
        while fs::metadata(folder.join("programme.wav")).map_or(0, |file| file.len()) <= enough {
            assert!(child.try_wait().unwrap().is_none(), "the process ended by itself");
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let recording = Recording::resume(folder.clone()).unwrap();
        let reached = recording.reached();
        assert!(reached * 6 + WAVE_HEAD >= enough, "{reached} frames of {enough} bytes");
        let end = reached + 480_000;
        recording.end(end).unwrap();
        let samples = programme(&fs::read(folder.join("programme.wav")).unwrap());
        assert_eq!(samples.len() as u64, end);
        let kept = samples.iter().take_while(|sample| (**sample - 0.25).abs() < 1e-3).count();
        let path = folder.join(file_name(0));
        if let Ok(voice) = fs::read(&path) {
            check_pages(&voice);
            let samples = play(&voice);
            assert_eq!(samples.len() as u64, end);
            for click in clicks(PARTS[0].1).filter(|click| click + 48_000 < kept as u64) {
                let (place, level) = loudest(&samples, click, 9_600);
                assert!(level > 0.2 && place.abs_diff(click) <= NEAR, "{place}, not {click}");
                found += 1;
            }
        }
        let text = fs::read_to_string(folder.join("session.json")).unwrap();
        assert!(Journal::from_json(&text).unwrap().ended);
    }
    assert!(found > 15, "only {found} clicks were looked at");
}

#[test]
fn stays_are_closed_where_it_was_cut_short_and_opened_anew() {
    let home = Folder::new("stays");
    let folder = home.0.join("a");
    let mut recording = Recording::begin(folder.clone(), Journal::begin(room(), 5_000)).unwrap();
    recording.advance(0).unwrap();
    recording.came(48, peer(0), ("Ada", Role::Host));
    recording.muted(96, peer(0), true);
    recording.mark(144, "the beginning");
    for second in 1..=20 {
        recording.programme(second * 48_000, &[0.0; 1_920]).unwrap();
        recording.advance(second * 48_000).unwrap();
    }
    drop(recording);
    let cut = Recording::cut_short(&folder).unwrap();
    assert_eq!((cut.room, cut.started_at), (room(), 5_000));
    assert!((900_000..=960_000).contains(&cut.reached), "{cut:?}");
    let mut recording = Recording::resume(folder.clone()).unwrap();
    let reached = recording.reached() / 48;
    recording.came(48 * 30_000, peer(0), ("Ada", Role::Host));
    recording.end(48 * 40_000).unwrap();
    let text = fs::read_to_string(folder.join("session.json")).unwrap();
    let journal = Journal::from_json(&text).unwrap();
    let stay = |from, to| Stay { from, to: Some(to) };
    assert_eq!(journal.tracks[0].stays, [stay(1, reached), stay(30_000, 40_000)]);
    assert_eq!(journal.tracks[0].mutes, [stay(2, reached)]);
    assert_eq!(journal.marks[0].text, "the beginning");
    assert!(journal.ended && journal.length == 40_000);
    let error = Recording::resume(folder.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "what was ended is not gone on with");
}

#[test]
fn one_writer_at_a_time() {
    let home = Folder::new("lock");
    let folder = home.0.join("a");
    let recording = Recording::begin(folder.clone(), Journal::begin(room(), 0)).unwrap();
    assert_eq!(Recording::resume(folder.clone()).unwrap_err().kind(), ErrorKind::ResourceBusy);
    let again = Recording::begin(folder.clone(), Journal::begin(room(), 0));
    assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    recording.pause().unwrap();
    Recording::resume(folder).unwrap().end(48_000).unwrap();
}

#[test]
fn the_journal_is_written_once_a_second_at_most_and_is_never_later() {
    let home = Folder::new("lazy");
    let folder = home.0.join("a");
    let path = folder.join("session.json");
    let mut recording = Recording::begin(folder.clone(), Journal::begin(room(), 0)).unwrap();
    let read = || Journal::from_json(&fs::read_to_string(&path).unwrap()).unwrap();
    let (mut writes, mut before) = (0, fs::read(&path).unwrap());
    for tick in 0..500_u64 {
        let now = tick * 960;
        recording.mark(now, "again");
        recording.advance(now).unwrap();
        let file = fs::read(&path).unwrap();
        writes += usize::from(file != before);
        before = file;
        let known = read().marks.last().map_or(0, |mark| mark.at);
        assert!(now / 48 - known <= 1_000, "at {now}, {known} ms are known");
    }
    assert!((8..=11).contains(&writes), "{writes} in ten seconds");
    recording.end(480_000).unwrap();
    assert_eq!(read().marks.len(), 500);
}

/// A file that is always full: the rest goes on to where it stopped, and is ended there.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_takes_nothing_of_what_is_written() {
    let home = Folder::new("full");
    let folder = home.0.join("a");
    let mut recording = Recording::begin(folder.clone(), Journal::begin(room(), 0)).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.join(file_name(1))).unwrap();
    let packets = encoded(480_000);
    let mut stopped = None;
    for (n, data) in (0..).zip(&packets) {
        let now = n * 960;
        let packet = |time| Packet { time, arrival: now, frames: 960, data: data.clone() };
        recording.packet(peer(0), packet(now)).unwrap();
        if n == 200 {
            let error = recording.packet(peer(1), packet(now)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            recording.stop();
            stopped = Some(recording.reached());
        }
        recording.programme(now + 960, &[0.25; 1_920]).unwrap();
        recording.advance(now).unwrap();
    }
    recording.end(480_000).unwrap_err();
    let stopped = stopped.unwrap();
    let bytes = fs::read(folder.join(file_name(0))).unwrap();
    check_pages(&bytes);
    assert_eq!(play(&bytes).len() as u64, stopped);
    let samples = programme(&fs::read(folder.join("programme.wav")).unwrap());
    assert!(samples.len() as u64 >= stopped && samples.len() as u64 <= stopped + 1_920);
    assert!(samples[..190 * 960].iter().all(|sample| (sample - 0.25).abs() < 1e-3));
    let text = fs::read_to_string(folder.join("session.json")).unwrap();
    let journal = Journal::from_json(&text).unwrap();
    assert!(journal.ended && journal.length == stopped / 48);
}
