//! Tests of the ladder beside its usual order: trouble on top of trouble, attempts that both
//! sides begin, and the moments from which something counts.

use std::time::Duration;

use openstudio_units::{Seed, Timestamp};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::recovery::{Action, Means, Recovery, Step};
use crate::config::MeshConfig;
use crate::input::OpError;
use crate::output::Trouble;

const NOW: Timestamp = Timestamp::from_millis(1);
const ALL: Means = Means { reachable: true, can_restart: true, has_relay: true };

fn config() -> MeshConfig {
    MeshConfig::default()
}

fn troubled(troubles: &[Trouble]) -> Recovery {
    let mut recovery = Recovery::new(Seed::from_number(1).rng());
    for trouble in troubles {
        recovery.on_trouble(NOW, &config(), trouble.clone());
    }
    recovery
}

/// Goes to the next deadline.
fn wait(recovery: &mut Recovery) -> (Timestamp, Option<Action>) {
    let at = recovery.deadline(&config(), true).unwrap();
    (at, recovery.on_timeout(at, &config(), ALL))
}

fn refused() -> Trouble {
    Trouble::OperationFailed(OpError("refused".into()))
}

#[test]
fn an_attempt_is_ended_by_what_cannot_heal_and_not_by_what_it_repairs() {
    let mut recovery = troubled(&[Trouble::IceFailed]);
    wait(&mut recovery);
    for soft in [Trouble::IceDisconnected, Trouble::NoInboundAudio] {
        recovery.on_trouble(NOW, &config(), soft);
        assert!(recovery.is_attempting());
    }
    recovery.on_trouble(NOW, &config(), Trouble::IceFailed);
    assert_eq!(recovery.pending(), Some(false));
}

#[test]
fn soft_trouble_does_not_hide_hard_trouble() {
    let hard_first = troubled(&[Trouble::IceFailed, Trouble::IceDisconnected]);
    assert_eq!(hard_first.trouble(), Some(&Trouble::IceFailed));
    assert_eq!(hard_first.pending(), Some(false));
    let soft_first = troubled(&[Trouble::IceDisconnected, Trouble::IceFailed]);
    assert_eq!(soft_first.trouble(), Some(&Trouble::IceFailed));
    assert_eq!(soft_first.pending(), Some(false));
}

#[test]
fn media_end_the_trouble_only_if_they_end_all_of_it() {
    for (troubles, heals) in [
        (vec![Trouble::IceFailed, Trouble::ConnectTimeout], true),
        (vec![Trouble::IceFailed, Trouble::NoAnswer], false),
        (vec![Trouble::NoAnswer, Trouble::IceFailed], false),
        (vec![refused(), Trouble::IceFailed], false),
    ] {
        let mut recovery = troubled(&troubles);
        recovery.on_connected();
        assert_eq!(!recovery.is_troubled(), heals, "{troubles:?}");
    }
}

#[test]
fn a_peer_connection_that_is_beyond_repair_stays_so_whatever_comes_on_top() {
    for (troubles, step) in [
        (vec![Trouble::IceFailed, Trouble::ConnectTimeout], Step::IceRestart),
        (vec![Trouble::IceFailed, refused()], Step::Recreate),
        (vec![refused(), Trouble::IceFailed], Step::Recreate),
        (vec![Trouble::OperationTimeout], Step::Recreate),
    ] {
        let (_, action) = wait(&mut troubled(&troubles));
        assert_eq!(action, Some(Action::Begin(step)), "{troubles:?}");
    }
}

#[test]
fn the_first_attempt_waits_between_one_and_two_seconds() {
    for seed in 0..50 {
        let mut recovery = Recovery::new(Seed::from_number(seed).rng());
        recovery.on_trouble(NOW, &config(), Trouble::IceFailed);
        let (at, _) = wait(&mut recovery);
        let waited = at.since(NOW);
        assert!(waited >= Duration::from_secs(1) && waited <= Duration::from_secs(2), "{waited:?}");
    }
}

#[test]
fn nothing_begins_before_its_time() {
    let mut recovery = troubled(&[Trouble::IceFailed]);
    assert_eq!(recovery.on_timeout(NOW, &config(), ALL), None);
    assert_eq!(recovery.pending(), Some(false));
    let (began, _) = wait(&mut recovery);
    assert_eq!(recovery.on_timeout(began, &config(), ALL), None);
    assert!(recovery.is_attempting(), "it has its time");
}

#[test]
fn trouble_after_the_last_attempt_is_the_end_at_once() {
    let mut recovery = troubled(&[Trouble::IceFailed]);
    while recovery.attempts() < config().backoff.attempts {
        wait(&mut recovery);
    }
    recovery.on_connected();
    let later = NOW + Duration::from_secs(60);
    recovery.on_trouble(later, &config(), Trouble::IceFailed);
    let (at, action) = wait(&mut recovery);
    assert_eq!((at, action), (later, Some(Action::GiveUp(Trouble::IceFailed))));
    assert!(recovery.gave_up());
}

