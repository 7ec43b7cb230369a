//! What a participant that records does with what it hears: each voice goes to its track, and the
//! programme to its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use openstudio_record::{Packet, Recording};
use openstudio_units::{PeerId, Role, RoomId};

use crate::connection::Tapped;
use crate::files::{Files, Order, Written};
use crate::{PACKET_FRAMES, SAMPLE_RATE};

/// A pause of the machine for which nothing was mixed, and which is silence in the programme:
/// 100 ms.
const PAUSE: u64 = 4_800;

/// Characters of a note at most; control characters among them are left out later.
const MARK: usize = 400;

/// A track that does not grow for so long, though it should, is told.
const STALLED: Duration = Duration::from_secs(5);

/// A recording is not gone on with after a longer pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// What can be known of a recording under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingStatus {
    /// What it is called: the name of its folder.
    pub id: String,
    /// When it began, milliseconds since 1970.
    pub started_at: u64,
    /// How long it is, milliseconds. It stands still when the recording has stopped.
    pub length: u64,
    /// How many bytes all its files have together.
    pub bytes: u64,
    /// The voices.
    pub tracks: Vec<TrackStatus>,
    /// Whose tracks have not grown for 5 s, though their sound should be coming.
    pub stalled: Vec<PeerId>,
    /// What is wrong, in words.
    pub trouble: Option<String>,
}

/// What can be known of a voice that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackStatus {
    /// Whose.
    pub peer: PeerId,
    /// How many bytes it has.
    pub bytes: u64,
}

/// A track that should grow.
#[derive(Debug, Clone, Copy)]
struct Expected {
    bytes: u64,
    /// Since when it has so many.
    since: Instant,
    stalled: bool,
}

/// How somebody is known to the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) muted: bool,
}

/// A recording under way.
#[derive(Debug)]
pub(crate) struct Recorder {
    /// When the session was at `begun`.
    zero: Instant,
    /// How far it had come when this program took it up, in frames.
    begun: u64,
    started_at: u64,
    files: Files,
    known: BTreeMap<PeerId, Known>,
    expected: BTreeMap<PeerId, Expected>,
    /// How long the programme is, in frames.
    mixed: u64,
}

impl Recorder {
    /// Begins a recording in a new folder below `parent`.
    pub(crate) fn begin(parent: &Path, room: RoomId) -> io::Result<Self> {
        let started_at = since_1970();
        let files = Files::begin(parent, room, started_at)?;
        Self::new(files, started_at, 0)
    }

    /// Goes on with the recording in `folder`, which was cut short: at the moment that the clock
    /// says, or at its end if the clock is behind. What was missed is silence.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` if it has come to its end or was cut short more than
    /// a day ago, `InvalidData` if its journal cannot be read. Then a new one is to be begun.
    pub(crate) fn resume(folder: &Path) -> io::Result<Self> {
        let cut = Recording::cut_short(folder)?;
        let elapsed = Duration::from_millis(since_1970().saturating_sub(cut.started_at));
        let now = frames(elapsed).max(cut.reached);
        if now - cut.reached > frames(LONGEST_PAUSE) {
            let text = "this recording was cut short more than a day ago; begin a new one";
            return Err(io::Error::new(ErrorKind::InvalidInput, text));
        }
        let files = Files::resume(folder.to_owned(), cut.reached)?;
        Self::new(files, cut.started_at, now)
    }

    fn new(files: Files, started_at: u64, begun: u64) -> io::Result<Self> {
        Ok(Self {
            zero: Instant::now(),
            begun,
            started_at,
            files,
            known: BTreeMap::new(),
            expected: BTreeMap::new(),
            mixed: begun,
        })
    }

    /// Returns the folder that it is written into.
    pub(crate) fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// Returns how it stands. Waits for no disk.
    pub(crate) fn status(&self) -> RecordingStatus {
        let Written { reached, bytes, voices, trouble } = self.files.written();
        let name = self.folder().file_name().unwrap_or_default();
        let stalled = self.expected.iter().filter(|(_, expected)| expected.stalled);
        RecordingStatus {
            id: name.to_string_lossy().into_owned(),
            started_at: self.started_at,
            length: reached / u64::from(SAMPLE_RATE / 1_000),
            bytes,
            tracks: voices.into_iter().map(|(peer, bytes)| TrackStatus { peer, bytes }).collect(),
            stalled: stalled.map(|(peer, _)| *peer).collect(),
            trouble,
        }
    }

    /// Notes a moment. Of the text, a line of at most 200 characters is kept.
    pub(crate) fn mark(&self, now: Instant, text: &str) {
        let text = text.chars().take(MARK).collect();
        self.files.order(Order::Mark(self.position(now), text));
    }

