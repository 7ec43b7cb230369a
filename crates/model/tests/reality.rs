//! The model against reality: every script of `scripts/` gives the trace that real
//! Chromium gave. `cargo xtask e2e model` checks that Chromium still does; with
//! `E2E_RECORD=1` it records anew.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a script that cannot be run has to stop the test"
)]

mod support;

use std::collections::BTreeSet;

use support::scripts::{self, Case, Theme, Traces};

/// Fewer would mean that files got lost.
const CASES: usize = 150;

/// What the model has to do: what Chromium did, but for the deviation.
fn expected(case: &Case, recorded: &Traces) -> Traces {
    let mut expected = recorded.clone();
    if let Some(deviation) = &case.deviation {
        assert!(!deviation.why.is_empty() && !deviation.model.is_empty(), "{}", case.name);
        for (name, trace) in &deviation.model {
            let before = expected.insert(name.clone(), trace.clone());
            assert_ne!(before.as_ref(), Some(trace), "{}: {name} does not deviate", case.name);
        }
    }
    expected
}

/// Where two traces part, with what led there.
fn difference(name: &str, expected: &[String], actual: &[String]) -> Option<String> {
    if expected == actual {
        return None;
    }
    let same = expected.iter().zip(actual).take_while(|(one, other)| one == other).count();
    let before = expected[same.saturating_sub(4)..same].join("\n      ");
    let rest = |trace: &[String]| trace[same..].iter().take(6).cloned().collect::<Vec<_>>();
    let (expected, actual) = (rest(expected).join("\n    + "), rest(actual).join("\n    - "));
    Some(format!("  {name}: {before}\n    Chromium\n    + {expected}\n    model\n    - {actual}\n"))
}

fn compare(case: &Case, recorded: &Traces) -> Option<String> {
    let expected = expected(case, recorded);
    let actual = support::run(case);
    assert!(actual.keys().eq(expected.keys()), "{}: other peer connections", case.name);
    let parts: Vec<String> = expected
        .iter()
        .filter_map(|(name, trace)| difference(name, trace, &actual[name]))
        .collect();
    (!parts.is_empty()).then(|| format!("{}\n{}", case.name, parts.concat()))
}

#[test]
fn every_script_is_recorded_and_every_recording_has_its_script() {
    let themes = scripts::themes();
    assert_eq!(themes, scripts::recorded_themes());
    let mut cases = 0;
    for name in themes {
        let theme = Theme::read(&name);
        assert!(!theme.cases.is_empty(), "{name} has no cases");
        let recorded = scripts::recording(&name);
        let named: BTreeSet<&String> = theme.cases.iter().map(|case| &case.name).collect();
        assert_eq!(named.len(), theme.cases.len(), "{name}: two cases have one name");
        assert_eq!(named, recorded.keys().collect(), "{name}");
        for case in &theme.cases {
            assert!(!case.steps.is_empty(), "{name}: {} has no steps", case.name);
            let traces = &recorded[&case.name];
            assert!(traces.keys().eq(case.peers.iter()), "{name}: {}: whose traces", case.name);
            assert!(traces.values().all(|trace| !trace.is_empty()), "{name}: {}", case.name);
        }
        cases += theme.cases.len();
    }
    assert!(cases >= CASES, "only {cases} cases");
}

#[test]
fn the_model_does_what_chromium_does() {
    let mut differences = Vec::new();
    for name in scripts::themes() {
        let recorded = scripts::recording(&name);
        let cases = Theme::read(&name).cases;
        let found = cases.iter().filter_map(|case| compare(case, &recorded[&case.name]));
        differences.extend(found.map(|difference| format!("{name}: {difference}")));
    }
    assert!(differences.is_empty(), "{} cases:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn a_difference_is_noticed() {
    let theme = Theme::read("calls");
    let (case, recorded) = (&theme.cases[0], scripts::recording("calls"));
    let mut recorded = recorded[&case.name].clone();
    assert_eq!(compare(case, &recorded), None);
    recorded.get_mut("a").unwrap().pop();
    assert!(compare(case, &recorded).is_some());
}
