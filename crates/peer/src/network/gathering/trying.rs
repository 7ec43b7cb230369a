//! Asking servers, and what comes of it.

use super::*;

impl Gathering {
    /// Asks all servers that are named. What there is already stays, unless it is named no more.
    pub(super) fn begin(&mut self, now: Timestamp, sockets: &Sockets) {
        self.round += 1;
        self.unresolved = 0;
        self.untried.clear();
        self.try_at = None;
        self.again_at = None;
        self.complete_by = Some(now + PATIENCE);
        self.bindings.retain(|binding| binding.candidate.is_some());
        let urls: Vec<String> = self.urls().take(SERVERS).map(str::to_owned).collect();
        for relay in &mut self.relays {
            if relay.relayed.is_none() || !urls.contains(&relay.target.url) {
                self.changes.extend(candidate(relay).map(Change::Removed));
                relay.end(now);
            }
        }
        let has_relay = self.has_relay();
        let servers = urls.into_iter().filter_map(|url| Some((ServerUrl::read(&url)?, url)));
        for (server, url) in servers {
            if !(has_relay && matches!(server.service, Service::Turn(_))) {
                self.unresolved += 1;
                tokio::spawn(resolve(self.round, (url, server), sockets.arrivals.clone()));
            }
        }
        self.settle(now, sockets);
    }

    /// Carries out what is wanted, and draws the conclusions. Returns what came from a peer.
    pub(super) fn settle(&mut self, now: Timestamp, sockets: &Sockets) -> Option<Datagram> {
        let mut received = None;
        loop {
            self.try_next(now, sockets);
            self.drain_bindings(now, sockets);
            let happened = self.drain(now, sockets);
            if happened.is_empty() {
                break;
            }
            for (id, happening) in happened {
                match happening {
                    Happening::Allocated { relayed, local } => {
                        self.allocated(now, sockets, (id, relayed, local));
                    }
                    Happening::Received(datagram) => received = Some(datagram),
                    Happening::Over => self.over(now, id),
                }
            }
        }
        if self.misses_something() && self.again_at.is_none() {
            self.again_at = Some(now + self.pause);
            self.pause = self.pause.saturating_mul(2).min(AGAIN_AT_MOST);
        }
        self.complete(now);
        received
    }

    /// An attempt, or an allocation, is over.
    pub(super) fn over(&mut self, now: Timestamp, id: RelayId) {
        let Some(index) = self.relays.iter().position(|relay| relay.id == id) else { return };
        let relay = self.relays.remove(index);
        if let Some(lost) = candidate(&relay) {
            self.changes.push_back(Change::Removed(lost));
            self.again_at = Some(now);
        } else if !self.untried.is_empty() {
            self.try_at = Some(now);
        }
    }

    /// Asks a server for the address of the socket that leads to it.
    pub(super) fn bind(&mut self, now: Timestamp, sockets: &Sockets, server: SocketAddr) {
        let Some(local) = sockets.way_to(server) else { return };
        if self.bindings.iter().any(|one| (one.server, one.local) == (server, local)) {
            return;
        }
        let client = BindingClient::new(self.draw(), now);
        let binding = Binding { server, local, client, has_answered: false, candidate: None };
        self.bindings.push(binding);
    }

    /// Returns the URLs of the settings, in their order.
    pub(super) fn urls(&self) -> impl Iterator<Item = &str> {
        let turn = self.config.turn.iter().flat_map(|server| &server.urls);
        self.config.stun.iter().chain(turn).map(String::as_str)
    }

    pub(super) fn credentials(&self, url: &str) -> Option<Credentials> {
        let is_at = |server: &&IceServer| server.urls.iter().any(|known| known == url);
        let server = self.config.turn.iter().find(is_at)?;
        let (username, password) = (server.username.clone(), server.credential.clone());
        Some(Credentials { username, password })
    }

    /// Whether nothing is under way that could bring what is named in the settings.
    fn misses_something(&self) -> bool {
        let waits = self.unresolved > 0 || !self.untried.is_empty();
        let no_relay = self.relays.is_empty() && !self.config.turn.is_empty();
        let no_stun = self.bindings.is_empty() && !self.config.stun.is_empty();
        let tries = self.relays.iter().any(|relay| relay.relayed.is_none());
        !waits && !tries && (no_relay || no_stun)
    }

    fn has_relay(&self) -> bool {
        self.relays.iter().any(|relay| relay.relayed.is_some())
    }

    fn draw(&mut self) -> Seed {
        self.drawn += 1;
        self.seed.fork(&self.drawn.to_string())
    }

    fn try_next(&mut self, now: Timestamp, sockets: &Sockets) {
        if self.has_relay() {
            self.untried.clear();
        }
        while self.try_at.is_some_and(|at| at <= now) && !self.untried.is_empty() {
            let target = self.untried.remove(0);
            let seed = self.draw();
            let begun = Relay::begin((RelayId(self.drawn), target), seed, now, sockets);
            if let Some(relay) = begun {
                self.relays.push(relay);
                self.try_at = Some(now + STAGGER);
            }
        }
        if self.untried.is_empty() {
            self.try_at = None;
        }
    }

