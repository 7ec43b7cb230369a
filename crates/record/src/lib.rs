//! Recordings of a session: each voice on a track of its own, the programme, and what happened.
//!
//! This crate writes formats and keeps time; the clock is its caller's matter. All positions are
//! frames at 48 kHz since the session's zero.
//!
//! - [`Recording`]: a folder that all of it is written into, and that can be gone on with after
//!   the writer was killed.
//! - [`VoiceTrack`]: the Opus packets as they came, in Ogg (RFC 7845). Gaps are filled with
//!   silence, so that all tracks have the same zero and stay aligned.
//! - [`WaveTrack`]: the programme, 24 bits a sample, in WAV, as RF64 above 4 GiB (EBU Tech 3306).
//! - [`Journal`]: who was there and when, and what was marked, as `session.json`.
//! - [`Library`]: the recordings that there are: listed, given away, deleted.
//!
//! # Invariants
//! - What was written can be played at any moment, without repair: pages of Ogg are complete,
//!   and the sizes in a WAV never say more than there is.
//! - Whatever moment the writer is killed at, what goes on is aligned with what there is; of
//!   each voice less than a second is missing.
//! - Memory is bounded whatever packets come.
//! - No name that came from outside becomes a path.
#![warn(clippy::indexing_slicing)]

mod archive;
mod journal;
mod library;
mod pages;
mod recording;
mod timeline;
mod voice_track;
mod wave;

pub use journal::{Journal, JournalError, Mark, Stay, TrackEntry};
pub use library::{Library, RecordingId, RecordingIdError, Summary, TrackSummary};
pub use recording::{CutShort, Recording};
pub use timeline::Timeline;
pub use voice_track::{Packet, VoiceTrack};
pub use wave::WaveTrack;

/// Frames a second, of everything.
pub const SAMPLE_RATE: u32 = 48_000;
