//! Two and more meshes against each other: set-up, lost messages, generations, glare.

mod common;

use common::pc::strange_offer;
use common::{Fate, SECOND, World, drop_first, first_generation, is_answer, is_offer};
use openstudio_mesh::{ConnectionState, Event, IceCandidate, Input, PeerInfo, Signal, Trouble};
use openstudio_units::{Generation, OfferId};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Drops every answer of this generation.
fn drop_answers_of(lost: Generation) -> impl FnMut(usize, usize, &Signal) -> Fate {
    move |_, _, signal| match signal {
        Signal::Answer { generation, .. } if *generation == Some(lost) => Fate::Drop,
        Signal::Answer { .. }
        | Signal::Offer { .. }
        | Signal::Candidates { .. }
        | Signal::RequestOffer { .. }
        | Signal::Stale { .. } => Fate::Deliver,
    }
}

// ----- set-up

#[test]
fn a_pair_connects_with_one_offer_and_one_answer() {
    for seed in 0..50 {
        let mut world = World::pair(seed);
        world.join_all();
        world.run_until(2 * SECOND, World::all_connected);
        world.run_for(30 * SECOND);
        assert_eq!(world.tally.peer_connections, 2);
        assert_eq!((world.tally.offers, world.tally.answers), (1, 1));
        assert_eq!(world.tally.descriptions_set, 4);
        assert_eq!(world.tally.requests, 0);
    }
}

#[test]
fn the_impolite_side_offers_whoever_came_first() {
    for (first, second) in [(0, 1), (1, 0)] {
        let mut world = World::pair(1);
        let offered_by = std::rc::Rc::new(std::cell::Cell::new(None));
        let seen = std::rc::Rc::clone(&offered_by);
        world.set_rule(move |from, _, signal| {
            if is_offer(signal) {
                seen.set(Some(from));
            }
            Fate::Deliver
        });
        world.introduce(first, second);
        world.run_for(SECOND / 2);
        world.introduce(second, first);
        world.run_until(10 * SECOND, World::all_connected);
        assert_eq!(offered_by.get(), Some(1));
    }
}

#[test]
fn eight_that_join_at_once_connect_with_one_offer_per_pair_and_no_retry() {
    for seed in 0..20 {
        let mut world = World::new(seed, 8);
        world.join_all();
        world.run_until(5 * SECOND, World::all_connected);
        world.run_for(20 * SECOND);
        assert_eq!(world.tally.peer_connections, 56, "seed {seed}");
        assert_eq!((world.tally.offers, world.tally.answers), (28, 28), "seed {seed}");
        assert_eq!(world.tally.descriptions_set, 112, "seed {seed}");
    }
}

#[test]
fn hosts_are_set_up_first_and_only_so_many_at_once() {
    let mut world = World::new(3, 8);
    world.limit_setups(2);
    // The last node is impolite towards everybody.
    for other in 0..7 {
        world.introduce(7, other);
    }
    let at_work: Vec<usize> = world.nodes[7].pcs.values().map(|pc| pc.other).collect();
    assert_eq!(at_work, [0, 1], "nodes 0 to 2 are the hosts");
    assert_eq!(world.state(7, 2), Some(ConnectionState::Waiting));
    for other in 0..7 {
        world.introduce(other, 7);
    }
    world.run_until(10 * SECOND, |world| {
        (0..7).all(|n| world.state(7, n) == Some(ConnectionState::Connected))
    });
}

#[test]
fn regression_who_goes_away_during_the_set_up_holds_up_nobody() {
    let mut world = World::new(3, 3);
    world.limit_setups(1);
    world.introduce(2, 0);
    world.introduce(2, 1);
    assert_eq!(world.state(2, 1), Some(ConnectionState::Waiting), "node 0 has the only slot");
    let away = PeerInfo { present: false, ..world.info(0) };
    world.input(2, Input::PeerSeen { peer: world.nodes[0].id, info: away });
    assert_eq!(world.state(2, 1), Some(ConnectionState::Connecting));
    world.introduce(1, 2);
    world.run_until(5 * SECOND, |w| w.state(2, 1) == Some(ConnectionState::Connected));
}

#[test]
fn a_polite_peer_that_hears_nothing_asks_for_an_offer() {
    let mut world = World::pair(5);
    world.introduce(0, 1);
    assert_eq!(world.state(0, 1), Some(ConnectionState::Waiting));
    world.run_for(4 * SECOND);
    assert_eq!(world.tally.requests, 0);
    world.run_for(2 * SECOND);
    assert_eq!(world.tally.requests, 1);
}

#[test]
fn a_peer_that_never_offers_ends_in_failed_permanent_and_an_offer_revives_it() {
    let mut world = World::pair(5);
    world.introduce(0, 1);
    world.run_until(120 * SECOND, |world| {
        world.state(0, 1) == Some(ConnectionState::FailedPermanent)
    });
    let failed = world.nodes[0]
        .events
        .iter()
        .any(|event| matches!(event, Event::ConnectionFailed { trouble: Trouble::NoOffer, .. }));
    assert!(failed, "{:?}", world.nodes[0].events);
    world.introduce(1, 0);
    world.run_until(5 * SECOND, World::all_connected);
}

