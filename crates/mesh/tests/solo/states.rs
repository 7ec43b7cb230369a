//! What a link is at each moment, and what makes it another.

use openstudio_mesh::{
    Command, Completion, ConnectionState, Event, Input, MeshConfig, PcId, PeerConnectionState,
    PeerInfo, Trouble,
};
use openstudio_units::Role;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::driver::{
    HIGH, LOW, Solo, candidate, info, is_request, is_restart, millis, offer, peer,
};

// ----- set-up

#[test]
fn nothing_is_set_up_before_the_peer_can_be_reached() {
    let mut solo = Solo::new();
    solo.signalling(false);
    solo.sees(LOW, PeerInfo { present: false, ..info() });
    assert_eq!(solo.state(LOW), Some(ConnectionState::Disconnected));
    solo.signalling(true);
    assert_eq!(solo.commands, [], "the peer is away");
    solo.signalling(false);
    solo.sees(LOW, info());
    assert_eq!(solo.state(LOW), Some(ConnectionState::Waiting));
    assert_eq!(solo.commands, [], "our own signalling is down");
    solo.signalling(true);
    assert_eq!(solo.made(LOW).len(), 1);
    assert_eq!(solo.state(LOW), Some(ConnectionState::Connecting));
}

#[test]
fn newcomers_are_set_up_before_those_who_are_tried_again() {
    let mut solo = Solo::with(MeshConfig { setups_in_flight: 1, ..MeshConfig::default() });
    solo.sees(10, PeerInfo { role: Role::Host, ..info() });
    solo.tells(10, PeerConnectionState::Failed);
    solo.sees(20, info());
    solo.negotiate(20);
    solo.run(millis(2500));
    assert_eq!((solo.made(10).len(), solo.made(20).len()), (1, 1), "one at a time");
    solo.sees(30, info());
    solo.tells(20, PeerConnectionState::Connected);
    assert_eq!((solo.made(10).len(), solo.made(30).len()), (1, 1), "the host failed once");
    solo.negotiate(30);
    solo.tells(30, PeerConnectionState::Connected);
    assert_eq!(solo.made(10).len(), 2);
}

#[test]
fn an_attempt_to_restart_ice_takes_no_slot_from_a_newcomer() {
    let mut solo = Solo::with(MeshConfig { setups_in_flight: 1, ..MeshConfig::default() });
    solo.sees(10, info());
    solo.negotiate(10);
    solo.tells(10, PeerConnectionState::Failed);
    solo.run(millis(2100));
    assert_eq!((solo.count(is_restart), solo.state(10)), (1, Some(ConnectionState::Connecting)));
    solo.sees(20, info());
    assert_eq!(solo.made(20).len(), 1);
}

#[test]
fn an_unanswered_offer_frees_the_slot_once_it_had_to_be_sent_again() {
    let mut solo = Solo::with(MeshConfig { setups_in_flight: 1, ..MeshConfig::default() });
    solo.sees(10, info());
    let pc = solo.pc(10);
    solo.input(Input::NegotiationNeeded { pc });
    solo.sees(20, info());
    solo.run(millis(2999));
    assert_eq!(solo.made(20), []);
    solo.run(millis(1));
    assert_eq!(solo.made(20).len(), 1);
}

#[test]
fn a_peer_that_waits_for_an_offer_asks_three_times_and_then_calls_it_trouble() {
    let mut solo = Solo::new();
    solo.sees(HIGH, info());
    solo.run(millis(4999));
    assert_eq!(solo.sent, []);
    for n in 1..=3 {
        solo.run(millis(1));
        assert_eq!(solo.count_sent(is_request), n);
        solo.run(millis(4999));
    }
    assert_eq!(solo.link(HIGH).trouble, None);
    solo.run(millis(1));
    assert_eq!(solo.link(HIGH).trouble, Some(Trouble::NoOffer));
    assert_eq!(solo.state(HIGH), Some(ConnectionState::Failed));
    assert_eq!(solo.count_sent(is_request), 3);
}

#[test]
fn a_peer_that_can_be_reached_again_is_asked_at_once_if_there_is_nothing_yet() {
    let mut solo = Solo::new();
    solo.sees(HIGH, PeerInfo { present: false, ..info() });
    solo.run(millis(60_000));
    assert_eq!(solo.sent, []);
    solo.sees(HIGH, info());
    solo.run(millis(0));
    assert_eq!(solo.count_sent(is_request), 1);
    solo.sees(HIGH, info());
    solo.run(millis(4000));
    assert_eq!(solo.count_sent(is_request), 1, "told again is not reached again");
    let mut connected = Solo::connected_to(HIGH);
    connected.signalling(false);
    connected.signalling(true);
    connected.run(millis(8000));
    assert_eq!(connected.count_sent(is_request), 0);
}

