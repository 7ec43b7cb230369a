//! `openstudio-netlab`: a small internet on one machine, for tests of real programs.
//!
//! A *public* namespace and up to twelve *homes* are network namespaces. Each has a TUN device,
//! and one process forwards what comes out of it: through the links and NATs of
//! `openstudio-net`. Nothing leaves the namespaces: they have no other way out, and the machine
//! has no route to their addresses.
//!
//! It runs on Linux. It carries UDP, TCP and ICMP over IPv4, and no fragments. It is *not* a model of a network
//! under load: links are as exact as the machine is idle.
//!
//! # How to drive it
//! It prints a line when it is ready, with its seed and the public namespace. Then each line on
//! standard input is an order, answered by a line `{"ok":true,…}` or `{"ok":false,"error":"…"}`:
//!
//! | order | fields |
//! |---|---|
//! | `{"do":"home","name":"a"}` | `kind` (`nat`, `firewall`, `open`), `mapping`, `filtering` (names of RFC 4787), `preservePorts`, `hairpinning`, `blocksUdp`, `inboundRefresh`, `udpLifeMs` |
//! | `{"do":"nat","name":"a"}` | the same: another NAT for a home that there is, with the same addresses and without mappings |
//! | `{"do":"direct","homes":["a","b"]}` | whether connectivity checks find a direct way, by the rule |
//! | `{"do":"link","home":"a"}` | `up`, `down`, each with `delayMs`, `jitterMs`, `loss`, `burst`, `duplicate`, `reorder`, `reorderMs`, `rateKbit`, `queueBytes` |
//! | `{"do":"outage","home":"a","on":true}` | |
//! | `{"do":"renumber","home":"a"}` | `what` (`public`, `own`) |
//! | `{"do":"stun"}` | `host` (0 to 3), `port` |
//! | `{"do":"counters"}` | |
//!
//! The answer to `home` has the name of its namespace, for `ip netns exec NAMESPACE CMD…` or
//! `openstudio-netlab exec NAMESPACE -- CMD…`.
//!
//! # Invariants
//! At its end, when standard input is closed and when it gets SIGTERM it removes its namespaces.
//! After SIGKILL the next one does. Several run at once: names have the number of the process.
//! Same seed, same packets at the same times: same fate.

#[cfg(target_os = "linux")]
mod attendant;
#[cfg(target_os = "linux")]
mod checksum;
#[cfg(target_os = "linux")]
mod command;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod namespace;
#[cfg(target_os = "linux")]
mod packet;
#[cfg(target_os = "linux")]
mod plan;
#[cfg(target_os = "linux")]
mod program;
#[cfg(target_os = "linux")]
mod router;
#[cfg(target_os = "linux")]
mod stun;

use std::process::ExitCode;

/// The exit code where there can be no namespaces.
const IMPOSSIBLE: u8 = 3;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    program::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    complain("network namespaces are Linux's");
    ExitCode::from(IMPOSSIBLE)
}

#[expect(clippy::print_stderr, reason = "what went wrong is told to whoever started the program")]
fn complain(what: &str) {
    eprintln!("openstudio-netlab: {what}");
}
