//! The media paths: who gathers what, whose checks succeed, who hears whom.

use std::time::Duration;

use openstudio_model::{self as model, ConnectionState, Timings};
use openstudio_session::mesh::{Input, PcId, PeerConnectionState};
use openstudio_units::{Generation, PeerId};

use crate::client::ToClient;
use crate::network::{CandidateType, Network, Route};
use crate::peer::{Selected, SimPc, candidate};
use crate::world::World;

/// How often a STUN server is asked: 0.25, 0.5, 1 s apart, then 2 s.
const STUN_TRIES: u32 = 7;

impl World {
    pub(crate) fn make_pc(
        &mut self,
        (peer, other): (PeerId, usize),
        generation: Generation,
        relay_only: bool,
        c: usize,
    ) -> SimPc {
        let trip = self.network.delay(c) + self.network.delay(other);
        let ms = Duration::from_millis;
        let timings = Timings {
            connect: trip * 4 + self.delays.duration_between(ms(20), ms(200)),
            disconnect: self.delays.duration_between(ms(4500), ms(6000)),
            fail: self.delays.duration_between(ms(15_000), ms(25_000)),
        };
        let name = u64::try_from(self.names.len()).unwrap_or(u64::MAX);
        self.names.push((c, generation));
        let mut sim = SimPc::new((peer, other), generation, relay_only, name, timings);
        let client = &mut self.clients[c];
        sim.stuck = client.stuck_next > 0;
        client.stuck_next = client.stuck_next.saturating_sub(1);
        sim
    }

    pub(crate) fn gather(&mut self, c: usize, pc: PcId, of: model::Credentials) {
        let site = self.clients[c].site;
        let Some(sim) = self.clients[c].pcs.get(&pc).filter(|sim| !sim.stuck) else { return };
        let relay_only = sim.relay_only;
        let trip = self.network.delay(c);
        let mut last = Duration::ZERO;
        for kind in CandidateType::ALL {
            let wanted = !relay_only || kind == CandidateType::Relay;
            if !wanted || !self.network.can_gather(kind, site.nat) {
                continue;
            }
            let (trips, most) = match kind {
                CandidateType::Host => (0, 12),
                CandidateType::Srflx => (2, 120),
                CandidateType::Relay => (4, 250),
            };
            let most = Duration::from_millis(most);
            let delay = trip * trips + self.delays.duration_between(Duration::ZERO, most);
            last = last.max(delay);
            self.tell(delay, c, ToClient::Gather { pc, kind, of, tries: 0 });
        }
        self.tell(last, c, ToClient::GatheringEnds(pc));
    }

    /// A candidate is there, if its server could be asked; otherwise it is asked again, in
    /// growing intervals for about 9 s (RFC 8489 §6.2.1).
    pub(crate) fn gathered(
        &mut self,
        c: usize,
        pc: PcId,
        (kind, of): (CandidateType, model::Credentials),
        tries: u32,
    ) {
        let Some(sim) = self.clients[c].pcs.get(&pc) else { return };
        let newest = sim.model.local_description().map(|description| description.credentials);
        if newest != Some(of) {
            return;
        }
        let relay = self.network.relay();
        let has_server = kind != CandidateType::Relay || relay.is_some();
        if kind != CandidateType::Host && (self.network.is_isolated(c) || !has_server) {
            if tries < STUN_TRIES {
                let wait = Duration::from_millis(250) * 2_u32.pow(tries.min(3));
                self.tell(wait, c, ToClient::Gather { pc, kind, of, tries: tries + 1 });
            }
            return;
        }
        let epochs = (self.clients[c].site.epoch, relay.unwrap_or_default());
        let candidate = Some(candidate(kind, epochs, of));
        self.feed_mesh(c, Input::LocalCandidateGathered { pc, candidate });
    }

    // ----- both ends

