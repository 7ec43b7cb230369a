//! Candidates of one peer connection, both ways.
//!
//! Outgoing ones are collected for a moment and sent together, never before the
//! description of their round (RFC 8838 §4); they are kept, so that a description that
//! is sent again brings them again. Incoming ones wait for the description of their
//! round; those of an ignored offer are dropped by its id. It knows nothing of
//! negotiation but which round is which.
//!
//! Invariants: memory is bounded by [`MAX_CANDIDATES`] each way.

use openstudio_units::{OfferId, Timestamp};

use crate::config::MeshConfig;
use crate::signal::IceCandidate;

/// How many candidates are kept each way. A machine with eight addresses of both
/// families gathers about thirty.
pub(crate) const MAX_CANDIDATES: usize = 64;

/// How many rounds that are over are remembered: those whose candidates may be under way.
const MAX_OVER: usize = 8;

/// Candidates to send, with the round in which they were gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) offer: OfferId,
    pub(crate) candidates: Vec<IceCandidate>,
}

/// The candidates of one peer connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Trickle {
    /// The round whose local description was sent last.
    local_round: Option<OfferId>,
    /// The ICE user name fragment of that description: candidates of another one were
    /// gathered before an ICE restart, or for an offer that was withdrawn.
    fragment: Option<String>,
    /// A local description is being made: what is gathered may belong to it.
    holding: bool,
    gathered: Vec<IceCandidate>,
    /// How many of `gathered` were sent.
    sent: usize,
    flush_at: Option<Timestamp>,
    /// The round whose remote description was applied last.
    remote_round: Option<OfferId>,
    /// Rounds that were ignored or followed by another.
    over: Vec<OfferId>,
    queued: Vec<(Option<OfferId>, IceCandidate)>,
}

/// The user name fragment of a description (RFC 8839 §5.4). Everything is bundled, so that
/// there is but one.
fn fragment_of(sdp: &str) -> Option<&str> {
    sdp.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:"))
}

/// Whether a candidate belongs to the credentials of `fragment`, as far as both say.
fn fits(candidate: &IceCandidate, fragment: Option<&str>) -> bool {
    match (candidate.username_fragment.as_deref(), fragment) {
        (Some(of), Some(fragment)) => of == fragment,
        (None, _) | (_, None) => true,
    }
}

