//! The recordings that there are in a folder.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use openstudio_units::{Role, RoomId};

use crate::journal::{JOURNAL, Journal, Mark, file_of};
use crate::recording::{PROGRAMME, is_ours, lock, voices_in};

/// Recordings in a list at most: the newest ones.
const LISTED: usize = 100;

/// Names in the folder that are looked at at most.
const NAMES: usize = 100_000;

/// A recording that is being deleted has this in front of its name.
const DELETED: &str = ".deleted-";

/// What a recording is called: `<room>-<seconds since 1970>`, which is its folder's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordingId {
    /// When it began, seconds since 1970.
    pub seconds: u64,
    /// The room.
    pub room: RoomId,
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.room, self.seconds)
    }
}

/// Text that is not the name of a recording: take one from the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a recording")]
pub struct RecordingIdError;

impl FromStr for RecordingId {
    type Err = RecordingIdError;

    /// Accepts nothing but what [`fmt::Display`] writes.
    fn from_str(text: &str) -> Result<Self, RecordingIdError> {
        let (room, seconds) = text.rsplit_once('-').ok_or(RecordingIdError)?;
        let room = room.parse().map_err(|_| RecordingIdError)?;
        let id = Self { seconds: seconds.parse().map_err(|_| RecordingIdError)?, room };
        (id.to_string() == text).then_some(id).ok_or(RecordingIdError)
    }
}

/// A recording in a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// What it is called.
    pub id: String,
    /// The room.
    pub room: RoomId,
    /// When it began, milliseconds since 1970.
    pub started_at: u64,
    /// How long it is, milliseconds. Of one under way, the journal is some seconds behind.
    pub length: u64,
    /// How many bytes all its files have together.
    pub bytes: u64,
    /// The programme and the voices.
    pub tracks: Vec<TrackSummary>,
    /// Notes, oldest first.
    pub marks: Vec<Mark>,
    /// Whether it has come to its end.
    pub finished: bool,
    /// Why nothing is known but what the files themselves say, in words; its tracks can be
    /// played as well.
    pub broken: Option<String>,
}

/// A track in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackSummary {
    /// Its file.
    pub file: String,
    /// Whose voice it is; empty if that is not known, none for the programme.
    pub name: Option<String>,
    /// What they could do; none if that is not known.
    pub role: Option<Role>,
    /// How large it is.
    pub bytes: u64,
}

/// The folder of all recordings. What is asked for waits for the disk.
///
/// Ids and names of files may come from anywhere: what is not exactly of the shape that is made
/// here does not exist, and symbolic links are not followed.
#[derive(Debug, Clone)]
pub struct Library {
    parent: PathBuf,
}

impl Library {
    /// Looks at the recordings in `parent`, which need not be there yet.
    pub fn new(parent: PathBuf) -> Self {
        Self { parent }
    }

    /// Returns the newest recordings, of one room or of all, the newest first; at most 100. One
    /// whose journal cannot be read is among them, as [`Summary::broken`] says.
    ///
    /// # Errors
    /// What the system says of the folder of all. A folder that is not there is empty.
    pub fn list(&self, room: Option<RoomId>) -> io::Result<Vec<Summary>> {
        let mut ids = self.ids()?;
        ids.retain(|id| room.is_none_or(|room| id.room == room));
        ids.sort_unstable_by(|a, b| b.cmp(a));
        let found = ids.into_iter().filter_map(|id| Some(summary(id, &self.folder(id)?)));
        Ok(found.take(LISTED).collect())
    }

    /// Returns the path of a file of a recording.
    pub fn file(&self, id: &str, name: &str) -> Option<PathBuf> {
        if !is_ours(name) {
            return None;
        }
        let path = self.folder(id.parse().ok()?)?.join(name);
        size(&path).map(|_| path)
    }

    /// Deletes a recording for good. It is gone at once, whatever happens on the way.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `id` is no name of a recording, [`ErrorKind::NotFound`] if
    /// there is none, [`ErrorKind::ResourceBusy`] while it is under way, and what the system
    /// says.
    pub fn delete(&self, id: &str) -> io::Result<()> {
        self.sweep();
        let id: RecordingId =
            id.parse().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let folder = self.folder(id).ok_or(ErrorKind::NotFound)?;
        // Held until it has another name, so that nobody goes on with it meanwhile.
        let locked = lock(&folder)?;
        let deleted = self.parent.join(format!("{DELETED}{id}"));
        fs::rename(&folder, &deleted)?;
        drop(locked);
        fs::remove_dir_all(deleted)
    }

    /// Removes what is left of deletions that were cut short.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.parent) else { return };
        for entry in entries.take(NAMES).flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_prefix(DELETED));
            if id.is_some_and(|id| id.parse::<RecordingId>().is_ok()) {
                // Somebody else may be at it.
                drop(fs::remove_dir_all(entry.path()));
            }
        }
    }

    fn ids(&self) -> io::Result<Vec<RecordingId>> {
        let entries = match fs::read_dir(&self.parent) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let names = entries.take(NAMES).flatten().map(|entry| entry.file_name());
        Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
    }

    /// Returns the folder of a recording, if there is one.
    pub(crate) fn folder(&self, id: RecordingId) -> Option<PathBuf> {
        let folder = self.parent.join(id.to_string());
        let found = fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir());
        found.then_some(folder)
    }
}

/// Returns the size of a file that is one, and no link to one.
pub(crate) fn size(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
}

/// Reads a journal that is a file, and no link to one.
pub(crate) fn journal(folder: &Path) -> io::Result<Journal> {
    // The fresh one has its place in no list, and takes the place of the other at once.
    if size(&folder.join(JOURNAL)).is_none() {
        return Err(io::Error::new(ErrorKind::NotFound, "session.json is missing"));
    }
    Journal::read(folder)
}

fn summary(id: RecordingId, folder: &Path) -> Summary {
    let read = journal(folder);
    let broken = read.as_ref().err().map(ToString::to_string);
    let journal = read.ok();
    let tracks = tracks(folder, journal.as_ref());
    let files: u64 = tracks.iter().map(|track| track.bytes).sum();
    Summary {
        id: id.to_string(),
        room: id.room,
        started_at: journal
            .as_ref()
            .map_or(id.seconds.saturating_mul(1_000), |journal| journal.started_at),
        length: journal.as_ref().map_or(0, |journal| journal.length),
        bytes: files.saturating_add(size(&folder.join(JOURNAL)).unwrap_or_default()),
        tracks,
        finished: journal.as_ref().is_some_and(|journal| journal.ended),
        marks: journal.map(|journal| journal.marks).unwrap_or_default(),
        broken,
    }
}

/// Returns the tracks that there are: the programme, and the voices in the order in which they
/// came.
pub(crate) fn tracks(folder: &Path, journal: Option<&Journal>) -> Vec<TrackSummary> {
    let mut known: Vec<_> = journal
        .map(|journal| journal.tracks.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|entry| (entry.file.clone(), Some(entry.name.clone()), Some(entry.role)))
        .collect();
    known.insert(0, (PROGRAMME.to_owned(), None, None));
    for peer in voices_in(folder).unwrap_or_default() {
        let file = file_of(peer);
        if known.iter().all(|(name, ..)| *name != file) {
            known.push((file, Some(String::new()), None));
        }
    }
    let track = |(file, name, role)| {
        let bytes = size(&folder.join(&file))?;
        Some(TrackSummary { file, name, role, bytes })
    };
    known.into_iter().filter_map(track).collect()
}
