//! The mesh: one link for each participant, routed by id, with one queue of outputs and
//! one deadline.
//!
//! Decides only what concerns several links at once: whose set-up comes next. All that
//! concerns a pair is in its [`PeerLink`].

use std::collections::BTreeMap;

use openstudio_units::{Generation, Incarnation, PeerId, Seed, Timestamp};

use crate::config::MeshConfig;
use crate::count::Count;
use crate::deadline::Deadline;
use crate::input::{Input, PeerConnectionState, PeerInfo};
use crate::link::{Context, Outbox, PeerLink};
use crate::output::{ConnectionState, HealthLevel, Output, PcId, Trouble};
use crate::signal::Signal;
use crate::strain::Strain;

/// The connection manager of one participant.
///
/// See the crate's documentation for how to drive it.
///
/// Two meshes with the same hash behave the same from here on, whatever is fed to both: that
/// makes an exhaustive search possible. Names of operations and mere counts are left out.
#[derive(Debug, Clone, Hash)]
pub struct Mesh {
    local: PeerId,
    incarnation: Incarnation,
    seed: Seed,
    links: BTreeMap<PeerId, PeerLink>,
    /// As it was given; `shared` has it with the limits of the moment.
    config: MeshConfig,
    strain: Strain,
    /// The factor of `shared.config`.
    factor: u32,
    shared: Shared,
    unknown_sender: Count,
    late_reports: Count,
    /// Of links that are gone.
    dropped_signals: Count,
    /// When the machine last woke up; nothing before that is overdue.
    awake_since: Timestamp,
}

/// What every link needs in every call.
#[derive(Debug, Clone, Hash)]
struct Shared {
    config: MeshConfig,
    signalling_up: bool,
    has_relay: bool,
    out: Outbox,
}

impl Shared {
    fn context(&mut self, now: Timestamp, peer: PeerId) -> Context<'_> {
        Context {
            now,
            config: &self.config,
            peer,
            signalling_up: self.signalling_up,
            has_relay: self.has_relay,
            out: &mut self.out,
        }
    }
}

/// What was dropped by rule. Rising numbers are worth a look, but do no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Signals of participants that are not in the room.
    pub unknown_sender: u64,
    /// Completions and facts of operations and peer connections that are gone.
    pub late_reports: u64,
    /// Signals of an old generation, or that fitted nothing.
    pub dropped_signals: u64,
}

/// One link, described for the debug panel.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkSnapshot {
    /// Whose link.
    pub peer: PeerId,
    /// The public state.
    pub state: ConnectionState,
    /// Whether this side is the polite one.
    pub polite: bool,
    /// The present generation.
    pub generation: Generation,
    /// `RTCPeerConnection.signalingState`, as this side knows it; `closed` without one.
    pub signaling_state: &'static str,
    /// `RTCPeerConnection.connectionState`; none without one.
    pub peer_connection_state: Option<PeerConnectionState>,
    /// Whether only relayed candidates are used.
    pub relay_only: bool,
    /// Attempts to recover that count.
    pub attempts: u32,
    /// What is wrong, if anything is.
    pub trouble: Option<Trouble>,
    /// Whether it was ever connected since the peer's page was loaded.
    pub ever_connected: bool,
    /// How good it is, once connected.
    pub level: Option<HealthLevel>,
    /// Whether redundancy is asked of what is sent.
    pub is_redundant: bool,
    /// Candidates that the platform refused.
    pub refused_candidates: u64,
}

impl Mesh {
    /// Makes the connection manager of `local`, whose page has this incarnation.
    ///
    /// A configuration that [`MeshConfig::validate`] refuses is replaced by the default.
    pub fn new(
        config: MeshConfig,
        local: PeerId,
        incarnation: Incarnation,
        seed: Seed,
        now: Timestamp,
    ) -> Self {
        let config = if config.validate().is_ok() { config } else { MeshConfig::default() };
        let shared = Shared {
            config: config.clone(),
            signalling_up: true,
            has_relay: false,
            out: Outbox::default(),
        };
        Self {
            local,
            incarnation,
            seed,
            links: BTreeMap::new(),
            config,
            strain: Strain::default(),
            factor: 1,
            shared,
            unknown_sender: Count::default(),
            late_reports: Count::default(),
            dropped_signals: Count::default(),
            awake_since: now,
        }
    }

