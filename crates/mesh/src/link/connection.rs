//! One peer connection of a link, with the machines that live and die with it.
//!
//! Holds no decision beyond which machine is told what; [`PeerLink`](super::PeerLink)
//! decides when a connection is made and closed.

use openstudio_units::{OfferId, Timestamp};

use super::context::Context;
use super::health::Health;
use super::negotiation::{Action, Negotiation};
use super::operations::{Operation, OperationKind, Operations};
use super::redundancy::Redundancy;
use super::trickle::{Batch, Trickle};
use crate::config::MeshConfig;
use crate::count::Count;
use crate::deadline::{Deadline, DeadlineReason};
use crate::input::{Completion, DescriptionKind, OpError, PeerConnectionState, StatsSample};
use crate::output::{Command, OpId, PcId, Trouble};
use crate::signal::IceCandidate;

/// What a connection wants its link to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wish {
    SendDescription {
        kind: DescriptionKind,
        offer: OfferId,
        sdp: String,
    },
    SendCandidates(Batch),
    Trouble(Trouble),
    /// Offer and answer of a round are applied on this side.
    Settled,
    Sampled(StatsSample),
}

#[derive(Debug, Clone, Hash)]
pub(crate) struct Connection {
    pub(crate) pc: PcId,
    pub(crate) state: PeerConnectionState,
    pub(crate) negotiation: Negotiation,
    pub(crate) relay_only: bool,
    pub(crate) has_remote_track: bool,
    /// Set while the connection has not been connected yet and no attempt of the ladder
    /// watches over it.
    pub(crate) connect_due: Option<Timestamp>,
    pub(crate) health: Option<Health>,
    pub(crate) redundancy: Redundancy,
    /// Candidates that the platform did not take.
    pub(crate) refused_candidates: Count,
    ice_start_due: Option<Timestamp>,
    /// When candidates that may be lost are sent again.
    repeat_due: Option<Timestamp>,
    /// How often that was done in this round.
    repeated: u32,
    trickle: Trickle,
    operations: Operations,
}

impl Connection {
    pub(crate) fn new(ctx: &Context<'_>, pc: PcId, create: OpId, polite: bool) -> Self {
        Self {
            pc,
            state: PeerConnectionState::New,
            negotiation: Negotiation::new(polite),
            relay_only: false,
            has_remote_track: false,
            connect_due: Some(ctx.now + ctx.config.connect_timeout),
            health: None,
            redundancy: Redundancy::default(),
            refused_candidates: Count::default(),
            ice_start_due: None,
            repeat_due: None,
            repeated: 0,
            trickle: Trickle::default(),
            operations: Operations::new(pc, create, ctx.now + ctx.config.operation_timeout),
        }
    }

    /// Whether the set-up waits for something that had to be sent again.
    pub(crate) fn is_late(&self) -> bool {
        self.negotiation.is_unanswered() || self.repeated > 0
    }

    /// The earliest deadline. While the peer cannot be reached, only those count that
    /// do not depend on it.
    pub(crate) fn deadline(&self, reachable: bool) -> Option<Deadline> {
        let always = [
            self.operations.deadline().map(|at| Deadline::new(at, DeadlineReason::OperationDue)),
            self.trickle.deadline().map(|at| Deadline::new(at, DeadlineReason::FlushCandidates)),
            self.health
                .as_ref()
                .map(|health| Deadline::new(health.deadline(), DeadlineReason::SampleStats)),
        ];
        let when_reachable = [
            self.negotiation.deadline().map(|at| Deadline::new(at, DeadlineReason::AnswerDue)),
            self.ice_start_due.map(|at| Deadline::new(at, DeadlineReason::IceStartDue)),
            self.repeat_due.map(|at| Deadline::new(at, DeadlineReason::RepeatCandidates)),
            self.connect_due.map(|at| Deadline::new(at, DeadlineReason::ConnectDue)),
        ];
        let when_reachable = when_reachable.into_iter().filter(|_| reachable);
        always.into_iter().chain(when_reachable).flatten().min()
    }

