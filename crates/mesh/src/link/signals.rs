//! What a link does with the signals of its counterpart.
//!
//! First the generation decides whether a signal belongs to the past, the present or the
//! next peer connection; only then is its content looked at.

use std::time::Duration;

use openstudio_units::{Generation, OfferId, Timestamp};

use super::connection::Connection;
use super::context::Context;
use super::recovery::Step;
use super::trickle::MAX_CANDIDATES;
use super::{PeerLink, Setup};
use crate::signal::{IceCandidate, OfferKind, Signal};

/// How often requests of a counterpart are followed. An honest one waits at least
/// [`MeshConfig::offer_timeout`](crate::MeshConfig) or a delay of the ladder between two.
const REQUEST_INTERVAL: Duration = Duration::from_millis(900);

/// A request for an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    generation: Generation,
    kind: OfferKind,
    relay_only: bool,
}

/// When a request was last followed, and the newest for a later generation that came too
/// soon after it. One for the present generation that comes too soon is the same again.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Requests {
    followed: Option<Timestamp>,
    waiting: Option<Request>,
}

impl Requests {
    /// When the request that waits may be followed.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.waiting.and(self.followed).map(|at| at + REQUEST_INTERVAL)
    }

    /// Takes the request that waited, once its time has come.
    fn take_due(&mut self, now: Timestamp) -> Option<Request> {
        if self.deadline().is_some_and(|due| now >= due) { self.waiting.take() } else { None }
    }

    /// Whether a request may be followed now; otherwise one for a later generation waits.
    fn admit(&mut self, now: Timestamp, request: Request, is_later: bool) -> bool {
        if self.followed.is_some_and(|at| now.since(at) < REQUEST_INTERVAL) {
            self.waiting = Some(request).filter(|_| is_later).or(self.waiting);
            return false;
        }
        self.followed = Some(now);
        self.waiting = None;
        true
    }
}

/// Candidates of generations whose offer has not come.
///
/// Invariant: [`MAX_CANDIDATES`] at most.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct EarlyCandidates(Vec<(Generation, Option<OfferId>, IceCandidate)>);

impl EarlyCandidates {
    fn push(
        &mut self,
        generation: Generation,
        offer: Option<OfferId>,
        candidates: Vec<IceCandidate>,
    ) {
        let room = MAX_CANDIDATES.saturating_sub(self.0.len());
        self.0.extend(candidates.into_iter().take(room).map(|c| (generation, offer, c)));
    }

    /// Takes those of `generation`; older ones are dropped.
    fn take(&mut self, generation: Generation) -> Vec<(Option<OfferId>, IceCandidate)> {
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.0).into_iter().partition(|(of, _, _)| *of == generation);
        self.0 = rest.into_iter().filter(|(of, _, _)| *of > generation).collect();
        due.into_iter().map(|(_, offer, candidate)| (offer, candidate)).collect()
    }
}

/// How a signal's generation compares with the link's.
enum Age {
    Past,
    Present,
    Next,
}

impl PeerLink {
    pub(crate) fn on_signal(&mut self, ctx: &mut Context<'_>, signal: Signal) {
        if self.closed_on_purpose {
            self.dropped_signals.add(1);
            return;
        }
        match signal {
            Signal::Offer { generation, offer, sdp } => self.on_offer(ctx, generation, offer, sdp),
            Signal::Answer { generation, offer, sdp } => {
                self.on_answer(ctx, generation, offer, sdp);
            }
            Signal::Candidates { generation, offer, candidates } => {
                self.on_candidates(ctx, generation, offer, candidates);
            }
            Signal::RequestOffer { generation, kind, relay_only } => {
                self.on_request(ctx, Request { generation, kind, relay_only });
            }
            Signal::Stale { generation } => self.on_stale(ctx, generation),
        }
        self.publish(ctx);
    }

    fn first_generation(&self) -> Generation {
        Generation::first(self.local_incarnation, self.info.incarnation)
    }

    /// Compares generations. One between other incarnations than the present two is of a
    /// page that is gone, or that the room has not told of: it counts as past.
    fn age(&self, generation: Option<Generation>) -> Age {
        let Some(generation) = generation else {
            return Age::Present;
        };
        if generation == self.generation {
            Age::Present
        } else if generation > self.generation && generation.is_of(self.first_generation()) {
            Age::Next
        } else {
            Age::Past
        }
    }

    fn drop_signal(&mut self, ctx: &mut Context<'_>, generation: Option<Generation>) {
        self.dropped_signals.add(1);
        let Some(generation) = generation else { return };
        let is_behind = generation < self.generation && generation.is_of(self.first_generation());
        if is_behind && self.told_stale != Some(generation) {
            self.told_stale = Some(generation);
            self.send(ctx, Signal::Stale { generation: self.generation });
        }
    }

    fn on_offer(
        &mut self,
        ctx: &mut Context<'_>,
        generation: Option<Generation>,
        offer: Option<OfferId>,
        sdp: String,
    ) {
        match self.age(generation) {
            Age::Past => return self.drop_signal(ctx, generation),
            Age::Present if self.connection.is_some() => {
                // One that comes again is the attempt that it was.
                let taken = |c: &Connection| c.negotiation.has_taken(offer);
                if !self.connection.as_ref().is_some_and(taken) {
                    self.join_attempt(ctx, Step::IceRestart);
                }
            }
            Age::Present | Age::Next => self.accept(ctx, generation.unwrap_or(self.generation)),
        }
        let Some(connection) = &mut self.connection else {
            return;
        };
        let wishes = connection.on_remote_offer(ctx, offer, sdp);
        self.grant_wishes(ctx, wishes);
    }

