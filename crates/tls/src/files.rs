//! A certificate in files that somebody else keeps: read again when they change.

use std::path::PathBuf;

use crate::certificate::Certificate;
use crate::error::TlsError;

/// Two files, and what was last found in them.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) certificate: PathBuf,
    key: PathBuf,
    /// Digest of what was last tried, whether it could be used or not.
    seen: Option<[u8; 32]>,
}

impl Files {
    pub(crate) fn new(certificate: PathBuf, key: PathBuf) -> Self {
        Self { certificate, key, seen: None }
    }

    /// Reads the files, if anything changed since the last time, or if they could not be read.
    /// `None` if nothing did.
    pub(crate) fn changed(&mut self) -> Option<Result<Certificate, TlsError>> {
        let files = (std::fs::read(&self.certificate), std::fs::read(&self.key));
        let (certificate, key) = match files {
            (Ok(certificate), Ok(key)) => (certificate, key),
            (Err(source), _) => return self.unread(self.certificate.clone(), source),
            (_, Err(source)) => return self.unread(self.key.clone(), source),
        };
        let digest = digest(&[&certificate, &key]);
        if self.seen.replace(digest) == Some(digest) {
            return None;
        }
        let read = Certificate::from_pem((&certificate, &self.certificate), (&key, &self.key));
        Some(read)
    }

    /// Forgets what was seen, so that the files are read, and their faults told, once more.
    pub(crate) fn forget(&mut self) {
        self.seen = None;
    }

    /// That a file cannot be read is told once, until it is another fault or none.
    fn unread(
        &mut self,
        path: PathBuf,
        source: std::io::Error,
    ) -> Option<Result<Certificate, TlsError>> {
        let digest = digest(&[path.as_os_str().as_encoded_bytes(), source.to_string().as_bytes()]);
        let told = self.seen.replace(digest) == Some(digest);
        (!told).then_some(Err(TlsError::Read { path, source }))
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::Folder;
    use std::path::Path;

    /// Writes a new certificate for this name, and its key.
    fn write(folder: &Path, name: &str) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    }

    fn files(folder: &Path) -> Files {
        Files::new(folder.join("cert.pem"), folder.join("key.pem"))
    }

    #[test]
    fn what_did_not_change_is_not_read_again() {
        let folder = Folder::new();
        write(folder.path(), "a.example");
        let mut files = files(folder.path());
        let first = files.changed().unwrap().unwrap();
        assert!(files.changed().is_none());
        write(folder.path(), "b.example");
        let second = files.changed().unwrap().unwrap();
        assert_ne!(first.facts(), second.facts());
        files.forget();
        assert_eq!(files.changed().unwrap().unwrap().facts(), second.facts());
    }

    #[test]
    fn a_fault_is_told_once_and_says_what_it_is() {
        let folder = Folder::new();
        write(folder.path(), "a.example");
        let mut files = files(folder.path());
        files.changed().unwrap().unwrap();
        let key = std::fs::read(folder.path().join("key.pem")).unwrap();
        // A program that renews writes one file after the other.
        write(folder.path(), "a.example");
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        assert!(matches!(files.changed(), Some(Err(TlsError::Mismatch { .. }))));
        assert!(files.changed().is_none());
        std::fs::write(folder.path().join("key.pem"), "no key").unwrap();
        assert!(matches!(files.changed(), Some(Err(TlsError::NoKey { .. }))));
        std::fs::remove_file(folder.path().join("key.pem")).unwrap();
        assert!(matches!(files.changed(), Some(Err(TlsError::Read { .. }))));
        assert!(files.changed().is_none());
        write(folder.path(), "a.example");
        assert!(matches!(files.changed(), Some(Ok(_))));
        std::fs::write(folder.path().join("cert.pem"), "-----BEGIN CERTIFICATE-----").unwrap();
        assert!(matches!(files.changed(), Some(Err(TlsError::NoCertificate { .. }))));
    }
}
