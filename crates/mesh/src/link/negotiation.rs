//! Perfect negotiation over the signalling states of one peer connection.
//!
//! Decides which description is made, sent, applied, ignored or sent again. It knows
//! nothing of candidates, of attempts to recover, or of what carries the messages.
//! Source: webrtc-pc §10.7 (perfect negotiation), RFC 9429 §3.2 and §4.1.10 (states,
//! rollback), with these differences, each against a way in which the example hangs:
//! the polite side makes no offer before it has applied one; an offer has a deadline;
//! a description names its round.
//!
//! Invariants: at most one of our offers is out; an answer is applied only to the offer
//! that it names; an offer is never ignored by the polite side.

use std::time::Duration;

use openstudio_units::{OfferId, Timestamp};

use crate::config::MeshConfig;
use crate::input::DescriptionKind;
use crate::output::Trouble;

/// How often a doubled offer is answered again: an answer and its candidates are larger
/// than the means of a hostile peer to ask for them.
const ANSWER_INTERVAL: Duration = Duration::from_millis(900);

/// What the link is to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Make and set the local description that the signalling state calls for.
    SetLocal,
    /// Apply a remote description.
    SetRemote { kind: DescriptionKind, sdp: String },
    /// Send a description of round `offer`. `again` if it was sent before.
    Send { kind: DescriptionKind, offer: OfferId, sdp: String, again: bool },
    /// The local description of `offer` was withdrawn before it was sent or answered.
    Withdrawn { offer: OfferId },
    /// The remote description of round `offer` is applied: its candidates may follow.
    Applied { offer: OfferId },
    /// The remote offer `offer` is ignored: so are its candidates.
    Ignored { offer: OfferId },
    /// Offer and answer of a round are applied on this side.
    Settled,
    /// The round cannot be completed.
    Failed(Trouble),
}

/// Where a round stands. The names follow `RTCSignalingState`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum State {
    Stable,
    /// The local offer is being made; `making_offer` of webrtc-pc. `then` is a remote
    /// offer that is applied over it.
    MakingOffer {
        offer: OfferId,
        then: Option<RemoteOffer>,
    },
    HaveLocalOffer {
        offer: OfferId,
        sdp: String,
        answer_due: Timestamp,
        repeated: u32,
    },
    /// `isSettingRemoteAnswerPending` of webrtc-pc. `then` arrived meanwhile.
    ApplyingAnswer {
        offer: OfferId,
        then: Option<RemoteOffer>,
    },
    ApplyingOffer {
        offer: OfferId,
    },
    MakingAnswer {
        offer: OfferId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RemoteOffer {
    offer: OfferId,
    sdp: String,
}

/// The negotiation of one peer connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Negotiation {
    polite: bool,
    state: State,
    next_offer: OfferId,
    /// Negotiation is needed, but cannot begin in this state.
    needed: bool,
    /// A remote description has been applied: the polite side may offer from here on.
    has_remote: bool,
    /// The newest remote offer that was taken, and the answer to it once it is there.
    last_remote: Option<(OfferId, Option<String>)>,
    /// When an answer was last sent again.
    answered_again: Option<Timestamp>,
}

impl Negotiation {
    pub(crate) fn new(polite: bool) -> Self {
        let next_offer = if polite { OfferId::FIRST_POLITE } else { OfferId::FIRST_IMPOLITE };
        Self {
            polite,
            state: State::Stable,
            next_offer,
            needed: false,
            has_remote: false,
            last_remote: None,
            answered_again: None,
        }
    }

    /// Whether both descriptions of a round are applied and none is on its way.
    pub(crate) fn is_settled(&self) -> bool {
        self.has_remote && matches!(self.state, State::Stable)
    }