// ----- lost, late and doubled messages

#[test]
fn any_one_lost_message_costs_time_but_not_the_connection() {
    for lost in 0..12 {
        for seed in 0..5 {
            let mut world = World::pair(seed);
            let mut count = 0;
            world.set_rule(move |_, _, _| {
                count += 1;
                if count == lost + 1 { Fate::Drop } else { Fate::Deliver }
            });
            world.join_all();
            world.run_until(30 * SECOND, World::all_connected);
        }
    }
}

#[test]
fn a_lost_offer_is_sent_again_as_it_was() {
    let mut world = World::pair(1);
    world.set_rule(drop_first(1, is_offer));
    world.join_all();
    world.run_until(8 * SECOND, World::all_connected);
    assert_eq!(world.tally.peer_connections, 2);
    assert_eq!(world.tally.descriptions_set, 4);
}

#[test]
fn a_lost_answer_is_sent_again_without_being_made_again() {
    let mut world = World::pair(1);
    world.set_rule(drop_first(1, is_answer));
    world.join_all();
    world.run_until(8 * SECOND, World::all_connected);
    assert_eq!(world.tally.peer_connections, 2);
    assert_eq!(world.tally.descriptions_set, 4);
    assert_eq!(world.tally.answers, 2);
}

#[test]
fn an_offer_that_is_never_answered_leads_to_the_next_generation() {
    let mut world = World::pair(1);
    world.set_rule(drop_answers_of(first_generation(&world)));
    world.join_all();
    world.run_until(30 * SECOND, World::all_connected);
    let link = &world.nodes[1].mesh.snapshot()[0];
    assert!(link.generation > first_generation(&world));
}

#[test]
fn doubled_messages_change_nothing() {
    for seed in 0..20 {
        let mut world = World::pair(seed);
        world.set_rule(|_, _, _| Fate::Duplicate);
        world.join_all();
        world.run_until(3 * SECOND, World::all_connected);
        world.run_for(20 * SECOND);
        assert!(world.all_connected());
        assert_eq!(world.tally.peer_connections, 2);
        assert_eq!(world.tally.descriptions_set, 4);
    }
}

#[test]
fn an_answer_to_another_offer_is_dropped() {
    let mut world = World::pair(1);
    world.set_rule(drop_first(9, is_answer));
    world.introduce(1, 0);
    world.run_for(SECOND);
    let generation = Some(first_generation(&world));
    let from = world.nodes[0].id;
    for (generation, offer) in [
        (generation, Some(OfferId(3))),
        (generation.map(Generation::next), Some(OfferId(1))),
        (Some(Generation(0)), Some(OfferId(1))),
    ] {
        let signal =
            Signal::Answer { generation, offer, sdp: strange_offer(99).replace("offer", "answer") };
        world.input(1, Input::SignalReceived { from, signal });
    }
    assert_eq!(world.nodes[1].mesh.snapshot()[0].signaling_state, "have-local-offer");
    assert_eq!(world.nodes[1].mesh.counters().dropped_signals, 3);
}

#[test]
fn candidates_that_overtake_their_offer_are_kept_but_only_so_many() {
    let mut world = World::pair(2);
    world.introduce(0, 1);
    let generation = Some(first_generation(&world));
    let from = world.nodes[1].id;
    let candidate = |n: usize| IceCandidate {
        candidate: format!("candidate:{n}"),
        sdp_mid: None,
        sdp_m_line_index: Some(0),
        username_fragment: Some("77.1".into()),
    };
    let signal = Signal::Candidates {
        generation,
        offer: Some(OfferId(1)),
        candidates: (0..10_000).map(candidate).collect(),
    };
    world.input(0, Input::SignalReceived { from, signal });
    let signal = Signal::Offer { generation, offer: Some(OfferId(1)), sdp: strange_offer(77) };
    world.input(0, Input::SignalReceived { from, signal });
    world.run_for(3 * SECOND);
    assert_eq!(world.nodes[0].mesh.snapshot()[0].refused_candidates, 0);
}

// ----- generations and incarnations

#[test]
fn an_offer_of_an_old_generation_is_answered_with_stale_once() {
    let mut world = World::pair(1);
    world.set_rule(drop_answers_of(first_generation(&world)));
    world.join_all();
    world.run_until(30 * SECOND, World::all_connected);
    let from = world.nodes[1].id;
    for _ in 0..5 {
        let generation = Some(first_generation(&world));
        let signal = Signal::Offer { generation, offer: Some(OfferId(1)), sdp: strange_offer(5) };
        world.input(0, Input::SignalReceived { from, signal });
    }
    assert_eq!(world.tally.stale, 1);
    world.run_for(10 * SECOND);
    assert!(world.all_connected());
}

