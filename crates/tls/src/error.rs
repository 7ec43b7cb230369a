//! [`TlsError`]: why there is no certificate to serve, or none to believe.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a certificate cannot be used. Tell the operator, with the chain of sources.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}; check the path, and that the studio's user may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file in the data folder cannot be written.
    #[error("cannot write {}; check the data folder's owner and the space on the disk", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no certificate in a file.
    #[error(
        "there is no certificate in {}; it must have `-----BEGIN CERTIFICATE-----` in it, the \
         studio's own first and those of the authority after it",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no private key in a file.
    #[error(
        "there is no private key in {}; it must have `-----BEGIN PRIVATE KEY-----` in it \
         (PKCS#8, PKCS#1 or SEC1), without a password",
        path.display()
    )]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together.
    #[error(
        "the key {} does not belong to the certificate {}; give the two that were made together",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate, or its key, is of a kind that cannot be used.
    #[error("the certificate {} cannot be used ({reason}); ask for a new one", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate is over.
    #[error("the certificate {} has expired; put a new one in its place", path.display())]
    Expired {
        /// The certificate's file.
        path: PathBuf,
    },
    /// Automatic certificates want a name.
    #[error("automatic certificates are for names; say which with --tls-name HOST")]
    NoNames,
    /// An authority gives no certificate for such a name.
    #[error(
        "an authority gives no certificate for `{name}`; use a public host name, or \
         --tls self-signed"
    )]
    NotPublic {
        /// The name.
        name: String,
    },
    /// The address of the authority is none.
    #[error("`{url}` is no ACME directory; write it as https://HOST/PATH")]
    Directory {
        /// The address.
        url: String,
    },
    /// This system has no certificates of authorities.
    #[error(
        "this system has no certificates of authorities; install the package `ca-certificates`, \
         or name a file with them"
    )]
    NoRoots,
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(String),
}

/// The error with all its reasons, for one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}
