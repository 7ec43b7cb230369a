//! Building the browser client: cargo, then wasm-bindgen, then an optional
//! optimiser. Putting the result together is `bundle`'s job.

use crate::{bundle, shell, toolchain};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_bindgen_cli_support::Bindgen;

/// What rustc emits by default. `wasm-opt` must not use more: its
/// `--all-features` includes some that no browser has.
const FEATURES: [&str; 6] = [
    "bulk-memory",
    "multivalue",
    "mutable-globals",
    "nontrapping-float-to-int",
    "reference-types",
    "sign-ext",
];

/// A function with one caller stays a function unless it is small. Engines decide by calls
/// and size what to optimise: with the core in one function of 60 kB, that is compiled anew
/// while the connections are set up, and takes a second of a processor.
const INLINING: &str = "--one-caller-inline-max-function-size=100";

/// How the client is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build again.
    Dev,
    /// Small.
    Release,
}

impl Profile {
    /// The profile for a `--release` flag.
    pub(crate) fn new(release: bool) -> Self {
        if release { Self::Release } else { Self::Dev }
    }

    /// Cargo's name of the profile and the folder its output goes to.
    fn cargo(self) -> (&'static str, &'static str) {
        match self {
            Self::Dev => ("dev", "debug"),
            Self::Release => ("wasm-release", "wasm-release"),
        }
    }
}

/// The JavaScript and WebAssembly that wasm-bindgen made.
#[derive(Debug)]
pub(crate) struct Client {
    /// Folder with `app.js`, `app_bg.wasm` and perhaps `snippets/`.
    pub(crate) folder: PathBuf,
}

/// Builds the client into `dist/web`, and returns that folder.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    let wasm = shell::step("web client: compile", || compile(profile))?;
    let bytes = std::fs::read(&wasm).with_context(|| format!("no {}", wasm.display()))?;
    let stamp = bundle::stamp(&bytes, profile)?;
    if bundle::is_current(&stamp) {
        println!("✓ web client: unchanged");
        return Ok(bundle::dist());
    }
    let client = shell::step("web client: bind", || bind(&wasm, profile))?;
    if profile == Profile::Release {
        shell::step("web client: optimise", || optimise(&client.folder.join("app_bg.wasm")))?;
    }
    shell::step("web client: bundle", || bundle::assemble(&client, profile, &stamp))
}

/// Compiles the client and returns the WebAssembly file.
fn compile(profile: Profile) -> Result<PathBuf> {
    let toolchain = toolchain::find()?;
    let (name, folder) = profile.cargo();
    let mut cargo = toolchain.cargo("build");
    cargo.args(["--package", "openstudio-web", "--lib", "--profile", name]);
    if profile == Profile::Dev {
        // Unoptimised WebAssembly is too slow for meters; debug lines are useless in it.
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "false");
    }
    shell::run(&mut cargo)?;
    let target = shell::target_dir().join("wasm").join(toolchain::TARGET);
    Ok(target.join(folder).join("openstudio_web.wasm"))
}

fn bind(wasm: &Path, profile: Profile) -> Result<Client> {
    let folder = shell::target_dir().join("wasm/bindgen");
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).out_name("app").web(true)?;
    bindgen.typescript(false).remove_producers_section(true).omit_default_module_path(true);
    bindgen.remove_name_section(profile == Profile::Release);
    bindgen.generate(&folder).context("wasm-bindgen")?;
    Ok(Client { folder })
}

/// Shrinks the file with Binaryen's `wasm-opt` where there is one.
fn optimise(wasm: &Path) -> Result<()> {
    let Some(mut optimiser) = find_optimiser() else {
        println!("  no wasm-opt found (npm ci in e2e/ brings one): skipped");
        return Ok(());
    };
    let smaller = wasm.with_extension("opt.wasm");
    optimiser.arg(wasm).arg("-o").arg(&smaller).args(["-Oz", INLINING]);
    optimiser.args(FEATURES.map(|feature| format!("--enable-{feature}")));
    if shell::run(&mut optimiser).is_err() {
        println!("  wasm-opt failed, perhaps from age: the client stays as it is");
        return Ok(());
    }
    std::fs::rename(smaller, wasm)?;
    Ok(())
}

fn find_optimiser() -> Option<Command> {
    let script = shell::root().join("e2e/node_modules/binaryen/bin/wasm-opt");
    if script.is_file() && shell::find_program("node").is_some() {
        let mut node = shell::command("node");
        node.arg(script);
        return Some(node);
    }
    shell::find_program("wasm-opt").map(shell::command)
}