    /// Takes whose sound should be coming: who is connected and has a microphone, muted or not.
    /// Wanted at least once a second.
    pub(crate) fn expect(&mut self, now: Instant, peers: &BTreeSet<PeerId>) {
        self.expected.retain(|peer, _| peers.contains(peer));
        let Written { voices, .. } = self.files.written();
        for peer in peers {
            let bytes = voices.iter().find(|(voice, _)| voice == peer).map_or(0, |(_, b)| *b);
            let fresh = Expected { bytes, since: now, stalled: false };
            let expected = self.expected.entry(*peer).or_insert(fresh);
            if expected.bytes != bytes {
                *expected = fresh;
            }
            expected.stalled = now.saturating_duration_since(expected.since) >= STALLED;
        }
    }

    /// Returns what is wrong, if anything is.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.files.trouble()
    }

    /// Takes a packet of somebody's voice.
    pub(crate) fn packet(&self, peer: PeerId, tapped: Tapped) {
        let Tapped { arrival, time, data } = tapped;
        let frames = opus::packet::get_nb_samples(&data, SAMPLE_RATE).unwrap_or_default();
        let frames = u64::try_from(frames).unwrap_or_default();
        // What is no packet would make the whole file unreadable.
        if frames > 0 {
            let packet = Packet { time, arrival: self.position(arrival), frames, data };
            self.files.order(Order::Packet(peer, packet));
        }
    }

    /// Takes the programme: left and right, 20 ms that were due then.
    pub(crate) fn mixed(&mut self, due: Instant, [left, right]: [&[f32]; 2]) {
        let block = left.iter().zip(right).flat_map(|(left, right)| [*left, *right]).collect();
        let now = self.position(due);
        self.files.order(Order::Advance(now));
        // What was due before the beginning, and is late.
        if self.mixed > now {
            return;
        }
        self.mixed += PACKET_FRAMES as u64;
        if now > self.mixed + PAUSE {
            self.mixed = now;
        }
        self.files.order(Order::Programme(self.mixed, block));
    }

    /// Notes who is there.
    pub(crate) fn follow(&mut self, now: Instant, present: BTreeMap<PeerId, Known>) {
        let at = self.position(now);
        for (peer, person) in &present {
            let before = self.known.get(peer);
            if before
                .is_none_or(|before| (&before.name, before.role) != (&person.name, person.role))
            {
                self.files.order(Order::Came(at, *peer, person.name.clone(), person.role));
            }
            if before.is_some_and(|before| before.muted) != person.muted {
                self.files.order(Order::Muted(at, *peer, person.muted));
            }
        }
        for peer in self.known.keys().filter(|peer| !present.contains_key(peer)) {
            self.files.order(Order::Left(at, *peer));
        }
        self.known = present;
    }

    /// Ends the recording, and waits until all is written.
    pub(crate) fn finish(self) {
        let end = self.position(Instant::now());
        self.files.finish(end);
    }

    /// Returns frames since the session's zero.
    fn position(&self, instant: Instant) -> u64 {
        self.begun + frames(instant.saturating_duration_since(self.zero))
    }
}

/// Returns what the clock says, in milliseconds.
fn since_1970() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

