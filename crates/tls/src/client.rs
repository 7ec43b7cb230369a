//! The client's side: [`Trust`], and opening a connection.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::TlsError;
use crate::verify::BelievesAll;

/// The port of `https://` without one.
const HTTPS_PORT: u16 = 443;

/// Whom a client believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// The authorities that this system knows.
    #[default]
    System,
    /// The certificates in this PEM file, of authorities or of a studio that signs itself, and
    /// nobody else.
    File(PathBuf),
    /// Everybody. Whoever is in between can listen.
    Everybody,
}

impl Trust {
    /// Reads the certificates.
    ///
    /// # Errors
    /// If there are none.
    pub fn load(&self) -> Result<ClientTls, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Make(error.to_string()))?;
        let config = match self {
            Self::System => builder.with_root_certificates(system_roots()?).with_no_client_auth(),
            Self::File(path) => {
                builder.with_root_certificates(roots_of(path)?).with_no_client_auth()
            }
            Self::Everybody => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(BelievesAll(provider)))
                .with_no_client_auth(),
        };
        Ok(ClientTls(Arc::new(config)))
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let (taken, _) =
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if taken == 0 { Err(TlsError::NoRoots) } else { Ok(roots) }
}

fn roots_of(path: &Path) -> Result<RootCertStore, TlsError> {
    let pem =
        std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
    let (taken, _) = roots.add_parsable_certificates(certificates);
    if taken == 0 {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(roots)
}

/// Why there is no connection to a server.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The address is none.
    #[error("`{0}` is no address; write it as HOST or HOST:PORT")]
    Address(String),
    /// Nobody answers, or not in TLS.
    #[error("no answer over TLS: {0}")]
    Failed(#[from] io::Error),
    /// The certificate is not believed.
    #[error("{0}")]
    Untrusted(#[from] Untrusted),
}

/// What is wrong with a certificate, for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Untrusted {
    /// It is of nobody who is believed.
    #[error("the certificate is signed by nobody whom this machine trusts")]
    Issuer,
    /// It is for somebody else.
    #[error("the certificate is for another name than the one in the address")]
    Name,
    /// It is over, or not valid yet.
    #[error("the certificate is not valid now; are the clocks of both machines right?")]
    Time,
    /// Something else.
    #[error("the certificate cannot be used")]
    Other,
}

impl Untrusted {
    fn of(error: &io::Error) -> Option<Self> {
        let inner = error.get_ref()?.downcast_ref::<rustls::Error>()?;
        let rustls::Error::InvalidCertificate(error) = inner else { return None };
        let is_name = matches!(
            error,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        );
        let is_time = matches!(
            error,
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
        );
        Some(if is_name {
            Self::Name
        } else if is_time {
            Self::Time
        } else if matches!(error, CertificateError::UnknownIssuer) {
            Self::Issuer
        } else {
            Self::Other
        })
    }
}

/// What it takes to connect. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Returns the settings, for those who do the handshake themselves.
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    /// Connects to `HOST` or `HOST:PORT`.
    ///
    /// # Errors
    /// See [`ConnectError`]. It may wait for as long as the system lets a connection wait.
    pub async fn connect(&self, authority: &str) -> Result<TlsStream<TcpStream>, ConnectError> {
        let wrong = || ConnectError::Address(authority.to_owned());
        let (host, port) = split(authority).ok_or_else(wrong)?;
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_: InvalidDnsNameError| wrong())?;
        let stream = TcpStream::connect((host, port)).await?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        connector.connect(name, stream).await.map_err(|error| {
            Untrusted::of(&error).map_or(ConnectError::Failed(error), ConnectError::Untrusted)
        })
    }
}

/// Splits `HOST:PORT`; the brackets of an IPv6 address are left out.
fn split(authority: &str) -> Option<(&str, u16)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').map_or(Some(HTTPS_PORT), |port| port.parse().ok());
        return Some((host, port?));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, HTTPS_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_a_host_and_perhaps_a_port() {
        assert_eq!(split("radio.example"), Some(("radio.example", 443)));
        assert_eq!(split("radio.example:6736"), Some(("radio.example", 6736)));
        assert_eq!(split("[::1]:6736"), Some(("::1", 6736)));
        assert_eq!(split("[::1]"), Some(("::1", 443)));
        assert_eq!(split("radio.example:http"), None);
        assert_eq!(split("[::1"), None);
    }

    #[test]
    fn a_file_without_certificates_is_told() {
        let error = Trust::File("/nowhere/ca.pem".into()).load().unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