#[test]
fn a_side_that_is_behind_catches_up() {
    for ahead in [0, 1] {
        let mut world = World::pair(4);
        world.join_all();
        world.run_until(3 * SECOND, World::all_connected);
        let generation = first_generation(&world).next().next();
        let from = world.nodes[ahead].id;
        world
            .input(1 - ahead, Input::SignalReceived { from, signal: Signal::Stale { generation } });
        world.run_for(SECOND / 100);
        world.run_until(20 * SECOND, World::all_connected);
        assert!(world.nodes[0].mesh.snapshot()[0].generation >= generation);
        let link = |n: usize| world.nodes[n].mesh.snapshot()[0].generation;
        assert_eq!(link(0), link(1));
    }
}

#[test]
fn a_reloaded_page_is_connected_anew_at_once() {
    for reloaded in [0, 1] {
        for seed in 0..10 {
            let mut world = World::new(seed, 3);
            world.join_all();
            world.run_until(3 * SECOND, World::all_connected);
            world.reload(reloaded);
            let time = world.run_until(2 * SECOND, World::all_connected);
            assert!(time < SECOND, "{time:?}");
        }
    }
}

#[test]
fn a_message_for_the_page_before_the_reload_is_dropped() {
    let mut world = World::pair(3);
    world.join_all();
    world.run_until(3 * SECOND, World::all_connected);
    let old = world.nodes[1].mesh.snapshot()[0].generation;
    world.reload(0);
    let from = world.nodes[1].id;
    let signal =
        Signal::Offer { generation: Some(old), offer: Some(OfferId(1)), sdp: strange_offer(3) };
    world.input(0, Input::SignalReceived { from, signal });
    assert!(world.nodes[0].pcs.is_empty(), "no peer connection for the past");
    world.run_until(3 * SECOND, World::all_connected);
}

/// Where there is no peer connection there is nothing to collide with.
#[test]
fn an_offer_to_the_impolite_side_that_has_no_peer_connection_is_answered() {
    let mut world = World::pair(1);
    let (peer, info) = (world.nodes[0].id, PeerInfo { present: false, ..world.info(0) });
    world.input(1, Input::PeerSeen { peer, info });
    let signal = Signal::Offer { generation: None, offer: None, sdp: strange_offer(500) };
    world.input(1, Input::SignalReceived { from: peer, signal });
    world.run_for(SECOND);
    assert_eq!((world.tally.peer_connections, world.tally.answers), (1, 1));
}

#[test]
fn who_left_leaves_nothing_behind() {
    let mut world = World::new(6, 3);
    world.join_all();
    world.run_until(3 * SECOND, World::all_connected);
    let gone = world.nodes[2].id;
    world.input(0, Input::PeerLeft { peer: gone });
    assert_eq!(world.state(0, 2), None);
    assert_eq!(world.nodes[0].pcs.len(), 1);
    let signal = Signal::Offer { generation: None, offer: None, sdp: strange_offer(1) };
    world.input(0, Input::SignalReceived { from: gone, signal });
    assert_eq!(world.state(0, 2), None);
    assert_eq!(world.nodes[0].mesh.counters().unknown_sender, 1);
    world.run_for(20 * SECOND);
    assert_eq!(world.state(0, 1), Some(ConnectionState::Connected));
}

// ----- glare

#[test]
fn crossing_ice_restarts_end_connected() {
    for seed in 0..100 {
        let mut world = World::pair(seed);
        world.join_all();
        world.run_until(3 * SECOND, World::all_connected);
        for n in [0, 1] {
            let pc = *world.nodes[n].pcs.keys().next().unwrap();
            world.nodes[n].pcs.get_mut(&pc).unwrap().restart();
            assert!(world.nodes[n].pcs.get_mut(&pc).unwrap().take_needed());
            world.input(n, Input::NegotiationNeeded { pc });
        }
        world.run_for(15 * SECOND);
        assert!(world.all_connected(), "seed {seed}");
        assert_eq!(world.tally.peer_connections, 2, "seed {seed}: nothing was recreated");
        for n in [0, 1] {
            assert_eq!(world.nodes[n].mesh.snapshot()[0].signaling_state, "stable");
        }
    }
}

#[test]
fn the_polite_side_never_makes_the_first_offer() {
    let mut world = World::pair(1);
    world.introduce(0, 1);
    let from = world.nodes[1].id;
    let generation = Some(first_generation(&world));
    let signal = Signal::Offer { generation, offer: Some(OfferId(1)), sdp: strange_offer(50) };
    world.input(0, Input::SignalReceived { from, signal });
    let pc = *world.nodes[0].pcs.keys().next().unwrap();
    world.input(0, Input::NegotiationNeeded { pc });
    world.run_for(2 * SECOND);
    assert_eq!(world.tally.offers, 0);
}
