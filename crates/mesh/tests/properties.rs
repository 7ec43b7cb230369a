//! Any inputs in any order: the mesh never panics, never breaks its contract with the
//! driver, and works itself back to a full mesh once the trouble is over.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::time::Duration;

use common::{Fate, World};
use openstudio_mesh::{
    IceCandidate, Input, OfferKind, OpError, OpId, PcId, PeerConnectionState, Signal,
};
use openstudio_units::{Generation, OfferId};
use proptest::prelude::*;

/// Something that happens in a world of three.
#[derive(Debug, Clone)]
enum Step {
    /// Time passes, milliseconds.
    Run(u16),
    /// The page of a node is reloaded.
    Reload(usize),
    /// Packets between two nodes stop, until the end.
    Block(usize, usize),
    /// Packets pass again.
    Unblock,
    /// Every `n`th signal is lost from here on; 0 for none.
    Lose(usize),
    /// Signalling of a node goes down and comes up again.
    Signalling(usize, bool),
    /// ICE is restarted from outside.
    Restart(usize),
    /// A node's network changed.
    Network(usize),
    /// The paths of a node may have ended.
    Doubt(usize),
    /// A forged or late signal arrives.
    Forge { at: usize, from: usize, kind: u8, generation: u8, offer: u8 },
    /// A report that fits nothing.
    Stray(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0..3_usize;
    prop_oneof![
        4 => (0..4000_u16).prop_map(Step::Run),
        1 => node.clone().prop_map(Step::Reload),
        1 => (node.clone(), node.clone()).prop_map(|(a, b)| Step::Block(a, b)),
        1 => Just(Step::Unblock),
        1 => (0..4_usize).prop_map(Step::Lose),
        1 => (node.clone(), any::<bool>()).prop_map(|(n, up)| Step::Signalling(n, up)),
        2 => node.clone().prop_map(Step::Restart),
        1 => node.clone().prop_map(Step::Network),
        1 => node.clone().prop_map(Step::Doubt),
        2 => (node.clone(), node, 0..5_u8, 0..4_u8, 0..6_u8).prop_map(
            |(at, from, kind, generation, offer)| Step::Forge { at, from, kind, generation, offer }
        ),
        1 => any::<u8>().prop_map(Step::Stray),
    ]
}

fn forged(kind: u8, base: Generation, generation: u8, offer: u8) -> Signal {
    let generation = (0..generation).fold(base, |g, _| g.next());
    let offer = Some(OfferId(offer.into()));
    match kind {
        0 => Signal::RequestOffer { generation, kind: OfferKind::Any, relay_only: false },
        1 => Signal::RequestOffer { generation, kind: OfferKind::IceRestart, relay_only: true },
        2 => Signal::Stale { generation },
        3 => Signal::Answer { generation: Some(generation), offer, sdp: "garbage".into() },
        _ => Signal::Candidates {
            generation: Some(generation),
            offer,
            candidates: vec![IceCandidate {
                candidate: "candidate:1".into(),
                sdp_mid: None,
                sdp_m_line_index: Some(0),
                username_fragment: Some("9999.1".into()),
            }],
        },
    }
}

fn apply(world: &mut World, step: Step) {
    match step {
        Step::Run(millis) => world.run_for(Duration::from_millis(millis.into())),
        Step::Reload(n) => world.reload(n),
        Step::Block(a, b) => world.block(a, b),
        Step::Unblock => world.unblock(),
        Step::Lose(every) => {
            let mut count = 0;
            world.set_rule(move |_, _, _| {
                count += 1;
                if every > 0 && count % (every + 1) == 0 { Fate::Drop } else { Fate::Deliver }
            });
        }
        Step::Signalling(n, up) => world.input(n, Input::SignallingChanged { up }),
        Step::Restart(n) => world.restart_ice(n),
        Step::Network(n) => world.input(n, Input::NetworkChanged),
        Step::Doubt(n) => world.input(n, Input::PathsInDoubt),
        Step::Forge { at, from, kind, generation, offer } => {
            let base =
                Generation::first(world.nodes[at].incarnation, world.nodes[from].incarnation);
            let signal = forged(kind, base, generation, offer);
            let from = world.nodes[from].id;
            world.input(at, Input::SignalReceived { from, signal });
        }
        Step::Stray(n) => {
            let n = u64::from(n) + 1_000_000;
            let result = Err(OpError("stray".into()));
            world.input(0, Input::Completed { op: OpId(n), result });
            let state = PeerConnectionState::Failed;
            world.input(1, Input::ConnectionStateChanged { pc: PcId(n), state });
            world.input(2, Input::LocalCandidateGathered { pc: PcId(n), candidate: None });
        }
    }
}

/// Ends all trouble, as the people in front of the screens would.
fn heal(world: &mut World) {
    world.set_rule(|_, _, _| Fate::Deliver);
    world.unblock();
    for n in 0..world.nodes.len() {
        world.input(n, Input::SignallingChanged { up: true });
    }
    world.run_for(Duration::from_secs(1));
    for n in 0..world.nodes.len() {
        world.input(n, Input::NetworkOnline);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_mesh_comes_back(
        seed in any::<u64>(),
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut world = World::new(seed, 3);
        world.join_all();
        for step in steps {
            apply(&mut world, step);
        }
        heal(&mut world);
        world.run_until(Duration::from_secs(60), World::all_connected);
        world.run_for(Duration::from_secs(30));
        prop_assert!(world.all_connected());
        for n in 0..3 {
            prop_assert_eq!(world.nodes[n].pcs.len(), 2, "one peer connection for each other");
        }
    }
}
