//! Sound files that a participant plays: WAV, FLAC, and Ogg with Vorbis or Opus.
//!
//! A file is decoded while it is played, by a thread of its own, at most two seconds ahead: its
//! length costs no memory. The thread ends with whoever takes the sound from it.

mod decode;
mod ogg_opus;
mod player;
mod rate;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use player::Player;

/// A sound file that can be played, and how. It is opened anew by each who plays it.
#[derive(Debug, Clone)]
pub struct SoundFile {
    path: PathBuf,
    format: Format,
    once: bool,
    cue: Option<Cue>,
}

/// Gives the sign to begin. All clones are one.
#[derive(Debug, Clone, Default)]
pub struct Cue(Arc<AtomicBool>);

/// What the samples of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    /// Frames a second.
    rate: u32,
    /// 1 or 2.
    channels: usize,
}

/// A file that cannot be played.
#[derive(Debug, thiserror::Error)]
#[error("`{}` cannot be played: {problem}", path.display())]
pub struct SoundFileError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub problem: SoundFileProblem,
}

/// Why a file cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum SoundFileProblem {
    /// It is not there.
    #[error("there is no such file")]
    Missing,
    /// It is a folder, a device or the like.
    #[error("it is a folder or a device, not a file")]
    NotAFile,
    /// The system does not let it be read.
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// It is no sound file, or one of another kind.
    #[error("it is no WAV, FLAC or Ogg file (with Vorbis or Opus), which are what can be played")]
    Kind,
    /// It has too many channels.
    #[error("it has {0} channels; one and two can be played")]
    Channels(usize),
    /// Its sample rate is out of the ordinary.
    #[error("its sample rate is {0} Hz; 4000 to 384000 Hz can be played")]
    Rate(u32),
    /// It has no samples.
    #[error("there is no sound in it")]
    Empty,
}

impl SoundFile {
    /// Looks whether a file can be played: the beginning of it is decoded. It will be repeated
    /// without end, and without a gap. Waits for the disk.
    ///
    /// # Errors
    /// If it is not there, or is nothing that can be played.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, SoundFileError> {
        let path = path.into();
        match look(&path) {
            Ok(format) => Ok(Self { path, format, once: false, cue: None }),
            Err(problem) => Err(SoundFileError { path, problem }),
        }
    }

    /// Is played only once, with silence behind it.
    #[must_use]
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Waits, in silence, for this sign to begin.
    #[must_use]
    pub fn on(self, cue: Cue) -> Self {
        Self { cue: Some(cue), ..self }
    }

    /// Returns how many channels it has: 1 or 2.
    pub fn channels(&self) -> usize {
        self.format.channels
    }
}

impl Cue {
    /// Lets it begin. A second time does nothing.
    pub fn give(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_given(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Returns what a file is, if it can be played.
fn look(path: &Path) -> Result<Format, SoundFileProblem> {
    let file = open(path)?;
    // A decoder that trips over a broken file takes only its own thread with it.
    let looked = std::thread::spawn(move || decode::decoder(file).map(|(format, _)| format));
    looked.join().unwrap_or(Err(SoundFileProblem::Kind))
}

fn open(path: &Path) -> Result<File, SoundFileProblem> {
    // A pipe would be waited for when it is opened.
    let kind = std::fs::metadata(path).map_err(SoundFileProblem::from)?;
    if !kind.is_file() {
        return Err(SoundFileProblem::NotAFile);
    }
    Ok(File::open(path)?)
}

impl From<io::Error> for SoundFileProblem {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Missing
        } else {
            Self::Unreadable(error)
        }
    }
}

#[cfg(test)]
mod tests;
