//! What is under way, on disk: one small file for each room, so that a program that was killed
//! is followed by one that goes on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use openstudio_units::RoomId;
use serde::{Deserialize, Serialize};

/// Rooms that are taken up again at most.
const ROOMS: usize = 64;

/// Bytes of a file that are read at most. Ours have some hundred.
const FILE_BYTES: u64 = 4_096;

/// What is done for a room.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnderWay {
    /// The name of the recording.
    pub(crate) recording: Option<String>,
    /// The title of the programme that is sent; empty for none.
    pub(crate) air: Option<String>,
}

/// The folder with the files.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    folder: PathBuf,
}

impl Memory {
    /// Makes the folder, if there is none.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Returns what was under way, unless it is older than `age`, and forgets what is.
    pub(crate) fn recall(&self, age: Duration) -> Vec<(RoomId, UnderWay)> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        let mut found = Vec::new();
        for file in files.flatten() {
            let room = file
                .file_name()
                .to_str()
                .and_then(|name| name.strip_suffix(".json"))
                .and_then(|name| name.parse::<RoomId>().ok());
            let Some(room) = room else { continue };
            match read(&file.path(), age) {
                Some(under_way) if found.len() < ROOMS => found.push((room, under_way)),
                Some(_) | None => self.forget(room),
            }
        }
        found
    }

    /// Keeps what is under way. The file is whole at every moment.
    pub(crate) fn keep(&self, room: RoomId, under_way: &UnderWay) {
        let fresh = self.folder.join(format!("{room}.new"));
        let kept = serde_json::to_vec(under_way)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&fresh, text))
            .and_then(|()| fs::rename(&fresh, self.path(room)));
        if let Err(error) = kept {
            tracing::warn!(%error, "a restart will not go on with what is under way");
        }
    }

    /// Forgets a room.
    pub(crate) fn forget(&self, room: RoomId) {
        // It may never have been kept.
        drop(fs::remove_file(self.path(room)));
    }

    fn path(&self, room: RoomId) -> PathBuf {
        self.folder.join(format!("{room}.json"))
    }
}

fn read(path: &Path, age: Duration) -> Option<UnderWay> {
    let file = fs::metadata(path).ok()?;
    let since = SystemTime::now().duration_since(file.modified().ok()?).unwrap_or_default();
    if since > age || file.len() > FILE_BYTES {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(n: u8) -> RoomId {
        RoomId::from_random_bytes([n; 16])
    }

    fn memory(name: &str) -> Memory {
        let folder = std::env::temp_dir().join(format!("openstudio-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&folder));
        Memory::open(&folder).unwrap()
    }

    #[test]
    fn what_was_under_way_is_there_after_a_restart() {
        let memory = memory("kept");
        let first = UnderWay { recording: Some("r".into()), air: None };
        let second = UnderWay { recording: None, air: Some("The late show".into()) };
        memory.keep(room(1), &UnderWay::default());
        memory.keep(room(1), &first);
        memory.keep(room(2), &second);
        memory.keep(room(3), &first);
        memory.forget(room(3));
        let mut found = Memory::open(&memory.folder).unwrap().recall(Duration::from_secs(60));
        found.sort_by_key(|(room, _)| *room);
        let mut expected = vec![(room(1), first), (room(2), second)];
        expected.sort_by_key(|(room, _)| *room);
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_old_or_no_such_file_is_forgotten() {
        let memory = memory("old");
        memory.keep(room(1), &UnderWay::default());
        fs::write(memory.path(room(2)), "{").unwrap();
        fs::write(memory.folder.join("x.json"), "{}").unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(memory.recall(Duration::from_millis(1)), []);
        assert!(!memory.path(room(1)).exists() && !memory.path(room(2)).exists());
    }
}
