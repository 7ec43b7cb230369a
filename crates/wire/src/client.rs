//! What clients send.

use openstudio_units::{PeerId, Role, RoomId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ErrorCode, ParseError};
use crate::fields::{
    Candidate, CandidateBatch, CandidateMessage, Description, DisplayName, Line, OfferRequest,
    StaleNotice, Token,
};
use crate::limits;
use crate::strict;
use crate::strip::{NamedStrip, StripChange};

/// A message from a client to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ClientMessage {
    /// Names the peer behind this socket.
    Register {
        /// The id, chosen by the client.
        peer_id: PeerId,
    },
    /// Takes the seat of a token again, on this socket.
    Resume {
        /// The newest seat token that the client got.
        token: Token,
        /// Whether the client lost the memory of its links (a reloaded page).
        #[serde(default)]
        fresh: bool,
    },
    /// Asks for a `pong`.
    Ping,
    /// Makes a room; the sender becomes its host.
    CreateRoom,
    /// Joins a room as a caller.
    JoinRoom {
        /// Which room.
        room_id: RoomId,
    },
    /// Makes a room, or joins one with the role of an invitation.
    CreateOrJoinRoom {
        /// Which room; none makes a new one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        room_id: Option<RoomId>,
        /// The role that the client expects. Only a wish: the invitation decides.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<Role>,
        /// The invitation, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invite_token: Option<Token>,
        /// What the participant is called.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<DisplayName>,
    },
    /// An offer for another peer.
    Offer(Description),
    /// An answer for another peer.
    Answer(Description),
    /// A candidate for another peer.
    IceCandidate(CandidateMessage),
    /// Candidates for another peer.
    IceCandidates(CandidateBatch),
    /// Asks another peer for an offer.
    RequestOffer(OfferRequest),
    /// Tells another peer that its generation is behind.
    Stale(StaleNotice),
    /// Mutes or unmutes: oneself, or somebody else by a host.
    Mute {
        /// Whose microphone; oneself if left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_id: Option<PeerId>,
        /// Whether it is muted.
        muted: bool,
    },
    /// The sender got or lost a microphone.
    Microphone {
        /// Whether there is one.
        available: bool,
    },
    /// Changes how the desk treats a participant; hosts and ops only.
    SetStrip {
        /// Whose strip.
        peer_id: PeerId,
        /// What is to be different.
        #[serde(flatten)]
        change: StripChange,
    },
    /// Tells a restarted server the strips that it has forgotten; hosts and ops only. Those
    /// that it knows in a newer revision stay.
    RestoreStrips {
        /// The strips.
        strips: Vec<NamedStrip>,
    },
    /// The sender wants to be called something else.
    Rename {
        /// The new name.
        name: DisplayName,
    },
    /// Asks for an invitation; hosts and ops only.
    RequestInvite {
        /// What the invited may do.
        invite_role: Role,
    },
    /// Begins or ends the recording; hosts and ops only.
    Record {
        /// Whether to record.
        on: bool,
    },
    /// Sends the programme to listeners, or ends that; hosts and ops only. While it is on, the
    /// same with another title changes the title.
    Air {
        /// Whether to send.
        on: bool,
        /// What listeners read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        title: Option<Line>,
    },
    /// Notes this moment in the recording; hosts and ops only.
    Mark {
        /// What is to be found again.
        text: Line,
    },
    /// Asks for the room's recordings; hosts and ops only.
    ListRecordings,
    /// Deletes a recording of the room for good; hosts only.
    DeleteRecording {
        /// Which.
        id: String,
    },
    /// Leaves the room on purpose.
    Leave,
    /// Ends the session for everybody; hosts only.
    EndRoom,
}

/// Every `type` a client may send, to tell an unknown type from a malformed message.
const TYPES: [&str; 25] = [
    "register",
    "resume",
    "ping",
    "create-room",
    "join-room",
    "create-or-join-room",
    "offer",
    "answer",
    "ice-candidate",
    "ice-candidates",
    "request-offer",
    "stale",
    "mute",
    "microphone",
    "set-strip",
    "restore-strips",
    "rename",
    "request-invite",
    "record",
    "air",
    "mark",
    "list-recordings",
    "delete-recording",
    "leave",
    "end-room",
];

