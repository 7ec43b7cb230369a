//! What an operator may choose.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use openstudio_room::RoomConfig;

use crate::relay::{RelayConfig, SharedTurn};

/// The TCP port of an OpenStudio server where nothing else is chosen.
const DEFAULT_PORT: u16 = 6736;

/// The settings of a [`crate::Server`].
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the secret and the list of ended rooms are kept.
    pub data_dir: PathBuf,
    /// Serve the browser client from this folder and not from the binary.
    pub web_dir: Option<PathBuf>,
    /// Whether somebody takes what [`crate::Server::engine`] gives, and follows orders.
    pub has_engine: bool,
    /// Pages of other origins that may open a WebSocket, as `https://host[:port]`.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Where the certificate comes from; without one, the server speaks plain HTTP.
    pub tls: Option<openstudio_tls::Source>,
    /// Where to listen without TLS as well, to lead browsers to it.
    pub http_redirect: Option<SocketAddr>,
    /// The relay in this server; none for no relay.
    pub relay: Option<RelayConfig>,
    /// Relays of somebody else's that credentials are made for.
    pub turn_shared: Vec<SharedTurn>,
    /// How long credentials are good for new allocations, at [`Self::relay`] and at those.
    pub turn_lifetime: Duration,
    /// Rooms and seats.
    pub rooms: RoomConfig,
    /// Limits per socket and per address.
    pub limits: Limits,
    /// How often a silent socket is pinged.
    pub ping_interval: Duration,
    /// How long a socket may be silent before it counts as dead.
    pub silence_timeout: Duration,
}

impl ServerConfig {
    /// Makes the default settings for a data folder.
    pub fn new(data_dir: PathBuf) -> Self {
        Self {
            listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), DEFAULT_PORT),
            data_dir,
            web_dir: None,
            has_engine: false,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            tls: None,
            http_redirect: None,
            relay: None,
            turn_shared: Vec::new(),
            turn_lifetime: RelayConfig::LIFETIME,
            rooms: RoomConfig::default(),
            limits: Limits::default(),
            ping_interval: Duration::from_secs(15),
            silence_timeout: Duration::from_secs(30),
        }
    }
}

/// How much one socket and one address may do.
///
/// # Source
/// The arithmetic of a mass join. Fifteen participants are 105 pairs. A pair needs an
/// offer, an answer and some eight batches of candidates: 10 messages, 1,050 in all,
/// within about 2 s, and all of it may come from one address (a studio behind one
/// router). One socket sends for 14 pairs: 140 messages if it did all the talking, and
/// up to 30 candidates a pair, 420 messages, if its client does not batch. A description
/// has 2 to 4 KB and a batch below 1 KB: 14 × (4 + 8 × 1) = 168 KB.
///
/// The bursts are a multiple of that: 1,000 messages and 1 MiB a socket (7 × and 6 ×;
/// 2.4 × for a client that does not batch), 5,000 messages an address (4.8 ×). The
/// sustained rates let a network change, in which every pair restarts ICE, pass every
/// ten seconds. A single socket cannot use up what its address may do, since it is
/// refused first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages a second, one socket, sustained.
    pub socket_messages_per_second: u32,
    /// Messages at once, one socket.
    pub socket_message_burst: u32,
    /// Bytes a second, one socket, sustained.
    pub socket_bytes_per_second: u32,
    /// Bytes at once, one socket. At least one message of the largest size.
    pub socket_byte_burst: u32,
    /// Messages a second, one address, sustained.
    pub address_messages_per_second: u32,
    /// Messages at once, one address.
    pub address_message_burst: u32,
    /// TCP connections at once, one address: its sockets and what its pages load.
    pub address_connections: u32,
    /// Sockets at once, one address.
    pub address_sockets: u32,
    /// New sockets a second, one address, sustained.
    pub address_connects_per_second: u32,
    /// New sockets at once, one address: a room of 15 that comes back from a restart,
    /// four times over.
    pub address_connect_burst: u32,
    /// TCP connections at once, all addresses.
    pub connections: u32,
    /// Messages waiting for one slow socket.
    pub queued_messages: u32,
    /// Bytes waiting for one slow socket.
    pub queued_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            socket_messages_per_second: 100,
            socket_message_burst: 1_000,
            socket_bytes_per_second: 128 * 1024,
            socket_byte_burst: 1024 * 1024,
            address_messages_per_second: 1_000,
            address_message_burst: 5_000,
            address_connections: 300,
            address_sockets: 100,
            address_connects_per_second: 5,
            address_connect_burst: 60,
            connections: 10_000,
            queued_messages: 2_000,
            queued_bytes: 2 * 1024 * 1024,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of one pair in the first two seconds: offer, answer, eight batches.
    const PER_PAIR: u32 = 10;

    #[test]
    fn a_mass_join_of_fifteen_fits_with_a_margin_of_four() {
        let limits = Limits::default();
        assert!(limits.address_message_burst >= 4 * 105 * PER_PAIR);
        assert!(limits.socket_message_burst >= 4 * 14 * PER_PAIR);
        assert!(limits.socket_byte_burst >= 4 * 14 * (4 + 8) * 1024);
        assert!(limits.address_connect_burst >= 4 * 15);
        assert!(limits.queued_messages >= 4 * 14 * PER_PAIR);
    }

    #[test]
    fn one_socket_cannot_use_up_what_its_address_may_do() {
        let limits = Limits::default();
        assert!(limits.address_message_burst >= 4 * limits.socket_message_burst);
        assert!(limits.address_messages_per_second >= 4 * limits.socket_messages_per_second);
    }
}
