//! Explores the pair model and prints what it found. See `docs/verification.md`.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "how long it took is for a person; nothing is decided by it"
)]

use std::process::ExitCode;
use std::time::Instant;

use openstudio_sim::pair::{Bounds, OPEN_SEARCHES, SEARCHES, explore};

/// How many states of a search that cannot be completed are looked at.
const OPEN_STATES: u64 = 2_000_000;

fn main() -> ExitCode {
    let mut states = 0;
    for (name, bounds) in SEARCHES {
        let Some(found) = search(name, bounds, u64::MAX) else { return ExitCode::FAILURE };
        states += found;
    }
    say(&format!("{states} distinct states in complete searches"));
    for (name, bounds) in OPEN_SEARCHES {
        let Some(found) = search(name, bounds, OPEN_STATES) else { return ExitCode::FAILURE };
        states += found;
    }
    say(&format!("{states} distinct states in all"));
    ExitCode::SUCCESS
}

/// Returns how many states there were; `None` if a rule is broken in one.
fn search(name: &str, bounds: Bounds, most: u64) -> Option<u64> {
    let begun = Instant::now();
    let report = explore(bounds, most);
    let extent = if report.complete { "complete" } else { "not complete" };
    say(&format!(
        "{name}: {} states, {} steps, depth {}, {extent}, {} need Retry, {:.1} s",
        report.states,
        report.transitions,
        report.depth,
        report.given_up,
        begun.elapsed().as_secs_f64(),
    ));
    match report.violation {
        Some((what, way)) => {
            say(&format!("VIOLATION: {what}\n{way:?}"));
            None
        }
        None => Some(report.states),
    }
}

#[expect(clippy::print_stdout, reason = "what was found is what the person asked for")]
fn say(text: &str) {
    println!("{text}");
}
