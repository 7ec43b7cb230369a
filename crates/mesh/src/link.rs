//! The link to one participant: composes negotiation, trickle, recovery and health.
//!
//! Each of the four machines knows nothing of the others; this module translates between
//! them, decides by generation what an incoming signal belongs to, and makes and closes
//! the peer connection. It is *not* where links are put in order; that is
//! [`Mesh`](crate::Mesh).
//!
//! Invariants: the public state is derived, never stored as truth; one peer connection at
//! a time; only the impolite side makes connections of its own accord.

#[cfg(test)]
mod boundaries;
mod connection;
mod context;
mod health;
#[cfg(test)]
mod ladder;
mod negotiation;
mod operations;
mod recovery;
mod redundancy;
mod signals;
mod trickle;

use openstudio_units::{Generation, Incarnation, PeerId, Rng, Timestamp};

use self::connection::{Connection, Wish};
use self::recovery::{Means, Recovery, Step};
use crate::config::MeshConfig;
use crate::count::Count;
use crate::deadline::{Deadline, DeadlineReason};
use crate::input::{
    Completion, DescriptionKind, OpError, PeerConnectionState, PeerInfo, StatsSample,
};
use crate::mesh::LinkSnapshot;
use crate::output::{Command, ConnectionState, Event, OpId, PcId, Trouble};
use crate::signal::{IceCandidate, OfferKind, Signal};

pub(crate) use self::context::{Context, Outbox};

/// Where the set-up of the next peer connection stands, on the side that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Setup {
    /// Nothing is to be set up.
    Idle,
    /// Its turn has not come.
    Queued { relay_only: bool },
    /// It holds one of the slots.
    Granted,
}

/// The link to one participant.
#[derive(Debug, Clone, Hash)]
pub(crate) struct PeerLink {
    polite: bool,
    info: PeerInfo,
    local_incarnation: Incarnation,
    generation: Generation,
    connection: Option<Connection>,
    setup: Setup,
    recovery: Recovery,
    /// When the polite side asks for the offer that it waits for.
    offer_due: Option<Timestamp>,
    offer_requests: u32,
    /// Candidates that came before the offer of their generation, or instead of it.
    early: signals::EarlyCandidates,
    /// What the counterpart asked for, and when.
    requests: signals::Requests,
    /// The last generation that was answered with `stale`.
    told_stale: Option<Generation>,
    closed_on_purpose: bool,
    ever_connected: bool,
    was_reachable: bool,
    published: ConnectionState,
    pub(crate) dropped_signals: Count,
}

impl PeerLink {
    pub(crate) fn new(
        ctx: &mut Context<'_>,
        polite: bool,
        info: PeerInfo,
        local_incarnation: Incarnation,
        rng: Rng,
    ) -> Self {
        let mut link = Self {
            polite,
            info,
            local_incarnation,
            generation: Generation::first(local_incarnation, info.incarnation),
            connection: None,
            setup: Setup::Idle,
            recovery: Recovery::new(rng),
            offer_due: None,
            offer_requests: 0,
            early: signals::EarlyCandidates::default(),
            requests: signals::Requests::default(),
            told_stale: None,
            closed_on_purpose: false,
            ever_connected: false,
            was_reachable: ctx.signalling_up && info.present,
            published: ConnectionState::Disconnected,
            dropped_signals: Count::default(),
        };
        link.await_setup(ctx);
        link.publish(ctx);
        link
    }

    fn is_reachable(&self, ctx: &Context<'_>) -> bool {
        ctx.signalling_up && self.info.present
    }

    fn means(&self, ctx: &Context<'_>) -> Means {
        Means {
            reachable: self.is_reachable(ctx),
            can_restart: self.connection.as_ref().is_some_and(|c| c.negotiation.is_settled()),
            has_relay: ctx.has_relay,
        }
    }

    /// Takes this link's turn in the queue, or begins to wait for the peer's offer.
    fn await_setup(&mut self, ctx: &Context<'_>) {
        self.offer_requests = 0;
        if self.polite {
            self.offer_due = Some(ctx.now + ctx.config.offer_timeout);
        } else {
            self.setup = Setup::Queued { relay_only: false };
        }
    }

    // ----- what Mesh asks

    pub(crate) fn info(&self) -> PeerInfo {
        self.info
    }

    /// Whether the link is being set up in one of the slots. Whoever does not answer may be
    /// gone without a word, or there may be no path to them: the others do not wait for that.
    pub(crate) fn holds_slot(&self) -> bool {
        self.setup == Setup::Granted
            && self.info.present
            && self.recovery.pending().is_none()
            && !self.connection.as_ref().is_some_and(Connection::is_late)
    }

