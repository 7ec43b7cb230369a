//! [`TurnServer`]: who is who, allocations and their ends. The requests are in `requests.rs`,
//! who may make them in `auth.rs`, and packets on their way in `relaying.rs`.

mod allocation;
mod auth;
mod counts;
mod relaying;
mod requests;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use openstudio_units::{Rng, Seed, Timestamp};
use thiserror::Error;

use crate::Transport;
use crate::limiter::{Limiter, LimiterConfig};
use crate::nonce::Nonces;
use crate::policy::PeerPolicy;
use crate::secret::SharedSecret;
use allocation::{Allocation, Relay};

pub use counts::{Counts, Refused};

/// A client as the server sees it: its transport and both ends of it (the 5-tuple).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Client {
    /// How it came.
    pub transport: Transport,
    /// Its address. Of a stream, it is in use until [`TurnServer::stream_closed`].
    pub address: SocketAddr,
    /// The server's address that it came to.
    pub local: SocketAddr,
}

/// A relay's socket, numbered by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayId(pub u64);

/// The family of a relayed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Returns the family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this to a client. If its stream is full, drop it.
    Reply {
        /// Whom to.
        client: Client,
        /// A whole message, padded for a stream.
        bytes: Vec<u8>,
    },
    /// Open a UDP socket, and tell [`TurnServer::relay_opened`].
    OpenRelay {
        /// Its number.
        id: RelayId,
        /// Its family.
        family: Family,
    },
    /// Send this from a relay's socket.
    SendFromRelay {
        /// Whose.
        id: RelayId,
        /// Whom to.
        peer: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Close a relay's socket.
    CloseRelay {
        /// Whose.
        id: RelayId,
    },
}

/// The driver could not open a relay's socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no socket could be opened for the relay")]
pub struct RelayError;

/// The settings of a [`TurnServer`].
#[derive(Debug, Clone)]
pub struct TurnConfig {
    /// What credentials are computed with.
    pub secret: SharedSecret,
    /// The realm. Short, since strangers get few bytes: challenges with more than 12 do not wait
    /// for credit, and the client asks again. Printable ASCII.
    pub realm: String,
    /// Which peers packets may leave for.
    pub policy: PeerPolicy,
    /// Whether relays of IPv4 and of IPv6 can be opened.
    pub families: (bool, bool),
    /// Allocations at once of one user. For one more, one whose client is silent is given up.
    pub user_allocations: usize,
    /// Allocations at once.
    pub allocations: usize,
    /// Permissions, and channels, of one allocation.
    pub peers: usize,
    /// What strangers may cost.
    pub limiter: LimiterConfig,
    /// Seconds since 1970 at [`Timestamp::ZERO`], to which expiries are compared.
    pub zero_unix_seconds: u64,
}

impl TurnConfig {
    /// Makes the default settings.
    pub fn new(secret: SharedSecret) -> Self {
        Self {
            secret,
            realm: "os".to_owned(),
            policy: PeerPolicy::default(),
            families: (true, true),
            user_allocations: 12,
            allocations: 800,
            peers: 128,
            limiter: LimiterConfig::default(),
            zero_unix_seconds: 0,
        }
    }
}

/// How long the client of an allocation must have been silent for it to be given up for a newer
/// one of its user. Over one that is in use, ICE asks for consent every few seconds
/// (RFC 7675 §5.1); nothing comes from a client that crashed or went to another network.
const SILENCE: Duration = Duration::from_secs(30);

/// A STUN and TURN server.
#[derive(Debug)]
pub struct TurnServer {
    config: TurnConfig,
    nonces: Nonces,
    limiter: Limiter,
    transactions: Rng,
    next: u64,
    allocations: BTreeMap<RelayId, Allocation>,
    clients: BTreeMap<Client, RelayId>,
    /// Relayed addresses of open allocations.
    relayed: BTreeMap<SocketAddr, RelayId>,
    /// Allocations of each user, those included whose socket is being opened.
    users: BTreeMap<String, BTreeSet<RelayId>>,
    deadlines: BTreeSet<(Timestamp, RelayId)>,
    outputs: VecDeque<Output>,
    counts: Counts,
}

