//! The unit and pair tests of the core crates, built as WebAssembly and run in
//! Node: what the browser runs is what was tested.
//!
//! Cargo starts `cargo xtask wasm-test-runner FILE` for each test binary. The
//! runner does what wasm-bindgen's own one does for Node, which would bring
//! some 140 crates with it.

use crate::summary::Counts;
use crate::{browsers, shell, toolchain};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::ExitCode;
use wasm_bindgen_cli_support::Bindgen;

const CRATES: [&str; 5] = [
    "openstudio-units",
    "openstudio-wire",
    "openstudio-mesh",
    "openstudio-session",
    "openstudio-mix",
];

/// What the exports of tests begin with.
const EXPORT: &[u8] = b"__wbgt_";

/// Runs the tests and prints the closing line.
pub(crate) fn run_alone(filter: Option<&str>) -> Result<ExitCode> {
    let counts = run(filter)?;
    println!("\n{counts}");
    Ok(if counts.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds and runs the tests.
pub(crate) fn run(filter: Option<&str>) -> Result<Counts> {
    browsers::ensure_node()?;
    let own = std::env::current_exe().context("cannot tell where xtask itself is")?;
    let mut cargo = toolchain::find()?.cargo("test");
    cargo.args(["--lib", "--tests", "--no-fail-fast"]);
    cargo.args(CRATES.iter().flat_map(|name| ["--package", name]));
    cargo.env(
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER",
        format!("{} wasm-test-runner", own.display()),
    );
    cargo.args(filter.iter().flat_map(|filter| ["--", filter]));
    let (status, text) = shell::tee(&mut cargo)?;
    let counts = Counts::of_rust(&text).or_failed(status.success());
    if filter.is_none() && counts == Counts::default() {
        bail!("no test of the core crates was built as WebAssembly");
    }
    Ok(counts)
}

/// Runs one test binary: what cargo calls.
pub(crate) fn runner(wasm: &Path, filter: &[String]) -> Result<()> {
    let bytes = std::fs::read(wasm)?;
    if !bytes.windows(EXPORT.len()).any(|window| window == EXPORT) {
        // Without a single test wasm-bindgen misses its support for tests.
        println!("no tests as WebAssembly");
        return Ok(());
    }
    let folder = wasm.with_extension("node");
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name("tests").nodejs(true)?;
    bindgen.typescript(false).debug(true).export_wasm(true).emit_start(false);
    bindgen.generate(&folder).with_context(|| format!("wasm-bindgen {}", wasm.display()))?;
    let script = folder.join("run.cjs");
    std::fs::write(&script, include_str!("wasm_tests.cjs"))?;
    let mut node = shell::command("node");
    let filter = filter.iter().filter(|word| !word.starts_with('-'));
    if !shell::status(node.arg(&script).args(filter))?.success() {
        bail!("tests failed in {}", wasm.display());
    }
    Ok(())
}