    /// Whether the link waits for a slot and could use one.
    pub(crate) fn wants_slot(&self, signalling_up: bool) -> bool {
        matches!(self.setup, Setup::Queued { .. }) && signalling_up && self.info.present
    }

    /// Whether an attempt has failed already.
    pub(crate) fn is_tried_again(&self) -> bool {
        self.recovery.attempts() > 0
    }

    pub(crate) fn grant_slot(&mut self, ctx: &mut Context<'_>) {
        let Setup::Queued { relay_only } = self.setup else {
            return;
        };
        self.setup = Setup::Granted;
        self.connect(ctx, true, relay_only);
        self.publish(ctx);
    }

    pub(crate) fn state(&self) -> ConnectionState {
        if self.closed_on_purpose {
            return ConnectionState::Disconnected;
        }
        if self.recovery.gave_up() {
            return ConnectionState::FailedPermanent;
        }
        match self.recovery.pending() {
            Some(true) => return ConnectionState::Disconnected,
            Some(false) => return ConnectionState::Failed,
            None => {}
        }
        match &self.connection {
            _ if self.recovery.is_attempting() => ConnectionState::Connecting,
            Some(c) if c.state == PeerConnectionState::Connected => ConnectionState::Connected,
            Some(_) => ConnectionState::Connecting,
            None if self.info.present => ConnectionState::Waiting,
            None => ConnectionState::Disconnected,
        }
    }

    pub(crate) fn was_connected(&self) -> bool {
        self.ever_connected
    }

    pub(crate) fn snapshot(&self, peer: PeerId) -> LinkSnapshot {
        let connection = self.connection.as_ref();
        LinkSnapshot {
            peer,
            state: self.state(),
            polite: self.polite,
            generation: self.generation,
            signaling_state: connection.map_or("closed", |c| c.negotiation.signaling_state()),
            peer_connection_state: connection.map(|c| c.state),
            relay_only: connection.is_some_and(|c| c.relay_only),
            attempts: self.recovery.attempts(),
            trouble: self.recovery.trouble().cloned(),
            ever_connected: self.ever_connected,
            level: connection.and_then(|c| c.health.as_ref()).map(health::Health::level),
            is_redundant: connection.is_some_and(|c| c.redundancy.is_on()),
            refused_candidates: connection.map_or(0, |c| c.refused_candidates.get()),
        }
    }

    pub(crate) fn deadline(&self, signalling_up: bool, config: &MeshConfig) -> Option<Deadline> {
        let reachable = signalling_up && self.info.present;
        let recovery = self.recovery.deadline(config, reachable).map(|at| {
            let reason = if self.recovery.is_attempting() {
                DeadlineReason::AttemptDue
            } else if self.recovery.pending().is_some() {
                DeadlineReason::AttemptStart
            } else {
                DeadlineReason::SettleDue
            };
            Deadline::new(at, reason)
        });
        let offer = self
            .offer_due
            .filter(|_| reachable)
            .map(|at| Deadline::new(at, DeadlineReason::OfferDue));
        let connection = self.connection.as_ref().and_then(|c| c.deadline(reachable));
        let request = self.requests.deadline().filter(|_| reachable);
        let request = request.map(|at| Deadline::new(at, DeadlineReason::RequestDue));
        [recovery, offer, connection, request].into_iter().flatten().min()
    }

    // ----- inputs

    pub(crate) fn on_seen(&mut self, ctx: &mut Context<'_>, info: PeerInfo) {
        let before = std::mem::replace(&mut self.info, info);
        if info.incarnation > before.incarnation {
            self.begin_anew(ctx);
        } else {
            self.info.incarnation = before.incarnation;
            if info.sends_audio && !before.sends_audio {
                self.expect_audio(ctx);
            }
        }
        self.on_reachability(ctx);
    }

    /// This side's seat is another one: nothing of the old link counts.
    pub(crate) fn on_local_incarnation(&mut self, ctx: &mut Context<'_>, local: Incarnation) {
        self.local_incarnation = local;
        self.begin_anew(ctx);
        self.publish(ctx);
    }

    /// Compares whether the peer can be reached with what it was.
    pub(crate) fn on_reachability(&mut self, ctx: &mut Context<'_>) {
        let reachable = self.is_reachable(ctx);
        if reachable && !self.was_reachable {
            self.revive(ctx);
            self.offer_requests = 0;
            if self.connection.is_none() && self.polite && !self.closed_on_purpose {
                self.offer_due = Some(ctx.now);
            }
            let wishes = self.connection.as_mut().map(|c| c.repeat_signals(ctx));
            self.grant_wishes(ctx, wishes.unwrap_or_default());
        }
        self.was_reachable = reachable;
        self.publish(ctx);
    }