    /// The client and the peer connection at the other end, if their page is there.
    fn mate(&self, c: usize, sim: &SimPc) -> Option<(usize, PcId)> {
        let me = self.clients[c].me?;
        let other = self.holder(sim.peer)?;
        self.clients[other].by_peer.get(&me).map(|pc| (other, *pc))
    }

    /// A peer connection may see its other end differently: looks at both.
    pub(crate) fn look(&mut self, c: usize, pc: PcId) {
        if let Some(sim) = self.clients[c].pcs.get_mut(&pc) {
            sim.learn();
        }
        self.look_once(c, pc);
        let mate = self.clients[c].pcs.get(&pc).and_then(|sim| self.mate(c, sim));
        if let Some((other, mate)) = mate {
            self.look_once(other, mate);
        }
    }

    /// The end that stays notices that the other one is gone.
    pub(crate) fn look_at_mate(&mut self, c: usize, closed: &SimPc) {
        if let Some((other, mate)) = self.mate(c, closed) {
            self.look_once(other, mate);
        }
    }

    /// Everything about everybody's paths may be different.
    pub(crate) fn look_at_everybody(&mut self) {
        for c in 0..self.clients.len() {
            for pc in self.clients[c].pcs.keys().copied().collect::<Vec<_>>() {
                self.look_once(c, pc);
            }
        }
    }

    fn look_once(&mut self, c: usize, pc: PcId) {
        let Some(sim) = self.clients[c].pcs.get(&pc) else { return };
        let (passes, selected) = self.passes(c, sim);
        let begins = self.checks_begin(c, sim);
        let now = self.now;
        let Some(sim) = self.clients[c].pcs.get_mut(&pc) else { return };
        sim.selected = selected;
        let mut states = Vec::new();
        if begins {
            sim.checked = sim.credentials();
            states.extend(sim.transport.on_checks_begin(now));
        }
        states.extend(sim.transport.on_path(now, passes));
        self.tell_states(c, pc, states);
    }

    pub(crate) fn transport_due(&mut self, c: usize, pc: PcId) {
        let now = self.now;
        let Some(sim) = self.clients[c].pcs.get_mut(&pc) else { return };
        if sim.armed.is_none_or(|at| at > now) {
            return;
        }
        sim.armed = None;
        let states = sim.transport.on_timeout(now).into_iter().collect();
        self.tell_states(c, pc, states);
    }

    fn tell_states(&mut self, c: usize, pc: PcId, states: Vec<ConnectionState>) {
        for state in states {
            let state = match state {
                ConnectionState::New => PeerConnectionState::New,
                ConnectionState::Connecting => PeerConnectionState::Connecting,
                ConnectionState::Connected => PeerConnectionState::Connected,
                ConnectionState::Disconnected => PeerConnectionState::Disconnected,
                ConnectionState::Failed => PeerConnectionState::Failed,
            };
            self.tell(Duration::ZERO, c, ToClient::State { pc, state });
        }
        let now = self.now;
        let Some(sim) = self.clients[c].pcs.get_mut(&pc) else { return };
        let due = sim.transport.deadline().map(|due| due.max(now));
        if due.is_some_and(|due| sim.armed.is_none_or(|armed| due < armed)) {
            sim.armed = due;
            let delay = due.map_or(Duration::ZERO, |due| due.since(now));
            self.tell(delay, c, ToClient::Transport(pc));
        }
    }

    // ----- whether packets pass

    /// Whether checks or media pass both ways at present, and the pair that they use.
    fn passes(&self, c: usize, sim: &SimPc) -> (bool, Option<Selected>) {
        let Some((other, mate)) = self.mate(c, sim) else {
            return (false, sim.selected);
        };
        let theirs = &self.clients[other].pcs[&mate];
        let awake = !self.clients[c].asleep && !self.clients[other].asleep;
        if !awake || !self.network.passes(c, other) || !self.network.passes(other, c) {
            return (false, sim.selected);
        }
        if let Some(route) = self.checks_pass((c, sim), (other, theirs)) {
            let epochs = (self.clients[c].site.epoch, self.clients[other].site.epoch);
            let relay = self.network.relay();
            return (true, Some(Selected { mate: theirs.model.name(), route, relay, epochs }));
        }
        (self.selected_works((c, sim), (other, theirs)), sim.selected)
    }