    /// Feeds one input. Never fails: what fits nothing is dropped and counted.
    pub fn handle_input(&mut self, now: Timestamp, input: Input) {
        self.check_wake(now);
        match input {
            Input::PeerSeen { peer, info } => self.on_seen(now, peer, info),
            Input::PeerLeft { peer } => self.on_left(now, peer),
            Input::SignalReceived { from, signal } => self.on_signal(now, from, signal),
            Input::SignallingChanged { up } => {
                self.shared.signalling_up = up;
                self.for_each(now, PeerLink::on_reachability);
            }
            Input::Completed { op, result } => {
                let given = self.shared.out.take_op(op);
                // An operation that slept through a pause of the machine says nothing.
                if let Some((_, at)) = given.filter(|(_, at)| *at >= self.awake_since) {
                    self.strain.on_operation(now, now.since(at));
                    self.follow_strain(now);
                }
                let owner = given.map(|(peer, _)| peer);
                self.with_owner(now, owner, |link, ctx| link.on_completed(ctx, op, result));
            }
            Input::NegotiationNeeded { pc } => {
                self.with_pc(now, pc, |link, ctx| link.on_needed(ctx, pc))
            }
            Input::LocalCandidateGathered { pc, candidate } => {
                self.with_pc(now, pc, |link, ctx| link.on_gathered(ctx, pc, candidate));
            }
            Input::ConnectionStateChanged { pc, state } => {
                self.with_pc(now, pc, |link, ctx| link.on_pc_state(ctx, pc, state));
            }
            Input::RemoteTrackAdded { pc } => {
                self.with_pc(now, pc, |link, ctx| link.on_track(ctx, pc))
            }
            Input::IncarnationChanged { incarnation } => {
                self.incarnation = incarnation;
                self.for_each(now, |link, ctx| link.on_local_incarnation(ctx, incarnation));
            }
            Input::RetryRequested { peer } => {
                self.with_owner(now, Some(peer), PeerLink::on_retry);
            }
            Input::NetworkOnline => self.for_each(now, |link, ctx| link.on_network(ctx, false)),
            Input::NetworkChanged => self.for_each(now, |link, ctx| link.on_network(ctx, true)),
            Input::PathsInDoubt => self.for_each(now, |link, ctx| link.on_doubt(ctx)),
            Input::IceServersChanged { has_relay } => {
                self.shared.has_relay = has_relay;
                self.for_each(now, |link, ctx| {
                    if link.state() == ConnectionState::FailedPermanent {
                        link.on_retry(ctx);
                    }
                });
            }
            Input::CloseConnection { peer } => {
                self.with_owner(now, Some(peer), PeerLink::on_close_requested);
            }
            Input::CloseAll => {
                for peer in self.links.keys().copied().collect::<Vec<_>>() {
                    self.on_left(now, peer);
                }
            }
        }
        self.grant_slots(now);
    }

