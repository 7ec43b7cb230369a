//! The long searches of `docs/verification.md`: seeds, states, mutants.
//!
//! None of them is part of `cargo xtask test`, which runs a fixed part of the first two.

use crate::{host, shell};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

/// Simulates rooms of eight and fifteen, and explores the pair.
pub(crate) fn run() -> Result<()> {
    host::ensure_build()?;
    let mut cargo = shell::cargo();
    cargo.args(["build", "--locked", "--release", "--bin", "openstudio", "--bin", "pair_model"]);
    shell::run(cargo.args(["--package", "openstudio", "--package", "openstudio-sim"]))?;
    let folder = shell::target_dir().join("release");
    for peers in ["8", "15"] {
        let mut sim = shell::command(folder.join("openstudio"));
        shell::run(sim.args(["sim", "--seeds", "2000", "--peers", peers]))?;
    }
    shell::run(&mut shell::command(folder.join("pair_model")))
}

/// Flags of `cargo xtask mutants`.
#[derive(Args, Debug)]
pub(crate) struct MutantOptions {
    /// Of which crates
    #[arg(default_values_t = ["mesh".to_owned(), "session".to_owned(), "room".to_owned()])]
    crates: Vec<String>,
    /// How many at the same time
    #[arg(long, default_value_t = 1)]
    jobs: u32,
    /// Only the classic mistakes of meshes, which are written down by hand
    #[arg(long)]
    classic: bool,
}

/// A mistake that every mesh has made once: a text of the sources, and what it becomes.
#[derive(Debug, Deserialize)]
struct Classic {
    name: String,
    file: String,
    find: String,
    replace: String,
}

/// What became of the mutants of one crate.
#[derive(Debug, Default)]
struct Score {
    caught: usize,
    missed: Vec<String>,
}

