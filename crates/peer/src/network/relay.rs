//! An allocation on a TURN server, from being asked for to being given back. All connections of
//! a participant share it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_turn::{
    ClientConfig, ClientError, ClientEvent, ClientOutput, Credentials, Family, Transport,
    TurnClient,
};
use openstudio_units::{Seed, Timestamp};

use super::sockets::Sockets;
use super::stream::{Said, Stream};
use super::{Datagram, is_stun};

/// Peers at once at most: a dozen addresses of each of 40 people.
const PEERS: usize = 512;

/// Packets that wait for a permission at most, of one peer and of all.
const WAITING_OF_ONE: usize = 4;
const WAITING: usize = 256;

/// How long a peer that was refused is not asked for again.
const REFUSED: Duration = Duration::from_secs(30);

/// A peer to whom nothing was sent for so long is renewed no more.
const UNUSED: Duration = Duration::from_secs(120);

/// One attempt at an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RelayId(pub(super) u64);

/// Where an allocation may be had.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// What it was called in the settings.
    pub(super) url: String,
    pub(super) transport: Transport,
    pub(super) server: SocketAddr,
    /// The name or address that its certificate is for.
    pub(super) host: String,
    pub(super) credentials: Credentials,
}

impl Target {
    /// Returns `HOST:PORT`.
    pub(super) fn authority(&self) -> String {
        let port = self.server.port();
        if self.host.contains(':') {
            format!("[{}]:{port}", self.host)
        } else {
            format!("{}:{port}", self.host)
        }
    }
}

/// What became of an allocation.
#[derive(Debug)]
pub(super) enum Happening {
    /// It is there.
    Allocated {
        /// Where peers reach it.
        relayed: SocketAddr,
        /// The machine's address that the server is reached from.
        local: SocketAddr,
    },
    /// A packet came from a peer.
    Received(Datagram),
    /// There is none, or none any more.
    Over,
}

/// How the server is reached.
#[derive(Debug)]
enum Way {
    Datagrams(SocketAddr),
    Stream { stream: Stream, local: Option<SocketAddr> },
}

/// What is known of a peer.
#[derive(Debug)]
struct Peer {
    used: Timestamp,
    has_channel: bool,
    refused_until: Option<Timestamp>,
}

/// An allocation, or an attempt at one.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) id: RelayId,
    pub(super) target: Target,
    /// Where peers reach it, as long as it is there.
    pub(super) relayed: Option<SocketAddr>,
    client: TurnClient,
    way: Way,
    peers: BTreeMap<SocketAddr, Peer>,
    waiting: VecDeque<(SocketAddr, Vec<u8>)>,
    sweep_at: Timestamp,
}

impl Relay {
    /// Asks for an allocation; none where no way leads to the server.
    pub(super) fn begin(
        (id, target): (RelayId, Target),
        seed: Seed,
        now: Timestamp,
        sockets: &Sockets,
    ) -> Option<Self> {
        let way = if target.transport.is_stream() {
            let (tls, arrivals) = (sockets.tls.clone(), sockets.arrivals.clone());
            let stream = Stream::open(id, target.clone(), tls, arrivals);
            Way::Stream { stream, local: None }
        } else {
            Way::Datagrams(sockets.way_to(target.server)?)
        };
        let config = ClientConfig {
            transport: target.transport,
            credentials: target.credentials.clone(),
            family: Family::of(target.server.ip()),
        };
        Some(Self {
            id,
            target,
            relayed: None,
            client: TurnClient::new(config, seed, now),
            way,
            peers: BTreeMap::new(),
            waiting: VecDeque::new(),
            sweep_at: now + UNUSED,
        })
    }

    /// Returns the machine's address that the server is reached from, once it is known.
    pub(super) fn local(&self) -> Option<SocketAddr> {
        match &self.way {
            Way::Datagrams(local) => Some(*local),
            Way::Stream { local, .. } => *local,
        }
    }

    /// Returns whether a datagram is the server's.
    pub(super) fn is_from_server(&self, datagram: &Datagram) -> bool {
        match &self.way {
            Way::Datagrams(local) => {
                (*local, self.target.server) == (datagram.destination, datagram.source)
            }
            Way::Stream { .. } => false,
        }
    }

    /// Takes what the server sent.
    pub(super) fn handle(&mut self, now: Timestamp, bytes: &[u8]) {
        self.client.handle(now, bytes);
    }

    /// Takes what the stream to the server says. Returns whether it is over.
    pub(super) fn stream_said(&mut self, now: Timestamp, said: Said) -> bool {
        match (said, &mut self.way) {
            (Said::Opened(address), Way::Stream { local, .. }) => *local = Some(address),
            (Said::Message(bytes), _) => self.client.handle(now, &bytes),
            (Said::Closed, _) => return true,
            (Said::Opened(_), Way::Datagrams(_)) => {}
        }
        false
    }

