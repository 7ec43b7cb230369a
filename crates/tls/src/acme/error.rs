//! [`AcmeError`]: why an authority gave no certificate.

use thiserror::Error;

use crate::error::TlsError;
use crate::names::Name;

/// Why an attempt failed. It is told in the log, and there is another.
#[derive(Debug, Error)]
pub(crate) enum AcmeError {
    /// The authority does not answer, or refuses what it was asked.
    #[error("the authority: {0}")]
    Authority(#[from] instant_acme::Error),
    /// The authority wants another kind of proof.
    #[error(
        "the authority does not take the proof that the studio can give (TLS-ALPN-01) for {name}; \
         use another --tls-directory, or --tls files with a program that gets certificates"
    )]
    NoChallenge {
        /// For which name.
        name: Name,
    },
    /// The authority was not convinced.
    #[error(
        "the authority could not see that {name} leads here ({problem}); check that its DNS \
         entry is this machine's address, and that port 443 of that address reaches the studio \
         from the internet"
    )]
    Unproven {
        /// Which name.
        name: Name,
        /// In the authority's words.
        problem: String,
    },
    /// What it gave cannot be used, or not be kept.
    #[error(transparent)]
    Certificate(#[from] TlsError),
    /// It took too long.
    #[error("the authority did not finish in time")]
    TimedOut,
}
