//! Tests of where the machines of a link draw their lines: the last moment at which a limit is
//! kept, the first at which it is not, and what happens beside the usual order.

use std::time::Duration;

use openstudio_units::{OfferId, Timestamp};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::health::Health;
use super::negotiation::{Action, Negotiation};
use super::operations::{Operation, OperationKind, Operations};
use crate::config::MeshConfig;
use crate::input::{DescriptionKind, StatsSample};
use crate::output::{Command, HealthLevel, OpId, PcId};
use crate::signal::IceCandidate;

const NOW: Timestamp = Timestamp::from_millis(1);

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

// ----- health

fn sample(progress: u64, loss: f64, round_trip: u64) -> StatsSample {
    StatsSample {
        inbound_progress: progress,
        round_trip: Some(millis(round_trip)),
        inbound_loss: Some(loss),
        outbound_loss: None,
    }
}

#[test]
fn loss_or_a_long_way_alone_lowers_the_level_from_its_limit_on() {
    let config = MeshConfig::default();
    for (loss, round_trip, level) in [
        (0.049, 299, HealthLevel::Good),
        (0.05, 0, HealthLevel::Degraded),
        (0.0, 300, HealthLevel::Degraded),
        (0.149, 799, HealthLevel::Degraded),
        (0.15, 0, HealthLevel::Poor),
        (0.0, 800, HealthLevel::Poor),
    ] {
        let mut health = Health::new(NOW, &config);
        health.on_sample(NOW, &config, sample(1, loss, round_trip));
        health.on_sample(NOW, &config, sample(2, loss, round_trip));
        assert_eq!(health.level(), level, "{loss}, {round_trip} ms");
    }
}

#[test]
fn a_level_that_was_called_is_not_called_again() {
    let config = MeshConfig::default();
    let mut health = Health::new(NOW, &config);
    let calls = (1..=5).map(|n| health.on_sample(NOW, &config, sample(n, 0.5, 0)).level);
    assert_eq!(calls.flatten().collect::<Vec<_>>(), [HealthLevel::Poor]);
}

#[test]
fn a_link_that_was_lost_is_good_again_with_the_first_packet() {
    let config = MeshConfig::default();
    let mut health = Health::new(NOW, &config);
    health.on_sample(NOW, &config, sample(1, 0.0, 0));
    assert_eq!(health.on_silent(), Some(HealthLevel::Lost));
    assert_eq!(health.on_silent(), None);
    let still = StatsSample { inbound_progress: 1, ..StatsSample::default() };
    assert_eq!(health.on_sample(NOW, &config, still).level, None, "no packet came");
    let moved = StatsSample { inbound_progress: 2, ..still };
    assert_eq!(health.on_sample(NOW, &config, moved).level, Some(HealthLevel::Good));
}

#[test]
fn two_looks_without_a_packet_are_silence_only_once_the_time_is_up() {
    let config = MeshConfig::default();
    let mut health = Health::new(NOW, &config);
    for n in 1..=2 {
        health.on_sample(NOW, &config, sample(n, 0.0, 0));
    }
    let silent = NOW + config.silence_timeout;
    health.on_sample(silent, &config, sample(2, 0.0, 0));
    assert!(!health.is_silent(silent, &config), "one look");
    health.on_sample(silent, &config, sample(2, 0.0, 0));
    assert!(health.is_silent(silent, &config));
    health.expect_from(silent);
    assert!(!health.is_silent(silent + config.first_audio_timeout, &config), "no look since");
}

#[test]
fn a_look_that_is_expected_at_once_is_due_at_once_and_the_next_one_an_interval_later() {
    let config = MeshConfig::default();
    let mut health = Health::new(NOW, &config);
    assert_eq!(health.on_timeout(NOW, &config), None);
    assert_eq!(health.deadline(), NOW + config.sample_interval);
    health.expect_from(NOW);
    assert_eq!(health.deadline(), NOW);
    assert!(health.on_timeout(NOW, &config).is_some());
    assert_eq!(health.deadline(), NOW + config.sample_interval);
}

// ----- negotiation

fn set_local(negotiation: &mut Negotiation, kind: DescriptionKind) -> Vec<Action> {
    negotiation.on_local_set(NOW, &MeshConfig::default(), kind, "local".into())
}

/// A polite side that has answered the first offer.
fn answered() -> Negotiation {
    let mut polite = Negotiation::new(true);
    polite.on_remote_offer(NOW, Some(OfferId(1)), "offer".into());
    polite.on_remote_set();
    set_local(&mut polite, DescriptionKind::Answer);
    polite
}

#[test]
fn an_answer_is_repeated_at_most_once_in_900_ms() {
    let mut polite = answered();
    let mut again =
        |after| polite.on_remote_offer(NOW + millis(after), Some(OfferId(1)), "".into());
    let repeats: Vec<bool> = [0, 1, 899, 900, 1000, 1799, 1800, 9000]
        .into_iter()
        .map(|after| !again(after).is_empty())
        .collect();
    assert_eq!(repeats, [true, false, false, true, false, false, true, true]);
}

#[test]
fn an_offer_older_than_the_one_that_was_taken_is_nothing_new() {
    let mut polite = answered();
    assert_eq!(polite.on_remote_offer(NOW, Some(OfferId(3)), "offer".into()).len(), 1);
    polite.on_remote_set();
    set_local(&mut polite, DescriptionKind::Answer);
    assert_eq!(polite.on_remote_offer(NOW, Some(OfferId(1)), "offer".into()), []);
    assert!(polite.has_taken(Some(OfferId(3))));
    assert!(!polite.has_taken(Some(OfferId(1))));
    assert!(!polite.has_taken(None), "an offer without a name is never one that was taken");
    assert!(!Negotiation::new(true).has_taken(None));
}

