//! What is made of each signal of a counterpart, by its generation and by what is under way.

use openstudio_mesh::{
    Command, ConnectionState, IceCandidate, Input, OfferKind, PeerConnectionState, PeerInfo, Signal,
};
use openstudio_units::{Generation, Incarnation, OfferId};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::driver::{
    HIGH, LOW, Solo, answer, candidate, first, info, is_restart, millis, offer, peer, request,
};

fn is_offer(signal: &Signal) -> bool {
    matches!(signal, Signal::Offer { .. })
}

fn is_stale(signal: &Signal) -> bool {
    matches!(signal, Signal::Stale { .. })
}

/// The names of all candidates that were added.
fn added(solo: &Solo) -> Vec<String> {
    let of = |command: &Command| match command {
        Command::AddIceCandidates { candidates, .. } => Some(candidates.clone()),
        _ => None,
    };
    let all = solo.commands.iter().filter_map(of).flatten();
    all.map(|IceCandidate { candidate, .. }| candidate).collect()
}

fn candidates(generation: Generation, offer: u32, name: &str) -> Signal {
    let (generation, offer) = (Some(generation), Some(OfferId(offer)));
    Signal::Candidates { generation, offer, candidates: vec![candidate(name)] }
}

// ----- generations

#[test]
fn who_is_behind_is_told_once_for_each_generation() {
    let mut solo = Solo::connected_to(HIGH);
    solo.hears(HIGH, offer(first().next().next(), 1));
    solo.forget_past();
    let dropped = solo.mesh.counters().dropped_signals;
    for generation in [first(), first(), first().next(), first().next()] {
        solo.hears(HIGH, offer(generation, 1));
    }
    let told = (peer(HIGH), Signal::Stale { generation: first().next().next() });
    assert_eq!(solo.sent, [told.clone(), told]);
    assert_eq!(solo.mesh.counters().dropped_signals, dropped + 4);
    assert_eq!(solo.commands, []);
}

#[test]
fn who_is_of_another_life_of_the_page_is_dropped_without_a_word() {
    let mut solo = Solo::connected_to(LOW);
    let dropped = solo.mesh.counters().dropped_signals;
    let before = Generation::first(Incarnation(0), Incarnation(1)).next();
    let after = Generation::first(Incarnation(2), Incarnation(1)).next();
    for generation in [before, after] {
        solo.hears(LOW, offer(generation, 2));
        solo.hears(LOW, request(generation, OfferKind::Any));
        solo.hears(LOW, Signal::Stale { generation });
    }
    assert_eq!((&solo.commands[..], &solo.sent[..]), (&[][..], &[][..]));
    assert_eq!(solo.mesh.counters().dropped_signals, dropped + 4);
    assert_eq!(solo.link(LOW).generation, first());
}

#[test]
fn candidates_wait_for_the_offer_of_their_generation_and_no_longer() {
    let mut solo = Solo::new();
    solo.sees(HIGH, info());
    let (second, third) = (first().next(), first().next().next());
    for (generation, name) in [(first(), "first"), (second, "second"), (third, "third")] {
        solo.hears(HIGH, candidates(generation, 1, name));
    }
    solo.hears(HIGH, offer(second, 1));
    assert_eq!(added(&solo), ["second"]);
    solo.hears(HIGH, offer(third, 1));
    assert_eq!(added(&solo), ["second", "third"], "those for later were kept");
    let dropped = solo.mesh.counters().dropped_signals;
    solo.hears(HIGH, candidates(first(), 1, "late"));
    assert_eq!(solo.mesh.counters().dropped_signals, dropped + 1);
    assert_eq!(added(&solo).len(), 2);
}

#[test]
fn an_answer_to_nothing_is_counted_and_dropped() {
    let mut solo = Solo::connected_to(LOW);
    let dropped = solo.mesh.counters().dropped_signals;
    solo.hears(LOW, answer(first(), 1));
    solo.hears(LOW, answer(first().next(), 1));
    assert_eq!(solo.mesh.counters().dropped_signals, dropped + 2);
    assert_eq!(solo.commands, []);
}

#[test]
fn a_stale_notice_makes_the_side_that_offers_go_ahead_and_the_other_ask() {
    let ahead = first().next();
    let mut impolite = Solo::connected_to(LOW);
    impolite.hears(LOW, Signal::Stale { generation: ahead });
    assert_eq!(impolite.made(LOW).len(), 1);
    assert_eq!(impolite.link(LOW).generation, ahead.next());
    let mut polite = Solo::connected_to(HIGH);
    polite.hears(HIGH, Signal::Stale { generation: ahead });
    polite.run(millis(0));
    assert_eq!(polite.sent, [(peer(HIGH), request(ahead, OfferKind::Any))]);
    for stale in [first(), Generation(0)] {
        let mut solo = Solo::connected_to(LOW);
        solo.hears(LOW, Signal::Stale { generation: stale });
        assert_eq!(solo.commands, []);
    }
}

