//! Can the data folder be written, and for how many hours is there space?

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::settings::Settings;

const FOLDER: &str = "data folder";
const DISK: &str = "disk";

/// `programme.wav`, bytes a second: two channels of 24 bits at 48 kHz.
const PROGRAMME: u64 = 2 * 3 * 48_000;

/// A track, bytes a second: a voice is sent at 56 kbit/s, and its pages have heads.
const TRACK: u64 = 60_000 / 8;

/// With fewer hours, a show may not fit.
const FEW_HOURS: u64 = 12;

const HOUR: u64 = 3_600;

pub(crate) fn check(settings: &Settings) -> Vec<Finding> {
    let mut found = vec![folder(&settings.server.data_dir)];
    found.extend(secret(&settings.server.data_dir));
    if settings.server.has_engine {
        let seats = settings.server.rooms.max_participants;
        found.extend(space(&settings.engine.recordings, seats));
    }
    found
}

fn folder(data: &Path) -> Finding {
    let place = existing(data);
    // In a folder that is there, by writing; else it is the folder above that counts.
    let probe = place.join(format!(".openstudio-doctor-{}", std::process::id()));
    let written = fs::OpenOptions::new().write(true).create_new(true).open(&probe);
    match written.and_then(|_| fs::remove_file(&probe)) {
        Ok(()) if place == data => {
            Finding::ok(FOLDER, format!("{} can be written", data.display()))
        }
        Ok(()) => Finding::ok(FOLDER, format!("{} can be made", data.display())),
        Err(error) => {
            let words = format!("{} cannot be written ({})", place.display(), reason(&error));
            let advice = "make it this user's, or choose another with --data-dir";
            Finding::fail(FOLDER, words, advice)
        }
    }
}

fn reason(error: &io::Error) -> String {
    let known = [
        (io::ErrorKind::PermissionDenied, "this user may not"),
        (io::ErrorKind::NotADirectory, "it is no folder"),
        (io::ErrorKind::ReadOnlyFilesystem, "its disk is for reading only"),
        (io::ErrorKind::StorageFull, "its disk is full"),
    ];
    let words = known.iter().find(|(kind, _)| *kind == error.kind());
    words.map_or_else(|| error.to_string(), |(_, words)| (*words).to_owned())
}

/// The nearest folder above that is there.
fn existing(path: &Path) -> PathBuf {
    let there = path.ancestors().find(|ancestor| ancestor.exists());
    there.filter(|there| !there.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

/// Whoever reads the secret can make himself a host.
#[cfg(unix)]
fn secret(data: &Path) -> Option<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = data.join("secret");
    let mode = fs::metadata(&path).ok()?.permissions().mode();
    (mode & 0o077 != 0).then(|| {
        let words = format!("others may read {}, which signs every link", path.display());
        Finding::warn(FOLDER, words, format!("chmod 600 {}", path.display()))
    })
}

#[cfg(not(unix))]
fn secret(_: &Path) -> Option<Finding> {
    None
}

#[cfg(unix)]
fn space(recordings: &Path, seats: usize) -> Option<Finding> {
    let disk = rustix::fs::statvfs(existing(recordings)).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    Some(judge(free, seats))
}

/// There is no safe way to ask here.
#[cfg(not(unix))]
fn space(_: &Path, _: usize) -> Option<Finding> {
    None
}

fn judge(free: u64, seats: usize) -> Finding {
    let tracks = u64::try_from(seats).unwrap_or(u64::MAX).saturating_mul(TRACK);
    let an_hour = PROGRAMME.saturating_add(tracks).saturating_mul(HOUR);
    let hours = free / an_hour;
    let tenths = an_hour / 100_000_000;
    let words = format!(
        "{} GB are free for recordings, {hours} hours of a full room of {seats} ({}.{} GB an hour)",
        free / 1_000_000_000,
        tenths / 10,
        tenths % 10
    );
    let advice = "make room, or choose another disk with --recordings-dir";
    match hours {
        0 => Finding::fail(DISK, words, advice),
        hours if hours < FEW_HOURS => Finding::warn(DISK, words, advice),
        _ => Finding::ok(DISK, words),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn hours_are_those_of_a_full_room() {
        // 1.04 GB of programme and 15 × 27 MB of tracks.
        let gigabyte = 1_000_000_000;
        assert_eq!(judge(gigabyte, 15).level(), Level::Fail);
        assert_eq!(judge(10 * gigabyte, 15).level(), Level::Warn);
        assert_eq!(judge(100 * gigabyte, 15).level(), Level::Ok);
        let words = format!("{:?}", judge(100 * gigabyte, 15));
        assert!(words.contains("69 hours") && words.contains("1.4 GB an hour"), "{words}");
        assert_eq!(judge(1, usize::MAX).level(), Level::Fail, "nothing overflows");
    }

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_the_one_above() {
        let above = std::env::temp_dir();
        let missing = above.join("openstudio-doctor-missing/data");
        assert_eq!(existing(&missing), above);
        assert_eq!(folder(&missing).level(), Level::Ok);
        assert!(!missing.exists());
        assert_eq!(folder(Path::new("/dev/null/data")).level(), Level::Fail);
        assert_eq!(existing(Path::new("nowhere")), Path::new("."));
    }
}
