//! The folder, segment by segment.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;
use crate::encoder::Encoder;
use crate::status::Kind;

/// A folder of a test's own, and a programme that is written to it.
struct Programme {
    path: PathBuf,
    writer: Writer,
    packet: Bytes,
    at: u64,
}

impl Programme {
    fn begin(name: &str) -> Self {
        let name = format!("openstudio-cast-hls-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&path));
        drop(fs::remove_file(&path));
        Self::again(path, 1_000)
    }

    /// Another programme in the same folder.
    fn again(path: PathBuf, run: u64) -> Self {
        let board = Board::new(Kind::Hls, path.display().to_string(), Hls::FIRST_WORDS.to_owned());
        let mut folder = Folder::new(path.clone());
        folder.run = run;
        let packet = Encoder::new(64_000).unwrap().encode([&[], &[]]);
        Self { path, writer: Writer::new(folder, Arc::new(board)), packet, at: 0 }
    }

    fn push(&mut self, packets: usize) {
        for _ in 0..packets {
            let order = Order { at: self.at, title: "Song".into(), packet: self.packet.clone() };
            self.at += BLOCK;
            self.writer.take(order);
        }
    }

    /// Ends it as the thread does.
    fn end(self) -> PathBuf {
        let (orders, receiver) = sync_channel(1);
        drop(orders);
        self.writer.run(&receiver);
        self.path
    }

    fn state(&self) -> State {
        self.writer.board.read().state
    }
}

fn playlist(path: &Path) -> String {
    fs::read_to_string(path.join("index.m3u8")).unwrap()
}

/// The segments that are listed.
fn listed(path: &Path) -> Vec<String> {
    playlist(path).lines().filter(|line| line.ends_with(".m4s")).map(str::to_owned).collect()
}

fn files(path: &Path) -> BTreeSet<String> {
    fs::read_dir(path)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn segments(run: u64, numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|number| name_of(run, number)).collect()
}

/// That nothing is listed that is not there.
fn assert_whole(path: &Path) {
    let files = files(path);
    assert!(listed(path).iter().all(|name| files.contains(name)));
    for line in playlist(path).lines().filter_map(|line| line.strip_prefix("#EXT-X-MAP:URI=\"")) {
        assert!(files.contains(line.trim_end_matches('"')), "{line}");
    }
}

#[test]
fn the_playlist_moves_on_and_files_go_later() {
    let mut programme = Programme::begin("moves");
    for number in 1..=40 {
        programme.push(SEGMENT);
        assert_whole(&programme.path);
        assert_eq!(listed(&programme.path), segments(1_000, number.max(6) - 6..number));
        // Whoever read an earlier playlist still finds what it named.
        let there: BTreeSet<_> = segments(1_000, number.max(14) - 14..number)
            .into_iter()
            .chain(["index.m3u8".to_owned(), "init-1000.mp4".to_owned()])
            .collect();
        assert_eq!(files(&programme.path), there);
    }
    programme.push(10);
    let path = programme.end();
    let text = playlist(&path);
    assert!(text.contains("#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:35\n"), "{text}");
    assert!(text.contains("#EXTINF:3.000000,Song\n"), "{text}");
    assert!(text.ends_with("#EXTINF:0.200000,Song\n1000-40.m4s\n#EXT-X-ENDLIST\n"), "{text}");
    fs::remove_dir_all(path).unwrap();
}

#[test]
fn a_restart_goes_on_with_a_discontinuity() {
    let mut programme = Programme::begin("restart");
    programme.push(8 * SEGMENT + 10);
    // It does not end, but is gone. What is not ours stays.
    let path = programme.path.clone();
    drop(programme);
    for other in ["cover.jpg", "0001-1.m4s"] {
        fs::write(path.join(other), "x").unwrap();
    }
    fs::write(path.join(".1000-8.m4s.part"), "x").unwrap();

    let mut programme = Programme::again(path.clone(), 2_000);
    programme.push(2 * SEGMENT);
    let all = [segments(1_000, 4..8), segments(2_000, 8..10)].concat();
    assert_eq!(listed(&path), all);
    let text = playlist(&path);
    let seam = "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-2000.mp4\"\n#EXTINF:3.000000,Song\n\
                2000-8.m4s\n";
    assert!(text.contains(seam), "{text}");
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:4\n#EXT-X-DISCONTINUITY-SEQUENCE:0\n"), "{text}");
    assert!(!files(&path).contains(".1000-8.m4s.part"));
    for _ in 0..30 {
        programme.push(SEGMENT);
        assert_whole(&path);
    }
    assert!(playlist(&path).contains("#EXT-X-DISCONTINUITY-SEQUENCE:1\n"));
    let files = files(&path);
    assert!(!files.iter().any(|name| name.starts_with("1000-") || name == "init-1000.mp4"));
    assert!(files.contains("cover.jpg") && files.contains("0001-1.m4s"));
    fs::remove_dir_all(programme.end()).unwrap();
}

#[test]
fn what_was_on_long_ago_is_not_listed_again() {
    let mut programme = Programme::begin("long-ago");
    programme.push(3 * SEGMENT);
    let path = programme.end();
    let written = fs::File::options().append(true).open(path.join("index.m3u8")).unwrap();
    written.set_modified(SystemTime::now() - Duration::from_secs(3_600)).unwrap();
    let mut programme = Programme::again(path.clone(), 2_000);
    programme.push(SEGMENT);
    assert_eq!(listed(&path), segments(2_000, 3..4));
    let text = playlist(&path);
    assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:3\n"), "{text}");
    assert!(text.contains("#EXT-X-DISCONTINUITY\n") && !text.contains("ENDLIST"), "{text}");
    fs::remove_dir_all(programme.end()).unwrap();
}

#[test]
fn a_playlist_that_names_what_is_not_ours_is_not_believed() {
    let programme = Programme::begin("believed");
    let path = programme.path.clone();
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("secret"), "x").unwrap();
    let text = "#EXT-X-MEDIA-SEQUENCE:41\n#EXT-X-MAP:URI=\"secret\"\n#EXTINF:3,\nsecret\n";
    fs::write(path.join("index.m3u8"), text).unwrap();
    let mut programme = programme;
    programme.push(30 * SEGMENT);
    assert_eq!(listed(&path), segments(1_000, 66..72));
    assert!(!playlist(&path).contains("secret") && files(&path).contains("secret"));
    fs::remove_dir_all(programme.end()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_had_is_tried_again() {
    let mut programme = Programme::begin("tried");
    // A file is in the way.
    fs::write(&programme.path, "x").unwrap();
    for _ in 0..10 {
        programme.push(SEGMENT);
        assert_eq!(programme.state(), State::Retrying);
        assert!(programme.writer.ready.len() <= READY);
    }
    assert!(programme.writer.board.read().words.contains("cannot be written to"));
    fs::remove_file(&programme.path).unwrap();
    programme.push(SEGMENT);
    assert_eq!(programme.state(), State::OnAir);
    assert_eq!(listed(&programme.path), segments(1_000, 0..4));
    assert_whole(&programme.path);

    // It is taken away in the middle of the programme.
    fs::remove_dir_all(&programme.path).unwrap();
    programme.push(SEGMENT);
    assert_eq!(programme.state(), State::Retrying);
    programme.push(SEGMENT);
    assert_eq!(programme.state(), State::OnAir);
    let files = files(&programme.path);
    assert!(files.contains("init-1000.mp4") && files.contains("1000-5.m4s"));
    fs::remove_dir_all(programme.end()).unwrap();
}

#[test]
fn what_is_missing_is_marked() {
    let mut programme = Programme::begin("missing");
    programme.push(SEGMENT + 50);
    programme.at += 7 * BLOCK;
    programme.push(SEGMENT);
    let text = playlist(&programme.path);
    let seam = "#EXTINF:1.000000,Song\n1000-1.m4s\n#EXT-X-DISCONTINUITY\n#EXTINF:3.000000,Song\n";
    assert!(text.contains(seam), "{text}");
    fs::remove_dir_all(programme.end()).unwrap();
}

#[test]
fn a_full_disk_is_told_as_such() {
    let told = |kind| words(&io::Error::from(kind));
    assert!(told(io::ErrorKind::StorageFull).contains("is full: free some space"));
    assert!(told(io::ErrorKind::PermissionDenied).contains("owner or permissions"));
    assert!(told(io::ErrorKind::NotADirectory).contains("check the folder"));
}

#[test]
fn a_segment_can_be_read_as_the_boxes_that_it_is_made_of() {
    use mp4_atom::{Any, ReadFrom};

    let packets: Vec<_> = [3_usize, 700, 1].map(|length| Bytes::from(vec![7; length])).into();
    let bytes = boxes::segment(5, 144_000, &packets).unwrap();
    let mut rest = bytes.as_slice();
    let mut found = Vec::new();
    while let Some(atom) = Option::<Any>::read_from(&mut rest).unwrap() {
        found.push(atom);
    }
    let [Any::Styp(_), Any::Moof(moof), Any::Mdat(mdat)] = found.as_slice() else {
        panic!("{found:?}")
    };
    let traf = &moof.traf[0];
    assert_eq!(traf.tfdt.as_ref().unwrap().base_media_decode_time, 144_000);
    let sizes: Vec<_> = traf.trun[0].samples.iter().map(|sample| sample.size).collect();
    assert_eq!(sizes, [Some(3), Some(700), Some(1)]);
    // The offset counts from the beginning of the fragment.
    let fragment = bytes.windows(4).position(|at| at == b"moof").unwrap() - 4;
    let offset = usize::try_from(traf.trun[0].data_offset.unwrap()).unwrap();
    assert_eq!(bytes[fragment + offset..], mdat.data);
    assert_eq!(mdat.data.len(), 704);
}
