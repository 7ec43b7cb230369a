//! Fuzzing: the targets of `fuzz/` for a while, one after the other.
//!
//! What a target does is in `crates/fuzz`. New inputs go to `fuzz/finds`, crashes to
//! `fuzz/artifacts`; neither is committed. The corpora in `fuzz/corpus` are only read.

use crate::shell;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

/// How long installing `cargo-fuzz` may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// No crate of ours may use `unsafe`, so a sanitizer finds nothing and halves the speed.
const PLAIN: [&str; 2] = ["--sanitizer", "none"];

/// What to run, and for how long.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Minutes in total, split evenly between the targets
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes: u64,
    /// Only this target
    target: Option<String>,
}

/// Runs the targets; every one, also after another has crashed.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    ensure()?;
    let all = targets()?;
    let chosen: Vec<&String> = match &options.target {
        Some(name) => all.iter().filter(|target| *target == name).collect(),
        None => all.iter().collect(),
    };
    if chosen.is_empty() {
        bail!("there is no such target; there are {}", all.join(", "));
    }
    shell::step("building the targets", || {
        // cargo-fuzz does not pass `--locked` on: check the lock file before it can change it.
        let mut fetch = nightly("cargo");
        shell::run(fetch.args([
            "fetch",
            "--locked",
            "--quiet",
            "--manifest-path=fuzz/Cargo.toml",
        ]))?;
        shell::run(cargo_fuzz("build").args(PLAIN))
    })?;
    let seconds = options.minutes * 60 / u64::try_from(chosen.len())?.max(1);
    let mut crashed = Vec::new();
    for target in chosen {
        if let Err(error) = shell::step(target, || fuzz(target, seconds.max(1))) {
            println!("  {error:#}");
            crashed.push(target.as_str());
        }
    }
    if crashed.is_empty() {
        println!("no target crashed");
        return Ok(ExitCode::SUCCESS);
    }
    println!("crashed: {}", crashed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Runs one target. A crash is an error.
fn fuzz(target: &str, seconds: u64) -> Result<()> {
    let folder = shell::root().join("fuzz");
    let (finds, artifacts) = (folder.join("finds").join(target), folder.join("artifacts"));
    let artifacts = artifacts.join(target);
    for made in [&finds, &artifacts] {
        std::fs::create_dir_all(made).with_context(|| made.display().to_string())?;
    }
    let before = names(&artifacts)?;
    let mut run = cargo_fuzz("run");
    // The first folder is where new inputs go.
    run.args(PLAIN).arg(target).arg(&finds).arg(folder.join("corpus").join(target)).arg("--");
    run.arg(format!("-max_total_time={seconds}"));
    run.args(["-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1", "-verbosity=0"]);
    let held = shell::status(&mut run)?.success();
    // A crash that is found again gets the name that it had.
    let (old, new): (Vec<_>, Vec<_>) =
        names(&artifacts)?.into_iter().partition(|name| before.contains(name));
    let shown = if held || !new.is_empty() { new } else { old };
    for name in shown {
        println!("  to see it again:");
        println!(
            "    cargo +nightly fuzz run {} {target} fuzz/artifacts/{target}/{name}",
            PLAIN.join(" ")
        );
    }
    if !held {
        bail!("{target} crashed");
    }
    Ok(())
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// The targets by name: their files.
fn targets() -> Result<Vec<String>> {
    let files = names(&shell::root().join("fuzz/fuzz_targets"))?;
    let mut names: Vec<String> =
        files.iter().filter_map(|name| name.strip_suffix(".rs")).map(str::to_owned).collect();
    names.sort_unstable();
    Ok(names)
}

/// `cargo +nightly fuzz …`, which only rustup's own cargo understands.
fn cargo_fuzz(subcommand: &str) -> Command {
    let mut cargo = nightly("cargo");
    cargo.args(["fuzz", subcommand]);
    cargo
}

fn nightly(program: &str) -> Command {
    let mut command = shell::command("rustup");
    shell::forget_own_package(&mut command);
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command.args(["run", "nightly", program]);
    command
}

/// Makes sure of a nightly compiler and of `cargo-fuzz`.
fn ensure() -> Result<()> {
    let works = |command: &mut Command| command.output().is_ok_and(|o| o.status.success());
    if shell::find_program("rustup").is_none() || !works(nightly("rustc").arg("--version")) {
        bail!("libFuzzer needs a nightly compiler:\n    rustup toolchain install nightly");
    }
    if shell::find_program("cargo-fuzz").is_some() {
        return Ok(());
    }
    println!("  installing cargo-fuzz");
    let mut install = shell::cargo();
    install.args(["install", "cargo-fuzz", "--locked"]);
    if !shell::succeeds_within(&mut install, INSTALL_LIMIT) {
        bail!("cargo-fuzz cannot be installed:\n    cargo install cargo-fuzz --locked");
    }
    Ok(())
}
