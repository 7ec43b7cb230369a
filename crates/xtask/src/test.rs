//! Every check and test, cheapest first, with one closing line.
//!
//! A suite that fails does not stop the others: a person gets the whole
//! picture in one run.

use crate::run::Programs;
use crate::summary::Counts;
use crate::toolchain::Toolchain;
use crate::{browsers, e2e, host, shell, tidy, toolchain, wasm_tests, web};
use anyhow::Result;
use clap::Args;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// Flags of `cargo xtask test`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Leave the browser tests out
    #[arg(long, conflicts_with = "firefox")]
    no_browser: bool,
    #[command(flatten)]
    browser: e2e::Options,
}

/// Runs everything that the options ask for.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let filter = options.browser.filter.as_deref();
    host::ensure_build()?;
    if !options.no_browser {
        browsers::ensure(options.browser.firefox)?;
    }
    let mut report = Report::default();
    if filter.is_none() {
        check_sources(&mut report);
    }
    let programs = (!options.no_browser).then(build).transpose();
    let programs = programs.unwrap_or_else(|error| {
        println!("  {error:#}");
        report.suites.push(("build", Counts::check(false)));
        None
    });
    report.suite("tests", || rust_tests(filter, programs.as_ref()));
    report.suite("tests as WebAssembly", || wasm_tests::run(filter));
    if filter.is_none() {
        report.suite("tests in the documentation", doc_tests);
        report.suite("documentation", || {
            let mut cargo = shell::cargo();
            cargo.args(["doc", "--locked", "--workspace"]);
            document(cargo)
        });
        report.suite("documentation of the client", || {
            let mut cargo = toolchain::find()?.cargo("doc");
            cargo.args(["--package", "openstudio-web"]);
            document(cargo)
        });
    }
    if let Some(programs) = &programs {
        report.suite("browsers", || e2e::run(&options.browser, programs));
    }
    Ok(report.close())
}

/// Builds what the browser tests start, and the other tests with it; the client in it is as it
/// is released.
fn build() -> Result<Programs> {
    web::build(web::Profile::Release)?;
    Programs::build_with_tests()
}

#[derive(Debug, Default)]
struct Report {
    suites: Vec<(&'static str, Counts)>,
}

impl Report {
    fn suite(&mut self, name: &'static str, work: impl FnOnce() -> Result<Counts>) {
        println!("· {name}");
        let begun = Instant::now();
        let counts = work().unwrap_or_else(|error| {
            println!("  {error:#}");
            Counts::check(false)
        });
        let verdict = if counts.failed == 0 { "✓" } else { "✗" };
        println!("{verdict} {name}: {counts} ({:.1} s)", begun.elapsed().as_secs_f64());
        self.suites.push((name, counts));
    }

    /// Prints all suites, and the sum alone on the last line.
    fn close(&self) -> ExitCode {
        let mut all = Counts::default();
        println!();
        for (name, counts) in &self.suites {
            println!("{name}: {counts}");
            all += *counts;
        }
        println!("{all}");
        if all.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn check_sources(report: &mut Report) {
    report.suite("format", || check(shell::cargo().args(["fmt", "--all", "--check"])));
    report.suite("tidy", tidy::run);
    report.suite("lints", || {
        let mut cargo = shell::cargo();
        cargo.args(["clippy", "--locked", "--workspace", "--all-targets", "--quiet"]);
        check(cargo.args(["--", "-Dwarnings"]))
    });
    report.suite("lints for the browser", || {
        let toolchain = toolchain::find()?;
        if !matches!(toolchain, Toolchain::Ready) {
            println!("  the compiler with the browser's target brings no clippy: skipped");
            return Ok(Counts { skipped: 1, ..Counts::default() });
        }
        let mut cargo = toolchain.cargo("clippy");
        check(cargo.args(["--quiet", "--package", "openstudio-web", "--", "-Dwarnings"]))
    });
}

fn check(command: &mut Command) -> Result<Counts> {
    Ok(Counts::check(shell::status(command)?.success()))
}

/// Process tests use this server, or build one without the client themselves.
fn rust_tests(filter: Option<&str>, programs: Option<&Programs>) -> Result<Counts> {
    let mut cargo = shell::cargo();
    cargo.envs(programs.map(|programs| ("OPENSTUDIO_BIN", &programs.server)));
    if shell::find_program("cargo-nextest").is_some() {
        cargo.args(["nextest", "run", "--locked", "--workspace", "--no-fail-fast"]);
        cargo.args(["--status-level=fail", "--no-tests=pass"]);
    } else {
        cargo.args(["test", "--locked", "--workspace", "--lib", "--bins", "--tests"]);
        cargo.args(["--no-fail-fast", "--quiet"]);
    }
    counted(cargo.args(filter))
}

/// Runs the examples in the documentation of the crates that have some: to look for them in the
/// others would compile each of those once more.
fn doc_tests() -> Result<Counts> {
    let mut cargo = shell::cargo();
    cargo.args(["test", "--locked", "--doc", "--quiet"]);
    let mut any = false;
    for entry in std::fs::read_dir(shell::root().join("crates"))? {
        let entry = entry?;
        let (name, folder) = (entry.file_name(), entry.path().join("src"));
        // Programs have no such documentation.
        if folder.join("lib.rs").is_file() && has_examples(&folder)? {
            cargo.arg("--package").arg(format!("openstudio-{}", name.display()));
            any = true;
        }
    }
    if any { counted(&mut cargo) } else { Ok(Counts::default()) }
}

/// Returns whether some documentation below a folder has an example that can be run.
fn has_examples(folder: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            has_examples(&path)?
        } else {
            path.extension().is_some_and(|extension| extension == "rs")
                && has_example(&std::fs::read_to_string(&path)?)
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

fn has_example(text: &str) -> bool {
    let mut inside = false;
    text.lines()
        .filter_map(|line| line.trim_start().strip_prefix("///").or(line.strip_prefix("//!")))
        .filter_map(|line| line.trim_start().strip_prefix("```"))
        .any(|kind| {
            inside = !inside;
            inside && !["text", "ignore", "json", "toml"].iter().any(|other| kind.contains(other))
        })
}

fn counted(command: &mut Command) -> Result<Counts> {
    let (status, text) = shell::tee(command)?;
    Ok(Counts::of_rust(&text).or_failed(status.success()))
}

/// Runs `cargo doc`; a warning is a failure.
fn document(mut cargo: Command) -> Result<Counts> {
    cargo.args(["--no-deps", "--document-private-items", "--quiet"]);
    check(cargo.env("RUSTDOCFLAGS", "-Dwarnings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_told_from_pictures() {
        assert!(has_example("/// ```\n/// let x = 1;\n/// ```\n"));
        assert!(has_example("//! ```text\n//! a\n//! ```\n    /// ```no_run\n    /// ```\n"));
        assert!(!has_example("//! ```text\n//! a\n//! ```\n//! ```text\n//! ```\n"));
    }
}
