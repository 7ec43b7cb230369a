//! Programs that builds and tests need on this machine: installed where that is possible
//! without asking, named with the exact command where it is not.

use crate::shell;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// A program that must be there, and Debian's package that brings it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
}

/// What the sources that are not Rust are built with: libopus comes as C.
const BUILD: [Need; 3] = [
    Need { program: "cc", package: "gcc" },
    Need { program: "cmake", package: "cmake" },
    Need { program: "make", package: "make" },
];

impl Need {
    fn is_met(&self) -> bool {
        shell::find_program(self.program).is_some()
            || ["/usr/bin", "/usr/sbin", "/sbin"]
                .iter()
                .any(|folder| PathBuf::from(folder).join(self.program).is_file())
    }
}

/// Makes sure that the server can be built.
pub(crate) fn ensure_build() -> Result<()> {
    ensure(&BUILD)
}

/// Makes sure that all programs are there.
pub(crate) fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<_> = needs.iter().filter(|n| !n.is_met()).map(|n| n.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if shell::find_program("apt-get").is_none() || !is_root()? {
        bail!("more programs are needed. On Debian:\n    {by_hand}\n(as root)");
    }
    shell::step(&by_hand, || {
        shell::run(shell::command("apt-get").args(["update", "-qq"]))?;
        let mut install = shell::command("apt-get");
        install.env("DEBIAN_FRONTEND", "noninteractive");
        install.args(["install", "-qq", "-y", "--no-install-recommends"]).args(&missing);
        shell::run(&mut install)
    })
}

fn is_root() -> Result<bool> {
    Ok(shell::output(shell::command("id").arg("-u"))?.trim() == "0")
}
