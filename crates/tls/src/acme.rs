//! Certificates from an authority (ACME, RFC 8555).
//!
//! The proof that a name leads here is given inside of a handshake on the studio's own port
//! (TLS-ALPN-01, RFC 8737), so nothing else has to be reachable. The authority always comes to
//! port 443.

mod error;
mod http;
mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, AccountCredentials, NewAccount};

use crate::certificate::Certificate;
use crate::client::{ClientTls, Trust};
use crate::error::{TlsError, chain};
use crate::identity::Identity;
use crate::names::{Name, missing};
use crate::renewal::{Renewal, UnixTime};
use crate::store::{self, Readers};

use self::error::AcmeError;
use self::http::Https;

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// How long one attempt may take.
const ATTEMPT_LIMIT: Duration = Duration::from_mins(5);

/// What an authority is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeConfig {
    /// What the certificate is to be for: public host names.
    pub names: Vec<Name>,
    /// Where the authority may write to.
    pub mail: Option<String>,
    /// The authority's directory, `https://…`.
    pub directory: String,
    /// Whom to believe that they are the authority.
    pub trust: Trust,
}

/// An authority, and what is kept of it in the data folder.
#[derive(Debug)]
pub(crate) struct Acme {
    names: BTreeSet<Name>,
    mail: Option<String>,
    directory: String,
    tls: ClientTls,
    folder: PathBuf,
}

impl Acme {
    /// `folder` gets a folder for each directory: accounts and certificates are its own.
    pub(crate) fn new(config: &AcmeConfig, folder: &Path) -> Result<Self, TlsError> {
        if config.names.is_empty() {
            return Err(TlsError::NoNames);
        }
        if let Some(name) = config.names.iter().find(|name| !name.is_public()) {
            return Err(TlsError::NotPublic { name: name.to_string() });
        }
        let rest = config.directory.strip_prefix("https://").filter(|rest| !rest.is_empty());
        let Some(rest) = rest else {
            return Err(TlsError::Directory { url: config.directory.clone() });
        };
        let safe = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
        Ok(Self {
            names: config.names.iter().cloned().collect(),
            mail: config.mail.clone(),
            directory: config.directory.clone(),
            tls: config.trust.load()?,
            folder: folder.join("acme").join(rest.chars().map(safe).collect::<String>()),
        })
    }

    /// Chain and key, in one file: one is never there without the other.
    fn path(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// Returns the certificate that is kept, if it can be used at all.
    pub(crate) fn kept(&self) -> Option<Certificate> {
        Certificate::read(&self.path(), &self.path()).ok()
    }

    /// Returns when a certificate is to be renewed; none if that is now, since there is none or
    /// it is not for all names.
    pub(crate) fn due(&self, current: Option<&Certificate>) -> Option<UnixTime> {
        let facts = current?.facts();
        let is_for_all = missing(&facts.names, &self.names).is_empty();
        is_for_all.then(|| Renewal::due(facts.not_before, facts.not_after))
    }

    /// Asks for a certificate, shows it from now on, and keeps it.
    pub(crate) async fn fetch(&self, identity: &Arc<Identity>) -> Result<Certificate, AcmeError> {
        let attempt = async {
            let account = self.account().await?;
            order::certificate(&account, &self.names, identity).await
        };
        let outcome = tokio::time::timeout(ATTEMPT_LIMIT, attempt).await;
        identity.clear_challenges();
        let pem = outcome.map_err(|_| AcmeError::TimedOut)??;
        let path = self.path();
        let certificate = Certificate::from_pem((pem.as_bytes(), &path), (pem.as_bytes(), &path))?;
        identity.replace(certificate.clone());
        if let Err(error) = store::write(&path, pem.as_bytes(), Readers::Owner) {
            // Authorities give few for the same names, so this one is made use of all the same.
            tracing::error!(
                error = %chain(&error),
                "the new certificate is shown, but could not be kept; the next start asks the \
                 authority for another, and it gives only a few in a week, so see first that the \
                 file can be written"
            );
        }
        Ok(certificate)
    }

    /// Returns the account that is kept, or a new one.
    async fn account(&self) -> Result<Account, AcmeError> {
        let path = self.folder.join("account.json");
        let builder = || Account::builder_with_http(Box::new(Https(self.tls.clone())));
        if let Ok(text) = std::fs::read(&path)
            && let Ok(credentials) = serde_json::from_slice::<AccountCredentials>(&text)
        {
            return Ok(builder().from_credentials(credentials).await?);
        }
        let mail = self.mail.as_ref().map(|mail| format!("mailto:{mail}"));
        let contact: Vec<&str> = mail.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) =
            builder().create(&wanted, self.directory.clone(), None).await?;
        let text = serde_json::to_vec(&credentials).map_err(instant_acme::Error::from)?;
        store::write(&path, &text, Readers::Owner)?;
        Ok(account)
    }
}
