//! What comes from outside of a pair: the network, the person, a slow machine, sleep.

use openstudio_mesh::{
    Command, Completion, ConnectionState, DescriptionKind, Input, OfferKind, PeerConnectionState,
    Signal,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::driver::{HIGH, LOW, Solo, info, is_request, is_restart, millis, offer, peer, request};

fn is_close(command: &Command) -> bool {
    matches!(command, Command::ClosePeerConnection { .. })
}

// ----- the network, and the person

#[test]
fn being_online_again_is_a_reason_to_ask_again_whoever_never_offered() {
    for gave_up in [false, true] {
        let mut solo = Solo::new();
        solo.sees(HIGH, info());
        solo.run(millis(if gave_up { 120_000 } else { 20_000 }));
        let state =
            if gave_up { ConnectionState::FailedPermanent } else { ConnectionState::Failed };
        assert_eq!(solo.state(HIGH), Some(state));
        solo.forget_past();
        solo.input(Input::NetworkOnline);
        solo.run(millis(0));
        assert_eq!(solo.count_sent(is_request), 1);
    }
}

#[test]
fn a_new_network_renews_what_stands_and_news_of_being_online_does_not() {
    for (input, restarts) in [(Input::NetworkOnline, 0), (Input::NetworkChanged, 1)] {
        let mut solo = Solo::connected_to(LOW);
        solo.input(input);
        solo.run(millis(10));
        assert_eq!(solo.count(is_restart), restarts);
    }
}

#[test]
fn news_of_the_network_end_the_wait_for_the_next_attempt() {
    for input in [Input::NetworkOnline, Input::NetworkChanged] {
        let mut solo = Solo::connected_to(LOW);
        solo.tells(LOW, PeerConnectionState::Failed);
        solo.run(millis(10));
        assert_eq!(solo.count(is_restart), 0);
        solo.input(input);
        solo.run(millis(0));
        assert_eq!(solo.count(is_restart), 1);
    }
}

#[test]
fn cut_off_is_who_was_connected_and_is_to_nobody() {
    let mut solo = Solo::new();
    assert!(!solo.mesh.is_cut_off(), "alone");
    for n in [LOW, LOW - 1] {
        solo.sees(n, info());
        assert!(!solo.mesh.is_cut_off(), "not yet connected to {n}");
        solo.negotiate(n);
        solo.tells(n, PeerConnectionState::Connected);
    }
    solo.tells(LOW, PeerConnectionState::Disconnected);
    assert!(!solo.mesh.is_cut_off(), "one is left");
    solo.tells(LOW - 1, PeerConnectionState::Disconnected);
    assert!(solo.mesh.is_cut_off());
    solo.tells(LOW, PeerConnectionState::Connected);
    assert!(!solo.mesh.is_cut_off());
}

#[test]
fn what_was_closed_on_purpose_stays_closed_whatever_happens() {
    for n in [LOW, HIGH] {
        let mut solo = Solo::connected_to(n);
        solo.input(Input::CloseConnection { peer: peer(n) });
        assert_eq!(solo.count(is_close), 1);
        solo.forget_past();
        solo.input(Input::NetworkOnline);
        solo.input(Input::NetworkChanged);
        solo.signalling(false);
        solo.signalling(true);
        solo.input(Input::IceServersChanged { has_relay: true });
        let dropped = solo.mesh.counters().dropped_signals;
        let generation = solo.link(n).generation;
        solo.hears(n, offer(generation.next(), 1));
        solo.hears(n, request(generation.next(), OfferKind::Any));
        assert_eq!(solo.mesh.counters().dropped_signals, dropped + 2);
        solo.run(millis(60_000));
        assert_eq!(solo.state(n), Some(ConnectionState::Disconnected));
        assert_eq!((&solo.commands[..], &solo.sent[..]), (&[][..], &[][..]));
        solo.input(Input::RetryRequested { peer: peer(n) });
        solo.run(millis(0));
        assert_eq!(solo.made(n).len() + solo.count_sent(is_request), 1);
    }
}

#[test]
fn new_servers_begin_again_only_what_was_given_up() {
    let mut solo = Solo::connected_to(LOW);
    solo.input(Input::IceServersChanged { has_relay: true });
    solo.run(millis(10));
    assert_eq!(solo.link(LOW).trouble, None);
    assert_eq!((solo.made(LOW).len(), solo.count(is_restart)), (0, 0));
}

// ----- slow machines, and sleep

/// Begins a set-up whose offer took `slow` to be made.
fn slow_setup(slow: u64) -> Solo {
    let mut solo = Solo::new();
    solo.sees(LOW, info());
    let pc = solo.pc(LOW);
    solo.holds = true;
    solo.input(Input::NegotiationNeeded { pc });
    let Some(Command::SetLocalDescription { op, .. }) = solo.commands.last().cloned() else {
        panic!("{:?}", solo.commands)
    };
    solo.run(millis(slow));
    let kind = DescriptionKind::Offer;
    solo.completes(op, Completion::LocalDescriptionSet { kind, sdp: "offer".into() });
    solo.forget_past();
    solo
}

#[test]
fn a_machine_that_is_slow_is_given_more_time() {
    let is_offer = |signal: &Signal| matches!(signal, Signal::Offer { .. });
    for (slow, factor) in [(499, 1), (500, 2), (1499, 2), (1500, 4)] {
        let mut solo = slow_setup(slow);
        solo.run(millis(3000 * factor - 1));
        assert_eq!(solo.count_sent(is_offer), 0, "{slow} ms");
        solo.run(millis(1));
        assert_eq!(solo.count_sent(is_offer), 1, "{slow} ms");
    }
}

#[test]
fn more_time_is_given_to_what_is_under_way_and_not_taken_from_it() {
    let mut solo = slow_setup(10);
    solo.sees(40, info());
    let (_, create) = solo.made(40)[0];
    solo.run(millis(2000));
    let before = solo.mesh.poll_timeout().unwrap().at;
    solo.completes(create, Completion::Done);
    let after = solo.mesh.poll_timeout().unwrap().at;
    assert_eq!(after.since(before), millis(2000 + 9000), "12 s from now, not 3 s from then");
}

#[test]
fn who_wakes_up_takes_nothing_for_overdue() {
    let mut solo = slow_setup(10);
    let asleep = solo.mesh.poll_timeout().unwrap().at + millis(5001);
    solo.now = asleep;
    solo.mesh.handle_timeout(solo.now);
    solo.run(millis(2999));
    assert_eq!(solo.sent, []);
    solo.run(millis(1));
    assert_eq!(solo.sent.len(), 1, "it had its full time again");
}