#[test]
fn a_link_is_settled_only_between_rounds() {
    let mut impolite = Negotiation::new(false);
    assert!(!impolite.is_settled(), "nothing is applied yet");
    impolite.on_needed();
    set_local(&mut impolite, DescriptionKind::Offer);
    impolite.on_remote_answer(None, "answer".into());
    assert!(!impolite.is_settled());
    impolite.on_remote_set();
    assert!(impolite.is_settled());
    impolite.on_needed();
    assert!(!impolite.is_settled(), "the next offer is being made");
}

#[test]
fn offers_of_a_peer_that_does_not_count_them_get_names_of_that_peer() {
    for (polite, first) in [(true, OfferId::FIRST_IMPOLITE), (false, OfferId::FIRST_POLITE)] {
        let mut negotiation = Negotiation::new(polite);
        negotiation.on_remote_offer(NOW, None, "offer".into());
        assert!(negotiation.has_taken(Some(first)));
        negotiation.on_remote_set();
        set_local(&mut negotiation, DescriptionKind::Answer);
        negotiation.on_remote_offer(NOW, None, "offer".into());
        assert!(negotiation.has_taken(Some(first.next())));
    }
}

#[test]
fn an_offer_is_overdue_at_its_time_and_gets_the_full_time_when_it_is_repeated() {
    let config = MeshConfig::default();
    let mut impolite = Negotiation::new(false);
    impolite.on_needed();
    set_local(&mut impolite, DescriptionKind::Offer);
    assert!(!impolite.is_unanswered(), "it was sent once");
    let due = NOW + config.answer_timeout;
    assert_eq!(impolite.deadline(), Some(due));
    let early = NOW + config.answer_timeout.saturating_sub(millis(1));
    assert_eq!(impolite.on_timeout(early, &config), None);
    assert!(impolite.on_timeout(due, &config).is_some());
    assert!(impolite.is_unanswered());
    assert_eq!(impolite.deadline(), Some(due + config.answer_timeout));
    assert!(impolite.repeat_offer(due + millis(7), &config).is_some());
    assert_eq!(impolite.deadline(), Some(due + millis(7) + config.answer_timeout));
}

#[test]
fn a_description_that_was_not_asked_for_is_a_failure_and_changes_nothing() {
    let mut impolite = Negotiation::new(false);
    impolite.on_needed();
    let wrong = set_local(&mut impolite, DescriptionKind::Answer);
    assert!(matches!(wrong[..], [Action::Failed(_)]), "{wrong:?}");
    assert_eq!(impolite.on_remote_set(), [], "nothing remote is being set");
    let right = set_local(&mut impolite, DescriptionKind::Offer);
    assert!(matches!(right[..], [Action::Send { .. }]), "{right:?}");
}

#[test]
fn the_panel_shows_the_state_by_its_name_in_the_standard() {
    let mut impolite = Negotiation::new(false);
    assert_eq!(impolite.signaling_state(), "stable");
    impolite.on_needed();
    set_local(&mut impolite, DescriptionKind::Offer);
    assert_eq!(impolite.signaling_state(), "have-local-offer");
    let mut polite = Negotiation::new(true);
    polite.on_remote_offer(NOW, None, "offer".into());
    assert_eq!(polite.signaling_state(), "have-remote-offer");
}

// ----- operations

fn candidate() -> IceCandidate {
    IceCandidate {
        candidate: "candidate:1".into(),
        sdp_mid: None,
        sdp_m_line_index: None,
        username_fragment: None,
    }
}

/// A queue whose peer connection is made.
fn made() -> Operations {
    let mut operations = Operations::new(PcId(1), OpId(1), NOW);
    operations.complete(OpId(1));
    operations
}

#[test]
fn a_look_at_the_statistics_that_waits_holds_up_nothing_else() {
    let mut operations = made();
    operations.push(Operation::Sample { detailed: false });
    operations.push(Operation::SetLocal);
    assert!(matches!(operations.next(OpId(2), NOW), Some(Command::SampleStats { .. })));
    operations.complete(OpId(2));
    assert!(matches!(operations.next(OpId(3), NOW), Some(Command::SetLocalDescription { .. })));
}

#[test]
fn no_candidates_are_no_operation() {
    let mut operations = made();
    operations.push(Operation::AddCandidates(Vec::new()));
    assert!(!operations.is_ready());
    operations.push(Operation::AddCandidates(vec![candidate()]));
    assert!(operations.is_ready());
}

#[test]
fn an_operation_is_overdue_at_its_time_unless_it_gets_more() {
    let mut operations = Operations::new(PcId(1), OpId(1), NOW + millis(10));
    assert!(!operations.is_overdue(NOW + millis(9)));
    assert!(operations.is_overdue(NOW + millis(10)));
    operations.extend(NOW + millis(20));
    assert!(!operations.is_overdue(NOW + millis(10)));
    assert_eq!(operations.deadline(), Some(NOW + millis(20)));
    assert_eq!(operations.complete(OpId(1)), Some(OperationKind::Create));
    assert!(!operations.is_overdue(NOW + millis(20)), "nothing is under way");
    assert_eq!(operations.deadline(), None);
}
