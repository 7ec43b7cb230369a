//! [`TurnClient`]: an allocation on somebody's TURN server. Requests and their repetition are in
//! `transactions.rs`.

mod transactions;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_units::{Rng, Seed, Timestamp};
use stun_types::attribute::{AttributeStaticType as _, ErrorCode, XorMappedAddress};
use stun_types::message::{Message, MessageClass};
use thiserror::Error;
use turn_types::attribute::{Data, Lifetime, XorPeerAddress, XorRelayedAddress};
use turn_types::message::{DATA, SEND};

use crate::server::Family;
use crate::stun::{self, attribute};
use crate::{Credentials, Transport};
use transactions::{Authentication, Purpose, Transactions};

/// Permissions are renewed after this: they are good for 300 s, and a channel's with it.
const PEER_RENEWAL: Duration = Duration::from_secs(240);

/// An allocation is renewed this long before its end, or at half of its life.
const MARGIN: Duration = Duration::from_secs(60);

/// The first channel (RFC 8656 §12), and how many there are.
const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4FFF;

/// What a client is made with.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// How messages go to the server. By streams they are not repeated.
    pub transport: Transport,
    /// The long-term credentials.
    pub credentials: Credentials,
    /// The family of the relayed address.
    pub family: Family,
}

/// Why there is no allocation, or none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClientError {
    /// The server does not answer. Try another.
    #[error("the TURN server does not answer")]
    Silent,
    /// The server refuses with this code of RFC 8489 or RFC 8656: 401 for wrong credentials,
    /// 486 for too many allocations.
    #[error("the TURN server refuses with {0}")]
    Refused(u16),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The allocation is there.
    Allocated {
        /// Where peers reach it.
        relayed: SocketAddr,
        /// The client's address as the server sees it.
        mapped: Option<SocketAddr>,
    },
    /// Packets may go to and come from this peer.
    Permitted {
        /// The peer.
        peer: SocketAddr,
    },
    /// The server refuses a peer, or does not answer about it. Asking again may help.
    PeerRefused {
        /// The peer.
        peer: SocketAddr,
        /// Why.
        error: ClientError,
    },
    /// A packet came from a peer.
    Received {
        /// The peer.
        peer: SocketAddr,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// The allocation could not be made, or was lost. The last event.
    Failed(ClientError),
    /// The allocation was given back. The last event.
    Ended,
}

/// What to do, or to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientOutput {
    /// Send this to the server, as one datagram or as the next bytes of the stream.
    Transmit(Vec<u8>),
    /// Something happened.
    Event(ClientEvent),
}

/// A peer that somebody asked for.
#[derive(Debug, Default)]
struct Peer {
    /// None for those that indications are enough for.
    channel: Option<u16>,
    /// Whether the server knows the channel. Until then indications go out.
    bound: bool,
    permitted: bool,
    renew_at: Option<Timestamp>,
}

#[derive(Debug)]
enum State {
    Allocating,
    Allocated { renew_at: Timestamp },
    Ending,
    Over,
}

/// The client's side of one allocation.
///
/// Its driver transmits what [`Self::poll_output`] says, calls [`Self::handle`] with each
/// datagram or each message of a stream (see [`crate::length_in_stream`]), and
/// [`Self::on_timeout`] when [`Self::poll_timeout`] says so.
#[derive(Debug)]
pub struct TurnClient {
    config: ClientConfig,
    state: State,
    authentication: Authentication,
    transactions: Transactions,
    ids: Rng,
    peers: BTreeMap<SocketAddr, Peer>,
    /// A channel is one peer's for as long as the allocation lives: RFC 8656 §12 lets none
    /// have another peer within minutes.
    channels: BTreeMap<u16, SocketAddr>,
    outputs: VecDeque<ClientOutput>,
}

impl TurnClient {
    /// Makes a client and asks for an allocation.
    pub fn new(config: ClientConfig, seed: Seed, now: Timestamp) -> Self {
        let mut client = Self {
            state: State::Allocating,
            authentication: Authentication::new(config.credentials.clone()),
            transactions: Transactions::new(config.transport),
            config,
            ids: seed.fork("turn client").rng(),
            peers: BTreeMap::new(),
            channels: BTreeMap::new(),
            outputs: VecDeque::new(),
        };
        client.request(now, Purpose::Allocate, 0);
        client
    }

    /// Asks that packets may go to and come from a peer. With a channel they have 4 bytes of
    /// head and not 36; a permitted peer may get one later. Both are renewed until
    /// [`Self::forget`].
    pub fn permit(&mut self, now: Timestamp, peer: SocketAddr, with_channel: bool) {
        let wanting = with_channel && self.peers.get(&peer).is_none_or(|it| it.channel.is_none());
        let number = if wanting { self.channel_for(peer) } else { None };
        let entry = self.peers.entry(peer).or_default();
        if let Some(number) = number {
            entry.channel = Some(number);
            self.channels.insert(number, peer);
        }
        if matches!(self.state, State::Allocated { .. }) {
            self.ask_for(now, peer);
        }
    }