    pub(crate) fn on_timeout(&mut self, ctx: &mut Context<'_>, reachable: bool) -> Vec<Wish> {
        let (now, config) = (ctx.now, ctx.config);
        let mut wishes = Vec::new();
        wishes.extend(self.trickle.on_timeout(now).map(Wish::SendCandidates));
        if self.operations.is_overdue(now) {
            self.operations.extend(now + config.operation_timeout);
            wishes.push(Wish::Trouble(Trouble::OperationTimeout));
        }
        if let Some(detailed) =
            self.health.as_mut().and_then(|health| health.on_timeout(now, config))
        {
            self.push(ctx, Operation::Sample { detailed });
        }
        if !reachable {
            return wishes;
        }
        if let Some(action) = self.negotiation.on_timeout(now, config) {
            self.perform(ctx, action, &mut wishes);
        }
        if take_if_due(&mut self.repeat_due, now) {
            self.repeated = self.repeated.saturating_add(1);
            self.repeat_due =
                Some(now + config.repeat_interval).filter(|_| self.repeated < config.repeats);
            wishes.extend(self.trickle.repeat().map(Wish::SendCandidates));
        }
        if take_if_due(&mut self.ice_start_due, now) {
            wishes.push(Wish::Trouble(Trouble::IceStuck));
        }
        if take_if_due(&mut self.connect_due, now) {
            wishes.push(Wish::Trouble(Trouble::ConnectTimeout));
        }
        wishes
    }

