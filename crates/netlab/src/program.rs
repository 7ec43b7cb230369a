//! The command line: serves as the network, or becomes a program in one of its namespaces.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use openstudio_units::Seed;
use serde_json::json;

use crate::lab::Lab;
use crate::plan::Plan;
use crate::{IMPOSSIBLE, attendant, complain, namespace};

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

/// Does what the command line says.
pub(crate) fn main() -> ExitCode {
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
