//! Building the browser client and the mixing desk of its audio thread: cargo, then
//! wasm-bindgen for the client, then an optional optimiser. Putting the result together is
//! `bundle`'s job.

use crate::{bundle, shell, toolchain, wasm};
use anyhow::{Context, Result, bail};
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

/// The client is downloaded by every caller: small first.
const CLIENT_PASSES: [&str; 2] = ["-Oz", INLINING];

/// The desk runs on the audio thread: fast first.
const DESK_PASSES: [&str; 1] = ["-O3"];

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

/// The JavaScript and WebAssembly that goes into the page.
#[derive(Debug)]
pub(crate) struct Client {
    /// What wasm-bindgen made: `app.js`, `app_bg.wasm` and perhaps `snippets/`.
    pub(crate) folder: PathBuf,
    /// The module of the audio thread.
    pub(crate) desk: PathBuf,
}

/// What cargo makes of the sources.
struct Compiled {
    client: PathBuf,
    desk: PathBuf,
}

/// Builds the client into `dist/web`, and returns that folder.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    let compiled = shell::step("web client: compile", || compile(profile))?;
    let stamp = bundle::stamp(&[&compiled.client, &compiled.desk], profile)?;
    if bundle::is_current(&stamp) {
        println!("✓ web client: unchanged");
        return Ok(bundle::dist());
    }
    let client = shell::step("web client: bind", || bind(&compiled, profile))?;
    if profile == Profile::Release {
        shell::step("web client: optimise", || {
            optimise(&client.folder.join("app_bg.wasm"), &CLIENT_PASSES)?;
            optimise(&client.desk, &DESK_PASSES)
        })?;
    }
    check_desk(&client.desk)?;
    shell::step("web client: bundle", || bundle::assemble(&client, profile, &stamp))
}

/// Compiles client and desk, at once, so that they share what they have in common.
fn compile(profile: Profile) -> Result<Compiled> {
    let toolchain = toolchain::find()?;
    let (name, folder) = profile.cargo();
    let mut cargo = toolchain.cargo("build");
    cargo.args(["--package", "openstudio-web", "--package", "openstudio-worklet"]);
    cargo.args(["--lib", "--profile", name]);
    if profile == Profile::Dev {
        // Unoptimised WebAssembly is too slow for meters; debug lines are useless in it.
        cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1").env("CARGO_PROFILE_DEV_DEBUG", "false");
    }
    shell::run(&mut cargo)?;
    let made = shell::target_dir().join("wasm").join(toolchain::TARGET).join(folder);
    let client = made.join("openstudio_web.wasm");
    Ok(Compiled { client, desk: made.join("openstudio_worklet.wasm") })
}

fn bind(compiled: &Compiled, profile: Profile) -> Result<Client> {
    let folder = shell::target_dir().join("wasm/bindgen");
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(&folder)?;
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&compiled.client).out_name("app").web(true)?;
    bindgen.typescript(false).remove_producers_section(true).omit_default_module_path(true);
    bindgen.remove_name_section(profile == Profile::Release);
    bindgen.generate(&folder).context("wasm-bindgen")?;
    let desk = folder.join("desk.wasm");
    let bytes = std::fs::read(&compiled.desk)?;
    // Names and debug lines are of no use in a module that JavaScript sees exports of only.
    std::fs::write(&desk, wasm::without_custom_sections(&bytes)?)?;
    Ok(Client { folder, desk })
}

/// The audio thread instantiates the desk with nothing to import.
fn check_desk(desk: &Path) -> Result<()> {
    if wasm::has_imports(&std::fs::read(desk)?)? {
        bail!("{}: has imports, which an audio thread cannot satisfy", desk.display());
    }
    Ok(())
}

/// Improves the file with Binaryen's `wasm-opt` where there is one.
fn optimise(wasm: &Path, passes: &[&str]) -> Result<()> {
    let Some(mut optimiser) = find_optimiser() else {
        println!("  no wasm-opt found (npm ci in e2e/ brings one): skipped");
        return Ok(());
    };
    let smaller = wasm.with_extension("opt.wasm");
    optimiser.arg(wasm).arg("-o").arg(&smaller).args(passes);
    optimiser.args(FEATURES.map(|feature| format!("--enable-{feature}")));
    if shell::run(&mut optimiser).is_err() {
        println!("  wasm-opt failed, perhaps from age: the file stays as it is");
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
