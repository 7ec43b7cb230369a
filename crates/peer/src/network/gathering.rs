//! Server-reflexive and relayed candidates (RFC 8445 §5.1.1.2): one of each kind for all
//! connections of a participant.
//!
//! Servers are tried in the order of their transports, UDP before TCP before TLS, and the next
//! one while the one before is still silent. The first allocation is kept, until its server
//! has lost it or the address that it was made from is gone.

#[cfg(test)]
mod tests;
mod trying;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use openstudio_session::wire::{IceConfig, IceServer};
use openstudio_turn::{BindingClient, BindingOutput, Credentials, ServerUrl, Service};
use openstudio_units::{Seed, Timestamp};
use str0m::Candidate;
use tokio::net::lookup_host;
use tokio::sync::mpsc;

use super::relay::{Happening, Relay, RelayId, Target};
use super::sockets::Sockets;
use super::stream::Said;
use super::{Arrival, Arrived, Change, Datagram};
use trying::{candidate, one_of_each_family};

/// Servers that are asked at most.
const SERVERS: usize = 16;

/// How long looking up a name may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// How long a server may be silent before the next one is tried as well.
const STAGGER: Duration = Duration::from_secs(1);

/// How long candidates are waited for before the end of candidates is told. Later ones are told
/// all the same.
const PATIENCE: Duration = Duration::from_secs(10);

/// After this it is tried again, where there is no way to the servers, or no relay to be had;
/// each further time after double.
const AGAIN: Duration = Duration::from_secs(2);

/// The longest such pause.
const AGAIN_AT_MOST: Duration = Duration::from_secs(64);

/// What a name leads to.
#[derive(Debug)]
pub(super) struct Resolved {
    round: u64,
    url: String,
    server: ServerUrl,
    addresses: Vec<SocketAddr>,
}

/// A STUN server that is asked for the address of one socket.
#[derive(Debug)]
struct Binding {
    server: SocketAddr,
    local: SocketAddr,
    client: BindingClient,
    has_answered: bool,
    candidate: Option<Candidate>,
}

/// What is known of, and asked of, the servers.
#[derive(Debug)]
pub(super) struct Gathering {
    config: IceConfig,
    seed: Seed,
    drawn: u64,
    round: u64,
    unresolved: usize,
    bindings: Vec<Binding>,
    /// At most one has an allocation that is not being given back.
    relays: Vec<Relay>,
    untried: Vec<Target>,
    try_at: Option<Timestamp>,
    again_at: Option<Timestamp>,
    pause: Duration,
    /// When the end of candidates is told; none once it is.
    complete_by: Option<Timestamp>,
    changes: VecDeque<Change>,
}

