//! The audio core: what happens to samples between the people and the ears.
//!
//! This crate computes blocks of `f32` samples and performs nothing: it has no clock, no
//! IO, no threads and no randomness but a seed that it is given. It does not know people
//! either; a [`Desk`] has numbered strips, and what they are is decided elsewhere.
//!
//! ```text
//!  strip i: input ─► (no NaN) ─► fader, mute ─┬─► meter
//!                                             ├─ on air ──────► Σ programme ─┬─► limiter ─► programme
//!                                             │                              │               └► meter, loudness
//!                                             └─ not own, solo ► Σ conversation
//!                                                                     │      │
//!                                                                  source ◄──┘
//!                                                                     └─► volume ─► limiter ─► monitor
//! ```
//!
//! # How to drive it
//! 1. [`Desk::prepare`], once, where memory may be taken.
//! 2. For each block: write [`Desk::input_mut`] of those who send something,
//!    [`Desk::process`], read [`Desk::monitor`] and [`Desk::programme`].
//! 3. Between blocks, in any order: set strips and monitor, read levels and loudness.
//!
//! Everything but the first step is fit for an audio thread: it does not fail, allocate,
//! lock, log or block. What goes wrong is counted ([`Desk::counters`]).
//!
//! # Latency
//! Monitor and programme are [`latency`] late, 5 ms at every sample rate: the look-ahead of
//! their limiters. The rest adds none.
//!
//! # Glossary
//! - *frame*: one sample of each channel. *block*: frames that are processed at once.
//! - *monitor*: what the participant hears. *programme*: what goes on air.
//! - *mix-minus*: everybody but oneself.
//! - *dBTP*: decibels of the true peak, between the samples too. *LUFS*: loudness after
//!   EBU R 128.
#![warn(clippy::indexing_slicing, clippy::as_conversions, clippy::arithmetic_side_effects)]

mod bus;
mod convert;
mod decibel;
mod desk;
mod generate;
mod limiter;
mod loudness;
mod meter;
mod mix_minus;
mod ramp;
mod strip;
mod true_peak;

pub use decibel::{amplitude, decibels};
pub use desk::{Counters, Desk, DeskConfig, MonitorSettings, MonitorSource, PrepareError};
pub use generate::{Noise, Tone};
pub use limiter::{CEILING, Limiter, latency};
pub use loudness::Loudness;
pub use meter::{Level, Meter, PeakHold};
pub use mix_minus::MixMinus;
pub use ramp::Ramp;
pub use strip::StripSettings;
