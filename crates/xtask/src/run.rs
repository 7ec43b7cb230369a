//! Building the whole, and starting it.

use crate::{browsers, host, shell, web};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds the client and the server quickly, and becomes the server.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    web::build(web::Profile::Dev)?;
    let binary = binary(false)?;
    let mut studio = std::process::Command::new(binary);
    studio.arg("serve").args(args);
    let status = shell::status(&mut studio)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Builds the release binary with the client inside, and returns its path.
pub(crate) fn build() -> Result<PathBuf> {
    if shell::find_program("npm").is_some() && browsers::install_packages().is_err() {
        println!("  npm ci failed: building without the optimiser that it brings");
    }
    web::build(web::Profile::Release)?;
    let binary = binary(true)?;
    let size = std::fs::metadata(&binary).context("no binary")?.len();
    println!("{} ({:.1} MB)", binary.display(), size as f64 / 1e6);
    Ok(binary)
}

/// Builds the server around whatever is in `dist/web`.
pub(crate) fn binary(release: bool) -> Result<PathBuf> {
    host::ensure_build()?;
    package("server", SERVER, release)
}

/// Builds the link emulator alone.
pub(crate) fn netlab() -> Result<PathBuf> {
    package("link emulator", NETLAB, false)
}

/// Builds a package, and returns its program, which has the same name.
fn package(what: &str, name: &str, release: bool) -> Result<PathBuf> {
    shell::step(what, || {
        let mut cargo = shell::cargo();
        cargo.args(["build", "--locked", "--package", name]);
        if release {
            cargo.arg("--release");
        }
        shell::run(&mut cargo)
    })?;
    Ok(program(release, name))
}

const SERVER: &str = "openstudio";
const NETLAB: &str = "openstudio-netlab";

/// What the browser tests start.
#[derive(Debug)]
pub(crate) struct Programs {
    /// The server, with whatever is in `dist/web`.
    pub(crate) server: PathBuf,
    /// The link emulator.
    pub(crate) netlab: PathBuf,
}

impl Programs {
    /// Builds these programs alone.
    pub(crate) fn build() -> Result<Self> {
        Self::build_with(&["--package", SERVER, "--package", NETLAB])
    }

    /// Builds them together with all tests. Cargo compiles a dependency once for each set of
    /// features, and the features depend on what is built together: whoever runs the tests
    /// as well would compile most dependencies twice otherwise. Not all programs: one of them
    /// is `xtask`, which runs.
    pub(crate) fn build_with_tests() -> Result<Self> {
        Self::build_with(&["--workspace", "--tests", "--bin", SERVER, "--bin", NETLAB])
    }

    fn build_with(what: &[&str]) -> Result<Self> {
        host::ensure_build()?;
        let name = if what.contains(&"--tests") { "programs and tests" } else { "programs" };
        shell::step(name, || shell::run(shell::cargo().args(["build", "--locked"]).args(what)))?;
        Ok(Self { server: program(false, SERVER), netlab: program(false, NETLAB) })
    }
}

fn program(release: bool, name: &str) -> PathBuf {
    shell::target_dir().join(if release { "release" } else { "debug" }).join(name)
}
