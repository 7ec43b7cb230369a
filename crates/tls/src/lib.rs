//! TLS for the studio: whose certificate it shows, and how that stays valid.
//!
//! [`Tls`] owns the certificate. It comes from files that somebody else keeps, is made here for
//! a local network, or is fetched from a certificate authority (ACME, RFC 8555, by TLS-ALPN-01,
//! RFC 8737). [`Tls::keep`] looks after it for ever; [`Acceptor`] does one handshake at a time
//! with whatever is current. [`Trust`] is the other side: whom a client believes.
//!
//! It knows nothing of HTTP requests to the studio, of rooms, or of how many connections
//! somebody may have: that is in `openstudio-server`.
//!
//! # Invariants
//! - A certificate that is served is never replaced by one that is worse: a file that cannot be
//!   used, or an authority that refuses, leaves the old one where it is, and is told in the log.
//! - Private keys are written readable by their owner alone, and are shown by no `Debug`.
//! - What is due when is decided by [`Renewal`], which is told the time.

mod accept;
mod acme;
mod certificate;
mod client;
mod error;
mod files;
mod identity;
mod keep;
mod names;
mod renewal;
mod self_signed;
mod store;
#[cfg(test)]
mod tests_support;
mod verify;

pub use accept::{AcceptError, Accepted, Acceptor, HANDSHAKE_TIMEOUT};
pub use acme::{AcmeConfig, LETS_ENCRYPT};
pub use certificate::{Certificate, Facts};
pub use client::{ClientTls, ConnectError, Trust, Untrusted};
pub use error::TlsError;
pub use keep::{Kind, Reload, Source, Tls, TlsConfig};
pub use names::{Name, NameError, outward_v4, outward_v6};
pub use renewal::{Renewal, UnixTime};
