//! What becomes of packets that arrive, and of those that do not.

use openstudio_mesh::{
    Command, ConnectionState, Event, HealthLevel, Input, PeerConnectionState, PeerInfo, Trouble,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::driver::{LOW, Solo, info, is_restart, millis, peer};

fn levels(solo: &Solo) -> Vec<HealthLevel> {
    let level = |event: &Event| match event {
        Event::QualityChanged { level, .. } => Some(*level),
        _ => None,
    };
    solo.events.iter().filter_map(level).collect()
}

/// Connected to somebody who has no microphone.
fn connected_to_a_listener() -> Solo {
    let mut solo = Solo::new();
    solo.flows = false;
    solo.sees(LOW, PeerInfo { sends_audio: false, ..info() });
    solo.negotiate(LOW);
    solo.tells(LOW, PeerConnectionState::Connected);
    solo
}

#[test]
fn silence_of_a_microphone_is_trouble_and_packets_end_it() {
    let mut solo = Solo::connected_to(LOW);
    solo.flows = false;
    solo.run(millis(4000));
    assert_eq!(levels(&solo), [HealthLevel::Lost]);
    assert_eq!(solo.link(LOW).trouble, Some(Trouble::NoInboundAudio));
    solo.flows = true;
    solo.run(millis(1100));
    assert_eq!(levels(&solo), [HealthLevel::Lost, HealthLevel::Good]);
    assert_eq!(solo.state(LOW), Some(ConnectionState::Connected));
    assert_eq!(solo.link(LOW).trouble, None);
}

#[test]
fn a_path_in_doubt_is_renewed_at_once_if_nothing_comes_by_it() {
    for (flows, restarts) in [(true, 0), (false, 1)] {
        let mut solo = Solo::connected_to(LOW);
        solo.run(millis(2000));
        solo.flows = flows;
        solo.input(Input::PathsInDoubt);
        solo.run(millis(490));
        assert_eq!(solo.count(is_restart), 0, "too early to tell");
        solo.run(millis(20));
        assert_eq!(solo.count(is_restart), restarts, "packets flow: {flows}");
    }
}

#[test]
fn a_set_up_that_may_lead_through_a_relay_that_is_gone_begins_anew_where_there_are_relays() {
    for (has_relay, restarts) in [(false, 0), (true, 1)] {
        let mut solo = Solo::new();
        solo.input(Input::IceServersChanged { has_relay });
        solo.sees(LOW, info());
        solo.negotiate(LOW);
        solo.input(Input::PathsInDoubt);
        solo.run(millis(0));
        assert_eq!(solo.count(is_restart), restarts, "{has_relay}");
    }
}

#[test]
fn a_doubt_says_nothing_of_who_has_no_microphone_nor_of_what_is_being_repaired() {
    let mut solo = connected_to_a_listener();
    solo.input(Input::PathsInDoubt);
    solo.run(millis(1000));
    assert_eq!(solo.count(is_restart), 0);

    let mut solo = Solo::connected_to(LOW);
    solo.run(millis(2000));
    solo.sees(LOW, PeerInfo { sends_audio: false, ..info() });
    solo.flows = false;
    solo.input(Input::PathsInDoubt);
    solo.run(millis(1000));
    assert_eq!(solo.count(is_restart), 0, "who was heard has given the microphone away");

    let mut solo = Solo::connected_to(LOW);
    solo.run(millis(2000));
    solo.tells(LOW, PeerConnectionState::Failed);
    solo.run(millis(10));
    solo.flows = false;
    solo.input(Input::PathsInDoubt);
    solo.run(millis(600));
    assert_eq!(solo.count(is_restart), 0, "the attempt has its time");
}

#[test]
fn who_has_no_microphone_may_be_silent_for_ever() {
    let mut solo = connected_to_a_listener();
    solo.run(millis(60_000));
    assert_eq!((levels(&solo), solo.link(LOW).trouble), (vec![], None));
}

#[test]
fn the_first_packets_are_waited_for_from_when_the_microphone_came_and_not_from_each_word_on_it() {
    let mut solo = connected_to_a_listener();
    solo.run(millis(30_000));
    for _ in 0..5 {
        assert_eq!(solo.link(LOW).trouble, None);
        solo.sees(LOW, info());
        solo.run(millis(1000));
    }
    solo.run(millis(1));
    assert_eq!(solo.link(LOW).trouble, Some(Trouble::NoInboundAudio));
}

#[test]
fn packets_on_a_broken_path_do_not_end_the_trouble() {
    let mut solo = Solo::connected_to(LOW);
    solo.tells(LOW, PeerConnectionState::Disconnected);
    solo.run(millis(900));
    assert_eq!(solo.state(LOW), Some(ConnectionState::Disconnected));
    solo.run(millis(1200));
    assert_eq!(solo.count(is_restart), 1, "although packets arrived");
}

#[test]
fn a_path_that_is_known_to_be_broken_is_not_called_silent_as_well() {
    let mut solo = Solo::connected_to(LOW);
    solo.signalling(false);
    solo.flows = false;
    solo.tells(LOW, PeerConnectionState::Failed);
    solo.run(millis(20_000));
    assert_eq!(solo.link(LOW).trouble, Some(Trouble::IceFailed));
    assert_eq!(solo.link(LOW).level, Some(HealthLevel::Lost));
}

#[test]
fn a_quiet_end_without_a_microphone_is_sound_and_forgets_its_attempts() {
    for sends_audio in [false, true] {
        let mut solo = Solo::connected_to(LOW);
        solo.sees(LOW, PeerInfo { sends_audio, ..info() });
        solo.flows = false;
        solo.tells(LOW, PeerConnectionState::Failed);
        solo.run(millis(2500));
        assert_eq!(solo.link(LOW).attempts, 1);
        solo.tells(LOW, PeerConnectionState::Connected);
        assert_eq!(solo.state(LOW), Some(ConnectionState::Connected));
        solo.run(millis(5000));
        let forgotten = solo.link(LOW).attempts == 0;
        assert_eq!(forgotten, !sends_audio, "who has a microphone must be heard first");
    }
}

#[test]
fn connected_and_not_yet_heard_is_not_sound_however_long_that_may_take() {
    let mut solo = Solo::connected_to(LOW);
    solo.flows = false;
    solo.tells(LOW, PeerConnectionState::Failed);
    solo.run(millis(2500));
    solo.tells(LOW, PeerConnectionState::Connected);
    for _ in 0..3 {
        // Another microphone: its first packets have their full time.
        solo.sees(LOW, PeerInfo { sends_audio: false, ..info() });
        solo.sees(LOW, info());
        solo.run(millis(4000));
    }
    assert_eq!((solo.link(LOW).attempts, solo.link(LOW).trouble), (1, None));
}

#[test]
fn who_puts_the_microphone_away_need_not_be_heard_any_more() {
    let mut solo = Solo::connected_to(LOW);
    solo.flows = false;
    solo.tells(LOW, PeerConnectionState::Failed);
    solo.run(millis(2500));
    solo.tells(LOW, PeerConnectionState::Connected);
    solo.sees(LOW, PeerInfo { sends_audio: false, ..info() });
    solo.run(millis(7000));
    assert_eq!(solo.link(LOW).attempts, 0);
}

#[test]
fn redundancy_follows_the_loss_that_the_other_side_reports_and_ends_with_its_connection() {
    let mut solo = Solo::connected_to(LOW);
    let asked = |solo: &Solo| -> Vec<bool> {
        let on = |command: &Command| match command {
            Command::SetRedundancy { on, .. } => Some(*on),
            _ => None,
        };
        solo.commands.iter().filter_map(on).collect()
    };
    solo.stats.outbound_loss = Some(0.1);
    solo.run(millis(5000));
    assert_eq!((asked(&solo), solo.link(LOW).is_redundant), (vec![true], true));
    solo.stats.outbound_loss = None;
    solo.run(millis(60_000));
    assert_eq!(asked(&solo), [true], "no report is no calm");
    solo.stats.outbound_loss = Some(0.0);
    solo.run(millis(40_000));
    assert_eq!((asked(&solo), solo.link(LOW).is_redundant), (vec![true, false], false));
    solo.stats.outbound_loss = Some(0.1);
    solo.run(millis(5000));
    assert!(solo.link(LOW).is_redundant);
    solo.input(Input::CloseConnection { peer: peer(LOW) });
    assert!(!solo.link(LOW).is_redundant);
}