    /// Sends a packet to a peer as soon as the server permits it. What comes meanwhile waits, up
    /// to a bound. Whoever gets more than STUN gets a channel.
    pub(super) fn send(
        &mut self,
        now: Timestamp,
        sockets: &Sockets,
        peer: SocketAddr,
        bytes: &[u8],
    ) {
        if !self.peers.contains_key(&peer) {
            if self.peers.len() >= PEERS {
                return;
            }
            self.client.permit(now, peer, false);
        }
        let fresh = Peer { used: now, has_channel: false, refused_until: None };
        let known = self.peers.entry(peer).or_insert(fresh);
        known.used = now;
        match known.refused_until {
            Some(until) if now < until => return,
            Some(_) => {
                known.refused_until = None;
                self.client.permit(now, peer, false);
            }
            None => {}
        }
        if !is_stun(bytes) && !std::mem::replace(&mut known.has_channel, true) {
            self.client.permit(now, peer, true);
        }
        match self.client.send(peer, bytes) {
            Some(message) => self.transmit(sockets, message),
            None => self.keep(peer, bytes),
        }
    }

    /// Carries out what the client wants. Returns what happened.
    pub(super) fn drain(&mut self, now: Timestamp, sockets: &Sockets) -> Vec<Happening> {
        let mut happened = Vec::new();
        while let Some(output) = self.client.poll_output() {
            match output {
                ClientOutput::Transmit(message) => self.transmit(sockets, message),
                ClientOutput::Event(event) => {
                    happened.extend(self.happened(now, sockets, event));
                }
            }
        }
        happened
    }

    /// Asks the server whether it still has the allocation.
    pub(super) fn check(&mut self, now: Timestamp) {
        self.client.check(now);
    }

    /// Gives the allocation back.
    pub(super) fn end(&mut self, now: Timestamp) {
        self.relayed = None;
        self.client.end(now);
    }

    /// Returns when something is due.
    pub(super) fn due(&self) -> Timestamp {
        self.client.poll_timeout().map_or(self.sweep_at, |at| at.min(self.sweep_at))
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, now: Timestamp) {
        self.client.on_timeout(now);
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now + UNUSED;
        let client = &mut self.client;
        self.peers.retain(|peer, known| {
            let keeps = now.since(known.used) < UNUSED;
            if !keeps {
                client.forget(*peer);
            }
            keeps
        });
    }

    fn happened(
        &mut self,
        now: Timestamp,
        sockets: &Sockets,
        event: ClientEvent,
    ) -> Option<Happening> {
        match event {
            ClientEvent::Allocated { relayed, .. } => {
                let local = self.local()?;
                self.relayed = Some(relayed);
                Some(Happening::Allocated { relayed, local })
            }
            ClientEvent::Permitted { peer } => {
                self.release(sockets, peer);
                None
            }
            ClientEvent::PeerRefused { peer, error } => {
                tracing::debug!(%peer, %error, "a relay refuses a peer");
                self.waiting.retain(|(of, _)| *of != peer);
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.refused_until = Some(now + REFUSED);
                    known.has_channel = false;
                }
                None
            }
            ClientEvent::Received { peer, bytes } => {
                let destination = self.relayed?;
                Some(Happening::Received(Datagram { destination, source: peer, data: bytes }))
            }
            ClientEvent::Failed(error) => {
                self.note(error);
                Some(Happening::Over)
            }
            ClientEvent::Ended => Some(Happening::Over),
        }
    }

    fn note(&self, error: ClientError) {
        tracing::debug!(%error, server = %self.target.server, "there is no relay");
    }

    fn keep(&mut self, peer: SocketAddr, bytes: &[u8]) {
        let of_one = self.waiting.iter().filter(|(of, _)| *of == peer).count();
        if of_one < WAITING_OF_ONE && self.waiting.len() < WAITING {
            self.waiting.push_back((peer, bytes.to_vec()));
        }
    }

    /// Sends what waited for the permission of a peer.
    fn release(&mut self, sockets: &Sockets, peer: SocketAddr) {
        for (of, bytes) in std::mem::take(&mut self.waiting) {
            if of != peer {
                self.waiting.push_back((of, bytes));
            } else if let Some(message) = self.client.send(peer, &bytes) {
                self.transmit(sockets, message);
            }
        }
    }

    fn transmit(&self, sockets: &Sockets, message: Vec<u8>) {
        match &self.way {
            Way::Datagrams(local) => {
                sockets.send(*local, self.target.server, &message);
            }
            Way::Stream { stream, .. } => stream.send(message),
        }
    }
}
