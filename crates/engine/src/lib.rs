//! The studio's own participant in rooms: it records them and sends their programme out, so
//! that a show lives in no host's browser tab.
//!
//! [`Engine::start`] takes a server's [`EnginePort`](openstudio_server::EnginePort) and follows
//! the orders of hosts: for each room that wants something it takes part as an
//! [`openstudio_peer::Participant`] that only listens. [`Engine::routes`] are the pages that go
//! with it: `/listen/…` for listeners, `/recordings/…` for downloads.
//!
//! It is *not* the place for how a recording looks (`openstudio-record`), for how a programme
//! travels (`openstudio-cast`), for who may order what (`openstudio-room`).
//!
//! # Invariants
//! What it does for a room is told to everybody in it. What was under way when the program
//! ended without a word is taken up again by the next one: see `memory.rs`.

mod answers;
mod config;
mod engine;
mod http;
mod memory;
mod show;
mod state;

pub use config::EngineConfig;
pub use engine::{Engine, StartError};
