//! One recording: a folder with the tracks and the journal, and what is written into it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use openstudio_units::{PeerId, Role, RoomId};

use crate::SAMPLE_RATE;
use crate::journal::{JOURNAL, Journal, file_of};
use crate::voice_track::{Packet, VoiceTrack, cut_torn};
use crate::wave::{WaveTrack, frames_of};

/// The programme's file in the folder.
pub(crate) const PROGRAMME: &str = "programme.wav";

/// Voices that get a track at most: each holds a file open.
const TRACKS: usize = 256;

/// The journal waits for further events this long after it was written: 1 s.
const EVENTS: u64 = 48_000;

/// The journal is renewed after this much of the session, 5 s, whatever happens.
const LENGTH: u64 = 240_000;

/// What the journal knows and the tracks do not, at most: 10 s.
const AHEAD: u64 = 480_000;

/// A recording that was cut short, before it is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutShort {
    /// The room.
    pub room: RoomId,
    /// When the recording began, milliseconds since 1970.
    pub started_at: u64,
    /// How far it came at least, in frames.
    pub reached: u64,
}

/// A recording under way. Positions are frames since the session's zero; they do not run
/// backwards.
///
/// Dropping it is like a crash: [`Self::resume`] goes on with it. All calls wait for the disk.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    /// Keeps others from writing as long as it is open.
    _lock: Option<File>,
    journal: Journal,
    voices: BTreeMap<PeerId, VoiceTrack<File>>,
    programme: Option<WaveTrack<BufWriter<File>>>,
    reached: u64,
    /// Whether there is something that the journal on disk does not know.
    news: bool,
    /// When the journal was written.
    journaled: u64,
    journal_bytes: u64,
    /// Whether nothing is written any more until the end.
    stopped: bool,
}

impl Recording {
    /// Makes a new folder and begins a recording in it. The folder above must be there.
    ///
    /// # Errors
    /// What the system says; [`ErrorKind::AlreadyExists`] if there is such a folder.
    pub fn begin(folder: PathBuf, journal: Journal) -> io::Result<Self> {
        fs::create_dir(&folder)?;
        let lock = lock(&folder)?;
        let mut recording = Self::new(folder, journal, lock);
        recording.save()?;
        let file = create(&recording.folder.join(PROGRAMME))?;
        recording.programme = Some(WaveTrack::begin(BufWriter::new(file))?);
        Ok(recording)
    }

    /// Returns what is known of a recording that was cut short. Quick.
    ///
    /// # Errors
    /// What the system says; [`ErrorKind::InvalidInput`] if it has come to its end, and
    /// [`ErrorKind::InvalidData`] if its journal cannot be read.
    pub fn cut_short(folder: &Path) -> io::Result<CutShort> {
        let journal = unfinished(folder)?;
        let programme = fs::metadata(folder.join(PROGRAMME)).map(|file| file.len());
        let reached = told(&journal, frames_of(programme.unwrap_or_default()));
        Ok(CutShort { room: journal.room, started_at: journal.started_at, reached })
    }

    /// Goes on with a recording that was cut short: what is torn at the ends of its files is cut
    /// off, and the rest is kept. May take seconds, if the tracks are long.
    ///
    /// # Errors
    /// As for [`Self::cut_short`]; [`ErrorKind::ResourceBusy`] while somebody else writes it.
    pub fn resume(folder: PathBuf) -> io::Result<Self> {
        let lock = lock(&folder)?;
        // Only now nobody else writes it.
        let journal = unfinished(&folder)?;
        let mut recording = Self::new(folder, journal, lock);
        recording.reopen()?;
        let voices = recording.voices.values().map(VoiceTrack::length);
        let tracks = voices.chain(recording.programme.as_ref().map(WaveTrack::length));
        let tracks = tracks.max().unwrap_or_default();
        recording.reached = told(&recording.journal, tracks);
        recording.journaled = recording.reached;
        recording.journal.pause(milliseconds(recording.reached));
        recording.save()?;
        Ok(recording)
    }

    fn new(folder: PathBuf, journal: Journal, lock: Option<File>) -> Self {
        Self {
            folder,
            _lock: lock,
            journal,
            voices: BTreeMap::new(),
            programme: None,
            reached: 0,
            news: false,
            journaled: 0,
            journal_bytes: 0,
            stopped: false,
        }
    }

