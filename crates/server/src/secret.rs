//! The key that signs tokens, kept in the data folder so that a restart logs nobody out.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The name of the file in the data folder.
const FILE_NAME: &str = "secret";

/// Bytes of the key: as many as the hash of HMAC-SHA256 gives (RFC 7518 §3.2).
const KEY_BYTES: usize = 32;

/// The key could not be read or made. The server does not start without it.
#[derive(Debug, Error)]
pub enum SecretError {
    /// The file is there but cannot be read, or cannot be written.
    #[error("cannot use the secret file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file has something else in it.
    #[error(
        "the secret file {} is damaged: it must hold {} hexadecimal digits; restore it from a \
         backup, or delete it to make a new one (every link and token given out so far then \
         stops working)",
        path.display(), KEY_BYTES * 2
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system has no random bytes to make a secret of")]
    Random,
}

/// The key itself. `Debug` does not show it.
pub(crate) struct Secret([u8; KEY_BYTES]);

impl Secret {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads the key of a data folder, or makes one there.
    pub(crate) fn load_or_create(data_dir: &Path) -> Result<Self, SecretError> {
        let path = data_dir.join(FILE_NAME);
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text).ok_or(SecretError::Damaged { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(&path),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(SecretError::Damaged { path })
            }
            Err(source) => Err(SecretError::Io { path, source }),
        }
    }

    fn create(path: &Path) -> Result<Self, SecretError> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|_| SecretError::Random)?;
        let text = key.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        match write_new(path, &format!("{text}\n")) {
            Ok(()) => Ok(Self(key)),
            // Another server on the same folder was faster; its key is the key.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let text = fs::read_to_string(path)
                    .map_err(|source| SecretError::Io { path: path.to_owned(), source })?;
                Self::parse(&text).ok_or(SecretError::Damaged { path: path.to_owned() })
            }
            Err(source) => Err(SecretError::Io { path: path.to_owned(), source }),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end().as_bytes();
        if digits.len() != KEY_BYTES * 2 {
            return None;
        }
        let mut key = [0; KEY_BYTES];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(key))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Writes a file that is there either whole or not at all, readable by its owner only.
/// Fails if there is one already.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let _ = fs::remove_file(&draft);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(&draft)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    // A hard link refuses to replace what is there, which a rename would do.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::TempDir;

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = TempDir::new();
        let made = Secret::load_or_create(dir.path()).unwrap();
        let read = Secret::load_or_create(dir.path()).unwrap();
        assert_eq!(made.as_bytes(), read.as_bytes());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new();
        Secret::load_or_create(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_is_left_alone() {
        let dir = TempDir::new();
        let path = dir.path().join(FILE_NAME);
        for text in ["", "abc", &"g".repeat(64), &"+1".repeat(32), "\u{fc}"] {
            fs::write(&path, text).unwrap();
            let error = Secret::load_or_create(dir.path()).unwrap_err();
            assert!(matches!(error, SecretError::Damaged { .. }), "{text}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn two_servers_that_start_at_once_agree() {
        let dir = TempDir::new();
        let path = dir.path().join(FILE_NAME);
        let first = Secret::create(&path).unwrap();
        let second = Secret::create(&path).unwrap();
        assert_eq!(first.as_bytes(), second.as_bytes());
    }
}