    /// The machine slept: everything is looked at at once, and nothing is overdue.
    pub(crate) fn on_wake(&mut self, ctx: &mut Context<'_>) {
        self.revive(ctx);
        self.expect_audio(ctx);
        self.publish(ctx);
    }

    fn expect_audio(&mut self, ctx: &Context<'_>) {
        if let Some(health) = self.connection.as_mut().and_then(|c| c.health.as_mut()) {
            health.expect_from(ctx.now);
        }
    }

    /// Gives all that is under way its full time again, and begins again what could not
    /// succeed meanwhile.
    fn revive(&mut self, ctx: &mut Context<'_>) {
        self.extend(ctx);
        if let Some(action) = self.recovery.on_reachable(ctx.now) {
            self.climb(ctx, action);
        }
    }

    /// Gives all that is under way its full time again.
    pub(crate) fn extend(&mut self, ctx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection {
            connection.extend(ctx.now, ctx.config);
        }
        if self.offer_due.is_some() {
            self.offer_due = Some(ctx.now + ctx.config.offer_timeout);
        }
        self.recovery.extend(ctx.now, ctx.config);
    }

    /// *Retry*, or another reason from outside to begin again at once.
    pub(crate) fn on_retry(&mut self, ctx: &mut Context<'_>) {
        self.closed_on_purpose = false;
        self.recovery.restart(ctx.now, Trouble::NetworkChanged, true);
        self.publish(ctx);
    }

    /// The network may be another one: what is under way was begun on the old one.
    /// `changed`: even what seems sound must be renewed.
    pub(crate) fn on_network(&mut self, ctx: &mut Context<'_>, changed: bool) {
        let troubled = self.recovery.gave_up() || self.recovery.pending().is_some();
        let connected = self.state() == ConnectionState::Connected;
        let unfinished = self.connection.is_some() && !connected;
        if !self.closed_on_purpose && (troubled || unfinished || (changed && connected)) {
            self.setup = Setup::Idle;
            self.recovery.restart(ctx.now, Trouble::NetworkChanged, false);
        }
        self.publish(ctx);
    }

    /// The path in use may have ended. Where there is none yet, it may be one that was offered:
    /// an address at a relay that is gone.
    pub(crate) fn on_doubt(&mut self, ctx: &mut Context<'_>) {
        if self.state() != ConnectionState::Connected {
            if ctx.has_relay {
                self.on_network(ctx, false);
            }
        } else if let Some(health) = self.connection.as_mut().and_then(|c| c.health.as_mut()) {
            health.doubt(ctx.now);
        }
    }

    pub(crate) fn on_close_requested(&mut self, ctx: &mut Context<'_>) {
        self.close(ctx);
        self.recovery.reset();
        self.setup = Setup::Idle;
        self.offer_due = None;
        self.closed_on_purpose = true;
        self.publish(ctx);
    }

    pub(crate) fn on_needed(&mut self, ctx: &mut Context<'_>, pc: PcId) {
        if let Some(connection) = self.connection.as_mut().filter(|c| c.pc == pc) {
            let wishes = connection.on_needed(ctx);
            self.grant_wishes(ctx, wishes);
        }
    }

    pub(crate) fn on_gathered(
        &mut self,
        ctx: &mut Context<'_>,
        pc: PcId,
        candidate: Option<IceCandidate>,
    ) {
        if let Some(connection) = self.connection.as_mut().filter(|c| c.pc == pc) {
            let wish = connection.on_gathered(ctx, candidate);
            self.grant_wishes(ctx, wish.into_iter().collect());
        }
    }

    pub(crate) fn on_track(&mut self, ctx: &mut Context<'_>, pc: PcId) {
        let unannounced = |c: &&mut Connection| c.pc == pc && !c.has_remote_track;
        if let Some(connection) = self.connection.as_mut().filter(unannounced) {
            connection.has_remote_track = true;
            ctx.out.event(Event::RemoteTrackAdded { peer: ctx.peer, pc });
        }
    }

