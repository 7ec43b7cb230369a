//! [`Identity`]: the certificate of the moment, shared by the handshakes and by whoever renews
//! it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificate::Certificate;

/// What is shown to whom.
#[derive(Default)]
pub(crate) struct Identity {
    current: RwLock<Option<Certificate>>,
    /// What proves to an authority that a host name leads here (RFC 8737 §3).
    challenges: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("current", &self.current()).finish_non_exhaustive()
    }
}

impl Identity {
    pub(crate) fn current(&self) -> Option<Certificate> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Handshakes that begin from now on get this one.
    pub(crate) fn replace(&self, certificate: Certificate) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    pub(crate) fn set_challenge(&self, host: String, proof: Arc<CertifiedKey>) {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(host, proof);
    }

    pub(crate) fn clear_challenges(&self) {
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Shows the certificate of the moment.
#[derive(Debug)]
pub(crate) struct ShowsCurrent(pub(crate) Arc<Identity>);

impl ResolvesServerCert for ShowsCurrent {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.current().map(|certificate| certificate.certified)
    }
}

/// Shows the proof for the name that is asked for.
#[derive(Debug)]
pub(crate) struct ShowsProof(pub(crate) Arc<Identity>);

impl ResolvesServerCert for ShowsProof {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name()?.to_ascii_lowercase();
        let challenges = self.0.challenges.lock().unwrap_or_else(PoisonError::into_inner);
        challenges.get(&host).cloned()
    }
}
