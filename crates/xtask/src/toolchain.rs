//! Finding a compiler that can build for the browser.
//!
//! In this order: the active toolchain's own target; `rustup target add`; a
//! toolchain that ships the sources of the standard library (Debian's
//! `rust-web-src`), which then builds them itself; and a sentence that says
//! what to install.

use crate::shell;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The target triple of the browser client.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

const RUSTUP_LIMIT: Duration = Duration::from_secs(180);
const LINKERS: [&str; 8] = [
    "rust-lld",
    "wasm-ld",
    "wasm-ld-21",
    "wasm-ld-20",
    "wasm-ld-19",
    "wasm-ld-18",
    "wasm-ld-17",
    "wasm-ld-16",
];

/// A way to build for the browser.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The active toolchain has the target's standard library.
    Ready,
    /// The standard library is built from source first.
    BuildStd {
        /// Compiler, cargo and linker to use, all by absolute path but the last.
        rustc: PathBuf,
        cargo: PathBuf,
        linker: String,
    },
}

impl Toolchain {
    /// Cargo, set up to build, check or test for the browser. The subcommand
    /// comes first, so that arguments can be added to what is returned.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = match self {
            Self::Ready => shell::cargo(),
            Self::BuildStd { cargo, .. } => shell::command(cargo),
        };
        command.arg(subcommand).args(["--target", TARGET, "--locked"]);
        command.arg("--target-dir").arg(shell::target_dir().join("wasm"));
        if let Self::BuildStd { rustc, linker, .. } = self {
            shell::forget_own_package(&mut command);
            for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
                command.env_remove(name);
            }
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTC", rustc)
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        command
    }
}

/// Finds a toolchain, adding the target if that is possible.
pub(crate) fn find() -> Result<Toolchain> {
    if has_target() || add_target() {
        return Ok(Toolchain::Ready);
    }
    let linker = LINKERS.iter().find(|name| {
        Command::new(name)
            .args(["-flavor", "wasm", "--version"])
            .output()
            .is_ok_and(|o| o.status.success())
            || Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success())
    });
    let pairs = [
        (shell::find_program("rustc"), shell::find_program("cargo")),
        (Some(PathBuf::from("/usr/bin/rustc")), Some(PathBuf::from("/usr/bin/cargo"))),
    ];
    if let Some(linker) = linker {
        for pair in pairs {
            let (Some(rustc), Some(cargo)) = pair else {
                continue;
            };
            if has_library_source(&rustc) {
                println!(
                    "  no {TARGET} target: building its standard library with {}",
                    rustc.display()
                );
                return Ok(Toolchain::BuildStd { rustc, cargo, linker: (*linker).to_owned() });
            }
        }
    }
    bail!(
        "no compiler for {TARGET}. Either\n    rustup target add {TARGET}\nor, on Debian,\n    \
         apt-get install --no-install-recommends rustc-web cargo-web rust-web-src lld-19"
    )
}

/// `rustc --print target-libdir` answers even without the library: look inside.
fn has_target() -> bool {
    let Ok(folder) = shell::output(shell::command("rustc").args([
        "--print",
        "target-libdir",
        "--target",
        TARGET,
    ])) else {
        return false;
    };
    let Ok(entries) = std::fs::read_dir(folder.trim()) else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

fn add_target() -> bool {
    if shell::find_program("rustup").is_none() {
        return false;
    }
    println!("  adding the {TARGET} target");
    let mut rustup = shell::command("rustup");
    rustup.args(["target", "add", TARGET]);
    shell::succeeds_within(&mut rustup, RUSTUP_LIMIT) && has_target()
}

fn has_library_source(rustc: &Path) -> bool {
    let Ok(sysroot) = shell::output(shell::command(rustc).args(["--print", "sysroot"])) else {
        return false;
    };
    Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library").is_dir()
}