impl ClientMessage {
    /// Reads a message as the server does: strictly and within [`limits`].
    ///
    /// # Errors
    /// A [`ParseError`] that may be sent back to the client as it is.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let map = strict::parse_object(text)?;
        let kind = match map.get("type") {
            Some(Value::String(kind)) => kind.clone(),
            Some(_) => {
                return Err(ParseError::new(ErrorCode::InvalidField, "`type` must be a string"));
            }
            None => {
                return Err(ParseError::new(ErrorCode::MissingField, "missing field `type`"));
            }
        };
        if !TYPES.contains(&kind.as_str()) {
            let shown: String = kind.chars().take(32).collect();
            let message = format!("there is no message of type `{shown}`");
            return Err(ParseError::new(ErrorCode::UnknownType, message));
        }
        let message: Self =
            serde_json::from_value(Value::Object(map)).map_err(|error| classify(&kind, &error))?;
        message.check_sizes()?;
        Ok(message)
    }

    /// Returns the message as JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the `type` of the message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Register { .. } => "register",
            Self::Resume { .. } => "resume",
            Self::Ping => "ping",
            Self::CreateRoom => "create-room",
            Self::JoinRoom { .. } => "join-room",
            Self::CreateOrJoinRoom { .. } => "create-or-join-room",
            Self::Offer(_) => "offer",
            Self::Answer(_) => "answer",
            Self::IceCandidate(_) => "ice-candidate",
            Self::IceCandidates(_) => "ice-candidates",
            Self::RequestOffer(_) => "request-offer",
            Self::Stale(_) => "stale",
            Self::Mute { .. } => "mute",
            Self::Microphone { .. } => "microphone",
            Self::SetStrip { .. } => "set-strip",
            Self::RestoreStrips { .. } => "restore-strips",
            Self::Rename { .. } => "rename",
            Self::RequestInvite { .. } => "request-invite",
            Self::Record { .. } => "record",
            Self::Air { .. } => "air",
            Self::Mark { .. } => "mark",
            Self::ListRecordings => "list-recordings",
            Self::DeleteRecording { .. } => "delete-recording",
            Self::Leave => "leave",
            Self::EndRoom => "end-room",
        }
    }

    fn check_sizes(&self) -> Result<(), ParseError> {
        match self {
            Self::Offer(description) | Self::Answer(description) => {
                check_text("sdp", &description.sdp, limits::MAX_SDP_BYTES)
            }
            Self::IceCandidate(message) => check_candidate(&message.candidate),
            Self::IceCandidates(batch) => {
                if batch.candidates.len() > limits::MAX_CANDIDATES {
                    let limit = limits::MAX_CANDIDATES;
                    let message = format!("a batch may have {limit} candidates at most");
                    return Err(ParseError::new(ErrorCode::TooLarge, message));
                }
                batch.candidates.iter().try_for_each(check_candidate)
            }
            Self::Resume { token, .. } => check_token(token),
            Self::CreateOrJoinRoom { invite_token, .. } => {
                invite_token.as_ref().map_or(Ok(()), check_token)
            }
            Self::RestoreStrips { strips } => check_strips(strips),
            Self::DeleteRecording { id } => check_text("id", id, limits::MAX_RECORDING_ID_BYTES),
            Self::Register { .. }
            | Self::Ping
            | Self::CreateRoom
            | Self::JoinRoom { .. }
            | Self::RequestOffer(_)
            | Self::Stale(_)
            | Self::Mute { .. }
            | Self::Microphone { .. }
            | Self::SetStrip { .. }
            | Self::Rename { .. }
            | Self::RequestInvite { .. }
            | Self::Record { .. }
            | Self::Air { .. }
            | Self::Mark { .. }
            | Self::ListRecordings
            | Self::Leave
            | Self::EndRoom => Ok(()),
        }
    }
}

fn check_token(token: &Token) -> Result<(), ParseError> {
    check_text("token", &token.0, limits::MAX_TOKEN_BYTES)
}

fn check_strips(strips: &[NamedStrip]) -> Result<(), ParseError> {
    if strips.len() > limits::MAX_STRIPS {
        let message = format!("a message may have {} strips at most", limits::MAX_STRIPS);
        return Err(ParseError::new(ErrorCode::TooLarge, message));
    }
    if strips.iter().any(|named| named.strip.revision > limits::MAX_REVISION) {
        let message = format!("a `revision` is {} at most", limits::MAX_REVISION);
        return Err(ParseError::new(ErrorCode::InvalidField, message));
    }
    Ok(())
}

fn check_candidate(candidate: &Candidate) -> Result<(), ParseError> {
    let limit = limits::MAX_CANDIDATE_BYTES;
    check_text("candidate", &candidate.candidate, limit)?;
    check_text("sdpMid", candidate.sdp_mid.as_deref().unwrap_or(""), limit)?;
    check_text("usernameFragment", candidate.username_fragment.as_deref().unwrap_or(""), limit)
}

fn check_text(field: &str, text: &str, limit: usize) -> Result<(), ParseError> {
    if text.len() > limit {
        let message = format!("`{field}` may have {limit} bytes at most");
        return Err(ParseError::new(ErrorCode::TooLarge, message));
    }
    Ok(())
}

/// Turns serde's words into a code. The words are serde's contract with nobody, so
/// the tests below pin the three that matter.
fn classify(kind: &str, error: &serde_json::Error) -> ParseError {
    let text: String = error.to_string().chars().take(200).collect();
    let code = if text.starts_with("missing field") {
        ErrorCode::MissingField
    } else if text.starts_with("invalid name") {
        ErrorCode::InvalidName
    } else {
        ErrorCode::InvalidField
    };
    ParseError::new(code, format!("`{kind}`: {text}"))
}
