//! A model of `RTCPeerConnection`, for tests and simulations.
//!
//! [`PeerConnection`] follows webrtc-pc: the operations chain (§4.4.1.2), the signalling
//! states (§4.3.1), implicit and explicit rollback, the negotiation-needed flag (§4.7.3),
//! ICE credentials and `restartIce()`, transceivers and their directions. It refuses what a
//! browser refuses, with the same exception. [`Transport`] is its ICE and DTLS: when a
//! connection state changes, given whether packets pass.
//!
//! It is *not* a peer connection: descriptions are short texts with the credentials and the
//! media sections, and no packet is ever made. It performs nothing and draws nothing; who
//! drives it says when an operation ends ([`PeerConnection::finish`]) and what the network
//! does.
//!
//! # How it is checked
//! `scripts/` has scripts of calls, and in `scripts/recorded` the traces that real Chromium
//! gave: events, promises and all that can be seen of a peer connection, in their order.
//! `tests/reality.rs` runs the scripts on the model and wants the same traces;
//! `cargo xtask e2e model` wants them of today's Chromium. Where Chromium and webrtc-pc
//! part, the model follows Chromium and says so in a comment; where it does not, the script
//! has a `deviation` with both traces and the reason.
//!
//! # What is left out
//! Data channels, provisional answers, `stop()` of a transceiver, several streams of one
//! sender, and several ICE transports: everything is bundled.
//!
//! # Invariants
//! Deterministic and `Clone`; equal histories give equal values and hashes. Nothing happens
//! after [`PeerConnection::close`].
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod apply;
mod candidates;
mod chain;
mod description;
mod methods;
mod needed;
mod peer_connection;
mod transceiver;
mod transport;

pub use candidates::Candidate;
pub use chain::{Call, CallId, Value};
pub use description::{
    Credentials, Description, DescriptionError, Direction, Msid, SdpType, Section,
};
pub use peer_connection::{DomError, Event, PeerConnection, SignalingState};
pub use transceiver::{Kind, StreamId, Transceiver};
pub use transport::{ConnectionState, Timings, Transport};
