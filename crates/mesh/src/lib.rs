//! The connection manager: keeps one sound peer connection to every participant.
//!
//! This crate decides *what* to do with each `RTCPeerConnection` of a mesh and *when*;
//! it performs nothing itself. It has no clock, no randomness of its own, no IO and no
//! async code. A driver (browser, native stack, simulator) does what the [`Command`]s
//! say and reports what happened as [`Input`]s. The same logic runs in all of them.
//!
//! ```text
//!            Input (facts, completions, signals)          now
//!                │                                         │
//!                ▼                                         ▼
//!   ┌──────────────────────────── Mesh ────────────────────────────┐
//!   │  PeerLink ── negotiation · trickle · recovery · health       │
//!   │  PeerLink ── …                                               │
//!   └──────────────────────────────────────────────────────────────┘
//!                │ poll_output: Command | Event     │ poll_timeout
//!                ▼                                  ▼
//! ```
//!
//! # How to drive it
//! 1. Wait for the deadline of [`Mesh::poll_timeout`] or for something to happen.
//! 2. Call [`Mesh::handle_timeout`] or [`Mesh::handle_input`]. Any number of inputs may
//!    be fed before the next step, in any order; none of them fails.
//! 3. Drain [`Mesh::poll_output`], performing commands and publishing events in order.
//! 4. Start again.
//!
//! A driver reports *exactly one* [`Input::Completed`] for every [`OpId`] that it was
//! given, in any order and however late, success or failure, and never calls back into
//! the mesh from inside step 3. Operations of a peer connection that was closed may stay
//! without one: a browser leaves their promises pending for ever. Beyond that it follows four rules which the platforms
//! do not share by themselves:
//!
//! - [`Command::CreatePeerConnection`] with `offers` adds the fixed set of transceivers
//!   (one audio, `sendrecv`). Without it, none is added: applying a remote *offer* takes
//!   the transceivers that the offer made, sets them to `sendrecv` and attaches the local
//!   track if there is one, before it completes. Tracks come and go by `replaceTrack` only.
//! - [`Input::NegotiationNeeded`] is reported as webrtc-pc §4.7.3 fires it: also again
//!   after a rollback, if what was rolled back is still wanted.
//! - [`Command::SetLocalDescription`] is the parameterless call of webrtc-pc §4.4.2, or what
//!   that call does, spelled out, with other parameters of the codec.
//! - Applying a remote offer in `have-local-offer` rolls back implicitly.
//!
//! # Who does what in a pair
//! The peer with the lower id is *polite*, the other *impolite*. The impolite one makes
//! the first offer, restarts ICE and recreates; the polite one only asks for it. Both
//! know this from the ids alone, so they agree even while signalling is away.
//!
//! # Glossary
//! - *generation*: one `RTCPeerConnection` on each side; rises when it is made anew.
//! - *round*: one offer and its answer, named by the [`OfferId`](openstudio_units::OfferId).
//! - *recreate*: close the peer connection and make a new one, with the next generation.
//! - *sound*: connected, and packets arrive if the remote side has a microphone.
//! - *reachable*: signalling is up on this side and the peer's is, too.
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod backoff;
mod config;
mod count;
mod deadline;
mod input;
mod link;
mod mesh;
mod output;
mod signal;
mod strain;

pub use backoff::Backoff;
pub use config::{ConfigError, MeshConfig};
pub use deadline::{Deadline, DeadlineReason};
pub use input::{
    Completion, DescriptionKind, Input, OpError, PeerConnectionState, PeerInfo, StatsSample,
};
pub use mesh::{Counters, LinkSnapshot, Mesh};
pub use output::{Command, ConnectionState, Event, HealthLevel, OpId, Output, PcId, Trouble};
pub use signal::{IceCandidate, OfferKind, Signal};
