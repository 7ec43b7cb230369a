//! How the double looks for a proof (RFC 8737 §3).
#![allow(clippy::unwrap_in_result, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::accept::ACME_PROTOCOL;
use crate::client::Trust;

/// Takes any certificate, also one with a critical extension that only authorities know, which
/// is what it is for.
#[derive(Debug)]
struct LooksOnly;

impl ServerCertVerifier for LooksOnly {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Connects as an authority does that wants a proof; returns what the extension says.
pub(super) async fn seen(studio: SocketAddr, name: &str) -> Result<Vec<u8>, String> {
    let words = |error: std::io::Error| error.to_string();
    let mut config = (*Trust::Everybody.load().unwrap().config()).clone();
    config.dangerous().set_certificate_verifier(Arc::new(LooksOnly));
    config.alpn_protocols = vec![ACME_PROTOCOL.to_vec()];
    let stream = TcpStream::connect(studio).await.map_err(words)?;
    let server = name.to_owned().try_into().unwrap();
    let stream =
        TlsConnector::from(Arc::new(config)).connect(server, stream).await.map_err(words)?;
    let (_, connection) = stream.get_ref();
    if connection.alpn_protocol() != Some(ACME_PROTOCOL) {
        return Err("it does not speak acme-tls/1".to_owned());
    }
    let shown = connection.peer_certificates().unwrap_or_default();
    let (_, certificate) = x509_parser::parse_x509_certificate(&shown[0]).unwrap();
    let identifier = x509_parser::oid_registry::asn1_rs::oid!(1.3.6.1.5.5.7.1.31);
    let extension = certificate.get_extension_unique(&identifier).unwrap();
    let extension = extension.filter(|extension| extension.critical).ok_or("there is no proof")?;
    Ok(extension.value.to_vec())
}
