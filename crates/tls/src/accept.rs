//! [`Acceptor`]: the server's side of a handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::TlsError;
use crate::identity::{Identity, ShowsCurrent, ShowsProof};

/// How long a handshake may take, from the first byte on.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The protocol in which an authority asks for a proof (RFC 8737 §6.2).
pub(crate) const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// The first byte of a TLS record with a handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// What somebody who connected turned out to be.
#[derive(Debug)]
pub enum Accepted {
    /// A client, over TLS.
    Tls(Box<TlsStream<TcpStream>>),
    /// A client that speaks without TLS; nothing was read from it.
    Plain(TcpStream),
    /// An authority, which has seen the proof that it wanted. Nothing is left to do.
    Proven,
}

/// Why there is no connection. Nothing for the operator: anybody can cause it.
#[derive(Debug, Error)]
pub enum AcceptError {
    /// It took longer than [`HANDSHAKE_TIMEOUT`].
    #[error("the handshake took too long")]
    TimedOut,
    /// The client left, said what is not understood, or does not like the certificate.
    #[error("the handshake failed: {0}")]
    Failed(#[from] io::Error),
}

/// Does handshakes with the certificate of the moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Acceptor {
    usual: Arc<ServerConfig>,
    proving: Arc<ServerConfig>,
}

impl Acceptor {
    pub(crate) fn new(identity: &Arc<Identity>) -> Result<Self, TlsError> {
        let usual = config(Arc::new(ShowsCurrent(Arc::clone(identity))), b"http/1.1")?;
        let proving = config(Arc::new(ShowsProof(Arc::clone(identity))), ACME_PROTOCOL)?;
        Ok(Self { usual: Arc::new(usual), proving: Arc::new(proving) })
    }

    /// Returns one that shows the same certificate and agrees on these protocols (ALPN,
    /// RFC 7301) in place of HTTP. Clients that name none are welcome all the same.
    #[must_use]
    pub fn speaking(&self, protocols: &[&[u8]]) -> Self {
        let mut usual = ServerConfig::clone(&self.usual);
        usual.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Self { usual: Arc::new(usual), proving: Arc::clone(&self.proving) }
    }

    /// Does the handshake, or finds out that none is wanted. Run it on a task of its own: it
    /// waits for the client, [`HANDSHAKE_TIMEOUT`] at most.
    ///
    /// # Errors
    /// See [`AcceptError`].
    pub async fn accept(&self, stream: TcpStream) -> Result<Accepted, AcceptError> {
        let handshake = self.shake_hands(stream);
        let done = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await;
        Ok(done.map_err(|_| AcceptError::TimedOut)??)
    }

    async fn shake_hands(&self, stream: TcpStream) -> io::Result<Accepted> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [HANDSHAKE_RECORD] {
            return Ok(Accepted::Plain(stream));
        }
        let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await?;
        if asks_for_proof(&hello.client_hello()) {
            hello.into_stream(Arc::clone(&self.proving)).await?;
            return Ok(Accepted::Proven);
        }
        let stream = hello.into_stream(Arc::clone(&self.usual)).await?;
        Ok(Accepted::Tls(Box::new(stream)))
    }
}

fn asks_for_proof(hello: &ClientHello<'_>) -> bool {
    hello.alpn().is_some_and(|mut protocols| protocols.any(|name| name == ACME_PROTOCOL))
}

fn config(shows: Arc<dyn ResolvesServerCert>, protocol: &[u8]) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Make(error.to_string()))?
        .with_no_client_auth()
        .with_cert_resolver(shows);
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Trust;
    use crate::renewal::UnixTime;
    use crate::self_signed::SelfSigned;
    use crate::tests_support::Folder;
    use rustls::ClientConfig;
    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsConnector;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
        (client.unwrap(), server.unwrap().0)
    }

    fn acceptor() -> Acceptor {
        Acceptor::new(&Arc::new(Identity::default())).unwrap()
    }

    #[tokio::test]
    async fn who_speaks_without_tls_is_told_from_the_others_and_loses_no_byte() {
        let (mut client, server) = pair().await;
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let Ok(Accepted::Plain(mut stream)) = acceptor().accept(server).await else {
            panic!("it is plain");
        };
        let mut read = [0; 5];
        stream.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"GET /");
    }

    #[tokio::test]
    async fn who_leaves_at_once_or_talks_nonsense_is_no_connection() {
        let (client, server) = pair().await;
        drop(client);
        assert!(matches!(acceptor().accept(server).await, Err(AcceptError::Failed(_))));
        let (mut client, server) = pair().await;
        client.write_all(&[HANDSHAKE_RECORD; 64]).await.unwrap();
        assert!(matches!(acceptor().accept(server).await, Err(AcceptError::Failed(_))));
    }

    #[tokio::test]
    async fn it_agrees_on_the_protocols_that_it_was_given() {
        let folder = Folder::new();
        let name = "127.0.0.1".parse().unwrap();
        let kept = SelfSigned::new(folder.path(), &[name]);
        let identity = Arc::new(Identity::default());
        identity.replace(kept.load_or_make(UnixTime::now()).unwrap());
        let usual = Acceptor::new(&identity).unwrap();
        let other = usual.speaking(&[b"a", b"b"]);
        for (acceptor, asked, agreed) in [
            (&other, [&b"b"[..]].as_slice(), Some(Some(&b"b"[..]))),
            (&other, &[], Some(None)),
            (&other, &[b"http/1.1"], None),
            (&usual, &[b"http/1.1"], Some(Some(&b"http/1.1"[..]))),
            (&usual, &[b"b"], None),
        ] {
            let mut config =
                ClientConfig::clone(&Trust::File(kept.path()).load().unwrap().config());
            config.alpn_protocols = asked.iter().map(|name| name.to_vec()).collect();
            let (client, server) = pair().await;
            let connector = TlsConnector::from(Arc::new(config));
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let (client, accepted) =
                tokio::join!(connector.connect(name, client), acceptor.accept(server));
            assert_eq!(matches!(accepted, Ok(Accepted::Tls(_))), agreed.is_some(), "{asked:?}");
            let protocol = client.as_ref().ok().map(|stream| stream.get_ref().1.alpn_protocol());
            assert_eq!(protocol, agreed, "{asked:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let (_client, server) = pair().await;
        assert!(matches!(acceptor().accept(server).await, Err(AcceptError::TimedOut)));
    }
}
