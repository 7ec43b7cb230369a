//! What the simulator and the fuzzers found in the mesh, each as the shortest story that
//! shows it. The seeds are those of `openstudio sim`.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::{Fate, SECOND, World, drop_first, first_generation, is_answer};
use openstudio_mesh::{ConnectionState, Input, OfferKind, Signal};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A connected pair; node 0 is the polite one.
fn connected() -> World {
    let mut world = World::pair(1);
    world.join_and_settle();
    world
}

/// What node 0 asks of node 1.
fn ask(world: &mut World, later: bool, kind: OfferKind) {
    let present = first_generation(world);
    let generation = if later { present.next() } else { present };
    let signal = Signal::RequestOffer { generation, kind, relay_only: false };
    let from = world.nodes[0].id;
    world.input(1, Input::SignalReceived { from, signal });
}

/// Scenario everything, seed 2067: whoever wakes up finds several requests at once.
#[test]
fn regression_a_request_for_a_new_connection_soon_after_another_request_is_followed_later() {
    let mut world = connected();
    ask(&mut world, false, OfferKind::IceRestart);
    ask(&mut world, true, OfferKind::Any);
    ask(&mut world, true, OfferKind::Any);
    let expected = first_generation(&world).next();
    world.run_until(3 * SECOND, |w| w.nodes[1].mesh.snapshot()[0].generation == expected);
    world.run_for(5 * SECOND);
    assert!(world.all_connected());
    assert_eq!(world.nodes[1].mesh.snapshot()[0].generation, expected, "once, not twice");
}

/// Brings `node` to `left` ms before the end of its last attempt, which cannot succeed, and
/// unblocks it.
fn near_the_end_of_the_last_attempt_of(node: usize, left: u64) -> World {
    let other = 1 - node;
    let gave_up = |w: &World| w.state(node, other) == Some(ConnectionState::FailedPermanent);
    let mut twin = connected();
    twin.block(0, 1);
    let end = twin.run_until(120 * SECOND, gave_up);

    let mut world = connected();
    world.block(0, 1);
    world.run_for(end - Duration::from_millis(left));
    assert_eq!(world.state(node, other), Some(ConnectionState::Connecting), "the last attempt");
    world.unblock();
    world
}

/// Scenario everything, seed 1633 with 15 clients: the side that was asked gave up, because its
/// own last attempt, which the request had ended, was out of time a moment later.
#[test]
fn regression_an_attempt_of_the_other_side_is_not_cut_off_by_the_end_of_ones_own() {
    let mut world = near_the_end_of_the_last_attempt_of(1, 1);
    let generation = world.nodes[1].mesh.snapshot()[0].generation.next();
    let signal = Signal::RequestOffer { generation, kind: OfferKind::Any, relay_only: false };
    let from = world.nodes[0].id;
    world.input(1, Input::SignalReceived { from, signal });
    world.run_until(5 * SECOND, World::all_connected);
    assert_eq!(world.nodes[1].mesh.snapshot()[0].generation, generation);
    assert!(!world.events_of(1, 0).contains(&ConnectionState::FailedPermanent));
}

/// The same, where the other side does not ask but is ahead.
#[test]
fn regression_catching_up_is_not_cut_off_by_the_end_of_ones_own_attempt() {
    let mut world = near_the_end_of_the_last_attempt_of(1, 1);
    let generation = world.nodes[1].mesh.snapshot()[0].generation.next();
    let from = world.nodes[0].id;
    world.input(1, Input::SignalReceived { from, signal: Signal::Stale { generation } });
    world.run_until(5 * SECOND, World::all_connected);
    assert!(world.nodes[1].mesh.snapshot()[0].generation > generation);
    assert!(!world.events_of(1, 0).contains(&ConnectionState::FailedPermanent));
}

/// The same, where the other side does not ask but offers a new connection by itself.
#[test]
fn regression_a_new_connection_is_not_cut_off_by_the_end_of_ones_own_attempt() {
    let mut world = near_the_end_of_the_last_attempt_of(0, 60);
    let generation = world.nodes[1].mesh.snapshot()[0].generation;
    let from = world.nodes[0].id;
    let kind = OfferKind::Any;
    // Whoever asked for it is gone meanwhile: node 0 knows nothing of this request.
    let signal = Signal::RequestOffer { generation: generation.next(), kind, relay_only: false };
    world.input(1, Input::SignalReceived { from, signal });
    world.run_until(5 * SECOND, World::all_connected);
    assert!(world.nodes[0].mesh.snapshot()[0].generation > generation);
    assert!(!world.events_of(0, 1).contains(&ConnectionState::FailedPermanent));
}

