//! What benchmarks are told on the command line, and how they tell what they found.

use std::str::FromStr;

use anyhow::Context as _;
use serde_json::Value;

/// Returns the number that follows a flag of this program; `default` where the flag is not given.
///
/// # Errors
/// No number follows it.
pub fn number<N: FromStr>(flag: &str, default: N) -> anyhow::Result<N> {
    let mut args = std::env::args().skip_while(|arg| arg != flag);
    if args.next().is_none() {
        return Ok(default);
    }
    let given = args.next().and_then(|n| n.parse().ok());
    given.with_context(|| format!("{flag} needs a number"))
}

/// Prints a report: as JSON if this program was started with `--json`, else with `as_text`.
#[expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
pub fn print(report: &Value, as_text: impl FnOnce(&Value)) {
    if std::env::args().any(|arg| arg == "--json") {
        println!("{report:#}");
    } else {
        as_text(report);
    }
}