impl Trickle {
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        self.flush_at
    }

    /// A local description is about to be made. Returns what waits of the round before.
    pub(crate) fn hold(&mut self) -> Option<Batch> {
        let batch = if self.holding { None } else { self.flush() };
        self.holding = true;
        batch
    }

    /// The local description of `offer` was sent. Returns what may follow it.
    pub(crate) fn on_description_sent(
        &mut self,
        offer: OfferId,
        sdp: &str,
        again: bool,
    ) -> Option<Batch> {
        if again && (self.holding || self.local_round != Some(offer)) {
            // An old answer, while an offer is being made or is out: that goes on.
            let candidates = self.gathered.iter().filter(|held| fits(held, fragment_of(sdp)));
            let candidates: Vec<IceCandidate> = candidates.cloned().collect();
            return (!candidates.is_empty()).then_some(Batch { offer, candidates });
        }
        self.holding = false;
        self.local_round = Some(offer);
        let fragment = fragment_of(sdp);
        if again || self.fragment.as_deref() != fragment {
            self.sent = 0;
        }
        self.fragment = fragment.map(str::to_owned);
        let fits = |candidate: &IceCandidate| fits(candidate, fragment);
        self.gathered.retain(fits);
        self.sent = self.sent.min(self.gathered.len());
        self.flush()
    }

    /// The local description that was being made, or was sent, counts no more. Another one
    /// is about to be made.
    pub(crate) fn on_withdrawn(&mut self) {
        self.holding = true;
        self.flush_at = None;
    }

    pub(crate) fn on_gathered(
        &mut self,
        now: Timestamp,
        config: &MeshConfig,
        candidate: Option<IceCandidate>,
    ) -> Option<Batch> {
        let Some(candidate) = candidate else {
            return if self.holding { None } else { self.flush() };
        };
        if !self.holding && !fits(&candidate, self.fragment.as_deref()) {
            return None;
        }
        if self.gathered.len() >= MAX_CANDIDATES {
            // Those of other credentials than the newest make room.
            let fragment = candidate.username_fragment.as_deref();
            self.gathered.retain(|held| fits(held, fragment));
            self.sent = self.sent.min(self.gathered.len());
        }
        if self.gathered.len() >= MAX_CANDIDATES {
            return None;
        }
        self.gathered.push(candidate);
        if !self.holding && self.flush_at.is_none() {
            let first = self.sent == 0;
            let wait = if first { config.first_trickle_interval } else { config.trickle_interval };
            self.flush_at = Some(now + wait);
        }
        None
    }

    pub(crate) fn on_timeout(&mut self, now: Timestamp) -> Option<Batch> {
        if self.flush_at.is_some_and(|at| now >= at) { self.flush() } else { None }
    }

    /// Sends everything of the present round again, because some of it may be lost.
    pub(crate) fn repeat(&mut self) -> Option<Batch> {
        if self.holding {
            return None;
        }
        self.sent = 0;
        self.flush()
    }

    fn flush(&mut self) -> Option<Batch> {
        self.flush_at = None;
        let offer = self.local_round?;
        let candidates = self.gathered.get(self.sent..)?.to_vec();
        if candidates.is_empty() {
            return None;
        }
        self.sent = self.gathered.len();
        Some(Batch { offer, candidates })
    }

    /// Candidates arrived. Returns those that may be added at once.
    pub(crate) fn on_received(
        &mut self,
        offer: Option<OfferId>,
        candidates: Vec<IceCandidate>,
    ) -> Vec<IceCandidate> {
        if offer.is_some_and(|offer| self.over.contains(&offer)) {
            return Vec::new();
        }
        let due = match offer {
            Some(_) => offer == self.remote_round,
            None => self.remote_round.is_some(),
        };
        if due {
            return candidates;
        }
        let room = MAX_CANDIDATES.saturating_sub(self.queued.len());
        self.queued.extend(candidates.into_iter().take(room).map(|candidate| (offer, candidate)));
        Vec::new()
    }

    /// The remote description of `offer` is applied. Returns what waited for it.
    pub(crate) fn on_applied(&mut self, offer: OfferId) -> Vec<IceCandidate> {
        if let Some(before) = self.remote_round.replace(offer).filter(|before| *before != offer) {
            self.forget(before);
        }
        let (due, waiting) = std::mem::take(&mut self.queued)
            .into_iter()
            .partition(|(round, _)| round.is_none_or(|round| round == offer));
        self.queued = waiting;
        let due: Vec<(Option<OfferId>, IceCandidate)> = due;
        due.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// The remote offer `offer` is ignored.
    pub(crate) fn on_ignored(&mut self, offer: OfferId) {
        self.forget(offer);
    }

    /// Drops what waits for a round and what may still come of it.
    fn forget(&mut self, offer: OfferId) {
        if self.over.len() >= MAX_OVER {
            self.over.remove(0);
        }
        self.over.push(offer);
        self.queued.retain(|(round, _)| *round != Some(offer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Timestamp = Timestamp::from_millis(1);
    const FIRST: OfferId = OfferId(1);
    const SECOND: OfferId = OfferId(3);

    fn candidate(n: usize) -> IceCandidate {
        let candidate = format!("candidate:{n}");
        IceCandidate {
            candidate,
            sdp_mid: None,
            sdp_m_line_index: Some(0),
            username_fragment: None,
        }
    }

    fn gather(trickle: &mut Trickle, n: usize) -> Option<Batch> {
        trickle.on_gathered(NOW, &MeshConfig::default(), Some(candidate(n)))
    }

    fn gather_of(trickle: &mut Trickle, n: usize, fragment: &str) {
        let username_fragment = Some(fragment.to_owned());
        let candidate = IceCandidate { username_fragment, ..candidate(n) };
        trickle.on_gathered(NOW, &MeshConfig::default(), Some(candidate));
    }

    fn sdp(fragment: &str) -> String {
        format!("v=0\r\na=ice-ufrag:{fragment}\r\na=ice-pwd:secret\r\n")
    }

    #[test]
    fn nothing_is_sent_before_the_description_of_its_round() {
        let mut trickle = Trickle::default();
        trickle.hold();
        assert_eq!(gather(&mut trickle, 1), None);
        assert_eq!(trickle.deadline(), None);
        let batch = trickle.on_description_sent(FIRST, "", false);
        assert_eq!(batch, Some(Batch { offer: FIRST, candidates: vec![candidate(1)] }));
    }

    #[test]
    fn candidates_are_collected_and_the_end_of_gathering_sends_them_at_once() {
        let mut trickle = Trickle::default();
        trickle.on_description_sent(FIRST, "", false);
        gather(&mut trickle, 1);
        gather(&mut trickle, 2);
        assert_eq!(trickle.on_timeout(NOW), None, "still collecting");
        let batch = trickle.on_gathered(NOW, &MeshConfig::default(), None).unwrap();
        assert_eq!(batch.candidates.len(), 2);
        assert_eq!(trickle.deadline(), None);
    }

    #[test]
    fn the_first_candidates_of_a_round_wait_less_than_those_that_follow() {
        let config = MeshConfig::default();
        let mut trickle = Trickle::default();
        trickle.on_description_sent(FIRST, "", false);
        gather(&mut trickle, 1);
        let first = trickle.deadline().unwrap();
        assert_eq!(first, NOW + config.first_trickle_interval);
        trickle.on_timeout(first).unwrap();
        gather(&mut trickle, 2);
        assert_eq!(trickle.deadline(), Some(NOW + config.trickle_interval));
    }

    #[test]
    fn a_description_sent_again_brings_its_candidates_again() {
        let mut trickle = Trickle::default();
        trickle.on_description_sent(FIRST, "", false);
        gather(&mut trickle, 1);
        trickle.on_timeout(trickle.deadline().unwrap()).unwrap();
        let again = trickle.on_description_sent(FIRST, "", true).unwrap();
        assert_eq!(again.candidates, [candidate(1)]);
    }

    #[test]
    fn regression_an_offer_of_an_ice_restart_sent_again_brings_no_candidates_of_before() {
        let mut trickle = Trickle::default();
        trickle.hold();
        gather_of(&mut trickle, 1, "one");
        trickle.on_description_sent(FIRST, &sdp("one"), false).unwrap();
        trickle.hold();
        assert_eq!(trickle.on_description_sent(SECOND, &sdp("two"), false), None);
        assert_eq!(trickle.on_description_sent(SECOND, &sdp("two"), true), None);
        assert_eq!(trickle.repeat(), None);
    }

    #[test]
    fn regression_a_late_candidate_of_a_withdrawn_offer_displaces_none_of_the_answer() {
        let mut trickle = Trickle::default();
        trickle.hold();
        trickle.on_description_sent(SECOND, &sdp("withdrawn"), false);
        trickle.on_withdrawn();
        gather_of(&mut trickle, 1, "answer");
        trickle.on_description_sent(FIRST, &sdp("answer"), false).unwrap();
        gather_of(&mut trickle, 2, "withdrawn");
        assert_eq!(trickle.deadline(), None);
        let fragments = |batch: Batch| {
            let of = batch.candidates.into_iter().map(|candidate| candidate.username_fragment);
            of.flatten().collect::<Vec<_>>()
        };
        assert_eq!(trickle.repeat().map(fragments), Some(vec!["answer".to_owned()]));
    }

    #[test]
    fn what_was_gathered_for_a_withdrawn_offer_is_not_sent() {
        let mut trickle = Trickle::default();
        trickle.hold();
        gather_of(&mut trickle, 1, "withdrawn");
        trickle.on_withdrawn();
        assert_eq!(trickle.deadline(), None);
        assert_eq!(trickle.on_description_sent(SECOND, &sdp("answer"), false), None);
    }

    #[test]
    fn regression_a_timer_of_the_round_before_does_not_send_candidates_ahead_of_their_description()
    {
        let mut trickle = Trickle::default();
        trickle.on_description_sent(FIRST, &sdp("first"), false);
        gather_of(&mut trickle, 1, "first");
        let before = trickle.hold().unwrap();
        assert_eq!((before.offer, before.candidates.len()), (FIRST, 1), "sent while it counts");
        gather_of(&mut trickle, 2, "second");
        assert_eq!(trickle.deadline(), None, "nothing is sent while a description is made");
        let batch = trickle.on_description_sent(SECOND, &sdp("second"), false).unwrap();
        assert_eq!(batch.candidates.len(), 1);
    }

    #[test]
    fn regression_an_answer_sent_again_does_not_bring_candidates_of_an_offer_that_is_being_made() {
        let mut trickle = Trickle::default();
        trickle.on_description_sent(FIRST, &sdp("first"), false);
        gather_of(&mut trickle, 1, "first");
        trickle.hold();
        gather_of(&mut trickle, 2, "second");
        let again = trickle.on_description_sent(FIRST, &sdp("first"), true).unwrap();
        let lines = |batch: Batch| batch.candidates.into_iter().map(|c| c.candidate).collect();
        let (offer, sent): (_, Vec<String>) = (again.offer, lines(again));
        assert_eq!((offer, sent), (FIRST, vec!["candidate:1".to_owned()]));
        assert_eq!(trickle.on_gathered(NOW, &MeshConfig::default(), None), None, "still held");
        let batch = trickle.on_description_sent(SECOND, &sdp("second"), false).unwrap();
        let sent: Vec<String> = lines(batch);
        assert_eq!(sent, ["candidate:2"]);
    }

    /// Scenario lost-messages, seed 2066: the candidates of the offer were never sent.
    #[test]
    fn regression_an_answer_sent_again_while_an_offer_is_out_does_not_end_the_offers_round() {
        let mut trickle = Trickle::default();
        trickle.on_description_sent(FIRST, &sdp("first"), false);
        trickle.hold();
        trickle.on_description_sent(SECOND, &sdp("second"), false);
        assert_eq!(trickle.on_description_sent(FIRST, &sdp("first"), true), None);
        gather_of(&mut trickle, 1, "second");
        let batch = trickle.on_timeout(trickle.deadline().unwrap()).unwrap();
        assert_eq!((batch.offer, batch.candidates.len()), (SECOND, 1));
    }

    #[test]
    fn incoming_candidates_wait_for_the_description_of_their_round() {
        let mut trickle = Trickle::default();
        assert!(trickle.on_received(Some(FIRST), vec![candidate(1)]).is_empty());
        assert!(trickle.on_received(Some(SECOND), vec![candidate(2)]).is_empty());
        assert_eq!(trickle.on_applied(FIRST), [candidate(1)]);
        assert_eq!(trickle.on_received(Some(FIRST), vec![candidate(3)]), [candidate(3)]);
        assert_eq!(trickle.on_applied(SECOND), [candidate(2)]);
        assert!(trickle.on_received(Some(FIRST), vec![candidate(4)]).is_empty(), "it is over");
    }

    #[test]
    fn late_candidates_of_a_round_that_is_over_take_no_place_of_the_next() {
        let mut trickle = Trickle::default();
        trickle.on_applied(FIRST);
        trickle.on_applied(SECOND);
        trickle.on_received(Some(FIRST), (0..MAX_CANDIDATES).map(candidate).collect());
        let third = OfferId(5);
        trickle.on_received(Some(third), vec![candidate(99)]);
        assert_eq!(trickle.on_applied(third), [candidate(99)]);
    }

    #[test]
    fn regression_many_ice_restarts_do_not_use_up_the_places_for_candidates() {
        let mut trickle = Trickle::default();
        for round in 0..50_u32 {
            trickle.hold();
            for n in 0..12 {
                gather_of(&mut trickle, n, &round.to_string());
            }
            let offer = OfferId(2 * round + 1);
            let batch = trickle.on_description_sent(offer, &sdp(&round.to_string()), false);
            assert_eq!(batch.unwrap().candidates.len(), 12, "round {round}");
        }
    }

    #[test]
    fn candidates_of_an_ignored_offer_are_dropped_before_and_after() {
        let mut trickle = Trickle::default();
        trickle.on_received(Some(SECOND), vec![candidate(1)]);
        trickle.on_ignored(SECOND);
        assert!(trickle.on_received(Some(SECOND), vec![candidate(2)]).is_empty());
        assert!(trickle.on_applied(SECOND).is_empty());
    }

    #[test]
    fn memory_is_bounded_both_ways() {
        let mut trickle = Trickle::default();
        trickle.on_received(Some(FIRST), (0..10_000).map(candidate).collect());
        assert_eq!(trickle.on_applied(FIRST).len(), MAX_CANDIDATES);
        trickle.hold();
        for n in 0..10_000 {
            gather(&mut trickle, n);
        }
        let batch = trickle.on_description_sent(FIRST, "", false).unwrap();
        assert_eq!(batch.candidates.len(), MAX_CANDIDATES);
    }
}
