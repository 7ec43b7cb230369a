//! [`Certificate`]: a chain with its key, and what it says of itself.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::error::TlsError;
use crate::names::Name;
use crate::renewal::UnixTime;

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// What it is for.
    pub names: Vec<Name>,
    /// From when on it is valid.
    pub not_before: UnixTime,
    /// Until when it is valid.
    pub not_after: UnixTime,
    /// SHA-256 of the certificate (DER), as browsers show it: `AB:CD:…`.
    pub fingerprint: String,
}

impl Facts {
    /// Reads a certificate (DER). `None` if it is none.
    pub fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = parse_x509_certificate(der).ok()?;
        let alternative = certificate.subject_alternative_name().ok().flatten();
        let names = alternative.iter().flat_map(|names| &names.value.general_names);
        let validity = certificate.validity();
        Some(Self {
            names: names.filter_map(name_of).collect(),
            not_before: UnixTime(validity.not_before.timestamp()),
            not_after: UnixTime(validity.not_after.timestamp()),
            fingerprint: fingerprint(der),
        })
    }

    /// Returns whether it is valid at this time.
    pub fn is_valid(&self, now: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// Returns the whole days that are left; negative once it is over.
    pub fn days_left(&self, now: UnixTime) -> i64 {
        self.not_after.0.saturating_sub(now.0).div_euclid(86_400)
    }
}

fn name_of(name: &GeneralName<'_>) -> Option<Name> {
    if let GeneralName::DNSName(host) = name {
        return Some(Name::Host(host.to_ascii_lowercase()));
    }
    let GeneralName::IPAddress(bytes) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
    let ip = v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?;
    Some(Name::Ip(ip))
}

fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// A certificate that can be served. `Debug` does not show the key.
#[derive(Clone)]
pub struct Certificate {
    pub(crate) certified: Arc<CertifiedKey>,
    facts: Facts,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Certificate").field(&self.facts).finish()
    }
}

impl Certificate {
    /// Reads a certificate with its chain, and its key, from PEM files; they may be one.
    ///
    /// # Errors
    /// If they cannot be read, or not be used together. That it has expired is no error.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
        };
        Self::from_pem((&read(certificate)?, certificate), (&read(key)?, key))
    }

    /// Makes one of what is in two PEM files, whose paths are for the words of errors.
    pub(crate) fn from_pem(
        (certificate, certificate_path): (&[u8], &Path),
        (key, key_path): (&[u8], &Path),
    ) -> Result<Self, TlsError> {
        let no_certificate = || TlsError::NoCertificate { path: certificate_path.to_owned() };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| no_certificate())?;
        let facts = chain.first().and_then(|own| Facts::of(own)).ok_or_else(no_certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| TlsError::NoKey { path: key_path.to_owned() })?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                TlsError::Mismatch {
                    certificate: certificate_path.to_owned(),
                    key: key_path.to_owned(),
                }
            } else {
                let reason = error.to_string();
                TlsError::Unusable { path: certificate_path.to_owned(), reason }
            }
        })?;
        Ok(Self { certified: Arc::new(certified), facts })
    }

    /// Returns what it says of itself.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}