    /// Whether our offer is out and unanswered.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(self.state, State::HaveLocalOffer { .. })
    }

    /// Whether our offer had to be sent again, and is still not answered.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.state, State::HaveLocalOffer { repeated, .. } if repeated > 0)
    }

    /// The signalling state by its webrtc-pc name, for the debug panel.
    pub(crate) fn signaling_state(&self) -> &'static str {
        match self.state {
            State::Stable | State::MakingOffer { .. } => "stable",
            State::HaveLocalOffer { .. } | State::ApplyingAnswer { .. } => "have-local-offer",
            State::ApplyingOffer { .. } | State::MakingAnswer { .. } => "have-remote-offer",
        }
    }

    /// Whether a remote offer of this id was taken already: it comes again.
    pub(crate) fn has_taken(&self, offer: Option<OfferId>) -> bool {
        offer.is_some() && self.last_remote.as_ref().map(|(last, _)| *last) == offer
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::HaveLocalOffer { answer_due, .. } => Some(answer_due),
            State::Stable
            | State::MakingOffer { .. }
            | State::ApplyingAnswer { .. }
            | State::ApplyingOffer { .. }
            | State::MakingAnswer { .. } => None,
        }
    }

    /// Gives an offer that is out its full time again.
    pub(crate) fn extend(&mut self, now: Timestamp, config: &MeshConfig) {
        if let State::HaveLocalOffer { answer_due, .. } = &mut self.state {
            *answer_due = now + config.answer_timeout;
        }
    }

    pub(crate) fn on_needed(&mut self) -> Option<Action> {
        if self.polite && !self.has_remote {
            return None;
        }
        if self.state != State::Stable {
            self.needed = true;
            return None;
        }
        self.needed = false;
        let offer = self.next_offer;
        self.next_offer = offer.next();
        self.state = State::MakingOffer { offer, then: None };
        Some(Action::SetLocal)
    }

    pub(crate) fn on_local_set(
        &mut self,
        now: Timestamp,
        config: &MeshConfig,
        kind: DescriptionKind,
        sdp: String,
    ) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Stable);
        match (state, kind) {
            (State::MakingOffer { offer, then: None }, DescriptionKind::Offer) => {
                let answer_due = now + config.answer_timeout;
                self.state =
                    State::HaveLocalOffer { offer, sdp: sdp.clone(), answer_due, repeated: 0 };
                vec![Action::Send { kind, offer, sdp, again: false }]
            }
            (State::MakingOffer { offer, then: Some(remote) }, DescriptionKind::Offer) => {
                vec![Action::Withdrawn { offer }, self.apply_offer(remote)]
            }
            (State::MakingAnswer { offer }, DescriptionKind::Answer) => {
                self.last_remote = Some((offer, Some(sdp.clone())));
                let mut actions =
                    vec![Action::Send { kind, offer, sdp, again: false }, Action::Settled];
                actions.extend(self.take_needed());
                actions
            }
            (state, _) => {
                self.state = state;
                vec![Action::Failed(Trouble::OperationFailed(crate::input::OpError(
                    "the local description is of the wrong kind".to_owned(),
                )))]
            }
        }
    }

    pub(crate) fn on_remote_set(&mut self) -> Vec<Action> {
        let state = std::mem::replace(&mut self.state, State::Stable);
        match state {
            State::ApplyingOffer { offer } => {
                self.has_remote = true;
                self.state = State::MakingAnswer { offer };
                // The other side waits for the answer; nobody waits for the candidates.
                vec![Action::SetLocal, Action::Applied { offer }]
            }
            State::ApplyingAnswer { offer, then } => {
                self.has_remote = true;
                let mut actions = vec![Action::Applied { offer }, Action::Settled];
                match then {
                    Some(remote) => actions.push(self.apply_offer(remote)),
                    None => actions.extend(self.take_needed()),
                }
                actions
            }
            State::Stable
            | State::MakingOffer { .. }
            | State::HaveLocalOffer { .. }
            | State::MakingAnswer { .. } => {
                self.state = state;
                Vec::new()
            }
        }
    }

    pub(crate) fn on_remote_offer(
        &mut self,
        now: Timestamp,
        offer: Option<OfferId>,
        sdp: String,
    ) -> Vec<Action> {
        let offer = offer.unwrap_or_else(|| self.uncounted_offer());
        if let Some((last, answer)) = &self.last_remote {
            if *last == offer {
                let answer = answer.clone();
                return self.repeat_answer(now, offer, answer);
            }
            if offer < *last {
                return Vec::new();
            }
        }
        let remote = RemoteOffer { offer, sdp };
        match &mut self.state {
            State::Stable => vec![self.apply_offer(remote)],
            // The answer that is being applied ends the collision before it begins.
            State::ApplyingAnswer { then, .. } => {
                *then = Some(remote);
                Vec::new()
            }
            _ if !self.polite => vec![Action::Ignored { offer }],
            State::MakingOffer { then, .. } => {
                *then = Some(remote);
                Vec::new()
            }
            State::HaveLocalOffer { offer: ours, .. } => {
                let withdrawn = Action::Withdrawn { offer: *ours };
                vec![withdrawn, self.apply_offer(remote)]
            }
            // The impolite side makes no second offer before the first is answered.
            State::ApplyingOffer { .. } | State::MakingAnswer { .. } => {
                vec![Action::Ignored { offer }]
            }
        }
    }

    pub(crate) fn on_remote_answer(
        &mut self,
        offer: Option<OfferId>,
        sdp: String,
    ) -> Option<Action> {
        let State::HaveLocalOffer { offer: ours, .. } = &self.state else {
            return None;
        };
        if offer.is_some_and(|answered| answered != *ours) {
            return None;
        }
        self.state = State::ApplyingAnswer { offer: *ours, then: None };
        Some(Action::SetRemote { kind: DescriptionKind::Answer, sdp })
    }

    /// Sends an unanswered offer again, because the peer asked or signalling is back.
    pub(crate) fn repeat_offer(&mut self, now: Timestamp, config: &MeshConfig) -> Option<Action> {
        self.extend(now, config);
        let State::HaveLocalOffer { offer, sdp, .. } = &self.state else {
            return None;
        };
        let (offer, sdp) = (*offer, sdp.clone());
        Some(Action::Send { kind: DescriptionKind::Offer, offer, sdp, again: true })
    }

    pub(crate) fn on_timeout(&mut self, now: Timestamp, config: &MeshConfig) -> Option<Action> {
        let State::HaveLocalOffer { offer, sdp, answer_due, repeated } = &mut self.state else {
            return None;
        };
        if now < *answer_due {
            return None;
        }
        *answer_due = now + config.answer_timeout;
        if *repeated >= config.repeats {
            return Some(Action::Failed(Trouble::NoAnswer));
        }
        *repeated = repeated.saturating_add(1);
        let (offer, sdp) = (*offer, sdp.clone());
        Some(Action::Send { kind: DescriptionKind::Offer, offer, sdp, again: true })
    }

    fn apply_offer(&mut self, remote: RemoteOffer) -> Action {
        self.last_remote = Some((remote.offer, None));
        self.state = State::ApplyingOffer { offer: remote.offer };
        Action::SetRemote { kind: DescriptionKind::Offer, sdp: remote.sdp }
    }

    /// Answers a doubled offer again, but not more often than an honest peer would need.
    fn repeat_answer(
        &mut self,
        now: Timestamp,
        offer: OfferId,
        answer: Option<String>,
    ) -> Vec<Action> {
        if self.answered_again.is_some_and(|at| now.since(at) < ANSWER_INTERVAL) {
            return Vec::new();
        }
        let Some(sdp) = answer else { return Vec::new() };
        self.answered_again = Some(now);
        vec![Action::Send { kind: DescriptionKind::Answer, offer, sdp, again: true }]
    }

    fn take_needed(&mut self) -> Option<Action> {
        if self.needed { self.on_needed() } else { None }
    }

    /// Names an offer of a peer that does not count its offers.
    fn uncounted_offer(&self) -> OfferId {
        match &self.last_remote {
            Some((last, _)) => last.next(),
            None if self.polite => OfferId::FIRST_IMPOLITE,
            None => OfferId::FIRST_POLITE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn local(negotiation: &mut Negotiation, kind: DescriptionKind) -> Vec<Action> {
        negotiation.on_local_set(NOW, &MeshConfig::default(), kind, "local".into())
    }

    /// A side whose offer is out.
    fn offering(polite: bool) -> Negotiation {
        let mut negotiation = Negotiation::new(polite);
        negotiation.has_remote = polite;
        assert_eq!(negotiation.on_needed(), Some(Action::SetLocal));
        local(&mut negotiation, DescriptionKind::Offer);
        assert!(negotiation.awaits_answer());
        negotiation
    }

    #[test]
    fn the_polite_side_swallows_negotiation_needed_before_it_has_a_remote_description() {
        let mut negotiation = Negotiation::new(true);
        assert_eq!(negotiation.on_needed(), None);
        negotiation.on_remote_offer(NOW, Some(OfferId(1)), "offer".into());
        negotiation.on_remote_set();
        local(&mut negotiation, DescriptionKind::Answer);
        assert!(negotiation.is_settled());
        assert_eq!(negotiation.on_needed(), Some(Action::SetLocal), "from here on it may offer");
    }

    #[test]
    fn the_impolite_side_ignores_a_colliding_offer_and_the_polite_side_yields() {
        let ignored = offering(false).on_remote_offer(NOW, Some(OfferId(2)), "offer".into());
        assert_eq!(ignored, [Action::Ignored { offer: OfferId(2) }]);
        let mut polite = offering(true);
        let yielded = polite.on_remote_offer(NOW, Some(OfferId(1)), "offer".into());
        let apply = Action::SetRemote { kind: DescriptionKind::Offer, sdp: "offer".into() };
        assert_eq!(yielded, [Action::Withdrawn { offer: OfferId(2) }, apply]);
    }

    #[test]
    fn an_offer_that_comes_while_ours_is_being_made_is_applied_over_it_and_ours_is_not_sent() {
        let mut polite = Negotiation::new(true);
        polite.has_remote = true;
        polite.on_needed();
        assert!(polite.on_remote_offer(NOW, Some(OfferId(3)), "offer".into()).is_empty());
        let actions = local(&mut polite, DescriptionKind::Offer);
        let apply = Action::SetRemote { kind: DescriptionKind::Offer, sdp: "offer".into() };
        assert_eq!(actions, [Action::Withdrawn { offer: OfferId(2) }, apply]);
    }

    #[test]
    fn an_offer_that_comes_while_the_answer_is_applied_is_no_collision() {
        let mut impolite = offering(false);
        let answer = impolite.on_remote_answer(Some(OfferId(1)), "answer".into());
        assert!(answer.is_some());
        assert!(impolite.on_remote_offer(NOW, Some(OfferId(2)), "offer".into()).is_empty());
        let actions = impolite.on_remote_set();
        let apply = Action::SetRemote { kind: DescriptionKind::Offer, sdp: "offer".into() };
        assert!(actions.contains(&apply), "{actions:?}");
    }

    #[test]
    fn needed_while_an_offer_is_out_becomes_one_offer_afterwards() {
        let mut impolite = offering(false);
        for _ in 0..5 {
            assert_eq!(impolite.on_needed(), None);
        }
        impolite.on_remote_answer(Some(OfferId(1)), "answer".into());
        let actions = impolite.on_remote_set();
        let offers = actions.iter().filter(|action| **action == Action::SetLocal).count();
        assert_eq!(offers, 1);
    }

    #[test]
    fn an_unanswered_offer_is_sent_again_and_at_last_given_up() {
        let config = MeshConfig::default();
        let mut impolite = offering(false);
        assert_eq!(impolite.on_timeout(NOW, &config), None, "not yet");
        for _ in 0..config.repeats {
            let due = impolite.deadline().unwrap();
            let again = impolite.on_timeout(due, &config);
            assert!(matches!(again, Some(Action::Send { again: true, .. })), "{again:?}");
        }
        let due = impolite.deadline().unwrap();
        assert_eq!(impolite.on_timeout(due, &config), Some(Action::Failed(Trouble::NoAnswer)));
    }

    #[test]
    fn a_doubled_offer_repeats_the_answer_and_sets_nothing() {
        let mut polite = Negotiation::new(true);
        polite.on_remote_offer(NOW, Some(OfferId(1)), "offer".into());
        assert!(polite.on_remote_offer(NOW, Some(OfferId(1)), "offer".into()).is_empty());
        polite.on_remote_set();
        local(&mut polite, DescriptionKind::Answer);
        let actions = polite.on_remote_offer(NOW, Some(OfferId(1)), "offer".into());
        let repeat = Action::Send {
            kind: DescriptionKind::Answer,
            offer: OfferId(1),
            sdp: "local".into(),
            again: true,
        };
        assert_eq!(actions, [repeat]);
    }

    #[test]
    fn an_answer_to_nothing_or_to_another_offer_is_dropped() {
        assert_eq!(Negotiation::new(false).on_remote_answer(None, "answer".into()), None);
        assert_eq!(offering(false).on_remote_answer(Some(OfferId(3)), "answer".into()), None);
    }
}
