//! Benchmarks: which program measures what. The measuring is in `e2e/bench`
//! (browsers), `crates/e2e` (the signalling relay, storms, the TURN server, the engine) and
//! `crates/mix` (the desk).

use crate::{browsers, host, run, shell};
use anyhow::Result;
use clap::{Args, ValueEnum};
use std::process::Command;

/// What to measure, and how.
#[derive(Args, Debug)]
pub(crate) struct Options {
    what: What,
    /// Print JSON only
    #[arg(long)]
    json: bool,
    /// How often each page or TURN server is measured, or a trouble happens
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long a line is cut
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How many browsers join at once
    #[arg(long, default_value_t = 8)]
    peers: u32,
    /// Of losses, those with these words in their row, as in `pages,10 %`
    #[arg(long)]
    only: Option<String>,
    /// How many sockets are lost at once
    #[arg(long, default_value_t = 5000)]
    sockets: u32,
    /// For how many minutes the TURN server is at half load, or a server is killed again and again
    #[arg(long, default_value_t = 5)]
    minutes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Time until eight browsers hear each other, CPU and memory with four; against a bare page
    Join,
    /// What lost packets leave of the sound, with redundancy and without; needs root for namespaces
    Loss,
    /// Bytes transferred and time until the page can be used
    Load,
    /// Which way browsers behind every two kinds of NAT find to each other
    Nat,
    /// Time until somebody is heard again whose line was cut for some seconds
    Outage,
    /// Time until somebody is heard again whose address changed
    Address,
    /// Messages a second through the signalling relay
    Relay,
    /// Thousands of sockets lost at once: how soon and how evenly they come back
    Storm,
    /// A room whose server is killed every ten seconds: gaps in what is heard, time to resume
    Kills,
    /// Packets through the TURN server for a second of processor time, against coturn
    Turn,
    /// Addresses that are not public, and whether the TURN server lets anybody reach them; coturn
    Prefixes,
    /// What the engine costs with eleven voices, and with a thousand listeners
    Engine,
    /// Time that the mixing desk takes for 20 ms of sound, natively
    Mix,
}

/// Measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    match options.what {
        What::Relay => of_the_server("relay_bench", &[], options),
        What::Storm => {
            let sockets = options.sockets.to_string();
            of_the_server("storm_bench", &["--sockets", &sockets], options)
        }
        What::Turn => {
            let (rounds, minutes) = (options.rounds.to_string(), options.minutes.to_string());
            of_the_server("turn_bench", &["--rounds", &rounds, "--minutes", &minutes], options)
        }
        What::Prefixes => of_the_server("turn_prefixes", &[], options),
        What::Engine => of_the_server("engine_bench", &[], options),
        What::Mix => mix(options),
        What::Join => {
            let peers = format!("--peers={}", options.peers);
            in_browsers("join", &[rounds(options), peers], options)
        }
        What::Load => in_browsers("load", &[rounds(options)], options),
        What::Kills => in_browsers("kills", &[format!("--minutes={}", options.minutes)], options),
        What::Loss => {
            let only: Vec<_> = options.only.iter().map(|only| format!("--only={only}")).collect();
            in_homes("loss", &only, options)
        }
        What::Nat => in_homes("nat", &[], options),
        What::Outage => {
            let seconds = format!("--seconds={}", options.seconds);
            in_homes("outage", &[rounds(options), seconds], options)
        }
        What::Address => {
            in_homes("outage", &[rounds(options), "--trouble=address".to_owned()], options)
        }
    }
}

/// Runs a program of `crates/e2e` against the real server.
fn of_the_server(program: &str, args: &[&str], options: &Options) -> Result<()> {
    host::ensure_build()?;
    let mut cargo = shell::cargo();
    cargo.args(["build", "--locked", "--release", "--package", "openstudio"]);
    cargo.args(["--package", "openstudio-e2e"]);
    shell::run(&mut cargo)?;
    let folder = shell::target_dir().join("release");
    let mut bench = shell::command(folder.join(program));
    bench.env("OPENSTUDIO_BIN", folder.join("openstudio"));
    shell::run(bench.args(args).args(options.json.then_some("--json")))
}

fn mix(options: &Options) -> Result<()> {
    let mut cargo = shell::cargo();
    cargo.args(["run", "--locked", "--release", "--quiet", "--package", "openstudio-mix"]);
    cargo.args(["--example", "bench"]);
    shell::run(cargo.args(options.json.then_some(["--", "--json"]).into_iter().flatten()))
}

fn in_browsers(script: &str, args: &[String], options: &Options) -> Result<()> {
    let mut node = node(script)?;
    node.args(args).args(options.json.then_some("--json"));
    shell::run(&mut node)
}

/// Runs a script with browsers in network namespaces.
fn in_homes(script: &str, args: &[String], options: &Options) -> Result<()> {
    let mut node = node(script)?;
    node.env("OPENSTUDIO_NETLAB", run::netlab()?);
    node.args(args).args(options.json.then_some("--json"));
    shell::run(&mut node)
}

/// Builds everything, and returns what starts a script of `e2e/bench`.
fn node(script: &str) -> Result<Command> {
    browsers::ensure(false)?;
    let binary = run::build()?;
    let mut node = shell::command("node");
    node.current_dir(shell::root().join("e2e")).env("OPENSTUDIO_BIN", binary);
    node.arg(format!("bench/{script}.mjs"));
    Ok(node)
}

fn rounds(options: &Options) -> String {
    format!("--rounds={}", options.rounds)
}
