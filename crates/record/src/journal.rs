//! What happened: who was there and when, and what was marked.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use openstudio_units::{PeerId, Role, RoomId};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Its file in the recording's folder.
pub(crate) const JOURNAL: &str = "session.json";

/// The file while it is written.
pub(crate) const FRESH: &str = "session.json.new";

/// Stays, and mutes, that are kept of one voice at most; what comes on top is left out, and
/// counted.
const STAYS: usize = 1_000;

/// Notes that are kept at most.
const MARKS: usize = 1_000;

/// Voices that are kept at most.
const TRACKS: usize = 256;

/// Characters of a name and of a note at most.
const TEXT: usize = 200;

/// Bytes of a journal at most: more than one with all that has.
const BYTES: u64 = 64 << 20;

/// A journal that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// It is cut off, or none of ours.
    #[error("session.json cannot be read; the tracks beside it can still be played: {0}")]
    Json(#[from] serde_json::Error),
    /// It names a file that is not its own.
    #[error("session.json names the file {0:?}, which is no track of a recording")]
    File(String),
    /// It has more in it than a journal has.
    #[error("session.json has more in it than a recording has")]
    TooMuch,
}

/// `session.json` of a recording. Times are milliseconds since the session's zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// The room.
    pub room: RoomId,
    /// When the recording began, milliseconds since 1970.
    pub started_at: u64,
    /// How long it is, milliseconds.
    pub length: u64,
    /// The voices.
    pub tracks: Vec<TrackEntry>,
    /// Notes, oldest first.
    pub marks: Vec<Mark>,
    /// What was left out, because there was too much of it.
    pub left_out: u64,
    /// Whether the recording has come to its end. One that has not was cut short, or goes on.
    #[serde(default)]
    pub ended: bool,
}

/// One voice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackEntry {
    /// Whose.
    pub peer: PeerId,
    /// What they were called at last.
    pub name: String,
    /// What they could do.
    pub role: Role,
    /// The file, beside this one.
    pub file: String,
    /// When they were there, oldest first.
    pub stays: Vec<Stay>,
    /// When they were muted, by themselves or by a host.
    pub mutes: Vec<Stay>,
}

impl TrackEntry {
    fn new(peer: PeerId, role: Role) -> Self {
        let (name, file) = (String::new(), file_of(peer));
        Self { peer, name, role, file, stays: Vec::new(), mutes: Vec::new() }
    }
}

/// From when to when; still, if there is no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    /// Since.
    pub from: u64,
    /// Until.
    pub to: Option<u64>,
}

/// A note at a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: u64,
    /// What.
    pub text: String,
}

impl Journal {
    /// Begins a journal.
    pub fn begin(room: RoomId, started_at: u64) -> Self {
        Self {
            room,
            started_at,
            length: 0,
            tracks: Vec::new(),
            marks: Vec::new(),
            left_out: 0,
            ended: false,
        }
    }

    /// Notes that somebody is there; their track is kept if they were there before.
    pub fn came(&mut self, at: u64, peer: PeerId, (name, role): (&str, Role)) {
        let entry = match self.tracks.iter_mut().position(|entry| entry.peer == peer) {
            Some(place) => self.tracks.get_mut(place),
            None if self.tracks.len() >= TRACKS => {
                self.left_out += 1;
                None
            }
            None => {
                self.tracks.push(TrackEntry::new(peer, role));
                self.tracks.last_mut()
            }
        };
        let Some(entry) = entry else { return };
        entry.name = cleaned(name);
        entry.role = role;
        self.left_out += u64::from(!open(&mut entry.stays, at));
    }

    /// Notes a track that is there, though nothing is known of its person.
    pub(crate) fn found(&mut self, peer: PeerId) {
        if self.entry(peer).is_none() && self.tracks.len() < TRACKS {
            self.tracks.push(TrackEntry::new(peer, Role::Caller));
        }
    }

    /// Notes that somebody is gone.
    pub fn left(&mut self, at: u64, peer: PeerId) {
        if let Some(entry) = self.entry(peer) {
            close(&mut entry.stays, at);
            close(&mut entry.mutes, at);
        }
    }

