//! The project's own tasks, one command each: `cargo xtask help` lists them.
//!
//! This file only reads the command line. What each task does is in the
//! module of its name. Nothing here is part of the product.

#![expect(clippy::print_stdout, reason = "a task talks to the person who started it")]

mod bench;
mod browsers;
mod bundle;
mod e2e;
mod fuzz;
mod host;
mod run;
mod shell;
mod summary;
mod test;
mod tidy;
mod toolchain;
mod verify;
mod wasm;
mod wasm_tests;
mod web;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "OpenStudio's own tasks")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the web client into dist/web
    Web {
        /// Small and fast to load; takes minutes the first time
        #[arg(long, conflicts_with = "dev")]
        release: bool,
        /// Quick to build again after an edit (the default)
        #[arg(long)]
        dev: bool,
    },
    /// Build everything and start the studio
    Run {
        /// Given to `openstudio serve`
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Build the release binary with the client inside
    Build,
    /// Run every check and test
    Test(test::Options),
    /// Run the tests of the core crates as WebAssembly, in Node
    TestWasm {
        /// Only tests whose name contains this
        filter: Option<String>,
    },
    /// Run the browser tests only
    E2e(e2e::Options),
    /// Measure; see docs/performance.md and docs/verification.md
    Bench(bench::Options),
    /// Feed the cores with made-up input for a while; needs a nightly compiler
    Fuzz(fuzz::Options),
    /// Search for rooms that break: the simulator and the pair model, for minutes
    Verify,
    /// Change the code in small ways and see which changes no test notices
    Mutants(verify::MutantOptions),
    /// Check the rules of the house that no compiler knows
    Tidy,
    /// What cargo starts for a test binary built as WebAssembly
    #[command(hide = true)]
    WasmTestRunner { wasm: PathBuf, filter: Vec<String> },
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            println!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(task: Task) -> Result<ExitCode> {
    match task {
        Task::Web { release, .. } => web::build(web::Profile::new(release)).map(|_| ())?,
        Task::Run { args } => return run::run(&args),
        Task::Build => run::build().map(|_| ())?,
        Task::Test(options) => return test::run(&options),
        Task::TestWasm { filter } => return wasm_tests::run_alone(filter.as_deref()),
        Task::E2e(options) => return e2e::run_alone(&options),
        Task::Bench(options) => bench::run(&options)?,
        Task::Fuzz(options) => return fuzz::run(&options),
        Task::Verify => verify::run()?,
        Task::Mutants(options) => return verify::mutants(&options),
        Task::Tidy => return tidy::run_alone(),
        Task::WasmTestRunner { wasm, filter } => wasm_tests::runner(&wasm, &filter)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
