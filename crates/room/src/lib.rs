//! The server side of a room: who has a seat, who may do what, what is relayed.
//!
//! [`Rooms`] performs nothing. It is told the time, the randomness and what came in
//! from each socket; it answers with messages to send and sockets to close. The same
//! bytes of logic run in the server and in a simulation.
//!
//! # How to drive it
//! 1. Wait for a socket or for the deadline of [`Rooms::poll_timeout`].
//! 2. Call [`Rooms::connected`], [`Rooms::message`], [`Rooms::refuse`],
//!    [`Rooms::disconnected`] or [`Rooms::handle_timeout`]. Any number of them may be
//!    called before draining.
//! 3. `while let Some(output) = rooms.poll_output()`: perform it, in order.
//! 4. Read [`Rooms::poll_timeout`] again.
//!
//! A connection that was told to close is forgotten at once: it gets no more output,
//! and reporting it as disconnected later is harmless.
//!
//! # Glossary
//! *Seat*: a participant's place in a room; it outlives the socket by the grace period.
//! *Lobby*: where a registered peer is that has no seat. *Rebuilt*: a room that came
//! back from the seat tokens of those who returned, after a restart of the server.
//!
//! # Invariants
//! No field that a client can set decides its role; tokens do. A room without seats
//! does not exist. Every change of a room's seats raises its sequence number by one,
//! and everybody in the room is told that number.
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

#[cfg(test)]
mod books;
mod budget;
mod config;
mod crowd;
mod engine;
mod entry;
mod invite;
mod mixer;
mod output;
mod refusal;
mod relay;
mod renewal;
mod resume;
mod room;
mod rooms;
mod seats;
mod timer;
mod tokens;

pub use config::RoomConfig;
pub use engine::EngineOrder;
pub use output::{ConnId, Deadline, DeadlineReason, Event, Output, RoomEnd, Stats};
pub use refusal::Refusal;
pub use rooms::Rooms;
pub use tokens::{Claims, DownloadClaims, InviteClaims, SeatClaims, SignError, TokenError, Tokens};
