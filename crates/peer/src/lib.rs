//! The native participant: a member of a room without a browser.
//!
//! A [`Participant`] is one task that owns a `Session`, and so the same connection manager as
//! a page does, and performs its commands on str0m: signalling over a WebSocket, one UDP
//! socket for each address of the machine, an allocation on a relay, Opus in and out, and an
//! adaptive [`Jitter`] buffer in front of each decoder. It decides nothing about connections.
//!
//! It is *not* the place for rooms (`openstudio-room`), for pairs (`openstudio-mesh`) or for
//! mixing (`openstudio-mix`).
//!
//! # How to drive it
//! [`Participant::start`], follow [`Participant::snapshot`], [`Participant::leave`].
//!
//! # Differences from `RTCPeerConnection`
//! - Candidates are gathered once for all connections: they share the sockets, the
//!   server-reflexive addresses and one allocation. Those that are there go with the description.
//! - Names of `.local` (mDNS) candidates are not looked up. The other side's checks still
//!   arrive, and make its address known (a peer-reflexive candidate, RFC 8445 §7.3.1.3).
//! - Another address of the machine is noticed, and reported as a change of the network.

mod connection;
mod ear;
mod engine;
mod files;
mod interruptions;
mod jitter;
mod link;
mod network;
mod participant;
mod pitch;
mod programme;
mod recorder;
mod returns;
mod signalling;
mod snapshot;
mod sound_file;
mod voice;

pub use interruptions::{Gap, Outage};
pub use jitter::{Frame, Jitter, JitterCounters};
pub use link::{Link, LinkError};
pub use participant::{Options, Participant, ProgrammeSink, StartError, Work};
pub use pitch::{Heard, Listening};
pub use recorder::{RecordingStatus, TrackStatus};
pub use returns::Returns;
pub use snapshot::{Other, Snapshot};
pub use sound_file::{Cue, SoundFile, SoundFileError, SoundFileProblem};
pub use voice::Source;

pub use openstudio_session as session;
pub use openstudio_tls::Trust;

/// Frames of sound a second, in and out: Opus's own rate (RFC 6716).
pub const SAMPLE_RATE: u32 = 48_000;

/// Frames of sound in a packet that is sent: 20 ms.
pub const PACKET_FRAMES: usize = 960;
