//! The rooms that a host has ended, kept on disk so that a restart does not let their
//! seat tokens bring them back.
//!
//! One line a room: seconds since 1970, a space, the room's id. Lines are appended; at
//! start those that no token can outlive are dropped and the file is written anew. A
//! line that cannot be read is skipped: losing one lets a room be rebuilt by its former
//! participants and nothing worse.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openstudio_units::RoomId;

/// The name of the file in the data folder.
const FILE_NAME: &str = "ended-rooms";

/// The list of one data folder.
#[derive(Debug, Clone)]
pub(crate) struct EndedRooms {
    path: PathBuf,
}

impl EndedRooms {
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE_NAME) }
    }

    /// Reads the rooms that ended within `keep`, oldest first, and forgets the others.
    pub(crate) fn load(&self, keep: Duration) -> io::Result<Vec<RoomId>> {
        let text = match fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let oldest = unix_seconds().saturating_sub(keep.as_secs());
        let recent: Vec<(u64, RoomId)> =
            text.lines().filter_map(parse_line).filter(|(at, _)| *at >= oldest).collect();
        let mut kept = String::new();
        for (at, room) in &recent {
            kept.push_str(&format!("{at} {room}\n"));
        }
        if kept != text {
            let draft = self.path.with_extension("draft");
            fs::write(&draft, kept)?;
            fs::rename(&draft, &self.path)?;
        }
        Ok(recent.into_iter().map(|(_, room)| room).collect())
    }

    /// Adds a room.
    pub(crate) fn append(&self, room: RoomId) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(&self.path)?;
        file.write_all(format!("{} {room}\n", unix_seconds()).as_bytes())
    }
}

fn parse_line(line: &str) -> Option<(u64, RoomId)> {
    let (at, room) = line.split_once(' ')?;
    Some((at.parse().ok()?, room.parse().ok()?))
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::TempDir;

    #[test]
    fn what_is_recent_comes_back_in_order_and_the_rest_is_dropped() {
        let dir = TempDir::new();
        let list = EndedRooms::new(dir.path());
        assert!(list.load(Duration::from_secs(60)).unwrap().is_empty());
        let rooms = [9, 1, 5].map(|n| RoomId::from_random_bytes([n; 16]));
        let old = RoomId::from_random_bytes([7; 16]);
        fs::write(&list.path, format!("1000 {old}\nnonsense\n\u{0}")).unwrap();
        assert!(list.load(Duration::from_secs(60)).unwrap().is_empty());
        for room in rooms {
            list.append(room).unwrap();
        }
        assert_eq!(list.load(Duration::from_secs(60)).unwrap(), rooms);
        assert_eq!(fs::read_to_string(&list.path).unwrap().lines().count(), 3);
    }
}