#[test]
fn candidates_of_a_link_that_does_not_connect_are_sent_again_three_times() {
    let mut solo = Solo::new();
    solo.sees(LOW, info());
    solo.negotiate(LOW);
    let pc = solo.pc(LOW);
    solo.input(Input::LocalCandidateGathered { pc, candidate: Some(candidate("1")) });
    solo.tells(LOW, PeerConnectionState::Connecting);
    let is_candidates = |signal: &Signal| matches!(signal, Signal::Candidates { .. });
    for sent in [1, 2, 3, 4] {
        solo.run(millis(2900));
        assert_eq!(solo.count_sent(is_candidates), sent);
        solo.run(millis(100));
    }
    solo.run(millis(500));
    assert_eq!(solo.count_sent(is_candidates), 4);
    assert_eq!(solo.made(LOW).len(), 1, "all of that on the same peer connection");
}

#[test]
fn signalling_that_is_back_brings_the_candidates_again_unless_the_link_is_connected() {
    for (state, again) in
        [(PeerConnectionState::Connecting, 1), (PeerConnectionState::Connected, 0)]
    {
        let mut solo = Solo::new();
        solo.sees(LOW, info());
        solo.negotiate(LOW);
        let pc = solo.pc(LOW);
        solo.input(Input::LocalCandidateGathered { pc, candidate: Some(candidate("1")) });
        solo.tells(LOW, state);
        solo.run(millis(1000));
        solo.forget_past();
        solo.signalling(false);
        solo.signalling(true);
        assert_eq!(solo.sent.len(), again, "{state:?}");
    }
}

// ----- requests

#[test]
fn a_request_is_followed_at_most_once_in_900_ms_and_the_newest_that_came_too_soon_then() {
    let mut solo = Solo::connected_to(LOW);
    let (second, third) = (first().next(), first().next().next());
    solo.hears(LOW, request(second, OfferKind::Any));
    assert_eq!(solo.link(LOW).generation, second);
    let dropped = solo.mesh.counters().dropped_signals;
    solo.run(millis(10));
    solo.hears(LOW, request(third, OfferKind::Any));
    solo.hears(LOW, request(second, OfferKind::IceRestart));
    assert_eq!(solo.mesh.counters().dropped_signals, dropped + 2);
    solo.run(millis(889));
    assert_eq!(solo.link(LOW).generation, second);
    solo.run(millis(1));
    assert_eq!(solo.link(LOW).generation, third);
    solo.run(millis(900));
    solo.hears(LOW, request(third.next(), OfferKind::Any));
    assert_eq!(solo.link(LOW).generation, third.next(), "900 ms later it is followed at once");
}

#[test]
fn a_request_that_waits_is_not_followed_while_nobody_can_be_reached() {
    let mut solo = Solo::connected_to(LOW);
    solo.hears(LOW, request(first().next(), OfferKind::Any));
    solo.hears(LOW, request(first().next().next(), OfferKind::Any));
    solo.signalling(false);
    solo.run(millis(5000));
    assert_eq!(solo.link(LOW).generation, first().next());
    solo.signalling(true);
    solo.run(millis(0));
    assert_eq!(solo.link(LOW).generation, first().next().next());
}

#[test]
fn a_request_to_the_polite_side_is_counted_and_dropped() {
    let mut solo = Solo::connected_to(HIGH);
    let dropped = solo.mesh.counters().dropped_signals;
    solo.hears(HIGH, request(first().next(), OfferKind::Any));
    assert_eq!(solo.mesh.counters().dropped_signals, dropped + 1);
    assert_eq!(solo.commands, []);
}

#[test]
fn a_request_while_the_set_up_is_queued_changes_nothing() {
    let mut solo = Solo::new();
    solo.signalling(false);
    solo.sees(LOW, info());
    solo.hears(LOW, request(first(), OfferKind::Any));
    solo.signalling(true);
    assert_eq!((solo.made(LOW).len(), solo.link(LOW).attempts), (1, 0));
    assert_eq!(solo.link(LOW).generation, first());
}

#[test]
fn a_request_to_who_has_closed_and_is_about_to_begin_again_is_followed_at_once() {
    let mut solo = Solo::connected_to(LOW);
    solo.input(Input::CloseConnection { peer: peer(LOW) });
    solo.input(Input::RetryRequested { peer: peer(LOW) });
    assert_eq!(solo.made(LOW).len(), 0);
    solo.hears(LOW, request(first(), OfferKind::Any));
    assert_eq!(solo.made(LOW).len(), 1);
    assert_eq!(solo.link(LOW).generation, first().next());
}