    /// Renews a peer's permission and channel no more. Within minutes the server lets nothing
    /// of it through.
    pub fn forget(&mut self, peer: SocketAddr) {
        self.peers.remove(&peer);
    }

    /// Asks the server whether it still has the allocation, and renews it. Where it has not,
    /// [`ClientEvent::Failed`] follows.
    pub fn check(&mut self, now: Timestamp) {
        if matches!(self.state, State::Allocated { .. }) {
            self.request(now, Purpose::Refresh, 0);
        }
    }

    /// Returns what to transmit so that `bytes` go to a peer; none while it is not permitted.
    pub fn send(&mut self, peer: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
        let entry = self.peers.get(&peer).filter(|entry| entry.permitted)?;
        match entry.channel.filter(|_| entry.bound) {
            Some(channel) => stun::channel_data(channel, bytes, self.config.transport.is_stream()),
            None => Some(stun::indication(SEND, stun::draw(&mut self.ids), peer, bytes)),
        }
    }

    /// Gives the allocation back.
    pub fn end(&mut self, now: Timestamp) {
        match self.state {
            State::Allocated { .. } => {
                self.transactions.clear();
                self.state = State::Ending;
                self.request(now, Purpose::End, 0);
            }
            State::Allocating => self.finish(ClientEvent::Ended),
            State::Ending | State::Over => {}
        }
    }

    /// Something came from the server: a datagram, or one message of a stream.
    pub fn handle(&mut self, now: Timestamp, bytes: &[u8]) {
        if let Some((channel, data)) = bytes
            .first()
            .filter(|first| **first & 0xC0 == 0x40)
            .and(stun::parse_channel_data(bytes))
        {
            if let Some(peer) = self.channels.get(&channel).copied() {
                self.event(ClientEvent::Received { peer, bytes: data.to_vec() });
            }
            return;
        }
        let Some(message) = stun::parse(bytes) else { return };
        match message.class() {
            MessageClass::Indication if message.method() == DATA => self.received(&message),
            MessageClass::Success | MessageClass::Error => self.answered(now, &message),
            MessageClass::Indication | MessageClass::Request => {}
        }
    }

    /// Repeats requests, gives up, renews. Calling early or twice is harmless.
    pub fn on_timeout(&mut self, now: Timestamp) {
        for bytes in self.transactions.repeat(now) {
            self.outputs.push_back(ClientOutput::Transmit(bytes));
        }
        while let Some(purpose) = self.transactions.give_up(now) {
            self.failed(purpose, ClientError::Silent);
        }
        let State::Allocated { renew_at } = &mut self.state else { return };
        if *renew_at <= now {
            *renew_at = now + MARGIN;
            self.request(now, Purpose::Refresh, 0);
        }
        let due = |entry: &Peer| entry.renew_at.is_some_and(|at| at <= now);
        let peers: Vec<_> =
            self.peers.iter().filter(|(_, entry)| due(entry)).map(|(peer, _)| *peer).collect();
        for peer in peers {
            self.ask_for(now, peer);
        }
    }

