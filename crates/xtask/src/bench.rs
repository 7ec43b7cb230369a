//! Benchmarks: which program measures what. The measuring is in `e2e/bench`
//! (browsers) and `crates/e2e` (the signalling relay).

use crate::{browsers, run, shell};
use anyhow::Result;
use clap::{Args, ValueEnum};

/// What to measure, and how.
#[derive(Args, Debug)]
pub(crate) struct Options {
    what: What,
    /// Print JSON only
    #[arg(long)]
    json: bool,
    /// How often each page is measured
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How many browsers join at once
    #[arg(long, default_value_t = 8)]
    peers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Time until eight browsers hear each other, CPU and memory with four; against a bare page
    Join,
    /// Bytes transferred and time until the page can be used
    Load,
    /// Messages a second through the signalling relay
    Relay,
}

/// Measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.what == What::Relay {
        let mut cargo = shell::cargo();
        cargo.args(["build", "--locked", "--release", "--package", "openstudio"]);
        cargo.args(["--package", "openstudio-e2e"]);
        shell::run(&mut cargo)?;
        let folder = shell::target_dir().join("release");
        let mut bench = shell::command(folder.join("relay_bench"));
        bench.env("OPENSTUDIO_BIN", folder.join("openstudio"));
        bench.args(options.json.then_some("--json"));
        return shell::run(&mut bench);
    }
    browsers::ensure(false)?;
    let binary = run::build()?;
    let mut node = shell::command("node");
    node.current_dir(shell::root().join("e2e")).env("OPENSTUDIO_BIN", binary);
    let script = if options.what == What::Join { "bench/join.mjs" } else { "bench/load.mjs" };
    node.arg(script).arg(format!("--rounds={}", options.rounds));
    if options.what == What::Join {
        node.arg(format!("--peers={}", options.peers));
    }
    node.args(options.json.then_some("--json"));
    shell::run(&mut node)
}
