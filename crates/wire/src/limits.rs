//! How large each part of a message may be. A message beyond them is refused, not
//! cut, since half a description is worse than none.

/// One WebSocket message, bytes. An audio description of Chromium is 2 to 4 KB;
/// the largest legal message is a description at its own limit plus its envelope.
pub const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// One session description, bytes.
pub const MAX_SDP_BYTES: usize = 48 * 1024;

/// One ICE candidate line, bytes. Real ones are below 300.
pub const MAX_CANDIDATE_BYTES: usize = 1024;

/// Candidates in one batch. A machine with eight addresses of both families
/// gathers about thirty.
pub const MAX_CANDIDATES: usize = 64;

/// Strips in one message: rooms have 15 seats by default, and remember some who left.
pub const MAX_STRIPS: usize = 64;

/// The largest revision of a strip that a client may claim: the largest whole number that
/// JavaScript keeps exactly (ECMA-262 §21.1.2.6), and out of reach of any fader.
pub const MAX_REVISION: u64 = (1 << 53) - 1;

/// One token, bytes. Ours are about 300.
pub const MAX_TOKEN_BYTES: usize = 2048;

/// A display name, Unicode scalar values after trimming.
pub const MAX_NAME_CHARS: usize = 64;

/// A note or a title, Unicode scalar values after trimming.
pub const MAX_LINE_CHARS: usize = 200;

/// The name of a recording, bytes. Ours have 47.
pub const MAX_RECORDING_ID_BYTES: usize = 64;

/// Recordings in one list: the newest ones.
pub const MAX_RECORDINGS: usize = 100;

/// How deep a message may nest: ours need four levels.
pub const MAX_DEPTH: usize = 8;

/// How many values (keys and elements) one message may hold.
pub const MAX_VALUES: usize = 1024;