/// Scenario glare-and-loss, seed 1263: the side that joins gave up before the other.
#[test]
fn regression_an_offer_that_comes_twice_is_no_second_attempt() {
    let mut world = connected();
    let offers = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&offers);
    world.set_rule(move |from, _, signal| {
        if from == 1 && matches!(signal, Signal::Offer { .. }) {
            seen.borrow_mut().push(signal.clone());
        }
        Fate::Deliver
    });
    world.block(0, 1);
    world.run_until(60 * SECOND, |w| {
        let link = &w.nodes[0].mesh.snapshot()[0];
        link.attempts == 1 && link.state.as_str() == "failed"
    });
    let signal = offers.borrow().last().cloned().unwrap();
    let from = world.nodes[1].id;
    world.input(0, Input::SignalReceived { from, signal });
    assert_eq!(world.nodes[0].mesh.snapshot()[0].attempts, 1);
}

/// Scenario everything, seed 1016: what was gathered on the old network leads nowhere.
#[test]
fn regression_a_network_change_in_the_midst_of_a_set_up_begins_it_again() {
    for changed in [Input::NetworkChanged, Input::NetworkOnline] {
        let mut world = World::pair(1);
        world.set_rule(|_, _, signal| if is_answer(signal) { Fate::Drop } else { Fate::Deliver });
        world.join_all();
        world.run_for(SECOND);
        assert_eq!(world.tally.requests, 0);
        world.input(0, changed);
        world.run_for(Duration::from_millis(100));
        assert_eq!(world.tally.requests, 1);
    }
}

/// Scenario server-restart, seed 7: the end that waited for so long has failed meanwhile.
#[test]
fn regression_a_restart_that_is_asked_for_before_the_answer_follows_it() {
    let mut world = World::pair(1);
    world.set_rule(drop_first(1, is_answer));
    world.join_all();
    world.run_for(SECOND);
    ask(&mut world, false, OfferKind::IceRestart);
    world.run_for(2 * SECOND);
    assert!(world.all_connected());
    assert_eq!(world.tally.peer_connections, 2);
    assert_eq!(world.tally.offers, 3, "the first, the first again, the restart");
    assert_eq!(world.tally.descriptions_set, 8);
}

/// Scenario coming-and-going, seed 2223: people who lost power held all the places.
#[test]
fn regression_who_does_not_answer_keeps_nobody_else_waiting() {
    let mut world = World::new(1, 4);
    world.limit_setups(1);
    world.crash(0);
    world.crash(1);
    world.join_all();
    world.run_until(9 * SECOND, |w| w.state(3, 2) == Some(ConnectionState::Connected));
}

/// Scenario everything, 15 clients, seed 6: those without a path to each other did so, too.
#[test]
fn regression_who_cannot_be_connected_keeps_nobody_else_waiting() {
    let mut world = World::new(1, 4);
    world.limit_setups(1);
    world.block(3, 0);
    world.block(3, 1);
    world.join_all();
    world.run_until(9 * SECOND, |w| w.state(3, 2) == Some(ConnectionState::Connected));
}

/// The pair model: whoever was given up went on sending for ever.
#[test]
fn regression_candidates_are_not_sent_again_for_ever() {
    let mut world = World::pair(1);
    let candidates = Rc::new(RefCell::new(0));
    let seen = Rc::clone(&candidates);
    world.block(0, 1);
    world.set_rule(move |_, _, signal| {
        *seen.borrow_mut() += usize::from(matches!(signal, Signal::Candidates { .. }));
        Fate::Deliver
    });
    world.join_all();
    world.run_until_both_gave_up();
    world.run_for(20 * SECOND);
    let before = *candidates.borrow();
    world.run_for(120 * SECOND);
    assert_eq!(*candidates.borrow(), before);
}

/// Scenario lost-messages, seed 15: ICE waited for what was lost until its time was over.
#[test]
fn regression_lost_candidates_are_sent_again_before_anything_is_begun_anew() {
    let mut world = World::pair(1);
    world.set_rule(drop_first(4, |signal| matches!(signal, Signal::Candidates { .. })));
    world.join_all();
    let time = world.run_until(10 * SECOND, World::all_connected);
    assert!(time < 4 * SECOND, "{time:?}");
    assert_eq!((world.tally.peer_connections, world.tally.offers), (2, 1));
}