    /// Notes that somebody is muted, or no longer.
    pub fn muted(&mut self, at: u64, peer: PeerId, muted: bool) {
        let Some(entry) = self.entry(peer) else { return };
        if muted {
            let noted = open(&mut entry.mutes, at);
            self.left_out += u64::from(!noted);
        } else {
            close(&mut entry.mutes, at);
        }
    }

    /// Notes a moment: a line of at most 200 characters.
    pub fn mark(&mut self, at: u64, text: &str) {
        if self.marks.len() < MARKS {
            self.marks.push(Mark { at, text: cleaned(text) });
        } else {
            self.left_out += 1;
        }
    }

    /// Ends the recording.
    pub fn end(&mut self, at: u64) {
        self.pause(at);
        self.ended = true;
    }

    /// Ends what was under way when the recording was cut short.
    pub fn pause(&mut self, at: u64) {
        self.length = at;
        for entry in &mut self.tracks {
            close(&mut entry.stays, at);
            close(&mut entry.mutes, at);
        }
    }

    /// Reads a journal.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn from_json(text: &str) -> Result<Self, JournalError> {
        let journal: Self = serde_json::from_str(text)?;
        let strange = journal.tracks.iter().find(|entry| entry.file != file_of(entry.peer));
        if let Some(entry) = strange {
            return Err(JournalError::File(cleaned(&entry.file)));
        }
        let long = |text: &str| text.chars().count() > TEXT;
        if journal.tracks.len() > TRACKS
            || journal.marks.len() > MARKS
            || journal.marks.iter().any(|mark| long(&mark.text))
            || journal.tracks.iter().any(|entry| {
                entry.stays.len() > STAYS || entry.mutes.len() > STAYS || long(&entry.name)
            })
        {
            return Err(JournalError::TooMuch);
        }
        Ok(journal)
    }

    /// Returns the journal as JSON text.
    ///
    /// # Errors
    /// None that is known; serde's, if it fails.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// Returns what somebody was called at last.
    pub fn name(&self, peer: PeerId) -> Option<&str> {
        self.tracks.iter().find(|entry| entry.peer == peer).map(|entry| entry.name.as_str())
    }

    /// Reads the journal of a folder; the fresh one, if there is no other.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let read = |name| -> io::Result<Self> {
            let mut text = String::new();
            File::open(folder.join(name))?.take(BYTES + 1).read_to_string(&mut text)?;
            if text.len() as u64 > BYTES {
                return Err(io::Error::new(ErrorKind::InvalidData, JournalError::TooMuch));
            }
            Self::from_json(&text).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
        };
        read(JOURNAL).or_else(|error| read(FRESH).map_err(|_| error))
    }

    /// Writes the journal of a folder, and returns how many bytes it has. It is whole at every
    /// moment: it takes the place of the one before.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<u64> {
        let text = self.to_json()?;
        let fresh = folder.join(FRESH);
        fs::write(&fresh, &text)?;
        fs::rename(&fresh, folder.join(JOURNAL))?;
        Ok(text.len() as u64)
    }

    fn entry(&mut self, peer: PeerId) -> Option<&mut TrackEntry> {
        self.tracks.iter_mut().find(|entry| entry.peer == peer)
    }
}

/// Returns the name of a voice's file.
pub(crate) fn file_of(peer: PeerId) -> String {
    format!("{peer}.opus")
}

/// Returns a text from outside as one line of a bounded length.
fn cleaned(text: &str) -> String {
    text.trim().chars().filter(|letter| !letter.is_control()).take(TEXT).collect()
}

/// Begins a stay, unless one is under way. Returns whether there was room.
fn open(stays: &mut Vec<Stay>, at: u64) -> bool {
    if stays.last().is_some_and(|stay| stay.to.is_none()) {
        return true;
    }
    let room = stays.len() < STAYS;
    if room {
        stays.push(Stay { from: at, to: None });
    }
    room
}

