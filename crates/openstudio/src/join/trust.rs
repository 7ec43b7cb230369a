//! Whom a native participant believes to be the studio.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use openstudio_peer::{Link, Trust};
use openstudio_tls::{ConnectError, Untrusted};

/// How long the first look at the certificate may take.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// The flags about certificates.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TrustOptions {
    /// Believe the studio by the certificates in this file (PEM), not by those of the system:
    /// for a studio that signs its own, `tls/self-signed.pem` in its data folder.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Believe anybody to be the studio. Whoever is in between can take part unnoticed.
    #[arg(long, conflicts_with = "ca")]
    insecure: bool,
}

impl TrustOptions {
    pub(crate) fn trust(&self) -> Trust {
        match &self.ca {
            Some(path) => Trust::File(path.clone()),
            None if self.insecure => Trust::Everybody,
            None => Trust::System,
        }
    }

    /// Looks at the studio's certificate, so that one that is not believed is told in words. A
    /// studio that does not answer may still come: nothing is said of that here.
    pub(crate) async fn check(&self, link: &Link) -> anyhow::Result<()> {
        if !link.is_encrypted {
            return Ok(());
        }
        let tls = self.trust().load()?;
        let look = tokio::time::timeout(LOOK_LIMIT, tls.connect(&link.authority)).await;
        let Ok(Err(ConnectError::Untrusted(reason))) = look else {
            return Ok(());
        };
        match (reason, &self.ca) {
            (Untrusted::Issuer, None) => bail!(
                "{reason}; a studio that signs its own certificate is joined with --ca FILE, the \
                 file tls/self-signed.pem in its data folder, or without any check with --insecure"
            ),
            (_, Some(path)) => bail!(
                "{reason} (believed are those in {}); is it the file of this studio, and of today?",
                path.display()
            ),
            (_, None) => bail!("{reason}; --insecure joins without any check"),
        }
    }
}
