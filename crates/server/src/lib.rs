//! The OpenStudio server: sockets, pages and limits around `openstudio-room`.
//!
//! [`Server::bind`] opens the port, [`Server::run`] serves until it is told to stop.
//! One task owns each socket; one mutex holds the rooms, and nothing is awaited while
//! it is held. What a message means is decided in `openstudio-room` and nowhere here.
//!
//! # Invariants
//! Media passes through the relay alone, and there as ciphertext. Every queue, buffer and
//! table is bounded. The trouble of one socket (too fast, too slow, too large, a panic) ends
//! that socket and no other.

mod accept;
mod address;
mod assets;
mod clock;
mod config;
mod ended;
mod engine;
mod http;
mod hub;
mod limits;
mod metrics;
mod outbox;
mod redirect;
mod relay;
mod secret;
mod serve;
mod socket;
#[cfg(test)]
mod tests_support;
mod tokens;

pub use config::{Limits, ServerConfig};
pub use engine::{EngineLine, EnginePort, EngineRequest};
pub use openstudio_room::{ConnId, EngineOrder};
pub use openstudio_tls as tls;
pub use relay::{RelayConfig, SharedTurn};
pub use secret::SecretError;
pub use serve::{Server, StartError};