fn close(stays: &mut [Stay], at: u64) {
    if let Some(stay) = stays.last_mut() {
        stay.to.get_or_insert(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_back_keeps_their_track() {
        let room = "00000000-0000-4000-8000-000000000001".parse().unwrap();
        let ada = "00000000-0000-4000-8000-000000000002".parse().unwrap();
        let mut journal = Journal::begin(room, 1_700_000_000_000);
        journal.came(10, ada, ("Ada", Role::Host));
        journal.came(20, ada, ("Ada L.", Role::Host));
        journal.muted(30, ada, true);
        journal.left(40, ada);
        journal.came(60, ada, ("Ada L.", Role::Host));
        journal.muted(65, ada, false);
        journal.mark(70, "the jingle");
        journal.end(100);
        let [track] = journal.tracks.as_slice() else { panic!("{journal:?}") };
        assert_eq!(track.name, "Ada L.");
        let stays = [(10, 40), (60, 100)].map(|(from, to)| Stay { from, to: Some(to) });
        assert_eq!(track.stays, stays);
        assert_eq!(track.mutes, [Stay { from: 30, to: Some(40) }]);
        assert!(journal.ended);
        assert_eq!(Journal::from_json(&journal.to_json().unwrap()).unwrap(), journal);
    }

    #[test]
    fn a_mark_is_one_short_line() {
        let mut journal = journal();
        journal.mark(5, &format!(" the\n\u{7}jingle {}", "x".repeat(1_000)));
        for n in 0..5_000 {
            journal.mark(n, "again");
        }
        let text = &journal.marks[0].text;
        assert!(text.starts_with("thejingle xxx") && text.chars().count() == TEXT, "{text}");
        assert_eq!((journal.marks.len(), journal.left_out), (MARKS, 4_001));
    }

    #[test]
    fn what_is_torn_or_strange_is_no_journal() {
        let ada = "00000000-0000-4000-8000-000000000002".parse().unwrap();
        let mut journal = journal();
        journal.came(10, ada, ("Ada", Role::Host));
        let text = journal.to_json().unwrap();
        for cut in 0..text.len() {
            assert!(matches!(Journal::from_json(&text[..cut]), Err(JournalError::Json(_))));
        }
        let strange = text.replace(&file_of(ada), "../../etc/passwd");
        assert!(matches!(Journal::from_json(&strange), Err(JournalError::File(_))));
        journal.marks = vec![Mark { at: 0, text: String::new() }; MARKS + 1];
        let much = journal.to_json().unwrap();
        assert!(matches!(Journal::from_json(&much), Err(JournalError::TooMuch)));
    }

    /// The most that a journal can have.
    #[test]
    fn the_largest_journal_can_be_read_again() {
        let mut journal = journal();
        let name = "\u{1f399}".repeat(300);
        for n in 0..=u8::MAX {
            let peer = PeerId::from_random_bytes([n; 16]);
            for stay in 0..1_001 {
                let at = 1_000_000_000 + stay * 2;
                journal.came(at, peer, (&name, Role::Caller));
                journal.muted(at, peer, true);
                journal.left(at + 1, peer);
            }
        }
        for mark in 0..2_000 {
            journal.mark(1_000_000_000 + mark, &name);
        }
        let text = journal.to_json().unwrap();
        assert!(text.len() as u64 <= BYTES, "{} bytes", text.len());
        assert_eq!(Journal::from_json(&text).unwrap(), journal);
    }

    fn journal() -> Journal {
        Journal::begin("00000000-0000-4000-8000-000000000001".parse().unwrap(), 0)
    }

    #[test]
    fn a_name_from_outside_names_no_file() {
        let peer: PeerId = "00000000-0000-4000-8000-000000000002".parse().unwrap();
        let mut journal =
            Journal::begin("00000000-0000-4000-8000-000000000001".parse().unwrap(), 0);
        journal.came(0, peer, ("../../etc/passwd", Role::Caller));
        assert_eq!(journal.tracks[0].file, format!("{peer}.opus"));
    }
}
