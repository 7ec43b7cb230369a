//! The playlist (RFC 8216): which segments there are, and in which order.

use std::collections::VecDeque;
use std::fmt::{self, Display};

use crate::text::one_line;
use crate::{BLOCK, SAMPLE_RATE};

use super::SEGMENT;

/// Segments that are listed: 18 s.
pub(super) const LISTED: usize = 6;

/// The longest segment, in seconds.
const LONGEST: u64 = SEGMENT as u64 * BLOCK / SAMPLE_RATE as u64;

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) frames: u64,
    /// What is on; shown by few players.
    pub(super) title: String,
    /// Whether it does not follow the one before.
    pub(super) breaks: bool,
    /// What players read before it.
    pub(super) map: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Playlist {
    entries: VecDeque<Entry>,
    /// The number of the first entry.
    first: u64,
    /// How many breaks were before it.
    breaks: u64,
    /// Whether nothing follows.
    pub(super) ended: bool,
}

impl Playlist {
    /// Returns the number of the segment that comes next.
    pub(super) fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Adds a segment. Returns the names of those that are no longer listed.
    pub(super) fn push(&mut self, entry: Entry) -> Vec<String> {
        self.entries.push_back(entry);
        self.keep(LISTED)
    }

    /// Keeps the last few segments. Returns the names of the others.
    pub(super) fn keep(&mut self, count: usize) -> Vec<String> {
        let surplus = self.entries.len().saturating_sub(count);
        let gone: Vec<_> = self.entries.drain(..surplus).collect();
        self.first += gone.len() as u64;
        let breaks = gone.iter().filter(|entry| entry.breaks).count();
        self.breaks += breaks as u64;
        gone.into_iter().map(|entry| entry.name).collect()
    }

    /// Reads a playlist that was written here. Of another one nothing is known, or less.
    pub(super) fn parse(text: &str) -> Self {
        let mut playlist = Self::default();
        let (mut map, mut breaks, mut segment) = (String::new(), false, None);
        for line in text.lines() {
            if let Some(number) = line.strip_prefix(FIRST) {
                playlist.first = count(number);
            } else if let Some(number) = line.strip_prefix(BREAKS) {
                playlist.breaks = count(number);
            } else if line == BREAK {
                breaks = true;
            } else if let Some(name) = line.strip_prefix(MAP) {
                name.trim_end_matches('"').clone_into(&mut map);
            } else if let Some((duration, title)) =
                line.strip_prefix(DURATION).and_then(|line| line.split_once(','))
            {
                segment = Some((frames(duration), one_line(title)));
            } else if !line.starts_with('#')
                && let Some((frames, title)) = segment.take()
            {
                let breaks = std::mem::take(&mut breaks);
                let map = map.clone();
                let name = line.to_owned();
                playlist.entries.push_back(Entry { name, frames, title, breaks, map });
            }
        }
        playlist
    }
}

const FIRST: &str = "#EXT-X-MEDIA-SEQUENCE:";
const BREAKS: &str = "#EXT-X-DISCONTINUITY-SEQUENCE:";
const BREAK: &str = "#EXT-X-DISCONTINUITY";
const MAP: &str = "#EXT-X-MAP:URI=\"";
const DURATION: &str = "#EXTINF:";

/// Returns a count, if it is one that may have come about.
fn count(text: &str) -> u64 {
    text.parse().ok().filter(|count| *count < 1 << 40).unwrap_or_default()
}

/// Returns frames of a duration in seconds with decimals.
fn frames(seconds: &str) -> u64 {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole: u64 = whole.parse().unwrap_or_default();
    let part: u64 = format!("{part:0<6}").get(..6).and_then(|p| p.parse().ok()).unwrap_or_default();
    let rate = u64::from(SAMPLE_RATE);
    whole.min(LONGEST) * rate + (part * rate + 500_000) / 1_000_000
}

impl Display for Playlist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS")?;
        writeln!(f, "#EXT-X-TARGETDURATION:{LONGEST}")?;
        writeln!(f, "{FIRST}{}", self.first)?;
        writeln!(f, "{BREAKS}{}", self.breaks)?;
        let mut map = "";
        for entry in &self.entries {
            if entry.breaks {
                writeln!(f, "{BREAK}")?;
            }
            if entry.map != map {
                map = &entry.map;
                writeln!(f, "{MAP}{map}\"")?;
            }
            let micros = entry.frames * 1_000_000 / u64::from(SAMPLE_RATE);
            let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
            writeln!(f, "{DURATION}{whole}.{part:06},{}", entry.title)?;
            writeln!(f, "{}", entry.name)?;
        }
        if self.ended { writeln!(f, "#EXT-X-ENDLIST") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, breaks: bool) -> Entry {
        Entry {
            name: format!("1-{number}.m4s"),
            frames: 144_000 - 960 * (number % 3),
            title: format!("Song, {number}"),
            breaks,
            map: format!("init-{}.mp4", number / 4),
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut playlist = Playlist { first: 7, breaks: 2, ..Playlist::default() };
        for number in 7..12 {
            assert!(playlist.push(entry(number, number == 9)).is_empty());
        }
        let text = playlist.to_string();
        assert_eq!(Playlist::parse(&text), playlist);
        assert_eq!(text.matches("#EXT-X-MAP").count(), 2);
        assert!(text.contains("#EXT-X-DISCONTINUITY\n#EXTINF:3.000000,Song, 9\n1-9.m4s\n"));
    }

    #[test]
    fn numbers_go_on_when_segments_leave() {
        let mut playlist = Playlist::default();
        for number in 0..20 {
            playlist.push(entry(number, number % 5 == 0));
        }
        assert_eq!((playlist.entries.len(), playlist.first, playlist.next()), (6, 14, 20));
        // Those with 0, 5 and 10; the one with 15 is listed.
        assert_eq!(playlist.breaks, 3);
        assert_eq!(playlist.keep(0).len(), 6);
        assert_eq!((playlist.next(), playlist.breaks), (20, 4));
    }

    #[test]
    fn strange_playlists_are_borne() {
        for strange in [
            "",
            "#EXTINF:",
            "#EXTINF:-1,\nx",
            "#EXTINF:99999999999999999999.9999999999999,\nx",
            "#EXTINF:3.0ä0,\nx",
            "#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n#EXTINF:3,\nx\n#EXTINF:3,\ny",
        ] {
            let mut playlist = Playlist::parse(strange);
            playlist.push(entry(0, true));
            assert!(playlist.to_string().contains("1-0.m4s"));
        }
    }
}
