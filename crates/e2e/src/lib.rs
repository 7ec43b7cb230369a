//! A real `openstudio` process and real sockets, for tests and benchmarks.
//!
//! Nothing here knows the server's types: messages are JSON as `docs/protocol.md` has
//! them, so that a mistake that the types make together is still seen. TURN is spoken by
//! `openstudio-turn`, also with servers that are not ours.

mod client;
mod http;
mod process;
mod report;
mod turn;

pub use client::{Client, Closed};
pub use http::{Reply, get, get_over};
pub use process::{Server, TempDir, binary, free_port};
pub use report::{number, print};
pub use turn::{Allocation, TurnServer, coturn_version};

use std::time::Duration;

/// How long anything may take before a test gives up. Far above what is usual, since
/// the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a UUID of version 4 whose order among others is that of `n`.
pub fn peer_id(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}
