//! The programme on its way to listeners.
//!
//! A [`Cast`] is given the mixed programme in blocks of 20 ms. It encodes them once, and brings
//! them to listeners over HTTP as endless Ogg Opus (a [`Listener`] is the body of an answer), to
//! an Icecast server, and as HLS into a folder that any web server can serve.
//!
//! It is *not* the place for mixing (`openstudio-mix`), for HTTP itself (`openstudio-server`),
//! or for recordings (`openstudio-record`).
//!
//! # How to drive it
//! [`Cast::start`] on a tokio runtime, [`Cast::push`] every 20 ms, [`Cast::set_title`] when
//! something else is on, [`Cast::finish`]. Others get an [`Air`] from [`Cast::air`].
//!
//! # The streams
//! - A title stands in the tags of a logical Ogg stream (RFC 7845 §5.2), so that another title
//!   is another logical stream. It begins with packets that the one before had too, for a
//!   decoder to settle, and is heard from the frame on with which the one before ended.
//! - Who comes late gets the headers of the present stream, and then pages whose positions
//!   begin high, as Icecast does it.
//! - Nobody waits for anybody: all listeners read the same few seconds of pages, and who falls
//!   behind goes on close to the live edge.

mod air;
mod cast;
mod chain;
mod config;
mod encoder;
mod hls;
mod icecast;
mod status;
mod text;

pub use air::{Air, Listener};
pub use cast::Cast;
pub use config::{CastConfig, CastError, IcecastConfig};
pub use status::{Destination, Kind, State, Status};

/// Frames of sound a second: Opus's own rate (RFC 6716).
pub const SAMPLE_RATE: u32 = 48_000;

/// Frames of sound in a block: 20 ms.
pub const BLOCK_FRAMES: usize = 960;

/// The same, as a count of frames on a stream.
const BLOCK: u64 = 960;

/// What a decoder needs to settle, in frames: the look-ahead of libopus (RFC 7845 §4.2).
const PRE_SKIP: u16 = 312;
