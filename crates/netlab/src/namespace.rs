//! [`Namespace`]: a network namespace with one TUN device, gone with its owner.
//!
//! Namespaces are made by `ip`, which also gives them a name for `ip netns exec`.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tun_rs::{DeviceBuilder, SyncDevice};

/// What all names begin with; then come the number of the process, and the name of the home.
const PREFIX: &str = "osnet-";

/// The device in each namespace.
const DEVICE: &str = "lab0";

const FOLDER: &str = "/run/netns";

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace for this process.
    pub(crate) fn make(name: &str) -> anyhow::Result<Self> {
        let name = format!("{PREFIX}{}-{name}", std::process::id());
        ip(&["netns", "add", &name])?;
        let space = Self { name };
        space.ip(&["link", "set", "lo", "up"])?;
        Ok(space)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Makes the device. It has no address, and is down.
    pub(crate) fn make_device(&self) -> anyhow::Result<SyncDevice> {
        self.within(|| {
            // Packets that nobody sent would only make counters hard to read.
            drop(std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1"));
            let device = DeviceBuilder::new().name(DEVICE).inherit_enable_state().build_sync()?;
            device.set_nonblocking(true)?;
            Ok(device)
        })
        .with_context(|| format!("cannot make a TUN device in {}", self.name))
    }

    /// Gives the device these addresses instead of those that it has, and sends everything
    /// else to it. Its link goes down and comes up again.
    pub(crate) fn set_addresses(&self, addresses: &[Ipv4Addr], length: u8) -> anyhow::Result<()> {
        self.ip(&["link", "set", DEVICE, "down"])?;
        self.ip(&["addr", "flush", "dev", DEVICE])?;
        for address in addresses {
            self.ip(&["addr", "add", &format!("{address}/{length}"), "dev", DEVICE])?;
        }
        self.ip(&["link", "set", DEVICE, "up"])?;
        self.ip(&["route", "replace", "default", "dev", DEVICE])
    }

    /// Does something in this namespace, on a thread of its own.
    pub(crate) fn within<T: Send>(
        &self,
        work: impl FnOnce() -> anyhow::Result<T> + Send,
    ) -> anyhow::Result<T> {
        let worker = || {
            enter(&self.name)?;
            work()
        };
        let done = thread::scope(|scope| scope.spawn(worker).join());
        done.unwrap_or_else(|_| bail!("a thread in {} panicked", self.name))
    }

    fn ip(&self, args: &[&str]) -> anyhow::Result<()> {
        let mut all = vec!["-n", self.name.as_str()];
        all.extend(args);
        ip(&all)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Whoever still runs in it keeps it alive, without a name and without a device.
        drop(ip(&["netns", "del", &self.name]));
    }
}

/// Moves the calling thread into a namespace.
pub(crate) fn enter(name: &str) -> anyhow::Result<()> {
    let path = Path::new(FOLDER).join(name);
    let space = File::open(&path).with_context(|| format!("there is no namespace {name}"))?;
    move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("cannot enter the namespace {name}"))
}

/// Removes what processes left that were killed.
pub(crate) fn sweep() {
    let Ok(entries) = std::fs::read_dir(FOLDER) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            drop(ip(&["netns", "del", &name]));
        }
    }
}

/// The number of the process that made a namespace of this name.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Why there can be no namespaces here, if that can be told without making one.
pub(crate) fn trouble() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("there is no /dev/net/tun".to_owned());
    }
    let found = Command::new("ip").arg("-V").output();
    found.is_err().then(|| "there is no program `ip` (Debian: iproute2)".to_owned())
}

fn ip(args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(args).output().context("cannot run ip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ip {}: {}", args.join(" "), said.trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_namespace_is_in_its_name() {
        assert_eq!(owner("osnet-123-public"), Some(123));
        assert_eq!(owner("osnet-123-a-b"), Some(123));
        assert_eq!(owner("osnet-x-a"), None);
        assert_eq!(owner("os-e2e-123"), None);
    }
}
