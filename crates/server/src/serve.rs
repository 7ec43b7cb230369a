//! [`Server`]: opening the port, accepting, stopping.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use openstudio_room::Rooms;
use openstudio_turn::SharedSecret;
use openstudio_units::{RoomId, Seed, Timestamp};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{self, UnboundedReceiver, unbounded_channel};
use tokio::sync::{Semaphore, watch};
use tower_service::Service as _;

use crate::assets::Assets;
use crate::config::ServerConfig;
use crate::ended::EndedRooms;
use crate::engine::{self, EngineLine, EnginePort, EngineRequest};
use crate::http::{App, ConnectionPermit, PeerAddr, router};
use crate::hub::Hub;
use crate::limits::AddressBook;
use crate::relay::{Offer, Own, Relay, RelayConfig, SharedTurn};
use crate::secret::{Secret, SecretError};
use crate::socket::KeepAlive;
use crate::tokens::JwtTokens;

/// How long a client may take to send a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request's head, bytes. Browsers send below 2 KB.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// How long sockets have to go when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a server did not start. Tell the operator, with the chain of sources.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder cannot be made or used.
    #[error(
        "cannot use the data folder {}; choose another with --data-dir",
        path.display()
    )]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Another program has the port.
    #[error(
        "the address {address} is in use; is a server running already? Choose another with --listen"
    )]
    AddressInUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder of the browser client has no page.
    #[error("there is no index.html in the web folder {}", path.display())]
    WebDir {
        /// The folder.
        path: PathBuf,
    },
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    app: Arc<App>,
    connections: Arc<Semaphore>,
    ended: (EndedRooms, UnboundedReceiver<RoomId>),
    requests: Option<mpsc::Receiver<EngineRequest>>,
    /// Ends with the server.
    relay: Option<Relay>,
    /// Served beside the server's own.
    routes: Router,
}

impl Server {
    /// Reads the data folder and opens the port.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn bind(config: ServerConfig) -> Result<Self, StartError> {
        let in_data_dir = |source| StartError::DataDir { path: config.data_dir.clone(), source };
        std::fs::create_dir_all(&config.data_dir).map_err(in_data_dir)?;
        let secret = Secret::load_or_create(&config.data_dir)?;
        let ended = EndedRooms::new(&config.data_dir);
        let ended_rooms = ended.load(config.rooms.invite_lifetime).map_err(in_data_dir)?;
        if let Some(path) = config.web_dir.as_ref().filter(|dir| !dir.join("index.html").is_file())
        {
            return Err(StartError::WebDir { path: path.clone() });
        }
        let address = config.listen;
        let listener = TcpListener::bind(address).await.map_err(|source| {
            if source.kind() == io::ErrorKind::AddrInUse {
                StartError::AddressInUse { address }
            } else {
                StartError::Listen { address, source }
            }
        })?;
        let local_addr =
            listener.local_addr().map_err(|source| StartError::Listen { address, source })?;

        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| SecretError::Random)?;
        let relay = config.relay.as_ref().and_then(|config| open_relay(config, Seed(seed)));
        let offer = offer(config.relay.as_ref(), relay.as_ref(), config.turn_shared, Seed(seed));
        let mut rooms_config = config.rooms;
        rooms_config.zero_unix_ms = unix_millis();
        rooms_config.has_engine = config.has_engine;
        let tokens = Box::new(JwtTokens::new(&secret));
        let mut rooms = Rooms::new(rooms_config, Seed(seed), tokens, Timestamp::ZERO);
        for room in ended_rooms {
            rooms.remember_ended(room);
        }
        let (ended_sender, ended_receiver) = unbounded_channel();
        let (engine, requests) = mpsc::channel(engine::QUEUE);
        let engine = config.has_engine.then_some(engine);
        let app = App {
            hub: Arc::new(Hub::new(rooms, config.limits, ended_sender, engine, offer)),
            assets: Assets::new(config.web_dir.as_deref()),
            addresses: AddressBook::new(config.limits),
            limits: config.limits,
            keep_alive: KeepAlive {
                interval: config.ping_interval,
                silence: config.silence_timeout,
            },
            allowed_origins: config.allowed_origins,
            trusted_proxies: config.trusted_proxies,
        };
        let connections = usize::try_from(config.limits.connections).unwrap_or(usize::MAX);
        Ok(Self {
            listener,
            local_addr,
            app: Arc::new(app),
            connections: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            ended: (ended, ended_receiver),
            requests: config.has_engine.then_some(requests),
            relay,
            routes: Router::new(),
        })
    }

    /// Returns what an engine needs. None the second time, and where
    /// [`ServerConfig::has_engine`] is not set.
    pub fn engine(&mut self) -> Option<EnginePort> {
        let requests = self.requests.take()?;
        let line = EngineLine { hub: Arc::clone(&self.app.hub), address: self.local_addr };
        Some(EnginePort { requests, line })
    }

    /// Serves these routes as well. Their answers get the headers that all answers have, but
    /// for those that they set themselves.
    #[must_use]
    pub fn with_routes(self, routes: Router) -> Self {
        Self { routes, ..self }
    }

    /// Returns the address that the relay listens on, with its real port; none if there is no
    /// relay.
    pub fn relay_addr(&self) -> Option<SocketAddr> {
        self.relay.as_ref().map(Relay::address)
    }

    /// Returns the address that the server listens on, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `stop` completes, then tells everybody to come back and returns
    /// within a few seconds.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, app, connections, ended, routes: further, relay, .. } = self;
        let hub = Arc::clone(&app.hub);
        let timers = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.run_timers().await }
        });
        let keeper = tokio::spawn(keep_ended_rooms(ended.0, ended.1));
        let (stopping, stopped) = watch::channel(false);
        let routes = router(Arc::clone(&app), further);
        tokio::select! {
            () = accept(&listener, (&app, &routes), &connections, &stopped) => {}
            () = stop => {}
        }
        drop((listener, stopped, relay));
        tracing::info!("stopping");
        hub.shut_down();
        stopping.send_replace(true);
        let drained = async {
            hub.drained().await;
            stopping.closed().await;
        };
        if tokio::time::timeout(DRAIN_TIMEOUT, drained).await.is_err() {
            tracing::warn!("some connections did not close in time");
        }
        timers.abort();
        drop((app, routes, hub));
        // The last owner of the hub is gone unless a connection hangs, so this ends too.
        let _ = tokio::time::timeout(Duration::from_millis(500), keeper).await;
        tracing::info!("stopped");
    }
}

