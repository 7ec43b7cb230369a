//! The relay: STUN and TURN for participants whose networks let nothing else through.
//!
//! The decisions are in `openstudio-turn`. Here are its sockets: `udp.rs` for datagrams and the
//! relays' own, `streams.rs` for TCP and TLS, `driver.rs` between them and the server,
//! `addresses.rs` for what the machine says of its addresses, `offer.rs` for what participants
//! are told.

mod addresses;
#[cfg(test)]
mod bench;
mod clock;
mod driver;
mod offer;
mod streams;
mod udp;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Arc, Weak};
use std::time::Duration;

use openstudio_tls::Acceptor;
use openstudio_turn::{Counts, PeerPolicy, Prefix, SharedSecret, TurnConfig};
use openstudio_units::Seed;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;

pub(crate) use clock::RelayClock;
pub use offer::SharedTurn;
pub(crate) use offer::{Line, Offer, Own, host_of};

use addresses::Addresses;
use driver::Driver;
use streams::{Door, Places};
use udp::{Port, Sockets};

/// How many ports that are free for datagrams are tried for streams.
const FREE_PORT_TRIES: u32 = 32;

/// The settings of a relay.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Where clients reach it, by UDP and by TCP. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where clients reach it by TLS, if the server has a certificate; none for nowhere.
    pub tls_listen: Option<SocketAddr>,
    /// The name or address in its URLs; none for the one that a client reached the page by.
    pub host: Option<String>,
    /// Ports of relayed addresses.
    pub ports: RangeInclusive<u16>,
    /// The relayed address, where the machine has another one than its network shows.
    pub public_ip: Option<IpAddr>,
    /// Networks that are no public internet and that packets may leave for all the same.
    pub allowed: Vec<Prefix>,
    /// Allocations at once of one participant. For one more, one whose client is silent is given
    /// up.
    pub user_allocations: usize,
    /// Streams at once by TCP and TLS, one address.
    pub address_streams: usize,
    /// Streams at once by TCP and TLS.
    pub streams: usize,
}

impl RelayConfig {
    /// The port of TURN (RFC 8656 §18.6).
    pub const PORT: u16 = 3478;

    /// The port of TURN over TLS (RFC 8656 §18.6).
    pub const TLS_PORT: u16 = 5349;

    /// What the protocol is called in a handshake (RFC 7443 §3).
    const ALPN: [&[u8]; 2] = [b"stun.turn", b"stun.nat-discovery"];

    /// How long credentials are good where nothing else is chosen: a participant gets new ones
    /// with each seat, with each return to it, and before they run out.
    pub const LIFETIME: Duration = Duration::from_secs(300);

    /// Makes the default settings for an address.
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls_listen: Some(SocketAddr::new(listen.ip(), Self::TLS_PORT)),
            host: None,
            ports: 49_160..=49_999,
            public_ip: None,
            allowed: Vec::new(),
            user_allocations: 12,
            address_streams: 64,
            streams: 1_000,
        }
    }
}

/// A relay that runs; it ends with its owner.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    secret: SharedSecret,
    clock: RelayClock,
    driver: Arc<Driver>,
    tasks: Vec<JoinHandle<()>>,
    #[expect(dead_code, reason = "held, not read")]
    packets: Packets,
}

impl Drop for Relay {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.driver.shut_down();
    }
}

impl Relay {
    /// Opens the ports and serves; over TLS as well where there is something to do handshakes
    /// with. `seed` must come from a cryptographic source.
    pub(crate) fn start(
        config: &RelayConfig,
        tls: Option<Acceptor>,
        seed: Seed,
    ) -> io::Result<Self> {
        let packets = Packets::start()?;
        let open_plain = |address| Door::open(address, None);
        let (listener, plain) = on_one_port(config.listen, |at| packets.open(at), open_plain)?;
        let address = plain.local;
        let encrypted = config.tls_listen.zip(tls).and_then(|(address, tls)| door(address, &tls));
        let tls_address = encrypted.as_ref().map(|door| door.local);

        let found = Addresses::find(config);
        let secret = SharedSecret::new(seed.fork("secret").0.to_vec());
        let mut turn = TurnConfig::new(secret.clone());
        turn.policy = policy(config, &found);
        turn.families = found.families();
        turn.user_allocations = config.user_allocations;
        turn.allocations = config.ports.len();
        let clock = RelayClock::start();
        let sockets = Sockets::new(found.bound, config, seed);
        let ways = (listener, packets.handle.clone());
        let driver = Arc::new(Driver::new((turn, seed), clock, sockets, ways));
        let mut tasks = vec![
            packets.handle.spawn(udp::receive(Arc::clone(&driver))),
            packets.handle.spawn({
                let driver = Arc::clone(&driver);
                async move { driver.run_timers().await }
            }),
            tokio::spawn({
                let (driver, config) = (Arc::clone(&driver), config.clone());
                addresses::watch(driver, found, move || Addresses::find_again(&config))
            }),
        ];
        let places = Arc::new(Places::new(config.streams, config.address_streams));
        for door in [Some(plain), encrypted].into_iter().flatten() {
            let (driver, places) = (Arc::clone(&driver), Arc::clone(&places));
            tasks.push(tokio::spawn(streams::accept(driver, door, places)));
        }
        Ok(Self { address, tls_address, secret, clock, driver, tasks, packets })
    }