/// Mutates each crate; what its own tests miss is tried on the simulator's.
pub(crate) fn mutants(options: &MutantOptions) -> Result<ExitCode> {
    let mut fine = classic_mutants()?;
    if options.classic {
        return Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    ensure_cargo_mutants()?;
    let accepted = accepted()?;
    for name in &options.crates {
        let package = format!("openstudio-{name}");
        let first = mutate(&package, &package, None, options.jobs)?;
        let mut caught = first.caught;
        let mut missed = Vec::new();
        if !first.missed.is_empty() {
            let again = mutate(&package, "openstudio-sim", Some(&first.missed), options.jobs)?;
            caught += again.caught;
            missed = again.missed;
        }
        let all = caught + missed.len();
        let share = 100.0 * caught as f64 / all.max(1) as f64;
        println!("{name}: {caught} of {all} mutants are caught, {share:.1} %");
        for mutant in &missed {
            let reason = accepted.get(&without_place(mutant));
            println!("  {mutant}: {}", reason.map_or("NOT EXPLAINED", String::as_str));
            fine &= reason.is_some();
        }
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes each classic mistake in a copy of the sources; tests must fail there.
fn classic_mutants() -> Result<bool> {
    let copy = shell::target_dir().join("mutants").join("classic");
    let entries = fs::read_to_string(shell::root().join("crates/xtask/classic-mutants.json"))?;
    let entries: Vec<Classic> = serde_json::from_str(&entries)?;
    let mut caught = 0;
    for Classic { name, file, find, replace } in &entries {
        copy_sources(&copy)?;
        let path = copy.join(file);
        let text = fs::read_to_string(&path)?;
        if text.matches(find.as_str()).count() != 1 {
            bail!("`{name}`: its text stands not once in {file}; write it anew");
        }
        fs::write(&path, text.replacen(find.as_str(), replace, 1))?;
        let passes = tests_pass(&copy)?;
        println!("{} {name}", if passes { "MISSED" } else { "caught" });
        caught += usize::from(!passes);
    }
    println!("classic mistakes: {caught} of {} are caught", entries.len());
    Ok(caught == entries.len())
}

/// Copies what the repository tracks. Old files are written over.
fn copy_sources(to: &Path) -> Result<()> {
    let root = shell::root();
    let listed = shell::command("git").current_dir(&root).args(["ls-files", "-z"]).output()?;
    for name in String::from_utf8(listed.stdout)?.split('\0').filter(|name| !name.is_empty()) {
        let target = to.join(name);
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        // What is deleted and not yet committed is not there to be copied.
        if root.join(name).is_file() {
            fs::copy(root.join(name), target)?;
        }
    }
    Ok(())
}

/// Whether a copy compiles and passes the tests of the mesh and of the simulator.
fn tests_pass(copy: &Path) -> Result<bool> {
    let cargo = |subcommand: &str| {
        let mut cargo = shell::cargo();
        cargo.current_dir(copy).args([subcommand, "--locked", "--quiet", "--lib", "--tests"]);
        cargo.args(["--package", "openstudio-mesh", "--package", "openstudio-sim"]);
        cargo.arg("--target-dir").arg(shell::target_dir().join("mutants").join("build"));
        cargo
    };
    if !cargo("check").status()?.success() {
        bail!("a mistake does not compile; write it anew");
    }
    let run = cargo("test").stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(run.success())
}

fn ensure_cargo_mutants() -> Result<()> {
    if shell::find_program("cargo-mutants").is_none() {
        println!("installing cargo-mutants");
        shell::run(shell::cargo().args(["install", "--locked", "cargo-mutants"]))
            .context("cargo install --locked cargo-mutants failed; install it by hand")?;
    }
    Ok(())
}

/// How long one run of a crate's own tests may take, in seconds: ten times what it takes on a
/// machine that has nothing else to do. A mutant that never ends counts as caught.
const TIMEOUT: &str = "30";
/// The same for the simulator's tests.
const SIM_TIMEOUT: &str = "240";

/// Runs the tests of `tests` against mutants of `package`: all of them, or these only.
fn mutate(package: &str, tests: &str, only: Option<&[String]>, jobs: u32) -> Result<Score> {
    let folder = shell::target_dir().join("mutants").join(format!("{package}-{tests}"));
    fs::create_dir_all(&folder)?;
    let mut cargo = shell::cargo();
    cargo.args(["mutants", "--package", package, "--test-package", tests, "--no-shuffle"]);
    let timeout = if tests == package { TIMEOUT } else { SIM_TIMEOUT };
    cargo.args(["--timeout", timeout, "--jobs", &jobs.to_string(), "--output"]).arg(&folder);
    for mutant in only.unwrap_or_default() {
        cargo.arg("--re").arg(format!("^{}$", escape(mutant)));
    }
    // It fails when a mutant is missed, which is what is being counted.
    shell::status(&mut cargo)?;
    let read = |name: &str| -> Result<Vec<String>> {
        let path: PathBuf = folder.join("mutants.out").join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
        Ok(wanted(&text, only))
    };
    let caught = read("caught.txt")?.len() + read("timeout.txt")?.len();
    Ok(Score { caught, missed: read("missed.txt")? })
}

/// The mutants of a list that were asked for: some kinds are tried whatever `--re` says.
fn wanted(list: &str, only: Option<&[String]>) -> Vec<String> {
    let asked_for = |mutant: &String| only.is_none_or(|only| only.contains(mutant));
    list.lines().map(str::to_owned).filter(asked_for).collect()
}

fn escape(text: &str) -> String {
    let special = |c: char| "\\.+*?()|[]{}^$&~-#".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}

/// A mutant's name without line and column, which move with every edit.
fn without_place(mutant: &str) -> String {
    let mut parts = mutant.splitn(4, ':');
    let file = parts.next().unwrap_or_default();
    let what = parts.nth(2).unwrap_or_default();
    format!("{file}:{what}")
}

/// The mutants that are known not to be caught, with the reason each.
fn accepted() -> Result<BTreeMap<String, String>> {
    let path = shell::root().join("docs").join("mutants.txt");
    let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let entries = text.lines().filter(|line| !line.starts_with('#'));
    Ok(entries
        .filter_map(|line| line.split_once(" -- "))
        .map(|(mutant, reason)| (mutant.trim().to_owned(), reason.trim().to_owned()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_known_wherever_it_stands() {
        let mutant = "crates/mesh/src/link.rs:331:60: replace && with || in PeerLink::on_track";
        let name = "crates/mesh/src/link.rs: replace && with || in PeerLink::on_track";
        assert_eq!(without_place(mutant), name);
        assert!(escape(mutant).contains(r"\|\|"));
    }

    #[test]
    fn only_mutants_that_were_asked_for_count() {
        let only = ["b".to_owned()];
        assert_eq!(wanted("a\nb\n", Some(&only)), ["b"]);
        assert_eq!(wanted("a\nb\n", None), ["a", "b"]);
    }
}
