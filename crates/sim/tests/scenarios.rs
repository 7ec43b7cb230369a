//! A fixed set of seeds of every scenario, and whether the simulator notices what is wrong.
//!
//! The long search is `openstudio sim`. A seed that broke a rule once stands in
//! `tests/known.txt` and is run first.

#![allow(clippy::unwrap_used, reason = "a broken test stops")]

use std::time::Duration;

use openstudio_session::SessionConfig;
use openstudio_session::mesh::{Backoff, MeshConfig};
use openstudio_sim::{Outcome, RunConfig, SCENARIOS, Scenario, run};

fn config(name: &str, seed: u64) -> RunConfig {
    RunConfig {
        seed,
        peers: 8,
        length: Duration::from_secs(600),
        scenario: Scenario::named(name).unwrap(),
        traced: false,
        session: SessionConfig::default(),
    }
}

fn must_hold(config: &RunConfig) -> Outcome {
    let outcome = run(config);
    let RunConfig { seed, peers, scenario, .. } = config;
    let (minutes, name) = (config.length.as_secs() / 60, scenario.name);
    assert_eq!(
        outcome.violation, None,
        "openstudio sim --peers {peers} --minutes {minutes} --scenario {name} --seed {seed} --trace"
    );
    outcome
}

#[test]
fn seeds_that_broke_a_rule_once_hold() {
    let known = include_str!("known.txt").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for line in known {
        let mut words = line.split_whitespace();
        let (name, seed) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        let peers = words.next().unwrap().parse().unwrap();
        must_hold(&RunConfig { peers, ..config(name, seed) });
        count += 1;
    }
    assert!(count > 10, "only {count} seeds were read");
}

#[test]
fn every_scenario_holds() {
    for scenario in SCENARIOS {
        for seed in 1..=4 {
            must_hold(&config(scenario.name, seed));
        }
    }
}

#[test]
fn fifteen_and_two_hold() {
    for peers in [2, 3, 15] {
        for seed in 1..=3 {
            must_hold(&RunConfig { peers, ..config("everything", seed) });
        }
    }
}

#[test]
fn the_same_seed_has_the_same_history_and_another_one_has_not() {
    let once = must_hold(&config("everything", 1));
    let again = must_hold(&RunConfig { traced: true, ..config("everything", 1) });
    assert_eq!(once.hash, again.hash);
    assert!(once.lines.is_empty() && again.lines.len() > 1000);
    assert_ne!(once.hash, must_hold(&config("everything", 2)).hash);
}

#[test]
fn troubles_do_happen() {
    let outcome = must_hold(&config("everything", 3));
    assert!(outcome.faults > 20, "{} troubles", outcome.faults);
    assert!(outcome.full_mesh.len() > 5);
    assert!(outcome.full_mesh.iter().any(|time| *time > Duration::from_millis(100)));
}

/// Runs clients that are set up badly until a rule is broken.
fn must_break(name: &str, mesh: MeshConfig) {
    let session = SessionConfig { mesh, ..SessionConfig::default() };
    let broken = |seed| run(&RunConfig { session: session.clone(), ..config(name, seed) });
    assert!((1..=20).any(|seed| broken(seed).violation.is_some()), "{name} noticed nothing");
}

#[test]
fn clients_that_wait_too_long_for_answers_are_noticed() {
    let answer_timeout = Duration::from_secs(60);
    must_break("lost-messages", MeshConfig { answer_timeout, ..MeshConfig::default() });
}

#[test]
fn clients_that_try_again_too_late_are_noticed() {
    let (base, cap) = (Duration::from_secs(60), Duration::from_secs(60));
    let backoff = Backoff { base, cap, ..Backoff::default() };
    must_break("partition", MeshConfig { backoff, ..MeshConfig::default() });
}

#[test]
fn clients_that_do_not_notice_a_browser_that_hangs_are_noticed() {
    let hour = Duration::from_secs(3600);
    let config =
        MeshConfig { ice_start_timeout: hour, connect_timeout: hour, ..MeshConfig::default() };
    must_break("stuck", config);
}