fn frames(time: Duration) -> u64 {
    u64::try_from(time.as_micros() * u128::from(SAMPLE_RATE) / 1_000_000).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openstudio_record::Library;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    /// A moment that is waited for at most.
    const PATIENCE: Duration = Duration::from_secs(10);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("openstudio-recorder-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            drop(fs::remove_dir_all(&folder));
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn room() -> RoomId {
        RoomId::from_random_bytes([1; 16])
    }

    fn peer(n: u8) -> PeerId {
        PeerId::from_random_bytes([n; 16])
    }

    fn known(name: &str) -> Known {
        Known { name: name.to_owned(), role: Role::Caller, muted: false }
    }

    /// Records 20 ms of these people, which were due then.
    fn tick(recorder: &mut Recorder, at: Instant, people: &[PeerId]) {
        let time = recorder.position(at);
        for peer in people {
            let data: Arc<[u8]> = [0xf8, 0xff, 0xfe].as_slice().into();
            recorder.packet(*peer, Tapped { arrival: at, time, data });
        }
        recorder.mixed(at, [&[0.1; PACKET_FRAMES]; 2]);
    }

    /// Records seconds of these people, as fast as it goes, from a moment on.
    fn record(recorder: &mut Recorder, from: Instant, seconds: u32, people: &[PeerId]) -> Instant {
        let ticks = seconds * 50;
        for n in 0..ticks {
            let at = from + Duration::from_millis(20) * n;
            tick(recorder, at, people);
        }
        from + Duration::from_millis(20) * ticks
    }

    /// Waits until the thread has written so that it is as it should be.
    fn until(recorder: &Recorder, holds: impl Fn(&RecordingStatus) -> bool) -> RecordingStatus {
        let begun = Instant::now();
        loop {
            let status = recorder.status();
            if holds(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it is {status:?}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_was_cut_short_goes_on_in_the_same_folder() {
        let home = Folder::new("resume");
        let mut recorder = Recorder::begin(&home.0, room()).unwrap();
        let folder = recorder.folder().to_owned();
        let zero = recorder.zero;
        recorder.follow(zero, [(peer(1), known("Ada"))].into());
        record(&mut recorder, zero, 4, &[peer(1)]);
        recorder.mark(zero + Duration::from_secs(1), "the\njingle");
        let before = until(&recorder, |status| status.length >= 3_700);
        assert_eq!(before.id, folder.file_name().unwrap().to_str().unwrap());
        assert_eq!(before.tracks.len(), 1);
        // A second recording of the room in the same second has another folder.
        let second = Recorder::begin(&home.0, room()).unwrap();
        assert_ne!(second.folder(), folder);
        second.finish();
        drop(recorder);
        let mut recorder = Recorder::resume(&folder).unwrap();
        assert_eq!(recorder.folder(), folder);
        assert!(recorder.begun >= 48 * 3_700, "it goes on behind its end: {}", recorder.begun);
        let zero = recorder.zero;
        recorder.follow(zero, [(peer(1), known("Ada"))].into());
        let end = record(&mut recorder, zero, 3, &[peer(1), peer(2)]);
        let status = until(&recorder, |status| status.length >= 6_500);
        assert_eq!((status.started_at, &status.id), (before.started_at, &before.id));
        assert_eq!((status.tracks.len(), status.trouble), (2, None));
        assert!(status.bytes > before.bytes);
        recorder.follow(end, BTreeMap::new());
        recorder.finish();
        let found = Library::new(home.0.clone()).list(Some(room())).unwrap();
        let found = found.iter().find(|found| found.id == before.id).unwrap();
        assert!(found.finished && found.tracks.len() == 3);
        assert_eq!(found.marks[0].text, "thejingle");
        let error = Recorder::resume(&folder).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_pause_is_as_long_as_the_clock_says_and_a_long_one_is_refused() {
        let home = Folder::new("pause");
        let recorder = Recorder::begin(&home.0, room()).unwrap();
        let folder = recorder.folder().to_owned();
        let started_at = recorder.started_at;
        drop(recorder);
        let moved = |by: u64| {
            // The thread before writes its journal until it lets go.
            drop(Recorder::resume(&folder).map(|recorder| until(&recorder, |s| s.bytes > 0)));
            let path = folder.join("session.json");
            let begun = Instant::now();
            loop {
                let text = fs::read_to_string(&path).unwrap();
                let mut journal = openstudio_record::Journal::from_json(&text).unwrap();
                journal.started_at = started_at - by;
                if fs::File::open(&folder).unwrap().try_lock().is_ok() {
                    fs::write(&path, journal.to_json().unwrap()).unwrap();
                    return Recorder::resume(&folder);
                }
                assert!(begun.elapsed() < PATIENCE);
                std::thread::yield_now();
            }
        };
        let recorder = moved(3_600_000).unwrap();
        let off = recorder.begun.abs_diff(48 * 3_600_000);
        assert!(off < 48 * 10_000, "an hour, but for {off} frames");
        drop(recorder);
        let error = moved(25 * 3_600_000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_track_that_does_not_grow_is_named() {
        let home = Folder::new("stalled");
        let mut recorder = Recorder::begin(&home.0, room()).unwrap();
        let mut at = recorder.zero;
        let both = BTreeSet::from([peer(1), peer(2)]);
        let mut bytes = 0;
        for second in 1..=9_u64 {
            recorder.expect(at, &both);
            at = record(&mut recorder, at, 1, &[peer(1)]);
            // The other one grows.
            let size = |status: &RecordingStatus| status.tracks.iter().map(|t| t.bytes).sum();
            bytes = size(&until(&recorder, |status| {
                status.length + 250 >= second * 1_000 && size(status) > bytes
            }));
            recorder.expect(at, &both);
            let expected = if second >= 5 { vec![peer(2)] } else { vec![] };
            assert_eq!(recorder.status().stalled, expected, "after {second} s");
        }
        // Whoever is not expected any more is not missed.
        recorder.expect(at, &BTreeSet::from([peer(1)]));
        assert_eq!(recorder.status().stalled, []);
        recorder.finish();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_stops_the_recording_and_says_what_to_do() {
        let home = Folder::new("full");
        let mut recorder = Recorder::begin(&home.0, room()).unwrap();
        let voice = recorder.folder().join(format!("{}.opus", peer(2)));
        std::os::unix::fs::symlink("/dev/full", voice).unwrap();
        let zero = recorder.zero;
        let at = record(&mut recorder, zero, 2, &[peer(1)]);
        until(&recorder, |status| status.length >= 1_700);
        tick(&mut recorder, at, &[peer(2)]);
        let stopped = until(&recorder, |status| status.trouble.is_some());
        let trouble = stopped.trouble.clone().unwrap();
        assert!(trouble.contains("full") && trouble.contains("start a new one"), "{trouble}");
        // The show goes on, and nothing more is written.
        record(&mut recorder, at, 3, &[peer(1), peer(2)]);
        let id = stopped.id.clone();
        assert_eq!(recorder.status().length, stopped.length);
        recorder.finish();
        let found = Library::new(home.0.clone()).list(None).unwrap();
        let found = found.iter().find(|found| found.id == id).unwrap();
        assert!(found.finished && found.length >= 1_900 && found.length <= 2_100, "{found:?}");
    }
}
