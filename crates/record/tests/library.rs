//! The recordings that there are: listed, given away, deleted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at what is wrong")]

use std::fs;
use std::io::{self, Cursor, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use openstudio_record::{Journal, Library, Packet, Recording, RecordingId};
use openstudio_units::{PeerId, Role, RoomId};

fn room(n: u8) -> RoomId {
    RoomId::from_random_bytes([0xb0 + n; 16])
}

fn peer(n: u8) -> PeerId {
    PeerId::from_random_bytes([0xa0 + n; 16])
}

/// A folder of recordings, which is removed in the end.
struct Home {
    folder: PathBuf,
    library: Library,
}

impl Home {
    fn new(name: &str) -> Self {
        let name = format!("openstudio-library-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(folder.join("all")).unwrap();
        Self { library: Library::new(folder.join("all")), folder }
    }

    fn all(&self) -> PathBuf {
        self.folder.join("all")
    }

    /// Begins a recording with these people, of whom each says something.
    fn begin(&self, room: RoomId, seconds: u64, people: &[(&str, Role)]) -> (String, Recording) {
        let id = RecordingId { seconds, room }.to_string();
        let journal = Journal::begin(room, seconds * 1_000 + 250);
        let mut recording = Recording::begin(self.all().join(&id), journal).unwrap();
        for (n, person) in (1..).zip(people) {
            recording.came(0, peer(n), *person);
            let data = [0xf8, 0xff, 0xfe].as_slice().into();
            let packet = Packet { time: 0, arrival: 0, frames: 960, data };
            recording.packet(peer(n), packet).unwrap();
        }
        recording.programme(48_000, &[0.5; 96_000]).unwrap();
        recording.mark(24_000, "half a second");
        (id, recording)
    }

    fn recorded(&self, room: RoomId, seconds: u64, people: &[(&str, Role)]) -> String {
        let (id, recording) = self.begin(room, seconds, people);
        recording.end(96_000).unwrap();
        id
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap().len()
}

#[test]
fn a_list_says_what_there_is_newest_first() {
    let home = Home::new("list");
    assert_eq!(Library::new(home.folder.join("none")).list(None).unwrap(), []);
    let old = home.recorded(room(1), 1_700_000_000, &[("Ada", Role::Host), ("Bo", Role::Caller)]);
    let other = home.recorded(room(2), 1_700_000_100, &[]);
    let (fresh, _recording) = home.begin(room(1), 1_700_000_200, &[("Ada", Role::Host)]);
    for name in ["x", ".deleted-x", "00000000-0000-4000-8000-000000000001", "notes.txt"] {
        fs::create_dir(home.all().join(name)).unwrap();
    }
    let ids = |room| -> Vec<String> {
        home.library.list(room).unwrap().into_iter().map(|found| found.id).collect()
    };
    assert_eq!(ids(None), [fresh.clone(), other.clone(), old.clone()]);
    assert_eq!(ids(Some(room(1))), [fresh, old.clone()]);
    assert_eq!(ids(Some(room(3))), [""; 0]);
    let found = home.library.list(Some(room(1))).unwrap();
    assert!(!found[0].finished && found[1].finished);
    let found = &found[1];
    assert_eq!((found.room, found.started_at, found.length), (room(1), 1_700_000_000_250, 2_000));
    assert_eq!(found.marks[0].text, "half a second");
    let names: Vec<_> = found.tracks.iter().map(|t| (t.name.as_deref(), t.role)).collect();
    let people = [(Some("Ada"), Some(Role::Host)), (Some("Bo"), Some(Role::Caller))];
    assert_eq!(names, [[(None, None)].as_slice(), &people].concat());
    let folder = home.all().join(&old);
    for track in &found.tracks {
        assert_eq!(track.bytes, size(&folder.join(&track.file)));
    }
    let files = fs::read_dir(&folder).unwrap().map(|file| size(&file.unwrap().path()));
    assert_eq!(found.bytes, files.sum::<u64>());
    assert_eq!(found.broken, None);
}

#[test]
fn a_recording_without_a_journal_is_listed_by_its_files() {
    let home = Home::new("broken");
    let ids = [1, 2].map(|n| home.recorded(room(n), 1_700_000_000, &[("Ada", Role::Host)]));
    fs::write(home.all().join(&ids[0]).join("session.json"), "{\"room\":").unwrap();
    fs::remove_file(home.all().join(&ids[1]).join("session.json")).unwrap();
    for id in &ids {
        let all = home.library.list(None).unwrap();
        let found = all.iter().find(|found| found.id == *id).unwrap();
        assert!(found.broken.is_some() && !found.finished);
        assert_eq!((found.started_at, found.tracks.len()), (1_700_000_000_000, 2));
        assert_eq!(found.tracks[1].name.as_deref(), Some(""));
        home.library.zip(id, io::sink()).unwrap();
    }
}

#[test]
fn only_names_of_ours_are_files() {
    let home = Home::new("file");
    let id = home.recorded(room(1), 1_700_000_000, &[("Ada", Role::Host)]);
    let voice = format!("{}.opus", peer(1));
    for name in ["programme.wav", "session.json", &voice] {
        let path = home.library.file(&id, name).unwrap();
        assert_eq!(path, home.all().join(&id).join(name));
    }
    fs::write(home.folder.join("secret"), "x").unwrap();
    fs::write(home.all().join(&id).join("other.txt"), "x").unwrap();
    fs::write(home.all().join(&id).join("session.json.new"), "x").unwrap();
    let capitals = voice.to_uppercase().replace("OPUS", "opus");
    for name in [
        "",
        ".",
        "..",
        "/",
        "../secret",
        "../../secret",
        "..\\secret",
        "other.txt",
        "PROGRAMME.WAV",
        "session.json.new",
        "session.json/",
        "./session.json",
        "programme.wav\0",
        "%2e%2e/secret",
        "/etc/passwd",
        capitals.as_str(),
    ] {
        assert_eq!(home.library.file(&id, name), None, "{name:?}");
    }
    let room = room(1);
    for id in [
        "",
        ".",
        "..",
        "../all",
        &format!("{room}-01700000000"),
        &format!("{room}-+1700000000"),
        &format!("{room}--1700000000"),
        &format!("{room}"),
        &format!("./{room}-1700000000"),
        &format!("{room}-1700000000/"),
        &format!("{room}-1700000000/../{room}-1700000000"),
        &format!("{room}-99999999999999999999999"),
        &id.to_uppercase(),
    ] {
        assert_eq!(home.library.file(id, "session.json"), None, "{id:?}");
        assert_eq!(home.library.delete(id).unwrap_err().kind(), ErrorKind::InvalidInput, "{id:?}");
        assert_eq!(home.library.zip(id, io::sink()).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[cfg(unix)]
#[test]
fn links_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let home = Home::new("links");
    let id = home.recorded(room(1), 1_700_000_000, &[]);
    let outside = home.folder.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("session.json"), "secret").unwrap();
    let stranger = format!("{}.opus", peer(7));
    symlink(outside.join("session.json"), home.all().join(&id).join(&stranger)).unwrap();
    assert_eq!(home.library.file(&id, &stranger), None);
    assert_eq!(home.library.list(None).unwrap()[0].tracks.len(), 1);
    let linked = RecordingId { seconds: 5, room: room(1) }.to_string();
    symlink(&outside, home.all().join(&linked)).unwrap();
    assert_eq!(home.library.file(&linked, "session.json"), None);
    assert_eq!(home.library.list(None).unwrap().len(), 1);
    assert_eq!(home.library.delete(&linked).unwrap_err().kind(), ErrorKind::NotFound);
    let mut zip = Vec::new();
    home.library.zip(&id, &mut zip).unwrap();
    assert_eq!(entries(zip).len(), 2);
    home.library.delete(&id).unwrap();
    assert!(outside.join("session.json").exists());
}

#[test]
fn what_is_deleted_is_gone_and_what_is_under_way_is_not() {
    let home = Home::new("delete");
    let id = home.recorded(room(1), 1_700_000_000, &[("Ada", Role::Host)]);
    let (under_way, recording) = home.begin(room(1), 1_700_000_100, &[]);
    // A deletion that was cut short.
    let half = home.all().join(format!(".deleted-{}", RecordingId { seconds: 9, room: room(1) }));
    fs::create_dir(&half).unwrap();
    fs::write(half.join("programme.wav"), "x").unwrap();
    assert_eq!(home.library.list(None).unwrap().len(), 2);
    home.library.delete(&id).unwrap();
    assert_eq!(home.library.delete(&id).unwrap_err().kind(), ErrorKind::NotFound);
    let busy = home.library.delete(&under_way).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::ResourceBusy);
    recording.end(96_000).unwrap();
    home.library.delete(&under_way).unwrap();
    assert_eq!(fs::read_dir(home.all()).unwrap().count(), 0);
}

fn entries(zip: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let mut archive = zip::ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut found = Vec::new();
    for n in 0..archive.len() {
        let mut entry = archive.by_index(n).unwrap();
        assert_eq!(entry.compression(), zip::CompressionMethod::Stored);
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        found.push((entry.name().unwrap().into_owned(), data));
    }
    found
}

#[test]
fn a_zip_has_all_files_under_names_that_people_can_use() {
    let home = Home::new("zip");
    let long = "\u{1f399}".repeat(200);
    let people = [
        ("Ada", Role::Host),
        ("ada", Role::Host),
        ("../../etc/passwd", Role::Caller),
        ("a\u{202e}b:c*?\"<>|\\", Role::Caller),
        (" .. ", Role::Ops),
        ("ADA", Role::Host),
        (&long, Role::Caller),
    ];
    let id = home.recorded(room(1), 1_700_000_000, &people);
    let mut zip = Vec::new();
    home.library.zip(&id, &mut zip).unwrap();
    let found = entries(zip);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let voices = [
        "Ada (host).opus",
        "ada (host) 2.opus",
        "etc_passwd (caller).opus",
        "ab_c (caller).opus",
        "nameless (ops).opus",
        "ADA (host) 3.opus",
        &format!("{} (caller).opus", "\u{1f399}".repeat(30)),
    ];
    assert_eq!(names, [&["programme.wav"], voices.as_slice(), &["session.json"]].concat());
    for (n, (_, data)) in found.iter().enumerate() {
        let file = match n {
            0 => "programme.wav".to_owned(),
            8 => "session.json".to_owned(),
            n => format!("{}.opus", peer(u8::try_from(n).unwrap())),
        };
        assert!(*data == fs::read(home.all().join(&id).join(&file)).unwrap(), "{file}");
    }
}

/// A sink that breaks, as a download that is cut short.
struct Breaks {
    left: usize,
    taken: Vec<u8>,
}

impl Write for Breaks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.left);
        if taken == 0 && !bytes.is_empty() {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.left -= taken;
        self.taken.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_zip_that_breaks_has_no_end() {
    let home = Home::new("breaks");
    let id = home.recorded(room(1), 1_700_000_000, &[("Ada", Role::Host)]);
    let mut whole = Vec::new();
    home.library.zip(&id, &mut whole).unwrap();
    for left in (0..whole.len()).step_by(whole.len() / 37) {
        let mut sink = Breaks { left, taken: Vec::new() };
        let error = home.library.zip(&id, &mut sink).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert!(sink.taken == whole[..left], "nothing else was written");
    }
}

#[test]
fn a_zip_of_what_is_under_way_promises_no_more_than_there_is() {
    let home = Home::new("under-way");
    let (id, mut recording) = home.begin(room(1), 1_700_000_000, &[("Ada", Role::Host)]);
    recording.programme(72_000, &[0.5; 48_000]).unwrap();
    let mut zip = Vec::new();
    home.library.zip(&id, &mut zip).unwrap();
    let (name, wave) = &entries(zip)[0];
    assert_eq!(name, "programme.wav");
    let told = u32::from_le_bytes(wave[100..104].try_into().unwrap()) as usize;
    assert!(told > 48_000 * 6 && told + 104 <= wave.len(), "{told} of {}", wave.len());
}

#[test]
fn what_is_torn_in_its_first_page_begins_anew_and_what_is_strange_stays_beside() {
    let home = Home::new("torn");
    let voice = format!("{}.opus", peer(1));
    for (seconds, torn) in (1..).zip([0, 10, 27, 47, 60, 100]) {
        let (id, recording) = home.begin(room(1), seconds, &[("Ada", Role::Host)]);
        drop(recording);
        let path = home.all().join(&id).join(&voice);
        let file = fs::read(&path).unwrap();
        fs::write(&path, &file[..torn]).unwrap();
        Recording::resume(home.all().join(&id)).unwrap().end(96_000).unwrap();
        let played = ogg::PacketReader::new(Cursor::new(fs::read(&path).unwrap()));
        let last = last_granule(played);
        assert_eq!(last, 96_000 + 312);
    }
    let (id, recording) = home.begin(room(2), 1, &[("Ada", Role::Host)]);
    drop(recording);
    let path = home.all().join(&id).join(&voice);
    fs::write(&path, [7; 5_000]).unwrap();
    Recording::resume(home.all().join(&id)).unwrap().end(96_000).unwrap();
    assert_eq!(fs::read(path.with_extension("broken")).unwrap(), [7; 5_000]);
    let played = ogg::PacketReader::new(Cursor::new(fs::read(&path).unwrap()));
    assert_eq!(last_granule(played), 96_000 + 312);
}

fn last_granule(mut reader: ogg::PacketReader<Cursor<Vec<u8>>>) -> u64 {
    let mut last = 0;
    while let Some(packet) = reader.read_packet().unwrap() {
        last = packet.absgp_page();
    }
    last
}