#[test]
fn an_attempt_has_less_time_once_the_descriptions_are_exchanged_and_never_more() {
    let config = config();
    let mut recovery = troubled(&[Trouble::IceStuck]);
    recovery.on_timeout(NOW, &config, ALL);
    let due = NOW + config.connect_timeout;
    assert_eq!(recovery.deadline(&config, true), Some(due));
    recovery.on_settled(NOW, &config);
    let settled = NOW + config.ice_timeout;
    assert_eq!(recovery.deadline(&config, true), Some(settled));
    recovery.on_settled(NOW + config.connect_timeout, &config);
    assert_eq!(recovery.deadline(&config, true), Some(settled));
    assert_eq!(recovery.trouble(), Some(&Trouble::IceStuck), "that is not what was settled");
}

#[test]
fn an_attempt_gets_its_own_full_time_again() {
    let config = config();
    let later = NOW + Duration::from_secs(60);
    for (trouble, time) in
        [(Trouble::IceFailed, config.restart_timeout), (Trouble::IceStuck, config.connect_timeout)]
    {
        let mut recovery = troubled(&[trouble]);
        wait(&mut recovery);
        recovery.extend(later, &config);
        assert_eq!(recovery.deadline(&config, true), Some(later + time));
    }
}

#[test]
fn a_link_is_sound_from_the_first_moment_on_until_there_is_trouble() {
    let config = config();
    let mut recovery = troubled(&[Trouble::IceFailed]);
    let (at, _) = wait(&mut recovery);
    recovery.on_sound(at);
    recovery.on_sound(at + Duration::from_secs(1));
    assert_eq!(recovery.deadline(&config, true), Some(at + config.settle_time));
    let early = at + config.settle_time.saturating_sub(Duration::from_millis(1));
    recovery.on_timeout(early, &config, ALL);
    assert_eq!(recovery.attempts(), 1, "not yet");
    recovery.on_trouble(early, &config, Trouble::IceDisconnected);
    recovery.on_connected();
    assert_eq!(recovery.deadline(&config, true), None, "connected is not sound");
}

#[test]
fn connected_is_not_yet_sound() {
    let config = config();
    let mut recovery = troubled(&[refused()]);
    recovery.on_sound(NOW);
    assert!(recovery.is_troubled());
    let (at, _) = wait(&mut recovery);
    recovery.on_connected();
    assert_eq!((recovery.attempts(), recovery.deadline(&config, true)), (1, None));
    recovery.on_sound(at);
    assert_eq!(recovery.deadline(&config, true), Some(at + config.settle_time));
}

#[test]
fn an_attempt_that_both_sides_begin_counts_once_and_a_larger_one_once_more() {
    let config = config();
    let mut recovery = troubled(&[Trouble::IceFailed]);
    wait(&mut recovery);
    recovery.on_asked(NOW, &config, Step::IceRestart);
    assert_eq!(recovery.attempts(), 1);
    recovery.on_asked(NOW, &config, Step::RecreateRelayOnly);
    assert_eq!((recovery.attempts(), recovery.relay_only()), (2, true));
    recovery.on_asked(NOW, &config, Step::Recreate);
    assert_eq!((recovery.attempts(), recovery.relay_only()), (2, true));
}

#[test]
fn an_attempt_of_the_other_side_alone_has_its_own_full_time_and_counts() {
    let config = config();
    let mut recovery = troubled(&[Trouble::IceFailed]);
    for _ in 0..2 {
        wait(&mut recovery);
        wait(&mut recovery);
    }
    let (begun, _) = wait(&mut recovery);
    assert!(recovery.relay_only(), "the last rung");
    let later = begun + (config.connect_timeout - Duration::from_millis(1));
    recovery.on_asked_anew(later, &config, Step::Recreate);
    assert_eq!(recovery.deadline(&config, true), Some(later + config.connect_timeout));
    assert_eq!((recovery.attempts(), recovery.relay_only()), (config.backoff.attempts, false));
}

#[test]
fn who_gave_up_takes_part_in_an_attempt_of_the_other_side_and_heals_with_it() {
    let config = config();
    let mut recovery = troubled(&[refused()]);
    while !recovery.gave_up() {
        wait(&mut recovery);
    }
    recovery.on_connected();
    assert!(recovery.gave_up());
    recovery.on_trouble(NOW, &config, Trouble::IceFailed);
    assert!(recovery.gave_up(), "nothing more is tried from this side");
    recovery.on_asked(NOW, &config, Step::Recreate);
    assert!(recovery.gave_up());
    recovery.on_connected();
    assert!(!recovery.is_troubled());
}

#[test]
fn a_peer_that_can_be_reached_again_is_tried_at_once() {
    let mut waiting = troubled(&[Trouble::IceFailed]);
    assert_eq!(waiting.on_reachable(NOW), None);
    assert_eq!(wait(&mut waiting), (NOW, Some(Action::Begin(Step::IceRestart))));
    assert_eq!(waiting.on_reachable(NOW), Some(Action::Begin(Step::IceRestart)), "once more");
    assert_eq!(troubled(&[]).on_reachable(NOW), None);
}

#[test]
fn beginning_anew_forgets_what_was_tried() {
    let config = config();
    let mut recovery = troubled(&[Trouble::IceFailed]);
    wait(&mut recovery);
    recovery.restart(NOW, Trouble::NetworkChanged, false);
    assert_eq!((recovery.attempts(), recovery.deadline(&config, true)), (0, Some(NOW)));
    assert_eq!(recovery.trouble(), Some(&Trouble::NetworkChanged));
    recovery.reset();
    assert!(!recovery.is_troubled());
    assert_eq!((recovery.trouble(), recovery.deadline(&config, true)), (None, None));
}
