//! The signalling protocol between a client and the server, as types.
//!
//! One JSON object a WebSocket text message, `type` in kebab-case, fields in
//! camelCase. [`ClientMessage`] is what clients send, [`ServerMessage`] what they
//! get; `docs/protocol.md` tells what each one means and what must follow it.
//!
//! Parsing is strict and bounded: [`limits`] caps every text and list, a key that
//! stands twice is refused, and each refusal has a stable [`ErrorCode`]. Unknown
//! *fields* are ignored, so that older and newer versions understand each other.
//!
//! This crate is *not* where rules about who may say what live; `openstudio-room`
//! has those. Invariants: no type that goes on a wire lives outside this crate (and
//! the ids of `openstudio-units`); parsing never panics and never recurses beyond
//! [`limits::MAX_DEPTH`].
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod client;
mod engine;
mod error;
mod fields;
pub mod limits;
mod server;
mod strict;
mod strip;

pub use client::ClientMessage;
pub use engine::{
    AirState, Destination, DestinationState, EngineState, RecordingState, RecordingSummary,
    TrackSummary,
};
pub use error::{ErrorCode, ParseError};
pub use fields::{
    Candidate, CandidateBatch, CandidateMessage, Description, DisplayName, IceConfig, IceServer,
    LeaveReason, Line, NameError, OfferRequest, OfferRequestKind, Participant, StaleNotice,
    StunUrls, Token,
};
pub use server::{CloseCode, SeatGrant, ServerMessage};
pub use strip::{NamedStrip, Strip, StripChange};

/// The version of this protocol, sent in `welcome`. Rises when a client that
/// speaks the older one could no longer take part.
pub const PROTOCOL_VERSION: u32 = 1;
