//! The client side of a room: gets a seat, keeps it, and owns the [`mesh::Mesh`] behind it.
//!
//! A [`Session`] turns what a person wants (*start*, *join*, *leave*) and what the server
//! says into a seat in a room, resumes that seat whenever the socket breaks, and maps
//! signalling messages to the connection manager and back. Like the mesh it is sans-IO:
//! it is told the time, the randomness and the results, and performs nothing.
//!
//! It is *not* the place for pairs (`openstudio-mesh`) nor for message formats
//! (`openstudio-wire`).
//!
//! # How to drive it
//! As the mesh: wait for [`Session::poll_timeout`] or for something to happen; call
//! [`Session::handle_timeout`] or [`Session::handle_input`]; drain
//! [`Session::poll_output`] in order. Commands of the mesh come out as
//! [`Output::Mesh`] and their completions go in as [`Input::Mesh`].
//!
//! # Invariants
//! - A broken socket never closes a peer connection.
//! - At most one socket is open or being opened; what an older one still says is ignored.
//! - After [`Event::Ended`] nothing comes out any more but the closing of what was open.
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod config;
mod convert;
mod deadline;
mod input;
mod mixer;
mod output;
mod roster;
mod session;
mod socket;

pub use config::SessionConfig;
pub use deadline::{Deadline, DeadlineReason};
pub use input::{Input, Order};
pub use output::{EndReason, Event, Output, SignallingState, SocketId};
pub use session::Session;

pub use openstudio_mesh as mesh;
pub use openstudio_wire as wire;