    pub(crate) fn on_pc_state(
        &mut self,
        ctx: &mut Context<'_>,
        pc: PcId,
        state: PeerConnectionState,
    ) {
        let Some(connection) = self.connection.as_mut().filter(|c| c.pc == pc) else {
            return;
        };
        connection.on_state(ctx, state);
        match state {
            PeerConnectionState::Connected => {
                self.ever_connected = true;
                self.setup = Setup::Idle;
                // Connected is not audible: who has a microphone must be heard first.
                self.recovery.on_connected();
                if !self.info.sends_audio {
                    self.recovery.on_sound(ctx.now);
                }
            }
            PeerConnectionState::Disconnected => self.on_trouble(ctx, Trouble::IceDisconnected),
            PeerConnectionState::Failed | PeerConnectionState::Closed => {
                self.on_trouble(ctx, Trouble::IceFailed);
            }
            PeerConnectionState::New | PeerConnectionState::Connecting => {}
        }
        self.publish(ctx);
    }

    pub(crate) fn on_completed(
        &mut self,
        ctx: &mut Context<'_>,
        op: OpId,
        result: Result<Completion, OpError>,
    ) {
        if let Some(connection) = &mut self.connection {
            let wishes = connection.on_completed(ctx, op, result);
            self.grant_wishes(ctx, wishes);
            self.publish(ctx);
        }
    }

    pub(crate) fn on_timeout(&mut self, ctx: &mut Context<'_>) {
        let reachable = self.is_reachable(ctx);
        if let Some(connection) = &mut self.connection {
            let wishes = connection.on_timeout(ctx, reachable);
            self.grant_wishes(ctx, wishes);
        }
        if reachable && self.offer_due.is_some_and(|due| ctx.now >= due) {
            self.ask_for_first_offer(ctx);
        }
        if reachable {
            self.on_waiting_request(ctx);
        }
        let means = self.means(ctx);
        if let Some(action) = self.recovery.on_timeout(ctx.now, ctx.config, means) {
            self.climb(ctx, action);
        }
        self.publish(ctx);
    }

    // ----- what follows from them

    fn grant_wishes(&mut self, ctx: &mut Context<'_>, wishes: Vec<Wish>) {
        for wish in wishes {
            match wish {
                Wish::SendDescription { kind, offer, sdp } => {
                    let (generation, offer) = (Some(self.generation), Some(offer));
                    let signal = match kind {
                        DescriptionKind::Offer => Signal::Offer { generation, offer, sdp },
                        DescriptionKind::Answer => Signal::Answer { generation, offer, sdp },
                    };
                    self.send(ctx, signal);
                }
                Wish::SendCandidates(batch) => {
                    let (generation, offer) = (Some(self.generation), Some(batch.offer));
                    let candidates = batch.candidates;
                    self.send(ctx, Signal::Candidates { generation, offer, candidates });
                }
                Wish::Trouble(trouble) => self.on_trouble(ctx, trouble),
                Wish::Settled => self.recovery.on_settled(ctx.now, ctx.config),
                Wish::Sampled(sample) => self.on_sample(ctx, sample),
            }
        }
    }

    fn send(&self, ctx: &mut Context<'_>, signal: Signal) {
        ctx.out.command(Command::SendSignal { to: ctx.peer, signal });
    }

    fn on_trouble(&mut self, ctx: &Context<'_>, trouble: Trouble) {
        if self.setup == Setup::Granted {
            self.setup = Setup::Idle;
        }
        if let Some(connection) = &mut self.connection {
            connection.connect_due = None;
        }
        self.recovery.on_trouble(ctx.now, ctx.config, trouble);
    }

    fn on_sample(&mut self, ctx: &mut Context<'_>, sample: StatsSample) {
        let expected = self.info.sends_audio;
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        let report = sample.outbound_loss;
        let pc = connection.pc;
        if let Some(on) = report.and_then(|loss| connection.redundancy.on_report(ctx.now, loss)) {
            ctx.out.command(Command::SetRedundancy { pc, on });
        }
        let connected = connection.state == PeerConnectionState::Connected;
        let Some(health) = connection.health.as_mut() else {
            return;
        };
        let verdict = health.on_sample(ctx.now, ctx.config, sample);
        let dead = expected && verdict.is_dead;
        let silent = dead || (expected && health.is_silent(ctx.now, ctx.config));
        let level = if silent { health.on_silent() } else { verdict.level };
        if let Some(level) = level {
            ctx.out.event(Event::QualityChanged { peer: ctx.peer, level });
        }
        if connected && dead && !self.recovery.is_troubled() {
            self.setup = Setup::Idle;
            self.recovery.restart(ctx.now, Trouble::NoInboundAudio, false);
        } else if connected && silent {
            self.on_trouble(ctx, Trouble::NoInboundAudio);
        } else if connected && (verdict.progressed || !expected) {
            self.recovery.on_sound(ctx.now);
        }
    }