/// Starts the relay. The studio goes on without one: most participants need none.
fn open_relay(config: &RelayConfig, seed: Seed) -> Option<Relay> {
    match Relay::start(config, seed.fork("relay")) {
        Ok(relay) => {
            tracing::info!(address = %relay.address(), "the relay is open");
            Some(relay)
        }
        Err(error) => {
            tracing::warn!(
                %error,
                "there is no relay, since the address {} cannot be used by UDP and TCP; participants \
                 behind strict firewalls will hear nobody. End what else uses the port, choose \
                 another with --turn-listen, or do without with --turn-server false",
                config.listen
            );
            None
        }
    }
}

/// What participants are told about relays.
fn offer(
    config: Option<&RelayConfig>,
    relay: Option<&Relay>,
    shared: Vec<SharedTurn>,
    seed: Seed,
) -> Offer {
    let host = config.and_then(|config| config.host.clone());
    Offer {
        own: relay.map(|relay| Own { secret: relay.secret(), port: relay.address().port(), host }),
        shared,
        lifetime: config.map_or(RelayConfig::LIFETIME, |config| config.lifetime),
        names: SharedSecret::new(seed.fork("relay names").0.to_vec()),
    }
}

/// Accepts connections for ever.
async fn accept(
    listener: &TcpListener,
    (app, routes): (&App, &Router),
    connections: &Arc<Semaphore>,
    stopped: &watch::Receiver<bool>,
) {
    loop {
        let Ok(permit) = Arc::clone(connections).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Some(lease) = app.admit_connection(peer.ip()) else { continue };
                let permit = ConnectionPermit::new(permit, lease);
                spawn_connection((stream, peer), routes.clone(), permit, stopped.clone());
            }
            Err(error) => {
                // Usually too many open files, which passes when connections close.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn spawn_connection(
    (stream, peer): (TcpStream, SocketAddr),
    routes: Router,
    permit: ConnectionPermit,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
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
    tokio::spawn(async move {
        let mut connection = std::pin::pin!(connection);
        let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
        let result = tokio::select! {
            result = &mut connection => Some(result),
            () = stop => None,
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
    });
}

/// Writes down which rooms have ended.
async fn keep_ended_rooms(list: EndedRooms, mut ended: UnboundedReceiver<RoomId>) {
    while let Some(room) = ended.recv().await {
        let list = list.clone();
        let written = tokio::task::spawn_blocking(move || list.append(room)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "cannot note that a session has ended");
        }
    }
}

pub(crate) fn unix_millis() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
