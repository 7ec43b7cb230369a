//! `openstudio sim`: runs seeds of the simulator and says what they gave.
//!
//! Decides nothing about rooms: the rules and the troubles are in `openstudio-sim`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use openstudio_session::SessionConfig;
use openstudio_sim::{Outcome, RunConfig, SCENARIOS, Scenario, Summary};
use serde_json::json;

/// The flags of `openstudio sim`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SimOptions {
    /// Clients in the room, 2 to 60.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u8).range(2..=60))]
    peers: u8,
    /// How many seeds to run.
    #[arg(long, default_value_t = 2000, value_name = "N")]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    from: u64,
    /// Simulated minutes of each seed, at least 3.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(3..=1440))]
    minutes: u64,
    /// Which troubles there are; `list` says which there are to choose from.
    #[arg(long, default_value = "everything", value_name = "NAME")]
    scenario: String,
    /// Run this seed only.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Print everything that happens.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Print one JSON object.
    #[arg(long, conflicts_with = "trace")]
    json: bool,
    /// How many seeds to run at the same time.
    #[arg(long, default_value_t = 1, value_name = "N")]
    jobs: u8,
}

/// Runs what the options ask for. The exit code is 1 if a rule was broken.
pub(crate) fn run(options: &SimOptions) -> anyhow::Result<ExitCode> {
    if options.scenario == "list" {
        SCENARIOS
            .iter()
            .for_each(|scenario| say(&format!("{:<18}{}", scenario.name, scenario.about)));
        return Ok(ExitCode::SUCCESS);
    }
    let Some(scenario) = Scenario::named(&options.scenario) else {
        bail!("there is no scenario `{}`; `--scenario list` names all", options.scenario);
    };
    let begun = Instant::now();
    let mut summary = Summary::default();
    let (first, last) = match options.seed {
        Some(seed) => (seed, seed),
        None => (options.from, options.from.saturating_add(options.seeds.saturating_sub(1))),
    };
    if options.seeds > 0 || options.seed.is_some() {
        run_all(options, scenario, (first, last), |outcome| {
            summary.add(outcome);
            tell(options, outcome);
        })?;
    }
    let real = begun.elapsed();
    let text = if options.json { as_json(&summary, real) } else { as_text(&summary, real) };
    say(&text);
    Ok(if summary.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs seeds on as many threads as asked for; what they gave comes in the order of seeds.
fn run_all(
    options: &SimOptions,
    scenario: Scenario,
    (first, last): (u64, u64),
    mut take: impl FnMut(&Outcome),
) -> anyhow::Result<()> {
    let config = |seed| RunConfig {
        seed,
        peers: options.peers.into(),
        length: Duration::from_secs(options.minutes * 60),
        scenario,
        traced: options.trace,
        session: SessionConfig::default(),
    };
    let next = AtomicU64::new(first);
    let (sender, receiver) = mpsc::sync_channel(64);
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed > last || sender.send(openstudio_sim::run(&config(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = std::collections::BTreeMap::new();
        let mut due = first;
        for outcome in receiver {
            waiting.insert(outcome.seed, outcome);
            while let Some(outcome) = waiting.remove(&due) {
                take(&outcome);
                due += 1;
            }
        }
        waiting.is_empty().then_some(()).context("a seed was lost")
    })
}

/// Says what a seed broke, with the line that runs it again.
fn tell(options: &SimOptions, outcome: &Outcome) {
    outcome.lines.iter().for_each(|line| say(line));
    if options.trace || (options.seed.is_some() && !options.json) {
        say(&format!("trace hash {:016x}", outcome.hash));
    }
    let Some(violation) = &outcome.violation else { return };
    let SimOptions { peers, minutes, scenario, .. } = options;
    let seed = outcome.seed;
    let again = format!(
        "openstudio sim --peers {peers} --minutes {minutes} --scenario {scenario} --seed {seed} --trace"
    );
    warn(&format!("seed {seed} at {}: {}\n  {again}", violation.at, violation.what));
    if options.seed.is_some() {
        warn(&outcome.scene);
    }
}

fn as_json(summary: &Summary, real: Duration) -> String {
    let times = summary.percentiles();
    json!({
        "seeds": summary.seeds,
        "violations": summary.violations,
        "simulatedSeconds": summary.simulated.as_secs_f64(),
        "realSeconds": real.as_secs_f64(),
        "ratio": ratio(summary, real),
        "faults": summary.faults,
        "traceHash": format!("{:016x}", summary.hash),
        "retries": summary.retries,
        "fullMeshSeconds": {
            "p50": times.p50.as_secs_f64(),
            "p95": times.p95.as_secs_f64(),
            "max": times.max.as_secs_f64(),
        },
    })
    .to_string()
}

fn as_text(summary: &Summary, real: Duration) -> String {
    let times = summary.percentiles();
    format!(
        "{} seeds, {} violations\n\
         simulated {:.0} s in {:.1} s, {:.0} times real time\n\
         {} troubles; {} times somebody pressed Retry\n\
         full mesh after the last trouble: half within {:.2} s, 95 % within {:.2} s, all within {:.2} s",
        summary.seeds,
        summary.violations,
        summary.simulated.as_secs_f64(),
        real.as_secs_f64(),
        ratio(summary, real),
        summary.faults,
        summary.retries,
        times.p50.as_secs_f64(),
        times.p95.as_secs_f64(),
        times.max.as_secs_f64(),
    )
}

fn ratio(summary: &Summary, real: Duration) -> f64 {
    summary.simulated.as_secs_f64() / real.as_secs_f64().max(1e-9)
}

#[expect(clippy::print_stdout, reason = "what was found is what the person asked for")]
fn say(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a broken rule must be seen beside JSON, too")]
fn warn(text: &str) {
    eprintln!("{text}");
}