    /// Makes a peer connection for an offer of the counterpart.
    fn accept(&mut self, ctx: &mut Context<'_>, generation: Generation) {
        let relay_only = self.recovery.relay_only();
        // One of a later generation is no answer to what was asked for here, and ends it.
        if generation == self.generation {
            self.join_attempt(ctx, Step::Recreate);
        } else if self.recovery.is_troubled() {
            self.recovery.on_asked_anew(ctx.now, ctx.config, Step::Recreate);
        }
        self.close(ctx);
        self.generation = generation;
        self.setup = Setup::Idle;
        self.offer_requests = 0;
        self.connect(ctx, false, relay_only);
        let early = self.early.take(generation);
        if let Some(connection) = &mut self.connection {
            for (offer, candidate) in early {
                connection.on_candidates(ctx, offer, vec![candidate]);
            }
        }
    }

    /// An offer in the midst of trouble is the counterpart's attempt.
    fn join_attempt(&mut self, ctx: &Context<'_>, step: Step) {
        if self.recovery.is_troubled() {
            self.recovery.on_asked(ctx.now, ctx.config, step);
        }
    }

    fn on_answer(
        &mut self,
        ctx: &mut Context<'_>,
        generation: Option<Generation>,
        offer: Option<OfferId>,
        sdp: String,
    ) {
        let taken = matches!(self.age(generation), Age::Present)
            && self.connection.as_mut().is_some_and(|c| c.on_remote_answer(ctx, offer, sdp));
        if !taken {
            self.dropped_signals.add(1);
        }
    }

    fn on_candidates(
        &mut self,
        ctx: &mut Context<'_>,
        generation: Option<Generation>,
        offer: Option<OfferId>,
        candidates: Vec<IceCandidate>,
    ) {
        match (self.age(generation), &mut self.connection) {
            (Age::Past, _) => self.dropped_signals.add(1),
            (Age::Present, Some(connection)) => connection.on_candidates(ctx, offer, candidates),
            (Age::Present | Age::Next, _) => {
                self.early.push(generation.unwrap_or(self.generation), offer, candidates);
            }
        }
    }

    /// A request that waited is followed, unless it was granted meanwhile.
    pub(crate) fn on_waiting_request(&mut self, ctx: &mut Context<'_>) {
        let request = self.requests.take_due(ctx.now);
        if let Some(request) = request.filter(|r| matches!(self.age(Some(r.generation)), Age::Next))
        {
            self.on_request(ctx, request);
        }
    }

    /// The polite counterpart asks for an offer.
    fn on_request(&mut self, ctx: &mut Context<'_>, request: Request) {
        let Request { generation, kind, relay_only } = request;
        if self.polite {
            self.dropped_signals.add(1);
            return;
        }
        let age = self.age(Some(generation));
        if matches!(age, Age::Past) {
            return self.drop_signal(ctx, Some(generation));
        }
        // Each request costs this side more than the counterpart, who may be hostile.
        if !self.requests.admit(ctx.now, request, matches!(age, Age::Next)) {
            self.dropped_signals.add(1);
            return;
        }
        if matches!(age, Age::Present) {
            return self.on_present_request(ctx, kind, relay_only);
        }
        let step = if relay_only { Step::RecreateRelayOnly } else { Step::Recreate };
        // What is under way here was an attempt of the generation that this one ends.
        self.recovery.on_asked_anew(ctx.now, ctx.config, step);
        self.recreate(ctx, generation, relay_only);
    }

    fn on_present_request(&mut self, ctx: &mut Context<'_>, kind: OfferKind, relay_only: bool) {
        let Some(connection) = &mut self.connection else {
            // Queued: the offer is coming. Given up: the counterpart has not.
            if self.setup == Setup::Idle {
                self.recovery.on_asked(ctx.now, ctx.config, Step::Recreate);
                self.recreate(ctx, self.generation.next(), relay_only);
            }
            return;
        };
        if connection.negotiation.awaits_answer() {
            let wishes = connection.repeat_signals(ctx);
            // Whoever asks for a restart has applied the first offer, and waited too long
            // since: the answer alone does not bring its end back.
            if kind == OfferKind::IceRestart && !self.recovery.is_attempting() {
                connection.restart_ice(ctx);
                self.recovery.on_asked(ctx.now, ctx.config, Step::IceRestart);
            }
            return self.grant_wishes(ctx, wishes);
        }
        if !connection.negotiation.is_settled() {
            return;
        }
        if kind == OfferKind::IceRestart {
            // An attempt that is under way here is the one that is asked for.
            if !self.recovery.is_attempting() {
                connection.restart_ice(ctx);
                self.recovery.on_asked(ctx.now, ctx.config, Step::IceRestart);
            }
        } else {
            // The counterpart has no peer connection of a generation that is settled here.
            self.recovery.on_asked(ctx.now, ctx.config, Step::Recreate);
            self.recreate(ctx, self.generation.next(), relay_only);
        }
    }

    /// The counterpart's generation is ahead: catch up.
    fn on_stale(&mut self, ctx: &mut Context<'_>, generation: Generation) {
        if !matches!(self.age(Some(generation)), Age::Next) {
            return;
        }
        if self.polite {
            self.close(ctx);
            self.generation = generation;
            self.offer_requests = 0;
            self.offer_due = Some(ctx.now);
        } else {
            self.recovery.on_asked_anew(ctx.now, ctx.config, Step::Recreate);
            self.recreate(ctx, generation.next(), false);
        }
    }
}
