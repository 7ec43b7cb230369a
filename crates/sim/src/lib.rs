//! A deterministic simulator: whole rooms on a virtual clock and a virtual network.
//!
//! Every client runs the real `openstudio-session` with the real mesh behind it, the server
//! runs the real `openstudio-room`; between them are sockets with delays, NATs, relays, and
//! `openstudio-model` as the browser's `RTCPeerConnection`. A [`Scenario`] draws troubles
//! from a seed. After every step the rules of the house are checked; after every episode
//! an oracle says which pairs can be connected, and exactly those must be, within
//! [`DEADLINE`].
//!
//! It is *not* a network emulator: no packet is made, and audio is only "arrives" or not.
//!
//! # Invariants
//! Same seed, same history: [`Outcome::hash`] is the same on every machine. Nothing here
//! reads a clock or a random source.

mod client;
mod driver;
mod media;
mod network;
mod operations;
mod oracle;
pub mod pair;
mod peer;
mod queue;
mod report;
mod run;
mod scenario;
mod server;
mod signals;
mod sockets;
mod tokens;
mod trace;
mod trouble;
mod world;

pub use network::{CandidateType, Site};
pub use openstudio_net::NatKind;
pub use report::{Percentiles, Summary};
pub use run::{DEADLINE, Outcome, RunConfig, run};
pub use scenario::{SCENARIOS, Scenario};
pub use signals::{Fate, Relayed};
pub use trace::Violation;
pub use trouble::Trouble;
