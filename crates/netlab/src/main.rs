//! `openstudio-netlab`: a small internet on one machine, for tests of real programs.
//!
//! A *public* namespace and up to twelve *homes* are network namespaces. Each has a TUN device,
//! and one process forwards what comes out of it: through the links and NATs of
//! `openstudio-net`. Nothing leaves the namespaces: they have no other way out, and the machine
//! has no route to their addresses.
//!
//! It carries UDP, TCP and ICMP over IPv4, and no fragments. It is *not* a model of a network
//! under load: links are as exact as the machine is idle.
//!
//! # How to drive it
//! It prints a line when it is ready, with its seed and the public namespace. Then each line on
//! standard input is an order, answered by a line `{"ok":true,…}` or `{"ok":false,"error":"…"}`:
//!
//! | order | fields |
//! |---|---|
//! | `{"do":"home","name":"a"}` | `kind` (`nat`, `firewall`, `open`), `mapping`, `filtering` (names of RFC 4787), `preservePorts`, `hairpinning`, `blocksUdp`, `inboundRefresh`, `udpLifeMs` |
//! | `{"do":"link","home":"a"}` | `up`, `down`, each with `delayMs`, `jitterMs`, `loss`, `burst`, `duplicate`, `reorder`, `reorderMs`, `rateKbit`, `queueBytes` |
//! | `{"do":"outage","home":"a","on":true}` | |
//! | `{"do":"renumber","home":"a"}` | `what` (`public`, `own`) |
//! | `{"do":"stun"}` | `host` (0 to 3), `port` |
//! | `{"do":"counters"}` | |
//!
//! The answer to `home` has the name of its namespace, for `ip netns exec NAMESPACE CMD…` or
//! `openstudio-netlab exec NAMESPACE -- CMD…`.
//!
//! # Invariants
//! At its end, when standard input is closed and when it gets SIGTERM it removes its namespaces.
//! After SIGKILL the next one does. Several run at once: names have the number of the process.
//! Same seed, same packets at the same times: same fate.

mod attendant;
mod checksum;
mod command;
mod lab;
mod namespace;
mod packet;
mod plan;
mod router;
mod stun;

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use openstudio_units::Seed;
use serde_json::json;

use crate::lab::Lab;
use crate::plan::Plan;

/// The exit code where there can be no namespaces.
const IMPOSSIBLE: u8 = 3;

/// A small internet of network namespaces, ordered by JSON lines on standard input
#[derive(Debug, Parser)]
#[command(name = "openstudio-netlab", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Task>,
    /// What every chance is drawn from; any if left out
    #[arg(long)]
    seed: Option<u64>,
    /// The addresses that count as public, inside the namespaces only
    #[arg(long, default_value = "11.0.0.0/16", value_name = "ADDRESS/LENGTH")]
    public: Plan,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Become a program in a namespace
    Exec {
        /// The name of the namespace
        namespace: String,
        /// The program and its arguments
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
}

fn main() -> ExitCode {
    let Cli { command, seed, public } = Cli::parse();
    let outcome = match command {
        Some(Task::Exec { namespace, command }) => exec(&namespace, &command),
        None => serve(seed, public),
    };
    outcome.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::FAILURE
    })
}

#[expect(clippy::print_stderr, reason = "what went wrong is told to whoever started the program")]
fn complain(what: &str) {
    eprintln!("openstudio-netlab: {what}");
}

fn serve(seed: Option<u64>, plan: Plan) -> anyhow::Result<ExitCode> {
    let impossible = |why: &str| {
        complain(&format!("this needs network namespaces with TUN devices: {why}"));
        Ok(ExitCode::from(IMPOSSIBLE))
    };
    if let Some(trouble) = namespace::trouble() {
        return impossible(&trouble);
    }
    namespace::sweep();
    // Fits the numbers of JSON as JavaScript reads them.
    let seed = seed.map_or_else(|| Ok(getrandom::u32()?.into()), Ok::<u64, getrandom::Error>)?;
    let lab = match Lab::make(plan, Seed::from_number(seed)) {
        Ok(lab) => lab,
        Err(error) => return impossible(&format!("{error:#}")),
    };
    attendant::say(&json!({ "ok": true, "seed": seed, "public": lab.public() }))?;
    attendant::run(lab)?;
    Ok(ExitCode::SUCCESS)
}

/// Becomes the program: returns only if that fails.
fn exec(namespace: &str, command: &[String]) -> anyhow::Result<ExitCode> {
    namespace::enter(namespace)?;
    let (program, args) = command.split_first().context("no program")?;
    let error = std::process::Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("cannot run {program}"))
}