impl Gathering {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            config: IceConfig::default(),
            seed: seed.fork("gathering"),
            drawn: 0,
            round: 0,
            unresolved: 0,
            bindings: Vec::new(),
            relays: Vec::new(),
            untried: Vec::new(),
            try_at: None,
            again_at: None,
            pause: AGAIN,
            complete_by: None,
            changes: VecDeque::new(),
        }
    }

    /// The servers are these from now on. An allocation outlives its credentials; whether its
    /// server still has it is asked.
    pub(super) fn set_servers(&mut self, now: Timestamp, sockets: &Sockets, config: IceConfig) {
        let urls = |config: &IceConfig| {
            let turn = config.turn.iter().flat_map(|server| server.urls.clone());
            config.stun.iter().cloned().chain(turn).collect::<Vec<_>>()
        };
        let same = urls(&self.config) == urls(&config);
        let had_relays = !self.relays.is_empty() || config.turn.is_empty();
        self.config = config;
        self.relays.iter_mut().for_each(|relay| relay.check(now));
        if same && had_relays {
            self.settle(now, sockets);
        } else {
            self.pause = AGAIN;
            self.begin(now, sockets);
        }
    }

    /// The machine has other addresses: these are gone.
    pub(super) fn moved(&mut self, now: Timestamp, sockets: &Sockets, gone: &[SocketAddr]) {
        let gone: BTreeSet<_> = gone.iter().map(SocketAddr::ip).collect();
        self.bindings.retain_mut(|binding| {
            let stays = sockets.way_to(binding.server) == Some(binding.local);
            if !stays {
                self.changes.extend(binding.candidate.take().map(Change::Removed));
            }
            stays
        });
        self.relays.retain(|relay| {
            let stays = relay.local().is_none_or(|local| !gone.contains(&local.ip()));
            if !stays {
                self.changes.extend(candidate(relay).map(Change::Removed));
            }
            stays
        });
        self.pause = AGAIN;
        self.begin(now, sockets);
    }

    /// Returns the candidates that there are.
    pub(super) fn candidates(&self) -> impl Iterator<Item = Candidate> {
        let reflexive = self.bindings.iter().filter_map(|binding| binding.candidate.clone());
        reflexive.chain(self.relays.iter().filter_map(candidate))
    }

    /// Returns the next change of the candidates.
    pub(super) fn next_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// Returns whether further candidates are to be waited for.
    pub(super) fn is_gathering(&self) -> bool {
        self.complete_by.is_some()
    }

    /// Returns whether a server has an allocation for us, or may have.
    pub(super) fn holds(&self) -> bool {
        !self.relays.is_empty()
    }

    /// Gives everything back.
    pub(super) fn end(&mut self, now: Timestamp, sockets: &Sockets) {
        self.config = IceConfig::default();
        self.round += 1;
        self.unresolved = 0;
        self.untried.clear();
        self.bindings.clear();
        self.relays.iter_mut().for_each(|relay| relay.end(now));
        self.settle(now, sockets);
    }

    /// Sends a packet through the relay at `source`, if there is one.
    pub(super) fn send(
        &mut self,
        now: Timestamp,
        sockets: &Sockets,
        (source, destination): (SocketAddr, SocketAddr),
        data: &[u8],
    ) {
        if let Some(relay) = self.relays.iter_mut().find(|relay| relay.relayed == Some(source)) {
            relay.send(now, sockets, destination, data);
            // Requests to the server, nothing that happened.
            relay.drain(now, sockets);
        }
    }

    /// Takes a datagram if it is of a server. Returns what it carried, or the datagram of
    /// somebody else.
    pub(super) fn take(
        &mut self,
        now: Timestamp,
        sockets: &Sockets,
        datagram: Datagram,
    ) -> Option<Datagram> {
        let mut is_ours = false;
        for binding in &mut self.bindings {
            if (binding.local, binding.server) == (datagram.destination, datagram.source) {
                binding.client.handle(now, &datagram.data);
                is_ours = true;
            }
        }
        for relay in &mut self.relays {
            if relay.is_from_server(&datagram) {
                relay.handle(now, &datagram.data);
                is_ours = true;
            }
        }
        if is_ours { self.settle(now, sockets) } else { Some(datagram) }
    }

    /// Takes what a stream to a server says. Returns what it carried.
    pub(super) fn stream_said(
        &mut self,
        now: Timestamp,
        sockets: &Sockets,
        (id, said): (RelayId, Said),
    ) -> Option<Datagram> {
        let relay = self.relays.iter_mut().find(|relay| relay.id == id)?;
        if relay.stream_said(now, said) {
            self.over(now, id);
        }
        self.settle(now, sockets)
    }

    /// Takes what a name leads to.
    pub(super) fn resolved(&mut self, now: Timestamp, sockets: &Sockets, resolved: Resolved) {
        let Resolved { round, url, server, addresses } = resolved;
        if round != self.round {
            return;
        }
        self.unresolved = self.unresolved.saturating_sub(1);
        for address in one_of_each_family(&addresses) {
            match server.service {
                Service::Stun => self.bind(now, sockets, address),
                Service::Turn(transport) => {
                    let Some(credentials) = self.credentials(&url) else { continue };
                    let (url, host) = (url.clone(), server.host.clone());
                    let server = address;
                    self.untried.push(Target { url, transport, server, host, credentials });
                }
            }
        }
        // The order of the settings, within each transport.
        let mut untried = std::mem::take(&mut self.untried);
        let place = |target: &Target| self.urls().position(|url| url == target.url);
        untried.sort_by_key(|target| (target.transport, place(target)));
        self.untried = untried;
        if !self.untried.is_empty() && self.try_at.is_none() {
            self.try_at = Some(now);
        }
        self.settle(now, sockets);
    }

    /// Returns when something is due.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let bindings = self.bindings.iter().map(|binding| binding.client.poll_timeout());
        let relays = self.relays.iter().map(Relay::due);
        let own = [self.try_at, self.again_at, self.complete_by].into_iter().flatten();
        bindings.chain(relays).chain(own).min()
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, now: Timestamp, sockets: &Sockets) {
        for binding in &mut self.bindings {
            binding.client.on_timeout(now);
        }
        for relay in &mut self.relays {
            relay.wake(now);
        }
        if self.again_at.is_some_and(|at| at <= now) {
            self.begin(now, sockets);
        }
        self.settle(now, sockets);
    }
}
