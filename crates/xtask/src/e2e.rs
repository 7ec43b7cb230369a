//! The browser tests: the real server and real browsers, driven from Node.

use crate::run::Programs;
use crate::summary::Counts;
use crate::{browsers, shell, web};
use anyhow::{Result, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of the browser tests.
#[derive(Args, Debug, Default)]
#[group(id = "browser")]
pub(crate) struct Options {
    /// Run the Firefox tests too, installing Firefox where needed
    #[arg(long)]
    pub(crate) firefox: bool,
    /// Run the mass join this many times in a row
    #[arg(long, default_value_t = 1)]
    pub(crate) repeat: u32,
    /// Also tests too heavy for every day, such as twelve browsers
    #[arg(long)]
    pub(crate) heavy: bool,
    /// Only test files (or, if there is none, tests) whose name contains this
    pub(crate) filter: Option<String>,
}

/// Builds what is needed, runs the tests and prints the closing line.
pub(crate) fn run_alone(options: &Options) -> Result<ExitCode> {
    browsers::ensure(options.firefox)?;
    web::build(web::Profile::Release)?;
    let counts = run(options, &Programs::build()?)?;
    println!("\n{counts}");
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the tests against these programs.
pub(crate) fn run(options: &Options, programs: &Programs) -> Result<Counts> {
    let (files, pattern) = choose(options.filter.as_deref())?;
    let results = shell::root().join("e2e/results");
    std::fs::create_dir_all(&results)?;
    let tap = results.join("tests.tap");
    let mut node = shell::command("node");
    node.current_dir(shell::root().join("e2e"));
    node.args(["--test", "--test-concurrency=1"]);
    node.args(["--test-reporter=spec", "--test-reporter-destination=stdout"]);
    node.arg("--test-reporter=tap").arg(format!("--test-reporter-destination={}", tap.display()));
    node.args(pattern.iter().map(|pattern| format!("--test-name-pattern={pattern}")));
    node.args(files);
    node.env("OPENSTUDIO_BIN", &programs.server).env("OPENSTUDIO_NETLAB", &programs.netlab);
    node.env("E2E_REPEAT", options.repeat.to_string());
    node.env("E2E_FIREFOX", flag(options.firefox)).env("E2E_HEAVY", flag(options.heavy));
    let status = shell::status(&mut node)?;
    Ok(Counts::of_tap(&std::fs::read_to_string(tap)?).or_failed(status.success()))
}

fn flag(on: bool) -> &'static str {
    if on { "1" } else { "" }
}

/// The files to run, and a pattern for the names of tests in them.
fn choose(filter: Option<&str>) -> Result<(Vec<PathBuf>, Option<&str>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(shell::root().join("e2e/tests"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mjs") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        bail!("no tests in e2e/tests");
    }
    let Some(filter) = filter else {
        return Ok((files, None));
    };
    let named = |path: &PathBuf| stem(path).contains(filter);
    if files.iter().any(named) {
        files.retain(named);
        return Ok((files, None));
    }
    Ok((files, Some(filter)))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
