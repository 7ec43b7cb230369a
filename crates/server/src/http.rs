//! What is served under which path, and the headers that every answer has.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::response::IntoResponse as _;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN, STRICT_TRANSPORT_SECURITY, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use openstudio_wire::limits::MAX_MESSAGE_BYTES;
use tokio::sync::OwnedSemaphorePermit;

use crate::address::client_address;
use crate::assets::Assets;
use crate::config::Limits;
use crate::hub::Hub;
use crate::limits::{AddressBook, ConnectionLease};
use crate::metrics;
use crate::relay::{RelayGauge, host_of};
use crate::socket::{self, KeepAlive};

/// How much is read from a socket at once. Each idle socket keeps a buffer of this
/// size, and most messages fit into it.
const READ_BUFFER_BYTES: usize = 4 * 1024;

/// What the page may do. It needs its own scripts, styles and sockets, its WASM, and
/// media that it makes itself; nothing from elsewhere, and no page may frame it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; connect-src 'self'; img-src 'self' data:; \
     media-src 'self' blob: mediastream:; font-src 'self'; worker-src 'self'; \
     manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For how long browsers remember that the studio is at https alone (RFC 6797): 180 days.
const STRICT_TRANSPORT: &str = "max-age=15552000";

/// Headers on every answer.
const HEADERS: [(&str, &str); 7] = [
    ("content-security-policy", CONTENT_SECURITY_POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    (
        "permissions-policy",
        "microphone=(self), speaker-selection=(self), autoplay=(self), screen-wake-lock=(self), \
         clipboard-write=(self), camera=(), geolocation=(), display-capture=(), payment=(), \
         usb=(), midi=(), serial=(), hid=()",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// What requests need.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) hub: Arc<Hub>,
    pub(crate) assets: Assets,
    pub(crate) addresses: AddressBook,
    pub(crate) limits: Limits,
    pub(crate) keep_alive: KeepAlive,
    pub(crate) allowed_origins: Vec<String>,
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// Whether pages come over TLS from this server itself.
    pub(crate) is_encrypted: bool,
    /// The relay in this server, if there is one.
    pub(crate) relay: Option<RelayGauge>,
}

/// The address at the other end of the TCP connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerAddr(pub(crate) SocketAddr);

/// One of the connections that a server may have, and one of its address's; a WebSocket
/// keeps it while it lives.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionPermit(
    #[expect(dead_code, reason = "held, not read")]
    Arc<(OwnedSemaphorePermit, Option<ConnectionLease>)>,
);

impl ConnectionPermit {
    pub(crate) fn new(permit: OwnedSemaphorePermit, lease: Option<ConnectionLease>) -> Self {
        Self(Arc::new((permit, lease)))
    }
}

impl App {
    /// Counts a TCP connection; `None` refuses it. A trusted proxy's connections are many
    /// clients', so they are not counted for its address.
    pub(crate) fn admit_connection(&self, address: IpAddr) -> Option<Option<ConnectionLease>> {
        if self.trusted_proxies.contains(&address.to_canonical()) {
            return Some(None);
        }
        self.addresses.admit_connection(self.hub.now(), address.into()).map(Some)
    }
}

/// What a request came in on.
type Connection = (Extension<PeerAddr>, Extension<ConnectionPermit>);

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// Makes the routes: the server's own, and `further`. `lasts` says that browsers may remember
/// that the studio is at https alone.
pub(crate) fn router(app: Arc<App>, further: Router, lasts: bool) -> Router {
    Router::new()
        .route("/", get(page_or_socket))
        .route("/ws", get(socket_only))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(get(asset))
        .with_state(app)
        .merge(further)
        .layer(axum::middleware::map_response(move |response| {
            std::future::ready(harden(response, lasts))
        }))
}

fn harden(mut response: Response<Body>, lasts: bool) -> Response<Body> {
    if lasts {
        let strict = HeaderValue::from_static(STRICT_TRANSPORT);
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, strict);
    }
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn asset(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response<Body> {
    app.assets.serve(uri.path(), &headers).await
}

async fn page_or_socket(
    State(app): State<Arc<App>>,
    connection: Connection,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response<Body> {
    if headers.contains_key(UPGRADE) {
        open_socket(&app, connection, &headers, upgrade)
    } else {
        app.assets.serve("/", &headers).await
    }
}

async fn socket_only(
    State(app): State<Arc<App>>,
    connection: Connection,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response<Body> {
    open_socket(&app, connection, &headers, upgrade)
}

fn open_socket(
    app: &Arc<App>,
    (Extension(PeerAddr(peer)), Extension(permit)): Connection,
    headers: &HeaderMap,
    upgrade: Upgrade,
) -> Response<Body> {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    if !is_own_origin(headers, &app.allowed_origins, app.is_encrypted) {
        return sentence(
            StatusCode::FORBIDDEN,
            "This page is not one of this server's. If it should be, start the server with \
             --allowed-origin and the page's origin.\n",
        );
    }
    let forwarded = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    let client = client_address(peer.ip(), &forwarded, &app.trusted_proxies);
    let Some(lease) = app.addresses.admit(app.hub.now(), client.into()) else {
        return sentence(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many connections from your address. Wait a moment and try again.\n",
        );
    };
    let hub = Arc::clone(&app.hub);
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).and_then(host_of);
    let settings = (app.keep_alive, app.limits);
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(MAX_MESSAGE_BYTES)
        .max_frame_size(MAX_MESSAGE_BYTES)
        .on_upgrade(move |socket| async move {
            socket::serve(socket, (hub, host), lease, settings).await;
            drop(permit);
        })
}

/// Returns whether a WebSocket request comes from a page of this server, from an
/// allowed one, or from no page at all: only browsers send `Origin`, and they always do.
/// A server that encrypts has no page without encryption: one that says so is of somebody
/// in between.
fn is_own_origin(headers: &HeaderMap, allowed: &[String], encrypted: bool) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let Ok(origin) = origin.to_str() else {
        return false;
    };
    if allowed.iter().any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    if encrypted && scheme != "https" {
        return false;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
}

async fn health(State(app): State<Arc<App>>) -> Response<Body> {
    let (stats, _, uptime) = app.hub.report();
    let body = serde_json::json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": uptime.as_secs(),
        "rooms": stats.rooms,
        "peers": stats.peers,
        "sockets": stats.connections,
    });
    text("application/json", body.to_string())
}

async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    let relay = app.relay.as_ref().and_then(RelayGauge::read);
    text(metrics::CONTENT_TYPE, metrics::text(app.hub.report(), relay))
}

fn text(kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn sentence(status: StatusCode, sentence: &'static str) -> Response<Body> {
    let mut response = text("text/plain; charset=utf-8", sentence.to_owned());
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_and_allowed_pages_may_open_a_socket() {
        let allowed = ["https://radio.example/".to_owned()];
        let check_as = |origin: Option<&str>, encrypted| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("studio.example:6736"));
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            is_own_origin(&headers, &allowed, encrypted)
        };
        let check = |origin| check_as(origin, false);
        assert!(check(None));
        assert!(check(Some("http://studio.example:6736")));
        assert!(check(Some("https://Studio.example:6736")));
        assert!(check(Some("https://radio.example")));
        assert!(!check(Some("https://studio.example")));
        assert!(!check(Some("https://studio.example:6736.evil.example")));
        assert!(!check(Some("http://evil.example")));
        assert!(!check(Some("null")));
        assert!(!check(Some("")));
        assert!(check_as(Some("https://studio.example:6736"), true));
        assert!(!check_as(Some("http://studio.example:6736"), true), "somebody in between");
        assert!(check_as(None, true));
    }
}
