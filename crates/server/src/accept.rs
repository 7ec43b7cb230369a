//! Accepting connections, with TLS or without, and serving what comes over them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use openstudio_tls::{Accepted, Acceptor};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower_service::Service as _;

use crate::http::{App, ConnectionPermit, PeerAddr};

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's head, bytes. Browsers send below 2 KB.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// What all listeners share: how many connections there may be, and when they end.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    pub(crate) app: Arc<App>,
    pub(crate) connections: Arc<Semaphore>,
    pub(crate) stopped: watch::Receiver<bool>,
}

/// What is behind a listener.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) routes: Router,
    /// Does the handshakes; without it, there are none.
    pub(crate) tls: Option<Tls>,
}

/// What it takes to serve over TLS.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) acceptor: Acceptor,
    /// For those who come without TLS.
    pub(crate) redirect: Router,
}

/// Accepts connections for ever. Without a listener, it just waits.
pub(crate) async fn accept(listener: Option<&TcpListener>, gate: &Gate, door: &Door) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Usually too many open files, which passes when connections close.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Where there are too many, this one waits, and all others behind it.
        let Ok(permit) = Arc::clone(&gate.connections).acquire_owned().await else {
            return;
        };
        let Some(lease) = gate.app.admit_connection(peer.ip()) else { continue };
        let permit = ConnectionPermit::new(permit, lease);
        let visit = Visit { peer, permit, stopped: gate.stopped.clone() };
        let _ = stream.set_nodelay(true);
        tokio::spawn(receive(stream, visit, door.clone()));
    }
}

/// Somebody who connected. A handshake counts as a connection from its beginning.
struct Visit {
    peer: SocketAddr,
    permit: ConnectionPermit,
    stopped: watch::Receiver<bool>,
}

impl Visit {
    /// Waits until the server stops.
    async fn stop(&mut self) {
        // An error means that the server is gone.
        drop(self.stopped.wait_for(|stopped| *stopped).await);
    }
}

async fn receive(stream: TcpStream, mut visit: Visit, door: Door) {
    let Some(tls) = door.tls else {
        return serve(stream, visit, door.routes).await;
    };
    let accepted = tokio::select! {
        accepted = tls.acceptor.accept(stream) => accepted,
        () = visit.stop() => return,
    };
    match accepted {
        Ok(Accepted::Tls(stream)) => serve(*stream, visit, door.routes).await,
        Ok(Accepted::Plain(stream)) => serve(stream, visit, tls.redirect).await,
        Ok(Accepted::Proven) => tracing::debug!("an authority has seen the proof"),
        Err(error) => tracing::debug!(%error, "handshake"),
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    mut visit: Visit,
    routes: Router,
) {
    let (peer, permit) = (visit.peer, visit.permit.clone());
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(PeerAddr(peer));
        request.extensions_mut().insert(permit.clone());
        let mut routes = routes.clone();
        async move {
            Ok::<_, Infallible>(match routes.call(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            })
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => Some(result),
        () = visit.stop() => None,
    };
    let result = match result {
        Some(result) => result,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "connection");
    }
}