    /// Advances timers. Calling early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Timestamp) {
        self.check_wake(now);
        self.follow_strain(now);
        self.for_each(now, |link, ctx| {
            if link.deadline(ctx.signalling_up, ctx.config).is_some_and(|due| ctx.now >= due.at) {
                link.on_timeout(ctx);
            }
        });
        self.grant_slots(now);
    }

    /// Returns the next thing to do or to know; `None` means drained.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.out.pop()
    }

    /// Returns when to call [`Mesh::handle_timeout`], and why.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        let up = self.shared.signalling_up;
        self.links.values().filter_map(|link| link.deadline(up, &self.shared.config)).min()
    }

    /// Returns the public state of the link to `peer`.
    pub fn state(&self, peer: PeerId) -> Option<ConnectionState> {
        self.links.get(&peer).map(PeerLink::state)
    }

    /// Returns whether somebody was connected, and nobody is: what has failed is likely to be this
    /// end's network.
    pub fn is_cut_off(&self) -> bool {
        let is_connected = |link: &PeerLink| link.state() == ConnectionState::Connected;
        self.links.values().any(PeerLink::was_connected) && !self.links.values().any(is_connected)
    }

    /// Describes every link, in the order of ids.
    pub fn snapshot(&self) -> Vec<LinkSnapshot> {
        self.links.iter().map(|(peer, link)| link.snapshot(*peer)).collect()
    }

    /// Returns what was dropped by rule.
    pub fn counters(&self) -> Counters {
        let links: u64 = self.links.values().map(|link| link.dropped_signals.get()).sum();
        Counters {
            unknown_sender: self.unknown_sender.get(),
            late_reports: self.late_reports.get(),
            dropped_signals: self.dropped_signals.get().saturating_add(links),
        }
    }

    fn on_seen(&mut self, now: Timestamp, peer: PeerId, info: PeerInfo) {
        if peer == self.local {
            return;
        }
        if self.links.contains_key(&peer) {
            return self.with_owner(now, Some(peer), |link, ctx| link.on_seen(ctx, info));
        }
        let rng = self.seed.fork(&format!("link:{peer}")).rng();
        let polite = self.local < peer;
        let mut ctx = self.shared.context(now, peer);
        let link = PeerLink::new(&mut ctx, polite, info, self.incarnation, rng);
        self.links.insert(peer, link);
    }

    fn on_left(&mut self, now: Timestamp, peer: PeerId) {
        let Some(link) = self.links.remove(&peer) else {
            return;
        };
        self.dropped_signals.add(link.dropped_signals.get());
        link.on_left(&mut self.shared.context(now, peer));
    }

    fn on_signal(&mut self, now: Timestamp, from: PeerId, signal: Signal) {
        if self.links.contains_key(&from) {
            self.with_owner(now, Some(from), |link, ctx| link.on_signal(ctx, signal));
        } else {
            self.unknown_sender.add(1);
        }
    }

    fn with_pc(
        &mut self,
        now: Timestamp,
        pc: PcId,
        act: impl FnOnce(&mut PeerLink, &mut Context<'_>),
    ) {
        let owner = self.shared.out.owner(pc);
        self.with_owner(now, owner, act);
    }

    fn with_owner(
        &mut self,
        now: Timestamp,
        owner: Option<PeerId>,
        act: impl FnOnce(&mut PeerLink, &mut Context<'_>),
    ) {
        let found = owner.and_then(|peer| self.links.get_mut(&peer).map(|link| (peer, link)));
        let Some((peer, link)) = found else {
            self.late_reports.add(1);
            return;
        };
        let mut ctx = self.shared.context(now, peer);
        act(link, &mut ctx);
    }

    fn for_each(&mut self, now: Timestamp, mut act: impl FnMut(&mut PeerLink, &mut Context<'_>)) {
        for (peer, link) in &mut self.links {
            let mut ctx = self.shared.context(now, *peer);
            act(link, &mut ctx);
        }
    }

    /// A deadline that was missed by far means that the machine slept: nothing that is
    /// overdue says anything about the peers.
    fn check_wake(&mut self, now: Timestamp) {
        let due = self.poll_timeout().map(|due| due.at.max(self.awake_since));
        if due.is_some_and(|due| self.shared.config.is_wake(due, now)) {
            self.awake_since = now;
            tracing::debug!("woke up late; every link is looked at");
            self.for_each(now, PeerLink::on_wake);
        }
    }

    /// Stretches the time limits to what this machine can keep. What is under way gets its
    /// full time again when they rise: it was begun under limits that are too short.
    fn follow_strain(&mut self, now: Timestamp) {
        let (before, factor) = (self.factor, self.strain.factor(now));
        if before == factor {
            return;
        }
        tracing::debug!(factor, "time limits");
        self.factor = factor;
        self.shared.config = self.config.stretched(factor);
        if factor > before {
            self.for_each(now, PeerLink::extend);
        }
    }

    /// Gives free slots to those whose turn it is: first set-ups before further attempts, hosts
    /// first, then by id. Somebody to whom there is no path must not keep a newcomer waiting.
    fn grant_slots(&mut self, now: Timestamp) {
        let held = self.links.values().filter(|link| link.holds_slot()).count();
        let free = self.shared.config.setups_in_flight.saturating_sub(held);
        let up = self.shared.signalling_up;
        let mut waiting: Vec<_> = self
            .links
            .iter()
            .filter(|(_, link)| link.wants_slot(up))
            .map(|(peer, link)| (link.is_tried_again(), link.info().role, *peer))
            .collect();
        waiting.sort_unstable();
        for (_, _, peer) in waiting.into_iter().take(free) {
            self.with_owner(now, Some(peer), PeerLink::grant_slot);
        }
    }
}
