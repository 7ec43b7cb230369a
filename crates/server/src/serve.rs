//! [`Server`]: opening the port, accepting, stopping.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use openstudio_room::Rooms;
use openstudio_tls::{Acceptor, Kind, Tls, TlsConfig, TlsError};
use openstudio_turn::SharedSecret;
use openstudio_units::{RoomId, Seed, Timestamp};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{self, UnboundedReceiver, unbounded_channel};
use tokio::sync::{Semaphore, watch};

use crate::accept::{self, Door, Gate, accept};
use crate::assets::Assets;
use crate::config::ServerConfig;
use crate::ended::EndedRooms;
use crate::engine::{self, EngineLine, EnginePort, EngineRequest};
use crate::http::{App, router};
use crate::hub::Hub;
use crate::limits::AddressBook;
use crate::redirect;
use crate::relay::{Offer, Own, Relay, RelayConfig};
use crate::secret::{Secret, SecretError};
use crate::socket::KeepAlive;
use crate::tokens::JwtTokens;

/// The port to which authorities and browsers come by a public name.
const HTTPS_PORT: u16 = 443;

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
    /// There is no certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Those who come without TLS cannot be led to it.
    #[error("cannot listen on {address}; choose another address with --http-redirect")]
    Redirect {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A server that listens.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    local_addr: SocketAddr,
    tls: Option<Tls>,
    /// Where the engine connects, which needs no TLS: on this machine, if there is any.
    inner: Option<TcpListener>,
    /// Where those are led to TLS who come without.
    redirect: Option<TcpListener>,
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
        let tls = match &config.tls {
            Some(source) => {
                let (source, data_dir) = (source.clone(), config.data_dir.clone());
                Some(Tls::open(&TlsConfig { source, data_dir })?)
            }
            None => None,
        };
        let (listener, local_addr) = listen(config.listen).await?;
        let inner = if tls.is_some() && config.has_engine {
            Some(listen((Ipv4Addr::LOCALHOST, 0).into()).await?.0)
        } else {
            None
        };
        let redirect = match config.http_redirect {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(|source| StartError::Redirect { address, source })?,
            ),
            None => None,
        };

        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| SecretError::Random)?;
        let relay = config
            .relay
            .as_ref()
            .and_then(|config| open_relay(config, tls.as_ref().map(Tls::acceptor), Seed(seed)));
        let offer = offer(&config, relay.as_ref(), Seed(seed));
        let mut rooms_config = config.rooms;
        rooms_config.zero_unix_ms = unix_millis();
        rooms_config.has_engine = config.has_engine;
        rooms_config.ice_renewal = offer.renewal();
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
            is_encrypted: tls.is_some(),
            relay: relay.as_ref().map(Relay::gauge),
        };
        let connections = usize::try_from(config.limits.connections).unwrap_or(usize::MAX);
        Ok(Self {
            listener,
            local_addr,
            tls,
            inner,
            redirect,
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
        let inner = self.inner.as_ref().and_then(|inner| inner.local_addr().ok());
        let address = inner.unwrap_or(self.local_addr);
        let line = EngineLine { hub: Arc::clone(&self.app.hub), address };
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

    /// Returns the address that the relay listens on for TLS, with its real port; none if it
    /// does not.
    pub fn relay_tls_addr(&self) -> Option<SocketAddr> {
        self.relay.as_ref().and_then(Relay::tls_address)
    }

    /// Returns the address that the server listens on, with its real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Returns the certificate, if the server speaks TLS.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Serves until `stop` completes, then tells everybody to come back and returns
    /// within a few seconds.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listener, local_addr, tls, inner, redirect, app, relay, .. } = self;
        let hub = Arc::clone(&app.hub);
        let timers = tokio::spawn({
            let hub = Arc::clone(&hub);
            async move { hub.run_timers().await }
        });
        let keeper = tokio::spawn(keep_ended_rooms(self.ended.0, self.ended.1));
        let (stopping, stopped) = watch::channel(false);
        let doors =
            Doors::new(router_of(&app, self.routes, tls.as_ref()), tls.as_ref(), local_addr);
        let certificate = tls.map(|tls| tokio::spawn(tls.keep()));
        let gate = Gate { app, connections: self.connections, stopped };
        tokio::select! {
            () = accept(Some(&listener), &gate, &doors.main) => {}
            () = accept(inner.as_ref(), &gate, &doors.inner) => {}
            () = accept(redirect.as_ref(), &gate, &doors.redirect) => {}
            () = stop => {}
        }
        drop((listener, inner, redirect, gate, doors));
        if let Some(certificate) = certificate {
            certificate.abort();
        }
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
        // Sound goes through it until everybody has been told.
        drop(relay);
        timers.abort();
        drop(hub);
        // The last owner of the hub is gone unless a connection hangs, so this ends too.
        let _ = tokio::time::timeout(Duration::from_millis(500), keeper).await;
        tracing::info!("stopped");
    }
}

/// Starts the relay. The studio goes on without one: most participants need none.
fn open_relay(config: &RelayConfig, tls: Option<Acceptor>, seed: Seed) -> Option<Relay> {
    match Relay::start(config, tls, seed.fork("relay")) {
        Ok(relay) => {
            let tls = relay.tls_address().map(tracing::field::display);
            tracing::info!(address = %relay.address(), tls, "the relay is open");
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
fn offer(config: &ServerConfig, relay: Option<&Relay>, seed: Seed) -> Offer {
    let own = |relay: &Relay| {
        let address = relay.address();
        Own {
            secret: relay.secret(),
            clock: relay.clock(),
            port: address.port(),
            tls_port: relay.tls_address().map(|address| address.port()),
            host: config.relay.as_ref().and_then(|config| config.host.clone()),
            ip: address.ip(),
        }
    };
    Offer {
        own: relay.map(own),
        shared: config.turn_shared.clone(),
        lifetime: config.turn_lifetime,
        names: SharedSecret::new(seed.fork("relay names").0.to_vec()),
    }
}

/// What is behind each listener.
struct Doors {
    main: Door,
    inner: Door,
    redirect: Door,
}

impl Doors {
    fn new(routes: Router, tls: Option<&Tls>, local: SocketAddr) -> Self {
        // An authority comes to a public name at this port, whatever port it leads to.
        let is_public = tls.is_some_and(|tls| tls.kind() == Kind::Acme);
        let redirect = redirect::router(if is_public { HTTPS_PORT } else { local.port() });
        let tls =
            tls.map(|tls| accept::Tls { acceptor: tls.acceptor(), redirect: redirect.clone() });
        Self {
            main: Door { routes: routes.clone(), tls },
            inner: Door { routes, tls: None },
            redirect: Door { routes: redirect, tls: None },
        }
    }
}

/// Makes the routes. Browsers may remember that the studio is at https alone, unless its
/// certificate is its own: then people have to go on by hand, which such a memory forbids.
fn router_of(app: &Arc<App>, further: Router, tls: Option<&Tls>) -> Router {
    let lasts = tls.is_some_and(|tls| tls.kind() != Kind::SelfSigned);
    router(Arc::clone(app), further, lasts)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            StartError::AddressInUse { address }
        } else {
            StartError::Listen { address, source }
        }
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local_addr = listener.local_addr().map_err(failed)?;
    Ok((listener, local_addr))
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
