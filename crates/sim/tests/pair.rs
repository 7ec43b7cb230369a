//! The smaller searches of the pair model, and whether a search notices what is wrong.

use openstudio_sim::pair::{OPEN_SEARCHES, SEARCHES, explore};

#[test]
fn small_searches_are_complete_and_find_nothing() {
    for (name, bounds) in SEARCHES.into_iter().take(7) {
        let report = explore(bounds, 1_000_000);
        assert_eq!(report.violation, None, "{name}");
        assert!(report.complete && report.states > 100, "{name}: {report:?}");
    }
}

#[test]
fn the_nearest_states_of_large_searches_are_sound() {
    for (name, bounds) in OPEN_SEARCHES {
        let report = explore(bounds, 50_000);
        assert_eq!(report.violation, None, "{name}");
        assert_eq!(report.states, 50_000, "{name}");
    }
}

#[test]
fn the_same_bounds_have_the_same_states() {
    let (_, bounds) = SEARCHES[4];
    assert_eq!(explore(bounds, 1_000_000), explore(bounds, 1_000_000));
}