    /// Opens all tracks that there are, at their ends; those that can be, and says what was
    /// wrong first.
    fn reopen(&mut self) -> io::Result<()> {
        let programme = reopened(&self.folder.join(PROGRAMME)).and_then(WaveTrack::resume);
        let mut result = programme.map(|track| self.programme = Some(track));
        for peer in voices_in(&self.folder)? {
            // Its beginning may have been too late for the journal.
            self.journal.found(peer);
            let voice = self.reopened_voice(peer);
            result = result.and(voice.map(|voice| drop(self.voices.insert(peer, voice))));
        }
        result
    }

    fn reopened_voice(&self, peer: PeerId) -> io::Result<VoiceTrack<File>> {
        let path = self.folder.join(file_of(peer));
        match VoiceTrack::resume(reopened(&path)?, self.serial(), self.title(peer)) {
            // Whatever it is, it stays beside the track.
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                fs::rename(&path, path.with_extension("broken"))?;
                VoiceTrack::begin(create(&path)?, self.serial(), self.title(peer))
            }
            result => result,
        }
    }

    fn serial(&self) -> u32 {
        u32::try_from(self.voices.len()).unwrap_or_default()
    }

    fn title(&self, peer: PeerId) -> &str {
        self.journal.name(peer).unwrap_or_default()
    }

    /// Returns how far it has come.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// Returns whether nothing is written any more until the end.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns how many bytes all files have together.
    pub fn bytes(&self) -> u64 {
        let voices: u64 = self.voices.values().map(VoiceTrack::bytes).sum();
        voices + self.programme.as_ref().map_or(0, WaveTrack::bytes) + self.journal_bytes
    }

    /// Returns how many bytes each voice has.
    pub fn voices(&self) -> impl Iterator<Item = (PeerId, u64)> {
        self.voices.iter().map(|(peer, voice)| (*peer, voice.bytes()))
    }

    /// Notes that somebody is there, called so.
    pub fn came(&mut self, at: u64, peer: PeerId, (name, role): (&str, Role)) {
        self.journal.came(milliseconds(at), peer, (name, role));
        self.news = true;
    }

    /// Notes that somebody is gone.
    pub fn left(&mut self, at: u64, peer: PeerId) {
        self.journal.left(milliseconds(at), peer);
        self.news = true;
    }

    /// Notes that somebody is muted, or no longer.
    pub fn muted(&mut self, at: u64, peer: PeerId, muted: bool) {
        self.journal.muted(milliseconds(at), peer, muted);
        self.news = true;
    }

    /// Notes a moment. See [`Journal::mark`].
    pub fn mark(&mut self, at: u64, text: &str) {
        self.journal.mark(milliseconds(at), text);
        self.news = true;
    }

    /// Takes a packet of somebody's voice, whose track begins with the first one.
    ///
    /// # Errors
    /// What the system says; then [`Self::stop`] is due.
    pub fn packet(&mut self, peer: PeerId, packet: Packet) -> io::Result<()> {
        if !self.voices.contains_key(&peer) && !self.stopped && self.voices.len() < TRACKS {
            let file = create(&self.folder.join(file_of(peer)))?;
            let voice = VoiceTrack::begin(file, self.serial(), self.title(peer))?;
            self.voices.insert(peer, voice);
        }
        self.voices.get_mut(&peer).map_or(Ok(()), |voice| voice.push(packet))
    }

    /// Takes a piece of the programme that ends there: left and right in turn.
    ///
    /// # Errors
    /// What the system says; then [`Self::stop`] is due.
    pub fn programme(&mut self, end: u64, block: &[f32]) -> io::Result<()> {
        let Some(programme) = &mut self.programme else { return Ok(()) };
        let begin = end.saturating_sub(block.len() as u64 / 2);
        programme.pad(begin)?;
        // What is there already stays where it is.
        let there = usize::try_from(programme.length() - begin).unwrap_or(usize::MAX);
        let block = block.get(there.saturating_mul(2)..).unwrap_or_default();
        let side = |side| block.iter().skip(side).step_by(2).copied().collect::<Vec<f32>>();
        programme.push([&side(0), &side(1)])
    }

    /// Writes what is due when the session has come so far. Wanted several times a second.
    ///
    /// # Errors
    /// What the system says; then [`Self::stop`] is due.
    pub fn advance(&mut self, now: u64) -> io::Result<()> {
        if self.stopped {
            return Ok(());
        }
        self.reached = self.reached.max(now);
        for voice in self.voices.values_mut() {
            voice.advance(now)?;
        }
        let wait = if self.news { EVENTS } else { LENGTH };
        if now < self.journaled + wait { Ok(()) } else { self.save() }
    }

    /// Writes nothing more until the end, after an error: what follows half a page would make
    /// a track unreadable.
    pub fn stop(&mut self) {
        self.voices.clear();
        self.programme = None;
        self.stopped = true;
    }

    /// Writes all that there is, without an end: it can be gone on with.
    ///
    /// # Errors
    /// What the system says.
    pub fn pause(mut self) -> io::Result<()> {
        for voice in self.voices.values_mut() {
            voice.pause()?;
        }
        if let Some(programme) = &mut self.programme {
            programme.pause()?;
        }
        self.save()
    }

    /// Ends the recording. One that was stopped ends where it was stopped.
    ///
    /// # Errors
    /// What the system says first; the rest is done as far as it can be.
    pub fn end(mut self, end: u64) -> io::Result<()> {
        let mut result = Ok(());
        if self.stopped {
            result = self.reopen();
        } else {
            self.reached = self.reached.max(end);
        }
        for (peer, voice) in std::mem::take(&mut self.voices) {
            let ended = voice.finish(self.reached).map(drop).inspect_err(|_| {
                // Without an end it can be played as well, but not with half of one.
                drop(reopened(&self.folder.join(file_of(peer))).and_then(|mut f| cut_torn(&mut f)));
            });
            result = result.and(ended);
        }
        if let Some(programme) = self.programme.take() {
            result = result.and(programme.finish(self.reached).map(drop));
        }
        self.journal.end(milliseconds(self.reached));
        result.and(self.save())
    }

    fn save(&mut self) -> io::Result<()> {
        if !self.journal.ended {
            self.journal.length = milliseconds(self.reached);
        }
        self.journal_bytes = self.journal.write(&self.folder)?;
        self.journaled = self.reached;
        self.news = false;
        Ok(())
    }
}