// ----- facts of the platform

#[test]
fn a_track_is_told_once() {
    let mut solo = Solo::new();
    solo.sees(LOW, info());
    let pc = solo.pc(LOW);
    for _ in 0..3 {
        solo.input(Input::RemoteTrackAdded { pc });
    }
    let told = Event::RemoteTrackAdded { peer: peer(LOW), pc };
    assert_eq!(solo.events.iter().filter(|event| **event == told).count(), 1);
}

#[test]
fn what_is_told_of_a_peer_connection_that_is_gone_is_counted_and_nothing_else() {
    let mut solo = Solo::new();
    solo.sees(LOW, info());
    solo.sees(40, info());
    let (gone, (_, other)) = (solo.pc(LOW), solo.made(40)[0]);
    solo.holds = true;
    solo.input(Input::NegotiationNeeded { pc: gone });
    let Some(Command::SetLocalDescription { op, .. }) = solo.commands.last().cloned() else {
        panic!("{:?}", solo.commands)
    };
    solo.input(Input::CloseConnection { peer: peer(LOW) });
    solo.forget_past();
    let late = solo.mesh.counters().late_reports;
    solo.completes(op, Completion::Done);
    solo.input(Input::NegotiationNeeded { pc: gone });
    solo.input(Input::RemoteTrackAdded { pc: gone });
    solo.input(Input::ConnectionStateChanged { pc: gone, state: PeerConnectionState::Connected });
    solo.input(Input::LocalCandidateGathered { pc: PcId(999), candidate: Some(candidate("1")) });
    assert_eq!(solo.mesh.counters().late_reports, late + 5);
    assert_eq!((&solo.commands[..], &solo.events[..]), (&[][..], &[][..]));
    solo.completes(other, Completion::Done);
    assert_eq!(solo.mesh.counters().late_reports, late + 6, "it was completed before");
}

#[test]
fn an_operation_of_another_peer_connection_survives_the_closing_of_one() {
    let mut solo = Solo::new();
    solo.holds = true;
    solo.sees(LOW, info());
    solo.sees(40, info());
    let (_, create) = solo.made(40)[0];
    solo.input(Input::CloseConnection { peer: peer(LOW) });
    solo.completes(create, Completion::Done);
    assert_eq!(solo.mesh.counters().late_reports, 0);
}

#[test]
fn who_leaves_takes_along_what_was_queued_for_them_and_nothing_of_others() {
    let mut solo = Solo::new();
    solo.sees(LOW, info());
    solo.sees(40, info());
    solo.forget_past();
    let (left, stays) = (solo.pc(LOW), solo.pc(40));
    for pc in [left, stays] {
        solo.mesh.handle_input(solo.now, Input::RemoteTrackAdded { pc });
        solo.mesh.handle_input(solo.now, Input::NegotiationNeeded { pc });
    }
    solo.holds = true;
    solo.input(Input::PeerLeft { peer: peer(LOW) });
    assert_eq!(solo.events, [Event::RemoteTrackAdded { peer: peer(40), pc: stays }]);
    assert!(
        matches!(
            solo.commands[..],
            [
                Command::SetLocalDescription { pc, .. },
                Command::ClosePeerConnection { pc: closed }
            ] if pc == stays && closed == left
        ),
        "{:?}",
        solo.commands
    );
}

#[test]
fn a_signal_to_who_left_is_not_sent_and_one_to_who_stays_is() {
    let mut solo = Solo::new();
    solo.sees(HIGH, info());
    solo.sees(160, info());
    for n in [HIGH, 160] {
        let signal = offer(solo.link(n).generation, 1);
        solo.hears(n, signal.clone());
        solo.forget_past();
        // The answer was lost: the same offer comes again.
        solo.mesh.handle_input(solo.now, Input::SignalReceived { from: peer(n), signal });
    }
    solo.input(Input::PeerLeft { peer: peer(160) });
    assert_eq!(solo.sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), []);
    let signal = offer(solo.link(HIGH).generation, 1);
    solo.now = solo.now + millis(900);
    solo.mesh.handle_input(solo.now, Input::SignalReceived { from: peer(HIGH), signal });
    solo.input(Input::PeerLeft { peer: peer(77) });
    solo.sees(170, info());
    solo.input(Input::PeerLeft { peer: peer(170) });
    assert_eq!(solo.sent.iter().map(|(to, _)| *to).collect::<Vec<_>>(), [peer(HIGH)]);
}
