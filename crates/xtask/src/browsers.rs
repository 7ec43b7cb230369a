//! What the browser tests need: Chromium, Node, the packages of `e2e/` and FFmpeg, which measures
//! loudness a second time;
//! with `--firefox` also Firefox and a sound server for it (without one its
//! audio never starts).

use crate::host::{self, Need};
use crate::shell;
use anyhow::{Result, bail};

const NODE_MINIMUM: u32 = 20;
const CHROMIUM: [Need; 6] = [
    Need { program: "chromium", package: "chromium" },
    Need { program: "node", package: "nodejs" },
    Need { program: "npm", package: "npm" },
    Need { program: "ip", package: "iproute2" },
    Need { program: "ffmpeg", package: "ffmpeg" },
    Need { program: "icecast2", package: "icecast2" },
];
const FIREFOX: [Need; 2] = [
    Need { program: "firefox-esr", package: "firefox-esr" },
    Need { program: "pulseaudio", package: "pulseaudio" },
];

/// Makes sure that browser tests can run.
pub(crate) fn ensure(firefox: bool) -> Result<()> {
    host::ensure(&CHROMIUM)?;
    if firefox {
        host::ensure(&FIREFOX)?;
    }
    check_node()?;
    install_packages()
}

/// Makes sure that `node` is there and new enough.
pub(crate) fn ensure_node() -> Result<()> {
    host::ensure(&[CHROMIUM[1]])?;
    check_node()
}

fn check_node() -> Result<()> {
    let version = shell::output(shell::command("node").arg("--version"))?;
    let major =
        version.trim().trim_start_matches('v').split('.').next().and_then(|m| m.parse().ok());
    if major.is_none_or(|major: u32| major < NODE_MINIMUM) {
        bail!("Node {} is too old: the browser tests need {NODE_MINIMUM} or newer", version.trim());
    }
    Ok(())
}

/// `npm ci`, unless what is installed is what the lock file asks for.
pub(crate) fn install_packages() -> Result<()> {
    let folder = shell::root().join("e2e");
    let lock = std::fs::read(folder.join("package-lock.json"))?;
    let seen = folder.join("node_modules/.installed-lock.json");
    if std::fs::read(&seen).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    shell::step("npm ci", || {
        shell::run(shell::command("npm").args(["ci", "--silent"]).current_dir(&folder))
    })?;
    Ok(std::fs::write(seen, lock)?)
}
