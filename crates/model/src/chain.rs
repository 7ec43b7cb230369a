//! The operations chain (webrtc-pc §4.4.1.2): what a call is and what it gives.

use std::hash::{Hash, Hasher};

use crate::candidates::Candidate;
use crate::description::Description;

/// One call of an asynchronous method: its promise, as it were.
///
/// It is a name alone: two peer connections that differ only in it have the same hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u32);

impl Hash for CallId {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// What was called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// `createOffer()`.
    CreateOffer,
    /// `createAnswer()`.
    CreateAnswer,
    /// `setLocalDescription()` without an argument.
    SetLocal,
    /// `setLocalDescription(text)`.
    SetLocalTo(String),
    /// `setLocalDescription({type: "rollback"})`.
    RollbackLocal,
    /// `setRemoteDescription(text)`.
    SetRemote(String),
    /// `setRemoteDescription({type: "rollback"})`.
    RollbackRemote,
    /// `addIceCandidate(candidate)`.
    AddCandidate(Candidate),
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Nothing.
    Undefined,
    /// The description that was made, of `createOffer()` and `createAnswer()`.
    Made(Description),
}