    pub(crate) fn on_completed(
        &mut self,
        ctx: &mut Context<'_>,
        op: OpId,
        result: Result<Completion, OpError>,
    ) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let Some(kind) = self.operations.complete(op) else {
            return wishes;
        };
        match (kind, result) {
            // The connection succeeds or fails by the candidates that were not refused.
            (OperationKind::AddCandidates, Ok(Completion::CandidatesAdded { refused })) => {
                self.refused_candidates.add(refused.into());
            }
            (OperationKind::AddCandidates | OperationKind::Sample, Err(_)) => {}
            (
                OperationKind::Create | OperationKind::SetLocal | OperationKind::SetRemote,
                Err(error),
            ) => {
                wishes.push(Wish::Trouble(Trouble::OperationFailed(error)));
            }
            (OperationKind::SetLocal, Ok(Completion::LocalDescriptionSet { kind, sdp })) => {
                let actions = self.negotiation.on_local_set(ctx.now, ctx.config, kind, sdp);
                self.perform_all(ctx, actions, &mut wishes);
            }
            (OperationKind::SetRemote, Ok(_)) => {
                let actions = self.negotiation.on_remote_set();
                self.perform_all(ctx, actions, &mut wishes);
            }
            (OperationKind::Sample, Ok(Completion::Stats(sample))) => {
                wishes.push(Wish::Sampled(sample));
            }
            (OperationKind::Create, Ok(_)) => {}
            (
                OperationKind::SetLocal | OperationKind::AddCandidates | OperationKind::Sample,
                Ok(_),
            ) => {
                let error = OpError("the driver reported another operation".to_owned());
                wishes.push(Wish::Trouble(Trouble::OperationFailed(error)));
            }
        }
        self.give_out(ctx);
        wishes
    }

    pub(crate) fn on_needed(&mut self, ctx: &mut Context<'_>) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let action = self.negotiation.on_needed();
        self.perform_all(ctx, action.into_iter().collect(), &mut wishes);
        wishes
    }

    pub(crate) fn on_remote_offer(
        &mut self,
        ctx: &mut Context<'_>,
        offer: Option<OfferId>,
        sdp: String,
    ) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let actions = self.negotiation.on_remote_offer(ctx.now, offer, sdp);
        self.perform_all(ctx, actions, &mut wishes);
        wishes
    }

    pub(crate) fn on_remote_answer(
        &mut self,
        ctx: &mut Context<'_>,
        offer: Option<OfferId>,
        sdp: String,
    ) -> bool {
        match self.negotiation.on_remote_answer(offer, sdp) {
            Some(action) => {
                self.perform_all(ctx, vec![action], &mut Vec::new());
                true
            }
            None => false,
        }
    }

    pub(crate) fn on_candidates(
        &mut self,
        ctx: &mut Context<'_>,
        offer: Option<OfferId>,
        candidates: Vec<IceCandidate>,
    ) {
        let due = self.trickle.on_received(offer, candidates);
        self.push(ctx, Operation::AddCandidates(due));
    }

    pub(crate) fn on_gathered(
        &mut self,
        ctx: &Context<'_>,
        candidate: Option<IceCandidate>,
    ) -> Option<Wish> {
        self.trickle.on_gathered(ctx.now, ctx.config, candidate).map(Wish::SendCandidates)
    }

    pub(crate) fn on_state(&mut self, ctx: &Context<'_>, state: PeerConnectionState) {
        self.state = state;
        if state != PeerConnectionState::New {
            self.ice_start_due = None;
        }
        if state == PeerConnectionState::Connected {
            self.connect_due = None;
            self.repeat_due = None;
            if self.health.is_none() {
                self.health = Some(Health::new(ctx.now, ctx.config));
            }
        }
    }

    /// Sends again what may have been lost, without touching the peer connection.
    pub(crate) fn repeat_signals(&mut self, ctx: &mut Context<'_>) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if self.negotiation.awaits_answer() {
            if let Some(action) = self.negotiation.repeat_offer(ctx.now, ctx.config) {
                self.perform(ctx, action, &mut wishes);
            }
        } else if self.state != PeerConnectionState::Connected {
            wishes.extend(self.trickle.repeat().map(Wish::SendCandidates));
        }
        wishes
    }

    /// Gives everything that is under way its full time again: the machine slept, or the
    /// peer could not be reached.
    pub(crate) fn extend(&mut self, now: Timestamp, config: &MeshConfig) {
        self.negotiation.extend(now, config);
        self.operations.extend(now + config.operation_timeout);
        if let Some(due) = &mut self.connect_due {
            *due = now + config.connect_timeout;
        }
        if let Some(due) = &mut self.ice_start_due {
            *due = now + config.ice_start_timeout;
        }
        if let Some(due) = &mut self.repeat_due {
            *due = now + config.repeat_interval;
        }
    }

    fn perform_all(&mut self, ctx: &mut Context<'_>, actions: Vec<Action>, wishes: &mut Vec<Wish>) {
        for action in actions {
            self.perform(ctx, action, wishes);
        }
    }

    fn perform(&mut self, ctx: &mut Context<'_>, action: Action, wishes: &mut Vec<Wish>) {
        match action {
            Action::SetLocal => {
                wishes.extend(self.trickle.hold().map(Wish::SendCandidates));
                self.push(ctx, Operation::SetLocal);
            }
            Action::SetRemote { kind, sdp } => self.push(ctx, Operation::SetRemote { kind, sdp }),
            Action::Send { kind, offer, sdp, again } => {
                let batch = self.trickle.on_description_sent(offer, &sdp, again);
                wishes.push(Wish::SendDescription { kind, offer, sdp });
                wishes.extend(batch.map(Wish::SendCandidates));
            }
            Action::Withdrawn { .. } => self.trickle.on_withdrawn(),
            Action::Applied { offer } => {
                let due = self.trickle.on_applied(offer);
                self.push(ctx, Operation::AddCandidates(due));
            }
            Action::Ignored { offer } => self.trickle.on_ignored(offer),
            Action::Settled => {
                if self.state == PeerConnectionState::New {
                    self.ice_start_due = Some(ctx.now + ctx.config.ice_start_timeout);
                }
                if self.state != PeerConnectionState::Connected {
                    let due = ctx.now + ctx.config.ice_timeout;
                    self.connect_due = self.connect_due.map(|at| at.min(due));
                    self.repeat_due = Some(ctx.now + ctx.config.repeat_interval);
                    self.repeated = 0;
                }
                wishes.push(Wish::Settled);
            }
            Action::Failed(trouble) => wishes.push(Wish::Trouble(trouble)),
        }
    }

    fn push(&mut self, ctx: &mut Context<'_>, operation: Operation) {
        self.operations.push(operation);
        self.give_out(ctx);
    }

    fn give_out(&mut self, ctx: &mut Context<'_>) {
        if !self.operations.is_ready() {
            return;
        }
        let op = ctx.out.next_op(ctx.now, ctx.peer, self.pc);
        let due = ctx.now + ctx.config.operation_timeout;
        if let Some(command) = self.operations.next(op, due) {
            ctx.out.command(command);
        }
    }

    /// Asks the platform for new ICE credentials; an offer follows.
    pub(crate) fn restart_ice(&self, ctx: &mut Context<'_>) {
        ctx.out.command(Command::RestartIce { pc: self.pc });
    }
}

fn take_if_due(due: &mut Option<Timestamp>, now: Timestamp) -> bool {
    let is_due = due.is_some_and(|at| now >= at);
    if is_due {
        *due = None;
    }
    is_due
}