#[test]
fn a_request_while_the_offer_is_out_repeats_it_and_restarts_only_if_that_is_asked() {
    for (kind, restarts) in [(OfferKind::Any, 0), (OfferKind::IceRestart, 1)] {
        let mut solo = Solo::new();
        solo.sees(LOW, info());
        let pc = solo.pc(LOW);
        solo.input(Input::NegotiationNeeded { pc });
        solo.run(millis(1000));
        solo.forget_past();
        solo.hears(LOW, request(first(), kind));
        assert_eq!((solo.count_sent(is_offer), solo.count(is_restart)), (1, restarts));
        assert_eq!(solo.link(LOW).attempts, u32::try_from(restarts).unwrap());
        solo.run(millis(900));
        solo.hears(LOW, request(first(), kind));
        assert_eq!(solo.count(is_restart), restarts, "the attempt is under way already");
    }
}

#[test]
fn a_request_while_a_description_is_being_applied_changes_nothing() {
    let mut solo = Solo::new();
    solo.sees(LOW, info());
    let pc = solo.pc(LOW);
    solo.input(Input::NegotiationNeeded { pc });
    solo.holds = true;
    solo.hears(LOW, answer(first(), 1));
    solo.forget_past();
    for kind in [OfferKind::Any, OfferKind::IceRestart] {
        solo.hears(LOW, request(first(), kind));
        solo.run(millis(900));
    }
    assert_eq!((&solo.commands[..], &solo.sent[..]), (&[][..], &[][..]));
}

#[test]
fn a_settled_link_restarts_if_that_is_asked_and_is_made_anew_if_an_offer_is_missed() {
    let mut solo = Solo::connected_to(LOW);
    solo.hears(LOW, request(first(), OfferKind::IceRestart));
    assert_eq!((solo.count(is_restart), solo.made(LOW).len()), (1, 0));
    assert_eq!((solo.link(LOW).attempts, solo.link(LOW).generation), (1, first()));
    solo.run(millis(900));
    solo.hears(LOW, request(first(), OfferKind::IceRestart));
    assert_eq!(solo.count(is_restart), 1, "it is the same attempt");
    let mut solo = Solo::connected_to(LOW);
    solo.hears(LOW, request(first(), OfferKind::Any));
    assert_eq!((solo.count(is_restart), solo.made(LOW).len()), (0, 1));
    assert_eq!(solo.link(LOW).generation, first().next());
}

// ----- offers

#[test]
fn an_offer_is_accepted_over_every_path_unless_the_last_attempt_is_for_relays_only() {
    let mut solo = Solo::new();
    solo.input(Input::IceServersChanged { has_relay: true });
    solo.sees(HIGH, info());
    let mut relayed = Vec::new();
    for generation in [first(), first().next(), first().next().next()] {
        solo.hears(HIGH, offer(generation, 1));
        relayed.push(solo.link(HIGH).relay_only);
        solo.tells(HIGH, PeerConnectionState::Failed);
        while solo.state(HIGH) == Some(ConnectionState::Failed) {
            solo.run(millis(100));
        }
    }
    assert_eq!(relayed, [false, false, true]);
}

#[test]
fn an_offer_in_the_midst_of_trouble_is_the_counterparts_attempt() {
    let mut solo = Solo::connected_to(HIGH);
    solo.hears(HIGH, offer(first(), 3));
    assert_eq!(solo.link(HIGH).attempts, 0, "nothing was wrong");
    solo.tells(HIGH, PeerConnectionState::Failed);
    solo.hears(HIGH, offer(first(), 5));
    assert_eq!(solo.link(HIGH).attempts, 1);
    solo.hears(HIGH, offer(first(), 5));
    assert_eq!(solo.link(HIGH).attempts, 1, "it is the same offer again");
    assert_eq!(solo.state(HIGH), Some(ConnectionState::Connecting));
}

#[test]
fn a_new_life_of_the_page_begins_anew_and_news_of_an_old_one_change_nothing() {
    let mut solo = Solo::connected_to(LOW);
    solo.sees(LOW, PeerInfo { incarnation: Incarnation(0), ..info() });
    assert_eq!((solo.made(LOW).len(), solo.link(LOW).generation), (0, first()));
    solo.sees(LOW, PeerInfo { incarnation: Incarnation(2), ..info() });
    assert_eq!(solo.made(LOW).len(), 1);
    assert_eq!(solo.link(LOW).generation, Generation::first(Incarnation(1), Incarnation(2)));
    assert!(!solo.link(LOW).ever_connected);
    assert_eq!(solo.count_sent(is_stale), 0);
}
