//! What can be wrong with a message, as codes that clients may branch on.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why the server refused something. Stable: a code never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The text is not a JSON object. Send one object a message.
    MalformedJson,
    /// A key stands twice in one object. Send it once.
    DuplicateKey,
    /// The message, or something in it, is above its size limit. Send less.
    TooLarge,
    /// There is no message of this `type`. Compare the protocol versions.
    UnknownType,
    /// A field that must be there is not. Add it.
    MissingField,
    /// A field has the wrong type or form. Mend it.
    InvalidField,
    /// The display name is empty, too long, or has control characters. Choose another.
    InvalidName,
    /// Only text messages are understood. Send text.
    NotText,
    /// The message needs a registered peer. Send `register` or `resume` first.
    NotRegistered,
    /// This socket has a peer id already. Open another socket for another peer.
    AlreadyRegistered,
    /// The peer id is live on another socket. Send `resume` with its token, or take another id.
    PeerIdTaken,
    /// The message needs a room. Create or join one first.
    NotInRoom,
    /// The peer is in a room already. Leave it first.
    AlreadyInRoom,
    /// There is no such room, or it has ended. Ask for a new link.
    RoomNotFound,
    /// The server has just started, and nobody of this room has returned yet. Ask again in a
    /// second.
    RoomNotBack,
    /// A host ended the session. It cannot be joined again.
    RoomEnded,
    /// The room has no free seat. Try again when somebody has left.
    RoomFull,
    /// The server carries no more rooms. Try again later.
    ServerFull,
    /// `from` is not the sender's own id. Send your own.
    ForgedSender,
    /// `to` names nobody in the room. Forget that peer.
    PeerNotFound,
    /// The role does not allow this. Ask a host.
    Forbidden,
    /// The token is not one of this server's, or was altered. Ask for a new link.
    InvalidToken,
    /// The token is past its time. Ask for a new link, or join again.
    ExpiredToken,
    /// The token is for another room or another purpose. Use it where it belongs.
    WrongToken,
    /// This server neither records nor sends a programme out. Ask its operator.
    NoEngine,
    /// There is no such recording, or it is under way. Ask for the list again.
    RecordingNotFound,
    /// Too many messages, sockets or joins from here. Wait, then go on more slowly.
    RateLimited,
    /// The server failed. Try again; the operator's log has the cause.
    Internal,
}

impl ErrorCode {
    /// Returns the code as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed-json",
            Self::DuplicateKey => "duplicate-key",
            Self::TooLarge => "too-large",
            Self::UnknownType => "unknown-type",
            Self::MissingField => "missing-field",
            Self::InvalidField => "invalid-field",
            Self::InvalidName => "invalid-name",
            Self::NotText => "not-text",
            Self::NotRegistered => "not-registered",
            Self::AlreadyRegistered => "already-registered",
            Self::PeerIdTaken => "peer-id-taken",
            Self::NotInRoom => "not-in-room",
            Self::AlreadyInRoom => "already-in-room",
            Self::RoomNotFound => "room-not-found",
            Self::RoomNotBack => "room-not-back",
            Self::RoomEnded => "room-ended",
            Self::RoomFull => "room-full",
            Self::ServerFull => "server-full",
            Self::ForgedSender => "forged-sender",
            Self::PeerNotFound => "peer-not-found",
            Self::Forbidden => "forbidden",
            Self::InvalidToken => "invalid-token",
            Self::ExpiredToken => "expired-token",
            Self::WrongToken => "wrong-token",
            Self::NoEngine => "no-engine",
            Self::RecordingNotFound => "recording-not-found",
            Self::RateLimited => "rate-limited",
            Self::Internal => "internal",
        }
    }
}

/// A message that could not be read. `code` is for machines, `message` for people.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong, as a stable code.
    pub code: ErrorCode,
    /// What is wrong, in words; never contains more than a short piece of the input.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