fn unfinished(folder: &Path) -> io::Result<Journal> {
    let journal = Journal::read(folder)?;
    if journal.ended {
        let text = "this recording has come to its end; begin a new one";
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(journal)
}

/// Returns how far a recording came, whose tracks are so long. The journal is not believed
/// everything: silence is written for what it says.
fn told(journal: &Journal, tracks: u64) -> u64 {
    frames(journal.length).min(tracks.saturating_add(AHEAD)).max(tracks)
}

/// Locks a folder against others that write. None where the file system cannot.
pub(crate) fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = File::open(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            ErrorKind::ResourceBusy,
            "this recording is under way; stop it first",
        )),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)
}

fn reopened(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Returns whose tracks there are in a folder.
pub(crate) fn voices_in(folder: &Path) -> io::Result<Vec<PeerId>> {
    let mut peers = Vec::new();
    for entry in fs::read_dir(folder)?.take(TRACKS * 4) {
        let name = entry?.file_name();
        peers.extend(name.to_str().and_then(voice_of));
    }
    peers.sort_unstable();
    peers.truncate(TRACKS);
    Ok(peers)
}

/// Returns whose track has this name, which must be exactly ours.
pub(crate) fn voice_of(name: &str) -> Option<PeerId> {
    let peer = name.strip_suffix(".opus")?.parse().ok()?;
    (file_of(peer) == name).then_some(peer)
}

/// Returns whether a file of a recording has this name.
pub(crate) fn is_ours(name: &str) -> bool {
    matches!(name, PROGRAMME | JOURNAL) || voice_of(name).is_some()
}

fn milliseconds(frames: u64) -> u64 {
    frames / u64::from(SAMPLE_RATE / 1_000)
}

fn frames(milliseconds: u64) -> u64 {
    milliseconds.saturating_mul(u64::from(SAMPLE_RATE / 1_000))
}
