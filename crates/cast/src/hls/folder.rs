//! The folder of HLS files: what is in it, and for how long.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::boxes;
use super::playlist::{LISTED, Playlist};

/// What the playlist is called.
pub(super) const PLAYLIST: &str = "index.m3u8";

/// For how many segments more a file is kept that is no longer listed: players that read the
/// playlist before fetch it still (RFC 8216 §6.2.2).
const KEPT: u64 = LISTED as u64 + 2;

/// What was on is listed after a restart, unless it was longer ago than this.
const FRESH: Duration = Duration::from_secs(30);

/// Bytes of a playlist that is read.
const PLAYLIST_BYTES: u64 = 65_536;

/// What a file is called as long as it is not whole.
const PARTIAL: &str = ".part";

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// What all names of this programme begin with: when it began, in milliseconds.
    pub(super) run: u64,
    prepared: bool,
    /// Files that are no longer listed, and with which segment they go.
    left: VecDeque<(u64, String)>,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let run = u64::try_from(now.as_millis()).unwrap_or_default();
        Self { path, run, prepared: false, left: VecDeque::new() }
    }

    /// Returns the path of the playlist.
    pub(super) fn playlist(&self) -> String {
        self.path.join(PLAYLIST).display().to_string()
    }

    /// Returns the name of the file that players read first.
    pub(super) fn map(&self) -> String {
        map_of(self.run)
    }

    /// Makes the folder and that file, unless they are there.
    pub(super) fn prepare(&mut self) -> io::Result<()> {
        if !self.prepared {
            fs::create_dir_all(&self.path)?;
            self.put(&self.map(), &boxes::beginning()?)?;
            self.prepared = true;
        }
        Ok(())
    }

    /// Something went wrong: the folder may be another one next time.
    pub(super) fn forget(&mut self) {
        self.prepared = false;
    }

    /// Reads what an earlier programme left. Goes on with its playlist.
    pub(super) fn adopt(&mut self) -> io::Result<Playlist> {
        let mut playlist = self.read()?;
        let is_file = |name: &str| self.path.join(name).is_file();
        let usable = |entry: &super::playlist::Entry| {
            is_ours(&entry.name)
                && is_ours(&entry.map)
                && is_file(&entry.name)
                && is_file(&entry.map)
        };
        let fresh = self.is_fresh();
        let kept = playlist.entries().rev().take_while(|entry| fresh && usable(entry)).count();
        playlist.keep(kept);
        playlist.ended = false;
        self.left.clear();
        let own = self.map();
        for file in fs::read_dir(&self.path)? {
            let Ok(name) = file?.file_name().into_string() else { continue };
            if name.starts_with('.') && name.ends_with(PARTIAL) {
                // It stays if it does not go, and is in nobody's way.
                drop(fs::remove_file(self.path.join(&name)));
            } else if is_ours(&name) && name != own {
                let listed = playlist.entries().any(|entry| entry.name == name);
                let maps = playlist.entries().any(|entry| entry.map == name);
                let until = playlist.next() + KEPT;
                if maps {
                    self.left.push_back((until + LISTED as u64, name));
                } else if !listed {
                    self.left.push_back((until, name));
                }
            }
        }
        Ok(playlist)
    }

    /// Writes a file, whole or not at all.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let partial = self.path.join(format!(".{name}{PARTIAL}"));
        let written =
            fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, self.path.join(name)));
        if written.is_err() {
            // On a full disk this makes the room that it took.
            drop(fs::remove_file(&partial));
        }
        written
    }

    /// Notes that files are no longer listed when a segment is next.
    pub(super) fn leave(&mut self, names: Vec<String>, next: u64) {
        self.left.extend(names.into_iter().map(|name| (next + KEPT, name)));
    }

    /// Deletes what nobody fetches any more when a segment is next.
    pub(super) fn clean(&mut self, next: u64) {
        self.left.retain(|(until, name)| {
            let stays = next < *until;
            if !stays {
                // What does not go now does so at the next start.
                drop(fs::remove_file(self.path.join(name)));
            }
            stays
        });
    }

    fn read(&self) -> io::Result<Playlist> {
        let file = match File::open(self.path.join(PLAYLIST)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Playlist::default()),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(PLAYLIST_BYTES).read_to_end(&mut bytes)?;
        Ok(Playlist::parse(&String::from_utf8_lossy(&bytes)))
    }

    fn is_fresh(&self) -> bool {
        let written = fs::metadata(self.path.join(PLAYLIST)).and_then(|data| data.modified());
        written.is_ok_and(|written| written.elapsed().is_ok_and(|age| age < FRESH))
    }
}

/// Returns the name of a segment.
pub(super) fn name_of(run: u64, number: u64) -> String {
    format!("{run}-{number}.m4s")
}

fn map_of(run: u64) -> String {
    format!("init-{run}.mp4")
}

/// Whether a file is one that is made here; no other one is ever deleted or listed.
fn is_ours(name: &str) -> bool {
    let number = |text: &str| text.parse().unwrap_or(0);
    let segment = name.strip_suffix(".m4s").and_then(|name| name.split_once('-'));
    let map = name.strip_prefix("init-").and_then(|name| name.strip_suffix(".mp4"));
    segment.is_some_and(|(run, at)| name == name_of(number(run), number(at)))
        || map.is_some_and(|run| name == map_of(number(run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_not_ours() {
        assert!(is_ours(&name_of(1_700_000_000_000, 17)) && is_ours(&map_of(1)));
        for other in
            ["", "index.m3u8", "a-b.m4s", "1-.m4s", "+1-2.m4s", "../1-2.m4s", "init-01.mp4"]
        {
            assert!(!is_ours(other), "{other}");
        }
    }
}
