//! Writing files that are there either whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::error::TlsError;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner alone (mode 0600).
    Owner,
    /// Everybody (mode 0644).
    All,
}

/// Replaces a file, and makes its folder if that is missing.
pub(crate) fn write(path: &Path, content: &[u8], readers: Readers) -> Result<(), TlsError> {
    let written = try_write(path, content, readers);
    written.map_err(|source| TlsError::Write { path: path.to_owned(), source })
}

fn try_write(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = draft_of(path);
    // What a killed program left is not written into: it may have other rights.
    let _ = fs::remove_file(&draft);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        let mode = if readers == Readers::Owner { 0o600 } else { 0o644 };
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    }
    #[cfg(not(unix))]
    let _ = readers;
    let mut file = options.open(&draft)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| fs::rename(&draft, path));
    if renamed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    renamed
}

fn draft_of(path: &Path) -> PathBuf {
    path.with_extension(format!("draft-{}", std::process::id()))
}