impl TurnServer {
    /// Makes a server without allocations. `seed` must come from a cryptographic source.
    pub fn new(config: TurnConfig, seed: Seed) -> Self {
        Self {
            nonces: Nonces::new(seed),
            limiter: Limiter::new(config.limiter),
            transactions: seed.fork("transactions").rng(),
            config,
            next: 0,
            allocations: BTreeMap::new(),
            clients: BTreeMap::new(),
            relayed: BTreeMap::new(),
            users: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Something came from a client: a datagram, or one message of a stream. IPv4 addresses
    /// must not be written as IPv6.
    pub fn handle(&mut self, now: Timestamp, client: Client, bytes: &[u8]) {
        match bytes.first().map(|first| first & 0xC0) {
            Some(0x00) => self.handle_stun(now, client, bytes),
            Some(0x40) => self.handle_channel_data(now, client, bytes),
            Some(_) | None => {}
        }
    }

    /// The server has these addresses from now on, and can open relays of these families, of
    /// IPv4 and of IPv6. Relays that are open stay.
    pub fn set_addresses(&mut self, own: impl IntoIterator<Item = IpAddr>, families: (bool, bool)) {
        self.config.policy.set_own(own);
        self.config.families = families;
    }

    /// A client's stream is gone, and its allocation with it.
    pub fn stream_closed(&mut self, client: Client) {
        if let Some(id) = self.clients.get(&client).copied() {
            self.remove(id);
        }
    }

    /// Answers an [`Output::OpenRelay`]. `outcome` is the address that peers see.
    pub fn relay_opened(
        &mut self,
        now: Timestamp,
        id: RelayId,
        outcome: Result<SocketAddr, RelayError>,
    ) {
        let Some(allocation) = self.allocations.get_mut(&id) else {
            if outcome.is_ok() {
                self.outputs.push_back(Output::CloseRelay { id });
            }
            return;
        };
        let Relay::Opening { lifetime } = allocation.relay else { return };
        match outcome {
            Ok(address) => {
                let answer = requests::allocated(allocation, address, lifetime);
                let (client, asked, bytes) = (allocation.client, allocation.asked, answer.clone());
                let expires = now + lifetime;
                allocation.relay = Relay::Open { address, expires, answer };
                self.relayed.insert(address, id);
                self.deadlines.insert((expires, id));
                self.counts.opened = self.counts.opened.saturating_add(1);
                self.send_signed(now, client, asked, bytes);
            }
            Err(RelayError) => {
                let bytes = requests::not_opened(allocation);
                let (client, asked) = (allocation.client, allocation.asked);
                self.remove(id);
                self.counts.refused.count(508);
                self.send_signed(now, client, asked, bytes);
            }
        }
    }

    /// Ends what has expired. Calling early or twice is harmless.
    pub fn on_timeout(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, id));
            self.remove(id);
        }
    }

    /// Returns when to call [`Self::on_timeout`].
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Returns the next thing to do. None means drained.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Returns how many allocations there are, those included whose socket is being opened.
    pub fn allocations(&self) -> usize {
        self.allocations.len()
    }

    /// Returns whether a client has an allocation, or one whose socket is being opened.
    pub fn has_allocation(&self, client: Client) -> bool {
        self.clients.contains_key(&client)
    }

    /// Returns how many allocations there are whose clients came by a transport. Counts them
    /// one by one.
    pub fn allocations_by(&self, transport: Transport) -> usize {
        self.clients.keys().filter(|client| client.transport == transport).count()
    }

    /// Returns what happened since the start.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Moves the end of an open allocation.
    fn prolong(&mut self, now: Timestamp, id: RelayId, lifetime: Duration) {
        let Some(Relay::Open { expires, .. }) =
            self.allocations.get_mut(&id).map(|allocation| &mut allocation.relay)
        else {
            return;
        };
        self.deadlines.remove(&(*expires, id));
        *expires = now + lifetime;
        self.deadlines.insert((*expires, id));
    }

    /// Notes that a client is still there.
    fn hear(&mut self, now: Timestamp, client: Client) {
        if let Some(id) = self.clients.get(&client)
            && let Some(allocation) = self.allocations.get_mut(id)
        {
            allocation.heard = now;
        }
    }

    /// Returns whether a user may have one more allocation, after the one whose client has been
    /// silent for longest was given up for it if need be.
    fn make_room(&mut self, now: Timestamp, user: &str) -> bool {
        let Some(own) = self.users.get(user) else { return true };
        if own.len() < self.config.user_allocations {
            return true;
        }
        let heard = own.iter().filter_map(|id| Some((self.allocations.get(id)?.heard, *id)));
        match heard.min() {
            Some((heard, id)) if now.since(heard) >= SILENCE => {
                self.remove(id);
                true
            }
            Some(_) | None => false,
        }
    }

    fn insert(&mut self, allocation: Allocation) {
        let id = RelayId(self.next);
        self.next = self.next.saturating_add(1);
        let family = allocation.family;
        self.users.entry(allocation.user().to_owned()).or_default().insert(id);
        self.clients.insert(allocation.client, id);
        self.allocations.insert(id, allocation);
        self.outputs.push_back(Output::OpenRelay { id, family });
    }

    /// Ends an allocation. One whose socket is being opened is closed when that is told.
    fn remove(&mut self, id: RelayId) {
        let Some(allocation) = self.allocations.remove(&id) else { return };
        self.clients.remove(&allocation.client);
        if let Some(own) = self.users.get_mut(allocation.user()) {
            own.remove(&id);
            if own.is_empty() {
                self.users.remove(allocation.user());
            }
        }
        if let Some(expires) = allocation.expires() {
            self.deadlines.remove(&(expires, id));
        }
        if let Some(address) = allocation.address() {
            self.relayed.remove(&address);
            self.outputs.push_back(Output::CloseRelay { id });
        }
    }

    fn drop_packet(&mut self) {
        self.counts.dropped = self.counts.dropped.saturating_add(1);
    }
}
