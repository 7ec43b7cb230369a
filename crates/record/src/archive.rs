//! All files of a recording as one zip, written as it goes.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::rc::Rc;

use openstudio_units::Role;
use time::{OffsetDateTime, PrimitiveDateTime};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::journal::JOURNAL;
use crate::library::{Library, RecordingId, journal, size, tracks};

/// Bytes of a name at most: file systems bear 255, and there is more to come.
const NAME: usize = 120;

/// Bytes that are read at once.
const PIECE: usize = 64 * 1_024;

/// From so many bytes on, a file needs the longer fields of ZIP64: a little less than the
/// short ones hold.
const LARGE: u64 = 0xffff_0000;

impl Library {
    /// Writes a zip of all files of a recording, as they are: the programme, the voices with
    /// the names of their people, and the journal. The sink gets it from the beginning to the
    /// end. Of a recording under way, it gets what is there now.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if `id` is no name of a recording, [`ErrorKind::NotFound`] if
    /// there is none; what the system says, or the sink. After an error the zip has no end.
    pub fn zip(&self, id: &str, sink: impl Write) -> io::Result<()> {
        let id: RecordingId =
            id.parse().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let folder = self.folder(id).ok_or(ErrorKind::NotFound)?;
        let open = Rc::new(Cell::new(true));
        let mut zip = ZipWriter::new_stream(Gate { sink, open: open.clone() });
        // A writer that is given up writes an end, which would make what is missing look whole.
        let written = fill(&mut zip, &folder).inspect_err(|_| open.set(false));
        written.and_then(|()| zip.finish().map(drop).map_err(io::Error::from)).inspect_err(|_| {
            open.set(false);
        })
    }
}

/// Lets through what is written, until it is closed.
struct Gate<W> {
    sink: W,
    open: Rc<Cell<bool>>,
}

impl<W: Write> Write for Gate<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.open.get() {
            return Ok(bytes.len());
        }
        self.sink.write(bytes).inspect_err(|error| {
            if error.kind() != ErrorKind::Interrupted {
                self.open.set(false);
            }
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.open.get() { self.sink.flush() } else { Ok(()) }
    }
}

type Zip<W> = ZipWriter<StreamWriter<W>>;

fn fill<W: Write>(zip: &mut Zip<W>, folder: &Path) -> io::Result<()> {
    let journal = journal(folder).ok();
    let at = journal.as_ref().map(|journal| journal.started_at);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(at.and_then(date).unwrap_or_default());
    let mut taken = BTreeSet::new();
    for track in tracks(folder, journal.as_ref()) {
        let name = match &track.name {
            Some(name) => unique(&mut taken, &readable(name, track.role)),
            None => track.file.clone(),
        };
        add(zip, &folder.join(&track.file), &name, options)?;
    }
    let path = folder.join(JOURNAL);
    if size(&path).is_some() { add(zip, &path, JOURNAL, options) } else { Ok(()) }
}

fn add<W: Write>(
    zip: &mut Zip<W>,
    path: &Path,
    name: &str,
    options: SimpleFileOptions,
) -> io::Result<()> {
    let mut file = File::open(path)?;
    // A header that was read before the length is known promises no more than there is.
    let mut head = Vec::with_capacity(PIECE);
    (&mut file).take(PIECE as u64).read_to_end(&mut head)?;
    let read = head.len() as u64;
    let rest = file.metadata()?.len().saturating_sub(read);
    zip.start_file(name, options.large_file(read + rest >= LARGE))?;
    zip.write_all(&head)?;
    let copied = io::copy(&mut file.take(rest), zip)?;
    if copied == rest { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

fn date(milliseconds: u64) -> Option<DateTime> {
    let seconds = i64::try_from(milliseconds / 1_000).ok()?;
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
    PrimitiveDateTime::new(at.date(), at.time()).try_into().ok()
}

/// Returns what a track is called among people, as a file may be called anywhere.
fn readable(name: &str, role: Option<Role>) -> String {
    let safe: String = name.chars().filter(|letter| !is_hidden(*letter)).map(portable).collect();
    let mut safe = safe.trim_matches(['.', ' ', '_']).to_owned();
    while safe.len() > NAME {
        safe.pop();
    }
    let safe = if safe.is_empty() { "nameless" } else { safe.trim_end() };
    match role {
        Some(role) => format!("{safe} ({role})"),
        None => format!("{safe} (unknown)"),
    }
}

/// Returns whether a letter is not seen, or turns around what is behind it.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Returns a letter that no system gives a meaning.
fn portable(letter: char) -> char {
    if matches!(letter, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|') {
        '_'
    } else {
        letter
    }
}

/// Returns a name that is not taken, whatever the system thinks of capitals.
fn unique(taken: &mut BTreeSet<String>, name: &str) -> String {
    let numbered = (2_u32..).map(|number| format!("{name} {number}.opus"));
    let mut names = std::iter::once(format!("{name}.opus")).chain(numbered);
    let found = names.find(|name| !taken.contains(&name.to_lowercase())).unwrap_or_default();
    taken.insert(found.to_lowercase());
    found
}