    /// Connectivity checks with the credentials of the latest descriptions.
    fn checks_pass(
        &self,
        (c, ours): (usize, &SimPc),
        (other, theirs): (usize, &SimPc),
    ) -> Option<Route> {
        if ours.stuck || theirs.stuck || is_over(ours) || is_over(theirs) {
            return None;
        }
        let (local, remote) = ours.credentials()?;
        if theirs.credentials()? != (remote, local) {
            return None;
        }
        let relay = self.network.relay();
        let us = theirs.view_of(self.clients[c].site, ours.relay_only, relay);
        let them = ours.view_of(self.clients[other].site, theirs.relay_only, relay);
        Network::route(us, them)
    }

    /// A pair that was selected goes on through renegotiation and ICE restarts.
    fn selected_works(&self, (c, ours): (usize, &SimPc), (other, theirs): (usize, &SimPc)) -> bool {
        let (Some(a), Some(b)) = (ours.selected, theirs.selected) else {
            return false;
        };
        let epochs = (self.clients[c].site.epoch, self.clients[other].site.epoch);
        let stands =
            |end: Selected| end.route == Route::Direct || end.relay == self.network.relay();
        !is_over(ours)
            && !is_over(theirs)
            && stands(a)
            && stands(b)
            && a.mate == theirs.model.name()
            && b.mate == ours.model.name()
            && a.epochs == epochs
            && b.epochs == (epochs.1, epochs.0)
    }

    /// Whether checks with these credentials begin: there is somebody to send them to, or
    /// those of the other end come in.
    fn checks_begin(&self, c: usize, sim: &SimPc) -> bool {
        let Some((local, remote)) = sim.credentials() else { return false };
        if sim.stuck || sim.checked == Some((local, remote)) {
            return false;
        }
        let called = || {
            let (other, mate) = self.mate(c, sim)?;
            let theirs = &self.clients[other].pcs[&mate];
            Some(theirs.credentials()? == (remote, local) && theirs.knows_any())
        };
        sim.knows_any() || called().unwrap_or(false)
    }

    // ----- audio

    /// Whether audio of the other end of a peer connection arrives.
    pub(crate) fn is_heard(&self, c: usize, pc: PcId) -> bool {
        let Some(sim) = self.clients[c].pcs.get(&pc) else { return false };
        let Some((other, mate)) = self.mate(c, sim) else { return false };
        let speaker = &self.clients[other];
        let theirs = &speaker.pcs[&mate];
        let sends = theirs.model.transceivers().iter().any(|transceiver| {
            transceiver.has_track && transceiver.current_direction.is_some_and(|d| d.sends())
        });
        sends
            && speaker.microphone
            && !speaker.asleep
            && sim.transport.is_connected()
            && theirs.transport.is_connected()
            && self.selected_works((c, sim), (other, theirs))
            && self.network.passes(other, c)
            && !self.silenced.contains_key(&(other, c))
    }

    /// The microphone was granted or lost: tracks are replaced, no description moves.
    pub(crate) fn set_microphone(&mut self, c: usize, on: bool) {
        let client = &mut self.clients[c];
        client.microphone = on;
        for sim in client.pcs.values_mut() {
            for index in 0..sim.model.transceivers().len() {
                let set = sim.model.replace_track(index, on);
                debug_assert!(set.is_ok(), "closed ones are taken out of the client");
            }
        }
        self.feed(c, openstudio_session::Input::SetMicrophone(on));
    }
}

/// An end whose ICE has failed sends and answers nothing, until a restart.
fn is_over(sim: &SimPc) -> bool {
    let restarted = sim.credentials().is_some_and(|both| sim.checked != Some(both));
    sim.transport.state() == ConnectionState::Failed && !restarted
}