    fn climb(&mut self, ctx: &mut Context<'_>, action: recovery::Action) {
        match action {
            recovery::Action::Begin(step) => self.begin_step(ctx, step),
            recovery::Action::GiveUp(trouble) => {
                self.setup = Setup::Idle;
                self.offer_due = None;
                ctx.out.event(Event::ConnectionFailed { peer: ctx.peer, trouble });
            }
        }
    }

    fn begin_step(&mut self, ctx: &mut Context<'_>, step: Step) {
        self.offer_due = None;
        let relay_only = step == Step::RecreateRelayOnly;
        match (step, self.polite) {
            (Step::IceRestart, false) => {
                if let Some(connection) = &self.connection {
                    connection.restart_ice(ctx);
                }
            }
            (Step::IceRestart, true) => {
                self.ask(ctx, self.generation, OfferKind::IceRestart, relay_only);
            }
            (Step::Recreate | Step::RecreateRelayOnly, false) => {
                self.recreate(ctx, self.generation.next(), relay_only);
            }
            (Step::Recreate | Step::RecreateRelayOnly, true) => {
                let generation = match &self.connection {
                    Some(_) => self.generation.next(),
                    None => self.generation,
                };
                self.ask(ctx, generation, OfferKind::Any, relay_only);
            }
        }
    }

    fn ask(
        &self,
        ctx: &mut Context<'_>,
        generation: Generation,
        kind: OfferKind,
        relay_only: bool,
    ) {
        self.send(ctx, Signal::RequestOffer { generation, kind, relay_only });
    }

    fn ask_for_first_offer(&mut self, ctx: &mut Context<'_>) {
        if self.offer_requests >= ctx.config.offer_requests {
            self.offer_due = None;
            self.recovery.on_trouble(ctx.now, ctx.config, Trouble::NoOffer);
            return;
        }
        self.offer_requests = self.offer_requests.saturating_add(1);
        self.offer_due = Some(ctx.now + ctx.config.offer_timeout);
        self.ask(ctx, self.generation, OfferKind::Any, false);
    }

    /// Closes what is there and takes a turn in the queue for a new peer connection.
    fn recreate(&mut self, ctx: &mut Context<'_>, generation: Generation, relay_only: bool) {
        self.close(ctx);
        self.generation = generation;
        self.setup = Setup::Queued { relay_only };
    }

    /// Makes a peer connection. `offers`: it is to make the first offer.
    fn connect(&mut self, ctx: &mut Context<'_>, offers: bool, relay_only: bool) {
        let pc = ctx.out.next_pc(ctx.peer);
        let op = ctx.out.next_op(ctx.now, ctx.peer, pc);
        let mut connection = Connection::new(ctx, pc, op, self.polite);
        connection.relay_only = relay_only;
        if self.recovery.is_attempting() {
            connection.connect_due = None;
        }
        self.offer_due = None;
        self.connection = Some(connection);
        let (peer, generation) = (ctx.peer, self.generation);
        ctx.out.command(Command::CreatePeerConnection {
            op,
            pc,
            peer,
            generation,
            offers,
            relay_only,
        });
    }

    fn close(&mut self, ctx: &mut Context<'_>) {
        if let Some(connection) = self.connection.take() {
            ctx.out.command(Command::ClosePeerConnection { pc: connection.pc });
        }
    }

    /// One of the two pages or seats is a new one: nothing of the old link counts.
    fn begin_anew(&mut self, ctx: &mut Context<'_>) {
        self.close(ctx);
        self.generation = Generation::first(self.local_incarnation, self.info.incarnation);
        self.recovery.reset();
        self.early = signals::EarlyCandidates::default();
        self.requests = signals::Requests::default();
        self.told_stale = None;
        self.closed_on_purpose = false;
        self.ever_connected = false;
        self.await_setup(ctx);
    }

    /// The participant left: closes the connection without another word.
    pub(crate) fn on_left(mut self, ctx: &mut Context<'_>) {
        self.close(ctx);
        ctx.out.forget(ctx.peer);
    }

    fn publish(&mut self, ctx: &mut Context<'_>) {
        let to = self.state();
        let from = std::mem::replace(&mut self.published, to);
        if from != to {
            let trouble = self.recovery.trouble().cloned();
            tracing::debug!(peer = %ctx.peer, %from, %to, ?trouble, "link state");
            ctx.out.event(Event::ConnectionStateChanged { peer: ctx.peer, from, to, trouble });
        }
    }
}