    /// Returns when to call [`Self::on_timeout`].
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        let renewals = match self.state {
            State::Allocated { renew_at } => {
                let peers = self.peers.values().filter_map(|entry| entry.renew_at).min();
                Some(peers.map_or(renew_at, |at| at.min(renew_at)))
            }
            State::Allocating | State::Ending | State::Over => None,
        };
        renewals.into_iter().chain(self.transactions.next()).min()
    }

    /// Returns the next thing to do or to know. None means drained.
    pub fn poll_output(&mut self) -> Option<ClientOutput> {
        self.outputs.pop_front()
    }

    fn received(&mut self, message: &Message<'_>) {
        let peer = attribute::<XorPeerAddress>(message);
        let Some((raw, peer)) = message.raw_attribute(Data::TYPE).zip(peer) else { return };
        let peer = peer.addr(message.transaction_id());
        self.event(ClientEvent::Received { peer, bytes: raw.value.to_vec() });
    }

    fn answered(&mut self, now: Timestamp, message: &Message<'_>) {
        let id = message.transaction_id();
        let Some((purpose, attempt)) = self.transactions.get(id) else { return };
        let code = match message.class() {
            MessageClass::Error => attribute::<ErrorCode>(message).map(|error| error.code()),
            MessageClass::Success | MessageClass::Request | MessageClass::Indication => None,
        };
        let is_challenge = matches!(code, Some(401 | 438));
        // A challenge and an early 400 are not signed; everything else must be.
        if !is_challenge && code != Some(400) && !self.authentication.verifies(message) {
            return;
        }
        self.transactions.remove(id);
        if is_challenge && attempt < 3 && self.authentication.challenged(code, message) {
            return self.request(now, purpose, attempt.saturating_add(1));
        }
        match (message.class(), code) {
            (MessageClass::Success, _) => self.succeeded(now, purpose, message),
            (_, code) => self.failed(purpose, ClientError::Refused(code.unwrap_or(500))),
        }
    }

    fn succeeded(&mut self, now: Timestamp, purpose: Purpose, message: &Message<'_>) {
        match purpose {
            Purpose::Allocate => self.allocated(now, message),
            Purpose::Refresh => self.renew_later(now, message),
            Purpose::Permit(peer) | Purpose::Bind(peer) => {
                let Some(entry) = self.peers.get_mut(&peer) else { return };
                entry.renew_at = Some(now + PEER_RENEWAL);
                entry.bound |= matches!(purpose, Purpose::Bind(_));
                if !std::mem::replace(&mut entry.permitted, true) {
                    self.event(ClientEvent::Permitted { peer });
                }
            }
            Purpose::End => self.finish(ClientEvent::Ended),
        }
    }

    fn allocated(&mut self, now: Timestamp, message: &Message<'_>) {
        let id = message.transaction_id();
        let Some(relayed) = attribute::<XorRelayedAddress>(message) else {
            return self.finish(ClientEvent::Failed(ClientError::Refused(500)));
        };
        let mapped = attribute::<XorMappedAddress>(message).map(|mapped| mapped.addr(id));
        self.renew_later(now, message);
        self.event(ClientEvent::Allocated { relayed: relayed.addr(id), mapped });
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in peers {
            self.ask_for(now, peer);
        }
    }

    fn renew_later(&mut self, now: Timestamp, message: &Message<'_>) {
        let seconds = attribute::<Lifetime>(message).map_or(600, |lifetime| lifetime.seconds());
        let lifetime = Duration::from_secs(seconds.into());
        let after = lifetime.saturating_sub(MARGIN).max(lifetime.div_f64(2.0));
        self.state = State::Allocated { renew_at: now + after };
    }

    fn failed(&mut self, purpose: Purpose, error: ClientError) {
        match purpose {
            Purpose::Permit(peer) | Purpose::Bind(peer) => {
                let Some(entry) = self.peers.get_mut(&peer) else { return };
                let channel = entry.channel.filter(|_| !entry.bound);
                if let Some(channel) = channel {
                    self.channels.remove(&channel);
                }
                if matches!(purpose, Purpose::Bind(_)) && entry.permitted && !entry.bound {
                    // Indications do as well.
                    entry.channel = None;
                    return;
                }
                self.peers.remove(&peer);
                self.event(ClientEvent::PeerRefused { peer, error });
            }
            Purpose::Allocate | Purpose::Refresh => self.finish(ClientEvent::Failed(error)),
            // The server forgets by itself.
            Purpose::End => self.finish(ClientEvent::Ended),
        }
    }

    /// The channel that is a peer's already, or else a free one.
    fn channel_for(&self, peer: SocketAddr) -> Option<u16> {
        let own = self.channels.iter().find(|(_, of)| **of == peer).map(|(number, _)| *number);
        own.or_else(|| CHANNELS.into_iter().find(|number| !self.channels.contains_key(number)))
    }

    fn ask_for(&mut self, now: Timestamp, peer: SocketAddr) {
        if let Some(entry) = self.peers.get_mut(&peer) {
            entry.renew_at = Some(now + PEER_RENEWAL);
            // A binding permits as well (RFC 8656 §12).
            let with_channel = entry.channel.is_some();
            let purpose = if with_channel { Purpose::Bind } else { Purpose::Permit };
            self.request(now, purpose(peer), 0);
        }
    }

    fn request(&mut self, now: Timestamp, purpose: Purpose, attempt: u8) {
        let id = stun::draw(&mut self.ids);
        let channel = match purpose {
            Purpose::Bind(peer) => self.peers.get(&peer).and_then(|entry| entry.channel),
            Purpose::Allocate | Purpose::Refresh | Purpose::Permit(_) | Purpose::End => None,
        };
        let family = self.config.family;
        let bytes = transactions::write(id, (purpose, channel), family, &self.authentication);
        self.transactions.start(now, id, (purpose, attempt), bytes.clone());
        self.outputs.push_back(ClientOutput::Transmit(bytes));
    }

    fn finish(&mut self, event: ClientEvent) {
        if matches!(self.state, State::Over) {
            return;
        }
        self.state = State::Over;
        self.transactions.clear();
        self.peers.clear();
        self.channels.clear();
        self.event(event);
    }

    fn event(&mut self, event: ClientEvent) {
        self.outputs.push_back(ClientOutput::Event(event));
    }
}