    /// Returns the address that it listens on, with its real port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address that it listens on for TLS, with its real port; none if it does not.
    pub(crate) fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// Returns the way to ask what it did.
    pub(crate) fn gauge(&self) -> RelayGauge {
        RelayGauge(Arc::downgrade(&self.driver))
    }

    pub(crate) fn secret(&self) -> SharedSecret {
        self.secret.clone()
    }

    /// Returns the clock that credentials are judged by.
    pub(crate) fn clock(&self) -> RelayClock {
        self.clock
    }
}

/// A thread of its own for datagrams, so that none of them waits for a page or a handshake, and
/// none is handed from one thread to another.
#[derive(Debug)]
struct Packets {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Packets {
    fn start() -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("relay").enable_all().build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// Opens the socket that clients send to.
    fn open(&self, address: SocketAddr) -> io::Result<Port> {
        let _entered = self.handle.enter();
        Port::listen(address)
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        // This may be a task, which must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Says what a relay does and did, for as long as it is there.
#[derive(Debug, Clone)]
pub(crate) struct RelayGauge(Weak<Driver>);

impl RelayGauge {
    /// Returns how many allocations there are by UDP, TCP and TLS, and what happened so far.
    pub(crate) fn read(&self) -> Option<([usize; 3], Counts)> {
        self.0.upgrade().map(|driver| driver.report())
    }
}

/// Opens the same port for datagrams and for streams. A free one is one that is free for both.
fn on_one_port<D>(
    listen: SocketAddr,
    mut datagrams: impl FnMut(SocketAddr) -> io::Result<Port>,
    mut streams: impl FnMut(SocketAddr) -> io::Result<D>,
) -> io::Result<(Port, D)> {
    let mut tries = if listen.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        let port = datagrams(listen)?;
        tries -= 1;
        match streams(port.local()) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            opened => return Ok((port, opened?)),
        }
    }
}

/// Opens the port for TLS. The relay goes on without: most who need it get through otherwise.
fn door(address: SocketAddr, tls: &Acceptor) -> Option<Door> {
    match Door::open(address, Some(tls.speaking(&RelayConfig::ALPN))) {
        Ok(door) => Some(door),
        Err(error) => {
            tracing::warn!(
                %error,
                "the relay cannot be reached by TLS, since the address {address} cannot be used; \
                 participants whose networks let nothing but TLS through will hear nobody. End \
                 what else uses the port, or choose another with --turn-tls-listen",
            );
            None
        }
    }
}

/// Which peers packets may leave for.
fn policy(config: &RelayConfig, addresses: &Addresses) -> PeerPolicy {
    PeerPolicy::new(config.allowed.clone(), addresses.own.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_free_port_is_free_for_datagrams_and_for_streams() {
        let mut asked = Vec::new();
        let open = |listen: &str, asked: &mut Vec<u16>| {
            on_one_port(listen.parse().unwrap(), Port::listen, |at| {
                asked.push(at.port());
                if asked.len() < 3 { Err(io::ErrorKind::AddrInUse.into()) } else { Ok(at) }
            })
        };
        let (port, streams) = open("127.0.0.1:0", &mut asked).unwrap();
        assert_eq!((port.local(), asked.len()), (streams, 3));

        let named = port.local().to_string();
        drop(port);
        asked.clear();
        let error = open(&named, &mut asked).unwrap_err();
        assert_eq!((error.kind(), asked.len()), (io::ErrorKind::AddrInUse, 1), "nowhere else");
    }

    #[tokio::test]
    async fn where_no_port_is_free_for_both_there_is_an_error() {
        let taken = |_| Err::<(), _>(io::ErrorKind::AddrInUse.into());
        let outcome = on_one_port("127.0.0.1:0".parse().unwrap(), Port::listen, taken);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