    fn drain(&mut self, now: Timestamp, sockets: &Sockets) -> Vec<(RelayId, Happening)> {
        let mut happened = Vec::new();
        for relay in &mut self.relays {
            let id = relay.id;
            happened.extend(relay.drain(now, sockets).into_iter().map(|one| (id, one)));
        }
        happened
    }

    fn allocated(
        &mut self,
        now: Timestamp,
        sockets: &Sockets,
        (id, relayed, local): (RelayId, SocketAddr, SocketAddr),
    ) {
        let has_other = self.relays.iter().any(|one| one.id != id && one.relayed.is_some());
        let Some(relay) = self.relays.iter_mut().find(|relay| relay.id == id) else { return };
        if has_other {
            relay.end(now);
            return;
        }
        self.pause = AGAIN;
        tracing::debug!(%relayed, server = %relay.target.server, "there is a relay");
        let server = (!relay.target.transport.is_stream()).then_some(relay.target.server);
        self.changes.extend(relayed_candidate(relayed, local).map(Change::Added));
        if let Some(server) = server {
            // It knows the address, and is to be spoken to before a NAT forgets it.
            self.bind(now, sockets, server);
        }
    }

    fn drain_bindings(&mut self, now: Timestamp, sockets: &Sockets) {
        let mut mapped = Vec::new();
        for (index, binding) in self.bindings.iter_mut().enumerate() {
            while let Some(output) = binding.client.poll_output() {
                match output {
                    BindingOutput::Transmit(bytes) => {
                        sockets.send(binding.local, binding.server, &bytes);
                    }
                    BindingOutput::Mapped(address) => mapped.push((index, address)),
                    BindingOutput::Silent => binding.has_answered = true,
                }
            }
        }
        for (index, address) in mapped {
            self.mapped(now, index, address);
        }
    }

    /// A server sees a socket at this address from now on.
    fn mapped(&mut self, now: Timestamp, index: usize, address: SocketAddr) {
        let Some(binding) = self.bindings.get_mut(index) else { return };
        let local = binding.local;
        let had_answered = std::mem::replace(&mut binding.has_answered, true);
        self.changes.extend(binding.candidate.take().map(Change::Removed));
        if had_answered {
            // Through another mapping of a NAT, a relay may know us no more.
            let through = self.relays.iter_mut().filter(|relay| relay.local() == Some(local));
            through.for_each(|relay| relay.check(now));
        }
        let mut others = self.bindings.iter().filter(|one| one.local == local);
        if address == local || others.any(|one| one.candidate.is_some()) {
            return;
        }
        let found = Candidate::server_reflexive(address, local, "udp").ok();
        self.changes.extend(found.clone().map(Change::Added));
        if let Some(binding) = self.bindings.get_mut(index) {
            binding.candidate = found;
        }
    }

    /// Tells the end of candidates, once nothing more is to be expected soon.
    fn complete(&mut self, now: Timestamp) {
        let Some(by) = self.complete_by else { return };
        let trying = !self.relays.is_empty() || !self.untried.is_empty();
        let waiting = self.unresolved > 0
            || self.bindings.iter().any(|binding| !binding.has_answered)
            || (trying && !self.has_relay());
        if !waiting || by <= now {
            self.complete_by = None;
            self.changes.push_back(Change::Complete);
        }
    }
}

/// Looks a name up and tells what it leads to, even if it is nothing.
async fn resolve(round: u64, (url, server): (String, ServerUrl), arrivals: mpsc::Sender<Arrival>) {
    let looking = tokio::time::timeout(LOOKUP, lookup_host((&*server.host, server.port)));
    let found = looking.await.map_err(io::Error::other).flatten();
    let addresses = found.map(Iterator::collect).unwrap_or_default();
    let resolved = Resolved { round, url, server, addresses };
    // Without a listener nobody needs it.
    drop(arrivals.send(Arrival(Arrived::Resolved(resolved))).await);
}

/// Returns the candidate of a relay, if it has an allocation.
pub(super) fn candidate(relay: &Relay) -> Option<Candidate> {
    relayed_candidate(relay.relayed?, relay.local()?)
}

fn relayed_candidate(relayed: SocketAddr, local: SocketAddr) -> Option<Candidate> {
    Candidate::relayed(relayed, local, "udp").ok()
}

/// The first address of each family, IPv4 before IPv6.
pub(super) fn one_of_each_family(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first = |is: fn(&&SocketAddr) -> bool| addresses.iter().find(is).copied();
    [first(|one| one.is_ipv4()), first(|one| one.is_ipv6())].into_iter().flatten().collect()
}
